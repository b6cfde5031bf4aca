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

/* the attributes of one object, number 1 */
static int object_of(const char *attributes, struct phd_config *ret)
{
	uint8_t bytes[BYTES_MAX] = { 0x40, 0x01, 0, 1, 0, 0, 0, 6, 0, 1 };
	const size_t len = from_hex(attributes, &bytes[14]);

	bytes[5] = (uint8_t)(len + 8);
	for (size_t at = 14; at + 4 <= 14 + len; at += 4U + bytes[at + 3])
		bytes[11]++;
	bytes[13] = (uint8_t)len;
	return phd_config_decode(bytes, 14 + len, ret);
}

static void test_config_rows(void **state)
{
	static const struct {
		const char *hex;
		int r;
	} rows[] = {
		{ "0A55 0008 0001 0004 0A4C 0002", 0 },
		/* two maps: which of them holds, nobody can say */
		{ "0A55 0008 0001 0004 0A4C 0002 0A55 0008 0001 0004 0A4C 0002", -EBADMSG },
		{ "0A55 0008 0001 0004 0A4C 0002 0A53 000E 0001 000A 0005 0001 0004 0A4C 0002",
		  -EBADMSG },
		{ "0A76 0006 0001 0002 4A05 0A76 0006 0001 0002 4A05", -EBADMSG },
		/* a scanner of the device itself */
		{ "0A53 000E 0001 000A 0000 0001 0004 0A4C 0002", -EBADMSG },
		/* lists that say less or more than they hold */
		{ "0A55 0009 0001 0005 0A4C 0002 00", -EMSGSIZE },
		{ "0A55 0009 0001 0004 0A4C 0002 00", -EBADMSG },
		{ "0A53 000F 0001 000B 0005 0001 0004 0A4C 0002 00", -EMSGSIZE },
		{ "0A53 000F 0001 000B 0005 0001 0005 0A4C 0002 00", -EMSGSIZE },
		{ "0A53 000F 0001 000A 0005 0001 0004 0A4C 0002 00", -EBADMSG },
		{ "0A76 0007 0001 0003 4A05 00", -EMSGSIZE },
		/* nine numbers in one compound */
		{ "0A76 0016 0009 0012 0001 0002 0003 0004 0005 0006 0007 0008 0009", -ENOBUFS },
		{ "092F 0002 0002", -EBADMSG },
		{ "0914 0002 0001", -EBADMSG },
	};
	struct phd_config config;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(object_of(rows[i].hex, &config), rows[i].r);
}

/* in ticks of 125 us; what is there is never nothing */
static void test_confirm_timeout(void **state)
{
	static const struct {
		const char *hex;
		uint16_t ms;
	} rows[] = {
		{ "0914 0004 00000000", 0 },     { "0914 0004 00000001", 1 },
		{ "0914 0004 00000008", 1 },     { "0914 0004 00005DC0", 3000 },
		{ "0914 0004 FFFFFFFF", 65535 },
	};
	struct phd_config config, again;
	uint8_t bytes[BYTES_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(object_of(rows[i].hex, &config), 0);
		assert_int_equal(config.objects[0].confirm_timeout_ms, rows[i].ms);
		assert_int_equal(phd_config_encode(&config, bytes, sizeof(bytes), &len), 0);
		assert_int_equal(phd_config_decode(bytes, len, &again), 0);
		assert_int_equal(again.objects[0].confirm_timeout_ms, rows[i].ms);
	}
}

/* more than all objects together may have */
static void test_too_many_entries(void **state)
{
	static const unsigned int n = PHD_MAPS_MAX + 1;
	uint8_t bytes[BYTES_MAX] = { 0x40, 0x01, 0, 1, 0, 0, 0, 6, 0, 1, 0, 1 };
	struct phd_config config;

	(void)state;
	for (unsigned int less = 0; less < 2; less++) {
		const unsigned int count = n - less, map = 4 * count;
		const uint16_t lengths[] = { (uint16_t)(map + 8), 0x0a55, (uint16_t)(map + 4),
					     (uint16_t)count, (uint16_t)map };
		const size_t at[] = { 12, 14, 16, 18, 20 };

		bytes[4] = (uint8_t)((map + 16) >> 8);
		bytes[5] = (uint8_t)(map + 16);
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			bytes[at[i]] = (uint8_t)(lengths[i] >> 8);
			bytes[at[i] + 1] = (uint8_t)lengths[i];
		}
		assert_int_equal(phd_config_decode(bytes, 22 + map, &config), less ? 0 : -ENOBUFS);
	}
	assert_int_equal(config.n_map, PHD_MAPS_MAX);
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

/* ---- each attribute that an observation may have ---- */

static unsigned int be16_at(const uint8_t *bytes, size_t at)
{
	return (unsigned int)(bytes[at] << 8 | bytes[at + 1]);
}

/* a variable report of one object of the blood pressure agent, with these attributes */
static struct apdu variable(uint16_t handle, const char *attributes, uint8_t *bytes)
{
	const size_t len = from_hex(attributes, &bytes[14]);
	unsigned int count = 0;

	for (size_t at = 14; at + 4 <= 14 + len; at += 4 + be16_at(bytes, at + 2))
		count++;
	const uint16_t head[] = { 0xf000,       0, 1, (uint16_t)(len + 6), handle, (uint16_t)count,
				  (uint16_t)len };

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		bytes[2 * i] = (uint8_t)(head[i] >> 8);
		bytes[2 * i + 1] = (uint8_t)head[i];
	}
	return (struct apdu){ .choice = APDU_PRST,
			      .operation = APDU_EVENT_CONFIRMED,
			      .type = MDC_NOTI_SCAN_VAR,
			      .data = bytes,
			      .len = 14 + len };
}

static int read_variable(uint16_t handle, const char *attributes, struct phd_observation *ret)
{
	uint8_t bytes[BYTES_MAX];
	struct apdu event = variable(handle, attributes, bytes);
	struct phd_report r;

	assert_int_equal(phd_report_open(&event, phd_config_standard(0x02bc), &r), 0);
	return phd_report_next(&r, ret);
}

static void test_observed_values(void **state)
{
	struct phd_observation o;

	(void)state;
	/* metric, status, unit, number: all of its own */
	assert_int_equal(read_variable(1, "0950 000A 4A06 0400 0F20 FF0002BE", &o), 1);
	assert_int_equal(o.n_values, 1);
	check_value(&o.values[0], 150022, MDC_DIM_MMHG, 702, -1);
	assert_int_equal(o.status, PHD_STATUS_DEMO);
	assert_int_equal(read_variable(1,
				       "094B 0018 0002 0014 4A05 8000 0F20 0000007B"
				       "4A07 0020 0F03 00000061",
				       &o),
			 1);
	assert_int_equal(o.n_values, 2);
	check_value(&o.values[0], 150021, MDC_DIM_MMHG, 123, 0);
	check_value(&o.values[1], 150023, 0x0f03, 97, 0);
	assert_int_equal(o.status, PHD_STATUS_INVALID | PHD_STATUS_ONGOING);
	/* three floats, whose names are in the configuration */
	assert_int_equal(
		read_variable(1, "0A74 0010 0003 000C 0000007B 0000004C 00000061 0A4C 0002 0055",
			      &o),
		1);
	assert_int_equal(o.n_values, 4);
	check_value(&o.values[1], 150022, MDC_DIM_MMHG, 76, 0);
	check_value(&o.values[3], 150020, MDC_DIM_MMHG, 85, 0);
}

static void test_observed_spoiled(void **state)
{
	static const char *const rows[] = {
		"0950 0008 4A06 0400 0F20 FF00",
		"0950 000C 4A06 0400 0F20 FF0002BE 0000",
		"094B 000E 0001 000C 4A05 8000 0F20 0000007B 0000",
		"094B 0010 0001 000A 4A05 8000 0F20 0000007B 0000",
		"094B 0008 0001 0004 4A05 8000",
		"0A74 000C 0003 0008 0000007B 0000004C",
		/* nine numbers: more than an observation holds */
		("0A4C 0002 0001 0A4C 0002 0002 0A4C 0002 0003 0A4C 0002 0004 0A4C 0002 0005"
		 "0A4C 0002 0006 0A4C 0002 0007 0A4C 0002 0008 0A4C 0002 0009"),
		("0A4C 0002 0001 0A4C 0002 0002 0A4C 0002 0003 0A4C 0002 0004 0A4C 0002 0005"
		 "0A4C 0002 0006 0A75 000A 0003 0006 007B 004C 0061"),
		("0A4C 0002 0001 0A4C 0002 0002 0A4C 0002 0003 0A4C 0002 0004 0A4C 0002 0005"
		 "0A4C 0002 0006 0A4C 0002 0007"
		 "094B 0018 0002 0014 4A05 8000 0F20 0000007B 4A07 0020 0F03 00000061"),
		/* two codes: which of them it means is not ours to say */
		"0A49 0002 4A05 0A49 0002 4A05",
		"0A66 0002 8000 0A65 0004 80000000",
		"0A49 0001 4A",
		"0947 0001 04",
		"0996 0003 06E000",
		"0991 0003 000000",
		"0990 0007 20261123014116",
		"0A82 0007 D4674038 1314 FE",
	};
	struct phd_observation o;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(read_variable(1, rows[i], &o), -EBADMSG);
}

static void test_codes(void **state)
{
	struct phd_observation o;

	(void)state;
	assert_int_equal(read_variable(1, "0A49 0002 1234", &o), 1);
	assert_int_equal(o.code_kind, PHD_CODE_OID);
	assert_int_equal(o.code, 0x1234);
	assert_int_equal(o.code_bits, 0);
	assert_int_equal(o.code_partition, 2);
	assert_int_equal(o.metric, 0x24a04);
	/* a partition that is stated, before or behind the code */
	assert_int_equal(read_variable(1, "0A60 0002 0080 0A49 0002 1234", &o), 1);
	assert_int_equal(o.code_partition, 0x80);
	assert_int_equal(read_variable(1, "0A49 0002 1234 0A60 0002 0081", &o), 1);
	assert_int_equal(o.code_partition, 0x81);
	assert_int_equal(read_variable(1, "0A66 0002 8001", &o), 1);
	assert_int_equal(o.code_kind, PHD_CODE_BITS);
	assert_int_equal(o.code_bits, 16);
	assert_int_equal(o.code, 0x8001);
	assert_int_equal(read_variable(1, "0A65 0004 80010002", &o), 1);
	assert_int_equal(o.code_bits, 32);
	assert_int_equal(o.code, 0x80010002);
}

static void test_stamps(void **state)
{
	static const struct {
		const char *hex;
		enum phd_stamp stamp;
		int hour, offset_min;
	} rows[] = {
		{ "0990 0008 " STAMP, PHD_STAMP_GIVEN, 1, 0 },
		{ "0990 0008 0000000000000000", PHD_STAMP_INVALID, 0, 0 },
		{ "0A82 0008 D4674038 1314 FED4", PHD_STAMP_BASE_OFFSET, 15, -300 },
		{ "0A82 0008 00000000 0000 0000", PHD_STAMP_INVALID, 0, 0 },
		/* of two the one that knows its zone, whichever comes first */
		{ "0990 0008 " STAMP "0A82 0008 D4674038 1314 FED4", PHD_STAMP_BASE_OFFSET, 15,
		  -300 },
		{ "0A82 0008 D4674038 1314 FED4 0990 0008 " STAMP, PHD_STAMP_BASE_OFFSET, 15,
		  -300 },
		{ "0990 0008 " STAMP "0A82 0008 00000000 0000 0000", PHD_STAMP_GIVEN, 1, 0 },
	};
	struct phd_observation o;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_variable(1, rows[i].hex, &o), 1);
		assert_int_equal(o.stamp, rows[i].stamp);
		if (o.stamp != PHD_STAMP_INVALID)
			assert_int_equal(o.time.hour, rows[i].hour);
		if (o.stamp == PHD_STAMP_BASE_OFFSET)
			assert_int_equal(o.offset_min, rows[i].offset_min);
		assert_false(o.has_ticks);
	}
	assert_int_equal(read_variable(1, "0991 0004 00000010", &o), 1);
	assert_true(o.has_ticks && o.ticks == 16);
	assert_int_equal(o.stamp, PHD_STAMP_NONE);
	/* the device itself is no reading of anybody */
	assert_int_equal(read_variable(0, "0991 0004 00000010", &o), 0);
}

/* ---- and back ---- */

static const struct phd_map_entry MAP[] = {
	{ .attribute = MDC_ATTR_NU_SIMPLE, .len = 4 },
	{ .attribute = MDC_ATTR_STAMP_ABS, .len = 8 },
	{ .attribute = MDC_ATTR_STAMP_REL, .len = 4 },
	{ .attribute = MDC_ATTR_MSMT_STATUS, .len = 2 },
	{ .attribute = MDC_ATTR_UNIT, .len = 2 },
	{ .attribute = MDC_ATTR_ENUM_OID, .len = 2 },
	{ .attribute = MDC_ATTR_ENUM_BITS_16, .len = 2 },
	{ .attribute = MDC_ATTR_ENUM_BITS_32, .len = 4 },
	{ .attribute = MDC_ATTR_CMPD_SIMPLE, .len = 16 },
	{ .attribute = MDC_ATTR_CMPD_BASIC, .len = 10 },
	{ .attribute = MDC_ATTR_NU_BASIC, .len = 2 },
};

static const char *const WRITTEN[] = {
	"FF0002BE",
	STAMP,
	"00000010",
	"0400",
	"0F20",
	"1234",
	"1234",
	"00001234",
	"0003 000C FF0002BE 0000004C 00000061",
	"0003 0006 F2BE 004C 0061",
	"F2BE",
};

static struct phd_observation observation(void)
{
	return (struct phd_observation){
		.n_values = 3,
		.status = PHD_STATUS_DEMO,
		.unit = MDC_DIM_MMHG,
		.code = 0x1234,
		.stamp = PHD_STAMP_GIVEN,
		.time = { 2026, 11, 23, 1, 41, 16, 50 },
		.ticks = 16,
		.values = { { .number = { .value = { 702, -1 } } },
			    { .number = { .value = { 76, 0 } } },
			    { .number = { .value = { 97, 0 } } } },
	};
}

static void test_written(void **state)
{
	const struct phd_object *object = &phd_config_standard(0x02bc)->objects[0];
	const struct phd_observation o = observation();
	uint8_t expected[BYTES_MAX], bytes[BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(MAP) / sizeof(MAP[0]); i++) {
		struct phd_map_entry other = MAP[i];
		struct writer w = writer_of(bytes, sizeof(bytes));
		size_t len = from_hex(WRITTEN[i], expected);

		assert_int_equal(phd_observation_write(object, &MAP[i], 1, &o, &w), 0);
		assert_int_equal(w.len, len);
		assert_memory_equal(bytes, expected, len);
		/* a map that has another length for it */
		other.len++;
		w = writer_of(bytes, sizeof(bytes));
		assert_int_equal(phd_observation_write(object, &other, 1, &o, &w), -ENOTSUP);
	}
}

static void test_not_written(void **state)
{
	static const struct phd_map_entry unknown = { .attribute = MDC_ATTR_BATTERY, .len = 2 };
	const struct phd_config *config = phd_config_standard(0x02bc);
	struct phd_observation o = observation();
	uint8_t bytes[BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len = 0;

	(void)state;
	assert_int_equal(phd_observation_write(&config->objects[0], &unknown, 1, &o, &w), -ENOTSUP);
	o.n_values = 2;
	assert_int_equal(phd_observation_write(&config->objects[0], &MAP[8], 1, &o, &w), -ENOENT);
	o.n_values = 0;
	assert_int_equal(phd_observation_write(&config->objects[0], &MAP[0], 1, &o, &w), -ENOENT);
	o = observation();
	o.values[0].number.value = (struct decimal){ 123456, 0 };
	assert_int_equal(phd_observation_write(&config->objects[0], &MAP[10], 1, &o, &w), -ERANGE);
	o.handle = 77;
	assert_int_equal(phd_report_encode(config, 0, &o, 1, bytes, sizeof(bytes), &len), -ENOENT);
	o = observation();
	o.handle = 1;
	assert_int_equal(phd_report_encode(config, 0, &o, 1, bytes, 20, &len), -EMSGSIZE);
	assert_int_equal(len, 0);
	assert_int_equal(phd_report_encode(config, 0, &o, 1, bytes, sizeof(bytes), &len), 0);
	assert_int_equal(len, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standard),
		cmocka_unit_test(test_configs),
		cmocka_unit_test(test_too_many_objects),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_config_rows),
		cmocka_unit_test(test_confirm_timeout),
		cmocka_unit_test(test_too_many_entries),
		cmocka_unit_test(test_blood_pressure),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_units_and_persons),
		cmocka_unit_test(test_no_numbers),
		cmocka_unit_test(test_grouped),
		cmocka_unit_test(test_observed_values),
		cmocka_unit_test(test_observed_spoiled),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
