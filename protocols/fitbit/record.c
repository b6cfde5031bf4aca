#include "protocols/fitbit/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define NOT_TIME    0x80 /* bit of the first byte of a minute */
#define TIME_SIZE   4
#define CLIMB       0x80
#define CLIMB_SIZE  2
#define LONG_CLIMB  3 /* behind any other first byte one program skips a byte more */
#define ALARM_SIZE  24
#define ALARM_EMPTY 0x7fffffff
#define DAY_SECONDS 86400
#define MINUTE      60

static const struct record_layout layouts[] = {
	{ FITBIT_ONE, 15, 4, 16 },
	{ FITBIT_FLEX, 15, 4, 20 },
	{ FITBIT_ZIP, 13, 3, 16 },
};

const struct record_layout *record_layout_of(uint8_t product)
{
	for (size_t i = 0; i < N(layouts); i++)
		if (layouts[i].product == product)
			return &layouts[i];
	return NULL;
}

static int give(struct record_reader *r, struct fitbit_record *record)
{
	if (!r->sink)
		return 0;
	if (record->kind != FITBIT_DEVICE) {
		record->part = r->part;
		record->bytes = r->bytes;
		record->len = r->len;
	}
	return r->sink(r->user, record);
}

int record_device(struct record_reader *r, const uint8_t *known, size_t len)
{
	struct cursor c = cursor_of(known, len);
	struct fitbit_record record = { .kind = FITBIT_DEVICE };
	struct fitbit_device *d = &record.device;

	d->loader[0] = cursor_u8(&c);
	d->loader[1] = cursor_u8(&c);
	d->application[0] = cursor_u8(&c);
	d->application[1] = cursor_u8(&c);
	cursor_skip(&c, 12);
	d->battery_mv = cursor_le16(&c);
	cursor_skip(&c, 1);
	d->percent = cursor_u8(&c);
	d->has_percent = d->percent <= 100;
	if (!d->has_percent)
		d->percent = 0;
	cursor_skip(&c, 4);
	d->walking_mm = cursor_le16(&c);
	d->running_mm = cursor_le16(&c);
	d->header_signed = r->header_signed;
	assert(cursor_at_end(&c));
	return give(r, &record);
}

void record_begin(struct record_reader *r, enum fitbit_part part)
{
	r->part = part;
	r->len = 0;
	r->size = 0;
	r->has_time = false;
	r->time = 0;
	r->index = 0;
}

/* How long the record is, by its first byte. */
static size_t size_of(const struct record_reader *r)
{
	const uint8_t first = r->bytes[0];

	switch (r->part) {
	case FITBIT_PART_EVENTS:
		return r->layout->event;
	case FITBIT_PART_MINUTES:
		return first & NOT_TIME ? r->layout->minute : TIME_SIZE;
	case FITBIT_PART_FLOORS:
		if (!(first & NOT_TIME))
			return TIME_SIZE;
		return first == CLIMB ? CLIMB_SIZE : LONG_CLIMB;
	case FITBIT_PART_DAYS:
		return r->layout->day;
	case FITBIT_PART_ALARMS:
	case FITBIT_PART_END:
		break;
	}
	return ALARM_SIZE;
}

static int take_event(struct record_reader *r, struct cursor *c)
{
	struct fitbit_record record = { .kind = FITBIT_EVENT, .event_time = cursor_le32(c) };

	return give(r, &record);
}

static void take_time(struct record_reader *r, struct cursor *c)
{
	r->has_time = true;
	r->time = cursor_be32(c);
	r->index = 0;
}

static int take_minute(struct record_reader *r, struct cursor *c)
{
	struct fitbit_record record = { .kind = FITBIT_MINUTE };
	struct fitbit_minute *m = &record.minute;

	m->has_time = r->has_time;
	m->time = r->time;
	m->state = cursor_u8(c);
	m->met_tenths = cursor_u8(c);
	m->steps = cursor_u8(c);
	m->has_motion = cursor_left(c) > 0;
	if (m->has_motion)
		m->motion = cursor_u8(c);
	/* a time has 31 bits, and a dump fewer minutes than would carry it over 32 */
	if (r->has_time)
		r->time += MINUTE;
	return give(r, &record);
}

static int take_climb(struct record_reader *r, struct cursor *c)
{
	struct fitbit_record record = { .kind = FITBIT_UNREAD };
	const uint32_t index = r->index++;

	if (cursor_u8(c) == CLIMB) {
		record.kind = FITBIT_CLIMB;
		record.climb = (struct fitbit_climb){
			.has_time = r->has_time,
			.time = r->time,
			.index = index,
			.floors_tenths = cursor_u8(c),
		};
	}
	return give(r, &record);
}

static int take_day(struct record_reader *r, struct cursor *c)
{
	struct fitbit_record record = { .kind = FITBIT_DAY };
	struct fitbit_day *d = &record.day;

	d->time = cursor_le32(c);
	d->met_tenths = cursor_le16(c);
	d->steps = cursor_le32(c);
	d->distance_mm = cursor_le32(c);
	d->floors_tenths = cursor_le16(c);
	d->has_active = cursor_left(c) > 0;
	if (d->has_active)
		d->active_minutes = cursor_le32(c);
	return give(r, &record);
}

static int take_alarm(struct record_reader *r, struct cursor *c)
{
	struct fitbit_record record = { .kind = FITBIT_ALARM };
	struct fitbit_alarm *a = &record.alarm;
	uint32_t kind;

	a->seconds = cursor_le32(c);
	kind = cursor_le24(c);
	a->days = cursor_u8(c);
	cursor_skip(c, 15);
	a->index = cursor_u8(c);
	a->empty = a->seconds == ALARM_EMPTY;
	a->known = !a->empty && kind == 0x01021c && a->seconds < DAY_SECONDS;
	return give(r, &record);
}

static int take(struct record_reader *r)
{
	struct cursor c = cursor_of(r->bytes, r->len);
	const bool timed = r->part == FITBIT_PART_MINUTES || r->part == FITBIT_PART_FLOORS;

	if (timed && !(r->bytes[0] & NOT_TIME)) {
		take_time(r, &c);
		return 0;
	}
	switch (r->part) {
	case FITBIT_PART_EVENTS:
		return take_event(r, &c);
	case FITBIT_PART_MINUTES:
		return take_minute(r, &c);
	case FITBIT_PART_FLOORS:
		return take_climb(r, &c);
	case FITBIT_PART_DAYS:
		return take_day(r, &c);
	case FITBIT_PART_ALARMS:
	case FITBIT_PART_END:
		break;
	}
	return take_alarm(r, &c);
}

int record_byte(struct record_reader *r, uint8_t byte)
{
	int ret;

	if (r->len == 0) {
		r->bytes[0] = byte;
		r->size = size_of(r);
		assert(r->size > 1 && r->size <= sizeof(r->bytes));
	}
	r->bytes[r->len++] = byte;
	if (r->len < r->size)
		return 0;
	ret = take(r);
	r->len = 0;
	return ret;
}

/* What is verified must come out even. What is not may be another thing than we think: it is handed
 * on as it is. */
int record_end(struct record_reader *r)
{
	struct fitbit_record record = { .kind = FITBIT_UNREAD };

	if (r->len == 0)
		return 0;
	if (r->part == FITBIT_PART_MINUTES || r->part == FITBIT_PART_DAYS)
		return -EBADMSG;
	return give(r, &record);
}
