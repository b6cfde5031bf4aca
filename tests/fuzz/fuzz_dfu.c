/* links: dfu_sims protocols */
/*
 * The update machines against simulated devices whose answers, and now and then whose requests,
 * are tampered with. The first byte is the protocol, or f0 for its decoders; then one byte for each
 * message: most let it pass, the others change, drop, double or invent one, cut the link or the
 * power. What is checked: the run ends; what it sends lies within the image and within bounds; the
 * device runs its old or its new firmware; and "installed" is said only when the device has the
 * image, or was made to say so.
 */
#include <string.h>

#include "protocols/dfu/cbor.h"
#include "protocols/dfu/dfu_descriptor.h"
#include "protocols/dfu/smp.h"
#include "tests/dfu/sim.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OLD_LEN  300
#define NEW_LEN  403
#define DECODERS 0xf0 /* as the first byte: what follows is for the decoders */
#define STEPS    4000

static const struct dfu_protocol *const PROTOCOLS[] = { &DFU_USB,           &DFU_USB,
							&DFU_USB,           &DFU_NORDIC_LEGACY,
							&DFU_NORDIC_SECURE, &DFU_SMP };
static const struct sim_options OPTIONS[] = {
	{ .kind = SIM_USB_DFU, .attributes = 7, .transfer = 64 },
	{ .kind = SIM_USB_DFU, .attributes = 9, .transfer = 128 },
	{ .kind = SIM_USB_DFUSE, .attributes = 11, .transfer = 64 },
	{ .kind = SIM_NORDIC_LEGACY, .mtu = 23 },
	{ .kind = SIM_NORDIC_SECURE, .mtu = 23, .object = 128, .knows_version = true },
	{ .kind = SIM_SMP, .mtu = 64, .smp_buffer = 128 },
};

struct input {
	const uint8_t *data;
	size_t len;
};

static uint8_t take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->data++;
}

struct play {
	struct dfu dfu;
	struct sim sim;
	struct input in;
	int64_t now;
	bool told_lies; /* what the device is said to have done, it has not done */
	uint8_t images[OLD_LEN + NEW_LEN];
	uint8_t hash[32], legacy_init[14], secure_init[20];
};

static struct play play;

static void make(const uint8_t *data, size_t size)
{
	struct sim_options o = OPTIONS[data[0] % 6];

	memset(&play, 0, sizeof(play));
	play.in = (struct input){ data + 1, size - 1 };
	for (size_t i = 0; i < sizeof(play.images); i++)
		play.images[i] = (uint8_t)(i * 7 + i / 256);
	memset(play.hash, 0xbb, sizeof(play.hash));
	play.secure_init[0] = 0x5a;
	sim_put32(play.secure_init + 1, sim_crc(play.images + OLD_LEN, NEW_LEN));
	sim_put32(play.legacy_init + 10, sim_crc(play.images + OLD_LEN, NEW_LEN));
	o.bank = 512;
	o.page = 128;
	sim_init(&play.sim, &o, play.images, OLD_LEN, play.images + OLD_LEN, NEW_LEN);
	play.sim.new_hash = play.hash;
}

static void event(enum dfu_event_kind kind, enum dfu_channel channel, const uint8_t *data,
		  size_t len, const struct dfu_link *link)
{
	const struct dfu_event e = { kind, channel, data, len, link };

	dfu_event(&play.dfu, play.now, &e);
	must(play.dfu.done <= play.dfu.total);
}

static void lose(bool power)
{
	sim_unlink(&play.sim, false);
	if (power)
		sim_power_on(&play.sim);
	event(DFU_LOST, 0, NULL, 0, NULL);
}

static void invent(enum dfu_channel channel)
{
	uint8_t bytes[64];
	size_t len = take(&play.in) % sizeof(bytes);

	play.told_lies = true;
	for (size_t i = 0; i < len; i++)
		bytes[i] = take(&play.in);
	event((enum dfu_event_kind)(DFU_WRITTEN + take(&play.in) % 3), channel, bytes, len, NULL);
}

static void hear(struct sim_message *m)
{
	uint8_t what = take(&play.in);

	if (what == 0xff || what == 0xfe) {
		lose(what == 0xfe);
		return;
	}
	if (what == 0xfd)
		invent(m->channel);
	if (what == 0xfc)
		return;
	if (what >= 0xf0 && m->len != 0) {
		play.told_lies = true;
		m->data[take(&play.in) % m->len] ^= (uint8_t)(1u << (what & 7));
	}
	if (what == 0xef && m->len != 0) {
		play.told_lies = true;
		m->len--;
	}
	event(m->kind, m->channel, m->data, m->len, NULL);
	if (what == 0xee)
		event(m->kind, m->channel, m->data, m->len, NULL);
}

static void must_be_within(const struct dfu_request *r, const struct dfu_plan *plan)
{
	const uint8_t *d = r->data;
	bool image = d >= plan->image && d + r->len <= plan->image + plan->len;
	bool init = plan->init && d >= plan->init && d + r->len <= plan->init + plan->init_len;
	bool own = d >= play.dfu.scratch && d + r->len <= play.dfu.scratch + DFU_PACKET_MAX;

	must(r->len == 0 || image || init || own);
	must(r->channel == DFU_CONTROL || r->len <= play.sim.o.mtu - 3);
	must(r->channel != DFU_CONTROL || r->setup.length <= play.sim.o.transfer);
}

static void send_one(const struct dfu_request *r, const struct dfu_plan *plan)
{
	uint8_t what = take(&play.in);

	must_be_within(r, plan);
	if (what == 0xff || what == 0xfe)
		lose(what == 0xfe);
	else if (what == 0xfd)
		play.told_lies = true; /* lost on its way, which no bearer does */
	else
		sim_take(&play.sim, r);
}

static void relink(const struct dfu_request *r)
{
	struct dfu_usb_facts facts;
	struct dfu_link link;

	sim_unlink(&play.sim, r->reset);
	play.now += r->pause;
	play.sim.now = play.now;
	if (take(&play.in) >= 0xf8) {
		event(DFU_LOST, 0, NULL, 0, NULL);
		return;
	}
	sim_link(&play.sim, &link, &facts);
	event(DFU_LINKED, 0, NULL, 0, &link);
}

static void wait_until(int64_t until, int64_t next)
{
	play.now = until < next ? until : next;
	must(play.now != INT64_MAX && play.now >= play.sim.now);
	play.sim.now = play.now;
}

static void run(const struct dfu_plan *plan)
{
	struct sim_message m;
	struct dfu_request r;
	int64_t next;

	for (int i = 0; i < STEPS; i++) {
		if (sim_answer(&play.sim, &m, &next)) {
			hear(&m);
			continue;
		}
		if (play.sim.dropped && play.sim.queued == 0)
			lose(false);
		dfu_next(&play.dfu, play.now, &r);
		if (r.act == DFU_END)
			return;
		if (r.act == DFU_SEND)
			send_one(&r, plan);
		else if (r.act == DFU_RELINK)
			relink(&r);
		else
			wait_until(r.until, next);
	}
	must(play.in.len != 0); /* without anybody who disturbs it, it has an end */
}

/* descriptors, DfuSe's layout, SMP's answers, CBOR: read whole, or refused and untouched */
static void decoders(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct dfu_usb_facts facts;
	struct dfuse_layout layout;
	struct smp_answer answer;
	struct dfuse_region page;

	memset(&layout, MUST_UNTOUCHED, sizeof(layout));
	memset(&facts, MUST_UNTOUCHED, sizeof(facts));
	memset(&answer, MUST_UNTOUCHED, sizeof(answer));
	if (dfu_usb_descriptor(data, size, 0, &facts) < 0)
		must_be_untouched(&facts, sizeof(facts));
	if (smp_answer_decode(data, size, &answer) < 0)
		must_be_untouched(&answer, sizeof(answer));
	else
		must(cbor_skip(&c) == 0 && cursor_at_end(&c));
	if (dfuse_layout_decode((const char *)data, size, &layout) < 0) {
		must_be_untouched(&layout, sizeof(layout));
		return;
	}
	must(layout.n >= 1 && layout.n <= DFUSE_REGIONS_MAX);
	must(dfuse_page_at(&layout, layout.region[0].address, &page));
	must(page.address == layout.region[0].address && page.pages == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dfu_plan plan = {
		.image = play.images + OLD_LEN,
		.len = NEW_LEN,
		.part = DFU_NORDIC_APPLICATION,
		.address = 0x08000000,
		.vid = 0x1209,
		.pid = 0xffff,
		.file_hash = play.hash,
		.image_hash = play.hash,
	};

	if (size == 0)
		return 0;
	if (data[0] >= DECODERS) {
		decoders(data + 1, size - 1);
		return 0;
	}
	make(data, size);
	plan.init = data[0] % 6 == 3 ? play.legacy_init : play.secure_init;
	plan.init_len = data[0] % 6 == 3 ? sizeof(play.legacy_init) : sizeof(play.secure_init);
	must(dfu_begin(&play.dfu, PROTOCOLS[data[0] % 6], &plan) == 0);
	run(&plan);
	must(sim_runs(&play.sim) != SIM_MIXTURE);
	if (play.dfu.outcome == DFU_INSTALLED && !play.told_lies)
		must(sim_runs(&play.sim) == SIM_NEW);
	sim_done(&play.sim);
	return 0;
}
