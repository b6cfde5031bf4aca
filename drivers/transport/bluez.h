/*
 * What everything that speaks with bluetoothd shares: the connection and the bluetoothd on it, and
 * values out of its messages, which are not believed to have the type they should have.
 *
 * The connection is made from the loop, and made again when it is lost: after 0.1 s, then twice as
 * long each time up to 5 s, until the bus answers. Everything that is known of a bluetoothd has a
 * generation, which ends with it or with the connection: an answer of an earlier one says nothing.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "drivers/transport/ble.h"

#define BLUEZ      "org.bluez"
#define ADAPTER1   "org.bluez.Adapter1"
#define DEVICE1    "org.bluez.Device1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define MANAGER    "org.freedesktop.DBus.ObjectManager"

/* From the loop only. */
struct bluez_handlers {
	/* A new connection, before anything is asked on it: for matches and objects of one's own.
	 * -errno: it is given up, and another one made. */
	int (*opened)(void *user);
	/* The bus has answered, or is lost; may be NULL. */
	void (*bus)(void *user, bool is_up);
	/* A bluetoothd has come, while the bus is up, or is gone, before the bus is lost. Each in
	 * its turn. */
	void (*daemon)(void *user, bool is_up);
	void *user;
	uint64_t *malformed; /* counts names of an owner that cannot be */
};

struct bluez {
	sd_bus *bus;         /* NULL: there is none */
	char owner[64];      /* unique name of bluetoothd; "": it is not there */
	uint64_t generation; /* of the two above */
	/* the rest is its own */
	sd_event *event;
	struct bluez_handlers handlers;
	char *address;
	int64_t call_us, reopen_us;
	sd_event_source *reopen;
	sd_bus_slot *ask;
	bool is_up;
};

/* b is zeroed. address NULL: the system bus; copied. call_us: for the bus to answer, 0: 25 s.
 * Succeeds also without a bus. bluez_stop() is owed after a failure as well. */
int bluez_start(struct bluez *b, sd_event *event, const char *address, int64_t call_us,
		const struct bluez_handlers *handlers);
/* Tells nothing. A zeroed one is fine. */
void bluez_stop(struct bluez *b);

struct bluez_match {
	const char *rule;
	sd_bus_message_handler_t handler;
};
int bluez_match(struct bluez *b, const struct bluez_match *rows, size_t n, void *user);
bool bluez_is_from_daemon(const struct bluez *b, sd_bus_message *m);
/* To the unique name: what is meant for this daemon never starts another. -ENOTCONN: there is none;
 * *ret is the caller's. */
int bluez_method(struct bluez *b, const char *path, const char *interface, const char *member,
		 sd_bus_message **ret);

/* All of these: 1 taken, 0 of a wrong type or content and skipped, -errno the message is broken.
 * enter_variant: after 1 the container is open. *ret is written with 1 only. */
int bluez_enter_variant(sd_bus_message *m, const char *type);
int bluez_read_basic(sd_bus_message *m, const char *type, void *ret);
int bluez_read_bool(sd_bus_message *m, bool *ret);
/* "02:00:5E:10:00:01"; the type of *ret stays as it is */
int bluez_read_address(sd_bus_message *m, struct ble_address *ret);
int bluez_read_address_type(sd_bus_message *m, enum ble_address_type *ret);

/* For each interface of an object, with the message before its a{sv}: 1 it was read, 0 it was left
 * and is skipped, -errno the message is broken. */
typedef int bluez_interface(void *user, sd_bus_message *m, const char *path, const char *interface);
/* a{sa{sv}} of one object, as in InterfacesAdded; and a{oa{sa{sv}}} of all, as GetManagedObjects
 * answers, from its beginning. -errno: the message is broken. */
int bluez_read_interfaces(sd_bus_message *m, const char *path, bluez_interface *take, void *user);
int bluez_read_objects(sd_bus_message *m, bluez_interface *take, void *user);
