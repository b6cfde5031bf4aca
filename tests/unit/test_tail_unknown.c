/* links: gateway_print */
/* wellgate tail and messages of tomorrow: fields that nobody knows here are shown, not dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/tail_print.h"
#include "gateway/cli/tail_unknown.h"

#define TOPIC "wellgate/v1/site/hub-1/"

struct wire {
	uint8_t data[4096];
	size_t len;
};

static void put(struct wire *w, const void *data, size_t len)
{
	assert_true(len <= sizeof(w->data) - w->len);
	(void)memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void varint(struct wire *w, uint64_t value)
{
	uint8_t octet;

	do {
		octet = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
		put(w, &octet, 1);
		value >>= 7;
	} while (value > 0);
}

static void number(struct wire *w, unsigned int field, uint64_t value)
{
	varint(w, (uint64_t)field << 3);
	varint(w, value);
}

static void octets(struct wire *w, unsigned int field, const void *data, size_t len)
{
	varint(w, (uint64_t)field << 3 | 2);
	varint(w, len);
	put(w, data, len);
}

static void fixed(struct wire *w, unsigned int field, const char *data, size_t len)
{
	varint(w, (uint64_t)field << 3 | (len == 8 ? 1 : 5));
	put(w, data, len);
}

/* A pulse of 61 as a hub of tomorrow may say it: each wire type, at each depth. */
static void batch_of_tomorrow(struct wire *ret)
{
	struct wire decimal = { .len = 0 }, part = { .len = 0 }, reading = { .len = 0 };

	number(&decimal, 1, 122); /* sint64: 61 */
	number(&decimal, 900, 7);
	number(&part, 1, 5);
	octets(&part, 2, decimal.data, decimal.len);
	octets(&part, 3, "/min", 4);
	octets(&part, 12, "new\x1b[2J\xff", 8);
	number(&reading, 2, 17);
	number(&reading, 4, 5);
	octets(&reading, 5, part.data, part.len);
	number(&reading, 77, UINT64_MAX);
	fixed(&reading, 536870911, "\x01\x02\x03\x04", 4);
	fixed(&reading, 79, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	octets(ret, 3, reading.data, reading.len);
	octets(ret, 3, "\x10\x12\x20\x05", 4); /* and one of today: sequence 18, a pulse */
	octets(ret, 50, "", 0);
}

static char *printed(enum tail_format format, const char *topic, const struct wire *w)
{
	struct tail_printer printer;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(tail_printer_init(&printer, out, format, UINT64_MAX), 0);
	assert_int_equal(tail_print(&printer, topic, w->data, w->len), 0);
	tail_printer_finish(&printer);
	(void)fclose(out);
	return text;
}

static void text_shows_them(void **state)
{
	struct wire w = { .len = 0 };
	char *text;

	(void)state;
	batch_of_tomorrow(&w);
	text = printed(TAIL_TEXT, TOPIC "reading/bp", &w);
	assert_string_equal(text, "--- site / hub-1 ---\n"
				  "time unknown      pulse 61 per minute\n"
				  "  newer fields    field 77 = 18446744073709551615, "
				  "field 536870911 = 0x04030201, field 79 = 0x0807060504030201, "
				  "components[0] field 12 = 6e65771b5b324aff, "
				  "components[0].value field 900 = 7\n"
				  "time unknown      pulse \n"
				  "  newer fields    field 50 = (0 octets)\n");
	free(text);
}

static void json_shows_them(void **state)
{
	const char *fields =
		"[{\"field\":77,\"wire\":\"varint\",\"value\":\"18446744073709551615\"},"
		"{\"field\":536870911,\"wire\":\"fixed32\",\"value\":\"0x04030201\"},"
		"{\"field\":79,\"wire\":\"fixed64\",\"value\":\"0x0807060504030201\"},"
		"{\"in\":\"components[0]\",\"field\":12,\"wire\":\"octets\","
		"\"value\":\"6e65771b5b324aff\"},"
		"{\"in\":\"components[0].value\",\"field\":900,\"wire\":\"varint\","
		"\"value\":\"7\"}]";
	json_t *expected = json_loads(fields, 0, NULL), *line;
	struct wire w = { .len = 0 };
	char *text, *next;

	(void)state;
	assert_non_null(expected);
	batch_of_tomorrow(&w);
	text = printed(TAIL_JSON, TOPIC "reading/bp", &w);
	line = json_loads(text, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "metric")), "pulse");
	assert_true(json_equal(json_object_get(line, "unknown_fields"), expected));
	json_decref(line);
	json_decref(expected);
	next = strchr(text, '\n') + 1;
	assert_string_equal(next, "{\"metric\":\"pulse\",\"hub\":\"hub-1\",\"sequence\":18}\n"
				  "{\"reading_batch\":\"hub-1\",\"test\":false,\"unknown_fields\":["
				  "{\"field\":50,\"wire\":\"octets\",\"value\":\"\"}]}\n");
	free(text);
}

static void every_kind_of_message_shows_them(void **state)
{
	static const char *const topics[] = { TOPIC "goal", TOPIC "correction", TOPIC "status" };

	(void)state;
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		struct wire w = { .len = 0 };
		json_t *line;
		char *text;

		number(&w, 200, 5);
		text = printed(TAIL_TEXT, topics[i], &w);
		assert_non_null(strstr(text, "\n  newer fields    field 200 = 5\n"));
		free(text);
		text = printed(TAIL_JSON, topics[i], &w);
		line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		assert_int_equal(json_array_size(json_object_get(line, "unknown_fields")), 1);
		json_decref(line);
		free(text);
	}
}

/* Long octets are cut for people only, and very many fields are counted for both. */
static void much_is_said_to_be_much(void **state)
{
	struct wire w = { .len = 0 };
	uint8_t zeros[40] = { 0 };
	json_t *line;
	char *text;

	(void)state;
	octets(&w, 100, zeros, sizeof(zeros));
	for (unsigned int i = 1; i < TAIL_UNKNOWN_MAX + 3; i++)
		number(&w, 100 + i, i);
	text = printed(TAIL_TEXT, TOPIC "status", &w);
	assert_non_null(strstr(text, "0000... (40 octets), field 101 = 1, "));
	assert_non_null(strstr(text, "field 163 = 63, and 3 more\n"));
	assert_null(strstr(text, "field 164"));
	free(text);
	text = printed(TAIL_JSON, TOPIC "status", &w);
	line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(line, "unknown_fields")), 64);
	assert_int_equal(json_integer_value(json_object_get(line, "unknown_more")), 3);
	assert_int_equal(strspn(strstr(text, "00000"), "0"), 2 * sizeof(zeros));
	json_decref(line);
	free(text);
}

static void today_says_nothing_of_it(void **state)
{
	struct wire w = { .len = 0 };
	char *text;

	(void)state;
	octets(&w, 3, "\x10\x12\x20\x05", 4);
	text = printed(TAIL_JSON, TOPIC "reading/bp", &w);
	assert_string_equal(text, "{\"metric\":\"pulse\",\"hub\":\"hub-1\",\"sequence\":18}\n");
	free(text);
	text = printed(TAIL_TEXT, TOPIC "reading/bp", &w);
	assert_null(strstr(text, "newer"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_shows_them),
		cmocka_unit_test(json_shows_them),
		cmocka_unit_test(every_kind_of_message_shows_them),
		cmocka_unit_test(much_is_said_to_be_much),
		cmocka_unit_test(today_says_nothing_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
