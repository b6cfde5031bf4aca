/*
 * A list of devices and of who had which, as a loan desk exports it from its own system: CSV or
 * JSON. Pure; the file may be hostile. It is taken whole or not at all.
 *
 * CSV: comma separated, quotes as in RFC 4180, one header line; JSON: {"devices": [...],
 * "assignments": [...]}, objects with the same keys. A key that is not here refuses the file: a
 * column of names or numbers of people has no place in it.
 *
 *   what          device or assignment (CSV only)
 *   device        32 hexadecimal digits: `device` in `wellgate devices --json`
 *   of a device:  kind (cuff scale wearable oximeter thermometer glucose other), memory (records
 *                 that it keeps, 0: none), slots, clock, slot_guessed (yes/no)
 *   of an assignment:  subject (gateway/registry/reference.h), basis (loan, owned, shared), from,
 *                 to, slot, wiped (yes/no), mark
 *
 * Times are "2026-11-23T10:30", seconds may follow, and then Z or an offset ("+01:00"): a time
 * without one is not certain and refused. Empty cells are absent. Nothing is evaluated: a cell
 * that begins with "=" is text, and no value here begins like that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/registry/registry.h"

#define REGISTRY_FILE_MAX      ((size_t)4 * 1024 * 1024)
#define REGISTRY_FILE_ROWS_MAX 20000

struct registry_row {
	size_t line;    /* of the CSV, or the entry's number in its list; from 1 */
	bool is_device; /* else an assignment */
	uint8_t device[REGISTRY_DIGEST];
	Wellgate__V1__RegistryEvent__DeviceKind kind;
	uint32_t slots, memory;
	bool clock, slot_guessed;
	char subject[REFERENCE_TEXT_MAX];
	Wellgate__V1__RegistryEvent__Basis basis;
	int64_t from_ms, to_ms;
	bool has_to, has_slot, has_mark, wiped;
	uint32_t slot, mark;
};

struct registry_file {
	bool json;
	size_t n;
	struct registry_row *rows; /* devices first, then assignments in the order of their dates */
};

struct registry_problem {
	size_t line; /* 0: the whole file */
	const char *sentence;
};

/* 0; -EBADMSG and *ret_problem; -ENOMEM. The text needs no NUL. */
int registry_file_read(const char *text, size_t len, struct registry_file **ret,
		       struct registry_problem *ret_problem);
void registry_file_free(struct registry_file *f); /* NULL is fine */
