/* links: protocols */
#include "protocols/gatt/time.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_date_time_decode)
DECODER(gatt_current_time_decode)
DECODER(gatt_local_time_information_decode)
ENCODER(gatt_date_time_encode)
ENCODER(gatt_current_time_encode)
ENCODER(gatt_local_time_information_encode)

static void test_date_time(void **state)
{
	const struct gatt_date_time want = { 2026, 5, 12, 18, 53, 54 };
	struct gatt_date_time x;
	uint8_t buffer[16];
	size_t len;

	(void)state;
	assert_decodes(gatt_date_time_decode, "ea07 05 0c 12 35 36", &x, 0);
	assert_same_time(&x, &want);
	assert_encodes(gatt_date_time_encode, &want, buffer, len);
	assert_memory_equal(buffer, "\xea\x07\x05\x0c\x12\x35\x36", GATT_DATE_TIME_SIZE);
	assert_length_exact(gatt_date_time_decode, buffer, len, &x);
}

static void test_limits(void **state)
{
	static const struct {
		struct gatt_date_time x;
		bool valid;
	} rows[] = {
		{ { 0, 0, 0, 0, 0, 0 }, true },
		{ { 1582, 1, 1, 0, 0, 0 }, true },
		{ { 1581, 12, 31, 0, 0, 0 }, false },
		{ { 9999, 12, 31, 23, 59, 59 }, true },
		{ { 10000, 1, 1, 0, 0, 0 }, false },
		{ { 2026, 13, 1, 0, 0, 0 }, false },
		{ { 2026, 1, 31, 0, 0, 0 }, true },
		{ { 2026, 1, 32, 0, 0, 0 }, false },
		{ { 2026, 4, 30, 0, 0, 0 }, true },
		{ { 2026, 4, 31, 0, 0, 0 }, false },
		{ { 2026, 2, 28, 0, 0, 0 }, true },
		{ { 2026, 2, 29, 0, 0, 0 }, false },
		{ { 2024, 2, 29, 0, 0, 0 }, true },
		{ { 2000, 2, 29, 0, 0, 0 }, true },
		{ { 2100, 2, 29, 0, 0, 0 }, false },
		{ { 0, 2, 29, 0, 0, 0 }, true }, /* of some year */
		{ { 0, 2, 30, 0, 0, 0 }, false },
		{ { 2026, 0, 31, 0, 0, 0 }, true },
		{ { 2026, 0, 32, 0, 0, 0 }, false },
		{ { 2026, 1, 0, 0, 0, 0 }, true },
		{ { 2026, 1, 1, 24, 0, 0 }, false },
		{ { 2026, 1, 1, 0, 60, 0 }, false },
		{ { 2026, 1, 1, 0, 0, 60 }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t data[GATT_DATE_TIME_SIZE];
		struct writer w = writer_of(data, sizeof(data));
		struct gatt_date_time back;

		assert_int_equal(gatt_date_time_valid(&rows[i].x), rows[i].valid);
		gatt_date_time_write(&rows[i].x, &w);
		assert_int_equal(w.len, sizeof(data));
		assert_int_equal(gatt_date_time_decode(data, sizeof(data), &back),
				 rows[i].valid ? 0 : -ERANGE);
		if (rows[i].valid)
			assert_same_time(&back, &rows[i].x);
		else
			assert_refuses(gatt_date_time_encode, &rows[i].x);
	}
}

static void test_date_time_there_and_back(void **state)
{
	struct rng rng = { 0x2a08 };

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_date_time x = rng_date_time(&rng), back;
		uint8_t buffer[8];
		size_t len;

		assert_encodes(gatt_date_time_encode, &x, buffer, len);
		assert_int_equal(gatt_date_time_decode(buffer, len, &back), 0);
		assert_same_time(&x, &back);
	}
}

static void test_current_time(void **state)
{
	const struct gatt_date_time want = { 2026, 5, 12, 18, 53, 54 };
	struct gatt_current_time x;
	uint8_t buffer[16];
	size_t len;

	(void)state;
	assert_decodes(gatt_current_time_decode, "ea07 05 0c 12 35 36 02 80 03", &x, 0);
	assert_same_time(&x.time, &want);
	assert_int_equal(x.day_of_week, 2);
	assert_int_equal(x.fractions256, 0x80);
	assert_int_equal(x.adjust, GATT_TIME_ADJUST_MANUAL | GATT_TIME_ADJUST_REFERENCE);
	assert_encodes(gatt_current_time_encode, &x, buffer, len);
	assert_memory_equal(buffer, "\xea\x07\x05\x0c\x12\x35\x36\x02\x80\x03", 10);
	assert_length_exact(gatt_current_time_decode, buffer, len, &x);
	assert_decodes(gatt_current_time_decode, "ea07 05 0c 12 35 36 00 ff 0f", &x, 0);
	assert_decodes(gatt_current_time_decode, "ea07 05 0c 12 35 36 08 00 00", &x, -ERANGE);
	assert_decodes(gatt_current_time_decode, "ea07 05 0c 12 35 36 07 00 10", &x, -ERANGE);
	assert_decodes(gatt_current_time_decode, "ea07 05 0c 18 35 36 07 00 00", &x, -ERANGE);
}

static void test_current_time_refused(void **state)
{
	struct gatt_current_time x = { .day_of_week = 8 };

	(void)state;
	assert_refuses(gatt_current_time_encode, &x);
	x.day_of_week = 7;
	x.adjust = 0x10;
	assert_refuses(gatt_current_time_encode, &x);
	x.adjust = 0;
	x.time.month = 13;
	assert_refuses(gatt_current_time_encode, &x);
}

/* all 65536 values, against the definition */
static void test_local_time_information(void **state)
{
	(void)state;
	for (int zone = -128; zone <= 127; zone++) {
		for (unsigned int dst = 0; dst <= 255; dst++) {
			const uint8_t data[] = { (uint8_t)zone, (uint8_t)dst };
			const bool valid =
				(zone == GATT_ZONE_UNKNOWN || (zone >= -48 && zone <= 56)) &&
				(dst == 0 || dst == 2 || dst == 4 || dst == 8 ||
				 dst == GATT_DST_UNKNOWN);
			struct gatt_local_time_information x = { (int8_t)zone, (uint8_t)dst }, y;
			uint8_t back[2];
			struct writer w = writer_of(back, sizeof(back));

			assert_int_equal(gatt_local_time_information_decode(data, 2, &y),
					 valid ? 0 : -ERANGE);
			assert_int_equal(gatt_local_time_information_encode(&x, &w),
					 valid ? 0 : -ERANGE);
			if (!valid)
				continue;
			assert_int_equal(y.zone_quarters, zone);
			assert_int_equal(y.dst_quarters, dst);
			assert_memory_equal(back, data, 2);
		}
	}
}

static void test_local_time_lengths(void **state)
{
	const struct gatt_local_time_information x = { 4, 4 };
	struct gatt_local_time_information y;
	uint8_t buffer[4];
	size_t len;

	(void)state;
	assert_encodes(gatt_local_time_information_encode, &x, buffer, len);
	assert_length_exact(gatt_local_time_information_decode, buffer, len, &y);
	assert_decodes(gatt_local_time_information_decode, "04 03", &y, -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_date_time),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_date_time_there_and_back),
		cmocka_unit_test(test_current_time),
		cmocka_unit_test(test_current_time_refused),
		cmocka_unit_test(test_local_time_information),
		cmocka_unit_test(test_local_time_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
