/*
 * The client's side of one ATT bearer: PDUs and the time in, PDUs and events out. Source: Bluetooth
 * Core 5.4, vol 3 part F 3.3 (bearer, transactions) and part G 4 (procedures).
 *
 *   transport --att_client_receive()--> engine --sink--> caller
 *   transport <--att_client_take()----- engine <--att_client_read(), ..._confirm()-- caller
 *
 * No I/O, heap or clock; all memory is the caller's, all times are its own monotonic microseconds.
 *
 * What is asked for waits in a queue of ATT_QUEUE_MAX and is done in that order, one PDU at a time
 * (3.3.2 allows one request). After each call that could have given it something to send, call
 * att_client_take() until it returns 0. A PDU that was taken counts as sent.
 *
 * The sink is called from inside these functions and must not call the engine back, not even to ask
 * for the next thing (asserted): it notes down what happened, and the caller acts when the function
 * has returned. Pointers in events are valid during the call only. Not for several threads.
 *
 * An indication is answered by att_client_confirm() alone, whenever the caller has made it durable.
 * It is taken in every state: a peer may send it as soon as the link is up, before our first
 * request, or between a request and its response.
 */
#pragma once

#include "protocols/att/table.h"

/* What a peer reads as our Device Name 2a00, if it asks: the only thing that we serve. */
#define ATT_OWN_NAME "Wellgate"

#define ATT_QUEUE_MAX    8
#define ATT_TIMEOUT_USEC INT64_C(30000000) /* part F 3.3.3: then the bearer is dead */

/* Levels of the link as the kernel counts them; only their order matters here. */
enum att_security {
	ATT_SECURITY_CLEAR = 1,
	ATT_SECURITY_ENCRYPTED = 2,
	ATT_SECURITY_AUTHENTICATED = 3,
	ATT_SECURITY_FIPS = 4,
};

enum att_kind {
	ATT_DO_MTU,
	ATT_DO_DISCOVER,
	ATT_DO_HASH,
	ATT_DO_READ,
	ATT_DO_WRITE,
	ATT_DO_COMMAND,
};

/* how a request ended; each one that was accepted ends once */
struct att_result {
	enum att_kind kind;
	uint32_t tag;    /* the caller's */
	uint16_t handle; /* 0: none */
	/* 0; -EREMOTEIO the peer refused, see refusal; -EBADMSG -EMSGSIZE -ERANGE its answer broke
	 * the rules (or did not fit); -ENOSPC its database does not fit the table; -ESTALE its
	 * database changed meanwhile; -ETIMEDOUT; -ECANCELED the bearer ended before */
	int error;
	uint8_t refusal;     /* enum att_error or another; 0: none */
	const uint8_t *data; /* ATT_DO_READ the value, ATT_DO_HASH 16 bytes */
	size_t len;
};

struct att_notice {
	uint16_t handle;
	const uint8_t *data;
	size_t len;
	bool indication; /* the peer waits for att_client_confirm() */
	bool in_clear;   /* the link's security was below what is required: not to be trusted */
};

enum att_fault {
	ATT_FAULT_LENGTH,
	ATT_FAULT_STRUCTURE,
	ATT_FAULT_RANGE,
	ATT_FAULT_UNEXPECTED,        /* a response or confirmation nobody asked for */
	ATT_FAULT_SECOND_INDICATION, /* before the one before was confirmed */
	ATT_FAULT_SECOND_REQUEST,    /* before our response to the one before was taken */
	ATT_FAULT_END
};
const char *att_fault_name(enum att_fault fault); /* "length" "structure" ... */

struct att_sink {
	void (*done)(void *user, const struct att_result *result);
	void (*value)(void *user, const struct att_notice *notice);
	/* Service Changed, in the indication `handle`, which waits for att_client_confirm(). What
	 * it names is gone from the table. In clear it comes as a value and changes nothing. */
	void (*changed)(void *user, uint16_t handle, uint16_t start, uint16_t end);
	/* the peer broke the rules; the PDU was dropped; r is the -errno of att_client_receive() */
	void (*fault)(void *user, enum att_fault fault, uint8_t opcode, int r);
	/* no PDU may be sent any more, the link must drop; after the `done` of what was waiting */
	void (*dead)(void *user, int r);
	void *user;
};

struct att_counts {
	uint64_t received, sent, ignored_commands, faults[ATT_FAULT_END];
};

struct att_op {
	enum att_kind kind;
	uint32_t tag;
	uint16_t handle;
	size_t len;
	uint8_t data[ATT_VALUE_MAX];
};

/* how far the first one of the queue has come */
struct att_step {
	bool begun, sent, stale;
	uint8_t expected; /* opcode of the response */
	uint8_t phase;    /* of a write or a discovery */
	uint8_t refusal;
	int failed; /* a long write that is being cancelled */
	int64_t deadline;
	size_t mtu;           /* when the request was made */
	size_t offset, chunk; /* of a long write */
	size_t index;         /* service or characteristic that is looked at */
	uint16_t next, end;   /* range of handles that is still to be asked for */
};

/* Private, here only for its size. */
struct att_client {
	const struct att_sink *sink;
	struct att_table *table;
	size_t rx_mtu, mtu;
	enum att_security security, required;
	bool in_sink, dead, mtu_asked;
	struct att_op queue[ATT_QUEUE_MAX];
	size_t head, n;
	struct att_step step;
	uint8_t value[ATT_VALUE_MAX];
	size_t value_len;
	struct {
		bool waiting, in_clear, spoiled, confirmed;
		uint16_t handle;
		int64_t deadline;
	} indication;
	uint8_t reply[ATT_MTU_DEFAULT]; /* to the peer's own request */
	size_t reply_len, reply_mtu;    /* reply_mtu: 0, or in force once the reply is taken */
	struct att_counts counts;
};

/*
 * sink and table are borrowed and outlive the client. The table may hold an imported cache. rx_mtu:
 * ATT_MTU_DEFAULT..ATT_MTU_MAX; required: the level that the bond of this peer has. The link counts
 * as ATT_SECURITY_CLEAR until att_client_set_security().
 */
void att_client_init(struct att_client *c, const struct att_sink *sink, struct att_table *table,
		     size_t rx_mtu, enum att_security required);
/* What arrives from now on came at this level. */
void att_client_set_security(struct att_client *c, enum att_security level);

/*
 * One PDU from the peer. 0; -EMSGSIZE, -EBADMSG, -ERANGE: it was malformed, -EPROTO: out of turn;
 * both are counted and reported through sink->fault, the link may stay. -ENOTCONN: dead.
 */
int att_client_receive(struct att_client *c, const uint8_t *data, size_t len, int64_t now);
/* The next PDU to send, into buffer[ATT_MTU_MAX]; returns its length, 0: nothing to send. */
size_t att_client_take(struct att_client *c, uint8_t *buffer, int64_t now);
/* To be called at att_client_deadline() or later: an unanswered request or an unconfirmed
 * indication is 30 s old, the bearer is dead. */
void att_client_tick(struct att_client *c, int64_t now);
int64_t att_client_deadline(const struct att_client *c); /* INT64_MAX: none */
/* The link is lost or given up: what was waiting ends with -ECANCELED. sink->dead is not called. */
void att_client_close(struct att_client *c);

/*
 * All of these: 0, and sink->done comes later; -ENOTCONN dead; -ENOBUFS the queue is full; -ERANGE
 * handle 0; -EMSGSIZE longer than ATT_VALUE_MAX.
 */
/* -EALREADY: the second on this bearer. A refusal leaves the MTU at 23, which is no harm. */
int att_client_exchange_mtu(struct att_client *c, uint32_t tag);
/*
 * Primary services, their characteristics, and the CCC of those that notify or indicate, into the
 * table. What that held is lost when the discovery begins; if it fails, the table is empty.
 */
int att_client_discover(struct att_client *c, uint32_t tag);
/* Database Hash 0x2b2a, for att_table_matches() and att_table_set_hash() */
int att_client_read_hash(struct att_client *c, uint32_t tag);
/* the whole value, in as many PDUs as it takes */
int att_client_read(struct att_client *c, uint16_t handle, uint32_t tag);
/* longer than mtu - 3: in prepared parts; if an echo differs, all of it is cancelled */
int att_client_write(struct att_client *c, uint16_t handle, const uint8_t *data, size_t len,
		     uint32_t tag);
/* Without response; done as soon as it was taken. It keeps its turn in the queue. Longer than
 * mtu - 3 when its turn comes: done with -EMSGSIZE. */
int att_client_write_command(struct att_client *c, uint16_t handle, const uint8_t *data, size_t len,
			     uint32_t tag);
/* Indications if it has them, otherwise notifications: only indications can wait for a commit.
 * -ENOTSUP: it has neither, or no CCC. */
int att_client_subscribe(struct att_client *c, const struct att_characteristic *characteristic,
			 bool on, uint32_t tag);

/*
 * The indication on this handle is durable: answer it. -ENOENT none is waiting; -EACCES it came in
 * clear; -EPROTO the peer sent another or a malformed one meanwhile and could take this answer for
 * that one, none is confirmed on this bearer any more (the peer will offer its value again);
 * -ENOTCONN dead.
 */
int att_client_confirm(struct att_client *c, uint16_t handle);

size_t att_client_mtu(const struct att_client *c);
bool att_client_is_dead(const struct att_client *c);
const struct att_counts *att_client_counts(const struct att_client *c);
