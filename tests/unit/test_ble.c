/* links: transports */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/transport/ble.h"

static void addresses_are_read_and_printed(void **state)
{
	struct ble_address a;
	char text[BLE_ADDRESS_TEXT];

	(void)state;
	assert_int_equal(ble_address_parse("02:00:5e:1A:fF:01", BLE_RANDOM, &a), 0);
	assert_memory_equal(a.bytes, "\x02\x00\x5e\x1a\xff\x01", 6);
	assert_int_equal(a.type, BLE_RANDOM);
	ble_address_print(&a, text);
	assert_string_equal(text, "02:00:5E:1A:FF:01");
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = { "",
					   "02:00:5E:10:00",
					   "02:00:5E:10:00:0",
					   "02:00:5E:10:00:011",
					   "02:00:5E:10:00:01:",
					   "02-00-5E-10-00-01",
					   "02:00:5G:10:00:01",
					   "02:00: E:10:00:01",
					   "02:00:+E:10:00:01",
					   "020:0:5E:10:00:01",
					   " 2:00:5E:10:00:01" };
	struct ble_address a = { .bytes = { 1, 2, 3, 4, 5, 6 }, .type = BLE_RANDOM };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ble_address_parse(bad[i], BLE_PUBLIC, &a), -EINVAL);
	assert_memory_equal(a.bytes, "\1\2\3\4\5\6", 6);
	assert_int_equal(a.type, BLE_RANDOM);
}

static void the_type_is_part_of_an_address(void **state)
{
	struct ble_address a = { .bytes = { 1, 2, 3, 4, 5, 6 } }, b = a, c = a, d = a;

	(void)state;
	c.type = BLE_RANDOM;
	d.bytes[5] = 7;
	assert_true(ble_address_equal(&a, &b));
	assert_false(ble_address_equal(&a, &c));
	assert_false(ble_address_equal(&a, &d));
}

/* Core 5.4, vol 6 part B, 1.3.2: static 11, resolvable 01, not resolvable 00 */
static void resolvable_addresses_are_told_apart(void **state)
{
	static const struct {
		uint8_t first;
		enum ble_address_type type;
		bool resolvable;
	} rows[] = {
		{ 0x40, BLE_RANDOM, true },  { 0x7f, BLE_RANDOM, true },
		{ 0x3f, BLE_RANDOM, false }, { 0x80, BLE_RANDOM, false },
		{ 0xc0, BLE_RANDOM, false }, { 0x40, BLE_PUBLIC, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ble_address a = { .bytes = { rows[i].first }, .type = rows[i].type };

		assert_int_equal(ble_address_is_resolvable(&a), rows[i].resolvable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_printed),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(the_type_is_part_of_an_address),
		cmocka_unit_test(resolvable_addresses_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
