/*
 * Beurer BM96 Cardio: a HID device with reports of 64 bytes. Blood pressure only: the format of its
 * electrocardiograms is not known, so these are counted and left in it.
 *
 *   we --aa f4 f4 f4 f4 f4 f4 f4-->  cuff --55 ...-->
 *      (200 ms of silence)
 *   we --a2-->                       02 01 ...   two rows of user 1, one of user 2
 *   we --a3 00 00-->                 00 00 .. 01 07 1f 0c 05 1a 02 .. 86 55 42 ...
 *                                    user 1, row 0: blood pressure, 2026-05-12 07:31, at rest,
 *                                    134/85, 66
 *   we --a3 00 01-->                 00 01 .. 02 ...     an electrocardiogram
 *   we --a3 01 00-->                 ...
 *   we --f7-->                       the end
 *
 * A row says which user and row it is, so an answer that came late is told from the one that was
 * asked for, and dropped. Reports that begin with f4 say nothing. A row that does not come ends
 * the link after three questions: what was read until then is good, the rest stays in the cuff.
 *
 * A row is known again by user, minute and values (the rows are a ring, and move), as those of the
 * other cuffs are: protocols/beurer/dialogue.h. Time: the cuff's own, to the minute; its clock can
 * be neither read nor set by us. Not at rest (haemodynamically) makes a reading questionable: so
 * its owner's tool describes that field. Nothing is ever erased.
 *
 * Source: protocols/beurer/cuff.h. Not tried on hardware.
 */
#include <errno.h>
#include <string.h>

#include "drivers/cuff.h"
#include "protocols/beurer/cuff.h"

#define USERS        2
#define ROWS_MAX     255
#define ANSWER_MS    1000
#define SILENCE_MS   200
#define ATTEMPTS_MAX 5 /* with aa: it takes its time when it is plugged in */
#define ASKED_MAX    3 /* for one row, or the counts */
#define END_MS       50
#define KEY_SIZE     8

enum step {
	STEP_HELLO = 0,
	STEP_SILENCE, /* a second 55 must not pass for the counts */
	STEP_COUNTS,
	STEP_ROWS,
	STEP_END,
	STEP_OVER,
};

struct state {
	enum step step;
	unsigned int asked; /* this question */
	uint8_t counts[USERS];
	uint8_t user, row; /* asked for */
	unsigned int n_keys;
	uint8_t keys[ROWS_MAX][KEY_SIZE]; /* of this user */
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_HID, .vid = 0x314a, .pid = 0x0102 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_REPORT, .mode = DRV_NOTIFY },
	{ 0 },
};

/* ---- questions ---- */

static int ask(struct drv_ctx *ctx, uint8_t command, unsigned int wait_ms)
{
	uint8_t report[1 + BEURER_HID_SIZE];
	struct state *s = drv_state(ctx);
	int r;

	memset(report, BEURER_IDLE, sizeof(report));
	report[0] = 0; /* the number of the report: there is one */
	report[1] = command;
	if (command == BEURER_RECORD) {
		report[2] = s->user;
		report[3] = s->row;
	}
	s->asked++;
	r = drv_write(ctx, DRV_WIRE_REPORT, report, sizeof(report));
	return r < 0 ? r : drv_set_timeout(ctx, wait_ms);
}

static int hang_up(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->step = STEP_OVER;
	drv_done(ctx);
	return drv_set_timeout(ctx, 0);
}

/* The first row that is still to be read; the end if there is none. */
static int ask_row(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->asked = 0;
	while (s->user < USERS && s->row >= s->counts[s->user]) {
		s->user++;
		s->row = 0;
		s->n_keys = 0;
	}
	if (s->user < USERS)
		return ask(ctx, BEURER_RECORD, ANSWER_MS);
	s->step = STEP_END;
	return ask(ctx, BEURER_END, END_MS);
}

/* ---- answers ---- */

static unsigned int repeats(const struct state *s, const uint8_t key[KEY_SIZE])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->n_keys; i++)
		n += memcmp(s->keys[i], key, KEY_SIZE) == 0;
	return n;
}

static int say(struct drv_ctx *ctx, const struct beurer_reading *b)
{
	/* clang-format off */
	const uint8_t key[KEY_SIZE] = {
		(uint8_t)(b->year - 2000), b->month, b->day, b->hour, b->minute,
		(uint8_t)b->systolic, (uint8_t)b->diastolic, b->pulse,
	};
	/* clang-format on */
	struct state *s = drv_state(ctx);
	struct cuff_reading x = cuff_of_beurer(b);

	x.repeat = repeats(s, key);
	memcpy(s->keys[s->n_keys++], key, KEY_SIZE);
	return cuff_emit(ctx, &x);
}

static int on_hello(struct drv_ctx *ctx, const uint8_t *data)
{
	struct state *s = drv_state(ctx);

	if (data[0] != BEURER_HERE)
		return -ENOMSG;
	s->step = STEP_SILENCE;
	return drv_set_timeout(ctx, SILENCE_MS);
}

static int ask_counts(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->step = STEP_COUNTS;
	s->asked = 0;
	return ask(ctx, BEURER_COUNT, ANSWER_MS);
}

static int on_counts(struct drv_ctx *ctx, const uint8_t *data)
{
	struct state *s = drv_state(ctx);

	memcpy(s->counts, data, USERS);
	s->step = STEP_ROWS;
	return ask_row(ctx);
}

/* A row that cannot be is passed over: it would never be another one. */
static int on_row(struct drv_ctx *ctx, const uint8_t *data, size_t len)
{
	struct state *s = drv_state(ctx);
	struct beurer_row row;
	int r, asked;

	if (data[0] != s->user || data[1] != s->row)
		return -EBADMSG;
	r = beurer_cardio_decode(data, len, &row);
	if (r >= 0 && row.sensor == BEURER_PRESSURE)
		r = say(ctx, &row.reading);
	else if (r >= 0)
		r = -ENOMSG; /* counted */
	s->row++;
	asked = ask_row(ctx);
	return asked < 0 ? asked : r;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);

	if (frame->channel != DRV_WIRE_REPORT)
		return -ENOMSG;
	if (frame->len != BEURER_CARDIO_SIZE)
		return -EMSGSIZE;
	if (frame->data[0] == BEURER_IDLE)
		return 0;
	switch (s->step) {
	case STEP_HELLO:
		return on_hello(ctx, frame->data);
	case STEP_SILENCE:
		return frame->data[0] == BEURER_HERE ? 0 : -ENOMSG;
	case STEP_COUNTS:
		return on_counts(ctx, frame->data);
	case STEP_ROWS:
		return on_row(ctx, frame->data, frame->len);
	case STEP_END: /* what it says to a farewell matters to nobody */
		return 0;
	case STEP_OVER:
		break;
	}
	return -ENOMSG;
}

static int on_open(struct drv_ctx *ctx)
{
	return ask(ctx, BEURER_HELLO, ANSWER_MS);
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	switch (s->step) {
	case STEP_HELLO: /* it may be something else */
		return s->asked < ATTEMPTS_MAX ? ask(ctx, BEURER_HELLO, ANSWER_MS) : hang_up(ctx);
	case STEP_SILENCE:
		return ask_counts(ctx);
	case STEP_COUNTS:
		return s->asked < ASKED_MAX ? ask(ctx, BEURER_COUNT, ANSWER_MS) : -ETIMEDOUT;
	case STEP_ROWS:
		return s->asked < ASKED_MAX ? ask(ctx, BEURER_RECORD, ANSWER_MS) : -ETIMEDOUT;
	case STEP_END:
		return hang_up(ctx);
	case STEP_OVER:
		break;
	}
	return 0;
}

const struct driver driver_beurer_cardio = {
	.name = "beurer_cardio",
	.label = "Beurer BM96 Cardio (blood pressure)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.timeout = on_timeout,
};
