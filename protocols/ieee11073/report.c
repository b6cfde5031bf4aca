#include "protocols/ieee11073/report.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/medfloat.h"
#include "protocols/ieee11073/nomenclature.h"

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

static bool add(struct phd_observation *o, const struct phd_object *object, uint16_t metric,
		uint16_t unit, struct number number)
{
	if (o->n_values == PHD_METRICS_MAX)
		return false;
	o->values[o->n_values++] = (struct phd_value){
		.metric = (uint32_t)object->partition << 16 | metric,
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

static bool read_simple_compound(struct cursor *c, const struct phd_object *object,
				 struct phd_observation *o, size_t size)
{
	unsigned int count;
	struct cursor items = mder_list(c, size, &count);

	/* which number is which stands in the configuration alone */
	if (count != object->n_metrics || cursor_left(&items) != count * size)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		struct number n = size == 2 ? read_sfloat(&items) : read_float(&items);

		if (!add(o, object, object->metrics[i], object->unit, n))
			return false;
	}
	return true;
}

/* NuObsValue: metric, status, unit, number */
static bool read_observed(struct cursor *c, const struct phd_object *object,
			  struct phd_observation *o)
{
	uint16_t metric = cursor_be16(c), status = cursor_be16(c), unit = cursor_be16(c);
	struct number n = read_float(c);

	o->status |= status;
	return cursor_ok(c) && add(o, object, metric, unit, n);
}

static bool read_observed_compound(struct cursor *c, const struct phd_object *object,
				   struct phd_observation *o)
{
	unsigned int count;
	struct cursor items = mder_list(c, 10, &count);

	for (unsigned int i = 0; i < count; i++) {
		if (!read_observed(&items, object, o))
			return false;
	}
	return cursor_at_end(&items);
}

static void read_stamp(struct cursor *c, struct phd_observation *o)
{
	int r = mder_read_time(c, &o->time);

	o->stamp = r == 0 ? PHD_STAMP_GIVEN : PHD_STAMP_INVALID;
}

/* ret_unit: 0, or the unit that this observation states for all its numbers */
static bool read_attribute(uint16_t id, struct cursor value, const struct phd_object *object,
			   struct phd_observation *o, uint16_t *ret_unit)
{
	bool good = true;

	switch (id) {
	case MDC_ATTR_NU_BASIC:
		good = add(o, object, object->type, object->unit, read_sfloat(&value));
		break;
	case MDC_ATTR_NU_SIMPLE:
		good = add(o, object, object->type, object->unit, read_float(&value));
		break;
	case MDC_ATTR_CMPD_BASIC:
		good = read_simple_compound(&value, object, o, 2);
		break;
	case MDC_ATTR_CMPD_SIMPLE:
		good = read_simple_compound(&value, object, o, 4);
		break;
	case MDC_ATTR_NU_OBS:
		good = read_observed(&value, object, o);
		break;
	case MDC_ATTR_CMPD_OBS:
		good = read_observed_compound(&value, object, o);
		break;
	case MDC_ATTR_STAMP_ABS:
		read_stamp(&value, o);
		break;
	case MDC_ATTR_STAMP_REL:
		o->ticks = cursor_be32(&value);
		o->has_ticks = true;
		break;
	case MDC_ATTR_MSMT_STATUS:
		o->status |= cursor_be16(&value);
		break;
	case MDC_ATTR_UNIT:
		*ret_unit = cursor_be16(&value);
		break;
	default:
		if (o->n_unread < UINT8_MAX)
			o->n_unread++;
		return true;
	}
	return good && cursor_at_end(&value);
}

static void set_units(struct phd_observation *o, uint16_t unit)
{
	o->unit = unit;
	for (size_t i = 0; unit != 0 && i < o->n_values; i++)
		o->values[i].unit = unit;
}

/* the values of a map, one after the other */
static bool read_mapped(const struct phd_map_entry *map, size_t n_map, struct cursor *octets,
			const struct phd_object *object, struct phd_observation *o)
{
	uint16_t unit = 0;

	for (size_t i = 0; i < n_map; i++) {
		struct cursor value = cursor_sub(octets, map[i].len);

		if (!cursor_ok(octets) ||
		    !read_attribute(map[i].attribute, value, object, o, &unit))
			return false;
	}
	set_units(o, unit);
	return true;
}

static int next_fixed(struct phd_report *r, struct phd_observation *o)
{
	const struct phd_object *object;
	struct cursor octets;

	o->handle = cursor_be16(&r->items);
	octets = mder_any(&r->items);
	if (!cursor_ok(&r->items))
		return -EMSGSIZE;
	object = phd_config_object(r->config, o->handle);
	if (!object)
		return 0;
	if (object->n_map == 0 || object->map[0].handle != 0)
		return -EBADMSG;
	if (!read_mapped(object->map, object->n_map, &octets, object, o) || !cursor_at_end(&octets))
		return -EBADMSG;
	return 1;
}

static int next_variable(struct phd_report *r, struct phd_observation *o)
{
	const struct phd_object *object;
	struct mder_attribute a;
	struct cursor items;
	unsigned int count;
	uint16_t unit = 0;

	o->handle = cursor_be16(&r->items);
	items = mder_list(&r->items, MDER_LIST_HEADER, &count);
	if (!cursor_ok(&r->items))
		return -EMSGSIZE;
	if (!mder_attributes_valid(items, count))
		return -EBADMSG;
	object = phd_config_object(r->config, o->handle);
	if (!object)
		return 0;
	while (mder_attribute(&items, &a)) {
		if (!read_attribute(a.id, a.value, object, o, &unit))
			return -EBADMSG;
	}
	set_units(o, unit);
	return 1;
}

/* the next object of the group at hand; every group holds all of them */
static int next_grouped(struct phd_report *r, struct phd_observation *o)
{
	const struct phd_object *scanner = r->scanner, *object;
	size_t first, n = 0;

	if (r->group_entry == 0) {
		r->group = mder_any(&r->items);
		if (!cursor_ok(&r->items))
			return -EMSGSIZE;
	}
	first = r->group_entry;
	o->handle = scanner->map[first].handle;
	while (first + n < scanner->n_map && scanner->map[first + n].handle == o->handle)
		n++;
	r->group_entry = first + n == scanner->n_map ? 0 : first + n;
	object = phd_config_object(r->config, o->handle);
	if (!object) {
		for (size_t i = first; i < first + n; i++)
			cursor_skip(&r->group, scanner->map[i].len);
		return cursor_ok(&r->group) ? 0 : -EBADMSG;
	}
	if (!read_mapped(&scanner->map[first], n, &r->group, object, o))
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
	struct phd_report r = { .config = config, .person = PHD_PERSON_UNKNOWN };
	unsigned int count;

	if (!kind)
		return -ENOMSG;
	r.format = kind->format;
	r.has_persons = kind->has_persons;
	r.scanner = phd_config_object(config, event->handle);
	if (r.format == FORMAT_GROUPED &&
	    (!r.scanner || r.scanner->n_map == 0 || r.scanner->map[0].handle == 0))
		return -EBADMSG;
	cursor_skip(&c, 4);
	list = mder_list(&c, 2, &count);
	if (!cursor_ok(&c))
		return -EMSGSIZE;
	r.extra = cursor_left(&c);
	if (r.has_persons) {
		r.persons = list;
		r.persons_left = count;
		r.items = cursor_of(NULL, 0);
	} else {
		r.persons = cursor_of(NULL, 0);
		r.items = list;
		r.items_left = count;
	}
	*ret = r;
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
		struct phd_observation o = { .person = r->person };

		if (r->group_entry == 0)
			r->items_left--;
		if (r->format == FORMAT_FIXED)
			found = next_fixed(r, &o);
		else if (r->format == FORMAT_VAR)
			found = next_variable(r, &o);
		else
			found = next_grouped(r, &o);
		if (found == 1)
			*ret = o;
		if (found != 0)
			return found;
		r->n_unknown++;
	}
	return found;
}

int phd_report_check(const struct apdu *event, const struct phd_config *config,
		     struct phd_report_count *ret)
{
	struct phd_report_count count = { 0 };
	struct phd_observation o;
	struct phd_report report;
	int r = phd_report_open(event, config, &report);

	if (r < 0)
		return r;
	while ((r = phd_report_next(&report, &o)) != 0) {
		if (r == -EMSGSIZE)
			return r;
		if (r == 1) {
			count.n_good++;
			count.n_unread += o.n_unread;
		} else {
			count.n_bad++;
		}
	}
	/* what goes wrong inside a group may have begun before it shows */
	if (count.n_bad > 0 && report.format == FORMAT_GROUPED)
		return -EMSGSIZE;
	count.n_unknown = report.n_unknown;
	count.extra = report.extra;
	*ret = count;
	return 0;
}
