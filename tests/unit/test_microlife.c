/* links: drivers */
#include "driver_test.h"

#include "protocols/microlife/cuff.h"
#include "protocols/microlife/frame.h"

#define CLOCK_TEXT "05122026185340"
#define REST_TEXT  "0a0000000000000000000000000000000000000000000000000000000000000000"
#define HEAD_TEXT  "00000000414230313233000000000000" /* no record */
/* 134/85, pulse 66, 2026-05-12 07:31 */
#define RECORD_TEXT "26051207310000000421548600000000"

static size_t make_answer(const char *text, uint8_t *ret)
{
	static const char digits[] = "0123456789ABCDEF";
	const size_t len = strlen(text);
	uint8_t sum = 0;

	ret[0] = MICROLIFE_ACK;
	for (size_t i = 0; i < len; i++) {
		ret[1 + i] = (uint8_t)text[i];
		sum = (uint8_t)(sum + ret[1 + i]);
	}
	ret[1 + len] = (uint8_t)digits[sum >> 4];
	ret[2 + len] = (uint8_t)digits[sum & 15];
	return len + 3;
}

static const uint8_t *bytes(const char *text)
{
	return (const uint8_t *)text;
}

/* ---- the codec ---- */

static void test_answer(void **state)
{
	uint8_t data[256];
	const size_t len = make_answer(HEAD_TEXT RECORD_TEXT, data);
	const uint8_t *text = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(microlife_answer(data, len, &text, &n), 0);
	assert_ptr_equal(text, data + 1);
	assert_int_equal(n, strlen(HEAD_TEXT RECORD_TEXT));
	for (size_t i = 0; i < len; i++) {
		data[i] ^= 1; /* '0' and '1' are both digits: the sum finds it */
		assert_int_equal(microlife_answer(data, len, &text, &n), -EBADMSG);
		data[i] ^= 1;
	}
	for (size_t i = 0; i < len; i++)
		assert_true(microlife_answer(data, i, &text, &n) < 0);
	assert_int_equal(microlife_answer(data, 3, &text, &n), -EMSGSIZE);
}

/* 285 has more than 8 bits, 1 bit more in each neighbour would show */
static void test_record(void **state)
{
	static const char memory[] = HEAD_TEXT RECORD_TEXT "26051207310102FF0581951D1000000A";
	struct microlife_reading x;

	(void)state;
	assert_int_equal(microlife_record(bytes(memory), 0, &x), 0);
	assert_int_equal(x.systolic, 134);
	assert_int_equal(x.diastolic, 85);
	assert_int_equal(x.pulse, 66);
	assert_int_equal(x.year, 2026);
	assert_int_equal(x.month, 5);
	assert_int_equal(x.day, 12);
	assert_int_equal(x.hour, 7);
	assert_int_equal(x.minute, 31);
	assert_int_equal(microlife_record(bytes(memory), 1, &x), 0);
	assert_int_equal(x.systolic, 285);
	assert_int_equal(x.diastolic, 101);
	assert_int_equal(x.pulse, 88);
}

static void test_record_refused(void **state)
{
	static const char *const bad[] = {
		"26131207310000000421548600000000", /* month */
		"26053207310000000421548600000000", /* day */
		"26051224310000000421548600000000", /* hour */
		"26051207600000000421548600000000", /* minute */
		"2A051207310000000421548600000000", /* a year in letters */
		"26051207310000000421540000000000", /* no systolic pressure */
		"26051207310000000420008600000000", /* no diastolic */
		"2605120731000000042157FF00000000", /* 1023 */
		"26051207310000003FF1548600000000", /* a pulse of 1023 */
	};
	struct microlife_reading x = { .pulse = 5 };
	char memory[MICROLIFE_HEAD_SIZE + MICROLIFE_RECORD_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(memory, sizeof(memory), "%s%s", HEAD_TEXT, bad[i]);
		assert_int_equal(microlife_record(bytes(memory), 0, &x), -ERANGE);
		assert_int_equal(x.pulse, 5);
	}
}

static void test_memory(void **state)
{
	static const char one[] = "00010000414230313233000000000000" RECORD_TEXT "00";
	static const char many[] = "02010000414230313233000000000000";
	size_t n = 7;

	(void)state;
	assert_int_equal(microlife_memory(bytes(one), 31, &n), -EMSGSIZE);
	assert_int_equal(microlife_memory(bytes(one), 63, &n), -EMSGSIZE);
	assert_int_equal(microlife_memory(bytes(many), 32, &n), -ERANGE);
	assert_int_equal(n, 7);
	assert_int_equal(microlife_memory(bytes(one), 66, &n), 0);
	assert_int_equal(n, 1);
}

static void test_clock(void **state)
{
	struct microlife_time t = { .year = 1 };

	(void)state;
	assert_int_equal(microlife_clock(bytes(CLOCK_TEXT), 13, &t), -EMSGSIZE);
	assert_int_equal(microlife_clock(bytes("05122026185360"), 14, &t), -ERANGE);
	assert_int_equal(microlife_clock(bytes("0512A026185340"), 14, &t), -ERANGE);
	assert_int_equal(t.year, 1);
	assert_int_equal(microlife_clock(bytes(CLOCK_TEXT), 14, &t), 0);
	assert_int_equal(t.year, 2026);
	assert_int_equal(t.month, 5);
	assert_int_equal(t.day, 12);
	assert_int_equal(t.hour, 18);
	assert_int_equal(t.minute, 53);
	assert_int_equal(t.second, 40);
}

/* What is not understood goes back as it came. */
static void test_setting(void **state)
{
	const struct microlife_time t = { 2026, 12, 31, 23, 59, 58 };
	static const char was[] = CLOCK_TEXT REST_TEXT;
	uint8_t data[MICROLIFE_SETTING_SIZE + 1];
	struct writer w = writer_of(data, sizeof(data));

	(void)state;
	assert_int_equal(microlife_setting(&t, bytes(was), strlen(was) - 1, &w), -ENOTSUP);
	assert_int_equal(w.len, 0);
	assert_int_equal(microlife_setting(&t, bytes(was), strlen(was), &w), 0);
	assert_int_equal(w.len, MICROLIFE_SETTING_SIZE);
	assert_memory_equal(data, "12312026235958" REST_TEXT "62", MICROLIFE_SETTING_SIZE);
	w = writer_of(data, MICROLIFE_SETTING_SIZE - 1);
	assert_int_equal(microlife_setting(&t, bytes(was), strlen(was), &w), -ENOSPC);
}

/* ---- the driver ---- */

static int give_answer(struct bench *b, const char *text)
{
	uint8_t data[512];
	const struct drv_frame frame = { DRV_WIRE_BYTES, data, make_answer(text, data) };

	return session_frame(b->session, &frame, false, b->now);
}

static void begin(struct bench *b, uint32_t quirks, const char *clock)
{
	bench_begin(b, "microlife", quirks, NULL, true);
	assert_said(b, "write:0003:12161826 timer:2000 ");
	assert_int_equal(give_answer(b, clock), 0);
	assert_said(b, "timer:1000 ");
	fire(b, 1000000);
	assert_said(b, "write:0003:12161822 timer:2000 ");
}

/* The clock is set only after what was read is durable. */
static void test_commit_before_setting(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b, 1, "05122026175040" REST_TEXT);
	assert_int_equal(give_answer(&b, "0001"
					 "0000414230313233000000000000" RECORD_TEXT),
			 0);
	assert_said(&b, "timer:1000 ");
	fire(&b, 1000000);
	assert_said(&b, "reading timer:0 ");
	assert_true(b.last.has_clock_offset);
	commit(&b);
	assert_said(&b, "write:0003:12161827 timer:2000 ");
	bench_end(&b);
}

/* Anything but 06: the setting is not sent. */
static void test_setting_not_acknowledged(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b, 1, "05122026175040" REST_TEXT);
	assert_int_equal(give_answer(&b, HEAD_TEXT), 0);
	fire(&b, 1000000);
	assert_said(&b, "timer:1000 write:0003:12161827 timer:2000 ");
	assert_int_equal(bench_give(&b, DRV_WIRE_BYTES, "15", false), -ENOMSG);
	assert_said(&b, "fault:0003:not_mine ");
	assert_int_equal(session_timeout(b.session, b.now + 2000000), -ETIMEDOUT);
	assert_said(&b, "close ");
	bench_end(&b);
}

/* Right, or not to be set by us, or its setting is not understood: left alone. */
static void test_not_set(void **state)
{
	static const struct {
		uint32_t quirks;
		const char *clock;
	} rows[] = {
		{ 0, "05122026175040" REST_TEXT },
		{ 1, "05122026185350" REST_TEXT },
		{ 1, "05122026175040" },
		{ 1, "05122026175040" REST_TEXT "00" },
	};
	struct bench b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&b, rows[i].quirks, rows[i].clock);
		assert_int_equal(give_answer(&b, HEAD_TEXT), 0);
		fire(&b, 1000000);
		assert_said(&b, "timer:1000 timer:0 close ");
	}
	bench_end(&b);
}

/* A record that cannot be keeps the clock as it is: it is still in the cuff. */
static void test_faulty_record(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b, 1, "05122026175040" REST_TEXT);
	assert_int_equal(give_answer(&b, "0001"
					 "0000414230313233000000000000"
					 "26131207310000000421548600000000"),
			 0);
	fire(&b, 1000000);
	assert_said(&b, "timer:1000 timer:1 ");
	assert_int_equal(session_timeout(b.session, b.now), -ERANGE);
	assert_said(&b, "fault:0000:range timer:0 close ");
	bench_end(&b);
}

/* Something that never stops talking is let go of. */
static void test_babble(void **state)
{
	struct bench b = { 0 };
	int r = 0;

	(void)state;
	begin(&b, 0, CLOCK_TEXT);
	for (int i = 0; i < 70 && r == 0; i++) {
		b.now += 900000;
		r = bench_give(&b, DRV_WIRE_BYTES, "06", false);
	}
	assert_int_equal(r, -EMSGSIZE);
	assert_true(session_is_done(b.session));
	begin(&b, 0, CLOCK_TEXT);
	for (r = 0; r == 0;)
		r = bench_give(&b, DRV_WIRE_BYTES, "0630303030303030303030303030303030", false);
	assert_int_equal(r, -EMSGSIZE);
	assert_true(session_is_done(b.session));
	bench_end(&b);
}

/* ---- over the air ---- */

static void test_questions(void **state)
{
	static const uint8_t user[] = { 77, 255, 0, 2, 5, 83 };
	static const uint8_t memory[] = { 77, 255, 0, 9, 0, 0, 0, 0, 0, 0, 0, 253, 82 };
	uint8_t data[MICROLIFE_QUESTION_MAX];
	struct writer w = writer_of(data, sizeof(data));

	(void)state;
	assert_int_equal(microlife_question_encode(MICROLIFE_ASK_USER, &w), 0);
	assert_int_equal(w.len, sizeof(user));
	assert_memory_equal(data, user, sizeof(user));
	w = writer_of(data, sizeof(data));
	assert_int_equal(microlife_question_encode(MICROLIFE_ASK_MEMORY, &w), 0);
	assert_int_equal(w.len, sizeof(memory));
	assert_memory_equal(data, memory, sizeof(memory));
	w = writer_of(data, sizeof(memory) - 1);
	assert_int_equal(microlife_question_encode(MICROLIFE_ASK_MEMORY, &w), -ENOSPC);
	assert_int_equal(w.len, 0);
}

static void test_frame(void **state)
{
	uint8_t data[] = { 0x4d, 0x3a, 0x00, 0x03, 0x05, 0x02, 0x91 };
	const uint8_t *payload = NULL;
	size_t n = 0;
	uint8_t user = 0;

	(void)state;
	assert_int_equal(microlife_frame_length(data, 3, &n), -EAGAIN);
	assert_int_equal(microlife_frame_length(data, 4, &n), 0);
	assert_int_equal(n, sizeof(data));
	assert_int_equal(microlife_frame_decode(data, sizeof(data), &payload, &n), 0);
	assert_ptr_equal(payload, data + 4);
	assert_int_equal(n, 2);
	assert_int_equal(microlife_frame_user(payload, n, &user), 0);
	assert_int_equal(user, 2);
	data[5] = 3;
	assert_int_equal(microlife_frame_decode(data, sizeof(data), &payload, &n), -EBADMSG);
	assert_int_equal(microlife_frame_user(data + 4, 2, &user), -ERANGE);
	assert_int_equal(microlife_frame_user(data + 4, 1, &user), -EMSGSIZE);
	data[3] = 1;
	assert_int_equal(microlife_frame_length(data, 4, &n), -EMSGSIZE);
	data[2] = 0xff;
	assert_int_equal(microlife_frame_length(data, 4, &n), -EMSGSIZE);
	data[1] = 0xff;
	assert_int_equal(microlife_frame_length(data, 4, &n), -EBADMSG);
}

static void test_frame_record(void **state)
{
	uint8_t payload[MICROLIFE_FRAME_HEAD + 10] = { 0, 0, 0, 1, 1 };
	uint8_t *record = payload + MICROLIFE_FRAME_HEAD;
	static const uint8_t good[] = { 147, 59, 48, 26, 5, 12, 17, 56, 0xc0, 0 };
	struct microlife_reading x;
	unsigned int flags;
	size_t count;

	(void)state;
	memcpy(record, good, sizeof(good));
	assert_int_equal(microlife_frame_memory(payload, 37, &count), -EMSGSIZE);
	assert_int_equal(microlife_frame_memory(payload, sizeof(payload) - 1, &count), -EBADMSG);
	assert_int_equal(microlife_frame_memory(payload, sizeof(payload), &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(microlife_frame_record(payload, 0, &x, &flags), 0);
	assert_int_equal(x.systolic, 147);
	assert_int_equal(x.diastolic, 59);
	assert_int_equal(x.pulse, 48);
	assert_int_equal(x.year, 2026);
	assert_int_equal(x.month, 5);
	assert_int_equal(x.day, 12);
	assert_int_equal(x.hour, 17);
	assert_int_equal(x.minute, 56);
	assert_int_equal(flags, MICROLIFE_FRAME_IRREGULAR);
	record[8] = 0;
	assert_int_equal(microlife_frame_record(payload, 0, &x, &flags), 0);
	assert_int_equal(flags, MICROLIFE_FRAME_LOOSE);
	for (size_t i = 4; i < 8; i++) {
		record[i] = 60;
		assert_int_equal(microlife_frame_record(payload, 0, &x, &flags), -ERANGE);
		record[i] = good[i];
	}
}

/* What the driver never sends is in fuzz_cuffs.c; here: it waits for nothing that was spoiled. */
static void test_bt_spoiled(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "microlife_bt", 0, NULL, true);
	assert_said(&b, "write:fff2:4dff00020553 timer:10000 ");
	notify(&b, 0xfff1, "4d3a00");
	notify(&b, 0xfff1, "0305");
	assert_said(&b, "timer:10000 timer:10000 ");
	assert_int_equal(bench_give(&b, 0xfff1, "0292", false), -EBADMSG);
	assert_said(&b, "fault:fff1:checksum timer:0 close ");
	bench_end(&b);
	bench_begin(&b, "microlife_bt", 0, NULL, true);
	assert_int_equal(bench_give(&b, 0xfff1, "4d3a000305029100", false), -EMSGSIZE);
	assert_true(session_is_done(b.session));
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_refused),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_setting),
		cmocka_unit_test(test_commit_before_setting),
		cmocka_unit_test(test_setting_not_acknowledged),
		cmocka_unit_test(test_not_set),
		cmocka_unit_test(test_faulty_record),
		cmocka_unit_test(test_babble),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_frame_record),
		cmocka_unit_test(test_bt_spoiled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
