/*
 * The memory of a simulated device: pages that are erased to 0xff, words of 8 bytes of which
 * writing only clears bits. The power can be cut at any erase or word; what was done stays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLASH_WORD 8

struct flash {
	uint8_t *bytes;
	size_t size, page;
	uint64_t operations; /* erases and words, so far */
	uint64_t cut_at;     /* the power goes at this one; 0: never */
	bool dead;           /* no power: nothing is changed any more */
};

void flash_init(struct flash *f, size_t size, size_t page);
void flash_done(struct flash *f);
/* the pages that hold these bytes */
void flash_erase(struct flash *f, size_t at, size_t len);
/* at is a multiple of FLASH_WORD; the rest of the last word stays as it is */
void flash_write(struct flash *f, size_t at, const void *data, size_t len);

/* CRC-32 of Ethernet */
uint32_t sim_crc(const uint8_t *data, size_t len);

/*
 * A boot loader with two banks and two pages of notes: bank 0 runs, bank 1 receives. An update is
 * started by a note; the boot loader then copies bank 1 over bank 0, and does it again from the
 * beginning when the power was cut meanwhile. The newest whole note counts.
 */
#define NOTE_DATA 600

struct note {
	uint32_t sequence;
	uint32_t installed, installed_crc; /* bank 0 */
	uint32_t activate, activate_crc;   /* bytes of bank 1 to be installed; 0: none */
	uint32_t progress, progress_crc;   /* the device's own use: how much of bank 1 is good */
	uint32_t data_len;
	uint8_t data[NOTE_DATA]; /* the device's own use */
	uint32_t crc;            /* of all before */
};

struct banks {
	struct flash *flash;
	size_t bank; /* bytes of each */
	struct note note;
};

size_t banks_flash_size(size_t bank, size_t page);
/* a new device, with this firmware */
void banks_make(struct banks *b, struct flash *f, const uint8_t *firmware, size_t len);
/* the note in the flash; ends an installation that was begun */
void banks_boot(struct banks *b);
void banks_save(struct banks *b);              /* the note */
size_t banks_receiving(const struct banks *b); /* where bank 1 begins */
/* bank 0 is what its note says */
bool banks_bootable(const struct banks *b);
