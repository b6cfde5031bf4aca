#include "gateway/intake/intake.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/intake/steps.h"
#include "gateway/text.h"

enum {
	ID_BYTES = 16,
	DIGEST_MAX = 32,
	TEXT_MAX = 128,
	SLOT_UNKNOWN = 255,
	FLAG_MAX = 63, /* what fits a bit set */
};

/* ---- making */

int intake_new(const struct intake_options *options, struct intake **ret)
{
	struct intake *in;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	if (options->subject && !text_is_clean(options->subject))
		return -EINVAL;
	in = calloc(1, sizeof(*in));
	if (!in)
		return -ENOMEM;
	in->test = options->test;
	in->import = options->import;
	in->zone_stated = options->zone_stated;
	in->now = options->now ? options->now : receipt_now;
	r = zone_load(options->time_zone, &in->zone);
	if (r == 0 && options->subject) {
		in->subject = strdup(options->subject);
		r = in->subject ? 0 : -ENOMEM;
	}
	if (r < 0) {
		intake_free(in);
		return r == -ENOMEM ? r : -EINVAL;
	}
	*ret = in;
	return 0;
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	zone_free(in->zone);
	free(in->subject);
	free(in);
}

void intake_now(const struct intake *in, struct receipt *ret)
{
	in->now(ret);
}

int intake_digest(const uint8_t key[32], const char *text, uint8_t ret[16])
{
	if (sodium_init() < 0)
		return -EIO;
	return crypto_generichash(ret, 16, (const uint8_t *)text, strlen(text), key, 32) == 0
		       ? 0
		       : -EIO;
}

/* ---- the parts that need no step of their own */

/* Text comes by radio. What is not clean is left out: a reading is not lost for a bad name. */
static int text(struct arena *arena, const char *from, char **ret)
{
	if (!from || !*from || strnlen(from, TEXT_MAX + 1) > TEXT_MAX || !text_is_clean(from))
		return 0;
	*ret = arena_strdup(arena, from);
	return *ret ? 0 : -ENOMEM;
}

static int bytes(struct arena *arena, const void *from, size_t len, ProtobufCBinaryData *ret)
{
	ret->data = arena_memdup(arena, from, len);
	if (!ret->data)
		return -ENOMEM;
	ret->len = len;
	return 0;
}

static int set_device(struct draft *d)
{
	const struct intake_device *from = d->device;
	Wellgate__V1__DeviceRef *ref = arena_alloc(d->arena, sizeof(*ref));
	int r;

	if (!ref)
		return -ENOMEM;
	wellgate__v1__device_ref__init(ref);
	d->r->device = ref;
	r = text(d->arena, from->driver, &ref->driver);
	if (r == 0)
		r = text(d->arena, from->make, &ref->make);
	if (r == 0)
		r = text(d->arena, from->model, &ref->model);
	if (r == 0)
		r = text(d->arena, from->firmware, &ref->firmware);
	if (r == 0)
		r = text(d->arena, from->hardware, &ref->hardware);
	if (r < 0 || !from->has_digest)
		return r;
	ref->has_serial_digest = true;
	return bytes(d->arena, from->serial_digest, sizeof(from->serial_digest),
		     &ref->serial_digest);
}

static int set_device_time(struct draft *d)
{
	const Wellgate__V1__DeviceTime *from = d->m->device_time;

	/* a stamp of no kind is no stamp */
	if (!from || !from->has_kind ||
	    from->kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_UNSPECIFIED)
		return 0;
	d->r->device_time = arena_memdup(d->arena, from, sizeof(*from));
	if (!d->r->device_time)
		return -ENOMEM;
	/* unknown fields belong to the message they came in */
	d->r->device_time->base.n_unknown_fields = 0;
	d->r->device_time->base.unknown_fields = NULL;
	return 0;
}

static Wellgate__V1__Origin origin(const struct intake *in, const struct draft *d)
{
	if (in->import)
		return WELLGATE__V1__ORIGIN__ORIGIN_IMPORT;
	return d->flags & FLAG_BIT(FLAG_MANUAL) ? WELLGATE__V1__ORIGIN__ORIGIN_MANUAL
						: WELLGATE__V1__ORIGIN__ORIGIN_SENSED;
}

static int set_numbers(const struct intake *in, struct draft *d)
{
	const Wellgate__V1__Measurement *m = d->m;
	Wellgate__V1__Reading *r = d->r;

	r->has_duration_ms = m->has_duration_ms;
	r->duration_ms = m->duration_ms;
	r->has_record_number = m->has_record_number;
	r->record_number = m->record_number;
	r->has_user_slot = m->has_user_slot && m->user_slot != SLOT_UNKNOWN;
	r->user_slot = r->has_user_slot ? m->user_slot : 0;
	r->has_link_security = m->has_link_security;
	r->link_security = m->link_security;
	r->has_origin = true;
	r->origin = origin(in, d);
	if (!m->has_raw_digest || m->raw_digest.len == 0)
		return 0;
	if (m->raw_digest.len > DIGEST_MAX)
		return -EBADMSG;
	r->has_raw_digest = true;
	return bytes(d->arena, m->raw_digest.data, m->raw_digest.len, &r->raw_digest);
}

static int take_flags(const struct intake *in, struct draft *d)
{
	for (size_t i = 0; i < d->m->n_flags; i++) {
		unsigned int flag = (unsigned int)d->m->flags[i];

		if (flag == 0 || flag > FLAG_MAX)
			return -EBADMSG;
		d->flags |= FLAG_BIT(flag);
	}
	if (d->flags & FLAGS_NOT_FINAL)
		return -ENOMSG;
	if (in->test || d->m->test)
		d->flags |= FLAG_BIT(FLAG_TEST);
	return 0;
}

int intake_list_flags(struct draft *d)
{
	size_t n = (size_t)__builtin_popcountll(d->flags);

	if (n == 0)
		return 0;
	d->r->flags = arena_alloc(d->arena, n * sizeof(*d->r->flags));
	if (!d->r->flags)
		return -ENOMEM;
	for (unsigned int flag = 1; flag <= FLAG_MAX; flag++) {
		if (d->flags & FLAG_BIT(flag))
			d->r->flags[d->r->n_flags++] = (Wellgate__V1__Flag)flag;
	}
	return 0;
}

/* RFC 9562, version 7: 48 bits of ms, then chance; sorts by time of receipt */
static int set_id(Wellgate__V1__Reading *r, int64_t received_ms, struct arena *arena)
{
	uint8_t id[ID_BYTES];
	uint64_t ms = (uint64_t)received_ms;

	randombytes_buf(id, sizeof(id));
	for (size_t i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x70);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	r->has_reading_id = true;
	return bytes(arena, id, sizeof(id), &r->reading_id);
}

int intake_revise(const Wellgate__V1__Reading *old, struct arena *arena,
		  Wellgate__V1__Reading **ret)
{
	Wellgate__V1__Reading *r = arena_memdup(arena, old, sizeof(*old));

	if (!r || set_id(r, old->received_at_ms, arena) < 0)
		return -ENOMEM;
	r->has_replaces = old->has_reading_id;
	r->replaces = old->reading_id;
	r->has_revision = true;
	/* no revision is the first; and 2^32 of them nobody makes */
	r->revision = old->has_revision && old->revision > 0 ? old->revision + 1 : 2;
	r->has_sequence = false;
	r->sequence = 0;
	r->n_goals = 0; /* the book tags it anew */
	r->goals = NULL;
	*ret = r;
	return 0;
}

static int set_rest(const struct intake *in, struct draft *d)
{
	int r = set_device(d);

	if (r == 0)
		r = set_device_time(d);
	if (r == 0)
		r = set_numbers(in, d);
	if (r == 0)
		r = text(d->arena, d->m->context, &d->r->context);
	if (r == 0)
		r = set_id(d->r, d->seen.utc_ms, d->arena);
	d->r->has_revision = true;
	d->r->revision = 1;
	return r;
}

/* ---- the way through */

static int steps(struct intake *in, const struct receipt *receipt, struct draft *d)
{
	int r = take_flags(in, d);

	if (r == 0)
		r = intake_receipt(in, receipt, d);
	if (r == 0)
		r = intake_clock(in, d);
	if (r == 0)
		r = intake_attribute(in, d);
	if (r == 0)
		r = intake_components(d);
	if (r == 0)
		r = set_rest(in, d);
	if (r == 0)
		r = intake_list_flags(d);
	return r == 0 ? intake_key(in, d) : r;
}

int intake_normalise(struct intake *in, const Wellgate__V1__Measurement *m,
		     const struct intake_device *device, const struct receipt *receipt,
		     struct arena *arena, Wellgate__V1__Reading **ret)
{
	struct draft d = { .m = m, .device = device, .arena = arena };
	int r;

	d.r = arena_alloc(arena, sizeof(*d.r));
	if (!d.r)
		return -ENOMEM;
	wellgate__v1__reading__init(d.r);
	r = steps(in, receipt, &d);
	if (r < 0)
		return r;
	*ret = d.r;
	return 0;
}
