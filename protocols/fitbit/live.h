/*
 * What a Fitbit tracker says of the moment: characteristic 558dfa01-4fa8-4105-9f02-4eaa93e62980,
 * after a login (message.h: c0 50, 51, 52). Little-endian.
 *
 *   0   TIME u32, seconds since 1970, UTC
 *   4   STEPS u32, DISTANCE u32 mm, MET * 10 u16, FLOORS * 10 u16: since local midnight
 *   16  ACTIVE MINUTES u16, HEART RATE u8 (0: none), CONFIDENCE u8: of models with a heart rate
 *
 * Source: the maker has published nothing. Two open clients and their two printed values: length,
 * order and units. That CONFIDENCE is one, and goes from 0 to 3, is inferred.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fitbit_live {
	uint32_t time; /* by the tracker's clock */
	uint32_t steps, distance_mm;
	uint16_t met_tenths, floors_tenths;
	bool has_rate; /* and active minutes: the longer form */
	uint16_t active_minutes;
	uint8_t rate; /* per minute; 0: none was found */
	uint8_t confidence;
};

/* -EMSGSIZE another length than 16 or 20; -ERANGE a time before there were such trackers. */
int fitbit_live_decode(const uint8_t *data, size_t len, struct fitbit_live *ret);

/* What a challenge is answered with. Of models whose cipher nobody has told, nothing is tried. */
enum fitbit_login_cipher {
	FITBIT_LOGIN_UNKNOWN = 0,
	FITBIT_LOGIN_XTEA,
	FITBIT_LOGIN_AES, /* AES-128 */
};
/* product: enum fitbit_product */
enum fitbit_login_cipher fitbit_login_cipher_of(uint8_t product);
