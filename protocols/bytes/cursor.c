#include "protocols/bytes/cursor.h"

uint16_t cursor_le16(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 2);

	if (!b)
		return 0;
	return (uint16_t)(b[0] | b[1] << 8);
}

uint32_t cursor_le24(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 3);

	return b ? b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 : 0;
}

uint32_t cursor_le32(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 4);

	return b ? b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24 : 0;
}

uint64_t cursor_le64(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 8);
	uint64_t v = 0;

	for (unsigned int i = 0; b && i < 8; i++)
		v |= (uint64_t)b[i] << (8 * i);
	return v;
}

uint32_t cursor_be24(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 3);

	return b ? (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2] : 0;
}
