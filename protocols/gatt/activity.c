#include "protocols/gatt/activity.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

/* the three summaries differ in the width of their flags and in the widths of their fields */
struct layout {
	size_t flags;          /* bytes */
	size_t fields;         /* how many are defined */
	const uint8_t *widths; /* bytes of each */
};

static const uint8_t activity_widths[GATT_ACTIVITY_FIELDS] = {
	4, 4, 4, 2, 1, 1, 1, 3, 2, 2, 2, 3, 3, 2, 2, 2, 1, 3, 3, 4, 2, 2, 2, 2, 3,
};
static const uint8_t steps_widths[GATT_STEPS_FIELDS] = { 3, 3, 3, 3, 3 };
static const uint8_t sleep_widths[GATT_SLEEP_FIELDS] = {
	3, 3, 3, 2, 2, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 3,
};

static const struct layout activity_layout = { 4, GATT_ACTIVITY_FIELDS, activity_widths };
static const struct layout steps_layout = { 1, GATT_STEPS_FIELDS, steps_widths };
static const struct layout sleep_layout = { 3, GATT_SLEEP_FIELDS, sleep_widths };

static uint32_t read_width(struct cursor *c, size_t width)
{
	uint32_t v = 0;

	for (size_t i = 0; i < width; i++)
		v |= (uint32_t)cursor_u8(c) << (8 * i);
	return v;
}

static int write_width(struct writer *w, uint32_t v, size_t width)
{
	if (width < sizeof(v) && v >> (8 * width) != 0)
		return -ERANGE;
	for (size_t i = 0; i < width; i++)
		writer_u8(w, (uint8_t)(v >> (8 * i)));
	return 0;
}

/* raw has layout->fields elements, all zero */
static int summary_decode(const struct layout *layout, struct cursor *c,
			  struct gatt_activity_session *session, uint32_t *flags, uint32_t *raw)
{
	session->header = cursor_u8(c);
	*flags = read_width(c, layout->flags);
	if (*flags >> layout->fields != 0)
		return -ERANGE;
	session->session = cursor_le16(c);
	session->sub_session = cursor_le16(c);
	session->time = cursor_le32(c);
	session->sequence = cursor_le32(c);
	for (size_t i = 0; i < layout->fields; i++)
		if (*flags >> i & 1)
			raw[i] = read_width(c, layout->widths[i]);
	return cursor_at_end(c) ? 0 : -EMSGSIZE;
}

static int summary_write(const struct layout *layout, const struct gatt_activity_session *session,
			 uint32_t flags, const uint32_t *raw, struct writer *w)
{
	int r;

	if (flags >> layout->fields != 0)
		return -ERANGE;
	writer_u8(w, session->header);
	r = write_width(w, flags, layout->flags);
	writer_le16(w, session->session);
	writer_le16(w, session->sub_session);
	writer_le32(w, session->time);
	writer_le32(w, session->sequence);
	for (size_t i = 0; r == 0 && i < layout->fields; i++)
		if (flags >> i & 1)
			r = write_width(w, raw[i], layout->widths[i]);
	return r;
}

int gatt_activity_decode(const uint8_t *data, size_t len, struct gatt_activity *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_activity x = { 0 };
	int r = summary_decode(&activity_layout, &c, &x.session, &x.flags, x.raw);

	if (r == 0)
		*ret = x;
	return r;
}

int gatt_steps_decode(const uint8_t *data, size_t len, struct gatt_steps *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_steps x = { 0 };
	int r = summary_decode(&steps_layout, &c, &x.session, &x.flags, x.raw);

	if (r == 0)
		*ret = x;
	return r;
}

int gatt_sleep_decode(const uint8_t *data, size_t len, struct gatt_sleep *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_sleep x = { 0 };
	int r = summary_decode(&sleep_layout, &c, &x.session, &x.flags, x.raw);

	if (r == 0)
		*ret = x;
	return r;
}

int gatt_activity_encode(const struct gatt_activity *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start,
			   summary_write(&activity_layout, &x->session, x->flags, x->raw, w));
}

int gatt_steps_encode(const struct gatt_steps *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start,
			   summary_write(&steps_layout, &x->session, x->flags, x->raw, w));
}

int gatt_sleep_encode(const struct gatt_sleep *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start,
			   summary_write(&sleep_layout, &x->session, x->flags, x->raw, w));
}

struct number gatt_steps_total(const struct gatt_steps *x)
{
	uint32_t both = 1u << GATT_STEPS_WALKING | 1u << GATT_STEPS_INTENSITY;

	if ((x->flags & both) == 0)
		return number_absent(ABSENT_UNKNOWN);
	return number_of((int64_t)x->raw[GATT_STEPS_WALKING] + x->raw[GATT_STEPS_INTENSITY], 0);
}
