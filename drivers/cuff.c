#include "drivers/cuff.h"

#include <string.h>

#include "protocols/bytes/writer.h"

struct cuff_reading cuff_of_beurer(const struct beurer_reading *x)
{
	struct cuff_reading reading = {
		.year = x->year,
		.month = x->month,
		.day = x->day,
		.hour = x->hour,
		.minute = x->minute,
		.systolic = x->systolic,
		.diastolic = x->diastolic,
		.pulse = x->pulse,
		.user = x->user,
	};

	if (x->movement)
		reading.flags |= FLAG_BIT(FLAG_MOVEMENT);
	if (x->irregular)
		reading.flags |= FLAG_BIT(FLAG_IRREGULAR_PULSE);
	if (x->restless)
		reading.flags |= FLAG_BIT(FLAG_QUESTIONABLE);
	return reading;
}

struct cuff_reading cuff_of_microlife(const struct microlife_reading *x)
{
	return (struct cuff_reading){
		.year = x->year,
		.month = x->month,
		.day = x->day,
		.hour = x->hour,
		.minute = x->minute,
		.systolic = x->systolic,
		.diastolic = x->diastolic,
		.pulse = x->pulse,
	};
}

void cuff_measure(struct measurement *m, const struct cuff_reading *x)
{
	m->metric = METRIC_BLOOD_PRESSURE;
	m->time = (struct device_time){
		.kind = DEVICE_TIME_LOCAL,
		.year = x->year,
		.month = x->month,
		.day = x->day,
		.hour = x->hour,
		.minute = x->minute,
	};
	m->has_user_slot = x->user != 0;
	m->user_slot = x->user;
	m->has_record_number = x->repeat != 0;
	m->record_number = x->repeat;
	m->flags |= x->flags;
	if (x->month == 0 || x->day == 0)
		m->flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
	measurement_add(m, METRIC_SYSTOLIC, UNIT_MMHG, number_of(x->systolic, 0));
	measurement_add(m, METRIC_DIASTOLIC, UNIT_MMHG, number_of(x->diastolic, 0));
	measurement_add(m, METRIC_PULSE, UNIT_PER_MIN,
			x->pulse ? number_of(x->pulse, 0) : number_absent(ABSENT_UNKNOWN));
}

int cuff_emit(struct drv_ctx *ctx, const struct cuff_reading *x)
{
	struct measurement m = { .flags = FLAG_BIT(FLAG_BACKFILL) };

	cuff_measure(&m, x);
	return drv_emit(ctx, &m);
}

static int emit_beurer(struct drv_ctx *ctx, const struct beurer_move *m)
{
	struct cuff_reading x = cuff_of_beurer(&m->reading);

	x.repeat = m->repeat;
	return cuff_emit(ctx, &x);
}

/* A report has the number 0, since there is only one, and is filled up. */
static int ask_beurer(struct drv_ctx *ctx, bool hid, const struct beurer_move *m)
{
	uint8_t report[1 + BEURER_HID_SIZE];
	struct writer w = writer_of(report, sizeof(report));

	if (!hid)
		return drv_write(ctx, DRV_WIRE_BYTES, m->ask, m->n_ask);
	writer_u8(&w, 0);
	writer_bytes(&w, m->ask, m->n_ask);
	while (w.len < sizeof(report))
		writer_u8(&w, BEURER_IDLE);
	return drv_write(ctx, DRV_WIRE_REPORT, report, sizeof(report));
}

int cuff_beurer_move(struct drv_ctx *ctx, const struct beurer_dialogue *d,
		     const struct beurer_move *m, int r)
{
	int carried = 0;

	if (m->identified)
		carried = drv_fact(ctx, DRV_MODEL, d->identity, strlen(d->identity));
	if (carried >= 0 && m->has_reading)
		carried = emit_beurer(ctx, m);
	if (carried >= 0 && m->n_ask > 0)
		carried = ask_beurer(ctx, d->hid, m);
	if (carried >= 0 && (m->wait_ms > 0 || m->over))
		carried = drv_set_timeout(ctx, m->over ? 0 : m->wait_ms);
	if (m->over)
		drv_done(ctx);
	return carried < 0 ? carried : r;
}
