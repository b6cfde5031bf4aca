#include "drivers/omron.h"

#include <assert.h>
#include <errno.h>

#include "drivers/sig.h"

#define SYSTOLIC_NONE 25 /* the zero of the record */

/* ---- one record ---- */

static struct number number(uint16_t value, uint16_t none)
{
	return value <= none ? number_absent(ABSENT_UNKNOWN) : number_of(value, 0);
}

static void add_values(struct measurement *m, const struct omron_record *x)
{
	measurement_add(m, METRIC_SYSTOLIC, UNIT_MMHG, number(x->systolic, SYSTOLIC_NONE));
	measurement_add(m, METRIC_DIASTOLIC, UNIT_MMHG, number(x->diastolic, 0));
	measurement_add(m, METRIC_PULSE, UNIT_PER_MIN, number(x->pulse, 0));
}

void omron_measure(struct measurement *m, const struct omron_record *x, uint8_t user)
{
	m->metric = METRIC_BLOOD_PRESSURE;
	m->flags |= FLAG_BIT(FLAG_BACKFILL);
	sig_set_time(m, &x->time);
	sig_set_user(m, user);
	m->has_record_number = x->has_number;
	m->record_number = x->number;
	if (x->irregular)
		m->flags |= FLAG_BIT(FLAG_IRREGULAR_PULSE);
	if (x->movement)
		m->flags |= FLAG_BIT(FLAG_MOVEMENT);
	if (x->has_cuff && !x->cuff_good)
		m->flags |= FLAG_BIT(FLAG_CUFF_FIT);
	if (x->error != 0)
		m->flags |= FLAG_BIT(FLAG_ERROR);
	else
		add_values(m, x);
}

/* That there is one which nobody can read, is news of the device. */
static int say_nonsense(struct drv_ctx *ctx, struct omron_reader *r, size_t i, uint8_t user)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE,
				 .flags = FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_INVALID) };

	omron_walk_doubt(&r->walk, i);
	sig_set_user(&m, user);
	return drv_emit(ctx, &m);
}

static int say_record(struct drv_ctx *ctx, struct omron_reader *r, size_t i, const uint8_t *data)
{
	const struct omron_profile *p = r->walk.profile;
	const struct omron_region *region = &p->regions[i];
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct omron_record x;
	int e = omron_record_decode(p->layout, data, p->record_size, &x);

	if (e == -ENODATA || (e < 0 && region->doubtful))
		return 0;
	if (e < 0)
		return say_nonsense(ctx, r, i, region->user);
	omron_measure(&m, &x, region->user);
	if (measurement_is_final(&m))
		r->waits = true;
	return drv_emit(ctx, &m);
}

static int say_records(struct drv_ctx *ctx, struct omron_reader *r,
		       const struct omron_step_result *s)
{
	int e = 0;

	for (size_t i = 0; i < s->n && e == 0; i++)
		e = say_record(ctx, r, s->region, s->records + i * r->walk.profile->record_size);
	return e;
}

/* ---- its clock ---- */

static int say_clock(struct drv_ctx *ctx, struct omron_reader *r)
{
	const struct omron_window w = r->walk.profile->clock;
	struct gatt_date_time t, now;
	int64_t ahead;

	if (!r->walk.has_clock)
		return 0;
	if (omron_clock_decode(r->walk.profile, r->walk.clock, (size_t)(w.end - w.start), &t) < 0) {
		drv_news(ctx, DRV_NEWS_CLOCK_NOT_SET);
		return 0;
	}
	if (sig_local_time(ctx, &now)) {
		ahead = sig_seconds(&t) - sig_seconds(&now);
		r->clock_off = ahead > SIG_CLOCK_OFF_S || ahead < -SIG_CLOCK_OFF_S;
	}
	return sig_tell_clock(ctx, &t, 0);
}

/* ---- the dialogue ---- */

/* News of the device: not all of its memory could be read, or it did not take what was written. */
static int say_trouble(struct drv_ctx *ctx, uint64_t flag)
{
	const struct measurement m = { .metric = METRIC_BLOOD_PRESSURE, .flags = flag };

	return drv_emit(ctx, &m);
}

static int hang_up(struct drv_ctx *ctx, const struct omron_reader *r)
{
	int e = 0;

	drv_done(ctx);
	if (r->walk.left_out)
		e = say_trouble(ctx, FLAG_BIT(FLAG_UNAVAILABLE));
	if (e == 0 && r->walk.trouble >= OMRON_WRITE_REFUSED)
		e = say_trouble(ctx, FLAG_BIT(FLAG_DEVICE_FAULT));
	return e < 0 ? e : drv_set_timeout(ctx, 0);
}

static int ask(struct drv_ctx *ctx, struct omron_reader *r)
{
	uint8_t data[OMRON_FRAME_MAX];
	struct writer w = writer_of(data, sizeof(data));
	int e = omron_walk_question(&r->walk, &w);

	assert(e == 0); /* made here, and it fits */
	if (e == 0)
		e = r->send(ctx, data, w.len);
	return e < 0 ? e : drv_set_timeout(ctx, r->answer_ms);
}

static int go_on(struct drv_ctx *ctx, struct omron_reader *r)
{
	struct gatt_date_time now;

	if (r->walk.step == OMRON_STEP_COMMIT) {
		if (r->waits)
			return drv_set_timeout(ctx, 0);
		omron_walk_committed(&r->walk,
				     r->clock_off && sig_local_time(ctx, &now) ? &now : NULL);
	}
	if (r->walk.step == OMRON_STEP_OVER)
		return hang_up(ctx, r);
	return ask(ctx, r);
}

int omron_reader_begin(struct drv_ctx *ctx, struct omron_reader *r,
		       const struct omron_profile *profile, unsigned int options,
		       unsigned int patience)
{
	omron_walk_begin(&r->walk, profile, options, patience);
	return go_on(ctx, r);
}

/* what it answered was spoiled: ask again at once, or end */
static int ask_again(struct drv_ctx *ctx, struct omron_reader *r, int spoiled)
{
	int e;

	if (omron_walk_silence(&r->walk) < 0) {
		drv_done(ctx);
		return spoiled;
	}
	e = go_on(ctx, r);
	return e < 0 ? e : spoiled;
}

int omron_reader_frame(struct drv_ctx *ctx, struct omron_reader *r, const uint8_t *data, size_t len)
{
	struct omron_step_result s;
	int e = omron_walk_answer(&r->walk, data, len, &s);

	if (e == -EMSGSIZE || e == -EBADMSG)
		return ask_again(ctx, r, e);
	if (e == -EPROTO) { /* it will say no more */
		drv_done(ctx);
		return -EBADMSG;
	}
	if (e < 0)
		return e;
	if (s.answered == OMRON_STEP_CLOCK)
		e = say_clock(ctx, r);
	else if (s.answered == OMRON_STEP_RECORDS)
		e = say_records(ctx, r, &s);
	return e < 0 ? e : go_on(ctx, r);
}

int omron_reader_timeout(struct drv_ctx *ctx, struct omron_reader *r)
{
	if (omron_walk_silence(&r->walk) < 0)
		return -ETIMEDOUT;
	return go_on(ctx, r);
}

int omron_reader_committed(struct drv_ctx *ctx, struct omron_reader *r)
{
	r->waits = false;
	return r->walk.step == OMRON_STEP_COMMIT ? go_on(ctx, r) : 0;
}
