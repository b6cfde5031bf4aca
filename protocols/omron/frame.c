#include "protocols/omron/frame.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"

static uint8_t xor_of(const uint8_t *data, size_t len)
{
	uint8_t x = 0;

	for (size_t i = 0; i < len; i++)
		x ^= data[i];
	return x;
}

int omron_frame_decode(const uint8_t *data, size_t len, struct omron_frame *ret)
{
	struct cursor c = cursor_of(data, len);
	struct omron_frame f;

	if (len < OMRON_FRAME_MIN || len > OMRON_FRAME_MAX || cursor_u8(&c) != len)
		return -EMSGSIZE;
	if (xor_of(data, len) != 0)
		return -EBADMSG;
	f.command = cursor_be16(&c);
	f.address = cursor_be16(&c);
	f.size = cursor_u8(&c);
	f.len = len - OMRON_FRAME_MIN;
	if (f.len != 0 && f.len != f.size)
		return -EMSGSIZE;
	f.data = cursor_bytes(&c, f.len);
	f.result = cursor_u8(&c);
	*ret = f;
	return 0;
}

int omron_frame_encode(const struct omron_frame *f, struct writer *w)
{
	uint8_t data[OMRON_FRAME_MAX];
	struct writer t = writer_of(data, sizeof(data));

	if (f->len > OMRON_DATA_MAX || (f->len != 0 && f->len != f->size))
		return -ERANGE;
	writer_u8(&t, (uint8_t)(OMRON_FRAME_MIN + f->len));
	writer_be16(&t, f->command);
	writer_be16(&t, f->address);
	writer_u8(&t, f->size);
	if (f->len > 0)
		writer_bytes(&t, f->data, f->len);
	writer_u8(&t, f->result);
	writer_u8(&t, xor_of(data, t.len));
	if (w->failed || w->size - w->len < t.len)
		return -ENOSPC;
	writer_bytes(w, data, t.len);
	return 0;
}
