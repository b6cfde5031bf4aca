#include "protocols/bytes/writer.h"

#include <assert.h>

/* the low n bytes of v, least significant first */
static void writer_little(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *room = writer_room(w, n);

	for (size_t i = 0; room && i < n; i++)
		room[i] = (uint8_t)(v >> (8 * i));
}

void writer_le16(struct writer *w, uint16_t v)
{
	writer_little(w, v, 2);
}

void writer_le24(struct writer *w, uint32_t v)
{
	assert(v <= 0xffffff);
	writer_little(w, v, 3);
}

void writer_le32(struct writer *w, uint32_t v)
{
	writer_little(w, v, 4);
}

void writer_le64(struct writer *w, uint64_t v)
{
	writer_little(w, v, 8);
}

void writer_be24(struct writer *w, uint32_t v)
{
	uint8_t *room = writer_room(w, 3);

	assert(v <= 0xffffff);
	if (!room)
		return;
	room[0] = (uint8_t)(v >> 16);
	room[1] = (uint8_t)(v >> 8);
	room[2] = (uint8_t)v;
}
