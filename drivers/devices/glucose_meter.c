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
 * Nothing is deleted on the meter unless the operator wants it (wipe), so nothing is lost when a
 * notification is not heard: it comes again next time. A meter that lost its memory counts from the
 * start again and then has no record >= ours; so "nothing there" is answered by asking for all.
 *
 * A record whose context is to follow waits for it, for a second at most. Control solution is a
 * check of the strips and never a person's value. The offset is the user's own change of the clock:
 * base time + offset is what the meter's display showed.
 *
 * Wiping. Notifications are not confirmed, so that one was lost is seen only by counting:
 *
 *   we    --01 01-->                report all; each record comes whole, and is made durable
 *   we    --04 01-->                how many do you hold? As many as came, or nothing is deleted
 *   we    --02 02 01 <highest>-->   delete those up to the highest that came: one that is measured
 *                                   in this moment has a higher number and stays
 *   we    --04 01-->                how many now? Only none is proof
 *
 * "Delete all" is never sent, for it would take that one, too. A meter that cannot delete up to a
 * number is not wiped.
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

enum wipe_step {
	WIPE_NOT = 0,
	WIPE_READ,   /* all is being reported */
	WIPE_SAVE,   /* and has to become durable */
	WIPE_COUNT,  /* is that as many as it holds? */
	WIPE_DELETE, /* asked to delete */
	WIPE_LOOK,   /* and how many are left */
};

struct state {
	enum asked asked;
	bool waits; /* `record` waits for its context */
	struct measurement record;

	enum wipe_step step;
	bool unsaved; /* something was emitted that is not durable yet */
	bool not_whole;
	uint32_t came; /* records, each with a higher number than the one before */
	uint16_t highest;
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

static int emit(struct drv_ctx *ctx, const struct measurement *m)
{
	struct state *s = drv_state(ctx);

	s->unsaved = true;
	return drv_emit(ctx, m);
}

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

static int release(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->waits = false;
	return emit(ctx, &s->record);
}

/* Its context did not come: the record that waits for it goes without. */
static int release_without(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (!s->waits)
		return 0;
	s->not_whole = true;
	return release(ctx);
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

/* Counted for a wipe. What does not come in order might be one that came before, and what comes
 * after the report is not in the count. */
static void note_record(struct state *s, uint16_t sequence)
{
	if (s->step != WIPE_READ || (s->came > 0 && sequence <= s->highest)) {
		s->not_whole = true;
		return;
	}
	s->came++;
	s->highest = sequence;
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
	note_record(s, g.sequence);
	r = release_without(ctx);
	if (r < 0)
		return r;
	if (!g.context_follows) {
		r = emit(ctx, &m);
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
		return emit(ctx, &alone);
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

/* ---- wiping ---- */

static int on_wipe(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->step = WIPE_READ;
	s->not_whole = false;
	s->came = 0;
	s->highest = 0;
	return ask_all(ctx);
}

static int end_wipe(struct drv_ctx *ctx, enum drv_wipe outcome)
{
	struct state *s = drv_state(ctx);

	s->step = WIPE_NOT;
	drv_wiped(ctx, outcome, s->came);
	return finish(ctx);
}

static int ask_number(struct drv_ctx *ctx, enum wipe_step step)
{
	const struct gatt_racp request = {
		.opcode = GATT_RACP_REPORT_NUMBER,
		.condition = GATT_RACP_ALL,
	};
	struct state *s = drv_state(ctx);

	s->step = step;
	return ask(ctx, &request);
}

static int ask_delete(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const struct gatt_racp request = {
		.opcode = GATT_RACP_DELETE,
		.condition = GATT_RACP_LESS_OR_EQUAL,
		.filter = GATT_RACP_BY_SEQUENCE,
		.max_sequence = s->highest,
	};

	/* the next one would begin again at 0, and go with them */
	if (s->highest == UINT16_MAX)
		return end_wipe(ctx, DRV_WIPE_REFUSED);
	s->step = WIPE_DELETE;
	return ask(ctx, &request);
}

static int on_all_reported(struct drv_ctx *ctx, const struct gatt_racp *answer)
{
	struct state *s = drv_state(ctx);

	s->asked = ASKED_NOTHING;
	if (s->not_whole ||
	    (answer->result != GATT_RACP_SUCCESS && answer->result != GATT_RACP_NO_RECORDS))
		return end_wipe(ctx, DRV_WIPE_UNREAD);
	if (!s->unsaved)
		return ask_number(ctx, WIPE_COUNT);
	s->step = WIPE_SAVE;
	return drv_set_timeout(ctx, 0);
}

/* The number of records that it holds, or an error: it does not say. */
static int take_number(const struct gatt_racp *answer, uint16_t *ret)
{
	if (answer->opcode == GATT_RACP_NUMBER)
		*ret = answer->count;
	else if (answer->result == GATT_RACP_NO_RECORDS)
		*ret = 0;
	else
		return -ENODATA;
	return 0;
}

static int on_count(struct drv_ctx *ctx, const struct gatt_racp *answer)
{
	const struct state *s = drv_state(ctx);
	uint16_t n;

	if (take_number(answer, &n) < 0)
		return end_wipe(ctx, DRV_WIPE_REFUSED);
	if (s->not_whole || n != s->came)
		return end_wipe(ctx, DRV_WIPE_UNREAD);
	return n == 0 ? end_wipe(ctx, DRV_WIPE_PROVEN) : ask_delete(ctx);
}

static int on_deleted(struct drv_ctx *ctx, const struct gatt_racp *answer)
{
	switch (answer->result) {
	case GATT_RACP_SUCCESS:
	case GATT_RACP_NO_RECORDS:
	case GATT_RACP_NOT_COMPLETED: /* some may be gone */
		return ask_number(ctx, WIPE_LOOK);
	case GATT_RACP_OPCODE_NOT_SUPPORTED:
	case GATT_RACP_INVALID_OPERATOR:
	case GATT_RACP_OPERATOR_NOT_SUPPORTED:
	case GATT_RACP_INVALID_OPERAND:
	case GATT_RACP_ABORT_FAILED:
	case GATT_RACP_OPERAND_NOT_SUPPORTED:
	default:
		return end_wipe(ctx, DRV_WIPE_REFUSED);
	}
}

static int on_look(struct drv_ctx *ctx, const struct gatt_racp *answer)
{
	uint16_t n;
	const bool empty = take_number(answer, &n) == 0 && n == 0;

	return end_wipe(ctx, empty ? DRV_WIPE_PROVEN : DRV_WIPE_LEFT);
}

/* Which request an answer belongs to. */
static enum gatt_racp_opcode answered(const struct gatt_racp *answer)
{
	return answer->opcode == GATT_RACP_NUMBER ? GATT_RACP_REPORT_NUMBER : answer->request;
}

static int on_wipe_answer(struct drv_ctx *ctx, const struct gatt_racp *answer)
{
	const struct state *s = drv_state(ctx);
	const enum gatt_racp_opcode request = answered(answer);

	if (s->step == WIPE_READ && request == GATT_RACP_REPORT)
		return on_all_reported(ctx, answer);
	if (s->step == WIPE_COUNT && request == GATT_RACP_REPORT_NUMBER)
		return on_count(ctx, answer);
	if (s->step == WIPE_DELETE && request == GATT_RACP_DELETE)
		return on_deleted(ctx, answer);
	if (s->step == WIPE_LOOK && request == GATT_RACP_REPORT_NUMBER)
		return on_look(ctx, answer);
	return -ENOMSG;
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->unsaved = false;
	return s->step == WIPE_SAVE ? ask_number(ctx, WIPE_COUNT) : 0;
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	const struct state *s = drv_state(ctx);

	(void)error;
	if (channel != RECORD_CONTROL || s->step == WIPE_NOT || s->step == WIPE_SAVE)
		return 0;
	if (s->step == WIPE_LOOK)
		return end_wipe(ctx, DRV_WIPE_LEFT);
	return end_wipe(ctx, s->step == WIPE_READ ? DRV_WIPE_UNREAD : DRV_WIPE_REFUSED);
}

/* ---- what the meter says ---- */

static int on_answer(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);
	struct gatt_racp answer;
	int r = gatt_racp_decode(frame->data, frame->len, &answer);

	if (r < 0)
		return r;
	if (answer.opcode != GATT_RACP_RESPONSE && answer.opcode != GATT_RACP_NUMBER)
		return -ENOMSG;
	if (s->step == WIPE_NOT && answered(&answer) != GATT_RACP_REPORT)
		return -ENOMSG;
	r = release_without(ctx);
	if (r < 0)
		return r;
	if (s->step != WIPE_NOT)
		return on_wipe_answer(ctx, &answer);
	if (s->asked == ASKED_SINCE && answer.result != GATT_RACP_SUCCESS)
		return ask_all(ctx);
	return finish(ctx);
}

static int take_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
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

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	const int r = take_frame(ctx, frame);

	/* what it emitted is dropped with it, and what it said is not known */
	s->not_whole = s->not_whole || r < 0;
	return r;
}

static int on_timeout(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	int r;

	if (!s->waits)
		return -ETIMEDOUT; /* the meter fell silent */
	r = release_without(ctx);
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
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
	.wipe = on_wipe,
};
