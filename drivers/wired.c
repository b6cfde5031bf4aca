#include "drivers/wired.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "drivers/log.h"
#include "drivers/transport/usb.h"
#include "drivers/transport/usb_io.h"

#define FOLDER      "wired"
#define SETTLE_USEC INT64_C(1000000)

struct wired {
	struct wired_options options;
	char *state, *folder;
	struct link *link;
	struct usb *usb; /* NULL before it is started */
	bool trusted;
	int zone_min;
};

/* ---- the devices to the gateway ---- */

static int on_up(void *user, uint32_t id, const char *identity, const struct session *session)
{
	const struct wired *w = user;

	return link_up_wired(w->link, id, identity, session);
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq)
{
	const struct wired *w = user;
	struct link_stamp stamp;
	int r = link_stamp_now(&stamp);

	if (r >= 0)
		r = link_measurement(w->link, id, m, seq, &stamp);
	if (r < 0)
		log_error("gateway: measurement not queued error=%d", -r);
	return r;
}

static int on_down(void *user, uint32_t id, const struct session *session)
{
	const struct wired *w = user;

	return link_down(w->link, id, session);
}

static bool has_room(void *user)
{
	const struct wired *w = user;

	return link_has_room(w->link);
}

static void on_changed(void *user)
{
	const struct wired *w = user;

	link_examine(w->link);
}

static void on_observe(void *user, uint32_t id, const struct cap_event *event)
{
	const struct wired *w = user;
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	w->options.observe(w->options.user, id, event,
			   (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

/* ---- their state, for the gateway ---- */

struct teller {
	void (*finding)(void *user, enum adapter_finding_level level, const char *text,
			const char *advice);
	void *user;
};

static void tell(void *user, enum usb_finding_level level, const char *text, const char *advice)
{
	const struct teller *t = user;

	t->finding(t->user, level == USB_FINDING_PROBLEM ? ADAPTER_PROBLEM : ADAPTER_NOTICE, text,
		   advice);
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
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.changed = on_changed,
		.observe = w->options.observe ? on_observe : NULL,
		.user = w,
	};
	int r;

	w->link = link;
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
