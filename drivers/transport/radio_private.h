/*
 * The radio's parts among themselves; nobody else includes this.
 *
 *   radio.c           the adapter's events, the gateway's calls, its life
 *   radio_turns.c     who may connect when
 *   radio_node.c      one device: what is kept of it, what the gateway is told of its sessions
 *   radio_link.c      the link of a device, as its state machine says
 *   radio_heard.c     what a device broadcasts
 *   radio_left.c      links that nobody holds
 *   radio_pair.c      pairing
 *   radio_operator.c  the list of devices, unpair, retry
 */
#pragma once

#include "drivers/transport/peer.h"
#include "drivers/transport/radio.h"

#define RADIO_NEVER INT64_MAX

/* What one session is to the gateway. */
struct line {
	uint32_t id;    /* 0: none yet */
	bool announced; /* with these facts */
	struct session_facts facts;
};

/* One enrolled device, or the one that is being paired. */
struct node {
	struct radio *radio;
	struct ble_address address;
	const struct driver *driver; /* NULL: not known yet, or no longer in the table */
	bool adverts;                /* its driver listens to what it broadcasts */
	bool pairing;
	bool bluetoothd; /* its GATT is bluetoothd's */
	struct device device;
	struct peer *peer;
	struct line link, broadcast;
	struct session *heard; /* of its advertisements */
	int64_t heard_deadline;
	bool heard_done;
	bool connected;              /* this link came up, */
	bool said_linked, said_gone; /* and what bluetoothd said of it */
	int64_t queued_at, linked_at;
	int64_t tried_at;    /* its last turn; 0: it had none */
	int64_t leftover_at; /* when to look for a link that we do not hold */
	int64_t held_at;     /* if it is not heard until then: may the controller hold its link? */
	int64_t doubted_at;  /* since when, with held_at */
	bool has_rssi, has_facts, consent_refused;
	int8_t rssi;
	int64_t last_seen;
	struct session_facts facts;
	uint64_t links, failed_links, in_clear, faults[FAULT_END];
};

enum pair_step {
	PAIR_LOOK,
	PAIR_FORGET, /* an earlier bond is being dropped */
	PAIR_WAIT,   /* for the turn to connect */
	PAIR_CONNECT,
	PAIR_MTU,
	PAIR_SECURE,
	PAIR_VERIFY,
	PAIR_IDENTITY, /* it uses changing addresses: which one is its own? */
	PAIR_ARM
};

struct pairing {
	struct radio_pairing shown;
	enum pair_step step;
	bool has_address, has_consent, has_wanted, bluetoothd;
	struct ble_address wanted_address;
	struct drv_consent consent;
	const struct driver *wanted;
	int64_t deadline, not_before;
	unsigned int attempts;
	bool questioned; /* the operator had a part in it */
	bool unsecured;  /* it dropped the link when it was asked to pair: without, this time */
	bool has_identity;
	struct ble_address identity;
	uint32_t quirks;
	struct node *node;       /* owned until it is enrolled */
	struct enrolment *draft; /* owned */
};

struct radio {
	sd_event *event;
	sd_event_source *timer;
	struct radio_options options;
	char *helper;
	struct radio_sink sink;
	uint64_t *next_seq;
	uint32_t *next_id;
	struct adapter *adapter;
	struct gatt_dbus *gatt; /* made when the first device needs it */
	struct enrolments *enrolments;
	struct node *nodes[ENROLMENT_MAX];
	size_t n_nodes;
	bool raise_late;
	bool trusted;
	int zone_min;
	/* the one attempt: first the scan is stopped for it, then it runs */
	bool pausing, attempting;
	struct node *chosen; /* NULL: gone meanwhile */
	int64_t room_at;     /* a stream has had its turn then; a slot may be free earlier */
	int64_t retry_at;
	bool cycling;     /* the adapter was asked to go off and on, for links that nobody holds */
	bool has_timeout; /* the last attempt that never ended, with none that did since */
	struct ble_address timeout;
	struct pairing pairing;
};

int64_t radio_now(void);
int64_t radio_utc_ms_at_zero(void); /* of the clock that radio_now() reads */
struct node *radio_node(struct radio *r, const struct ble_address *address);
void radio_changed(struct radio *r);

/* radio_node.c */
int radio_node_new(struct radio *r, const struct ble_address *address, struct node **ret);
void radio_node_free(struct node *n);
/* a node of an enrolled device: driver, level, state machine; it joins the list */
int radio_node_enrolled(struct node *n, const struct enrolment *e);
void radio_node_remove(struct node *n); /* from the list, and frees it */
bool radio_driver_on(const struct driver *driver, enum drv_bus bus);
bool radio_row_ends(const struct drv_match *row);
enum bearer_level radio_level_of(enum link_security security);
const struct enrolment *node_enrolment(const struct node *n); /* NULL: it has none */
/* The draft of a pairing, or a copy to be changed and put back by node_keep(); NULL: it is gone, or
 * there is no memory. */
struct enrolment *node_change(const struct node *n);
/* Durable when it returns 0; what is being paired is not kept yet; takes what node_change() gave */
int node_keep(struct node *n, struct enrolment *e);
/* Can its memory be emptied from here? */
bool node_can_wipe(const struct node *n, const struct enrolment *e);
/* What became of that on a link that has ended. */
void node_on_wiped(struct node *n, const struct session_wipe *wiped);
/* Of a session, with the node as its user. */
void node_on_memory(void *user, const struct session_memory *memory);
bool node_has_room(void *user);
/* What a session of it is told, of a link or of broadcasts. Borrows from e. */
struct peer_driver node_driver(const struct node *n, const struct enrolment *e);
void line_begin(struct node *n, struct line *line);
int line_deliver(struct node *n, struct line *line, const struct session *session,
		 const struct measurement *m, uint64_t seq);
void line_end(struct node *n, struct line *line, const struct session *session);
void node_alarm(struct node *n); /* its trouble has changed */
void node_tell_consent(struct node *n);

/* radio_link.c */
void radio_node_event(struct node *n, enum device_event event, unsigned int argument);
/* the attempt: begins on its bearer. ask: the level to ask for before it */
int radio_connect(struct node *n, const struct att_table *table, enum bearer_level required,
		  enum bearer_level ask);
/* the attempt is over, with or without a link */
void radio_attempt_over(struct radio *r, const struct node *n);
int radio_open_session(struct node *n, const struct enrolment *e);
void radio_hang_up(struct node *n);
int radio_need_gatt(struct radio *r); /* through bluetoothd, and which adapter is ours */
void node_watch(struct node *n);      /* its subscriptions stand from now on */

/* radio_heard.c */
void heard_advert(struct node *n, const struct ble_advert *advert);
void heard_time(struct node *n, int64_t now);
void heard_committed(struct node *n, uint64_t seq);
void heard_clock(struct node *n); /* it may be known now */
void heard_end(struct node *n);

/* radio_turns.c */
/* after anything that happened: who may connect now, and when to look again */
void radio_settle(struct radio *r);
int radio_on_timer(sd_event_source *source, uint64_t usec, void *user);

/* radio_left.c: links that nobody holds */
void left_look_later(struct node *n);
void left_maybe_held(struct node *n); /* unless it is heard soon */
void left_is_free(struct node *n);    /* it advertises, or we hold its link */
void left_adapter_reset(struct radio *r);
void left_time(struct node *n, int64_t now);
bool left_wants_peace(const struct radio *r, int64_t now); /* no new turns */
int64_t left_deadline(const struct node *n);

/* radio_pair.c */
void pairing_event(struct radio *r, enum device_event event, unsigned int argument);
void pairing_advert(struct radio *r, const struct ble_advert *advert);
void pairing_bonded(struct radio *r, const struct ble_address *address, bool bonded);
void pairing_question(struct radio *r, const struct ble_address *address,
		      enum adapter_question question, uint32_t passkey);
void pairing_adapter_lost(struct radio *r);
void pairing_turn(struct radio *r); /* its attempt may begin */
void pairing_time(struct radio *r, int64_t now);
int64_t pairing_deadline(const struct radio *r);
bool pairing_waits(const struct radio *r, int64_t now); /* for its turn */
bool pairing_is_about(const struct radio *r, const struct ble_address *address);
bool pairing_runs(const struct radio *r);
bool pairing_has_link(const struct radio *r);
void pairing_free(struct radio *r);
