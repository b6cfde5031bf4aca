/*
 * The way of a reading through the gateway: each stage is called here, in order, and nowhere else.
 *
 *   devices.c --FromDevices--> intake -> filing -> goals tag -> store ==COMMIT==> publish
 *                 ^                                      |
 *                 +--------- committed, full, refused ---+        (struct pipeline_back)
 *
 * The store's COMMIT is the durable point: `committed` is said after it and never before. When the
 * store cannot keep more, everything since the last commit is forgotten, devices are told to
 * hold their data, and the connection is ended later so that all of it comes again. When the
 * database failed (-EIO, -EUCLEAN) the loop ends with PIPELINE_EXIT_STORE: the next start of the
 * daemon checks it, and puts it into quarantine if it is damaged.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "gateway/arena.h"
#include "gateway/config.h"
#include "gateway/goals/goals.h"
#include "gateway/intake/intake.h"
#include "gateway/inventory.h"
#include "gateway/publish/publish.h"
#include "gateway/radio_state.h"
#include "gateway/store/store.h"

#define PIPELINE_EXIT_STORE 74

/* All borrowed; they outlive the pipeline. */
struct pipeline_parts {
	sd_event *event;
	const struct config *config;
	struct store *store;
	struct intake *intake;
	struct goal_book *book;
	struct publish *publish;
};

/* What is said against the stream. Called from inside pipeline functions; none may call back. */
struct pipeline_back {
	void (*committed)(void *user, uint64_t sequence);
	void (*full)(void *user, bool full);
	void (*refused)(void *user, uint64_t sequence, const char *reason);
	void (*restart)(void *user); /* end the connection: what was not committed comes again */
	/* a command to the radio, or the hub's clock; copied, sent when there is room; -ENOBUFS.
	 * NULL: this door has no ear for them */
	int (*say)(void *user, const Wellgate__V1__ToDevices *message);
	void *user;
};

struct pipeline_counters {
	uint64_t measurements; /* taken from the devices socket */
	uint64_t refused;      /* broke the contract of Measurement */
	uint64_t malformed;    /* packets that are no FromDevices, or out of order */
	uint64_t commits;
	uint64_t store_failures;
	uint64_t connections; /* of the devices process */
	uint64_t replays;     /* captures that were read to their end */
	/* readings of which nothing is kept, since start (filing.h) */
	uint64_t other_person, guest;
	uint64_t held_expired; /* held ones that nobody claimed in time */
};

/* A HubStatus and what it points to. */
#define PIPELINE_COUNTERS 14
struct pipeline_status {
	Wellgate__V1__HubStatus message;
	Wellgate__V1__HubStatus__Counter counters[PIPELINE_COUNTERS];
	Wellgate__V1__HubStatus__Counter *list[PIPELINE_COUNTERS];
	Wellgate__V1__FirmwareCount fleet[INVENTORY_FLEET];
	Wellgate__V1__FirmwareCount *fleet_list[INVENTORY_FLEET];
};

struct pipeline;
struct show; /* light/show.h */

/* Fills the registry, the goal book and the inventory from what is stored. */
int pipeline_new(const struct pipeline_parts *parts, struct pipeline **ret);
void pipeline_free(struct pipeline *p); /* NULL is fine */

/* A devices process connected; NULL: it is gone. `back` is copied. */
void pipeline_attach(struct pipeline *p, const struct pipeline_back *back);
bool pipeline_attached(const struct pipeline *p);
/* One packet. -EBADMSG: malformed, counted; the caller ends the connection. */
int pipeline_take(struct pipeline *p, const void *packet, size_t len);
/* Nothing more to read for now: make durable what was taken and say so. */
int pipeline_commit(struct pipeline *p);

#define PIPELINE_IMPORT_MAX 256

struct pipeline_imported {
	uint32_t added, known, refused;
};

/* Readings out of a file that a person brought: normalised, stored and committed in one go; they
 * are durable when it returns 0. Beside the devices' stream, of which the commit may be a part.
 * Once the registry is in use the batch names a person who has something open in it. -EBADMSG: no
 * source, or too many; -EINVAL: no such time zone; -ENOENT: it names nobody, or nobody who is here;
 * -ENOSPC: the store keeps nothing for now; any other error: none of it was stored. */
int pipeline_import(struct pipeline *p, const Wellgate__V1__ImportBatch *batch,
		    struct pipeline_imported *ret);

/*
 * One event of the registry: applied, written to the journal, and what is stored filed anew by it;
 * durable when it returns 0. Fills revision, at_ms and clock_synced. A press, or Filed, names a
 * reading by its reading_id, of whatever revision; its device is taken from the reading. Text and
 * bytes of the event are the caller's and unchanged after it.
 *
 * *ret_problem: one plain sentence for people (constant text), where there is one, else NULL.
 * Errors of registry_apply(), and: -EPERM the hub is set up for one person; -EUCLEAN the registry
 * is damaged; -ENOENT also: no such reading is kept; -ENOSPC also: the store keeps nothing for now;
 * any other error of the store: nothing of it happened.
 */
int pipeline_register(struct pipeline *p, Wellgate__V1__RegistryEvent *event,
		      const char **ret_problem);
/* Several events that belong together, of which none names a reading: all of them or none, and
 * what is stored is filed anew once, after the last; a loan that is over is never open in between.
 * Errors likewise. */
int pipeline_register_all(struct pipeline *p, Wellgate__V1__RegistryEvent *const *events, size_t n,
			  const char **ret_problem);
/* good until the next event is registered */
const struct registry *pipeline_registry(const struct pipeline *p);

struct pipeline_erasure {
	uint64_t waiting; /* -EBUSY: their rows that the record service has not acknowledged */
	uint64_t person;  /* number of the key that was destroyed */
};

/*
 * The end of a person here: destroys their key, and with it all that is stored about them. Only
 * after their last assignment has ended, and what is theirs has been delivered. Held readings are
 * asked again first. Their goals go as well. *ret is also set with -EBUSY.
 *
 * -EEXIST: they still have something; -ENOENT: the registry never knew them; -EBUSY: rows wait: ask
 * again later; -ENOSPC, or another error of the store: nothing happened, or it is finished at the
 * next start.
 */
int pipeline_erase(struct pipeline *p, const char *subject, struct pipeline_erasure *ret);

/*
 * Sets, changes or stops a goal; durable when it returns 0, and what is stored already counts
 * towards it. A goal without a time zone has the hub's; without a subject it is of the one person
 * that the configuration names. Text of the change is the caller's.
 *
 * *ret_problem: one plain sentence for people (constant text), where there is one, else NULL.
 * Errors of goal_agreed_change(), and: -ENOENT also: nobody of this reference is here; -ENOSPC
 * also: the store keeps nothing for now; any other error of the store: nothing of it happened.
 */
int pipeline_change_goal(struct pipeline *p, Wellgate__V1__GoalChange *change,
			 const char **ret_problem);

/* It was replaced or retracted: not to be shown. */
bool pipeline_is_hidden(const struct pipeline *p, const uint8_t reading_id[16]);

/* Now, by the clocks that the pipeline goes by. */
void pipeline_now(const struct pipeline *p, struct receipt *ret);
/* Text in it is borrowed from the configuration and the store. */
void pipeline_status(const struct pipeline *p, struct pipeline_status *ret);
const struct pipeline_counters *pipeline_counters(const struct pipeline *p);
const struct inventory *pipeline_inventory(const struct pipeline *p);
/* What the radio says, and the way to it. */
struct radio_state *pipeline_radio(const struct pipeline *p);
bool pipeline_is_full(const struct pipeline *p);
/* The light of the box, borrowed until pipeline_free(); NULL: it has none. */
void pipeline_set_light(struct pipeline *p, struct show *light);
const struct show *pipeline_light(const struct pipeline *p);
/* the hub's name: configured, or random and kept in the database */
const char *pipeline_hub(const struct pipeline *p);
