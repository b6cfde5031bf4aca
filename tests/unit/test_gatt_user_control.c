/* links: protocols */
#include "protocols/gatt/user_control.h"

#include "tests/unit/gatt_test.h"

DECODER(gatt_user_control_decode)
DECODER(gatt_user_index_decode)
DECODER(gatt_database_change_decode)
ENCODER(gatt_user_control_encode)
ENCODER_OF(gatt_user_index_encode, uint8_t)
ENCODER_OF(gatt_database_change_encode, uint32_t)

static const enum gatt_user_control_opcode opcodes[] = {
	GATT_USER_REGISTER, GATT_USER_CONSENT, GATT_USER_DELETE_DATA,
	GATT_USER_LIST,     GATT_USER_DELETE,  GATT_USER_RESPONSE,
};

static void random_response(struct rng *rng, struct gatt_user_control *x)
{
	x->request = opcodes[rng_below(rng, 6)];
	x->result = (enum gatt_user_control_result)rng_between(rng, 1, 5);
	if (x->result != GATT_USER_SUCCESS)
		return;
	if (x->request == GATT_USER_REGISTER || x->request == GATT_USER_DELETE)
		x->user_index = rng_u8(rng);
	if (x->request == GATT_USER_LIST)
		x->user_count = rng_u8(rng);
}

static struct gatt_user_control random_control(struct rng *rng)
{
	struct gatt_user_control x = { .opcode = opcodes[rng_below(rng, 6)] };

	if (x.opcode == GATT_USER_CONSENT || x.opcode == GATT_USER_DELETE)
		x.user_index = rng_u8(rng);
	if (x.opcode == GATT_USER_CONSENT || x.opcode == GATT_USER_REGISTER)
		x.consent_code = (uint16_t)rng_between(rng, 0, GATT_CONSENT_MAX);
	if (x.opcode == GATT_USER_RESPONSE)
		random_response(rng, &x);
	return x;
}

static void assert_same(const struct gatt_user_control *a, const struct gatt_user_control *b)
{
	assert_int_equal(a->opcode, b->opcode);
	assert_int_equal(a->user_index, b->user_index);
	assert_int_equal(a->consent_code, b->consent_code);
	assert_int_equal(a->request, b->request);
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->user_count, b->user_count);
}

static void test_vectors(void **state)
{
	struct gatt_user_control x = { .opcode = GATT_USER_CONSENT,
				       .user_index = 1,
				       .consent_code = 1234 };
	uint8_t buffer[8];
	size_t len;

	(void)state;
	assert_encodes(gatt_user_control_encode, &x, buffer, len);
	assert_int_equal(len, 4);
	assert_memory_equal(buffer, "\x02\x01\xd2\x04", 4);

	assert_decodes(gatt_user_control_decode, "01 0f27", &x, 0);
	assert_int_equal(x.consent_code, 9999);
	assert_decodes(gatt_user_control_decode, "20 01 01 03", &x, 0);
	assert_int_equal(x.opcode, GATT_USER_RESPONSE);
	assert_int_equal(x.request, GATT_USER_REGISTER);
	assert_int_equal(x.result, GATT_USER_SUCCESS);
	assert_int_equal(x.user_index, 3);
	assert_decodes(gatt_user_control_decode, "20 02 01", &x, 0);
	assert_int_equal(x.request, GATT_USER_CONSENT);
	assert_decodes(gatt_user_control_decode, "20 02 05", &x, 0);
	assert_int_equal(x.result, GATT_USER_NOT_AUTHORISED);
	/* the device echoes an opcode that it does not know, and so may we */
	assert_decodes(gatt_user_control_decode, "20 77 02", &x, 0);
	assert_int_equal(x.result, GATT_USER_OPCODE_NOT_SUPPORTED);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"00", "06", "1f 00", "01 1027", "02 01 1027", "20 02 00", "20 02 06",
	};
	static const char *const cut[] = {
		"",   "01 00", "01 000000", "02 01 00",    "03 00",
		"05", "20 01", "20 01 01",  "20 02 01 00",
	};
	struct gatt_user_control x;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_decodes(gatt_user_control_decode, bad[i], &x, -ERANGE);
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++)
		assert_decodes(gatt_user_control_decode, cut[i], &x, -EMSGSIZE);
	x = (struct gatt_user_control){ .opcode = GATT_USER_CONSENT, .consent_code = 10000 };
	assert_refuses(gatt_user_control_encode, &x);
	x = (struct gatt_user_control){ 0 };
	assert_refuses(gatt_user_control_encode, &x);
	x = (struct gatt_user_control){ .opcode = GATT_USER_RESPONSE };
	assert_refuses(gatt_user_control_encode, &x);
}

static void test_round_trip(void **state)
{
	struct rng rng = { 0x2a9f };
	uint8_t buffer[8];
	size_t len;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct gatt_user_control x = random_control(&rng), back;

		assert_encodes(gatt_user_control_encode, &x, buffer, len);
		assert_int_equal(gatt_user_control_decode(buffer, len, &back), 0);
		assert_same(&x, &back);
		if (i % 16 == 0)
			assert_length_exact(gatt_user_control_decode, buffer, len, &back);
	}
}

static void test_index_and_increment(void **state)
{
	uint32_t increment;
	uint8_t index, buffer[8];
	size_t len;

	(void)state;
	assert_encodes(gatt_user_index_encode, (&(uint8_t){ GATT_USER_UNKNOWN }), buffer, len);
	assert_int_equal(gatt_user_index_decode(buffer, len, &index), 0);
	assert_int_equal(index, 0xff);
	assert_length_exact(gatt_user_index_decode, buffer, len, &index);
	assert_encodes(gatt_database_change_encode, (&(uint32_t){ 0x01020304 }), buffer, len);
	assert_memory_equal(buffer, "\x04\x03\x02\x01", 4);
	assert_int_equal(gatt_database_change_decode(buffer, len, &increment), 0);
	assert_int_equal(increment, 0x01020304);
	assert_length_exact(gatt_database_change_decode, buffer, len, &increment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_index_and_increment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
