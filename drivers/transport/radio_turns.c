/*
 * Who may connect, and when: one attempt at a time, with the scan stopped, the longest in the queue
 * first. And the one timer of all of them.
 */
#include "drivers/transport/radio_private.h"

#define RETRY_US       INT64_C(1000000)
#define STREAM_TURN_US INT64_C(60000000) /* before a stream makes room for others */

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
	heard_time(n, now);
}

int radio_on_timer(sd_event_source *source, uint64_t usec, void *user)
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
