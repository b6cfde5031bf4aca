#include "tests/dfu/run.h"

#include <stdlib.h>
#include <string.h>

struct link {
	struct dfu_link link;
	struct dfu_usb_facts facts;
};

static void event(struct run *run, enum dfu_event_kind kind, const struct dfu_link *link)
{
	const struct dfu_event e = { .kind = kind, .link = link };

	dfu_event(&run->dfu, run->now, &e);
}

static void lose(struct run *run, struct sim *s, bool power)
{
	sim_unlink(s, false);
	if (power)
		sim_power_on(s);
	event(run, DFU_LOST, NULL);
}

/* counts a message; true: the link goes with it */
static bool cut_here(struct run *run, const struct run_options *o)
{
	run->messages++;
	if (o->cut_at == 0 || run->messages != o->cut_at)
		return false;
	run->was_cut = true;
	return true;
}

static void send_one(struct run *run, struct sim *s, const struct dfu_request *r,
		     const struct run_options *o)
{
	bool cut = cut_here(run, o);

	run->writes++;
	run->written += r->len;
	if (r->channel == DFU_PACKET || r->channel == DFU_SMP_CHANNEL)
		run->image_packets++;
	if (!cut || !o->undelivered)
		sim_take(s, r);
	if (cut)
		lose(run, s, o->power);
}

static void relink(struct run *run, struct sim *s, const struct dfu_request *r)
{
	struct link l;

	sim_unlink(s, r->reset);
	run->now += r->pause;
	s->now = run->now;
	sim_link(s, &l.link, &l.facts);
	event(run, DFU_LINKED, &l.link);
}

/* what the device has said by now; false: nothing */
static bool hear(struct run *run, struct sim *s, const struct run_options *o, int64_t *next)
{
	struct sim_message m;
	struct dfu_event e;
	bool cut;

	if (s->flash.dead) {
		lose(run, s, true);
		return true;
	}
	if (!sim_answer(s, &m, next)) {
		if (!s->dropped || s->queued != 0)
			return false;
		lose(run, s, false);
		return true;
	}
	cut = cut_here(run, o);
	run->answers++;
	run->answered += m.len;
	e = (struct dfu_event){ .kind = m.kind, .channel = m.channel, .len = m.len };
	e.data = m.data;
	if (!cut || !o->undelivered)
		dfu_event(&run->dfu, run->now, &e);
	if (cut)
		lose(run, s, o->power);
	return true;
}

static void wait_for(struct run *run, struct sim *s, int64_t until, int64_t next)
{
	int64_t to = until < next ? until : next;

	if (to == INT64_MAX)
		abort(); /* nobody would ever do anything again */
	if (to > run->now)
		run->now = to;
	s->now = run->now;
}

void run_update(struct run *run, struct sim *s, const struct dfu_protocol *protocol,
		const struct dfu_plan *plan, const struct run_options *o)
{
	uint64_t limit = o->limit != 0 ? o->limit : 1000000;
	struct dfu_request r;
	int64_t next = INT64_MAX;

	memset(run, 0, sizeof(*run));
	run->now = s->now;
	if (dfu_begin(&run->dfu, protocol, plan) < 0)
		abort();
	sim_unlink(s, false);
	while (run->messages < limit && !(run->was_cut && o->stop)) {
		if (hear(run, s, o, &next))
			continue;
		dfu_next(&run->dfu, run->now, &r);
		if (r.act == DFU_SEND)
			send_one(run, s, &r, o);
		else if (r.act == DFU_RELINK)
			relink(run, s, &r);
		else if (r.act == DFU_WAIT)
			wait_for(run, s, r.until, next);
		else
			break;
	}
	if (s->flash.dead)
		sim_power_on(s);
}
