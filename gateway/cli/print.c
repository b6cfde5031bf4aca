#include "gateway/cli/print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "gateway/cli/format.h"

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

/* An object under construction. A failure (out of memory, text that is not UTF-8) sticks. */
struct object {
	json_t *json;
	bool failed;
};

static struct object object_new(void)
{
	struct object o = { .json = json_object() };

	o.failed = !o.json;
	return o;
}

/* takes the reference to value */
static void put(struct object *o, const char *key, json_t *value)
{
	if (json_object_set_new(o->json, key, value) < 0)
		o->failed = true;
}

static void put_text(struct object *o, const char *key, const char *text)
{
	if (text && text[0])
		put(o, key, json_string(text));
}

static void put_number(struct object *o, const char *key, int64_t n)
{
	put(o, key, json_integer(n));
}

static void put_object(struct object *o, const char *key, struct object *inner)
{
	if (inner->failed)
		o->failed = true;
	put(o, key, inner->json);
	inner->json = NULL;
}

static void put_hex(struct object *o, const char *key, const uint8_t *data, size_t len)
{
	char hex[129];

	for (size_t i = 0; i < len && i < sizeof(hex) / 2; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", data[i]);
	if (len > 0)
		put_text(o, key, hex);
}

/* RFC 3339, UTC, milliseconds */
static void put_instant(struct object *o, const char *key, int64_t utc_ms)
{
	const int64_t rest = utc_ms % 1000;
	const time_t seconds = (time_t)(utc_ms / 1000 - (rest < 0 ? 1 : 0));
	struct tm tm;
	char text[64];

	if (!gmtime_r(&seconds, &tm))
		return;
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (int)(rest < 0 ? rest + 1000 : rest));
	put_text(o, key, text);
}

static void put_decimal(struct object *o, const char *key, struct decimal d)
{
	char text[DECIMAL_TEXT_MAX];

	if (decimal_format(text, sizeof(text), d) >= 0)
		put_text(o, key, text);
}

static void put_flags(struct object *o, json_t *flags)
{
	if (json_array_size(flags) > 0)
		put(o, "flags", flags);
	else
		json_decref(flags);
}

/* a flag that this program does not know yet keeps its number */
static void append_flag(json_t *flags, unsigned int flag)
{
	const char *name = flag_name(flag);

	(void)json_array_append_new(flags,
				    name ? json_string(name) : json_sprintf("flag_%u", flag));
}

/* A date with an unknown part is no date: FLAG_CLOCK_NOT_SET says so, and nothing is made up. */
static void put_device_time(struct object *o, const struct device_time *t)
{
	char fraction[16] = "", text[64];
	struct object ticks;

	if (t->kind == DEVICE_TIME_TICKS) {
		ticks = object_new();
		put_number(&ticks, "ticks", (int64_t)t->ticks);
		put_number(&ticks, "tick_us", (int64_t)t->tick_us);
		put_object(o, "device_time", &ticks);
		return;
	}
	if (t->kind == DEVICE_TIME_NONE || t->year == 0 || t->month == 0 || t->day == 0)
		return;
	if (t->fraction_us)
		(void)snprintf(fraction, sizeof(fraction), ".%06" PRIu32, t->fraction_us);
	(void)snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u%s%s", t->year, t->month,
		       t->day, t->hour, t->minute, t->second, fraction,
		       t->kind == DEVICE_TIME_UTC ? "Z" : "");
	put_text(o, "device_time", text);
}

/* 255: there is a slot, and the device does not know whose */
static void put_user_slot(struct object *o, uint32_t slot)
{
	put(o, "user_slot", slot == 255 ? json_null() : json_integer(slot));
}

static char *finish(struct object *o)
{
	char *line = o->failed ? NULL : json_dumps(o->json, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(o->json);
	o->json = NULL;
	return line;
}

/* ---- measurements ---- */

static const char *metric_name(unsigned int metric)
{
	const struct metric_info *info = metric_info(metric);

	return info ? info->name : "unknown";
}

static const char *unit_name(unsigned int unit)
{
	const struct unit_info *info = unit_info(unit);

	return info ? info->ucum : "";
}

static json_t *measurement_components(const struct measurement *m)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < m->n_parts; i++) {
		const struct measurement_part *p = &m->parts[i];
		struct object c;

		if (p->number.absent != ABSENT_NO)
			continue;
		c = object_new();
		put_text(&c, "metric", metric_name(p->metric));
		put_decimal(&c, "value", p->number.value);
		put_text(&c, "unit", unit_name(p->unit));
		(void)json_array_append_new(list, c.json);
	}
	return list;
}

static void put_measurement_absent(struct object *o, const struct measurement *m)
{
	struct object absent = object_new();

	for (unsigned int i = 0; i < m->n_parts; i++) {
		const struct measurement_part *p = &m->parts[i];

		if (p->number.absent != ABSENT_NO)
			put_text(&absent, metric_name(p->metric), absent_name(p->number.absent));
	}
	if (json_object_size(absent.json) > 0)
		put_object(o, "absent", &absent);
	json_decref(absent.json);
}

/* HI and LO are readings without one: then there are no components, as in a reading */
static bool has_number(const struct measurement *m)
{
	for (unsigned int i = 0; i < m->n_parts; i++) {
		if (m->parts[i].number.absent == ABSENT_NO)
			return true;
	}
	return false;
}

char *print_measurement(const struct measurement *m, const char *driver)
{
	struct object o = object_new();
	json_t *flags = json_array();

	put_text(&o, "metric", metric_name(m->metric));
	if (measurement_is_final(m) && has_number(m))
		put(&o, "components", measurement_components(m));
	put_device_time(&o, &m->time);
	if (m->has_user_slot)
		put_user_slot(&o, m->user_slot);
	if (m->has_record_number)
		put_number(&o, "record_number", m->record_number);
	if (m->has_duration)
		put_number(&o, "duration_ms", m->duration_ms);
	if (m->has_clock_offset)
		put_number(&o, "clock_offset_ms", m->clock_offset_ms);
	for (unsigned int flag = 0; flag < FLAG_END; flag++) {
		if (m->flags & FLAG_BIT(flag))
			append_flag(flags, flag);
	}
	put_flags(&o, flags);
	put_measurement_absent(&o, m);
	put_text(&o, "context", m->context);
	put_text(&o, "driver", driver);
	return finish(&o);
}

/* ---- messages ---- */

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* "CLOCK_HUB_SYNCED" -> "hub_synced"; what this program does not know keeps its number */
static void put_enum(struct object *o, const char *key, const ProtobufCEnumDescriptor *type,
		     const char *prefix, int number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
	const size_t skip = strlen(prefix);
	char text[64];
	size_t n = 0;

	if (!value) {
		put(o, key, json_sprintf("%d", number));
		return;
	}
	if (strncmp(value->name, prefix, skip) != 0)
		return;
	while (value->name[skip + n] && n + 1 < sizeof(text)) {
		text[n] = lower(value->name[skip + n]);
		n++;
	}
	text[n] = '\0';
	put_text(o, key, text);
}

static struct decimal decimal_of(const Wellgate__V1__Decimal *d)
{
	return (struct decimal){ .mantissa = d->mantissa, .exponent = d->exponent };
}

/* On a reading, `test` is the gateway's mark for demonstration data: its values are values. */
static bool reading_is_final(const Wellgate__V1__Reading *r)
{
	const uint64_t not_final = FLAGS_NOT_FINAL & ~FLAG_BIT(FLAG_TEST);

	for (size_t i = 0; i < r->n_flags; i++) {
		if ((unsigned int)r->flags[i] < FLAG_END &&
		    (FLAG_BIT((unsigned int)r->flags[i]) & not_final))
			return false;
	}
	return true;
}

static json_t *reading_component(const Wellgate__V1__Component *c)
{
	struct object o = object_new();

	put_text(&o, "metric", metric_name((unsigned int)c->metric));
	put_decimal(&o, "value", decimal_of(c->value));
	put_text(&o, "unit", c->unit);
	if (c->original_value)
		put_decimal(&o, "original_value", decimal_of(c->original_value));
	put_text(&o, "original_unit", c->original_unit);
	put_text(&o, "loinc", c->loinc);
	return o.json;
}

static void put_reading_values(struct object *o, const Wellgate__V1__Reading *r)
{
	_cleanup_json_ json_t *list = json_array();
	struct object absent = object_new();

	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if (c->value)
			(void)json_array_append_new(list, reading_component(c));
		else if (c->has_absent)
			put_text(&absent, metric_name((unsigned int)c->metric),
				 absent_name((enum absent)c->absent));
	}
	if (json_array_size(list) > 0 && reading_is_final(r))
		put(o, "components", json_incref(list));
	if (json_object_size(absent.json) > 0)
		put_object(o, "absent", &absent);
	json_decref(absent.json);
}

static enum device_time_kind time_kind(Wellgate__V1__DeviceTime__Kind kind)
{
	if (kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL)
		return DEVICE_TIME_LOCAL;
	if (kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC)
		return DEVICE_TIME_UTC;
	if (kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS)
		return DEVICE_TIME_TICKS;
	return DEVICE_TIME_NONE;
}

static void put_reading_times(struct object *o, const Wellgate__V1__Reading *r)
{
	const Wellgate__V1__DeviceTime *t = r->device_time;

	if (r->has_measured_at_ms)
		put_instant(o, "measured_at", r->measured_at_ms);
	if (r->has_clock)
		put_enum(o, "clock", &wellgate__v1__clock_quality__descriptor, "CLOCK_",
			 (int)r->clock);
	if (r->has_time_fault)
		put_enum(o, "time_fault", &wellgate__v1__time_fault__descriptor, "TIME_FAULT_",
			 (int)r->time_fault);
	if (r->has_utc_offset_min)
		put_number(o, "utc_offset_min", r->utc_offset_min);
	if (r->has_clock_correction_ms)
		put_number(o, "clock_correction_ms", r->clock_correction_ms);
	if (t) {
		const struct device_time time = {
			.kind = time_kind(t->kind),
			.year = (uint16_t)t->year,
			.month = (uint8_t)t->month,
			.day = (uint8_t)t->day,
			.hour = (uint8_t)t->hour,
			.minute = (uint8_t)t->minute,
			.second = (uint8_t)t->second,
			.fraction_us = t->fraction_us % 1000000,
			.ticks = t->ticks,
			.tick_us = t->tick_us,
		};

		put_device_time(o, &time);
	}
	if (r->has_duration_ms)
		put_number(o, "duration_ms", r->duration_ms);
	if (r->has_received_at_ms)
		put_instant(o, "received_at", r->received_at_ms);
}

static void put_reading_device(struct object *o, const Wellgate__V1__Reading *r)
{
	struct object d;

	if (!r->device)
		return;
	d = object_new();
	put_text(&d, "make", r->device->make);
	put_text(&d, "model", r->device->model);
	put_text(&d, "firmware", r->device->firmware);
	put_text(&d, "hardware", r->device->hardware);
	if (r->device->has_serial_digest)
		put_hex(&d, "serial_digest", r->device->serial_digest.data,
			r->device->serial_digest.len);
	if (json_object_size(d.json) > 0)
		put_object(o, "device", &d);
	json_decref(d.json);
	put_text(o, "driver", r->device->driver);
}

static void put_reading_person(struct object *o, const Wellgate__V1__Reading *r)
{
	struct object a;

	if (r->has_user_slot)
		put_user_slot(o, r->user_slot);
	put_text(o, "subject", r->subject);
	if (!r->attribution)
		return;
	a = object_new();
	put_enum(&a, "rule", &wellgate__v1__attribution_rule__descriptor, "ATTRIBUTION_",
		 (int)r->attribution->rule);
	put_enum(&a, "confidence", &wellgate__v1__confidence__descriptor, "CONFIDENCE_",
		 (int)r->attribution->confidence);
	if (r->attribution->has_registry_revision)
		put_number(&a, "registry_revision", (int64_t)r->attribution->registry_revision);
	put_object(o, "attribution", &a);
	json_decref(a.json);
}

static void put_reading_state(struct object *o, const Wellgate__V1__Reading *r)
{
	json_t *flags = json_array(), *goals;

	for (size_t i = 0; i < r->n_flags; i++)
		append_flag(flags, (unsigned int)r->flags[i]);
	put_flags(o, flags);
	put_text(o, "context", r->context);
	if (r->has_link_security)
		put_enum(o, "link_security", &wellgate__v1__link_security__descriptor, "LINK_",
			 (int)r->link_security);
	if (r->has_origin)
		put_enum(o, "origin", &wellgate__v1__origin__descriptor, "ORIGIN_", (int)r->origin);
	if (r->n_goals == 0)
		return;
	goals = json_array();
	for (size_t i = 0; i < r->n_goals; i++)
		(void)json_array_append_new(goals, json_string(r->goals[i]));
	put(o, "goals", goals);
}

static void put_reading_identity(struct object *o, const Wellgate__V1__Reading *r, const char *hub)
{
	put_text(o, "hub", hub);
	if (r->has_sequence)
		put_number(o, "sequence", (int64_t)r->sequence);
	if (r->has_record_number)
		put_number(o, "record_number", r->record_number);
	if (r->has_reading_id)
		put_hex(o, "reading_id", r->reading_id.data, r->reading_id.len);
	if (r->has_dedupe_key)
		put_hex(o, "dedupe_key", r->dedupe_key.data, r->dedupe_key.len);
	if (r->has_revision)
		put_number(o, "revision", r->revision);
	if (r->has_replaces)
		put_hex(o, "replaces", r->replaces.data, r->replaces.len);
	if (r->has_raw_digest)
		put_hex(o, "raw_digest", r->raw_digest.data, r->raw_digest.len);
}

char *print_reading(const Wellgate__V1__Reading *r, const char *hub)
{
	struct object o = object_new();

	put_text(&o, "metric", metric_name((unsigned int)r->metric));
	put_reading_values(&o, r);
	put_text(&o, "loinc", r->loinc);
	put_reading_times(&o, r);
	put_reading_person(&o, r);
	put_reading_state(&o, r);
	put_reading_device(&o, r);
	put_reading_identity(&o, r, hub);
	return finish(&o);
}

static void put_goal_period(struct object *o, const Wellgate__V1__GoalResult *r)
{
	if (r->has_period_start_ms)
		put_instant(o, "period_start", r->period_start_ms);
	if (r->has_period_end_ms)
		put_instant(o, "period_end", r->period_end_ms);
	if (r->has_state)
		put_enum(o, "state", &wellgate__v1__goal_result__state__descriptor, "STATE_",
			 (int)r->state);
	if (r->has_outcome)
		put_enum(o, "outcome", &wellgate__v1__goal_result__outcome__descriptor, "OUTCOME_",
			 (int)r->outcome);
}

static void put_goal_verdict(struct object *o, const Wellgate__V1__GoalResult *r)
{
	if (r->has_achievement)
		put_enum(o, "achievement", &wellgate__v1__goal_result__achievement__descriptor,
			 "ACHIEVEMENT_", (int)r->achievement);
	if (r->has_reason)
		put_enum(o, "reason", &wellgate__v1__goal_result__reason__descriptor, "REASON_",
			 (int)r->reason);
	if (r->has_observed_days)
		put_number(o, "observed_days", r->observed_days);
	if (r->has_asked_days)
		put_number(o, "asked_days", r->asked_days);
	if (r->has_review)
		put(o, "review", json_boolean(r->review));
}

char *print_goal_result(const Wellgate__V1__GoalResult *r)
{
	struct object o = object_new();

	put_text(&o, "goal_id", r->goal_id);
	if (r->has_goal_version)
		put_number(&o, "goal_version", r->goal_version);
	put_text(&o, "subject", r->subject);
	put_text(&o, "metric", metric_name((unsigned int)r->metric));
	put_goal_period(&o, r);
	if (r->progress)
		put_decimal(&o, "progress", decimal_of(r->progress));
	if (r->target)
		put_decimal(&o, "target", decimal_of(r->target));
	put_text(&o, "unit", r->unit);
	if (r->has_readings)
		put_number(&o, "readings", r->readings);
	if (r->has_revision)
		put_number(&o, "revision", r->revision);
	put_goal_verdict(&o, r);
	put_text(&o, "words", r->words);
	put_text(&o, "hub", r->hub);
	if (r->has_sequence)
		put_number(&o, "sequence", (int64_t)r->sequence);
	if (r->has_evaluated_at_ms)
		put_instant(&o, "evaluated_at", r->evaluated_at_ms);
	return finish(&o);
}

static void put_day(json_t *row, const char *key, bool has, int64_t ms)
{
	char day[FORMAT_TIME_MAX];

	if (has && format_fleet_day(day, ms))
		(void)json_object_set_new(row, key, json_string(day));
}

void print_fleet(json_t *object, const Wellgate__V1__HubStatus *s)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < s->n_fleet; i++) {
		const Wellgate__V1__FirmwareCount *f = s->fleet[i];
		/* s*: an absent one is left out */
		json_t *row =
			json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:I}", "make", f->make, "model",
				  f->model, "hardware", f->hardware, "firmware", f->firmware,
				  "driver", f->driver, "devices", (json_int_t)f->devices);

		put_day(row, "first_seen", f->has_first_seen_ms, f->first_seen_ms);
		put_day(row, "last_seen", f->has_last_seen_ms, f->last_seen_ms);
		(void)json_array_append_new(rows, row);
	}
	(void)json_object_set_new(object, "fleet", rows);
	if (s->fleet_unlisted > 0)
		(void)json_object_set_new(object, "fleet_unlisted",
					  json_integer((json_int_t)s->fleet_unlisted));
}
