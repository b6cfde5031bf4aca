/* links: transports */
/* Agents over TCP on loopback: this test is both the agent, byte for byte, and the gateway. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/phd_door.h"

#define TURNS_MAX   10000    /* more than any test has to do */
#define PATIENCE_US 60000000 /* of a turn of the loop: a hang, not a delay */

struct stand {
	sd_event *event;
	struct phd_door *door;
	uint64_t next_seq, last_seq;
	uint32_t next_id, last_id;
	bool no_room;
	size_t n_ups, n_measurements, n_downs, n_observed;
	char serial[64];
	struct measurement last;
};

/* ---- the gateway ---- */

static int on_up(void *user, uint32_t id, const struct session *session)
{
	struct stand *s = user;

	s->n_ups++;
	s->last_id = id;
	memcpy(s->serial, session_facts(session)->text[DRV_SERIAL], sizeof(s->serial));
	return 0;
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq,
			  int64_t at_utc_ms)
{
	struct stand *s = user;

	assert_true(s->n_ups > 0); /* who it is, before what it measured */
	assert_int_equal(id, s->last_id);
	assert_true(at_utc_ms > 0);
	s->n_measurements++;
	s->last_seq = seq;
	s->last = *m;
	return 0;
}

static int on_down(void *user, uint32_t id, const struct session *session)
{
	struct stand *s = user;

	(void)id;
	(void)session;
	s->n_downs++;
	return 0;
}

static bool has_room(void *user)
{
	const struct stand *s = user;

	return !s->no_room;
}

static void on_observe(void *user, uint32_t id, const struct cap_event *event, int64_t at_utc_ms)
{
	struct stand *s = user;

	(void)id;
	(void)event;
	(void)at_utc_ms;
	s->n_observed++;
}

static void open_door(struct stand *s)
{
	const struct phd_door_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.observe = on_observe,
		.user = s,
	};

	memset(s, 0, sizeof(*s));
	s->next_seq = s->next_id = 1;
	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(
		phd_door_new(s->event, "127.0.0.1:0", &sink, &s->next_seq, &s->next_id, &s->door),
		0);
}

static void close_door(struct stand *s)
{
	phd_door_free(s->door);
	(void)sd_event_unref(s->event);
}

static void turn(struct stand *s)
{
	assert_true(sd_event_run(s->event, PATIENCE_US) > 0);
}

/* what is ready now, and nothing is waited for */
static void let_run(struct stand *s)
{
	int turns = 0;

	while (sd_event_run(s->event, 0) > 0)
		assert_true(turns++ < TURNS_MAX);
}

/* ---- the agent ---- */

static int dial(const struct stand *s)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(phd_door_port(s->door)),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return fd;
}

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	for (; *hex; hex += 2)
		ret[n++] = (uint8_t)strtoul((const char[]){ hex[0], hex[1], '\0' }, NULL, 16);
	return n;
}

static void say(int fd, const char *hex)
{
	uint8_t bytes[512];
	const size_t len = from_hex(hex, bytes);

	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* exactly these bytes come; the loop runs until they are there */
static void hear(struct stand *s, int fd, const char *hex)
{
	uint8_t expected[512], got[512];
	const size_t len = from_hex(hex, expected);

	while (recv(fd, got, len, MSG_PEEK | MSG_DONTWAIT) < (ssize_t)len)
		turn(s);
	assert_int_equal(recv(fd, got, len, MSG_DONTWAIT), (ssize_t)len);
	assert_memory_equal(got, expected, len);
}

static void hear_nothing(int fd)
{
	uint8_t byte;

	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

#define AARQ                                                                       \
	"e2000032800000000001002a507900268000000080008000000000000000008000000008" \
	"010203040506070805dc0001010000000000"
#define AARE                                                                           \
	"e300002c00005079002680000000800080000000000000008000000000080257454c4c475445" \
	"00000000000000000000"
#define GET_MDS                            \
	"e700000e000c00000103000600000000" \
	"0000"
#define MDS                                \
	"e700000e000c00000203000600000000" \
	"0000"
#define TAKEN "e7000012001000010201000a0000ffffffff0d1d0000"

/* 70.2 kg */
#define WEIGHT                                                         \
	"e700002a00280001010100220000ffffffff0d1d0018f000000000010010" \
	"0001000cff0002be2026112301411650"

static void say_weight(int fd)
{
	say(fd, WEIGHT);
}

static int associate(struct stand *s)
{
	const int fd = dial(s);

	say(fd, AARQ);
	hear(s, fd, AARE GET_MDS);
	say(fd, MDS);
	return fd;
}

static void wait_for_weight(struct stand *s, size_t n)
{
	while (s->n_measurements < n)
		turn(s);
	assert_int_equal(s->last.metric, METRIC_BODY_WEIGHT);
	assert_int_equal(s->last.parts[0].number.value.mantissa, 702);
	assert_int_equal(s->last.parts[0].number.value.exponent, -1);
	assert_string_equal(s->serial, "01-02-03-04-05-06-07-08");
}

/* ---- tests ---- */

static void test_answered_when_committed(void **state)
{
	struct stand s;
	int fd;

	(void)state;
	open_door(&s);
	fd = associate(&s);
	say_weight(fd);
	wait_for_weight(&s, 1);
	let_run(&s);
	hear_nothing(fd);
	phd_door_committed(s.door, s.last_seq);
	hear(&s, fd, TAKEN);
	assert_int_equal(s.n_ups, 1);
	assert_true(s.n_observed > 3);
	(void)close(fd);
	while (s.n_downs == 0)
		turn(&s);
	assert_int_equal(s.n_ups, 1);
	close_door(&s);
}

static void test_byte_by_byte_and_all_at_once(void **state)
{
	uint8_t bytes[512];
	struct stand s;
	size_t len;
	int fd;

	(void)state;
	open_door(&s);
	fd = dial(&s);
	len = from_hex(AARQ, bytes);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(send(fd, bytes + i, 1, MSG_NOSIGNAL), 1);
		let_run(&s);
	}
	hear(&s, fd, AARE GET_MDS);
	/* three APDUs in one: released, associated again, released */
	say(fd, "e40000020000" AARQ "e40000020000");
	hear(&s, fd, "e50000020000" AARE);
	(void)close(fd);
	close_door(&s);
}

static void test_nonsense_ends_that_connection_alone(void **state)
{
	static const char *const nonsense[] = {
		"e700ffff00", /* longer than any agent may say */
		"47",         /* no APDU begins so */
		"e701000400", /* nor so */
	};
	struct stand s;
	uint8_t byte;
	int good, bad;

	(void)state;
	open_door(&s);
	good = associate(&s);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		bad = dial(&s);
		say(bad, nonsense[i]);
		while (s.n_downs == i)
			turn(&s);
		assert_true(recv(bad, &byte, 1, 0) <= 0); /* closed, with what was not read */
		(void)close(bad);
	}
	say_weight(good);
	wait_for_weight(&s, 1);
	(void)close(good);
	close_door(&s);
}

static void test_said_before_it_was_cut_off(void **state)
{
	struct stand s;
	int fd;

	(void)state;
	open_door(&s);
	fd = associate(&s);
	say_weight(fd);
	(void)close(fd);
	wait_for_weight(&s, 1); /* handed on, though it cannot be answered any more */
	phd_door_committed(s.door, s.last_seq);
	while (s.n_downs == 0)
		turn(&s);
	close_door(&s);
}

static void test_no_room(void **state)
{
	struct stand s;
	int fd;

	(void)state;
	open_door(&s);
	fd = associate(&s);
	s.no_room = true;
	phd_door_wake(s.door);
	let_run(&s);
	say_weight(fd);
	let_run(&s);
	assert_int_equal(s.n_measurements, 0);
	s.no_room = false;
	phd_door_wake(s.door);
	wait_for_weight(&s, 1);
	(void)close(fd);
	close_door(&s);
}

/* The loop has other things to do than to be told again and again that somebody hung up. */
static void test_cut_off_while_there_is_no_room(void **state)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct stand s;
	int fd;

	(void)state;
	open_door(&s);
	fd = associate(&s);
	s.no_room = true;
	say(fd, WEIGHT WEIGHT); /* the second one has to wait where it was read */
	let_run(&s);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	(void)close(fd);
	let_run(&s);
	s.no_room = false;
	phd_door_wake(s.door);
	while (s.n_downs == 0)
		turn(&s);
	close_door(&s);
}

static void test_a_refused_reading_ends_the_connection(void **state)
{
	struct stand s;
	uint8_t byte;
	int fd;

	(void)state;
	open_door(&s);
	fd = associate(&s);
	say_weight(fd);
	wait_for_weight(&s, 1);
	phd_door_refused(s.door, s.last_seq);
	phd_door_committed(s.door, s.last_seq);
	while (s.n_downs == 0)
		turn(&s);
	assert_int_equal(recv(fd, &byte, 1, 0), 0); /* the end, and no answer before it */
	(void)close(fd);
	close_door(&s);
}

static void test_a_crowd(void **state)
{
	int fds[PHD_DOOR_AGENTS_MAX], late;
	struct stand s;
	uint8_t byte;

	(void)state;
	open_door(&s);
	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++)
		fds[i] = associate(&s);
	late = dial(&s);
	let_run(&s);
	assert_int_equal(recv(late, &byte, 1, 0), 0); /* turned away */
	(void)close(late);
	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++)
		(void)close(fds[i]);
	while (s.n_downs < PHD_DOOR_AGENTS_MAX)
		turn(&s);
	(void)close(associate(&s)); /* there is a place again */
	close_door(&s);
}

static void test_addresses(void **state)
{
	static const char *const good[] = { "127.0.0.1:6024", "127.9.9.9:0", "[::1]:65535" };
	static const char *const outside[] = { "0.0.0.0:6024", "192.0.2.1:1", "[::]:6024",
					       "[2001:db8::1]:6024" };
	static const char *const bad[] = { "",          "127.0.0.1",        "127.0.0.1:",
					   ":6024",     "localhost:6024",   "127.0.0.1:65536",
					   "[::1:6024", "127.0.0.1:6024x",  "127.0.0.1:-1",
					   "::1:6024",  "[127.0.0.1]:6024", "127.0.0.1:0x17" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(phd_door_check(good[i]), 0);
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_int_equal(phd_door_check(outside[i]), -EACCES);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(phd_door_check(bad[i]), -EINVAL);
	phd_door_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answered_when_committed),
		cmocka_unit_test(test_byte_by_byte_and_all_at_once),
		cmocka_unit_test(test_nonsense_ends_that_connection_alone),
		cmocka_unit_test(test_said_before_it_was_cut_off),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_cut_off_while_there_is_no_room),
		cmocka_unit_test(test_a_refused_reading_ends_the_connection),
		cmocka_unit_test(test_a_crowd),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
