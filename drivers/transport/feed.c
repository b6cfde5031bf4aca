#include "drivers/transport/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/fitbit.h"
#include "drivers/registry.h"

#define NO_DEADLINE INT64_MAX

struct feed_link {
	struct feed *feed;
	bool used;
	uint16_t id;
	char name[CAP_TEXT_MAX];
	int64_t now, deadline;
	int zone_min;
	struct session *session; /* NULL: nobody's, so far */
};

struct feed {
	struct feed_sink sink;
	uint64_t *next_seq;
	bool has_start;
	int64_t start_ms;
	struct feed_link links[FEED_LINKS_MAX];
};

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct feed_link *l = user;

	l->feed->sink.measurement(l->feed->sink.user, l->id, m, seq);
}

static void on_request(void *user, const struct session_request *request)
{
	struct feed_link *l = user;

	if (request->kind == SESSION_TIMER)
		l->deadline = session_deadline(request, l->now);
	else
		l->feed->sink.request(l->feed->sink.user, l->id, request);
}

static void on_confirm(void *user, uint16_t channel)
{
	struct feed_link *l = user;

	l->feed->sink.confirm(l->feed->sink.user, l->id, channel);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	struct feed_link *l = user;

	l->feed->sink.fault(l->feed->sink.user, l->id, channel, fault, r);
}

static void on_memory(void *user, const struct session_memory *memory)
{
	struct feed_link *l = user;

	if (l->feed->sink.memory)
		l->feed->sink.memory(l->feed->sink.user, l->id, memory);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	struct feed_link *l = user;

	if (l->feed->sink.consent)
		l->feed->sink.consent(l->feed->sink.user, l->id, i, outcome, slot);
}

static struct feed_link *find(struct feed *f, uint16_t id)
{
	for (size_t i = 0; i < FEED_LINKS_MAX; i++) {
		if (f->links[i].used && f->links[i].id == id)
			return &f->links[i];
	}
	return NULL;
}

static enum drv_bus bus_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum drv_bus bus;
	} buses[] = {
		{ "ble", DRV_BUS_BLE }, { "advert", DRV_BUS_BLE_ADVERT }, { "usb", DRV_BUS_USB },
		{ "hid", DRV_BUS_HID }, { "serial", DRV_BUS_SERIAL },     { "file", DRV_BUS_FILE },
	};

	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		if (strcmp(buses[i].name, name) == 0)
			return buses[i].bus;
	}
	return DRV_BUS_ANY;
}

static const struct driver *match(const struct cap_open *o, uint32_t *ret_quirks)
{
	struct drv_identity id = {
		.bus = bus_by_name(o->bus),
		.services = &o->service,
		.n_services = o->service != 0,
		.company = o->company,
		.name = o->name[0] ? o->name : NULL,
		.vid = o->vid,
		.pid = o->pid,
	};

	const struct driver *driver;

	if (o->driver[0])
		driver = registry_by_name(o->driver);
	else
		driver = registry_match(&id, ret_quirks);
	if (o->has_quirks)
		*ret_quirks = o->quirks;
	return driver;
}

uint32_t feed_quirks(const struct cap_open *open)
{
	uint32_t quirks = 0;

	(void)match(open, &quirks);
	return quirks;
}

/* What the hub knows beforehand. A capture has one offset, whatever the season. */
static void tell(struct feed_link *l, const struct cap_open *o)
{
	const struct session_hub hub = { .midnight = fitbit_midnight_at_offset,
					 .user = &l->zone_min };
	struct session *s = l->session;
	struct session_memory memory = { .n_consents = o->n_consents, .kept_len = o->kept_len };

	_Static_assert(CAP_CONSENTS_MAX <= DRV_CONSENTS_MAX && CAP_KEPT_MAX <= DRV_KEPT_MAX &&
			       CAP_SLOT_NEW == DRV_SLOT_NEW,
		       "a capture says what a session can hold");
	for (size_t i = 0; i < o->n_consents; i++) {
		memory.consents[i].slot = o->consents[i].slot;
		memory.consents[i].code = o->consents[i].code;
	}
	memcpy(memory.kept, o->kept, o->kept_len);
	session_set_memory(s, &memory);
	if (o->has_zone) {
		l->zone_min = o->zone_min;
		session_set_zone(s, o->zone_min);
		session_set_hub(s, &hub);
	}
	if (o->has_last)
		session_set_last_record(s, o->last);
}

const struct driver *feed_driver(const struct cap_open *open, uint16_t channel)
{
	uint32_t quirks;
	const struct driver *driver = match(open, &quirks);

	return driver ? driver : registry_by_channel(channel);
}

/* a0 a1 a2 ...: what a capture is made with, it is played with */
static void give_random(struct session *s)
{
	uint8_t bytes[DRV_RANDOM_MAX];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(0xa0 + i);
	session_set_random(s, bytes, sizeof(bytes));
}

/* open: what is known beforehand; NULL nothing */
static int start_session(struct feed_link *l, const struct driver *driver, uint32_t quirks,
			 const struct cap_open *open)
{
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.memory = on_memory,
		.consent = on_consent,
		.user = l,
	};
	int r = session_new(driver, quirks, &sink, l->feed->next_seq, &l->session);

	if (r < 0)
		return r;
	give_random(l->session);
	if (l->feed->has_start)
		session_set_wall(l->session, l->feed->start_ms);
	if (open)
		tell(l, open);
	if (l->feed->sink.opened)
		l->feed->sink.opened(l->feed->sink.user, l->id, l->session);
	return session_open(l->session, LINK_REPLAY, l->now);
}

static int open_link(struct feed *f, const struct cap_event *e)
{
	struct feed_link *l = NULL;
	const struct driver *driver;
	uint32_t quirks = 0;

	for (size_t i = 0; i < FEED_LINKS_MAX && !l; i++) {
		if (!f->links[i].used)
			l = &f->links[i];
	}
	if (!l)
		return -ENOBUFS;
	*l = (struct feed_link){
		.feed = f,
		.used = true,
		.id = e->link,
		.now = e->at_us,
		.deadline = NO_DEADLINE,
	};
	memcpy(l->name, e->open.name, sizeof(l->name));
	driver = match(&e->open, &quirks);
	return driver ? start_session(l, driver, quirks, &e->open) : -ENODEV;
}

static void end_link(struct feed_link *l)
{
	if (l->session)
		session_close(l->session, l->now);
	session_free(l->session);
	l->session = NULL;
	l->used = false;
}

enum drv_channel_mode feed_mode(const struct driver *driver, uint16_t channel)
{
	for (const struct drv_channel *c = driver->channels; c && c->id != 0; c++) {
		if (c->id == channel && c->mode != DRV_WRITE)
			return c->mode;
	}
	return 0;
}

static int give_frame(struct feed_link *l, const struct cap_event *e)
{
	const struct drv_frame frame = { .channel = e->channel, .data = e->data, .len = e->len };
	const struct driver *driver;
	int r;

	if (!l->session) {
		driver = registry_by_channel(e->channel);
		if (!driver)
			return -ENODEV;
		r = start_session(l, driver, 0, NULL);
		if (r < 0)
			return r;
	}
	driver = session_driver(l->session);
	return session_frame(l->session, &frame, feed_mode(driver, e->channel) == DRV_INDICATE,
			     e->at_us);
}

static int give_advert(struct feed_link *l, const struct cap_event *e)
{
	const struct drv_advert advert = {
		.name = l->name[0] ? l->name : NULL,
		.company = e->company,
		.service = e->service,
		.data = e->data,
		.len = e->len,
	};

	return l->session ? session_advert(l->session, &advert, e->at_us) : -ENODEV;
}

/* Timers that were due before this moment fire first, each at its own time. */
static void let_time_pass(struct feed *f, int64_t now)
{
	for (size_t i = 0; i < FEED_LINKS_MAX; i++) {
		struct feed_link *l = &f->links[i];

		while (l->used && l->session && l->deadline <= now) {
			l->now = l->deadline;
			l->deadline = NO_DEADLINE;
			(void)session_timeout(l->session, l->now); /* counted, and seen when done */
			if (l->deadline <= l->now)
				break; /* a timer of no length may not hold up the capture */
		}
		l->now = now;
	}
}

int feed_event(struct feed *f, const struct cap_event *event)
{
	struct feed_link *l = find(f, event->link);

	let_time_pass(f, event->at_us);
	if (event->kind == CAP_OPEN) {
		if (l)
			end_link(l);
		return open_link(f, event);
	}
	if (!l)
		return -ENODEV;
	if (event->kind == CAP_FRAME)
		return give_frame(l, event);
	if (event->kind == CAP_ADVERT)
		return give_advert(l, event);
	if (event->kind == CAP_CLOSE)
		end_link(l);
	return 0;
}

int feed_committed(struct feed *f, uint64_t seq, int64_t now)
{
	int r = 0;

	for (size_t i = 0; i < FEED_LINKS_MAX; i++) {
		struct feed_link *l = &f->links[i];
		int err;

		if (!l->used || !l->session)
			continue;
		l->now = now;
		err = session_committed(l->session, seq, now);
		if (err < 0)
			r = err;
	}
	return r;
}

struct session *feed_session(struct feed *f, uint16_t link)
{
	const struct feed_link *l = find(f, link);

	return l ? l->session : NULL;
}

void feed_set_start(struct feed *f, int64_t utc_ms)
{
	f->has_start = true;
	f->start_ms = utc_ms;
}

int feed_new(const struct feed_sink *sink, uint64_t *next_seq, struct feed **ret)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->sink = *sink;
	f->next_seq = next_seq;
	*ret = f;
	return 0;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < FEED_LINKS_MAX; i++) {
		if (f->links[i].used)
			end_link(&f->links[i]);
	}
	free(f);
}
