#include "protocols/bytes/crc.h"

#include "protocols/bytes/crc_table.h"

#define CCITT_POLYNOMIAL 0x1021
#define CCITT_REFLECTED  0x8408

static uint32_t word(const uint8_t *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* eight bytes at a time: table k is the effect of a byte that k more bytes follow */
uint32_t crc_32_iso_hdlc_add(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *b = data;

	crc = ~crc;
	for (; len >= 8; len -= 8, b += 8) {
		const uint32_t low = word(b) ^ crc, high = word(b + 4);

		crc = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^
		      crc_table[5][low >> 16 & 0xff] ^ crc_table[4][low >> 24] ^
		      crc_table[3][high & 0xff] ^ crc_table[2][high >> 8 & 0xff] ^
		      crc_table[1][high >> 16 & 0xff] ^ crc_table[0][high >> 24];
	}
	for (; len > 0; len--, b++)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *b) & 0xff];
	return ~crc;
}

uint32_t crc_32_iso_hdlc(const void *data, size_t len)
{
	return crc_32_iso_hdlc_add(0, data, len);
}

static uint16_t ccitt(uint16_t crc, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc = (uint16_t)(crc ^ bytes[i] << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc << 1 ^ (crc & 0x8000 ? CCITT_POLYNOMIAL : 0));
	}
	return crc;
}

uint16_t crc_16_xmodem_add(uint16_t crc, const void *data, size_t len)
{
	return ccitt(crc, data, len);
}

uint16_t crc_16_xmodem(const void *data, size_t len)
{
	return crc_16_xmodem_add(0, data, len);
}

uint16_t crc_16_ccitt_false(const void *data, size_t len)
{
	return ccitt(0xffff, data, len);
}

uint16_t crc_16_mcrf4xx(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint16_t crc = 0xffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc >> 1 ^ (crc & 1 ? CCITT_REFLECTED : 0));
	}
	return crc;
}
