#include "protocols/ieee11073/report.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/medfloat.h"
#include "protocols/ieee11073/nomenclature.h"

#define AGENT_INITIATED 0xf000 /* data-req-id of what nobody asked for */

/*
 * Every report: data-req-id u16, scan-report-no u16, then a list of
 *   fixed     handle u16, octets of its object's Attribute-Value-Map
 *   variable  handle u16, list of attributes
 *   grouped   octets of the scanner's Scan-Handle-Attr-Val-Map
 * With persons the list holds: person u16, and a list of the above (grouped: the octets alone).
 */
enum format {
	FORMAT_FIXED,
	FORMAT_VAR,
	FORMAT_GROUPED
};

static const struct kind {
	uint16_t type;
	uint8_t format;
	bool has_persons;
} KINDS[] = {
	{ MDC_NOTI_SCAN_FIXED, FORMAT_FIXED, false },
	{ MDC_NOTI_SCAN_VAR, FORMAT_VAR, false },
	{ MDC_NOTI_SCAN_MP_FIXED, FORMAT_FIXED, true },
	{ MDC_NOTI_SCAN_MP_VAR, FORMAT_VAR, true },
	{ MDC_NOTI_UNBUF_VAR, FORMAT_VAR, false },
	{ MDC_NOTI_UNBUF_FIXED, FORMAT_FIXED, false },
	{ MDC_NOTI_UNBUF_GROUPED, FORMAT_GROUPED, false },
	{ MDC_NOTI_UNBUF_MP_VAR, FORMAT_VAR, true },
	{ MDC_NOTI_UNBUF_MP_FIXED, FORMAT_FIXED, true },
	{ MDC_NOTI_UNBUF_MP_GROUPED, FORMAT_GROUPED, true },
	{ MDC_NOTI_BUF_VAR, FORMAT_VAR, false },
	{ MDC_NOTI_BUF_FIXED, FORMAT_FIXED, false },
	{ MDC_NOTI_BUF_GROUPED, FORMAT_GROUPED, false },
	{ MDC_NOTI_BUF_MP_VAR, FORMAT_VAR, true },
	{ MDC_NOTI_BUF_MP_FIXED, FORMAT_FIXED, true },
	{ MDC_NOTI_BUF_MP_GROUPED, FORMAT_GROUPED, true },
};

static const struct kind *kind_of(uint16_t type)
{
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		if (KINDS[i].type == type)
			return &KINDS[i];
	}
	return NULL;
}

bool phd_report_is(uint16_t event_type)
{
	return kind_of(event_type) != NULL;
}

/* ---- values of one observation ---- */

/* what is read: one object, and where its numbers go */
struct reading {
	const struct phd_config *config;
	const struct phd_object *object;
	struct phd_observation *o;
	uint16_t unit; /* 0, or the one that this observation states for all its numbers */
};

static bool add(struct reading *r, uint16_t metric, uint16_t unit, struct number number)
{
	struct phd_observation *o = r->o;

	if (o->n_values == PHD_METRICS_MAX)
		return false;
	o->values[o->n_values++] = (struct phd_value){
		.metric = (uint32_t)r->object->partition << 16 | metric,
		.unit = unit,
		.number = number,
	};
	return true;
}

static struct number read_float(struct cursor *c)
{
	return medfloat32_decode(cursor_be32(c));
}

static struct number read_sfloat(struct cursor *c)
{
	return medfloat16_decode(cursor_be16(c));
}

static bool read_simple_compound(struct cursor *c, struct reading *r, size_t size)
{
	const struct phd_object *object = r->object;
	const uint16_t *metrics = &r->config->metrics[object->first_metric];
	unsigned int count;
	struct cursor items = mder_list(c, size, &count);

	/* which number is which stands in the configuration alone */
	if (count != object->n_metrics || cursor_left(&items) != count * size)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		struct number n = size == 2 ? read_sfloat(&items) : read_float(&items);

		if (!add(r, metrics[i], object->unit, n))
			return false;
	}
	return true;
}

/* NuObsValue: metric, status, unit, number */
static bool read_observed(struct cursor *c, struct reading *r)
{
	uint16_t metric = cursor_be16(c), status = cursor_be16(c), unit = cursor_be16(c);
	struct number n = read_float(c);

	r->o->status |= status;
	return cursor_ok(c) && add(r, metric, unit, n);
}

static bool read_observed_compound(struct cursor *c, struct reading *r)
{
	unsigned int count;
	struct cursor items = mder_list(c, 10, &count);

	for (unsigned int i = 0; i < count; i++) {
		if (!read_observed(&items, r))
			return false;
	}
	return cursor_at_end(&items);
}

/* of two stamps the one that knows its zone */
static void read_stamp(struct cursor *c, struct phd_observation *o)
{
	const bool has_better = o->stamp == PHD_STAMP_BASE_OFFSET;
	struct mder_time passed_over;
	int r = mder_read_time(c, has_better ? &passed_over : &o->time);

	if (!has_better)
		o->stamp = r == 0 ? PHD_STAMP_GIVEN : PHD_STAMP_INVALID;
}

static void read_base_offset(struct cursor *c, struct phd_observation *o)
{
	if (mder_read_base_offset(c, &o->time, &o->offset_min) == 0)
		o->stamp = PHD_STAMP_BASE_OFFSET;
	else if (o->stamp == PHD_STAMP_NONE)
		o->stamp = PHD_STAMP_INVALID;
}

/* a second code in one observation is refused: which of them it means is not ours to say */
static bool read_code(struct cursor *c, struct reading *r, enum phd_code_kind kind, uint8_t bits)
{
	struct phd_observation *o = r->o;

	if (o->code_kind != PHD_CODE_NONE)
		return false;
	o->code_kind = kind;
	o->code_bits = kind == PHD_CODE_BITS ? bits : 0;
	o->code = bits == 32 ? cursor_be32(c) : cursor_be16(c);
	o->metric = (uint32_t)r->object->partition << 16 | r->object->type;
	if (o->code_partition == 0)
		o->code_partition = r->object->partition;
	return true;
}

/* the attributes that are no numbers; false: bad, and *value failed where it is not ours to read */
static bool read_side_attribute(uint16_t id, struct cursor *value, struct reading *r)
{
	struct phd_observation *o = r->o;

	switch (id) {
	case MDC_ATTR_STAMP_OFFSET:
		read_base_offset(value, o);
		return true;
	case MDC_ATTR_STAMP_REL:
		o->ticks = cursor_be32(value);
		o->has_ticks = true;
		return true;
	case MDC_ATTR_MSMT_STATUS:
		o->status |= cursor_be16(value);
		return true;
	case MDC_ATTR_UNIT:
		r->unit = cursor_be16(value);
		return true;
	case MDC_ATTR_ENUM_OID:
		return read_code(value, r, PHD_CODE_OID, 16);
	case MDC_ATTR_ENUM_BITS_16:
		return read_code(value, r, PHD_CODE_BITS, 16);
	case MDC_ATTR_ENUM_BITS_32:
		return read_code(value, r, PHD_CODE_BITS, 32);
	case MDC_ATTR_ENUM_PARTITION:
		o->code_partition = cursor_be16(value);
		return true;
	default:
		if (o->n_unread < UINT8_MAX)
			o->n_unread++;
		cursor_skip(value, cursor_left(value));
		return true;
	}
}

static bool read_attribute(uint16_t id, struct cursor *value, struct reading *r)
{
	const struct phd_object *object = r->object;
	bool good = true;

	switch (id) {
	case MDC_ATTR_NU_BASIC:
		good = add(r, object->type, object->unit, read_sfloat(value));
		break;
	case MDC_ATTR_NU_SIMPLE:
		good = add(r, object->type, object->unit, read_float(value));
		break;
	case MDC_ATTR_CMPD_BASIC:
		good = read_simple_compound(value, r, 2);
		break;
	case MDC_ATTR_CMPD_SIMPLE:
		good = read_simple_compound(value, r, 4);
		break;
	case MDC_ATTR_NU_OBS:
		good = read_observed(value, r);
		break;
	case MDC_ATTR_CMPD_OBS:
		good = read_observed_compound(value, r);
		break;
	case MDC_ATTR_STAMP_ABS:
		read_stamp(value, r->o);
		break;
	default:
		good = read_side_attribute(id, value, r);
		break;
	}
	return good && cursor_at_end(value);
}

static void set_units(struct phd_observation *o, uint16_t unit)
{
	o->unit = unit;
	for (size_t i = 0; unit != 0 && i < o->n_values; i++)
		o->values[i].unit = unit;
}

bool phd_observation_read(const struct phd_config *config, const struct phd_object *object,
			  const struct phd_map_entry *map, size_t n_map, struct cursor *octets,
			  struct phd_observation *o)
{
	struct reading r = { .config = config, .object = object, .o = o };

	for (size_t i = 0; i < n_map; i++) {
		struct cursor value = cursor_sub(octets, map[i].len);

		if (!cursor_ok(octets) || !read_attribute(map[i].attribute, &value, &r))
			return false;
	}
	set_units(o, r.unit);
	return true;
}

/* handle 0 is the device itself: its attributes are no reading of anybody */
static const struct phd_object *find_object(struct phd_report *r, uint16_t handle)
{
	const struct phd_object *object = phd_config_object(r->config, handle);

	if (handle == 0)
		r->n_device++;
	else if (!object)
		r->n_unknown++;
	return object;
}

static int next_fixed(struct phd_report *r, struct phd_observation *o)
{
	const uint16_t handle = cursor_be16(&r->items);
	struct cursor octets = mder_any(&r->items);
	const struct phd_object *object;
	const struct phd_map_entry *map;

	o->handle = handle;
	if (!cursor_ok(&r->items))
		return -EMSGSIZE;
	object = find_object(r, o->handle);
	if (!object)
		return 0;
	map = &r->config->map[object->first_map];
	if (object->n_map == 0 || map->handle != 0)
		return -EBADMSG;
	if (!phd_observation_read(r->config, object, map, object->n_map, &octets, o) ||
	    !cursor_at_end(&octets))
		return -EBADMSG;
	return 1;
}

static int next_variable(struct phd_report *r, struct phd_observation *o)
{
	struct reading reading = { .config = r->config, .o = o };
	struct mder_attribute a;
	struct cursor items;
	unsigned int count;

	o->handle = cursor_be16(&r->items);
	items = mder_list(&r->items, MDER_LIST_HEADER, &count);
	if (!cursor_ok(&r->items))
		return -EMSGSIZE;
	if (!mder_attributes_valid(items, count))
		return -EBADMSG;
	reading.object = find_object(r, o->handle);
	if (!reading.object)
		return 0;
	while (mder_attribute(&items, &a)) {
		if (!read_attribute(a.id, &a.value, &reading))
			return -EBADMSG;
	}
	set_units(o, reading.unit);
	return 1;
}

/* the next object of the group at hand; every group holds all of them */
static int next_grouped(struct phd_report *r, struct phd_observation *o)
{
	const struct phd_object *scanner = r->scanner, *object;
	const struct phd_map_entry *map = &r->config->map[scanner->first_map];
	size_t first, n = 0;

	if (r->group_entry == 0) {
		r->group = mder_any(&r->items);
		if (!cursor_ok(&r->items))
			return -EMSGSIZE;
	}
	first = r->group_entry;
	o->handle = map[first].handle;
	while (first + n < scanner->n_map && map[first + n].handle == o->handle)
		n++;
	r->group_entry = first + n == scanner->n_map ? 0 : first + n;
	object = find_object(r, o->handle);
	if (!object) {
		for (size_t i = first; i < first + n; i++)
			cursor_skip(&r->group, map[i].len);
		return cursor_ok(&r->group) ? 0 : -EBADMSG;
	}
	if (!phd_observation_read(r->config, object, &map[first], n, &r->group, o))
		return -EBADMSG;
	return r->group_entry == 0 && !cursor_at_end(&r->group) ? -EBADMSG : 1;
}

/* ---- the lists ---- */

/* opens the list of the next person; false: there is none, or the list is broken (failed) */
static bool next_person(struct phd_report *r)
{
	if (r->persons_left == 0)
		return false;
	r->persons_left--;
	r->person = cursor_be16(&r->persons);
	if (r->format == FORMAT_GROUPED) {
		/* one group: left where the group's own length is read */
		struct cursor at = r->persons, group = mder_any(&r->persons);

		r->items = cursor_sub(&at, cursor_left(&group) + 2);
		r->items_left = cursor_ok(&r->persons);
	} else {
		r->items = mder_list(&r->persons, 4, &r->items_left);
	}
	return cursor_ok(&r->persons);
}

int phd_report_open(const struct apdu *event, const struct phd_config *config,
		    struct phd_report *ret)
{
	const struct kind *kind = kind_of(event->type);
	struct cursor c = cursor_of(event->data, event->len), list;
	const struct phd_object *scanner;
	unsigned int count;

	if (!kind)
		return -ENOMSG;
	scanner = phd_config_object(config, event->handle);
	if (kind->format == FORMAT_GROUPED &&
	    (!scanner || scanner->n_map == 0 || config->map[scanner->first_map].handle == 0))
		return -EBADMSG;
	cursor_skip(&c, 4);
	list = mder_list(&c, 2, &count);
	if (!cursor_ok(&c))
		return -EMSGSIZE;
	memset(ret, 0, offsetof(struct phd_report, group));
	ret->config = config;
	ret->person = PHD_PERSON_UNKNOWN;
	ret->format = kind->format;
	ret->has_persons = kind->has_persons;
	ret->scanner = scanner;
	ret->extra = cursor_left(&c);
	if (kind->has_persons) {
		ret->persons = list;
		ret->persons_left = count;
	} else {
		ret->items = list;
		ret->items_left = count;
	}
	return 0;
}

/* 1 there is an item to read, 0 all was read, -EMSGSIZE the counts and lengths do not agree */
static int find_item(struct phd_report *r)
{
	while (r->items_left == 0 && r->group_entry == 0) {
		if (!cursor_at_end(&r->items))
			return -EMSGSIZE;
		if (!next_person(r))
			return cursor_at_end(&r->persons) ? 0 : -EMSGSIZE;
	}
	return 1;
}

int phd_report_next(struct phd_report *r, struct phd_observation *ret)
{
	int found;

	while ((found = find_item(r)) == 1) {
		/* its values are most of it, and are written as they are read */
		memset(ret, 0, offsetof(struct phd_observation, values));
		ret->person = r->person;
		if (r->group_entry == 0)
			r->items_left--;
		if (r->format == FORMAT_FIXED)
			found = next_fixed(r, ret);
		else if (r->format == FORMAT_VAR)
			found = next_variable(r, ret);
		else
			found = next_grouped(r, ret);
		if (found != 0)
			return found;
	}
	return found;
}

/* A good one was read into its place. False: no more is kept. */
static bool keep(struct phd_report_checked *checked, const struct phd_report *report)
{
	const struct phd_observation *o = &checked->kept[checked->n_kept++];

	if (checked->n_kept < PHD_REPORT_KEPT && o->unit == 0)
		return true;
	checked->rest = *report;
	return false;
}

int phd_report_check_keep(const struct apdu *event, const struct phd_config *config,
			  struct phd_report_checked *ret)
{
	struct phd_report_count *count = &ret->count;
	struct phd_observation spare, *o = ret->kept;
	struct phd_report report;
	int r = phd_report_open(event, config, &report);

	if (r < 0)
		return r;
	*count = (struct phd_report_count){ .extra = report.extra };
	ret->n_kept = 0;
	while ((r = phd_report_next(&report, o)) != 0) {
		if (r == -EMSGSIZE)
			return r;
		if (r < 0) {
			count->n_bad++;
			continue;
		}
		count->n_good++;
		count->n_unread += o->n_unread;
		if (o != &spare)
			o = keep(ret, &report) ? &ret->kept[ret->n_kept] : &spare;
	}
	/* what goes wrong inside a group may have begun before it shows */
	if (count->n_bad > 0 && report.format == FORMAT_GROUPED)
		return -EMSGSIZE;
	count->n_unknown = report.n_unknown;
	count->n_device = report.n_device;
	return 0;
}

int phd_report_check(const struct apdu *event, const struct phd_config *config,
		     struct phd_report_count *ret)
{
	struct phd_report_checked checked;
	int r = phd_report_check_keep(event, config, &checked);

	if (r == 0)
		*ret = checked.count;
	return r;
}

/* ---- writing ---- */

/* -ENOENT: the observation has no such number */
static int write_number(struct writer *w, const struct phd_observation *o, size_t i, size_t size)
{
	uint16_t small;
	uint32_t large;
	int r;

	if (i >= o->n_values)
		return -ENOENT;
	if (size == 2) {
		r = medfloat16_encode(o->values[i].number, &small);
		if (r == 0)
			writer_be16(w, small);
		return r;
	}
	r = medfloat32_encode(o->values[i].number, &large);
	if (r == 0)
		writer_be32(w, large);
	return r;
}

static int write_compound(struct writer *w, const struct phd_object *object,
			  const struct phd_observation *o, size_t size)
{
	size_t list = mder_begin_list(w, object->n_metrics);
	int r = 0;

	for (size_t i = 0; i < object->n_metrics && r == 0; i++)
		r = write_number(w, o, i, size);
	mder_end(w, list);
	return r;
}

static int write_attribute(struct writer *w, uint16_t id, const struct phd_object *object,
			   const struct phd_observation *o)
{
	switch (id) {
	case MDC_ATTR_NU_BASIC:
		return write_number(w, o, 0, 2);
	case MDC_ATTR_NU_SIMPLE:
		return write_number(w, o, 0, 4);
	case MDC_ATTR_CMPD_BASIC:
		return write_compound(w, object, o, 2);
	case MDC_ATTR_CMPD_SIMPLE:
		return write_compound(w, object, o, 4);
	case MDC_ATTR_STAMP_ABS:
		mder_write_time(w, &o->time);
		return 0;
	case MDC_ATTR_STAMP_REL:
		writer_be32(w, o->ticks);
		return 0;
	case MDC_ATTR_MSMT_STATUS:
		writer_be16(w, o->status);
		return 0;
	case MDC_ATTR_UNIT:
		writer_be16(w, o->unit);
		return 0;
	case MDC_ATTR_ENUM_OID:
	case MDC_ATTR_ENUM_BITS_16:
		writer_be16(w, (uint16_t)o->code);
		return 0;
	case MDC_ATTR_ENUM_BITS_32:
		writer_be32(w, o->code);
		return 0;
	default:
		return -ENOTSUP;
	}
}

int phd_observation_write(const struct phd_object *object, const struct phd_map_entry *map,
			  size_t n_map, const struct phd_observation *o, struct writer *w)
{
	for (size_t i = 0; i < n_map; i++) {
		size_t before = w->len;
		int r = write_attribute(w, map[i].attribute, object, o);

		if (r < 0)
			return r;
		if (writer_ok(w) && w->len - before != map[i].len)
			return -ENOTSUP;
	}
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): an encoder of ours says where to, and how much */
int phd_report_encode(const struct phd_config *config, uint16_t report_no,
		      const struct phd_observation *o, size_t n, uint8_t *buffer, size_t size,
		      size_t *ret_len)
{
	struct writer w = writer_of(buffer, size);
	size_t list, octets;
	int r;

	writer_be16(&w, AGENT_INITIATED);
	writer_be16(&w, report_no);
	list = mder_begin_list(&w, (unsigned int)n);
	for (size_t i = 0; i < n; i++) {
		const struct phd_object *object = phd_config_object(config, o[i].handle);

		if (!object)
			return -ENOENT;
		writer_be16(&w, o[i].handle);
		octets = mder_begin(&w);
		r = phd_observation_write(object, &config->map[object->first_map], object->n_map,
					  &o[i], &w);
		if (r < 0)
			return r;
		mder_end(&w, octets);
	}
	mder_end(&w, list);
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}
