#include "drivers/transport/gatt_dbus_objects.h"

#include <errno.h>
#include <string.h>

#include "drivers/transport/bluez.h"

#define UUID_TEXT  36 /* "00002a9d-0000-1000-8000-00805f9b34fb" */
#define UUID_BYTES 16

/* ---- single values: 1 taken, 0 of a wrong type or size, -errno the message is broken ---- */

static int digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;
	const int value = at ? (int)(at - digits) : -1;

	return value > 15 ? value - 6 : value;
}

static bool parse_uuid(const char *text, struct att_uuid *ret)
{
	struct att_uuid uuid;
	size_t n = 0;
	int high, low;

	if (strnlen(text, UUID_TEXT + 1) != UUID_TEXT)
		return false;
	for (size_t i = 0; i < UUID_TEXT;) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return false;
			continue;
		}
		high = digit(text[i]);
		low = digit(text[i + 1]);
		if (high < 0 || low < 0)
			return false;
		uuid.bytes[UUID_BYTES - 1 - n++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	*ret = uuid;
	return true;
}

static int read_address(sd_bus_message *m, struct gatt_properties *p)
{
	return bluez_read_address(m, &p->address);
}

static int read_address_type(sd_bus_message *m, struct gatt_properties *p)
{
	return bluez_read_address_type(m, &p->address.type);
}

static int read_uuid(sd_bus_message *m, struct gatt_properties *p)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	return r <= 0 ? r : parse_uuid(text, &p->uuid);
}

static uint8_t flag_of(const char *name)
{
	static const struct {
		const char *name;
		uint8_t flag;
	} rows[] = {
		{ "read", 0x02 },     { "write-without-response", 0x04 },
		{ "write", 0x08 },    { "notify", 0x10 },
		{ "indicate", 0x20 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].flag;
	}
	return 0; /* there are others, of which nothing is asked */
}

static int read_flags(sd_bus_message *m, struct gatt_properties *p)
{
	const char *name;
	int r = bluez_enter_variant(m, "as");

	if (r <= 0)
		return r;
	r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "s");
	if (r < 0)
		return r;
	p->flags = 0;
	while ((r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &name)) > 0)
		p->flags |= flag_of(name);
	if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0 ||
	    (r = sd_bus_message_exit_container(m)) < 0)
		return r;
	return 1;
}

static int read_value(sd_bus_message *m, struct gatt_properties *p)
{
	const void *data = NULL;
	size_t len = 0;
	int r = bluez_enter_variant(m, "ay");

	if (r <= 0)
		return r;
	r = sd_bus_message_read_array(m, SD_BUS_TYPE_BYTE, &data, &len);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	if (len > ATT_VALUE_MAX)
		return 0;
	p->value = data;
	p->value_len = len;
	return 1;
}

static int read_paired(sd_bus_message *m, struct gatt_properties *p)
{
	return bluez_read_bool(m, &p->paired);
}

static int read_bonded(sd_bus_message *m, struct gatt_properties *p)
{
	return bluez_read_bool(m, &p->bonded);
}

static int read_connected(sd_bus_message *m, struct gatt_properties *p)
{
	return bluez_read_bool(m, &p->connected);
}

static int read_resolved(sd_bus_message *m, struct gatt_properties *p)
{
	return bluez_read_bool(m, &p->resolved);
}

/* ---- a{sv} ---- */

static int read_property(sd_bus_message *m, const char *name, struct gatt_properties *p)
{
	static const struct {
		const char *name;
		enum gatt_property which;
		int (*read)(sd_bus_message *m, struct gatt_properties *p);
	} rows[] = {
		{ "Address", GATT_ADDRESS, read_address },
		{ "AddressType", GATT_ADDRESS_TYPE, read_address_type },
		{ "Paired", GATT_PAIRED, read_paired },
		{ "Bonded", GATT_BONDED, read_bonded },
		{ "Connected", GATT_CONNECTED, read_connected },
		{ "ServicesResolved", GATT_RESOLVED, read_resolved },
		{ "UUID", GATT_UUID, read_uuid },
		{ "Flags", GATT_FLAGS, read_flags },
		{ "Value", GATT_VALUE, read_value },
	};
	int r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		r = rows[i].read(m, p);
		if (r > 0)
			p->seen |= rows[i].which;
		else if (r == 0)
			p->malformed++;
		return r;
	}
	return sd_bus_message_skip(m, "v");
}

int gatt_properties_read(sd_bus_message *m, struct gatt_properties *ret)
{
	struct gatt_properties p = { 0 };
	const char *name;
	int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");

	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
		r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &name);
		if (r >= 0)
			r = read_property(m, name, &p);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}
