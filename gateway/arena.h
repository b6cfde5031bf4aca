/*
 * A bump allocator for one message's life. arena_protobuf() lets protobuf-c unpack into it, so a
 * message costs no malloc and no free path. Reset, do not free, what came from it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct arena {
	uint8_t *data;
	size_t size, used;
	ProtobufCAllocator protobuf;
};

int arena_init(struct arena *a, size_t size); /* -ENOMEM */
void arena_finish(struct arena *a);
void arena_reset(struct arena *a);
/* zeroed and aligned for anything; NULL when full */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *text);
void *arena_memdup(struct arena *a, const void *data, size_t size);
ProtobufCAllocator *arena_protobuf(struct arena *a);
