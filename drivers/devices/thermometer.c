/*
 * Health Thermometer Service 0x1809.
 *
 *   thermometer --indicates 2A1C--> flags | FLOAT 32 | [time 7] | [type of the body site]
 *            06 6e0100ff ea07050c123536 06      36.6 Cel, 2026-05-12 18:53:54, mouth
 *   we          --confirm, once the reading is durable-->
 *   thermometer --notifies 2A1E --> the same layout while it measures
 *
 * A clock that is off is set when the stored readings have come (sig.h).
 *
 * A thermometer with one place to measure states it once, in 2A1D, instead of in each frame.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/temperature.h"

#define MEASUREMENT  0x2a1c
#define TYPE         0x2a1d
#define INTERMEDIATE 0x2a1e

struct state {
	struct sig_clock clock;
	const char *site; /* a constant, or NULL */
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1809, .rank = 50 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(TYPE),
	{ .id = MEASUREMENT, .mode = DRV_INDICATE },
	{ .id = INTERMEDIATE, .mode = DRV_NOTIFY, .optional = true },
	{ 0 },
};

static int on_type(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	enum gatt_temperature_type type;
	int r = gatt_temperature_type_decode(frame->data, frame->len, &type);

	if (r < 0)
		return r;
	s->site = gatt_temperature_type_name(type);
	return 0;
}

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct measurement m = { .metric = METRIC_TEMPERATURE, .context = s->site };
	struct gatt_temperature t;
	int r = gatt_temperature_decode(frame->data, frame->len, &t);

	if (r < 0)
		return r;
	measurement_add(&m, METRIC_TEMPERATURE, t.fahrenheit ? UNIT_FAHRENHEIT : UNIT_CELSIUS,
			t.value);
	if (t.has_time)
		sig_set_time(&m, &t.time);
	if (t.has_type)
		m.context = gatt_temperature_type_name(t.type);
	if (frame->channel == INTERMEDIATE)
		m.flags |= FLAG_BIT(FLAG_INTERMEDIATE);
	else if (t.value.absent != ABSENT_NO)
		m.flags |= FLAG_BIT(FLAG_ERROR);
	return sig_clock_emit(ctx, &s->clock, &m);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);

	switch (frame->channel) {
	case MEASUREMENT:
	case INTERMEDIATE:
		return on_measurement(ctx, frame);
	case TYPE:
		return on_type(ctx, frame);
	default:
		return sig_clock_frame(ctx, &s->clock, frame);
	}
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	return sig_clock_committed(ctx, &s->clock);
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	return sig_clock_timeout(ctx, &s->clock);
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	const struct state *s = drv_state(ctx);

	(void)error;
	return sig_clock_refused(ctx, &s->clock, channel);
}

const struct driver driver_thermometer = {
	.name = "thermometer",
	.label = "Thermometers with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
