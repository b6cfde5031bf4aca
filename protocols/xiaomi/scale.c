#include "protocols/xiaomi/scale.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"

#define V1_POUND 0x01
#define V1_JIN   0x10

#define V2_POUND       0x01
#define V2_KG          0x02
#define V2_UNKNOWN     0x04 /* seen in a published frame together with kg */
#define V2_JIN         0x10
#define V2_UNITS       (V2_POUND | V2_KG | V2_UNKNOWN | V2_JIN)
#define V2_JIN_CONTROL 0x40

#define STABLE  0x20
#define REMOVED 0x80

#define IMPEDANCE_MAX 0xfffc

#define CONTROL_MAX 3 /* bytes of what is no record */

static int unit_of(bool pound, bool jin, enum unit *ret)
{
	if (pound && jin)
		return -ERANGE;
	*ret = pound ? UNIT_LB : jin ? UNIT_JIN : UNIT_KG;
	return 0;
}

static int v2_unit(uint8_t unit, uint8_t control, enum unit *ret)
{
	if (unit == 0 || unit == V2_UNKNOWN || (unit & ~V2_UNITS))
		return -ERANGE;
	return unit_of(unit & V2_POUND, (unit & V2_JIN) || (control & V2_JIN_CONTROL), ret);
}

static void set_control(struct xiaomi_scale *x, uint8_t control)
{
	x->stable = control & STABLE;
	x->removed = control & REMOVED;
}

static void set_weight(struct xiaomi_scale *x, uint16_t raw)
{
	x->raw_weight = raw;
	x->weight = x->unit == UNIT_KG ? number_of(raw * INT64_C(5), -3) : number_of(raw, -2);
}

static void set_impedance(struct xiaomi_scale *x, uint16_t raw)
{
	x->impedance = number_absent(ABSENT_UNKNOWN);
	if (raw == 0 || raw > IMPEDANCE_MAX)
		return;
	x->raw_impedance = raw;
	x->impedance = number_of(raw, 0);
}

static int read_v1(struct cursor *c, struct xiaomi_scale *x)
{
	const uint8_t control = cursor_u8(c);
	int r = unit_of(control & V1_POUND, control & V1_JIN, &x->unit);

	set_control(x, control);
	set_weight(x, cursor_le16(c));
	set_impedance(x, 0);
	x->time = gatt_date_time_read(c);
	return r;
}

static int read_v2(struct cursor *c, struct xiaomi_scale *x)
{
	const uint8_t unit = cursor_u8(c), control = cursor_u8(c);
	int r = v2_unit(unit, control, &x->unit);

	set_control(x, control);
	x->time = gatt_date_time_read(c);
	set_impedance(x, cursor_le16(c));
	set_weight(x, cursor_le16(c));
	return r;
}

int xiaomi_scale_decode(const uint8_t *data, size_t len, struct xiaomi_scale *ret)
{
	struct cursor c = cursor_of(data, len);
	struct xiaomi_scale x = { 0 };
	int r;

	if (len != XIAOMI_V1_SIZE && len != XIAOMI_V2_SIZE)
		return -EMSGSIZE;
	r = len == XIAOMI_V1_SIZE ? read_v1(&c, &x) : read_v2(&c, &x);
	if (r < 0)
		return r;
	if (!gatt_date_time_valid(&x.time))
		return -ERANGE;
	*ret = x;
	return 0;
}

static int read_records(const uint8_t *data, size_t len, struct xiaomi_history_frame *f)
{
	const size_t size = len == XIAOMI_V2_SIZE ? XIAOMI_V2_SIZE : XIAOMI_V1_SIZE;
	int r = 0;

	f->kind = XIAOMI_HISTORY_SEND;
	f->count = (unsigned int)(len / size);
	for (size_t i = 0; i < f->count && r >= 0; i++)
		r = xiaomi_scale_decode(data + i * size, size, &f->records[i]);
	return r;
}

static int read_control(const uint8_t *data, size_t len, struct xiaomi_history_frame *f)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t kind = cursor_u8(&c);

	if (len == 0 || len > CONTROL_MAX)
		return -EMSGSIZE;
	f->kind = (enum xiaomi_history)kind;
	if (kind == XIAOMI_HISTORY_STOP)
		return cursor_at_end(&c) ? 0 : -EMSGSIZE;
	if (kind != XIAOMI_HISTORY_COUNT)
		return -ENOMSG;
	f->count = cursor_left(&c) == 1 ? cursor_u8(&c) : cursor_le16(&c);
	return cursor_at_end(&c) ? 0 : -EMSGSIZE;
}

int xiaomi_history_decode(const uint8_t *data, size_t len, struct xiaomi_history_frame *ret)
{
	const bool records =
		len == XIAOMI_V1_SIZE || len == XIAOMI_V2_SIZE || len == (size_t)2 * XIAOMI_V1_SIZE;
	struct xiaomi_history_frame f = { 0 };
	int r = records ? read_records(data, len, &f) : read_control(data, len, &f);

	if (r >= 0)
		*ret = f;
	return r;
}

int xiaomi_history_encode(enum xiaomi_history kind, uint32_t id, struct writer *w)
{
	const struct writer start = *w;

	writer_u8(w, (uint8_t)kind);
	if (kind == XIAOMI_HISTORY_COUNT || kind == XIAOMI_HISTORY_ACKNOWLEDGE)
		writer_be32(w, id);
	if (writer_ok(w))
		return 0;
	*w = start;
	return -ENOSPC;
}
