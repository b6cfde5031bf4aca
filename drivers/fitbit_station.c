#include "drivers/fitbit_station.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocols/fitbit/advert.h"

#define FRAME_MAX    32
#define HEADER       2
#define FOUND_SIZE   17
#define INFO_SIZE    19 /* or one more, of later firmware */
#define SERVICE_DATA FITBIT_ADVERT_MAX

int fitbit_station_frame(const uint8_t *data, size_t len, const uint8_t **ret_payload,
			 size_t *ret_len)
{
	if (len < HEADER || data[0] < HEADER || data[0] > len || data[0] > FRAME_MAX)
		return -EMSGSIZE;
	*ret_payload = data + HEADER;
	*ret_len = data[0] - (size_t)HEADER;
	return data[1];
}

int fitbit_found_decode(const uint8_t *payload, size_t len, struct fitbit_found *ret)
{
	struct fitbit_advert advert = { 0 };
	bool has_product;

	if (len != FOUND_SIZE)
		return -EMSGSIZE;
	if (payload[8] > SERVICE_DATA)
		return -ERANGE;
	has_product = fitbit_advert_decode(payload + 9, payload[8], &advert) == 0;
	*ret = (struct fitbit_found){
		.address_type = payload[6],
		.rssi = (int8_t)payload[7],
		.has_product = has_product,
		.product = advert.product,
		.unsynced = advert.unsynced,
		.service = (uint16_t)(payload[15] | payload[16] << 8),
	};
	memcpy(ret->id, payload, FITBIT_ID_SIZE);
	return 0;
}

int fitbit_station_decode(const uint8_t *payload, size_t len, char ret[FITBIT_STATION_TEXT])
{
	if (len != INFO_SIZE && len != INFO_SIZE + 1)
		return -EMSGSIZE;
	for (size_t i = 0; i < FITBIT_ID_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", payload[2 + i]);
	return 0;
}

void fitbit_allow(const uint8_t id[FITBIT_ID_SIZE], uint8_t ret[FITBIT_ALLOWED_SIZE])
{
	ret[0] = FITBIT_ALLOWED_VERSION;
	memcpy(ret + 1, id, FITBIT_ID_SIZE);
}
