/*
 * The state machine of one enrolled device: when to link, in which order a link is made usable, and
 * what a failure means. Pure: events and the time in, actions out; drawn in the README of this
 * folder, each of its transitions a test.
 *
 *   KNOWN -> SEEN -> QUEUED -> LINKING -> SECURING -> MTU -> VERIFY -> ARMING -> DRAIN -> LINGER
 *     ^                                                                                    |
 *     +----------------------------------- CLOSING <---------------------------------------+
 *
 * A device that only broadcasts stays in KNOWN and SEEN.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum device_state {
	DEVICE_KNOWN,    /* enrolled, not heard */
	DEVICE_SEEN,     /* advertised less than 10 s ago */
	DEVICE_QUEUED,   /* wants a link, waits for its turn */
	DEVICE_LINKING,  /* 10 s */
	DEVICE_SECURING, /* 10 s: the level must reach that of the enrolment */
	DEVICE_MTU,      /* also the one packet that 6.1 needs before security is raised */
	DEVICE_VERIFY,   /* cached table still true? else discover; 10 s without progress */
	DEVICE_ARMING,   /* subscriptions */
	DEVICE_DRAIN,    /* readings come; ends 2 s after the last one that is committed */
	DEVICE_LINGER,
	DEVICE_CLOSING, /* until bluetoothd says the link is gone, or 2.5 s */
	DEVICE_STATE_END
};
const char *device_state_name(enum device_state state);

/* What stands in the way beside the state, for a person to see. */
enum device_trouble {
	DEVICE_FINE,
	DEVICE_BOND_SUSPECT,   /* it refuses our key: it or we lost the bond. Not linked any more */
	DEVICE_SPOOF_SUSPECT,  /* something with its address spoke without its key. Until a link
				* has proved the key */
	DEVICE_BUSY_ELSEWHERE, /* another program here holds its link; until it lets go */
	DEVICE_CONSENT_NEEDED, /* the device wants its user's code again */
	DEVICE_TROUBLE_END
};
const char *device_trouble_name(enum device_trouble trouble);

enum device_event {
	DEVICE_ON_ADVERT,
	DEVICE_ON_TURN,      /* the link slot is ours */
	DEVICE_ON_CONNECTED, /* argument: level */
	DEVICE_ON_LEVEL,     /* argument: level */
	DEVICE_ON_MTU,
	DEVICE_ON_VERIFIED, /* the table is complete */
	DEVICE_ON_ARMED,
	DEVICE_ON_READING,   /* or any other sign of life; argument: enum device_life */
	DEVICE_ON_COMMITTED, /* argument: does anything still wait for a commit? */
	DEVICE_ON_DONE,      /* the driver has finished, or asked to drop the link */
	DEVICE_ON_IN_CLEAR,  /* data that may have come below the enrolled level */
	DEVICE_ON_YIELD,     /* others wait for the slot of this stream */
	DEVICE_ON_END,       /* the link ended; argument: enum device_end */
	DEVICE_ON_GONE,      /* bluetoothd says the link is gone */
	DEVICE_ON_ADAPTER_LOST,
	DEVICE_ON_TIME,              /* device_deadline() has passed */
	DEVICE_ON_CONSENT,           /* argument: was the user's code refused? */
	DEVICE_ON_TRIED_BY_OPERATOR, /* trouble is lifted, try at once */
	DEVICE_EVENT_END
};
const char *device_event_name(enum device_event event);

enum device_life {              /* bits */
	DEVICE_LIFE_WAITS = 1,  /* a reading that is not durable yet */
	DEVICE_LIFE_STREAM = 2, /* a notification: more may follow for hours */
};

enum device_end {
	DEVICE_END_TRANSIENT, /* radio: try again at once, three times, then 1, 2, 4 .. 60 s */
	DEVICE_END_TIMEOUT,   /* the attempt never ended: counts against the adapter */
	DEVICE_END_AUTH,      /* three times with an enrolled level: BOND_SUSPECT */
	DEVICE_END_BUSY,
	DEVICE_END_PEER,  /* it closed the link: normal after its last reading */
	DEVICE_END_KILLED /* our helper was killed by the kernel */
};

enum device_action { /* bits */
	DEVICE_DO_QUEUE = 1 << 0,
	DEVICE_DO_CONNECT = 1 << 1,
	DEVICE_DO_RAISE = 1 << 2,
	DEVICE_DO_MTU = 1 << 3,
	DEVICE_DO_VERIFY = 1 << 4,
	DEVICE_DO_OPEN = 1 << 5, /* the driver's session */
	DEVICE_DO_ARM = 1 << 6,
	DEVICE_DO_CLOSE = 1 << 7,
	DEVICE_DO_RELEASE = 1 << 8, /* the link slot, or the place in the queue */
	DEVICE_DO_DOUBT = 1 << 9,   /* tell the adapter that an attempt never ended */
	DEVICE_DO_ALARM = 1 << 10,  /* trouble has changed */
};

/* Microseconds. A device advertises for half a minute or so: what went wrong at once is tried again
 * while it still does. */
#define DEVICE_SEEN_US     INT64_C(10000000) /* an advertisement counts for so long */
#define DEVICE_QUEUED_US   INT64_C(30000000) /* ... while the scan is paused for others */
#define DEVICE_STEP_US     INT64_C(10000000) /* LINKING to ARMING, each, without progress */
#define DEVICE_SETUP_US    INT64_C(60000000) /* from the link to its end, all of them together */
#define DEVICE_PATIENCE_US INT64_C(30000000) /* DRAIN, nothing comes: the scale is still thinking */
#define DEVICE_COMMIT_US   INT64_C(25000000) /* DRAIN, no commit; an indication has 30 s */
#define DEVICE_LINGER_US   INT64_C(2000000)
#define DEVICE_STREAM_US   INT64_C(10000000) /* LINGER of one that notifies */
#define DEVICE_LEAVE_US    INT64_C(500000)   /* ... of one that is done: the last PDU goes out */
#define DEVICE_CLOSING_US  INT64_C(2500000)
#define DEVICE_QUICK_US    INT64_C(250000)
#define DEVICE_QUICK_MAX   3
#define DEVICE_BACKOFF_US  INT64_C(1000000) /* doubled up to .. */
#define DEVICE_BACKOFF_MAX INT64_C(60000000)
#define DEVICE_REST_US     INT64_C(1000000)  /* after a link with readings */
#define DEVICE_EMPTY_US    INT64_C(5000000)  /* after one without; doubled within a burst */
#define DEVICE_YIELD_US    INT64_C(10000000) /* after a stream that made room */
#define DEVICE_STREAM_TURN INT64_C(60000000) /* links of these ages may make room for others: */
#define DEVICE_EMPTY_TURN  INT64_C(5000000)
#define DEVICE_AUTH_MAX    3

struct device_config {
	unsigned int level; /* the floor, as enum bearer_level */
	bool raise_late;    /* Linux 6.1: security only after the first packet has come */
	bool broadcast;     /* never linked */
};

struct device {
	struct device_config config;
	enum device_state state;
	enum device_trouble trouble;
	unsigned int level;
	unsigned int quick, failures, auth_failures;
	unsigned int empty; /* links without a reading in this burst of advertisements */
	int64_t deadline, not_before, last_seen;
	int64_t setup_by; /* LINKING to ARMING end here */
	int64_t delay;    /* from the end of CLOSING to the next attempt */
	bool waits_for_commit, streams, leaves, had_reading, mtu_known;
	bool spoke_early; /* data in clear came on this link */
	bool heard;       /* an advertisement, since its last link came up */
	bool burst_read;  /* a reading became durable in this burst of advertisements */
};

void device_init(struct device *d, const struct device_config *config);
/* A link that was made outside of the machine, by a pairing, and is armed: DRAIN. */
void device_adopt(struct device *d, unsigned int level, int64_t now);
/* How old its link must be to make room (DEVICE_ON_YIELD) when others wait: a stream, and one that
 * has told its readings and is back with none, lose least. INT64_MAX: it is left in peace. */
int64_t device_turn(const struct device *d);
/* Returns the actions, to be carried out in the order of their bits. */
unsigned int device_event(struct device *d, enum device_event event, unsigned int argument,
			  int64_t now);
int64_t device_deadline(const struct device *d); /* INT64_MAX: none */
/* What to ask for before the connection: a level, or BEARER_CLEAR where it is raised later. */
unsigned int device_ask(const struct device *d);
/* From QUEUED's turn to the end of CLOSING it holds a slot. */
bool device_holds_slot(const struct device *d);
