/* The readings inside a simulated device: taken, sent to who subscribed, let go when confirmed. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "tests/lab/radio/models/model.h"

#define CONFIRM_LIMIT INT64_C(30000000)
#define MINUTE        60
#define HEX_MAX       (2 * FRAME_MAX + 1)
/* far behind every table */
#define WRONG_HANDLE 0x7ff0

static const char *hex_of(const uint8_t *data, size_t len, char text[HEX_MAX])
{
	static const char DIGITS[] = "0123456789abcdef";

	assert(len <= FRAME_MAX);
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = DIGITS[data[i] >> 4];
		text[2 * i + 1] = DIGITS[data[i] & 15];
	}
	text[2 * len] = '\0';
	return text;
}

/* Two lines: about the frame, and what happened to it, which ends in its bytes. */
static void say_frame(const struct peer_state *s, const char *what, const struct stock_out *out,
		      const char *fault)
{
	char hex[HEX_MAX];

	air_log(s->peer, "frame n=%u part=%u level=%d%s", out->number, out->part,
		(int)s->server.level, fault);
	air_log(s->peer, "%s %s", what, hex_of(out->value, out->len, hex));
}

/* ---- taking ---- */

static void take(struct peer_state *s, int64_t time, uint8_t user)
{
	struct reading *const r = &s->stock[s->n_stock++];

	/* no two at the same second */
	if (time <= s->last_time)
		time = s->last_time + 1;
	s->last_time = time;
	*r = (struct reading){ .number = ++s->last_number, .time = time, .has_time = s->clock_set };
	if (user)
		r->user = user;
	else if (s->model->n_users)
		r->user = (uint8_t)(1 + r->number % s->model->n_users);
}

static void after_taking(struct peer_state *s)
{
	if (s->model->taken)
		s->model->taken(s);
	stock_pump(s);
}

int stock_measure(struct peer_state *s, unsigned int n, uint8_t user)
{
	const int64_t now = device_time(s);

	if (!s->model->frame)
		return -ENOTSUP;
	for (unsigned int i = 0; i < n; i++) {
		if (s->n_stock == STOCK_MAX)
			return -ENOSPC;
		take(s, now - (int64_t)(n - 1 - i) * MINUTE, user);
	}
	after_taking(s);
	return 0;
}

int stock_measure_failed(struct peer_state *s)
{
	if (!s->model->frame)
		return -ENOTSUP;
	if (s->n_stock == STOCK_MAX)
		return -ENOSPC;
	take(s, device_time(s), 0);
	s->stock[s->n_stock - 1].failed = true;
	after_taking(s);
	return 0;
}

static struct reading *find(struct peer_state *s, uint32_t number)
{
	for (size_t i = 0; number && i < s->n_stock; i++)
		if (s->stock[i].number == number)
			return &s->stock[i];
	return NULL;
}

static void let_go(struct peer_state *s, struct reading *r)
{
	const size_t at = (size_t)(r - s->stock);

	s->n_stock--;
	memmove(r, r + 1, (s->n_stock - at) * sizeof(*r));
}

static size_t frame_of(const struct peer_state *s, const struct reading *r, unsigned int part,
		       uint8_t frame[FRAME_MAX])
{
	struct writer w = writer_of(frame, FRAME_MAX);

	s->model->frame(s, r, part, &w);
	assert(writer_ok(&w));
	return w.len;
}

unsigned int stock_delete(struct peer_state *s,
			  bool (*pick)(const struct reading *r, const void *context),
			  const void *context)
{
	uint8_t frame[FRAME_MAX];
	unsigned int n = 0;
	char hex[HEX_MAX];

	for (size_t i = s->n_stock; i-- > 0;) {
		if (pick && !pick(&s->stock[i], context))
			continue;
		air_log(s->peer, "deleted %s",
			hex_of(frame, frame_of(s, &s->stock[i], 0, frame), hex));
		let_go(s, &s->stock[i]);
		s->deleted++;
		n++;
	}
	return n;
}

/* ---- sending ---- */

static bool spend(struct peer_state *s, enum fault fault)
{
	if (!s->faults[fault])
		return false;
	s->faults[fault]--;
	return true;
}

/* the link may have gone when this returns */
static void count_frame(struct peer_state *s)
{
	if (!s->drop_after || --s->drop_after)
		return;
	air_log(s->peer, "drops the link after a frame");
	air_drop(s->peer, 0x13);
}

/* indicates under the handle; by fault also while another is outstanding */
static int put_on_air(struct peer_state *s, uint16_t handle, const struct stock_out *out)
{
	int err;

	if (s->n_out == STOCK_OUT_MAX)
		return -EBUSY;
	s->server.indicating = false;
	err = server_indicate(&s->server, handle, out->value, out->len);
	if (err < 0)
		return err;
	s->out[s->n_out++] = *out;
	peer_timer(s, TIMER_CONFIRM, CONFIRM_LIMIT);
	return 0;
}

int stock_answer(struct peer_state *s, uint8_t id, const uint8_t *value, size_t len)
{
	struct stock_out out = { .len = (uint8_t)len };

	assert(len <= FRAME_MAX);
	if (!(server_ccc(&s->server, id) & 2))
		return -EPERM;
	if (s->n_out)
		return -EBUSY;
	memcpy(out.value, value, len);
	return put_on_air(s, server_handle(&s->server, id), &out);
}

void stock_notify(struct peer_state *s, uint8_t id, const uint8_t *value, size_t len)
{
	if (server_ccc(&s->server, id) & 1)
		(void)server_notify(&s->server, server_handle(&s->server, id), value, len);
}

/* one frame of a reading: indicated, or notified when only that was subscribed */
static void send_part(struct peer_state *s, struct reading *r, unsigned int part, bool notify)
{
	uint16_t handle = server_handle(&s->server, s->model->frame_ids[part]);
	struct stock_out out = { .number = r->number, .part = (uint8_t)part };
	const char *fault = "";

	out.len = (uint8_t)frame_of(s, r, part, out.value);
	if (spend(s, FAULT_TRUNCATE)) {
		out.len /= 2;
		fault = " fault=truncate";
	}
	if (spend(s, FAULT_WRONG_HANDLE)) {
		handle = WRONG_HANDLE;
		fault = " fault=wrong-handle";
	}
	r->sent |= (uint8_t)(1U << part);
	s->indicated++;
	say_frame(s, notify ? "notified" : "indicated", &out, fault);
	if (notify)
		(void)server_notify(&s->server, handle, out.value, out.len);
	else
		(void)put_on_air(s, handle, &out);
	count_frame(s);
}

/* the next frame that may go; the CCC bits that its row has */
static struct reading *next_part(struct peer_state *s, unsigned int *ret_part, uint16_t *ret_ccc)
{
	for (size_t i = 0; i < s->n_stock; i++) {
		struct reading *const r = &s->stock[i];

		if (s->model->ready && !s->model->ready(s, r))
			continue;
		for (unsigned int part = 0; part < FRAMES_MAX; part++) {
			const uint8_t id = s->model->frame_ids[part];

			if (!id || (r->sent & 1U << part) || !server_ccc(&s->server, id))
				continue;
			*ret_part = part;
			*ret_ccc = server_ccc(&s->server, id);
			return r;
		}
	}
	return NULL;
}

/* all frames that the device can send of it are gone or nobody wants them */
static bool complete(const struct peer_state *s, const struct reading *r, uint8_t done)
{
	for (unsigned int part = 0; part < FRAMES_MAX; part++) {
		const uint8_t id = s->model->frame_ids[part];

		if (id && server_ccc(&s->server, id) && !(done & 1U << part))
			return false;
	}
	return done != 0 && r->number != 0;
}

void stock_pump(struct peer_state *s)
{
	struct reading *r;
	unsigned int part = 0;
	uint16_t ccc = 0;

	while (s->server.connected && peer_secured(s) && s->model->frame) {
		const bool crowd = s->faults[FAULT_NO_CONFIRM_WAIT] != 0;

		if (s->n_out == STOCK_OUT_MAX ||
		    (s->n_out && !crowd && !s->faults[FAULT_SECOND_INDICATION]))
			return;
		r = next_part(s, &part, &ccc);
		if (!r)
			return;
		if (s->n_out && !crowd)
			s->faults[FAULT_SECOND_INDICATION]--;
		send_part(s, r, part, !(ccc & 2));
		if (!(ccc & 2) && s->model->live && s->server.connected && complete(s, r, r->sent))
			let_go(s, r);
	}
}

void stock_force(struct peer_state *s)
{
	if (s->n_stock && !s->n_out && s->model->frame_ids[0])
		send_part(s, &s->stock[0], 0, false);
}

static void confirm_reading(struct peer_state *s, const struct stock_out *out)
{
	struct reading *const r = find(s, out->number);

	s->confirmed++;
	say_frame(s, "confirmed", out, "");
	if (!r)
		return;
	if (spend(s, FAULT_DUPLICATE)) {
		r->sent &= (uint8_t) ~(1U << out->part);
		return;
	}
	r->confirmed |= (uint8_t)(1U << out->part);
	if (!s->model->keeps && complete(s, r, r->confirmed))
		let_go(s, r);
}

void stock_confirmed(struct peer_state *s)
{
	struct stock_out out;
	unsigned int part;
	uint16_t ccc;

	if (!s->n_out)
		return;
	out = s->out[0];
	s->n_out--;
	memmove(s->out, s->out + 1, s->n_out * sizeof(s->out[0]));
	s->server.indicating = s->n_out != 0;
	if (s->n_out)
		peer_timer(s, TIMER_CONFIRM, CONFIRM_LIMIT);
	else
		peer_timer_off(s, TIMER_CONFIRM);
	if (out.number)
		confirm_reading(s, &out);
	if (out.number && !s->n_out && s->model->drained && !next_part(s, &part, &ccc))
		s->model->drained(s);
	stock_pump(s);
}

void stock_disconnected(struct peer_state *s)
{
	for (size_t i = 0; i < s->n_out; i++)
		if (s->out[i].number)
			say_frame(s, "unconfirmed", &s->out[i], "");
	s->n_out = 0;
	peer_timer_off(s, TIMER_CONFIRM);
	for (size_t i = 0; i < s->n_stock; i++) {
		/* what is confirmed stays so only within a reading of several frames */
		s->stock[i].sent = s->model->keeps ? 0 : s->stock[i].confirmed;
	}
}
