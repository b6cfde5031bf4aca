/*
 * Microlife cuffs with Bluetooth Low Energy (BP3GY1-2N).
 *
 *   we --FFF2: 4d ff 00 02 05 53-->          cuff --FFF1--> 4d 3a .. user ..   who is chosen on it
 *   we --FFF2: 4d ff 00 09 00 ... fd 52-->   cuff --FFF1--> 4d 3a .. the memory .., in pieces
 *   we hang up, once all of it is durable
 *
 * The memory is that of the user who is chosen on the cuff. Nothing in it is marked or erased by
 * reading it, as far as is known, and nothing else is sent: not 06, which sets a user's name, not
 * 0d, which sets the clock (it cannot be read, so what is stored under it could not be corrected),
 * and not 04, with which the known tool takes its leave. The names are not looked at.
 *
 * What identifies a record: user, minute and values; of equal ones, the ones before it are counted
 * (cuff.h). A record that cannot be is counted as a fault and left out. An answer that is spoiled,
 * or does not come, ends the link, and all is asked for on the next one: the answers do not say
 * which question they belong to.
 *
 * FFF0 is the service of very many things, so the name has to be that of the cuff, too.
 *
 * Source: protocols/microlife/frame.h. Inferred: that the user who is asked for first is the one
 * whose memory comes. Not tried on hardware.
 */
#include <errno.h>
#include <string.h>

#include "drivers/cuff.h"
#include "drivers/sig.h"
#include "protocols/microlife/frame.h"

#define SERVICE 0xfff0
#define ANSWERS 0xfff1
#define ORDERS  0xfff2

#define ANSWER_MS 10000
#define SOON_MS   1

enum step {
	STEP_USER = 0,
	STEP_MEMORY,
	STEP_FAULTS,
	STEP_OVER,
};

struct state {
	enum step step;
	uint8_t user; /* 0: not known */
	size_t len, size;
	uint8_t frame[MICROLIFE_FRAME_MAX];
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = SERVICE, .name_prefix = "BP3GY1-2N", .rank = 75 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_READ(SIG_MAKER),
	SIG_READ(SIG_MODEL),
	SIG_READ(SIG_SERIAL),
	SIG_READ(SIG_FIRMWARE),
	SIG_READ(SIG_HARDWARE),
	{ .id = ORDERS, .mode = DRV_WRITE },
	{ .id = ANSWERS, .mode = DRV_NOTIFY },
	{ 0 },
};

static int ask(struct drv_ctx *ctx, enum microlife_question question)
{
	uint8_t data[MICROLIFE_QUESTION_MAX];
	struct writer w = writer_of(data, sizeof(data));
	struct state *s = drv_state(ctx);
	int r = microlife_question_encode(question, &w);

	s->len = 0;
	if (r >= 0)
		r = drv_write(ctx, ORDERS, data, w.len);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_MS);
}

/* r: why; returned, unless there is something worse */
static int hang_up(struct drv_ctx *ctx, int r)
{
	struct state *s = drv_state(ctx);
	int stopped;

	s->step = STEP_OVER;
	drv_done(ctx);
	stopped = drv_set_timeout(ctx, 0);
	return stopped < 0 ? stopped : r;
}

static int on_open(struct drv_ctx *ctx)
{
	return ask(ctx, MICROLIFE_ASK_USER);
}

/* ---- the memory ---- */

static bool is_same(const struct microlife_reading *a, const struct microlife_reading *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day &&
	       a->hour == b->hour && a->minute == b->minute && a->systolic == b->systolic &&
	       a->diastolic == b->diastolic && a->pulse == b->pulse;
}

static unsigned int repeats(const uint8_t *memory, size_t i, const struct microlife_reading *x)
{
	struct microlife_reading other;
	unsigned int n = 0, flags;

	for (size_t k = 0; k < i; k++)
		n += microlife_frame_record(memory, k, &other, &flags) == 0 && is_same(&other, x);
	return n;
}

static int say(struct drv_ctx *ctx, const uint8_t *memory, size_t i, bool *ret_faulty)
{
	const struct state *s = drv_state(ctx);
	struct microlife_reading m;
	struct cuff_reading x;
	unsigned int flags;

	if (microlife_frame_record(memory, i, &m, &flags) < 0) {
		*ret_faulty = true;
		return 0;
	}
	x = cuff_of_microlife(&m);
	x.user = s->user;
	x.repeat = repeats(memory, i, &m);
	if (flags & MICROLIFE_FRAME_LOOSE)
		x.flags |= FLAG_BIT(FLAG_CUFF_FIT);
	if (flags & MICROLIFE_FRAME_IRREGULAR)
		x.flags |= FLAG_BIT(FLAG_IRREGULAR_PULSE);
	return cuff_emit(ctx, &x);
}

static int on_memory(struct drv_ctx *ctx, const uint8_t *payload, size_t len)
{
	struct state *s = drv_state(ctx);
	bool faulty = false;
	size_t count;
	int r = microlife_frame_memory(payload, len, &count);

	for (size_t i = 0; r >= 0 && i < count; i++)
		r = say(ctx, payload, i, &faulty);
	if (r < 0 || !faulty)
		return hang_up(ctx, r);
	s->step = STEP_FAULTS;
	return drv_set_timeout(ctx, SOON_MS); /* an error now would take the good ones along */
}

/* ---- frames ---- */

static int on_user(struct drv_ctx *ctx, const uint8_t *payload, size_t len)
{
	struct state *s = drv_state(ctx);
	int r = microlife_frame_user(payload, len, &s->user);

	if (r < 0)
		return hang_up(ctx, r);
	s->step = STEP_MEMORY;
	return ask(ctx, MICROLIFE_ASK_MEMORY);
}

static int on_whole(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	const uint8_t *payload;
	size_t len;
	int r = microlife_frame_decode(s->frame, s->len, &payload, &len);

	if (r < 0)
		return hang_up(ctx, r);
	return s->step == STEP_USER ? on_user(ctx, payload, len) : on_memory(ctx, payload, len);
}

static int on_piece(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	int r;

	if (s->step != STEP_USER && s->step != STEP_MEMORY)
		return -ENOMSG;
	if (frame->len == 0 || frame->len > sizeof(s->frame) - s->len)
		return hang_up(ctx, -EMSGSIZE);
	memcpy(s->frame + s->len, frame->data, frame->len);
	s->len += frame->len;
	r = microlife_frame_length(s->frame, s->len, &s->size);
	if (r == -EAGAIN)
		return drv_set_timeout(ctx, ANSWER_MS);
	if (r < 0 || s->len > s->size)
		return hang_up(ctx, r < 0 ? r : -EMSGSIZE);
	return s->len == s->size ? on_whole(ctx) : drv_set_timeout(ctx, ANSWER_MS);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	return frame->channel == ANSWERS ? on_piece(ctx, frame) : sig_frame(ctx, frame);
}

static int on_timeout(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	switch (s->step) {
	case STEP_USER:
	case STEP_MEMORY:
		return -ETIMEDOUT;
	case STEP_FAULTS:
		return hang_up(ctx, -ERANGE);
	case STEP_OVER:
		break;
	}
	return 0;
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	(void)error;
	return channel == ORDERS ? hang_up(ctx, 0) : 0;
}

const struct driver driver_microlife_bt = {
	.name = "microlife_bt",
	.label = "Microlife BP3GY1-2N (Bluetooth)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.timeout = on_timeout,
	.refused = on_refused,
};
