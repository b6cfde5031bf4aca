/*
 * The adapter's parts among themselves; nobody else includes this.
 *
 *   adapter.c          the state, and the adapter's life
 *   adapter_bus.c      the bus, bluetoothd's name, calls
 *   adapter_list.c     the list of its objects, and the signals that change it
 *   adapter_seen.c     the adapters in it, and which is ours
 *   adapter_devices.c  the devices in it; unbonding and disconnecting one
 *   adapter_scan.c     discovery: wanted, paused, probed
 *   adapter_agent.c    org.bluez.Agent1 and the pairing window
 *   adapter_rungs.c    what the rungs of the ladder do
 *   adapter_rfkill.c   /sys/class/rfkill, /dev/rfkill
 *   adapter_ladder.c, adapter_window.c: pure; adapter_objects.c: parsing and the table
 */
#pragma once

#include "drivers/transport/adapter.h"
#include "drivers/transport/adapter_ladder.h"
#include "drivers/transport/adapter_objects.h"
#include "drivers/transport/adapter_window.h"
#include "drivers/transport/bluez.h"

#define ADAPTERS_MAX 16
#define EVENTS_MAX   32
#define AGENT_PATH   "/org/wellgate/agent"

/* one that bluetoothd knows; path "" = free */
struct adapter_seen {
	char path[OBJECT_PATH];
	struct ble_address address;
	bool powered, discovering, rfkilled;
	char modalias[48];
};

enum scan_probe {
	SCAN_PROBE_NONE,
	SCAN_PROBE_STOP,
	SCAN_PROBE_STOPPED, /* the call is answered: is it so? */
	SCAN_PROBE_FILTER,
	SCAN_PROBE_START,
	SCAN_PROBE_STARTED
};

struct scan {
	bool wanted, paused;
	bool session;  /* bluetoothd discovers for us, as far as we know */
	bool filtered; /* our filter is set; it goes with the power and the daemon */
	bool busy;     /* a call is on its way */
	enum scan_probe probe;
	unsigned int failures;
	int64_t heard_at; /* last report, or the beginning of the session */
	void (*ready)(void *user);
	void *ready_user;
	sd_event_source *retry, *pause, *silence, *proof;
	bool retrying;
};

struct agent {
	struct window window;
	sd_event_source *closing;
	sd_bus_message *question; /* waits for the operator */
	enum window_request request;
	unsigned int pairable_calls; /* on their way */
};

struct rung {
	unsigned int serial;
	unsigned int n; /* 1 to 5; 0: none runs */
	bool acted;     /* its own action is over: power up, if need be, and probe */
	bool powering, probing;
	bool blocked; /* by us, through rfkill */
	unsigned int rfkill;
	sd_event_source *timer, *again, *child;
	int child_fd; /* pidfd of the USB reset */
};

struct adapter {
	sd_event *event;
	struct adapter_handlers handlers;
	struct adapter_options options; /* root is the one below, bus_address is not kept */
	char *root;
	struct adapter_counts counts;

	struct ladder ladder;
	enum adapter_state told;
	enum ladder_event events[EVENTS_MAX];
	char why[64]; /* the last doubt's reason */
	size_t n_events;
	sd_event_source *drain, *deadline, *block;

	struct bluez bluez;
	bool had_daemon;

	struct adapter_seen seen[ADAPTERS_MAX];
	struct adapter_seen *own;
	struct ble_address address; /* of the last one that was ours */
	bool has_address;
	bool lifted; /* a soft block that was there before us has been lifted once */
	struct objects *objects;
	unsigned int fetching; /* GetAll on their way */
	sd_event_source *sweep, *list;

	struct scan scan;
	struct agent agent;
	struct rung rung;
};

/* error: a D-Bus error name, or NULL */
typedef void call_done(struct adapter *a, sd_bus_message *reply, const char *error, void *user);

int64_t adapter_now(const struct adapter *a);
/* One-shot, `usec` from now; made at its first use. */
void adapter_timer(struct adapter *a, sd_event_source **source, int64_t usec,
		   sd_event_time_handler_t handler);
void adapter_timer_stop(sd_event_source *source);
/* To the state machine, after the present callback. */
void adapter_post(struct adapter *a, enum ladder_event event);
void adapter_because(struct adapter *a, const char *why); /* for adapter_why() */

/* adapter_bus.c */
int adapter_bus_start(struct adapter *a, const char *address);
/* Sends it with a timer of its own; done is not called when it fails at once, nor for an answer of
 * an older generation. A call that is never answered is a doubt. Takes no reference. */
int adapter_call(struct adapter *a, sd_bus_message *m, call_done *done, void *user);
/* The same, but done is called also when there is a newer generation, with this error; and when it
 * returns 0, user is freed with the call. */
#define ADAPTER_STALE "org.wellgate.Error.Stale"
int adapter_call_owed(struct adapter *a, sd_bus_message *m, call_done *done, void *user);
/* a method without arguments, of our adapter */
int adapter_own_call(struct adapter *a, const char *member, call_done *done, void *user);
int adapter_own_set(struct adapter *a, const char *property, bool value, call_done *done,
		    void *user);
bool adapter_error_is(const char *error, const char *name); /* "org.bluez.Error." + name */
bool adapter_error_is_timeout(const char *error);

/* adapter_list.c */
void adapter_list(struct adapter *a); /* asks for all objects */
int adapter_on_added(sd_bus_message *m, void *user, sd_bus_error *ret_error);
int adapter_on_removed(sd_bus_message *m, void *user, sd_bus_error *ret_error);
int adapter_on_changed(sd_bus_message *m, void *user, sd_bus_error *ret_error);

/* adapter_seen.c */
struct adapter_seen *seen_find(struct adapter *a, const char *path); /* or NULL */
void seen_choose(struct adapter *a);                                 /* ours, if there is none */
void seen_read(struct adapter *a, sd_bus_message *m, const char *path);
void seen_changed(struct adapter *a, sd_bus_message *m, struct adapter_seen *seen);
void seen_removed(struct adapter *a, const char *path);
/* the power is what it is now */
void adapter_set_powered(struct adapter *a, bool powered);
void adapter_check_block(struct adapter *a);
/* "hci0" */
const char *adapter_hci(const struct adapter *a);

/* adapter_devices.c */
bool devices_is_own(const struct adapter *a, const char *path); /* a child of our adapter */
void devices_read(struct adapter *a, sd_bus_message *m, const char *path, bool is_new);
void devices_changed(struct adapter *a, sd_bus_message *m, const char *path);
void devices_removed(struct adapter *a, const char *path);
void devices_set_linked(struct adapter *a, struct object *object, bool linked);
void devices_forget_all(struct adapter *a);
void devices_mark_stale(struct adapter *a); /* a list is to come: who is not in it is gone, */
void devices_reconcile(struct adapter *a);  /* now that it has come */

void scan_step(struct adapter *a);
void scan_probe(struct adapter *a);
void scan_probe_cancel(struct adapter *a);
void scan_heard(struct adapter *a, int64_t now);
void scan_lost(struct adapter *a, bool calls_too); /* what bluetoothd did for us is gone */
void scan_free(struct adapter *a);
void scan_pause_check(struct adapter *a);

int agent_export(struct adapter *a);
void agent_register(struct adapter *a);
void agent_ready(struct adapter *a); /* the adapter is */
void agent_lost(struct adapter *a);
void agent_free(struct adapter *a);

void rung_power(struct adapter *a);
void rung_start(struct adapter *a);
void rung_step(struct adapter *a);
void rung_end(struct adapter *a);
void rung_lost(struct adapter *a, bool daemon); /* the adapter is gone, or with it the daemon */
void rung_free(struct adapter *a);

struct rfkill {
	unsigned int index;
	bool soft, hard;
};
/* of the Bluetooth adapter of this name, "hci0"; -ENOENT */
int rfkill_read(const char *root, const char *hci, struct rfkill *ret);
/* -EACCES and the like: not ours to do */
int rfkill_block(const char *root, unsigned int index, bool block);
/* ROOT/PATH, a small file, without its newline. size includes the NUL. */
int adapter_read_file(const char *root, const char *path, char *ret, size_t size);
