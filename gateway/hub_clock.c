#include "gateway/hub_clock.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/goals/zone.h"
#include "gateway/intake/intake.h"

#define SECOND_US   INT64_C(1000000)
#define QUARTER_US  (900 * SECOND_US)
#define UNSYNCED_US (30 * SECOND_US)

struct hub_clock {
	struct zone *zone;
	sd_event_source *timer;
	void (*changed)(void *user, bool synced, int offset_min);
	void (*now)(void *user, struct receipt *ret);
	void *user;
	bool said, synced;
	int offset_min;
};

/* The timer is one of the machine's clock. */
static int64_t due(const struct hub_clock *c, int64_t now_us, int64_t next_us)
{
	uint64_t machine = 0;

	if (!c->now)
		return next_us;
	(void)sd_event_now(sd_event_source_get_event(c->timer), CLOCK_REALTIME, &machine);
	return (int64_t)machine + (next_us - now_us);
}

static void look(struct hub_clock *c)
{
	struct receipt now;
	int offset_min;
	int64_t next;

	if (c->now)
		c->now(c->user, &now);
	else
		receipt_now(&now);
	offset_min = zone_offset(c->zone, now.utc_ms / 1000) / 60;
	next = now.utc_ms * 1000 + UNSYNCED_US;
	if (now.synced)
		next = (now.utc_ms * 1000 / QUARTER_US + 1) * QUARTER_US;
	(void)sd_event_source_set_time(c->timer, (uint64_t)due(c, now.utc_ms * 1000, next));
	(void)sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
	if (c->said && now.synced == c->synced && offset_min == c->offset_min)
		return;
	c->said = true;
	c->synced = now.synced;
	c->offset_min = offset_min;
	c->changed(c->user, c->synced, c->offset_min);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	look(user);
	return 0;
}

void hub_clock_start(struct hub_clock *c)
{
	c->said = false;
	look(c);
}

void hub_clock_stop(struct hub_clock *c)
{
	(void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

int hub_clock_new(sd_event *event, const char *time_zone,
		  void (*changed)(void *user, bool synced, int offset_min), void *user,
		  struct hub_clock **ret)
{
	struct hub_clock *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->changed = changed;
	c->user = user;
	r = zone_load(time_zone, &c->zone);
	if (r >= 0)
		r = sd_event_add_time(event, &c->timer, CLOCK_REALTIME, 0, 0, on_timer, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	if (r < 0) {
		hub_clock_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void hub_clock_set(struct hub_clock *c, void (*now)(void *user, struct receipt *ret))
{
	c->now = now;
}

void hub_clock_free(struct hub_clock *c)
{
	if (!c)
		return;
	(void)sd_event_source_disable_unref(c->timer);
	zone_free(c->zone);
	free(c);
}
