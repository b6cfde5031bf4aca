/* links: gateway_pipeline gateway_base */
/* What the gateway knows of its devices: when they were seen, and the fleet in a status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/inventory.h"

#define FIRST_MS INT64_C(1794787200000)
#define DAY_MS   INT64_C(86400000)

static struct inventory *new_inventory(void)
{
	struct inventory *inv = calloc(1, sizeof(*inv));

	assert_non_null(inv);
	return inv;
}

static struct inventory_device *add(struct inventory *inv, unsigned int n, const char *model,
				    const char *firmware)
{
	struct intake_device key = { .driver = "weight_scale",
				     .make = "Maker",
				     .has_digest = true };

	key.model = model;
	key.firmware = firmware;
	key.serial_digest[0] = (uint8_t)n;
	key.serial_digest[1] = (uint8_t)(n >> 8);
	return inventory_device(inv, &key);
}

static void seen_is_the_earliest_and_the_latest(void **state)
{
	struct inventory *inv = new_inventory();
	struct inventory_device *d = add(inv, 1, "A", "1.0");

	(void)state;
	assert_int_equal(d->first_seen_ms, 0);
	inventory_seen(d, 0);
	assert_int_equal(d->first_seen_ms, 0);
	inventory_seen(d, FIRST_MS);
	inventory_seen(d, FIRST_MS - 5);
	inventory_seen(d, FIRST_MS + 7);
	inventory_seen(d, FIRST_MS + 3);
	assert_int_equal(d->first_seen_ms, FIRST_MS - 5);
	assert_int_equal(d->last_seen_ms, FIRST_MS + 7);
	free(inv);
}

static void readings_and_enrolment_say_when(void **state)
{
	Wellgate__V1__Reading reading = WELLGATE__V1__READING__INIT;
	Wellgate__V1__DeviceRef ref = WELLGATE__V1__DEVICE_REF__INIT;
	Wellgate__V1__RadioDevice radio = WELLGATE__V1__RADIO_DEVICE__INIT;
	char driver[] = "weight_scale";
	struct intake_device key = { .driver = driver };
	struct inventory *inv = new_inventory();

	(void)state;
	ref.driver = driver;
	reading.device = &ref;
	reading.has_received_at_ms = true;
	reading.received_at_ms = FIRST_MS;
	inventory_count(inv, &reading);
	radio.enrolled_ms = FIRST_MS - 1000;
	inventory_radio_device(inv, &key, &radio, FIRST_MS + 1000);
	assert_int_equal(inv->n, 1);
	assert_int_equal(inv->devices[0].first_seen_ms, FIRST_MS - 1000);
	assert_int_equal(inv->devices[0].last_seen_ms, FIRST_MS + 1000);
	free(inv);
}

static void the_fleet_is_counted(void **state)
{
	Wellgate__V1__FirmwareCount rows[INVENTORY_FLEET];
	struct inventory *inv = new_inventory();
	uint32_t unlisted = 9;

	(void)state;
	assert_int_equal(inventory_fleet(inv, rows, &unlisted), 0);
	assert_int_equal(unlisted, 0);
	(void)add(inv, 1, "A", "1.0");
	(void)add(inv, 2, "B", NULL);
	(void)add(inv, 3, "A", "1.0");
	(void)add(inv, 4, "A", "1.1");
	assert_int_equal(inventory_fleet(inv, rows, &unlisted), 3);
	assert_int_equal(rows[0].devices, 2);
	assert_string_equal(rows[0].firmware, "1.0");
	assert_null(rows[1].firmware);
	assert_int_equal(rows[2].devices, 1);
	assert_false(rows[0].has_first_seen_ms || rows[0].has_last_seen_ms);
	free(inv);
}

/* Of all devices of a row, and by the day. */
static void the_fleet_says_when(void **state)
{
	Wellgate__V1__FirmwareCount rows[INVENTORY_FLEET];
	struct inventory *inv = new_inventory();
	uint32_t unlisted;

	(void)state;
	inventory_seen(add(inv, 1, "A", "1.0"), FIRST_MS + 5);
	inventory_seen(add(inv, 1, "A", "1.0"), FIRST_MS + 2 * DAY_MS + 7);
	inventory_seen(add(inv, 2, "A", "1.0"), FIRST_MS - DAY_MS + 1);
	inventory_seen(add(inv, 2, "A", "1.0"), FIRST_MS + DAY_MS + 3);
	(void)add(inv, 3, "A", "1.0"); /* never seen */
	assert_int_equal(inventory_fleet(inv, rows, &unlisted), 1);
	assert_int_equal(rows[0].devices, 3);
	assert_int_equal(FIRST_MS % DAY_MS, 0);
	assert_int_equal(rows[0].first_seen_ms, FIRST_MS - DAY_MS);
	assert_int_equal(rows[0].last_seen_ms, FIRST_MS + 2 * DAY_MS);
	free(inv);
}

static void a_large_fleet_says_what_it_leaves_out(void **state)
{
	Wellgate__V1__FirmwareCount rows[INVENTORY_FLEET];
	struct inventory *inv = new_inventory();
	uint32_t unlisted = 0, listed = 0;
	size_t n;

	(void)state;
	for (unsigned int i = 0; i < INVENTORY_MAX; i++) {
		char firmware[16];

		(void)snprintf(firmware, sizeof(firmware), "1.%u", i % 50);
		(void)add(inv, i, "A", firmware);
	}
	n = inventory_fleet(inv, rows, &unlisted);
	assert_int_equal(n, INVENTORY_FLEET);
	for (size_t i = 0; i < n; i++)
		listed += rows[i].devices;
	assert_int_equal(listed + unlisted, INVENTORY_MAX);
	assert_in_range(unlisted, 1, INVENTORY_MAX - 1);
	free(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seen_is_the_earliest_and_the_latest),
		cmocka_unit_test(readings_and_enrolment_say_when),
		cmocka_unit_test(the_fleet_is_counted),
		cmocka_unit_test(the_fleet_says_when),
		cmocka_unit_test(a_large_fleet_says_what_it_leaves_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
