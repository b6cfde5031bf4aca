/* links: protocols */
#include "protocols/gatt/device_information.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_system_id_decode)
DECODER(gatt_pnp_id_decode)
ENCODER(gatt_text_encode)
ENCODER(gatt_system_id_encode)
ENCODER(gatt_pnp_id_encode)

struct text_vector {
	const char *in;
	size_t len;
	const char *out; /* NULL: -EBADMSG */
};

#define TEXT(in, out)                   \
	{                               \
		in, sizeof(in) - 1, out \
	}

static void test_text(void **state)
{
	static const struct text_vector vectors[] = {
		TEXT("", ""),
		TEXT("HEM-7155T", "HEM-7155T"),
		TEXT("  BF720 \0\0\0", "BF720"),
		TEXT("1.0\r\n", "1.0"),
		TEXT("\0\0", ""),
		TEXT("A B", "A B"),
		TEXT("K\xc3\xb6rper", "K\xc3\xb6rper"),
		TEXT("\xc2\xa0", "\xc2\xa0"),
		TEXT("\xe2\x82\xac", "\xe2\x82\xac"),
		TEXT("\xf0\x9f\xa9\xba", "\xf0\x9f\xa9\xba"),
		TEXT("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"),
		TEXT("a\0b", NULL),    /* NUL inside */
		TEXT("\x1b[2J", NULL), /* would drive a terminal */
		TEXT("a\nb", NULL),    /* would forge a log line */
		TEXT("a\x7f"
		     "b",
		     NULL),
		TEXT("\xc2\x9b"
		     "2J",
		     NULL),                     /* the same as ESC [ on some terminals */
		TEXT("\xff\xff\xff", NULL),     /* erased flash */
		TEXT("\x80", NULL),             /* continuation alone */
		TEXT("\xc0\xaf", NULL),         /* overlong */
		TEXT("\xc1\xbf", NULL),         /* overlong */
		TEXT("\xe0\x9f\xbf", NULL),     /* overlong */
		TEXT("\xed\xa0\x80", NULL),     /* surrogate */
		TEXT("\xf0\x8f\xbf\xbf", NULL), /* overlong */
		TEXT("\xf4\x90\x80\x80", NULL), /* above 10FFFF */
		TEXT("\xf5\x80\x80\x80", NULL),
		TEXT("\xc3", NULL),         /* cut */
		TEXT("\xe2\x82", NULL),     /* cut */
		TEXT("\xf0\x9f\xa9", NULL), /* cut */
		TEXT("\xe2\x28\xac", NULL),
		TEXT("\xf0\x9f\x28\xba", NULL),
		TEXT("\xf0\x9f\xa9\x28", NULL),
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct value v = value_copy((const uint8_t *)vectors[i].in, vectors[i].len);
		int r;

		memset(out, '#', sizeof(out));
		r = gatt_text(v.data, v.len, out, sizeof(out));
		if (vectors[i].out) {
			assert_int_equal(r, strlen(vectors[i].out));
			assert_string_equal(out, vectors[i].out);
		} else {
			assert_int_equal(r, -EBADMSG);
			assert_int_equal(out[0], '#');
		}
		value_free(&v);
	}
}

static void test_text_size(void **state)
{
	uint8_t data[GATT_TEXT_MAX + 1];
	char out[GATT_TEXT_MAX + 1];

	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(gatt_text(data, GATT_TEXT_MAX, out, sizeof(out)), GATT_TEXT_MAX);
	assert_int_equal(out[GATT_TEXT_MAX], 0);
	assert_int_equal(gatt_text(data, GATT_TEXT_MAX + 1, out, sizeof(out)), -EMSGSIZE);
	out[0] = '#';
	assert_int_equal(gatt_text(data, 4, out, 4), -EMSGSIZE);
	assert_int_equal(gatt_text(data, 0, out, 0), -EMSGSIZE);
	assert_int_equal(out[0], '#');
	assert_int_equal(gatt_text(data, 3, out, 4), 3);
}

static void test_text_encode(void **state)
{
	uint8_t buffer[600];
	size_t len;
	struct writer w = writer_of(buffer, sizeof(buffer));
	char text[GATT_TEXT_MAX + 2];

	(void)state;
	assert_encodes(gatt_text_encode, "BF720", buffer, len);
	assert_int_equal(len, 5);
	assert_memory_equal(buffer, "BF720", 5);
	assert_int_equal(gatt_text_encode("a\nb", &w), -EBADMSG);
	memset(text, 'x', sizeof(text));
	text[GATT_TEXT_MAX + 1] = '\0';
	assert_int_equal(gatt_text_encode(text, &w), -EMSGSIZE);
	assert_int_equal(w.len, 0);
	text[GATT_TEXT_MAX] = '\0';
	assert_int_equal(gatt_text_encode(text, &w), 0);
	assert_int_equal(w.len, GATT_TEXT_MAX);
}

/* every string of three bytes: what is taken comes out the same and is taken again */
static void test_text_exhaustive(void **state)
{
	char out[8], again[8];
	size_t taken = 0;

	(void)state;
	for (uint32_t i = 0; i < 1 << 24; i += 3) {
		uint8_t data[3] = { (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16) };
		int r = gatt_text(data, sizeof(data), out, sizeof(out));

		if (r < 0)
			continue;
		taken++;
		assert_int_equal(strlen(out), r);
		assert_int_equal(gatt_text((const uint8_t *)out, (size_t)r, again, sizeof(again)),
				 r);
		assert_string_equal(out, again);
	}
	assert_true(taken > 100000);
}

static void test_system_id(void **state)
{
	struct gatt_system_id x;
	uint8_t buffer[16];
	size_t len;

	(void)state;
	/* the example of the SIG: 0x123456FFFE9ABCDE */
	assert_decodes(gatt_system_id_decode, "debc9afeff563412", &x, 0);
	assert_int_equal(x.oui, 0x123456);
	assert_int_equal(x.manufacturer, 0xfffe9abcde);
	assert_encodes(gatt_system_id_encode, &x, buffer, len);
	assert_memory_equal(buffer, "\xde\xbc\x9a\xfe\xff\x56\x34\x12", 8);
	assert_length_exact(gatt_system_id_decode, buffer, len, &x);
	x.oui = 1 << 24;
	assert_refuses(gatt_system_id_encode, &x);
	x = (struct gatt_system_id){ .manufacturer = UINT64_C(1) << 40 };
	assert_refuses(gatt_system_id_encode, &x);
}

static void test_pnp_id(void **state)
{
	struct rng rng = { 0x2a50 };
	struct gatt_pnp_id x, back;
	uint8_t buffer[16];
	size_t len;

	(void)state;
	assert_decodes(gatt_pnp_id_decode, "02 3412 7856 1001", &x, 0);
	assert_int_equal(x.source, GATT_PNP_USB);
	assert_int_equal(x.vendor, 0x1234);
	assert_int_equal(x.product, 0x5678);
	assert_int_equal(x.version, 0x0110);
	for (int i = 0; i < ROUNDS; i++) {
		x.source = rng_coin(&rng) ? GATT_PNP_BLUETOOTH : GATT_PNP_USB;
		x.vendor = rng_u16(&rng);
		x.product = rng_u16(&rng);
		x.version = rng_u16(&rng);
		assert_encodes(gatt_pnp_id_encode, &x, buffer, len);
		assert_int_equal(gatt_pnp_id_decode(buffer, len, &back), 0);
		assert_memory_equal(&x.source, &back.source, sizeof(x.source));
		assert_int_equal(x.vendor, back.vendor);
		assert_int_equal(x.product, back.product);
		assert_int_equal(x.version, back.version);
	}
	assert_length_exact(gatt_pnp_id_decode, buffer, len, &back);
	assert_decodes(gatt_pnp_id_decode, "00 3412 7856 1001", &x, -ERANGE);
	assert_decodes(gatt_pnp_id_decode, "03 3412 7856 1001", &x, -ERANGE);
	x.source = (enum gatt_pnp_source)3;
	assert_refuses(gatt_pnp_id_encode, &x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),        cmocka_unit_test(test_text_size),
		cmocka_unit_test(test_text_encode), cmocka_unit_test(test_text_exhaustive),
		cmocka_unit_test(test_system_id),   cmocka_unit_test(test_pnp_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
