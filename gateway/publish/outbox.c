#include "gateway/publish/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int outbox_init(struct outbox *o, unsigned int entries)
{
	*o = (struct outbox){ .n_entries = entries };
	o->entries = calloc(entries, sizeof(o->entries[0]));
	return o->entries ? 0 : -ENOMEM;
}

void outbox_finish(struct outbox *o)
{
	free(o->entries);
	o->entries = NULL;
}

static void drop_span(struct outbox *o, unsigned int i)
{
	o->n_waits--;
	(void)memmove(&o->waits[i], &o->waits[i + 1], (o->n_waits - i) * sizeof(o->waits[0]));
}

/* No room: the two with the least between them become one. What is between them goes twice. */
static void merge_closest(struct outbox *o)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i + 1 < o->n_waits; i++) {
		if (o->waits[i + 1].first - o->waits[i].last <
		    o->waits[best + 1].first - o->waits[best].last)
			best = i;
	}
	o->waits[best].last = o->waits[best + 1].last;
	drop_span(o, best + 1);
}

static void insert_span(struct outbox *o, struct span s)
{
	unsigned int i;

	if (o->n_waits == OUTBOX_SPANS)
		merge_closest(o);
	for (i = 0; i < o->n_waits && o->waits[i].first < s.first; i++)
		;
	(void)memmove(&o->waits[i + 1], &o->waits[i], (o->n_waits - i) * sizeof(o->waits[0]));
	o->waits[i] = s;
	o->n_waits++;
	/* a merger above can have taken in what is inserted here */
	for (i = 0; i + 1 < o->n_waits;) {
		if (o->waits[i + 1].first > o->waits[i].last) {
			i++;
			continue;
		}
		if (o->waits[i + 1].last > o->waits[i].last)
			o->waits[i].last = o->waits[i + 1].last;
		drop_span(o, i + 1);
	}
}

/* What goes again joins its neighbours, so that the list stays short. */
static void wait_again(struct outbox *o, struct span s)
{
	for (unsigned int i = 0; i < o->n_waits;) {
		const struct span *w = &o->waits[i];

		if (w->first > s.last + 1 || s.first > w->last + 1) {
			i++;
			continue;
		}
		s.first = w->first < s.first ? w->first : s.first;
		s.last = w->last > s.last ? w->last : s.last;
		drop_span(o, i);
	}
	insert_span(o, s);
}

void outbox_restart(struct outbox *o, uint64_t acknowledged, uint64_t end)
{
	for (unsigned int i = 0; i < o->n_entries; i++)
		o->entries[i].busy = false;
	o->n_busy = o->n_waits = 0;
	o->end = o->sent = end;
	o->delivered = 0;
	o->paused = o->stuck = false;
	if (end > acknowledged)
		insert_span(o, (struct span){ acknowledged + 1, end });
}

void outbox_extend(struct outbox *o, uint64_t end)
{
	struct span *top = o->n_waits > 0 ? &o->waits[o->n_waits - 1] : NULL;
	const struct span more = { o->end + 1, end };

	if (end <= o->end)
		return;
	if (top && top->last == o->end && (o->in_order || top->last - top->first < OUTBOX_LIVE))
		top->last = end;
	else
		insert_span(o, more);
	o->end = end;
}

bool outbox_pick(struct outbox *o, struct span *ret)
{
	bool oldest = o->in_order || o->turn % OUTBOX_TURNS == OUTBOX_TURNS - 1;

	if (o->n_waits == 0 || o->paused || o->stuck)
		return false;
	*ret = o->waits[oldest ? 0 : o->n_waits - 1];
	return true;
}

void outbox_pick_newest(const struct outbox *o, struct span *ret)
{
	assert(o->n_waits > 0);
	*ret = o->waits[o->in_order ? 0 : o->n_waits - 1];
}

bool outbox_is_live(const struct outbox *o, const struct span *picked)
{
	return picked->last == o->end && picked->last - picked->first < OUTBOX_LIVE;
}

/* The span that was picked; nothing has changed since. */
static unsigned int find(const struct outbox *o, const struct span *picked)
{
	unsigned int i = 0;

	while (i < o->n_waits && o->waits[i].first != picked->first)
		i++;
	assert(i < o->n_waits);
	return i;
}

void outbox_skip(struct outbox *o, const struct span *picked, uint64_t last)
{
	unsigned int i = find(o, picked);

	if (last > o->sent)
		o->sent = last;
	if (last >= o->waits[i].last)
		drop_span(o, i);
	else
		o->waits[i].first = last + 1;
}

unsigned int outbox_take(struct outbox *o, const struct span *picked, const struct entry *e)
{
	unsigned int n = 0;

	assert(e->span.first >= picked->first && e->span.last <= picked->last);
	while (o->entries[n].busy) {
		n++;
		assert(n < o->n_entries);
	}
	o->entries[n] = *e;
	o->entries[n].busy = true;
	o->n_busy++;
	o->turn++;
	outbox_skip(o, picked, e->span.last);
	return n;
}

static void release(struct outbox *o, unsigned int number)
{
	assert(number < o->n_entries && o->entries[number].busy);
	o->entries[number].busy = false;
	o->n_busy--;
}

void outbox_done(struct outbox *o, unsigned int number)
{
	release(o, number);
}

void outbox_again(struct outbox *o, unsigned int number, bool alone)
{
	const struct span s = o->entries[number].span;

	release(o, number);
	if (alone)
		o->alone[o->next_alone++ % OUTBOX_ALONE] = s;
	wait_again(o, s);
}

void outbox_lost(struct outbox *o)
{
	for (unsigned int i = 0; i < o->n_entries; i++) {
		if (o->entries[i].busy)
			outbox_again(o, i, false);
	}
	o->paused = o->stuck = false;
}

void outbox_cover(struct outbox *o, uint64_t first, uint64_t last)
{
	for (unsigned int i = 0; i < o->n_waits;) {
		struct span *w = &o->waits[i];
		const struct span rest = { last + 1, w->last };

		if (w->last < first || w->first > last) {
			i++;
		} else if (w->first >= first && w->last <= last) {
			drop_span(o, i);
		} else if (w->first >= first) {
			w->first = last + 1;
			i++;
		} else if (w->last <= last) {
			w->last = first - 1;
			i++;
		} else if (o->n_waits < OUTBOX_SPANS) {
			w->last = first - 1;
			insert_span(o, rest);
			i += 2;
		} else {
			i++; /* it goes twice */
		}
	}
}

static void cover_on_the_way(struct outbox *o)
{
	for (unsigned int i = 0; i < o->n_entries; i++) {
		if (o->entries[i].busy)
			outbox_cover(o, o->entries[i].span.first, o->entries[i].span.last);
	}
}

void outbox_repeat(struct outbox *o, uint64_t first, uint64_t last)
{
	assert(first >= 1 && first <= last && last <= o->end);
	wait_again(o, (struct span){ first, last });
	o->paused = false;
	cover_on_the_way(o);
}

void outbox_rewind(struct outbox *o, uint64_t after)
{
	outbox_cover(o, after + 1, o->end);
	o->paused = false;
	if (o->end > after)
		wait_again(o, (struct span){ after + 1, o->end });
	cover_on_the_way(o);
}

uint64_t outbox_watermark(const struct outbox *o)
{
	uint64_t lowest = o->n_waits > 0 ? o->waits[0].first : o->end + 1;

	for (unsigned int i = 0; o->n_busy > 0 && i < o->n_entries; i++) {
		if (o->entries[i].busy && o->entries[i].span.first < lowest)
			lowest = o->entries[i].span.first;
	}
	return lowest - 1;
}

uint64_t outbox_handed_over(const struct outbox *o)
{
	return o->n_waits > 0 ? o->waits[0].first - 1 : o->end;
}

bool outbox_goes_alone(const struct outbox *o, uint64_t sequence)
{
	for (unsigned int i = 0; i < OUTBOX_ALONE; i++) {
		if (sequence >= o->alone[i].first && sequence <= o->alone[i].last)
			return true;
	}
	return false;
}
