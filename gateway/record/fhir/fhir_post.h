/*
 * Sends Bundles to a FHIR endpoint (OAuth 2.0 client credentials) and reads back what became of
 * them. Blocks: give it a thread or a process of its own. No clock: the caller says the time.
 *
 * A Bundle is looked at first (fhir_lint.h); one with a finding is not sent. What was sent is
 * pending until it is read back, from another address where the receiver has one for that (PKB: the
 * customer endpoint takes, the aggregated one shows). Sending again is always safe: the entries are
 * conditional.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/record/fhir/fhir_ledger.h"
#include "gateway/record/fhir/fhir_lint.h"

/* after so long without a sight of it, it was excluded */
#define FHIR_GIVE_UP_MS (INT64_C(24) * 3600 * 1000)

/* Borrowed while the poster lives. https only; http for this machine alone (tests). */
struct fhir_endpoint {
	const char *base;      /* "https://.../fhir": where Bundles are posted */
	const char *read_base; /* NULL = base */
	const char *token_url;
	const char *client_id, *client_secret;
	const char *scope;      /* NULL = none */
	const char *ca_file;    /* NULL = those of the system */
	unsigned int timeout_s; /* of one request; 0 = 30 */
	struct fhir_lint_options lint;
};

struct fhir_sent {
	size_t entries, taken, refused; /* refused: by the receiver, entry by entry */
	long http;                      /* status of the answer; 0 = none */
	bool has_finding;               /* not sent: */
	struct fhir_finding finding;    /* the first one */
};

struct fhir_poster;

/* -EINVAL: an address is not https. The ledger outlives the poster. */
int fhir_poster_new(const struct fhir_endpoint *endpoint, const struct fhir_ledger *ledger,
		    struct fhir_poster **ret);
void fhir_poster_free(struct fhir_poster *p); /* NULL is fine; wipes the token */

/*
 * 0: the receiver answered for each entry, *ret says how; what it took is pending.
 * -EBADMSG: a finding, nothing was sent, its entry is excluded; or no JSON.
 * -EACCES: no token, or it is not accepted. -EAGAIN: no answer, or not now (5xx, 429): send again.
 * -EREMOTEIO: it refused the whole Bundle (4xx): all of it is excluded.
 * -ENOMEM, or what the ledger said.
 */
int fhir_post(struct fhir_poster *p, const char *bundle, int64_t now_ms, struct fhir_sent *ret);

/* Asks for everything that is pending. -EACCES, -EAGAIN: as above, the rest stays pending. */
int fhir_read_back(struct fhir_poster *p, int64_t now_ms);
