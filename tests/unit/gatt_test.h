/* What the tests of the GATT codecs share besides gatt_random.h: hex and comparison. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gatt_random.h"

#define ROUNDS 20000

/* an attribute value that ends where its memory ends, so that a sanitizer sees a read too far */
struct value {
	uint8_t *data;
	size_t len;
};

static inline struct value value_copy(const uint8_t *data, size_t len)
{
	struct value v = { .data = malloc(len ? len : 1), .len = len };

	assert_non_null(v.data);
	if (len)
		memcpy(v.data, data, len);
	return v;
}

static inline uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* lower case digits; blanks may stand between bytes */
static inline struct value value_of_hex(const char *hex)
{
	uint8_t data[512];
	size_t len = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		assert_true(len < sizeof(data) && hex[1]);
		data[len++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
		hex++;
	}
	return value_copy(data, len);
}

static inline void value_free(struct value *v)
{
	free(v->data);
	v->data = NULL;
}

static inline void assert_number(struct number n, int64_t mantissa, int32_t exponent)
{
	assert_int_equal(n.absent, ABSENT_NO);
	assert_int_equal(n.value.mantissa, mantissa);
	assert_int_equal(n.value.exponent, exponent);
}

static inline void assert_same_number(struct number a, struct number b)
{
	assert_int_equal(a.absent, b.absent);
	assert_int_equal(a.value.mantissa, b.value.mantissa);
	assert_int_equal(a.value.exponent, b.value.exponent);
}

static inline void assert_same_time(const struct gatt_date_time *a, const struct gatt_date_time *b)
{
	assert_int_equal(a->year, b->year);
	assert_int_equal(a->month, b->month);
	assert_int_equal(a->day, b->day);
	assert_int_equal(a->hour, b->hour);
	assert_int_equal(a->minute, b->minute);
	assert_int_equal(a->second, b->second);
}

/* decodes the hex; the result must be r and, on failure, ret untouched */
#define assert_decodes(decode, hex, ret, r)                                      \
	do {                                                                     \
		struct value value_ = value_of_hex(hex);                         \
		__typeof__(*(ret)) poison_;                                      \
		memset(&poison_, 0xa5, sizeof(poison_));                         \
		memcpy((ret), &poison_, sizeof(poison_));                        \
		assert_int_equal((decode)(value_.data, value_.len, (ret)), (r)); \
		if ((r) < 0)                                                     \
			assert_memory_equal((ret), &poison_, sizeof(poison_));   \
		value_free(&value_);                                             \
	} while (0)

/* every prefix from `shortest` on, and one byte more, is refused for its length */
#define assert_length_exact(decode, bytes, size, ret, shortest)             \
	do {                                                                \
		uint8_t longer_[600] = { 0 };                               \
		assert_true((size) < sizeof(longer_));                      \
		memcpy(longer_, (bytes), (size));                           \
		for (size_t n_ = (shortest); n_ <= (size) + 1; n_++) {      \
			struct value value_ = value_copy(longer_, n_);      \
			int r_ = (decode)(value_.data, value_.len, (ret));  \
			assert_int_equal(r_, n_ == (size) ? 0 : -EMSGSIZE); \
			value_free(&value_);                                \
		}                                                           \
	} while (0)

/* encode into a buffer of exactly the size needed, and refuse one byte less without a trace */
#define assert_encodes(encode, x, buffer, ret_len)                           \
	do {                                                                 \
		struct writer writer_ = writer_of((buffer), sizeof(buffer)); \
		assert_int_equal((encode)((x), &writer_), 0);                \
		(ret_len) = writer_.len;                                     \
		writer_ = writer_of((buffer), (ret_len)-1);                  \
		assert_int_equal((encode)((x), &writer_), -ENOSPC);          \
		assert_int_equal(writer_.len, 0);                            \
		writer_ = writer_of((buffer), (ret_len));                    \
		assert_int_equal((encode)((x), &writer_), 0);                \
		assert_int_equal(writer_.len, (ret_len));                    \
	} while (0)

/* the value cannot be said: -ERANGE, and nothing is written */
#define assert_refuses(encode, x)                                            \
	do {                                                                 \
		uint8_t buffer_[600];                                        \
		struct writer writer_ = writer_of(buffer_, sizeof(buffer_)); \
		assert_int_equal((encode)((x), &writer_), -ERANGE);          \
		assert_int_equal(writer_.len, 0);                            \
		assert_true(writer_ok(&writer_));                            \
	} while (0)

static const struct {
	uint16_t raw;
	enum absent absent;
} sfloat_specials[] = {
	{ 0x07fe, ABSENT_POSITIVE_INFINITY },
	{ 0x07ff, ABSENT_NAN },
	{ 0x0800, ABSENT_NRES },
	{ 0x0801, ABSENT_RESERVED },
	{ 0x0802, ABSENT_NEGATIVE_INFINITY },
};
#define SFLOAT_SPECIALS (sizeof(sfloat_specials) / sizeof(sfloat_specials[0]))

/* data with each SFLOAT special at the offset decodes and leaves no number in `number` */
#define assert_sfloat_specials(decode, bytes, size, offset, ret, number)             \
	for (size_t i_ = 0; i_ < SFLOAT_SPECIALS; i_++) {                            \
		struct value value_ = value_copy((bytes), (size));                   \
		value_.data[(offset)] = (uint8_t)sfloat_specials[i_].raw;            \
		value_.data[(offset) + 1] = (uint8_t)(sfloat_specials[i_].raw >> 8); \
		assert_int_equal((decode)(value_.data, value_.len, (ret)), 0);       \
		assert_int_equal((number).absent, sfloat_specials[i_].absent);       \
		assert_int_equal((number).value.mantissa, 0);                        \
		value_free(&value_);                                                 \
	}
