#include "gateway/goals/keys.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "gateway/goals/zone.h"

static const struct goal_key_info keys[GOAL_KEY_END] = {
	[GOAL_TITLE] = { "title", "1 to 128 bytes of text", true },
	[GOAL_METRIC] = { "metric", "a metric name like blood_pressure, body_weight or steps",
			  true },
	[GOAL_RULE] = { "rule",
			"count_days, mean_per_period, nights_meeting, trend, "
			"measure_regularly, range_mean or sum_per_period",
			true },
	[GOAL_PERIOD] = { "period", "day, week or course", true },
	[GOAL_TARGET] = { "target", "a positive number like 14 or 7.5", false },
	[GOAL_WEEK_START] = { "week_start", "monday ... sunday", false },
	[GOAL_STARTS_ON] = { "starts_on", "a day like 2027-01-31", false },
	[GOAL_ENDS_ON] = { "ends_on", "a day like 2027-01-31 (the last one)", false },
	[GOAL_DIASTOLIC_TARGET] = { "diastolic_target", "a positive number like 85", false },
	[GOAL_EATING_DISORDER] = { "eating_disorder", "yes or no", false },
	[GOAL_KEEP_HERE] = { "keep_here", "yes or no", false },
	[GOAL_HIDDEN] = { "hidden", "yes or no", false },
	[GOAL_DAY_TARGET] = { "day_target", "a positive number like 5000 or 7.5", false },
	[GOAL_MIN_POINTS] = { "min_points", "1 to 7 (days or nights)", false },
	[GOAL_DIRECTION] = { "direction", "steady, down or up", false },
	[GOAL_BAND] = { "band", "a positive number like 1.5 (kg in 28 days)", false },
	[GOAL_HEIGHT] = { "height", "100 to 250 (cm)", false },
	[GOAL_SHOW_WEIGHT] = { "show_weight", "yes or no", false },
	[GOAL_AGREED_BY] = { "agreed_by", "person or professional", false },
	[GOAL_PAUSES] = { "pauses",
			  "days like 2027-01-31 to 2027-02-05, up to 8 times, with commas", false },
};

static const char *const weekdays[] = { "monday", "tuesday",  "wednesday", "thursday",
					"friday", "saturday", "sunday" };

const struct goal_key_info *goal_key_info(enum goal_key key)
{
	return &keys[key];
}

enum goal_key goal_key_find(const char *name)
{
	enum goal_key k = 0;

	while (k < GOAL_KEY_END && strcmp(keys[k].name, name) != 0)
		k++;
	return k;
}

const char *goal_key_names(void)
{
	return "title, metric, rule, period, target, week_start, starts_on, ends_on, day_target, "
	       "diastolic_target, min_points, direction, band, height, show_weight, agreed_by, "
	       "eating_disorder, keep_here, hidden and pauses";
}

static bool weekday_parse(const char *value, unsigned int *ret)
{
	for (unsigned int i = 0; i < 7; i++) {
		if (strcmp(value, weekdays[i]) == 0) {
			*ret = i + 1;
			return true;
		}
	}
	return false;
}

/* one of the names, in their order; they end with NULL */
static bool name_parse(const char *value, const char *const *names, unsigned int *ret)
{
	for (unsigned int i = 0; names[i]; i++) {
		if (strcmp(value, names[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

bool goal_number_parse(const char *value, unsigned int min, unsigned int max, unsigned int *ret)
{
	unsigned int n = 0;

	if (!*value || strlen(value) > 4 || strspn(value, "0123456789") != strlen(value))
		return false;
	for (; *value; value++)
		n = n * 10 + (unsigned int)(*value - '0');
	*ret = n;
	return n >= min && n <= max;
}

enum {
	DAY_LENGTH = 10 /* 2027-01-31 */
};

static bool day_parse(const char *value, size_t len, int64_t *ret)
{
	char text[DAY_LENGTH + 1];
	unsigned int year, month, day;

	if (len != DAY_LENGTH || value[4] != '-' || value[7] != '-')
		return false;
	memcpy(text, value, DAY_LENGTH);
	text[4] = text[7] = text[DAY_LENGTH] = '\0';
	if (!goal_number_parse(text, 2000, 9999, &year) ||
	    !goal_number_parse(text + 5, 1, 12, &month) ||
	    !goal_number_parse(text + 8, 1, zone_days_in_month(year, month), &day))
		return false;
	*ret = zone_day_number(year, month, day);
	return true;
}

/* "2027-01-31 to 2027-02-05, 2027-03-01 to 2027-03-01": the last day is part of it */
static bool pauses_parse(const char *value, struct goal *g)
{
	static const char to[] = " to ";
	const size_t length = DAY_LENGTH + strlen(to) + DAY_LENGTH;

	g->n_pauses = 0;
	for (;;) {
		struct goal_pause *pause = &g->pauses[g->n_pauses];
		size_t len = strcspn(value, ",");

		if (g->n_pauses == GOAL_PAUSES_MAX || len != length ||
		    memcmp(value + DAY_LENGTH, to, strlen(to)) != 0 ||
		    !day_parse(value, DAY_LENGTH, &pause->from_day) ||
		    !day_parse(value + length - DAY_LENGTH, DAY_LENGTH, &pause->to_day))
			return false;
		pause->to_day++;
		g->n_pauses++;
		value += len;
		if (!*value)
			return true;
		value += 1 + strspn(value + 1, " ");
	}
}

static bool positive_parse(const char *value, struct decimal *ret)
{
	return decimal_parse(value, ret) == 0 && ret->mantissa > 0;
}

static bool rule_parse(const char *value, enum goal_rule *ret)
{
	static const char *const names[] = { "sum_per_period", "count_days", "mean_per_period",
					     "nights_meeting", "trend",      "measure_regularly",
					     "range_mean",     NULL };
	static const enum goal_rule rules[] = { GOAL_SUM_PER_PERIOD,  GOAL_COUNT_DAYS,
						GOAL_MEAN_PER_PERIOD, GOAL_NIGHTS_MEETING,
						GOAL_TREND,           GOAL_MEASURE_REGULARLY,
						GOAL_RANGE_MEAN };
	unsigned int i;

	if (!name_parse(value, names, &i))
		return false;
	*ret = rules[i];
	return true;
}

static bool switch_parse(const char *value, bool *ret)
{
	static const char *const no_yes[] = { "no", "yes", NULL };
	unsigned int n = 0;

	if (!name_parse(value, no_yes, &n))
		return false;
	*ret = n == 1;
	return true;
}

static bool period_parse(const char *value, enum goal_period *ret)
{
	static const char *const names[] = { "day", "week", "course", NULL };
	unsigned int n = 0;

	if (!name_parse(value, names, &n))
		return false;
	*ret = (enum goal_period)(GOAL_DAY + n);
	return true;
}

/* the keys that some rules have */
static bool set_more(struct goal *g, enum goal_key key, const char *value)
{
	static const char *const directions[] = { "steady", "down", "up", NULL };
	static const char *const agreed[] = { "person", "professional", NULL };
	unsigned int n = 0;
	bool good = false;

	if (key == GOAL_DIASTOLIC_TARGET)
		return positive_parse(value, &g->diastolic_target);
	if (key == GOAL_SHOW_WEIGHT)
		return switch_parse(value, &g->show_weight);
	if (key == GOAL_EATING_DISORDER)
		return switch_parse(value, &g->eating_disorder);
	if (key == GOAL_KEEP_HERE)
		return switch_parse(value, &g->keep_here);
	if (key == GOAL_HIDDEN)
		return switch_parse(value, &g->hidden);
	if (key == GOAL_ENDS_ON) {
		good = day_parse(value, strlen(value), &g->ends_on);
		g->ends_on += good; /* half-open */
		return good;
	}

	if (key == GOAL_DAY_TARGET)
		return positive_parse(value, &g->day_target);
	if (key == GOAL_BAND)
		return positive_parse(value, &g->band);
	if (key == GOAL_PAUSES)
		return pauses_parse(value, g);
	if (key == GOAL_STARTS_ON)
		return day_parse(value, strlen(value), &g->starts_on);
	if (key == GOAL_MIN_POINTS) {
		good = goal_number_parse(value, 1, 7, &n);
		g->min_points = n;
	} else if (key == GOAL_HEIGHT) {
		good = goal_number_parse(value, 100, 250, &n);
		g->height_mm = n * 10;
	} else if (key == GOAL_DIRECTION) {
		good = name_parse(value, directions, &n);
		g->direction = (enum goal_direction)(GOAL_STEADY + n);
	} else if (key == GOAL_AGREED_BY) {
		good = name_parse(value, agreed, &n);
		g->agreed_by = (enum goal_agreed_by)(GOAL_AGREED_BY_PERSON + n);
	}
	return good;
}

bool goal_key_set(struct goal *g, enum goal_key key, const char *value)
{
	switch (key) {
	case GOAL_TITLE:
		(void)snprintf(g->title, sizeof(g->title), "%s", value);
		return *value && strlen(value) < sizeof(g->title);
	case GOAL_METRIC:
		g->metric = metric_by_name(value);
		return g->metric != METRIC_NONE;
	case GOAL_RULE:
		return rule_parse(value, &g->rule);
	case GOAL_PERIOD:
		return period_parse(value, &g->period);
	case GOAL_TARGET:
		return positive_parse(value, &g->target);
	case GOAL_WEEK_START:
		return weekday_parse(value, &g->week_start);
	case GOAL_STARTS_ON:
	case GOAL_ENDS_ON:
	case GOAL_DIASTOLIC_TARGET:
	case GOAL_EATING_DISORDER:
	case GOAL_KEEP_HERE:
	case GOAL_HIDDEN:
	case GOAL_DAY_TARGET:
	case GOAL_MIN_POINTS:
	case GOAL_DIRECTION:
	case GOAL_BAND:
	case GOAL_HEIGHT:
	case GOAL_SHOW_WEIGHT:
	case GOAL_AGREED_BY:
	case GOAL_PAUSES:
		return set_more(g, key, value);
	case GOAL_KEY_END:
	default:
		return false;
	}
}

bool goal_day_parse(const char *value, int64_t *ret)
{
	return day_parse(value, strlen(value), ret);
}

/* where the value of a key lives */
#define FIELD(key, field)                                                               \
	{                                                                               \
		key, offsetof(struct goal, field), sizeof(((struct goal *)NULL)->field) \
	}
static const struct {
	enum goal_key key;
	size_t offset, size;
} fields[] = {
	FIELD(GOAL_TITLE, title),
	FIELD(GOAL_METRIC, metric),
	FIELD(GOAL_RULE, rule),
	FIELD(GOAL_PERIOD, period),
	FIELD(GOAL_TARGET, target),
	FIELD(GOAL_WEEK_START, week_start),
	FIELD(GOAL_STARTS_ON, starts_on),
	FIELD(GOAL_ENDS_ON, ends_on),
	FIELD(GOAL_DIASTOLIC_TARGET, diastolic_target),
	FIELD(GOAL_EATING_DISORDER, eating_disorder),
	FIELD(GOAL_KEEP_HERE, keep_here),
	FIELD(GOAL_HIDDEN, hidden),
	FIELD(GOAL_DAY_TARGET, day_target),
	FIELD(GOAL_MIN_POINTS, min_points),
	FIELD(GOAL_DIRECTION, direction),
	FIELD(GOAL_BAND, band),
	FIELD(GOAL_HEIGHT, height_mm),
	FIELD(GOAL_SHOW_WEIGHT, show_weight),
	FIELD(GOAL_AGREED_BY, agreed_by),
	FIELD(GOAL_PAUSES, n_pauses),
	FIELD(GOAL_PAUSES, pauses),
};
#undef FIELD

void goal_key_inherit(struct goal *g, const bool set[GOAL_KEY_END], const struct goal *before)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const size_t offset = fields[i].offset;

		if (!set[fields[i].key])
			memcpy((uint8_t *)g + offset, (const uint8_t *)before + offset,
			       fields[i].size);
	}
}
