#include "gateway/goals/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static Wellgate__V1__Decimal *decimal_message(struct decimal d, struct arena *arena)
{
	Wellgate__V1__Decimal *m = arena_alloc(arena, sizeof(*m));

	if (!m)
		return NULL;
	wellgate__v1__decimal__init(m);
	m->has_mantissa = m->has_exponent = true;
	m->mantissa = d.mantissa;
	m->exponent = d.exponent;
	return m;
}

/* 0 is "not stated", and is left out */
static int put_decimal(struct decimal d, struct arena *arena, Wellgate__V1__Decimal **ret)
{
	if (d.mantissa == 0)
		return 0;
	*ret = decimal_message(d, arena);
	return *ret ? 0 : -ENOMEM;
}

static int put_text(const char *text, struct arena *arena, char **ret)
{
	if (!text[0])
		return 0;
	*ret = arena_strdup(arena, text);
	return *ret ? 0 : -ENOMEM;
}

static int put_pauses(const struct goal *goal, struct arena *arena, Wellgate__V1__Goal *m)
{
	if (goal->n_pauses == 0)
		return 0;
	m->pauses = arena_alloc(arena, goal->n_pauses * sizeof(Wellgate__V1__Goal__Pause *));
	if (!m->pauses)
		return -ENOMEM;
	for (size_t i = 0; i < goal->n_pauses; i++) {
		Wellgate__V1__Goal__Pause *pause = arena_alloc(arena, sizeof(*pause));

		if (!pause)
			return -ENOMEM;
		wellgate__v1__goal__pause__init(pause);
		pause->has_from_day = pause->has_to_day = true;
		pause->from_day = goal->pauses[i].from_day;
		pause->to_day = goal->pauses[i].to_day;
		m->pauses[m->n_pauses++] = pause;
	}
	return 0;
}

static void put_numbers(const struct goal *goal, Wellgate__V1__Goal *m)
{
	m->has_version = m->has_metric = m->has_rule = m->has_period = true;
	m->version = goal->version;
	m->metric = (Wellgate__V1__Metric)goal->metric;
	m->rule = (Wellgate__V1__Rule)goal->rule;
	m->period = (Wellgate__V1__Period)goal->period;
	m->has_week_start = m->has_paused = true;
	m->week_start = goal->week_start;
	m->paused = goal->paused;
	m->has_min_points = goal->min_points != 0;
	m->min_points = goal->min_points;
	m->has_direction = goal->direction != 0;
	m->direction = (uint32_t)goal->direction;
	m->has_height_mm = goal->height_mm != 0;
	m->height_mm = goal->height_mm;
	m->has_show_weight = m->show_weight = goal->show_weight;
	m->has_agreed_by = goal->agreed_by != GOAL_AGREED_BY_NOBODY;
	m->agreed_by = (uint32_t)goal->agreed_by;
	m->has_starts_on = goal->starts_on != INT64_MIN;
	m->starts_on = m->has_starts_on ? goal->starts_on : 0;
	m->has_ends_on = goal->ends_on != 0;
	m->ends_on = goal->ends_on;
	m->has_eating_disorder = m->eating_disorder = goal->eating_disorder;
	m->has_keep_here = m->keep_here = goal->keep_here;
	m->has_hidden = m->hidden = goal->hidden;
}

int goal_to_message(const struct goal *goal, struct arena *arena, Wellgate__V1__Goal **ret)
{
	Wellgate__V1__Goal *m = arena_alloc(arena, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	wellgate__v1__goal__init(m);
	put_numbers(goal, m);
	r = put_text(goal->id, arena, &m->goal_id);
	if (r == 0)
		r = put_text(goal->title, arena, &m->title);
	if (r == 0)
		r = put_text(goal->subject, arena, &m->subject);
	if (r == 0)
		r = put_text(goal->time_zone, arena, &m->time_zone);
	if (r == 0)
		r = put_decimal(goal->target, arena, &m->target);
	if (r == 0)
		r = put_decimal(goal->diastolic_target, arena, &m->diastolic_target);
	if (r == 0)
		r = put_decimal(goal->day_target, arena, &m->day_target);
	if (r == 0)
		r = put_decimal(goal->band, arena, &m->band);
	if (r == 0)
		r = put_pauses(goal, arena, m);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}

/* ---- and back */

static bool get_text(const char *text, char *ret, size_t size)
{
	const size_t len = text ? strnlen(text, size) : 0;

	if (len == size)
		return false;
	if (len > 0)
		memcpy(ret, text, len);
	ret[len] = '\0';
	return true;
}

static bool get_decimal(const Wellgate__V1__Decimal *d, struct decimal *ret)
{
	if (!d)
		return true;
	if (d->exponent < -DECIMAL_EXPONENT_MAX || d->exponent > DECIMAL_EXPONENT_MAX ||
	    d->mantissa < 0)
		return false;
	*ret = (struct decimal){ d->mantissa, d->exponent };
	return true;
}

static bool get_pauses(const Wellgate__V1__Goal *m, struct goal *ret)
{
	if (m->n_pauses > GOAL_PAUSES_MAX)
		return false;
	for (size_t i = 0; i < m->n_pauses; i++)
		ret->pauses[i] =
			(struct goal_pause){ m->pauses[i]->from_day, m->pauses[i]->to_day };
	ret->n_pauses = m->n_pauses;
	return true;
}

static bool get_texts(const Wellgate__V1__Goal *m, struct goal *ret)
{
	return get_text(m->goal_id, ret->id, sizeof(ret->id)) && ret->id[0] &&
	       get_text(m->title, ret->title, sizeof(ret->title)) &&
	       get_text(m->subject, ret->subject, sizeof(ret->subject)) &&
	       get_text(m->time_zone, ret->time_zone, sizeof(ret->time_zone));
}

static bool get_decimals(const Wellgate__V1__Goal *m, struct goal *ret)
{
	return get_decimal(m->target, &ret->target) &&
	       get_decimal(m->diastolic_target, &ret->diastolic_target) &&
	       get_decimal(m->day_target, &ret->day_target) && get_decimal(m->band, &ret->band);
}

int goal_from_message(const Wellgate__V1__Goal *message, struct goal *ret)
{
	const Wellgate__V1__Goal *m = message;
	struct goal g = {
		.version = m->version,
		.metric = (enum metric)m->metric,
		.rule = (enum goal_rule)m->rule,
		.period = (enum goal_period)m->period,
		.week_start = m->week_start,
		.paused = m->paused,
		.min_points = m->min_points,
		.direction = (enum goal_direction)m->direction,
		.height_mm = m->height_mm,
		.show_weight = m->show_weight,
		.agreed_by = (enum goal_agreed_by)m->agreed_by,
		.starts_on = m->has_starts_on ? m->starts_on : INT64_MIN,
		.ends_on = m->ends_on,
		.eating_disorder = m->eating_disorder,
		.keep_here = m->keep_here,
		.hidden = m->hidden,
	};

	if (!get_texts(m, &g) || !get_decimals(m, &g) || !get_pauses(m, &g))
		return -EBADMSG;
	*ret = g;
	return 0;
}
