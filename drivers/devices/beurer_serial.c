/*
 * Cuffs of Beurer and Sanitas behind a PL2303 serial adapter (BM65, BC58, older BM58), 4800 8N1.
 *
 *   we --aa-->                       cuff --55-->
 *      (200 ms of silence)
 *   we --a4-->                       "Andon Blood Pressure Meter KD001"
 *   we --a2-->                       03                             three records
 *   we --a3 01-->                    ac 6d 3c 42 05 0c 07 1f 1a     134/85, 66, 2026-05-12 07:31
 *   we --a3 02-->                    ...
 *   the same from a2 on, again
 *
 * 067b:2303 is the number of an adapter that is in many things, so what is behind it is asked: five
 * times aa, one second apart, since a cuff that has just been plugged in takes its time. Whatever
 * does not answer 55 and then says that it is such a meter is left alone, with no further byte.
 *
 * The line has no checksum and the answers no number, so the memory is read twice and only that is
 * taken in which both agree (protocols/beurer/dialogue.h, which also says what identifies a
 * record). Nothing is ever erased or set: no command for that is known, and none is tried.
 *
 * Time: the cuff's own, to the minute, as it was set; its clock can be neither read nor set, so
 * nothing corrects it. User: these cuffs have memories for two, but say only the one that is chosen
 * on them, and not which: so the readings bear no slot. The adapter has no serial number and the
 * cuff says none: two of them at one hub are one device to it.
 *
 * Source: protocols/beurer/cuff.h. Not tried on hardware.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/cuff.h"
#include "protocols/beurer/dialogue.h"

struct state {
	struct beurer_dialogue dialogue;
	size_t len; /* of an answer that is not whole */
	uint8_t answer[BEURER_IDENTITY_SIZE];
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_SERIAL, .vid = 0x067b, .pid = 0x2303 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_BYTES, .mode = DRV_NOTIFY },
	{ 0 },
};

static int on_open(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct beurer_move m;

	beurer_dialogue_begin(&s->dialogue, false, &m);
	return cuff_beurer_move(ctx, &s->dialogue, &m, 0);
}

/* Adds a byte; true: the answer is whole. */
static bool add(struct state *s, uint8_t byte)
{
	assert(s->len < sizeof(s->answer));
	s->answer[s->len++] = byte;
	return s->len >= beurer_dialogue_awaits(&s->dialogue, s->answer[0]);
}

static int on_answer(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const size_t len = s->len;
	struct beurer_move m;
	int r;

	s->len = 0;
	r = beurer_dialogue_answer(&s->dialogue, s->answer, len, &m);
	return cuff_beurer_move(ctx, &s->dialogue, &m, r);
}

/* Bytes behind a whole answer: nobody has asked for them yet. */
static int on_surplus(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct beurer_move m;
	int r = beurer_dialogue_disorder(&s->dialogue, &m);

	s->len = 0;
	return cuff_beurer_move(ctx, &s->dialogue, &m, r);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	int r;

	if (frame->channel != DRV_WIRE_BYTES)
		return -ENOMSG;
	if (frame->len == 0)
		return -EMSGSIZE;
	for (size_t i = 0; i < frame->len; i++) {
		if (!add(s, frame->data[i]))
			continue;
		r = on_answer(ctx);
		return r >= 0 && i + 1 < frame->len ? on_surplus(ctx) : r;
	}
	return 0;
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct beurer_move m;
	int r = beurer_dialogue_timeout(&s->dialogue, &m);

	s->len = 0;
	return cuff_beurer_move(ctx, &s->dialogue, &m, r);
}

const struct driver driver_beurer_serial = {
	.name = "beurer_serial",
	.label = "Beurer BM65, BC58, BM58 (with serial adapter)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.baud = 4800,
	.open = on_open,
	.frame = on_frame,
	.timeout = on_timeout,
};
