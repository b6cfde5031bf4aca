#include "tests/dfu/flash.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/must.h"

void flash_init(struct flash *f, size_t size, size_t page)
{
	*f = (struct flash){ .size = size, .page = page, .bytes = malloc(size) };
	must(f->bytes);
	memset(f->bytes, 0xff, size);
}

void flash_done(struct flash *f)
{
	free(f->bytes);
	f->bytes = NULL;
}

static bool cut(struct flash *f)
{
	f->operations++;
	if (f->cut_at != 0 && f->operations == f->cut_at)
		f->dead = true;
	return f->dead;
}

void flash_erase(struct flash *f, size_t at, size_t len)
{
	size_t end = at + len;

	for (at -= at % f->page; at < end && !f->dead; at += f->page) {
		/* half of it is gone when the power goes */
		if (cut(f))
			memset(f->bytes + at, 0xff, f->page / 2);
		else
			memset(f->bytes + at, 0xff, f->page);
	}
}

void flash_write(struct flash *f, size_t at, const void *data, size_t len)
{
	const uint8_t *from = data;

	must(at % FLASH_WORD == 0 && at + len <= f->size);
	for (size_t i = 0; i < len; i++) {
		if (i % FLASH_WORD == 0 && (f->dead || cut(f)))
			return;
		f->bytes[at + i] &= from[i];
	}
}

uint32_t sim_crc(const uint8_t *data, size_t len)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc = crc >> 4 ^ nibble[(crc ^ data[i]) & 15];
		crc = crc >> 4 ^ nibble[(crc ^ (uint32_t)data[i] >> 4) & 15];
	}
	return ~crc;
}

/* ---- two banks ---- */

static size_t note_pages(size_t page)
{
	return (sizeof(struct note) + page - 1) / page * page;
}

size_t banks_flash_size(size_t bank, size_t page)
{
	return 2 * bank + 2 * note_pages(page);
}

size_t banks_receiving(const struct banks *b)
{
	return b->bank;
}

static size_t note_at(const struct banks *b, uint32_t sequence)
{
	return 2 * b->bank + (sequence % 2) * note_pages(b->flash->page);
}

static uint32_t note_crc(const struct note *n)
{
	return sim_crc((const uint8_t *)n, offsetof(struct note, crc));
}

void banks_save(struct banks *b)
{
	size_t at;

	b->note.sequence++;
	b->note.crc = note_crc(&b->note);
	at = note_at(b, b->note.sequence);
	flash_erase(b->flash, at, sizeof(b->note));
	flash_write(b->flash, at, &b->note, sizeof(b->note));
}

static void load(struct banks *b)
{
	struct note n;

	memset(&b->note, 0, sizeof(b->note));
	for (uint32_t i = 0; i < 2; i++) {
		memcpy(&n, b->flash->bytes + note_at(b, i), sizeof(n));
		if (n.crc == note_crc(&n) && n.sequence > b->note.sequence)
			b->note = n;
	}
	must(b->note.sequence != 0); /* one of the two is always whole */
}

void banks_make(struct banks *b, struct flash *f, const uint8_t *firmware, size_t len)
{
	b->flash = f;
	b->bank = (f->size - 2 * note_pages(f->page)) / 2;
	memset(&b->note, 0, sizeof(b->note));
	flash_write(f, 0, firmware, len);
	b->note.installed = (uint32_t)len;
	b->note.installed_crc = sim_crc(firmware, len);
	banks_save(b);
	f->operations = 0;
}

void banks_boot(struct banks *b)
{
	struct flash *f = b->flash;
	struct note *n = &b->note;

	load(b);
	if (n->activate == 0)
		return;
	if (sim_crc(f->bytes + b->bank, n->activate) == n->activate_crc) {
		flash_erase(f, 0, b->bank);
		flash_write(f, 0, f->bytes + b->bank, n->activate);
		n->installed = n->activate;
		n->installed_crc = n->activate_crc;
	}
	n->activate = 0;
	n->progress = 0;
	n->data_len = 0;
	if (!f->dead)
		banks_save(b);
}

bool banks_bootable(const struct banks *b)
{
	return b->note.installed != 0 &&
	       sim_crc(b->flash->bytes, b->note.installed) == b->note.installed_crc;
}
