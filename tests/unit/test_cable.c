/* links: transports */
/*
 * A session on a wire: a driver made for this test, a wire that notes what happens to it, and this
 * test as the gateway. The driver's language, one letter a frame:
 *
 *   R  two readings      N  news            W  writes 'w' at once     K  keeps 'k', one reading
 *   T  a timer of 1 ms   D  is done         S  spoiled                X  drops the link
 *   Q  asks for a read   F  a serial number, then one reading   P  writes what it kept
 * On each commit of all it writes 'a'.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/transport/cable.h"

#define PATIENCE_US 60000000 /* of a turn of the loop: a hang, not a delay */

#define say(s, ...)                                                              \
	do {                                                                     \
		const size_t n = strlen((s)->log);                               \
		(void)snprintf((s)->log + n, sizeof((s)->log) - n, __VA_ARGS__); \
	} while (0)

/* ---- the driver ---- */

static int emit(struct drv_ctx *ctx, bool final)
{
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };

	if (!final)
		m.flags = FLAG_BIT(FLAG_UNSTABLE);
	measurement_add(&m, METRIC_BODY_WEIGHT, UNIT_KG, number_of(702, -1));
	return drv_emit(ctx, &m);
}

static int drive_open(struct drv_ctx *ctx)
{
	return drv_write(ctx, DRV_WIRE_BYTES, "o", 1);
}

static int drive(struct drv_ctx *ctx, char letter)
{
	uint8_t kept[DRV_KEPT_MAX];

	switch (letter) {
	case 'R':
		(void)emit(ctx, true);
		return emit(ctx, true);
	case 'N':
		return emit(ctx, false);
	case 'W':
		return drv_write(ctx, DRV_WIRE_BYTES, "w", 1);
	case 'K':
		(void)drv_keep(ctx, "k", 1);
		return emit(ctx, true);
	case 'T':
		return drv_set_timeout(ctx, 1);
	case 'D':
		drv_done(ctx);
		return drv_write(ctx, DRV_WIRE_BYTES, "d", 1);
	case 'S':
		return -EBADMSG;
	case 'Q':
		return drv_read(ctx, DRV_WIRE_BYTES);
	case 'P':
		return drv_write(ctx, DRV_WIRE_BYTES, kept, drv_kept(ctx, kept));
	case 'F':
		(void)drv_fact(ctx, DRV_SERIAL, "0042", 4);
		return emit(ctx, true);
	default:
		return -EPROTO;
	}
}

static int drive_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	return frame->len == 1 ? drive(ctx, (char)frame->data[0]) : 0;
}

static int drive_committed(struct drv_ctx *ctx)
{
	return drv_write(ctx, DRV_WIRE_BYTES, "a", 1);
}

static int drive_timeout(struct drv_ctx *ctx)
{
	return drv_write(ctx, DRV_WIRE_BYTES, "t", 1);
}

static const struct drv_match match[] = { { .bus = DRV_BUS_SERIAL, .vid = 1, .pid = 1 }, { 0 } };
static const struct driver letters = {
	.name = "letters",
	.label = "for this test",
	.match = match,
	.open = drive_open,
	.frame = drive_frame,
	.committed = drive_committed,
	.timeout = drive_timeout,
};

/* ---- the wire, the owner, the gateway ---- */

struct stand {
	struct wire wire; /* first */
	sd_event *event;
	struct cable *cable;
	struct wire_sink to;
	uint64_t next_seq, last_seq;
	char log[4096];
	int write_error;
	int error; /* of ended */
	bool ended, no_room, wire_freed, refuses_up, refuses_facts, refuses;
	bool free_at_end;
	size_t observed;
};

static int wire_on_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	struct stand *s = (struct stand *)(void *)w;

	assert_false(s->wire_freed);
	assert_int_equal(channel, DRV_WIRE_BYTES);
	say(s, "%.*s ", (int)len, (const char *)data);
	return s->write_error;
}

static void wire_on_hold(struct wire *w, bool hold)
{
	say((struct stand *)(void *)w, "%s ", hold ? "hold" : "go");
}

static void wire_on_free(struct wire *w)
{
	struct stand *s = (struct stand *)(void *)w;

	assert_false(s->wire_freed);
	s->wire_freed = true;
}

static const struct wire_ops ops = { wire_on_write, wire_on_hold, wire_on_free };

static int on_up(void *user, const struct session *session)
{
	struct stand *s = user;

	say(s, "up%s ", session_facts(session)->text[DRV_SERIAL]);
	return s->refuses_up ? -ENOMEM : 0;
}

static int on_facts(void *user, const struct session *session)
{
	struct stand *s = user;

	say(s, "fact%s ", session_facts(session)->text[DRV_SERIAL]);
	return s->refuses_facts ? -EEXIST : 0;
}

static int on_measurement(void *user, const struct session *session, const struct measurement *m,
			  uint64_t seq)
{
	struct stand *s = user;

	assert_ptr_equal(session, cable_session(s->cable));
	assert_int_equal(m->security, LINK_CABLE);
	assert_int_equal(m->parts[0].number.value.mantissa, 702);
	assert_true(seq > s->last_seq);
	s->last_seq = seq;
	say(s, "%s%u ", measurement_is_final(m) ? "M" : "n", (unsigned int)seq);
	return s->refuses ? -ENOMEM : 0;
}

static bool on_has_room(void *user)
{
	return !((const struct stand *)user)->no_room;
}

static void on_ended(void *user, int error)
{
	struct stand *s = user;

	assert_false(s->ended);
	s->ended = true;
	s->error = error;
	if (s->free_at_end) {
		cable_free(s->cable);
		s->cable = NULL;
	}
}

static void on_observe(void *user, const struct cap_event *event)
{
	struct stand *s = user;

	assert_true(event->len <= sizeof(event->data));
	if (event->kind == CAP_OPEN)
		assert_string_equal(event->open.bus, "serial");
	if (event->kind == CAP_FRAME)
		s->observed += event->len;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	say((struct stand *)user, "kept%.*s ", (int)memory->kept_len, (const char *)memory->kept);
}

static void make(struct stand *s)
{
	const struct cable_sink sink = {
		.up = on_up,
		.facts = on_facts,
		.measurement = on_measurement,
		.has_room = on_has_room,
		.ended = on_ended,
		.observe = on_observe,
		.memory = on_memory,
		.user = s,
	};

	cable_free(s->cable);
	s->wire.ops = &ops;
	s->wire_freed = s->ended = false;
	assert_int_equal(cable_new(s->event, &letters, 0, &sink, &s->next_seq, &s->cable), 0);
	s->to = cable_wire_sink(s->cable);
}

static void start(struct stand *s)
{
	make(s);
	assert_int_equal(cable_start(s->cable, &s->wire), 0);
}

static void frame(struct stand *s, char letter)
{
	s->to.frame(s->to.user, DRV_WIRE_BYTES, (const uint8_t *)&letter, 1);
}

/* As far as it goes without waiting. */
static void settle(struct stand *s)
{
	while (sd_event_run(s->event, 0) > 0)
		;
}

static void turn(struct stand *s)
{
	assert_true(sd_event_run(s->event, PATIENCE_US) > 0);
}

static void saw(struct stand *s, const char *expected)
{
	assert_string_equal(s->log, expected);
	s->log[0] = '\0';
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->next_seq = 1;
	assert_true(sd_event_new(&s->event) >= 0);
	start(s);
	settle(s);
	saw(s, "up o ");
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	cable_free(s->cable);
	assert_true(s->wire_freed);
	(void)sd_event_unref(s->event);
	free(s);
	return 0;
}

/* ---- the order of things ---- */

static void answers_only_after_the_commit(void **state)
{
	struct stand *s = *state;

	frame(s, 'R');
	saw(s, "M1 M2 ");
	cable_committed(s->cable, 1);
	saw(s, "");
	cable_committed(s->cable, 2);
	saw(s, "a ");
	frame(s, 'W');
	saw(s, "w ");
	frame(s, 'N');
	saw(s, "n3 ");
	assert_false(s->ended);
}

static void a_timer_is_the_drivers(void **state)
{
	struct stand *s = *state;

	frame(s, 'T');
	saw(s, "");
	while (s->log[0] == '\0')
		turn(s);
	saw(s, "t ");
}

static void keeps_what_is_durable(void **state)
{
	struct stand *s = *state;

	frame(s, 'K');
	saw(s, "M1 ");
	cable_committed(s->cable, 1);
	saw(s, "keptk a ");
}

static void ends_when_the_driver_is_done(void **state)
{
	struct stand *s = *state;

	frame(s, 'R');
	frame(s, 'D');
	settle(s);
	assert_false(s->ended); /* nothing is over before it is durable */
	saw(s, "M1 M2 d ");
	cable_committed(s->cable, 2);
	assert_false(s->ended); /* from the loop only */
	settle(s);
	saw(s, "a ");
	assert_true(s->ended);
	assert_int_equal(s->error, 0);
	frame(s, 'R');
	saw(s, "");
}

static void a_spoiled_frame_is_not_the_end(void **state)
{
	struct stand *s = *state;

	frame(s, 'S');
	settle(s);
	assert_false(s->ended);
	assert_int_equal(session_counts(cable_session(s->cable))->faults[FAULT_CHECKSUM], 1);
	frame(s, 'X');
	settle(s);
	assert_true(s->ended);
	assert_int_equal(s->error, EPROTO);
}

static void what_the_driver_knows_is_said_before_its_reading(void **state)
{
	struct stand *s = *state;

	frame(s, 'F');
	saw(s, "fact0042 M1 ");
	frame(s, 'F');
	saw(s, "M2 "); /* once */
	assert_string_equal(session_facts(cable_session(s->cable))->text[DRV_SERIAL], "0042");
}

static void a_device_that_is_not_wanted_hands_on_nothing(void **state)
{
	struct stand *s = *state;

	s->refuses_facts = true;
	frame(s, 'F');
	settle(s);
	saw(s, "fact0042 ");
	assert_int_equal(s->error, EEXIST);
}

/* ---- when it does not go well ---- */

static void may_be_freed_at_the_end(void **state)
{
	struct stand *s = *state;

	s->free_at_end = true;
	frame(s, 'X');
	settle(s);
	assert_null(s->cable);
}

static void a_wire_that_takes_nothing_ends_it(void **state)
{
	struct stand *s = *state;

	s->write_error = -ENOBUFS;
	frame(s, 'W');
	settle(s);
	assert_int_equal(s->error, ENOBUFS);
}

static void a_wire_that_is_gone_says_so_itself(void **state)
{
	struct stand *s = *state;

	s->write_error = -EPIPE;
	frame(s, 'W');
	settle(s);
	assert_false(s->ended);
	s->to.gone(s->to.user, ENODEV);
	settle(s);
	assert_true(s->ended);
	assert_int_equal(s->error, ENODEV);
	assert_true(s->wire_freed);
}

static void nothing_is_read_by_asking_the_wire(void **state)
{
	struct stand *s = *state;

	frame(s, 'Q');
	settle(s);
	assert_int_equal(s->error, ENOTSUP);
}

static void a_measurement_that_was_not_taken_is_the_last(void **state)
{
	struct stand *s = *state;

	s->refuses = true;
	frame(s, 'R'); /* the second one of them is not even offered */
	saw(s, "M1 ");
	cable_committed(s->cable, 2);
	settle(s);
	saw(s, ""); /* no answer to the device */
	assert_int_equal(s->error, ENOMEM);
}

static void a_refused_one_ends_its_own_cable(void **state)
{
	struct stand *s = *state;

	frame(s, 'R');
	s->next_seq = 6; /* another device said 3, 4, 5 */
	frame(s, 'R');
	cable_refused(s->cable, 4);
	settle(s);
	assert_false(s->ended);
	cable_committed(s->cable, 5);
	saw(s, "M1 M2 M6 M7 ");
	cable_refused(s->cable, 1); /* is durable: nonsense */
	assert_false(s->ended);
	cable_refused(s->cable, 6);
	cable_committed(s->cable, 7); /* the gateway goes on: this device must not be answered */
	settle(s);
	saw(s, "");
	assert_true(s->ended);
	assert_int_equal(s->error, EPERM);
}

static void what_was_refused_does_not_count_as_read(void **state)
{
	struct stand *s = *state;

	frame(s, 'K');
	cable_refused(s->cable, 1);
	cable_committed(s->cable, 2);
	settle(s);
	saw(s, "M1 "); /* "kept" would skip it for ever */
}

static void what_was_kept_is_known_the_next_time(void **state)
{
	static const struct session_memory memory = { .kept = "k", .kept_len = 1 };
	struct stand *s = *state;

	make(s);
	cable_set_memory(s->cable, &memory);
	assert_int_equal(cable_start(s->cable, &s->wire), 0);
	frame(s, 'P');
	saw(s, "up o k ");
}

static void many_readings_between_those_of_others(void **state)
{
	struct stand *s = *state;

	for (uint64_t i = 0; i < 200; i++) {
		s->next_seq = 10 * i + 1;
		frame(s, 'R');
	}
	cable_committed(s->cable, 1990);
	cable_refused(s->cable, 1992);
	settle(s);
	assert_int_equal(s->error, EPERM);
}

static void an_owner_that_cannot_announce_it_gets_no_reading(void **state)
{
	struct stand *s = *state;

	s->refuses_up = true;
	start(s);
	frame(s, 'R');
	settle(s);
	saw(s, "up ");
	assert_int_equal(s->error, ENOMEM);
}

static void the_owner_may_end_it(void **state)
{
	struct stand *s = *state;

	cable_end(s->cable, ESTALE);
	assert_false(s->ended);
	frame(s, 'R');
	settle(s);
	saw(s, "");
	assert_int_equal(s->error, ESTALE);
}

/* ---- no room ---- */

static void without_room_the_wire_is_held(void **state)
{
	struct stand *s = *state;

	frame(s, 'W');
	s->no_room = true;
	frame(s, 'R');
	saw(s, "w hold ");
	frame(s, 'W'); /* it had been read before */
	settle(s);
	saw(s, "");
	cable_wake(s->cable); /* nothing has changed */
	settle(s);
	saw(s, "");
	s->no_room = false;
	cable_wake(s->cable);
	saw(s, ""); /* from the loop */
	settle(s);
	saw(s, "M1 M2 w go ");
	frame(s, 'W');
	saw(s, "w ");
}

static void too_much_without_room_is_said(void **state)
{
	struct stand *s = *state;
	static const uint8_t much[WIRE_FRAME_MAX];

	s->no_room = true;
	for (size_t n = 0; n + sizeof(much) <= CABLE_WAITING_MAX; n += sizeof(much))
		s->to.frame(s->to.user, DRV_WIRE_BYTES, much, sizeof(much));
	settle(s);
	assert_true(s->ended);
	assert_int_equal(s->error, ENOBUFS);
}

static void long_bytes_are_observed_in_pieces(void **state)
{
	struct stand *s = *state;
	static const uint8_t much[WIRE_FRAME_MAX];

	s->to.frame(s->to.user, DRV_WIRE_BYTES, much, sizeof(much));
	assert_int_equal(s->observed, sizeof(much));
	s->to.frame(s->to.user, DRV_WIRE_APDU, much, sizeof(much));
	assert_int_equal(s->observed, sizeof(much));
	s->to.frame(s->to.user, DRV_WIRE_APDU, much, CAP_DATA_MAX);
	assert_int_equal(s->observed, sizeof(much) + CAP_DATA_MAX);
}

/* ---- unplugged ---- */

static void unplugged_is_not_over_before_the_commit(void **state)
{
	struct stand *s = *state;

	frame(s, 'K');
	s->to.gone(s->to.user, ENODEV);
	assert_false(s->wire_freed); /* it is at work just now */
	settle(s);
	assert_true(s->wire_freed);
	assert_false(s->ended);
	cable_committed(s->cable, 1);
	settle(s);
	saw(s, "M1 keptk "); /* and there is nobody to be answered */
	assert_true(s->ended);
	assert_int_equal(s->error, ENODEV);
}

static void unplugged_while_there_is_no_room(void **state)
{
	struct stand *s = *state;

	s->no_room = true;
	frame(s, 'R');
	s->to.gone(s->to.user, ENODEV);
	settle(s);
	assert_false(s->ended);
	saw(s, "hold ");
	s->no_room = false;
	cable_wake(s->cable);
	settle(s);
	saw(s, "M1 M2 ");
	assert_false(s->ended);
	cable_committed(s->cable, 2);
	settle(s);
	assert_true(s->ended);
}

static void a_commit_that_never_comes_is_not_waited_for(void **state)
{
	struct stand *s = *state;

	frame(s, 'R');
	s->to.gone(s->to.user, ENODEV);
	while (!s->ended)
		turn(s);
	assert_int_equal(s->error, ENODEV);
	saw(s, "M1 M2 ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(answers_only_after_the_commit),
		TEST(a_timer_is_the_drivers),
		TEST(keeps_what_is_durable),
		TEST(ends_when_the_driver_is_done),
		TEST(a_spoiled_frame_is_not_the_end),
		TEST(what_the_driver_knows_is_said_before_its_reading),
		TEST(a_device_that_is_not_wanted_hands_on_nothing),
		TEST(may_be_freed_at_the_end),
		TEST(a_wire_that_takes_nothing_ends_it),
		TEST(a_wire_that_is_gone_says_so_itself),
		TEST(nothing_is_read_by_asking_the_wire),
		TEST(a_measurement_that_was_not_taken_is_the_last),
		TEST(a_refused_one_ends_its_own_cable),
		TEST(what_was_refused_does_not_count_as_read),
		TEST(what_was_kept_is_known_the_next_time),
		TEST(many_readings_between_those_of_others),
		TEST(an_owner_that_cannot_announce_it_gets_no_reading),
		TEST(the_owner_may_end_it),
		TEST(without_room_the_wire_is_held),
		TEST(too_much_without_room_is_said),
		TEST(long_bytes_are_observed_in_pieces),
		TEST(unplugged_is_not_over_before_the_commit),
		TEST(unplugged_while_there_is_no_room),
		TEST(a_commit_that_never_comes_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
