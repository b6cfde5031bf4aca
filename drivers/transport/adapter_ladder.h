/*
 * The state machine of an adapter and of the ladder that brings it back: facts and the time in, one
 * action out. Pure; the table is the specification, drawn in the README of this folder.
 *
 *   NO_BUS - NO_DAEMON - ABSENT - BLOCKED - OFF - POWERING - READY     what the facts say
 *   READY -> SUSPECT -> RESET1 .. RESET5 -> FAILED                     what a doubt leads to
 */
#pragma once

#include "drivers/transport/adapter.h"

enum ladder_state {
	LADDER_NO_BUS,
	LADDER_NO_DAEMON,
	LADDER_ABSENT,
	LADDER_BLOCKED,
	LADDER_OFF, /* it refused to be powered; tried again in 5 s */
	LADDER_POWERING,
	LADDER_READY,
	LADDER_SUSPECT,
	LADDER_RESET1, /* scanning stopped and started */
	LADDER_RESET2, /* power off and on */
	LADDER_RESET3, /* rfkill block and unblock */
	LADDER_RESET4, /* systemd restarts bluetoothd */
	LADDER_RESET5, /* the USB device is reset */
	LADDER_FAILED,
	LADDER_STATE_END
};

enum ladder_event {
	LADDER_BUS_UP,
	LADDER_BUS_DOWN,
	LADDER_DAEMON_UP,
	LADDER_DAEMON_DOWN,
	LADDER_FOUND,
	LADDER_GONE,
	LADDER_BLOCK,
	LADDER_UNBLOCK,
	LADDER_POWERED,
	LADDER_UNPOWERED,
	LADDER_SILENT,   /* nothing heard for 90 s */
	LADDER_DOUBT,    /* a call never ended, scanning lies */
	LADDER_CONNECTS, /* attempts at different peers never ended: no probe sees that */
	LADDER_PROVED,   /* the radio answered, or something was heard */
	LADDER_UNPROVED, /* a probe, a rung or a power-up failed */
	LADDER_SKIPPED,  /* this rung is not possible here */
	LADDER_TIMEOUT,  /* ladder_deadline() has passed */
	LADDER_EVENT_END
};

enum ladder_action {
	LADDER_DO_NOTHING,
	LADDER_DO_POWER,
	LADDER_DO_PROBE,
	LADDER_DO_RUNG /* the one of the state */
};

struct ladder {
	enum ladder_state state;
	struct {
		bool bus, daemon, present, blocked, powered;
	} facts;
	int64_t rung_us;  /* time of a probe and of each rung */
	int64_t deadline; /* 0: none */
	int64_t trouble_since;
	bool troubled;
	unsigned int climbs;   /* of the ladder without success: the back-off */
	unsigned int connects; /* power cycles for attempts that never ended, without a success */
	int64_t connects_rest_to; /* until then such a doubt is not acted upon */
	uint64_t resets, recoveries;
	uint64_t resets_before; /* the trouble */
	int64_t last_recovery_us;
};

void ladder_init(struct ladder *l, int64_t rung_us);
enum ladder_action ladder_event(struct ladder *l, enum ladder_event event, int64_t now);
/* a link came up: what connects counted is void */
void ladder_works(struct ladder *l);
enum adapter_state ladder_public(enum ladder_state state);
/* 1 to 5; 0 outside the rungs */
unsigned int ladder_rung(const struct ladder *l);
