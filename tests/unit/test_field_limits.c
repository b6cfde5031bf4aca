/* links: protocols */
/*
 * Records of cuffs without a specification: every value of every byte, where each may be and where
 * it may not, and what a record of eight different numbers says. Made up.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/beurer/cuff.h"
#include "protocols/colmi/ring.h"
#include "protocols/microlife/cuff.h"
#include "protocols/microlife/frame.h"
#include "protocols/omron/frame.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

union result {
	struct beurer_reading reading;
	struct beurer_row row;
	struct microlife_reading record;
};

struct limit {
	size_t at;
	uint8_t mask; /* of the value's bits; the others are flags */
	uint8_t min, max;
};

struct format {
	int (*decode)(const uint8_t *data, size_t len, union result *ret);
	const uint8_t *good;
	size_t len;
	const struct limit *limits;
	size_t n_limits;
};

static int serial(const uint8_t *data, size_t len, union result *ret)
{
	return beurer_serial_decode(data, len, &ret->reading);
}

static int hid(const uint8_t *data, size_t len, union result *ret)
{
	return beurer_hid_decode(data, len, &ret->reading);
}

static int cardio(const uint8_t *data, size_t len, union result *ret)
{
	return beurer_cardio_decode(data, len, &ret->row);
}

static int frame(const uint8_t *data, size_t len, union result *ret)
{
	unsigned int flags;

	if (len != MICROLIFE_FRAME_HEAD + MICROLIFE_FRAME_RECORD)
		return -EMSGSIZE;
	return microlife_frame_record(data, 0, &ret->record, &flags);
}

static const uint8_t serial_good[] = { 0xac, 95, 50, 70, 11, 23, 12, 30, 26 };
static const struct limit serial_limits[] = {
	{ 0, 0xff, 0xac, 0xac }, { 1, 0xff, 1, 255 }, { 2, 0xff, 1, 255 },
	{ 3, 0xff, 0, 255 },     { 4, 0xff, 0, 12 },  { 5, 0xff, 0, 31 },
	{ 6, 0xff, 0, 23 },      { 7, 0xff, 0, 59 },  { 8, 0xff, 0, 255 },
};

static const uint8_t hid_good[] = { 95, 50, 70, 0x80 | 11, 23, 12, 30, 0x80 | 26 };
static const struct limit hid_limits[] = {
	{ 0, 0xff, 1, 255 }, { 1, 0xff, 1, 255 }, { 2, 0xff, 0, 255 }, { 3, 0x7f, 0, 12 },
	{ 4, 0x7f, 0, 31 },  { 5, 0xff, 0, 23 },  { 6, 0xff, 0, 59 },  { 7, 0xff, 0, 255 },
};

static const uint8_t cardio_good[BEURER_CARDIO_SIZE] = { 1,  4,  9, 1, 12, 30,  23,
							 11, 26, 3, 8, 95, 150, 70 };
static const struct limit cardio_limits[] = {
	{ 1, 0xff, 0, 255 }, { 2, 0xff, 0, 255 },  { 3, 0xff, 1, 2 },    { 4, 0xff, 0, 23 },
	{ 5, 0xff, 0, 59 },  { 6, 0xff, 0, 31 },   { 7, 0xff, 0, 12 },   { 8, 0xff, 0, 255 },
	{ 9, 0xff, 0, 255 }, { 10, 0xff, 0, 255 }, { 11, 0xff, 1, 255 }, { 12, 0xff, 1, 255 },
	{ 13, 0xff, 0, 255 }
};

/* behind a head of 38 bytes that nobody understands */
static const uint8_t frame_good[MICROLIFE_FRAME_HEAD + MICROLIFE_FRAME_RECORD] = {
	[38] = 120, 75, 70, 26, 11, 23, 12, 30, 0x80, 9
};
static const struct limit frame_limits[] = {
	{ 38, 0xff, 1, 255 }, { 39, 0xff, 1, 255 }, { 40, 0xff, 0, 255 }, { 41, 0xff, 0, 255 },
	{ 42, 0xff, 0, 12 },  { 43, 0xff, 0, 31 },  { 44, 0xff, 0, 23 },  { 45, 0xff, 0, 59 },
	{ 46, 0xff, 0, 255 }, { 47, 0xff, 0, 255 },
};

static const struct format formats[] = {
	{ serial, serial_good, sizeof(serial_good), serial_limits, N(serial_limits) },
	{ hid, hid_good, sizeof(hid_good), hid_limits, N(hid_limits) },
	{ cardio, cardio_good, sizeof(cardio_good), cardio_limits, N(cardio_limits) },
	{ frame, frame_good, sizeof(frame_good), frame_limits, N(frame_limits) },
};

static void check_limit(const struct format *f, const struct limit *limit)
{
	uint8_t data[BEURER_CARDIO_SIZE];
	union result x;

	memcpy(data, f->good, f->len);
	for (unsigned int value = 0; value <= UINT8_MAX; value++) {
		const uint8_t number = (uint8_t)(value & limit->mask);
		const bool fits = number >= limit->min && number <= limit->max;

		data[limit->at] = (uint8_t)value;
		assert_int_equal(f->decode(data, f->len, &x) == 0, fits);
	}
}

static void test_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(formats); i++)
		for (size_t k = 0; k < formats[i].n_limits; k++)
			check_limit(&formats[i], &formats[i].limits[k]);
}

static void test_lengths(void **state)
{
	uint8_t data[BEURER_CARDIO_SIZE + 1] = { 0 };
	union result x;

	(void)state;
	for (size_t i = 0; i < N(formats); i++) {
		memcpy(data, formats[i].good, formats[i].len);
		for (size_t len = 0; len <= sizeof(data); len++)
			assert_int_equal(formats[i].decode(data, len, &x),
					 len == formats[i].len ? 0 : -EMSGSIZE);
	}
	/* one byte that says: no such record; and nothing else of one byte does */
	data[0] = BEURER_NO_RECORD;
	assert_int_equal(beurer_serial_decode(data, 1, &x.reading), -ENOENT);
	data[0] = BEURER_HAS_RECORD;
	assert_int_equal(beurer_serial_decode(data, 1, &x.reading), -EMSGSIZE);
}

static void check_reading(const struct beurer_reading *x)
{
	assert_int_equal(x->systolic, 120);
	assert_int_equal(x->diastolic, 75);
	assert_int_equal(x->pulse, 70);
	assert_int_equal(x->year, 2026);
	assert_int_equal(x->month, 11);
	assert_int_equal(x->day, 23);
	assert_int_equal(x->hour, 12);
	assert_int_equal(x->minute, 30);
}

static void test_beurer(void **state)
{
	uint8_t data[BEURER_CARDIO_SIZE];
	struct beurer_reading x;
	struct beurer_row row;

	(void)state;
	assert_int_equal(beurer_serial_decode(serial_good, sizeof(serial_good), &x), 0);
	check_reading(&x);
	assert_false(x.movement || x.irregular || x.restless);
	assert_int_equal(x.user, 0);
	assert_int_equal(beurer_hid_decode(hid_good, sizeof(hid_good), &x), 0);
	check_reading(&x);
	assert_true(x.movement && x.irregular);
	assert_int_equal(x.user, 1);
	memcpy(data, hid_good, sizeof(hid_good));
	data[3] = 11;
	data[4] = 0x80 | 23;
	data[7] = 26;
	assert_int_equal(beurer_hid_decode(data, sizeof(hid_good), &x), 0);
	check_reading(&x);
	assert_false(x.movement || x.irregular);
	assert_int_equal(x.user, 2);
	assert_int_equal(beurer_cardio_decode(cardio_good, sizeof(cardio_good), &row), 0);
	assert_int_equal(row.user, 1);
	assert_int_equal(row.row, 4);
	assert_int_equal(row.reading.systolic, 95);
	assert_int_equal(row.reading.diastolic, 150);
	assert_int_equal(row.reading.pulse, 70);
	assert_int_equal(row.reading.user, 2);
	assert_true(row.reading.restless);
	assert_int_equal(row.reading.hour * 100 + row.reading.minute, 1230);
	assert_int_equal(row.reading.month * 100 + row.reading.day, 1123);
	memcpy(data, cardio_good, sizeof(data));
	data[9] = 2;
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &row), 0);
	assert_false(row.reading.restless);
	data[0] = BEURER_IDLE;
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &row), -ENOMSG);
}

/* a systolic pressure of 194 begins as "no record" does: all that follows decides */
static void test_beurer_no_record(void **state)
{
	uint8_t data[BEURER_HID_SIZE];
	struct beurer_reading x;

	(void)state;
	memset(data, BEURER_IDLE, sizeof(data));
	assert_true(beurer_is_idle(data, sizeof(data)));
	data[0] = BEURER_NO_RECORD;
	assert_false(beurer_is_idle(data, sizeof(data)));
	assert_true(beurer_hid_is_no_record(data));
	assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), -ENOENT);
	for (size_t i = 1; i < sizeof(data); i++) {
		data[i] = 1;
		assert_false(beurer_hid_is_no_record(data));
		assert_int_not_equal(beurer_hid_decode(data, sizeof(data), &x), -ENOENT);
		data[i] = BEURER_IDLE;
	}
	data[0]++;
	assert_false(beurer_hid_is_no_record(data));
	memcpy(data, hid_good, sizeof(data));
	data[0] = BEURER_NO_RECORD;
	assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), 0);
	assert_int_equal(x.systolic, 194);
}

/* Two digits each, of which only decimal ones are a number. */
static void test_microlife_clock(void **state)
{
	static const struct {
		size_t at;
		int max;
	} fields[] = {
		{ 0, 12 }, { 2, 31 }, { 4, 99 }, { 6, 99 }, { 8, 23 }, { 10, 59 }, { 12, 59 }
	};
	struct microlife_time t;
	char text[15], digits[3];

	(void)state;
	for (size_t i = 0; i < N(fields); i++) {
		for (int value = 0; value < 100; value++) {
			(void)snprintf(text, sizeof(text), "11232026123059");
			(void)snprintf(digits, sizeof(digits), "%02u", (unsigned int)value % 100);
			memcpy(text + fields[i].at, digits, 2);
			assert_int_equal(microlife_clock((const uint8_t *)text, 14, &t) == 0,
					 value <= fields[i].max);
		}
		for (size_t k = 0; k < 2; k++) {
			(void)snprintf(text, sizeof(text), "11232026123059");
			text[fields[i].at + k] = 'a';
			assert_int_equal(microlife_clock((const uint8_t *)text, 14, &t), -ERANGE);
		}
	}
	assert_int_equal(microlife_clock((const uint8_t *)"11232026123059", 14, &t), 0);
	assert_int_equal(t.year, 2026);
	assert_int_equal(t.month * 100 + t.day, 1123);
	assert_int_equal(t.hour * 100 + t.minute, 1230);
	assert_int_equal(t.second, 59);
	assert_int_equal(microlife_clock((const uint8_t *)"11232026123059", 13, &t), -EMSGSIZE);
}

static void test_microlife_frame(void **state)
{
	uint8_t data[sizeof(frame_good)], user = 0;
	const uint8_t *payload;
	struct microlife_reading x;
	unsigned int flags = 7;
	size_t n;

	(void)state;
	memcpy(data, frame_good, sizeof(data));
	assert_int_equal(microlife_frame_record(data, 0, &x, &flags), 0);
	assert_int_equal(x.systolic, 120);
	assert_int_equal(x.diastolic, 75);
	assert_int_equal(x.pulse, 70);
	assert_int_equal(x.year, 2026);
	assert_int_equal(x.month * 100 + x.day, 1123);
	assert_int_equal(x.hour * 100 + x.minute, 1230);
	assert_int_equal(flags, 0);
	data[46] = 0x40;
	assert_int_equal(microlife_frame_record(data, 0, &x, &flags), 0);
	assert_int_equal(flags, MICROLIFE_FRAME_LOOSE | MICROLIFE_FRAME_IRREGULAR);
	for (unsigned int value = 0; value <= UINT8_MAX; value++) {
		data[1] = (uint8_t)value;
		assert_int_equal(microlife_frame_user(data, 2, &user) == 0,
				 value == 1 || value == 2);
	}
	/* a beginning without an end, and an end too far */
	static const uint8_t whole[] = { 0x4d, 0x3a, 0, 2, 5, 0x8e };

	assert_int_equal(microlife_frame_decode(whole, 6, &payload, &n), 0);
	assert_int_equal(n, 1);
	assert_ptr_equal(payload, whole + 4);
	assert_int_equal(microlife_frame_decode(whole, 5, &payload, &n), -EMSGSIZE);
	assert_int_equal(microlife_frame_decode(whole, 3, &payload, &n), -EMSGSIZE);
	assert_int_equal(microlife_frame_decode(whole + 1, 5, &payload, &n), -EBADMSG);
	assert_int_equal(microlife_frame_decode(whole + 1, 1, &payload, &n), -EBADMSG);
}

/* len and size contradict each other, with an xor that is right */
static void test_omron_frame(void **state)
{
	uint8_t data[OMRON_FRAME_MAX + 1] = { 0 };
	struct omron_frame f;

	(void)state;
	for (unsigned int len = 0; len <= sizeof(data); len++) {
		for (unsigned int size = 0; size <= OMRON_FRAME_MAX; size++) {
			const bool fits = len >= OMRON_FRAME_MIN && len <= OMRON_FRAME_MAX &&
					  (len == OMRON_FRAME_MIN || len - OMRON_FRAME_MIN == size);

			memset(data, 0, sizeof(data));
			data[0] = (uint8_t)len;
			data[5] = (uint8_t)size;
			if (len > 6)
				data[len - 1] = (uint8_t)(len ^ size);
			assert_int_equal(omron_frame_decode(data, len, &f), fits ? 0 : -EMSGSIZE);
			if (fits)
				assert_int_equal(f.len, len - OMRON_FRAME_MIN);
		}
	}
	data[0] = 9;
	assert_int_equal(omron_frame_decode(data, 8, &f), -EMSGSIZE);
}

static void test_colmi_time(void **state)
{
	static const struct {
		struct gatt_date_time t;
		int r;
	} rows[] = {
		{ { 2026, 11, 23, 12, 30, 59 }, 0 },
		{ { 2000, 1, 1, 0, 0, 0 }, 0 },
		{ { 2099, 12, 31, 23, 59, 59 }, 0 },
		{ { 1999, 12, 31, 23, 59, 59 }, -ERANGE },
		{ { 2100, 1, 1, 0, 0, 0 }, -ERANGE },
		{ { 2026, 0, 23, 12, 30, 59 }, -ERANGE },
		{ { 2026, 11, 0, 12, 30, 59 }, -ERANGE },
		{ { 2026, 13, 1, 12, 30, 59 }, -ERANGE },
		{ { 2026, 11, 23, 24, 30, 59 }, -ERANGE },
		{ { 2026, 11, 23, 12, 60, 0 }, -ERANGE },
	};
	static const uint8_t first[] = { 0x01, 0x26, 0x11, 0x23, 0x12, 0x30, 0x59, 0x01 };
	uint8_t data[COLMI_FRAME_SIZE];

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct writer w = writer_of(data, sizeof(data));

		assert_int_equal(colmi_set_time_encode(&rows[i].t, &w), rows[i].r);
		assert_int_equal(w.len, rows[i].r == 0 ? sizeof(data) : 0);
		if (i == 0)
			assert_memory_equal(data, first, sizeof(first));
	}
	for (size_t size = 0; size < sizeof(data); size++) {
		struct writer w = writer_of(data, size);

		assert_int_equal(colmi_set_time_encode(&rows[0].t, &w), -ENOSPC);
		assert_int_equal(w.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),          cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_beurer),          cmocka_unit_test(test_beurer_no_record),
		cmocka_unit_test(test_microlife_clock), cmocka_unit_test(test_microlife_frame),
		cmocka_unit_test(test_omron_frame),     cmocka_unit_test(test_colmi_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
