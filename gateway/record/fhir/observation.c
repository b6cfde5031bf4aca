/*
 * One reading as Observations: a panel where the metric has one (blood pressure, its average at
 * home), else one for each part.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/record/fhir/part.h"

#define PHD             "http://hl7.org/fhir/uv/phd/StructureDefinition/"
#define UKCORE          "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation"
#define CATEGORY        "http://terminology.hl7.org/CodeSystem/observation-category"
#define PHD_CATEGORY    "http://hl7.org/fhir/uv/phd/CodeSystem/PhdObservationCategories"
#define PKB_CATEGORY    "http://fhir.patientsknowbest.com/codesystem/observation-category"
#define PKB_PRIVACY     "http://fhir.patientsknowbest.com/codesystem/privacy-label"
#define ACT_REASON      "http://terminology.hl7.org/CodeSystem/v3-ActReason"
#define ABSENT_REASON   "http://terminology.hl7.org/CodeSystem/data-absent-reason"
#define MEASURED_STATUS "http://hl7.org/fhir/uv/pocd/CodeSystem/measurement-status"
#define SECONDS_TO_2000 INT64_C(946684800)

/* What each metric is in UK Core: the profile where there is one, and the fixed displays. */
static const struct face {
	unsigned int metric;
	bool vital;          /* category vital-signs */
	const char *profile; /* after UKCORE; NULL = the plain one */
	const char *loinc_display;
} faces[] = {
	{ METRIC_BLOOD_PRESSURE, true, "-VitalSigns-BloodPressure",
	  "Blood pressure panel with all children optional" },
	{ METRIC_SYSTOLIC, true, NULL, "Systolic blood pressure" },
	{ METRIC_DIASTOLIC, true, NULL, "Diastolic blood pressure" },
	{ METRIC_MEAN_PRESSURE, true, NULL, NULL },
	{ METRIC_HOME_BLOOD_PRESSURE, true, "-AverageBloodPressure", NULL },
	{ METRIC_PULSE, true, "-VitalSigns-HeartRate", NULL },
	{ METRIC_PULSE_OXIMETER, true, "-VitalSigns-HeartRate", NULL },
	{ METRIC_HEART_RATE, true, "-VitalSigns-HeartRate", NULL },
	{ METRIC_RESTING_HEART_RATE, true, NULL, NULL },
	{ METRIC_BODY_WEIGHT, true, "-VitalSigns-BodyWeight", "Body weight" },
	{ METRIC_HEIGHT, true, "-VitalSigns-BodyHeight", "Body height" },
	{ METRIC_BMI, true, "-VitalSigns-BMI", NULL },
	{ METRIC_TEMPERATURE, true, "-VitalSigns-BodyTemperature", NULL },
	{ METRIC_SPO2, true, "-VitalSigns-OxygenSaturation", NULL },
};

/* UK Core fixes Quantity.unit; others of its own style. NULL: the UCUM code itself. */
static const struct {
	enum unit unit;
	const char *name;
} unit_names[] = {
	{ UNIT_MMHG, "millimeter of mercury" },
	{ UNIT_KG, "kilogram" },
	{ UNIT_PER_MIN, "per minute" },
	{ UNIT_M, "meter" },
	{ UNIT_CELSIUS, "degree Celsius" },
	{ UNIT_MMOL_L, "millimoles per litre" },
	{ UNIT_PERCENT, "percent" },
};

/* what a person should know of a reading, besides its flags */
static const struct {
	unsigned int flag;
	enum words_id words;
} flag_words[] = {
	{ FLAG_MOVEMENT, WORDS_NOTE_MOVEMENT },     { FLAG_CUFF_FIT, WORDS_NOTE_CUFF },
	{ FLAG_IRREGULAR_PULSE, WORDS_NOTE_PULSE }, { FLAG_BODY_POSITION, WORDS_NOTE_POSITION },
	{ FLAG_SOFT_RANGE, WORDS_NOTE_UNUSUAL },    { FLAG_HARD_RANGE, WORDS_NOTE_UNUSUAL },
	{ FLAG_INCONSISTENT, WORDS_NOTE_UNUSUAL },  { FLAG_MANUAL, WORDS_NOTE_TYPED },
	{ FLAG_TIME_UNCERTAIN, WORDS_NOTE_TIME },
};

static const struct face *face_of(unsigned int metric)
{
	for (size_t i = 0; i < sizeof(faces) / sizeof(faces[0]); i++) {
		if (faces[i].metric == metric)
			return &faces[i];
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

/* ---- codes ---- */

static void add_mdc(struct fhir_bundle *b, json_t *list, const struct metric_info *info)
{
	char code[16];

	(void)snprintf(code, sizeof(code), "%u", info->mdc);
	if (info->mdc != 0)
		build_add(&b->build, list, fhir_coding(b, FHIR_MDC, code, NULL));
}

static void add_snomed(struct fhir_bundle *b, json_t *list, const struct metric_info *info)
{
	char code[24];

	(void)snprintf(code, sizeof(code), "%llu", (unsigned long long)info->snomed);
	if (info->snomed != 0)
		build_add(&b->build, list, fhir_coding(b, FHIR_SNOMED, code, NULL));
}

static void add_loinc(struct fhir_bundle *b, json_t *list, unsigned int metric,
		      const struct metric_info *info)
{
	const struct face *face = face_of(metric);

	/* FHIR R4 knows oxygen saturation as a vital sign by this one */
	if (metric == METRIC_SPO2)
		build_add(&b->build, list, fhir_coding(b, FHIR_LOINC, "2708-6", NULL));
	if (info->loinc[0])
		build_add(
			&b->build, list,
			fhir_coding(b, FHIR_LOINC, info->loinc, face ? face->loinc_display : NULL));
}

json_t *fhir_metric_code(struct fhir_bundle *b, unsigned int metric, const char *text)
{
	const struct metric_info *info = metric_info(metric);
	json_t *o = build_object(&b->build), *list = build_list(&b->build);
	char system[FHIR_SYSTEM_MAX];

	assert(info);
	if (b->options.profile == FHIR_PHD) {
		add_mdc(b, list, info);
		add_loinc(b, list, metric, info);
		add_snomed(b, list, info);
	} else {
		add_snomed(b, list, info);
		add_loinc(b, list, metric, info);
	}
	if (json_array_size(list) == 0) {
		fhir_system(b, "metric", system);
		build_add(&b->build, list, fhir_coding(b, system, info->name, NULL));
	}
	build_put(&b->build, o, "coding", list);
	build_text(&b->build, o, "text", text ? text : info->label);
	return o;
}

/* ---- values ---- */

static const char *absent_code(int why)
{
	switch (why) {
	case ABSENT_NAN:
		return "not-a-number";
	case ABSENT_POSITIVE_INFINITY:
		return "positive-infinity";
	case ABSENT_NEGATIVE_INFINITY:
		return "negative-infinity";
	case ABSENT_UNKNOWN:
		return "unknown";
	default: /* not at this resolution, reserved, unsuccessful: as the IG has it */
		return "error";
	}
}

static struct decimal decimal_of(const Wellgate__V1__Decimal *d)
{
	return (struct decimal){ .mantissa = d->mantissa, .exponent = d->exponent };
}

/* Height: R4 wants cm, UK Core m. Moving the point is exact. */
static json_t *quantity(struct fhir_bundle *b, const Wellgate__V1__Component *c)
{
	const struct unit_info *info = unit_info(unit_by_ucum(c->unit));
	struct decimal value = decimal_of(c->value);
	const char *name = info->ucum;

	if (b->options.profile == FHIR_PHD) {
		if ((int)c->metric != METRIC_HEIGHT)
			return fhir_quantity(b, value, name, name);
		value.exponent += 2;
		return fhir_quantity(b, value, "cm", "cm");
	}
	for (size_t i = 0; i < sizeof(unit_names) / sizeof(unit_names[0]); i++) {
		if (unit_info(unit_names[i].unit) == info)
			name = unit_names[i].name;
	}
	return fhir_quantity(b, value, name, info->ucum);
}

static void put_value(const struct fhir_scene *s, json_t *to, const Wellgate__V1__Component *c)
{
	struct fhir_bundle *b = s->b;

	if (c->value && s->change != FHIR_WITHDRAWN)
		build_put(&b->build, to, "valueQuantity", quantity(b, c));
	else
		build_put(&b->build, to, "dataAbsentReason",
			  fhir_concept(b, ABSENT_REASON,
				       s->change == FHIR_WITHDRAWN ? "error"
								   : absent_code((int)c->absent),
				       NULL));
}

/* ---- the frame of an Observation ---- */

static void put_profile(const struct fhir_scene *s, json_t *meta, unsigned int metric, bool valued)
{
	struct build *build = &s->b->build;
	const struct face *face = face_of(metric);
	json_t *list = build_list(build);
	char url[160];

	if (s->b->options.profile == FHIR_UKCORE) {
		/* the profiles of one value want it */
		(void)snprintf(url, sizeof(url), UKCORE "%s",
			       face && face->profile && valued ? face->profile : "");
		build_add(build, list, build_string(build, url));
	} else if (s->phd) {
		build_add(build, list,
			  build_string(build, metric == METRIC_BLOOD_PRESSURE
						      ? PHD "PhdCompoundNumericObservation"
						      : PHD "PhdNumericObservation"));
	}
	build_put(build, meta, "profile", list);
}

/* Every flag, whatever the receiver makes of it. One that this program does not know keeps its
 * number. */
static json_t *tags(const struct fhir_scene *s)
{
	struct build *build = &s->b->build;
	json_t *list = build_list(build);
	char system[FHIR_SYSTEM_MAX], number[24];

	fhir_system(s->b, "flag", system);
	for (size_t i = 0; i < s->r->n_flags; i++) {
		const unsigned int flag = (unsigned int)s->r->flags[i];
		const char *name = flag_name(flag);

		(void)snprintf(number, sizeof(number), "flag-%u", flag);
		build_add(build, list, fhir_coding(s->b, system, name ? name : number, NULL));
	}
	return list;
}

static json_t *meta(const struct fhir_scene *s, unsigned int metric, bool valued)
{
	struct build *build = &s->b->build;
	json_t *o = build_object(build), *security = build_list(build);

	put_profile(s, o, metric, valued);
	if (has_flag(s->r, FLAG_TEST))
		build_add(build, security, fhir_coding(s->b, ACT_REASON, "HTEST", NULL));
	if (s->b->options.privacy_label)
		build_add(build, security,
			  fhir_coding(s->b, PKB_PRIVACY, s->b->options.privacy_label, NULL));
	build_put(build, o, "security", security);
	if (s->change != FHIR_WITHDRAWN)
		build_put(build, o, "tag", tags(s));
	return o;
}

static const char *status(const struct fhir_scene *s, unsigned int metric)
{
	if (s->change == FHIR_WITHDRAWN)
		return "entered-in-error";
	if (has_flag(s->r, FLAG_EARLY_ESTIMATE))
		return "preliminary";
	/* UK Core: an average is always final */
	return s->change == FHIR_UPDATED && metric != METRIC_HOME_BLOOD_PRESSURE ? "corrected"
										 : "final";
}

static const char *category_code(unsigned int metric)
{
	const struct metric_info *info = metric_info(metric);
	const struct face *face = face_of(metric);

	if (face && face->vital)
		return "vital-signs";
	if (info->group == GROUP_ACTIVITY || info->group == GROUP_SLEEP)
		return "activity";
	return "exam";
}

/* UK Core's average has exactly one category, so PKB's code is a second coding of the first. */
static json_t *category(const struct fhir_scene *s, unsigned int metric)
{
	struct fhir_bundle *b = s->b;
	json_t *list = build_list(&b->build);
	json_t *first = fhir_concept(b, CATEGORY, category_code(metric), NULL);

	if (b->options.profile == FHIR_UKCORE)
		build_add(&b->build, json_object_get(first, "coding"),
			  fhir_coding(b, PKB_CATEGORY, "MEASUREMENT", NULL));
	build_add(&b->build, list, first);
	if (s->phd)
		build_add(&b->build, list, fhir_concept(b, PHD_CATEGORY, "phd-observation", NULL));
	return list;
}

static void put_effective(const struct fhir_scene *s, json_t *to)
{
	struct build *build = &s->b->build;
	const Wellgate__V1__Reading *r = s->r;
	const int32_t offset = r->has_utc_offset_min ? r->utc_offset_min : 0;
	char start[BUILD_TIME_MAX], end[BUILD_TIME_MAX];
	json_t *period;
	int64_t end_ms;

	(void)build_time(start, r->measured_at_ms, offset); /* refused before if it cannot be */
	if (!r->has_duration_ms || r->duration_ms <= 0 ||
	    __builtin_add_overflow(r->measured_at_ms, r->duration_ms, &end_ms) ||
	    !build_time(end, end_ms, offset)) {
		build_text(build, to, "effectiveDateTime", start);
		return;
	}
	period = build_object(build);
	build_text(build, period, "start", start);
	build_text(build, period, "end", end);
	build_put(build, to, "effectivePeriod", period);
}

static json_t *extensions(const struct fhir_scene *s)
{
	struct build *build = &s->b->build;
	json_t *list = build_list(build), *gateway = build_object(build), *clock;

	build_text(build, gateway, "url",
		   "http://hl7.org/fhir/StructureDefinition/observation-gatewayDevice");
	build_put(build, gateway, "valueReference", fhir_reference(s->b, s->gateway));
	build_add(build, list, gateway);
	if (s->clock[0]) {
		clock = build_object(build);
		build_text(build, clock, "url", PHD "CoincidentTimeStampReference");
		build_put(build, clock, "valueReference", fhir_reference(s->b, s->clock));
		build_add(build, list, clock);
	}
	return list;
}

static json_t *interpretation(const struct fhir_scene *s)
{
	static const unsigned int questionable[] = {
		FLAG_QUESTIONABLE, FLAG_MOVEMENT,     FLAG_CUFF_FIT,     FLAG_BODY_POSITION,
		FLAG_HARD_RANGE,   FLAG_INCONSISTENT, FLAG_SENSOR_FAULT, FLAG_DEVICE_FAULT,
	};
	struct build *build = &s->b->build;
	json_t *list = build_list(build);
	bool doubt = false;

	for (size_t i = 0; i < sizeof(questionable) / sizeof(questionable[0]); i++)
		doubt = doubt || has_flag(s->r, questionable[i]);
	if (doubt)
		build_add(build, list, fhir_concept(s->b, MEASURED_STATUS, "questionable", NULL));
	if (has_flag(s->r, FLAG_EARLY_ESTIMATE))
		build_add(build, list,
			  fhir_concept(s->b, MEASURED_STATUS, "early-indication", NULL));
	return list;
}

static void add_note(const struct fhir_scene *s, json_t *list, const char *text)
{
	json_t *note = build_object(&s->b->build);

	build_text(&s->b->build, note, "text", text);
	build_add(&s->b->build, list, note);
}

/* UK Core: which device it was; there is no reference to one that PKB would follow. */
static void add_device_note(const struct fhir_scene *s, json_t *list)
{
	const Wellgate__V1__DeviceRef *d = s->r->device;
	char text[256];

	if (s->b->options.profile == FHIR_PHD || !d || ((!d->make || !d->make[0]) && !d->model))
		return;
	(void)snprintf(text, sizeof(text), "%s %.80s %.80s",
		       words_text(s->b->options.language, WORDS_NOTE_DEVICE),
		       d->make ? d->make : "", d->model ? d->model : "");
	add_note(s, list, text);
}

static json_t *notes(const struct fhir_scene *s)
{
	const enum words_language language = s->b->options.language;
	json_t *list = build_list(&s->b->build);
	enum words_id last = WORDS_NONE;

	for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++) {
		if (!has_flag(s->r, flag_words[i].flag) || flag_words[i].words == last)
			continue;
		last = flag_words[i].words;
		add_note(s, list, words_text(language, last));
	}
	if (s->r->has_origin && s->r->origin == WELLGATE__V1__ORIGIN__ORIGIN_MANUAL &&
	    !has_flag(s->r, FLAG_MANUAL))
		add_note(s, list, words_text(language, WORDS_NOTE_TYPED));
	add_device_note(s, list);
	return list;
}

static json_t *frame(const struct fhir_scene *s, unsigned int metric, bool valued)
{
	struct build *build = &s->b->build;
	json_t *o = build_object(build);

	build_text(build, o, "resourceType", "Observation");
	build_put(build, o, "meta", meta(s, metric, valued));
	if (s->phd)
		build_put(build, o, "extension", extensions(s));
	build_text(build, o, "status", status(s, metric));
	build_put(build, o, "category", category(s, metric));
	build_put(build, o, "code", fhir_metric_code(s->b, metric, NULL));
	build_put(build, o, "subject", fhir_reference(s->b, s->patient));
	put_effective(s, o);
	if (s->change != FHIR_WITHDRAWN) {
		build_put(build, o, "interpretation", interpretation(s));
		build_put(build, o, "note", notes(s));
	}
	if (s->phd)
		build_put(build, o, "device", fhir_reference(s->b, s->device));
	return o;
}

/* ---- identity ---- */

static void put_hex(char *to, size_t size, const ProtobufCBinaryData *data)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < data->len && n + 3 <= size; i++, n += 2)
		(void)snprintf(to + n, size - n, "%02x", data->data[i]);
}

/* nth: how many parts of the same metric came before (beat intervals) */
static void observation_key(const struct fhir_scene *s, unsigned int metric, unsigned int nth,
			    struct fhir_key *ret)
{
	const Wellgate__V1__Reading *r = s->r;
	char hex[65], more[16] = "";

	put_hex(hex, sizeof(hex), r->has_dedupe_key ? &r->dedupe_key : &r->reading_id);
	if (nth > 0)
		(void)snprintf(more, sizeof(more), ".%u", nth + 1);
	*ret = (struct fhir_key){ .type = "Observation",
				  .kind = "reading",
				  .patient = s->patient,
				  .update = s->change != FHIR_NEW };
	(void)snprintf(ret->value, sizeof(ret->value), "%s-%.40s%s", hex, metric_info(metric)->name,
		       more);
}

static int64_t days_from_1970(int64_t year, int64_t month, int64_t day)
{
	/* March is the first month of the year that this counts in */
	const int64_t y = month > 2 ? year : year - 1;
	const int64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* The IG's own identifier: device-patient-type-timestamp as the device said it, in seconds since
 * 2000, so that two gateways that hear one device agree. */
static void put_phd_identifier(const struct fhir_scene *s, json_t *to, unsigned int metric)
{
	const Wellgate__V1__DeviceTime *t = s->r->device_time;
	struct build *build = &s->b->build;
	char hex[65], text[256];
	json_t *list, *id;
	int64_t seconds;

	if (!s->phd || !s->r->device->has_serial_digest || !t || metric_info(metric)->mdc == 0 ||
	    t->kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS || t->year < 1970 ||
	    t->year > 9999 || t->month < 1 || t->month > 12 || t->day < 1 || t->day > 31 ||
	    t->hour > 23 || t->minute > 59 || t->second > 60)
		return;
	seconds = days_from_1970(t->year, t->month, t->day) * 86400 + (int64_t)t->hour * 3600 +
		  (int64_t)t->minute * 60 + t->second - SECONDS_TO_2000;
	put_hex(hex, sizeof(hex), &s->r->device->serial_digest);
	for (char *c = hex; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
	(void)snprintf(text, sizeof(text), "%s-%s-%u-%lld", hex, s->patient + strlen("Patient/"),
		       metric_info(metric)->mdc, (long long)seconds);
	list = build_list(build);
	id = build_object(build);
	build_text(build, id, "value", text);
	build_add(build, list, id);
	build_put(build, to, "identifier", list);
}

static void add(const struct fhir_scene *s, unsigned int metric, unsigned int nth,
		json_t *observation)
{
	struct fhir_key key;

	if (nth == 0)
		put_phd_identifier(s, observation, metric);
	observation_key(s, metric, nth, &key);
	fhir_add_entry(s->b, &key, observation);
}

/* ---- panels and parts ---- */

static const Wellgate__V1__Component *part(const Wellgate__V1__Reading *r, unsigned int metric)
{
	for (size_t i = 0; i < r->n_components; i++) {
		if ((unsigned int)r->components[i]->metric == metric)
			return r->components[i];
	}
	return NULL;
}

/* the metrics of a panel, the first one always there */
struct panel {
	unsigned int metric;
	unsigned int parts[3]; /* 0 = none */
};

static const struct panel panels[] = {
	{ METRIC_BLOOD_PRESSURE, { METRIC_SYSTOLIC, METRIC_DIASTOLIC, METRIC_MEAN_PRESSURE } },
	{ METRIC_HOME_BLOOD_PRESSURE, { METRIC_HOME_SYSTOLIC, METRIC_HOME_DIASTOLIC, 0 } },
};

static const struct panel *panel_of(const struct fhir_scene *s)
{
	for (size_t i = 0; i < sizeof(panels) / sizeof(panels[0]); i++) {
		if (part(s->r, panels[i].parts[0]))
			return &panels[i];
	}
	return NULL;
}

static size_t panel_parts(const struct fhir_scene *s, const struct panel *p)
{
	/* UK Core closes the slicing: two and no more */
	return s->b->options.profile == FHIR_UKCORE || p->parts[2] == 0 ? 2 : 3;
}

/* UK Core: the texts are fixed, and of the average too */
static const char *part_text(unsigned int metric)
{
	if (metric == METRIC_SYSTOLIC || metric == METRIC_HOME_SYSTOLIC)
		return "Systolic blood pressure";
	if (metric == METRIC_DIASTOLIC || metric == METRIC_HOME_DIASTOLIC)
		return "Diastolic blood pressure";
	return "Mean blood pressure";
}

static void add_panel(const struct fhir_scene *s, const struct panel *p)
{
	struct build *build = &s->b->build;
	json_t *o = frame(s, p->metric, true), *list = build_list(build);

	for (size_t i = 0; i < panel_parts(s, p); i++) {
		const Wellgate__V1__Component *c = part(s->r, p->parts[i]);
		json_t *component;

		if (!c)
			continue;
		component = build_object(build);
		build_put(build, component, "code",
			  fhir_metric_code(s->b, p->parts[i], part_text(p->parts[i])));
		put_value(s, component, c);
		build_add(build, list, component);
	}
	build_put(build, o, "component", list);
	add(s, p->metric, 0, o);
}

static bool in_panel(const struct fhir_scene *s, const struct panel *p, const void *component)
{
	for (size_t i = 0; p && i < panel_parts(s, p); i++) {
		if (part(s->r, p->parts[i]) == component)
			return true;
	}
	return false;
}

static bool is_coded(const struct fhir_scene *s, unsigned int metric)
{
	const struct metric_info *info = metric_info(metric);

	return s->b->options.profile == FHIR_PHD || info->snomed != 0 || info->loinc[0];
}

static void add_part(const struct fhir_scene *s, size_t index)
{
	const Wellgate__V1__Component *c = s->r->components[index];
	const unsigned int metric = (unsigned int)c->metric;
	unsigned int nth = 0;
	json_t *o;

	for (size_t i = 0; i < index; i++)
		nth += s->r->components[i]->metric == c->metric;
	o = frame(s, metric, c->value && s->change != FHIR_WITHDRAWN);
	put_value(s, o, c);
	add(s, metric, nth, o);
}

/* ---- what is refused ---- */

static enum fhir_refusal judge_part(const Wellgate__V1__Component *c)
{
	const struct metric_info *info = metric_info((unsigned int)c->metric);

	if (!info)
		return FHIR_UNKNOWN_METRIC;
	if (!c->value)
		return c->has_absent && c->absent != WELLGATE__V1__ABSENT__ABSENT_UNSPECIFIED
			       ? FHIR_TAKEN
			       : FHIR_NO_VALUE;
	if (!c->unit || unit_by_ucum(c->unit) != info->unit)
		return FHIR_UNIT;
	if (abs(c->value->exponent) > DECIMAL_EXPONENT_MAX / 2)
		return FHIR_NO_VALUE;
	return FHIR_TAKEN;
}

static enum fhir_refusal judge_flags(const struct fhir_scene *s)
{
	const bool phd = s->b->options.profile == FHIR_PHD;

	if (has_flag(s->r, FLAG_CONTROL_SOLUTION))
		return FHIR_QUALITY_CHECK;
	for (unsigned int flag = 1; flag < FLAG_END; flag++) {
		if (!(FLAGS_NOT_FINAL & FLAG_BIT(flag)) || !has_flag(s->r, flag))
			continue;
		if (flag == FLAG_TEST && !phd)
			return FHIR_TEST_DATA;
		if (flag != FLAG_TEST && !(flag == FLAG_EARLY_ESTIMATE && phd))
			return FHIR_NOT_FINAL;
	}
	return FHIR_TAKEN;
}

static bool is_somebodys(const Wellgate__V1__Reading *r)
{
	return r->attribution &&
	       (r->attribution->confidence == WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED ||
		r->attribution->confidence == WELLGATE__V1__CONFIDENCE__CONFIDENCE_CONFIRMED);
}

static enum fhir_refusal judge(struct fhir_scene *s)
{
	const Wellgate__V1__Reading *r = s->r;
	enum fhir_refusal why;
	char time[BUILD_TIME_MAX];
	bool coded = false;

	/* what was somebody's may be taken back, whoever it is now */
	if (s->change != FHIR_WITHDRAWN && !is_somebodys(r))
		return FHIR_NO_PERSON;
	why = fhir_patient(s->about, r->subject, s->patient);
	if (why == FHIR_TAKEN)
		why = judge_flags(s);
	if (why != FHIR_TAKEN)
		return why;
	if ((!r->has_dedupe_key || r->dedupe_key.len == 0) &&
	    (!r->has_reading_id || r->reading_id.len == 0))
		return FHIR_NO_IDENTITY;
	if (!r->has_measured_at_ms || !build_time(time, r->measured_at_ms, 0))
		return FHIR_NO_TIME;
	for (size_t i = 0; i < r->n_components && why == FHIR_TAKEN; i++) {
		why = judge_part(r->components[i]);
		coded = coded ||
			(why == FHIR_TAKEN && is_coded(s, (unsigned int)r->components[i]->metric));
	}
	if (why == FHIR_TAKEN && r->n_components == 0)
		why = FHIR_NO_VALUE;
	return why == FHIR_TAKEN && !coded ? FHIR_NO_CODE : why;
}

/* Measured by a device, not worked out and not out of a file: then PHD applies. */
static bool is_phd(const struct fhir_scene *s)
{
	const Wellgate__V1__Reading *r = s->r;

	return s->b->options.profile == FHIR_PHD && r->device &&
	       r->origin != WELLGATE__V1__ORIGIN__ORIGIN_DERIVED &&
	       r->origin != WELLGATE__V1__ORIGIN__ORIGIN_IMPORT;
}

static int render(struct fhir_scene *s)
{
	const struct panel *panel = panel_of(s);

	s->phd = is_phd(s);
	if (s->phd)
		fhir_add_devices(s);
	if (panel)
		add_panel(s, panel);
	for (size_t i = 0; i < s->r->n_components; i++) {
		const Wellgate__V1__Component *c = s->r->components[i];

		if (!in_panel(s, panel, c) && is_coded(s, (unsigned int)c->metric))
			add_part(s, i);
	}
	return s->b->build.failed ? -ENOMEM : 0;
}

static void begin(struct fhir_scene *s, struct fhir_bundle *b, const struct fhir_about *about,
		  const Wellgate__V1__Reading *r, enum fhir_change change)
{
	*s = (struct fhir_scene){ .b = b, .about = about, .r = r, .change = change };
	if (change == FHIR_NEW && r->has_revision && r->revision > 1)
		s->change = FHIR_UPDATED;
}

int fhir_add_reading(struct fhir_bundle *b, const struct fhir_about *about,
		     const Wellgate__V1__Reading *reading, enum fhir_change change,
		     enum fhir_refusal *ret_why)
{
	struct fhir_scene s;

	begin(&s, b, about, reading, change);
	*ret_why = judge(&s);
	return *ret_why == FHIR_TAKEN ? render(&s) : -ENODATA;
}

int fhir_add_move(struct fhir_bundle *b, const struct fhir_about *from, const struct fhir_about *to,
		  const Wellgate__V1__Reading *reading, enum fhir_refusal *ret_why)
{
	struct fhir_scene was, is;
	int r;

	begin(&was, b, from, reading, FHIR_WITHDRAWN);
	/* a conditional create would find an earlier, withdrawn one and do nothing */
	begin(&is, b, to, reading, FHIR_UPDATED);
	*ret_why = judge(&was);
	if (*ret_why == FHIR_TAKEN)
		*ret_why = judge(&is);
	if (*ret_why != FHIR_TAKEN)
		return -ENODATA;
	r = render(&was);
	return r < 0 ? r : render(&is);
}
