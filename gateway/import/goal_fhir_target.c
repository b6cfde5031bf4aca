/* One target of a Goal, or one activity of a CarePlan: what is counted, how much, for how long. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/zone.h"
#include "gateway/import/goal_fhir_part.h"

#define LOINC  "http://loinc.org"
#define SNOMED "http://snomed.info/sct"
#define UCUM   "http://unitsofmeasure.org"

enum {
	NUMBER_TEXT = 32,
	UNIT_TEXT = 32,
	YEAR_FIRST = 1900,
	YEAR_LAST = 2200,
	DAYS_OF_WEEK = 7,
	DURATION_DAYS_MAX = 3660,
};

const char *fhir_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- what is counted ---- */

struct measured {
	enum metric metric;
	enum goal_period period; /* that the code implies; 0 = none */
	bool minutes;            /* LOINC 55411-3 alone: options say which */
	bool several;            /* metrics of the registry share the code */
};

/*
 * Codes beside the registry's (domain.md section 1.3): per 24 hours, and other ways to say the
 * same. The HL7 Physical Activity guide measures steps by 41950-7. A night's sleep is of one day.
 */
static const struct {
	const char *code;
	enum metric metric;
	enum goal_period period;
} more_codes[] = {
	{ "41950-7", METRIC_STEPS, GOAL_DAY },
	{ "41953-1", METRIC_DISTANCE, GOAL_DAY },
	{ "93832-4", METRIC_SLEEP_DURATION, GOAL_DAY },
	{ "248263006", METRIC_SLEEP_DURATION, GOAL_DAY },
	{ "41979-6", METRIC_ENERGY, GOAL_DAY },
	{ "55424-6", METRIC_ENERGY, 0 },
	{ "425024002", METRIC_BODY_WEIGHT, 0 },
	{ "424927000", METRIC_BODY_WEIGHT, 0 },
	{ "72313002", METRIC_SYSTOLIC, 0 },
	{ "1091811000000102", METRIC_DIASTOLIC, 0 },
};

static bool is_code_of(const struct metric_info *info, bool loinc, const char *code)
{
	char snomed[NUMBER_TEXT];

	if (!info)
		return false;
	if (loinc)
		return info->loinc[0] && strcmp(info->loinc, code) == 0;
	(void)snprintf(snomed, sizeof(snomed), "%llu", (unsigned long long)info->snomed);
	return info->snomed != 0 && strcmp(snomed, code) == 0;
}

/* a LOINC code has a hyphen, a SNOMED CT code has none: one list holds both */
static struct measured of_code(bool loinc, const char *code)
{
	struct measured m = { .metric = METRIC_NONE };

	if (loinc != (strchr(code, '-') != NULL))
		return m;
	for (size_t i = 0; i < sizeof(more_codes) / sizeof(more_codes[0]); i++) {
		if (strcmp(more_codes[i].code, code) == 0)
			return (struct measured){ .metric = more_codes[i].metric,
						  .period = more_codes[i].period };
	}
	for (unsigned int i = 1; i < METRIC_END; i++) {
		if (!is_code_of(metric_info(i), loinc, code))
			continue;
		m.several |= m.metric != METRIC_NONE;
		m.minutes |= i == METRIC_EXERCISE_DURATION;
		if (m.metric == METRIC_NONE)
			m.metric = (enum metric)i;
	}
	return m;
}

static enum goal_fhir_refusal measure_of(const json_t *concept, struct measured *ret)
{
	const json_t *codings = json_object_get(concept, "coding");
	struct measured all = { .metric = METRIC_NONE };

	for (size_t i = 0; i < json_array_size(codings); i++) {
		const json_t *coding = json_array_get(codings, i);
		const bool loinc = strcmp(fhir_text(coding, "system"), LOINC) == 0;
		struct measured one;

		if (!loinc && strcmp(fhir_text(coding, "system"), SNOMED) != 0)
			continue;
		one = of_code(loinc, fhir_text(coding, "code"));
		if (one.metric == METRIC_NONE)
			continue;
		if (all.metric != METRIC_NONE &&
		    (all.metric != one.metric ||
		     (all.period && one.period && all.period != one.period)))
			return GOAL_FHIR_TWO_MEASURES;
		if (one.period == 0)
			one.period = all.period;
		all = one;
	}
	if (all.metric == METRIC_NONE)
		return GOAL_FHIR_UNKNOWN_MEASURE;
	*ret = all;
	return GOAL_FHIR_TAKEN;
}

static bool is_food(unsigned int metric)
{
	return metric == METRIC_ENERGY || metric == METRIC_BASAL_METABOLISM ||
	       metric == METRIC_CARBOHYDRATE;
}

static bool adds_up(unsigned int metric)
{
	return metric == METRIC_STEPS || metric == METRIC_DISTANCE || metric == METRIC_FLOORS ||
	       metric == METRIC_ACTIVE_MINUTES || metric == METRIC_ACTIVE_ZONE_MINUTES ||
	       metric == METRIC_SLEEP_DURATION || metric == METRIC_EXERCISE_DURATION;
}

/* ---- how much ---- */

struct amount {
	struct decimal value;
	char unit[UNIT_TEXT];
	enum goal_period period; /* of "/d" and "/wk"; 0 = none */
	bool rate;               /* per any other time */
};

/* Jansson's real numbers are doubles: 15 digits survive one unharmed. More of them, or a form with
 * an exponent, do not parse. */
static int value_of(const json_t *value, struct decimal *ret)
{
	char text[NUMBER_TEXT];

	if (json_is_integer(value)) {
		*ret = (struct decimal){ .mantissa = json_integer_value(value) };
		return 0;
	}
	if (!json_is_real(value))
		return -EBADMSG;
	(void)snprintf(text, sizeof(text), "%.15g", json_real_value(value));
	return decimal_parse(text, ret);
}

/* cuts "/d" and its like from the unit */
static void take_period(struct amount *a)
{
	static const char *const rates[] = { "mo", "a", "h", "min", "s" };
	char *slash = strrchr(a->unit, '/');

	if (!slash)
		return;
	if (strcmp(slash, "/d") == 0)
		a->period = GOAL_DAY;
	else if (strcmp(slash, "/wk") == 0)
		a->period = GOAL_WEEK;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		a->rate |= strcmp(slash + 1, rates[i]) == 0;
	if (a->period)
		*slash = '\0';
}

static enum goal_fhir_refusal quantity_of(const json_t *quantity, struct amount *ret)
{
	const char *system = fhir_text(quantity, "system"), *comparator, *unit;
	struct amount a = { .period = 0 };

	if (!json_is_object(quantity) || !json_object_get(quantity, "value"))
		return GOAL_FHIR_NO_NUMBER;
	if (value_of(json_object_get(quantity, "value"), &a.value) < 0)
		return GOAL_FHIR_NUMBER;
	comparator = fhir_text(quantity, "comparator");
	if (comparator[0] && strcmp(comparator, ">=") != 0)
		return GOAL_FHIR_AT_MOST;
	/* some systems have the unit's text alone: good if it happens to be UCUM */
	unit = fhir_text(quantity, json_object_get(quantity, "code") ? "code" : "unit");
	if ((system[0] && strcmp(system, UCUM) != 0) || strlen(unit) >= sizeof(a.unit))
		return GOAL_FHIR_UNIT;
	(void)snprintf(a.unit, sizeof(a.unit), "%s", unit);
	take_period(&a);
	*ret = a;
	return GOAL_FHIR_TAKEN;
}

/* "at least": the low end alone */
static enum goal_fhir_refusal range_of(const json_t *range, struct amount *ret)
{
	if (json_object_get(range, "high"))
		return GOAL_FHIR_AT_MOST;
	return quantity_of(json_object_get(range, "low"), ret);
}

/* so much in 1 d or 1 wk */
static enum goal_fhir_refusal ratio_of(const json_t *ratio, struct amount *ret)
{
	struct amount a = { .period = 0 }, per = { .period = 0 };
	enum goal_fhir_refusal why = quantity_of(json_object_get(ratio, "numerator"), &a);

	if (why == GOAL_FHIR_TAKEN)
		why = quantity_of(json_object_get(ratio, "denominator"), &per);
	if (why != GOAL_FHIR_TAKEN)
		return why;
	if (a.period || a.rate || per.period || per.rate)
		return GOAL_FHIR_UNIT;
	if (decimal_compare(per.value, (struct decimal){ 1, 0 }) != 0)
		return GOAL_FHIR_NOT_HELD;
	if (strcmp(per.unit, "d") == 0)
		a.period = GOAL_DAY;
	else if (strcmp(per.unit, "wk") == 0)
		a.period = GOAL_WEEK;
	else
		a.rate = true;
	*ret = a;
	return GOAL_FHIR_TAKEN;
}

static enum goal_fhir_refusal amount_of(const json_t *target, struct amount *ret)
{
	const json_t *quantity = json_object_get(target, "detailQuantity");
	const json_t *range = json_object_get(target, "detailRange");
	const json_t *ratio = json_object_get(target, "detailRatio");
	const json_t *whole = json_object_get(target, "detailInteger");

	if (!!quantity + !!range + !!ratio + !!whole > 1)
		return GOAL_FHIR_MORE_TO_IT; /* a choice of one */
	if (quantity)
		return quantity_of(quantity, ret);
	if (range)
		return range_of(range, ret);
	if (ratio)
		return ratio_of(ratio, ret);
	if (!json_is_integer(whole))
		return GOAL_FHIR_NO_NUMBER;
	*ret = (struct amount){ .value = { .mantissa = json_integer_value(whole) }, .unit = "1" };
	return GOAL_FHIR_TAKEN;
}

/* UCUM that the registry, made for devices, has no row for; all factors are exact */
static const struct {
	const char *ucum;
	enum unit unit;
	struct decimal factor;
} more_units[] = {
	{ "{step}", UNIT_STEPS, { 1, 0 } },     { "{count}", UNIT_STEPS, { 1, 0 } },
	{ "1", UNIT_STEPS, { 1, 0 } },          { "", UNIT_STEPS, { 1, 0 } },
	{ "{floors}", UNIT_FLIGHTS, { 1, 0 } }, { "{flight}", UNIT_FLIGHTS, { 1, 0 } },
	{ "1", UNIT_FLIGHTS, { 1, 0 } },        { "", UNIT_FLIGHTS, { 1, 0 } },
	{ "h", UNIT_MIN, { 60, 0 } },           { "[mi_i]", UNIT_M, { 1609344, -3 } },
};

/* exactly, or not at all: what comes back is what went in */
static int convert(const struct amount *a, enum unit to, struct decimal *ret)
{
	const struct decimal one = { 1, 0 };
	struct decimal there = { 0, 0 }, back = { 0, 0 };
	enum unit from = unit_by_ucum(a->unit);
	int r;

	for (size_t i = 0; i < sizeof(more_units) / sizeof(more_units[0]); i++) {
		if (more_units[i].unit == to && strcmp(more_units[i].ucum, a->unit) == 0)
			return decimal_scale(a->value, 0, more_units[i].factor, one, 0, ret);
	}
	r = unit_convert(a->value, from, to, &there);
	if (r == 0)
		r = unit_convert(there, to, from, &back);
	if (r < 0 || decimal_compare(back, a->value) != 0)
		return r < 0 ? r : -ERANGE;
	*ret = there;
	return 0;
}

/* ---- a target ---- */

static enum goal_fhir_refusal put_sum(const struct measured *m, const struct amount *a,
				      const struct goal_fhir_options *options, struct goal *goal)
{
	const struct metric_info *info = metric_info(goal->metric);

	if (a->rate)
		return GOAL_FHIR_RATE;
	if (m->period && a->period && m->period != a->period)
		return GOAL_FHIR_UNIT; /* "in 24 hours", and "a week" */
	if (!info || convert(a, info->unit, &goal->target) < 0)
		return GOAL_FHIR_UNIT;
	if (decimal_compare(goal->target, (struct decimal){ 0, 0 }) <= 0)
		return GOAL_FHIR_NUMBER;
	goal->rule = GOAL_SUM_PER_PERIOD;
	goal->period = m->period ? m->period : a->period;
	if (!goal->period)
		goal->period = options->period;
	return goal->period ? GOAL_FHIR_TAKEN : GOAL_FHIR_NO_PERIOD;
}

static enum goal_fhir_refusal
which_metric(const struct measured *m, const struct goal_fhir_options *options, enum metric *ret)
{
	if (m->minutes && options->minutes == METRIC_NONE)
		return GOAL_FHIR_WHICH_MINUTES;
	if (m->several && !m->minutes)
		return GOAL_FHIR_TWO_MEASURES;
	*ret = m->minutes ? options->minutes : m->metric;
	return GOAL_FHIR_TAKEN;
}

static enum goal_fhir_refusal dues(const json_t *target, struct goal_fhir_item *item);

enum goal_fhir_refusal fhir_target(const json_t *target, const struct goal_fhir_options *options,
				   struct goal_fhir_item *item)
{
	const struct metric_info *info;
	struct measured m = { .metric = METRIC_NONE };
	struct amount a = { .period = 0 };
	enum goal_fhir_refusal why, number;

	if (json_object_get(target, "modifierExtension"))
		return GOAL_FHIR_MORE_TO_IT;
	number = amount_of(target, &a);
	why = measure_of(json_object_get(target, "measure"), &m);
	if (why != GOAL_FHIR_TAKEN)
		return number == GOAL_FHIR_NO_NUMBER ? number : why;
	info = metric_info(m.metric);
	if (is_food(m.metric))
		return GOAL_FHIR_FOOD;
	if (number != GOAL_FHIR_TAKEN && number != GOAL_FHIR_AT_MOST)
		return number;
	if (info && info->group == GROUP_WEIGHT)
		return a.period || a.rate ? GOAL_FHIR_RATE : GOAL_FHIR_WEIGHT;
	if (!adds_up(m.metric))
		return GOAL_FHIR_NOT_HELD;
	if (number == GOAL_FHIR_TAKEN)
		number = which_metric(&m, options, &item->goal.metric);
	if (number == GOAL_FHIR_TAKEN)
		number = put_sum(&m, &a, options, &item->goal);
	return number == GOAL_FHIR_TAKEN ? dues(target, item) : number;
}

/* ---- days ---- */

static bool digits(const char **text, unsigned int n, unsigned int *ret)
{
	unsigned int value = 0;

	for (unsigned int i = 0; i < n; i++, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		value = value * 10 + (unsigned int)(**text - '0');
	}
	*ret = value;
	return true;
}

/* FHIR date, YYYY, YYYY-MM or YYYY-MM-DD (of a dateTime the date, which is local): the days that it
 * covers, [first, end) */
static int days_of(const char *text, int64_t *ret_first, int64_t *ret_end)
{
	unsigned int year, month = 1, day = 1, last_month = 12, last_day;

	if (!digits(&text, 4, &year) || year < YEAR_FIRST || year > YEAR_LAST)
		return -EBADMSG;
	if (*text == '-') {
		text++;
		if (!digits(&text, 2, &month) || month < 1 || month > 12)
			return -EBADMSG;
		last_month = month;
	}
	last_day = zone_days_in_month(year, last_month);
	if (*text == '-') {
		text++;
		if (!digits(&text, 2, &day) || day < 1 || day > last_day)
			return -EBADMSG;
		last_day = day;
	}
	if (*text != '\0' && *text != 'T')
		return -EBADMSG;
	*ret_first = zone_day_number(year, month, day);
	*ret_end = zone_day_number(year, last_month, last_day) + 1;
	return 0;
}

/* a key that is not there says nothing */
static int narrow(const json_t *object, const char *from, const char *to,
		  struct goal_fhir_item *item)
{
	int64_t first, end;

	if (json_object_get(object, from)) {
		if (days_of(fhir_text(object, from), &first, &end) < 0)
			return -EBADMSG;
		item->from_day = first;
	}
	if (json_object_get(object, to)) {
		if (days_of(fhir_text(object, to), &first, &end) < 0)
			return -EBADMSG;
		item->to_day = end;
	}
	return item->from_day < item->to_day ? 0 : -EBADMSG;
}

enum goal_fhir_refusal fhir_starts(const json_t *goal, struct goal_fhir_item *item)
{
	if (json_object_get(goal, "startCodeableConcept")) /* "admission": when was that? */
		return GOAL_FHIR_DATES;
	return narrow(goal, "startDate", "", item) < 0 ? GOAL_FHIR_DATES : GOAL_FHIR_TAKEN;
}

/* so many days or weeks after the start, which has to be known */
static int due_after(const json_t *duration, struct goal_fhir_item *item)
{
	struct amount a = { .period = 0 };
	struct decimal whole;
	int64_t days;

	if (item->from_day == INT64_MIN || quantity_of(duration, &a) != GOAL_FHIR_TAKEN ||
	    json_object_get(duration, "comparator") || decimal_rescale(a.value, 0, &whole) < 0 ||
	    decimal_compare(whole, a.value) != 0 || whole.mantissa < 1 ||
	    whole.mantissa > DURATION_DAYS_MAX)
		return -EBADMSG;
	days = whole.mantissa;
	if (strcmp(a.unit, "wk") == 0)
		days *= DAYS_OF_WEEK;
	else if (strcmp(a.unit, "d") != 0)
		return -EBADMSG;
	item->to_day = item->from_day + days;
	return 0;
}

static enum goal_fhir_refusal dues(const json_t *target, struct goal_fhir_item *item)
{
	const json_t *duration = json_object_get(target, "dueDuration");
	int r;

	if (duration)
		r = json_object_get(target, "dueDate") ? -EBADMSG : due_after(duration, item);
	else
		r = narrow(target, "", "dueDate", item);
	return r < 0 ? GOAL_FHIR_DATES : GOAL_FHIR_TAKEN;
}

/* ---- an activity ---- */

bool fhir_is_measuring(const json_t *detail)
{
	struct measured m;

	return json_object_get(detail, "scheduledTiming") &&
	       measure_of(json_object_get(detail, "code"), &m) != GOAL_FHIR_UNKNOWN_MEASURE;
}

/* `frequency` times in 1 day or week, and nothing else: what we do not read may mean anything */
static enum goal_fhir_refusal timing_of(const json_t *timing, struct goal_fhir_item *item)
{
	static const char *const known[] = { "frequency", "period", "periodUnit", "boundsPeriod" };
	const json_t *repeat = json_object_get(timing, "repeat"), *bounds;
	const json_t *frequency = json_object_get(repeat, "frequency");
	struct decimal period;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		n += json_object_get(repeat, known[i]) != NULL;
	if (json_object_size(timing) != 1 || !repeat || n != json_object_size(repeat))
		return GOAL_FHIR_MORE_TO_IT;
	if (value_of(json_object_get(repeat, "period"), &period) < 0 ||
	    decimal_compare(period, (struct decimal){ 1, 0 }) != 0)
		return GOAL_FHIR_NOT_HELD;
	if (strcmp(fhir_text(repeat, "periodUnit"), "d") == 0)
		item->goal.period = GOAL_DAY;
	else if (strcmp(fhir_text(repeat, "periodUnit"), "wk") == 0)
		item->goal.period = GOAL_WEEK;
	else
		return GOAL_FHIR_NOT_HELD;
	if (frequency && (!json_is_integer(frequency) || json_integer_value(frequency) < 1))
		return GOAL_FHIR_NUMBER;
	/* the default of FHIR is once */
	item->goal.target.mantissa = frequency ? json_integer_value(frequency) : 1;
	bounds = json_object_get(repeat, "boundsPeriod");
	return narrow(bounds, "start", "end", item) < 0 ? GOAL_FHIR_DATES : GOAL_FHIR_TAKEN;
}

enum goal_fhir_refusal fhir_activity(const json_t *detail, const struct goal_fhir_options *options,
				     struct goal_fhir_item *item)
{
	struct measured m = { .metric = METRIC_NONE };
	enum goal_fhir_refusal why = measure_of(json_object_get(detail, "code"), &m);
	enum metric *metric = &item->goal.metric;

	if (why == GOAL_FHIR_TAKEN && is_food(m.metric))
		why = GOAL_FHIR_FOOD;
	if (why == GOAL_FHIR_TAKEN)
		why = which_metric(&m, options, metric);
	if (why != GOAL_FHIR_TAKEN)
		return why;
	if (json_object_get(detail, "dailyAmount") || json_object_get(detail, "quantity"))
		return GOAL_FHIR_MORE_TO_IT;
	/* a cuff's reading is one, with both pressures in it */
	if (*metric == METRIC_SYSTOLIC || *metric == METRIC_DIASTOLIC ||
	    *metric == METRIC_MEAN_PRESSURE)
		*metric = METRIC_BLOOD_PRESSURE;
	item->goal.rule = GOAL_MEASURE_REGULARLY;
	return timing_of(json_object_get(detail, "scheduledTiming"), item);
}
