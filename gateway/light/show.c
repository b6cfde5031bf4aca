#include "gateway/light/show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/goals/zone.h"
#include "gateway/light/lamp.h"

#define SECOND_US   INT64_C(1000000)
#define DAY_S       INT64_C(86400)
#define ACCURACY_US 20000U

struct show {
	struct light light;
	struct light_hours hours;
	struct lamp *lamp;
	struct zone *zone;
	sd_event_source *timer;
	void (*now)(void *user, struct receipt *ret);
	void *user;
	bool said; /* that a light cannot be set */
};

static int64_t monotonic(const struct show *s)
{
	uint64_t now = 0;

	(void)sd_event_now(sd_event_source_get_event(s->timer), CLOCK_MONOTONIC, &now);
	return (int64_t)now;
}

/* How long it stays so, LIGHT_NEVER if nobody can say. A clock that was never set knows no night: a
 * light that shines then is a lesser harm than one that is dark by day. */
static int64_t look_at_clock(struct show *s)
{
	unsigned int minutes = 0;
	struct receipt now;
	int64_t local;
	bool night;

	light_night(&s->light, false);
	if (!s->now)
		return LIGHT_NEVER;
	s->now(s->user, &now);
	if (!now.synced || now.utc_ms < 0)
		return LIGHT_NEVER;
	local = now.utc_ms / 1000;
	local = (local + zone_offset(s->zone, local) + DAY_S) % DAY_S;
	night = light_hours_now(&s->hours, (unsigned int)(local / 60), &minutes);
	light_night(&s->light, night);
	return minutes == 0 ? LIGHT_NEVER : (minutes * INT64_C(60) - local % 60) * SECOND_US;
}

static void say_once(struct show *s)
{
	const char *name = "";
	const int r = lamp_problem(s->lamp, &name);

	if (r == 0 || s->said)
		return;
	s->said = true;
	log_warning("the light %s cannot be set: %s; all else goes on", name, strerror(-r));
}

static void refresh(struct show *s)
{
	const int64_t night_us = look_at_clock(s), now = monotonic(s);
	struct light_show show;
	int64_t next;

	light_look(&s->light, now, &show);
	if (lamp_set(s->lamp, show.colour, show.level) < 0)
		say_once(s);
	next = night_us == LIGHT_NEVER ? LIGHT_NEVER : now + night_us;
	if (show.next_us < next)
		next = show.next_us;
	(void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	if (next == LIGHT_NEVER)
		return;
	(void)sd_event_source_set_time(s->timer, (uint64_t)next);
	(void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	refresh(user);
	return 0;
}

static bool is_configured(const struct config *c)
{
	return c->light_white || c->light_blue || c->light_amber || c->light_multicolor;
}

int show_new(sd_event *event, const struct config *config, struct show **ret)
{
	const struct lamp_options options = {
		.dir = config->light_dir,
		.name = { [LIGHT_WHITE] = config->light_white,
			  [LIGHT_BLUE] = config->light_blue,
			  [LIGHT_AMBER] = config->light_amber },
		.multicolor = config->light_multicolor,
		.brightness = config->light_brightness,
	};
	struct show *s;
	int r;

	if (!is_configured(config))
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->hours = config->light_night;
	r = lamp_new(&options, &s->lamp);
	if (r >= 0)
		r = zone_load(config->time_zone, &s->zone);
	if (r >= 0)
		r = sd_event_add_time(event, &s->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer,
				      s);
	if (r < 0) {
		show_free(s);
		return r;
	}
	refresh(s);
	*ret = s;
	return 0;
}

void show_free(struct show *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->timer);
	if (s->lamp)
		(void)lamp_set(s->lamp, LIGHT_WHITE, 0);
	lamp_free(s->lamp);
	zone_free(s->zone);
	free(s);
}

void show_set_now(struct show *s, void (*now)(void *user, struct receipt *ret), void *user)
{
	if (!s)
		return;
	s->now = now;
	s->user = user;
	refresh(s);
}

void show_clock(struct show *s)
{
	if (s)
		refresh(s);
}

void show_start(struct show *s, uint64_t kept, uint64_t delivered)
{
	if (!s)
		return;
	light_start(&s->light, kept, delivered);
	refresh(s);
}

void show_reading(struct show *s)
{
	if (!s || s->light.saving)
		return;
	light_reading(&s->light, monotonic(s));
	refresh(s);
}

void show_gave_up(struct show *s)
{
	if (!s || !s->light.saving)
		return;
	light_gave_up(&s->light);
	refresh(s);
}

void show_saved(struct show *s, uint64_t last)
{
	if (!s)
		return;
	light_saved(&s->light, last, monotonic(s));
	refresh(s);
}

void show_delivered(struct show *s, uint64_t upto)
{
	if (!s || upto <= s->light.delivered)
		return;
	light_delivered(&s->light, upto, monotonic(s));
	refresh(s);
}

void show_card(struct show *s, enum light_card card)
{
	if (!s || s->light.card == card)
		return;
	light_card(&s->light, card, monotonic(s));
	refresh(s);
}

enum light_card show_card_now(const struct show *s)
{
	return s ? s->light.card : LIGHT_CARD_NONE;
}

int show_problem(const struct show *s, const char **ret_name)
{
	return s ? lamp_problem(s->lamp, ret_name) : 0;
}
