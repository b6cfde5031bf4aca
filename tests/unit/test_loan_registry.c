/* links: gateway_registry */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "registry_make.h"

static int setup(void **state)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (!h || registry_new(&h->r) < 0)
		return -1;
	h->now = SOME_TIME;
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

static void refused(const struct hub *h, int r, int expected, const char *word)
{
	if (r != expected || !h->problem || !strstr(h->problem, word))
		fail_msg("%d \"%s\", expected %d \"...%s...\"", r, h->problem ? h->problem : "",
			 expected, word);
}

/* ---- references */

static void test_references(void **state)
{
	static const struct {
		const char *text, *word; /* word NULL: it is taken */
	} row[] = {
		{ "bcdfghjklmnpqrstbcdfghjklmnpqrst", NULL },
		{ "123e4567-e89b-42d3-a456-426614174000", NULL },
		{ "123E4567-E89B-42D3-A456-426614174000", NULL },
		{ "", "no reference" },
		{ "9434765919", "NHS" },
		{ "943-476-5919", "NHS" },
		{ "ref-943.476.5919", "NHS" },
		{ "9434765919x", "NHS" },
		{ "9434765910", "not a random" }, /* the check digit is wrong: no reference still */
		{ "943 476 5919", "spaces" },
		{ "Ann Other", "spaces" },
		{ "ann\tother", "spaces" },
		{ "ann.other", "not a random" },
		{ "1984-02-13", "not a random" },
		{ "bcdfghjklmnpqrstbcdfghjklmnpqrs", "not a random" },
		{ "bcdfghjklmnpqrstbcdfghjklmnpqrsa", "not a random" },
		{ "123e4567-e89b-42d3-a456-42661417400g", "not a random" },
		{ "123e4567+e89b-42d3-a456-426614174000", "not a random" },
		/* a UUID of the right form with an NHS number at its end */
		{ "abcdefab-abcd-abcd-abcd-ab9434765919", "NHS" },
		{ "bcdfghjklmnpqrstbcdfghjklmnpqrstbcdfghjklmnpqrstbcdfghjklmnpqrstb", "long" },
		{ "0000000000", "NHS" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const char *problem = NULL;
		const int r = reference_check(row[i].text, &problem);

		if (r != (row[i].word ? -EINVAL : 0) ||
		    (row[i].word && !strstr(problem, row[i].word)))
			fail_msg("\"%s\": %d \"%s\"", row[i].text, r, problem ? problem : "");
	}
}

static void test_made_references_are_taken(void **state)
{
	uint8_t random[REFERENCE_RANDOM];
	char text[REFERENCE_TEXT_MAX], other[REFERENCE_TEXT_MAX];

	(void)state;
	for (unsigned int i = 0; i < 256; i++) {
		memset(random, (int)i, sizeof(random));
		reference_make(random, text);
		assert_int_equal(strlen(text), 32);
		assert_int_equal(reference_check(text, NULL), 0);
		random[15] ^= 1;
		reference_make(random, other);
		assert_string_not_equal(text, other);
	}
}

/* ---- the list */

static void test_revisions_have_no_gaps(void **state)
{
	struct hub *h = *state;
	Wellgate__V1__RegistryEvent e = WELLGATE__V1__REGISTRY_EVENT__INIT;
	Wellgate__V1__RegistryEvent__DeviceRetired retired =
		WELLGATE__V1__REGISTRY_EVENT__DEVICE_RETIRED__INIT;

	assert_int_equal(registry_revision(h->r), 0);
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(registry_revision(h->r), 1);
	e.what_case = EVENT(DEVICE_RETIRED);
	e.device_retired = &retired;
	e.has_device = e.has_at_ms = e.has_revision = true;
	e.device = (ProtobufCBinaryData){ REGISTRY_DIGEST, h->device };
	for (e.revision = 0; e.revision < 5; e.revision++) {
		if (e.revision != 2)
			refused(h, registry_apply(h->r, &e, &h->problem), -ESTALE, "changed");
	}
	e.revision = 2;
	e.device.len--;
	refused(h, registry_apply(h->r, &e, &h->problem), -EBADMSG, "complete");
	e.device.len++;
	assert_int_equal(registry_apply(h->r, &e, &h->problem), 0);
	assert_int_equal(registry_revision(h->r), 2);
}

static void test_incomplete_events(void **state)
{
	struct hub *h = *state;
	Wellgate__V1__RegistryEvent e = WELLGATE__V1__REGISTRY_EVENT__INIT;
	char by[] = "Nurse Ann";

	refused(h, start(h, -1, who(1), h->now, BASIS(LOAN)), -ENOENT, "know this device");
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	refused(h, add_device(h, 0, true, 0, false), -EEXIST, "already");
	refused(h, say(h, &e), -EBADMSG, "nothing");
	e.by = by;
	refused(h, say(h, &e), -EBADMSG, "spaces");
	refused(h, start(h, -1, "9434765919", h->now, BASIS(LOAN)), -EBADMSG, "NHS");
	refused(h, start(h, -1, who(1), h->now, BASIS(UNSPECIFIED)), -EBADMSG, "loan");
	refused(h, start(h, -1, who(1), h->now, 4), -EBADMSG, "loan");
	refused(h, start(h, 1, who(1), h->now, BASIS(LOAN)), -EBADMSG, "number");
	refused(h, start(h, -1, who(1), 1000, BASIS(LOAN)), -ERANGE, "date");
	refused(h, start(h, -1, who(1), INT64_MAX, BASIS(LOAN)), -ERANGE, "date");
	refused(h, end(h, 1, h->now), -ENOENT, "nobody");
	refused(h, close_session(h, 1), -ENOENT, "session");
	refused(h, press(h, who(1), true, NULL), -ENOENT, "Nobody");
	assert_int_equal(registry_revision(h->r), 1);
}

static void test_a_hub_without_time_lends_nothing(void **state)
{
	struct hub *h = *state;

	h->unsynced = true;
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	refused(h, start(h, -1, who(1), h->now, BASIS(LOAN)), -EAGAIN, "time");
	refused(h, open_session(h, who(1), h->now + HOUR), -EAGAIN, "time");
	h->unsynced = false;
	h->now = 1000;
	refused(h, open_session(h, who(1), h->now + HOUR), -ERANGE, "clock");
	h->now = SOME_TIME;
	assert_int_equal(start(h, -1, who(1), h->now, BASIS(LOAN)), 0);
	h->unsynced = true;
	refused(h, end(h, 2, h->now), -EAGAIN, "time");
	refused(h, press(h, who(1), true, NULL), -EAGAIN, "time");
}

static void test_a_device_is_one_persons(void **state)
{
	struct hub *h = *state;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(1), h->now, BASIS(LOAN)), 0);
	refused(h, start(h, -1, who(2), h->now + DAY, BASIS(LOAN)), -EEXIST, "Somebody has");
	refused(h, start(h, -1, who(1), h->now, BASIS(OWNED)), -EEXIST, "Somebody has");
	refused(h, start(h, -1, who(2), h->now, BASIS(SHARED)), -EEXIST, "Somebody has");
	refused(h, open_session(h, who(2), h->now + HOUR), -EEXIST, "Somebody has");
	assert_int_equal(open_session(h, who(1), h->now + HOUR), 0);
	refused(h, retire(h), -EBUSY, "still has");
	h->now += 10 * DAY;
	refused(h, end(h, 2, h->now + 1), -ERANGE, "now or earlier");
	refused(h, end(h, 2, SOME_TIME - 1), -ERANGE, "now or earlier");
	assert_int_equal(end(h, 2, h->now - DAY), 0);
	refused(h, end(h, 2, h->now), -ENOENT, "nobody");
	/* half-open: the next one may begin where this one ended, and no earlier */
	refused(h, start(h, -1, who(2), h->now - DAY - 1, BASIS(LOAN)), -EEXIST, "Somebody has");
	assert_int_equal(start(h, -1, who(2), h->now - DAY, BASIS(LOAN)), 0);
	refused(h, start(h, -1, who(1), SOME_TIME - DAY, BASIS(LOAN)), -EEXIST, "used before");
	assert_int_equal(end(h, 5, h->now), 0);
	assert_int_equal(retire(h), 0);
	refused(h, start(h, -1, who(3), h->now, BASIS(LOAN)), -ENOENT, "not in use");
	refused(h, add_device(h, 2, true, 0, false), -EBADMSG, "like that");
	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(3), h->now, BASIS(LOAN)), 0);
}

static void test_a_mistake_is_ended_where_it_began(void **state)
{
	struct hub *h = *state;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	assert_int_equal(start(h, -1, who(1), h->now + DAY, BASIS(LOAN)), 0);
	refused(h, end(h, 2, h->now), -ERANGE, "before");
	assert_int_equal(end(h, 2, h->now + DAY), 0);
	assert_int_equal(start(h, -1, who(2), h->now, BASIS(LOAN)), 0);
}

static void test_users_of_one_device(void **state)
{
	struct hub *h = *state;

	assert_int_equal(add_device(h, 2, true, 0, false), 0);
	refused(h, start(h, -1, who(1), h->now, BASIS(LOAN)), -EBADMSG, "under which number");
	refused(h, start(h, 3, who(1), h->now, BASIS(LOAN)), -EBADMSG, "number");
	assert_int_equal(start(h, 1, who(1), h->now, BASIS(LOAN)), 0);
	assert_int_equal(start(h, 2, who(2), h->now, BASIS(OWNED)), 0);
	refused(h, start(h, 1, who(2), h->now, BASIS(OWNED)), -EEXIST, "Somebody has");
	refused(h, start(h, 1, who(2), h->now, BASIS(SHARED)), -EBADMSG, "whole");
	assert_int_equal(start(h, -1, who(2), h->now, BASIS(SHARED)), 0);
	assert_int_equal(start(h, -1, who(3), h->now, BASIS(SHARED)), 0);
	refused(h, start(h, -1, who(3), h->now, BASIS(SHARED)), -EEXIST, "Somebody has");
	refused(h, open_session(h, who(1), h->now + HOUR), -EEXIST, "Somebody has");
	about(h, 2);
	assert_int_equal(add_device(h, 4, true, 0, true), 0);
	refused(h, start(h, 1, who(1), h->now, BASIS(LOAN)), -EBADMSG, "has to guess");
	assert_int_equal(start(h, -1, who(1), h->now, BASIS(SHARED)), 0);
	refused(h, start(h, -1, who(2), h->now, BASIS(OWNED)), -EEXIST, "Somebody has");
}

static void test_sessions_are_short_and_single(void **state)
{
	struct hub *h = *state;

	assert_int_equal(add_device(h, 0, true, 0, false), 0);
	refused(h, open_session(h, who(1), h->now), -ERANGE, "hour");
	refused(h, open_session(h, who(1), h->now + HOUR + 1), -ERANGE, "hour");
	refused(h, open_session(h, who(1), INT64_MIN), -ERANGE, "hour");
	assert_int_equal(open_session(h, who(1), h->now + HOUR), 0);
	refused(h, open_session(h, who(2), h->now + HOUR), -EEXIST, "Somebody has");
	refused(h, end(h, 2, h->now), -ENOENT, "nobody");
	h->now += 10 * MINUTE;
	assert_int_equal(close_session(h, 2), 0);
	refused(h, close_session(h, 2), -ENOENT, "session");
	assert_int_equal(open_session(h, who(2), h->now + HOUR), 0);
	h->now += HOUR; /* nobody closed it: it is over all the same */
	assert_int_equal(open_session(h, who(3), h->now + HOUR), 0);
}

static void test_a_used_memory_is_not_lent(void **state)
{
	struct hub *h = *state;

	assert_int_equal(add_device(h, 0, true, 60, false), 0);
	refused(h, start(h, -1, who(1), h->now, BASIS(LOAN)), -EBUSY, "another person");
	assert_int_equal(wipe(h, false), 0);
	refused(h, start(h, -1, who(1), h->now, BASIS(LOAN)), -EBUSY, "another person");
	assert_int_equal(wipe(h, true), 0);
	assert_int_equal(start(h, -1, who(1), h->now, BASIS(LOAN)), 0);
	h->now += DAY;
	assert_int_equal(mark(h, -1, 12), 0); /* too early: there may be more before the end */
	assert_int_equal(end(h, 4, h->now), 0);
	refused(h, start(h, -1, who(2), h->now, BASIS(LOAN)), -EBUSY, "another person");
	refused(h, start(h, -1, who(2), h->now, BASIS(OWNED)), -EBUSY, "another person");
	assert_int_equal(mark(h, -1, 14), 0);
	assert_int_equal(start(h, -1, who(2), h->now, BASIS(LOAN)), 0);
	/* its owner's memory is the owner's */
	about(h, 2);
	assert_int_equal(add_device(h, 0, true, 60, false), 0);
	assert_int_equal(start(h, -1, who(2), h->now, BASIS(OWNED)), 0);
	/* a mark of one user of the device says nothing of the other */
	about(h, 3);
	assert_int_equal(add_device(h, 2, true, 60, false), 0);
	assert_int_equal(mark(h, 1, 30), 0);
	refused(h, start(h, 2, who(3), h->now, BASIS(LOAN)), -EBUSY, "another person");
	assert_int_equal(start(h, 1, who(3), h->now, BASIS(LOAN)), 0);
}

/* ---- the invariant, against a bitmap: 200 registries of 150 random events */

#define SPAN  96 /* hours */
#define SLOTS 2

/* who has the slot in that hour, and how often it was refused */
struct bitmap {
	unsigned int owner[SLOTS + 1][SPAN];
	struct {
		uint64_t revision;
		int slot;
		unsigned int from, to, person;
	} open[256];
	size_t n;
	unsigned int taken, refused;
};

static uint32_t roll(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % sides;
}

static bool is_free(const struct bitmap *b, int slot, unsigned int from, unsigned int to)
{
	for (unsigned int t = from; t < to; t++) {
		if (b->owner[slot][t])
			return false;
	}
	return true;
}

static void fill(struct bitmap *b, size_t i, unsigned int person)
{
	for (unsigned int t = b->open[i].from; t < b->open[i].to; t++)
		b->owner[b->open[i].slot][t] = person;
}

static void random_start(struct hub *h, struct bitmap *b, uint64_t *seed, unsigned int person)
{
	const int slot = (int)roll(seed, SLOTS) + 1;
	const unsigned int from = roll(seed, SPAN);
	const bool expected = is_free(b, slot, from, SPAN);
	const int r = start(h, slot, who(person), SOME_TIME + from * HOUR, BASIS(OWNED));

	assert_int_equal(r, expected ? 0 : -EEXIST);
	b->taken += r == 0;
	b->refused += r != 0;
	if (r < 0)
		return;
	b->open[b->n].revision = registry_revision(h->r);
	b->open[b->n].slot = slot;
	b->open[b->n].from = from;
	b->open[b->n].to = SPAN;
	b->open[b->n].person = person;
	fill(b, b->n++, person);
}

static void random_end(struct hub *h, struct bitmap *b, uint64_t *seed)
{
	const size_t i = b->n ? roll(seed, (uint32_t)b->n) : 0;
	const unsigned int to = roll(seed, SPAN);
	int r;

	if (b->n == 0)
		return;
	r = end(h, b->open[i].revision, SOME_TIME + to * HOUR);
	assert_int_equal(r, to >= b->open[i].from ? 0 : -ERANGE);
	if (r < 0)
		return;
	fill(b, i, 0);
	b->open[i].to = to;
	fill(b, i, b->open[i].person);
	b->open[i] = b->open[--b->n];
}

/* every hour is asked of attribution, and has to say what the bitmap says */
static void compare(struct hub *h, const struct bitmap *b)
{
	for (unsigned int slot = 1; slot <= SLOTS; slot++) {
		for (unsigned int t = 0; t < SPAN; t++) {
			struct attribute_question q = measured(h, SOME_TIME + t * HOUR);
			struct attribute_answer a;
			const unsigned int person = b->owner[slot][t];
			bool ended = true;

			for (size_t i = 0; i < b->n; i++)
				ended &= b->open[i].person != person;
			q.has_slot = true;
			q.slot = slot;
			attribute_reading(h->r, NULL, &q, &a);
			if (person && !ended)
				assert_string_equal(a.subject, who(person));
			else
				assert_false(attribute_is_final(a.verdict));
		}
	}
}

static void test_intervals_never_overlap(void **state)
{
	unsigned int taken = 0, refused_ = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct hub h = { .now = SOME_TIME + SPAN * HOUR };
		struct bitmap b = { .n = 0 };
		uint64_t dice = seed * 7919;

		assert_int_equal(registry_new(&h.r), 0);
		about(&h, 1);
		assert_int_equal(add_device(&h, SLOTS, true, 0, false), 0);
		for (unsigned int i = 1; i <= 150; i++) {
			if (roll(&dice, 3) == 0)
				random_end(&h, &b, &dice);
			else
				random_start(&h, &b, &dice, i);
		}
		compare(&h, &b);
		taken += b.taken;
		refused_ += b.refused;
		registry_free(h.r);
	}
	print_message("intervals: %u taken, %u refused, none overlap\n", taken, refused_);
	assert_true(taken > 1000 && refused_ > 1000);
}

/* ---- a log that is read again: 1,000 random events of every kind, most of them refused */

#define LOG_MAX 1000

struct log {
	uint8_t *event[LOG_MAX];
	size_t length[LOG_MAX], n;
};

static void keep(void *user, const Wellgate__V1__RegistryEvent *event)
{
	struct log *log = user;
	const size_t length = wellgate__v1__registry_event__get_packed_size(event);

	assert_true(log->n < LOG_MAX);
	log->event[log->n] = malloc(length);
	assert_non_null(log->event[log->n]);
	(void)wellgate__v1__registry_event__pack(event, log->event[log->n]);
	log->length[log->n++] = length;
}

static struct attribute_question random_question(const struct hub *h, uint64_t *dice)
{
	static const Wellgate__V1__ClockQuality clock[] = { CLOCK(DEVICE_CORRECTED),
							    CLOCK(HUB_SYNCED), CLOCK(UNKNOWN) };
	struct attribute_question q = measured(h, SOME_TIME + roll(dice, 100) * HOUR);

	memset(q.device, 0, sizeof(q.device));
	q.device[0] = (uint8_t)(1 + roll(dice, 4));
	memset(q.reading, 0, sizeof(q.reading));
	q.reading[0] = (uint8_t)roll(dice, 8);
	q.clock = clock[roll(dice, 3)];
	q.has_slot = roll(dice, 2);
	q.slot = roll(dice, 3);
	q.has_record = roll(dice, 2);
	q.record = roll(dice, 100);
	return q;
}

static void random_event(struct hub *h, uint64_t *dice)
{
	const int slot = (int)roll(dice, 3) - 1;
	const char *person = who(1 + roll(dice, 12));
	const uint64_t revision = 1 + roll(dice, (uint32_t)registry_revision(h->r) + 1);
	uint8_t reading[REGISTRY_DIGEST] = { (uint8_t)roll(dice, 8) };
	/* drawn one by one: compilers take arguments in orders of their own */
	const uint32_t two = roll(dice, 2), three = roll(dice, 3), third = roll(dice, 3);

	h->now += roll(dice, 20) * MINUTE;
	about(h, 1 + roll(dice, 4));
	switch (roll(dice, 9)) {
	case 0:
		(void)add_device(h, three, third > 0, two * 60, false);
		break;
	case 1:
		(void)(roll(dice, 8) ? 0 : retire(h));
		break;
	case 2:
		(void)start(h, slot, person, h->now - three * HOUR,
			    (Wellgate__V1__RegistryEvent__Basis)(1 + third));
		break;
	case 3:
		(void)end(h, revision, h->now - roll(dice, 60) * MINUTE);
		break;
	case 4:
		(void)open_session(h, person, h->now + roll(dice, 90) * MINUTE);
		break;
	case 5:
		(void)close_session(h, revision);
		break;
	case 6:
		(void)wipe(h, roll(dice, 2));
		break;
	case 7:
		(void)mark(h, slot, roll(dice, 100));
		break;
	default:
		(void)press(h, person, two, three ? reading : NULL);
		break;
	}
}

/* Asked about a revision, the registry answers as it did when that was its last one. */
static void same_answers(const struct hub *h, struct registry *then, uint64_t *dice,
			 unsigned int verdict[8])
{
	for (unsigned int i = 0; i < 20; i++) {
		struct attribute_question q = random_question(h, dice);
		struct attribute_answer old, now;

		attribute_reading(then, NULL, &q, &old);
		q.revision = registry_revision(then);
		attribute_reading(h->r, NULL, &q, &now);
		assert_int_equal(old.verdict, now.verdict);
		assert_int_equal(old.rule, now.rule);
		assert_int_equal(old.revision, now.revision);
		assert_string_equal(old.subject, now.subject);
		verdict[now.verdict]++;
	}
}

static void test_a_log_is_read_again(void **state)
{
	struct hub *h = *state;
	struct log log = { .n = 0 };
	struct registry *again;
	unsigned int verdict[8] = { 0 };
	uint64_t dice = 4711;

	h->keep = keep;
	h->user = &log;
	for (unsigned int i = 0; i < LOG_MAX; i++)
		random_event(h, &dice);
	assert_int_equal(registry_new(&again), 0);
	for (size_t i = 0; i < log.n; i++) {
		Wellgate__V1__RegistryEvent *e =
			wellgate__v1__registry_event__unpack(NULL, log.length[i], log.event[i]);

		assert_non_null(e);
		assert_int_equal(registry_apply(again, e, NULL), 0);
		wellgate__v1__registry_event__free_unpacked(e, NULL);
		free(log.event[i]);
		same_answers(h, again, &dice, verdict);
	}
	assert_int_equal(registry_revision(again), registry_revision(h->r));
	registry_free(again);
	print_message("log: %zu of %u events taken; the same answers at every revision:", log.n,
		      LOG_MAX);
	for (unsigned int i = 1; i < 8; i++) {
		print_message(" %u", verdict[i]);
		assert_true(verdict[i] > 0);
	}
	print_message("\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_made_references_are_taken),
		cmocka_unit_test_setup_teardown(test_revisions_have_no_gaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_incomplete_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_hub_without_time_lends_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_device_is_one_persons, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_mistake_is_ended_where_it_began, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_users_of_one_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sessions_are_short_and_single, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_used_memory_is_not_lent, setup, teardown),
		cmocka_unit_test(test_intervals_never_overlap),
		cmocka_unit_test_setup_teardown(test_a_log_is_read_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
