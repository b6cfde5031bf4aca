#include "protocols/microlife/frame.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define MARK        0x4d
#define OURS        0xff
#define ITS         0x3a
#define YEAR_BASE   2000
#define COUNT_AT    3
#define CUFF_FITTED 0x80U
#define IRREGULAR   0x40U

static uint8_t sum(const uint8_t *data, size_t len)
{
	unsigned int s = 0;

	for (size_t i = 0; i < len; i++)
		s += data[i];
	return (uint8_t)s;
}

int microlife_question_encode(enum microlife_question question, struct writer *w)
{
	static const uint8_t memory[] = { 0, 0, 0, 0, 0, 0, 0xfd };
	const size_t args = question == MICROLIFE_ASK_MEMORY ? sizeof(memory) : 0;
	const size_t start = w->len;

	if (w->failed || w->size - w->len < MICROLIFE_FRAME_HEADER + 1 + args + 1)
		return -ENOSPC;
	writer_u8(w, MARK);
	writer_u8(w, OURS);
	writer_be16(w, (uint16_t)(1 + args + 1));
	writer_u8(w, (uint8_t)question);
	writer_bytes(w, memory, args);
	writer_u8(w, sum(w->data + start, w->len - start));
	return 0;
}

int microlife_frame_length(const uint8_t *data, size_t len, size_t *ret)
{
	struct cursor c = cursor_of(data, len);
	size_t follows;

	if (len < MICROLIFE_FRAME_HEADER)
		return len > 0 && data[0] != MARK ? -EBADMSG : -EAGAIN;
	if (cursor_u8(&c) != MARK || cursor_u8(&c) != ITS)
		return -EBADMSG;
	follows = cursor_be16(&c);
	if (follows < 2 || follows > MICROLIFE_FRAME_MAX - MICROLIFE_FRAME_HEADER)
		return -EMSGSIZE;
	*ret = MICROLIFE_FRAME_HEADER + follows;
	return 0;
}

int microlife_frame_decode(const uint8_t *data, size_t len, const uint8_t **ret_payload,
			   size_t *ret_len)
{
	size_t whole;
	int r = microlife_frame_length(data, len, &whole);

	if (r < 0)
		return r == -EAGAIN ? -EMSGSIZE : r;
	if (len != whole)
		return -EMSGSIZE;
	if (sum(data, len - 1) != data[len - 1])
		return -EBADMSG;
	*ret_payload = data + MICROLIFE_FRAME_HEADER;
	*ret_len = len - MICROLIFE_FRAME_HEADER - 1;
	return 0;
}

int microlife_frame_user(const uint8_t *payload, size_t len, uint8_t *ret)
{
	if (len < 2)
		return -EMSGSIZE;
	if (payload[1] < 1 || payload[1] > MICROLIFE_USERS)
		return -ERANGE;
	*ret = payload[1];
	return 0;
}

int microlife_frame_memory(const uint8_t *payload, size_t len, size_t *ret_count)
{
	if (len < MICROLIFE_FRAME_HEAD)
		return -EMSGSIZE;
	if (len - MICROLIFE_FRAME_HEAD != payload[COUNT_AT] * (size_t)MICROLIFE_FRAME_RECORD)
		return -EBADMSG;
	*ret_count = payload[COUNT_AT];
	return 0;
}

int microlife_frame_record(const uint8_t *payload, size_t i, struct microlife_reading *ret,
			   unsigned int *ret_flags)
{
	struct cursor c = cursor_of(payload + MICROLIFE_FRAME_HEAD + i * MICROLIFE_FRAME_RECORD,
				    MICROLIFE_FRAME_RECORD);
	struct microlife_reading x = { .systolic = cursor_u8(&c) };
	uint8_t flags;

	x.diastolic = cursor_u8(&c);
	x.pulse = cursor_u8(&c);
	x.year = (uint16_t)(YEAR_BASE + cursor_u8(&c));
	x.month = cursor_u8(&c);
	x.day = cursor_u8(&c);
	x.hour = cursor_u8(&c);
	x.minute = cursor_u8(&c);
	flags = cursor_u8(&c);
	if (x.systolic == 0 || x.diastolic == 0 || x.month > 12 || x.day > 31 || x.hour > 23 ||
	    x.minute > 59)
		return -ERANGE;
	*ret = x;
	*ret_flags = (flags & CUFF_FITTED ? 0U : MICROLIFE_FRAME_LOOSE) |
		     (flags & IRREGULAR ? MICROLIFE_FRAME_IRREGULAR : 0U);
	return 0;
}
