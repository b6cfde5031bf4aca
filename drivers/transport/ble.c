#include "drivers/transport/ble.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int ble_address_parse(const char *text, enum ble_address_type type, struct ble_address *ret)
{
	struct ble_address a = { .type = type };

	if (strnlen(text, BLE_ADDRESS_TEXT) != BLE_ADDRESS_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(a.bytes); i++) {
		const char *part = text + 3 * i;
		const int high = hex_digit(part[0]), low = hex_digit(part[1]);
		const char separator = i + 1 < sizeof(a.bytes) ? ':' : '\0';

		if (high < 0 || low < 0 || part[2] != separator)
			return -EINVAL;
		a.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret = a;
	return 0;
}

void ble_address_print(const struct ble_address *a, char ret[BLE_ADDRESS_TEXT])
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < sizeof(a->bytes); i++) {
		ret[3 * i] = digits[a->bytes[i] >> 4];
		ret[3 * i + 1] = digits[a->bytes[i] & 0x0f];
		ret[3 * i + 2] = ':';
	}
	ret[BLE_ADDRESS_TEXT - 1] = '\0';
}

bool ble_address_equal(const struct ble_address *a, const struct ble_address *b)
{
	return a->type == b->type && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ble_address_is_resolvable(const struct ble_address *a)
{
	return a->type == BLE_RANDOM && (a->bytes[0] & 0xc0) == 0x40;
}
