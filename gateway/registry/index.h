/* Inside the registry: the index, and the questions that attribution asks of it. */
#pragma once

#include "gateway/registry/registry.h"

#define WHOLE_DEVICE (-1)

enum basis {
	BASIS_LOAN = 1,
	BASIS_OWNED,
	BASIS_SHARED,
	BASIS_SESSION
};

/* An assignment or a clinic session: [from_ms, to_ms). */
struct claim {
	char subject[REFERENCE_TEXT_MAX];
	enum basis basis;
	int32_t slot; /* or WHOLE_DEVICE */
	int64_t from_ms;
	int64_t planned_ms;      /* its end as long as nobody ended it; INT64_MAX: open */
	int64_t to_ms;           /* its end once `ended` is set */
	uint64_t started, ended; /* revisions; ended 0: not yet */
	bool has_mark;           /* records up to `mark` are not this person's */
	uint32_t mark;
};

struct mark {
	uint64_t revision;
	int32_t slot;
	uint32_t record;
};

struct wipe {
	uint64_t revision; /* 0: there was none */
	int64_t at_ms;
	unsigned int outcome; /* as in the event: 0 somebody says so */
};

struct press {
	uint64_t revision;
	int64_t at_ms;
	char subject[REFERENCE_TEXT_MAX];
	uint8_t reading[REGISTRY_DIGEST];
	bool named, me;
};

/* Somebody looked at this one reading. */
struct filed {
	uint64_t revision;
	char subject[REFERENCE_TEXT_MAX]; /* "": of nobody here */
	uint8_t reading[REGISTRY_DIGEST];
};

/* rows that grow */
struct rows {
	void *row;
	size_t n, room;
};

struct device {
	uint8_t digest[REGISTRY_DIGEST];
	uint32_t slots, memory;
	bool has_clock, slot_guessed, retired;
	/* in the order of revisions; wipes proven */
	struct rows claims, marks, wipes, presses, filed;
	struct wipe tried; /* the last one, proven or not */
	Wellgate__V1__RegistryEvent__DeviceKind kind;
};

struct registry {
	uint64_t revision;
	struct rows devices;
};

/* The registry as it was after `revision`: what came later is not seen. */
struct device *registry_device(const struct registry *r, const uint8_t digest[REGISTRY_DIGEST]);
static inline struct claim *device_claims(const struct device *d)
{
	return d->claims.row;
}

bool claim_seen(const struct claim *c, uint64_t revision);
bool claim_ended(const struct claim *c, uint64_t revision);
int64_t claim_to(const struct claim *c, uint64_t revision);
/* is it about this slot? A whole-device claim is about every slot, every claim about no slot */
bool claim_touches(const struct claim *c, int32_t slot);
/* the last proven wipe, or NULL */
const struct wipe *device_wipe(const struct device *d, uint64_t revision);
/* Since the last person's time with it ended its memory was emptied, and that was proven. */
bool device_is_empty(const struct device *d);
