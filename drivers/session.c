#include "drivers/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/gatt/device_information.h"

#define REQUESTS_MAX 16
/* Most callbacks emit one or two. Room for more is made when it is needed, and given back. */
#define EMITS_KEPT 4

/* 2020 to 2100: outside of it no clock of ours is right, and no device should be told */
#define CLOCK_EARLIEST_MS INT64_C(1577836800000)
#define CLOCK_LATEST_MS   INT64_C(4102444800000)
#define DAY_MS            INT64_C(86400000)

struct queued {
	enum session_request_kind kind;
	uint16_t channel;
	unsigned int msec;
	size_t len;
	uint8_t data[DRV_WRITE_MAX];
};

/* What the driver wants to be kept. */
struct keep {
	bool wanted;
	size_t len;
	uint8_t data[DRV_KEPT_MAX];
};

/* What a driver sees of it is struct drv_ctx, which is never defined. */
struct session {
	const struct driver *driver;
	uint32_t quirks;
	struct session_sink sink;
	uint64_t *next_seq;
	enum link_security security;
	int64_t now;
	bool failed, done, close_asked;
	bool wipe_wanted, wipe_begun;
	struct session_wipe wiped;

	/* of the callback that is running */
	uint8_t digest[MEASUREMENT_DIGEST];
	size_t n_emits, room;
	struct measurement *emits;
	size_t n_requests;
	struct queued requests[REQUESTS_MAX];
	struct keep asked;

	bool pending; /* a reading up to last_seq is not durable yet */
	uint64_t last_seq;
	bool held; /* an indication waits until held_seq is durable */
	uint16_t held_channel;
	uint64_t held_seq;
	bool spoiled_indication; /* from then on nothing is confirmed */

	bool has_wall, has_zone, has_clock_offset, has_last_record;
	int64_t wall_at_zero_ms, clock_offset_ms;
	int zone_min;
	uint32_t last_record;
	size_t n_random;
	uint8_t random[DRV_RANDOM_MAX]; /* the last n_random of them are left */
	struct session_memory memory;   /* of which nothing waits for a commit */
	struct session_hub hub;
	bool memory_changed;
	struct keep waiting;
	struct session_facts facts;
	uint32_t said, of_reading; /* news: of the driver, of the last measurement */
	struct session_counts counts;
	_Alignas(max_align_t) unsigned char state[];
};

static struct drv_ctx *ctx_of(struct session *s)
{
	return (struct drv_ctx *)(void *)s;
}

static struct session *session_of(struct drv_ctx *ctx)
{
	return (struct session *)(void *)ctx;
}

static const struct session *session_of_const(const struct drv_ctx *ctx)
{
	return (const struct session *)(const void *)ctx;
}

/* ---- the fingerprint of a frame ---- */

struct fnv {
	uint64_t high, low;
};

/*
 * FNV-1a, 128 bits: tells frames apart and is small. It is no signature: whoever wants two frames
 * with one fingerprint can make them. The gateway keeps what it saw of it: it stays what it is.
 */
static inline struct fnv fnv_step(struct fnv h, uint8_t byte)
{
	/* the prime is this and 2^88; of the product only what is below 2^128 counts. Nothing waits
	 * for the high half of the step before but its own multiplication. */
	const uint64_t prime = 0x13b, low = h.low ^ byte;
	/* what low * prime carries beyond 64 bits, in two halves: not all processors have more */
	const uint64_t over = ((low >> 32) * prime + ((low & UINT32_MAX) * prime >> 32)) >> 32;
	const uint64_t carried = over + (low << (88 - 64));

	return (struct fnv){ h.high * prime + carried, low * prime };
}

static void fingerprint(uint16_t channel, const uint8_t *data, size_t len,
			uint8_t ret[MEASUREMENT_DIGEST])
{
	struct fnv h = { UINT64_C(0x6c62272e07bb0142), UINT64_C(0x62b821756295c58d) };
	struct writer w = writer_of(ret, MEASUREMENT_DIGEST);

	h = fnv_step(h, (uint8_t)channel);
	h = fnv_step(h, (uint8_t)(channel >> 8));
	for (size_t i = 0; i < len; i++)
		h = fnv_step(h, data[i]);
	writer_be64(&w, h.high);
	writer_be64(&w, h.low);
}

/* ---- what drivers call ---- */

void *drv_state(struct drv_ctx *ctx)
{
	struct session *s = session_of(ctx);

	return s->driver->state_size ? s->state : NULL;
}

uint32_t drv_quirks(const struct drv_ctx *ctx)
{
	return session_of_const(ctx)->quirks;
}

int64_t drv_now(const struct drv_ctx *ctx)
{
	return session_of_const(ctx)->now;
}

void drv_stamp(const struct drv_ctx *ctx, struct measurement *m)
{
	memcpy(m->digest, session_of_const(ctx)->digest, sizeof(m->digest));
}

/* A FLOAT can say 1e127; no device means it, and nothing behind us can write it down. */
static bool sayable(const struct measurement *m)
{
	for (unsigned int i = 0; i < m->n_parts; i++) {
		const int32_t exponent = m->parts[i].number.value.exponent;

		if (exponent > DECIMAL_EXPONENT_MAX || exponent < -DECIMAL_EXPONENT_MAX)
			return false;
	}
	return true;
}

static int make_room(struct session *s)
{
	const size_t room = s->room ? 2 * s->room : EMITS_KEPT;
	struct measurement *emits;

	if (s->n_emits == DRV_EMITS_MAX)
		return -ENOBUFS;
	if (s->n_emits < s->room)
		return 0;
	emits = reallocarray(s->emits, room, sizeof(*emits));
	if (!emits)
		return -ENOMEM;
	s->emits = emits;
	s->room = room;
	return 0;
}

int drv_emit(struct drv_ctx *ctx, const struct measurement *m)
{
	static const uint8_t unstamped[MEASUREMENT_DIGEST];
	struct session *s = session_of(ctx);
	struct measurement *copy;
	int r;

	if (!sayable(m))
		return -ERANGE;
	r = make_room(s);
	if (r < 0)
		return r;
	copy = &s->emits[s->n_emits++];
	measurement_copy(copy, m);
	if (memcmp(copy->digest, unstamped, sizeof(unstamped)) == 0)
		drv_stamp(ctx, copy);
	return 0;
}

int drv_random(struct drv_ctx *ctx, void *ret, size_t len)
{
	struct session *s = session_of(ctx);

	if (len > s->n_random)
		return -ENODATA;
	memcpy(ret, s->random + DRV_RANDOM_MAX - s->n_random, len);
	s->n_random -= len;
	return 0;
}

bool drv_last_record(const struct drv_ctx *ctx, uint32_t *ret)
{
	const struct session *s = session_of_const(ctx);

	if (s->has_last_record)
		*ret = s->last_record;
	return s->has_last_record;
}

static struct queued *enqueue(struct session *s, enum session_request_kind kind, uint16_t channel)
{
	struct queued *q;

	if (s->n_requests == REQUESTS_MAX)
		return NULL;
	q = &s->requests[s->n_requests++];
	q->kind = kind;
	q->channel = channel;
	q->len = 0;
	q->msec = 0;
	return q;
}

int drv_write(struct drv_ctx *ctx, uint16_t channel, const void *data, size_t len)
{
	struct queued *q;

	if (len > DRV_WRITE_MAX)
		return -EMSGSIZE;
	q = enqueue(session_of(ctx), SESSION_WRITE, channel);
	if (!q)
		return -ENOBUFS;
	q->len = len;
	if (len > 0)
		memcpy(q->data, data, len);
	return 0;
}

int drv_read(struct drv_ctx *ctx, uint16_t channel)
{
	return enqueue(session_of(ctx), SESSION_READ, channel) ? 0 : -ENOBUFS;
}

int drv_set_timeout(struct drv_ctx *ctx, unsigned int msec)
{
	struct queued *q = enqueue(session_of(ctx), SESSION_TIMER, 0);

	if (!q)
		return -ENOBUFS;
	q->msec = msec;
	return 0;
}

/* cuts UTF-8 text so that it fits, between two characters */
static size_t cut(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((uint8_t)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

int drv_fact(struct drv_ctx *ctx, enum drv_fact fact, const void *text, size_t len)
{
	char clean[GATT_TEXT_MAX + 1];
	char *to;
	size_t n;
	int r;

	assert(fact < DRV_FACT_END);
	r = gatt_text(text, len, clean, sizeof(clean));
	if (r < 0)
		return r;
	to = session_of(ctx)->facts.text[fact];
	n = cut(clean, (size_t)r, sizeof(session_of(ctx)->facts.text[fact]) - 1);
	memcpy(to, clean, n);
	to[n] = '\0';
	return 0;
}

static bool is_identity(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    c != '.' && c != '-' && c != '_')
			return false;
	}
	return true;
}

int drv_identity(struct drv_ctx *ctx, const char *space, const char *text, size_t len)
{
	struct session *s = session_of(ctx);
	char identity[DRV_IDENTITY_MAX + 1] = "";
	const size_t before = strlen(space) + 1;

	assert(before > 1 && is_identity(space, before - 1));
	if (len == 0 || before + len > DRV_IDENTITY_MAX)
		return -EMSGSIZE;
	if (!is_identity(text, len))
		return -EBADMSG;
	memcpy(identity, space, before - 1);
	identity[before - 1] = ':';
	memcpy(identity + before, text, len);
	if (strcmp(s->facts.identity, identity) == 0)
		return 0;
	if (s->facts.identity[0] || s->counts.measurements > 0 || s->n_emits > 0)
		return -EALREADY;
	memcpy(s->facts.identity, identity, sizeof(identity));
	return 0;
}

int drv_battery(struct drv_ctx *ctx, unsigned int percent)
{
	struct session *s = session_of(ctx);

	if (percent > 100)
		return -ERANGE;
	s->facts.has_battery = true;
	s->facts.battery = (uint8_t)percent;
	return 0;
}

/* days from 1970-01-01 to a date of the Gregorian calendar; years count from March */
static int64_t day_number(unsigned int year, unsigned int month, unsigned int day)
{
	const int64_t y = (int64_t)year - (month <= 2);
	const int64_t m = month > 2 ? (int64_t)month - 3 : (int64_t)month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (int64_t)day - 1 - 719468;
}

static bool whole_date(const struct device_time *t)
{
	return t->year >= 1 && t->month >= 1 && t->month <= 12 && t->day >= 1 && t->day <= 31 &&
	       t->hour < 24 && t->minute < 60 && t->second < 60 && t->fraction_us < 1000000;
}

static int clock_ms(const struct device_time *t, int64_t *ret)
{
	uint64_t us;
	int64_t minutes;

	switch (t->kind) {
	case DEVICE_TIME_TICKS:
		if (__builtin_mul_overflow(t->ticks, t->tick_us, &us))
			return -ERANGE;
		*ret = (int64_t)(us / 1000);
		return 0;
	case DEVICE_TIME_LOCAL:
	case DEVICE_TIME_UTC:
		if (!whole_date(t))
			return -ERANGE;
		minutes = (day_number(t->year, t->month, t->day) * 24 + t->hour) * 60 + t->minute;
		*ret = minutes * 60000 + t->second * INT64_C(1000) + t->fraction_us / 1000;
		return 0;
	case DEVICE_TIME_NONE:
		break;
	}
	return -ERANGE;
}

int drv_clock(struct drv_ctx *ctx, const struct device_time *now)
{
	struct session *s = session_of(ctx);
	int64_t device_ms;
	int r = clock_ms(now, &device_ms);

	if (r < 0)
		return r;
	if (!s->has_wall)
		return 0;
	s->has_clock_offset = true;
	s->clock_offset_ms = s->wall_at_zero_ms + s->now / 1000 - device_ms;
	return 0;
}

/* the date of a day_number() */
static void civil(int64_t days, struct device_time *t)
{
	const int64_t z = days + 719468; /* from 0000-03-01 */
	const int64_t era = z / 146097, day = z % 146097;
	const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	const int64_t of_year = day - (365 * year + year / 4 - year / 100);
	const int64_t month = (5 * of_year + 2) / 153; /* from March */

	t->day = (uint8_t)(of_year - (153 * month + 2) / 5 + 1);
	t->month = (uint8_t)(month < 10 ? month + 3 : month - 9);
	t->year = (uint16_t)(era * 400 + year + (t->month <= 2));
}

bool drv_local_time(const struct drv_ctx *ctx, struct device_time *ret)
{
	const struct session *s = session_of_const(ctx);
	struct device_time t = { .kind = DEVICE_TIME_LOCAL };
	int64_t ms, in_day;

	if (!s->has_wall || !s->has_zone)
		return false;
	ms = s->wall_at_zero_ms + s->now / 1000 + s->zone_min * INT64_C(60000);
	if (ms < CLOCK_EARLIEST_MS || ms > CLOCK_LATEST_MS)
		return false;
	in_day = ms % DAY_MS;
	civil(ms / DAY_MS, &t);
	t.hour = (uint8_t)(in_day / 3600000);
	t.minute = (uint8_t)(in_day / 60000 % 60);
	t.second = (uint8_t)(in_day / 1000 % 60);
	t.fraction_us = (uint32_t)(in_day % 1000) * 1000;
	*ret = t;
	return true;
}

int drv_midnight(const struct drv_ctx *ctx, int64_t at, int64_t *ret)
{
	const struct session_hub *hub = &session_of_const(ctx)->hub;

	return hub->midnight ? hub->midnight(hub->user, at, ret) : -ENODATA;
}

size_t drv_key(const struct drv_ctx *ctx, const char *name, uint8_t ret[DRV_KEY_MAX])
{
	const struct session_hub *hub = &session_of_const(ctx)->hub;

	return hub->key ? hub->key(hub->user, name, ret) : 0;
}

int drv_aes(const struct drv_ctx *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t ret[16])
{
	const struct session_hub *hub = &session_of_const(ctx)->hub;

	return hub->aes ? hub->aes(hub->user, key, in, ret) : -ENOSYS;
}

bool drv_consent(const struct drv_ctx *ctx, size_t i, struct drv_consent *ret)
{
	const struct session *s = session_of_const(ctx);

	if (i >= s->memory.n_consents)
		return false;
	*ret = s->memory.consents[i];
	return true;
}

void drv_consent_outcome(struct drv_ctx *ctx, size_t i, enum drv_consent_outcome outcome,
			 uint8_t slot)
{
	struct session *s = session_of(ctx);

	struct drv_consent *c = &s->memory.consents[i];

	assert(i < s->memory.n_consents);
	if (c->refused != (outcome == DRV_CONSENT_REFUSED)) {
		c->refused = outcome == DRV_CONSENT_REFUSED;
		s->memory_changed = true;
	}
	if (outcome == DRV_CONSENT_MADE) {
		c->slot = slot;
		s->memory_changed = true;
	}
	if (s->sink.consent)
		s->sink.consent(s->sink.user, i, outcome, slot);
}

int drv_keep(struct drv_ctx *ctx, const void *data, size_t len)
{
	struct session *s = session_of(ctx);

	if (len > DRV_KEPT_MAX)
		return -EMSGSIZE;
	if (len > 0)
		memcpy(s->asked.data, data, len);
	s->asked.len = len;
	s->asked.wanted = true;
	return 0;
}

size_t drv_kept(const struct drv_ctx *ctx, uint8_t ret[DRV_KEPT_MAX])
{
	const struct session *s = session_of_const(ctx);

	const struct keep *k = s->asked.wanted ? &s->asked : &s->waiting;

	if (k->wanted) {
		memcpy(ret, k->data, k->len);
		return k->len;
	}
	memcpy(ret, s->memory.kept, s->memory.kept_len);
	return s->memory.kept_len;
}

static void set_news(struct session *s, uint32_t said, uint32_t of_reading)
{
	s->said = said;
	s->of_reading = of_reading;
	s->facts.news = said | of_reading;
}

void drv_news(struct drv_ctx *ctx, enum drv_news news)
{
	struct session *s = session_of(ctx);

	assert(news > 0 && news < DRV_NEWS_END);
	set_news(s, s->said | SESSION_NEWS(news), s->of_reading);
}

void drv_news_over(struct drv_ctx *ctx, enum drv_news news)
{
	struct session *s = session_of(ctx);

	assert(news > 0 && news < DRV_NEWS_END);
	set_news(s, s->said & ~SESSION_NEWS(news), s->of_reading);
}

void drv_wiped(struct drv_ctx *ctx, enum drv_wipe outcome, uint32_t records)
{
	struct session *s = session_of(ctx);

	assert(outcome > 0 && outcome < DRV_WIPE_END);
	assert(s->wipe_begun && s->wiped.outcome == 0);
	s->wiped = (struct session_wipe){ .outcome = outcome, .records = records };
}

void drv_done(struct drv_ctx *ctx)
{
	session_of(ctx)->done = true;
}

/* ---- after each callback ---- */

static int fault_of(int r, enum session_fault *ret)
{
	switch (r) {
	case -EMSGSIZE:
		*ret = FAULT_LENGTH;
		return 0;
	case -EBADMSG:
		*ret = FAULT_CHECKSUM;
		return 0;
	case -ERANGE:
		*ret = FAULT_RANGE;
		return 0;
	case -ENOMSG:
		*ret = FAULT_NOT_MINE;
		return 0;
	default:
		return -EINVAL;
	}
}

static void reject(struct session *s, uint16_t channel, int r)
{
	enum session_fault fault;

	s->n_emits = 0;
	s->asked.wanted = false; /* it would vouch for what was dropped */
	if (fault_of(r, &fault) < 0) {
		s->failed = true;
		return;
	}
	s->counts.faults[fault]++;
	s->sink.fault(s->sink.user, channel, fault, r);
}

/* What a measurement of now says of the device itself; one out of its memory is of another day. */
static void note_news(struct session *s, const struct measurement *m)
{
	uint32_t news = 0;

	if (m->flags & (FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_TEST)))
		return;
	if (m->flags & FLAG_BIT(FLAG_LOW_BATTERY))
		news |= SESSION_NEWS(DRV_NEWS_BATTERY_LOW);
	if (m->flags & FLAG_BIT(FLAG_ERROR))
		news |= SESSION_NEWS(DRV_NEWS_MEASURE_AGAIN);
	else if (!measurement_is_final(m)) /* what is still moving does not say how it ends */
		news |= s->of_reading & SESSION_NEWS(DRV_NEWS_MEASURE_AGAIN);
	set_news(s, s->said, news);
}

/* Hands on what the callback emitted. True if there was a reading among it. */
static bool deliver(struct session *s)
{
	bool readings = false;

	for (size_t i = 0; i < s->n_emits; i++) {
		struct measurement *m = &s->emits[i];
		const uint64_t seq = (*s->next_seq)++;

		m->security = s->security;
		m->has_clock_offset = s->has_clock_offset;
		m->clock_offset_ms = s->clock_offset_ms;
		s->counts.measurements++;
		note_news(s, m);
		if (measurement_is_final(m)) {
			s->last_seq = seq;
			s->pending = true;
			readings = true;
		}
		s->sink.measurement(s->sink.user, m, seq);
	}
	s->n_emits = 0;
	if (s->room > EMITS_KEPT) {
		free(s->emits);
		s->emits = NULL;
		s->room = 0;
	}
	return readings;
}

/*
 * What was read so far is kept only when it is durable: a history pointer must not run ahead. A
 * user that the device made does not wait for that, or the next link would make another.
 */
static void remember(struct session *s)
{
	if (s->asked.wanted)
		s->waiting = s->asked;
	s->asked.wanted = false;
	if (s->waiting.wanted && !s->pending && !s->failed) {
		memcpy(s->memory.kept, s->waiting.data, s->waiting.len);
		s->memory.kept_len = s->waiting.len;
		s->waiting.wanted = false;
		s->memory_changed = true;
	}
	if (!s->memory_changed)
		return;
	s->memory_changed = false;
	if (s->sink.memory)
		s->sink.memory(s->sink.user, &s->memory);
}

static void hand_on_requests(struct session *s)
{
	for (size_t i = 0; i < s->n_requests && !s->failed; i++) {
		const struct queued *q = &s->requests[i];
		const struct session_request request = {
			.kind = q->kind,
			.channel = q->channel,
			.data = q->data,
			.len = q->len,
			.msec = q->msec,
		};

		s->sink.request(s->sink.user, &request);
	}
	s->n_requests = 0;
}

/* The device has said all, and all of it is durable: only now may anything be deleted. */
static void begin_wipe(struct session *s)
{
	if (!s->wipe_wanted || s->wipe_begun || !s->done || s->pending || s->failed)
		return;
	s->wipe_begun = true;
	s->done = false;
	s->failed = s->driver->wipe(ctx_of(s)) < 0;
	assert(s->n_emits == 0);
	hand_on_requests(s);
}

static void carry_out(struct session *s)
{
	hand_on_requests(s);
	remember(s);
	begin_wipe(s);
	if ((s->failed || (s->done && !s->pending)) && !s->close_asked) {
		const struct session_request request = { .kind = SESSION_CLOSE };

		s->close_asked = true;
		s->sink.request(s->sink.user, &request);
	}
}

/* For callbacks that answer no indication. */
static int settle(struct session *s, int r)
{
	if (r < 0)
		reject(s, 0, r);
	(void)deliver(s);
	carry_out(s);
	return r;
}

static void confirm(struct session *s, uint16_t channel)
{
	if (!s->spoiled_indication)
		s->sink.confirm(s->sink.user, channel);
}

static void answer(struct session *s, uint16_t channel, int r, bool readings)
{
	if (r < 0) {
		s->spoiled_indication = true;
	} else if (readings) {
		s->held = true;
		s->held_channel = channel;
		s->held_seq = s->last_seq;
	} else {
		confirm(s, channel);
	}
}

/* ---- what transports call ---- */

const char *session_fault_name(enum session_fault fault)
{
	switch (fault) {
	case FAULT_LENGTH:
		return "length";
	case FAULT_CHECKSUM:
		return "checksum";
	case FAULT_RANGE:
		return "range";
	case FAULT_NOT_MINE:
		return "not_mine";
	case FAULT_END:
		break;
	}
	return "unknown";
}

int session_new(const struct driver *driver, uint32_t quirks, const struct session_sink *sink,
		uint64_t *next_seq, struct session **ret)
{
	struct session *s;

	assert(driver->state_size <= DRV_STATE_MAX);
	s = calloc(1, sizeof(*s) + driver->state_size);
	if (!s)
		return -ENOMEM;
	s->driver = driver;
	s->quirks = quirks;
	s->sink = *sink;
	s->next_seq = next_seq;
	*ret = s;
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	free(s->emits);
	free(s);
}

int session_open(struct session *s, enum link_security security, int64_t now)
{
	s->security = security;
	s->now = now;
	return settle(s, s->driver->open ? s->driver->open(ctx_of(s)) : 0);
}

int session_frame(struct session *s, const struct drv_frame *frame, bool indication, int64_t now)
{
	bool readings;
	int r;

	if (s->failed)
		return -ENOTCONN;
	if (indication && s->held)
		return -EBUSY;
	s->now = now;
	s->counts.frames++;
	fingerprint(frame->channel, frame->data, frame->len, s->digest);
	r = s->driver->frame ? s->driver->frame(ctx_of(s), frame) : -ENOMSG;
	if (r < 0)
		reject(s, frame->channel, r);
	readings = deliver(s);
	if (indication)
		answer(s, frame->channel, r, readings);
	carry_out(s);
	return r;
}

bool session_hides(struct session *s, const struct drv_frame *frame)
{
	return s->driver->hides && s->driver->hides(ctx_of(s), frame);
}

int session_advert(struct session *s, const struct drv_advert *advert, int64_t now)
{
	if (s->failed)
		return -ENOTCONN;
	s->now = now;
	s->counts.frames++;
	fingerprint(advert->service ? advert->service : advert->company, advert->data, advert->len,
		    s->digest);
	return settle(s, s->driver->advert ? s->driver->advert(ctx_of(s), advert) : -ENOMSG);
}

int session_timeout(struct session *s, int64_t now)
{
	if (s->failed)
		return -ENOTCONN;
	s->now = now;
	return settle(s, s->driver->timeout ? s->driver->timeout(ctx_of(s)) : 0);
}

int session_refused(struct session *s, uint16_t channel, uint8_t error, int64_t now)
{
	if (s->failed)
		return -ENOTCONN;
	s->now = now;
	return settle(s, s->driver->refused ? s->driver->refused(ctx_of(s), channel, error) : 0);
}

int session_committed(struct session *s, uint64_t seq, int64_t now)
{
	int r = 0;

	s->now = now;
	if (s->pending && seq >= s->last_seq) {
		s->pending = false;
		if (s->driver->committed && !s->failed)
			r = s->driver->committed(ctx_of(s));
	}
	if (s->held && seq >= s->held_seq) {
		s->held = false;
		confirm(s, s->held_channel);
	}
	return settle(s, r);
}

void session_close(struct session *s, int64_t now)
{
	s->now = now;
	if (s->driver->close)
		s->driver->close(ctx_of(s));
	s->n_emits = 0; /* nobody is left to confirm to: the device will offer it again */
	s->n_requests = 0;
	s->held = false;
}

bool session_idle(const struct session *s)
{
	return !s->pending;
}

bool session_is_done(const struct session *s)
{
	return s->failed || s->done;
}

bool session_was_good(const struct session *s)
{
	uint64_t spoiled = 0;

	for (size_t i = 0; i < FAULT_END; i++)
		spoiled += s->counts.faults[i];
	return !s->failed && s->counts.frames > spoiled;
}

const struct driver *session_driver(const struct session *s)
{
	return s->driver;
}

const struct session_facts *session_facts(const struct session *s)
{
	return &s->facts;
}

const struct session_counts *session_counts(const struct session *s)
{
	return &s->counts;
}

void session_set_wall(struct session *s, int64_t utc_ms_at_zero)
{
	s->has_wall = true;
	s->wall_at_zero_ms = utc_ms_at_zero;
}

int session_ask_wipe(struct session *s)
{
	if (!s->driver->wipe)
		return -EOPNOTSUPP;
	s->wipe_wanted = true;
	return 0;
}

const struct session_wipe *session_wiped(const struct session *s)
{
	return &s->wiped;
}

void session_set_last_record(struct session *s, uint32_t record)
{
	s->has_last_record = true;
	s->last_record = record;
}

void session_set_zone(struct session *s, int offset_min)
{
	s->has_zone = true;
	s->zone_min = offset_min;
}

void session_set_random(struct session *s, const void *data, size_t len)
{
	assert(len <= DRV_RANDOM_MAX);
	memcpy(s->random + DRV_RANDOM_MAX - len, data, len);
	s->n_random = len;
}

void session_set_memory(struct session *s, const struct session_memory *memory)
{
	assert(memory->n_consents <= DRV_CONSENTS_MAX && memory->kept_len <= DRV_KEPT_MAX);
	s->memory = *memory;
}

void session_set_hub(struct session *s, const struct session_hub *hub)
{
	s->hub = *hub;
}
