#include "gateway/cli/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocols/bytes/decimal.h"

#define DAY_MS      INT64_C(86400000)
#define TIME_MAX_MS INT64_C(253402300799999) /* the end of the year 9999 */

static struct tm broken_down(int64_t ms)
{
	const time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0 ? 1 : 0));
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	return tm;
}

void format_utc(char buf[FORMAT_TIME_MAX], int64_t ms)
{
	const struct tm tm = broken_down(ms);
	const int rest = (int)(ms % 1000 < 0 ? ms % 1000 + 1000 : ms % 1000);
	const size_t n = strftime(buf, FORMAT_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);

	(void)snprintf(buf + n, FORMAT_TIME_MAX - n, ".%03dZ", rest);
}

void format_local(char buf[FORMAT_TIME_MAX], int64_t ms, int offset_min)
{
	const struct tm tm = broken_down(ms + (int64_t)offset_min * 60000);

	(void)strftime(buf, FORMAT_TIME_MAX, "%Y-%m-%d %H:%M", &tm);
}

void format_local_date(char buf[FORMAT_TIME_MAX], int64_t ms, int offset_min)
{
	const struct tm tm = broken_down(ms + (int64_t)offset_min * 60000);

	(void)strftime(buf, FORMAT_TIME_MAX, "%Y-%m-%d", &tm);
}

void format_decimal(char *buf, size_t size, const Wellgate__V1__Decimal *d)
{
	const struct decimal value = { d ? d->mantissa : 0, d ? d->exponent : 0 };

	if (!d || decimal_format(buf, size, value) < 0)
		buf[0] = '\0';
}

void format_unit(char buf[FORMAT_UNIT_MAX], const char *ucum)
{
	static const struct {
		const char *ucum, *people;
	} known[] = { { "Cel", "°C" },         { "/min", "per minute" }, { "[lb_av]", "lb" },
		      { "500.g{jin}", "jin" }, { "kg/m2", "kg/m²" },     { "1", "" } };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(ucum, known[i].ucum) == 0) {
			(void)snprintf(buf, FORMAT_UNIT_MAX, "%s", known[i].people);
			return;
		}
	}
	for (; *ucum && n < FORMAT_UNIT_MAX - 1; ucum++) {
		if (!strchr("[]{}", *ucum))
			buf[n++] = *ucum;
	}
	buf[n] = '\0';
}

void format_enum(char buf[FORMAT_ENUM_MAX], const ProtobufCEnumDescriptor *descriptor, int value,
		 const char *prefix)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(descriptor, value);
	const size_t skip = strlen(prefix);

	if (!v) {
		(void)snprintf(buf, FORMAT_ENUM_MAX, "%d", value);
		return;
	}
	(void)snprintf(buf, FORMAT_ENUM_MAX, "%s",
		       strncmp(v->name, prefix, skip) == 0 ? v->name + skip : v->name);
	for (char *p = buf; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

void format_hex(char *buf, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*buf++ = digits[data[i] >> 4];
		*buf++ = digits[data[i] & 0xf];
	}
	*buf = '\0';
}

void format_ago(char buf[FORMAT_TIME_MAX], int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {
		{ DAY_MS, "day" }, { 3600000, "hour" }, { 60000, "minute" }, { 1000, "second" }
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const int64_t n = ms / units[i].ms;

		if (n > 0 || units[i].ms == 1000) {
			(void)snprintf(buf, FORMAT_TIME_MAX, "%" PRId64 " %s%s", n > 0 ? n : 0,
				       units[i].name, n == 1 ? "" : "s");
			return;
		}
	}
}

/* ---- the fleet of a status ---- */

bool format_fleet_day(char buf[FORMAT_TIME_MAX], int64_t ms)
{
	if (ms <= 0 || ms > TIME_MAX_MS)
		return false;
	format_local_date(buf, ms, 0);
	return true;
}

void format_fleet(char buf[FORMAT_FLEET_MAX], const Wellgate__V1__FirmwareCount *f)
{
	char first[FORMAT_TIME_MAX] = "", last[FORMAT_TIME_MAX] = "";
	const bool has_first = f->has_first_seen_ms && format_fleet_day(first, f->first_seen_ms);
	const bool has_last = f->has_last_seen_ms && format_fleet_day(last, f->last_seen_ms);
	const char *const from = has_first && has_last ? ", seen " : has_last ? ", last seen " : "";

	(void)snprintf(buf, FORMAT_FLEET_MAX, "%" PRIu32 " %.64s%s%s%.64s%s%s%.64s%s%.64s%s%s%s%s",
		       f->devices, f->make ? f->make : "", f->make ? " " : "", f->model ? "" : "(",
		       f->model    ? f->model
		       : f->driver ? f->driver
				   : "?",
		       f->model ? "" : ")", f->hardware ? ", hardware " : "",
		       f->hardware ? f->hardware : "",
		       f->firmware ? ", firmware " : ", firmware not told",
		       f->firmware ? f->firmware : "", from, has_first && has_last ? first : "",
		       has_first && has_last ? " to " : "", has_last ? last : "");
}
