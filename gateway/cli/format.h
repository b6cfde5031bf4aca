/* Small texts that several subcommands print. Buffers are always terminated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "wellgate.pb-c.h"

#define FORMAT_TIME_MAX 40
#define FORMAT_ENUM_MAX 48
#define FORMAT_UNIT_MAX 32

/* "2026-11-16T07:31:00.000Z" */
void format_utc(char buf[FORMAT_TIME_MAX], int64_t ms);
/* "2026-11-16 07:31", the clock on the wall where it was measured */
void format_local(char buf[FORMAT_TIME_MAX], int64_t ms, int offset_min);
/* "2026-11-16" */
void format_local_date(char buf[FORMAT_TIME_MAX], int64_t ms, int offset_min);
/* the decimal as text, "" if d is NULL or absurd */
void format_decimal(char *buf, size_t size, const Wellgate__V1__Decimal *d);
/* "mm[Hg]" -> "mmHg", "Cel" -> "°C", "{steps}" -> "steps": for people only */
void format_unit(char buf[FORMAT_UNIT_MAX], const char *ucum);
/* FLAG_SOFT_RANGE with prefix "FLAG_" -> "soft_range"; an unknown number as digits */
void format_enum(char buf[FORMAT_ENUM_MAX], const ProtobufCEnumDescriptor *descriptor, int value,
		 const char *prefix);
/* lower case, buf holds 2 * len + 1 */
void format_hex(char *buf, const uint8_t *data, size_t len);
/* "3 minutes", "2 days" */
void format_ago(char buf[FORMAT_TIME_MAX], int64_t ms);
#define FORMAT_FLEET_MAX 512
/* the day in UTC; false: no time that anybody could mean */
bool format_fleet_day(char buf[FORMAT_TIME_MAX], int64_t ms);
/* "2 Maker Scale, hardware A, firmware 1.4, seen 2026-11-16 to 2026-11-22"; a model that is not
 * known is the driver, in brackets. As the devices gave it: make it fit for a terminal. */
void format_fleet(char buf[FORMAT_FLEET_MAX], const Wellgate__V1__FirmwareCount *f);
