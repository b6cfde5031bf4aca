/*
 * Whose reading is it? Of the one person that the box is configured for, or nobody is named and the
 * reading stays unassigned. Where there is a registry (loans, user slots, sessions) it is asked
 * after this, and its answer takes this one's place: filing.h.
 */
#include <errno.h>

#include "gateway/intake/steps.h"

int intake_attribute(const struct intake *in, struct draft *d)
{
	Wellgate__V1__Attribution *a = arena_alloc(d->arena, sizeof(*a));

	if (!a)
		return -ENOMEM;
	wellgate__v1__attribution__init(a);
	a->has_rule = a->has_confidence = true;
	a->rule = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_UNASSIGNED;
	a->confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_NONE;
	d->r->attribution = a;
	if (!in->subject)
		return 0;
	a->rule = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SINGLE_PERSON;
	a->confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
	d->r->subject = arena_strdup(d->arena, in->subject);
	return d->r->subject ? 0 : -ENOMEM;
}
