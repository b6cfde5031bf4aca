/*
 * A&D blood pressure monitors and scales: UA-651BLE (service 0x1810), UC-352BLE (0x181D). Their
 * measurements are those of the standard; the way to them is A&D's own. Each service has a Date
 * Time 0x2A08 in it, to be read and written.
 *
 *   device --advertises for a minute after a measurement, and accepts a link--
 *   we     --subscribe 2A35 or 2A9D-->         within 5 s of the encryption both of this ...
 *   we     --read 2A08-->                      its clock, for the stamps of what it has stored
 *   we     --write 2A08 <local time 7>-->      ... and this, or it hangs up
 *   device --indicates 2A35 or 2A9D-->         all it has stored, oldest first, then it hangs up
 *             16 7800 5000 5e00 ea07050c123536 4600 0000
 *   we     --confirm each, once it is durable-->
 *
 * So its clock has to be written before the stored readings come, other than on any other device.
 * Their stamps were made by the clock as it was before, and that is the one that was read and that
 * they are corrected by. A hub that does not know the time writes back the time that it has read:
 * that opens the way and changes nothing. If the device does not know it either, nothing is
 * written, and the device keeps its readings for a link on which somebody does.
 *
 * A link may end before all has come. What then comes on the next one may bear a stamp of the clock
 * before it was set, which nobody can correct any more; so the time of the setting is kept, and a
 * stamp before it is worth nothing (FLAG_CLOCK_NOT_SET: the gateway holds such a reading). Where
 * the clock had been ahead, stamps between its time and ours cannot be told apart; they are
 * believed.
 *
 * After a change of the battery it stamps nothing until its clock is set. Such a reading may be
 * old, and it may come again; without stamp and number it is taken for the same one by its value.
 * Error: systolic, diastolic and mean NaN (07ff), pulse NRes (0800). No user is ever sent.
 *
 * Its memory is not deleted: it holds 30 to 90 readings and drops the oldest by itself, and what
 * comes twice is recognised by its stamp. QUIRK_DELETE, which no row sets and an operator may,
 * deletes after all that came was understood and is durable, and nothing has come for a second:
 *   we     --write 233bf001-... 02 01 12-->
 *
 * The first UC-352BLE have a weight service of their own (23434100-1fe4-1eff-80cb-00ff78297d8b).
 * In which unit it counts is not known for certain, so they are not served.
 *
 * Source: descriptions of the protocol by others; a discovery of a real UC-352BLE for services and
 * properties (2A9D indicated; 2A08 and 233bf001 read and written). Not tried on hardware.
 */
#include <assert.h>
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/bytes/cursor.h"

#define PRESSURE 0x2a35
#define WEIGHT   0x2a9d
#define COMMAND  0xf001 /* our number for 233bf001-5a34-1b6d-975c-000d5690abe4 */

#define QUIRK_DELETE 0x01

enum step {
	STEP_READING = 0, /* its clock */
	STEP_WRITING,     /* its clock; then the readings come */
	STEP_REFUSED,
};

struct state {
	enum step step;
	bool waits;     /* a reading is not durable yet */
	bool spoiled;   /* something was not understood, and only the device has it */
	bool has_since; /* this clock runs since then */
	struct gatt_date_time since;
	uint8_t kept[DRV_KEPT_MAX]; /* as it was before this link */
	size_t kept_len;
};

static const uint8_t command_uuid[16] = { 0xe4, 0xab, 0x90, 0x56, 0x0d, 0x00, 0x5c, 0x97,
					  0x6d, 0x1b, 0x34, 0x5a, 0x01, 0xf0, 0x3b, 0x23 };

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x1810, .name_prefix = "A&D_", .rank = 80 },
	{ .bus = DRV_BUS_BLE, .service = 0x181d, .name_prefix = "A&D_", .rank = 61 },
	{ 0 },
};

/* Few and fast: it hangs up 5 s after the encryption. */
static const struct drv_channel channels[] = {
	SIG_READ(SIG_SERIAL),
	SIG_READ(SIG_MODEL),
	SIG_READ(SIG_MAKER),
	SIG_READ(SIG_FIRMWARE),
	SIG_READ(SIG_BATTERY_LEVEL),
	{ .id = PRESSURE, .mode = DRV_INDICATE, .optional = true },
	{ .id = WEIGHT, .mode = DRV_INDICATE, .optional = true },
	{ .id = SIG_DATE_TIME, .mode = DRV_WRITE },
	{ .uuid128 = command_uuid, .id = COMMAND, .mode = DRV_WRITE, .optional = true },
	{ 0 },
};

/* ---- its clock ---- */

static int on_open(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct cursor c;

	s->kept_len = drv_kept(ctx, s->kept);
	c = cursor_of(s->kept, s->kept_len);
	if (s->kept_len == GATT_DATE_TIME_SIZE) {
		s->since = gatt_date_time_read(&c);
		s->has_since = gatt_date_time_valid(&s->since) && sig_is_whole(&s->since);
	}
	return drv_read(ctx, SIG_DATE_TIME);
}

static int write_date_time(struct drv_ctx *ctx, const struct gatt_date_time *time)
{
	struct state *s = drv_state(ctx);
	uint8_t data[GATT_DATE_TIME_SIZE];
	struct writer w = writer_of(data, sizeof(data));

	s->step = STEP_WRITING;
	gatt_date_time_write(time, &w);
	assert(writer_ok(&w));
	return drv_write(ctx, SIG_DATE_TIME, data, w.len);
}

/* From now on another clock: what it stamped before is recognised by this. */
static int keep_setting(struct drv_ctx *ctx, const struct gatt_date_time *hub)
{
	uint8_t data[GATT_DATE_TIME_SIZE];
	struct writer w = writer_of(data, sizeof(data));

	gatt_date_time_write(hub, &w);
	return drv_keep(ctx, data, w.len);
}

static bool runs_right(const struct gatt_date_time *device, const struct gatt_date_time *hub)
{
	const int64_t ahead =
		sig_is_whole(device) ? sig_seconds(device) - sig_seconds(hub) : INT64_MAX;

	return ahead <= SIG_CLOCK_OFF_S && ahead >= -SIG_CLOCK_OFF_S;
}

/* device: its time, or NULL: it would not tell */
static int arm(struct drv_ctx *ctx, const struct gatt_date_time *device)
{
	struct state *s = drv_state(ctx);
	struct gatt_date_time hub;
	int r = 0;

	if (!sig_local_time(ctx, &hub)) {
		if (device && sig_is_whole(device))
			return write_date_time(ctx, device);
		drv_done(ctx);
		return 0;
	}
	if (device && !runs_right(device, &hub)) {
		s->has_since = false; /* its stamps are of the clock that was read just now */
		r = keep_setting(ctx, &hub);
	}
	return r < 0 ? r : write_date_time(ctx, &hub);
}

static int on_date_time(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);
	struct gatt_date_time now;
	int r = gatt_date_time_decode(frame->data, frame->len, &now), err;

	if (s->step != STEP_READING)
		return r;
	if (r < 0) { /* a clock that says nonsense is set all the same */
		err = arm(ctx, NULL);
		return err < 0 ? err : r;
	}
	r = sig_tell_clock(ctx, &now, 0);
	return r < 0 ? r : arm(ctx, &now);
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	struct state *s = drv_state(ctx);

	(void)error;
	if (channel != SIG_DATE_TIME || s->step == STEP_REFUSED)
		return 0;
	if (s->step == STEP_READING)
		return arm(ctx, NULL);
	s->step = STEP_REFUSED; /* its clock is the one that it was */
	return drv_keep(ctx, s->kept, s->kept_len);
}

/* ---- measurements ---- */

static int emit(struct drv_ctx *ctx, struct measurement *m, bool stamped,
		const struct gatt_date_time *time)
{
	struct state *s = drv_state(ctx);
	const bool whole = stamped && sig_is_whole(time);
	int r;

	if (!whole || (s->has_since && sig_seconds(time) < sig_seconds(&s->since)))
		m->flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET) | FLAG_BIT(FLAG_BACKFILL);
	r = drv_emit(ctx, m);
	if (r < 0)
		return r;
	if (measurement_is_final(m))
		s->waits = true;
	return drv_set_timeout(ctx, 0);
}

static int on_pressure(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct gatt_blood_pressure bp;
	int r = gatt_blood_pressure_decode(frame->data, frame->len, &bp);

	if (r < 0)
		return r;
	sig_blood_pressure(&m, &bp);
	return emit(ctx, &m, bp.has_time, &bp.time);
}

static int on_weight(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };
	struct gatt_weight w;
	int r = gatt_weight_decode(frame->data, frame->len, &w);

	if (r < 0)
		return r;
	sig_weight(&m, &w);
	return emit(ctx, &m, w.has_time, &w.time);
}

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	int r = frame->channel == PRESSURE ? on_pressure(ctx, frame) : on_weight(ctx, frame);

	if (r < 0)
		s->spoiled = true;
	return r;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	switch (frame->channel) {
	case PRESSURE:
	case WEIGHT:
		return on_measurement(ctx, frame);
	case SIG_DATE_TIME:
		return on_date_time(ctx, frame);
	default:
		return sig_frame(ctx, frame);
	}
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->waits = false;
	return drv_quirks(ctx) & QUIRK_DELETE ? drv_set_timeout(ctx, SIG_QUIET_MS) : 0;
}

/* Set by a commit and by nothing else. */
static int on_timeout(struct drv_ctx *ctx)
{
	static const uint8_t delete_memory[] = { 0x02, 0x01, 0x12 };
	const struct state *s = drv_state(ctx);

	if (s->waits || s->spoiled)
		return 0;
	return drv_write(ctx, COMMAND, delete_memory, sizeof(delete_memory));
}

const struct driver driver_a_and_d = {
	.name = "a_and_d",
	.label = "A&D UA-651BLE blood pressure monitor, UC-352BLE scale",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
