/*
 * Resolvable private addresses, and the one block of AES that they and the command LE Encrypt need.
 * Source: Bluetooth Core 5.4, vol 6 part B 1.3.2.2, vol 3 part H 2.2.1 (e) and 2.2.2 (ah).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* e(key, plain): all three least significant byte first, as in HCI. 0 or -EIO. */
int rpa_encrypt(const uint8_t key[16], const uint8_t plain[16], uint8_t ret[16]);
/* ah(irk, prand): irk least significant first, prand and the hash most significant first */
int rpa_hash(const uint8_t irk[16], const uint8_t prand[3], uint8_t ret[3]);
/* An address out of any 24 bits of chance, most significant first; its two top bits are set. */
int rpa_make(const uint8_t irk[16], uint32_t chance, uint8_t ret[6]);
