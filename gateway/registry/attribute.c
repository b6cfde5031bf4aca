/*
 * In this order; the first that applies answers:
 *
 *   is the device known at all?                         A8
 *   did somebody look at it and say whose it is?        FILED
 *   is the time known?            no: proof by number   A5, A6
 *   inside a session, or one person's own or loaned     A1 A2 A3, with presses A4 A9
 *   across a border                                     A6
 *   outside everything                                  A5 (nobody ever had it: A8)
 *   among the people who share it      presses, weight  A4 A9, A7, A8
 */
#include "gateway/registry/attribute.h"

#include <string.h>

#include "gateway/registry/index.h"
#include "gateway/words/words.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
/* a confirmed weight says nothing after this */
#define WEIGHT_OLD_MS (180 * DAY_MS)
/* how far a weight may lie from the last confirmed one: the larger of the two, and more with age */
#define WEIGHT_BAND_GRAMS     3000
#define WEIGHT_BAND_PERCENT   4
#define WEIGHT_GRAMS_PER_STEP 1000
#define WEIGHT_END_GRAMS      1000000 /* no body weighs a tonne */
#define WEIGHT_STEP_MS        (30 * DAY_MS)

/* What somebody pressed about this reading. */
enum said {
	SAID_NOTHING,
	SAID_ME,        /* named it, within ten minutes */
	SAID_ME_OUT,    /* named it, earlier or later */
	SAID_NOT_ME,    /* named it */
	SAID_MAYBE_ME,  /* within ten minutes, of some reading */
	SAID_MAYBE_NOT, /* the same */
};

struct person {
	const struct claim *claim;
	bool ended;     /* had it then, has it no more */
	bool candidate; /* of those that the slot leaves */
	enum said said;
};

/* All that is known about one reading. */
struct scene {
	const struct attribute_question *q;
	const struct attribute_weights *weights;
	const struct registry *registry;
	const struct device *device;
	uint64_t revision;
	int32_t slot;                /* as far as it proves anything */
	const struct claim *session; /* around it */
	const struct claim *owner;   /* the one person who had the device or slot then */
	struct person person[ATTRIBUTE_PEOPLE_MAX];
	size_t people;
	bool time_known;
	bool crowd;     /* more of them than that */
	bool straddles; /* it may lie on either side of a border */
	bool elsewhere; /* somebody had it, at another time */
	struct attribute_answer *ret;
};

static void answer(const struct scene *s, enum attribute_verdict verdict, unsigned int rule,
		   const char *subject)
{
	*s->ret = (struct attribute_answer){ .verdict = verdict,
					     .rule = rule,
					     .revision = s->revision };
	if (subject)
		memcpy(s->ret->subject, subject, strlen(subject) + 1);
}

/* The person had this and has it no more. What was filed while they had it stays theirs. */
static bool has_left(const struct scene *s, const struct claim *c)
{
	return c->basis != BASIS_SESSION && claim_ended(c, s->revision) &&
	       !(s->q->holder && strcmp(s->q->holder, c->subject) == 0);
}

/* ---- what staff said */

/* Is this person anybody's borrower or owner at all, on any device? */
static bool is_anywhere(const struct scene *s, const char *subject)
{
	const struct device *d = s->registry->devices.row;

	if (s->q->holder && strcmp(s->q->holder, subject) == 0)
		return true;
	for (size_t i = 0; i < s->registry->devices.n; i++) {
		const struct claim *c = device_claims(&d[i]);

		for (size_t k = 0; k < d[i].claims.n; k++) {
			if (claim_seen(&c[k], s->revision) && !claim_ended(&c[k], s->revision) &&
			    strcmp(c[k].subject, subject) == 0)
				return true;
		}
	}
	return false;
}

/* The last word of staff about this reading outweighs all rules. False: nobody looked at it. */
static bool by_staff(const struct scene *s)
{
	const struct filed *f = s->device->filed.row;

	for (size_t i = s->device->filed.n; i > 0; i--) {
		const struct filed *last = &f[i - 1];

		if (last->revision > s->revision ||
		    memcmp(last->reading, s->q->reading, REGISTRY_DIGEST) != 0)
			continue;
		if (!last->subject[0])
			answer(s, ATTRIBUTE_GUEST, ATTRIBUTE_RULE_FILED, NULL);
		else if (is_anywhere(s, last->subject))
			answer(s, ATTRIBUTE_CONFIRMED, ATTRIBUTE_RULE_FILED, last->subject);
		else
			answer(s, ATTRIBUTE_OTHER_PERSON, ATTRIBUTE_RULE_FILED, NULL);
		return true;
	}
	return false;
}

/* ---- presses */

static enum said said_now(const struct scene *s, const struct press *p)
{
	const bool soon = s->time_known && p->at_ms >= s->q->from_ms &&
			  p->at_ms - s->q->to_ms <= ATTRIBUTE_PRESS_MS;

	if (p->named) {
		if (memcmp(p->reading, s->q->reading, REGISTRY_DIGEST) != 0)
			return SAID_NOTHING;
		if (!p->me)
			return SAID_NOT_ME;
		return soon ? SAID_ME : SAID_ME_OUT;
	}
	if (!soon)
		return SAID_NOTHING;
	return p->me ? SAID_MAYBE_ME : SAID_MAYBE_NOT;
}

/* The last word of this person about this reading; a named one outweighs any other. */
static enum said said_by(const struct scene *s, const char *subject)
{
	const struct press *p = s->device->presses.row;
	enum said last = SAID_NOTHING;
	bool named = false;

	for (size_t i = 0; i < s->device->presses.n; i++) {
		if (p[i].revision > s->revision || strcmp(p[i].subject, subject) != 0)
			continue;
		const enum said now = said_now(s, &p[i]);

		if (now == SAID_NOTHING || (named && !p[i].named))
			continue;
		last = now;
		named = p[i].named;
	}
	return last;
}

static bool claims_it(enum said said)
{
	return said == SAID_ME || said == SAID_ME_OUT;
}

/* Did anybody but this person name the reading as theirs? NULL: anybody at all */
static const struct press *claimed_by_another(const struct scene *s, const char *subject)
{
	const struct press *p = s->device->presses.row;

	for (size_t i = 0; i < s->device->presses.n; i++) {
		if (p[i].revision > s->revision || !p[i].named ||
		    memcmp(p[i].reading, s->q->reading, REGISTRY_DIGEST) != 0 ||
		    (subject && strcmp(p[i].subject, subject) == 0))
			continue;
		if (claims_it(said_by(s, p[i].subject)))
			return &p[i];
	}
	return NULL;
}

/* Nothing new is filed under a reference that has ended, nor under one of another device. */
static bool has_it_now(const struct scene *s, const char *subject)
{
	const struct claim *c = device_claims(s->device);

	for (size_t i = 0; i < s->device->claims.n; i++) {
		if (claim_seen(&c[i], s->revision) && !claim_ended(&c[i], s->revision) &&
		    c[i].basis != BASIS_SESSION && strcmp(c[i].subject, subject) == 0)
			return true;
	}
	return false;
}

/* A reading is a guest's when all who could be meant have said "not me"; who had the device then
 * and is gone cannot say it, so nothing of theirs is thrown away. */
static bool all_said_not_me(const struct scene *s)
{
	for (size_t i = 0; i < s->people; i++) {
		if (s->person[i].said != SAID_NOT_ME)
			return false;
	}
	return s->people > 0 && !s->crowd;
}

/* ---- weight */

enum match {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNKNOWN
};

static const struct attribute_weight *weight_of(const struct scene *s, const char *subject)
{
	for (size_t i = 0; s->weights && i < s->weights->n; i++) {
		if (strcmp(s->weights->weight[i].subject, subject) == 0)
			return &s->weights->weight[i];
	}
	return NULL;
}

static int64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* Who has no weight of their own yet might be anybody. */
static enum match match_weight(const struct scene *s, const char *subject)
{
	const struct attribute_weight *w = weight_of(s, subject);
	int64_t age, band;

	if (!w)
		return MATCH_UNKNOWN;
	age = distance(s->q->from_ms, w->at_ms);
	if (age > WEIGHT_OLD_MS)
		return MATCH_UNKNOWN;
	band = w->grams * WEIGHT_BAND_PERCENT / 100;
	if (band < WEIGHT_BAND_GRAMS)
		band = WEIGHT_BAND_GRAMS;
	band += age / WEIGHT_STEP_MS * WEIGHT_GRAMS_PER_STEP;
	return distance(s->q->grams, w->grams) <= band ? MATCH_YES : MATCH_NO;
}

static bool is_weight(const struct attribute_question *q)
{
	return q->metric == METRIC_BODY_WEIGHT && q->grams > 0 && q->grams < WEIGHT_END_GRAMS;
}

/* A suitcase or a child on one person's own scale: a third away from what they confirmed. */
static bool strange_weight(const struct scene *s, const char *subject)
{
	const struct attribute_weight *w = is_weight(s->q) ? weight_of(s, subject) : NULL;

	return w && distance(s->q->grams, w->grams) > w->grams / 3;
}

/* A7, A8: plausible for exactly one of them, and certainly not for any other. */
static void by_weight(const struct scene *s)
{
	const struct person *only = NULL;
	size_t plausible = 0, unknown = 0;

	for (size_t i = 0; is_weight(s->q) && i < s->people; i++) {
		const struct person *p = &s->person[i];

		if (!p->candidate || p->said == SAID_NOT_ME)
			continue;
		switch (match_weight(s, p->claim->subject)) {
		case MATCH_YES:
			plausible++;
			only = p;
			break;
		case MATCH_UNKNOWN:
			unknown++;
			break;
		case MATCH_NO:
			break;
		}
	}
	if (only && plausible == 1 && unknown == 0 && !only->ended && !s->crowd)
		answer(s, ATTRIBUTE_SUGGESTED, 7, only->claim->subject);
	else
		answer(s, ATTRIBUTE_UNASSIGNED, 8, NULL);
}

/* ---- the rules */

/* the one person of them who said this; NULL: none, or several (*ret_n) */
static const struct person *only_one(const struct scene *s, enum said said, size_t *ret_n)
{
	const struct person *only = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->people; i++) {
		if (s->person[i].said != said)
			continue;
		n++;
		only = &s->person[i];
	}
	*ret_n = n;
	return n == 1 ? only : NULL;
}

/* A4: somebody said "this was me". False: nobody did */
static bool by_press(const struct scene *s)
{
	size_t n;
	const struct person *p = only_one(s, SAID_ME, &n);
	const struct press *claim = claimed_by_another(s, NULL);

	if (claim && claimed_by_another(s, claim->subject)) {
		answer(s, ATTRIBUTE_UNASSIGNED, 4, NULL); /* two people want it */
		return true;
	}
	if (claim) {
		if (p && !p->ended)
			answer(s, ATTRIBUTE_CONFIRMED, 4, claim->subject);
		else if (has_it_now(s, claim->subject))
			answer(s, ATTRIBUTE_SUGGESTED, 4, claim->subject);
		else
			answer(s, ATTRIBUTE_UNASSIGNED, 4, NULL);
		return true;
	}
	p = only_one(s, SAID_MAYBE_ME, &n);
	if (p && !p->ended && p->candidate)
		answer(s, ATTRIBUTE_SUGGESTED, 4, p->claim->subject);
	return p && !p->ended && p->candidate;
}

/* The memory was not wiped before this loan, only numbered: the time says that the reading is of
 * it, and the number says otherwise, or there is none. */
static bool against_mark(const struct scene *s, const struct claim *c)
{
	if (!c->has_mark)
		return false;
	return s->q->has_record ? s->q->record <= c->mark : !s->q->live;
}

/* A1, A2, A3: one person had the device or the slot */
static void by_owner(const struct scene *s, const struct claim *c, unsigned int rule)
{
	const enum said said = said_by(s, c->subject);

	if (has_left(s, c))
		answer(s, ATTRIBUTE_OTHER_PERSON, 5, NULL);
	else if (against_mark(s, c))
		answer(s, ATTRIBUTE_UNATTRIBUTABLE, 6, NULL);
	else if (claimed_by_another(s, c->subject) && said == SAID_NOT_ME)
		(void)by_press(s); /* the two agree: they swapped */
	else if (claimed_by_another(s, c->subject))
		answer(s, ATTRIBUTE_UNASSIGNED, 4, NULL);
	else if (said == SAID_NOT_ME)
		answer(s, all_said_not_me(s) ? ATTRIBUTE_GUEST : ATTRIBUTE_UNASSIGNED, 9, NULL);
	else if (said == SAID_MAYBE_NOT)
		answer(s, ATTRIBUTE_UNASSIGNED, 9, NULL);
	else if (rule == 1)
		answer(s, ATTRIBUTE_CONFIRMED, 1, c->subject);
	else if (said == SAID_ME)
		answer(s, ATTRIBUTE_CONFIRMED, 4, c->subject);
	else if (strange_weight(s, c->subject))
		answer(s, ATTRIBUTE_UNASSIGNED, 8, NULL);
	else
		answer(s, ATTRIBUTE_ASSIGNED, rule, c->subject);
}

static void by_people(const struct scene *s)
{
	size_t candidates = 0, ended = 0;

	for (size_t i = 0; i < s->people; i++) {
		candidates += s->person[i].candidate;
		ended += s->person[i].candidate && s->person[i].ended;
	}
	if (s->straddles)
		answer(s, ATTRIBUTE_UNATTRIBUTABLE, 6, NULL);
	else if (candidates > 0 && ended == candidates)
		answer(s, ATTRIBUTE_OTHER_PERSON, 5, NULL);
	else if (candidates == 0 && s->elsewhere)
		answer(s, ATTRIBUTE_OTHER_PERSON, 5, NULL);
	else if (s->people > 0 && all_said_not_me(s))
		answer(s, ATTRIBUTE_GUEST, 9, NULL);
	else if (!by_press(s))
		by_weight(s);
}

/* ---- when the time proves nothing */

/* Could the reading be of this claim, for all that wipes and record numbers prove? */
static bool may_be_of(const struct scene *s, const struct claim *c, const struct claim *proven)
{
	const struct wipe *wipe = device_wipe(s->device, s->revision);
	bool before_wipe = false;

	if (!claim_seen(c, s->revision) || !claim_touches(c, s->slot) ||
	    claim_to(c, s->revision) <= c->from_ms)
		return false;
	if (wipe && c->started < wipe->revision) {
		if (claim_ended(c, s->revision))
			before_wipe = c->ended < wipe->revision;
		else
			before_wipe = c->planned_ms <= wipe->at_ms;
	}
	/* the number says: after the loan of `proven` began */
	return !before_wipe &&
	       !(proven && claim_ended(c, s->revision) && c->ended < proven->started);
}

/* the claim, still open, that has a mark which the record number can be held against */
static const struct claim *marked(const struct scene *s)
{
	const struct claim *c = device_claims(s->device);

	for (size_t i = s->device->claims.n; s->q->has_record && i > 0; i--) {
		if (claim_seen(&c[i - 1], s->revision) && !claim_ended(&c[i - 1], s->revision) &&
		    c[i - 1].slot == s->slot && c[i - 1].has_mark)
			return &c[i - 1];
	}
	return NULL;
}

/* Several could be meant, and the time does not tell. Who named the reading may be asked again. */
static void by_word_alone(const struct scene *s)
{
	const struct press *claim = claimed_by_another(s, NULL);

	if (claim && !claimed_by_another(s, claim->subject) && has_it_now(s, claim->subject))
		answer(s, ATTRIBUTE_SUGGESTED, 4, claim->subject);
	else
		answer(s, ATTRIBUTE_UNATTRIBUTABLE, 6, NULL);
}

static void by_history(const struct scene *s)
{
	const struct claim *c = device_claims(s->device), *only = NULL;
	const struct claim *proven = marked(s);
	size_t persons = 0;

	if (proven && s->q->record <= proven->mark) {
		answer(s, ATTRIBUTE_OTHER_PERSON, 5, NULL);
		return;
	}
	for (size_t i = 0; i < s->device->claims.n; i++) {
		if (!may_be_of(s, &c[i], proven))
			continue;
		persons += !only || strcmp(only->subject, c[i].subject) != 0;
		only = &c[i]; /* of one person's claims the last one */
	}
	if (persons > 1)
		by_word_alone(s);
	else if (!only || only->basis == BASIS_SESSION)
		answer(s, ATTRIBUTE_UNASSIGNED, 8, NULL);
	else if (claim_ended(only, s->revision))
		answer(s, ATTRIBUTE_OTHER_PERSON, 5, NULL);
	else if (claimed_by_another(s, only->subject))
		answer(s, ATTRIBUTE_UNASSIGNED, 4, NULL);
	else if (said_by(s, only->subject) == SAID_NOT_ME)
		answer(s, ATTRIBUTE_GUEST, 9, NULL);
	else
		answer(s, ATTRIBUTE_SUGGESTED, 6, only->subject);
}

/* ---- gathering */

/* Is the measured time good enough to say who had the device then? */
static bool time_is_known(const struct scene *s)
{
	const struct attribute_question *q = s->q;

	if (q->from_ms < REGISTRY_EARLIEST_MS || q->to_ms >= REGISTRY_LATEST_MS ||
	    q->from_ms > q->to_ms)
		return false;
	switch (q->clock) {
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED:
		return s->device->has_clock; /* else: whose stamp would that be? */
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED:
		/* the receipt of a record out of a memory says nothing of when it was measured */
		return q->live || s->device->memory == 0;
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNSPECIFIED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNKNOWN:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_RECEIPT_UNSYNCED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_UNVERIFIED:
	case _WELLGATE__V1__CLOCK_QUALITY_IS_INT_SIZE:
	default:
		return false;
	}
}

static void add_person(struct scene *s, const struct claim *c)
{
	const bool ended = has_left(s, c);
	const bool candidate = c->basis == BASIS_SHARED || s->slot == WHOLE_DEVICE;

	for (size_t i = 0; i < s->people; i++) {
		if (strcmp(s->person[i].claim->subject, c->subject) != 0)
			continue;
		s->person[i].ended &= ended;
		s->person[i].candidate |= candidate;
		return;
	}
	if (s->people == ATTRIBUTE_PEOPLE_MAX) {
		s->crowd = true;
		return;
	}
	s->person[s->people++] = (struct person){
		.claim = c, .ended = ended, .candidate = candidate, .said = said_by(s, c->subject)
	};
}

static void look_at(struct scene *s, const struct claim *c)
{
	const int64_t to = claim_to(c, s->revision);
	const bool touches = claim_touches(c, s->slot);

	if (to <= c->from_ms)
		return; /* it was a mistake, and never was */
	if (s->q->to_ms < c->from_ms || s->q->from_ms >= to) {
		s->elsewhere |= touches && c->basis != BASIS_SESSION;
		return;
	}
	if (s->q->from_ms < c->from_ms || s->q->to_ms >= to) {
		s->straddles |= touches;
		return;
	}
	add_person(s, c);
	if (c->basis == BASIS_SESSION)
		s->session = c;
	else if (c->basis != BASIS_SHARED && c->slot == WHOLE_DEVICE)
		s->owner = c;
	else if (c->slot != WHOLE_DEVICE && c->slot == s->slot)
		s->owner = c;
}

void attribute_reading(const struct registry *r, const struct attribute_weights *weights,
		       const struct attribute_question *question, struct attribute_answer *ret)
{
	struct scene s = { .q = question,
			   .weights = weights,
			   .registry = r,
			   .device = registry_device(r, question->device),
			   .revision = question->revision ? question->revision : r->revision,
			   .slot = WHOLE_DEVICE,
			   .ret = ret };

	if (!s.device) {
		answer(&s, ATTRIBUTE_UNASSIGNED, 8, NULL);
		return;
	}
	if (by_staff(&s))
		return;
	if (question->has_slot && question->slot <= INT32_MAX && s.device->slots > 1 &&
	    !s.device->slot_guessed)
		s.slot = (int32_t)question->slot;
	s.time_known = time_is_known(&s);
	if (!s.time_known) {
		by_history(&s);
		return;
	}
	for (size_t i = 0; i < s.device->claims.n; i++) {
		const struct claim *c = device_claims(s.device) + i;

		if (claim_seen(c, s.revision))
			look_at(&s, c);
	}
	/* a loan that has ended ends all that was measured in it, sessions too */
	if (s.session && !(s.owner && has_left(&s, s.owner)))
		by_owner(&s, s.session, 1);
	else if (s.owner)
		by_owner(&s, s.owner, s.owner->slot == WHOLE_DEVICE ? 2 : 3);
	else
		by_people(&s);
}

bool attribute_is_final(enum attribute_verdict verdict)
{
	return verdict == ATTRIBUTE_CONFIRMED || verdict == ATTRIBUTE_ASSIGNED;
}

const char *attribute_words(enum attribute_verdict verdict)
{
	switch (verdict) {
	case ATTRIBUTE_CONFIRMED:
		return words_text(WORDS_EN, WORDS_WHOSE_CONFIRMED);
	case ATTRIBUTE_ASSIGNED:
		return words_text(WORDS_EN, WORDS_WHOSE_ASSIGNED);
	case ATTRIBUTE_SUGGESTED:
		return words_text(WORDS_EN, WORDS_WHOSE_SUGGESTED);
	case ATTRIBUTE_UNASSIGNED:
		return words_text(WORDS_EN, WORDS_WHOSE_UNASSIGNED);
	case ATTRIBUTE_UNATTRIBUTABLE:
		return words_text(WORDS_EN, WORDS_WHOSE_UNATTRIBUTABLE);
	case ATTRIBUTE_OTHER_PERSON:
		return words_text(WORDS_EN, WORDS_WHOSE_OTHER);
	case ATTRIBUTE_GUEST:
		return words_text(WORDS_EN, WORDS_WHOSE_GUEST);
	}
	return "";
}

/* ---- learning */

static struct attribute_weight *slot_for(struct attribute_weights *weights, const char *subject)
{
	struct attribute_weight *oldest = &weights->weight[0];

	for (size_t i = 0; i < weights->n; i++) {
		if (strcmp(weights->weight[i].subject, subject) == 0)
			return &weights->weight[i];
		if (weights->weight[i].at_ms < oldest->at_ms)
			oldest = &weights->weight[i];
	}
	if (weights->n < ATTRIBUTE_WEIGHTS_MAX)
		oldest = &weights->weight[weights->n++];
	*oldest = (struct attribute_weight){ .at_ms = INT64_MIN };
	memcpy(oldest->subject, subject, strlen(subject) + 1);
	return oldest;
}

void attribute_learn(struct attribute_weights *weights, const struct attribute_question *question,
		     const struct attribute_answer *answer)
{
	struct attribute_weight *w;

	if (answer->verdict != ATTRIBUTE_CONFIRMED || !is_weight(question))
		return;
	w = slot_for(weights, answer->subject);
	if (question->from_ms < w->at_ms)
		return;
	w->grams = question->grams;
	w->at_ms = question->from_ms;
}
