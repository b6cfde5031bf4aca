/* What a device's services say about its updates over Bluetooth: protocols/dfu/README.md. Pure. */
#pragma once

#include "drivers/transport/ble.h"
#include "firmware-tools/update_ble.h"
#include "protocols/att/client.h"

#define UPDATE_BLE_READS    3
#define UPDATE_BLE_CHANNELS 3

struct update_ble_channel {
	enum dfu_channel channel;
	struct att_characteristic characteristic;
};

struct update_ble_services {
	const struct dfu_protocol *protocol;
	struct update_ble_channel channels[UPDATE_BLE_CHANNELS];
	size_t n_channels; /* 0: it takes no updates by this protocol */
	struct att_characteristic reads[UPDATE_BLE_READS];
	size_t n_reads;
	enum dfu_mode mode; /* after update_ble_services_end() */
	struct update_ble_facts facts;
	bool has_legacy_version;
	uint16_t legacy_version;
};

/* The table is borrowed for the call: the peer may change it at any time. */
void update_ble_services_find(struct update_ble_services *s, const struct dfu_protocol *protocol,
			      const struct att_table *table);
/* the i-th value that is to be read before anything is written; NULL: no more */
const struct att_characteristic *update_ble_readable(const struct update_ble_services *s, size_t i);
/* what came of it */
void update_ble_read(struct update_ble_services *s, size_t i, const struct att_result *result);
void update_ble_services_end(struct update_ble_services *s); /* all was read */
/* the i-th that is to be subscribed to; NULL: no more */
const struct att_characteristic *update_ble_subscription(const struct update_ble_services *s,
							 size_t i);
/* NULL: it has none */
const struct att_characteristic *update_ble_channel(const struct update_ble_services *s,
						    enum dfu_channel channel);
/* 0: of none */
enum dfu_channel update_ble_channel_of(const struct update_ble_services *s, uint16_t handle);
/* does it advertise the service of this protocol? */
bool update_ble_advertises(const struct dfu_protocol *protocol, const struct ble_advert *advert);
