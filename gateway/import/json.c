/*
 * The JSON layouts: each file is one list of objects. Jansson bounds the nesting, FITBIT_FILE_MAX
 * the size. Its real numbers are doubles: 15 digits survive one unharmed, more are not taken.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/import/layout.h"

enum {
	MINUTE_MS = 60000,
	HOUR_S = 3600,
	DAY_MS = 24 * 3600 * 1000,
	NUMBER_TEXT = 32,
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* a number, or one in quotes: steps come as "12" */
static int number_of_value(const json_t *value, struct number *ret)
{
	char text[NUMBER_TEXT];

	if (json_is_string(value))
		return number_parse(json_string_value(value), ret);
	if (json_is_integer(value)) {
		*ret = number_of(json_integer_value(value), 0);
		return 0;
	}
	if (!json_is_real(value))
		return -EBADMSG;
	(void)snprintf(text, sizeof(text), "%.15g", json_real_value(value));
	return number_parse(text, ret);
}

/* not below zero */
static int number_at(const json_t *object, const char *key, struct number *ret)
{
	struct number n;

	if (number_of_value(json_object_get(object, key), &n) < 0 || n.value.mantissa < 0)
		return -EBADMSG;
	*ret = n;
	return 0;
}

/* a whole number above zero */
static int64_t whole_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* For words: which zone a time without one is read in. No name is longer than its longest. */
static const char *zone_of(const struct fitbit_reader *r)
{
	return r->options->zone ? r->options->zone : "the hub's zone";
}

/* ---- steps of a minute */

static int take_steps(const struct fitbit_reader *r, const json_t *entry)
{
	struct fitbit_item item;
	struct device_time t;
	struct number value;

	if (number_at(entry, "value", &value) < 0)
		return reader_refuse(r, FITBIT_BAD_FIELD);
	if (stamp_us(text_of(entry, "dateTime"), &t) < 0)
		return reader_refuse(r, FITBIT_BAD_TIME);
	/* the CSV has the same minutes in UTC: only in UTC they are known for the same */
	if (r->options->times != FITBIT_TIMES_UTC)
		return reader_refuse(r, FITBIT_NO_ZONE);
	if (value.value.mantissa == 0)
		return reader_refuse(r, FITBIT_EMPTY);
	t.kind = DEVICE_TIME_UTC;
	item_init(&item, METRIC_STEPS, UNIT_STEPS, value);
	item.m.time = t;
	item.m.has_duration = true;
	item.m.duration_ms = MINUTE_MS;
	(void)snprintf(item.id, sizeof(item.id), "steps/%lld", (long long)stamp_seconds(&t));
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; time: UTC, as was said at the import");
	return reader_take(r, &item);
}

/* ---- resting heart rate of a day */

static int take_resting(const struct fitbit_reader *r, const json_t *entry)
{
	const json_t *value = json_object_get(entry, "value");
	struct fitbit_item item;
	struct device_time t;
	struct number rate;

	if (number_at(value, "value", &rate) < 0)
		return reader_refuse(r, FITBIT_BAD_FIELD);
	if (rate.value.mantissa == 0)
		return reader_refuse(r, FITBIT_EMPTY);
	/* "MM/DD/YY 00:00:00": the midnight that the day begins with */
	if (stamp_us(text_of(entry, "dateTime"), &t) < 0 || t.hour || t.minute || t.second)
		return reader_refuse(r, FITBIT_BAD_TIME);
	item_init(&item, METRIC_RESTING_HEART_RATE, UNIT_PER_MIN, rate);
	item.m.time = t;
	item.m.flags = FLAG_BIT(FLAG_TIME_UNCERTAIN);
	(void)snprintf(item.id, sizeof(item.id), "resting/%04u-%02u-%02u", t.year, t.month, t.day);
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; the value of a day, no time of day is known");
	return reader_take(r, &item);
}

/* ---- weight */

static int take_weight(const struct fitbit_reader *r, const json_t *entry)
{
	struct fitbit_item item;
	struct device_time t;
	struct number weight, more;
	char stamp[NUMBER_TEXT];

	if (number_at(entry, "weight", &weight) < 0)
		return reader_refuse(r, FITBIT_BAD_FIELD);
	(void)snprintf(stamp, sizeof(stamp), "%.12s %.12s", text_of(entry, "date"),
		       text_of(entry, "time"));
	if (stamp_us(stamp, &t) < 0)
		return reader_refuse(r, FITBIT_BAD_TIME);
	if (r->options->weight == UNIT_NONE)
		return reader_refuse(r, FITBIT_NO_UNIT);
	item_init(&item, METRIC_BODY_WEIGHT, r->options->weight, weight);
	if (number_at(entry, "bmi", &more) == 0 && more.value.mantissa > 0)
		measurement_add(&item.m, METRIC_BMI, UNIT_KG_M2, more);
	item.m.time = t;
	(void)snprintf(item.id, sizeof(item.id), "weight/%lld", (long long)stamp_seconds(&t));
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; time: local, without a zone, read in %.32s", zone_of(r));
	return reader_take(r, &item);
}

/* ---- sleep */

static const struct {
	const char *key;
	enum metric metric;
} stages[] = {
	{ "deep", METRIC_SLEEP_DEEP },
	{ "light", METRIC_SLEEP_LIGHT },
	{ "rem", METRIC_SLEEP_REM },
};

static void add_stages(const json_t *entry, struct measurement *m)
{
	const json_t *summary = json_object_get(json_object_get(entry, "levels"), "summary");
	struct number minutes;

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		const json_t *stage = json_object_get(summary, stages[i].key);

		if (number_at(stage, "minutes", &minutes) == 0)
			measurement_add(m, stages[i].metric, UNIT_MIN, minutes);
	}
	if (number_at(entry, "efficiency", &minutes) == 0)
		measurement_add(m, METRIC_SLEEP_EFFICIENCY, UNIT_PERCENT, minutes);
}

/* Both ends are local: across a change of the clocks they are an hour more or less apart than the
 * night was long. The date is that of waking up. */
static bool adds_up(const struct device_time *start, const struct device_time *end,
		    int64_t duration_ms, const char *date)
{
	const int64_t apart = stamp_seconds(end) - stamp_seconds(start) - duration_ms / 1000;
	struct device_time day;

	if (stamp_day(date, &day) < 0 || day.year != end->year || day.month != end->month ||
	    day.day != end->day)
		return false;
	return (apart >= -60 && apart <= 60) || (apart >= HOUR_S - 60 && apart <= HOUR_S + 60) ||
	       (apart >= -HOUR_S - 60 && apart <= -HOUR_S + 60);
}

static void put_sleep_context(const struct fitbit_reader *r, const json_t *entry,
			      struct fitbit_item *item)
{
	const bool utc = item->m.time.kind == DEVICE_TIME_UTC;

	(void)snprintf(item->context, sizeof(item->context),
		       "Fitbit export; %s; woke up on %.10s; time: %s%.32s",
		       json_is_false(json_object_get(entry, "mainSleep")) ? "nap" : "main sleep",
		       text_of(entry, "dateOfSleep"),
		       utc ? "UTC, as the file says" : "local, without a zone, read in ",
		       utc ? "" : zone_of(r));
}

static int take_sleep(const struct fitbit_reader *r, const json_t *entry)
{
	const int64_t duration_ms = whole_at(entry, "duration"), log = whole_at(entry, "logId");
	const char *date = text_of(entry, "dateOfSleep");
	struct device_time start, end;
	struct fitbit_item item;
	struct number asleep;

	if (number_at(entry, "minutesAsleep", &asleep) < 0 || log < 0 || duration_ms <= 0 ||
	    duration_ms > 2 * (int64_t)DAY_MS)
		return reader_refuse(r, FITBIT_BAD_FIELD);
	if (stamp_iso(text_of(entry, "startTime"), &start) < 0 ||
	    stamp_iso(text_of(entry, "endTime"), &end) < 0 ||
	    !adds_up(&start, &end, duration_ms, date))
		return reader_refuse(r, FITBIT_BAD_TIME);
	item_init(&item, METRIC_SLEEP_DURATION, UNIT_MIN, asleep);
	add_stages(entry, &item.m);
	item.m.time = start;
	item.m.has_duration = true;
	item.m.duration_ms = duration_ms;
	if (strcmp(text_of(entry, "logType"), "manual") == 0)
		item.m.flags = FLAG_BIT(FLAG_MANUAL);
	(void)snprintf(item.id, sizeof(item.id), "sleep/%lld", (long long)log);
	put_sleep_context(r, entry, &item);
	return reader_take(r, &item);
}

/* ---- activities */

/* Steps and energy of an activity are parts of the day's: they would count twice. */
static int take_exercise(const struct fitbit_reader *r, const json_t *entry)
{
	const int64_t duration_ms = whole_at(entry, "duration"), log = whole_at(entry, "logId");
	const bool utc = r->options->times == FITBIT_TIMES_UTC;
	const char *name = text_of(entry, "activityName");
	struct fitbit_item item;
	struct device_time t;
	struct number rate;

	if (log < 0 || duration_ms <= 0 || duration_ms > DAY_MS)
		return reader_refuse(r, FITBIT_BAD_FIELD);
	if (stamp_us(text_of(entry, "startTime"), &t) < 0)
		return reader_refuse(r, FITBIT_BAD_TIME);
	if (r->options->times == FITBIT_TIMES_UNSAID)
		return reader_refuse(r, FITBIT_NO_ZONE);
	t.kind = utc ? DEVICE_TIME_UTC : DEVICE_TIME_LOCAL;
	item_init(&item, METRIC_EXERCISE_DURATION, UNIT_MS, number_of(duration_ms, 0));
	if (number_at(entry, "averageHeartRate", &rate) == 0 && rate.value.mantissa > 0)
		measurement_add(&item.m, METRIC_HEART_RATE, UNIT_PER_MIN, rate);
	item.m.time = t;
	item.m.has_duration = true;
	item.m.duration_ms = duration_ms;
	if (strcmp(text_of(entry, "logType"), "manual") == 0)
		item.m.flags = FLAG_BIT(FLAG_MANUAL);
	(void)snprintf(item.id, sizeof(item.id), "activity/%lld", (long long)log);
	/* the name is the maker's word for it ("Walk"), or what somebody typed: plain ones only */
	if (strlen(name) > 32 || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					      " -") != strlen(name))
		name = "activity";
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; %.32s; time: %s, as said at the import%s%.32s", name,
		       utc ? "UTC" : "local", utc ? "" : ", in ", utc ? "" : zone_of(r));
	return reader_take(r, &item);
}

static int take_entry(enum fitbit_kind kind, const struct fitbit_reader *r, const json_t *entry)
{
	if (!json_is_object(entry))
		return reader_refuse(r, FITBIT_BAD_FIELD);
	switch (kind) {
	case FITBIT_STEPS_JSON:
		return take_steps(r, entry);
	case FITBIT_RESTING_JSON:
		return take_resting(r, entry);
	case FITBIT_WEIGHT_JSON:
		return take_weight(r, entry);
	case FITBIT_SLEEP:
		return take_sleep(r, entry);
	case FITBIT_EXERCISE:
		return take_exercise(r, entry);
	case FITBIT_OTHER:
	case FITBIT_STEPS_CSV:
	case FITBIT_WEIGHT_CSV:
	case FITBIT_RESTING_CSV:
	case FITBIT_SLEEP_CSV:
	case FITBIT_KIND_END:
	default:
		return -EBADMSG;
	}
}

int layout_json(enum fitbit_kind kind, const struct fitbit_reader *r, const char *text, size_t len)
{
	json_error_t error;
	json_t *list = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	int result = json_is_array(list) ? 0 : -EBADMSG;

	for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
		result = take_entry(kind, r, json_array_get(list, i));
	json_decref(list);
	return result;
}
