/*
 * A JSON tree under construction. A failure (out of memory) sticks, so that a renderer may go on
 * and ask once, at the end.
 *
 * Numbers keep the precision that the device gave them: 74.0 is written as 74.0. jansson has no
 * such number, so a tree of ours holds a marked text in its place; build_dump() writes it bare.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"

#define BUILD_TIME_MAX 96 /* for any int that a struct tm might hold */
#define BUILD_UUID_MAX 48

struct build {
	bool failed;
};

/* Borrowed by the tree it is put into; NULL sticks as a failure and may be used on. */
json_t *build_object(struct build *b);
json_t *build_list(struct build *b);
/* Takes the reference to value. Empty lists and objects are not put: FHIR has none. */
void build_put(struct build *b, json_t *to, const char *key, json_t *value);
void build_add(struct build *b, json_t *list, json_t *value);
/* Nothing if NULL or empty. Control characters become blanks, bytes that are no UTF-8 a '?'. */
void build_text(struct build *b, json_t *to, const char *key, const char *text);
json_t *build_string(struct build *b, const char *text);
/* A bare number. An exponent that no device says is a failure. */
void build_decimal(struct build *b, json_t *to, const char *key, struct decimal value);

/* RFC 3339 with the offset (minutes east of UTC), milliseconds only where there are any. false: not
 * within the years 1970 to 9999. */
bool build_time(char ret[BUILD_TIME_MAX], int64_t utc_ms, int32_t offset_min);
/* "urn:uuid:..." of some bytes: the same bytes, the same name (RFC 9562, version 8). */
void build_uuid(char ret[BUILD_UUID_MAX], const char *what, const void *data, size_t len);

/* The text of a tree, malloc'd; NULL when out of memory. */
char *build_dump(const json_t *tree, bool pretty);
