#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "drivers/log.h"
#include "drivers/registry.h"
#include "drivers/transport/radio_private.h"

#define LINKS_DEFAULT  3
#define RETRY_US       INT64_C(1000000)
#define STREAM_TURN_US INT64_C(60000000) /* before a stream makes room for others */

/* ---- small things ---- */

int64_t radio_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t utc_ms_at_zero(void)
{
	const int64_t now = radio_now();
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 - now / 1000;
}

/* Linux before 6.12 kills who closes a link that was lost before its first packet: a level that is
 * asked for before the connection makes that likely. */
static bool kernel_raises_late(void)
{
	struct utsname name;
	unsigned long major, minor = 0;
	char *end;

	if (uname(&name) < 0)
		return true;
	major = strtoul(name.release, &end, 10);
	if (*end == '.')
		minor = strtoul(end + 1, NULL, 10);
	return major < 6 || (major == 6 && minor < 12);
}

static bool row_ends(const struct drv_match *row)
{
	return row->bus == DRV_BUS_ANY && row->service == 0 && !row->service_uuid128 &&
	       row->company == 0 && !row->name_prefix && row->vid == 0 && row->pid == 0 &&
	       row->usb_class == 0;
}

bool radio_driver_on(const struct driver *driver, enum drv_bus bus)
{
	for (const struct drv_match *row = driver->match; !row_ends(row); row++) {
		if (row->bus == bus || row->bus == DRV_BUS_ANY)
			return true;
	}
	return false;
}

void radio_changed(struct radio *r)
{
	r->sink.changed(r->sink.user);
}

static enum bearer_level level_of(enum link_security security)
{
	switch (security) {
	case LINK_ENCRYPTED:
		return BEARER_ENCRYPTED;
	case LINK_AUTHENTICATED:
		return BEARER_AUTHENTICATED;
	case LINK_UNKNOWN:
	case LINK_REPLAY:
	case LINK_CLEAR:
	case LINK_CABLE:
	case LINK_BROADCAST:
		break;
	}
	return BEARER_CLEAR;
}

struct node *radio_node(struct radio *r, const struct ble_address *address)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (ble_address_equal(&r->nodes[i]->address, address))
			return r->nodes[i];
	}
	return NULL;
}

/* ---- what is kept of a device ---- */

static const struct enrolment *enrolment_of(const struct node *n)
{
	return enrolments_find(n->radio->enrolments, &n->address);
}

/* The draft of a pairing, or a copy to be changed and put back by keep(); NULL: it is gone, or
 * there is no memory. */
static struct enrolment *change(const struct node *n)
{
	const struct enrolment *e;
	struct enrolment *copy;

	if (n->pairing)
		return n->radio->pairing.draft;
	e = enrolment_of(n);
	copy = e ? malloc(sizeof(*copy)) : NULL;
	if (copy)
		*copy = *e;
	return copy;
}

/* Durable when it returns 0; what is being paired is not kept yet. Takes what change() gave. */
static int keep(struct node *n, struct enrolment *e)
{
	int r;

	if (n->pairing)
		return 0;
	r = enrolments_put(n->radio->enrolments, e);
	if (r < 0)
		log_error("bluetooth: enrolment not written error=%d", -r);
	free(e);
	return r;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	struct enrolment *e = change(user);

	if (!e)
		return;
	e->memory = *memory;
	(void)keep(user, e);
}

static void on_record(void *user, uint32_t record)
{
	struct enrolment *e = change(user);

	if (!e)
		return;
	e->has_last_record = true;
	e->last_record = record;
	(void)keep(user, e);
}

static int on_table(void *user, const struct att_table *table)
{
	struct enrolment *e = change(user);

	if (!e)
		return -ENOMEM;
	if (table)
		e->table = *table;
	else
		att_table_clear(&e->table);
	return keep(user, e);
}

/* ---- sessions and the gateway ---- */

static void say_up(struct node *n, struct line *line, const struct session *session)
{
	const struct radio *r = n->radio;

	line->announced = true;
	line->facts = *session_facts(session);
	n->facts = line->facts;
	n->has_facts = true;
	if (r->sink.up(r->sink.user, line->id, &n->address, session) < 0)
		log_error("bluetooth: link not announced link=%u", line->id);
}

static void begin_line(struct node *n, struct line *line)
{
	*line = (struct line){ .id = (*n->radio->next_id)++ };
}

static void end_line(struct node *n, struct line *line, const struct session *session)
{
	const struct radio *r = n->radio;
	const struct session_counts *counts = session_counts(session);

	for (size_t i = 0; i < FAULT_END; i++)
		n->faults[i] += counts->faults[i];
	if (!line->announced && counts->frames > 0)
		say_up(n, line, session);
	n->facts = *session_facts(session);
	n->has_facts = true;
	if (line->announced && r->sink.down(r->sink.user, line->id, session) < 0)
		log_error("bluetooth: link end not announced link=%u", line->id);
	line->id = 0;
}

static int deliver(struct node *n, struct line *line, const struct session *session,
		   const struct measurement *m, uint64_t seq)
{
	const struct radio *r = n->radio;

	/* late enough to name the device, and again when more has become known */
	if (!line->announced ||
	    memcmp(&line->facts, session_facts(session), sizeof(line->facts)) != 0)
		say_up(n, line, session);
	return r->sink.measurement(r->sink.user, line->id, m, seq);
}

static int on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct node *n = user;

	return deliver(n, &n->link, peer_session(n->peer), m, seq);
}

static bool has_room(void *user)
{
	const struct radio *r = ((const struct node *)user)->radio;

	return r->sink.has_room(r->sink.user);
}

static void alarm_changed(struct node *n)
{
	log_warning("bluetooth: device trouble=%s", device_trouble_name(n->device.trouble));
	radio_changed(n->radio);
}

/* One refused code is a trouble until somebody has looked, whatever the others say. */
static void tell_consent(struct node *n)
{
	/* not a word about a link in it, so there is nothing to be done with the peer */
	if (device_event(&n->device, DEVICE_ON_CONSENT, n->consent_refused, radio_now()) &
	    DEVICE_DO_ALARM)
		alarm_changed(n);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	struct node *n = user;

	(void)i;
	(void)slot;
	n->consent_refused = n->consent_refused || outcome == DRV_CONSENT_REFUSED;
	tell_consent(n);
}

static void on_observe(void *user, const struct cap_event *event)
{
	const struct node *n = user;
	const struct radio *r = n->radio;

	if (r->sink.observe && n->link.id != 0)
		r->sink.observe(r->sink.user, n->link.id, event);
}

/* ---- links ---- */

static void on_peer_event(void *user, enum device_event event, unsigned int argument)
{
	struct node *n = user;
	struct radio *r = n->radio;

	if (event == DEVICE_ON_CONNECTED) {
		n->connected = true;
		left_is_free(n);
		n->linked_at = radio_now();
		n->links++;
		r->has_timeout = false;
		adapter_works(r->adapter);
	}
	if (event == (n->bluetoothd ? DEVICE_ON_ARMED : DEVICE_ON_CONNECTED))
		radio_attempt_over(r, n);
	if (event == DEVICE_ON_IN_CLEAR)
		n->in_clear++;
	if (event == DEVICE_ON_END)
		log_debug("bluetooth: link ended state=%s end=%u error=%d",
			  device_state_name(n->device.state), argument, -peer_error(n->peer));
	if (n->pairing)
		pairing_event(r, event, argument);
	else
		radio_node_event(n, event, argument);
	radio_settle(r);
}

/* ---- through bluetoothd ---- */

/* It has sent something and has no link here. As good as an advertisement. */
static void on_waiting(void *user, const struct ble_address *address)
{
	struct radio *r = user;
	struct node *n = radio_node(r, address);

	if (n && !pairing_is_about(r, address))
		radio_node_event(n, DEVICE_ON_ADVERT, 0);
	radio_settle(r);
}

static int need_gatt(struct radio *r)
{
	const struct gatt_dbus_options options = { .bus_address = r->options.adapter.bus_address };
	struct ble_address own;
	int result = 0;

	if (!r->gatt)
		result = gatt_dbus_new(r->event, &options, on_waiting, r, &r->gatt);
	if (result == 0 && r->adapter && adapter_address(r->adapter, &own) == 0)
		gatt_dbus_adapter(r->gatt, &own);
	return result;
}

/* Its subscriptions stand from now on, also while it is away. */
static void watch(struct node *n)
{
	struct radio *r = n->radio;
	int result = need_gatt(r);

	if (result == 0)
		result = gatt_dbus_watch(r->gatt, &n->address, n->driver->channels);
	if (result < 0)
		log_error("bluetooth: device not watched error=%d", -result);
}

int radio_connect(struct node *n, const struct att_table *table, enum bearer_level required,
		  enum bearer_level ask)
{
	struct radio *r = n->radio;
	const struct peer_handlers handlers = {
		.event = on_peer_event,
		.measurement = on_measurement,
		.has_room = has_room,
		.memory = on_memory,
		.consent = on_consent,
		.record = on_record,
		.table = on_table,
		.observe = on_observe,
		.user = n,
	};
	struct peer_options options = {
		.bearer = {
			.helper = r->helper,
			.peer = n->address,
			.ask = ask,
			.stand_in = -1,
		},
		.required = required,
		.table = table,
		.bonded = adapter_is_bonded(r->adapter, &n->address),
		.raise_us = r->options.pair_step_us,
	};

	if (n->bluetoothd) {
		const int result = need_gatt(r);

		if (result < 0)
			return result;
		options.gatt = r->gatt;
		options.standing = !n->pairing;
	}
	(void)adapter_address(r->adapter, &options.bearer.adapter);
	if (r->options.stand_in && !n->bluetoothd)
		r->options.stand_in(r->options.stand_in_user, &n->address, &options.bearer);
	n->connected = n->said_linked = n->said_gone = false;
	return peer_new(r->event, &options, &handlers, r->next_seq, &n->peer);
}

void radio_attempt_over(struct radio *r, const struct node *n)
{
	if (!r->attempting || r->chosen != n)
		return;
	r->attempting = false;
	r->chosen = NULL;
	adapter_scan_resume(r->adapter);
}

int radio_open_session(struct node *n, const struct enrolment *e)
{
	const struct radio *r = n->radio;
	const struct peer_driver driver = {
		.driver = n->driver,
		.quirks = e->quirks,
		.name = e->name,
		.memory = &e->memory,
		.has_last_record = e->has_last_record,
		.last_record = e->last_record,
		.has_wall = r->trusted,
		.utc_ms_at_zero = utc_ms_at_zero(),
		.has_zone = r->trusted,
		.zone_min = r->zone_min,
	};

	begin_line(n, &n->link);
	return peer_open(n->peer, &driver);
}

void radio_hang_up(struct node *n)
{
	const struct session *session;

	if (!n->peer)
		return;
	session = peer_session(n->peer);
	if (peer_unrouted(n->peer) > 0)
		log_warning("bluetooth: link=%u unrouted=%u", n->link.id, peer_unrouted(n->peer));
	if (session)
		end_line(n, &n->link, session);
	peer_free(n->peer);
	n->peer = NULL;
	n->link = (struct line){ 0 };
}

static void connect_node(struct node *n)
{
	const struct enrolment *e = enrolment_of(n);
	int r = -ENOENT;

	if (e)
		r = radio_connect(n, &e->table, level_of(e->level),
				  (enum bearer_level)device_ask(&n->device));
	if (r == 0)
		return;
	log_error("bluetooth: attempt not begun error=%d", -r);
	radio_node_event(n, DEVICE_ON_END, DEVICE_END_TRANSIENT);
}

static void open_node(struct node *n)
{
	const struct enrolment *e = enrolment_of(n);
	const int r = e ? radio_open_session(n, e) : -ENOENT;

	if (r == 0)
		return;
	log_warning("bluetooth: no session error=%d", -r);
	radio_node_event(n, DEVICE_ON_END, DEVICE_END_TRANSIENT);
}

/* Two attempts at different devices that never ended, and none that did: the radio, not they. Linux
 * 6.1 makes no connection after one that failed, and most hubs have one device only: there two at
 * the same one are enough. It was heard before each of them. */
static void doubt(struct node *n)
{
	struct radio *r = n->radio;

	if (r->has_timeout && (r->raise_late || !ble_address_equal(&r->timeout, &n->address)))
		adapter_doubt(r->adapter, ADAPTER_DOUBT_CONNECTS);
	else
		adapter_doubt(r->adapter, ADAPTER_DOUBT_SILENT); /* a quiet probe */
	r->has_timeout = true;
	r->timeout = n->address;
}

/* A link that bluetoothd does not have need not be waited for. */
static void look_gone(struct node *n)
{
	const struct adapter *a = n->radio->adapter;

	if (n->said_gone || (!n->connected && !adapter_is_linked(a, &n->address)))
		radio_node_event(n, DEVICE_ON_GONE, 0);
}

static void act(struct node *n, unsigned int actions)
{
	if (actions & DEVICE_DO_QUEUE)
		n->queued_at = radio_now();
	if (actions & DEVICE_DO_CONNECT)
		connect_node(n);
	if (actions & DEVICE_DO_RAISE)
		(void)peer_raise(n->peer, (enum bearer_level)n->device.config.level);
	if (actions & DEVICE_DO_MTU)
		peer_mtu(n->peer);
	if (actions & DEVICE_DO_VERIFY)
		peer_verify(n->peer);
	if (actions & DEVICE_DO_OPEN)
		open_node(n);
	if ((actions & DEVICE_DO_ARM) && n->peer && peer_session(n->peer))
		peer_arm(n->peer);
	if (actions & DEVICE_DO_CLOSE)
		radio_hang_up(n);
	if (actions & DEVICE_DO_RELEASE)
		left_look_later(n);
	if (actions & DEVICE_DO_DOUBT)
		doubt(n);
	if (actions & DEVICE_DO_ALARM)
		alarm_changed(n);
}

/* While bluetoothd pairs and reads a database it was seen to leave a call of the adapter unanswered
 * for 5 s: there the scan waits for all of that. */
static bool is_attempt(const struct node *n, enum device_state state)
{
	return state >= DEVICE_LINKING && state <= (n->bluetoothd ? DEVICE_ARMING : DEVICE_LINKING);
}

void radio_node_event(struct node *n, enum device_event event, unsigned int argument)
{
	const enum device_state before = n->device.state;
	const unsigned int actions = device_event(&n->device, event, argument, radio_now());
	const enum device_state after = n->device.state;

	if (before != after) {
		log_debug("bluetooth: device %s: %s -> %s", device_event_name(event),
			  device_state_name(before), device_state_name(after));
		radio_changed(n->radio);
	}
	if (before >= DEVICE_LINKING && before <= DEVICE_ARMING && after == DEVICE_CLOSING)
		n->failed_links++;
	if (before == DEVICE_LINKING && after == DEVICE_CLOSING &&
	    (event != DEVICE_ON_END || argument == DEVICE_END_TIMEOUT ||
	     argument == DEVICE_END_KILLED))
		left_maybe_held(n);
	act(n, actions);
	if (is_attempt(n, before) && !is_attempt(n, n->device.state))
		radio_attempt_over(n->radio, n);
	if (after == DEVICE_CLOSING && before != DEVICE_CLOSING)
		look_gone(n);
}

/* ---- what is broadcast ---- */

static void heard_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct node *n = user;

	if (deliver(n, &n->broadcast, n->heard, m, seq) < 0)
		log_error("bluetooth: broadcast measurement not taken");
}

static void heard_request(void *user, const struct session_request *request)
{
	struct node *n = user;

	if (request->kind == SESSION_TIMER)
		n->heard_deadline = request->msec == 0
					    ? RADIO_NEVER
					    : radio_now() + (int64_t)request->msec * 1000;
	else if (request->kind == SESSION_CLOSE)
		n->heard_done = true;
	/* nobody can be written to */
}

static void heard_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void heard_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user; /* counted by the session */
	(void)channel;
	(void)fault;
	(void)r;
}

static void end_heard(struct node *n)
{
	if (!n->heard)
		return;
	session_close(n->heard, radio_now());
	end_line(n, &n->broadcast, n->heard);
	session_free(n->heard);
	n->heard = NULL;
	n->heard_deadline = RADIO_NEVER;
	n->heard_done = false;
}

static void tell_clock(const struct radio *r, struct session *s)
{
	if (!r->trusted)
		return;
	session_set_wall(s, utc_ms_at_zero());
	session_set_zone(s, r->zone_min);
}

static int begin_heard(struct node *n)
{
	const struct session_sink sink = {
		.measurement = heard_measurement,
		.request = heard_request,
		.confirm = heard_confirm,
		.fault = heard_fault,
		.memory = on_memory,
		.user = n,
	};
	const struct enrolment *e = enrolment_of(n);
	int r;

	if (!e)
		return -ENOENT;
	r = session_new(n->driver, e->quirks, &sink, n->radio->next_seq, &n->heard);
	if (r < 0)
		return r;
	begin_line(n, &n->broadcast);
	session_set_memory(n->heard, &e->memory);
	if (e->has_last_record)
		session_set_last_record(n->heard, e->last_record);
	tell_clock(n->radio, n->heard);
	return session_open(n->heard, LINK_BROADCAST, radio_now());
}

/* Does a row of the driver speak of this datum? One without an id speaks of all. */
static bool row_is_about(const struct drv_match *row, uint16_t company, uint16_t service)
{
	if (row->bus != DRV_BUS_BLE_ADVERT && row->bus != DRV_BUS_ANY)
		return false;
	if (row->company == 0 && row->service == 0)
		return row->bus == DRV_BUS_BLE_ADVERT;
	return (company != 0 && row->company == company) ||
	       (service != 0 && row->service == service);
}

static bool is_about(const struct driver *driver, uint16_t company, uint16_t service)
{
	for (const struct drv_match *row = driver->match; !row_ends(row); row++) {
		if (row_is_about(row, company, service))
			return true;
	}
	return false;
}

static void hear_datum(struct node *n, const struct drv_advert *advert)
{
	if (!is_about(n->driver, advert->company, advert->service))
		return;
	if (!n->heard && begin_heard(n) < 0)
		return;
	(void)session_advert(n->heard, advert, radio_now());
	if (n->heard_done || session_is_done(n->heard))
		end_heard(n);
}

/* Without room it goes unheard: a scale says it many times, and a driver tells repetitions from
 * news by itself. */
static void hear(struct node *n, const struct ble_advert *advert)
{
	if (!has_room(n))
		return;
	for (size_t i = 0; i < advert->n_company; i++)
		hear_datum(n, &(struct drv_advert){ .name = advert->name,
						    .company = advert->company[i].id,
						    .data = advert->company[i].data,
						    .len = advert->company[i].len });
	for (size_t i = 0; i < advert->n_service; i++)
		hear_datum(n, &(struct drv_advert){ .name = advert->name,
						    .service = advert->service[i].id,
						    .data = advert->service[i].data,
						    .len = advert->service[i].len });
}

/* ---- nodes ---- */

int radio_node_new(struct radio *r, const struct ble_address *address, struct node **ret)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->radio = r;
	n->address = *address;
	n->heard_deadline = n->leftover_at = n->held_at = RADIO_NEVER;
	*ret = n;
	return 0;
}

void radio_node_free(struct node *n)
{
	if (!n)
		return;
	radio_attempt_over(n->radio, n);
	if (n->radio->chosen == n) /* the scan is being stopped for it */
		n->radio->chosen = NULL;
	radio_hang_up(n);
	end_heard(n);
	free(n);
}

int radio_node_enrolled(struct node *n, const struct enrolment *e)
{
	struct radio *r = n->radio;
	struct device_config config = { .level = level_of(e->level), .raise_late = r->raise_late };

	if (r->n_nodes == ENROLMENT_MAX)
		return -ENOSPC;
	n->driver = registry_by_name(e->driver);
	if (!n->driver)
		log_warning("bluetooth: no such driver any more, its device is left alone");
	config.broadcast = !n->driver || e->level == LINK_BROADCAST ||
			   !radio_driver_on(n->driver, DRV_BUS_BLE);
	n->adverts =
		n->driver && n->driver->advert && radio_driver_on(n->driver, DRV_BUS_BLE_ADVERT);
	n->pairing = false;
	n->bluetoothd = e->path == ENROLMENT_BLUETOOTHD && !config.broadcast;
	if (n->bluetoothd)
		watch(n);
	device_init(&n->device, &config);
	r->nodes[r->n_nodes++] = n;
	for (size_t i = 0; i < e->memory.n_consents; i++)
		n->consent_refused = n->consent_refused || e->memory.consents[i].refused;
	if (n->consent_refused)
		tell_consent(n);
	return 0;
}

void radio_node_remove(struct node *n)
{
	struct radio *r = n->radio;

	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i] != n)
			continue;
		r->nodes[i] = r->nodes[--r->n_nodes];
		break;
	}
	radio_hang_up(n);
	if (n->bluetoothd && r->gatt)
		gatt_dbus_unwatch(r->gatt, &n->address);
	radio_node_free(n);
}

/* ---- who may connect ---- */

static size_t slots_used(const struct radio *r)
{
	size_t n = pairing_has_link(r);

	for (size_t i = 0; i < r->n_nodes; i++)
		n += device_holds_slot(&r->nodes[i]->device);
	return n;
}

/* who has waited longest */
static struct node *next_in_queue(const struct radio *r)
{
	struct node *next = NULL;

	for (size_t i = 0; i < r->n_nodes; i++) {
		struct node *n = r->nodes[i];

		if (!n || n->device.state != DEVICE_QUEUED)
			continue;
		if (!next || n->queued_at < next->queued_at)
			next = n;
	}
	return next;
}

/* Others wait, and a stream has had its time: it is the one that loses least. */
static void make_room(struct radio *r, int64_t turn, int64_t now)
{
	struct node *oldest = NULL;

	for (size_t i = 0; i < r->n_nodes; i++) {
		struct node *n = r->nodes[i];
		const bool streams = n->device.streams && (n->device.state == DEVICE_DRAIN ||
							   n->device.state == DEVICE_LINGER);

		if (streams && (!oldest || n->linked_at < oldest->linked_at))
			oldest = n;
	}
	if (!oldest)
		return;
	if (now >= oldest->linked_at + turn)
		radio_node_event(oldest, DEVICE_ON_YIELD, 0);
	else
		r->room_at = oldest->linked_at + turn;
}

static void on_scan_stopped(void *user)
{
	struct radio *r = user;
	struct node *n = r->chosen;

	r->pausing = false;
	if (n && n->pairing) {
		r->attempting = true;
		pairing_turn(r);
	} else if (n && n->device.state == DEVICE_QUEUED) {
		r->attempting = true;
		radio_node_event(n, DEVICE_ON_TURN, 0);
	} else {
		r->chosen = NULL;
		adapter_scan_resume(r->adapter);
	}
	radio_settle(r);
}

static void choose(struct radio *r, struct node *n, int64_t now)
{
	r->chosen = n;
	r->pausing = true;
	if (adapter_scan_pause(r->adapter, on_scan_stopped, r) >= 0)
		return;
	r->pausing = false;
	r->chosen = NULL;
	r->retry_at = now + RETRY_US;
}

static void schedule(struct radio *r, int64_t now)
{
	const bool pairs = pairing_waits(r, now); /* somebody stands there and waits */
	struct node *next = NULL;

	r->room_at = RADIO_NEVER;
	if (now >= r->retry_at)
		r->retry_at = RADIO_NEVER;
	if (r->pausing || r->attempting || r->retry_at != RADIO_NEVER ||
	    adapter_state(r->adapter) != ADAPTER_READY)
		return;
	if (pairs)
		next = r->pairing.node;
	else if (r->sink.has_room(r->sink.user))
		next = next_in_queue(r);
	if (!next)
		return;
	if (slots_used(r) < r->options.links_max)
		choose(r, next, now);
	else
		make_room(r, pairs ? 0 : STREAM_TURN_US, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void set_timer(struct radio *r)
{
	int64_t at = earlier(earlier(r->retry_at, r->room_at), pairing_deadline(r));

	for (size_t i = 0; i < r->n_nodes; i++) {
		at = earlier(at, device_deadline(&r->nodes[i]->device));
		at = earlier(at, r->nodes[i]->heard_deadline);
		at = earlier(at, left_deadline(r->nodes[i]));
	}
	if (at != RADIO_NEVER)
		(void)sd_event_source_set_time(r->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(r->timer,
					  at == RADIO_NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

void radio_settle(struct radio *r)
{
	if (!r->adapter) /* it is being built, or taken apart */
		return;
	schedule(r, radio_now());
	set_timer(r);
}

static void node_time(struct node *n, int64_t now)
{
	left_time(n, now);
	if (now >= device_deadline(&n->device))
		radio_node_event(n, DEVICE_ON_TIME, 0);
	if (n->heard && now >= n->heard_deadline) {
		n->heard_deadline = RADIO_NEVER;
		(void)session_timeout(n->heard, now);
		if (n->heard_done || session_is_done(n->heard))
			end_heard(n);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct radio *r = user;
	const int64_t now = radio_now();

	(void)source;
	(void)usec;
	for (size_t i = 0; i < r->n_nodes; i++)
		node_time(r->nodes[i], now);
	pairing_time(r, now);
	radio_settle(r);
	return 0;
}

/* ---- the adapter ---- */

/* bluetoothd may die and the links live on; without the adapter they do not. */
static bool is_lost(enum adapter_state state)
{
	switch (state) {
	case ADAPTER_ABSENT:
	case ADAPTER_BLOCKED:
	case ADAPTER_OFF:
	case ADAPTER_POWERING:
	case ADAPTER_RESET:
	case ADAPTER_FAILED:
		return true;
	case ADAPTER_NO_BUS:
	case ADAPTER_NO_DAEMON:
	case ADAPTER_READY:
	case ADAPTER_SUSPECT:
	case ADAPTER_STATE_END:
		break;
	}
	return false;
}

static void on_state(void *user, enum adapter_state state)
{
	struct radio *r = user;

	log_info("bluetooth: adapter %s", adapter_state_name(state));
	if (is_lost(state)) {
		for (size_t i = 0; i < r->n_nodes; i++)
			radio_node_event(r->nodes[i], DEVICE_ON_ADAPTER_LOST, 0);
		pairing_adapter_lost(r);
	}
	if (is_lost(state))
		left_adapter_off(r);
	if (state == ADAPTER_READY && r->gatt)
		(void)need_gatt(r); /* it may be another adapter */
	radio_changed(r);
	radio_settle(r);
}

static void on_advert(void *user, const struct ble_advert *advert)
{
	struct radio *r = user;
	struct node *n;

	if (pairing_runs(r))
		pairing_advert(r, advert);
	n = radio_node(r, &advert->address); /* not before: a pairing may replace it */
	if (!n)
		return;
	n->last_seen = radio_now();
	left_is_free(n);
	n->has_rssi = advert->has_rssi;
	n->rssi = advert->rssi;
	if (n->adverts)
		hear(n, advert);
	if (!pairing_is_about(r, &n->address))
		radio_node_event(n, DEVICE_ON_ADVERT, 0);
	radio_settle(r);
}

static void note_linked(struct node *n, bool linked)
{
	if (linked)
		n->said_linked = true;
	else if (n->said_linked)
		n->said_gone = true;
}

static void on_linked(void *user, const struct ble_address *address, bool linked)
{
	struct radio *r = user;
	struct node *n = radio_node(r, address);

	if (n) {
		note_linked(n, linked);
		if (!linked && !n->peer)
			radio_node_event(n, DEVICE_ON_GONE, 0);
		if (linked && !n->peer)
			left_look_later(n);
	}
	radio_settle(r);
}

static void on_bonded(void *user, const struct ble_address *address, bool bonded)
{
	struct radio *r = user;

	pairing_bonded(r, address, bonded);
	radio_settle(r);
}

static void on_question(void *user, const struct ble_address *address,
			enum adapter_question question, uint32_t passkey)
{
	struct radio *r = user;

	pairing_question(r, address, question, passkey);
	radio_settle(r);
}

static void on_intruder(void *user, const struct ble_address *address)
{
	struct radio *r = user;

	(void)address; /* nobody of ours, so it is not written down */
	log_warning("bluetooth: a pairing outside of the window was refused");
	radio_changed(r);
}

/* ---- from outside ---- */

static int load(struct radio *r)
{
	unsigned int bad = 0;
	int result = enrolments_open(r->options.directory, &r->enrolments, &bad);

	if (result < 0)
		return result;
	if (bad > 0)
		log_error("bluetooth: unreadable enrolments were set aside count=%u", bad);
	for (size_t i = 0; i < enrolments_count(r->enrolments); i++) {
		const struct enrolment *e = enrolments_at(r->enrolments, i);
		struct node *n;

		result = radio_node_new(r, &e->address, &n);
		if (result < 0)
			return result;
		result = radio_node_enrolled(n, e);
		if (result < 0) {
			radio_node_free(n);
			return result;
		}
		left_maybe_held(n); /* of a predecessor */
	}
	return 0;
}

static int set_up(struct radio *r)
{
	const struct adapter_handlers handlers = {
		.state = on_state,
		.advert = on_advert,
		.linked = on_linked,
		.bonded = on_bonded,
		.question = on_question,
		.intruder = on_intruder,
		.user = r,
	};
	int result = sd_event_add_time(r->event, &r->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000,
				       on_timer, r);

	if (result < 0)
		return result;
	(void)sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
	result = load(r);
	if (result < 0)
		return result;
	result = adapter_new(r->event, &r->options.adapter, &handlers, &r->adapter);
	if (result < 0)
		return result;
	adapter_scan(r->adapter, r->n_nodes > 0);
	return 0;
}

int radio_new(sd_event *event, const struct radio_options *options, const struct radio_sink *sink,
	      uint64_t *next_seq, uint32_t *next_id, struct radio **ret)
{
	struct radio *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return -ENOMEM;
	r->event = sd_event_ref(event);
	r->options = *options;
	if (r->options.links_max == 0)
		r->options.links_max = LINKS_DEFAULT;
	r->sink = *sink;
	r->next_seq = next_seq;
	r->next_id = next_id;
	r->retry_at = r->room_at = RADIO_NEVER;
	r->raise_late = kernel_raises_late();
	r->helper = strdup(options->helper);
	result = r->helper ? set_up(r) : -ENOMEM;
	if (result < 0) {
		radio_free(r);
		return result;
	}
	*ret = r;
	return 0;
}

void radio_free(struct radio *r)
{
	struct adapter *adapter;

	if (!r)
		return;
	adapter = r->adapter;
	if (adapter) {
		pairing_free(r);
		while (r->n_nodes > 0)
			radio_node_remove(r->nodes[r->n_nodes - 1]);
		r->adapter = NULL;
		adapter_free(adapter);
	}
	while (r->n_nodes > 0) /* never had an adapter */
		radio_node_remove(r->nodes[r->n_nodes - 1]);
	gatt_dbus_free(r->gatt);
	enrolments_free(r->enrolments);
	(void)sd_event_source_disable_unref(r->timer);
	(void)sd_event_unref(r->event);
	free(r->helper);
	free(r);
}

static void node_committed(struct node *n, uint64_t seq)
{
	if (n->peer)
		peer_committed(n->peer, seq);
	if (!n->heard)
		return;
	(void)session_committed(n->heard, seq, radio_now());
	if (n->heard_done || session_is_done(n->heard))
		end_heard(n);
}

void radio_committed(struct radio *r, uint64_t seq)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		node_committed(r->nodes[i], seq);
	if (r->pairing.node)
		node_committed(r->pairing.node, seq);
	radio_settle(r);
}

void radio_refused(struct radio *r, uint64_t seq)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i]->peer)
			peer_refused(r->nodes[i]->peer, seq);
	}
	if (r->pairing.node && r->pairing.node->peer)
		peer_refused(r->pairing.node->peer, seq);
}

void radio_wake(struct radio *r)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i]->peer)
			peer_wake(r->nodes[i]->peer);
	}
	if (r->pairing.node && r->pairing.node->peer)
		peer_wake(r->pairing.node->peer);
	radio_settle(r);
}

void radio_set_clock(struct radio *r, bool trusted, int zone_offset_min)
{
	r->trusted = trusted;
	r->zone_min = zone_offset_min;
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i]->heard)
			tell_clock(r, r->nodes[i]->heard);
	}
}

/* An address that was read off a label has no type. */
static struct node *by_label(struct radio *r, const struct ble_address *address)
{
	struct ble_address other = *address;

	other.type = address->type == BLE_PUBLIC ? BLE_RANDOM : BLE_PUBLIC;
	return radio_node(r, &other);
}

int radio_unpair(struct radio *r, const struct ble_address *address)
{
	struct node *n = radio_node(r, address);
	struct ble_address own;
	int result;

	if (!n)
		n = by_label(r, address);
	if (!n)
		return -ENOENT;
	own = n->address;
	/* ours first: a bond without a device does no harm, a device that nobody wants does */
	result = enrolments_remove(r->enrolments, &own);
	if (result < 0 && result != -ENOENT)
		return result;
	radio_node_remove(n);
	result = adapter_forget(r->adapter, &own, NULL, NULL);
	if (result < 0)
		log_warning("bluetooth: bond not dropped error=%d", -result);
	adapter_scan(r->adapter, r->n_nodes > 0 || pairing_runs(r));
	radio_changed(r);
	radio_settle(r);
	return 0;
}

/* Codes that were refused are tried once more. */
static void forgive_consents(struct node *n)
{
	struct enrolment *e = n->consent_refused ? change(n) : NULL;

	n->consent_refused = false;
	if (!e)
		return;
	for (size_t i = 0; i < e->memory.n_consents; i++)
		e->memory.consents[i].refused = false;
	(void)keep(n, e);
}

int radio_retry(struct radio *r, const struct ble_address *address)
{
	struct node *n = radio_node(r, address);

	if (!n)
		n = by_label(r, address);
	if (!n)
		return -ENOENT;
	forgive_consents(n);
	radio_node_event(n, DEVICE_ON_TRIED_BY_OPERATOR, 0);
	radio_settle(r);
	return 0;
}

size_t radio_devices(const struct radio *r)
{
	return r->n_nodes;
}

void radio_device_at(const struct radio *r, size_t i, struct radio_device *ret)
{
	const struct node *n = r->nodes[i];

	assert(i < r->n_nodes);
	*ret = (struct radio_device){
		.enrolment = enrolment_of(n),
		.state = n->device.state,
		.trouble = n->device.trouble,
		.has_rssi = n->has_rssi,
		.rssi = n->rssi,
		.last_seen_us = n->last_seen,
		.links = n->links,
		.failed_links = n->failed_links,
		.in_clear = n->in_clear,
		.facts = n->has_facts ? &n->facts : NULL,
	};
	memcpy(ret->faults, n->faults, sizeof(ret->faults));
}

const struct adapter *radio_adapter(const struct radio *r)
{
	return r->adapter;
}

void radio_own_findings(const struct radio *r,
			void (*finding)(void *user, enum adapter_finding_level level,
					const char *text, const char *advice),
			void *user)
{
	char text[160];
	size_t n = 0;

	for (size_t i = 0; i < r->n_nodes; i++)
		n += r->nodes[i]->bluetoothd;
	if (n == 0)
		return;
	(void)snprintf(text, sizeof(text),
		       "bluetoothd confirms readings of %zu device%s before they are stored: a "
		       "power cut at that moment loses one.",
		       n, n == 1 ? "" : "s");
	finding(user, ADAPTER_NOTICE, text,
		"`wellgate devices` shows which. Pair such a device again without "
		"--via-bluetoothd if it can be reached the direct way.");
}
