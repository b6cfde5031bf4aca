#include "protocols/messages/codes.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* fractional digits of a conversion that does not end */
#define ENDLESS_DIGITS 4

static const struct unit_info units[UNIT_END] = {
#define UNIT(number, id, ucum_, mdc_, dimension_, num_m, num_e, den_m, den_e, add_) \
	[UNIT_##id] = { .ucum = (ucum_),                                            \
			.mdc = (mdc_),                                              \
			.dimension = DIMENSION_##dimension_,                        \
			.num = { .mantissa = (num_m), .exponent = (num_e) },        \
			.den = { .mantissa = (den_m), .exponent = (den_e) },        \
			.add = (add_) },
#include "protocols/messages/units.def"
#undef UNIT
};

#define D(m, e)                                                              \
	{                                                                    \
		.stated = true, .limit = {.mantissa = (m), .exponent = (e) } \
	}
#define NO_RANGE                \
	{                       \
		.stated = false \
	}

/* NOLINTBEGIN(bugprone-macro-parentheses): the ranges are initialisers, not expressions */
static const struct metric_info metrics[METRIC_END] = {
#define METRIC(number, id, name_, label_, unit_, group_, loinc_, snomed_, mdc_, hmin, hmax, smin, \
	       smax)                                                                              \
	[METRIC_##id] = { .name = (name_),                                                        \
			  .label = (label_),                                                      \
			  .unit = UNIT_##unit_,                                                   \
			  .group = GROUP_##group_,                                                \
			  .loinc = (loinc_),                                                      \
			  .snomed = UINT64_C(snomed_),                                            \
			  .mdc = (mdc_),                                                          \
			  .hard_min = hmin,                                                       \
			  .hard_max = hmax,                                                       \
			  .soft_min = smin,                                                       \
			  .soft_max = smax },
#include "protocols/messages/metrics.def"
#undef METRIC
};
/* NOLINTEND(bugprone-macro-parentheses) */

const struct unit_info *unit_info(unsigned int unit)
{
	return unit < UNIT_END && units[unit].ucum ? &units[unit] : NULL;
}

const struct metric_info *metric_info(unsigned int metric)
{
	return metric < METRIC_END && metrics[metric].name ? &metrics[metric] : NULL;
}

bool metric_is_derived(unsigned int metric)
{
	return metric == METRIC_HOME_BLOOD_PRESSURE || metric == METRIC_HOME_SYSTOLIC ||
	       metric == METRIC_HOME_DIASTOLIC;
}

enum metric metric_by_name(const char *name)
{
	for (unsigned int i = 0; i < METRIC_END; i++) {
		if (metrics[i].name && strcmp(metrics[i].name, name) == 0)
			return (enum metric)i;
	}
	return METRIC_NONE;
}

enum unit unit_by_ucum(const char *ucum)
{
	for (unsigned int i = 0; i < UNIT_END; i++) {
		if (units[i].ucum && strcmp(units[i].ucum, ucum) == 0)
			return (enum unit)i;
	}
	return UNIT_NONE;
}

const char *metric_group_name(enum metric_group group)
{
	switch (group) {
	case GROUP_BP:
		return "bp";
	case GROUP_WEIGHT:
		return "weight";
	case GROUP_ACTIVITY:
		return "activity";
	case GROUP_SLEEP:
		return "sleep";
	case GROUP_VITALS:
		return "vitals";
	}
	return "vitals";
}

/* value -> base of its dimension: (value + add) * num / den; and back: value * den / num - add */
int unit_convert(struct decimal value, enum unit from, enum unit to, struct decimal *ret)
{
	const struct unit_info *a = unit_info(from), *b = unit_info(to);
	struct decimal num, den, result;
	int r;

	if (!a || !b || a->dimension != b->dimension)
		return -EXDEV;
	if (from == to) {
		*ret = value;
		return 0;
	}
	/* one division for both steps, so that rounding happens once */
	num = (struct decimal){ .mantissa = a->num.mantissa * b->den.mantissa,
				.exponent = a->num.exponent + b->den.exponent };
	den = (struct decimal){ .mantissa = a->den.mantissa * b->num.mantissa,
				.exponent = a->den.exponent + b->num.exponent };
	r = decimal_scale(value, a->add, num, den, ENDLESS_DIGITS, &result);
	if (r == 0 && b->add != 0)
		r = decimal_add(result, (struct decimal){ .mantissa = -b->add }, &result);
	if (r == 0)
		*ret = result;
	return r;
}
