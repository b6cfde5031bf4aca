/* links: protocols */
/*
 * Records of Omron cuffs. `published`: records of real cuffs, from the tests of an open program
 * (MIT) or worked out by hand with it; the others are made up.
 */
#include "protocols/omron/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/omron_time.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static size_t bytes_of(const char *hex, uint8_t *data)
{
	size_t n = 0;

	for (; *hex; hex += 2) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		data[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

/* the bytes end where their memory ends */
static int decode(enum omron_layout layout, const uint8_t *data, size_t len,
		  struct omron_record *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, data, len);
	r = omron_record_decode(layout, copy, len, ret);
	free(copy);
	return r;
}

struct row {
	enum omron_layout layout;
	int number; /* -1: none */
	const char *hex;
	uint16_t systolic, diastolic, pulse;
	struct gatt_date_time time;
	bool irregular, movement;
};

/* clang-format off */
static const struct row published[] = {
	{ OMRON_LE, 32, "7d5d461a2b2541160000200000010200",
	  150, 93, 70, { 2026, 9, 9, 11, 25, 1 }, 0, 0 },
	{ OMRON_LE, 76, "6558541a331ade1800004c00ba00",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 30 }, 0, 0 },
	{ OMRON_LE, 70, "6457431a7316161c000046001900",
	  125, 87, 67, { 2026, 5, 19, 19, 48, 22 }, 0, 0 },
	{ OMRON_BE, -1, "5b781a4819d71b42000014006996",
	  145, 91, 72, { 2026, 6, 14, 23, 45, 2 }, 0, 0 },
};

static const struct row made_up[] = {
	/* irregular and movement; the second 63 is read as 59 */
	{ OMRON_LE, 1, "6558541a33dade18000001002f00",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 30 }, 1, 1 },
	{ OMRON_LE, 2, "6558541a331aff18000002009100",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 59 }, 0, 0 },
	/* the same record, its words turned */
	{ OMRON_BE, -1, "58651a541a3318de000000000f6e",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 30 }, 0, 0 },
	{ OMRON_EITHER, -1, "58651a541a3318de00000000006e",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 30 }, 0, 0 },
	{ OMRON_EITHER, 76, "6558541a331ade1800004c00ba00",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 30 }, 0, 0 },
	/* month 15 is no date; the time of day stays */
	{ OMRON_LE, 1, "6558541a333ede18000001009300",
	  126, 88, 84, { 0, 0, 0, 19, 35, 30 }, 0, 0 },
	{ OMRON_BE_6232, -1, "58655a541a3318de00000000ffae",
	  126, 88, 84, { 2026, 6, 17, 19, 35, 30 }, 0, 0 },
	{ OMRON_6401, -1, "1a0611132d1e65585400000500000000",
	  126, 88, 84, { 2026, 6, 17, 19, 45, 30 }, 1, 1 },
	/* the most a two-byte systolic must hold; TruRead 2, irregular */
	{ OMRON_GME, -1, "1a0611132d1e00012c5854002100",
	  300, 88, 84, { 2026, 6, 17, 19, 45, 30 }, 1, 0 },
	{ OMRON_GME_SHORT, -1, "1a0611132d1e00007e5854cc",
	  126, 88, 84, { 2026, 6, 17, 19, 45, 30 }, 0, 0 },
	{ OMRON_HEARTGUIDE, 42, "6450461a33dade1800002a000000000000000000000055",
	  125, 80, 70, { 2026, 6, 17, 19, 35, 30 }, 1, 1 },
};
/* clang-format on */

static void check_row(const struct row *row, bool patch)
{
	uint8_t data[OMRON_RECORD_MAX] = { 0 }, sum = 0;
	struct omron_record x;
	size_t len = bytes_of(row->hex, data);

	if (patch && row->layout == OMRON_HEARTGUIDE) {
		len = 24;
		data[22] = omron_sum(data, len);
	}
	if (patch && (row->layout == OMRON_LE))
		data[len - 2] = omron_sum(data, len);
	if (patch && row->layout == OMRON_GME) {
		for (size_t i = 0; i + 1 < len; i++)
			sum ^= data[i];
		data[len - 1] = sum;
	}
	if (patch && row->layout == OMRON_GME_SHORT) {
		for (size_t i = 0; i + 1 < len; i++)
			sum ^= data[i];
		data[len - 1] = sum;
	}
	if (patch && (row->layout == OMRON_BE || row->layout == OMRON_BE_6232)) {
		for (size_t i = 0; i < 12; i++)
			sum = (uint8_t)(sum + data[i]);
		data[13] = sum;
	}
	assert_int_equal(decode(row->layout, data, len, &x), 0);
	assert_int_equal(x.systolic, row->systolic);
	assert_int_equal(x.diastolic, row->diastolic);
	assert_int_equal(x.pulse, row->pulse);
	assert_same_time(&x.time, &row->time);
	assert_int_equal(x.irregular, row->irregular);
	assert_int_equal(x.movement, row->movement);
	assert_int_equal(x.has_number, row->number >= 0);
	if (row->number >= 0)
		assert_int_equal(x.number, row->number);
}

static void test_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(published); i++)
		check_row(&published[i], false);
}

static void test_made_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(made_up); i++)
		check_row(&made_up[i], true);
}

static void test_bits(void **state)
{
	uint8_t data[OMRON_RECORD_MAX];
	struct omron_record x;
	size_t n = bytes_of("6558541a331ade1800004c00ba00", data);

	(void)state;
	assert_int_equal(decode(OMRON_LE, data, n, &x), 0);
	assert_true(x.has_cuff && x.cuff_good && x.position == 0);
	data[7] = 0xc8; /* position 3, cuff 0 */
	data[n - 2] = omron_sum(data, n);
	assert_int_equal(decode(OMRON_LE, data, n, &x), 0);
	assert_true(x.has_cuff && !x.cuff_good && x.position == 3);
	n = bytes_of("1a0611132d1e00012c5854002100", data);
	for (size_t i = 0; i + 1 < n; i++)
		data[n - 1] ^= data[i];
	assert_int_equal(decode(OMRON_GME, data, n, &x), 0);
	assert_int_equal(x.truread, 2);
	assert_false(x.has_cuff);
}

static void test_empty(void **state)
{
	static const uint8_t zero[OMRON_RECORD_MAX];
	uint8_t data[OMRON_RECORD_MAX];
	struct omron_record x;

	(void)state;
	for (enum omron_layout layout = OMRON_LE; layout < OMRON_LAYOUT_END; layout++) {
		const size_t n = omron_record_size(layout);

		memset(&x, 0xa5, sizeof(x));
		memset(data, 0xff, sizeof(data));
		assert_int_equal(decode(layout, data, n, &x), -ENODATA);
		assert_int_equal(decode(layout, zero, n, &x), -ENODATA);
		assert_int_equal(((uint8_t *)&x)[0], 0xa5);
	}
	/* systolic above e1, the rest whatever it was */
	memset(data, 0x11, sizeof(data));
	data[0] = 0xe2;
	assert_int_equal(decode(OMRON_LE, data, 14, &x), -ENODATA);
	data[0] = 0x11;
	data[1] = 0xe2;
	assert_int_equal(decode(OMRON_BE, data, 14, &x), -ENODATA);
	assert_int_equal(decode(OMRON_LE, data, 14, &x), -EBADMSG);
}

static void test_spoiled(void **state)
{
	uint8_t data[OMRON_RECORD_MAX];
	struct omron_record x;

	(void)state;
	for (size_t i = 0; i < N(published); i++) {
		const size_t n = bytes_of(published[i].hex, data);

		for (size_t len = 0; len < OMRON_RECORD_MAX; len++) {
			if (len != n)
				assert_int_not_equal(decode(published[i].layout, data, len, &x), 0);
		}
		/* any bit of what is measured; a number that is another one is another record */
		for (size_t bit = 0; bit < 64; bit++) {
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_not_equal(decode(published[i].layout, data, n, &x), 0);
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	/* of the other order of bytes: refused, not misread */
	assert_int_equal(decode(OMRON_LE, data, bytes_of(published[3].hex, data), &x), -EBADMSG);
	assert_int_equal(decode(OMRON_BE, data, bytes_of(published[1].hex, data), &x), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published), cmocka_unit_test(test_made_up),
		cmocka_unit_test(test_bits),      cmocka_unit_test(test_empty),
		cmocka_unit_test(test_spoiled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
