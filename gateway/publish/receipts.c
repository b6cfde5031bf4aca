#include "gateway/publish/receipts.h"

#include <errno.h>
#include <string.h>

#include "wellgate.pb-c.h"

/* LANE_END: a lane of a later version */
static enum lane lane_of(const Wellgate__V1__Receipt__Lane *m)
{
	switch (m->kind) {
	case WELLGATE__V1__RECEIPT__KIND__KIND_READINGS:
		return LANE_READINGS;
	case WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS:
		return LANE_RESULTS;
	case WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS:
		return LANE_CORRECTIONS;
	case WELLGATE__V1__RECEIPT__KIND__KIND_UNSPECIFIED:
	case _WELLGATE__V1__RECEIPT__KIND_IS_INT_SIZE:
	default:
		return LANE_END;
	}
}

static int check(const Wellgate__V1__Receipt *m, const char *hub, uint64_t epoch,
		 const uint64_t last[LANE_END])
{
	if (!m->hub || !m->has_epoch)
		return -EBADMSG;
	if (strcmp(m->hub, hub) != 0 || m->epoch != epoch)
		return -EXDEV;
	for (size_t i = 0; i < m->n_lanes; i++) {
		const enum lane lane = lane_of(m->lanes[i]);

		if (lane != LANE_END && m->lanes[i]->committed > last[lane])
			return -ERANGE;
	}
	return 0;
}

/* What somebody else had committed under our name. */
static void note_used(struct receipts *r, const Wellgate__V1__Receipt *m)
{
	(void)memset(r->used, 0, sizeof(r->used));
	for (size_t i = 0; i < m->n_lanes; i++) {
		const enum lane lane = lane_of(m->lanes[i]);

		if (lane != LANE_END && m->lanes[i]->committed > r->used[lane])
			r->used[lane] = m->lanes[i]->committed;
	}
}

/* Receipts are cumulative; one that comes late says less than is known. */
static int take(struct receipts *r, const Wellgate__V1__Receipt *m)
{
	int rose = 0;

	for (size_t i = 0; i < m->n_lanes; i++) {
		const enum lane lane = lane_of(m->lanes[i]);

		if (lane == LANE_END || m->lanes[i]->committed <= r->committed[lane])
			continue;
		r->committed[lane] = m->lanes[i]->committed;
		rose = 1;
	}
	if (rose)
		r->wait_us = 0;
	return rose;
}

int receipts_take(struct receipts *r, const char *hub, uint64_t epoch,
		  const uint64_t last[LANE_END], const uint8_t *data, size_t len)
{
	Wellgate__V1__Receipt *m = wellgate__v1__receipt__unpack(NULL, len, data);
	int result = m ? check(m, hub, epoch, last) : -EBADMSG;

	if (result == 0)
		result = take(r, m);
	if (result == -ERANGE)
		note_used(r, m);
	r->taken += result >= 0;
	r->foreign += result == -EXDEV;
	r->malformed += result == -EBADMSG || result == -ERANGE;
	if (m)
		wellgate__v1__receipt__free_unpacked(m, NULL);
	return result;
}

void receipts_restart(struct receipts *r)
{
	(void)memset(r->committed, 0, sizeof(r->committed));
	r->wait_us = 0;
}

int64_t receipts_wait(struct receipts *r)
{
	const int64_t wait_us = r->wait_us > 0 ? r->wait_us : RECEIPT_FIRST_US;

	r->wait_us = wait_us * 2 < RECEIPT_LAST_US ? wait_us * 2 : RECEIPT_LAST_US;
	return wait_us;
}
