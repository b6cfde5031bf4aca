/* links: transports */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "drivers/transport/replay.h"
#include "tests/unit/capture_file.h"
#include "tests/unit/hci_fixture.h"

#define SIZE 8192

struct stand {
	struct capture_folder folder;
	uint8_t file[SIZE];
	char path[128];
};

static int setup(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	if (!s || capture_folder_make(&s->folder) < 0)
		return -1;
	(void)capture_path(&s->folder, "x", s->path);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stand *s = *state;

	(void)unlink(s->path);
	(void)rmdir(s->folder.path);
	free(s);
	return 0;
}

static void write_file(struct stand *s, const void *data, size_t len)
{
	assert_int_equal(capture_write(&s->folder, "x", data, len), 0);
}

static void expect_dialogue(struct stand *s, size_t len)
{
	static const enum cap_kind kinds[] = { CAP_OPEN, CAP_FRAME, CAP_CONFIRM, CAP_CLOSE };
	struct replay *r;
	struct cap_event e;
	char *error = NULL;
	int64_t start;

	write_file(s, s->file, len);
	assert_int_equal(replay_open(s->path, NULL, &r, &error), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(replay_next(r, &e, &error), 1);
		assert_int_equal(e.kind, kinds[i]);
		if (e.kind == CAP_FRAME)
			assert_memory_equal(e.data, fixture_value, sizeof(fixture_value));
	}
	assert_int_equal(replay_next(r, &e, &error), 0);
	assert_int_equal(replay_next(r, &e, &error), 0);
	assert_true(replay_start(r, &start));
	assert_int_equal(start, FIXTURE_START_US / 1000);
	assert_int_equal(replay_unknown_handles(r), 0);
	replay_free(r);
}

static void formats_are_told_by_their_content(void **state)
{
	struct stand *s = *state;

	expect_dialogue(s, fixture_btsnoop(s->file, SIZE, 1001));
	expect_dialogue(s, fixture_btsnoop(s->file, SIZE, 2001));
	expect_dialogue(s, fixture_pcap(s->file, SIZE, 187, true, false));
	expect_dialogue(s, fixture_pcap(s->file, SIZE, 254, false, true));
	expect_dialogue(s, fixture_pcapng(s->file, SIZE, 201, false));
}

static void own_captures_are_read_line_by_line(void **state)
{
	static const char text[] = CAPTURE_HEADER CAPTURE_START "0 open ble\n"
								"1.5 < 2a9d 0102\n"
								"2 close"; /* no newline */
	struct stand *s = *state;
	struct replay *r;
	struct cap_event e;
	char *error = NULL, where[160];
	int64_t start;

	write_file(s, text, sizeof(text) - 1);
	assert_int_equal(replay_open(s->path, NULL, &r, &error), 0);
	assert_true(replay_start(r, &start));
	assert_int_equal(start, INT64_C(1794815880000));
	assert_int_equal(replay_next(r, &e, &error), 1);
	assert_int_equal(replay_next(r, &e, &error), 1);
	assert_int_equal(e.at_us, 1500000);
	replay_where(r, where, sizeof(where));
	assert_string_equal(where + strlen(s->path), ":5");
	assert_int_equal(replay_next(r, &e, &error), 1);
	assert_int_equal(e.kind, CAP_CLOSE);
	assert_int_equal(replay_next(r, &e, &error), 0);
	replay_free(r);
}

static void expect_refusal(struct stand *s, const void *data, size_t len, const char *words)
{
	_cleanup_free_ char *error = NULL;
	struct replay *r = NULL;
	struct cap_event e;
	int err;

	write_file(s, data, len);
	err = replay_open(s->path, NULL, &r, &error);
	while (err >= 0) {
		err = replay_next(r, &e, &error);
		assert_int_not_equal(err, 0);
	}
	assert_int_equal(err, -EBADMSG);
	assert_memory_equal(error, s->path, strlen(s->path));
	assert_string_equal(error + strlen(s->path), words);
	replay_free(r);
}

static void expect_text_refusal(struct stand *s, const char *text, const char *words)
{
	expect_refusal(s, text, strlen(text), words);
}

static void bad_files_are_refused_with_their_place(void **state)
{
	struct stand *s = *state;
	size_t len;

	expect_text_refusal(s, "", ": no event in it");
	expect_text_refusal(s, "hello\n",
			    ":1: no line '# wellgate-capture: 1' above the first "
			    "event");
	expect_text_refusal(s, "# wellgate-capture: 1\n0 open ble\n",
			    ":2: no line '# consent: ...' above the first event");
	expect_text_refusal(s, CAPTURE_HEADER "0 open ble\n1 < 2a9d 0\n",
			    ":4: the data has half a byte in it");
	expect_refusal(s, "a\0b", 3,
		       ": not a capture: neither .cap nor btsnoop nor pcap nor pcapng");
	memset(s->file, 'a', SIZE);
	memcpy(s->file, CAPTURE_HEADER, strlen(CAPTURE_HEADER));
	expect_refusal(s, s->file, SIZE, ":3: a line longer than 4095 bytes");
	len = fixture_btsnoop(s->file, SIZE, 1002);
	s->file[16 + 24 + 28 + 5] = 0x11;
	s->file[16 + 24 + 28 + 6] = 0x70;
	expect_refusal(s, s->file, len, ": record 2 at byte 0x44: length 1142806 exceeds 65535");
	len = fixture_btsnoop(s->file, SIZE, 1001);
	s->file[16 + 24 + 27 + 24 + 21 + 24 + 2] = 99; /* length of the first ACL packet */
	expect_refusal(s, s->file, len,
		       ": record 3 at byte 0x70: ACL data of another length than it says");
}

static void a_block_that_is_skipped_must_be_there(void **state)
{
	struct stand *s = *state;
	const size_t big = 200000, head = fixture_pcapng(s->file, SIZE, 201, false);
	uint8_t *file = calloc(1, big);
	struct writer w;

	assert_non_null(file);
	memcpy(file, s->file, head);
	w = writer_of(file + head, big - head);
	writer_le32(&w, 0x0bad);
	writer_le32(&w, 400000); /* far longer than any view */
	expect_refusal(s, file, head + 12,
		       ": record 18 at byte 0x32c: the file ends inside a block: length 400000 "
		       "exceeds 12");
	expect_refusal(s, file, big, ": record 18: the file ends inside a block");
	free(file);
}

static void handles_can_be_named(void **state)
{
	struct stand *s = *state;
	struct replay_handle h = { 1, 2 };
	const struct replay_options options = { .handles = &h, .n_handles = 1 };
	size_t len = fixture_btsnoop(s->file, SIZE, 1001), from = 16;
	struct replay *r;
	struct cap_event e;
	char *error = NULL;

	for (size_t i = 0; i < 10; i++)
		from += 24 + fixture_packets[i].len;
	memmove(s->file + 16, s->file + from, len - from);
	len -= from - 16;
	write_file(s, s->file, len);
	assert_int_equal(replay_open(s->path, NULL, &r, &error), 0);
	assert_int_equal(replay_next(r, &e, &error), 0);
	assert_int_equal(replay_unknown_handles(r), 1);
	replay_free(r);
	assert_int_equal(replay_parse_handle("0x0012=2a35", &h), 0);
	assert_int_equal(replay_open(s->path, &options, &r, &error), 0);
	assert_int_equal(replay_next(r, &e, &error), 1);
	assert_int_equal(e.kind, CAP_OPEN);
	assert_int_equal(replay_next(r, &e, &error), 1);
	assert_int_equal(e.channel, 0x2a35);
	replay_free(r);
}

static void handles_have_one_form(void **state)
{
	static const char *const bad[] = { "",           "12",      "12=",   "=2a35",
					   "0x12=2a35x", "0=2a35",  "12=0",  "12345=1",
					   "12=12345",   "-1=2a35", " 12=1", "12==2a35" };
	struct replay_handle h = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(replay_parse_handle(bad[i], &h), -EINVAL);
	assert_int_equal(h.handle, 1);
	assert_int_equal(replay_parse_handle("12=2A35", &h), 0);
	assert_int_equal(h.handle, 0x12);
	assert_int_equal(h.uuid16, 0x2a35);
}

static void a_missing_file_is_an_error_of_the_system(void **state)
{
	struct stand *s = *state;
	_cleanup_free_ char *error = NULL;
	struct replay *r;

	assert_int_equal(replay_open(s->path, NULL, &r, &error), -ENOENT);
	assert_non_null(strstr(error, s->path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(formats_are_told_by_their_content),
		TEST(own_captures_are_read_line_by_line),
		TEST(bad_files_are_refused_with_their_place),
		TEST(a_block_that_is_skipped_must_be_there),
		TEST(handles_can_be_named),
		TEST(handles_have_one_form),
		TEST(a_missing_file_is_an_error_of_the_system),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
