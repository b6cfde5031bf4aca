/*
 * Filing: whose is a reading, and so where does it go? Asks the registry (gateway/registry), which
 * lives in the store's journal and is read again from it at start.
 *
 *   CONFIRMED, ASSIGNED                     published: subject and attribution set
 *   SUGGESTED, UNASSIGNED, UNATTRIBUTABLE   held: durable, not sent; a suggestion names somebody
 *   OTHER_PERSON, GUEST                     dropped: counted, nothing of it is kept but its key
 *
 * As long as the registry has no event it is not in use: what intake set (the one configured
 * person, or nobody) stands, and everything is published.
 *
 * In the journal an event names nobody: it carries the number of that person's key. When the key is
 * destroyed the number gets a stand-in, a reference made of a keyed digest of it, so that the past
 * is read the same and says nothing of anybody.
 */
#pragma once

#include "gateway/arena.h"
#include "gateway/registry/attribute.h"
#include "gateway/store/store.h"

struct filing;

/* The store is borrowed. Empty until filing_load(). */
int filing_new(struct store *store, struct filing **ret);
void filing_free(struct filing *f); /* NULL is fine */

/* Reads the registry from the journal, in place of the one that was; for start, and after anything
 * that failed or was erased. What people weighed is kept. An entry that cannot be read or applied
 * makes the registry incomplete: it is said, from then on everything is held and no event is
 * taken. The arena is reset for each entry. Errors of the store, -ENOMEM. */
int filing_load(struct filing *f, struct arena *arena);

const struct registry *filing_registry(const struct filing *f);
bool filing_in_use(const struct filing *f);
bool filing_is_incomplete(const struct filing *f);

/* As registry_apply(); then into the journal, in the open transaction. After an error of the store
 * (none of registry_apply's sentences is set then) the caller rolls back and loads again. */
int filing_register(struct filing *f, Wellgate__V1__RegistryEvent *event, const char **ret_problem);

struct filing_answer {
	enum store_where where;
	struct attribute_answer about;
};

/* holder: whom it is filed under already, or NULL; then weights do not speak against it. */
void filing_ask(const struct filing *f, const Wellgate__V1__Reading *reading, const char *holder,
		struct filing_answer *ret);
/* Somebody here says whose it is: final. The caller has checked the reference. */
void filing_said(const struct filing *f, const char *subject, struct filing_answer *ret);
/* Sets subject and attribution as answered. -ENOMEM */
int filing_mark(const struct filing_answer *answer, Wellgate__V1__Reading *reading,
		struct arena *arena);
/* It says already what the answer says, but for the revision that was asked. */
bool filing_is_marked(const struct filing_answer *answer, const Wellgate__V1__Reading *reading);
/* It is stored, or was found in the store: what a person weighed when it was confirmed. */
void filing_learn(struct filing *f, const Wellgate__V1__Reading *reading,
		  const struct filing_answer *answer);
/* A person's key is gone: so is what they weighed. */
void filing_forget(struct filing *f, const char *subject);
