/* links: link */
/*
 * What a hostile gateway process can say to wellgate-devices about the radio: packets of any bytes,
 * each behind its length, to a radio that answers in every way. What is said back must fit its
 * packet and be a message.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/status.h"
#include "wellgate.pb-c.h"

#define ROUNDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct status *status;
	unsigned int n; /* commands so far: decides what the radio does */
	struct enrolment enrolment;
};

/* ---- a radio ---- */

static enum adapter_state state(void *user)
{
	return (enum adapter_state)(((struct world *)user)->n % ADAPTER_STATE_END);
}

static const struct adapter_counts *counts(void *user)
{
	static const struct adapter_counts none;

	(void)user;
	return &none;
}

static size_t devices(void *user)
{
	return ((struct world *)user)->n % 70;
}

static void device_at(void *user, size_t i, struct radio_device *ret)
{
	struct world *w = user;

	w->enrolment.address.bytes[5] = (uint8_t)i;
	*ret = (struct radio_device){ .enrolment = &w->enrolment };
}

static void findings(void *user,
		     void (*finding)(void *user, enum adapter_finding_level level, const char *text,
				     const char *advice),
		     void *finding_user)
{
	(void)user;
	finding(finding_user, ADAPTER_PROBLEM, "text", "advice");
}

/* moves on by one phase with each command */
static int move_on(struct world *w)
{
	struct radio_pairing p = { 0 };

	p.phase = (enum radio_pairing_phase)(++w->n % (RADIO_PAIRING_FAILED + 1));
	p.n_candidates = w->n % (RADIO_CANDIDATES_MAX + 1);
	for (size_t i = 0; i < p.n_candidates; i++) {
		p.candidates[i].address.bytes[4] = (uint8_t)w->n;
		p.candidates[i].address.bytes[5] = (uint8_t)i;
	}
	status_pairing(w->status, &p);
	return w->n % 5 == 4 ? -ENOENT : 0;
}

static int on_pair(void *user, const struct radio_pair_request *request)
{
	if (request->window_us < INT64_C(1000000) * STATUS_WINDOW_MIN_S ||
	    request->window_us > INT64_C(1000000) * STATUS_WINDOW_MAX_S ||
	    request->consent.code > 9999 || (request->driver && strlen(request->driver) > 31))
		abort();
	return move_on(user);
}

static int on_address(void *user, const struct ble_address *address)
{
	if (address->type != BLE_PUBLIC && address->type != BLE_RANDOM)
		abort();
	return move_on(user);
}

static int on_passkey(void *user, uint32_t passkey)
{
	if (passkey > 999999)
		abort();
	return move_on(user);
}

static int on_answer(void *user, bool yes)
{
	(void)yes;
	return move_on(user);
}

static void on_cancel(void *user)
{
	(void)move_on(user);
}

static void on_clock(void *user, bool trusted, int zone_offset_min)
{
	(void)user;
	(void)trusted;
	if (abs(zone_offset_min) > 24 * 60)
		abort();
}

static void on_zone(const char *name, int zone_offset_min)
{
	if (!name || abs(zone_offset_min) > 24 * 60)
		abort();
}

/* ---- the gateway ---- */

static void read_all(struct world *w, int64_t now)
{
	const uint8_t *data = NULL;
	size_t len = 0;

	for (unsigned int i = 0; i < ROUNDS_MAX; i++) {
		Wellgate__V1__FromDevices *m;

		if (status_next(w->status, now, &data, &len) <= 0)
			return;
		m = wellgate__v1__from_devices__unpack(NULL, len, data);
		if (!m || len > STATUS_PACKET)
			abort();
		wellgate__v1__from_devices__free_unpacked(m, NULL);
		status_sent(w->status);
	}
	abort(); /* it never ends */
}

static void hear(struct world *w, const uint8_t *data, size_t len, int64_t now)
{
	Wellgate__V1__ToDevices *m = wellgate__v1__to_devices__unpack(NULL, len, data);

	if (m && (m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_RADIO ||
		  m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_CLOCK)) {
		(void)status_heard(w->status, m);
	} else if (len > 0 && data[0] == 0) {
		status_disconnected(w->status);
		status_settle(w->status);
		status_connected(w->status);
	}
	wellgate__v1__to_devices__free_unpacked(m, NULL);
	if (len % 3 == 0)
		read_all(w, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w = { 0 };
	const struct status_handlers handlers = { .pair = on_pair,
						  .choose = on_address,
						  .passkey = on_passkey,
						  .answer = on_answer,
						  .cancel = on_cancel,
						  .unpair = on_address,
						  .retry = on_address,
						  .wipe = on_address,
						  .clock = on_clock,
						  .zone = on_zone,
						  .user = &w,
						  .wired_clock = on_clock,
						  .wired = &w };
	const struct status_source source = { state, counts, devices, device_at, findings, &w };
	int64_t now = INT64_C(1000000000);

	if (status_new(&handlers, &w.status) < 0)
		return 0;
	status_set_source(w.status, &source);
	status_connected(w.status);
	while (len > 0) {
		const size_t n = data[0] < len - 1 ? data[0] : len - 1;

		hear(&w, data + 1, n, now);
		data += n + 1;
		len -= n + 1;
		now += 100000;
	}
	read_all(&w, now);
	status_free(w.status);
	return 0;
}
