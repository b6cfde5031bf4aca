/* links: drivers */
/* What a capture cannot say: the gateway already knows records of this meter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/registry.h"
#include "drivers/session.h"

struct fixture {
	struct session *session;
	uint64_t next_seq;
	unsigned int writes, closes;
	uint8_t written[16];
	size_t len;
};

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	(void)user;
	(void)m;
	(void)seq;
}

static void on_request(void *user, const struct session_request *request)
{
	struct fixture *f = user;

	if (request->kind == SESSION_CLOSE)
		f->closes++;
	if (request->kind != SESSION_WRITE)
		return;
	assert_int_equal(request->channel, 0x2a52);
	assert_true(request->len <= sizeof(f->written));
	memcpy(f->written, request->data, request->len);
	f->len = request->len;
	f->writes++;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	fail();
}

static void begin(struct fixture *f, bool known, uint32_t last)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = f };

	*f = (struct fixture){ .next_seq = 1 };
	assert_int_equal(
		session_new(registry_by_name("glucose_meter"), 0, &sink, &f->next_seq, &f->session),
		0);
	if (known)
		session_set_last_record(f->session, last);
	assert_int_equal(session_open(f->session, LINK_REPLAY, 0), 0);
}

static void assert_asked(const struct fixture *f, unsigned int times, const char *data, size_t len)
{
	assert_int_equal(f->writes, times);
	assert_int_equal(f->len, len);
	assert_memory_equal(f->written, data, len);
}

static void answer(struct fixture *f, uint8_t result)
{
	const uint8_t data[] = { 6, 0, 1, result };
	const struct drv_frame frame = { 0x2a52, data, sizeof(data) };

	assert_int_equal(session_frame(f->session, &frame, true, 0), 0);
}

static void test_asks_for_all(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, false, 0);
	assert_asked(&f, 1, "\x01\x01", 2);
	session_free(f.session);
	begin(&f, true, 70000); /* no sequence of a meter is that long */
	assert_asked(&f, 1, "\x01\x01", 2);
	session_free(f.session);
}

static void test_asks_since_the_last(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, true, 0x1234);
	assert_asked(&f, 1, "\x01\x03\x01\x34\x12", 5);
	answer(&f, 1);
	assert_int_equal(f.writes, 1);
	assert_int_equal(f.closes, 1);
	session_free(f.session);
}

/* A meter that lost its memory counts from the start; one that cannot filter says so. */
static void test_asks_for_all_if_that_finds_nothing(void **state)
{
	static const uint8_t results[] = { 6, 4, 9, 8 };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(results); i++) {
		begin(&f, true, 9);
		answer(&f, results[i]);
		assert_asked(&f, 2, "\x01\x01", 2);
		assert_int_equal(f.closes, 0);
		answer(&f, 6);
		assert_int_equal(f.writes, 2);
		assert_int_equal(f.closes, 1);
		session_free(f.session);
	}
}

static void test_silence(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, false, 0);
	assert_int_equal(session_timeout(f.session, 30000000), -ETIMEDOUT);
	assert_true(session_is_done(f.session));
	assert_int_equal(f.closes, 1);
	session_free(f.session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_for_all),
		cmocka_unit_test(test_asks_since_the_last),
		cmocka_unit_test(test_asks_for_all_if_that_finds_nothing),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
