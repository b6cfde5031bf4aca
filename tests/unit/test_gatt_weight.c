/* links: protocols */
#include "protocols/gatt/weight.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_weight_decode)
DECODER(gatt_weight_feature_decode)
ENCODER(gatt_weight_encode)
ENCODER(gatt_weight_feature_encode)

/* published frame of a Beurer BF720 */
#define BF720 "0e 783e ea07050c123536 01 ee00 2607"

static void assert_same(const struct gatt_weight *a, const struct gatt_weight *b)
{
	assert_int_equal(a->imperial, b->imperial);
	assert_same_number(a->weight, b->weight);
	assert_int_equal(a->has_time, b->has_time);
	assert_same_time(&a->time, &b->time);
	assert_int_equal(a->has_user, b->has_user);
	assert_int_equal(a->user, b->user);
	assert_int_equal(a->has_bmi_height, b->has_bmi_height);
	assert_same_number(a->bmi, b->bmi);
	assert_same_number(a->height, b->height);
}

static struct number rng_quantity(struct rng *rng, int64_t step, int32_t exponent)
{
	if (rng_below(rng, 16) == 0)
		return number_absent(ABSENT_UNSUCCESSFUL);
	return number_of((int64_t)rng_below(rng, 0xffff) * step, exponent);
}

static struct gatt_weight rng_weight(struct rng *rng)
{
	struct gatt_weight x = { .imperial = rng_coin(rng), .has_time = rng_coin(rng) };

	x.weight = x.imperial ? rng_quantity(rng, 1, -2) : rng_quantity(rng, 5, -3);
	if (x.has_time)
		x.time = rng_date_time(rng);
	x.has_user = rng_coin(rng);
	if (x.has_user)
		x.user = rng_u8(rng);
	x.has_bmi_height = rng_coin(rng);
	if (x.has_bmi_height) {
		x.bmi = rng_quantity(rng, 1, -1);
		x.height = rng_quantity(rng, 1, x.imperial ? -1 : -3);
	}
	return x;
}

static void assert_text(struct number n, const char *want)
{
	char text[DECIMAL_TEXT_MAX];

	assert_int_equal(n.absent, ABSENT_NO);
	assert_true(decimal_format(text, sizeof(text), n.value) > 0);
	assert_string_equal(text, want);
}

static void test_published_frame(void **state)
{
	const struct gatt_date_time when = { 2026, 5, 12, 18, 53, 54 };
	struct gatt_weight x;

	(void)state;
	assert_decodes(gatt_weight_decode, BF720, &x, 0);
	assert_false(x.imperial);
	assert_text(x.weight, "79.960");
	assert_true(x.has_time);
	assert_same_time(&x.time, &when);
	assert_true(x.has_user);
	assert_int_equal(x.user, 1);
	assert_true(x.has_bmi_height);
	assert_text(x.bmi, "23.8");
	assert_text(x.height, "1.830");
}

static void test_vectors(void **state)
{
	struct gatt_weight x;

	(void)state;
	assert_decodes(gatt_weight_decode, "00 0100", &x, 0);
	assert_text(x.weight, "0.005");
	assert_false(x.has_time);
	assert_false(x.has_user);
	assert_false(x.has_bmi_height);
	assert_decodes(gatt_weight_decode, "00 feff", &x, 0);
	assert_text(x.weight, "327.670");
	assert_decodes(gatt_weight_decode, "01 5046", &x, 0);
	assert_true(x.imperial);
	assert_text(x.weight, "180.00");
	assert_decodes(gatt_weight_decode, "09 5046 0b01 c602", &x, 0);
	assert_text(x.bmi, "26.7");
	assert_text(x.height, "71.0");
	assert_decodes(gatt_weight_decode, "04 783e ff", &x, 0);
	assert_int_equal(x.user, 255);
	assert_decodes(gatt_weight_decode, "02 783e 00000000000000", &x, 0);
	assert_int_equal(x.time.year, 0);
}

static void test_unsuccessful(void **state)
{
	struct gatt_weight x;

	(void)state;
	assert_decodes(gatt_weight_decode, "08 ffff ffff ffff", &x, 0);
	assert_int_equal(x.weight.absent, ABSENT_UNSUCCESSFUL);
	assert_int_equal(x.weight.value.mantissa, 0);
	assert_int_equal(x.bmi.absent, ABSENT_UNSUCCESSFUL);
	assert_int_equal(x.height.absent, ABSENT_UNSUCCESSFUL);
}

static void test_refused_frames(void **state)
{
	struct gatt_weight x;

	(void)state;
	assert_decodes(gatt_weight_decode, "", &x, -EMSGSIZE);
	assert_decodes(gatt_weight_decode, "10 783e", &x, -ERANGE);
	assert_decodes(gatt_weight_decode, "20 783e", &x, -ERANGE);
	assert_decodes(gatt_weight_decode, "40 783e", &x, -ERANGE);
	assert_decodes(gatt_weight_decode, "80 783e", &x, -ERANGE);
	assert_decodes(gatt_weight_decode, "02 783e ea070d0c123536", &x, -ERANGE);
	assert_decodes(gatt_weight_decode, "02 783e ea07021e123536", &x, -ERANGE);
	assert_decodes(gatt_weight_decode, "02 783e ea07050c183536", &x, -ERANGE);
}

static void test_there_and_back(void **state)
{
	struct rng rng = { 0x2a9d };
	uint8_t buffer[GATT_WEIGHT_SIZE_MAX];
	size_t len, longest = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_weight x = rng_weight(&rng), back;

		assert_encodes(gatt_weight_encode, &x, buffer, len);
		assert_int_equal(gatt_weight_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_weight_decode, buffer, len, &back);
		longest = len > longest ? len : longest;
	}
	assert_int_equal(longest, GATT_WEIGHT_SIZE_MAX);
}

static void test_every_weight(void **state)
{
	(void)state;
	for (unsigned int raw = 0; raw < 0xffff; raw++) {
		const uint8_t kg[] = { 0, (uint8_t)raw, (uint8_t)(raw >> 8) };
		const uint8_t lb[] = { 1, (uint8_t)raw, (uint8_t)(raw >> 8) };
		struct gatt_weight x;

		assert_int_equal(gatt_weight_decode(kg, sizeof(kg), &x), 0);
		assert_number(x.weight, (int64_t)raw * 5, -3);
		assert_int_equal(gatt_weight_decode(lb, sizeof(lb), &x), 0);
		assert_number(x.weight, raw, -2);
	}
}

static void test_refused_values(void **state)
{
	struct gatt_weight x = { .weight = number_of(79961, -3) }; /* no multiple of 5 g */

	(void)state;
	assert_refuses(gatt_weight_encode, &x);
	x.weight = number_of(-5, -3);
	assert_refuses(gatt_weight_encode, &x);
	x.weight = number_of(327675, -3); /* would be 0xffff */
	assert_refuses(gatt_weight_encode, &x);
	x.weight = number_of(INT64_MAX, 30);
	assert_refuses(gatt_weight_encode, &x);
	x.weight = number_absent(ABSENT_NAN);
	assert_refuses(gatt_weight_encode, &x);
	x.weight = number_of(80, 0);
	x.has_time = true;
	x.time.hour = 24;
	assert_refuses(gatt_weight_encode, &x);
	x.time.hour = 0;
	x.has_bmi_height = true;
	x.bmi = number_of(2385, -2);
	assert_refuses(gatt_weight_encode, &x);
	x.bmi = number_of(239, -1);
	x.height = number_of(18305, -4);
	assert_refuses(gatt_weight_encode, &x);
}

static void test_feature(void **state)
{
	struct rng rng = { 0x2a9e };
	struct gatt_weight_feature x;
	uint8_t buffer[8];
	size_t len;

	(void)state;
	assert_decodes(gatt_weight_feature_decode, "b7010000", &x, 0);
	assert_true(x.time && x.users && x.bmi);
	assert_int_equal(x.weight_resolution, 6);
	assert_int_equal(x.height_resolution, 3);
	assert_int_equal(x.reserved, 0);
	assert_decodes(gatt_weight_feature_decode, "00040080", &x, 0);
	assert_false(x.time || x.users || x.bmi);
	assert_true(x.reserved == 0x80000400);
	for (int i = 0; i < ROUNDS; i++) {
		const uint32_t bits = rng_u32(&rng);
		const uint8_t data[] = { (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
					 (uint8_t)(bits >> 24) };

		assert_int_equal(gatt_weight_feature_decode(data, sizeof(data), &x), 0);
		assert_encodes(gatt_weight_feature_encode, &x, buffer, len);
		assert_int_equal(len, sizeof(data));
		assert_memory_equal(buffer, data, sizeof(data));
	}
	assert_length_exact(gatt_weight_feature_decode, buffer, len, &x);
	x = (struct gatt_weight_feature){ .weight_resolution = 16 };
	assert_refuses(gatt_weight_feature_encode, &x);
	x = (struct gatt_weight_feature){ .height_resolution = 8 };
	assert_refuses(gatt_weight_feature_encode, &x);
	x = (struct gatt_weight_feature){ .reserved = 1 };
	assert_refuses(gatt_weight_feature_encode, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_frame), cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_unsuccessful),    cmocka_unit_test(test_refused_frames),
		cmocka_unit_test(test_there_and_back),  cmocka_unit_test(test_every_weight),
		cmocka_unit_test(test_refused_values),  cmocka_unit_test(test_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
