/* links: drivers */
/*
 * The driver of Fitbit trackers by their own radio. The first byte: bit 0, something is kept of an
 * earlier sync. Then records of: what u8 | length u8 | bytes; what, modulo 4:
 *   0 a value of adabfb01, 1 the timer, 2 everything is durable, 3 a write was refused
 * What is checked: nothing is ever sent but what reads; whatever comes, the timer alone then brings
 * it to its end, with the airlink closed again; what is kept has one of its two lengths; and what
 * the advertisement decoder does with the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/registry.h"
#include "drivers/session.h"
#include "protocols/fitbit/advert.h"

#define ANSWER     0xfb01
#define COMMAND    0xfb02
#define TIMERS_MAX 500 /* pieces of the longest dump */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct watch {
	struct session *session;
	uint64_t next_seq;
	bool airlinked, closed, refused;
};

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	(void)user;
	(void)seq;
	must(m->metric == METRIC_STEPS || m->n_parts <= 4);
	must(!measurement_is_final(m) || m->time.kind == DEVICE_TIME_UTC);
}

static void check_written(struct watch *w, const uint8_t *data, size_t len)
{
	static const uint8_t open[] = { 0xc0, 0x0a, 10, 0, 8, 0, 16, 0, 0, 0, 200, 0, 1 };
	static const uint8_t dump[] = { 0xc0, 0x10, 0x0d }, over[] = { 0xc0, 0x01 };

	if (len == sizeof(open) && memcmp(data, open, sizeof(open)) == 0)
		w->airlinked = true;
	else if (len == sizeof(over) && memcmp(data, over, sizeof(over)) == 0)
		w->airlinked = false;
	else
		must(w->airlinked && len == sizeof(dump) && memcmp(data, dump, sizeof(dump)) == 0);
}

static void on_request(void *user, const struct session_request *q)
{
	struct watch *w = user;

	if (q->kind == SESSION_CLOSE)
		w->closed = true;
	if (q->kind != SESSION_WRITE)
		return;
	must(q->channel == COMMAND);
	check_written(w, q->data, q->len);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	must(r < 0 && fault < FAULT_END);
}

static void on_memory(void *user, const struct session_memory *memory)
{
	(void)user;
	must(memory->kept_len == 6 || memory->kept_len == 18);
}

static void give(struct watch *w, const uint8_t *data, size_t len, int64_t now)
{
	uint8_t *copy = malloc(len + 1); /* exact but for an empty one */
	const struct drv_frame frame = { ANSWER, copy, len };
	struct fitbit_advert advert;

	must(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	(void)session_frame(w->session, &frame, false, now);
	must((fitbit_advert_decode(copy, len, &advert) == 0) == (len >= 2 && len <= 6));
	free(copy);
}

static void one(struct watch *w, uint8_t what, const uint8_t *data, size_t len, int64_t now)
{
	switch (what) {
	case 0:
		give(w, data, len, now);
		break;
	case 1:
		(void)session_timeout(w->session, now);
		break;
	case 2:
		(void)session_committed(w->session, w->next_seq - 1, now);
		break;
	default:
		w->refused = true; /* then there was nothing to close */
		(void)session_refused(w->session, COMMAND, 0x0a, now);
	}
}

static void bring_to_end(struct watch *w, int64_t now)
{
	for (int i = 0; i < TIMERS_MAX && !w->closed; i++) {
		(void)session_timeout(w->session, now++);
		(void)session_committed(w->session, w->next_seq - 1, now);
	}
	must(w->closed && (w->refused || !w->airlinked));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* as the tracker of the corpus has it */
	static const struct session_memory memory = {
		.kept = { 2, 0, 0, 0, 0, 0, 0xe5, 0x14, 0x53, 0x33, 0xee, 0xff, 0x10, 0xff, 0xee, 0,
			  1, 7 },
		.kept_len = 18,
	};
	struct watch w = { .next_seq = 1 };
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .fault = on_fault,
					   .memory = on_memory,
					   .user = &w };
	int64_t now = 0;

	if (size == 0)
		return 0;
	must(session_new(registry_by_name("fitbit_ble"), 0, &sink, &w.next_seq, &w.session) == 0);
	if (data[0] & 1)
		session_set_memory(w.session, &memory);
	must(session_open(w.session, LINK_CLEAR, 0) == 0);
	data++;
	size--;
	while (size >= 2 && !session_is_done(w.session)) {
		const size_t len = data[1] < size - 2 ? data[1] : size - 2;

		now += 10000;
		one(&w, data[0] % 4, data + 2, len, now);
		data += 2 + len;
		size -= 2 + len;
	}
	bring_to_end(&w, now);
	session_close(w.session, now);
	session_free(w.session);
	return 0;
}
