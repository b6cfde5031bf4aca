/* links: transports */
/* What the recorder writes and the tap shows can be read again. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "drivers/transport/recorder.h"
#include "drivers/transport/replay.h"
#include "drivers/transport/tap.h"
#include "tests/unit/capture_file.h"

#define START_MS INT64_C(1794815880000)

static int setup(void **state)
{
	struct capture_folder *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? capture_folder_make(f) : -1;
}

static int teardown(void **state)
{
	struct capture_folder *f = *state;
	DIR *folder = opendir(f->path);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		char path[400];

		(void)snprintf(path, sizeof(path), "%s/%s", f->path, entry->d_name);
		if (entry->d_name[0] != '.')
			(void)unlink(path);
	}
	if (folder)
		(void)closedir(folder);
	(void)rmdir(f->path);
	free(f);
	return 0;
}

static struct cap_event event(enum cap_kind kind, int64_t at_us)
{
	struct cap_event e = { .kind = kind, .at_us = at_us, .channel = 0x2a9d };

	if (kind == CAP_OPEN)
		e.open = (struct cap_open){ .bus = "ble", .service = 0x181d };
	if (kind == CAP_FRAME) {
		e.len = 2;
		e.data[0] = 0xab;
	}
	return e;
}

static void give(struct recorder *r, uint32_t link, enum cap_kind kind, int64_t at_us)
{
	const struct cap_event e = event(kind, at_us);

	assert_int_equal(recorder_event(r, link, &e, START_MS), 0);
}

static void expect_file(const struct capture_folder *f, const char *name, size_t events)
{
	char path[128], *error = NULL;
	struct replay *replay;
	struct cap_event e;
	struct stat st;
	int64_t start;
	size_t n = 0;

	assert_int_equal(stat(capture_path(f, name, path), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(replay_open(path, NULL, &replay, &error), 0);
	while (replay_next(replay, &e, &error) > 0) {
		if (n == 0) {
			assert_int_equal(e.at_us, 0);
			assert_int_equal(e.open.service, 0x181d);
		}
		n++;
	}
	assert_null(error);
	assert_int_equal(n, events);
	assert_true(replay_start(replay, &start));
	assert_int_equal(start, START_MS);
	replay_free(replay);
}

static void each_session_is_a_capture(void **state)
{
	const struct capture_folder *f = *state;
	struct recorder *r;

	assert_int_equal(recorder_new(f->path, &r), 0);
	give(r, 1, CAP_OPEN, 5000000);
	give(r, 2, CAP_OPEN, 6000000);
	give(r, 1, CAP_FRAME, 7000000);
	give(r, 1, CAP_CONFIRM, 7000001);
	give(r, 2, CAP_FRAME, 8000000);
	give(r, 1, CAP_CLOSE, 9000000);
	give(r, 1, CAP_FRAME, 9500000); /* of no open session */
	/* what is written is there at once: this is as good as a kill */
	expect_file(f, "20261116-075800-000.cap", 4);
	expect_file(f, "20261116-075800-001.cap", 2);
	recorder_free(r);
}

static void a_missing_folder_is_an_error(void **state)
{
	struct recorder *r;

	(void)state;
	assert_int_equal(recorder_new("/nonexistent/folder", &r), -ENOENT);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void settle(sd_event *event)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void the_tap_shows_each_event(void **state)
{
	const struct capture_folder *f = *state;
	const struct cap_event frame = event(CAP_FRAME, 1500000);
	char path[128], line[256];
	sd_event *loop;
	struct tap *t;
	struct stat st;
	ssize_t n;
	int one, two;

	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(tap_new(loop, capture_path(f, "tap", path), &t), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	tap_event(t, 7, &frame); /* nobody looks */
	one = connect_to(path);
	two = connect_to(path);
	settle(loop);
	tap_event(t, 7, &frame);
	n = recv(one, line, sizeof(line), 0);
	assert_int_equal(n, strlen("7 1.500 < 2a9d ab00\n"));
	assert_memory_equal(line, "7 1.500 < 2a9d ab00\n", (size_t)n);
	assert_int_equal(recv(two, line, sizeof(line), 0), n);
	(void)close(two);
	settle(loop);
	tap_event(t, 8, &frame);
	assert_int_equal(recv(one, line, sizeof(line), 0), n);
	tap_free(t);
	assert_int_equal(recv(one, line, sizeof(line), 0), 0);
	(void)close(one);
	assert_int_equal(stat(path, &st), -1);
	(void)sd_event_unref(loop);
}

static void a_reader_that_does_not_read_is_cut_off(void **state)
{
	const struct capture_folder *f = *state;
	const struct cap_event frame = event(CAP_FRAME, 0);
	char path[128], line[256];
	sd_event *loop;
	struct tap *t;
	ssize_t n;
	int fd;

	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(tap_new(loop, capture_path(f, "tap", path), &t), 0);
	fd = connect_to(path);
	settle(loop);
	for (int i = 0; i < 10000; i++)
		tap_event(t, 1, &frame); /* returns, however full the socket is */
	while ((n = recv(fd, line, sizeof(line), 0)) > 0)
		;
	assert_int_equal(n, 0);
	(void)close(fd);
	tap_free(t);
	(void)sd_event_unref(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(each_session_is_a_capture),
		TEST(a_missing_folder_is_an_error),
		TEST(the_tap_shows_each_event),
		TEST(a_reader_that_does_not_read_is_cut_off),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
