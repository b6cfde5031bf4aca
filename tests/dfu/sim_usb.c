/*
 * A device of USB DFU 1.1: two banks, and a check of what it got before it is installed. And one of
 * DfuSe, as the boot loaders in ROM are: one bank at 0x08000000, no check; it starts whatever is
 * there if the first word is not erased, unless its button is held.
 */
#include <string.h>

#include "tests/dfu/sim.h"

enum {
	APP_IDLE,
	APP_DETACH,
	DFU_IDLE,
	DNLOAD_SYNC,
	DNBUSY,
	DNLOAD_IDLE,
	MANIFEST_SYNC,
	MANIFEST,
	WAIT_RESET,
	UPLOAD_IDLE,
	ERROR
};

enum {
	ERR_TARGET = 1,
	ERR_WRITE = 3,
	ERR_ERASE = 4,
	ERR_ADDRESS = 8,
	ERR_FIRMWARE = 10,
	ERR_STALLED = 15
};

#define BASE 0x08000000u

static bool is_dfuse(const struct sim *s)
{
	return s->o.kind == SIM_USB_DFUSE;
}

static bool empty_word(const struct sim *s)
{
	static const uint8_t erased[FLASH_WORD] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};

	return memcmp(s->flash.bytes, erased, sizeof(erased)) == 0;
}

enum sim_runs sim_dfuse_runs(const struct sim *s)
{
	if (empty_word(s))
		return SIM_WAITS;
	if (s->new_len <= s->o.bank && memcmp(s->flash.bytes, s->new_image, s->new_len) == 0)
		return SIM_NEW;
	return memcmp(s->flash.bytes, s->old_image, s->old_len) == 0 ? SIM_OLD : SIM_MIXTURE;
}

static void start(struct sim *s, enum dfu_mode mode)
{
	bool button = s->of.usb.button;

	memset(&s->of.usb, 0, sizeof(s->of.usb));
	s->of.usb.button = button;
	s->of.usb.pointer = BASE;
	s->mode = mode;
	s->of.usb.state = mode == DFU_MODE_UPDATE ? DFU_IDLE : APP_IDLE;
}

void sim_usb_boot(struct sim *s)
{
	bool app;

	if (is_dfuse(s)) {
		app = !s->of.usb.button && !empty_word(s);
	} else {
		banks_boot(&s->banks);
		app = banks_bootable(&s->banks);
	}
	start(s, app ? DFU_MODE_APPLICATION : DFU_MODE_UPDATE);
}

void sim_usb_link(struct sim *s, struct dfu_usb_facts *f)
{
	bool updated = sim_runs(s) == SIM_NEW;

	*f = (struct dfu_usb_facts){
		.vid = 0x1209,
		.pid = s->o.other_hardware ? 0x0002 : 0x0001,
		.device = (uint16_t)(s->o.version + (updated ? 1 : 0)),
		.attributes = s->o.attributes,
		.detach_ms = 1000,
		.transfer = s->o.transfer,
		.dfu = is_dfuse(s) ? 0x011a : 0x0110,
		.mode = s->mode,
	};
	if (!is_dfuse(s))
		return;
	f->layout.n = 1;
	f->layout.region[0] = (struct dfuse_region){
		.address = BASE,
		.page = (uint32_t)s->o.page,
		.pages = (uint32_t)(s->o.bank / s->o.page),
		.readable = true,
		.erasable = true,
		.writable = true,
	};
}

void sim_usb_unlink(struct sim *s, bool reset)
{
	struct sim_usb *u = &s->of.usb;

	if (!reset)
		return;
	if (u->state == APP_DETACH)
		start(s, DFU_MODE_UPDATE);
	else if (s->mode == DFU_MODE_UPDATE)
		sim_power_on(s);
}

static void fail(struct sim *s, uint8_t status)
{
	s->of.usb.state = ERROR;
	s->of.usb.status = status;
}

static void stall(struct sim *s)
{
	fail(s, ERR_STALLED);
	sim_say(s, DFU_DENIED, DFU_CONTROL, NULL, 0, 0);
}

static void done(struct sim *s)
{
	sim_say(s, DFU_WRITTEN, DFU_CONTROL, NULL, 0, 0);
}

static void erase(struct sim *s, size_t at, size_t len)
{
	size_t pages = (len + s->o.page - 1) / s->o.page;

	flash_erase(&s->flash, at, len);
	s->of.usb.busy_until = s->now + (int64_t)pages * s->o.erase_us;
}

/* DFU 1.1: blocks follow each other into bank 1 */
static void store(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;
	size_t at = banks_receiving(&s->banks);

	if (u->block_number == 0 && u->received == 0) {
		if (s->o.bad_erase) {
			fail(s, ERR_ERASE);
			return;
		}
		erase(s, at, s->banks.bank);
	}
	if (u->received + u->block_len > s->banks.bank) {
		fail(s, ERR_ADDRESS);
		return;
	}
	if (s->o.bad_write) {
		fail(s, ERR_WRITE);
		return;
	}
	flash_write(&s->flash, at + u->received, u->block, u->block_len);
	u->received += u->block_len;
}

static void dfuse_command(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;
	uint32_t address = u->block_len == 5 ? sim_get32(u->block + 1) : 0;
	bool inside = address >= BASE && address - BASE < s->o.bank;

	if (u->block_len != 5 || (u->block[0] != 0x21 && u->block[0] != 0x41))
		fail(s, ERR_STALLED);
	else if (!inside)
		fail(s, ERR_ADDRESS);
	else if (u->block[0] == 0x21)
		u->pointer = address;
	else if (s->o.bad_erase)
		fail(s, ERR_ERASE);
	else
		erase(s, (address - BASE) / s->o.page * s->o.page, 1);
}

static void dfuse_store(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;
	uint64_t at;

	if (u->block_number == 0) {
		dfuse_command(s);
		return;
	}
	at = (uint64_t)u->pointer - BASE + (uint64_t)(u->block_number - 2u) * s->o.transfer;
	if (u->block_number == 1 || at + u->block_len > s->o.bank || at % FLASH_WORD != 0)
		fail(s, ERR_ADDRESS);
	else if (s->o.bad_write)
		fail(s, ERR_WRITE);
	else
		flash_write(&s->flash, (size_t)at, u->block, u->block_len);
}

static void dnload(struct sim *s, const struct dfu_request *r)
{
	struct sim_usb *u = &s->of.usb;
	uint8_t copy[DFU_CONTROL_MAX];
	const uint8_t *data;

	if ((u->state != DFU_IDLE && u->state != DNLOAD_IDLE) || r->len > s->o.transfer ||
	    !(s->o.attributes & DFU_USB_CAN_DOWNLOAD)) {
		stall(s);
		return;
	}
	if (r->len == 0) {
		/* nothing at all is no firmware */
		if (u->state != DNLOAD_IDLE && !is_dfuse(s)) {
			stall(s);
			return;
		}
		u->state = MANIFEST_SYNC;
		done(s);
		return;
	}
	data = !is_dfuse(s) || r->setup.value != 0 ? sim_corrupt(s, r->data, r->len, copy)
						   : r->data;
	memcpy(u->block, data, r->len);
	u->block_len = r->len;
	u->block_number = r->setup.value;
	u->state = DNLOAD_SYNC;
	done(s);
}

static void carry_out(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;

	u->busy_until = s->now;
	u->state = DNBUSY;
	if (is_dfuse(s))
		dfuse_store(s);
	else
		store(s);
}

/* is it a whole firmware? what it has in it for that is not simulated */
static bool is_whole(const struct sim *s)
{
	return s->of.usb.received == s->new_len &&
	       sim_crc(s->flash.bytes + s->banks.bank, s->new_len) ==
		       sim_crc(s->new_image, s->new_len);
}

static void manifest(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;

	u->state = MANIFEST;
	if (is_dfuse(s)) {
		u->button = false;
		return;
	}
	if (!is_whole(s)) {
		fail(s, ERR_FIRMWARE);
		return;
	}
	if (s->o.reverts)
		return;
	s->banks.note.activate = (uint32_t)u->received;
	s->banks.note.activate_crc = sim_crc(s->flash.bytes + s->banks.bank, u->received);
	banks_save(&s->banks);
}

/* the states that move on while they are asked about */
static void move_on(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;

	if (u->state == DNLOAD_SYNC) {
		carry_out(s);
	} else if (u->state == DNBUSY && s->now >= u->busy_until) {
		u->state = DNLOAD_IDLE;
	} else if (u->state == MANIFEST_SYNC) {
		manifest(s);
	} else if (u->state == MANIFEST && !is_dfuse(s)) {
		if (s->o.attributes & DFU_USB_MANIFEST_TOLERANT) {
			banks_boot(&s->banks);
			u->received = 0;
			u->state = DFU_IDLE;
		} else {
			u->state = WAIT_RESET;
		}
	}
}

static void getstatus(struct sim *s)
{
	struct sim_usb *u = &s->of.usb;
	uint8_t answer[6] = { 0 };
	int64_t left;

	move_on(s);
	left = u->state == DNBUSY ? (u->busy_until - s->now + 999) / 1000 : 0;
	answer[0] = u->status;
	answer[1] = (uint8_t)left;
	answer[2] = (uint8_t)(left >> 8);
	answer[3] = (uint8_t)(left >> 16);
	answer[4] = u->state;
	sim_say(s, DFU_CAME, DFU_CONTROL, answer, sizeof(answer), 0);
	if (u->state == MANIFEST && is_dfuse(s)) {
		sim_restart(s);
	}
}

static void upload(struct sim *s, const struct dfu_request *r)
{
	struct sim_usb *u = &s->of.usb;
	uint64_t at = (uint64_t)r->setup.value * s->o.transfer, end = s->o.bank;
	size_t len = r->setup.length;

	if ((u->state != DFU_IDLE && u->state != UPLOAD_IDLE) || len > s->o.transfer ||
	    !(s->o.attributes & DFU_USB_CAN_UPLOAD) || (is_dfuse(s) && r->setup.value < 2)) {
		stall(s);
		return;
	}
	if (is_dfuse(s))
		at = (uint64_t)u->pointer - BASE + (r->setup.value - 2u) * (uint64_t)s->o.transfer;
	else
		end = s->banks.note.installed;
	if (at > end)
		at = end;
	if (len > end - at)
		len = (size_t)(end - at);
	if (s->o.short_upload)
		len /= 2;
	u->state = len == r->setup.length ? UPLOAD_IDLE : DFU_IDLE;
	sim_say(s, DFU_CAME, DFU_CONTROL, s->flash.bytes + at, len, 0);
}

static void simple(struct sim *s, uint8_t request)
{
	struct sim_usb *u = &s->of.usb;

	if (request == 4 && u->state == ERROR) {
		u->status = 0;
		u->state = DFU_IDLE;
		u->received = 0;
		done(s);
	} else if (request == 6 && (u->state == DFU_IDLE || u->state == DNLOAD_IDLE ||
				    u->state == UPLOAD_IDLE || u->state == DNLOAD_SYNC)) {
		u->state = DFU_IDLE;
		u->received = 0;
		done(s);
	} else {
		stall(s);
	}
}

void sim_usb_take(struct sim *s, const struct dfu_request *r)
{
	if (s->mode == DFU_MODE_APPLICATION) {
		if (r->setup.request != 0) {
			sim_say(s, DFU_DENIED, DFU_CONTROL, NULL, 0, 0);
			return;
		}
		done(s);
		s->of.usb.state = APP_DETACH;
		if (!(s->o.attributes & DFU_USB_WILL_DETACH))
			return;
		start(s, DFU_MODE_UPDATE);
		s->linked = false;
		s->dropped = true;
		return;
	}
	if (r->setup.request == 1)
		dnload(s, r);
	else if (r->setup.request == 2)
		upload(s, r);
	else if (r->setup.request == 3)
		getstatus(s);
	else
		simple(s, r->setup.request);
}
