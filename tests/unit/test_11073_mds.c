/* links: protocols */
/*
 * What an agent says of itself, of its clock and of what it measures beside numbers: attributes
 * written by hand from their definitions, and every truncation.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/nomenclature.h"
#include "tests/unit/phd_world.h"

#define MODEL "0928 0010 0006 4E6F626F6479 0006 43756666 2031"
#define PRODUCTION \
	"092D 001E 0003 001A 0001 0000 0004 41423031 0005 0000 0003 312E32 0001 0000 0001 5A"
#define CLOCK     "0987 0008 2026112301411650"
#define TICKS     "098F 0004 00000010"
#define BATTERY   "099C 0002 0032"
#define POWER     "0955 0002 4000"
#define TIME_INFO "0A45 0010 C010 1F00 FFFFFFFF 0064 0000 00000000"
#define REG_CERT  "0A4B 0016 0002 0012 0201 0008 0102 0001 0002 4007 0202 0002 0000"
#define SYSTEM    "0984 000A 0008 0102030405060708"

static int decode(const char *hex, uint8_t *bytes, size_t cut, struct phd_mds *ret)
{
	struct apdu response = { .data = bytes, .len = from_hex(hex, bytes) - cut };

	return phd_mds_decode(&response, ret);
}

static void check_text(const struct phd_text *text, const char *expected)
{
	assert_int_equal(text->len, strlen(expected));
	assert_memory_equal(text->text, expected, text->len);
}

static void test_attributes(void **state)
{
	static const uint8_t id[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t bytes[BYTES_MAX];
	struct phd_mds mds;

	(void)state;
	assert_int_equal(
		decode(SYSTEM MODEL PRODUCTION CLOCK TICKS BATTERY POWER TIME_INFO REG_CERT, bytes,
		       0, &mds),
		0);
	assert_true(mds.has_system_id);
	assert_memory_equal(mds.system_id, id, sizeof(id));
	check_text(&mds.manufacturer, "Nobody");
	check_text(&mds.model, "Cuff 1");
	/* the second serial number is that of a part */
	check_text(&mds.serial, "AB01");
	check_text(&mds.firmware, "1.2");
	assert_null(mds.hardware.text);
	assert_int_equal(mds.stamp, PHD_STAMP_GIVEN);
	assert_int_equal(mds.time.minute, 41);
	assert_true(mds.has_ticks && mds.ticks == 16);
	assert_true(mds.has_battery && mds.battery == 50);
	assert_true(mds.has_power && mds.power == PHD_POWER_BATTERY);
	assert_int_equal(mds.time_info, PHD_TIME_CLOCK | PHD_TIME_SETTABLE | PHD_TIME_MANAGER_SETS);
	assert_int_equal(mds.n_unread, 1);
	/* nothing said is not zero said */
	assert_int_equal(decode("", bytes, 0, &mds), 0);
	assert_false(mds.has_battery || mds.has_ticks || mds.has_power || mds.has_system_id);
	assert_int_equal(mds.stamp, PHD_STAMP_NONE);
	assert_null(mds.serial.text);
}

/* each kind of production entry, and clocks with and without a zone */
static void test_more_attributes(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct phd_mds mds;

	(void)state;
	assert_int_equal(decode("092D 0024 0004 0020 0002 0000 0002 5031 0003 0000 0002 4832"
				"0004 0000 0002 5333 0009 0000 0002 5834",
				bytes, 0, &mds),
			 0);
	check_text(&mds.part, "P1");
	check_text(&mds.hardware, "H2");
	check_text(&mds.software, "S3");
	assert_null(mds.serial.text);
	assert_null(mds.firmware.text);
	/* an identity of another length is none */
	assert_int_equal(decode("0984 0009 0007 01020304050607", bytes, 0, &mds), -EBADMSG);
	assert_int_equal(decode("0984 000B 0009 010203040506070809", bytes, 0, &mds), -EBADMSG);
	/* of two clocks the one that knows its zone, whichever comes first */
	assert_int_equal(decode(CLOCK "0A81 0008 D4674038 1314 FED4", bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(mds.time.hour, 15);
	assert_int_equal(decode("0A81 0008 D4674038 1314 FED4" CLOCK, bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(mds.time.hour, 15);
	assert_int_equal(decode("0A81 0008 00000000 0000 0000", bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_INVALID);
	assert_int_equal(decode(CLOCK "0A81 0008 00000000 0000 0000", bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_GIVEN);
	/* ticks that the agent does not count */
	assert_int_equal(decode("098F 0004 FFFFFFFF", bytes, 0, &mds), 0);
	assert_false(mds.has_ticks);
}

static void test_truncated(void **state)
{
	static const char *const rows[] = { MODEL, PRODUCTION, CLOCK,  TICKS,   BATTERY,
					    POWER, TIME_INFO,  SYSTEM, REG_CERT };
	uint8_t bytes[BYTES_MAX];
	struct phd_mds mds;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = from_hex(rows[i], bytes);

		for (size_t cut = 1; cut < len; cut++)
			assert_int_equal(decode(rows[i], bytes, cut, &mds), -EBADMSG);
	}
	/* a list of texts that says more than it holds */
	assert_int_equal(decode("092D 000C 0002 0008 0001 0000 0002 4142", bytes, 0, &mds),
			 -EBADMSG);
	assert_int_equal(decode("099C 0003 003200", bytes, 0, &mds), -EBADMSG);
	/* a clock that was never set is no error of the rest */
	assert_int_equal(decode("0987 0008 0000000000000000" BATTERY, bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_INVALID);
	assert_true(mds.has_battery);
}

/* the first is the example of the HL7 guide for personal health devices */
static const struct {
	const char *hex;
	int r;
	struct mder_time time;
	int offset_min;
} BASES[] = {
	{ "D4674038 1314 FED4", 0, { 2012, 12, 3, 15, 14, 0, 7 }, -300 },
	{ "00000001 0000 0000", 0, { 1900, 1, 1, 0, 0, 1, 0 }, 0 },
	{ "0096027F 0000 05A0", 0, { 1900, 4, 24, 18, 50, 39, 0 }, 1440 },
	{ "BC658A80 0000 0000", 0, { 2000, 2, 29, 0, 0, 0, 0 }, 0 },
	{ "FFFFFFFF FFFF 0000", 0, { 2036, 2, 7, 6, 28, 15, 99 }, 0 },
	{ "00000000 0000 0000", -ERANGE, { 0 }, 0 },
	{ "D4674038 1314 05A1", -ERANGE, { 0 }, 0 },
	{ "D4674038 1314 FE", -EMSGSIZE, { 0 }, 0 },
};

static void check_base(size_t row)
{
	uint8_t bytes[BYTES_MAX];
	struct cursor c = cursor_of(bytes, from_hex(BASES[row].hex, bytes));
	const struct mder_time *expected = &BASES[row].time;
	struct mder_time t = { 0 };
	int16_t offset_min = 0;

	assert_int_equal(mder_read_base_offset(&c, &t, &offset_min), BASES[row].r);
	assert_int_equal(t.year, expected->year);
	assert_int_equal(t.month, expected->month);
	assert_int_equal(t.day, expected->day);
	assert_int_equal(t.hour, expected->hour);
	assert_int_equal(t.minute, expected->minute);
	assert_int_equal(t.second, expected->second);
	assert_int_equal(t.hundredth, expected->hundredth);
	assert_int_equal(offset_min, BASES[row].offset_min);
}

static void test_base_offset(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct phd_mds mds;

	(void)state;
	for (size_t i = 0; i < sizeof(BASES) / sizeof(BASES[0]); i++)
		check_base(i);
	/* of two clocks the one that knows its zone, in either order */
	assert_int_equal(decode("0A81 0008 D4674038 1314 FED4", bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(mds.offset_min, -300);
	assert_int_equal(decode("0A81 0008 D4674038 1314 FED4" CLOCK, bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(mds.time.year, 2012);
	assert_int_equal(decode(CLOCK "0A81 0008 D4674038 1314 FED4", bytes, 0, &mds), 0);
	assert_int_equal(mds.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(mds.time.year, 2012);
}

/* an observation that bears both stamps: the one that knows its zone, in either order */
static void test_two_stamps(void **state)
{
	static const struct {
		struct phd_map_entry map[2];
		const char *octets;
	} rows[] = {
		{ { { 0, MDC_ATTR_STAMP_OFFSET, 8 }, { 0, MDC_ATTR_STAMP_ABS, 8 } },
		  "D4674038 1314 FED4 2026112301411650" },
		{ { { 0, MDC_ATTR_STAMP_ABS, 8 }, { 0, MDC_ATTR_STAMP_OFFSET, 8 } },
		  "2026112301411650 D4674038 1314 FED4" },
	};
	static const struct phd_config config;
	static const struct phd_object object;
	uint8_t bytes[BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cursor c = cursor_of(bytes, from_hex(rows[i].octets, bytes));
		struct phd_observation o = { 0 };

		assert_true(phd_observation_read(&config, &object, rows[i].map, 2, &c, &o));
		assert_int_equal(o.stamp, PHD_STAMP_BASE_OFFSET);
		assert_int_equal(o.time.year, 2012);
	}
}

/* ---- what is no number ---- */

/* a glucose value with a base offset stamp, its meal as a code, and a device state as bits */
#define CONFIG_CODES                                                                           \
	"4002 0003 005E"                                                                       \
	"0006 0001 0003 001E 092F 0004 0002 71B8 0996 0002 0852 0A55 000C 0002 0008 0A4C 0002" \
	"0A82 0008"                                                                            \
	"0005 0002 0002 0014 092F 0004 0080 7248 0A55 0008 0001 0004 0A49 0002"                \
	"0005 0003 0002 0014 092F 0004 0080 7210 0A55 0008 0001 0004 0A66 0002"
#define CODES                                                                  \
	"F000 0000 0003 001A 0001 000A F3E8 D4674038 1314 FED4 0002 0002 724C" \
	"0003 0002 0800"

static void test_codes(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct apdu event = { .choice = APDU_PRST,
			      .operation = APDU_EVENT_CONFIRMED,
			      .type = MDC_NOTI_SCAN_FIXED,
			      .data = bytes };
	struct phd_config config;
	struct phd_observation o;
	struct phd_report r;

	(void)state;
	assert_int_equal(phd_config_decode(bytes, from_hex(CONFIG_CODES, bytes), &config), 0);
	event.len = from_hex(CODES, bytes);
	assert_int_equal(phd_report_open(&event, &config, &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(o.time.year, 2012);
	assert_int_equal(o.offset_min, -300);
	assert_int_equal(o.values[0].number.value.mantissa, 1000);
	assert_int_equal(o.code_kind, PHD_CODE_NONE);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.n_values, 0);
	assert_int_equal(o.code_kind, PHD_CODE_OID);
	assert_int_equal(o.metric, 0x00807248);
	assert_int_equal(o.code, 0x724c);
	assert_int_equal(o.code_partition, 128);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.code_kind, PHD_CODE_BITS);
	assert_int_equal(o.code_bits, 16);
	assert_int_equal(o.code, 0x0800);
	assert_int_equal(phd_report_next(&r, &o), 0);
}

/* two codes in one observation: which of them it means is not ours to say */
static void test_two_codes(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct apdu event = { .type = MDC_NOTI_SCAN_VAR, .data = bytes };
	struct phd_config config;
	struct phd_report_count count;

	(void)state;
	assert_int_equal(phd_config_decode(bytes, from_hex(CONFIG_CODES, bytes), &config), 0);
	event.len = from_hex("F000 0000 0001 0014 0002 0002 000E 0A49 0002 724C 0A65 0004 00000001",
			     bytes);
	assert_int_equal(phd_report_check(&event, &config, &count), 0);
	assert_int_equal(count.n_bad, 1);
	bytes[21] = 0x7f; /* another attribute, that is not read */
	assert_int_equal(phd_report_check(&event, &config, &count), 0);
	assert_int_equal(count.n_good, 1);
}

/* ---- scanners ---- */

#define CONFIG_SCANNER                                                                         \
	"E700 0066 0064 0009 0101 005E 0000 FFFFFFFF 0D1C 0054 4001 0002 004E"                 \
	"0006 0005 0003 001A 092F 0004 0002 4B5C 0996 0002 17A0 0A55 0008 0001 0004 0A4C 0002" \
	"0012 0014 0002 0024 0914 0004 00004E20"                                               \
	"0A53 0018 0002 0014 0005 0001 0004 0A4C 0002 0009 0001 0004 0A4C 0001"

static void test_scanner(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OF("80000000", "00000000", "4001"));
	w.n_sent = 0;
	say(&w, CONFIG_SCANNER);
	hear(&w, CONFIG_RESPONSE("0009", "4001", "0000"), GET_MDS);
	say(&w, MDS_ANSWER);
	hear(&w, "E700 0016 0014 0001 0105 000E 0014 0001 0008 0000 0953 0002 0001", NULL);
	assert_false(phd_manager_idle(&w.m));
	say(&w, "E700 0014 0012 0001 0205 000C 0014 0001 0006 0953 0002 0001");
	hear(&w, NULL, NULL);
	assert_true(phd_manager_idle(&w.m));
	/* it waits 2.5 s for its answers */
	say(&w,
	    "E700 0023 0021 0030 0101 001B 0014 FFFFFFFF 0D24 0011 F000 0000 0001 0005 0003 0165"
	    "AA 00000000");
	assert_int_equal(w.n_observations, 1);
	assert_true(phd_manager_answer_due(&w.m) == 1000 + 2500000);
	phd_manager_committed(&w.m, 1000 + 2500001);
	assert_int_equal(w.m.counts.late_commits, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes), cmocka_unit_test(test_more_attributes),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_base_offset),
		cmocka_unit_test(test_two_stamps), cmocka_unit_test(test_codes),
		cmocka_unit_test(test_two_codes),  cmocka_unit_test(test_scanner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
