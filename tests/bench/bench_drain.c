/* links: gateway_publish gateway_store gateway_base */
/*
 * What draining the outbox costs: store -> batches -> uplink -> mosquitto, against the very same
 * messages (topics, payloads, properties) published with QoS 1 by a few lines of Paho, and over a
 * bare socket, with the same window. Rounds of the three alternate in one run; the medians are
 * compared. In the end the same over a way of 50 ms with a broker that takes 20 messages at once.
 *
 *   bench_drain [DIRECTORY [ROUNDS]]   for the databases (default: here); 7 rounds
 */
#include <MQTTAsync.h>
#include <inttypes.h>
#include <pthread.h>

#include "gateway/publish/batch.h"
#include "gateway/publish/publish.h"
#include "gateway/publish/topics.h"
#include "tests/bench/drain_peers.h"

#define ROUNDS_MAX 99
#define WAIT_S     300

struct setting {
	unsigned int batch, window, rows;
};

/* what a round took, seconds */
struct times {
	double raw[ROUNDS_MAX], paho[ROUNDS_MAX], ours[ROUNDS_MAX];
};

struct bench {
	struct broker broker;
	struct config config;
	char url[64], site[8], hub[8], dir[128];
	struct store *store;
	struct topics topics;
	struct raw_message *messages;
	size_t n_messages, first_len;
	int rounds, far_port; /* behind a long way */
	double ceiling;       /* single readings a second over the bare socket */
};

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the rows: blood pressure as a cuff gives it ---- */

static void add_row(struct bench *b, unsigned int i)
{
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;
	Wellgate__V1__Decimal values[3];
	Wellgate__V1__Component parts[3], *list[3];
	static const Wellgate__V1__Metric metrics[] = { WELLGATE__V1__METRIC__METRIC_SYSTOLIC,
							WELLGATE__V1__METRIC__METRIC_DIASTOLIC,
							WELLGATE__V1__METRIC__METRIC_PULSE };
	static char units[][8] = { "mm[Hg]", "mm[Hg]", "/min" };
	uint8_t key[16] = { (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 1 };
	bool is_new = false;

	for (unsigned int p = 0; p < 3; p++) {
		wellgate__v1__decimal__init(&values[p]);
		values[p].has_mantissa = values[p].has_exponent = 1;
		values[p].mantissa = 70 + (i + p) % 60;
		wellgate__v1__component__init(&parts[p]);
		parts[p].has_metric = 1;
		parts[p].metric = metrics[p];
		parts[p].value = &values[p];
		parts[p].unit = units[p];
		list[p] = &parts[p];
	}
	r.has_dedupe_key = r.has_metric = r.has_received_at_ms = r.has_record_number = 1;
	r.has_reading_id = r.has_measured_at_ms = 1;
	r.reading_id = r.dedupe_key = (ProtobufCBinaryData){ sizeof(key), key };
	r.metric = WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
	r.received_at_ms = r.measured_at_ms = INT64_C(1795000000000) + i;
	r.record_number = i;
	r.components = list;
	r.n_components = 3;
	must(store_add_reading(b->store, &r, STORE_PUBLISH, &is_new) == 0 && is_new);
}

static void fill(struct bench *b, unsigned int rows)
{
	for (unsigned int i = 0; i < rows; i++) {
		add_row(b, i);
		if (i % 500 == 499)
			must(store_commit(b->store) == 0);
	}
	must(store_commit(b->store) == 0);
}

/* the messages that the drain will make of the rows */
static void make_messages(struct bench *b, const struct setting *s)
{
	struct batch batch;
	struct store_row row;
	uint64_t after = 0;

	must(batch_init(&batch, b->hub, store_identity(b->store)->epoch) == 0);
	b->messages = calloc((size_t)s->rows + 1, sizeof(b->messages[0]));
	must(b->messages);
	for (b->n_messages = 0;; b->n_messages++) {
		struct raw_message *out = &b->messages[b->n_messages];
		uint8_t *copy;

		batch_begin(&batch, s->batch, BATCH_BYTES);
		while (store_next(b->store, LANE_READINGS, after, &row) == 1 &&
		       batch_add(&batch, &row))
			after = row.sequence;
		if (batch.n == 0)
			break;
		const uint8_t *data = batch_end(&batch, &out->len);
		copy = malloc(out->len);
		must(copy);
		(void)memcpy(copy, data, out->len);
		out->data = copy;
	}
	batch_finish(&batch);
}

static void free_messages(struct bench *b)
{
	for (size_t i = 0; i < b->n_messages; i++)
		free((uint8_t *)(uintptr_t)b->messages[i].data);
	free(b->messages);
}

/* ---- bare Paho ---- */

struct bare {
	MQTTAsync handle;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t acked;
	bool up;
};

static void bare_up(void *user, MQTTAsync_successData5 *data)
{
	struct bare *p = user;

	(void)data;
	(void)pthread_mutex_lock(&p->lock);
	p->up = true;
	(void)pthread_cond_signal(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static void bare_acked(void *user, MQTTAsync_successData5 *data)
{
	struct bare *p = user;

	(void)data;
	(void)pthread_mutex_lock(&p->lock);
	p->acked++;
	(void)pthread_cond_signal(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static int bare_message(void *user, char *topic, int len, MQTTAsync_message *m)
{
	(void)user;
	(void)len;
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

static void bare_connect(struct bare *p, const struct bench *b)
{
	MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
	MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;

	create.maxBufferedMessages = (int)b->config.window + 16;
	must(MQTTAsync_createWithOptions(&p->handle, b->config.broker, "bare",
					 MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) == 0);
	must(MQTTAsync_setCallbacks(p->handle, p, NULL, bare_message, NULL) == 0);
	connect.cleanstart = 1;
	connect.maxInflight = 65535;
	connect.onSuccess5 = bare_up;
	connect.context = p;
	must(MQTTAsync_connect(p->handle, &connect) == 0);
	(void)pthread_mutex_lock(&p->lock);
	while (!p->up)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
}

static void bare_send(struct bare *p, struct bench *b, MQTTProperties *properties)
{
	MQTTAsync_callOptions call = MQTTAsync_callOptions_initializer;
	MQTTAsync_message m = MQTTAsync_message_initializer;

	call.onSuccess5 = bare_acked;
	call.context = p;
	m.qos = 1;
	m.properties = *properties;
	for (size_t i = 0; i <= b->n_messages; i++) {
		bool last = i == b->n_messages;

		(void)pthread_mutex_lock(&p->lock);
		while (i - p->acked >= b->config.window || (last && p->acked < i))
			(void)pthread_cond_wait(&p->changed, &p->lock);
		(void)pthread_mutex_unlock(&p->lock);
		if (last)
			return;
		m.payload = (void *)(uintptr_t)b->messages[i].data; /* only read */
		m.payloadlen = (int)b->messages[i].len;
		must(MQTTAsync_sendMessage(p->handle, b->topics.reading[0][GROUP_BP], &m, &call) ==
		     0);
	}
}

static double bare(struct bench *b)
{
	static struct bare p;
	MQTTProperties properties = { .count = 1, .max_count = 1 };
	MQTTProperty type = { .identifier = MQTTPROPERTY_CODE_CONTENT_TYPE };
	double begin, end;

	p = (struct bare){ .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	type.value.data.data = b->topics.content_type[CONTENT_BATCH];
	type.value.data.len = (int)strlen(type.value.data.data);
	properties.array = &type;
	properties.length = 3 + type.value.data.len;
	bare_connect(&p, b);
	begin = now_s();
	bare_send(&p, b, &properties);
	end = now_s();
	MQTTAsync_destroy(&p.handle);
	return end - begin;
}

/* ---- a bare socket ---- */

static double raw(const struct bench *b)
{
	int fd = raw_open(b->broker.port);
	double begin = now_s(), end;

	raw_run(fd, b->topics.reading[0][GROUP_BP], b->topics.content_type[CONTENT_BATCH],
		b->messages, b->n_messages, b->config.window);
	end = now_s();
	(void)close(fd);
	return end - begin;
}

/* ---- the drain ---- */

static void open_store(struct bench *b)
{
	struct store_options options = { .dir = b->dir, .keep_days = 90 };
	char *said = NULL;

	must(store_open(&options, &b->store, &said) == 0);
	free(said);
}

static void remove_store(const char *dir)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };
	pid_t pid = broker_spawn(argv, "/dev/null");

	must(waitpid(pid, NULL, 0) == pid);
}

/* from "connected" to the last confirmation, as with bare Paho */
static double drain(struct bench *b)
{
	struct publish_state s = { 0 };
	struct publish *p;
	sd_event *event;
	double begin, end;

	must(sd_event_new(&event) >= 0);
	must(publish_new(event, &b->config, b->store, &p) == 0);
	begin = end = now_s();
	while (!publish_drained(p)) {
		must(sd_event_run(event, 1000000) >= 0 && now_s() - end < WAIT_S);
		if (!s.connected) {
			publish_state(p, &s);
			begin = now_s();
		}
	}
	must(store_commit(b->store) == 0);
	end = now_s();
	publish_state(p, &s);
	/* the first few are smaller: nothing is known of the way yet */
	must(s.errors == 0 && s.acked >= b->n_messages);
	publish_free(p, 5000000);
	sd_event_unref(event);
	return end - begin;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* one round of each that is asked for */
static void round_of(struct bench *b, const struct setting *s, struct times *t, int i)
{
	open_store(b);
	fill(b, s->rows);
	make_messages(b, s);
	must(b->messages && b->n_messages > 0);
	b->first_len = b->messages[0].len;
	t->raw[i] = raw(b);
	t->paho[i] = b->far_port ? 0 : bare(b);
	t->ours[i] = drain(b);
	store_close(b->store);
	remove_store(b->dir);
}

static void measure(struct bench *b, const struct setting *s, struct times *t)
{
	const size_t n = (size_t)b->rounds;

	b->config.batch = s->batch;
	b->config.window = s->window;
	for (int i = 0; i < b->rounds; i++) {
		round_of(b, s, t, i);
		if (i < b->rounds - 1)
			free_messages(b);
	}
	qsort(t->raw, n, sizeof(t->raw[0]), by_value);
	qsort(t->paho, n, sizeof(t->paho[0]), by_value);
	qsort(t->ours, n, sizeof(t->ours[0]), by_value);
}

static void run(struct bench *b, const struct setting *s)
{
	static struct times t;
	const int middle = b->rounds / 2;
	double n, rows;

	measure(b, s, &t);
	n = (double)b->n_messages;
	rows = s->rows / t.ours[middle];
	if (s->batch == 1)
		b->ceiling = n / t.raw[middle];
	(void)printf("batch %3u  window %4u  %6zu messages of %5zu B  bare socket %7.0f/s  "
		     "bare Paho %7.0f/s  drain %7.0f/s (%8.0f rows/s)\n"
		     "    of bare Paho %.2f (rounds %.2f to %.2f)  of the socket %.2f  "
		     "rows beside single messages over the socket %.1f\n",
		     s->batch, s->window, b->n_messages, b->first_len, n / t.raw[middle],
		     n / t.paho[middle], n / t.ours[middle], rows, t.paho[middle] / t.ours[middle],
		     t.paho[0] / t.ours[b->rounds - 1], t.paho[b->rounds - 1] / t.ours[0],
		     t.raw[middle] / t.ours[middle], rows / b->ceiling);
	free_messages(b);
}

/* The most there is on a long way: window x batch per round trip. */
static void run_far(struct bench *b, const struct setting *s, double round_s)
{
	static struct times t;
	const double ideal = s->batch * s->window / round_s;
	const int middle = b->rounds / 2;

	measure(b, s, &t);
	(void)printf("round trip %2.0f ms  batch %3u  window %3u  drain %8.0f rows/s, of %.0f "
		     "that batch x window / round trip gives: %.2f (rounds %.2f to %.2f)\n",
		     round_s * 1e3, s->batch, s->window, s->rows / t.ours[middle], ideal,
		     s->rows / t.ours[middle] / ideal, s->rows / t.ours[b->rounds - 1] / ideal,
		     s->rows / t.ours[0] / ideal);
	free_messages(b);
}

static void far_away(struct bench *b)
{
	static const struct setting settings[] = { { 50, 20, 200000 } };
	const int64_t each_us = 25000;
	pid_t way;

	b->far_port = broker_free_port();
	way = delay_start(b->far_port, b->broker.port, each_us);
	(void)snprintf(b->url, sizeof(b->url), "mqtt://127.0.0.1:%d", b->far_port);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		run_far(b, &settings[i], 2 * (double)each_us / 1e6);
	broker_reap(&way, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct setting settings[] = {
		{ 1, 100, 20000 },
		{ 1, 20, 20000 },
		{ 10, 100, 50000 },
		{ 50, 100, 100000 },
	};
	static struct bench b = { .site = "home", .hub = "hub" };

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	b.rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 7;
	must(b.rounds > 0 && b.rounds < ROUNDS_MAX);
	broker_init(&b.broker);
	broker_start(&b.broker, "max_inflight_messages 0\nlog_type error");
	(void)snprintf(b.url, sizeof(b.url), "mqtt://127.0.0.1:%d", b.broker.port);
	(void)snprintf(b.dir, sizeof(b.dir), "%s/bench_drain.tmp", argc > 1 ? argv[1] : ".");
	b.config =
		(struct config){ .site = b.site, .hub = b.hub, .broker = b.url, .keep_alive = 25 };
	must(topics_init(&b.topics, b.site, b.hub, wellgate_descriptor, wellgate_descriptor_len) ==
	     0);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		run(&b, &settings[i]);
	broker_stop(&b.broker, SIGTERM);
	broker_start(&b.broker, "log_type error"); /* as it comes: 20 at once */
	far_away(&b);
	broker_finish(&b.broker);
	return 0;
}
