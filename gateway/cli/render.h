/*
 * Readings and goal results as lines for other systems: FHIR R4 (one transaction Bundle a line, in
 * the shape of the Personal Health Device guide) and Open mHealth (one data point a line).
 *
 * Who the person is, is not known here: the Patient is named by the message's own random reference.
 * The record service puts the real one in its place.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "gateway/record/fhir/fhir.h"
#include "wellgate.pb-c.h"

enum render_format {
	RENDER_FHIR,
	RENDER_OMH,
};

/* What was not written, so that it can be said at the end. */
struct render_counts {
	uint64_t refused[FHIR_REFUSALS];
	uint64_t parts; /* of readings: no schema says them */
};

/* Writes the lines of one message, if it has any; else counts why not. -ENOMEM. */
int render_reading(FILE *out, enum render_format format, const Wellgate__V1__Reading *r,
		   const char *hub, struct render_counts *counts);
int render_goal(FILE *out, const Wellgate__V1__GoalResult *r, const char *hub,
		struct render_counts *counts);
/* "wellgate COMMAND: 3 readings were left out: ..." on stderr, a line a reason */
void render_report(const char *command, const struct render_counts *counts);
