/* links: protocols */
#include "protocols/gatt/rsc.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_rsc_decode)
DECODER(gatt_rsc_feature_decode)
ENCODER(gatt_rsc_encode)
ENCODER_OF(gatt_rsc_feature_encode, uint16_t)

static void assert_same(const struct gatt_rsc *a, const struct gatt_rsc *b)
{
	assert_same_number(a->speed, b->speed);
	assert_same_number(a->cadence, b->cadence);
	assert_int_equal(a->running, b->running);
	assert_int_equal(a->has_stride, b->has_stride);
	assert_same_number(a->stride, b->stride);
	assert_int_equal(a->has_distance, b->has_distance);
	assert_same_number(a->distance, b->distance);
}

static void test_vectors(void **state)
{
	char text[DECIMAL_TEXT_MAX];
	struct gatt_rsc x;

	(void)state;
	assert_decodes(gatt_rsc_decode, "07 8002 a0 7800 39300000", &x, 0);
	assert_true(decimal_format(text, sizeof(text), x.speed.value) > 0);
	assert_string_equal(text, "2.50000000");
	assert_number(x.cadence, 160, 0);
	assert_true(x.running);
	assert_number(x.stride, 120, -2);
	assert_number(x.distance, 12345, -1);
	assert_decodes(gatt_rsc_decode, "00 0100 00", &x, 0);
	assert_number(x.speed, 390625, -8);
	assert_false(x.running);
	assert_false(x.has_stride);
	assert_false(x.has_distance);
	assert_decodes(gatt_rsc_decode, "08 0100 00", &x, -ERANGE);
	assert_decodes(gatt_rsc_decode, "80 0100 00", &x, -ERANGE);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 0x2a53 };
	uint8_t buffer[16];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_rsc x = rng_rsc(&rng), back;

		assert_encodes(gatt_rsc_encode, &x, buffer, len);
		assert_int_equal(gatt_rsc_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_rsc_decode, buffer, len, &back);
	}
}

static void test_refused(void **state)
{
	struct gatt_rsc x = { .speed = number_of(1, -1) }; /* 0.1 m/s is no multiple of 1/256 */

	(void)state;
	assert_refuses(gatt_rsc_encode, &x);
	x.speed = number_of(256, 0);
	assert_refuses(gatt_rsc_encode, &x);
	x.speed = number_of(2, 0);
	x.cadence = number_of(256, 0);
	assert_refuses(gatt_rsc_encode, &x);
	x.cadence = number_of(160, 0);
	x.has_stride = true;
	x.stride = number_of(1005, -3);
	assert_refuses(gatt_rsc_encode, &x);
	x.stride = number_of(1, 0);
	x.has_distance = true;
	x.distance = number_of(INT64_C(1) << 32, -1);
	assert_refuses(gatt_rsc_encode, &x);
}

static void test_feature(void **state)
{
	uint16_t feature;
	uint8_t buffer[4];
	size_t len;

	(void)state;
	assert_encodes(gatt_rsc_feature_encode,
		       (&(uint16_t){ GATT_RSC_HAS_STRIDE | GATT_RSC_HAS_RUNNING }), buffer, len);
	assert_int_equal(gatt_rsc_feature_decode(buffer, len, &feature), 0);
	assert_int_equal(feature, 5);
	assert_length_exact(gatt_rsc_feature_decode, buffer, len, &feature);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
