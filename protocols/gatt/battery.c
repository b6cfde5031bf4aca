#include "protocols/gatt/battery.h"

#include <errno.h>

#include "protocols/gatt/field.h"

#define LEVEL_MAX 100

int gatt_battery_decode(const uint8_t *data, size_t len, struct gatt_battery *ret)
{
	if (len != 1)
		return -EMSGSIZE;
	if (data[0] > LEVEL_MAX)
		return -ERANGE;
	ret->level = number_of(data[0], 0);
	return 0;
}

int gatt_battery_encode(const struct gatt_battery *x, struct writer *w)
{
	struct writer start = *w;
	int64_t level;
	int r = field_integer(x->level, 0, 0, LEVEL_MAX, &level);

	if (r < 0)
		return r;
	writer_u8(w, (uint8_t)level);
	return field_close(w, &start, 0);
}
