/*
 * USB DFU 1.1 (USB-IF, 2004) and its extension DfuSe (ST UM0391, AN3156).
 *
 *   plain:  DNLOAD 0, 1, 2 ... each with GETSTATUS until dfuDNLOAD-IDLE, DNLOAD of nothing,
 *           manifestation
 *   DfuSe:  DNLOAD of block 0 is a command (erase a page, set the address), block 2 writes there
 *
 * A boot loader in ROM with one bank of flash cannot keep the old firmware. What it can do is never
 * to start a mixture: all pages are erased first, the lowest first, and the first eight bytes,
 * which are stack and reset vector, are written last of all, after the rest was read back. Until
 * then these parts find no program and stay in their boot loader. DFU knows no offset to go on
 * from: after a lost link the whole image is sent again.
 */
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"
#include "protocols/dfu/dfu.h"
#include "protocols/dfu/dfu_private.h"

enum request {
	DETACH = 0,
	DNLOAD,
	UPLOAD,
	GETSTATUS,
	CLRSTATUS,
	GETSTATE,
	ABORT,
};

enum state {
	APP_IDLE = 0,
	APP_DETACH,
	IDLE,
	DNLOAD_SYNC,
	DNBUSY,
	DNLOAD_IDLE,
	MANIFEST_SYNC,
	MANIFEST,
	MANIFEST_WAIT_RESET,
	UPLOAD_IDLE,
	ERROR,
};

enum step {
	STEP_DETACH,
	STEP_LOOK, /* which state is it in? */
	STEP_CLEAR,
	STEP_ABORT,
	STEP_WRITE,
	STEP_END, /* DNLOAD of nothing */
	STEP_READ,
	STEP_READ_ABORT,
	STEP_LEAVE, /* plain: the way out after everything was done */
	SE_ERASE,
	SE_POINT,
	SE_WRITE,
	SE_ABORT_BEFORE,
	SE_READ,
	SE_ABORT_AFTER,
	SE_LEAVE_POINT,
	SE_LEAVE,
};

enum pass {
	PASS_BODY,
	PASS_READ_BODY,
	PASS_HEAD,
	PASS_READ_HEAD,
	PASS_END,
};

#define HEAD        8u /* stack and reset vector; also what flash is written by at once, at most */
#define STATUS_SIZE 6
#define TYPE_OUT    0x21
#define TYPE_IN     0xa1
#define ANSWER_US   (30 * DFU_SECOND) /* some parts answer nothing while they erase */
#define BUSY_US     (300 * DFU_SECOND)
#define CLEARS_MAX  4
#define BLOCK_DATA  2 /* DfuSe: of the data behind the address; 0 is a command */

static bool is_dfuse(const struct dfu_usb_state *u)
{
	return u->facts.dfu == DFU_USB_DFUSE;
}

static size_t block_size(const struct dfu_usb_state *u)
{
	size_t most = u->facts.transfer < DFU_CONTROL_MAX ? u->facts.transfer : DFU_CONTROL_MAX;

	return is_dfuse(u) ? most & ~(size_t)(HEAD - 1) : most;
}

static void go(struct dfu_usb_state *u, enum step step)
{
	u->step = (int)step;
	u->polling = false;
}

static bool matches(uint16_t wanted, uint16_t is)
{
	return wanted == 0xffff || wanted == is;
}

/* ---- what is known before the first write ---- */

/* every page of the image is there, and may be erased and written */
static bool layout_fits(const struct dfu *d, const struct dfuse_layout *l)
{
	uint64_t end = (uint64_t)d->plan->address + d->plan->len;
	uint64_t at = d->plan->address;
	struct dfuse_region page;

	if (!dfuse_page_at(l, d->plan->address, &page) || page.address != d->plan->address)
		return false; /* in the middle of a page: what is below would be lost */
	while (at < end) {
		if (at > UINT32_MAX || !dfuse_page_at(l, (uint32_t)at, &page))
			return false;
		if (!page.erasable || !page.writable)
			return false;
		at = (uint64_t)page.address + page.page;
	}
	return true;
}

static bool is_ours(struct dfu *d, const struct dfu_usb_facts *f)
{
	const struct dfu_plan *p = d->plan;

	/* a device in its boot loader may have another product number, and its own revision */
	if (!matches(p->vid, f->vid) || (f->mode == DFU_MODE_UPDATE && !matches(p->pid, f->pid))) {
		dfu_refuse(d, DFU_WRONG_DEVICE, 0);
		return false;
	}
	/* dfu 0: a program without any way into its boot loader */
	if (f->dfu == 0 ||
	    (f->mode == DFU_MODE_UPDATE && !(f->attributes & DFU_USB_CAN_DOWNLOAD))) {
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
		return false;
	}
	if (f->mode != DFU_MODE_UPDATE)
		return dfu_not_older(d, &(struct dfu_version){ true, { f->device, 0, 0, 0 } });
	if (block_size(&d->of.usb) == 0) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return false;
	}
	if (is_dfuse(&d->of.usb) && !layout_fits(d, &f->layout)) {
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
		return false;
	}
	return true;
}

/* ---- links ---- */

/* It is back after everything was handed over: did it take it? True: that is the end. */
static bool came_back(struct dfu *d, const struct dfu_usb_facts *f)
{
	const struct dfu_usb_state *u = &d->of.usb;
	const struct dfu_version runs = { true, { f->device, 0, 0, 0 } };
	const struct dfu_version *wanted = &d->plan->version;

	if (!u->manifesting)
		return false;
	if (f->mode != DFU_MODE_APPLICATION) {
		/* some have an update mode that only a person ends; what it holds is known */
		if (u->read_back)
			dfu_installed(d, DFU_PROOF_READ_BACK);
		return u->read_back;
	}
	if (wanted->known && dfu_version_compare(wanted, &runs) != 0) {
		if (u->manifested)
			dfu_refuse(d, DFU_NOT_STARTED, 0);
		return u->manifested;
	}
	if (u->read_back)
		dfu_installed(d, DFU_PROOF_READ_BACK);
	else if (wanted->known &&
		 (!d->before.known || dfu_version_compare(wanted, &d->before) != 0))
		dfu_installed(d, DFU_PROOF_VERSION);
	else if (u->manifested)
		dfu_installed(d, DFU_PROOF_ACCEPTED);
	return u->read_back || d->outcome != DFU_RUNNING;
}

static void linked(struct dfu *d, const struct dfu_link *link)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (came_back(d, link->usb))
		return;
	*u = (struct dfu_usb_state){ .facts = *link->usb };
	d->done = 0;
	if (!is_ours(d, link->usb))
		return;
	go(u, u->facts.mode == DFU_MODE_APPLICATION ? STEP_DETACH : STEP_LOOK);
}

static void leave(struct dfu *d)
{
	dfu_relink(d, 2 * DFU_SECOND, DFU_MODE_APPLICATION);
	d->reset = true;
}

static void late(struct dfu *d)
{
	dfu_refuse(d, DFU_NO_ANSWER, 0);
}

/* ---- what is asked ---- */

static void control(struct dfu *d, struct dfu_request *ret, enum request request, uint16_t value,
		    const void *data, size_t len)
{
	bool in = request == UPLOAD || request == GETSTATUS;

	ret->setup = (struct dfu_setup){
		.type = in ? TYPE_IN : TYPE_OUT,
		.request = (uint8_t)request,
		.value = value,
		.index = d->of.usb.facts.interface,
		.length = (uint16_t)len,
	};
	dfu_send(d, ret, DFU_CONTROL, data, in ? 0 : len, ANSWER_US);
}

/* DfuSe: a DNLOAD of block 0 */
static void command(struct dfu *d, struct dfu_request *ret, uint8_t code, uint32_t address)
{
	struct writer w = writer_of(d->scratch, sizeof(d->scratch));

	writer_u8(&w, code);
	writer_le32(&w, address);
	control(d, ret, DNLOAD, 0, w.data, w.len);
}

static void ask_write_dfuse(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (u->chunk % HEAD == 0) {
		control(d, ret, DNLOAD, BLOCK_DATA, d->plan->image + u->at, u->chunk);
		return;
	}
	/* the last bytes of the image, filled up with what erased flash has */
	memset(d->scratch, 0xff, HEAD);
	memcpy(d->scratch, d->plan->image + u->at, u->chunk);
	control(d, ret, DNLOAD, BLOCK_DATA, d->scratch, HEAD);
}

static void ask_dfuse(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_usb_state *u = &d->of.usb;

	switch ((enum step)u->step) {
	case SE_ERASE:
		command(d, ret, 0x41, u->page);
		return;
	case SE_POINT:
		command(d, ret, 0x21, d->plan->address + (uint32_t)u->at);
		return;
	case SE_LEAVE_POINT:
		command(d, ret, 0x21, d->plan->address);
		return;
	case SE_WRITE:
		ask_write_dfuse(d, ret);
		return;
	case SE_READ:
		control(d, ret, UPLOAD, BLOCK_DATA, NULL, u->chunk);
		return;
	case SE_LEAVE:
		control(d, ret, DNLOAD, BLOCK_DATA, NULL, 0);
		return;
	case SE_ABORT_BEFORE:
	case SE_ABORT_AFTER:
	case STEP_DETACH:
	case STEP_LOOK:
	case STEP_CLEAR:
	case STEP_ABORT:
	case STEP_WRITE:
	case STEP_END:
	case STEP_READ:
	case STEP_READ_ABORT:
	case STEP_LEAVE:
	default:
		control(d, ret, ABORT, 0, NULL, 0);
		return;
	}
}

static void ask_write(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_usb_state *u = &d->of.usb;
	size_t left = d->plan->len - u->at;

	u->chunk = left < block_size(u) ? left : block_size(u);
	control(d, ret, DNLOAD, u->block, d->plan->image + u->at, u->chunk);
}

static void ask(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (u->polling || u->step == STEP_LOOK) {
		control(d, ret, GETSTATUS, 0, NULL, STATUS_SIZE);
		return;
	}
	if (u->step == STEP_DETACH)
		control(d, ret, DETACH, u->facts.detach_ms, NULL, 0);
	else if (u->step == STEP_CLEAR)
		control(d, ret, CLRSTATUS, 0, NULL, 0);
	else if (u->step == STEP_WRITE)
		ask_write(d, ret);
	else if (u->step == STEP_END)
		control(d, ret, DNLOAD, u->block, NULL, 0);
	else if (u->step == STEP_READ)
		control(d, ret, UPLOAD, u->block, NULL, block_size(u));
	else if (u->step == STEP_LEAVE)
		leave(d);
	else
		ask_dfuse(d, ret);
}

/* ---- DfuSe: passes over the image ---- */

static size_t head_size(const struct dfu *d)
{
	return d->plan->len < HEAD ? d->plan->len : HEAD;
}

static bool reads(const struct dfu_usb_state *u)
{
	return u->pass == PASS_READ_BODY || u->pass == PASS_READ_HEAD;
}

static void next_pass(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;

	do {
		u->pass++;
	} while (reads(u) && !(u->facts.attributes & DFU_USB_CAN_UPLOAD));
	u->at = u->pass >= PASS_HEAD ? 0 : head_size(d);
	if (u->pass >= PASS_END) {
		u->read_back = (u->facts.attributes & DFU_USB_CAN_UPLOAD) != 0;
		go(u, SE_LEAVE_POINT);
	}
}

/* the next block of the pass, or the next pass that has one */
static void next_chunk(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;
	size_t end, left;

	for (;;) {
		end = u->pass >= PASS_HEAD ? head_size(d) : d->plan->len;
		if (u->at < end)
			break;
		next_pass(d);
		if (u->pass >= PASS_END)
			return;
	}
	left = end - u->at;
	if (left > HEAD && !reads(u))
		left &= ~(size_t)(HEAD - 1);
	u->chunk = left < block_size(u) ? left : block_size(u);
	go(u, SE_POINT);
}

static void page_erased(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;
	struct dfuse_region page;
	uint64_t next;

	if (!dfuse_page_at(&u->facts.layout, u->page, &page)) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return;
	}
	next = (uint64_t)page.address + page.page;
	if (next < (uint64_t)d->plan->address + d->plan->len) {
		u->page = (uint32_t)next;
		go(u, SE_ERASE);
		return;
	}
	u->pass = PASS_BODY;
	u->at = head_size(d);
	next_chunk(d);
}

static void begin(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;

	u->at = 0;
	u->block = 0;
	u->page = d->plan->address;
	go(u, is_dfuse(u) ? SE_ERASE : STEP_WRITE);
}

/* ---- what came ---- */

struct status {
	uint8_t status, state;
	uint32_t poll_ms;
};

static int status_decode(const uint8_t *data, size_t len, struct status *ret)
{
	struct cursor c = cursor_of(data, len);
	struct status s = { 0 };

	s.status = cursor_u8(&c);
	s.poll_ms = cursor_le24(&c);
	s.state = cursor_u8(&c);
	cursor_skip(&c, 1);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (s.state > ERROR)
		return -ERANGE;
	*ret = s;
	return 0;
}

/* bStatus: DFU 1.1, section 6.1.2 */
static void refused_by(struct dfu *d, uint8_t status)
{
	static const uint8_t reason[] = {
		[0x01] = DFU_WRONG_DEVICE, [0x02] = DFU_SIGNATURE,    [0x03] = DFU_WRITE,
		[0x04] = DFU_ERASE,        [0x05] = DFU_ERASE,        [0x06] = DFU_WRITE,
		[0x07] = DFU_READ_BACK,    [0x08] = DFU_NOT_WRITABLE, [0x09] = DFU_TOO_LARGE,
		[0x0a] = DFU_CHECKSUM,
	};

	if (status < sizeof(reason) && reason[status] != DFU_FINE)
		dfu_refuse(d, (enum dfu_refusal)reason[status], status);
	else
		dfu_refuse(d, DFU_FAILED, status);
}

static void looked(struct dfu *d, const struct status *s)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (s->state == IDLE) {
		begin(d);
		return;
	}
	if (s->state <= APP_DETACH) {
		dfu_refuse(d, DFU_NONSENSE, s->state);
		return;
	}
	if (++u->clears > CLEARS_MAX) {
		dfu_refuse(d, DFU_BUSY, s->state);
		return;
	}
	if (s->state == MANIFEST || s->state == MANIFEST_WAIT_RESET || s->state == DNBUSY ||
	    s->state == MANIFEST_SYNC)
		leave(d); /* only a reset ends these */
	else
		go(u, s->state == ERROR ? STEP_CLEAR : STEP_ABORT);
}

/* A DNLOAD was carried out. */
static void downloaded(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;

	u->busy_until = 0;
	switch ((enum step)u->step) {
	case STEP_WRITE:
		u->at += u->chunk;
		u->block++; /* wraps, as the specification has it */
		dfu_progress(d, u->at);
		go(u, u->at < d->plan->len ? STEP_WRITE : STEP_END);
		return;
	case SE_ERASE:
		page_erased(d);
		return;
	case SE_POINT:
		go(u, reads(u) ? SE_ABORT_BEFORE : SE_WRITE);
		return;
	case SE_WRITE:
		u->at += u->chunk;
		dfu_progress(d, u->at);
		next_chunk(d);
		return;
	case SE_LEAVE_POINT:
		u->manifesting = true;
		go(u, SE_LEAVE);
		return;
	case SE_ABORT_BEFORE:
	case SE_READ:
	case SE_ABORT_AFTER:
	case SE_LEAVE:
	case STEP_DETACH:
	case STEP_LOOK:
	case STEP_CLEAR:
	case STEP_ABORT:
	case STEP_END:
	case STEP_READ:
	case STEP_READ_ABORT:
	case STEP_LEAVE:
	default:
		dfu_refuse(d, DFU_NONSENSE, DNLOAD_IDLE);
		return;
	}
}

/* The image is where it belongs, says the device. */
static void manifested(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;

	u->manifested = true;
	u->at = 0;
	u->block = 0;
	if (u->facts.attributes & DFU_USB_CAN_UPLOAD)
		go(u, STEP_READ);
	else
		leave(d);
}

/* DfuSe parts are gone at this point: nothing of theirs can be awaited. */
static void dfuse_left(struct dfu *d)
{
	dfu_installed(d, d->of.usb.read_back ? DFU_PROOF_READ_BACK : DFU_PROOF_ACCEPTED);
}

static void busy(struct dfu *d, const struct status *s)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (u->busy_until == 0)
		u->busy_until = d->now + BUSY_US;
	if (d->now >= u->busy_until)
		dfu_refuse(d, DFU_NO_ANSWER, s->state);
	/* 0 is allowed; asking without end is not */
	dfu_pause(d, s->poll_ms == 0 ? 1000 : (int64_t)s->poll_ms * 1000);
}

static void manifest_state(struct dfu *d, const struct status *s)
{
	struct dfu_usb_state *u = &d->of.usb;
	bool tolerant = (u->facts.attributes & DFU_USB_MANIFEST_TOLERANT) != 0;

	if (u->step == SE_LEAVE) {
		dfuse_left(d);
		return;
	}
	if (u->step != STEP_END) {
		dfu_refuse(d, DFU_NONSENSE, s->state);
		return;
	}
	u->manifesting = true;
	if (s->state == MANIFEST_WAIT_RESET || (s->state == MANIFEST && !tolerant)) {
		u->manifested = true;
		leave(d);
		/* it is at work for so long, and answers nothing */
		d->relink_pause += (int64_t)s->poll_ms * 1000;
		return;
	}
	busy(d, s);
}

static void status_came(struct dfu *d, const struct dfu_event *e)
{
	struct dfu_usb_state *u = &d->of.usb;
	struct status s;

	if (status_decode(e->data, e->len, &s) < 0) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return;
	}
	if (u->step == STEP_LOOK) {
		looked(d, &s);
		return;
	}
	if (s.state == ERROR || s.status != 0)
		refused_by(d, s.status);
	else if (s.state == DNBUSY || s.state == DNLOAD_SYNC)
		busy(d, &s);
	else if (s.state == DNLOAD_IDLE)
		downloaded(d);
	else if (s.state == MANIFEST_SYNC || s.state == MANIFEST || s.state == MANIFEST_WAIT_RESET)
		manifest_state(d, &s);
	else if (s.state == IDLE && u->step == STEP_END)
		manifested(d);
	else
		dfu_refuse(d, DFU_NONSENSE, s.state);
}

static void read_came(struct dfu *d, const struct dfu_event *e)
{
	struct dfu_usb_state *u = &d->of.usb;
	size_t left = d->plan->len - u->at;
	size_t n = e->len < left ? e->len : left;

	if (e->len > block_size(u)) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return;
	}
	/* a short block is the device's last one */
	if (memcmp(e->data, d->plan->image + u->at, n) != 0 ||
	    (n < left && e->len < (is_dfuse(u) ? u->chunk : block_size(u)))) {
		dfu_refuse(d, DFU_READ_BACK, 0);
		return;
	}
	u->at += n;
	u->block++;
	if (is_dfuse(u)) {
		go(u, SE_ABORT_AFTER);
	} else if (u->at == d->plan->len) {
		u->read_back = true;
		go(u, STEP_READ_ABORT);
	}
}

/* A request without an answer of its own was taken. */
static void written(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;

	switch ((enum step)u->step) {
	case STEP_DETACH:
		leave(d);
		d->relink_mode = DFU_MODE_UPDATE;
		d->reset = !(u->facts.attributes & DFU_USB_WILL_DETACH);
		return;
	case STEP_CLEAR:
	case STEP_ABORT:
		go(u, STEP_LOOK);
		return;
	case STEP_READ_ABORT:
		go(u, STEP_LEAVE);
		return;
	case SE_ABORT_BEFORE:
		go(u, SE_READ);
		return;
	case SE_ABORT_AFTER:
		next_chunk(d);
		return;
	case STEP_END:
		u->manifesting = true;
		u->polling = true;
		return;
	case STEP_LOOK:
	case STEP_WRITE:
	case STEP_READ:
	case STEP_LEAVE:
	case SE_ERASE:
	case SE_POINT:
	case SE_WRITE:
	case SE_READ:
	case SE_LEAVE_POINT:
	case SE_LEAVE:
	default:
		u->polling = true;
		return;
	}
}

/* A stall: the device's state says why, so that is asked next. */
static void denied(struct dfu *d)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (u->step == SE_LEAVE)
		dfuse_left(d);
	else if (u->polling || u->step == STEP_LOOK)
		dfu_refuse(d, DFU_FAILED, 0);
	else if (u->step == STEP_DETACH)
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
	else
		u->polling = true;
}

static void event(struct dfu *d, const struct dfu_event *e)
{
	struct dfu_usb_state *u = &d->of.usb;

	if (e->channel != DFU_CONTROL || !d->awaiting)
		return;
	dfu_answered(d);
	if (e->kind == DFU_DENIED)
		denied(d);
	else if (e->kind == DFU_WRITTEN)
		written(d);
	else if (u->polling || u->step == STEP_LOOK)
		status_came(d, e);
	else if (u->step == STEP_READ || u->step == SE_READ)
		read_came(d, e);
	else
		dfu_refuse(d, DFU_NONSENSE, 0);
}

const struct dfu_protocol DFU_USB = {
	.name = "usb-dfu",
	.label = "USB DFU 1.1 and DfuSe",
	.linked = linked,
	.ask = ask,
	.event = event,
	.late = late,
};
