#include "gateway/goals/home_bp.h"

#include <errno.h>
#include <stdio.h>

#include "drivers/measurement.h"
#include "gateway/words/words.h"
#include "protocols/messages/codes.h"

/*
 * Flags that do not speak against a pressure. Every other one does: movement, a loose cuff, a wrong
 * position, an irregular pulse (automatic cuffs may be wrong then), "questionable"... A value out
 * of the usual range stays: an average without the highest ones would look better than it is.
 */
#define FLAGS_COUNTED                                                                    \
	(FLAG_BIT(FLAG_SOFT_RANGE) | FLAG_BIT(FLAG_UNIT_CONVERTED) |                     \
	 FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_BACKFILL) | \
	 FLAG_BIT(FLAG_MANUAL) | FLAG_BIT(FLAG_LOW_BATTERY) | FLAG_BIT(FLAG_CLOCK_NOT_SET))

#define SCALE        (-6)                /* of the integers that are summed */
#define PRESSURE_MAX INT64_C(1000000000) /* 1000 mmHg */
#define TENTH        INT64_C(100000)     /* of 1 mmHg */
#define DAY_S        86400
#define TIME_MAX_MS  INT64_C(253402300800000) /* the year 10000 */
#define NUMBER_MAX   12                       /* bytes of an unsigned int in a sentence */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* in 10^-6 mmHg, exactly; -EINVAL if it cannot be, or is no pressure */
static int pressure(struct decimal d, int64_t *ret)
{
	struct decimal scaled;

	if (decimal_rescale(d, SCALE, &scaled) < 0 || decimal_compare(scaled, d) != 0 ||
	    scaled.mantissa <= 0 || scaled.mantissa >= PRESSURE_MAX)
		return -EINVAL;
	*ret = scaled.mantissa;
	return 0;
}

/* ---- the mean */

struct sums {
	int64_t systolic, diastolic, n;
};

static int add(struct sums *s, const struct home_bp_reading *r)
{
	int64_t systolic, diastolic;

	if (pressure(r->systolic, &systolic) < 0 || pressure(r->diastolic, &diastolic) < 0 ||
	    diastolic >= systolic)
		return -EINVAL;
	if (s->n >= INT64_MAX / PRESSURE_MAX)
		return -EINVAL;
	s->systolic += systolic;
	s->diastolic += diastolic;
	s->n++;
	return 0;
}

/* sum / n in tenths, half to even */
static struct decimal shown(int64_t sum, int64_t n)
{
	int64_t part = n * TENTH, tenths = sum / part, rest = sum % part;

	if (rest > part - rest || (rest == part - rest && tenths % 2 != 0))
		tenths++;
	return (struct decimal){ .mantissa = tenths, .exponent = -1 };
}

int home_bp_mean(const struct home_bp_reading *readings, size_t n, struct decimal *ret_systolic,
		 struct decimal *ret_diastolic)
{
	struct sums sums = { 0 };

	if (n == 0)
		return -ENODATA;
	for (size_t i = 0; i < n; i++) {
		int r = add(&sums, &readings[i]);

		if (r < 0)
			return r;
	}
	*ret_systolic = shown(sums.systolic, sums.n);
	*ret_diastolic = shown(sums.diastolic, sums.n);
	return 0;
}

/* ---- where a reading stands */

static bool is_inside(const struct home_bp_course *c, const struct home_bp_reading *r)
{
	return r->at_ms >= c->from_ms && r->at_ms < c->until_ms;
}

static bool is_counted(const struct home_bp_course *c, const struct home_bp_reading *r)
{
	struct sums sums = { 0 };

	return is_inside(c, r) && !(r->flags & ~FLAGS_COUNTED) && add(&sums, r) == 0;
}

/* Readings one by one, with the nearest that could make a pair: each pointer only goes on. */
struct scan {
	const struct home_bp_course *course;
	const struct home_bp_reading *readings;
	size_t n, i;
	size_t after;      /* the first one a minute or more later */
	size_t before;     /* looked at up to here for those a minute or more earlier, */
	int64_t before_ms; /* the last of which that is counted was then */
	bool has_before;
};

static bool is_paired(struct scan *s)
{
	const struct home_bp_reading *r = s->readings;
	int64_t at = r[s->i].at_ms;

	for (; s->before < s->i; s->before++) {
		if (!is_counted(s->course, &r[s->before]))
			continue;
		if (at - r[s->before].at_ms < HOME_BP_PAIR_MIN_MS)
			break;
		s->before_ms = r[s->before].at_ms;
		s->has_before = true;
	}
	if (s->has_before && at - s->before_ms <= HOME_BP_PAIR_MAX_MS)
		return true;
	while (s->after < s->n && (s->after <= s->i || !is_counted(s->course, &r[s->after]) ||
				   r[s->after].at_ms - at < HOME_BP_PAIR_MIN_MS))
		s->after++;
	return s->after < s->n && r[s->after].at_ms - at <= HOME_BP_PAIR_MAX_MS;
}

/* What the clock on the wall shows, whatever the length of that day. */
static enum home_bp_place session_at(const struct zone *zone, int64_t at_ms)
{
	int64_t utc_s = floor_div(at_ms, 1000);
	int64_t local_s = utc_s + zone_offset(zone, utc_s);
	int64_t time = local_s - floor_div(local_s, DAY_S) * DAY_S;

	if (time >= HOME_BP_AM_FROM_S && time < HOME_BP_AM_TO_S)
		return HOME_BP_MORNING;
	if (time >= HOME_BP_PM_FROM_S && time < HOME_BP_PM_TO_S)
		return HOME_BP_EVENING;
	return HOME_BP_OFF_SESSION;
}

static bool scan_next(struct scan *s, enum home_bp_place *ret)
{
	const struct home_bp_reading *r = &s->readings[s->i];

	if (s->i == s->n)
		return false;
	if (!is_inside(s->course, r))
		*ret = HOME_BP_OUTSIDE;
	else if (!is_counted(s->course, r))
		*ret = HOME_BP_EXCLUDED;
	else if (!is_paired(s))
		*ret = HOME_BP_OFF_SESSION;
	else
		*ret = session_at(s->course->zone, r->at_ms);
	s->i++;
	return true;
}

/* ---- the course */

static int64_t day_of(const struct home_bp_course *c, const struct home_bp_reading *r)
{
	return zone_day_of(c->zone, floor_div(r->at_ms, 1000));
}

struct walk {
	struct home_bp_result result;
	struct sums sums;
	int64_t last_day;
};

static void count(struct walk *w, int64_t day, const struct home_bp_reading *r,
		  enum home_bp_place place)
{
	struct home_bp_result *result = &w->result;

	if (result->dates == 0 || day != w->last_day)
		result->dates++;
	w->last_day = day;
	result->off_session += place == HOME_BP_OFF_SESSION;
	result->soft_range += (r->flags & FLAG_BIT(FLAG_SOFT_RANGE)) != 0;
	if (day == result->first_day) {
		result->discarded++;
		return;
	}
	if (result->readings == 0)
		result->first_ms = r->at_ms;
	result->last_ms = r->at_ms;
	result->readings += add(&w->sums, r) == 0;
}

/* A reading alone does not begin a course. One of the first day before the first pair belongs to
 * that day and goes with it; those of days before are outside. */
static bool find_first_day(struct scan scan, int64_t *ret)
{
	enum home_bp_place place;

	while (scan_next(&scan, &place)) {
		if (place == HOME_BP_MORNING || place == HOME_BP_EVENING) {
			*ret = day_of(scan.course, &scan.readings[scan.i - 1]);
			return true;
		}
	}
	return false;
}

static void walk_all(struct walk *w, struct scan scan, enum home_bp_place *ret_places)
{
	enum home_bp_place place;

	while (scan_next(&scan, &place)) {
		const struct home_bp_reading *r = &scan.readings[scan.i - 1];
		int64_t day = day_of(scan.course, r);

		if (place == HOME_BP_OFF_SESSION &&
		    (w->result.state == HOME_BP_NOT_BEGUN || day < w->result.first_day))
			place = HOME_BP_OUTSIDE;
		if (place == HOME_BP_OUTSIDE)
			w->result.outside++;
		else if (place == HOME_BP_EXCLUDED)
			w->result.excluded++;
		else
			count(w, day, r, place);
		if (ret_places)
			ret_places[scan.i - 1] = place;
	}
}

static void conclude(struct walk *w, const struct home_bp_course *c, int64_t systolic_below,
		     int64_t diastolic_below)
{
	struct home_bp_result *r = &w->result;

	r->more_dates = r->dates < HOME_BP_DATES ? HOME_BP_DATES - r->dates : 0;
	r->more_readings = r->readings < HOME_BP_READINGS ? HOME_BP_READINGS - r->readings : 0;
	if (r->more_dates || r->more_readings)
		return;
	r->state = HOME_BP_COMPLETE;
	if (!c->average)
		return;
	r->has_mean = true;
	r->systolic = shown(w->sums.systolic, w->sums.n);
	r->diastolic = shown(w->sums.diastolic, w->sums.n);
	r->both_below = w->sums.systolic < systolic_below * w->sums.n &&
			w->sums.diastolic < diastolic_below * w->sums.n;
}

int home_bp_evaluate(const struct home_bp_course *course, const struct home_bp_reading *readings,
		     size_t n, enum home_bp_place *ret_places, struct home_bp_result *ret)
{
	const struct scan scan = { .course = course, .readings = readings, .n = n };
	struct walk w = { .result = { .state = HOME_BP_NOT_BEGUN } };
	int64_t systolic_below, diastolic_below;

	if (pressure(course->systolic_below, &systolic_below) < 0 ||
	    pressure(course->diastolic_below, &diastolic_below) < 0 ||
	    course->from_ms < -TIME_MAX_MS || course->until_ms > TIME_MAX_MS)
		return -EINVAL;
	for (size_t i = 1; i < n; i++) {
		if (readings[i].at_ms < readings[i - 1].at_ms)
			return -EINVAL;
	}
	if (find_first_day(scan, &w.result.first_day))
		w.result.state = HOME_BP_IN_PROGRESS;
	walk_all(&w, scan, ret_places);
	conclude(&w, course, systolic_below, diastolic_below);
	*ret = w.result;
	return 0;
}

/* ---- the message */

static int code(enum metric metric, struct decimal value, struct arena *arena,
		Wellgate__V1__Component **ret)
{
	const struct metric_info *info = metric_info(metric);
	Wellgate__V1__Component *c = arena_alloc(arena, sizeof(*c));
	Wellgate__V1__Decimal *number = arena_alloc(arena, sizeof(*number));
	char *unit = arena_strdup(arena, unit_info(info->unit)->ucum);

	if (!c || !number || !unit)
		return -ENOMEM;
	wellgate__v1__decimal__init(number);
	number->has_mantissa = number->has_exponent = true;
	number->mantissa = value.mantissa;
	number->exponent = value.exponent;
	wellgate__v1__component__init(c);
	c->has_metric = c->has_snomed = true;
	c->metric = (Wellgate__V1__Metric)metric;
	c->snomed = info->snomed;
	c->value = number;
	c->unit = unit;
	*ret = c;
	return 0;
}

int home_bp_report(const struct home_bp_result *result, struct arena *arena,
		   Wellgate__V1__Reading **ret)
{
	Wellgate__V1__Component **parts;
	Wellgate__V1__Reading *reading;
	int r;

	if (!result->has_mean)
		return -ENODATA;
	reading = arena_alloc(arena, sizeof(*reading));
	parts = arena_alloc(arena, 2 * sizeof(Wellgate__V1__Component *));
	if (!reading || !parts)
		return -ENOMEM;
	r = code(METRIC_HOME_SYSTOLIC, result->systolic, arena, &parts[0]);
	if (r == 0)
		r = code(METRIC_HOME_DIASTOLIC, result->diastolic, arena, &parts[1]);
	if (r < 0)
		return r;
	wellgate__v1__reading__init(reading);
	reading->components = parts;
	reading->n_components = 2;
	reading->has_metric = reading->has_snomed = reading->has_origin = true;
	reading->metric = WELLGATE__V1__METRIC__METRIC_HOME_BLOOD_PRESSURE;
	reading->snomed = metric_info(METRIC_HOME_BLOOD_PRESSURE)->snomed;
	reading->origin = WELLGATE__V1__ORIGIN__ORIGIN_DERIVED;
	reading->has_measured_at_ms = reading->has_duration_ms = true;
	reading->measured_at_ms = result->first_ms;
	reading->duration_ms = result->last_ms - result->first_ms;
	*ret = reading;
	return 0;
}

static enum words_id still_to_take(unsigned int readings, unsigned int dates)
{
	if (readings == 0)
		return dates == 1 ? WORDS_HOME_BP_DAY : WORDS_HOME_BP_DAYS;
	if (dates == 0)
		return readings == 1 ? WORDS_HOME_BP_READING : WORDS_HOME_BP_READINGS;
	if (readings == 1)
		return dates == 1 ? WORDS_HOME_BP_READING_DAY : WORDS_HOME_BP_READING_DAYS;
	return dates == 1 ? WORDS_HOME_BP_READINGS_DAY : WORDS_HOME_BP_READINGS_DAYS;
}

void home_bp_words(const struct home_bp_result *result, char ret[HOME_BP_WORDS_MAX])
{
	char readings[NUMBER_MAX], dates[NUMBER_MAX];
	const struct words_fill fill = {
		.of = { [WORDS_NUMBER] = readings, [WORDS_DATES] = dates }
	};
	enum words_id said = WORDS_HOME_BP_DONE;

	(void)snprintf(readings, sizeof(readings), "%u", result->more_readings);
	(void)snprintf(dates, sizeof(dates), "%u", result->more_dates);
	if (result->state == HOME_BP_NOT_BEGUN)
		said = WORDS_HOME_BP_BEGIN;
	else if (result->state != HOME_BP_COMPLETE)
		said = still_to_take(result->more_readings, result->more_dates);
	if (words_say(WORDS_EN, said, &fill, ret, HOME_BP_WORDS_MAX) < 0)
		ret[0] = '\0'; /* longer than any sentence of the table may be */
}
