#include "gateway/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *protobuf_alloc(void *user, size_t size)
{
	return arena_alloc(user, size);
}

/* what an arena gave goes back with arena_reset() */
static void protobuf_free(void *user, void *p)
{
	(void)user;
	(void)p;
}

int arena_init(struct arena *a, size_t size)
{
	uint8_t *data = malloc(size > 0 ? size : 1);

	if (!data)
		return -ENOMEM;
	*a = (struct arena){ .data = data, .size = size };
	return 0;
}

void arena_finish(struct arena *a)
{
	free(a->data);
	*a = (struct arena){ 0 };
}

void arena_reset(struct arena *a)
{
	a->used = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	size_t padding = (align - a->used % align) % align;
	size_t left = a->size - a->used;
	void *p;

	if (padding > left || size > left - padding)
		return NULL;
	p = a->data + a->used + padding;
	a->used += padding + size;
	return memset(p, 0, size);
}

void *arena_memdup(struct arena *a, const void *data, size_t size)
{
	void *p = arena_alloc(a, size);

	if (p && size > 0)
		(void)memcpy(p, data, size);
	return p;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_memdup(a, text, strlen(text) + 1);
}

/* Set at the call, not in arena_init(): so a copied or moved arena still points to itself. */
ProtobufCAllocator *arena_protobuf(struct arena *a)
{
	a->protobuf = (ProtobufCAllocator){ protobuf_alloc, protobuf_free, a };
	return &a->protobuf;
}
