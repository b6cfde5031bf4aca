#include "gateway/pipeline.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/pipeline_part.h"

#define SECOND_US INT64_C(1000000)
/* One packet unpacked; a hostile one that unpacks larger is malformed. */
#define ARENA_BYTES       ((size_t)512 * 1024)
#define PENDING_MAX       100
#define RETRY_FIRST_US    SECOND_US
#define RETRY_LAST_US     (60 * SECOND_US)
#define STATUS_EVERY_US   (10 * SECOND_US)
#define HOUSEKEEPING_US   (2 * SECOND_US)
#define PURGE_EVERY_US    (3600 * SECOND_US)
#define TIMER_ACCURACY_US ((uint64_t)SECOND_US / 4)
#define DIGEST_TEXT_BYTES 256

static int64_t now_monotonic(struct pipeline *p)
{
	uint64_t now = 0;

	(void)sd_event_now(p->parts.event, CLOCK_MONOTONIC, &now);
	return (int64_t)now;
}

void pipeline_now(const struct pipeline *p, struct receipt *ret)
{
	intake_now(p->parts.intake, ret);
}

int64_t pipeline_now_ms(const struct pipeline *p)
{
	struct receipt receipt;

	intake_now(p->parts.intake, &receipt);
	return receipt.utc_ms;
}

/* One-shot; a timer that is already armed stays as it is. */
static void arm(sd_event_source *timer, int64_t at_us)
{
	int enabled = SD_EVENT_OFF;

	if (sd_event_source_get_enabled(timer, &enabled) < 0 || enabled != SD_EVENT_OFF)
		return;
	(void)sd_event_source_set_time(timer, (uint64_t)at_us);
	(void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void pipeline_arm(struct pipeline *p, sd_event_source *timer, int64_t in_us)
{
	arm(timer, now_monotonic(p) + in_us);
}

/* ---- status ---- */

void pipeline_status_changed(struct pipeline *p)
{
	const int64_t now = now_monotonic(p), next = p->status_at_us + STATUS_EVERY_US;

	pipeline_light_card(p);
	p->status_dirty = true;
	arm(p->status, next > now ? next : now);
}

/* Only what differs is said: otherwise the acknowledgement of a status would ask for the next. */
static void say_status(struct pipeline *p)
{
	struct pipeline_status status;
	uint8_t packed[STATUS_BYTES];
	size_t len;

	if (!p->status_dirty)
		return;
	p->status_dirty = false;
	pipeline_status(p, &status);
	len = wellgate__v1__hub_status__get_packed_size(&status.message);
	if (len <= sizeof(packed)) {
		(void)wellgate__v1__hub_status__pack(&status.message, packed);
		if (len == p->said_len && memcmp(packed, p->said, len) == 0)
			return;
		memcpy(p->said, packed, len);
		p->said_len = len;
	}
	p->status_at_us = now_monotonic(p);
	publish_set_status(p->parts.publish, &status.message);
}

static int on_status(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	say_status(user);
	return 0;
}

static void add_counter(struct pipeline_status *s, const char *name, uint64_t value)
{
	Wellgate__V1__HubStatus *m = &s->message;
	Wellgate__V1__HubStatus__Counter *c = &s->counters[m->n_counters];

	assert(m->n_counters < PIPELINE_COUNTERS);
	wellgate__v1__hub_status__counter__init(c);
	c->name = (char *)(uintptr_t)name; /* protobuf-c has no const; nobody writes to it */
	c->has_value = true;
	c->value = value;
	s->list[m->n_counters++] = c;
}

static void add_fleet(const struct pipeline *p, struct pipeline_status *s)
{
	s->message.n_fleet = inventory_fleet(&p->inventory, s->fleet, &s->message.fleet_unlisted);
	s->message.has_fleet_unlisted = s->message.fleet_unlisted > 0;
	s->message.fleet = s->fleet_list;
	for (size_t i = 0; i < s->message.n_fleet; i++)
		s->fleet_list[i] = &s->fleet[i];
}

void pipeline_status(const struct pipeline *p, struct pipeline_status *ret)
{
	Wellgate__V1__HubStatus *m = &ret->message;
	struct store_counts counts = { 0 };
	struct publish_state publish;
	struct receipt receipt;

	store_counts(p->parts.store, &counts);
	publish_state(p->parts.publish, &publish);
	intake_now(p->parts.intake, &receipt);
	wellgate__v1__hub_status__init(m);
	m->hub = (char *)(uintptr_t)p->hub;
	m->has_epoch = m->has_state = m->has_since_ms = true;
	m->epoch = store_identity(p->parts.store)->epoch;
	m->state = WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE;
	m->since_ms = p->since_ms;
	m->version = (char *)(uintptr_t)WELLGATE_VERSION;
	m->has_readings = m->has_waiting = true;
	m->readings = counts.last[LANE_READINGS];
	for (int lane = 0; lane < LANE_END; lane++)
		m->waiting += counts.last[lane] - counts.acknowledged[lane];
	m->has_clock_synced = m->has_store_full = m->has_test = true;
	m->clock_synced = receipt.synced;
	m->store_full = p->full;
	m->test = p->parts.config->test;
	add_fleet(p, ret);
	m->counters = ret->list;
	add_counter(ret, "measurements", p->counters.measurements);
	add_counter(ret, "duplicates", counts.duplicates);
	add_counter(ret, "refused", p->counters.refused);
	add_counter(ret, "malformed", p->counters.malformed);
	add_counter(ret, "commits", p->counters.commits);
	add_counter(ret, "store_failures", p->counters.store_failures);
	add_counter(ret, "damaged", counts.damaged);
	add_counter(ret, "parked", counts.parked);
	add_counter(ret, "results", counts.last[LANE_RESULTS]);
	add_counter(ret, "held", counts.held);
	add_counter(ret, "other_person", p->counters.other_person);
	add_counter(ret, "guest", p->counters.guest);
	add_counter(ret, "held_expired", p->counters.held_expired);
	add_counter(ret, "epochs", publish.epochs);
}

/* ---- the store refuses ---- */

/* After these the store is of no use until it was closed, opened and checked: a restart does it. */
static bool needs_restart(int r)
{
	return r == -EIO || r == -EUCLEAN;
}

void pipeline_give_up(struct pipeline *p, int r)
{
	if (needs_restart(r)) {
		log_error("the database failed: %s; ending, so that the next start checks it",
			  strerror(-r));
		(void)sd_event_exit(p->parts.event, PIPELINE_EXIT_STORE);
	}
	store_rollback(p->parts.store);
	goal_book_undo(p->parts.book);
	id_set_undo(&p->hidden);
	p->dropped = (struct dropped){ 0 };
	p->fresh = false;
	show_gave_up(p->light);
	p->counters.store_failures++;
	p->pending = 0;
	p->deaf = true;
	if (!p->full)
		log_error(
			"the store cannot keep readings: %s; devices hold their data until it can",
			strerror(-r));
	p->full = true;
	if (p->attached)
		p->back.full(p->back.user, true);
	arm(p->retry, now_monotonic(p) + p->retry_us);
	p->retry_us = p->retry_us * 2 < RETRY_LAST_US ? p->retry_us * 2 : RETRY_LAST_US;
	pipeline_status_changed(p);
}

/* The devices process sends again what was not committed: the first of it is the probe. */
static int on_retry(sd_event_source *source, uint64_t usec, void *user)
{
	struct pipeline *p = user;

	(void)source;
	(void)usec;
	p->deaf = p->attached; /* an attached one stays unheard until it comes anew */
	(void)store_maintain(p->parts.store, pipeline_now_ms(p));
	if (!p->attached)
		return 0;
	p->back.full(p->back.user, false);
	p->back.restart(p->back.user);
	return 0;
}

static void stored_again(struct pipeline *p)
{
	p->retry_us = RETRY_FIRST_US;
	if (!p->full)
		return;
	p->full = false;
	log_info("the store keeps readings again");
}

/* ---- commit ---- */

static void arm_period_end(struct pipeline *p)
{
	const int64_t due = goal_book_next_due(p->parts.book, pipeline_now_ms(p));

	(void)sd_event_source_set_enabled(p->period_end, SD_EVENT_OFF);
	if (due >= 0)
		arm(p->period_end, due * 1000);
}

/* The person wants to see how it goes, and nobody else is to. */
static bool stays_here(const struct pipeline *p, const Wellgate__V1__GoalResult *result)
{
	size_t n;
	const struct goal *goals = goal_book_goals(p->parts.book, &n);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(goals[i].id, result->goal_id) == 0 &&
		    (!goals[i].subject[0] || !result->subject ||
		     strcmp(goals[i].subject, result->subject) == 0))
			return goals[i].keep_here;
	}
	return false;
}

static int add_results(struct pipeline *p, int64_t now_ms)
{
	for (;;) {
		Wellgate__V1__GoalResult *result = NULL;
		int r;

		arena_reset(&p->arena);
		r = goal_book_next_result(p->parts.book, now_ms, &p->arena, &result);
		if (r <= 0)
			return r;
		if (!stays_here(p, result))
			r = store_add_result(p->parts.store, result);
		if (r < 0)
			return r;
	}
}

/* What was done in the transaction is durable. */
static void settle(struct pipeline *p)
{
	goal_book_settle(p->parts.book);
	id_set_settle(&p->hidden);
	p->counters.other_person += p->dropped.other_person;
	p->counters.guest += p->dropped.guest;
	p->counters.held_expired += p->dropped.expired;
	p->dropped = (struct dropped){ 0 };
}

int pipeline_commit(struct pipeline *p)
{
	bool written;
	int r;

	if (p->deaf)
		return -ENOSPC;
	r = add_results(p, pipeline_now_ms(p));
	written = r == 0 && store_in_transaction(p->parts.store);
	if (written)
		r = store_commit(p->parts.store);
	if (r < 0) {
		pipeline_give_up(p, r);
		return r;
	}
	settle(p);
	pipeline_light_committed(p);
	if (p->pending > 0 && p->attached)
		p->back.committed(p->back.user, p->taken);
	p->pending = 0;
	arm_period_end(p);
	if (!written)
		return 0;
	p->counters.commits++;
	stored_again(p);
	pipeline_status_changed(p);
	publish_kick(p->parts.publish);
	return 0;
}

static int on_period_end(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	(void)pipeline_commit(user);
	return 0;
}

/* Once after activity: makes the watermark durable and lets go of what was kept long enough. */
static int on_housekeeping(sd_event_source *source, uint64_t usec, void *user)
{
	struct pipeline *p = user;
	int r;

	(void)source;
	(void)usec;
	r = pipeline_commit(p);
	if (r == 0)
		r = pipeline_erase_leaver(p);
	if (r == 0)
		r = store_maintain(p->parts.store, pipeline_now_ms(p));
	if (r > 0)
		arm(p->housekeeping, now_monotonic(p) + HOUSEKEEPING_US);
	else if (needs_restart(r) && !p->deaf)
		pipeline_give_up(p, r);
	return 0;
}

static void on_progress(void *user)
{
	struct pipeline *p = user;
	struct publish_state state;

	publish_state(p->parts.publish, &state);
	if (state.epochs != p->epochs)
		log_warning("the record service has numbers that this hub never sent, as after a "
			    "card was copied back: a new epoch begins, and what was not committed "
			    "is sent again under it");
	p->epochs = state.epochs;
	pipeline_light_progress(p);
	arm(p->housekeeping, now_monotonic(p) + HOUSEKEEPING_US);
	pipeline_status_changed(p);
}

/* ---- what comes from the devices ---- */

static struct link *link_find(struct pipeline *p, uint32_t number)
{
	for (size_t i = 0; i < LINKS_MAX; i++) {
		if (p->links[i].used && p->links[i].number == number)
			return &p->links[i];
	}
	return NULL;
}

static struct link *link_make(struct pipeline *p, uint32_t number)
{
	struct link *l = link_find(p, number);

	for (size_t i = 0; i < LINKS_MAX && !l; i++) {
		if (!p->links[i].used)
			l = &p->links[i];
	}
	return l;
}

static void link_close(struct pipeline *p, struct link *l, const Wellgate__V1__DeviceInfo *counts)
{
	struct inventory_device *d = inventory_device(&p->inventory, &l->device);

	inventory_link_down(d, l->news, counts);
	if (counts && counts->understood)
		d->read_out_ms = pipeline_now_ms(p);
	l->used = false;
}

/* copies what `d` says about itself into the link, and lets the link's device point there */
static void link_describe(struct link *l, const struct inventory_device *d)
{
	const struct {
		char *to;
		const char *from;
		const char **field;
	} texts[] = {
		{ l->driver, d->driver, &l->device.driver },
		{ l->make, d->make, &l->device.make },
		{ l->model, d->model, &l->device.model },
		{ l->firmware, d->firmware, &l->device.firmware },
		{ l->hardware, d->hardware, &l->device.hardware },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memcpy(texts[i].to, texts[i].from, INVENTORY_TEXT);
		*texts[i].field = texts[i].to[0] ? texts[i].to : NULL;
	}
}

/* id: its address or serial number */
static int device_digest(const struct pipeline *p, const char *driver, const char *id,
			 struct intake_device *device)
{
	char text[DIGEST_TEXT_BYTES];
	int r;

	if (!id || !*id)
		return 0;
	/* two makers may give out the same serial number */
	if (snprintf(text, sizeof(text), "%s/%s", driver ? driver : "", id) >= (int)sizeof(text))
		return -EBADMSG;
	r = intake_digest(p->digest_key, text, device->serial_digest);
	device->has_digest = r == 0;
	return r;
}

/* Who it is whatever way it is read. Nothing else that is digested is without a slash. */
static int identity_digest(const struct pipeline *p, const char *identity,
			   struct intake_device *device)
{
	int r;

	if (strchr(identity, '/') || strlen(identity) >= DIGEST_TEXT_BYTES)
		return -EBADMSG;
	r = intake_digest(p->digest_key, identity, device->serial_digest);
	device->has_digest = r == 0;
	return r;
}

static int take_link_up(struct pipeline *p, const Wellgate__V1__LinkUp *up)
{
	struct intake_device device = { .driver = up->driver,
					.make = up->make,
					.model = up->model,
					.firmware = up->firmware,
					.hardware = up->hardware };
	struct intake_device way;
	struct inventory_device *known;
	uint32_t news;
	struct link *l;
	int r;

	/* the address first: unlike the serial number it is known from a link's first message */
	r = device_digest(p, up->driver, up->address && *up->address ? up->address : up->serial,
			  &device);
	way = device;
	if (r == 0 && up->identity && *up->identity)
		r = identity_digest(p, up->identity, &device);
	l = up->has_link ? link_make(p, up->link) : NULL;
	if (r < 0 || !l)
		return r < 0 ? r : -EBADMSG;
	news = l->used ? l->news : 0;
	if (l->used)
		link_close(p, l, NULL);
	if (way.has_digest && device.has_digest)
		inventory_way(&p->inventory, way.serial_digest, &device);
	known = inventory_device(&p->inventory, &device);
	known->links++;
	inventory_seen(known, pipeline_now_ms(p));
	inventory_news(known, &news, up->news, up->n_news);
	*l = (struct link){ .used = true, .number = up->link, .device = device, .news = news };
	link_describe(l, known);
	pipeline_status_changed(p); /* a device or a firmware may be new in the fleet */
	return 0;
}

static int take_link_down(struct pipeline *p, const Wellgate__V1__LinkDown *down)
{
	struct link *l = down->has_link ? link_find(p, down->link) : NULL;

	const Wellgate__V1__RegistryEvent__Wiped *wiped = down->wipe;
	struct intake_device device;

	/* its LinkUp may have gone with a connection before this one */
	if (!l)
		return 0;
	device = l->device;
	link_close(p, l, down->counts);
	if (wiped)
		pipeline_wiped(p, &device, wiped->outcome, wiped->records);
	return 0;
}

static int refuse(struct pipeline *p, uint64_t sequence, const char *reason)
{
	p->counters.refused++;
	log_warning("measurement refused: %s", reason);
	p->back.refused(p->back.user, sequence, reason);
	p->taken = sequence;
	p->pending++; /* it is dealt with: the next `committed` covers it */
	pipeline_status_changed(p);
	return 0;
}

int pipeline_count(struct pipeline *p, const Wellgate__V1__Reading *reading)
{
	const int r = reading->n_goals > 0 ? goal_book_add(p->parts.book, reading) : 0;

	return r == -ENOBUFS ? 0 : r;
}

void pipeline_count_dropped(struct pipeline *p, enum attribute_verdict verdict)
{
	if (verdict == ATTRIBUTE_GUEST)
		p->dropped.guest++;
	else
		p->dropped.other_person++;
}

int pipeline_file(struct pipeline *p, Wellgate__V1__Reading *reading, const char *said,
		  struct filing_answer *ret)
{
	int r = 0;

	*ret = (struct filing_answer){ .where = STORE_PUBLISH };
	if (filing_in_use(p->filing)) {
		if (said)
			filing_said(p->filing, said, ret);
		else
			filing_ask(p->filing, reading, NULL, ret);
		r = filing_mark(ret, reading, &p->arena);
	}
	if (r == 0 && ret->where == STORE_PUBLISH)
		r = goal_book_tag(p->parts.book, reading, &p->arena);
	return r;
}

int pipeline_store(struct pipeline *p, Wellgate__V1__Reading *reading,
		   const struct filing_answer *answer, bool synced, bool *ret_new)
{
	int r = store_add_reading(p->parts.store, reading, answer->where, ret_new);

	if (r < 0 || !*ret_new)
		return r;
	if (answer->where == STORE_DROP) {
		pipeline_count_dropped(p, answer->about.verdict);
		return 0;
	}
	inventory_count(&p->inventory, reading);
	if (answer->where == STORE_HOLD)
		return 0;
	refile_note_time(p, reading, reading->sequence, synced);
	filing_learn(p->filing, reading, answer);
	return pipeline_count(p, reading);
}

/* once a link: a boot that never learnt the time may be placed by this device's clock */
static void compare_clocks(struct pipeline *p, struct link *l, const Wellgate__V1__Measurement *m,
			   const struct receipt *receipt)
{
	if (l->compared || !m->has_clock_offset_ms || !receipt->synced || !l->device.has_digest)
		return;
	l->compared = true;
	refile_by_device(p, &l->device, m->clock_offset_ms, receipt);
}

static int take_measurement(struct pipeline *p, uint64_t sequence,
			    const Wellgate__V1__Measurement *m)
{
	struct link *l = m->has_link ? link_find(p, m->link) : NULL;
	Wellgate__V1__Reading *reading = NULL;
	struct filing_answer answer = { .where = STORE_PUBLISH };
	struct receipt receipt;
	bool is_new = false;
	int r;

	if (p->deaf)
		return 0;
	p->counters.measurements++;
	if (!l)
		return refuse(p, sequence, "it belongs to no link");
	intake_now(p->parts.intake, &receipt);
	r = intake_normalise(p->parts.intake, m, &l->device, &receipt, &p->arena, &reading);
	if (r == -ENOMSG)
		return refuse(p, sequence, "it is not a final measurement");
	if (r == 0) {
		inventory_heard(inventory_device(&p->inventory, &l->device), reading);
		r = pipeline_file(p, reading, NULL, &answer);
	}
	if (r < 0)
		return refuse(p, sequence, "it breaks the contract of Measurement");
	r = pipeline_store(p, reading, &answer, receipt.synced, &is_new);
	if (r == -EMSGSIZE || r == -EBADMSG) /* of this one alone: the transaction goes on */
		return refuse(p, sequence, "the store cannot hold it");
	if (r < 0) {
		pipeline_give_up(p, r);
		return 0;
	}
	if (is_new && answer.where != STORE_DROP) {
		p->fresh = true;
		show_reading(p->light);
	}
	p->taken = sequence;
	compare_clocks(p, l, m, &receipt);
	if (++p->pending >= PENDING_MAX)
		(void)pipeline_commit(p);
	return 0;
}

static int take_done(struct pipeline *p)
{
	p->counters.replays++;
	log_info("a replay came to its end");
	return 0;
}

/* ---- what the radio says ---- */

/* when it was last heard, by our clock; 0: not known */
static int64_t seen_ms(struct pipeline *p, const Wellgate__V1__RadioDevice *m)
{
	int64_t ago_us;

	if (!m->has_last_seen_us ||
	    __builtin_sub_overflow(now_monotonic(p), m->last_seen_us, &ago_us) || ago_us < 0)
		return 0;
	return pipeline_now_ms(p) - ago_us / 1000;
}

static int take_radio_device(struct pipeline *p, const Wellgate__V1__RadioDevice *m)
{
	struct intake_device key = { .driver = m->driver,
				     .make = m->make,
				     .model = m->model,
				     .firmware = m->firmware,
				     .hardware = m->hardware };
	int r = device_digest(p, m->driver, m->address, &key);

	if (r < 0 || !key.has_digest)
		return r < 0 ? r : -EBADMSG; /* without an address nobody could act on it */
	inventory_radio_device(&p->inventory, &key, m, seen_ms(p, m));
	return 0;
}

static int take_radio(struct pipeline *p, const Wellgate__V1__RadioStatus *m)
{
	int r = radio_state_take_status(p->radio, m);

	if (r == 0 && m->first)
		inventory_radio_begin(&p->inventory);
	for (size_t i = 0; i < m->n_devices && r == 0; i++)
		r = take_radio_device(p, m->devices[i]);
	if (r == 0 && m->last)
		inventory_radio_end(&p->inventory);
	pipeline_light_card(p);
	return r;
}

static int take_pairing(struct pipeline *p, const Wellgate__V1__Pairing *m)
{
	const int r = radio_state_take_pairing(p->radio, m);

	/* who hears that it is paired finds it among the devices */
	return r < 0 || !m->device ? r : take_radio_device(p, m->device);
}

/* called by radio_state and by us, on behalf of the operator and the clock */
static int say(void *user, const Wellgate__V1__ToDevices *message)
{
	const struct pipeline *p = user;

	if (!p->attached || !p->back.say)
		return -ENOTCONN;
	return p->back.say(p->back.user, message);
}

static void tell_clock(struct pipeline *p, bool synced, int offset_min)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	Wellgate__V1__Clock clock = WELLGATE__V1__CLOCK__INIT;

	clock.has_synced = clock.has_zone_offset_min = true;
	clock.synced = synced;
	clock.zone_offset_min = offset_min;
	clock.zone = p->parts.config->time_zone;
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_CLOCK;
	message.clock = &clock;
	(void)say(p, &message);
}

static void clocks_now(void *user, struct receipt *ret)
{
	const struct pipeline *p = user;

	intake_now(p->parts.intake, ret);
}

/* The clock was looked at: what it says is told to the devices, and to what came before. */
static void on_clock(void *user, bool synced, int offset_min)
{
	struct pipeline *p = user;
	struct receipt now;

	tell_clock(p, synced, offset_min);
	show_clock(p->light);
	intake_now(p->parts.intake, &now);
	if (intake_anchor(p->parts.intake, &now) > 0)
		refile_clock_news(p);
}

static int take(struct pipeline *p, const Wellgate__V1__FromDevices *m)
{
	switch (m->what_case) {
	case WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT:
		if (!m->has_sequence || m->sequence <= p->taken)
			return -EBADMSG;
		return take_measurement(p, m->sequence, m->measurement);
	case WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP:
		return take_link_up(p, m->link_up);
	case WELLGATE__V1__FROM_DEVICES__WHAT_LINK_DOWN:
		return take_link_down(p, m->link_down);
	case WELLGATE__V1__FROM_DEVICES__WHAT_DONE:
		return take_done(p);
	case WELLGATE__V1__FROM_DEVICES__WHAT_RADIO:
		return take_radio(p, m->radio);
	case WELLGATE__V1__FROM_DEVICES__WHAT_PAIRING:
		return take_pairing(p, m->pairing);
	case WELLGATE__V1__FROM_DEVICES__WHAT_OUTCOME:
		return radio_state_take_outcome(p->radio, m->outcome);
	case WELLGATE__V1__FROM_DEVICES__WHAT__NOT_SET:
	case _WELLGATE__V1__FROM_DEVICES__WHAT__CASE_IS_INT_SIZE:
	default:
		return -EBADMSG;
	}
}

int pipeline_take(struct pipeline *p, const void *packet, size_t len)
{
	const Wellgate__V1__FromDevices *m;
	int r = -EBADMSG;

	assert(p->attached);
	arena_reset(&p->arena);
	m = wellgate__v1__from_devices__unpack(arena_protobuf(&p->arena), len, packet);
	if (m)
		r = take(p, m);
	if (r < 0) {
		p->counters.malformed++;
		pipeline_status_changed(p);
		return -EBADMSG;
	}
	return 0;
}

static void detach(struct pipeline *p)
{
	(void)pipeline_commit(p); /* what it sent is good, whether or not it can be told */
	for (size_t i = 0; i < LINKS_MAX; i++) {
		if (p->links[i].used)
			link_close(p, &p->links[i], NULL);
	}
	p->attached = false;
	p->deaf = false;
	hub_clock_stop(p->clock);
	radio_state_detached(p->radio);
	inventory_radio_gone(&p->inventory);
}

void pipeline_attach(struct pipeline *p, const struct pipeline_back *back)
{
	int waiting = SD_EVENT_OFF;

	if (p->attached)
		detach(p);
	p->taken = 0;
	p->pending = 0;
	if (back) {
		p->back = *back;
		p->attached = true;
		p->counters.connections++;
		/* nothing can be kept before the retry is due; then this connection is the probe */
		(void)sd_event_source_get_enabled(p->retry, &waiting);
		p->deaf = waiting != SD_EVENT_OFF;
		if (p->deaf)
			p->back.full(p->back.user, true);
		hub_clock_start(p->clock);
	}
	pipeline_status_changed(p);
}

bool pipeline_attached(const struct pipeline *p)
{
	return p->attached;
}

/* ---- start ---- */

static int add_timer(struct pipeline *p, clockid_t clock, sd_event_time_handler_t handler,
		     sd_event_source **ret)
{
	int r = sd_event_add_time(p->parts.event, ret, clock, 0, TIMER_ACCURACY_US, handler, p);

	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int add_timers(struct pipeline *p)
{
	int r = add_timer(p, CLOCK_MONOTONIC, on_retry, &p->retry);

	if (r >= 0)
		r = add_timer(p, CLOCK_MONOTONIC, on_status, &p->status);
	if (r >= 0)
		r = add_timer(p, CLOCK_MONOTONIC, on_housekeeping, &p->housekeeping);
	if (r >= 0)
		r = add_timer(p, CLOCK_REALTIME, on_period_end, &p->period_end);
	return r < 0 ? r : refile_add_timers(p);
}

/* What was stored is looked at in the light of what is known now. */
static void begin(struct pipeline *p)
{
	struct receipt now;

	if (filing_in_use(p->filing)) {
		if (p->parts.config->subject)
			log_warning("there are loans on this hub: [person] subject is not used");
		(void)refile_purge(p);
		arm(p->housekeeping, now_monotonic(p) + HOUSEKEEPING_US); /* who left meanwhile */
	}
	intake_now(p->parts.intake, &now);
	(void)intake_anchor(p->parts.intake, &now);
	refile_clock_news(p); /* also if there is none: a walk may have been cut short */
	pipeline_arm(p, p->purge, PURGE_EVERY_US);
}

int pipeline_new(const struct pipeline_parts *parts, struct pipeline **ret)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->parts = *parts;
	p->hub = parts->config->hub ? parts->config->hub : store_identity(parts->store)->hub;
	p->since_ms = pipeline_now_ms(p);
	p->status_at_us = -STATUS_EVERY_US;
	p->retry_us = RETRY_FIRST_US;
	r = arena_init(&p->arena, ARENA_BYTES);
	if (r >= 0)
		r = fleet_key_choose(parts->config, parts->store, &p->arena, p->digest_key);
	if (r >= 0)
		r = radio_state_new(parts->event, say, p, &p->radio);
	if (r >= 0)
		r = hub_clock_new(parts->event, parts->config->time_zone, on_clock, p, &p->clock);
	if (r >= 0)
		hub_clock_set(p->clock, clocks_now);
	if (r >= 0)
		r = add_timers(p);
	if (r >= 0)
		r = filing_new(parts->store, &p->filing);
	if (r >= 0)
		r = refill(p);
	if (r < 0) {
		pipeline_free(p);
		return r;
	}
	publish_on_progress(parts->publish, on_progress, p);
	(void)pipeline_commit(p); /* a period may have ended while we were away */
	begin(p);
	pipeline_status_changed(p);
	*ret = p;
	return 0;
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	publish_on_progress(p->parts.publish, NULL, NULL);
	say_status(p); /* the goodbye carries the last figures */
	sd_event_source_disable_unref(p->retry);
	sd_event_source_disable_unref(p->status);
	sd_event_source_disable_unref(p->housekeeping);
	sd_event_source_disable_unref(p->period_end);
	sd_event_source_disable_unref(p->walk);
	sd_event_source_disable_unref(p->purge);
	hub_clock_free(p->clock);
	radio_state_free(p->radio);
	filing_free(p->filing);
	goal_agreed_free(p->agreed);
	id_set_finish(&p->hidden);
	arena_finish(&p->arena);
	free(p);
}

const struct pipeline_counters *pipeline_counters(const struct pipeline *p)
{
	return &p->counters;
}

const struct inventory *pipeline_inventory(const struct pipeline *p)
{
	return &p->inventory;
}

struct radio_state *pipeline_radio(const struct pipeline *p)
{
	return p->radio;
}

const struct registry *pipeline_registry(const struct pipeline *p)
{
	return filing_registry(p->filing);
}

bool pipeline_is_hidden(const struct pipeline *p, const uint8_t reading_id[16])
{
	return id_set_has(&p->hidden, reading_id);
}

bool pipeline_is_full(const struct pipeline *p)
{
	return p->full;
}

const char *pipeline_hub(const struct pipeline *p)
{
	return p->hub;
}
