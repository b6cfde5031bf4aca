/*
 * Blood Pressure Service 0x1810, with the enhanced measurement of version 1.1.1.
 *
 *   cuff --indicates 2A35--> flags | systolic, diastolic, mean SFLOAT | [time 7] | [pulse SFLOAT] |
 *                            [user] | [status u16]
 *   we   --confirm, once the reading is durable-->   many cuffs then delete the record
 *   cuff --notifies 2A36 --> the same layout while the cuff fills: systolic is the cuff's pressure
 *   cuff --indicates 2B34--> the same with seconds UTC instead of a date; notifies 2B35 likewise
 *
 * All three pressures NaN: the cuff reports an error (boso: 16 ff07 ff07 ff07 e807...). Mean
 * pressure 0: the cuff does not compute one (Beurer BM54 always sends 0, flags 0x1e, and the
 * records of both its users, 0 and 1). Stored records come by themselves after subscribing, oldest
 * first.
 *
 * A Beurer BM85 sends flags 0x56, a user byte that they do not announce, and pulse and status big
 * endian: see gatt_blood_pressure_decode_bm85(). Only a device of that name, or of that model by
 * its own Device Information, is read so; in another one 0x56 is a layout that we do not know.
 * Where the order of the bytes cannot be told the frame is refused, and the cuff keeps it.
 *
 * A clock that is off is set when the stored records have come (sig.h). A&D cuffs want it set
 * before and have a driver of their own, a_and_d.c.
 */
#include <errno.h>
#include <string.h>

#include "drivers/sig.h"
#include "protocols/gatt/blood_pressure.h"

#define MEASUREMENT            0x2a35
#define CUFF_PRESSURE          0x2a36
#define FEATURE                0x2a49
#define ENHANCED_MEASUREMENT   0x2b34
#define ENHANCED_CUFF_PRESSURE 0x2b35

#define SECONDS_1900_TO_1970 INT64_C(2208988800)
#define SECONDS_1970_TO_2000 INT64_C(946684800)

#define QUIRK_BM85 0x01

struct state {
	struct sig_clock clock;
	bool bm85;
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE,
	  .service = 0x1810,
	  .name_prefix = "BM85",
	  .rank = 80,
	  .quirks = QUIRK_BM85 },
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

static void add_cuff_pressure(struct measurement *m, enum unit unit, struct number pressure)
{
	m->metric = METRIC_CUFF_PRESSURE;
	m->flags |= FLAG_BIT(FLAG_INTERMEDIATE);
	measurement_add(m, METRIC_CUFF_PRESSURE, unit, pressure);
}

static int decode(struct drv_ctx *ctx, const struct drv_frame *frame,
		  struct gatt_blood_pressure *ret)
{
	const struct state *s = drv_state(ctx);
	int r;

	if (frame->channel == MEASUREMENT && (s->bm85 || (drv_quirks(ctx) & QUIRK_BM85))) {
		r = gatt_blood_pressure_decode_bm85(frame->data, frame->len, ret);
		if (r != -ENOMSG)
			return r;
	}
	return gatt_blood_pressure_decode(frame->data, frame->len, ret);
}

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct state *s = drv_state(ctx);
	struct gatt_blood_pressure bp;
	int r = decode(ctx, frame, &bp);

	if (r < 0)
		return r;
	sig_blood_pressure(&m, &bp);
	return sig_clock_emit(ctx, &s->clock, &m);
}

static int on_cuff_pressure(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct gatt_blood_pressure bp;
	int r = decode(ctx, frame, &bp);

	if (r < 0)
		return r;
	add_cuff_pressure(&m, bp.kpa ? UNIT_KPA : UNIT_MMHG, bp.systolic);
	if (bp.has_time)
		sig_set_time(&m, &bp.time);
	if (bp.has_pulse)
		measurement_add(&m, METRIC_PULSE, UNIT_PER_MIN, bp.pulse);
	if (bp.has_user)
		sig_set_user(&m, bp.user);
	if (bp.has_status)
		m.flags |= sig_pressure_flags(bp.status);
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
	struct state *s = drv_state(ctx);
	struct gatt_enhanced_blood_pressure bp;
	int r = decode_enhanced(frame, &bp);
	enum unit unit;

	if (r < 0)
		return r;
	unit = bp.kpa ? UNIT_KPA : UNIT_MMHG;
	if (frame->channel == ENHANCED_CUFF_PRESSURE)
		add_cuff_pressure(&m, unit, bp.systolic);
	else
		sig_pressures(&m, unit, bp.systolic, bp.diastolic, bp.mean);
	if (bp.has_time)
		sig_set_utc(&m, (int64_t)bp.time_s + (bp.epoch_2000 ? SECONDS_1970_TO_2000
								    : -SECONDS_1900_TO_1970));
	if (bp.has_pulse)
		measurement_add(&m, METRIC_PULSE, UNIT_PER_MIN, bp.pulse);
	if (bp.has_user)
		sig_set_user(&m, bp.user);
	if (bp.has_status)
		m.flags |= sig_pressure_flags(bp.status);
	return sig_clock_emit(ctx, &s->clock, &m);
}

/* The model says what the advertised name may not have said. */
static int on_model(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	static const char bm85[] = "BM85";
	struct state *s = drv_state(ctx);
	int r = sig_frame(ctx, frame);

	if (r == 0)
		s->bm85 =
			frame->len >= strlen(bm85) && memcmp(frame->data, bm85, strlen(bm85)) == 0;
	return r;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct gatt_blood_pressure_feature feature;

	switch (frame->channel) {
	case MEASUREMENT:
		return on_measurement(ctx, frame);
	case CUFF_PRESSURE:
		return on_cuff_pressure(ctx, frame);
	case SIG_MODEL:
		return on_model(ctx, frame);
	case ENHANCED_MEASUREMENT:
	case ENHANCED_CUFF_PRESSURE:
		return on_enhanced(ctx, frame);
	case FEATURE: /* checked, and nothing follows from it */
		return gatt_blood_pressure_feature_decode(frame->data, frame->len, &feature);
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

const struct driver driver_blood_pressure = {
	.name = "blood_pressure",
	.label = "Blood pressure monitors with the Bluetooth SIG profile (Beurer BM54, BM85, boso)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
