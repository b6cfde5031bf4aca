/* links: lab_air */
/*
 * The virtual controller and the air, over a socket in place of /dev/vhci, with stand-ins for the
 * peripherals. Conversations are tables of lines:
 *   >HEX   the host sends this H4 packet     <HEX   the next one to the host; .. is any byte
 *   =      nothing more has come             *      adverts of peripheral 0 pass, if any
 *   !TEXT  what a peripheral has seen next   :LINE  a command, done      ~LINE  refused
 *   [N C HEX  peripheral N sends this on channel C          %N R  peripheral N drops the link
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "protocols/capture/packets.h"
#include "tests/lab/radio/command.h"
#include "tests/lab/radio/control.h"
#include "tests/lab/radio/crowd.h"
#include "tests/lab/radio/rpa.h"
#include "tests/lab/radio/scenario.h"
#include "tests/lab/radio/signalling.h"

#define N(a)       (sizeof(a) / sizeof((a)[0]))
#define SEEN_MAX   64
#define TEXT_MAX   2048
#define PATIENCE   INT64_C(20000000)
#define PACKET_MAX 2048

/* ---- the stand-ins for the peripherals ---- */

static char seen[SEEN_MAX][TEXT_MAX];
static size_t n_seen, read_seen;

static void hex(const uint8_t *data, size_t len, char *ret, size_t size)
{
	ret[0] = 0;
	for (size_t i = 0; i < len && 2 * i + 3 <= size; i++)
		(void)snprintf(ret + 2 * i, size - 2 * i, "%02x", data[i]);
}

static void see(const struct peer *p, const char *what)
{
	assert_true(n_seen < SEEN_MAX);
	(void)snprintf(seen[n_seen++], TEXT_MAX, "%u %s", p->index, what);
}

const char *const peer_models[] = { "sensor", "beacon", NULL };

int peer_new(const char *model, unsigned int index, struct peer **ret)
{
	static const uint8_t advert[] = { 2, 1, 6 }, response[] = { 2, 9, 'S' };
	struct peer *p;

	if (strcmp(model, "sensor") != 0 && strcmp(model, "beacon") != 0)
		return -ENOENT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->index = index;
	p->model = strcmp(model, "sensor") == 0 ? "sensor" : "beacon";
	memcpy(p->identity, (const uint8_t[]){ 2, 0, 0x5e, 0x10, 0, (uint8_t)index }, 6);
	p->connectable = strcmp(model, "sensor") == 0;
	p->advertises = true;
	p->interval_ms = 1;
	memset(p->irk, 0x11, sizeof(p->irk));
	memcpy(p->advert, advert, sizeof(advert));
	p->advert_len = sizeof(advert);
	if (p->connectable) {
		memcpy(p->scan_response, response, sizeof(response));
		p->scan_response_len = sizeof(response);
	}
	*ret = p;
	return 0;
}

void peer_free(struct peer *p)
{
	free(p);
}

void peer_connected(struct peer *p)
{
	char text[64], address[13];

	hex(p->host, sizeof(p->host), address, sizeof(address));
	(void)snprintf(text, sizeof(text), "connected %s %d", address, p->host_random);
	see(p, text);
}

void peer_disconnected(struct peer *p, uint8_t reason)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "disconnected %02x", reason);
	see(p, text);
}

void peer_receive(struct peer *p, uint16_t cid, const uint8_t *data, size_t len)
{
	char text[TEXT_MAX], value[TEXT_MAX - 32];

	hex(data, len, value, sizeof(value));
	(void)snprintf(text, sizeof(text), "receive %u %s", cid, value);
	see(p, text);
}

bool peer_long_term_key(struct peer *p, const uint8_t rand[8], uint16_t ediv, uint8_t ret[16])
{
	(void)p;
	memset(ret, rand[0], 16);
	return ediv == 0x0102;
}

void peer_encrypted(struct peer *p)
{
	see(p, "encrypted");
}

void peer_wake(struct peer *p)
{
	see(p, "wake");
}

int peer_command(struct peer *p, const char *line, char *answer, size_t size)
{
	see(p, line);
	(void)snprintf(answer, size, "did %s", line);
	return strcmp(line, "bad") == 0 ? -EINVAL : 0;
}

/* ---- the bench ---- */

struct bench {
	struct air air;
	int host;
	char *log_text;
	size_t log_size;
	FILE *log;
	char answer[COMMAND_ANSWER_MAX];
};

static int set_up(void **state)
{
	static const uint8_t address[6] = { 0, 0xaa, 1, 2, 3, 4 };
	struct bench *b = calloc(1, sizeof(*b));
	struct vhci port = { .fd = -1 };
	int fds[2];

	assert_non_null(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	b->host = fds[0];
	vhci_attach(&port, fds[1]);
	b->log = open_memstream(&b->log_text, &b->log_size);
	assert_non_null(b->log);
	air_init(&b->air, &port, address, 7, b->log);
	n_seen = read_seen = 0;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	air_done(&b->air);
	(void)close(b->host);
	(void)fclose(b->log);
	free(b->log_text);
	free(b);
	return 0;
}

static size_t unhex(const char *text, uint8_t *ret)
{
	size_t n = 0;

	for (; *text; text++) {
		char digits[3] = { text[0], text[1], 0 };

		if (*text == ' ')
			continue;
		assert_true(text[1] && n < PACKET_MAX);
		ret[n++] = (uint8_t)strtoul(digits, NULL, 16);
		text++;
	}
	return n;
}

static void turn(struct bench *b)
{
	assert_int_equal(air_read_host(&b->air), 0);
	air_tick(&b->air);
}

/* what is still on its way when nothing more is due at this moment */
static void settle(struct bench *b)
{
	for (int i = 0; i < 3; i++)
		turn(b);
}

static bool readable(const struct bench *b, int ms)
{
	struct pollfd p = { .fd = b->host, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

static void expect_packet(struct bench *b, const char *pattern)
{
	const int64_t limit = air_now() + PATIENCE;
	char text[2 * PACKET_MAX + 1], wanted[2 * PACKET_MAX + 1];
	uint8_t packet[PACKET_MAX];
	size_t k = 0;
	ssize_t n;

	turn(b);
	while (!readable(b, 1)) {
		if (air_now() > limit)
			fail_msg("nothing came for %s", pattern);
		turn(b);
	}
	n = recv(b->host, packet, sizeof(packet), 0);
	assert_true(n > 0);
	hex(packet, (size_t)n, text, sizeof(text));
	for (size_t i = 0; pattern[i]; i++) {
		if (pattern[i] != ' ')
			wanted[k++] = pattern[i];
	}
	wanted[k] = 0;
	for (size_t i = 0; i < k && text[i]; i++) {
		if (wanted[i] == '.')
			wanted[i] = text[i];
	}
	assert_string_equal(text, wanted);
}

static void expect_quiet(struct bench *b)
{
	char text[2 * PACKET_MAX + 1];
	uint8_t packet[PACKET_MAX];

	settle(b);
	if (!readable(b, 0))
		return;
	hex(packet, (size_t)recv(b->host, packet, sizeof(packet), 0), text, sizeof(text));
	fail_msg("came unasked: %s", text);
}

static void host_sends(struct bench *b, const char *text)
{
	uint8_t packet[PACKET_MAX];
	const size_t n = unhex(text, packet);

	assert_int_equal(send(b->host, packet, n, 0), n);
	settle(b);
}

static void adverts_pass(struct bench *b)
{
	const struct air_peer *ap = air_find(&b->air, 0)->air;

	for (int i = 0; i < 6; i++) {
		const int64_t before = ap->next_advert, limit = air_now() + PATIENCE;

		if (air_next(&b->air) == AIR_NEVER) /* nor will there ever be one */
			return;
		while (ap->next_advert == before && air_now() < limit) {
			turn(b);
			(void)poll(NULL, 0, 1);
		}
		assert_int_not_equal(ap->next_advert, before);
	}
}

static void peer_sends(struct bench *b, const char *text)
{
	uint8_t data[PACKET_MAX];
	char *rest;
	const unsigned int index = (unsigned int)strtoul(text, &rest, 10);
	const uint16_t cid = (uint16_t)strtoul(rest, &rest, 10);

	air_send(air_find(&b->air, index), cid, data, unhex(rest, data));
}

static void peer_drops(struct bench *b, const char *text)
{
	char *rest;
	const unsigned int index = (unsigned int)strtoul(text, &rest, 10);

	air_drop(air_find(&b->air, index), (uint8_t)strtoul(rest, NULL, 16));
}

static void expect_seen(struct bench *b, const char *text)
{
	const int64_t limit = air_now() + PATIENCE;

	while (read_seen == n_seen && air_now() < limit) {
		turn(b);
		(void)poll(NULL, 0, 1);
	}
	assert_true(read_seen < n_seen);
	assert_string_equal(seen[read_seen++], text);
}

static int command(struct bench *b, const char *line)
{
	bool quit = false;

	return command_execute(&b->air, line, b->answer, sizeof(b->answer), &quit);
}

static void line(struct bench *b, const char *text)
{
	switch (text[0]) {
	case '>':
		host_sends(b, text + 1);
		break;
	case '<':
		expect_packet(b, text + 1);
		break;
	case '=':
		expect_quiet(b);
		break;
	case '*':
		adverts_pass(b);
		break;
	case '!':
		expect_seen(b, text + 1);
		break;
	case ':':
		if (command(b, text + 1) != 0)
			fail_msg("%s: %s", text + 1, b->answer);
		break;
	case '~':
		assert_true(command(b, text + 1) < 0);
		break;
	case '[':
		peer_sends(b, text + 1);
		break;
	case '%':
		peer_drops(b, text + 1);
		break;
	default:
		fail_msg("bad line %s", text);
	}
}

static void play(struct bench *b, const char *const *lines)
{
	for (size_t i = 0; lines[i]; i++)
		line(b, lines[i]);
}

#define PLAY(b, ...) play(b, (const char *const[]){ __VA_ARGS__, NULL })

static bool logged(struct bench *b, const char *text)
{
	(void)fflush(b->log);
	return b->log_text && strstr(b->log_text, text);
}

static unsigned int times_logged(struct bench *b, const char *text)
{
	unsigned int n = 0;

	(void)fflush(b->log);
	for (const char *at = b->log_text; at && (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

/* Create Connection to peripheral 0, which gets the handle 0x0040 */
#define CONNECT   ">01 0d20 19 6000 6000 00 00 0000105e0002 00 1800 2800 0000 2a00 0000 0000"
#define TAKEN     "<04 0f 04 00 01 0d20"
#define CONNECTED "<04 3e 13 01 00 4000 00 00 0000105e0002 1800 0000 2a00 00"
#define LINK_UP   ":add sensor", CONNECT, TAKEN, CONNECTED, "!0 connected 00aa01020304 0"
#define ENDED_08  "<04 05 04 00 4000 08"
#define ENDED_13  "<04 05 04 00 4000 13"
#define ENDED_16  "<04 05 04 00 4000 16"
#define ENDED_3D  "<04 05 04 00 4000 3d"
#define ENDED_3E  "<04 05 04 00 4000 3e"
#define FREED     "<04 13 05 01 4000 0100"

/* ---- the controller's commands ---- */

static void a_host_brings_the_controller_up(void **state)
{
	PLAY(*state, ">01 030c 00", "<04 0e 04 01 030c 00",              /* Reset */
	     ">01 0310 00", "<04 0e 0c 01 0310 00 0000000060000000",     /* features */
	     ">01 0110 00", "<04 0e 0c 01 0110 00 08 0000 08 f105 0000", /* version */
	     ">01 0910 00", "<04 0e 0a 01 0910 00 04030201aa00",         /* BD_ADDR */
	     ">01 0220 00", "<04 0e 07 01 0220 00 fb00 10",              /* LE buffers */
	     ">01 0320 00", "<04 0e 0c 01 0320 00 2100000000000000",     /* LE features */
	     ">01 0f20 00", "<04 0e 05 01 0f20 00 20",                   /* accept list size */
	     ">01 2320 00", "<04 0e 08 01 2320 00 fb00 4808",            /* data length */
	     ">01 2f20 00", "<04 0e 0c 01 2f20 00 fb00 4808 fb00 4808",  /* ... the most */
	     ">01 0120 08 0102030405060708", "<04 0e 04 01 0120 00",     /* LE Set Event Mask */
	     ">01 1c20 00", "<04 0e 0c 01 1c20 00 ffffffffff030000",     /* states */
	     ">01 0510 00", "<04 0e 0b 01 0510 00 00000000000000",       /* no BR/EDR buffers */
	     ">01 1820 00", "<04 0e 0c 01 1820 00 ................",     /* LE Rand */
	     ">01 350c 05 01 4000 0100", "=");                           /* never answered */
}

/* AES-128 of FIPS 197, appendix C.1, least significant byte first */
static void the_controller_encrypts(void **state)
{
	PLAY(*state,
	     ">01 1720 20 0f0e0d0c0b0a09080706050403020100 ffeeddccbbaa99887766554433221100",
	     "<04 0e 14 01 1720 00 5ac5b47080b7cdd830047b6ad8e0c469");
}

static void unknown_commands_are_named_once(void **state)
{
	PLAY(*state, ">01 1234 01 05", "<04 0e 04 01 1234 01", ">01 1234 00",
	     "<04 0e 04 01 1234 01");
	assert_int_equal(times_logged(*state, "- air unknown command 0x3412"), 1);
}

static void lengths_of_commands_are_checked(void **state)
{
	PLAY(*state, ">01 0c20 01 01", "<04 0e 04 01 0c20 12", /* shorter than its row */
	     ">01 0c20 05 0100", "<04 0e 04 01 0c20 12",       /* than it says */
	     ">01 0c20 03 010000", "<04 0e 04 01 0c20 12",     /* longer */
	     ">01 0d20 00", "<04 0f 04 12 01 0d20",            /* with Command Status */
	     ">01 0c", "=", ">01", "=", ">05 00", "=", ">ff", "=", ">04 0e 00", "=");
}

static void any_bytes_of_a_host_are_survived(void **state)
{
	struct bench *b = *state;
	uint8_t packet[300];
	uint64_t chance = 1;

	PLAY(b, LINK_UP);
	for (int i = 0; i < 60000; i++) {
		size_t len;

		chance = crowd_mix(chance);
		len = 1 + (chance >> 8) % (i % 8 ? 40 : sizeof(packet) - 1);
		for (size_t k = 0; k < len; k++)
			packet[k] = (uint8_t)crowd_mix(chance + k);
		packet[0] = (uint8_t)(1 + (chance & 1));
		if (packet[0] == H4_COMMAND && len > 3) { /* mostly of the right shape */
			packet[2] = chance & 2 ? 0x20 : 0x0c;
			packet[1] &= 0x3f;
			packet[3] = (uint8_t)(len - 4);
		} else if (len > 4 && chance & 4) {
			packet[1] = 0x40;
			packet[2] &= 0x30;
			packet[3] = (uint8_t)(len - 5);
			packet[4] = 0;
		}
		air_from_host(&b->air, packet, len);
		air_tick(&b->air);
		while (readable(b, 0))
			assert_true(recv(b->host, packet, sizeof(packet), 0) > 0);
		n_seen = read_seen = 0;
	}
	assert_true(b->air.host_errors > 0);
}

/* ---- advertising ---- */

#define SCAN_ACTIVE   ">01 0b20 07 01 1000 1000 00 00", "<04 0e 04 01 0b20 00"
#define SCAN_PASSIVE  ">01 0b20 07 00 1000 1000 00 00", "<04 0e 04 01 0b20 00"
#define SCAN_LISTED   ">01 0b20 07 00 1000 1000 00 01", "<04 0e 04 01 0b20 00"
#define SCAN_FILTERED ">01 0c20 02 01 01", "<04 0e 04 01 0c20 00"
#define SCAN_ALL      ">01 0c20 02 01 00", "<04 0e 04 01 0c20 00"
#define SCAN_OFF      ">01 0c20 02 00 00", "<04 0e 04 01 0c20 00"
#define ADVERT        "<04 3e 0f 02 01 00 00 0000105e0002 03 020106 .."
#define SCAN_RESPONSE "<04 3e 0f 02 01 04 00 0000105e0002 03 020953 .."
#define BEACON        "<04 3e 0f 02 01 03 00 0000105e0002 03 020106 .."

static void active_scanning_brings_both_reports_once(void **state)
{
	PLAY(*state, ":add sensor", SCAN_ACTIVE, SCAN_FILTERED, ADVERT, SCAN_RESPONSE, "*", "=",
	     SCAN_OFF, SCAN_FILTERED, ADVERT, SCAN_RESPONSE, "*", "=");
}

static void new_advert_data_passes_the_duplicate_filter(void **state)
{
	struct bench *b = *state;

	PLAY(b, ":add beacon", SCAN_ACTIVE, SCAN_FILTERED, BEACON, "*", "=");
	air_changed(air_find(&b->air, 0));
	PLAY(b, BEACON, "*", "=", ":adapter strict on");
	air_changed(air_find(&b->air, 0));
	PLAY(b, "*", "=");
}

static void without_the_filter_each_advert_is_reported(void **state)
{
	PLAY(*state, ":add sensor", SCAN_PASSIVE, SCAN_ALL, ADVERT, ADVERT, ADVERT);
}

static void the_accept_list_filters(void **state)
{
	PLAY(*state, ":add sensor", SCAN_LISTED, SCAN_ALL, "*", "=",
	     /* the list is in use */
	     ">01 1120 07 00 0000105e0002", "<04 0e 04 01 1120 0c", SCAN_OFF,
	     ">01 1120 07 00 0000105e0002", "<04 0e 04 01 1120 00", SCAN_FILTERED, ADVERT);
}

static void an_advertiser_can_be_quiet(void **state)
{
	PLAY(*state, ":add sensor", ":0 advertise off", SCAN_PASSIVE, SCAN_ALL, "=",
	     ":0 interval 2", ":0 advertise on", ADVERT, ":adapter deaf on");
	assert_true(logged(*state, " 0 sensor advertising-ended\n"));
}

static void the_crowd_is_many_and_nobody(void **state)
{
	struct crowd_passer a, again, later;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		size_t at = 0;

		crowd_make(i, 3, &a);
		while (at < a.len)
			at += 1U + a.data[at];
		assert_int_equal(at, a.len);
		assert_true(a.len <= PEER_ADVERT_MAX);
	}
	crowd_make(5, 1, &a);
	crowd_make(5, 1, &again);
	crowd_make(5, 2, &later);
	assert_memory_equal(a.address, again.address, 6);
	assert_memory_not_equal(a.address, later.address, 6);
}

static void the_crowd_is_heard_at_its_rate(void **state)
{
	struct bench *b = *state;
	const int64_t begun = air_now();

	PLAY(b, "~crowd 30000 10", ":crowd 10000 2000", SCAN_PASSIVE, SCAN_ALL);
	while (b->air.reports < 200) {
		uint8_t packet[PACKET_MAX];

		turn(b);
		if (!readable(b, 1))
			continue;
		assert_true(recv(b->host, packet, sizeof(packet), 0) >= 14);
		assert_int_equal(packet[0], H4_EVENT);
		assert_int_equal(packet[3], 2);
	}
	/* never faster than it was told, whatever the machine does */
	assert_true(air_now() - begun >= 90 * AIR_MILLISECOND);
}

/* ---- addresses ---- */

/* Core specification, vol 3 part H, appendix D.7 */
static void hash_of_a_private_address(void **state)
{
	static const uint8_t irk[16] = { 0x9b, 0x7d, 0x39, 0x0a, 0xa6, 0x10, 0x10, 0x34,
					 0x05, 0xad, 0xc8, 0x57, 0xa3, 0x34, 0x02, 0xec };
	static const uint8_t prand[3] = { 0x70, 0x81, 0x94 }, expected[3] = { 0x0d, 0xfb, 0xaa };
	uint8_t hash[3], address[6];

	(void)state;
	assert_int_equal(rpa_hash(irk, prand, hash), 0);
	assert_memory_equal(hash, expected, 3);
	assert_int_equal(rpa_make(irk, 0x308194, address), 0);
	assert_memory_equal(address, prand, 3);
	assert_memory_equal(address + 3, expected, 3);
	assert_int_equal(rpa_make(irk, 0, address), 0);
	assert_int_equal(address[0], 0x40);
	assert_int_not_equal(address[2], 0);
}

static void addresses_rotate_on_command_and_after_a_link(void **state)
{
	struct bench *b = *state;
	struct peer *p;
	uint8_t first[6];

	PLAY(b, LINK_UP, ":0 rotate");
	p = air_find(&b->air, 0);
	assert_memory_equal(p->address, p->identity, 6);
	PLAY(b, ":0 drop", ENDED_08, "!0 disconnected 08");
	assert_int_equal(p->address[0] & 0xc0, 0x40);
	assert_true(p->address_random);
	memcpy(first, p->address, 6);
	PLAY(b, ":0 rotate");
	assert_memory_not_equal(p->address, first, 6);
	PLAY(b, ":0 rotate off");
	assert_memory_equal(p->address, p->identity, 6);
	memset(p->irk, 0, sizeof(p->irk));
	PLAY(b, "~0 rotate");
}

/* ---- links ---- */

static void a_link_comes_and_goes(void **state)
{
	PLAY(*state, LINK_UP, ">01 1620 02 4000", "<04 0f 04 00 01 1620",
	     "<04 3e 0c 04 00 4000 0100000000000000", ">01 1d04 02 4000", "<04 0f 04 00 01 1d04",
	     "<04 0c 08 00 4000 08 f105 0000", ">01 0514 02 4000", "<04 0e 07 01 0514 00 4000 ..",
	     ">01 1320 0e 4000 0600 0c00 0000 c800 0000 0000", "<04 0f 04 00 01 1320",
	     "<04 3e 0a 03 00 4000 0c00 0000 c800", ">01 2220 06 4000 fb00 4808",
	     "<04 0e 06 01 2220 00 4000", "<04 3e 0b 07 4000 fb00 4808 fb00 4808", "=",
	     ">01 0604 03 4000 13", "<04 0f 04 00 01 0604", ENDED_16, "!0 disconnected 13",
	     ">01 0604 03 4000 13", "<04 0f 04 02 01 0604", ">01 0514 02 4000",
	     "<04 0e 07 01 0514 02 4000 7f");
	assert_true(logged(*state, " 0 sensor connected\n"));
	assert_true(logged(*state, " 0 sensor disconnected 0x16\n"));
}

static void a_peripheral_drops_after_what_it_sent(void **state)
{
	PLAY(*state, LINK_UP, "[0 4 1d0300aa", "%0 13", "<02 4020 0800 0400 0400 1d0300aa",
	     ENDED_13, "!0 disconnected 16");
}

static void one_attempt_at_a_time_and_cancelled(void **state)
{
	PLAY(*state, CONNECT, TAKEN, CONNECT, "<04 0f 04 0c 01 0d20", ">01 0e20 00",
	     "<04 0e 04 01 0e20 00", "<04 3e 13 01 02 0000 00 00 0000105e0002 1800 0000 2a00 00",
	     ">01 0e20 00", "<04 0e 04 01 0e20 0c", ":adapter links 0", CONNECT,
	     "<04 0f 04 09 01 0d20");
}

static void a_reset_ends_links(void **state)
{
	PLAY(*state, LINK_UP, ">01 030c 00", "<04 0e 04 01 030c 00", "!0 disconnected 08", "=");
}

static void sdus_are_cut_and_put_together(void **state)
{
	PLAY(*state, LINK_UP, ":0 fragment 3",
	     /* whole */
	     ">02 4000 0700 0300 0400 021702", FREED, "!0 receive 4 021702",
	     /* the header itself in pieces */
	     ">02 4000 0100 03", FREED, ">02 4010 0400 0004 0002", FREED, ">02 4010 0200 1702",
	     FREED, "!0 receive 4 021702", "[0 4 031702aabb", "<02 4020 0300 0500 04",
	     "<02 4010 0300 00 0317", "<02 4010 0300 02aabb", "=");
}

static void fragments_that_contradict_are_dropped(void **state)
{
	struct bench *b = *state;

	PLAY(b, LINK_UP, ">02 4010 0200 0300", FREED,    /* continues nothing */
	     ">02 4030 0700 0300 0400 021702", FREED,    /* unknown flag */
	     ">02 4000 0800 0300 0400 02170200", FREED); /* longer than it says */
	assert_int_equal(b->air.host_errors, 3);
	PLAY(b, ">02 4000 0400 ffff 0400", FREED); /* longer than we take */
	assert_int_equal(b->air.host_errors, 4);
	assert_int_equal(times_logged(b, "host-error fragment"), 4);
	PLAY(b, ">02 4000 0500 0300 0400 02", FREED); /* never finished, and replaced */
	PLAY(b, ">02 4000 0700 0300 0400 021702", FREED, "!0 receive 4 021702");
	assert_int_equal(times_logged(b, "host-error unfinished"), 1);
	PLAY(b, ">02 4000 0900 0300 0400 021702", "=",  /* cut short by HCI */
	     ">02 4000 00", "=", ">02 4100 0000", "=",  /* no link */
	     ">02 4000 0500 0100 4000 00", FREED, "="); /* a channel nobody has */
	assert_int_equal(b->air.host_errors, 8);
	assert_int_equal(n_seen, read_seen);
}

/* far more in one packet than any SDU may have, and more than the buffers that were offered */
static void an_oversize_packet_is_dropped(void **state)
{
	struct bench *b = *state;
	uint8_t packet[5 + 1500] = { H4_ACL, 0x40, 0x00, 1500 & 0xff, 1500 >> 8 };

	PLAY(b, LINK_UP);
	packet[7] = PEER_CID_ATT;
	air_from_host(&b->air, packet, sizeof(packet));
	packet[5] = 1496 & 0xff;
	packet[6] = 1496 >> 8;
	air_from_host(&b->air, packet, sizeof(packet));
	PLAY(b, FREED, FREED, "=");
	assert_int_equal(times_logged(b, "host-error overrun"), 2);
	assert_int_equal(times_logged(b, "host-error fragment"), 2);
	assert_int_equal(n_seen, read_seen);
}

static void signalling_is_answered(void **state)
{
	PLAY(*state, LINK_UP, ":0 parameters 6 12 0 200",
	     "<02 4020 1000 0c00 0500 12 01 0800 0600 0c00 0000 c800",
	     ">02 4000 0a00 0600 0500 13 01 0200 0000", FREED,
	     /* a connection request has no place here; a cut one is not answered */
	     ">02 4000 0c00 0800 0500 14 07 0400 40004000", FREED,
	     "<02 4020 0a00 0600 0500 01 07 0200 0000", ">02 4000 0700 0300 0500 120100", FREED,
	     "=", ">02 4000 0800 0400 0500 12 01 0500", FREED, "=",
	     ">02 4000 0800 0400 0500 16 01 0000", FREED, "=");
	assert_true(logged(*state, "parameters accepted"));
	assert_int_equal(times_logged(*state, "host-error signalling"), 2);
}

/* ---- encryption; the key of the stand-in is the first byte of rand, sixteen times ---- */

#define ENCRYPT        ">01 1920 1c 4000 0500000000000000 0201 05050505050505050505050505050505"
#define ENCRYPT_OTHER  ">01 1920 1c 4000 0500000000000000 0201 06060606060606060606060606060606"
#define ENCRYPT_NO_KEY ">01 1920 1c 4000 0500000000000000 0202 05050505050505050505050505050505"
#define BEGUN          "<04 0f 04 00 01 1920"

static void encryption_begins_and_is_refreshed(void **state)
{
	PLAY(*state, LINK_UP, ENCRYPT, BEGUN, "<04 08 04 00 4000 01", "!0 encrypted", ENCRYPT,
	     BEGUN, "<04 30 03 00 4000", "!0 encrypted");
	assert_true(logged(*state, " 0 sensor link-encrypted\n"));
}

static void a_missing_key_leaves_the_link_a_wrong_one_ends_it(void **state)
{
	PLAY(*state, LINK_UP, ENCRYPT_NO_KEY, BEGUN, "<04 08 04 06 4000 00", ENCRYPT_OTHER, BEGUN,
	     ENDED_3D, "!0 disconnected 3d");
}

/* ---- faults ---- */

static void a_connection_that_is_never_established(void **state)
{
	PLAY(*state, ":add sensor", ":0 fault lost 1 1", CONNECT, TAKEN, CONNECTED, ENDED_3E,
	     CONNECT, TAKEN, "<04 3e 13 01 00 4100 00 00 0000105e0002 1800 0000 2a00 00",
	     "!0 connected 00aa01020304 0");
}

static void a_connection_with_an_error(void **state)
{
	PLAY(*state, ":add sensor", ":0 fault connect 9", CONNECT, TAKEN,
	     "<04 3e 13 01 09 0000 00 00 0000105e0002 1800 0000 2a00 00", CONNECT, TAKEN, CONNECTED,
	     "!0 connected 00aa01020304 0");
}

static void a_connection_that_hangs(void **state)
{
	PLAY(*state, ":add sensor", ":0 fault hang 1", CONNECT, TAKEN, "*", "=", ">01 0e20 00",
	     "<04 0e 04 01 0e20 00", "<04 3e 13 01 02 0000 00 00 0000105e0002 1800 0000 2a00 00",
	     CONNECT, TAKEN, CONNECTED, "!0 connected 00aa01020304 0");
}

static void a_pdu_ends_the_link_before_it_arrives(void **state)
{
	PLAY(*state, LINK_UP, ":0 fault drop-at 0x1e", ">02 4000 0500 0100 0400 1e",
	     "<04 13 05 01 4000 0100", ENDED_08, "!0 disconnected 08");
}

static void a_link_ends_between_indication_and_confirmation(void **state)
{
	/* the confirmation that comes in between is not seen by the peripheral */
	PLAY(*state, LINK_UP, ":0 fault unconfirmed 1 300", "[0 4 1d0300aa",
	     "<02 4020 0800 0400 0400 1d0300aa", ">02 4000 0500 0100 0400 1e", FREED, ENDED_08,
	     "!0 disconnected 08");
}

static void sdus_are_lost_and_late(void **state)
{
	struct bench *b = *state;
	int64_t begun;

	PLAY(b, LINK_UP, ":0 loss 100", "[0 4 0b01", ">02 4000 0500 0100 0400 1e", FREED, "=");
	assert_true(logged(b, "lost to-host 4"));
	assert_true(logged(b, "lost to-peer 4"));
	begun = air_now();
	PLAY(b, ":0 loss 0", ":0 delay 60 20", "[0 4 0b01", "[0 4 0b02", "[0 6 0b03", "=",
	     "<02 4020 0600 0200 0400 0b01", "<02 4020 0600 0200 0400 0b02",
	     "<02 4020 0600 0200 0600 0b03");
	assert_true(air_now() - begun >= 60 * AIR_MILLISECOND);
	PLAY(b, ">02 4000 0500 0100 0400 1e", FREED, "!0 receive 4 1e", ":0 fault none",
	     "!0 fault none", "[0 4 0b04", "<02 4020 0600 0200 0400 0b04");
}

static void a_silent_controller_says_nothing(void **state)
{
	PLAY(*state, ":add sensor", SCAN_PASSIVE, SCAN_FILTERED, ADVERT, ":adapter silent on",
	     ":0 advertise off", ":0 advertise on", "*", "=", ">01 0110 00", "=",
	     ":adapter silent off", ">01 0110 00", "<04 0e 0c 01 0110 00 08 0000 08 f105 0000");
}

static void single_commands_fail(void **state)
{
	PLAY(*state, ":adapter timeout 0x200c 1", ">01 0c20 02 00 00", "=", ">01 0c20 02 00 00",
	     "<04 0e 04 01 0c20 00", ":adapter status 0x200d 0x0c 2", CONNECT,
	     "<04 0f 04 0c 01 0d20", CONNECT, "<04 0f 04 0c 01 0d20", CONNECT, TAKEN);
}

static void buffers_are_kept_and_given_back(void **state)
{
	struct bench *b = *state;

	PLAY(b, LINK_UP, ":adapter stall on");
	for (int i = 0; i < CONTROLLER_ACL_BUFFERS; i++)
		PLAY(b, ">02 4000 0500 0100 0400 1e", "=", "!0 receive 4 1e");
	assert_int_equal(b->air.host_errors, 0);
	PLAY(b, ">02 4000 0500 0100 0400 1e");
	assert_int_equal(b->air.host_errors, 1);
	assert_true(logged(b, "host-error overrun"));
	PLAY(b, ":adapter stall off", "<04 13 05 01 4000 1100");
}

static void a_clone_claims_the_address_without_the_key(void **state)
{
	struct bench *b = *state;
	const struct peer *p;

	PLAY(b, ":add sensor", ":clone 0", "~clone 7", "~clone");
	p = air_find(&b->air, 1);
	assert_memory_equal(p->address, air_find(&b->air, 0)->address, 6);
	assert_memory_not_equal(p->irk, air_find(&b->air, 0)->irk, 16);
	PLAY(b, ":0 advertise off", CONNECT, TAKEN, CONNECTED, "!1 connected 00aa01020304 0");
}

static void an_adapter_is_taken_away(void **state)
{
	struct bench *b = *state;
	char byte;

	PLAY(b, LINK_UP, ":adapter remove", "!0 disconnected 08", "~adapter remove");
	assert_int_equal(recv(b->host, &byte, 1, 0), 0);
	assert_int_equal(b->air.port.fd, -1);
	turn(b);
}

/* ---- commands, scenarios, the socket, the capture ---- */

static void commands_are_checked(void **state)
{
	struct bench *b = *state;

	PLAY(b, "~", "~nonsense", "~add", "~add nothing", "~add sensor 0", "~add sensor x",
	     "~0 drop", ":add sensor 3", "~3 drop", "~0", "~0 drop", "~0 interval 0",
	     "~0 advertise maybe", "~0 fault connect", "~0 fault drop-at 256", "~0 loss 101",
	     "~0 delay -1", "~adapter", "~adapter explode", "~adapter timeout 0x10000", "~crowd 1",
	     "~0 bad", "!0 bad", ":1 measure 5", "!1 measure 5", ":all measure", "!0 measure",
	     "!1 measure", "!2 measure", ":remove 1", "~1 measure", "~remove 1");
	assert_int_equal(command(b, "1 measure"), -ENOENT);
	assert_int_equal(command(b, "2 measure"), 0);
	assert_string_equal(b->answer, "did measure");
	assert_int_equal(command(b, "list"), 0);
	assert_string_equal(b->answer,
			    "0 sensor 02:00:5E:10:00:00 public advertises unlinked clear; "
			    "2 sensor 02:00:5E:10:00:02 public advertises unlinked clear");
	assert_int_equal(command(b, "log two  words"), 0);
	assert_true(logged(b, "- air mark two  words\n"));
}

static void wakes_come_once(void **state)
{
	struct bench *b = *state;

	PLAY(b, ":add sensor");
	air_wake(air_find(&b->air, 0), air_now() + 1000);
	assert_true(air_next(&b->air) <= air_now() + 1000);
	PLAY(b, "!0 wake");
	assert_int_equal(air_next(&b->air), AIR_NEVER);
}

static struct scenario *load(const char *text, int expected, unsigned int expected_line)
{
	char path[] = "/tmp/lab-air-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	struct scenario *s = NULL;
	unsigned int number = 0;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(scenario_load(path, &s, &number), expected);
	assert_int_equal(number, expected_line);
	(void)unlink(path);
	return s;
}

static void scenarios_run_in_their_time(void **state)
{
	struct bench *b = *state;
	struct scenario *s = load("# a world\nadd sensor\nat 5 0 one\nwait 0.5 0 two\nwait 2\n"
				  "\n0 advertise never\n wait 1 quit\n",
				  0, 0);
	bool quit = false;

	scenario_begin(s, 0);
	scenario_tick(s, &b->air, 0, &quit);
	assert_int_equal(scenario_next(s), 5 * AIR_SECOND);
	scenario_tick(s, &b->air, 5 * AIR_SECOND, &quit);
	PLAY(b, "!0 one");
	assert_int_equal(scenario_next(s), 5 * AIR_SECOND + AIR_SECOND / 2);
	scenario_tick(s, &b->air, 8 * AIR_SECOND, &quit);
	PLAY(b, "!0 two");
	assert_int_equal(scenario_failures(s), 1);
	assert_true(logged(b, "- air scenario 7 error"));
	assert_false(quit);
	scenario_tick(s, &b->air, 9 * AIR_SECOND, &quit);
	assert_true(quit);
	assert_int_equal(scenario_next(s), INT64_MAX);
	scenario_free(s);
	assert_null(load("at 5 list\nat 4 list\n", -EINVAL, 2));
	assert_null(load("at x list\n", -EINVAL, 1));
	assert_null(load("at 5\n", -EINVAL, 1));
	assert_null(load("wait -1 list\n", -EINVAL, 1));
}

static void expect_answer(struct control *c, int fd, const char *text)
{
	char answer[TEXT_MAX] = "";
	size_t have = 0;
	bool quit = false;

	while (!strchr(answer, '\n')) {
		struct pollfd fds[CONTROL_POLL_MAX];
		const size_t n = control_poll(c, fds);
		ssize_t got;

		assert_true(poll(fds, n, 0) >= 0);
		control_serve(c, fds, n, &quit);
		got = recv(fd, answer + have, sizeof(answer) - 1 - have, MSG_DONTWAIT);
		assert_true(got > 0 || (got < 0 && errno == EAGAIN));
		if (got > 0)
			have += (size_t)got;
	}
	assert_string_equal(answer, text);
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void the_socket_serves_several(void **state)
{
	struct bench *const b = *state;
	static struct control c;
	char path[] = "/tmp/lab-air-XXXXXX", longest[3 * COMMAND_LINE_MAX];
	const int made = mkstemp(path);
	int one, two;

	assert_true(made >= 0);
	assert_int_equal(control_open(&c, path, command_execute, &b->air), 0);
	one = dial(path);
	two = dial(path);
	say(one, "add sensor 2\nlist");
	expect_answer(&c, one, "ok 0 1\n");
	say(two, "0 advertise off\n");
	expect_answer(&c, two, "ok\n");
	say(two, "explode\n");
	expect_answer(&c, two, "error Invalid argument\n");
	say(one, "\n");
	expect_answer(&c, one,
		      "ok 0 sensor 02:00:5E:10:00:00 public quiet unlinked clear; "
		      "1 sensor 02:00:5E:10:00:01 public advertises unlinked clear\n");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 2] = '\n';
	longest[sizeof(longest) - 1] = 0;
	say(one, longest);
	expect_answer(&c, one, "error Message too long\n");
	(void)close(one);
	say(two, "models\n");
	expect_answer(&c, two, "ok sensor beacon\n");
	(void)close(two);
	(void)close(made);
	control_close(&c);
	(void)unlink(path);
}

static void our_own_reader_takes_the_capture(void **state)
{
	static const struct packet rest[] = {
		{ .type = PACKET_EVENT, .direction = PACKET_RECEIVED, .len = 6 },
		{ .type = PACKET_EVENT, .direction = PACKET_RECEIVED, .len = 21 },
		{ .type = PACKET_ACL, .direction = PACKET_SENT, .len = 9 },
		{ .type = PACKET_EVENT, .direction = PACKET_RECEIVED, .len = 7 },
		{ .type = PACKET_ACL, .direction = PACKET_RECEIVED, .len = 10 },
	};
	struct bench *b = *state;
	char path[] = "/tmp/lab-air-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	uint8_t file[4096];
	struct packets p;
	struct packet packet;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(snoop_open(path, &b->air.port.snoop), 0);
	PLAY(b, LINK_UP, ">02 4000 0500 0100 0400 1e", FREED, "[0 4 0b04",
	     "<02 4020 0600 0200 0400 0b04");
	snoop_close(b->air.port.snoop);
	b->air.port.snoop = NULL;
	len = (size_t)read(fd, file, sizeof(file));
	(void)unlink(path);
	assert_int_equal(packets_begin(&p, file, len), 0);
	assert_int_equal(packets_next(&p, file + p.offset, len - p.offset, &packet), 1);
	assert_int_equal(packet.type, PACKET_COMMAND);
	assert_int_equal(packet.direction, PACKET_SENT);
	assert_int_equal(packet.len, 28);
	/* after 2020 and before 2100 */
	assert_true(packet.at_us / AIR_SECOND > 1577836800);
	assert_true(packet.at_us / AIR_SECOND < 4102444800);
	for (size_t i = 0; i < N(rest); i++) {
		assert_int_equal(packets_next(&p, file + p.offset, len - p.offset, &packet), 1);
		assert_int_equal(packet.type, rest[i].type);
		assert_int_equal(packet.direction, rest[i].direction);
		assert_int_equal(packet.len, rest[i].len);
	}
	assert_int_equal(packets_next(&p, file + p.offset, len - p.offset, &packet), -ENODATA);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_brings_the_controller_up),
		TEST(the_controller_encrypts),
		TEST(unknown_commands_are_named_once),
		TEST(lengths_of_commands_are_checked),
		TEST(any_bytes_of_a_host_are_survived),
		TEST(active_scanning_brings_both_reports_once),
		TEST(new_advert_data_passes_the_duplicate_filter),
		TEST(without_the_filter_each_advert_is_reported),
		TEST(the_accept_list_filters),
		TEST(an_advertiser_can_be_quiet),
		TEST(the_crowd_is_many_and_nobody),
		TEST(the_crowd_is_heard_at_its_rate),
		TEST(hash_of_a_private_address),
		TEST(addresses_rotate_on_command_and_after_a_link),
		TEST(a_link_comes_and_goes),
		TEST(a_peripheral_drops_after_what_it_sent),
		TEST(one_attempt_at_a_time_and_cancelled),
		TEST(a_reset_ends_links),
		TEST(sdus_are_cut_and_put_together),
		TEST(fragments_that_contradict_are_dropped),
		TEST(an_oversize_packet_is_dropped),
		TEST(signalling_is_answered),
		TEST(encryption_begins_and_is_refreshed),
		TEST(a_missing_key_leaves_the_link_a_wrong_one_ends_it),
		TEST(a_connection_that_is_never_established),
		TEST(a_connection_with_an_error),
		TEST(a_connection_that_hangs),
		TEST(a_pdu_ends_the_link_before_it_arrives),
		TEST(a_link_ends_between_indication_and_confirmation),
		TEST(sdus_are_lost_and_late),
		TEST(a_silent_controller_says_nothing),
		TEST(single_commands_fail),
		TEST(buffers_are_kept_and_given_back),
		TEST(a_clone_claims_the_address_without_the_key),
		TEST(an_adapter_is_taken_away),
		TEST(commands_are_checked),
		TEST(wakes_come_once),
		TEST(scenarios_run_in_their_time),
		TEST(the_socket_serves_several),
		TEST(our_own_reader_takes_the_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
