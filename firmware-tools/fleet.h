/*
 * The devices that the gateway of this hub knows, asked of wellgated over its control socket. This
 * is the only question that is asked there: nothing here can fetch a reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware-tools/policy.h"

#define FLEET_TEXT      65
#define FLEET_REFERENCE 33

struct fleet_device {
	/* UTF-8 as the device gave it; "": it did not say */
	char make[FLEET_TEXT], model[FLEET_TEXT], hardware[FLEET_TEXT], firmware[FLEET_TEXT];
	char driver[FLEET_TEXT];
	char reference
		[FLEET_REFERENCE]; /* keyed digest in hex, as wellgate devices has it; or "" */
	int64_t first_seen_ms, last_seen_ms; /* UTC; 0: not known */
	enum policy_state state;             /* for the caller to fill */
	const char *note;                    /* of the policy, borrowed; "" */
};

struct fleet {
	struct fleet_device *devices; /* sorted by make, model, hardware, firmware, reference */
	size_t n;
};

/* 0, or an exit code: what is wrong was said in the name of the command. */
int fleet_ask(const char *name, const char *runtime_dir, struct fleet *ret);
void fleet_free(struct fleet *fleet); /* {0} is fine */
