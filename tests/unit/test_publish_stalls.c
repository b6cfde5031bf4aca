/* links: gateway_publish gateway_store gateway_base */
/*
 * The loop goes on while the network does not: a resolver that takes its time, a listener that
 * never answers TLS, a socket that is full. What the loop's side does is timed call by call; the
 * longest is printed. It is wrong if one call took as long as the whole stall; less than that can
 * be a busy machine. WELLGATE_STALL_MS=8000 makes longer stalls, and holds figures to a limit.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/publish/publish.h"
#include "tests/unit/broker.h"

#define STALL_MS   800
#define LONG_MS    8000
#define BLOCKED_US INT64_C(5000000) /* of a long stall; aim: 5000 */
#define WAIT_MS    120000
#define KEEP_ALIVE 2
#define LONG_ALIVE 4
#define FOUND_MS   9000 /* with LONG_ALIVE */
#define STALLED    "stalls.invalid"
#define LARGE      60000
#define LARGE_ROWS 240
#define GROUP      15 /* few enough to go at once */

struct rig {
	struct broker broker;
	struct config config;
	char url[64], state[96], site[8], hub[8];
	sd_event *event;
	struct store *store;
	struct publish *publish;
	pid_t peer;
	unsigned int rows;
	int64_t longest_us;
};

static int64_t stall_ms(void)
{
	const char *text = getenv("WELLGATE_STALL_MS");

	return text ? strtol(text, NULL, 10) : STALL_MS;
}

static bool is_long(void)
{
	return stall_ms() >= LONG_MS;
}

/* ---- a resolver that takes its time: Paho's calls come here ---- */

static atomic_int asked, answered;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): those are the system's */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	union {
		void *symbol;
		int (*call)(const char *, const char *, const struct addrinfo *,
			    struct addrinfo **);
	} real = { dlsym(RTLD_NEXT, "getaddrinfo") };
	int64_t end = broker_now_ms() + stall_ms();

	if (!name || strcmp(name, STALLED) != 0)
		return real.call(name, service, hints, ret);
	/* the first time only, so that the end of the test does not wait */
	if (atomic_fetch_add(&asked, 1) == 0) {
		while (broker_now_ms() < end)
			broker_pause();
	}
	(void)atomic_fetch_add(&answered, 1);
	return EAI_FAIL;
}

/* ---- what the loop does, timed ---- */

/* How long this thread could have run and others did; 0 where the kernel does not say. */
static int64_t queued_us(void)
{
	char text[96] = "", *end = text;
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) > 0)
		(void)strtoll(text, &end, 10);
	(void)close(fd);
	return strtoll(end, NULL, 10) / 1000;
}

/* but for the time that a busy machine kept us waiting for */
static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000 - queued_us();
}

static void timed(struct rig *rig, int64_t begin_us)
{
	const int64_t took_us = now_us() - begin_us;

	if (took_us > rig->longest_us)
		rig->longest_us = took_us;
}

static void add_reading(struct rig *rig, char *context)
{
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;
	uint8_t key[16] = { (uint8_t)rig->rows, (uint8_t)(rig->rows >> 8), 1 };
	bool is_new = false;

	r.has_dedupe_key = r.has_metric = r.has_received_at_ms = r.has_record_number = 1;
	r.dedupe_key = (ProtobufCBinaryData){ sizeof(key), key };
	r.metric = WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
	r.received_at_ms = INT64_C(1795000000000) + rig->rows;
	r.record_number = rig->rows++;
	r.context = context;
	assert_int_equal(store_add_reading(rig->store, &r, STORE_PUBLISH, &is_new), 0);
	assert_true(is_new);
}

static void kick(struct rig *rig)
{
	int64_t begin_us;

	assert_int_equal(store_commit(rig->store), 0);
	begin_us = now_us();
	publish_kick(rig->publish);
	timed(rig, begin_us);
}

/* one turn of the loop; waiting for events is not counted */
static void turn(struct rig *rig)
{
	struct publish_state s;
	int64_t begin_us;
	int r = sd_event_prepare(rig->event);

	if (r == 0)
		r = sd_event_wait(rig->event, 10000);
	begin_us = now_us();
	if (r > 0)
		r = sd_event_dispatch(rig->event);
	publish_state(rig->publish, &s);
	timed(rig, begin_us);
	assert_true(r >= 0);
}

static void start(struct rig *rig)
{
	int64_t begin_us = now_us();

	assert_int_equal(publish_new(rig->event, &rig->config, rig->store, &rig->publish), 0);
	timed(rig, begin_us);
	kick(rig);
}

/* Readings come in all the while. */
static void go_on(struct rig *rig, int64_t ms)
{
	for (int64_t end = broker_now_ms() + ms; broker_now_ms() < end;) {
		add_reading(rig, NULL);
		kick(rig);
		turn(rig);
	}
}

static void say(const struct rig *rig, const char *what)
{
	print_message("%s for %lld ms: the loop was held up for %lld us at most\n", what,
		      (long long)stall_ms(), (long long)rig->longest_us);
	assert_true(rig->longest_us < (is_long() ? BLOCKED_US : stall_ms() * 1000));
}

static int rig_new(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct store_options options = { 0 };
	char *said = NULL;

	must(rig);
	broker_init(&rig->broker);
	(void)snprintf(rig->state, sizeof(rig->state), "%s/state", rig->broker.dir);
	(void)snprintf(rig->site, sizeof(rig->site), "home");
	(void)snprintf(rig->hub, sizeof(rig->hub), "hub");
	rig->config = (struct config){ .site = rig->site,
				       .hub = rig->hub,
				       .broker = rig->url,
				       .keep_alive = 25,
				       .window = 1000,
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

	publish_free(rig->publish, 0);
	broker_reap(&rig->peer, SIGKILL);
	sd_event_unref(rig->event);
	store_close(rig->store);
	broker_finish(&rig->broker);
	free(rig);
	return 0;
}

/* ---- the stalls ---- */

static void resolver(void **state)
{
	struct rig *rig = *state;
	int64_t end = broker_now_ms() + WAIT_MS;

	(void)snprintf(rig->url, sizeof(rig->url), "mqtt://" STALLED ":1883");
	start(rig);
	while (atomic_load(&asked) == 0) {
		assert_true(broker_now_ms() < end);
		turn(rig);
	}
	while (atomic_load(&answered) == 0) {
		assert_true(broker_now_ms() < end);
		go_on(rig, 10);
	}
	say(rig, "a name is looked up");
}

/* the kernel accepts, nobody speaks */
static void handshake(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_in a = broker_address(rig->broker.port);
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), in;

	must(bind(door, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(door, 4) == 0);
	must(fcntl(door, F_SETFL, O_NONBLOCK) == 0);
	(void)snprintf(rig->url, sizeof(rig->url), "mqtts://127.0.0.1:%d", rig->broker.port);
	start(rig);
	for (int64_t end = broker_now_ms() + WAIT_MS; (in = accept(door, NULL, NULL)) < 0;) {
		assert_true(broker_now_ms() < end);
		turn(rig);
	}
	go_on(rig, stall_ms());
	say(rig, "TLS is not answered");
	publish_free(rig->publish, 0);
	rig->publish = NULL;
	(void)close(in);
	(void)close(door);
}

/* Takes one connection, and after CONNACK nothing. */
static pid_t take_nothing(int port)
{
	static const uint8_t connack[] = { 0x20, 3, 0, 0, 0 };
	struct sockaddr_in a = broker_address(port);
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
	char hello[4096];
	pid_t pid;

	must(setsockopt(door, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	must(bind(door, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(door, 4) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		int in = accept(door, NULL, NULL);

		must(recv(in, hello, sizeof(hello), 0) > 0);
		must(send(in, connack, sizeof(connack), 0) == sizeof(connack));
		for (;;)
			(void)pause();
	}
	(void)close(door);
	return pid;
}

/* until the uplink has all of it */
static void hand_over(struct rig *rig)
{
	struct publish_state s;

	do {
		turn(rig);
		publish_state(rig->publish, &s);
	} while (s.connected && s.sent[LANE_READINGS] < rig->rows);
	assert_true(s.connected);
}

static void full_socket(void **state)
{
	static char large[LARGE];
	struct rig *rig = *state;
	struct publish_state s = { 0 };

	(void)memset(large, 'x', sizeof(large) - 1);
	rig->peer = take_nothing(rig->broker.port);
	rig->config.batch = 1;
	(void)snprintf(rig->url, sizeof(rig->url), "mqtt://127.0.0.1:%d", rig->broker.port);
	start(rig);
	for (int64_t end = broker_now_ms() + WAIT_MS; !s.connected;
	     publish_state(rig->publish, &s)) {
		assert_true(broker_now_ms() < end);
		turn(rig);
	}
	while (rig->rows < LARGE_ROWS) {
		for (int i = 0; i < GROUP; i++)
			add_reading(rig, large);
		kick(rig);
		hand_over(rig);
	}
	/* far more than the socket holds */
	go_on(rig, stall_ms());
	publish_state(rig->publish, &s);
	assert_true(stall_ms() > STALL_MS || s.in_flight > LARGE_ROWS);
	say(rig, "the socket is full");
}

/* Nothing is on the way, and the other side falls silent. Paho looks at its clocks about once a
 * second, which counts for much with a keep alive as short as 4 s: 6 s; asked half as often, 11.
 */
static void half_open(void **state)
{
	struct rig *rig = *state;
	struct publish_state s = { 0 };
	int64_t begin, took;

	rig->config.keep_alive = is_long() ? LONG_ALIVE : KEEP_ALIVE;
	(void)snprintf(rig->url, sizeof(rig->url), "mqtt://127.0.0.1:%d", rig->broker.port);
	broker_start(&rig->broker, "");
	start(rig);
	while (!s.connected || s.in_flight > 0) {
		turn(rig);
		publish_state(rig->publish, &s);
	}
	assert_int_equal(kill(rig->broker.pid, SIGSTOP), 0);
	for (begin = broker_now_ms(); s.connected; publish_state(rig->publish, &s)) {
		assert_true(broker_now_ms() < begin + WAIT_MS);
		turn(rig);
	}
	took = broker_now_ms() - begin;
	print_message("half open: found after %lld ms, keep alive %u s\n", (long long)took,
		      rig->config.keep_alive);
	assert_true(!is_long() || took < FOUND_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_new, rig_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(full_socket), /* first: it forks, and no thread runs yet */
		TEST(resolver),
		TEST(handshake),
		TEST(half_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
