#include "gateway/import/fitbit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "gateway/goals/zone.h"
#include "gateway/import/layout.h"

/* ---- what a file is, by its name */

static const struct {
	const char *start, *end;
	enum fitbit_kind kind;
} names[] = {
	{ "steps", ".csv", FITBIT_STEPS_CSV },
	{ "weight", ".csv", FITBIT_WEIGHT_CSV },
	{ "daily_resting_heart_rate", ".csv", FITBIT_RESTING_CSV },
	{ "UserSleeps", ".csv", FITBIT_SLEEP_CSV },
	{ "steps-", ".json", FITBIT_STEPS_JSON },
	{ "sleep-", ".json", FITBIT_SLEEP },
	{ "resting_heart_rate-", ".json", FITBIT_RESTING_JSON },
	{ "weight-", ".json", FITBIT_WEIGHT_JSON },
	{ "exercise-", ".json", FITBIT_EXERCISE },
};

/* digits and separators between start and end: "steps_2024-03-01.csv", "exercise-0.json" */
static bool is_number_or_date(const char *text, size_t len)
{
	return strspn(text, "0123456789-_") >= len;
}

enum fitbit_kind fitbit_kind_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t start = strlen(names[i].start), end = strlen(names[i].end);

		if (len >= start + end && strncmp(name, names[i].start, start) == 0 &&
		    strcmp(name + len - end, names[i].end) == 0 &&
		    is_number_or_date(name + start, len - start - end))
			return names[i].kind;
	}
	return FITBIT_OTHER;
}

const char *fitbit_kind_name(enum fitbit_kind kind)
{
	static const char *const words[FITBIT_KIND_END] = {
		[FITBIT_OTHER] = "other",
		[FITBIT_STEPS_CSV] = "steps",
		[FITBIT_WEIGHT_CSV] = "weight",
		[FITBIT_RESTING_CSV] = "resting heart rate",
		[FITBIT_SLEEP_CSV] = "sleep, newer form",
		[FITBIT_STEPS_JSON] = "steps",
		[FITBIT_SLEEP] = "sleep",
		[FITBIT_RESTING_JSON] = "resting heart rate",
		[FITBIT_WEIGHT_JSON] = "weight",
		[FITBIT_EXERCISE] = "activities",
	};

	assert(kind < FITBIT_KIND_END);
	return words[kind];
}

const char *fitbit_refusal_text(enum fitbit_refusal why)
{
	static const char *const words[FITBIT_REFUSALS] = {
		[FITBIT_BAD_FIELD] = "a field is missing or cannot be read",
		[FITBIT_BAD_TIME] = "its time is impossible or contradicts itself",
		[FITBIT_NO_ZONE] =
			"UTC or local? The file does not say (--json-times; steps: utc only)",
		[FITBIT_NO_UNIT] = "kg or lb? The file does not say (--weight-unit)",
		[FITBIT_OTHER_APP] = "it came to Fitbit from another app",
		[FITBIT_EMPTY] = "it is empty: zero, and worn or not is not said",
		[FITBIT_SAME_NIGHT] =
			"a newer form, not read yet: sleep-....json may have the same nights",
	};

	assert(why < FITBIT_REFUSALS);
	return words[why];
}

/* ---- stamps */

/* exactly n digits at *text, which moves on; -1 */
static int digits(const char **text, unsigned int n)
{
	int value = 0;

	for (unsigned int i = 0; i < n; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

static bool literal(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static int set_day(int year, int month, int day, struct device_time *t)
{
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    (unsigned int)day > zone_days_in_month(year, (unsigned int)month))
		return -EBADMSG;
	*t = (struct device_time){ .kind = DEVICE_TIME_LOCAL,
				   .year = (uint16_t)year,
				   .month = (uint8_t)month,
				   .day = (uint8_t)day };
	return 0;
}

static int time_of_day(const char **text, struct device_time *t)
{
	const int hour = digits(text, 2);
	const int minute = literal(text, ':') ? digits(text, 2) : -1;
	const int second = minute >= 0 && literal(text, ':') ? digits(text, 2) : -1;

	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return -EBADMSG;
	t->hour = (uint8_t)hour;
	t->minute = (uint8_t)minute;
	t->second = (uint8_t)second;
	return 0;
}

int stamp_us(const char *text, struct device_time *ret)
{
	const int month = digits(&text, 2);
	const int day = literal(&text, '/') ? digits(&text, 2) : -1;
	const int year = day >= 0 && literal(&text, '/') ? digits(&text, 2) : -1;
	struct device_time t;

	/* the maker was founded in 2007: two digits are of this century */
	if (month < 0 || year < 0 || set_day(2000 + year, month, day, &t) < 0 ||
	    !literal(&text, ' ') || time_of_day(&text, &t) < 0 || *text)
		return -EBADMSG;
	*ret = t;
	return 0;
}

static int iso_day(const char **text, struct device_time *t)
{
	const int year = digits(text, 4);
	const int month = year >= 0 && literal(text, '-') ? digits(text, 2) : -1;
	const int day = month >= 0 && literal(text, '-') ? digits(text, 2) : -1;

	return set_day(year, month, day, t);
}

int stamp_day(const char *text, struct device_time *ret)
{
	struct device_time t;

	if (iso_day(&text, &t) < 0 || (*text && *text != 'T'))
		return -EBADMSG;
	*ret = t;
	return 0;
}

int stamp_iso(const char *text, struct device_time *ret)
{
	struct device_time t;

	if (iso_day(&text, &t) < 0 || !literal(&text, 'T') || time_of_day(&text, &t) < 0)
		return -EBADMSG;
	if (literal(&text, '.'))
		text += strspn(text, "0123456789"); /* always zeros */
	if (literal(&text, 'Z'))
		t.kind = DEVICE_TIME_UTC;
	if (*text)
		return -EBADMSG;
	*ret = t;
	return 0;
}

int64_t stamp_seconds(const struct device_time *t)
{
	const int64_t day = zone_day_number(t->year, t->month, t->day);

	return ((day * 24 + t->hour) * 60 + t->minute) * 60 + t->second;
}

/* ---- items */

int number_parse(const char *text, struct number *ret)
{
	struct decimal d;

	if (strlen(text) > 24 || decimal_parse(text, &d) < 0)
		return -EBADMSG;
	*ret = number_of(d.mantissa, d.exponent);
	return 0;
}

void item_init(struct fitbit_item *item, enum metric metric, enum unit unit, struct number value)
{
	*item = (struct fitbit_item){ .m = { .metric = metric } };
	measurement_add(&item->m, metric, unit, value);
}

int reader_take(const struct fitbit_reader *r, struct fitbit_item *item)
{
	r->counts->read++;
	item->m.context = item->context;
	return r->sink(r->user, item);
}

int reader_refuse(const struct fitbit_reader *r, enum fitbit_refusal why)
{
	r->counts->read++;
	r->counts->refused[why]++;
	return 0;
}

int fitbit_parse(enum fitbit_kind kind, const struct fitbit_reader *r, const char *text, size_t len)
{
	assert(kind > FITBIT_OTHER && kind < FITBIT_KIND_END);
	if (len > FITBIT_FILE_MAX)
		return -EFBIG;
	if (kind <= FITBIT_RESTING_CSV || kind == FITBIT_SLEEP_CSV)
		return layout_csv(kind, r, text, len);
	return layout_json(kind, r, text, len);
}
