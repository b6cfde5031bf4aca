/* links: protocols */
/*
 * What an agent remembers: read to its end, once per transfer, answered when it is durable, cleared
 * only where that was asked for. The agent of the longer conversations is ours; the byte strings
 * are those that independent programs exchanged, or written by hand.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/agent.h"
#include "protocols/ieee11073/nomenclature.h"
#include "tests/unit/phd_world.h"

#define N(a)       (sizeof(a) / sizeof((a)[0]))
#define ENTRY_LEN  20
#define SEEN_MAX   64
#define QUEUE_MAX  8
#define ENTRIES    7
#define OTHER_SIZE 3

/* ---- bytes ---- */

#define SEGMENT(instance) \
	instance "0003 0028 0922 0002" instance "0A4E 0016" MAP "097B 0004 00000002"
#define MAP      "8000 0001 0010 0006 0002 E140 0001 0001 0004 0A56 0004"
#define SEGMENTS "0002 005C" SEGMENT("0007") SEGMENT("0008")

static void test_segments(void **state)
{
	uint8_t bytes[BYTES_MAX];
	struct phd_segments s;
	size_t len = from_hex(SEGMENTS, bytes);

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(phd_segments_decode(bytes, n, &s), -EMSGSIZE);
	assert_int_equal(phd_segments_decode(bytes, len, &s), 0);
	assert_int_equal(s.n_segments, 2);
	assert_int_equal(s.segments[1].instance, 8);
	assert_int_equal(s.segments[1].entry_len, 12);
	assert_int_equal(s.segments[1].person, PHD_PERSON_UNKNOWN);
	assert_true(s.segments[0].has_count && s.segments[0].count == 2);
	/* one map for both */
	assert_int_equal(s.n_elements, 1);
	assert_int_equal(s.n_map, 1);
	assert_int_equal(s.elements[0].type, 57664);
	bytes[4 + 46 + 1] = 7; /* both are number seven */
	bytes[4 + 46 + 11] = 7;
	assert_int_equal(phd_segments_decode(bytes, len, &s), -EBADMSG);
	bytes[4 + 46 + 1] = 9; /* it contradicts itself */
	assert_int_equal(phd_segments_decode(bytes, len, &s), -EBADMSG);
	/* without a map nothing in it can be read */
	len = from_hex("0001 000E 0007 0001 0008 097B 0004 00000002", bytes);
	assert_int_equal(phd_segments_decode(bytes, len, &s), -EBADMSG);
}

/* whose entries they are, where the segment says it */
static void test_person(void **state)
{
	static const uint8_t octets[12] = {
		0x20, 0x26, 7, 15, 8, 0x30, 0x15, 0x50, 0xff, 0, 2, 0xbe
	};
	const struct phd_segment_data data = {
		.instance = 7, .count = 1, .entries = octets, .len = sizeof(octets)
	};
	uint8_t bytes[BYTES_MAX];
	struct phd_observation o;
	struct phd_segments s;
	struct phd_entries e;
	size_t len;

	(void)state;
	len = from_hex("0001 0026 0007 0002 0020 0A4F 0002 0003 0A4E 0016" MAP, bytes);
	assert_int_equal(phd_segments_decode(bytes, len, &s), 0);
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e), 0);
	assert_int_equal(phd_entries_next(&e, &o), 1);
	assert_int_equal(o.person, 3);
}

/* the attributes of one segment, number 7 */
static int segment_of(const char *attributes, uint8_t *bytes, struct phd_segments *ret)
{
	const size_t len = from_hex(attributes, &bytes[10]);
	uint8_t count = 0;

	for (size_t at = 10; at + 4 <= 10 + len; at += 4U + bytes[at + 3])
		count++;
	const uint8_t head[] = { 0, 1, 0, (uint8_t)(len + 6), 0, 7, 0, count, 0, (uint8_t)len };

	memcpy(bytes, head, sizeof(head));
	return phd_segments_decode(bytes, 10 + len, ret);
}

static void test_segment_rows(void **state)
{
	static const struct {
		const char *hex;
		int r;
	} rows[] = {
		{ "0A4E 0016" MAP, 0 },
		{ "0A4E 0016" MAP "FFFF 0001 00", 0 }, /* an attribute nobody knows */
		/* two maps: which of them the entries have, nobody can say */
		{ "0A4E 0016" MAP "0A4E 0016" MAP, -EBADMSG },
		/* nothing in an entry; nothing but its time */
		{ "0A4E 0006 0000 0000 0000", -EBADMSG },
		{ "0A4E 0006 8000 0000 0000", -EBADMSG },
		/* longer than an entry may be */
		{ "0A4E 0016 8000 0001 0010 0006 0002 E140 0001 0001 0004 0A56 FFFF", -ENOBUFS },
		/* lists that say less or more than they hold */
		{ "0A4E 0015 8000 0001 000F 0006 0002 E140 0001 0001 0004 0A56 00", -EMSGSIZE },
		{ "0A4E 0017 8000 0001 0011 0006 0002 E140 0001 0001 0004 0A56 0004 00",
		  -EMSGSIZE },
		{ "0A4E 0017 8000 0001 0011 0006 0002 E140 0001 0001 0005 0A56 0004 00",
		  -EMSGSIZE },
		{ "0A4E 0017 8000 0001 0010 0006 0002 E140 0001 0001 0004 0A56 0004 00",
		  -EMSGSIZE },
		/* attributes of another size */
		{ "0A4E 0016" MAP "0A4F 0003 000300", -EBADMSG },
		{ "0A4E 0016" MAP "097B 0002 0002", -EBADMSG },
		{ "0A4E 0016" MAP "0A64 0002 0050", -EBADMSG },
		{ "0A4E 0016" MAP "0922 0002 0008", -EBADMSG }, /* that is another segment */
	};
	uint8_t bytes[BYTES_MAX];
	struct phd_segments s;

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_int_equal(segment_of(rows[i].hex, bytes, &s), rows[i].r);
	assert_int_equal(segment_of("0A4E 0016" MAP "0A64 0004 00000050", bytes, &s), 0);
	assert_int_equal(s.segments[0].transfer_timeout, 0x50);
	assert_false(s.segments[0].has_count);
}

static void test_info(void **state)
{
	static const char *const bad[] = { "0951 0003 000300", "0944 0002 0010",
					   "0A63 0005 0000000100", "0951 00", "0951 0002 00" };
	uint8_t bytes[BYTES_MAX];
	struct apdu response = { .data = bytes };
	struct phd_store_info info;

	(void)state;
	response.len = from_hex("FFFF 0002 0000 0951 0002 0003 0944 0004 00000010"
				"0A63 0004 00001F40",
				bytes);
	assert_int_equal(phd_store_info_decode(&response, &info), 0);
	assert_true(info.has_segments && info.n_segments == 3);
	assert_int_equal(info.usage, 16);
	assert_int_equal(info.clear_timeout, 8000);
	for (size_t i = 0; i < N(bad); i++) {
		response.len = from_hex(bad[i], bytes);
		assert_int_equal(phd_store_info_decode(&response, &info), -EBADMSG);
	}
	response.len = 0;
	assert_int_equal(phd_store_info_decode(&response, &info), 0);
	assert_false(info.has_segments);
}

/* All times that a header may have; and what is stored is not what the object reports. */
static void test_entry(void **state)
{
	static const char entry[] = "2026071508301550 00000010 0000000000000000 D46740381314FED4"
				    "FF0002BE";
	uint8_t bytes[BYTES_MAX], octets[BYTES_MAX];
	struct phd_segment_data data = { .instance = 7, .count = 1, .entries = octets };
	struct phd_observation o;
	struct phd_segments s;
	struct phd_entries e;

	(void)state;
	data.len = from_hex(entry, octets);
	assert_int_equal(segment_of("0A4E 0016 F000 0001 0010 0006 0002 4A05 0001 0001 0004"
				    "0A56 0004",
				    bytes, &s),
			 0);
	assert_int_equal(s.segments[0].entry_len, 32);
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e), 0);
	assert_int_equal(phd_entries_next(&e, &o), 1);
	assert_int_equal(o.stamp, PHD_STAMP_BASE_OFFSET);
	assert_int_equal(o.offset_min, -300);
	assert_true(o.has_ticks && o.ticks == 16);
	/* not a weight, and not in kilograms */
	assert_int_equal(o.values[0].metric, 0x24a05);
	assert_int_equal(o.values[0].unit, 0);
	assert_int_equal(o.values[0].number.value.mantissa, 702);
	data.first = UINT32_MAX; /* numbers that begin anew */
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e),
		-EMSGSIZE);
}

/* A map that gives a number too few bytes: that element is spoiled, and the next is read. */
static void test_spoiled_element(void **state)
{
	static const uint8_t octets[6] = { 0, 2, 0xff, 0, 2, 0xbe };
	const struct phd_segment_data data = {
		.instance = 7, .count = 1, .entries = octets, .len = sizeof(octets)
	};
	uint8_t bytes[BYTES_MAX];
	struct phd_observation o;
	struct phd_segments s;
	struct phd_entries e;

	(void)state;
	assert_int_equal(segment_of("0A4E 0026 0000 0002 0020 0006 0002 E140 0001 0001 0004"
				    "0A56 0002 0006 0002 E140 0001 0001 0004 0A56 0004",
				    bytes, &s),
			 0);
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e), 0);
	assert_int_equal(phd_entries_next(&e, &o), -EBADMSG);
	assert_int_equal(phd_entries_next(&e, &o), 1);
	assert_int_equal(o.values[0].unit, MDC_DIM_KG);
	assert_int_equal(o.values[0].number.value.mantissa, 702);
	assert_int_equal(phd_entries_next(&e, &o), 0);
}

static void test_too_many(void **state)
{
	uint8_t bytes[4 + 6 * 17] = { 0, PHD_SEGMENTS_MAX + 1, 0, 6 * 17 };
	struct phd_segments s;

	(void)state;
	assert_int_equal(phd_segments_decode(bytes, sizeof(bytes), &s), -ENOBUFS);
}

static void test_piece(void **state)
{
	static const char piece[] = "0007 00000000 00000002 C000 0018 2026071508301550 FF0002BE "
				    "2026071608301550 FF0002BF";
	uint8_t bytes[BYTES_MAX];
	struct phd_segment_data data;
	struct phd_observation o;
	struct phd_segments s;
	struct phd_entries e;
	size_t len;

	(void)state;
	assert_int_equal(phd_segments_decode(bytes, from_hex(SEGMENTS, bytes), &s), 0);
	len = from_hex(piece, bytes);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(phd_segment_data_decode(bytes, n, &data), -EMSGSIZE);
	assert_int_equal(phd_segment_data_decode(bytes, len, &data), 0);
	assert_int_equal(data.status, PHD_SEGMENT_FIRST | PHD_SEGMENT_LAST);
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(phd_entries_next(&e, &o), 1);
		assert_true(o.is_stored);
		assert_int_equal(o.store, 3);
		assert_int_equal(o.segment, 7);
		assert_int_equal(o.entry, i);
		assert_int_equal(o.stamp, PHD_STAMP_GIVEN);
		assert_int_equal(o.time.day, 15 + i);
		assert_int_equal(o.n_values, 1);
		assert_int_equal(o.values[0].metric, 188736);
		assert_int_equal(o.values[0].unit, MDC_DIM_KG);
		assert_int_equal(o.values[0].number.value.mantissa, 702 + i);
	}
	assert_int_equal(phd_entries_next(&e, &o), 0);
	data.count = 3;
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e),
		-EMSGSIZE);
	data.count = 1;
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x05dc), &s, &s.segments[0], &e),
		-EMSGSIZE);
	/* an object that nobody declared */
	data.count = 2;
	assert_int_equal(
		phd_entries_open(&data, 3, phd_config_standard(0x0190), &s, &s.segments[0], &e), 0);
	s.elements[0].handle = 5;
	assert_int_equal(phd_entries_next(&e, &o), 0);
	assert_int_equal(e.n_unknown, 2);
}

/* ---- conversations ---- */

struct queue {
	uint8_t bytes[QUEUE_MAX][2048];
	size_t len[QUEUE_MAX], n;
};

struct pair {
	struct phd_manager manager;
	struct phd_agent agent;
	struct queue to_manager, to_agent;
	uint8_t map[64], entries[ENTRIES * ENTRY_LEN];
	struct phd_agent_segment segments[3];
	struct phd_agent_store store;
	struct phd_observation seen[SEEN_MAX];
	unsigned int n_seen, taken, cleared, aborts, n_mds;
	struct mder_time set;
	int64_t now;
};

static void put(struct queue *q, const uint8_t *bytes, size_t len)
{
	assert_true(q->n < QUEUE_MAX && len <= sizeof(q->bytes[0]));
	memcpy(q->bytes[q->n], bytes, len);
	q->len[q->n++] = len;
}

static void manager_sends(void *user, const uint8_t *bytes, size_t len)
{
	struct pair *p = user;

	p->aborts += bytes[0] == 0xe6;
	put(&p->to_agent, bytes, len);
}

static void agent_sends(void *user, const uint8_t *bytes, size_t len)
{
	put(&((struct pair *)user)->to_manager, bytes, len);
}

static void on_seen(void *user, const struct phd_observation *o, bool is_test)
{
	struct pair *p = user;

	(void)is_test;
	assert_true(p->n_seen < SEEN_MAX);
	p->seen[p->n_seen++] = *o;
}

static void on_pair_mds(void *user, const struct phd_mds *mds)
{
	(void)mds;
	((struct pair *)user)->n_mds++;
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	(void)user;
	(void)invoke_id;
	(void)taken;
}

static void on_taken(void *user, uint16_t segment, uint32_t first, uint32_t count)
{
	struct pair *p = user;

	(void)segment;
	(void)first;
	p->taken += count;
}

static void on_cleared(void *user, uint16_t segment)
{
	(void)segment;
	((struct pair *)user)->cleared++;
}

static void on_time(void *user, const struct mder_time *t)
{
	((struct pair *)user)->set = *t;
}

/* until nobody has anything to say; with commits, or as long as it goes without */
static void settle(struct pair *p, bool commits)
{
	while (p->to_manager.n + p->to_agent.n > 0) {
		struct queue up = p->to_manager, down = p->to_agent;

		p->to_manager.n = p->to_agent.n = 0;
		for (size_t i = 0; i < up.n; i++)
			phd_manager_apdu(&p->manager, up.bytes[i], up.len[i], p->now);
		for (size_t i = 0; i < down.n; i++)
			phd_agent_apdu(&p->agent, down.bytes[i], down.len[i]);
		if (commits && p->manager.n_uncommitted > 0)
			phd_manager_committed(&p->manager, p->now);
	}
}

static void make_entries(struct pair *p)
{
	static const uint16_t handles[] = { 1, 2 };
	const struct phd_config *config = phd_agent_config(PHD_AGENT_EXTENDED);
	size_t len;

	assert_int_equal(
		phd_agent_entry_map(config, handles, 2, p->map, sizeof(p->map), &p->store.map_len),
		0);
	for (unsigned int i = 0; i < ENTRIES; i++) {
		const struct mder_time t = {
			.year = 2026, .month = 7, .day = (uint8_t)(i + 1), .hour = 8
		};
		struct phd_observation o[2] = { { .handle = 1, .n_values = 3 },
						{ .handle = 2, .n_values = 1 } };

		o[0].values[0].number = number_of(120 + i, 0);
		o[0].values[1].number = number_of(80, 0);
		o[0].values[2].number = number_of(93, 0);
		o[1].values[0].number = number_of(60 + i, 0);
		assert_int_equal(phd_agent_entry(config, &t, o, 2,
						 p->entries + (size_t)i * ENTRY_LEN, ENTRY_LEN,
						 &len),
				 0);
		assert_int_equal(len, ENTRY_LEN);
	}
}

static const struct phd_agent_identity IDENTITY = {
	.manufacturer = "Nobody",
	.model = "Simulated",
	.serial = "0001",
	.firmware = "1.0",
	.has_time = true,
	.time = { .year = 2026, .month = 7, .day = 30, .hour = 12 },
	.has_battery = true,
	.battery = 50,
	.may_set_time = true,
};

/* segments 1 with all, 2 empty, 3 with a few */
static void make(struct pair *p)
{
	static const struct phd_manager_sink up = { manager_sends, on_seen, on_pair_mds };
	static const struct phd_agent_sink down = { .send = agent_sends,
						    .answered = on_answered,
						    .time_set = on_time,
						    .segment_taken = on_taken,
						    .segment_cleared = on_cleared };
	static const uint8_t agent_id[] = { 8, 7, 6, 5, 4, 3, 2, 1 };

	memset(p, 0, sizeof(*p));
	make_entries(p);
	p->segments[0] = (struct phd_agent_segment){ 1, ENTRIES, ENTRY_LEN, p->entries };
	p->segments[1] = (struct phd_agent_segment){ 2, 0, ENTRY_LEN, p->entries };
	p->segments[2] = (struct phd_agent_segment){ 9, OTHER_SIZE, ENTRY_LEN, p->entries };
	p->store.handle = PHD_AGENT_STORE;
	p->store.map = p->map;
	p->store.segments = p->segments;
	p->store.n_segments = 3;
	p->store.entries_per_event = 3;
	phd_manager_init(&p->manager, &up, p, NULL, MANAGER_ID);
	phd_agent_init(&p->agent, &down, p, phd_agent_config(PHD_AGENT_EXTENDED), agent_id);
	p->agent.identity = &IDENTITY;
	p->agent.store = &p->store;
}

static void meet(struct pair *p)
{
	phd_manager_connected(&p->manager);
	phd_agent_associate(&p->agent);
}

/* each entry once and in order: both of its observations, from `from` on */
static void check_seen(const struct pair *p, unsigned int from)
{
	static const unsigned int counts[] = { ENTRIES, OTHER_SIZE };
	static const uint16_t instances[] = { 1, 9 };
	unsigned int n = from;

	assert_int_equal(p->n_seen - from, 2 * (ENTRIES + OTHER_SIZE));
	for (size_t s = 0; s < N(counts); s++) {
		for (unsigned int i = 0; i < counts[s]; i++) {
			const struct phd_observation *o = &p->seen[n++], *pulse = &p->seen[n++];

			assert_int_equal(o->segment, instances[s]);
			assert_int_equal(o->entry, i);
			assert_int_equal(o->n_values, 3);
			assert_int_equal(o->values[0].metric, 150021);
			assert_int_equal(o->values[0].number.value.mantissa, 120 + i);
			assert_int_equal(o->time.day, i + 1);
			assert_int_equal(pulse->entry, i);
			assert_int_equal(pulse->values[0].metric, 149546);
			assert_int_equal(pulse->values[0].unit, MDC_DIM_BPM);
			assert_int_equal(pulse->values[0].number.value.mantissa, 60 + i);
			assert_int_equal(pulse->time.day, i + 1);
		}
	}
}

static void test_walk(void **state)
{
	struct pair p;

	(void)state;
	make(&p);
	meet(&p);
	settle(&p, true);
	check_seen(&p, 0);
	assert_true(phd_manager_idle(&p.manager));
	assert_int_equal(p.taken, ENTRIES + OTHER_SIZE);
	assert_int_equal(p.cleared, 0);
	assert_int_equal(p.aborts, 0);
	assert_int_equal(p.manager.counts.unexpected, 0);
	assert_int_equal(p.manager.counts.unread_stores, 0);
	assert_true(phd_manager_deadline(&p.manager) == PHD_NO_DEADLINE);
}

/* without a commit the agent hears nothing, however long that takes; then it goes on */
static void test_waits_for_commit(void **state)
{
	struct pair p;

	(void)state;
	make(&p);
	meet(&p);
	for (unsigned int pieces = 1; pieces <= 4; pieces++) {
		static const unsigned int seen[] = { 0, 3, 6, 7, 10 };

		settle(&p, false);
		assert_int_equal(p.n_seen, 2 * seen[pieces]);
		assert_int_equal(p.taken, seen[pieces - 1]);
		assert_false(phd_manager_idle(&p.manager));
		assert_true(phd_manager_deadline(&p.manager) == PHD_NO_DEADLINE);
		assert_true(phd_manager_answer_due(&p.manager) == PHD_RESPONSE_TIMEOUT_US);
		phd_manager_committed(&p.manager, 0);
	}
	settle(&p, false);
	assert_true(phd_manager_idle(&p.manager));
	assert_int_equal(p.taken, ENTRIES + OTHER_SIZE);
	assert_int_equal(p.manager.counts.late_commits, 0);
}

/* only when it is asked for, and only what was read to the end it was said to have */
static void test_clear(void **state)
{
	struct pair p;

	(void)state;
	make(&p);
	p.manager.options.clear_stores = true;
	meet(&p);
	settle(&p, false);
	assert_int_equal(p.cleared, 0);
	phd_manager_committed(&p.manager, 0);
	settle(&p, true);
	assert_int_equal(p.cleared, 2);
	/* an object in it that is not understood: nothing is cleared */
	make(&p);
	p.manager.options.clear_stores = true;
	meet(&p);
	settle(&p, false);
	p.manager.config.objects[1].handle = 77;
	phd_manager_committed(&p.manager, 0);
	settle(&p, true);
	assert_int_equal(p.taken, ENTRIES + OTHER_SIZE);
	assert_int_equal(p.cleared, 0);
	assert_true(p.manager.counts.unknown_observations > 0);
}

/* the link is lost at each of the moments in turn: what was not committed comes again */
static void test_lost_link(void **state)
{
	struct pair p;

	(void)state;
	for (unsigned int commits = 0; commits < 4; commits++) {
		make(&p);
		meet(&p);
		settle(&p, false);
		for (unsigned int i = 0; i < commits; i++) {
			phd_manager_committed(&p.manager, 0);
			settle(&p, false);
		}
		phd_manager_disconnected(&p.manager);
		phd_agent_disconnected(&p.agent);
		p.n_seen = p.taken = 0;
		p.to_agent.n = p.to_manager.n = 0;
		phd_manager_committed(&p.manager, 0);
		assert_int_equal(p.to_agent.n, 0);
		meet(&p);
		settle(&p, true);
		check_seen(&p, 0);
		assert_int_equal(p.taken, ENTRIES + OTHER_SIZE);
		assert_true(phd_manager_idle(&p.manager));
	}
}

/* ---- pieces that do not follow each other ---- */

#define PIECE_OF(id, first, count, status, octets)                                      \
	"E700 002C 002A" id "0101 0024 0003 FFFFFFFF 0D21 001A 0007" first count status \
	"000C" octets
#define WEIGHED "2026071508301550 FF0002BE"
#define PIECE_ANSWER(id, first, count, status) \
	"E700 001E 001C" id "0201 0016 0003 FFFFFFFF 0D21 000C 0007" first count status
#define TRIGGER(id) "E700 0010 000E" id "0107 0008 0003 0C1C 0002 0007"
#define STARTED(id) "E700 0012 0010" id "0207 000A 0003 0C1C 0004 0007 0000"
#define NEXT(n)     "0000000" n

/* a scale with a store of one segment, number seven, that was triggered */
static void transfer(struct world *w)
{
	struct phd_config config = *phd_config_standard(0x05dc);

	config.id = 0x4000;
	config.objects[1].object_class = MDC_CLASS_PM_STORE;
	config.objects[1].handle = 3;
	config.n_objects = 2;
	begin(w);
	phd_cache_put(&w->cache, (const uint8_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 }, &config);
	say(w, AARQ_OTHER);
	w->n_sent = 0;
	say(w, MDS_ANSWER);
	hear(w, "E700 000E 000C 0001 0103 0006 0003 0000 0000", NULL);
	say(w, "E700 0014 0012 0001 0203 000C 0003 0001 0006 0951 0002 0001");
	hear(w, "E700 0014 0012 0002 0107 000C 0003 0C0D 0006 0001 0002 0000", NULL);
	say(w, "E700 0040 003E 0002 0207 0038 0003 0C0D 0032 0001 002E" SEGMENT("0007"));
	hear(w, TRIGGER("0003"), NULL);
	say(w, STARTED("0003"));
	hear(w, NULL, NULL);
	assert_true(phd_manager_deadline(&w->m) == 1000 + PHD_TRANSFER_TIMEOUT_US);
}

static void test_answers(void **state)
{
	struct world w;

	(void)state;
	transfer(&w);
	say(&w, PIECE_OF("0030", NEXT("0"), NEXT("1"), "8000", WEIGHED));
	hear(&w, NULL, NULL);
	phd_manager_committed(&w.m, 1000);
	hear(&w, PIECE_ANSWER("0030", NEXT("0"), NEXT("1"), "0080"), NULL);
	/* its answer was lost: said again it is answered again, and nobody sees it twice */
	say(&w, PIECE_OF("0031", NEXT("0"), NEXT("1"), "8000", WEIGHED));
	hear(&w, PIECE_ANSWER("0031", NEXT("0"), NEXT("1"), "0080"), NULL);
	assert_int_equal(w.n_observations, 1);
	say(&w, PIECE_OF("0032", NEXT("1"), NEXT("1"), "4000", WEIGHED));
	phd_manager_committed(&w.m, 1000);
	hear(&w, PIECE_ANSWER("0032", NEXT("1"), NEXT("1"), "0080"), NULL);
	assert_int_equal(w.n_observations, 2);
	assert_true(phd_manager_idle(&w.m));
}

static void test_gap(void **state)
{
	struct world w;

	(void)state;
	transfer(&w);
	/* the first entry is missing: said to the agent, and asked for again, but not for ever */
	say(&w, PIECE_OF("0030", NEXT("1"), NEXT("1"), "4000", WEIGHED));
	hear(&w, PIECE_ANSWER("0030", NEXT("1"), NEXT("1"), "0008"), TRIGGER("0004"));
	say(&w, STARTED("0004"));
	say(&w, PIECE_OF("0031", NEXT("1"), NEXT("1"), "4000", WEIGHED));
	hear(&w, PIECE_ANSWER("0031", NEXT("1"), NEXT("1"), "0008"), TRIGGER("0005"));
	say(&w, STARTED("0005"));
	/* the agent breaks off */
	say(&w, PIECE_OF("0032", NEXT("0"), NEXT("1"), "0800", WEIGHED));
	hear(&w, PIECE_ANSWER("0032", NEXT("0"), NEXT("1"), "0008"), NULL);
	assert_int_equal(w.n_observations, 0);
	assert_int_equal(w.m.counts.transfer_restarts, 3);
	assert_int_equal(w.m.counts.unread_stores, 1);
	assert_true(phd_manager_idle(&w.m));
}

/* fewer than it was said to have: nothing is cleared, and it is counted */
static void test_short_segment(void **state)
{
	struct world w;

	(void)state;
	transfer(&w);
	w.m.options.clear_stores = true;
	say(&w, PIECE_OF("0030", NEXT("0"), NEXT("1"), "C000", WEIGHED));
	phd_manager_committed(&w.m, 1000);
	hear(&w, PIECE_ANSWER("0030", NEXT("0"), NEXT("1"), "0080"), NULL);
	assert_int_equal(w.m.counts.unread_stores, 1);
	assert_true(phd_manager_idle(&w.m));
}

static void test_malformed_piece(void **state)
{
	struct world w;

	(void)state;
	/* one entry that says it is two: which bytes are whose? */
	transfer(&w);
	say(&w, PIECE_OF("0030", NEXT("0"), NEXT("2"), "C000", WEIGHED));
	hear(&w, RORJ_OF("0030", "0002"), NULL);
	assert_int_equal(w.n_observations, 0);
	phd_manager_committed(&w.m, 1000);
	hear(&w, NULL, NULL);
	/* of a segment that nobody has asked for */
	transfer(&w);
	say(&w, "E700 002C 002A 0030 0101 0024 0003 FFFFFFFF 0D21 001A 0008 00000000 00000001 8000"
		"000C" WEIGHED);
	hear(&w,
	     "E700 001E 001C 0030 0201 0016 0003 FFFFFFFF 0D21 000C 0008 00000000 00000001 0008",
	     NULL);
	assert_int_equal(w.n_observations, 0);
	/* entry numbers that run over */
	transfer(&w);
	w.m.walk.next = 0xffffffff;
	say(&w, PIECE_OF("0030", "FFFFFFFF", NEXT("1"), "C000", WEIGHED));
	hear(&w, RORJ_OF("0030", "0002"), NULL);
}

/* the agent asks for patience, has nothing, refuses; and silence ends the association */
static void test_trigger_results(void **state)
{
	struct world w;
	int64_t later;

	(void)state;
	transfer(&w);
	phd_manager_timeout(&w.m, 1000 + PHD_TRANSFER_TIMEOUT_US);
	hear(&w, ABRT_OF("0002"), NULL);
	transfer(&w);
	say(&w, PIECE_OF("0030", NEXT("1"), NEXT("1"), "4000", WEIGHED));
	w.n_sent = 0;
	say(&w, "E700 0012 0010 0004 0207 000A 0003 0C1C 0004 0007 0002");
	hear(&w, NULL, NULL);
	later = phd_manager_deadline(&w.m);
	assert_true(later == 1000 + PHD_TRANSFER_TIMEOUT_US);
	phd_manager_timeout(&w.m, later);
	hear(&w, TRIGGER("0005"), NULL);
	say(&w, "E700 0012 0010 0005 0207 000A 0003 0C1C 0004 0007 0003");
	hear(&w, NULL, NULL);
	assert_true(phd_manager_idle(&w.m));
	assert_int_equal(w.m.counts.unread_stores, 0);
	transfer(&w);
	say(&w, PIECE_OF("0030", NEXT("1"), NEXT("1"), "4000", WEIGHED));
	w.n_sent = 0;
	say(&w, ROER_OF("0004", "0018"));
	assert_int_equal(w.m.counts.refused_requests, 1);
	assert_int_equal(w.m.counts.unread_stores, 1);
	assert_true(phd_manager_idle(&w.m));
}

static void test_not_wanted(void **state)
{
	struct pair p;

	(void)state;
	make(&p);
	p.manager.options.read_stores = false;
	meet(&p);
	settle(&p, true);
	assert_int_equal(p.n_seen, 0);
	assert_true(phd_manager_idle(&p.manager));
}

/* ---- the clock ---- */

static void test_set_time(void **state)
{
	static const struct mder_time t = {
		.year = 2026, .month = 11, .day = 23, .hour = 1, .minute = 41, .second = 16
	};
	struct pair p;

	(void)state;
	make(&p);
	assert_int_equal(phd_manager_set_time(&p.manager, &t, 0), -ENOTCONN);
	meet(&p);
	settle(&p, false);
	/* its stored readings still bear the old clock */
	assert_int_equal(phd_manager_set_time(&p.manager, &t, 0), -EBUSY);
	phd_manager_committed(&p.manager, 0);
	settle(&p, true);
	assert_int_equal(p.set.year, 0);
	assert_int_equal(phd_manager_set_time(&p.manager, &t, 0), 0);
	settle(&p, true);
	assert_int_equal(p.set.minute, 41);
	assert_true(phd_manager_idle(&p.manager));
	/* to one that does not ask for it nothing is said */
	make(&p);
	p.agent.identity = NULL;
	meet(&p);
	settle(&p, true);
	assert_int_equal(phd_manager_set_time(&p.manager, &t, 0), -ENOTSUP);
	assert_int_equal(p.to_agent.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_segment_rows),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_spoiled_element),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_person),
		cmocka_unit_test(test_piece),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_waits_for_commit),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_lost_link),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_short_segment),
		cmocka_unit_test(test_malformed_piece),
		cmocka_unit_test(test_trigger_results),
		cmocka_unit_test(test_not_wanted),
		cmocka_unit_test(test_set_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
