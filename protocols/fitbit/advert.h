/*
 * What a Fitbit tracker broadcasts: service data of 180a.
 *
 *   PRODUCT u8, STATE u8 [, bytes that nobody understands]
 *
 * STATE 4: it was not synced lately. There is no age in it, and a tracker that gets no answer from
 * the maker's server may stay in that state, so nothing can be left out for want of it. It says
 * nothing of whose tracker it is, and others use 180a as well: to be believed only of one that
 * offers service adabfb00, and to be remembered only of one that is allowed.
 *
 * Source: one open client's tables, adverts of a One, a Flex, a Surge and a Charge 2 in public
 * descriptions (2 to 5 bytes). Other values of STATE (6 was seen): taken as synced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FITBIT_ADVERT_SERVICE 0x180a
#define FITBIT_ADVERT_MIN     2
#define FITBIT_ADVERT_MAX     6 /* what the base station has room for */

struct fitbit_advert {
	uint8_t product; /* enum fitbit_product, or one that is not in the list */
	uint8_t state;
	bool unsynced;
};

/* data: the service data behind its UUID. -EMSGSIZE */
int fitbit_advert_decode(const uint8_t *data, size_t len, struct fitbit_advert *ret);
