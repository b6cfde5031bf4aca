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
 * Weight 0xffff: the scale gave up. Scales of the Beurer family withhold everything until a user
 * has given consent through 2A9F; the channels are there for a gateway that holds consent codes.
 *
 * Two packets: a composition that does not fit one indication goes on in the next one, and the time
 * and user stand in the first. The first cannot wait for the second, because the scale sends the
 * second only when the first is confirmed; so each becomes a measurement of its own, flagged as a
 * part, and the second takes time and user from the first.
 *
 * A measurement without bare feet: a BF720 sends body fat 0 (and some rubbish, 9803 0000 9623...)
 * or 0xffff. Then the composition is dropped and the weight, if it is there, is kept.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/body_composition.h"
#include "protocols/gatt/weight.h"

#define WEIGHT              0x2a9d
#define WEIGHT_FEATURE      0x2a9e
#define COMPOSITION         0x2a9c
#define COMPOSITION_FEATURE 0x2a9b
#define USER_CONTROL        0x2a9f
#define USER_INDEX          0x2a9a
#define CHANGE_INCREMENT    0x2a99

/* the second packet follows as soon as the first is confirmed; a later one is a new measurement */
#define PART_WAIT_US (60 * INT64_C(1000000))

struct state {
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
	{ .id = USER_CONTROL, .mode = DRV_WRITE, .optional = true },
	{ .id = USER_INDEX, .mode = DRV_WRITE, .optional = true },
	{ .id = CHANGE_INCREMENT, .mode = DRV_WRITE, .optional = true },
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

static int on_weight(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };
	struct gatt_weight w;
	int r = gatt_weight_decode(frame->data, frame->len, &w);

	if (r < 0)
		return r;
	measurement_add(&m, METRIC_BODY_WEIGHT, mass_unit(w.imperial), w.weight);
	if (w.has_bmi_height) {
		measurement_add(&m, METRIC_BMI, UNIT_KG_M2, w.bmi);
		measurement_add(&m, METRIC_HEIGHT, height_unit(w.imperial), w.height);
	}
	if (w.has_time)
		sig_set_time(&m, &w.time);
	if (w.has_user)
		sig_set_user(&m, w.user);
	if (w.weight.absent != ABSENT_NO)
		m.flags |= FLAG_BIT(FLAG_ERROR);
	return drv_emit(ctx, &m);
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

static void add_weight(struct measurement *m, const struct gatt_body_composition *c)
{
	if (c->has_weight)
		measurement_add(m, METRIC_BODY_WEIGHT, mass_unit(c->imperial), c->weight);
	if (c->has_height)
		measurement_add(m, METRIC_HEIGHT, height_unit(c->imperial), c->height);
}

static void add_composition(struct measurement *m, const struct gatt_body_composition *c)
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
	add_weight(m, c);
}

static int emit_composition(struct drv_ctx *ctx, struct measurement *m)
{
	const struct state *s = drv_state(ctx);

	if (s->has_time)
		sig_set_time(m, &s->time);
	if (s->has_user)
		sig_set_user(m, s->user);
	return drv_emit(ctx, m);
}

/* No contact: what is left is a weight, or the news that it went wrong. */
static int emit_failed(struct drv_ctx *ctx, const struct gatt_body_composition *c, uint64_t flags)
{
	struct measurement m = { .metric = METRIC_BODY_COMPOSITION, .flags = flags };

	measurement_add(&m, METRIC_BODY_FAT, UNIT_PERCENT, number_absent(ABSENT_UNSUCCESSFUL));
	if (c->has_weight && c->weight.absent == ABSENT_NO) {
		m.metric = METRIC_BODY_WEIGHT;
		add_weight(&m, c);
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
	add_composition(&m, &c);
	return emit_composition(ctx, &m);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_body_composition_feature composition;
	struct gatt_weight_feature weight;

	switch (frame->channel) {
	case WEIGHT:
		return on_weight(ctx, frame);
	case COMPOSITION:
		return on_composition(ctx, frame);
	case WEIGHT_FEATURE: /* checked, and nothing follows from it */
		return gatt_weight_feature_decode(frame->data, frame->len, &weight);
	case COMPOSITION_FEATURE:
		return gatt_body_composition_feature_decode(frame->data, frame->len, &composition);
	default:
		return sig_frame(ctx, frame);
	}
}

const struct driver driver_weight_scale = {
	.name = "weight_scale",
	.label =
		"Weight and body composition scales with the Bluetooth SIG profiles (Beurer BF720)",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_CAPTURES,
	.state_size = sizeof(struct state),
	.frame = on_frame,
};
