/*
 * A simulated Omron cuff: 64 KiB of memory behind the frames of the memory protocol, with an eye on
 * what is written to it. All in it is made up.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/omron/walk.h"

#define CUFF_SIZE 0x10000U

struct omron_cuff {
	const struct omron_profile *profile;
	uint8_t memory[CUFF_SIZE];
	bool begun, ended, took;     /* took: a write of this dialogue */
	unsigned int writes, strays; /* a stray write: not within the windows of the mirror */
	bool mute_user_2;            /* nobody is user 2: it refuses that memory */
	bool write_refused, write_twisted;
};

static inline void cuff_turn(uint8_t *data, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		const uint8_t first = data[i];

		data[i] = data[i + 1];
		data[i + 1] = first;
	}
}

/* The n-th record of a user: values and time that no other of the same cuff has. */
static inline void cuff_record(const struct omron_profile *p, uint8_t *data, unsigned int n,
			       unsigned int user)
{
	const size_t size = p->record_size;
	const unsigned int day = 1 + n / 24 % 28, month = 1 + n / (24 * 28) % 12, hour = n % 24;
	const unsigned int first = hour | day << 5 | month << 10,
			   second = user | n % 60 << 6 | 1 << 12;

	memset(data, 0, size);
	if (p->layout == OMRON_6401) {
		const uint8_t record[] = { 26,
					   (uint8_t)month,
					   (uint8_t)day,
					   (uint8_t)hour,
					   (uint8_t)(n % 60),
					   (uint8_t)user,
					   100,
					   80,
					   70 };

		memcpy(data, record, sizeof(record));
		return;
	}
	data[0] = (uint8_t)(90 + n % 60);
	data[1] = (uint8_t)(60 + user);
	data[2] = (uint8_t)(50 + n % 50);
	data[3] = 26;
	data[4] = (uint8_t)first;
	data[5] = (uint8_t)(first >> 8);
	data[6] = (uint8_t)second;
	data[7] = (uint8_t)(second >> 8);
	data[10] = (uint8_t)n;
	data[11] = (uint8_t)(n >> 8);
	data[size - 2] = omron_sum(data, size);
	if (p->big_endian)
		cuff_turn(data, size);
}

static inline void cuff_put_word(const struct omron_profile *p, uint8_t *at, unsigned int value)
{
	at[p->big_endian ? 1 : 0] = (uint8_t)value;
	at[p->big_endian ? 0 : 1] = (uint8_t)(value >> 8);
}

static inline uint8_t *cuff_index(struct omron_cuff *c)
{
	return c->memory + c->profile->settings + c->profile->unread.start;
}

/* Somebody measures: into the ring, and it counts. */
static inline void cuff_measure(struct omron_cuff *c, size_t region, unsigned int n,
				unsigned int unread)
{
	const struct omron_region *r = &c->profile->regions[region];
	const size_t at = r->start + (size_t)(n % r->records) * c->profile->record_size;

	cuff_record(c->profile, c->memory + at, n, (unsigned int)region + 1);
	if (c->profile->unread.end == 0 || region > 1)
		return;
	cuff_put_word(c->profile, cuff_index(c) + 2 * region, 0x4000 | (n + 1) % r->records);
	cuff_put_word(c->profile, cuff_index(c) + 4 + 2 * region,
		      unread > r->records ? r->records : unread);
}

static inline void cuff_new(struct omron_cuff *c, const struct omron_profile *p)
{
	const struct gatt_date_time now = { 2026, 9, 30, 8, 0, 50 };
	uint8_t *clock = c->memory + p->settings + p->clock.start;
	const size_t n = (size_t)(p->clock.end - p->clock.start);

	memset(c, 0, sizeof(*c));
	c->profile = p;
	memset(c->memory, 0xff, sizeof(c->memory));
	if (p->unread.end > 0) {
		memset(cuff_index(c), 0, (size_t)(p->unread.end - p->unread.start));
		for (size_t i = 0; i < 4; i++)
			cuff_put_word(p, cuff_index(c) + 2 * i, 0x8000);
	}
	if (n > 0) {
		memset(clock, 0, n);
		(void)omron_clock_set(p, clock, n, &now);
	}
}

static inline bool cuff_within(const struct omron_profile *p, struct omron_window w,
			       const struct omron_frame *f)
{
	return w.end > 0 && f->address == p->mirror + w.start &&
	       f->len == (size_t)(w.end - w.start);
}

static inline void cuff_write(struct omron_cuff *c, const struct omron_frame *f,
			      struct omron_frame *answer)
{
	c->writes++;
	if (!cuff_within(c->profile, c->profile->unread, f) &&
	    !cuff_within(c->profile, c->profile->clock, f))
		c->strays++;
	answer->size = f->size;
	if (c->write_refused) {
		answer->result = 1;
		return;
	}
	c->took = true;
	if (f->address + f->len <= CUFF_SIZE)
		memcpy(c->memory + f->address, f->data, f->len);
	if (c->write_twisted)
		c->memory[f->address] ^= 1;
	answer->data = f->data;
	answer->len = f->len;
}

/* the mirror is taken over when the dialogue ends well */
static inline void cuff_end(struct omron_cuff *c)
{
	const struct omron_profile *p = c->profile;

	c->ended = true;
	if (c->took && p->unread.end > 0)
		memcpy(c->memory + p->settings, c->memory + p->mirror,
		       (size_t)(p->unread.end - p->unread.start));
}

static inline bool cuff_refuses(const struct omron_cuff *c, uint16_t address)
{
	return c->mute_user_2 && c->profile->regions[1].records > 0 &&
	       address >= c->profile->regions[1].start;
}

/* The answer to a frame; its length, 0: it says nothing. */
static inline size_t cuff_answer(struct omron_cuff *c, const uint8_t *data, size_t len,
				 uint8_t ret[OMRON_FRAME_MAX])
{
	static const uint8_t about[OMRON_ID_SIZE] = { 0x5a };
	struct omron_frame f, answer = { .command = 0 };
	struct writer w = writer_of(ret, OMRON_FRAME_MAX);

	if (omron_frame_decode(data, len, &f) < 0)
		return 0;
	answer.command = f.command | OMRON_ANSWER;
	answer.address = f.address;
	if (f.command == OMRON_BEGIN) {
		answer.data = about;
		answer.size = sizeof(about);
		answer.len = sizeof(about);
		c->begun = true;
		c->ended = false;
		c->writes = 0;
		c->took = false;
	} else if (!c->begun) {
		return 0;
	} else if (f.command == OMRON_READ) {
		answer.size = f.size;
		answer.result = cuff_refuses(c, f.address) ? 0x0f : 0;
		answer.data = c->memory + f.address;
		answer.len = answer.result || f.address + f.size > CUFF_SIZE ? 0 : f.size;
	} else if (f.command == OMRON_WRITE) {
		cuff_write(c, &f, &answer);
	} else if (f.command == OMRON_END) {
		cuff_end(c);
	} else {
		c->strays++;
	}
	return omron_frame_encode(&answer, &w) == 0 ? w.len : 0;
}
