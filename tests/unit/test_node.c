/* links: transports */
/*
 * Wires over device nodes: a tty on a pseudo terminal, and hidraw on a socket of packets, which
 * keeps reports apart as hidraw does. What only the kernel's hidraw can do is tried in the lab.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/driver.h"
#include "drivers/transport/hidraw.h"
#include "drivers/transport/node.h"
#include "drivers/transport/serial.h"

#define PATIENCE_US 60000000 /* of a turn of the loop: a hang, not a delay */

struct stand {
	sd_event *event;
	struct wire *wire;
	struct wire_sink sink;
	int far; /* the device's end */
	int near;
	size_t frames, bytes, last_len;
	uint8_t last[64];
	uint16_t channel;
	int error;
	bool gone, hold_at_once;
};

static void on_frame(void *user, uint16_t channel, const uint8_t *data, size_t len)
{
	struct stand *s = user;

	assert_false(s->gone);
	assert_true(len > 0);
	s->frames++;
	s->bytes += len;
	s->last_len = len;
	s->channel = channel;
	memcpy(s->last, data, len < sizeof(s->last) ? len : sizeof(s->last));
	if (s->hold_at_once)
		wire_hold(s->wire, true);
}

static void on_gone(void *user, int error)
{
	struct stand *s = user;

	assert_false(s->gone);
	s->gone = true;
	s->error = error;
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_true(sd_event_new(&s->event) >= 0);
	s->sink = (struct wire_sink){ .frame = on_frame, .gone = on_gone, .user = s };
	s->far = s->near = -1;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	wire_free(s->wire);
	if (s->far >= 0)
		(void)close(s->far);
	(void)sd_event_unref(s->event);
	free(s);
	return 0;
}

static void turn(struct stand *s)
{
	assert_true(sd_event_run(s->event, PATIENCE_US) > 0);
}

/* Nothing more to do without waiting; how many turns that took. */
static unsigned int settle(struct stand *s)
{
	unsigned int n = 0;

	while (sd_event_run(s->event, 0) > 0)
		n++;
	return n;
}

/* ---- tty ---- */

static void open_terminal(struct stand *s)
{
	char name[64];

	s->far = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(s->far >= 0);
	assert_int_equal(grantpt(s->far), 0);
	assert_int_equal(unlockpt(s->far), 0);
	assert_int_equal(ptsname_r(s->far, name, sizeof(name)), 0);
	s->near = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(s->near >= 0);
}

static void open_serial(struct stand *s)
{
	open_terminal(s);
	assert_int_equal(serial_open(s->event, s->near, 4800, &s->sink, &s->wire), 0);
}

static void a_tty_is_set_as_devices_are(void **state)
{
	struct stand *s = *state;
	struct termios t;

	open_serial(s);
	assert_int_equal(tcgetattr(s->near, &t), 0);
	assert_int_equal(cfgetospeed(&t), B4800);
	assert_int_equal(cfgetispeed(&t), B4800);
	assert_int_equal(t.c_cflag & (CSIZE | CSTOPB | PARENB | CRTSCTS), CS8);
	assert_int_equal(t.c_lflag & (ICANON | ECHO | ISIG), 0);
	assert_int_equal(t.c_iflag & (IXON | IXOFF | ICRNL | ISTRIP), 0);
	assert_int_equal(t.c_oflag & OPOST, 0);
}

static void bytes_come_and_go_as_they_are(void **state)
{
	static const uint8_t all[] = { 0x00, 0x03, 0x04, 0x0a, 0x0d, 0x11, 0x13, 0x7f, 0xff };
	struct stand *s = *state;
	uint8_t back[sizeof(all)];

	open_serial(s);
	assert_int_equal(write(s->far, all, sizeof(all)), sizeof(all));
	while (s->bytes < sizeof(all))
		turn(s);
	assert_int_equal(s->channel, DRV_WIRE_BYTES);
	assert_memory_equal(s->last, all, sizeof(all));
	assert_int_equal(wire_write(s->wire, DRV_WIRE_BYTES, all, sizeof(all)), 0);
	assert_int_equal(read(s->far, back, sizeof(back)), sizeof(all));
	assert_memory_equal(back, all, sizeof(all));
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, all, 1), -ENOTSUP);
	assert_int_equal(settle(s), 0); /* and it rests */
}

static void what_was_there_before_is_dropped(void **state)
{
	struct stand *s = *state;

	open_terminal(s);
	assert_int_equal(write(s->far, "old\n", 4), 4);
	assert_int_equal(serial_open(s->event, s->near, 9600, &s->sink, &s->wire), 0);
	(void)settle(s);
	assert_int_equal(s->bytes, 0);
}

static void only_known_speeds_and_only_ttys(void **state)
{
	struct stand *s = *state;
	int pipes[2];

	open_terminal(s);
	assert_int_equal(serial_open(s->event, s->near, 4801, &s->sink, &s->wire), -EINVAL);
	assert_int_equal(serial_open(s->event, s->near, 0, &s->sink, &s->wire), -EINVAL);
	assert_int_equal(close(s->near), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(serial_open(s->event, pipes[0], 4800, &s->sink, &s->wire), -ENOTTY);
	assert_int_equal(close(pipes[0]), 0);
	assert_int_equal(close(pipes[1]), 0);
}

static void a_device_that_takes_little_gets_all_of_it(void **state)
{
	static uint8_t much[NODE_QUEUE_MAX / 2];
	static const uint8_t mark[] = { 0x21 };
	static uint8_t back[sizeof(much)];
	struct stand *s = *state;
	size_t got = 0;

	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (uint8_t)(i * 7);
	open_serial(s);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_BYTES, much, sizeof(much)), 0);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_BYTES, mark, 1), 0); /* behind it */
	while (got < sizeof(much)) {
		const ssize_t n = read(s->far, back + got, sizeof(back) - got);

		assert_true(n > 0 || errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
		(void)settle(s);
	}
	assert_memory_equal(back, much, sizeof(much));
	assert_int_equal(read(s->far, back, sizeof(back)), 1);
	assert_int_equal(back[0], '!');
}

static void a_device_that_takes_nothing_is_gone(void **state)
{
	static const uint8_t much[1024];
	struct stand *s = *state;
	int r = 0;

	open_serial(s);
	while (r == 0)
		r = wire_write(s->wire, DRV_WIRE_BYTES, much, sizeof(much));
	assert_int_equal(r, -ENOBUFS);
	assert_false(s->gone); /* from the loop only */
	while (!s->gone)
		turn(s);
	assert_int_equal(s->error, ETIMEDOUT);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_BYTES, much, 1), -EPIPE);
}

/* The last bytes before it was unplugged count. */
static void unplugged_after_its_last_word(void **state)
{
	struct stand *s = *state;

	open_serial(s);
	assert_int_equal(write(s->far, "last", 4), 4);
	while (s->bytes < 4)
		turn(s);
	assert_int_equal(close(s->far), 0);
	s->far = -1;
	while (!s->gone)
		turn(s);
	assert_int_equal(s->error, ENODEV);
	assert_int_equal(settle(s), 0); /* no busy loop */
}

/* ---- hidraw ---- */

/* vendor page; input 64 bytes, output 8 bytes, feature 4 bytes, not numbered */
static const uint8_t plain[] = {
	0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x40,
	0x81, 0x02, 0x95, 0x08, 0x91, 0x02, 0x95, 0x04, 0xb1, 0x02, 0xc0,
};
/* number 1: 12 bits in; number 2: 16 bits in, after Pop 12 bits more */
static const uint8_t numbered[] = {
	0x75, 0x04, 0x95, 0x03, 0x85, 0x01, 0x81, 0x02, 0xa4, 0x85, 0x02, 0x76,
	0x10, 0x00, 0x95, 0x01, 0x81, 0x02, 0xb4, 0x85, 0x02, 0x81, 0x02,
};

static void open_reports(struct stand *s)
{
	struct hid_reports reports;
	int fds[2];

	assert_int_equal(hid_reports_parse(plain, sizeof(plain), &reports), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	s->near = fds[0];
	s->far = fds[1];
	assert_int_equal(hidraw_over(s->event, s->near, &reports, &s->sink, &s->wire), 0);
}

/* A report that was written; a thread does that. */
static ssize_t receive(const struct stand *s, uint8_t *buf, size_t size)
{
	struct pollfd p = { .fd = s->far, .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_US / 1000), 1);
	return recv(s->far, buf, size, 0);
}

static void reports_stay_apart(void **state)
{
	static const uint8_t report[64] = { 1, 2, 3 };
	struct stand *s = *state;
	uint8_t back[64];

	open_reports(s);
	for (size_t len = 1; len <= sizeof(report); len++)
		assert_int_equal(send(s->far, report, len, 0), (ssize_t)len);
	while (s->frames < sizeof(report))
		turn(s);
	assert_int_equal(s->last_len, sizeof(report));
	assert_int_equal(s->channel, DRV_WIRE_REPORT);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, report, 9), 0);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, report, 2), 0);
	assert_int_equal(receive(s, back, sizeof(back)), 9);
	assert_int_equal(receive(s, back, sizeof(back)), 2);
}

/* The loop goes on meanwhile: what the device says is heard. */
static void a_device_that_never_takes_a_report(void **state)
{
	static const uint8_t report[9], word[] = { 0, 1 };
	struct stand *s = *state;

	open_reports(s);
	while (send(s->near, report, sizeof(report), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, report, sizeof(report)), 0);
	assert_int_equal(send(s->far, word, sizeof(word), 0), sizeof(word));
	turn(s);
	assert_int_equal(s->frames, 1);
	assert_false(s->gone);
	while (!s->gone)
		turn(s);
	assert_int_equal(s->error, ETIMEDOUT);
}

static void reports_that_cannot_be_are_refused(void **state)
{
	static const uint8_t zero[DRV_WRITE_MAX + 1], nine[DRV_WRITE_MAX + 1] = { 9 };
	struct stand *s = *state;

	open_reports(s);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, zero, 10), -EMSGSIZE);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, zero, 0), -EMSGSIZE);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_FEATURE, zero, 6), -EMSGSIZE);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_FEATURE, nine, sizeof(nine)), -EMSGSIZE);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_BYTES, zero, 1), -ENOTSUP);
	/* a socket has no feature reports: the wire is of no use */
	assert_int_equal(wire_write(s->wire, DRV_WIRE_FEATURE, zero, 5), 0);
	assert_false(s->gone);
	while (!s->gone)
		turn(s);
	assert_int_equal(s->error, EIO);
	assert_int_equal(wire_write(s->wire, DRV_WIRE_REPORT, zero, 9), -EPIPE);
}

static void held_reports_wait_here(void **state)
{
	struct stand *s = *state;

	open_reports(s);
	s->hold_at_once = true;
	for (uint8_t i = 0; i < 40; i++)
		assert_int_equal(send(s->far, &i, 1, 0), 1);
	(void)settle(s);
	assert_int_equal(s->frames, 1);
	assert_int_equal(close(s->far), 0);
	s->far = -1;
	(void)settle(s);
	assert_false(s->gone); /* what it said comes first */
	wire_hold(s->wire, false);
	assert_int_equal(s->frames, 1); /* from the loop only */
	(void)settle(s);
	assert_int_equal(s->frames, 2);
	s->hold_at_once = false;
	wire_hold(s->wire, false);
	(void)settle(s);
	assert_int_equal(s->frames, 40);
	assert_int_equal(s->last[0], 39);
	assert_true(s->gone);
	assert_int_equal(s->error, ENODEV);
}

static void a_held_device_that_says_too_much(void **state)
{
	static const uint8_t report[64];
	struct stand *s = *state;
	size_t sent = 0;

	open_reports(s);
	wire_hold(s->wire, true);
	for (; sent < NODE_HELD_MAX; sent += sizeof(report)) {
		(void)send(s->far, report, sizeof(report), 0);
		(void)settle(s);
	}
	assert_false(s->gone);
	wire_hold(s->wire, false);
	while (!s->gone)
		turn(s);
	assert_int_equal(s->error, ENOBUFS);
	assert_true(s->bytes > NODE_HELD_MAX / 4);
}

static void a_socket_is_no_hidraw(void **state)
{
	struct stand *s = *state;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	assert_true(hidraw_open(s->event, fds[0], &s->sink, &s->wire) < 0);
	assert_null(s->wire);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

/* ---- descriptors ---- */

static void descriptors_tell_lengths(void **state)
{
	struct hid_reports r;

	(void)state;
	assert_int_equal(hid_reports_parse(plain, sizeof(plain), &r), 0);
	assert_false(r.numbered);
	assert_int_equal(hid_report_size(&r, HID_INPUT, 0), 65);
	assert_int_equal(hid_report_size(&r, HID_OUTPUT, 0), 9);
	assert_int_equal(hid_report_size(&r, HID_FEATURE, 0), 5);
	assert_int_equal(hid_report_size(&r, HID_INPUT, 1), 0);
	assert_int_equal(hid_reports_parse(numbered, sizeof(numbered), &r), 0);
	assert_true(r.numbered);
	assert_int_equal(hid_report_size(&r, HID_INPUT, 1), 3);
	assert_int_equal(hid_report_size(&r, HID_INPUT, 2), 1 + 4); /* 28 bits */
	assert_int_equal(hid_reports_parse(NULL, 0, &r), 0);
}

static void bad_descriptors_are_named(void **state)
{
	static const uint8_t cut[] = { 0x76, 0x10 }, zero_id[] = { 0x85, 0x00 }, pop[] = { 0xb4 };
	static const uint8_t deep[] = { 0xa4, 0xa4, 0xa4, 0xa4, 0xa4 };
	static const uint8_t huge[] = { 0x75, 0xff, 0x97, 0xff, 0xff, 0xff, 0xff, 0x81, 0x02 };
	static const uint8_t much[] = { 0x75, 0x20, 0x96, 0x00, 0x0f, 0x81, 0x02, 0x81, 0x02 };
	static const uint8_t longest[] = { 0xfe, 0x02, 0x00, 0x01, 0x02 };
	static const uint8_t long_cut[] = { 0xfe, 0x03, 0x00, 0x01, 0x02 }, alone[] = { 0xfe };
	static const uint8_t too_long[HID_DESCRIPTOR_MAX + 1];
	struct hid_reports r;

	(void)state;
	assert_int_equal(hid_reports_parse(cut, sizeof(cut), &r), -EBADMSG);
	assert_int_equal(hid_reports_parse(zero_id, sizeof(zero_id), &r), -EBADMSG);
	assert_int_equal(hid_reports_parse(pop, sizeof(pop), &r), -EBADMSG);
	assert_int_equal(hid_reports_parse(deep, sizeof(deep), &r), -EBADMSG);
	assert_int_equal(hid_reports_parse(huge, sizeof(huge), &r), -ERANGE);
	assert_int_equal(hid_reports_parse(much, sizeof(much), &r), -ERANGE);
	assert_int_equal(hid_reports_parse(much, sizeof(much) - 2, &r), 0);
	assert_int_equal(hid_reports_parse(longest, sizeof(longest), &r), 0);
	assert_int_equal(hid_reports_parse(long_cut, sizeof(long_cut), &r), -EBADMSG);
	assert_int_equal(hid_reports_parse(alone, sizeof(alone), &r), -EBADMSG);
	assert_int_equal(hid_reports_parse(too_long, sizeof(too_long), &r), -EMSGSIZE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_tty_is_set_as_devices_are),
		TEST(bytes_come_and_go_as_they_are),
		TEST(what_was_there_before_is_dropped),
		TEST(only_known_speeds_and_only_ttys),
		TEST(a_device_that_takes_little_gets_all_of_it),
		TEST(a_device_that_takes_nothing_is_gone),
		TEST(unplugged_after_its_last_word),
		TEST(reports_stay_apart),
		TEST(a_device_that_never_takes_a_report),
		TEST(reports_that_cannot_be_are_refused),
		TEST(held_reports_wait_here),
		TEST(a_held_device_that_says_too_much),
		TEST(a_socket_is_no_hidraw),
		TEST(descriptors_tell_lengths),
		TEST(bad_descriptors_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
