/*
 * The registry: which device is whose, and since when. An append-only list of events with
 * revisions (RegistryEvent in wellgate.proto) and the index over it that attribution asks.
 * Specification: domain.md 4.1; what it leaves open is settled in README.md.
 *
 * No I/O, clock or random bytes: the caller stores the events, gives the time and the bytes. An
 * event is applied before it is stored, and at start all of them are applied again in their order:
 * the rules depend on earlier events alone, so what was taken once is taken again.
 *
 * The invariant: for one device and slot the intervals [from, to) never overlap. A whole-device
 * assignment is one of every slot. Only members of a shared device may overlap one another, which
 * is why they never make a reading final.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/registry/reference.h"
#include "wellgate.pb-c.h"

#define REGISTRY_DIGEST 16 /* bytes of a device's keyed digest and of a reading_id */
/* a session that nobody closes must not take the readings of the next patient */
#define REGISTRY_SESSION_MAX_MS (INT64_C(60) * 60 * 1000)
/* instants outside are of a clock that was not set: [2020-01-01, 2200-01-01) */
#define REGISTRY_EARLIEST_MS INT64_C(1577836800000)
#define REGISTRY_LATEST_MS   INT64_C(7258118400000)
/* of one device, each: assignments and sessions, marks, presses. Beyond: -ENOSPC */
#define REGISTRY_ROWS_MAX    100000
#define REGISTRY_DEVICES_MAX 4096

struct registry;
int registry_new(struct registry **ret); /* -ENOMEM */
void registry_free(struct registry *r);  /* NULL is fine */

/* of the last event; 0: none yet. The next event has this + 1. */
uint64_t registry_revision(const struct registry *r);

/*
 * Takes one event, or refuses it and leaves everything as it was; then *ret_problem is a plain
 * sentence (constant text, for people). Copies what it needs.
 *
 * -EBADMSG  a field is missing or malformed, or a reference is none
 * -ESTALE   not the next revision
 * -EAGAIN   the hub does not know the time, and the event is about time
 * -ENOENT   the device, assignment, session or person is not known
 * -EEXIST   somebody has the device at that time, or the device is there already
 * -EBUSY    the device may hold an earlier person's readings, or is still with somebody
 * -ERANGE   a time that cannot be
 * -ENOSPC   more than the registry keeps; -ENOMEM
 */
int registry_apply(struct registry *r, const Wellgate__V1__RegistryEvent *event,
		   const char **ret_problem);

/* Has this person anything that is open at at_ms: an assignment, or a session? *ret_known: they
 * have or had something. */
bool registry_is_here(const struct registry *r, const char *subject, int64_t at_ms,
		      bool *ret_known);

/*
 * Lists, in the order of the events, what has ended and is retired included. Devices are numbered
 * from 0, and the claims (assignments and clinic sessions) of a device from 0; both only grow. Text
 * is the registry's and good until the next event.
 */
struct registry_device_row {
	uint8_t digest[REGISTRY_DIGEST];
	Wellgate__V1__RegistryEvent__DeviceKind kind;
	uint32_t slots, memory_records;
	bool has_clock, slot_guessed, retired;
	size_t claims;
};

struct registry_claim_row {
	const char *subject;
	Wellgate__V1__RegistryEvent__Basis basis; /* UNSPECIFIED of a session */
	bool session;
	int32_t slot;           /* -1: the whole device */
	int64_t from_ms, to_ms; /* [from_ms, to_ms); INT64_MAX: open */
	uint64_t revision;      /* its name */
	uint64_t ended;         /* revision that ended it; 0: nobody did */
};

size_t registry_devices(const struct registry *r);
void registry_device_at(const struct registry *r, size_t i, struct registry_device_row *ret);
void registry_claim_at(const struct registry *r, size_t i, size_t k,
		       struct registry_claim_row *ret);
