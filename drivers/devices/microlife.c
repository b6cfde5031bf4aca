/*
 * Microlife cuffs with USB of the older kind (BP3GX1-5X, BP A200 PC), as the tty that the kernel's
 * cypress_m8 makes of them.
 *
 *   we --12 16 18 26-->     cuff --06 "05122026073105" ... sum-->     its clock
 *   we --12 16 18 22-->     cuff --06 "0002" ... two records ... sum-->
 *   that is all, or, if an operator has allowed it (QUIRK_SET_CLOCK), the hub knows the time, the
 *   clock is off by more than a minute and all that was read is durable:
 *   we --12 16 18 27-->     06
 *   we --"05122026073200" ... sum-->
 *   we --12 16 18 26-->     and it is read back
 *
 * Why the tty: 04b4:5500 says that it is HID, but the kernel's HID core leaves it out as a "HID to
 * COM" bridge and cypress_m8 takes it; so on a plain Debian kernel there is no hidraw, and a tty
 * without any rule or module option. Over libusb it would have to be wrested from that driver each
 * time. The tty also packs and unpacks the reports (a count in the first byte of 8). 4800 bit/s is
 * all that cypress_m8 grants to a low-speed device; on this wire it has no meaning.
 *
 * The number is that of a bridge chip that is in other things too. So the first question is one
 * that only a cuff answers with 06, digits and their sum; if nothing does in three attempts, it is
 * left alone. An answer ends with silence, and nothing is asked before it is silent; so what comes
 * late never passes for the next answer.
 *
 * What identifies a record: minute and values. Its place in the memory does not: that is a ring. Of
 * several that are equal, the ones before it are counted (cuff.h), so two equal readings of one
 * minute stay two and the memory read again tomorrow makes none. A record that cannot be (its date,
 * no pressure) is counted as a fault and left out; the others are good, since the sum covers all.
 *
 * Nothing is erased: no command for that is known. The name of its owner that the cuff holds is
 * never asked for (it comes along in the memory, and is dropped), and never set. The clock is
 * measured when it is read, a second late. What sets it is 40 bytes of which 7 are understood: the
 * others are sent back as they were read, and a cuff that says more or fewer is not set.
 *
 * Source: protocols/microlife/cuff.h. Not tried on hardware. Whether cypress_m8's choice of line
 * speed matters to a cuff is not known.
 */
#include <errno.h>
#include <string.h>

#include "drivers/cuff.h"
#include "drivers/sig.h"
#include "protocols/microlife/cuff.h"

#define QUIRK_SET_CLOCK 0x01 /* which no row sets, and an operator may */

#define ANSWER_MS    2000
#define SILENCE_MS   1000              /* much longer than the bridge pauses, even on a busy hub */
#define WHOLE_US     INT64_C(60000000) /* a full memory takes about 20 s */
#define SOON_MS      1
#define ATTEMPTS_MAX 3
#define CLOCK_OFF_S  60

enum step {
	STEP_CLOCK = 0,
	STEP_MEMORY,
	STEP_FAULTS, /* records were left out: to be counted */
	STEP_COMMIT,
	STEP_SET,
	STEP_SETTING,
	STEP_CHECK,
	STEP_OVER,
};

struct state {
	enum step step;
	unsigned int attempts; /* of this question */
	bool known;            /* it is a cuff */
	bool waits;            /* a reading is not durable yet */
	bool faulty;
	size_t clock_len; /* of its answer; 0: it is not to be set */
	uint8_t clock[MICROLIFE_SETTING_SIZE];
	int64_t asked_at;
	size_t len;
	uint8_t answer[MICROLIFE_ANSWER_MAX];
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_SERIAL, .vid = 0x04b4, .pid = 0x5500 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_BYTES, .mode = DRV_NOTIFY },
	{ 0 },
};

/* ---- questions ---- */

static int say_bytes(struct drv_ctx *ctx, const uint8_t *data, size_t len)
{
	struct state *s = drv_state(ctx);
	int r;

	s->len = 0;
	s->asked_at = drv_now(ctx);
	r = drv_write(ctx, DRV_WIRE_BYTES, data, len);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_MS);
}

static int ask(struct drv_ctx *ctx, enum step step)
{
	static const enum microlife_command commands[] = {
		[STEP_CLOCK] = MICROLIFE_READ_CLOCK,
		[STEP_MEMORY] = MICROLIFE_READ_MEMORY,
		[STEP_SET] = MICROLIFE_SET_CLOCK,
		[STEP_CHECK] = MICROLIFE_READ_CLOCK,
	};
	uint8_t command[MICROLIFE_COMMAND_SIZE];
	struct state *s = drv_state(ctx);

	if (s->step != step)
		s->attempts = 0;
	s->step = step;
	s->attempts++;
	microlife_command(commands[step], command);
	return say_bytes(ctx, command, sizeof(command));
}

static int hang_up(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->step = STEP_OVER;
	drv_done(ctx);
	return drv_set_timeout(ctx, 0);
}

/* r: what was wrong with the answer; 0: there was none. */
static int once_more(struct drv_ctx *ctx, int r)
{
	struct state *s = drv_state(ctx);
	int asked;

	if (s->attempts < ATTEMPTS_MAX && s->step != STEP_SET)
		asked = ask(ctx, s->step);
	else
		asked = hang_up(ctx);
	if (asked < 0)
		return asked;
	return r == 0 && s->step == STEP_OVER && s->known ? -ETIMEDOUT : r;
}

/* ---- setting its clock ---- */

static struct gatt_date_time date_of(const struct microlife_time *t)
{
	return (struct gatt_date_time){ .year = t->year,
					.month = t->month,
					.day = t->day,
					.hour = t->hour,
					.minute = t->minute,
					.second = t->second };
}

static bool is_off(const struct gatt_date_time *a, const struct gatt_date_time *b)
{
	const int64_t apart = sig_seconds(a) - sig_seconds(b);

	return apart > CLOCK_OFF_S || apart < -CLOCK_OFF_S;
}

/* May it be set, and is there a reason? */
static bool wants_setting(const struct drv_ctx *ctx, const struct microlife_time *now)
{
	const struct gatt_date_time its = date_of(now);
	struct gatt_date_time ours;

	return (drv_quirks(ctx) & QUIRK_SET_CLOCK) && sig_local_time(ctx, &ours) &&
	       (!sig_is_whole(&its) || is_off(&its, &ours));
}

static int send_setting(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[MICROLIFE_SETTING_SIZE];
	struct writer w = writer_of(data, sizeof(data));
	struct gatt_date_time now;
	struct microlife_time t;

	if (!sig_local_time(ctx, &now))
		return hang_up(ctx);
	t = (struct microlife_time){ .year = now.year,
				     .month = now.month,
				     .day = now.day,
				     .hour = now.hour,
				     .minute = now.minute,
				     .second = now.second };
	if (microlife_setting(&t, s->clock, s->clock_len, &w) < 0)
		return hang_up(ctx);
	s->step = STEP_SETTING;
	return say_bytes(ctx, data, w.len);
}

static int on_acknowledged(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	if (s->len == 1 && s->answer[0] == MICROLIFE_ACK)
		return send_setting(ctx);
	return once_more(ctx, -EBADMSG);
}

/* everything was read: is something left to be done? */
static int finish(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->clock_len == 0)
		return hang_up(ctx);
	s->step = STEP_COMMIT;
	return s->waits ? drv_set_timeout(ctx, 0) : ask(ctx, STEP_SET);
}

/* ---- answers ---- */

static int tell_clock(struct drv_ctx *ctx, const struct microlife_time *now)
{
	const struct gatt_date_time date = date_of(now);

	return sig_tell_clock(ctx, &date, 0);
}

static int on_clock(struct drv_ctx *ctx, const uint8_t *text, size_t len)
{
	struct state *s = drv_state(ctx);
	struct microlife_time now;
	int r = microlife_clock(text, len, &now);

	if (r >= 0)
		r = tell_clock(ctx, &now);
	if (r < 0)
		return r;
	s->known = true;
	s->clock_len = 0;
	if (len == MICROLIFE_SETTING_SIZE - 2 && wants_setting(ctx, &now)) {
		s->clock_len = len;
		memcpy(s->clock, text, len);
	}
	return ask(ctx, STEP_MEMORY);
}

/* It was set. If it did not take that, nothing more is tried. */
static int on_check(struct drv_ctx *ctx, const uint8_t *text, size_t len)
{
	struct gatt_date_time ours, its;
	struct microlife_time now;
	int r = microlife_clock(text, len, &now);

	if (r < 0)
		return r;
	r = hang_up(ctx);
	its = date_of(&now);
	if (r < 0 || !sig_local_time(ctx, &ours))
		return r;
	return sig_is_whole(&its) && !is_off(&its, &ours) ? 0 : -EBADMSG;
}

static bool is_same(const struct microlife_reading *a, const struct microlife_reading *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day &&
	       a->hour == b->hour && a->minute == b->minute && a->systolic == b->systolic &&
	       a->diastolic == b->diastolic && a->pulse == b->pulse;
}

static unsigned int repeats(const uint8_t *text, size_t i, const struct microlife_reading *x)
{
	struct microlife_reading other;
	unsigned int n = 0;

	for (size_t k = 0; k < i; k++)
		n += microlife_record(text, k, &other) == 0 && is_same(&other, x);
	return n;
}

static int say(struct drv_ctx *ctx, const uint8_t *text, size_t i)
{
	struct state *s = drv_state(ctx);
	struct microlife_reading m;
	struct cuff_reading x;

	if (microlife_record(text, i, &m) < 0) {
		s->faulty = true;
		return 0;
	}
	x = cuff_of_microlife(&m);
	x.repeat = repeats(text, i, &m);
	s->waits = true;
	return cuff_emit(ctx, &x);
}

static int on_memory(struct drv_ctx *ctx, const uint8_t *text, size_t len)
{
	struct state *s = drv_state(ctx);
	size_t count;
	int r = microlife_memory(text, len, &count);

	for (size_t i = 0; r >= 0 && i < count; i++)
		r = say(ctx, text, i);
	if (r < 0)
		return r;
	if (!s->faulty)
		return finish(ctx);
	s->clock_len = 0; /* something is still in there: its clock must stay as it is */
	s->step = STEP_FAULTS;
	return drv_set_timeout(ctx, SOON_MS); /* an error now would take the good ones along */
}

static int on_answer(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const uint8_t *text;
	size_t len;
	int r = microlife_answer(s->answer, s->len, &text, &len);

	if (r >= 0 && s->step == STEP_CLOCK)
		r = on_clock(ctx, text, len);
	else if (r >= 0 && s->step == STEP_MEMORY)
		r = on_memory(ctx, text, len);
	else if (r >= 0)
		r = on_check(ctx, text, len);
	return r < 0 && s->step != STEP_OVER ? once_more(ctx, r) : r;
}

/* ---- events ---- */

static int on_open(struct drv_ctx *ctx)
{
	return ask(ctx, STEP_CLOCK);
}

/* More than any cuff says, or for longer. */
static int on_babble(struct drv_ctx *ctx)
{
	const int r = hang_up(ctx);

	return r < 0 ? r : -EMSGSIZE;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);

	if (frame->channel != DRV_WIRE_BYTES || s->step == STEP_OVER || s->step == STEP_COMMIT ||
	    s->step == STEP_FAULTS)
		return -ENOMSG;
	if (frame->len == 0)
		return -EMSGSIZE;
	if (s->len == 0 && frame->data[0] != MICROLIFE_ACK && s->step != STEP_SETTING)
		return -ENOMSG; /* no cuff, or what is left of something older */
	if (frame->len > sizeof(s->answer) - s->len || drv_now(ctx) - s->asked_at > WHOLE_US)
		return on_babble(ctx);
	memcpy(s->answer + s->len, frame->data, frame->len);
	s->len += frame->len;
	return drv_set_timeout(ctx, SILENCE_MS);
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->waits = false;
	return s->step == STEP_COMMIT ? ask(ctx, STEP_SET) : 0;
}

/* Silence: an answer is whole, or there is none. */
static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	switch (s->step) {
	case STEP_CLOCK:
	case STEP_MEMORY:
	case STEP_CHECK:
		return s->len > 0 ? on_answer(ctx) : once_more(ctx, 0);
	case STEP_SET:
		return s->len > 0 ? on_acknowledged(ctx) : once_more(ctx, 0);
	case STEP_SETTING: /* whatever it says to that: what counts is its clock */
		return ask(ctx, STEP_CHECK);
	case STEP_FAULTS:
		r = finish(ctx);
		return r < 0 ? r : -ERANGE;
	case STEP_COMMIT:
	case STEP_OVER:
		break;
	}
	return 0;
}

const struct driver driver_microlife = {
	.name = "microlife",
	.label = "Microlife BP3GX1-5X, BP A200 PC (USB)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.baud = 4800,
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
};
