/*
 * Omron cuffs on Bluetooth: their whole memory, by the maker's own service.
 *
 *   we   --1:01 KEY16-->                         classic (service ecbe3980): cuff 81 00
 *   we   --1:11 NONCE4, 15 x 00-->               modern (service FE4A): cuff 91 00 NONCE4
 *   we   --08 0000 0000 10 00 18-->              then frames, protocols/omron/walk.h: index, clock,
 *                                                all records; when they are durable the counters of
 *                                                unread records are reset; end
 *
 * 1 is the unlock characteristic (b305b680). Frames go to db5b55e0 and come from 49123040. A
 * classic cuff has four of each, and takes and gives a longer frame in pieces of 16 bytes, one
 * each; a modern one has the first of each.
 *
 * A classic cuff lets in who knows a key that was put into it while it showed -P-:
 *
 *   we   --1:02, 16 x 00-->   cuff 82 00: it may be put in; 82 0f: it is not in pairing mode
 *   we   --1:00 KEY16-->      cuff 80 00
 *
 * That is done where it does not know ours, or we have none. It needs the button on the cuff, and
 * puts out the key of a telephone. The key only tells that we are the one it was set up with; what
 * is read is protected by the encrypted link. It is noted on the hub before the cuff is told; the
 * one before it stays in the note until the cuff has taken the new one.
 *
 * Which memory it has is known by the model number of its Device Information. A model that is not
 * in the table, or whose name two models bear, is not read: the link ends. So does that to a cuff
 * which answers with an encrypted session (OMSEC: c0, or ff 26): that is not supported.
 *
 * Cuffs that also offer the profile of Bluetooth SIG (0x1810) are served by blood_pressure.c.
 *
 * Source: several open programs and dialogues of real cuffs that their owners published. Inferred:
 * that a new key is good on the link on which it was put in.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/omron.h"
#include "drivers/sig.h"
#include "protocols/bytes/cursor.h"

/* our numbers */
#define UNLOCK 0xb305
#define TX     0x0720 /* to 0x0723 */
#define RX     0x0730 /* to 0x0733 */

#define PIECE     16
#define PIECES    4
#define KEY_SIZE  16
#define NONCE     4
#define TOKEN_PAD 15

#define MODEL_MS   10000
#define UNLOCK_MS  3000
#define ANSWER_MS  3000
#define UNLOCKINGS 2 /* attempts at each step of it */

#define NOTE_VERSION 1
#define COMPANY      0x020e

#define QUIRK_CLASSIC 0x01 /* by the service that it offers */
#define QUIRK_MODERN  0x02

enum step {
	STEP_MODEL = 0,
	STEP_KEY,   /* is ours good? */
	STEP_OLD,   /* the one before */
	STEP_PAIR,  /* may we put one in? */
	STEP_PUT,   /* is it in? */
	STEP_TOKEN, /* does it repeat it? */
	STEP_READ,
	STEP_OVER,
};

struct note {
	bool has_key, has_old;
	uint8_t key[KEY_SIZE], old[KEY_SIZE];
};

struct state {
	struct omron_reader reader;
	enum step step;
	const struct omron_profile *profile;
	unsigned int attempts;
	bool put_in; /* a key, on this link */
	struct note note;
	uint8_t nonce[NONCE];

	size_t size; /* of the frame that is coming; 0: none */
	unsigned int pieces;
	uint8_t frame[OMRON_FRAME_MAX];
};

#define UUID(low, mid, clock)                                                                      \
	{                                                                                          \
		0x1b, 0xc5, 0xd5, 0xa5, 0x02, 0x00, (clock)&0xff, (clock) >> 8, 0xe1, 0x11,        \
			(mid)&0xff, (mid) >> 8, (low)&0xff, (low) >> 8 & 0xff, (low) >> 16 & 0xff, \
			(low) >> 24                                                                \
	}

static const uint8_t service_uuid[16] = UUID(0xecbe3980U, 0xc9a2, 0xb1bd);
static const uint8_t unlock_uuid[16] = UUID(0xb305b680U, 0xaee7, 0xa730);
static const uint8_t tx_uuids[PIECES][16] = {
	UUID(0xdb5b55e0U, 0xaee7, 0x965e),
	UUID(0xe0b8a060U, 0xaee7, 0x92f4),
	UUID(0x0ae12b00U, 0xaee8, 0xa192),
	UUID(0x10e1ba60U, 0xaee8, 0x89e5),
};
static const uint8_t rx_uuids[PIECES][16] = {
	UUID(0x49123040U, 0xaee8, 0xa74d),
	UUID(0x4d0bf320U, 0xaee8, 0xa0d9),
	UUID(0x5128ce60U, 0xaee8, 0xb84b),
	UUID(0x560f1420U, 0xaee8, 0x8184),
};

/* Below the services of the standard: where there is one of those, it is surer. */
static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0xfe4a, .rank = 7, .quirks = QUIRK_MODERN },
	{ .bus = DRV_BUS_BLE, .service_uuid128 = service_uuid, .rank = 6, .quirks = QUIRK_CLASSIC },
	{ .bus = DRV_BUS_BLE, .company = COMPANY, .rank = 5 },
	{ 0 },
};

/* The model comes last, when it may be asked. */
static const struct drv_channel channels[] = {
	SIG_READ(SIG_MAKER),
	SIG_READ(SIG_SERIAL),
	SIG_READ(SIG_FIRMWARE),
	SIG_READ(SIG_HARDWARE),
	SIG_READ(SIG_BATTERY_LEVEL),
	SIG_READ(SIG_CURRENT_TIME),
	{ .uuid128 = tx_uuids[0], .id = TX, .mode = DRV_WRITE },
	{ .uuid128 = tx_uuids[1], .id = TX + 1, .mode = DRV_WRITE, .optional = true },
	{ .uuid128 = tx_uuids[2], .id = TX + 2, .mode = DRV_WRITE, .optional = true },
	{ .uuid128 = tx_uuids[3], .id = TX + 3, .mode = DRV_WRITE, .optional = true },
	{ .uuid128 = rx_uuids[0], .id = RX, .mode = DRV_NOTIFY },
	{ .uuid128 = rx_uuids[1], .id = RX + 1, .mode = DRV_NOTIFY, .optional = true },
	{ .uuid128 = rx_uuids[2], .id = RX + 2, .mode = DRV_NOTIFY, .optional = true },
	{ .uuid128 = rx_uuids[3], .id = RX + 3, .mode = DRV_NOTIFY, .optional = true },
	{ .uuid128 = unlock_uuid, .id = UNLOCK, .mode = DRV_NOTIFY, .optional = true },
	SIG_READ(SIG_MODEL),
	{ 0 },
};

static bool is_modern(const struct drv_ctx *ctx, const struct omron_profile *p)
{
	const uint32_t quirks = drv_quirks(ctx);

	if (quirks & (QUIRK_CLASSIC | QUIRK_MODERN))
		return quirks & QUIRK_MODERN;
	return p && p->modern;
}

static int hang_up(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	s->step = STEP_OVER;
	drv_done(ctx);
	return drv_set_timeout(ctx, 0);
}

/* What it answered ends the dialogue, and is counted. */
static int end_with(struct drv_ctx *ctx, int fault)
{
	(void)hang_up(ctx);
	return fault;
}

/* ---- frames in pieces ---- */

static int send(struct drv_ctx *ctx, const uint8_t *frame, size_t len)
{
	const struct state *s = drv_state(ctx);
	int r = 0;

	if (is_modern(ctx, s->profile))
		return drv_write(ctx, TX, frame, len);
	for (size_t i = 0; i * PIECE < len && r == 0; i++) {
		const size_t left = len - i * PIECE;

		r = drv_write(ctx, (uint16_t)(TX + i), frame + i * PIECE,
			      left < PIECE ? left : PIECE);
	}
	return r;
}

static int begin_frame(struct state *s, const struct drv_frame *frame)
{
	s->size = 0;
	if (frame->len == 0)
		return -EMSGSIZE;
	if (frame->data[0] < OMRON_FRAME_MIN || frame->data[0] > OMRON_FRAME_MAX)
		return -EMSGSIZE;
	s->size = frame->data[0];
	s->pieces = 0;
	return 0;
}

/* 1: the frame is whole */
static int add_piece(struct state *s, const struct drv_frame *frame)
{
	const unsigned int i = frame->channel - RX;
	size_t at, n;

	if (i == 0) {
		int r = begin_frame(s, frame);

		if (r < 0)
			return r;
	}
	at = (size_t)i * PIECE;
	if (s->size <= at)
		return -ENOMSG; /* of a frame whose beginning never came */
	n = s->size - at;
	/* a modern cuff says it in one; a piece of a classic one may be filled up */
	if (frame->len < n && frame->len != PIECE)
		return -EMSGSIZE;
	n = frame->len < n ? frame->len : n;
	memcpy(s->frame + at, frame->data, n);
	for (size_t k = 0; k * PIECE < n; k++)
		s->pieces |= 1u << (i + k);
	return s->pieces == (1u << (s->size + PIECE - 1) / PIECE) - 1;
}

/* ---- getting in ---- */

static int keep(struct drv_ctx *ctx, const struct note *n)
{
	uint8_t data[DRV_KEPT_MAX];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, NOTE_VERSION);
	writer_bytes(&w, n->key, KEY_SIZE);
	if (n->has_old)
		writer_bytes(&w, n->old, KEY_SIZE);
	assert(writer_ok(&w));
	return drv_keep(ctx, data, w.len);
}

static void read_note(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[DRV_KEPT_MAX];
	struct cursor c = cursor_of(data, drv_kept(ctx, data));
	const uint8_t *key, *old;

	if (cursor_u8(&c) != NOTE_VERSION)
		return;
	key = cursor_bytes(&c, KEY_SIZE);
	if (!key)
		return;
	s->note.has_key = true;
	memcpy(s->note.key, key, KEY_SIZE);
	old = cursor_bytes(&c, KEY_SIZE);
	s->note.has_old = old != NULL;
	if (old)
		memcpy(s->note.old, old, KEY_SIZE);
}

static int unlock_with(struct drv_ctx *ctx, uint8_t command, const uint8_t key[KEY_SIZE])
{
	uint8_t data[1 + KEY_SIZE] = { command };
	int r;

	if (key)
		memcpy(data + 1, key, KEY_SIZE);
	r = drv_write(ctx, UNLOCK, data, sizeof(data));
	return r < 0 ? r : drv_set_timeout(ctx, UNLOCK_MS);
}

static int ask_token(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	uint8_t data[1 + NONCE + TOKEN_PAD] = { 0x11 };
	int r;

	r = drv_random(ctx, s->nonce, sizeof(s->nonce));
	if (r < 0)
		return r;
	memcpy(data + 1, s->nonce, sizeof(s->nonce));
	r = drv_write(ctx, UNLOCK, data, sizeof(data));
	return r < 0 ? r : drv_set_timeout(ctx, UNLOCK_MS);
}

static int begin_reading(struct drv_ctx *ctx)
{
	const unsigned int allowed = drv_quirks(ctx) & OMRON_QUIRK_SET_CLOCK
					     ? OMRON_MAY_RESET | OMRON_MAY_SET_CLOCK
					     : OMRON_MAY_RESET;
	struct state *s = drv_state(ctx);

	s->step = STEP_READ;
	s->reader.send = send;
	s->reader.answer_ms = ANSWER_MS;
	return omron_reader_begin(ctx, &s->reader, s->profile, allowed, OMRON_ATTEMPTS);
}

static int take_step(struct drv_ctx *ctx, enum step step)
{
	struct state *s = drv_state(ctx);

	if (s->step != step)
		s->attempts = 0;
	s->step = step;
	switch (step) {
	case STEP_KEY:
		return unlock_with(ctx, 0x01, s->note.key);
	case STEP_OLD:
		return unlock_with(ctx, 0x01, s->note.old);
	case STEP_PAIR:
		return unlock_with(ctx, 0x02, NULL);
	case STEP_PUT:
		return unlock_with(ctx, 0x00, s->note.key);
	case STEP_TOKEN:
		return ask_token(ctx);
	case STEP_READ:
		return begin_reading(ctx);
	case STEP_MODEL:
	case STEP_OVER:
		break;
	}
	return 0;
}

/* Noted before the cuff is asked, so that no death between two steps loses what it then knows. */
static int begin_pairing(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct note next = { .has_key = true };
	int r;

	if (s->put_in) /* it took a key and does not know it */
		return end_with(ctx, -ENOMSG);
	next.has_old = s->note.has_key;
	if (next.has_old)
		memcpy(next.old, s->note.key, KEY_SIZE);
	r = drv_random(ctx, next.key, KEY_SIZE);
	if (r < 0)
		return r;
	s->note = next;
	r = keep(ctx, &s->note);
	return r < 0 ? r : take_step(ctx, STEP_PAIR);
}

static int on_key_good(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = 0;

	if (s->step == STEP_OLD) { /* the new one was never put in */
		memcpy(s->note.key, s->note.old, KEY_SIZE);
		s->note.has_old = false;
		r = keep(ctx, &s->note);
	}
	return r < 0 ? r : take_step(ctx, STEP_READ);
}

/* it does not know the key that we tried */
static int on_wrong_key(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	if (s->step == STEP_KEY && s->note.has_old)
		return take_step(ctx, STEP_OLD);
	return begin_pairing(ctx);
}

static int on_key_taken(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	s->put_in = true;
	s->note.has_old = false;
	r = keep(ctx, &s->note);
	return r < 0 ? r : take_step(ctx, STEP_KEY);
}

static bool is_token(const struct state *s, const struct drv_frame *frame)
{
	return frame->len >= 2 + NONCE && frame->data[1] == 0 &&
	       memcmp(frame->data + 2, s->nonce, NONCE) == 0;
}

static bool is_encrypted(const struct drv_frame *frame)
{
	return frame->len >= 2 &&
	       (frame->data[0] == 0xc0 || (frame->data[0] == 0xff && frame->data[1] == 0x26));
}

static int on_encrypted(struct drv_ctx *ctx)
{
	drv_news(ctx, DRV_NEWS_MODEL_NOT_SUPPORTED);
	return end_with(ctx, -ENOMSG);
}

/* It takes a new key only while somebody lets it. */
static int on_pairing(struct drv_ctx *ctx, bool allowed)
{
	if (allowed)
		return take_step(ctx, STEP_PUT);
	drv_news(ctx, DRV_NEWS_PRESS_BUTTON);
	return end_with(ctx, -ENOMSG);
}

static int on_unlock(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);

	if (is_encrypted(frame))
		return on_encrypted(ctx);
	if (frame->len < 2)
		return -EMSGSIZE;
	switch (frame->data[0]) {
	case 0x81:
		if (s->step != STEP_KEY && s->step != STEP_OLD)
			return -ENOMSG;
		return frame->data[1] == 0 ? on_key_good(ctx) : on_wrong_key(ctx);
	case 0x82:
		if (s->step != STEP_PAIR)
			return -ENOMSG;
		return on_pairing(ctx, frame->data[1] == 0);
	case 0x80:
		if (s->step != STEP_PUT)
			return -ENOMSG;
		return frame->data[1] == 0 ? on_key_taken(ctx) : end_with(ctx, -ENOMSG);
	case 0x91:
		if (s->step != STEP_TOKEN || !is_token(s, frame))
			return -ENOMSG;
		return take_step(ctx, STEP_READ);
	default:
		return -ENOMSG;
	}
}

/* ---- events ---- */

static size_t text_length(const struct drv_frame *frame)
{
	size_t n = frame->len;

	while (n > 0 && (frame->data[n - 1] == '\0' || frame->data[n - 1] == ' '))
		n--;
	return n;
}

static int begin(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (!s->profile) {
		drv_news(ctx, DRV_NEWS_MODEL_NOT_SUPPORTED);
		return hang_up(ctx);
	}
	if (is_modern(ctx, s->profile))
		return take_step(ctx,
				 s->profile->unlock == OMRON_UNLOCK_NONE ? STEP_READ : STEP_TOKEN);
	return s->note.has_key ? take_step(ctx, STEP_KEY) : begin_pairing(ctx);
}

static int on_model(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	const bool modern = drv_quirks(ctx) & QUIRK_MODERN;
	int r = sig_frame(ctx, frame);

	if (r < 0 || s->step != STEP_MODEL)
		return r;
	s->profile = omron_profile_by_name(frame->data, text_length(frame), modern);
	return begin(ctx);
}

static int on_open(struct drv_ctx *ctx)
{
	read_note(ctx);
	return drv_set_timeout(ctx, MODEL_MS);
}

static int on_piece(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	size_t size;
	int r;

	if (frame->channel == RX && is_encrypted(frame))
		return on_encrypted(ctx);
	if (s->step != STEP_READ)
		return -ENOMSG;
	r = add_piece(s, frame);
	if (r <= 0)
		return r;
	size = s->size;
	s->size = 0;
	return omron_reader_frame(ctx, &s->reader, s->frame, size);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	if (frame->channel == UNLOCK)
		return on_unlock(ctx, frame);
	if (frame->channel >= RX && frame->channel < RX + PIECES)
		return on_piece(ctx, frame);
	if (frame->channel == SIG_MODEL)
		return on_model(ctx, frame);
	return sig_frame(ctx, frame);
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	return s->step == STEP_READ ? omron_reader_committed(ctx, &s->reader) : 0;
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->step == STEP_READ)
		return omron_reader_timeout(ctx, &s->reader);
	if (s->step == STEP_MODEL)
		return hang_up(ctx); /* it has no model number */
	if (s->step == STEP_OVER)
		return 0;
	if (++s->attempts < UNLOCKINGS)
		return take_step(ctx, s->step);
	/* some modern cuffs know no token, and their memory is open */
	return s->step == STEP_TOKEN ? take_step(ctx, STEP_READ) : -ETIMEDOUT;
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	const struct state *s = drv_state(ctx);

	(void)error;
	if (channel == UNLOCK && s->step == STEP_TOKEN)
		return take_step(ctx, STEP_READ);
	if (channel == UNLOCK || (channel >= TX && channel < TX + PIECES))
		return -EACCES;
	return channel == SIG_MODEL && s->step == STEP_MODEL ? hang_up(ctx) : 0;
}

const struct driver driver_omron_ble = {
	.name = "omron_ble",
	.label = "Omron with Bluetooth: M400, M500, M700 Intelli IT, RS3, RS7, Evolv, X2, X4, X7 "
		 "(HEM-7155T, HEM-7361T, HEM-7322T, HEM-6161T, HEM-6232T, HEM-7600T and others)",
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
