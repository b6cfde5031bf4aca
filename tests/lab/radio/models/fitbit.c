/*
 * A Fitbit Flex by its own radio: the maker's messages over service adabfb00, and the memory of a
 * virtual wearer (tests/wearer) as its dump. It has no stock: "measure" has no meaning for it.
 *
 *   adabfb02 (write command)  c0 0a ...   > adabfb01 (notify)  c0, c0 14 0c 01 00 00 ID 6 17 00
 *                             c0 10 0d    > c0 41 0d, the dump in packets, c0 42 0d CRC LENGTH
 *                             c0 50 ...   > c0 51 8 bytes, COUNTER 4; or c0 03 06 10
 *                             c0 52 MAC   > c0 02; or c0 03 15 20
 *                             c0 01       > c0 01
 *   558dfa01 (read)           TIME STEPS DISTANCE MET FLOORS ACTIVE RATE CONFIDENCE once a login
 *                             was good, until the link ends; before, 16 bytes of 0
 *   advert  adabfb00, service data 180a: 07 04 (not synced) ...; no pairing; random static address
 *
 * Its clock stands at the time of its first dump, so that two dumps are alike; commands:
 *
 *   wear MINUTES     that its memory holds (20)
 *   twin             it is the tracker of the first simulated base station (usb/models/
 *                    fitbit_dongle.c): its serial number, its memory, its time
 *   pass SECONDS     its time goes on by so much
 *   encrypt on|off   XTEA, with the key 000102..0f
 *   refuse-airlink on|off   c0 03 00 10 in place of an airlink
 *   damage on|off    a CRC in c0 42 that is not that of the dump
 *   login on|off     it takes a login of the subkey 000102..0f, nonce 01020304, with XTEA
 *   rate N           its heart rate from now on (it has none at first), with confidence 2
 *   cut N            the link ends behind its Nth message from now, once
 *   truth            writes into the log what a hub must know after a whole sync, a line a minute:
 *                    truth SECONDS STEPS; and the day so far: day BEGIN END STEPS MILLIMETRES
 *
 * The log: airlink | dump bytes=N | login good|refused | moment | closed | cut | unexpected HEX
 * (what no client should send).
 *
 * Source: descriptions by others and one listing of a Charge 2's characteristics; nothing here was
 * seen on hardware.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocols/bytes/crc.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"
#include "tests/lab/radio/models/models.h"
#include "tests/wearer/wearer.h"

#define DAY         INT64_C(86400)
#define DAYS_BEFORE 2
#define MEMORY      20 /* minutes */
#define TWIN_MEMORY 120
#define TWIN_IN_DAY (15 * 3600 + 30 * 60 + 30)
#define PACE_US     10000 /* so many packets each */
#define PACE        6
#define CUT_US      100000 /* the last one arrives */
#define SUPERVISION 0x08

enum {
	ANSWER = 1,
	COMMAND,
	STATE,
	KIND,
	LIVE
};

enum sending {
	SENDING_NOTHING = 0,
	SENDING_DUMP,
	SENDING_CUT /* the link is about to end */
};

struct tracker {
	struct wearer *wearer;
	unsigned int memory_minutes;
	int64_t now; /* 0: not yet known */
	bool airlinked, encrypts, refuses, damages;
	bool takes_login, logged_in, twin;
	uint8_t rate;
	uint32_t counter;       /* of challenges */
	unsigned int cut_after; /* messages; 0: never */
	enum sending sending;
	size_t len, sent; /* of the dump */
	uint8_t dump[WEARER_DUMP_MAX];
};

/* adabfb00 to 04-6e7d-4601-bda2-bffaa68956ba, 558dfa00 and 01-4fa8-4105-9f02-4eaa93e62980 */
#define FITBIT(n)                                                                                  \
	{                                                                                          \
		0xba, 0x56, 0x89, 0xa6, 0xfa, 0xbf, 0xa2, 0xbd, 0x01, 0x46, 0x7d, 0x6e, (n), 0xfb, \
			0xab, 0xad                                                                 \
	}
#define LIVE_UUID(n)                                                                               \
	{                                                                                          \
		0x80, 0x29, 0xe6, 0x93, 0xaa, 0x4e, 0x02, 0x9f, 0x05, 0x41, 0xa8, 0x4f, (n), 0xfa, \
			0x8d, 0x55                                                                 \
	}
static const uint8_t UUID_SERVICE[16] = FITBIT(0x00);
static const uint8_t UUID_ANSWER[16] = FITBIT(0x01);
static const uint8_t UUID_COMMAND[16] = FITBIT(0x02);
static const uint8_t UUID_STATE[16] = FITBIT(0x03);
static const uint8_t UUID_KIND[16] = FITBIT(0x04);
static const uint8_t UUID_LIVE_SERVICE[16] = LIVE_UUID(0x00);
static const uint8_t UUID_LIVE[16] = LIVE_UUID(0x01);

static const uint8_t KEY[FITBIT_KEY_SIZE] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

/* ---- the wearer ---- */

/* As usb/models/fitbit_dongle.c has it: yesterday, half past three. */
static int put_on_twin(struct tracker *t)
{
	const int64_t day = (int64_t)time(NULL) / DAY * DAY;
	const struct wearer_plan plan = { .seed = 1,
					  .days = DAYS_BEFORE + 2,
					  .first = day - DAYS_BEFORE * DAY + DAY / 2,
					  .battery_dies = WEARER_NEVER,
					  .lost_day = WEARER_NEVER,
					  .memory_minutes = t->memory_minutes };

	t->now = day - DAY + TWIN_IN_DAY;
	return wearer_new(&plan, &t->wearer);
}

static int put_on(struct peer_state *s)
{
	struct tracker *const t = s->own;
	struct wearer_plan plan = { .seed = s->peer->index,
				    .days = DAYS_BEFORE + 2,
				    .battery_dies = WEARER_NEVER,
				    .lost_day = WEARER_NEVER,
				    .memory_minutes = t->memory_minutes };

	if (t->wearer)
		return 0;
	if (t->twin)
		return put_on_twin(t);
	t->now = device_time(s);
	plan.first = t->now - DAYS_BEFORE * DAY;
	return wearer_new(&plan, &t->wearer);
}

static int make_dump(struct peer_state *s)
{
	struct tracker *const t = s->own;
	struct wearer_tracker tracker = { .product = FITBIT_FLEX,
					  .serial = { 0x10, 0xff, 0xee,
						      (uint8_t)(s->peer->index >> 8),
						      (uint8_t)s->peer->index },
					  .key = t->encrypts ? KEY : NULL,
					  .nonce = { 1, 2, 3, 4 },
					  .battery_percent = s->battery };
	int r = put_on(s);

	if (t->twin)
		memcpy(tracker.serial, "\0\0\0\0\x42", sizeof(tracker.serial));
	if (r == 0)
		r = wearer_dump(t->wearer, t->now, &tracker, t->dump, sizeof(t->dump), &t->len);
	t->sent = 0;
	return r;
}

static void tell_day(struct peer_state *s)
{
	const struct tracker *const t = s->own;
	struct wearer_day day;

	for (unsigned int i = 0; wearer_day(t->wearer, i, t->now, &day) == 0; i++) {
		if (day.start < t->now && t->now <= day.end)
			air_log(s->peer, "day %lld %lld %u %u", (long long)day.start,
				(long long)t->now, day.steps, day.distance_mm);
	}
}

/* Minutes that are over and in the memory, which holds the one at hand, too. */
static int tell_truth(struct peer_state *s)
{
	struct tracker *const t = s->own;
	const struct wearer_minute *minutes;
	unsigned int held = 0;
	int64_t start;
	size_t n, i;
	const int r = put_on(s);

	if (r < 0)
		return r;
	minutes = wearer_minutes(t->wearer, &n, &start);
	for (i = (size_t)((t->now - start + 59) / 60); i > 0 && held < t->memory_minutes; i--) {
		const struct wearer_minute *const m = &minutes[i - 1];
		const int64_t at = start + (int64_t)(i - 1) * 60;

		held += m->recorded;
		if (m->recorded && at + 60 <= t->now)
			air_log(s->peer, "truth %lld %u", (long long)at, m->steps);
	}
	tell_day(s);
	return 0;
}

/* ---- messages ---- */

/* false: this was the last one that the link carries */
static bool message(struct peer_state *s, const uint8_t *data, size_t len)
{
	struct tracker *const t = s->own;

	if (t->sending == SENDING_CUT)
		return false;
	stock_notify(s, ANSWER, data, len);
	if (t->cut_after == 0 || --t->cut_after > 0)
		return true;
	t->sending = SENDING_CUT;
	peer_timer(s, TIMER_MODEL, CUT_US);
	return false;
}

static void say(struct peer_state *s, const struct fitbit_control *m)
{
	uint8_t data[FITBIT_PACKET_MAX];
	struct writer w = writer_of(data, sizeof(data));

	if (fitbit_control_encode(m, &w) == 0)
		(void)message(s, data, w.len);
}

static void on_airlink(struct peer_state *s)
{
	struct tracker *const t = s->own;
	struct fitbit_control up = { .kind = FITBIT_AIRLINK_UP,
				     .unknown = { 0x0c, 0x01 },
				     .has_mtu = true,
				     .mtu = SERVER_MTU_MIN };

	if (t->refuses) {
		say(s, &(struct fitbit_control){ .kind = FITBIT_REFUSED, .error = 0x1000 });
		return;
	}
	air_log(s->peer, "airlink");
	t->airlinked = true;
	for (size_t i = 0; i < sizeof(up.id); i++)
		up.id[i] = s->peer->identity[5 - i];
	say(s, &(struct fitbit_control){ .kind = FITBIT_FILLER });
	say(s, &up);
}

static void end_dump(struct peer_state *s)
{
	struct tracker *const t = s->own;
	const uint16_t crc = crc_16_xmodem(t->dump, t->len);

	t->sending = SENDING_NOTHING;
	air_log(s->peer, "dump bytes=%zu", t->len);
	say(s, &(struct fitbit_control){ .kind = FITBIT_DUMP_ENDS,
					 .type = FITBIT_MEGADUMP,
					 .crc = t->damages ? crc ^ 1 : crc,
					 .has_length = true,
					 .length = (uint32_t)t->len });
}

static void pump(struct peer_state *s)
{
	struct tracker *const t = s->own;

	for (unsigned int i = 0; i < PACE && t->sent < t->len; i++) {
		uint8_t data[FITBIT_PACKET_MAX];
		struct writer w = writer_of(data, sizeof(data));
		size_t taken;

		if (fitbit_packet_encode(t->dump + t->sent, t->len - t->sent, &w, &taken) < 0)
			return;
		t->sent += taken;
		if (!message(s, data, w.len))
			return;
	}
	if (t->sent < t->len)
		peer_timer(s, TIMER_MODEL, PACE_US);
	else
		end_dump(s);
}

static void on_dump_request(struct peer_state *s)
{
	struct tracker *const t = s->own;

	if (!t->airlinked || make_dump(s) < 0) {
		say(s, &(struct fitbit_control){ .kind = FITBIT_REFUSED, .error = 0x100a });
		return;
	}
	t->sending = SENDING_DUMP;
	say(s, &(struct fitbit_control){ .kind = FITBIT_DUMP_BEGINS, .type = FITBIT_MEGADUMP });
	if (t->sending == SENDING_DUMP)
		pump(s);
}

static void on_close(struct peer_state *s)
{
	struct tracker *const t = s->own;

	air_log(s->peer, "closed");
	t->airlinked = false;
	say(s, &(struct fitbit_control){ .kind = FITBIT_CLOSE });
}

/* ---- the login ---- */

static void on_login(struct peer_state *s, const uint8_t *data)
{
	struct tracker *const t = s->own;
	struct fitbit_control m = { .kind = FITBIT_CHALLENGE,
				    .proof = { 0xff, 1, 2, 3, 4, 5, 6, 7 } };

	if (!t->airlinked || !t->takes_login || memcmp(data + 6, "\4\3\2\1", 4) != 0) {
		say(s, &(struct fitbit_control){ .kind = FITBIT_REFUSED, .error = 0x1006 });
		return;
	}
	t->counter += 0x10203;
	memcpy(m.challenge, &t->counter, sizeof(m.challenge));
	say(s, &m);
}

static void on_proof(struct peer_state *s, const uint8_t *data)
{
	struct tracker *const t = s->own;
	const struct fitbit_cipher xtea = fitbit_xtea(KEY);
	uint8_t mac[FITBIT_TAG_SIZE];

	fitbit_mac(&xtea, &t->counter, sizeof(t->counter), mac);
	t->logged_in = t->airlinked && t->counter != 0 && memcmp(mac, data + 2, sizeof(mac)) == 0;
	air_log(s->peer, "login %s", t->logged_in ? "good" : "refused");
	if (t->logged_in)
		say(s, &(struct fitbit_control){ .kind = FITBIT_DONE });
	else
		say(s, &(struct fitbit_control){ .kind = FITBIT_REFUSED, .error = 0x2015 });
}

/* The counters of the day are other than those of the dump: who adds them up is found out. */
static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	static const uint8_t nothing[16];
	const struct tracker *const t = s->own;

	if (id != LIVE)
		return 0;
	if (!t->logged_in) {
		writer_bytes(w, nothing, sizeof(nothing));
		return 0;
	}
	air_log(s->peer, "moment");
	writer_le32(w, (uint32_t)t->now);
	writer_le32(w, 77777);
	writer_le32(w, 55555555);
	writer_le16(w, 4321);
	writer_le16(w, 990);
	writer_le16(w, 333);
	writer_u8(w, t->rate);
	writer_u8(w, 2);
	return 0;
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	const struct tracker *const t = s->own;
	char text[2 * SERVER_VALUE_MAX + 1] = "";

	if (t->sending == SENDING_CUT)
		return;
	if (id == COMMAND && len >= 12 && len <= 13 && memcmp(data, "\xc0\x0a\x0a\0", 4) == 0) {
		on_airlink(s);
	} else if (id == COMMAND && len == 3 && memcmp(data, "\xc0\x10\x0d", 3) == 0) {
		on_dump_request(s);
	} else if (id == COMMAND && len == 10 && memcmp(data, "\xc0\x50", 2) == 0) {
		on_login(s, data);
	} else if (id == COMMAND && len == 10 && memcmp(data, "\xc0\x52", 2) == 0) {
		on_proof(s, data);
	} else if (id == COMMAND && len == 2 && memcmp(data, "\xc0\x01", 2) == 0) {
		on_close(s);
	} else {
		for (size_t i = 0; i < len && i < SERVER_VALUE_MAX; i++)
			(void)snprintf(text + 2 * i, 3, "%02x", data[i]);
		air_log(s->peer, "unexpected %s", text);
	}
}

static void on_timeout(struct peer_state *s)
{
	struct tracker *const t = s->own;

	if (t->sending == SENDING_DUMP) {
		pump(s);
	} else if (t->sending == SENDING_CUT) {
		air_log(s->peer, "cut");
		air_drop(s->peer, SUPERVISION);
	}
}

static void on_disconnected(struct peer_state *s)
{
	struct tracker *const t = s->own;

	t->airlinked = false;
	t->logged_in = false;
	t->sending = SENDING_NOTHING;
}

/* ---- the device ---- */

static void on_born(struct peer_state *s)
{
	struct peer *const p = s->peer;
	struct tracker *const t = s->own;
	struct writer w = writer_of(p->advert, sizeof(p->advert));

	t->memory_minutes = MEMORY;
	p->identity[0] = 0xc0;
	p->identity_random = true;
	p->address_random = true;
	s->smp.identity.random = true;
	p->address[0] = p->identity[0];
	s->smp.identity.bytes[5] = p->identity[0];
	writer_bytes(&w, "\x02\x01\x06\x11\x06", 5);
	writer_bytes(&w, UUID_SERVICE, sizeof(UUID_SERVICE));
	writer_bytes(&w, "\x08\x16\x0a\x18\x07\x04\xe9\x77\x03", 9);
	p->advert_len = w.len;
}

static void on_gone(struct peer_state *s)
{
	struct tracker *const t = s->own;

	wearer_free(t->wearer);
}

/* of nobody's interest: see the top */
static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	writer_le32(w, (uint32_t)r->time);
	writer_le32(w, distinct(s, r, 0, 100000));
	writer_le32(w, 700 * distinct(s, r, 0, 100000));
	writer_le16(w, 0);
	writer_le16(w, 0);
}

static bool ready(const struct peer_state *s, const struct reading *r)
{
	(void)s;
	(void)r;
	return false;
}

static int set_flag(const char *word, bool *ret)
{
	const bool on = word && !strcmp(word, "on");

	if (!on && (!word || strcmp(word, "off") != 0))
		return -EINVAL;
	*ret = on;
	return 0;
}

static int set_number(const char *word, long most, long *ret)
{
	char *end;
	long n;

	if (!word || !*word)
		return -EINVAL;
	n = strtol(word, &end, 10);
	if (*end || n < 1 || n > most)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int set_memory(struct peer_state *s, long minutes)
{
	struct tracker *const t = s->own;

	if (t->wearer)
		return -EBUSY;
	t->memory_minutes = (unsigned int)minutes;
	return 0;
}

static int be_twin(struct peer_state *s)
{
	struct tracker *const t = s->own;

	t->twin = true;
	return set_memory(s, TWIN_MEMORY);
}

static int set_rate(struct peer_state *s, long rate)
{
	struct tracker *const t = s->own;

	if (rate > UINT8_MAX)
		return -ERANGE;
	t->rate = (uint8_t)rate;
	return 0;
}

static int pass(struct peer_state *s, long seconds)
{
	struct tracker *const t = s->own;
	const int r = put_on(s);

	if (r == 0)
		t->now += seconds;
	return r;
}

static int on_command(struct peer_state *s, unsigned int n, char *const words[], char *answer,
		      size_t size)
{
	struct tracker *const t = s->own;
	const char *const word = n > 1 ? words[1] : NULL;
	long number = 0;

	(void)answer;
	(void)size;
	if (!strcmp(words[0], "encrypt"))
		return set_flag(word, &t->encrypts);
	if (!strcmp(words[0], "refuse-airlink"))
		return set_flag(word, &t->refuses);
	if (!strcmp(words[0], "damage"))
		return set_flag(word, &t->damages);
	if (!strcmp(words[0], "login"))
		return set_flag(word, &t->takes_login);
	if (!strcmp(words[0], "truth"))
		return tell_truth(s);
	if (!strcmp(words[0], "twin"))
		return be_twin(s);
	if (set_number(word, DAY, &number) < 0)
		return -EINVAL;
	if (!strcmp(words[0], "rate"))
		return set_rate(s, number);
	if (!strcmp(words[0], "wear"))
		return set_memory(s, number);
	if (!strcmp(words[0], "pass"))
		return pass(s, number);
	if (strcmp(words[0], "cut") != 0)
		return -ENOENT;
	t->cut_after = (unsigned int)number;
	return 0;
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid128 = UUID_SERVICE },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_ANSWER,
	  .properties = GATT_NOTIFY,
	  .id = ANSWER },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_COMMAND,
	  .properties = GATT_READ | GATT_WRITE_COMMAND,
	  .id = COMMAND },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_STATE,
	  .properties = GATT_READ | GATT_NOTIFY,
	  .value = "\x01",
	  .len = 2,
	  .id = STATE },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_KIND,
	  .properties = GATT_READ,
	  .value = "",
	  .len = 1,
	  .id = KIND },
	{ .kind = SERVER_SERVICE, .uuid128 = UUID_LIVE_SERVICE },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_LIVE,
	  .properties = GATT_READ | GATT_NOTIFY,
	  .id = LIVE },
};

const struct model model_fitbit = {
	.name = "fitbit",
	.label = "Flex",
	.maker = "Fitbit",
	.type = "Flex",
	.appearance = 0,
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.keeps = true,
	.own_size = sizeof(struct tracker),
	.mtu = SERVER_MTU_MIN,
	.frame_ids = { LIVE },
	.frame = frame,
	.ready = ready,
	.born = on_born,
	.gone = on_gone,
	.disconnected = on_disconnected,
	.read = on_read,
	.wrote = on_wrote,
	.timeout = on_timeout,
	.command = on_command,
};
