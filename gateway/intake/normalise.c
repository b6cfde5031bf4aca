/* Values: canonical units, codes, plausible ranges. What the device said is kept beside them. */
#include <errno.h>

#include "gateway/intake/steps.h"
#include "protocols/messages/codes.h"

static struct decimal decimal_of(const Wellgate__V1__Decimal *m)
{
	return (struct decimal){ m->mantissa, m->exponent };
}

static int decimal_message(struct arena *arena, struct decimal d, Wellgate__V1__Decimal **ret)
{
	Wellgate__V1__Decimal *m = arena_alloc(arena, sizeof(*m));

	if (!m)
		return -ENOMEM;
	wellgate__v1__decimal__init(m);
	m->has_mantissa = m->has_exponent = true;
	m->mantissa = d.mantissa;
	m->exponent = d.exponent;
	*ret = m;
	return 0;
}

static int text(struct arena *arena, const char *from, char **ret)
{
	*ret = arena_strdup(arena, from);
	return *ret ? 0 : -ENOMEM;
}

/* An extreme value is flagged and kept: 250/150 is what somebody's cuff said. */
static uint64_t range_flags(const struct metric_info *info, struct decimal value)
{
	uint64_t flags = 0;

	if ((info->hard_min.stated && decimal_compare(value, info->hard_min.limit) < 0) ||
	    (info->hard_max.stated && decimal_compare(value, info->hard_max.limit) > 0))
		flags |= FLAG_BIT(FLAG_HARD_RANGE);
	if ((info->soft_min.stated && decimal_compare(value, info->soft_min.limit) < 0) ||
	    (info->soft_max.stated && decimal_compare(value, info->soft_max.limit) > 0))
		flags |= FLAG_BIT(FLAG_SOFT_RANGE);
	return flags;
}

static int set_value(struct draft *d, const struct metric_info *info,
		     const Wellgate__V1__Measurement__Part *part, Wellgate__V1__Component *c)
{
	struct decimal original = decimal_of(part->value), value = original;
	int r;

	if (original.exponent < -DECIMAL_EXPONENT_MAX || original.exponent > DECIMAL_EXPONENT_MAX)
		return -EBADMSG;
	/* also for equal units: it says whether the unit is of the metric's dimension */
	r = unit_convert(original, (enum unit)part->unit, info->unit, &value);
	if (r < 0)
		return -EBADMSG;
	d->flags |= range_flags(info, value);
	r = decimal_message(d->arena, value, &c->value);
	if (r < 0 || part->unit == (uint32_t)info->unit)
		return r;
	d->flags |= FLAG_BIT(FLAG_UNIT_CONVERTED);
	r = decimal_message(d->arena, original, &c->original_value);
	return r < 0 ? r : text(d->arena, unit_info(part->unit)->ucum, &c->original_unit);
}

static int set_absent(const struct metric_info *info, const Wellgate__V1__Measurement__Part *part,
		      Wellgate__V1__Component *c)
{
	const struct unit_info *unit = unit_info(part->unit);

	if (!unit || unit->dimension != unit_info(info->unit)->dimension)
		return -EBADMSG;
	if (part->absent == WELLGATE__V1__ABSENT__ABSENT_UNSPECIFIED)
		return -EBADMSG;
	c->has_absent = true;
	c->absent = part->absent;
	return 0;
}

static int set_codes(struct arena *arena, const struct metric_info *info,
		     Wellgate__V1__Component *c)
{
	c->has_snomed = info->snomed != 0;
	c->snomed = info->snomed;
	c->has_mdc = info->mdc != 0;
	c->mdc = info->mdc;
	return info->loinc[0] ? text(arena, info->loinc, &c->loinc) : 0;
}

static int component(struct draft *d, const Wellgate__V1__Measurement__Part *part,
		     Wellgate__V1__Component **ret)
{
	const struct metric_info *info = metric_info((unsigned int)part->metric);
	Wellgate__V1__Component *c;
	int r;

	/* a number, or the reason why there is none: never both, never neither */
	if (!part->has_metric || !info || metric_is_derived(part->metric) || !part->has_unit ||
	    !unit_info(part->unit) ||
	    (part->value != NULL) == (part->has_absent && part->absent != 0))
		return -EBADMSG;
	c = arena_alloc(d->arena, sizeof(*c));
	if (!c)
		return -ENOMEM;
	wellgate__v1__component__init(c);
	c->has_metric = true;
	c->metric = part->metric;
	r = part->value ? set_value(d, info, part, c) : set_absent(info, part, c);
	if (r == 0)
		r = text(d->arena, unit_info(info->unit)->ucum, &c->unit);
	if (r == 0)
		r = set_codes(d->arena, info, c);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

/* NULL: there is no such component, or it has no value */
static const Wellgate__V1__Component *with_value(const Wellgate__V1__Reading *r, enum metric metric)
{
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if ((unsigned int)c->metric == (unsigned int)metric && c->value)
			return c;
	}
	return NULL;
}

/* -1, 0, 1; `missing` if either is */
static int compare(const Wellgate__V1__Component *a, const Wellgate__V1__Component *b, int missing)
{
	return a && b ? decimal_compare(decimal_of(a->value), decimal_of(b->value)) : missing;
}

static void check_pressures(struct draft *d)
{
	const Wellgate__V1__Component *upper = with_value(d->r, METRIC_SYSTOLIC);
	const Wellgate__V1__Component *lower = with_value(d->r, METRIC_DIASTOLIC);
	const Wellgate__V1__Component *mean = with_value(d->r, METRIC_MEAN_PRESSURE);

	if (compare(upper, lower, 1) <= 0 || compare(lower, mean, 0) > 0 ||
	    compare(mean, upper, 0) > 0)
		d->flags |= FLAG_BIT(FLAG_INCONSISTENT) | FLAG_BIT(FLAG_HARD_RANGE);
}

/* a number, or that it is above or below what the device can measure (HI, LO) */
static bool says_something(const Wellgate__V1__Reading *r)
{
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if (c->value || (unsigned int)c->absent == ABSENT_POSITIVE_INFINITY ||
		    (unsigned int)c->absent == ABSENT_NEGATIVE_INFINITY)
			return true;
	}
	return false;
}

static int whole_codes(struct draft *d, const struct metric_info *info)
{
	d->r->has_metric = true;
	d->r->metric = d->m->metric;
	d->r->has_snomed = info->snomed != 0;
	d->r->snomed = info->snomed;
	d->r->has_mdc = info->mdc != 0;
	d->r->mdc = info->mdc;
	return info->loinc[0] ? text(d->arena, info->loinc, &d->r->loinc) : 0;
}

int intake_components(struct draft *d)
{
	const struct metric_info *info = metric_info((unsigned int)d->m->metric);
	int r;

	if (!d->m->has_metric || !info || metric_is_derived(d->m->metric) || d->m->n_parts == 0 ||
	    d->m->n_parts > MEASUREMENT_PARTS_MAX)
		return -EBADMSG;
	r = whole_codes(d, info);
	d->r->components = arena_alloc(d->arena, d->m->n_parts * sizeof(Wellgate__V1__Component *));
	if (r < 0 || !d->r->components)
		return -ENOMEM;
	for (size_t i = 0; i < d->m->n_parts; i++) {
		r = component(d, d->m->parts[i], &d->r->components[i]);
		if (r < 0)
			return r;
		d->r->n_components++;
	}
	if (!says_something(d->r))
		return -ENOMSG;
	check_pressures(d);
	return 0;
}
