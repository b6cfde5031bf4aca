/*
 * Watches with the open firmware InfiniTime (PineTime): steps, heart rate, battery, and a clock
 * that the companion sets.
 *
 *   we    --read 2A2B-->              its clock, of the zone it was set to
 *   we    --read 00030001-->          steps since its midnight, u32
 *   watch --notifies 00030001-->      the same, whenever it has changed
 *   watch --notifies 2A37--> 00 48    72 /min; 0: not measured
 *   we    --write 2A2B-->             the hub's time, if the watch's is off by over a minute
 *
 * The watch keeps no history. Its counter grows, and begins anew at its midnight and when it
 * starts; a running total must never be added up, so what goes out are intervals: the steps between
 * two counts, stamped with the watch's time of the first, and their duration. They never overlap,
 * and each step is in one at most:
 *
 *   same day, the counter has grown     from the last count to now: the difference
 *   same day, it is less                it began anew: from the last count, what it shows
 *   another day                         from midnight: what it shows
 *   the first count of a watch          none: these steps are of the time before this hub
 *
 * What was walked after the last count of a day, or before a restart, nobody knows: so a count of
 * steps may be too low, never too high. Within two minutes of its midnight nothing is counted: the
 * date may have changed and the counter not yet.
 *
 * Exactly once, whatever dies in between. How far was counted is kept on the hub, and a commit and
 * this note cannot be made in one. So the interval is noted as planned first, said then, and noted
 * as said when it is durable. A link that finds a plan says it again, to the letter; the gateway
 * knows it if it came through, and all goes on from its end.
 *
 * The clock. With a new time the day of the last count means nothing, so the last count is noted
 * under the new time before it is written, as an attempt. The next link believes that note only if
 * the watch shows the hub's time. If the watch's clock has moved by over ten minutes against the
 * hub's since the last count, somebody set it (or summer began, and the watch was not told):
 * counting begins anew. A hub that does not know the time sets no clock and counts all the same.
 *
 * Source: the firmware's own source for the services, the layout of steps and heart rate and what a
 * written clock does (its older versions have 9 bytes in 2A2B: they are refused, and the watch is
 * then read for its heart rate only); its documentation for the step service. Inferred: the reset
 * of the counter as described above. Not tried on hardware.
 */
#include <assert.h>
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/bytes/cursor.h"
#include "protocols/gatt/heart_rate.h"

#define STEPS      0xf301 /* our number for 00030001-78fc-48fe-8e23-433b3a1942d0 */
#define HEART_RATE 0x2a37

#define STEPS_MAX    150000 /* of a day: as the registry of metrics */
#define INTERVAL_S   300    /* no shorter ones on the same day, but for the first of a link */
#define MIDNIGHT_S   120
#define JUMP_S       600
#define DAY_S        86400
#define SOON_MS      10 /* the note is kept when a callback has returned */
#define NOTE_VERSION 1

enum note_flag {
	NOTE_PLAN = 1,
	NOTE_SETTING = 2, /* base is under a clock that was to be set */
	NOTE_HUB = 4,     /* base.hub is known */
	NOTE_END_HUB = 8, /* end.hub is known */
};

struct count {
	struct gatt_date_time at; /* by the watch's clock */
	bool has_hub;
	struct gatt_date_time hub; /* by the hub's, local */
	uint32_t steps;
};

struct plan {
	struct gatt_date_time start;
	uint32_t duration_s, steps;
	struct count end;
};

enum stage {
	STAGE_IDLE = 0,
	STAGE_PLANNED, /* the note is kept; the interval is said next */
	STAGE_SAID,    /* it is not durable yet */
	STAGE_SETTING, /* the note is kept; the clock is written next */
	STAGE_OVER,
};

struct state {
	struct sig_clock clock;
	bool has_now;
	struct gatt_date_time now; /* the watch's clock, as it was at ... */
	int64_t now_at;

	enum stage stage;
	bool waits;    /* a reading is not durable yet */
	bool has_base; /* the last count that was said */
	bool setting;
	struct count base;
	bool has_plan;
	struct plan plan;
	bool has_total; /* heard, not counted yet */
	uint32_t total;
	bool counted; /* on this link */
};

static const uint8_t steps_uuid[16] = { 0xd0, 0x42, 0x19, 0x3a, 0x3b, 0x43, 0x23, 0x8e,
					0xfe, 0x48, 0xfc, 0x78, 0x01, 0x00, 0x03, 0x00 };

/* it does not advertise its motion service */
static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .name_prefix = "InfiniTime", .rank = 31 },
	{ .bus = DRV_BUS_BLE, .service = 0x180d, .name_prefix = "InfiniTime", .rank = 31 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	{ .id = HEART_RATE, .mode = DRV_NOTIFY, .optional = true },
	{ .uuid128 = steps_uuid, .id = STEPS, .mode = DRV_NOTIFY, .optional = true },
	{ 0 },
};

/* ---- the note ---- */

static void write_count(struct writer *w, const struct count *c)
{
	gatt_date_time_write(&c->at, w);
	gatt_date_time_write(&c->hub, w);
	writer_le32(w, c->steps);
}

static int keep_note(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	uint8_t data[DRV_KEPT_MAX];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, NOTE_VERSION);
	writer_u8(&w, (uint8_t)((s->has_plan ? NOTE_PLAN : 0) | (s->setting ? NOTE_SETTING : 0) |
				(s->base.has_hub ? NOTE_HUB : 0) |
				(s->has_plan && s->plan.end.has_hub ? NOTE_END_HUB : 0)));
	write_count(&w, &s->base);
	if (s->has_plan) {
		gatt_date_time_write(&s->plan.start, &w);
		writer_le32(&w, s->plan.duration_s);
		writer_le32(&w, s->plan.steps);
		write_count(&w, &s->plan.end);
	}
	assert(writer_ok(&w));
	return drv_keep(ctx, data, w.len);
}

static bool read_count(struct cursor *c, bool has_hub, struct count *ret)
{
	ret->at = gatt_date_time_read(c);
	ret->hub = gatt_date_time_read(c);
	ret->steps = cursor_le32(c);
	ret->has_hub = has_hub;
	return gatt_date_time_valid(&ret->at) && sig_is_whole(&ret->at) &&
	       gatt_date_time_valid(&ret->hub) && (!has_hub || sig_is_whole(&ret->hub));
}

/* A note that cannot be read is none: counting begins anew. */
static void read_note(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[DRV_KEPT_MAX];
	struct cursor c = cursor_of(data, drv_kept(ctx, data));
	const bool version = cursor_u8(&c) == NOTE_VERSION;
	const uint8_t flags = cursor_u8(&c);
	bool good = read_count(&c, flags & NOTE_HUB, &s->base) && version;

	s->has_plan = flags & NOTE_PLAN;
	if (s->has_plan) {
		s->plan.start = gatt_date_time_read(&c);
		s->plan.duration_s = cursor_le32(&c);
		s->plan.steps = cursor_le32(&c);
		good = good && gatt_date_time_valid(&s->plan.start) &&
		       sig_is_whole(&s->plan.start) && s->plan.duration_s <= DAY_S &&
		       read_count(&c, flags & NOTE_END_HUB, &s->plan.end);
	}
	s->has_base = good && cursor_at_end(&c);
	s->has_plan = s->has_plan && s->has_base;
	s->setting = flags & NOTE_SETTING;
}

/* ---- counting ---- */

static bool same_day(const struct gatt_date_time *a, const struct gatt_date_time *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day;
}

static int64_t second_of_day(const struct gatt_date_time *t)
{
	return (t->hour * INT64_C(60) + t->minute) * 60 + t->second;
}

static struct gatt_date_time add_seconds(const struct gatt_date_time *t, int64_t seconds)
{
	const int64_t whole = second_of_day(t) + seconds;
	struct gatt_date_time start = *t, moved;

	start.hour = start.minute = start.second = 0;
	moved = sig_add_minutes(&start, whole / 60);
	moved.second = (uint8_t)(whole % 60);
	return moved;
}

/* what the counter shows now */
static struct count count_now(const struct drv_ctx *ctx, const struct state *s)
{
	struct count c = { .steps = s->total };

	c.at = add_seconds(&s->now, (drv_now(ctx) - s->now_at) / 1000000);
	c.has_hub = sig_local_time(ctx, &c.hub);
	return c;
}

/* Has the watch's clock run on since the last count, as far as the hub can tell? */
static bool clock_ran_on(const struct state *s, const struct count *now)
{
	int64_t moved;

	if (sig_seconds(&now->at) < sig_seconds(&s->base.at))
		return false;
	if (s->setting)
		return now->has_hub && !s->clock.wrong;
	if (!s->base.has_hub || !now->has_hub)
		return true;
	moved = (sig_seconds(&now->at) - sig_seconds(&now->hub)) -
		(sig_seconds(&s->base.at) - sig_seconds(&s->base.hub));
	return moved <= JUMP_S && moved >= -JUMP_S;
}

static struct plan plan_of(const struct state *s, const struct count *now)
{
	struct plan p = { .end = *now, .start = s->base.at, .steps = now->steps };

	if (!same_day(&now->at, &s->base.at)) {
		p.start = now->at;
		p.start.hour = p.start.minute = p.start.second = 0;
	} else if (now->steps >= s->base.steps) {
		p.steps = now->steps - s->base.steps;
	}
	p.duration_s = (uint32_t)(sig_seconds(&now->at) - sig_seconds(&p.start));
	return p;
}

static int set_base(struct drv_ctx *ctx, const struct count *c)
{
	struct state *s = drv_state(ctx);

	s->has_base = true;
	s->has_plan = s->setting = false;
	s->base = *c;
	return keep_note(ctx);
}

static bool too_soon(const struct state *s, const struct count *now)
{
	return s->counted && same_day(&now->at, &s->base.at) &&
	       sig_seconds(&now->at) - sig_seconds(&s->base.at) < INTERVAL_S;
}

/* The note goes out when this callback has returned; what it announces comes in the next one. */
static int announce(struct drv_ctx *ctx, enum stage stage)
{
	struct state *s = drv_state(ctx);
	int r;

	s->stage = stage;
	r = keep_note(ctx);
	return r < 0 ? r : drv_set_timeout(ctx, SOON_MS);
}

static int count_steps(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const struct count now = count_now(ctx, s);

	if (second_of_day(&now.at) < MIDNIGHT_S || second_of_day(&now.at) >= DAY_S - MIDNIGHT_S)
		return 0;
	if (s->has_base && !s->setting && too_soon(s, &now))
		return 0;
	s->has_total = false;
	s->counted = true;
	if (!s->has_base || !clock_ran_on(s, &now))
		return set_base(ctx, &now);
	s->setting = false;
	s->plan = plan_of(s, &now);
	if (s->plan.steps == 0)
		return same_day(&now.at, &s->base.at) && now.steps == s->base.steps
			       ? 0
			       : set_base(ctx, &now);
	s->has_plan = true;
	return announce(ctx, STAGE_PLANNED);
}

/* The steps since the last count will be counted from the new time on. */
static int begin_setting(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (!sig_local_time(ctx, &s->base.hub))
		return 0;
	s->base.at = s->base.hub;
	s->base.has_hub = s->setting = true;
	return announce(ctx, STAGE_SETTING);
}

/* Whatever may be done now; a note can only be kept when nothing waits for a commit. */
static int go_on(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = 0;

	if (s->waits || s->stage != STAGE_IDLE || !s->has_now)
		return 0;
	if (s->has_plan) /* of a link before this one */
		return announce(ctx, STAGE_PLANNED);
	if (s->has_total)
		r = count_steps(ctx);
	if (r < 0 || s->stage != STAGE_IDLE || !s->counted || !s->clock.wrong)
		return r;
	return begin_setting(ctx);
}

/* ---- frames ---- */

static int on_steps(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct cursor c = cursor_of(frame->data, frame->len);
	const uint32_t total = cursor_le32(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (total > STEPS_MAX)
		return -ERANGE;
	s->total = total;
	s->has_total = true;
	return go_on(ctx);
}

static int on_heart_rate(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_HEART_RATE, .context = "wrist" };
	struct state *s = drv_state(ctx);
	struct gatt_heart_rate h;
	int r = gatt_heart_rate_decode(frame->data, frame->len, &h);

	if (r < 0)
		return r;
	if (h.rate.absent == ABSENT_NO && h.rate.value.mantissa == 0)
		h.rate = number_absent(ABSENT_UNKNOWN);
	measurement_add(&m, METRIC_HEART_RATE, UNIT_PER_MIN, h.rate);
	if (measurement_is_final(&m))
		s->waits = true;
	return drv_emit(ctx, &m);
}

static int on_clock(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct gatt_current_time now;
	int r = sig_clock_frame(ctx, &s->clock, frame);

	if (r < 0 || s->has_now || frame->channel != SIG_CURRENT_TIME)
		return r;
	r = gatt_current_time_decode(frame->data, frame->len, &now);
	if (r < 0)
		return r;
	s->has_now = sig_is_whole(&now.time);
	s->now = now.time;
	s->now_at = drv_now(ctx);
	return 0;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	switch (frame->channel) {
	case STEPS:
		return on_steps(ctx, frame);
	case HEART_RATE:
		return on_heart_rate(ctx, frame);
	default:
		return on_clock(ctx, frame);
	}
}

/* ---- the rest ---- */

static int on_open(struct drv_ctx *ctx)
{
	read_note(ctx);
	return drv_read(ctx, STEPS);
}

static int say_interval(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct measurement m = { .metric = METRIC_STEPS, .has_duration = true };

	sig_set_time(&m, &s->plan.start);
	m.duration_ms = s->plan.duration_s * INT64_C(1000);
	measurement_add(&m, METRIC_STEPS, UNIT_STEPS, number_of(s->plan.steps, 0));
	s->stage = STAGE_SAID;
	s->waits = true;
	return drv_emit(ctx, &m);
}

static int set_clock(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	s->stage = STAGE_OVER;
	s->clock.readings = true;
	r = sig_clock_timeout(ctx, &s->clock);
	if (!s->clock.set) /* the hub lost its time */
		drv_done(ctx);
	return r;
}

static int on_timeout(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	if (s->stage == STAGE_PLANNED)
		return say_interval(ctx);
	return s->stage == STAGE_SETTING ? set_clock(ctx) : 0;
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = 0;

	s->waits = false;
	if (s->stage == STAGE_SAID) {
		s->stage = STAGE_IDLE;
		r = set_base(ctx, &s->plan.end);
	}
	return r < 0 ? r : go_on(ctx);
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	struct state *s = drv_state(ctx);

	(void)error;
	return sig_clock_refused(ctx, &s->clock, channel);
}

const struct driver driver_infinitime = {
	.name = "infinitime",
	.label = "Watches with InfiniTime (PineTime)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
