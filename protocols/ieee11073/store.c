#include "protocols/ieee11073/store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

/*
 * SegmentInfoList   list of { instance u16, list of attributes }
 * entry map         header u16, list of { class u16, partition u16, type u16, handle u16,
 *                   list of { attribute u16, length u16 } }
 * data event        instance u16, first u32, count u32, status u16, entries (octets)
 * entry             the times that the header names, then the octets of each element's map
 */

int phd_store_info_decode(const struct apdu *response, struct phd_store_info *ret)
{
	struct cursor items = cursor_of(response->data, response->len);
	struct phd_store_info info = { 0 };
	struct mder_attribute a;

	while (cursor_left(&items) > 0) {
		if (!mder_attribute(&items, &a))
			return -EBADMSG;
		switch (a.id) {
		case MDC_ATTR_STORE_SEGMENTS:
			info.n_segments = cursor_be16(&a.value);
			info.has_segments = true;
			break;
		case MDC_ATTR_STORE_USAGE:
			info.usage = cursor_be32(&a.value);
			break;
		case MDC_ATTR_CLEAR_TIMEOUT:
			info.clear_timeout = cursor_be32(&a.value);
			break;
		default:
			continue;
		}
		if (!cursor_at_end(&a.value))
			return -EBADMSG;
	}
	*ret = info;
	return 0;
}

/* ---- what the segments are ---- */

static unsigned int header_len(uint16_t header)
{
	return ((header & PHD_ENTRY_ABSOLUTE) ? 8U : 0) + ((header & PHD_ENTRY_RELATIVE) ? 4U : 0) +
	       ((header & PHD_ENTRY_HIRES) ? 8U : 0) + ((header & PHD_ENTRY_OFFSET) ? 8U : 0);
}

static int read_element(struct cursor *c, struct phd_segments *s, unsigned int *len)
{
	struct phd_element e = {
		.object_class = cursor_be16(c),
		.partition = cursor_be16(c),
		.type = cursor_be16(c),
		.handle = cursor_be16(c),
		.first_map = s->n_map,
	};
	unsigned int count;
	struct cursor items = mder_list(c, 4, &count);

	if (!cursor_ok(c))
		return -EMSGSIZE;
	if (s->n_elements == PHD_ELEMENTS_MAX || count > (unsigned int)PHD_STORE_MAP_MAX - s->n_map)
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++) {
		struct phd_map_entry *entry = &s->map[s->n_map++];

		entry->attribute = cursor_be16(&items);
		entry->len = cursor_be16(&items);
		*len += entry->len;
	}
	e.n_map = (uint8_t)count;
	s->elements[s->n_elements++] = e;
	return cursor_at_end(&items) ? 0 : -EMSGSIZE;
}

static bool same_element(const struct phd_segments *s, const struct phd_element *a,
			 const struct phd_element *b)
{
	return a->object_class == b->object_class && a->partition == b->partition &&
	       a->type == b->type && a->handle == b->handle && a->n_map == b->n_map &&
	       memcmp(&s->map[a->first_map], &s->map[b->first_map], a->n_map * sizeof(s->map[0])) ==
		       0;
}

static bool same_elements(const struct phd_segments *s, const struct phd_segment *a,
			  const struct phd_segment *b)
{
	bool same = a->n_elements == b->n_elements;

	for (size_t i = 0; same && i < a->n_elements; i++)
		same = same_element(s, &s->elements[a->first_element + i],
				    &s->elements[b->first_element + i]);
	return same;
}

/* segments of one store mostly have one map: what an earlier one has said is kept once */
static void share_elements(struct phd_segments *s, struct phd_segment *segment)
{
	for (size_t i = 0; i < s->n_segments; i++) {
		const struct phd_segment *other = &s->segments[i];

		if (segment->n_elements == 0 || !same_elements(s, other, segment))
			continue;
		s->n_map = s->elements[segment->first_element].first_map;
		s->n_elements = segment->first_element;
		segment->first_element = other->first_element;
		return;
	}
}

static int read_map(struct cursor *c, struct phd_segments *s, struct phd_segment *segment)
{
	unsigned int count, len;
	struct cursor items;
	int r;

	if (segment->entry_len > 0)
		return -EBADMSG; /* a second map */
	segment->header = cursor_be16(c);
	segment->first_element = s->n_elements;
	len = header_len(segment->header);
	items = mder_list(c, 8 + MDER_LIST_HEADER, &count);
	if (!cursor_at_end(c))
		return -EMSGSIZE;
	if (count > PHD_ELEMENTS_MAX)
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++) {
		r = read_element(&items, s, &len);
		if (r < 0)
			return r;
	}
	if (!cursor_at_end(&items))
		return -EMSGSIZE;
	if (len > PHD_ENTRY_MAX)
		return -ENOBUFS;
	segment->n_elements = (uint8_t)count;
	segment->entry_len = (uint16_t)len;
	share_elements(s, segment);
	return len > 0 && count > 0 ? 0 : -EBADMSG;
}

static int read_segment_attribute(struct mder_attribute *a, struct phd_segments *s,
				  struct phd_segment *segment)
{
	switch (a->id) {
	case MDC_ATTR_SEGMENT_MAP:
		return read_map(&a->value, s, segment);
	case MDC_ATTR_SEGMENT_INSTANCE:
		if (cursor_be16(&a->value) != segment->instance)
			return -EBADMSG;
		break;
	case MDC_ATTR_SEGMENT_PERSON:
		segment->person = cursor_be16(&a->value);
		break;
	case MDC_ATTR_SEGMENT_USAGE:
		segment->count = cursor_be32(&a->value);
		segment->has_count = true;
		break;
	case MDC_ATTR_TRANSFER_TIMEOUT:
		segment->transfer_timeout = cursor_be32(&a->value);
		break;
	default:
		return 0;
	}
	return cursor_at_end(&a->value) ? 0 : -EBADMSG;
}

static bool has_instance(const struct phd_segments *s, uint16_t instance)
{
	for (size_t i = 0; i < s->n_segments; i++) {
		if (s->segments[i].instance == instance)
			return true;
	}
	return false;
}

static int read_segment(struct cursor *c, struct phd_segments *s)
{
	struct phd_segment segment = {
		.instance = cursor_be16(c),
		.person = PHD_PERSON_UNKNOWN,
	};
	struct mder_attribute a;
	struct cursor items;
	unsigned int count;
	int r;

	items = mder_list(c, MDER_LIST_HEADER, &count);
	if (!cursor_ok(c) || !mder_attributes_valid(items, count))
		return -EMSGSIZE;
	while (mder_attribute(&items, &a)) {
		r = read_segment_attribute(&a, s, &segment);
		if (r < 0)
			return r;
	}
	if (segment.entry_len == 0 || has_instance(s, segment.instance))
		return -EBADMSG;
	s->segments[s->n_segments++] = segment;
	return 0;
}

int phd_segments_decode(const uint8_t *info, size_t len, struct phd_segments *ret)
{
	struct cursor c = cursor_of(info, len), items;
	struct phd_segments segments = { 0 };
	unsigned int count;
	int r;

	items = mder_list(&c, 2 + MDER_LIST_HEADER, &count);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (count > PHD_SEGMENTS_MAX)
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++) {
		r = read_segment(&items, &segments);
		if (r < 0)
			return r;
	}
	if (!cursor_at_end(&items))
		return -EMSGSIZE;
	*ret = segments;
	return 0;
}

/* ---- what is in them ---- */

int phd_segment_data_decode(const uint8_t *info, size_t len, struct phd_segment_data *ret)
{
	struct cursor c = cursor_of(info, len), entries;
	struct phd_segment_data data = {
		.instance = cursor_be16(&c),
		.first = cursor_be32(&c),
		.count = cursor_be32(&c),
		.status = cursor_be16(&c),
	};

	entries = mder_any(&c);
	data.len = cursor_left(&entries);
	data.entries = cursor_bytes(&entries, data.len);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = data;
	return 0;
}

int phd_entries_open(const struct phd_segment_data *data, uint16_t store,
		     const struct phd_config *config, const struct phd_segments *segments,
		     const struct phd_segment *segment, struct phd_entries *ret)
{
	struct phd_entries e = {
		.config = config,
		.segments = segments,
		.segment = segment,
		.octets = cursor_of(data->entries, data->len),
		.store = store,
		.entry = data->first,
		.end = data->first + data->count,
	};

	assert(segment->entry_len > 0);
	if ((uint64_t)data->count * segment->entry_len != data->len || e.end < e.entry)
		return -EMSGSIZE;
	*ret = e;
	return 0;
}

/* The header of an entry: its times, as if each element had them. */
static void read_header(struct phd_entries *e)
{
	static const struct phd_map_entry times[] = {
		{ .attribute = MDC_ATTR_STAMP_ABS, .len = 8 },
		{ .attribute = MDC_ATTR_STAMP_REL, .len = 4 },
		{ .attribute = MDC_ATTR_STAMP_HIRES, .len = 8 },
		{ .attribute = MDC_ATTR_STAMP_OFFSET, .len = 8 },
	};
	static const struct phd_object none = { 0 };
	struct phd_observation *header = &e->header;

	memset(header, 0, offsetof(struct phd_observation, values));
	header->person = e->segment->person;
	header->is_stored = true;
	header->store = e->store;
	header->segment = e->segment->instance;
	header->entry = e->entry;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (e->segment->header & (PHD_ENTRY_ABSOLUTE >> i))
			(void)phd_observation_read(e->config, &none, &times[i], 1, &e->octets,
						   header);
	}
}

static int read_one(struct phd_entries *e, const struct phd_element *element,
		    struct phd_observation *o)
{
	const struct phd_map_entry *map = &e->segments->map[element->first_map];
	const struct phd_object *declared = phd_config_object(e->config, element->handle);
	struct phd_object object;
	struct cursor octets;
	size_t len = 0;

	for (size_t i = 0; i < element->n_map; i++)
		len += map[i].len;
	octets = cursor_sub(&e->octets, len);
	if (!declared) {
		e->n_unknown++;
		return 0;
	}
	object = *declared;
	/* the same object may keep something else than it reports; its unit is not known then */
	if (object.type != element->type || object.partition != element->partition) {
		object.type = element->type;
		object.partition = element->partition;
		object.unit = 0;
		object.n_metrics = 0;
	}
	o->handle = element->handle;
	if (!phd_observation_read(e->config, &object, map, element->n_map, &octets, o))
		return -EBADMSG;
	return 1;
}

int phd_entries_next(struct phd_entries *e, struct phd_observation *ret)
{
	const struct phd_segment *segment = e->segment;

	while (e->entry < e->end) {
		const struct phd_element *element;
		int r;

		if (e->element == 0)
			read_header(e);
		element = &e->segments->elements[segment->first_element + e->element];
		memcpy(ret, &e->header, offsetof(struct phd_observation, values));
		r = read_one(e, element, ret);
		if (++e->element == segment->n_elements) {
			e->element = 0;
			e->entry++;
		}
		if (r != 0)
			return r;
	}
	return 0;
}
