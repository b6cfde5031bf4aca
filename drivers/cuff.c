#include "drivers/cuff.h"

#include <string.h>

#include "protocols/bytes/writer.h"

int cuff_emit(struct drv_ctx *ctx, const struct cuff_reading *x)
{
	struct measurement m = {
		.metric = METRIC_BLOOD_PRESSURE,
		.time = { .kind = DEVICE_TIME_LOCAL,
			  .year = x->year,
			  .month = x->month,
			  .day = x->day,
			  .hour = x->hour,
			  .minute = x->minute },
		.has_user_slot = x->user != 0,
		.user_slot = x->user,
		.has_record_number = x->repeat != 0,
		.record_number = x->repeat,
		.flags = x->flags | FLAG_BIT(FLAG_BACKFILL),
	};

	if (x->month == 0 || x->day == 0)
		m.flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
	measurement_add(&m, METRIC_SYSTOLIC, UNIT_MMHG, number_of(x->systolic, 0));
	measurement_add(&m, METRIC_DIASTOLIC, UNIT_MMHG, number_of(x->diastolic, 0));
	measurement_add(&m, METRIC_PULSE, UNIT_PER_MIN,
			x->pulse ? number_of(x->pulse, 0) : number_absent(ABSENT_UNKNOWN));
	return drv_emit(ctx, &m);
}

static int emit_beurer(struct drv_ctx *ctx, const struct beurer_move *m)
{
	const struct beurer_reading *b = &m->reading;
	struct cuff_reading x = {
		.year = b->year,
		.month = b->month,
		.day = b->day,
		.hour = b->hour,
		.minute = b->minute,
		.systolic = b->systolic,
		.diastolic = b->diastolic,
		.pulse = b->pulse,
		.user = b->user,
		.repeat = m->repeat,
	};

	if (b->movement)
		x.flags |= FLAG_BIT(FLAG_MOVEMENT);
	if (b->irregular)
		x.flags |= FLAG_BIT(FLAG_IRREGULAR_PULSE);
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
