/* links: protocols */
/*
 * What independent managers were seen to get wrong, one test for each, and what independent agents
 * were seen to send that no agent should.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/bytes/medfloat.h"
#include "protocols/ieee11073/agent.h"
#include "protocols/ieee11073/nomenclature.h"
#include "tests/unit/phd_world.h"

#define EMPTY_CONFIG "E700 0018 0016 0009 0101 0010 0000 FFFFFFFF 0D1C 0006 4000 0000 0000"

static void associate(struct world *w, const char *aarq)
{
	begin(w);
	say(w, aarq);
	w->n_sent = 0;
	say(w, MDS_ANSWER);
	assert_int_equal(w->m.state, PHD_OPERATING);
	assert_true(phd_manager_idle(&w->m));
}

static size_t commit(struct world *w)
{
	w->n_sent = 0;
	phd_manager_committed(&w->m, 1000);
	return w->n_sent;
}

/* an agent that offers several versions is answered with exactly the one that is common */
static void test_l1_several_versions(void **state)
{
	static const char *const offers[] = { "C0000000", "E0000000", "80000002", "FFFFFFFF" };
	uint8_t aarq[BYTES_MAX];
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		size_t len = from_hex(AARQ_BP, aarq);

		(void)from_hex(offers[i], aarq + 16);
		begin(&w);
		phd_manager_apdu(&w.m, aarq, len, 0);
		hear(&w, AARE_OF("0000", "80000000"), GET_MDS);
	}
	begin(&w);
	say(&w, AARQ_OF("70000000", "00000000", "02BC"));
	hear(&w, AARE_OF("0005", "00000000"), NULL);
}

/* a presentation without anything in it, in every state and before any association */
static void test_l2_empty_presentation(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, "E70000020000");
	hear(&w, ABRT_OF("0000"), NULL);
	operate(&w);
	say(&w, "E70000020000");
	hear(&w, ABRT_OF("0000"), NULL);
	assert_int_equal(w.m.state, PHD_UNASSOCIATED);
	assert_int_equal(w.m.counts.malformed_apdus, 1);
	/* and it can begin again */
	say(&w, AARQ_BP);
	assert_int_equal(w.m.state, PHD_OPERATING);
}

/* a compound of three that holds two: no number may be made of its time stamp */
static void test_l3_short_compound(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	say(&w, "E700 002E 002C 0001 0101 0026 0000 FFFFFFFF 0D1D 001C F000 0000 0001 0014"
		"0001 0010 0003 0006 007B 004C" STAMP);
	hear(&w, RORJ_OF("0001", "0002"), NULL);
	assert_int_equal(w.n_observations, 0);
	assert_int_equal(commit(&w), 0);
}

/* one request, one answer */
static void test_l4_one_answer(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	say(&w, "E700 0012 0010 0004 0101 000A 0000 FFFFFFFF 0FFF 0000");
	hear(&w, ROER_OF("0004", "0009"), NULL);
	assert_int_equal(commit(&w), 0);
}

/* NaN, NRes and the infinities are three different things; and association information that cannot
 * be read is answered */
static void test_l5_no_numbers(void **state)
{
	static const struct {
		const char *raw;
		enum absent absent;
	} rows[] = { { "07FF", ABSENT_NAN },
		     { "0800", ABSENT_NRES },
		     { "07FE", ABSENT_POSITIVE_INFINITY },
		     { "0802", ABSENT_NEGATIVE_INFINITY },
		     { "0801", ABSENT_RESERVED } };
	uint8_t bytes[BYTES_MAX];
	struct world w;
	size_t len;

	(void)state;
	associate(&w, AARQ_OF("80000000", "00000000", "06A4"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		len = from_hex("E700 0028 0026 0001 0101 0020 0000 FFFFFFFF 0D1D 0016 F000 0000"
			       "0001 000E 0001 000A 0000" STAMP,
			       bytes);
		(void)from_hex(rows[i].raw, bytes + len - 10);
		phd_manager_apdu(&w.m, bytes, len, 0);
		assert_int_equal(w.n_observations, i + 1);
		assert_int_equal(w.last.values[0].number.absent, rows[i].absent);
		assert_int_equal(commit(&w), 1);
	}
	begin(&w);
	len = from_hex(AARQ_BP, bytes);
	bytes[35] = 7; /* the length of its system identity */
	phd_manager_apdu(&w.m, bytes, len, 0);
	hear(&w, ABRT_OF("0000"), NULL);
}

/* 70.2 kg are 702 tenths */
static void test_l6_exact_weight(void **state)
{
	struct world w;

	(void)state;
	associate(&w, AARQ_OF("80000000", "00000000", "05DC"));
	say(&w, "E700 002A 0028 0002 0101 0022 0000 FFFFFFFF 0D1D 0018 F000 0000 0001 0010"
		"0001 000C FF0002BE" STAMP);
	assert_int_equal(w.last.values[0].number.value.mantissa, 702);
	assert_int_equal(w.last.values[0].number.value.exponent, -1);
	assert_int_equal(w.last.values[0].unit, MDC_DIM_KG);
}

/* an agent that never says its configuration is told why it is sent away */
static void test_l7_silent_config(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	w.n_sent = 0;
	phd_manager_timeout(&w.m, phd_manager_deadline(&w.m) - 1);
	hear(&w, NULL, NULL);
	phd_manager_timeout(&w.m, 1000 + PHD_CONFIG_TIMEOUT_US);
	hear(&w, ABRT_OF("0003"), NULL);
}

/* the configuration is answered before anything is asked */
static void test_l8_config_first(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	hear(&w, AARE_OF("0003", "80000000"), NULL);
	say(&w, CONFIG_4000);
	hear(&w, CONFIG_RESPONSE("0009", "4000", "0000"), GET_MDS);
}

/* one to three bytes changed in what a conversation begins with: nothing is read that is not there
 * (the sanitizers look), and nobody is answered twice */
static void mutate(const char *seed, unsigned int round)
{
	uint8_t bytes[BYTES_MAX], *exact;
	struct world w;
	size_t len = from_hex(seed, bytes);
	uint32_t random = round * 2654435761U + 1;

	for (unsigned int i = 0; i < 1 + round % 3; i++) {
		random = random * 1664525U + 1013904223U;
		bytes[(random >> 8) % len] ^= (uint8_t)(random >> 24);
	}
	exact = malloc(len);
	assert_non_null(exact);
	memcpy(exact, bytes, len);
	begin(&w);
	if (exact[0] == 0xe7 || seed[1] == '7')
		operate(&w);
	phd_manager_apdu(&w.m, exact, len, 0);
	free(exact);
	assert_true(w.n_sent <= 2);
	w.n_sent = 0;
	phd_manager_committed(&w.m, 0);
	assert_true(w.n_sent <= 1);
}

static void test_l9_mutations(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		mutate(AARQ_BP, round);
		mutate(BP_OF("0001", "0101"), round);
		mutate(CONFIG_4000, round);
	}
}

/* our agent does not say a refused configuration again and again */
struct talk {
	uint8_t bytes[8][BYTES_MAX];
	size_t len[8], n;
};

static void agent_send(void *user, const uint8_t *apdu, size_t len)
{
	struct talk *t = user;

	assert_true(t->n < 8 && len <= BYTES_MAX);
	memcpy(t->bytes[t->n], apdu, len);
	t->len[t->n++] = len;
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	(void)user;
	(void)invoke_id;
	(void)taken;
}

static void test_l10_refused_once(void **state)
{
	static const struct phd_agent_sink sink = { .send = agent_send, .answered = on_answered };
	struct talk talk = { .n = 0 };
	struct phd_agent agent;
	uint8_t bytes[BYTES_MAX];

	(void)state;
	phd_agent_init(&agent, &sink, &talk, phd_agent_config(PHD_AGENT_EXTENDED), MANAGER_ID);
	phd_agent_associate(&agent);
	phd_agent_apdu(&agent, bytes, from_hex(AARE_OF("0003", "80000000"), bytes));
	assert_int_equal(talk.n, 2);
	phd_agent_apdu(&agent, bytes, from_hex(CONFIG_RESPONSE("0001", "4000", "0001"), bytes));
	assert_int_equal(talk.n, 3);
	assert_memory_equal(talk.bytes[2], "\xe4\0\0\2\0\1", 6); /* no more configurations */
	phd_agent_apdu(&agent, bytes, from_hex("E500 0002 0000", bytes));
	assert_int_equal(talk.n, 3);
	assert_int_equal(agent.state, PHD_AGENT_IDLE);
}

static void test_config_flood(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	w.n_sent = 0;
	for (int i = 0; i < PHD_CONFIG_ATTEMPTS; i++) {
		say(&w, EMPTY_CONFIG);
		hear(&w, CONFIG_RESPONSE("0009", "4000", "0001"), NULL);
	}
	say(&w, EMPTY_CONFIG);
	hear(&w, ABRT_OF("0000"), NULL);
}

/* ---- agents ---- */

/* a scale that declares handle 1 and says 1, 3, 1, 3 */
static void test_scale_undeclared(void **state)
{
	struct world w;

	(void)state;
	associate(&w, AARQ_OF("80000000", "00000000", "05DC"));
	say(&w, "E700 005A 0058 0002 0101 0052 0000 FFFFFFFF 0D1D 0048 F000 0000 0004 0040"
		"0001 000C FF0002BE" STAMP "0003 000C FF0000E1" STAMP "0001 000C FF0002BF" STAMP
		"0003 000C FF0000E1" STAMP);
	assert_int_equal(w.n_observations, 2);
	assert_int_equal(w.m.counts.unknown_observations, 2);
	assert_int_equal(commit(&w), 1);
	/* with nothing in it that is understood it stays with the agent */
	say(&w, "E700 002A 0028 0003 0101 0022 0000 FFFFFFFF 0D1D 0018 F000 0000 0001 0010"
		"0003 000C FF0000E1" STAMP);
	w.n_sent = 1;
	assert_memory_equal(w.sent[1] + 8, "\x03\0", 2);
	assert_int_equal(commit(&w), 0);
}

/* an oximeter that asks for no confirmation and says more than its map */
static void test_oximeter_long(void **state)
{
	struct world w;

	(void)state;
	associate(&w, AARQ_OF("80000000", "00000000", "0190"));
	say(&w, "E700 0036 0034 1111 0100 002E 0000 FFFFFFFF 0D1D 0024 F000 0000 0002 001C"
		"0001 000A 0062" STAMP "000A 000A 0048" STAMP);
	hear(&w, NULL, NULL);
	assert_int_equal(w.n_observations, 0);
	assert_int_equal(w.m.counts.dropped_observations, 2);
	assert_int_equal(commit(&w), 0);
	/* as its map says, and beside a bad one */
	say(&w, "E700 0026 0024 1111 0100 001E 0000 FFFFFFFF 0D1D 0014 F000 0000 0002 000C"
		"0001 0002 0062 000A 0002 0048");
	assert_int_equal(w.n_observations, 2);
	assert_int_equal(commit(&w), 0);
}

/* a meter whose event information is longer than its list */
static void test_meter_padded(void **state)
{
	struct world w;

	(void)state;
	associate(&w, AARQ_OF("80000000", "00000000", "06A4"));
	say(&w, "E700 002A 0028 0001 0101 0022 0000 FFFFFFFF 0D1D 0018 F000 0000"
		"0001 000E 0001 000A F3E8" STAMP "0000");
	assert_int_equal(w.n_observations, 1);
	assert_int_equal(w.m.counts.padded_reports, 1);
	assert_int_equal(commit(&w), 1);
}

/* a configuration that was taken and does not describe the reports is asked for again */
static void test_wrong_config(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	say(&w, CONFIG_4000);
	w.n_sent = 0;
	say(&w, "E700 0028 0026 0002 0101 0020 0000 FFFFFFFF 0D1D 0016 F000 0000 0001 000E"
		"0001 000A FF02" STAMP);
	hear(&w, RORJ_OF("0002", "0002"), NULL);
	say(&w, "E400 0002 0000");
	w.n_sent = 0;
	say(&w, AARQ_OTHER);
	hear(&w, AARE_OF("0003", "80000000"), NULL);
}

/* without a cache of the caller's the last configuration is known again, of the same agent alone */
static void test_no_cache(void **state)
{
	struct world w;
	uint8_t bytes[BYTES_MAX];
	size_t len;

	(void)state;
	begin(&w);
	w.m.cache = NULL;
	say(&w, AARQ_OTHER);
	say(&w, CONFIG_4000);
	phd_manager_disconnected(&w.m);
	phd_manager_connected(&w.m);
	w.n_sent = 0;
	say(&w, AARQ_OTHER);
	assert_int_equal(w.m.state, PHD_OPERATING);
	phd_manager_disconnected(&w.m);
	phd_manager_connected(&w.m);
	len = from_hex(AARQ_OTHER, bytes);
	bytes[38] ^= 1;
	phd_manager_apdu(&w.m, bytes, len, 0);
	assert_int_equal(w.m.state, PHD_CONFIGURING);
}

/* its own attributes, told in a report, are no reading and need no commit */
static void test_device_report(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	say(&w, "E700 0026 0024 0005 0101 001E 0000 FFFFFFFF 0D1E 0014 F000 0000 0001 000C"
		"0000 0001 0006 099C 0002 0055");
	hear(&w, "E700 0012 0010 0005 0201 000A 0000 FFFFFFFF 0D1E 0000", NULL);
	assert_int_equal(w.n_observations, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_l1_several_versions),
		cmocka_unit_test(test_l2_empty_presentation),
		cmocka_unit_test(test_l3_short_compound),
		cmocka_unit_test(test_l4_one_answer),
		cmocka_unit_test(test_l5_no_numbers),
		cmocka_unit_test(test_l6_exact_weight),
		cmocka_unit_test(test_l7_silent_config),
		cmocka_unit_test(test_l8_config_first),
		cmocka_unit_test(test_l9_mutations),
		cmocka_unit_test(test_l10_refused_once),
		cmocka_unit_test(test_config_flood),
		cmocka_unit_test(test_scale_undeclared),
		cmocka_unit_test(test_oximeter_long),
		cmocka_unit_test(test_meter_padded),
		cmocka_unit_test(test_wrong_config),
		cmocka_unit_test(test_no_cache),
		cmocka_unit_test(test_device_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
