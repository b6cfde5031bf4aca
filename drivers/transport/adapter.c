#include "drivers/transport/adapter.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"
#include "drivers/transport/bluez.h"

#define CALL_US       INT64_C(5000000)
#define RUNG_US       INT64_C(10000000)
#define REOPEN_MIN_US INT64_C(100000)
#define REOPEN_MAX_US INT64_C(5000000)
#define LIST_US       INT64_C(2000000) /* until the objects are asked for again */
#define BLOCK_US      INT64_C(1000000) /* rfkill is looked at that often while it blocks */
/* An object may be removed with its adapter or its daemon, which says nothing of its bond: this
 * long it is not believed. */
#define REMOVED_US   INT64_C(1000000)
#define FETCHING_MAX 4
#define PROPERTIES   "org.freedesktop.DBus.Properties"
#define MANAGER      "org.freedesktop.DBus.ObjectManager"
#define DBUS         "org.freedesktop.DBus"

const char *adapter_state_name(enum adapter_state state)
{
	static const char *const names[ADAPTER_STATE_END] = {
		[ADAPTER_NO_BUS] = "no-bus", [ADAPTER_NO_DAEMON] = "no-daemon",
		[ADAPTER_ABSENT] = "absent", [ADAPTER_BLOCKED] = "blocked",
		[ADAPTER_OFF] = "off",       [ADAPTER_POWERING] = "powering",
		[ADAPTER_READY] = "ready",   [ADAPTER_SUSPECT] = "suspect",
		[ADAPTER_RESET] = "reset",   [ADAPTER_FAILED] = "failed",
	};

	assert(state < ADAPTER_STATE_END);
	return names[state];
}

/* ---- time ---- */

int64_t adapter_now(const struct adapter *a)
{
	uint64_t now = 0;

	(void)sd_event_now(a->event, CLOCK_MONOTONIC, &now);
	return (int64_t)now;
}

void adapter_timer(struct adapter *a, sd_event_source **source, int64_t usec,
		   sd_event_time_handler_t handler)
{
	if (!*source) {
		(void)sd_event_add_time_relative(a->event, source, CLOCK_MONOTONIC, (uint64_t)usec,
						 1000, handler, a);
		return;
	}
	(void)sd_event_source_set_time_relative(*source, (uint64_t)usec);
	(void)sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

void adapter_timer_stop(sd_event_source *source)
{
	if (source)
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* ---- the state machine ---- */

static int on_deadline(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	adapter_post(user, LADDER_TIMEOUT);
	return 0;
}

static int on_block(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;

	(void)source;
	(void)usec;
	adapter_check_block(a);
	if (a->ladder.facts.blocked)
		adapter_timer(a, &a->block, BLOCK_US, on_block);
	return 0;
}

void adapter_post(struct adapter *a, enum ladder_event event)
{
	const bool is_doubt = event == LADDER_SILENT || event == LADDER_DOUBT ||
			      event == LADDER_CONNECTS || event == LADDER_PROVED;

	for (size_t i = 0; is_doubt && i < a->n_events; i++) {
		if (a->events[i] == event)
			return;
	}
	if (a->n_events == EVENTS_MAX)
		return; /* it is drained before the next message is read, which posts a handful */
	a->events[a->n_events++] = event;
	(void)sd_event_source_set_enabled(a->drain, SD_EVENT_ONESHOT);
}

static void act(struct adapter *a, enum ladder_action action)
{
	switch (action) {
	case LADDER_DO_NOTHING:
		break;
	case LADDER_DO_POWER:
		adapter_check_block(a);
		if (!a->ladder.facts.blocked)
			rung_power(a);
		break;
	case LADDER_DO_PROBE:
		scan_probe(a);
		break;
	case LADDER_DO_RUNG:
		rung_start(a);
		break;
	}
}

static void entered(struct adapter *a)
{
	const enum adapter_state state = ladder_public(a->ladder.state);

	if (a->ladder.deadline)
		adapter_timer(a, &a->deadline, a->ladder.deadline - adapter_now(a), on_deadline);
	else
		adapter_timer_stop(a->deadline);
	if (!ladder_rung(&a->ladder) && a->rung.n)
		rung_end(a);
	if (a->ladder.facts.blocked)
		adapter_timer(a, &a->block, BLOCK_US, on_block);
	if (a->ladder.state == LADDER_READY)
		agent_ready(a);
	a->counts.resets = a->ladder.resets;
	a->counts.recoveries = a->ladder.recoveries;
	a->counts.last_recovery_us = a->ladder.last_recovery_us;
	if (state == a->told)
		return;
	a->told = state;
	if (a->handlers.state)
		a->handlers.state(a->handlers.user, state);
}

/* All that was posted is taken in before anything is done: found, powered: nothing to power. */
static int on_drain(sd_event_source *source, void *user)
{
	struct adapter *a = user;
	enum ladder_action action = LADDER_DO_NOTHING;
	size_t n = a->n_events;
	enum ladder_event events[EVENTS_MAX];
	bool moved = false;

	(void)source;
	memcpy(events, a->events, sizeof(events));
	a->n_events = 0;
	for (size_t i = 0; i < n; i++) {
		const enum ladder_state old = a->ladder.state;
		const int64_t deadline = a->ladder.deadline;
		const enum ladder_action next = ladder_event(&a->ladder, events[i], adapter_now(a));

		if (next != LADDER_DO_NOTHING || a->ladder.state != old)
			action = next;
		moved = moved || a->ladder.state != old || a->ladder.deadline != deadline;
	}
	if (moved)
		entered(a);
	act(a, action);
	rung_step(a);
	scan_step(a);
	return 0;
}

void adapter_doubt(struct adapter *a, enum adapter_doubt doubt)
{
	switch (doubt) {
	case ADAPTER_DOUBT_SILENT:
		adapter_post(a, LADDER_SILENT);
		break;
	case ADAPTER_DOUBT_CONNECTS:
		adapter_post(a, LADDER_CONNECTS);
		break;
	case ADAPTER_DOUBT_CALL:
	case ADAPTER_DOUBT_SCAN:
		adapter_post(a, LADDER_DOUBT);
		break;
	}
}

void adapter_works(struct adapter *a)
{
	ladder_works(&a->ladder);
	if (a->ladder.state == LADDER_SUSPECT)
		adapter_post(a, LADDER_PROVED);
}

/* ---- calls ---- */

struct call {
	struct adapter *a;
	uint64_t generation;
	int64_t since;
	call_done *done;
	void *user;
	bool is_owed; /* done is also called for an older generation, and user is freed with this */
};

#define STALE "org.wellgate.Error.Stale"

bool adapter_error_is(const char *error, const char *name)
{
	static const char prefix[] = "org.bluez.Error.";

	return error && strncmp(error, prefix, sizeof(prefix) - 1) == 0 &&
	       strcmp(error + sizeof(prefix) - 1, name) == 0;
}

bool adapter_error_is_timeout(const char *error)
{
	return error && (strcmp(error, SD_BUS_ERROR_NO_REPLY) == 0 ||
			 strcmp(error, SD_BUS_ERROR_TIMEOUT) == 0);
}

static int64_t call_us(const struct adapter *a)
{
	return a->options.call_timeout_us > 0 ? a->options.call_timeout_us : CALL_US;
}

/* The daemon's death ends its calls with the same error, but sooner. */
static void mind_slowness(struct adapter *a, const struct call *call, const char *error)
{
	if (adapter_error_is_timeout(error) && adapter_now(a) - call->since >= call_us(a))
		adapter_post(a, LADDER_DOUBT);
}

static int on_reply(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	const struct call *call = user;
	struct adapter *a = call->a;
	const sd_bus_error *error = sd_bus_message_get_error(m);
	const char *name = error ? error->name : NULL;

	(void)ret_error;
	if (call->generation != a->generation) {
		if (call->is_owed)
			call->done(a, m, STALE, call->user);
		return 0;
	}
	mind_slowness(a, call, name);
	call->done(a, m, name, call->user);
	return 0;
}

static void call_free(void *user)
{
	struct call *call = user;

	if (call->is_owed)
		free(call->user);
	free(call);
}

static int call_send(struct adapter *a, sd_bus_message *m, const struct call *what)
{
	struct call *call = malloc(sizeof(*call));
	sd_bus_slot *slot = NULL;
	int r;

	if (!call)
		return -ENOMEM;
	*call = *what;
	call->a = a;
	call->generation = a->generation;
	call->since = adapter_now(a);
	r = sd_bus_call_async(a->bus, &slot, m, on_reply, call, (uint64_t)call_us(a));
	if (r < 0) {
		free(call);
		return r;
	}
	(void)sd_bus_slot_set_destroy_callback(slot, call_free);
	(void)sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	return 0;
}

int adapter_call(struct adapter *a, sd_bus_message *m, call_done *done, void *user)
{
	return call_send(a, m, &(struct call){ .done = done, .user = user });
}

int adapter_method(struct adapter *a, const char *path, const char *interface, const char *member,
		   sd_bus_message **ret)
{
	int r;

	if (!a->bus || !a->owner[0])
		return -ENOTCONN;
	/* to the unique name: what is meant for this daemon never starts another */
	r = sd_bus_message_new_method_call(a->bus, ret, a->owner, path, interface, member);
	return r < 0 ? r : 0;
}

int adapter_own_call(struct adapter *a, const char *member, call_done *done, void *user)
{
	sd_bus_message *m = NULL;
	int r;

	if (!a->own)
		return -ENODEV;
	r = adapter_method(a, a->own->path, ADAPTER1, member, &m);
	if (r >= 0)
		r = adapter_call(a, m, done, user);
	sd_bus_message_unref(m);
	return r;
}

int adapter_own_set(struct adapter *a, const char *property, bool value, call_done *done,
		    void *user)
{
	sd_bus_message *m = NULL;
	int r;

	if (!a->own)
		return -ENODEV;
	r = adapter_method(a, a->own->path, PROPERTIES, "Set", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "ssv", ADAPTER1, property, "b", (int)value);
	if (r >= 0)
		r = adapter_call(a, m, done, user);
	sd_bus_message_unref(m);
	return r;
}

bool adapter_is_from_daemon(const struct adapter *a, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender && a->owner[0] && strcmp(sender, a->owner) == 0;
}

/* ---- devices ---- */

static void set_linked(struct adapter *a, struct object *object, bool linked)
{
	const struct ble_address address = object->address;

	if (object->linked == linked)
		return;
	object->linked = linked;
	if (a->handlers.linked)
		a->handlers.linked(a->handlers.user, &address, linked);
}

static void set_bonded(struct adapter *a, struct object *object, bool bonded)
{
	const struct ble_address address = object->address;

	if (object->bonded == bonded)
		return;
	object->bonded = bonded;
	if (a->handlers.bonded)
		a->handlers.bonded(a->handlers.user, &address, bonded);
}

static void remove_object(struct adapter *a, struct object *object)
{
	set_linked(a, object, false);
	set_bonded(a, object, false);
	objects_remove(a->objects, object);
}

/* Bonded says that keys are stored, Paired that there were some; 5.66 has both. */
static void take_flags(struct adapter *a, struct object *object, const struct device_properties *p)
{
	if (p->seen & PROPERTY_BONDED)
		set_bonded(a, object, p->bonded);
	else if (p->seen & PROPERTY_PAIRED && !p->paired)
		set_bonded(a, object, false);
	if (p->seen & PROPERTY_CONNECTED)
		set_linked(a, object, p->connected);
}

static bool is_report(const struct device_properties *p)
{
	return p->seen & (PROPERTY_RSSI | PROPERTY_COMPANY | PROPERTY_SERVICE_DATA);
}

static void report(struct adapter *a, struct object *object, const struct device_properties *p)
{
	const int64_t now = adapter_now(a);
	struct ble_advert advert;

	object->heard_at = now;
	scan_heard(a, now);
	object_advert(object, p, now, &advert);
	if (a->handlers.advert)
		a->handlers.advert(a->handlers.user, &advert);
}

/* A device as a whole: from the list, or new. */
static struct object *take_device(struct adapter *a, const char *path,
				  const struct device_properties *p)
{
	struct object *object = objects_find(a->objects, path);
	bool evicted = false;

	if (!(p->seen & PROPERTY_ADDRESS)) {
		a->counts.malformed++;
		return NULL;
	}
	if (!object && objects_add(a->objects, path, &object, &evicted) < 0) {
		a->counts.dropped++;
		return NULL;
	}
	a->counts.dropped += evicted;
	object->stale = false;
	object->removed_at = 0;
	object->is_forgotten = false;
	object->heard_at = adapter_now(a);
	object_learn(object, p);
	take_flags(a, object, p);
	return object;
}

/* A child of our adapter, directly. */
static bool is_own_device(const struct adapter *a, const char *path)
{
	const size_t len = a->own ? strlen(a->own->path) : 0;

	return len && strncmp(path, a->own->path, len) == 0 &&
	       strncmp(path + len, "/dev_", 5) == 0 && !strchr(path + len + 1, '/') &&
	       strnlen(path, OBJECT_PATH) < OBJECT_PATH;
}

static void read_device(struct adapter *a, sd_bus_message *m, const char *path, bool is_new)
{
	struct device_properties p;
	struct object *object;

	if (device_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	object = take_device(a, path, &p);
	/* what is in the list was heard at some time; only a new one was heard now */
	if (object && is_new && is_report(&p))
		report(a, object, &p);
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;
	struct object *object = objects_next(a->objects, NULL);
	bool left = false;

	(void)source;
	(void)usec;
	while (object) {
		struct object *next = objects_next(a->objects, object);

		if (object->removed_at && adapter_now(a) - object->removed_at >= REMOVED_US)
			remove_object(a, object);
		else
			left = left || object->removed_at;
		object = next;
	}
	if (left)
		adapter_timer(a, &a->sweep, REMOVED_US / 4, on_sweep);
	return 0;
}

static void device_removed(struct adapter *a, const char *path)
{
	struct object *object = objects_find(a->objects, path);

	if (!object)
		return;
	if (object->is_forgotten || (!object->bonded && !object->linked)) {
		remove_object(a, object);
		return;
	}
	object->removed_at = adapter_now(a);
	adapter_timer(a, &a->sweep, REMOVED_US, on_sweep);
}

/* A device that had made room for others is heard again. */
static void on_fetched(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const char *path = user;

	a->fetching -= a->fetching > 0;
	if (!error && is_own_device(a, path))
		read_device(a, reply, path, false);
}

static void fetch(struct adapter *a, const char *path)
{
	sd_bus_message *m = NULL;
	char *copy = NULL;
	int r;

	if (a->fetching >= FETCHING_MAX) {
		a->counts.dropped++;
		return;
	}
	r = adapter_method(a, path, PROPERTIES, "GetAll", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", DEVICE1);
	if (r >= 0)
		copy = strdup(path);
	if (copy)
		r = call_send(a, m,
			      &(struct call){ .done = on_fetched, .user = copy, .is_owed = true });
	sd_bus_message_unref(m);
	if (r < 0 || !copy)
		free(copy);
	else
		a->fetching++;
}

/* ---- adapters ---- */

static struct adapter_seen *find_adapter(struct adapter *a, const char *path)
{
	for (size_t i = 0; i < ADAPTERS_MAX; i++) {
		if (a->seen[i].path[0] && strcmp(a->seen[i].path, path) == 0)
			return &a->seen[i];
	}
	return NULL;
}

const char *adapter_hci(const struct adapter *a)
{
	const char *slash = a->own ? strrchr(a->own->path, '/') : NULL;

	return slash ? slash + 1 : "";
}

void adapter_set_powered(struct adapter *a, bool powered)
{
	if (!a->own)
		return;
	a->own->powered = powered;
	a->lifted = a->lifted || powered;
	if (!powered) {
		a->own->discovering = false; /* said or not */
		scan_lost(a, false);
	}
	adapter_post(a, powered ? LADDER_POWERED : LADDER_UNPOWERED);
}

/* A block that was there before us may be left from a rung of ours that was killed, so it is lifted
 * once, where that is permitted. One that comes later is somebody's wish. */
static void lift(struct adapter *a, const struct rfkill *rfkill)
{
	if (a->lifted)
		return;
	a->lifted = true;
	if (rfkill->soft && !rfkill->hard)
		(void)rfkill_block(a->root, rfkill->index, false);
}

void adapter_check_block(struct adapter *a)
{
	struct rfkill rfkill = { 0 };
	bool blocked;

	if (!a->own || a->own->powered)
		return;
	if (rfkill_read(a->root, adapter_hci(a), &rfkill) < 0)
		blocked = a->own->rfkilled;
	else
		blocked = rfkill.soft || rfkill.hard;
	lift(a, &rfkill);
	if (blocked == a->ladder.facts.blocked)
		return;
	/* known at once, so that nothing is tried in vain */
	a->ladder.facts.blocked = blocked;
	adapter_post(a, blocked ? LADDER_BLOCK : LADDER_UNBLOCK);
}

/* An unusable address would make two adapters one. */
static bool take_adapter(struct adapter *a, const char *path, const struct adapter_properties *p)
{
	struct adapter_seen *seen = find_adapter(a, path);

	for (size_t i = 0; !seen && i < ADAPTERS_MAX; i++) {
		if (!a->seen[i].path[0])
			seen = &a->seen[i];
	}
	if (!seen || !(p->seen & PROPERTY_ADAPTER_ADDRESS) ||
	    strnlen(path, OBJECT_PATH) >= OBJECT_PATH || strncmp(path, "/org/bluez/", 11) != 0) {
		a->counts.malformed++;
		return false;
	}
	if (!seen->path[0])
		memcpy(seen->path, path, strlen(path) + 1);
	seen->address = p->address;
	seen->address.type = BLE_PUBLIC;
	seen->discovering = p->discovering;
	seen->rfkilled = p->rfkilled;
	if (seen == a->own && p->seen & PROPERTY_POWERED && p->powered != seen->powered)
		adapter_set_powered(a, p->powered);
	seen->powered = p->seen & PROPERTY_POWERED && p->powered;
	if (p->seen & PROPERTY_MODALIAS)
		(void)snprintf(seen->modalias, sizeof(seen->modalias), "%.47s", p->modalias);
	return true;
}

static void read_adapter(struct adapter *a, sd_bus_message *m, const char *path)
{
	struct adapter_properties p;

	if (adapter_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	(void)take_adapter(a, path, &p);
}

static bool same_bytes(const struct ble_address *x, const struct ble_address *y)
{
	return memcmp(x->bytes, y->bytes, sizeof(x->bytes)) == 0;
}

/* The one that is named; else the one that was ours, else one that is on, else the first. */
static struct adapter_seen *best(struct adapter *a)
{
	struct adapter_seen *found = NULL;
	int found_rank = 0;

	for (size_t i = 0; i < ADAPTERS_MAX; i++) {
		struct adapter_seen *seen = &a->seen[i];
		int rank;

		if (!seen->path[0])
			continue;
		if (!a->options.any && !same_bytes(&seen->address, &a->options.adapter))
			continue;
		rank = 1 + seen->powered;
		if (a->has_address && same_bytes(&seen->address, &a->address))
			rank = 3;
		if (rank > found_rank) {
			found = seen;
			found_rank = rank;
		}
	}
	return found;
}

/* Bonds are with one adapter; those of another say nothing here. */
static void forget_all(struct adapter *a)
{
	struct object *object;

	while ((object = objects_next(a->objects, NULL))) {
		set_linked(a, object, false);
		objects_remove(a->objects, object);
	}
}

static void choose(struct adapter *a)
{
	if (a->own)
		return;
	a->own = best(a);
	if (!a->own)
		return;
	if (a->has_address && !same_bytes(&a->address, &a->own->address))
		forget_all(a);
	a->address = a->own->address;
	a->has_address = true;
	adapter_post(a, LADDER_FOUND);
	a->lifted = a->lifted || a->own->powered;
	if (a->own->powered)
		adapter_post(a, LADDER_POWERED);
}

static void mark_stale(struct adapter *a)
{
	struct object *object = NULL;

	while ((object = objects_next(a->objects, object))) {
		object->stale = true;
		object->removed_at = 0;
	}
}

/* Its links are gone with it, its bonds are on the disk. */
static void own_gone(struct adapter *a)
{
	struct object *object = NULL;

	while ((object = objects_next(a->objects, object)))
		set_linked(a, object, false);
	mark_stale(a);
	a->own = NULL;
	scan_lost(a, false);
	rung_lost(a, false);
	agent_lost(a);
	adapter_post(a, LADDER_GONE);
}

static void list(struct adapter *a);

static void adapter_removed(struct adapter *a, const char *path)
{
	struct adapter_seen *seen = find_adapter(a, path);

	if (!seen)
		return;
	if (seen == a->own)
		own_gone(a);
	*seen = (struct adapter_seen){ 0 };
	choose(a);
	if (a->own)
		list(a);
}

/* ---- the list of all objects ---- */

enum pass {
	PASS_ADAPTERS,
	PASS_DEVICES,
	PASS_NEW /* InterfacesAdded */
};

/* a{sa{sv}} of one path */
static int read_interfaces(struct adapter *a, sd_bus_message *m, const char *path, enum pass pass)
{
	const char *interface;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		r = sd_bus_message_read_basic(m, 's', &interface);
		if (r < 0)
			return r;
		if (pass != PASS_DEVICES && strcmp(interface, ADAPTER1) == 0)
			read_adapter(a, m, path);
		else if (pass != PASS_ADAPTERS && strcmp(interface, DEVICE1) == 0 &&
			 is_own_device(a, path))
			read_device(a, m, path, pass == PASS_NEW);
		else if ((r = sd_bus_message_skip(m, "a{sv}")) < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_list(struct adapter *a, sd_bus_message *m, enum pass pass)
{
	const char *path;
	int r;

	r = sd_bus_message_rewind(m, 1);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
		r = sd_bus_message_read_basic(m, 'o', &path);
		if (r >= 0)
			r = read_interfaces(a, m, path, pass);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int on_list_again(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	list(user);
	return 0;
}

/* What was there before and is not in the list is gone for good. */
static void reconcile(struct adapter *a)
{
	struct object *object = objects_next(a->objects, NULL);

	while (object && a->own) {
		struct object *next = objects_next(a->objects, object);

		if (object->stale)
			remove_object(a, object);
		object = next;
	}
}

static void on_list(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)user;
	if (error || !sd_bus_message_has_signature(reply, "a{oa{sa{sv}}}")) {
		a->counts.failed_calls++;
		adapter_timer(a, &a->list, LIST_US, on_list_again);
		return;
	}
	if (read_list(a, reply, PASS_ADAPTERS) < 0) {
		a->counts.malformed++;
		return;
	}
	choose(a);
	if (read_list(a, reply, PASS_DEVICES) < 0)
		a->counts.malformed++;
	else
		reconcile(a);
}

static void list(struct adapter *a)
{
	sd_bus_message *m = NULL;
	int r;

	r = adapter_method(a, "/", MANAGER, "GetManagedObjects", &m);
	if (r >= 0)
		r = adapter_call(a, m, on_list, NULL);
	sd_bus_message_unref(m);
	if (r < 0 && a->owner[0])
		adapter_timer(a, &a->list, LIST_US, on_list_again);
}

/* ---- signals ---- */

static int on_added(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *path;

	(void)ret_error;
	if (!adapter_is_from_daemon(a, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oa{sa{sv}}") ||
	    sd_bus_message_read_basic(m, 'o', &path) < 0 ||
	    read_interfaces(a, m, path, PASS_NEW) < 0) {
		a->counts.malformed++;
		return 0;
	}
	if (!a->own) {
		choose(a);
		/* its devices may have been announced before it */
		if (a->own)
			list(a);
	}
	return 0;
}

static int on_removed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *path, *interface;

	(void)ret_error;
	if (!adapter_is_from_daemon(a, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oas") ||
	    sd_bus_message_read_basic(m, 'o', &path) < 0 ||
	    sd_bus_message_enter_container(m, 'a', "s") < 0) {
		a->counts.malformed++;
		return 0;
	}
	while (sd_bus_message_read_basic(m, 's', &interface) > 0) {
		if (strcmp(interface, DEVICE1) == 0)
			device_removed(a, path);
		else if (strcmp(interface, ADAPTER1) == 0)
			adapter_removed(a, path);
	}
	return 0;
}

static void device_changed(struct adapter *a, sd_bus_message *m, const char *path)
{
	struct object *object = objects_find(a->objects, path);
	struct device_properties p;

	if (!object || object->stale) {
		fetch(a, path);
		return;
	}
	if (device_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	object_learn(object, &p);
	take_flags(a, object, &p);
	if (is_report(&p))
		report(a, object, &p);
}

static void adapter_changed(struct adapter *a, sd_bus_message *m, struct adapter_seen *seen)
{
	struct adapter_properties p;

	if (adapter_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	if (p.seen & PROPERTY_DISCOVERING)
		seen->discovering = p.discovering;
	if (p.seen & PROPERTY_POWER_STATE)
		seen->rfkilled = p.rfkilled;
	if (seen == a->own && p.seen & PROPERTY_DISCOVERING)
		scan_step(a);
	if (!(p.seen & PROPERTY_POWERED))
		return;
	seen->powered = p.powered;
	if (seen != a->own)
		return;
	adapter_set_powered(a, p.powered);
	adapter_check_block(a);
}

static int on_changed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *path = sd_bus_message_get_path(m), *interface;
	struct adapter_seen *seen;

	(void)ret_error;
	if (!adapter_is_from_daemon(a, m) || !path)
		return 0;
	if (!sd_bus_message_has_signature(m, "sa{sv}as") ||
	    sd_bus_message_read_basic(m, 's', &interface) < 0) {
		a->counts.malformed++;
		return 0;
	}
	seen = find_adapter(a, path);
	if (strcmp(interface, DEVICE1) == 0 && is_own_device(a, path))
		device_changed(a, m, path);
	else if (strcmp(interface, ADAPTER1) == 0 && seen)
		adapter_changed(a, m, seen);
	return 0;
}

/* ---- bluetoothd and the bus ---- */

static void daemon_lost(struct adapter *a)
{
	if (!a->owner[0])
		return;
	a->owner[0] = '\0';
	a->generation++;
	a->own = NULL;
	a->fetching = 0;
	memset(a->seen, 0, sizeof(a->seen));
	mark_stale(a);
	adapter_timer_stop(a->list);
	scan_lost(a, true);
	rung_lost(a, true);
	agent_lost(a);
	adapter_post(a, LADDER_DAEMON_DOWN);
}

static void daemon_came(struct adapter *a, const char *owner)
{
	if (strcmp(a->owner, owner) == 0)
		return;
	daemon_lost(a);
	if (strnlen(owner, sizeof(a->owner)) >= sizeof(a->owner)) {
		a->counts.malformed++;
		return;
	}
	memcpy(a->owner, owner, strlen(owner) + 1);
	a->generation++;
	a->counts.restarts_of_bluetoothd += a->had_daemon;
	a->had_daemon = true;
	adapter_post(a, LADDER_DAEMON_UP);
	agent_register(a);
	list(a);
}

static int on_owner(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *name, *before, *after;

	(void)ret_error;
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || strcmp(name, BLUEZ) != 0)
		return 0;
	if (after[0])
		daemon_came(a, after);
	else
		daemon_lost(a);
	return 0;
}

static void bus_lost(struct adapter *a);

static void on_first_owner(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const char *owner;

	(void)user;
	if (adapter_error_is_timeout(error)) {
		bus_lost(a);
		return;
	}
	a->reopen_us = REOPEN_MIN_US;
	adapter_post(a, LADDER_BUS_UP);
	if (!error && sd_bus_message_read_basic(reply, 's', &owner) > 0)
		daemon_came(a, owner);
}

static int on_disconnected(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	(void)m;
	(void)ret_error;
	bus_lost(user);
	return 0;
}

static int bus_match(struct adapter *a)
{
	static const struct {
		const char *rule;
		sd_bus_message_handler_t handler;
	} rows[] = {
		{ "type='signal',sender='" DBUS "',interface='" DBUS "',"
		  "member='NameOwnerChanged',arg0='" BLUEZ "'",
		  on_owner },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesAdded'",
		  on_added },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesRemoved'",
		  on_removed },
		/* not those of GATT: readings of others pass there */
		{ "type='signal',sender='" BLUEZ "',interface='" PROPERTIES "',"
		  "member='PropertiesChanged',arg0='" DEVICE1 "'",
		  on_changed },
		{ "type='signal',sender='" BLUEZ "',interface='" PROPERTIES "',"
		  "member='PropertiesChanged',arg0='" ADAPTER1 "'",
		  on_changed },
	};
	int r;

	r = sd_bus_match_signal_async(a->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
				      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
				      NULL, a);
	for (size_t i = 0; r >= 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		r = sd_bus_add_match_async(a->bus, NULL, rows[i].rule, rows[i].handler, NULL, a);
	return r;
}

static int ask_owner(struct adapter *a)
{
	sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(a->bus, &m, DBUS, "/org/freedesktop/DBus", DBUS,
					   "GetNameOwner");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", BLUEZ);
	if (r >= 0)
		r = adapter_call(a, m, on_first_owner, NULL);
	sd_bus_message_unref(m);
	return r;
}

static void bus_close(struct adapter *a)
{
	if (a->bus) {
		(void)sd_bus_detach_event(a->bus);
		sd_bus_close(a->bus);
	}
	a->bus = sd_bus_unref(a->bus);
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;
	int r;

	(void)source;
	(void)usec;
	bus_close(a);
	a->generation++;
	r = bluez_bus_open(a->bus_address, &a->bus);
	if (r >= 0)
		r = sd_bus_attach_event(a->bus, a->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = bus_match(a);
	if (r >= 0)
		r = agent_export(a);
	if (r >= 0)
		r = ask_owner(a);
	if (r < 0)
		bus_lost(a);
	return 0;
}

/* The connection itself is closed from the loop: we may be in one of its callbacks. */
static void bus_lost(struct adapter *a)
{
	daemon_lost(a);
	a->generation++;
	adapter_post(a, LADDER_BUS_DOWN);
	adapter_timer(a, &a->reopen, a->reopen_us, on_reopen);
	a->reopen_us = a->reopen_us * 2 < REOPEN_MAX_US ? a->reopen_us * 2 : REOPEN_MAX_US;
}

/* ---- the outside ---- */

static int copy_options(struct adapter *a, const struct adapter_options *options)
{
	a->options = *options;
	a->root = strdup(options->root ? options->root : "");
	a->bus_address = options->bus_address ? strdup(options->bus_address) : NULL;
	a->options.root = a->root;
	a->options.bus_address = a->bus_address;
	return a->root && (a->bus_address || !options->bus_address) ? 0 : -ENOMEM;
}

int adapter_new(sd_event *event, const struct adapter_options *options,
		const struct adapter_handlers *handlers, struct adapter **ret)
{
	struct adapter *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->event = sd_event_ref(event);
	a->handlers = *handlers;
	a->reopen_us = REOPEN_MIN_US;
	a->rung.child_fd = -1;
	ladder_init(&a->ladder, options->rung_us > 0 ? options->rung_us : RUNG_US);
	r = copy_options(a, options);
	if (r >= 0)
		r = objects_new(&a->objects);
	if (r >= 0)
		r = sd_event_add_defer(event, &a->drain, on_drain, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(a->drain, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(a->drain, SD_EVENT_PRIORITY_IMPORTANT);
	if (r < 0) {
		adapter_free(a);
		return r;
	}
	adapter_timer(a, &a->reopen, 0, on_reopen);
	*ret = a;
	return 0;
}

void adapter_free(struct adapter *a)
{
	if (!a)
		return;
	sd_event_source_disable_unref(a->drain);
	sd_event_source_disable_unref(a->deadline);
	sd_event_source_disable_unref(a->block);
	sd_event_source_disable_unref(a->reopen);
	sd_event_source_disable_unref(a->sweep);
	sd_event_source_disable_unref(a->list);
	scan_free(a);
	agent_free(a);
	rung_free(a);
	bus_close(a);
	objects_free(a->objects);
	free(a->bus_address);
	free(a->root);
	sd_event_unref(a->event);
	free(a);
}

enum adapter_state adapter_state(const struct adapter *a)
{
	return ladder_public(a->ladder.state);
}

int adapter_address(const struct adapter *a, struct ble_address *ret)
{
	if (!a->own)
		return -ENODEV;
	*ret = a->own->address;
	return 0;
}

bool adapter_is_bonded(const struct adapter *a, const struct ble_address *address)
{
	const struct object *object = objects_by_address(a->objects, address);

	return object && object->bonded;
}

bool adapter_is_linked(const struct adapter *a, const struct ble_address *address)
{
	const struct object *object = objects_by_address(a->objects, address);

	return object && object->linked;
}

const struct adapter_counts *adapter_counts(const struct adapter *a)
{
	return &a->counts;
}

/* ---- requests about one device ---- */

struct forget {
	void (*done)(void *user, int r);
	void *user;
};

static void on_forgotten(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const struct forget *forget = user;
	int r = 0;

	(void)a;
	if (error && strcmp(error, STALE) == 0)
		r = -EPIPE;
	else if (adapter_error_is_timeout(error))
		r = -ETIMEDOUT;
	else if (error && !adapter_error_is(error, "DoesNotExist"))
		r = -sd_bus_message_get_errno(reply);
	if (forget->done)
		forget->done(forget->user, r);
}

static int forget_call(struct adapter *a, const char *path, struct forget *forget)
{
	sd_bus_message *m = NULL;
	int r;

	r = adapter_method(a, a->own->path, ADAPTER1, "RemoveDevice", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "o", path);
	if (r >= 0)
		r = call_send(
			a, m,
			&(struct call){ .done = on_forgotten, .user = forget, .is_owed = true });
	sd_bus_message_unref(m);
	return r;
}

/* The path that bluetoothd would give it; for a resolved private address it has another. */
static void path_of(const struct adapter *a, const struct ble_address *address,
		    char ret[OBJECT_PATH])
{
	const uint8_t *b = address->bytes;

	(void)snprintf(ret, OBJECT_PATH, "%.40s/dev_%02X_%02X_%02X_%02X_%02X_%02X", a->own->path,
		       b[0], b[1], b[2], b[3], b[4], b[5]);
}

int adapter_forget(struct adapter *a, const struct ble_address *address,
		   void (*done)(void *user, int r), void *user)
{
	struct object *object = objects_by_address(a->objects, address);
	char path[OBJECT_PATH];
	struct forget *forget;
	int r;

	if (!a->own)
		return -ENODEV;
	path_of(a, address, path);
	if (object)
		memcpy(path, object->path, sizeof(path));
	forget = malloc(sizeof(*forget));
	if (!forget)
		return -ENOMEM;
	*forget = (struct forget){ done, user };
	r = forget_call(a, path, forget);
	if (r < 0)
		free(forget);
	else if (object)
		object->is_forgotten = true;
	return r;
}

static void on_asked(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	(void)user;
	a->counts.failed_calls += error != NULL;
}

int adapter_disconnect(struct adapter *a, const struct ble_address *address)
{
	const struct object *object = objects_by_address(a->objects, address);
	sd_bus_message *m = NULL;
	int r;

	if (!object)
		return -ENOENT;
	r = adapter_method(a, object->path, DEVICE1, "Disconnect", &m);
	if (r >= 0)
		r = adapter_call(a, m, on_asked, NULL);
	sd_bus_message_unref(m);
	return r;
}
