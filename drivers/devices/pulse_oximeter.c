/*
 * Pulse Oximeter Service 0x1822.
 *
 *   oximeter --indicates 2A5E--> flags | SpO2 SFLOAT | pulse SFLOAT | [time 7] | [measurement
 *                                status u16] | [device status u24] | [pulse amplitude SFLOAT]
 *            01 6100 4800 ea07050c123536      97 %, 72 /min, 2026-05-12 18:53:54
 *   we       --confirm, once the reading is durable-->
 *   oximeter --notifies 2A5F --> flags | SpO2 | pulse | [fast pair] | [slow pair] | [...]
 *
 * What it has stored (feature bit 2) is asked for and comes as spot checks, each confirmed when it
 * is durable; the memory is left as it is, so all of it comes again on the next link and is
 * recognised by its stamps. One without a stamp that comes meanwhile is taken for a stored one.
 *
 *   we       --writes 2A52 01 01-->          report all stored records
 *   oximeter --indicates 2A5E-->             one each
 *   oximeter --indicates 2A52 06 00 01 01--> done; 06 00 01 06: nothing there
 *
 * Demonstration, test, invalid and unavailable values never become readings. The fast and slow
 * pairs of 2A5F are the same quantity over other windows; they are checked and left out, because
 * two values of one metric in one reading would contradict each other.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/plx.h"
#include "protocols/gatt/racp.h"

#define SPOT_CHECK     0x2a5e
#define CONTINUOUS     0x2a5f
#define FEATURES       0x2a60
#define RECORD_CONTROL 0x2a52

#define ANSWER_WAIT_MS 30000

struct state {
	struct sig_clock clock;
	bool asked; /* for the stored records; the timer is theirs */
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1822, .rank = 70 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	{ .id = SPOT_CHECK, .mode = DRV_INDICATE, .optional = true },
	{ .id = CONTINUOUS, .mode = DRV_NOTIFY, .optional = true },
	{ .id = RECORD_CONTROL, .mode = DRV_INDICATE, .optional = true },
	SIG_READ(FEATURES), /* last: it may say that there is something to ask for */
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
	struct state *s = drv_state(ctx);
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
	if (!s->asked)
		return sig_clock_emit(ctx, &s->clock, &m);
	m.flags |= FLAG_BIT(FLAG_BACKFILL);
	r = sig_clock_emit(ctx, &s->clock, &m);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_WAIT_MS);
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

static int on_features(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	static const uint8_t report_all[] = { GATT_RACP_REPORT, GATT_RACP_ALL };
	struct state *s = drv_state(ctx);
	struct gatt_plx_features features;
	int r = gatt_plx_features_decode(frame->data, frame->len, &features);

	if (r < 0)
		return r;
	if (s->asked || !(features.features & GATT_PLX_HAS_STORAGE))
		return 0;
	r = drv_write(ctx, RECORD_CONTROL, report_all, sizeof(report_all));
	if (r < 0)
		return r;
	s->asked = true;
	return drv_set_timeout(ctx, ANSWER_WAIT_MS);
}

static int on_answer(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct gatt_racp answer;
	int r = gatt_racp_decode(frame->data, frame->len, &answer);

	if (r < 0)
		return r;
	if (answer.opcode != GATT_RACP_RESPONSE)
		return -ENOMSG;
	if (!s->asked || answer.request != GATT_RACP_REPORT)
		return 0;
	s->asked = false;
	return drv_set_timeout(ctx, SIG_QUIET_MS);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);

	switch (frame->channel) {
	case SPOT_CHECK:
		return on_spot_check(ctx, frame);
	case CONTINUOUS:
		return on_continuous(ctx, frame);
	case FEATURES:
		return on_features(ctx, frame);
	case RECORD_CONTROL:
		return on_answer(ctx, frame);
	default:
		return sig_clock_frame(ctx, &s->clock, frame);
	}
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = sig_clock_committed(ctx, &s->clock);

	return r == 0 && s->asked ? drv_set_timeout(ctx, ANSWER_WAIT_MS) : r;
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->asked && s->clock.waits) /* it waits for us */
		return drv_set_timeout(ctx, ANSWER_WAIT_MS);
	if (s->asked) { /* it fell silent: its clock stays, for more may be stored */
		s->asked = false;
		s->clock.wrong = false;
		return 0;
	}
	return sig_clock_timeout(ctx, &s->clock);
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	struct state *s = drv_state(ctx);

	(void)error;
	if (channel == RECORD_CONTROL && s->asked) {
		s->asked = false;
		s->clock.wrong = false;
		return drv_set_timeout(ctx, 0);
	}
	return sig_clock_refused(ctx, &s->clock, channel);
}

const struct driver driver_pulse_oximeter = {
	.name = "pulse_oximeter",
	.label = "Pulse oximeters with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
