/* links: protocols */
#include "protocols/gatt/glucose.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_glucose_decode)
DECODER(gatt_glucose_context_decode)
DECODER(gatt_glucose_feature_decode)
ENCODER(gatt_glucose_encode)
ENCODER(gatt_glucose_context_encode)
ENCODER_OF(gatt_glucose_feature_encode, uint16_t)

static void assert_same(const struct gatt_glucose *a, const struct gatt_glucose *b)
{
	assert_int_equal(a->sequence, b->sequence);
	assert_same_time(&a->base_time, &b->base_time);
	assert_int_equal(a->has_offset, b->has_offset);
	assert_same_number(a->offset, b->offset);
	assert_int_equal(a->mol_per_litre, b->mol_per_litre);
	assert_int_equal(a->has_concentration, b->has_concentration);
	assert_same_number(a->concentration, b->concentration);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->location, b->location);
	assert_int_equal(a->has_status, b->has_status);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->context_follows, b->context_follows);
}

static void assert_same_context(const struct gatt_glucose_context *a,
				const struct gatt_glucose_context *b)
{
	assert_int_equal(a->sequence, b->sequence);
	assert_int_equal(a->has_extended, b->has_extended);
	assert_int_equal(a->has_carbohydrate, b->has_carbohydrate);
	assert_int_equal(a->carbohydrate, b->carbohydrate);
	assert_same_number(a->carbohydrate_mass, b->carbohydrate_mass);
	assert_int_equal(a->has_meal, b->has_meal);
	assert_int_equal(a->meal, b->meal);
	assert_int_equal(a->has_tester, b->has_tester);
	assert_int_equal(a->tester, b->tester);
	assert_int_equal(a->health, b->health);
	assert_int_equal(a->has_exercise, b->has_exercise);
	assert_same_number(a->exercise_duration, b->exercise_duration);
	assert_same_number(a->exercise_intensity, b->exercise_intensity);
	assert_int_equal(a->medication_litres, b->medication_litres);
	assert_int_equal(a->has_medication, b->has_medication);
	assert_int_equal(a->medication, b->medication);
	assert_same_number(a->medication_amount, b->medication_amount);
	assert_int_equal(a->has_hba1c, b->has_hba1c);
	assert_same_number(a->hba1c, b->hba1c);
}

static void test_vectors(void **state)
{
	struct gatt_glucose x = { 0 };

	(void)state;
	/* 5.6 mmol/L = 56e-4 mol/L, capillary plasma from the finger, an hour behind base time */
	assert_decodes(gatt_glucose_decode, "1f 2a00 ea070b17081e05 c4ff 38c0 12 0108", &x, 0);
	assert_int_equal(x.sequence, 42);
	assert_int_equal(x.base_time.year, 2026);
	assert_number(x.offset, -60, 0);
	assert_true(x.mol_per_litre);
	assert_number(x.concentration, 56, -4);
	assert_int_equal(x.type, GATT_GLUCOSE_CAPILLARY_PLASMA);
	assert_int_equal(x.location, GATT_GLUCOSE_FINGER);
	assert_int_equal(x.status, GATT_GLUCOSE_BATTERY_LOW | GATT_GLUCOSE_TIME_FAULT);
	assert_true(x.context_follows);
	/* 101 mg/dL = 101e-5 kg/L */
	assert_decodes(gatt_glucose_decode, "02 ffff 00000000000000 65b0 fa", &x, 0);
	assert_false(x.mol_per_litre);
	assert_number(x.concentration, 101, -5);
	assert_int_equal(x.type, GATT_GLUCOSE_CONTROL_SOLUTION);
	assert_int_equal(x.location, GATT_GLUCOSE_LOCATION_UNKNOWN);
	/* the record of a failed test carries no concentration at all */
	assert_decodes(gatt_glucose_decode, "08 0100 ea070b17081e05 0400", &x, 0);
	assert_false(x.has_concentration);
	assert_int_equal(x.status, GATT_GLUCOSE_SAMPLE_TOO_SMALL);
	/* over- and underrun of the offset */
	assert_decodes(gatt_glucose_decode, "01 0100 ea070b17081e05 ff7f", &x, 0);
	assert_int_equal(x.offset.absent, ABSENT_POSITIVE_INFINITY);
	assert_decodes(gatt_glucose_decode, "01 0100 ea070b17081e05 0080", &x, 0);
	assert_int_equal(x.offset.absent, ABSENT_NEGATIVE_INFINITY);
}

static void test_context_vectors(void **state)
{
	struct gatt_glucose_context x;

	(void)state;
	assert_decodes(gatt_glucose_context_decode, "ff 2a00 00 02 32d0 01 51 100e 32 01 0ad0 44f0",
		       &x, 0);
	assert_int_equal(x.sequence, 42);
	assert_true(x.has_extended);
	assert_int_equal(x.carbohydrate, GATT_CARBOHYDRATE_LUNCH);
	assert_number(x.carbohydrate_mass, 50, -3);
	assert_int_equal(x.meal, GATT_MEAL_BEFORE);
	assert_int_equal(x.tester, GATT_TESTER_SELF);
	assert_int_equal(x.health, GATT_HEALTH_NO_ISSUES);
	assert_number(x.exercise_duration, 3600, 0);
	assert_number(x.exercise_intensity, 50, 0);
	assert_int_equal(x.medication, GATT_MEDICATION_INSULIN_RAPID);
	assert_true(x.medication_litres);
	assert_number(x.medication_amount, 10, -3);
	assert_number(x.hba1c, 68, -1);
	assert_decodes(gatt_glucose_context_decode, "08 0100 ffff 00", &x, 0);
	assert_int_equal(x.exercise_duration.absent, ABSENT_POSITIVE_INFINITY);
}

static void test_specials(void **state)
{
	static const char data[] = "02 0100 00000000000000 38c0 11";
	static const char context[] = "51 0100 01 32d0 01 0ad0 44f0";
	struct gatt_glucose x = { 0 };
	struct gatt_glucose_context y = { 0 };

	(void)state;
	assert_sfloat_specials(gatt_glucose_decode, data, 10, &x, x.concentration);
	assert_sfloat_specials(gatt_glucose_context_decode, context, 4, &y, y.carbohydrate_mass);
	assert_sfloat_specials(gatt_glucose_context_decode, context, 7, &y, y.medication_amount);
	assert_sfloat_specials(gatt_glucose_context_decode, context, 9, &y, y.hba1c);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"20 0100 ea070b17081e05",         "40 0100 ea070b17081e05",
		"80 0100 ea070b17081e05",         "00 0100 ea071e17081e05",
		"02 0100 ea070b17081e05 38c0 10", /* type 0 */
		"02 0100 ea070b17081e05 38c0 1b", /* type 11 */
		"02 0100 ea070b17081e05 38c0 01", /* location 0 */
		"02 0100 ea070b17081e05 38c0 51", /* location 5 */
	};
	static const char *const bad_context[] = {
		"80 0100 01",    /* an extended flag */
		"80 0100 80 00", /* and what it may bring along */
		"01 0100 00 32d0", "01 0100 08 32d0", "02 0100 00", "02 0100 06",
		"04 0100 50",      "04 0100 54",      "04 0100 01", "04 0100 61",
		"10 0100 00 0ad0", "10 0100 06 0ad0",
	};
	struct gatt_glucose x = { 0 };
	struct gatt_glucose_context y = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_decodes(gatt_glucose_decode, bad[i], &x, -ERANGE);
	for (size_t i = 0; i < sizeof(bad_context) / sizeof(bad_context[0]); i++)
		assert_decodes(gatt_glucose_context_decode, bad_context[i], &y, -ERANGE);
	x = (struct gatt_glucose){ .has_offset = true, .offset = number_of(32767, 0) };
	assert_refuses(gatt_glucose_encode, &x);
	x.offset = number_of(-32768, 0);
	assert_refuses(gatt_glucose_encode, &x);
	x.offset = number_absent(ABSENT_NAN);
	assert_refuses(gatt_glucose_encode, &x);
	x = (struct gatt_glucose){ .has_concentration = true };
	assert_refuses(gatt_glucose_encode, &x);
	y = (struct gatt_glucose_context){ .has_exercise = true };
	y.exercise_duration = number_of(0xffff, 0);
	assert_refuses(gatt_glucose_context_encode, &y);
	y = (struct gatt_glucose_context){ .has_meal = true };
	assert_refuses(gatt_glucose_context_encode, &y);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 0x2a18 };
	uint8_t buffer[64];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_glucose x = rng_glucose(&rng), x_back;
		struct gatt_glucose_context y = rng_glucose_context(&rng), y_back;

		assert_encodes(gatt_glucose_encode, &x, buffer, len);
		assert_int_equal(gatt_glucose_decode(buffer, len, &x_back), 0);
		assert_same(&x, &x_back);
		if (i % 64 == 0)
			assert_length_exact(gatt_glucose_decode, buffer, len, &x_back);
		assert_encodes(gatt_glucose_context_encode, &y, buffer, len);
		assert_int_equal(gatt_glucose_context_decode(buffer, len, &y_back), 0);
		assert_same_context(&y, &y_back);
		if (i % 64 == 0)
			assert_length_exact(gatt_glucose_context_decode, buffer, len, &y_back);
	}
}

static void test_feature_and_names(void **state)
{
	uint16_t feature;
	uint8_t buffer[4];
	size_t len;

	(void)state;
	assert_encodes(gatt_glucose_feature_encode,
		       (&(uint16_t){ GATT_GLUCOSE_FEATURE_MULTIPLE_BONDS }), buffer, len);
	assert_int_equal(gatt_glucose_feature_decode(buffer, len, &feature), 0);
	assert_int_equal(feature, 0x0400);
	assert_length_exact(gatt_glucose_feature_decode, buffer, len, &feature);
	assert_string_equal(gatt_glucose_location_name(1), "finger");
	assert_null(gatt_glucose_location_name(0));
	assert_null(gatt_glucose_location_name(5));
	assert_null(gatt_glucose_location_name(16));
	assert_string_equal(gatt_meal_name(3), "fasting");
	assert_null(gatt_meal_name(0));
	assert_null(gatt_meal_name(6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),    cmocka_unit_test(test_context_vectors),
		cmocka_unit_test(test_specials),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_feature_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
