/*
 * Bluetooth LE as wellgate-devices sees it: the enrolled devices are found, linked one attempt at a
 * time, read, and left in peace; others are never touched and never written down. Owns the
 * adapter, the enrolments, and for each enrolled device its state machine and, while it is linked,
 * its peer (ATT client and session).
 */
#pragma once

#include "drivers/session.h"
#include "drivers/transport/adapter.h"
#include "drivers/transport/bearer.h"
#include "drivers/transport/device.h"
#include "drivers/transport/enrolment.h"
#include "protocols/capture/cap.h"

struct radio_options {
	const char *helper;    /* wellgate-link */
	const char *directory; /* enrolments */
	struct adapter_options adapter;
	unsigned int links_max; /* at the same time; 0: 3 */
	int64_t held_us;      /* silence after which a device may be held (radio_left.c); for tests;
				 * 0: 30 s */
	int64_t pair_step_us; /* patience with one step of a pairing; for tests; 0: 10 s */
	/* For tests: changes how the bearer to this address is made; NULL in life. */
	void (*stand_in)(void *user, const struct ble_address *address,
			 struct bearer_options *options);
	void *stand_in_user;
};

/* Where a pairing stands: one at a time, shown to the operator. */
enum radio_pairing_phase {
	RADIO_PAIRING_NONE,
	RADIO_PAIRING_LOOKING, /* candidates are listed */
	RADIO_PAIRING_LINKING,
	RADIO_PAIRING_PASSKEY,  /* the operator is to type what the device shows */
	RADIO_PAIRING_SHOW,     /* ... to type `passkey` into the device */
	RADIO_PAIRING_MATCH,    /* ... to compare */
	RADIO_PAIRING_SETTLING, /* bonded; being looked at: driver, level, facts */
	RADIO_PAIRING_DONE,
	RADIO_PAIRING_FAILED
};

#define RADIO_CANDIDATES_MAX 16

struct radio_candidate {
	struct ble_address address;
	char name[64];
	const char *driver; /* that would serve it */
	int8_t rssi;
	bool enrolled;
};

struct radio_pairing {
	enum radio_pairing_phase phase;
	struct ble_address address; /* once chosen */
	uint32_t passkey;
	char reason[128]; /* FAILED: a sentence and what to do */
	int64_t ends_at;  /* of the window */
	size_t n_candidates;
	struct radio_candidate candidates[RADIO_CANDIDATES_MAX];
};

struct radio_pair_request {
	const char *driver; /* NULL: any */
	bool has_address;
	struct ble_address address;
	bool has_consent;
	struct drv_consent consent;
	bool bluetoothd; /* the D-Bus path for this device */
	int64_t window_us;
};

/* One enrolled device, for `wellgate devices`. */
struct radio_device {
	const struct enrolment *enrolment;
	enum device_state state;
	enum device_trouble trouble;
	bool has_rssi;
	int8_t rssi;
	int64_t last_seen_us; /* monotonic; 0 never */
	uint64_t links, failed_links, in_clear, faults[FAULT_END];
	bool can_wipe;
	const struct session_facts *facts; /* of the last link; may be NULL */
};

struct radio_sink {
	int (*up)(void *user, uint32_t id, const struct ble_address *address,
		  const struct session *session);
	int (*measurement)(void *user, uint32_t id, const struct measurement *m, uint64_t seq);
	int (*down)(void *user, uint32_t id, const struct session *session);
	bool (*has_room)(void *user);
	void (*pairing)(void *user, const struct radio_pairing *pairing); /* it moved on */
	void (*changed)(void *user); /* something that `wellgate devices` shows */
	/* what passes between device and session: tap and recorder; may be NULL */
	void (*observe)(void *user, uint32_t id, const struct cap_event *event);
	void *user;
};

struct radio;

/* next_seq and next_id are shared with other transports of the process. */
int radio_new(sd_event *event, const struct radio_options *options, const struct radio_sink *sink,
	      uint64_t *next_seq, uint32_t *next_id, struct radio **ret);
void radio_free(struct radio *r);
void radio_committed(struct radio *r, uint64_t seq);
void radio_refused(struct radio *r, uint64_t seq);
void radio_wake(struct radio *r);
/* The hub's zone, and whether its clock may be believed (and devices set by it). */
void radio_set_clock(struct radio *r, bool trusted, int zone_offset_min);

/* -EBUSY one is running; -ENODEV no radio */
int radio_pair(struct radio *r, const struct radio_pair_request *request);
int radio_pair_choose(struct radio *r, const struct ble_address *address);
int radio_pair_passkey(struct radio *r, uint32_t passkey);
int radio_pair_answer(struct radio *r, bool yes);
void radio_pair_cancel(struct radio *r);
/* drops bond and enrolment; -ENOENT */
int radio_unpair(struct radio *r, const struct ble_address *address);
/* The operator looked after the trouble: try again. */
int radio_retry(struct radio *r, const struct ble_address *address);

/*
 * Its own memory is to be emptied, on the next link, after all that it holds is durable. The wish
 * outlives this process; it ends with the first link that says how it came out (link_down()), or
 * with unpairing. 0 also if it was asked for before; -ENOENT; -EOPNOTSUPP: its driver cannot, or
 * its link is not encrypted and our own, so its word would prove nothing; -errno of the file.
 */
int radio_wipe(struct radio *r, const struct ble_address *address);

size_t radio_devices(const struct radio *r);
void radio_device_at(const struct radio *r, size_t i, struct radio_device *ret);
const struct adapter *radio_adapter(const struct radio *r);
/* What doctor says beside adapter_findings(). */
void radio_own_findings(const struct radio *r,
			void (*finding)(void *user, enum adapter_finding_level level,
					const char *text, const char *advice),
			void *user);
