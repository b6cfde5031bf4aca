/*
 * The golden files: what the renderers make of a few made-up messages.
 *
 *   samples DIR            compares with DIR/NAME.json; exit status 1 if any differs
 *   samples DIR --update   writes them anew
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/record/fhir/fhir.h"
#include "gateway/record/omh/omh.h"
#include "tests/unit/fhir_make.h"

static const struct fhir_about about = { .hub = "hub-1", .patient = "Patient/12" };
static const struct fhir_about other = { .hub = "hub-1", .patient = "Patient/13" };

static int add(struct fhir_bundle *b, struct fhir_made *m, unsigned int number)
{
	enum fhir_refusal why;

	m->key[15] = (uint8_t)number;
	return fhir_add_reading(b, &about, &m->r, FHIR_NEW, &why);
}

/* one value of one metric */
static int single(struct fhir_bundle *b, enum metric metric, int64_t mantissa, int32_t exponent)
{
	struct fhir_made m;

	made_begin(&m, metric);
	made_part(&m, metric, mantissa, exponent);
	return add(b, &m, (unsigned int)metric);
}

static int interval(struct fhir_bundle *b, enum metric metric, int64_t value, int64_t hours)
{
	struct fhir_made m;

	made_begin(&m, metric);
	made_part(&m, metric, value, 0);
	m.r.has_duration_ms = m.r.has_utc_offset_min = true;
	m.r.duration_ms = hours * 3600000;
	return add(b, &m, (unsigned int)metric);
}

/* the values of UK Core's own example: 140 over 90 */
static int pressure(struct fhir_bundle *b)
{
	struct fhir_made m;

	made_pressure(&m, 140, 90);
	return add(b, &m, 1);
}

static int extreme(struct fhir_bundle *b)
{
	struct fhir_made m;

	made_pressure(&m, 250, 150);
	made_flag(&m, FLAG_SOFT_RANGE);
	made_flag(&m, FLAG_IRREGULAR_PULSE);
	return add(b, &m, 1);
}

static int average(struct fhir_bundle *b)
{
	struct fhir_made m;

	made_begin(&m, METRIC_HOME_BLOOD_PRESSURE);
	made_part(&m, METRIC_HOME_SYSTOLIC, 1342, -1);
	made_part(&m, METRIC_HOME_DIASTOLIC, 846, -1);
	m.r.device = NULL;
	m.r.origin = WELLGATE__V1__ORIGIN__ORIGIN_DERIVED;
	m.r.has_duration_ms = true;
	m.r.duration_ms = INT64_C(259200000);
	return add(b, &m, 2);
}

static int absent(struct fhir_bundle *b)
{
	struct fhir_made m;

	made_begin(&m, METRIC_GLUCOSE);
	made_absent(&m, METRIC_GLUCOSE, ABSENT_POSITIVE_INFINITY);
	return add(b, &m, 200);
}

static int many(struct fhir_bundle *b)
{
	int r = pressure(b);

	r = r == 0 ? single(b, METRIC_BODY_WEIGHT, 7996, -2) : r;
	r = r == 0 ? single(b, METRIC_HEIGHT, 171, -2) : r;
	r = r == 0 ? single(b, METRIC_BMI, 273, -1) : r;
	r = r == 0 ? single(b, METRIC_TEMPERATURE, 368, -1) : r;
	r = r == 0 ? single(b, METRIC_SPO2, 97, 0) : r;
	r = r == 0 ? single(b, METRIC_HEART_RATE, 64, 0) : r;
	r = r == 0 ? single(b, METRIC_GLUCOSE, 56, -1) : r;
	r = r == 0 ? single(b, METRIC_BODY_FAT, 284, -1) : r;
	r = r == 0 ? interval(b, METRIC_STEPS, 5210, 24) : r;
	r = r == 0 ? interval(b, METRIC_SLEEP_DURATION, 402, 8) : r;
	r = r == 0 ? average(b) : r;
	return r == 0 ? absent(b) : r;
}

/* put right, taken back, moved to another person */
static int corrections(struct fhir_bundle *b)
{
	enum fhir_refusal why;
	struct fhir_made m;
	int r;

	made_pressure(&m, 131, 84);
	m.r.has_revision = true;
	m.r.revision = 2;
	r = add(b, &m, 1);
	made_begin(&m, METRIC_BODY_WEIGHT);
	made_part(&m, METRIC_BODY_WEIGHT, 805, -1);
	m.key[15] = 2;
	if (r == 0)
		r = fhir_add_reading(b, &about, &m.r, FHIR_WITHDRAWN, &why);
	m.key[15] = 3;
	return r == 0 ? fhir_add_move(b, &about, &other, &m.r, &why) : r;
}

static int goal(struct fhir_bundle *b)
{
	static char id[] = "steps-week", unit[] = "{steps}";
	static char words[] = "You walked 21000 steps this week.";
	Wellgate__V1__GoalResult r = WELLGATE__V1__GOAL_RESULT__INIT;
	Wellgate__V1__Decimal progress = WELLGATE__V1__DECIMAL__INIT;
	Wellgate__V1__Decimal target = WELLGATE__V1__DECIMAL__INIT;
	enum fhir_refusal why;

	progress.mantissa = 21000;
	target.mantissa = 20000;
	r.goal_id = id;
	r.goal_version = 1;
	r.unit = unit;
	r.words = words;
	r.metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	r.has_period_start_ms = r.has_period_end_ms = r.has_achievement = true;
	r.period_start_ms = INT64_C(1794787200000);
	r.period_end_ms = INT64_C(1795392000000);
	r.state = WELLGATE__V1__GOAL_RESULT__STATE__STATE_CLOSED;
	r.outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_MET;
	r.achievement = WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_ACHIEVED;
	r.progress = &progress;
	r.target = &target;
	return fhir_add_goal(b, &about, &r, NULL, &why);
}

static const struct sample {
	const char *name;
	enum fhir_profile profile;
	int (*fill)(struct fhir_bundle *b);
} samples[] = {
	{ "ukcore-pressure", FHIR_UKCORE, pressure },
	{ "ukcore-extreme", FHIR_UKCORE, extreme },
	{ "ukcore-many", FHIR_UKCORE, many },
	{ "ukcore-corrections", FHIR_UKCORE, corrections },
	{ "phd-pressure", FHIR_PHD, pressure },
	{ "phd-many", FHIR_PHD, many },
	{ "phd-corrections", FHIR_PHD, corrections },
	{ "phd-goal", FHIR_PHD, goal },
};

/* the text, malloc'd; NULL if it was not rendered */
static char *render(const struct sample *s)
{
	const struct fhir_options options = { .profile = s->profile,
					      .privacy_label = s->profile == FHIR_UKCORE
								       ? "GENERAL_HEALTH"
								       : NULL };
	struct fhir_bundle *b = NULL;
	char *text = NULL;

	if (fhir_bundle_new(&options, &b) < 0)
		return NULL;
	if (s->fill(b) == 0)
		text = fhir_bundle_dump(b, true);
	fhir_bundle_free(b);
	return text;
}

/* ---- Open mHealth: a line each ---- */

static char *points_of(enum metric metric, int64_t mantissa, int32_t exponent, int64_t duration_ms)
{
	enum fhir_refusal why;
	struct fhir_made m;
	size_t left_out;
	char *text = NULL;

	made_begin(&m, metric);
	made_part(&m, metric, mantissa, exponent);
	m.key[15] = (uint8_t)metric;
	m.r.has_duration_ms = m.r.has_utc_offset_min = duration_ms > 0;
	m.r.duration_ms = duration_ms;
	m.r.utc_offset_min = 60;
	return omh_points(&m.r, &text, &left_out, &why) < 0 ? NULL : text;
}

static char *pressure_points(int64_t systolic, int64_t diastolic)
{
	enum fhir_refusal why;
	struct fhir_made m;
	size_t left_out;
	char *text = NULL;

	made_pressure(&m, systolic, diastolic);
	made_flag(&m, FLAG_SOFT_RANGE);
	return omh_points(&m.r, &text, &left_out, &why) < 0 ? NULL : text;
}

/* one of every schema; NULL if any was not rendered */
static char *render_points(void)
{
	static const int64_t hour = 3600000;
	char *each[] = {
		pressure_points(250, 150),
		points_of(METRIC_RESTING_HEART_RATE, 58, 0, 0),
		points_of(METRIC_BODY_WEIGHT, 7400, -2, 0),
		points_of(METRIC_HEIGHT, 171, -2, 0),
		points_of(METRIC_BMI, 253, -1, 0),
		points_of(METRIC_BODY_FAT, 284, -1, 0),
		points_of(METRIC_TEMPERATURE, 368, -1, 0),
		points_of(METRIC_SPO2, 97, 0, 0),
		points_of(METRIC_GLUCOSE, 56, -1, 0),
		points_of(METRIC_STEPS, 5210, 0, 24 * hour),
		points_of(METRIC_DISTANCE, 4100, 0, 24 * hour),
		points_of(METRIC_ENERGY, 1980, 0, 24 * hour),
		points_of(METRIC_EXERCISE_DURATION, 25, 0, hour),
		points_of(METRIC_SLEEP_DURATION, 402, 0, 8 * hour),
	};
	char *all = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&all, &len);
	int bad = !out;

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		bad |= !each[i];
		if (out && each[i])
			(void)fputs(each[i], out);
		free(each[i]);
	}
	if (out)
		bad |= fclose(out) != 0;
	if (all && len > 0)
		all[len - 1] = '\0'; /* the files get a last newline from who writes them */
	if (!bad)
		return all;
	free(all);
	return NULL;
}

static int write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return 1;
	(void)fprintf(f, "%s\n", text);
	return fclose(f) != 0;
}

static int compare(const char *path, const char *text)
{
	const size_t len = strlen(text);
	char *golden = calloc(1, len + 2);
	FILE *f = fopen(path, "r");
	size_t n = 0;
	int differs;

	if (f && golden)
		n = fread(golden, 1, len + 2, f);
	differs = !golden || n != len + 1 || memcmp(golden, text, len) != 0;
	if (f)
		(void)fclose(f);
	free(golden);
	if (differs)
		(void)fprintf(stderr, "%s is not what is rendered; --update writes it anew\n",
			      path);
	return differs;
}

/* takes the text; 1 if it is not as it should be */
static int settle(const char *name, const char *folder, int update, char *text)
{
	char path[512];
	int bad;

	if (!text) {
		(void)fprintf(stderr, "%s: not rendered\n", name);
		return 1;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	bad = update ? write_file(path, text) : compare(path, text);
	free(text);
	return bad;
}

int main(int argc, char **argv)
{
	const int update = argc == 3 && strcmp(argv[2], "--update") == 0;
	char name[64];
	int bad = 0;

	if (argc != 2 && !update)
		return 64;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s.json", samples[i].name);
		bad |= settle(name, argv[1], update, render(&samples[i]));
	}
	return bad | settle("omh.jsonl", argv[1], update, render_points());
}
