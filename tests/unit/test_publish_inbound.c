/* links: gateway_publish gateway_store gateway_base */
/*
 * What a hub hears over a real mosquitto: receipts, which alone empty the outbox when delivery is
 * by receipt, and commands, which the broker keeps while the hub is away.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/publish/publish.h"
#include "gateway/publish/receipts.h"
#include "tests/unit/broker.h"

#define WAIT_MS 120000
#define STOP_US INT64_C(10000000)

struct rig {
	struct broker broker;
	struct config config;
	char url[64], state[96], site[8], hub[8], keys[8], file[96];
	sd_event *event;
	struct store *store;
	struct publish *publish;
	unsigned int commands;
	uint8_t last[16];
	size_t last_len;
};

static void on_heard(void *user, enum inbound which, const uint8_t *data, size_t len)
{
	struct rig *rig = user;

	assert_int_equal(which, INBOUND_COMMAND);
	rig->commands++;
	rig->last_len = len < sizeof(rig->last) ? len : sizeof(rig->last);
	memcpy(rig->last, data, rig->last_len);
}

static void start(struct rig *rig)
{
	assert_int_equal(publish_new(rig->event, &rig->config, rig->store, &rig->publish), 0);
	publish_on_heard(rig->publish, on_heard, rig);
	publish_kick(rig->publish);
}

static void stop(struct rig *rig)
{
	publish_free(rig->publish, STOP_US);
	rig->publish = NULL;
}

static int rig_new(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct store_options options = { .keep_days = 90 };

	must(rig);
	broker_init(&rig->broker);
	(void)snprintf(rig->state, sizeof(rig->state), "%s/state", rig->broker.dir);
	(void)snprintf(rig->file, sizeof(rig->file), "%s/payload", rig->broker.dir);
	(void)snprintf(rig->site, sizeof(rig->site), "home");
	(void)snprintf(rig->hub, sizeof(rig->hub), "hub");
	(void)snprintf(rig->keys, sizeof(rig->keys), "yes");
	(void)snprintf(rig->url, sizeof(rig->url), "mqtt://127.0.0.1:%d", rig->broker.port);
	rig->config = (struct config){ .site = rig->site,
				       .hub = rig->hub,
				       .broker = rig->url,
				       .keep_alive = 25,
				       .window = 100,
				       .batch = 2,
				       .delivery = DELIVERY_RECEIPT };
	options.dir = rig->state;
	must(store_open(&options, &rig->store, NULL) == 0);
	must(sd_event_new(&rig->event) >= 0);
	broker_start(&rig->broker, "");
	*state = rig;
	return 0;
}

static int rig_free(void **state)
{
	struct rig *rig = *state;

	if (rig->publish)
		stop(rig);
	sd_event_unref(rig->event);
	store_close(rig->store);
	broker_finish(&rig->broker);
	free(rig);
	return 0;
}

/* ---- what goes in and out ---- */

static void add_readings(struct rig *rig, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;
		uint8_t key[16] = { (uint8_t)i, (uint8_t)(i >> 8), 7 };
		bool is_new = false;

		r.has_dedupe_key = r.has_metric = r.has_record_number = 1;
		r.dedupe_key = (ProtobufCBinaryData){ sizeof(key), key };
		r.metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
		r.record_number = i;
		assert_int_equal(store_add_reading(rig->store, &r, STORE_PUBLISH, &is_new), 0);
		assert_true(is_new);
	}
	assert_int_equal(store_commit(rig->store), 0);
}

static void say(struct rig *rig, const char *topic, const void *data, size_t len)
{
	char port[16];
	const char *argv[] = {
		"mosquitto_pub", "-V", "mqttv5",  "-h", "127.0.0.1", "-p", port, "-q", "1", "-t",
		topic,           "-f", rig->file, NULL
	};
	FILE *f = fopen(rig->file, "we");
	pid_t pid;
	int status = 0;

	must(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
	(void)snprintf(port, sizeof(port), "%d", rig->broker.port);
	pid = broker_spawn(argv, "/dev/null");
	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static size_t pack_receipt(const char *hub, uint64_t epoch, uint64_t committed, uint8_t *buf)
{
	Wellgate__V1__Receipt m = WELLGATE__V1__RECEIPT__INIT;
	Wellgate__V1__Receipt__Lane lane = WELLGATE__V1__RECEIPT__LANE__INIT, *lanes[] = { &lane };

	m.hub = (char *)(uintptr_t)hub;
	m.has_epoch = 1;
	m.epoch = epoch;
	m.n_lanes = 1;
	m.lanes = lanes;
	lane.has_kind = lane.has_committed = 1;
	lane.kind = WELLGATE__V1__RECEIPT__KIND__KIND_READINGS;
	lane.committed = committed;
	return wellgate__v1__receipt__pack(&m, buf);
}

static void send_receipt(struct rig *rig, const char *hub, uint64_t epoch, uint64_t committed)
{
	uint8_t buf[256] = { 0 };
	const size_t len = pack_receipt(hub, epoch, committed, buf);

	say(rig, "wellgate/v1/home/hub/receipt", buf, len);
}

static struct publish_state state_of(const struct rig *rig)
{
	struct publish_state s;

	publish_state(rig->publish, &s);
	return s;
}

static uint64_t acknowledged(const struct rig *rig)
{
	struct store_counts counts;

	store_counts(rig->store, &counts);
	return counts.acknowledged[LANE_READINGS];
}

typedef bool condition(const struct rig *rig, uint64_t n);

static void run_until(struct rig *rig, condition *done, uint64_t n)
{
	const int64_t end = broker_now_ms() + WAIT_MS;

	while (!done(rig, n)) {
		assert_true(broker_now_ms() < end);
		assert_true(sd_event_run(rig->event, 50000) >= 0);
	}
}

static bool is_listening(const struct rig *rig, uint64_t n)
{
	(void)n;
	return state_of(rig).listening;
}

static bool is_delivered(const struct rig *rig, uint64_t n)
{
	return state_of(rig).delivered[LANE_READINGS] >= n;
}

static bool has_heard(const struct rig *rig, uint64_t n)
{
	return state_of(rig).heard >= n;
}

/* ---- receipts ---- */

static void test_only_a_receipt_empties(void **state)
{
	struct rig *rig = *state;
	const uint64_t epoch = store_identity(rig->store)->epoch;

	add_readings(rig, 10);
	start(rig);
	run_until(rig, is_listening, 0);
	run_until(rig, is_delivered, 10);
	assert_int_equal(acknowledged(rig), 0);
	send_receipt(rig, "hub", epoch, 6);
	run_until(rig, has_heard, 1);
	assert_int_equal(acknowledged(rig), 6);
	/* an older one, another hub's, another epoch's, and rubbish: nothing changes */
	send_receipt(rig, "hub", epoch, 3);
	send_receipt(rig, "other", epoch, 9);
	send_receipt(rig, "hub", epoch + 1, 9);
	say(rig, "wellgate/v1/home/hub/receipt", "\x08", 1);
	run_until(rig, has_heard, 5);
	assert_int_equal(acknowledged(rig), 6);
	assert_int_equal(state_of(rig).receipts_foreign, 2);
	assert_int_equal(state_of(rig).receipts_malformed, 1);
	assert_false(state_of(rig).numbers_reused);
	send_receipt(rig, "hub", epoch, 10);
	run_until(rig, has_heard, 6);
	assert_int_equal(acknowledged(rig), 10);
	assert_false(state_of(rig).numbers_reused);
}

static bool has_connected(const struct rig *rig, uint64_t n)
{
	return state_of(rig).connects >= n && state_of(rig).listening;
}

static uint64_t last_of(const struct rig *rig, enum lane lane)
{
	struct store_counts counts;

	store_counts(rig->store, &counts);
	return counts.last[lane];
}

/* A receipt for what was never sent: somebody else has used this hub's numbers. */
static void test_a_restored_card_begins_an_epoch(void **state)
{
	struct rig *rig = *state;
	const uint64_t before = store_identity(rig->store)->epoch;
	uint64_t epoch;

	add_readings(rig, 10);
	start(rig);
	run_until(rig, is_listening, 0);
	run_until(rig, is_delivered, 10);
	send_receipt(rig, "hub", before, 6);
	run_until(rig, has_heard, 1);
	send_receipt(rig, "hub", before, 900);
	run_until(rig, has_connected, 2);
	epoch = store_identity(rig->store)->epoch;
	assert_true(epoch != before);
	assert_true(state_of(rig).numbers_reused);
	assert_int_equal(state_of(rig).epochs, 1);
	assert_int_equal(acknowledged(rig), 6);
	assert_int_equal(last_of(rig, LANE_READINGS), 900);
	assert_int_equal(last_of(rig, LANE_CORRECTIONS), 2); /* 1 to 6, 11 to 900 */
	run_until(rig, is_delivered, 10);                    /* again, under the new one */
	send_receipt(rig, "hub", before, 900);
	run_until(rig, has_heard, 3);
	assert_int_equal(acknowledged(rig), 6);
	send_receipt(rig, "hub", epoch, 900);
	run_until(rig, has_heard, 4);
	assert_int_equal(acknowledged(rig), 900);
	/* a service that is wrong does not use up epochs */
	send_receipt(rig, "hub", epoch, 1000);
	run_until(rig, has_heard, 5);
	assert_true(store_identity(rig->store)->epoch == epoch);
	assert_int_equal(acknowledged(rig), 900);
}

/* what was confirmed by the broker and not committed goes again after a restart, but not before */
static void test_restart_sends_again(void **state)
{
	struct rig *rig = *state;

	add_readings(rig, 10);
	start(rig);
	run_until(rig, is_delivered, 10);
	send_receipt(rig, "hub", store_identity(rig->store)->epoch, 4);
	run_until(rig, has_heard, 1);
	assert_int_equal(state_of(rig).batches, 5);
	assert_int_equal(store_commit(rig->store), 0);
	stop(rig);
	start(rig);
	run_until(rig, is_delivered, 10);
	assert_int_equal(state_of(rig).batches, 3);
}

/* without receipts the rows go again, later and later */
static void test_waiting_for_one(void **state)
{
	struct receipts r = { 0 };
	const uint64_t last[LANE_END] = { 100, 0, 0 };
	uint8_t buf[256];
	int64_t wait = RECEIPT_FIRST_US;

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_true(receipts_wait(&r) == wait);
		wait = wait * 2 < RECEIPT_LAST_US ? wait * 2 : RECEIPT_LAST_US;
	}
	assert_int_equal(receipts_take(&r, "h", 1, last, buf, pack_receipt("h", 1, 5, buf)), 1);
	assert_true(receipts_wait(&r) == RECEIPT_FIRST_US);
	assert_int_equal(receipts_take(&r, "h", 1, last, buf, pack_receipt("h", 1, 5, buf)), 0);
	assert_int_equal(receipts_take(&r, "h", 1, last, buf, pack_receipt("h", 1, 101, buf)),
			 -ERANGE);
	assert_int_equal(receipts_take(&r, "h", 2, last, buf, pack_receipt("h", 1, 6, buf)),
			 -EXDEV);
	assert_int_equal(receipts_take(&r, "h", 1, last, buf, 0), -EBADMSG);
}

/* ---- commands ---- */

static void test_commands_wait(void **state)
{
	struct rig *rig = *state;
	static uint8_t big[INBOUND_MAX + 1];

	rig->config.command_keys_file = rig->keys;
	start(rig);
	run_until(rig, is_listening, 0);
	say(rig, "wellgate/v1/home/hub/command", "one", 3);
	run_until(rig, has_heard, 1);
	assert_int_equal(rig->commands, 1);
	stop(rig);
	/* while it is away; the long one is for nobody */
	say(rig, "wellgate/v1/home/hub/command", big, sizeof(big));
	say(rig, "wellgate/v1/home/hub/command", "two", 3);
	start(rig);
	run_until(rig, has_heard, 1);
	assert_int_equal(rig->commands, 2);
	assert_memory_equal(rig->last, "two", 3);
}

/* nobody is obeyed: nothing is asked for */
static void test_deaf(void **state)
{
	struct rig *rig = *state;

	rig->config.delivery = DELIVERY_PUBACK;
	add_readings(rig, 2);
	start(rig);
	run_until(rig, is_delivered, 2);
	assert_int_equal(acknowledged(rig), 2);
	assert_false(state_of(rig).listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_a_receipt_empties, rig_new, rig_free),
		cmocka_unit_test_setup_teardown(test_a_restored_card_begins_an_epoch, rig_new,
						rig_free),
		cmocka_unit_test_setup_teardown(test_restart_sends_again, rig_new, rig_free),
		cmocka_unit_test(test_waiting_for_one),
		cmocka_unit_test_setup_teardown(test_commands_wait, rig_new, rig_free),
		cmocka_unit_test_setup_teardown(test_deaf, rig_new, rig_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
