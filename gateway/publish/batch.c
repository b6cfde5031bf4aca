#include "gateway/publish/batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/messages/codes.h"

#define TAG_HUB        0x0a /* field 1, bytes */
#define TAG_EPOCH      0x11 /* field 2, fixed 64 bits */
#define TAG_READING    0x1a /* field 3, bytes */
#define TAG_CODE_TABLE 0x20 /* field 4, varint */
#define TAIL           2
#define SIZE           (BATCH_ROW_MAX + BATCH_BYTES + BATCH_OVERHEAD)

_Static_assert(CODE_TABLE_VERSION < 0x80, "one byte on the wire");

int batch_init(struct batch *b, const char *hub, uint64_t epoch)
{
	size_t len = strlen(hub);
	struct writer w;

	if (len == 0 || len > BATCH_HUB_MAX)
		return -EINVAL;
	uint8_t *data = malloc(SIZE);
	if (!data)
		return -ENOMEM;
	w = writer_of(data, SIZE);
	writer_u8(&w, TAG_HUB);
	writer_u8(&w, (uint8_t)len);
	writer_bytes(&w, hub, len);
	writer_u8(&w, TAG_EPOCH);
	writer_le64(&w, epoch);
	*b = (struct batch){ .data = data, .head = w.len };
	batch_begin(b, 1, BATCH_BYTES);
	return 0;
}

void batch_set_epoch(struct batch *b, uint64_t epoch)
{
	struct writer w = writer_of(b->data + b->head - sizeof(epoch), sizeof(epoch));

	writer_le64(&w, epoch);
}

void batch_finish(struct batch *b)
{
	free(b->data);
	b->data = NULL;
}

void batch_begin(struct batch *b, unsigned int rows, size_t bytes)
{
	b->len = b->head;
	b->rows = rows;
	b->bytes = bytes < BATCH_BYTES ? bytes : BATCH_BYTES;
	b->n = 0;
}

static void put_varint(struct writer *w, size_t v)
{
	for (; v >= 0x80; v >>= 7)
		writer_u8(w, (uint8_t)(v | 0x80));
	writer_u8(w, (uint8_t)v);
}

static size_t varint_size(size_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

bool batch_add(struct batch *b, const struct store_row *row)
{
	size_t size = 1 + varint_size(row->len) + row->len;
	struct writer w;

	assert(row->len <= BATCH_ROW_MAX);
	if (b->n > 0) {
		assert(row->sequence > b->last);
		if (b->n >= b->rows || row->group != b->group || row->test != b->test ||
		    b->len + size + TAIL > b->bytes)
			return false;
	} else {
		b->first = row->sequence;
		b->group = row->group;
		b->test = row->test;
	}
	w = writer_of(b->data + b->len, SIZE - b->len);
	writer_u8(&w, TAG_READING);
	put_varint(&w, row->len);
	writer_bytes(&w, row->payload, row->len);
	assert(writer_ok(&w));
	b->len += w.len;
	b->last = row->sequence;
	b->n++;
	return true;
}

const uint8_t *batch_end(struct batch *b, size_t *ret_len)
{
	if (b->n == 0) {
		*ret_len = 0;
		return b->data;
	}
	b->data[b->len] = TAG_CODE_TABLE;
	b->data[b->len + 1] = CODE_TABLE_VERSION;
	*ret_len = b->len + TAIL;
	return b->data;
}
