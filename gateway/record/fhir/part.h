/* What the renderers of this folder share. Not for others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/record/fhir/build.h"
#include "gateway/record/fhir/fhir.h"
#include "protocols/messages/codes.h"

#define FHIR_LOINC  "http://loinc.org"
#define FHIR_SNOMED "http://snomed.info/sct"
#define FHIR_MDC    "urn:iso:std:iso:11073:10101"
#define FHIR_UCUM   "http://unitsofmeasure.org"

#define FHIR_PATIENT_MAX 80 /* "Patient/" and an id of 64 */
#define FHIR_SYSTEM_MAX  160
#define FHIR_VALUE_MAX   160 /* of an identifier */
#define FHIR_QUERY_MAX   512

struct fhir_bundle {
	struct fhir_options options;
	char system[FHIR_SYSTEM_MAX];
	struct build build;
	json_t *entries;
};

/* One message on its way into a bundle. */
struct fhir_scene {
	struct fhir_bundle *b;
	const struct fhir_about *about;
	const Wellgate__V1__Reading *r;
	enum fhir_change change;
	char patient[FHIR_PATIENT_MAX];
	bool phd; /* measured by a device that is known: PHD in full; else R4 alone */
	/* FHIR_PHD: urn:uuid of what the Observations name; "" = there is none */
	char device[BUILD_UUID_MAX], gateway[BUILD_UUID_MAX], clock[BUILD_UUID_MAX];
};

struct fhir_key {
	const char *type;           /* "Observation" */
	const char *kind;           /* last part of the identifier's system: "reading" */
	char value[FHIR_VALUE_MAX]; /* of the identifier */
	const char *patient;        /* NULL = about no person */
	bool update;                /* conditional update, else conditional create */
};

/* Whose it is: "Patient/..." for the bundle. FHIR_TAKEN or why not. */
enum fhir_refusal fhir_patient(const struct fhir_about *about, const char *subject,
			       char ret[FHIR_PATIENT_MAX]);
void fhir_uuid_of(const struct fhir_bundle *b, const struct fhir_key *key,
		  char ret[BUILD_UUID_MAX]);
/* Takes the reference to the resource and gives it its identifier. An entry that is there already
 * (a device of several readings) is not added again. */
void fhir_add_entry(struct fhir_bundle *b, const struct fhir_key *key, json_t *resource);

json_t *fhir_coding(struct fhir_bundle *b, const char *system, const char *code,
		    const char *display);
/* { "coding": [ { system, code } ], "text": text }; text may be NULL */
json_t *fhir_concept(struct fhir_bundle *b, const char *system, const char *code, const char *text);
json_t *fhir_reference(struct fhir_bundle *b, const char *to);
json_t *fhir_quantity(struct fhir_bundle *b, struct decimal value, const char *unit,
		      const char *ucum);
/* "/metric": a system of ours */
void fhir_system(const struct fhir_bundle *b, const char *kind, char ret[FHIR_SYSTEM_MAX]);
/* codings of a metric out of the one registry, in the order of the profile */
json_t *fhir_metric_code(struct fhir_bundle *b, unsigned int metric, const char *text);

/* device.c: adds Device, gateway and clock, and names them in the scene */
void fhir_add_devices(struct fhir_scene *s);
