/*
 * GATT through bluetoothd, for a device that our own ATT bearer cannot reach. bluetoothd confirms
 * an indication as soon as it has it, before anybody has stored anything: this path can lose a
 * reading (README, "Through bluetoothd"), so it is chosen per device and said wherever that is
 * shown.
 *
 *   bluetoothd <--D-Bus--> gatt_dbus: standing subscriptions --value--> queue --peek--> peer
 *                                     one link at a time per device     <--read, write, discover--
 *
 * One connection to the bus for the life of the process, used for nothing else. Every measurement
 * characteristic that bluetoothd exports is subscribed to, also while the device is not connected,
 * so that what it sends the moment a link comes up is caught. What was caught stays in a queue
 * until its peer has handed it on (GATT_DBUS_QUEUE values per device): the end of a link, of
 * bluetoothd or of the bus loses nothing of it; the end of this process does.
 *
 * Nothing here blocks and each call has a timer. What comes from the bus counts only from the owner
 * of org.bluez, on objects of devices that are ours.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/driver.h"
#include "drivers/transport/ble.h"
#include "drivers/transport/device.h"
#include "protocols/att/client.h"

#define GATT_DBUS_QUEUE   1024              /* values of one device */
#define GATT_DBUS_CONNECT INT64_C(30000000) /* Device1.Connect */
#define GATT_DBUS_PAIR    INT64_C(60000000) /* Device1.Pair: people take their time */
#define GATT_DBUS_CALL    INT64_C(10000000) /* all others */
#define GATT_DBUS_NUDGE   INT64_C(5000000)

struct gatt_dbus_options {
	const char *bus_address; /* NULL: the system bus; copied */
	int64_t call_us;         /* for tests; 0: the above */
	int64_t nudge_us;        /* for tests; 0: GATT_DBUS_NUDGE */
};

struct gatt_dbus;

/* Values of this device wait and it has no link: one is to be made. Said again every
 * GATT_DBUS_NUDGE. From the event loop only. */
typedef void gatt_dbus_waiting(void *user, const struct ble_address *address);

/* 0 also without a bus: it is tried again, at most every 5 s. */
int gatt_dbus_new(sd_event *event, const struct gatt_dbus_options *options,
		  gatt_dbus_waiting *waiting, void *user, struct gatt_dbus **ret);
/* After its links. NULL is fine. */
void gatt_dbus_free(struct gatt_dbus *g);
/* Devices of this adapter only; without it: of any. */
void gatt_dbus_adapter(struct gatt_dbus *g, const struct ble_address *address);
/* Subscribes, for good, to all of these channels that notify or indicate. channels is borrowed and
 * outlives the watch. -ENOMEM */
int gatt_dbus_watch(struct gatt_dbus *g, const struct ble_address *address,
		    const struct drv_channel *channels);
/* Drops what waits of it, too. */
void gatt_dbus_unwatch(struct gatt_dbus *g, const struct ble_address *address);
/* are all its channels that bluetoothd exports subscribed to, and is there one? */
bool gatt_dbus_stands(const struct gatt_dbus *g, const struct ble_address *address);

struct gatt_dbus_counts {
	uint64_t values, malformed;
	uint64_t strays; /* values on characteristics that nobody subscribed to */
	uint64_t echoes; /* values that only repeated what we read */
	uint64_t lost;   /* the queue was full */
};
const struct gatt_dbus_counts *gatt_dbus_counts(const struct gatt_dbus *g);

/* ---- one link ---- */

/* From the event loop only, never from inside a function below; the link may be freed in each. */
struct gatt_dbus_handlers {
	/* Once: Device1.Connected is true. Also when nothing but the queue is there: then `lost`
	 * follows at once, and discovery tells what was known. */
	void (*connected)(void *user, bool bonded);
	void (*bonded)(void *user); /* gatt_dbus_pair() has succeeded; nothing comes if not */
	void (*done)(void *user, const struct att_result *result);
	void (*value)(void *user); /* gatt_dbus_peek() may have something new */
	/* once; the end of what was under way (-ECANCELED) may follow */
	void (*lost)(void *user, enum device_end end, int error);
	void *user;
};

struct gatt_dbus_link;

/* One per device. 0: Device1.Connect is on its way; what fails comes by `lost`; -EBUSY -ENOMEM */
int gatt_dbus_link_new(struct gatt_dbus *g, const struct ble_address *address,
		       const struct gatt_dbus_handlers *handlers, struct gatt_dbus_link **ret);
/* Disconnects. What was not taken stays in the queue. NULL is fine. */
void gatt_dbus_link_free(struct gatt_dbus_link *l);

/* Device1.Pair; -ENOTCONN */
int gatt_dbus_pair(struct gatt_dbus_link *l);
/*
 * One at a time; 0: `done` comes, as from an ATT client: error 0, -EREMOTEIO with a refusal,
 * -ETIMEDOUT, -ECANCELED. -ENOTCONN the link is lost or the characteristic gone; -EBUSY.
 * Handles are this module's own and hold for the table that discovery made.
 */
/* Waits for ServicesResolved, then fills the table. */
int gatt_dbus_discover(struct gatt_dbus_link *l, struct att_table *table);
int gatt_dbus_read(struct gatt_dbus_link *l, uint16_t handle);
int gatt_dbus_write(struct gatt_dbus_link *l, uint16_t handle, const uint8_t *data, size_t len,
		    bool response);
int gatt_dbus_subscribe(struct gatt_dbus_link *l, uint16_t handle);

struct gatt_dbus_value {
	struct att_uuid uuid;
	bool notifies;       /* bluetoothd then enables notifications: more may follow for hours */
	int64_t since;       /* monotonic microseconds */
	const uint8_t *data; /* until it is taken */
	size_t len;          /* <= ATT_VALUE_MAX */
};
/* The oldest; false: none, or a read is under way that may turn out to be its cause. */
bool gatt_dbus_peek(const struct gatt_dbus_link *l, struct gatt_dbus_value *ret);
void gatt_dbus_taken(struct gatt_dbus_link *l);
size_t gatt_dbus_queued(const struct gatt_dbus_link *l);
