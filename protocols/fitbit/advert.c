#include "protocols/fitbit/advert.h"

#include <errno.h>

#define NOT_SYNCED 4

int fitbit_advert_decode(const uint8_t *data, size_t len, struct fitbit_advert *ret)
{
	if (len < FITBIT_ADVERT_MIN || len > FITBIT_ADVERT_MAX)
		return -EMSGSIZE;
	*ret = (struct fitbit_advert){
		.product = data[0],
		.state = data[1],
		.unsynced = data[1] == NOT_SYNCED,
	};
	return 0;
}
