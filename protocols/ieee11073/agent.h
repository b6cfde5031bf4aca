/*
 * The agent's side, for simulated devices: enough of ISO/IEEE 11073-20601 for a cuff, a scale or a
 * meter that associates, says its configuration and itself, reports, opens its store and is told
 * what was taken. It has no timers: a simulation ends an association that hangs by
 * phd_agent_disconnected().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/report.h"

/* a cuff that also remembers: 02bc and a store under PHD_AGENT_STORE */
#define PHD_AGENT_EXTENDED 0x4000
#define PHD_AGENT_STORE    3 /* handle */

enum phd_agent_state {
	PHD_AGENT_IDLE,
	PHD_AGENT_ASSOCIATING,
	PHD_AGENT_CONFIGURING,
	PHD_AGENT_OPERATING,
	PHD_AGENT_RELEASING,
};

struct phd_agent_sink {
	void (*send)(void *user, const uint8_t *apdu, size_t len);
	/* the report of this number was taken (a device may delete it), or was not */
	void (*answered)(void *user, uint16_t invoke_id, bool taken);
	/* all of these may be NULL */
	void (*time_set)(void *user, const struct mder_time *t);
	void (*segment_taken)(void *user, uint16_t segment, uint32_t first, uint32_t count);
	void (*segment_cleared)(void *user, uint16_t segment);
};

/* Text may be NULL. Borrowed. */
struct phd_agent_identity {
	const char *manufacturer, *model, *serial, *firmware;
	bool has_time;
	struct mder_time time;
	bool has_battery;
	uint8_t battery;   /* percent */
	bool may_set_time; /* the manager is asked to set the clock */
};

struct phd_agent_segment {
	uint16_t instance;
	uint32_t n_entries;
	size_t entry_len;
	const uint8_t *entries; /* n_entries times entry_len bytes: what the map below says */
};

/* Everything borrowed. */
struct phd_agent_store {
	uint16_t handle;
	const uint8_t *map; /* PM-Segment-Entry-Map of every segment, phd_agent_entry_map() */
	size_t map_len;
	const struct phd_agent_segment *segments;
	size_t n_segments;
	uint16_t entries_per_event; /* at most so many, as they fit */
};

struct phd_agent {
	const struct phd_agent_sink *sink;
	void *user;
	const struct phd_config *config; /* borrowed */
	uint8_t system_id[APDU_SYSTEM_ID];
	uint32_t versions;                         /* protocol versions that it offers, bits */
	const struct phd_agent_identity *identity; /* NULL: it says its system identity alone */
	const struct phd_agent_store *store;       /* NULL: none */
	enum phd_agent_state state;
	uint16_t next_id;
	/* the transfer that is under way */
	const struct phd_agent_segment *segment; /* NULL: none */
	uint32_t next_entry;
	uint32_t piece;      /* entries in the piece that waits for its answer */
	uint16_t segment_id; /* and its invoke-id */
};

/* sink, user and config must outlive the agent; identity and store are set afterwards, if any */
void phd_agent_init(struct phd_agent *a, const struct phd_agent_sink *sink, void *user,
		    const struct phd_config *config, const uint8_t *system_id);
/* a standard configuration, or PHD_AGENT_EXTENDED; NULL: another */
const struct phd_config *phd_agent_config(uint16_t id);
void phd_agent_associate(struct phd_agent *a);
void phd_agent_disconnected(struct phd_agent *a);
/* exactly one APDU of the manager; what cannot be read or is out of order ends the association */
void phd_agent_apdu(struct phd_agent *a, const uint8_t *bytes, size_t len);
/*
 * One event report of the device with this information, as of phd_report_encode(). -ENOTCONN: not
 * operating; -EMSGSIZE: longer than an APDU of this simulation. *ret_invoke_id names it in the
 * sink's `answered`.
 */
int phd_agent_report(struct phd_agent *a, uint16_t type, const uint8_t *info, size_t len,
		     bool confirmed, uint16_t *ret_invoke_id);
/*
 * The map of entries that hold an absolute time and then these objects, each as its own map says
 * but without its time; and one such entry. -ENOENT, -ENOTSUP, -ERANGE and -EMSGSIZE as
 * phd_report_encode().
 */
int phd_agent_entry_map(const struct phd_config *config, const uint16_t *handles, size_t n,
			uint8_t *buffer, size_t size, size_t *ret_len);
int phd_agent_entry(const struct phd_config *config, const struct mder_time *t,
		    const struct phd_observation *o, size_t n, uint8_t *buffer, size_t size,
		    size_t *ret_len);
void phd_agent_release(struct phd_agent *a);
