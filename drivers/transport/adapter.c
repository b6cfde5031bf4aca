#include "drivers/transport/adapter.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"

#define RUNG_US  INT64_C(10000000)
#define BLOCK_US INT64_C(1000000) /* rfkill is looked at that often while it blocks */

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

void adapter_because(struct adapter *a, const char *why)
{
	(void)snprintf(a->why, sizeof(a->why), "%s", why);
}

void adapter_doubt(struct adapter *a, enum adapter_doubt doubt)
{
	switch (doubt) {
	case ADAPTER_DOUBT_SILENT:
		adapter_because(a, "nothing is heard");
		adapter_post(a, LADDER_SILENT);
		break;
	case ADAPTER_DOUBT_CONNECTS:
		adapter_because(a, "attempts to connect never end");
		adapter_post(a, LADDER_CONNECTS);
		break;
	case ADAPTER_DOUBT_CALL:
		adapter_because(a, "a call is not answered");
		adapter_post(a, LADDER_DOUBT);
		break;
	case ADAPTER_DOUBT_SCAN:
		adapter_because(a, "discovery was begun and does not run");
		adapter_post(a, LADDER_DOUBT);
		break;
	}
}

const char *adapter_why(const struct adapter *a)
{
	const enum adapter_state state = ladder_public(a->ladder.state);

	return state == ADAPTER_SUSPECT || state == ADAPTER_RESET || state == ADAPTER_FAILED
		       ? a->why
		       : "";
}

void adapter_works(struct adapter *a)
{
	ladder_works(&a->ladder);
	if (a->ladder.state == LADDER_SUSPECT)
		adapter_post(a, LADDER_PROVED);
}

/* ---- the outside ---- */

static int copy_options(struct adapter *a, const struct adapter_options *options)
{
	a->options = *options;
	a->root = strdup(options->root ? options->root : "");
	a->options.root = a->root;
	a->options.bus_address = NULL;
	return a->root ? 0 : -ENOMEM;
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
	if (r >= 0)
		r = adapter_bus_start(a, options->bus_address);
	if (r < 0) {
		adapter_free(a);
		return r;
	}
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
	sd_event_source_disable_unref(a->sweep);
	sd_event_source_disable_unref(a->list);
	scan_free(a);
	agent_free(a);
	rung_free(a);
	bluez_stop(&a->bluez);
	objects_free(a->objects);
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
