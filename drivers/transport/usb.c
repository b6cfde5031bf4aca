#include "drivers/transport/usb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "drivers/registry.h"
#include "drivers/transport/cable.h"
#include "drivers/transport/usb_open.h"

#define FINDING_TEXT 128
#define NEVER        INT64_MAX
#define STEADY_US    INT64_C(60000000) /* at work that long: the failures before do not count */

enum plug_state {
	PLUG_WAITING, /* to be opened at retry_at */
	PLUG_WORKING,
	PLUG_RESTING /* until it is plugged in again */
};

/* One attachment that a driver serves. */
struct plug {
	struct usb *usb;
	struct usb_attachment at;
	const struct driver *driver;
	uint32_t quirks;
	enum plug_state state;
	int64_t retry_at;
	unsigned int failures;
	int error; /* of the last time; 0 none */
	bool gone; /* unplugged, but its cable still waits for a commit */

	/* while it works */
	struct cable *cable;
	uint32_t id;
	int64_t since;
	bool announced;
	char identity[WIRE_IDENTITY_MAX]; /* "" not settled */
	struct session_facts facts;       /* as announced */
	struct wire_note note;
	bool noted;        /* the note is loaded, or there is none yet */
	bool record_waits; /* for the commit of record_seq */
	uint32_t record;
	uint64_t record_seq;
};

struct usb {
	struct usb_options options;
	struct usb_sink sink;
	sd_event *event;
	sd_event_source *timer;
	struct usb_monitor *monitor;
	struct wire_notes *notes; /* NULL: nothing is kept */
	uint64_t *next_seq;
	uint32_t *next_id;
	bool trusted;
	int zone_min;
	int notes_error;
	uint32_t told; /* fingerprint of the findings */
	struct plug *plugs[USB_ATTACHMENTS_MAX];
	size_t n;
};

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A fingerprint of what there is to be told: it is asked for again only when it is another. */
static void add_finding(void *user, enum usb_finding_level level, const char *text,
			const char *advice)
{
	uint32_t *sum = user;

	(void)level;
	(void)advice;
	for (const char *c = text; *c; c++)
		*sum = (*sum ^ (uint8_t)*c) * UINT32_C(16777619);
}

static void changed(struct usb *u)
{
	uint32_t sum = 1;

	usb_findings(u, add_finding, &sum);
	if (sum == u->told)
		return;
	u->told = sum;
	u->sink.changed(u->sink.user);
}

/* ---- when to try ---- */

static void plan(struct usb *u)
{
	int64_t at = NEVER;

	for (size_t i = 0; i < u->n; i++) {
		if (u->plugs[i]->state == PLUG_WAITING && u->plugs[i]->retry_at < at)
			at = u->plugs[i]->retry_at;
	}
	if (at == NEVER || usb_connected(u) >= USB_CABLES_MAX) {
		(void)sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(u->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static int64_t backoff(const struct plug *p)
{
	int64_t us = p->usb->options.backoff_us;

	for (unsigned int i = 1; i < p->failures && us < USB_BACKOFF_MAX_US; i++)
		us *= 2;
	return us < USB_BACKOFF_MAX_US ? us : USB_BACKOFF_MAX_US;
}

static void retry_later(struct plug *p, int error)
{
	p->state = PLUG_WAITING;
	p->error = error;
	p->failures++;
	p->retry_at = now_us() + backoff(p);
}

/* ---- identity and notes ---- */

/* a serial number of a descriptor is 127 bytes at most, so nothing is cut */
void usb_identify(const struct usb_attachment *a, const char *told, char ret[WIRE_IDENTITY_MAX])
{
	if (usb_serial_is_good(a->serial))
		(void)snprintf(ret, WIRE_IDENTITY_MAX, "usb:%04x:%04x:%s", a->vid, a->pid,
			       a->serial);
	else if (told)
		(void)snprintf(ret, WIRE_IDENTITY_MAX, "id:%s", told);
	else
		(void)snprintf(ret, WIRE_IDENTITY_MAX, "model:%04x:%04x:%s", a->vid, a->pid,
			       a->product);
}

static const char *told_serial(const struct session *session)
{
	const char *serial = session_facts(session)->text[DRV_SERIAL];

	return usb_serial_is_good(serial) ? serial : NULL;
}

/* Somebody else who is connected and claims to be this one. */
static bool is_taken(const struct plug *p)
{
	const struct usb *u = p->usb;

	for (size_t i = 0; i < u->n; i++) {
		const struct plug *o = u->plugs[i];

		if (o != p && o->cable && o->driver == p->driver &&
		    strcmp(o->identity, p->identity) == 0)
			return true;
	}
	return false;
}

static void load_note(struct plug *p)
{
	struct session_memory memory = { .n_consents = 0 };
	int r = -ENOENT;

	if (p->usb->notes)
		r = wire_notes_load(p->usb->notes, p->driver->name, p->identity, &p->note);
	if (r == -EBADMSG)
		log_warning("usb: what was kept of a device could not be read driver=%s",
			    p->driver->name);
	if (r < 0) {
		p->note = (struct wire_note){ .kept_len = 0 };
		(void)snprintf(p->note.driver, sizeof(p->note.driver), "%s", p->driver->name);
		memcpy(p->note.identity, p->identity, sizeof(p->note.identity));
	}
	p->noted = true;
	memcpy(memory.kept, p->note.kept, sizeof(memory.kept));
	memory.kept_len = p->note.kept_len;
	cable_set_memory(p->cable, &memory);
	if (p->note.has_last_record)
		cable_set_last_record(p->cable, p->note.last_record);
}

static void save_note(struct plug *p)
{
	struct usb *u = p->usb;
	const int r = u->notes && p->noted ? wire_notes_save(u->notes, &p->note) : 0;

	if (r < 0)
		log_error("usb: what is to be kept of a device was not written driver=%s error=%d",
			  p->driver->name, -r);
	if (r != u->notes_error) {
		u->notes_error = r;
		changed(u);
	}
}

/* The first that is known of: the descriptor's, the driver's, or, `at_last`, only the model. */
static int settle_identity(struct plug *p, const struct session *session, bool at_last)
{
	const char *told = session ? told_serial(session) : NULL;

	if (p->identity[0])
		return 0;
	if (!usb_serial_is_good(p->at.serial) && !told && !at_last)
		return 0;
	usb_identify(&p->at, told, p->identity);
	if (is_taken(p))
		return -EEXIST;
	load_note(p);
	return 0;
}

/* Another number than that under which it is known. */
static bool is_another(const struct plug *p, const struct session *session)
{
	const char *told = told_serial(session);

	if (!told || strncmp(p->identity, "usb:", 4) == 0)
		return false;
	return strncmp(p->identity, "id:", 3) != 0 || strcmp(p->identity + 3, told) != 0;
}

/* ---- what the cable says ---- */

static int announce(struct plug *p, const struct session *session)
{
	const struct usb *u = p->usb;
	struct usb_label label;
	int r;

	if (p->announced && memcmp(&p->facts, session_facts(session), sizeof(p->facts)) == 0)
		return 0;
	p->facts = *session_facts(session);
	usb_label(&p->at, &label);
	r = u->sink.up(u->sink.user, p->id, p->identity, &label, session);
	p->announced = p->announced || r >= 0;
	return r;
}

static int on_up(void *user, const struct session *session)
{
	struct plug *p = user;
	int r = settle_identity(p, session, false);

	if (r >= 0 && p->identity[0])
		r = announce(p, session);
	return r;
}

/* Before the readings of the frame that told it. */
static int on_facts(void *user, const struct session *session)
{
	struct plug *p = user;
	int r;

	if (p->identity[0] && is_another(p, session))
		return -EPROTO;
	r = settle_identity(p, session, false);
	if (r >= 0 && p->identity[0])
		r = announce(p, session);
	return r;
}

static void note_record(struct plug *p, const struct measurement *m, uint64_t seq)
{
	if (!m->has_record_number || !measurement_is_final(m))
		return;
	if (!p->record_waits || m->record_number > p->record)
		p->record = m->record_number;
	p->record_waits = true;
	p->record_seq = seq;
}

static int on_measurement(void *user, const struct session *session, const struct measurement *m,
			  uint64_t seq)
{
	struct plug *p = user;
	const struct usb *u = p->usb;
	int r = settle_identity(p, session, true);

	if (r >= 0)
		r = announce(p, session);
	if (r >= 0)
		r = u->sink.measurement(u->sink.user, p->id, m, seq);
	if (r < 0)
		return r;
	p->error = 0;
	note_record(p, m, seq);
	return 0;
}

static bool has_room(void *user)
{
	const struct plug *p = user;

	return p->usb->sink.has_room(p->usb->sink.user);
}

static void on_memory(void *user, const struct session_memory *memory)
{
	struct plug *p = user;

	if (settle_identity(p, cable_session(p->cable), true) < 0)
		return;
	memcpy(p->note.kept, memory->kept, sizeof(p->note.kept));
	p->note.kept_len = memory->kept_len;
	save_note(p);
}

static void on_observe(void *user, const struct cap_event *event)
{
	const struct plug *p = user;
	const struct usb *u = p->usb;
	struct cap_event e;

	if (event->kind != CAP_OPEN) {
		u->sink.observe(u->sink.user, p->id, event);
		return;
	}
	e = *event;
	e.open.vid = p->at.vid;
	e.open.pid = p->at.pid;
	u->sink.observe(u->sink.user, p->id, &e);
}

/* ---- opening and closing ---- */

static int open_wire(const struct plug *p, const struct wire_sink *sink, struct wire **ret)
{
	const struct usb_opening opening = {
		.event = p->usb->event,
		.attachment = &p->at,
		.driver = p->driver,
		.unchecked = p->usb->options.no_monitor,
		.preamble = p->usb->options.preamble,
	};

	return usb_open_wire(&opening, sink, ret);
}

static void on_ended(void *user, int error);

static int connect_cable(struct plug *p)
{
	struct usb *u = p->usb;
	const struct cable_sink sink = {
		.up = on_up,
		.facts = on_facts,
		.measurement = on_measurement,
		.has_room = has_room,
		.ended = on_ended,
		.observe = u->sink.observe ? on_observe : NULL,
		.memory = on_memory,
		.user = p,
	};
	struct wire_sink wire_sink;
	struct wire *wire = NULL;
	int r = cable_new(u->event, p->driver, p->quirks, &sink, u->next_seq, &p->cable);

	if (r < 0)
		return r;
	r = settle_identity(p, NULL, false);
	wire_sink = cable_wire_sink(p->cable);
	if (r >= 0)
		r = open_wire(p, &wire_sink, &wire);
	if (r < 0)
		return r;
	p->id = (*u->next_id)++;
	p->since = now_us();
	p->state = PLUG_WORKING;
	cable_set_clock(p->cable, u->trusted, u->zone_min);
	return cable_start(p->cable, wire);
}

static void disconnect(struct plug *p)
{
	const struct usb *u = p->usb;
	const struct session *session = p->cable ? cable_session(p->cable) : NULL;

	if (session && p->announced)
		(void)u->sink.down(u->sink.user, p->id, session);
	cable_free(p->cable);
	p->cable = NULL;
	p->identity[0] = '\0';
	p->announced = p->noted = p->record_waits = false;
}

static void try_plug(struct plug *p)
{
	int r = connect_cable(p);

	if (r >= 0) {
		log_info("usb: device opened driver=%s", p->driver->name);
		return; /* what was wrong may still be: it is forgotten when a reading has come */
	}
	disconnect(p);
	if (-r != p->error)
		log_warning("usb: device not opened driver=%s error=%d", p->driver->name, -r);
	retry_later(p, -r);
}

static void remove_plug(struct plug *p)
{
	struct usb *u = p->usb;

	disconnect(p);
	for (size_t i = 0; i < u->n; i++) {
		if (u->plugs[i] == p) {
			u->plugs[i] = u->plugs[--u->n];
			break;
		}
	}
	free(p);
}

/* Was it one that the driver serves? It said so if it told anything that the driver understood;
 * what the driver says of it itself is not that. */
static bool was_served(const struct session *session)
{
	static const struct session_facts nothing;
	struct session_facts facts = *session_facts(session);

	facts.news = 0;
	return session_counts(session)->measurements > 0 ||
	       memcmp(&facts, &nothing, sizeof(nothing)) != 0;
}

/* What somebody should know of it is told although it never said who it is. */
static void say_news(struct plug *p, const struct session *session)
{
	if (!p->announced && session_facts(session)->news != 0 &&
	    settle_identity(p, session, true) >= 0)
		(void)announce(p, session);
}

static void on_ended(void *user, int error)
{
	struct plug *p = user;
	struct usb *u = p->usb;
	const struct session *session = cable_session(p->cable);
	const bool served = was_served(session);

	if (session_counts(session)->measurements > 0 || now_us() - p->since > STEADY_US)
		p->failures = 0;
	log_info("usb: device closed driver=%s error=%d", p->driver->name, error);
	say_news(p, session);
	disconnect(p);
	if (p->gone) {
		remove_plug(p);
	} else if (error != 0) {
		retry_later(p, error);
	} else if (served) {
		p->state = PLUG_WAITING;
		p->failures = 0;
		p->error = 0;
		p->retry_at = now_us() + u->options.revisit_us;
	} else {
		p->state = PLUG_RESTING;
		p->error = 0;
	}
	changed(u);
	plan(u);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct usb *u = user;
	const int64_t now = now_us();

	(void)source;
	(void)usec;
	for (size_t i = 0; i < u->n; i++) {
		struct plug *p = u->plugs[i];

		if (p->state == PLUG_WAITING && p->retry_at <= now &&
		    usb_connected(u) < USB_CABLES_MAX)
			try_plug(p);
	}
	changed(u);
	plan(u);
	return 0;
}

/* ---- what is plugged in ---- */

/* The table decides, and once more its row: nothing is opened because a row forgot to say what. */
static const struct driver *driver_of(const struct usb_attachment *a, uint32_t *ret_quirks)
{
	const struct drv_identity id = {
		.bus = a->bus,
		.name = a->product[0] ? a->product : NULL,
		.vid = a->vid,
		.pid = a->pid,
		.usb_classes = a->classes,
		.n_usb_classes = a->n_classes,
	};
	const struct driver *driver = registry_match(&id, ret_quirks);

	for (const struct drv_match *row = driver ? driver->match : NULL; row && row->bus; row++) {
		if (row->bus != a->bus)
			continue;
		if (row->vid != 0 && row->vid == a->vid && row->pid == a->pid)
			return driver;
		if (row->usb_class != 0 && a->n_classes > 0 &&
		    memchr(a->classes, row->usb_class, a->n_classes))
			return driver;
	}
	return NULL;
}

void usb_attached(struct usb *u, const struct usb_attachment *attachment)
{
	uint32_t quirks = 0;
	const struct driver *driver = u->options.driver;
	struct plug *p;

	if (!driver)
		driver = driver_of(attachment, &quirks);
	if (!driver || u->n == USB_ATTACHMENTS_MAX)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return; /* it is found again when it is plugged in anew */
	p->usb = u;
	p->at = *attachment;
	p->driver = driver;
	p->quirks = quirks;
	p->state = PLUG_WAITING;
	u->plugs[u->n++] = p;
	log_info("usb: device attached driver=%s", driver->name);
	plan(u);
}

void usb_detached(struct usb *u, const char *syspath)
{
	for (size_t i = 0; i < u->n; i++) {
		struct plug *p = u->plugs[i];

		if (p->gone || strcmp(p->at.syspath, syspath) != 0)
			continue;
		log_info("usb: device detached driver=%s", p->driver->name);
		p->gone =
			true; /* a cable knows it from its wire, and may still wait for a commit */
		if (!p->cable)
			remove_plug(p);
		break;
	}
	changed(u);
	plan(u);
}

static void on_attached(void *user, const struct usb_attachment *attachment)
{
	usb_attached(user, attachment);
}

static void on_detached(void *user, const char *syspath)
{
	usb_detached(user, syspath);
}

/* ---- from outside ---- */

void usb_committed(struct usb *u, uint64_t seq)
{
	for (size_t i = 0; i < u->n; i++) {
		struct plug *p = u->plugs[i];

		if (!p->cable)
			continue;
		cable_committed(p->cable, seq);
		if (!p->record_waits || seq < p->record_seq)
			continue;
		p->record_waits = false;
		if (p->note.has_last_record && p->note.last_record >= p->record)
			continue;
		p->note.has_last_record = true;
		p->note.last_record = p->record;
		save_note(p);
	}
}

void usb_refused(struct usb *u, uint64_t seq)
{
	for (size_t i = 0; i < u->n; i++) {
		struct plug *p = u->plugs[i];

		if (!p->cable)
			continue;
		cable_refused(p->cable, seq);
		if (p->record_waits && seq <= p->record_seq)
			p->record_waits = false; /* if it is another's, this is only read again */
	}
}

void usb_wake(struct usb *u)
{
	for (size_t i = 0; i < u->n; i++) {
		if (u->plugs[i]->cable)
			cable_wake(u->plugs[i]->cable);
	}
}

void usb_set_clock(struct usb *u, bool trusted, int zone_offset_min)
{
	u->trusted = trusted;
	u->zone_min = zone_offset_min;
	for (size_t i = 0; i < u->n; i++) {
		if (u->plugs[i]->cable)
			cable_set_clock(u->plugs[i]->cable, trusted, zone_offset_min);
	}
}

size_t usb_connected(const struct usb *u)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n; i++)
		n += u->plugs[i]->cable != NULL;
	return n;
}

/* ---- findings ---- */

static bool any(const struct usb *u, int error, enum drv_bus bus)
{
	for (size_t i = 0; i < u->n; i++) {
		const struct plug *p = u->plugs[i];

		if (p->error == error && (bus == DRV_BUS_ANY || p->at.bus == bus))
			return true;
	}
	return false;
}

static bool any_waits(const struct usb *u)
{
	const int64_t now = now_us();

	for (size_t i = 0; i < u->n; i++) {
		if (u->plugs[i]->state == PLUG_WAITING && u->plugs[i]->retry_at <= now)
			return true;
	}
	return false;
}

static void find_good(const struct usb *u,
		      void (*finding)(void *user, enum usb_finding_level level, const char *text,
				      const char *advice),
		      void *user)
{
	char text[FINDING_TEXT];

	if (u->n == 0)
		(void)snprintf(text, sizeof(text), "nothing is plugged in that can be read");
	else
		(void)snprintf(text, sizeof(text),
			       "%zu device%s plugged in that can be read, connected now: %zu", u->n,
			       u->n == 1 ? " is" : "s are", usb_connected(u));
	finding(user, USB_FINDING_GOOD, text, NULL);
}

void usb_findings(const struct usb *u,
		  void (*finding)(void *user, enum usb_finding_level level, const char *text,
				  const char *advice),
		  void *user)
{
	find_good(u, finding, user);
	if (u->monitor && !usb_monitor_hears(u->monitor))
		finding(user, USB_FINDING_NOTICE, "udev is not heard: USB devices are found late",
			"run outside of a container, or pass its network to it");
	if (any(u, EACCES, DRV_BUS_ANY) || any(u, EPERM, DRV_BUS_ANY))
		finding(user, USB_FINDING_PROBLEM, "a USB device may not be opened",
			"install the udev rules of wellgate, and plug it in again");
	if (any(u, EBUSY, DRV_BUS_SERIAL))
		finding(user, USB_FINDING_PROBLEM, "another program holds the port of a device",
			"if it is ModemManager: install the udev rules of wellgate");
	if (any(u, EBUSY, DRV_BUS_USB) || any(u, EBUSY, DRV_BUS_HID))
		finding(user, USB_FINDING_PROBLEM, "another program or driver holds a USB device",
			"find out which: fuser -v on its node in /dev/bus/usb");
	if (any(u, EEXIST, DRV_BUS_ANY))
		finding(user, USB_FINDING_NOTICE,
			"two connected devices have one identity: the second one is not read",
			"plug them in one after the other");
	if (u->notes_error < 0)
		finding(user, USB_FINDING_PROBLEM, "what was read of a USB device cannot be noted",
			"look at the state directory: space and permissions");
	if (usb_connected(u) >= USB_CABLES_MAX && any_waits(u))
		finding(user, USB_FINDING_NOTICE, "more USB devices than can be read at once",
			"unplug those that are done");
}

/* ---- beginning and end ---- */

static void take_options(struct usb *u, const struct usb_options *options)
{
	u->options = *options;
	u->told = 1;
	if (u->options.backoff_us == 0)
		u->options.backoff_us = USB_BACKOFF_MIN_US;
	if (u->options.revisit_us == 0)
		u->options.revisit_us = USB_REVISIT_US;
}

static int start(struct usb *u)
{
	const struct usb_monitor_handlers handlers = {
		.attached = on_attached,
		.detached = on_detached,
		.user = u,
	};
	int r = sd_event_add_time(u->event, &u->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer,
				  u);

	if (r >= 0)
		r = sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
	if (r >= 0 && u->options.directory)
		r = wire_notes_open(u->options.directory, &u->notes);
	if (r >= 0 && !u->options.no_monitor)
		r = usb_monitor_new(u->event, u->options.look_us, &handlers, &u->monitor);
	return r;
}

int usb_new(sd_event *event, const struct usb_options *options, const struct usb_sink *sink,
	    uint64_t *next_seq, uint32_t *next_id, struct usb **ret)
{
	struct usb *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	take_options(u, options);
	u->sink = *sink;
	u->event = sd_event_ref(event);
	u->next_seq = next_seq;
	u->next_id = next_id;
	r = start(u);
	if (r < 0) {
		usb_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

void usb_free(struct usb *u)
{
	if (!u)
		return;
	usb_monitor_free(u->monitor);
	while (u->n > 0)
		remove_plug(u->plugs[u->n - 1]);
	wire_notes_free(u->notes);
	(void)sd_event_source_disable_unref(u->timer);
	(void)sd_event_unref(u->event);
	free(u);
}
