/* links: transports */
/* Class 0f over the real libusb, on devices and a usbfs of the test's own (fake_usbfs.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include <libusb-1.0/libusb.h>

#include "drivers/driver.h"
#include "drivers/transport/phdc.h"
#include "drivers/transport/usb_io.h"
#include "protocols/phdc/stream.h"
#include "tests/unit/fake_usbfs.h"

#define LIMIT_US   INT64_C(60000000)
#define FRAMES_MAX 64
#define BYTES_MAX  ((size_t)256 * 1024)

/* clang-format off */
static const uint8_t METER[] = {
	18, 0x01, 0x00, 0x02, 0, 0, 0, 64, 0x09, 0x12, 0x0f, 0x00, 0x00, 0x01, 0, 0, 0, 1,
	9, 0x02, 57, 0, 1, 1, 0, 0xc0, 50,
	9, 0x04, 0, 0, 3, 0x0f, 0, 0, 0,
	4, 0x20, 2, 1,
	6, 0x30, 0, 1, 0x07, 0x10,
	7, 0x05, 0x81, 2, 64, 0, 0, 4, 0x21, 1, 0x08,
	7, 0x05, 0x02, 2, 64, 0, 0, 4, 0x21, 1, 0x08,
	7, 0x05, 0x83, 3, 16, 0, 10,
};

static const uint8_t AARQ[] = {
	0xe2, 0x00, 0x00, 0x32, 0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x2a, 0x50, 0x79,
	0x00, 0x26, 0x80, 0x00, 0x00, 0x00, 0x80, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x08, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
	0x77, 0x88, 0x02, 0xbc, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t AARE[] = {
	0xe3, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x50, 0x79, 0x00, 0x26, 0x80, 0x00, 0x00, 0x00,
	0x80, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00,
	0x00, 0x08, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t EVENT[] = {
	0xe7, 0x00, 0x00, 0x3e, 0x00, 0x3c, 0x00, 0x05, 0x01, 0x01, 0x00, 0x36, 0x00, 0x00,
	0xff, 0xff, 0xff, 0xff, 0x0d, 0x1d, 0x00, 0x2c, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02,
	0x00, 0x24, 0x00, 0x01, 0x00, 0x12, 0x00, 0x03, 0x00, 0x06, 0x00, 0x7b, 0x00, 0x4c,
	0x00, 0x61, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50, 0x00, 0x02, 0x00, 0x0a,
	0x00, 0x55, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50,
};
static const uint8_t CONFIRM[] = {
	0xe7, 0x00, 0x00, 0x12, 0x00, 0x10, 0x00, 0x05, 0x02, 0x01, 0x00, 0x0a, 0x00, 0x00,
	0xff, 0xff, 0xff, 0xff, 0x0d, 0x1d, 0x00, 0x00,
};
static const uint8_t RLRQ[] = { 0xe4, 0x00, 0x00, 0x02, 0x00, 0x00 };
static const uint8_t RLRE[] = { 0xe5, 0x00, 0x00, 0x02, 0x00, 0x00 };

static const struct {
	const uint8_t *says;
	size_t len;
	const uint8_t *answer;
	size_t answer_len;
} DIALOGUE[] = {
	{ AARQ, sizeof(AARQ), AARE, sizeof(AARE) },
	{ EVENT, sizeof(EVENT), CONFIRM, sizeof(CONFIRM) },
	{ RLRQ, sizeof(RLRQ), RLRE, sizeof(RLRE) },
};
/* clang-format on */
#define STEPS (sizeof(DIALOGUE) / sizeof(DIALOGUE[0]))

/* ---- the host: what uses the wire ---- */

struct host {
	sd_event *event;
	struct wire *wire;
	uint16_t channel;
	unsigned int frames;
	size_t lengths[FRAMES_MAX];
	uint8_t bytes[BYTES_MAX];
	size_t len;
	unsigned int gone;
	int error;
	bool answers;                  /* by DIALOGUE */
	unsigned int hold_at, free_at; /* the frame after which to */
};

static void answer(struct host *h, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < STEPS; i++)
		if (len == DIALOGUE[i].len && memcmp(data, DIALOGUE[i].says, len) == 0)
			(void)wire_write(h->wire, h->channel, DIALOGUE[i].answer,
					 DIALOGUE[i].answer_len);
}

static void on_frame(void *user, uint16_t channel, const uint8_t *data, size_t len)
{
	struct host *h = user;

	assert_int_equal(h->gone, 0);
	assert_int_equal(channel, h->channel);
	assert_true(h->frames < FRAMES_MAX && h->len + len <= BYTES_MAX);
	h->lengths[h->frames++] = len;
	memcpy(h->bytes + h->len, data, len);
	h->len += len;
	if (h->answers)
		answer(h, data, len);
	if (h->frames == h->hold_at)
		wire_hold(h->wire, true);
	if (h->frames == h->free_at) {
		wire_free(h->wire);
		h->wire = NULL;
	}
}

static void on_gone(void *user, int error)
{
	struct host *h = user;

	h->gone++;
	h->error = error;
}

static struct host *host_new(sd_event *event)
{
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->event = event;
	h->channel = DRV_WIRE_APDU;
	return h;
}

static struct wire_sink sink_of(struct host *h)
{
	return (struct wire_sink){ .frame = on_frame, .gone = on_gone, .user = h };
}

static void host_open(struct host *h, struct fake_device *d, bool preamble)
{
	const struct wire_sink sink = sink_of(h);
	struct usb_interface_choice choice;

	assert_int_equal(phdc_choose(d->descriptors, d->descriptors_len, 1, &choice), 0);
	choice.use_preamble = preamble;
	assert_int_equal(phdc_open(h->event, d->fd, &choice, &sink, &h->wire), 0);
}

/* ---- time ---- */

static int64_t clock_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* how many turns of the loop there were until nothing was to be done for so long */
static unsigned int run_until_quiet(sd_event *event, uint64_t usec)
{
	unsigned int turns = 0;
	int r;

	while ((r = sd_event_run(event, usec)) > 0)
		assert_true(++turns < 100000);
	assert_int_equal(r, 0);
	return turns;
}

#define RUN_UNTIL(event, truth)                                         \
	do {                                                            \
		const int64_t _limit = clock_now() + LIMIT_US;          \
		while (!(truth)) {                                      \
			assert_true(sd_event_run(event, 1000000) >= 0); \
			assert_true(clock_now() < _limit);              \
		}                                                       \
	} while (0)

static void host_close(struct host *h)
{
	wire_free(h->wire);
	h->wire = NULL;
	RUN_UNTIL(h->event, usb_io_open_count() == 0);
}

static sd_event *new_loop(void)
{
	sd_event *event = NULL;

	assert_true(sd_event_new(&event) >= 0);
	return event;
}

/* ---- the device's side of DIALOGUE ---- */

struct meter {
	size_t step, cut;
	size_t heard; /* bytes of the answer to this step */
	bool wrong;
};

static void meter_says(struct fake_device *d, struct meter *m)
{
	fake_say_cut(d, 0x81, DIALOGUE[m->step].says, DIALOGUE[m->step].len, m->cut);
}

static void meter_hears(struct fake_device *d, const uint8_t *data, size_t len)
{
	struct meter *m = d->user;

	for (size_t i = 0; i < len; i++) {
		if (m->step == STEPS || data[i] != DIALOGUE[m->step].answer[m->heard]) {
			m->wrong = true;
			return;
		}
		if (++m->heard < DIALOGUE[m->step].answer_len)
			continue;
		m->heard = 0;
		if (++m->step < STEPS)
			meter_says(d, m);
	}
}

static struct fake_device *plug_meter(struct meter *m, size_t cut)
{
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	*m = (struct meter){ .cut = cut };
	d->user = m;
	d->on_out = meter_hears;
	meter_says(d, m);
	return d;
}

static void assert_clean(const struct fake_device *d)
{
	assert_int_equal(d->submitted, d->reaped);
	assert_int_equal(d->n_pending + d->n_ended, 0);
}

/* ---- tests ---- */

/* whole packets, and byte by byte */
static void dialogue(void **state)
{
	static const size_t CUTS[] = { 64, 1, 3, 63 };
	const size_t fds = fake_count("/proc/self/fd"), tasks = fake_count("/proc/self/task");
	sd_event *event = new_loop();

	(void)state;
	for (size_t i = 0; i < sizeof(CUTS) / sizeof(CUTS[0]); i++) {
		struct host *h = host_new(event);
		struct meter m;
		struct fake_device *d = plug_meter(&m, CUTS[i]);

		h->answers = true;
		host_open(h, d, false);
		RUN_UNTIL(event, m.step == STEPS);
		assert_false(m.wrong);
		assert_int_equal(h->frames, STEPS);
		assert_int_equal(h->lengths[1], sizeof(EVENT));
		assert_memory_equal(h->bytes + sizeof(AARQ), EVENT, sizeof(EVENT));
		assert_true(d->claimed);
		assert_int_equal(fake_count("/proc/self/task"), tasks);
		host_close(h);
		assert_false(d->claimed);
		assert_int_equal(h->gone, 0);
		assert_clean(d);
		fake_free(d);
		free(h);
	}
	assert_int_equal(fake_count("/proc/self/task"), tasks);
	sd_event_unref(event);
	assert_int_equal(fake_count("/proc/self/fd"), fds);
}

/* Pulled at each of its transfers in turn, before and while it is under way: what was said before
 * is there once, the end is told once, nothing is left, and the next device works. */
static void pull_once(sd_event *event, unsigned int at, bool refuses, bool *ret_done)
{
	struct host *h = host_new(event);
	struct meter m;
	struct fake_device *d = plug_meter(&m, 16);

	d->unplug_at = at;
	d->unplug_refuses = refuses;
	h->answers = true;
	host_open(h, d, false);
	RUN_UNTIL(event, h->gone > 0 || m.step == STEPS);
	*ret_done = h->gone == 0;
	if (h->gone > 0)
		assert_int_equal(h->error, ENODEV);
	assert_false(m.wrong);
	assert_true(h->frames <= STEPS && h->frames >= m.step);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, RLRE, sizeof(RLRE)),
			 h->gone > 0 ? -EPIPE : 0);
	host_close(h);
	assert_true(h->gone <= 1);
	assert_clean(d);
	fake_free(d);
	free(h);
}

static void pulled_anywhere(void **state)
{
	const size_t fds = fake_count("/proc/self/fd");
	sd_event *event = new_loop();
	unsigned int n = 0;
	bool done = false;

	(void)state;
	while (!done)
		pull_once(event, ++n, false, &done);
	assert_true(n > 12);
	for (unsigned int i = 1; i < n; i++) {
		pull_once(event, i, true, &done);
		assert_false(done);
	}
	sd_event_unref(event);
	assert_int_equal(fake_count("/proc/self/fd"), fds);
}

/* The descriptor of a pulled device is ready for ever: nobody may go on asking it. */
static void no_spinning(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	host_open(h, d, false);
	assert_true(run_until_quiet(event, 200000) < 20);
	assert_int_equal(run_until_quiet(event, 200000), 0);
	fake_unplug(d);
	assert_true(run_until_quiet(event, 200000) < 10);
	assert_int_equal(h->gone, 1);
	assert_int_equal(h->error, ENODEV);
	assert_int_equal(run_until_quiet(event, 200000), 0);
	host_close(h);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

static void stalls_are_mended(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct meter m;
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	m = (struct meter){ .cut = 64 };
	d->user = &m;
	d->on_out = meter_hears;
	d->stall_out = 2;
	/* half an APDU, and then a halt: the two halves are not put together */
	fake_say(d, 0x81, 0, EVENT, 30);
	fake_say(d, 0x81, -EPIPE, NULL, 0);
	meter_says(d, &m);
	h->answers = true;
	host_open(h, d, false);
	RUN_UNTIL(event, m.step == STEPS);
	assert_false(m.wrong);
	assert_int_equal(h->frames, STEPS);
	assert_memory_equal(h->bytes, AARQ, sizeof(AARQ));
	assert_int_equal(d->halts_freed, 3);
	assert_int_equal(d->host_resets, 3);
	host_close(h);
	assert_int_equal(h->gone, 0);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

static void faults_are_mended(void **state)
{
	static const int FAULTS[] = { -EOVERFLOW, -EPROTO, -EILSEQ };
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fake_say(d, 0x81, 0, AARQ, 20);
		fake_say(d, 0x81, FAULTS[i], AARQ, 10);
	}
	fake_say(d, 0x81, 0, AARQ, sizeof(AARQ));
	host_open(h, d, false);
	RUN_UNTIL(event, h->frames > 0);
	assert_int_equal(h->len, sizeof(AARQ));
	assert_memory_equal(h->bytes, AARQ, sizeof(AARQ));
	host_close(h);
	assert_int_equal(h->gone, 0);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

static void given_up(const struct fake_packet *says, size_t n, unsigned int times, int error)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	for (size_t i = 0; i < n * times; i++)
		fake_say(d, 0x81, says[i % n].status, says[i % n].data, says[i % n].len);
	host_open(h, d, false);
	RUN_UNTIL(event, h->gone > 0);
	assert_int_equal(h->error, error);
	assert_int_equal(h->frames, 0);
	host_close(h);
	assert_int_equal(h->gone, 1);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

static void nonsense(void **state)
{
	static const struct fake_packet STALL = { .status = -EPIPE };
	static const struct fake_packet BROKEN = { .status = -EPROTO };
	static const struct fake_packet CHOICE = { .len = 4, .data = { 0xe8, 0x00, 0x00, 0x02 } };
	static const struct fake_packet SECOND = { .len = 2, .data = { 0xe7, 0x01 } };
	static const struct fake_packet LENGTH = { .len = 4, .data = { 0xe7, 0x00, 0xff, 0xfd } };

	(void)state;
	given_up(&STALL, 1, 12, EPROTO);
	given_up(&BROKEN, 1, 12, EIO);
	given_up(&CHOICE, 1, 1, EPROTO);
	given_up(&SECOND, 1, 1, EPROTO);
	given_up(&LENGTH, 1, 1, EPROTO);
}

/* Several APDUs in one packet, one after the other across packets, and one of full packets only
 * with no empty one behind it. */
static void coalesced(void **state)
{
	static uint8_t big[PHDC_APDU_MAX] = { 0xe7, 0x00, 0xff, 0xfc };
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	uint8_t three[3 * sizeof(EVENT)];

	(void)state;
	for (size_t i = 4; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < 3; i++)
		memcpy(three + i * sizeof(EVENT), EVENT, sizeof(EVENT));
	fake_say_cut(d, 0x81, three, sizeof(three), 64);
	fake_say_cut(d, 0x81, big, sizeof(big), 64);
	host_open(h, d, false);
	RUN_UNTIL(event, h->frames == 4);
	assert_memory_equal(h->bytes, three, sizeof(three));
	assert_int_equal(h->lengths[3], sizeof(big));
	assert_memory_equal(h->bytes + sizeof(three), big, sizeof(big));
	host_close(h);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* Held in the middle of a packet: not a frame more, nor is the device read. */
static void held(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	uint8_t two[2 * sizeof(RLRQ)];

	(void)state;
	memcpy(two, RLRQ, sizeof(RLRQ));
	memcpy(two + sizeof(RLRQ), RLRQ, sizeof(RLRQ));
	fake_say(d, 0x81, 0, two, sizeof(two));
	fake_say(d, 0x81, 0, EVENT, 64);
	fake_say(d, 0x81, 0, EVENT + 64, sizeof(EVENT) - 64);
	h->hold_at = 1;
	host_open(h, d, false);
	(void)run_until_quiet(event, 100000);
	assert_int_equal(h->frames, 1);
	assert_int_equal(d->n_packets, 2);
	h->hold_at = 2;
	wire_hold(h->wire, false);
	assert_int_equal(h->frames, 1);
	(void)run_until_quiet(event, 100000);
	assert_int_equal(h->frames, 2);
	wire_hold(h->wire, false);
	RUN_UNTIL(event, h->frames == 3);
	host_close(h);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* Pulled while a frame is held: first the frame, then the end. */
static void held_and_pulled(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	uint8_t two[2 * sizeof(RLRQ)];

	(void)state;
	memcpy(two, RLRQ, sizeof(RLRQ));
	memcpy(two + sizeof(RLRQ), RLRQ, sizeof(RLRQ));
	fake_say(d, 0x81, 0, two, sizeof(two));
	h->hold_at = 1;
	host_open(h, d, false);
	RUN_UNTIL(event, h->frames == 1);
	fake_unplug(d);
	(void)wire_write(h->wire, DRV_WIRE_APDU, RLRE, sizeof(RLRE));
	(void)run_until_quiet(event, 100000);
	assert_int_equal(h->gone, 0);
	wire_hold(h->wire, false);
	RUN_UNTIL(event, h->gone == 1);
	assert_int_equal(h->frames, 2);
	assert_int_equal(h->error, ENODEV);
	host_close(h);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* Two of the same make at once: each is its own, also in its end. */
static void two_equal_devices(void **state)
{
	sd_event *event = new_loop();
	struct host *h[2];
	struct meter m[2];
	struct fake_device *d[2];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		h[i] = host_new(event);
		d[i] = plug_meter(&m[i], i == 0 ? 5 : 64);
		h[i]->answers = true;
	}
	d[0]->unplug_at = 14;
	for (size_t i = 0; i < 2; i++)
		host_open(h[i], d[i], false);
	RUN_UNTIL(event, h[0]->gone > 0 && m[1].step == STEPS);
	assert_true(h[0]->frames < STEPS);
	assert_int_equal(h[1]->frames, STEPS);
	assert_int_equal(h[1]->gone, 0);
	wire_free(h[0]->wire);
	host_close(h[1]);
	for (size_t i = 0; i < 2; i++) {
		assert_clean(d[i]);
		fake_free(d[i]);
		free(h[i]);
	}
	sd_event_unref(event);
}

/* Freed from inside its own frame, with an answer queued: that is still sent. What came by the
 * other endpoint in the same moment is not handed on any more. */
static void freed_in_a_frame(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct meter m;
	struct fake_device *d = plug_meter(&m, 64);

	(void)state;
	fake_say(d, 0x83, 0, RLRQ, sizeof(RLRQ));
	h->answers = true;
	h->free_at = 1;
	host_open(h, d, false);
	RUN_UNTIL(event, usb_io_open_count() == 0);
	assert_int_equal(d->n_packets, 2); /* its EVENT; what came first was read */
	assert_int_equal(h->frames, 1);
	assert_int_equal(h->gone, 0);
	assert_int_equal(m.step, 1); /* it heard the whole AARE */
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* A device that takes nothing: what is queued goes no further than half a second after the end. */
static void closed_although_mute(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	int64_t before;

	(void)state;
	d->mute_out = true;
	d->mute_control = true;
	host_open(h, d, false);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, RLRE, sizeof(RLRE)), 0);
	before = clock_now();
	host_close(h);
	assert_true(clock_now() - before >= 400000);
	assert_true(clock_now() - before < 4000000);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* The program ends: no loop any more. */
static void settled_without_a_loop(void **state)
{
	const size_t fds = fake_count("/proc/self/fd");
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	d->driver_bound = true;
	d->was_bound = true;
	host_open(h, d, false);
	assert_false(d->driver_bound);
	(void)run_until_quiet(event, 100000);
	assert_int_equal(usb_io_settle(100000), -EBUSY);
	wire_free(h->wire);
	assert_int_equal(usb_io_settle(10000000), 0);
	assert_true(d->driver_bound); /* the kernel's driver has it back */
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
	assert_int_equal(fake_count("/proc/self/fd"), fds);
}

/* ETIMEDOUT: it takes nothing; EPROTO: half an APDU and nothing more. Together, for the time. */
static void too_slow(void **state)
{
	sd_event *event = new_loop();
	struct host *mute = host_new(event), *half = host_new(event);
	struct fake_device *d[2] = { fake_plug(METER, sizeof(METER)),
				     fake_plug(METER, sizeof(METER)) };

	(void)state;
	d[0]->mute_out = true;
	fake_say(d[1], 0x81, 0, EVENT, 30);
	host_open(mute, d[0], false);
	host_open(half, d[1], false);
	assert_int_equal(wire_write(mute->wire, DRV_WIRE_APDU, RLRE, sizeof(RLRE)), 0);
	RUN_UNTIL(event, mute->gone > 0 && half->gone > 0);
	assert_int_equal(mute->error, ETIMEDOUT);
	assert_int_equal(half->error, EPROTO);
	wire_free(mute->wire);
	host_close(half);
	for (size_t i = 0; i < 2; i++) {
		assert_clean(d[i]);
		fake_free(d[i]);
	}
	free(mute);
	free(half);
	sd_event_unref(event);
}

/* libusb cannot reap: told once, and nobody spins. */
static void usbfs_fails(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	host_open(h, d, false);
	(void)run_until_quiet(event, 100000);
	d->broken = true;
	fake_say(d, 0x81, 0, RLRQ, sizeof(RLRQ));
	assert_true(run_until_quiet(event, 100000) < 20);
	assert_int_equal(h->gone, 1);
	assert_int_equal(h->error, EIO);
	d->broken = false;
	wire_free(h->wire);
	assert_int_equal(usb_io_settle(10000000), 0);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

static void say_preamble(struct fake_device *d, uint8_t transfers)
{
	const struct phdc_preamble p = { .transfers = transfers, .qos = PHDC_MEDIUM_BEST };
	uint8_t bytes[PHDC_PREAMBLE_SIZE];
	struct writer w = writer_of(bytes, sizeof(bytes));

	assert_int_equal(phdc_preamble_encode(&p, &w), 0);
	fake_say(d, 0x81, 0, bytes, w.len);
}

static void with_preamble(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	say_preamble(d, 2);
	fake_say(d, 0x81, 0, EVENT, 64);
	fake_say(d, 0x81, 0, EVENT + 64, sizeof(EVENT) - 64);
	fake_say(d, 0x81, 0, RLRQ, sizeof(RLRQ));
	fake_say(d, 0x81, 0, RLRQ, sizeof(RLRQ)); /* a preamble is due: halted, and dropped */
	say_preamble(d, 1);
	fake_say(d, 0x81, 0, AARQ, sizeof(AARQ));
	host_open(h, d, true);
	RUN_UNTIL(event, h->frames == 3);
	assert_int_equal(d->feature, 1);
	assert_int_equal(d->halts_set, 1);
	assert_int_equal(d->halts_freed, 1);
	assert_int_equal(h->lengths[0], sizeof(EVENT));
	assert_int_equal(h->lengths[1], sizeof(RLRQ));
	assert_int_equal(h->lengths[2], sizeof(AARQ));
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, RLRE, sizeof(RLRE)), 0);
	RUN_UNTIL(event, d->out_len == PHDC_PREAMBLE_SIZE + sizeof(RLRE));
	assert_memory_equal(d->out, "PhdcQoSSignature\x01\x01\x08\x00", PHDC_PREAMBLE_SIZE);
	assert_memory_equal(d->out + PHDC_PREAMBLE_SIZE, RLRE, sizeof(RLRE));
	host_close(h);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* It says no to the feature: then without; it never finds the step: then not at all. */
static void without_preamble_after_all(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct meter m;
	struct fake_device *d = plug_meter(&m, 64);

	(void)state;
	d->refuses_feature = true;
	h->answers = true;
	host_open(h, d, true);
	RUN_UNTIL(event, m.step == STEPS);
	assert_false(m.wrong);
	host_close(h);
	fake_free(d);
	free(h);

	h = host_new(event);
	d = fake_plug(METER, sizeof(METER));
	for (size_t i = 0; i < 12; i++)
		fake_say(d, 0x81, 0, RLRQ, sizeof(RLRQ));
	host_open(h, d, true);
	RUN_UNTIL(event, h->gone == 1);
	assert_int_equal(h->error, EPROTO);
	assert_int_equal(h->frames, 0);
	host_close(h);
	assert_clean(d);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* The interrupt endpoint speaks APDUs, too, cut on its own. */
static void interrupt_endpoint(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));

	(void)state;
	fake_say(d, 0x81, 0, EVENT, 64);
	fake_say_cut(d, 0x83, AARQ, sizeof(AARQ), 16);
	fake_say(d, 0x81, 0, EVENT + 64, sizeof(EVENT) - 64);
	host_open(h, d, false);
	RUN_UNTIL(event, h->frames == 2);
	assert_memory_equal(h->bytes, AARQ, sizeof(AARQ));
	assert_memory_equal(h->bytes + sizeof(AARQ), EVENT, sizeof(EVENT));
	host_close(h);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

/* Any bulk pair: bytes as they come; nothing is made of them. */
static void plain_bulk(void **state)
{
	sd_event *event = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	const struct wire_sink sink = sink_of(h);
	struct usb_interface_choice choice;
	static const uint8_t full[64] = { 0x01 };

	(void)state;
	h->channel = DRV_WIRE_BULK;
	assert_int_equal(usb_choose_bulk(METER, sizeof(METER), 1, -1, &choice), 0);
	assert_int_equal(usb_bulk_open(event, d->fd, &choice, &sink, &h->wire), 0);
	fake_say(d, 0x81, 0, "\x02R00", 4);
	fake_say(d, 0x81, 0, NULL, 0);
	fake_say(d, 0x81, 0, "\x03", 1);
	RUN_UNTIL(event, h->frames == 2);
	assert_memory_equal(h->bytes, "\x02R00\x03", 5);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, full, 64), -ENOTSUP);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_BULK, full, 64), 0);
	RUN_UNTIL(event, d->out_len == 64);
	assert_int_equal(d->empty_packets, 0);
	host_close(h);
	fake_free(d);
	free(h);
	sd_event_unref(event);
}

static void refusals(void **state)
{
	static const uint8_t data[WIRE_FRAME_MAX + 1] = { 0xe7 };
	const size_t fds = fake_count("/proc/self/fd");
	sd_event *event = new_loop(), *other = new_loop();
	struct host *h = host_new(event);
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	const struct wire_sink sink = sink_of(h);
	struct usb_interface_choice choice;
	struct wire *w = NULL;

	(void)state;
	assert_int_equal(phdc_choose(METER, sizeof(METER), 1, &choice), 0);
	d->busy = true;
	assert_int_equal(phdc_open(event, d->fd, &choice, &sink, &w), -EBUSY);
	d->busy = false;
	assert_null(w);
	assert_int_equal(usb_io_open_count(), 0);
	host_open(h, d, false);
	assert_int_equal(phdc_open(other, d->fd, &choice, &sink, &w), -EBUSY);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_BULK, data, 1), -ENOTSUP);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, data, 0), -EMSGSIZE);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, data, sizeof(data)), -EMSGSIZE);
	d->mute_out = true;
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, data, WIRE_FRAME_MAX), 0);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, data, WIRE_FRAME_MAX), 0);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, data, 1), -ENOBUFS);
	host_close(h);
	fake_free(d);
	d = fake_plug(METER, sizeof(METER));
	fake_unplug(d);
	assert_true(phdc_open(event, d->fd, &choice, &sink, &w) < 0);
	(void)close(d->fd); /* it is still ours */
	fake_free(d);
	free(h);
	sd_event_unref(event);
	sd_event_unref(other);
	assert_int_equal(fake_count("/proc/self/fd"), fds);
}

/* libusb reads the same descriptors as we do. */
static void descriptors_as_libusb(void **state)
{
	struct fake_device *d = fake_plug(METER, sizeof(METER));
	struct usb_interface_choice choice;
	struct libusb_config_descriptor *config;
	const struct libusb_interface_descriptor *i;
	libusb_context *context;
	libusb_device_handle *handle;

	(void)state;
	assert_int_equal(libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY), 0);
	assert_int_equal(libusb_init(&context), 0);
	assert_int_equal(libusb_wrap_sys_device(context, d->fd, &handle), 0);
	assert_int_equal(libusb_get_active_config_descriptor(libusb_get_device(handle), &config),
			 0);
	assert_int_equal(phdc_choose(METER, sizeof(METER), 1, &choice), 0);
	i = config->interface[0].altsetting;
	assert_int_equal(choice.configuration, config->bConfigurationValue);
	assert_int_equal(choice.interface, i->bInterfaceNumber);
	assert_int_equal(choice.bulk_in.address, i->endpoint[0].bEndpointAddress);
	assert_int_equal(choice.bulk_in.packet, i->endpoint[0].wMaxPacketSize);
	assert_int_equal(choice.bulk_in.qos, i->endpoint[0].extra[3]);
	assert_int_equal(choice.bulk_out.address, i->endpoint[1].bEndpointAddress);
	assert_int_equal(choice.interrupt_in.address, i->endpoint[2].bEndpointAddress);
	assert_int_equal(choice.interrupt_in.packet, i->endpoint[2].wMaxPacketSize);
	assert_int_equal(choice.data_code, i->extra[2]);
	assert_int_equal(choice.specialisations[0], i->extra[8] | i->extra[9] << 8);
	libusb_free_config_descriptor(config);
	libusb_close(handle);
	libusb_exit(context);
	(void)close(d->fd);
	fake_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogue),
		cmocka_unit_test(pulled_anywhere),
		cmocka_unit_test(no_spinning),
		cmocka_unit_test(stalls_are_mended),
		cmocka_unit_test(faults_are_mended),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(coalesced),
		cmocka_unit_test(held),
		cmocka_unit_test(held_and_pulled),
		cmocka_unit_test(two_equal_devices),
		cmocka_unit_test(freed_in_a_frame),
		cmocka_unit_test(closed_although_mute),
		cmocka_unit_test(settled_without_a_loop),
		cmocka_unit_test(too_slow),
		cmocka_unit_test(usbfs_fails),
		cmocka_unit_test(with_preamble),
		cmocka_unit_test(without_preamble_after_all),
		cmocka_unit_test(interrupt_endpoint),
		cmocka_unit_test(plain_bulk),
		cmocka_unit_test(refusals),
		cmocka_unit_test(descriptors_as_libusb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
