/* Start: what is in memory is filled again from what is stored. */
#include <errno.h>
#include <string.h>

#include "gateway/pipeline_part.h"

#define REPLACES 29 /* field number in Reading */
#define WIRE_64  1
#define WIRE_LEN 2
#define WIRE_32  5

/* ---- what is not shown ---- */

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	uint64_t n = 0;

	for (unsigned int shift = 0; shift < 64 && *at < end; shift += 7) {
		const uint8_t byte = *(*at)++;

		n |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = n;
			return true;
		}
	}
	return false;
}

/* a tag and the length of what belongs to it, which is at *at then */
static bool take_field(const uint8_t **at, const uint8_t *end, uint64_t *ret_tag, uint64_t *ret_len)
{
	uint64_t value;

	*ret_len = 0;
	if (!take_varint(at, end, ret_tag))
		return false;
	switch (*ret_tag & 7) {
	case 0:
		return take_varint(at, end, &value);
	case WIRE_64:
		*ret_len = 8;
		break;
	case WIRE_LEN:
		if (!take_varint(at, end, ret_len))
			return false;
		break;
	case WIRE_32:
		*ret_len = 4;
		break;
	default:
		return false;
	}
	return *ret_len <= (uint64_t)(end - *at);
}

/* The reading_id that a packed reading replaces, found without unpacking it, for most replace none;
 * NULL: it does not either. */
static const uint8_t *replaced_by(const uint8_t *at, size_t n)
{
	const uint8_t *end = at + n;
	uint64_t tag, len;

	while (at < end && take_field(&at, end, &tag, &len)) {
		if (tag == (REPLACES << 3 | WIRE_LEN))
			return len == ID_SET_BYTES ? at : NULL;
		at += len;
	}
	return NULL;
}

static int hide_replaced(struct pipeline *p, const struct store_row *row)
{
	const uint8_t *id = replaced_by(row->payload, row->len);

	return id ? id_set_add(&p->hidden, id) : 0;
}

static int hide_corrected(struct pipeline *p, const struct store_row *row)
{
	const Wellgate__V1__Correction *c;

	arena_reset(&p->arena);
	c = wellgate__v1__correction__unpack(arena_protobuf(&p->arena), row->len, row->payload);
	return c && c->reading_id.len == ID_SET_BYTES ? id_set_add(&p->hidden, c->reading_id.data)
						      : 0;
}

static int each_row(struct pipeline *p, enum lane lane,
		    int (*take)(struct pipeline *p, const struct store_row *row))
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next(p->parts.store, lane, row.sequence, &row)) > 0) {
		r = take(p, &row);
		if (r < 0)
			return r;
	}
	return r;
}

static int each_held(struct pipeline *p,
		     int (*take)(struct pipeline *p, const struct store_row *row))
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next_held(p->parts.store, row.sequence, &row)) > 0) {
		r = take(p, &row);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- results and readings ---- */

static int take_result(struct pipeline *p, const struct store_row *row)
{
	const Wellgate__V1__GoalResult *result;
	int r;

	arena_reset(&p->arena);
	result = wellgate__v1__goal_result__unpack(arena_protobuf(&p->arena), row->len,
						   row->payload);
	r = result ? goal_book_restore(p->parts.book, result) : 0;
	return r == -ENOENT ? 0 : r; /* a goal that is not set any more */
}

static Wellgate__V1__Reading *unpack(struct pipeline *p, const struct store_row *row)
{
	arena_reset(&p->arena);
	return wellgate__v1__reading__unpack(arena_protobuf(&p->arena), row->len, row->payload);
}

/* What somebody weighed when they said "this was me"; perhaps only after it was published. */
static void learn(struct pipeline *p, const Wellgate__V1__Reading *reading)
{
	struct filing_answer a;

	if (reading->metric != WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT || !reading->subject ||
	    !filing_in_use(p->filing))
		return;
	filing_ask(p->filing, reading, reading->subject, &a);
	if (strcmp(a.about.subject, reading->subject) == 0)
		filing_learn(p->filing, reading, &a);
}

static int take_reading(struct pipeline *p, const struct store_row *row)
{
	Wellgate__V1__Reading *reading = unpack(p, row);
	int r;

	if (!reading)
		return 0;
	intake_remember(p->parts.intake, reading);
	if (reading->has_reading_id && reading->reading_id.len == ID_SET_BYTES &&
	    id_set_has(&p->hidden, reading->reading_id.data))
		return 0;
	inventory_count(&p->inventory, reading);
	refile_note_time(p, reading, row->sequence, true);
	learn(p, reading);
	/* not by the tags it was stored with: goals may have been set or changed since */
	r = goal_book_tag(p->parts.book, reading, &p->arena);
	return r < 0 ? r : pipeline_count(p, reading);
}

static int take_held(struct pipeline *p, const struct store_row *row)
{
	const Wellgate__V1__Reading *reading = unpack(p, row);

	if (!reading)
		return 0;
	intake_remember(p->parts.intake, reading);
	inventory_count(&p->inventory, reading);
	return 0;
}

static int take_into_book(struct pipeline *p, const struct store_row *row)
{
	Wellgate__V1__Reading *reading = unpack(p, row);
	int r;

	if (!reading || (reading->has_reading_id && reading->reading_id.len == ID_SET_BYTES &&
			 id_set_has(&p->hidden, reading->reading_id.data)))
		return 0;
	r = goal_book_tag(p->parts.book, reading, &p->arena);
	return r < 0 ? r : pipeline_count(p, reading);
}

int refill_book(struct pipeline *p)
{
	int r = each_row(p, LANE_RESULTS, take_result);

	if (r == 0)
		r = each_row(p, LANE_READINGS, take_into_book);
	if (r == 0)
		goal_book_settle(p->parts.book);
	return r;
}

int refill(struct pipeline *p)
{
	int r = filing_load(p->filing, &p->arena);

	if (r == 0)
		r = pipeline_load_goals(p);
	if (r == 0)
		r = each_row(p, LANE_RESULTS, take_result);
	/* the later revision comes after what it replaces: a walk for those first */
	if (r == 0)
		r = each_row(p, LANE_CORRECTIONS, hide_corrected);
	if (r == 0)
		r = each_row(p, LANE_READINGS, hide_replaced);
	if (r == 0)
		r = each_held(p, hide_replaced);
	if (r == 0)
		r = each_row(p, LANE_READINGS, take_reading);
	if (r == 0)
		r = each_held(p, take_held);
	if (r < 0)
		return r;
	goal_book_settle(p->parts.book);
	id_set_settle(&p->hidden);
	return 0;
}
