/* links: protocols */
/*
 * The first generation of Omron's USB devices: commands, and answers report by report. The answers
 * are those of published notes, or made up.
 */
#include "protocols/omron/classic.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check_command(enum omron_classic_command command, uint8_t bank, uint8_t index,
			  const char *bytes, size_t len)
{
	uint8_t data[16];
	struct writer w = writer_of(data, sizeof(data));

	assert_int_equal(omron_classic_encode(command, bank, index, &w), 0);
	assert_int_equal(w.len, len);
	assert_memory_equal(data, bytes, len);
	w = writer_of(data, len - 1);
	assert_int_equal(omron_classic_encode(command, bank, index, &w), -ENOSPC);
}

static void test_commands(void **state)
{
	uint8_t data[16];
	struct writer w = writer_of(data, sizeof(data));

	(void)state;
	check_command(OMRON_ASK_CLEAR, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	check_command(OMRON_ASK_VER, 0, 0, "VER00", 5);
	check_command(OMRON_ASK_SRL, 0, 0, "SRL00", 5);
	check_command(OMRON_ASK_GDC, 1, 0, "GDC\0\1\0\0\1", 8);
	check_command(OMRON_ASK_GME, 1, 6, "GME\0\1\0\6\7", 8);
	check_command(OMRON_ASK_MES, 0, 9, "MES\0\0\x09\x09", 7);
	check_command(OMRON_ASK_OFF, 0, 0, "END\xff\xff", 5);
	assert_int_equal(omron_classic_encode(OMRON_CLASSIC_LAST, 0, 0, &w), -ERANGE);
	/* whatever is asked for, it is never the command that erases */
	for (unsigned int c = 0; c < OMRON_CLASSIC_LAST; c++) {
		w = writer_of(data, sizeof(data));
		assert_int_equal(omron_classic_encode((enum omron_classic_command)c, 0, 0, &w), 0);
		assert_memory_not_equal(data, "MCL", 3);
	}
}

static int report(struct omron_classic_answer *a, const char *bytes, size_t len,
		  enum omron_classic_status *ret)
{
	uint8_t data[OMRON_REPORT_SIZE] = { (uint8_t)len };

	memcpy(data + 1, bytes, len);
	return omron_classic_report(a, data, sizeof(data), ret);
}

static void test_version(void **state)
{
	struct omron_classic_answer a;
	enum omron_classic_status status = 0;

	(void)state;
	omron_classic_expect(&a, OMRON_ASK_VER, false);
	assert_int_equal(report(&a, "OK\0M708", 7, &status), 0);
	assert_int_equal(report(&a, "0IT 207", 7, &status), 0);
	assert_int_equal(report(&a, "\x4a", 1, &status), 1);
	assert_int_equal(status, OMRON_ANSWER_OK);
	assert_memory_equal(a.data + 3, "M7080IT 207", 11);
	assert_string_equal(omron_classic_model(a.data + 3, 11)->name, "HEM-7080IT, HEM-790IT");
	assert_int_equal(omron_classic_model("M637IT", 6)->layout, OMRON_GME_SHORT);
	assert_null(omron_classic_model("HJ720IT 100", 11));
	assert_null(omron_classic_model("M70", 3));
}

static void test_reading(void **state)
{
	struct omron_classic_answer a;
	enum omron_classic_status status;
	struct omron_record x;

	(void)state;
	omron_classic_expect(&a, OMRON_ASK_GME, false);
	assert_int_equal(report(&a, "NO", 2, &status), 1);
	assert_int_equal(status, OMRON_ANSWER_NO);
	omron_classic_expect(&a, OMRON_ASK_GME, false);
	assert_int_equal(report(&a, "OK\0\x07\x01\x03\0", 7, &status), 0);
	assert_int_equal(omron_classic_report(&a, (const uint8_t *)"\x08OK....", 8, &status), 0);
	assert_int_equal(report(&a, "\x06\x33\0\0\x70\x4b\x47", 7, &status), 0);
	assert_int_equal(report(&a, "\0\0\x4c", 3, &status), 1);
	assert_int_equal(status, OMRON_ANSWER_OK);
	assert_int_equal(omron_record_decode(OMRON_GME, a.data + 3, 14, &x), 0);
	assert_int_equal(x.systolic, 112);
	assert_int_equal(x.diastolic, 75);
	assert_int_equal(x.pulse, 71);
	assert_int_equal(x.time.year, 2007);
}

static void test_counts(void **state)
{
	struct omron_classic_answer a;
	enum omron_classic_status status;
	struct gatt_date_time t;
	unsigned int n = 77;

	(void)state;
	omron_classic_expect(&a, OMRON_ASK_GDC, false);
	assert_int_equal(report(&a, "OK\0\0\x0a\0\x08", 7, &status), 0);
	assert_int_equal(report(&a, "\x02", 1, &status), 1);
	assert_int_equal(omron_classic_count(&a, OMRON_ASK_GDC, &n), 0);
	assert_int_equal(n, 8);
	assert_int_equal(omron_classic_count(&a, OMRON_ASK_CNT, &n), 0);
	assert_int_equal(n, 10);
	a.data[5] = 1;
	assert_int_equal(omron_classic_count(&a, OMRON_ASK_GDC, &n), -ERANGE);
	assert_int_equal(n, 10);
	omron_classic_expect(&a, OMRON_ASK_GCL, false);
	assert_int_equal(report(&a, "OK\0\x1a\x09\x1e\x08", 7, &status), 0);
	assert_int_equal(report(&a, "\x01\0\x04", 3, &status), 1);
	assert_int_equal(omron_classic_clock(&a, &t), 0);
	assert_true(t.year == 2026 && t.month == 9 && t.day == 30 && t.hour == 8);
	a.data[4] = 13;
	assert_int_equal(omron_classic_clock(&a, &t), -ERANGE);
}

static void test_spoiled(void **state)
{
	struct omron_classic_answer a;
	enum omron_classic_status status = 0;

	(void)state;
	omron_classic_expect(&a, OMRON_ASK_VER, false);
	assert_int_equal(omron_classic_report(&a, (const uint8_t *)"\2OK", 3, &status), -EMSGSIZE);
	assert_int_equal(report(&a, "", 0, &status), -EBADMSG);
	assert_int_equal(omron_classic_report(&a, (const uint8_t *)"\x09OKOKOKO", 8, &status),
			 -EBADMSG);
	assert_int_equal(report(&a, "XY", 2, &status), -EBADMSG);
	/* a wrong xor, then the whole again: nothing of the first is left */
	assert_int_equal(report(&a, "OK\0M708", 7, &status), 0);
	assert_int_equal(report(&a, "0IT 207", 7, &status), 0);
	assert_int_equal(report(&a, "\x4b", 1, &status), -EBADMSG);
	assert_int_equal(a.len, 0);
	assert_int_equal(report(&a, "OK\0M708", 7, &status), 0);
	assert_int_equal(report(&a, "0IT 207", 7, &status), 0);
	assert_int_equal(report(&a, "\x4a", 1, &status), 1);
	/* more than it should be */
	omron_classic_expect(&a, OMRON_ASK_GCL, false);
	assert_int_equal(report(&a, "OK\0\x1a\x09\x1e\x08", 7, &status), 0);
	assert_int_equal(report(&a, "\x01\0\x04\0", 4, &status), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands), cmocka_unit_test(test_version),
		cmocka_unit_test(test_reading),  cmocka_unit_test(test_counts),
		cmocka_unit_test(test_spoiled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
