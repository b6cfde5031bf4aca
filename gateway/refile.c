/*
 * What is said later may change whose a stored reading is, or when it was. A published reading is
 * never changed: it gets a next revision, which replaces it, and a Correction where the person
 * changes; a held one is changed in place, released or discarded. All that belongs together is in
 * one transaction, and a walk that was cut short begins anew: what is done already is left alone.
 */
#include <errno.h>
#include <string.h>

#include "drivers/log.h"
#include "gateway/pipeline_part.h"

#define SECOND_US      INT64_C(1000000)
#define HOUR_MS        INT64_C(3600000)
#define DAY_MS         (24 * HOUR_MS)
#define CHUNK          200
#define PURGE_EVERY_US (3600 * SECOND_US)
#define AGAIN_US       (60 * SECOND_US)
/* of a reading that several people could have made: nobody will ever know */
#define UNATTRIBUTABLE_DAYS 30
/* a receipt from before was by a clock that was not set: 2024-01-01 */
#define PLAUSIBLE_MS INT64_C(1704067200000)

/* ---- one reading ---- */

/* of this one reading alone: it stays as it is */
static bool is_about_one(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG || r == -ENOENT;
}

static int leave(int r)
{
	log_error("a stored reading cannot be changed (%s): it stays as it was", strerror(-r));
	return 0;
}

static bool is_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The goals see it no more. Tags are made anew: those that it was stored with may be of goals that
 * have changed since. */
static int take_back(struct pipeline *p, const Wellgate__V1__Reading *old)
{
	Wellgate__V1__Reading tagged = *old;
	int r = goal_book_tag(p->parts.book, &tagged, &p->arena);

	if (r == 0)
		r = goal_book_remove(p->parts.book, &tagged);
	return r == 0 && old->has_reading_id ? id_set_add(&p->hidden, old->reading_id.data) : r;
}

/* Publishes the next revision of a published reading. *ret_new false: it is there already. */
static int publish_next(struct pipeline *p, Wellgate__V1__Reading *old, Wellgate__V1__Reading *next,
			bool *ret_new)
{
	int r = goal_book_tag(p->parts.book, next, &p->arena);

	if (r == 0)
		r = store_add_reading(p->parts.store, next, STORE_PUBLISH, ret_new);
	if (r == 0)
		r = take_back(p, old);
	if (r < 0 || !*ret_new)
		return r;
	refile_note_time(p, next, next->sequence, true); /* it may only be graded now */
	return pipeline_count(p, next);
}

static int correct(struct pipeline *p, const Wellgate__V1__Reading *old,
		   const Wellgate__V1__Reading *next, enum attribute_verdict verdict)
{
	const bool final = attribute_is_final(verdict);
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;

	c.hub = (char *)(uintptr_t)p->hub; /* protobuf-c has no const; nobody writes to it */
	c.has_epoch = c.has_kind = c.has_at_ms = true;
	c.epoch = store_identity(p->parts.store)->epoch;
	c.kind = final ? WELLGATE__V1__CORRECTION__KIND__KIND_REATTRIBUTION
		       : WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION;
	c.has_reading_id = old->has_reading_id;
	c.reading_id = old->reading_id;
	c.from_subject = old->subject;
	c.to_subject = final ? next->subject : NULL;
	c.has_new_reading_id = final;
	if (final)
		c.new_reading_id = next->reading_id;
	c.reason = (char *)(uintptr_t)attribute_words(verdict);
	c.at_ms = pipeline_now_ms(p);
	return store_add_correction(p->parts.store, &c);
}

/* Another person's, or nobody's for now: `next` is marked as answered. */
static int move(struct pipeline *p, Wellgate__V1__Reading *old, Wellgate__V1__Reading *next,
		const struct filing_answer *a)
{
	bool is_new = false;
	int r;

	if (a->where == STORE_PUBLISH) {
		r = publish_next(p, old, next, &is_new);
	} else {
		r = store_add_reading(p->parts.store, next, a->where, &is_new);
		if (r == 0)
			r = take_back(p, old);
	}
	if (r < 0 || !is_new)
		return r;
	if (a->where == STORE_DROP)
		pipeline_count_dropped(p, a->about.verdict);
	else
		filing_learn(p->filing, next, a);
	return correct(p, old, next, a->about.verdict);
}

/* The answer takes it from whom it is filed under. What was filed before there was a registry is
 * left alone unless the registry is sure. */
static bool moves(const Wellgate__V1__Reading *old, const struct filing_answer *a)
{
	if (a->where == STORE_PUBLISH)
		return !is_same(old->subject, a->about.subject);
	return old->attribution && old->attribution->has_registry_revision;
}

/* retimed: its next revision with another time, or NULL */
static int look_at_published(struct pipeline *p, Wellgate__V1__Reading *old,
			     Wellgate__V1__Reading *retimed)
{
	Wellgate__V1__Reading *next = retimed;
	struct filing_answer a = { .where = STORE_PUBLISH };
	bool is_new = false, moved = false;
	int r = 0;

	if (filing_in_use(p->filing) && !filing_is_incomplete(p->filing) &&
	    old->origin != WELLGATE__V1__ORIGIN__ORIGIN_IMPORT) {
		filing_ask(p->filing, retimed ? retimed : old, old->subject ? old->subject : "",
			   &a);
		moved = moves(old, &a);
		if (!moved && a.where == STORE_PUBLISH)
			filing_learn(p->filing, old, &a);
	}
	if (!moved && !retimed)
		return 0;
	if (!next)
		r = intake_revise(old, &p->arena, &next);
	if (r == 0 && moved)
		r = filing_mark(&a, next, &p->arena);
	if (r < 0)
		return r;
	if (!moved) {
		next->subject = old->subject;
		next->attribution = old->attribution;
	}
	r = moved ? move(p, old, next, &a) : publish_next(p, old, next, &is_new);
	return is_about_one(r) ? leave(r) : r;
}

static int settle_held(struct pipeline *p, uint64_t number, Wellgate__V1__Reading *next,
		       const struct filing_answer *a)
{
	int r = filing_mark(a, next, &p->arena);

	if (r < 0)
		return r;
	switch (a->where) {
	case STORE_PUBLISH:
		r = goal_book_tag(p->parts.book, next, &p->arena);
		if (r == 0)
			r = store_release(p->parts.store, number, next);
		if (r == 0)
			r = pipeline_count(p, next);
		if (r == 0)
			filing_learn(p->filing, next, a);
		return r;
	case STORE_HOLD:
		return store_replace_held(p->parts.store, number, next);
	case STORE_DROP:
		r = store_discard(p->parts.store, number);
		if (r == 0)
			pipeline_count_dropped(p, a->about.verdict);
		return r;
	}
	return 0;
}

static int look_at_held(struct pipeline *p, uint64_t number, const Wellgate__V1__Reading *old,
			const Wellgate__V1__Reading *retimed)
{
	Wellgate__V1__Reading next = retimed ? *retimed : *old;
	struct filing_answer a;
	int r;

	if (filing_is_incomplete(p->filing))
		return 0;
	/* nobody has seen it: in its place, and by its name */
	next.reading_id = old->reading_id;
	next.has_revision = old->has_revision;
	next.revision = old->revision;
	next.has_replaces = old->has_replaces;
	next.replaces = old->replaces;
	filing_ask(p->filing, &next, NULL, &a);
	if (!retimed && a.where == STORE_HOLD && filing_is_marked(&a, old))
		return 0;
	r = settle_held(p, number, &next, &a);
	return is_about_one(r) ? leave(r) : r;
}

/* ---- walks ---- */

static Wellgate__V1__Reading *unpack(struct pipeline *p, const struct store_row *row)
{
	arena_reset(&p->arena);
	return wellgate__v1__reading__unpack(arena_protobuf(&p->arena), row->len, row->payload);
}

static bool is_hidden(const struct pipeline *p, const Wellgate__V1__Reading *r)
{
	return r->has_reading_id && r->reading_id.len == ID_SET_BYTES &&
	       id_set_has(&p->hidden, r->reading_id.data);
}

static bool is_of(const Wellgate__V1__Reading *r, const uint8_t digest[REGISTRY_DIGEST])
{
	return r->device && r->device->serial_digest.len == REGISTRY_DIGEST &&
	       memcmp(r->device->serial_digest.data, digest, REGISTRY_DIGEST) == 0;
}

static bool has_key(const Wellgate__V1__Reading *r, const uint8_t *key)
{
	return r->dedupe_key.len == REGISTRY_DIGEST &&
	       memcmp(r->dedupe_key.data, key, REGISTRY_DIGEST) == 0;
}

int refile_is_kept(struct pipeline *p, const uint8_t *key, uint64_t at, bool *ret)
{
	struct store_row row = { 0 };
	const Wellgate__V1__Reading *one;
	int r;

	*ret = true;
	while ((r = store_next_held(p->parts.store, row.sequence, &row)) > 0) {
		one = unpack(p, &row);
		if (one && has_key(one, key))
			return 0;
	}
	row.sequence = at;
	while (r == 0 && (r = store_next(p->parts.store, LANE_READINGS, row.sequence, &row)) > 0) {
		one = unpack(p, &row);
		if (one && has_key(one, key) && !is_hidden(p, one))
			return 0;
		r = 0;
	}
	*ret = false;
	return r;
}

/* digest NULL: of all devices */
static int ask_held(struct pipeline *p, const uint8_t *digest)
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next_held(p->parts.store, row.sequence, &row)) > 0) {
		const Wellgate__V1__Reading *old = unpack(p, &row);

		if (!old || (digest && !is_of(old, digest)))
			continue;
		r = look_at_held(p, row.sequence, old, NULL);
		if (r < 0)
			return r;
	}
	return r;
}

int refile_held(struct pipeline *p)
{
	return ask_held(p, NULL);
}

/* Published readings of one device after `at`; key: only the one that has it. What is added
 * meanwhile is not committed, so not met. */
static int ask_published(struct pipeline *p, const uint8_t *digest, const uint8_t *key, uint64_t at)
{
	struct store_row row = { .sequence = at };
	int r;

	while ((r = store_next(p->parts.store, LANE_READINGS, row.sequence, &row)) > 0) {
		Wellgate__V1__Reading *old = unpack(p, &row);

		if (!old || !is_of(old, digest) || is_hidden(p, old) || (key && !has_key(old, key)))
			continue;
		r = look_at_published(p, old, NULL);
		if (r < 0 || key)
			return r;
	}
	return r;
}

/* since when what was received may be touched; false: nothing that is published */
static bool touched_since(const Wellgate__V1__RegistryEvent *e, int64_t *ret_ms)
{
	*ret_ms = e->at_ms;
	switch (e->what_case) {
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_ASSIGNMENT_STARTED:
		*ret_ms = e->assignment_started->from_ms;
		return true;
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_ASSIGNMENT_ENDED:
		*ret_ms = e->assignment_ended->to_ms;
		return true;
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_PRESSED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_FILED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_SESSION_OPENED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_SESSION_CLOSED:
		return true;
	/* these only speak of readings whose time is not known, and none of them is final */
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_WIPED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_HIGH_WATER_MARK:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_ADDED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_RETIRED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT__NOT_SET:
	case _WELLGATE__V1__REGISTRY_EVENT__WHAT__CASE_IS_INT_SIZE:
	default:
		return false;
	}
}

int refile_event(struct pipeline *p, const Wellgate__V1__RegistryEvent *event, const uint8_t *key,
		 uint64_t at)
{
	int64_t since_ms;
	int r = 0;

	if (key) {
		r = ask_published(p, event->device.data, key, at);
	} else if (touched_since(event, &since_ms)) {
		/* nothing is received before it is measured, but for clocks that are a bit ahead */
		at = store_before(p->parts.store, LANE_READINGS, (since_ms - HOUR_MS) / 1000);
		r = ask_published(p, event->device.data, NULL, at);
	}
	return r < 0 ? r : ask_held(p, event->device.data);
}

/* ---- the clock ---- */

/* Received before the hub knew the time? */
static bool is_timeless(const Wellgate__V1__Reading *r)
{
	return r->clock == WELLGATE__V1__CLOCK_QUALITY__CLOCK_RECEIPT_UNSYNCED ||
	       r->time_fault == WELLGATE__V1__TIME_FAULT__TIME_FAULT_HUB ||
	       (r->has_received_at_ms && r->received_at_ms < PLAUSIBLE_MS);
}

void refile_note_time(struct pipeline *p, const Wellgate__V1__Reading *r, uint64_t sequence,
		      bool synced)
{
	if (synced && !is_timeless(r))
		return;
	if (p->retime.first == 0)
		p->retime.first = sequence;
	p->retime.last = sequence;
}

static int retime_published(struct pipeline *p, const struct store_row *row)
{
	Wellgate__V1__Reading *old = unpack(p, row), *next = NULL;
	int r;

	if (!old || is_hidden(p, old))
		return 0;
	r = intake_retime(p->parts.intake, old, &p->arena, &next);
	if (r > 0)
		return look_at_published(p, old, next);
	if (r == 0 && is_timeless(old)) {
		if (p->retime.still_first == 0)
			p->retime.still_first = row->sequence;
		p->retime.still_last = row->sequence;
	}
	return r;
}

static int retime_held(struct pipeline *p, const struct store_row *row)
{
	Wellgate__V1__Reading *next = NULL;
	const Wellgate__V1__Reading *old = unpack(p, row);
	int r;

	if (!old)
		return 0;
	r = intake_retime(p->parts.intake, old, &p->arena, &next);
	return r > 0 ? look_at_held(p, row->sequence, old, next) : r;
}

/* one row: 1, 2 what comes next has to be committed first, 0 all were seen, or an error */
static int walk_step(struct pipeline *p)
{
	struct retime *w = &p->retime;
	struct store_row row = { 0 };
	int r;

	if (w->next < w->last) {
		r = store_next(p->parts.store, LANE_READINGS, w->next, &row);
		if (r == 0 && store_in_transaction(p->parts.store))
			return 2;
		w->next = r > 0 ? row.sequence : w->last;
		if (r > 0)
			r = retime_published(p, &row);
		return r < 0 ? r : 1;
	}
	r = store_next_held(p->parts.store, w->next_held, &row);
	if (r <= 0)
		return r;
	w->next_held = row.sequence;
	r = retime_held(p, &row);
	return r < 0 ? r : 1;
}

/* A chunk: 1 there is more, 0 done, or an error of the store. */
static int walk_on(struct pipeline *p)
{
	int r = 1;

	for (unsigned int i = 0; i < CHUNK && r == 1; i++)
		r = walk_step(p);
	return r;
}

/* All were seen. What came in meanwhile is behind them. */
static void walk_end(struct retime *w)
{
	w->running = false;
	w->first = w->still_first;
	w->last = w->still_last;
}

static int on_walk(sd_event_source *source, uint64_t usec, void *user)
{
	struct pipeline *p = user;
	int r;

	(void)source;
	(void)usec;
	if (!p->retime.running)
		return 0;
	if (p->deaf) {
		p->retime.running = false;
		refile_clock_news(p);
		return 0;
	}
	r = walk_on(p);
	if (r < 0)
		pipeline_give_up(p, r);
	else if (pipeline_commit(p) < 0)
		r = -EIO;
	if (r < 0) {
		p->retime.running = false;
		refile_clock_news(p); /* from the beginning, when there is room */
	} else if (r > 0) {
		pipeline_arm(p, p->walk, 0);
	} else {
		walk_end(&p->retime);
	}
	return 0;
}

void refile_clock_news(struct pipeline *p)
{
	const bool again = p->deaf;

	p->retime.running = true;
	p->retime.still_first = p->retime.still_last = 0;
	p->retime.next_held = 0;
	p->retime.next = p->retime.first > 0 ? p->retime.first - 1 : 0;
	(void)sd_event_source_set_enabled(p->walk, SD_EVENT_OFF);
	pipeline_arm(p, p->walk, again ? AGAIN_US : 0);
}

/* 1: one of these was placed */
static int place_by(struct pipeline *p, const Wellgate__V1__Reading *r,
		    const struct intake_device *device, int64_t offset_ms,
		    const struct receipt *now)
{
	return r && is_timeless(r) && is_of(r, device->serial_digest)
		       ? intake_anchor_by_device(p->parts.intake, r, offset_ms, now)
		       : 0;
}

void refile_by_device(struct pipeline *p, const struct intake_device *device, int64_t offset_ms,
		      const struct receipt *now)
{
	struct store_row row = { .sequence = p->retime.first ? p->retime.first - 1 : 0 };
	int news = 0;

	while (row.sequence < p->retime.last &&
	       store_next(p->parts.store, LANE_READINGS, row.sequence, &row) > 0)
		news |= place_by(p, unpack(p, &row), device, offset_ms, now);
	row.sequence = 0;
	while (store_next_held(p->parts.store, row.sequence, &row) > 0)
		news |= place_by(p, unpack(p, &row), device, offset_ms, now);
	if (news > 0)
		refile_clock_news(p);
}

/* ---- what nobody claimed ---- */

static bool is_over(const struct pipeline *p, const Wellgate__V1__Reading *r, int64_t now_ms)
{
	const Wellgate__V1__Attribution *a = r->attribution;
	int64_t days = p->parts.config->keep_days;

	/* by a clock that was not set: it may have come a minute ago */
	if (!r->has_received_at_ms || is_timeless(r))
		return false;
	if (a && a->rule == WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_NO_TIME &&
	    a->confidence == WELLGATE__V1__CONFIDENCE__CONFIDENCE_NONE &&
	    days > UNATTRIBUTABLE_DAYS)
		days = UNATTRIBUTABLE_DAYS;
	return (now_ms - r->received_at_ms) / DAY_MS >= days;
}

static int purge(struct pipeline *p, int64_t now_ms)
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next_held(p->parts.store, row.sequence, &row)) > 0) {
		const Wellgate__V1__Reading *old = unpack(p, &row);

		if (!old || !is_over(p, old, now_ms))
			continue;
		r = store_discard(p->parts.store, row.sequence);
		if (r < 0)
			return r;
		p->dropped.expired++;
	}
	return r;
}

int refile_purge(struct pipeline *p)
{
	struct receipt now;
	uint64_t expired;
	int r;

	intake_now(p->parts.intake, &now);
	if (!now.synced || p->deaf)
		return 0;
	r = purge(p, now.utc_ms);
	if (r < 0) {
		pipeline_give_up(p, r);
		return r;
	}
	expired = p->dropped.expired;
	r = pipeline_commit(p);
	if (r == 0 && expired > 0)
		log_warning("%llu held readings were let go: nobody said whose they were",
			    (unsigned long long)expired);
	return r;
}

static int on_purge(sd_event_source *source, uint64_t usec, void *user)
{
	struct pipeline *p = user;

	(void)source;
	(void)usec;
	(void)refile_purge(p);
	pipeline_arm(p, p->purge, PURGE_EVERY_US);
	return 0;
}

static int add_timer(struct pipeline *p, uint64_t accuracy_us, sd_event_time_handler_t handler,
		     sd_event_source **ret)
{
	int r = sd_event_add_time(p->parts.event, ret, CLOCK_MONOTONIC, 0, accuracy_us, handler, p);

	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int refile_add_timers(struct pipeline *p)
{
	int r = add_timer(p, 1, on_walk, &p->walk); /* at once, when it is armed for now */

	return r < 0 ? r : add_timer(p, SECOND_US, on_purge, &p->purge);
}
