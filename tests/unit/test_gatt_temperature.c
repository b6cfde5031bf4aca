/* links: protocols */
#include "protocols/gatt/temperature.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_temperature_decode)
DECODER(gatt_temperature_type_decode)
DECODER(gatt_measurement_interval_decode)
ENCODER(gatt_temperature_encode)
ENCODER_OF(gatt_temperature_type_encode, enum gatt_temperature_type)
ENCODER_OF(gatt_measurement_interval_encode, uint16_t)

static void assert_same(const struct gatt_temperature *a, const struct gatt_temperature *b)
{
	assert_int_equal(a->fahrenheit, b->fahrenheit);
	assert_same_number(a->value, b->value);
	assert_int_equal(a->has_time, b->has_time);
	assert_same_time(&a->time, &b->time);
	assert_int_equal(a->has_type, b->has_type);
	assert_int_equal(a->type, b->type);
}

static void test_vectors(void **state)
{
	struct gatt_temperature x;

	(void)state;
	/* 36.7 degrees Celsius = 367e-1 */
	assert_decodes(gatt_temperature_decode, "00 6f0100ff", &x, 0);
	assert_false(x.fahrenheit);
	assert_number(x.value, 367, -1);
	/* 98.06 degrees Fahrenheit, with time and place */
	assert_decodes(gatt_temperature_decode, "07 4e2600fe ea070b17081e05 03", &x, 0);
	assert_true(x.fahrenheit);
	assert_number(x.value, 9806, -2);
	assert_int_equal(x.time.year, 2026);
	assert_int_equal(x.time.month, 11);
	assert_int_equal(x.time.day, 23);
	assert_int_equal(x.time.hour, 8);
	assert_int_equal(x.time.minute, 30);
	assert_int_equal(x.time.second, 5);
	assert_int_equal(x.type, GATT_TEMPERATURE_EAR);
	/* below zero: -12.5 */
	assert_decodes(gatt_temperature_decode, "00 83ffffff", &x, 0);
	assert_number(x.value, -125, -1);
}

static void test_specials(void **state)
{
	static const struct {
		const char *hex;
		enum absent absent;
	} vectors[] = {
		{ "00 feff7f00", ABSENT_POSITIVE_INFINITY },
		{ "00 ffff7f00", ABSENT_NAN },
		{ "00 00008000", ABSENT_NRES },
		{ "00 01008000", ABSENT_RESERVED },
		{ "00 02008000", ABSENT_NEGATIVE_INFINITY },
	};
	struct gatt_temperature x;

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_decodes(gatt_temperature_decode, vectors[i].hex, &x, 0);
		assert_int_equal(x.value.absent, vectors[i].absent);
		assert_int_equal(x.value.value.mantissa, 0);
	}
}

static void test_refused(void **state)
{
	struct gatt_temperature x;

	(void)state;
	assert_decodes(gatt_temperature_decode, "08 6f0100ff", &x, -ERANGE);
	assert_decodes(gatt_temperature_decode, "80 6f0100ff", &x, -ERANGE);
	assert_decodes(gatt_temperature_decode, "04 6f0100ff 00", &x, -ERANGE);
	assert_decodes(gatt_temperature_decode, "04 6f0100ff 0a", &x, -ERANGE);
	/* month 13 */
	assert_decodes(gatt_temperature_decode, "02 6f0100ff ea070d17081e05", &x, -ERANGE);
	assert_decodes(gatt_temperature_decode, "00 6f0100", &x, -EMSGSIZE);
	x = (struct gatt_temperature){ .value = { .absent = ABSENT_UNSUCCESSFUL } };
	assert_refuses(gatt_temperature_encode, &x);
	x = (struct gatt_temperature){ .has_type = true };
	assert_refuses(gatt_temperature_encode, &x);
	x = (struct gatt_temperature){ .has_time = true, .time = { .month = 13 } };
	assert_refuses(gatt_temperature_encode, &x);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 0x2a1c };
	uint8_t buffer[32];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_temperature x = rng_temperature(&rng), back;

		assert_encodes(gatt_temperature_encode, &x, buffer, len);
		assert_int_equal(gatt_temperature_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_temperature_decode, buffer, len, &back);
	}
}

static void test_type_and_interval(void **state)
{
	enum gatt_temperature_type type;
	uint16_t seconds;
	uint8_t buffer[4];
	size_t len;

	(void)state;
	for (unsigned int i = GATT_TEMPERATURE_ARMPIT; i <= GATT_TEMPERATURE_TYMPANUM; i++) {
		assert_encodes(gatt_temperature_type_encode,
			       (&(enum gatt_temperature_type){ (enum gatt_temperature_type)i }),
			       buffer, len);
		assert_int_equal(gatt_temperature_type_decode(buffer, len, &type), 0);
		assert_int_equal(type, i);
		assert_non_null(gatt_temperature_type_name(i));
	}
	assert_decodes(gatt_temperature_type_decode, "00", &type, -ERANGE);
	assert_decodes(gatt_temperature_type_decode, "0a", &type, -ERANGE);
	assert_decodes(gatt_temperature_type_decode, "", &type, -EMSGSIZE);
	assert_refuses(gatt_temperature_type_encode,
		       (&(enum gatt_temperature_type){ (enum gatt_temperature_type)10 }));
	assert_null(gatt_temperature_type_name(0));

	assert_decodes(gatt_measurement_interval_decode, "2c01", &seconds, 0);
	assert_int_equal(seconds, 300);
	assert_encodes(gatt_measurement_interval_encode, (&(uint16_t){ 300 }), buffer, len);
	assert_memory_equal(buffer, "\x2c\x01", 2);
	assert_length_exact(gatt_measurement_interval_decode, buffer, len, &seconds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),           cmocka_unit_test(test_specials),
		cmocka_unit_test(test_refused),           cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_type_and_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
