/*
 * Personal health devices that speak ISO/IEEE 11073-20601: cuffs, scales, glucose meters, oximeters
 * and thermometers behind a USB interface of class 0x0f (PHDC). protocols/ieee11073/ is the
 * protocol; here its observations become measurements.
 *
 *   agent --AARQ--> who it is (system id) and which configuration   we --AARE-->
 *   we    --get MDS-->                agent --its make, model, clock-->
 *   agent --confirmed report-->       held; emitted; once it is durable:   we --response-->
 *   agent --RLRQ-->                   we --RLRE-->; the agent may associate again
 *
 * An agent forgets what was answered. So a report is answered in committed() alone, or at once if
 * there is no reading in it. One of which nothing can be said (no quantity that has a name here),
 * or that would be said wrong (a unit of another dimension, a number beyond any device), is
 * rejected, and the agent keeps it; if it insists, the association is aborted. What an agent has
 * stored is read and stays where it is, so there such an entry is passed over.
 *
 * An agent may report before it has said what its clock shows. Such a reading waits for that, three
 * seconds at most, so that its stamp can be corrected; only a confirmed one, which the agent keeps.
 *
 * The system id is the device: readings are filed under it, and never under a socket of the hub.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "protocols/gatt/temperature.h"
#include "protocols/ieee11073/manager.h"
#include "protocols/ieee11073/nomenclature.h"

#define SYSTEM_ID_TEXT (APDU_SYSTEM_ID * 3)
#define TICK_US        125
#define HELD_MAX       8   /* measurements that wait for the device's clock */
#define PERSONS_MAX    254 /* user slots; 255 is a user that the device does not know */

/* Our own EUI-64, one for all hubs: the bit for locally administered ones is set. An agent sees one
 * manager at a time. */
static const uint8_t manager_id[APDU_SYSTEM_ID] = { 0x02, 'W', 'E', 'L', 'L', 'G', 'T', 'E' };

struct state {
	struct phd_manager manager; /* without a cache: it knows its last configuration */
	int64_t armed;              /* when the timer is to fire; PHD_NO_DEADLINE */
	bool has_id;
	uint8_t system_id[APDU_SYSTEM_ID];
	enum device_time_kind clock; /* which of its clocks the device has told */
	bool waits;                  /* a reading is not durable yet */
	size_t n_held;
	struct measurement held[HELD_MAX];
	bool is_over; /* another device spoke on this link: nothing is listened to any more */

	/* of the callback that runs */
	int error;             /* why it cannot go well; the first one */
	unsigned int n_emits;  /* measurements */
	unsigned int n_finals; /* readings */
	unsigned int n_unsaid; /* values of quantities that have no name here */
	bool has_stored;       /* out of a store */
	bool holds;            /* what comes of it is to wait for the clock */
	size_t n_held_before;
	bool has_open;
	struct measurement open; /* may be completed by the next observation */
	struct measurement next; /* what is made of that, while there is an open one */
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_USB, .usb_class = 0x0f },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_APDU, .mode = DRV_NOTIFY },
	{ 0 },
};

/* ---- what a value means ---- */

/* Terms of partition MDC_PART_SCADA. Those that the registry of metrics has are not repeated here:
 * that is asked first. Source: the nomenclature annexes of -10417 and -10408, as several public
 * headers and FHIR value sets have them. */
#define MDC_GLUCOSE_CAPILLARY_PLASMA     29116
#define MDC_GLUCOSE_VENOUS_BLOOD         29120
#define MDC_GLUCOSE_VENOUS_PLASMA        29124
#define MDC_GLUCOSE_ARTERIAL_BLOOD       29128
#define MDC_GLUCOSE_ARTERIAL_PLASMA      29132
#define MDC_GLUCOSE_CONTROL              29136
#define MDC_GLUCOSE_UNDETERMINED_BLOOD   29292
#define MDC_GLUCOSE_UNDETERMINED_PLASMA  29296
#define MDC_TEMPERATURE_TYMPANUM         19320
#define MDC_TEMPERATURE_RECTUM           57348
#define MDC_TEMPERATURE_MOUTH            57352
#define MDC_TEMPERATURE_EAR              57356
#define MDC_TEMPERATURE_FINGER           57360
#define MDC_TEMPERATURE_TOE              57376
#define MDC_TEMPERATURE_ARMPIT           57380
#define MDC_TEMPERATURE_GASTROINTESTINAL 57384

/* The terms of the registry, to search: each value asks for its own. */
static const uint32_t terms[METRIC_END] = {
#define METRIC(number, id, name, label, unit, group, loinc, snomed, mdc, ...) [METRIC_##id] = (mdc),
#include "protocols/messages/metrics.def"
#undef METRIC
};

struct quantity {
	enum metric metric;
	enum metric whole; /* what it is a part of */
};

static const struct quantity quantities[] = {
	{ METRIC_SYSTOLIC, METRIC_BLOOD_PRESSURE },
	{ METRIC_DIASTOLIC, METRIC_BLOOD_PRESSURE },
	{ METRIC_MEAN_PRESSURE, METRIC_BLOOD_PRESSURE },
	{ METRIC_PULSE, METRIC_PULSE },
	{ METRIC_SPO2, METRIC_SPO2 },
	{ METRIC_PULSE_OXIMETER, METRIC_PULSE_OXIMETER },
	{ METRIC_BODY_WEIGHT, METRIC_BODY_WEIGHT },
	{ METRIC_HEIGHT, METRIC_HEIGHT },
	{ METRIC_BMI, METRIC_BMI },
	{ METRIC_BODY_FAT, METRIC_BODY_FAT },
	{ METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	{ METRIC_GLUCOSE, METRIC_GLUCOSE },
	{ METRIC_HEART_RATE, METRIC_HEART_RATE },
};

/* The same quantities under another name, which says more. */
static const struct {
	uint16_t term;
	struct quantity quantity;
	enum gatt_temperature_type site; /* 0: none */
	uint64_t flags;
} variants[] = {
	{ MDC_GLUCOSE_CAPILLARY_PLASMA, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_VENOUS_BLOOD, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_VENOUS_PLASMA, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_ARTERIAL_BLOOD, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_ARTERIAL_PLASMA, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_UNDETERMINED_BLOOD, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_UNDETERMINED_PLASMA, { METRIC_GLUCOSE, METRIC_GLUCOSE }, 0, 0 },
	{ MDC_GLUCOSE_CONTROL,
	  { METRIC_GLUCOSE, METRIC_GLUCOSE },
	  0,
	  FLAG_BIT(FLAG_CONTROL_SOLUTION) },
	{ MDC_TEMPERATURE_TYMPANUM,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_TYMPANUM,
	  0 },
	{ MDC_TEMPERATURE_RECTUM,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_RECTUM,
	  0 },
	{ MDC_TEMPERATURE_MOUTH,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_MOUTH,
	  0 },
	{ MDC_TEMPERATURE_EAR,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_EAR,
	  0 },
	{ MDC_TEMPERATURE_FINGER,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_FINGER,
	  0 },
	{ MDC_TEMPERATURE_TOE,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_TOE,
	  0 },
	{ MDC_TEMPERATURE_ARMPIT,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_ARMPIT,
	  0 },
	{ MDC_TEMPERATURE_GASTROINTESTINAL,
	  { METRIC_TEMPERATURE, METRIC_TEMPERATURE },
	  GATT_TEMPERATURE_GASTRO_INTESTINAL,
	  0 },
};

/* What belongs to what, if it has the same stamp and stands right behind it in one report. */
static const struct {
	enum metric whole, part;
} belongs[] = {
	{ METRIC_BLOOD_PRESSURE, METRIC_PULSE }, { METRIC_SPO2, METRIC_PULSE_OXIMETER },
	{ METRIC_BODY_WEIGHT, METRIC_HEIGHT },   { METRIC_BODY_WEIGHT, METRIC_BMI },
	{ METRIC_BODY_WEIGHT, METRIC_BODY_FAT },
};

static const struct {
	uint16_t bit;
	uint64_t flags;
} status_bits[] = {
	{ PHD_STATUS_INVALID, FLAG_BIT(FLAG_INVALID) },
	{ PHD_STATUS_QUESTIONABLE, FLAG_BIT(FLAG_QUESTIONABLE) },
	{ PHD_STATUS_NOT_AVAILABLE, FLAG_BIT(FLAG_UNAVAILABLE) },
	{ PHD_STATUS_CALIBRATING, FLAG_BIT(FLAG_CALIBRATING) },
	{ PHD_STATUS_TEST | PHD_STATUS_DEMO, FLAG_BIT(FLAG_TEST) },
	{ PHD_STATUS_EARLY, FLAG_BIT(FLAG_EARLY_ESTIMATE) },
	{ PHD_STATUS_ONGOING, FLAG_BIT(FLAG_ONGOING) },
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* NULL: it has no name here. What else the name says goes to *m. */
static const struct quantity *quantity_of(uint32_t code, struct measurement *m)
{
	for (size_t i = 0; i < N(quantities); i++) {
		if (terms[quantities[i].metric] == code)
			return &quantities[i];
	}
	for (size_t i = 0; i < N(variants); i++) {
		if (((uint32_t)MDC_PART_SCADA << 16 | variants[i].term) != code)
			continue;
		m->flags |= variants[i].flags;
		if (variants[i].site != 0)
			m->context = gatt_temperature_type_name(variants[i].site);
		return &variants[i].quantity;
	}
	return NULL;
}

/* The unit that the quantity is kept in is asked first: nearly always it is that one. */
static enum unit unit_of(uint16_t term, enum metric metric)
{
	const uint32_t code = (uint32_t)MDC_PART_DIMENSION << 16 | term;
	const enum unit kept_in = metric_info(metric)->unit;

	if (term != 0 && unit_info(kept_in)->mdc == code)
		return kept_in;
	for (unsigned int u = UNIT_NONE + 1; term != 0 && u < UNIT_END; u++) {
		if (unit_info(u)->mdc == code)
			return (enum unit)u;
	}
	return UNIT_NONE;
}

static bool unit_fits(enum unit unit, enum metric metric)
{
	const enum unit kept_in = metric_info(metric)->unit;

	return unit == kept_in ||
	       (unit != UNIT_NONE && unit_info(unit)->dimension == unit_info(kept_in)->dimension);
}

/* ---- measurements ---- */

static void fail(struct state *s, int error)
{
	if (s->error == 0)
		s->error = error;
}

static void emit(struct drv_ctx *ctx, const struct measurement *m)
{
	const int r = drv_emit(ctx, m);

	if (r < 0)
		fail(drv_state(ctx), r);
}

/* Lets go of the open measurement. */
static void release(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (!s->has_open)
		return;
	s->has_open = false;
	s->n_emits++;
	s->n_finals += measurement_is_final(&s->open);
	if (!s->holds || s->n_held == HELD_MAX) {
		emit(ctx, &s->open);
		return;
	}
	drv_stamp(ctx, &s->open);
	measurement_copy(&s->held[s->n_held++], &s->open);
}

static bool awaits_clock(const struct state *s)
{
	return s->manager.state == PHD_OPERATING && s->manager.work == PHD_WORK_MDS;
}

/* The clock is known, or will not be. */
static void let_go(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	for (size_t i = 0; i < s->n_held; i++)
		emit(ctx, &s->held[i]);
	s->n_held = 0;
}

static bool same_time(const struct device_time *a, const struct device_time *b)
{
	return a->kind == b->kind && a->year == b->year && a->month == b->month &&
	       a->day == b->day && a->hour == b->hour && a->minute == b->minute &&
	       a->second == b->second && a->fraction_us == b->fraction_us && a->ticks == b->ticks;
}

static bool has_part(const struct measurement *m, enum metric metric)
{
	for (unsigned int i = 0; i < m->n_parts; i++) {
		if (m->parts[i].metric == metric)
			return true;
	}
	return false;
}

/* What is flagged otherwise stays by itself: an invalid pulse spoils no blood pressure. */
static bool completes(const struct measurement *whole, const struct measurement *m)
{
	bool related = false;

	for (size_t i = 0; i < N(belongs) && !related; i++)
		related = belongs[i].whole == whole->metric && belongs[i].part == m->metric;
	return related && m->n_parts == 1 && whole->n_parts < MEASUREMENT_PARTS_MAX &&
	       !has_part(whole, m->metric) && whole->flags == m->flags &&
	       whole->has_user_slot == m->has_user_slot && whole->user_slot == m->user_slot &&
	       whole->record_number == m->record_number && same_time(&whole->time, &m->time);
}

/* m is s->open itself if there was none: it is then */
static void hand_on(struct drv_ctx *ctx, const struct measurement *m)
{
	struct state *s = drv_state(ctx);

	if (s->has_open && completes(&s->open, m)) {
		measurement_add(&s->open, m->parts[0].metric, m->parts[0].unit, m->parts[0].number);
		return;
	}
	if (s->has_open) {
		release(ctx);
		measurement_copy(&s->open, m);
	}
	s->has_open = true;
}

/* *ret is an empty one: field by field, since a copy of what was just made has to be waited for */
static void civil_time(enum device_time_kind kind, const struct mder_time *t,
		       struct device_time *ret)
{
	ret->kind = kind;
	ret->year = t->year;
	ret->month = t->month;
	ret->day = t->day;
	ret->hour = t->hour;
	ret->minute = t->minute;
	ret->second = t->second;
	ret->fraction_us = t->hundredth * 10000U;
}

static void set_time(const struct state *s, const struct phd_observation *o, struct measurement *m)
{
	switch (o->stamp) {
	case PHD_STAMP_GIVEN:
		civil_time(DEVICE_TIME_LOCAL, &o->time, &m->time);
		break;
	case PHD_STAMP_BASE_OFFSET:
		civil_time(DEVICE_TIME_UTC, &o->time, &m->time);
		break;
	case PHD_STAMP_INVALID:
		m->flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
		return;
	case PHD_STAMP_NONE:
		if (o->has_ticks)
			m->time = (struct device_time){ .kind = DEVICE_TIME_TICKS,
							.ticks = o->ticks,
							.tick_us = TICK_US };
		break;
	}
	if (m->time.kind == DEVICE_TIME_NONE || s->clock == DEVICE_TIME_NONE ||
	    m->time.kind == s->clock)
		return;
	/* the offset of one clock must not correct the stamps of another */
	m->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
	if (m->time.kind == DEVICE_TIME_TICKS)
		m->time = (struct device_time){ 0 };
}

/* Out of a store. Where a stamp names the entry its number is left out: the same reading may also
 * come, or have come, in a report of its own. */
static void set_store(const struct phd_observation *o, struct measurement *m)
{
	if (!o->is_stored)
		return;
	m->flags |= FLAG_BIT(FLAG_BACKFILL);
	if (m->time.kind != DEVICE_TIME_NONE)
		return;
	m->has_record_number = true;
	m->record_number = (uint32_t)o->segment << 24 | (o->entry & 0xffffff);
}

static void set_status(const struct phd_observation *o, bool is_test, struct measurement *m)
{
	for (size_t i = 0; i < N(status_bits); i++) {
		if (o->status & status_bits[i].bit)
			m->flags |= status_bits[i].flags;
	}
	if (is_test)
		m->flags |= FLAG_BIT(FLAG_TEST);
	if (o->person == PHD_PERSON_UNKNOWN)
		return;
	m->has_user_slot = true;
	m->user_slot = o->person <= PERSONS_MAX ? (uint8_t)o->person : UINT8_MAX;
}

static bool number_fits(const struct number *n)
{
	return n->absent != ABSENT_NO || (n->value.exponent >= -DECIMAL_EXPONENT_MAX &&
					  n->value.exponent <= DECIMAL_EXPONENT_MAX);
}

/* false: it would be said wrong */
static bool add_value(struct state *s, const struct phd_value *v, struct measurement *m)
{
	const struct quantity *q = quantity_of(v->metric, m);
	enum unit unit;

	if (!q) {
		s->n_unsaid++;
		return true;
	}
	unit = unit_of(v->unit, q->metric);
	if (!unit_fits(unit, q->metric) || has_part(m, q->metric) || !number_fits(&v->number))
		return false;
	if (m->n_parts == 0)
		m->metric = q->whole;
	measurement_add(m, q->metric, unit, v->number);
	return true;
}

/* ---- the manager's sink ---- */

static void on_send(void *user, const uint8_t *apdu, size_t len)
{
	struct drv_ctx *ctx = user;
	const int r = drv_write(ctx, DRV_WIRE_APDU, apdu, len);

	if (r < 0)
		fail(drv_state(ctx), -ENOBUFS); /* what we said and what it heard would differ */
}

static void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	struct drv_ctx *ctx = user;
	struct state *s = drv_state(ctx);
	struct measurement *m = s->has_open ? &s->next : &s->open;

	measurement_begin(m);
	for (size_t i = 0; i < o->n_values; i++) {
		if (add_value(s, &o->values[i], m))
			continue;
		if (!o->is_stored)
			fail(s, -ERANGE);
		return;
	}
	s->has_stored = s->has_stored || o->is_stored;
	if (m->n_parts == 0)
		return;
	set_status(o, is_test, m);
	set_time(s, o, m);
	set_store(o, m);
	hand_on(ctx, m);
}

static void tell_clock(struct drv_ctx *ctx, const struct phd_mds *mds)
{
	struct state *s = drv_state(ctx);
	struct device_time now = { .kind = DEVICE_TIME_NONE };

	if (mds->stamp == PHD_STAMP_GIVEN)
		civil_time(DEVICE_TIME_LOCAL, &mds->time, &now);
	else if (mds->stamp == PHD_STAMP_BASE_OFFSET)
		civil_time(DEVICE_TIME_UTC, &mds->time, &now);
	else if (mds->has_ticks)
		now = (struct device_time){ .kind = DEVICE_TIME_TICKS,
					    .ticks = mds->ticks,
					    .tick_us = TICK_US };
	if (now.kind != DEVICE_TIME_NONE && drv_clock(ctx, &now) == 0)
		s->clock = now.kind;
}

/* Text that is no text is left out: what the device measured counts all the same. */
static void tell(struct drv_ctx *ctx, enum drv_fact fact, const struct phd_text *text)
{
	if (text->len > 0)
		(void)drv_fact(ctx, fact, text->text, text->len);
}

/* Its serial number is not told: the system id names it, and there is one name. */
static void on_mds(void *user, const struct phd_mds *mds)
{
	struct drv_ctx *ctx = user;

	tell(ctx, DRV_MAKE, &mds->manufacturer);
	tell(ctx, DRV_MODEL, &mds->model);
	tell(ctx, DRV_FIRMWARE, &mds->firmware);
	tell(ctx, DRV_HARDWARE, &mds->hardware);
	if (mds->has_battery)
		(void)drv_battery(ctx, mds->battery);
	tell_clock(ctx, mds);
}

static const struct phd_manager_sink manager_sink = {
	.send = on_send,
	.observation = on_observation,
	.mds = on_mds,
};

/* ---- after each call of the manager ---- */

/* Two devices on one link would be filed under one name: the link ends. */
static int identify(struct drv_ctx *ctx)
{
	static const uint8_t nobody[APDU_SYSTEM_ID];
	struct state *s = drv_state(ctx);
	const uint8_t *id = s->manager.agent.system_id;
	char text[SYSTEM_ID_TEXT + 1];
	size_t n = 0;

	if (s->manager.state != PHD_OPERATING && s->manager.state != PHD_CONFIGURING)
		return 0;
	if (s->has_id && memcmp(s->system_id, id, APDU_SYSTEM_ID) != 0) {
		s->is_over = true;
		phd_manager_disconnected(&s->manager);
		drv_done(ctx);
		return -EBADMSG;
	}
	if (s->has_id)
		return 0;
	s->has_id = true;
	memcpy(s->system_id, id, APDU_SYSTEM_ID);
	if (memcmp(id, nobody, APDU_SYSTEM_ID) == 0)
		return 0;
	for (size_t i = 0; i < APDU_SYSTEM_ID; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%02X", i > 0 ? "-" : "",
				      id[i]);
	return drv_fact(ctx, DRV_SERIAL, text, n);
}

static int arm(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int64_t deadline = phd_manager_deadline(&s->manager), left;

	if (s->n_held > 0 && !awaits_clock(s)) /* a spoiled frame cannot bring them along */
		deadline = drv_now(ctx);
	if (deadline == s->armed)
		return 0;
	s->armed = deadline;
	if (deadline == PHD_NO_DEADLINE)
		return drv_set_timeout(ctx, 0);
	left = (deadline - drv_now(ctx) + 999) / 1000;
	return drv_set_timeout(ctx, left > 0 ? (unsigned int)left : 1);
}

static void begin(struct state *s)
{
	s->error = 0;
	s->n_emits = s->n_finals = s->n_unsaid = 0;
	s->has_stored = s->holds = false;
	s->n_held_before = s->n_held;
}

static unsigned int spoiled(const struct phd_manager_counts *c)
{
	return c->malformed_apdus + c->malformed_reports + c->dropped_observations;
}

/* 0, or what was wrong with this one frame, or what ends the link */
static int settle(struct drv_ctx *ctx, const struct phd_manager_counts *before)
{
	struct state *s = drv_state(ctx);
	const struct phd_manager_counts *now = &s->manager.counts;
	int r = s->error;

	release(ctx);
	if (r == 0)
		r = s->error;
	if (r == 0 && s->n_unsaid > 0 && s->n_emits == 0 && !s->has_stored)
		r = -ENOMSG;
	if (r == -ERANGE || r == -ENOMSG) /* understood not at all, or not enough */
		phd_manager_reject(&s->manager);
	if (r == 0 && s->n_emits == 0 && spoiled(now) > spoiled(before))
		r = -EBADMSG;
	if (r == 0 && s->n_emits == 0 && now->unexpected > before->unexpected)
		r = -ENOMSG;
	if (r < 0)
		s->n_held = s->n_held_before;
	else if (!awaits_clock(s))
		let_go(ctx);
	return r < 0 ? r : s->error;
}

static int on_open(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->armed = PHD_NO_DEADLINE;
	phd_manager_init(&s->manager, &manager_sink, ctx, NULL, manager_id);
	phd_manager_connected(&s->manager);
	return 0;
}

static bool is_confirmed(const struct drv_frame *frame)
{
	uint16_t invoke_id, operation;

	return apdu_peek(frame->data, frame->len, &invoke_id, &operation) &&
	       operation == APDU_EVENT_CONFIRMED;
}

static bool is_refused(const struct state *s)
{
	return s->manager.state == PHD_CONFIGURING && s->manager.attempts > 0;
}

/* An agent offers configurations until one of them is known, or it gives up. */
static void say_supported(struct drv_ctx *ctx, bool was_refused)
{
	const struct state *s = drv_state(ctx);

	if (s->manager.state == PHD_OPERATING)
		drv_news_over(ctx, DRV_NEWS_MODEL_NOT_SUPPORTED);
	else if (was_refused && s->manager.state != PHD_CONFIGURING)
		drv_news(ctx, DRV_NEWS_MODEL_NOT_SUPPORTED);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	const struct phd_manager_counts before = s->manager.counts;
	const bool was_refused = is_refused(s);
	int r, err;

	if (frame->channel != DRV_WIRE_APDU || s->is_over)
		return -ENOMSG;
	begin(s);
	s->holds = awaits_clock(s) && is_confirmed(frame);
	phd_manager_apdu(&s->manager, frame->data, frame->len, drv_now(ctx));
	say_supported(ctx, was_refused);
	r = settle(ctx, &before);
	if (r == 0 && s->n_finals > 0)
		s->waits = true;
	if (!s->waits && r == 0) /* there is no reading in it: nothing to lose */
		phd_manager_committed(&s->manager, drv_now(ctx));
	err = identify(ctx);
	if (err == 0)
		err = arm(ctx);
	return err < 0 ? err : r;
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	begin(s);
	if (s->n_held > 0) /* not all that was reported is durable: not even said */
		return 0;
	s->waits = false;
	phd_manager_committed(&s->manager, drv_now(ctx));
	if (s->error < 0)
		return s->error;
	return arm(ctx);
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const bool was_refused = is_refused(s);

	begin(s);
	s->armed = PHD_NO_DEADLINE;
	phd_manager_timeout(&s->manager, drv_now(ctx));
	say_supported(ctx, was_refused);
	if (!awaits_clock(s))
		let_go(ctx);
	if (s->error < 0)
		return s->error;
	return arm(ctx);
}

static void on_close(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	phd_manager_disconnected(&s->manager);
}

const struct driver driver_phd = {
	.name = "phd",
	.label = "IEEE 11073 personal health device (PHDC)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.close = on_close,
};
