/* links: protocols */
#include "protocols/gatt/blood_pressure.h"

#include <stdio.h>

#include "tests/unit/gatt_test.h"

DECODER(gatt_blood_pressure_decode)
DECODER(gatt_blood_pressure_feature_decode)
DECODER(gatt_enhanced_blood_pressure_decode)
DECODER(gatt_enhanced_cuff_pressure_decode)
DECODER(gatt_blood_pressure_record_decode)
DECODER(gatt_blood_pressure_decode_bm85)
ENCODER(gatt_blood_pressure_encode)
ENCODER(gatt_blood_pressure_feature_encode)
ENCODER(gatt_enhanced_blood_pressure_encode)
ENCODER(gatt_enhanced_cuff_pressure_encode)
ENCODER(gatt_blood_pressure_record_encode)

static void assert_same(const struct gatt_blood_pressure *a, const struct gatt_blood_pressure *b)
{
	assert_int_equal(a->kpa, b->kpa);
	assert_same_number(a->systolic, b->systolic);
	assert_same_number(a->diastolic, b->diastolic);
	assert_same_number(a->mean, b->mean);
	assert_int_equal(a->has_time, b->has_time);
	assert_same_time(&a->time, &b->time);
	assert_int_equal(a->has_pulse, b->has_pulse);
	assert_same_number(a->pulse, b->pulse);
	assert_int_equal(a->has_user, b->has_user);
	assert_int_equal(a->user, b->user);
	assert_int_equal(a->has_status, b->has_status);
	assert_int_equal(a->status, b->status);
}

static void assert_same_enhanced(const struct gatt_enhanced_blood_pressure *a,
				 const struct gatt_enhanced_blood_pressure *b)
{
	assert_int_equal(a->kpa, b->kpa);
	assert_int_equal(a->epoch_2000, b->epoch_2000);
	assert_same_number(a->systolic, b->systolic);
	assert_same_number(a->diastolic, b->diastolic);
	assert_same_number(a->mean, b->mean);
	assert_int_equal(a->has_time, b->has_time);
	assert_true(a->time_s == b->time_s);
	assert_int_equal(a->has_pulse, b->has_pulse);
	assert_same_number(a->pulse, b->pulse);
	assert_int_equal(a->has_user, b->has_user);
	assert_int_equal(a->user, b->user);
	assert_int_equal(a->has_status, b->has_status);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->has_user_facing_time, b->has_user_facing_time);
	assert_true(a->user_facing_time_s == b->user_facing_time_s);
}

static struct gatt_blood_pressure rng_blood_pressure(struct rng *rng)
{
	struct gatt_blood_pressure x = { .kpa = rng_coin(rng) };

	x.systolic = rng_sfloat(rng);
	x.diastolic = rng_sfloat(rng);
	x.mean = rng_sfloat(rng);
	x.has_time = rng_coin(rng);
	if (x.has_time)
		x.time = rng_date_time(rng);
	x.has_pulse = rng_coin(rng);
	if (x.has_pulse)
		x.pulse = rng_sfloat(rng);
	x.has_user = rng_coin(rng);
	if (x.has_user)
		x.user = rng_u8(rng);
	x.has_status = rng_coin(rng);
	if (x.has_status)
		x.status = rng_u16(rng);
	return x;
}

static struct gatt_enhanced_blood_pressure rng_enhanced(struct rng *rng)
{
	struct gatt_enhanced_blood_pressure x = { .kpa = rng_coin(rng) };

	x.epoch_2000 = rng_coin(rng);
	x.systolic = rng_sfloat(rng);
	x.diastolic = rng_sfloat(rng);
	x.mean = rng_sfloat(rng);
	x.has_time = rng_coin(rng);
	if (x.has_time)
		x.time_s = rng_u32(rng);
	x.has_pulse = rng_coin(rng);
	if (x.has_pulse)
		x.pulse = rng_sfloat(rng);
	x.has_user = rng_coin(rng);
	if (x.has_user)
		x.user = rng_u8(rng);
	x.has_status = rng_coin(rng);
	if (x.has_status)
		x.status = rng_u16(rng);
	x.has_user_facing_time = rng_coin(rng);
	if (x.has_user_facing_time)
		x.user_facing_time_s = rng_u32(rng);
	return x;
}

static void test_vectors(void **state)
{
	const struct gatt_date_time when = { 2026, 5, 12, 18, 53, 54 };
	struct gatt_blood_pressure x = { 0 };

	(void)state;
	assert_decodes(gatt_blood_pressure_decode, "1e 7800 5000 5d00 ea07050c123536 4800 01 0500",
		       &x, 0);
	assert_false(x.kpa);
	assert_number(x.systolic, 120, 0);
	assert_number(x.diastolic, 80, 0);
	assert_number(x.mean, 93, 0);
	assert_true(x.has_time);
	assert_same_time(&x.time, &when);
	assert_number(x.pulse, 72, 0);
	assert_int_equal(x.user, 1);
	assert_int_equal(x.status, GATT_BP_STATUS_MOVEMENT | GATT_BP_STATUS_IRREGULAR_PULSE);
	assert_decodes(gatt_blood_pressure_decode, "01 a0f0 6bf0 7cf0", &x, 0);
	assert_true(x.kpa);
	assert_number(x.systolic, 160, -1);
	assert_number(x.diastolic, 107, -1);
	assert_false(x.has_time || x.has_pulse || x.has_user || x.has_status);
	/* intermediate cuff pressure: the other two are unused */
	assert_decodes(gatt_blood_pressure_decode, "00 9600 ff07 ff07", &x, 0);
	assert_number(x.systolic, 150, 0);
	assert_int_equal(x.diastolic.absent, ABSENT_NAN);
	assert_int_equal(x.mean.absent, ABSENT_NAN);
	assert_decodes(gatt_blood_pressure_decode, "18 7800 5000 5d00 ff 1800", &x, 0);
	assert_int_equal(x.user, 255);
	assert_int_equal(x.status & GATT_BP_STATUS_PULSE_RANGE, 0x18);
}

static void test_specials(void **state)
{
	struct gatt_blood_pressure x = { 0 };

	(void)state;
	assert_sfloat_specials(gatt_blood_pressure_decode, "04 7800 5000 5d00 4800", 1, &x,
			       x.systolic);
	assert_sfloat_specials(gatt_blood_pressure_decode, "04 7800 5000 5d00 4800", 3, &x,
			       x.diastolic);
	assert_sfloat_specials(gatt_blood_pressure_decode, "04 7800 5000 5d00 4800", 5, &x, x.mean);
	assert_sfloat_specials(gatt_blood_pressure_decode, "04 7800 5000 5d00 4800", 7, &x,
			       x.pulse);
}

static void test_refused_frames(void **state)
{
	struct gatt_blood_pressure x = { 0 };

	(void)state;
	assert_decodes(gatt_blood_pressure_decode, "", &x, -EMSGSIZE);
	assert_decodes(gatt_blood_pressure_decode, "20 7800 5000 5d00", &x, -ERANGE);
	assert_decodes(gatt_blood_pressure_decode, "40 7800 5000 5d00", &x, -ERANGE);
	assert_decodes(gatt_blood_pressure_decode, "80 7800 5000 5d00", &x, -ERANGE);
	assert_decodes(gatt_blood_pressure_decode, "02 7800 5000 5d00 ea07050c12353c", &x, -ERANGE);
	assert_decodes(gatt_blood_pressure_decode, "02 7800 5000 5d00 ea07020c123536 00", &x,
		       -EMSGSIZE);
}

static void test_bm85(void **state)
{
	static const struct {
		const char *tail; /* pulse, user, status */
		int r, pulse;
		unsigned int status;
	} rows[] = {
		{ "0042 02 0004", 0, 66, 4 },      { "4200 02 0400", 0, 66, 4 },
		{ "0042 02 0000", 0, 66, 0 },      { "4200 02 0000", 0, 66, 0 },
		{ "0014 02 0000", 0, 20, 0 },      { "0013 02 0000", -ERANGE, 0, 0 },
		{ "012c 02 0000", 0, 300, 0 },     { "012d 02 0000", -ERANGE, 0, 0 },
		{ "0042 02 003f", 0, 66, 0x3f },   { "0042 02 0040", -ERANGE, 0, 0 },
		{ "0042 02 0400", -ERANGE, 0, 0 }, /* the one in this order, the other in that */
		{ "4200 02 0004", -ERANGE, 0, 0 }, { "0000 02 0000", -ERANGE, 0, 0 },
		{ "f2f2 02 0000", 0, 0, 0 },       /* see below */
		{ "f300 02 0000", -ERANGE, 0, 0 }, /* 76.8 or 243 */
	};
	char hex[80];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gatt_blood_pressure x = { 0 };
		const bool same = rows[i].tail[0] == 'f' && rows[i].tail[2] == 'f';

		(void)snprintf(hex, sizeof(hex), "56 7f00 5100 6000 ea07050c123536 %s",
			       rows[i].tail);
		assert_decodes(gatt_blood_pressure_decode_bm85, hex, &x, rows[i].r);
		if (rows[i].r < 0)
			continue;
		assert_number(x.systolic, 127, 0);
		assert_number(x.mean, 96, 0);
		assert_int_equal(x.time.year, 2026);
		assert_int_equal(x.user, 2);
		assert_int_equal(x.status, rows[i].status);
		if (same) /* one number, whichever way: 754 * 10^-1 */
			assert_number(x.pulse, 754, -1);
		else
			assert_number(x.pulse, rows[i].pulse, 0);
	}
}

static void test_bm85_refused(void **state)
{
	struct gatt_blood_pressure x = { 0 };
	struct value v = value_of_hex("56 7f00 5100 6000 ea07050c123536 0042 02 0004");

	(void)state;
	assert_length_exact(gatt_blood_pressure_decode_bm85, v.data, v.len, &x);
	value_free(&v);
	assert_decodes(gatt_blood_pressure_decode_bm85, "", &x, -EMSGSIZE);
	assert_decodes(gatt_blood_pressure_decode_bm85,
		       "16 7f00 5100 6000 ea07050c123536 0042 02 0004", &x, -ENOMSG);
	assert_decodes(gatt_blood_pressure_decode_bm85,
		       "56 7f00 5100 6000 ea070d0c123536 0042 02 0004", &x, -ERANGE);
	/* a pulse that is none has an order too */
	assert_decodes(gatt_blood_pressure_decode_bm85,
		       "56 ff07 ff07 ff07 ea07050c123536 07ff 02 0000", &x, 0);
	assert_int_equal(x.pulse.absent, ABSENT_NAN);
	assert_int_equal(x.systolic.absent, ABSENT_NAN);
	assert_decodes(gatt_blood_pressure_decode_bm85,
		       "56 ff07 ff07 ff07 ea07050c123536 ff07 02 0000", &x, 0);
	assert_int_equal(x.pulse.absent, ABSENT_NAN);
}

static void test_there_and_back(void **state)
{
	struct rng rng = { 0x2a35 };
	uint8_t buffer[GATT_BLOOD_PRESSURE_SIZE_MAX];
	size_t len, longest = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_blood_pressure x = rng_blood_pressure(&rng), back;

		assert_encodes(gatt_blood_pressure_encode, &x, buffer, len);
		assert_int_equal(gatt_blood_pressure_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_blood_pressure_decode, buffer, len, &back);
		longest = len > longest ? len : longest;
	}
	assert_int_equal(longest, GATT_BLOOD_PRESSURE_SIZE_MAX);
}

static void test_refused_values(void **state)
{
	struct gatt_blood_pressure x = { .systolic = number_of(2047, 0) }; /* that is NaN */

	(void)state;
	assert_refuses(gatt_blood_pressure_encode, &x);
	x.systolic = number_of(120, 0);
	x.diastolic = number_of(80001, -3);
	assert_refuses(gatt_blood_pressure_encode, &x);
	x.diastolic = number_of(80, 0);
	x.mean = number_absent(ABSENT_UNKNOWN);
	assert_refuses(gatt_blood_pressure_encode, &x);
	x.mean = number_absent(ABSENT_NAN);
	x.has_pulse = true;
	x.pulse = number_of(INT64_MAX, 0);
	assert_refuses(gatt_blood_pressure_encode, &x);
	x.pulse = number_of(72, 0);
	x.has_time = true;
	x.time.second = 60;
	assert_refuses(gatt_blood_pressure_encode, &x);
}

static void test_feature(void **state)
{
	struct gatt_blood_pressure_feature x = { 0 };
	uint8_t buffer[4];
	size_t len;

	(void)state;
	assert_decodes(gatt_blood_pressure_feature_decode, "2500", &x, 0);
	assert_int_equal(x.bits, GATT_BP_FEATURE_MOVEMENT | GATT_BP_FEATURE_IRREGULAR_PULSE |
					 GATT_BP_FEATURE_MULTIPLE_BONDS);
	assert_decodes(gatt_blood_pressure_feature_decode, "c1ff", &x, 0);
	assert_int_equal(x.bits, 0xffc1);
	assert_encodes(gatt_blood_pressure_feature_encode, &x, buffer, len);
	assert_memory_equal(buffer, "\xc1\xff", 2);
	assert_length_exact(gatt_blood_pressure_feature_decode, buffer, len, &x);
}

static void test_enhanced_vectors(void **state)
{
	struct gatt_enhanced_blood_pressure x = { 0 };

	(void)state;
	assert_decodes(gatt_enhanced_blood_pressure_decode,
		       "7e 7800 5000 5d00 04030201 4800 01 0500 44332211", &x, 0);
	assert_false(x.kpa);
	assert_true(x.epoch_2000);
	assert_number(x.systolic, 120, 0);
	assert_number(x.mean, 93, 0);
	assert_int_equal(x.time_s, 0x01020304);
	assert_number(x.pulse, 72, 0);
	assert_int_equal(x.user, 1);
	assert_int_equal(x.status, 5);
	assert_int_equal(x.user_facing_time_s, 0x11223344);
	assert_decodes(gatt_enhanced_blood_pressure_decode, "80 7800 5000 5d00", &x, -ERANGE);
	assert_decodes(gatt_enhanced_blood_pressure_decode, "", &x, -EMSGSIZE);
	assert_decodes(gatt_enhanced_cuff_pressure_decode, "23 a0f0 04030201 44332211", &x, 0);
	assert_true(x.kpa);
	assert_false(x.epoch_2000 || x.has_pulse || x.has_user || x.has_status);
	assert_number(x.systolic, 160, -1);
	assert_int_equal(x.diastolic.absent, ABSENT_NAN);
	assert_int_equal(x.mean.absent, ABSENT_NAN);
	assert_int_equal(x.time_s, 0x01020304);
	assert_int_equal(x.user_facing_time_s, 0x11223344);
	assert_decodes(gatt_enhanced_cuff_pressure_decode, "80 9600", &x, -ERANGE);
}

static void test_enhanced_there_and_back(void **state)
{
	struct rng rng = { 0x2b34 };
	uint8_t buffer[GATT_ENHANCED_BLOOD_PRESSURE_SIZE_MAX];
	size_t len, longest = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_enhanced_blood_pressure x = rng_enhanced(&rng), back;

		assert_encodes(gatt_enhanced_blood_pressure_encode, &x, buffer, len);
		assert_int_equal(gatt_enhanced_blood_pressure_decode(buffer, len, &back), 0);
		assert_same_enhanced(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_enhanced_blood_pressure_decode, buffer, len,
					    &back);
		longest = len > longest ? len : longest;

		x.diastolic = x.mean = number_absent(ABSENT_NAN);
		assert_encodes(gatt_enhanced_cuff_pressure_encode, &x, buffer, len);
		assert_int_equal(gatt_enhanced_cuff_pressure_decode(buffer, len, &back), 0);
		assert_same_enhanced(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_enhanced_cuff_pressure_decode, buffer, len, &back);
	}
	assert_int_equal(longest, GATT_ENHANCED_BLOOD_PRESSURE_SIZE_MAX);
}

static void test_enhanced_refused(void **state)
{
	struct gatt_enhanced_blood_pressure x = { .mean = number_absent(ABSENT_UNSUCCESSFUL) };

	(void)state;
	assert_refuses(gatt_enhanced_blood_pressure_encode, &x);
	x.mean = number_of(0, 0);
	x.has_pulse = true;
	x.pulse = number_of(2046, 0);
	assert_refuses(gatt_enhanced_blood_pressure_encode, &x);
	assert_refuses(gatt_enhanced_cuff_pressure_encode, &x);
	x.has_pulse = false;
	x.systolic = number_of(-2048, 0);
	assert_refuses(gatt_enhanced_cuff_pressure_encode, &x);
}

static void test_record(void **state)
{
	const uint8_t first[] = { 0x01, 0x34, 0x12, 0x34, 0x2b, 0xaa, 0xbb };
	const uint8_t last[] = { 0xfe, 0xcc };
	struct gatt_blood_pressure_record x = { 0 };
	uint8_t buffer[16];
	size_t len;

	(void)state;
	assert_int_equal(gatt_blood_pressure_record_decode(first, sizeof(first), &x), 0);
	assert_true(x.first);
	assert_false(x.last);
	assert_int_equal(x.counter, 0);
	assert_int_equal(x.sequence, 0x1234);
	assert_int_equal(x.uuid, 0x2b34);
	assert_int_equal(x.len, 2);
	assert_ptr_equal(x.data, first + 5);
	assert_encodes(gatt_blood_pressure_record_encode, &x, buffer, len);
	assert_int_equal(len, sizeof(first));
	assert_memory_equal(buffer, first, len);
	assert_int_equal(gatt_blood_pressure_record_decode(last, sizeof(last), &x), 0);
	assert_false(x.first);
	assert_true(x.last);
	assert_int_equal(x.counter, 63);
	assert_int_equal(x.sequence, 0);
	assert_encodes(gatt_blood_pressure_record_encode, &x, buffer, len);
	assert_int_equal(len, sizeof(last));
	assert_memory_equal(buffer, last, len);
}

static void test_record_refused(void **state)
{
	struct gatt_blood_pressure_record x = { 0 };

	(void)state;
	assert_decodes(gatt_blood_pressure_record_decode, "", &x, -EMSGSIZE);
	assert_decodes(gatt_blood_pressure_record_decode, "02", &x, -EMSGSIZE);
	assert_decodes(gatt_blood_pressure_record_decode, "01 3412 34", &x, -EMSGSIZE);
	assert_decodes(gatt_blood_pressure_record_decode, "01 3412 342b", &x, -EMSGSIZE);
	x = (struct gatt_blood_pressure_record){ .counter = 64, .data = (const uint8_t *)"a" };
	x.len = 1;
	assert_refuses(gatt_blood_pressure_record_encode, &x);
	x.counter = 63;
	x.len = 0;
	assert_refuses(gatt_blood_pressure_record_encode, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_specials),
		cmocka_unit_test(test_refused_frames),
		cmocka_unit_test(test_bm85),
		cmocka_unit_test(test_bm85_refused),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_refused_values),
		cmocka_unit_test(test_feature),
		cmocka_unit_test(test_enhanced_vectors),
		cmocka_unit_test(test_enhanced_there_and_back),
		cmocka_unit_test(test_enhanced_refused),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
