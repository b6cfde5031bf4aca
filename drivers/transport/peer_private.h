/*
 * One link at work: its parts among themselves; nobody else includes this.
 *
 *   peer.c          the link: told to the device, driven by the loop, its life
 *   peer_ways.c     the two ways to the device: an ATT client on a bearer, and bluetoothd
 *   peer_jobs.c     what is asked of it: database, channels, the driver's requests, more security
 *   peer_session.c  its session: the inbox, measurements, confirmation after the commit
 *
 * What comes from a way, from the ATT client or from the session is only noted down; peer_pump()
 * acts upon it.
 */
#pragma once

#include "drivers/transport/peer.h"

#define PEER_REQUESTS        24 /* of the driver */
#define PEER_EVENTS          32
#define PEER_NEVER           INT64_MAX
#define PEER_SERVICE_CHANGED 0x2a05

/* What the link is doing; what it may do next is the device's to say. */
enum stage {
	STAGE_IDLE,
	STAGE_VERIFYING,
	STAGE_ARMING,
	STAGE_WORKING
};

/* The one request that is under way. */
enum job {
	JOB_NONE,
	JOB_MTU,
	JOB_CHECK, /* Database Hash against the cached table */
	JOB_DISCOVER,
	JOB_HASH,    /* of the table just discovered */
	JOB_CHANGED, /* subscribing to Service Changed */
	JOB_CHANNEL, /* arming: p->channel */
	JOB_REQUEST  /* requests[first] */
};

struct value {
	uint16_t handle;
	bool indication, stream;
	enum bearer_level level;
	int64_t since;
	size_t len;
	uint8_t data[ATT_VALUE_MAX];
};

struct request {
	enum session_request_kind kind;
	uint16_t channel;
	size_t len;
	uint8_t data[DRV_WRITE_MAX];
};

struct told {
	enum device_event event;
	unsigned int argument;
};

struct peer {
	sd_event_source *work, *timer;
	struct peer_handlers handlers;
	struct bearer *bearer;         /* or */
	struct gatt_dbus_link *remote; /* without PDUs of ours: the client below is idle */
	struct att_client client;
	struct att_sink sink;
	struct att_table table;
	struct session *session;
	const struct driver *driver;
	uint64_t *next_seq;
	int64_t raise_us, held_us, stalled_us;
	enum bearer_level required, level, pdu_level, opened_at;
	int error;

	enum stage stage;
	enum job job;
	unsigned int discoveries;
	unsigned int faults, unrouted;
	const struct drv_channel *channel; /* arming: the next one to be opened */
	struct att_result result;
	int64_t raise_until;
	uint8_t result_data[ATT_VALUE_MAX];

	struct value inbox[PEER_INBOX];
	size_t first_value, n_values;
	int64_t indication_since;
	uint16_t indication;     /* the one that is unconfirmed */
	uint16_t changed_handle; /* of Service Changed */

	struct request requests[PEER_REQUESTS];
	size_t first_request, n_requests;
	int64_t driver_deadline;

	uint64_t first_seq, last_seq;
	uint32_t record;

	struct told events[PEER_EVENTS];
	size_t first_event, n_events;
	size_t out_len;
	uint8_t out[ATT_MTU_MAX];

	bool bonded, ended, up;
	bool dispatching, freed; /* freed by a handler: the memory goes when it has returned */
	bool mtu_wanted, changed_asked, has_result;
	bool changed;         /* Service Changed has come */
	bool raised, raising; /* the peer demanded more security for the job at hand */
	bool has_indication, confirm;
	bool done_wanted, done_told, lost_measurement;
	bool pending, told_waits; /* readings up to last_seq are not durable */
	bool has_record, record_waits;
	bool holds; /* the bearer */
	/* The remote link is over; what it caught goes on to the session. */
	bool standing, departed;
	enum device_end departed_how;
	int departed_error;
	int64_t departed_at;
};

int64_t peer_now(void);
/* To the device, from the loop and in this order. After an end nothing more is told. */
void peer_tell(struct peer *p, enum device_event event, unsigned int argument);
void peer_end(struct peer *p, enum device_end how, int error);
void peer_fail(struct peer *p, int error);
void peer_schedule(struct peer *p); /* pumps soon, from the loop */
void peer_pump(struct peer *p);     /* all that can be done now, and the timer */
void peer_set_timer(struct peer *p);

/* peer_ways.c */
int peer_link_up(struct peer *p, sd_event *event, const struct peer_options *options);
int peer_ask_discover(struct peer *p);
int peer_ask_read(struct peer *p, uint16_t handle);
int peer_ask_subscribe(struct peer *p, const struct att_characteristic *ch);
int peer_ask_write(struct peer *p, const struct att_characteristic *ch, const struct request *q);
int peer_ask_raise(struct peer *p, enum bearer_level level);
void peer_flush(struct peer *p, int64_t now);
void peer_look_hold(struct peer *p);
void peer_look_departed(struct peer *p, int64_t now);

/* peer_jobs.c */
const struct drv_channel *peer_channel_by_handle(const struct peer *p, uint16_t handle);
void peer_service_changed(struct peer *p);
void peer_take_result(struct peer *p, int64_t now); /* of the job that is over */
void peer_next_job(struct peer *p, int64_t now);

/* peer_session.c */
void peer_observe(struct peer *p, struct cap_event *e);
void peer_observe_value(struct peer *p, enum cap_kind kind, uint16_t channel, const uint8_t *data,
			size_t len);
void peer_settled(struct peer *p, int r); /* after each call of the session */
void peer_feed(struct peer *p, int64_t now);
void peer_confirm(struct peer *p);
void peer_look_done(struct peer *p);
void peer_look_durable(struct peer *p);
