#include "protocols/fitbit/live.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/fitbit/dump.h"

#define SHORT_SIZE 16
#define LONG_SIZE  20

int fitbit_live_decode(const uint8_t *data, size_t len, struct fitbit_live *ret)
{
	struct fitbit_live x = { .has_rate = len == LONG_SIZE };
	struct cursor c = cursor_of(data, len);

	if (len != SHORT_SIZE && len != LONG_SIZE)
		return -EMSGSIZE;
	x.time = cursor_le32(&c);
	x.steps = cursor_le32(&c);
	x.distance_mm = cursor_le32(&c);
	x.met_tenths = cursor_le16(&c);
	x.floors_tenths = cursor_le16(&c);
	if (x.has_rate) {
		x.active_minutes = cursor_le16(&c);
		x.rate = cursor_u8(&c);
		x.confidence = cursor_u8(&c);
	}
	if (x.time < FITBIT_TIME_MIN)
		return -ERANGE;
	*ret = x;
	return 0;
}

enum fitbit_login_cipher fitbit_login_cipher_of(uint8_t product)
{
	switch (product) {
	case FITBIT_ZIP:
	case FITBIT_ONE:
	case FITBIT_FLEX:
	case FITBIT_CHARGE:
	case FITBIT_CHARGE_HR:
		return FITBIT_LOGIN_XTEA;
	case FITBIT_SURGE:
	case FITBIT_ALTA:
	case FITBIT_CHARGE_2:
	case FITBIT_IONIC:
		return FITBIT_LOGIN_AES;
	default:
		return FITBIT_LOGIN_UNKNOWN;
	}
}
