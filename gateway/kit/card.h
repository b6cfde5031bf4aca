/*
 * What is printed for a kit, as SVG: one A5 card per device (picture first, three steps, a code to
 * scan) and a label for the box. Sizes are in tenths of a millimetre. No name of a person is on
 * them, and nothing says what is measured against what.
 */
#pragma once

#include "gateway/kit/plan.h"

/* Card of device i (0 ...), malloc'd text; -ENOMEM, -EINVAL (a code that is too long). */
int kit_card(const struct kit_plan *p, size_t i, char **ret);

/* Label of the box: its number, and what is connected to it. */
int kit_label(const struct kit_plan *p, char **ret);
