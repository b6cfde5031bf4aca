/*
 * Blood Pressure Service 0x1810, with the enhanced measurement of version 1.1.1.
 *
 *   cuff --indicates 2A35--> flags | systolic, diastolic, mean SFLOAT | [time 7] | [pulse SFLOAT] |
 *                            [user] | [status u16]
 *   we   --confirm, once the reading is durable-->   many cuffs then delete the record
 *   cuff --notifies 2A36 --> the same layout while the cuff fills: systolic is the cuff's pressure
 *   cuff --indicates 2B34--> the same with seconds UTC instead of a date; notifies 2B35 likewise
 *
 * All three pressures NaN: the cuff reports an error (A&D, boso). Mean pressure 0: the cuff does
 * not compute one (Beurer BM54 always sends 0). Stored records come by themselves after
 * subscribing, oldest first.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/blood_pressure.h"

#define MEASUREMENT            0x2a35
#define CUFF_PRESSURE          0x2a36
#define FEATURE                0x2a49
#define ENHANCED_MEASUREMENT   0x2b34
#define ENHANCED_CUFF_PRESSURE 0x2b35

#define SECONDS_1900_TO_1970 INT64_C(2208988800)
#define SECONDS_1970_TO_2000 INT64_C(946684800)

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1810, .rank = 80 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(FEATURE),
	{ .id = MEASUREMENT, .mode = DRV_INDICATE, .optional = true },
	{ .id = ENHANCED_MEASUREMENT, .mode = DRV_INDICATE, .optional = true },
	{ .id = CUFF_PRESSURE, .mode = DRV_NOTIFY, .optional = true },
	{ .id = ENHANCED_CUFF_PRESSURE, .mode = DRV_NOTIFY, .optional = true },
	{ 0 },
};

static const struct sig_bit status_bits[] = {
	{ GATT_BP_STATUS_MOVEMENT, FLAG_BIT(FLAG_MOVEMENT) },
	{ GATT_BP_STATUS_CUFF_LOOSE, FLAG_BIT(FLAG_CUFF_FIT) },
	{ GATT_BP_STATUS_IRREGULAR_PULSE, FLAG_BIT(FLAG_IRREGULAR_PULSE) },
	{ GATT_BP_STATUS_POSITION, FLAG_BIT(FLAG_BODY_POSITION) },
	{ 0 },
};

static uint64_t status_flags(uint16_t status)
{
	uint64_t flags = sig_flags(status, status_bits);

	if ((status & GATT_BP_STATUS_PULSE_RANGE) == GATT_BP_STATUS_PULSE_ABOVE)
		flags |= FLAG_BIT(FLAG_PULSE_ABOVE_RANGE);
	if ((status & GATT_BP_STATUS_PULSE_RANGE) == GATT_BP_STATUS_PULSE_BELOW)
		flags |= FLAG_BIT(FLAG_PULSE_BELOW_RANGE);
	return flags;
}

static void add_pressures(struct measurement *m, enum unit unit, struct number systolic,
			  struct number diastolic, struct number mean)
{
	if (mean.absent == ABSENT_NO && mean.value.mantissa == 0)
		mean = number_absent(ABSENT_UNKNOWN);
	measurement_add(m, METRIC_SYSTOLIC, unit, systolic);
	measurement_add(m, METRIC_DIASTOLIC, unit, diastolic);
	measurement_add(m, METRIC_MEAN_PRESSURE, unit, mean);
	if (sig_says_nothing(m))
		m->flags |= FLAG_BIT(FLAG_ERROR);
}

static void add_cuff_pressure(struct measurement *m, enum unit unit, struct number pressure)
{
	m->metric = METRIC_CUFF_PRESSURE;
	m->flags |= FLAG_BIT(FLAG_INTERMEDIATE);
	measurement_add(m, METRIC_CUFF_PRESSURE, unit, pressure);
}

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct gatt_blood_pressure bp;
	int r = gatt_blood_pressure_decode(frame->data, frame->len, &bp);
	enum unit unit;

	if (r < 0)
		return r;
	unit = bp.kpa ? UNIT_KPA : UNIT_MMHG;
	if (frame->channel == CUFF_PRESSURE)
		add_cuff_pressure(&m, unit, bp.systolic);
	else
		add_pressures(&m, unit, bp.systolic, bp.diastolic, bp.mean);
	if (bp.has_time)
		sig_set_time(&m, &bp.time);
	if (bp.has_pulse)
		measurement_add(&m, METRIC_PULSE, UNIT_PER_MIN, bp.pulse);
	if (bp.has_user)
		sig_set_user(&m, bp.user);
	if (bp.has_status)
		m.flags |= status_flags(bp.status);
	return drv_emit(ctx, &m);
}

static int decode_enhanced(const struct drv_frame *frame, struct gatt_enhanced_blood_pressure *ret)
{
	if (frame->channel == ENHANCED_CUFF_PRESSURE)
		return gatt_enhanced_cuff_pressure_decode(frame->data, frame->len, ret);
	return gatt_enhanced_blood_pressure_decode(frame->data, frame->len, ret);
}

static int on_enhanced(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct gatt_enhanced_blood_pressure bp;
	int r = decode_enhanced(frame, &bp);
	enum unit unit;

	if (r < 0)
		return r;
	unit = bp.kpa ? UNIT_KPA : UNIT_MMHG;
	if (frame->channel == ENHANCED_CUFF_PRESSURE)
		add_cuff_pressure(&m, unit, bp.systolic);
	else
		add_pressures(&m, unit, bp.systolic, bp.diastolic, bp.mean);
	if (bp.has_time)
		sig_set_utc(&m, (int64_t)bp.time_s + (bp.epoch_2000 ? SECONDS_1970_TO_2000
								    : -SECONDS_1900_TO_1970));
	if (bp.has_pulse)
		measurement_add(&m, METRIC_PULSE, UNIT_PER_MIN, bp.pulse);
	if (bp.has_user)
		sig_set_user(&m, bp.user);
	if (bp.has_status)
		m.flags |= status_flags(bp.status);
	return drv_emit(ctx, &m);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_blood_pressure_feature feature;

	switch (frame->channel) {
	case MEASUREMENT:
	case CUFF_PRESSURE:
		return on_measurement(ctx, frame);
	case ENHANCED_MEASUREMENT:
	case ENHANCED_CUFF_PRESSURE:
		return on_enhanced(ctx, frame);
	case FEATURE: /* checked, and nothing follows from it */
		return gatt_blood_pressure_feature_decode(frame->data, frame->len, &feature);
	default:
		return sig_frame(ctx, frame);
	}
}

const struct driver driver_blood_pressure = {
	.name = "blood_pressure",
	.label = "Blood pressure monitors with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.frame = on_frame,
};
