#include "protocols/bytes/zip.h"

#include <errno.h>

#define END_MAGIC   UINT32_C(0x06054b50)
#define ENTRY_MAGIC UINT32_C(0x02014b50)
#define LOCAL_BYTES 30

/* a comment that reaches to the very end: others could be a second reading */
static bool is_end(struct cursor c)
{
	if (cursor_le32(&c) != END_MAGIC)
		return false;
	cursor_skip(&c, ZIP_END_BYTES - 6);
	return cursor_le16(&c) == cursor_left(&c) && cursor_ok(&c);
}

static int read_end(struct cursor c, uint64_t size, struct zip_list *ret)
{
	struct zip_list list;
	uint16_t here;

	cursor_skip(&c, 8);
	here = cursor_le16(&c);
	list.n = cursor_le16(&c);
	list.len = cursor_le32(&c);
	list.at = cursor_le32(&c);
	if (list.n == UINT16_MAX || list.len == UINT32_MAX || list.at == UINT32_MAX)
		return -EFBIG;
	if ((uint64_t)list.at + list.len > size || here != list.n)
		return -ENOMSG;
	*ret = list;
	return 0;
}

int zip_find_list(const uint8_t *tail, size_t tail_len, uint64_t size, struct zip_list *ret)
{
	for (size_t len = ZIP_END_BYTES; len <= tail_len; len++) {
		const struct cursor c = cursor_of(tail + tail_len - len, len);

		if (is_end(c))
			return read_end(c, size, ret);
	}
	return -ENOMSG;
}

int zip_next_range(struct cursor *list, struct zip_range *ret)
{
	uint32_t magic, packed, unpacked, at;
	uint16_t name, extra, comment;

	magic = cursor_le32(list);
	cursor_skip(list, 16);
	packed = cursor_le32(list);
	unpacked = cursor_le32(list);
	name = cursor_le16(list);
	extra = cursor_le16(list);
	comment = cursor_le16(list);
	cursor_skip(list, 8);
	at = cursor_le32(list);
	cursor_skip(list, (size_t)name + extra + comment);
	if (!cursor_ok(list) || magic != ENTRY_MAGIC)
		return -ENOMSG;
	if (packed == UINT32_MAX || unpacked == UINT32_MAX || at == UINT32_MAX)
		return -EFBIG;
	ret->start = at;
	ret->end = (int64_t)at + LOCAL_BYTES + name + packed;
	return 0;
}
