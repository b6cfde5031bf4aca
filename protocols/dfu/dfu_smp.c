/*
 * MCUmgr over Bluetooth, with MCUboot behind it. Where a run is, is read from the device's own list
 * of images, so a run that begins in the middle of another one goes on there:
 *
 *   the running image is the new one    confirmed: done.  Not: confirm it
 *   the other slot holds the new one    pending: reset.   Not: mark it for a test
 *   else                                upload; the device answers each part with its next offset
 *
 * "Test" starts it once; without the confirmation MCUboot returns to the old one at the next start.
 * The device must come back, speak, and tell the new hash before it is confirmed.
 */
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/dfu/cbor.h"
#include "protocols/dfu/dfu.h"
#include "protocols/dfu/dfu_private.h"
#include "protocols/dfu/smp.h"

enum step {
	STEP_PARAMETERS,
	STEP_STATE,
	STEP_UPLOAD,
	STEP_TEST,
	STEP_RESET,
	STEP_CONFIRM,
};

#define ANSWER_US        (60 * DFU_SECOND) /* the first part erases a slot */
#define TRIALS_MAX       2 /* a power cut before the confirmation puts a good one back, too */
#define STUCK_MAX        8
#define PACKET_MIN       96u /* the first request, without any data, has 70 */
#define RC_NOT_SUPPORTED 8u

static void linked(struct dfu *d, const struct dfu_link *link)
{
	struct dfu_smp_state *s = &d->of.smp;
	size_t mtu = link->mtu < 23 ? 23 : link->mtu;

	s->step = STEP_PARAMETERS;
	s->mtu = mtu;
	s->packet = mtu - 3 < PACKET_MIN ? PACKET_MIN : mtu - 3;
	if (s->packet > DFU_PACKET_MAX)
		s->packet = DFU_PACKET_MAX;
	s->out = s->out_sent = 0;
	s->in = 0;
	s->stuck = 0;
	s->offset = 0;
	s->uploaded = false;
}

/* ---- what is asked ---- */

static struct writer request(struct dfu *d, enum smp_op op, enum smp_group group, enum smp_id id)
{
	struct dfu_smp_state *s = &d->of.smp;
	struct writer w = writer_of(d->scratch, s->packet);

	s->op = (uint8_t)op;
	s->group = (uint8_t)group;
	s->id = (uint8_t)id;
	s->sequence++;
	(void)writer_room(&w, SMP_HEADER_SIZE); /* finish() writes it */
	return w;
}

static void finish(struct dfu *d, const struct writer *w)
{
	struct dfu_smp_state *s = &d->of.smp;
	struct writer head = writer_of(d->scratch, SMP_HEADER_SIZE);
	struct smp_header h = {
		.op = s->op,
		.version = 1,
		.len = (uint16_t)(w->len - SMP_HEADER_SIZE),
		.group = s->group,
		.sequence = s->sequence,
		.id = s->id,
	};

	smp_header_encode(&h, &head);
	s->out = w->len;
	s->out_sent = 0;
	s->in = 0;
}

static void empty(struct dfu *d, enum smp_op op, enum smp_group group, enum smp_id id)
{
	struct writer w = request(d, op, group, id);

	cbor_put_head(&w, CBOR_MAP, 0);
	finish(d, &w);
}

static void mark(struct dfu *d, bool confirm)
{
	struct writer w = request(d, SMP_WRITE, SMP_GROUP_IMAGE, SMP_IMAGE_STATE);

	cbor_put_head(&w, CBOR_MAP, 2);
	cbor_put_text(&w, "hash");
	cbor_put_bytes(&w, d->plan->image_hash, DFU_HASH_SIZE);
	cbor_put_text(&w, "confirm");
	cbor_put_bool(&w, confirm);
	finish(d, &w);
}

#define DATA_HEAD 8u /* "data" and the head of a byte string of up to 64 KiB */

static void upload(struct dfu *d)
{
	struct dfu_smp_state *s = &d->of.smp;
	struct writer w = request(d, SMP_WRITE, SMP_GROUP_IMAGE, SMP_IMAGE_UPLOAD);
	bool first = s->offset == 0;
	size_t left = d->plan->len - s->offset;
	size_t room;

	cbor_put_head(&w, CBOR_MAP, first ? 4 : 2);
	cbor_put_text(&w, "off");
	cbor_put_head(&w, CBOR_UNSIGNED, s->offset);
	if (first) {
		cbor_put_text(&w, "len");
		cbor_put_head(&w, CBOR_UNSIGNED, d->plan->len);
		cbor_put_text(&w, "sha");
		cbor_put_bytes(&w, d->plan->file_hash, DFU_HASH_SIZE);
	}
	room = w.size - w.len - DATA_HEAD;
	s->chunk = left < room ? left : room;
	cbor_put_text(&w, "data");
	cbor_put_bytes(&w, d->plan->image + s->offset, s->chunk);
	finish(d, &w);
}

static void build(struct dfu *d)
{
	switch ((enum step)d->of.smp.step) {
	case STEP_PARAMETERS:
		empty(d, SMP_READ, SMP_GROUP_OS, SMP_OS_PARAMETERS);
		return;
	case STEP_UPLOAD:
		upload(d);
		return;
	case STEP_TEST:
		mark(d, false);
		return;
	case STEP_CONFIRM:
		mark(d, true);
		return;
	case STEP_RESET:
		empty(d, SMP_WRITE, SMP_GROUP_OS, SMP_OS_RESET);
		return;
	case STEP_STATE:
	default:
		empty(d, SMP_READ, SMP_GROUP_IMAGE, SMP_IMAGE_STATE);
		return;
	}
}

static void ask(struct dfu *d, struct dfu_request *ret)
{
	struct dfu_smp_state *s = &d->of.smp;
	size_t left, size;
	const uint8_t *from;

	if (s->out_sent == s->out)
		build(d);
	from = d->scratch + s->out_sent;
	left = s->out - s->out_sent;
	size = left < s->mtu - 3 ? left : s->mtu - 3;
	s->out_sent += size;
	dfu_send(d, ret, DFU_SMP_CHANNEL, from, size, size == left ? ANSWER_US : 0);
}

/* ---- what came ---- */

static bool is_new(const struct dfu *d, const struct smp_image *image)
{
	return image->present && image->has_hash &&
	       memcmp(image->hash, d->plan->image_hash, DFU_HASH_SIZE) == 0;
}

static void old_runs(struct dfu *d, const struct smp_image *active, const struct smp_image *other)
{
	struct dfu_smp_state *s = &d->of.smp;

	if (!dfu_not_older(d, &active->version))
		return;
	if (is_new(d, other)) {
		dfu_progress(d, d->plan->len);
		if (!other->pending && s->trials >= TRIALS_MAX)
			dfu_refuse(d, DFU_NOT_STARTED, 0); /* it was tried and put back */
		else
			s->step = other->pending ? STEP_RESET : STEP_TEST;
		return;
	}
	if (s->uploaded) {
		dfu_refuse(d, DFU_CHECKSUM, 0);
		return;
	}
	s->step = STEP_UPLOAD;
}

static void state_came(struct dfu *d, const struct smp_answer *a)
{
	struct dfu_smp_state *s = &d->of.smp;
	size_t active = 0;

	while (active < SMP_SLOTS && !(a->slot[active].present && a->slot[active].active))
		active++;
	if (active == SMP_SLOTS) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return;
	}
	if (!is_new(d, &a->slot[active])) {
		old_runs(d, &a->slot[active], &a->slot[1 - active]);
		return;
	}
	if (a->slot[active].confirmed)
		dfu_installed(d, DFU_PROOF_HASH);
	else if (++s->stuck > STUCK_MAX)
		dfu_refuse(d, DFU_FAILED, 0);
	else
		s->step = STEP_CONFIRM;
}

static void upload_came(struct dfu *d, const struct smp_answer *a)
{
	struct dfu_smp_state *s = &d->of.smp;

	if (!a->has_offset || a->offset > d->plan->len) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return;
	}
	if (a->offset > d->best)
		s->stuck = 0;
	else if (a->offset <= s->offset)
		s->stuck++;
	if (s->stuck > STUCK_MAX) {
		dfu_refuse(d, DFU_CHECKSUM, 0);
		return;
	}
	s->offset = a->offset;
	dfu_progress(d, s->offset);
	if (s->offset != d->plan->len)
		return;
	s->stuck = 0;
	s->uploaded = true;
	if (a->has_match && !a->match)
		dfu_refuse(d, DFU_CHECKSUM, 0);
	else
		s->step = STEP_STATE;
}

static void parameters_came(struct dfu *d, const struct smp_answer *a)
{
	struct dfu_smp_state *s = &d->of.smp;

	s->step = STEP_STATE;
	if (!a->has_buffer)
		return;
	if (a->buffer < PACKET_MIN)
		dfu_refuse(d, DFU_NONSENSE, a->buffer);
	else
		s->packet = a->buffer < DFU_PACKET_MAX ? a->buffer : DFU_PACKET_MAX;
}

static void reset_came(struct dfu *d)
{
	d->of.smp.trials++;
	dfu_relink(d, 3 * DFU_SECOND, 0);
}

/* Zephyr: numbers of the OS group, which older devices use for all, and of the image group */
static enum dfu_refusal refusal(const struct smp_answer *a)
{
	static const uint8_t os[] = {
		[2] = DFU_TOO_LARGE, [7] = DFU_TOO_LARGE, [8] = DFU_NOT_WRITABLE,
		[9] = DFU_CHECKSUM,  [10] = DFU_BUSY,     [11] = DFU_NOT_WRITABLE,
	};
	static const uint8_t image[] = {
		[9] = DFU_BUSY,          [12] = DFU_WRITE,        [13] = DFU_ERASE,
		[22] = DFU_WRONG_DEVICE, [23] = DFU_WRONG_DEVICE, [24] = DFU_CHECKSUM,
		[27] = DFU_OLDER,        [28] = DFU_BUSY,         [29] = DFU_WRONG_DEVICE,
		[30] = DFU_TOO_LARGE,    [31] = DFU_TOO_LARGE,
	};
	uint8_t reason = DFU_FINE;

	if (a->rc_group == SMP_GROUP_OS && a->rc < sizeof(os))
		reason = os[a->rc];
	else if (a->rc_group == SMP_GROUP_IMAGE && a->rc < sizeof(image))
		reason = image[a->rc];
	return reason == DFU_FINE ? DFU_FAILED : (enum dfu_refusal)reason;
}

static void answer_came(struct dfu *d, const struct smp_answer *a)
{
	struct dfu_smp_state *s = &d->of.smp;

	if (a->rc != 0 && s->step == STEP_PARAMETERS && a->rc == RC_NOT_SUPPORTED) {
		s->step = STEP_STATE;
	} else if (a->rc != 0) {
		dfu_refuse(d, refusal(a), a->rc);
	} else if (s->step == STEP_PARAMETERS) {
		parameters_came(d, a);
	} else if (s->step == STEP_STATE) {
		state_came(d, a);
	} else if (s->step == STEP_UPLOAD) {
		upload_came(d, a);
	} else if (s->step == STEP_RESET) {
		reset_came(d);
	} else { /* marked: look at what became of it */
		s->step = s->step == STEP_TEST ? STEP_RESET : STEP_STATE;
	}
}

static bool is_answer(const struct dfu_smp_state *s, const struct smp_header *h)
{
	return h->op == s->op + 1 && h->group == s->group && h->id == s->id &&
	       h->sequence == s->sequence;
}

static void whole(struct dfu *d, const struct smp_header *h)
{
	struct dfu_smp_state *s = &d->of.smp;
	struct smp_answer a;

	s->in = 0;
	if (!d->awaiting || !is_answer(s, h))
		return; /* of a request that was given up */
	dfu_answered(d);
	if (smp_answer_decode(s->answer + SMP_HEADER_SIZE, h->len, &a) < 0)
		dfu_refuse(d, DFU_NONSENSE, 0);
	else
		answer_came(d, &a);
}

static void event(struct dfu *d, const struct dfu_event *e)
{
	struct dfu_smp_state *s = &d->of.smp;
	struct smp_header h;

	if (e->channel != DFU_SMP_CHANNEL || e->kind == DFU_WRITTEN)
		return;
	if (e->kind == DFU_DENIED) {
		dfu_refuse(d, DFU_NOT_WRITABLE, 0);
		return;
	}
	if (e->len > sizeof(s->answer) - s->in) {
		dfu_refuse(d, DFU_NONSENSE, 0);
		return;
	}
	memcpy(s->answer + s->in, e->data, e->len);
	s->in += e->len;
	if (smp_header_decode(s->answer, s->in, &h) < 0)
		return;
	if (s->in == (size_t)SMP_HEADER_SIZE + h.len)
		whole(d, &h);
	else if (s->in > (size_t)SMP_HEADER_SIZE + h.len ||
		 (size_t)SMP_HEADER_SIZE + h.len > sizeof(s->answer))
		dfu_refuse(d, DFU_NONSENSE, 0);
}

static void late(struct dfu *d)
{
	dfu_relink(d, DFU_SECOND, 0);
}

const struct dfu_protocol DFU_SMP = {
	.name = "smp",
	.label = "MCUmgr SMP with MCUboot",
	.linked = linked,
	.ask = ask,
	.event = event,
	.late = late,
};
