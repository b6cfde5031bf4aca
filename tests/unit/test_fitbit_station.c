/* links: drivers */
/* What a base station says, and what is kept about it. */
#include "drivers/fitbit_station.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/registry.h"
#include "protocols/fitbit/dump.h"

/* of a One, as an open client has seen it; behind the two bytes of service data that count is what
 * was there before */
static const uint8_t ONE[] = { 0xe5, 0x14, 0x53, 0x33, 0xee, 0xff, 0x01, 0xbc, 0x02,
			       0x05, 0x04, 0x03, 0x2c, 0x31, 0xf6, 0xd8, 0x58 };

static void test_found(void **state)
{
	uint8_t payload[sizeof(ONE)];
	struct fitbit_found f;

	(void)state;
	assert_int_equal(fitbit_found_decode(ONE, sizeof(ONE), &f), 0);
	assert_memory_equal(f.id, ONE, sizeof(f.id));
	assert_int_equal(f.address_type, 1);
	assert_int_equal(f.rssi, -68);
	assert_true(f.has_product && f.unsynced);
	assert_int_equal(f.product, FITBIT_ONE);
	assert_int_equal(f.service, 0x58d8);
	memcpy(payload, ONE, sizeof(ONE));
	payload[10] = 6;
	assert_int_equal(fitbit_found_decode(payload, sizeof(payload), &f), 0);
	assert_false(f.unsynced);
	payload[8] = 0; /* then the rest says nothing */
	payload[10] = 4;
	assert_int_equal(fitbit_found_decode(payload, sizeof(payload), &f), 0);
	assert_false(f.has_product || f.unsynced);
	payload[8] = 7;
	assert_int_equal(fitbit_found_decode(payload, sizeof(payload), &f), -ERANGE);
	for (size_t len = 0; len < sizeof(ONE); len++)
		assert_int_equal(fitbit_found_decode(ONE, len, &f), -EMSGSIZE);
}

static void test_frame(void **state)
{
	static const uint8_t frame[32] = { 3, 0x02, 1, 0xa5 };
	const uint8_t *payload;
	size_t len;

	(void)state;
	assert_int_equal(fitbit_station_frame(frame, sizeof(frame), &payload, &len), 2);
	assert_int_equal(len, 1);
	assert_ptr_equal(payload, frame + 2);
	assert_int_equal(fitbit_station_frame(frame, 2, &payload, &len), -EMSGSIZE);
	assert_int_equal(fitbit_station_frame(frame, 0, &payload, &len), -EMSGSIZE);
	assert_int_equal(fitbit_station_frame((const uint8_t[]){ 1, 2 }, 2, &payload, &len),
			 -EMSGSIZE);
	assert_int_equal(fitbit_station_frame((const uint8_t[64]){ 33, 2 }, 64, &payload, &len),
			 -EMSGSIZE);
}

static void test_station(void **state)
{
	static const uint8_t info[20] = { 2, 5, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 };
	char address[FITBIT_STATION_TEXT];

	(void)state;
	assert_int_equal(fitbit_station_decode(info, 20, address), 0);
	assert_string_equal(address, "665544332211");
	assert_int_equal(fitbit_station_decode(info, 19, address), 0);
	assert_int_equal(fitbit_station_decode(info, 18, address), -EMSGSIZE);
	assert_int_equal(fitbit_station_decode(info, 21, address), -EMSGSIZE);
}

/* It is never found by the devices' own table: only `wellgate fitbit` uses it. */
static void test_survey(void **state)
{
	uint8_t kept[FITBIT_ALLOWED_SIZE];

	(void)state;
	for (const struct driver *const *d = drivers; *d; d++)
		assert_ptr_not_equal(*d, &fitbit_survey);
	fitbit_allow(ONE, kept);
	assert_int_equal(kept[0], 1);
	assert_memory_equal(kept + 1, ONE, FITBIT_ID_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_station),
		cmocka_unit_test(test_survey),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
