#include "drivers/fitbit_sync.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define DAY_S INT64_C(86400)

/* ---- what we say ---- */

static size_t encode(const struct fitbit_control *m, uint8_t ret[FITBIT_PACKET_MAX])
{
	struct writer w = writer_of(ret, FITBIT_PACKET_MAX);
	const int r = fitbit_control_encode(m, &w);

	assert(r == 0); /* made here, and it fits */
	(void)r;
	return w.len;
}

size_t fitbit_sync_airlink(const struct fitbit_airlink *airlink, uint8_t ret[FITBIT_PACKET_MAX])
{
	const struct fitbit_control m = { .kind = FITBIT_AIRLINK_OPEN, .airlink = *airlink };

	return encode(&m, ret);
}

size_t fitbit_sync_close(uint8_t ret[FITBIT_PACKET_MAX])
{
	const struct fitbit_control m = { .kind = FITBIT_CLOSE };

	return encode(&m, ret);
}

size_t fitbit_sync_ask(const struct drv_ctx *ctx, struct fitbit_sync *s,
		       uint8_t ret[FITBIT_PACKET_MAX])
{
	const struct fitbit_control m = { .kind = FITBIT_DUMP_REQUEST, .type = FITBIT_MEGADUMP };

	s->w = writer_of(s->dump, sizeof(s->dump));
	s->transfer = fitbit_transfer_of(&s->w, FITBIT_MEGADUMP);
	s->since = drv_now(ctx);
	s->rules = (struct fitbit_rules){ .settled = true, .limit = FITBIT_SYNC_PIECE };
	return encode(&m, ret);
}

/* ---- the dump ---- */

int fitbit_sync_packet(const struct drv_ctx *ctx, struct fitbit_sync *s, const uint8_t *data,
		       size_t len, bool *ret_progress)
{
	const size_t before = s->w.len;
	const bool begun = s->transfer.begun;
	const int r = fitbit_transfer_packet(&s->transfer, data, len);

	if (r < 0)
		return r;
	if (!s->transfer.complete && drv_now(ctx) - s->since > FITBIT_SYNC_US)
		return -ETIMEDOUT;
	*ret_progress = s->w.len > before || s->transfer.begun != begun;
	return 0;
}

static int64_t day_number(const struct device_time *t)
{
	const int64_t y = (int64_t)t->year - (t->month <= 2);
	const int64_t m = t->month > 2 ? (int64_t)t->month - 3 : (int64_t)t->month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + t->day - 1 - 719468;
}

/* A day beyond now wherever the hub's zone is; 0: the hub does not know. */
int64_t fitbit_sync_latest(const struct drv_ctx *ctx)
{
	struct device_time now;

	if (!drv_local_time(ctx, &now))
		return 0;
	return (day_number(&now) + 1) * DAY_S + (now.hour + 14) * INT64_C(3600);
}

static int midnight(void *user, int64_t at, int64_t *ret)
{
	return drv_midnight(user, at, ret);
}

static int say_piece(struct drv_ctx *ctx, struct fitbit_sync *s, const struct fitbit_dump *dump,
		     const uint8_t *key, enum fitbit_outcome *ret)
{
	struct fitbit_told told;
	int r;

	if (s->rules.skip == 0)
		s->rules.latest = fitbit_sync_latest(ctx);
	s->rules.midnight = midnight;
	s->rules.zone = ctx;
	r = fitbit_emit(ctx, dump, key, &s->rules, &told);
	s->rules.zone = NULL;
	if (r == -EKEYREJECTED) {
		*ret = FITBIT_SAID_WRONG_KEY;
		return 0;
	}
	if (r == -EBADMSG || r == -EMSGSIZE) {
		*ret = FITBIT_SAID_DAMAGED;
		return 0;
	}
	if (r < 0)
		return r;
	s->rules.skip += FITBIT_SYNC_PIECE;
	*ret = s->rules.skip < told.total ? FITBIT_SAID_PIECE : FITBIT_SAID_ALL;
	return 0;
}

static int say_with_key(struct drv_ctx *ctx, struct fitbit_sync *s, const struct fitbit_dump *dump,
			enum fitbit_outcome *ret)
{
	uint8_t key[FITBIT_KEY_SIZE];
	int r = 0;

	if (fitbit_key(ctx, dump->serial, key) == 0)
		r = say_piece(ctx, s, dump, key, ret);
	else
		*ret = FITBIT_SAID_NO_KEY;
	explicit_bzero(key, sizeof(key));
	return r;
}

static int tell_model(struct drv_ctx *ctx, uint8_t product)
{
	const char *model = fitbit_product_name(product);

	return model ? drv_fact(ctx, DRV_MODEL, model, strlen(model)) : 0;
}

int fitbit_sync_say(struct drv_ctx *ctx, struct fitbit_sync *s, const uint8_t *serial,
		    uint8_t ret_serial[FITBIT_SERIAL_SIZE], enum fitbit_outcome *ret)
{
	enum fitbit_outcome outcome = FITBIT_SAID_UNREADABLE;
	struct fitbit_dump dump;
	int r;

	if (fitbit_dump_recognise(s->dump, s->w.len, &dump) < 0) {
		*ret = FITBIT_SAID_STRANGE;
		return 0;
	}
	r = tell_model(ctx, dump.product);
	if (r < 0)
		return r;
	if (serial && memcmp(serial, dump.serial, FITBIT_SERIAL_SIZE) != 0) {
		*ret = FITBIT_SAID_ANOTHER;
		memcpy(ret_serial, dump.serial, FITBIT_SERIAL_SIZE);
		return 0;
	}
	if (serial) /* known from before, so what is amiss is amiss with this tracker */
		r = fitbit_identity(ctx, serial);
	if (r < 0)
		return r;
	if (dump.verdict == FITBIT_READABLE)
		r = say_piece(ctx, s, &dump, NULL, &outcome);
	else if (dump.verdict == FITBIT_NEEDS_KEY)
		r = say_with_key(ctx, s, &dump, &outcome);
	if (r < 0)
		return r;
	memcpy(ret_serial, dump.serial, FITBIT_SERIAL_SIZE);
	*ret = outcome;
	return 0;
}

enum drv_news fitbit_sync_news(enum fitbit_outcome outcome)
{
	switch (outcome) {
	case FITBIT_SAID_ANOTHER:
		return DRV_NEWS_ANOTHER_DEVICE;
	case FITBIT_SAID_STRANGE:
	case FITBIT_SAID_UNREADABLE:
		return DRV_NEWS_MODEL_NOT_SUPPORTED;
	case FITBIT_SAID_NO_KEY:
		return DRV_NEWS_ENCRYPTED_NO_KEY;
	case FITBIT_SAID_WRONG_KEY:
		return DRV_NEWS_KEY_WRONG;
	case FITBIT_SAID_DAMAGED:
		return DRV_NEWS_NOT_READ;
	case FITBIT_SAID_PIECE:
	case FITBIT_SAID_ALL:
		break;
	}
	return 0;
}
