/* links: drivers */
/*
 * A tracker by its own radio, played from the description, and the driver: cut off after every
 * single message, by the end of the link and by silence, the next sync is whole. All data is
 * invented.
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

#define NEVER     (-1)
#define QUEUE     4096
#define READINGS  10000
#define SHORT     30
#define START     1700000040U /* 2023-11-14 22:14:00Z */
#define ANSWER    0xfb01
#define COMMAND   0xfb02
#define LIVE      0xfa01
#define AES       2 /* of a dump's header */
#define ATT_ERROR 0x0a
#define SECOND    INT64_C(1000000)
#define QUARTER   (900 * SECOND)
#define DAY       INT64_C(86400)

static const uint8_t address[] = { 0xe5, 0x14, 0x53, 0x33, 0xee, 0xff };
static const uint8_t owners_key[FITBIT_KEY_SIZE] = {
	9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6
};

/* authSubKey 00..0f, nonce 01020304; and what it answers 78563412 with, after Botan */
static const uint8_t credential[20] = { 0,  1,  2,  3,  4,  5,  6, 7, 8, 9,
					10, 11, 12, 13, 14, 15, 1, 2, 3, 4 };
static const uint8_t xtea_proof[] = { 0x79, 0xb0, 0xf9, 0x99, 0x67, 0xf0, 0xcb, 0x1c };
static const uint8_t aes_proof[] = { 0xc6, 0xae, 0x06, 0xdd, 0x8c, 0xc6, 0x7b, 0xb0 };
/* 4321 steps, 77 a minute with confidence 2, at START + 30 min */
static const uint8_t moment[20] = { 0x30, 0xf8, 0x53, 0x65, 0xe1, 0x10, 0,  0, 0xf9, 0xf6,
				    0x2d, 0,    0xd2, 0x04, 0x1e, 0,    20, 0, 77,   2 };

struct packet {
	uint16_t channel;
	uint8_t len, data[FITBIT_PACKET_MAX];
};

struct world {
	struct session *session;
	uint64_t next_seq;
	int64_t now, deadline;
	bool closed, knows_zone;
	bool spoils; /* a frame of the test itself */
	struct session_memory memory;

	/* the tracker */
	bool airlinked;
	bool hangs_up; /* when the airlink is closed */
	unsigned int airlinks, dumps;
	uint8_t id[6];
	struct make make;
	struct packet queue[QUEUE];
	size_t first, n;
	int left; /* messages until it falls silent; NEVER: it does not */
	bool knows_login;
	uint16_t login_error; /* it refuses with this */
	const uint8_t *proof; /* that it takes */
	unsigned int logins, answers, moments;
	uint8_t moment[20];
	size_t moment_len;

	/* the hub */
	const uint8_t *credential;
	size_t credential_len;
	bool has_aes;
	const char *identity;
	unsigned int n_rates;
	struct measurement rate;
	const uint8_t *key;
	size_t key_len;
	unsigned int asked_key;
	/* minutes by their stamps: what a gateway makes of the same ones twice */
	size_t n_said, n_known, n_days;
	int64_t known[READINGS], steps[READINGS];
	struct measurement day;
};

/* ---- the tracker ---- */

static void packet(struct world *w, const void *data, size_t len)
{
	struct packet *p = &w->queue[w->n++];

	assert_true(w->n <= QUEUE && len <= sizeof(p->data));
	p->channel = ANSWER;
	p->len = (uint8_t)len;
	memcpy(p->data, data, len);
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

	w->dumps++;
	packet(w, "\300\101\15", 3);
	for (size_t i = 0; i < n; i += taken) {
		uint8_t data[FITBIT_PACKET_MAX];
		struct writer out = writer_of(data, sizeof(data));

		assert_int_equal(fitbit_packet_encode(w->make.out + i, n - i, &out, &taken), 0);
		packet(w, data, out.len);
	}
	packet(w, end, sizeof(end));
}

static void refuse_login(struct world *w)
{
	const uint8_t refused[] = { 0xc0, 3, (uint8_t)w->login_error,
				    (uint8_t)(w->login_error >> 8) };

	packet(w, refused, sizeof(refused));
}

static void on_login(struct world *w, const uint8_t *data, size_t len)
{
	static const uint8_t challenge[] = { 0xc0, 0x51, 9, 8,    7,    6,    5,
					     4,    3,    2, 0x78, 0x56, 0x34, 0x12 };

	assert_true(w->knows_login && w->airlinked);
	assert_int_equal(len, 10);
	if (data[1] == 0x50) {
		assert_memory_equal(data + 2, "rand", 4);
		assert_memory_equal(data + 6, "\4\3\2\1", 4);
		w->logins++;
		packet(w, "\300", 1);
		if (w->login_error && !w->proof)
			refuse_login(w);
		else
			packet(w, challenge, sizeof(challenge));
		return;
	}
	assert_int_equal(data[1], 0x52);
	w->answers++;
	if (!w->login_error && memcmp(data + 2, w->proof, 8) == 0)
		packet(w, "\300\2", 2);
	else
		refuse_login(w);
}

static void on_read(struct world *w)
{
	assert_false(w->airlinked);
	assert_true(w->answers > 0);
	w->moments++;
	packet(w, w->moment, w->moment_len);
	w->queue[w->n - 1].channel = LIVE;
}

/* It must hear these and nothing else: no upload, no clock, no memory. */
static void on_written(struct world *w, const uint8_t *data, size_t len)
{
	static const uint8_t open[] = { 0xc0, 0x0a, 10, 0, 8, 0, 16, 0, 0, 0, 200, 0, 1 };
	uint8_t up[14] = { 0xc0, 0x14, 0x0c, 0x01, [12] = 23 };

	if (len == sizeof(open) && memcmp(data, open, sizeof(open)) == 0) {
		w->airlinked = true;
		w->airlinks++;
		memcpy(up + 6, w->id, sizeof(w->id));
		packet(w, "\300", 1);
		packet(w, up, sizeof(up));
	} else if (len == 3 && memcmp(data, "\300\20\15", 3) == 0) {
		assert_true(w->airlinked);
		send_dump(w);
	} else if (len > 1 && (data[1] == 0x50 || data[1] == 0x52)) {
		on_login(w, data, len);
	} else {
		assert_true(len == 2 && memcmp(data, "\300\1", 2) == 0);
		w->airlinked = false;
		packet(w, "\300\1", 2);
	}
}

/* ---- the hub ---- */

static void on_day(struct world *w, const struct measurement *m)
{
	w->n_days++;
	w->day = *m;
}

static void on_minute(struct world *w, const struct measurement *m)
{
	const int64_t at = ((m->time.day * INT64_C(24) + m->time.hour) * 60 + m->time.minute) * 60 +
			   m->time.second;
	size_t i;

	assert_int_equal(m->duration_ms, 60000);
	assert_int_equal(m->time.kind, DEVICE_TIME_UTC);
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

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct world *w = user;

	(void)seq;
	assert_string_equal(session_facts(w->session)->identity, w->identity);
	if (m->metric == METRIC_HEART_RATE) {
		w->n_rates++;
		w->rate = *m;
		return;
	}
	assert_int_equal(m->metric, METRIC_STEPS);
	if (!measurement_is_final(m)) /* what is no reading is news, but for a day of no zone */
		assert_true(m->flags & FLAG_BIT(FLAG_INTERMEDIATE));
	else if (m->context)
		on_day(w, m);
	else
		on_minute(w, m);
}

static void on_request(void *user, const struct session_request *q)
{
	struct world *w = user;

	if (q->kind == SESSION_TIMER)
		w->deadline = q->msec == 0 ? NEVER : w->now + (int64_t)q->msec * 1000;
	if (q->kind == SESSION_CLOSE)
		w->closed = true;
	if (q->kind == SESSION_READ) {
		assert_int_equal(q->channel, LIVE);
		on_read(w);
	}
	if (q->kind != SESSION_WRITE)
		return;
	assert_int_equal(q->channel, COMMAND);
	on_written(w, q->data, q->len);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	const struct world *w = user;

	(void)fault;
	(void)r;
	assert_true(w->spoils);
	assert_int_equal(channel, LIVE);
}

static void on_memory(void *user, const struct session_memory *memory)
{
	((struct world *)user)->memory = *memory;
}

/* the days of a hub an hour east of UTC */
static int on_midnight(void *user, int64_t at, int64_t *ret)
{
	const struct world *w = user;

	if (!w->knows_zone)
		return -ENODATA;
	*ret = (at + 3600) / DAY * DAY - 3600;
	return 0;
}

static size_t on_key(void *user, const char *name, uint8_t ret[DRV_KEY_MAX])
{
	struct world *w = user;

	assert_memory_equal(name, "10ffee0001", 10);
	if (strcmp(name + 12, ".live") == 0) {
		if (w->credential)
			memcpy(ret, w->credential, w->credential_len);
		return w->credential ? w->credential_len : 0;
	}
	assert_string_equal(name, "10ffee000107");
	w->asked_key++;
	if (w->key)
		memcpy(ret, w->key, w->key_len);
	return w->key ? w->key_len : 0;
}

/* the two blocks that it takes, of the key 00..0f */
static int on_aes(void *user, const uint8_t key[16], const uint8_t in[16], uint8_t ret[16])
{
	static const uint8_t zero[16] = { 0 },
			     of_zero[16] = { 0xc6, 0xa1, 0x3b, 0x37, 0x87, 0x8f, 0x5b, 0x82,
					     0x6f, 0x4f, 0x81, 0x62, 0xa1, 0xc8, 0xd8, 0x79 },
			     last[16] = { 0x62, 0xd2, 0xd8, 0xcc, 0x9e, 0x3d, 0x6e, 0x09,
					  0xbd, 0x3e, 0x05, 0x8a, 0x87, 0x23, 0x60, 0x6d },
			     of_last[16] = { 0xc6, 0xae, 0x06, 0xdd, 0x8c, 0xc6, 0x7b, 0xb0,
					     0x12, 0x40, 0x2a, 0xdc, 0xf3, 0x41, 0xb4, 0x09 };
	const struct world *w = user;

	assert_memory_equal(key, credential, 16);
	if (!w->has_aes)
		return -ENOSYS;
	if (memcmp(in, zero, sizeof(zero)) == 0) {
		memcpy(ret, of_zero, sizeof(of_zero));
		return 0;
	}
	assert_memory_equal(in, last, sizeof(last));
	memcpy(ret, of_last, sizeof(of_last));
	return 0;
}

static void link_up(struct world *w, int left)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .fault = on_fault,
					   .memory = on_memory,
					   .user = w };
	const struct session_hub hub = {
		.midnight = on_midnight, .key = on_key, .aes = on_aes, .user = w
	};

	w->first = w->n = 0;
	w->closed = false;
	w->left = left;
	w->deadline = NEVER;
	w->next_seq = w->next_seq ? w->next_seq : 1;
	assert_int_equal(
		session_new(registry_by_name("fitbit_ble"), 0, &sink, &w->next_seq, &w->session),
		0);
	session_set_memory(w->session, &w->memory);
	session_set_hub(w->session, &hub);
	session_set_random(w->session, "random bytes, or so", 8);
	assert_int_equal(session_open(w->session, LINK_CLEAR, w->now), 0);
}

/* One thing that happens, without a commit; false: nothing any more, or the message at which it is
 * to be cut. */
static bool happens(struct world *w)
{
	if (w->closed || (w->left == 0 && w->first < w->n))
		return false;
	if (w->first < w->n) {
		const struct packet *p = &w->queue[w->first++];
		const struct drv_frame frame = { p->channel, p->data, p->len };

		w->left -= w->left > 0;
		assert_int_equal(session_frame(w->session, &frame, false, w->now), 0);
		if (w->hangs_up && p->len == 2 && p->data[1] == 1)
			w->left = 0;
	} else if (w->deadline == NEVER) { /* it may wait for the commit, and for nothing else */
		assert_false(session_idle(w->session));
	} else {
		w->now = w->deadline;
		w->deadline = NEVER;
		assert_int_equal(session_timeout(w->session, w->now), 0);
	}
	return true;
}

static void commit(struct world *w)
{
	assert_int_equal(session_committed(w->session, w->next_seq - 1, w->now), 0);
}

static bool turn(struct world *w)
{
	const bool something = happens(w);

	commit(w);
	return something;
}

static void link_down(struct world *w)
{
	session_close(w->session, w->now);
	session_free(w->session);
	w->session = NULL;
	w->airlinked = false;
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

static void run(struct world *w)
{
	link_up(w, NEVER);
	while (turn(w))
		;
	assert_true(w->closed);
	assert_false(w->airlinked);
}

static void be_whole(struct world *w, size_t n)
{
	run(w);
	assert_int_equal(w->n_known, n);
	link_down(w);
	w->now += QUARTER;
}

static void make_minutes(struct world *w, size_t n, const uint8_t *key)
{
	const uint32_t end = START + 60 * (uint32_t)n;
	uint8_t *minutes = calloc(n + 1, 4);
	uint8_t day[20] = { (uint8_t)end,
			    (uint8_t)(end >> 8),
			    (uint8_t)(end >> 16),
			    (uint8_t)(end >> 24),
			    10,
			    [6] = 44,
			    [7] = 1 };

	assert_non_null(minutes);
	for (int i = 0; i < 4; i++)
		minutes[i] = (uint8_t)(START >> (24 - 8 * i));
	for (size_t i = 1; i <= n; i++) {
		minutes[4 * i] = 0x81;
		minutes[4 * i + 1] = 10;
		minutes[4 * i + 2] = (uint8_t)(i % 251);
	}
	make_begin(&w->make, 0x2c, FITBIT_FLEX, key != NULL);
	make_section(&w->make, NULL, 0);
	make_section(&w->make, minutes, 4 * (n + 1));
	make_section(&w->make, NULL, 0);
	make_section(&w->make, day, sizeof(day));
	make_unframed(&w->make);
	make_section(&w->make, NULL, 0);
	make_end(&w->make, key, false);
	free(minutes);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	memcpy(w->id, address, sizeof(w->id));
	w->identity = "fitbit:10ffee000107"; /* as test_fitbit_dongle.c has it */
	memcpy(w->moment, moment, sizeof(moment));
	w->moment_len = sizeof(moment);
	make_minutes(w, SHORT, NULL);
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

	be_whole(w, SHORT);
	assert_int_equal(w->memory.kept_len, 18);
	assert_memory_equal(w->memory.kept + 6, address, sizeof(address));
	assert_memory_equal(w->memory.kept + 12, w->make.out + 10, 6);
	be_whole(w, SHORT);
	assert_int_equal(w->n_said, 2 * SHORT);
	assert_int_equal(w->dumps, 2);
}

/* It is in reach all day: it is asked four times an hour, and not whenever it is heard. */
static void test_rest(void **state)
{
	struct world *w = *state;

	run(w);
	link_down(w);
	w->now += QUARTER / 2;
	run(w);
	link_down(w);
	assert_int_equal(w->airlinks, 1);
	w->now += QUARTER / 2 + SECOND;
	run(w);
	link_down(w);
	assert_int_equal(w->airlinks, 2);
	w->now = SECOND; /* the hub was started again */
	w->memory.kept[2] = 0xff;
	run(w);
	assert_int_equal(w->airlinks, 3);
}

static void test_day(void **state)
{
	struct world *w = *state;

	w->knows_zone = true;
	be_whole(w, SHORT);
	assert_int_equal(w->n_days, 1);
	assert_int_equal(w->day.parts[0].number.value.mantissa, 300);
	/* from 23:00Z the day before, to START + 30 min = 22:44Z */
	assert_int_equal(w->day.duration_ms, (23 * 60 + 44) * 60000);
	assert_true(w->day.flags & FLAG_BIT(FLAG_ONGOING));
}

static void test_cut(void **state, void (*cut)(struct world *w))
{
	struct world *w = *state;
	int n;

	for (n = 0;; n++) {
		int i = 0;

		w->memory = (struct session_memory){ 0 };
		link_up(w, n);
		while (turn(w))
			i++;
		if (w->closed && w->left > 0)
			break;
		assert_true(n < 100 && i < 200);
		cut(w);
		w->now += 61 * SECOND;
		w->memory.kept_len = 0; /* no rest here */
		be_whole(w, SHORT);
	}
	assert_int_equal(w->n_known, SHORT);
	assert_true(n > 20); /* all of its messages were the last one once */
}

static void test_link_lost(void **state)
{
	test_cut(state, link_down);
}

static void silent(struct world *w)
{
	be_silent(w);
	assert_false(w->airlinked);
	link_down(w);
}

static void test_silence(void **state)
{
	test_cut(state, silent);
}

/* Nothing may be kept of a sync that was not durable. */
static void test_not_durable(void **state)
{
	struct world *w = *state;

	link_up(w, NEVER);
	while (w->n_said == 0)
		assert_true(happens(w));
	assert_int_equal(w->memory.kept_len, 0);
	link_down(w);
	assert_int_equal(w->memory.kept_len, 0);
	be_whole(w, SHORT);
	assert_int_equal(w->memory.kept_len, 18);
}

/* More than one piece; and a tracker that leaves as soon as it may. */
static void test_long(void **state)
{
	struct world *w = *state;

	make_minutes(w, 5000, NULL);
	w->hangs_up = true;
	link_up(w, NEVER);
	while (turn(w))
		;
	assert_int_equal(w->n_known, 5000);
	assert_int_equal(w->n_said, 5000);
	assert_int_equal(w->memory.kept_len, 18);
	link_down(w);
}

/* The link goes between two pieces. */
static void test_long_cut(void **state)
{
	struct world *w = *state;

	make_minutes(w, 2000, NULL);
	link_up(w, NEVER);
	while (w->n_said < 1000)
		assert_true(turn(w));
	assert_true(w->n_said < 2000);
	link_down(w);
	assert_int_equal(w->memory.kept_len, 0);
	be_whole(w, 2000);
}

static void check_nothing(struct world *w, enum drv_news news)
{
	run(w);
	assert_int_equal(w->n_said, 0);
	assert_int_equal(w->n_days, 0);
	assert_int_equal(session_facts(w->session)->news, SESSION_NEWS(news));
	assert_int_equal(w->memory.kept[5], news);
	link_down(w);
	w->now += SECOND; /* it is still true on a link that asks nothing */
	link_up(w, NEVER);
	assert_int_equal(session_facts(w->session)->news, SESSION_NEWS(news));
	link_down(w);
	w->now += QUARTER;
}

static void test_key(void **state)
{
	static const uint8_t wrong[FITBIT_KEY_SIZE] = { 1 };
	struct world *w = *state;

	make_minutes(w, SHORT, owners_key);
	check_nothing(w, DRV_NEWS_ENCRYPTED_NO_KEY);
	w->key = wrong;
	w->key_len = sizeof(wrong);
	check_nothing(w, DRV_NEWS_KEY_WRONG);
	w->key = owners_key;
	w->key_len = FITBIT_KEY_SIZE - 1;
	check_nothing(w, DRV_NEWS_ENCRYPTED_NO_KEY);
	w->key_len = FITBIT_KEY_SIZE;
	run(w);
	assert_int_equal(w->n_known, SHORT);
	assert_int_equal(session_facts(w->session)->news, 0);
	assert_int_equal(w->memory.kept[5], 0);
}

static void test_another(void **state)
{
	struct world *w = *state;

	be_whole(w, SHORT);
	w->n_said = 0;
	w->id[2]++;
	check_nothing(w, DRV_NEWS_ANOTHER_DEVICE);
	assert_int_equal(w->dumps, 1); /* not even asked for */
	w->id[2]--;
	w->memory.kept[17]++;
	check_nothing(w, DRV_NEWS_ANOTHER_DEVICE);
	assert_int_equal(w->dumps, 2);
}

static void test_model(void **state)
{
	struct world *w = *state;

	w->make.out[4] = 2; /* AES */
	check_nothing(w, DRV_NEWS_MODEL_NOT_SUPPORTED);
}

/* It cannot be written to: nothing is open, and nothing is said. */
static void test_refused(void **state)
{
	struct world *w = *state;

	link_up(w, 0);
	w->airlinked = false;
	assert_int_equal(session_refused(w->session, COMMAND, ATT_ERROR, w->now), 0);
	assert_true(w->closed);
	assert_int_equal(session_facts(w->session)->news, SESSION_NEWS(DRV_NEWS_NOT_READ));
	link_down(w);
	w->now += 61 * SECOND;
	be_whole(w, SHORT);
}

/* ---- of the moment ---- */

static void allow(struct world *w)
{
	w->knows_login = true;
	w->proof = xtea_proof;
	w->credential = credential;
	w->credential_len = sizeof(credential);
}

/* One rate, with the tracker's time, beside the dump: none of its counters is said again. */
static void test_live(void **state)
{
	struct world *w = *state;

	allow(w);
	w->knows_zone = true;
	run(w);
	assert_int_equal(w->n_known, SHORT);
	assert_int_equal(w->n_days, 1);
	assert_int_equal(w->n_rates, 1);
	assert_int_equal(w->rate.n_parts, 1);
	assert_int_equal(w->rate.parts[0].number.value.mantissa, 77);
	assert_int_equal(w->rate.time.kind, DEVICE_TIME_UTC);
	assert_int_equal(w->rate.time.hour * 60 + w->rate.time.minute, 22 * 60 + 44);
	assert_true(w->rate.flags == FLAG_BIT(FLAG_QUESTIONABLE));
	assert_string_equal(w->rate.context, "of the moment, confidence 2");
	assert_int_equal(session_facts(w->session)->news, 0);
	assert_int_equal(w->memory.kept_len, 18);
	link_down(w);
}

/* Nobody asked for it, or it is none. */
static void test_live_not_allowed(void **state)
{
	struct world *w = *state;

	w->knows_login = true;
	be_whole(w, SHORT);
	allow(w);
	w->credential_len = sizeof(credential) - 1;
	run(w);
	assert_int_equal(session_facts(w->session)->news, SESSION_NEWS(DRV_NEWS_KEY_WRONG));
	link_down(w);
	assert_int_equal(w->logins + w->n_rates, 0);
}

/* A wrong one is not tried again and again, and the dump comes each time. */
static void test_live_refused(void **state)
{
	struct world *w = *state;

	allow(w);
	w->proof = aes_proof;
	w->login_error = 0x2015;
	for (unsigned int i = 0; i < 6; i++) {
		run(w);
		assert_int_equal(session_facts(w->session)->news, SESSION_NEWS(DRV_NEWS_KEY_WRONG));
		assert_int_equal(w->memory.kept[5], DRV_NEWS_KEY_WRONG);
		assert_int_equal(w->logins, i < 5 ? 1 : 2);
		assert_int_equal(w->dumps, i + 1);
		link_down(w);
		w->now += QUARTER;
	}
	w->credential = NULL; /* its owner took it away */
	be_whole(w, SHORT);
	assert_int_equal(w->memory.kept_len, 18);
	assert_int_equal(w->memory.kept[5], 0);
	assert_int_equal(w->n_rates + w->moments, 0);
}

/* It knows no login, and says so at once. */
static void test_live_unknown(void **state)
{
	struct world *w = *state;

	allow(w);
	w->proof = NULL;
	w->login_error = 0x1006;
	run(w);
	assert_int_equal(w->n_known, SHORT);
	assert_int_equal(session_facts(w->session)->news,
			 SESSION_NEWS(DRV_NEWS_MODEL_NOT_SUPPORTED));
	assert_int_equal(w->answers, 0);
	link_down(w);
}

static void check_moment(struct world *w, size_t at, uint8_t byte, unsigned int n_rates)
{
	const uint8_t was = w->moment[at];

	w->moment[at] = byte;
	w->n_rates = 0;
	run(w);
	assert_int_equal(w->n_rates, n_rates);
	link_down(w);
	w->now += QUARTER;
	w->moment[at] = was;
}

static void test_live_values(void **state)
{
	struct world *w = *state;

	allow(w);
	check_moment(w, 18, 0, 0); /* no rate was found */
	check_moment(w, 19, 0, 1);
	assert_string_equal(w->rate.context, "of the moment, confidence 0");
	check_moment(w, 19, 4, 1); /* not seen */
	assert_string_equal(w->rate.context, "of the moment");
	w->moment_len = 16; /* a model without */
	check_moment(w, 0, 0, 0);
}

/* Another length, or a time before there were such trackers: spoiled, and the visit is over. */
static void test_live_spoiled(void **state)
{
	static const uint8_t early[20] = { 1, 2, 3, 4, [18] = 77 };
	const struct drv_frame frames[] = { { LIVE, moment, 19 },
					    { LIVE, early, 20 },
					    { LIVE, moment, 0 } };
	static const int errors[] = { -EMSGSIZE, -ERANGE, -EMSGSIZE };
	struct world *w = *state;

	allow(w);
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		link_up(w, NEVER);
		w->spoils = true;
		while (w->moments <= i)
			assert_true(turn(w));
		assert_int_equal(session_frame(w->session, &frames[i], false, w->now), errors[i]);
		assert_true(w->closed);
		w->spoils = false;
		link_down(w);
		w->now += QUARTER;
	}
	assert_int_equal(w->n_rates, 0);
	assert_int_equal(w->n_known, SHORT);
}

/* Before there was a login nobody may tell of the moment; and it may refuse to. */
static void test_live_out_of_turn(void **state)
{
	const struct drv_frame frame = { LIVE, moment, sizeof(moment) };
	struct world *w = *state;

	allow(w);
	link_up(w, NEVER);
	w->spoils = true;
	while (w->moments == 0) {
		assert_int_equal(session_frame(w->session, &frame, false, w->now), -ENOMSG);
		assert_true(turn(w));
	}
	w->spoils = false;
	assert_int_equal(session_refused(w->session, LIVE, ATT_ERROR, w->now), 0);
	assert_true(w->closed);
	assert_int_equal(w->n_rates, 0);
	assert_int_equal(session_facts(w->session)->news, 0);
	link_down(w);
}

/* A model whose dumps nobody can read, and which proves itself with AES. */
static void test_live_aes(void **state)
{
	struct world *w = *state;

	w->make.out[4] = AES;
	w->make.out[15] = FITBIT_CHARGE_2;
	w->identity = "fitbit:10ffee000116";
	allow(w);
	w->proof = aes_proof;
	run(w); /* by a hub without it */
	assert_int_equal(w->logins, 1);
	assert_int_equal(w->answers, 0);
	link_down(w);
	w->now += QUARTER;
	w->has_aes = true;
	run(w);
	assert_int_equal(w->n_rates, 1);
	assert_int_equal(w->n_said, 0);
	assert_int_equal(session_facts(w->session)->news,
			 SESSION_NEWS(DRV_NEWS_MODEL_NOT_SUPPORTED));
	assert_int_equal(w->memory.kept_len, 18); /* from now on it is this one */
	link_down(w);
	w->now += QUARTER;
	w->make.out[15] = FITBIT_ALTA;
	w->n_rates = 0;
	run(w);
	assert_int_equal(w->n_rates, 0);
	assert_true(session_facts(w->session)->news & SESSION_NEWS(DRV_NEWS_ANOTHER_DEVICE));
	link_down(w);
}

/* A product that nobody has told the cipher of. */
static void test_live_model(void **state)
{
	struct world *w = *state;

	w->make.out[4] = AES;
	w->make.out[15] = 0x42;
	allow(w);
	check_nothing(w, DRV_NEWS_MODEL_NOT_SUPPORTED);
	assert_int_equal(w->logins, 0);
}

static void test_live_lost(void **state)
{
	struct world *w = *state;

	allow(w);
	test_cut(state, link_down);
	assert_true(w->n_rates > 0);
}

static void test_live_silence(void **state)
{
	struct world *w = *state;

	allow(w);
	test_cut(state, silent);
	assert_true(w->n_rates > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_twice, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_rest, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_day, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_link_lost, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_silence, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_not_durable, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_long, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_long_cut, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_key, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_another, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_model, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_refused, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_not_allowed, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_refused, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_unknown, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_values, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_spoiled, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_out_of_turn, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_aes, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_model, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_lost, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_live_silence, set_up, clear_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
