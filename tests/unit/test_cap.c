/* links: protocols */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/capture/cap.h"
#include "protocols/capture/stamp.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int read_text(struct cap_reader *r, const char *line, struct cap_event *ret)
{
	return cap_read_line(r, line, strlen(line), ret);
}

static void begin(struct cap_reader *r, bool in_session)
{
	struct cap_event e;

	cap_reader_init(r);
	assert_int_equal(read_text(r, "# wellgate-capture: 1", &e), 0);
	assert_int_equal(read_text(r, "# consent: synthetic", &e), 0);
	if (in_session)
		assert_int_equal(read_text(r, "1.5 open ble", &e), 1);
}

static void every_event_survives_writing_and_reading(void **state)
{
	static const char *const lines[] = {
		"0.000 open ble service=181d company=0611 vid=1234 name=\"BF \\\"7\\\\\\x01\"\n",
		"0.000 close\n",
		"0.000 open usb vid=1234 pid=abcd driver=weight_scale link=encrypted\n",
		"0.000 close\n",
		"0.000 open ble zone=-570 consent=1:1234 consent=new:9999\n",
		"0.000 close\n",
		"0.000 open ble kept=00ff7a last=4294967295\n",
		"0.000 close\n",
		"0.000 open ble quirks=8000000f\n",
		"0.000 close\n",
		"0.000 open ble service=1810 zone=0 last=0 quirks=0\n",
		"0.000001 < 2a9d 0e783eea07\n",
		"1.200 < 2a9d\n",
		"1.210 > confirm 2a9d\n",
		"1.300 > write 2a52 0101\n",
		"1.300 > read 2a19\n",
		"2.000 advert service=181d 62b00b\n",
		"2.000 advert company=0611 62\n",
		"9.000 close\n",
	};
	struct cap_reader r;

	(void)state;
	begin(&r, false);
	for (size_t i = 0; i < N(lines); i++) {
		struct cap_event e;
		char text[CAP_LINE_MAX];

		assert_int_equal(cap_read_line(&r, lines[i], strlen(lines[i]) - 1, &e), 1);
		assert_int_equal(cap_write_event(&e, text, sizeof(text)), (int)strlen(lines[i]));
		assert_string_equal(text, lines[i]);
		assert_int_equal(cap_write_event(&e, text, strlen(lines[i])), -ENOSPC);
	}
}

static void fields_are_what_was_written(void **state)
{
	struct cap_reader r;
	struct cap_event e;

	(void)state;
	begin(&r, false);
	assert_int_equal(read_text(&r, "# start: 2026-11-16T07:58:00Z", &e), 0);
	assert_true(r.has_start);
	assert_int_equal(r.start_ms, INT64_C(1794815880000));
	assert_int_equal(read_text(&r, "0.25 open ble service=181D name=\"A B\"\r", &e), 1);
	assert_int_equal(e.kind, CAP_OPEN);
	assert_int_equal(e.at_us, 250000);
	assert_int_equal(e.open.service, 0x181d);
	assert_string_equal(e.open.name, "A B");
	assert_string_equal(e.open.bus, "ble");
	assert_false(e.open.has_zone || e.open.has_last || e.open.has_quirks);
	assert_int_equal(e.open.n_consents + e.open.kept_len, 0);
	assert_int_equal(read_text(&r, "12.000007 < 2a9d 06 d0 39e8", &e), 1);
	assert_int_equal(e.at_us, 12000007);
	assert_int_equal(e.channel, 0x2a9d);
	assert_int_equal(e.len, 4);
	assert_memory_equal(e.data, "\x06\xd0\x39\xe8", 4);
	assert_int_equal(read_text(&r, "# a comment, even with a colon: here", &e), 0);
	assert_int_equal(read_text(&r, "", &e), 0);
	assert_int_equal(r.line, 7);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
	static const struct {
		const char *line;
		int r;
		const char *problem;
	} cases[] = {
		{ "x close", -EINVAL, "does not begin with a time" },
		{ "2.1234567 close", -EINVAL, "six decimals" },
		{ "1.4 close", -ERANGE, "before that of the line above" },
		{ "99999999999 close", -ERANGE, "too large" },
		{ "2 open ble", -EINVAL, "open inside an open session" },
		{ "2 < 2a9d 0", -EINVAL, "half a byte" },
		{ "2 < 2a9d 0g", -EINVAL, "not hex" },
		{ "2 < 12345 00", -EINVAL, "1 to 4 hex digits" },
		{ "2 <", -EINVAL, "1 to 4 hex digits" },
		{ "2 > sing 2a9d", -EINVAL, "confirm, write or read" },
		{ "2 > confirm 2a9d 00", -EINVAL, "after the event" },
		{ "2 close now", -EINVAL, "after the event" },
		{ "2 jump", -EINVAL, "open, <, >, advert or close" },
		{ "2 advert colour=1 00", -EINVAL, "advert does not know" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct cap_reader r;
		struct cap_event e = { .channel = 77 };

		begin(&r, true);
		assert_int_equal(read_text(&r, cases[i].line, &e), cases[i].r);
		assert_int_equal(r.line, 4);
		assert_non_null(strstr(r.problem, cases[i].problem));
		assert_int_equal(e.channel, 77);
	}
}

static void a_bad_open_is_refused(void **state)
{
	static const struct {
		const char *line;
		const char *problem;
	} cases[] = {
		{ "2 open", "a bus that is not known" },
		{ "2 open pigeon", "a bus that is not known" },
		{ "2 open verylongbus", "a bus that is not known" },
		{ "2 open ble colour=1", "open does not know" },
		{ "2 open ble service=", "1 to 4 hex digits" },
		{ "2 open ble service= 1", "no value" },
		{ "2 open ble =1", "after the event" },
		{ "2 open ble name=\"x", "not closed" },
		{ "2 open ble name=\"\\x00\"", "escape" },
		{ "2 open ble "
		  "name=\"0123456789012345678901234567890123456789012345678901234567890123\"",
		  "too long" },
		{ "2 open ble link=tight", "link security that is not known" },
		{ "2 < 2a9d 00", "before open" },
		{ "2 open ble zone=1081", "minutes east" },
		{ "2 open ble zone=--1", "minutes east" },
		{ "2 open ble zone= 1", "minutes east" },
		{ "2 open ble zone=", "minutes east" },
		{ "2 open ble consent=1", "slot:code" },
		{ "2 open ble consent=", "slot:code" },
		{ "2 open ble consent=:", "slot:code" },
		{ "2 open ble consent=255:1", "slot:code" },
		{ "2 open ble consent=1:10000", "slot:code" },
		{ "2 open ble consent=1:99999999999", "slot:code" },
		{ "2 open ble consent=0:0 consent=1:0 consent=2:0 consent=3:0 consent=4:0 "
		  "consent=5:0 consent=6:0 consent=7:0 consent=8:0",
		  "more than 8" },
		{ "2 open ble kept=", "64 bytes" },
		{ "2 open ble kept=0", "64 bytes" },
		{ "2 open ble kept=0g", "64 bytes" },
		{ "2 open ble "
		  "kept=000000000000000000000000000000000000000000000000000000000000000000000000000"
		  "0000000000000000000000000000000000000000000000000000000",
		  "64 bytes" },
		{ "2 open ble last=4294967296", "record number" },
		{ "2 open ble last=x", "record number" },
		{ "2 open ble quirks=123456789", "8 hex" },
		{ "2 open ble quirks=g", "8 hex" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct cap_reader r;
		struct cap_event e;

		begin(&r, false);
		assert_true(read_text(&r, cases[i].line, &e) < 0);
		assert_non_null(strstr(r.problem, cases[i].problem));
	}
}

static void version_and_consent_are_obligatory(void **state)
{
	static const struct {
		const char *lines[3];
		unsigned int line;
		const char *problem;
	} cases[] = {
		{ { "# consent: synthetic", "0 open ble" }, 2, "wellgate-capture" },
		{ { "# wellgate-capture: 1", "0 open ble" }, 2, "consent" },
		{ { "# wellgate-capture: 2" }, 1, "another version" },
		{ { "# wellgate-capture: 1", "# consent:  " }, 2, "empty" },
		{ { "# start: yesterday" }, 1, "not a time" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct cap_reader r;
		struct cap_event e;
		int err = 0;

		cap_reader_init(&r);
		for (size_t k = 0; k < 3 && cases[i].lines[k] && err == 0; k++)
			err = read_text(&r, cases[i].lines[k], &e);
		assert_int_equal(err, -EINVAL);
		assert_int_equal(r.line, cases[i].line);
		assert_non_null(strstr(r.problem, cases[i].problem));
	}
}

static void data_has_a_limit(void **state)
{
	char line[2 * CAP_DATA_MAX + 32] = "2 < 2a9d ";
	const size_t head = strlen(line), digits = (size_t)2 * CAP_DATA_MAX;
	struct cap_reader r;
	struct cap_event e;

	(void)state;
	memset(line + head, 'a', digits + 2);
	begin(&r, true);
	assert_int_equal(cap_read_line(&r, line, head + digits + 2, &e), -EMSGSIZE);
	begin(&r, true);
	assert_int_equal(cap_read_line(&r, line, head + digits, &e), 1);
	assert_int_equal(e.len, CAP_DATA_MAX);
}

static void stamps_are_calendar_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-16T07:58:00Z", INT64_C(1794815880000) },
		{ "2000-02-29T23:59:59.250Z", INT64_C(951868799250) },
		{ "1969-12-31T23:59:59Z", -1000 },
		{ "9999-12-31T23:59:59Z", INT64_C(253402300799000) },
	};
	static const struct {
		const char *text;
		int r;
	} bad[] = {
		{ "2026-11-16 07:58:00Z", -EINVAL },
		{ "2026-11-16T07:58:00", -EINVAL },
		{ "2026-11-16T07:58:00.Z", -EINVAL },
		{ "2026-11-16T07:58:00.1234Z", -EINVAL },
		{ "2026-13-16T07:58:00Z", -ERANGE },
		{ "2025-02-29T00:00:00Z", -ERANGE },
		{ "2026-11-16T24:00:00Z", -ERANGE },
		{ "0000-01-01T00:00:00Z", -ERANGE },
		{ "", -EINVAL },
	};
	char text[STAMP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < N(good); i++) {
		int64_t ms = 1;

		assert_int_equal(stamp_parse(good[i].text, strlen(good[i].text), &ms), 0);
		assert_int_equal(ms, good[i].ms);
		assert_int_equal(stamp_format(ms, text), (int)strlen(good[i].text));
		assert_string_equal(text, good[i].text);
	}
	for (size_t i = 0; i < N(bad); i++) {
		int64_t ms = 42;

		assert_int_equal(stamp_parse(bad[i].text, strlen(bad[i].text), &ms), bad[i].r);
		assert_int_equal(ms, 42);
	}
	assert_int_equal(stamp_format(INT64_C(253402300800000), text), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_survives_writing_and_reading),
		cmocka_unit_test(fields_are_what_was_written),
		cmocka_unit_test(what_is_wrong_is_said_with_its_line),
		cmocka_unit_test(a_bad_open_is_refused),
		cmocka_unit_test(version_and_consent_are_obligatory),
		cmocka_unit_test(data_has_a_limit),
		cmocka_unit_test(stamps_are_calendar_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
