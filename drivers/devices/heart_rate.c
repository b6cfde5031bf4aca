/*
 * Heart Rate Service 0x180D.
 *
 *   belt --notifies 2A37 each second--> flags | rate u8 or u16 | [energy u16 kJ] | [beats u16 ...]
 *            16 48 0004 a003            72 /min, skin contact, beats 1000 ms and 906.25 ms apart
 *
 * No time stamp, no acknowledgement: what is not heard is gone. Rate 0 means that no beat was
 * found.
 * Watches that share their heart rate (Fitbit Charge 6, Pixel Watch) are such belts; what they ask
 * of the hub, our name and an answer to their Security Request, is below drivers: see the README.
 *
 * Beats are 1/1024 s; those that do not fit one measurement follow in further ones, flagged as
 * parts. Energy counts from the belt's last reset, so it is no interval and adds up to nothing.
 */
#include <errno.h>

#include "drivers/sig.h"
#include "protocols/gatt/heart_rate.h"

#define MEASUREMENT 0x2a37
#define LOCATION    0x2a38

struct state {
	const char *location; /* a constant, or NULL */
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_BLE, .service = 0x180d, .rank = 30 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	SIG_CHANNELS,
	SIG_READ(LOCATION),
	{ .id = MEASUREMENT, .mode = DRV_NOTIFY },
	{ 0 },
};

static int on_location(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct state *s = drv_state(ctx);
	enum gatt_body_sensor_location location;
	int r = gatt_body_sensor_location_decode(frame->data, frame->len, &location);

	if (r < 0)
		return r;
	s->location = gatt_body_sensor_location_name(location);
	return 0;
}

/* As many beats as fit; returns the index of the first that did not. */
static size_t add_beats(struct measurement *m, const struct gatt_heart_rate *h, size_t i)
{
	while (i < h->interval_count && m->n_parts < MEASUREMENT_PARTS_MAX) {
		measurement_add(m, METRIC_RR_INTERVAL, UNIT_MS,
				gatt_heart_rate_interval_ms(h->intervals[i]));
		i++;
	}
	return i;
}

static struct number rate_of(const struct gatt_heart_rate *h)
{
	if (h->rate.absent == ABSENT_NO && h->rate.value.mantissa == 0)
		return number_absent(ABSENT_UNKNOWN);
	return h->rate;
}

static int on_measurement(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct state *s = drv_state(ctx);
	struct measurement m = { .metric = METRIC_HEART_RATE, .context = s->location };
	struct gatt_heart_rate h;
	int r = gatt_heart_rate_decode(frame->data, frame->len, &h);
	size_t i;

	if (r < 0)
		return r;
	if (h.contact == GATT_HEART_RATE_CONTACT_NONE)
		m.flags |= FLAG_BIT(FLAG_NO_CONTACT);
	measurement_add(&m, METRIC_HEART_RATE, UNIT_PER_MIN, rate_of(&h));
	if (h.has_energy)
		measurement_add(&m, METRIC_ENERGY, UNIT_KJ, h.energy);
	i = add_beats(&m, &h, 0);
	r = drv_emit(ctx, &m);
	while (r >= 0 && i < h.interval_count) {
		m.metric = METRIC_RR_INTERVAL;
		m.flags |= FLAG_BIT(FLAG_PART);
		m.n_parts = 0;
		i = add_beats(&m, &h, i);
		r = drv_emit(ctx, &m);
	}
	return r;
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	switch (frame->channel) {
	case MEASUREMENT:
		return on_measurement(ctx, frame);
	case LOCATION:
		return on_location(ctx, frame);
	default:
		return sig_frame(ctx, frame);
	}
}

const struct driver driver_heart_rate = {
	.name = "heart_rate",
	.label = "Heart rate belts and wristbands with the Bluetooth SIG profile",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct state),
	.frame = on_frame,
};
