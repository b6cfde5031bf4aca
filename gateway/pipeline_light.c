/* What the light of the box is told (light/light.h has what it shows). */
#include "gateway/pipeline_part.h"

#define ADAPTER(name) WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_##name

static bool adapter_is_of_no_use(Wellgate__V1__RadioStatus__Adapter adapter)
{
	return adapter == ADAPTER(NO_BUS) || adapter == ADAPTER(NO_DAEMON) ||
	       adapter == ADAPTER(ABSENT) || adapter == ADAPTER(BLOCKED) ||
	       adapter == ADAPTER(OFF) || adapter == ADAPTER(FAILED);
}

/* Of a hub whose devices process never spoke of a radio, a replay's, nothing is expected. */
static enum light_card card_now(const struct pipeline *p)
{
	if (p->full)
		return LIGHT_CARD_FULL;
	if (p->attached && radio_state_is_known(p->radio))
		return adapter_is_of_no_use(radio_state_adapter(p->radio)) ? LIGHT_CARD_DEVICES
									   : LIGHT_CARD_NONE;
	if (!radio_state_was_known(p->radio))
		return LIGHT_CARD_NONE;
	/* just connected and has not spoken: as it was, or one that ends at once again and again
	 * would never last long enough to be shown */
	if (p->attached && show_card_now(p->light) != LIGHT_CARD_FULL)
		return show_card_now(p->light);
	return p->attached ? LIGHT_CARD_NONE : LIGHT_CARD_DEVICES;
}

void pipeline_light_card(struct pipeline *p)
{
	if (p->light)
		show_card(p->light, card_now(p));
}

void pipeline_light_committed(struct pipeline *p)
{
	const bool fresh = p->fresh;
	struct store_counts counts;

	p->fresh = false;
	if (!p->light)
		return;
	if (!fresh) {
		show_gave_up(p->light);
		return;
	}
	store_counts(p->parts.store, &counts);
	show_saved(p->light, counts.last[LANE_READINGS]);
}

void pipeline_light_progress(struct pipeline *p)
{
	struct store_counts counts;

	if (!p->light)
		return;
	store_counts(p->parts.store, &counts);
	show_delivered(p->light, counts.acknowledged[LANE_READINGS]);
}

static void clocks_now(void *user, struct receipt *ret)
{
	pipeline_now(user, ret);
}

void pipeline_set_light(struct pipeline *p, struct show *light)
{
	struct store_counts counts;

	p->light = light;
	if (!light)
		return;
	store_counts(p->parts.store, &counts);
	show_start(light, counts.last[LANE_READINGS], counts.acknowledged[LANE_READINGS]);
	show_set_now(light, clocks_now, p);
	pipeline_light_card(p);
}

const struct show *pipeline_light(const struct pipeline *p)
{
	return p->light;
}
