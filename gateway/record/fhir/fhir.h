/*
 * Readings and goal results as FHIR R4 (4.0.1). Pure: messages in, one Bundle out.
 *
 * Two profiles of one message, because the receivers ask for opposite things:
 *   FHIR_PHD     HL7 Personal Health Device IG 2.0.0: Observation, PhdDevice, PhgDevice and the
 *                coincident time stamp that says how a device's clock was corrected
 *   FHIR_UKCORE  UK Core, as Patients Know Best takes it: nothing contained, no reference but to
 *                the person, blood pressure of exactly two components, the fixed unit strings.
 *                What PKB leaves out without a word is in fhir_lint.h.
 *
 * An Observation is about one thing: pulse and mean pressure of a cuff are Observations of their
 * own (UK Core closes the slicing of blood pressure; PHD keeps the mean as a component). Values
 * keep the device's precision. Flags are never dropped: meta.tag has them all, and a note says the
 * ones that a person should know of. A value beyond the usual range is sent as it is, flagged.
 *
 * Identity: identifier = dedupe_key of the reading and what the Observation is about. A new reading
 * is a conditional create (ifNoneExist with that identifier and the person), anything later a
 * conditional update of the same, so nothing is ever there twice and a reading that came back to a
 * person is there again. A withdrawn one keeps no value: it may have been another person's.
 *
 * Sources: HL7/phd (FSH of March 2026), NHSDigital FHIR-R4-UKCORE-STAGING-MAIN (June 2025),
 * domain.md sections 1.1 to 1.6 and 3.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gateway/words/words.h"
#include "wellgate.pb-c.h"

/* Base of our identifier and code systems where options.system is NULL. */
#define FHIR_SYSTEM "urn:x-wellgate"

enum fhir_profile {
	FHIR_PHD,
	FHIR_UKCORE,
};

struct fhir_options {
	enum fhir_profile profile;
	/* A batch has independent entries; a transaction is all or nothing. The entries of FHIR_PHD
	 * name each other, which only a transaction resolves: -EINVAL. */
	bool batch;
	/* FHIR_UKCORE: the endpoint keeps Goal, so goal results are rendered. */
	bool goals;
	const char *privacy_label; /* PKB: "GENERAL_HEALTH"...; NULL = none */
	const char *system;        /* NULL = FHIR_SYSTEM */
	enum words_language language;
};

enum fhir_change {
	FHIR_NEW,       /* a later revision counts as FHIR_UPDATED by itself */
	FHIR_UPDATED,   /* same identity, "corrected" */
	FHIR_WITHDRAWN, /* "entered-in-error", without the value */
};

/* Why a message is not rendered. Nothing is guessed and nothing left out silently. */
enum fhir_refusal {
	FHIR_TAKEN,
	FHIR_NO_PERSON,   /* nobody's, or only perhaps somebody's */
	FHIR_BAD_PATIENT, /* not "Patient/" and an id */
	FHIR_NO_IDENTITY, /* neither dedupe_key nor reading_id */
	FHIR_NO_TIME,
	FHIR_NOT_FINAL, /* moving, error, calibrating... */
	FHIR_QUALITY_CHECK,
	FHIR_TEST_DATA, /* FHIR_PHD marks it HTEST instead */
	FHIR_UNKNOWN_METRIC,
	FHIR_NO_CODE, /* FHIR_UKCORE: neither SNOMED CT nor LOINC for any part */
	FHIR_UNIT,    /* not the one unit of the metric */
	FHIR_NO_VALUE,
	FHIR_GOALS_NOT_KEPT,
	FHIR_REFUSALS
};

/* One plain sentence; "" for FHIR_TAKEN. */
const char *fhir_refusal_text(enum fhir_refusal why);

/* Borrowed for the call. */
struct fhir_about {
	const char *hub;     /* NULL = not known */
	const char *patient; /* "Patient/12", of the endpoint; NULL = the message's subject as id */
};

struct fhir_bundle;

int fhir_bundle_new(const struct fhir_options *options, struct fhir_bundle **ret);
void fhir_bundle_free(struct fhir_bundle *b); /* NULL is fine */
size_t fhir_bundle_size(const struct fhir_bundle *b);
/* The text, malloc'd; NULL when out of memory. An empty Bundle is one without entries. */
char *fhir_bundle_dump(const struct fhir_bundle *b, bool pretty);

/* Adds the Observations of a reading. -ENODATA: refused, *ret_why says why, nothing was added;
 * -ENOMEM: the Bundle is of no use any more. */
int fhir_add_reading(struct fhir_bundle *b, const struct fhir_about *about,
		     const Wellgate__V1__Reading *reading, enum fhir_change change,
		     enum fhir_refusal *ret_why);
/* It was another person's: withdrawn from one record, put into the other. All or nothing. */
int fhir_add_move(struct fhir_bundle *b, const struct fhir_about *from, const struct fhir_about *to,
		  const Wellgate__V1__Reading *reading, enum fhir_refusal *ret_why);
/* The Goal and an Observation of how far it is. goal may be NULL: then it is called after what it
 * counts. The Observation has a code of ours, so that nobody adds it up with the readings. */
int fhir_add_goal(struct fhir_bundle *b, const struct fhir_about *about,
		  const Wellgate__V1__GoalResult *result, const Wellgate__V1__Goal *goal,
		  enum fhir_refusal *ret_why);
