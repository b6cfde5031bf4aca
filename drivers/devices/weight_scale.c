/*
 * Weight Scale Service 0x181D and Body Composition Service 0x181B. One driver for both, because one
 * device offers both (Beurer BF720 and its family) and a link has one driver.
 *
 *   scale --indicates 2A9D--> flags | weight | [time 7] | [user] | [bmi, height]
 *            0e 783e ea07050c123536 01 ee00 2607   79.960 kg, 2026-05-12 18:53:54, user 1,
 *                                                  23.8 kg/m2, 1.830 m
 *   scale --indicates 2A9C--> flags u16 | body fat | [time 7] | [user] | [nine more]
 *   we    --confirm, once the reading is durable-->
 *
 * Weight 0xffff: the scale gave up. A clock that is off is set when the stored weighings have come
 * and no consent is open any more (sig.h).
 *
 * Consent (User Data Service). Scales of the Beurer family withhold everything until a user has
 * given consent, and send that user's weighings then. Each consent that the hub holds is given in
 * turn, the next one when a second has passed without a weighing:
 *
 *   we    --writes 2A9F 02 <slot> <code u16>-->       consent
 *   scale --indicates 2A9F 20 02 01-->                good; any other result: refused
 *   we    --writes 2A9F 01 <code u16>-->              or first: register a new user with this code
 *   scale --indicates 2A9F 20 01 01 <slot>-->         the new user's slot; consent follows
 *   we    --read 2A99, write 2A99 + 1-->              after a registration: a Beurer scale drops a
 *                                                     change of its users that is not counted
 *
 * A code is tried once on a link, and a refusal is reported for a person to look at: wrong codes
 * lock some scales. A registration without an answer is reported as refused too: asking again could
 * make a second user. No profile (sex, height, date of birth) is written: this program knows no
 * person.
 *
 * Weight and composition of one weighing. They come as two indications, each confirmed before the
 * other is sent, and so each is a measurement: body_weight and body_composition with the same
 * device time and user slot, by which a receiver joins them. A composition may carry the weight
 * once more. It is left out there if this driver has seen the same weight, time and user in a 2A9D
 * before, on this link or on an earlier one (the scale sends the composition again if its
 * confirmation was lost): so no weight is there twice, and the composition is the same however
 * often it is sent. A composition without such a weight keeps its own.
 *
 * Two packets: a composition that does not fit one indication goes on in the next one, and the time
 * and user stand in the first. The first cannot wait for the second, because the scale sends the
 * second only when the first is confirmed; so each becomes a measurement of its own, flagged as a
 * part, and the second takes time and user from the first.
 *
 * A measurement without bare feet: a BF720 sends body fat 0 (and some rubbish, 9803 0000 9623...)
 * or 0xffff. Then the composition is dropped and the weight, if it is there and not known yet, is
 * kept.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/sig.h"
#include "protocols/bytes/cursor.h"
#include "protocols/gatt/body_composition.h"
#include "protocols/gatt/user_control.h"
#include "protocols/gatt/weight.h"

#define WEIGHT              0x2a9d
#define WEIGHT_FEATURE      0x2a9e
#define COMPOSITION         0x2a9c
#define COMPOSITION_FEATURE 0x2a9b
#define USER_CONTROL        0x2a9f
#define CHANGE_INCREMENT    0x2a99

/* the second packet follows as soon as the first is confirmed; a later one is a new measurement */
#define PART_WAIT_US (60 * INT64_C(1000000))
/* ... and so does the composition of a scale that does not stamp */
#define UNSTAMPED_US   PART_WAIT_US
#define ANSWER_WAIT_MS 30000

#define WEIGHINGS_MAX 64
#define WEIGHING_SIZE 8 /* as kept */
#define KEEP_MAX      (DRV_KEPT_MAX / WEIGHING_SIZE)

/* What tells a weighing from another. */
struct weighing {
	uint32_t when; /* packed date and time; 0 none */
	uint8_t user;
	uint32_t weight; /* as sent, and bit 23: in pounds */
};

enum dialogue {
	DIALOGUE_NONE = 0,
	DIALOGUE_REGISTER, /* waits for the answer */
	DIALOGUE_CONSENT,  /* waits for the answer */
	DIALOGUE_LISTEN,   /* this user's weighings come; then the next consent */
};

struct state {
	struct sig_clock clock;
	enum dialogue dialogue;
	size_t consent; /* the one at hand */
	bool made;      /* its user is new */
	bool refused;   /* some user's was */
	bool counting;  /* the change increment was asked for */

	bool sends_weight; /* the composition does, says its feature */
	size_t n_weighings;
	struct weighing weighings[WEIGHINGS_MAX]; /* the newest at the end */
	int64_t last_at;                          /* when the newest came */

	bool waits;  /* the first of two packets has been seen */
	bool failed; /* ... and its body fat was none */
	int64_t since;
	bool has_time, has_user;
	struct gatt_date_time time;
	uint8_t user;
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x181d, .rank = 61 },
	{ .bus = DRV_BUS_BLE, .service = 0x181b, .rank = 60 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(WEIGHT_FEATURE),
	SIG_READ(COMPOSITION_FEATURE),
	{ .id = CHANGE_INCREMENT, .mode = DRV_WRITE, .optional = true },
	{ .id = USER_CONTROL, .mode = DRV_INDICATE, .optional = true },
	{ .id = WEIGHT, .mode = DRV_INDICATE, .optional = true },
	{ .id = COMPOSITION, .mode = DRV_INDICATE, .optional = true },
	{ 0 },
};

static enum unit mass_unit(bool imperial)
{
	return imperial ? UNIT_LB : UNIT_KG;
}

static enum unit height_unit(bool imperial)
{
	return imperial ? UNIT_INCH : UNIT_M;
}

/* ---- weighings that are known ---- */

static struct weighing weighing_of(const struct gatt_date_time *time, uint8_t user, bool imperial,
				   struct number weight)
{
	struct weighing w = { .user = user, .weight = (uint32_t)weight.value.mantissa };

	if (imperial)
		w.weight |= UINT32_C(1) << 23;
	if (time) /* 64 years are enough to tell weighings apart */
		w.when = (uint32_t)(time->year % 64) << 26 | (uint32_t)time->month << 22 |
			 (uint32_t)time->day << 17 | (uint32_t)time->hour << 12 |
			 (uint32_t)time->minute << 6 | time->second;
	return w;
}

static bool same_weighing(const struct weighing *a, const struct weighing *b)
{
	return a->when == b->when && a->user == b->user && a->weight == b->weight;
}

/* Without a stamp only the newest one counts, and not for long. */
static bool is_known(const struct drv_ctx *ctx, const struct state *s, const struct weighing *w)
{
	if (w->when == 0)
		return s->n_weighings > 0 && drv_now(ctx) - s->last_at <= UNSTAMPED_US &&
		       same_weighing(&s->weighings[s->n_weighings - 1], w);
	for (size_t i = 0; i < s->n_weighings; i++) {
		if (same_weighing(&s->weighings[i], w))
			return true;
	}
	return false;
}

static void drop_weighing(struct state *s, size_t i)
{
	s->n_weighings--;
	memmove(s->weighings + i, s->weighings + i + 1,
		(s->n_weighings - i) * sizeof(s->weighings[0]));
}

/* One that comes again is the newest again. */
static void add_weighing(struct state *s, const struct weighing *w)
{
	for (size_t i = 0; i < s->n_weighings; i++) {
		if (same_weighing(&s->weighings[i], w)) {
			drop_weighing(s, i);
			break;
		}
	}
	if (s->n_weighings == WEIGHINGS_MAX)
		drop_weighing(s, 0);
	s->weighings[s->n_weighings++] = *w;
}

/* The newest stamped ones, for the next link. */
static int keep_weighings(struct drv_ctx *ctx, const struct state *s)
{
	uint8_t data[DRV_KEPT_MAX];
	struct writer w = writer_of(data, sizeof(data));
	const size_t first = s->n_weighings > KEEP_MAX ? s->n_weighings - KEEP_MAX : 0;

	for (size_t i = first; i < s->n_weighings; i++) {
		if (s->weighings[i].when == 0)
			continue;
		writer_le32(&w, s->weighings[i].when);
		writer_u8(&w, s->weighings[i].user);
		writer_le24(&w, s->weighings[i].weight);
	}
	assert(writer_ok(&w)); /* KEEP_MAX of them fit */
	return drv_keep(ctx, data, w.len);
}

static void recall_weighings(struct drv_ctx *ctx, struct state *s)
{
	uint8_t data[DRV_KEPT_MAX];
	struct cursor c = cursor_of(data, drv_kept(ctx, data));

	while (cursor_left(&c) >= WEIGHING_SIZE) {
		struct weighing w = { .when = cursor_le32(&c) };

		w.user = cursor_u8(&c);
		w.weight = cursor_le24(&c);
		add_weighing(s, &w);
	}
}

/* Kept only for a scale that says the weight twice. */
static int remember_weighing(struct drv_ctx *ctx, const struct gatt_weight *g)
{
	struct state *s = drv_state(ctx);
	const struct weighing w =
		weighing_of(g->has_time && sig_is_whole(&g->time) ? &g->time : NULL,
			    g->has_user ? g->user : GATT_USER_UNKNOWN, g->imperial, g->weight);

	s->last_at = drv_now(ctx);
	add_weighing(s, &w);
	return s->sends_weight && w.when != 0 ? keep_weighings(ctx, s) : 0;
}

/* ---- measurements ---- */

static int emit(struct drv_ctx *ctx, const struct measurement *m)
{
	struct state *s = drv_state(ctx);
	int r = sig_clock_emit(ctx, &s->clock, m);

	if (r < 0)
		return r;
	if (s->dialogue == DIALOGUE_NONE)
		return 0;
	return drv_set_timeout(ctx, s->dialogue == DIALOGUE_LISTEN ? SIG_QUIET_MS : ANSWER_WAIT_MS);
}

static int on_weight(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };
	struct gatt_weight w;
	int r = gatt_weight_decode(frame->data, frame->len, &w);

	if (r < 0)
		return r;
	sig_weight(&m, &w);
	r = emit(ctx, &m);
	if (r < 0 || w.weight.absent != ABSENT_NO)
		return r;
	return remember_weighing(ctx, &w);
}

static bool is_second(struct drv_ctx *ctx, const struct gatt_body_composition *c)
{
	const struct state *s = drv_state(ctx);

	return c->multiple_packet && s->waits && !c->has_time && !c->has_user &&
	       drv_now(ctx) - s->since <= PART_WAIT_US;
}

static bool composition_failed(const struct gatt_body_composition *c)
{
	return c->body_fat.absent != ABSENT_NO || c->body_fat.value.mantissa == 0;
}

static void remember_first(struct drv_ctx *ctx, const struct gatt_body_composition *c)
{
	struct state *s = drv_state(ctx);

	s->waits = c->multiple_packet;
	s->failed = composition_failed(c);
	s->since = drv_now(ctx);
	s->has_time = c->has_time;
	s->time = c->time;
	s->has_user = c->has_user;
	s->user = c->user;
}

/* The weight that is new with this composition. */
static bool has_own_weight(struct drv_ctx *ctx, const struct gatt_body_composition *c)
{
	const struct state *s = drv_state(ctx);
	const struct weighing w =
		weighing_of(s->has_time && sig_is_whole(&s->time) ? &s->time : NULL,
			    s->has_user ? s->user : GATT_USER_UNKNOWN, c->imperial, c->weight);

	return c->has_weight && (c->weight.absent != ABSENT_NO || !is_known(ctx, s, &w));
}

static void add_weight(struct measurement *m, const struct gatt_body_composition *c, bool own)
{
	if (own)
		measurement_add(m, METRIC_BODY_WEIGHT, mass_unit(c->imperial), c->weight);
	if (c->has_height)
		measurement_add(m, METRIC_HEIGHT, height_unit(c->imperial), c->height);
}

static void add_composition(struct measurement *m, const struct gatt_body_composition *c, bool own)
{
	const enum unit mass = mass_unit(c->imperial);

	if (c->has_basal_metabolism)
		measurement_add(m, METRIC_BASAL_METABOLISM, UNIT_KJ_PER_DAY, c->basal_metabolism);
	if (c->has_muscle_percent)
		measurement_add(m, METRIC_MUSCLE_PERCENT, UNIT_PERCENT, c->muscle_percent);
	if (c->has_muscle_mass)
		measurement_add(m, METRIC_MUSCLE_MASS, mass, c->muscle_mass);
	if (c->has_fat_free_mass)
		measurement_add(m, METRIC_FAT_FREE_MASS, mass, c->fat_free_mass);
	if (c->has_soft_lean_mass)
		measurement_add(m, METRIC_SOFT_LEAN_MASS, mass, c->soft_lean_mass);
	if (c->has_body_water_mass)
		measurement_add(m, METRIC_BODY_WATER_MASS, mass, c->body_water_mass);
	if (c->has_impedance)
		measurement_add(m, METRIC_IMPEDANCE, UNIT_OHM, c->impedance);
	add_weight(m, c, own);
}

static int emit_composition(struct drv_ctx *ctx, struct measurement *m)
{
	const struct state *s = drv_state(ctx);

	if (s->has_time)
		sig_set_time(m, &s->time);
	if (s->has_user)
		sig_set_user(m, s->user);
	return emit(ctx, m);
}

/* No contact: what is left is a weight, or the news that it went wrong. */
static int emit_failed(struct drv_ctx *ctx, const struct gatt_body_composition *c, uint64_t flags)
{
	struct measurement m = { .metric = METRIC_BODY_COMPOSITION, .flags = flags };

	measurement_add(&m, METRIC_BODY_FAT, UNIT_PERCENT, number_absent(ABSENT_UNSUCCESSFUL));
	if (c->weight.absent == ABSENT_NO && has_own_weight(ctx, c)) {
		m.metric = METRIC_BODY_WEIGHT;
		add_weight(&m, c, true);
	} else {
		m.flags |= FLAG_BIT(FLAG_ERROR);
	}
	return emit_composition(ctx, &m);
}

static int on_composition(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BODY_COMPOSITION };
	struct state *s = drv_state(ctx);
	struct gatt_body_composition c;
	int r = gatt_body_composition_decode(frame->data, frame->len, &c);
	bool second;

	if (r < 0)
		return r;
	second = is_second(ctx, &c);
	if (second)
		s->waits = false;
	else
		remember_first(ctx, &c);
	if (c.multiple_packet)
		m.flags |= FLAG_BIT(FLAG_PART);
	if (s->failed)
		return emit_failed(ctx, &c, m.flags);
	if (!second) /* mandatory in every packet, but said once */
		measurement_add(&m, METRIC_BODY_FAT, UNIT_PERCENT, c.body_fat);
	add_composition(&m, &c, has_own_weight(ctx, &c));
	return emit_composition(ctx, &m);
}

static int on_composition_feature(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_body_composition_feature feature;
	struct state *s = drv_state(ctx);
	int r = gatt_body_composition_feature_decode(frame->data, frame->len, &feature);

	if (r == 0)
		s->sends_weight = feature.weight;
	return r;
}

/* ---- consents ---- */

static int write_user_control(struct drv_ctx *ctx, const struct gatt_user_control *request)
{
	uint8_t data[8];
	struct writer w = writer_of(data, sizeof(data));
	int r = gatt_user_control_encode(request, &w);

	if (r < 0) /* a code that is none: whoever stored it made a mistake */
		return r;
	r = drv_write(ctx, USER_CONTROL, data, w.len);
	return r < 0 ? r : drv_set_timeout(ctx, ANSWER_WAIT_MS);
}

/* Asks for the consent at hand; false: there is none, or it cannot be asked for. */
static bool ask(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct gatt_user_control request = { .opcode = GATT_USER_CONSENT };
	struct drv_consent consent;

	if (!drv_consent(ctx, s->consent, &consent))
		return false;
	request.consent_code = consent.code;
	request.user_index = consent.slot;
	s->dialogue = DIALOGUE_CONSENT;
	if (consent.slot == DRV_SLOT_NEW) {
		request.opcode = GATT_USER_REGISTER;
		s->dialogue = DIALOGUE_REGISTER;
	}
	return write_user_control(ctx, &request) == 0;
}

static void refuse(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct drv_consent consent;

	if (!drv_consent(ctx, s->consent, &consent))
		return;
	s->refused = true;
	drv_consent_outcome(ctx, s->consent, DRV_CONSENT_REFUSED, consent.slot);
}

/* From the consent at hand on: the first that can be asked for. */
static int ask_next(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	for (; s->consent < DRV_CONSENTS_MAX; s->consent++) {
		struct drv_consent consent;

		if (!drv_consent(ctx, s->consent, &consent))
			break;
		s->made = false;
		if (consent.refused) { /* a scale may lock after wrong codes; somebody must look */
			s->refused = true;
			continue;
		}
		if (ask(ctx))
			return 0;
		refuse(ctx);
	}
	s->dialogue = DIALOGUE_NONE;
	return drv_set_timeout(ctx, SIG_QUIET_MS); /* now it is the clock's turn */
}

static int on_open(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	struct drv_consent first;

	recall_weighings(ctx, s);
	return drv_consent(ctx, 0, &first) ? ask_next(ctx) : 0;
}

static int on_registered(struct drv_ctx *ctx, const struct gatt_user_control *answer)
{
	struct state *s = drv_state(ctx);

	if (answer->result != GATT_USER_SUCCESS) {
		refuse(ctx);
		s->consent++;
		return ask_next(ctx);
	}
	if (answer->user_index == GATT_USER_UNKNOWN)
		return -ERANGE;
	drv_consent_outcome(ctx, s->consent, DRV_CONSENT_MADE, answer->user_index);
	s->made = true;
	return ask(ctx) ? 0 : -EPROTO;
}

static int on_consented(struct drv_ctx *ctx, const struct gatt_user_control *answer)
{
	struct state *s = drv_state(ctx);
	struct drv_consent consent;
	int r = 0;

	if (answer->result != GATT_USER_SUCCESS || !drv_consent(ctx, s->consent, &consent)) {
		refuse(ctx);
		s->consent++;
		return ask_next(ctx);
	}
	/* Good news ends a trouble of the device; another user's does not end that of a wrong code,
	 * which would be tried again on the next link. */
	if (!s->refused)
		drv_consent_outcome(ctx, s->consent, DRV_CONSENT_GOOD, consent.slot);
	if (s->made) {
		s->counting = true;
		r = drv_read(ctx, CHANGE_INCREMENT);
	}
	s->dialogue = DIALOGUE_LISTEN;
	return r < 0 ? r : drv_set_timeout(ctx, SIG_QUIET_MS);
}

/* An answer that nobody waits for is no harm. */
static int on_user_control(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);
	struct gatt_user_control answer;
	int r = gatt_user_control_decode(frame->data, frame->len, &answer);

	if (r < 0)
		return r;
	if (answer.opcode != GATT_USER_RESPONSE)
		return -ENOMSG;
	if (s->dialogue == DIALOGUE_REGISTER && answer.request == GATT_USER_REGISTER)
		return on_registered(ctx, &answer);
	if (s->dialogue == DIALOGUE_CONSENT && answer.request == GATT_USER_CONSENT)
		return on_consented(ctx, &answer);
	return 0;
}

static int on_change_increment(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	uint8_t data[4];
	struct writer w = writer_of(data, sizeof(data));
	uint32_t increment;
	int r = gatt_database_change_decode(frame->data, frame->len, &increment);

	if (r < 0 || !s->counting)
		return r;
	s->counting = false;
	r = gatt_database_change_encode(increment + 1, &w);
	return r < 0 ? r : drv_write(ctx, CHANGE_INCREMENT, data, w.len);
}

/* The scale never answered, or would not take the request: nothing is said about the code. But a
 * user may have been made. */
static int give_up_consents(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);

	if (s->dialogue == DIALOGUE_REGISTER)
		refuse(ctx);
	s->dialogue = DIALOGUE_NONE;
	return drv_set_timeout(ctx, SIG_QUIET_MS);
}

/* ---- events ---- */

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	struct gatt_weight_feature weight;

	switch (frame->channel) {
	case WEIGHT:
		return on_weight(ctx, frame);
	case COMPOSITION:
		return on_composition(ctx, frame);
	case USER_CONTROL:
		return on_user_control(ctx, frame);
	case CHANGE_INCREMENT:
		return on_change_increment(ctx, frame);
	case WEIGHT_FEATURE: /* checked, and nothing follows from it */
		return gatt_weight_feature_decode(frame->data, frame->len, &weight);
	case COMPOSITION_FEATURE:
		return on_composition_feature(ctx, frame);
	default:
		return sig_clock_frame(ctx, &s->clock, frame);
	}
}

static int on_committed(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r = sig_clock_committed(ctx, &s->clock);

	if (r < 0 || s->dialogue == DIALOGUE_NONE)
		return r;
	return drv_set_timeout(ctx, s->dialogue == DIALOGUE_LISTEN ? SIG_QUIET_MS : ANSWER_WAIT_MS);
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct state *s = drv_state(ctx);
	int r;

	if (s->dialogue == DIALOGUE_NONE)
		return sig_clock_timeout(ctx, &s->clock);
	if (s->dialogue != DIALOGUE_LISTEN)
		return give_up_consents(ctx);
	if (s->clock.waits) /* its commit sets the timer again */
		return 0;
	s->consent++;
	r = ask_next(ctx);
	/* the link may be dropped after two quiet seconds: the clock's turn is now */
	return r < 0 || s->dialogue != DIALOGUE_NONE ? r : sig_clock_timeout(ctx, &s->clock);
}

static int on_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	struct state *s = drv_state(ctx);

	(void)error;
	if (channel == USER_CONTROL &&
	    (s->dialogue == DIALOGUE_REGISTER || s->dialogue == DIALOGUE_CONSENT)) {
		s->dialogue = DIALOGUE_CONSENT; /* refused: no user was made */
		return give_up_consents(ctx);
	}
	return sig_clock_refused(ctx, &s->clock, channel);
}

static void on_close(struct drv_ctx *ctx)
{
	const struct state *s = drv_state(ctx);

	if (s->dialogue == DIALOGUE_REGISTER) /* a user may have been made */
		refuse(ctx);
}

const struct driver driver_weight_scale = {
	.name = "weight_scale",
	.label =
		"Weight and body composition scales with the Bluetooth SIG profiles (Beurer BF720)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_CAPTURES,
	.state_size = sizeof(struct state),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.refused = on_refused,
	.close = on_close,
};
