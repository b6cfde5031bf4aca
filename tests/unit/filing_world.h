/*
 * A gateway from the devices' packets to the store, without sockets and with clocks of its own.
 * Everything in it is made up.
 */
#pragma once

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/log.h"
#include "gateway/pipeline.h"
#include "protocols/messages/codes.h"
#include "registry_make.h"

/* turns of the loop until something hung */
#define TURNS_MAX 100000

/* ahead of the machine's clock, so that no timer of the period's end is due: 2032 */
#define STARTS (SOME_TIME + 2000 * DAY)

static struct receipt clocks; /* of the whole world */

static inline void clocks_read(struct receipt *ret)
{
	*ret = clocks;
}

static inline void pass(int64_t ms)
{
	clocks.utc_ms += ms;
	clocks.boottime_us += ms * 1000;
}

/* a start of the machine; utc_ms: what its wall clock shows */
static inline void boot(unsigned int number, int64_t utc_ms, bool synced)
{
	memset(clocks.boot_id, 0, sizeof(clocks.boot_id));
	memcpy(clocks.boot_id, &number, sizeof(number));
	clocks.boot_id[15] = 1;
	clocks.boottime_us = 20000000;
	clocks.utc_ms = utc_ms;
	clocks.synced = synced;
}

struct world {
	char dir[64];
	struct config config;
	char site[8], hub[8], zone[16], subject[8];
	sd_event *event;
	struct store *store;
	struct intake *intake;
	struct goal_book *book;
	struct publish *publish;
	struct pipeline *pipeline;
	uint64_t sequence, committed;
	unsigned int refused;
	uint64_t device_added; /* revision */
};

static inline void on_committed(void *user, uint64_t sequence)
{
	((struct world *)user)->committed = sequence;
}

static inline void on_full(void *user, bool full)
{
	(void)user;
	assert_false(full);
}

static inline void on_refused(void *user, uint64_t sequence, const char *reason)
{
	(void)sequence;
	(void)reason;
	((struct world *)user)->refused++;
}

static inline void on_restart(void *user)
{
	(void)user;
}

static inline void attach(struct world *w)
{
	const struct pipeline_back back = { .committed = on_committed,
					    .full = on_full,
					    .refused = on_refused,
					    .restart = on_restart,
					    .user = w };

	w->sequence = w->committed = 0;
	pipeline_attach(w->pipeline, &back);
}

static inline void start_up(struct world *w)
{
	const struct intake_options intake = { .time_zone = w->config.time_zone,
					       .subject = w->config.subject,
					       .now = clocks_read };
	const struct store_options store = { .dir = w->dir, .keep_days = w->config.keep_days };
	char *said = NULL;

	assert_int_equal(sd_event_new(&w->event), 0);
	assert_int_equal(store_open(&store, &w->store, &said), 0);
	assert_null(said);
	assert_int_equal(intake_new(&intake, &w->intake), 0);
	assert_int_equal(goal_book_new(w->config.goals, w->config.n_goals, "hub1",
				       store_identity(w->store)->epoch, &w->book),
			 0);
	assert_int_equal(publish_new(w->event, &w->config, w->store, &w->publish), 0);
	const struct pipeline_parts parts = { .event = w->event,
					      .config = &w->config,
					      .store = w->store,
					      .intake = w->intake,
					      .book = w->book,
					      .publish = w->publish };
	assert_int_equal(pipeline_new(&parts, &w->pipeline), 0);
	attach(w);
}

static inline void shut_down(struct world *w)
{
	pipeline_free(w->pipeline);
	publish_free(w->publish, 0);
	goal_book_free(w->book);
	intake_free(w->intake);
	store_close(w->store);
	sd_event_unref(w->event);
}

static inline void restart(struct world *w)
{
	shut_down(w);
	start_up(w);
}

/* turns the loop until nothing is left to do at once */
static inline void settle(struct world *w)
{
	for (unsigned int i = 0; i < TURNS_MAX; i++) {
		const int r = sd_event_run(w->event, 0);

		assert_true(r >= 0);
		if (r == 0)
			return;
	}
	fail_msg("hung");
}

static inline void world_new(struct world *w)
{
	log_open("test", LOG_LEVEL_ERROR);
	*w = (struct world){ .site = "test", .hub = "hub1", .zone = "Europe/London" };
	/* in memory where there is such a place: what is asked here is not whether fsync works */
	(void)snprintf(w->dir, sizeof(w->dir), "%s/test_filing.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	w->config = (struct config){ .site = w->site,
				     .hub = w->hub,
				     .time_zone = w->zone,
				     .state_dir = w->dir,
				     .keep_days = 90,
				     .keep_alive = 25,
				     .window = 100,
				     .batch = 50 };
	boot(1, STARTS, true);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void world_free(struct world *w)
{
	assert_int_equal(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- devices ---- */

static inline void take(struct world *w, Wellgate__V1__FromDevices *m)
{
	uint8_t packet[4096];
	const size_t len = wellgate__v1__from_devices__get_packed_size(m);

	assert_true(len <= sizeof(packet));
	(void)wellgate__v1__from_devices__pack(m, packet);
	assert_int_equal(pipeline_take(w->pipeline, packet, len), 0);
}

/* link n is to the device with this serial number */
static inline void link_up(struct world *w, uint32_t n, const char *serial)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkUp up = WELLGATE__V1__LINK_UP__INIT;
	char driver[] = "sig_bp", text[32];

	(void)snprintf(text, sizeof(text), "%s", serial);
	up.has_link = true;
	up.link = n;
	up.driver = driver;
	up.serial = text;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP;
	m.link_up = &up;
	take(w, &m);
}

/* one measurement of a cuff or a scale */
struct made {
	uint32_t link;
	int systolic; /* 0: a weight */
	int64_t grams;
	int64_t stamp_ms;      /* the device's clock, read as UTC; 0: it has none */
	uint32_t record, slot; /* 0: none */
	int64_t offset_ms;
	bool compared, backfill;
	uint32_t tag; /* not 0: found again in raw_digest */
};

static inline void put_stamp(Wellgate__V1__DeviceTime *t, int64_t ms)
{
	const time_t s = (time_t)(ms / 1000);
	struct tm tm;

	assert_non_null(gmtime_r(&s, &tm));
	wellgate__v1__device_time__init(t);
	t->has_kind = t->has_year = t->has_month = t->has_day = true;
	t->has_hour = t->has_minute = t->has_second = true;
	t->kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	t->year = (uint32_t)tm.tm_year + 1900;
	t->month = (uint32_t)tm.tm_mon + 1;
	t->day = (uint32_t)tm.tm_mday;
	t->hour = (uint32_t)tm.tm_hour;
	t->minute = (uint32_t)tm.tm_min;
	t->second = (uint32_t)tm.tm_sec;
}

struct parts {
	Wellgate__V1__Measurement__Part part[2];
	Wellgate__V1__Decimal value[2];
	Wellgate__V1__Measurement__Part *list[2];
};

static inline void put_part(struct parts *p, size_t i, enum metric metric, int64_t mantissa,
			    int exponent, enum unit unit)
{
	wellgate__v1__measurement__part__init(&p->part[i]);
	wellgate__v1__decimal__init(&p->value[i]);
	p->value[i].has_mantissa = p->value[i].has_exponent = true;
	p->value[i].mantissa = mantissa;
	p->value[i].exponent = exponent;
	p->part[i].has_metric = p->part[i].has_unit = true;
	p->part[i].metric = (Wellgate__V1__Metric)metric;
	p->part[i].value = &p->value[i];
	p->part[i].unit = unit;
	p->list[i] = &p->part[i];
}

static inline void fill(const struct made *made, Wellgate__V1__Measurement *m, struct parts *p,
			Wellgate__V1__DeviceTime *t)
{
	static Wellgate__V1__Flag backfill = WELLGATE__V1__FLAG__FLAG_BACKFILL;
	static uint8_t boot_id[16], tag[16];

	if (made->systolic) {
		put_part(p, 0, METRIC_SYSTOLIC, made->systolic, 0, UNIT_MMHG);
		put_part(p, 1, METRIC_DIASTOLIC, 70, 0, UNIT_MMHG);
	} else {
		put_part(p, 0, METRIC_BODY_WEIGHT, made->grams, -3, UNIT_KG);
	}
	m->parts = p->list;
	m->n_parts = made->systolic ? 2 : 1;
	m->has_metric = m->has_link = m->has_seen_boottime_us = m->has_seen_boot_id = true;
	m->metric = made->systolic ? WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE
				   : WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	m->link = made->link;
	memcpy(boot_id, clocks.boot_id, sizeof(boot_id));
	m->seen_boot_id = (ProtobufCBinaryData){ sizeof(boot_id), boot_id };
	m->seen_boottime_us = clocks.boottime_us;
	m->has_seen_utc_ms = true;
	m->seen_utc_ms = clocks.utc_ms;
	m->has_record_number = made->record > 0;
	m->record_number = made->record;
	m->has_user_slot = made->slot > 0;
	m->user_slot = made->slot;
	m->has_clock_offset_ms = made->compared;
	m->clock_offset_ms = made->offset_ms;
	m->flags = made->backfill ? &backfill : NULL;
	m->n_flags = made->backfill;
	memcpy(tag, &made->tag, sizeof(made->tag));
	m->has_raw_digest = made->tag != 0;
	m->raw_digest = (ProtobufCBinaryData){ sizeof(tag), tag };
	if (made->stamp_ms) {
		put_stamp(t, made->stamp_ms);
		m->device_time = t;
	}
}

static inline void measure(struct world *w, const struct made *made)
{
	Wellgate__V1__FromDevices from = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__Measurement m = WELLGATE__V1__MEASUREMENT__INIT;
	Wellgate__V1__DeviceTime t;
	struct parts p;

	fill(made, &m, &p, &t);
	from.has_sequence = true;
	from.sequence = ++w->sequence;
	from.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT;
	from.measurement = &m;
	take(w, &from);
}

/* everything sent is durable */
static inline void commit(struct world *w)
{
	assert_int_equal(pipeline_commit(w->pipeline), 0);
	assert_int_equal(w->committed, w->sequence);
}

/* ---- what is stored ---- */

struct tally {
	unsigned int published, hidden, held, corrections;
};

static inline Wellgate__V1__Reading *unpack_row(const struct store_row *row)
{
	Wellgate__V1__Reading *r = wellgate__v1__reading__unpack(NULL, row->len, row->payload);

	if (!r)
		abort();
	return r;
}

static inline void drop(Wellgate__V1__Reading *r)
{
	wellgate__v1__reading__free_unpacked(r, NULL);
}

/* published reading n of those that are shown (1...); the caller drops it */
static inline Wellgate__V1__Reading *shown(struct world *w, unsigned int n)
{
	struct store_row row = { 0 };

	while (store_next(w->store, LANE_READINGS, row.sequence, &row) > 0) {
		Wellgate__V1__Reading *r = unpack_row(&row);

		if (!pipeline_is_hidden(w->pipeline, r->reading_id.data) && --n == 0)
			return r;
		drop(r);
	}
	fail_msg("not so many are published");
	abort();
}

/* held reading n, likewise */
static inline Wellgate__V1__Reading *held(struct world *w, unsigned int n)
{
	struct store_row row = { 0 };

	while (store_next_held(w->store, row.sequence, &row) > 0) {
		if (--n == 0)
			return unpack_row(&row);
	}
	fail_msg("not so many are held");
	abort();
}

/* the last correction; the caller frees it */
static inline Wellgate__V1__Correction *last_correction(struct world *w)
{
	Wellgate__V1__Correction *c = NULL;
	struct store_row row = { 0 };

	while (store_next(w->store, LANE_CORRECTIONS, row.sequence, &row) > 0) {
		if (c)
			wellgate__v1__correction__free_unpacked(c, NULL);
		c = wellgate__v1__correction__unpack(NULL, row.len, row.payload);
	}
	if (!c)
		abort();
	return c;
}

static inline struct tally count(struct world *w)
{
	struct tally t = { .published = 0 };
	struct store_row row = { 0 };

	while (store_next(w->store, LANE_READINGS, row.sequence, &row) > 0) {
		Wellgate__V1__Reading *r = unpack_row(&row);

		if (pipeline_is_hidden(w->pipeline, r->reading_id.data))
			t.hidden++;
		else
			t.published++;
		drop(r);
	}
	row.sequence = 0;
	while (store_next_held(w->store, row.sequence, &row) > 0)
		t.held++;
	row.sequence = 0;
	while (store_next(w->store, LANE_CORRECTIONS, row.sequence, &row) > 0)
		t.corrections++;
	return t;
}

#define assert_tally(w, ...)                                                                       \
	do {                                                                                       \
		const struct tally is = count(w), wanted = { __VA_ARGS__ };                        \
		if (memcmp(&is, &wanted, sizeof(is)) != 0)                                         \
			fail_msg("published %u, hidden %u, held %u, corrections %u", is.published, \
				 is.hidden, is.held, is.corrections);                              \
	} while (0)

/* ---- events ---- */

/* the digest that the hub gave to the device of the only or last known device of this number */
static inline void device_of(struct world *w, unsigned int n, uint8_t ret[REGISTRY_DIGEST])
{
	const struct inventory *inv = pipeline_inventory(w->pipeline);

	assert_true(n < inv->n && inv->devices[n].has_digest);
	memcpy(ret, inv->devices[n].digest, REGISTRY_DIGEST);
}

/* an event about device n of the inventory */
static inline int tell(struct world *w, unsigned int n, Wellgate__V1__RegistryEvent *e,
		       const char **ret_problem)
{
	uint8_t digest[REGISTRY_DIGEST];
	const char *problem = NULL;
	int r;

	device_of(w, n, digest);
	e->has_device = true;
	e->device = (ProtobufCBinaryData){ sizeof(digest), digest };
	r = pipeline_register(w->pipeline, e, &problem);
	if (ret_problem)
		*ret_problem = problem;
	return r;
}

static inline int tell_added_guess(struct world *w, unsigned int n, unsigned int slots,
				   unsigned int memory, bool guessed)
{
	EVENT_OF(e, DeviceAdded, device_added, WELLGATE__V1__REGISTRY_EVENT__DEVICE_ADDED__INIT,
		 DEVICE_ADDED);

	device_added.has_kind = device_added.has_has_clock = true;
	device_added.kind = KIND(CUFF);
	device_added.has_slots = device_added.has_memory_records = true;
	device_added.slots = slots;
	device_added.memory_records = memory;
	device_added.has_clock = true;
	device_added.has_slot_guessed = true;
	device_added.slot_guessed = guessed;
	return tell(w, n, &e, NULL);
}

static inline int tell_added(struct world *w, unsigned int n, unsigned int slots,
			     unsigned int memory)
{
	return tell_added_guess(w, n, slots, memory, false);
}

/* slot 0: the whole device */
static inline int tell_start_slot(struct world *w, unsigned int n, uint32_t slot,
				  const char *subject, int64_t from_ms,
				  Wellgate__V1__RegistryEvent__Basis basis)
{
	char text[REFERENCE_TEXT_MAX];
	EVENT_OF(e, AssignmentStarted, assignment_started,
		 WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_STARTED__INIT, ASSIGNMENT_STARTED);

	(void)snprintf(text, sizeof(text), "%s", subject);
	assignment_started.subject = text;
	assignment_started.has_slot = slot > 0;
	assignment_started.slot = slot;
	assignment_started.has_from_ms = assignment_started.has_basis = true;
	assignment_started.from_ms = from_ms;
	assignment_started.basis = basis;
	return tell(w, n, &e, NULL);
}

static inline int tell_start(struct world *w, unsigned int n, const char *subject, int64_t from_ms,
			     Wellgate__V1__RegistryEvent__Basis basis)
{
	return tell_start_slot(w, n, 0, subject, from_ms, basis);
}

static inline int tell_end(struct world *w, unsigned int n, uint64_t assignment, int64_t to_ms)
{
	EVENT_OF(e, AssignmentEnded, assignment_ended,
		 WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_ENDED__INIT, ASSIGNMENT_ENDED);

	assignment_ended.has_assignment = assignment_ended.has_to_ms = true;
	assignment_ended.assignment = assignment;
	assignment_ended.to_ms = to_ms;
	return tell(w, n, &e, NULL);
}

static inline int tell_session(struct world *w, unsigned int n, const char *subject,
			       int64_t closes_ms)
{
	char text[REFERENCE_TEXT_MAX];
	EVENT_OF(e, SessionOpened, session_opened,
		 WELLGATE__V1__REGISTRY_EVENT__SESSION_OPENED__INIT, SESSION_OPENED);

	(void)snprintf(text, sizeof(text), "%s", subject);
	session_opened.subject = text;
	session_opened.has_closes_ms = true;
	session_opened.closes_ms = closes_ms;
	return tell(w, n, &e, NULL);
}

static inline int tell_closed(struct world *w, unsigned int n, uint64_t session)
{
	EVENT_OF(e, SessionClosed, session_closed,
		 WELLGATE__V1__REGISTRY_EVENT__SESSION_CLOSED__INIT, SESSION_CLOSED);

	session_closed.has_session = true;
	session_closed.session = session;
	return tell(w, n, &e, NULL);
}

static inline int tell_wiped(struct world *w, unsigned int n)
{
	static uint8_t proof[32];
	EVENT_OF(e, Wiped, wiped, WELLGATE__V1__REGISTRY_EVENT__WIPED__INIT, WIPED);

	wiped.has_proof = true;
	wiped.proof = (ProtobufCBinaryData){ sizeof(proof), proof };
	return tell(w, n, &e, NULL);
}

static inline int tell_mark(struct world *w, unsigned int n, uint32_t record)
{
	EVENT_OF(e, HighWaterMark, high_water_mark,
		 WELLGATE__V1__REGISTRY_EVENT__HIGH_WATER_MARK__INIT, HIGH_WATER_MARK);

	high_water_mark.has_record_number = true;
	high_water_mark.record_number = record;
	return tell(w, n, &e, NULL);
}

/* subject NULL: nobody's here */
static inline int tell_filed(struct world *w, const Wellgate__V1__Reading *r, const char *subject,
			     const char **ret_problem)
{
	char text[REFERENCE_TEXT_MAX];
	EVENT_OF(e, Filed, filed, WELLGATE__V1__REGISTRY_EVENT__FILED__INIT, FILED);

	(void)snprintf(text, sizeof(text), "%s", subject ? subject : "");
	filed.subject = subject ? text : NULL;
	filed.has_reading = true;
	filed.reading = r->reading_id;
	return pipeline_register(w->pipeline, &e, ret_problem);
}

/* reading NULL: a button, on device n */
static inline int tell_pressed(struct world *w, unsigned int n, const char *subject, bool me,
			       const Wellgate__V1__Reading *r)
{
	char text[REFERENCE_TEXT_MAX];
	EVENT_OF(e, Pressed, pressed, WELLGATE__V1__REGISTRY_EVENT__PRESSED__INIT, PRESSED);

	(void)snprintf(text, sizeof(text), "%s", subject);
	pressed.subject = text;
	pressed.has_me = true;
	pressed.me = me;
	pressed.has_reading = r != NULL;
	if (r)
		pressed.reading = r->reading_id;
	return tell(w, n, &e, NULL);
}
