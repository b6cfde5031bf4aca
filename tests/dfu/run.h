/*
 * A client of protocols/dfu and a simulated device on one link, in a time of their own. The link or
 * the power can be cut at any message, and the power at any change of the device's memory.
 */
#pragma once

#include "tests/dfu/sim.h"

struct run_options {
	uint64_t cut_at;  /* the message after which the link goes; 0: never */
	bool undelivered; /* it does not arrive any more */
	bool power;       /* the device's power goes with it */
	bool stop;        /* and this run is over: nobody goes on with it */
	uint64_t limit;   /* messages; 0: a million */
};

struct run {
	struct dfu dfu;
	int64_t now;
	uint64_t messages;        /* both ways */
	uint64_t writes, written; /* to the device: messages, and bytes in them */
	uint64_t image_packets;   /* of these: without response */
	uint64_t answers, answered;
	bool was_cut;
};

/* to the end, or to the cut: dfu.outcome. The device's power is on again afterwards. */
void run_update(struct run *run, struct sim *s, const struct dfu_protocol *protocol,
		const struct dfu_plan *plan, const struct run_options *o);
