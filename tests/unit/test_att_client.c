/* links: protocols */
/*
 * Conversations with a peer, as tables. Lines of a script, handles and bytes in hex:
 *   >PDU         the client sends exactly this          .           it has nothing to send
 *   <PDU         the peer sends this, taken with 0      ~PDU        ... and refused
 *   !EVENT       the next event that the sink saw; any other line fails if one is left over
 *   @SECONDS     the time is now, and the client is ticked
 *   level N  mtu  discover  hash  read H  write H BYTES  command H BYTES  confirm H  close
 *   deny NAME ACTION    the action is refused with that error
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocols/att/client.h"
#include "protocols/bytes/crc.h"

#define N(a)       (sizeof(a) / sizeof((a)[0]))
#define EVENTS_MAX 16
#define TEXT_MAX   1300
#define SECOND     INT64_C(1000000)

struct bench {
	struct att_client client;
	struct att_table table;
	struct att_sink sink;
	int64_t now;
	char events[EVENTS_MAX][TEXT_MAX];
	size_t n_events, seen;
};

static const struct {
	const char *name;
	int error;
} ERRORS[] = {
	{ "ok", 0 },
	{ "refused", -EREMOTEIO },
	{ "bad", -EBADMSG },
	{ "length", -EMSGSIZE },
	{ "range", -ERANGE },
	{ "full", -ENOSPC },
	{ "stale", -ESTALE },
	{ "timeout", -ETIMEDOUT },
	{ "cancelled", -ECANCELED },
	{ "nothing", -ENOENT },
	{ "clear", -EACCES },
	{ "spoiled", -EPROTO },
	{ "dead", -ENOTCONN },
	{ "queue", -ENOBUFS },
	{ "again", -EALREADY },
	{ "unable", -ENOTSUP },
};

static const char *error_name(int error)
{
	for (size_t i = 0; i < N(ERRORS); i++) {
		if (ERRORS[i].error == error)
			return ERRORS[i].name;
	}
	return "?";
}

/* ---- what the sink sees, as text ---- */

static void add_hex(char *line, size_t size, const uint8_t *data, size_t len)
{
	size_t at = strlen(line);

	for (size_t i = 0; i < len; i++) {
		assert_true(at + 3 < size);
		(void)snprintf(line + at, size - at, "%02x", data[i]);
		at += 2;
	}
}

static char *new_event(struct bench *b)
{
	assert_true(b->n_events < EVENTS_MAX);
	b->events[b->n_events][0] = '\0';
	return b->events[b->n_events++];
}

static void on_done(void *user, const struct att_result *r)
{
	static const char *const kinds[] = {
		"mtu", "discover", "hash", "read", "write", "command"
	};
	char *e = new_event(user);

	(void)snprintf(e, TEXT_MAX, "%s %s", kinds[r->kind], error_name(r->error));
	if (r->refusal)
		(void)snprintf(e + strlen(e), TEXT_MAX - strlen(e), " %02x", r->refusal);
	if (r->data) {
		(void)snprintf(e + strlen(e), TEXT_MAX - strlen(e), " ");
		add_hex(e, TEXT_MAX, r->data, r->len);
	}
}

static void on_value(void *user, const struct att_notice *n)
{
	char *e = new_event(user);

	(void)snprintf(e, TEXT_MAX, "%s%s %04x ", n->in_clear ? "clear " : "",
		       n->indication ? "indicated" : "notified", n->handle);
	add_hex(e, TEXT_MAX, n->data, n->len);
}

static void on_changed(void *user, uint16_t handle, uint16_t start, uint16_t end)
{
	(void)snprintf(new_event(user), TEXT_MAX, "changed %04x %04x %04x", handle, start, end);
}

static void on_fault(void *user, enum att_fault fault, uint8_t opcode, int r)
{
	(void)snprintf(new_event(user), TEXT_MAX, "fault %s %02x %s", att_fault_name(fault), opcode,
		       error_name(r));
}

static void on_dead(void *user, int r)
{
	(void)snprintf(new_event(user), TEXT_MAX, "dead %s", error_name(r));
}

static struct bench *bench_new(enum att_security required)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->sink = (struct att_sink){ on_done, on_value, on_changed, on_fault, on_dead, b };
	att_table_clear(&b->table);
	att_client_init(&b->client, &b->sink, &b->table, ATT_MTU_MAX, required);
	return b;
}

/* ---- scripts ---- */

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	for (; *hex; hex++) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ')
			continue;
		assert_true(n < ATT_MTU_MAX + 1);
		ret[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex++;
	}
	return n;
}

static int receive_copy(struct bench *b, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, data, len);
	r = att_client_receive(&b->client, copy, len, b->now);
	free(copy);
	return r;
}

static int act(struct bench *b, const char *line)
{
	uint8_t bytes[ATT_MTU_MAX + 1];
	char what[16] = "", hex[TEXT_MAX] = "";
	unsigned int handle = 0;
	size_t len;

	(void)sscanf(line, "%15s %x %1299s", what, &handle, hex); // NOLINT(cert-err34-c)
	len = from_hex(hex, bytes);
	if (!strcmp(what, "mtu"))
		return att_client_exchange_mtu(&b->client, 1);
	if (!strcmp(what, "discover"))
		return att_client_discover(&b->client, 2);
	if (!strcmp(what, "hash"))
		return att_client_read_hash(&b->client, 3);
	if (!strcmp(what, "read"))
		return att_client_read(&b->client, (uint16_t)handle, 4);
	if (!strcmp(what, "write"))
		return att_client_write(&b->client, (uint16_t)handle, bytes, len, 5);
	if (!strcmp(what, "command"))
		return att_client_write_command(&b->client, (uint16_t)handle, bytes, len, 6);
	if (!strcmp(what, "confirm"))
		return att_client_confirm(&b->client, (uint16_t)handle);
	if (!strcmp(what, "level"))
		att_client_set_security(&b->client, (enum att_security)handle);
	else if (!strcmp(what, "close"))
		att_client_close(&b->client);
	else
		fail_msg("no such line: %s", line);
	return 0;
}

static void deny(struct bench *b, const char *line)
{
	char name[16] = "";

	(void)sscanf(line, "%15s", name);
	assert_string_equal(error_name(act(b, strchr(line, ' ') + 1)), name);
}

static void expect_sent(struct bench *b, const char *hex)
{
	uint8_t want[ATT_MTU_MAX + 1], got[ATT_MTU_MAX];
	const size_t len = from_hex(hex, want), n = att_client_take(&b->client, got, b->now);

	assert_int_equal(n, len);
	assert_memory_equal(got, want, len);
}

static void expect_event(struct bench *b, const char *text)
{
	assert_true(b->seen < b->n_events);
	assert_string_equal(b->events[b->seen++], text);
}

static void play_line(struct bench *b, const char *line)
{
	uint8_t bytes[ATT_MTU_MAX + 1];

	if (line[0] == '!') {
		expect_event(b, line + 1);
		return;
	}
	if (b->seen < b->n_events)
		fail_msg("not expected: %s", b->events[b->seen]);
	b->seen = b->n_events = 0;
	if (line[0] == '>') {
		expect_sent(b, line + 1);
	} else if (line[0] == '.') {
		assert_int_equal(att_client_take(&b->client, bytes, b->now), 0);
	} else if (line[0] == '<') {
		assert_int_equal(receive_copy(b, bytes, from_hex(line + 1, bytes)), 0);
	} else if (line[0] == '~') {
		assert_true(receive_copy(b, bytes, from_hex(line + 1, bytes)) < 0);
	} else if (line[0] == '@') {
		b->now = strtoll(line + 1, NULL, 10) * SECOND;
		att_client_tick(&b->client, b->now);
	} else if (!strncmp(line, "deny ", 5)) {
		deny(b, line + 5);
	} else {
		assert_int_equal(act(b, line), 0);
	}
}

static void play(struct bench *b, const char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (getenv("ATT_TRACE"))
			print_message("%s\n", lines[i]);
		play_line(b, lines[i]);
	}
	if (b->seen < b->n_events)
		fail_msg("left over: %s", b->events[b->seen]);
}

#define PLAY(b, script) play(b, script, N(script))

/* one whole test: a client that requires this level, and a script */
#define PLAY_ALL(required, script)                         \
	do {                                               \
		struct bench *bench = bench_new(required); \
		(void)state;                               \
		PLAY(bench, script);                       \
		free(bench);                               \
	} while (0)

/* A small cuff: GATT, Device Information, Blood Pressure, Battery, and a vendor's own. */
#define VENDOR_SERVICE "0f0e0d0c0b0a09080706050403020100"
#define VENDOR_VALUE   "1f0e0d0c0b0a09080706050403020100"

static const char *const DISCOVERY[] = {
	"discover",
	">10 0100 ffff 0028",
	"<11 06 0100 0400 0118 0500 0700 0a18 1000 1500 1018",
	">10 1600 ffff 0028",
	"<11 06 2000 2300 0f18",
	">10 2400 ffff 0028",
	("<11 14 3000 ffff " VENDOR_SERVICE),
	">08 0100 0400 0328",
	"<09 07 0200 20 0300 052a",
	">08 0400 0400 0328",
	"<01 08 0400 0a",
	">08 0500 0700 0328",
	"<09 07 0600 02 0700 292a",
	">08 1000 1500 0328",
	"<09 07 1100 20 1200 352a 1400 02 1500 492a",
	">08 2000 2300 0328",
	"<09 07 2100 12 2200 192a",
	">08 2300 2300 0328",
	"<01 08 2300 0a",
	">08 3000 ffff 0328",
	("<09 15 3100 18 3200 " VENDOR_VALUE),
	">08 3300 ffff 0328",
	"<01 08 3300 0a",
	">04 0400 0400",
	"<05 01 0400 0229",
	">04 1300 1300",
	"<05 01 1300 0229",
	">04 2300 2300",
	"<05 01 2300 0229",
	">04 3300 ffff",
	"<05 01 3300 0129 3400 0229",
	"!discover ok",
	".",
};

/* value 0 if it is not in the table */
static const struct att_characteristic *find(const struct bench *b, uint16_t service, uint16_t uuid)
{
	static const struct att_characteristic none;
	const struct att_uuid s = att_uuid_of16(service), u = att_uuid_of16(uuid);
	const struct att_service *in = att_table_service(&b->table, &s);
	const struct att_characteristic *c = NULL;

	if (in)
		c = att_table_characteristic(&b->table, in, &u);
	return c ? c : &none;
}

/* ---- MTU ---- */

static void test_mtu(void **state)
{
	static const struct {
		const char *answer;
		size_t mtu;
	} rows[] = {
		{ "<03 f700", 247 }, { "<03 0502", 517 }, { "<03 ffff", 517 },
		{ "<03 1700", 23 },  { "<03 0000", 23 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct bench *b = bench_new(ATT_SECURITY_CLEAR);
		const char *script[] = { "mtu", ">02 0502", ".", rows[i].answer, "!mtu ok" };

		PLAY(b, script);
		assert_int_equal(att_client_mtu(&b->client), rows[i].mtu);
		play_line(b, "deny again mtu");
		free(b);
	}
}

static void test_mtu_refused(void **state)
{
	static const char *const script[] = {
		"mtu", ">02 0502", "<01 02 0000 06", "!mtu refused 06", "read 12", ">0a 1200",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

/* ---- discovery ---- */

static void test_discovery(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	const struct att_characteristic *c;
	struct att_uuid uuid = { { 0 } };

	(void)state;
	PLAY(b, DISCOVERY);
	assert_true(b->table.complete);
	assert_int_equal(b->table.n_services, 5);
	assert_int_equal(b->table.n_characteristics, 6);
	c = find(b, 0x1810, 0x2a35);
	assert_int_equal(c->value, 0x12);
	assert_int_equal(c->ccc, 0x13);
	assert_int_equal(c->properties, ATT_PROPERTY_INDICATE);
	assert_int_equal(find(b, 0x180f, 0x2a19)->ccc, 0x23);
	assert_int_equal(find(b, 0x180a, 0x2a29)->ccc, 0);
	assert_int_equal(find(b, 0x180a, 0x2a19)->value, 0);
	assert_int_equal(find(b, 0x181d, 0x2a19)->value, 0);
	(void)from_hex(VENDOR_VALUE, uuid.bytes);
	c = att_table_by_value(&b->table, 0x32);
	assert_ptr_equal(att_table_characteristic(&b->table, NULL, &uuid), c);
	assert_true(c && c->ccc == 0x34);
	free(b);
}

static void test_subscriptions(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	struct att_characteristic both;
	static const char *const on[] = {
		">12 1300 0200", "<13", "!write ok", ">12 2300 0100", "<13", "!write ok",
		">12 2300 0000", "<13", "!write ok", ">12 2300 0200", "<13", "!write ok",
	};

	(void)state;
	PLAY(b, DISCOVERY);
	both = *find(b, 0x180f, 0x2a19);
	both.properties |= ATT_PROPERTY_INDICATE;
	assert_int_equal(att_client_subscribe(&b->client, find(b, 0x1810, 0x2a35), true, 0), 0);
	assert_int_equal(att_client_subscribe(&b->client, find(b, 0x180f, 0x2a19), true, 0), 0);
	assert_int_equal(att_client_subscribe(&b->client, find(b, 0x180f, 0x2a19), false, 0), 0);
	assert_int_equal(att_client_subscribe(&b->client, &both, true, 0), 0);
	assert_int_equal(att_client_subscribe(&b->client, find(b, 0x180a, 0x2a29), true, 0),
			 -ENOTSUP);
	PLAY(b, on);
	free(b);
}

/* each one is the answer to the first request, and ends the discovery */
static void test_hostile_discovery(void **state)
{
	static const struct {
		const char *answer, *end;
		bool fault;
	} rows[] = {
		{ "<01 10 0100 05", "!discover refused 05", false },
		{ "<01 10 0100 0a", "!discover ok", false }, /* an empty server */
		{ "~11 06 0500 0700 0a18 0400 0400 0f18", "!discover bad", true }, /* backwards */
		{ "~11 06 0500 0700 0a18 0700 0900 0f18", "!discover bad", true }, /* overlapping */
		{ "~11 06 0500 0400 0a18", "!discover bad", true },
		{ "~11 06 0000 0400 0a18", "!discover bad", true },
		{ "~11 07 0100 0400 0a1800", "!discover bad", true }, /* no UUID has 24 bits */
		{ "~11 06 0100 0400 0a", "!discover length", true },
		{ "~11 00 0100", "!discover range", true },
		{ "~11", "!discover length", true },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct bench *b = bench_new(ATT_SECURITY_CLEAR);

		play_line(b, "discover");
		play_line(b, ">10 0100 ffff 0028");
		play_line(b, rows[i].answer);
		if (rows[i].fault)
			assert_memory_equal(b->events[b->seen++], "fault ", 6);
		play_line(b, rows[i].end);
		play_line(b, ".");
		assert_int_equal(b->table.n_services, 0);
		free(b);
	}
}

static void test_hostile_characteristics(void **state)
{
	static const char *const answers[] = {
		"~09 07 0500 02 0600 292a", /* before the service */
		"~09 07 1100 02 1100 292a", /* its value is not behind it */
		"~09 07 1100 02 1600 292a", /* nor in the service */
		"~09 07 1100 02 1200 292a 1100 02 1200 292a",
		"~09 07 1200 02 1300 292a 1100 02 1200 292a",
		"~09 08 1100 02 1200 292a 00",
	};

	(void)state;
	for (size_t i = 0; i < N(answers); i++) {
		struct bench *b = bench_new(ATT_SECURITY_CLEAR);
		const char *script[] = {
			"discover",
			">10 0100 ffff 0028",
			"<11 06 1000 1500 0a18",
			">10 1600 ffff 0028",
			"<01 10 1600 0a",
			">08 1000 1500 0328",
			answers[i],
			"!fault structure 09 bad",
			"!discover bad",
			".",
		};

		PLAY(b, script);
		assert_int_equal(b->table.n_services, 0);
		free(b);
	}
}

/* four services, the second one asked for; the third is nothing but its declaration */
static const char *const FOUR[] = {
	"discover",
	">10 0100 ffff 0028",
	"<11 06 0100 0400 0a18 1000 1500 1018 2000 2000 0f18",
	">10 2100 ffff 0028",
	"<11 06 3000 3500 0f18",
	">10 3600 ffff 0028",
	"<01 10 3600 0a",
	">08 0100 0400 0328",
	"<01 08 0100 0a",
	">08 1000 1500 0328",
};

/* each one goes on from there */
static const char *const CORNERS[][12] = {
	{ "~09 07 0200 02 0300 292a", "!fault structure 09 bad", "!discover bad", "." },
	{ "~09 07 1100 10 1200 192a 3100 02 3200 292a", "!fault structure 09 bad",
	  "!discover bad" },
	/* a notifying one without room for a CCC is not asked about */
	{ "<09 07 1100 10 1500 192a", ">08 3000 3500 0328", "<01 08 3000 0a", "!discover ok", "." },
	/* descriptors: no step back, or it would never end, and none beyond */
	{ "<09 07 1100 10 1200 192a", ">08 1300 1500 0328", "<01 08 1300 0a", ">08 3000 3500 0328",
	  "<01 08 3000 0a", ">04 1300 1500", "~05 01 1200 0129", "!fault structure 05 bad",
	  "!discover bad", "." },
	{ "<09 07 1100 10 1200 192a", ">08 1300 1500 0328", "<01 08 1300 0a", ">08 3000 3500 0328",
	  "<01 08 3000 0a", ">04 1300 1500", "~05 01 1400 0129 1300 0229",
	  "!fault structure 05 bad", "!discover bad", "." },
	{ "<09 07 1100 10 1200 192a", ">08 1300 1500 0328", "<01 08 1300 0a", ">08 3000 3500 0328",
	  "<01 08 3000 0a", ">04 1300 1500", "~05 01 1600 0229", "!fault structure 05 bad",
	  "!discover bad", "." },
	{ "<09 07 1100 10 1200 192a", ">08 1300 1500 0328", "<01 08 1300 0a", ">08 3000 3500 0328",
	  "<01 08 3000 0a", ">04 1300 1500", "~05 01 1600 0129", "!fault structure 05 bad",
	  "!discover bad", "." },
};

static void test_discovery_corners(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(CORNERS); i++) {
		struct bench *b = bench_new(ATT_SECURITY_CLEAR);
		size_t n = 0;

		while (n < N(CORNERS[i]) && CORNERS[i][n])
			n++;
		PLAY(b, FOUR);
		play(b, CORNERS[i], n);
		free(b);
	}
}

static void test_table_full(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	char line[80];

	(void)state;
	play_line(b, "discover");
	for (unsigned int i = 1; i <= ATT_SERVICES_MAX + 1; i++) {
		(void)snprintf(line, sizeof(line), ">10 %02x00 ffff 0028", i);
		play_line(b, line);
		(void)snprintf(line, sizeof(line), "<11 06 %02x00 %02x00 0a18", i, i);
		play_line(b, line);
	}
	play_line(b, "!discover full");
	assert_int_equal(b->table.n_services, 0);
	free(b);
}

/* ---- reads and writes ---- */

#define TWENTY_TWO "000102030405060708090a0b0c0d0e0f101112131415"

static void test_reads(void **state)
{
	static const char *const script[] = {
		"read 12",
		">0a 1200",
		"<0b 616263",
		"!read ok 616263",
		/* long */
		"read 12",
		">0a 1200",
		"<0b " TWENTY_TWO,
		">0c 1200 1600",
		"<0d " TWENTY_TWO,
		">0c 1200 2c00",
		"<0d ff",
		"!read ok " TWENTY_TWO TWENTY_TWO "ff",
		/* it ends with the packet: an empty part, or one of two refusals */
		"read 12",
		">0a 1200",
		"<0b " TWENTY_TWO,
		">0c 1200 1600",
		"<0d",
		"!read ok " TWENTY_TWO,
		"read 12",
		">0a 1200",
		"<0b " TWENTY_TWO,
		">0c 1200 1600",
		"<01 0c 1200 0b",
		"!read ok " TWENTY_TWO,
		"read 12",
		">0a 1200",
		"<0b " TWENTY_TWO,
		">0c 1200 1600",
		"<01 0c 1200 07",
		"!read ok " TWENTY_TWO,
		/* refused */
		"read 12",
		">0a 1200",
		"<01 0a 1200 05",
		"!read refused 05",
		"read 12",
		">0a 1200",
		"<0b " TWENTY_TWO,
		">0c 1200 1600",
		"<01 0c 1200 0e",
		"!read refused 0e",
		"read 12",
		">0a 1200",
		"<0b",
		"!read ok ",
		"deny range read 0",
		/* the hash */
		"hash",
		">08 0100 ffff 2a2b",
		"<01 08 0100 0a",
		"!hash refused 0a",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

/* 512 bytes are all that an attribute can have: 23 parts of 22 and 6 more */
static void test_read_bound(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	char line[80];

	(void)state;
	play_line(b, "read 12");
	play_line(b, ">0a 1200");
	play_line(b, "<0b " TWENTY_TWO);
	for (unsigned int at = 22; at < 22 * 23; at += 22) {
		(void)snprintf(line, sizeof(line), ">0c 1200 %02x%02x", at & 0xff, at >> 8);
		play_line(b, line);
		play_line(b, "<0d " TWENTY_TWO);
	}
	play_line(b, ">0c 1200 fa01");
	play_line(b, "~0d " TWENTY_TWO);
	play_line(b, "!fault length 0d length");
	play_line(b, "!read length");
	play_line(b, ".");
	free(b);
}

/* eight parts of 64: there cannot be more, so nothing more is asked */
static void test_read_of_512(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	uint8_t part[65] = { ATT_READ_RSP };
	uint8_t request[ATT_MTU_MAX];

	(void)state;
	play_line(b, "mtu");
	play_line(b, ">02 0502");
	play_line(b, "<03 4100");
	play_line(b, "!mtu ok");
	play_line(b, "read 12");
	for (size_t at = 0; at < ATT_VALUE_MAX; at += 64) {
		assert_int_equal(att_client_take(&b->client, request, 0), at == 0 ? 3 : 5);
		part[0] = (uint8_t)(request[0] + 1);
		assert_int_equal(receive_copy(b, part, sizeof(part)), 0);
	}
	assert_int_equal(b->n_events, 1);
	assert_int_equal(strlen(b->events[0]), strlen("read ok ") + 2 * (size_t)ATT_VALUE_MAX);
	assert_int_equal(att_client_take(&b->client, request, 0), 0);
	free(b);
}

static void test_writes(void **state)
{
	static const char *const script[] = {
		"write 32 0102",
		">12 3200 0102",
		".",
		"<13",
		"!write ok",
		"write 32 ",
		">12 3200",
		"<13",
		"!write ok",
		"write 32 01",
		">12 3200 01",
		"<01 12 3200 03",
		"!write refused 03",
		/* commands keep their turn and wait for nothing */
		"read 12",
		"command 32 aa",
		"command 32 bb",
		">0a 1200",
		".",
		"<0b 61",
		"!read ok 61",
		">52 3200 aa",
		"!command ok",
		">52 3200 bb",
		"!command ok",
		".",
		/* one that does not fit gives way */
		("command 32 " TWENTY_TWO),
		"command 32 cc",
		">52 3200 cc",
		"!command length",
		"!command ok",
		".",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

static void test_mtu_is_used(void **state)
{
	static const char *const script[] = {
		"mtu",
		">02 0502",
		"<03 2000",
		"!mtu ok",
		/* what was long is not */
		("write 32 " TWENTY_TWO),
		(">12 3200 " TWENTY_TWO),
		"<13",
		"!write ok",
		"read 12",
		">0a 1200",
		("<0b " TWENTY_TWO),
		("!read ok " TWENTY_TWO),
		("<1b 2200 " TWENTY_TWO "161718191a1b1c"),
		("!notified 0022 " TWENTY_TWO "161718191a1b1c"),
		("~1b 2200 " TWENTY_TWO "161718191a1b1c1d"),
		"!fault length 1b length",
	};
	/* the peer raises it while a part is on its way: that part was the longest possible */
	static const char *const between[] = {
		"read 12",           ">0a 1200",      "<02 4000", ">03 0502",
		("<0b " TWENTY_TWO), ">0c 1200 1600", "<0d 61",   ("!read ok " TWENTY_TWO "61"),
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
	PLAY_ALL(ATT_SECURITY_CLEAR, between);
}

#define EIGHTEEN "000102030405060708090a0b0c0d0e0f1011"

static void test_long_write(void **state)
{
	static const char *const script[] = {
		"write 32 " TWENTY_TWO,
		">16 3200 0000 " EIGHTEEN,
		"<17 3200 0000 " EIGHTEEN,
		">16 3200 1200 12131415",
		"<17 3200 1200 12131415",
		">18 01",
		"<19",
		"!write ok",
		"write 32 " TWENTY_TWO,
		">16 3200 0000 " EIGHTEEN,
		"<17 3200 0000 " EIGHTEEN,
		">16 3200 1200 12131415",
		"<17 3200 1200 12131415",
		">18 01",
		"<01 18 3200 0d",
		"!write refused 0d",
		/* refused while preparing: what was prepared goes */
		"write 32 " TWENTY_TWO,
		">16 3200 0000 " EIGHTEEN,
		"<01 16 3200 09",
		">18 00",
		"<19",
		"!write refused 09",
		".",
		"write 32 " TWENTY_TWO,
		">16 3200 0000 " EIGHTEEN,
		"~17 3200",
		"!fault length 17 length",
		">18 00",
		"<01 18 0000 06",
		"!write length",
		".",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

static void test_echo_mismatch(void **state)
{
	static const char *const echoes[] = {
		"~17 3200 0000 000102030405060708090a0b0c0d0e0f1012", /* the last byte */
		"~17 3300 0000 " EIGHTEEN,
		"~17 3200 0100 " EIGHTEEN,
		"~17 3200 0000 000102030405060708090a0b0c0d0e0f10",
		"~17 3200 0000",
	};

	(void)state;
	for (size_t i = 0; i < N(echoes); i++) {
		struct bench *b = bench_new(ATT_SECURITY_CLEAR);
		const char *script[] = {
			"write 32 " TWENTY_TWO,
			">16 3200 0000 " EIGHTEEN,
			echoes[i],
			"!fault structure 17 bad",
			">18 00",
			"<19",
			"!write bad",
			".",
		};

		PLAY(b, script);
		free(b);
	}
}

static void test_queue(void **state)
{
	static const char *const script[] = {
		"read 1",
		"read 2",
		"read 3",
		"read 4",
		"read 5",
		"read 6",
		"read 7",
		"read 8",
		"deny queue read 9",
		">0a 0100",
		".",
		"<0b 01",
		"!read ok 01",
		"read 9",
		"deny queue command 9 00",
		">0a 0200",
		"close",
		"!read cancelled",
		"!read cancelled",
		"!read cancelled",
		"!read cancelled",
		"!read cancelled",
		"!read cancelled",
		"!read cancelled",
		"!read cancelled",
		".",
		"deny dead read 1",
		"~0b 01",
		"deny dead confirm 1",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

/* ---- notifications and indications ---- */

static void test_values(void **state)
{
	static const char *const script[] = {
		"<1b 2200 64",       "!notified 0022 64",   ".", "<23 2200 0100 64 1200 0200 0078",
		"!notified 0022 64", "!notified 0012 0078", ".", "<1b 2200",
		"!notified 0022 ",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

static void test_indication_is_held(void **state)
{
	static const char *const script[] = {
		/* before our first request */
		"<1d 1200 aabb",
		"!indicated 0012 aabb",
		".",
		"deny nothing confirm 13",
		/* everything else goes on */
		"mtu",
		">02 0502",
		".",
		"<03 1700",
		"!mtu ok",
		"@10",
		"read 12",
		">0a 1200",
		"<0b 61",
		"!read ok 61",
		"<1b 2200 64",
		"!notified 0022 64",
		".",
		"@29",
		"confirm 12",
		">1e",
		".",
		"deny nothing confirm 12",
		"<1d 1200 ccdd",
		"!indicated 0012 ccdd",
		"confirm 12",
		">1e",
		".",
		"@100",
		".",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

static void test_indication_before_mtu_response(void **state)
{
	static const char *const script[] = {
		/* as long as the MTU that is being granted */
		"mtu",
		">02 0502",
		("<1d 1200 " TWENTY_TWO TWENTY_TWO),
		("!indicated 0012 " TWENTY_TWO TWENTY_TWO),
		"confirm 12",
		">1e",
		".",
		"<03 f700",
		"!mtu ok",
		".",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

static void test_second_indication(void **state)
{
	static const char *const script[] = {
		"<1d 1200 aa",
		"!indicated 0012 aa",
		"~1d 1200 bb",
		"!fault second-indication 1d spoiled",
		"deny spoiled confirm 12",
		".",
	};
	static const char *const confirmed[] = {
		/* our confirmation was not even sent */
		"<1d 1200 aa",
		"!indicated 0012 aa",
		"confirm 12",
		"~1d 1200 bb",
		"!fault second-indication 1d spoiled",
		">1e",
		".",
	};
	static const char *const malformed[] = {
		"~1d 12",
		"!fault length 1d length",
		"<1d 1200 aa",
		"!indicated 0012 aa",
		"deny spoiled confirm 12",
		".",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
	PLAY_ALL(ATT_SECURITY_CLEAR, confirmed);
	PLAY_ALL(ATT_SECURITY_CLEAR, malformed);
}

static void test_in_clear(void **state)
{
	static const char *const script[] = {
		"<1b 2200 64",
		"!clear notified 0022 64",
		"<1d 1200 aa",
		"!clear indicated 0012 aa",
		"deny clear confirm 12",
		"level 2",
		"deny clear confirm 12",
		".",
		"<1b 2200 64",
		"!notified 0022 64",
		"@30",
		"!dead timeout",
	};
	static const char *const good[] = {
		"level 2",
		"<1d 1200 aa",
		"!indicated 0012 aa",
		"confirm 12",
		">1e",
		"level 1",
		"<1d 1200 aa",
		"!clear indicated 0012 aa",
		"deny clear confirm 12",
	};

	PLAY_ALL(ATT_SECURITY_ENCRYPTED, script);
	PLAY_ALL(ATT_SECURITY_ENCRYPTED, good);
}

/* ---- time ---- */

static void test_timeouts(void **state)
{
	static const char *const request[] = {
		"@5",
		"read 12",
		"read 13",
		"command 32 01",
		"@100",
		">0a 1200",
		"@129",
		".",
		"@130",
		"!read timeout",
		"!read cancelled",
		"!command cancelled",
		"!dead timeout",
		".",
		"deny dead read 12",
		"~0b 61",
		"@500",
		".",
	};
	static const char *const indication[] = {
		"<1d 1200 aa",   "!indicated 0012 aa",   "@29", "@30",
		"!dead timeout", "deny dead confirm 12", ".",
	};
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);

	PLAY_ALL(ATT_SECURITY_CLEAR, request);
	PLAY_ALL(ATT_SECURITY_CLEAR, indication);
	assert_true(att_client_deadline(&b->client) == INT64_MAX);
	play_line(b, "<1d 1200 aa");
	play_line(b, "!indicated 0012 aa");
	b->now = 7;
	play_line(b, "read 12");
	assert_true(att_client_deadline(&b->client) == ATT_TIMEOUT_USEC);
	play_line(b, ">0a 1200");
	play_line(b, "confirm 12");
	assert_true(att_client_deadline(&b->client) == ATT_TIMEOUT_USEC + 7);
	free(b);
}

/* ---- the peer as a client, and out of turn ---- */

/* All that we hold: a GAP service with the name of the hub. */
static void test_peer_reads_our_name(void **state)
{
	static const char *const script[] = {
		"<02 4000",
		">03 0502",
		".",
		"<04 0100 ffff",
		">05 01 0100 0028 0200 0328 0300 002a 0400 0328 0500 012a",
		"<04 0600 ffff",
		">01 04 0600 0a",
		"<06 0100 ffff 0028 1018",
		">01 06 0100 0a",
		"<06 0100 ffff 0028 0018",
		">07 0100 0500",
		"<06 0200 ffff 0028 0018",
		">01 06 0200 0a",
		/* the name of the hub, as Google's watches read it */
		"<08 0100 ffff 002a",
		">09 0a 0300 57656c6c67617465",
		"<08 0100 ffff 0328",
		">09 07 0200 02 0300 002a 0400 02 0500 012a",
		"<08 0300 0300 0328",
		">01 08 0300 0a",
		"<08 0100 ffff 192a",
		">01 08 0100 0a",
		"<10 0100 ffff 0028",
		">11 06 0100 0500 0018",
		"<10 0200 ffff 0028",
		">01 10 0200 0a",
		"<10 0100 ffff 0228",
		">01 10 0100 10",
		"<0a 0300",
		">0b 57656c6c67617465",
		"<0a 0600",
		">01 0a 0600 01",
		"<0c 0300 0400",
		">0d 67617465",
		"<0c 0300 0800",
		">0d",
		"<0c 0300 0900",
		">01 0c 0300 07",
		/* nobody names us */
		"<12 0300 0100",
		">01 12 0300 03",
		"<12 0600 0100",
		">01 12 0600 01",
	};

	(void)state;
	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

static void test_peer_asks(void **state)
{
	static const char *const script[] = {
		"<16 0300 0000 01",
		">01 16 0300 06",
		"<18 01",
		">01 18 0000 06",
		"<0e 0300 0400",
		">01 0e 0000 06",
		"<20 0300 0400",
		">01 20 0000 06",
		"<3f",
		">01 3f 0000 06",
		/* commands are never answered */
		"<52 0300 01",
		".",
		"<d2 0300 01",
		".",
		"<7e",
		".",
		"<40",
		".",
		/* malformed */
		"~02 40",
		"!fault length 02 length",
		">01 02 0000 04",
		"~0a 0000",
		"!fault range 0a range",
		">01 0a 0000 01",
		"~08 0500 0400 0328",
		"!fault range 08 range",
		">01 08 0500 01",
		"~18 02",
		"!fault range 18 range",
		">01 18 0000 04",
		/* before our answer to the one before */
		"<0a 0700",
		"~0a 0400",
		"!fault second-request 0a spoiled",
		">01 0a 0700 01",
		".",
		/* in the middle of our own */
		"read 12",
		">0a 1200",
		"<0a 0300",
		">0b 57656c6c67617465",
		"<0b 61",
		"!read ok 61",
	};
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
	play_line(b, "<02 4000");
	assert_int_equal(att_client_mtu(&b->client), ATT_MTU_DEFAULT);
	play_line(b, ">03 0502");
	assert_int_equal(att_client_mtu(&b->client), 64);
	play_line(b, "<52 0300 01");
	assert_int_equal(att_client_counts(&b->client)->ignored_commands, 1);
	free(b);
}

static void test_out_of_turn(void **state)
{
	static const char *const script[] = {
		"~0b 61",
		"!fault unexpected 0b spoiled",
		"~1e",
		"!fault unexpected 1e spoiled",
		"~01 0a 1200 05",
		"!fault unexpected 01 spoiled",
		"~0f 61",
		"!fault unexpected 0f spoiled",
		".",
		/* the request stays, and ends with its own answer */
		"read 12",
		">0a 1200",
		"~13",
		"!fault unexpected 13 spoiled",
		"~01 0c 1200 05",
		"!fault unexpected 01 spoiled",
		"~01 0a",
		"!fault length 01 length",
		".",
		"<0b 61",
		"!read ok 61",
		"~0b 61",
		"!fault unexpected 0b spoiled",
		/* answered, and the next part not yet asked for */
		"read 12",
		">0a 1200",
		("<0b " TWENTY_TWO),
		"~0b 61",
		"!fault unexpected 0b spoiled",
		">0c 1200 1600",
		"<0d 61",
		("!read ok " TWENTY_TWO "61"),
		/* queued, but not sent */
		"read 12",
		"~0b 61",
		"!fault unexpected 0b spoiled",
		">0a 1200",
		"~",
		"!fault length 00 length",
		/* longer than the MTU */
		("~1b 2200 " TWENTY_TWO),
		"!fault length 1b length",
		"~1b 0000 64",
		"!fault range 1b range",
	};

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
}

/* Each packet cut short at each place, in each of three states: nothing but these events. */
static void test_every_truncation(void **state)
{
	static const char *const packets[] = {
		"01 0a 1200 05",
		"03 1700",
		"05 01 0400 0229",
		"07 0100 0400",
		"09 07 0200 20 0300 052a",
		"0b 616263",
		"0d 616263",
		"11 06 0100 0400 0118",
		"13",
		"17 1200 1200 616263",
		"19",
		"1b 2200 64",
		"1d 1200 0078",
		"1e",
		"23 2200 0100 64 1200 0200 0078",
		"02 0502",
		"04 0100 ffff",
		"0a 1200",
		"16 1200 0000 61",
		"18 01",
		"52 3200 01",
	};
	static const char *const begin[] = { "read 12", "discover", ("write 32 " TWENTY_TWO) };

	(void)state;
	for (size_t i = 0; i < N(packets) * N(begin); i++) {
		uint8_t bytes[ATT_MTU_MAX + 1];
		const size_t full = from_hex(packets[i / N(begin)], bytes);

		for (size_t len = 0; len <= full; len++) {
			struct bench *b = bench_new(ATT_SECURITY_CLEAR);
			uint8_t out[ATT_MTU_MAX];
			int r;

			play_line(b, begin[i % N(begin)]);
			assert_true(att_client_take(&b->client, out, 0) > 0);
			r = receive_copy(b, bytes, len);
			assert_true(r == 0 || r == -EMSGSIZE || r == -EBADMSG || r == -EPROTO);
			/* a refusal is always reported */
			assert_true(r == 0 || !strncmp(b->events[0], "fault ", 6));
			assert_true(b->n_events <= 2);
			free(b);
		}
	}
}

/* ---- Service Changed, and the cache ---- */

static void test_service_changed(void **state)
{
	static const char *const script[] = {
		"<1d 0300 1000 2400", "!changed 0003 0010 0024", ".", "confirm 3", ">1e",
	};
	static const char *const malformed[] = {
		"~1d 0300 2400",
		"!fault length 1d length",
		"deny spoiled confirm 3",
	};
	static const char *const upside_down[] = {
		"~1d 0300 2400 1000",
		"!fault range 1d range",
		"deny spoiled confirm 3",
	};
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);

	(void)state;
	PLAY(b, DISCOVERY);
	PLAY(b, script);
	assert_false(b->table.complete);
	assert_int_equal(b->table.n_services, 3);
	assert_int_equal(b->table.n_characteristics, 3);
	assert_int_equal(find(b, 0x1810, 0x2a35)->value, 0);
	assert_int_equal(find(b, 0x180a, 0x2a29)->value, 7);
	free(b);

	b = bench_new(ATT_SECURITY_CLEAR);
	PLAY(b, DISCOVERY);
	PLAY(b, malformed);
	free(b);
	b = bench_new(ATT_SECURITY_CLEAR);
	PLAY(b, DISCOVERY);
	PLAY(b, upside_down);
	free(b);
}

/* known by then, the rest of the discovery is worth nothing */
static void test_changed_during_discovery(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	static const char *const changed[] = {
		"<1d 0300 0100 ffff",       "!changed 0003 0001 ffff", "confirm 3", ">1e",
		"<09 07 0600 02 0700 292a", "!discover stale",         ".",
	};

	(void)state;
	for (size_t i = 0; strcmp(DISCOVERY[i], "<09 07 0600 02 0700 292a") != 0; i++)
		play_line(b, DISCOVERY[i]);
	PLAY(b, changed);
	assert_int_equal(b->table.n_services, 0);
	free(b);
}

/* anybody could have sent it */
static void test_service_changed_in_clear(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_ENCRYPTED);
	static const char *const script[] = {
		"level 1",
		"<1d 0300 1000 2400",
		"!clear indicated 0003 10002400",
		"deny clear confirm 3",
	};

	(void)state;
	PLAY(b, DISCOVERY);
	PLAY(b, script);
	assert_true(b->table.complete);
	free(b);
}

static void test_hash(void **state)
{
	static const char *const script[] = {
		"hash",
		">08 0100 ffff 2a2b",
		"<09 12 0900 000102030405060708090a0b0c0d0e0f",
		"!hash ok 000102030405060708090a0b0c0d0e0f",
		"hash",
		">08 0100 ffff 2a2b",
		"~09 11 0900 000102030405060708090a0b0c0d0e",
		"!fault structure 09 bad",
		"!hash bad",
	};
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	uint8_t hash[ATT_HASH_SIZE] = { 1, 2, 3 };

	PLAY_ALL(ATT_SECURITY_CLEAR, script);
	PLAY(b, DISCOVERY);
	assert_false(att_table_matches(&b->table, hash));
	att_table_set_hash(&b->table, hash);
	assert_true(att_table_matches(&b->table, hash));
	att_table_invalidate(&b->table, 0x30, 0x30);
	assert_false(att_table_matches(&b->table, hash));
	free(b);
}

static void test_cache(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	static struct att_table back;
	static uint8_t bytes[ATT_TABLE_BYTES_MAX + 1], copy[ATT_TABLE_BYTES_MAX + 1];
	const uint8_t hash[ATT_HASH_SIZE] = { 9, 8, 7 };
	size_t len = 0;

	(void)state;
	PLAY(b, DISCOVERY);
	att_table_set_hash(&b->table, hash);
	assert_int_equal(att_table_export(&b->table, bytes, ATT_TABLE_BYTES_MAX, &len), 0);
	assert_int_equal(len, 20 + 5 * 20 + 6 * 23 + 4);
	assert_int_equal(att_table_import(bytes, len, &back), 0);
	assert_true(att_table_matches(&back, hash));
	assert_int_equal(back.n_services, 5);
	for (size_t i = 0; i < back.n_characteristics; i++)
		assert_memory_equal(&back.characteristics[i], &b->table.characteristics[i],
				    offsetof(struct att_characteristic, uuid));
	assert_int_equal(att_table_export(&b->table, copy, len - 1, &len), -EMSGSIZE);
	/* every bit, every truncation */
	for (size_t i = 0; i < len * 8; i++) {
		memcpy(copy, bytes, len);
		copy[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(att_table_import(copy, len, &back), -EBADMSG);
	}
	for (size_t i = 0; i < len; i++)
		assert_true(att_table_import(bytes, i, &back) < 0);
	assert_int_equal(att_table_import(bytes, sizeof(bytes), &back), -EMSGSIZE);
	assert_true(att_table_matches(&back, hash)); /* untouched */
	free(b);
}

/* the checksum keeps no secret: bytes that were made up with a good one */
static void test_cache_forged(void **state)
{
	/* byte, what is written there, and what it is refused with */
	static const struct {
		size_t at;
		uint8_t value;
		int r;
	} rows[] = {
		{ 0, 2, -ENOMSG },            /* version */
		{ 1, 2, -ERANGE },            /* has a hash */
		{ 18, 6, -EBADMSG },          /* one service more: it is made of what follows */
		{ 18, 255, -EBADMSG },        /* more than fit */
		{ 19, 255, -EMSGSIZE },       /* more characteristics than fit */
		{ 19, 5, -EMSGSIZE },         /* bytes left over */
		{ 20, 0, -EBADMSG },          /* service at handle 0 */
		{ 20, 5, -EBADMSG },          /* ends before it starts */
		{ 22, 5, -EBADMSG },          /* runs into the next one */
		{ 120, 1, -EBADMSG },         /* characteristic on its service's declaration */
		{ 122, 2, -EBADMSG },         /* value on the declaration */
		{ 123, 1, -EBADMSG },         /* value in no service */
		{ 124, 3, -EBADMSG },         /* CCC on the value */
		{ 124, 5, -EBADMSG },         /* CCC in the next service */
		{ 120 + 23, 3, -EBADMSG },    /* characteristics in the wrong order */
		{ 124 + 46, 0x14, -EBADMSG }, /* CCC on the next declaration */
	};
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	static struct att_table back;
	static uint8_t bytes[ATT_TABLE_BYTES_MAX], forged[ATT_TABLE_BYTES_MAX];
	size_t len = 0;

	(void)state;
	PLAY(b, DISCOVERY);
	assert_int_equal(att_table_export(&b->table, bytes, sizeof(bytes), &len), 0);
	for (size_t i = 0; i < N(rows); i++) {
		uint32_t crc;

		memcpy(forged, bytes, len);
		forged[rows[i].at] = rows[i].value;
		crc = crc_32_iso_hdlc(forged, len - 4);
		for (size_t k = 0; k < 4; k++)
			forged[len - 4 + k] = (uint8_t)(crc >> 8 * k);
		assert_int_equal(att_table_import(forged, len, &back), rows[i].r);
	}
	assert_false(back.complete);
	free(b);
}

/* ---- over a real socket ---- */

/* a peer that knows one answer to each request, and indicates once it is subscribed to */
static void peer_step(int fd)
{
	uint8_t request[ATT_MTU_MAX], bytes[ATT_MTU_MAX + 1];
	const ssize_t n = recv(fd, request, sizeof(request), MSG_DONTWAIT);
	size_t len = 0;

	if (n <= 0)
		return;
	if (request[0] == ATT_MTU_REQ)
		len = from_hex("03 1700", bytes);
	else if (request[0] == ATT_WRITE_REQ)
		len = from_hex("13", bytes);
	for (size_t i = 0; i + 1 < N(DISCOVERY) && len == 0; i++) {
		if (DISCOVERY[i][0] == '>' && from_hex(DISCOVERY[i] + 1, bytes) == (size_t)n &&
		    memcmp(bytes, request, (size_t)n) == 0)
			len = from_hex(DISCOVERY[i + 1] + 1, bytes);
		else
			len = 0;
	}
	if (len > 0)
		assert_int_equal(send(fd, bytes, len, 0), len);
	if (request[0] == ATT_WRITE_REQ)
		assert_int_equal(send(fd, "\x1d\x12\x00\x77", 4, 0), 4);
	if (request[0] == ATT_CONFIRMATION)
		assert_int_equal(send(fd, "\x1b\x22\x00\x01", 4, 0), 4);
}

/* until both have nothing more to say */
static void converse(struct bench *b, const int fds[2])
{
	uint8_t bytes[ATT_MTU_MAX];

	for (;;) {
		bool quiet = true;
		size_t len;
		ssize_t n;

		while ((len = att_client_take(&b->client, bytes, b->now)) > 0) {
			assert_int_equal(send(fds[0], bytes, len, 0), len);
			peer_step(fds[1]);
			quiet = false;
		}
		while ((n = recv(fds[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
			assert_int_equal(receive_copy(b, bytes, (size_t)n), 0);
			quiet = false;
		}
		if (quiet)
			return;
	}
}

static void test_over_a_socket(void **state)
{
	struct bench *b = bench_new(ATT_SECURITY_CLEAR);
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	play_line(b, "mtu");
	play_line(b, "discover");
	converse(b, fds);
	play_line(b, "!mtu ok");
	play_line(b, "!discover ok");
	assert_int_equal(att_client_subscribe(&b->client, find(b, 0x1810, 0x2a35), true, 0), 0);
	converse(b, fds);
	play_line(b, "!write ok");
	play_line(b, "!indicated 0012 77");
	play_line(b, "confirm 12");
	converse(b, fds);
	play_line(b, "!notified 0022 01"); /* the peer got it */
	assert_int_equal(b->seen, b->n_events);
	(void)close(fds[0]);
	(void)close(fds[1]);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_mtu_refused),
		cmocka_unit_test(test_mtu_is_used),
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_hostile_discovery),
		cmocka_unit_test(test_hostile_characteristics),
		cmocka_unit_test(test_discovery_corners),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_read_bound),
		cmocka_unit_test(test_read_of_512),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_long_write),
		cmocka_unit_test(test_echo_mismatch),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_indication_is_held),
		cmocka_unit_test(test_indication_before_mtu_response),
		cmocka_unit_test(test_second_indication),
		cmocka_unit_test(test_in_clear),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_peer_reads_our_name),
		cmocka_unit_test(test_peer_asks),
		cmocka_unit_test(test_out_of_turn),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_service_changed),
		cmocka_unit_test(test_changed_during_discovery),
		cmocka_unit_test(test_service_changed_in_clear),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_forged),
		cmocka_unit_test(test_over_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
