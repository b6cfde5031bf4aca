/*
 * Colmi rings (R02 to R10 and relatives): steps, heart rate and sleep of the last week, battery.
 *
 *   we   --6e400002: 03-->                     ring --6e400003--> 03 percent
 *   we   --43 days ago, 0f 00 5f 01-->         43 f0 n; 43 yymmdd quarter i n ...; or 43 ff
 *   we   --15 midnight-->                      15 00 n 05; 15 01 ...; 15 02 ...; or 15 ff
 *   we   --de5bf72a: bc 27 ...-->              ring --de5bf729--> bc 27 ..., in pieces
 *   we   --01 yymmddhhmmss-->                  01 ..., once all that came is durable
 *
 * No pairing and no key: whoever is near can read a ring and set it. It is found by its address.
 *
 * The clock cannot be read, so it cannot be measured, and what the ring holds when it is first met
 * bears stamps that nobody can vouch for, perhaps of another person's weeks. So the first link only
 * sets the clock, and notes when. Later links read what is newer than that, under stamps of the
 * hub's local time, and set the clock again. A hub that does not know the time asks for nothing but
 * the battery: the ring keeps a week. Nor does a link within five minutes of midnight, when ring
 * and hub could mean different days. If a day of steps comes with another date than the one that
 * was asked for, the ring has lost its clock (an empty battery): what it says is dropped, and it is
 * set and noted as if it were new. When the hub's zone changes to summer or winter, stamps until
 * the next link are off by that hour: that is not seen.
 *
 * Only what cannot change any more becomes a reading, and how far that was is noted:
 *   steps    the ring names a quarter of an hour, but seems to count whole hours in some; each is
 *            taken an hour and five minutes after its beginning, without a duration, so that it is
 *            not still growing
 *   rates    a slot is taken when it is over; 0 (and 255) is not measured
 *   sleep    a night belongs to the day of waking, and is taken when that day is over: a night that
 *            goes on after a pause would otherwise be there twice
 * The note is kept when all of it is durable. If that fails, the next link says the same again,
 * with the same stamps and values, which the gateway knows. After a frame that was spoiled or left
 * out the note stays as it was.
 *
 * Sleep is light + deep + REM; the duration of the reading is from falling asleep to waking. Stages
 * that do not fill it (or one that is an error) make it questionable; no minute is not measured.
 * Energy is left out: its unit is not certain.
 *
 * Source: see protocols/colmi/ring.h. Inferred: that a day of steps is asked for by the ring's own
 * date; that `days ago` of a night is the day of waking. Not tried on hardware.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/sig.h"
#include "protocols/bytes/cursor.h"
#include "protocols/colmi/ring.h"

/* our numbers for 6e400002-b5a3-f393-e0a9-e50e24dcca9e, ...0003, de5bf72a-d711-4e47-af26-
 * 65e3012a5dc7, ...729 */
#define COMMAND     0xc002
#define ANSWER      0xc003
#define BIG_COMMAND 0xc72a
#define BIG_ANSWER  0xc729

#define ANSWER_MS    5000
#define DAYS         6 /* and today: what a ring keeps */
#define DAY_S        INT64_C(86400)
#define MIDNIGHT_S   300
#define SETTLED_S    300  /* after the end of what is taken */
#define INTERVAL_S   3600 /* at most, of steps */
#define NOT_MEASURED 0xff
#define NOTE_VERSION 1

enum step {
	STEP_BATTERY = 0,
	STEP_STEPS,
	STEP_RATES,
	STEP_SLEEP,
	STEP_COMMIT,
	STEP_SET,
	STEP_OVER,
};

/* In seconds of local time since 1970 (nights: days). What begins before `since` is not ours;
 * the others are the newest beginning that was taken. */
struct note {
	uint32_t since, steps, rates, night;
};

struct state {
	enum step step;
	unsigned int days_ago; /* of the question */
	bool has_note;
	struct note note, next;
	bool spoiled, lost_clock;
	bool waits; /* a reading is not durable yet */

	bool in_answer; /* its header came */
	unsigned int frames, index;
	uint8_t slot_minutes;
	uint32_t midnight;

	size_t big_len, big_size; /* 0: nothing came yet */
	uint8_t big[COLMI_BIG_HEADER + COLMI_BIG_MAX];
};

#define RING_UUID(n)                                                                              \
	{                                                                                         \
		0x9e, 0xca, 0xdc, 0x24, 0x0e, 0xe5, 0xa9, 0xe0, 0x93, 0xf3, 0xa3, 0xb5, (n)&0xff, \
			(n) >> 8, 0x40, 0x6e                                                      \
	}
#define BIG_UUID(n)                                                                                \
	{                                                                                          \
		0xc7, 0x5d, 0x2a, 0x01, 0xe3, 0x65, 0x26, 0xaf, 0x47, 0x4e, 0x11, 0xd7, (n), 0xf7, \
			0x5b, 0xde                                                                 \
	}

static const uint8_t service_uuid[16] = RING_UUID(0xfff0);
static const uint8_t command_uuid[16] = RING_UUID(0x0002);
static const uint8_t answer_uuid[16] = RING_UUID(0x0003);
static const uint8_t big_command_uuid[16] = BIG_UUID(0x2a);
static const uint8_t big_answer_uuid[16] = BIG_UUID(0x29);

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service_uuid128 = service_uuid, .rank = 25 },
	{ .bus = DRV_BUS_BLE, .name_prefix = "R02_", .rank = 25 },
	{ .bus = DRV_BUS_BLE, .name_prefix = "R03_", .rank = 25 },
	{ .bus = DRV_BUS_BLE, .name_prefix = "R06_", .rank = 25 },
	{ .bus = DRV_BUS_BLE, .name_prefix = "R09_", .rank = 25 },
	{ .bus = DRV_BUS_BLE, .name_prefix = "R10_", .rank = 25 },
	{ .bus = DRV_BUS_BLE, .name_prefix = "COLMI R", .rank = 25 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_READ(SIG_MAKER),
	SIG_READ(SIG_MODEL),
	SIG_READ(SIG_FIRMWARE),
	SIG_READ(SIG_HARDWARE),
	{ .uuid128 = command_uuid, .id = COMMAND, .mode = DRV_WRITE },
	{ .uuid128 = big_command_uuid, .id = BIG_COMMAND, .mode = DRV_WRITE, .optional = true },
	{ .uuid128 = big_answer_uuid, .id = BIG_ANSWER, .mode = DRV_NOTIFY, .optional = true },
	{ .uuid128 = answer_uuid, .id = ANSWER, .mode = DRV_NOTIFY },
	{ 0 },
};

/* ---- time ---- */

static bool local_now(const struct drv_ctx *ctx, int64_t *ret)
{
	struct gatt_date_time now;

	if (!sig_local_time(ctx, &now))
		return false;
	*ret = sig_seconds(&now);
	return true;
}

static void set_local(struct measurement *m, int64_t seconds)
{
	sig_set_utc(m, seconds);
	m->time.kind = DEVICE_TIME_LOCAL;
}

/* how many days ago, for the ring's memory */
static unsigned int days_since(int64_t now, uint32_t seconds)
{
	const int64_t days = now / DAY_S - seconds / DAY_S;

	return days < 0 ? 0 : days > DAYS ? DAYS : (unsigned int)days;
}

/* ---- the note ---- */

static int keep_note(struct drv_ctx *ctx, const struct note *n)
{
	uint8_t data[DRV_KEPT_MAX];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, NOTE_VERSION);
	writer_le32(&w, n->since);
	writer_le32(&w, n->steps);
	writer_le32(&w, n->rates);
	writer_le32(&w, n->night);
	assert(writer_ok(&w));
	return drv_keep(ctx, data, w.len);
}

static void read_note(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[DRV_KEPT_MAX];
	struct cursor c = cursor_of(data, drv_kept(ctx, data));
	const bool version = cursor_u8(&c) == NOTE_VERSION;

	s->note.since = cursor_le32(&c);
	s->note.steps = cursor_le32(&c);
	s->note.rates = cursor_le32(&c);
	s->note.night = cursor_le32(&c);
	s->has_note = version && cursor_at_end(&c);
	s->next = s->note;
}

static void raise(uint32_t *mark, int64_t to)
{
	if (to > *mark)
		*mark = (uint32_t)to;
}

/* ---- questions ---- */

/* made: the result of the encoder */
static int ask(struct drv_ctx *ctx, uint16_t channel, const struct writer *w, int made)
{
	struct state *s = drv_state(ctx);
	int r;

	if (made < 0)
		return made;
	s->in_answer = false;
	r = drv_write(ctx, channel, w->data, w->len);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_MS);
}

static int ask_steps(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	uint8_t data[COLMI_FRAME_SIZE];
	struct writer w = writer_of(data, sizeof(data));

	return ask(ctx, COMMAND, &w, colmi_steps_encode((uint8_t)s->days_ago, &w));
}

static int ask_rates(struct drv_ctx *ctx, int64_t now)
{
	struct state *s = drv_state(ctx);
	uint8_t data[COLMI_FRAME_SIZE];
	struct writer w = writer_of(data, sizeof(data));

	s->midnight = (uint32_t)((now / DAY_S - s->days_ago) * DAY_S);
	return ask(ctx, COMMAND, &w, colmi_heart_rates_encode(s->midnight, &w));
}

static int ask_sleep(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[COLMI_FRAME_SIZE];
	struct writer w = writer_of(data, sizeof(data));

	s->big_len = s->big_size = 0;
	return ask(ctx, BIG_COMMAND, &w, colmi_sleep_encode(&w));
}

static int hang_up(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->step = STEP_OVER;
	drv_done(ctx);
	return drv_set_timeout(ctx, 0);
}

static int set_time(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[COLMI_FRAME_SIZE];
	struct writer w = writer_of(data, sizeof(data));
	struct gatt_date_time now;

	if (!sig_local_time(ctx, &now))
		return hang_up(ctx);
	s->step = STEP_SET;
	return ask(ctx, COMMAND, &w, colmi_set_time_encode(&now, &w));
}

/* ---- the dialogue ---- */

static int finish(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	s->step = STEP_COMMIT;
	r = drv_set_timeout(ctx, 0);
	if (r < 0 || s->waits)
		return r;
	if (s->has_note && !s->spoiled && !s->lost_clock)
		r = keep_note(ctx, &s->next);
	return r < 0 ? r : set_time(ctx);
}

/* The next day of this kind, or the next kind. */
static int next_question(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int64_t now;

	if (!local_now(ctx, &now))
		return hang_up(ctx);
	if (s->lost_clock)
		return finish(ctx);
	if (s->step == STEP_STEPS && s->days_ago-- > 0)
		return ask_steps(ctx);
	if (s->step == STEP_STEPS) {
		s->step = STEP_RATES;
		s->days_ago = days_since(now, s->note.rates) + 1;
	}
	if (s->step == STEP_RATES && s->days_ago-- > 0)
		return ask_rates(ctx, now);
	if (s->step == STEP_RATES) {
		s->step = STEP_SLEEP;
		return ask_sleep(ctx);
	}
	return finish(ctx);
}

static int begin(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int64_t now;

	if (!local_now(ctx, &now))
		return hang_up(ctx);
	if (!s->has_note)
		return set_time(ctx);
	if (now % DAY_S < MIDNIGHT_S || now % DAY_S >= DAY_S - MIDNIGHT_S)
		return hang_up(ctx);
	s->step = STEP_STEPS;
	s->days_ago = days_since(now, s->note.steps) + 1;
	return next_question(ctx);
}

static int time_is_set(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct note fresh;
	int64_t now;
	int r;

	if (s->step != STEP_SET)
		return -ENOMSG;
	if ((!s->has_note || s->lost_clock) && local_now(ctx, &now)) {
		fresh.since = fresh.steps = fresh.rates = (uint32_t)now;
		fresh.night = (uint32_t)(now / DAY_S) - 1;
		r = keep_note(ctx, &fresh);
		if (r < 0)
			return r;
	}
	return hang_up(ctx);
}

static int on_battery(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);
	uint8_t percent;
	int r = colmi_battery_decode(frame->data, frame->len, &percent);

	if (r >= 0)
		r = drv_battery(ctx, percent);
	return r < 0 || s->step != STEP_BATTERY ? r : begin(ctx);
}

/* ---- steps ---- */

/* its day is the one that was asked for? */
static bool is_day(const struct drv_ctx *ctx, const struct state *s,
		   const struct gatt_date_time *day)
{
	int64_t now;

	return local_now(ctx, &now) &&
	       sig_seconds(day) / DAY_S == now / DAY_S - (int64_t)s->days_ago;
}

static int say_steps(struct drv_ctx *ctx, const struct colmi_steps *x)
{
	struct measurement m = { .metric = METRIC_STEPS, .flags = FLAG_BIT(FLAG_BACKFILL) };
	struct state *s = drv_state(ctx);
	const int64_t start = sig_seconds(&x->day) + x->quarter * INT64_C(900);
	int64_t now;

	if (!local_now(ctx, &now) || start <= s->note.steps || start < s->note.since ||
	    start + INTERVAL_S + SETTLED_S > now)
		return 0;
	raise(&s->next.steps, start);
	set_local(&m, start);
	measurement_add(&m, METRIC_STEPS, UNIT_STEPS, number_of(x->steps, 0));
	measurement_add(&m, METRIC_DISTANCE, UNIT_M, number_of(x->metres, 0));
	s->waits = true;
	return drv_emit(ctx, &m);
}

static int on_steps_data(struct drv_ctx *ctx, const struct colmi_steps *x)
{
	struct state *s = drv_state(ctx);
	int r;

	if (!s->in_answer || x->frames != s->frames || x->index != s->index)
		return -EBADMSG;
	s->index++;
	if (!is_day(ctx, s, &x->day))
		s->lost_clock = true;
	r = s->lost_clock ? 0 : say_steps(ctx, x);
	if (r < 0 || s->index < s->frames)
		return r < 0 ? r : drv_set_timeout(ctx, ANSWER_MS);
	return next_question(ctx);
}

static int on_steps(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct colmi_steps x;
	int r = colmi_steps_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	if (s->step != STEP_STEPS)
		return -ENOMSG;
	if (x.part == COLMI_DATA)
		return on_steps_data(ctx, &x);
	s->in_answer = x.part == COLMI_HEADER && x.frames > 0;
	s->frames = x.frames;
	s->index = 0;
	return s->in_answer ? drv_set_timeout(ctx, ANSWER_MS) : next_question(ctx);
}

/* ---- heart rates ---- */

static int say_rate(struct drv_ctx *ctx, uint8_t rate, int64_t start, int64_t now)
{
	struct measurement m = { .metric = METRIC_HEART_RATE,
				 .flags = FLAG_BIT(FLAG_BACKFILL),
				 .context = "finger" };
	struct state *s = drv_state(ctx);

	if (rate == 0 || rate == NOT_MEASURED || start <= s->note.rates || start < s->note.since ||
	    start >= s->midnight + DAY_S || start + s->slot_minutes * INT64_C(60) + SETTLED_S > now)
		return 0;
	raise(&s->next.rates, start);
	set_local(&m, start);
	measurement_add(&m, METRIC_HEART_RATE, UNIT_PER_MIN, number_of(rate, 0));
	s->waits = true;
	return drv_emit(ctx, &m);
}

static int on_rates_data(struct drv_ctx *ctx, const struct colmi_heart_rates *x)
{
	struct state *s = drv_state(ctx);
	int64_t now, slot;
	int r = 0;

	if (!s->in_answer || x->index != s->index ||
	    (x->has_midnight && x->midnight != s->midnight))
		return -EBADMSG;
	if (!local_now(ctx, &now))
		return hang_up(ctx);
	/* the first frame has four fewer */
	slot = x->has_midnight ? 0 : (x->index - 1) * INT64_C(13) - 4;
	for (unsigned int i = 0; i < x->n_rates && r >= 0; i++, slot++)
		r = say_rate(ctx, x->rates[i], s->midnight + slot * s->slot_minutes * 60, now);
	s->index++;
	if (r < 0 || s->index < s->frames)
		return r < 0 ? r : drv_set_timeout(ctx, ANSWER_MS);
	return next_question(ctx);
}

static int on_rates(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct colmi_heart_rates x;
	int r = colmi_heart_rates_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	if (s->step != STEP_RATES)
		return -ENOMSG;
	if (x.part == COLMI_DATA)
		return on_rates_data(ctx, &x);
	if (x.part == COLMI_NOTHING)
		return next_question(ctx);
	s->in_answer = true;
	s->frames = x.frames;
	s->slot_minutes = x.minutes;
	s->index = 1;
	return drv_set_timeout(ctx, ANSWER_MS);
}

/* ---- sleep ---- */

/* Not every ring knows every stage, and none a night without sleep. */
static struct number minutes_of(int minutes)
{
	return minutes == 0 ? number_absent(ABSENT_UNKNOWN) : number_of(minutes, 0);
}

static int say_night(struct drv_ctx *ctx, const struct colmi_night *n, int64_t now)
{
	struct measurement m = { .metric = METRIC_SLEEP_DURATION,
				 .flags = FLAG_BIT(FLAG_BACKFILL),
				 .has_duration = true };
	struct state *s = drv_state(ctx);
	const int64_t day = now / DAY_S - n->days_ago;
	const int64_t start = (n->evening ? day - 1 : day) * DAY_S + n->start * INT64_C(60);
	const uint16_t *const in = n->minutes;
	const int asleep = in[COLMI_STAGE_LIGHT] + in[COLMI_STAGE_DEEP] + in[COLMI_STAGE_REM];

	if (n->days_ago == 0 || day <= (int64_t)s->note.night || start < s->note.since)
		return 0;
	raise(&s->next.night, day);
	set_local(&m, start);
	m.duration_ms =
		(n->end + COLMI_DAY_MINUTES - n->start) % COLMI_DAY_MINUTES * INT64_C(60000);
	if (!n->adds_up || in[COLMI_STAGE_NONE] || in[COLMI_STAGE_ERROR])
		m.flags |= FLAG_BIT(FLAG_QUESTIONABLE);
	measurement_add(&m, METRIC_SLEEP_DURATION, UNIT_MIN, minutes_of(asleep));
	measurement_add(&m, METRIC_SLEEP_DEEP, UNIT_MIN, minutes_of(in[COLMI_STAGE_DEEP]));
	measurement_add(&m, METRIC_SLEEP_LIGHT, UNIT_MIN, minutes_of(in[COLMI_STAGE_LIGHT]));
	measurement_add(&m, METRIC_SLEEP_REM, UNIT_MIN, minutes_of(in[COLMI_STAGE_REM]));
	s->waits = s->waits || measurement_is_final(&m);
	return drv_emit(ctx, &m);
}

static int on_whole_sleep(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct colmi_night nights[COLMI_NIGHTS_MAX];
	int64_t now;
	size_t n;
	int r = colmi_sleep_decode(s->big, s->big_size, nights, &n);

	if (r >= 0 && !local_now(ctx, &now))
		return hang_up(ctx);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = say_night(ctx, &nights[i], now);
	return r < 0 ? r : finish(ctx);
}

static int on_big(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	int r;

	if (s->step != STEP_SLEEP)
		return -ENOMSG;
	if (s->big_size == 0) {
		r = colmi_big_length(frame->data, frame->len, &s->big_size);
		if (r < 0)
			return r;
	}
	if (frame->len == 0 || frame->len > s->big_size - s->big_len)
		return -EMSGSIZE;
	memcpy(s->big + s->big_len, frame->data, frame->len);
	s->big_len += frame->len;
	return s->big_len == s->big_size ? on_whole_sleep(ctx) : drv_set_timeout(ctx, ANSWER_MS);
}

/* ---- events ---- */

static int on_open(struct drv_ctx *ctx)
{
	uint8_t data[COLMI_FRAME_SIZE];
	struct writer w = writer_of(data, sizeof(data));

	read_note(ctx);
	return ask(ctx, COMMAND, &w, colmi_battery_encode(&w));
}

static int on_answer(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	uint8_t command;
	int r = colmi_frame_check(frame->data, frame->len, &command);

	if (r < 0)
		return r;
	switch (command) {
	case COLMI_BATTERY:
		return on_battery(ctx, frame);
	case COLMI_STEPS:
		return on_steps(ctx, frame);
	case COLMI_HEART_RATES:
		return on_rates(ctx, frame);
	case COLMI_SET_TIME:
		return time_is_set(ctx);
	default: /* rings say things that nobody asked for */
		return -ENOMSG;
	}
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	int r;

	if (frame->channel != ANSWER && frame->channel != BIG_ANSWER)
		return sig_frame(ctx, frame);
	r = frame->channel == ANSWER ? on_answer(ctx, frame) : on_big(ctx, frame);
	if (r < 0 && r != -ENOMSG)
		s->spoiled = true;
	return r;
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->waits = false;
	return s->step == STEP_COMMIT ? finish(ctx) : 0;
}

/* Older rings know no big data; after a spoiled frame an answer may never be whole. */
static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	switch (s->step) {
	case STEP_SLEEP:
		s->spoiled = s->spoiled || s->big_size > 0;
		return finish(ctx);
	case STEP_STEPS:
	case STEP_RATES:
		if (!s->spoiled)
			return -ETIMEDOUT;
		return next_question(ctx);
	case STEP_BATTERY:
	case STEP_SET:
		return -ETIMEDOUT;
	case STEP_COMMIT:
	case STEP_OVER:
		break;
	}
	return 0;
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	const struct state *s = drv_state(ctx);

	(void)error;
	if (channel == BIG_COMMAND && s->step == STEP_SLEEP)
		return finish(ctx);
	return channel == COMMAND ? hang_up(ctx) : 0;
}

const struct driver driver_colmi_ring = {
	.name = "colmi_ring",
	.label = "Colmi rings R02, R03, R06, R09, R10",
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
