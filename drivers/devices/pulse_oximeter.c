/*
 * Pulse Oximeter Service 0x1822.
 *
 *   oximeter --indicates 2A5E--> flags | SpO2 SFLOAT | pulse SFLOAT | [time 7] | [measurement
 *                                status u16] | [device status u24] | [pulse amplitude SFLOAT]
 *            01 6100 4800 ea07050c123536      97 %, 72 /min, 2026-05-12 18:53:54
 *   we       --confirm, once the reading is durable-->
 *   oximeter --notifies 2A5F --> flags | SpO2 | pulse | [fast pair] | [slow pair] | [...]
 *
 * Demonstration, test, invalid and unavailable values never become readings. The fast and slow
 * pairs of 2A5F are the same quantity over other windows; they are checked and left out, because
 * two values of one metric in one reading would contradict each other.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/plx.h"

#define SPOT_CHECK 0x2a5e
#define CONTINUOUS 0x2a5f
#define FEATURES   0x2a60

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1822, .rank = 70 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(FEATURES),
	{ .id = SPOT_CHECK, .mode = DRV_INDICATE, .optional = true },
	{ .id = CONTINUOUS, .mode = DRV_NOTIFY, .optional = true },
	{ 0 },
};

static const struct sig_bit measurement_bits[] = {
	{ GATT_PLX_ONGOING, FLAG_BIT(FLAG_ONGOING) },
	{ GATT_PLX_EARLY_ESTIMATE, FLAG_BIT(FLAG_EARLY_ESTIMATE) },
	{ GATT_PLX_FROM_STORAGE, FLAG_BIT(FLAG_BACKFILL) },
	{ GATT_PLX_DEMONSTRATION, FLAG_BIT(FLAG_TEST) },
	{ GATT_PLX_TEST, FLAG_BIT(FLAG_TEST) },
	{ GATT_PLX_CALIBRATING, FLAG_BIT(FLAG_CALIBRATING) },
	{ GATT_PLX_UNAVAILABLE, FLAG_BIT(FLAG_UNAVAILABLE) },
	{ GATT_PLX_QUESTIONABLE, FLAG_BIT(FLAG_QUESTIONABLE) },
	{ GATT_PLX_INVALID, FLAG_BIT(FLAG_INVALID) },
	{ 0 },
};

static const struct sig_bit device_bits[] = {
	{ GATT_PLX_EQUIPMENT_MALFUNCTION, FLAG_BIT(FLAG_DEVICE_FAULT) | FLAG_BIT(FLAG_INVALID) },
	{ GATT_PLX_SIGNAL_IRREGULAR | GATT_PLX_SIGNAL_INADEQUATE | GATT_PLX_SIGNAL_POOR |
		  GATT_PLX_PERFUSION_LOW | GATT_PLX_SIGNAL_ERRATIC | GATT_PLX_NOT_PULSATILE |
		  GATT_PLX_PULSE_QUESTIONABLE | GATT_PLX_SENSOR_INTERFERENCE |
		  GATT_PLX_SENSOR_DISPLACED,
	  FLAG_BIT(FLAG_QUESTIONABLE) },
	{ GATT_PLX_SENSOR_NOT_ON_USER | GATT_PLX_SENSOR_DISCONNECTED, FLAG_BIT(FLAG_NO_CONTACT) },
	{ GATT_PLX_SENSOR_UNKNOWN, FLAG_BIT(FLAG_SENSOR_FAULT) | FLAG_BIT(FLAG_QUESTIONABLE) },
	{ GATT_PLX_SENSOR_MALFUNCTION, FLAG_BIT(FLAG_SENSOR_FAULT) | FLAG_BIT(FLAG_INVALID) },
	{ 0 },
};

static void add_pair(struct measurement *m, const struct gatt_plx_pair *pair)
{
	measurement_add(m, METRIC_SPO2, UNIT_PERCENT, pair->spo2);
	measurement_add(m, METRIC_PULSE_OXIMETER, UNIT_PER_MIN, pair->pulse);
	if (sig_says_nothing(m))
		m->flags |= FLAG_BIT(FLAG_ERROR);
}

static int on_spot_check(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_SPO2 };
	struct gatt_plx_spot x;
	int r = gatt_plx_spot_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	add_pair(&m, &x.pair);
	if (x.has_time)
		sig_set_time(&m, &x.time);
	if (x.clock_not_set)
		m.flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
	if (x.has_amplitude)
		measurement_add(&m, METRIC_PULSE_AMPLITUDE_INDEX, UNIT_PERCENT, x.amplitude);
	m.flags |= sig_flags(x.measurement_status, measurement_bits);
	m.flags |= sig_flags(x.device_status, device_bits);
	if (m.flags & FLAG_BIT(FLAG_ONGOING)) /* a spot check that is not over */
		m.flags |= FLAG_BIT(FLAG_INTERMEDIATE);
	return drv_emit(ctx, &m);
}

static int on_continuous(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_SPO2 };
	struct gatt_plx_continuous x;
	int r = gatt_plx_continuous_decode(frame->data, frame->len, &x);

	if (r < 0)
		return r;
	add_pair(&m, &x.normal);
	if (x.has_amplitude)
		measurement_add(&m, METRIC_PULSE_AMPLITUDE_INDEX, UNIT_PERCENT, x.amplitude);
	m.flags |= sig_flags(x.measurement_status, measurement_bits);
	m.flags |= sig_flags(x.device_status, device_bits);
	return drv_emit(ctx, &m);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_plx_features features;

	switch (frame->channel) {
	case SPOT_CHECK:
		return on_spot_check(ctx, frame);
	case CONTINUOUS:
		return on_continuous(ctx, frame);
	case FEATURES: /* checked, and nothing follows from it */
		return gatt_plx_features_decode(frame->data, frame->len, &features);
	default:
		return sig_frame(ctx, frame);
	}
}

const struct driver driver_pulse_oximeter = {
	.name = "pulse_oximeter",
	.label = "Pulse oximeters with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.frame = on_frame,
};
