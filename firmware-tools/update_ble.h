/*
 * One firmware update over Bluetooth: a machine of protocols/dfu on an ATT bearer of our own. The
 * device is heard by bluetoothd's discovery (adapter.h), linked by wellgate-link (bearer.h), its
 * services are looked up on each link anew, because its application and its boot loader have
 * different ones, and its notifications are subscribed to before the machine hears of the link.
 *
 * A boot loader of Nordic may have the address plus one. Such a neighbour is taken only if it
 * advertises the service of the update.
 *
 * Nothing else may use the radio meanwhile: one device has one link, and a scan by others makes
 * each connect wait. update_ble_radio_in_use() says so before anything is begun.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/ble.h"
#include "protocols/dfu/dfu.h"

#define UPDATE_BLE_TEXT 33

/* What the device told on its first link, before anything was written to it. */
struct update_ble_facts {
	bool supported; /* it has the services of this protocol */
	enum dfu_mode mode;
	size_t mtu;
	bool has_battery;
	uint8_t battery;                /* percent */
	char firmware[UPDATE_BLE_TEXT]; /* of Device Information; printable ASCII, or "" */
};

struct update_ble_handlers {
	/* Once, before the first write; false: leave it alone. */
	bool (*found)(void *user, const struct update_ble_facts *facts);
	/* often: bytes that the device has, of all */
	void (*progress)(void *user, size_t done, size_t total);
	void (*step)(void *user, const char *text); /* what begins now, for people */
	void (*ended)(void *user);                  /* once, from the loop */
	void *user;
};

struct update_ble_options {
	struct ble_address address; /* the type is found out */
	const char *helper;         /* path of wellgate-link; NULL: beside this program */
	const struct dfu_protocol *protocol;
	const struct dfu_plan *plan; /* borrowed until it is freed */
};

struct update_ble;

/* Does wellgate-devices run here, with the radio? Only processes that /proc shows are seen. */
bool update_ble_radio_in_use(void);

/* -EINVAL: the plan lacks something; -ENOMEM */
int update_ble_start(sd_event *event, const struct update_ble_options *options,
		     const struct update_ble_handlers *handlers, struct update_ble **ret);
/* How it ended: 0, ask update_ble_result(); -ENODEV the device was not heard, or not reached;
 * -ENONET there is no adapter that works; -ENOTSUP it has no such update service; -EACCES it
 * wants an encrypted link, and there is no bond with it, or not a good one; -ECANCELED found() said
 * no. */
int update_ble_error(const struct update_ble *u);
const struct dfu *update_ble_result(const struct update_ble *u);
/* Also before it has ended: the device is left as it is. NULL is fine. */
void update_ble_free(struct update_ble *u);
