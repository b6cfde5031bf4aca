/* links: protocols */
#include "protocols/gatt/plx.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_plx_spot_decode)
DECODER(gatt_plx_continuous_decode)
DECODER(gatt_plx_features_decode)
ENCODER(gatt_plx_spot_encode)
ENCODER(gatt_plx_continuous_encode)
ENCODER(gatt_plx_features_encode)

static void assert_same_pair(const struct gatt_plx_pair *a, const struct gatt_plx_pair *b)
{
	assert_same_number(a->spo2, b->spo2);
	assert_same_number(a->pulse, b->pulse);
}

static void assert_same_spot(const struct gatt_plx_spot *a, const struct gatt_plx_spot *b)
{
	assert_same_pair(&a->pair, &b->pair);
	assert_int_equal(a->has_time, b->has_time);
	assert_same_time(&a->time, &b->time);
	assert_int_equal(a->clock_not_set, b->clock_not_set);
	assert_int_equal(a->has_measurement_status, b->has_measurement_status);
	assert_int_equal(a->measurement_status, b->measurement_status);
	assert_int_equal(a->has_device_status, b->has_device_status);
	assert_int_equal(a->device_status, b->device_status);
	assert_int_equal(a->has_amplitude, b->has_amplitude);
	assert_same_number(a->amplitude, b->amplitude);
}

static void assert_same_continuous(const struct gatt_plx_continuous *a,
				   const struct gatt_plx_continuous *b)
{
	assert_same_pair(&a->normal, &b->normal);
	assert_int_equal(a->has_fast, b->has_fast);
	assert_same_pair(&a->fast, &b->fast);
	assert_int_equal(a->has_slow, b->has_slow);
	assert_same_pair(&a->slow, &b->slow);
	assert_int_equal(a->has_measurement_status, b->has_measurement_status);
	assert_int_equal(a->measurement_status, b->measurement_status);
	assert_int_equal(a->has_device_status, b->has_device_status);
	assert_int_equal(a->device_status, b->device_status);
	assert_int_equal(a->has_amplitude, b->has_amplitude);
	assert_same_number(a->amplitude, b->amplitude);
}

static void test_spot(void **state)
{
	struct gatt_plx_spot x = { 0 };

	(void)state;
	assert_decodes(gatt_plx_spot_decode, "00 6100 4800", &x, 0);
	assert_number(x.pair.spo2, 97, 0);
	assert_number(x.pair.pulse, 72, 0);
	assert_decodes(gatt_plx_spot_decode, "1f caf3 4800 ea070b17081e05 0003 200000 19f0", &x, 0);
	assert_number(x.pair.spo2, 970, -1);
	assert_int_equal(x.time.year, 2026);
	assert_true(x.clock_not_set);
	assert_int_equal(x.measurement_status, GATT_PLX_FULLY_QUALIFIED | GATT_PLX_FROM_STORAGE);
	assert_int_equal(x.device_status, GATT_PLX_PERFUSION_LOW);
	assert_number(x.amplitude, 25, -1);
	/* reserved status bits move nothing */
	assert_decodes(gatt_plx_spot_decode, "06 6100 4800 1f00 0000ff", &x, 0);
	assert_int_equal(x.measurement_status, 0x001f);
	assert_int_equal(x.device_status, 0xff0000);
}

static void test_continuous(void **state)
{
	struct gatt_plx_continuous x;

	(void)state;
	assert_decodes(gatt_plx_continuous_decode,
		       "1f 6000 4600 6100 4700 6200 4800 0080 000800 1400", &x, 0);
	assert_number(x.normal.spo2, 96, 0);
	assert_number(x.fast.spo2, 97, 0);
	assert_number(x.slow.pulse, 72, 0);
	assert_int_equal(x.measurement_status, GATT_PLX_INVALID);
	assert_int_equal(x.device_status, GATT_PLX_SENSOR_NOT_ON_USER);
	assert_number(x.amplitude, 20, 0);
}

static void test_specials(void **state)
{
	static const char spot[] = "08 6100 4800 1400", continuous[] = "00 6100 4800";
	struct gatt_plx_spot x = { 0 };
	struct gatt_plx_continuous y = { 0 };

	(void)state;
	assert_sfloat_specials(gatt_plx_spot_decode, spot, 1, &x, x.pair.spo2);
	assert_sfloat_specials(gatt_plx_spot_decode, spot, 3, &x, x.pair.pulse);
	assert_sfloat_specials(gatt_plx_spot_decode, spot, 5, &x, x.amplitude);
	assert_sfloat_specials(gatt_plx_continuous_decode, continuous, 1, &y, y.normal.spo2);
	assert_sfloat_specials(gatt_plx_continuous_decode, continuous, 3, &y, y.normal.pulse);
}

static void test_refused(void **state)
{
	struct gatt_plx_spot x = { 0 };
	struct gatt_plx_continuous y = { 0 };

	(void)state;
	assert_decodes(gatt_plx_spot_decode, "20 6100 4800", &x, -ERANGE);
	assert_decodes(gatt_plx_spot_decode, "80 6100 4800", &x, -ERANGE);
	assert_decodes(gatt_plx_spot_decode, "01 6100 4800 ea070b20081e05", &x, -ERANGE);
	assert_decodes(gatt_plx_continuous_decode, "20 6100 4800", &y, -ERANGE);
	x = (struct gatt_plx_spot){ .has_device_status = true, .device_status = 1 << 24 };
	assert_refuses(gatt_plx_spot_encode, &x);
	x = (struct gatt_plx_spot){ .pair.spo2 = number_of(12345, 0) };
	assert_refuses(gatt_plx_spot_encode, &x);
	x = (struct gatt_plx_spot){ .has_time = true, .time.hour = 24 };
	assert_refuses(gatt_plx_spot_encode, &x);
	y = (struct gatt_plx_continuous){ .has_device_status = true, .device_status = 1 << 24 };
	assert_refuses(gatt_plx_continuous_encode, &y);
	y = (struct gatt_plx_continuous){ .has_slow = true, .slow.pulse = number_of(12345, 0) };
	assert_refuses(gatt_plx_continuous_encode, &y);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 0x2a5e };
	uint8_t buffer[64];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_plx_spot x = rng_plx_spot(&rng), x_back;
		struct gatt_plx_continuous y = rng_plx_continuous(&rng), y_back;

		assert_encodes(gatt_plx_spot_encode, &x, buffer, len);
		assert_int_equal(gatt_plx_spot_decode(buffer, len, &x_back), 0);
		assert_same_spot(&x, &x_back);
		if (i % 64 == 0)
			assert_length_exact(gatt_plx_spot_decode, buffer, len, &x_back);
		assert_encodes(gatt_plx_continuous_encode, &y, buffer, len);
		assert_int_equal(gatt_plx_continuous_decode(buffer, len, &y_back), 0);
		assert_same_continuous(&y, &y_back);
		if (i % 64 == 0)
			assert_length_exact(gatt_plx_continuous_decode, buffer, len, &y_back);
	}
}

static void test_features(void **state)
{
	struct gatt_plx_features x;
	uint8_t buffer[16];
	size_t len;

	(void)state;
	assert_decodes(gatt_plx_features_decode, "fc00", &x, 0);
	assert_int_equal(x.features, 0xfc);
	assert_int_equal(x.measurement_status, 0);
	assert_decodes(gatt_plx_features_decode, "0f00 e0ff ffff00", &x, 0);
	assert_int_equal(x.measurement_status, 0xffe0);
	assert_int_equal(x.device_status, 0xffff);
	assert_encodes(gatt_plx_features_encode, &x, buffer, len);
	assert_memory_equal(buffer, "\x0f\x00\xe0\xff\xff\xff\x00", 7);
	assert_length_exact(gatt_plx_features_decode, buffer, len, &x);
	assert_decodes(gatt_plx_features_decode, "0200 010000", &x, 0);
	assert_int_equal(x.device_status, 1);
	assert_int_equal(x.measurement_status, 0);
	x.device_status = 1 << 24;
	assert_refuses(gatt_plx_features_encode, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spot),       cmocka_unit_test(test_continuous),
		cmocka_unit_test(test_specials),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
