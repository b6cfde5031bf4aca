/* links: protocols */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/capture/hci.h"
#include "tests/unit/hci_fixture.h"

#define EVENTS_MAX 64

struct capture {
	struct hci hci;
	struct cap_event events[EVENTS_MAX];
	size_t n;
};

static void on_event(void *user, const struct cap_event *event)
{
	struct capture *c = user;

	assert_true(c->n < EVENTS_MAX);
	c->events[c->n++] = *event;
}

static int setup(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (!c)
		return -1;
	hci_init(&c->hci, on_event, c);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int give(struct capture *c, size_t i, enum packet_direction direction)
{
	const struct fixture_packet *f = &fixture_packets[i];
	const struct packet packet = {
		.at_us = fixture_time(i) - FIXTURE_START_US,
		.type = f->type,
		.direction = direction,
		.data = f->data,
		.len = f->len,
	};

	return hci_packet(&c->hci, &packet);
}

static void give_range(struct capture *c, size_t first, size_t last)
{
	for (size_t i = first; i <= last; i++) {
		const bool received = fixture_packets[i].received;

		assert_int_equal(give(c, i, received ? PACKET_RECEIVED : PACKET_SENT), 0);
	}
}

static int give_bytes(struct capture *c, enum packet_direction direction, const uint8_t *data,
		      size_t len)
{
	const struct packet packet = {
		.type = PACKET_ACL,
		.direction = direction,
		.data = data,
		.len = len,
	};

	return hci_packet(&c->hci, &packet);
}

/* one ATT packet, unfragmented, on the fixture's connection */
static int give_att(struct capture *c, bool received, const void *att, size_t len)
{
	uint8_t data[700];
	struct writer w = writer_of(data, sizeof(data));

	writer_le16(&w, (uint16_t)(FIXTURE_CONNECTION | (received ? 0x2000 : 0)));
	writer_le16(&w, (uint16_t)(len + 4));
	writer_le16(&w, (uint16_t)len);
	writer_le16(&w, 4);
	writer_bytes(&w, att, len);
	assert_true(writer_ok(&w));
	return give_bytes(c, received ? PACKET_RECEIVED : PACKET_SENT, data, w.len);
}

static void expect_dialogue(const struct capture *c)
{
	assert_int_equal(c->n, 4);
	assert_int_equal(c->events[0].kind, CAP_OPEN);
	assert_string_equal(c->events[0].open.bus, "ble");
	assert_int_equal(c->events[0].open.service, 0x1810);
	assert_string_equal(c->events[0].open.name, "Cuff");
	assert_int_equal(c->events[1].kind, CAP_FRAME);
	assert_int_equal(c->events[1].channel, FIXTURE_UUID);
	assert_int_equal(c->events[1].at_us, 11 * FIXTURE_STEP_US);
	assert_int_equal(c->events[1].len, sizeof(fixture_value));
	assert_memory_equal(c->events[1].data, fixture_value, sizeof(fixture_value));
	assert_int_equal(c->events[2].kind, CAP_CONFIRM);
	assert_int_equal(c->events[2].channel, FIXTURE_UUID);
	assert_int_equal(c->events[3].kind, CAP_CLOSE);
}

static void a_dialogue_becomes_a_session(void **state)
{
	struct capture *c = *state;

	give_range(c, 0, FIXTURE_N - 1);
	expect_dialogue(c);
	assert_int_equal(c->hci.counts.unknown_handles, 0);
	hci_finish(&c->hci);
	assert_int_equal(c->n, 4);
}

static void the_direction_is_guessed_where_nobody_says_it(void **state)
{
	struct capture *c = *state;

	for (size_t i = 0; i < FIXTURE_N; i++)
		assert_int_equal(give(c, i, PACKET_DIRECTION_UNKNOWN), 0);
	expect_dialogue(c);
}

static void without_discovery_a_handle_is_unknown_or_given(void **state)
{
	struct capture *c = *state;

	give_range(c, 10, 12);
	assert_int_equal(c->n, 0);
	assert_int_equal(c->hci.counts.unknown_handles, 1);
	assert_int_equal(
		hci_add_handle(&c->hci, (struct hci_handle){ FIXTURE_HANDLE, FIXTURE_UUID }), 0);
	give_range(c, 10, 12);
	hci_finish(&c->hci);
	assert_int_equal(c->n, 4);
	assert_int_equal(c->events[0].kind, CAP_OPEN);
	assert_int_equal(c->events[0].open.service, 0);
	assert_int_equal(c->events[1].channel, FIXTURE_UUID);
	assert_int_equal(c->events[2].kind, CAP_CONFIRM);
	assert_int_equal(c->events[3].kind, CAP_CLOSE);
}

static void what_was_discovered_lasts_for_the_next_connection(void **state)
{
	struct capture *c = *state;

	give_range(c, 0, FIXTURE_N - 1);
	give_range(c, 1, 1);
	give_range(c, 10, FIXTURE_N - 1);
	assert_int_equal(c->n, 8);
	assert_int_equal(c->events[5].channel, FIXTURE_UUID);
	assert_int_not_equal(c->events[5].link, c->events[1].link);
}

static void a_missing_disconnection_is_made_up_for(void **state)
{
	static const uint8_t reset[] = { 0x0e, 4, 1, 0x03, 0x0c, 0 };
	struct capture *c = *state;
	struct packet packet = { .type = PACKET_EVENT, .data = reset, .len = sizeof(reset) };

	give_range(c, 0, 12);
	assert_int_equal(c->n, 3);
	give_range(c, 1, 1); /* the same handle again */
	assert_int_equal(c->n, 4);
	assert_int_equal(c->events[3].kind, CAP_CLOSE);
	give_range(c, 10, 12);
	assert_int_equal(hci_packet(&c->hci, &packet), 0);
	assert_int_equal(c->n, 8);
	assert_int_equal(c->events[7].kind, CAP_CLOSE);
}

static void reads_and_writes_are_followed(void **state)
{
	static const uint8_t find_req[] = { 0x04, 0x20, 0, 0x21, 0 };
	static const uint8_t find_rsp[] = { 0x05, 1, 0x20, 0, 0x19, 0x2a, 0x21, 0, 0x52, 0x2a };
	struct capture *c = *state;

	give_range(c, 0, 9);
	assert_int_equal(give_att(c, false, find_req, sizeof(find_req)), 0);
	assert_int_equal(give_att(c, true, find_rsp, sizeof(find_rsp)), 0);
	assert_int_equal(give_att(c, false, "\x0a\x20\0", 3), 0);
	assert_int_equal(give_att(c, true, "\x0b\x63", 2), 0);
	assert_int_equal(give_att(c, false, "\x12\x21\0\x01\x01", 5), 0);
	assert_int_equal(c->n, 4);
	assert_int_equal(c->events[1].kind, CAP_READ);
	assert_int_equal(c->events[1].channel, 0x2a19);
	assert_int_equal(c->events[2].kind, CAP_FRAME);
	assert_int_equal(c->events[2].channel, 0x2a19);
	assert_int_equal(c->events[2].data[0], 0x63);
	assert_int_equal(c->events[3].kind, CAP_WRITE);
	assert_int_equal(c->events[3].channel, 0x2a52);
	assert_memory_equal(c->events[3].data, "\x01\x01", 2);
	/* an answer nobody asked for means nothing */
	assert_int_equal(give_att(c, true, "\x0b\x63", 2), 0);
	assert_int_equal(c->n, 4);
}

static void the_profiles_own_values_are_nobodys(void **state)
{
	static const uint8_t by_type[] = { 0x08, 1, 0, 0xff, 0xff, 0x2a, 0x2b };
	static const uint8_t find_req[] = { 0x04, 0x20, 0, 0x21, 0 };
	static const uint8_t find_rsp[] = { 0x05, 1, 0x20, 0, 0x2a, 0x2b, 0x21, 0, 0x05, 0x2a };
	uint8_t hash[20] = { 0x09, 18, 0x20, 0 };
	struct capture *c = *state;

	give_range(c, 0, 12);
	assert_int_equal(c->n, 3);
	assert_int_equal(give_att(c, false, find_req, sizeof(find_req)), 0);
	assert_int_equal(give_att(c, true, find_rsp, sizeof(find_rsp)), 0);
	assert_int_equal(give_att(c, false, by_type, sizeof(by_type)), 0);
	assert_int_equal(give_att(c, true, hash, sizeof(hash)), 0);
	assert_int_equal(give_att(c, true, "\x1d\x21\0\1\0\xff\xff", 7), 0);
	assert_int_equal(give_att(c, false, "\x1e", 1), 0);
	assert_int_equal(c->n, 3);
}

static void a_long_value_is_put_together(void **state)
{
	uint8_t first[23] = { 0x0b }, second[4] = { 0x0d, 'x', 'y', 'z' };
	struct capture *c = *state;

	memset(first + 1, 'a', sizeof(first) - 1);
	give_range(c, 0, 9);
	assert_int_equal(give_att(c, false, "\x0a\x12\0", 3), 0);
	assert_int_equal(give_att(c, true, first, sizeof(first)), 0);
	assert_int_equal(c->n, 2); /* it may go on */
	assert_int_equal(give_att(c, false, "\x0c\x12\0\x16\0", 5), 0);
	assert_int_equal(give_att(c, true, second, sizeof(second)), 0);
	assert_int_equal(c->n, 3);
	assert_int_equal(c->events[2].len, 25);
	assert_memory_equal(c->events[2].data + 21, "axyz", 4);
	/* and one that was exactly as long as the MTU allows: the error to the next part ends it */
	assert_int_equal(give_att(c, false, "\x0a\x12\0", 3), 0);
	assert_int_equal(give_att(c, true, first, sizeof(first)), 0);
	assert_int_equal(give_att(c, false, "\x0c\x12\0\x16\0", 5), 0);
	assert_int_equal(give_att(c, true, "\x01\x0c\x12\0\x07", 5), 0);
	assert_int_equal(c->n, 5);
	assert_int_equal(c->events[4].len, 22);
}

static void several_values_in_one_notification(void **state)
{
	static const uint8_t att[] = { 0x23, 0x12, 0, 1, 0, 0xaa, 0x12, 0, 2, 0, 0xbb, 0xcc };
	struct capture *c = *state;

	give_range(c, 0, 9);
	assert_int_equal(give_att(c, true, att, sizeof(att)), 0);
	assert_int_equal(c->n, 3);
	assert_int_equal(c->events[2].len, 2);
	assert_int_equal(give_att(c, true, att, sizeof(att) - 1), -EBADMSG);
}

static void the_hosts_own_server_is_not_a_device(void **state)
{
	struct capture *c = *state;

	give_range(c, 0, 9);
	assert_int_equal(give_att(c, false, "\x1b\x12\0\x01", 4), 0);
	assert_int_equal(give_att(c, true, "\x12\x12\0\x01", 4), 0);
	assert_int_equal(c->n, 0);
}

static void contradicting_lengths_are_refused(void **state)
{
	static const struct {
		size_t len;
		uint8_t data[16];
		int r;
		const char *problem;
	} cases[] = {
		{ 3, { 0x40, 0x20, 1 }, -EBADMSG, "ACL data of another length" },
		{ 8, { 0x40, 0x20, 9, 0, 1, 0, 4, 0 }, -EBADMSG, "ACL data of another length" },
		{ 6, { 0x40, 0x20, 2, 0, 1, 0 }, -EBADMSG, "without L2CAP header" },
		{ 8, { 0x40, 0x20, 4, 0, 1, 5, 4, 0 }, -EMSGSIZE, "longer than 1024" },
		{ 10, { 0x40, 0x20, 6, 0, 1, 0, 4, 0, 1, 2 }, -EBADMSG, "fragments longer" },
		{ 10,
		  { 0x40, 0x20, 6, 0, 2, 0, 4, 0, 0x1b, 2 },
		  -EBADMSG,
		  "shorter than its kind" },
		{ 8, { 0x40, 0x20, 4, 0, 0, 0, 4, 0 }, -EBADMSG, "shorter than its kind" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture *c = *state;

		hci_init(&c->hci, on_event, c);
		give_range(c, 1, 1);
		assert_int_equal(give_bytes(c, PACKET_RECEIVED, cases[i].data, cases[i].len),
				 cases[i].r);
		assert_non_null(strstr(c->hci.problem, cases[i].problem));
	}
}

static void a_cut_reading_is_an_error_and_cut_audio_is_not(void **state)
{
	static const uint8_t att[] = { 0x40, 0x20, 9, 0, 5, 0, 4, 0, 0x1d };
	static const uint8_t other[] = { 0x40, 0x20, 9, 0, 5, 0, 0x40, 0, 0x1d };
	struct capture *c = *state;
	struct packet packet = { .type = PACKET_ACL,
				 .direction = PACKET_RECEIVED,
				 .cut = true,
				 .data = att,
				 .len = sizeof(att) };

	give_range(c, 1, 1);
	assert_int_equal(hci_packet(&c->hci, &packet), -EBADMSG);
	packet.data = other;
	assert_int_equal(hci_packet(&c->hci, &packet), 0);
}

static void more_links_than_places_push_out_the_oldest(void **state)
{
	struct capture *c = *state;
	uint8_t data[64];
	struct packet packet = { .type = PACKET_EVENT, .data = data };

	packet.len = fixture_packets[1].len;
	memcpy(data, fixture_packets[1].data, packet.len);
	for (uint8_t i = 0; i < 3 * HCI_DEVICES_MAX; i++) {
		data[4] = i;
		data[8] = i;
		assert_int_equal(hci_packet(&c->hci, &packet), 0);
	}
	hci_finish(&c->hci);
	assert_int_equal(c->n, 0); /* nothing was said on any of them */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_dialogue_becomes_a_session),
		TEST(the_direction_is_guessed_where_nobody_says_it),
		TEST(without_discovery_a_handle_is_unknown_or_given),
		TEST(what_was_discovered_lasts_for_the_next_connection),
		TEST(a_missing_disconnection_is_made_up_for),
		TEST(reads_and_writes_are_followed),
		TEST(the_profiles_own_values_are_nobodys),
		TEST(a_long_value_is_put_together),
		TEST(several_values_in_one_notification),
		TEST(the_hosts_own_server_is_not_a_device),
		TEST(contradicting_lengths_are_refused),
		TEST(a_cut_reading_is_an_error_and_cut_audio_is_not),
		TEST(more_links_than_places_push_out_the_oldest),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
