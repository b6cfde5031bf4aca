/* links: protocols */
#include "protocols/gatt/battery.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_battery_decode)
ENCODER(gatt_battery_encode)

static void test_all(void **state)
{
	struct gatt_battery x;
	uint8_t buffer[4];
	size_t len;

	(void)state;
	for (uint8_t i = 0; i <= 100; i++) {
		x.level = number_of(i, 0);
		assert_encodes(gatt_battery_encode, &x, buffer, len);
		assert_int_equal(buffer[0], i);
		x.level = number_absent(ABSENT_NAN);
		assert_int_equal(gatt_battery_decode(buffer, len, &x), 0);
		assert_number(x.level, i, 0);
	}
	assert_length_exact(gatt_battery_decode, buffer, len, &x);
	assert_decodes(gatt_battery_decode, "65", &x, -ERANGE);
	assert_decodes(gatt_battery_decode, "ff", &x, -ERANGE);
	assert_decodes(gatt_battery_decode, "", &x, -EMSGSIZE);
	x.level = number_of(101, 0);
	assert_refuses(gatt_battery_encode, &x);
	x.level = number_of(-1, 0);
	assert_refuses(gatt_battery_encode, &x);
	x.level = number_of(555, -1);
	assert_refuses(gatt_battery_encode, &x);
	x.level = number_absent(ABSENT_UNKNOWN);
	assert_refuses(gatt_battery_encode, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
