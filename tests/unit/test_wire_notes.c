/* links: transports */
/* What is kept of devices on wires: as text, and as files that a pulled plug cannot halve. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/wire_notes.h"

static const struct wire_note example = {
	.driver = "phd",
	.identity = "id:00:11 a/b",
	.kept = { 0x01, 0xfe },
	.kept_len = 2,
	.has_last_record = true,
	.last_record = 4294967295,
};

static const char example_text[] = "wellgate-wire=1\ndriver=phd\nidentity=id:00:11 a/b\nkept=01fe\n"
				   "last_record=4294967295\n";

struct stand {
	char directory[64];
	struct wire_notes *notes;
};

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	char path[96];

	assert_non_null(s);
	(void)snprintf(s->directory, sizeof(s->directory), "/tmp/wire-notes-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	(void)snprintf(path, sizeof(path), "%s/wired", s->directory);
	assert_int_equal(wire_notes_open(path, &s->notes), 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;
	char command[128];

	wire_notes_free(s->notes);
	(void)snprintf(command, sizeof(command), "rm -r %s", s->directory);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
	free(s);
	return 0;
}

static void one_way_to_write_it(void **state)
{
	char text[WIRE_NOTE_BYTES], wrong[WIRE_NOTE_BYTES];
	struct wire_note back;
	size_t len;

	(void)state;
	assert_int_equal(wire_note_print(&example, text, sizeof(text), &len), 0);
	assert_memory_equal(text, example_text, sizeof(example_text) - 1);
	assert_int_equal(wire_note_parse(text, len, &back), 0);
	assert_string_equal(back.identity, example.identity);
	assert_int_equal(back.kept_len, 2);
	assert_int_equal(back.kept[1], 0xfe);
	assert_true(back.has_last_record);
	assert_int_equal(back.last_record, example.last_record);
	for (size_t i = 0; i < len; i++) { /* any one character, and any end */
		memcpy(wrong, text, len);
		wrong[i] ^= 1;
		assert_true(wire_note_parse(wrong, len, &back) < 0);
		assert_true(wire_note_parse(text, i, &back) < 0);
	}
}

static void what_cannot_be_read_back_is_not_written(void **state)
{
	struct wire_note note = example;
	char text[WIRE_NOTE_BYTES];
	size_t len;

	(void)state;
	note.identity[3] = '\n';
	assert_int_equal(wire_note_print(&note, text, sizeof(text), &len), -EINVAL);
	memset(note.identity, 'a', sizeof(note.identity));
	assert_int_equal(wire_note_print(&note, text, sizeof(text), &len), -EINVAL);
	note = example;
	note.driver[0] = '\0';
	assert_int_equal(wire_note_print(&note, text, sizeof(text), &len), -EINVAL);
	assert_int_equal(wire_note_print(&example, text, 20, &len), -EMSGSIZE);
}

static void a_device_is_known_again(void **state)
{
	struct stand *s = *state;
	struct wire_note note = example, back;

	assert_int_equal(wire_notes_load(s->notes, "phd", note.identity, &back), -ENOENT);
	assert_int_equal(wire_notes_save(s->notes, &note), 0);
	note.last_record = 5;
	assert_int_equal(wire_notes_save(s->notes, &note), 0);
	assert_int_equal(wire_notes_load(s->notes, "phd", note.identity, &back), 0);
	assert_int_equal(back.last_record, 5);
	/* another one is another one */
	assert_int_equal(wire_notes_load(s->notes, "phd", "id:0011 a/c", &back), -ENOENT);
	assert_int_equal(wire_notes_load(s->notes, "omron_usb", note.identity, &back), -ENOENT);
}

static void a_damaged_file_is_set_aside(void **state)
{
	struct stand *s = *state;
	struct wire_note back;
	char command[192];

	assert_int_equal(wire_notes_save(s->notes, &example), 0);
	(void)snprintf(command, sizeof(command), "for f in %s/wired/*; do echo >> $f; done",
		       s->directory);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
	assert_int_equal(wire_notes_load(s->notes, "phd", example.identity, &back), -EBADMSG);
	assert_int_equal(wire_notes_load(s->notes, "phd", example.identity, &back), -ENOENT);
	(void)snprintf(command, sizeof(command), "ls %s/wired/*.wire.bad > /dev/null",
		       s->directory);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
}

static void a_device_that_changes_its_number_fills_no_disk(void **state)
{
	struct stand *s = *state;
	struct wire_note note = example;

	for (unsigned int i = 0; i < WIRE_NOTES_MAX; i++) {
		(void)snprintf(note.identity, sizeof(note.identity), "id:%u", i);
		assert_int_equal(wire_notes_save(s->notes, &note), 0);
	}
	assert_int_equal(wire_notes_save(s->notes, &note), 0); /* a known one */
	assert_int_equal(wire_notes_save(s->notes, &example), -ENOSPC);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_way_to_write_it),
		TEST(what_cannot_be_read_back_is_not_written),
		TEST(a_device_is_known_again),
		TEST(a_damaged_file_is_set_aside),
		TEST(a_device_that_changes_its_number_fills_no_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
