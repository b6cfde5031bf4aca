/*
 * What became of everything that was sent: landed, excluded or pending. A 201 is not proof; only
 * what was read back has landed.
 *
 * `struct fhir_ledger` is the door that a database can stand behind; fhir_ledger_file is a small
 * one in a file of its own: a line for each change, the last one counts, flushed to the disk before
 * the call returns. It holds no value of a reading, but names of Patients, so its mode is 0600.
 */
#pragma once

#include <stdint.h>

#define FHIR_LEDGER_TEXT_MAX 256

enum fhir_landing {
	FHIR_PENDING, /* sent, or to be sent again; not seen at the other end yet */
	FHIR_LANDED,  /* read back as it was sent */
	FHIR_LOST,    /* excluded: refused, never seen, or not as it was sent */
	FHIR_LANDINGS
};

struct fhir_row {
	char type[32];                          /* "Observation" */
	char identifier[FHIR_LEDGER_TEXT_MAX];  /* "system|value" */
	char patient[FHIR_LEDGER_TEXT_MAX / 2]; /* "Patient/12"; "" = about no person */
	char digest[48];                        /* of what was sent: see fhir_post.c */
	enum fhir_landing landing;
	int64_t sent_ms; /* first time that this digest was sent */
	char why[FHIR_LEDGER_TEXT_MAX];
};

/* Borrowed by who uses it; the implementation owns what is behind it. */
struct fhir_ledger {
	/* Puts a row, or changes the one of the same identifier and patient. 0 or -errno. */
	int (*put)(void *behind, const struct fhir_row *row);
	/* 0, or -ENOENT. */
	int (*get)(void *behind, const char *identifier, const char *patient, struct fhir_row *ret);
	/* Calls fn for every pending row; it may put rows. Not 0 from fn ends it. */
	int (*each_pending)(void *behind, int (*fn)(void *user, const struct fhir_row *row),
			    void *user);
	void *behind;
};

struct fhir_ledger_file;

/* -EBADMSG: a line is none of ours. A torn last one is dropped: nobody was told of it. */
int fhir_ledger_file_open(const char *path, struct fhir_ledger_file **ret);
void fhir_ledger_file_close(struct fhir_ledger_file *file); /* NULL is fine */
struct fhir_ledger fhir_ledger_of_file(struct fhir_ledger_file *file);
void fhir_ledger_counts(const struct fhir_ledger_file *file, uint64_t ret[FHIR_LANDINGS]);
