/* links: protocols */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/capture/anonymise.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct cap_event frame(uint16_t channel, const char *bytes, size_t len)
{
	struct cap_event e = { .kind = CAP_FRAME, .channel = channel, .len = len };

	memcpy(e.data, bytes, len);
	return e;
}

static void times_move_and_users_become_one(void **state)
{
	/* each a day back, over a month's end or a leap day */
	static const struct {
		uint16_t channel;
		size_t len;
		const char *from, *to;
	} cases[] = {
		{ 0x2a9d, 15, "\x0e\x78\x3e\xea\x07\x05\x01\x12\x35\x36\x07\xee\0\x26\x07",
		  "\x0e\x78\x3e\xea\x07\x04\x1e\x12\x35\x36\x01\xee\0\x26\x07" },
		{ 0x2a9d, 11, "\x06\x78\x3e\xea\x07\x05\x02\x12\x35\x36\xff",
		  "\x06\x78\x3e\xea\x07\x05\x01\x12\x35\x36\xff" },
		{ 0x2a9d, 3, "\0\x78\x3e", "\0\x78\x3e" },
		{ 0x2a35, 14, "\x02\x78\0\x50\0\x5d\0\xe8\x07\x03\x01\x08\x1e\0",
		  "\x02\x78\0\x50\0\x5d\0\xe8\x07\x02\x1d\x08\x1e\0" },
		{ 0x2a1c, 12, "\x02\x6c\x01\0\xff\xea\x07\x01\x01\x08\x1e\0",
		  "\x02\x6c\x01\0\xff\xe9\x07\x0c\x1f\x08\x1e\0" },
		/* a date that is not known stays unknown */
		{ 0x2a1c, 12, "\x02\x6c\x01\0\xff\0\0\x01\x01\x08\x1e\0",
		  "\x02\x6c\x01\0\xff\0\0\x01\x01\x08\x1e\0" },
		{ 0x2a2b, 10, "\xea\x07\x0b\x10\x07\x3a\0\x01\0\0",
		  "\xea\x07\x0b\x0f\x07\x3a\0\0\0\0" },
		{ 0x2a25, 4, "A123", "0000" },
		{ 0x2a37, 2, "\x06\x3c", "\x06\x3c" },
		{ 0x2a9a, 1, "\x04", "\x01" },
		{ 0x2a9a, 1, "\xff", "\xff" },
		{ 0x2b34, 11, "\x02\x78\0\x50\0\x5d\0\x80\x51\x01\0",
		  "\x02\x78\0\x50\0\x5d\0\0\0\0\0" },
		/* two times and a user */
		{ 0x2b34, 16, "\x2a\x78\0\x50\0\x5d\0\x80\x51\x01\0\x07\x81\x51\x01\0",
		  "\x2a\x78\0\x50\0\x5d\0\0\0\0\0\x01\x01\0\0\0" },
		{ 0x2a08, 7, "\xe8\x07\x03\x01\x08\x1e\0", "\xe8\x07\x02\x1d\x08\x1e\0" },
		{ 0x2a18, 10, "\0\x01\0\xea\x07\x05\x01\x12\x35\x36",
		  "\0\x01\0\xea\x07\x04\x1e\x12\x35\x36" },
		{ 0x2a5e, 12, "\x01\x62\0\x3c\0\xea\x07\x05\x01\x12\x35\x36",
		  "\x01\x62\0\x3c\0\xea\x07\x04\x1e\x12\x35\x36" },
		{ 0x2a5e, 5, "\0\x62\0\x3c\0", "\0\x62\0\x3c\0" },
		{ 0x2a9c, 12, "\x06\0\xc8\0\xea\x07\x05\x01\x12\x35\x36\x07",
		  "\x06\0\xc8\0\xea\x07\x04\x1e\x12\x35\x36\x01" },
		{ 0x2a9c, 4, "\0\0\xc8\0", "\0\0\xc8\0" },
		/* records from a time on, and between two */
		{ 0x2a52, 10, "\x01\x03\x02\xea\x07\x05\x01\x12\x35\x36",
		  "\x01\x03\x02\xea\x07\x04\x1e\x12\x35\x36" },
		{ 0x2a52, 17, "\x01\x04\x02\xe8\x07\x03\x01\x08\x1e\0\xea\x07\x05\x01\x12\x35\x36",
		  "\x01\x04\x02\xe8\x07\x02\x1d\x08\x1e\0\xea\x07\x04\x1e\x12\x35\x36" },
		{ 0x2a52, 2, "\x01\x01", "\x01\x01" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct cap_event e = frame(cases[i].channel, cases[i].from, cases[i].len);
		const char *why = NULL;

		assert_true(anonymise_event(-1, &e, &why));
		assert_int_equal(e.len, cases[i].len);
		assert_memory_equal(e.data, cases[i].to, e.len);
	}
}

static void what_is_not_understood_is_left_out(void **state)
{
	static const struct {
		uint16_t channel;
		size_t len;
		const char *bytes;
	} cases[] = {
		{ 0xfff1, 3, "\1\2\3" },     /* a vendor's own */
		{ 0x2a9d, 2, "\x0e\x78" },   /* spoiled */
		{ 0x2a9f, 4, "\2\1\x39\5" }, /* user control: a consent code */
		{ 0x2a00, 4, "Anna" },       /* device name */
		{ 0x2b34, 11, "\x02\x78\0\x50\0\x5d\0\x7f\x51\x01\0" }, /* before its epoch */
		{ 0x2b34, 11, "\x20\x78\0\x50\0\x5d\0\x7f\x51\x01\0" },
		/* days before those that a date can say, in each that has one */
		{ 0x2a08, 7, "\x2e\x06\x01\x01\x08\x1e\0" },
		{ 0x2a18, 10, "\0\x01\0\x2e\x06\x01\x01\x12\x35\x36" },
		{ 0x2a1c, 12, "\x02\x6c\x01\0\xff\x2e\x06\x01\x01\x08\x1e\0" },
		{ 0x2a2b, 10, "\x2e\x06\x01\x01\x07\x3a\0\x05\0\0" },
		{ 0x2a35, 14, "\x02\x78\0\x50\0\x5d\0\x2e\x06\x01\x01\x08\x1e\0" },
		{ 0x2a52, 10, "\x01\x03\x02\x2e\x06\x01\x01\x12\x35\x36" },
		{ 0x2a5e, 12, "\x01\x62\0\x3c\0\x2e\x06\x01\x01\x12\x35\x36" },
		{ 0x2a9c, 11, "\x02\0\xc8\0\x2e\x06\x01\x01\x12\x35\x36" },
		{ 0x2a9d, 10, "\x02\x78\x3e\x2e\x06\x01\x01\x12\x35\x36" },
		/* spoiled, each */
		{ 0x2a08, 6, "\xe8\x07\x03\x01\x08\x1e" },
		{ 0x2a18, 9, "\0\x01\0\xea\x07\x05\x01\x12\x35" },
		{ 0x2a1c, 4, "\0\x6c\x01\0" },
		{ 0x2a2b, 9, "\xea\x07\x0b\x10\x07\x3a\0\x01\0" },
		{ 0x2a35, 6, "\0\x78\0\x50\0\x5d" },
		{ 0x2a52, 1, "\x01" },
		{ 0x2a5e, 4, "\0\x62\0\x3c" },
		{ 0x2a9a, 2, "\x04\x01" },
		{ 0x2a9c, 3, "\0\0\xc8" },
		{ 0x2b34, 6, "\0\x78\0\x50\0\x5d" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct cap_event e = frame(cases[i].channel, cases[i].bytes, cases[i].len);
		const char *why = NULL;

		assert_false(anonymise_event(-1, &e, &why));
		assert_non_null(why);
		assert_int_equal(e.len, cases[i].len);
		assert_memory_equal(e.data, cases[i].bytes, e.len);
	}
}

/* the last day that each can say stays the last */
static void nothing_moves_behind_the_end(void **state)
{
	static const struct {
		uint16_t channel;
		size_t len;
		const char *bytes;
	} cases[] = {
		{ 0x2a08, 7, "\x0f\x27\x0c\x1f\x08\x1e\0" },
		{ 0x2b34, 11, "\x02\x78\0\x50\0\x5d\0\x80\xae\xfe\xff" },
		{ 0x2a52, 17,
		  "\x01\x04\x02\xe8\x07\x03\x01\x08\x1e\0\x0f\x27\x0c\x1f\x12\x35\x36" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct cap_event e = frame(cases[i].channel, cases[i].bytes, cases[i].len);
		const char *why = NULL;

		assert_false(anonymise_event(1, &e, &why));
		assert_non_null(why);
		assert_true(anonymise_event(-1, &e, &why));
	}
}

static void a_write_is_a_frame_and_the_rest_has_nothing_to_hide(void **state)
{
	struct cap_event e = frame(0x2a2b, "\xea\x07\x0b\x10\x07\x3a\0\x01\0\0", 10);
	const char *why = NULL;

	(void)state;
	e.kind = CAP_WRITE;
	assert_true(anonymise_event(-7, &e, &why));
	assert_memory_equal(e.data, "\xea\x07\x0b\x09\x07\x3a\0\x01\0\0", 10);
	e.kind = CAP_CONFIRM;
	assert_true(anonymise_event(-7, &e, &why));
	e.kind = CAP_ADVERT;
	assert_false(anonymise_event(-7, &e, &why));
	e = (struct cap_event){ .kind = CAP_OPEN, .open = { .bus = "ble", .name = "Anna's" } };
	assert_true(anonymise_event(-7, &e, &why));
	assert_string_equal(e.open.name, "");
	assert_string_equal(e.open.bus, "ble");
	e.open.n_consents = e.open.kept_len = 1;
	e.open.consents[0].code = 1234;
	e.open.kept[0] = 7;
	assert_true(anonymise_event(-7, &e, &why));
	assert_int_equal(e.open.n_consents + e.open.kept_len, 0);
	assert_int_equal(e.open.consents[0].code + e.open.kept[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_move_and_users_become_one),
		cmocka_unit_test(what_is_not_understood_is_left_out),
		cmocka_unit_test(nothing_moves_behind_the_end),
		cmocka_unit_test(a_write_is_a_frame_and_the_rest_has_nothing_to_hide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
