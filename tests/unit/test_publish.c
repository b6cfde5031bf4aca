/* links: gateway_publish gateway_store gateway_base */
/*
 * The uplink against a real mosquitto. What was published is seen by mosquitto_sub, which writes
 * one line per message: topic, retain flag, payload in hex.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/publish/outbox.h"
#include "gateway/publish/publish.h"
#include "protocols/messages/codes.h"
#include "tests/unit/broker.h"

#define WAIT_MS 120000
#define STOP_US INT64_C(10000000)
#define ROWS    2000
#define SEEN    8192 /* sequences a test can count */

struct rig {
	struct broker broker;
	struct config config;
	char url[64], state[96], site[8], hub[8], out[96];
	sd_event *event;
	struct store *store;
	struct publish *publish;
	pid_t subscriber, relay;
	unsigned int most_in_flight;
};

/* What the subscriber's lines say. */
struct heard {
	unsigned int times[SEEN]; /* by sequence */
	uint64_t last;
	unsigned int after[SEEN]; /* rows that were heard before this one came first */
	bool rising;
	unsigned int rows, results, corrections, by_group[GROUP_VITALS + 1];
	bool has_status, has_schema, has_marker;
	Wellgate__V1__HubStatus__State state;
	uint64_t session;
};

/* ---- the store ---- */

static const Wellgate__V1__Metric metrics[] = {
	WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE,
	WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT,
	WELLGATE__V1__METRIC__METRIC_STEPS,
};

static void add_reading(struct rig *rig, unsigned int i, Wellgate__V1__Metric metric, char *context)
{
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;
	uint8_t key[16] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
	bool is_new = false;

	r.has_dedupe_key = r.has_metric = r.has_received_at_ms = r.has_record_number = 1;
	r.dedupe_key = (ProtobufCBinaryData){ sizeof(key), key };
	r.metric = metric;
	r.received_at_ms = INT64_C(1795000000000) + i;
	r.record_number = i;
	r.context = context;
	assert_int_equal(store_add_reading(rig->store, &r, STORE_PUBLISH, &is_new), 0);
	assert_true(is_new);
}

/* runs of five rows of one group: batches end at a change of group */
static void fill(struct rig *rig, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		add_reading(rig, i, metrics[i / 5 % 3], NULL);
	assert_int_equal(store_commit(rig->store), 0);
}

static void add_results(struct rig *rig, unsigned int n)
{
	static char goal[] = "walk";

	for (unsigned int i = 0; i < n; i++) {
		Wellgate__V1__GoalResult r = WELLGATE__V1__GOAL_RESULT__INIT;

		r.goal_id = goal;
		assert_int_equal(store_add_result(rig->store, &r), 0);
	}
	assert_int_equal(store_commit(rig->store), 0);
}

static void add_corrections(struct rig *rig, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;

		c.has_kind = 1;
		c.kind = WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION;
		assert_int_equal(store_add_correction(rig->store, &c), 0);
	}
	assert_int_equal(store_commit(rig->store), 0);
}

static uint64_t watermark(const struct rig *rig, enum lane lane)
{
	struct store_counts counts;

	store_counts(rig->store, &counts);
	return counts.acknowledged[lane];
}

static uint64_t parked(const struct rig *rig)
{
	struct store_counts counts;

	store_counts(rig->store, &counts);
	return counts.parked;
}

/* ---- the subscriber ---- */

static void subscribe_as(struct rig *rig, int port)
{
	char number[16];
	const char *argv[] = { "mosquitto_sub", "-V", "mqttv5", "-h", "127.0.0.1",  "-p",
			       number,          "-q", "0",      "-t", "wellgate/#", "-F",
			       "%t %r %x",      NULL };

	(void)snprintf(number, sizeof(number), "%d", port);
	rig->subscriber = broker_spawn(argv, rig->out);
}

static unsigned int nibble(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static size_t from_hex(const char *text, uint8_t *buf, size_t size)
{
	size_t n = 0;

	for (; text[0] > ' ' && text[1] > ' ' && n < size; text += 2)
		buf[n++] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
	return n;
}

static void hear_batch(struct heard *h, const char *topic, const uint8_t *data, size_t len)
{
	Wellgate__V1__ReadingBatch *b = wellgate__v1__reading_batch__unpack(NULL, len, data);

	assert_non_null(b);
	assert_string_equal(b->hub, "hub");
	for (size_t i = 0; i < b->n_readings; i++) {
		const Wellgate__V1__Reading *r = b->readings[i];
		enum metric_group group = metric_info((unsigned int)r->metric)->group;
		const char *name = strrchr(topic, '/') + 1;

		assert_string_equal(name, metric_group_name(group));
		assert_true(r->sequence > 0 && r->sequence < SEEN);
		h->rising = h->rising && r->sequence > h->last;
		h->last = r->sequence;
		if (h->times[r->sequence]++ == 0)
			h->after[r->sequence] = h->rows;
		h->by_group[group]++;
		h->rows++;
	}
	wellgate__v1__reading_batch__free_unpacked(b, NULL);
}

static void hear_correction(struct heard *h, const uint8_t *data, size_t len)
{
	Wellgate__V1__Correction *c = wellgate__v1__correction__unpack(NULL, len, data);

	assert_non_null(c);
	assert_true(c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION ||
		    c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE);
	assert_string_equal(c->hub, "hub");
	assert_true(c->has_epoch);
	assert_int_equal(c->sequence, ++h->corrections);
	wellgate__v1__correction__free_unpacked(c, NULL);
}

static void hear_status(struct heard *h, const uint8_t *data, size_t len)
{
	Wellgate__V1__HubStatus *s = wellgate__v1__hub_status__unpack(NULL, len, data);

	assert_non_null(s);
	h->has_status = true;
	h->state = s->state;
	h->session = s->session;
	wellgate__v1__hub_status__free_unpacked(s, NULL);
}

static void hear_line(struct heard *h, char *line)
{
	static uint8_t data[256 * 1024];
	char *hex, *topic = strtok_r(line, " ", &hex);
	const char *retained = strtok_r(NULL, " ", &hex);
	size_t len;

	if (!topic || !retained)
		return;
	len = from_hex(hex, data, sizeof(data));
	if (strstr(topic, "/reading/"))
		hear_batch(h, topic, data, len);
	else if (strstr(topic, "/goal"))
		h->results++;
	else if (strstr(topic, "/correction"))
		hear_correction(h, data, len);
	else if (strstr(topic, "/status"))
		hear_status(h, data, len);
	else if (strstr(topic, "/schema/"))
		h->has_schema = len > 1000;
	else if (strstr(topic, "/marker"))
		h->has_marker = true;
}

/* everything that was heard so far; an unfinished last line waits */
static void hear(const struct rig *rig, struct heard *h)
{
	FILE *f = fopen(rig->out, "re");
	char *line = NULL;
	size_t size = 0;

	*h = (struct heard){ .rising = true };
	while (f && getline(&line, &size, f) > 0) {
		if (strchr(line, '\n'))
			hear_line(h, line);
	}
	free(line);
	if (f)
		(void)fclose(f);
}

static void forget_heard(const struct rig *rig)
{
	assert_int_equal(truncate(rig->out, 0), 0);
}

/* A message of ours comes back: then the subscription stands. */
static void wait_subscribed(struct rig *rig, int port)
{
	char number[16];
	const char *argv[] = { "mosquitto_pub",   "-h", "127.0.0.1", "-p", number, "-t",
			       "wellgate/marker", "-m", "x",         NULL };
	int64_t end = broker_now_ms() + WAIT_MS;
	static struct heard h;

	(void)snprintf(number, sizeof(number), "%d", port);
	for (hear(rig, &h); !h.has_marker; hear(rig, &h)) {
		pid_t pid = broker_spawn(argv, "/dev/null");

		must(waitpid(pid, NULL, 0) == pid);
		must(broker_now_ms() < end);
		broker_pause();
	}
}

/* ---- the rig ---- */

static void on_progress(void *user)
{
	struct rig *rig = user;
	struct publish_state s;

	publish_state(rig->publish, &s);
	if (s.in_flight > rig->most_in_flight)
		rig->most_in_flight = s.in_flight;
}

static void set_port(struct rig *rig, const char *scheme, const char *host, int port)
{
	(void)snprintf(rig->url, sizeof(rig->url), "%s://%s:%d", scheme, host, port);
}

static void start(struct rig *rig)
{
	assert_int_equal(publish_new(rig->event, &rig->config, rig->store, &rig->publish), 0);
	publish_on_progress(rig->publish, on_progress, rig);
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
	struct store_options options = { 0 };
	char *said = NULL;

	must(rig);
	broker_init(&rig->broker);
	(void)snprintf(rig->state, sizeof(rig->state), "%s/state", rig->broker.dir);
	(void)snprintf(rig->out, sizeof(rig->out), "%s/heard", rig->broker.dir);
	(void)snprintf(rig->site, sizeof(rig->site), "home");
	(void)snprintf(rig->hub, sizeof(rig->hub), "hub");
	set_port(rig, "mqtt", "127.0.0.1", rig->broker.port);
	rig->config = (struct config){ .site = rig->site,
				       .hub = rig->hub,
				       .broker = rig->url,
				       .keep_alive = 25,
				       .window = 100,
				       .batch = 50 };
	options.dir = rig->state;
	options.keep_days = 90;
	must(store_open(&options, &rig->store, &said) == 0);
	free(said);
	must(sd_event_new(&rig->event) >= 0);
	*state = rig;
	return 0;
}

static int rig_free(void **state)
{
	struct rig *rig = *state;

	if (rig->publish)
		stop(rig);
	broker_reap(&rig->subscriber, SIGTERM);
	broker_reap(&rig->relay, SIGKILL);
	sd_event_unref(rig->event);
	store_close(rig->store);
	broker_finish(&rig->broker);
	free(rig);
	return 0;
}

typedef bool condition(struct rig *rig);

static void run_until(struct rig *rig, condition *done)
{
	int64_t end = broker_now_ms() + WAIT_MS;

	while (!done(rig)) {
		assert_true(broker_now_ms() < end);
		assert_true(sd_event_run(rig->event, 50000) >= 0);
	}
}

static bool is_connected(struct rig *rig)
{
	struct publish_state s;

	publish_state(rig->publish, &s);
	return s.connected;
}

static bool is_lost(struct rig *rig)
{
	return !is_connected(rig);
}

/* tried, and failed */
static bool has_reason(struct rig *rig)
{
	struct publish_state s;

	publish_state(rig->publish, &s);
	return !s.connected && strstr(s.why, "broker") != NULL;
}

static bool is_drained(struct rig *rig)
{
	return publish_drained(rig->publish);
}

static bool is_half_way(struct rig *rig)
{
	return watermark(rig, LANE_READINGS) > ROWS / 4;
}

/* until the subscriber heard so many rows and results */
static void wait_heard(struct rig *rig, unsigned int rows, unsigned int results, struct heard *h)
{
	int64_t end = broker_now_ms() + WAIT_MS;

	for (hear(rig, h); h->rows < rows || h->results < results; hear(rig, h)) {
		assert_true(broker_now_ms() < end);
		broker_pause();
	}
}

static void wait_state(struct rig *rig, Wellgate__V1__HubStatus__State state, struct heard *h)
{
	int64_t end = broker_now_ms() + WAIT_MS;

	for (hear(rig, h); !h->has_status || h->state != state; hear(rig, h)) {
		assert_true(broker_now_ms() < end);
		broker_pause();
	}
}

static void all_once(const struct heard *h, unsigned int n)
{
	assert_true(h->rising);
	for (unsigned int i = 1; i <= n; i++)
		assert_int_equal(h->times[i], 1);
	assert_int_equal(h->rows, n);
}

/* ---- tests ---- */

static struct heard heard;

/* In order, none twice, and with a broker as it comes: Receive Maximum 20, never exceeded. */
static void drains_in_order(void **state)
{
	struct rig *rig = *state;
	struct publish_state s;

	broker_start(&rig->broker, "");
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	fill(rig, ROWS);
	add_results(rig, 30);
	add_corrections(rig, 7);
	start(rig);
	assert_false(publish_drained(rig->publish));
	run_until(rig, is_drained);
	publish_state(rig->publish, &s);
	assert_int_equal(s.window, 20);
	assert_true(rig->most_in_flight <= 20 && rig->most_in_flight > 1);
	assert_int_equal(watermark(rig, LANE_READINGS), ROWS);
	assert_int_equal(watermark(rig, LANE_RESULTS), 30);
	assert_int_equal(watermark(rig, LANE_CORRECTIONS), 7);
	assert_int_equal(s.batches, ROWS / 5 + 30 + 7);
	assert_int_equal(s.acked, s.batches);
	assert_int_equal(s.connects, 1);
	assert_int_equal(s.errors, 0);
	wait_heard(rig, ROWS, 30, &heard);
	all_once(&heard, ROWS);
	assert_true(heard.has_schema);
	/* more rows on the same connection */
	add_reading(rig, ROWS, metrics[0], NULL);
	assert_int_equal(store_commit(rig->store), 0);
	publish_kick(rig->publish);
	run_until(rig, is_drained);
	wait_heard(rig, ROWS + 1, 30, &heard);
	all_once(&heard, ROWS + 1);
	assert_int_equal(heard.corrections, 7); /* each in its place, and before that row */
}

/* While a backlog drains a new reading comes: it does not stand behind it. */
static void live_overtakes(void **state)
{
	struct rig *rig = *state;

	rig->config.batch = 1;
	broker_start(&rig->broker, "");
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	fill(rig, ROWS);
	start(rig);
	run_until(rig, is_half_way);
	add_reading(rig, ROWS, metrics[0], NULL);
	assert_int_equal(store_commit(rig->store), 0);
	publish_kick(rig->publish);
	const unsigned int before = (unsigned int)watermark(rig, LANE_READINGS);
	run_until(rig, is_drained);
	assert_int_equal(watermark(rig, LANE_READINGS), ROWS + 1);
	wait_heard(rig, ROWS + 1, 0, &heard);
	assert_int_equal(heard.rows, ROWS + 1);
	for (int i = 1; i <= ROWS + 1; i++)
		assert_int_equal(heard.times[i], 1);
	/* behind what was on the way, and one of the backlog */
	assert_true(heard.after[ROWS + 1] <= before + 20 + OUTBOX_TURNS);
}

static void broker_comes_late(void **state)
{
	struct rig *rig = *state;

	fill(rig, 100);
	start(rig);
	run_until(rig, has_reason);
	assert_int_equal(watermark(rig, LANE_READINGS), 0);
	broker_start(&rig->broker, "max_keepalive 10"); /* which makes us come back with 10 s */
	run_until(rig, is_drained);
	assert_int_equal(watermark(rig, LANE_READINGS), 100);
}

/* A door between hub and broker, so that the subscriber can be back before the hub is: what a
 * broker confirms while nobody subscribes is nobody's. */
static void copy_both_ways(int a, int b)
{
	struct pollfd fds[] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
	static char buf[4096];

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (!fds[i].revents)
				continue;
			n = read(fds[i].fd, buf, sizeof(buf));
			if (n <= 0 || send(fds[1 - i].fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
				return;
		}
	}
}

static pid_t open_door(int from, int to)
{
	struct sockaddr_in in = broker_address(from), out = broker_address(to);
	pid_t pid = fork();
	int on = 1;

	must(pid >= 0);
	if (pid > 0)
		return pid;
	int door = socket(AF_INET, SOCK_STREAM, 0);
	(void)setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(door, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(door, 4) < 0)
		_exit(1);
	for (;;) {
		int a = accept(door, NULL, NULL), b = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(b, (struct sockaddr *)&out, sizeof(out)) == 0)
			copy_both_ways(a, b);
		(void)close(a);
		(void)close(b);
	}
}

static void broker_dies(void **state)
{
	struct rig *rig = *state;
	int door = broker_free_port();

	set_port(rig, "mqtt", "127.0.0.1", door);
	rig->config.batch = 1;
	fill(rig, ROWS);
	broker_start(&rig->broker, "");
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	rig->relay = open_door(door, rig->broker.port);
	start(rig);
	run_until(rig, is_half_way);
	broker_stop(&rig->broker, SIGKILL);
	broker_reap(&rig->relay, SIGKILL);
	run_until(rig, is_lost);
	assert_true(watermark(rig, LANE_READINGS) < ROWS);
	hear(rig, &heard);
	/* what was confirmed was heard: the subscriber reads what a dead broker wrote */
	wait_heard(rig, (unsigned int)watermark(rig, LANE_READINGS), 0, &heard);
	unsigned int before[SEEN];
	(void)memcpy(before, heard.times, sizeof(before));
	forget_heard(rig);
	broker_start(&rig->broker, "");
	wait_subscribed(rig, rig->broker.port);
	rig->relay = open_door(door, rig->broker.port);
	run_until(rig, is_drained);
	assert_int_equal(watermark(rig, LANE_READINGS), ROWS);
	run_until(rig, is_connected);
	for (int64_t end = broker_now_ms() + WAIT_MS; heard.times[ROWS] == 0;) {
		assert_true(broker_now_ms() < end);
		broker_pause();
		hear(rig, &heard);
	}
	assert_true(heard.rising);
	for (int i = 1; i <= ROWS; i++)
		assert_true(before[i] + heard.times[i] >= 1);
}

/* Stopped, not dead: the connection stands and says nothing. */
static void broker_freezes(void **state)
{
	struct rig *rig = *state;
	struct publish_state s;

	broker_start(&rig->broker, "");
	start(rig);
	run_until(rig, is_connected);
	run_until(rig, is_drained);
	assert_int_equal(kill(rig->broker.pid, SIGSTOP), 0);
	fill(rig, 50);
	publish_kick(rig->publish);
	run_until(rig, is_lost);
	publish_state(rig->publish, &s);
	assert_string_equal(s.why, "the broker no longer confirms what it is sent");
	assert_int_equal(kill(rig->broker.pid, SIGCONT), 0);
	run_until(rig, is_drained);
	assert_int_equal(watermark(rig, LANE_READINGS), 50);
}

/* a topic that is not ours to write: those rows are parked, the others go on */
static void denied_topic(void **state)
{
	struct rig *rig = *state;
	struct publish_state s;
	char extra[160];

	broker_write_file(rig->broker.dir, "acl",
			  "topic readwrite wellgate/#\n"
			  "topic deny wellgate/v1/home/hub/reading/bp\n");
	(void)snprintf(extra, sizeof(extra), "acl_file %s/acl", rig->broker.dir);
	broker_start(&rig->broker, extra);
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	fill(rig, 150); /* 50 of each group */
	start(rig);
	run_until(rig, is_drained);
	publish_state(rig->publish, &s);
	assert_int_equal(s.refused, 50);
	assert_int_equal(publish_reasons(rig->publish, REASON_PUBACK, 0x87), 10); /* in runs of 5 */
	assert_int_equal(publish_reasons(rig->publish, REASON_CONNACK, 0), 1);
	assert_int_equal(parked(rig), 50);
	assert_int_equal(s.connects, 1);
	assert_int_equal(watermark(rig, LANE_READINGS), 150);
	wait_heard(rig, 100, 0, &heard);
	assert_true(heard.rising);
	assert_int_equal(heard.by_group[GROUP_BP], 0);
	assert_int_equal(heard.by_group[GROUP_WEIGHT], 50);
	assert_int_equal(heard.by_group[GROUP_ACTIVITY], 50);
	/* and each run of refused rows is said */
	assert_int_equal(watermark(rig, LANE_CORRECTIONS), 10);
}

static bool stands_still(struct rig *rig)
{
	struct publish_state s;

	publish_state(rig->publish, &s);
	return s.errors > 0 && s.in_flight == 0 && parked(rig) == 5 + 2;
}

/* Not even corrections are ours to write: that is not answered by ever more of them. */
static void denied_tombstones(void **state)
{
	struct rig *rig = *state;
	struct store_counts counts;
	struct publish_state s;
	char extra[160];

	broker_write_file(rig->broker.dir, "acl",
			  "topic readwrite wellgate/#\n"
			  "topic deny wellgate/v1/home/hub/correction\n"
			  "topic deny wellgate/v1/home/hub/reading/bp\n");
	(void)snprintf(extra, sizeof(extra), "acl_file %s/acl", rig->broker.dir);
	broker_start(&rig->broker, extra);
	fill(rig, 15); /* 5 of each group */
	add_corrections(rig, 2);
	start(rig);
	run_until(rig, stands_still);
	publish_kick(rig->publish);
	run_until(rig, stands_still);
	publish_state(rig->publish, &s);
	assert_int_equal(s.connects, 1);
	assert_int_equal(watermark(rig, LANE_READINGS), 15);
	assert_int_equal(watermark(rig, LANE_CORRECTIONS), 2);
	store_counts(rig->store, &counts);
	assert_true(counts.last[LANE_CORRECTIONS] <= 2 + 3); /* what was refused, in runs */
}

/* A batch is refused for its size: row by row, only the one that is too large stays behind. */
static void too_large(void **state)
{
	static char large[2000];
	struct rig *rig = *state;

	(void)memset(large, 'x', sizeof(large) - 1);
	broker_start(&rig->broker, "message_size_limit 1000");
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	for (unsigned int i = 0; i < 60; i++)
		add_reading(rig, i, metrics[0], i == 30 ? large : NULL);
	assert_int_equal(store_commit(rig->store), 0);
	start(rig);
	run_until(rig, is_drained);
	assert_int_equal(watermark(rig, LANE_READINGS), 60);
	assert_int_equal(parked(rig), 1);
	wait_heard(rig, 59, 0, &heard);
	for (int i = 1; i <= 60; i++)
		assert_int_equal(heard.times[i] > 0, i != 31);
}

/* online and offline are retained: who comes later sees them, with one session */
static void says_on_and_off(void **state)
{
	struct rig *rig = *state;
	uint64_t session;

	broker_start(&rig->broker, "");
	start(rig);
	run_until(rig, is_connected);
	subscribe_as(rig, rig->broker.port);
	wait_state(rig, WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE, &heard);
	session = heard.session;
	assert_int_not_equal(session, 0);
	stop(rig);
	wait_state(rig, WELLGATE__V1__HUB_STATUS__STATE__STATE_OFFLINE, &heard);
	assert_true(heard.session == session);
	broker_reap(&rig->subscriber, SIGTERM);
	forget_heard(rig);
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	hear(rig, &heard); /* no will after a good-bye */
	assert_int_equal(heard.state, WELLGATE__V1__HUB_STATUS__STATE__STATE_OFFLINE);
}

/* a hub that is killed is said to be lost, by the broker, with the session of its birth */
static void will(void **state)
{
	struct rig *rig = *state;
	pid_t pid;

	broker_start(&rig->broker, "");
	subscribe_as(rig, rig->broker.port);
	wait_subscribed(rig, rig->broker.port);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		/* an event loop is of the process that made it */
		if (sd_event_new(&rig->event) < 0 ||
		    publish_new(rig->event, &rig->config, rig->store, &rig->publish) < 0)
			_exit(1);
		while (sd_event_run(rig->event, UINT64_MAX) >= 0)
			;
		_exit(1);
	}
	wait_state(rig, WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE, &heard);
	uint64_t session = heard.session;
	broker_reap(&pid, SIGKILL);
	wait_state(rig, WELLGATE__V1__HUB_STATUS__STATE__STATE_LOST, &heard);
	assert_true(heard.session == session);
}

/* somebody listens, and never answers: stopping is bounded all the same */
static void stops_without_broker(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_in a = broker_address(rig->broker.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t begin;

	must(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 4) == 0);
	fill(rig, 10);
	start(rig);
	for (int i = 0; i < 5; i++)
		assert_true(sd_event_run(rig->event, 50000) >= 0);
	begin = broker_now_ms();
	publish_free(rig->publish, 1000000);
	rig->publish = NULL;
	assert_true(broker_now_ms() - begin < 10000);
	assert_int_equal(watermark(rig, LANE_READINGS), 0);
	(void)close(fd);
}

static void no_broker(void **state)
{
	struct rig *rig = *state;
	struct publish_state s;

	rig->config.broker = NULL;
	start(rig);
	publish_state(rig->publish, &s);
	assert_false(s.configured);
	assert_true(publish_drained(rig->publish));
	publish_free(rig->publish, 0);
	rig->publish = NULL;
	rig->config.broker = rig->url;
	(void)snprintf(rig->hub, sizeof(rig->hub), "a/b");
	assert_int_equal(publish_new(rig->event, &rig->config, rig->store, &rig->publish), -EINVAL);
}

static void shell(const char *dir, const char *format)
{
	char command[512];

	(void)snprintf(command, sizeof(command), "cd %s && { %s; } >>openssl.log 2>&1", dir,
		       format);
	const char *argv[] = { "sh", "-c", command, NULL };
	pid_t pid = broker_spawn(argv, "/dev/null");
	int status;

	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static char *in_dir(char buf[96], const struct rig *rig, const char *name)
{
	(void)snprintf(buf, 96, "%s/%s", rig->broker.dir, name);
	return buf;
}

static void start_in_vain(struct rig *rig, const char *why)
{
	struct publish_state s;

	start(rig);
	run_until(rig, has_reason);
	publish_state(rig->publish, &s);
	assert_string_equal(s.why, why);
	assert_int_equal(s.connects, 0);
	stop(rig);
}

/* Both sides show certificates; a broker with another name is not believed. */
static void tls(void **state)
{
	struct rig *rig = *state;
	const char *dir = rig->broker.dir;
	char ca[96], cert[96], key[96], extra[400];

	shell(dir, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		   "-keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca");
	shell(dir, "for n in localhost hub; do openssl req -newkey ec "
		   "-pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $n.key -out $n.csr "
		   "-subj /CN=$n; openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key "
		   "-CAcreateserial -out $n.pem -days 2; done");
	(void)snprintf(extra, sizeof(extra),
		       "cafile %s/ca.pem\ncertfile %s/localhost.pem\nkeyfile %s/localhost.key\n"
		       "require_certificate true",
		       dir, dir, dir);
	rig->config.ca_file = in_dir(ca, rig, "ca.pem");
	rig->config.cert_file = in_dir(cert, rig, "hub.pem");
	rig->config.key_file = in_dir(key, rig, "hub.key");
	broker_start(&rig->broker, extra);
	fill(rig, 100);
	set_port(rig, "mqtts", "127.0.0.1", rig->broker.port);
	start_in_vain(rig, "the broker's certificate is for another name");
	set_port(rig, "mqtts", "localhost", rig->broker.port);
	rig->config.ca_file = cert; /* no authority, and not the broker's */
	start_in_vain(rig, "the broker's certificate is from an authority that is not in ca_file");
	rig->config.ca_file = ca;
	start(rig);
	run_until(rig, is_drained);
	assert_int_equal(watermark(rig, LANE_READINGS), 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_new, rig_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(will), /* first: it forks, and no thread runs yet */
		TEST(no_broker),
		TEST(drains_in_order),
		TEST(live_overtakes),
		TEST(broker_comes_late),
		TEST(broker_dies),
		TEST(broker_freezes),
		TEST(denied_topic),
		TEST(denied_tombstones),
		TEST(too_large),
		TEST(says_on_and_off),
		TEST(stops_without_broker),
		TEST(tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
