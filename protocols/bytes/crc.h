/*
 * Checksums, by their names in the CRC RevEng catalogue. "Check" is the value over the nine
 * characters "123456789"; the unit test holds each function to it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* check cbf43926; the CRC of Ethernet, zip and PNG */
uint32_t crc_32_iso_hdlc(const void *data, size_t len);
/* the same in pieces: begin with 0, hand on what came back */
uint32_t crc_32_iso_hdlc_add(uint32_t crc, const void *data, size_t len);
/* check 31c3 */
uint16_t crc_16_xmodem(const void *data, size_t len);
/* the same in pieces: begin with 0, hand on what came back */
uint16_t crc_16_xmodem_add(uint16_t crc, const void *data, size_t len);
/* check 29b1; the catalogue's first name is CRC-16/IBM-3740 */
uint16_t crc_16_ccitt_false(const void *data, size_t len);
/* check 6f91; reflected, as the E2E-CRC of the SIG profiles */
uint16_t crc_16_mcrf4xx(const void *data, size_t len);
