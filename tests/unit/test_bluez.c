/* links: transports */
/* The tracking of bluetoothd, against a bus of the test's own that says things in any order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/bluez.h"

#define DBUS     "org.freedesktop.DBus"
#define LIMIT_US UINT64_C(60000000)
#define OWNER    ":1.7"

/* How the bus of the test answers who owns org.bluez. */
enum answer {
	ANSWER_NOBODY,
	ANSWER_OWNER,
	ANSWER_AFTER_SIGNAL, /* it comes while that is being asked */
	ANSWER_SILENCE
};

struct test {
	sd_event *event;
	sd_event_source *listening;
	char folder[32], path[64], address[80];
	sd_bus *server; /* the bus's end of the last connection */
	enum answer answer;
	const char *owner;
	unsigned int connections;
	struct bluez bluez;
	bool refuses; /* opened() fails */
	uint64_t malformed;
	char said[128]; /* what the handlers were told */
};

/* ---- a bus that has nobody on it ---- */

static void signal_owner(struct test *t, const char *before, const char *after)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_signal(t->server, &m, "/org/freedesktop/DBus", DBUS,
					      "NameOwnerChanged") >= 0);
	assert_true(sd_bus_message_append(m, "sss", BLUEZ, before, after) >= 0);
	assert_true(sd_bus_message_set_sender(m, DBUS) >= 0);
	assert_true(sd_bus_send(t->server, m, NULL) >= 0);
	sd_bus_message_unref(m);
}

static void answer_owner(struct test *t, sd_bus_message *m)
{
	if (t->answer == ANSWER_AFTER_SIGNAL)
		signal_owner(t, "", t->owner);
	switch (t->answer) {
	case ANSWER_NOBODY:
		assert_true(sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NAME_HAS_NO_OWNER, "no") >=
			    0);
		break;
	case ANSWER_AFTER_SIGNAL:
	case ANSWER_OWNER:
		assert_true(sd_bus_reply_method_return(m, "s", t->owner) >= 0);
		break;
	case ANSWER_SILENCE:
		break;
	}
}

static int on_call(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct test *t = user;

	(void)ret_error;
	if (sd_bus_message_is_method_call(m, DBUS, "Hello"))
		assert_true(sd_bus_reply_method_return(m, "s", ":1.1") >= 0);
	else if (sd_bus_message_is_method_call(m, DBUS, "GetNameOwner"))
		answer_owner(t, m);
	else if (sd_bus_message_is_method_call(m, DBUS, "AddMatch"))
		assert_true(sd_bus_reply_method_return(m, "") >= 0);
	return 1;
}

static void hang_up(struct test *t)
{
	if (t->server) {
		(void)sd_bus_detach_event(t->server);
		sd_bus_close(t->server);
	}
	t->server = sd_bus_unref(t->server);
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct test *t = user;
	const int end = accept(fd, NULL, NULL);

	(void)source;
	(void)revents;
	assert_true(end >= 0);
	hang_up(t);
	t->connections++;
	assert_true(sd_bus_new(&t->server) >= 0);
	assert_true(sd_bus_set_fd(t->server, end, end) >= 0);
	assert_true(sd_bus_set_server(
			    t->server, 1,
			    SD_ID128_MAKE(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 10)) >= 0);
	assert_true(sd_bus_set_anonymous(t->server, 1) >= 0);
	assert_true(sd_bus_add_filter(t->server, NULL, on_call, t) >= 0);
	assert_true(sd_bus_start(t->server) >= 0);
	assert_true(sd_bus_attach_event(t->server, t->event, SD_EVENT_PRIORITY_NORMAL) >= 0);
	return 0;
}

/* ---- what is told ---- */

static void say(struct test *t, const char *text)
{
	const size_t len = strlen(t->said);

	(void)snprintf(t->said + len, sizeof(t->said) - len, "%s ", text);
}

static int on_opened(void *user)
{
	const struct test *t = user;

	return t->refuses ? -EIO : 0;
}

static void on_bus(void *user, bool is_up)
{
	say(user, is_up ? "bus" : "no-bus");
}

static void on_daemon(void *user, bool is_up)
{
	struct test *t = user;

	assert_true(is_up == (t->bluez.owner[0] != '\0'));
	say(t, is_up ? "daemon" : "no-daemon");
}

/* ---- the tests ---- */

static void start(struct test *t, int64_t call_us)
{
	const struct bluez_handlers handlers = { .opened = on_opened,
						 .bus = on_bus,
						 .daemon = on_daemon,
						 .user = t,
						 .malformed = &t->malformed };

	assert_int_equal(bluez_start(&t->bluez, t->event, t->address, call_us, &handlers), 0);
}

static void turn(struct test *t)
{
	assert_true(sd_event_run(t->event, LIMIT_US) > 0);
}

static void until(struct test *t, const char *said)
{
	while (strcmp(t->said, said) != 0) {
		if (strncmp(t->said, said, strlen(t->said)) != 0)
			assert_string_equal(t->said, said);
		turn(t);
	}
	t->said[0] = '\0';
}

static int set_up(void **state)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	struct test *t = calloc(1, sizeof(*t));
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_non_null(t);
	assert_true(fd >= 0);
	t->owner = OWNER;
	(void)snprintf(t->folder, sizeof(t->folder), "/tmp/wellgate-bluez-XXXXXX");
	assert_non_null(mkdtemp(t->folder));
	(void)snprintf(t->path, sizeof(t->path), "%s/bus", t->folder);
	(void)snprintf(t->address, sizeof(t->address), "unix:path=%s", t->path);
	(void)snprintf(where.sun_path, sizeof(where.sun_path), "%s", t->path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&where, sizeof(where)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_true(sd_event_new(&t->event) >= 0);
	assert_true(sd_event_add_io(t->event, &t->listening, fd, EPOLLIN, on_connection, t) >= 0);
	assert_true(sd_event_source_set_io_fd_own(t->listening, 1) >= 0);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct test *t = *state;

	bluez_stop(&t->bluez);
	hang_up(t);
	sd_event_source_disable_unref(t->listening);
	sd_event_unref(t->event);
	(void)unlink(t->path);
	(void)rmdir(t->folder);
	free(t);
	return 0;
}

static void test_it_comes_and_goes(void **state)
{
	struct test *t = *state;
	sd_bus_message *m = NULL;
	uint64_t generation;

	start(t, 0);
	until(t, "bus ");
	assert_int_equal(bluez_method(&t->bluez, "/", "a.b", "C", &m), -ENOTCONN);
	generation = t->bluez.generation;
	signal_owner(t, "", OWNER);
	until(t, "daemon ");
	assert_string_equal(t->bluez.owner, OWNER);
	assert_true(t->bluez.generation > generation);
	assert_int_equal(bluez_method(&t->bluez, "/", "a.b", "C", &m), 0);
	assert_string_equal(sd_bus_message_get_destination(m), OWNER);
	sd_bus_message_unref(m);
	generation = t->bluez.generation;
	signal_owner(t, OWNER, OWNER); /* no other than before */
	signal_owner(t, OWNER, ":1.8");
	until(t, "no-daemon daemon ");
	assert_true(t->bluez.generation > generation);
	signal_owner(t, ":1.8", "");
	until(t, "no-daemon ");
}

static void test_it_is_there(void **state)
{
	struct test *t = *state;

	t->answer = ANSWER_OWNER;
	start(t, 0);
	until(t, "bus daemon ");
}

/* The bus is up before the daemon, in whatever order they are heard of; and each only once. */
static void test_it_comes_while_it_is_asked_for(void **state)
{
	struct test *t = *state;

	t->answer = ANSWER_AFTER_SIGNAL;
	start(t, 0);
	until(t, "bus daemon ");
	while (t->bluez.ask)
		turn(t);
	assert_string_equal(t->said, "");
	assert_string_equal(t->bluez.owner, OWNER);
}

static void test_a_lost_bus_is_opened_again(void **state)
{
	struct test *t = *state;
	uint64_t generation;

	t->answer = ANSWER_OWNER;
	start(t, 0);
	until(t, "bus daemon ");
	generation = t->bluez.generation;
	hang_up(t);
	until(t, "no-daemon no-bus bus daemon ");
	assert_true(t->bluez.generation > generation);
	assert_int_equal(t->connections, 2);
}

static void test_a_silent_bus_is_opened_again(void **state)
{
	struct test *t = *state;

	t->answer = ANSWER_SILENCE;
	start(t, 1000);
	until(t, "no-bus ");
	t->answer = ANSWER_OWNER;
	t->bluez.call_us = 0;
	until(t, "bus daemon ");
	assert_int_equal(t->connections, 2);
}

static void test_what_cannot_be_set_up_is_opened_again(void **state)
{
	struct test *t = *state;

	t->refuses = true;
	t->answer = ANSWER_OWNER;
	start(t, 0);
	until(t, "no-bus ");
	t->refuses = false;
	until(t, "bus daemon ");
}

static void test_an_owner_that_cannot_be(void **state)
{
	struct test *t = *state;
	char name[80];

	memset(name, '1', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	start(t, 0);
	until(t, "bus ");
	signal_owner(t, "", OWNER);
	until(t, "daemon ");
	signal_owner(t, OWNER, name);
	until(t, "no-daemon ");
	assert_int_equal(t->malformed, 1);
	assert_string_equal(t->bluez.owner, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_it_comes_and_goes),
		TEST(test_it_is_there),
		TEST(test_it_comes_while_it_is_asked_for),
		TEST(test_a_lost_bus_is_opened_again),
		TEST(test_a_silent_bus_is_opened_again),
		TEST(test_what_cannot_be_set_up_is_opened_again),
		TEST(test_an_owner_that_cannot_be),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
