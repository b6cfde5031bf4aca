#include "gateway/filing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/log.h"
#include "gateway/intake/intake.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
/* a device's clock was compared over a radio link */
#define COMPARED_MS (2 * SECOND_MS)
/* an unguided crystal is off by up to 1 in 10,000 (100 ppm) */
#define DRIFT 10000
/* how long before it came something may have been measured: seen live, or else with no memory */
#define LIVE_LATE_MS (1 * MINUTE_MS)
#define LATE_MS      (5 * MINUTE_MS)
/* "an hour out" is what TIME_UNCERTAIN says of a stamp */
#define UNCERTAIN_MS (1 * HOUR_MS)

struct filing {
	struct store *store;
	struct registry *registry;
	struct attribute_weights weights;
	bool incomplete;
};

int filing_new(struct store *store, struct filing **ret)
{
	struct filing *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->store = store;
	r = registry_new(&f->registry);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void filing_free(struct filing *f)
{
	if (!f)
		return;
	registry_free(f->registry);
	free(f);
}

const struct registry *filing_registry(const struct filing *f)
{
	return f->registry;
}

bool filing_in_use(const struct filing *f)
{
	return f->incomplete || registry_revision(f->registry) > 0;
}

bool filing_is_incomplete(const struct filing *f)
{
	return f->incomplete;
}

/* ---- the question ---- */

static bool has_flag(const Wellgate__V1__Reading *r, Wellgate__V1__Flag flag)
{
	for (size_t i = 0; i < r->n_flags; i++) {
		if (r->flags[i] == flag)
			return true;
	}
	return false;
}

/*
 * Did the driver see it measured? That it did not come out of a memory is no proof: a cuff that was
 * used out of reach sends the same frame later, and many drivers cannot tell. A heart rate is sent
 * beat by beat while it is measured, and what is still going on is.
 */
static bool is_live(const Wellgate__V1__Reading *r)
{
	if (r->device_time || has_flag(r, WELLGATE__V1__FLAG__FLAG_BACKFILL))
		return false;
	return r->metric == WELLGATE__V1__METRIC__METRIC_HEART_RATE ||
	       has_flag(r, WELLGATE__V1__FLAG__FLAG_ONGOING);
}

static int64_t apart(int64_t a, int64_t b)
{
	int64_t n;

	if (__builtin_sub_overflow(a, b, &n) || n == INT64_MIN)
		return INT64_MAX / 2;
	return n < 0 ? -n : n;
}

/* How far the truth may lie before and after a device's stamp. One without seconds may be of a
 * clock that shows none; and the clock was compared when the reading came, not when it was made. */
static void widen_stamp(const Wellgate__V1__Reading *r, int64_t *before, int64_t *after)
{
	const Wellgate__V1__DeviceTime *t = r->device_time;
	const int64_t drift = apart(r->received_at_ms, r->measured_at_ms) / DRIFT;

	*before = COMPARED_MS + drift;
	*after = *before + (t && t->second == 0 ? MINUTE_MS : SECOND_MS);
}

static void interval_of(const Wellgate__V1__Reading *r, struct attribute_question *q)
{
	const int64_t duration = r->has_duration_ms && r->duration_ms > 0 ? r->duration_ms : 0;
	int64_t before = 0, after = 0;

	if (!r->has_measured_at_ms)
		return; /* 0 to 0 is no time that the registry knows */
	if (r->clock == WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED)
		before = q->live ? LIVE_LATE_MS : LATE_MS;
	else
		widen_stamp(r, &before, &after);
	if (has_flag(r, WELLGATE__V1__FLAG__FLAG_TIME_UNCERTAIN)) {
		before += UNCERTAIN_MS;
		after += UNCERTAIN_MS;
	}
	if (__builtin_sub_overflow(r->measured_at_ms, before, &q->from_ms) ||
	    __builtin_add_overflow(r->measured_at_ms, duration, &q->to_ms) ||
	    __builtin_add_overflow(q->to_ms, after, &q->to_ms))
		q->from_ms = q->to_ms = 0;
}

/* kg, mantissa * 10^exponent; 0: not known. Half a gram more or less says nothing. */
static int64_t grams_of(const Wellgate__V1__Reading *r)
{
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];
		int64_t grams, exponent;

		if (c->metric != WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT || !c->value)
			continue;
		grams = c->value->mantissa;
		exponent = (int64_t)c->value->exponent + 3;
		for (; exponent < 0 && grams != 0; exponent++)
			grams /= 10;
		for (; exponent > 0 && grams != 0; exponent--) {
			if (__builtin_mul_overflow(grams, INT64_C(10), &grams))
				return 0;
		}
		return grams > 0 ? grams : 0;
	}
	return 0;
}

/* false: it carries no identity that the registry could know */
static bool question_of(const Wellgate__V1__Reading *r, struct attribute_question *ret)
{
	struct attribute_question q = { .clock = r->clock,
					.live = is_live(r),
					.has_slot = r->has_user_slot,
					.slot = r->user_slot,
					.has_record = r->has_record_number,
					.record = r->record_number,
					.metric = (enum metric)r->metric };

	if (!r->device || r->device->serial_digest.len != sizeof(q.device) || !r->has_dedupe_key ||
	    r->dedupe_key.len != sizeof(q.reading))
		return false;
	memcpy(q.device, r->device->serial_digest.data, sizeof(q.device));
	memcpy(q.reading, r->dedupe_key.data, sizeof(q.reading));
	if (r->metric == WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT)
		q.grams = grams_of(r);
	interval_of(r, &q);
	*ret = q;
	return true;
}

/* ---- the answer ---- */

static enum store_where where_of(enum attribute_verdict verdict)
{
	switch (verdict) {
	case ATTRIBUTE_CONFIRMED:
	case ATTRIBUTE_ASSIGNED:
		return STORE_PUBLISH;
	case ATTRIBUTE_OTHER_PERSON:
	case ATTRIBUTE_GUEST:
		return STORE_DROP;
	case ATTRIBUTE_SUGGESTED:
	case ATTRIBUTE_UNASSIGNED:
	case ATTRIBUTE_UNATTRIBUTABLE:
		return STORE_HOLD;
	}
	return STORE_HOLD;
}

void filing_ask(const struct filing *f, const Wellgate__V1__Reading *reading, const char *holder,
		struct filing_answer *ret)
{
	struct filing_answer a = { .about = { .verdict = ATTRIBUTE_UNASSIGNED,
					      .rule = 8,
					      .revision = registry_revision(f->registry) } };
	struct attribute_question q;

	if (!f->incomplete && question_of(reading, &q)) {
		q.holder = holder;
		attribute_reading(f->registry, holder ? NULL : &f->weights, &q, &a.about);
	}
	a.where = where_of(a.about.verdict);
	*ret = a;
}

void filing_said(const struct filing *f, const char *subject, struct filing_answer *ret)
{
	*ret = (struct filing_answer){ .where = STORE_PUBLISH,
				       .about = { .verdict = ATTRIBUTE_ASSIGNED,
						  .rule = ATTRIBUTE_RULE_FILED,
						  .revision = registry_revision(f->registry) } };
	(void)snprintf(ret->about.subject, sizeof(ret->about.subject), "%s", subject);
}

static Wellgate__V1__Confidence confidence_of(enum attribute_verdict verdict)
{
	switch (verdict) {
	case ATTRIBUTE_CONFIRMED:
		return WELLGATE__V1__CONFIDENCE__CONFIDENCE_CONFIRMED;
	case ATTRIBUTE_ASSIGNED:
		return WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
	case ATTRIBUTE_SUGGESTED:
		return WELLGATE__V1__CONFIDENCE__CONFIDENCE_SUGGESTED;
	case ATTRIBUTE_UNASSIGNED:
	case ATTRIBUTE_UNATTRIBUTABLE:
	case ATTRIBUTE_OTHER_PERSON:
	case ATTRIBUTE_GUEST:
		break;
	}
	return WELLGATE__V1__CONFIDENCE__CONFIDENCE_NONE;
}

static Wellgate__V1__AttributionRule rule_of(unsigned int rule)
{
	static const Wellgate__V1__AttributionRule rules[] = {
		[1] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SESSION,
		[2] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_LOAN,
		[3] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_USER_SLOT,
		[4] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SAID_ME,
		[5] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_OTHER_PERSON,
		[6] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_NO_TIME,
		[7] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_WEIGHT,
		[8] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_UNASSIGNED,
		[9] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SAID_NOT_ME,
		[ATTRIBUTE_RULE_FILED] = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_STAFF,
	};

	return rule < sizeof(rules) / sizeof(rules[0])
		       ? rules[rule]
		       : WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_UNSPECIFIED;
}

int filing_mark(const struct filing_answer *answer, Wellgate__V1__Reading *reading,
		struct arena *arena)
{
	Wellgate__V1__Attribution *a = arena_alloc(arena, sizeof(*a));
	char *subject = NULL;

	if (answer->about.subject[0])
		subject = arena_strdup(arena, answer->about.subject);
	if (!a || (answer->about.subject[0] && !subject))
		return -ENOMEM;
	wellgate__v1__attribution__init(a);
	a->has_rule = a->has_confidence = a->has_registry_revision = true;
	a->rule = rule_of(answer->about.rule);
	a->confidence = confidence_of(answer->about.verdict);
	a->registry_revision = answer->about.revision;
	reading->attribution = a;
	reading->subject = subject;
	return 0;
}

bool filing_is_marked(const struct filing_answer *answer, const Wellgate__V1__Reading *reading)
{
	const Wellgate__V1__Attribution *a = reading->attribution;

	return a && a->rule == rule_of(answer->about.rule) &&
	       a->confidence == confidence_of(answer->about.verdict) &&
	       strcmp(reading->subject ? reading->subject : "", answer->about.subject) == 0;
}

void filing_learn(struct filing *f, const Wellgate__V1__Reading *reading,
		  const struct filing_answer *answer)
{
	struct attribute_question q;

	if (answer->about.verdict == ATTRIBUTE_CONFIRMED && question_of(reading, &q))
		attribute_learn(&f->weights, &q, &answer->about);
}

void filing_forget(struct filing *f, const char *subject)
{
	struct attribute_weights *w = &f->weights;

	for (size_t i = w->n; i > 0; i--) {
		if (strcmp(w->weight[i - 1].subject, subject) == 0)
			w->weight[i - 1] = w->weight[--w->n];
	}
}

/* ---- events, and the journal ---- */

/* where this event names somebody; NULL: it has no place for that */
static char **subject_field(Wellgate__V1__RegistryEvent *e)
{
	switch (e->what_case) {
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_ASSIGNMENT_STARTED:
		return &e->assignment_started->subject;
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_SESSION_OPENED:
		return &e->session_opened->subject;
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_PRESSED:
		return &e->pressed->subject;
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_FILED:
		return &e->filed->subject;
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_ADDED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_DEVICE_RETIRED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_ASSIGNMENT_ENDED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_SESSION_CLOSED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_WIPED:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT_HIGH_WATER_MARK:
	case WELLGATE__V1__REGISTRY_EVENT__WHAT__NOT_SET:
	case _WELLGATE__V1__REGISTRY_EVENT__WHAT__CASE_IS_INT_SIZE:
	default:
		return NULL;
	}
}

static int add_entry(struct filing *f, Wellgate__V1__RegistryEvent *event)
{
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;

	entry.has_at_ms = true;
	entry.at_ms = event->at_ms;
	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_REGISTRY;
	entry.registry = event;
	return store_add_entry(f->store, &entry, NULL);
}

int filing_register(struct filing *f, Wellgate__V1__RegistryEvent *event, const char **ret_problem)
{
	char **field = subject_field(event), *subject = field ? *field : NULL;
	int r = registry_apply(f->registry, event, ret_problem);

	if (r < 0)
		return r;
	event->has_person = subject != NULL;
	if (subject)
		r = store_person(f->store, subject, &event->person);
	if (r == 0) {
		if (field)
			*field = NULL;
		r = add_entry(f, event);
		if (field)
			*field = subject;
	}
	event->has_person = false;
	return r;
}

/* The same number, the same stand-in, on this hub: who it was is not in it. */
static int stand_in(const struct filing *f, uint64_t person, char ret[REFERENCE_TEXT_MAX])
{
	uint8_t digest[REFERENCE_RANDOM];
	char text[64];
	int r;

	(void)snprintf(text, sizeof(text), "nobody any more/%llu", (unsigned long long)person);
	r = intake_digest(store_identity(f->store)->digest_key, text, digest);
	if (r == 0)
		reference_make(digest, ret);
	return r;
}

static int put_subject(const struct filing *f, Wellgate__V1__RegistryEvent *e, struct arena *arena)
{
	char **field = subject_field(e), text[REFERENCE_TEXT_MAX];
	const char *subject;
	int r = 0;

	if (!field || !e->has_person)
		return 0;
	subject = store_person_subject(f->store, e->person);
	if (!subject) {
		r = stand_in(f, e->person, text);
		subject = text;
	}
	if (r == 0) {
		*field = arena_strdup(arena, subject);
		r = *field ? 0 : -ENOMEM;
	}
	return r;
}

/* 0, -ENOMEM, or -EBADMSG: what is lost of the registry is lost for all that follows, too */
static int load_entry(struct filing *f, struct registry *registry, const struct store_row *row,
		      struct arena *arena)
{
	Wellgate__V1__JournalEntry *entry;
	int r;

	arena_reset(arena);
	entry = wellgate__v1__journal_entry__unpack(arena_protobuf(arena), row->len, row->payload);
	if (!entry)
		return -EBADMSG;
	if (entry->what_case != WELLGATE__V1__JOURNAL_ENTRY__WHAT_REGISTRY)
		return 0;
	r = put_subject(f, entry->registry, arena);
	if (r == 0)
		r = registry_apply(registry, entry->registry, NULL);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

static int load_all(struct filing *f, struct registry *registry, struct arena *arena)
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next_entry(f->store, row.sequence, &row)) > 0) {
		r = load_entry(f, registry, &row, arena);
		if (r < 0)
			return r;
	}
	return r;
}

int filing_load(struct filing *f, struct arena *arena)
{
	struct registry *registry;
	int r = registry_new(&registry);

	if (r < 0)
		return r;
	r = load_all(f, registry, arena);
	if (r < 0 && r != -EBADMSG) {
		registry_free(registry);
		return r;
	}
	f->incomplete = r == -EBADMSG;
	if (f->incomplete)
		log_error("the registry is damaged after entry %llu: all readings are held",
			  (unsigned long long)registry_revision(registry));
	registry_free(f->registry);
	f->registry = registry;
	return 0;
}
