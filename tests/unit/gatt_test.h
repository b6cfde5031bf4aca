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

/* One shape for every codec, so that the checks below can be functions. */
typedef int decode_any(const uint8_t *data, size_t len, void *ret);
typedef int encode_any(const void *x, struct writer *w);

#define DECODER(decode)                                                     \
	static int any_##decode(const uint8_t *data, size_t len, void *ret) \
	{                                                                   \
		return decode(data, len, ret);                              \
	}
#define ENCODER(encode)                                          \
	static int any_##encode(const void *x, struct writer *w) \
	{                                                        \
		return encode(x, w);                             \
	}
/* an encoder that takes its value itself, not a pointer to it */
#define ENCODER_OF(encode, type)                                 \
	static int any_##encode(const void *x, struct writer *w) \
	{                                                        \
		return encode(*(const type *)x, w);              \
	}

static inline void check_decodes(decode_any *decode, const char *hex, void *ret, size_t size,
				 int want)
{
	struct value v = value_of_hex(hex);

	memset(ret, 0xa5, size);
	assert_int_equal(decode(v.data, v.len, ret), want);
	for (size_t i = 0; want < 0 && i < size; i++)
		assert_int_equal(((uint8_t *)ret)[i], 0xa5);
	value_free(&v);
}
/* decodes the hex; the result must be r and, on failure, ret untouched */
#define assert_decodes(decode, hex, ret, r) \
	check_decodes(any_##decode, (hex), (ret), sizeof(*(ret)), (r))

static inline void check_lengths(decode_any *decode, const uint8_t *data, size_t len, void *ret)
{
	uint8_t longer[600] = { 0 };

	assert_true(len < sizeof(longer));
	memcpy(longer, data, len);
	for (size_t n = 0; n <= len + 1; n++) {
		struct value v = value_copy(longer, n);

		assert_int_equal(decode(v.data, v.len, ret), n == len ? 0 : -EMSGSIZE);
		value_free(&v);
	}
}
/* every prefix, and one byte more, is refused for its length */
#define assert_length_exact(decode, data, len, ret) \
	check_lengths(any_##decode, (data), (len), (ret))

static inline size_t check_encodes(encode_any *encode, const void *x, uint8_t *buffer, size_t size)
{
	struct writer w = writer_of(buffer, size), small, exact;

	assert_int_equal(encode(x, &w), 0);
	small = writer_of(buffer, w.len - 1);
	assert_int_equal(encode(x, &small), -ENOSPC);
	assert_int_equal(small.len, 0);
	exact = writer_of(buffer, w.len);
	assert_int_equal(encode(x, &exact), 0);
	assert_int_equal(exact.len, w.len);
	return w.len;
}
/* encodes into a buffer of just the size needed, and refuses one byte less without a trace */
#define assert_encodes(encode, x, buffer, ret_len) \
	((ret_len) = check_encodes(any_##encode, (x), (buffer), sizeof(buffer)))

static inline void check_refuses(encode_any *encode, const void *x)
{
	uint8_t buffer[600];
	struct writer w = writer_of(buffer, sizeof(buffer));

	assert_int_equal(encode(x, &w), -ERANGE);
	assert_int_equal(w.len, 0);
	assert_true(writer_ok(&w));
}
/* the value cannot be said: -ERANGE, and nothing is written */
#define assert_refuses(encode, x) check_refuses(any_##encode, (x))

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

/* data with each SFLOAT special at the offset decodes and leaves no number behind */
static inline void check_specials(decode_any *decode, const char *hex, size_t offset, void *ret,
				  const struct number *number)
{
	struct value v = value_of_hex(hex);

	for (size_t i = 0; i < SFLOAT_SPECIALS; i++) {
		v.data[offset] = (uint8_t)sfloat_specials[i].raw;
		v.data[offset + 1] = (uint8_t)(sfloat_specials[i].raw >> 8);
		assert_int_equal(decode(v.data, v.len, ret), 0);
		assert_int_equal(number->absent, sfloat_specials[i].absent);
		assert_int_equal(number->value.mantissa, 0);
	}
	value_free(&v);
}
#define assert_sfloat_specials(decode, hex, offset, ret, number) \
	check_specials(any_##decode, (hex), (offset), (ret), &(number))
