/*
 * Physical Activity Monitor Service 0x183E: the three summaries.
 *
 *   monitor --indicates 2B40--> header | flags u8 | session u16 | sub-session u16 | time u32 |
 *                               sequence u32 | [steps u24] | [intensity steps u24] | ...
 *   monitor --indicates 2B3D--> the same with flags u32: general activity (here: distance)
 *   monitor --indicates 2B42--> the same with flags u24: sleep (here: time asleep)
 *   we      --confirm, once the reading is durable-->
 *
 * No consumer device with this service has been seen. Whether a summary starts again with each
 * indication or grows within a session is not verified, and a growing count that is added up counts
 * twice; so every reading is flagged questionable, which keeps it out of goals. Fields whose unit
 * is not verified are left out.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/activity.h"

#define GENERAL 0x2b3d
#define STEPS   0x2b40
#define SLEEP   0x2b42

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x183e, .rank = 20 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	{ .id = STEPS, .mode = DRV_INDICATE, .optional = true },
	{ .id = GENERAL, .mode = DRV_INDICATE, .optional = true },
	{ .id = SLEEP, .mode = DRV_INDICATE, .optional = true },
	{ 0 },
};

static struct measurement begin(enum metric metric, const struct gatt_activity_session *session)
{
	return (struct measurement){
		.metric = metric,
		.time = { .kind = DEVICE_TIME_TICKS, .ticks = session->time, .tick_us = 1000000 },
		.has_record_number = true,
		.record_number = session->sequence,
		.flags = FLAG_BIT(FLAG_QUESTIONABLE),
	};
}

/* A summary without the one field that is understood says so. */
static struct number field(uint32_t flags, unsigned int bit, const uint32_t *raw)
{
	if (!(flags & (UINT32_C(1) << bit)))
		return number_absent(ABSENT_UNKNOWN);
	return number_of(raw[bit], 0);
}

static int on_steps(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_steps x;
	struct measurement m;
	int r = gatt_steps_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	m = begin(METRIC_STEPS, &x.session);
	measurement_add(&m, METRIC_STEPS, UNIT_STEPS, gatt_steps_total(&x));
	if (x.flags & (1U << GATT_STEPS_DISTANCE))
		measurement_add(&m, METRIC_DISTANCE, UNIT_M,
				field(x.flags, GATT_STEPS_DISTANCE, x.raw));
	return drv_emit(ctx, &m);
}

static int on_general(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_activity x;
	struct measurement m;
	int r = gatt_activity_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	m = begin(METRIC_DISTANCE, &x.session);
	measurement_add(&m, METRIC_DISTANCE, UNIT_M, field(x.flags, GATT_ACTIVITY_DISTANCE, x.raw));
	return drv_emit(ctx, &m);
}

static int on_sleep(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_sleep x;
	struct measurement m;
	int r = gatt_sleep_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	m = begin(METRIC_SLEEP_DURATION, &x.session);
	measurement_add(&m, METRIC_SLEEP_DURATION, UNIT_S,
			field(x.flags, GATT_SLEEP_ASLEEP, x.raw));
	return drv_emit(ctx, &m);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	switch (frame->channel) {
	case STEPS:
		return on_steps(ctx, frame);
	case GENERAL:
		return on_general(ctx, frame);
	case SLEEP:
		return on_sleep(ctx, frame);
	default:
		return sig_frame(ctx, frame);
	}
}

const struct driver driver_activity_monitor = {
	.name = "activity_monitor",
	.label = "Activity monitors with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.frame = on_frame,
};
