/* links: drivers */
#include "drivers/registry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *first, *second;

static const struct driver *match_services(const uint16_t *services, size_t n)
{
	const struct drv_identity id = {
		.bus = DRV_BUS_BLE,
		.services = services,
		.n_services = n,
	};

	return registry_match(&id, NULL);
}

static void test_no_tie(void **state)
{
	(void)state;
	assert_int_equal(registry_check(drivers, &first, &second), 0);
}

static void test_table(void **state)
{
	(void)state;
	assert_non_null(drivers[0]);
	for (const struct driver *const *d = drivers; *d; d++) {
		assert_ptr_equal(registry_by_name((*d)->name), *d);
		assert_true((*d)->label[0] != '\0' && (*d)->frame);
		assert_true((*d)->state_size <= DRV_STATE_MAX);
		assert_string_not_equal(registry_maturity_name((*d)->maturity), "unknown");
		if (d[1])
			assert_true(strcmp((*d)->name, d[1]->name) < 0);
	}
	assert_null(registry_by_name("toaster"));
}

static void test_match(void **state)
{
	static const struct {
		uint16_t service;
		const char *name;
	} rows[] = {
		{ 0x181d, "weight_scale" },   { 0x181b, "weight_scale" },
		{ 0x1810, "blood_pressure" }, { 0x180d, "heart_rate" },
		{ 0x1809, "thermometer" },    { 0x1822, "pulse_oximeter" },
		{ 0x1808, "glucose_meter" },  { 0x183e, "activity_monitor" },
		{ 0x1814, "running_speed" },
	};
	static const uint16_t unknown = 0x1234;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct driver *d = match_services(&rows[i].service, 1);

		assert_non_null(d);
		assert_string_equal(d->name, rows[i].name);
	}
	assert_null(match_services(&unknown, 1));
	assert_null(match_services(NULL, 0));
}

/* one device, several services: the order does not matter, the rank does */
static void test_several_services(void **state)
{
	static const uint16_t belt[] = { 0x180d, 0x1814 }, pod[] = { 0x1814, 0x180d };
	static const uint16_t scale[] = { 0x180a, 0x181b, 0x181d };

	(void)state;
	assert_string_equal(match_services(belt, 2)->name, "heart_rate");
	assert_string_equal(match_services(pod, 2)->name, "heart_rate");
	assert_string_equal(match_services(scale, 3)->name, "weight_scale");
}

static void test_other_bus(void **state)
{
	static const uint16_t service = 0x1810;
	const struct drv_identity id = {
		.bus = DRV_BUS_BLE_ADVERT,
		.services = &service,
		.n_services = 1,
	};

	(void)state;
	assert_null(registry_match(&id, NULL));
}

static void test_by_channel(void **state)
{
	static const struct {
		uint16_t channel;
		const char *name;
	} rows[] = {
		{ 0x2a9d, "weight_scale" },   { 0x2a9c, "weight_scale" },
		{ 0x2a35, "blood_pressure" }, { 0x2a36, "blood_pressure" },
		{ 0x2b34, "blood_pressure" }, { 0x2a37, "heart_rate" },
		{ 0x2a1c, "thermometer" },    { 0x2a5e, "pulse_oximeter" },
		{ 0x2a5f, "pulse_oximeter" }, { 0x2a18, "glucose_meter" },
		{ 0x2a34, "glucose_meter" },  { 0x2a52, "glucose_meter" },
		{ 0x2a9f, "weight_scale" },   { 0x2b40, "activity_monitor" },
		{ 0x2a53, "running_speed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_non_null(registry_by_channel(rows[i].channel));
		assert_string_equal(registry_by_channel(rows[i].channel)->name, rows[i].name);
	}
	assert_null(registry_by_channel(0x2a19)); /* only read */
	assert_null(registry_by_channel(0x2a99)); /* only written */
	assert_null(registry_by_channel(0xffff));
}

/* ---- tables made up to tie, or just not to ---- */

static int check_rows(struct drv_match a, struct drv_match b)
{
	const struct drv_match rows_a[] = { a, { 0 } }, rows_b[] = { b, { 0 } };
	const struct driver one = { .name = "one", .match = rows_a };
	const struct driver two = { .name = "two", .match = rows_b };
	const struct driver *const table[] = { &one, &two, NULL };

	first = second = NULL;
	return registry_check(table, &first, &second);
}

static void test_ties_are_found(void **state)
{
	static const uint8_t uuid[16] = { 1 };

	(void)state;
	assert_int_equal(check_rows((struct drv_match){ .service = 0x181d },
				    (struct drv_match){ .service = 0x181d }),
			 -EEXIST);
	assert_string_equal(first, "one");
	assert_string_equal(second, "two");
	/* a device may offer both */
	assert_int_equal(check_rows((struct drv_match){ .service = 0x181d },
				    (struct drv_match){ .service = 0x1810 }),
			 -EEXIST);
	assert_int_equal(check_rows((struct drv_match){ .service = 0x181d },
				    (struct drv_match){ .service_uuid128 = uuid }),
			 -EEXIST);
	assert_int_equal(check_rows((struct drv_match){ .company = 0x611 },
				    (struct drv_match){ .service = 0x181d }),
			 -EEXIST);
	assert_int_equal(check_rows((struct drv_match){ .bus = DRV_BUS_USB, .vid = 1 },
				    (struct drv_match){ .vid = 1, .pid = 2 }),
			 -EEXIST);
}

static void test_what_is_no_tie(void **state)
{
	(void)state;
	/* one field each, and the name says more */
	assert_int_equal(check_rows((struct drv_match){ .company = 0x611 },
				    (struct drv_match){ .name_prefix = "BF" }),
			 0);
	assert_int_equal(check_rows((struct drv_match){ .service = 0x181d, .rank = 1 },
				    (struct drv_match){ .service = 0x1810 }),
			 0);
	assert_int_equal(check_rows((struct drv_match){ .service = 0x181d },
				    (struct drv_match){ .service = 0x181d, .company = 1 }),
			 0);
	assert_int_equal(
		check_rows((struct drv_match){ .company = 1 }, (struct drv_match){ .company = 2 }),
		0);
	assert_int_equal(check_rows((struct drv_match){ .bus = DRV_BUS_USB, .vid = 1 },
				    (struct drv_match){ .bus = DRV_BUS_HID, .vid = 1 }),
			 0);
	assert_int_equal(check_rows((struct drv_match){ .name_prefix = "BF" },
				    (struct drv_match){ .name_prefix = "BM" }),
			 0);
	assert_int_equal(check_rows((struct drv_match){ .name_prefix = "BF" },
				    (struct drv_match){ .name_prefix = "BF720" }),
			 0);
}

/* rows of one driver may meet as long as they mean the same */
static void test_quirks_tie(void **state)
{
	const struct drv_match same[] = { { .service = 1 }, { .service = 2 }, { 0 } };
	const struct drv_match differ[] = { { .service = 1 },
					    { .service = 2, .quirks = 1 },
					    { 0 } };
	struct driver d = { .name = "one", .match = same };
	const struct driver *const table[] = { &d, NULL };

	(void)state;
	assert_int_equal(registry_check(table, &first, &second), 0);
	d.match = differ;
	assert_int_equal(registry_check(table, &first, &second), -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_tie),         cmocka_unit_test(test_table),
		cmocka_unit_test(test_match),          cmocka_unit_test(test_several_services),
		cmocka_unit_test(test_other_bus),      cmocka_unit_test(test_by_channel),
		cmocka_unit_test(test_ties_are_found), cmocka_unit_test(test_what_is_no_tie),
		cmocka_unit_test(test_quirks_tie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
