/*
 * Fitbit trackers by their own radio: service adabfb00-6e7d-4601-bda2-bffaa68956ba. One packet of
 * protocols/fitbit/message.h is one value.
 *
 *   we --adabfb02: c0 0a 000a 0008 0010 0000 00c8 01-->  tracker --adabfb01--> c0, c0 14 ... ID 6
 *   we --c0 10 0d-->                                     c0 41 0d; data; c0 42 0d CRC LENGTH
 *   (all of it is checked, said, and durable)
 *   we --c0 01-->                                        c0 01, on every way out
 *
 * adabfb02 takes Write Commands only: nothing says that one has come, but what the tracker
 * answers. Nothing is uploaded, set or deleted, so it says the same again each time, which the
 * gateway knows again, and what was cut off comes whole with the next link. The airlink is held
 * until all is said, as it is while the maker's own client talks to its server: a tracker that
 * ends the link when it is closed would otherwise cut off the end of a long dump each time.
 *
 * Which tracker: the one that was enrolled, by its address. What is kept is 02 NEXT u32 NEWS u8,
 * and once a whole dump was said ID 6 and SERIAL 6 behind it: the name that it had in c0 14 and
 * the serial number in that dump. A tracker that later bears another of them is not read. The
 * serial number is its identity, so what its base station brings is known again.
 *
 * It is in reach all day and says all of its memory each time, so it is left alone until NEXT
 * (seconds of the hub's monotonic clock; one beyond REST_S from now is of an earlier boot): a
 * quarter of an hour after a dump, a minute after one that failed. NEWS (enum drv_news, 0: none)
 * is what was wrong last, and is still true while nothing is asked.
 *
 * An encrypted dump is read with its owner's key: drv_key(), under its serial number, 12
 * lower-case hexadecimal digits; without it that is news, and nothing of it is kept.
 *
 * Where the owner asked for it (drivers/fitbit_login.h), the visit goes on once the dump is durable
 * and noted, so that nothing of it hangs on what follows:
 *
 *   we --c0 50 ...-->  c0 51 ...;  we --c0 52 ...-->  c0 02;  we --c0 01-->  c0 01
 *   we read 558dfa01-4fa8-4105-9f02-4eaa93e62980: one heart rate, if there is one
 *
 * A login that was refused is left alone for the next four visits, and is news meanwhile: how often
 * a tracker takes a wrong one is not known. SKIP u8 behind the note counts them down. Clients are
 * seen to drop the subscription of adabfb01 and to subscribe to 558dfa01 before they read it; here
 * it is read without, which is a guess. What is refused there is the end of the visit.
 *
 * Source: the maker has published nothing. Two open clients for the messages and their order; the
 * properties of the characteristics from one listing of a Charge 2. Not tried on hardware.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/fitbit_login.h"
#include "drivers/fitbit_sync.h"
#include "protocols/bytes/cursor.h"

/* our numbers for adabfb01-..., adabfb02-..., 558dfa01-... */
#define ANSWER  0xfb01
#define COMMAND 0xfb02
#define LIVE    0xfa01

#define REST_S     900
#define AGAIN_S    60
#define REST_MS    100
#define AIRLINK_MS 20000 /* the field's 10 s, and the subscriptions before it */
#define DUMP_MS    10000 /* for the next bytes of it */
#define SAY_MS     5000  /* for the commit, if anything waits for it */
#define CLOSE_MS   2000
#define LOGIN_MS   10000
#define LIVE_MS    5000

#define LOGIN_SKIPS 4

#define KEPT_VERSION 0x02
#define KEPT_BOUND   (6 + FITBIT_ID_SIZE + FITBIT_SERIAL_SIZE)
#define KEPT_MAX     (KEPT_BOUND + 1)

enum step {
	STEP_REST = 0, /* nothing is to be asked on this link */
	STEP_AIRLINK,
	STEP_DUMP,
	STEP_SAY,
	STEP_LOGIN,
	STEP_ANSWER,
	STEP_CLOSE,
	STEP_LIVE,
	STEP_OVER,
};

static const unsigned int step_ms[] = {
	[STEP_REST] = REST_MS,   [STEP_AIRLINK] = AIRLINK_MS, [STEP_DUMP] = DUMP_MS,
	[STEP_SAY] = SAY_MS,     [STEP_LOGIN] = LOGIN_MS,     [STEP_ANSWER] = LOGIN_MS,
	[STEP_CLOSE] = CLOSE_MS, [STEP_LIVE] = LIVE_MS,       [STEP_OVER] = 0,
};

struct note {
	uint32_t next;
	uint8_t news; /* enum drv_news, or 0 */
	bool bound;
	uint8_t id[FITBIT_ID_SIZE], serial[FITBIT_SERIAL_SIZE];
	uint8_t skip; /* visits without a login */
};

struct tracker {
	enum step step;
	bool timer; /* the step's, to be set when the callback is through */
	bool airlinked;
	bool logged_in;
	enum drv_news trouble; /* why it was not read, or 0 */
	struct note note;
	uint8_t id[FITBIT_ID_SIZE], serial[FITBIT_SERIAL_SIZE]; /* of this visit */
	struct fitbit_sync sync;
};

/* adabfb00, 01, 02-6e7d-4601-bda2-bffaa68956ba */
#define UUID(n)                                                                                    \
	{                                                                                          \
		0xba, 0x56, 0x89, 0xa6, 0xfa, 0xbf, 0xa2, 0xbd, 0x01, 0x46, 0x7d, 0x6e, (n), 0xfb, \
			0xab, 0xad                                                                 \
	}
static const uint8_t service_uuid[16] = UUID(0x00);
static const uint8_t answer_uuid[16] = UUID(0x01);
static const uint8_t command_uuid[16] = UUID(0x02);
static const uint8_t live_uuid[16] = { 0x80, 0x29, 0xe6, 0x93, 0xaa, 0x4e, 0x02, 0x9f,
				       0x05, 0x41, 0xa8, 0x4f, 0x01, 0xfa, 0x8d, 0x55 };

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service_uuid128 = service_uuid, .rank = 26 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .uuid128 = command_uuid, .id = COMMAND, .mode = DRV_WRITE },
	{ .uuid128 = answer_uuid, .id = ANSWER, .mode = DRV_NOTIFY },
	/* resolved only: it is read after a login, and never subscribed to */
	{ .uuid128 = live_uuid, .id = LIVE, .mode = DRV_WRITE, .optional = true },
	{ 0 },
};

/* ---- the note ---- */

static uint32_t seconds_now(const struct drv_ctx *ctx)
{
	return (uint32_t)(drv_now(ctx) / 1000000);
}

static int keep_note(struct drv_ctx *ctx, struct tracker *t, uint32_t rest_s)
{
	uint8_t data[KEPT_MAX];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, KEPT_VERSION);
	writer_le32(&w, seconds_now(ctx) + rest_s);
	writer_u8(&w, t->note.news);
	if (t->note.bound) {
		writer_bytes(&w, t->note.id, sizeof(t->note.id));
		writer_bytes(&w, t->note.serial, sizeof(t->note.serial));
	}
	if (t->note.skip > 0)
		writer_u8(&w, t->note.skip);
	assert(writer_ok(&w));
	return drv_keep(ctx, data, w.len);
}

static void read_note(struct drv_ctx *ctx, struct note *n)
{
	uint8_t data[DRV_KEPT_MAX];
	struct cursor c = cursor_of(data, drv_kept(ctx, data));
	const uint8_t *id = NULL, *serial = NULL;

	*n = (struct note){ 0 };
	if (cursor_u8(&c) != KEPT_VERSION)
		return;
	n->next = cursor_le32(&c);
	n->news = cursor_u8(&c);
	if (n->news >= DRV_NEWS_END)
		n->news = 0;
	if (cursor_left(&c) > 1) {
		id = cursor_bytes(&c, sizeof(n->id));
		serial = cursor_bytes(&c, sizeof(n->serial));
	}
	if (cursor_left(&c) > 0)
		n->skip = cursor_u8(&c);
	n->bound = id && serial && cursor_at_end(&c);
	if (!n->bound)
		return;
	memcpy(n->id, id, sizeof(n->id));
	memcpy(n->serial, serial, sizeof(n->serial));
}

static bool may_ask(const struct drv_ctx *ctx, const struct note *n)
{
	const uint32_t now = seconds_now(ctx);

	return now >= n->next || n->next - now > REST_S;
}

/* ---- the steps ---- */

static int send(struct drv_ctx *ctx, const uint8_t *packet, size_t len)
{
	return drv_write(ctx, COMMAND, packet, len);
}

/* A failure is noted here, since what a spoiled frame wants to be kept is dropped. What was wrong
 * before may be so still. */
static int hang_up(struct drv_ctx *ctx, struct tracker *t)
{
	drv_done(ctx);
	if (!t->trouble)
		return 0;
	drv_news(ctx, t->trouble);
	if (t->note.news != 0)
		drv_news(ctx, (enum drv_news)t->note.news);
	return keep_note(ctx, t, AGAIN_S);
}

static int enter(struct drv_ctx *ctx, struct tracker *t, enum step step)
{
	/* as phones say it: 10 to 20 ms, no latency, 2 s */
	static const struct fitbit_airlink airlink = { .value = 10,
						       .interval_min = 8,
						       .interval_max = 16,
						       .supervision = 200,
						       .has_last = true,
						       .last = 1 };
	uint8_t packet[FITBIT_PACKET_MAX];
	size_t len;

	t->step = step;
	t->timer = true;
	switch (step) {
	case STEP_AIRLINK:
		t->airlinked = true;
		len = fitbit_sync_airlink(&airlink, packet);
		return send(ctx, packet, len);
	case STEP_DUMP:
		len = fitbit_sync_ask(ctx, &t->sync, packet);
		return send(ctx, packet, len);
	case STEP_CLOSE:
		t->airlinked = false;
		len = fitbit_sync_close(packet);
		return send(ctx, packet, len);
	case STEP_LIVE:
		return drv_read(ctx, LIVE);
	case STEP_OVER:
		return hang_up(ctx, t);
	case STEP_REST:
	case STEP_SAY:
	case STEP_LOGIN:
	case STEP_ANSWER:
		break;
	}
	return 0;
}

/* Sets the timer of the step, once whatever the callback did. */
static int leave(struct drv_ctx *ctx, struct tracker *t, int r)
{
	const int e = t->timer ? drv_set_timeout(ctx, step_ms[t->step]) : 0;

	t->timer = false;
	return r < 0 ? r : e;
}

/* Whatever is open is closed. */
static int tear_down(struct drv_ctx *ctx, struct tracker *t)
{
	return enter(ctx, t, t->airlinked ? STEP_CLOSE : STEP_OVER);
}

static int fail(struct drv_ctx *ctx, struct tracker *t, enum drv_news trouble)
{
	t->trouble = trouble;
	return tear_down(ctx, t);
}

static int fail_now(struct drv_ctx *ctx, struct tracker *t)
{
	return fail(ctx, t, DRV_NEWS_NOT_READ);
}

/* Noted at once: a tracker may end the link when the airlink is closed. */
static int note_news(struct drv_ctx *ctx, struct tracker *t, enum drv_news news)
{
	t->note.news = (uint8_t)news;
	if (news != 0)
		drv_news(ctx, news);
	return keep_note(ctx, t, REST_S);
}

/* news: 0: all is well */
static int finish(struct drv_ctx *ctx, struct tracker *t, enum drv_news news)
{
	const int r = note_news(ctx, t, news);

	return r < 0 ? r : tear_down(ctx, t);
}

/* ---- the dump is complete ---- */

static void bind(struct tracker *t)
{
	t->note.bound = true;
	memcpy(t->note.id, t->id, sizeof(t->note.id));
	memcpy(t->note.serial, t->serial, sizeof(t->note.serial));
}

static int log_in(struct drv_ctx *ctx, struct tracker *t)
{
	uint8_t packet[FITBIT_PACKET_MAX];
	struct writer w = writer_of(packet, sizeof(packet));
	int r;

	if (fitbit_login_begin(ctx, t->serial, &w) < 0)
		return tear_down(ctx, t);
	r = enter(ctx, t, STEP_LOGIN);
	return r < 0 ? r : send(ctx, packet, w.len);
}

/* What is said of the dump stands first; a login is tried where the owner asked for one. */
static int go_on(struct drv_ctx *ctx, struct tracker *t, enum drv_news news)
{
	const int allowed = fitbit_login_allowed(ctx, t->serial);
	const bool skipped = allowed == 0 && t->note.skip > 0;
	int r;

	t->note.skip = skipped ? t->note.skip - 1 : 0;
	if (news == 0 && skipped)
		news = (enum drv_news)t->note.news; /* why it is */
	else if (news == 0 && allowed == -EBADMSG)
		news = DRV_NEWS_KEY_WRONG;
	else if (news == 0 && allowed == -EOPNOTSUPP)
		news = DRV_NEWS_MODEL_NOT_SUPPORTED;
	if (allowed < 0 || skipped)
		return finish(ctx, t, news);
	r = note_news(ctx, t, news);
	return r < 0 ? r : log_in(ctx, t);
}

static int say(struct drv_ctx *ctx, struct tracker *t)
{
	enum fitbit_outcome outcome;
	const int r = fitbit_sync_say(ctx, &t->sync, t->note.bound ? t->note.serial : NULL,
				      t->serial, &outcome);

	if (r < 0)
		return r;
	t->timer = true;
	switch (outcome) {
	case FITBIT_SAID_PIECE:
		return 0;
	case FITBIT_SAID_ALL:
		bind(t);
		return go_on(ctx, t, 0);
	case FITBIT_SAID_DAMAGED:
		return fail_now(ctx, t);
	case FITBIT_SAID_ANOTHER:
	case FITBIT_SAID_STRANGE:
		return finish(ctx, t, fitbit_sync_news(outcome));
	case FITBIT_SAID_UNREADABLE:
	case FITBIT_SAID_NO_KEY:
	case FITBIT_SAID_WRONG_KEY:
		break;
	}
	return go_on(ctx, t, fitbit_sync_news(outcome));
}

/* ---- the login ---- */

static int on_challenge(struct drv_ctx *ctx, struct tracker *t, const struct fitbit_control *m)
{
	uint8_t packet[FITBIT_PACKET_MAX];
	struct writer w = writer_of(packet, sizeof(packet));
	int r;

	if (fitbit_login_answer(ctx, t->serial, m, &w) < 0)
		return tear_down(ctx, t);
	r = enter(ctx, t, STEP_ANSWER);
	return r < 0 ? r : send(ctx, packet, w.len);
}

static int on_login_refused(struct drv_ctx *ctx, struct tracker *t, uint16_t error)
{
	const enum drv_news news =
		fitbit_login_is_wrong(error) ? DRV_NEWS_KEY_WRONG : DRV_NEWS_MODEL_NOT_SUPPORTED;

	drv_news(ctx, news);
	t->note.skip = LOGIN_SKIPS;
	return finish(ctx, t, t->note.news ? (enum drv_news)t->note.news : news);
}

static int on_logged_in(struct drv_ctx *ctx, struct tracker *t)
{
	int r = fitbit_identity(ctx, t->serial);

	t->logged_in = true;
	if (r == 0 && !t->note.bound) { /* a model whose dumps are not read */
		bind(t);
		r = keep_note(ctx, t, REST_S);
	}
	return r < 0 ? r : tear_down(ctx, t);
}

static int on_login(struct drv_ctx *ctx, struct tracker *t, const struct fitbit_control *m)
{
	if (m->kind == FITBIT_REFUSED)
		return on_login_refused(ctx, t, m->error);
	if (t->step == STEP_LOGIN && m->kind == FITBIT_CHALLENGE)
		return on_challenge(ctx, t, m);
	if (t->step == STEP_ANSWER && m->kind == FITBIT_DONE)
		return on_logged_in(ctx, t);
	return 0;
}

/* What it said is said before the link is given up; another time cannot be or another length is a
 * spoiled frame. */
static int on_live(struct drv_ctx *ctx, struct tracker *t, const uint8_t *data, size_t len)
{
	const int r = fitbit_live_emit(ctx, data, len, fitbit_sync_latest(ctx));
	const int e = enter(ctx, t, STEP_OVER);

	return r < 0 ? r : e;
}

/* ---- what the tracker says ---- */

static int on_transfer(struct drv_ctx *ctx, struct tracker *t, const uint8_t *data, size_t len)
{
	bool progress = false;
	const int r = fitbit_sync_packet(ctx, &t->sync, data, len, &progress);
	int e;

	if (r == 0 && t->sync.transfer.complete) {
		e = enter(ctx, t, STEP_SAY);
		return e < 0 ? e : say(ctx, t);
	}
	if (r == 0) { /* what brings nothing does not win time */
		t->timer = t->timer || progress;
		return 0;
	}
	e = r == -ENOSPC ? fail(ctx, t, DRV_NEWS_MODEL_NOT_SUPPORTED) : fail_now(ctx, t);
	if (e < 0 || r == -ECONNREFUSED || r == -ETIMEDOUT)
		return e;
	return r == -EBADMSG || r == -EMSGSIZE ? r : -ENOMSG;
}

static int on_airlink(struct drv_ctx *ctx, struct tracker *t, const struct fitbit_control *m)
{
	if (m->kind == FITBIT_REFUSED)
		return fail_now(ctx, t);
	if (m->kind != FITBIT_AIRLINK_UP)
		return 0;
	if (t->note.bound && memcmp(m->id, t->note.id, sizeof(m->id)) != 0)
		return finish(ctx, t, DRV_NEWS_ANOTHER_DEVICE);
	memcpy(t->id, m->id, sizeof(t->id));
	return enter(ctx, t, STEP_DUMP);
}

static int after_close(struct drv_ctx *ctx, struct tracker *t)
{
	return enter(ctx, t, t->logged_in ? STEP_LIVE : STEP_OVER);
}

static int on_packet(struct drv_ctx *ctx, struct tracker *t, const uint8_t *data, size_t len)
{
	struct fitbit_control m;
	int r;

	if (t->step == STEP_DUMP)
		return on_transfer(ctx, t, data, len);
	if (t->step != STEP_AIRLINK && t->step != STEP_LOGIN && t->step != STEP_ANSWER &&
	    t->step != STEP_CLOSE)
		return 0; /* late */
	r = fitbit_control_decode(data, len, &m);
	if (r < 0) /* on the way out the rest of a dump may still come */
		return t->step == STEP_CLOSE ? 0 : r;
	if (t->step == STEP_AIRLINK)
		return on_airlink(ctx, t, &m);
	if (t->step != STEP_CLOSE)
		return on_login(ctx, t, &m);
	return m.kind == FITBIT_CLOSE ? after_close(ctx, t) : 0;
}

/* ---- callbacks ---- */

static int on_open(struct drv_ctx *ctx)
{
	struct tracker *t = drv_state(ctx);
	int r = drv_fact(ctx, DRV_MAKE, "Fitbit", strlen("Fitbit"));

	read_note(ctx, &t->note);
	if (r == 0 && t->note.bound) /* as it is known; nothing of another one is emitted */
		r = fitbit_identity(ctx, t->note.serial);
	if (r < 0)
		return r;
	if (may_ask(ctx, &t->note))
		return leave(ctx, t, enter(ctx, t, STEP_AIRLINK));
	if (t->note.news != 0)
		drv_news(ctx, (enum drv_news)t->note.news);
	return leave(ctx, t, enter(ctx, t, STEP_REST));
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct tracker *t = drv_state(ctx);

	if (frame->channel == LIVE && t->step == STEP_LIVE)
		return leave(ctx, t, on_live(ctx, t, frame->data, frame->len));
	if (frame->channel != ANSWER)
		return -ENOMSG;
	return leave(ctx, t, on_packet(ctx, t, frame->data, frame->len));
}

static int next_step(struct drv_ctx *ctx, struct tracker *t)
{
	switch (t->step) {
	case STEP_REST:
	case STEP_LIVE:
		return enter(ctx, t, STEP_OVER);
	case STEP_CLOSE:
		return after_close(ctx, t);
	case STEP_LOGIN: /* the dump is safe, and the next visit tries again */
	case STEP_ANSWER:
		return tear_down(ctx, t);
	case STEP_AIRLINK:
	case STEP_DUMP:
		return fail_now(ctx, t);
	case STEP_SAY: /* nothing in that piece had to wait for a commit, or it takes long */
		return say(ctx, t);
	case STEP_OVER:
		break;
	}
	return 0;
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct tracker *t = drv_state(ctx);

	return leave(ctx, t, next_step(ctx, t));
}

static int on_committed(struct drv_ctx *ctx)
{
	struct tracker *t = drv_state(ctx);

	return leave(ctx, t, t->step == STEP_SAY ? say(ctx, t) : 0);
}

/* It takes no writes, so nothing is open that could be closed; or there is nothing of the moment,
 * and all else was done. */
static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	struct tracker *t = drv_state(ctx);

	(void)channel;
	(void)error;
	if (t->step == STEP_OVER)
		return 0;
	t->airlinked = false;
	if (t->step > STEP_SAY)
		return leave(ctx, t, enter(ctx, t, STEP_OVER));
	return leave(ctx, t, fail_now(ctx, t));
}

const struct driver driver_fitbit_ble = {
	.name = "fitbit_ble",
	.label = "Fitbit One, Flex, Zip by Bluetooth",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct tracker),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
};
