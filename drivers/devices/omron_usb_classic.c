/*
 * Omron cuffs on USB, first generation, 0590:0028: HEM-790IT, M10-IT, BP791IT and relatives. A
 * pedometer has the same number; so each is asked what it is, and one that is not known is left.
 *
 *   we   --feature 01 01-->, zeros until OK          about the device
 *   we   --VER00--> model     --SRL00--> its serial number
 *   we   --feature 74 bc-->, zeros until OK          readings
 *   we   --GDC bank--> number   --GME bank i--> reading, for each bank, the oldest first
 *   we   --END-->                                    once all of it is durable: it switches off
 *
 * HEM-7301-ITKE7 (feature 00 00) has CNT and MES in place of GDC and GME, no banks, and GCL, its
 * clock. Commands and answers: protocols/omron/classic.h. "NO" and silence: asked again, five
 * times. The command that erases the memory is never sent; nothing is written, and nothing
 * acknowledged.
 *
 * The index of a reading changes with each new one: it is known again by time and values. Three
 * measurements of one series (TruRead) are three readings, as the cuff shows them.
 *
 * The serial number counts only if it looks like one: of the only one that was published all bytes
 * but one are 0, and two cuffs must not be taken for one.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/omron.h"
#include "drivers/sig.h"
#include "protocols/omron/classic.h"

#define ANSWER_MS   1000
#define ATTEMPTS    5
#define LOST_IN_ROW 3
#define NUMBERLESS  0 /* its reports have no number */
#define SERIAL_MIN  3 /* bytes that are not 0 */

enum step {
	STEP_WAKE = 0,
	STEP_VERSION,
	STEP_SERIAL,
	STEP_MODE,
	STEP_CLOCK,
	STEP_COUNT,
	STEP_READING,
	STEP_COMMIT,
	STEP_OFF,
	STEP_OVER,
};

struct state {
	enum step step;
	unsigned int attempts, lost_in_row;
	const struct omron_classic_model *model;
	uint8_t bank;
	unsigned int left; /* readings of the bank; the next one is left - 1 */
	bool waits, left_out;
	struct omron_classic_answer answer;
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_HID, .vid = 0x0590, .pid = 0x0028 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_REPORT, .mode = DRV_NOTIFY },
	{ .id = DRV_WIRE_FEATURE, .mode = DRV_WRITE },
	{ 0 },
};

/* ---- questions ---- */

static bool is_single(const struct state *s)
{
	return s->model && s->model->banks == 0;
}

static enum omron_classic_command command_of(const struct state *s)
{
	switch (s->step) {
	case STEP_VERSION:
		return OMRON_ASK_VER;
	case STEP_SERIAL:
		return OMRON_ASK_SRL;
	case STEP_CLOCK:
		return OMRON_ASK_GCL;
	case STEP_COUNT:
		return is_single(s) ? OMRON_ASK_CNT : OMRON_ASK_GDC;
	case STEP_READING:
		return is_single(s) ? OMRON_ASK_MES : OMRON_ASK_GME;
	case STEP_OFF:
		return OMRON_ASK_OFF;
	case STEP_WAKE:
	case STEP_MODE:
	case STEP_COMMIT:
	case STEP_OVER:
		break;
	}
	return OMRON_ASK_CLEAR;
}

static int send(struct drv_ctx *ctx, const uint8_t *data, size_t len)
{
	int r = 0;

	for (size_t at = 0; at < len && r == 0; at += OMRON_REPORT_DATA) {
		const size_t left = len - at;
		const size_t n = left < OMRON_REPORT_DATA ? left : OMRON_REPORT_DATA;
		uint8_t report[1 + OMRON_REPORT_SIZE] = { NUMBERLESS, (uint8_t)n };

		memcpy(report + 2, data + at, n);
		r = drv_write(ctx, DRV_WIRE_REPORT, report, sizeof(report));
	}
	return r;
}

static int ask(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const enum omron_classic_command command = command_of(s);
	const uint8_t index = s->step == STEP_READING ? (uint8_t)(s->left - 1) : 0;
	const bool is_short = s->model && s->model->layout == OMRON_GME_SHORT;
	uint8_t data[2 * OMRON_REPORT_DATA];
	struct writer w = writer_of(data, sizeof(data));
	int r = omron_classic_encode(command, s->bank, index, &w);

	assert(r == 0); /* made here, and it fits */
	omron_classic_expect(&s->answer, command, is_short);
	if (r == 0)
		r = send(ctx, data, w.len);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_MS);
}

static int set_mode(struct drv_ctx *ctx, uint8_t first, uint8_t second)
{
	const uint8_t mode[] = { NUMBERLESS, first, second };

	return drv_write(ctx, DRV_WIRE_FEATURE, mode, sizeof(mode));
}

static int hang_up(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	const struct measurement m = { .metric = METRIC_BLOOD_PRESSURE,
				       .flags = FLAG_BIT(FLAG_UNAVAILABLE) };
	int r = 0;

	s->step = STEP_OVER;
	drv_done(ctx);
	if (s->left_out) /* news of the device: not all of its memory could be read */
		r = drv_emit(ctx, &m);
	return r < 0 ? r : drv_set_timeout(ctx, 0);
}

/* ---- the dialogue ---- */

static int take_step(struct drv_ctx *ctx, enum step step)
{
	struct state *s = drv_state(ctx);
	int r = 0;

	s->step = step;
	s->attempts = 0;
	if (step == STEP_OVER)
		return hang_up(ctx);
	if (step == STEP_COMMIT && s->waits)
		return drv_set_timeout(ctx, 0);
	if (step == STEP_COMMIT)
		s->step = STEP_OFF;
	if (step == STEP_WAKE)
		r = set_mode(ctx, 0x01, 0x01);
	else if (step == STEP_MODE)
		r = is_single(s) ? set_mode(ctx, 0x00, 0x00) : set_mode(ctx, 0x74, 0xbc);
	return r < 0 ? r : ask(ctx);
}

static int next_bank(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->bank + 1U >= s->model->banks)
		return take_step(ctx, STEP_COMMIT);
	s->bank++;
	return take_step(ctx, STEP_COUNT);
}

static int next_reading(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->left == 0)
		return next_bank(ctx);
	return take_step(ctx, STEP_READING);
}

static int on_version(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	const uint8_t *text = s->answer.data + 3;
	int r = drv_fact(ctx, DRV_FIRMWARE, text, OMRON_VERSION_LENGTH);

	if (r < 0)
		return r;
	s->model = omron_classic_model(text, OMRON_VERSION_LENGTH);
	if (!s->model) { /* a pedometer, or a cuff that nobody has described */
		drv_news(ctx, DRV_NEWS_MODEL_NOT_SUPPORTED);
		return take_step(ctx, STEP_OVER);
	}
	r = drv_fact(ctx, DRV_MODEL, s->model->name, strlen(s->model->name));
	return r < 0 ? r : take_step(ctx, STEP_SERIAL);
}

static int on_serial(struct drv_ctx *ctx)
{
	static const char digits[] = "0123456789abcdef";
	struct state *s = drv_state(ctx);
	char text[2 * OMRON_SERIAL_LENGTH];
	size_t telling = 0;
	bool differs = false;
	int r = 0;

	for (size_t i = 0; i < OMRON_SERIAL_LENGTH; i++) {
		const uint8_t byte = s->answer.data[3 + i];

		telling += byte != 0;
		differs = differs || byte != s->answer.data[3];
		text[2 * i] = digits[byte >> 4];
		text[2 * i + 1] = digits[byte & 0xf];
	}
	if (telling >= SERIAL_MIN && differs)
		r = drv_fact(ctx, DRV_SERIAL, text, sizeof(text));
	return r < 0 ? r : take_step(ctx, STEP_MODE);
}

static int on_clock(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);
	struct gatt_date_time now;

	if (omron_classic_clock(&s->answer, &now) == 0) {
		int r = sig_tell_clock(ctx, &now, 0);

		if (r < 0)
			return r;
	}
	return take_step(ctx, STEP_COUNT);
}

static int on_count(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = omron_classic_count(&s->answer, command_of(s), &s->left);

	return r < 0 ? r : next_reading(ctx);
}

static int say_reading(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	struct omron_record x;
	int r = omron_record_decode(s->model->layout, s->answer.data + 3, s->answer.len - 3, &x);

	if (r == -ENODATA)
		return 0;
	if (r < 0)
		return r;
	omron_measure(&m, &x, (uint8_t)(s->bank + 1));
	if (s->model->banks < 2)
		m.has_user_slot = false;
	if (measurement_is_final(&m))
		s->waits = true;
	return drv_emit(ctx, &m);
}

static int on_reading(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = say_reading(ctx);

	if (r < 0)
		return r;
	s->lost_in_row = 0;
	s->left--;
	return next_reading(ctx);
}

/* Five times NO, nonsense or nothing. */
static int give_up(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->step == STEP_SERIAL)
		return take_step(ctx, STEP_MODE);
	if (s->step == STEP_CLOCK)
		return take_step(ctx, STEP_COUNT);
	if (s->step == STEP_OFF) /* some are off before they have said so */
		return take_step(ctx, STEP_OVER);
	if (s->step != STEP_READING || ++s->lost_in_row == LOST_IN_ROW)
		return -ETIMEDOUT;
	s->left_out = true;
	s->left--;
	return next_reading(ctx);
}

static int ask_again(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	return ++s->attempts < ATTEMPTS ? ask(ctx) : give_up(ctx);
}

static int on_answer(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	switch (s->step) {
	case STEP_WAKE:
		return take_step(ctx, STEP_VERSION);
	case STEP_VERSION:
		return on_version(ctx);
	case STEP_SERIAL:
		return on_serial(ctx);
	case STEP_MODE:
		return take_step(ctx, is_single(s) ? STEP_CLOCK : STEP_COUNT);
	case STEP_CLOCK:
		return on_clock(ctx);
	case STEP_COUNT:
		return on_count(ctx);
	case STEP_READING:
		return on_reading(ctx);
	case STEP_OFF:
		return take_step(ctx, STEP_OVER);
	case STEP_COMMIT:
	case STEP_OVER:
		break;
	}
	return -ENOMSG;
}

/* ---- events ---- */

static int on_open(struct drv_ctx *ctx)
{
	int r = drv_fact(ctx, DRV_MAKE, "Omron", strlen("Omron"));

	return r < 0 ? r : take_step(ctx, STEP_WAKE);
}

/* It has no such thing, or is busy. */
static int on_no(struct drv_ctx *ctx)
{
	int r = ask_again(ctx);

	if (r != -ETIMEDOUT)
		return r;
	drv_done(ctx);
	return -ENOMSG;
}

static bool is_spoiling(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG || r == -ERANGE;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	enum omron_classic_status status = OMRON_ANSWER_OK;
	int r, e;

	if (frame->channel != DRV_WIRE_REPORT || s->step == STEP_COMMIT || s->step == STEP_OVER)
		return -ENOMSG;
	r = omron_classic_report(&s->answer, frame->data, frame->len, &status);
	if (r == 0)
		return drv_set_timeout(ctx, ANSWER_MS);
	if (r > 0)
		r = status == OMRON_ANSWER_NO ? on_no(ctx) : on_answer(ctx);
	if (!is_spoiling(r))
		return r;
	e = ask_again(ctx);
	if (e != -ETIMEDOUT)
		return e < 0 ? e : r;
	drv_done(ctx);
	return r;
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->waits = false;
	return s->step == STEP_COMMIT ? take_step(ctx, STEP_COMMIT) : 0;
}

static int on_timeout(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	if (s->step == STEP_COMMIT || s->step == STEP_OVER)
		return 0;
	return ask_again(ctx);
}

const struct driver driver_omron_usb_classic = {
	.name = "omron_usb_classic",
	.label = "Omron on USB, first generation: M10-IT, HEM-790IT, BP791IT, HEM-670IT, 1500PRO",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
};
