/* links: gateway_publish */
/* A row that was packed without a name, or under an earlier epoch, goes out under the right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/publish/origin.h"
#include "wellgate.pb-c.h"

#define HUB   "hub-7"
#define EPOCH UINT64_C(0x1122334455667788)

static char hub[] = HUB, other[] = "another";

static void correction_becomes(Wellgate__V1__Correction *c, bool tombstone)
{
	const struct origin origin = { HUB, EPOCH, false };
	uint8_t data[256 + ORIGIN_MAX];
	bool is_tombstone = !tombstone;
	size_t len = wellgate__v1__correction__pack(c, data);
	Wellgate__V1__Correction *got;

	len = origin_complete(&origin, data, len, &is_tombstone);
	got = wellgate__v1__correction__unpack(NULL, len, data);
	assert_non_null(got);
	assert_string_equal(got->hub, HUB);
	assert_true(got->has_epoch && got->epoch == EPOCH);
	assert_int_equal(got->sequence, 5);
	assert_int_equal(is_tombstone, tombstone);
	wellgate__v1__correction__free_unpacked(got, NULL);
	/* what is complete stays as it is */
	assert_int_equal(origin_complete(&origin, data, len, &is_tombstone), len);
}

static void corrections(void **state)
{
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;

	(void)state;
	c.has_sequence = c.has_kind = 1;
	c.sequence = 5;
	c.kind = WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE;
	correction_becomes(&c, true);
	c.kind = WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION;
	c.hub = other;
	c.has_epoch = 1;
	c.epoch = 9;
	correction_becomes(&c, false);
	c.hub = hub;
	correction_becomes(&c, false);
}

static void results(void **state)
{
	const struct origin origin = { HUB, EPOCH, true };
	Wellgate__V1__GoalResult r = WELLGATE__V1__GOAL_RESULT__INIT, *got;
	uint8_t data[256 + ORIGIN_MAX];
	bool tombstone = true;
	size_t len;

	(void)state;
	r.hub = other;
	r.goal_id = hub;
	len = wellgate__v1__goal_result__pack(&r, data);
	len = origin_complete(&origin, data, len, &tombstone);
	got = wellgate__v1__goal_result__unpack(NULL, len, data);
	assert_non_null(got);
	assert_string_equal(got->hub, HUB);
	assert_true(got->has_epoch && got->epoch == EPOCH);
	assert_string_equal(got->goal_id, hub);
	assert_false(tombstone);
	wellgate__v1__goal_result__free_unpacked(got, NULL);
}

static void rubbish_stays_rubbish(void **state)
{
	const struct origin origin = { HUB, EPOCH, false };
	uint8_t data[3 + ORIGIN_MAX] = { 0x0a, 0x7f, 0x00 };
	bool tombstone = true;

	(void)state;
	assert_int_equal(origin_complete(&origin, data, 3, &tombstone), 3);
	assert_false(tombstone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corrections),
		cmocka_unit_test(results),
		cmocka_unit_test(rubbish_stays_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
