/* links: gateway_publish gateway_store gateway_base */
/*
 * connection = on-demand with a real mosquitto: it connects, sends, is away, and comes again when
 * something waits; what is for the hub waits for it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/publish/publish.h"
#include "tests/unit/broker.h"

#define WAIT_MS 120000
#define STOP_US INT64_C(10000000)
#define AWAY_US UINT64_C(300000)
#define LATER   3600 /* seconds: not within a test */
#define ROOT    "wellgate/v1/home/hub/"

struct rig {
	struct broker broker;
	struct config config;
	char url[64], state[96], site[8], hub[8], keys[8], file[96];
	sd_event *event;
	struct store *store;
	struct publish *publish;
	unsigned int commands, rows;
};

static void on_heard(void *user, enum inbound which, const uint8_t *data, size_t len)
{
	struct rig *rig = user;

	(void)data;
	(void)len;
	assert_int_equal(which, INBOUND_COMMAND);
	rig->commands++;
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
				       .batch = 50,
				       .connection = CONNECTION_ON_DEMAND,
				       .linger = 1 };
	options.dir = rig->state;
	must(store_open(&options, &rig->store, NULL) == 0);
	must(sd_event_new(&rig->event) >= 0);
	*state = rig;
	return 0;
}

static int rig_free(void **state)
{
	struct rig *rig = *state;

	publish_free(rig->publish, STOP_US);
	sd_event_unref(rig->event);
	store_close(rig->store);
	broker_finish(&rig->broker);
	free(rig);
	return 0;
}

static void start(struct rig *rig)
{
	assert_int_equal(publish_new(rig->event, &rig->config, rig->store, &rig->publish), 0);
	publish_on_heard(rig->publish, on_heard, rig);
	publish_kick(rig->publish);
}

static void add_reading(struct rig *rig)
{
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;
	uint8_t key[16] = { (uint8_t)rig->rows, 9 };
	bool is_new = false;

	r.has_dedupe_key = r.has_metric = r.has_record_number = 1;
	r.dedupe_key = (ProtobufCBinaryData){ sizeof(key), key };
	r.metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	r.record_number = rig->rows++;
	assert_int_equal(store_add_reading(rig->store, &r, STORE_PUBLISH, &is_new), 0);
	assert_true(is_new);
	assert_int_equal(store_commit(rig->store), 0);
	if (rig->publish)
		publish_kick(rig->publish);
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

/* until the hub has left so many times */
static void wait_left(struct rig *rig, uint64_t leaves)
{
	const int64_t end = broker_now_ms() + WAIT_MS;

	while (state_of(rig).leaves < leaves) {
		assert_true(broker_now_ms() < end);
		assert_true(sd_event_run(rig->event, 50000) >= 0);
	}
	assert_true(state_of(rig).away && !state_of(rig).connected);
}

static unsigned int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int n = 0;

	must(dir);
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

/* The loop has nothing to do, and Paho's threads, which wake every second, are gone. */
static void is_quiet(struct rig *rig)
{
	const int64_t end = broker_now_ms() + WAIT_MS;

	while (threads() > 2) {
		assert_true(broker_now_ms() < end);
		broker_pause();
	}
	/* what the threads left in the rings at their end */
	while (sd_event_run(rig->event, 0) > 0)
		assert_true(broker_now_ms() < end);
	assert_int_equal(sd_event_run(rig->event, AWAY_US), 0);
	assert_true(state_of(rig).away);
}

/* argv of mosquitto_pub or mosquitto_sub; what it prints is in rig->file */
static void shell(struct rig *rig, const char *const argv[])
{
	pid_t pid;
	int status = 0;

	(void)unlink(rig->file);
	pid = broker_spawn(argv, rig->file);
	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static void say(struct rig *rig, const char *topic, const char *file)
{
	char port[16];
	const char *argv[] = {
		"mosquitto_pub", "-V", "mqttv5", "-h", "127.0.0.1", "-p", port, "-q", "1", "-t",
		topic,           "-f", file,     NULL
	};

	(void)snprintf(port, sizeof(port), "%d", rig->broker.port);
	shell(rig, argv);
}

/* What a subscriber of now sees: the retained status. */
static Wellgate__V1__HubStatus *retained_status(struct rig *rig)
{
	static uint8_t data[4096];
	static const char topic[] = ROOT "status";
	Wellgate__V1__HubStatus *status;
	char port[16];
	const char *argv[] = { "mosquitto_sub",
			       "-V",
			       "mqttv5",
			       "-h",
			       "127.0.0.1",
			       "-p",
			       port,
			       "-C",
			       "1",
			       "-N",
			       "-t",
			       topic,
			       NULL };
	FILE *f;
	size_t len;

	(void)snprintf(port, sizeof(port), "%d", rig->broker.port);
	shell(rig, argv);
	f = fopen(rig->file, "re");
	must(f);
	len = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	status = wellgate__v1__hub_status__unpack(NULL, len, data);
	must(status);
	return status;
}

static void status_is_online(struct rig *rig)
{
	Wellgate__V1__HubStatus *status = retained_status(rig);

	assert_int_equal(status->state, WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE);
	assert_true(status->has_on_demand && status->on_demand);
	wellgate__v1__hub_status__free_unpacked(status, NULL);
}

/* Several readings are one visit and one message; there is no will, for it left with a good-bye. */
static void comes_and_goes(void **state)
{
	struct rig *rig = *state;

	broker_start(&rig->broker, "");
	start(rig);
	wait_left(rig, 1);
	is_quiet(rig);
	for (int i = 0; i < 3; i++)
		add_reading(rig);
	wait_left(rig, 2);
	assert_int_equal(acknowledged(rig), 3);
	assert_int_equal(state_of(rig).connects, 2);
	assert_int_equal(state_of(rig).batches, 1);
	is_quiet(rig);
	status_is_online(rig);
	add_reading(rig);
	wait_left(rig, 3);
	assert_int_equal(acknowledged(rig), 4);
}

/* A reading alone waits as long as it was told to. */
static void collects(void **state)
{
	struct rig *rig = *state;

	broker_start(&rig->broker, "");
	rig->config.collect = LATER;
	start(rig);
	wait_left(rig, 1);
	add_reading(rig);
	assert_int_equal(sd_event_run(rig->event, AWAY_US), 0);
	assert_true(state_of(rig).away);
	assert_int_equal(acknowledged(rig), 0);
	assert_int_equal(state_of(rig).connects, 1);
}

/* Away is no problem, but a broker that cannot be reached when something waits is one. */
static void broker_gone(void **state)
{
	struct rig *rig = *state;
	const int64_t end = broker_now_ms() + WAIT_MS;

	broker_start(&rig->broker, "");
	start(rig);
	wait_left(rig, 1);
	broker_stop(&rig->broker, SIGKILL);
	add_reading(rig);
	while (state_of(rig).why[0] == '\0') {
		assert_true(broker_now_ms() < end);
		assert_true(sd_event_run(rig->event, 50000) >= 0);
	}
	assert_false(state_of(rig).away);
	broker_start(&rig->broker, "");
	wait_left(rig, 2);
	assert_int_equal(acknowledged(rig), 1);
}

/* Commands and receipts that come after it left are heard at the next visit. */
static void hears_what_waits(void **state)
{
	struct rig *rig = *state;
	Wellgate__V1__Receipt m = WELLGATE__V1__RECEIPT__INIT;
	Wellgate__V1__Receipt__Lane lane = WELLGATE__V1__RECEIPT__LANE__INIT, *lanes[] = { &lane };
	uint8_t data[128];
	char path[96];
	size_t len;
	FILE *f;

	rig->config.delivery = DELIVERY_RECEIPT;
	rig->config.command_keys_file = rig->keys;
	broker_start(&rig->broker, "");
	add_reading(rig);
	start(rig);
	wait_left(rig, 1);
	assert_int_equal(state_of(rig).delivered[LANE_READINGS], 1);
	assert_int_equal(acknowledged(rig), 0);
	m.hub = rig->hub;
	m.has_epoch = lane.has_kind = lane.has_committed = 1;
	m.epoch = store_identity(rig->store)->epoch;
	m.n_lanes = 1;
	m.lanes = lanes;
	lane.kind = WELLGATE__V1__RECEIPT__KIND__KIND_READINGS;
	lane.committed = 1;
	(void)snprintf(path, sizeof(path), "%s/receipt", rig->broker.dir);
	f = fopen(path, "we");
	len = wellgate__v1__receipt__pack(&m, data);
	must(f && fwrite(data, len, 1, f) == 1 && fclose(f) == 0);
	say(rig, ROOT "receipt", path);
	say(rig, ROOT "command", path);
	assert_int_equal(sd_event_run(rig->event, AWAY_US), 0);
	add_reading(rig);
	wait_left(rig, 2);
	assert_int_equal(acknowledged(rig), 1);
	assert_int_equal(rig->commands, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_new, rig_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(comes_and_goes),
		TEST(collects),
		TEST(broker_gone),
		TEST(hears_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
