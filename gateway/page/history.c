#include "gateway/page/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/goals.h"

#define DAY_MS      (INT64_C(24) * 3600 * 1000)
#define REPLIES_MAX 64

static int by_time(const void *a, const void *b)
{
	const Wellgate__V1__Reading *x = *(const Wellgate__V1__Reading *const *)a;
	const Wellgate__V1__Reading *y = *(const Wellgate__V1__Reading *const *)b;
	const int64_t s = x->has_measured_at_ms ? x->measured_at_ms : INT64_MIN;
	const int64_t t = y->has_measured_at_ms ? y->measured_at_ms : INT64_MIN;

	if (s != t)
		return s > t ? 1 : -1;
	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void take(struct history *h, Wellgate__V1__Reply *reply)
{
	h->replies[h->n_replies++] = reply;
	if (reply->page)
		h->show_weight = reply->page->show_weight;
	for (size_t i = 0; i < reply->n_readings; i++) {
		/* the oldest go: the picture ends with today */
		if (h->n == HISTORY_MAX) {
			memmove((void *)h->rows, (const void *)(h->rows + 1),
				--h->n * sizeof(void *));
			h->more = true;
		}
		h->rows[h->n++] = reply->readings[i];
	}
}

/* 1 = there is more */
static int load_some(const struct asker *a, int64_t from_ms, uint64_t *after, struct history *h)
{
	Wellgate__V1__PageCommand m = WELLGATE__V1__PAGE_COMMAND__INIT;
	Wellgate__V1__Reply *reply;
	bool more;

	m.has_from_ms = true;
	m.from_ms = from_ms;
	reply = ask_after(a, "page-readings", &m, *after);
	if (!reply)
		return -EIO;
	h->code = reply->code;
	more = reply->more && reply->n_readings > 0 && reply->code == 0;
	if (h->n_replies == 0 && reply->code == 0)
		(void)zone_load(reply->page ? reply->page->time_zone : NULL, &h->zone);
	if (reply->n_readings > 0)
		*after = reply->readings[reply->n_readings - 1]->sequence;
	take(h, reply);
	return more;
}

int history_load(const struct asker *a, int64_t now_ms, int days, struct history *ret)
{
	uint64_t after = 0;
	int r = 1;

	*ret = (struct history){ .replies = calloc(REPLIES_MAX, sizeof(void *)),
				 .rows = calloc(HISTORY_MAX, sizeof(void *)) };
	if (!ret->replies || !ret->rows)
		return -ENOMEM;
	while (r > 0 && ret->n_replies < REPLIES_MAX)
		r = load_some(a, now_ms - days * DAY_MS, &after, ret);
	ret->more = ret->more || r > 0;
	if (r < 0)
		return r;
	if (ret->code == 0 && !ret->zone)
		return -EIO;
	qsort((void *)ret->rows, ret->n, sizeof(void *), by_time);
	if (ret->zone)
		ret->today = zone_day_of(ret->zone, now_ms / 1000);
	return 0;
}

void history_finish(struct history *h)
{
	for (size_t i = 0; i < h->n_replies; i++)
		wellgate__v1__reply__free_unpacked(h->replies[i], NULL);
	free(h->replies);
	free(h->rows);
	zone_free(h->zone);
	*h = (struct history){ 0 };
}

int64_t history_local_ms(const Wellgate__V1__Reading *r)
{
	return r->measured_at_ms + (int64_t)r->utc_offset_min * 60000;
}

const Wellgate__V1__Component *history_part(const Wellgate__V1__Reading *r,
					    Wellgate__V1__Metric metric)
{
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if (c->metric == metric && c->value)
			return c;
	}
	return NULL;
}

/* ---- by the rules of goals */

static struct goal_point point_of(const Wellgate__V1__Reading *r, const Wellgate__V1__Component *c)
{
	struct goal_point p = { .at_ms = r->measured_at_ms,
				.mantissa = c->value->mantissa,
				.exponent = (int16_t)c->value->exponent,
				.count = 1 };

	if (r->has_duration_ms && r->duration_ms > 0)
		p.duration_ms = r->duration_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)r->duration_ms;
	if (r->device && r->device->has_serial_digest) {
		for (size_t i = 0; i < 8 && i < r->device->serial_digest.len; i++)
			p.device = p.device << 8 | r->device->serial_digest.data[i];
	}
	return p;
}

static int compare_points(const void *a, const void *b)
{
	return goal_point_compare(a, b);
}

static bool evaluate(const struct history *h, const struct goal *goal, int64_t first_day,
		     struct goal_progress *ret)
{
	struct goal_point *points = calloc(h->n + 1, sizeof(*points));
	size_t n = 0;

	for (size_t i = 0; points && i < h->n; i++) {
		const Wellgate__V1__Reading *r = h->rows[i];
		const Wellgate__V1__Component *c =
			r->has_measured_at_ms ? history_part(r, (Wellgate__V1__Metric)goal->metric)
					      : NULL;

		if (c && c->value->exponent >= -DECIMAL_EXPONENT_MAX &&
		    c->value->exponent <= DECIMAL_EXPONENT_MAX)
			points[n++] = point_of(r, c);
	}
	if (n == 0) {
		free(points);
		return false;
	}
	qsort(points, n, sizeof(points[0]), compare_points);
	goal_evaluate(goal, h->zone, first_day, points, n, ret);
	free(points);
	return true;
}

bool history_sum(const struct history *h, Wellgate__V1__Metric metric, int64_t day,
		 struct decimal *ret)
{
	const struct goal goal = { .metric = (enum metric)metric,
				   .rule = GOAL_SUM_PER_PERIOD,
				   .period = GOAL_DAY,
				   .week_start = 1,
				   .target = { 1, 0 },
				   .starts_on = INT64_MIN };
	struct goal_progress progress = { 0 };

	if (!evaluate(h, &goal, day, &progress) || progress.readings == 0)
		return false;
	*ret = progress.value;
	return true;
}

bool history_nights(const struct history *h, int64_t first_day, struct decimal *ret_minutes,
		    unsigned int *ret_nights)
{
	const struct goal goal = { .metric = METRIC_SLEEP_DURATION,
				   .rule = GOAL_MEAN_PER_PERIOD,
				   .period = GOAL_WEEK,
				   .week_start = 1,
				   .target = { 1, 0 },
				   .starts_on = INT64_MIN };
	struct goal_progress progress = { 0 };

	if (!evaluate(h, &goal, first_day, &progress) || progress.observed == 0)
		return false;
	*ret_minutes = progress.value;
	*ret_nights = progress.observed;
	return true;
}
