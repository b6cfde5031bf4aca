/* links: firmware_update firmware protocols */
/*
 * What a device's services say about updates over Bluetooth, and what of a file is to be installed.
 * The conversation itself is in tests/lab/test_firmware_ble.py, over a real kernel.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-tools/update_ble_services.h"
#include "firmware-tools/update_plan.h"

#define LEGACY(n)                                                                                  \
	{                                                                                          \
		{                                                                                  \
			0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15, 0xde, 0xef, 0x12, 0x12, n, \
				0x15, 0, 0                                                         \
		}                                                                                  \
	}
#define SECURE(n)                                                                                  \
	{                                                                                          \
		{                                                                                  \
			0x50, 0xea, 0xda, 0x30, 0x88, 0x83, 0xb8, 0x9f, 0x60, 0x4f, 0x15, 0xf3, n, \
				0x00, 0xc9, 0x8e                                                   \
		}                                                                                  \
	}

static const struct att_uuid POINT = LEGACY(0x31), PACKET = LEGACY(0x32), VERSION = LEGACY(0x34),
			     SECURE_POINT = SECURE(1), SECURE_PACKET = SECURE(2),
			     BUTTONLESS = SECURE(3), BONDED = SECURE(4);

/* one service with these characteristics, at handles 3, 6, 9 ... */
static void make_table(struct att_table *t, const struct att_uuid *const *uuids, size_t n)
{
	const struct att_service service = { .start = 1,
					     .end = 100,
					     .uuid = att_uuid_of16(0xfe59) };

	att_table_clear(t);
	assert_int_equal(att_table_add_service(t, &service), 0);
	for (size_t i = 0; i < n; i++) {
		const struct att_characteristic ch = {
			.declaration = (uint16_t)(2 + 3 * i),
			.value = (uint16_t)(3 + 3 * i),
			.end = (uint16_t)(4 + 3 * i),
			.properties = ATT_PROPERTY_NOTIFY,
			.uuid = *uuids[i],
		};

		assert_int_equal(att_table_add_characteristic(t, &ch), 0);
	}
}

static void reads(struct update_ble_services *s, uint16_t handle, const void *data, size_t len)
{
	const struct att_result result = {
		.kind = ATT_DO_READ, .handle = handle, .data = data, .len = len
	};

	for (size_t i = 0; update_ble_readable(s, i); i++) {
		if (update_ble_readable(s, i)->value == handle)
			update_ble_read(s, i, &result);
	}
}

static void test_secure(void **state)
{
	static const struct att_uuid *const application[] = { &BUTTONLESS };
	static const struct att_uuid *const bonded[] = { &BONDED };
	static const struct att_uuid *const loader[] = { &SECURE_PACKET, &SECURE_POINT };
	struct update_ble_services s;
	struct att_table t;

	(void)state;
	make_table(&t, application, 1);
	update_ble_services_find(&s, &DFU_NORDIC_SECURE, &t);
	update_ble_services_end(&s);
	assert_int_equal(s.mode, DFU_MODE_APPLICATION);
	assert_int_equal(update_ble_channel(&s, DFU_BUTTONLESS)->value, 3);
	assert_null(update_ble_channel(&s, DFU_POINT));
	assert_int_equal(update_ble_subscription(&s, 0)->value, 3);
	assert_null(update_ble_subscription(&s, 1));
	make_table(&t, bonded, 1);
	update_ble_services_find(&s, &DFU_NORDIC_SECURE, &t);
	assert_int_equal(update_ble_channel(&s, DFU_BUTTONLESS)->value, 3);
	make_table(&t, loader, 2);
	update_ble_services_find(&s, &DFU_NORDIC_SECURE, &t);
	update_ble_services_end(&s);
	assert_int_equal(s.mode, DFU_MODE_UPDATE);
	assert_int_equal(update_ble_subscription(&s, 0)->value, 6); /* packets tell nothing */
	assert_null(update_ble_subscription(&s, 1));
	assert_int_equal(update_ble_channel_of(&s, 3), DFU_PACKET);
	assert_int_equal(update_ble_channel_of(&s, 6), DFU_POINT);
	assert_int_equal(update_ble_channel_of(&s, 9), 0);
	update_ble_services_find(&s, &DFU_SMP, &t);
	update_ble_services_end(&s);
	assert_int_equal(s.n_channels, 0);
	assert_int_equal(s.mode, DFU_MODE_APPLICATION);
}

static void test_legacy(void **state)
{
	static const struct att_uuid *const all[] = { &POINT, &PACKET, &VERSION };
	struct update_ble_services s;
	struct att_table t;

	(void)state;
	for (uint8_t version = 1; version < 9; version++) {
		const uint8_t value[2] = { version };

		make_table(&t, all, 3);
		update_ble_services_find(&s, &DFU_NORDIC_LEGACY, &t);
		reads(&s, 9, value, sizeof(value));
		update_ble_services_end(&s);
		assert_int_equal(s.mode, version == 1 ? DFU_MODE_APPLICATION : DFU_MODE_UPDATE);
	}
	make_table(&t, all, 2);
	update_ble_services_find(&s, &DFU_NORDIC_LEGACY, &t);
	update_ble_services_end(&s);
	assert_int_equal(s.mode, DFU_MODE_UPDATE);
}

static void test_facts(void **state)
{
	const struct att_uuid battery = att_uuid_of16(0x2a19), revision = att_uuid_of16(0x2a26);
	const struct att_uuid *const uuids[] = { &battery, &revision };
	const uint8_t good = 29, bad = 101;
	struct update_ble_services s;
	struct att_table t;

	(void)state;
	make_table(&t, uuids, 2);
	update_ble_services_find(&s, &DFU_SMP, &t);
	assert_false(s.facts.has_battery);
	reads(&s, 3, &good, 1);
	assert_true(s.facts.has_battery && s.facts.battery == 29);
	reads(&s, 3, &bad, 1);
	assert_false(s.facts.has_battery);
	reads(&s, 3, "\x1d\x00", 2); /* no Battery Level has two bytes */
	assert_false(s.facts.has_battery);
	reads(&s, 6, "1.\x1b[2J0\xc3\n", 9); /* a terminal is not the device's */
	assert_string_equal(s.facts.firmware, "1.[2J0");
	reads(&s, 6, "0123456789012345678901234567890123456789", 40);
	assert_int_equal(strlen(s.facts.firmware), UPDATE_BLE_TEXT - 1);
}

static void test_neighbours(void **state)
{
	static const uint8_t service[16] = { 0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15,
					     0xde, 0xef, 0x12, 0x12, 0x30, 0x15, 0,    0 };
	struct ble_advert advert = { .services = { 0x180a, 0xfe59 }, .n_services = 1 };

	(void)state;
	assert_false(update_ble_advertises(&DFU_NORDIC_SECURE, &advert));
	advert.n_services = 2;
	assert_true(update_ble_advertises(&DFU_NORDIC_SECURE, &advert));
	assert_false(update_ble_advertises(&DFU_NORDIC_LEGACY, &advert));
	assert_false(update_ble_advertises(&DFU_SMP, &advert));
	memcpy(advert.services128[0], service, sizeof(service));
	advert.n_services128 = 1;
	assert_true(update_ble_advertises(&DFU_NORDIC_LEGACY, &advert));
}

/* MCUboot: 1.3.0, five bytes; its hash is not right, which the plan does not look at */
static void test_plan(void **state)
{
	uint8_t image[32 + 5 + 40] = { 0x3d, 0xb8, 0xf3, 0x96, 0, 0, 0, 0, 32, 0, 0, 0, 5 };
	static const uint8_t tlvs[8] = { 0x07, 0x69, 40, 0, 0x10, 0, 32, 0 };
	struct update_plan plan = { .dfu.allow_older = true };
	struct firmware_image *read = NULL;

	(void)state;
	image[20] = 1;
	image[21] = 3;
	memcpy(image + 37, tlvs, sizeof(tlvs));
	memset(image + 45, 0xab, 32);
	assert_int_equal(firmware_read(image, sizeof(image), NULL, NULL, &read, NULL), 0);
	assert_non_null(update_plan_usb(&plan, read));
	assert_null(update_plan_bluetooth(&plan, read));
	assert_ptr_equal(plan.protocol, &DFU_SMP);
	assert_int_equal(plan.dfu.len, sizeof(image));
	assert_memory_equal(plan.image_hash, image + 45, 32);
	assert_true(plan.dfu.version.known && plan.dfu.version.part[1] == 3);
	assert_true(plan.dfu.allow_older);
	firmware_free(read);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secure), cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_facts),  cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
