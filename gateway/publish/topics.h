/*
 * Topic names and content types. No person in a topic name; site and hub are one level each.
 *
 *   wellgate/v1/{site}/{hub}/reading/{group}, /goal, /correction, /status,
 *   wellgate/v1/{site}/{hub}/test/reading/{group}, /test/goal, /test/correction
 *   wellgate/v1/{site}/{hub}/command, /receipt   to the hub;   /reply   what became of a command
 *   wellgate/v1/schema/{digest}      digest: first 8 bytes of SHA-256 of the descriptor set, in hex
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/messages/codes.h"

#define TOPIC_LEVEL_MAX 64
#define TOPIC_MAX       256
#define TOPIC_DIGEST    17

/* What a message is; decides its content type. */
enum content {
	CONTENT_BATCH,
	CONTENT_RESULT,
	CONTENT_CORRECTION,
	CONTENT_STATUS,
	CONTENT_SCHEMA,
	CONTENT_REPLY,
	CONTENT_END
};

struct topics {
	char reading[2][GROUP_VITALS + 1][TOPIC_MAX]; /* [test][group] */
	char goal[2][TOPIC_MAX];                      /* [test] */
	char correction[2][TOPIC_MAX];
	char status[TOPIC_MAX];
	char command[TOPIC_MAX], receipt[TOPIC_MAX], reply[TOPIC_MAX];
	char schema[TOPIC_MAX];
	char digest[TOPIC_DIGEST];
	char client[2 * TOPIC_LEVEL_MAX + 16]; /* client id: as unique as the topics */
	char content_type[CONTENT_END][128];
};

/* The FileDescriptorSet of wellgate.proto, made by the build. */
extern const unsigned char wellgate_descriptor[];
extern const size_t wellgate_descriptor_len;

/* one level of a topic name: 1 to 64 printable ASCII characters, none of / + # and no $ in front */
bool topic_level_is_good(const char *text);
/* -EINVAL: site or hub is no good topic level */
int topics_init(struct topics *t, const char *site, const char *hub, const void *descriptor,
		size_t len);
