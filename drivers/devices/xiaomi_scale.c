/*
 * Xiaomi scales: Mi Smart Scale and Mi Smart Scale 2 (v1, weight only), Mi Body Composition Scale
 * and Scale 2 (v2, MIBCS and MIBFS). They broadcast a weighing to everybody, and keep it too.
 *
 * Broadcast, service data 0x181D (v1) or 0x181B (v2); one weighing of a v2:
 *
 *   02 04 ea07050c123534 0000 8a34     the weight moves                        news: unstable
 *   02 24 ea07050c123536 0000 0c35     stable: 67.900 kg                       reading
 *   02 26 ea07050c123536 f401 0c35     and impedance 500, a second or so later reading
 *   02 a6 ea07050c123536 f401 0c35     stepped down; on air until next time    news: removed
 *
 * History, on a link (characteristic 00002a2f-0000-3512-2118-0009af100700):
 *
 *   we    --read 2A2B-->               its clock, before anything could set it
 *   we    --write 01 <id4>-->          scale --notifies 01 nn-->   new to this id
 *   we    --write 02-->                scale --notifies-->         records as above, then 03
 *   we    --write 03-->                that was all
 *   we    --write 04 <id4>-->          once every record is durable: the scale moves on
 *   we    --write 2A2B-->              the hub's time, if the scale's is off by over a minute
 *
 * Only if as many records came as were announced, all understood and all stable weighings, are they
 * acknowledged; otherwise they come again, which doubles nothing. Nothing is ever erased.
 *
 * What a weighing is, however it comes. A weighing is two readings: body_weight with the weight and
 * nothing else, and, if the feet were bare, body_composition with the impedance and nothing else;
 * both with the scale's own stamp of the weighing, by which a receiver joins them. Neither changes
 * when the other comes, so the weight that was broadcast without impedance, the weight broadcast
 * with it and the weight of the history are one reading to the gateway (same device, stamp and
 * value), and so are the impedances. A broadcast is repeated for minutes: what has been said of the
 * weighing at hand is not said again. Should the stamp go on by up to a minute while the weight
 * stays the same to the last digit, it is still that weighing, with its first stamp.
 *
 * Time. The scale's clock has no zone: apps have set it to Beijing's, to UTC and to local time, and
 * after a change of battery it begins at 1970. On a link it is read and so measured. In a broadcast
 * a stable stamp right behind a moving weight is the present, which measures the clock too. A
 * session whose measure may be stale says nothing: it ends, and the next one, which has none, takes
 * the frame. A year before the scale was made, in a broadcast: its clock was never set.
 *
 * Source: protocols/xiaomi/scale.h. From frames of real scales, published by others: the layout,
 * the order of a weighing and its single stamp. From descriptions and programs of others: the
 * history, and that a record there is the frame that was broadcast. Inferred: that an id of our own
 * making will do; that the scale's 03 may be missing (its silence ends the history as well). Not
 * tried on hardware.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/sig.h"
#include "protocols/bytes/cursor.h"
#include "protocols/xiaomi/scale.h"

#define HISTORY 0xf02f /* our number for 00002a2f-0000-3512-2118-0009af100700 */

#define HISTORY_WAIT_MS  5000
#define BROADCAST_END_MS 60000 /* nothing was heard for so long */
#define FRESH_US         INT64_C(5000000)
#define SAME_WEIGHING_S  60
#define YEAR_MADE        2015 /* the first of these scales */
#define CLOCK_SIZE       9    /* what some describe in place of the 10 bytes of 2A2B */

enum step {
	STEP_NONE = 0,
	STEP_COUNT,   /* asked how many */
	STEP_RECORDS, /* asked for them */
	STEP_SAFE,    /* all have come; they are not durable yet */
	STEP_CLOCK,   /* done with the history */
};

struct state {
	/* the weighing at hand; impedance 0: not said yet */
	bool weighed;
	struct xiaomi_scale weighing;
	bool moving;       /* a moving weight was the last thing heard */
	int64_t moving_at; /* then */
	uint64_t news;     /* flags of the last news; 0: none since the weighing */
	bool measured;     /* the clock was; later weighings must not use it */

	enum step step;
	struct sig_clock clock;
	bool has_now;
	struct gatt_date_time now; /* the scale's clock when the link came up */
	uint32_t id;
	unsigned int announced, came;
	bool spoiled; /* something that came was not a weighing */
	bool waits;   /* a reading is not durable yet */
};

static const uint8_t history_uuid[16] = { 0x00, 0x07, 0x10, 0xaf, 0x09, 0x00, 0x18, 0x21,
					  0x12, 0x35, 0x00, 0x00, 0x2f, 0x2a, 0x00, 0x00 };

/* The services are those of the standard scales, so a link needs the name; a broadcast does not:
 * no other kind of scale puts its measurement there. */
static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE_ADVERT, .service = XIAOMI_V2_SERVICE, .rank = 63 },
	{ .bus = DRV_BUS_BLE_ADVERT, .service = XIAOMI_V1_SERVICE, .rank = 62 },
	{ .bus = DRV_BUS_BLE, .service = XIAOMI_V2_SERVICE, .name_prefix = "MIBFS", .rank = 63 },
	{ .bus = DRV_BUS_BLE, .service = XIAOMI_V2_SERVICE, .name_prefix = "MIBCS", .rank = 63 },
	{ .bus = DRV_BUS_BLE, .service = XIAOMI_V1_SERVICE, .name_prefix = "MI_SCALE", .rank = 62 },
	{ .bus = DRV_BUS_BLE, .service = XIAOMI_V1_SERVICE, .name_prefix = "MI SCALE", .rank = 62 },
	{ .bus = DRV_BUS_BLE, .service = XIAOMI_V1_SERVICE, .name_prefix = "MISCALE", .rank = 62 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_READ(SIG_MAKER),
	SIG_READ(SIG_MODEL),
	SIG_READ(SIG_SERIAL),
	SIG_READ(SIG_FIRMWARE),
	SIG_READ(SIG_HARDWARE),
	{ .uuid128 = history_uuid, .id = HISTORY, .mode = DRV_NOTIFY },
	/* last: with its clock known and the history subscribed, the dialogue begins */
	{ .id = SIG_CURRENT_TIME, .mode = DRV_READ },
	{ 0 },
};

/* ---- a weighing ---- */

static struct measurement begin(enum metric metric, const struct xiaomi_scale *x)
{
	struct measurement m = { .metric = metric };

	sig_set_time(&m, &x->time);
	return m;
}

static int64_t seconds_apart(const struct gatt_date_time *a, const struct gatt_date_time *b)
{
	return sig_seconds(a) - sig_seconds(b);
}

static bool same_weight(const struct xiaomi_scale *a, const struct xiaomi_scale *b)
{
	return a->raw_weight == b->raw_weight && (a->unit == UNIT_LB) == (b->unit == UNIT_LB);
}

/* A moving weight, nobody on the scale, or nothing: why this is no weighing; 0: it is one. */
static uint64_t news_of(const struct xiaomi_scale *x)
{
	uint64_t flags = 0;

	if (!x->stable)
		flags |= FLAG_BIT(FLAG_UNSTABLE);
	if (x->removed)
		flags |= FLAG_BIT(FLAG_REMOVED);
	if (flags == 0 && x->raw_weight == 0)
		flags |= FLAG_BIT(FLAG_ERROR);
	return flags;
}

static int say_news(struct drv_ctx *ctx, uint64_t flags)
{
	const struct measurement m = { .metric = METRIC_BODY_WEIGHT, .flags = flags };

	return drv_emit(ctx, &m);
}

static int say_weight(struct drv_ctx *ctx, const struct xiaomi_scale *x, uint64_t flags)
{
	struct measurement m = begin(METRIC_BODY_WEIGHT, x);

	m.flags |= flags;
	measurement_add(&m, METRIC_BODY_WEIGHT, x->unit, x->weight);
	return drv_emit(ctx, &m);
}

static int say_impedance(struct drv_ctx *ctx, const struct xiaomi_scale *x, uint64_t flags)
{
	struct measurement m = begin(METRIC_BODY_COMPOSITION, x);

	m.flags |= flags;
	measurement_add(&m, METRIC_IMPEDANCE, UNIT_OHM, x->impedance);
	return drv_emit(ctx, &m);
}

/* ---- broadcast ---- */

/* for dates that are not whole */
static bool same_time(const struct gatt_date_time *a, const struct gatt_date_time *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day &&
	       a->hour == b->hour && a->minute == b->minute && a->second == b->second;
}

static bool is_at_hand(const struct state *s, const struct xiaomi_scale *x)
{
	int64_t apart;

	if (!s->weighed || !same_weight(&s->weighing, x))
		return false;
	if (!sig_is_whole(&x->time) || !sig_is_whole(&s->weighing.time))
		return same_time(&x->time, &s->weighing.time);
	apart = seconds_apart(&x->time, &s->weighing.time);
	return apart >= 0 && apart <= SAME_WEIGHING_S;
}

/* What is broadcast is the present: without a clock the gateway takes the time of receipt. */
static uint64_t clock_flags(const struct xiaomi_scale *x)
{
	return x->time.year < YEAR_MADE ? FLAG_BIT(FLAG_CLOCK_NOT_SET) : 0;
}

static int hear_weighing(struct drv_ctx *ctx, struct state *s, const struct xiaomi_scale *x)
{
	const bool fresh = s->moving && drv_now(ctx) - s->moving_at <= FRESH_US;
	int r;

	if (s->measured && !fresh) { /* by a clock that may have been set since */
		drv_done(ctx);
		return 0;
	}
	s->measured = fresh && sig_is_whole(&x->time);
	if (s->measured) {
		r = sig_tell_clock(ctx, &x->time, 0);
		if (r < 0)
			return r;
	}
	s->weighed = true;
	s->weighing = *x;
	s->moving = false;
	s->news = 0;
	return say_weight(ctx, x, clock_flags(x));
}

static int hear_impedance(struct drv_ctx *ctx, struct state *s, const struct xiaomi_scale *x)
{
	s->weighing.raw_impedance = x->raw_impedance;
	s->weighing.impedance = x->impedance;
	return say_impedance(ctx, &s->weighing, clock_flags(&s->weighing));
}

static int hear_stable(struct drv_ctx *ctx, struct state *s, const struct xiaomi_scale *x)
{
	const bool known = is_at_hand(s, x);
	int r;

	if (!known) {
		r = hear_weighing(ctx, s, x);
		if (r < 0 || !is_at_hand(s, x))
			return r;
	} else if (x->raw_impedance == 0 || s->weighing.raw_impedance != 0) {
		return 0; /* repeated */
	}
	return x->raw_impedance != 0 ? hear_impedance(ctx, s, x) : 0;
}

/* said once, while it lasts */
static int hear_news(struct drv_ctx *ctx, struct state *s, const struct xiaomi_scale *x)
{
	const uint64_t news = news_of(x);
	const bool known = s->news == news;

	s->news = news;
	s->moving = !x->stable && !x->removed;
	s->moving_at = drv_now(ctx);
	return known ? 0 : say_news(ctx, news);
}

static int on_advert(struct drv_ctx *ctx, const struct drv_advert *advert)
{
	struct state *s = drv_state(ctx);
	struct xiaomi_scale x;
	int r;

	if (advert->service != XIAOMI_V1_SERVICE && advert->service != XIAOMI_V2_SERVICE)
		return -ENOMSG;
	if (advert->len != (advert->service == XIAOMI_V1_SERVICE ? XIAOMI_V1_SIZE : XIAOMI_V2_SIZE))
		return -EMSGSIZE;
	r = xiaomi_scale_decode(advert->data, advert->len, &x);
	if (r < 0)
		return r;
	r = drv_set_timeout(ctx, BROADCAST_END_MS);
	if (r < 0)
		return r;
	return news_of(&x) == 0 ? hear_stable(ctx, s, &x) : hear_news(ctx, s, &x);
}

/* ---- history ---- */

static int command(struct drv_ctx *ctx, enum xiaomi_history kind)
{
	const struct state *s = drv_state(ctx);
	uint8_t data[8];
	struct writer w = writer_of(data, sizeof(data));
	int r = xiaomi_history_encode(kind, s->id, &w);

	assert(r == 0); /* it fits */
	(void)r;
	return drv_write(ctx, HISTORY, data, w.len);
}

/*
 * The id under which the scale keeps how far this hub has read. Made once from the moment of the
 * first link: it need not be secret, only another one than a phone's. 0xffff in front is what some
 * apps write for "only the last".
 */
static int choose_id(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t kept[DRV_KEPT_MAX];
	struct writer w;
	struct cursor c;

	c = cursor_of(kept, drv_kept(ctx, kept));
	s->id = cursor_be32(&c);
	if (cursor_at_end(&c))
		return 0;
	s->id = (uint32_t)((uint64_t)drv_now(ctx) * UINT64_C(0x9e3779b97f4a7c15) >> 33);
	w = writer_of(kept, sizeof(kept));
	writer_be32(&w, s->id);
	return drv_keep(ctx, kept, w.len);
}

static int begin_history(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = choose_id(ctx);

	if (r < 0)
		return r;
	s->step = STEP_COUNT;
	r = command(ctx, XIAOMI_HISTORY_COUNT);
	return r < 0 ? r : drv_set_timeout(ctx, HISTORY_WAIT_MS);
}

/* The stored weighings have come, or there are none: now the clock may be set. */
static int end_history(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	s->step = STEP_CLOCK;
	s->clock.readings = true;
	r = drv_set_timeout(ctx, 0);
	if (r >= 0)
		r = sig_clock_timeout(ctx, &s->clock);
	if (!s->clock.set) /* it is right, or the hub does not know better */
		drv_done(ctx);
	return r;
}

static int acknowledge(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	int r;

	if (s->waits)
		return 0;
	if (!s->spoiled && s->came >= s->announced) {
		r = command(ctx, XIAOMI_HISTORY_ACKNOWLEDGE);
		if (r < 0)
			return r;
		return end_history(ctx);
	}
	drv_done(ctx); /* something is still in there: its clock must stay as it is */
	return drv_set_timeout(ctx, 0);
}

static int on_end(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	if (s->step != STEP_RECORDS)
		return 0;
	s->step = STEP_SAFE;
	r = drv_set_timeout(ctx, 0);
	if (r >= 0)
		r = command(ctx, XIAOMI_HISTORY_STOP);
	return r < 0 ? r : acknowledge(ctx);
}

static int on_count(struct drv_ctx *ctx, unsigned int count)
{
	struct state *s = drv_state(ctx);
	int r;

	if (s->step != STEP_COUNT)
		return -ENOMSG;
	s->announced = count;
	if (count == 0)
		return end_history(ctx);
	s->step = STEP_RECORDS;
	r = command(ctx, XIAOMI_HISTORY_SEND);
	return r < 0 ? r : drv_set_timeout(ctx, HISTORY_WAIT_MS);
}

/* A stamp later than the clock that was read: it has been set back since, nobody knows how far. */
static uint64_t record_flags(const struct state *s, const struct xiaomi_scale *x)
{
	uint64_t flags = FLAG_BIT(FLAG_BACKFILL);

	if (!s->has_now || !sig_is_whole(&x->time) ||
	    seconds_apart(&x->time, &s->now) > SAME_WEIGHING_S)
		flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
	return flags;
}

static int say_record(struct drv_ctx *ctx, const struct xiaomi_scale *x)
{
	struct state *s = drv_state(ctx);
	const uint64_t flags = record_flags(s, x);
	int r;

	if (news_of(x) != 0) {
		s->spoiled = true;
		return say_news(ctx, news_of(x));
	}
	s->waits = true;
	r = say_weight(ctx, x, flags);
	return r < 0 || x->raw_impedance == 0 ? r : say_impedance(ctx, x, flags);
}

static int on_records(struct drv_ctx *ctx, const struct xiaomi_history_frame *f)
{
	struct state *s = drv_state(ctx);
	int r = 0;

	if (s->step != STEP_RECORDS)
		return -ENOMSG;
	for (unsigned int i = 0; i < f->count && r >= 0; i++)
		r = say_record(ctx, &f->records[i]);
	if (r < 0)
		return r;
	s->came += f->count;
	return drv_set_timeout(ctx, HISTORY_WAIT_MS);
}

static int on_history(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct xiaomi_history_frame f;
	int r = xiaomi_history_decode(frame->data, frame->len, &f);

	if (r >= 0 && f.kind == XIAOMI_HISTORY_COUNT)
		r = on_count(ctx, f.count);
	else if (r >= 0 && f.kind == XIAOMI_HISTORY_STOP)
		r = on_end(ctx);
	else if (r >= 0)
		r = on_records(ctx, &f);
	if (r < 0)
		s->spoiled = true;
	return r;
}

/* ---- its clock ---- */

static int on_clock(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	uint8_t whole[CLOCK_SIZE + 1] = { 0 };
	const struct drv_frame now = { SIG_CURRENT_TIME, whole, sizeof(whole) };
	const bool first = s->step == STEP_NONE;
	struct cursor c;
	int r;

	if (frame->len != CLOCK_SIZE && frame->len != CLOCK_SIZE + 1)
		return -EMSGSIZE;
	memcpy(whole, frame->data, GATT_DATE_TIME_SIZE); /* the rest is not of the standard here */
	r = sig_clock_frame(ctx, &s->clock, &now);
	if (r < 0 || !first)
		return r;
	c = cursor_of(whole, sizeof(whole));
	s->now = gatt_date_time_read(&c);
	s->has_now = sig_is_whole(&s->now);
	return begin_history(ctx);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	switch (frame->channel) {
	case HISTORY:
		return on_history(ctx, frame);
	case SIG_CURRENT_TIME:
		return on_clock(ctx, frame);
	default:
		return sig_frame(ctx, frame);
	}
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->waits = false;
	return s->step == STEP_SAFE ? acknowledge(ctx) : 0;
}

static int on_timeout(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	switch (s->step) {
	case STEP_COUNT:
		return -ETIMEDOUT;
	case STEP_RECORDS:
		return on_end(ctx);
	case STEP_NONE: /* the broadcast is over */
		drv_done(ctx);
		return 0;
	case STEP_SAFE:
	case STEP_CLOCK:
		break;
	}
	return 0;
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	const struct state *s = drv_state(ctx);

	(void)error;
	if (channel == HISTORY && s->step != STEP_CLOCK) {
		drv_done(ctx); /* nothing is lost: the scale keeps them */
		return drv_set_timeout(ctx, 0);
	}
	return sig_clock_refused(ctx, &s->clock, channel);
}

const struct driver driver_xiaomi_scale = {
	.name = "xiaomi_scale",
	.label = "Xiaomi Mi Smart Scale 1 and 2, Mi Body Composition Scale 1 and 2",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.advert = on_advert,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
