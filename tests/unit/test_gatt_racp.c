/* links: protocols */
#include "protocols/gatt/racp.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_racp_decode)
ENCODER(gatt_racp_encode)

static void random_bounds(struct rng *rng, struct gatt_racp *x)
{
	bool min = x->condition == GATT_RACP_GREATER_OR_EQUAL || x->condition == GATT_RACP_RANGE;
	bool max = x->condition == GATT_RACP_LESS_OR_EQUAL || x->condition == GATT_RACP_RANGE;

	if (!min && !max)
		return;
	x->filter = rng_coin(rng) ? GATT_RACP_BY_SEQUENCE : GATT_RACP_BY_TIME;
	if (x->filter == GATT_RACP_BY_SEQUENCE) {
		x->min_sequence = min ? (uint16_t)rng_below(rng, 1000) : 0;
		x->max_sequence = max ? (uint16_t)rng_between(rng, 1000, 0xffff) : 0;
		return;
	}
	if (min)
		x->min_time = rng_date_time(rng);
	if (max)
		x->max_time = rng_date_time(rng);
	if (min)
		x->min_time.year = 1999;
	if (max)
		x->max_time.year = 2026;
}

static struct gatt_racp random_racp(struct rng *rng)
{
	struct gatt_racp x = { .opcode = (enum gatt_racp_opcode)rng_between(rng, 1, 6) };

	switch (x.opcode) {
	case GATT_RACP_REPORT:
	case GATT_RACP_DELETE:
	case GATT_RACP_REPORT_NUMBER:
		x.condition = (enum gatt_racp_operator)rng_between(rng, 1, 6);
		random_bounds(rng, &x);
		break;
	case GATT_RACP_ABORT:
		break;
	case GATT_RACP_NUMBER:
		x.count = rng_u16(rng);
		break;
	case GATT_RACP_RESPONSE:
		x.request = (enum gatt_racp_opcode)rng_between(rng, 1, 6);
		x.result = (enum gatt_racp_result)rng_between(rng, 1, 9);
		break;
	}
	return x;
}

static void assert_same(const struct gatt_racp *a, const struct gatt_racp *b)
{
	assert_int_equal(a->opcode, b->opcode);
	assert_int_equal(a->condition, b->condition);
	assert_int_equal(a->filter, b->filter);
	assert_int_equal(a->min_sequence, b->min_sequence);
	assert_int_equal(a->max_sequence, b->max_sequence);
	assert_same_time(&a->min_time, &b->min_time);
	assert_same_time(&a->max_time, &b->max_time);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->request, b->request);
	assert_int_equal(a->result, b->result);
}

static void test_encode(void **state)
{
	static const struct {
		struct gatt_racp x;
		const char *bytes;
		size_t len;
	} vectors[] = {
		{ { .opcode = GATT_RACP_REPORT, .condition = GATT_RACP_ALL }, "\x01\x01", 2 },
		{ { .opcode = GATT_RACP_REPORT,
		    .condition = GATT_RACP_GREATER_OR_EQUAL,
		    .filter = GATT_RACP_BY_SEQUENCE,
		    .min_sequence = 0x1234 },
		  "\x01\x03\x01\x34\x12",
		  5 },
		{ { .opcode = GATT_RACP_DELETE,
		    .condition = GATT_RACP_LESS_OR_EQUAL,
		    .filter = GATT_RACP_BY_SEQUENCE,
		    .max_sequence = 7 },
		  "\x02\x02\x01\x07\x00",
		  5 },
		{ { .opcode = GATT_RACP_REPORT_NUMBER,
		    .condition = GATT_RACP_RANGE,
		    .filter = GATT_RACP_BY_SEQUENCE,
		    .min_sequence = 1,
		    .max_sequence = 2 },
		  "\x04\x04\x01\x01\x00\x02\x00",
		  7 },
		{ { .opcode = GATT_RACP_ABORT }, "\x03\x00", 2 },
	};
	uint8_t buffer[32];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_encodes(gatt_racp_encode, &vectors[i].x, buffer, len);
		assert_int_equal(len, vectors[i].len);
		assert_memory_equal(buffer, vectors[i].bytes, len);
	}
}

static void test_decode(void **state)
{
	struct gatt_racp x;

	(void)state;
	assert_decodes(gatt_racp_decode, "06 00 01 06", &x, 0);
	assert_int_equal(x.request, GATT_RACP_REPORT);
	assert_int_equal(x.result, GATT_RACP_NO_RECORDS);
	assert_decodes(gatt_racp_decode, "05 00 2a01", &x, 0);
	assert_int_equal(x.count, 298);
	assert_decodes(gatt_racp_decode, "01 03 02 ea070b17081e05", &x, 0);
	assert_int_equal(x.filter, GATT_RACP_BY_TIME);
	assert_int_equal(x.min_time.day, 23);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"00 01",
		"07 00",
		"01 00", /* an operator is needed */
		"01 07",
		"03 01", /* and here none */
		"05 01 0000",
		"06 01 0101",
		"06 00 0001",
		"06 00 0701",
		"06 00 0100",
		"06 00 010a",
		"01 03 00 0000", /* filter 0 */
		"01 03 03 0000",
		"01 04 01 0200 0100", /* from 2 to 1 */
		"01 04 02 ea070b17081e05 ea070b17081e04",
		"01 03 02 ea070d17081e05",
	};
	struct gatt_racp x;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_decodes(gatt_racp_decode, bad[i], &x, -ERANGE);
	assert_decodes(gatt_racp_decode, "01", &x, -EMSGSIZE);
	assert_decodes(gatt_racp_decode, "01 01 01", &x, -EMSGSIZE);
	x = (struct gatt_racp){ .opcode = GATT_RACP_REPORT, .condition = GATT_RACP_NULL };
	assert_refuses(gatt_racp_encode, &x);
	x = (struct gatt_racp){ .opcode = GATT_RACP_REPORT, .condition = GATT_RACP_RANGE };
	assert_refuses(gatt_racp_encode, &x);
	x = (struct gatt_racp){ 0 };
	assert_refuses(gatt_racp_encode, &x);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 0x2a52 };
	uint8_t buffer[32];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_racp x = random_racp(&rng), back;

		assert_encodes(gatt_racp_encode, &x, buffer, len);
		assert_int_equal(gatt_racp_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 16 == 0)
			assert_length_exact(gatt_racp_decode, buffer, len, &back);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = GATT_RACP_SUCCESS; i <= GATT_RACP_OPERAND_NOT_SUPPORTED; i++)
		assert_non_null(gatt_racp_result_name(i));
	assert_string_equal(gatt_racp_result_name(GATT_RACP_NO_RECORDS), "no records");
	assert_null(gatt_racp_result_name(0));
	assert_null(gatt_racp_result_name(10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),  cmocka_unit_test(test_decode),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
