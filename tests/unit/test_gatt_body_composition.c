/* links: protocols */
#include "protocols/gatt/body_composition.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_body_composition_decode)
DECODER(gatt_body_composition_feature_decode)
ENCODER(gatt_body_composition_encode)
ENCODER(gatt_body_composition_feature_encode)

/* a number and whether it is there, to write the nine of them in a loop */
static void assert_optional(bool has_a, struct number a, bool has_b, struct number b)
{
	assert_int_equal(has_a, has_b);
	assert_same_number(a, b);
}

static void assert_same(const struct gatt_body_composition *a,
			const struct gatt_body_composition *b)
{
	assert_int_equal(a->imperial, b->imperial);
	assert_int_equal(a->multiple_packet, b->multiple_packet);
	assert_same_number(a->body_fat, b->body_fat);
	assert_int_equal(a->has_time, b->has_time);
	assert_same_time(&a->time, &b->time);
	assert_int_equal(a->has_user, b->has_user);
	assert_int_equal(a->user, b->user);
#define SAME(name) assert_optional(a->has_##name, a->name, b->has_##name, b->name)
	SAME(basal_metabolism);
	SAME(muscle_percent);
	SAME(muscle_mass);
	SAME(fat_free_mass);
	SAME(soft_lean_mass);
	SAME(body_water_mass);
	SAME(impedance);
	SAME(weight);
	SAME(height);
#undef SAME
}

static struct number rng_quantity(struct rng *rng, int64_t step, int32_t exponent)
{
	if (rng_below(rng, 16) == 0)
		return number_absent(ABSENT_UNSUCCESSFUL);
	return number_of((int64_t)rng_below(rng, 0xffff) * step, exponent);
}

static struct number rng_mass(struct rng *rng, bool imperial)
{
	return imperial ? rng_quantity(rng, 1, -2) : rng_quantity(rng, 5, -3);
}

static bool rng_maybe(struct rng *rng, struct number n, struct number *ret)
{
	if (!rng_coin(rng))
		return false;
	*ret = n;
	return true;
}

static struct gatt_body_composition rng_body_composition(struct rng *rng)
{
	struct gatt_body_composition x = { .imperial = rng_coin(rng) };

	x.multiple_packet = rng_coin(rng);
	x.body_fat = rng_quantity(rng, 1, -1);
	x.has_time = rng_coin(rng);
	if (x.has_time)
		x.time = rng_date_time(rng);
	x.has_user = rng_coin(rng);
	if (x.has_user)
		x.user = rng_u8(rng);
	x.has_basal_metabolism = rng_maybe(rng, rng_quantity(rng, 1, 0), &x.basal_metabolism);
	x.has_muscle_percent = rng_maybe(rng, rng_quantity(rng, 1, -1), &x.muscle_percent);
	x.has_muscle_mass = rng_maybe(rng, rng_mass(rng, x.imperial), &x.muscle_mass);
	x.has_fat_free_mass = rng_maybe(rng, rng_mass(rng, x.imperial), &x.fat_free_mass);
	x.has_soft_lean_mass = rng_maybe(rng, rng_mass(rng, x.imperial), &x.soft_lean_mass);
	x.has_body_water_mass = rng_maybe(rng, rng_mass(rng, x.imperial), &x.body_water_mass);
	x.has_impedance = rng_maybe(rng, rng_quantity(rng, 1, -1), &x.impedance);
	x.has_weight = rng_maybe(rng, rng_mass(rng, x.imperial), &x.weight);
	x.has_height = rng_maybe(rng, rng_quantity(rng, 1, x.imperial ? -1 : -3), &x.height);
	return x;
}

/* each optional field alone, at its bit, in both systems of units */
static void test_each_field(void **state)
{
	static const struct {
		unsigned int bit;
		int64_t si, imperial;
		int32_t si_exponent, imperial_exponent;
		size_t has, number;
	} rows[] = {
#define ROW(bit, si, si_exponent, imperial, imperial_exponent, name) \
	{ bit,                                                       \
	  si,                                                        \
	  imperial,                                                  \
	  si_exponent,                                               \
	  imperial_exponent,                                         \
	  offsetof(struct gatt_body_composition, has_##name),        \
	  offsetof(struct gatt_body_composition, name) }
		ROW(3, 7000, 0, 7000, 0, basal_metabolism),
		ROW(4, 7000, -1, 7000, -1, muscle_percent),
		ROW(5, 35000, -3, 7000, -2, muscle_mass),
		ROW(6, 35000, -3, 7000, -2, fat_free_mass),
		ROW(7, 35000, -3, 7000, -2, soft_lean_mass),
		ROW(8, 35000, -3, 7000, -2, body_water_mass),
		ROW(9, 7000, -1, 7000, -1, impedance),
		ROW(10, 35000, -3, 7000, -2, weight),
		ROW(11, 7000, -3, 7000, -1, height),
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned int imperial = 0; imperial <= 1; imperial++) {
			const unsigned int flags = 1U << rows[i].bit | imperial;
			const uint8_t data[] = { (uint8_t)flags, (uint8_t)(flags >> 8),
						 0xea,           0x00,
						 0x58,           0x1b };
			struct gatt_body_composition x;
			struct number n;
			bool has;

			assert_int_equal(gatt_body_composition_decode(data, sizeof(data), &x), 0);
			memcpy(&has, (const char *)&x + rows[i].has, sizeof(has));
			memcpy(&n, (const char *)&x + rows[i].number, sizeof(n));
			assert_true(has);
			assert_int_equal(x.imperial, imperial);
			assert_number(x.body_fat, 234, -1);
			assert_number(n, imperial ? rows[i].imperial : rows[i].si,
				      imperial ? rows[i].imperial_exponent : rows[i].si_exponent);
		}
	}
}

static void test_vectors(void **state)
{
	struct gatt_body_composition x;

	(void)state;
	/* everything, in order: time, user, kJ, %, four masses, Ohm, weight, height */
	assert_decodes(gatt_body_composition_decode,
		       "fe0f ea00 ea07050c123536 02 581b 8101 2018 e82f 1027 4010 0314 783e 2607",
		       &x, 0);
	assert_number(x.body_fat, 234, -1);
	assert_int_equal(x.time.month, 5);
	assert_int_equal(x.user, 2);
	assert_number(x.basal_metabolism, 7000, 0);
	assert_number(x.muscle_percent, 385, -1);
	assert_number(x.muscle_mass, 30880, -3);
	assert_number(x.fat_free_mass, 61320, -3);
	assert_number(x.soft_lean_mass, 50000, -3);
	assert_number(x.body_water_mass, 20800, -3);
	assert_number(x.impedance, 5123, -1);
	assert_number(x.weight, 79960, -3);
	assert_number(x.height, 1830, -3);
	assert_false(x.multiple_packet);
	assert_decodes(gatt_body_composition_decode, "0010 ffff", &x, 0);
	assert_true(x.multiple_packet);
	assert_int_equal(x.body_fat.absent, ABSENT_UNSUCCESSFUL);
	assert_decodes(gatt_body_composition_decode, "0006 ea00 ffff ffff", &x, 0);
	assert_int_equal(x.impedance.absent, ABSENT_UNSUCCESSFUL);
	assert_int_equal(x.weight.absent, ABSENT_UNSUCCESSFUL);
}

static void test_refused_frames(void **state)
{
	struct gatt_body_composition x;

	(void)state;
	assert_decodes(gatt_body_composition_decode, "", &x, -EMSGSIZE);
	assert_decodes(gatt_body_composition_decode, "0020 ea00", &x, -ERANGE);
	assert_decodes(gatt_body_composition_decode, "0040 ea00", &x, -ERANGE);
	assert_decodes(gatt_body_composition_decode, "0080 ea00", &x, -ERANGE);
	assert_decodes(gatt_body_composition_decode, "0200 ea00 ea070520123536", &x, -ERANGE);
}

static void test_there_and_back(void **state)
{
	struct rng rng = { 0x2a9c };
	uint8_t buffer[GATT_BODY_COMPOSITION_SIZE_MAX];
	size_t len, longest = 0;

	(void)state;
	for (int i = 0; i < ROUNDS * 4; i++) {
		struct gatt_body_composition x = rng_body_composition(&rng), back;

		assert_encodes(gatt_body_composition_encode, &x, buffer, len);
		assert_int_equal(gatt_body_composition_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 64 == 0)
			assert_length_exact(gatt_body_composition_decode, buffer, len, &back);
		longest = len > longest ? len : longest;
	}
	assert_int_equal(longest, GATT_BODY_COMPOSITION_SIZE_MAX);
}

static void test_refused_values(void **state)
{
	struct gatt_body_composition x = { .body_fat = number_of(2345, -2) };

	(void)state;
	assert_refuses(gatt_body_composition_encode, &x);
	x.body_fat = number_of(234, -1);
	x.has_time = true;
	x.time.minute = 60;
	assert_refuses(gatt_body_composition_encode, &x);
	x.time.minute = 0;
	x.has_muscle_mass = true;
	x.muscle_mass = number_of(30881, -3);
	assert_refuses(gatt_body_composition_encode, &x);
	x.muscle_mass = number_of(30880, -3);
	x.has_height = true;
	x.height = number_absent(ABSENT_UNKNOWN);
	assert_refuses(gatt_body_composition_encode, &x);
	x.height = number_of(65535, -3);
	assert_refuses(gatt_body_composition_encode, &x);
}

static void test_feature(void **state)
{
	struct rng rng = { 0x2a9b };
	struct gatt_body_composition_feature x;
	uint8_t buffer[8];
	size_t len;

	(void)state;
	assert_decodes(gatt_body_composition_feature_decode, "ffbf0100", &x, 0);
	assert_true(x.time && x.users && x.basal_metabolism && x.muscle_percent && x.muscle_mass);
	assert_true(x.fat_free_mass && x.soft_lean_mass && x.body_water_mass && x.impedance);
	assert_true(x.weight && x.height);
	assert_int_equal(x.mass_resolution, 7);
	assert_int_equal(x.height_resolution, 3);
	assert_int_equal(x.reserved, 0);
	assert_decodes(gatt_body_composition_feature_decode, "00020400", &x, 0);
	assert_true(x.weight);
	assert_false(x.impedance || x.height);
	assert_true(x.reserved == 0x00040000);
	for (int i = 0; i < ROUNDS; i++) {
		const uint32_t bits = rng_u32(&rng);
		const uint8_t data[] = { (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
					 (uint8_t)(bits >> 24) };

		assert_int_equal(gatt_body_composition_feature_decode(data, sizeof(data), &x), 0);
		assert_encodes(gatt_body_composition_feature_encode, &x, buffer, len);
		assert_int_equal(len, sizeof(data));
		assert_memory_equal(buffer, data, sizeof(data));
	}
	assert_length_exact(gatt_body_composition_feature_decode, buffer, len, &x);
	x = (struct gatt_body_composition_feature){ .mass_resolution = 16 };
	assert_refuses(gatt_body_composition_feature_encode, &x);
	x = (struct gatt_body_composition_feature){ .height_resolution = 8 };
	assert_refuses(gatt_body_composition_feature_encode, &x);
	x = (struct gatt_body_composition_feature){ .reserved = 0x00020000 };
	assert_refuses(gatt_body_composition_feature_encode, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field),     cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refused_frames), cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_refused_values), cmocka_unit_test(test_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
