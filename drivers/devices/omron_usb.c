/*
 * Omron cuffs on USB, 0590:0090: HEM-7322U (M500 IT, M6 Comfort IT) and HEM-7131U (M400 IT, M3 IT).
 *
 *   report of 64 bytes, each way: 02 | frame of protocols/omron/frame.h | padding
 *   we   --08 0000 0000 10 00 18-->   begin; no answer until somebody presses START/STOP
 *   cuff --8000-->
 *   we   --08 0100 ADDR nn 00 xx-->   the clock, then all records; cuff --8100-->
 *   we   --08 0f00 0000 00 00 07-->   end, once all of it is durable; cuff --8f00-->
 *
 * Nothing is written to these cuffs: what a write does over USB nobody has described. The first
 * frames out of either model are the same, and neither says which it is; only the product name, if
 * it is in it. Without, the slots that belong to user 1 of the one and user 2 of the other are said
 * to be of a user that is not known: the cuff of two people must not mix them up.
 *
 * The sixteen bytes with which it answers `begin` are the same (all ff) in such cuffs without
 * Bluetooth, so they are no serial number.
 *
 * Source: an open program that reads both, another that reads the Bluetooth sister of the first
 * over the same frames, and its description of the hardware. By no frame of these two models.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/omron.h"

#define REPORT_NUMBER 0x02
#define REPORT_SIZE   64
#define ANSWER_MS     2000
#define PATIENCE      60 /* two minutes */

#define QUIRK_7322U 0x01
#define QUIRK_7131U 0x02

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_HID,
	  .vid = 0x0590,
	  .pid = 0x0090,
	  .name_prefix = "HEM-7322U",
	  .quirks = QUIRK_7322U },
	{ .bus = DRV_BUS_HID,
	  .vid = 0x0590,
	  .pid = 0x0090,
	  .name_prefix = "HEM-7131U",
	  .quirks = QUIRK_7131U },
	{ .bus = DRV_BUS_HID, .vid = 0x0590, .pid = 0x0090 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_REPORT, .mode = DRV_NOTIFY },
	{ 0 },
};

static const char *model_of(uint32_t quirks)
{
	if (quirks & QUIRK_7322U)
		return "HEM-7322U";
	if (quirks & QUIRK_7131U)
		return "HEM-7131U";
	return "HEM-7322U or HEM-7131U";
}

static int send(struct drv_ctx *ctx, const uint8_t *frame, size_t len)
{
	uint8_t report[REPORT_SIZE] = { REPORT_NUMBER };

	if (len > sizeof(report) - 1)
		return -EMSGSIZE;
	memcpy(report + 1, frame, len);
	return drv_write(ctx, DRV_WIRE_REPORT, report, sizeof(report));
}

static int on_open(struct drv_ctx *ctx)
{
	const char *model = model_of(drv_quirks(ctx));
	struct omron_reader *r = drv_state(ctx);
	int e = drv_fact(ctx, DRV_MAKE, "Omron", strlen("Omron"));

	if (e == 0)
		e = drv_fact(ctx, DRV_MODEL, model, strlen(model));
	if (e < 0)
		return e;
	r->send = send;
	r->answer_ms = ANSWER_MS;
	drv_news(ctx, DRV_NEWS_PRESS_BUTTON);
	return omron_reader_begin(ctx, r, omron_profile_by_model(model), 0, PATIENCE);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	size_t len;

	if (frame->channel != DRV_WIRE_REPORT || frame->len < 1 || frame->data[0] != REPORT_NUMBER)
		return -ENOMSG;
	drv_news_over(ctx, DRV_NEWS_PRESS_BUTTON); /* without that it says nothing */
	/* a report that is cut short is spoiled, even if only its padding is missing */
	len = frame->len == REPORT_SIZE ? frame->data[1] : 0;
	if (len > REPORT_SIZE - 1)
		len = 0;
	return omron_reader_frame(ctx, drv_state(ctx), frame->data + 1, len);
}

static int on_committed(struct drv_ctx *ctx)
{
	return omron_reader_committed(ctx, drv_state(ctx));
}

static int on_timeout(struct drv_ctx *ctx)
{
	return omron_reader_timeout(ctx, drv_state(ctx));
}

const struct driver driver_omron_usb = {
	.name = "omron_usb",
	.label = "Omron on USB: M500 IT, M6 Comfort IT (HEM-7322U), M400 IT, M3 IT (HEM-7131U)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct omron_reader),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
};
