/*
 * The parts of gatt_dbus among themselves; nobody else includes this.
 *
 *   gatt_dbus.c           the bus, bluetoothd's name, calls, what is due again and again
 *   gatt_dbus_list.c      the list of its objects, and the signals that change it
 *   gatt_dbus_devices.c   the devices in it
 *   gatt_dbus_database.c  the GATT database of one, and standing subscriptions
 *   gatt_dbus_queue.c     its values that were not taken yet
 *   gatt_dbus_link.c      one link: Connect, Pair, discovery, reads, writes
 */
#pragma once

#include <systemd/sd-bus.h>

#include "drivers/transport/bluez.h"
#include "drivers/transport/gatt_dbus.h"

#define GATT_PATH       96 /* "/org/bluez/hci0/dev_02_00_5E_10_00_01/service0030/char0031" */
#define GATT_ADAPTERS   16
#define SERVICE1        "org.bluez.GattService1"
#define CHARACTERISTIC1 "org.bluez.GattCharacteristic1"
#define GATT_CAN_NOTIFY (ATT_PROPERTY_NOTIFY | ATT_PROPERTY_INDICATE)

enum gatt_notify {
	GATT_NOTIFY_OFF,
	GATT_NOTIFY_ASKED,
	GATT_NOTIFY_ON
};

struct gatt_service {
	char path[GATT_PATH];
	struct att_uuid uuid;
};

struct gatt_chrc {
	struct gatt_device *device;
	char path[GATT_PATH];
	struct att_uuid uuid;
	uint8_t flags;
	uint16_t handle;    /* in the table; 0: in none */
	bool asked_by_link; /* subscribed to without a watch */
	enum gatt_notify notify;
	sd_bus_slot *slot; /* of StartNotify */
};

struct gatt_entry {
	struct gatt_entry *next;
	struct att_uuid uuid;
	bool notifies;
	bool maybe_echo; /* came while this characteristic was being read */
	int64_t since;
	size_t len;
	uint8_t data[];
};

struct gatt_device {
	struct gatt_device *next;
	struct gatt_dbus *g;
	struct ble_address address;
	char path[GATT_PATH]; /* "": bluetoothd knows no such device */
	bool watched;
	const struct drv_channel *channels;
	bool paired, bonded, connected, resolved;
	sd_bus_slot *match;
	struct gatt_service *services[ATT_SERVICES_MAX]; /* both in the order of their paths */
	size_t n_services;
	struct gatt_chrc *chrcs[ATT_CHARACTERISTICS_MAX];
	size_t n_chrcs;
	const struct gatt_chrc *reading; /* ReadValue is under way */
	struct att_table table;          /* as it was last known */
	struct gatt_entry *first, *last;
	size_t queued;
	struct gatt_dbus_link *link;
};

struct gatt_adapter {
	char path[GATT_PATH]; /* "" = free */
	struct ble_address address;
};

struct gatt_dbus {
	sd_event *event;
	struct gatt_dbus_options options;
	gatt_dbus_waiting *waiting;
	void *user;
	struct bluez bluez;
	sd_event_source *nudge;
	sd_bus_slot *list;
	bool list_again, listed;
	struct gatt_adapter adapters[GATT_ADAPTERS];
	bool has_adapter;
	struct ble_address adapter;
	struct gatt_device *devices;
	struct gatt_dbus_counts counts;
};

struct gatt_dbus_link {
	struct gatt_dbus *g;
	struct gatt_device *device; /* outlives it */
	struct gatt_dbus_handlers handlers;
	sd_event_source *defer;
	sd_bus_slot *connect, *pair, *call;
	bool begun;   /* Connect was called */
	bool offline; /* only for what is in the queue */
	bool is_connected, is_lost;
	/* what is to be told */
	bool tell_connected, tell_bonded, tell_value, tell_lost, tell_result;
	enum device_end end;
	int error;
	/* the job */
	bool busy, discovering;
	struct att_table *table;
	struct gatt_chrc *subscribing;
	struct att_result result;
	uint8_t data[ATT_VALUE_MAX];
};

struct gatt_properties;

int64_t gatt_now(void);
int gatt_call(struct gatt_dbus *g, sd_bus_message *m, int64_t usec, sd_bus_slot **slot,
	      sd_bus_message_handler_t done, void *user);
/* sends it and does not ask how it went */
void gatt_tell(struct gatt_dbus *g, const char *path, const char *interface, const char *member);
/* 0, or the ATT error that this D-Bus error stands for */
uint8_t gatt_refusal(sd_bus_message *reply);

/* gatt_dbus_list.c */
void gatt_list(struct gatt_dbus *g); /* asks for all objects */
int gatt_on_added(sd_bus_message *m, void *user, sd_bus_error *ret_error);
int gatt_on_removed(sd_bus_message *m, void *user, sd_bus_error *ret_error);

/* gatt_dbus_devices.c; each find returns NULL if there is none */
struct gatt_device *gatt_device_find(const struct gatt_dbus *g, const struct ble_address *address);
struct gatt_device *gatt_device_at(const struct gatt_dbus *g, const char *path);
struct gatt_device *gatt_device_above(const struct gatt_dbus *g, const char *path);
/* finds it, or makes one that nobody watches */
int gatt_device_get(struct gatt_dbus *g, const struct ble_address *address,
		    struct gatt_device **ret);
void gatt_device_gone(struct gatt_device *d);
/* if nobody has a use for it any more */
void gatt_device_release(struct gatt_device *d);
void gatt_device_free(struct gatt_device *d);
bool gatt_is_on_our_adapter(const struct gatt_dbus *g, const char *path);
void gatt_take_device(struct gatt_dbus *g, const char *path, const struct gatt_properties *p);
void gatt_take_adapter(struct gatt_dbus *g, const char *path, const struct gatt_properties *p);

/* gatt_dbus_database.c */
/* "/org/bluez/hci0/dev_.." is below "/org/bluez/hci0" with "/dev_", directly */
bool gatt_is_below(const char *path, const char *parent, const char *prefix);
struct gatt_service *gatt_service_of(const struct gatt_device *d, const char *path);
struct gatt_chrc *gatt_chrc_at(const struct gatt_device *d, const char *path);
struct gatt_chrc *gatt_chrc_by_handle(struct gatt_device *d, uint16_t handle);
void gatt_add_service(struct gatt_device *d, const char *path, const struct gatt_properties *p);
void gatt_add_chrc(struct gatt_device *d, const char *path, const struct gatt_properties *p);
void gatt_remove_service(struct gatt_device *d, size_t i);
void gatt_remove_chrc(struct gatt_device *d, size_t i);
int gatt_table_build(struct gatt_device *d);
int gatt_start_notify(struct gatt_chrc *c);
bool gatt_is_wanted(const struct gatt_device *d, const struct gatt_chrc *c);
void gatt_check_stand(struct gatt_device *d); /* subscribes to what is wanted and does not stand */

/* gatt_dbus_queue.c */
void gatt_queue_value(struct gatt_chrc *c, const struct gatt_properties *p);
void gatt_queue_clear(struct gatt_device *d);
/* The read is over: the value that it caused itself is not one that the device sent. data NULL: it
 * failed. */
void gatt_read_over(struct gatt_device *d, const uint8_t *data, size_t len);

/* gatt_dbus_link.c: what became of the device, told to its link */
void gatt_link_connected(struct gatt_dbus_link *l);
void gatt_link_resolved(struct gatt_dbus_link *l);
void gatt_link_value(struct gatt_dbus_link *l);
void gatt_link_lost(struct gatt_dbus_link *l, enum device_end end, int error);
void gatt_link_listed(struct gatt_dbus_link *l); /* its device is there, or is not */
void gatt_link_subscribed(struct gatt_dbus_link *l, struct gatt_chrc *c, uint8_t refusal,
			  int error);
void gatt_link_chrc_gone(struct gatt_dbus_link *l, const struct gatt_chrc *c);
