/*
 * The desk: what staff say about devices, loans, sessions and held readings, as events of the
 * registry. Each command is one or two events, durable when the reply comes; nothing here waits.
 */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "gateway/control/control.h"
#include "gateway/listener.h"
#include "gateway/pipeline_part.h"
#include "gateway/registry/index.h"
#include "gateway/words/words.h"

/* as the command line has them (cli/cli.h) */
#define CODE_USAGE       64
#define CODE_UNAVAILABLE 69
#define CODE_IO          74

#define MINUTE_MS       INT64_C(60000)
#define SESSION_MINUTES 15
#define SESSION_MOST    60
#define LOANS_PAGE      200
#define HELD_PAGE       100
#define ID_PREFIX_MIN   4 /* bytes of a reading_id that name a held one */
/* of packed rows: the rest of the packet is for everything else */
#define PAGE_BYTES  (LISTENER_PACKET_MAX - 4096)
#define ARENA_SPARE ((size_t)128 * 1024)
/* the statement that stands for a wipe: its digest is the proof */
#define PROOF_CONTEXT "wellgate: staff cleared the memory of this device and looked\n"

#define EVENT(name) WELLGATE__V1__REGISTRY_EVENT__WHAT_##name
#define ASKED(name) WELLGATE__V1__DESK_COMMAND__WHAT_##name
#define BASIS(name) WELLGATE__V1__REGISTRY_EVENT__BASIS__BASIS_##name
#define CLEAN(name) WELLGATE__V1__DESK_REPLY__CLEAN__CLEAN_##name
#define GONE(name)  WELLGATE__V1__DESK_REPLY__ERASURE__ERASURE_##name

struct desk {
	const struct control *c;
	const Wellgate__V1__Command *command;
	const Wellgate__V1__DeskCommand *m;
	struct arena *arena;
	Wellgate__V1__Reply *reply;
	Wellgate__V1__DeskReply *ret;
	int64_t now_ms;
};

/* ---- refusals: said in the reply; the function has done its work then */

static int say(struct desk *d, int code, const char *sentence)
{
	d->reply->has_code = true;
	d->reply->code = code;
	d->reply->error = arena_strdup(d->arena, sentence);
	return d->reply->error ? -ECANCELED : -ENOMEM;
}

static int refuse(struct desk *d, int code, enum words_id id)
{
	return say(d, code, words_text(WORDS_EN, id));
}

/* What the registry or the store answered to an event. */
static int refused(struct desk *d, int r, const char *problem)
{
	switch (r) {
	case -EBADMSG:
	case -ENOENT:
	case -ERANGE:
	case -EINVAL:
		return say(d, CODE_USAGE,
			   problem ? problem : words_text(WORDS_EN, WORDS_DESK_NOT_UNDERSTOOD));
	default:
		return problem ? say(d, CODE_UNAVAILABLE, problem)
			       : refuse(d, CODE_IO, WORDS_DESK_STORE);
	}
}

static void init(Wellgate__V1__RegistryEvent *e, Wellgate__V1__RegistryEvent__WhatCase what,
		 const uint8_t *device)
{
	wellgate__v1__registry_event__init(e);
	e->what_case = what;
	e->has_device = device != NULL;
	e->device.data = (uint8_t *)(uintptr_t)device; /* packing only reads */
	e->device.len = device ? REGISTRY_DIGEST : 0;
}

/* 0, or the registry's refusal and its sentence; nothing is said yet. */
static int try_event(struct desk *d, Wellgate__V1__RegistryEvent *e, const char **ret_problem)
{
	const int r = pipeline_register(d->c->pipeline, e, ret_problem);

	if (r == 0) {
		d->ret->has_number = true;
		d->ret->number = e->revision;
	}
	return r;
}

static int record(struct desk *d, Wellgate__V1__RegistryEvent *e)
{
	const char *problem = NULL;
	const int r = try_event(d, e, &problem);

	return r == 0 ? 0 : refused(d, r, problem);
}

static const struct registry *registry_of(const struct desk *d)
{
	return pipeline_registry(d->c->pipeline);
}

/* the device that the command names, as the registry has it */
static int named_device(struct desk *d, const struct device **ret)
{
	const struct device *device = NULL;

	if (d->m->has_device && d->m->device.len == REGISTRY_DIGEST)
		device = registry_device(registry_of(d), d->m->device.data);
	if (!device)
		return refuse(d, CODE_USAGE, WORDS_DESK_NO_DEVICE);
	*ret = device;
	return 0;
}

/* ---- devices */

static int add(struct desk *d)
{
	Wellgate__V1__RegistryEvent e;

	if (!d->m->has_device || d->m->device.len != REGISTRY_DIGEST)
		return refuse(d, CODE_USAGE, WORDS_DESK_NOT_UNDERSTOOD);
	init(&e, EVENT(DEVICE_ADDED), d->m->device.data);
	e.device_added = d->m->add;
	return record(d, &e);
}

static int retire(struct desk *d)
{
	const struct device *device;
	Wellgate__V1__RegistryEvent e;
	int r = named_device(d, &device);

	if (r < 0)
		return r;
	init(&e, EVENT(DEVICE_RETIRED), device->digest);
	e.device_retired = d->m->retire;
	return record(d, &e);
}

/* ---- loans */

/* a loan, or what somebody owns or shares: not a session, not ended */
static bool runs(const struct claim *c)
{
	return c->basis != BASIS_SESSION && !c->ended;
}

/* What a loan is begun with: the device's state, the loan, and its end if it is over already. All
 * of it or nothing. */
#define LOAN_EVENTS 3
struct loan {
	Wellgate__V1__RegistryEvent event[LOAN_EVENTS], *list[LOAN_EVENTS];
	size_t n;
	Wellgate__V1__RegistryEvent__Wiped wiped;
	Wellgate__V1__RegistryEvent__HighWaterMark mark;
	Wellgate__V1__RegistryEvent__AssignmentStarted started;
	Wellgate__V1__RegistryEvent__AssignmentEnded ended;
	uint8_t proof[crypto_hash_sha256_BYTES];
	uint64_t number; /* of the loan */
};

static Wellgate__V1__RegistryEvent *
next_event(struct loan *l, Wellgate__V1__RegistryEvent__WhatCase what, const struct device *device)
{
	Wellgate__V1__RegistryEvent *e = &l->event[l->n];

	assert(l->n < LOAN_EVENTS);
	init(e, what, device->digest);
	l->list[l->n++] = e;
	return e;
}

/* The digest of a statement: who looks at the report later can make it again. */
static void add_wipe(const struct desk *d, const struct device *device, struct loan *l)
{
	uint8_t at[sizeof(d->now_ms)];
	crypto_hash_sha256_state state;

	for (size_t i = 0; i < sizeof(at); i++)
		at[i] = (uint8_t)((uint64_t)d->now_ms >> (56 - 8 * i));
	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, (const uint8_t *)PROOF_CONTEXT,
					sizeof(PROOF_CONTEXT) - 1);
	(void)crypto_hash_sha256_update(&state, device->digest, sizeof(device->digest));
	(void)crypto_hash_sha256_update(&state, at, sizeof(at));
	(void)crypto_hash_sha256_final(&state, l->proof);
	wellgate__v1__registry_event__wiped__init(&l->wiped);
	l->wiped.has_proof = true;
	l->wiped.proof = (ProtobufCBinaryData){ sizeof(l->proof), l->proof };
	next_event(l, EVENT(WIPED), device)->wiped = &l->wiped;
	d->ret->clean = CLEAN(WIPED);
}

static void add_mark(const struct desk *d, const struct device *device, uint32_t mark,
		     struct loan *l)
{
	const Wellgate__V1__DeskCommand__StartLoan *s = d->m->start;

	wellgate__v1__registry_event__high_water_mark__init(&l->mark);
	l->mark.has_slot = s->has_slot;
	l->mark.slot = s->slot;
	l->mark.has_record_number = true;
	l->mark.record_number = mark;
	next_event(l, EVENT(HIGH_WATER_MARK), device)->high_water_mark = &l->mark;
	d->ret->clean = CLEAN(MARK);
	d->ret->has_mark = true;
	d->ret->mark = mark;
}

/* Read out by this hub since the last person gave it back: what it holds is no further than the
 * highest number that came. */
static bool was_read_out(const struct desk *d, const struct device *device, uint32_t *ret_mark)
{
	const struct inventory_device *known =
		inventory_known(pipeline_inventory(d->c->pipeline), device->digest);
	const struct claim *claims = device_claims(device);

	if (!known || !known->has_record || known->read_out_ms == 0)
		return false;
	for (size_t i = 0; i < device->claims.n; i++) {
		if (!claims[i].ended || claims[i].to_ms >= known->read_out_ms)
			return false;
	}
	*ret_mark = known->record;
	return true;
}

/* What keeps earlier readings out, as staff say it; else what the registry knows has to do. */
static void add_clean(const struct desk *d, const struct device *device, struct loan *l)
{
	const Wellgate__V1__DeskCommand__StartLoan *s = d->m->start;
	uint32_t mark = 0;

	d->ret->has_clean = true;
	d->ret->clean = device->memory == 0 ? CLEAN(NO_MEMORY) : CLEAN(OWN);
	if (s->has_wiped && s->wiped)
		add_wipe(d, device, l);
	else if (s->has_mark)
		add_mark(d, device, s->mark, l);
	else if (device->memory > 0 && device_is_empty(device))
		d->ret->clean = CLEAN(EMPTIED); /* and its numbers may begin anew: no mark */
	else if (device->memory > 0 && was_read_out(d, device, &mark))
		add_mark(d, device, mark, l);
}

static void add_loan(const struct desk *d, const struct device *device, struct loan *l)
{
	const Wellgate__V1__DeskCommand__StartLoan *s = d->m->start;

	wellgate__v1__registry_event__assignment_started__init(&l->started);
	l->started.has_slot = s->has_slot;
	l->started.slot = s->slot;
	l->started.subject = d->ret->subject;
	l->started.has_from_ms = l->started.has_basis = true;
	l->started.from_ms = s->has_from_ms ? s->from_ms : d->now_ms;
	l->started.basis = s->has_basis ? s->basis : BASIS(LOAN);
	next_event(l, EVENT(ASSIGNMENT_STARTED), device)->assignment_started = &l->started;
	l->number = registry_revision(registry_of(d)) + l->n;
	if (!s->has_to_ms)
		return;
	wellgate__v1__registry_event__assignment_ended__init(&l->ended);
	l->ended.has_assignment = l->ended.has_to_ms = true;
	l->ended.assignment = l->number;
	l->ended.to_ms = s->to_ms;
	next_event(l, EVENT(ASSIGNMENT_ENDED), device)->assignment_ended = &l->ended;
}

static char *new_subject(struct desk *d)
{
	uint8_t random[REFERENCE_RANDOM];
	char text[REFERENCE_TEXT_MAX];

	randombytes_buf(random, sizeof(random));
	reference_make(random, text);
	return arena_strdup(d->arena, text);
}

static int say_erasure(struct desk *d, const char *subject);
static Wellgate__V1__DeskReply__Device *device_message(struct desk *d, const struct device *from);

static int start(struct desk *d)
{
	const Wellgate__V1__DeskCommand__StartLoan *s = d->m->start;
	const struct device *device;
	struct loan l = { .n = 0 };
	const char *problem = NULL;
	int r = named_device(d, &device);

	if (r < 0)
		return r;
	d->ret->subject = s->subject ? s->subject : new_subject(d);
	if (!d->ret->subject)
		return -ENOMEM;
	add_clean(d, device, &l);
	add_loan(d, device, &l);
	r = pipeline_register_all(d->c->pipeline, l.list, l.n, &problem);
	if (r == -EBUSY && problem)
		return refuse(d, CODE_UNAVAILABLE, WORDS_DESK_NOT_CLEAN);
	if (r < 0)
		return refused(d, r, problem);
	d->ret->has_number = true;
	d->ret->number = l.number;
	return s->has_to_ms ? say_erasure(d, d->ret->subject) : 0;
}

/* How far the erasure of a person is; it is done at once if nothing of theirs has to wait. The
 * registry is read anew by it: rows of it are not good any more. */
static int say_erasure(struct desk *d, const char *subject)
{
	struct pipeline_erasure erasure = { 0 };
	const int r = pipeline_erase(d->c->pipeline, subject, &erasure);

	d->ret->has_erasure = d->ret->has_waiting = true;
	d->ret->erasure = GONE(NONE);
	if (r == -EEXIST)
		return 0;
	d->ret->erasure = r == 0 ? GONE(DONE) : GONE(WAITING);
	d->ret->waiting = erasure.waiting;
	return r == 0 || r == -EBUSY ? 0 : refused(d, r, NULL);
}

static int end_one(struct desk *d, const struct device *device, uint64_t assignment)
{
	const Wellgate__V1__DeskCommand__EndLoan *m = d->m->end;
	Wellgate__V1__RegistryEvent__AssignmentEnded a =
		WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_ENDED__INIT;
	Wellgate__V1__RegistryEvent e;

	a.has_assignment = a.has_to_ms = true;
	a.assignment = assignment;
	a.to_ms = m->has_to_ms ? m->to_ms : d->now_ms;
	init(&e, EVENT(ASSIGNMENT_ENDED), device->digest);
	e.assignment_ended = &a;
	return record(d, &e);
}

static bool is_meant(const struct desk *d, const struct device *device, const struct claim *c)
{
	const Wellgate__V1__DeskCommand__EndLoan *m = d->m->end;

	if (!runs(c) || (m->subject && strcmp(m->subject, c->subject) != 0))
		return false;
	if (m->has_slot && c->slot != (int32_t)m->slot)
		return false;
	return !d->m->has_device ||
	       (d->m->device.len == REGISTRY_DIGEST &&
		memcmp(d->m->device.data, device->digest, REGISTRY_DIGEST) == 0);
}

/* The next one that is meant, and of how many people they are. An event may move the index: after
 * each of them it is asked again. */
static const struct claim *next_meant(const struct desk *d, const struct device **ret_device,
				      bool *ret_several)
{
	const struct registry *r = registry_of(d);
	const struct device *device = r->devices.row;
	const struct claim *found = NULL;

	for (size_t i = 0; i < r->devices.n; i++) {
		const struct claim *claim = device_claims(&device[i]);

		for (size_t k = 0; k < device[i].claims.n; k++) {
			if (!is_meant(d, &device[i], &claim[k]))
				continue;
			*ret_several = *ret_several ||
				       (found && strcmp(found->subject, claim[k].subject) != 0);
			found = &claim[k];
			*ret_device = &device[i];
		}
	}
	return found;
}

static bool is_free(const struct desk *d, const struct device *device)
{
	const struct claim *claim = device_claims(device);

	for (size_t i = 0; i < device->claims.n; i++) {
		if (!claim[i].ended &&
		    (claim[i].basis != BASIS_SESSION || claim[i].planned_ms > d->now_ms))
			return false;
	}
	return true;
}

/* A loan of it has ended: it is in the answer once nobody has it any more. */
static int add_freed(struct desk *d, const uint8_t digest[REGISTRY_DIGEST])
{
	const struct device *device = registry_device(registry_of(d), digest);
	Wellgate__V1__DeskReply__Device *m;

	if (!device || !is_free(d, device) || d->ret->n_devices == LOANS_PAGE)
		return 0;
	m = device_message(d, device);
	if (!m)
		return -ENOMEM;
	d->ret->devices[d->ret->n_devices++] = m;
	return 0;
}

static int end(struct desk *d)
{
	uint8_t digest[REGISTRY_DIGEST];
	const struct device *device = NULL;
	bool several = false;
	const struct claim *claim = next_meant(d, &device, &several);

	if ((!d->m->has_device && !d->m->end->subject) || !claim)
		return refuse(d, CODE_USAGE, WORDS_DESK_NOBODY_HAS_IT);
	if (several)
		return refuse(d, CODE_USAGE, WORDS_DESK_WHICH_PERSON);
	d->ret->subject = arena_strdup(d->arena, claim->subject);
	d->ret->devices = arena_alloc(d->arena, LOANS_PAGE * sizeof(void *));
	if (!d->ret->subject || !d->ret->devices)
		return -ENOMEM;
	while (claim && device) {
		int r;

		memcpy(digest, device->digest, sizeof(digest));
		r = end_one(d, device, claim->started);
		if (r == 0)
			r = add_freed(d, digest);
		if (r < 0)
			return r;
		claim = next_meant(d, &device, &several);
	}
	return say_erasure(d, d->ret->subject);
}

/* ---- sessions */

static int open_session(struct desk *d)
{
	const Wellgate__V1__DeskCommand__OpenSession *m = d->m->open;
	Wellgate__V1__RegistryEvent__SessionOpened s =
		WELLGATE__V1__REGISTRY_EVENT__SESSION_OPENED__INIT;
	const uint32_t minutes = m->has_minutes ? m->minutes : SESSION_MINUTES;
	const struct device *device;
	Wellgate__V1__RegistryEvent e;
	int r = named_device(d, &device);

	if (r < 0)
		return r;
	if (minutes < 1 || minutes > SESSION_MOST)
		return refuse(d, CODE_USAGE, WORDS_DESK_SESSION_LENGTH);
	d->ret->subject = m->subject ? m->subject : new_subject(d);
	if (!d->ret->subject)
		return -ENOMEM;
	s.subject = d->ret->subject;
	s.has_closes_ms = true;
	s.closes_ms = d->now_ms + (int64_t)minutes * MINUTE_MS;
	init(&e, EVENT(SESSION_OPENED), device->digest);
	e.session_opened = &s;
	return record(d, &e);
}

static int close_session(struct desk *d)
{
	Wellgate__V1__RegistryEvent__SessionClosed s =
		WELLGATE__V1__REGISTRY_EVENT__SESSION_CLOSED__INIT;
	const struct device *device;
	const struct claim *claim;
	Wellgate__V1__RegistryEvent e;
	int r = named_device(d, &device);

	if (r < 0)
		return r;
	claim = device_claims(device);
	for (size_t i = device->claims.n; i > 0 && !s.has_session; i--) {
		const struct claim *c = &claim[i - 1];

		s.has_session = c->basis == BASIS_SESSION && !c->ended && c->planned_ms > d->now_ms;
		s.session = c->started;
	}
	if (!s.has_session)
		return refuse(d, CODE_USAGE, WORDS_DESK_NO_SESSION);
	init(&e, EVENT(SESSION_CLOSED), device->digest);
	e.session_closed = &s;
	return record(d, &e);
}

/* ---- lists */

static Wellgate__V1__DeskReply__Device *device_message(struct desk *d, const struct device *from)
{
	Wellgate__V1__DeskReply__Device *m = arena_alloc(d->arena, sizeof(*m));

	if (!m)
		return NULL;
	wellgate__v1__desk_reply__device__init(m);
	m->has_device = m->has_slots = m->has_memory_records = m->has_has_clock = true;
	m->device.data = arena_memdup(d->arena, from->digest, sizeof(from->digest));
	m->device.len = sizeof(from->digest);
	m->slots = from->slots;
	m->memory_records = from->memory;
	m->has_clock = from->has_clock;
	m->has_slot_guessed = m->has_retired = true;
	m->slot_guessed = from->slot_guessed;
	m->retired = from->retired;
	return m->device.data ? m : NULL;
}

static Wellgate__V1__DeskReply__Loan *loan_message(struct desk *d, const struct device *device,
						   const struct claim *c)
{
	Wellgate__V1__DeskReply__Loan *m = arena_alloc(d->arena, sizeof(*m));
	const int64_t to_ms = claim_to(c, UINT64_MAX);

	if (!m)
		return NULL;
	wellgate__v1__desk_reply__loan__init(m);
	m->has_number = m->has_device = m->has_session = m->has_from_ms = m->has_ended = true;
	m->number = c->started;
	m->device.data = arena_memdup(d->arena, device->digest, sizeof(device->digest));
	m->device.len = sizeof(device->digest);
	m->has_slot = c->slot != WHOLE_DEVICE;
	m->slot = m->has_slot ? (uint32_t)c->slot : 0;
	m->subject = arena_strdup(d->arena, c->subject);
	m->session = c->basis == BASIS_SESSION;
	m->has_basis = !m->session;
	m->basis = m->session ? BASIS(UNSPECIFIED) : (Wellgate__V1__RegistryEvent__Basis)c->basis;
	m->from_ms = c->from_ms;
	m->has_to_ms = to_ms != INT64_MAX;
	m->to_ms = m->has_to_ms ? to_ms : 0;
	m->ended = c->ended != 0 || (m->session && c->planned_ms <= d->now_ms);
	return m->device.data && m->subject ? m : NULL;
}

struct listing {
	uint64_t at, after; /* items passed, and to pass */
	size_t n;
};

/* true: the item that comes now belongs onto this page; *ret_full: no more of them */
static bool is_on_page(struct listing *l, bool *ret_full)
{
	*ret_full = l->n == LOANS_PAGE;
	if (*ret_full || l->at++ < l->after)
		return false;
	l->n++;
	return true;
}

static int list_device(struct desk *d, const struct device *device, bool all, struct listing *l,
		       bool *ret_full)
{
	const struct claim *claim = device_claims(device);

	if (is_on_page(l, ret_full)) {
		Wellgate__V1__DeskReply__Device *m = device_message(d, device);

		if (!m)
			return -ENOMEM;
		d->ret->devices[d->ret->n_devices++] = m;
	}
	for (size_t i = 0; i < device->claims.n && !*ret_full; i++) {
		Wellgate__V1__DeskReply__Loan *m;

		if (!all && (claim[i].ended || claim[i].planned_ms <= d->now_ms))
			continue;
		if (!is_on_page(l, ret_full))
			continue;
		m = loan_message(d, device, &claim[i]);
		if (!m)
			return -ENOMEM;
		d->ret->loans[d->ret->n_loans++] = m;
	}
	return 0;
}

static int list(struct desk *d)
{
	const struct registry *r = registry_of(d);
	const struct device *device = r->devices.row;
	struct listing l = { .after = d->command->has_after ? d->command->after : 0 };
	bool full = false;
	int result = 0;

	d->ret->devices = arena_alloc(d->arena, LOANS_PAGE * sizeof(void *));
	d->ret->loans = arena_alloc(d->arena, LOANS_PAGE * sizeof(void *));
	if (!d->ret->devices || !d->ret->loans)
		return -ENOMEM;
	for (size_t i = 0; i < r->devices.n && !full && result == 0; i++)
		result = list_device(d, &device[i], d->m->list->all, &l, &full);
	d->reply->has_more = d->ret->has_next = true;
	d->reply->more = full;
	d->ret->next = l.at;
	return result;
}

/* ---- a loan that has ended */

static const struct claim *find_claim(const struct desk *d, const struct device **ret_device)
{
	const Wellgate__V1__DeskCommand__Report *m = d->m->report;
	const struct registry *r = registry_of(d);
	const struct device *device = r->devices.row;
	const struct claim *found = NULL;

	for (size_t i = 0; i < r->devices.n; i++) {
		const struct claim *claim = device_claims(&device[i]);

		for (size_t k = 0; k < device[i].claims.n; k++) {
			if (claim[k].basis == BASIS_SESSION ||
			    (m->subject ? strcmp(claim[k].subject, m->subject) != 0
					: claim[k].started != m->assignment))
				continue;
			if (found && found->started > claim[k].started)
				continue;
			found = &claim[k];
			*ret_device = &device[i];
		}
	}
	return found;
}

/* Is the key of that claim's person gone? Its event in the journal has the number of the key. */
static int is_erased(const struct desk *d, uint64_t revision, bool *ret)
{
	struct store_row row = { 0 };
	int r;

	*ret = false;
	while ((r = store_next_entry(d->c->store, row.sequence, &row)) > 0) {
		const size_t used = d->arena->used;
		const Wellgate__V1__JournalEntry *e = wellgate__v1__journal_entry__unpack(
			arena_protobuf(d->arena), row.len, row.payload);
		const bool found = e &&
				   e->what_case == WELLGATE__V1__JOURNAL_ENTRY__WHAT_REGISTRY &&
				   e->registry->revision == revision && e->registry->has_person;
		const uint64_t person = found ? e->registry->person : 0;

		d->arena->used = used; /* there may be many */
		if (!found)
			continue;
		*ret = !store_person_subject(d->c->store, person);
		return 0;
	}
	return r;
}

/* What became of the device's own memory since: proven, or the last try. */
static void report_wipe(const struct desk *d, const struct device *device,
			const struct claim *claim)
{
	const struct wipe *wipe = device_wipe(device, UINT64_MAX);

	d->ret->has_device_wiped = true;
	d->ret->device_wiped = claim->ended && wipe && wipe->revision > claim->ended;
	if (!d->ret->device_wiped)
		wipe = &device->tried;
	if (!claim->ended || wipe->revision <= claim->ended)
		return;
	d->ret->has_wipe = true;
	d->ret->wipe = (Wellgate__V1__RegistryEvent__Wipe)wipe->outcome;
}

static int report(struct desk *d)
{
	const struct device *device = NULL;
	const struct claim *claim = find_claim(d, &device);
	bool erased = false;
	int r;

	if (!claim || !device)
		return refuse(d, CODE_USAGE, WORDS_DESK_NO_LOAN);
	d->ret->loans = arena_alloc(d->arena, sizeof(void *));
	d->ret->devices = arena_alloc(d->arena, sizeof(void *));
	if (!d->ret->loans || !d->ret->devices)
		return -ENOMEM;
	d->ret->loans[0] = loan_message(d, device, claim);
	d->ret->devices[0] = device_message(d, device);
	if (!d->ret->loans[0] || !d->ret->devices[0])
		return -ENOMEM;
	d->ret->n_loans = d->ret->n_devices = 1;
	d->ret->subject = d->ret->loans[0]->subject;
	report_wipe(d, device, claim);
	r = is_erased(d, claim->started, &erased);
	if (r < 0)
		return refused(d, r, NULL);
	if (!erased)
		return say_erasure(d, d->ret->subject);
	d->ret->has_erasure = true;
	d->ret->erasure = GONE(DONE);
	d->ret->loans[0]->subject = d->ret->subject = NULL; /* a stand-in */
	return 0;
}

/* ---- held readings */

/* A reading that a command names: its whole id, and the device it came from. */
struct named {
	uint8_t id[REGISTRY_DIGEST], device[REGISTRY_DIGEST];
};

static bool begins_like(const Wellgate__V1__Reading *r, const ProtobufCBinaryData *id)
{
	return r->has_reading_id && r->reading_id.len == REGISTRY_DIGEST &&
	       memcmp(r->reading_id.data, id->data, id->len) == 0;
}

/* 1 it is this one, 0 it is not, -ENODATA it is, and its device told no identity */
static int take_named(const struct desk *d, const struct store_row *row,
		      const ProtobufCBinaryData *id, struct named *ret)
{
	const Wellgate__V1__Reading *r;
	const size_t used = d->arena->used;
	int result = 0;

	r = wellgate__v1__reading__unpack(arena_protobuf(d->arena), row->len, row->payload);
	if (r && begins_like(r, id)) {
		const Wellgate__V1__DeviceRef *ref = r->device;
		const bool known = ref && ref->has_serial_digest &&
				   ref->serial_digest.len == sizeof(ret->device);

		memcpy(ret->id, r->reading_id.data, sizeof(ret->id));
		if (known)
			memcpy(ret->device, ref->serial_digest.data, sizeof(ret->device));
		result = known ? 1 : -ENODATA;
	}
	d->arena->used = used; /* many rows may be looked through */
	return result;
}

/* The held reading whose id begins like that, or the stored one with that id. 0, or refused. */
static int named_reading(struct desk *d, bool has, const ProtobufCBinaryData *id, struct named *ret)
{
	struct store_row row = { 0 };
	struct store_found found;
	unsigned int n = 0;
	int r, is = 0, last = 0;

	if (!has || id->len < ID_PREFIX_MIN || id->len > REGISTRY_DIGEST)
		return refuse(d, CODE_USAGE, WORDS_DESK_NO_READING);
	while ((r = store_next_held(d->c->store, row.sequence, &row)) > 0) {
		last = take_named(d, &row, id, ret);
		is = last ? last : is;
		n += last != 0;
	}
	if (r == 0 && n == 0 && id->len == REGISTRY_DIGEST) {
		r = store_find(d->c->store, id->data, &found);
		if (r > 0) {
			is = take_named(d, &found.row, id, ret);
			n = is != 0;
		}
	}
	if (r < 0)
		return refused(d, r, NULL);
	if (n > 1)
		return refuse(d, CODE_USAGE, WORDS_DESK_SEVERAL_READINGS);
	if (n == 0)
		return refuse(d, CODE_USAGE, WORDS_DESK_NO_READING);
	return is < 0 ? refuse(d, CODE_USAGE, WORDS_DESK_UNKNOWN_DEVICE) : 0;
}

static int file_reading(struct desk *d)
{
	const Wellgate__V1__DeskCommand__FileReading *m = d->m->file;
	Wellgate__V1__RegistryEvent__Filed filed = WELLGATE__V1__REGISTRY_EVENT__FILED__INIT;
	Wellgate__V1__RegistryEvent e;
	struct named named;
	int r = named_reading(d, m->has_reading, &m->reading, &named);

	if (r < 0)
		return r;
	filed.has_reading = true;
	filed.reading = (ProtobufCBinaryData){ sizeof(named.id), named.id };
	filed.subject = m->subject;
	init(&e, EVENT(FILED), named.device);
	e.filed = &filed;
	return record(d, &e);
}

static int press(struct desk *d)
{
	const Wellgate__V1__DeskCommand__Press *m = d->m->press;
	Wellgate__V1__RegistryEvent__Pressed pressed = WELLGATE__V1__REGISTRY_EVENT__PRESSED__INIT;
	Wellgate__V1__RegistryEvent e;
	struct named named;
	int r = named_reading(d, m->has_reading, &m->reading, &named);

	if (r < 0)
		return r;
	pressed.subject = m->subject;
	pressed.has_me = m->has_me;
	pressed.me = m->me;
	pressed.has_reading = true;
	pressed.reading = (ProtobufCBinaryData){ sizeof(named.id), named.id };
	init(&e, EVENT(PRESSED), named.device);
	e.pressed = &pressed;
	return record(d, &e);
}

static int add_held(struct desk *d, const struct store_row *row)
{
	Wellgate__V1__DeskReply__Held *m = arena_alloc(d->arena, sizeof(*m));

	if (!m)
		return -ENOMEM;
	wellgate__v1__desk_reply__held__init(m);
	m->has_number = true;
	m->number = row->sequence;
	m->reading =
		wellgate__v1__reading__unpack(arena_protobuf(d->arena), row->len, row->payload);
	if (m->reading)
		d->ret->held[d->ret->n_held++] = m;
	return 0;
}

static int list_held(struct desk *d)
{
	struct store_row row = { .sequence = d->command->has_after ? d->command->after : 0 };
	size_t bytes = 0;
	int r, result = 0;

	d->ret->held = arena_alloc(d->arena, HELD_PAGE * sizeof(void *));
	if (!d->ret->held)
		return -ENOMEM;
	d->reply->has_more = d->ret->has_next = true;
	d->ret->next = row.sequence;
	while (result == 0 && (r = store_next_held(d->c->store, row.sequence, &row)) > 0) {
		bytes += row.len + 16;
		d->reply->more =
			d->ret->n_held == HELD_PAGE || (d->ret->n_held > 0 && bytes > PAGE_BYTES) ||
			(d->ret->n_held > 0 && d->arena->size - d->arena->used < ARENA_SPARE);
		if (d->reply->more)
			return 0;
		d->ret->next = row.sequence;
		result = add_held(d, &row);
	}
	return result == 0 && r < 0 ? refused(d, r, NULL) : result;
}

/* ---- the door */

static int dispatch(struct desk *d)
{
	switch (d->m->what_case) {
	case ASKED(ADD):
		return add(d);
	case ASKED(RETIRE):
		return retire(d);
	case ASKED(START):
		return start(d);
	case ASKED(END):
		return end(d);
	case ASKED(OPEN):
		return open_session(d);
	case ASKED(CLOSE):
		return close_session(d);
	case ASKED(FILE):
		return file_reading(d);
	case ASKED(PRESS):
		return press(d);
	case ASKED(LIST):
		return list(d);
	case ASKED(HELD):
		return list_held(d);
	case ASKED(REPORT):
		return report(d);
	case WELLGATE__V1__DESK_COMMAND__WHAT__NOT_SET:
	case _WELLGATE__V1__DESK_COMMAND__WHAT__CASE_IS_INT_SIZE:
	default:
		return refuse(d, CODE_USAGE, WORDS_DESK_NOT_UNDERSTOOD);
	}
}

int control_desk(const struct control *c, const Wellgate__V1__Command *command, struct arena *arena,
		 Wellgate__V1__Reply *reply)
{
	struct desk d = { .c = c,
			  .command = command,
			  .m = command->desk,
			  .arena = arena,
			  .reply = reply,
			  .ret = arena_alloc(arena, sizeof(*d.ret)) };
	int r;

	if (!d.ret)
		return -ENOMEM;
	wellgate__v1__desk_reply__init(d.ret);
	d.now_ms = pipeline_now_ms(c->pipeline);
	r = d.m ? dispatch(&d) : refuse(&d, CODE_USAGE, WORDS_DESK_NOT_UNDERSTOOD);
	if (r == -ENOMEM)
		return r;
	if (r == 0)
		reply->desk = d.ret;
	return 0;
}
