/*
 * The agent's side, for simulated devices: enough of ISO/IEEE 11073-20601 for a cuff, a scale or a
 * meter that associates, says its configuration, reports and is told what was taken. It has no
 * timers: a simulation ends an association that hangs by phd_agent_disconnected().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"

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
};

struct phd_agent {
	const struct phd_agent_sink *sink;
	void *user;
	const struct phd_config *config; /* borrowed */
	uint8_t system_id[APDU_SYSTEM_ID];
	uint32_t versions; /* protocol versions that it offers, bits */
	enum phd_agent_state state;
	uint16_t next_id;
};

/* sink, user and config must outlive the agent */
void phd_agent_init(struct phd_agent *a, const struct phd_agent_sink *sink, void *user,
		    const struct phd_config *config, const uint8_t *system_id);
void phd_agent_associate(struct phd_agent *a);
void phd_agent_disconnected(struct phd_agent *a);
/* exactly one APDU of the manager; what cannot be read or is out of order ends the association */
void phd_agent_apdu(struct phd_agent *a, const uint8_t *bytes, size_t len);
/*
 * One event report of the device with this information. -ENOTCONN: not operating; -EMSGSIZE: longer
 * than an APDU of this simulation. *ret_invoke_id names it in the sink's `answered`.
 */
int phd_agent_report(struct phd_agent *a, uint16_t type, const uint8_t *info, size_t len,
		     bool confirmed, uint16_t *ret_invoke_id);
void phd_agent_release(struct phd_agent *a);
