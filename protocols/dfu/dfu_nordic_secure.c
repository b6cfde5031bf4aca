/*
 * Nordic Secure DFU over Bluetooth (nRF5 SDK 12 and later, service fe59). Each request on the
 * control point (8ec90001-f315-4f60-9fb8-838830daea50) is answered by a notification 60 REQUEST
 * RESULT:
 *
 *   application: buttonless 01 <- 20 01 01, the link ends, the boot loader advertises
 *   boot loader: 0b I          <- 60 0b 01 TYPE VERSION ADDRESS LENGTH, if it knows this request
 *                02 N          <- 60 02 01
 *                06 01         <- 60 06 01 MAX OFFSET CRC   how far the init packet is there
 *                01 01 SIZE    <- 60 01 01, then packets
 *                03            <- 60 03 01 OFFSET CRC
 *                04            <- 60 04 01                  signature, versions, hash type
 *                06 02, then for each object of at most MAX bytes: 01 02 SIZE, packets, 03, 04
 *
 * Every N packets a receipt comes, which looks like the answer to 03, and may come at any time. The
 * select answers are where a later link goes on; offset and CRC are of the whole image so far.
 * When the last object is executed the device has checked the image's hash, and starts it.
 */
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"
#include "protocols/dfu/dfu.h"
#include "protocols/dfu/dfu_private.h"

enum op {
	OP_CREATE = 0x01,
	OP_RECEIPTS = 0x02,
	OP_CHECKSUM = 0x03,
	OP_EXECUTE = 0x04,
	OP_SELECT = 0x06,
	OP_VERSION = 0x0b,
	OP_BUTTONLESS = 0x20,
	OP_RESPONSE = 0x60,
};

enum result {
	RESULT_SUCCESS = 0x01,
	RESULT_NOT_SUPPORTED = 0x02,
	RESULT_PARAMETER = 0x03,
	RESULT_RESOURCES = 0x04,
	RESULT_OBJECT = 0x05,
	RESULT_TYPE = 0x07,
	RESULT_NOT_PERMITTED = 0x08,
	RESULT_FAILED = 0x0a,
	RESULT_EXTENDED = 0x0b,
};

enum step {
	STEP_ENTER,
	STEP_VERSION,
	STEP_RECEIPTS,
	STEP_INIT_SELECT,
	STEP_INIT_CREATE,
	STEP_INIT_WRITE,
	STEP_INIT_CHECK,
	STEP_INIT_EXECUTE,
	STEP_SELECT,
	STEP_CREATE,
	STEP_WRITE,
	STEP_CHECK,
	STEP_EXECUTE,
	STEP_GONE,
};

#define OBJECT_COMMAND   1
#define OBJECT_DATA      2
#define RECEIPTS         12 /* packets */
#define WINDOW           (2 * RECEIPTS)
#define TRIES_MAX        3
#define IMAGES_MAX       3 /* whose versions are asked for: soft device, application, boot loader */
#define TYPE_APPLICATION 1
#define ANSWER_US        (30 * DFU_SECOND)

static bool is_init(const struct dfu_nordic_state *n)
{
	return n->step <= STEP_INIT_EXECUTE;
}

static const uint8_t *what(const struct dfu *d)
{
	return is_init(&d->of.nordic) ? d->plan->init : d->plan->image;
}

static size_t what_len(const struct dfu *d)
{
	return is_init(&d->of.nordic) ? d->plan->init_len : d->plan->len;
}

static size_t packet_size(const struct dfu_nordic_state *n)
{
	return (n->mtu - 3) & ~(size_t)3; /* the flash is written by words */
}

static void linked(struct dfu *d, const struct dfu_link *link)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	bool gone = n->step == STEP_GONE;
	bool perhaps = n->step == STEP_EXECUTE && n->object_end == d->plan->len;

	if ((gone || perhaps) && dfu_came_back(d, link, gone))
		return;
	*n = (struct dfu_nordic_state){ .mtu = link->mtu < 23 ? 23 : link->mtu };
	n->step = link->mode == DFU_MODE_APPLICATION ? STEP_ENTER : STEP_VERSION;
	(void)dfu_not_older(d, &link->running);
}

/* ---- what is asked ---- */

static void point(struct dfu *d, struct dfu_request *ret, uint8_t op, uint8_t type, size_t type_len)
{
	struct writer w = writer_of(d->scratch, sizeof(d->scratch));

	writer_u8(&w, op);
	if (type_len != 0)
		writer_u8(&w, type);
	dfu_send(d, ret, DFU_POINT, w.data, w.len, ANSWER_US);
}

static void create(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	struct writer w = writer_of(d->scratch, sizeof(d->scratch));

	writer_u8(&w, OP_CREATE);
	writer_u8(&w, is_init(n) ? OBJECT_COMMAND : OBJECT_DATA);
	writer_le32(&w, (uint32_t)(n->object_end - n->object));
	n->sent = n->object;
	n->receipt = 0;
	dfu_send(d, ret, DFU_POINT, w.data, w.len, ANSWER_US);
}

/*
 * At most WINDOW packets are on their way without a receipt. It is twice what was asked for,
 * because
 * some count over the end of an object and some begin anew with each.
 */
static void packet(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	size_t left = n->object_end - n->sent;
	size_t size = left < packet_size(n) ? left : packet_size(n);
	bool full;

	if (left == 0) {
		n->step++;
		return;
	}
	full = ++n->receipt >= WINDOW && left != size;
	dfu_send(d, ret, DFU_PACKET, what(d) + n->sent, size, full ? ANSWER_US : 0);
	n->sent += size;
}

static void receipts(struct dfu *d, struct dfu_request *ret)
{
	struct writer w = writer_of(d->scratch, sizeof(d->scratch));

	writer_u8(&w, OP_RECEIPTS);
	writer_le16(&w, RECEIPTS);
	dfu_send(d, ret, DFU_POINT, w.data, w.len, ANSWER_US);
}

static void enter(struct dfu *d, struct dfu_request *ret)
{
	d->scratch[0] = 0x01;
	dfu_send(d, ret, DFU_BUTTONLESS, d->scratch, 1, ANSWER_US);
}

static void ask(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	switch ((enum step)n->step) {
	case STEP_ENTER:
		enter(d, ret);
		return;
	case STEP_VERSION:
		point(d, ret, OP_VERSION, n->image, 1);
		return;
	case STEP_RECEIPTS:
		receipts(d, ret);
		return;
	case STEP_INIT_SELECT:
		point(d, ret, OP_SELECT, OBJECT_COMMAND, 1);
		return;
	case STEP_SELECT:
		point(d, ret, OP_SELECT, OBJECT_DATA, 1);
		return;
	case STEP_INIT_CREATE:
	case STEP_CREATE:
		create(d, ret);
		return;
	case STEP_INIT_WRITE:
	case STEP_WRITE:
		packet(d, ret);
		return;
	case STEP_INIT_CHECK:
	case STEP_CHECK:
		point(d, ret, OP_CHECKSUM, 0, 0);
		return;
	case STEP_INIT_EXECUTE:
	case STEP_EXECUTE:
	case STEP_GONE:
	default:
		point(d, ret, OP_EXECUTE, 0, 0);
		return;
	}
}

/* ---- objects ---- */

/* the object that begins here */
static void object_at(struct dfu *d, size_t at)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	size_t left = what_len(d) - at;

	n->object = at;
	n->object_end = at + (left < n->object_max ? left : n->object_max);
	n->sent = at;
	n->receipt = 0;
	n->maybe_executed = false;
}

static bool agrees(const struct dfu *d, size_t offset, uint32_t crc)
{
	return offset <= what_len(d) && crc == crc_32_iso_hdlc(what(d), offset);
}

/* What arrived is not what was sent: the object once more. */
static void again(struct dfu *d)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (++n->tries > TRIES_MAX) {
		dfu_refuse(d, DFU_CHECKSUM, 0);
		return;
	}
	n->step = is_init(n) ? STEP_INIT_CREATE : STEP_CREATE;
}

static void selected_init(struct dfu *d, uint32_t offset, uint32_t crc)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (n->object_max < d->plan->init_len) {
		dfu_refuse(d, DFU_INIT_PACKET, 0);
		return;
	}
	object_at(d, 0);
	if (offset == 0 || !agrees(d, offset, crc)) {
		n->step = STEP_INIT_CREATE;
		return;
	}
	n->sent = offset;
	n->step = offset == d->plan->init_len ? STEP_INIT_EXECUTE : STEP_INIT_WRITE;
}

/* Where the device is in the image: on from there, or from where it was last right. */
static void selected_image(struct dfu *d, uint32_t offset, uint32_t crc)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	size_t rest;

	n->step = STEP_CREATE; /* what() is the image from here on */
	if (offset > d->plan->len) {
		object_at(d, 0);
		return;
	}
	rest = offset % n->object_max;
	if (!agrees(d, offset, crc)) {
		/* the object at hand is wrong, or the one that was just ended */
		if (rest == 0 && offset != 0)
			rest = n->object_max;
		object_at(d, offset - rest);
		return;
	}
	dfu_progress(d, offset);
	if (offset == 0) {
		object_at(d, 0);
		return;
	}
	if (rest == 0)
		rest = n->object_max;
	object_at(d, offset - rest);
	n->sent = offset;
	n->maybe_executed = n->sent == n->object_end;
	n->step = n->maybe_executed ? STEP_EXECUTE : STEP_WRITE;
}

static void selected(struct dfu *d, struct cursor *c)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	uint32_t most = cursor_le32(c), offset = cursor_le32(c), crc = cursor_le32(c);

	if (!cursor_at_end(c) || most == 0) {
		dfu_refuse(d, DFU_NONSENSE, OP_SELECT);
		return;
	}
	n->object_max = most;
	if (n->step == STEP_INIT_SELECT)
		selected_init(d, offset, crc);
	else
		selected_image(d, offset, crc);
}

static void executed(struct dfu *d)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	n->tries = 0;
	if (n->step == STEP_INIT_EXECUTE) {
		n->step = STEP_SELECT;
		return;
	}
	dfu_progress(d, n->object_end);
	if (n->object_end < d->plan->len) {
		object_at(d, n->object_end);
		n->step = STEP_CREATE;
		return;
	}
	n->step = STEP_GONE;
	dfu_relink(d, 2 * DFU_SECOND, DFU_MODE_APPLICATION);
}

/* a checksum that was asked for, or a receipt: both tell where the device is */
static void checksum(struct dfu *d, struct cursor *c)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	uint32_t offset = cursor_le32(c), crc = cursor_le32(c);
	bool writes = n->step == STEP_WRITE || n->step == STEP_INIT_WRITE;
	bool checks = n->step == STEP_CHECK || n->step == STEP_INIT_CHECK;

	if (!cursor_at_end(c)) {
		dfu_refuse(d, DFU_NONSENSE, OP_CHECKSUM);
		return;
	}
	if (!writes && !checks)
		return; /* the second one at the end of an object */
	if (offset < n->object || offset > n->sent || !agrees(d, offset, crc)) {
		dfu_answered(d);
		again(d);
		return;
	}
	if (!is_init(n))
		dfu_progress(d, offset);
	if (writes) {
		dfu_answered(d);
		n->receipt = (unsigned int)((n->sent - offset) / packet_size(n));
	} else if (offset == n->sent) {
		dfu_answered(d);
		n->step++;
	} /* else a receipt that was on its way: the checksum comes */
}

/* ---- refusals ---- */

static void refused_extended(struct dfu *d, uint8_t code)
{
	static const uint8_t reason[] = {
		[0x04] = DFU_INIT_PACKET,  [0x05] = DFU_OLDER,     [0x06] = DFU_WRONG_DEVICE,
		[0x07] = DFU_WRONG_DEVICE, [0x08] = DFU_SIGNATURE, [0x09] = DFU_INIT_PACKET,
		[0x0a] = DFU_CHECKSUM,     [0x0b] = DFU_SIGNATURE, [0x0c] = DFU_SIGNATURE,
		[0x0d] = DFU_TOO_LARGE,
	};

	if (code < sizeof(reason) && reason[code] != DFU_FINE)
		dfu_refuse(d, (enum dfu_refusal)reason[code], code);
	else
		dfu_refuse(d, DFU_FAILED, code);
}

static void refused_by(struct dfu *d, uint8_t op, uint8_t result, uint8_t extended)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (op == OP_VERSION) {
		n->step = STEP_RECEIPTS; /* many do not tell it; the init packet decides then */
	} else if (op == OP_EXECUTE && result == RESULT_NOT_PERMITTED && n->maybe_executed) {
		executed(d);
	} else if (result == RESULT_EXTENDED) {
		refused_extended(d, extended);
	} else if (op == OP_EXECUTE && n->step == STEP_INIT_EXECUTE) {
		dfu_refuse(d, DFU_INIT_PACKET, result);
	} else if (result == RESULT_RESOURCES) {
		dfu_refuse(d, DFU_TOO_LARGE, result);
	} else if (op == OP_EXECUTE && result == RESULT_OBJECT) {
		dfu_refuse(d, DFU_CHECKSUM, result);
	} else if (result == RESULT_NOT_SUPPORTED || result == RESULT_TYPE) {
		dfu_refuse(d, DFU_NOT_WRITABLE, result);
	} else {
		dfu_refuse(d, DFU_FAILED, result);
	}
}

/* ---- what came ---- */

static void version(struct dfu *d, struct cursor *c)
{
	struct dfu_nordic_state *n = &d->of.nordic;
	uint8_t type = cursor_u8(c);
	uint32_t number = cursor_le32(c);

	cursor_skip(c, 8);
	if (!cursor_at_end(c)) {
		dfu_refuse(d, DFU_NONSENSE, OP_VERSION);
		return;
	}
	if (type == TYPE_APPLICATION && d->plan->part == DFU_NORDIC_APPLICATION &&
	    !dfu_not_older(d, &(struct dfu_version){ true, { number, 0, 0, 0 } }))
		return;
	if (++n->image == IMAGES_MAX)
		n->step = STEP_RECEIPTS;
}

/* which request the step waits for an answer to; 0: none */
static uint8_t awaited(const struct dfu_nordic_state *n)
{
	static const uint8_t ops[] = {
		[STEP_VERSION] = OP_VERSION,      [STEP_RECEIPTS] = OP_RECEIPTS,
		[STEP_INIT_SELECT] = OP_SELECT,   [STEP_INIT_CREATE] = OP_CREATE,
		[STEP_INIT_WRITE] = OP_CHECKSUM,  [STEP_INIT_CHECK] = OP_CHECKSUM,
		[STEP_INIT_EXECUTE] = OP_EXECUTE, [STEP_SELECT] = OP_SELECT,
		[STEP_CREATE] = OP_CREATE,        [STEP_WRITE] = OP_CHECKSUM,
		[STEP_CHECK] = OP_CHECKSUM,       [STEP_EXECUTE] = OP_EXECUTE,
	};

	return (size_t)n->step < sizeof(ops) ? ops[n->step] : 0;
}

static void succeeded(struct dfu *d, uint8_t op, struct cursor *c)
{
	struct dfu_nordic_state *n = &d->of.nordic;

	if (op == OP_SELECT) {
		selected(d, c);
	} else if (op == OP_VERSION) {
		version(d, c);
	} else if (!cursor_at_end(c)) {
		dfu_refuse(d, DFU_NONSENSE, op);
	} else if (op == OP_EXECUTE) {
		executed(d);
	} else { /* receipts are set, an object was made */
		n->step++;
	}
}

static void came(struct dfu *d, const struct dfu_event *e)
{
	struct cursor c = cursor_of(e->data, e->len);
	uint8_t kind = cursor_u8(&c), op = cursor_u8(&c), result = cursor_u8(&c);

	if (cursor_ok(&c) && kind == OP_RESPONSE && op == OP_CHECKSUM && result == RESULT_SUCCESS) {
		checksum(d, &c);
		return;
	}
	if (!cursor_ok(&c) || kind != OP_RESPONSE || !d->awaiting || op != awaited(&d->of.nordic)) {
		dfu_refuse(d, DFU_NONSENSE, kind);
		return;
	}
	dfu_answered(d);
	if (result == RESULT_SUCCESS)
		succeeded(d, op, &c);
	else
		refused_by(d, op, result, cursor_u8(&c));
}

static void entered(struct dfu *d, const struct dfu_event *e)
{
	struct cursor c = cursor_of(e->data, e->len);
	uint8_t kind = cursor_u8(&c), op = cursor_u8(&c), result = cursor_u8(&c);

	if (e->kind == DFU_WRITTEN)
		return; /* the indication counts */
	if (e->kind == DFU_DENIED || d->of.nordic.step != STEP_ENTER)
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
	else if (!cursor_at_end(&c) || kind != OP_BUTTONLESS || op != 0x01)
		dfu_refuse(d, DFU_NONSENSE, kind);
	else if (result != RESULT_SUCCESS)
		dfu_refuse(d, DFU_BUSY, result);
	else
		dfu_relink(d, 2 * DFU_SECOND, DFU_MODE_UPDATE);
}

static void event(struct dfu *d, const struct dfu_event *e)
{
	if (e->channel == DFU_BUTTONLESS)
		entered(d, e);
	else if (e->channel != DFU_POINT || e->kind == DFU_WRITTEN)
		return;
	else if (e->kind == DFU_CAME)
		came(d, e);
	else
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
}

static void late(struct dfu *d)
{
	dfu_relink(d, DFU_SECOND, 0);
}

const struct dfu_protocol DFU_NORDIC_SECURE = {
	.name = "nordic-secure",
	.label = "Nordic Secure DFU",
	.linked = linked,
	.ask = ask,
	.event = event,
	.late = late,
};
