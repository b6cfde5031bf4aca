#include "drivers/fitbit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/sig.h"
#include "drivers/sleep.h"

#define DAY_S     INT64_C(86400)
#define MINUTE_S  60
#define MINUTE_MS 60000

int fitbit_midnight_at_offset(void *user, int64_t at, int64_t *ret)
{
	const int64_t east = *(const int *)user * INT64_C(60);
	int64_t since = (at + east) % DAY_S;

	if (since < 0)
		since += DAY_S;
	*ret = at - since;
	return 0;
}

/* ---- one walk through a dump ---- */

struct teller {
	const struct fitbit_rules *rules;
	fitbit_say *say;
	void *user;
	struct fitbit_told told;
	bool estimates_sleep;
	struct sleep_estimate sleep;
	int64_t newest_snapshot, newest_minute;
	bool has_day; /* a snapshot came before */
	int64_t day;  /* that day's beginning */
	struct fitbit_day last;
};

static int tell(struct teller *t, const struct measurement *m, const struct fitbit_record *record)
{
	const struct fitbit_rules *rules = t->rules;
	const size_t i = t->told.total++;

	if (!t->say || i < rules->skip || (rules->limit > 0 && i - rules->skip >= rules->limit))
		return 0;
	return t->say(t->user, m, record);
}

static bool can_be(const struct teller *t, int64_t at)
{
	return at >= FITBIT_TIME_MIN && (t->rules->latest == 0 || at <= t->rules->latest);
}

static int on_sleep(void *user, const struct sleep_episode *e)
{
	struct teller *t = user;
	struct measurement m = { .metric = METRIC_SLEEP_DURATION,
				 .has_duration = true,
				 .duration_ms = (int64_t)e->minutes * MINUTE_MS,
				 .flags = FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_ESTIMATED),
				 .context = "estimated from movement: Cole-Kripke 1992" };

	t->told.nights++;
	sig_set_utc(&m, e->start);
	measurement_add(&m, METRIC_SLEEP_DURATION, UNIT_MIN, number_of(e->asleep, 0));
	return tell(t, &m, NULL);
}

/* A minute that is over, and later than all before it. */
static int sleep_on(struct teller *t, const struct fitbit_minute *x)
{
	const uint32_t halves = (uint32_t)(x->motion >> 4) + (x->motion & 15U);

	if (!t->estimates_sleep || !x->has_motion)
		return 0;
	return sleep_minute(&t->sleep, x->time, halves + x->steps);
}

static int tell_minute(struct teller *t, const struct fitbit_record *record)
{
	const struct fitbit_minute *x = &record->minute;
	struct measurement m = { .metric = METRIC_STEPS,
				 .has_duration = true,
				 .duration_ms = MINUTE_MS,
				 .flags = FLAG_BIT(FLAG_BACKFILL) };
	const int64_t at = x->time;
	bool over = true;
	int r;

	if (!x->has_time || !can_be(t, at)) {
		t->told.refused++;
		return 0;
	}
	t->told.minutes++;
	if (at < t->newest_snapshot && t->newest_snapshot < at + MINUTE_S) {
		if (t->rules->settled) {
			t->told.running++;
			return 0;
		}
		m.flags |= FLAG_BIT(FLAG_ONGOING);
		over = false;
	}
	if (at <= t->newest_minute) {
		m.flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
		over = false;
	} else {
		t->newest_minute = at;
	}
	sig_set_utc(&m, at);
	measurement_add(&m, METRIC_STEPS, UNIT_STEPS, number_of(x->steps, 0));
	r = tell(t, &m, record);
	return r == 0 && over ? sleep_on(t, x) : r;
}

/* The day that a snapshot is of; one taken at midnight is of the day that ended. */
static int day_of(const struct teller *t, int64_t at, int64_t *ret)
{
	return t->rules->midnight ? t->rules->midnight(t->rules->zone, at - 1, ret) : -ENODATA;
}

static bool says_less(const struct fitbit_day *a, const struct fitbit_day *b)
{
	return a->time > b->time && (a->steps < b->steps || a->distance_mm < b->distance_mm ||
				     a->floors_tenths < b->floors_tenths);
}

/* A minute at rest adds 10 MET tenths: without any, no minute was recorded, and 0 is no count. */
static bool says_nothing(const struct fitbit_day *x)
{
	return x->met_tenths == 0 && x->steps == 0 && x->distance_mm == 0 && x->floors_tenths == 0;
}

/* From when to when, or only when. */
static void set_day(struct teller *t, struct measurement *m, const struct fitbit_day *x)
{
	int64_t day, next;

	m->flags |= FLAG_BIT(FLAG_BACKFILL);
	m->context = "day";
	sig_set_utc(m, x->time);
	if (day_of(t, x->time, &day) < 0) {
		m->flags |= FLAG_BIT(FLAG_INTERMEDIATE);
		return;
	}
	if (t->has_day && t->day == day && says_less(x, &t->last))
		m->flags |= FLAG_BIT(FLAG_INCONSISTENT);
	/* over at the midnight that its own time is */
	if (t->rules->midnight(t->rules->zone, x->time, &next) < 0 || next != x->time)
		m->flags |= FLAG_BIT(FLAG_ONGOING);
	t->has_day = true;
	t->day = day;
	t->last = *x;
	sig_set_utc(m, day);
	m->has_duration = true;
	m->duration_ms = (x->time - day) * 1000;
}

/* MET * 10 * minutes, times kcal a day: in thousandths of a kcal, rounded half up */
static int64_t thousandths(uint32_t met_tenths, unsigned int resting_kcal)
{
	return ((int64_t)met_tenths * resting_kcal * 1000 + 7200) / 14400;
}

static int tell_energy(struct teller *t, const struct measurement *day,
		       const struct fitbit_record *record)
{
	struct measurement m = *day;

	if (t->rules->resting_kcal == 0)
		return 0;
	m.metric = METRIC_ENERGY;
	m.context = "estimated";
	m.flags |= FLAG_BIT(FLAG_ESTIMATED);
	m.n_parts = 0;
	measurement_add(&m, METRIC_ENERGY, UNIT_KCAL,
			number_of(thousandths(record->day.met_tenths, t->rules->resting_kcal), -3));
	return tell(t, &m, record);
}

static int tell_day(struct teller *t, const struct fitbit_record *record)
{
	const struct fitbit_day *x = &record->day;
	struct measurement m = { .metric = METRIC_STEPS };
	int r;

	if (!can_be(t, x->time)) {
		t->told.refused++;
		return 0;
	}
	if (says_nothing(x))
		return 0;
	t->told.days++;
	set_day(t, &m, x);
	measurement_add(&m, METRIC_STEPS, UNIT_STEPS, number_of(x->steps, 0));
	measurement_add(&m, METRIC_DISTANCE, UNIT_M, number_of(x->distance_mm, -3));
	measurement_add(&m, METRIC_FLOORS, UNIT_FLIGHTS, number_of(x->floors_tenths, -1));
	if (x->has_active)
		measurement_add(&m, METRIC_ACTIVE_MINUTES, UNIT_MIN,
				number_of(x->active_minutes, 0));
	r = tell(t, &m, record);
	return r < 0 ? r : tell_energy(t, &m, record);
}

static int on_record(void *user, const struct fitbit_record *record)
{
	struct teller *t = user;

	switch (record->kind) {
	case FITBIT_DEVICE:
		t->told.device = record->device;
		return 0;
	case FITBIT_MINUTE:
		return tell_minute(t, record);
	case FITBIT_DAY:
		return tell_day(t, record);
	case FITBIT_EVENT:
	case FITBIT_CLIMB:
	case FITBIT_ALARM:
	case FITBIT_UNREAD:
		break;
	}
	return 0;
}

static int on_look(void *user, const struct fitbit_record *record)
{
	struct teller *t = user;

	if (record->kind == FITBIT_DAY && can_be(t, record->day.time) &&
	    record->day.time > t->newest_snapshot)
		t->newest_snapshot = record->day.time;
	return 0;
}

static int tell_refused(struct teller *t)
{
	const struct measurement m = { .metric = METRIC_STEPS,
				       .flags = FLAG_BIT(FLAG_BACKFILL) |
						FLAG_BIT(FLAG_UNAVAILABLE) |
						FLAG_BIT(FLAG_CLOCK_NOT_SET) };

	return t->told.refused > 0 ? tell(t, &m, NULL) : 0;
}

int fitbit_measure(const struct fitbit_dump *d, const uint8_t *key,
		   const struct fitbit_rules *rules, fitbit_say *say, void *user,
		   struct fitbit_told *ret)
{
	struct teller t = { .rules = rules, .say = say, .user = user };
	int r = fitbit_dump_read(d, key, on_look, &t);

	/* the others' motion byte is another thing, or none */
	t.estimates_sleep = d->product == FITBIT_FLEX;
	t.sleep = (struct sleep_estimate){ .say = on_sleep, .user = &t };
	if (r == 0)
		r = fitbit_dump_read(d, key, on_record, &t);
	if (r == 0)
		r = tell_refused(&t);
	if (r < 0)
		return r;
	*ret = t.told;
	return 0;
}

/* ---- for drivers ---- */

static int say_emit(void *user, const struct measurement *m, const struct fitbit_record *record)
{
	(void)record;
	return drv_emit(user, m);
}

#define NAME_SIZE (2 * FITBIT_SERIAL_SIZE + 1)

static void name_of(const uint8_t serial[FITBIT_SERIAL_SIZE], char ret[NAME_SIZE])
{
	for (size_t i = 0; i < FITBIT_SERIAL_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", serial[i]);
}

int fitbit_identity(struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE])
{
	char name[NAME_SIZE];

	name_of(serial, name);
	return drv_identity(ctx, "fitbit", name, strlen(name));
}

static int tell_facts(struct drv_ctx *ctx, const struct fitbit_dump *d,
		      const struct fitbit_device *x)
{
	const char *model = fitbit_product_name(d->product);
	char serial[NAME_SIZE], firmware[8];
	int r;

	name_of(d->serial, serial);
	(void)snprintf(firmware, sizeof(firmware), "%u.%u", x->application[0], x->application[1]);
	r = drv_fact(ctx, DRV_MAKE, "Fitbit", 6);
	if (r >= 0 && model)
		r = drv_fact(ctx, DRV_MODEL, model, strlen(model));
	if (r >= 0)
		r = drv_fact(ctx, DRV_SERIAL, serial, strlen(serial));
	if (r >= 0)
		r = drv_fact(ctx, DRV_FIRMWARE, firmware, strlen(firmware));
	return r < 0 || !x->has_percent ? r : drv_battery(ctx, x->percent);
}

int fitbit_emit(struct drv_ctx *ctx, const struct fitbit_dump *d, const uint8_t *key,
		const struct fitbit_rules *rules, struct fitbit_told *ret)
{
	struct fitbit_told told;
	int r = fitbit_measure(d, key, rules, NULL, NULL, &told);

	assert(rules->limit <= DRV_EMITS_MAX);
	if (r == 0)
		r = fitbit_identity(ctx, d->serial);
	if (r == 0)
		r = tell_facts(ctx, d, &told.device);
	return r < 0 ? r : fitbit_measure(d, key, rules, say_emit, ctx, ret);
}

int fitbit_key_of(const uint8_t *bytes, size_t len, const uint8_t serial[FITBIT_SERIAL_SIZE],
		  uint8_t ret[FITBIT_KEY_SIZE])
{
	if (len == FITBIT_SERIAL_SIZE + FITBIT_KEY_SIZE) {
		if (memcmp(bytes, serial, FITBIT_SERIAL_SIZE) != 0)
			return -ENOKEY;
		bytes += FITBIT_SERIAL_SIZE;
		len -= FITBIT_SERIAL_SIZE;
	}
	if (len != FITBIT_KEY_SIZE)
		return -EBADMSG;
	memcpy(ret, bytes, FITBIT_KEY_SIZE);
	return 0;
}

int fitbit_key(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
	       uint8_t ret[FITBIT_KEY_SIZE])
{
	char name[NAME_SIZE];
	uint8_t bytes[DRV_KEY_MAX];
	size_t len;
	int r;

	name_of(serial, name);
	len = drv_key(ctx, name, bytes);
	r = len > 0 ? fitbit_key_of(bytes, len, serial, ret) : -ENOKEY;
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}
