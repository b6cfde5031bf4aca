#include "gateway/publish/pace.h"

#include <assert.h>

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

void pace_begin(struct pace *p, unsigned int window, unsigned int batch_max)
{
	assert(window > 0 && batch_max > 0);
	*p = (struct pace){ .window = window, .batch_max = batch_max, .steep = true };
	p->most = window * batch_max;
	p->least = least(2 * PACE_BATCH_MIN, p->most);
	p->flight = p->least;
}

static unsigned int flight(const struct pace *p)
{
	return p->probe_us > 0 ? p->least : p->flight;
}

unsigned int pace_batch(const struct pace *p)
{
	unsigned int each = (flight(p) + p->window - 1) / p->window;

	if (each < PACE_BATCH_MIN)
		each = PACE_BATCH_MIN;
	return least(each, p->batch_max);
}

bool pace_room(const struct pace *p, unsigned int messages, unsigned int rows)
{
	return messages < p->window && rows < flight(p);
}

static int64_t bearable_us(const struct pace *p)
{
	return PACE_STRETCH * p->shortest_us + PACE_SLACK_US;
}

static void grow(struct pace *p, unsigned int rows)
{
	p->kept_us = 0;
	if (p->steep) {
		p->flight = least(p->flight + rows, p->most);
		return;
	}
	/* a sixteenth per round trip, and at least a few readings */
	p->credit += rows;
	if (p->credit >= p->flight) {
		p->credit = 0;
		p->flight = least(p->flight + p->flight / 16 + PACE_BATCH_MIN, p->most);
	}
}

/* Once per round trip: until then nothing is known of the last cut. */
static void cut(struct pace *p, int64_t now_us)
{
	int64_t share = p->flight * bearable_us(p) / p->round_us;

	if (p->kept_us == 0)
		p->kept_us = now_us;
	if (now_us - p->cut_us < p->round_us)
		return;
	p->cut_us = now_us;
	p->steep = false;
	if (share < p->flight / 2)
		share = p->flight / 2;
	p->flight = share > p->least ? (unsigned int)share : p->least;
	if (now_us - p->kept_us < PACE_MEASURE_US)
		return;
	p->kept_us = 0;
	p->probe_us = now_us + p->round_us; /* by then what is on the way has arrived */
}

/* true: the measuring goes on */
static bool probe(struct pace *p, int64_t took_us, int64_t now_us)
{
	if (p->probe_us == 0 || now_us - took_us < p->probe_us)
		return p->probe_us > 0;
	p->shortest_us = p->round_us = took_us;
	p->probe_us = 0;
	return false;
}

void pace_answer(struct pace *p, unsigned int rows, int64_t took_us, bool limited, int64_t now_us)
{
	if (took_us < 1)
		took_us = 1;
	if (probe(p, took_us, now_us))
		return;
	if (p->shortest_us == 0 || took_us < p->shortest_us)
		p->shortest_us = took_us;
	p->round_us += p->round_us == 0 ? took_us : (took_us - p->round_us) / 8;
	if (p->round_us > bearable_us(p))
		cut(p, now_us);
	else if (limited)
		grow(p, rows);
}
