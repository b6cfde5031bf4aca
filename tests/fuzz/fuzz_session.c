/* links: drivers */
/*
 * Every driver through a session. Input: one byte picks the driver, then records of
 *   what u8 (channel of the driver's table, or one of the events below) | length u8 | bytes
 * What is checked: a spoiled frame emits nothing; nothing is confirmed before its readings are
 * committed, or twice; sequences rise by one; measurements hold together; requests fit.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/registry.h"
#include "drivers/session.h"

#define EVENT_TIMEOUT 0xff
#define EVENT_COMMIT  0xfe
#define EVENT_LATER   0xfd
#define EVENT_FOREIGN 0xfc
#define EVENT_REFUSED 0xfb /* of the channel that the length picks */

struct watch {
	struct session *session;
	uint64_t next_seq, seen, committed;
	unsigned int emitted; /* by the frame at hand */
	uint64_t last_reading;
	uint64_t waits_for; /* last reading of the indication that is held; 0: none */
	bool held;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_part(const struct measurement_part *p)
{
	char text[DECIMAL_TEXT_MAX];

	require(metric_info(p->metric) && unit_info(p->unit));
	if (p->number.absent != ABSENT_NO)
		require(p->number.value.mantissa == 0 && absent_name(p->number.absent));
	else
		require(decimal_format(text, sizeof(text), p->number.value) > 0);
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct watch *w = user;

	require(seq == w->seen + 1 && metric_info(m->metric));
	require(m->n_parts <= MEASUREMENT_PARTS_MAX && (m->flags >> FLAG_END) == 0);
	for (unsigned int i = 0; i < m->n_parts; i++)
		check_part(&m->parts[i]);
	w->seen = seq;
	w->emitted++;
	if (measurement_is_final(m))
		w->waits_for = w->last_reading = seq;
}

static void on_request(void *user, const struct session_request *request)
{
	(void)user;
	require(request->len <= DRV_WRITE_MAX);
}

static void on_confirm(void *user, uint16_t channel)
{
	struct watch *w = user;

	(void)channel;
	require(w->held && w->waits_for <= w->committed);
	w->held = false;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	require(r < 0 && fault < FAULT_END);
}

static void on_memory(void *user, const struct session_memory *memory)
{
	const struct watch *w = user;

	/* nothing is kept that is not durable; w->last_reading: of any frame */
	require(memory->kept_len <= DRV_KEPT_MAX && w->last_reading <= w->committed);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	(void)user;
	(void)slot;
	require(i < 2 && outcome >= DRV_CONSENT_GOOD && outcome <= DRV_CONSENT_REFUSED);
}

static const struct drv_channel *channel_at(const struct driver *driver, uint8_t what)
{
	const struct drv_channel *c = driver->channels;
	size_t n = 0;

	while (c[n].mode)
		n++;
	require(n > 0);
	return &c[what % n];
}

static void give(struct watch *w, uint8_t what, const uint8_t *bytes, size_t len, int64_t now)
{
	const struct drv_channel *c = channel_at(session_driver(w->session), what);
	uint8_t *copy = malloc(len ? len : 1); /* exact size: a read too far is seen */
	struct drv_frame frame = { .channel = c->id, .data = copy, .len = len };
	const bool indication = c->mode == DRV_INDICATE && what != EVENT_FOREIGN;
	const bool busy = indication && w->held && !session_idle(w->session);
	const uint64_t before = w->waits_for;
	int r;

	require(copy != NULL);
	if (len > 0)
		memcpy(copy, bytes, len);
	if (what == EVENT_FOREIGN)
		frame.channel = 0x1234;
	w->emitted = 0;
	if (indication && !busy) {
		w->held = true;
		w->waits_for = 0;
	}
	r = session_frame(w->session, &frame, indication, now);
	require(r >= 0 || w->emitted == 0);
	if (!indication)
		w->waits_for = before; /* the held one waits for its own readings only */
	free(copy);
}

static void play(struct watch *w, const uint8_t *data, size_t size)
{
	int64_t now = 0;

	while (size >= 2 && !session_is_done(w->session)) {
		const uint8_t what = data[0];
		const size_t len = data[1] < size - 2 ? data[1] : size - 2;
		const uint64_t before = w->waits_for;

		now += 10000;
		if (what == EVENT_TIMEOUT) {
			(void)session_timeout(w->session, now);
			w->waits_for = before;
		} else if (what == EVENT_COMMIT) {
			w->committed = w->seen;
			(void)session_committed(w->session, w->committed, now);
		} else if (what == EVENT_REFUSED) {
			(void)session_refused(w->session,
					      channel_at(session_driver(w->session), data[1])->id,
					      1, now);
			w->waits_for = before;
		} else if (what == EVENT_LATER) {
			now += INT64_C(1000000) * data[1];
		} else {
			give(w, what, data + 2, len, now);
		}
		data += what == EVENT_LATER || what == EVENT_REFUSED ? 2 : 2 + len;
		size -= what == EVENT_LATER || what == EVENT_REFUSED ? 2 : 2 + len;
	}
	session_close(w->session, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch w = { .next_seq = 1 };
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .memory = on_memory,
					   .consent = on_consent,
					   .user = &w };
	static const struct session_memory memory = {
		.consents = { { .slot = 1, .code = 1234 }, { .slot = DRV_SLOT_NEW, .code = 7007 } },
		.n_consents = 2,
		.kept = { 1, 2, 3, 4, 5, 6, 7 },
		.kept_len = 7
	};
	size_t n = 0;

	while (drivers[n])
		n++;
	if (size == 0 || n == 0)
		return 0;
	require(session_new(drivers[data[0] % n], data[0] >> 6, &sink, &w.next_seq, &w.session) ==
		0);
	/* 2026-05-12, in UTC + 1 */
	session_set_wall(w.session, INT64_C(1778612020000));
	session_set_zone(w.session, 60);
	session_set_memory(w.session, &memory);
	session_set_random(w.session, "0123456789abcdefghij", 20);
	if (data[0] & 0x80)
		session_set_last_record(w.session, data[0]);
	(void)session_open(w.session, LINK_REPLAY, 0);
	play(&w, data + 1, size - 1);
	session_free(w.session);
	return 0;
}
