/*
 * What came over MQTT, read and checked: topic and payload are anybody's. Pure but for the arena.
 *
 *   wellgate/v1/{site}/{hub}[/test]/reading/{group} | goal | correction    and    .../status
 *
 * A message that cannot be read is refused whole. A batch that can be read may hold readings that
 * cannot be stored: arrival_reading_fault() says so of each, and the others are good.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "wellgate.pb-c.h"

#define ARRIVAL_LEVEL_MAX   64
#define ARRIVAL_TOPIC_MAX   256
#define ARRIVAL_PAYLOAD_MAX ((size_t)1024 * 1024)
/* a payload of that size, unpacked */
#define ARRIVAL_ARENA ((size_t)16 * 1024 * 1024)
/* longest text within a message; a sentence for the person is the longest there is */
#define ARRIVAL_TEXT_MAX 1024

enum arrival_kind {
	ARRIVAL_READINGS,
	ARRIVAL_RESULT,
	ARRIVAL_CORRECTION,
	ARRIVAL_STATUS,
};

struct arrival {
	char site[ARRIVAL_LEVEL_MAX + 1], hub[ARRIVAL_LEVEL_MAX + 1];
	bool test;
	enum arrival_kind kind;
	uint64_t epoch;
	/* the one of `kind`; in the arena */
	const Wellgate__V1__ReadingBatch *batch;
	const ProtobufCBinaryData *bytes; /* of each reading of the batch, as they came */
	const Wellgate__V1__GoalResult *result;
	const Wellgate__V1__Correction *correction;
	const Wellgate__V1__HubStatus *status;
};

/* -EBADMSG: not ours, *ret_reason is one short constant text. `a` must live as long as *ret. */
int arrival_read(struct arena *a, const char *topic, const uint8_t *payload, size_t len,
		 struct arrival *ret, const char **ret_reason);
/* NULL, or why this reading cannot be stored. Its sequence may be good all the same. */
const char *arrival_reading_fault(const Wellgate__V1__Reading *reading);
/* The names alone, also where the rest cannot be read. -EBADMSG: the topic is not one of ours. */
int arrival_read_topic(const char *topic, struct arrival *ret);
/* 1 to INT64_MAX - 1: what a database can hold, and count on from */
bool arrival_sequence_is_good(bool has, uint64_t sequence);
