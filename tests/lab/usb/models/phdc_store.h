/*
 * What a phdc_meter remembers: a PM-store of IEEE 11073-20601, handle 3 of configuration 0x4000.
 * The readings from 1 on, eight to a segment; an entry is the time, the pressures and the pulse.
 * Nothing is ever forgotten. A dialogue sees the store as it was when it began.
 */
#pragma once

#include <time.h>

#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/agent.h"
#include "tests/lab/usb/device.h"

#define PHDC_STORE_SEGMENTS 16
#define PHDC_STORE_SEGMENT  8 /* readings */
#define PHDC_STORE_MAX      128
#define PHDC_STORE_ENTRY    20 /* bytes */

struct phdc_store {
	struct phd_agent_store store; /* what the agent is given */
	struct phd_agent_segment segments[PHDC_STORE_SEGMENTS];
	uint8_t entries[PHDC_STORE_MAX * PHDC_STORE_ENTRY];
};

void phdc_store_init(struct phdc_store *s);
/* number: not above PHDC_STORE_MAX */
void phdc_store_put(struct phdc_store *s, const struct usb_device *d, uint32_t number, time_t time);
/* the next dialogue: readings 1 to n are there */
void phdc_store_show(struct phdc_store *s, unsigned int n);
/* the reading that is entry `entry` of this segment; both as the host says them */
uint32_t phdc_store_number(uint16_t instance, uint32_t entry);
/* Absolute time of -20601: binary coded decimals */
void phdc_put_time(struct writer *w, time_t time);
