/* Inside the pipeline: what its files share (pipeline*.c, refile.c, refill.c). */
#pragma once

#include "gateway/filing.h"
#include "gateway/fleet_key.h"
#include "gateway/goals/agreed.h"
#include "gateway/hub_clock.h"
#include "gateway/id_set.h"
#include "gateway/light/show.h"
#include "gateway/pipeline.h"

#define LINKS_MAX    64
#define STATUS_BYTES 16384 /* with the longest texts of a whole fleet */

struct link {
	bool used;
	uint32_t number;
	struct intake_device device; /* its text points into the fields below */
	char driver[INVENTORY_TEXT], make[INVENTORY_TEXT], model[INVENTORY_TEXT];
	char firmware[INVENTORY_TEXT], hardware[INVENTORY_TEXT];
	uint32_t news; /* said on this link */
	bool compared; /* its clock was, and stored readings were looked at for that */
};

/* Readings of which nothing is kept; counted once the transaction is durable. */
struct dropped {
	uint64_t other_person, guest, expired;
};

/* The walk over what was received before the hub knew the time. */
struct retime {
	bool running;
	uint64_t first, last;             /* published ones that need it lie in here; 0: none */
	uint64_t next, next_held;         /* where the walk goes on, after these */
	uint64_t still_first, still_last; /* not resolved, as far as the walk came */
};

struct pipeline {
	struct pipeline_parts parts;
	const char *hub;
	struct arena arena;
	uint8_t digest_key[FLEET_KEY_BYTES];
	struct inventory inventory;
	struct radio_state *radio;
	struct hub_clock *clock;
	struct filing *filing;
	struct goal_agreed *agreed; /* the goals, of configuration and journal */
	struct id_set hidden;       /* readings that were replaced or retracted */
	struct retime retime;
	struct pipeline_counters counters;
	struct dropped dropped; /* in the open transaction */
	bool fresh;             /* a device's reading is new in it, and kept */
	struct show *light;     /* borrowed; NULL: there is none */
	int64_t since_ms;

	/* the connection to wellgate-devices */
	bool attached;
	struct pipeline_back back;
	struct link links[LINKS_MAX];
	uint64_t taken; /* sequence of the last measurement */
	unsigned int pending;

	/* the store refused: ignore what comes until the connection was ended */
	bool full, deaf;
	int64_t retry_us;

	uint64_t epochs; /* begun by publish, that were logged */

	int64_t status_at_us; /* CLOCK_MONOTONIC, when it was last handed to publish */
	bool status_dirty;
	uint8_t said[STATUS_BYTES]; /* the last one, packed */
	size_t said_len;
	sd_event_source *retry, *status, *housekeeping, *period_end, *walk, *purge;
};

/* ---- pipeline.c ---- */

int64_t pipeline_now_ms(const struct pipeline *p); /* UTC */
void pipeline_status_changed(struct pipeline *p);
/* The store failed: everything uncommitted is forgotten. */
void pipeline_give_up(struct pipeline *p, int r);
/* Whose it is, and so where it goes: marked, and tagged if it is published. said: an import says
 * whose it is; NULL: the registry is asked. Where no registry is in use, as intake set it. */
int pipeline_file(struct pipeline *p, Wellgate__V1__Reading *reading, const char *said,
		  struct filing_answer *ret);
/* Stores and counts it. synced: the hub knew the time when it came. An error leaves nothing of the
 * open transaction: everything uncommitted has to come again. */
int pipeline_store(struct pipeline *p, Wellgate__V1__Reading *reading,
		   const struct filing_answer *answer, bool synced, bool *ret_new);
/* Adds a tagged reading to the book. An absurd number of readings in one period is no error: the
 * goal has all it can use. */
int pipeline_count(struct pipeline *p, const Wellgate__V1__Reading *reading);
/* of readings dropped in the open transaction */
void pipeline_count_dropped(struct pipeline *p, enum attribute_verdict verdict);
/* arms a one-shot timer, unless it is armed */
void pipeline_arm(struct pipeline *p, sd_event_source *timer, int64_t in_us);

/* ---- pipeline_light.c ---- */

/* Something changed that the card may be about. */
void pipeline_light_card(struct pipeline *p);
/* The open transaction is durable, or there was none. */
void pipeline_light_committed(struct pipeline *p);
void pipeline_light_progress(struct pipeline *p);

/* ---- pipeline_registry.c ---- */

/* How the emptying of a device's memory came out: an event of the registry, with a proof if it was
 * read back empty. Of a device that is not in the registry nothing is noted. */
void pipeline_wiped(struct pipeline *p, const struct intake_device *device,
		    Wellgate__V1__RegistryEvent__Wipe outcome, uint32_t records);
/* One person whose last assignment has ended and whose rows were delivered: their key is destroyed.
 * 1: come again, there may be more; 0 or -errno */
int pipeline_erase_leaver(struct pipeline *p);

/* ---- refile.c: what changes about stored readings ---- */

/* Looks again at what an event may change, in the open transaction. Errors of the store are of the
 * whole transaction. key: dedupe key of the reading that it names, found at `at`; or NULL. */
int refile_event(struct pipeline *p, const Wellgate__V1__RegistryEvent *event, const uint8_t *key,
		 uint64_t at);
/* Is there still a reading with this dedupe key, held, or published behind `at` and not replaced or
 * retracted? */
int refile_is_kept(struct pipeline *p, const uint8_t *key, uint64_t at, bool *ret);
/* All held readings are asked again, in the open transaction. */
int refile_held(struct pipeline *p);
/* It became known when readings were received: walks, in the background, a chunk a transaction. */
void refile_clock_news(struct pipeline *p);
/* A device's clock was compared: boots that never learnt the time may be placed by it. */
void refile_by_device(struct pipeline *p, const struct intake_device *device, int64_t offset_ms,
		      const struct receipt *now);
/* Held readings that nobody claimed in time are let go, and counted; commits. */
int refile_purge(struct pipeline *p);
/* A published reading was stored, or was found in the store. synced: the hub knew the time when it
 * came, as far as anybody can tell now. */
void refile_note_time(struct pipeline *p, const Wellgate__V1__Reading *r, uint64_t sequence,
		      bool synced);
int refile_add_timers(struct pipeline *p);

/* ---- refill.c: start ---- */

/* Fills filing, book, inventory and what is hidden from the store. */
int refill(struct pipeline *p);
/* The book alone, which was made anew: readings and results. */
int refill_book(struct pipeline *p);

/* ---- pipeline_goals.c ---- */

/* Goals as configuration and journal have them, into an empty book. Errors of the store. */
int pipeline_load_goals(struct pipeline *p);
