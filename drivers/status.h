/*
 * What wellgate-devices and the gateway say to each other about Bluetooth, as messages: the state
 * of the radio and of a pairing one way, the commands of the operator the other. No socket and no
 * clock: link.c sends what status_next() gives, and hands in what arrives.
 *
 * Who calls what (the wiring, drivers/bluetooth.c, has the radio; this side has none):
 *
 *   status_source    called by this side, each time a status is to be sent; the wiring answers from
 *                    radio_adapter(), radio_devices(), radio_device_at(), adapter_findings()
 *   status_handlers  called by this side when a command has come; the wiring hands it to the
 *                    function of the same name: radio_pair(), radio_pair_choose() ... and returns
 *                    what that returned. The gateway tells the operator what the errno means.
 *
 * Messages come from the gateway over a socket of this machine; they are checked all the same. A
 * command that breaks the contract is answered with EBADMSG and goes no further.
 */
#pragma once

#include "drivers/transport/radio.h"

/* drivers/transport/enrolment.h has ENROLMENT_MAX of them */
#define STATUS_FINDINGS_MAX 24
#define STATUS_TEXT_MAX     256 /* of a finding or its advice, with NUL: cut */
#define STATUS_NUMBERS_MAX  255 /* candidates that one pairing can tell apart */
#define STATUS_WINDOW_MIN_S 10
#define STATUS_WINDOW_MAX_S 900
#define STATUS_PACKET       65536

/* All of them may be NULL together: no radio. Borrowed pointers live until the call after. */
struct status_source {
	enum adapter_state (*state)(void *user);
	const struct adapter_counts *(*counts)(void *user);
	size_t (*devices)(void *user);
	void (*device_at)(void *user, size_t i, struct radio_device *ret);
	/* adapter_findings(); called on connect and when the operator asks for a report */
	void (*findings)(void *user,
			 void (*finding)(void *user, enum adapter_finding_level level,
					 const char *text, const char *advice),
			 void *finding_user);
	void *user;
};

/*
 * The commands. 0 or -errno; what a function of radio.h returns is right:
 * -EBUSY another pairing is running, -ENODEV no radio, -ENOENT no such device or question.
 *
 * pair: where the operator gave an address, it was read off a label, which does not tell its type:
 * request->address.type is BLE_PUBLIC then, so compare the six bytes only. Texts are borrowed.
 * cancel: also called when the connection to the gateway is lost while a pairing runs: nobody is
 * there to answer. It may be called when none is running.
 * zone: the hub's zone, before `clock` tells its offset; name: IANA, "": the machine's.
 * clock: the hub's zone and whether its clock may be believed; on connect and on change. When the
 * gateway is gone the last word stands.
 */
struct status_handlers {
	int (*pair)(void *user, const struct radio_pair_request *request);
	int (*choose)(void *user, const struct ble_address *address);
	int (*passkey)(void *user, uint32_t passkey);
	int (*answer)(void *user, bool yes);
	void (*cancel)(void *user);
	int (*unpair)(void *user, const struct ble_address *address);
	int (*retry)(void *user, const struct ble_address *address);
	int (*wipe)(void *user, const struct ble_address *address); /* NULL: -EOPNOTSUPP */
	void (*clock)(void *user, bool trusted, int zone_offset_min);
	void (*zone)(const char *name, int zone_offset_min); /* of the process; may be NULL */
	void *user;
	/* the same as clock, for the devices on wires; NULL: there are none */
	void (*wired_clock)(void *wired, bool trusted, int zone_offset_min);
	void *wired;
};

#define STATUS_ADDRESS_TEXT (BLE_ADDRESS_TEXT + 7) /* "02:00:5E:10:00:01 random" */

/* The one text form of an address between the two processes; the gateway digests it. */
void status_address_print(const struct ble_address *a, char ret[STATUS_ADDRESS_TEXT]);
/* Takes it without the type, too: then BLE_PUBLIC. -EINVAL */
int status_address_parse(const char *text, struct ble_address *ret);

/* ---- between link.c and status.c; the wiring needs none of it ---- */

struct status;
struct Wellgate__V1__ToDevices;

int status_new(const struct status_handlers *handlers, struct status **ret);
void status_free(struct status *s); /* NULL is fine */
void status_set_source(struct status *s, const struct status_source *source);
/* What is wrong with devices on wires, as status_source.findings. */
void status_set_wired(struct status *s,
		      void (*findings)(void *user,
				       void (*finding)(void *user, enum adapter_finding_level level,
						       const char *text, const char *advice),
				       void *finding_user),
		      void *user);
/* As status_changed(), and findings are asked for anew. */
void status_examine(struct status *s);
/* now: CLOCK_MONOTONIC microseconds, everywhere */
void status_changed(struct status *s);
void status_pairing(struct status *s, const struct radio_pairing *pairing);
/* A new connection: everything is to be said; findings included. */
void status_connected(struct status *s);
/* What was not said is dropped. A pairing without an operator is to be ended: by status_settle(),
 * which calls handlers.cancel, because this one may be called from inside the radio. */
void status_disconnected(struct status *s);
void status_settle(struct status *s);
/* A command or a clock of the gateway: carried out, its outcome waits to be sent. -EBADMSG: it has
 * no number or is no clock, so there is no answer to it. */
int status_heard(struct status *s, const struct Wellgate__V1__ToDevices *message);
/* When the next packet may be sent; INT64_MAX: there is none. */
int64_t status_due(const struct status *s);
/* 1: a packet, borrowed until status_sent(); 0: nothing is due; -ENOMEM, and it is dropped. Call it
 * until it returns 0. */
int status_next(struct status *s, int64_t now, const uint8_t **ret_data, size_t *ret_len);
void status_sent(struct status *s);
