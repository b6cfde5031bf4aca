/* links: gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/broker_address.h"

static const struct {
	const char *url;
	enum broker_way way;
} rows[] = {
	{ "mqtts://broker.example", BROKER_TLS },
	{ "mqtts://broker.example:8883", BROKER_TLS },
	{ "mqtts://[2001:db8::1]:8883", BROKER_TLS },
	{ "mqtts://127.0.0.1", BROKER_TLS },
	{ "mqtt://127.0.0.1", BROKER_HERE },
	{ "mqtt://127.0.0.1:1883", BROKER_HERE },
	{ "mqtt://127.255.255.254:1883", BROKER_HERE },
	{ "mqtt://[::1]", BROKER_HERE },
	{ "mqtt://[0:0:0:0:0:0:0:1]:1883", BROKER_HERE },
	{ "mqtt://localhost", BROKER_HERE },
	{ "mqtt://LocalHost:1883", BROKER_HERE },
	/* what only begins or looks like this machine */
	{ "mqtt://127.evil.example", BROKER_IN_CLEAR },
	{ "mqtt://127.0.0.1.evil.example", BROKER_IN_CLEAR },
	{ "mqtt://localhost.evil.example:1883", BROKER_IN_CLEAR },
	{ "mqtt://localhost.", BROKER_IN_CLEAR },
	{ "mqtt://evil.localhost", BROKER_IN_CLEAR },
	{ "mqtt://127.1", BROKER_IN_CLEAR },
	{ "mqtt://2130706433", BROKER_IN_CLEAR },
	{ "mqtt://0x7f.0.0.1", BROKER_IN_CLEAR },
	{ "mqtt://0.0.0.0", BROKER_IN_CLEAR },
	{ "mqtt://128.0.0.1", BROKER_IN_CLEAR },
	{ "mqtt://10.0.0.1", BROKER_IN_CLEAR },
	{ "mqtt://[::]", BROKER_IN_CLEAR },
	{ "mqtt://[::2]", BROKER_IN_CLEAR },
	{ "mqtt://[::ffff:127.0.0.1]", BROKER_IN_CLEAR },
	{ "mqtt://[127.0.0.1]", BROKER_IN_CLEAR },
	{ "mqtt://broker", BROKER_IN_CLEAR },
	{ "mqtt://broker.example:1883", BROKER_IN_CLEAR },
	/* not an address */
	{ "", BROKER_NONE },
	{ "127.0.0.1", BROKER_NONE },
	{ "tcp://127.0.0.1", BROKER_NONE },
	{ "http://127.0.0.1", BROKER_NONE },
	{ "ws://127.0.0.1", BROKER_NONE },
	{ "MQTT://127.0.0.1", BROKER_NONE },
	{ " mqtt://127.0.0.1", BROKER_NONE },
	{ "mqtt:/127.0.0.1", BROKER_NONE },
	{ "mqtt://", BROKER_NONE },
	{ "mqtts://", BROKER_NONE },
	{ "mqtt://:1883", BROKER_NONE },
	{ "mqtt://127.0.0.1:", BROKER_NONE },
	{ "mqtt://127.0.0.1:0", BROKER_NONE },
	{ "mqtt://127.0.0.1:65536", BROKER_NONE },
	{ "mqtt://127.0.0.1:4294969179", BROKER_NONE }, /* 1883 in 32 bits */
	{ "mqtt://127.0.0.1:1883x", BROKER_NONE },
	{ "mqtt://127.0.0.1:-1", BROKER_NONE },
	{ "mqtt://127.0.0.1:1:2", BROKER_NONE },
	{ "mqtt://127.0.0.1/../evil.example", BROKER_NONE },
	{ "mqtt://127.0.0.1:1883/x", BROKER_NONE },
	{ "mqtt://127.0.0.1@evil.example", BROKER_NONE },
	{ "mqtt://user:word@127.0.0.1", BROKER_NONE },
	{ "mqtt://127.0.0.1 evil.example", BROKER_NONE },
	{ "mqtt://127.0.0.1?a=b", BROKER_NONE },
	{ "mqtt://[::1", BROKER_NONE },
	{ "mqtt://[]", BROKER_NONE },
	{ "mqtt://[::1]x", BROKER_NONE },
	{ "mqtt://[::1%lo]", BROKER_NONE },
	{ "mqtts://caf\xc3\xa9.example", BROKER_NONE },
};

static void test_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const enum broker_way way = broker_way(rows[i].url);

		if (way != rows[i].way)
			fail_msg("%s: %d, not %d", rows[i].url, (int)way, (int)rows[i].way);
	}
}

static void test_length(void **state)
{
	char url[160] = "mqtts://";
	const size_t at = strlen(url);

	(void)state;
	memset(url + at, 'a', 127);
	assert_int_equal(broker_way(url), BROKER_TLS);
	url[at + 127] = 'a';
	assert_int_equal(broker_way(url), BROKER_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
