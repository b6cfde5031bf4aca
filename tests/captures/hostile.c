/*
 * Every frame of every capture, damaged: each truncated prefix, and 1,000 mutations with a fixed
 * seed. Each must end in a classified error that is counted, with nothing emitted and nothing
 * confirmed, or in measurements that hold together. Prints the totals.
 *
 * Frames are handed on as heap copies of their exact size, so that a sanitizer sees a read past the
 * end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/transport/feed.h"
#include "drivers/transport/replay.h"

#define MUTATIONS 1000
#define GROWTH    8

struct totals {
	uint64_t frames, prefixes, mutations, errors, measurements, failures;
};

struct bench {
	struct totals t;
	const char *path;
	const struct driver *driver;
	uint32_t quirks;
	struct session *session;
	uint64_t next_seq;
	uint64_t random;
	/* of the frame at hand */
	unsigned int emitted, confirmed, faults;
};

static uint64_t next_random(struct bench *b) /* xorshift64 */
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static void fail(struct bench *b, const struct drv_frame *frame, const char *what)
{
	(void)fprintf(stderr, "%s: %04x ", b->path, frame->channel);
	for (size_t i = 0; i < frame->len; i++)
		(void)fprintf(stderr, "%02x", frame->data[i]);
	(void)fprintf(stderr, ": %s\n", what);
	b->t.failures++;
}

static bool part_holds(const struct measurement_part *p)
{
	char text[DECIMAL_TEXT_MAX];

	if (!metric_info(p->metric) || !unit_info(p->unit))
		return false;
	if (p->number.absent != ABSENT_NO)
		return p->number.value.mantissa == 0 && absent_name(p->number.absent);
	return decimal_format(text, sizeof(text), p->number.value) > 0;
}

static bool measurement_holds(const struct measurement *m)
{
	if (!metric_info(m->metric) || m->n_parts > MEASUREMENT_PARTS_MAX)
		return false;
	for (unsigned int i = 0; i < m->n_parts; i++) {
		if (!part_holds(&m->parts[i]))
			return false;
	}
	return m->time.month <= 12 && m->time.day <= 31 && (m->flags >> FLAG_END) == 0;
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct bench *b = user;

	(void)seq;
	b->emitted++;
	b->t.measurements++;
	if (!measurement_holds(m)) {
		(void)fprintf(stderr, "%s: %s: a measurement that does not hold together\n",
			      b->path, b->driver->name);
		b->t.failures++;
	}
}

static void on_request(void *user, const struct session_request *request)
{
	(void)user;
	(void)request;
}

static void on_confirm(void *user, uint16_t channel)
{
	struct bench *b = user;

	(void)channel;
	b->confirmed++;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	struct bench *b = user;

	(void)channel;
	(void)fault;
	(void)r;
	b->faults++;
}

static void renew(struct bench *b)
{
	static const struct session_memory memory = {
		.consents = { { .slot = 1, .code = 1234 }, { .slot = DRV_SLOT_NEW, .code = 7007 } },
		.n_consents = 2
	};
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = b,
	};

	session_free(b->session);
	b->session = NULL;
	if (session_new(b->driver, b->quirks, &sink, &b->next_seq, &b->session) < 0)
		exit(1);
	/* a hub that knows everything, so that the drivers have something to do */
	session_set_wall(b->session, INT64_C(1778612020000));
	session_set_zone(b->session, 60);
	session_set_memory(b->session, &memory);
	session_set_random(b->session, "0123456789abcdefghij", 20);
	(void)session_open(b->session, LINK_REPLAY, 0);
}

static uint64_t counted(const struct session *s)
{
	const struct session_counts *counts = session_counts(s);
	uint64_t sum = 0;

	for (int i = 0; i < FAULT_END; i++)
		sum += counts->faults[i];
	return sum;
}

/* One frame through the driver. Returns what the session returned. */
static int give(struct bench *b, const struct drv_frame *frame)
{
	const uint64_t before = counted(b->session);
	const bool indication = feed_mode(b->driver, frame->channel) == DRV_INDICATE;
	int r;

	b->emitted = b->confirmed = b->faults = 0;
	r = session_frame(b->session, frame, indication, 0);
	if (r < 0) {
		b->t.errors++;
		if (b->emitted || b->confirmed)
			fail(b, frame, "spoiled, and yet something came of it");
		if (b->faults != 1 || counted(b->session) != before + 1)
			fail(b, frame, "an error that was not classified or not counted");
	}
	(void)session_committed(b->session, b->next_seq - 1, 0);
	if (r < 0 && b->confirmed)
		fail(b, frame, "spoiled, and confirmed later");
	if (session_is_done(b->session))
		renew(b);
	return r;
}

static int give_copy(struct bench *b, uint16_t channel, const uint8_t *data, size_t len,
		     bool must_fail)
{
	uint8_t *copy = malloc(len ? len : 1);
	const struct drv_frame frame = { .channel = channel, .data = copy, .len = len };
	int r;

	if (!copy)
		exit(1);
	if (len > 0)
		memcpy(copy, data, len);
	r = give(b, &frame);
	if (must_fail && r == 0)
		fail(b, &frame, "a truncated frame was taken for a good one");
	free(copy);
	return r;
}

/* Text may end anywhere, and so may a list of beats, bytes of a wire that cuts them anyhow, the
 * answers of FFF1, which come in pieces, and the packets of a Fitbit's dump, whose length and sum
 * come behind them. Everything else says how long it is. */
static bool fixed_layout(const struct cap_event *e)
{
	if (e->channel == DRV_WIRE_BYTES || e->channel == DRV_WIRE_BULK || e->channel == 0xfff1 ||
	    e->channel == 0xfb01)
		return false;
	if (e->channel >= 0x2a24 && e->channel <= 0x2a29)
		return false;
	return !(e->channel == 0x2a37 && e->len > 0 && (e->data[0] & 0x10));
}

static void truncate_frame(struct bench *b, const struct cap_event *e, bool good)
{
	for (size_t len = 0; len < e->len; len++) {
		renew(b);
		(void)give_copy(b, e->channel, e->data, len, good && fixed_layout(e));
		b->t.prefixes++;
	}
}

static size_t mutate(struct bench *b, uint8_t *data, size_t len)
{
	const unsigned int changes = 1 + (unsigned int)(next_random(b) % 4);

	for (unsigned int i = 0; i < changes; i++) {
		const uint64_t r = next_random(b);

		if (len > 0 && r % 8 < 4)
			data[(r >> 8) % len] ^= (uint8_t)(1U << ((r >> 32) % 8));
		else if (len > 0 && r % 8 < 6)
			data[(r >> 8) % len] = (uint8_t)(r >> 32);
		else if (len > 0 && r % 8 == 6)
			len = (r >> 8) % len;
		else if (len < CAP_DATA_MAX)
			data[len++] = (uint8_t)(r >> 32);
	}
	return len;
}

static void mutate_frame(struct bench *b, const struct cap_event *e)
{
	uint8_t data[CAP_DATA_MAX + GROWTH];

	renew(b);
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		memcpy(data, e->data, e->len);
		(void)give_copy(b, e->channel, data, mutate(b, data, e->len), false);
		b->t.mutations++;
	}
}

static void attack(struct bench *b, const struct cap_event *e)
{
	bool good;

	renew(b);
	good = give_copy(b, e->channel, e->data, e->len, false) == 0;
	b->t.frames++;
	truncate_frame(b, e, good);
	mutate_frame(b, e);
}

static void open_as(struct bench *b, const struct cap_open *open)
{
	b->driver = feed_driver(open, 0);
	b->quirks = feed_quirks(open);
}

static int attack_file(struct bench *b)
{
	_cleanup_free_ char *error = NULL;
	struct replay *replay = NULL;
	struct cap_event e;
	int r = replay_open(b->path, NULL, &replay, &error);

	while (r >= 0 && (r = replay_next(replay, &e, &error)) > 0) {
		if (e.kind == CAP_OPEN)
			open_as(b, &e.open);
		if (e.kind == CAP_FRAME && b->driver)
			attack(b, &e);
	}
	if (r < 0)
		(void)fprintf(stderr, "%s\n", error);
	replay_free(replay);
	return r;
}

int main(int argc, char **argv)
{
	struct bench b = { .next_seq = 1, .random = UINT64_C(0x9e3779b97f4a7c15) };

	for (int i = 1; i < argc; i++) {
		b.path = argv[i];
		if (attack_file(&b) < 0)
			b.t.failures++;
	}
	session_free(b.session);
	(void)printf("%d captures, %" PRIu64 " frames: %" PRIu64 " prefixes and %" PRIu64
		     " mutations gave %" PRIu64 " classified errors and %" PRIu64
		     " measurements; %" PRIu64 " failures\n",
		     argc - 1, b.t.frames, b.t.prefixes, b.t.mutations, b.t.errors,
		     b.t.measurements, b.t.failures);
	return b.t.failures > 0 || b.t.frames == 0;
}
