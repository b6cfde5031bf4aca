/*
 * A boot loader of Nordic's Secure DFU, two banks: the nRF5 SDK 15's service. Objects are executed
 * one by one, and what was executed is noted, so it survives a power cut; what was not is lost. A
 * good init packet begins with 5a; then comes the image's CRC-32, in place of its SHA-256.
 */
#include <string.h>

#include "tests/dfu/sim.h"

#define OBJECT_MAX 4096
#define SIGNED     0x12 /* how a signed init packet of nrfutil begins */

static uint32_t object_max(const struct sim *s)
{
	return s->o.object != 0 ? s->o.object : OBJECT_MAX;
}

void sim_secure_boot(struct sim *s)
{
	struct sim_nordic *n = &s->of.nordic;
	struct note *note = &s->banks.note;
	bool entering = n->entering;

	banks_boot(&s->banks);
	memset(n, 0, sizeof(*n));
	s->mode = entering || !banks_bootable(&s->banks) ? DFU_MODE_UPDATE : DFU_MODE_APPLICATION;
	if (note->data_len == 0)
		return;
	memcpy(n->init, note->data, note->data_len);
	n->init_len = note->data_len;
	n->init_valid = true;
	n->received = note->progress;
	/* an update that was begun goes on */
	s->mode = DFU_MODE_UPDATE;
}

static void respond(struct sim *s, uint8_t op, uint8_t result, const uint8_t *more, size_t len)
{
	uint8_t answer[64] = { 0x60, op, result };

	if (len != 0)
		memcpy(answer + 3, more, len);
	sim_say(s, DFU_CAME, DFU_POINT, answer, 3 + len, 0);
}

static void extended(struct sim *s, uint8_t code)
{
	respond(s, 4, 0x0b, &code, 1);
}

/* bytes of the image so far, of executed objects and the one at hand */
static size_t image_offset(const struct sim_nordic *n)
{
	return n->received + n->buffered;
}

static uint32_t image_crc(const struct sim *s)
{
	/* what is in the buffer is in the flash as well */
	return sim_crc(s->flash.bytes + banks_receiving(&s->banks), image_offset(&s->of.nordic));
}

static void where(const struct sim *s, uint8_t type, uint8_t *to)
{
	const struct sim_nordic *n = &s->of.nordic;
	bool command = type == 1;
	uint32_t offset = (uint32_t)(command ? n->init_len : image_offset(n));

	sim_put32(to, offset);
	sim_put32(to + 4, command ? sim_crc(n->init, n->init_len) : image_crc(s));
}

static void select_object(struct sim *s, uint8_t type)
{
	struct sim_nordic *n = &s->of.nordic;
	uint8_t more[12];

	if (type != 1 && type != 2) {
		respond(s, 6, 0x07, NULL, 0);
		return;
	}
	n->object_type = type;
	sim_put32(more, type == 1 ? 512 : object_max(s));
	where(s, type, more + 4);
	respond(s, 6, 1, more, sizeof(more));
}

static void create(struct sim *s, const uint8_t *data)
{
	struct sim_nordic *n = &s->of.nordic;
	uint8_t type = data[1];
	uint32_t size = sim_get32(data + 2);
	bool command = type == 1;

	if ((type != 1 && type != 2) || size == 0 || size > (command ? 512 : object_max(s))) {
		respond(s, 1, 0x03, NULL, 0);
		return;
	}
	if (!command && !n->init_valid) {
		respond(s, 1, 0x08, NULL, 0);
		return;
	}
	if (!command && n->received + size > s->banks.bank) {
		respond(s, 1, 0x04, NULL, 0);
		return;
	}
	n->object_type = type;
	n->object_size = size;
	n->buffered = 0;
	if (command) {
		n->init_len = 0;
		n->init_valid = false;
		n->received = 0;
	} else {
		flash_erase(&s->flash, banks_receiving(&s->banks) + n->received, size);
	}
	respond(s, 1, 1, NULL, 0);
}

static void packet(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_nordic *n = &s->of.nordic;
	uint8_t copy[1024], receipt[8];

	if ((n->object_type == 1 ? n->init_len : n->buffered) + len > n->object_size ||
	    len > sizeof(copy))
		return;
	if (n->object_type == 1) {
		memcpy(n->init + n->init_len, data, len);
		n->init_len += len;
	} else {
		data = sim_corrupt(s, data, len, copy);
		memset(n->buffer, 0xff, 2048);
		memcpy(n->buffer + n->buffered % FLASH_WORD, data, len);
		flash_write(&s->flash,
			    banks_receiving(&s->banks) + n->received +
				    n->buffered / FLASH_WORD * FLASH_WORD,
			    n->buffer, n->buffered % FLASH_WORD + len);
		n->buffered += len;
	}
	if (n->receipts != 0 && ++n->counted == n->receipts) {
		n->counted = 0;
		where(s, n->object_type, receipt);
		respond(s, 3, 1, receipt, sizeof(receipt));
	}
}

static void execute_init(struct sim *s)
{
	struct sim_nordic *n = &s->of.nordic;

	if (n->init_len < 5) {
		respond(s, 4, 0x08, NULL, 0);
	} else if (n->init[0] != (s->o.real_init ? SIGNED : 0x5a)) {
		extended(s, 0x0c);
	} else if (s->o.other_hardware) {
		extended(s, 0x06);
	} else {
		if (!n->init_valid) {
			n->init_valid = true;
			memcpy(s->banks.note.data, n->init, n->init_len);
			s->banks.note.data_len = (uint32_t)n->init_len;
			s->banks.note.progress = 0;
			banks_save(&s->banks);
		}
		respond(s, 4, 1, NULL, 0);
	}
}

static void finish(struct sim *s)
{
	struct sim_nordic *n = &s->of.nordic;

	if (image_crc(s) != sim_wanted(s, n->init + 1)) {
		s->banks.note.progress = 0;
		n->received = 0;
		extended(s, 0x0a);
		return;
	}
	s->banks.note.activate = (uint32_t)n->received;
	s->banks.note.activate_crc = image_crc(s);
	s->banks.note.data_len = 0;
	if (s->o.reverts)
		s->banks.note.activate = 0;
	banks_save(&s->banks);
	respond(s, 4, 1, NULL, 0);
	sim_restart(s);
}

static void execute(struct sim *s)
{
	struct sim_nordic *n = &s->of.nordic;

	if (n->object_type == 1) {
		execute_init(s);
		return;
	}
	if (n->buffered == 0 || n->buffered != n->object_size) {
		/* the whole image was received before a power cut: it is checked now */
		if (n->received == s->new_len && n->init_valid)
			finish(s);
		else
			respond(s, 4, 0x08, NULL, 0);
		return;
	}
	if (s->o.bad_write) {
		respond(s, 4, 0x0a, NULL, 0);
		return;
	}
	n->received += n->buffered;
	n->buffered = 0;
	s->banks.note.progress = (uint32_t)n->received;
	banks_save(&s->banks);
	if (n->received == s->new_len)
		finish(s);
	else
		respond(s, 4, 1, NULL, 0);
}

static void versions(struct sim *s, uint8_t image)
{
	uint8_t more[13] = { 1 };

	if (!s->o.knows_version) {
		respond(s, 0x0b, 0x02, NULL, 0);
		return;
	}
	more[0] = image;
	sim_put32(more + 1, s->o.version);
	sim_put32(more + 9, s->banks.note.installed);
	respond(s, 0x0b, 1, more, sizeof(more));
}

static void point(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_nordic *n = &s->of.nordic;
	uint8_t more[8];

	sim_say(s, DFU_WRITTEN, DFU_POINT, NULL, 0, 0);
	if (data[0] == 1 && len == 6) {
		create(s, data);
	} else if (data[0] == 2 && len == 3) {
		n->receipts = (uint32_t)(data[1] | data[2] << 8);
		n->counted = 0;
		respond(s, 2, 1, NULL, 0);
	} else if (data[0] == 3 && len == 1) {
		where(s, n->object_type, more);
		respond(s, 3, 1, more, sizeof(more));
	} else if (data[0] == 4 && len == 1) {
		execute(s);
	} else if (data[0] == 6 && len == 2) {
		select_object(s, data[1]);
	} else if (data[0] == 0x0b && len == 2) {
		versions(s, data[1]);
	} else {
		respond(s, data[0], 0x02, NULL, 0);
	}
}

void sim_secure_take(struct sim *s, const struct dfu_request *r)
{
	static const uint8_t entering[3] = { 0x20, 1, 1 };

	if (r->channel == DFU_BUTTONLESS) {
		if (s->mode != DFU_MODE_APPLICATION || r->len != 1 || r->data[0] != 1)
			return;
		sim_say(s, DFU_WRITTEN, DFU_BUTTONLESS, NULL, 0, 0);
		sim_say(s, DFU_CAME, DFU_BUTTONLESS, entering, sizeof(entering), 0);
		s->of.nordic.entering = true;
		sim_restart(s);
	} else if (s->mode == DFU_MODE_UPDATE && r->channel == DFU_PACKET) {
		packet(s, r->data, r->len);
	} else if (s->mode == DFU_MODE_UPDATE && r->channel == DFU_POINT && r->len != 0) {
		point(s, r->data, r->len);
	}
}
