#include "protocols/ieee11073/mds.h"

#include <errno.h>
#include <string.h>

#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

#define NO_TICKS 0xffffffffU

/* ProdSpecEntry, spec-type */
enum spec {
	SPEC_SERIAL = 1,
	SPEC_PART = 2,
	SPEC_HARDWARE = 3,
	SPEC_SOFTWARE = 4,
	SPEC_FIRMWARE = 5,
};

static struct phd_text read_text(struct cursor *c)
{
	struct cursor any = mder_any(c);
	struct phd_text text = { .len = cursor_left(&any) };

	text.text = cursor_bytes(&any, text.len);
	return text;
}

static struct phd_text *text_of(struct phd_mds *mds, uint16_t spec)
{
	switch (spec) {
	case SPEC_SERIAL:
		return &mds->serial;
	case SPEC_PART:
		return &mds->part;
	case SPEC_HARDWARE:
		return &mds->hardware;
	case SPEC_SOFTWARE:
		return &mds->software;
	case SPEC_FIRMWARE:
		return &mds->firmware;
	default:
		return NULL;
	}
}

/* of several with one type the first stands: it is of the device, the others of its parts */
static bool read_production(struct cursor *c, struct phd_mds *mds)
{
	unsigned int count;
	struct cursor items = mder_list(c, 6, &count);

	for (unsigned int i = 0; i < count; i++) {
		struct phd_text *to = text_of(mds, cursor_be16(&items)), text;

		cursor_skip(&items, 2); /* component */
		text = read_text(&items);
		if (to && !to->text)
			*to = text;
	}
	return cursor_at_end(&items) && cursor_at_end(c);
}

static bool read_system_id(struct cursor *c, struct phd_mds *mds)
{
	struct cursor id = mder_any(c);
	const uint8_t *bytes = cursor_bytes(&id, APDU_SYSTEM_ID);

	if (!bytes || !cursor_at_end(&id))
		return false;
	memcpy(mds->system_id, bytes, APDU_SYSTEM_ID);
	mds->has_system_id = true;
	return cursor_at_end(c);
}

/* capabilities u16, protocol u16, accuracy u32, resolutions u16 u16 u32 */
static void read_time_info(struct cursor *c, struct phd_mds *mds)
{
	mds->time_info = cursor_be16(c);
	cursor_skip(c, 14);
}

/* of two clocks the one that knows its zone */
static void read_clock(struct cursor *c, struct phd_mds *mds)
{
	struct mder_time t;
	int r = mder_read_time(c, &t);

	if (mds->stamp == PHD_STAMP_BASE_OFFSET)
		return;
	mds->stamp = r == 0 ? PHD_STAMP_GIVEN : PHD_STAMP_INVALID;
	if (r == 0)
		mds->time = t;
}

static void read_base_clock(struct cursor *c, struct phd_mds *mds)
{
	if (mder_read_base_offset(c, &mds->time, &mds->offset_min) == 0)
		mds->stamp = PHD_STAMP_BASE_OFFSET;
	else if (mds->stamp == PHD_STAMP_NONE)
		mds->stamp = PHD_STAMP_INVALID;
}

static bool read_attribute(struct mder_attribute *a, struct phd_mds *mds)
{
	switch (a->id) {
	case MDC_ATTR_SYSTEM_ID:
		return read_system_id(&a->value, mds);
	case MDC_ATTR_MODEL:
		mds->manufacturer = read_text(&a->value);
		mds->model = read_text(&a->value);
		break;
	case MDC_ATTR_PRODUCTION_SPEC:
		return read_production(&a->value, mds);
	case MDC_ATTR_TIME_ABS:
		read_clock(&a->value, mds);
		break;
	case MDC_ATTR_TIME_OFFSET:
		read_base_clock(&a->value, mds);
		break;
	case MDC_ATTR_TIME_REL:
		mds->ticks = cursor_be32(&a->value);
		mds->has_ticks = mds->ticks != NO_TICKS;
		break;
	case MDC_ATTR_TIME_INFO:
		read_time_info(&a->value, mds);
		break;
	case MDC_ATTR_POWER:
		mds->power = cursor_be16(&a->value);
		mds->has_power = true;
		break;
	case MDC_ATTR_BATTERY:
		mds->battery = cursor_be16(&a->value);
		mds->has_battery = true;
		break;
	default:
		mds->n_unread++;
		return true;
	}
	return cursor_at_end(&a->value);
}

int phd_mds_decode(const struct apdu *response, struct phd_mds *ret)
{
	struct cursor items = cursor_of(response->data, response->len);
	struct phd_mds mds = { 0 };
	struct mder_attribute a;

	while (cursor_left(&items) > 0) {
		if (!mder_attribute(&items, &a) || !read_attribute(&a, &mds))
			return -EBADMSG;
	}
	*ret = mds;
	return 0;
}
