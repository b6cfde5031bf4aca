/*
 * A boot loader of Nordic's first DFU, two banks: the control point and the packets of the nRF5 SDK
 * 11. It gives up and starts the application when its link ends. Its init packet: 10 bytes, then
 * the checksum of the image (CRC-16), of which CRC-32 is the stand-in here, and a length.
 */
#include <string.h>

#include "tests/dfu/sim.h"

enum {
	WAITS,
	SIZES,
	ERASED,
	INIT,
	INIT_DONE,
	RECEIVES,
	RECEIVED,
	VALID
};

void sim_legacy_boot(struct sim *s)
{
	bool entering = s->of.nordic.entering;

	banks_boot(&s->banks);
	memset(&s->of.nordic, 0, sizeof(s->of.nordic));
	s->mode = entering || !banks_bootable(&s->banks) ? DFU_MODE_UPDATE : DFU_MODE_APPLICATION;
	s->linked = false;
}

static void respond(struct sim *s, uint8_t op, uint8_t status, int64_t delay)
{
	uint8_t answer[3] = { 0x10, op, status };

	sim_say(s, DFU_CAME, DFU_POINT, answer, sizeof(answer), delay);
}

static void sizes(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_nordic *n = &s->of.nordic;
	size_t bank = s->banks.bank;

	if (len != 12) {
		respond(s, 1, 6, 0);
		return;
	}
	for (size_t i = 0; i < 3; i++)
		n->sizes[i] = sim_get32(data + 4 * i);
	if (n->sizes[2] > bank) {
		respond(s, 1, 4, 0);
		return;
	}
	if (s->o.bad_erase) {
		respond(s, 1, 6, 0);
		return;
	}
	flash_erase(&s->flash, banks_receiving(&s->banks), bank);
	n->state = ERASED;
	respond(s, 1, 1, s->o.erase_us * (int64_t)(bank / s->o.page));
}

static void image(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_nordic *n = &s->of.nordic;
	uint8_t copy[1024], receipt[5] = { 0x11 };

	if (n->received + len > n->sizes[2] || len > sizeof(copy) || s->o.bad_write) {
		respond(s, 3, s->o.bad_write ? 6 : 4, 0);
		return;
	}
	data = sim_corrupt(s, data, len, copy);
	/* words that are written in two parts: the bits that are not yet known stay erased */
	memset(n->buffer, 0xff, 2048);
	memcpy(n->buffer + n->received % FLASH_WORD, data, len);
	flash_write(&s->flash, banks_receiving(&s->banks) + n->received / FLASH_WORD * FLASH_WORD,
		    n->buffer, n->received % FLASH_WORD + len);
	n->received += len;
	if (n->receipts != 0 && ++n->counted == n->receipts) {
		n->counted = 0;
		sim_put32(receipt + 1, (uint32_t)n->received);
		sim_say(s, DFU_CAME, DFU_POINT, receipt, sizeof(receipt), 0);
	}
	if (n->received == n->sizes[2]) {
		n->state = RECEIVED;
		respond(s, 3, 1, 0);
	}
}

static void packet(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_nordic *n = &s->of.nordic;

	if (n->state == SIZES) {
		sizes(s, data, len);
	} else if (n->state == INIT) {
		if (n->init_len + len <= sizeof(n->init)) {
			memcpy(n->init + n->init_len, data, len);
			n->init_len += len;
		}
	} else if (n->state == RECEIVES) {
		image(s, data, len);
	} else {
		respond(s, 3, 2, 0);
	}
}

static void init(struct sim *s, uint8_t part)
{
	struct sim_nordic *n = &s->of.nordic;

	if (part == 0 && n->state == ERASED) {
		n->state = INIT;
	} else if (part == 1 && n->state == INIT) {
		if (s->o.other_hardware ||
		    (s->o.real_init ? n->init_len < 12 : n->init_len != 14)) {
			respond(s, 2, 6, 0);
			return;
		}
		n->state = INIT_DONE;
		respond(s, 2, 1, 0);
	} else {
		respond(s, 2, 2, 0);
	}
}

static void validate(struct sim *s)
{
	struct sim_nordic *n = &s->of.nordic;
	const uint8_t *got = s->flash.bytes + banks_receiving(&s->banks);

	if (n->state != RECEIVED) {
		respond(s, 4, 2, 0);
		return;
	}
	if (sim_crc(got, n->received) != sim_wanted(s, n->init + 10)) {
		respond(s, 4, 5, 0);
		return;
	}
	n->state = VALID;
	respond(s, 4, 1, 0);
}

static void activate(struct sim *s)
{
	struct sim_nordic *n = &s->of.nordic;

	if (n->state != VALID) {
		respond(s, 5, 2, 0);
		return;
	}
	if (!s->o.reverts) {
		s->banks.note.activate = (uint32_t)n->received;
		s->banks.note.activate_crc = sim_wanted(s, n->init + 10);
		banks_save(&s->banks);
	}
	sim_restart(s);
}

static void point(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_nordic *n = &s->of.nordic;

	sim_say(s, DFU_WRITTEN, DFU_POINT, NULL, 0, 0);
	if (s->mode == DFU_MODE_APPLICATION) {
		n->entering = len == 2 && data[0] == 1;
		if (n->entering)
			sim_restart(s);
		return;
	}
	if (data[0] == 1 && len == 2) {
		if (n->state == WAITS)
			n->state = SIZES;
		else
			respond(s, 1, 2, 0);
	} else if (data[0] == 2 && len == 2) {
		init(s, data[1]);
	} else if (data[0] == 3 && n->state == INIT_DONE) {
		n->state = RECEIVES;
	} else if (data[0] == 4) {
		validate(s);
	} else if (data[0] == 5) {
		activate(s);
	} else if (data[0] == 6) {
		sim_restart(s);
	} else if (data[0] == 8 && len == 3) {
		n->receipts = (uint32_t)(data[1] | data[2] << 8);
	} else {
		respond(s, data[0], 2, 0);
	}
}

void sim_legacy_take(struct sim *s, const struct dfu_request *r)
{
	if (r->channel == DFU_PACKET && s->mode == DFU_MODE_UPDATE)
		packet(s, r->data, r->len);
	else if (r->channel == DFU_POINT && r->len != 0)
		point(s, r->data, r->len);
}
