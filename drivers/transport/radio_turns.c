/*
 * Who may connect, and when: one attempt at a time, with the scan stopped, the one whose last turn
 * was longest ago first. And the one timer of all of them.
 */
#include "drivers/transport/radio_private.h"

#define RETRY_US INT64_C(1000000)

static size_t slots_used(const struct radio *r)
{
	size_t n = pairing_has_link(r);

	for (size_t i = 0; i < r->n_nodes; i++)
		n += device_holds_slot(&r->nodes[i]->device);
	return n;
}

static bool is_before(const struct node *a, const struct node *b)
{
	return a->tried_at != b->tried_at ? a->tried_at < b->tried_at : a->queued_at < b->queued_at;
}

/* Round after round: nobody has a second turn while somebody waits for his first. */
static struct node *next_in_queue(const struct radio *r)
{
	struct node *next = NULL;

	for (size_t i = 0; i < r->n_nodes; i++) {
		struct node *n = r->nodes[i];

		if (!n || n->device.state != DEVICE_QUEUED)
			continue;
		if (!next || is_before(n, next))
			next = n;
	}
	return next;
}

/* Others wait: the link that loses least ends, as soon as it has had its turn. */
static void make_room(struct radio *r, bool at_once, int64_t now)
{
	struct node *first = NULL;

	for (size_t i = 0; i < r->n_nodes; i++) {
		struct node *n = r->nodes[i];
		const int64_t turn = device_turn(&n->device);
		const int64_t until = turn == INT64_MAX ? RADIO_NEVER : n->linked_at + turn;

		if (until < r->room_at) {
			r->room_at = until;
			first = n;
		}
	}
	if (!first || (!at_once && now < r->room_at))
		return;
	r->room_at = RADIO_NEVER;
	radio_node_event(first, DEVICE_ON_YIELD, 0);
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
		n->tried_at = radio_now();
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
	if (!pairs && left_wants_peace(r, now)) {
		make_room(r, true, now);
		return;
	}
	if (pairs)
		next = r->pairing.node;
	else if (r->sink.has_room(r->sink.user))
		next = next_in_queue(r);
	if (!next)
		return;
	if (slots_used(r) < r->options.links_max)
		choose(r, next, now);
	else
		make_room(r, pairs, now);
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
