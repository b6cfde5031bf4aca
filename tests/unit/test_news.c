/* links: drivers */
#include "tests/unit/driver_test.h"

/* What drivers say to somebody in front of the device. */

#define IS(name) SESSION_NEWS(DRV_NEWS_##name)
#define NOT_READ IS(MODEL_NOT_SUPPORTED)
#define UNLOCK   0xb305 /* of omron_ble */

static uint32_t news(const struct bench *b)
{
	return session_facts(b->session)->news;
}

static void test_omron_usb(void **state)
{
	struct bench b = { .session = NULL };

	(void)state;
	bench_begin(&b, "omron_usb", 0, NULL, false);
	assert_int_equal(news(&b), IS(PRESS_BUTTON));
	while (session_timeout(b.session, b.now += 2000000) == 0)
		b.log[0] = '\0';
	assert_int_equal(news(&b), IS(PRESS_BUTTON)); /* nobody did: it stands */
	bench_begin(&b, "omron_usb", 0, NULL, false);
	(void)bench_give(&b, DRV_WIRE_REPORT, "0208", false);
	assert_int_equal(news(&b), 0);
	bench_end(&b);
}

static void test_omron_classic(void **state)
{
	struct bench b = { .session = NULL };

	(void)state;
	bench_begin(&b, "omron_usb_classic", 0, NULL, false);
	notify(&b, DRV_WIRE_REPORT, "024f4b0000000000");
	assert_int_equal(news(&b), 0);
	notify(&b, DRV_WIRE_REPORT, "074f4b00484a3732"); /* a pedometer */
	notify(&b, DRV_WIRE_REPORT, "0730495420313030");
	notify(&b, DRV_WIRE_REPORT, "013b000000000000");
	assert_int_equal(news(&b), NOT_READ);
	assert_true(
		session_was_good(b.session)); /* so it stands until a link that does not say it */
	bench_end(&b);
}

static void test_omron_ble(void **state)
{
	struct bench b = { .session = NULL };

	(void)state;
	bench_begin(&b, "omron_ble", 1, NULL, false);
	notify(&b, 0x2a24, "48454d2d30303030"); /* HEM-0000 */
	assert_int_equal(news(&b), NOT_READ);
	bench_begin(&b, "omron_ble", 1, NULL, false);
	notify(&b, 0x2a24,
	       "45766f6c76"); /* Evolv: its pairing is asked for, which takes a button */
	(void)bench_give(&b, UNLOCK, "820f", false);
	assert_int_equal(news(&b), IS(PRESS_BUTTON));
	bench_begin(&b, "omron_ble", 2, NULL, false);
	notify(&b, 0x2a24, "58322b"); /* X2+ */
	(void)bench_give(&b, UNLOCK, "ff26", false);
	assert_int_equal(news(&b), NOT_READ);
	bench_end(&b);
}

#define ASSOCIATE                                                                         \
	"e200 0032 80000000 0001 002a 5079 0026 c0000000 8000 80000000 00000000 00800000" \
	"0008 0102030405060708 4000 0001 01 00 0000 0000"
#define CONFIGURE_OF(data) "e700 0018 0016 0009 0101 0010 0000 ffffffff 0d1c 0006" data
#define OF_NO_OBJECTS      CONFIGURE_OF("4000 0000 0000")
#define RELEASE            "e400 0002 0000"

static void test_11073(void **state)
{
	struct bench b = { .session = NULL };

	(void)state;
	bench_begin(&b, "phd", 0, NULL, false);
	notify(&b, DRV_WIRE_APDU, ASSOCIATE);
	notify(&b, DRV_WIRE_APDU, OF_NO_OBJECTS);
	assert_int_equal(news(&b), 0); /* it may have another one */
	notify(&b, DRV_WIRE_APDU, RELEASE);
	assert_int_equal(news(&b), NOT_READ);
	/* with one that is known */
	notify(&b, DRV_WIRE_APDU, ASSOCIATE);
	notify(&b, DRV_WIRE_APDU,
	       "e700 0044 0042 0009 0101 003c 0000 ffffffff 0d1c 0032 4000 0001 002c"
	       "0006 0001 0004 0024 092f 0004 0002 e140 0a46 0002 f040 0996 0002 06c3"
	       "0a55 000c 0002 0008 0a56 0004 0990 0008");
	assert_int_equal(news(&b), 0);
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_omron_usb),
		cmocka_unit_test(test_omron_classic),
		cmocka_unit_test(test_omron_ble),
		cmocka_unit_test(test_11073),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
