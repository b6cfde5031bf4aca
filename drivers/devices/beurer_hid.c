/*
 * Cuffs of Beurer and Sanitas that are HID devices with reports of 8 bytes (BM55, newer BM58).
 *
 *   we --aa f4 f4 f4 f4 f4 f4 f4-->  cuff --55 f4 f4 f4 f4 f4 f4 f4-->
 *      (200 ms of silence)
 *   we --a4--> --a5--> --a6--> --a7-->  8 characters each: what it is
 *   we --a2-->                       03 f4 ...                three records, of both users
 *   we --a3 01-->                    6d 3c 42 05 0c 07 1f 1a  134/85, 66, 2026-05-12 07:31, user 1
 *   we --a3 02-->                    6d 3c 42 85 8c 07 1f 9a  the same of user 2, who moved, with
 *                                                             an irregular heartbeat
 *   the same from a2 on, again
 *   we --f7-->, 50 ms, we --f6-->    the end
 *
 * 0c45:7406 is a number of the maker of the chip: what does not answer aa with 55 and then says in
 * letters what it is, is left alone. The records of user 1 come first, the newest in front. Answers
 * bear no number, so the memory is read twice and what comes late is never taken for the next
 * answer; that, and what identifies a record, stands in protocols/beurer/dialogue.h. Nothing is
 * ever erased or set.
 *
 * Time: the cuff's own, to the minute; its clock can be neither read nor set. The cuff says no
 * serial number here; that of its USB descriptor, if it has one, is the transport's to know.
 *
 * Source: protocols/beurer/cuff.h. Not tried on hardware.
 */
#include <errno.h>

#include "drivers/cuff.h"
#include "protocols/beurer/dialogue.h"

struct state {
	struct beurer_dialogue dialogue;
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_HID, .vid = 0x0c45, .pid = 0x7406 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_REPORT, .mode = DRV_NOTIFY },
	{ 0 },
};

static int on_open(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct beurer_move m;

	beurer_dialogue_begin(&s->dialogue, true, &m);
	return cuff_beurer_move(ctx, &s->dialogue, &m, 0);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct beurer_move m;
	int r;

	if (frame->channel != DRV_WIRE_REPORT)
		return -ENOMSG;
	r = beurer_dialogue_answer(&s->dialogue, frame->data, frame->len, &m);
	return cuff_beurer_move(ctx, &s->dialogue, &m, r);
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct beurer_move m;
	int r = beurer_dialogue_timeout(&s->dialogue, &m);

	return cuff_beurer_move(ctx, &s->dialogue, &m, r);
}

const struct driver driver_beurer_hid = {
	.name = "beurer_hid",
	.label = "Beurer BM55, BM58 (HID)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.timeout = on_timeout,
};
