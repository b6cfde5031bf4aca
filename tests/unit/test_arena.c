/* links: gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/arena.h"
#include "wellgate.pb-c.h"

static void test_gives_zeroed_and_aligned_memory(void **state)
{
	struct arena a;

	(void)state;
	assert_int_equal(arena_init(&a, 256), 0);
	(void)memset(a.data, 0xff, a.size);
	for (size_t size = 1; size < 20; size += 3) {
		uint8_t *p = arena_alloc(&a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
	}
	arena_finish(&a);
}

static void test_says_when_it_is_full(void **state)
{
	struct arena a;
	char *text;

	(void)state;
	assert_int_equal(arena_init(&a, 64), 0);
	assert_null(arena_alloc(&a, 65));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_non_null(arena_alloc(&a, 33));
	assert_null(arena_alloc(&a, 17)); /* 48 are used with the padding */
	assert_null(arena_strdup(&a, "seventeen bytes.."));
	text = arena_strdup(&a, "sixteen bytes..");
	assert_string_equal(text, "sixteen bytes..");
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_memdup(&a, "x", 1));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 64));
	arena_finish(&a);
}

static void test_serves_protobuf(void **state)
{
	static const uint8_t packed[] = { 0x0a, 0x02, 'h', 'i', 0x20, 0x01 }; /* hub, code_table */
	Wellgate__V1__ReadingBatch *batch;
	struct arena a;

	(void)state;
	assert_int_equal(arena_init(&a, 1024), 0);
	batch = wellgate__v1__reading_batch__unpack(arena_protobuf(&a), sizeof(packed), packed);
	assert_non_null(batch);
	assert_string_equal(batch->hub, "hi");
	assert_int_equal(batch->code_table, 1);
	assert_true((uint8_t *)batch >= a.data && (uint8_t *)batch < a.data + a.size);
	arena_finish(&a);

	assert_int_equal(arena_init(&a, 40), 0);
	assert_null(
		wellgate__v1__reading_batch__unpack(arena_protobuf(&a), sizeof(packed), packed));
	arena_finish(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_zeroed_and_aligned_memory),
		cmocka_unit_test(test_says_when_it_is_full),
		cmocka_unit_test(test_serves_protobuf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
