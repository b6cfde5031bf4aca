/* links: transports */
/*
 * Reports to devices that take their time, or never take one. The kernel is a put() that waits for
 * a byte of a pipe; whether the thread is over shows in the descriptor that it has closed.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/hid_out.h"

#define PATIENCE_MS 60000 /* a hang, not a delay */

enum {
	TAKE = 'y',
	REFUSE = 'n'
};

/* begun: the first byte of each report that the kernel was given; verdict: what it makes of it */
static struct {
	int begun[2], verdict[2];
} kernel;

struct stand {
	sd_event *event;
	struct hid_out *out;
	int node[2];
	unsigned int failed;
	int error;
};

static int put(int fd, enum hid_kind type, uint8_t *data, size_t len)
{
	char verdict;

	(void)fd;
	(void)len;
	if (write(kernel.begun[1], data, 1) != 1 || read(kernel.verdict[0], &verdict, 1) != 1)
		return -EBADF;
	if (verdict == TAKE)
		return 0;
	return type == HID_FEATURE ? -EPIPE : -ETIMEDOUT;
}

static void on_failed(void *user, int error)
{
	struct stand *s = user;

	s->failed++;
	s->error = error;
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(pipe(kernel.begun), 0);
	assert_int_equal(pipe(kernel.verdict), 0);
	assert_int_equal(pipe(s->node), 0);
	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(hid_out_new(s->event, s->node[1], put, on_failed, s, &s->out), 0);
	assert_int_equal(close(s->node[1]), 0);
	*state = s;
	return 0;
}

static bool is_readable(int fd, int msec)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, msec) == 1;
}

/* the other end of the node was closed, and that is the last thing the thread does with it */
static void await_end(const struct stand *s)
{
	char nothing;

	assert_true(is_readable(s->node[0], PATIENCE_MS));
	assert_int_equal(read(s->node[0], &nothing, 1), 0);
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	hid_out_free(s->out);
	await_end(s);
	for (unsigned int i = 0; i < 2; i++) {
		(void)close(kernel.begun[i]);
		(void)close(kernel.verdict[i]);
	}
	(void)close(s->node[0]);
	(void)sd_event_unref(s->event);
	free(s);
	return 0;
}

static char begun(void)
{
	char first;

	assert_true(is_readable(kernel.begun[0], PATIENCE_MS));
	assert_int_equal(read(kernel.begun[0], &first, 1), 1);
	return first;
}

static void judge(char verdict)
{
	assert_int_equal(write(kernel.verdict[1], &verdict, 1), 1);
}

static int say(struct stand *s, enum hid_kind type, char first)
{
	return hid_out_write(s->out, type, (const uint8_t *)&first, 1);
}

static void one_after_the_other(void **state)
{
	struct stand *s = *state;

	assert_int_equal(say(s, HID_OUTPUT, 'a'), 0);
	assert_int_equal(say(s, HID_FEATURE, 'b'), 0);
	assert_int_equal(begun(), 'a');
	/* the kernel still has it: here nothing waits, and nothing else is begun */
	assert_int_equal(say(s, HID_OUTPUT, 'c'), 0);
	assert_int_equal(sd_event_run(s->event, 0), 0);
	assert_false(is_readable(kernel.begun[0], 0));
	judge(TAKE);
	assert_int_equal(begun(), 'b');
	judge(TAKE);
	assert_int_equal(begun(), 'c');
	judge(TAKE);
	assert_int_equal(s->failed, 0);
}

static void the_first_that_fails_is_the_last(void **state)
{
	struct stand *s = *state;

	assert_int_equal(say(s, HID_FEATURE, 'a'), 0);
	assert_int_equal(say(s, HID_OUTPUT, 'b'), 0);
	assert_int_equal(begun(), 'a');
	judge(REFUSE);
	assert_true(sd_event_run(s->event, (uint64_t)PATIENCE_MS * 1000) > 0);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->error, EPIPE);
	assert_int_equal(say(s, HID_OUTPUT, 'c'), -EPIPE);
	assert_int_equal(sd_event_run(s->event, 0), 0); /* told once */
	assert_int_equal(s->failed, 1);
	hid_out_free(s->out);
	s->out = NULL;
	assert_false(is_readable(kernel.begun[0], 0));
}

static void a_full_queue_is_said(void **state)
{
	static const uint8_t report[1024] = { 'a' };
	struct stand *s = *state;
	unsigned int n = 0;
	int r;

	while ((r = hid_out_write(s->out, HID_OUTPUT, report, sizeof(report))) == 0)
		n++;
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(n, 2, HID_OUT_QUEUE_MAX / sizeof(report));
	assert_int_equal(begun(), 'a');
	judge(TAKE);
	assert_int_equal(begun(), 'a'); /* the first is done with: there is room for one */
	assert_int_equal(hid_out_write(s->out, HID_OUTPUT, report, sizeof(report)), 0);
	assert_int_equal(hid_out_write(s->out, HID_OUTPUT, report, sizeof(report)), -ENOBUFS);
	judge(REFUSE);
}

/* Freed while the device takes nothing: returns, and what was written before is still sent. */
static void freeing_does_not_wait(void **state)
{
	struct stand *s = *state;

	assert_int_equal(say(s, HID_OUTPUT, 'a'), 0);
	assert_int_equal(say(s, HID_OUTPUT, 'b'), 0);
	assert_int_equal(begun(), 'a');
	hid_out_free(s->out);
	s->out = NULL;
	assert_false(is_readable(s->node[0], 0)); /* not over yet */
	judge(TAKE);
	assert_int_equal(begun(), 'b');
	judge(TAKE);
}

static void freed_and_then_it_fails(void **state)
{
	struct stand *s = *state;

	assert_int_equal(say(s, HID_OUTPUT, 'a'), 0);
	assert_int_equal(say(s, HID_OUTPUT, 'b'), 0);
	assert_int_equal(begun(), 'a');
	hid_out_free(s->out);
	s->out = NULL;
	judge(REFUSE);
	await_end(s);
	assert_false(is_readable(kernel.begun[0], 0));
	assert_int_equal(sd_event_run(s->event, 0), 0);
	assert_int_equal(s->failed, 0); /* nobody is there to be told */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_after_the_other),     TEST(the_first_that_fails_is_the_last),
		TEST(a_full_queue_is_said),    TEST(freeing_does_not_wait),
		TEST(freed_and_then_it_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
