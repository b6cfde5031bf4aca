/* links: transports */
/* A simulated device lets go of data only when it is confirmed. The gateway is the test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "drivers/transport/player.h"
#include "tests/unit/capture_file.h"

#define MAX 64

struct stand {
	struct capture_folder folder;
	char path[128], second[128], memory[128];
	char *files[2];
	size_t n_files;
	sd_event *event;
	struct player *player;
	/* what the gateway saw */
	size_t n;
	struct seen {
		uint32_t id;
		uint64_t seq;
		int64_t at_ms, mantissa;
	} seen[MAX];
	size_t ups, downs, frames, confirms;
	bool no_room, finished;
	unsigned int ups_lost, measurements_lost; /* the next ones: there is no memory for them */
	uint64_t total;
};

static int on_up(void *user, uint32_t id, const struct session *session)
{
	struct stand *s = user;

	(void)id;
	(void)session;
	if (s->ups_lost > 0) {
		s->ups_lost--;
		return -ENOMEM;
	}
	s->ups++;
	return 0;
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq,
			  int64_t at_utc_ms)
{
	struct stand *s = user;

	assert_true(s->ups > 0);
	if (s->measurements_lost > 0) {
		s->measurements_lost--;
		return -ENOMEM;
	}
	assert_true(s->n < MAX);
	s->seen[s->n++] = (struct seen){ id, seq, at_utc_ms, m->parts[0].number.value.mantissa };
	return 0;
}

static int on_down(void *user, uint32_t id, const struct session *session)
{
	struct stand *s = user;

	(void)id;
	(void)session;
	s->downs++;
	return 0;
}

static bool has_room(void *user)
{
	return !((const struct stand *)user)->no_room;
}

static void on_finished(void *user, uint64_t measurements)
{
	struct stand *s = user;

	s->finished = true;
	s->total = measurements;
}

static void observe(void *user, uint32_t id, const struct cap_event *event, int64_t at_utc_ms)
{
	struct stand *s = user;

	(void)id;
	(void)at_utc_ms;
	s->frames += event->kind == CAP_FRAME;
	s->confirms += event->kind == CAP_CONFIRM;
}

/* plays until nothing more happens without the gateway */
static void settle(struct stand *s)
{
	while (sd_event_run(s->event, 0) > 0)
		;
}

static void start_at(struct stand *s, unsigned int speed)
{
	const struct player_options options = {
		.files = s->files,
		.n_files = s->n_files,
		.memory = s->memory,
		.speed = speed,
	};
	const struct player_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.finished = on_finished,
		.observe = observe,
		.user = s,
	};

	assert_int_equal(player_new(s->event, &options, &sink, &s->player), 0);
	settle(s);
}

static void start(struct stand *s)
{
	start_at(s, 0);
}

/* kill -9: nothing is written on the way out */
static void kill_it(struct stand *s)
{
	player_free(s->player);
	s->player = NULL;
	s->n = s->ups = s->downs = s->frames = s->confirms = 0;
	s->finished = false;
}

static void commit(struct stand *s, uint64_t seq)
{
	player_committed(s->player, seq);
	settle(s);
}

static int setup(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	if (!s || capture_folder_make(&s->folder) < 0 || sd_event_new(&s->event) < 0)
		return -1;
	s->files[0] = capture_path(&s->folder, "x.cap", s->path);
	s->files[1] = capture_path(&s->folder, "y.cap", s->second);
	s->n_files = 1;
	(void)capture_path(&s->folder, "memory", s->memory);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stand *s = *state;

	player_free(s->player);
	(void)sd_event_unref(s->event);
	(void)unlink(s->path);
	(void)unlink(s->second);
	(void)unlink(s->memory);
	(void)rmdir(s->folder.path);
	free(s);
	return 0;
}

static void write_capture(const struct stand *s, const char *name, const char *text)
{
	assert_int_equal(capture_write(&s->folder, name, text, strlen(text)), 0);
}

/* weights of 5, 10, 15 ... grams */
static const char three_weights[] = CAPTURE_HEADER CAPTURE_START
	"0 open ble service=181d\n1 < 2a9d 000100\n2 < 2a9d 000200\n3 < 2a9d 000300\n4 close\n";

static void an_indication_waits_for_its_commit(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	start(s);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->frames, 1);
	assert_int_equal(s->confirms, 0);
	assert_int_equal(s->seen[0].seq, 1);
	assert_int_equal(s->seen[0].mantissa, 5);
	assert_int_equal(s->seen[0].at_ms, INT64_C(1794815881000));
	commit(s, 1);
	assert_int_equal(s->confirms, 1);
	assert_int_equal(s->n, 2);
	commit(s, 2);
	commit(s, 3);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->confirms, 3);
	assert_true(s->finished);
	assert_int_equal(s->total, 3);
	assert_int_equal(s->ups, 1);
	assert_int_equal(s->downs, 1);
	assert_int_equal(player_spoiled(s->player), 0);
}

static void what_was_not_confirmed_is_offered_again_after_a_kill(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	start(s);
	commit(s, 1);
	assert_int_equal(s->seen[1].mantissa, 10);
	kill_it(s);
	start(s);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->seen[0].mantissa, 10); /* not 5: confirmed; not 15: 10 is still there */
	assert_int_equal(s->seen[0].at_ms, INT64_C(1794815882000));
	kill_it(s);
	start(s);
	assert_int_equal(s->seen[0].mantissa, 10);
	commit(s, 1);
	commit(s, 2);
	assert_true(s->finished);
	kill_it(s);
	start(s);
	assert_int_equal(s->n, 0);
	assert_true(s->finished);
}

static void values_read_on_every_connection_are_read_again(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap",
		      CAPTURE_HEADER CAPTURE_START "0 open ble service=181d\n0.5 < 2a29 41434d45\n"
						   "1 < 2a9d 000100\n2 < 2a9d 000200\n3 close\n");
	start(s);
	commit(s, 1);
	kill_it(s);
	start(s);
	assert_int_equal(s->frames, 2); /* the manufacturer, and the one that was not confirmed */
	assert_int_equal(s->n, 1);
	assert_int_equal(s->seen[0].mantissa, 10);
}

static void notifications_do_not_wait_but_count_when_committed(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap",
		      CAPTURE_HEADER CAPTURE_START "0 open ble service=180d\n1 < 2a37 063c\n"
						   "2 < 2a37 063d\n3 < 2a37 063e\n4 close\n");
	start(s);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->confirms, 0);
	assert_false(s->finished);
	assert_int_equal(s->downs, 0); /* the session hears of its commits first */
	commit(s, 2);
	kill_it(s);
	start(s);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->seen[0].mantissa, 0x3e);
	commit(s, 1);
	assert_true(s->finished);
	assert_int_equal(s->downs, 1);
}

static void without_room_nothing_is_taken(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	s->no_room = true;
	start(s);
	assert_int_equal(s->frames, 0);
	s->no_room = false;
	player_wake(s->player);
	settle(s);
	assert_int_equal(s->frames, 1);
}

static void a_spoiled_frame_is_not_confirmed_and_is_given_up(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap",
		      CAPTURE_HEADER CAPTURE_START "0 open ble service=181d\n1 < 2a9d 0001\n"
						   "2 < 2a9d 000200\n3 close\n");
	start(s);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->seen[0].mantissa, 10);
	assert_int_equal(s->confirms, 0);
	assert_int_equal(player_spoiled(s->player), 1);
	commit(s, 1);
	assert_int_equal(s->confirms, 1); /* on a new connection */
	assert_true(s->finished);
	assert_int_equal(s->ups, 2);
}

/* The gateway was never told of it, so nothing that it commits confirms it. */
static void what_was_not_queued_stays_in_the_device(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	s->measurements_lost = 1;
	start(s);
	assert_int_equal(s->n, 0);
	kill_it(s);
	s->measurements_lost = 2;
	start(s);
	player_wake(s->player);
	settle(s);
	assert_int_equal(s->n, 0);
	assert_int_equal(s->confirms, 0);
	player_wake(s->player);
	settle(s);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->seen[0].mantissa, 5);
	for (size_t i = 0; i < 3; i++)
		commit(s, s->seen[i].seq);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->confirms, 3);
	assert_true(s->finished);
	assert_int_equal(player_spoiled(s->player), 0);
}

/* A reading without its device is nobody's. */
static void without_its_link_no_reading_is_told(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	s->ups_lost = 1;
	start(s);
	assert_int_equal(s->n, 0);
	assert_int_equal(s->confirms, 0);
	assert_int_equal(s->ups, s->downs);
	player_wake(s->player);
	settle(s);
	assert_int_equal(s->ups, s->downs + 1);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->seen[0].mantissa, 5);
}

static void a_notification_that_was_not_queued_is_told_again(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap",
		      CAPTURE_HEADER CAPTURE_START "0 open ble service=180d\n1 < 2a37 063c\n"
						   "2 < 2a37 063d\n3 < 2a37 063e\n4 close\n");
	start(s);
	kill_it(s);
	s->measurements_lost = 1;
	start(s);
	assert_int_equal(s->n, 0);
	player_wake(s->player);
	settle(s);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->seen[0].mantissa, 0x3c);
	commit(s, s->seen[2].seq);
	assert_true(s->finished);
	assert_int_equal(player_spoiled(s->player), 0);
}

static void a_refused_reading_is_not_confirmed(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	start(s);
	player_refused(s->player, 1);
	settle(s);
	assert_int_equal(s->confirms, 0);
	assert_int_equal(s->n, 2);
	assert_int_equal(player_spoiled(s->player), 1);
	commit(s, 2);
	commit(s, 3);
	assert_int_equal(s->confirms, 2);
	assert_true(s->finished);
}

static void files_are_played_one_after_the_other(void **state)
{
	struct stand *s = *state;

	s->n_files = 2;
	write_capture(s, "x.cap", three_weights);
	write_capture(s, "y.cap", three_weights);
	start(s);
	for (uint64_t seq = 1; seq <= 6; seq++) {
		assert_int_equal(s->n, seq);
		commit(s, seq);
	}
	assert_true(s->finished);
	assert_int_equal(s->total, 6);
	assert_int_equal(s->downs, 2);
}

static void a_bad_file_is_counted_and_the_next_one_played(void **state)
{
	struct stand *s = *state;

	s->n_files = 2;
	write_capture(s, "x.cap",
		      CAPTURE_HEADER "0 open ble service=181d\n1 < 2a9d 000100\n2 bad\n");
	write_capture(s, "y.cap", three_weights);
	start(s);
	for (uint64_t seq = 1; seq <= 4; seq++)
		commit(s, seq);
	assert_true(s->finished);
	assert_int_equal(s->total, 4);
	assert_int_equal(player_spoiled(s->player), 1);
}

static void a_capture_without_start_keeps_the_one_it_was_given(void **state)
{
	struct stand *s = *state;
	int64_t at_ms;

	write_capture(s, "x.cap",
		      CAPTURE_HEADER "0 open ble service=181d\n1 < 2a9d 000100\n2 close\n");
	start(s);
	at_ms = s->seen[0].at_ms;
	kill_it(s);
	start(s);
	assert_int_equal(s->seen[0].at_ms, at_ms);
}

static void time_passes_as_in_the_capture(void **state)
{
	struct stand *s = *state;

	write_capture(s, "x.cap", three_weights);
	start_at(s, 20); /* the first frame after a second, which is 50 ms */
	assert_int_equal(s->n, 0);
	while (s->n == 0)
		assert_true(sd_event_run(s->event, UINT64_MAX) >= 0);
	assert_int_equal(s->seen[0].mantissa, 5);
}

static void a_damaged_memory_is_refused(void **state)
{
	struct stand *s = *state;
	const struct player_options options = { .files = s->files,
						.n_files = 1,
						.memory = s->memory };
	const struct player_sink sink = { 0 };

	write_capture(s, "memory", "something else\n");
	assert_int_equal(player_new(s->event, &options, &sink, &s->player), -EBADMSG);
	write_capture(s, "memory", "wellgate-memory 1\nfive 0 x\n");
	assert_int_equal(player_new(s->event, &options, &sink, &s->player), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(an_indication_waits_for_its_commit),
		TEST(what_was_not_confirmed_is_offered_again_after_a_kill),
		TEST(values_read_on_every_connection_are_read_again),
		TEST(notifications_do_not_wait_but_count_when_committed),
		TEST(without_room_nothing_is_taken),
		TEST(a_spoiled_frame_is_not_confirmed_and_is_given_up),
		TEST(what_was_not_queued_stays_in_the_device),
		TEST(without_its_link_no_reading_is_told),
		TEST(a_notification_that_was_not_queued_is_told_again),
		TEST(a_refused_reading_is_not_confirmed),
		TEST(files_are_played_one_after_the_other),
		TEST(a_bad_file_is_counted_and_the_next_one_played),
		TEST(a_capture_without_start_keeps_the_one_it_was_given),
		TEST(time_passes_as_in_the_capture),
		TEST(a_damaged_memory_is_refused),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
