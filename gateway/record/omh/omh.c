#include "gateway/record/omh/omh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/record/fhir/build.h"
#include "protocols/messages/codes.h"

/* one metric: its schema, its key in the body and the schema's own unit */
static const struct schema {
	unsigned int metric;
	bool interval; /* a sum makes no sense at a point in time */
	const char *space, *name, *version;
	const char *key, *unit;
	const char *extra_key, *extra; /* a fixed property; NULL = none */
} schemas[] = {
	{ METRIC_BLOOD_PRESSURE, false, "omh", "blood-pressure", "4.0", NULL, "mmHg", NULL, NULL },
	{ METRIC_HOME_BLOOD_PRESSURE, true, "omh", "blood-pressure", "4.0", NULL, "mmHg",
	  "descriptive_statistic", "average" },
	{ METRIC_PULSE, false, "omh", "heart-rate", "2.0", "heart_rate", "beats/min", NULL, NULL },
	{ METRIC_PULSE_OXIMETER, false, "omh", "heart-rate", "2.0", "heart_rate", "beats/min", NULL,
	  NULL },
	{ METRIC_HEART_RATE, false, "omh", "heart-rate", "2.0", "heart_rate", "beats/min", NULL,
	  NULL },
	{ METRIC_RESTING_HEART_RATE, false, "omh", "heart-rate", "2.0", "heart_rate", "beats/min",
	  "temporal_relationship_to_physical_activity", "at rest" },
	{ METRIC_BODY_WEIGHT, false, "omh", "body-weight", "3.0", "body_weight", "kg", NULL, NULL },
	{ METRIC_HEIGHT, false, "omh", "body-height", "2.0", "body_height", "m", NULL, NULL },
	{ METRIC_BMI, false, "omh", "body-mass-index", "3.0", "body_mass_index", "kg/m^2", NULL,
	  NULL },
	{ METRIC_BODY_FAT, false, "omh", "body-fat-percentage", "2.0", "body_fat_percentage", "%",
	  NULL, NULL },
	{ METRIC_TEMPERATURE, false, "omh", "body-temperature", "4.0", "body_temperature", "C",
	  NULL, NULL },
	{ METRIC_SPO2, false, "omh", "oxygen-saturation", "2.0", "oxygen_saturation", "%",
	  "measurement_method", "pulse oximetry" },
	{ METRIC_GLUCOSE, false, "omh", "blood-glucose", "4.0", "blood_glucose", "mmol/L", NULL,
	  NULL },
	{ METRIC_STEPS, true, "ieee", "physical-activity", "1.0", "base_movement_quantity", "steps",
	  "activity_name", "activity" },
	{ METRIC_DISTANCE, true, "ieee", "physical-activity", "1.0", "distance", "m",
	  "activity_name", "activity" },
	{ METRIC_ENERGY, true, "ieee", "physical-activity", "1.0", "kcal_burned", "kcal",
	  "activity_name", "activity" },
	{ METRIC_ACTIVE_MINUTES, true, "ieee", "physical-activity", "1.0", "duration", "min",
	  "activity_name", "activity" },
	{ METRIC_EXERCISE_DURATION, true, "ieee", "physical-activity", "1.0", "duration", "min",
	  "activity_name", "exercise" },
	{ METRIC_SLEEP_DURATION, true, "ieee", "total-sleep-time", "1.0", "total_sleep_time", "min",
	  NULL, NULL },
};

struct points {
	struct build build;
	const Wellgate__V1__Reading *r;
	char at[BUILD_TIME_MAX], end[BUILD_TIME_MAX]; /* end "": a point in time */
	char *text;
	size_t left_out;
};

static const struct schema *schema_of(unsigned int metric)
{
	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		if (schemas[i].metric == metric)
			return &schemas[i];
	}
	return NULL;
}

static bool has_flag(const Wellgate__V1__Reading *r, unsigned int flag)
{
	for (size_t i = 0; i < r->n_flags; i++) {
		if ((unsigned int)r->flags[i] == flag)
			return true;
	}
	return false;
}

static const Wellgate__V1__Component *valued(const Wellgate__V1__Reading *r, unsigned int metric)
{
	for (size_t i = 0; i < r->n_components; i++) {
		if ((unsigned int)r->components[i]->metric == metric && r->components[i]->value)
			return r->components[i];
	}
	return NULL;
}

/* ---- header ---- */

static json_t *ours(struct points *p)
{
	json_t *o = build_object(&p->build), *flags = build_list(&p->build);
	const ProtobufCEnumValue *clock = protobuf_c_enum_descriptor_get_value(
		&wellgate__v1__clock_quality__descriptor, (int)p->r->clock);

	for (size_t i = 0; i < p->r->n_flags; i++) {
		const char *name = flag_name((unsigned int)p->r->flags[i]);
		char number[24];

		(void)snprintf(number, sizeof(number), "flag_%u", (unsigned int)p->r->flags[i]);
		build_add(&p->build, flags, build_string(&p->build, name ? name : number));
	}
	build_put(&p->build, o, "flags", flags);
	if (p->r->has_clock && clock)
		build_text(&p->build, o, "clock", clock->name);
	return o;
}

static json_t *datasheets(struct points *p)
{
	const Wellgate__V1__DeviceRef *d = p->r->device;
	json_t *list = build_list(&p->build), *sheet = build_object(&p->build);
	char text[200];

	if (d && d->make && d->make[0]) {
		(void)snprintf(text, sizeof(text), "%.90s%s%.90s", d->make,
			       d->model && d->model[0] ? " " : "", d->model ? d->model : "");
		build_text(&p->build, sheet, "datasheet_type", "manufacturer");
		build_text(&p->build, sheet, "datasheet_reference", text);
	}
	build_add(&p->build, list, sheet);
	return list;
}

static void put_uuid(struct points *p, json_t *header, const struct schema *s, unsigned int nth)
{
	const ProtobufCBinaryData *id =
		p->r->has_dedupe_key ? &p->r->dedupe_key : &p->r->reading_id;
	char what[64], uuid[BUILD_UUID_MAX];

	(void)snprintf(what, sizeof(what), "omh %u %u", s->metric, nth);
	build_uuid(uuid, what, id->data, id->len);
	build_text(&p->build, header, "uuid", uuid + strlen("urn:uuid:"));
}

static json_t *header(struct points *p, const struct schema *s, unsigned int nth)
{
	json_t *h = build_object(&p->build), *id = build_object(&p->build);
	const bool manual =
		has_flag(p->r, FLAG_MANUAL) || p->r->origin == WELLGATE__V1__ORIGIN__ORIGIN_MANUAL;

	put_uuid(p, h, s, nth);
	build_text(&p->build, id, "namespace", s->space);
	build_text(&p->build, id, "name", s->name);
	build_text(&p->build, id, "version", s->version);
	build_put(&p->build, h, "schema_id", id);
	build_text(&p->build, h, "source_creation_date_time", p->end[0] ? p->end : p->at);
	build_text(&p->build, h, "modality", manual ? "self-reported" : "sensed");
	build_put(&p->build, h, "external_datasheets", datasheets(p));
	build_text(&p->build, h, "user_id", p->r->subject);
	build_put(&p->build, h, "wellgate", ours(p));
	return h;
}

/* ---- body ---- */

static json_t *time_frame(struct points *p)
{
	json_t *frame = build_object(&p->build), *interval = build_object(&p->build);

	if (p->end[0]) {
		build_text(&p->build, interval, "start_date_time", p->at);
		build_text(&p->build, interval, "end_date_time", p->end);
	} else {
		build_text(&p->build, frame, "date_time", p->at);
	}
	build_put(&p->build, frame, "time_interval", interval);
	return frame;
}

static json_t *unit_value(struct points *p, const Wellgate__V1__Component *c, const char *unit)
{
	json_t *o = build_object(&p->build);

	build_decimal(
		&p->build, o, "value",
		(struct decimal){ .mantissa = c->value->mantissa, .exponent = c->value->exponent });
	build_text(&p->build, o, "unit", unit);
	return o;
}

static json_t *body(struct points *p, const struct schema *s)
{
	json_t *b = build_object(&p->build);

	build_text(&p->build, b, s->extra_key ? s->extra_key : "", s->extra);
	build_put(&p->build, b, "effective_time_frame", time_frame(p));
	return b;
}

/* takes the reference to the body */
static void add_point(struct points *p, const struct schema *s, unsigned int nth, json_t *content)
{
	json_t *point = build_object(&p->build);
	char *line = NULL, *longer = NULL;

	build_put(&p->build, point, "header", header(p, s, nth));
	build_put(&p->build, point, "body", content);
	if (!p->build.failed)
		line = build_dump(point, false);
	json_decref(point);
	if (line && asprintf(&longer, "%s%s\n", p->text ? p->text : "", line) < 0)
		longer = NULL;
	free(line);
	if (!longer) {
		p->build.failed = true;
		return;
	}
	free(p->text);
	p->text = longer;
}

/* both halves, or no point: the schema asks for both. True if they were taken. */
static bool add_pressure(struct points *p, unsigned int panel, unsigned int high, unsigned int low)
{
	const struct schema *s = schema_of(panel);
	const Wellgate__V1__Component *systolic = valued(p->r, high),
				      *diastolic = valued(p->r, low);
	json_t *b;

	if (!systolic || !diastolic || (s->interval && !p->end[0]))
		return false;
	b = body(p, s);
	build_put(&p->build, b, "systolic_blood_pressure", unit_value(p, systolic, s->unit));
	build_put(&p->build, b, "diastolic_blood_pressure", unit_value(p, diastolic, s->unit));
	add_point(p, s, 0, b);
	return true;
}

static void add_part(struct points *p, size_t index)
{
	const Wellgate__V1__Component *c = p->r->components[index];
	const struct schema *s = schema_of((unsigned int)c->metric);
	unsigned int nth = 0;
	json_t *b;

	if (!c->value || !s || !s->key || (s->interval && !p->end[0])) {
		p->left_out++;
		return;
	}
	for (size_t i = 0; i < index; i++)
		nth += p->r->components[i]->metric == c->metric;
	b = body(p, s);
	build_put(&p->build, b, s->key, unit_value(p, c, s->unit));
	add_point(p, s, nth, b);
}

static bool is_half(unsigned int metric)
{
	return metric == METRIC_SYSTOLIC || metric == METRIC_DIASTOLIC ||
	       metric == METRIC_HOME_SYSTOLIC || metric == METRIC_HOME_DIASTOLIC;
}

static void add_parts(struct points *p)
{
	const bool pressure =
		add_pressure(p, METRIC_BLOOD_PRESSURE, METRIC_SYSTOLIC, METRIC_DIASTOLIC) ||
		add_pressure(p, METRIC_HOME_BLOOD_PRESSURE, METRIC_HOME_SYSTOLIC,
			     METRIC_HOME_DIASTOLIC);

	for (size_t i = 0; i < p->r->n_components; i++) {
		if (!pressure || !is_half((unsigned int)p->r->components[i]->metric))
			add_part(p, i);
	}
}

/* ---- what is refused ---- */

static enum fhir_refusal judge_units(const Wellgate__V1__Reading *r)
{
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];
		const struct metric_info *info = metric_info((unsigned int)c->metric);

		if (!info)
			return FHIR_UNKNOWN_METRIC;
		if (c->value && (!c->unit || unit_by_ucum(c->unit) != info->unit))
			return FHIR_UNIT;
		if (c->value && abs(c->value->exponent) > DECIMAL_EXPONENT_MAX / 2)
			return FHIR_NO_VALUE;
	}
	return FHIR_TAKEN;
}

static enum fhir_refusal judge(struct points *p)
{
	const Wellgate__V1__Reading *r = p->r;
	const int32_t offset = r->has_utc_offset_min ? r->utc_offset_min : 0;
	int64_t end_ms;

	if (!r->subject || !r->subject[0] || !r->attribution ||
	    (r->attribution->confidence != WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED &&
	     r->attribution->confidence != WELLGATE__V1__CONFIDENCE__CONFIDENCE_CONFIRMED))
		return FHIR_NO_PERSON;
	if (has_flag(r, FLAG_CONTROL_SOLUTION))
		return FHIR_QUALITY_CHECK;
	for (unsigned int flag = 1; flag < FLAG_END; flag++) {
		if ((FLAGS_NOT_FINAL & FLAG_BIT(flag)) && flag != FLAG_TEST && has_flag(r, flag))
			return FHIR_NOT_FINAL;
	}
	if ((!r->has_dedupe_key || r->dedupe_key.len == 0) &&
	    (!r->has_reading_id || r->reading_id.len == 0))
		return FHIR_NO_IDENTITY;
	if (!r->has_measured_at_ms || !build_time(p->at, r->measured_at_ms, offset))
		return FHIR_NO_TIME;
	if (r->has_duration_ms && r->duration_ms > 0 &&
	    !__builtin_add_overflow(r->measured_at_ms, r->duration_ms, &end_ms))
		(void)build_time(p->end, end_ms, offset);
	return judge_units(r);
}

int omh_points(const Wellgate__V1__Reading *reading, char **ret, size_t *ret_left_out,
	       enum fhir_refusal *ret_why)
{
	struct points p = { .r = reading };

	*ret_why = judge(&p);
	if (*ret_why != FHIR_TAKEN)
		return -ENODATA;
	add_parts(&p);
	if (p.build.failed) {
		free(p.text);
		return -ENOMEM;
	}
	if (!p.text) {
		*ret_why = FHIR_NO_CODE;
		return -ENODATA;
	}
	*ret = p.text;
	*ret_left_out = p.left_out;
	return 0;
}
