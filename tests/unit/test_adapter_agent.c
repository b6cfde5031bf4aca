/* links: transports */
/* The pairing agent, asked over a real bus as bluetoothd asks. */
#include "tests/unit/mock_bluez.h"

#include "drivers/transport/adapter.h"

struct stand {
	struct mock mock;
	struct adapter *adapter;
	enum adapter_state state;
	struct ble_address address;
	unsigned int questions, intruders;
	enum adapter_question question;
	uint32_t passkey;
	uint8_t intruder;
	/* the answer */
	bool answered;
	char error[64];
	uint32_t number;
};

static void on_state(void *user, enum adapter_state state)
{
	((struct stand *)user)->state = state;
}

static void on_question(void *user, const struct ble_address *address,
			enum adapter_question question, uint32_t passkey)
{
	struct stand *s = user;

	assert_true(ble_address_equal(address, &s->address));
	s->questions++;
	s->question = question;
	s->passkey = passkey;
}

static void on_intruder(void *user, const struct ble_address *address)
{
	struct stand *s = user;

	s->intruders++;
	s->intruder = address->bytes[5];
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	struct adapter_handlers handlers = { .state = on_state,
					     .question = on_question,
					     .intruder = on_intruder };
	struct adapter_options options = { .any = true };

	assert_non_null(s);
	mock_new(&s->mock);
	(void)mock_device(&s->mock, 1);
	(void)mock_device(&s->mock, 2);
	assert_int_equal(ble_address_parse("02:00:5E:10:00:01", BLE_PUBLIC, &s->address), 0);
	mock_start(&s->mock);
	handlers.user = s;
	options.bus_address = s->mock.address;
	options.root = s->mock.folder;
	assert_int_equal(adapter_new(s->mock.event, &options, &handlers, &s->adapter), 0);
	mock_until(&s->mock, s->state == ADAPTER_READY && !s->mock.pairable);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	adapter_free(s->adapter);
	mock_free(&s->mock);
	free(s);
	return 0;
}

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct stand *s = user;
	const sd_bus_error *error = sd_bus_message_get_error(m);

	(void)ret_error;
	s->answered = true;
	s->error[0] = '\0';
	if (error)
		(void)snprintf(s->error, sizeof(s->error), "%s", error->name);
	else if (sd_bus_message_has_signature(m, "u"))
		assert_true(sd_bus_message_read(m, "u", &s->number) >= 0);
	return 0;
}

/* over this connection, which need not be bluetoothd's */
static void ask_from(struct stand *s, sd_bus *bus, const char *member, const char *types, ...)
{
	sd_bus_message *m = NULL;
	va_list values;

	assert_true(sd_bus_message_new_method_call(bus, &m, s->mock.agent_owner, s->mock.agent,
						   "org.bluez.Agent1", member) >= 0);
	va_start(values, types);
	assert_true(sd_bus_message_appendv(m, types, values) >= 0);
	va_end(values);
	s->answered = false;
	assert_true(sd_bus_call_async(bus, NULL, m, on_answer, s, 30000000) >= 0);
	sd_bus_message_unref(m);
}

#define DEVICE(n)     (s->mock.devices[(n)-1].path)
#define ask(...)      ask_from(s, s->mock.bus, __VA_ARGS__)
#define get_answer()  mock_until(&s->mock, s->answered)
#define open_window() assert_int_equal(adapter_window_open(s->adapter, &s->address, 60000000), 0)

static void just_works_in_the_window(void **state)
{
	struct stand *s = *state;

	open_window();
	ask("RequestAuthorization", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "");
	assert_int_equal(s->intruders, 0);
}

static void a_passkey_comes_from_the_operator(void **state)
{
	struct stand *s = *state;

	open_window();
	ask("RequestPasskey", "o", DEVICE(1));
	mock_until(&s->mock, s->questions == 1);
	assert_int_equal(s->question, ADAPTER_ASK_PASSKEY);
	assert_false(s->answered);
	assert_int_equal(adapter_answer(s->adapter, true), -ENOENT);
	assert_int_equal(adapter_answer_passkey(s->adapter, 1000000), -EINVAL);
	assert_int_equal(adapter_answer_passkey(s->adapter, 12345), 0);
	get_answer();
	assert_string_equal(s->error, "");
	assert_int_equal(s->number, 12345);
	assert_int_equal(adapter_answer_passkey(s->adapter, 12345), -ENOENT);
}

static void a_passkey_is_shown_once(void **state)
{
	struct stand *s = *state;

	open_window();
	for (int entered = 0; entered <= 2; entered++) {
		ask("DisplayPasskey", "ouq", DEVICE(1), 654321, entered);
		get_answer();
		assert_string_equal(s->error, "");
	}
	assert_int_equal(s->questions, 1);
	assert_int_equal(s->question, ADAPTER_SHOW_PASSKEY);
	assert_int_equal(s->passkey, 654321);
}

static void a_comparison_is_the_operators(void **state)
{
	struct stand *s = *state;

	open_window();
	for (int yes = 0; yes <= 1; yes++) {
		ask("RequestConfirmation", "ou", DEVICE(1), 111222);
		mock_until(&s->mock, s->questions == 1 + (unsigned int)yes);
		assert_int_equal(s->question, ADAPTER_ASK_MATCH);
		assert_int_equal(s->passkey, 111222);
		assert_int_equal(adapter_answer_passkey(s->adapter, 1), -ENOENT);
		assert_int_equal(adapter_answer(s->adapter, yes), 0);
		get_answer();
		assert_string_equal(s->error, yes ? "" : "org.bluez.Error.Rejected");
	}
	/* seven digits are none */
	ask("RequestConfirmation", "ou", DEVICE(1), 1000000);
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	assert_int_equal(s->questions, 2);
	assert_int_equal(adapter_counts(s->adapter)->malformed, 1);
}

static void outside_a_window_nothing_is_agreed_to(void **state)
{
	struct stand *s = *state;

	ask("RequestAuthorization", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	ask("RequestPasskey", "o", DEVICE(2));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	assert_int_equal(s->intruders, 2);
	assert_int_equal(s->intruder, 2);
	assert_int_equal(s->questions, 0);
	assert_int_equal(adapter_counts(s->adapter)->refused_pairings, 2);
	/* what is shown cannot be refused by an answer: the link goes */
	ask("DisplayPasskey", "ouq", DEVICE(1), 1, 0);
	mock_until(&s->mock, mock_count(&s->mock, "Disconnect") == 1);
}

static void another_device_than_the_one_in_the_window(void **state)
{
	struct stand *s = *state;

	open_window();
	ask("RequestAuthorization", "o", DEVICE(2));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	ask("RequestConfirmation", "ou", MOCK_ADAPTER "/dev_02_00_5E_10_00_77", 1);
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	assert_int_equal(s->intruders, 2);
	ask("AuthorizeService", "os", DEVICE(1), "00001124-0000-1000-8000-00805f9b34fb");
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	ask("RequestPinCode", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	assert_int_equal(s->intruders, 3);
	assert_int_equal(s->questions, 0);
}

static void the_closing_window_answers_for_the_operator(void **state)
{
	struct stand *s = *state;

	open_window();
	ask("RequestPasskey", "o", DEVICE(1));
	mock_until(&s->mock, s->questions == 1);
	adapter_window_close(s->adapter);
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	assert_int_equal(adapter_answer_passkey(s->adapter, 1), -ENOENT);
	/* by itself, too */
	assert_int_equal(adapter_window_open(s->adapter, &s->address, 300000), 0);
	ask("RequestPasskey", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	mock_until(&s->mock, !s->mock.pairable);
}

static void a_cancelled_question_is_void(void **state)
{
	struct stand *s = *state;

	open_window();
	ask("RequestPasskey", "o", DEVICE(1));
	mock_until(&s->mock, s->questions == 1);
	ask("Cancel", "");
	get_answer();
	assert_int_equal(adapter_answer_passkey(s->adapter, 1), -ENOENT);
}

static void the_death_of_bluetoothd_ends_the_question(void **state)
{
	struct stand *s = *state;

	open_window();
	ask("RequestPasskey", "o", DEVICE(1));
	mock_until(&s->mock, s->questions == 1);
	mock_stop(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_NO_DAEMON);
	assert_int_equal(adapter_answer_passkey(s->adapter, 1), -ENOENT);
	assert_int_equal(adapter_window_open(s->adapter, &s->address, 1), -ENODEV);
	/* the window is still open, and the new one may ask */
	mock_start(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.pairable);
	ask("RequestAuthorization", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "");
}

static void only_bluetoothd_may_ask(void **state)
{
	struct stand *s = *state;
	sd_bus *other = NULL;

	assert_true(sd_bus_new(&other) >= 0);
	assert_true(sd_bus_set_address(other, s->mock.address) >= 0);
	assert_true(sd_bus_set_bus_client(other, 1) >= 0);
	assert_true(sd_bus_start(other) >= 0);
	assert_true(sd_bus_attach_event(other, s->mock.event, 0) >= 0);
	open_window();
	ask_from(s, other, "RequestAuthorization", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	ask_from(s, other, "RequestPasskey", "o", DEVICE(1));
	get_answer();
	assert_string_equal(s->error, "org.bluez.Error.Rejected");
	assert_int_equal(s->questions, 0);
	sd_bus_close(other);
	sd_bus_unref(other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(just_works_in_the_window),
		T(a_passkey_comes_from_the_operator),
		T(a_passkey_is_shown_once),
		T(a_comparison_is_the_operators),
		T(outside_a_window_nothing_is_agreed_to),
		T(another_device_than_the_one_in_the_window),
		T(the_closing_window_answers_for_the_operator),
		T(a_cancelled_question_is_void),
		T(the_death_of_bluetoothd_ends_the_question),
		T(only_bluetoothd_may_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
