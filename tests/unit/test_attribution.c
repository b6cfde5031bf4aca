/* links: gateway_registry */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "registry_make.h"

#define ANNA 1
#define BEN  2
#define CARL 3
/* the loans of these tests begin here; "now" is three days later */
#define LENT SOME_TIME

static int setup(void **state)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (!h || registry_new(&h->r) < 0)
		return -1;
	h->now = LENT + 3 * DAY;
	about(h, 1);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct hub *h = *state;

	registry_free(h->r);
	free(h);
	return 0;
}

static struct attribute_answer ask(const struct hub *h, const struct attribute_question *q)
{
	struct attribute_answer a;

	attribute_reading(h->r, NULL, q, &a);
	assert_int_equal(a.revision, q->revision ? q->revision : registry_revision(h->r));
	return a;
}

/* person 0: nobody */
static void said(const struct attribute_answer *a, enum attribute_verdict verdict,
		 unsigned int rule, unsigned int person)
{
	const char *subject = person ? who(person) : "";

	if (a->verdict != verdict || a->rule != rule || strcmp(a->subject, subject) != 0)
		fail_msg("verdict %d by A%u (%s), expected %d by A%u (%s)", a->verdict, a->rule,
			 a->subject, verdict, rule, subject);
}

static void expect(const struct hub *h, const struct attribute_question *q,
		   enum attribute_verdict verdict, unsigned int rule, unsigned int person)
{
	const struct attribute_answer a = ask(h, q);

	said(&a, verdict, rule, person);
}

static void expect_at(const struct hub *h, int64_t at, enum attribute_verdict verdict,
		      unsigned int rule, unsigned int person)
{
	const struct attribute_question q = measured(h, at);

	expect(h, &q, verdict, rule, person);
}

/* a cuff with a clock and no memory, lent to Anna: revisions 1 and 2 */
static void lend(struct hub *h)
{
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(ANNA), LENT, BASIS(LOAN)), 0);
}

/* a scale that these people share */
static void share(struct hub *h, unsigned int people)
{
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	for (unsigned int i = 1; i <= people; i++)
		assert_int_equal(start(h, -1, who(i), LENT, BASIS(SHARED)), 0);
}

static int press_at(struct hub *h, int64_t at, unsigned int person, bool me,
		    const struct attribute_question *q)
{
	const int64_t now = h->now;
	int r;

	h->now = at;
	r = press(h, who(person), me, q ? q->reading : NULL);
	h->now = now;
	return r;
}

/* ---- the rules, one by one */

static void test_nobody_is_named_for_what_is_not_known(void **state)
{
	struct hub *h = *state;

	expect_at(h, h->now, ATTRIBUTE_UNASSIGNED, 8, 0);
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	expect_at(h, h->now, ATTRIBUTE_UNASSIGNED, 8, 0);
}

static void test_a1_clinic_session(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(open_session(h, who(ANNA), h->now + HOUR), 0);
	expect_at(h, h->now - 1000, ATTRIBUTE_UNASSIGNED, 8, 0);
	expect_at(h, h->now - 1, ATTRIBUTE_UNATTRIBUTABLE, 6, 0); /* across the border */
	expect_at(h, h->now, ATTRIBUTE_CONFIRMED, 1, ANNA);
	expect_at(h, h->now + HOUR - 1000, ATTRIBUTE_CONFIRMED, 1, ANNA);
	expect_at(h, h->now + HOUR - 999, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	expect_at(h, h->now + HOUR, ATTRIBUTE_UNASSIGNED, 8, 0);
	h->now += 20 * MINUTE;
	assert_int_equal(close_session(h, 2), 0);
	expect_at(h, h->now - 1000, ATTRIBUTE_CONFIRMED, 1, ANNA); /* it came late */
	expect_at(h, h->now, ATTRIBUTE_UNASSIGNED, 8, 0);
	q = measured(h, h->now);
	q.revision = 2; /* before it was closed */
	expect(h, &q, ATTRIBUTE_CONFIRMED, 1, ANNA);
	/* a stamp of a clock that nobody knows */
	q = measured(h, h->now - MINUTE);
	q.clock = CLOCK(DEVICE_UNVERIFIED);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0);
}

static void test_a2_loan(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	lend(h);
	expect_at(h, LENT, ATTRIBUTE_ASSIGNED, 2, ANNA);
	expect_at(h, LENT + 2 * DAY, ATTRIBUTE_ASSIGNED, 2, ANNA);
	expect_at(h, LENT - 1000, ATTRIBUTE_OTHER_PERSON, 5, 0);
	expect_at(h, LENT - 1, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	q = measured(h, LENT + DAY);
	q.revision = 1; /* before it was lent */
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0);
	q.revision = 0;
	q.from_ms -= 2 * DAY; /* a night that began before the loan */
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
}

static void test_time_qualities(void **state)
{
	struct hub *h = *state;
	static const struct {
		Wellgate__V1__ClockQuality clock;
		bool good;
	} row[] = {
		{ CLOCK(UNSPECIFIED), false },      { CLOCK(UNKNOWN), false },
		{ CLOCK(RECEIPT_UNSYNCED), false }, { CLOCK(DEVICE_UNVERIFIED), false },
		{ CLOCK(DEVICE_TRUSTED), true },    { CLOCK(DEVICE_CORRECTED), true },
		{ CLOCK(HUB_SYNCED), true },        { (Wellgate__V1__ClockQuality)77, false },
	};
	struct attribute_question q;

	lend(h);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		q = measured(h, LENT + DAY);
		q.clock = row[i].clock;
		if (row[i].good)
			expect(h, &q, ATTRIBUTE_ASSIGNED, 2, ANNA);
		else
			expect(h, &q, ATTRIBUTE_SUGGESTED, 6, ANNA);
	}
	q = measured(h, LENT + DAY);
	q.to_ms = q.from_ms - 1;
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, ANNA);
	q.from_ms = 1000; /* a clock of 1970 */
	q.to_ms = INT64_MAX;
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, ANNA);
	q.from_ms = INT64_MIN;
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, ANNA);
	/* a device without a clock did not stamp this */
	about(h, 2);
	assert_int_equal(add_device(h, 0, false, 0, false), 0);
	assert_int_equal(start(h, -1, who(BEN), LENT, BASIS(LOAN)), 0);
	expect_at(h, LENT + DAY, ATTRIBUTE_SUGGESTED, 6, BEN);
}

/* the receipt of a record out of a memory is not when it was measured */
static void test_a_memory_without_a_clock(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	assert_int_equal(add_device(h, 0, false, 30, false), 0);
	assert_int_equal(wipe(h, true), 0);
	assert_int_equal(start(h, -1, who(ANNA), LENT, BASIS(LOAN)), 0);
	q = measured(h, LENT + DAY);
	q.clock = CLOCK(HUB_SYNCED);
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, ANNA);
	q.live = true;
	expect(h, &q, ATTRIBUTE_ASSIGNED, 2, ANNA);
}

static void test_a3_user_slots(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	assert_int_equal(add_device(h, 2, true, 0, false), 0);
	assert_int_equal(start(h, 1, who(ANNA), LENT, BASIS(LOAN)), 0);
	q = measured(h, LENT + DAY);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0); /* it says no user */
	q.has_slot = true;
	q.slot = 1;
	expect(h, &q, ATTRIBUTE_ASSIGNED, 3, ANNA);
	q.slot = 2;
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0);
	q.slot = UINT32_MAX;
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0);
	assert_int_equal(start(h, 2, who(BEN), LENT + 2 * DAY, BASIS(LOAN)), 0);
	q.slot = 2;
	expect(h, &q, ATTRIBUTE_OTHER_PERSON, 5, 0);
	q.from_ms = LENT + 2 * DAY;
	q.to_ms = q.from_ms;
	expect(h, &q, ATTRIBUTE_ASSIGNED, 3, BEN);
	q.clock = CLOCK(UNKNOWN);
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, BEN);
}

/* A device that guesses who stands on it: its guess is the nearest match, and no proof. */
static void test_a3_a_guessed_slot_proves_nothing(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	assert_int_equal(add_device(h, 4, true, 0, true), 0);
	assert_int_equal(start(h, -1, who(ANNA), LENT, BASIS(SHARED)), 0);
	assert_int_equal(start(h, -1, who(BEN), LENT, BASIS(SHARED)), 0);
	q = measured(h, LENT + DAY);
	q.has_slot = true;
	q.slot = 1;
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0);
	/* lent as a whole, its numbers count as a whole */
	about(h, 2);
	assert_int_equal(add_device(h, 4, true, 30, true), 0);
	assert_int_equal(mark(h, -1, 30), 0);
	assert_int_equal(start(h, -1, who(CARL), LENT, BASIS(LOAN)), 0);
	memcpy(q.device, h->device, sizeof(q.device));
	q.clock = CLOCK(UNKNOWN);
	q.has_record = true;
	q.record = 30;
	expect(h, &q, ATTRIBUTE_OTHER_PERSON, 5, 0);
}

static void test_a4_this_was_me(void **state)
{
	struct hub *h = *state;
	struct attribute_question q, late, early, bare;

	share(h, 2);
	q = measured(h, LENT + DAY);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 8, 0);
	assert_int_equal(press_at(h, q.to_ms + 10 * MINUTE, ANNA, true, &q), 0);
	expect(h, &q, ATTRIBUTE_CONFIRMED, 4, ANNA);
	expect_at(h, LENT + DAY, ATTRIBUTE_UNASSIGNED, 8, 0); /* another one of that second */
	late = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, late.to_ms + 10 * MINUTE + 1, ANNA, true, &late), 0);
	expect(h, &late, ATTRIBUTE_SUGGESTED, 4, ANNA);
	early = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, early.from_ms - 1, ANNA, true, &early), 0);
	expect(h, &early, ATTRIBUTE_SUGGESTED, 4, ANNA);
	/* a button on the box names no reading: it may be about another one */
	bare = measured(h, LENT + 2 * DAY);
	assert_int_equal(press_at(h, bare.to_ms + MINUTE, ANNA, true, NULL), 0);
	expect(h, &bare, ATTRIBUTE_SUGGESTED, 4, ANNA);
	assert_int_equal(press_at(h, bare.to_ms + 2 * MINUTE, BEN, true, NULL), 0);
	expect(h, &bare, ATTRIBUTE_UNASSIGNED, 8, 0);
	assert_int_equal(press_at(h, bare.to_ms + 3 * MINUTE, BEN, true, &bare), 0);
	expect(h, &bare, ATTRIBUTE_CONFIRMED, 4, BEN);
	bare.revision = registry_revision(h->r) - 2;
	expect(h, &bare, ATTRIBUTE_SUGGESTED, 4, ANNA);
}

/* the button of the box, a minute later, was about something else */
static void test_a4_a_named_press_outweighs_a_bare_one(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	share(h, 2);
	q = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, q.to_ms, ANNA, true, &q), 0);
	assert_int_equal(press_at(h, q.to_ms + MINUTE, ANNA, false, NULL), 0);
	expect(h, &q, ATTRIBUTE_CONFIRMED, 4, ANNA);
}

static void test_a4_two_people_want_it(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	share(h, 2);
	q = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, q.to_ms, ANNA, true, &q), 0);
	assert_int_equal(press_at(h, q.to_ms, BEN, true, &q), 0);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 4, 0);
	assert_int_equal(press_at(h, q.to_ms, BEN, false, &q), 0); /* Ben was wrong */
	expect(h, &q, ATTRIBUTE_CONFIRMED, 4, ANNA);
}

static void test_a4_meets_a2_and_a3(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	lend(h);
	q = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, q.to_ms, ANNA, true, &q), 0);
	expect(h, &q, ATTRIBUTE_CONFIRMED, 4, ANNA);
	/* somebody who did not borrow this device */
	about(h, 2);
	assert_int_equal(add_device(h, 2, true, 0, false), 0);
	assert_int_equal(start(h, 1, who(BEN), LENT, BASIS(OWNED)), 0);
	assert_int_equal(start(h, 2, who(CARL), LENT, BASIS(OWNED)), 0);
	about(h, 1);
	assert_int_equal(press_at(h, q.to_ms, BEN, true, &q), 0);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 4, 0);
	/* Ben took Carl's button of the cuff */
	about(h, 2);
	q = measured(h, LENT + DAY);
	q.has_slot = true;
	q.slot = 2;
	assert_int_equal(press_at(h, q.to_ms, BEN, true, &q), 0);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 4, 0);
	assert_int_equal(press_at(h, q.to_ms, CARL, false, &q), 0);
	expect(h, &q, ATTRIBUTE_CONFIRMED, 4, BEN);
}

static void test_a5_the_loan_has_ended(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	lend(h);
	q = measured(h, LENT + DAY);
	expect(h, &q, ATTRIBUTE_ASSIGNED, 2, ANNA);
	assert_int_equal(end(h, 2, LENT + 2 * DAY), 0);
	expect(h, &q, ATTRIBUTE_OTHER_PERSON, 5, 0); /* her key is gone, too */
	q.revision = 2;
	expect(h, &q, ATTRIBUTE_ASSIGNED, 2, ANNA);
	expect_at(h, LENT + 2 * DAY, ATTRIBUTE_OTHER_PERSON, 5, 0);
	assert_int_equal(start(h, -1, who(BEN), LENT + 2 * DAY, BASIS(LOAN)), 0);
	expect_at(h, LENT + 2 * DAY, ATTRIBUTE_ASSIGNED, 2, BEN);
	expect_at(h, LENT + 2 * DAY - 1, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	expect_at(h, LENT + 2 * DAY - 1000, ATTRIBUTE_OTHER_PERSON, 5, 0);
	/* no press brings it back */
	q = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, q.to_ms, BEN, true, &q), 0);
	expect(h, &q, ATTRIBUTE_OTHER_PERSON, 5, 0);
}

static void test_a5_a_session_in_an_ended_loan(void **state)
{
	struct hub *h = *state;
	const int64_t then = LENT + DAY;

	lend(h);
	h->now = then;
	assert_int_equal(open_session(h, who(ANNA), then + HOUR), 0);
	expect_at(h, then, ATTRIBUTE_CONFIRMED, 1, ANNA);
	h->now = then + DAY;
	assert_int_equal(end(h, 2, h->now), 0);
	expect_at(h, then, ATTRIBUTE_OTHER_PERSON, 5, 0);
}

static void test_a_cancelled_loan_was_never(void **state)
{
	struct hub *h = *state;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(ANNA), LENT, BASIS(LOAN)), 0);
	assert_int_equal(end(h, 2, LENT), 0);
	expect_at(h, LENT, ATTRIBUTE_UNASSIGNED, 8, 0);
	expect_at(h, LENT - DAY, ATTRIBUTE_UNASSIGNED, 8, 0);
}

static void test_a6_time_unknown(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	lend(h);
	q = measured(h, LENT + DAY);
	q.clock = CLOCK(UNKNOWN);
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, ANNA); /* nobody else had it */
	assert_int_equal(end(h, 2, LENT + DAY), 0);
	expect(h, &q, ATTRIBUTE_OTHER_PERSON, 5, 0);
	assert_int_equal(start(h, -1, who(BEN), LENT + DAY, BASIS(LOAN)), 0);
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	assert_int_equal(wipe(h, false), 0); /* not proven */
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	assert_int_equal(wipe(h, true), 0);
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, BEN);
	q.revision = registry_revision(h->r) - 1;
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	q.revision = 0;
	assert_int_equal(press_at(h, q.to_ms, BEN, false, &q), 0);
	expect(h, &q, ATTRIBUTE_GUEST, 9, 0);
}

/* the word of somebody who has left files nothing under their reference */
static void test_a4_who_left(void **state)
{
	struct hub *h = *state;
	struct attribute_question q, unknown;

	share(h, 2);
	q = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, q.to_ms, BEN, true, &q), 0);
	unknown = measured(h, LENT + DAY);
	unknown.clock = CLOCK(UNKNOWN);
	assert_int_equal(press_at(h, LENT + DAY, BEN, true, &unknown), 0);
	expect(h, &q, ATTRIBUTE_CONFIRMED, 4, BEN);
	expect(h, &unknown, ATTRIBUTE_SUGGESTED, 4, BEN);
	assert_int_equal(end(h, 3, LENT + 2 * DAY), 0);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 4, 0);
	expect(h, &unknown, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
}

static void test_a6_a_word_is_asked_again(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	share(h, 2);
	q = measured(h, LENT + DAY);
	q.clock = CLOCK(UNKNOWN);
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	assert_int_equal(press_at(h, LENT + DAY, BEN, true, &q), 0);
	expect(h, &q, ATTRIBUTE_SUGGESTED, 4, BEN);
	assert_int_equal(press_at(h, LENT + DAY, ANNA, true, &q), 0);
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
}

static void test_record_numbers(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	assert_int_equal(add_device(h, 0, true, 60, false), 0);
	assert_int_equal(wipe(h, true), 0);
	assert_int_equal(start(h, -1, who(ANNA), LENT, BASIS(LOAN)), 0);
	assert_int_equal(end(h, 3, LENT + DAY), 0);
	assert_int_equal(mark(h, -1, 60), 0);
	assert_int_equal(start(h, -1, who(BEN), LENT + DAY, BASIS(LOAN)), 0);
	q = measured(h, LENT + 2 * DAY);
	q.clock = CLOCK(UNKNOWN);
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0); /* no number: two people had it */
	q.has_record = true;
	q.record = 60;
	expect(h, &q, ATTRIBUTE_OTHER_PERSON, 5, 0);
	q.record = 61;
	expect(h, &q, ATTRIBUTE_SUGGESTED, 6, BEN);
	q.clock = CLOCK(DEVICE_CORRECTED);
	expect(h, &q, ATTRIBUTE_ASSIGNED, 2, BEN);
	q.record = 60; /* the number says Anna, the time says Ben */
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	q.has_record = false; /* it may be either's, if the clock was wrong */
	expect(h, &q, ATTRIBUTE_UNATTRIBUTABLE, 6, 0);
	q.live = true;
	expect(h, &q, ATTRIBUTE_ASSIGNED, 2, BEN);
}

/* ---- weight */

static struct attribute_question weighed(const struct hub *h, int64_t at, int64_t grams)
{
	struct attribute_question q = measured(h, at);

	q.metric = METRIC_BODY_WEIGHT;
	q.grams = grams;
	return q;
}

static void learn(const struct hub *h, struct attribute_weights *w, unsigned int person, int64_t at,
		  int64_t grams)
{
	const struct attribute_question q = weighed(h, at, grams);
	struct attribute_answer a = { .verdict = ATTRIBUTE_CONFIRMED };

	memcpy(a.subject, who(person), REFERENCE_TEXT_MAX);
	attribute_learn(w, &q, &a);
}

static void weigh(const struct hub *h, const struct attribute_weights *w, int64_t grams,
		  enum attribute_verdict verdict, unsigned int person)
{
	const struct attribute_question q = weighed(h, LENT + DAY, grams);
	struct attribute_answer a;

	attribute_reading(h->r, w, &q, &a);
	said(&a, verdict, verdict == ATTRIBUTE_SUGGESTED ? 7 : 8, person);
}

static void test_a7_a8_weight_only_suggests(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };

	share(h, 2);
	weigh(h, &w, 70000, ATTRIBUTE_UNASSIGNED, 0);
	learn(h, &w, ANNA, LENT, 70000);
	weigh(h, &w, 70000, ATTRIBUTE_UNASSIGNED, 0); /* Ben may weigh the same */
	learn(h, &w, BEN, LENT, 80000);
	weigh(h, &w, 70000, ATTRIBUTE_SUGGESTED, ANNA);
	weigh(h, &w, 73000, ATTRIBUTE_SUGGESTED, ANNA); /* 3 kg */
	weigh(h, &w, 73001, ATTRIBUTE_UNASSIGNED, 0);
	weigh(h, &w, 76800, ATTRIBUTE_SUGGESTED, BEN); /* 4 % */
	weigh(h, &w, 76799, ATTRIBUTE_UNASSIGNED, 0);
	weigh(h, &w, 25000, ATTRIBUTE_UNASSIGNED, 0); /* a child */
	weigh(h, &w, 1000000, ATTRIBUTE_UNASSIGNED, 0);
	weigh(h, &w, INT64_MAX, ATTRIBUTE_UNASSIGNED, 0);
	weigh(h, &w, -70000, ATTRIBUTE_UNASSIGNED, 0);
	learn(h, &w, BEN, LENT, 74000);
	weigh(h, &w, 72000, ATTRIBUTE_UNASSIGNED, 0); /* either of them */
	learn(h, &w, BEN, LENT - DAY, 90000);         /* older than what is known */
	weigh(h, &w, 72000, ATTRIBUTE_UNASSIGNED, 0);
	assert_int_equal(w.n, 2);
}

static void test_a7_weights_grow_old(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };

	share(h, 1);
	learn(h, &w, ANNA, LENT + DAY - 30 * DAY, 70000);
	weigh(h, &w, 74000, ATTRIBUTE_SUGGESTED, ANNA);
	weigh(h, &w, 74001, ATTRIBUTE_UNASSIGNED, 0);
	w.weight[0].at_ms = LENT + DAY - 180 * DAY;
	weigh(h, &w, 79000, ATTRIBUTE_SUGGESTED, ANNA);
	w.weight[0].at_ms--;
	weigh(h, &w, 70000, ATTRIBUTE_UNASSIGNED, 0);
}

static void test_only_confirmed_readings_teach(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };
	struct attribute_question q = weighed(h, LENT, 70000);
	struct attribute_answer a = { .verdict = ATTRIBUTE_ASSIGNED };

	for (int v = ATTRIBUTE_ASSIGNED; v <= ATTRIBUTE_GUEST; v++) {
		a.verdict = (enum attribute_verdict)v;
		attribute_learn(&w, &q, &a);
		assert_int_equal(w.n, 0);
	}
	a.verdict = ATTRIBUTE_CONFIRMED;
	q.metric = METRIC_BLOOD_PRESSURE;
	attribute_learn(&w, &q, &a);
	assert_int_equal(w.n, 0);
	/* when it is full the oldest goes */
	for (unsigned int i = 1; i <= ATTRIBUTE_WEIGHTS_MAX + 1; i++)
		learn(h, &w, i, LENT + i, 70000);
	assert_int_equal(w.n, ATTRIBUTE_WEIGHTS_MAX);
	assert_string_equal(w.weight[0].subject, who(ATTRIBUTE_WEIGHTS_MAX + 1));
	assert_string_equal(w.weight[1].subject, who(2));
}

/* who has left the household is still one whom a stored reading may be of */
static void test_a7_who_left_is_still_plausible(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };

	share(h, 2);
	learn(h, &w, ANNA, LENT, 70000);
	learn(h, &w, BEN, LENT, 80000);
	weigh(h, &w, 80000, ATTRIBUTE_SUGGESTED, BEN);
	assert_int_equal(end(h, 3, LENT + 2 * DAY), 0);
	weigh(h, &w, 80000, ATTRIBUTE_UNASSIGNED, 0);
	weigh(h, &w, 70000, ATTRIBUTE_SUGGESTED, ANNA);
	assert_int_equal(end(h, 2, LENT + 2 * DAY), 0);
	expect_at(h, LENT + DAY, ATTRIBUTE_OTHER_PERSON, 5, 0);
}

static void test_a2_a_suitcase_on_her_own_scale(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };
	struct attribute_question q;
	struct attribute_answer a;

	lend(h);
	learn(h, &w, ANNA, LENT, 90000);
	q = weighed(h, LENT + DAY, 60000);
	attribute_reading(h->r, &w, &q, &a);
	said(&a, ATTRIBUTE_ASSIGNED, 2, ANNA);
	q.grams = 59999;
	attribute_reading(h->r, &w, &q, &a);
	said(&a, ATTRIBUTE_UNASSIGNED, 8, 0);
	assert_int_equal(press_at(h, q.to_ms, ANNA, true, &q), 0);
	attribute_reading(h->r, &w, &q, &a);
	said(&a, ATTRIBUTE_CONFIRMED, 4, ANNA);
}

/* ---- not me */

static void test_a9_not_me(void **state)
{
	struct hub *h = *state;
	struct attribute_question q, bare;

	lend(h);
	q = measured(h, LENT + DAY);
	assert_int_equal(press_at(h, q.to_ms + DAY, ANNA, false, &q), 0); /* whenever */
	expect(h, &q, ATTRIBUTE_GUEST, 9, 0);
	q.revision = 2;
	expect(h, &q, ATTRIBUTE_ASSIGNED, 2, ANNA);
	/* a button that names no reading throws none away */
	bare = measured(h, LENT + 2 * DAY);
	assert_int_equal(press_at(h, bare.to_ms + 10 * MINUTE, ANNA, false, NULL), 0);
	expect(h, &bare, ATTRIBUTE_UNASSIGNED, 9, 0);
	bare = measured(h, LENT + 2 * DAY - 1);
	expect(h, &bare, ATTRIBUTE_ASSIGNED, 2, ANNA);
}

static void test_a9_in_a_session(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(open_session(h, who(ANNA), h->now + HOUR), 0);
	q = measured(h, h->now);
	expect(h, &q, ATTRIBUTE_CONFIRMED, 1, ANNA);
	assert_int_equal(press_at(h, q.to_ms, ANNA, false, &q), 0);
	expect(h, &q, ATTRIBUTE_GUEST, 9, 0);
}

/* a nurse at home: who said "not me" is not the only one whose scale it is */
static void test_a9_in_a_session_at_home(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;

	share(h, 2);
	assert_int_equal(open_session(h, who(ANNA), h->now + HOUR), 0);
	q = measured(h, h->now);
	assert_int_equal(press_at(h, q.to_ms, ANNA, false, &q), 0);
	expect(h, &q, ATTRIBUTE_UNASSIGNED, 9, 0);
	assert_int_equal(press_at(h, q.to_ms, BEN, false, &q), 0);
	expect(h, &q, ATTRIBUTE_GUEST, 9, 0);
}

/* "not me" of one of two leaves the other; only together they say: a guest */
static void test_a9_on_a_shared_device(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };
	struct attribute_question q;
	struct attribute_answer a;

	share(h, 2);
	learn(h, &w, ANNA, LENT, 70000);
	learn(h, &w, BEN, LENT, 71000);
	q = weighed(h, LENT + DAY, 70500);
	attribute_reading(h->r, &w, &q, &a);
	said(&a, ATTRIBUTE_UNASSIGNED, 8, 0);
	assert_int_equal(press_at(h, q.to_ms, ANNA, false, &q), 0);
	attribute_reading(h->r, &w, &q, &a);
	said(&a, ATTRIBUTE_SUGGESTED, 7, BEN);
	assert_int_equal(press_at(h, q.to_ms, BEN, false, &q), 0);
	attribute_reading(h->r, &w, &q, &a);
	said(&a, ATTRIBUTE_GUEST, 9, 0);
}

static void test_a_crowd_names_nobody(void **state)
{
	struct hub *h = *state;
	struct attribute_weights w = { .n = 0 };

	share(h, ATTRIBUTE_PEOPLE_MAX);
	for (unsigned int i = 1; i <= ATTRIBUTE_PEOPLE_MAX; i++)
		learn(h, &w, i, LENT, 30000 + 8000 * (int64_t)i);
	weigh(h, &w, 38000, ATTRIBUTE_SUGGESTED, ANNA);
	assert_int_equal(start(h, -1, who(99), LENT, BASIS(SHARED)), 0);
	weigh(h, &w, 38000, ATTRIBUTE_UNASSIGNED, 0);
}

static void test_staff_outweighs_all_rules(void **state)
{
	struct hub *h = *state;
	struct attribute_question q;
	struct attribute_answer a;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	q = measured(h, h->now - 2 * DAY); /* long ago, and nobody had it */
	assert_int_equal(file_under(h, who(ANNA), q.reading), -ENOENT);
	assert_int_equal(start(h, -1, who(ANNA), h->now - DAY, BASIS(OWNED)), 0);
	about(h, 2);
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(BEN), h->now, BASIS(OWNED)), 0);
	about(h, 1);
	assert_int_equal(file_under(h, who(ANNA), NULL), -EBADMSG);
	assert_int_equal(file_under(h, "Anna", q.reading), -EBADMSG);
	assert_int_equal(file_under(h, who(ANNA), q.reading), 0);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_CONFIRMED, ATTRIBUTE_RULE_FILED, ANNA);
	/* corrected: it was of a person who has another device */
	assert_int_equal(file_under(h, who(BEN), q.reading), 0);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_CONFIRMED, ATTRIBUTE_RULE_FILED, BEN);
	assert_int_equal(file_under(h, NULL, q.reading), 0);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_GUEST, ATTRIBUTE_RULE_FILED, 0);
	q.revision = registry_revision(h->r) - 1;
	a = ask(h, &q);
	said(&a, ATTRIBUTE_CONFIRMED, ATTRIBUTE_RULE_FILED, BEN);
	/* one reading was named, no other */
	q = measured(h, h->now - 2 * DAY);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_OTHER_PERSON, 5, 0);
}

/* What was published while she had it stays hers after she has left; nothing else does. */
static void test_a_holder_who_has_left(void **state)
{
	struct hub *h = *state;
	struct attribute_question q = measured(h, h->now - 2 * DAY), late;
	struct attribute_answer a;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(ANNA), h->now - 3 * DAY, BASIS(LOAN)), 0);
	late = measured(h, h->now - DAY / 2);
	assert_int_equal(end(h, 2, h->now - DAY), 0);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_OTHER_PERSON, 5, 0);
	q.holder = late.holder = who(ANNA);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_ASSIGNED, 2, ANNA);
	a = ask(h, &late);
	said(&a, ATTRIBUTE_OTHER_PERSON, 5, 0);
	q.holder = who(BEN);
	a = ask(h, &q);
	said(&a, ATTRIBUTE_OTHER_PERSON, 5, 0);
}

static void test_words(void **state)
{
	(void)state;
	for (int v = ATTRIBUTE_CONFIRMED; v <= ATTRIBUTE_GUEST; v++) {
		assert_true(strlen(attribute_words((enum attribute_verdict)v)) > 10);
		assert_int_equal(attribute_is_final((enum attribute_verdict)v),
				 v == ATTRIBUTE_CONFIRMED || v == ATTRIBUTE_ASSIGNED);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_is_named_for_what_is_not_known),
		TEST(test_a1_clinic_session),
		TEST(test_a2_loan),
		TEST(test_time_qualities),
		TEST(test_a_memory_without_a_clock),
		TEST(test_a3_user_slots),
		TEST(test_a3_a_guessed_slot_proves_nothing),
		TEST(test_a4_this_was_me),
		TEST(test_a4_a_named_press_outweighs_a_bare_one),
		TEST(test_a4_two_people_want_it),
		TEST(test_a4_meets_a2_and_a3),
		TEST(test_a5_the_loan_has_ended),
		TEST(test_a5_a_session_in_an_ended_loan),
		TEST(test_a_cancelled_loan_was_never),
		TEST(test_a6_time_unknown),
		TEST(test_a4_who_left),
		TEST(test_a6_a_word_is_asked_again),
		TEST(test_record_numbers),
		TEST(test_a7_a8_weight_only_suggests),
		TEST(test_a7_weights_grow_old),
		TEST(test_only_confirmed_readings_teach),
		TEST(test_a7_who_left_is_still_plausible),
		TEST(test_a2_a_suitcase_on_her_own_scale),
		TEST(test_a9_not_me),
		TEST(test_a9_in_a_session),
		TEST(test_a9_in_a_session_at_home),
		TEST(test_a9_on_a_shared_device),
		TEST(test_a_crowd_names_nobody),
		TEST(test_staff_outweighs_all_rules),
		TEST(test_a_holder_who_has_left),
		TEST(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
