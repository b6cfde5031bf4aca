/*
 * Init packets: what goes to a Nordic bootloader before the firmware, and says whom it is for.
 *
 * Legacy (Nordic nRF5 SDK, "DFU init packet"), little endian:
 *     device type u16 | revision u16 | version u32 | n u16 | softdevice u16 * n | CRC u16
 * The CRC is CRC-16/CCITT-FALSE of the firmware; nothing is signed.
 *
 * Secure (nRF5 SDK "Secure DFU", dfu-cc.proto): protobuf, Packet { command 1, signed_command 2 };
 * the hash and both halves of the signature are in reverse order of bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NORDIC_SOFTDEVICES_MAX 12

enum nordic_type {
	NORDIC_APPLICATION = 0,
	NORDIC_SOFTDEVICE = 1,
	NORDIC_BOOTLOADER = 2,
	NORDIC_SOFTDEVICE_BOOTLOADER = 3,
};

struct nordic_init {
	bool is_secure;
	uint16_t device_type, device_revision; /* legacy */
	uint16_t crc;                          /* legacy */
	bool has_hardware, has_type, is_debug, has_hash;
	uint32_t hardware, version;
	uint32_t type; /* enum nordic_type, or what is new */
	uint32_t softdevices[NORDIC_SOFTDEVICES_MAX];
	size_t n_softdevices;
	uint32_t softdevice_size, bootloader_size, application_size;
	uint32_t hash_type;
	uint8_t hash[32];       /* big endian, as people write it */
	const uint8_t *command; /* secure: what is signed; borrowed */
	size_t command_len;
	bool is_signed;
	uint32_t signature_type; /* 0: ECDSA P-256 with SHA-256 */
	uint8_t signature[64];   /* r and s, big endian */
};

/* 0; -EBADMSG: none of both kinds, or one that this does not know */
int nordic_read_init(const uint8_t *data, size_t len, struct nordic_init *ret);
