/* links: protocols */
#include "protocols/gatt/heart_rate.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_heart_rate_decode)
DECODER(gatt_body_sensor_location_decode)
DECODER(gatt_heart_rate_control_decode)
ENCODER(gatt_heart_rate_encode)
ENCODER_OF(gatt_body_sensor_location_encode, enum gatt_body_sensor_location)
ENCODER_OF(gatt_heart_rate_control_encode, uint8_t)

static void assert_same(const struct gatt_heart_rate *a, const struct gatt_heart_rate *b)
{
	assert_int_equal(a->wide, b->wide);
	assert_same_number(a->rate, b->rate);
	assert_int_equal(a->contact, b->contact);
	assert_int_equal(a->has_energy, b->has_energy);
	assert_same_number(a->energy, b->energy);
	assert_int_equal(a->interval_count, b->interval_count);
	assert_memory_equal(a->intervals, b->intervals, sizeof(a->intervals));
}

static void test_vectors(void **state)
{
	struct gatt_heart_rate x;

	(void)state;
	assert_decodes(gatt_heart_rate_decode, "00 48", &x, 0);
	assert_number(x.rate, 72, 0);
	assert_int_equal(x.contact, GATT_HEART_RATE_CONTACT_UNSUPPORTED);
	assert_false(x.has_energy);
	assert_int_equal(x.interval_count, 0);

	assert_decodes(gatt_heart_rate_decode, "1f 2c01 e803 0004 f403", &x, 0);
	assert_true(x.wide);
	assert_number(x.rate, 300, 0);
	assert_int_equal(x.contact, GATT_HEART_RATE_CONTACT_GOOD);
	assert_number(x.energy, 1000, 0);
	assert_int_equal(x.interval_count, 2);
	assert_int_equal(x.intervals[0], 1024);
	assert_int_equal(x.intervals[1], 1012);

	assert_decodes(gatt_heart_rate_decode, "04 48", &x, 0);
	assert_int_equal(x.contact, GATT_HEART_RATE_CONTACT_NONE);
}

static void test_refused(void **state)
{
	struct gatt_heart_rate x;

	(void)state;
	assert_decodes(gatt_heart_rate_decode, "20 48", &x, -ERANGE);
	assert_decodes(gatt_heart_rate_decode, "40 48", &x, -ERANGE);
	assert_decodes(gatt_heart_rate_decode, "80 48", &x, -ERANGE);
	assert_decodes(gatt_heart_rate_decode, "", &x, -EMSGSIZE);
	assert_decodes(gatt_heart_rate_decode, "00 48 00", &x, -EMSGSIZE);
	/* the flag promises intervals and none comes; half an interval */
	assert_decodes(gatt_heart_rate_decode, "10 48", &x, -EMSGSIZE);
	assert_decodes(gatt_heart_rate_decode, "10 48 0004 00", &x, -EMSGSIZE);

	x = (struct gatt_heart_rate){ .rate = { .value = { 256, 0 } } };
	assert_refuses(gatt_heart_rate_encode, &x);
	x.rate = number_of(725, -1);
	assert_refuses(gatt_heart_rate_encode, &x);
	x.rate = number_absent(ABSENT_NAN);
	assert_refuses(gatt_heart_rate_encode, &x);
	x.rate = number_of(72, 0);
	x.interval_count = GATT_HEART_RATE_INTERVALS_MAX + 1;
	assert_refuses(gatt_heart_rate_encode, &x);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 37 };
	uint8_t buffer[600];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_heart_rate x = rng_heart_rate(&rng), back;

		assert_encodes(gatt_heart_rate_encode, &x, buffer, len);
		assert_int_equal(gatt_heart_rate_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		/* with intervals a shorter value may be whole: down to one interval */
		if (x.interval_count <= 1 && i % 16 == 0)
			for (size_t n = 0; n < len; n++)
				assert_int_equal(gatt_heart_rate_decode(buffer, n, &back),
						 -EMSGSIZE);
	}
}

static void test_most_intervals(void **state)
{
	struct gatt_heart_rate x = { .interval_count = GATT_HEART_RATE_INTERVALS_MAX }, back;
	uint8_t buffer[600];
	size_t len;

	(void)state;
	for (size_t i = 0; i < x.interval_count; i++)
		x.intervals[i] = (uint16_t)(i * 257);
	assert_encodes(gatt_heart_rate_encode, &x, buffer, len);
	assert_int_equal(len, 512);
	assert_int_equal(gatt_heart_rate_decode(buffer, len, &back), 0);
	assert_same(&x, &back);
	memset(buffer + len, 0, 2);
	assert_int_equal(gatt_heart_rate_decode(buffer, len + 2, &back), -EMSGSIZE);
}

static void test_interval(void **state)
{
	char text[DECIMAL_TEXT_MAX];

	(void)state;
	assert_true(decimal_format(text, sizeof(text), gatt_heart_rate_interval_ms(1).value) > 0);
	assert_string_equal(text, "0.9765625");
	assert_true(decimal_format(text, sizeof(text), gatt_heart_rate_interval_ms(1024).value) >
		    0);
	assert_string_equal(text, "1000.0000000");
}

static void test_location_and_control(void **state)
{
	enum gatt_body_sensor_location location;
	uint8_t command, buffer[4];
	size_t len;

	(void)state;
	for (unsigned int i = 0; i <= GATT_BODY_SENSOR_FOOT; i++) {
		assert_encodes(
			gatt_body_sensor_location_encode,
			(&(enum gatt_body_sensor_location){ (enum gatt_body_sensor_location)i }),
			buffer, len);
		assert_int_equal(gatt_body_sensor_location_decode(buffer, len, &location), 0);
		assert_int_equal(location, i);
		assert_non_null(gatt_body_sensor_location_name(i));
	}
	assert_string_equal(gatt_body_sensor_location_name(GATT_BODY_SENSOR_EAR_LOBE), "ear lobe");
	assert_decodes(gatt_body_sensor_location_decode, "07", &location, -ERANGE);
	assert_decodes(gatt_body_sensor_location_decode, "", &location, -EMSGSIZE);
	assert_decodes(gatt_body_sensor_location_decode, "01 00", &location, -EMSGSIZE);
	assert_refuses(gatt_body_sensor_location_encode,
		       (&(enum gatt_body_sensor_location){ (enum gatt_body_sensor_location)7 }));
	assert_null(gatt_body_sensor_location_name(7));

	assert_encodes(gatt_heart_rate_control_encode, (&(uint8_t){ GATT_HEART_RATE_RESET_ENERGY }),
		       buffer, len);
	assert_int_equal(gatt_heart_rate_control_decode(buffer, len, &command), 0);
	assert_decodes(gatt_heart_rate_control_decode, "02", &command, -ERANGE);
	assert_decodes(gatt_heart_rate_control_decode, "", &command, -EMSGSIZE);
	assert_refuses(gatt_heart_rate_control_encode, (&(uint8_t){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_most_intervals),
		cmocka_unit_test(test_interval),   cmocka_unit_test(test_location_and_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
