/*
 * What a device broadcasts: a session of its own beside that of the link. Nobody can be written to,
 * and nothing can be confirmed.
 */
#include <errno.h>

#include "drivers/log.h"
#include "drivers/transport/radio_private.h"

static void heard_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct node *n = user;

	if (line_deliver(n, &n->broadcast, n->heard, m, seq) == 0)
		return;
	log_error("bluetooth: broadcast measurement not taken");
	n->heard_done = true; /* to a new session what the device says again is no repetition */
}

static void heard_request(void *user, const struct session_request *request)
{
	struct node *n = user;

	if (request->kind == SESSION_TIMER)
		n->heard_deadline = session_deadline(request, radio_now());
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

void heard_end(struct node *n)
{
	if (!n->heard)
		return;
	session_close(n->heard, radio_now());
	line_end(n, &n->broadcast, n->heard);
	session_free(n->heard);
	n->heard = NULL;
	n->heard_deadline = RADIO_NEVER;
	n->heard_done = false;
}

static void end_if_done(struct node *n)
{
	if (n->heard_done || session_is_done(n->heard))
		heard_end(n);
}

void heard_time(struct node *n, int64_t now)
{
	if (!n->heard || now < n->heard_deadline)
		return;
	n->heard_deadline = RADIO_NEVER;
	(void)session_timeout(n->heard, now);
	end_if_done(n);
}

void heard_committed(struct node *n, uint64_t seq)
{
	if (!n->heard)
		return;
	(void)session_committed(n->heard, seq, radio_now());
	end_if_done(n);
}

void heard_clock(struct node *n)
{
	const struct radio *r = n->radio;

	if (!n->heard || !r->trusted)
		return;
	session_set_wall(n->heard, radio_utc_ms_at_zero());
	session_set_zone(n->heard, r->zone_min);
}

static int begin_heard(struct node *n)
{
	const struct session_sink sink = {
		.measurement = heard_measurement,
		.request = heard_request,
		.confirm = heard_confirm,
		.fault = heard_fault,
		.memory = node_on_memory,
		.user = n,
	};
	const struct enrolment *e = node_enrolment(n);
	struct peer_driver driver;
	int r;

	if (!e)
		return -ENOENT;
	driver = node_driver(n, e);
	r = session_new(n->driver, e->quirks, &sink, n->radio->next_seq, &n->heard);
	if (r < 0)
		return r;
	line_begin(n, &n->broadcast);
	peer_inform(n->heard, &driver);
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
	for (const struct drv_match *row = driver->match; !radio_row_ends(row); row++) {
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
	end_if_done(n);
}

/* Without room it goes unheard: a scale says it many times, and a driver tells repetitions from
 * news by itself. */
void heard_advert(struct node *n, const struct ble_advert *advert)
{
	if (!node_has_room(n))
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
