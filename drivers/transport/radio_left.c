/*
 * Links that nobody holds. A device that is linked does not advertise, so one of those hides it for
 * ever, and what it has measured stays in it.
 *
 * The kernel has the link, we do not: a killed predecessor had asked for it, and it was made after
 * nobody wanted it any more. bluetoothd says that the device is connected. Our attempt takes the
 * link over, and its end is the link's.
 *
 * The controller has the link, the kernel does not: Linux 6.12 drops a Connection Complete that
 * crosses its own Create Connection Cancel (an attempt that is given up, or whose helper dies, at
 * that moment; seen in the lab once in 400 sessions of a hub whose programs are killed). Nobody can
 * say so, but the device is not heard any more. What is not heard for a while after such a moment
 * may be asleep as well, so the adapter is switched off and on only when nothing else is going on;
 * in a place where something always is, nobody has a new turn after a while, until it was done.
 */
#include "drivers/log.h"
#include "drivers/transport/radio_private.h"

#define LEFTOVER_US INT64_C(4000000)  /* twice what the kernel keeps a link that was closed */
#define HELD_US     INT64_C(30000000) /* a device with something to tell is heard within seconds */
#define HELD_TIMES  10                /* so often that, and peace is made */
#define PEACE_US    INT64_C(1000000)  /* until the next look whether there is peace */

void left_look_later(struct node *n)
{
	n->leftover_at = radio_now() + LEFTOVER_US;
}

/* Those that are only on their way out are gone by then. */
static void look_leftover(struct node *n, int64_t now)
{
	const struct radio *r = n->radio;

	if (now < n->leftover_at)
		return;
	n->leftover_at = RADIO_NEVER;
	if (n->peer || n->device.config.broadcast || pairing_is_about(r, &n->address) ||
	    !adapter_is_linked(r->adapter, &n->address))
		return;
	n->leftover_at = now + LEFTOVER_US;
	radio_node_event(n, DEVICE_ON_ADVERT, 0);
}

static int64_t held_us(const struct radio *r)
{
	return r->options.held_us > 0 ? r->options.held_us : HELD_US;
}

void left_maybe_held(struct node *n)
{
	if (n->device.config.broadcast)
		return;
	n->doubted_at = radio_now();
	n->held_at = n->doubted_at + held_us(n->radio);
}

void left_is_free(struct node *n)
{
	n->held_at = RADIO_NEVER;
}

/* Only the cycle that was asked for: while bluetoothd starts it is ABSENT too, and links stay. */
void left_adapter_reset(struct radio *r)
{
	for (size_t i = 0; r->cycling && i < r->n_nodes; i++)
		left_is_free(r->nodes[i]);
	r->cycling = false;
}

int64_t left_deadline(const struct node *n)
{
	return n->leftover_at < n->held_at ? n->leftover_at : n->held_at;
}

static bool is_idle(const struct radio *r)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i]->peer || device_holds_slot(&r->nodes[i]->device))
			return false;
	}
	return !r->pausing && !r->attempting && !pairing_runs(r) &&
	       adapter_state(r->adapter) == ADAPTER_READY;
}

static bool wants_peace(const struct node *n, int64_t now)
{
	return n->held_at != RADIO_NEVER && now >= n->doubted_at + HELD_TIMES * held_us(n->radio);
}

bool left_wants_peace(const struct radio *r, int64_t now)
{
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (wants_peace(r->nodes[i], now))
			return true;
	}
	return false;
}

void left_time(struct node *n, int64_t now)
{
	struct radio *r = n->radio;

	look_leftover(n, now);
	if (now < n->held_at)
		return;
	if (!is_idle(r)) {
		n->held_at = now + (wants_peace(n, now) ? PEACE_US : held_us(r));
		return;
	}
	left_maybe_held(n); /* the adapter may decline: once more, and from the beginning */
	log_info("bluetooth: a device is silent since its link was given up: cycling the adapter");
	r->cycling = true;
	adapter_doubt(r->adapter, ADAPTER_DOUBT_CONNECTS);
}
