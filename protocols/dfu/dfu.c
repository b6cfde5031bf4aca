#include "protocols/dfu/dfu.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/dfu/dfu_private.h"

static const char *const TEXTS[DFU_REFUSAL_END] = {
	[DFU_FINE] = "Nothing is wrong.",
	[DFU_WRONG_DEVICE] = "This update is for another kind of device.",
	[DFU_OLDER] = "The device has a newer version than this one.",
	[DFU_TOO_LARGE] = "The update does not fit into the device.",
	[DFU_NOT_WRITABLE] = "The device does not take this update.",
	[DFU_SIGNATURE] = "The device does not accept who made this update.",
	[DFU_INIT_PACKET] = "The device does not accept the description of this update.",
	[DFU_CHECKSUM] = "What arrived in the device was not what was sent, three times.",
	[DFU_ERASE] = "The device could not clear its memory.",
	[DFU_WRITE] = "The device could not write its memory.",
	[DFU_READ_BACK] = "What the device holds is not what was sent.",
	[DFU_NO_ANSWER] = "The device does not answer.",
	[DFU_LINK_LOST] = "The connection was lost too often.",
	[DFU_NONSENSE] = "The device answered something that makes no sense.",
	[DFU_NOT_STARTED] = "The device started its old version again.",
	[DFU_BUSY] = "The device is busy with something else.",
	[DFU_FAILED] = "The device says that the update failed.",
};

const char *dfu_refusal_text(enum dfu_refusal refusal)
{
	assert((size_t)refusal < DFU_REFUSAL_END);
	return TEXTS[refusal];
}

int dfu_version_compare(const struct dfu_version *a, const struct dfu_version *b)
{
	assert(a->known && b->known);
	for (size_t i = 0; i < sizeof(a->part) / sizeof(a->part[0]); i++) {
		if (a->part[i] != b->part[i])
			return a->part[i] < b->part[i] ? -1 : 1;
	}
	return 0;
}

void dfu_refuse(struct dfu *d, enum dfu_refusal refusal, uint32_t code)
{
	if (d->outcome != DFU_RUNNING)
		return;
	d->outcome = DFU_REFUSED;
	d->refusal = refusal;
	d->code = code;
}

void dfu_installed(struct dfu *d, enum dfu_proof proof)
{
	if (d->outcome != DFU_RUNNING)
		return;
	d->outcome = DFU_INSTALLED;
	d->proof = proof;
	d->done = d->total;
}

static void link_ended(struct dfu *d)
{
	d->up = false;
	d->asked = false;
	d->awaiting = false;
	d->pause_until = 0;
	d->open_writes = 0;
}

void dfu_relink(struct dfu *d, int64_t pause, enum dfu_mode mode)
{
	link_ended(d);
	d->relink_pause = pause;
	d->relink_mode = mode;
	d->reset = false;
}

void dfu_progress(struct dfu *d, size_t done)
{
	d->done = done < d->total ? done : d->total;
	if (done > d->best) {
		d->best = done;
		d->lost = 0;
	}
}

void dfu_send(struct dfu *d, struct dfu_request *ret, enum dfu_channel channel, const void *data,
	      size_t len, int64_t limit)
{
	ret->act = DFU_SEND;
	ret->channel = channel;
	ret->data = data;
	ret->len = len;
	if (limit == 0)
		return;
	d->awaiting = true;
	d->until = d->now + limit;
}

void dfu_answered(struct dfu *d)
{
	d->awaiting = false;
}

void dfu_pause(struct dfu *d, int64_t pause)
{
	d->pause_until = d->now + pause;
}

bool dfu_not_older(struct dfu *d, const struct dfu_version *running)
{
	if (running->known && !d->before.known)
		d->before = *running;
	if (!running->known || !d->plan->version.known || d->plan->allow_older)
		return true;
	if (dfu_version_compare(&d->plan->version, running) >= 0)
		return true;
	dfu_refuse(d, DFU_OLDER, 0);
	return false;
}

bool dfu_came_back(struct dfu *d, const struct dfu_link *link, bool sure)
{
	const struct dfu_version *wanted = &d->plan->version;
	bool tells = wanted->known && link->running.known;

	if (link->mode != DFU_MODE_APPLICATION)
		return false;
	if (tells && dfu_version_compare(wanted, &link->running) != 0) {
		if (sure)
			dfu_refuse(d, DFU_NOT_STARTED, 0);
		return sure;
	}
	if (tells && d->before.known && dfu_version_compare(wanted, &d->before) != 0)
		dfu_installed(d, DFU_PROOF_VERSION);
	else if (sure)
		dfu_installed(d, DFU_PROOF_ACCEPTED);
	return d->outcome != DFU_RUNNING;
}

/* offsets are of 32 bits in all of the protocols, in SMP too in practice */
#define IMAGE_MAX (64u << 20)
#define INIT_MAX  4096u

static bool plan_is_whole(const struct dfu_protocol *protocol, const struct dfu_plan *plan)
{
	if (!plan->image || plan->len == 0 || plan->len > IMAGE_MAX)
		return false;
	if (protocol == &DFU_SMP)
		return plan->file_hash && plan->image_hash;
	if (protocol == &DFU_NORDIC_LEGACY || protocol == &DFU_NORDIC_SECURE)
		return plan->init && plan->init_len != 0 && plan->init_len <= INIT_MAX;
	return true;
}

int dfu_begin(struct dfu *d, const struct dfu_protocol *protocol, const struct dfu_plan *plan)
{
	if (!plan_is_whole(protocol, plan))
		return -EINVAL;
	memset(d, 0, sizeof(*d));
	d->protocol = protocol;
	d->plan = plan;
	d->total = plan->len;
	return 0;
}

static void ask_for_link(struct dfu *d, struct dfu_request *ret)
{
	if (d->asked) {
		ret->act = DFU_WAIT;
		ret->until = INT64_MAX;
		return;
	}
	d->asked = true;
	ret->act = DFU_RELINK;
	ret->pause = d->relink_pause;
	ret->mode = d->relink_mode;
	ret->reset = d->reset;
}

/* one step; false: ask once more */
static bool step(struct dfu *d, struct dfu_request *ret)
{
	*ret = (struct dfu_request){ .act = DFU_WAIT };
	if (d->outcome != DFU_RUNNING) {
		ret->act = DFU_END;
		return true;
	}
	if (!d->up) {
		ask_for_link(d, ret);
		return true;
	}
	if (d->awaiting) {
		ret->until = d->until;
		if (d->now < d->until)
			return true;
		dfu_answered(d);
		d->protocol->late(d);
		return false;
	}
	if (d->now < d->pause_until) {
		ret->until = d->pause_until;
		return true;
	}
	d->protocol->ask(d, ret);
	if (ret->act != DFU_SEND)
		return false;
	if (ret->channel == DFU_POINT || ret->channel == DFU_BUTTONLESS)
		d->open_writes++;
	return true;
}

#define STEPS_MAX 32 /* steps of a machine without anything to send; a few at most */

void dfu_next(struct dfu *d, int64_t now, struct dfu_request *ret)
{
	if (now > d->now)
		d->now = now;
	for (int i = 0; i < STEPS_MAX; i++) {
		if (step(d, ret))
			return;
	}
	dfu_refuse(d, DFU_FAILED, 0); /* a machine that does not move: none is known to */
	ret->act = DFU_END;
}

static bool too_often(struct dfu *d)
{
	if (++d->lost <= DFU_LINKS_MAX)
		return false;
	dfu_refuse(d, DFU_LINK_LOST, 0);
	return true;
}

static void lost(struct dfu *d)
{
	bool was_up = d->up;
	bool attempt = !d->up && d->asked;

	link_ended(d);
	if (attempt)
		(void)too_often(d);
	if (!was_up)
		return; /* where and how the next one is to be had is known */
	d->reset = false;
	d->relink_mode = 0;
	d->relink_pause = DFU_SECOND;
}

static void linked(struct dfu *d, const struct dfu_link *link)
{
	link_ended(d);
	d->up = true;
	d->links++;
	if (too_often(d))
		return;
	if (link->running.known && !d->before.known)
		d->before = link->running;
	d->protocol->linked(d, link);
}

/* An answer to a write that was overtaken by the notification it led to says nothing new. */
static bool is_news(struct dfu *d, const struct dfu_event *e)
{
	if (e->kind != DFU_WRITTEN || e->channel == DFU_CONTROL)
		return true;
	if (d->open_writes == 0)
		return false;
	return --d->open_writes == 0;
}

static void tell(struct dfu *d, const struct dfu_event *e)
{
	struct dfu_event known = *e;

	if (known.len == 0)
		known.data = (const uint8_t *)"";
	d->protocol->event(d, &known);
}

void dfu_event(struct dfu *d, int64_t now, const struct dfu_event *e)
{
	if (now > d->now)
		d->now = now;
	if (d->outcome != DFU_RUNNING)
		return;
	if (e->kind == DFU_LINKED)
		linked(d, e->link);
	else if (e->kind == DFU_LOST)
		lost(d);
	else if (d->up && is_news(d, e))
		tell(d, e);
}
