#include "firmware-tools/update_ble_services.h"

#include <string.h>

#include "protocols/bytes/cursor.h"

#define SECURE_SERVICE     0xfe59
#define BATTERY_LEVEL      0x2a19
#define FIRMWARE_REVISION  0x2a26
#define LEGACY_APPLICATION 0x0001
#define PERCENT_MAX        100

/* 16 bytes, least significant first; byte 12 tells the characteristics of one base apart */
#define LEGACY(n)                                                                                  \
	{                                                                                          \
		{                                                                                  \
			0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15, 0xde, 0xef, 0x12, 0x12, n, \
				0x15, 0, 0                                                         \
		}                                                                                  \
	}
#define SECURE(n)                                                                                  \
	{                                                                                          \
		{                                                                                  \
			0x50, 0xea, 0xda, 0x30, 0x88, 0x83, 0xb8, 0x9f, 0x60, 0x4f, 0x15, 0xf3, n, \
				0x00, 0xc9, 0x8e                                                   \
		}                                                                                  \
	}

#define SMP                                                                                     \
	{                                                                                       \
		{                                                                               \
			0x48, 0x7c, 0x99, 0x74, 0x11, 0x26, 0x9e, 0xae, 0x01, 0x4e, 0xce, 0xfb, \
				0x28, 0x78, 0x2e, 0xda                                          \
		}                                                                               \
	}

static const struct att_uuid LEGACY_SERVICE = LEGACY(0x30), LEGACY_VERSION = LEGACY(0x34);

static const struct row {
	const struct dfu_protocol *protocol;
	enum dfu_channel channel;
	struct att_uuid uuid;
} ROWS[] = {
	{ &DFU_NORDIC_LEGACY, DFU_POINT, LEGACY(0x31) },
	{ &DFU_NORDIC_LEGACY, DFU_PACKET, LEGACY(0x32) },
	{ &DFU_NORDIC_SECURE, DFU_POINT, SECURE(0x01) },
	{ &DFU_NORDIC_SECURE, DFU_PACKET, SECURE(0x02) },
	{ &DFU_NORDIC_SECURE, DFU_BUTTONLESS, SECURE(0x03) }, /* for anybody */
	{ &DFU_NORDIC_SECURE, DFU_BUTTONLESS, SECURE(0x04) }, /* for who is bonded */
	{ &DFU_SMP, DFU_SMP_CHANNEL, SMP },
};

static void find_channels(struct update_ble_services *s, const struct att_table *table)
{
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		const struct att_characteristic *ch;

		if (ROWS[i].protocol != s->protocol || update_ble_channel(s, ROWS[i].channel))
			continue;
		ch = att_table_characteristic(table, NULL, &ROWS[i].uuid);
		if (ch && s->n_channels < UPDATE_BLE_CHANNELS)
			s->channels[s->n_channels++] =
				(struct update_ble_channel){ ROWS[i].channel, *ch };
	}
}

static void add_read(struct update_ble_services *s, const struct att_table *table,
		     struct att_uuid uuid)
{
	const struct att_characteristic *ch = att_table_characteristic(table, NULL, &uuid);

	if (ch && s->n_reads < UPDATE_BLE_READS)
		s->reads[s->n_reads++] = *ch;
}

void update_ble_services_find(struct update_ble_services *s, const struct dfu_protocol *protocol,
			      const struct att_table *table)
{
	*s = (struct update_ble_services){ .protocol = protocol };
	find_channels(s, table);
	add_read(s, table, att_uuid_of16(BATTERY_LEVEL));
	add_read(s, table, att_uuid_of16(FIRMWARE_REVISION));
	if (protocol == &DFU_NORDIC_LEGACY)
		add_read(s, table, LEGACY_VERSION);
}

const struct att_characteristic *update_ble_readable(const struct update_ble_services *s, size_t i)
{
	return i < s->n_reads ? &s->reads[i] : NULL;
}

/* for a terminal: nothing but printable ASCII */
static void take_text(char ret[UPDATE_BLE_TEXT], const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < UPDATE_BLE_TEXT - 1; i++) {
		if (data[i] >= 0x20 && data[i] < 0x7f)
			ret[n++] = (char)data[i];
	}
	ret[n] = '\0';
}

void update_ble_read(struct update_ble_services *s, size_t i, const struct att_result *result)
{
	struct cursor c = cursor_of(result->data, result->error == 0 ? result->len : 0);
	uint16_t what;

	if (i >= s->n_reads || result->error != 0)
		return;
	what = att_uuid_16(&s->reads[i].uuid);
	if (what == FIRMWARE_REVISION) {
		take_text(s->facts.firmware, result->data, result->len);
	} else if (what == BATTERY_LEVEL) {
		s->facts.battery = cursor_u8(&c);
		s->facts.has_battery = cursor_at_end(&c) && s->facts.battery <= PERCENT_MAX;
	} else {
		s->legacy_version = cursor_le16(&c);
		s->has_legacy_version = cursor_at_end(&c);
	}
}

/* Legacy: boot loaders before the version was invented have none, and so it is one. */
void update_ble_services_end(struct update_ble_services *s)
{
	bool waits;

	if (s->n_channels == 0)
		waits = false;
	else if (s->protocol == &DFU_NORDIC_LEGACY)
		waits = !s->has_legacy_version || s->legacy_version != LEGACY_APPLICATION;
	else
		waits = update_ble_channel(s, DFU_POINT) != NULL;
	s->mode = waits ? DFU_MODE_UPDATE : DFU_MODE_APPLICATION;
}

const struct att_characteristic *update_ble_subscription(const struct update_ble_services *s,
							 size_t i)
{
	for (size_t k = 0; k < s->n_channels; k++) {
		if (s->channels[k].channel != DFU_PACKET && i-- == 0)
			return &s->channels[k].characteristic;
	}
	return NULL;
}

const struct att_characteristic *update_ble_channel(const struct update_ble_services *s,
						    enum dfu_channel channel)
{
	for (size_t i = 0; i < s->n_channels; i++) {
		if (s->channels[i].channel == channel)
			return &s->channels[i].characteristic;
	}
	return NULL;
}

enum dfu_channel update_ble_channel_of(const struct update_ble_services *s, uint16_t handle)
{
	for (size_t i = 0; i < s->n_channels; i++) {
		if (s->channels[i].characteristic.value == handle)
			return s->channels[i].channel;
	}
	return 0;
}

bool update_ble_advertises(const struct dfu_protocol *protocol, const struct ble_advert *advert)
{
	for (size_t i = 0; protocol == &DFU_NORDIC_SECURE && i < advert->n_services; i++) {
		if (advert->services[i] == SECURE_SERVICE)
			return true;
	}
	for (size_t i = 0; protocol == &DFU_NORDIC_LEGACY && i < advert->n_services128; i++) {
		if (memcmp(advert->services128[i], LEGACY_SERVICE.bytes, 16) == 0)
			return true;
	}
	return false;
}
