/* links: drivers */
/*
 * Xiaomi scales: the record byte by byte, and of the driver what captures cannot say: late commits,
 * refusals, and that one weighing is the same reading whichever way it comes.
 */
#include "protocols/xiaomi/scale.h"
#include "tests/unit/driver_test.h"

#define N(a)    (sizeof(a) / sizeof((a)[0]))
#define HISTORY 0xf02f
#define CLOCK   0x2a2b

static size_t bytes_of(const char *hex, uint8_t *data)
{
	size_t n = 0;

	for (; *hex; hex += 2)
		data[n++] = (uint8_t)(bench_nibble(hex[0]) << 4 | bench_nibble(hex[1]));
	return n;
}

/* ---- the record ---- */

struct vector {
	const char *hex;
	int r;
	enum unit unit;
	bool stable, removed;
	int64_t mantissa;
	int32_t exponent;
	unsigned int impedance; /* 0: none */
};

/* The first four are frames of real scales, as their owners published them. */
static const struct vector vectors[] = {
	{ "62ac49e0070c140d1c04", 0, UNIT_KG, true, false, 94300, -3, 0 },
	{ "0204b207031305092000008a34", 0, UNIT_KG, false, false, 67250, -3, 0 },
	{ "0226b207031305092264020c35", 0, UNIT_KG, true, false, 67900, -3, 612 },
	{ "02a6b207031305051b65020c35", 0, UNIT_KG, true, true, 67900, -3, 613 },
	{ "0624b2070101002e3800004c04", 0, UNIT_KG, true, false, 5500, -3, 0 },
	/* synthetic from here */
	{ "23dc44ea07050c123536", 0, UNIT_LB, true, false, 17628, -2, 0 },
	{ "32783eea07050c123536", 0, UNIT_JIN, true, false, 15992, -2, 0 },
	{ "a2783eea07050c123536", 0, UNIT_KG, true, true, 79960, -3, 0 },
	{ "33783eea07050c123536", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "22783eea07051f123536", 0, UNIT_KG, true, false, 79960, -3, 0 },
	{ "22783eea070520123536", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "0326ea07050c123536f401dc44", 0, UNIT_LB, true, false, 17628, -2, 500 },
	{ "0264ea07050c123536fdff783e", 0, UNIT_JIN, true, false, 15992, -2, 0 },
	{ "1224ea07050c123536feff783e", 0, UNIT_JIN, true, false, 15992, -2, 0 },
	{ "0224ea07050c123536ffff783e", 0, UNIT_KG, true, false, 79960, -3, 0 },
	{ "0224ea07050c123536fcff783e", 0, UNIT_KG, true, false, 79960, -3, 0xfffc },
	{ "0024ea07050c1235360000783e", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "0424ea07050c1235360000783e", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "8224ea07050c1235360000783e", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "0364ea07050c1235360000783e", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "0224ea07050c123c360000783e", -ERANGE, 0, 0, 0, 0, 0, 0 },
	{ "0224ea07050c1235360000783e00", -EMSGSIZE, 0, 0, 0, 0, 0, 0 },
	{ "0224ea07050c123536000078", -EMSGSIZE, 0, 0, 0, 0, 0, 0 },
	{ "22783eea07050c1235", -EMSGSIZE, 0, 0, 0, 0, 0, 0 },
	{ "", -EMSGSIZE, 0, 0, 0, 0, 0, 0 },
};

static void check_vector(const struct vector *v)
{
	uint8_t data[64];
	struct xiaomi_scale x, before;
	int r;

	memset(&x, 0x5a, sizeof(x));
	before = x;
	r = xiaomi_scale_decode(data, bytes_of(v->hex, data), &x);
	if (r != v->r)
		fail_msg("%s: %d, not %d", v->hex, r, v->r);
	if (r < 0) {
		assert_memory_equal(&x, &before, sizeof(x));
		return;
	}
	if (x.unit != v->unit || x.stable != v->stable || x.removed != v->removed)
		fail_msg("%s: unit or flags", v->hex);
	assert_int_equal(x.weight.absent, ABSENT_NO);
	assert_int_equal(x.weight.value.mantissa, v->mantissa);
	assert_int_equal(x.weight.value.exponent, v->exponent);
	assert_int_equal(x.raw_impedance, v->impedance);
	assert_int_equal(x.impedance.absent, v->impedance ? ABSENT_NO : ABSENT_UNKNOWN);
	assert_int_equal(x.impedance.value.mantissa, v->impedance);
}

static void test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(vectors); i++)
		check_vector(&vectors[i]);
}

/* as much in jin as in kg */
static void test_jin(void **state)
{
	struct decimal kg;

	(void)state;
	assert_int_equal(unit_convert((struct decimal){ 15992, -2 }, UNIT_JIN, UNIT_KG, &kg), 0);
	assert_int_equal(decimal_compare(kg, (struct decimal){ 79960, -3 }), 0);
}

static void test_history_frames(void **state)
{
	static const struct {
		const char *hex;
		int r;
		enum xiaomi_history kind;
		unsigned int count;
	} rows[] = {
		{ "0107", 0, XIAOMI_HISTORY_COUNT, 7 },
		{ "010701", 0, XIAOMI_HISTORY_COUNT, 0x107 },
		{ "01", -EMSGSIZE, 0, 0 },
		{ "01070100", -EMSGSIZE, 0, 0 },
		{ "03", 0, XIAOMI_HISTORY_STOP, 0 },
		{ "0300", -EMSGSIZE, 0, 0 },
		{ "02", -ENOMSG, 0, 0 },
		{ "04", -ENOMSG, 0, 0 },
		{ "", -EMSGSIZE, 0, 0 },
		{ "22783eea07050c123536", 0, XIAOMI_HISTORY_SEND, 1 },
		{ "22783eea07050c12353622783eea07050c123537", 0, XIAOMI_HISTORY_SEND, 2 },
		{ "22783eea07050c12353633783eea07050c123537", -ERANGE, 0, 0 },
		{ "0226b207031305092264020c35", 0, XIAOMI_HISTORY_SEND, 1 },
		{ "22783eea07050c12353622", -EMSGSIZE, 0, 0 },
	};
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct xiaomi_history_frame f = { 0 };
		const int r = xiaomi_history_decode(data, bytes_of(rows[i].hex, data), &f);

		if (r != rows[i].r)
			fail_msg("%s: %d", rows[i].hex, r);
		assert_int_equal(f.kind, rows[i].kind);
		assert_int_equal(f.count, rows[i].count);
	}
}

static void test_encode(void **state)
{
	uint8_t data[8];
	struct writer w = writer_of(data, sizeof(data));

	(void)state;
	assert_int_equal(xiaomi_history_encode(XIAOMI_HISTORY_COUNT, 0x01020304, &w), 0);
	assert_int_equal(xiaomi_history_encode(XIAOMI_HISTORY_SEND, 0x01020304, &w), 0);
	assert_int_equal(w.len, 6);
	assert_memory_equal(data, "\x01\x01\x02\x03\x04\x02", 6);
	assert_int_equal(xiaomi_history_encode(XIAOMI_HISTORY_ACKNOWLEDGE, 1, &w), -ENOSPC);
	assert_int_equal(w.len, 6);
	assert_false(w.failed);
}

/* ---- the driver ---- */

#define STABLE    "0224ea07050c1235360000783e"
#define IMPEDANCE "0226ea07050c123536f401783e"

static void hear(struct bench *b, const char *hex)
{
	uint8_t data[64];
	const struct drv_advert advert = { .service = XIAOMI_V2_SERVICE,
					   .data = data,
					   .len = bytes_of(hex, data) };

	assert_int_equal(session_advert(b->session, &advert, b->now), 0);
}

static void link_up(struct bench *b, const struct session_memory *memory)
{
	bench_begin(b, "xiaomi_scale", 0, memory, true);
	notify(b, CLOCK, "ea07050c123629000000");
}

static const struct session_memory known = { .kept = { 0, 0, 0, 1 }, .kept_len = 4 };

/* nothing is acknowledged while a record is not durable, however late that is */
static void test_late_commit(void **state)
{
	struct bench *b = *state;

	link_up(b, &known);
	assert_said(b, "write:f02f:0100000001 timer:5000 ");
	notify(b, HISTORY, "0102");
	assert_said(b, "write:f02f:02 timer:5000 ");
	notify(b, HISTORY, STABLE);
	notify(b, HISTORY, "0226ea07050c123636f401783e");
	assert_said(b, "reading timer:5000 reading reading timer:5000 ");
	notify(b, HISTORY, "03");
	assert_said(b, "timer:0 write:f02f:03 ");
	assert_int_equal(session_committed(b->session, 2, b->now), 0);
	assert_said(b, "");
	commit(b);
	/* also the clock is a minute off, and is set only now */
	assert_said(b, "write:f02f:0400000001 timer:0 write:2a2b:ea07050c123528020002 read:2a2b ");
}

/* durable before the end was heard */
static void test_early_commit(void **state)
{
	struct bench *b = *state;

	link_up(b, &known);
	notify(b, HISTORY, "0101");
	notify(b, HISTORY, STABLE);
	commit(b);
	b->log[0] = '\0';
	notify(b, HISTORY, "03");
	assert_said(b, "timer:0 write:f02f:03 write:f02f:0400000001 timer:0 "
		       "write:2a2b:ea07050c123528020002 read:2a2b ");
}

/* a spoiled record, one too few, a record that is no weighing: they will come again */
static void test_not_acknowledged(void **state)
{
	static const char *const cases[][3] = {
		{ "0102", STABLE, NULL },
		{ "0102", STABLE,
		  "0224ea07050c12353600007800"
		  "00" },
		{ "0102", STABLE, "02a4ea07050c1235360000783e" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < N(cases); i++) {
		link_up(b, &known);
		for (size_t j = 0; j < 3 && cases[i][j]; j++)
			(void)bench_give(b, HISTORY, cases[i][j], false);
		commit(b);
		b->log[0] = '\0';
		notify(b, HISTORY, "03");
		assert_said(b, "timer:0 write:f02f:03 timer:0 close ");
	}
}

/* the id is made once, kept at once, and used again */
static void test_id(void **state)
{
	struct session_memory memory;
	struct bench *b = *state;
	char first[64];

	bench_begin(b, "xiaomi_scale", 0, NULL, true);
	b->now = 123456789;
	notify(b, CLOCK, "ea07050c123629000000");
	assert_int_equal(b->memory.kept_len, 4);
	memory = b->memory;
	assert_string_equal(strstr(b->log, "kept"), "kept:4 ");
	(void)snprintf(first, sizeof(first), "write:f02f:01%02x%02x%02x%02x timer:5000 ",
		       memory.kept[0], memory.kept[1], memory.kept[2], memory.kept[3]);
	assert_non_null(strstr(b->log, first));
	assert_true(memory.kept[0] < 0x80);
	link_up(b, &memory);
	assert_said(b, first);
}

static void test_silence_and_refusal(void **state)
{
	struct bench *b = *state;

	link_up(b, &known);
	assert_int_equal(session_timeout(b->session, 5000000), -ETIMEDOUT);
	link_up(b, &known);
	b->log[0] = '\0';
	refuse(b, HISTORY, 0x80);
	assert_said(b, "timer:0 close ");
	/* setting the clock is refused: what was read is safe all the same */
	link_up(b, &known);
	notify(b, HISTORY, "0100");
	b->log[0] = '\0';
	refuse(b, CLOCK, 0x80);
	assert_said(b, "close ");
}

/* All that a reading is recognised by: weights of the broadcast and of the history are one. */
static void assert_same(const struct measurement *a, const struct measurement *b)
{
	assert_int_equal(a->metric, b->metric);
	assert_int_equal(a->n_parts, b->n_parts);
	for (unsigned int i = 0; i < a->n_parts; i++) {
		assert_int_equal(a->parts[i].metric, b->parts[i].metric);
		assert_int_equal(a->parts[i].unit, b->parts[i].unit);
		assert_int_equal(a->parts[i].number.value.mantissa,
				 b->parts[i].number.value.mantissa);
	}
	assert_int_equal(a->time.kind, b->time.kind);
	assert_int_equal(a->time.year, b->time.year);
	assert_int_equal(a->time.month, b->time.month);
	assert_int_equal(a->time.day, b->time.day);
	assert_int_equal(a->time.hour, b->time.hour);
	assert_int_equal(a->time.minute, b->time.minute);
	assert_int_equal(a->time.second, b->time.second);
	assert_false(a->has_user_slot || b->has_user_slot);
	assert_false(a->has_record_number || b->has_record_number);
	assert_false(a->has_duration || b->has_duration);
}

static void test_one_weighing(void **state)
{
	struct measurement weight, impedance;
	struct bench *b = *state;

	bench_begin(b, "xiaomi_scale", 0, NULL, true);
	hear(b, STABLE);
	weight = b->last;
	hear(b, IMPEDANCE);
	impedance = b->last;
	hear(b, STABLE);
	hear(b, IMPEDANCE);
	assert_said(b, "reading timer:60000 reading timer:60000 timer:60000 timer:60000 ");
	assert_int_equal(weight.metric, METRIC_BODY_WEIGHT);
	assert_int_equal(impedance.metric, METRIC_BODY_COMPOSITION);
	/* the impedance at once, in a broadcast whose beginning was not heard */
	bench_begin(b, "xiaomi_scale", 0, NULL, true);
	hear(b, IMPEDANCE);
	assert_said(b, "reading reading timer:60000 ");
	assert_same(&b->last, &impedance);
	link_up(b, &known);
	notify(b, HISTORY, "0102");
	notify(b, HISTORY, STABLE);
	assert_same(&b->last, &weight);
	notify(b, HISTORY, IMPEDANCE);
	assert_same(&b->last, &impedance);
}

/* A measure of the clock is used for the weighing it was made at, and for none after it. */
static void test_stale_clock(void **state)
{
	struct bench *b = *state;

	bench_begin(b, "xiaomi_scale", 0, NULL, true);
	hear(b, "0204ea07050c12353400003412");
	b->now += 1000000;
	hear(b, STABLE);
	assert_true(b->last.has_clock_offset);
	assert_int_equal(b->last.clock_offset_ms, WALL_MS + 1000 - INT64_C(1778612034000));
	b->log[0] = '\0';
	hear(b, "0224ea07050c1300000000803e");
	assert_said(b, "timer:60000 "); /* and it ends */
	assert_true(session_is_done(b->session));
	/* a weight that moved too long ago shows nothing */
	bench_begin(b, "xiaomi_scale", 0, NULL, true);
	hear(b, "0204ea07050c12353400003412");
	b->now += 5000001;
	hear(b, STABLE);
	assert_false(b->last.has_clock_offset);
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
		cmocka_unit_test(test_records),        cmocka_unit_test(test_jin),
		cmocka_unit_test(test_history_frames), cmocka_unit_test(test_encode),
		driver_test(test_late_commit),         driver_test(test_early_commit),
		driver_test(test_not_acknowledged),    driver_test(test_id),
		driver_test(test_silence_and_refusal), driver_test(test_one_weighing),
		driver_test(test_stale_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
