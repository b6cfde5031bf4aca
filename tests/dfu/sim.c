#include "tests/dfu/sim.h"

#include <string.h>

#include "tests/fuzz/must.h"

void sim_put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)v;
	to[1] = (uint8_t)(v >> 8);
}

void sim_put32(uint8_t *to, uint32_t v)
{
	sim_put16(to, v);
	sim_put16(to + 2, v >> 16);
}

uint32_t sim_get32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
	       (uint32_t)from[3] << 24;
}

void sim_init(struct sim *s, const struct sim_options *o, const uint8_t *old_image, size_t old_len,
	      const uint8_t *new_image, size_t new_len)
{
	memset(s, 0, sizeof(*s));
	s->o = *o;
	s->old_image = old_image;
	s->old_len = old_len;
	s->new_image = new_image;
	s->new_len = new_len;
	if (o->kind == SIM_USB_DFUSE) {
		flash_init(&s->flash, o->bank, o->page);
		flash_write(&s->flash, 0, old_image, old_len);
		s->flash.operations = 0;
		s->of.usb.button = true;
	} else {
		flash_init(&s->flash, banks_flash_size(o->bank, o->page), o->page);
		banks_make(&s->banks, &s->flash, old_image, old_len);
	}
	if (o->kind == SIM_SMP)
		sim_smp_make(s);
	sim_power_on(s);
}

void sim_done(struct sim *s)
{
	flash_done(&s->flash);
}

void sim_power_on(struct sim *s)
{
	s->flash.dead = false;
	s->linked = s->dropped = false;
	s->queued = 0;
	s->o.mute_at = 0;
	do {
		/* again, if the power goes while it starts */
		s->flash.dead = false;
		if (s->o.kind == SIM_USB_DFU || s->o.kind == SIM_USB_DFUSE)
			sim_usb_boot(s);
		else if (s->o.kind == SIM_NORDIC_LEGACY)
			sim_legacy_boot(s);
		else if (s->o.kind == SIM_NORDIC_SECURE)
			sim_secure_boot(s);
		else
			sim_smp_boot(s);
	} while (s->flash.dead);
}

void sim_restart(struct sim *s)
{
	size_t queued = s->queued;

	if (s->flash.dead)
		return;
	sim_power_on(s);
	s->queued = queued; /* what it has said is on its way */
	s->dropped = true;
}

static enum sim_runs which(const struct sim *s, const uint8_t *image)
{
	if (memcmp(image, s->new_image, s->new_len) == 0)
		return SIM_NEW;
	return memcmp(image, s->old_image, s->old_len) == 0 ? SIM_OLD : SIM_MIXTURE;
}

enum sim_runs sim_runs(const struct sim *s)
{
	if (s->o.kind == SIM_SMP)
		return sim_smp_runs(s);
	if (s->o.kind == SIM_USB_DFUSE)
		return sim_dfuse_runs(s);
	if (!banks_bootable(&s->banks))
		return SIM_WAITS;
	return which(s, s->flash.bytes);
}

void sim_link(struct sim *s, struct dfu_link *ret, struct dfu_usb_facts *facts)
{
	s->linked = true;
	s->dropped = false;
	s->queued = 0;
	*ret = (struct dfu_link){ .mode = s->mode, .mtu = s->o.mtu };
	if (s->o.kind == SIM_USB_DFU || s->o.kind == SIM_USB_DFUSE) {
		sim_usb_link(s, facts);
		ret->usb = facts;
	}
}

void sim_unlink(struct sim *s, bool reset)
{
	bool was = s->linked;

	s->linked = s->dropped = false;
	s->queued = 0;
	if (s->o.kind == SIM_USB_DFU || s->o.kind == SIM_USB_DFUSE)
		sim_usb_unlink(s, reset);
	else if (s->o.kind == SIM_NORDIC_LEGACY && was)
		sim_legacy_boot(s); /* its boot loader gives up with its link */
	else if (s->o.kind == SIM_SMP)
		s->of.smp.got = 0;
}

void sim_take(struct sim *s, const struct dfu_request *r)
{
	s->taken++;
	if (s->flash.dead || s->dropped || (s->o.mute_at != 0 && s->taken >= s->o.mute_at))
		return;
	if (r->channel == DFU_CONTROL)
		sim_usb_take(s, r);
	else if (s->o.kind == SIM_NORDIC_LEGACY)
		sim_legacy_take(s, r);
	else if (s->o.kind == SIM_NORDIC_SECURE)
		sim_secure_take(s, r);
	else
		sim_smp_take(s, r);
}

void sim_say(struct sim *s, enum dfu_event_kind kind, enum dfu_channel channel, const void *data,
	     size_t len, int64_t delay)
{
	struct sim_message *m;

	if (s->flash.dead)
		return; /* it has no power to say anything */
	must(s->queued < SIM_QUEUE && len <= sizeof(m->data));
	m = &s->queue[(s->first + s->queued++) % SIM_QUEUE];
	m->kind = kind;
	m->channel = channel;
	m->at = s->now + delay;
	m->len = len;
	if (len != 0)
		memcpy(m->data, data, len);
}

bool sim_answer(struct sim *s, struct sim_message *ret, int64_t *at)
{
	*at = INT64_MAX;
	if (s->queued == 0)
		return false;
	*at = s->queue[s->first].at;
	if (*at > s->now)
		return false;
	*ret = s->queue[s->first];
	s->first = (s->first + 1) % SIM_QUEUE;
	s->queued--;
	return true;
}

uint32_t sim_wanted(const struct sim *s, const uint8_t *said)
{
	return s->o.real_init ? sim_crc(s->new_image, s->new_len) : sim_get32(said);
}

const uint8_t *sim_corrupt(struct sim *s, const uint8_t *data, size_t len, uint8_t *buffer)
{
	uint64_t last = s->o.corrupt_for > s->o.corrupt ? s->o.corrupt_for : s->o.corrupt;

	s->packets++;
	if (s->o.corrupt == 0 || s->packets < s->o.corrupt || s->packets > last || len == 0)
		return data;
	memcpy(buffer, data, len);
	buffer[len / 2] ^= 0x10;
	return buffer;
}
