/*
 * The manager of one agent: APDUs and times in, APDUs and observations out. Source: ISO/IEEE
 * 11073-20601, the manager's state machine; the table is in manager.c.
 *
 * A confirmed report, and each piece of a store, is answered by phd_manager_committed() alone: an
 * agent deletes what was confirmed. A report that is malformed is rejected, and nothing of it is
 * handed on; one that was handed on and is of no use to who took it can be rejected, too. The sink
 * never calls the manager back. Times are int64_t microseconds of one steady clock.
 *
 * What it does by itself once it operates, one request after the other: it reads what the device
 * says of itself, starts the scanners, and reads every store, segment by segment. One APDU may hold
 * hundreds of observations. A segment is always read from its beginning: what an earlier link has
 * brought comes again, with the same store, segment and entry numbers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/mds.h"
#include "protocols/ieee11073/report.h"
#include "protocols/ieee11073/store.h"

#define PHD_PENDING_MAX         8 /* reports that wait for their commit */
#define PHD_CONFIG_ATTEMPTS     5 /* configurations of one association */
#define PHD_TRANSFER_ATTEMPTS   3 /* of one segment in one association */
#define PHD_REJECTS_MAX         8 /* phd_manager_reject() in a row, with nothing answered between */
#define PHD_CONFIG_TIMEOUT_US   INT64_C(10000000)
#define PHD_RELEASE_TIMEOUT_US  INT64_C(3000000)
#define PHD_RESPONSE_TIMEOUT_US INT64_C(3000000)
/* between two pieces of a segment, and before a trigger that was told "later" is said again */
#define PHD_TRANSFER_TIMEOUT_US INT64_C(10000000)
#define PHD_NO_DEADLINE         INT64_MAX

enum phd_state {
	PHD_DISCONNECTED,
	PHD_UNASSOCIATED,
	PHD_CONFIGURING, /* waiting-for-config; checking-config is passed within one call */
	PHD_OPERATING,
	PHD_RELEASING, /* disassociating */
	PHD_STATES,
};

struct phd_manager_sink {
	void (*send)(void *user, const uint8_t *apdu, size_t len);
	/* one value that is borrowed for the call; is_test: never a patient's */
	void (*observation)(void *user, const struct phd_observation *o, bool is_test);
	void (*mds)(void *user, const struct phd_mds *mds);
};

struct phd_manager_counts {
	unsigned int malformed_apdus;
	unsigned int malformed_reports;
	unsigned int dropped_observations; /* of unconfirmed reports */
	unsigned int unknown_observations;
	unsigned int unread_attributes;
	unsigned int padded_reports;
	unsigned int unexpected; /* answers to no question, events of no use */
	unsigned int refused_full;
	unsigned int rejected_reports; /* phd_manager_reject() */
	unsigned int aborted_by_us;
	unsigned int refused_requests;  /* what the agent answered with an error or a reject */
	unsigned int unread_stores;     /* stores or segments that could not be read to their end */
	unsigned int transfer_restarts; /* pieces that did not follow each other */
	unsigned int late_commits;      /* answered after the agent had given up waiting */
};

/* What it does by itself. phd_manager_init() sets the defaults; change them before it connects. */
struct phd_manager_options {
	bool start_scanners; /* default: yes */
	bool read_stores;    /* default: yes */
	/* default: no. Clears a segment whose entries were all read, understood and committed, and
	 * that had no more than those. */
	bool clear_stores;
};

struct phd_pending {
	uint16_t invoke_id, handle, type;
	uint16_t segment; /* of a piece of a store: what its answer repeats */
	uint32_t first, count;
	int64_t due; /* when the agent gives up waiting */
};

/* what is asked, or is to be waited for */
enum phd_work {
	PHD_WORK_NONE,
	PHD_WORK_MDS,
	PHD_WORK_SCANNER,
	PHD_WORK_STORE,
	PHD_WORK_SEGMENTS,
	PHD_WORK_TRIGGER,
	PHD_WORK_TRANSFER, /* no request: pieces come */
	PHD_WORK_RETRY,    /* no request: the agent asked to be triggered later */
	PHD_WORK_COMMIT,   /* no request: the last piece is not committed yet */
	PHD_WORK_CLEAR,
	PHD_WORK_TIME,
	PHD_WORK_DONE, /* nothing is left */
};

/* The store that is being read. */
struct phd_walk {
	uint16_t handle;
	uint8_t object;  /* of the configuration: the next to look at */
	uint8_t segment; /* of `segments` */
	uint8_t attempts;
	bool is_complete; /* all that this segment has brought was understood */
	uint32_t next;    /* entry number */
	uint32_t clear_timeout;
	struct phd_segments segments;
};

struct phd_manager {
	const struct phd_manager_sink *sink;
	void *user;
	struct phd_cache *cache;
	struct phd_manager_options options;
	uint8_t system_id[APDU_SYSTEM_ID];
	enum phd_state state;
	int64_t deadline;
	struct apdu_association agent; /* options are not kept */
	struct phd_config config;      /* of the association, or of the last one */
	uint8_t config_system_id[APDU_SYSTEM_ID];
	bool is_config_kept; /* it may be used again for the same agent */
	bool is_test;
	unsigned int attempts;
	enum phd_work work;
	bool has_request;
	uint16_t request_id, next_id;
	uint16_t time_info; /* of its MDS */
	struct phd_walk walk;
	size_t n_uncommitted; /* observations */
	bool has_report;      /* the last APDU was a report that was handed on */
	bool is_report_confirmed;
	size_t n_report; /* its observations */
	unsigned int n_rejects;
	size_t n_pending;
	struct phd_pending pending[PHD_PENDING_MAX];
	struct phd_manager_counts counts;
};
/* it lives in the state of a driver */
_Static_assert(sizeof(struct phd_manager) <= 3500, "a manager is too large for its driver");

/*
 * sink and user must outlive the manager, and so must cache; without one (NULL) only the last
 * configuration is known again. The manager begins disconnected.
 */
void phd_manager_init(struct phd_manager *m, const struct phd_manager_sink *sink, void *user,
		      struct phd_cache *cache, const uint8_t *system_id);
void phd_manager_connected(struct phd_manager *m);
/* what was not committed stays with the agent */
void phd_manager_disconnected(struct phd_manager *m);
/* exactly one APDU; the transport puts it together by apdu_size() */
void phd_manager_apdu(struct phd_manager *m, const uint8_t *bytes, size_t len, int64_t now);
/*
 * All that was handed on so far is durable, or was looked at and is no reading: answers what waits,
 * and goes on. What brought no observation is answered without this.
 */
void phd_manager_committed(struct phd_manager *m, int64_t now);
/*
 * The report that the last phd_manager_apdu() handed on is of no use to us, though nothing is wrong
 * with its structure: it is rejected as an unexpected error, nothing else is, and the agent keeps
 * it. An agent that insists is aborted. Without such a report, and for a piece of a store, this
 * does nothing; one that asked for no confirmation is only forgotten. What the sink was told of it
 * must not be kept.
 */
void phd_manager_reject(struct phd_manager *m);
/* PHD_NO_DEADLINE, or when phd_manager_timeout() is to be called; it may change with every call */
int64_t phd_manager_deadline(const struct phd_manager *m);
void phd_manager_timeout(struct phd_manager *m, int64_t now);
/* when the agent gives up waiting for the oldest answer that waits for its commit, or none */
int64_t phd_manager_answer_due(const struct phd_manager *m);
/* nothing is asked, read or waits for its commit: all that the agent had was handed on */
bool phd_manager_idle(const struct phd_manager *m);
/*
 * Sets the agent's clock, local time; never done unasked. -ENOTCONN: not operating; -EBUSY: not
 * idle, its stored readings still bear the old clock; -ENOTSUP: the agent did not offer it.
 */
int phd_manager_set_time(struct phd_manager *m, const struct mder_time *t, int64_t now);
/* asks for the end of the association; reports that wait are not answered */
void phd_manager_release(struct phd_manager *m, int64_t now);
