/* links: drivers */
/*
 * Colmi rings: frames byte by byte, and of the driver what captures cannot say: late commits,
 * deaths between two links, days that are still going on.
 */
#include "protocols/bytes/cursor.h"
#include "protocols/colmi/ring.h"
#include "tests/unit/driver_test.h"

#define N(a)    (sizeof(a) / sizeof((a)[0]))
#define ANSWER  0xc003
#define BIG     0xc729
#define DAY     86400
#define TODAY   UINT32_C(1778544000) /* 2026-05-12 00:00 */
#define NOW     (TODAY + 68020)      /* 18:53:40, as the hub has it at 0 */
#define MESSAGE (COLMI_BIG_HEADER + COLMI_BIG_MAX)

static size_t bytes_of(const char *hex, uint8_t *data)
{
	size_t n = 0;

	for (; *hex; hex += 2)
		data[n++] = (uint8_t)(bench_nibble(hex[0]) << 4 | bench_nibble(hex[1]));
	return n;
}

/* content: the rest is zero, the sum is added */
static const char *frame(const char *content)
{
	static char hex[2 * COLMI_FRAME_SIZE + 1];
	uint8_t data[64] = { 0 };
	unsigned int sum = 0;

	(void)bytes_of(content, data);
	for (size_t i = 0; i < COLMI_FRAME_SIZE - 1; i++)
		sum += data[i];
	data[COLMI_FRAME_SIZE - 1] = (uint8_t)sum;
	for (size_t i = 0; i < COLMI_FRAME_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", data[i]);
	return hex;
}

/* ---- frames ---- */

static void test_questions(void **state)
{
	const struct gatt_date_time now = { 2026, 5, 12, 18, 53, 40 };
	const struct gatt_date_time early = { 1999, 5, 12, 18, 53, 40 };
	uint8_t data[80];
	struct writer w = writer_of(data, 71);

	(void)state;
	assert_int_equal(colmi_set_time_encode(&early, &w), -ERANGE);
	assert_int_equal(colmi_set_time_encode(&now, &w), 0);
	assert_int_equal(colmi_battery_encode(&w), 0);
	assert_int_equal(colmi_heart_rates_encode(TODAY, &w), 0);
	assert_int_equal(colmi_steps_encode(3, &w), 0);
	assert_memory_equal(data, "\x01\x26\x05\x12\x18\x53\x40\x01\0\0\0\0\0\0\0\xea", 16);
	assert_memory_equal(data + 16, "\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03", 16);
	assert_memory_equal(data + 32, "\x15\x80\x6d\x02\x6a\0\0\0\0\0\0\0\0\0\0\x6e", 16);
	assert_memory_equal(data + 48, "\x43\x03\x0f\x00\x5f\x01\0\0\0\0\0\0\0\0\0\xb5", 16);
	assert_int_equal(colmi_sleep_encode(&w), 0);
	assert_memory_equal(data + 64, "\xbc\x27\x01\x00\xff\x00\xff", 7);
	assert_int_equal(colmi_sleep_encode(&w), -ENOSPC);
	assert_int_equal(colmi_battery_encode(&w), -ENOSPC);
	assert_int_equal(w.len, 71);
	assert_int_equal(colmi_crc("123456789", 9), 0x4b37);
}

static void test_checks(void **state)
{
	uint8_t data[32], command = 0x5a;

	(void)state;
	assert_int_equal(colmi_frame_check(data, bytes_of(frame("03"), data), &command), 0);
	assert_int_equal(command, 0x03);
	assert_int_equal(colmi_frame_check(data, 15, &command), -EMSGSIZE);
	assert_int_equal(colmi_frame_check(data, 17, &command), -EMSGSIZE);
	data[7] = 1;
	assert_int_equal(colmi_frame_check(data, 16, &command), -EBADMSG);
	assert_int_equal(colmi_frame_check(data, bytes_of(frame("83"), data), &command), -ENOMSG);
}

static void test_battery(void **state)
{
	uint8_t data[32], percent = 7;

	(void)state;
	assert_int_equal(colmi_battery_decode(data, bytes_of(frame("0365"), data), &percent),
			 -ERANGE);
	assert_int_equal(colmi_battery_decode(data, bytes_of(frame("0464"), data), &percent),
			 -ENOMSG);
	assert_int_equal(percent, 7);
	assert_int_equal(colmi_battery_decode(data, bytes_of(frame("036401"), data), &percent), 0);
	assert_int_equal(percent, 100);
}

/* The first three are frames that other programs have in their tests, from real rings by their
 * look. */
static void test_steps(void **state)
{
	static const struct {
		const char *hex;
		int r;
		enum colmi_part part;
		unsigned int frames, quarter, steps, metres;
	} rows[] = {
		{ "43f00501000000000000000000000039", 0, COLMI_HEADER, 5, 0, 0, 0 },
		{ "432410155c0001790015001000000087", 0, COLMI_DATA, 1, 92, 21, 16 },
		{ "43ff0000000000000000000000000042", 0, COLMI_NOTHING, 0, 0, 0, 0 },
		{ "43260512600001", -ERANGE, 0, 0, 0, 0, 0 },
		{ "432605125f0101", -ERANGE, 0, 0, 0, 0, 0 },
		{ "432613125f0001", -ERANGE, 0, 0, 0, 0, 0 },
		{ "432602305f0001", -ERANGE, 0, 0, 0, 0, 0 },
		{ "43260a125f0001", -ERANGE, 0, 0, 0, 0, 0 },
		{ "432600125f0001", -ERANGE, 0, 0, 0, 0, 0 },
		{ "15260512000001", -ENOMSG, 0, 0, 0, 0, 0 },
	};
	uint8_t data[32];

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct colmi_steps x = { 0 };
		const char *const hex = strlen(rows[i].hex) < 32 ? frame(rows[i].hex) : rows[i].hex;
		const int r = colmi_steps_decode(data, bytes_of(hex, data), &x);

		if (r != rows[i].r)
			fail_msg("%s: %d", rows[i].hex, r);
		assert_int_equal(x.part, rows[i].part);
		assert_int_equal(x.frames, rows[i].frames);
		assert_int_equal(x.quarter, rows[i].quarter);
		assert_int_equal(x.steps, rows[i].steps);
		assert_int_equal(x.metres, rows[i].metres);
	}
	assert_int_equal(rows[1].frames, 1);
}

static void test_rates(void **state)
{
	struct colmi_heart_rates x = { 0 };
	uint8_t data[32];

	(void)state;
	assert_int_equal(colmi_heart_rates_decode(
				 data, bytes_of("15001805000000000000000000000032", data), &x),
			 0);
	assert_true(x.part == COLMI_HEADER && x.frames == 24 && x.minutes == 5);
	assert_int_equal(
		colmi_heart_rates_decode(data, bytes_of(frame("1501806d026a3c00003d"), data), &x),
		0);
	assert_true(x.part == COLMI_DATA && x.has_midnight && x.midnight == TODAY);
	assert_true(x.n_rates == 9 && x.rates[0] == 60 && x.rates[3] == 61);
	assert_int_equal(colmi_heart_rates_decode(data, bytes_of(frame("15023c"), data), &x), 0);
	assert_true(!x.has_midnight && x.n_rates == 13 && x.rates[0] == 60 && x.index == 2);
	assert_int_equal(colmi_heart_rates_decode(data, bytes_of(frame("15ff"), data), &x), 0);
	assert_int_equal(x.part, COLMI_NOTHING);
	assert_int_equal(colmi_heart_rates_decode(data, bytes_of(frame("15000105"), data), &x),
			 -ERANGE);
	assert_int_equal(colmi_heart_rates_decode(data, bytes_of(frame("15001800"), data), &x),
			 -ERANGE);
	assert_int_equal(colmi_heart_rates_decode(data, bytes_of(frame("1500183d"), data), &x),
			 -ERANGE);
}

/* ---- nights ---- */

/* a message with this payload */
static size_t message(const char *payload, uint8_t ret[MESSAGE])
{
	uint8_t data[COLMI_BIG_MAX];
	const size_t len = bytes_of(payload, data);
	struct writer w = writer_of(ret, MESSAGE);

	writer_u8(&w, 0xbc);
	writer_u8(&w, COLMI_BIG_SLEEP);
	writer_le16(&w, (uint16_t)len);
	writer_le16(&w, colmi_crc(data, len));
	writer_bytes(&w, data, len);
	assert_true(writer_ok(&w));
	return w.len;
}

static void test_night(void **state)
{
	struct colmi_night n[COLMI_NIGHTS_MAX];
	uint8_t data[MESSAGE];
	size_t len = message("02"
			     "010a3f051e0202c803640296"
			     "00043c00a401",
			     data),
	       count = 99;

	(void)state;
	assert_int_equal(colmi_sleep_decode(data, len, n, &count), 0);
	assert_int_equal(count, 2);
	assert_true(n[0].days_ago == 1 && n[0].evening && n[0].start == 1343 && n[0].end == 542);
	assert_int_equal(n[0].minutes[COLMI_STAGE_LIGHT], 350);
	assert_int_equal(n[0].minutes[COLMI_STAGE_DEEP], 100);
	assert_false(n[0].adds_up);
	assert_true(!n[1].evening && n[1].start == 60 && n[1].end == 420);
	len = message("01"
		      "000a3f051e0202c803ff05b8",
		      data);
	assert_int_equal(colmi_sleep_decode(data, len, n, &count), 0);
	assert_true(n[0].adds_up);
}

static void test_bad_nights(void **state)
{
	static const struct {
		const char *payload;
		int r;
	} rows[] = {
		{ "", 0 },
		{ "00", 0 },
		{ "01", -EBADMSG },
		{ "0f", -EBADMSG },
		{ "0100063f051e0202", -EBADMSG },
		{ "0100053f051e0202", -EBADMSG },
		{ "0100033f051e", -EBADMSG },
		{ "0100043f051e0200", -EBADMSG },
		{ "010004a0051e02", -ERANGE },
		{ "0100043f05a005", -ERANGE },
		{ "0100063f051e0206ff", -ERANGE },
		{ "0100103f051e0202ff02ff02ff02ff02ff02ff", -ERANGE },
	};
	struct colmi_night n[COLMI_NIGHTS_MAX];
	uint8_t data[MESSAGE];
	size_t count;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		const size_t len = message(rows[i].payload, data);
		const int r = colmi_sleep_decode(data, len, n, &count);

		if (r != rows[i].r)
			fail_msg("%s: %d", rows[i].payload, r);
	}
	count = message("00", data);
	assert_int_equal(colmi_sleep_decode(data, count - 1, n, &count), -EMSGSIZE);
	data[4] ^= 1;
	assert_int_equal(colmi_sleep_decode(data, 7, n, &count), -EBADMSG);
	assert_int_equal(colmi_big_length(data, 5, &count), -EMSGSIZE);
	data[3] = 0x08; /* 2049 bytes */
	assert_int_equal(colmi_big_length(data, 7, &count), -EMSGSIZE);
	data[1] = 0x2a;
	assert_int_equal(colmi_big_length(data, 7, &count), -ENOMSG);
}

/* ---- the driver ---- */

static struct session_memory note(uint32_t since, uint32_t steps, uint32_t rates, uint32_t night)
{
	struct session_memory memory = { 0 };
	struct writer w = writer_of(memory.kept, sizeof(memory.kept));

	writer_u8(&w, 1);
	writer_le32(&w, since);
	writer_le32(&w, steps);
	writer_le32(&w, rates);
	writer_le32(&w, night);
	memory.kept_len = w.len;
	return memory;
}

static uint32_t noted(const struct bench *b, size_t field)
{
	struct cursor c = cursor_of(b->memory.kept, b->memory.kept_len);

	cursor_skip(&c, 1 + 4 * field);
	return cursor_le32(&c);
}

static void answer(struct bench *b, const char *content)
{
	notify(b, ANSWER, frame(content));
}

/* up to the question for the steps of today */
static void begin(struct bench *b, const struct session_memory *memory)
{
	bench_begin(b, "colmi_ring", 0, memory, true);
	answer(b, "0350");
	assert_non_null(strstr(b->log, "write:c002:43000f005f01"));
	b->log[0] = '\0';
}

/* ... to the end of the questions, with nothing more */
static void nothing_else(struct bench *b)
{
	answer(b, "15ff");
	fire(b, 5000000);
}

static bool sets_time(const struct bench *b)
{
	return strstr(b->log, "write:c002:01260512") != NULL;
}

/* The note and the clock wait for the commit of all of it. */
static void test_late_commit(void **state)
{
	const struct session_memory memory =
		note(TODAY - DAY, TODAY + 3600, NOW - 60, TODAY / DAY - 1);
	struct bench *b = *state;

	begin(b, &memory);
	answer(b, "43f00201");
	answer(b, "432605121000020000300020");
	answer(b, "432605121401020000310021");
	nothing_else(b);
	assert_non_null(strstr(b->log, "reading"));
	assert_null(strstr(b->log, "kept"));
	assert_false(sets_time(b));
	assert_int_equal(session_committed(b->session, 1, b->now), 0);
	assert_false(sets_time(b));
	commit(b);
	assert_true(sets_time(b));
	assert_int_equal(noted(b, 1), TODAY + 5 * 3600);
	assert_int_equal(noted(b, 2), NOW - 60);
	answer(b, "01");
	assert_true(session_is_done(b->session));
}

/* An hour that is not over is not taken, and then taken once. */
static void test_growing_hour(void **state)
{
	struct session_memory memory = note(TODAY - DAY, TODAY + 3600, NOW - 60, TODAY / DAY - 1);
	struct bench *b = *state;

	for (unsigned int link = 0; link < 3; link++) {
		begin(b, &memory);
		b->now = link * INT64_C(1200000000);
		answer(b, "43f00101");
		/* 18:00, growing; over and settled at 19:05 */
		answer(b, link == 0 ? "432605124800010000300020" : "432605124800010000400030");
		nothing_else(b);
		assert_int_equal(strstr(b->log, "reading") != NULL, link == 1);
		commit(b);
		memory = b->memory;
		assert_int_equal(noted(b, 1), link == 0 ? TODAY + 3600 : TODAY + 18 * 3600);
	}
}

/* The hub dies before it has noted: the same again, to the letter. */
static void test_again(void **state)
{
	const struct session_memory memory =
		note(TODAY - DAY, TODAY + 3600, NOW - 60, TODAY / DAY - 1);
	struct measurement first;
	struct bench *b = *state;

	begin(b, &memory);
	answer(b, "43f00101");
	answer(b, "432605121000010000300020");
	first = b->last;
	begin(b, &memory);
	answer(b, "43f00101");
	answer(b, "432605121000010000300020");
	assert_int_equal(b->last.n_parts, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(first.parts[i].metric, b->last.parts[i].metric);
		assert_int_equal(first.parts[i].number.value.mantissa,
				 b->last.parts[i].number.value.mantissa);
	}
	assert_int_equal(b->last.time.day, 12);
	assert_int_equal(b->last.time.hour, 4);
	assert_int_equal(first.time.hour, b->last.time.hour);
	assert_int_equal(first.time.minute, b->last.time.minute);
	assert_int_equal(first.time.kind, DEVICE_TIME_LOCAL);
}

/* a frame is missing: what came is said, the note stays */
static void test_gap(void **state)
{
	const struct session_memory memory =
		note(TODAY - DAY, TODAY + 3600, NOW - 60, TODAY / DAY - 1);
	struct bench *b = *state;

	begin(b, &memory);
	answer(b, "43f00301");
	answer(b, "432605121000030000300020");
	assert_int_equal(bench_give(b, ANSWER, frame("432605121802030000300020"), false), -EBADMSG);
	fire(b, 5000000);
	nothing_else(b);
	commit(b);
	assert_true(sets_time(b));
	assert_int_equal(b->memory.kept_len, 0);
}

/* a ring that falls silent is hung up on, and nothing is noted */
static void test_silence(void **state)
{
	const struct session_memory memory =
		note(TODAY - DAY, TODAY + 3600, NOW - 60, TODAY / DAY - 1);
	struct bench *b = *state;

	begin(b, &memory);
	answer(b, "43f00301");
	assert_int_equal(session_timeout(b->session, 5000000), -ETIMEDOUT);
	assert_int_equal(b->memory.kept_len, 0);
}

static void test_refused(void **state)
{
	const struct session_memory memory =
		note(TODAY - DAY, TODAY + 3600, NOW - 60, TODAY / DAY - 1);
	struct bench *b = *state;

	begin(b, &memory);
	answer(b, "43ff");
	answer(b, "15ff");
	b->log[0] = '\0';
	refuse(b, 0xc72a, 0x01); /* no big data: the rest is done all the same */
	assert_true(sets_time(b));
	begin(b, &memory);
	refuse(b, 0xc002, 0x01);
	assert_true(session_is_done(b->session));
}

static int set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	bench_end(*state);
	return 0;
}

#define driver_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_battery),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_night),
		cmocka_unit_test(test_bad_nights),
		driver_test(test_late_commit),
		driver_test(test_growing_hour),
		driver_test(test_again),
		driver_test(test_gap),
		driver_test(test_silence),
		driver_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
