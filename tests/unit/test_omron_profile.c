/* links: protocols */
/* The table of Omron's models: can every row be true? And frames, and clocks. */
#include "protocols/omron/frame.h"
#include "protocols/omron/profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/omron_time.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- rows ---- */

struct span {
	unsigned int start, end;
};

static bool overlap(struct span a, struct span b)
{
	return a.start < b.end && b.start < a.end;
}

static void check_window(const struct omron_profile *p, struct omron_window w)
{
	if (w.end == 0)
		return;
	assert_true(w.start < w.end);
	/* within the settings, which end where their mirror begins */
	assert_true(w.end <= p->mirror - p->settings);
	assert_true((size_t)(w.end - w.start) <= OMRON_DATA_MAX);
}

static struct span span_of(const struct omron_profile *p, size_t i)
{
	const struct omron_region *r = &p->regions[i];
	const unsigned int size = (unsigned int)r->records * p->record_size;

	return (struct span){ r->start, r->start + size };
}

static void check_regions(const struct omron_profile *p)
{
	const struct span settings = { p->settings,
				       p->mirror + (unsigned int)(p->mirror - p->settings) };
	const size_t n = omron_profile_regions(p);

	assert_true(n >= 1);
	for (size_t i = 0; i < n; i++) {
		assert_true(span_of(p, i).end <= 0x10000);
		assert_false(overlap(span_of(p, i), settings));
		for (size_t j = 0; j < i; j++)
			assert_false(overlap(span_of(p, i), span_of(p, j)));
		assert_true(p->regions[i].user == 1 || p->regions[i].user == 2 ||
			    p->regions[i].user == OMRON_USER_NONE);
	}
}

static void test_rows(void **state)
{
	(void)state;
	assert_int_equal(omron_n_profiles, 43);
	for (size_t i = 0; i < omron_n_profiles; i++) {
		const struct omron_profile *p = &omron_profiles[i];

		assert_ptr_equal(omron_profile_by_model(p->model), p);
		assert_true(p->settings < p->mirror && p->mirror - p->settings <= 0xff);
		check_window(p, p->unread);
		check_window(p, p->clock);
		check_regions(p);
		assert_true(p->block > 0 && p->block <= OMRON_DATA_MAX);
		assert_true(p->record_size <= OMRON_RECORD_MAX);
		assert_true(p->record_size >= omron_record_size(p->layout));
		assert_true(p->unread.end == 0 ||
			    (p->unread.end - p->unread.start >= 8 &&
			     p->unread.end - p->unread.start <= OMRON_INDEX_MAX));
		assert_true(p->clock.end == 0 || p->clock.end - p->clock.start == 10 ||
			    p->clock.end - p->clock.start == 16);
		assert_false(overlap((struct span){ p->unread.start, p->unread.end },
				     (struct span){ p->clock.start, p->clock.end }));
		/* a modern cuff has no window to write its counters in that anybody knows */
		assert_false(p->modern && p->unread.end != 0);
	}
}

static const char *model_of(const char *name, bool modern)
{
	const struct omron_profile *p = omron_profile_by_name(name, strlen(name), modern);

	return p ? p->model : "none";
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(model_of("HEM-7322T-E", false), "HEM-7322T");
	assert_string_equal(model_of("M500 Intelli IT", false), "HEM-7361T");
	assert_string_equal(model_of("RS7 Intelli IT", false), "HEM-6232T");
	assert_string_equal(model_of("X2+ Connect", true), "HEM-7188T1");
	assert_string_equal(model_of("HEM-7150T", false), "HEM-7150T");
	assert_string_equal(model_of("HEM-7155T_ESL", false), "HEM-7155T");
	assert_string_equal(model_of("HEM-7155T_ESL", true), "HEM-7155T-MW3");
	/* two cuffs bear it, with different memories */
	assert_string_equal(model_of("M7 Intelli IT", false), "none");
	assert_string_equal(model_of("HEM-7322", false), "none");
	assert_string_equal(model_of("HEM-7322T-X", false), "none");
	assert_string_equal(model_of("", false), "none");
}

/* ---- frames ---- */

static void test_frames(void **state)
{
	static const uint8_t begin[] = { 0x08, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x18 };
	static const uint8_t end[] = { 0x08, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07 };
	static const uint8_t ask[] = { 0x08, 0x01, 0x00, 0x02, 0x60, 0x26, 0x00, 0x4d };
	/* from a published dialogue of a HEM-7280T: the index is written */
	static const uint8_t put[] = { 0x16, 0x01, 0xc0, 0x02, 0x86, 0x0e, 0x40, 0x1e,
				       0x80, 0x2d, 0x80, 0x00, 0x80, 0x00, 0x01, 0x00,
				       0xff, 0x01, 0x86, 0x01, 0x00, 0xd6 };
	uint8_t data[OMRON_FRAME_MAX];
	struct writer w = writer_of(data, sizeof(data));
	struct omron_frame f = { .command = OMRON_BEGIN, .size = 0x10 };

	(void)state;
	assert_int_equal(omron_frame_encode(&f, &w), 0);
	assert_int_equal(w.len, sizeof(begin));
	assert_memory_equal(data, begin, sizeof(begin));
	f = (struct omron_frame){ .command = OMRON_END };
	w.len = 0;
	assert_int_equal(omron_frame_encode(&f, &w), 0);
	assert_memory_equal(data, end, sizeof(end));
	f = (struct omron_frame){ .command = OMRON_READ, .address = 0x0260, .size = 0x26 };
	w.len = 0;
	assert_int_equal(omron_frame_encode(&f, &w), 0);
	assert_memory_equal(data, ask, sizeof(ask));

	assert_int_equal(omron_frame_decode(put, sizeof(put), &f), 0);
	assert_int_equal(f.command, OMRON_WRITE);
	assert_int_equal(f.address, 0x0286);
	assert_int_equal(f.len, 14);
	w.len = 0;
	assert_int_equal(omron_frame_encode(&f, &w), 0);
	assert_int_equal(w.len, sizeof(put));
	assert_memory_equal(data, put, sizeof(put));
	w = writer_of(data, sizeof(put) - 1);
	assert_int_equal(omron_frame_encode(&f, &w), -ENOSPC);
	f.size = 3;
	assert_int_equal(omron_frame_encode(&f, &w), -ERANGE);
}

static void test_bad_frames(void **state)
{
	uint8_t data[] = { 0x08, 0x81, 0x00, 0x02, 0x60, 0x26, 0x05, 0xc8 };
	struct omron_frame f;

	(void)state;
	assert_int_equal(omron_frame_decode(data, sizeof(data), &f), 0);
	assert_int_equal(f.result, 5);
	assert_int_equal(f.len, 0);
	for (size_t n = 0; n < sizeof(data); n++)
		assert_int_equal(omron_frame_decode(data, n, &f), -EMSGSIZE);
	data[7] ^= 1;
	assert_int_equal(omron_frame_decode(data, sizeof(data), &f), -EBADMSG);
	data[0] = 9;
	assert_int_equal(omron_frame_decode(data, sizeof(data), &f), -EMSGSIZE);
}

/* ---- clocks ---- */

static void test_clocks(void **state)
{
	/* both from published logs; neither is a measurement of anybody */
	uint8_t old[] = { 0x08, 0xc8, 0x09, 0x19, 0x12, 0x12, 0x2c, 0x1b, 0x85, 0x5d };
	uint8_t new[] = { 0xc6, 0xa4, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
			  0x1a, 0x09, 0x14, 0x0d, 0x19, 0x08, 0xd0, 0x00 };
	const struct gatt_date_time old_time = { 2025, 9, 18, 18, 27, 44 };
	const struct gatt_date_time new_time = { 2026, 9, 20, 13, 25, 8 };
	const struct gatt_date_time now = { 2026, 11, 23, 7, 8, 9 },
				    early = { 1999, 1, 1, 0, 0, 0 };
	const struct omron_profile *p = omron_profile_by_model("HEM-7322T");
	const struct omron_profile *q = omron_profile_by_model("HEM-7380T1");
	struct gatt_date_time t;
	uint8_t before[16];

	(void)state;
	assert_int_equal(omron_clock_decode(p, old, sizeof(old), &t), 0);
	assert_same_time(&t, &old_time);
	assert_int_equal(omron_clock_decode(q, new, sizeof(new), &t), 0);
	assert_same_time(&t, &new_time);
	assert_int_equal(omron_clock_decode(p, new, sizeof(new), &t), -EBADMSG);
	assert_int_equal(omron_clock_decode(q, new, 12, &t), -EMSGSIZE);

	assert_int_equal(omron_clock_set(p, old, sizeof(old), &early), -ERANGE);
	assert_int_equal(omron_clock_set(p, old, sizeof(old), &now), 0);
	assert_int_equal(omron_clock_decode(p, old, sizeof(old), &t), 0);
	assert_same_time(&t, &now);
	memcpy(before, new, sizeof(new));
	assert_int_equal(omron_clock_set(q, new, sizeof(new), &now), 0);
	assert_int_equal(omron_clock_decode(q, new, sizeof(new), &t), 0);
	assert_same_time(&t, &now);
	assert_memory_equal(before, new, 8); /* nothing but the date and the sum */
	assert_int_equal(before[15], new[15]);
	new[0] ^= 1;
	assert_int_equal(omron_clock_set(q, new, sizeof(new), &now), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_names),
		cmocka_unit_test(test_frames), cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
