/* links: gateway_control gateway_config gateway_pipeline gateway_publish gateway_intake gateway_goals gateway_store */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/control/control.h"
#include "gateway/control/server.h"
#include "gateway/devices.h"
#include "gateway/listener.h"

/* turns of the loop until something hung */
#define TURNS_MAX 10000

/* 2026-11-16T08:00:00Z, made up */
#define MONDAY_MS INT64_C(1794816000000)

struct stand {
	char dir[64], devices_path[96], control_path[96], config_path[96];
	struct config *config;
	sd_event *event;
	struct store *store;
	struct intake *intake;
	struct goal_book *book;
	struct publish *publish;
	struct pipeline *pipeline;
	struct devices *devices;
	struct control control;
	struct server *server;
	struct arena arena;
	int64_t max_bytes;
	int fd; /* as wellgate-devices */
	uint64_t sequence;
};

static const char config_text[] = "[hub]\nsite = test\nhub = hub1\ntest = yes\n"
				  "time_zone = Europe/London\n[person]\nsubject = p1\n"
				  "[goal pressure]\ntitle = Measure\nmetric = blood_pressure\n"
				  "rule = measure_regularly\ntarget = 14\nperiod = week\n";

/* ---- a gateway without a broker, in one process with its peers ---- */

static void start(struct stand *s)
{
	const struct intake_options intake = { .time_zone = s->config->time_zone,
					       .subject = s->config->subject,
					       .test = s->config->test };
	const struct store_options store = { .dir = s->dir, .max_bytes = s->max_bytes };

	assert_int_equal(sd_event_new(&s->event), 0);
	assert_int_equal(store_open(&store, &s->store, NULL), 0);
	assert_int_equal(intake_new(&intake, &s->intake), 0);
	assert_int_equal(goal_book_new(s->config->goals, s->config->n_goals, "hub1",
				       store_identity(s->store)->epoch, &s->book),
			 0);
	goal_book_set_test(s->book, true);
	assert_int_equal(publish_new(s->event, s->config, s->store, &s->publish), 0);
	const struct pipeline_parts parts = { s->event,  s->config, s->store,
					      s->intake, s->book,   s->publish };
	assert_int_equal(pipeline_new(&parts, &s->pipeline), 0);
	assert_int_equal(devices_new(s->event, s->devices_path, s->pipeline, &s->devices), 0);
	s->control = (struct control){ .config = s->config,
				       .config_file = s->config_path,
				       .store = s->store,
				       .book = s->book,
				       .publish = s->publish,
				       .pipeline = s->pipeline };
	assert_int_equal(server_new(s->event, s->control_path, &s->control, &s->server), 0);
}

static void stop(struct stand *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	server_free(s->server);
	devices_free(s->devices);
	pipeline_free(s->pipeline);
	publish_free(s->publish, 0);
	goal_book_free(s->book);
	intake_free(s->intake);
	store_close(s->store);
	sd_event_unref(s->event);
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	_cleanup_free_ char *error = NULL;
	FILE *f;

	assert_non_null(s);
	log_open("test_control", LOG_LEVEL_ERROR);
	s->fd = -1;
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/test_control.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->devices_path, sizeof(s->devices_path), "%s/devices.sock", s->dir);
	(void)snprintf(s->control_path, sizeof(s->control_path), "%s/control.sock", s->dir);
	(void)snprintf(s->config_path, sizeof(s->config_path), "%s/w.conf", s->dir);
	f = fopen(s->config_path, "w");
	assert_non_null(f);
	(void)fprintf(f, "%s[hub]\nstate_dir = %s\nruntime_dir = %s\n", config_text, s->dir,
		      s->dir);
	assert_int_equal(fclose(f), 0);
	if (config_load(s->config_path, &s->config, &error) < 0)
		fail_msg("%s", error);
	assert_int_equal(arena_init(&s->arena, CONTROL_ARENA_BYTES), 0);
	start(s);
	*state = s;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	stop(s);
	arena_finish(&s->arena);
	config_free(s->config);
	assert_int_equal(nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(s);
	return 0;
}

/* ---- the peers ---- */

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* length of the next packet, 0 when the peer ended the connection; runs the loop meanwhile */
static size_t hear(struct stand *s, int fd, uint8_t *buf, size_t size)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		const ssize_t n = recv(fd, buf, size, 0);

		if (n >= 0)
			return (size_t)n;
		if (errno != EAGAIN)
			return 0;
		assert_true(sd_event_run(s->event, 10000) >= 0);
	}
	fail_msg("hung");
	return 0;
}

static void send_message(int fd, Wellgate__V1__FromDevices *m)
{
	uint8_t packet[4096];
	const size_t len = wellgate__v1__from_devices__get_packed_size(m);

	assert_true(len <= sizeof(packet));
	(void)wellgate__v1__from_devices__pack(m, packet);
	assert_int_equal(send(fd, packet, len, MSG_NOSIGNAL), len);
}

/* One device, said to be read in this way; identity NULL: it has not said who it is. */
static void send_way_up(int fd, uint32_t link, const char *way, const char *identity)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkUp up = WELLGATE__V1__LINK_UP__INIT;
	char driver[] = "sig_bp";

	up.has_link = true;
	up.link = link;
	up.driver = driver;
	up.address = (char *)(uintptr_t)way; /* protobuf-c has no const; nobody writes to it */
	up.identity = (char *)(uintptr_t)identity;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP;
	m.link_up = &up;
	send_message(fd, &m);
}

/* news: none if it is zero */
static void send_news_up(int fd, uint32_t link, int news)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkUp up = WELLGATE__V1__LINK_UP__INIT;
	Wellgate__V1__News list[] = { (Wellgate__V1__News)news };
	char driver[] = "sig_bp", model[] = "Example cuff", serial[] = "SYNTHETIC-1";

	up.has_link = true;
	up.link = link;
	up.driver = driver;
	up.model = model;
	up.serial = serial;
	up.news = list;
	up.n_news = news ? 1 : 0;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP;
	m.link_up = &up;
	send_message(fd, &m);
}

static void send_link_up(int fd, uint32_t link)
{
	send_news_up(fd, link, 0);
}

static void send_link_down(int fd, uint32_t link, int news, bool understood)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkDown down = WELLGATE__V1__LINK_DOWN__INIT;
	Wellgate__V1__DeviceInfo info = WELLGATE__V1__DEVICE_INFO__INIT;
	Wellgate__V1__News list[] = { (Wellgate__V1__News)news };

	info.news = list;
	info.n_news = news ? 1 : 0;
	info.has_understood = true;
	info.understood = understood;
	down.has_link = true;
	down.link = link;
	down.counts = &info;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_DOWN;
	m.link_down = &down;
	send_message(fd, &m);
}

struct parts {
	Wellgate__V1__Measurement measurement;
	Wellgate__V1__Measurement__Part part[2];
	Wellgate__V1__Measurement__Part *list[2];
	Wellgate__V1__Decimal value[2];
	Wellgate__V1__DeviceTime time;
};

static void fill_part(struct parts *p, size_t i, Wellgate__V1__Metric metric, int64_t value)
{
	wellgate__v1__measurement__part__init(&p->part[i]);
	wellgate__v1__decimal__init(&p->value[i]);
	p->value[i].has_mantissa = p->value[i].has_exponent = true;
	p->value[i].mantissa = value;
	p->part[i].has_metric = p->part[i].has_unit = true;
	p->part[i].metric = metric;
	p->part[i].value = &p->value[i];
	p->part[i].unit = UNIT_MMHG;
	p->list[i] = &p->part[i];
}

/* number n of a series of blood pressures, ten minutes apart */
static void fill_measurement(struct parts *p, uint32_t link, unsigned int n)
{
	Wellgate__V1__Measurement *m = &p->measurement;

	wellgate__v1__measurement__init(m);
	fill_part(p, 0, WELLGATE__V1__METRIC__METRIC_SYSTOLIC, 120 + (int)n % 40);
	fill_part(p, 1, WELLGATE__V1__METRIC__METRIC_DIASTOLIC, 70 + (int)n % 20);
	m->has_metric = m->has_link = m->has_test = m->has_simulated_at_ms = true;
	m->metric = WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
	m->parts = p->list;
	m->n_parts = 2;
	m->link = link;
	m->test = true;
	m->simulated_at_ms = MONDAY_MS + (int64_t)n * 600000;
	m->has_link_security = true;
	m->link_security = WELLGATE__V1__LINK_SECURITY__LINK_REPLAY;
}

static void send_measurement(struct stand *s, uint32_t link, unsigned int n)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	struct parts parts;

	fill_measurement(&parts, link, n);
	m.has_sequence = true;
	m.sequence = ++s->sequence;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT;
	m.measurement = &parts.measurement;
	send_message(s->fd, &m);
}

/* waits until everything sent so far is committed; returns the refusals heard on the way */
static unsigned int until_committed(struct stand *s)
{
	unsigned int refused = 0;

	for (;;) {
		uint8_t packet[512];
		const size_t len = hear(s, s->fd, packet, sizeof(packet));
		Wellgate__V1__ToDevices *m = wellgate__v1__to_devices__unpack(NULL, len, packet);
		bool done;

		assert_true(len > 0);
		assert_non_null(m);
		refused += m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_REFUSED;
		done = m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED &&
		       m->committed == s->sequence;
		wellgate__v1__to_devices__free_unpacked(m, NULL);
		if (done)
			return refused;
	}
}

static void send_series(struct stand *s, unsigned int first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		send_measurement(s, 1, first + i);
		if (i % 50 == 49)
			(void)until_committed(s);
	}
	if (n % 50 != 0)
		(void)until_committed(s);
}

static void connect_devices(struct stand *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = dial(s->devices_path);
	s->sequence = 0;
	send_link_up(s->fd, 1);
}

static Wellgate__V1__Reply *ask_page(struct stand *s, const char *verb, uint64_t after,
				     uint32_t limit)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;

	arena_reset(&s->arena);
	command.verb = (char *)(uintptr_t)verb;
	command.has_id = true;
	command.id = 7;
	command.has_after = true;
	command.after = after;
	command.has_limit = limit > 0;
	command.limit = limit;
	assert_int_equal(control_handle(&s->control, &command, &s->arena, &reply), 0);
	assert_int_equal(reply->id, 7);
	assert_true(wellgate__v1__reply__get_packed_size(reply) <= LISTENER_PACKET_MAX);
	return reply;
}

static Wellgate__V1__Reply *ask(struct stand *s, const char *verb)
{
	return ask_page(s, verb, 0, 0);
}

static uint64_t counter(const Wellgate__V1__HubStatus *status, const char *name)
{
	for (size_t i = 0; i < status->n_counters; i++) {
		if (strcmp(status->counters[i]->name, name) == 0)
			return status->counters[i]->value;
	}
	fail_msg("no counter %s", name);
	return 0;
}

/* ---- tests ---- */

static void test_empty(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply = ask(s, "status");

	assert_int_equal(reply->code, 0);
	assert_string_equal(reply->hub, "hub1");
	assert_string_equal(reply->site, "test");
	assert_null(reply->broker);
	assert_int_equal(reply->status->readings, 0);
	assert_int_equal(reply->status->waiting, 0);
	assert_true(reply->status->test);
	assert_int_equal(ask(s, "devices")->n_devices, 0);
	assert_int_equal(ask(s, "readings")->n_readings, 0);
	assert_int_equal(ask(s, "results")->n_results, 0);
	reply = ask(s, "goals");
	assert_int_equal(reply->n_goals, 1);
	assert_string_equal(reply->goals[0]->title, "Measure");
	assert_int_equal(reply->goals[0]->target->mantissa, 14);
}

static void test_unknown_verbs(void **state)
{
	static const char *const verbs[] = { "", "statu", "status ", "DELETE" };
	struct stand *s = *state;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		const Wellgate__V1__Reply *reply = ask(s, verbs[i]);

		assert_int_equal(reply->code, 64);
		assert_non_null(reply->error);
	}
}

static void test_readings_are_committed(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply;

	connect_devices(s);
	send_series(s, 0, 3);
	reply = ask(s, "readings");
	assert_int_equal(reply->n_readings, 3);
	assert_false(reply->more);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(reply->readings[i]->sequence, i + 1);
		assert_int_equal(reply->readings[i]->n_components, 2);
		assert_int_equal(reply->readings[i]->components[0]->value->mantissa, 120 + i);
	}
	reply = ask(s, "devices");
	assert_int_equal(reply->n_devices, 1);
	assert_string_equal(reply->devices[0]->device->driver, "sig_bp");
	assert_true(reply->devices[0]->device->has_serial_digest);
	assert_int_equal(reply->devices[0]->readings, 3);
	assert_true(reply->devices[0]->connected);
	reply = ask(s, "status");
	assert_int_equal(reply->status->readings, 3);
	assert_true(reply->status->waiting >= 3);
	assert_int_equal(counter(reply->status, "measurements"), 3);
}

/* A tracker by radio, and behind a base station that tells only later who is behind it: one device,
 * and what both ways bring is there once. A device that does not say who it is stays its way. */
static void test_two_ways(void **state)
{
	/* of connect_devices(), the tracker, the base station, another, one by radio, a third */
	static const unsigned int readings[] = { 0, 3, 0, 1, 0, 1 };
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply;
	uint8_t packet[64];

	connect_devices(s);
	send_way_up(s->fd, 2, "radio", "fitbit:10ffee000107");
	send_way_up(s->fd, 3, "station", NULL);
	send_measurement(s, 2, 0);
	send_measurement(s, 2, 1);
	(void)until_committed(s);
	send_way_up(s->fd, 3, "station", "fitbit:10ffee000107");
	send_measurement(s, 3, 0);
	send_measurement(s, 3, 1);
	send_measurement(s, 3, 2);
	send_way_up(s->fd, 4, "another", "fitbit:10ffee000207");
	send_measurement(s, 4, 0);
	send_way_up(s->fd, 5, "radio", NULL);
	send_way_up(s->fd, 6, "third", NULL);
	send_measurement(s, 6, 0);
	(void)until_committed(s);
	reply = ask(s, "status");
	assert_int_equal(reply->status->readings, 3 + 1 + 1);
	assert_int_equal(counter(reply->status, "duplicates"), 2);
	reply = ask(s, "devices");
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++)
		assert_int_equal(reply->devices[i]->readings, readings[i]);
	assert_int_equal(reply->n_devices, sizeof(readings) / sizeof(readings[0]));
	assert_true(reply->devices[1]->connected);
	assert_false(reply->devices[2]->connected); /* it is the tracker that is */
	/* what could be taken for a driver and its address */
	send_way_up(s->fd, 7, "station", "sig_bp/third");
	assert_int_equal(hear(s, s->fd, packet, sizeof(packet)), 0);
	assert_int_equal(counter(ask(s, "status")->status, "malformed"), 1);
}

/* A lost connection: the same again is acknowledged and stored once, also after a restart. */
static void test_sent_again(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply;

	connect_devices(s);
	send_series(s, 0, 20);
	connect_devices(s);
	send_series(s, 0, 25);
	stop(s);
	start(s);
	connect_devices(s);
	send_series(s, 0, 25);
	reply = ask(s, "status");
	assert_int_equal(reply->status->readings, 25);
	assert_int_equal(counter(reply->status, "duplicates"), 25);
	reply = ask(s, "devices");
	assert_int_equal(reply->n_devices, 1);
	assert_int_equal(reply->devices[0]->readings, 25);
}

static void test_paging(void **state)
{
	struct stand *s = *state;
	uint64_t after = 0, seen = 0;
	unsigned int pages = 0;
	const Wellgate__V1__Reply *reply;

	connect_devices(s);
	send_series(s, 0, 700);
	assert_int_equal(ask(s, "readings")->n_readings, 100);
	reply = ask_page(s, "readings", 10, 5);
	assert_int_equal(reply->n_readings, 5);
	assert_int_equal(reply->readings[0]->sequence, 11);
	assert_true(reply->more);
	assert_int_equal(ask_page(s, "readings", 700, 5)->n_readings, 0);
	assert_int_equal(ask_page(s, "readings", UINT64_MAX, 5)->n_readings, 0);
	do {
		reply = ask_page(s, "readings", after, UINT32_MAX);
		for (size_t i = 0; i < reply->n_readings; i++)
			assert_int_equal(reply->readings[i]->sequence, ++seen);
		after = seen;
		pages++;
	} while (reply->more);
	assert_int_equal(seen, 700);
	assert_in_range(pages, 2, 100);
}

static void test_refused(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply;

	connect_devices(s);
	send_measurement(s, 1, 0);
	send_measurement(s, 99, 1); /* no such link */
	send_measurement(s, 1, 2);
	assert_int_equal(until_committed(s), 1);
	reply = ask(s, "status");
	assert_int_equal(reply->status->readings, 2);
	assert_int_equal(counter(reply->status, "refused"), 1);
}

/* The connection ends and is counted; what came before in good order is kept. */
static void test_malformed(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} rows[] = {
		{ "\xff\xff\xff\xff", 4 }, { "\x08", 1 }, { "\x12\xff\xff\xff\xff\x0f", 6 },
		{ "\x08\x01", 2 }, /* a sequence and nothing else */
		{ "\x12\x00", 2 }, /* a measurement without sequence */
		{ "\x1a\x00", 2 }, /* a link without number */
	};
	struct stand *s = *state;
	uint8_t packet[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		connect_devices(s);
		send_series(s, (unsigned int)i, 1);
		assert_int_equal(send(s->fd, rows[i].data, rows[i].len, MSG_NOSIGNAL), rows[i].len);
		assert_int_equal(hear(s, s->fd, packet, sizeof(packet)), 0);
		assert_int_equal(counter(ask(s, "status")->status, "malformed"), i + 1);
	}
	assert_int_equal(ask(s, "status")->status->readings, sizeof(rows) / sizeof(rows[0]));
}

static void test_oversized(void **state)
{
	struct stand *s = *state;
	static const uint8_t big[LISTENER_PACKET_MAX + 1];
	uint8_t packet[64];

	connect_devices(s);
	assert_true(send(s->fd, big, sizeof(big), MSG_NOSIGNAL) > 0);
	assert_true(hear(s, s->fd, packet, sizeof(packet)) > 0); /* the hub's clock */
	assert_int_equal(hear(s, s->fd, packet, sizeof(packet)), 0);
	connect_devices(s);
	send_series(s, 0, 1);
	assert_int_equal(ask(s, "status")->status->readings, 1);
}

static void test_new_client_replaces_old(void **state)
{
	struct stand *s = *state;
	uint8_t packet[64];
	int old;

	connect_devices(s);
	send_series(s, 0, 1);
	old = s->fd;
	s->fd = -1;
	connect_devices(s);
	send_series(s, 1, 1);
	assert_int_equal(hear(s, old, packet, sizeof(packet)), 0);
	(void)close(old);
	assert_int_equal(ask(s, "status")->status->readings, 2);
}

static void test_control_socket(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	_cleanup_free_ uint8_t *packet = malloc(LISTENER_PACKET_MAX);
	const int fd = dial(s->control_path), bad = dial(s->control_path);
	Wellgate__V1__Reply *reply;
	struct stat st;
	char verb[] = "status";
	size_t len;

	assert_non_null(packet);
	assert_int_equal(stat(s->control_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(s->devices_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	command.verb = verb;
	len = wellgate__v1__command__pack(&command, packet);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(fd, packet, len, MSG_NOSIGNAL), len);
		uint8_t *answer = packet + 1024;
		const size_t n = hear(s, fd, answer, LISTENER_PACKET_MAX - 1024);

		reply = wellgate__v1__reply__unpack(NULL, n, answer);
		assert_non_null(reply);
		assert_string_equal(reply->hub, "hub1");
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	assert_int_equal(send(bad, "\xff\xff", 2, MSG_NOSIGNAL), 2);
	assert_int_equal(hear(s, bad, packet, 64), 0);
	(void)close(bad);
	(void)close(fd);
}

static void test_doctor(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply = ask(s, "doctor");
	bool problem = false;

	assert_true(reply->n_findings >= 7);
	for (size_t i = 0; i < reply->n_findings; i++) {
		assert_non_null(reply->findings[i]->what);
		if (reply->findings[i]->level == WELLGATE__V1__FINDING__LEVEL__LEVEL_PROBLEM) {
			assert_non_null(reply->findings[i]->advice);
			problem = true;
		}
	}
	assert_true(problem); /* no devices process has connected */
	connect_devices(s);
	send_series(s, 0, 1);
	reply = ask(s, "doctor");
	for (size_t i = 0; i < reply->n_findings; i++) {
		if (strstr(reply->findings[i]->what, "wellgate-devices"))
			assert_int_equal(reply->findings[i]->level,
					 WELLGATE__V1__FINDING__LEVEL__LEVEL_GOOD);
	}
}

/* ---- news ---- */

/* A reading behind the news: once it is committed, they have been heard. */
static void expect_news(struct stand *s, int news)
{
	const Wellgate__V1__DeviceInfo *d;

	send_link_up(s->fd, 2);
	send_measurement(s, 2, (unsigned int)s->sequence);
	(void)until_committed(s);
	d = ask(s, "devices")->devices[0];
	assert_int_equal(d->n_news, news ? 1 : 0);
	if (news)
		assert_int_equal(d->news[0], news);
}

static size_t doctor_notices(struct stand *s, const char *what)
{
	const Wellgate__V1__Reply *reply = ask(s, "doctor");
	size_t n = 0;

	for (size_t i = 0; i < reply->n_findings; i++) {
		const Wellgate__V1__Finding *f = reply->findings[i];

		if (!strstr(f->what, what))
			continue;
		assert_int_equal(f->level, WELLGATE__V1__FINDING__LEVEL__LEVEL_NOTICE);
		assert_non_null(f->advice);
		n++;
	}
	return n;
}

static void test_news(void **state)
{
	enum {
		BUTTON = WELLGATE__V1__NEWS__NEWS_PRESS_BUTTON,
		KEY = WELLGATE__V1__NEWS__NEWS_ENCRYPTED_NO_KEY,
		NEWER = 31,
		BEYOND = 32,
	};
	struct stand *s = *state;

	connect_devices(s);
	expect_news(s, 0);
	assert_int_equal(doctor_notices(s, "button is pressed"), 0);
	send_news_up(s->fd, 1, BUTTON);
	expect_news(s, BUTTON);
	assert_int_equal(doctor_notices(s, "button is pressed: 1"), 1);
	/* it was pressed: over while the link is still there */
	send_link_up(s->fd, 1);
	expect_news(s, 0);
	assert_int_equal(doctor_notices(s, "button is pressed"), 0);
	/* what the end says stands, also over a link without one good frame */
	send_link_down(s->fd, 1, KEY, true);
	expect_news(s, KEY);
	send_link_up(s->fd, 1);
	send_link_down(s->fd, 1, 0, false);
	expect_news(s, KEY);
	assert_int_equal(doctor_notices(s, "no key for them"), 1);
	send_link_up(s->fd, 1);
	send_link_down(s->fd, 1, 0, true);
	expect_news(s, 0);
	/* of a newer version, and what cannot be one */
	send_news_up(s->fd, 1, NEWER);
	expect_news(s, NEWER);
	assert_int_equal(doctor_notices(s, "no words for"), 1);
	send_news_up(s->fd, 1, BEYOND);
	expect_news(s, 0);
	send_news_up(s->fd, 1, -1);
	expect_news(s, 0);
	/* nobody knows how that link ended */
	send_news_up(s->fd, 1, KEY);
	expect_news(s, KEY);
	connect_devices(s);
	expect_news(s, KEY);
}

/* The next of ToDevices: 1 full, 0 not full, -1 the connection was ended. Raises *committed. */
static int until_full_changes(struct stand *s, uint64_t *committed)
{
	for (;;) {
		uint8_t packet[512];
		const size_t len = hear(s, s->fd, packet, sizeof(packet));
		Wellgate__V1__ToDevices *m;
		int full = -1;

		if (len == 0)
			return -1;
		m = wellgate__v1__to_devices__unpack(NULL, len, packet);
		assert_non_null(m);
		if (m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_FULL)
			full = m->full;
		else if (m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED)
			*committed = m->committed;
		wellgate__v1__to_devices__free_unpacked(m, NULL);
		if (full >= 0)
			return full;
	}
}

/* Sends until the gateway says that it is full; what it said was committed is what it holds. */
static uint64_t fill(struct stand *s)
{
	uint64_t committed = 0;
	unsigned int n = 0;

	connect_devices(s);
	for (;;) {
		uint8_t packet[512];
		const ssize_t len = recv(s->fd, packet, sizeof(packet), 0);
		Wellgate__V1__ToDevices *m;
		bool full;

		assert_true(n < 100000);
		assert_true(sd_event_run(s->event, 0) >= 0);
		if (len <= 0) {
			send_measurement(s, 1, n++);
			continue;
		}
		m = wellgate__v1__to_devices__unpack(NULL, (size_t)len, packet);
		assert_non_null(m);
		full = m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_FULL && m->full;
		if (m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED)
			committed = m->committed;
		wellgate__v1__to_devices__free_unpacked(m, NULL);
		if (full)
			return committed;
	}
}

/* A full store: nothing is called committed that is not, the connection is ended for a new try, and
 * with room again everything that was not committed goes in. */
static void test_full(void **state)
{
	struct stand *s = *state;
	uint64_t committed, more = 0;

	stop(s);
	s->max_bytes = (int64_t)256 * 1024;
	start(s);
	committed = fill(s);
	assert_true(committed > 0);
	assert_true(ask(s, "status")->status->store_full);
	assert_int_equal(ask(s, "status")->status->readings, committed);
	assert_int_equal(until_full_changes(s, &more), 0);
	assert_int_equal(until_full_changes(s, &more), -1);
	assert_int_equal(more, 0);
	stop(s);
	s->max_bytes = 0;
	start(s);
	connect_devices(s);
	send_series(s, 0, (unsigned int)committed + 100);
	assert_int_equal(ask(s, "status")->status->readings, committed + 100);
	assert_false(ask(s, "status")->status->store_full);
}

static void test_goal_results(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply;
	uint64_t before;

	connect_devices(s);
	send_series(s, 0, 12);
	reply = ask(s, "results");
	assert_true(reply->n_results >= 1);
	assert_string_equal(reply->results[0]->goal_id, "pressure");
	before = counter(ask(s, "status")->status, "results");
	assert_true(before >= 1);
	stop(s);
	start(s); /* what was said is not said again */
	assert_int_equal(counter(ask(s, "status")->status, "results"), before);
}

/* ---- what is asked from afar ---- */

static Wellgate__V1__Reply *ask_resend(struct stand *s, uint64_t first, uint64_t last)
{
	Wellgate__V1__SequenceRange range = WELLGATE__V1__SEQUENCE_RANGE__INIT;
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	char verb[] = "resend";

	range.has_kind = range.has_first = range.has_last = true;
	range.kind = WELLGATE__V1__RECEIPT__KIND__KIND_READINGS;
	range.first = first;
	range.last = last;
	command.verb = verb;
	command.range = &range;
	arena_reset(&s->arena);
	assert_int_equal(control_handle(&s->control, &command, &s->arena, &reply), 0);
	return reply;
}

/* Starts again with a broker that is never there. */
static void with_broker(struct stand *s, char *broker)
{
	stop(s);
	s->config->broker = broker;
	start(s);
}

static void test_resend(void **state)
{
	char broker[] = "mqtt://127.0.0.1:1";
	struct stand *s = *state;
	const Wellgate__V1__Reply *reply;
	const uint64_t used[LANE_END] = { 0 };

	connect_devices(s);
	send_series(s, 0, 600);
	assert_int_equal(ask_resend(s, 1, 10)->code, 69);
	with_broker(s, broker);
	assert_int_equal(store_acknowledge(s->store, LANE_READINGS, 600), 0);
	assert_int_equal(store_park(s->store, LANE_READINGS, 3, 0x87), 0);
	assert_int_equal(store_commit(s->store), 0);
	reply = ask_resend(s, 1, 10);
	assert_int_equal(reply->code, 0);
	assert_int_equal(reply->resent->rows, 9);
	assert_int_equal(reply->resent->gone, 1);
	assert_int_equal(reply->resent->n_gone_ranges, 1);
	assert_int_equal(reply->resent->gone_ranges[0]->first, 3);
	assert_int_equal(reply->resent->gone_ranges[0]->last, 3);
	reply = ask_resend(s, 51, 10000); /* in pieces, and to the highest */
	assert_int_equal(reply->resent->looked_upto, 550);
	assert_int_equal(reply->resent->rows, 500);
	assert_int_equal(reply->resent->highest, 600);
	reply = ask_resend(s, 551, UINT64_MAX / 4);
	assert_int_equal(reply->resent->looked_upto, 600);
	assert_int_equal(ask_resend(s, 601, 700)->code, 64);
	assert_int_equal(ask_resend(s, 0, 5)->code, 64);
	assert_int_equal(ask_resend(s, 6, 5)->code, 64);
	assert_int_equal(ask(s, "resend")->code, 64);
	/* under a new epoch the old numbers would be other rows */
	assert_int_equal(store_new_epoch(s->store, used), 0);
	reply = ask_resend(s, 600, 600);
	assert_int_equal(reply->code, 64);
	assert_non_null(strstr(reply->error, "earlier epoch"));
	with_broker(s, NULL);
}

static void test_redecode(void **state)
{
	const Wellgate__V1__Reply *reply = ask(*state, "redecode");

	assert_int_equal(reply->code, 69);
	assert_non_null(strstr(reply->error, "no raw bytes"));
}

static void test_diagnostics(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Diagnostics *m;
	uint8_t *packed;
	size_t len;

	connect_devices(s);
	send_series(s, 0, 12);
	m = ask(s, "diagnostics")->diagnostics;
	assert_non_null(m);
	assert_string_equal(m->versions[0]->version, WELLGATE_VERSION);
	assert_int_equal(m->n_queues, LANE_END);
	assert_int_equal(m->queues[LANE_READINGS]->last, 12);
	assert_int_equal(m->queues[LANE_READINGS]->waiting, 12);
	assert_true(m->n_counters > 20);
	len = wellgate__v1__diagnostics__get_packed_size(m);
	assert_true(len < 8192);
	packed = malloc(len);
	assert_non_null(packed);
	(void)wellgate__v1__diagnostics__pack(m, packed);
	/* neither the person nor the device */
	assert_null(memmem(packed, len, "p1", 2));
	assert_null(memmem(packed, len, "sig_bp", 6));
	free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown_verbs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readings_are_committed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sent_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_paging, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oversized, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_new_client_replaces_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_control_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_doctor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_news, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_goal_results, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resend, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_redecode, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_diagnostics, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
