/* links: gateway_control gateway_config gateway_pipeline gateway_publish gateway_intake gateway_goals gateway_store gateway_registry gateway_print */
/*
 * The clinic's day with the real command line and the real gateway on real sockets: a device is
 * taken in, lent, measured with, and comes back. Only the hub's clock is the test's, because a
 * machine that tests run on need not know the time. All values are made up.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/control/control.h"
#include "gateway/control/server.h"
#include "gateway/devices.h"
#include "gateway/pipeline_part.h"

#define MINUTE_MS INT64_C(60000)
#define SOME_TIME INT64_C(1795429800000) /* Monday 2026-11-23T10:30Z */
#define TURNS_MAX 600000                 /* of a thousandth of a second: hung */
#define WORDS_MAX 10
#define OUT_MAX   16384
#define LENT      1 /* links */
#define STRANGE   2
#define OTHER     "123e4567-e89b-42d3-a456-426614174000"
#define GONE      "bcdfghjklmnpqrstbcdfghjklmnpqrst"

struct stand {
	char dir[64], devices_path[96], control_path[96], config_path[96], program[512];
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
	int fd; /* as wellgate-devices */
	uint64_t sequence;
	char out[OUT_MAX], err[OUT_MAX]; /* of the last command */
	/* the radio, as this test plays it */
	unsigned int wipes; /* that were asked for */
	int wipe_error;
};

static int64_t clock_ms = SOME_TIME;

static void now(struct receipt *ret)
{
	receipt_now(ret);
	ret->utc_ms = clock_ms;
	ret->synced = true;
}

/* ---- the gateway, and the command line beside it ---- */

static void start(struct stand *s)
{
	const struct intake_options intake = { .time_zone = "Europe/London", .now = now };
	const struct store_options store = { .dir = s->dir };

	assert_int_equal(sd_event_new(&s->event), 0);
	assert_int_equal(store_open(&store, &s->store, NULL), 0);
	assert_int_equal(intake_new(&intake, &s->intake), 0);
	assert_int_equal(goal_book_new(NULL, 0, "hub1", store_identity(s->store)->epoch, &s->book),
			 0);
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

static void find_program(struct stand *s)
{
	const ssize_t n = readlink("/proc/self/exe", s->program, sizeof(s->program) - 16);
	char *slash;

	assert_true(n > 0);
	s->program[n] = '\0';
	slash = strrchr(s->program, '/');
	assert_non_null(slash);
	(void)snprintf(slash + 1, sizeof("wellgate"), "wellgate");
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	_cleanup_free_ char *error = NULL;
	FILE *f;

	assert_non_null(s);
	log_open("test_cli_loan", LOG_LEVEL_ERROR);
	clock_ms = SOME_TIME;
	s->fd = -1;
	find_program(s);
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/test_cli_loan.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->devices_path, sizeof(s->devices_path), "%s/devices.sock", s->dir);
	(void)snprintf(s->control_path, sizeof(s->control_path), "%s/control.sock", s->dir);
	(void)snprintf(s->config_path, sizeof(s->config_path), "%s/w.conf", s->dir);
	f = fopen(s->config_path, "w");
	assert_non_null(f);
	(void)fprintf(f,
		      "[hub]\nsite = test\nhub = hub1\ntime_zone = Europe/London\n"
		      "state_dir = %s\nruntime_dir = %s\n",
		      s->dir, s->dir);
	assert_int_equal(fclose(f), 0);
	if (config_load(s->config_path, &s->config, &error) < 0)
		fail_msg("%s", error);
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
	config_free(s->config);
	assert_int_equal(nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(s);
	return 0;
}

static void slurp(const char *path, char ret[OUT_MAX])
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(ret, 1, OUT_MAX - 1, f);
	ret[n] = '\0';
	(void)fclose(f);
	assert_int_equal(unlink(path), 0);
}

static void answer_radio(struct stand *s);

/* Runs the program while the gateway works; its exit status. */
static int run(struct stand *s, char *const argv[])
{
	char out[128], err[128];
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid, done = 0;

	(void)snprintf(out, sizeof(out), "%s/out", s->dir);
	(void)snprintf(err, sizeof(err), "%s/err", s->dir);
	assert_int_equal(setenv("WELLGATE_RUNTIME_DIR", s->dir, 1), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	(void)posix_spawn_file_actions_addopen(&actions, 1, out, O_CREAT | O_WRONLY, 0600);
	(void)posix_spawn_file_actions_addopen(&actions, 2, err, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(posix_spawn(&pid, s->program, &actions, NULL, argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < TURNS_MAX && done == 0; i++) {
		assert_true(sd_event_run(s->event, 1000) >= 0);
		answer_radio(s);
		done = waitpid(pid, &status, WNOHANG);
	}
	assert_int_equal(done, pid);
	assert_true(WIFEXITED(status));
	slurp(out, s->out);
	slurp(err, s->err);
	return WEXITSTATUS(status);
}

/* "loan start 1 --json": words parted by blanks */
__attribute__((format(printf, 3, 4))) static void tell(struct stand *s, int code,
						       const char *format, ...)
{
	char text[512], name[] = "wellgate", *argv[WORDS_MAX + 2] = { name }, *rest = NULL;
	va_list args;
	int got;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	argv[1] = strtok_r(text, " ", &rest);
	for (int i = 2; i < WORDS_MAX; i++)
		argv[i] = strtok_r(NULL, " ", &rest);
	got = run(s, argv);
	if (got != code)
		fail_msg("%s: exit status %d, not %d\n%s%s", format, got, code, s->out, s->err);
}

static void check_says(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("\"%s\" is not in:\n%s", what, text);
}

/* a text out of the first line of JSON; "" if it is not there */
static void json_text(const struct stand *s, const char *key, char ret[64])
{
	json_t *object = json_loads(s->out, JSON_DISABLE_EOF_CHECK, NULL);
	const char *text = json_string_value(json_object_get(object, key));

	(void)snprintf(ret, 64, "%s", text ? text : "");
	json_decref(object);
}

static int json_number(const struct stand *s, const char *key)
{
	json_t *object = json_loads(s->out, JSON_DISABLE_EOF_CHECK, NULL);
	const int value = (int)json_integer_value(json_object_get(object, key));

	json_decref(object);
	return value;
}

/* ---- devices ---- */

static void send_message(const struct stand *s, Wellgate__V1__FromDevices *m)
{
	uint8_t packet[4096];
	const size_t len = wellgate__v1__from_devices__get_packed_size(m);

	assert_true(len <= sizeof(packet));
	(void)wellgate__v1__from_devices__pack(m, packet);
	assert_int_equal(send(s->fd, packet, len, MSG_NOSIGNAL), len);
}

static void link_up(const struct stand *s, uint32_t link)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkUp up = WELLGATE__V1__LINK_UP__INIT;
	char driver[] = "blood_pressure", model[] = "Example cuff", serial[32];

	(void)snprintf(serial, sizeof(serial), "SYNTHETIC-%" PRIu32, link);
	up.has_link = true;
	up.link = link;
	up.driver = driver;
	up.model = model;
	up.serial = serial;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP;
	m.link_up = &up;
	send_message(s, &m);
}

static void connect_devices(struct stand *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(s->fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->devices_path);
	assert_int_equal(connect(s->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	link_up(s, LENT);
	link_up(s, STRANGE);
}

/* waits until everything sent so far is committed */
static void until_committed(struct stand *s)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		uint8_t packet[512];
		const ssize_t n = recv(s->fd, packet, sizeof(packet), 0);
		Wellgate__V1__ToDevices *m = NULL;
		bool done;

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(sd_event_run(s->event, 1000) >= 0);
			continue;
		}
		m = wellgate__v1__to_devices__unpack(NULL, (size_t)n, packet);
		assert_non_null(m);
		done = m->what_case == WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED &&
		       m->committed == s->sequence;
		wellgate__v1__to_devices__free_unpacked(m, NULL);
		if (done)
			return;
	}
	fail_msg("hung");
}

/* A blood pressure that comes in now: some time after what was said, for it may have been measured
 * minutes before it came. */
static void measure_record(struct stand *s, uint32_t link, int systolic, uint32_t record)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__Measurement r = WELLGATE__V1__MEASUREMENT__INIT;
	Wellgate__V1__Measurement__Part part[2] = { WELLGATE__V1__MEASUREMENT__PART__INIT,
						    WELLGATE__V1__MEASUREMENT__PART__INIT };
	Wellgate__V1__Measurement__Part *parts[] = { &part[0], &part[1] };
	Wellgate__V1__Decimal value[2] = { WELLGATE__V1__DECIMAL__INIT,
					   WELLGATE__V1__DECIMAL__INIT };

	clock_ms += 10 * MINUTE_MS;
	for (int i = 0; i < 2; i++) {
		value[i].has_mantissa = value[i].has_exponent = true;
		value[i].mantissa = i == 0 ? systolic : 80;
		part[i].has_metric = part[i].has_unit = true;
		part[i].metric = i == 0 ? WELLGATE__V1__METRIC__METRIC_SYSTOLIC
					: WELLGATE__V1__METRIC__METRIC_DIASTOLIC;
		part[i].value = &value[i];
		part[i].unit = UNIT_MMHG;
	}
	r.has_metric = r.has_link = r.has_test = r.has_simulated_at_ms = true;
	r.metric = WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
	r.parts = parts;
	r.n_parts = 2;
	r.link = link;
	r.has_record_number = record != 0;
	r.record_number = record;
	r.test = true;
	r.simulated_at_ms = clock_ms;
	r.has_link_security = true;
	r.link_security = WELLGATE__V1__LINK_SECURITY__LINK_REPLAY;
	m.has_sequence = true;
	m.sequence = ++s->sequence;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT;
	m.measurement = &r;
	send_message(s, &m);
	until_committed(s);
}

static void measure(struct stand *s, uint32_t link, int systolic)
{
	measure_record(s, link, systolic, 0);
}

static void link_down(const struct stand *s, uint32_t link, bool good)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkDown down = WELLGATE__V1__LINK_DOWN__INIT;
	Wellgate__V1__DeviceInfo counts = WELLGATE__V1__DEVICE_INFO__INIT;

	counts.has_understood = true;
	counts.understood = good;
	down.has_link = true;
	down.link = link;
	down.counts = &counts;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_DOWN;
	m.link_down = &down;
	send_message(s, &m);
}

/* The record service has all of it. */
static void acknowledge_all(struct stand *s)
{
	struct store_counts counts;

	store_counts(s->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		if (counts.last[lane] > counts.acknowledged[lane])
			assert_int_equal(
				store_acknowledge(s->store, (enum lane)lane, counts.last[lane]), 0);
	}
	assert_int_equal(store_commit(s->store), 0);
}

static struct {
	const char *what;
	bool found;
} search;

static int search_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	FILE *f = type == FTW_F ? fopen(path, "r") : NULL;
	_cleanup_free_ char *bytes = NULL;

	(void)ftw;
	if (!f)
		return 0;
	bytes = malloc((size_t)st->st_size + 1);
	assert_non_null(bytes);
	if (fread(bytes, 1, (size_t)st->st_size, f) == (size_t)st->st_size &&
	    memmem(bytes, (size_t)st->st_size, search.what, strlen(search.what)))
		search.found = true;
	(void)fclose(f);
	return 0;
}

/* in any file of the state, freed pages and the log included */
static bool is_on_disk(const struct stand *s, const char *what)
{
	search.what = what;
	search.found = false;
	assert_int_equal(nftw(s->dir, search_one, 8, FTW_PHYS), 0);
	return search.found;
}

/* ---- tests ---- */

/* Takes the first device in and lends it: the reference, and the loan's number. */
static int lend(struct stand *s, char subject[64])
{
	tell(s, 0, "device add 1 --memory 0");
	check_says(s->out, "Example cuff is in the list now.");
	tell(s, 0, "loan start 1 --json");
	json_text(s, "subject", subject);
	assert_int_equal(strlen(subject), 32);
	return json_number(s, "number");
}

static void test_a_loan(void **state)
{
	struct stand *s = *state;
	char subject[64], state_of_it[64];
	int number;

	connect_devices(s);
	number = lend(s, subject);
	tell(s, 0, "loan list");
	check_says(s->out, "Example cuff");
	check_says(s->out, "on loan, from 2026-11-23 10:30 UTC");
	check_says(s->out, subject);
	measure(s, LENT, 131);
	tell(s, 0, "readings --json");
	check_says(s->out, subject);
	check_says(s->out, "\"rule\":\"loan\"");
	tell(s, 0, "held list");
	check_says(s->out, "No reading is held.");

	clock_ms += MINUTE_MS;
	tell(s, 0, "loan end 1");
	check_says(s->out, "It has ended.");
	check_says(s->out, "Readings that wait to be sent: 1.");
	tell(s, 0, "loan report %d --json", number);
	json_text(s, "erasure", state_of_it);
	assert_string_equal(state_of_it, "waiting");
	assert_true(is_on_disk(s, "hub1"));
	acknowledge_all(s);
	tell(s, 0, "loan report %d", number);
	check_says(s->out, "Their key is destroyed.");
	check_says(s->out, "The device itself keeps no readings.");
	assert_false(is_on_disk(s, subject));
	tell(s, 0, "readings --json");
	assert_null(strstr(s->out, subject));
	tell(s, 0, "loan list");
	check_says(s->out, "Example cuff");
	check_says(s->out, ": free");
	tell(s, 0, "loan list --all --json");
	assert_null(strstr(s->out, subject));

	/* after a restart it is known that it was, and nobody's */
	stop(s);
	start(s);
	tell(s, 0, "loan report %d --json", number);
	json_text(s, "erasure", state_of_it);
	assert_string_equal(state_of_it, "done");
}

/* Nobody has to ask for it: when all of theirs was delivered, the hub does it by itself. */
static void test_leaver(void **state)
{
	struct stand *s = *state;
	char subject[64];
	int number;

	connect_devices(s);
	number = lend(s, subject);
	assert_int_equal(pipeline_erase_leaver(s->pipeline), 0);
	measure(s, LENT, 139);
	assert_int_equal(pipeline_erase_leaver(s->pipeline), 0);
	clock_ms += MINUTE_MS;
	tell(s, 0, "loan end %s", subject);
	assert_int_equal(pipeline_erase_leaver(s->pipeline), 0);
	acknowledge_all(s);
	assert_int_equal(pipeline_erase_leaver(s->pipeline), 1);
	assert_false(is_on_disk(s, subject));
	assert_int_equal(pipeline_erase_leaver(s->pipeline), 0);
	tell(s, 0, "loan report %d", number);
	check_says(s->out, "Their key is destroyed.");
}

/* What nobody's device measured waits until somebody says whose it is. */
static void test_held(void **state)
{
	struct stand *s = *state;
	char subject[64], id[64], other[64];

	connect_devices(s);
	(void)lend(s, subject);
	measure(s, STRANGE, 132);
	measure(s, STRANGE, 133);
	tell(s, 0, "held list");
	check_says(s->out, "blood pressure 132 over 80 mmHg");
	check_says(s->out, "10:40");
	check_says(s->out, "We do not know whose it is.");
	tell(s, 0, "held list --json");
	json_text(s, "reading_id", id);
	assert_int_equal(strlen(id), 32);
	tell(s, 0, "readings --json");
	assert_string_equal(s->out, "");

	tell(s, 64, "held assign %s %s", id, subject);
	check_says(s->err, "Add it first.");
	tell(s, 0, "device add 2 --memory 0");
	tell(s, 64, "held assign 0123456789 %s", subject);
	tell(s, 64, "held assign %s Jane", id);
	tell(s, 0, "held assign %s %s", id, subject);
	check_says(s->out, "keeps the time when it was measured");
	tell(s, 0, "readings --json");
	check_says(s->out, "2026-11-23T10:40:00");
	check_says(s->out, "\"rule\":\"staff\"");
	tell(s, 0, "held list --json");
	json_text(s, "reading_id", other);
	assert_string_not_equal(other, id);
	tell(s, 0, "held discard %s", other);
	tell(s, 0, "held list --json");
	assert_string_equal(s->out, "");
}

/* "That was not mine": what was filed is filed anew, and the old one is not shown any more. */
static void test_corrected(void **state)
{
	struct stand *s = *state;
	char subject[64], id[64];

	connect_devices(s);
	(void)lend(s, subject);
	measure(s, LENT, 134);
	tell(s, 0, "readings --json");
	json_text(s, "reading_id", id);
	tell(s, 0, "held said %s %s not-me", id, subject);
	tell(s, 0, "readings --json");
	assert_string_equal(s->out, "");
	tell(s, 0, "readings --json --all");
	check_says(s->out, id);
	check_says(s->out, "\"hidden\":true");
}

/* A memory that nobody cleared may hold anybody's readings. */
static void test_old_memory(void **state)
{
	struct stand *s = *state;

	connect_devices(s);
	tell(s, 64, "device add 1");
	check_says(s->err, "--memory");
	tell(s, 0, "device add 1 --memory 60 --clock");
	tell(s, 69, "device add 1 --memory 60 --clock");
	tell(s, 69, "loan start 1");
	check_says(s->err, "--wiped");
	tell(s, 0, "loan start 1 --mark 60");
	check_says(s->out, "up to number 60 stays out");
	tell(s, 69, "loan start 1 --wiped");
	check_says(s->err, "Somebody has this device");
	tell(s, 69, "device retire 1");
	tell(s, 0, "loan end 1");
	check_says(s->out, "Their key is destroyed.");
	/* a loan that was refused leaves nothing of what was said with it */
	tell(s, 64, "loan start 1 --wiped --slot 9");
	tell(s, 0, "loan report 3 --json");
	check_says(s->out, "\"device_cleared\":false");
	tell(s, 69, "loan start 1 --subject " OTHER);
	tell(s, 0, "loan start 1 --subject " OTHER " --wiped --json");
	check_says(s->out, "\"clean\":\"wiped\"");
	tell(s, 0, "loan end " OTHER);
	tell(s, 0, "device retire 1");
}

/* What the hub has read out of a device since it came back keeps the loan after it clean. */
static void test_read_out(void **state)
{
	struct stand *s = *state;

	connect_devices(s);
	tell(s, 0, "device add 1 --memory 60 --clock");
	tell(s, 69, "loan start 1");
	measure_record(s, LENT, 130, 41);
	tell(s, 69, "loan start 1"); /* the visit is not over: more may come */
	link_down(s, LENT, false);
	tell(s, 69, "loan start 1"); /* nor was it a good one */
	link_up(s, LENT);
	link_down(s, LENT, true);
	tell(s, 0, "loan start 1");
	check_says(s->out, "up to number 41 stays out");
	tell(s, 0, "loan end 1");
	clock_ms += 10 * MINUTE_MS;
	tell(s, 69, "loan start 1"); /* not read since that person had it */
	link_up(s, LENT);
	measure_record(s, LENT, 131, 44);
	link_down(s, LENT, true);
	tell(s, 0, "loan start 1");
	check_says(s->out, "up to number 44 stays out");
}

/* ---- a device's own memory ---- */

#define METER         3 /* link */
#define METER_ADDRESS "02:00:5E:10:00:07 public"
#define WIPE(name)    WELLGATE__V1__REGISTRY_EVENT__WIPE__WIPE_##name

/* Hears a wish to empty the meter, and says that it is noted. */
static void answer_radio(struct stand *s)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__RadioOutcome outcome = WELLGATE__V1__RADIO_OUTCOME__INIT;
	Wellgate__V1__ToDevices *heard;
	uint8_t packet[512];
	const ssize_t n = s->fd < 0 ? -1 : recv(s->fd, packet, sizeof(packet), 0);

	heard = n > 0 ? wellgate__v1__to_devices__unpack(NULL, (size_t)n, packet) : NULL;
	if (heard && heard->what_case == WELLGATE__V1__TO_DEVICES__WHAT_RADIO) {
		assert_int_equal(heard->radio->what_case, WELLGATE__V1__RADIO_COMMAND__WHAT_WIPE);
		assert_string_equal(heard->radio->wipe->address, METER_ADDRESS);
		s->wipes++;
		outcome.has_id = outcome.has_error = true;
		outcome.id = heard->radio->id;
		outcome.error = s->wipe_error;
		m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_OUTCOME;
		m.outcome = &outcome;
		send_message(s, &m);
	}
	wellgate__v1__to_devices__free_unpacked(heard, NULL);
}

static void meter_status(const struct stand *s, bool can_wipe, bool wipe_asked)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__RadioStatus status = WELLGATE__V1__RADIO_STATUS__INIT;
	Wellgate__V1__RadioDevice d = WELLGATE__V1__RADIO_DEVICE__INIT, *list[] = { &d };
	char driver[] = "glucose_meter", address[] = METER_ADDRESS;

	d.driver = driver;
	d.address = address;
	d.has_can_wipe = d.has_wipe_asked = true;
	d.can_wipe = can_wipe;
	d.wipe_asked = wipe_asked;
	status.has_first = status.has_last = status.has_adapter = true;
	status.first = status.last = true;
	status.adapter = WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_READY;
	status.devices = list;
	status.n_devices = 1;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_RADIO;
	m.radio = &status;
	send_message(s, &m);
}

static void meter_up(const struct stand *s)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkUp up = WELLGATE__V1__LINK_UP__INIT;
	char driver[] = "glucose_meter", address[] = METER_ADDRESS, model[] = "Meter";

	up.has_link = true;
	up.link = METER;
	up.driver = driver;
	up.address = address;
	up.model = model;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP;
	m.link_up = &up;
	send_message(s, &m);
}

/* How the emptying of its memory came out; 0: nothing is said. */
static void meter_down(const struct stand *s, unsigned int outcome, bool understood)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkDown down = WELLGATE__V1__LINK_DOWN__INIT;
	Wellgate__V1__DeviceInfo counts = WELLGATE__V1__DEVICE_INFO__INIT;
	Wellgate__V1__RegistryEvent__Wiped wiped = WELLGATE__V1__REGISTRY_EVENT__WIPED__INIT;

	down.has_link = true;
	down.link = METER;
	counts.has_understood = true;
	counts.understood = understood;
	wiped.has_outcome = wiped.has_records = true;
	wiped.outcome = (Wellgate__V1__RegistryEvent__Wipe)outcome;
	wiped.records = 3;
	down.counts = &counts;
	down.wipe = outcome ? &wiped : NULL;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_DOWN;
	m.link_down = &down;
	send_message(s, &m);
}

static void meter_link(const struct stand *s, unsigned int outcome)
{
	meter_up(s);
	meter_down(s, outcome, false);
}

/* A meter with a memory, on loan; the number of the loan. */
static int lend_meter(struct stand *s)
{
	connect_devices(s);
	meter_status(s, true, false);
	meter_link(s, 0);
	tell(s, 0, "device add Meter --memory 60");
	tell(s, 69, "loan start Meter");
	tell(s, 0, "loan start Meter --wiped --json");
	return json_number(s, "number");
}

static void test_memory_is_emptied(void **state)
{
	struct stand *s = *state;
	const int loan = lend_meter(s);

	tell(s, 0, "loan end Meter");
	assert_int_equal(s->wipes, 1);
	check_says(s->out, "When this box next reads Meter, it keeps all of it");
	assert_null(strstr(s->out, "clear its own memory"));
	meter_status(s, true, true);
	tell(s, 0, "loan report %d", loan);
	check_says(s->out, "This box does it when it next reads the device.");
	tell(s, 69, "loan report %d --unpair", loan);
	check_says(s->err, "Without the pairing");
	tell(s, 69, "loan start Meter"); /* asked is not done */
	meter_link(s, WIPE(PROVEN));
	meter_status(s, true, false);
	tell(s, 0, "loan report %d", loan);
	check_says(s->out, "read it again. It was empty.");
	tell(s, 0, "loan report %d --json", loan);
	check_says(s->out, "\"device_cleared\":true");
	check_says(s->out, "\"wipe\":\"read_back_empty\"");
	stop(s);
	start(s);
	tell(s, 0, "loan report %d", loan);
	check_says(s->out, "read it again. It was empty.");
}

/* Nothing but the device's own word, after it was read again, opens the next loan. */
static void test_memory_is_not_proven_empty(void **state)
{
	static const struct {
		unsigned int outcome;
		const char *words;
	} rows[] = {
		{ WIPE(REFUSED), "it does not do that" },
		{ WIPE(UNREAD), "could not read all of the device" },
		{ WIPE(LEFT), "it may not be empty" },
		{ 5, "it may not be empty" }, /* nobody knows that one: the last word stands */
	};
	struct stand *s = *state;
	const int loan = lend_meter(s);

	s->wipe_error = EIO;
	tell(s, 0, "loan end Meter");
	check_says(s->out, "clear its own memory as its manual says");
	tell(s, 0, "loan report %d", loan);
	check_says(s->out, "To have this box do it: wellgate device wipe.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		meter_link(s, rows[i].outcome);
		tell(s, 0, "loan report %d", loan);
		check_says(s->out, rows[i].words);
		tell(s, 69, "loan start Meter");
		check_says(s->err, "--wiped");
	}
	tell(s, 0, "loan report %d --json", loan);
	check_says(s->out, "\"device_cleared\":false");
	check_says(s->out, "\"wipe\":\"not_proven\"");
	meter_link(s, WIPE(PROVEN));
	tell(s, 0, "loan start Meter");
	check_says(s->out, "It was cleared before");
}

/* It is empty for the next person alone; and it numbers anew, so what came before sets no mark. */
static void test_memory_fills_again(void **state)
{
	struct stand *s = *state;

	(void)lend_meter(s);
	meter_up(s);
	measure_record(s, METER, 130, 41);
	meter_down(s, 0, true);
	tell(s, 0, "loan end Meter");
	clock_ms += 10 * MINUTE_MS;
	meter_up(s);
	meter_down(s, WIPE(PROVEN), true);
	tell(s, 0, "loan start Meter --json");
	check_says(s->out, "\"clean\":\"emptied\"");
	meter_up(s);
	measure_record(s, METER, 131, 2);
	meter_down(s, 0, true);
	tell(s, 0, "loan end Meter");
	clock_ms += 10 * MINUTE_MS;
	tell(s, 69, "loan start Meter");
	meter_link(s, 0);
	tell(s, 69, "loan start Meter");
	meter_up(s);
	meter_down(s, 0, true);
	tell(s, 0, "loan start Meter");
	check_says(s->out, "up to number 2 stays out");
}

static void test_memory_of_others(void **state)
{
	struct stand *s = *state;

	connect_devices(s);
	meter_status(s, true, false);
	meter_link(s, WIPE(PROVEN)); /* in no list: nothing is noted, and nothing breaks */
	tell(s, 69, "device wipe 1");
	check_says(s->err, "cannot clear that device");
	assert_int_equal(s->wipes, 0);
	tell(s, 0, "device add Meter --memory 60 --slots 2");
	tell(s, 69, "loan start Meter --slot 1");
	tell(s, 0, "loan start Meter --slot 1 --wiped");
	tell(s, 0, "loan start Meter --slot 2 --mark 9");
	tell(s, 0, "loan end Meter --slot 1"); /* the other one still has theirs in it */
	assert_int_equal(s->wipes, 0);
	tell(s, 0, "loan end Meter --slot 2");
	assert_int_equal(s->wipes, 1);
	tell(s, 0, "device wipe Meter");
	assert_int_equal(s->wipes, 2);
	check_says(s->out, "When this box next reads Meter");
	s->wipe_error = EOPNOTSUPP;
	tell(s, 69, "device wipe Meter");
	check_says(s->err, "cannot clear that device");
}

static void test_sessions(void **state)
{
	struct stand *s = *state;

	connect_devices(s);
	tell(s, 64, "session open 1 --subject " OTHER);
	check_says(s->err, "Add it first");
	tell(s, 0, "device add 1 --memory 0");
	tell(s, 64, "session open 1");
	tell(s, 64, "session open 1 --subject 9434765919");
	check_says(s->err, "NHS number");
	tell(s, 64, "session open 1 --minutes 61 --subject " OTHER);
	tell(s, 0, "session open 1 --minutes 30 --subject " OTHER);
	check_says(s->out, "for the next 30 minutes");
	tell(s, 69, "session open 1 --subject " OTHER);
	measure(s, LENT, 135);
	tell(s, 0, "readings --json");
	check_says(s->out, "\"rule\":\"session\"");
	tell(s, 0, "session close 1");
	tell(s, 64, "session close 1");
	measure(s, LENT, 136);
	tell(s, 0, "held list");
	check_says(s->out, "136 over 80");
}

static void write_list(const struct stand *s, const char *rows)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/list.csv", s->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f, "what,device,kind,memory,subject,basis,from,to\n%s", rows);
	assert_int_equal(fclose(f), 0);
}

/* A list of another system: all of it or nothing, and the same list again changes nothing. */
static void test_import(void **state)
{
	struct stand *s = *state;
	char rows[1024], device[64], path[128];

	connect_devices(s);
	measure(s, LENT, 138);
	(void)snprintf(path, sizeof(path), "%s/list.csv", s->dir);
	tell(s, 0, "devices --json");
	json_text(s, "device", device);
	(void)snprintf(rows, sizeof(rows),
		       "assignment,%s,,," OTHER ",loan,2020-03-01T00:00Z,\n"
		       "assignment,%s,,," GONE ",loan,2020-02-01T00:00Z,2020-03-01T00:00Z\n"
		       "device,%s,cuff,0,,,,\n",
		       device, device, device);
	write_list(s, rows);
	tell(s, 0, "import registry %s", path);
	check_says(s->out, "Lines that were new: 3.");
	tell(s, 0, "import registry %s", path);
	check_says(s->out, "Lines that were new: 0.");
	check_says(s->out, "Lines that were true before: 3.");
	tell(s, 0, "loan list");
	check_says(s->out, OTHER);
	assert_null(strstr(s->out, GONE));

	(void)snprintf(rows, sizeof(rows),
		       "device,ffffffffffffffffffffffffffffffff,scale,0,,,,\n"
		       "assignment,%s,,," GONE ",loan,2020-04-01T00:00Z,\n",
		       device);
	write_list(s, rows);
	tell(s, 65, "import registry %s", path);
	check_says(s->err, "line 3: Somebody has this device at that time.");
	tell(s, 0, "loan list --json");
	assert_null(strstr(s->out, "ffffffff"));
	(void)snprintf(rows, sizeof(rows), "assignment,%s,,,9434765919,loan,2020-04-01T00:00Z,\n",
		       device);
	write_list(s, rows);
	tell(s, 65, "import registry %s --json", path);
	check_says(s->err, "line 2: This looks like an NHS number.");
	tell(s, 74, "import registry %s.not", path);
}

static void test_usage(void **state)
{
	static const char *const lines[] = {
		"loan",
		"loan begin",
		"loan start",
		"loan start 1 2",
		"loan start 1 --minutes 5",
		"loan start 1 --mark x",
		"loan start 77",
		"loan end",
		"loan end 1 --at x",
		"loan report x",
		"device add nothing",
		"device add 1 --kind toaster --memory 0",
		"held assign 12",
		"held said 0102 x maybe",
		"session open 1 --minutes -1",
		"loan start 1 --owned --shared",
	};
	struct stand *s = *state;

	connect_devices(s);
	measure(s, LENT, 137);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		tell(s, 64, "%s", lines[i]);
		check_says(s->err, "wellgate ");
	}
	tell(s, 0, "loan --help");
	check_says(s->out, "usage: wellgate loan start DEVICE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_loan, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leaver, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_corrected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_is_emptied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_is_not_proven_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_fills_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sessions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_import, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_usage, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
