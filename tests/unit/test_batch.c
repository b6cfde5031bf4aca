/* links: gateway_publish */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/publish/batch.h"
#include "protocols/messages/codes.h"

#define EPOCH UINT64_C(0x0123456789abcdef)

static struct batch batch;
static char hub[] = "hub-1";

static int setup(void **state)
{
	(void)state;
	return batch_init(&batch, hub, EPOCH);
}

static int teardown(void **state)
{
	(void)state;
	batch_finish(&batch);
	return 0;
}

static size_t pack_reading(uint64_t sequence, uint8_t *buf)
{
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;

	r.has_sequence = r.has_metric = 1;
	r.sequence = sequence;
	r.metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	return wellgate__v1__reading__pack(&r, buf);
}

static bool add(uint64_t sequence, int group, bool test)
{
	uint8_t buf[64];
	struct store_row row = { .sequence = sequence, .group = group, .test = test };

	row.payload = buf;
	row.len = pack_reading(sequence, buf);
	return batch_add(&batch, &row);
}

/* our bytes are those that protobuf-c would have made of the same message */
static void equals_protobuf(void **state)
{
	Wellgate__V1__ReadingBatch b = WELLGATE__V1__READING_BATCH__INIT;
	Wellgate__V1__Reading readings[3], *list[3];
	uint8_t expected[512];
	size_t len, expected_len;
	const uint8_t *data;

	(void)state;
	batch_begin(&batch, 50, BATCH_BYTES);
	for (uint64_t i = 0; i < 3; i++) {
		assert_true(add(300 + i, GROUP_WEIGHT, false));
		wellgate__v1__reading__init(&readings[i]);
		readings[i].has_sequence = readings[i].has_metric = 1;
		readings[i].sequence = 300 + i;
		readings[i].metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
		list[i] = &readings[i];
	}
	b.hub = hub;
	b.has_epoch = b.has_code_table = 1;
	b.epoch = EPOCH;
	b.code_table = CODE_TABLE_VERSION;
	b.readings = list;
	b.n_readings = 3;
	expected_len = wellgate__v1__reading_batch__pack(&b, expected);
	data = batch_end(&batch, &len);
	assert_int_equal(len, expected_len);
	assert_memory_equal(data, expected, len);
	assert_int_equal(batch.first, 300);
	assert_int_equal(batch.last, 302);
}

static void ends(void **state)
{
	size_t len;

	(void)state;
	batch_begin(&batch, 2, BATCH_BYTES);
	(void)batch_end(&batch, &len);
	assert_int_equal(len, 0);
	assert_true(add(1, GROUP_BP, false));
	assert_false(add(2, GROUP_WEIGHT, false)); /* another topic */
	assert_false(add(2, GROUP_BP, true));      /* another topic */
	assert_true(add(2, GROUP_BP, false));
	assert_false(add(3, GROUP_BP, false)); /* enough */
	assert_int_equal(batch.n, 2);
	batch_begin(&batch, 2, BATCH_BYTES);
	assert_true(add(3, GROUP_WEIGHT, true));
	assert_int_equal(batch.first, 3);
	assert_true(batch.test);
}

/* 32 KiB bound several rows, never one */
static void bytes(void **state)
{
	uint8_t *big = calloc(1, BATCH_ROW_MAX);
	struct store_row row = { .sequence = 1, .payload = big, .len = BATCH_ROW_MAX };
	size_t len;

	(void)state;
	assert_non_null(big);
	batch_begin(&batch, 50, BATCH_BYTES);
	assert_true(batch_add(&batch, &row));
	(void)batch_end(&batch, &len);
	assert_true(len > BATCH_ROW_MAX);
	row.sequence = 2;
	row.len = 10;
	assert_false(batch_add(&batch, &row));
	batch_begin(&batch, 500, BATCH_BYTES);
	row.len = 1000;
	while (batch_add(&batch, &row))
		row.sequence++;
	(void)batch_end(&batch, &len);
	assert_int_equal(batch.n, 32);
	assert_true(len <= BATCH_BYTES);
	batch_begin(&batch, 500, 2048); /* a broker with a small maximum packet size */
	while (batch_add(&batch, &row))
		row.sequence++;
	assert_int_equal(batch.n, 2);
	free(big);
}

static void bad_hub(void **state)
{
	struct batch b;
	char name[BATCH_HUB_MAX + 2];

	(void)state;
	(void)memset(name, 'x', sizeof(name));
	name[BATCH_HUB_MAX + 1] = '\0';
	assert_int_not_equal(batch_init(&b, name, EPOCH), 0);
	assert_int_not_equal(batch_init(&b, "", EPOCH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_protobuf),
		cmocka_unit_test(ends),
		cmocka_unit_test(bytes),
		cmocka_unit_test(bad_hub),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
