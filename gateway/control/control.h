/*
 * The command handler: one Command in, one Reply out. The control socket is its door; every door
 * asks the same function.
 *
 *   status    HubStatus, broker, watermark           goals   Goal and current GoalResult of each
 *   readings  stored readings above `after`          devices DeviceInfo of each device heard
 *   results   stored goal results above `after`      doctor  Finding: good, notice, problem
 *   radio     hands a RadioCommand to wellgate-devices; `request` is the number to ask
 *   outcome   ... for, in `after`: absent as long as it is not known
 *   import    stores an ImportBatch; the reply comes after the COMMIT: that is the back pressure
 *   goal      a GoalChange; durable when the reply comes
 *   desk      a DeskCommand: devices, loans, sessions, held readings; durable when the reply comes
 *   page-code a code that lets one browser in (page.h has the verbs of the page's own socket)
 *   resend    rows of a lane go out again under their own numbers; says which are gone
 *   diagnostics  versions, counters, ages of what waits; nothing about a person
 *   redecode  refused: frames are not kept
 *   pairing   where the pairing stands; who began one asks again and again, or it is cancelled
 *
 * A page of readings or results ends at `limit` rows (default 100, at most 500) or when the Reply
 * would not fit one packet; `more` then asks to come again with after = the last sequence. A page
 * of devices ends after INVENTORY_PAGE; after = how many have come.
 */
#pragma once

#include "gateway/arena.h"
#include "gateway/config.h"
#include "gateway/goals/goals.h"
#include "gateway/pipeline.h"
#include "gateway/publish/publish.h"
#include "gateway/store/store.h"

/* unpacked, the largest reply needs this much */
#define CONTROL_ARENA_BYTES ((size_t)1024 * 1024)

/* Reply.code, as the command line has them (cli/cli.h) */
#define CODE_USAGE       64
#define CODE_DATA        65
#define CODE_UNAVAILABLE 69
#define CODE_IO          74

struct page_door;

/* All borrowed. */
struct control {
	const struct config *config;
	const char *config_file; /* NULL: built-in defaults */
	struct store *store;
	struct goal_book *book;
	struct publish *publish;
	struct pipeline *pipeline;
	struct page_door *page; /* page.h; NULL: there is no page */
	bool page_only;         /* this door is the page's: it may ask what page.h lists */
};

/* The reply lives in the arena (and points into what `c` holds). What is wrong with the command is
 * said in the reply; -ENOMEM only if not even that fits. */
int control_handle(const struct control *c, const Wellgate__V1__Command *command,
		   struct arena *arena, Wellgate__V1__Reply **ret);

/* desk.c: what is wrong with the command is said in the reply. -ENOMEM */
int control_desk(const struct control *c, const Wellgate__V1__Command *command, struct arena *arena,
		 Wellgate__V1__Reply *reply);
/* doctor.c: appends the findings; -ENOMEM */
int control_doctor(const struct control *c, struct arena *arena, Wellgate__V1__Reply *reply);
