/* The events, checked and taken into the index. Questions to the index are in index.c. */
#include "gateway/registry/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/registry/index.h"
#include "gateway/words/words.h"

#define PROOF_MIN 16
#define PROOF_MAX 64
#define SLOT_MAX  255

/* One event on its way in. */
struct change {
	struct registry *r;
	const Wellgate__V1__RegistryEvent *e;
	struct device *device; /* NULL: a device that is added */
	const char *problem;
};

static int refuse_saying(struct change *c, int error, const char *sentence)
{
	c->problem = sentence;
	return error;
}

static int refuse(struct change *c, int error, enum words_id sentence)
{
	return refuse_saying(c, error, words_text(WORDS_EN, sentence));
}

/* a zeroed row at the end, not counted yet: the caller fills it and then counts it */
static int rows_next(struct rows *rows, size_t size, size_t limit, void *ret)
{
	if (rows->n >= limit)
		return -ENOSPC;
	if (rows->n == rows->room) {
		const size_t room = rows->room ? rows->room * 2 : 4;
		void *row = realloc(rows->row, room * size);

		if (!row)
			return -ENOMEM;
		rows->row = row;
		rows->room = room;
	}
	*(void **)ret = memset((uint8_t *)rows->row + rows->n * size, 0, size);
	return 0;
}

static int next_row(struct change *c, struct rows *rows, size_t size, void *ret)
{
	const int r = rows_next(rows, size, REGISTRY_ROWS_MAX, ret);

	if (r < 0)
		return refuse(c, r, WORDS_REG_DEVICE_FULL);
	return 0;
}

static bool instant_is_sane(int64_t ms)
{
	return ms >= REGISTRY_EARLIEST_MS && ms < REGISTRY_LATEST_MS;
}

/* Times of a hub that does not know the time would reach back to 1970: to every earlier person. */
static int check_clock(struct change *c)
{
	if (!c->e->has_clock_synced || !c->e->clock_synced)
		return refuse(c, -EAGAIN, WORDS_REG_NO_TIME);
	if (!instant_is_sane(c->e->at_ms))
		return refuse(c, -ERANGE, WORDS_REG_DATE);
	return 0;
}

static int check_subject(struct change *c, const char *subject)
{
	const char *problem = NULL;

	if (reference_check(subject ? subject : "", &problem) < 0)
		return refuse_saying(c, -EBADMSG, problem);
	return 0;
}

static int check_slot(struct change *c, bool has_slot, uint32_t slot, int32_t *ret)
{
	if (has_slot && (c->device->slots < 2 || slot > c->device->slots))
		return refuse(c, -EBADMSG, WORDS_REG_NO_SLOT);
	*ret = has_slot ? (int32_t)slot : WHOLE_DEVICE;
	return 0;
}

/* ---- devices */

static int add_device(struct change *c)
{
	const Wellgate__V1__RegistryEvent__DeviceAdded *a = c->e->device_added;
	struct device *d;
	int r;

	if (c->device && !c->device->retired)
		return refuse(c, -EEXIST, WORDS_REG_DEVICE_KNOWN);
	if (!a->has_kind ||
	    a->kind == WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_UNSPECIFIED ||
	    a->slots > SLOT_MAX)
		return refuse(c, -EBADMSG, WORDS_REG_KIND);
	if (c->device) { /* taken back into use: its past stays with it */
		if (c->device->slots != a->slots || c->device->memory != a->memory_records ||
		    c->device->has_clock != (bool)a->has_clock ||
		    c->device->slot_guessed != (bool)a->slot_guessed)
			return refuse(c, -EBADMSG, WORDS_REG_CHANGED_KIND);
		c->device->retired = false;
		return 0;
	}
	r = rows_next(&c->r->devices, sizeof(*d), REGISTRY_DEVICES_MAX, &d);
	if (r < 0)
		return refuse(c, r, WORDS_REG_DEVICES_FULL);
	memcpy(d->digest, c->e->device.data, REGISTRY_DIGEST);
	d->kind = a->kind;
	d->slots = a->slots;
	d->memory = a->memory_records;
	d->has_clock = a->has_clock;
	d->slot_guessed = a->slot_guessed;
	c->r->devices.n++;
	return 0;
}

static int retire_device(struct change *c)
{
	struct claim *claim = device_claims(c->device);

	for (size_t i = 0; i < c->device->claims.n; i++) {
		if (!claim[i].ended && claim[i].basis != BASIS_SESSION)
			return refuse(c, -EBUSY, WORDS_REG_STILL_HAS);
	}
	c->device->retired = true;
	return 0;
}

/* ---- assignments and sessions */

static bool overlap(const struct claim *a, const struct claim *b)
{
	const int64_t a_to = claim_to(a, UINT64_MAX), b_to = claim_to(b, UINT64_MAX);

	/* what was ended where it began holds nothing */
	return a->from_ms < a_to && b->from_ms < b_to && a->from_ms < b_to && b->from_ms < a_to;
}

/* May these two stand beside each other, at one time and on one device? */
static bool compatible(const struct claim *a, const struct claim *b)
{
	const bool same = strcmp(a->subject, b->subject) == 0;
	const bool session = a->basis == BASIS_SESSION || b->basis == BASIS_SESSION;

	if (session && a->basis == b->basis)
		return false;
	if (session) /* a nurse's visit to a household, or with the person's own device */
		return same || a->basis == BASIS_SHARED || b->basis == BASIS_SHARED;
	if (a->basis == BASIS_SHARED && b->basis == BASIS_SHARED)
		return !same;
	if (a->basis == BASIS_SHARED)
		return b->slot != WHOLE_DEVICE;
	if (b->basis == BASIS_SHARED)
		return a->slot != WHOLE_DEVICE;
	return !claim_touches(b, a->slot);
}

static int check_free(struct change *c, const struct claim *wanted)
{
	const struct claim *claim = device_claims(c->device);

	for (size_t i = 0; i < c->device->claims.n; i++) {
		if (!overlap(&claim[i], wanted) || compatible(&claim[i], wanted))
			continue;
		return refuse(c, -EEXIST, WORDS_REG_TAKEN);
	}
	return 0;
}

/* since when nothing of anybody else can be in the memory; 0: nobody knows. *ret_mark may be NULL
 * after a wipe. */
static uint64_t clean_since(const struct device *d, int32_t slot, const struct mark **ret_mark)
{
	const struct wipe *wipe = device_wipe(d, UINT64_MAX);
	const struct mark *mark = d->marks.row;
	uint64_t since = wipe ? wipe->revision : 0;

	*ret_mark = NULL;
	for (size_t i = 0; i < d->marks.n; i++) {
		if (mark[i].revision < since ||
		    (mark[i].slot != WHOLE_DEVICE && mark[i].slot != slot))
			continue;
		since = mark[i].revision;
		*ret_mark = &mark[i];
	}
	return since;
}

/*
 * A device with a memory may hold readings of an earlier person under any date (its clock may have
 * been wrong then): a loan needs a proven wipe, or the number of the last record, after the last
 * of them. Nobody's device that was just added counts as used: "first pairing with a used scale".
 */
static int check_clean(struct change *c, struct claim *wanted)
{
	const struct claim *claim = device_claims(c->device);
	const struct mark *mark;
	const uint64_t since = clean_since(c->device, wanted->slot, &mark);
	bool dirty = wanted->basis == BASIS_LOAN && since == 0;

	if (mark) {
		wanted->has_mark = true;
		wanted->mark = mark->record;
	}
	if (c->device->memory == 0 || wanted->basis == BASIS_SHARED)
		return 0;
	for (size_t i = 0; i < c->device->claims.n; i++) {
		const uint64_t last = claim[i].ended ? claim[i].ended : claim[i].started;

		if (last > since && claim_touches(&claim[i], wanted->slot) &&
		    strcmp(claim[i].subject, wanted->subject) != 0)
			dirty = true;
	}
	if (dirty)
		return refuse(c, -EBUSY, WORDS_REG_NOT_CLEAN);
	return 0;
}

bool registry_is_here(const struct registry *r, const char *subject, int64_t at_ms, bool *ret_known)
{
	const struct device *d = r->devices.row;

	*ret_known = false;
	for (size_t i = 0; i < r->devices.n; i++) {
		const struct claim *claim = device_claims(&d[i]);

		for (size_t k = 0; k < d[i].claims.n; k++) {
			if (strcmp(claim[k].subject, subject) != 0)
				continue;
			*ret_known = true;
			if (!claim[k].ended && claim[k].planned_ms > at_ms)
				return true;
		}
	}
	return false;
}

static int add_claim(struct change *c, const struct claim *claim)
{
	struct claim *row;
	int r = next_row(c, &c->device->claims, sizeof(*row), &row);

	if (r < 0)
		return r;
	*row = *claim;
	c->device->claims.n++;
	return 0;
}

static int claim_subject(struct change *c, struct claim *claim, const char *subject)
{
	const int r = check_subject(c, subject);

	if (r < 0)
		return r;
	memcpy(claim->subject, subject, strlen(subject) + 1);
	if (c->device->retired)
		return refuse(c, -ENOENT, WORDS_REG_RETIRED);
	return 0;
}

/* The numbers of the bases are those of the message. */
static int check_basis(struct change *c, struct claim *claim)
{
	const Wellgate__V1__RegistryEvent__AssignmentStarted *a = c->e->assignment_started;
	const bool slots = c->device->slots > 1 && !c->device->slot_guessed;
	bool known;

	if (!a->has_basis || a->basis < WELLGATE__V1__REGISTRY_EVENT__BASIS__BASIS_LOAN ||
	    a->basis > WELLGATE__V1__REGISTRY_EVENT__BASIS__BASIS_SHARED)
		return refuse(c, -EBADMSG, WORDS_REG_BASIS);
	claim->basis = (enum basis)a->basis;
	if (claim->basis == BASIS_SHARED && claim->slot != WHOLE_DEVICE)
		return refuse(c, -EBADMSG, WORDS_REG_SHARED_WHOLE);
	if (claim->slot != WHOLE_DEVICE && c->device->slot_guessed)
		return refuse(c, -EBADMSG, WORDS_REG_GUESSES);
	if (claim->basis != BASIS_SHARED && claim->slot == WHOLE_DEVICE && slots)
		return refuse(c, -EBADMSG, WORDS_REG_WHICH_SLOT);
	if (claim->basis == BASIS_LOAN &&
	    !registry_is_here(c->r, claim->subject, c->e->at_ms, &known) && known)
		return refuse(c, -EEXIST, WORDS_REG_USED_BEFORE);
	return 0;
}

static int start_assignment(struct change *c)
{
	const Wellgate__V1__RegistryEvent__AssignmentStarted *a = c->e->assignment_started;
	struct claim claim = { .from_ms = a->from_ms,
			       .planned_ms = INT64_MAX,
			       .started = c->e->revision };
	int r = check_clock(c);

	if (r == 0)
		r = claim_subject(c, &claim, a->subject);
	if (r == 0)
		r = check_slot(c, a->has_slot, a->slot, &claim.slot);
	if (r == 0)
		r = check_basis(c, &claim);
	if (r < 0)
		return r;
	if (!a->has_from_ms || !instant_is_sane(a->from_ms))
		return refuse(c, -ERANGE, WORDS_REG_FROM);
	r = check_free(c, &claim);
	if (r == 0)
		r = check_clean(c, &claim);
	return r < 0 ? r : add_claim(c, &claim);
}

static struct claim *find_claim(const struct device *d, bool has, uint64_t name, bool session)
{
	struct claim *claim = device_claims(d);

	/* what is ended is mostly among the last */
	for (size_t i = d->claims.n; has && i > 0; i--) {
		if (claim[i - 1].started == name && !claim[i - 1].ended &&
		    (claim[i - 1].basis == BASIS_SESSION) == session)
			return &claim[i - 1];
	}
	return NULL;
}

static int end_assignment(struct change *c)
{
	const Wellgate__V1__RegistryEvent__AssignmentEnded *a = c->e->assignment_ended;
	struct claim *claim = find_claim(c->device, a->has_assignment, a->assignment, false);
	int r = check_clock(c);

	if (r < 0)
		return r;
	if (!claim)
		return refuse(c, -ENOENT, WORDS_REG_NOTHING_TO_END);
	/* where it began: it was a mistake, and never was */
	if (!a->has_to_ms || a->to_ms < claim->from_ms ||
	    (a->to_ms > c->e->at_ms && a->to_ms != claim->from_ms))
		return refuse(c, -ERANGE, WORDS_REG_END);
	claim->to_ms = a->to_ms;
	claim->ended = c->e->revision;
	return 0;
}

static int open_session(struct change *c)
{
	const Wellgate__V1__RegistryEvent__SessionOpened *o = c->e->session_opened;
	struct claim claim = { .basis = BASIS_SESSION,
			       .slot = WHOLE_DEVICE,
			       .from_ms = c->e->at_ms,
			       .planned_ms = o->closes_ms,
			       .started = c->e->revision };
	int r = check_clock(c);

	if (r == 0)
		r = claim_subject(c, &claim, o->subject);
	if (r < 0)
		return r;
	if (!o->has_closes_ms || o->closes_ms <= claim.from_ms ||
	    o->closes_ms - claim.from_ms > REGISTRY_SESSION_MAX_MS)
		return refuse(c, -ERANGE, WORDS_REG_SESSION_LONG);
	r = check_free(c, &claim);
	return r < 0 ? r : add_claim(c, &claim);
}

static int close_session(struct change *c)
{
	const Wellgate__V1__RegistryEvent__SessionClosed *s = c->e->session_closed;
	struct claim *claim = find_claim(c->device, s->has_session, s->session, true);
	int r = check_clock(c);

	if (r < 0)
		return r;
	if (!claim)
		return refuse(c, -ENOENT, WORDS_REG_NO_SESSION);
	if (c->e->at_ms < claim->from_ms)
		return refuse(c, -ERANGE, WORDS_REG_SESSION_END);
	claim->to_ms = c->e->at_ms < claim->planned_ms ? c->e->at_ms : claim->planned_ms;
	claim->ended = c->e->revision;
	return 0;
}

/* ---- memory */

static int take_wipe(struct change *c)
{
	const Wellgate__V1__RegistryEvent__Wiped *w = c->e->wiped;
	const struct wipe wipe = { .revision = c->e->revision,
				   .at_ms = c->e->at_ms,
				   .outcome = w->has_outcome ? (unsigned int)w->outcome : 0 };
	struct wipe *row;
	int r;

	if (!w->has_proof) { /* it is in the list, and changes nothing */
		c->device->tried = wipe;
		return 0;
	}
	if (w->proof.len < PROOF_MIN || w->proof.len > PROOF_MAX)
		return refuse(c, -EBADMSG, WORDS_REG_WIPE);
	r = next_row(c, &c->device->wipes, sizeof(*row), &row);
	if (r < 0)
		return r;
	*row = c->device->tried = wipe;
	c->device->wipes.n++;
	return 0;
}

static int take_mark(struct change *c)
{
	const Wellgate__V1__RegistryEvent__HighWaterMark *m = c->e->high_water_mark;
	int32_t slot;
	struct mark *row;
	int r = check_slot(c, m->has_slot, m->slot, &slot);

	if (r < 0)
		return r;
	if (!m->has_record_number)
		return refuse(c, -EBADMSG, WORDS_REG_MARK);
	r = next_row(c, &c->device->marks, sizeof(*row), &row);
	if (r < 0)
		return r;
	*row = (struct mark){ c->e->revision, slot, m->record_number };
	c->device->marks.n++;
	return 0;
}

static int take_press(struct change *c)
{
	const Wellgate__V1__RegistryEvent__Pressed *p = c->e->pressed;
	struct press *row;
	bool known;
	int r = check_clock(c);

	if (r == 0)
		r = check_subject(c, p->subject);
	if (r < 0)
		return r;
	if (!p->has_me || (p->has_reading && p->reading.len != REGISTRY_DIGEST))
		return refuse(c, -EBADMSG, WORDS_REG_PRESS);
	if (!registry_is_here(c->r, p->subject, c->e->at_ms, &known))
		return refuse(c, -ENOENT, WORDS_REG_NOBODY);
	r = next_row(c, &c->device->presses, sizeof(*row), &row);
	if (r < 0)
		return r;
	row->revision = c->e->revision;
	row->at_ms = c->e->at_ms;
	row->me = p->me;
	row->named = p->has_reading;
	memcpy(row->subject, p->subject, strlen(p->subject) + 1);
	if (row->named)
		memcpy(row->reading, p->reading.data, REGISTRY_DIGEST);
	c->device->presses.n++;
	return 0;
}

/* Whoever is named has to be here still: nothing is filed under a reference that has ended. */
static int check_filed(struct change *c, const Wellgate__V1__RegistryEvent__Filed *f)
{
	bool known;
	int r = check_clock(c);

	if (r == 0 && (!f->has_reading || f->reading.len != REGISTRY_DIGEST))
		return refuse(c, -EBADMSG, WORDS_REG_READING);
	if (r < 0 || !f->subject)
		return r;
	r = check_subject(c, f->subject);
	if (r == 0 && !registry_is_here(c->r, f->subject, c->e->at_ms, &known))
		return refuse(c, -ENOENT, WORDS_REG_NOBODY);
	return r;
}

static int take_filed(struct change *c)
{
	const Wellgate__V1__RegistryEvent__Filed *f = c->e->filed;
	struct filed *row;
	int r = check_filed(c, f);

	if (r < 0)
		return r;
	r = next_row(c, &c->device->filed, sizeof(*row), &row);
	if (r < 0)
		return r;
	row->revision = c->e->revision;
	memcpy(row->reading, f->reading.data, REGISTRY_DIGEST);
	if (f->subject)
		memcpy(row->subject, f->subject, strlen(f->subject) + 1);
	c->device->filed.n++;
	return 0;
}

/* ---- all of them */

static int take(struct change *c)
{
	switch (c->e->what_case) {
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_ADDED:
		return add_device(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_RETIRED:
		return retire_device(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_ASSIGNMENT_STARTED:
		return start_assignment(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_ASSIGNMENT_ENDED:
		return end_assignment(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_SESSION_OPENED:
		return open_session(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_SESSION_CLOSED:
		return close_session(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_WIPED:
		return take_wipe(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_HIGH_WATER_MARK:
		return take_mark(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_PRESSED:
		return take_press(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_FILED:
		return take_filed(c);
	case WELLGATE__V1__REGISTRY_EVENT__WHAT__NOT_SET:
	case _WELLGATE__V1__REGISTRY_EVENT__WHAT__CASE_IS_INT_SIZE:
	default:
		return refuse(c, -EBADMSG, WORDS_REG_UNKNOWN);
	}
}

static int apply(struct change *c)
{
	const Wellgate__V1__RegistryEvent *e = c->e;
	const char *problem = NULL;

	if (!e->has_revision || e->revision != c->r->revision + 1)
		return refuse(c, -ESTALE, WORDS_REG_STALE);
	if (!e->has_at_ms || !e->has_device || e->device.len != REGISTRY_DIGEST)
		return refuse(c, -EBADMSG, WORDS_REG_INCOMPLETE);
	if (e->by && reference_check(e->by, &problem) < 0)
		return refuse_saying(c, -EBADMSG, problem);
	c->device = registry_device(c->r, e->device.data);
	if (!c->device && e->what_case != WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_ADDED)
		return refuse(c, -ENOENT, WORDS_REG_NO_DEVICE);
	return take(c);
}

int registry_apply(struct registry *r, const Wellgate__V1__RegistryEvent *event,
		   const char **ret_problem)
{
	struct change c = { .r = r, .e = event };
	const int result = apply(&c);

	if (result == 0)
		r->revision++;
	else if (ret_problem)
		*ret_problem = c.problem;
	return result;
}

/* ---- life */

int registry_new(struct registry **ret)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

void registry_free(struct registry *r)
{
	struct device *d = r ? r->devices.row : NULL;

	for (size_t i = 0; d && i < r->devices.n; i++) {
		free(d[i].claims.row);
		free(d[i].marks.row);
		free(d[i].wipes.row);
		free(d[i].presses.row);
		free(d[i].filed.row);
	}
	free(d);
	free(r);
}

uint64_t registry_revision(const struct registry *r)
{
	return r->revision;
}

/* ---- lists */

size_t registry_devices(const struct registry *r)
{
	return r->devices.n;
}

void registry_device_at(const struct registry *r, size_t i, struct registry_device_row *ret)
{
	const struct device *d = (const struct device *)r->devices.row + i;

	*ret = (struct registry_device_row){ .kind = d->kind,
					     .slots = d->slots,
					     .memory_records = d->memory,
					     .has_clock = d->has_clock,
					     .slot_guessed = d->slot_guessed,
					     .retired = d->retired,
					     .claims = d->claims.n };
	memcpy(ret->digest, d->digest, sizeof(ret->digest));
}

void registry_claim_at(const struct registry *r, size_t i, size_t k, struct registry_claim_row *ret)
{
	const struct device *d = (const struct device *)r->devices.row + i;
	const struct claim *c = device_claims(d) + k;

	*ret = (struct registry_claim_row){ .subject = c->subject,
					    .session = c->basis == BASIS_SESSION,
					    .slot = c->slot,
					    .from_ms = c->from_ms,
					    .to_ms = claim_to(c, r->revision),
					    .revision = c->started,
					    .ended = c->ended };
	if (!ret->session)
		ret->basis = (Wellgate__V1__RegistryEvent__Basis)c->basis;
}
