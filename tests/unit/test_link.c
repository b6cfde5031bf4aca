/* links: link */
/* The socket to the gateway, against a gateway made of a listening socket in the same loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/link.h"
#include "drivers/registry.h"
#include "wellgate.pb-c.h"

#define TURN_LIMIT_US UINT64_C(30000000)
#define HEARD_MAX     2048

struct stand {
	char directory[64], path[80];
	sd_event *event;
	struct link *link;
	uint64_t next_seq;
	struct session *session;
	/* the gateway */
	int listener, peer;
	size_t n_heard;
	struct heard {
		int what;
		uint64_t seq;
		uint32_t link;
		Wellgate__V1__Measurement *m; /* owned by message */
		Wellgate__V1__FromDevices *message;
	} heard[HEARD_MAX];
	/* what the client was told */
	uint64_t committed, refused;
	unsigned int wakes;
	/* what its radio was told */
	unsigned int clocks, pairs, cancels;
};

static void on_committed(void *user, uint64_t seq)
{
	((struct stand *)user)->committed = seq;
}

static void on_refused(void *user, uint64_t seq)
{
	((struct stand *)user)->refused = seq;
}

static void on_wake(void *user)
{
	((struct stand *)user)->wakes++;
}

static int on_pair(void *user, const struct radio_pair_request *request)
{
	struct stand *s = user;
	struct radio_pairing p = { .phase = RADIO_PAIRING_LOOKING };

	(void)request;
	s->pairs++;
	link_pairing(s->link, &p); /* as a radio does, from inside the command */
	return 0;
}

static void on_cancel(void *user)
{
	((struct stand *)user)->cancels++;
}

static void on_clock(void *user, bool trusted, int zone_offset_min)
{
	struct stand *s = user;

	assert_true(trusted);
	assert_int_equal(zone_offset_min, 60);
	s->clocks++;
}

static enum adapter_state no_adapter(void *user)
{
	(void)user;
	return ADAPTER_ABSENT;
}

static const struct adapter_counts *no_counts(void *user)
{
	static const struct adapter_counts counts;

	(void)user;
	return &counts;
}

static size_t no_devices(void *user)
{
	(void)user;
	return 0;
}

static void no_device_at(void *user, size_t i, struct radio_device *ret)
{
	(void)user;
	(void)i;
	(void)ret;
	fail();
}

static void no_findings(void *user,
			void (*finding)(void *user, enum adapter_finding_level level,
					const char *text, const char *advice),
			void *finding_user)
{
	(void)user;
	(void)finding;
	(void)finding_user;
}

static void gateway_listen(struct stand *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, s->path, strlen(s->path) + 1);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->listener, 1), 0);
}

static void gateway_gone(struct stand *s)
{
	(void)close(s->peer);
	(void)close(s->listener);
	s->peer = s->listener = -1;
	(void)unlink(s->path);
}

static void turn(struct stand *s)
{
	assert_true(sd_event_run(s->event, 10000) >= 0);
}

static void gateway_accept(struct stand *s)
{
	for (uint64_t waited = 0; waited < TURN_LIMIT_US; waited += 10000) {
		s->peer = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (s->peer >= 0)
			return;
		turn(s);
	}
	fail_msg("nobody connected");
}

static void forget_heard(struct stand *s)
{
	for (size_t i = 0; i < s->n_heard; i++)
		wellgate__v1__from_devices__free_unpacked(s->heard[i].message, NULL);
	s->n_heard = 0;
}

/* until the gateway has heard n messages since forget_heard() */
static void gateway_hear(struct stand *s, size_t n)
{
	uint8_t buffer[LINK_PACKET];

	for (uint64_t waited = 0; s->n_heard < n && waited < TURN_LIMIT_US; waited += 10000) {
		ssize_t len;

		turn(s);
		while ((len = recv(s->peer, buffer, sizeof(buffer), 0)) > 0) {
			struct heard *h = &s->heard[s->n_heard++];

			assert_true(s->n_heard < HEARD_MAX);
			h->message = wellgate__v1__from_devices__unpack(NULL, (size_t)len, buffer);
			assert_non_null(h->message);
			h->what = (int)h->message->what_case;
			h->seq = h->message->sequence;
			h->m = NULL;
			if (h->message->what_case == WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT) {
				h->m = h->message->measurement;
				h->link = h->m->link;
			}
			if (h->message->what_case == WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP)
				h->link = h->message->link_up->link;
		}
	}
	assert_int_equal(s->n_heard, n);
}

static void gateway_say(struct stand *s, const Wellgate__V1__ToDevices *message)
{
	uint8_t buffer[256];
	const size_t len = wellgate__v1__to_devices__pack(message, buffer);

	assert_int_equal(send(s->peer, buffer, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void gateway_commits(struct stand *s, uint64_t seq)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;

	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED;
	message.committed = seq;
	gateway_say(s, &message);
}

static void gateway_full(struct stand *s, bool full)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;

	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_FULL;
	message.full = full;
	gateway_say(s, &message);
}

static int setup(void **state)
{
	static const struct session_sink nobody = { 0 };
	struct stand *s = calloc(1, sizeof(*s));
	const struct link_handlers handlers = {
		.committed = on_committed,
		.refused = on_refused,
		.wake = on_wake,
		.radio = { .pair = on_pair, .cancel = on_cancel, .clock = on_clock, .user = s },
		.user = s,
	};

	assert_non_null(s);
	(void)snprintf(s->directory, sizeof(s->directory), "/tmp/wellgate-link-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	(void)snprintf(s->path, sizeof(s->path), "%s/devices.sock", s->directory);
	s->listener = s->peer = -1;
	s->next_seq = 1;
	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(session_new(drivers[0], 0, &nobody, &s->next_seq, &s->session), 0);
	assert_int_equal(link_new(s->event, s->path, &handlers, &s->link), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stand *s = *state;

	forget_heard(s);
	link_free(s->link);
	session_free(s->session);
	(void)sd_event_unref(s->event);
	gateway_gone(s);
	(void)rmdir(s->directory);
	free(s);
	return 0;
}

static void measure(struct stand *s, uint32_t link, uint64_t seq)
{
	const struct link_stamp stamp = { .simulated = true, .simulated_at_ms = (int64_t)seq };
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };

	measurement_add(&m, METRIC_BODY_WEIGHT, UNIT_KG, number_of(79960, -3));
	measurement_add(&m, METRIC_BMI, UNIT_KG_M2, number_absent(ABSENT_NRES));
	m.flags = FLAG_BIT(FLAG_TEST) | FLAG_BIT(FLAG_CUFF_FIT);
	m.has_user_slot = true;
	m.user_slot = 2;
	m.time = (struct device_time){ .kind = DEVICE_TIME_LOCAL, .year = 2026, .month = 5 };
	assert_int_equal(link_measurement(s->link, link, &m, seq, &stamp), 0);
}

static void expect(const struct stand *s, size_t i, int what, uint64_t seq)
{
	assert_int_equal(s->heard[i].what, what);
	assert_int_equal(s->heard[i].seq, seq);
}

#define UP   WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP
#define DOWN WELLGATE__V1__FROM_DEVICES__WHAT_LINK_DOWN
#define M    WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT
#define DONE WELLGATE__V1__FROM_DEVICES__WHAT_DONE

static void a_measurement_arrives_as_it_is(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__Measurement *m;

	gateway_listen(s);
	gateway_accept(s);
	assert_int_equal(link_up(s->link, 7, s->session, true), 0);
	measure(s, 7, 1);
	gateway_hear(s, 2);
	expect(s, 0, UP, 0);
	assert_string_equal(s->heard[0].message->link_up->driver, drivers[0]->name);
	assert_true(s->heard[0].message->link_up->test);
	expect(s, 1, M, 1);
	m = s->heard[1].m;
	assert_int_equal(m->link, 7);
	assert_int_equal(m->n_parts, 2);
	assert_int_equal(m->parts[0]->value->mantissa, 79960);
	assert_int_equal(m->parts[0]->value->exponent, -3);
	assert_int_equal(m->parts[0]->unit, UNIT_KG);
	assert_null(m->parts[1]->value);
	assert_int_equal(m->parts[1]->absent, WELLGATE__V1__ABSENT__ABSENT_NRES);
	assert_int_equal(m->n_flags, 2);
	assert_int_equal(m->flags[0], WELLGATE__V1__FLAG__FLAG_CUFF_FIT);
	assert_int_equal(m->user_slot, 2);
	assert_int_equal(m->device_time->year, 2026);
	assert_false(m->device_time->has_day);
	assert_true(m->test);
	assert_int_equal(m->simulated_at_ms, 1);
	assert_false(m->has_seen_utc_ms);
}

static void without_a_gateway_it_waits_for_one(void **state)
{
	struct stand *s = *state;

	measure(s, 1, 1);
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_false(link_connected(s->link));
	gateway_listen(s);
	gateway_accept(s);
	gateway_hear(s, 1);
	expect(s, 0, M, 1);
}

static void commits_are_handed_on_once_and_rise(void **state)
{
	struct stand *s = *state;

	gateway_listen(s);
	gateway_accept(s);
	assert_int_equal(link_up(s->link, 1, s->session, true), 0);
	for (uint64_t seq = 1; seq <= 3; seq++)
		measure(s, 1, seq);
	gateway_hear(s, 4);
	assert_int_equal(s->committed, 0); /* sent is not committed */
	gateway_commits(s, 2);
	while (s->committed == 0)
		turn(s);
	assert_int_equal(s->committed, 2);
	assert_false(link_idle(s->link));
	gateway_commits(s, 1); /* old news */
	gateway_commits(s, 3);
	while (s->committed == 2)
		turn(s);
	assert_int_equal(s->committed, 3);
	assert_true(link_idle(s->link));
}

static int tell_all(struct drv_ctx *ctx)
{
	for (int i = 1; i < DRV_NEWS_END; i++)
		drv_news(ctx, (enum drv_news)i);
	return drv_identity(ctx, "maker", "0042", 4);
}

static void news_go_with_the_link(void **state)
{
	static const struct driver teller = { .name = "teller", .open = tell_all };
	static const struct session_sink nobody = { 0 };
	struct stand *s = *state;
	const Wellgate__V1__LinkUp *up;
	const Wellgate__V1__DeviceInfo *end;
	struct session *session;

	assert_int_equal(session_new(&teller, 0, &nobody, &s->next_seq, &session), 0);
	gateway_listen(s);
	gateway_accept(s);
	assert_int_equal(link_up(s->link, 7, session, true), 0);
	assert_int_equal(session_open(session, LINK_CABLE, 0), 0);
	assert_int_equal(link_up(s->link, 7, session, true), 0);
	assert_int_equal(link_down(s->link, 7, session), 0);
	gateway_hear(s, 3);
	assert_int_equal(s->heard[0].message->link_up->n_news, 0);
	assert_null(s->heard[0].message->link_up->identity);
	up = s->heard[1].message->link_up;
	end = s->heard[2].message->link_down->counts;
	assert_string_equal(up->identity, "maker:0042");
	assert_int_equal(up->n_news, DRV_NEWS_END - 1);
	assert_int_equal(end->n_news, DRV_NEWS_END - 1);
	for (int i = 1; i < DRV_NEWS_END; i++) {
		assert_int_equal(up->news[i - 1], i);
		assert_int_equal(end->news[i - 1], i);
		assert_non_null(
			protobuf_c_enum_descriptor_get_value(&wellgate__v1__news__descriptor, i));
	}
	assert_true(end->has_understood && !end->understood); /* it never spoke */
	session_free(session);
}

static int tell_make(struct drv_ctx *ctx)
{
	return drv_fact(ctx, DRV_MAKE, "Maker", 5);
}

/* A session of this driver, opened, on a wire under the label; what the gateway heard of it. */
static const Wellgate__V1__LinkUp *labelled(struct stand *s, const struct driver *driver,
					    const struct link_label *label)
{
	static const struct session_sink nobody = { 0 };
	const size_t before = s->n_heard;
	struct session *session;

	assert_int_equal(session_new(driver, 0, &nobody, &s->next_seq, &session), 0);
	assert_int_equal(session_open(session, LINK_CABLE, 0), 0);
	assert_int_equal(link_up_wired(s->link, (uint32_t)before + 1, "usb:1:2:3", label, session),
			 0);
	gateway_hear(s, before + 1);
	session_free(session);
	assert_string_equal(s->heard[before].message->link_up->address, "usb:1:2:3");
	return s->heard[before].message->link_up;
}

static void a_label_says_what_its_driver_does_not(void **state)
{
	static const struct driver maker = { .name = "maker", .open = tell_make };
	static const struct driver tracker = { .name = "tracker", .open = tell_all };
	static const struct link_label label = { "Label", "BP meter", "2.10" };
	char text[65];
	const struct link_label longest = { "", text, "" };
	struct stand *s = *state;
	const Wellgate__V1__LinkUp *up;

	gateway_listen(s);
	gateway_accept(s);
	up = labelled(s, &maker, &label);
	assert_string_equal(up->make, "Maker"); /* the driver knows better */
	assert_string_equal(up->model, "BP meter");
	assert_string_equal(up->firmware, "2.10");
	assert_null(up->serial); /* the identity has it, digested on arrival */
	up = labelled(s, &tracker, &label);
	assert_string_equal(up->identity, "maker:0042");
	assert_null(up->model); /* the label is of what it was read through */
	assert_null(up->firmware);
	memset(text, 'x', 64);
	text[64] = '\0';
	assert_null(labelled(s, &maker, &longest)->model);
	text[63] = '\0';
	assert_string_equal(labelled(s, &maker, &longest)->model, text);
}

/* A device that says something else of itself with each frame fills nobody's memory. */
static void the_last_word_is_enough(void **state)
{
	struct stand *s = *state;

	for (int i = 0; i < 1000; i++) /* nobody listens yet */
		assert_int_equal(link_up(s->link, 1, s->session, true), 0);
	measure(s, 1, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(link_up(s->link, 1, s->session, true), 0);
	assert_int_equal(link_up(s->link, 2, s->session, true), 0);
	gateway_listen(s);
	gateway_accept(s);
	gateway_hear(s, 4);
	expect(s, 0, UP, 0);
	expect(s, 1, M, 1);
	expect(s, 2, UP, 0);
	assert_int_equal(s->heard[2].link, 1);
	expect(s, 3, UP, 0);
	assert_int_equal(s->heard[3].link, 2);
}

static void what_was_not_committed_is_sent_again(void **state)
{
	struct stand *s = *state;

	gateway_listen(s);
	gateway_accept(s);
	assert_int_equal(link_up(s->link, 1, s->session, true), 0);
	for (uint64_t seq = 1; seq <= 3; seq++)
		measure(s, 1, seq);
	assert_int_equal(link_down(s->link, 1, s->session), 0);
	assert_int_equal(link_up(s->link, 2, s->session, true), 0);
	measure(s, 2, 4);
	gateway_hear(s, 7);
	gateway_commits(s, 2);
	while (s->committed == 0)
		turn(s);
	gateway_gone(s);
	while (link_connected(s->link))
		turn(s);
	measure(s, 2, 5);
	forget_heard(s);
	gateway_listen(s);
	gateway_accept(s);
	gateway_hear(s, 6);
	expect(s, 0, UP, 0);
	assert_int_equal(s->heard[0].link, 1);
	expect(s, 1, M, 3);
	expect(s, 2, DOWN, 0);
	expect(s, 3, UP, 0);
	assert_int_equal(s->heard[3].link, 2);
	expect(s, 4, M, 4);
	expect(s, 5, M, 5);
	/* and with all of link 1 committed, nothing of it any more */
	gateway_commits(s, 4);
	while (s->committed == 2)
		turn(s);
	gateway_gone(s);
	while (link_connected(s->link))
		turn(s);
	forget_heard(s);
	gateway_listen(s);
	gateway_accept(s);
	gateway_hear(s, 2);
	expect(s, 0, UP, 0);
	assert_int_equal(s->heard[0].link, 2);
	expect(s, 1, M, 5);
}

static void a_gateway_that_commits_the_unsent_is_left(void **state)
{
	struct stand *s = *state;

	gateway_listen(s);
	gateway_accept(s);
	measure(s, 1, 1);
	gateway_hear(s, 1);
	gateway_commits(s, 2);
	while (link_connected(s->link))
		turn(s);
	assert_int_equal(s->committed, 0);
}

static void garbage_ends_the_connection(void **state)
{
	struct stand *s = *state;

	gateway_listen(s);
	gateway_accept(s);
	measure(s, 1, 1);
	gateway_hear(s, 1);
	assert_int_equal(send(s->peer, "\xff\xff\xff", 3, MSG_NOSIGNAL), 3);
	while (link_connected(s->link))
		turn(s);
	forget_heard(s);
	(void)close(s->peer);
	gateway_accept(s);
	gateway_hear(s, 1);
	expect(s, 0, M, 1);
}

static void full_and_a_long_queue_are_no_room(void **state)
{
	struct stand *s = *state;

	gateway_listen(s);
	gateway_accept(s);
	assert_true(link_has_room(s->link));
	gateway_full(s, true);
	while (link_has_room(s->link))
		turn(s);
	gateway_full(s, false);
	while (!link_has_room(s->link))
		turn(s);
	for (uint64_t seq = 1; seq <= LINK_QUEUE; seq++) {
		assert_true(link_has_room(s->link));
		measure(s, 1, seq);
	}
	assert_false(link_has_room(s->link));
	measure(s, 1, LINK_QUEUE + 1); /* what was heard already is still taken, never dropped */
	gateway_hear(s, LINK_QUEUE + 1);
	gateway_commits(s, 2);
	while (s->committed == 0)
		turn(s);
	assert_true(link_has_room(s->link));
	assert_true(s->wakes > 0);
}

static void a_refused_one_is_told_and_not_sent_again(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	Wellgate__V1__Refused refused = WELLGATE__V1__REFUSED__INIT;

	gateway_listen(s);
	gateway_accept(s);
	measure(s, 1, 1);
	measure(s, 1, 2);
	gateway_hear(s, 2);
	refused.has_sequence = true;
	refused.sequence = 1;
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_REFUSED;
	message.refused = &refused;
	gateway_say(s, &message);
	while (s->refused == 0)
		turn(s);
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->committed, 0);
	(void)close(s->peer);
	while (link_connected(s->link))
		turn(s);
	forget_heard(s);
	gateway_accept(s);
	gateway_hear(s, 1);
	expect(s, 0, M, 2);
}

static void the_end_of_a_replay_is_said(void **state)
{
	struct stand *s = *state;

	gateway_listen(s);
	gateway_accept(s);
	assert_int_equal(link_done(s->link, 42), 0);
	gateway_hear(s, 1);
	expect(s, 0, DONE, 0);
	assert_int_equal(s->heard[0].message->done->measurements, 42);
	assert_true(link_idle(s->link));
}

static void a_live_stamp_names_this_boot(void **state)
{
	struct stand *s = *state;
	struct measurement m = { .metric = METRIC_STEPS };
	struct link_stamp stamp, later;

	assert_int_equal(link_stamp_now(&stamp), 0);
	assert_int_equal(link_stamp_now(&later), 0);
	assert_memory_equal(stamp.boot_id, later.boot_id, LINK_BOOT_ID);
	assert_true(later.boottime_us >= stamp.boottime_us);
	measurement_add(&m, METRIC_STEPS, UNIT_STEPS, number_of(100, 0));
	gateway_listen(s);
	gateway_accept(s);
	assert_int_equal(link_measurement(s->link, 1, &m, 1, &stamp), 0);
	gateway_hear(s, 1);
	assert_false(s->heard[0].m->has_simulated_at_ms);
	assert_int_equal(s->heard[0].m->seen_utc_ms, stamp.utc_ms);
	assert_int_equal(s->heard[0].m->seen_boot_id.len, LINK_BOOT_ID);
}

static void gateway_asks(struct stand *s, uint64_t id, bool pair)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Pair m = WELLGATE__V1__RADIO_COMMAND__PAIR__INIT;

	m.has_seconds = true;
	m.seconds = 60;
	command.has_id = true;
	command.id = id;
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	if (pair) {
		command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
		command.pair = &m;
	}
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_RADIO;
	message.radio = &command;
	gateway_say(s, &message);
}

#define RADIO   WELLGATE__V1__FROM_DEVICES__WHAT_RADIO
#define PAIRING WELLGATE__V1__FROM_DEVICES__WHAT_PAIRING
#define OUTCOME WELLGATE__V1__FROM_DEVICES__WHAT_OUTCOME

static void the_radio_speaks_beside_the_readings(void **state)
{
	struct stand *s = *state;
	const struct status_source source = { no_adapter,   no_counts,   no_devices,
					      no_device_at, no_findings, NULL };
	const struct ble_address address = { .bytes = { 2, 0, 0x5e, 0x10, 0, 1 } };
	static const struct link_label nothing = { "", "", "" };

	link_set_source(s->link, &source);
	measure(s, 1, 1);
	gateway_listen(s);
	gateway_accept(s);
	gateway_hear(s, 2);
	expect(s, 0, M, 1); /* readings first */
	expect(s, 1, RADIO, 0);
	assert_int_equal(s->heard[1].message->radio->adapter,
			 WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_ABSENT);
	forget_heard(s);
	link_changed(s->link);
	gateway_asks(s, 8, false);
	gateway_hear(s, 2);
	expect(s, 0, RADIO, 0);
	expect(s, 1, OUTCOME, 0);
	assert_int_equal(link_up_ble(s->link, 3, &address, s->session), 0);
	gateway_hear(s, 3);
	assert_string_equal(s->heard[2].message->link_up->address, "02:00:5E:10:00:01 public");
	assert_false(s->heard[2].message->link_up->test);
	assert_int_equal(link_up_wired(s->link, 4, "usb:0590:0090:A1B2", &nothing, s->session), 0);
	gateway_hear(s, 4);
	assert_string_equal(s->heard[3].message->link_up->address, "usb:0590:0090:A1B2");
	assert_false(s->heard[3].message->link_up->test);
	assert_false(link_idle(s->link)); /* nobody has committed the reading */
}

static void commands_and_clock_reach_the_radio(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	Wellgate__V1__Clock clock = WELLGATE__V1__CLOCK__INIT;

	gateway_listen(s);
	gateway_accept(s);
	clock.has_synced = clock.synced = clock.has_zone_offset_min = true;
	clock.zone_offset_min = 60;
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_CLOCK;
	message.clock = &clock;
	gateway_say(s, &message);
	while (s->clocks == 0)
		turn(s);
	gateway_asks(s, 8, true);
	gateway_hear(s, 2);
	expect(s, 0, PAIRING, 0);
	assert_int_equal(s->heard[0].message->pairing->pairing, 8);
	expect(s, 1, OUTCOME, 0);
	assert_int_equal(s->heard[1].message->outcome->error, 0);
	assert_int_equal(s->pairs, 1);
	gateway_gone(s);
	while (s->cancels == 0) /* the operator is gone */
		turn(s);
	/* a clock that is none ends the connection */
	forget_heard(s);
	gateway_listen(s);
	gateway_accept(s);
	clock.has_synced = false;
	gateway_say(s, &message);
	while (link_connected(s->link))
		turn(s);
	assert_int_equal(s->clocks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_measurement_arrives_as_it_is),
		TEST(without_a_gateway_it_waits_for_one),
		TEST(commits_are_handed_on_once_and_rise),
		TEST(news_go_with_the_link),
		TEST(a_label_says_what_its_driver_does_not),
		TEST(the_last_word_is_enough),
		TEST(what_was_not_committed_is_sent_again),
		TEST(a_gateway_that_commits_the_unsent_is_left),
		TEST(garbage_ends_the_connection),
		TEST(full_and_a_long_queue_are_no_room),
		TEST(a_refused_one_is_told_and_not_sent_again),
		TEST(the_end_of_a_replay_is_said),
		TEST(a_live_stamp_names_this_boot),
		TEST(the_radio_speaks_beside_the_readings),
		TEST(commands_and_clock_reach_the_radio),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
