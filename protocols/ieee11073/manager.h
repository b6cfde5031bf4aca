/*
 * The manager of one agent: APDUs and times in, APDUs and observations out. Source: ISO/IEEE
 * 11073-20601, the manager's state machine; the table is in manager.c.
 *
 * A confirmed report is answered by phd_manager_committed() alone: an agent deletes what was
 * confirmed. A report that is malformed is rejected, and nothing of it is handed on. The sink never
 * calls the manager back. Times are int64_t microseconds of one steady clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/report.h"

#define PHD_PENDING_MAX         8 /* reports that wait for their commit */
#define PHD_CONFIG_ATTEMPTS     5 /* configurations of one association */
#define PHD_CONFIG_TIMEOUT_US   INT64_C(10000000)
#define PHD_RELEASE_TIMEOUT_US  INT64_C(3000000)
#define PHD_RESPONSE_TIMEOUT_US INT64_C(3000000)
#define PHD_NO_DEADLINE         INT64_MAX

enum phd_state {
	PHD_DISCONNECTED,
	PHD_UNASSOCIATED,
	PHD_CONFIGURING, /* waiting-for-config; checking-config is passed within one call */
	PHD_OPERATING,
	PHD_RELEASING, /* disassociating */
	PHD_STATES,
};

/* What the agent says of itself; spans are borrowed for the call. */
struct phd_mds {
	bool has_system_id;
	uint8_t system_id[APDU_SYSTEM_ID];
	const uint8_t *manufacturer, *model; /* text as sent, not checked */
	size_t manufacturer_len, model_len;
	enum phd_stamp stamp; /* the agent's clock now */
	struct mder_time time;
	bool has_ticks;
	uint32_t ticks; /* the agent's relative time, 125 us each */
	bool has_battery;
	uint16_t battery; /* percent, as sent */
};

/* The attributes of an MDS. -EBADMSG: one of them has a wrong size. */
int phd_mds_decode(const struct apdu *response, struct phd_mds *ret);

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
	unsigned int aborted_by_us;
};

struct phd_pending {
	uint16_t invoke_id, handle, type;
};

struct phd_manager {
	const struct phd_manager_sink *sink;
	void *user;
	struct phd_cache *cache;
	uint8_t system_id[APDU_SYSTEM_ID];
	enum phd_state state;
	int64_t deadline;
	struct apdu_association agent; /* options are not kept */
	struct phd_config config;      /* of the association */
	bool is_test;
	unsigned int attempts;
	bool has_request;
	uint16_t request_id, next_id;
	size_t n_pending;
	struct phd_pending pending[PHD_PENDING_MAX];
	struct phd_manager_counts counts;
};

/* sink, user and cache must outlive the manager; the manager begins disconnected */
void phd_manager_init(struct phd_manager *m, const struct phd_manager_sink *sink, void *user,
		      struct phd_cache *cache, const uint8_t *system_id);
void phd_manager_connected(struct phd_manager *m);
/* what was not committed stays with the agent */
void phd_manager_disconnected(struct phd_manager *m);
/* exactly one APDU; the transport puts it together by apdu_size() */
void phd_manager_apdu(struct phd_manager *m, const uint8_t *bytes, size_t len, int64_t now);
/* all that was handed on so far is durable: answers the reports that wait */
void phd_manager_committed(struct phd_manager *m);
/* PHD_NO_DEADLINE, or when phd_manager_timeout() is to be called */
int64_t phd_manager_deadline(const struct phd_manager *m);
void phd_manager_timeout(struct phd_manager *m, int64_t now);
/* asks for the end of the association; reports that wait are not answered */
void phd_manager_release(struct phd_manager *m, int64_t now);
