/*
 * Bluetooth adapters, through bluetoothd's D-Bus API: power, scanning, the pairing agent, bonds,
 * and the ladder that brings a wedged radio back. It never connects to a device and never touches
 * GATT: links are the bearer's. One of these serves one adapter, the first that is usable, or the
 * one named; adapters are told apart by their Bluetooth address, never by "hci0".
 *
 * bluetoothd and the bus may vanish at any time: every object path, call and answer belongs to a
 * generation, and what comes from an older one is dropped. Nothing here blocks: each call has a
 * timer of its own (5 s).
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "drivers/transport/ble.h"

enum adapter_state {
	ADAPTER_NO_BUS,    /* no D-Bus */
	ADAPTER_NO_DAEMON, /* bluetoothd is not there */
	ADAPTER_ABSENT,    /* no such adapter */
	ADAPTER_BLOCKED,   /* rfkill */
	ADAPTER_OFF,
	ADAPTER_POWERING,
	ADAPTER_READY,
	ADAPTER_SUSPECT, /* being probed */
	ADAPTER_RESET,   /* a rung of the ladder is running */
	ADAPTER_FAILED,  /* the ladder is at its end; tried again after 1, 5, 15, 60 minutes */
	ADAPTER_STATE_END
};
const char *adapter_state_name(enum adapter_state state);

enum adapter_doubt {            /* why the radio is suspected */
	ADAPTER_DOUBT_SILENT,   /* no advertisement for 90 s and the probe failed */
	ADAPTER_DOUBT_CONNECTS, /* attempts at several different peers never ended */
	ADAPTER_DOUBT_CALL,     /* a D-Bus call was not answered in time */
	ADAPTER_DOUBT_SCAN,     /* scanning "in progress", and is not */
};

/* The operator's part in a pairing. */
enum adapter_question {
	ADAPTER_ASK_PASSKEY,  /* the device shows six digits: adapter_answer_passkey() */
	ADAPTER_SHOW_PASSKEY, /* to be typed into the device: nothing to answer */
	ADAPTER_ASK_MATCH,    /* both show the same six digits? adapter_answer() */
};

struct adapter_handlers {
	void (*state)(void *user, enum adapter_state state);
	/* every report, also of strangers; with DuplicateData, so also repeated ones */
	void (*advert)(void *user, const struct ble_advert *advert);
	/* bluetoothd's Device1.Connected: a link is up or gone, whoever made it */
	void (*linked)(void *user, const struct ble_address *address, bool linked);
	/* it is bonded now, or no longer */
	void (*bonded)(void *user, const struct ble_address *address, bool bonded);
	void (*question)(void *user, const struct ble_address *address,
			 enum adapter_question question, uint32_t passkey);
	/* somebody asked to pair outside a window, or another device than the one in it: refused */
	void (*intruder)(void *user, const struct ble_address *address);
	/* Is it enrolled? Such a one is never forgotten among strangers. The type of the address
	 * may be wrong. */
	bool (*is_ours)(void *user, const struct ble_address *address);
	void *user;
};
/* Called from the event loop only, never from inside a function below; any may be NULL. The adapter
 * must not be freed in one. */

struct adapter_options {
	const char *bus_address; /* NULL: the system bus; tests bring their own */
	bool any;                /* the first usable adapter; else the one below */
	struct ble_address adapter;
	int64_t call_timeout_us; /* 0: 12 s */
	int64_t silence_us;      /* without any report, until the radio is probed; 0: 90 s */
	int64_t rung_us;         /* for each rung of the ladder to prove itself; 0: 10 s */
	const char *root;        /* in front of /sys, /dev, /etc, /proc, /usr; NULL: "" */
};

struct adapter;

/* options is copied. 0 also without a bus: it is tried again, at most every 5 s. */
int adapter_new(sd_event *event, const struct adapter_options *options,
		const struct adapter_handlers *handlers, struct adapter **ret);
void adapter_free(struct adapter *a); /* NULL is fine */

enum adapter_state adapter_state(const struct adapter *a);
/* Why it is SUSPECT, RESET or FAILED, for the log, in our words; "": it is not, or nobody knows. */
const char *adapter_why(const struct adapter *a);
/* its own Bluetooth address; -ENODEV while there is none */
int adapter_address(const struct adapter *a, struct ble_address *ret);

/* Scanning is wanted or not; survives restarts of bluetoothd and of the adapter. */
void adapter_scan(struct adapter *a, bool on);
/* Scanning is wanted and begins anew, if it is not stopped for an attempt: bluetoothd rests for
 * seconds between two scans, and somebody waits. */
void adapter_scan_afresh(struct adapter *a);
/* A connection attempt needs the scan stopped (it would wait up to 10 s for the controller's window
 * otherwise). `ready` is called once scanning has ended, or after 2 s all the same; then
 * adapter_scan_resume(). One at a time: -EBUSY. */
int adapter_scan_pause(struct adapter *a, void (*ready)(void *user), void *user);
void adapter_scan_resume(struct adapter *a);

/* The pairing window: until it closes the agent agrees to a pairing with this address, and with no
 * other. Without a window it agrees to nothing. */
/* Replaces one that is open. The adapter is pairable from before scan_pause's `ready` is called.
 * -ENODEV: not READY */
int adapter_window_open(struct adapter *a, const struct ble_address *address, int64_t usec);
void adapter_window_close(struct adapter *a);
/* -ENOENT: no such question is open; -EINVAL: more than six digits */
int adapter_answer_passkey(struct adapter *a, uint32_t passkey);
int adapter_answer(struct adapter *a, bool yes);

/* Is it bonded, as far as bluetoothd says? */
bool adapter_is_bonded(const struct adapter *a, const struct ble_address *address);
/* Does bluetoothd hold a link to it? A new attempt must wait until it does not. */
bool adapter_is_linked(const struct adapter *a, const struct ble_address *address);
/* Drops the bond and all that bluetoothd knows of the device. done: 0 or -errno, called once, also
 * when bluetoothd dies meanwhile (-EPIPE), not after adapter_free(); may be NULL. 0 if bluetoothd
 * knew nothing of it. */
int adapter_forget(struct adapter *a, const struct ble_address *address,
		   void (*done)(void *user, int r), void *user);
/* asks bluetoothd to drop a link that somebody left behind; -ENOENT: it knows no such device */
int adapter_disconnect(struct adapter *a, const struct ble_address *address);

/* The links say that the radio may be wedged: it is probed, and the ladder is climbed if the probe
 * fails. A success clears what was counted. */
void adapter_doubt(struct adapter *a, enum adapter_doubt doubt);
void adapter_works(struct adapter *a);

struct adapter_counts {
	uint64_t adverts, restarts_of_bluetoothd, resets, recoveries, refused_pairings;
	uint64_t malformed;       /* properties, objects and calls that cannot be */
	uint64_t dropped;         /* strangers that made room, or found none */
	uint64_t failed_calls;    /* that bluetoothd refused and that nothing else tells of */
	int64_t last_recovery_us; /* how long the last one took */
};
const struct adapter_counts *adapter_counts(const struct adapter *a);

/* What doctor says about the radio of this machine. `text` and `advice` are plain sentences without
 * addresses or names; advice NULL where nothing is to be done. Looks at bluetoothd's version and
 * main.conf, the D-Bus policy, rfkill, the kernel, permissions. Called rarely; may read files. */
enum adapter_finding_level {
	ADAPTER_GOOD = 1,
	ADAPTER_NOTICE,
	ADAPTER_PROBLEM
};
void adapter_findings(const struct adapter *a,
		      void (*finding)(void *user, enum adapter_finding_level level,
				      const char *text, const char *advice),
		      void *user);
