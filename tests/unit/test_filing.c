/* links: gateway_pipeline gateway_publish gateway_registry gateway_intake gateway_goals gateway_store */
/* Whose reading, through the whole gateway: packets in, rows of the store out. */
#include "filing_world.h"

#define ANNA 1
#define BEN  2

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_new(w);
	start_up(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	shut_down(w);
	world_free(w);
	free(w);
	return 0;
}

static void expect_subject(const Wellgate__V1__Reading *r, const char *subject,
			   Wellgate__V1__AttributionRule rule)
{
	if (subject)
		assert_string_equal(r->subject, subject);
	else
		assert_null(r->subject);
	assert_int_equal(r->attribution->rule, rule);
}

#define RULE(x) WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_##x

/* a cuff without memory, compared, its clock right; a blood pressure now */
static void press_cuff(struct world *w, int systolic)
{
	measure(w, &(struct made){ .link = 1,
				   .systolic = systolic,
				   .stamp_ms = clocks.utc_ms - 20000,
				   .compared = true });
	commit(w);
}

/* device 0 is Anna's, from an hour ago */
static void lend_to_anna(struct world *w)
{
	assert_int_equal(tell_added(w, 0, 0, 0), 0);
	assert_int_equal(tell_start(w, 0, who(ANNA), clocks.utc_ms - HOUR, BASIS(LOAN)), 0);
}

/* ---- without a registry */

static void test_no_registry(void **state)
{
	struct world *w = *state;
	Wellgate__V1__Reading *r;
	const char *problem = NULL;
	char subject[] = "p1";
	uint8_t digest[REGISTRY_DIGEST];
	EVENT_OF(e, DeviceRetired, device_retired,
		 WELLGATE__V1__REGISTRY_EVENT__DEVICE_RETIRED__INIT, DEVICE_RETIRED);

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	r = shown(w, 1);
	expect_subject(r, NULL, RULE(UNASSIGNED));
	drop(r);
	w->config.subject = subject;
	restart(w);
	link_up(w, 1, "SYNTHETIC-1");
	pass(HOUR);
	press_cuff(w, 121);
	r = shown(w, 2);
	expect_subject(r, "p1", RULE(SINGLE_PERSON));
	drop(r);
	device_of(w, 0, digest);
	e.has_device = true;
	e.device = (ProtobufCBinaryData){ sizeof(digest), digest };
	assert_int_equal(pipeline_register(w->pipeline, &e, &problem), -EPERM);
	assert_non_null(strstr(problem, "one person"));
	assert_int_equal(registry_revision(pipeline_registry(w->pipeline)), 0);
	w->config.subject = NULL;
}

/* ---- with one */

/* it was hers all the time: what was held comes out, what was sent gets a next revision */
static void from_the_beginning(struct world *w, int64_t first)
{
	Wellgate__V1__Reading *r;

	assert_int_equal(tell_start(w, 0, who(ANNA), first - HOUR, BASIS(LOAN)), 0);
	assert_tally(w, .published = 2, .hidden = 1, .corrections = 1);
	r = shown(w, 2);
	expect_subject(r, who(ANNA), RULE(LOAN));
	assert_int_equal(r->revision, 1);
	assert_int_equal(r->measured_at_ms, first + HOUR);
	assert_int_equal(r->attribution->registry_revision, 2);
	assert_int_equal(r->attribution->confidence, WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED);
	drop(r);
	r = shown(w, 1);
	expect_subject(r, who(ANNA), RULE(LOAN));
	assert_int_equal(r->revision, 2);
	assert_int_equal(r->measured_at_ms, first);
	drop(r);
}

static void test_a_loan(void **state)
{
	struct world *w = *state;
	const int64_t first = clocks.utc_ms - 20000;
	Wellgate__V1__Reading *r;

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120); /* before there is a registry: published, nobody's */
	assert_int_equal(tell_added(w, 0, 0, 0), 0);
	pass(HOUR);
	press_cuff(w, 121);
	assert_tally(w, .published = 1, .held = 1);
	r = held(w, 1);
	expect_subject(r, NULL, RULE(UNASSIGNED));
	assert_false(r->has_sequence);
	drop(r);
	/* a restart knows the registry */
	restart(w);
	assert_int_equal(registry_revision(pipeline_registry(w->pipeline)), 1);
	from_the_beginning(w, first);
	link_up(w, 1, "SYNTHETIC-1");
	pass(HOUR);
	press_cuff(w, 122);
	r = shown(w, 3);
	expect_subject(r, who(ANNA), RULE(LOAN));
	drop(r);
	restart(w);
	assert_tally(w, .published = 3, .hidden = 1, .corrections = 1);
}

/* A cuff with 60 old records is lent on: none of them is published, shown or kept. */
static void test_a_used_cuff(void **state)
{
	struct world *w = *state;
	const int64_t lent = clocks.utc_ms;

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 110); /* so that the hub knows the device */
	assert_int_equal(tell_added(w, 0, 0, 60), 0);
	assert_int_equal(tell_wiped(w, 0), 0);
	assert_int_equal(tell_start(w, 0, who(ANNA), lent + MINUTE, BASIS(LOAN)), 0);
	pass(30 * DAY);
	assert_int_equal(tell_end(w, 0, 3, clocks.utc_ms), 0);
	assert_int_equal(tell_start(w, 0, who(BEN), clocks.utc_ms, BASIS(LOAN)), -EBUSY);
	assert_int_equal(tell_mark(w, 0, 60), 0);
	assert_int_equal(tell_start(w, 0, who(BEN), clocks.utc_ms, BASIS(LOAN)), 0);
	pass(3 * DAY);
	for (uint32_t i = 1; i <= 60; i++) {
		/* of Anna's time; or the clock was ahead, then its numbers tell */
		const int64_t stamp = i % 2 ? lent + DAY + i * MINUTE : clocks.utc_ms - i * HOUR;

		measure(w, &(struct made){ .link = 1,
					   .systolic = 130,
					   .stamp_ms = stamp,
					   .record = i,
					   .compared = true });
	}
	commit(w);
	assert_tally(w, .published = 1, .held = 30);
	assert_int_equal(pipeline_counters(w->pipeline)->other_person, 30);
	measure(w, &(struct made){ .link = 1,
				   .systolic = 140,
				   .stamp_ms = clocks.utc_ms - MINUTE,
				   .record = 61,
				   .compared = true });
	commit(w);
	assert_tally(w, .published = 2, .held = 30);
	/* nobody will ever know whose the 30 are */
	pass(31 * DAY);
	restart(w);
	assert_tally(w, .published = 2, .held = 0);
	assert_int_equal(pipeline_counters(w->pipeline)->held_expired, 30);
}

/* ---- corrections */

static void expect_moved_to_ben(struct world *w, const Wellgate__V1__Reading *first)
{
	Wellgate__V1__Correction *c;
	Wellgate__V1__Reading *r;
	const char *problem = NULL;

	assert_int_equal(tell_filed(w, first, who(BEN), &problem), 0);
	assert_tally(w, .published = 3, .hidden = 2, .corrections = 2);
	r = shown(w, 3);
	expect_subject(r, who(BEN), RULE(STAFF));
	assert_int_equal(r->revision, 2);
	assert_memory_equal(r->dedupe_key.data, first->dedupe_key.data, 16);
	assert_memory_equal(r->replaces.data, first->reading_id.data, 16);
	c = last_correction(w);
	assert_int_equal(c->kind, WELLGATE__V1__CORRECTION__KIND__KIND_REATTRIBUTION);
	assert_string_equal(c->from_subject, who(ANNA));
	assert_string_equal(c->to_subject, who(BEN));
	assert_memory_equal(c->reading_id.data, first->reading_id.data, 16);
	assert_memory_equal(c->new_reading_id.data, r->reading_id.data, 16);
	wellgate__v1__correction__free_unpacked(c, NULL);
	drop(r);
}

static void test_filed_by_staff(void **state)
{
	struct world *w = *state;
	Wellgate__V1__Correction *c;
	Wellgate__V1__Reading *first;
	const char *problem = NULL;

	link_up(w, 1, "SYNTHETIC-1");
	link_up(w, 2, "SYNTHETIC-2");
	press_cuff(w, 120);
	measure(w, &(struct made){ .link = 2, .systolic = 99, .stamp_ms = clocks.utc_ms });
	commit(w);
	lend_to_anna(w);
	assert_int_equal(tell_added(w, 1, 0, 0), 0);
	assert_int_equal(tell_start(w, 1, who(BEN), clocks.utc_ms, BASIS(OWNED)), 0);
	pass(HOUR);
	press_cuff(w, 131);
	assert_tally(w, .published = 3, .hidden = 1, .corrections = 1);
	first = shown(w, 3);
	expect_subject(first, who(ANNA), RULE(LOAN));
	/* it was Ben who used it */
	expect_moved_to_ben(w, first);
	/* no: a visitor. The one who says so may look at the old revision still */
	restart(w);
	assert_int_equal(tell_filed(w, first, NULL, &problem), 0);
	assert_tally(w, .published = 2, .hidden = 3, .corrections = 3);
	c = last_correction(w);
	assert_int_equal(c->kind, WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION);
	assert_string_equal(c->from_subject, who(BEN));
	assert_null(c->to_subject);
	wellgate__v1__correction__free_unpacked(c, NULL);
	assert_int_equal(pipeline_counters(w->pipeline)->guest, 1);
	/* what is not kept cannot be filed: it is said */
	assert_int_equal(tell_filed(w, first, who(ANNA), &problem), -ENOENT);
	assert_non_null(problem);
	drop(first);
}

/* a reading on a device that two share: held */
static Wellgate__V1__Reading *on_a_shared_cuff(struct world *w)
{
	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	assert_int_equal(tell_added(w, 0, 0, 0), 0);
	assert_int_equal(tell_start(w, 0, who(ANNA), clocks.utc_ms - HOUR, BASIS(SHARED)), 0);
	assert_int_equal(tell_start(w, 0, who(BEN), clocks.utc_ms - HOUR, BASIS(SHARED)), 0);
	pass(HOUR);
	press_cuff(w, 131);
	assert_tally(w, .published = 1, .held = 1);
	return held(w, 1);
}

/* "not me" takes it back and it waits; "this was me" of the other brings it out again */
static void test_presses(void **state)
{
	struct world *w = *state;
	Wellgate__V1__Reading *r, *waits = on_a_shared_cuff(w);

	pass(2 * MINUTE);
	assert_int_equal(tell_pressed(w, 0, who(BEN), true, waits), 0);
	assert_tally(w, .published = 2);
	r = shown(w, 2);
	expect_subject(r, who(BEN), RULE(SAID_ME));
	assert_memory_equal(r->reading_id.data, waits->reading_id.data, 16);
	assert_int_equal(r->attribution->confidence,
			 WELLGATE__V1__CONFIDENCE__CONFIDENCE_CONFIRMED);
	assert_int_equal(tell_pressed(w, 0, who(BEN), false, r), 0);
	assert_tally(w, .published = 1, .hidden = 1, .held = 1, .corrections = 1);
	drop(waits);
	waits = held(w, 1);
	assert_int_equal(waits->revision, 2);
	/* named by the id that it had when it was published */
	assert_int_equal(tell_pressed(w, 0, who(ANNA), true, r), 0);
	drop(r);
	assert_tally(w, .published = 2, .hidden = 1, .corrections = 1);
	r = shown(w, 2);
	expect_subject(r, who(ANNA), RULE(SAID_ME));
	assert_int_equal(r->revision, 2);
	drop(r);
	drop(waits);
	restart(w);
	assert_tally(w, .published = 2, .hidden = 1, .corrections = 1);
}

/* A loan that ended earlier than was thought takes back what came after, and nothing else. */
static void test_a_loan_that_ended_earlier(void **state)
{
	struct world *w = *state;

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	pass(2 * HOUR);
	lend_to_anna(w);
	pass(HOUR);
	press_cuff(w, 121);
	pass(2 * HOUR);
	press_cuff(w, 122);
	assert_tally(w, .published = 3);
	assert_int_equal(tell_end(w, 0, 2, clocks.utc_ms - HOUR), 0);
	assert_tally(w, .published = 2, .hidden = 1, .corrections = 1);
	assert_int_equal(pipeline_counters(w->pipeline)->other_person, 1);
	pass(DAY);
	press_cuff(w, 123); /* after it: held, or nobody's; in it, sent late: another person's */
	measure(w, &(struct made){ .link = 1,
				   .systolic = 125,
				   .stamp_ms = clocks.utc_ms - DAY - 3 * HOUR,
				   .compared = true });
	commit(w);
	assert_tally(w, .published = 2, .hidden = 1, .corrections = 1);
}

/* ---- goals */

static void add_goal(struct world *w, const char *id, const char *subject)
{
	struct goal *g = &w->config.goals[w->config.n_goals++];

	*g = (struct goal){ .version = 1,
			    .metric = METRIC_BLOOD_PRESSURE,
			    .rule = GOAL_MEASURE_REGULARLY,
			    .period = GOAL_WEEK,
			    .week_start = 1,
			    .target = { 3, 0 },
			    .starts_on = INT64_MIN };
	(void)snprintf(g->id, sizeof(g->id), "%s", id);
	(void)snprintf(g->title, sizeof(g->title), "Measure");
	(void)snprintf(g->subject, sizeof(g->subject), "%s", subject);
	(void)snprintf(g->time_zone, sizeof(g->time_zone), "Europe/London");
}

/* the last result of this goal: its revision, and *ret_readings; 0: there is none */
static uint32_t last_result(struct world *w, const char *id, uint32_t *ret_readings)
{
	struct store_row row = { 0 };
	uint32_t revision = 0;

	while (store_next(w->store, LANE_RESULTS, row.sequence, &row) > 0) {
		Wellgate__V1__GoalResult *r =
			wellgate__v1__goal_result__unpack(NULL, row.len, row.payload);

		if (!r)
			abort();
		if (strcmp(r->goal_id, id) == 0) {
			revision = r->revision;
			*ret_readings = r->readings;
		}
		wellgate__v1__goal_result__free_unpacked(r, NULL);
	}
	return revision;
}

/* Both people's goals see it. */
static void test_goals_of_both(void **state)
{
	struct world *w = *state;
	uint32_t anna = 0, ben = 0, revision;
	Wellgate__V1__Reading *r;
	const char *problem = NULL;

	add_goal(w, "anna", who(ANNA));
	add_goal(w, "ben", who(BEN));
	restart(w);
	link_up(w, 1, "SYNTHETIC-1");
	link_up(w, 2, "SYNTHETIC-2");
	press_cuff(w, 120);
	measure(w, &(struct made){ .link = 2, .systolic = 99, .stamp_ms = clocks.utc_ms });
	commit(w);
	pass(2 * HOUR);
	lend_to_anna(w);
	assert_int_equal(tell_added(w, 1, 0, 0), 0);
	assert_int_equal(tell_start(w, 1, who(BEN), clocks.utc_ms, BASIS(OWNED)), 0);
	press_cuff(w, 131);
	pass(HOUR);
	press_cuff(w, 132);
	assert_int_not_equal(last_result(w, "anna", &anna), 0);
	assert_int_equal(anna, 2);
	assert_int_equal(last_result(w, "ben", &ben), 0);
	r = shown(w, 4);
	assert_int_equal(tell_filed(w, r, who(BEN), &problem), 0);
	drop(r);
	revision = last_result(w, "anna", &anna);
	assert_int_equal(anna, 1);
	assert_int_not_equal(last_result(w, "ben", &ben), 0);
	assert_int_equal(ben, 1);
	/* a start finds the same, and has nothing to add */
	restart(w);
	commit(w);
	assert_int_equal(last_result(w, "anna", &anna), revision);
	link_up(w, 1, "SYNTHETIC-1");
	pass(HOUR);
	press_cuff(w, 133);
	assert_int_equal(last_result(w, "anna", &anna), revision + 1);
	assert_int_equal(anna, 2);
}

/* ---- imports */

static int import_weight(struct world *w, const char *subject, struct pipeline_imported *ret)
{
	Wellgate__V1__ImportBatch batch = WELLGATE__V1__IMPORT_BATCH__INIT;
	Wellgate__V1__Measurement m = WELLGATE__V1__MEASUREMENT__INIT, *list[] = { &m };
	char source[] = "fitbit_import", id[] = "weight/1", text[REFERENCE_TEXT_MAX];
	const struct made made = { .grams = 70000, .stamp_ms = clocks.utc_ms - 400 * DAY };
	Wellgate__V1__DeviceTime t;
	struct parts p;

	fill(&made, &m, &p, &t);
	m.import_id = id;
	batch.source = source;
	batch.measurements = list;
	batch.n_measurements = 1;
	(void)snprintf(text, sizeof(text), "%s", subject ? subject : "");
	batch.subject = subject ? text : NULL;
	return pipeline_import(w->pipeline, &batch, ret);
}

/* Once there are loans an export needs somebody who is here. */
static void test_imports(void **state)
{
	struct world *w = *state;
	struct pipeline_imported counts;
	Wellgate__V1__Reading *r;

	assert_int_equal(import_weight(w, who(ANNA), &counts), -ENOENT);
	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	pass(2 * HOUR);
	lend_to_anna(w);
	assert_int_equal(import_weight(w, NULL, &counts), -ENOENT);
	assert_int_equal(import_weight(w, who(BEN), &counts), -ENOENT);
	assert_int_equal(import_weight(w, who(ANNA), &counts), 0);
	assert_int_equal(counts.added, 1);
	assert_int_equal(import_weight(w, who(ANNA), &counts), 0);
	assert_int_equal(counts.known, 1);
	r = shown(w, 2);
	expect_subject(r, who(ANNA), RULE(STAFF));
	assert_int_equal(r->origin, WELLGATE__V1__ORIGIN__ORIGIN_IMPORT);
	drop(r);
	/* and she keeps it when the loan ends */
	assert_int_equal(tell_end(w, 0, 2, clocks.utc_ms), 0);
	assert_tally(w, .published = 2);
}

/* ---- clocks */

/* Three days offline: the hub thinks it is 1970. Then the time comes. */
static void test_boot_in_1970(void **state)
{
	struct world *w = *state;
	const int64_t truth = clocks.utc_ms + 10 * DAY;
	Wellgate__V1__Reading *r, *first;

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	lend_to_anna(w);
	boot(2, 0, false);
	restart(w);
	link_up(w, 1, "SYNTHETIC-1");
	for (unsigned int i = 0; i < 300; i++) {
		measure(w, &(struct made){ .link = 1, .systolic = 120 + (int)i % 60 });
		pass(3 * DAY / 300);
	}
	commit(w);
	assert_tally(w, .published = 1, .hidden = 1, .held = 300, .corrections = 1);
	first = held(w, 1);
	clocks.utc_ms = truth + 3 * DAY;
	clocks.synced = true;
	attach(w); /* looks at the clock */
	settle(w);
	commit(w);
	assert_tally(w, .published = 301, .hidden = 1, .corrections = 1);
	r = shown(w, 2);
	assert_memory_equal(r->reading_id.data, first->reading_id.data, 16);
	drop(r);
	drop(first);
	for (unsigned int i = 0; i < 300; i++) {
		int64_t away;

		r = shown(w, 2 + i);
		expect_subject(r, who(ANNA), RULE(LOAN));
		away = r->measured_at_ms - (truth + i * (3 * DAY / 300));
		assert_true(away > -1000 && away < 1000);
		assert_int_equal(r->revision, 1);
		assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
		drop(r);
	}
}

/* Without a registry they were sent without a time, and are revised; in chunks, once. */
static void test_boot_in_1970_unassigned(void **state)
{
	struct world *w = *state;
	const int64_t truth = clocks.utc_ms;
	Wellgate__V1__Reading *r;

	boot(2, 0, false);
	restart(w);
	link_up(w, 1, "SYNTHETIC-1");
	for (unsigned int i = 0; i < 450; i++) {
		measure(w, &(struct made){ .link = 1, .systolic = 120 + (int)i % 60 });
		pass(MINUTE);
	}
	commit(w);
	r = shown(w, 1);
	assert_false(r->has_measured_at_ms);
	drop(r);
	clocks.utc_ms = truth + 450 * MINUTE;
	clocks.synced = true;
	attach(w);
	/* the power goes in the middle of the walk */
	assert_true(sd_event_run(w->event, 0) >= 0);
	assert_true(sd_event_run(w->event, 0) >= 0);
	restart(w);
	settle(w);
	assert_tally(w, .published = 450, .hidden = 450);
	r = shown(w, 450);
	assert_int_equal(r->measured_at_ms, truth + 449 * MINUTE);
	assert_int_equal(r->revision, 2);
	drop(r);
	restart(w);
	assert_tally(w, .published = 450, .hidden = 450); /* from the start on */
}

/* The power goes before the time comes: that boot never had one. Held; and graded if the clock of a
 * device can tell. */
static void test_a_boot_without_time(void **state)
{
	struct world *w = *state;
	Wellgate__V1__Reading *r;

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	lend_to_anna(w);
	boot(2, 0, false);
	restart(w);
	link_up(w, 1, "SYNTHETIC-1");
	measure(w, &(struct made){ .link = 1, .systolic = 121 });
	pass(HOUR);
	measure(w, &(struct made){ .link = 1, .systolic = 122, .stamp_ms = STARTS + DAY + HOUR });
	commit(w);
	assert_tally(w, .published = 1, .hidden = 1, .held = 2, .corrections = 1);
	boot(3, STARTS + 2 * DAY, true);
	restart(w);
	settle(w);
	assert_tally(w, .published = 1, .hidden = 1, .held = 2, .corrections = 1);
	r = held(w, 1);
	assert_false(r->has_measured_at_ms);
	drop(r);
	/* the device's clock is right: so the boot began about a day before now */
	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 123);
	settle(w);
	assert_tally(w, .published = 2, .hidden = 1, .held = 2, .corrections = 1);
	r = held(w, 1);
	assert_true(r->has_measured_at_ms);
	assert_int_equal(r->clock, CLOCK(RECEIPT_UNSYNCED));
	drop(r);
}

/* ---- the same again */

static void test_a_memory_read_again_and_again(void **state)
{
	struct world *w = *state;

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 119);
	lend_to_anna(w);
	for (unsigned int round = 0; round < 100; round++) {
		for (uint32_t i = 1; i <= 1000; i++)
			measure(w, &(struct made){ .link = 1,
						   .systolic = 120 + (int)i % 40,
						   .stamp_ms = STARTS - 20 * DAY +
							       INT64_C(27) * i * MINUTE,
						   .record = i,
						   .compared = true,
						   .backfill = true });
		commit(w);
		pass(DAY / 10);
	}
	/* those before the loan are nobody's here */
	assert_int_equal(count(w).published + count(w).held +
				 pipeline_counters(w->pipeline)->other_person,
			 1001);
}

/* ---- the end */

static bool file_has(const char *path, const char *what, size_t len)
{
	FILE *f = fopen(path, "rb");
	char *all;
	long size;
	bool found;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	assert_true(size >= 0);
	rewind(f);
	all = malloc((size_t)size + 1);
	assert_non_null(all);
	assert_int_equal(fread(all, 1, (size_t)size, f), (size_t)size);
	found = memmem(all, (size_t)size, what, len) != NULL;
	free(all);
	assert_int_equal(fclose(f), 0);
	return found;
}

static void test_the_end_of_a_loan(void **state)
{
	struct world *w = *state;
	struct pipeline_erasure erasure;
	struct store_counts counts;
	char path[128];

	link_up(w, 1, "SYNTHETIC-1");
	press_cuff(w, 120);
	pass(2 * HOUR);
	lend_to_anna(w);
	press_cuff(w, 121);
	assert_int_equal(pipeline_erase(w->pipeline, who(BEN), &erasure), -ENOENT);
	assert_int_equal(pipeline_erase(w->pipeline, who(ANNA), &erasure), -EEXIST);
	assert_int_equal(tell_end(w, 0, 2, clocks.utc_ms), 0);
	assert_int_equal(pipeline_erase(w->pipeline, who(ANNA), &erasure), -EBUSY);
	assert_int_equal(erasure.waiting, 1);
	store_counts(w->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++)
		assert_int_equal(store_acknowledge(w->store, (enum lane)lane, counts.last[lane]),
				 0);
	assert_int_equal(pipeline_erase(w->pipeline, who(ANNA), &erasure), 0);
	assert_tally(w, .published = 1);
	assert_int_equal(registry_revision(pipeline_registry(w->pipeline)), 3);
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", w->dir);
	assert_false(file_has(path, who(ANNA), strlen(who(ANNA))));
	/* the past is read again, and names nobody; a new loan of the same device is possible */
	restart(w);
	assert_int_equal(registry_revision(pipeline_registry(w->pipeline)), 3);
	pass(HOUR);
	assert_int_equal(tell_start(w, 0, who(BEN), clocks.utc_ms, BASIS(LOAN)), 0);
	restart(w);
	assert_int_equal(registry_revision(pipeline_registry(w->pipeline)), 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_registry),
		TEST(test_a_loan),
		TEST(test_a_used_cuff),
		TEST(test_filed_by_staff),
		TEST(test_presses),
		TEST(test_a_loan_that_ended_earlier),
		TEST(test_goals_of_both),
		TEST(test_imports),
		TEST(test_boot_in_1970),
		TEST(test_boot_in_1970_unassigned),
		TEST(test_a_boot_without_time),
		TEST(test_a_memory_read_again_and_again),
		TEST(test_the_end_of_a_loan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
