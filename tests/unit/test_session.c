/* links: drivers */
#include "drivers/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * A driver that does what its frames say, one letter after the other:
 *   r reading  n news (not final)  w write  R read  t timer  d done  m many readings  c clock
 *   L too long a write  Q fills the queue  1 -EMSGSIZE  2 -EBADMSG  3 -ERANGE  4 -ENOMSG  5 -EIO
 */
struct puppet {
	unsigned int opened, committed, timeouts;
};

static struct measurement weight(void)
{
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };

	measurement_add(&m, METRIC_BODY_WEIGHT, UNIT_KG, number_of(79960, -3));
	return m;
}

static int emit(struct drv_ctx *ctx, uint64_t flags)
{
	struct measurement m = weight();

	m.flags = flags;
	return drv_emit(ctx, &m);
}

static int emit_many(struct drv_ctx *ctx)
{
	for (int i = 0; i < DRV_EMITS_MAX; i++)
		assert_int_equal(emit(ctx, 0), 0);
	assert_int_equal(emit(ctx, 0), -ENOBUFS);
	return 0;
}

static int fill_queue(struct drv_ctx *ctx)
{
	int r = 0, n = 0;

	while (r == 0 && n < 1000) {
		r = drv_read(ctx, 0x2a19);
		n++;
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(drv_write(ctx, 1, "", 0), -ENOBUFS);
	assert_int_equal(drv_set_timeout(ctx, 1), -ENOBUFS);
	return 0;
}

static int tell_clock(struct drv_ctx *ctx)
{
	const struct device_time t = { DEVICE_TIME_LOCAL, 2026, 5, 12, 17, 53, 40, 500000, 0, 0 };

	return drv_clock(ctx, &t);
}

static int puppet_do(struct drv_ctx *ctx, char what)
{
	static const uint8_t long_data[DRV_WRITE_MAX + 1];

	switch (what) {
	case 'r':
		return emit(ctx, 0);
	case 'n':
		return emit(ctx, FLAG_BIT(FLAG_UNSTABLE));
	case 'w':
		return drv_write(ctx, 0x2a52, "\x01\x01", 2);
	case 'R':
		return drv_read(ctx, 0x2a19);
	case 't':
		return drv_set_timeout(ctx, 1500);
	case 'd':
		drv_done(ctx);
		return 0;
	case 'm':
		return emit_many(ctx);
	case 'c':
		return tell_clock(ctx);
	case 'L':
		assert_int_equal(drv_write(ctx, 1, long_data, sizeof(long_data)), -EMSGSIZE);
		return drv_write(ctx, 1, long_data, sizeof(long_data) - 1);
	case 'Q':
		return fill_queue(ctx);
	case '1':
		return -EMSGSIZE;
	case '2':
		return -EBADMSG;
	case '3':
		return -ERANGE;
	case '4':
		return -ENOMSG;
	default:
		return -EIO;
	}
}

static int puppet_open(struct drv_ctx *ctx)
{
	struct puppet *p = drv_state(ctx);

	p->opened++;
	return 0;
}

static int puppet_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	int r = 0;

	for (size_t i = 0; i < frame->len && r == 0; i++)
		r = puppet_do(ctx, (char)frame->data[i]);
	return r;
}

static int puppet_committed(struct drv_ctx *ctx)
{
	struct puppet *p = drv_state(ctx);

	p->committed++;
	return drv_write(ctx, 0x0001, "ack", 3);
}

static int puppet_timeout(struct drv_ctx *ctx)
{
	struct puppet *p = drv_state(ctx);

	p->timeouts++;
	return emit(ctx, 0);
}

static const struct driver puppet = {
	.name = "puppet",
	.state_size = sizeof(struct puppet),
	.open = puppet_open,
	.frame = puppet_frame,
	.committed = puppet_committed,
	.timeout = puppet_timeout,
};

/* ---- what came out, as one line of text ---- */

struct fixture {
	struct session *session;
	uint64_t next_seq;
	char log[4096];
	struct measurement last;
	bool keeps_at_commit;
};

static char *log_end(struct fixture *f, size_t *ret_left)
{
	const size_t n = strlen(f->log);

	*ret_left = sizeof(f->log) - n;
	return f->log + n;
}

#define say(f, ...)                                     \
	do {                                            \
		size_t left;                            \
		char *end = log_end((f), &left);        \
		(void)snprintf(end, left, __VA_ARGS__); \
	} while (0)

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct fixture *f = user;

	say(f, "m%llu ", (unsigned long long)seq);
	f->last = *m;
}

static void on_request(void *user, const struct session_request *q)
{
	static const char *const names[] = { "write", "read", "timer", "close" };

	say(user, "%s", names[q->kind]);
	if (q->kind == SESSION_WRITE)
		say(user, ":%04x:%zu", q->channel, q->len);
	if (q->kind == SESSION_TIMER)
		say(user, ":%u", q->msec);
	say(user, " ");
}

static void on_confirm(void *user, uint16_t channel)
{
	say(user, "confirm:%04x ", channel);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	say(user, "fault:%04x:%s:%d ", channel, session_fault_name(fault), r);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };

	assert_non_null(f);
	f->next_seq = 1;
	assert_int_equal(session_new(&puppet, 7, &sink, &f->next_seq, &f->session), 0);
	assert_int_equal(session_open(f->session, LINK_ENCRYPTED, 0), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	session_free(f->session);
	session_free(NULL);
	free(f);
	return 0;
}

static int feed(struct fixture *f, uint16_t channel, const char *what, bool indication)
{
	const struct drv_frame frame = { channel, (const uint8_t *)what, strlen(what) };

	f->log[0] = '\0';
	return session_frame(f->session, &frame, indication, 1000);
}

static int commit(struct fixture *f, uint64_t seq)
{
	f->log[0] = '\0';
	return session_committed(f->session, seq, 2000);
}

/* ---- tests ---- */

static void test_confirm_after_commit(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0x2a9d, "r", true), 0);
	assert_string_equal(f->log, "m1 ");
	assert_false(session_idle(f->session));
	assert_int_equal(feed(f, 0x2a9d, "r", true), -EBUSY);
	assert_string_equal(f->log, "");
	assert_int_equal(commit(f, 0), 0);
	assert_string_equal(f->log, "");
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "confirm:2a9d write:0001:3 ");
	assert_true(session_idle(f->session));
	assert_int_equal(commit(f, 1), 0); /* said twice, done once */
	assert_string_equal(f->log, "");
	assert_int_equal(feed(f, 0x2a9d, "r", true), 0);
	assert_string_equal(f->log, "m2 ");
}

/* a second reading after the held one does not hold it any longer */
static void test_each_confirmation_waits_for_its_own(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0x2a9d, "rr", true), 0);
	assert_string_equal(f->log, "m1 m2 ");
	assert_int_equal(feed(f, 0x2a18, "r", false), 0);
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "");
	assert_int_equal(commit(f, 2), 0);
	assert_string_equal(f->log, "confirm:2a9d ");
	assert_int_equal(commit(f, 3), 0);
	assert_string_equal(f->log, "write:0001:3 ");
}

static void test_nothing_to_lose(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0x2a9d, "", true), 0);
	assert_string_equal(f->log, "confirm:2a9d ");
	assert_int_equal(feed(f, 0x2a9d, "n", true), 0);
	assert_string_equal(f->log, "m1 confirm:2a9d ");
	assert_true(session_idle(f->session));
	assert_int_equal(feed(f, 0x2a37, "r", false), 0);
	assert_string_equal(f->log, "m2 ");
	assert_int_equal(commit(f, 2), 0);
	assert_string_equal(f->log, "write:0001:3 ");
}

static void test_spoiled(void **state)
{
	static const struct {
		const char *what, *log;
		int r;
		enum session_fault fault;
	} rows[] = {
		{ "r1", "fault:2a9d:length:-90 ", -EMSGSIZE, FAULT_LENGTH },
		{ "rr2", "fault:2a9d:checksum:-74 ", -EBADMSG, FAULT_CHECKSUM },
		{ "3", "fault:2a9d:range:-34 ", -ERANGE, FAULT_RANGE },
		{ "4", "fault:2a9d:not_mine:-42 ", -ENOMSG, FAULT_NOT_MINE },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(feed(f, 0x2a9d, rows[i].what, false), rows[i].r);
		assert_string_equal(f->log, rows[i].log);
		assert_int_equal(session_counts(f->session)->faults[rows[i].fault], 1);
		assert_false(session_is_done(f->session));
	}
	assert_int_equal(session_counts(f->session)->frames, 4);
	assert_int_equal(session_counts(f->session)->measurements, 0);
	assert_int_equal(f->next_seq, 1);
}

/* what a spoiled frame asked for is still done: it may have been "say that again" */
static void test_spoiled_may_ask(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0x2a9d, "rw2", false), -EBADMSG);
	assert_string_equal(f->log, "fault:2a9d:checksum:-74 write:2a52:2 ");
}

static void test_no_confirmation_after_a_spoiled_indication(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0x2a9d, "1", true), -EMSGSIZE);
	assert_int_equal(feed(f, 0x2a9d, "r", true), 0);
	assert_string_equal(f->log, "m1 ");
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "write:0001:3 ");
	assert_int_equal(feed(f, 0x2a9d, "n", true), 0);
	assert_string_equal(f->log, "m2 ");
}

static void test_requests_in_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "wRtr", false), 0);
	assert_string_equal(f->log, "m1 write:2a52:2 read timer:1500 ");
	assert_int_equal(feed(f, 1, "L", false), 0);
	assert_string_equal(f->log, "write:0001:512 ");
	assert_int_equal(feed(f, 1, "Q", false), 0);
	assert_string_equal(f->log, "read read read read read read read read "
				    "read read read read read read read read ");
}

static void test_many(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "m", true), 0);
	assert_int_equal(session_counts(f->session)->measurements, DRV_EMITS_MAX);
	assert_int_equal(commit(f, DRV_EMITS_MAX - 1), 0);
	assert_string_equal(f->log, "");
	assert_int_equal(commit(f, DRV_EMITS_MAX), 0);
	assert_string_equal(f->log, "confirm:0001 write:0001:3 ");
}

static void test_done_waits_for_the_commit(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "rd", false), 0);
	assert_string_equal(f->log, "m1 ");
	assert_true(session_is_done(f->session));
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "write:0001:3 close ");
	assert_int_equal(feed(f, 1, "d", false), 0);
	assert_string_equal(f->log, ""); /* asked for once */
}

static void test_fatal(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "rw5", true), -EIO);
	assert_string_equal(f->log, "close ");
	assert_true(session_is_done(f->session));
	assert_int_equal(feed(f, 1, "r", false), -ENOTCONN);
	assert_int_equal(session_timeout(f->session, 1), -ENOTCONN);
	assert_string_equal(f->log, "");
}

static void test_timeout(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(session_timeout(f->session, 5), 0);
	assert_string_equal(f->log, "m1 ");
}

static void test_close_forgets(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "r", true), 0);
	f->log[0] = '\0';
	session_close(f->session, 10);
	assert_string_equal(f->log, "");
}

static void test_sequence_is_shared(void **state)
{
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	const struct drv_frame frame = { 1, (const uint8_t *)"r", 1 };
	struct session *other;

	assert_int_equal(session_new(&puppet, 0, &sink, &f->next_seq, &other), 0);
	assert_int_equal(feed(f, 1, "r", true), 0);
	assert_int_equal(session_frame(other, &frame, true, 0), 0);
	assert_string_equal(f->log, "m1 m2 ");
	assert_int_equal(session_committed(other, 1, 0), 0);
	assert_false(session_idle(other));
	assert_int_equal(session_committed(other, 2, 0), 0);
	assert_true(session_idle(other));
	session_free(other);
}

static void test_security_and_clock(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "cr", false), 0);
	assert_false(f->last.has_clock_offset); /* nobody knows the time */
	/* 2026-05-12T18:53:40.000Z at 0; frames come at 1 ms */
	session_set_wall(f->session, INT64_C(1778612020000));
	assert_int_equal(feed(f, 1, "cr", false), 0);
	assert_int_equal(f->last.security, LINK_ENCRYPTED);
	assert_true(f->last.has_clock_offset);
	assert_int_equal(f->last.clock_offset_ms, 3600000 + 1 - 500);
}

static void assert_digest(const struct fixture *f, const char *hex)
{
	char text[2 * MEASUREMENT_DIGEST + 1];

	for (size_t i = 0; i < MEASUREMENT_DIGEST; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", f->last.digest[i]);
	assert_string_equal(text, hex);
}

/* FNV-1a 128 of the channel, little endian, and the frame. "foobar" is a published vector: here the
 * channel is "fo" and the frame the rest, with a letter that the puppet refuses to know. */
static int any_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	(void)frame;
	return emit(ctx, 0);
}

static void test_digest(void **state)
{
	static const struct driver any = { .name = "any", .frame = any_frame };
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	const struct drv_frame frame = { 'f' | 'o' << 8, (const uint8_t *)"obar", 4 };
	struct session *s;

	assert_int_equal(session_new(&any, 0, &sink, &f->next_seq, &s), 0);
	assert_int_equal(session_frame(s, &frame, false, 0), 0);
	assert_digest(f, "343e1662793c64bf6f0d3597ba446f18");
	session_free(s);
}

/* ---- facts ---- */

static int fact_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	return frame->channel == 0x2a19 ? drv_battery(ctx, frame->data[0])
					: drv_fact(ctx, DRV_MODEL, frame->data, frame->len);
}

static void test_facts(void **state)
{
	static const struct driver teller = { .name = "teller", .frame = fact_frame };
	static const char long_text[] =
		"0123456789012345678901234567890123456789012345678901234567890\xe2\x82\xac tail";
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	struct drv_frame frame = { 0x2a24, (const uint8_t *)"BF720\0\0 ", 8 };
	const struct session_facts *facts;
	struct session *s;

	assert_int_equal(session_new(&teller, 0, &sink, &f->next_seq, &s), 0);
	facts = session_facts(s);
	assert_int_equal(session_frame(s, &frame, false, 0), 0);
	assert_string_equal(facts->text[DRV_MODEL], "BF720");
	frame.data = (const uint8_t *)"a\xff";
	frame.len = 2;
	assert_int_equal(session_frame(s, &frame, false, 0), -EBADMSG);
	assert_string_equal(facts->text[DRV_MODEL], "BF720");
	/* 61 digits and a character of three bytes: no half of it is kept */
	frame.data = (const uint8_t *)long_text;
	frame.len = strlen(long_text);
	assert_int_equal(session_frame(s, &frame, false, 0), 0);
	assert_int_equal(strlen(facts->text[DRV_MODEL]), 61);
	assert_false(facts->has_battery);
	frame = (struct drv_frame){ 0x2a19, (const uint8_t *)"\x65", 1 };
	assert_int_equal(session_frame(s, &frame, false, 0), -ERANGE);
	frame.data = (const uint8_t *)"\x57";
	assert_int_equal(session_frame(s, &frame, false, 0), 0);
	assert_true(facts->has_battery);
	assert_int_equal(facts->battery, 87);
	session_free(s);
}

static void test_deadline(void **state)
{
	const struct session_request none = { .kind = SESSION_TIMER },
				     longest = { .kind = SESSION_TIMER, .msec = UINT32_MAX };

	(void)state;
	assert_true(session_deadline(&none, 5) == INT64_MAX);
	assert_true(session_deadline(&longest, 5) == INT64_C(4294967295005));
}

/* ---- news ---- */

/* says the news of its first byte, or, with a second byte, that it is over */
static int news_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	if (frame->len == 2)
		drv_news_over(ctx, (enum drv_news)frame->data[0]);
	else
		drv_news(ctx, (enum drv_news)frame->data[0]);
	return frame->channel == 1 ? 0 : -(int)frame->channel;
}

static int say_news(struct session *s, int channel, uint8_t news, size_t len)
{
	const uint8_t data[2] = { news };
	const struct drv_frame frame = { (uint16_t)channel, data, len };

	return session_frame(s, &frame, false, 0);
}

static void test_news(void **state)
{
	static const struct driver teller = { .name = "teller", .frame = news_frame };
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	const struct session_facts *facts;
	struct session *s;

	assert_int_equal(session_new(&teller, 0, &sink, &f->next_seq, &s), 0);
	facts = session_facts(s);
	assert_int_equal(facts->news, 0);
	assert_false(session_was_good(s)); /* it has not spoken yet */
	/* also out of a frame that is spoiled, which does not make the link a good one */
	assert_int_equal(say_news(s, ENOMSG, DRV_NEWS_MODEL_NOT_SUPPORTED, 1), -ENOMSG);
	assert_int_equal(facts->news, SESSION_NEWS(DRV_NEWS_MODEL_NOT_SUPPORTED));
	assert_false(session_was_good(s));
	assert_int_equal(say_news(s, 1, DRV_NEWS_ANOTHER_DEVICE, 1), 0);
	assert_int_equal(say_news(s, 1, DRV_NEWS_ANOTHER_DEVICE, 1), 0);
	assert_int_equal(facts->news, SESSION_NEWS(DRV_NEWS_MODEL_NOT_SUPPORTED) |
					      SESSION_NEWS(DRV_NEWS_ANOTHER_DEVICE));
	assert_true(session_was_good(s));
	assert_int_equal(say_news(s, 1, DRV_NEWS_MODEL_NOT_SUPPORTED, 2), 0);
	assert_int_equal(facts->news, SESSION_NEWS(DRV_NEWS_ANOTHER_DEVICE));
	assert_int_equal(say_news(s, EIO, DRV_NEWS_KEY_WRONG, 1), -EIO);
	assert_false(session_was_good(s)); /* the link must drop */
	session_free(s);
}

/* emits a measurement whose flags are the numbers in its frame; 255: and spoils it */
static int flags_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	uint64_t flags = 0;
	int r = 0;

	for (size_t i = 0; i < frame->len; i++) {
		if (frame->data[i] == 255)
			r = -EBADMSG;
		else
			flags |= FLAG_BIT(frame->data[i]);
	}
	assert_int_equal(emit(ctx, flags), 0);
	return r;
}

static void test_news_of_measurements(void **state)
{
	enum {
		AGAIN = SESSION_NEWS(DRV_NEWS_MEASURE_AGAIN),
		BATTERY = SESSION_NEWS(DRV_NEWS_BATTERY_LOW),
	};
	static const struct driver teller = { .name = "teller", .frame = flags_frame };
	static const struct {
		size_t n;
		uint32_t news;
		uint8_t flags[2];
	} rows[] = {
		{ 2, 0, { FLAG_ERROR, 255 } }, /* spoiled: it says nothing */
		{ 2, 0, { FLAG_ERROR, FLAG_BACKFILL } },
		{ 1, AGAIN, { FLAG_ERROR } },
		{ 1, AGAIN, { FLAG_UNSTABLE } }, /* the next try, still going on */
		{ 2, AGAIN, { FLAG_LOW_BATTERY, FLAG_BACKFILL } },
		{ 1, BATTERY, { FLAG_LOW_BATTERY } },
		{ 0, 0, { 0 } },
	};
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	struct session *s;

	assert_int_equal(session_new(&teller, 0, &sink, &f->next_seq, &s), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct drv_frame frame = { 1, rows[i].flags, rows[i].n };

		(void)session_frame(s, &frame, false, 0);
		assert_int_equal(session_facts(s)->news, rows[i].news);
	}
	session_free(s);
}

/* ---- numbers that nobody can write down ---- */

static int huge_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct measurement m = { .metric = METRIC_TEMPERATURE };

	measurement_add(&m, METRIC_TEMPERATURE, UNIT_CELSIUS, number_of(1, (int8_t)frame->data[0]));
	return drv_emit(ctx, &m);
}

static void test_huge_numbers(void **state)
{
	static const struct driver huge = { .name = "huge", .frame = huge_frame };
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	struct session *s;

	assert_int_equal(session_new(&huge, 0, &sink, &f->next_seq, &s), 0);
	for (int e = -128; e < 128; e++) {
		const uint8_t byte = (uint8_t)e;
		const struct drv_frame frame = { 1, &byte, 1 };
		const bool sayable = abs(e) <= DECIMAL_EXPONENT_MAX;

		assert_int_equal(session_frame(s, &frame, false, 0), sayable ? 0 : -ERANGE);
	}
	session_free(s);
}

/* ---- memory, consents, refusals, the hub's time ---- */

/*
 * What its frames say: r reading, k keep the rest of the frame, ? says what is kept, g m x the
 * consent at the digit is good, made (slot 5), refused; s too long to keep, 3 -ERANGE, 5 -EIO.
 */
static struct fixture *clerk_of; /* whom it tells what it was told */

static int clerk_consent(struct drv_ctx *ctx, char what, size_t i)
{
	if (what == 'g')
		drv_consent_outcome(ctx, i, DRV_CONSENT_GOOD, 1);
	else if (what == 'm')
		drv_consent_outcome(ctx, i, DRV_CONSENT_MADE, 5);
	else
		drv_consent_outcome(ctx, i, DRV_CONSENT_REFUSED, 1);
	return 0;
}

static int clerk_do(struct drv_ctx *ctx, const uint8_t *data, size_t len, size_t *ret_used)
{
	static const uint8_t too_long[DRV_KEPT_MAX + 1];
	uint8_t kept[DRV_KEPT_MAX];

	*ret_used = 1;
	switch (data[0]) {
	case 'r':
		return emit(ctx, 0);
	case 'k':
		*ret_used = 2;
		return drv_keep(ctx, data + 1, len > 1 ? 1 : 0);
	case '?':
		say(clerk_of, "has:%.*s ", (int)drv_kept(ctx, kept), (const char *)kept);
		return 0;
	case 's':
		assert_int_equal(drv_keep(ctx, too_long, sizeof(too_long)), -EMSGSIZE);
		return 0;
	case 'g':
	case 'm':
	case 'x':
		*ret_used = 2;
		return clerk_consent(ctx, (char)data[0], (size_t)(data[1] - '0'));
	case '3':
		return -ERANGE;
	default:
		return -EIO;
	}
}

static int clerk_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	size_t at = 0, used;
	int r = 0;

	while (at < frame->len && r == 0) {
		r = clerk_do(ctx, frame->data + at, frame->len - at, &used);
		at += used;
	}
	return r;
}

static int clerk_committed(struct drv_ctx *ctx)
{
	return clerk_of->keeps_at_commit ? drv_keep(ctx, "C", 1) : 0;
}

static int clerk_refused(struct drv_ctx *ctx, uint16_t channel, uint8_t error)
{
	say(clerk_of, "refused:%04x:%02x ", channel, error);
	return error == 0xee ? -EIO : drv_read(ctx, channel);
}

static void clerk_close(struct drv_ctx *ctx)
{
	drv_consent_outcome(ctx, 0, DRV_CONSENT_REFUSED, 1);
	(void)drv_keep(ctx, "closed", 6);
}

static const struct driver clerk = {
	.name = "clerk",
	.frame = clerk_frame,
	.committed = clerk_committed,
	.refused = clerk_refused,
	.close = clerk_close,
};

static void on_memory(void *user, const struct session_memory *memory)
{
	say(user, "kept:%.*s:%u:%u ", (int)memory->kept_len, (const char *)memory->kept,
	    memory->consents[0].slot, memory->consents[1].slot);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	say(user, "consent:%zu:%d:%u ", i, (int)outcome, slot);
}

static int setup_clerk(void **state)
{
	static const struct session_memory memory = {
		.consents = { { .slot = 1, .code = 1234 }, { .slot = DRV_SLOT_NEW, .code = 7007 } },
		.n_consents = 2,
		.kept = "old",
		.kept_len = 3,
	};
	struct fixture *f = calloc(1, sizeof(*f));
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .memory = on_memory,
					   .consent = on_consent,
					   .user = f };

	assert_non_null(f);
	clerk_of = f;
	f->next_seq = 1;
	assert_int_equal(session_new(&clerk, 0, &sink, &f->next_seq, &f->session), 0);
	session_set_memory(f->session, &memory);
	assert_int_equal(session_open(f->session, LINK_ENCRYPTED, 0), 0);
	*state = f;
	return 0;
}

static void test_kept_once_durable(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "?", false), 0);
	assert_string_equal(f->log, "has:old ");
	assert_int_equal(feed(f, 1, "ka?", false), 0); /* nothing is open: at once */
	assert_string_equal(f->log, "has:a kept:a:1:255 ");
	assert_int_equal(feed(f, 1, "?s?", false), 0);
	assert_string_equal(f->log, "has:a has:a ");
	/* not before all that was emitted until then is durable */
	assert_int_equal(feed(f, 1, "rkb?", false), 0);
	assert_string_equal(f->log, "has:b m1 ");
	assert_int_equal(feed(f, 1, "?", false), 0);
	assert_string_equal(f->log, "has:b ");
	assert_int_equal(feed(f, 1, "r", false), 0);
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "");
	assert_int_equal(commit(f, 2), 0);
	assert_string_equal(f->log, "kept:b:1:255 ");
	assert_int_equal(commit(f, 2), 0);
	assert_string_equal(f->log, "");
	/* a reading of an earlier frame holds it too */
	assert_int_equal(feed(f, 1, "r", false), 0);
	assert_int_equal(feed(f, 1, "kc", false), 0);
	assert_int_equal(feed(f, 1, "kd", false), 0);
	assert_string_equal(f->log, "");
	f->keeps_at_commit = true;
	assert_int_equal(commit(f, 3), 0);
	assert_string_equal(f->log, "kept:C:1:255 ");
}

static void test_kept_not_by_a_spoiled_frame(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "rka3", false), -ERANGE);
	assert_string_equal(f->log, "fault:0001:range:-34 ");
	assert_int_equal(feed(f, 1, "?", false), 0);
	assert_string_equal(f->log, "has:old ");
	/* nor does it undo what waits */
	assert_int_equal(feed(f, 1, "rkb", false), 0);
	assert_int_equal(feed(f, 1, "kc3", false), -ERANGE);
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "kept:b:1:255 ");
}

static void test_kept_not_after_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, "rkb", false), 0);
	assert_int_equal(feed(f, 1, "5", false), -EIO);
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "");
	session_close(f->session, 10);
	assert_string_equal(f->log, "consent:0:3:1 "); /* and "closed" is not kept */
}

static void test_consents(void **state)
{
	struct fixture *f = *state;
	struct drv_consent c = { .slot = 9, .code = 9 };
	const struct drv_ctx *ctx = (const struct drv_ctx *)(const void *)f->session;

	assert_true(drv_consent(ctx, 0, &c));
	assert_int_equal(c.slot, 1);
	assert_int_equal(c.code, 1234);
	assert_true(drv_consent(ctx, 1, &c));
	assert_int_equal(c.slot, DRV_SLOT_NEW);
	assert_false(drv_consent(ctx, 2, &c));
	assert_int_equal(c.code, 7007); /* untouched */
	assert_int_equal(feed(f, 1, "g0x0", false), 0);
	/* that it was refused outlives the link */
	assert_string_equal(f->log, "consent:0:1:1 consent:0:3:1 kept:old:1:255 ");
	assert_true(drv_consent(ctx, 0, &c));
	assert_true(c.refused);
	/* a new user is remembered at once, and without what still waits */
	assert_int_equal(feed(f, 1, "rkam1", false), 0);
	assert_string_equal(f->log, "consent:1:2:5 m1 kept:old:1:5 ");
	assert_true(drv_consent(ctx, 1, &c));
	assert_int_equal(c.slot, 5);
	assert_int_equal(c.code, 7007);
	assert_int_equal(commit(f, 1), 0);
	assert_string_equal(f->log, "kept:a:1:5 ");
}

static void test_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(session_refused(f->session, 0x2a9f, 0x80, 5), 0);
	assert_string_equal(f->log, "refused:2a9f:80 read ");
	f->log[0] = '\0';
	assert_int_equal(session_refused(f->session, 1, 0xee, 5), -EIO);
	assert_string_equal(f->log, "refused:0001:ee close ");
	f->log[0] = '\0';
	assert_int_equal(session_refused(f->session, 1, 1, 5), -ENOTCONN);
	assert_string_equal(f->log, "");
}

/* a driver without the callback, a transport without the sinks */
static void test_nobody_minds(void **state)
{
	struct fixture *f = *state;
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };
	const struct session_memory memory = { .consents = { { .slot = 1, .code = 1 } },
					       .n_consents = 1 };
	const struct drv_frame frame = { 1, (const uint8_t *)"kam0", 4 };
	struct session *s;

	assert_int_equal(session_refused(f->session, 1, 1, 5), 0);
	assert_string_equal(f->log, "");
	clerk_of = f;
	assert_int_equal(session_new(&clerk, 0, &sink, &f->next_seq, &s), 0);
	session_set_memory(s, &memory);
	assert_int_equal(session_frame(s, &frame, false, 0), 0);
	session_free(s);
}

static void assert_local(struct fixture *f, const char *text)
{
	struct device_time t;
	char found[40];

	assert_true(drv_local_time((const struct drv_ctx *)(const void *)f->session, &t));
	assert_int_equal(t.kind, DEVICE_TIME_LOCAL);
	(void)snprintf(found, sizeof(found), "%04u-%02u-%02uT%02u:%02u:%02u.%06u", t.year, t.month,
		       t.day, t.hour, t.minute, t.second, (unsigned int)t.fraction_us);
	assert_string_equal(found, text);
}

static void test_local_time(void **state)
{
	/* date -u +%s of the UTC time, in ms */
	static const struct {
		int64_t utc_ms;
		int zone_min;
		const char *local;
	} rows[] = {
		{ INT64_C(1778612020250), 0, "2026-05-12T18:53:40.250000" },
		{ INT64_C(1778612020000), 60, "2026-05-12T19:53:40.000000" },
		{ INT64_C(1772323199000), 0, "2026-02-28T23:59:59.000000" },
		{ INT64_C(1772323199999), 1, "2026-03-01T00:00:59.999000" },
		{ INT64_C(1835393400000), 30, "2028-02-29T00:00:00.000000" },
		{ INT64_C(1767224400000), -570, "2025-12-31T14:10:00.000000" },
		{ INT64_C(1577836800000), 0, "2020-01-01T00:00:00.000000" },
	};
	struct fixture *f = *state;
	const struct drv_ctx *ctx = (const struct drv_ctx *)(const void *)f->session;
	struct device_time t = { .year = 1 };

	session_set_wall(f->session, INT64_C(1778612020000));
	assert_false(drv_local_time(ctx, &t)); /* no zone */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		session_set_wall(f->session, rows[i].utc_ms);
		session_set_zone(f->session, rows[i].zone_min);
		assert_local(f, rows[i].local);
	}
	assert_int_equal(session_timeout(f->session, INT64_C(86400000000)), 0);
	assert_local(f, "2020-01-02T00:00:00.000000");
	session_set_wall(f->session, -1); /* 1970, and a day */
	assert_false(drv_local_time(ctx, &t));
	session_set_wall(f->session, INT64_C(4102444800000)); /* 2100 */
	assert_false(drv_local_time(ctx, &t));
	assert_int_equal(t.year, 1); /* untouched */
}

static void test_random_bytes_once(void **state)
{
	struct fixture *f = *state;
	struct drv_ctx *ctx = (struct drv_ctx *)(void *)f->session;
	uint8_t all[DRV_RANDOM_MAX + 1], got[DRV_RANDOM_MAX];

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i + 1);
	memset(got, 0, sizeof(got));
	assert_int_equal(drv_random(ctx, got, 1), -ENODATA); /* nobody gave any */
	assert_int_equal(got[0], 0);
	session_set_random(f->session, all, 5);
	assert_int_equal(drv_random(ctx, got, 3), 0);
	assert_memory_equal(got, all, 3);
	assert_int_equal(drv_random(ctx, got, 3), -ENODATA);
	assert_memory_equal(got, all, 3); /* untouched */
	assert_int_equal(drv_random(ctx, got, 2), 0);
	assert_memory_equal(got, all + 3, 2);
	assert_int_equal(drv_random(ctx, got, 1), -ENODATA);
	session_set_random(f->session, all, DRV_RANDOM_MAX);
	assert_int_equal(drv_random(ctx, got, DRV_RANDOM_MAX), 0);
	assert_memory_equal(got, all, DRV_RANDOM_MAX);
	assert_int_equal(drv_random(ctx, got, 0), 0);
}

/* Before anything is emitted, once, and of few characters. */
static void test_identity(void **state)
{
	struct fixture *f = *state;
	struct drv_ctx *ctx = (struct drv_ctx *)(void *)f->session;
	const struct session_facts *facts = session_facts(f->session);
	char text[DRV_IDENTITY_MAX];

	memset(text, 'x', sizeof(text));
	assert_string_equal(facts->identity, "");
	assert_int_equal(drv_identity(ctx, "maker", "", 0), -EMSGSIZE);
	assert_int_equal(drv_identity(ctx, "maker", text, sizeof(text) - 5), -EMSGSIZE);
	assert_int_equal(drv_identity(ctx, "maker", "a/b", 3), -EBADMSG);
	assert_int_equal(drv_identity(ctx, "maker", "a\0b", 3), -EBADMSG);
	assert_int_equal(drv_identity(ctx, "maker", "a:b", 3), -EBADMSG);
	assert_string_equal(facts->identity, "");
	assert_int_equal(drv_identity(ctx, "maker", "00-A.f_", 7), 0);
	assert_string_equal(facts->identity, "maker:00-A.f_");
	assert_int_equal(drv_identity(ctx, "maker", "00-A.f_", 7), 0);
	assert_int_equal(drv_identity(ctx, "maker", "00-A.f", 6), -EALREADY);
	assert_int_equal(drv_identity(ctx, "other", "00-A.f_", 7), -EALREADY);
	assert_string_equal(facts->identity, "maker:00-A.f_");
	assert_int_equal(emit(ctx, 0), 0);
	assert_int_equal(drv_identity(ctx, "maker", "00-A.f_", 7), 0);
}

static void test_identity_after_a_reading(void **state)
{
	struct fixture *f = *state;
	struct drv_ctx *ctx = (struct drv_ctx *)(void *)f->session;
	char text[DRV_IDENTITY_MAX];

	memset(text, 'x', sizeof(text));
	assert_int_equal(emit(ctx, FLAG_BIT(FLAG_UNSTABLE)), 0); /* not handed on yet */
	assert_int_equal(drv_identity(ctx, "maker", "1", 1), -EALREADY);
	assert_int_equal(feed(f, 1, "4", false), -ENOMSG); /* drops it */
	assert_int_equal(drv_identity(ctx, "maker", text, sizeof(text) - 6), 0);
	assert_int_equal(strlen(session_facts(f->session)->identity), DRV_IDENTITY_MAX);
}

int main(void)
{
#define CLERK(f) cmocka_unit_test_setup_teardown(f, setup_clerk, teardown)
#define TEST(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_random_bytes_once),
		TEST(test_identity),
		TEST(test_identity_after_a_reading),
		TEST(test_confirm_after_commit),
		TEST(test_each_confirmation_waits_for_its_own),
		TEST(test_nothing_to_lose),
		TEST(test_spoiled),
		TEST(test_spoiled_may_ask),
		TEST(test_no_confirmation_after_a_spoiled_indication),
		TEST(test_requests_in_order),
		TEST(test_many),
		TEST(test_done_waits_for_the_commit),
		TEST(test_fatal),
		TEST(test_timeout),
		TEST(test_close_forgets),
		TEST(test_sequence_is_shared),
		TEST(test_security_and_clock),
		TEST(test_digest),
		TEST(test_facts),
		TEST(test_deadline),
		TEST(test_news),
		TEST(test_news_of_measurements),
		TEST(test_huge_numbers),
		CLERK(test_kept_once_durable),
		CLERK(test_kept_not_by_a_spoiled_frame),
		CLERK(test_kept_not_after_the_end),
		CLERK(test_consents),
		CLERK(test_refused),
		TEST(test_nobody_minds),
		CLERK(test_local_time),
	};
#undef TEST
#undef CLERK

	return cmocka_run_group_tests(tests, NULL, NULL);
}
