/*
 * Readings as Open mHealth data points (IEEE 1752.1 header; bodies of IEEE 1752.1 and, where it has
 * none, Open mHealth). Pure: message in, text out.
 *
 * A point is { "header": ..., "body": ... }, one line each. Values keep the device's precision. The
 * schemas have no place for flags and for how far the clock can be trusted, so the header has them
 * under "wellgate": a schema that does not know a property passes it.
 *
 * Source: github.com/openmhealth/schemas (draft-07 schemas of 2023), IEEE 1752.1-2021 header.
 */
#pragma once

#include <stddef.h>

#include "gateway/record/fhir/fhir.h"
#include "wellgate.pb-c.h"

/*
 * *ret is malloc'd: one line a point, each with its newline. *ret_left_out counts the parts that no
 * schema is there for (impedance, sleep stages), or that say why they have no value, which these
 * schemas cannot. -ENODATA: refused, or nothing is left; *ret_why says why. -ENOMEM.
 */
int omh_points(const Wellgate__V1__Reading *reading, char **ret, size_t *ret_left_out,
	       enum fhir_refusal *ret_why);
