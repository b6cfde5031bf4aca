#include "protocols/beurer/cuff.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define PRESSURE_BASE 25 /* mmHg */
#define YEAR_BASE     2000
#define FLAG          0x80U

static bool time_is_possible(const struct beurer_reading *x)
{
	return x->month <= 12 && x->day <= 31 && x->hour < 24 && x->minute < 60;
}

/* Both kinds have the same order; flags: their bits are meant (HID). */
static int body_decode(struct cursor *c, bool flags, struct beurer_reading *ret)
{
	struct beurer_reading x = { .systolic = cursor_u8(c) };
	uint8_t month, day, year;

	x.diastolic = cursor_u8(c);
	x.pulse = cursor_u8(c);
	month = cursor_u8(c);
	day = cursor_u8(c);
	x.hour = cursor_u8(c);
	x.minute = cursor_u8(c);
	year = cursor_u8(c);
	if (flags) {
		x.movement = month & FLAG;
		x.user = day & FLAG ? 2 : 1;
		x.irregular = year & FLAG;
		month &= (uint8_t)~FLAG;
		day &= (uint8_t)~FLAG;
		year &= (uint8_t)~FLAG;
	}
	x.month = month;
	x.day = day;
	x.year = (uint16_t)(YEAR_BASE + year);
	if (x.systolic == 0 || x.diastolic == 0 || !time_is_possible(&x))
		return -ERANGE;
	x.systolic += PRESSURE_BASE;
	x.diastolic += PRESSURE_BASE;
	*ret = x;
	return 0;
}

int beurer_serial_decode(const uint8_t *data, size_t len, struct beurer_reading *ret)
{
	struct cursor c = cursor_of(data, len);
	uint8_t first = cursor_u8(&c);

	if (len == 1 && first == BEURER_NO_RECORD)
		return -ENOENT;
	if (len != BEURER_SERIAL_SIZE)
		return -EMSGSIZE;
	if (first != BEURER_HAS_RECORD)
		return -EBADMSG;
	return body_decode(&c, false, ret);
}

bool beurer_is_idle(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != BEURER_IDLE)
			return false;
	}
	return true;
}

bool beurer_hid_is_no_record(const uint8_t data[BEURER_HID_SIZE])
{
	return data[0] == BEURER_NO_RECORD && beurer_is_idle(data + 1, BEURER_HID_SIZE - 1);
}

int beurer_hid_decode(const uint8_t *data, size_t len, struct beurer_reading *ret)
{
	struct cursor c = cursor_of(data, len);

	if (len != BEURER_HID_SIZE)
		return -EMSGSIZE;
	if (beurer_hid_is_no_record(data))
		return -ENOENT;
	return body_decode(&c, true, ret);
}

static int row_decode(struct cursor *c, struct beurer_reading *ret)
{
	struct beurer_reading x = { .hour = cursor_u8(c) };
	uint8_t rest;

	x.minute = cursor_u8(c);
	x.day = cursor_u8(c);
	x.month = cursor_u8(c);
	x.year = (uint16_t)(YEAR_BASE + cursor_u8(c));
	rest = cursor_u8(c);
	cursor_skip(c, 1);
	x.systolic = cursor_u8(c);
	x.diastolic = cursor_u8(c);
	x.pulse = cursor_u8(c);
	x.restless = rest == 3;
	if (x.systolic == 0 || x.diastolic == 0 || !time_is_possible(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

int beurer_cardio_decode(const uint8_t *data, size_t len, struct beurer_row *ret)
{
	struct cursor c = cursor_of(data, len);
	struct beurer_row x = { .user = cursor_u8(&c) };
	uint8_t sensor;
	int r;

	if (len != BEURER_CARDIO_SIZE)
		return -EMSGSIZE;
	if (x.user == BEURER_IDLE)
		return -ENOMSG;
	x.row = cursor_u8(&c);
	cursor_skip(&c, 1);
	sensor = cursor_u8(&c);
	if (sensor != BEURER_PRESSURE && sensor != BEURER_ECG)
		return -ERANGE;
	x.sensor = (enum beurer_sensor)sensor;
	if (x.sensor == BEURER_PRESSURE) {
		r = row_decode(&c, &x.reading);
		if (r < 0)
			return r;
		x.reading.user = (uint8_t)(x.user + 1);
	}
	*ret = x;
	return 0;
}
