/*
 * Nordic's first DFU over Bluetooth (nRF5 SDK up to 11), service
 * 00001530-1212-efde-1523-785feabcd123. On the control point (1531), answers as notifications
 * 10 REQUEST STATUS:
 *
 *   application: 01 04 -> it starts its boot loader, the link ends
 *   boot loader: 01 PART | packet: three sizes       <- 10 01 01   after it has erased, seconds
 *                02 00 | packet: init packet | 02 01 <- 10 02 01
 *                08 N: a receipt every N packets
 *                03 | packets, 11 BYTES every N      <- 10 03 01
 *                04                                  <- 10 04 01   its checksum is right
 *                05 -> it starts, the link ends
 *
 * Nothing can be read back, and no offset is known after a lost link: the image begins anew. With
 * two banks the boot loader keeps the old firmware until 05; one with a single bank has none
 * meanwhile, and waits for an update.
 */
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"
#include "protocols/dfu/dfu.h"
#include "protocols/dfu/dfu_private.h"

enum op {
	OP_START = 1,
	OP_INIT = 2,
	OP_RECEIVE = 3,
	OP_VALIDATE = 4,
	OP_ACTIVATE = 5,
	OP_RESET = 6,
	OP_RECEIPTS = 8,
	OP_RESPONSE = 0x10,
	OP_RECEIPT = 0x11,
};

enum status {
	STATUS_SUCCESS = 1,
	STATUS_INVALID_STATE,
	STATUS_NOT_SUPPORTED,
	STATUS_TOO_LARGE,
	STATUS_CRC,
	STATUS_FAILED,
};

enum step {
	STEP_ENTER,
	STEP_START,
	STEP_SIZES,
	STEP_INIT_BEGIN,
	STEP_INIT,
	STEP_INIT_END,
	STEP_RECEIPTS,
	STEP_RECEIVE,
	STEP_IMAGE,
	STEP_VALIDATE,
	STEP_ACTIVATE,
	STEP_RESET, /* it is in the middle of another update */
	STEP_GONE,  /* 05 arrived: it starts the new firmware */
};

#define RECEIPTS  12 /* packets; a power of two would do as well, this is what is common */
#define ANSWER_US (30 * DFU_SECOND)
#define ERASE_US  (120 * DFU_SECOND)

static size_t packet_size(const struct dfu_nordic_state *n)
{
	/* the flash is written by words */
	return (n->mtu - 3) & ~(size_t)3;
}

static void linked(struct dfu *d, const struct dfu_link *link)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	bool gone = n->step == STEP_GONE;

	/* without an answer to 05 it may as well be the old one: then all is done again */
	if ((gone || n->step == STEP_ACTIVATE) && dfu_came_back(d, link, gone))
		return;
	*n = (struct dfu_nordic_state){ .mtu = link->mtu < 23 ? 23 : link->mtu };
	d->done = 0;
	n->step = link->mode == DFU_MODE_APPLICATION ? STEP_ENTER : STEP_START;
	(void)dfu_not_older(d, &link->running);
}

/* the next packet of init packet or image; the caller knows that there is one */
static size_t packet(struct dfu *d, struct dfu_request *ret, const uint8_t *data, size_t len,
		     int64_t limit)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	size_t left = len - n->sent;
	size_t size = left < packet_size(n) ? left : packet_size(n);

	dfu_send(d, ret, DFU_PACKET, data + n->sent, size, limit);
	n->sent += size;
	return size;
}

static void ask_image(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	bool full = ++n->receipt == RECEIPTS;
	bool last = d->plan->len - n->sent <= packet_size(n);

	(void)packet(d, ret, d->plan->image, d->plan->len, full || last ? ANSWER_US : 0);
	if (full)
		n->receipt = 0;
}

static void ask_init(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	(void)packet(d, ret, d->plan->init, d->plan->init_len, 0);
	if (n->sent == d->plan->init_len)
		n->step = STEP_INIT_END;
}

static void sizes(struct dfu *d, struct dfu_request *ret)
{
	static const enum dfu_nordic_part order[] = { DFU_NORDIC_SOFTDEVICE, DFU_NORDIC_BOOTLOADER,
						      DFU_NORDIC_APPLICATION };
	struct writer w = writer_of(d->scratch, sizeof(d->scratch));

	for (size_t i = 0; i < 3; i++)
		writer_le32(&w, d->plan->part == order[i] ? (uint32_t)d->plan->len : 0);
	dfu_send(d, ret, DFU_PACKET, w.data, w.len, ERASE_US);
}

static void point(struct dfu *d, struct dfu_request *ret, uint8_t op, int more, size_t more_len)
{
	struct writer w = writer_of(d->scratch, sizeof(d->scratch));

	writer_u8(&w, op);
	if (more_len >= 1)
		writer_u8(&w, (uint8_t)more);
	if (more_len == 2)
		writer_u8(&w, (uint8_t)(more >> 8));
	dfu_send(d, ret, DFU_POINT, w.data, w.len, ANSWER_US);
}

static void ask(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	switch ((enum step)n->step) {
	case STEP_ENTER:
		point(d, ret, OP_START, DFU_NORDIC_APPLICATION, 1);
		return;
	case STEP_START:
		point(d, ret, OP_START, (int)d->plan->part, 1);
		return;
	case STEP_SIZES:
		sizes(d, ret);
		return;
	case STEP_INIT_BEGIN:
		point(d, ret, OP_INIT, 0, 1);
		return;
	case STEP_INIT:
		ask_init(d, ret);
		return;
	case STEP_INIT_END:
		point(d, ret, OP_INIT, 1, 1);
		return;
	case STEP_RECEIPTS:
		point(d, ret, OP_RECEIPTS, RECEIPTS, 2);
		return;
	case STEP_RECEIVE:
		point(d, ret, OP_RECEIVE, 0, 0);
		return;
	case STEP_IMAGE:
		ask_image(d, ret);
		return;
	case STEP_VALIDATE:
		point(d, ret, OP_VALIDATE, 0, 0);
		return;
	case STEP_RESET:
		point(d, ret, OP_RESET, 0, 0);
		return;
	case STEP_ACTIVATE:
	case STEP_GONE:
	default:
		point(d, ret, OP_ACTIVATE, 0, 0);
		return;
	}
}

static void refused_by(struct dfu *d, uint8_t op, uint8_t status)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (op == OP_START && status == STATUS_INVALID_STATE) {
		n->step = STEP_RESET;
		return;
	}
	if (status == STATUS_TOO_LARGE)
		dfu_refuse(d, DFU_TOO_LARGE, status);
	else if (op == OP_INIT)
		dfu_refuse(d, status == STATUS_CRC ? DFU_INIT_PACKET : DFU_WRONG_DEVICE, status);
	else if (status == STATUS_CRC)
		dfu_refuse(d, DFU_CHECKSUM, status);
	else if (op == OP_RECEIVE)
		dfu_refuse(d, DFU_WRITE, status);
	else if (status == STATUS_NOT_SUPPORTED)
		dfu_refuse(d, DFU_NOT_WRITABLE, status);
	else
		dfu_refuse(d, op == OP_START ? DFU_ERASE : DFU_FAILED, status);
}

/* which request the step waits for an answer to; 0: none */
static uint8_t awaited(const struct dfu_nordic_state *n)
{
	switch ((enum step)n->step) {
	case STEP_SIZES:
	case STEP_START: /* a refusal may come before the sizes */
		return OP_START;
	case STEP_INIT_END:
		return OP_INIT;
	case STEP_IMAGE:
		return OP_RECEIVE;
	case STEP_VALIDATE:
		return OP_VALIDATE;
	case STEP_ENTER:
	case STEP_INIT_BEGIN:
	case STEP_INIT:
	case STEP_RECEIPTS:
	case STEP_RECEIVE:
	case STEP_ACTIVATE:
	case STEP_RESET:
	case STEP_GONE:
	default:
		return 0;
	}
}

static void response(struct dfu *d, uint8_t op, uint8_t status)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (op != awaited(n)) {
		dfu_refuse(d, DFU_NONSENSE, op);
		return;
	}
	dfu_answered(d);
	if (status != STATUS_SUCCESS) {
		refused_by(d, op, status);
		return;
	}
	if (n->step == STEP_START || (n->step == STEP_IMAGE && n->sent != d->plan->len)) {
		dfu_refuse(d, DFU_NONSENSE, op); /* done, before it had everything */
		return;
	}
	n->sent = 0;
	if (n->step == STEP_SIZES)
		n->step = STEP_INIT_BEGIN;
	else if (n->step == STEP_INIT_END)
		n->step = STEP_RECEIPTS;
	else if (n->step == STEP_IMAGE)
		n->step = STEP_VALIDATE;
	else
		n->step = STEP_ACTIVATE;
}

static void receipt(struct dfu *d, uint32_t bytes)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (n->step != STEP_IMAGE || bytes != n->sent) {
		dfu_refuse(d, DFU_CHECKSUM, 0);
		return;
	}
	dfu_progress(d, bytes);
	if (bytes != d->plan->len) /* else the answer to the whole comes next */
		dfu_answered(d);
}

static void came(struct dfu *d, const struct dfu_event *e)
{
	struct cursor c = cursor_of(e->data, e->len);
	uint8_t kind = cursor_u8(&c), op, status;
	uint32_t bytes;

	if (kind == OP_RECEIPT) {
		bytes = cursor_le32(&c);
		if (cursor_at_end(&c)) {
			receipt(d, bytes);
			return;
		}
	} else if (kind == OP_RESPONSE) {
		op = cursor_u8(&c);
		status = cursor_u8(&c);
		if (cursor_at_end(&c)) {
			response(d, op, status);
			return;
		}
	}
	dfu_refuse(d, DFU_NONSENSE, kind);
}

/* The device has the write; where that is all, the next step begins. */
static void written(struct dfu *d)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	switch ((enum step)n->step) {
	case STEP_ENTER:
	case STEP_RESET:
		dfu_relink(d, 2 * DFU_SECOND, DFU_MODE_UPDATE);
		return;
	case STEP_ACTIVATE:
		n->step = STEP_GONE;
		dfu_relink(d, 2 * DFU_SECOND, DFU_MODE_APPLICATION);
		return;
	case STEP_START:
	case STEP_INIT_BEGIN:
	case STEP_RECEIPTS:
	case STEP_RECEIVE:
		dfu_answered(d);
		n->sent = 0;
		n->receipt = 0;
		n->step++;
		return;
	case STEP_SIZES:
	case STEP_INIT:
	case STEP_INIT_END:
	case STEP_IMAGE:
	case STEP_VALIDATE:
	case STEP_GONE:
	default:
		return; /* the answer comes as a notification */
	}
}

static void event(struct dfu *d, const struct dfu_event *e)
{
	if (e->channel != DFU_POINT)
		return;
	if (e->kind == DFU_CAME)
		came(d, e);
	else if (e->kind == DFU_WRITTEN)
		written(d);
	else
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
}

static void late(struct dfu *d)
{
	dfu_relink(d, DFU_SECOND, 0);
}

const struct dfu_protocol DFU_NORDIC_LEGACY = {
	.name = "nordic-legacy",
	.label = "Nordic DFU, the first one",
	.linked = linked,
	.ask = ask,
	.event = event,
	.late = late,
};
