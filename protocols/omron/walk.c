#include "protocols/omron/walk.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define NONE_UNREAD 0x8000
#define FLAG_BITS   0xc000 /* of a word of the index */
#define LOST_IN_ROW 3      /* blocks, and the cuff is taken for gone */
#define COUNTED     2      /* regions with words in the index */

#define BEGIN_SIZE OMRON_ID_SIZE

static bool has(struct omron_window window)
{
	return window.end > window.start;
}

static size_t size_of(struct omron_window window)
{
	return (size_t)(window.end - window.start);
}

static void worsen(struct omron_walk *w, enum omron_trouble trouble)
{
	if (trouble > w->trouble)
		w->trouble = trouble;
}

static void go(struct omron_walk *w, enum omron_step step)
{
	w->step = step;
	w->attempts = 0;
}

static void fail(struct omron_walk *w, enum omron_trouble trouble)
{
	worsen(w, trouble);
	go(w, OMRON_STEP_FAILED);
}

/* ---- blocks of records ---- */

static const struct omron_region *region(const struct omron_walk *w)
{
	return &w->profile->regions[w->region];
}

/* As many whole records as one answer holds; a long record comes in pieces. */
static void plan_block(struct omron_walk *w)
{
	const size_t size = w->profile->record_size;
	const size_t fit = w->profile->block / size;
	size_t n = (size_t)region(w)->records - w->slot;

	if (n > fit)
		n = fit > 0 ? fit : 1;
	w->block_len = n * size;
	w->got = 0;
}

static void begin_region(struct omron_walk *w, size_t i)
{
	w->region = i;
	w->slot = 0;
	if (i == omron_profile_regions(w->profile)) {
		go(w, OMRON_STEP_COMMIT);
		return;
	}
	go(w, OMRON_STEP_RECORDS);
	plan_block(w);
}

static void next_block(struct omron_walk *w)
{
	w->slot = (uint16_t)(w->slot + w->block_len / w->profile->record_size);
	if (w->slot >= region(w)->records) {
		begin_region(w, w->region + 1);
		return;
	}
	go(w, OMRON_STEP_RECORDS);
	plan_block(w);
}

static void leave_block_out(struct omron_walk *w)
{
	w->left_out = true;
	w->incomplete |= 1u << w->region;
	next_block(w);
}

static void after_clock(struct omron_walk *w)
{
	begin_region(w, 0);
}

static void after_index(struct omron_walk *w)
{
	if (has(w->profile->clock))
		go(w, OMRON_STEP_CLOCK);
	else
		after_clock(w);
}

static void after_begin(struct omron_walk *w)
{
	if (has(w->profile->unread))
		go(w, OMRON_STEP_INDEX);
	else
		after_index(w);
}

/* ---- what comes after the commit ---- */

static uint16_t index_word(const struct omron_walk *w, const uint8_t *index, size_t at)
{
	const unsigned int first = index[at], second = index[at + 1];

	return (uint16_t)(w->profile->big_endian ? first << 8 | second : second << 8 | first);
}

static void put_index_word(const struct omron_walk *w, uint8_t *index, size_t at, uint16_t value)
{
	const uint8_t low = (uint8_t)value, high = (uint8_t)(value >> 8);

	index[at] = w->profile->big_endian ? high : low;
	index[at + 1] = w->profile->big_endian ? low : high;
}

/* A slot and a count within the ring: otherwise the index is not what we take it for. */
static bool is_index(const struct omron_walk *w)
{
	for (size_t i = 0; i < COUNTED && w->profile->regions[i].records > 0; i++) {
		const unsigned int max = w->profile->regions[i].records;

		if ((index_word(w, w->index, 2 * i) & ~FLAG_BITS) > max ||
		    (index_word(w, w->index, 4 + 2 * i) & ~FLAG_BITS) > max)
			return false;
	}
	return true;
}

/* The index as it shall be; false: it is so already. */
static bool plan_reset(struct omron_walk *w)
{
	bool changes = false;

	memcpy(w->written, w->index, sizeof(w->written));
	for (size_t i = 0; i < COUNTED && w->profile->regions[i].records > 0; i++) {
		if (w->incomplete & (1u << i) || index_word(w, w->index, 4 + 2 * i) == NONE_UNREAD)
			continue;
		put_index_word(w, w->written, 4 + 2 * i, NONE_UNREAD);
		changes = true;
	}
	return changes;
}

static void after_reset(struct omron_walk *w)
{
	if ((w->options & OMRON_MAY_SET_CLOCK) && w->set_wanted && w->has_clock)
		go(w, OMRON_STEP_CLOCK_AGAIN);
	else
		go(w, OMRON_STEP_END);
}

void omron_walk_committed(struct omron_walk *w, const struct gatt_date_time *now)
{
	assert(w->step == OMRON_STEP_COMMIT);
	w->set_wanted = now != NULL;
	if (now)
		w->now = *now;
	if (!(w->options & OMRON_MAY_RESET) || !w->has_index) {
		after_reset(w);
	} else if (!is_index(w)) {
		worsen(w, OMRON_INDEX_STRANGE);
		after_reset(w);
	} else if (plan_reset(w)) {
		go(w, OMRON_STEP_INDEX_AGAIN);
	} else {
		after_reset(w);
	}
}

/* ---- questions ---- */

static struct omron_frame reading(uint16_t address, size_t size)
{
	return (struct omron_frame){ .command = OMRON_READ,
				     .address = address,
				     .size = (uint8_t)size };
}

static struct omron_frame window_frame(const struct omron_walk *w, struct omron_window window,
				       bool mirror)
{
	const uint16_t base = mirror ? w->profile->mirror : w->profile->settings;

	return reading((uint16_t)(base + window.start), size_of(window));
}

static struct omron_frame writing(const struct omron_walk *w, struct omron_window window)
{
	struct omron_frame f = window_frame(w, window, true);

	f.command = OMRON_WRITE;
	f.data = w->written;
	f.len = f.size;
	return f;
}

static struct omron_frame record_frame(const struct omron_walk *w)
{
	const size_t at = region(w)->start + (size_t)w->slot * w->profile->record_size + w->got;
	size_t n = w->block_len - w->got;

	if (n > w->profile->block)
		n = w->profile->block;
	return reading((uint16_t)at, n);
}

static int question(const struct omron_walk *w, struct omron_frame *ret)
{
	switch (w->step) {
	case OMRON_STEP_BEGIN:
		*ret = (struct omron_frame){ .command = OMRON_BEGIN, .size = BEGIN_SIZE };
		return 0;
	case OMRON_STEP_INDEX:
	case OMRON_STEP_INDEX_AGAIN:
		*ret = window_frame(w, w->profile->unread, false);
		return 0;
	case OMRON_STEP_CLOCK:
	case OMRON_STEP_CLOCK_AGAIN:
		*ret = window_frame(w, w->profile->clock, false);
		return 0;
	case OMRON_STEP_RECORDS:
		*ret = record_frame(w);
		return 0;
	case OMRON_STEP_RESET:
		*ret = writing(w, w->profile->unread);
		return 0;
	case OMRON_STEP_RESET_CHECK:
		*ret = window_frame(w, w->profile->unread, true);
		return 0;
	case OMRON_STEP_SET:
		*ret = writing(w, w->profile->clock);
		return 0;
	case OMRON_STEP_SET_CHECK:
		*ret = window_frame(w, w->profile->clock, true);
		return 0;
	case OMRON_STEP_END:
		*ret = (struct omron_frame){ .command = OMRON_END };
		return 0;
	case OMRON_STEP_COMMIT:
	case OMRON_STEP_OVER:
	case OMRON_STEP_FAILED:
	case OMRON_STEP_LAST:
		break;
	}
	return -ENODATA;
}

int omron_walk_question(const struct omron_walk *w, struct writer *to)
{
	struct omron_frame f;
	int r = question(w, &f);

	return r < 0 ? r : omron_frame_encode(&f, to);
}

void omron_walk_begin(struct omron_walk *w, const struct omron_profile *profile,
		      unsigned int options, unsigned int patience)
{
	assert(patience > 0);
	*w = (struct omron_walk){ .profile = profile, .options = options, .patience = patience };
}

/* ---- answers ---- */

static void on_begin(struct omron_walk *w, const struct omron_frame *f)
{
	w->has_id = f->len == OMRON_ID_SIZE;
	if (w->has_id)
		memcpy(w->id, f->data, OMRON_ID_SIZE);
	after_begin(w);
}

static void on_index(struct omron_walk *w, const struct omron_frame *f)
{
	w->has_index = f->len > 0;
	if (w->has_index)
		memcpy(w->index, f->data, f->len);
	after_index(w);
}

static void on_clock(struct omron_walk *w, const struct omron_frame *f)
{
	w->has_clock = f->len > 0;
	if (w->has_clock)
		memcpy(w->clock, f->data, f->len);
	after_clock(w);
}

static void on_records(struct omron_walk *w, const struct omron_frame *f,
		       struct omron_step_result *ret)
{
	if (f->len == 0) { /* refused: of a user that nobody is, the cuff has none */
		if (w->slot == 0 && w->got == 0) {
			w->incomplete |= 1u << w->region;
			begin_region(w, w->region + 1);
		} else {
			leave_block_out(w);
		}
		return;
	}
	memcpy(w->block + w->got, f->data, f->len);
	w->got += f->len;
	if (w->got < w->block_len) {
		w->attempts = 0;
		return;
	}
	ret->n = w->block_len / w->profile->record_size;
	ret->records = w->block;
	ret->region = w->region;
	ret->slot = w->slot;
	next_block(w);
}

/* Somebody measured meanwhile, or a telephone was here: then it is not ours to say "none
 * unread". */
static void on_index_again(struct omron_walk *w, const struct omron_frame *f)
{
	if (f->len > 0 && memcmp(f->data, w->index, f->len) == 0) {
		go(w, OMRON_STEP_RESET);
		return;
	}
	worsen(w, OMRON_INDEX_STRANGE);
	after_reset(w);
}

static void on_clock_again(struct omron_walk *w, const struct omron_frame *f)
{
	memset(w->written, 0, sizeof(w->written));
	if (f->len > 0)
		memcpy(w->written, f->data, f->len);
	if (f->len > 0 && omron_clock_set(w->profile, w->written, f->len, &w->now) == 0)
		go(w, OMRON_STEP_SET);
	else
		go(w, OMRON_STEP_END);
}

static void on_written(struct omron_walk *w, const struct omron_frame *f, enum omron_step check,
		       void (*otherwise)(struct omron_walk *w))
{
	if (f->result == 0) {
		go(w, check);
		return;
	}
	worsen(w, OMRON_WRITE_REFUSED);
	otherwise(w);
}

static void on_checked(struct omron_walk *w, const struct omron_frame *f,
		       void (*next)(struct omron_walk *w))
{
	if (f->len == 0 || memcmp(f->data, w->written, f->len) != 0)
		worsen(w, OMRON_WRITE_DOUBTFUL);
	next(w);
}

static void end_it(struct omron_walk *w)
{
	go(w, OMRON_STEP_END);
}

static void take(struct omron_walk *w, const struct omron_frame *f, struct omron_step_result *ret)
{
	switch (w->step) {
	case OMRON_STEP_BEGIN:
		on_begin(w, f);
		break;
	case OMRON_STEP_INDEX:
		on_index(w, f);
		break;
	case OMRON_STEP_CLOCK:
		on_clock(w, f);
		break;
	case OMRON_STEP_RECORDS:
		on_records(w, f, ret);
		break;
	case OMRON_STEP_INDEX_AGAIN:
		on_index_again(w, f);
		break;
	case OMRON_STEP_RESET:
		on_written(w, f, OMRON_STEP_RESET_CHECK, after_reset);
		break;
	case OMRON_STEP_RESET_CHECK:
		on_checked(w, f, after_reset);
		break;
	case OMRON_STEP_CLOCK_AGAIN:
		on_clock_again(w, f);
		break;
	case OMRON_STEP_SET:
		on_written(w, f, OMRON_STEP_SET_CHECK, end_it);
		break;
	case OMRON_STEP_SET_CHECK:
		on_checked(w, f, end_it);
		break;
	case OMRON_STEP_END:
		go(w, OMRON_STEP_OVER);
		break;
	case OMRON_STEP_COMMIT:
	case OMRON_STEP_OVER:
	case OMRON_STEP_FAILED:
	case OMRON_STEP_LAST:
		break;
	}
}

/* a read answered with neither data nor a reason was cut short */
static bool is_cut(const struct omron_frame *asked, const struct omron_frame *f)
{
	if (asked->command != OMRON_READ)
		return false;
	return f->len == 0 ? f->result == 0 : f->len != asked->size;
}

int omron_walk_answer(struct omron_walk *w, const uint8_t *data, size_t len,
		      struct omron_step_result *ret)
{
	struct omron_step_result result = { .answered = w->step };
	struct omron_frame f, asked;
	int r = omron_frame_decode(data, len, &f);

	if (r < 0)
		return r;
	if (question(w, &asked) < 0)
		return -ENOMSG;
	if (f.command == (OMRON_END | OMRON_ANSWER) && asked.command != OMRON_END) {
		fail(w, OMRON_REJECTED);
		return -EPROTO;
	}
	if (f.command != (asked.command | OMRON_ANSWER))
		return -ENOMSG;
	if (asked.command != OMRON_BEGIN && asked.command != OMRON_END &&
	    f.address != asked.address)
		return -ENOMSG;
	if (is_cut(&asked, &f))
		return -EMSGSIZE;
	w->lost_in_row = 0;
	take(w, &f, &result);
	*ret = result;
	return 0;
}

/* ---- silence ---- */

static unsigned int attempts_at(const struct omron_walk *w)
{
	return w->step == OMRON_STEP_BEGIN ? w->patience : OMRON_ATTEMPTS;
}

static bool is_writing(enum omron_step step)
{
	return step == OMRON_STEP_RESET || step == OMRON_STEP_RESET_CHECK ||
	       step == OMRON_STEP_SET || step == OMRON_STEP_SET_CHECK;
}

static int give_up(struct omron_walk *w)
{
	if (w->step == OMRON_STEP_INDEX) { /* it can do without */
		after_index(w);
		return 0;
	}
	if (w->step == OMRON_STEP_CLOCK) {
		after_clock(w);
		return 0;
	}
	if (w->step == OMRON_STEP_RECORDS && ++w->lost_in_row < LOST_IN_ROW) {
		leave_block_out(w);
		return 0;
	}
	if (is_writing(w->step))
		worsen(w, OMRON_WRITE_DOUBTFUL);
	fail(w, OMRON_SILENT);
	return -ETIMEDOUT;
}

int omron_walk_silence(struct omron_walk *w)
{
	struct omron_frame f;

	if (question(w, &f) < 0)
		return 0;
	if (++w->attempts < attempts_at(w))
		return 0;
	return give_up(w);
}

void omron_walk_doubt(struct omron_walk *w, size_t region_index)
{
	assert(region_index < OMRON_REGIONS_MAX);
	w->incomplete |= 1u << region_index;
}
