/* links: gateway_intake gateway_goals gateway_base */
/*
 * What the devices process may say: bytes are unpacked as wellgate.v1.Measurement and go through
 * intake and the goal book. Byte 0 of the input chooses the options. A reading that comes out keeps
 * what the message contract promises.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/goals/goals.h"
#include "gateway/intake/intake.h"
#include "gateway/text.h"
#include "protocols/messages/codes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1795435200000) /* 2026-11-23T12:00Z */

static const struct goal goals[] = {
	{ .id = "walk",
	  .metric = METRIC_STEPS,
	  .rule = GOAL_SUM_PER_PERIOD,
	  .period = GOAL_DAY,
	  .target = { 1000, 0 },
	  .week_start = 1,
	  .time_zone = "Europe/London" },
	{ .id = "weigh",
	  .metric = METRIC_BODY_WEIGHT,
	  .rule = GOAL_MEASURE_REGULARLY,
	  .period = GOAL_WEEK,
	  .target = { 1, 0 },
	  .week_start = 1,
	  .time_zone = "Europe/London" },
};

static void check(int good)
{
	if (!good)
		abort();
}

static void check_reading(const Wellgate__V1__Reading *r)
{
	bool says_something = false, uncertain = false;

	check(r->reading_id.len == 16 && r->dedupe_key.len == 16);
	check(r->has_metric && metric_info((unsigned int)r->metric) && r->n_components > 0);
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		check(metric_info((unsigned int)c->metric) && c->unit &&
		      (c->value != NULL) != c->has_absent);
		says_something = says_something || c->value ||
				 (unsigned int)c->absent == ABSENT_POSITIVE_INFINITY || /* HI */
				 (unsigned int)c->absent == ABSENT_NEGATIVE_INFINITY;   /* LO */
	}
	for (size_t i = 0; i < r->n_flags; i++) {
		check(i == 0 || r->flags[i] > r->flags[i - 1]);
		uncertain = uncertain || (unsigned int)r->flags[i] == FLAG_TIME_UNCERTAIN;
	}
	check(says_something);
	check(r->has_measured_at_ms || uncertain); /* never without saying so */
	check(!r->has_measured_at_ms || r->measured_at_ms <= r->received_at_ms + 300000);
	check(!r->context || text_is_clean(r->context));
	check(wellgate__v1__reading__get_packed_size(r) < 65536);
}

static void count(Wellgate__V1__Reading *r, struct arena *arena)
{
	Wellgate__V1__GoalResult *result = NULL;
	struct goal_book *book = NULL;

	check(goal_book_new(goals, 2, "hub", 1, &book) == 0);
	goal_book_set_test(book, true);
	check(goal_book_tag(book, r, arena) == 0);
	check(goal_book_add(book, r) == 0);
	check(goal_book_next_result(book, NOW_MS, arena, &result) >= 0);
	goal_book_undo(book);
	check(goal_book_next_result(book, NOW_MS, arena, &result) == 0);
	goal_book_free(book);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct intake_device device = { .driver = "demo", .has_digest = true };
	struct receipt receipt = { .utc_ms = NOW_MS, .boottime_us = 5000000000 };
	struct intake_options options = { .time_zone = "Europe/London", .subject = "somebody" };
	Wellgate__V1__Reading *reading = NULL;
	const Wellgate__V1__Measurement *m;
	struct intake *in = NULL;
	struct arena arena;

	if (size == 0)
		return 0;
	receipt.synced = data[0] & 1;
	options.test = data[0] & 2;
	check(arena_init(&arena, 1 << 18) == 0 && intake_new(&options, &in) == 0);
	m = wellgate__v1__measurement__unpack(arena_protobuf(&arena), size - 1, data + 1);
	if (m && intake_normalise(in, m, &device, &receipt, &arena, &reading) == 0) {
		check_reading(reading);
		intake_remember(in, reading);
		count(reading, &arena);
	} else {
		check(!reading);
	}
	intake_free(in);
	arena_finish(&arena);
	return 0;
}
