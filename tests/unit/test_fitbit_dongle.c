/* links: drivers */
/*
 * The base station and a tracker, played from the description of both, and the driver between them:
 * cut off after every single message, by unplugging and by silence, the next sync is whole. All
 * data is invented.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/registry.h"
#include "drivers/session.h"
#include "fitbit_make.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"

#define NEVER    (-1)
#define QUEUE    4096
#define READINGS 10000
#define START    1700000040U

static const uint8_t mine[] = { 0xe5, 0x14, 0x53, 0x33, 0xee, 0xff };
static const uint8_t others[] = { 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0xcf };

struct frame {
	uint16_t channel;
	uint8_t len, data[32];
};

struct world {
	struct session *session;
	uint64_t next_seq;
	int64_t now, deadline;
	bool closed;
	uint32_t news; /* of the last link */
	struct session_memory memory;
	/* what it was told to do and not to undo yet */
	bool linked, piped, airlinked;
	bool old; /* it knows no establish-link-ex */
	unsigned int links, discoveries;

	struct frame queue[QUEUE];
	size_t first, n;
	int left; /* messages until it falls silent; NEVER: it does not */
	struct make make;
	/* readings by their stamps: what a gateway makes of the same ones twice */
	size_t n_said, n_known;
	int64_t known[READINGS], steps[READINGS];
};

/* ---- the base station and its tracker ---- */

static void queue(struct world *w, uint16_t channel, const void *data, size_t len)
{
	struct frame *f = &w->queue[w->n++];

	assert_true(w->n <= QUEUE && len <= sizeof(f->data));
	f->channel = channel;
	f->len = (uint8_t)len;
	memcpy(f->data, data, len);
}

static void control(struct world *w, uint8_t command, const void *payload, size_t len)
{
	uint8_t data[32] = { (uint8_t)(len + 2), command };

	memcpy(data + 2, payload, len);
	queue(w, DRV_WIRE_REPORT, data, len + 2);
}

static void status(struct world *w, const char *text)
{
	uint8_t data[30] = { 0 };

	memcpy(data, text, strnlen(text, sizeof(data)));
	control(w, 0x01, data, sizeof(data));
}

static void packet(struct world *w, const void *data, size_t len)
{
	uint8_t frame[32] = { [31] = (uint8_t)len };

	memcpy(frame, data, len);
	queue(w, DRV_WIRE_BULK, frame, sizeof(frame));
}

static void found(struct world *w, const uint8_t *id)
{
	uint8_t data[17] = { [6] = 1, [7] = 0xbc, [8] = 2, [9] = 7, [10] = 4, [16] = 0xfb };

	memcpy(data, id, 6);
	control(w, 0x03, data, sizeof(data));
}

static void established(struct world *w)
{
	control(w, 0x04, "\0", 1);
	status(w, "GAP_LINK_ESTABLISHED_EVENT");
	control(w, 0x06, "\6\0\0\0\310\0", 6);
	control(w, 0x07, "", 0);
}

static void on_establish(struct world *w, bool ex, const uint8_t *id)
{
	assert_memory_equal(id, mine, sizeof(mine)); /* never anybody else */
	w->linked = true;
	w->links++;
	if (w->old == ex)
		control(w, 0xff, "\2\3", 2);
	else
		established(w);
}

static void on_disconnect(struct world *w)
{
	status(w, "TerminateLink");
	control(w, 0x05, "\26", 1);
	status(w, "GAP_LINK_TERMINATED_EVENT");
	status(w, "22");
	w->linked = false;
}

static void on_info(struct world *w)
{
	static const uint8_t info[20] = { 2, 5, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x74, 4 };

	if (w->old)
		control(w, 0x08, "\1\6fUD3\"\21\0\0\0\0\0\0\0\0\0\0\1", 19);
	else
		control(w, 0x08, info, sizeof(info));
}

static void on_command(struct world *w, const uint8_t *data, size_t len)
{
	assert_true(len >= 2 && data[0] == len);
	switch (data[1]) {
	case 0x01:
		on_info(w);
		break;
	case 0x02:
		status(w, "CancelDiscovery");
		w->linked = w->piped = w->airlinked = false;
		break;
	case 0x04:
		w->discoveries++;
		found(w, others);
		found(w, mine);
		status(w, "ERROR: P1[7:1] should be 0");
		control(w, 0x02, "\2", 1);
		status(w, "StartDiscovery");
		break;
	case 0x05:
		status(w, "CancelDiscovery");
		break;
	case 0x06:
	case 0x12:
		on_establish(w, data[1] == 0x12, data + 2);
		break;
	case 0x07:
		on_disconnect(w);
		break;
	case 0x08:
		w->piped = data[2] == 1;
		packet(w, "\300\13", 2);
		break;
	default:
		assert_int_equal(data[1], 0x19);
	}
}

static void send_dump(struct world *w)
{
	const uint16_t crc = crc_16_xmodem(w->make.out, w->make.len);
	const size_t n = w->make.len;
	const uint8_t end[] = { 0xc0,
				0x42,
				0x0d,
				(uint8_t)crc,
				(uint8_t)(crc >> 8),
				(uint8_t)n,
				(uint8_t)(n >> 8),
				(uint8_t)(n >> 16),
				0 };
	size_t taken = 0;

	packet(w, "\300\101\15", 3);
	for (size_t i = 0; i < n; i += taken) {
		uint8_t data[FITBIT_PACKET_MAX];
		struct writer out = writer_of(data, sizeof(data));

		assert_int_equal(fitbit_packet_encode(w->make.out + i, n - i, &out, &taken), 0);
		packet(w, data, out.len);
	}
	packet(w, end, sizeof(end));
}

/* It must hear these three and nothing else: no upload, no clock, no memory. */
static void on_packet(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t up[14] = { 0xc0, 0x14, 0x0c, 0x01 };

	assert_int_equal(len, 32);
	if (data[31] == 12 && memcmp(data, "\300\12\12\0\6\0\6\0\0\0\310\0", 12) == 0) {
		w->airlinked = true;
		memcpy(up + 6, mine, sizeof(mine));
		packet(w, "\300", 1);
		packet(w, up, sizeof(up));
	} else if (data[31] == 3 && memcmp(data, "\300\20\15", 3) == 0) {
		send_dump(w);
	} else {
		assert_true(data[31] == 2 && memcmp(data, "\300\1", 2) == 0);
		w->airlinked = false;
		packet(w, "\300\1", 2);
	}
}

/* ---- the hub ---- */

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct world *w = user;
	int64_t at;
	size_t i;

	(void)seq;
	assert_true(measurement_is_final(m)); /* what is no reading is news */
	assert_int_equal(m->metric, METRIC_STEPS);
	assert_int_equal(m->duration_ms, 60000);
	assert_int_equal(m->time.kind, DEVICE_TIME_UTC);
	/* as test_fitbit_ble.c has it */
	assert_string_equal(session_facts(w->session)->identity, "fitbit:10ffee000107");
	at = ((m->time.day * 24 + m->time.hour) * 60 + m->time.minute) * 60 + m->time.second;
	w->n_said++;
	for (i = 0; i < w->n_known && w->known[i] != at; i++)
		;
	if (i < w->n_known) {
		assert_int_equal(w->steps[i], m->parts[0].number.value.mantissa);
		return;
	}
	assert_true(w->n_known < READINGS);
	w->known[w->n_known] = at;
	w->steps[w->n_known++] = m->parts[0].number.value.mantissa;
}

static void on_request(void *user, const struct session_request *q)
{
	struct world *w = user;

	if (q->kind == SESSION_TIMER)
		w->deadline = q->msec == 0 ? NEVER : w->now + (int64_t)q->msec * 1000;
	if (q->kind == SESSION_CLOSE)
		w->closed = true;
	if (q->kind != SESSION_WRITE)
		return;
	if (q->channel == DRV_WIRE_BULK) {
		on_packet(w, q->data, q->len);
		return;
	}
	assert_int_equal(q->channel, DRV_WIRE_REPORT);
	assert_int_equal(q->data[0], 0);
	on_command(w, q->data + 1, q->len - 1);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	fail();
}

static void on_memory(void *user, const struct session_memory *memory)
{
	((struct world *)user)->memory = *memory;
}

static void plug_in(struct world *w, int left)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .fault = on_fault,
					   .memory = on_memory,
					   .user = w };

	w->first = w->n = 0;
	w->closed = false;
	w->left = left;
	w->deadline = NEVER;
	w->next_seq = w->next_seq ? w->next_seq : 1;
	assert_int_equal(
		session_new(registry_by_name("fitbit_dongle"), 0, &sink, &w->next_seq, &w->session),
		0);
	session_set_memory(w->session, &w->memory);
	assert_int_equal(session_open(w->session, LINK_CABLE, w->now), 0);
}

/* One thing that happens; false: nothing any more, or the message at which it is to be cut. */
static bool turn(struct world *w)
{
	if (w->closed || (w->left == 0 && w->first < w->n))
		return false;
	if (w->first < w->n) {
		const struct frame *f = &w->queue[w->first++];
		const struct drv_frame frame = { f->channel, f->data, f->len };

		w->left -= w->left > 0;
		assert_int_equal(session_frame(w->session, &frame, false, w->now), 0);
	} else if (w->deadline == NEVER) { /* it may wait for the commit, and for nothing else */
		assert_false(session_idle(w->session));
	} else {
		w->now = w->deadline;
		w->deadline = NEVER;
		assert_int_equal(session_timeout(w->session, w->now), 0);
	}
	assert_int_equal(session_committed(w->session, w->next_seq - 1, w->now), 0);
	return true;
}

static void unplug(struct world *w)
{
	w->news = session_facts(w->session)->news;
	session_close(w->session, w->now);
	session_free(w->session);
	w->session = NULL;
}

/* It says nothing more, whatever it is told. The driver gives up by itself. */
static void be_silent(struct world *w)
{
	for (int i = 0; i < 100 && !w->closed; i++) {
		w->first = w->n = 0;
		w->left = NEVER;
		assert_true(turn(w));
	}
	assert_true(w->closed);
	w->first = w->n = 0;
}

static void be_whole(struct world *w, size_t n)
{
	plug_in(w, NEVER);
	while (turn(w))
		;
	assert_true(w->closed);
	assert_int_equal(w->n_known, n);
	assert_false(w->linked || w->piped || w->airlinked);
	unplug(w);
}

static void make_minutes(struct world *w, size_t n)
{
	const uint32_t end = START + 60 * (uint32_t)n;
	uint8_t *minutes = calloc(n + 1, 4);
	uint8_t day[20] = { (uint8_t)end, (uint8_t)(end >> 8), (uint8_t)(end >> 16),
			    (uint8_t)(end >> 24) };

	assert_non_null(minutes);
	for (int i = 0; i < 4; i++)
		minutes[i] = (uint8_t)(START >> (24 - 8 * i));
	for (size_t i = 1; i <= n; i++) {
		minutes[4 * i] = 0x81;
		minutes[4 * i + 1] = 10;
		minutes[4 * i + 2] = (uint8_t)(i % 251);
	}
	make_begin(&w->make, 0x2c, FITBIT_FLEX, false);
	make_section(&w->make, NULL, 0);
	make_section(&w->make, minutes, 4 * (n + 1));
	make_section(&w->make, NULL, 0);
	make_section(&w->make, day, sizeof(day));
	make_unframed(&w->make);
	make_section(&w->make, NULL, 0);
	make_end(&w->make, NULL, false);
	free(minutes);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->memory.kept[0] = 1;
	memcpy(w->memory.kept + 1, mine, sizeof(mine));
	w->memory.kept_len = 7;
	make_minutes(w, 30);
	*state = w;
	return 0;
}

static int clear_up(void **state)
{
	struct world *w = *state;

	session_free(w->session);
	free(w);
	return 0;
}

/* ---- tests ---- */

static void test_twice(void **state)
{
	struct world *w = *state;

	be_whole(w, 30);
	assert_int_equal(w->memory.kept_len, 13);
	assert_memory_equal(w->memory.kept + 7, w->make.out + 10, 6);
	be_whole(w, 30);
	assert_int_equal(w->n_said, 60);
	assert_int_equal(w->links, 2);
}

static void test_old_station(void **state)
{
	struct world *w = *state;

	w->old = true;
	be_whole(w, 30);
}

/* The model hears what it is told even when it says nothing. */
static void cut_everywhere(struct world *w, bool silence)
{
	int cut;

	for (cut = 0; cut < 1000; cut++) {
		w->n_known = w->n_said = 0;
		w->memory.kept_len = 7;
		plug_in(w, cut);
		while (turn(w))
			;
		if (w->closed)
			break;
		if (silence) {
			be_silent(w);
			assert_false(w->linked || w->piped || w->airlinked);
			/* a reading, or word that there is none */
			assert_int_equal(w->n_said, session_facts(w->session)->news == 0 ? 30 : 0);
		}
		unplug(w);
		be_whole(w, 30);
	}
	assert_true(cut > 35); /* it was cut in every phase, until there was nothing left to cut */
	assert_true(w->closed && w->n_known == 30);
}

static void test_unplugged(void **state)
{
	cut_everywhere(*state, false);
}

static void test_silent(void **state)
{
	cut_everywhere(*state, true);
}

/* A capture holds nobody but the one who is allowed. */
static void test_hidden(void **state)
{
	struct world *w = *state;
	uint8_t report[32] = { 19, 0x03 };
	struct drv_frame frame = { DRV_WIRE_REPORT, report, sizeof(report) };

	memcpy(report + 2, mine, sizeof(mine));
	plug_in(w, NEVER);
	assert_true(session_hides(w->session, &frame)); /* nobody is allowed yet */
	while (w->discoveries == 0 && turn(w))
		;
	assert_int_equal(w->discoveries, 1);
	assert_false(session_hides(w->session, &frame));
	memcpy(report + 2, others, sizeof(others));
	assert_true(session_hides(w->session, &frame));
	frame.channel = DRV_WIRE_BULK;
	assert_false(session_hides(w->session, &frame));
	frame.channel = DRV_WIRE_REPORT;
	report[0] = 18; /* too short to say whose it is */
	assert_true(session_hides(w->session, &frame));
	report[1] = 0x01;
	assert_false(session_hides(w->session, &frame));
	unplug(w);
}

static void test_none_allowed(void **state)
{
	struct world *w = *state;

	w->memory.kept_len = 0;
	be_whole(w, 0);
	assert_int_equal(w->discoveries, 0);
	w->memory.kept_len = 12; /* not as it is written */
	be_whole(w, 0);
	w->memory.kept_len = 7;
	w->memory.kept[0] = 2;
	be_whole(w, 0);
	assert_int_equal(w->discoveries + w->links, 0);
	assert_int_equal(w->news, SESSION_NEWS(DRV_NEWS_NOT_CHOSEN));
}

static void test_another_allowed(void **state)
{
	struct world *w = *state;

	w->memory.kept[6] ^= 1;
	be_whole(w, 0);
	assert_int_equal(w->discoveries, 1);
	assert_int_equal(w->links, 0);
	assert_int_equal(w->news, SESSION_NEWS(DRV_NEWS_OUT_OF_REACH));
}

/* more than one piece, and more than a tracker's week */
static void test_long(void **state)
{
	struct world *w = *state;

	make_minutes(w, 9000);
	be_whole(w, 9000);
	assert_int_equal(w->n_said, 9000);
	assert_int_equal(w->memory.kept_len, 13);
}

static void test_damaged(void **state)
{
	struct world *w = *state;

	w->make.out[200] ^= 1; /* the packets' checksum is right, that of the dump is not */
	be_whole(w, 0);
	assert_int_equal(w->news, SESSION_NEWS(DRV_NEWS_NOT_READ));
	assert_int_equal(w->memory.kept_len, 7);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, clear_up)
	const struct CMUnitTest tests[] = {
		TEST(test_twice),           TEST(test_old_station), TEST(test_unplugged),
		TEST(test_silent),          TEST(test_hidden),      TEST(test_none_allowed),
		TEST(test_another_allowed), TEST(test_long),        TEST(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
