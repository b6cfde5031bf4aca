#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "drivers/log.h"
#include "drivers/transport/radio_private.h"

#define LINKS_DEFAULT 3

/* ---- small things ---- */

int64_t radio_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t radio_utc_ms_at_zero(void)
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

void radio_changed(struct radio *r)
{
	r->sink.changed(r->sink.user);
}

struct node *radio_node(struct radio *r, const struct ble_address *address)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (ble_address_equal(&r->nodes[i]->address, address))
			return r->nodes[i];
	}
	return NULL;
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
	const char *why = adapter_why(r->adapter);

	log_info("bluetooth: adapter %s%s%s", adapter_state_name(state), why[0] ? ": " : "", why);
	if (is_lost(state)) {
		for (size_t i = 0; i < r->n_nodes; i++)
			radio_node_event(r->nodes[i], DEVICE_ON_ADAPTER_LOST, 0);
		pairing_adapter_lost(r);
	}
	if (state == ADAPTER_RESET)
		left_adapter_reset(r);
	if (state == ADAPTER_READY && r->gatt)
		(void)radio_need_gatt(r); /* it may be another adapter */
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
		heard_advert(n, advert);
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

static bool is_ours(void *user, const struct ble_address *address)
{
	const struct radio *r = user;

	for (size_t i = 0; i < r->n_nodes; i++) {
		if (memcmp(r->nodes[i]->address.bytes, address->bytes, sizeof(address->bytes)) == 0)
			return true;
	}
	return false;
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
		.is_ours = is_ours,
		.user = r,
	};
	int result = sd_event_add_time(r->event, &r->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000,
				       radio_on_timer, r);

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
	heard_committed(n, seq);
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
	for (size_t i = 0; i < r->n_nodes; i++)
		heard_clock(r->nodes[i]);
}

const struct adapter *radio_adapter(const struct radio *r)
{
	return r->adapter;
}
