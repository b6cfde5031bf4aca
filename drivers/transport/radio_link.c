/*
 * The link of a device: begun, listened to, ended, as its state machine (device.h) says.
 */
#include <errno.h>

#include "drivers/log.h"
#include "drivers/transport/radio_private.h"

/* ---- what the peer says ---- */

static void on_record(void *user, uint32_t record)
{
	struct enrolment *e = node_change(user);

	if (!e)
		return;
	e->has_last_record = true;
	e->last_record = record;
	(void)node_keep(user, e);
}

static int on_table(void *user, const struct att_table *table)
{
	struct enrolment *e = node_change(user);

	if (!e)
		return -ENOMEM;
	if (table)
		e->table = *table;
	else
		att_table_clear(&e->table);
	return node_keep(user, e);
}

static int on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct node *n = user;

	return line_deliver(n, &n->link, peer_session(n->peer), m, seq);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	struct node *n = user;

	(void)i;
	(void)slot;
	n->consent_refused = n->consent_refused || outcome == DRV_CONSENT_REFUSED;
	node_tell_consent(n);
}

static void on_observe(void *user, const struct cap_event *event)
{
	const struct node *n = user;
	const struct radio *r = n->radio;

	if (r->sink.observe && n->link.id != 0)
		r->sink.observe(r->sink.user, n->link.id, event);
}

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

int radio_need_gatt(struct radio *r)
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
void node_watch(struct node *n)
{
	struct radio *r = n->radio;
	int result = radio_need_gatt(r);

	if (result == 0)
		result = gatt_dbus_watch(r->gatt, &n->address, n->driver->channels);
	if (result < 0)
		log_error("bluetooth: device not watched error=%d", -result);
}

/* ---- its steps ---- */

int radio_connect(struct node *n, const struct att_table *table, enum bearer_level required,
		  enum bearer_level ask)
{
	struct radio *r = n->radio;
	const struct peer_handlers handlers = {
		.event = on_peer_event,
		.measurement = on_measurement,
		.has_room = node_has_room,
		.memory = node_on_memory,
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
		const int result = radio_need_gatt(r);

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
	const struct peer_driver driver = node_driver(n, e);

	line_begin(n, &n->link);
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
		line_end(n, &n->link, session);
	peer_free(n->peer);
	n->peer = NULL;
	n->link = (struct line){ 0 };
}

static void connect_node(struct node *n)
{
	const struct enrolment *e = node_enrolment(n);
	int r = -ENOENT;

	if (e)
		r = radio_connect(n, &e->table, radio_level_of(e->level),
				  (enum bearer_level)device_ask(&n->device));
	if (r == 0)
		return;
	log_error("bluetooth: attempt not begun error=%d", -r);
	radio_node_event(n, DEVICE_ON_END, DEVICE_END_TRANSIENT);
}

static void open_node(struct node *n)
{
	const struct enrolment *e = node_enrolment(n);
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

/* ---- the state machine ---- */

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
		node_alarm(n);
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
