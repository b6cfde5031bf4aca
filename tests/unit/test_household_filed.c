/* links: gateway_pipeline gateway_publish gateway_registry gateway_intake gateway_goals gateway_store */
/*
 * The households of test_household.c, through the whole gateway: packets in, what is published
 * out. People of similar weight, visitors, a nurse; two scales that all of them share, a cuff with
 * a button for each of two, and a cuff on loan that is lent on. People tell the truth when they
 * press. For the 10,000 readings:
 *
 *   WELLGATE_HOUSEHOLDS=50 WELLGATE_READINGS=200 build/release/bin/test_household_filed
 */
#include "filing_world.h"

#define PEOPLE_MAX 6
#define VISITOR    100
#define DEVICES    4

enum thing {
	SHARED_SCALE,
	GUESSING_SCALE,
	FAMILY_CUFF,
	LOANED_CUFF
};

/* one reading, and the truth about it */
struct event {
	unsigned int who, owner; /* owner 0: shared */
	enum thing thing;
	struct made made;
};

struct household {
	struct world w;
	uint64_t dice, loan, seen, seen_held;
	unsigned int number, people, borrower, n;
	int64_t grams[PEOPLE_MAX + 1];
	uint32_t record;
	struct event *events; /* tag - 1 */
};

struct sums {
	unsigned int readings, final, held, dropped, wrong, wrong_early, revised, corrections;
};

static uint32_t roll(struct household *h, uint32_t sides)
{
	h->dice = h->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(h->dice >> 33) % sides;
}

static unsigned int from_environment(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : otherwise;
}

static const char *name(const struct household *h, unsigned int person, bool loan)
{
	return who(h->number * 1000 + person + (loan ? 500 : 0));
}

/* ---- the devices and who has them */

static void links(struct household *h)
{
	static const char *const serials[] = { "SYNTHETIC-A", "SYNTHETIC-B", "SYNTHETIC-C",
					       "SYNTHETIC-D" };

	for (uint32_t i = 0; i < DEVICES; i++)
		link_up(&h->w, i + 1, serials[i]);
}

static void share(struct household *h, unsigned int thing)
{
	assert_int_equal(tell_added_guess(&h->w, thing, thing == GUESSING_SCALE ? 8 : 0, 20,
					  thing == GUESSING_SCALE),
			 0);
	for (unsigned int i = 1; i <= h->people; i++)
		assert_int_equal(
			tell_start(&h->w, thing, name(h, i, false), clocks.utc_ms, BASIS(SHARED)),
			0);
}

static void furnish(struct household *h)
{
	struct world *w = &h->w;

	h->people = 2 + roll(h, PEOPLE_MAX - 1);
	for (unsigned int i = 1; i <= h->people; i++)
		h->grams[i] = 66000 + roll(h, 6000);
	links(h);
	share(h, SHARED_SCALE);
	share(h, GUESSING_SCALE);
	assert_int_equal(tell_added(w, FAMILY_CUFF, 2, 60), 0);
	for (uint32_t i = 1; i <= 2; i++)
		assert_int_equal(tell_start_slot(w, FAMILY_CUFF, i, name(h, i, false),
						 clocks.utc_ms, BASIS(OWNED)),
				 0);
	assert_int_equal(tell_added(w, LOANED_CUFF, 0, 60), 0);
	assert_int_equal(tell_wiped(w, LOANED_CUFF), 0);
	assert_int_equal(tell_start(w, LOANED_CUFF, name(h, 1, true), clocks.utc_ms, BASIS(LOAN)),
			 0);
	h->loan = registry_revision(pipeline_registry(w->pipeline));
	h->borrower = 1;
	pass(HOUR);
}

static void lend_on(struct household *h)
{
	struct world *w = &h->w;

	pass(HOUR);
	assert_int_equal(tell_end(w, LOANED_CUFF, h->loan, clocks.utc_ms), 0);
	assert_int_equal(tell_mark(w, LOANED_CUFF, h->record), 0);
	pass(HOUR);
	assert_int_equal(tell_start(w, LOANED_CUFF, name(h, 2, true), clocks.utc_ms, BASIS(LOAN)),
			 0);
	h->borrower = 2;
	pass(HOUR);
}

/* ---- one reading */

static int64_t weight_of(struct household *h, unsigned int person)
{
	static const int64_t visitor[] = { 69000, 67000, 25000, 14000, 71000 };
	int64_t drift;

	if (person == VISITOR) { /* a guest, the carer, a child, a suitcase, another guest */
		const uint32_t which = roll(h, 5);

		return visitor[which] + roll(h, 900);
	}
	drift = (int64_t)roll(h, 201) - 100;
	h->grams[person] += drift;
	return h->grams[person];
}

static uint32_t nearest(const struct household *h, int64_t grams)
{
	unsigned int best = 1;

	for (unsigned int i = 2; i <= h->people; i++) {
		if (llabs(h->grams[i] - grams) < llabs(h->grams[best] - grams))
			best = i;
	}
	return best;
}

static void use(struct household *h, struct event *e)
{
	struct made *m = &e->made;

	m->link = (uint32_t)e->thing + 1;
	if (e->thing == SHARED_SCALE || e->thing == GUESSING_SCALE) {
		m->grams = weight_of(h, e->who);
		m->slot = e->thing == GUESSING_SCALE ? nearest(h, m->grams) : 0;
		return;
	}
	m->systolic = 110 + (int)roll(h, 40);
	m->record = ++h->record;
	e->owner = h->borrower;
	if (e->thing == FAMILY_CUFF) {
		const uint32_t button = 1 + roll(h, 2);

		e->owner = e->who <= 2 ? e->who : button;
		m->slot = e->owner;
	}
}

/* compared, or not, or no stamp at all; some come out of the memory */
static void stamp(struct household *h, struct made *m)
{
	const uint32_t how = roll(h, 9), seconds = roll(h, 60);

	if (how < 6 || how == 7)
		m->stamp_ms = clocks.utc_ms - (int64_t)seconds * 1000;
	m->compared = how < 6;
	m->backfill = how == 8;
}

/* what the store has of it: its reading_id; false: nothing is kept */
static bool newest(struct household *h, Wellgate__V1__Reading **ret)
{
	struct store_row row = { .sequence = h->seen }, one = { 0 };
	bool found = false;

	while (store_next(h->w.store, LANE_READINGS, row.sequence, &row) > 0) {
		*ret = unpack_row(&row);
		h->seen = row.sequence;
		found = true;
		break;
	}
	if (found)
		return true;
	one.sequence = h->seen_held;
	if (store_next_held(h->w.store, one.sequence, &one) > 0) {
		*ret = unpack_row(&one);
		h->seen_held = one.sequence;
		return true;
	}
	return false;
}

/* steps over what events have added */
static void catch_up(struct household *h)
{
	struct store_row row = { .sequence = h->seen };

	while (store_next(h->w.store, LANE_READINGS, row.sequence, &row) > 0)
		h->seen = row.sequence;
	row.sequence = h->seen_held;
	while (store_next_held(h->w.store, row.sequence, &row) > 0)
		h->seen_held = row.sequence;
}

static void press_some(struct household *h, const struct event *e, const Wellgate__V1__Reading *r)
{
	const bool loan = e->thing == LOANED_CUFF, named = roll(h, 3) > 0, presses = !roll(h, 3);

	pass((1 + roll(h, 14)) * MINUTE);
	if (e->owner && e->owner != e->who) { /* "not me", always, on somebody's own device */
		if (r)
			assert_int_equal(
				tell_pressed(&h->w, e->thing, name(h, e->owner, loan), false, r),
				0);
		return;
	}
	if (e->who != VISITOR && presses)
		assert_int_equal(tell_pressed(&h->w, e->thing, name(h, e->who, loan), true,
					      named ? r : NULL),
				 0);
	for (unsigned int i = 1; !e->owner && r && i <= h->people; i++) {
		if (i != e->who && roll(h, 5) == 0 &&
		    tell_pressed(&h->w, e->thing, name(h, i, false), false, r) == -ENOENT)
			return; /* all have said so: it is not kept any more */
	}
}

static bool is_wrong(const struct household *h, const Wellgate__V1__Reading *r)
{
	uint32_t tag;

	memcpy(&tag, r->raw_digest.data, sizeof(tag));
	assert_in_range(tag, 1, h->n);
	const struct event *e = &h->events[tag - 1];

	return e->who == VISITOR || (strcmp(r->subject, name(h, e->who, false)) != 0 &&
				     strcmp(r->subject, name(h, e->who, true)) != 0);
}

static void one(struct household *h, struct sums *sums)
{
	struct event *e = &h->events[h->n];
	Wellgate__V1__Reading *r = NULL;
	uint64_t session = 0;

	e->thing = (enum thing)roll(h, 4);
	e->who = roll(h, 5) == 0 ? VISITOR : 1 + roll(h, h->people);
	if (e->thing == LOANED_CUFF && roll(h, 4) > 0)
		e->who = h->borrower;
	pass(20 * MINUTE + (int64_t)roll(h, 180) * MINUTE);
	if (e->thing == SHARED_SCALE && e->who != VISITOR && roll(h, 10) == 0) {
		assert_int_equal(
			tell_session(&h->w, e->thing, name(h, e->who, false), clocks.utc_ms + HOUR),
			0);
		session = registry_revision(pipeline_registry(h->w.pipeline));
		pass(6 * MINUTE);
	}
	use(h, e);
	stamp(h, &e->made);
	e->made.tag = ++h->n;
	measure(&h->w, &e->made);
	commit(&h->w);
	if (!newest(h, &r))
		r = NULL;
	if (r && r->has_sequence && !e->owner && is_wrong(h, r))
		sums->wrong_early++; /* on a shared scale not even before anybody pressed */
	press_some(h, e, r);
	if (r)
		drop(r);
	if (session) {
		pass(15 * MINUTE);
		assert_int_equal(tell_closed(&h->w, e->thing, session), 0);
	}
	catch_up(h);
}

/* ---- and what came of it */

static void look(struct household *h, struct sums *sums)
{
	const struct pipeline_counters *c = pipeline_counters(h->w.pipeline);
	const struct tally t = count(&h->w);
	struct store_row row = { 0 };
	struct store_counts counts;

	while (store_next(h->w.store, LANE_READINGS, row.sequence, &row) > 0) {
		Wellgate__V1__Reading *r = unpack_row(&row);

		if (!pipeline_is_hidden(h->w.pipeline, r->reading_id.data))
			sums->wrong += is_wrong(h, r);
		drop(r);
	}
	/* each reading is in one place; equal ones out of a memory, without a stamp or a number,
	 * are taken for one (intake/dedupe.c) */
	store_counts(h->w.store, &counts);
	assert_int_equal(t.published + t.held + c->other_person + c->guest + counts.duplicates,
			 h->n);
	sums->readings += h->n;
	sums->final += t.published;
	sums->held += t.held;
	sums->dropped += (unsigned int)(c->other_person + c->guest);
	sums->revised += t.hidden;
	sums->corrections += t.corrections;
}

static void live(unsigned int number, unsigned int readings, struct sums *sums)
{
	struct household *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->dice = 31 * (uint64_t)number + 7;
	h->number = number;
	h->events = calloc(readings, sizeof(*h->events));
	assert_non_null(h->events);
	world_new(&h->w);
	start_up(&h->w);
	furnish(h);
	for (unsigned int i = 0; i < readings; i++) {
		if (i == readings / 2)
			lend_on(h);
		one(h, sums);
	}
	look(h, sums);
	shut_down(&h->w);
	world_free(&h->w);
	free(h->events);
	free(h);
}

static void test_households(void **state)
{
	const unsigned int households = from_environment("WELLGATE_HOUSEHOLDS", 4);
	const unsigned int readings = from_environment("WELLGATE_READINGS", 50);
	struct sums s = { .readings = 0 };

	(void)state;
	for (unsigned int i = 0; i < households; i++)
		live(i, readings, &s);
	print_message("%u readings: %u final, %u held, %u of another person or a guest; %u were "
		      "taken back or revised, with %u corrections; "
		      "FINAL FOR THE WRONG PERSON: %u (early, on a shared device: %u)\n",
		      s.readings, s.final, s.held, s.dropped, s.revised, s.corrections, s.wrong,
		      s.wrong_early);
	assert_int_equal(s.wrong, 0);
	assert_int_equal(s.wrong_early, 0);
	/* holding everything would be right, too, and of no use */
	assert_true(s.final > s.readings / 5);
	assert_true(s.corrections > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_households),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
