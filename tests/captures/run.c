/*
 * Plays one capture through its driver with a fake clock and compares both directions: what came
 * out with the .expect beside it, what the driver asked for with the '>' lines inside it.
 *
 *   capture_run FILE.cap            exit status 1 and a diff if anything differs
 *   capture_run --update FILE.cap   rewrites FILE.expect; for people, never in a test
 *
 * Everything is committed after each event and not before, and a confirmation that comes earlier
 * than the commit of what was emitted is a failure; so is a memory that is kept earlier.
 *
 * FILE.btsnoop is what passed between a host and its controller. Some of its reads and writes are
 * of the host's own making, so only the confirmations are compared.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/transport/feed.h"
#include "drivers/transport/replay.h"
#include "gateway/cli/print.h"

#define LINES_MAX   512
#define ACTIONS_MAX 16

struct lines {
	char *text[LINES_MAX];
	size_t n;
};

/* Something the driver or the session did towards the device. */
struct action {
	enum cap_kind kind;
	uint16_t channel;
	size_t len;
	uint8_t data[DRV_WRITE_MAX];
};

struct run {
	const char *path;
	bool only_confirms;
	struct replay *replay;
	struct feed *feed;
	uint64_t next_seq;
	unsigned int uncommitted; /* readings */
	struct lines out;
	struct action actions[ACTIONS_MAX];
	size_t n_actions;
	int failures;
};

static void fail(struct run *run, const char *what, const char *detail)
{
	char where[512];

	replay_where(run->replay, where, sizeof(where));
	(void)fprintf(stderr, "%s: %s%s\n", where, what, detail);
	run->failures++;
}

static void add_line(struct lines *lines, char *text)
{
	if (!text || lines->n == LINES_MAX) {
		(void)fputs("capture_run: too many lines, or out of memory\n", stderr);
		exit(1);
	}
	lines->text[lines->n++] = text;
}

static void on_measurement(void *user, uint16_t link, const struct measurement *m, uint64_t seq)
{
	struct run *run = user;
	const struct session *session = feed_session(run->feed, link);

	(void)seq;
	if (measurement_is_final(m))
		run->uncommitted++;
	add_line(&run->out, print_measurement(m, session ? session_driver(session)->name : NULL));
}

static void act(struct run *run, enum cap_kind kind, uint16_t channel, const uint8_t *data,
		size_t len)
{
	struct action *a;

	if (run->only_confirms && kind != CAP_CONFIRM)
		return;
	if (run->n_actions == ACTIONS_MAX) {
		fail(run, "the driver asks for too much at once", "");
		return;
	}
	a = &run->actions[run->n_actions++];
	a->kind = kind;
	a->channel = channel;
	a->len = len;
	if (len > 0)
		memcpy(a->data, data, len);
}

static void on_request(void *user, uint16_t link, const struct session_request *request)
{
	struct run *run = user;

	(void)link;
	if (request->kind == SESSION_WRITE)
		act(run, CAP_WRITE, request->channel, request->data, request->len);
	if (request->kind == SESSION_READ)
		act(run, CAP_READ, request->channel, NULL, 0);
	if (request->kind == SESSION_CLOSE)
		add_line(&run->out, strdup("{\"close\":true}"));
}

static void on_confirm(void *user, uint16_t link, uint16_t channel)
{
	struct run *run = user;

	(void)link;
	if (run->uncommitted > 0)
		fail(run, "confirmed before it was committed", "");
	act(run, CAP_CONFIRM, channel, NULL, 0);
}

static void on_fault(void *user, uint16_t link, uint16_t channel, enum session_fault fault, int r)
{
	struct run *run = user;
	char *line = NULL;

	(void)link;
	(void)r;
	if (asprintf(&line, "{\"fault\":\"%s\",\"channel\":\"%04x\"}", session_fault_name(fault),
		     channel) < 0)
		line = NULL;
	add_line(&run->out, line);
}

static void on_consent(void *user, uint16_t link, size_t i, enum drv_consent_outcome outcome,
		       uint8_t slot)
{
	static const char *const names[] = {
		[DRV_CONSENT_GOOD] = "good",
		[DRV_CONSENT_MADE] = "made",
		[DRV_CONSENT_REFUSED] = "refused",
	};
	struct run *run = user;
	char *line = NULL;

	(void)link;
	if (asprintf(&line, "{\"consent\":%zu,\"outcome\":\"%s\",\"slot\":%u}", i, names[outcome],
		     slot) < 0)
		line = NULL;
	add_line(&run->out, line);
}

static void on_memory(void *user, uint16_t link, const struct session_memory *memory)
{
	struct run *run = user;
	char line[DRV_KEPT_MAX * 2 + 32] = "{\"kept\":\"";
	size_t n = strlen(line);

	(void)link;
	if (run->uncommitted > 0)
		fail(run, "kept before it was committed", "");
	for (size_t i = 0; i < memory->kept_len; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%02x", memory->kept[i]);
	(void)snprintf(line + n, sizeof(line) - n, "\"}");
	add_line(&run->out, strdup(line));
}

static void describe(const struct action *a, char *buf, size_t size)
{
	static const char *const names[] = {
		[CAP_CONFIRM] = "confirm", [CAP_WRITE] = "write", [CAP_READ] = "read"
	};
	size_t n = (size_t)snprintf(buf, size, "> %s %04x ", names[a->kind], a->channel);

	for (size_t i = 0; i < a->len && n + 3 < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%02x", a->data[i]);
}

/* a '>' line: the oldest thing that was done must be this one */
static void expect_action(struct run *run, const struct cap_event *e)
{
	struct action *a = &run->actions[0];
	char text[256];

	if (run->n_actions == 0) {
		fail(run, "the driver did not do this", "");
		return;
	}
	if (a->kind != e->kind || a->channel != e->channel || a->len != e->len ||
	    memcmp(a->data, e->data, e->len) != 0) {
		describe(a, text, sizeof(text));
		fail(run, "instead, the driver did: ", text);
	}
	run->n_actions--;
	memmove(a, a + 1, run->n_actions * sizeof(*a));
}

static void expect_no_action(struct run *run)
{
	char text[256];

	for (size_t i = 0; i < run->n_actions; i++) {
		describe(&run->actions[i], text, sizeof(text));
		fail(run, "before this the capture lacks the line: ", text);
	}
	run->n_actions = 0;
}

static void add_facts(struct run *run, uint16_t link)
{
	static const char *const names[DRV_FACT_END] = { "make", "model", "serial", "firmware",
							 "hardware" };
	const struct session *session = feed_session(run->feed, link);
	const struct session_facts *facts = session ? session_facts(session) : NULL;
	char line[512] = "{\"device\":{";
	size_t n = strlen(line), empty = n;

	if (!facts)
		return;
	for (size_t i = 0; i < DRV_FACT_END; i++) {
		if (facts->text[i][0])
			n += (size_t)snprintf(line + n, sizeof(line) - n, "%s\"%s\":\"%s\"",
					      n > empty ? "," : "", names[i], facts->text[i]);
	}
	if (facts->has_battery)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s\"battery\":%u",
				      n > empty ? "," : "", facts->battery);
	(void)snprintf(line + n, sizeof(line) - n, "}}");
	if (n > empty)
		add_line(&run->out, strdup(line));
}

static void commit(struct run *run, int64_t now)
{
	run->uncommitted = 0;
	(void)feed_committed(run->feed, run->next_seq - 1, now);
}

/* Time passes first, so that what a timer emits is not mixed up with what the event causes. */
static void let_time_pass(struct run *run, const struct cap_event *e)
{
	const struct cap_event tick = { .kind = CAP_CONFIRM, .at_us = e->at_us, .link = e->link };

	(void)feed_event(run->feed, &tick);
	commit(run, e->at_us);
}

static void play(struct run *run, const struct cap_event *e)
{
	let_time_pass(run, e);
	if (run->only_confirms && (e->kind == CAP_WRITE || e->kind == CAP_READ))
		return;
	if (e->kind == CAP_CONFIRM || e->kind == CAP_WRITE || e->kind == CAP_READ) {
		expect_action(run, e);
		return;
	}
	if (!run->only_confirms) /* a host has other things to do meanwhile */
		expect_no_action(run);
	if (e->kind == CAP_CLOSE)
		add_facts(run, e->link);
	if (feed_event(run->feed, e) == -ENODEV)
		fail(run, "no driver for this", "");
	commit(run, e->at_us);
}

static int play_all(struct run *run)
{
	_cleanup_free_ char *error = NULL;
	struct cap_event e;
	int64_t start;
	int r;

	if (replay_open(run->path, NULL, &run->replay, &error) < 0) {
		(void)fprintf(stderr, "%s\n", error);
		return -EIO;
	}
	if (replay_start(run->replay, &start))
		feed_set_start(run->feed, start);
	while ((r = replay_next(run->replay, &e, &error)) > 0)
		play(run, &e);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", error);
	else
		expect_no_action(run);
	return r;
}

/* FILE.cap, FILE.btsnoop -> FILE.expect */
static int expect_path(const char *path, char *buf, size_t size, bool *ret_only_confirms)
{
	const char *suffix = strrchr(path, '.');

	if (!suffix || (strcmp(suffix, ".cap") != 0 && strcmp(suffix, ".btsnoop") != 0) ||
	    snprintf(buf, size, "%.*s.expect", (int)(suffix - path), path) >= (int)size)
		return -EINVAL;
	*ret_only_confirms = strcmp(suffix, ".btsnoop") == 0;
	return 0;
}

static int write_lines(const struct lines *lines, const char *path)
{
	_cleanup_file_ FILE *file = fopen(path, "w");

	if (!file)
		return -errno;
	for (size_t i = 0; i < lines->n; i++)
		(void)fprintf(file, "%s\n", lines->text[i]);
	return fflush(file) == 0 ? 0 : -EIO;
}

static int read_lines(struct lines *lines, const char *path)
{
	_cleanup_file_ FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		add_line(lines, strdup(line));
	}
	free(line);
	return 0;
}

static const char *line_at(const struct lines *lines, size_t i)
{
	return i < lines->n ? lines->text[i] : "(nothing)";
}

static int compare(const struct lines *expected, const struct lines *found, const char *path)
{
	int differences = 0;

	for (size_t i = 0; i < expected->n || i < found->n; i++) {
		if (strcmp(line_at(expected, i), line_at(found, i)) == 0)
			continue;
		(void)fprintf(stderr, "%s:%zu:\n-%s\n+%s\n", path, i + 1, line_at(expected, i),
			      line_at(found, i));
		differences++;
	}
	return differences;
}

static void free_lines(struct lines *lines)
{
	while (lines->n > 0)
		free(lines->text[--lines->n]);
}

static int check(struct run *run, bool update)
{
	struct lines expected = { .n = 0 };
	char path[4096];
	int r;

	if (expect_path(run->path, path, sizeof(path), &run->only_confirms) < 0) {
		(void)fprintf(stderr, "capture_run: %s: neither .cap nor .btsnoop\n", run->path);
		return 1;
	}
	r = play_all(run);
	if (r == 0 && update)
		r = write_lines(&run->out, path);
	else if (r == 0)
		r = read_lines(&expected, path);
	if (r < 0)
		(void)fprintf(stderr, "%s: %s\n", path, strerror(-r));
	else if (!update)
		run->failures += compare(&expected, &run->out, path);
	free_lines(&expected);
	return r < 0 || run->failures > 0;
}

int main(int argc, char **argv)
{
	const bool update = argc == 3 && strcmp(argv[1], "--update") == 0;
	struct run *run = calloc(1, sizeof(*run));
	const struct feed_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.memory = on_memory,
		.consent = on_consent,
		.user = run,
	};
	int status = 1;

	if (!run || (!update && argc != 2)) {
		(void)fputs("usage: capture_run [--update] FILE.cap\n", stderr);
		free(run);
		return 64;
	}
	run->path = argv[argc - 1];
	run->next_seq = 1;
	if (feed_new(&sink, &run->next_seq, &run->feed) == 0)
		status = check(run, update);
	feed_free(run->feed);
	replay_free(run->replay);
	free_lines(&run->out);
	free(run);
	return status;
}
