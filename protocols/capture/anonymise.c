#include "protocols/capture/anonymise.h"

#include <assert.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"
#include "protocols/capture/stamp.h"
#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/body_composition.h"
#include "protocols/gatt/glucose.h"
#include "protocols/gatt/plx.h"
#include "protocols/gatt/racp.h"
#include "protocols/gatt/temperature.h"
#include "protocols/gatt/time.h"
#include "protocols/gatt/weight.h"

#define SECONDS_PER_DAY 86400
#define USER_UNKNOWN    255
#define USER_ONE        1

/* One frame on its way from decoded to encoded. */
struct frame {
	int32_t days;
	const uint8_t *data;
	size_t len;
	struct writer out;
};

/* An incomplete date tells nobody's day; it is left as it is. */
static bool shift(struct gatt_date_time *t, int32_t days)
{
	struct stamp s = { .year = t->year, .month = t->month, .day = t->day };

	if (t->year == 0 || t->month == 0 || t->day == 0)
		return true;
	s = stamp_of_ms(stamp_to_ms(&s) + (int64_t)days * SECONDS_PER_DAY * 1000);
	if (s.year < 1582 || s.year > 9999)
		return false;
	t->year = (uint16_t)s.year;
	t->month = s.month;
	t->day = s.day;
	return true;
}

static bool shift_seconds(uint32_t *seconds, int32_t days)
{
	const int64_t shifted = (int64_t)*seconds + (int64_t)days * SECONDS_PER_DAY;

	if (shifted < 0 || shifted > UINT32_MAX)
		return false;
	*seconds = (uint32_t)shifted;
	return true;
}

static void hide_user(uint8_t *user)
{
	if (*user != USER_UNKNOWN)
		*user = USER_ONE;
}

static bool do_pressure(struct frame *f)
{
	struct gatt_blood_pressure x;

	if (gatt_blood_pressure_decode(f->data, f->len, &x) < 0 ||
	    (x.has_time && !shift(&x.time, f->days)))
		return false;
	hide_user(&x.user);
	return gatt_blood_pressure_encode(&x, &f->out) == 0;
}

static bool do_enhanced_pressure(struct frame *f)
{
	struct gatt_enhanced_blood_pressure x;

	if (gatt_enhanced_blood_pressure_decode(f->data, f->len, &x) < 0 ||
	    (x.has_time && !shift_seconds(&x.time_s, f->days)) ||
	    (x.has_user_facing_time && !shift_seconds(&x.user_facing_time_s, f->days)))
		return false;
	hide_user(&x.user);
	return gatt_enhanced_blood_pressure_encode(&x, &f->out) == 0;
}

static bool do_weight(struct frame *f)
{
	struct gatt_weight x;

	if (gatt_weight_decode(f->data, f->len, &x) < 0 || (x.has_time && !shift(&x.time, f->days)))
		return false;
	hide_user(&x.user);
	return gatt_weight_encode(&x, &f->out) == 0;
}

static bool do_body_composition(struct frame *f)
{
	struct gatt_body_composition x;

	if (gatt_body_composition_decode(f->data, f->len, &x) < 0 ||
	    (x.has_time && !shift(&x.time, f->days)))
		return false;
	hide_user(&x.user);
	return gatt_body_composition_encode(&x, &f->out) == 0;
}

static bool do_temperature(struct frame *f)
{
	struct gatt_temperature x;

	if (gatt_temperature_decode(f->data, f->len, &x) < 0 ||
	    (x.has_time && !shift(&x.time, f->days)))
		return false;
	return gatt_temperature_encode(&x, &f->out) == 0;
}

static bool do_plx_spot(struct frame *f)
{
	struct gatt_plx_spot x;

	if (gatt_plx_spot_decode(f->data, f->len, &x) < 0 ||
	    (x.has_time && !shift(&x.time, f->days)))
		return false;
	return gatt_plx_spot_encode(&x, &f->out) == 0;
}

static bool do_glucose(struct frame *f)
{
	struct gatt_glucose x;

	if (gatt_glucose_decode(f->data, f->len, &x) < 0 || !shift(&x.base_time, f->days))
		return false;
	return gatt_glucose_encode(&x, &f->out) == 0;
}

static bool do_records(struct frame *f)
{
	struct gatt_racp x;

	if (gatt_racp_decode(f->data, f->len, &x) < 0 || !shift(&x.min_time, f->days) ||
	    !shift(&x.max_time, f->days))
		return false;
	return gatt_racp_encode(&x, &f->out) == 0;
}

static bool do_date_time(struct frame *f)
{
	struct gatt_date_time x;

	return gatt_date_time_decode(f->data, f->len, &x) == 0 && shift(&x, f->days) &&
	       gatt_date_time_encode(&x, &f->out) == 0;
}

static bool do_current_time(struct frame *f)
{
	struct gatt_current_time x;

	if (gatt_current_time_decode(f->data, f->len, &x) < 0 || !shift(&x.time, f->days))
		return false;
	if (f->days % 7 != 0)
		x.day_of_week = 0; /* with the day it would tell how far the time was shifted */
	return gatt_current_time_encode(&x, &f->out) == 0;
}

/* as long as before, so that its length is tested too */
static bool do_blank(struct frame *f)
{
	for (size_t i = 0; i < f->len; i++)
		writer_u8(&f->out, '0');
	return writer_ok(&f->out);
}

static bool do_user_index(struct frame *f)
{
	if (f->len != 1)
		return false;
	writer_u8(&f->out, f->data[0] == USER_UNKNOWN ? USER_UNKNOWN : USER_ONE);
	return true;
}

/* nothing of a person in it */
static bool do_keep(struct frame *f)
{
	writer_bytes(&f->out, f->data, f->len);
	return writer_ok(&f->out);
}

static const struct {
	uint16_t channel;
	bool (*run)(struct frame *f);
} channels[] = {
	{ 0x2a08, do_date_time },
	{ 0x2a18, do_glucose },
	{ 0x2a19, do_keep }, /* battery level */
	{ 0x2a1c, do_temperature },
	{ 0x2a1d, do_keep }, /* temperature type */
	{ 0x2a1e, do_temperature },
	{ 0x2a23, do_blank }, /* system id: made from the address */
	{ 0x2a24, do_keep },  /* model */
	{ 0x2a25, do_blank }, /* serial number */
	{ 0x2a26, do_keep },  /* firmware */
	{ 0x2a27, do_keep },  /* hardware */
	{ 0x2a28, do_keep },  /* software */
	{ 0x2a29, do_keep },  /* manufacturer */
	{ 0x2a2b, do_current_time },
	{ 0x2a35, do_pressure },
	{ 0x2a36, do_pressure },
	{ 0x2a37, do_keep }, /* heart rate: no time, no user */
	{ 0x2a38, do_keep }, /* sensor location */
	{ 0x2a49, do_keep }, /* features, here and below */
	{ 0x2a50, do_keep }, /* PnP id */
	{ 0x2a51, do_keep },
	{ 0x2a52, do_records },
	{ 0x2a54, do_keep },
	{ 0x2a5e, do_plx_spot },
	{ 0x2a5f, do_keep }, /* oximeter, continuous: no time, no user */
	{ 0x2a60, do_keep },
	{ 0x2a9a, do_user_index },
	{ 0x2a9b, do_keep },
	{ 0x2a9c, do_body_composition },
	{ 0x2a9d, do_weight },
	{ 0x2a9e, do_keep },
	{ 0x2b34, do_enhanced_pressure },
};

static bool change_data(int32_t days, struct cap_event *e, const char **ret_why)
{
	uint8_t data[CAP_DATA_MAX];
	struct frame f = { .days = days, .data = e->data, .len = e->len };

	f.out = writer_of(data, sizeof(data));
	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
		if (channels[i].channel != e->channel)
			continue;
		if (!channels[i].run(&f)) {
			*ret_why = "not understood, so it could hold anything";
			return false;
		}
		memcpy(e->data, data, f.out.len);
		e->len = f.out.len;
		return true;
	}
	*ret_why = "no codec knows what of a person is in it";
	return false;
}

bool anonymise_event(int32_t days, struct cap_event *e, const char **ret_why)
{
	assert(days >= -ANONYMISE_DAYS_MAX && days <= ANONYMISE_DAYS_MAX);
	switch (e->kind) {
	case CAP_OPEN:
		memset(e->open.name, 0, sizeof(e->open.name));
		/* a code is a secret; what was kept may hold stamps and values */
		memset(e->open.consents, 0, sizeof(e->open.consents));
		memset(e->open.kept, 0, sizeof(e->open.kept));
		e->open.n_consents = e->open.kept_len = 0;
		return true;
	case CAP_FRAME:
	case CAP_WRITE:
		return change_data(days, e, ret_why);
	case CAP_ADVERT:
		*ret_why = "adverts are left out";
		return false;
	case CAP_CONFIRM:
	case CAP_READ:
	case CAP_CLOSE:
		return true;
	}
	*ret_why = "an event of no known kind";
	return false;
}
