/* links: link */
#include "drivers/wiring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "drivers/registry.h"

#define MINUTE_MS 60000

struct stand {
	struct wiring wiring; /* first */
	sd_event *event;
	struct session *session;
	uint64_t next_seq;
	uint32_t observed;
	int64_t utc_ms;
};

static void on_committed(void *user, uint64_t seq)
{
	(void)user;
	(void)seq;
}

static void on_wake(void *user)
{
	(void)user;
}

static void on_observe(void *user, uint32_t id, const struct cap_event *event, int64_t utc_ms)
{
	struct stand *s = user;

	assert_int_equal(event->kind, CAP_CLOSE);
	s->observed = id;
	s->utc_ms = utc_ms;
}

static int set_up(void **state)
{
	static const struct session_sink nobody = { 0 };
	static const struct link_handlers handlers = { .committed = on_committed,
						       .refused = on_committed,
						       .wake = on_wake };
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->next_seq = 1;
	s->wiring.observe = on_observe;
	s->wiring.observe_user = s;
	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(session_new(drivers[0], 0, &nobody, &s->next_seq, &s->session), 0);
	assert_int_equal(
		link_new(s->event, "/nonexistent/devices.sock", &handlers, &s->wiring.link), 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	link_free(s->wiring.link);
	session_free(s->session);
	(void)sd_event_unref(s->event);
	free(s);
	return 0;
}

/* until there is no room, and one more all the same: a device that was asked is not cut off */
static void test_measurements_wait_in_the_link(void **state)
{
	struct stand *s = *state;
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };

	measurement_add(&m, METRIC_BODY_WEIGHT, UNIT_KG, number_of(79960, -3));
	assert_int_equal(link_up(s->wiring.link, 7, s->session, true), 0);
	for (uint64_t seq = 1; seq <= LINK_QUEUE; seq++) {
		assert_true(wiring_has_room(s));
		assert_int_equal(wiring_measurement(s, 7, &m, seq), 0);
	}
	assert_false(wiring_has_room(s));
	assert_int_equal(wiring_measurement(s, 7, &m, LINK_QUEUE + 1), 0);
	assert_false(link_idle(s->wiring.link));
	assert_int_equal(wiring_down(s, 7, s->session), 0);
}

static void test_observed_now(void **state)
{
	const struct cap_event event = { .kind = CAP_CLOSE };
	struct stand *s = *state;
	struct timespec t;
	int64_t now;

	wiring_observe(s, 9, &event);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
	now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	assert_int_equal(s->observed, 9);
	assert_true(s->utc_ms <= now && s->utc_ms > now - MINUTE_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_measurements_wait_in_the_link, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_observed_now, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
