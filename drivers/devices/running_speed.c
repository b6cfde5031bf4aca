/*
 * Running Speed and Cadence Service 0x1814.
 *
 *   pod --notifies 2A53--> flags | speed u16 1/256 m/s | cadence u8 | [stride u16 cm] |
 *                          [distance u32 dm]
 *            05 8001 a0 4b00      1.5 m/s running, 160 /min, stride 0.75 m
 *
 * No time stamp, no acknowledgement. The distance counts from the pod's own zero: as a reading it
 * would be added up with each second, so it is checked and left out.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/rsc.h"

#define MEASUREMENT 0x2a53
#define FEATURE     0x2a54

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1814, .rank = 10 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(FEATURE),
	{ .id = MEASUREMENT, .mode = DRV_NOTIFY },
	{ 0 },
};

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_SPEED };
	struct gatt_rsc x;
	int r = gatt_rsc_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	m.context = x.running ? "running" : "walking";
	measurement_add(&m, METRIC_SPEED, UNIT_M_PER_S, x.speed);
	measurement_add(&m, METRIC_CADENCE, UNIT_PER_MIN, x.cadence);
	if (x.has_stride)
		measurement_add(&m, METRIC_STRIDE_LENGTH, UNIT_M, x.stride);
	return drv_emit(ctx, &m);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	uint16_t feature;

	switch (frame->channel) {
	case MEASUREMENT:
		return on_measurement(ctx, frame);
	case FEATURE: /* checked, and nothing follows from it */
		return gatt_rsc_feature_decode(frame->data, frame->len, &feature);
	default:
		return sig_frame(ctx, frame);
	}
}

const struct driver driver_running_speed = {
	.name = "running_speed",
	.label = "Running and walking pods with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.frame = on_frame,
};
