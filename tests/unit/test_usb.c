/* links: transports */
/*
 * Devices on USB from the plug to the gateway: the real table of drivers, real ttys (pseudo
 * terminals), and on their far ends cuffs of the family that beurer_serial serves, which this test
 * plays. The gateway is this test, too, and so is the monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/usb.h"

#define PATIENCE_US 60000000 /* of a turn of the loop: a hang, not a delay */
#define CUFFS       18

/* ---- a driver that says what this test tells it to, one letter a frame ---- */

static int emit(struct drv_ctx *ctx, uint32_t record)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };

	m.has_record_number = record > 0;
	m.record_number = record;
	measurement_add(&m, METRIC_SYSTOLIC, UNIT_MMHG, number_of(134, 0));
	measurement_add(&m, METRIC_DIASTOLIC, UNIT_MMHG, number_of(85, 0));
	return drv_emit(ctx, &m);
}

/* a to d: it is number 7130a to 7130d, and a reading in the same frame. R: a reading; 1 to 9: one
 * with that record number. K: keeps "k", and a reading. ?: writes what it kept and the last
 * record. */
static int obey(struct drv_ctx *ctx, char letter)
{
	uint8_t kept[DRV_KEPT_MAX + 1];
	char serial[] = "7130x";
	uint32_t last = 0;
	size_t n;

	if (letter >= 'a' && letter <= 'd') {
		serial[4] = letter;
		(void)drv_fact(ctx, DRV_SERIAL, serial, strlen(serial));
		return emit(ctx, 0);
	}
	if (letter >= '1' && letter <= '9')
		return emit(ctx, (uint32_t)(letter - '0'));
	if (letter == 'K')
		(void)drv_keep(ctx, "k", 1);
	if (letter != '?')
		return emit(ctx, 0);
	n = drv_kept(ctx, kept);
	(void)drv_last_record(ctx, &last);
	kept[n++] = (uint8_t)('0' + last);
	return drv_write(ctx, DRV_WIRE_BYTES, kept, n);
}

static int on_letters(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < frame->len; i++)
		r = obey(ctx, (char)frame->data[i]);
	return r;
}

static const struct drv_match anything[] = { { .bus = DRV_BUS_SERIAL, .vid = 1 }, { 0 } };
static const struct driver obedient = {
	.name = "obedient",
	.label = "for this test",
	.match = anything,
	.baud = 9600,
	.frame = on_letters,
};

struct cuff {
	int far; /* -1 unplugged */
	struct usb_attachment at;
	unsigned int asked; /* times that a dialogue was begun with it */
	uint8_t command;    /* that waits for its argument */
	uint8_t diastolic;
};

struct stand {
	sd_event *event;
	struct usb *usb;
	char directory[64];
	uint64_t next_seq, committed;
	uint32_t next_id;
	bool commits;
	struct cuff cuffs[CUFFS];
	size_t n;
	/* what the gateway heard */
	unsigned int ups, downs, readings;
	char identity[WIRE_IDENTITY_MAX];       /* of the last up */
	char of_id[64][WIRE_IDENTITY_MAX];      /* of each link */
	char of_reading[64][WIRE_IDENTITY_MAX]; /* under which it was filed */
	int64_t diastolic[64];
	char findings[2048];
};

/* ---- the gateway ---- */

static int on_up(void *user, uint32_t id, const char *identity, const struct usb_label *label,
		 const struct session *session)
{
	struct stand *s = user;

	(void)session;
	assert_string_equal(label->model, ""); /* of a converter nothing is told */
	assert_in_range(id, 1, 63);
	s->ups++;
	(void)snprintf(s->identity, sizeof(s->identity), "%s", identity);
	(void)snprintf(s->of_id[id], sizeof(s->of_id[id]), "%s", identity);
	return 0;
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq)
{
	struct stand *s = user;

	assert_in_range(id, 1, 63);
	assert_int_equal(seq, s->next_seq - 1);
	assert_string_not_equal(s->of_id[id], ""); /* announced before */
	assert_true(s->readings < 64);
	memcpy(s->of_reading[s->readings], s->of_id[id], sizeof(s->of_id[id]));
	s->diastolic[s->readings++] = m->parts[1].number.value.mantissa;
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
	(void)user;
	return true;
}

static void on_changed(void *user)
{
	(void)user;
}

static void on_finding(void *user, enum usb_finding_level level, const char *text,
		       const char *advice)
{
	struct stand *s = user;
	const size_t n = strlen(s->findings);

	assert_in_range(level, USB_FINDING_GOOD, USB_FINDING_PROBLEM);
	assert_int_equal(advice == NULL, level == USB_FINDING_GOOD);
	(void)snprintf(s->findings + n, sizeof(s->findings) - n, "%s\n", text);
}

static bool finds(struct stand *s, const char *text)
{
	s->findings[0] = '\0';
	usb_findings(s->usb, on_finding, s);
	return strstr(s->findings, text) != NULL;
}

/* ---- the cuffs ---- */

static void plug_in(struct stand *s, size_t i, const char *serial)
{
	struct cuff *c = &s->cuffs[i];

	c->far = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(c->far >= 0);
	assert_int_equal(grantpt(c->far), 0);
	assert_int_equal(unlockpt(c->far), 0);
	c->at = (struct usb_attachment){
		.bus = DRV_BUS_SERIAL, .vid = 0x067b, .pid = 0x2303, .devnum = (unsigned int)i + 1
	};
	assert_int_equal(ptsname_r(c->far, c->at.node, sizeof(c->at.node)), 0);
	(void)snprintf(c->at.syspath, sizeof(c->at.syspath), "/sys/cuff%zu", i);
	(void)snprintf(c->at.serial, sizeof(c->at.serial), "%s", serial);
	(void)snprintf(c->at.product, sizeof(c->at.product), "USB-Serial");
	c->command = 0;
	c->diastolic = (uint8_t)(60 + i); /* less 25 */
	if (i >= s->n)
		s->n = i + 1;
	usb_attached(s->usb, &c->at);
}

static void unplug(struct stand *s, size_t i)
{
	assert_int_equal(close(s->cuffs[i].far), 0);
	s->cuffs[i].far = -1;
	usb_detached(s->usb, s->cuffs[i].at.syspath);
}

static void say(const struct cuff *c, const void *data, size_t len)
{
	assert_int_equal(write(c->far, data, len), len);
}

static void answer(struct cuff *c, uint8_t byte)
{
	const uint8_t record[] = { 0xac, 0x6d, c->diastolic, 0x42, 0x05, 0x0c, 0x07, 0x1f, 0x1a };

	if (c->command == 0xa3)
		say(c, record, sizeof(record));
	else if (byte == 0xaa)
		say(c, "\x55", 1);
	else if (byte == 0xa4)
		say(c, "Andon Blood Pressure Meter KD001", 32);
	else if (byte == 0xa2)
		say(c, "\x01", 1);
	c->asked += byte == 0xaa && c->command == 0;
	c->command = byte == 0xa3 && c->command == 0 ? byte : 0;
}

static void turn(struct stand *s)
{
	uint8_t byte;

	for (size_t i = 0; i < s->n; i++) {
		struct cuff *c = &s->cuffs[i];

		while (c->far >= 0 && read(c->far, &byte, 1) == 1)
			answer(c, byte);
	}
	assert_true(sd_event_run(s->event, 5000) >= 0);
	if (s->commits && s->committed + 1 < s->next_seq) {
		s->committed = s->next_seq - 1;
		usb_committed(s->usb, s->committed);
	}
}

#define UNTIL(s, condition)                                                 \
	do {                                                                \
		for (unsigned int i_ = 0; i_ < 12000 && !(condition); i_++) \
			turn(s);                                            \
		assert_true(condition);                                     \
	} while (0)

/* ---- */

static void start(struct stand *s, const struct driver *driver)
{
	const struct usb_options options = { .directory = s->directory,
					     .driver = driver,
					     .no_monitor = true,
					     .backoff_us = 10000,
					     .revisit_us = INT64_C(3600000000) };
	const struct usb_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.changed = on_changed,
		.user = s,
	};

	assert_int_equal(usb_new(s->event, &options, &sink, &s->next_seq, &s->next_id, &s->usb), 0);
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->next_seq = s->next_id = 1;
	s->commits = true;
	for (size_t i = 0; i < CUFFS; i++)
		s->cuffs[i].far = -1;
	(void)snprintf(s->directory, sizeof(s->directory), "/tmp/usb-notes-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	assert_true(sd_event_new(&s->event) >= 0);
	start(s, NULL);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;
	char command[128];

	usb_free(s->usb);
	for (size_t i = 0; i < CUFFS; i++) {
		if (s->cuffs[i].far >= 0)
			(void)close(s->cuffs[i].far);
	}
	(void)sd_event_unref(s->event);
	(void)snprintf(command, sizeof(command), "rm -r %s", s->directory);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
	free(s);
	return 0;
}

static void a_cuff_is_read_once_for_each_time_it_is_plugged_in(void **state)
{
	struct stand *s = *state;

	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->downs == 1);
	assert_int_equal(s->readings, 1);
	assert_int_equal(s->diastolic[0], 85);
	assert_string_equal(s->identity, "usb:067b:2303:A50285BI");
	assert_int_equal(usb_connected(s->usb), 0);
	unplug(s, 0);
	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->downs == 2);
	assert_int_equal(s->readings, 2);
	assert_string_equal(s->identity, "usb:067b:2303:A50285BI");
}

static void two_equal_cuffs_side_by_side(void **state)
{
	struct stand *s = *state;

	plug_in(s, 0, "A50285BI");
	plug_in(s, 1, "A50285BJ");
	UNTIL(s, s->downs == 2);
	assert_int_equal(s->readings, 2);
	for (size_t i = 0; i < 2; i++) /* each under its own */
		assert_string_equal(s->of_reading[i], s->diastolic[i] == 85
							      ? "usb:067b:2303:A50285BI"
							      : "usb:067b:2303:A50285BJ");
	assert_int_not_equal(s->diastolic[0], s->diastolic[1]);
}

static void a_port_is_no_identity(void **state)
{
	struct stand *s = *state;

	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->downs == 1);
	unplug(s, 0);
	plug_in(s, 0, "A50285BJ");
	UNTIL(s, s->downs == 2);
	assert_string_equal(s->of_reading[1], "usb:067b:2303:A50285BJ");
}

static void without_a_number_it_is_one_of_its_kind(void **state)
{
	struct stand *s = *state;

	plug_in(s, 0, "0001"); /* of a maker who gives none */
	UNTIL(s, s->downs == 1);
	assert_string_equal(s->of_reading[0], "model:067b:2303:USB-Serial");
}

/* Their readings could not be told apart. */
static void of_two_with_one_identity_only_one_is_read(void **state)
{
	struct stand *s = *state;

	s->commits = false; /* the first one stays at work */
	plug_in(s, 0, "");
	UNTIL(s, s->readings == 1);
	plug_in(s, 1, "");
	UNTIL(s, s->cuffs[1].asked > 1); /* tried, given up, tried again */
	assert_int_equal(s->readings, 1);
	assert_true(finds(s, "two connected devices have one identity"));
	s->commits = true;
	UNTIL(s, s->readings == 2 && s->downs == 2);
	assert_int_equal(s->diastolic[1], 86);
	assert_false(finds(s, "two connected devices have one identity"));
}

static void what_is_nobodys_is_not_opened(void **state)
{
	struct stand *s = *state;
	struct usb_attachment other;

	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->downs == 1);
	unplug(s, 0);
	plug_in(s, 0, "");
	other = s->cuffs[0].at;
	usb_detached(s->usb, other.syspath);
	s->cuffs[0].asked = 0;
	other.pid = 0x2304;
	usb_attached(s->usb, &other);
	other.pid = 0x2303;
	other.bus = DRV_BUS_HID; /* the same numbers on another bus are another thing */
	usb_attached(s->usb, &other);
	for (unsigned int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(s->cuffs[0].asked, 0);
	assert_int_equal(usb_connected(s->usb), 0);
}

static void a_node_that_cannot_be_opened_is_tried_again(void **state)
{
	struct stand *s = *state;
	char node[64];

	plug_in(s, 0, "A50285BI");
	usb_detached(s->usb, s->cuffs[0].at.syspath);
	memcpy(node, s->cuffs[0].at.node, sizeof(node));
	(void)snprintf(s->cuffs[0].at.node, sizeof(node), "/dev/no-such-cuff");
	usb_attached(s->usb, &s->cuffs[0].at);
	for (unsigned int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(usb_connected(s->usb), 0);
	assert_int_equal(s->cuffs[0].asked, 0);
	usb_detached(s->usb, s->cuffs[0].at.syspath);
	memcpy(s->cuffs[0].at.node, node, sizeof(node));
	usb_attached(s->usb, &s->cuffs[0].at);
	UNTIL(s, s->downs == 1);
	assert_int_equal(s->readings, 1);
}

static void unplugged_in_the_middle(void **state)
{
	struct stand *s = *state;

	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->cuffs[0].asked == 1);
	unplug(s, 0);
	UNTIL(s, usb_connected(s->usb) == 0);
	assert_int_equal(s->readings, 0);
	assert_int_equal(s->ups, s->downs);
	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->readings == 1 && s->downs == 2);
}

static void unplugged_before_the_commit(void **state)
{
	struct stand *s = *state;

	s->commits = false;
	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->readings == 1);
	unplug(s, 0);
	plug_in(s, 1, "A50285BJ"); /* life goes on */
	UNTIL(s, s->readings == 2);
	assert_int_equal(usb_connected(s->usb), 2);
	s->commits = true;
	UNTIL(s, usb_connected(s->usb) == 0);
	assert_int_equal(s->downs, 2);
}

static void more_than_can_be_read_at_once(void **state)
{
	struct stand *s = *state;
	char serial[16], good[96];

	assert_true(finds(s, "nothing is plugged in that can be read"));
	s->commits = false;
	for (size_t i = 0; i < CUFFS; i++) {
		(void)snprintf(serial, sizeof(serial), "A5%02zuX7K", i);
		plug_in(s, i, serial);
	}
	UNTIL(s, s->readings == USB_CABLES_MAX);
	assert_int_equal(usb_connected(s->usb), USB_CABLES_MAX);
	assert_true(finds(s, "more USB devices than can be read at once"));
	(void)snprintf(good, sizeof(good),
		       "%d devices are plugged in that can be read, connected now: %d", CUFFS,
		       USB_CABLES_MAX);
	assert_true(finds(s, good));
	s->commits = true;
	UNTIL(s, s->readings == CUFFS && s->downs == CUFFS);
}

static void a_refused_reading_ends_its_cable_alone(void **state)
{
	struct stand *s = *state;

	s->commits = false;
	plug_in(s, 0, "A50285BI");
	UNTIL(s, s->readings == 1);
	plug_in(s, 1, "A50285BJ");
	UNTIL(s, s->readings == 2);
	usb_refused(s->usb, 1);
	UNTIL(s, s->downs == 1);
	assert_int_equal(usb_connected(s->usb), 1);
}

/* ---- what the driver tells of its device ---- */

static void again_with(struct stand *s)
{
	usb_free(s->usb);
	start(s, &obedient);
}

static void letters(struct stand *s, size_t i, const char *text)
{
	UNTIL(s, usb_connected(s->usb) > 0);
	say(&s->cuffs[i], text, strlen(text));
}

static void a_number_that_the_driver_tells(void **state)
{
	struct stand *s = *state;

	again_with(s);
	plug_in(s, 0, "0001");
	for (unsigned int i = 0; i < 10; i++)
		turn(s);
	assert_int_equal(usb_connected(s->usb), 1);
	assert_int_equal(s->ups, 0); /* nothing is said before it is known who it is */
	letters(s, 0, "a");
	UNTIL(s, s->readings == 1);
	assert_string_equal(s->of_reading[0], "id:7130a");
	letters(s, 0, "R");
	UNTIL(s, s->readings == 2);
	assert_string_equal(s->of_reading[1], "id:7130a");
}

static void another_number_is_cut_off_before_its_reading(void **state)
{
	struct stand *s = *state;

	again_with(s);
	plug_in(s, 0, "");
	letters(s, 0, "a");
	UNTIL(s, s->readings == 1);
	letters(s, 0, "b");
	UNTIL(s, s->downs == 1);
	assert_int_equal(s->readings, 1);
}

static void a_number_that_comes_too_late_is_cut_off(void **state)
{
	struct stand *s = *state;

	again_with(s);
	plug_in(s, 0, "");
	letters(s, 0, "R");
	UNTIL(s, s->readings == 1);
	assert_string_equal(s->of_reading[0], "model:067b:2303:USB-Serial");
	letters(s, 0, "a");
	UNTIL(s, s->downs == 1);
	assert_int_equal(s->readings, 1);
}

static void two_that_tell_one_number(void **state)
{
	struct stand *s = *state;

	again_with(s);
	plug_in(s, 0, "");
	letters(s, 0, "a");
	UNTIL(s, s->readings == 1);
	plug_in(s, 1, "");
	UNTIL(s, usb_connected(s->usb) == 2);
	letters(s, 1, "a");
	UNTIL(s, finds(s, "two connected devices have one identity"));
	assert_int_equal(s->readings, 1);
}

static void asks(struct stand *s, size_t i, const char *expected)
{
	char back[16] = "";
	size_t n = 0;

	say(&s->cuffs[i], "?", 1);
	for (unsigned int turns = 0; turns < 1000 && n < strlen(expected); turns++) {
		const ssize_t got = read(s->cuffs[i].far, back + n, sizeof(back) - 1 - n);

		n += got > 0 ? (size_t)got : 0;
		assert_true(sd_event_run(s->event, 5000) >= 0);
	}
	assert_string_equal(back, expected);
}

/* In another port, after a restart, and only for the one that it is of. */
static void what_was_kept_is_known_again(void **state)
{
	struct stand *s = *state;

	again_with(s);
	plug_in(s, 0, "");
	letters(s, 0, "aK4");
	UNTIL(s, s->readings == 3 && s->committed == 3);
	again_with(s);
	unplug(s, 0);
	plug_in(s, 1, "");
	letters(s, 1, "a");
	UNTIL(s, s->readings == 4);
	asks(s, 1, "k4");
	unplug(s, 1);
	UNTIL(s, usb_connected(s->usb) == 0);
	plug_in(s, 2, "");
	letters(s, 2, "b");
	UNTIL(s, s->readings == 5);
	asks(s, 2, "0");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_cuff_is_read_once_for_each_time_it_is_plugged_in),
		TEST(two_equal_cuffs_side_by_side),
		TEST(a_port_is_no_identity),
		TEST(without_a_number_it_is_one_of_its_kind),
		TEST(of_two_with_one_identity_only_one_is_read),
		TEST(what_is_nobodys_is_not_opened),
		TEST(a_node_that_cannot_be_opened_is_tried_again),
		TEST(unplugged_in_the_middle),
		TEST(unplugged_before_the_commit),
		TEST(more_than_can_be_read_at_once),
		TEST(a_refused_reading_ends_its_cable_alone),
		TEST(a_number_that_the_driver_tells),
		TEST(another_number_is_cut_off_before_its_reading),
		TEST(a_number_that_comes_too_late_is_cut_off),
		TEST(two_that_tell_one_number),
		TEST(what_was_kept_is_known_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
