/*
 * Strangers that pass by: any number of advertisers that are nothing but their adverts, made up
 * from a number. Each stays for a while, then another one with another address takes its place.
 * Some look like scales or wearables; none can be connected to. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lab/radio/controller.h"

#define CROWD_MAX 20000

struct crowd_passer {
	bool random;
	uint8_t address[6]; /* most significant first */
	uint8_t type;       /* of the report */
	uint8_t data[PEER_ADVERT_MAX];
	size_t len;
	int8_t rssi;
};

/* the same number and generation always give the same passer */
void crowd_make(uint32_t number, uint32_t generation, struct crowd_passer *ret);
/* splitmix64: a well mixed 64-bit number of any other */
uint64_t crowd_mix(uint64_t v);
