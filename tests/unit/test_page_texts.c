/* links: gateway_page gateway_base */
/* What a browser says, where the page may listen, and the median of a picture. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/page/chart.h"
#include "gateway/page/form.h"
#include "gateway/page_address.h"

#define TEN "aaaaaaaaaa"

static void test_form_value(void **state)
{
	static const struct {
		const char *body, *value; /* NULL: refused */
	} vectors[] = {
		{ "code=123456", "123456" },
		{ "a=1&code=x-Y_9&b=2", "x-Y_9" },
		{ "&&code=1&", "1" },
		{ "xcode=1&code=2", "2" },
		{ "codex=1&code=2", "2" },
		{ "", NULL },
		{ "code", NULL },
		{ "code=", NULL },
		{ "code=1&code=1", NULL },
		{ "code=1&code=", NULL },
		{ "code=a%41", NULL },
		{ "code=a+b", NULL },
		{ "code=a=b", NULL },
		{ "code=a\nb", NULL },
		{ "code=\xc3\xa9", NULL },
		{ "Code=1", NULL },
		{ "code=" TEN TEN TEN TEN TEN TEN TEN "aaaaaaaaa",
		  TEN TEN TEN TEN TEN TEN TEN "aaaaaaaaa" },
		{ "code=" TEN TEN TEN TEN TEN TEN TEN TEN, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char value[FORM_VALUE_MAX] = "untouched";
		const bool good = form_value(vectors[i].body, "code", value);

		assert_int_equal(good, vectors[i].value != NULL);
		assert_string_equal(value, good ? vectors[i].value : "untouched");
	}
}

static void test_form_hex(void **state)
{
	static const char *const bad[] = {
		"", "0", "00f", "00ff0", "00fg", "00FF", " 0ff", "0x00"
	};
	uint8_t bytes[2] = { 0 };

	(void)state;
	assert_true(form_hex("09af", bytes, sizeof(bytes)));
	assert_memory_equal(bytes, "\x09\xaf", 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(form_hex(bad[i], bytes, sizeof(bytes)));
}

static void test_host(void **state)
{
	static const struct {
		const char *host, *listen;
		bool ours;
	} vectors[] = {
		{ "127.0.0.1:8080", "127.0.0.1:8080", true },
		{ "localhost:8080", "127.0.0.1:8080", true },
		{ "LocalHost:8080", "[::1]:8080", true },
		{ "192.168.1.2:8080", "192.168.1.2:8080", true },
		{ "localhost:8080", "192.168.1.2:8080", false },
		{ "localhost", "127.0.0.1:8080", false },
		{ "localhost:8081", "127.0.0.1:8080", false },
		{ "localhost.example:8080", "127.0.0.1:8080", false },
		{ "127.0.0.1:8080.example", "127.0.0.1:8080", false },
		{ "127.0.0.1", "127.0.0.1:8080", false },
		{ "", "127.0.0.1:8080", false },
		{ NULL, "127.0.0.1:8080", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_int_equal(form_host_is_ours(vectors[i].host, vectors[i].listen),
				 vectors[i].ours);
}

static void test_address(void **state)
{
	static const struct {
		const char *text;
		int result;
	} vectors[] = {
		{ "127.0.0.1:8080", 0 },
		{ "10.0.0.1:1024", 0 },
		{ "172.16.0.1:65535", 0 },
		{ "172.31.255.255:8080", 0 },
		{ "192.168.1.2:8080", 0 },
		{ "169.254.1.1:8080", 0 },
		{ "[::1]:8080", 0 },
		{ "[fd00::1]:8080", 0 },
		{ "0.0.0.0:8080", -EPERM },
		{ "8.8.8.8:8080", -EPERM },
		{ "172.15.0.1:8080", -EPERM },
		{ "172.32.0.1:8080", -EPERM },
		{ "192.169.0.1:8080", -EPERM },
		{ "[::]:8080", -EPERM },
		{ "[2001:db8::1]:80", -EINVAL },
		{ "[2001:db8::1]:8080", -EPERM },
		{ "127.0.0.1", -EINVAL },
		{ "127.0.0.1:", -EINVAL },
		{ "127.0.0.1:1023", -EINVAL },
		{ "127.0.0.1:65536", -EINVAL },
		{ "127.0.0.1:08080", -EINVAL },
		{ "127.0.0.1:+8080", -EINVAL },
		{ "localhost:8080", -EINVAL },
		{ ":8080", -EINVAL },
		{ "[]:8080", -EINVAL },
		{ "[::1:8080", -EINVAL },
		{ "::1:8080", -EINVAL },
		{ "", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct page_address address = { .len = 7 };

		assert_int_equal(page_address_parse(vectors[i].text, &address), vectors[i].result);
		if (vectors[i].result < 0)
			assert_int_equal(address.len, 7);
	}
}

static void test_address_is_as_said(void **state)
{
	struct page_address address;

	(void)state;
	assert_int_equal(page_address_parse("192.168.1.2:8080", &address), 0);
	assert_int_equal(address.v4.sin_family, AF_INET);
	assert_int_equal(ntohl(address.v4.sin_addr.s_addr), 0xc0a80102);
	assert_int_equal(ntohs(address.v4.sin_port), 8080);
	assert_int_equal(address.len, sizeof(address.v4));
}

/* Of the 7 days up to a reading: what is older does not count, nor what comes after it. */
static void test_median(void **state)
{
	const int64_t day = INT64_C(86400000);
	const struct chart_point points[] = {
		{ 0, { 900, 0 } },      { 7 * day, { 80, 0 } },   { 8 * day, { 825, -1 } },
		{ 9 * day, { 81, 0 } }, { 10 * day, { 300, 0 } },
	};

	(void)state;
	assert_int_equal(chart_median2(points, 0), 2 * 900000);
	assert_int_equal(chart_median2(points, 1), 2 * 80000);
	assert_int_equal(chart_median2(points, 2), 80000 + 82500);
	assert_int_equal(chart_median2(points, 3), 2 * 81000);
	assert_int_equal(chart_median2(points, 4), 81000 + 82500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form_value), cmocka_unit_test(test_form_hex),
		cmocka_unit_test(test_host),       cmocka_unit_test(test_address),
		cmocka_unit_test(test_median),     cmocka_unit_test(test_address_is_as_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
