/*
 * What an agent says of itself: the attributes of its medical device system. Source: ISO/IEEE
 * 11073-20601, MDS class. Regulatory data and whatever else is not named here is skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/report.h"

/* Mds-Time-Info, capabilities and state */
#define PHD_TIME_CLOCK        0x8000 /* it has a clock */
#define PHD_TIME_SETTABLE     0x4000
#define PHD_TIME_SYNCHRONISED 0x0080
#define PHD_TIME_MANAGER_SETS 0x0010 /* it asks the manager to set its clock */

/* Power-Status */
#define PHD_POWER_MAINS   0x8000
#define PHD_POWER_BATTERY 0x4000

/* Text as sent: not checked to be UTF-8, often padded with zeros or spaces. */
struct phd_text {
	const uint8_t *text; /* borrowed, NULL: not said */
	size_t len;
};

/* Spans are borrowed from the response. */
struct phd_mds {
	bool has_system_id;
	uint8_t system_id[APDU_SYSTEM_ID];
	struct phd_text manufacturer, model;
	struct phd_text serial, firmware, hardware, software, part; /* production specification */
	enum phd_stamp stamp;                                       /* the agent's clock now */
	struct mder_time time;
	int16_t offset_min; /* if the stamp is PHD_STAMP_BASE_OFFSET */
	bool has_ticks;
	uint32_t ticks; /* the agent's relative time, 125 us each */
	bool has_battery;
	uint16_t battery; /* percent, as sent */
	bool has_power;
	uint16_t power;        /* PHD_POWER_* */
	uint16_t time_info;    /* PHD_TIME_*; 0 if it says nothing of its clock */
	unsigned int n_unread; /* attributes that are not ours to read */
};

/* The attributes of an MDS. -EBADMSG: one of those that are read has a wrong size. */
int phd_mds_decode(const struct apdu *response, struct phd_mds *ret);
