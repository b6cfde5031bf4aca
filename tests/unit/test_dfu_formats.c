/* links: protocols */
/* Descriptors, DfuSe's layout, SMP's header and answers, CBOR: vectors, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/dfu/cbor.h"
#include "protocols/dfu/dfu_descriptor.h"
#include "protocols/dfu/smp.h"

/* RFC 8949, appendix A */
static void test_cbor_vectors(void **state)
{
	static const struct {
		uint64_t value;
		uint8_t bytes[9];
		size_t len;
	} rows[] = {
		{ 0, { 0x00 }, 1 },
		{ 23, { 0x17 }, 1 },
		{ 24, { 0x18, 0x18 }, 2 },
		{ 1000, { 0x19, 0x03, 0xe8 }, 3 },
		{ 1000000, { 0x1a, 0x00, 0x0f, 0x42, 0x40 }, 5 },
		{ 1000000000000, { 0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00 }, 9 },
		{ UINT64_MAX, { 0x1b, 255, 255, 255, 255, 255, 255, 255, 255 }, 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[9];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct cursor c = cursor_of(rows[i].bytes, rows[i].len);
		struct cbor_item item;

		cbor_put_head(&w, CBOR_UNSIGNED, rows[i].value);
		assert_true(writer_ok(&w));
		assert_int_equal(w.len, rows[i].len);
		assert_memory_equal(bytes, rows[i].bytes, w.len);
		assert_int_equal(cbor_next(&c, &item), 0);
		assert_int_equal(item.type, CBOR_UNSIGNED);
		assert_true(item.value == rows[i].value);
	}
}

static int skip_one(const void *bytes, size_t len, size_t *left)
{
	struct cursor c = cursor_of(bytes, len);
	int r = cbor_skip(&c);

	*left = cursor_left(&c);
	return r;
}

static void test_cbor_skip(void **state)
{
	/* [1, [2, 3], [4, 5]]; {_ "a": 1, "b": [_ 2, 3]}; 1(1363896240); both of appendix A */
	static const uint8_t nested[] = { 0x83, 0x01, 0x82, 0x02, 0x03, 0x82, 0x04, 0x05, 0x00 };
	static const uint8_t endless[] = { 0xbf, 0x61, 0x61, 0x01, 0x61, 0x62,
					   0x9f, 0x02, 0x03, 0xff, 0xff, 0x00 };
	static const uint8_t tag[] = { 0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0, 0x00 };
	static const uint8_t deep[] = { 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0 };
	static const uint8_t cut[] = { 0x83, 0x01 }, lone[] = { 0xff },
			     long_text[] = { 0x7b, 255, 255, 255, 255, 255, 255, 255, 255, 'a' };
	size_t left;

	(void)state;
	assert_int_equal(skip_one(nested, sizeof(nested), &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(skip_one(endless, sizeof(endless), &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(skip_one(tag, sizeof(tag), &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(skip_one(deep, sizeof(deep), &left), -E2BIG);
	assert_int_equal(skip_one(cut, sizeof(cut), &left), -EBADMSG);
	assert_int_equal(skip_one(lone, sizeof(lone), &left), -EBADMSG);
	assert_int_equal(skip_one(long_text, sizeof(long_text), &left), -EBADMSG);
}

static void test_smp_answers(void **state)
{
	static const uint8_t offset[] = { 0xa1, 0x63, 'o', 'f', 'f', 0x19, 0x01, 0x00 };
	static const uint8_t error[] = { 0xa1, 0x63, 'e', 'r',  'r',  0xa2, 0x65, 'g',  'r',
					 'o',  'u',  'p', 0x01, 0x62, 'r',  'c',  0x18, 0x1b };
	static const uint8_t negative[] = { 0xa1, 0x63, 'o', 'f', 'f', 0x20 };
	static const uint8_t trailing[] = { 0xa0, 0x00 };
	struct smp_answer a;

	(void)state;
	assert_int_equal(smp_answer_decode(offset, sizeof(offset), &a), 0);
	assert_true(a.has_offset);
	assert_int_equal(a.offset, 256);
	assert_int_equal(smp_answer_decode(error, sizeof(error), &a), 0);
	assert_int_equal(a.rc_group, 1);
	assert_int_equal(a.rc, 27);
	assert_int_equal(smp_answer_decode(negative, sizeof(negative), &a), -ERANGE);
	assert_int_equal(smp_answer_decode(trailing, sizeof(trailing), &a), -EBADMSG);
	assert_int_equal(smp_answer_decode(offset, 4, &a), -EBADMSG);
}

static void test_smp_versions(void **state)
{
	static const char *const bad[] = { "", ".", "1.", "a", "1.2.3.4.5", "1.2-3", "9999999999" };
	struct dfu_version v = smp_version_decode((const uint8_t *)"1.22.3", 6);
	struct dfu_version w = smp_version_decode((const uint8_t *)"1.3", 3);

	(void)state;
	assert_true(v.known);
	assert_int_equal(v.part[1], 22);
	assert_true(dfu_version_compare(&v, &w) > 0);
	assert_int_equal(dfu_version_compare(&v, &v), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(smp_version_decode((const uint8_t *)bad[i], strlen(bad[i])).known);
}

static void test_smp_header(void **state)
{
	static const uint8_t bytes[] = { 0x0a, 0x00, 0x01, 0x02, 0x00, 0x01, 0x2a, 0x01 };
	struct smp_header h;
	uint8_t again[8];
	struct writer w = writer_of(again, sizeof(again));

	(void)state;
	assert_int_equal(smp_header_decode(bytes, sizeof(bytes), &h), 0);
	assert_int_equal(h.op, SMP_WRITE);
	assert_int_equal(h.version, 1);
	assert_int_equal(h.len, 0x102);
	assert_int_equal(h.group, SMP_GROUP_IMAGE);
	assert_int_equal(h.sequence, 0x2a);
	assert_int_equal(h.id, SMP_IMAGE_UPLOAD);
	smp_header_encode(&h, &w);
	assert_memory_equal(again, bytes, sizeof(bytes));
	assert_int_equal(smp_header_decode(bytes, 7, &h), -EMSGSIZE);
}

static int layout(const char *name, struct dfuse_layout *ret)
{
	return dfuse_layout_decode(name, strlen(name), ret);
}

static void test_dfuse_layout(void **state)
{
	struct dfuse_region page;
	struct dfuse_layout l;

	(void)state;
	assert_int_equal(layout("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", &l), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.region[2].address, 0x08020000);
	assert_true(dfuse_page_at(&l, 0x0800ffff, &page));
	assert_int_equal(page.address, 0x0800c000);
	assert_int_equal(page.page, 16384);
	assert_true(dfuse_page_at(&l, 0x080fffff, &page));
	assert_false(dfuse_page_at(&l, 0x08100000, &page));
	assert_false(dfuse_page_at(&l, 0x07ffffff, &page));
	assert_int_equal(layout("@Boot /0x08000000/08*001Ka,120*001Kg/0x1FFF0000/1*16 e", &l), 0);
	assert_int_equal(l.n, 3);
	assert_true(l.region[0].readable && !l.region[0].erasable && !l.region[0].writable);
	assert_int_equal(layout("", &l), -EBADMSG);
	assert_int_equal(layout("@x", &l), -EBADMSG);
	assert_int_equal(layout("@x/0x0/1*1Kz", &l), -EBADMSG);
	assert_int_equal(layout("@x/0x0/0*1Kg", &l), -ERANGE);
	assert_int_equal(layout("@x/0xffffffff/2*1Mg", &l), -ERANGE);
	assert_int_equal(layout("@x/0x0/99999999999*1Mg", &l), -ERANGE);
	assert_int_equal(layout("@x/0x0/1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,"
				"1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg,1*1Bg",
				&l),
			 -E2BIG);
}

static void test_descriptor(void **state)
{
	/* a vendor's interface, then DFU in two settings, then what is valid for both */
	static const uint8_t good[] = {
		9, 2,    45,   0,    2, 1,    0, 0x80, 50, /* configuration */
		9, 4,    0,    0,    0, 0xff, 0, 0,    0,  /* interface 0 */
		9, 4,    1,    0,    0, 0xfe, 1, 2,    4,  /* interface 1 */
		9, 4,    1,    1,    0, 0xfe, 1, 2,    5,  /* the same, setting 1 */
		9, 0x21, 0x0b, 0xff, 0, 0,    8, 0x1a, 1,  /* functional */
	};
	struct dfu_usb_facts f;

	(void)state;
	assert_int_equal(dfu_usb_descriptor(good, sizeof(good), 0, &f), 0);
	assert_int_equal(f.interface, 1);
	assert_int_equal(f.name, 4);
	assert_int_equal(f.mode, DFU_MODE_UPDATE);
	assert_int_equal(f.attributes, 0x0b);
	assert_int_equal(f.transfer, 2048);
	assert_int_equal(f.dfu, DFU_USB_DFUSE);
	assert_int_equal(dfu_usb_descriptor(good, sizeof(good), 1, &f), 0);
	assert_int_equal(f.name, 5);
	assert_int_equal(dfu_usb_descriptor(good, sizeof(good), 2, &f), -ENOMSG);
	assert_int_equal(dfu_usb_descriptor(good, 18, 0, &f), -ENOMSG);
	assert_int_equal(dfu_usb_descriptor(good, sizeof(good) - 9, 0, &f), -EBADMSG);
	assert_int_equal(dfu_usb_descriptor(good, sizeof(good) - 1, 0, &f), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cbor_vectors), cmocka_unit_test(test_cbor_skip),
		cmocka_unit_test(test_smp_answers),  cmocka_unit_test(test_smp_versions),
		cmocka_unit_test(test_smp_header),   cmocka_unit_test(test_dfuse_layout),
		cmocka_unit_test(test_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
