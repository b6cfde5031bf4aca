#include "protocols/bytes/crc.h"

#define ISO_HDLC_POLYNOMIAL UINT32_C(0xedb88320) /* 04c11db7, reflected */
#define CCITT_POLYNOMIAL    0x1021
#define CCITT_REFLECTED     0x8408

/* Half-byte tables: small enough to write down in code, and not the bottleneck anywhere. */
static uint32_t reflected_nibble(uint32_t value, uint32_t polynomial)
{
	for (int bit = 0; bit < 4; bit++)
		value = (value >> 1) ^ (value & 1 ? polynomial : 0);
	return value;
}

uint32_t crc_32_iso_hdlc_add(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t table[16];

	for (uint32_t i = 0; i < 16; i++)
		table[i] = reflected_nibble(i, ISO_HDLC_POLYNOMIAL);
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
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

uint16_t crc_16_xmodem(const void *data, size_t len)
{
	return ccitt(0, data, len);
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
