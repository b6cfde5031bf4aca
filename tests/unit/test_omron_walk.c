/* links: protocols */
/*
 * The walk against simulated cuffs of every model: whole, and with the link cut at any step,
 * answers lost, spoiled, late and twice. Every record comes; what nobody has yet is never counted
 * as read; nothing is written beside the windows.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/omron_cuff.h"
#include "tests/unit/omron_time.h"

#define KEYS_MAX 2100
#define OUT_MAX  64

/* ---- a hub with its store ---- */

struct hub {
	struct omron_cuff cuff;
	struct omron_walk walk;
	uint64_t random;
	unsigned int now[2];                       /* records measured, of each region */
	bool durable[OMRON_REGIONS_MAX][KEYS_MAX]; /* by the n of cuff_record() */
	bool seen[OMRON_REGIONS_MAX][KEYS_MAX];    /* emitted on this link, not durable yet */
	unsigned int emitted;
};

static struct hub *hub_new(void)
{
	struct hub *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	return h;
}

static unsigned int dice(struct hub *h, unsigned int sides)
{
	h->random ^= h->random << 13;
	h->random ^= h->random >> 7;
	h->random ^= h->random << 17;
	return (unsigned int)(h->random >> 20) % sides;
}

/* which one it was: the n of cuff_record(), found by comparing */
static unsigned int which(const struct hub *h, size_t region, const uint8_t *data)
{
	uint8_t record[OMRON_RECORD_MAX];

	for (unsigned int n = 0; n < h->now[region]; n++) {
		cuff_record(h->cuff.profile, record, n, (unsigned int)region + 1);
		if (memcmp(record, data, h->cuff.profile->record_size) == 0)
			return n;
	}
	fail_msg("a record that the cuff never had");
	return 0;
}

static void take(struct hub *h, const struct omron_step_result *s)
{
	const struct omron_profile *p = h->cuff.profile;
	struct omron_record x;

	for (size_t i = 0; i < s->n; i++) {
		const uint8_t *data = s->records + i * p->record_size;

		if (omron_record_decode(p->layout, data, p->record_size, &x) < 0)
			continue;
		h->seen[s->region][which(h, s->region, data)] = true;
		h->emitted++;
	}
}

static void commit(struct hub *h)
{
	for (size_t r = 0; r < OMRON_REGIONS_MAX; r++) {
		for (size_t n = 0; n < KEYS_MAX; n++)
			h->durable[r][n] |= h->seen[r][n];
	}
	memset(h->seen, 0, sizeof(h->seen));
}

/* What the cuff counts as read must be durable. */
static void check_counters(struct hub *h)
{
	const struct omron_profile *p = h->cuff.profile;

	assert_int_equal(h->cuff.strays, 0);
	if (p->unread.end == 0)
		return;
	for (size_t r = 0; r < 2 && p->regions[r].records > 0; r++) {
		const uint8_t *mirror = h->cuff.memory + p->mirror + p->unread.start + 4 + 2 * r;
		uint8_t none[2];

		cuff_put_word(p, none, 0x8000);
		if (memcmp(mirror, none, 2) != 0)
			continue;
		for (unsigned int n = h->now[r] > p->regions[r].records
					      ? h->now[r] - p->regions[r].records
					      : 0;
		     n < h->now[r]; n++)
			assert_true(h->durable[r][n]);
	}
}

static bool all_durable(const struct hub *h)
{
	for (size_t r = 0; r < 2; r++) {
		for (unsigned int n = 0; n < h->now[r]; n++) {
			if (!h->durable[r][n])
				return false;
		}
	}
	return true;
}

/* ---- one link ---- */

struct link {
	unsigned int cut; /* after so many questions; 0: never */
	bool rough;       /* answers are lost, spoiled, late and twice */
	unsigned int asked;
	uint8_t late[OMRON_FRAME_MAX];
	size_t late_len;
};

static void hear(struct hub *h, const uint8_t *data, size_t len)
{
	struct omron_step_result s = { .n = 0 };
	int r = omron_walk_answer(&h->walk, data, len, &s);

	if (r == 0)
		take(h, &s);
	else if (r == -EMSGSIZE || r == -EBADMSG)
		(void)omron_walk_silence(&h->walk);
	else
		assert_true(r == -ENOMSG || r == -EPROTO);
}

/* One question and what comes of it. */
static void exchange(struct hub *h, struct link *l)
{
	uint8_t out[OMRON_FRAME_MAX], in[OMRON_FRAME_MAX];
	struct writer w = writer_of(out, sizeof(out));
	size_t len;

	assert_int_equal(omron_walk_question(&h->walk, &w), 0);
	len = cuff_answer(&h->cuff, out, w.len, in);
	check_counters(h);
	if (!l->rough) {
		hear(h, in, len);
		return;
	}
	if (l->late_len > 0 && dice(h, 8) == 0)
		hear(h, l->late, l->late_len);
	memcpy(l->late, in, len);
	l->late_len = len;
	switch (dice(h, 12)) {
	case 0: /* lost */
		(void)omron_walk_silence(&h->walk);
		break;
	case 1:
		in[dice(h, (unsigned int)len)] ^= (uint8_t)(1U << dice(h, 8));
		hear(h, in, len);
		break;
	case 2:
		hear(h, in, dice(h, (unsigned int)len));
		break;
	case 3:
		hear(h, in, len);
		hear(h, in, len);
		break;
	default:
		hear(h, in, len);
		break;
	}
}

/* Until it is over, or cut. True: it ended well. */
static bool run(struct hub *h, struct link *l)
{
	omron_walk_begin(&h->walk, h->cuff.profile, OMRON_MAY_RESET, OMRON_ATTEMPTS);
	h->cuff.begun = false;
	memset(h->seen, 0, sizeof(h->seen));
	while (h->walk.step != OMRON_STEP_OVER && h->walk.step != OMRON_STEP_FAILED) {
		if (h->walk.step == OMRON_STEP_COMMIT) {
			if (l->cut > 0 && l->asked == l->cut)
				return false; /* before anything was durable */
			commit(h);
			omron_walk_committed(&h->walk, NULL);
			continue;
		}
		if (l->cut > 0 && l->asked == l->cut)
			return false;
		l->asked++;
		exchange(h, l);
	}
	return h->walk.step == OMRON_STEP_OVER;
}

static void begin(struct hub *h, const struct omron_profile *p, uint64_t seed)
{
	memset(h, 0, sizeof(*h));
	h->random = seed | 1;
	cuff_new(&h->cuff, p);
}

static void measure(struct hub *h, size_t region, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		cuff_measure(&h->cuff, region, h->now[region], i + 1);
		h->now[region]++;
	}
}

static void fill(struct hub *h, unsigned int first, unsigned int second)
{
	measure(h, 0, first);
	if (h->cuff.profile->regions[1].records > 0)
		measure(h, 1, second);
}

static bool reset_done(struct hub *h)
{
	uint8_t none[2];

	cuff_put_word(h->cuff.profile, none, 0x8000);
	return memcmp(cuff_index(&h->cuff) + 4, none, 2) == 0 &&
	       memcmp(cuff_index(&h->cuff) + 6, none, 2) == 0;
}

/* ---- tests ---- */

static void test_every_model(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	for (size_t i = 0; i < omron_n_profiles; i++) {
		const struct omron_profile *p = &omron_profiles[i];
		struct link l = { .cut = 0 };

		begin(h, p, i);
		fill(h, p->regions[0].records, 3);
		assert_true(run(h, &l));
		assert_true(all_durable(h));
		assert_int_equal(h->emitted, h->now[0] + h->now[1]);
		assert_int_equal(h->walk.trouble, OMRON_FINE);
		assert_true(h->walk.has_clock == (p->clock.end > 0));
		if (p->unread.end > 0)
			assert_true(reset_done(h));
		else
			assert_int_equal(h->cuff.writes, 0);
		assert_true(h->cuff.ended);
	}
	free(h);
}

/* the ring has gone round: only what it still has */
static void test_ring(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };

	(void)state;
	begin(h, omron_profile_by_model("HEM-7155T"), 1);
	fill(h, 75, 0);
	assert_true(run(h, &l));
	assert_int_equal(h->emitted, 60);
	assert_false(h->durable[0][14]);
	assert_true(h->durable[0][15] && h->durable[0][74]);
	free(h);
}

/* cut after each question in turn, then a link that is not */
static void test_cuts(void **state)
{
	static const char *const models[] = { "HEM-7155T", "HEM-7322T", "HEM-6410T", "HEM-7142T2" };
	struct hub *h = hub_new();

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		const struct omron_profile *p = omron_profile_by_model(models[i]);
		struct link whole = { .cut = 0 };

		begin(h, p, 5);
		fill(h, 9, 4);
		assert_true(run(h, &whole));
		for (unsigned int cut = 1; cut <= whole.asked; cut++) {
			struct link l = { .cut = cut }, again = { .cut = 0 };

			begin(h, p, cut);
			fill(h, 9, 4);
			(void)run(h, &l);
			check_counters(h);
			assert_true(run(h, &again));
			assert_true(all_durable(h));
			assert_true(p->unread.end == 0 || reset_done(h));
		}
	}
	free(h);
}

static void test_rough(void **state)
{
	struct hub *h = hub_new();
	unsigned int good = 0, links = 0;

	(void)state;
	for (unsigned int seed = 1; seed <= 400; seed++) {
		const struct omron_profile *p = &omron_profiles[seed % omron_n_profiles];
		struct link l = { .cut = 0 };

		if (p->regions[0].records > 100)
			continue;
		begin(h, p, seed * UINT64_C(0x9e3779b97f4a7c15));
		fill(h, 1 + seed % p->regions[0].records, seed % 20);
		for (int tries = 0; tries < 50 && !all_durable(h); tries++) {
			l = (struct link){ .cut = dice(h, 3) == 0 ? 1 + dice(h, 200) : 0,
					   .rough = true };
			good += run(h, &l);
			links++;
			check_counters(h);
		}
		assert_true(all_durable(h));
	}
	assert_true(good > links / 4); /* and it is not that all of them fail */
	free(h);
}

/* a measurement between the reading and the reset: it stays unread */
static void test_changed_meanwhile(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };

	(void)state;
	begin(h, omron_profile_by_model("HEM-7322T"), 3);
	fill(h, 5, 2);
	omron_walk_begin(&h->walk, h->cuff.profile, OMRON_MAY_RESET, 1);
	while (h->walk.step != OMRON_STEP_COMMIT)
		exchange(h, &l);
	commit(h);
	omron_walk_committed(&h->walk, NULL);
	measure(h, 0, 1);
	while (h->walk.step != OMRON_STEP_OVER)
		exchange(h, &l);
	assert_int_equal(h->walk.trouble, OMRON_INDEX_STRANGE);
	assert_int_equal(h->cuff.writes, 0);
	assert_true(run(h, &l));
	assert_true(all_durable(h) && reset_done(h));
	free(h);
}

static void test_not_reset(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };

	(void)state;
	/* not allowed */
	begin(h, omron_profile_by_model("HEM-7155T"), 3);
	fill(h, 5, 2);
	omron_walk_begin(&h->walk, h->cuff.profile, 0, 1);
	while (h->walk.step != OMRON_STEP_OVER) {
		if (h->walk.step == OMRON_STEP_COMMIT)
			omron_walk_committed(&h->walk, NULL);
		exchange(h, &l);
	}
	assert_int_equal(h->cuff.writes, 0);
	/* already so */
	assert_true(run(h, &l));
	assert_int_equal(h->cuff.writes, 1);
	assert_true(run(h, &l));
	assert_int_equal(h->cuff.writes, 0);
	/* a count beyond the ring: not what we take it for */
	cuff_put_word(h->cuff.profile, cuff_index(&h->cuff) + 4, 61);
	assert_true(run(h, &l));
	assert_int_equal(h->cuff.writes, 0);
	assert_int_equal(h->walk.trouble, OMRON_INDEX_STRANGE);
	free(h);
}

/* a user who is none: refused; the other's counter is reset, that one's is not */
static void test_refused(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };
	uint8_t two[2];

	(void)state;
	begin(h, omron_profile_by_model("HEM-7155T"), 3);
	fill(h, 5, 2);
	h->cuff.mute_user_2 = true;
	assert_true(run(h, &l));
	assert_int_equal(h->emitted, 5);
	assert_false(h->walk.left_out);
	cuff_put_word(h->cuff.profile, two, 2);
	assert_memory_equal(cuff_index(&h->cuff) + 6, two, 2);
	assert_false(reset_done(h));
	free(h);
}

static void test_writes_in_doubt(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };

	(void)state;
	begin(h, omron_profile_by_model("HEM-7155T"), 3);
	fill(h, 5, 2);
	h->cuff.write_refused = true;
	assert_true(run(h, &l));
	assert_int_equal(h->walk.trouble, OMRON_WRITE_REFUSED);
	assert_int_equal(h->cuff.writes, 1); /* not tried again */
	h->cuff.write_refused = false;
	h->cuff.write_twisted = true;
	assert_true(run(h, &l));
	assert_int_equal(h->walk.trouble, OMRON_WRITE_DOUBTFUL);
	assert_int_equal(h->cuff.writes, 1);
	free(h);
}

/* a record that is nonsense: its user's counter stays */
static void test_doubt(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };

	(void)state;
	begin(h, omron_profile_by_model("HEM-7155T"), 3);
	fill(h, 5, 2);
	omron_walk_begin(&h->walk, h->cuff.profile, OMRON_MAY_RESET, 1);
	while (h->walk.step != OMRON_STEP_COMMIT)
		exchange(h, &l);
	omron_walk_doubt(&h->walk, 1);
	commit(h);
	omron_walk_committed(&h->walk, NULL);
	while (h->walk.step != OMRON_STEP_OVER)
		exchange(h, &l);
	assert_int_equal(h->cuff.writes, 1);
	assert_false(reset_done(h));
	free(h);
}

static void test_clock(void **state)
{
	const struct gatt_date_time now = { 2026, 11, 23, 9, 8, 7 };
	struct hub *h = hub_new();
	struct gatt_date_time t;
	struct link l = { .cut = 0 };

	(void)state;
	for (size_t i = 0; i < omron_n_profiles; i++) {
		const struct omron_profile *p = &omron_profiles[i];
		const size_t n = (size_t)(p->clock.end - p->clock.start);

		begin(h, p, i);
		omron_walk_begin(&h->walk, p, OMRON_MAY_SET_CLOCK, 1);
		while (h->walk.step != OMRON_STEP_OVER) {
			if (h->walk.step == OMRON_STEP_COMMIT)
				omron_walk_committed(&h->walk, &now);
			exchange(h, &l);
		}
		assert_int_equal(h->walk.trouble, OMRON_FINE);
		assert_int_equal(h->cuff.writes, n > 0 ? 1 : 0);
		if (n == 0 || p->layout == OMRON_EITHER || p->layout == OMRON_HEARTGUIDE)
			continue;
		assert_int_equal(
			omron_clock_decode(p, h->cuff.memory + p->mirror + p->clock.start, n, &t),
			0);
		assert_same_time(&t, &now);
	}
	free(h);
}

/* silence ends it, in a number of questions that has a bound */
static void test_silence(void **state)
{
	struct hub *h = hub_new();
	struct link l = { .cut = 0 };
	unsigned int n = 0;

	(void)state;
	begin(h, omron_profile_by_model("HEM-9700T"), 3);
	omron_walk_begin(&h->walk, h->cuff.profile, OMRON_MAY_RESET, 7);
	while (omron_walk_silence(&h->walk) == 0)
		n++;
	assert_int_equal(n, 6);
	assert_int_equal(h->walk.step, OMRON_STEP_FAILED);
	omron_walk_begin(&h->walk, h->cuff.profile, OMRON_MAY_RESET, 7);
	exchange(h, &l);
	for (n = 0; omron_walk_silence(&h->walk) == 0; n++)
		assert_true(n < 50);
	assert_int_equal(h->walk.trouble, OMRON_SILENT);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_model),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_rough),
		cmocka_unit_test(test_changed_meanwhile),
		cmocka_unit_test(test_not_reset),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_writes_in_doubt),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
