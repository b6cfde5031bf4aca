#include "drivers/wired.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/transport/usb.h"
#include "drivers/transport/usb_io.h"
#include "drivers/wiring.h"

#define FOLDER      "wired"
#define SETTLE_USEC INT64_C(1000000)

struct wired {
	struct wiring wiring; /* first */
	struct wired_options options;
	char *state, *folder;
	struct usb *usb; /* NULL before it is started */
	bool trusted;
	int zone_min;
};

/* ---- the devices to the gateway ---- */

static int on_up(void *user, uint32_t id, const char *identity, const struct usb_label *label,
		 const struct session *session)
{
	const struct wired *w = user;
	const struct link_label said = { label->make, label->model, label->release };

	return link_up_wired(w->wiring.link, id, identity, &said, session);
}

static void on_changed(void *user)
{
	const struct wired *w = user;

	link_examine(w->wiring.link);
}

/* ---- their state, for the gateway ---- */

struct teller {
	void (*finding)(void *user, enum adapter_finding_level level, const char *text,
			const char *advice);
	void *user;
};

static void tell(void *user, enum usb_finding_level level, const char *text, const char *advice)
{
	static const enum adapter_finding_level levels[] = {
		[USB_FINDING_GOOD] = ADAPTER_GOOD,
		[USB_FINDING_NOTICE] = ADAPTER_NOTICE,
		[USB_FINDING_PROBLEM] = ADAPTER_PROBLEM,
	};
	const struct teller *t = user;

	t->finding(t->user, levels[level], text, advice);
}

static void get_findings(void *user,
			 void (*finding)(void *user, enum adapter_finding_level level,
					 const char *text, const char *advice),
			 void *finding_user)
{
	const struct wired *w = user;
	struct teller teller = { finding, finding_user };

	if (w->usb)
		usb_findings(w->usb, tell, &teller);
}

/* ---- beginning and end ---- */

int wired_new(const struct wired_options *options, struct wired **ret)
{
	struct wired *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->options = *options;
	w->wiring.observe = options->observe;
	w->wiring.observe_user = options->user;
	if (asprintf(&w->folder, "%s/" FOLDER, options->state) < 0)
		w->folder = NULL;
	w->state = strdup(options->state);
	if (!w->folder || !w->state) {
		wired_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

int wired_start(struct wired *w, sd_event *event, struct link *link)
{
	const struct usb_options options = {
		.directory = w->folder,
		.preamble = w->options.preamble,
	};
	const struct usb_sink sink = {
		.up = on_up,
		.measurement = wiring_measurement,
		.down = wiring_down,
		.has_room = wiring_has_room,
		.changed = on_changed,
		.observe = w->wiring.observe ? wiring_observe : NULL,
		.user = w,
	};
	int r;

	w->wiring.link = link;
	if (mkdir(w->state, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = usb_new(event, &options, &sink, w->options.next_seq, w->options.next_id, &w->usb);
	if (r < 0)
		return r;
	usb_set_clock(w->usb, w->trusted, w->zone_min);
	link_set_wired(link, get_findings, w);
	return 0;
}

void wired_free(struct wired *w)
{
	if (!w)
		return;
	usb_free(w->usb);
	(void)usb_io_settle(SETTLE_USEC); /* the loop runs no more; the last answer is to go out */
	free(w->state);
	free(w->folder);
	free(w);
}

void wired_clock(void *wired, bool trusted, int zone_offset_min)
{
	struct wired *w = wired;

	w->trusted = trusted;
	w->zone_min = zone_offset_min;
	if (w->usb)
		usb_set_clock(w->usb, trusted, zone_offset_min);
}

void wired_committed(struct wired *w, uint64_t seq)
{
	if (w->usb)
		usb_committed(w->usb, seq);
}

void wired_refused(struct wired *w, uint64_t seq)
{
	if (w->usb)
		usb_refused(w->usb, seq);
}

void wired_wake(struct wired *w)
{
	if (w->usb)
		usb_wake(w->usb);
}
