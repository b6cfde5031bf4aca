/* links: gateway_intake gateway_goals gateway_base */
#include "intake_make.h"

#include <errno.h>

#define KIND(name)  WELLGATE__V1__DEVICE_TIME__KIND__KIND_##name
#define CLOCK(name) WELLGATE__V1__CLOCK_QUALITY__CLOCK_##name
#define FAULT(name) WELLGATE__V1__TIME_FAULT__TIME_FAULT_##name
#define HOUR        INT64_C(3600000)
#define MINUTE      INT64_C(60000)
#define DAY         (24 * HOUR)

enum {
	SYNCED = 1,   /* the hub's clock */
	OFFSET = 2,   /* offset_min was measured */
	TRUSTED = 4,  /* the device's clock is set from outside */
	BACKFILL = 8, /* out of memory */
	NOT_SET = 16, /* the device says its clock was never set */
	NO_STAMP = 32,
	DURATION = 64, /* 10 minutes */
	CURRENT = 128, /* the device's clock ran without a break since */
	EARLIER = 256, /* it did not */
};

struct row {
	const char *what;
	int64_t offset_min; /* ours - device's */
	int64_t at_ms;      /* relative to the receipt; NO_TIME */
	int64_t correction_ms;
	int64_t now_ms; /* of the receipt, if not 2026-11-23T12:00Z */
	uint64_t flags;
	Wellgate__V1__DeviceTime__Kind kind;
	unsigned int how;
	Wellgate__V1__ClockQuality clock;
	Wellgate__V1__TimeFault fault;
	unsigned int stamp[6];
};

#define NO_TIME   INT64_MIN
#define UNCERTAIN FLAG_BIT(FLAG_TIME_UNCERTAIN)

static const struct row rows[] = {
	{ .what = "local winter stamp",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -5 * MINUTE },
	{ .what = "local summer stamp is an hour ahead of UTC",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 24, 13, 0, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -30 * DAY,
	  .flags = FLAG_BIT(FLAG_LATE) },
	{ .what = "UTC stamp in summer",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 10, 24, 12, 0, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -30 * DAY,
	  .flags = FLAG_BIT(FLAG_LATE) },
	{ .what = "offset measured: 12 h wrong",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 22, 23, 50, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -10 * MINUTE,
	  .correction_ms = 12 * HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ .what = "offset measured: clock right",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -10 * MINUTE },
	{ .what = "offset measured, year 2000 default",
	  .kind = KIND(LOCAL),
	  .stamp = { 2000, 1, 1, 0, 10, 0 },
	  .offset_min = 14145820,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -10 * MINUTE,
	  .correction_ms = 14145820 * MINUTE,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ .what = "offset measured, one hour out since the summer",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 12, 55, 0 },
	  .offset_min = -60,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -5 * MINUTE,
	  .correction_ms = -HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ .what = "offset measured by a hub without time is worth nothing",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .offset_min = 720,
	  .how = OFFSET,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -10 * MINUTE },
	{ .what = "device set from outside: never shifted",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .offset_min = 7,
	  .how = SYNCED | OFFSET | TRUSTED,
	  .clock = CLOCK(DEVICE_TRUSTED),
	  .at_ms = -10 * MINUTE },
	{ .what = "counter with anchor, kept for 99 minutes, and nobody says that it ran on",
	  .kind = KIND(TICKS),
	  .offset_min = 29923820,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -99 * MINUTE,
	  .flags = UNCERTAIN },
	{ .what = "counter with anchor, and it ran on",
	  .kind = KIND(TICKS),
	  .offset_min = 29923820,
	  .how = SYNCED | OFFSET | CURRENT,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -99 * MINUTE },
	{ .what = "counter without anchor",
	  .kind = KIND(TICKS),
	  .how = SYNCED,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(NO_ANCHOR) },
	{ .what = "no stamp",
	  .kind = KIND(UNSPECIFIED),
	  .how = SYNCED | NO_STAMP,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0 },
	{ .what = "no stamp, hub without time",
	  .kind = KIND(UNSPECIFIED),
	  .how = NO_STAMP,
	  .clock = CLOCK(RECEIPT_UNSYNCED),
	  .at_ms = 0 },
	{ .what = "no stamp: it ended when it came",
	  .kind = KIND(UNSPECIFIED),
	  .how = SYNCED | NO_STAMP | DURATION,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = -10 * MINUTE },
	{ .what = "no stamp, out of memory",
	  .kind = KIND(UNSPECIFIED),
	  .how = SYNCED | NO_STAMP | BACKFILL,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_BACKFILL),
	  .fault = FAULT(NO_STAMP) },
	{ .what = "year unknown",
	  .kind = KIND(LOCAL),
	  .stamp = { 0, 11, 23, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "month unknown",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 0, 23, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "day unknown",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 11, 0, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "30 February",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 2, 30, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "29 February of no leap year",
	  .kind = KIND(LOCAL),
	  .stamp = { 2025, 2, 29, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "24 o'clock",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 24, 0, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "month unknown, out of memory",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 0, 23, 11, 55, 0 },
	  .how = SYNCED | BACKFILL,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_CLOCK_NOT_SET) | FLAG_BIT(FLAG_BACKFILL),
	  .fault = FAULT(NO_STAMP) },
	{ .what = "the device says it was never set",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 20, 11, 55, 0 },
	  .how = SYNCED | NOT_SET,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0,
	  .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ .what = "5 minutes ahead",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 12, 5, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = 5 * MINUTE },
	{ .what = "more than 5 minutes ahead",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 12, 5, 1 },
	  .how = SYNCED,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "before 2015",
	  .kind = KIND(LOCAL),
	  .stamp = { 2014, 12, 31, 23, 59, 59 },
	  .how = SYNCED,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "24 h old is not late",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 22, 12, 0, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -24 * HOUR },
	{ .what = "a second more is late",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 22, 11, 59, 59 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -24 * HOUR - 1000,
	  .flags = FLAG_BIT(FLAG_LATE) },
	{ .what = "an hour that came by twice: the first, and uncertain",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 25, 1, 30, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -29 * DAY - 11 * HOUR - 30 * MINUTE,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_LATE) },
	{ .what = "an hour that never was: as if still winter, and uncertain",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 3, 29, 1, 30, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -239 * DAY - 10 * HOUR - 30 * MINUTE,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_LATE) },
	{ .what = "the hour that came by twice, with an offset: one line",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 25, 1, 30, 0 },
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -29 * DAY - 10 * HOUR - 30 * MINUTE,
	  .correction_ms = HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) },
	{ .what = "a kind from a later version",
	  .kind = (Wellgate__V1__DeviceTime__Kind)9,
	  .stamp = { 2026, 11, 23, 11, 55, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
};

/* 2027-04-10T12:00Z: summer time began on 28 March */
#define SPRING (MAKE_NOW_MS + 138 * DAY)

/* HL7 PHD IG 2.0.0, timestamps: its rows, by its names */
static const struct row ig_rows[] = {
	{ .what = "UTC, current timeline, externally synchronised: keep",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | TRUSTED | CURRENT,
	  .clock = CLOCK(DEVICE_TRUSTED),
	  .at_ms = -10 * MINUTE },
	{ .what = "UTC, current timeline, not synchronised: shift",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 11, 22, 23, 50, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | CURRENT,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -10 * MINUTE,
	  .correction_ms = 12 * HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ .what = "UTC, not current, externally synchronised: keep, fix the zone only",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 10, 24, 12, 0, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | TRUSTED | EARLIER,
	  .clock = CLOCK(DEVICE_TRUSTED),
	  .at_ms = -30 * DAY,
	  .flags = FLAG_BIT(FLAG_LATE) },
	{ .what = "UTC, not current, not synchronised: throw away",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .how = SYNCED | OFFSET | EARLIER,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "UTC, not current, not synchronised, not compared: throw away",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .how = SYNCED | EARLIER,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "local, current timeline, externally synchronised: keep",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | TRUSTED | CURRENT,
	  .clock = CLOCK(DEVICE_TRUSTED),
	  .at_ms = -10 * MINUTE },
	{ .what = "local, current timeline, not synchronised: shift",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 22, 23, 50, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | CURRENT,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -10 * MINUTE,
	  .correction_ms = 12 * HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ .what = "local, not current, externally synchronised: keep, fix the zone only",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 24, 12, 0, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | TRUSTED | EARLIER,
	  .clock = CLOCK(DEVICE_TRUSTED),
	  .at_ms = -30 * DAY - HOUR,
	  .flags = FLAG_BIT(FLAG_LATE) },
	{ .what = "local, not current, not synchronised: throw away",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .how = SYNCED | OFFSET | EARLIER,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "local, not current, not synchronised, not compared: throw away",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .how = SYNCED | EARLIER,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "tick counter, current timeline: anchor",
	  .kind = KIND(TICKS),
	  .offset_min = 29923820,
	  .how = SYNCED | OFFSET | CURRENT,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -99 * MINUTE },
	{ .what = "tick counter, not current: throw away",
	  .kind = KIND(TICKS),
	  .offset_min = 29923820,
	  .how = SYNCED | OFFSET | EARLIER,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "no timestamp: time of receipt",
	  .kind = KIND(UNSPECIFIED),
	  .how = SYNCED | NO_STAMP,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = 0 },
	{ .what = "no timestamp, duration known: receipt is the end",
	  .kind = KIND(UNSPECIFIED),
	  .how = SYNCED | NO_STAMP | DURATION,
	  .clock = CLOCK(HUB_SYNCED),
	  .at_ms = -10 * MINUTE },
};

static const struct row traps[] = {
	{ .what = "12 h wrong, kept for three days",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 20, 0, 0, 0 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -3 * DAY,
	  .correction_ms = 12 * HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "year 2000 default, kept: there may have been another battery",
	  .kind = KIND(LOCAL),
	  .stamp = { 2000, 1, 1, 0, 10, 0 },
	  .offset_min = 14141510,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -3 * DAY,
	  .correction_ms = 14141510 * MINUTE,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) |
		   FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "year 2000 default, kept, and the device does not say so",
	  .kind = KIND(LOCAL),
	  .stamp = { 2000, 1, 1, 0, 10, 0 },
	  .offset_min = 14141510,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(DEVICE_UNVERIFIED),
	  .at_ms = -3 * DAY,
	  .correction_ms = 14141510 * MINUTE,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) },
	{ .what = "year 2000 default, kept, and the clock ran on",
	  .kind = KIND(LOCAL),
	  .stamp = { 2000, 1, 1, 0, 10, 0 },
	  .offset_min = 14141510,
	  .how = SYNCED | OFFSET | BACKFILL | CURRENT,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -3 * DAY,
	  .correction_ms = 14141510 * MINUTE,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "year 2000 default, not compared",
	  .kind = KIND(LOCAL),
	  .stamp = { 2000, 1, 1, 0, 10, 0 },
	  .how = SYNCED,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "battery changed: from before, the clock at its default now",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 1, 8, 0, 0 },
	  .offset_min = 14141510,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_BACKFILL),
	  .fault = FAULT(SENSOR) },
	{ .what = "battery changed: from before the clock was set again",
	  .kind = KIND(LOCAL),
	  .stamp = { 2000, 1, 1, 0, 10, 0 },
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_BACKFILL),
	  .fault = FAULT(SENSOR) },
	{ .what = "still on summer time in winter: kept from summer",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 24, 13, 0, 0 },
	  .offset_min = -60,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -30 * DAY,
	  .flags = FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "still on summer time in winter: kept from winter",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 20, 13, 0, 0 },
	  .offset_min = -60,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -3 * DAY,
	  .correction_ms = -HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "right in winter: kept from summer, was it put right since?",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 24, 13, 0, 0 },
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -30 * DAY + HOUR,
	  .correction_ms = HOUR,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) |
		   FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "right in winter: kept from summer, and it ran on",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 10, 24, 13, 0, 0 },
	  .how = SYNCED | OFFSET | BACKFILL | CURRENT,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -30 * DAY + HOUR,
	  .correction_ms = HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL) },
	{ .what = "still on winter time in summer: kept from winter",
	  .kind = KIND(LOCAL),
	  .stamp = { 2027, 3, 20, 12, 0, 0 },
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -21 * DAY,
	  .flags = FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL),
	  .now_ms = SPRING },
	{ .what = "still on winter time in summer: kept from summer",
	  .kind = KIND(LOCAL),
	  .stamp = { 2027, 4, 7, 12, 0, 0 },
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -3 * DAY,
	  .correction_ms = HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL),
	  .now_ms = SPRING },
	{ .what = "right in summer: kept from winter, was it put right since?",
	  .kind = KIND(LOCAL),
	  .stamp = { 2027, 3, 20, 12, 0, 0 },
	  .offset_min = -60,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -21 * DAY - HOUR,
	  .correction_ms = -HOUR,
	  .flags = UNCERTAIN | FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) |
		   FLAG_BIT(FLAG_BACKFILL),
	  .now_ms = SPRING },
	{ .what = "the same in UTC: no doubt",
	  .kind = KIND(UTC),
	  .stamp = { 2027, 3, 20, 12, 0, 0 },
	  .offset_min = -60,
	  .how = SYNCED | OFFSET | BACKFILL,
	  .clock = CLOCK(DEVICE_CORRECTED),
	  .at_ms = -21 * DAY - HOUR,
	  .correction_ms = -HOUR,
	  .flags = FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL),
	  .now_ms = SPRING },
	{ .what = "ahead by the measured offset, too",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 0, 5, 1 },
	  .offset_min = 720,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "ahead of a hub that does not know the time",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 11, 23, 12, 5, 1 },
	  .how = 0,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(HUB) },
	{ .what = "ahead of a hub that does not know the time, but the device does",
	  .kind = KIND(LOCAL),
	  .stamp = { 2026, 12, 23, 12, 0, 0 },
	  .how = TRUSTED,
	  .clock = CLOCK(DEVICE_TRUSTED),
	  .at_ms = 30 * DAY },
	{ .what = "the device does not know it either",
	  .kind = KIND(LOCAL),
	  .stamp = { 2014, 12, 23, 12, 0, 0 },
	  .how = TRUSTED,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
	{ .what = "arithmetic cannot follow",
	  .kind = KIND(UTC),
	  .stamp = { 2026, 11, 23, 11, 50, 0 },
	  .offset_min = INT64_MAX / MINUTE,
	  .how = SYNCED | OFFSET,
	  .clock = CLOCK(UNKNOWN),
	  .at_ms = NO_TIME,
	  .flags = UNCERTAIN,
	  .fault = FAULT(SENSOR) },
};

static void make_row(const struct row *row, struct made *made)
{
	make_weight(made);
	if (!(row->how & NO_STAMP))
		make_time(made, row->kind, row->stamp);
	if (row->kind == KIND(TICKS)) {
		made->time.has_ticks = made->time.has_tick_us = true;
		made->time.ticks = 60;
		made->time.tick_us = 1000000;
	}
	made->m.has_clock_offset_ms = (row->how & OFFSET) != 0;
	made->m.clock_offset_ms = row->offset_min * MINUTE;
	made->m.has_clock_synced = made->m.clock_synced = (row->how & TRUSTED) != 0;
	made->m.has_timeline = (row->how & (CURRENT | EARLIER)) != 0;
	if (row->how & CURRENT)
		made->m.timeline = WELLGATE__V1__TIMELINE__TIMELINE_CURRENT;
	if (row->how & EARLIER)
		made->m.timeline = WELLGATE__V1__TIMELINE__TIMELINE_EARLIER;
	if (row->how & BACKFILL)
		make_flag(made, FLAG_BACKFILL);
	if (row->how & NOT_SET)
		make_flag(made, FLAG_CLOCK_NOT_SET);
	if (row->how & DURATION) {
		made->m.has_duration_ms = true;
		made->m.duration_ms = 10 * MINUTE;
	}
}

static uint64_t flags_of(const Wellgate__V1__Reading *r)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < r->n_flags; i++)
		flags |= FLAG_BIT((unsigned int)r->flags[i]);
	return flags;
}

/* each on a hub of its own: one that once knew the time would remember it */
static void try_row(const struct row *row)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;
	const int64_t now = row->now_ms ? row->now_ms : MAKE_NOW_MS;

	bench_open(&b, "Europe/London", NULL, false);
	make_row(row, &made);
	b.receipt.synced = (row->how & SYNCED) != 0;
	b.receipt.utc_ms = now;
	r = bench_run(&b, &made);
	if (r->clock != row->clock || flags_of(r) != row->flags ||
	    r->has_measured_at_ms != (row->at_ms != NO_TIME) ||
	    (r->has_measured_at_ms && r->measured_at_ms != now + row->at_ms) ||
	    r->clock_correction_ms != row->correction_ms || r->time_fault != row->fault)
		fail_msg(
			"%s: clock %d, flags %llx, %lld ms from receipt, correction %lld, fault %d",
			row->what, (int)r->clock, (unsigned long long)flags_of(r),
			(long long)(r->measured_at_ms - now), (long long)r->clock_correction_ms,
			(int)r->time_fault);
	assert_int_equal(r->has_utc_offset_min, r->has_measured_at_ms);
	assert_int_equal(r->has_time_fault, !r->has_measured_at_ms);
	bench_close(&b);
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		try_row(&rows[i]);
}

static void test_phd_ig(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ig_rows) / sizeof(ig_rows[0]); i++)
		try_row(&ig_rows[i]);
}

static void test_traps(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++)
		try_row(&traps[i]);
}

static void test_utc_offset(void **state)
{
	static const unsigned int summer[6] = { 2026, 7, 1, 12, 0, 0 },
				  winter[6] = { 2026, 11, 23, 11, 0, 0 };
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "Europe/London", NULL, false);
	make_weight(&made);
	make_time(&made, KIND(LOCAL), summer);
	assert_int_equal(bench_run(&b, &made)->utc_offset_min, 60);
	make_time(&made, KIND(LOCAL), winter);
	assert_int_equal(bench_run(&b, &made)->utc_offset_min, 0);
	assert_int_equal(bench_run(&b, &made)->offset_source,
			 WELLGATE__V1__OFFSET_SOURCE__OFFSET_HUB_ZONE);
	bench_close(&b);
}

/* A hub that woke up in 1970 must not say that anything was measured then. */
static void test_hub_without_time(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	b.receipt.synced = false;
	b.receipt.utc_ms = 40000;
	make_weight(&made);
	r = bench_run(&b, &made);
	assert_int_equal(r->clock, CLOCK(UNKNOWN));
	assert_false(r->has_measured_at_ms);
	assert_true(reading_has_flag(r, FLAG_TIME_UNCERTAIN));
	assert_int_equal(r->received_at_ms, 40000); /* with boot id and boottime it can be mended */
	assert_int_equal(r->received_boottime_us, make_receipt.boottime_us);
	bench_close(&b);
}

static void make_seen(struct made *made, uint8_t boot, int64_t boottime_us, int64_t utc_ms)
{
	made->m.has_seen_boot_id = made->m.has_seen_boottime_us = made->m.has_seen_utc_ms = true;
	memcpy(made->boot_id, make_receipt.boot_id, 16);
	made->boot_id[0] = boot;
	made->m.seen_boot_id = (ProtobufCBinaryData){ 16, made->boot_id };
	made->m.seen_boottime_us = boottime_us;
	made->m.seen_utc_ms = utc_ms;
}

/* Compared on a link that began before the hub's clock was set: that comparison is void. */
static void test_hub_was_set(void **state)
{
	static const unsigned int stamp[6] = { 2026, 11, 23, 11, 59, 0 };
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	make_time(&made, KIND(LOCAL), stamp);
	made.m.has_clock_offset_ms = true;
	made.m.clock_offset_ms = -3 * DAY;
	make_seen(&made, 1, make_receipt.boottime_us - 1000000, MAKE_NOW_MS - 1000 - 3 * DAY);
	r = bench_run(&b, &made);
	assert_int_equal(r->clock, CLOCK(DEVICE_UNVERIFIED));
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - MINUTE);
	/* a little apart is how two clocks are read */
	make_seen(&made, 1, make_receipt.boottime_us - 1000000, MAKE_NOW_MS - 1000 - 1999);
	made.m.clock_offset_ms = 10000;
	assert_int_equal(bench_run(&b, &made)->clock, CLOCK(DEVICE_CORRECTED));
	bench_close(&b);
}

static void test_seen(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	/* the same boot: the steady clock counts, whatever the wall clock said then */
	make_weight(&made);
	make_seen(&made, 1, make_receipt.boottime_us - 90000000, 12345);
	r = bench_run(&b, &made);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - 90000);
	assert_int_equal(r->received_boottime_us, make_receipt.boottime_us - 90000000);
	assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
	/* another boot: the wall clock of then, which nobody vouches for */
	make_seen(&made, 9, 77, MAKE_NOW_MS - HOUR);
	r = bench_run(&b, &made);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - HOUR);
	assert_int_equal(r->boot_id.data[0], 9);
	assert_int_equal(r->clock, CLOCK(RECEIPT_UNSYNCED));
	/* from the future of this boot: impossible, so not believed */
	make_seen(&made, 1, make_receipt.boottime_us + 1, MAKE_NOW_MS - HOUR);
	assert_int_equal(bench_run(&b, &made)->clock, CLOCK(RECEIPT_UNSYNCED));
	/* only a part of the stamp: the receipt stands in */
	made.m.has_seen_utc_ms = false;
	assert_int_equal(bench_run(&b, &made)->received_at_ms, MAKE_NOW_MS);
	make_seen(&made, 1, 1, 1);
	made.m.seen_boot_id.len = 15;
	assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	bench_close(&b);
}

static void test_simulated(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	b.receipt.synced = false; /* of no matter: the capture stands for its own time */
	make_weight(&made);
	make_simulated(&made, MAKE_NOW_MS - 100 * DAY);
	r = bench_run(&b, &made);
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - 100 * DAY);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - 100 * DAY);
	assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
	assert_true(reading_has_flag(r, FLAG_TEST));
	assert_false(reading_has_flag(r, FLAG_LATE));
	assert_false(r->has_boot_id);
	made.m.test = false; /* a real reading may not choose its time of receipt */
	assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	bench_close(&b);
}

static void test_durations(void **state)
{
	static const int64_t bad[] = { -1, INT64_MIN, INT64_MAX, 31 * DAY + 1 };
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	made.m.has_duration_ms = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		made.m.duration_ms = bad[i];
		assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	}
	bench_close(&b);
}

static void test_receipt_now(void **state)
{
	struct receipt a, b;
	uint8_t zeros[16] = { 0 };

	(void)state;
	receipt_now(&a);
	receipt_now(&b);
	assert_true(b.boottime_us >= a.boottime_us);
	assert_memory_equal(a.boot_id, b.boot_id, 16);
	assert_memory_not_equal(a.boot_id, zeros, 16);
	assert_true(a.utc_ms > INT64_C(1700000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),      cmocka_unit_test(test_phd_ig),
		cmocka_unit_test(test_traps),      cmocka_unit_test(test_hub_was_set),
		cmocka_unit_test(test_utc_offset), cmocka_unit_test(test_hub_without_time),
		cmocka_unit_test(test_seen),       cmocka_unit_test(test_simulated),
		cmocka_unit_test(test_durations),  cmocka_unit_test(test_receipt_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
