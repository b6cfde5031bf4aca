/* links: protocols */
/*
 * Configurations and scan reports, from bytes seen between independent programs or written by hand:
 * what they mean, every truncation, and everything that does not agree with itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/nomenclature.h"
#include "protocols/ieee11073/report.h"

#define BYTES_MAX 512

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	while (*hex) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < BYTES_MAX);
		ret[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += 2;
	}
	return n;
}

/* ---- configurations ---- */

/* of a blood pressure agent, as it says 02bc itself */
#define CONFIG_02BC                                                             \
	"02BC 0002 006C 0006 0001 0006 0038 092F 0004 0002 4A04 0A46 0002 F040" \
	"0A73 0002 0303 0A76 000A 0003 0006 4A05 4A06 4A07 0996 0002 0F20"      \
	"0A55 000C 0002 0008 0A75 000A 0990 0008"                               \
	"0006 0002 0004 0024 092F 0004 0002 482A 0A46 0002 F040 0996 0002 0AA0" \
	"0A55 000C 0002 0008 0A4C 0002 0990 0008"
/* a thermometer of one object and a scanner over it */
#define CONFIG_SCANNER                                                                          \
	"4001 0002 0046 0006 0005 0003 001A 092F 0004 0002 4B5C 0996 0002 17A0"                 \
	"0A55 0008 0001 0004 0A4C 0002"                                                         \
	"0012 0014 0001 001C 0A53 0018 0002 0014 0005 0001 0004 0A4C 0002 0009 0001 0004 0A4C " \
	"0001"

static void test_standard(void **state)
{
	const struct phd_config *standard = phd_config_standard(0x02bc);
	uint8_t bytes[BYTES_MAX];
	struct phd_config config;

	(void)state;
	assert_int_equal(phd_config_decode(bytes, from_hex(CONFIG_02BC, bytes), &config), 0);
	assert_non_null(standard);
	assert_memory_equal(&config, standard, sizeof(config));
	assert_null(phd_config_standard(0x02bd));
	assert_int_equal(phd_config_standard(0x05dc)->objects[0].unit, MDC_DIM_KG);
	assert_int_equal(phd_config_standard(0x06a4)->objects[0].type, 29112);
	assert_int_equal(phd_config_standard(0x0190)->objects[1].n_map, 1);
	assert_int_equal(phd_config_standard(0x0191)->objects[1].handle, 10);
}

static void check_config_rows(const char *hex)
{
	uint8_t bytes[BYTES_MAX], back[BYTES_MAX];
	struct phd_config config, again;
	size_t len = from_hex(hex, bytes), n;

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(phd_config_decode(bytes, cut, &config), -EMSGSIZE);
	assert_int_equal(phd_config_decode(bytes, len, &config), 0);
	assert_int_equal(phd_config_encode(&config, back, sizeof(back), &n), 0);
	assert_int_equal(phd_config_decode(back, n, &again), 0);
	assert_memory_equal(&config, &again, sizeof(config));
	assert_int_equal(phd_config_encode(&config, back, n - 1, &n), -EMSGSIZE);
}

static void test_configs(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct phd_config config;
	size_t len;

	(void)state;
	check_config_rows(CONFIG_02BC);
	check_config_rows(CONFIG_SCANNER);
	len = from_hex(CONFIG_02BC, bytes);
	bytes[6 + 64 + 3] = 1; /* the second object has the handle of the first */
	assert_int_equal(phd_config_decode(bytes, len, &config), -EBADMSG);
	len = from_hex("8000 0000 0000", bytes);
	assert_int_equal(phd_config_decode(bytes, len, &config), -EBADMSG);
	len = from_hex("4000 0000 0000", bytes);
	assert_int_equal(phd_config_decode(bytes, len, &config), 0);
	len = from_hex("4000 0001 000F 0006 0001 0001 0007 0996 0003 0F2000", bytes);
	assert_int_equal(phd_config_decode(bytes, len, &config), -EBADMSG);
	len = from_hex("4000 0001 000D 0006 0001 0002 0006 0996 0002 0F20", bytes);
	assert_int_equal(phd_config_decode(bytes, len, &config), -EMSGSIZE);
}

static void test_too_many_objects(void **state)
{
	uint8_t bytes[BYTES_MAX] = {
		0x40, 0, 0, PHD_OBJECTS_MAX + 1, 0, 8 * (PHD_OBJECTS_MAX + 1)
	};
	struct phd_config config;

	(void)state;
	for (uint8_t i = 0; i <= PHD_OBJECTS_MAX; i++)
		bytes[6 + 8 * i + 3] = (uint8_t)(i + 1);
	assert_int_equal(phd_config_decode(bytes, 6 + 8 * (PHD_OBJECTS_MAX + 1), &config),
			 -ENOBUFS);
	bytes[3]--;
	bytes[5] = (uint8_t)(bytes[5] - 8);
	assert_int_equal(phd_config_decode(bytes, 6 + 8 * PHD_OBJECTS_MAX, &config), 0);
	assert_int_equal(config.n_objects, PHD_OBJECTS_MAX);
}

static void test_cache(void **state)
{
	struct phd_cache cache = { 0 }, other = { 0 };
	struct phd_config config = *phd_config_standard(0x05dc);
	uint8_t id[APDU_SYSTEM_ID] = { 1 }, bytes[BYTES_MAX];
	size_t len;

	(void)state;
	for (uint16_t i = 0; i < PHD_CACHE_MAX; i++) {
		config.id = (uint16_t)(0x4000 + i);
		phd_cache_put(&cache, id, &config);
	}
	assert_non_null(phd_cache_find(&cache, id, 0x4000));
	config.id = 0x5000;
	phd_cache_put(&cache, id, &config);
	/* 4001 was the one unused for longest */
	assert_null(phd_cache_find(&cache, id, 0x4001));
	assert_non_null(phd_cache_find(&cache, id, 0x4000));
	assert_non_null(phd_cache_find(&cache, id, 0x5000));
	id[0] = 2;
	assert_null(phd_cache_find(&cache, id, 0x5000));
	id[0] = 1;
	for (size_t i = 0; i < PHD_CACHE_MAX; i++) {
		assert_int_equal(phd_cache_export(&cache, i, bytes, sizeof(bytes), &len), 0);
		assert_int_equal(phd_cache_import(&other, bytes, len - 1), -EMSGSIZE);
		assert_int_equal(phd_cache_import(&other, bytes, len), 0);
	}
	assert_memory_equal(phd_cache_find(&other, id, 0x5000), &config, sizeof(config));
	phd_cache_forget(&other, id, 0x5000);
	assert_null(phd_cache_find(&other, id, 0x5000));
	assert_int_equal(phd_cache_export(&other, PHD_CACHE_MAX, bytes, sizeof(bytes), &len),
			 -ENOENT);
}

/* ---- reports ---- */

#define STAMP "2026112301411650"
#define BP    "F000 0000 0002 0024 0001 0012 0003 0006 007B 004C 0061" STAMP "0002 000A 0055" STAMP

static struct apdu event_of(uint16_t type, const char *hex, uint8_t *bytes)
{
	size_t len = from_hex(hex, bytes);

	return (struct apdu){ .choice = APDU_PRST,
			      .operation = APDU_EVENT_CONFIRMED,
			      .type = type,
			      .data = bytes,
			      .len = len };
}

static void check_value(const struct phd_value *v, uint32_t metric, uint16_t unit, int64_t mantissa,
			int32_t exponent)
{
	assert_int_equal(v->metric, metric);
	assert_int_equal(v->unit, unit);
	assert_int_equal(v->number.absent, ABSENT_NO);
	assert_int_equal(v->number.value.mantissa, mantissa);
	assert_int_equal(v->number.value.exponent, exponent);
}

static void test_blood_pressure(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct apdu event = event_of(MDC_NOTI_SCAN_FIXED, BP, bytes);
	struct phd_observation o;
	struct phd_report r;

	(void)state;
	assert_int_equal(phd_report_open(&event, phd_config_standard(0x02bc), &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.handle, 1);
	assert_int_equal(o.n_values, 3);
	check_value(&o.values[0], 150021, MDC_DIM_MMHG, 123, 0);
	check_value(&o.values[1], 150022, MDC_DIM_MMHG, 76, 0);
	check_value(&o.values[2], 150023, MDC_DIM_MMHG, 97, 0);
	assert_int_equal(o.stamp, PHD_STAMP_GIVEN);
	assert_int_equal(o.time.hour, 1);
	assert_int_equal(o.person, PHD_PERSON_UNKNOWN);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.n_values, 1);
	check_value(&o.values[0], 149546, MDC_DIM_BPM, 85, 0);
	assert_int_equal(phd_report_next(&r, &o), 0);
	assert_int_equal(phd_report_next(&r, &o), 0);
}

/* type, configuration, event-info; what check returns and counts */
static const struct row {
	const char *hex;
	uint16_t type, config;
	int r;
	unsigned int good, bad, unknown, unread;
	size_t extra;
} ROWS[] = {
	{ BP, MDC_NOTI_SCAN_FIXED, 0x02bc, 0, 2, 0, 0, 0, 0 },
	/* two bytes after the list: tolerated and counted */
	{ BP "0000", MDC_NOTI_SCAN_FIXED, 0x02bc, 0, 2, 0, 0, 0, 2 },
	/* the compound says three and holds two: no number may come from its time */
	{ "F000 0000 0001 0014 0001 0010 0003 0006 007B 004C" STAMP, MDC_NOTI_SCAN_FIXED, 0x02bc, 0,
	  0, 1, 0, 0, 0 },
	{ "F000 0000 0001 0016 0001 0012 0002 0006 007B 004C 0061" STAMP, MDC_NOTI_SCAN_FIXED,
	  0x02bc, 0, 0, 1, 0, 0, 0 },
	/* a scale that reports an object it does not declare */
	{ "F000 0000 0002 0020 0001 000C FF0002BE" STAMP "0003 000C FF0000E1" STAMP,
	  MDC_NOTI_SCAN_FIXED, 0x05dc, 0, 1, 0, 1, 0, 0 },
	/* an oximeter whose observations are longer than its map */
	{ "F000 0000 0001 000E 0001 000A 0062" STAMP, MDC_NOTI_SCAN_FIXED, 0x0190, 0, 0, 1, 0, 0,
	  0 },
	{ "F000 0000 0001 0006 0001 0002 0062", MDC_NOTI_UNBUF_FIXED, 0x0190, 0, 1, 0, 0, 0, 0 },
	{ "F000 0000 0002 0006 0001 0002 0062", MDC_NOTI_SCAN_FIXED, 0x0190, -EMSGSIZE, 0, 0, 0, 0,
	  0 },
	{ "F000 0000 0000 0000", MDC_NOTI_SCAN_FIXED, 0x0190, 0, 0, 0, 0, 0, 0 },
	/* variable: a weight in pounds with its status, and an attribute nobody knows */
	{ "F000 0000 0001 001D 0001 0004 0017 0A56 0004 FF0005DC 0996 0002 06E0 0947 0002 0400"
	  "FFFF 0001 AA",
	  MDC_NOTI_SCAN_VAR, 0x05dc, 0, 0, 1, 0, 0, 2 },
	{ "F000 0000 0001 001F 0001 0004 0019 0A56 0004 FF0005DC 0996 0002 06E0 0947 0002 0400"
	  "FFFF 0001 AA",
	  MDC_NOTI_SCAN_VAR, 0x05dc, 0, 1, 0, 0, 1, 0 },
	{ "F000 0000 0001 000D 0001 0001 0005 0A56 0001 00", MDC_NOTI_SCAN_VAR, 0x05dc, -EMSGSIZE,
	  0, 0, 0, 0, 0 },
	{ "F000 0000 0001 000D 0001 0001 0007 0A56 0003 FF0005", MDC_NOTI_SCAN_VAR, 0x05dc, 0, 0, 1,
	  0, 0, 0 },
	{ "F000 0000 0001 000F 0001 0002 0009 0A56 0003 FF0005 0000", MDC_NOTI_SCAN_VAR, 0x05dc, 0,
	  0, 1, 0, 0, 0 },
	/* a compound of two numbers where the configuration names three */
	{ "F000 0000 0001 0012 0001 0001 000C 0A75 0008 0002 0004 007B 004C", MDC_NOTI_SCAN_VAR,
	  0x02bc, 0, 0, 1, 0, 0, 0 },
	/* two persons: one weighing each; and then a second person cut short */
	{ "F000 0000 0002 0038 0001 0001 0010 0001 000C FF0002BE" STAMP
	  "0002 0001 0010 0001 000C FF0002BF" STAMP "",
	  MDC_NOTI_SCAN_MP_FIXED, 0x05dc, -EMSGSIZE, 0, 0, 0, 0, 0 },
	{ "F000 0000 0002 002C 0001 0001 0010 0001 000C FF0002BE" STAMP
	  "0002 0001 0010 0001 000C FF0002BF" STAMP,
	  MDC_NOTI_SCAN_MP_FIXED, 0x05dc, 0, 2, 0, 0, 0, 0 },
	{ "F000 0000 0001 0014 0002 0001 000E 0001 0001 0008 0A56 0004 FF0002BE",
	  MDC_NOTI_SCAN_MP_VAR, 0x05dc, 0, 1, 0, 0, 0, 0 },
	{ "F000 0000 0000 0000", MDC_NOTI_CONFIG, 0x05dc, -ENOMSG, 0, 0, 0, 0, 0 },
	{ "F000 0000 0000 0000", MDC_NOTI_UNBUF_GROUPED, 0x05dc, -EBADMSG, 0, 0, 0, 0, 0 },
};

static void test_rows(void **state)
{
	uint8_t bytes[BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		const struct row *row = &ROWS[i];
		struct apdu event = event_of(row->type, row->hex, bytes);
		struct phd_report_count count = { 0 };

		assert_int_equal(phd_report_check(&event, phd_config_standard(row->config), &count),
				 row->r);
		assert_int_equal(count.n_good, row->good);
		assert_int_equal(count.n_bad, row->bad);
		assert_int_equal(count.n_unknown, row->unknown);
		assert_int_equal(count.n_unread, row->unread);
		assert_int_equal(count.extra, row->extra);
		/* cut off anywhere it is broken, unless only padding went */
		for (size_t n = event.len; row->r == 0 && n-- > 0;) {
			event.len = n;
			if (n >= from_hex(row->hex, bytes) - row->extra)
				continue;
			assert_int_equal(
				phd_report_check(&event, phd_config_standard(row->config), &count),
				-EMSGSIZE);
		}
	}
}

static void test_units_and_persons(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct apdu event = event_of(MDC_NOTI_SCAN_VAR, ROWS[10].hex, bytes);
	struct phd_observation o;
	struct phd_report r;

	(void)state;
	assert_int_equal(phd_report_open(&event, phd_config_standard(0x05dc), &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	check_value(&o.values[0], 188736, 1760, 1500, -1);
	assert_int_equal(o.status, PHD_STATUS_DEMO);
	assert_int_equal(o.stamp, PHD_STAMP_NONE);
	event = event_of(MDC_NOTI_SCAN_MP_FIXED, ROWS[16].hex, bytes);
	assert_int_equal(phd_report_open(&event, phd_config_standard(0x05dc), &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.person, 1);
	check_value(&o.values[0], 188736, MDC_DIM_KG, 702, -1);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.person, 2);
	check_value(&o.values[0], 188736, MDC_DIM_KG, 703, -1);
	assert_int_equal(phd_report_next(&r, &o), 0);
}

static void test_no_numbers(void **state)
{
	static const struct {
		const char *hex;
		enum absent absent;
	} rows[] = {
		{ "F000 0000 0001 0006 0001 0002 07FF", ABSENT_NAN },
		{ "F000 0000 0001 0006 0001 0002 0800", ABSENT_NRES },
		{ "F000 0000 0001 0006 0001 0002 07FE", ABSENT_POSITIVE_INFINITY },
		{ "F000 0000 0001 0006 0001 0002 0802", ABSENT_NEGATIVE_INFINITY },
		{ "F000 0000 0001 0006 0001 0002 0801", ABSENT_RESERVED },
	};
	uint8_t bytes[BYTES_MAX];
	struct phd_observation o;
	struct phd_report r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct apdu event = event_of(MDC_NOTI_SCAN_FIXED, rows[i].hex, bytes);

		assert_int_equal(phd_report_open(&event, phd_config_standard(0x0190), &r), 0);
		assert_int_equal(phd_report_next(&r, &o), 1);
		assert_int_equal(o.values[0].number.absent, rows[i].absent);
	}
	/* a clock that was never set: the weight stands, its time is not known */
	const struct apdu unset =
		event_of(MDC_NOTI_SCAN_FIXED,
			 "F000 0000 0001 0010 0001 000C FF0002BE 0000000000000000", bytes);

	assert_int_equal(phd_report_open(&unset, phd_config_standard(0x05dc), &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.stamp, PHD_STAMP_INVALID);
	check_value(&o.values[0], 188736, MDC_DIM_KG, 702, -1);
}

static void test_grouped(void **state)
{
	/* handle 5, two bytes, and one byte of an object that is not declared */
	static const char groups[] = "F000 0000 0002 000A 0003 0165 AA 0003 0166 BB";
	static const char persons[] = "F000 0000 0001 0007 0007 0003 0165 AA";
	uint8_t bytes[BYTES_MAX];
	struct phd_config config;
	struct phd_report_count count;
	struct phd_observation o;
	struct phd_report r;
	struct apdu event;

	(void)state;
	assert_int_equal(phd_config_decode(bytes, from_hex(CONFIG_SCANNER, bytes), &config), 0);
	event = event_of(MDC_NOTI_UNBUF_GROUPED, groups, bytes);
	event.handle = 20;
	assert_int_equal(phd_report_open(&event, &config, &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	check_value(&o.values[0], 150364, 6048, 357, 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	check_value(&o.values[0], 150364, 6048, 358, 0);
	assert_int_equal(phd_report_next(&r, &o), 0);
	assert_int_equal(r.n_unknown, 2);
	bytes[9] = 2; /* the first group: one byte less, the second begins inside it */
	assert_int_equal(phd_report_check(&event, &config, &count), -EMSGSIZE);
	event = event_of(MDC_NOTI_BUF_MP_GROUPED, persons, bytes);
	event.handle = 20;
	assert_int_equal(phd_report_check(&event, &config, &count), 0);
	assert_int_equal(count.n_good, 1);
	assert_int_equal(phd_report_open(&event, &config, &r), 0);
	assert_int_equal(phd_report_next(&r, &o), 1);
	assert_int_equal(o.person, 7);
	for (size_t n = event.len; n-- > 0;) {
		event.len = n;
		assert_int_equal(phd_report_check(&event, &config, &count), -EMSGSIZE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standard),          cmocka_unit_test(test_configs),
		cmocka_unit_test(test_too_many_objects),  cmocka_unit_test(test_cache),
		cmocka_unit_test(test_blood_pressure),    cmocka_unit_test(test_rows),
		cmocka_unit_test(test_units_and_persons), cmocka_unit_test(test_no_numbers),
		cmocka_unit_test(test_grouped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
