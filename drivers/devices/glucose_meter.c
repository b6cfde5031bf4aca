/*
 * Glucose Service 0x1808: a meter keeps its records and reports them when asked.
 *
 *   we    --writes 2A52 01 01-------------------> report all stored records
 *         or 01 03 01 <sequence u16>              ... from the last one that we know is durable
 *   meter --notifies 2A18--> flags | sequence u16 | base time 7 | [offset s16 min] |
 *                            [concentration SFLOAT, type and site] | [status u16]
 *   meter --notifies 2A34--> what belongs to it (meal, carbohydrate...), with the same sequence
 *   meter --indicates 2A52--> 06 00 01 01         done; 06 00 01 06: nothing there
 *
 * Nothing is ever deleted on the meter, so nothing is lost when a notification is not heard: it
 * comes again next time. A meter that lost its memory counts from the start again and then has no
 * record >= ours; so "nothing there" is answered by asking for all.
 *
 * A record whose context is to follow waits for it, for a second at most. Control solution is a
 * check of the strips and never a person's value. The offset is the user's own change of the clock:
 * base time + offset is what the meter's display showed.
 */
#include <assert.h>
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/glucose.h"
#include "protocols/gatt/racp.h"

#define MEASUREMENT    0x2a18
#define CONTEXT        0x2a34
#define FEATURE        0x2a51
#define RECORD_CONTROL 0x2a52

#define CONTEXT_WAIT_MS 1000
#define ANSWER_WAIT_MS  30000

enum asked {
	ASKED_NOTHING = 0,
	ASKED_SINCE, /* from the last durable record */
	ASKED_ALL,
};

struct state {
	enum asked asked;
	bool waits; /* `record` waits for its context */
	struct measurement record;
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1808, .rank = 90 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(FEATURE),
	{ .id = MEASUREMENT, .mode = DRV_NOTIFY },
	{ .id = CONTEXT, .mode = DRV_NOTIFY, .optional = true },
	{ .id = RECORD_CONTROL, .mode = DRV_INDICATE },
	{ 0 },
};

static const struct sig_bit status_bits[] = {
	{ GATT_GLUCOSE_BATTERY_LOW, FLAG_BIT(FLAG_LOW_BATTERY) },
	{ GATT_GLUCOSE_SENSOR_FAULT, FLAG_BIT(FLAG_SENSOR_FAULT) | FLAG_BIT(FLAG_INVALID) },
	{ GATT_GLUCOSE_SAMPLE_TOO_SMALL | GATT_GLUCOSE_STRIP_INSERTION | GATT_GLUCOSE_STRIP_TYPE |
		  GATT_GLUCOSE_STRIP_PULLED,
	  FLAG_BIT(FLAG_INVALID) },
	{ GATT_GLUCOSE_RESULT_TOO_HIGH | GATT_GLUCOSE_RESULT_TOO_LOW | GATT_GLUCOSE_TOO_HOT |
		  GATT_GLUCOSE_TOO_COLD,
	  FLAG_BIT(FLAG_QUESTIONABLE) },
	{ GATT_GLUCOSE_DEVICE_FAULT, FLAG_BIT(FLAG_DEVICE_FAULT) | FLAG_BIT(FLAG_INVALID) },
	{ GATT_GLUCOSE_TIME_FAULT, FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ 0 },
};

static int ask(struct drv_ctx *ctx, const struct gatt_racp *request)
{
	uint8_t data[8];
	struct writer w = writer_of(data, sizeof(data));
	int r = gatt_racp_encode(request, &w);

	assert(r == 0); /* made here, and it fits */
	(void)r;
	r = drv_write(ctx, RECORD_CONTROL, data, w.len);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_WAIT_MS);
}

static int ask_all(struct drv_ctx *ctx)
{
	const struct gatt_racp request = {
		.opcode = GATT_RACP_REPORT,
		.condition = GATT_RACP_ALL,
	};
	struct state *s = drv_state(ctx);

	s->asked = ASKED_ALL;
	return ask(ctx, &request);
}

static int on_open(struct drv_ctx *ctx)
{
	struct gatt_racp request = {
		.opcode = GATT_RACP_REPORT,
		.condition = GATT_RACP_GREATER_OR_EQUAL,
		.filter = GATT_RACP_BY_SEQUENCE,
	};
	struct state *s = drv_state(ctx);
	uint32_t last;

	if (!drv_last_record(ctx, &last) || last > UINT16_MAX)
		return ask_all(ctx);
	s->asked = ASKED_SINCE;
	request.min_sequence = (uint16_t)last;
	return ask(ctx, &request);
}

/* Lets go of the record that waits, with its context or without. */
static int release(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (!s->waits)
		return 0;
	s->waits = false;
	return drv_emit(ctx, &s->record);
}

static void add_concentration(struct measurement *m, const struct gatt_glucose *g)
{
	const enum unit unit = g->mol_per_litre ? UNIT_MOL_L : UNIT_KG_L;

	if (!g->has_concentration) {
		measurement_add(m, METRIC_GLUCOSE, unit, number_absent(ABSENT_UNKNOWN));
		return;
	}
	measurement_add(m, METRIC_GLUCOSE, unit, g->concentration);
	m->context = gatt_glucose_location_name(g->location);
	if (g->type == GATT_GLUCOSE_CONTROL_SOLUTION ||
	    g->location == GATT_GLUCOSE_LOCATION_CONTROL)
		m->flags |= FLAG_BIT(FLAG_CONTROL_SOLUTION);
}

static void set_glucose_time(struct measurement *m, const struct gatt_glucose *g)
{
	struct gatt_date_time shown = g->base_time;

	if (g->has_offset && g->offset.absent == ABSENT_NO)
		shown = sig_add_minutes(&g->base_time, g->offset.value.mantissa);
	else if (g->has_offset)
		m->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
	sig_set_time(m, &shown);
}

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct measurement m = { .metric = METRIC_GLUCOSE, .has_record_number = true };
	struct gatt_glucose g;
	int r = gatt_glucose_decode(frame->data, frame->len, &g);

	if (r < 0)
		return r;
	m.record_number = g.sequence;
	add_concentration(&m, &g);
	set_glucose_time(&m, &g);
	if (g.has_status)
		m.flags |= sig_flags(g.status, status_bits);
	if (s->asked != ASKED_NOTHING)
		m.flags |= FLAG_BIT(FLAG_BACKFILL);
	r = release(ctx);
	if (r < 0)
		return r;
	if (!g.context_follows) {
		r = drv_emit(ctx, &m);
		return r < 0 ? r : drv_set_timeout(ctx, ANSWER_WAIT_MS);
	}
	drv_stamp(ctx, &m);
	s->record = m;
	s->waits = true;
	return drv_set_timeout(ctx, CONTEXT_WAIT_MS);
}

/* Medication is left out: its unit may be litres, and which drug it was is not a number. */
static void add_context(struct measurement *m, const struct gatt_glucose_context *c)
{
	if (c->has_carbohydrate)
		measurement_add(m, METRIC_CARBOHYDRATE, UNIT_KG, c->carbohydrate_mass);
	if (c->has_exercise) {
		measurement_add(m, METRIC_EXERCISE_DURATION, UNIT_S, c->exercise_duration);
		measurement_add(m, METRIC_EXERCISE_INTENSITY, UNIT_PERCENT, c->exercise_intensity);
	}
	if (c->has_hba1c)
		measurement_add(m, METRIC_HBA1C, UNIT_PERCENT, c->hba1c);
	if (c->has_meal)
		m->context = gatt_meal_name(c->meal);
}

static int on_context(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct measurement alone = {
		.metric = METRIC_GLUCOSE,
		.has_record_number = true,
		.flags = FLAG_BIT(FLAG_PART),
	};
	struct gatt_glucose_context c;
	int r = gatt_glucose_context_decode(frame->data, frame->len, &c);

	if (r < 0)
		return r;
	if (!s->waits || s->record.record_number != c.sequence) {
		alone.record_number = c.sequence;
		add_context(&alone, &c);
		return drv_emit(ctx, &alone);
	}
	add_context(&s->record, &c);
	r = release(ctx);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_WAIT_MS);
}

static int finish(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->asked = ASKED_NOTHING;
	drv_done(ctx);
	return drv_set_timeout(ctx, 0);
}

static int on_answer(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);
	struct gatt_racp answer;
	int r = gatt_racp_decode(frame->data, frame->len, &answer);

	if (r < 0)
		return r;
	if (answer.opcode != GATT_RACP_RESPONSE || answer.request != GATT_RACP_REPORT)
		return -ENOMSG;
	r = release(ctx);
	if (r < 0)
		return r;
	if (s->asked == ASKED_SINCE && answer.result != GATT_RACP_SUCCESS)
		return ask_all(ctx);
	return finish(ctx);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	uint16_t feature;

	switch (frame->channel) {
	case MEASUREMENT:
		return on_measurement(ctx, frame);
	case CONTEXT:
		return on_context(ctx, frame);
	case RECORD_CONTROL:
		return on_answer(ctx, frame);
	case FEATURE: /* checked, and nothing follows from it */
		return gatt_glucose_feature_decode(frame->data, frame->len, &feature);
	default:
		return sig_frame(ctx, frame);
	}
}

static int on_timeout(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	int r;

	if (!s->waits)
		return -ETIMEDOUT; /* the meter fell silent */
	r = release(ctx);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_WAIT_MS);
}

const struct driver driver_glucose_meter = {
	.name = "glucose_meter",
	.label = "Blood glucose meters with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.timeout = on_timeout,
};
