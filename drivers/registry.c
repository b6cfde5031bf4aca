#include "drivers/registry.h"

#include <errno.h>
#include <string.h>

#define DRIVER(name) extern const struct driver driver_##name;
#include "drivers/drivers.def"
#undef DRIVER

const struct driver *const drivers[] = {
#define DRIVER(name) &driver_##name,
#include "drivers/drivers.def"
#undef DRIVER
	NULL,
};

/* Compared field by field: more agreeing fields, then the longer prefix, then the higher rank. */
struct weight {
	size_t fields;
	size_t prefix;
	size_t rank;
};

static struct weight row_weight(const struct drv_match *row)
{
	struct weight w = { .rank = row->rank };

	w.fields += row->bus != DRV_BUS_ANY;
	w.fields += row->service != 0;
	w.fields += row->service_uuid128 != NULL;
	w.fields += row->company != 0;
	w.fields += row->name_prefix != NULL;
	w.fields += row->vid != 0;
	w.fields += row->pid != 0;
	w.fields += row->usb_class != 0;
	if (row->name_prefix)
		w.prefix = strlen(row->name_prefix);
	return w;
}

static int weight_compare(struct weight a, struct weight b)
{
	if (a.fields != b.fields)
		return a.fields < b.fields ? -1 : 1;
	if (a.prefix != b.prefix)
		return a.prefix < b.prefix ? -1 : 1;
	return (a.rank > b.rank) - (a.rank < b.rank);
}

static bool row_ends(const struct drv_match *row)
{
	return row_weight(row).fields == 0;
}

static bool has_service(const struct drv_identity *id, uint16_t service)
{
	for (size_t i = 0; i < id->n_services; i++) {
		if (id->services[i] == service)
			return true;
	}
	return false;
}

static bool has_service128(const struct drv_identity *id, const uint8_t *uuid)
{
	for (size_t i = 0; i < id->n_services128; i++) {
		if (memcmp(id->services128[i], uuid, sizeof(id->services128[i])) == 0)
			return true;
	}
	return false;
}

static bool has_usb_class(const struct drv_identity *id, uint8_t usb_class)
{
	return id->n_usb_classes > 0 && memchr(id->usb_classes, usb_class, id->n_usb_classes);
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool row_matches(const struct drv_match *row, const struct drv_identity *id)
{
	return (row->bus == DRV_BUS_ANY || row->bus == id->bus) &&
	       (row->service == 0 || has_service(id, row->service)) &&
	       (!row->service_uuid128 || has_service128(id, row->service_uuid128)) &&
	       (row->company == 0 || row->company == id->company) &&
	       (!row->name_prefix || (id->name && starts_with(id->name, row->name_prefix))) &&
	       (row->vid == 0 || row->vid == id->vid) && (row->pid == 0 || row->pid == id->pid) &&
	       (row->usb_class == 0 || has_usb_class(id, row->usb_class));
}

static bool agree(unsigned int a, unsigned int b)
{
	return a == 0 || b == 0 || a == b;
}

/* Could one device match both? Services are a set, so two of them never exclude each other. */
static bool rows_meet(const struct drv_match *a, const struct drv_match *b)
{
	if (a->name_prefix && b->name_prefix && !starts_with(a->name_prefix, b->name_prefix) &&
	    !starts_with(b->name_prefix, a->name_prefix))
		return false;
	return agree((unsigned int)a->bus, (unsigned int)b->bus) && agree(a->company, b->company) &&
	       agree(a->vid, b->vid) && agree(a->pid, b->pid);
}

const struct driver *registry_by_name(const char *name)
{
	for (const struct driver *const *d = drivers; *d; d++) {
		if (strcmp((*d)->name, name) == 0)
			return *d;
	}
	return NULL;
}

const char *registry_maturity_name(enum drv_maturity maturity)
{
	switch (maturity) {
	case DRV_BY_SPECIFICATION:
		return "by specification";
	case DRV_BY_CAPTURES:
		return "by captures";
	case DRV_ON_HARDWARE:
		return "verified on hardware";
	}
	return "unknown";
}

static bool listens_to(const struct driver *driver, uint16_t uuid16)
{
	for (const struct drv_channel *c = driver->channels; c && c->mode; c++) {
		if (c->id == uuid16 && !c->uuid128 &&
		    (c->mode == DRV_INDICATE || c->mode == DRV_NOTIFY))
			return true;
	}
	return false;
}

/* The row that says least about its device. */
static const struct drv_match *plainest_row(const struct driver *driver)
{
	const struct drv_match *plainest = driver->match;

	for (const struct drv_match *row = driver->match; !row_ends(row); row++) {
		if (weight_compare(row_weight(row), row_weight(plainest)) < 0)
			plainest = row;
	}
	return plainest;
}

/* Of two drivers that listen to one characteristic: the plainer one, then the one that matters more
 * (2A52 is glucose's before it is an oximeter's). */
static bool comes_before(struct weight a, struct weight b)
{
	if (a.fields != b.fields)
		return a.fields < b.fields;
	return a.prefix != b.prefix ? a.prefix < b.prefix : a.rank > b.rank;
}

const struct driver *registry_by_channel(uint16_t uuid16)
{
	const struct driver *best = NULL;
	const struct drv_match *best_row = NULL;

	/* a maker's driver may listen to it too: the one of the standard asks for less */
	for (const struct driver *const *d = drivers; *d; d++) {
		const struct drv_match *row = plainest_row(*d);

		if (!listens_to(*d, uuid16))
			continue;
		if (best && !comes_before(row_weight(row), row_weight(best_row)))
			continue;
		best = *d;
		best_row = row;
	}
	return best;
}

const struct driver *registry_match(const struct drv_identity *id, uint32_t *ret_quirks)
{
	const struct driver *best = NULL;
	const struct drv_match *best_row = NULL;

	for (const struct driver *const *d = drivers; *d; d++) {
		for (const struct drv_match *row = (*d)->match; !row_ends(row); row++) {
			if (!row_matches(row, id))
				continue;
			if (best_row && weight_compare(row_weight(row), row_weight(best_row)) <= 0)
				continue;
			best = *d;
			best_row = row;
		}
	}
	if (best && ret_quirks)
		*ret_quirks = best_row->quirks;
	return best;
}

static bool rows_tie(const struct drv_match *a, const struct drv_match *b)
{
	return weight_compare(row_weight(a), row_weight(b)) == 0 && rows_meet(a, b);
}

/* Does any row of `driver` tie with this one? Rows of one driver may, if their quirks are equal. */
static bool ties_with(const struct drv_match *row, const struct driver *own,
		      const struct driver *other)
{
	for (const struct drv_match *o = other->match; !row_ends(o); o++) {
		if (own == other && o->quirks == row->quirks)
			continue;
		if (rows_tie(row, o))
			return true;
	}
	return false;
}

int registry_check(const struct driver *const *table, const char **ret_first,
		   const char **ret_second)
{
	for (const struct driver *const *a = table; *a; a++) {
		for (const struct driver *const *b = a; *b; b++) {
			for (const struct drv_match *row = (*a)->match; !row_ends(row); row++) {
				if (!ties_with(row, *a, *b))
					continue;
				*ret_first = (*a)->name;
				*ret_second = (*b)->name;
				return -EEXIST;
			}
		}
	}
	return 0;
}
