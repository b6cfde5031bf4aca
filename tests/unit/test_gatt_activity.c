/* links: protocols */
#include "protocols/gatt/activity.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_activity_decode)
DECODER(gatt_steps_decode)
DECODER(gatt_sleep_decode)
ENCODER(gatt_activity_encode)
ENCODER(gatt_steps_encode)
ENCODER(gatt_sleep_encode)

/* bits that fit a field, by its width in the header's tables */
static uint32_t mask(char width)
{
	return width == '4' ? UINT32_MAX : (UINT32_C(1) << (8 * (width - '0'))) - 1;
}

static const char activity_widths[] = "4442111322233222133422223";
static const char steps_widths[] = "33333";
static const char sleep_widths[] = "33322122333333333313";

static struct gatt_activity_session random_session(struct rng *rng)
{
	struct gatt_activity_session s = {
		.header = rng_u8(rng),
		.session = rng_u16(rng),
		.sub_session = rng_u16(rng),
		.time = rng_u32(rng),
		.sequence = rng_u32(rng),
	};

	return s;
}

static uint32_t random_fields(struct rng *rng, const char *widths, uint32_t *raw)
{
	uint32_t flags = rng_u32(rng) & ((UINT32_C(1) << strlen(widths)) - 1);

	for (size_t i = 0; widths[i]; i++)
		raw[i] = flags >> i & 1 ? rng_u32(rng) & mask(widths[i]) : 0;
	return flags;
}

static void assert_same_session(const struct gatt_activity_session *a,
				const struct gatt_activity_session *b)
{
	assert_int_equal(a->header, b->header);
	assert_int_equal(a->session, b->session);
	assert_int_equal(a->sub_session, b->sub_session);
	assert_int_equal(a->time, b->time);
	assert_int_equal(a->sequence, b->sequence);
}

static void test_activity(void **state)
{
	struct rng rng = { 0x2b3d };
	uint8_t buffer[128];
	size_t len;

	(void)state;
	assert_int_equal(strlen(activity_widths), GATT_ACTIVITY_FIELDS);
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_activity x = { .session = random_session(&rng) }, back;

		x.flags = random_fields(&rng, activity_widths, x.raw);
		assert_encodes(gatt_activity_encode, &x, buffer, len);
		assert_int_equal(gatt_activity_decode(buffer, len, &back), 0);
		assert_same_session(&x.session, &back.session);
		assert_int_equal(x.flags, back.flags);
		assert_memory_equal(x.raw, back.raw, sizeof(x.raw));
		if (i % 64 == 0)
			assert_length_exact(gatt_activity_decode, buffer, len, &back);
	}
}

static void test_steps(void **state)
{
	struct rng rng = { 0x2b40 };
	uint8_t buffer[64];
	size_t len;

	(void)state;
	assert_int_equal(strlen(steps_widths), GATT_STEPS_FIELDS);
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_steps x = { .session = random_session(&rng) }, back;

		x.flags = random_fields(&rng, steps_widths, x.raw);
		assert_encodes(gatt_steps_encode, &x, buffer, len);
		assert_int_equal(gatt_steps_decode(buffer, len, &back), 0);
		assert_same_session(&x.session, &back.session);
		assert_int_equal(x.flags, back.flags);
		assert_memory_equal(x.raw, back.raw, sizeof(x.raw));
		if (i % 64 == 0)
			assert_length_exact(gatt_steps_decode, buffer, len, &back);
	}
}

static void test_sleep(void **state)
{
	struct rng rng = { 0x2b42 };
	uint8_t buffer[128];
	size_t len;

	(void)state;
	assert_int_equal(strlen(sleep_widths), GATT_SLEEP_FIELDS);
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_sleep x = { .session = random_session(&rng) }, back;

		x.flags = random_fields(&rng, sleep_widths, x.raw);
		assert_encodes(gatt_sleep_encode, &x, buffer, len);
		assert_int_equal(gatt_sleep_decode(buffer, len, &back), 0);
		assert_same_session(&x.session, &back.session);
		assert_int_equal(x.flags, back.flags);
		assert_memory_equal(x.raw, back.raw, sizeof(x.raw));
		if (i % 64 == 0)
			assert_length_exact(gatt_sleep_decode, buffer, len, &back);
	}
}

static void test_vectors(void **state)
{
	struct gatt_activity activity;
	struct gatt_steps steps;
	struct gatt_sleep sleep;

	(void)state;
	/* 1000 + 234 steps, 900 m */
	assert_decodes(gatt_steps_decode, "00 0b 0100 0200 3c000000 07000000 e80300 ea0000 840300",
		       &steps, 0);
	assert_int_equal(steps.session.session, 1);
	assert_int_equal(steps.session.sub_session, 2);
	assert_int_equal(steps.session.time, 60);
	assert_int_equal(steps.session.sequence, 7);
	assert_int_equal(steps.raw[GATT_STEPS_DISTANCE], 900);
	assert_number(gatt_steps_total(&steps), 1234, 0);
	assert_decodes(gatt_steps_decode, "00 04 0100 0200 3c000000 07000000 e80300", &steps, 0);
	assert_int_equal(gatt_steps_total(&steps).absent, ABSENT_UNKNOWN);
	assert_decodes(gatt_steps_decode, "00 02 0100 0200 3c000000 07000000 e80300", &steps, 0);
	assert_number(gatt_steps_total(&steps), 1000, 0);

	assert_decodes(gatt_activity_decode,
		       "00 80080100 0100 0200 3c000000 07000000 010203 040506 fe", &activity, 0);
	assert_int_equal(activity.raw[GATT_ACTIVITY_DISTANCE], 0x030201);
	assert_int_equal(activity.raw[GATT_ACTIVITY_WALKING_TIME], 0x060504);
	assert_int_equal(activity.raw[GATT_ACTIVITY_FLOORS], 0xfe);

	assert_decodes(gatt_sleep_decode, "00 290000 0100 0200 3c000000 07000000 706200 0300 5c",
		       &sleep, 0);
	assert_int_equal(sleep.raw[GATT_SLEEP_ASLEEP], 25200);
	assert_int_equal(sleep.raw[GATT_SLEEP_AWAKENINGS], 3);
	assert_int_equal(sleep.raw[GATT_SLEEP_EFFICIENCY], 92);
}

static void test_refused(void **state)
{
	struct gatt_activity activity;
	struct gatt_steps steps;
	struct gatt_sleep sleep;

	(void)state;
	assert_decodes(gatt_activity_decode, "00 00000002 0100 0200 3c000000 07000000", &activity,
		       -ERANGE);
	assert_decodes(gatt_steps_decode, "00 20 0100 0200 3c000000 07000000", &steps, -ERANGE);
	assert_decodes(gatt_sleep_decode, "00 000010 0100 0200 3c000000 07000000", &sleep, -ERANGE);
	activity = (struct gatt_activity){ .flags = 1 << GATT_ACTIVITY_FIELDS };
	assert_refuses(gatt_activity_encode, &activity);
	activity = (struct gatt_activity){ .flags = 1 << GATT_ACTIVITY_FLOORS };
	activity.raw[GATT_ACTIVITY_FLOORS] = 256;
	assert_refuses(gatt_activity_encode, &activity);
	steps = (struct gatt_steps){ .flags = 1, .raw = { 1 << 24 } };
	assert_refuses(gatt_steps_encode, &steps);
	sleep = (struct gatt_sleep){ .flags = 1 << GATT_SLEEP_FIELDS };
	assert_refuses(gatt_sleep_encode, &sleep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_activity), cmocka_unit_test(test_steps),
		cmocka_unit_test(test_sleep),    cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
