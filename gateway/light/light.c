#include "gateway/light/light.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define STEP_US     INT64_C(100000)
#define BLINK_US    INT64_C(200000)
#define LOOK_US     INT64_C(5000000)
#define LOOK_LIT_US INT64_C(4000000)
#define DAY_MINUTES 1440U

/* One pulse, a step each: mostly rise and fall, and a dark long enough to be seen where a light
 * can only be on or off. */
static const uint8_t pulse[] = { 0, 0, 0, 0, 0, 20, 40, 60, 80, 100, 80, 60, 40, 20, 0 };

#define PULSE_STEPS ((int64_t)sizeof(pulse))

_Static_assert(LIGHT_PULSE_US % (PULSE_STEPS * STEP_US) == 0, "whole pulses");
_Static_assert(LIGHT_PATIENCE_US % LOOK_US == 0, "amber begins with light");
_Static_assert(LIGHT_BLINKS_US > 5 * BLINK_US, "they begin and end in the dark");

void light_start(struct light *l, uint64_t kept, uint64_t delivered)
{
	*l = (struct light){ .kept = kept, .delivered = delivered };
}

void light_reading(struct light *l, int64_t now_us)
{
	if (l->saving)
		return; /* many come at once: the pulse does not grow longer by it */
	l->saving = true;
	l->saving_us = now_us;
}

void light_gave_up(struct light *l)
{
	l->saving = false;
}

void light_saved(struct light *l, uint64_t last, int64_t now_us)
{
	l->saving = false;
	l->sent = false; /* that was another one: of this nobody knows it yet */
	l->kept_us = now_us;
	if (last > l->kept)
		l->kept = last;
	/* each commit is answered, or whoever comes second would think that theirs was lost */
	l->saved_again = l->saved;
	if (l->saved)
		return;
	l->saved = true;
	l->saved_us = now_us;
}

void light_delivered(struct light *l, uint64_t upto, int64_t now_us)
{
	const bool waited = l->delivered < l->kept;

	if (upto <= l->delivered)
		return;
	l->delivered = upto;
	if (!waited || upto < l->kept)
		return;
	if (l->night && (l->kept_us == 0 || now_us - l->kept_us > LIGHT_ANSWER_US))
		return;
	l->sent = true;
	l->sent_us = 0;
}

void light_card(struct light *l, enum light_card card, int64_t now_us)
{
	assert(card < LIGHT_CARD_END);
	if (l->card == card)
		return;
	l->card = card;
	l->card_us = now_us;
}

void light_night(struct light *l, bool night)
{
	l->night = night;
}

/* ---- what to show ---- */

static void show_saving(const struct light *l, int64_t now_us, struct light_show *ret)
{
	const int64_t step = (now_us - l->saving_us) / STEP_US;

	*ret = (struct light_show){ .pattern = LIGHT_SAVING,
				    .colour = LIGHT_WHITE,
				    .level = pulse[step % PULSE_STEPS],
				    .next_us = l->saving_us + (step + 1) * STEP_US };
}

/* dark, blue, dark, blue, dark */
static void show_saved(const struct light *l, int64_t now_us, struct light_show *ret)
{
	const int64_t step = (now_us - l->saved_us) / BLINK_US;
	const int64_t end = l->saved_us + LIGHT_BLINKS_US;

	*ret = (struct light_show){
		.pattern = LIGHT_SAVED,
		.colour = LIGHT_BLUE,
		.level = step == 1 || step == 3 ? 100 : 0,
		.next_us = step < 4 ? l->saved_us + (step + 1) * BLINK_US : end,
	};
}

static void show_sent(const struct light *l, struct light_show *ret)
{
	*ret = (struct light_show){ .pattern = LIGHT_SENT,
				    .colour = LIGHT_BLUE,
				    .level = 100,
				    .next_us = l->sent_us + LIGHT_SENT_US };
}

static void show_fine(const struct light *l, struct light_show *ret)
{
	*ret = (struct light_show){ .pattern = l->night ? LIGHT_DARK : LIGHT_FINE,
				    .colour = LIGHT_WHITE,
				    .level = l->night ? 0 : 100,
				    .next_us = LIGHT_NEVER };
}

/* A short dark now and then tells it from white for who does not see the colour. */
static void show_look(const struct light *l, int64_t since_us, struct light_show *ret)
{
	const int64_t round_us = since_us / LOOK_US * LOOK_US;
	const bool lit = since_us - round_us < LOOK_LIT_US;

	*ret = (struct light_show){
		.pattern = LIGHT_LOOK,
		.colour = LIGHT_AMBER,
		.level = lit ? 100 : 0,
		.next_us = l->card_us + round_us + (lit ? LOOK_LIT_US : LOOK_US),
	};
}

static void show_state(const struct light *l, int64_t now_us, struct light_show *ret)
{
	const int64_t patience = l->card == LIGHT_CARD_DEVICES ? LIGHT_PATIENCE_US : 0;
	const int64_t since = now_us - l->card_us;

	show_fine(l, ret);
	if (l->card == LIGHT_CARD_NONE || l->night)
		return;
	if (since < patience)
		ret->next_us = l->card_us + patience;
	else
		show_look(l, since, ret);
}

/* What has run its time makes room for what waits. */
static void turn(struct light *l, int64_t now_us)
{
	if (l->saved && now_us - l->saved_us >= LIGHT_BLINKS_US) {
		l->saved = l->saved_again;
		l->saved_again = false;
		l->saved_us = now_us;
	}
	if (!l->sent || l->saved)
		return;
	if (l->sent_us == 0)
		l->sent_us = now_us;
	if (now_us - l->sent_us >= LIGHT_SENT_US)
		l->sent = false;
}

void light_look(struct light *l, int64_t now_us, struct light_show *ret)
{
	turn(l, now_us);
	if (l->saved)
		show_saved(l, now_us, ret);
	else if (l->saving && now_us - l->saving_us < LIGHT_PULSE_US)
		show_saving(l, now_us, ret);
	else if (l->sent)
		show_sent(l, ret);
	else
		show_state(l, now_us, ret);
}

/* ---- the night ---- */

/* "HH:MM" */
static int time_parse(const char *text, unsigned int *ret)
{
	unsigned int digits[4];

	for (size_t i = 0, at = 0; i < 4; i++, at++) {
		if (i == 2 && text[at++] != ':')
			return -EINVAL;
		if (text[at] < '0' || text[at] > '9')
			return -EINVAL;
		digits[i] = (unsigned int)(text[at] - '0');
	}
	if (digits[0] * 10 + digits[1] > 23 || digits[2] > 5)
		return -EINVAL;
	*ret = (digits[0] * 10 + digits[1]) * 60 + digits[2] * 10 + digits[3];
	return 0;
}

int light_hours_parse(const char *text, struct light_hours *ret)
{
	struct light_hours h = { 0 };

	if (strcmp(text, "none") == 0) {
		*ret = h;
		return 0;
	}
	if (strlen(text) != strlen("22:00-07:00") || text[5] != '-' ||
	    time_parse(text, &h.from) < 0 || time_parse(text + 6, &h.until) < 0)
		return -EINVAL;
	*ret = h;
	return 0;
}

bool light_hours_now(const struct light_hours *h, unsigned int minute, unsigned int *ret_minutes)
{
	const unsigned int since = (minute + DAY_MINUTES - h->from) % DAY_MINUTES;
	const unsigned int length = (h->until + DAY_MINUTES - h->from) % DAY_MINUTES;

	assert(minute < DAY_MINUTES);
	*ret_minutes = length == 0 ? 0 : (since < length ? length : DAY_MINUTES) - since;
	return since < length;
}
