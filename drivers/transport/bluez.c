#include "drivers/transport/bluez.h"

#include <errno.h>
#include <string.h>

int bluez_bus_open(const char *address, sd_bus **ret)
{
	int r;

	if (!address)
		return sd_bus_open_system(ret);
	r = sd_bus_new(ret);
	if (r >= 0)
		r = sd_bus_set_address(*ret, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(*ret, 1);
	if (r >= 0)
		r = sd_bus_start(*ret);
	return r;
}

int bluez_enter_variant(sd_bus_message *m, const char *type)
{
	const char *contents = NULL;
	char container = 0;
	int r;

	r = sd_bus_message_peek_type(m, &container, &contents);
	if (r < 0)
		return r;
	if (r == 0 || container != 'v' || !contents)
		return -EBADMSG;
	if (strcmp(contents, type) != 0) {
		r = sd_bus_message_skip(m, "v");
		return r < 0 ? r : 0;
	}
	r = sd_bus_message_enter_container(m, 'v', type);
	return r < 0 ? r : 1;
}

int bluez_read_basic(sd_bus_message *m, const char *type, void *ret)
{
	int r = bluez_enter_variant(m, type);

	if (r <= 0)
		return r;
	r = sd_bus_message_read_basic(m, type[0], ret);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

int bluez_read_bool(sd_bus_message *m, bool *ret)
{
	int value = 0;
	const int r = bluez_read_basic(m, "b", &value);

	if (r > 0)
		*ret = value != 0;
	return r;
}

int bluez_read_address(sd_bus_message *m, struct ble_address *ret)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	if (r <= 0)
		return r;
	return ble_address_parse(text, ret->type, ret) == 0;
}

int bluez_read_address_type(sd_bus_message *m, enum ble_address_type *ret)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	if (r <= 0)
		return r;
	if (strcmp(text, "public") != 0 && strcmp(text, "random") != 0)
		return 0;
	*ret = text[0] == 'r' ? BLE_RANDOM : BLE_PUBLIC;
	return 1;
}
