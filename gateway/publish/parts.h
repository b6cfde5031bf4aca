/*
 * What publish.c, send.c and answers.c share; nobody else includes it. publish.c is the face and
 * its beginning and end, send.c makes messages of rows, answers.c takes what comes back.
 */
#pragma once

#include "gateway/publish/batch.h"
#include "gateway/publish/outbox.h"
#include "gateway/publish/pace.h"
#include "gateway/publish/publish.h"
#include "gateway/publish/reasons.h"
#include "gateway/publish/receipts.h"
#include "gateway/publish/uplink.h"

#define US_PER_S INT64_C(1000000)

/* What a tag says: a lane or one of these in the low bits, above it the number of the entry. */
enum tag_kind {
	TAG_STATUS = LANE_END,
	TAG_SCHEMA,
	TAG_REPLY,
};
#define TAG_BITS 3

/* connection = on-demand: when we come and go (visits.c) */
struct visit {
	sd_event_source *timer;
	bool on_demand;
	bool present;      /* we want to be connected */
	bool asked;        /* the broker has answered what we listen to */
	int64_t due_us;    /* away: when we come at the latest */
	int64_t active_us; /* when something came from the broker last */
};

struct publish {
	const struct config *config;
	struct store *store;
	struct topics topics;
	struct uplink *uplink;
	sd_event_source *io, *more, *again;
	struct batch batch;
	struct receipts receipts;
	struct reason_counts reasons;
	struct outbox lanes[LANE_END];
	enum lane turn;
	struct pace pace;
	unsigned int window_max;
	unsigned int rows_on_the_way;
	size_t burst_bytes;    /* handed over in this turn of the loop */
	bool limited;          /* more waits than there was room for */
	size_t bytes_max;      /* of a batch on this connection */
	size_t packet_maximum; /* of the broker, 0 = not limited */
	struct publish_state state;
	bool stopping, schema_due, no_retain, epoch_due;
	int64_t start_us, receipt_us; /* when it began; when a receipt came last, 0 = never */
	int64_t epoch_at_us;          /* when one was begun last, 0 = never */
	uint64_t parked;              /* rows of the store, when it was last looked at */
	uint64_t acked_rows;          /* since the last commit of ours */
	/* status */
	Wellgate__V1__HubStatus *status;
	bool status_due, status_on_the_way, offline_confirmed;
	bool schema_sent; /* and confirmed, in this run */
	struct visit visit;
	void (*progress)(void *user);
	void *progress_user;
	void (*heard)(void *user, enum inbound which, const uint8_t *data, size_t len);
	void *heard_user;
};

int64_t publish_now_us(void);
const char *publish_hub(const struct publish *p);
bool publish_by_receipt(const struct publish *p);

/* ---- send.c ---- */
bool publish_window_open(const struct publish *p);
/* Copies the data. */
int publish_hand_over(struct publish *p, struct message *m, const uint8_t *data);
/* Status and schema, if they are due. */
int publish_send_notices(struct publish *p);
/* What was committed since waits to be sent. Within somebody's transaction: nothing is known of it
 * yet, and the kick that follows their commit comes here. */
void publish_learn(struct publish *p);
/* Hands on what there is room for. */
void publish_pump(struct publish *p);

/* ---- visits.c ---- */
int publish_visit_init(struct publish *p, sd_event *event);
/* Comes or goes, or says when to look again. Without connection = on-demand nothing. */
void publish_visit(struct publish *p);

/* ---- answers.c ---- */
/* Also after rows were parked without a word of the broker's. */
void publish_advance(struct publish *p, enum lane lane);
/* All that the uplink has to say: true, if there was anything. */
bool publish_take_events(struct publish *p);
/* for sd-event: no receipt came for what the broker has confirmed */
int publish_on_again(sd_event_source *source, uint64_t usec, void *user);
