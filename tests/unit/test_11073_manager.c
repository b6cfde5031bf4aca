/* links: protocols */
/*
 * Conversations with a manager, byte for byte as independent programs had them, and every state
 * with every event.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/phd_world.h"

static void test_confirmed_after_commit(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	say(&w, BP_OF("1234", "0101"));
	hear(&w, NULL, NULL);
	assert_int_equal(w.n_observations, 2);
	say(&w, BP_OF("1235", "0101"));
	hear(&w, NULL, NULL);
	phd_manager_committed(&w.m, 0);
	hear(&w, CONFIRM_OF("1234"), CONFIRM_OF("1235"));
	phd_manager_committed(&w.m, 0);
	hear(&w, NULL, NULL);
	say(&w, BP_OF("1236", "0100"));
	phd_manager_committed(&w.m, 0);
	hear(&w, NULL, NULL);
	assert_int_equal(w.n_observations, 6);
	say(&w, "E400 0002 0000");
	hear(&w, "E500 0002 0000", NULL);
	assert_int_equal(w.m.state, PHD_UNASSOCIATED);
}

/* an answer that belongs to the association before must not reach the next */
static void test_commit_too_late(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	say(&w, BP_OF("1234", "0101"));
	phd_manager_disconnected(&w.m);
	phd_manager_connected(&w.m);
	say(&w, AARQ_BP);
	w.n_sent = 0;
	phd_manager_committed(&w.m, 0);
	hear(&w, NULL, NULL);
	/* two reports under one number: neither may be answered */
	operate(&w);
	say(&w, BP_OF("1234", "0101"));
	say(&w, BP_OF("1234", "0101"));
	hear(&w, ABRT_OF("0000"), NULL);
	phd_manager_committed(&w.m, 0);
	hear(&w, NULL, NULL);
	assert_int_equal(w.n_observations, 2);
}

static void test_malformed_reports(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	/* the compound holds two of its three numbers: nothing is handed on, nothing confirmed */
	say(&w, "E700 002E 002C 0001 0101 0026 0000 FFFFFFFF 0D1D 001C F000 0000 0001 0014"
		"0001 0010 0003 0006 007B 004C" STAMP);
	hear(&w, RORJ_OF("0001", "0002"), NULL);
	/* a good observation beside a bad one goes back as well */
	say(&w, "E700 003C 003A 0002 0101 0034 0000 FFFFFFFF 0D1D 002A F000 0000 0002 0022"
		"0002 000A 0055" STAMP "0001 0010 0003 0006 007B 004C" STAMP);
	hear(&w, RORJ_OF("0002", "0002"), NULL);
	assert_int_equal(w.n_observations, 0);
	/* without confirmation it would be lost with the bad one */
	say(&w, "E700 003C 003A 0003 0100 0034 0000 FFFFFFFF 0D1D 002A F000 0000 0002 0022"
		"0002 000A 0055" STAMP "0001 0010 0003 0006 007B 004C" STAMP);
	assert_int_equal(w.n_observations, 1);
	assert_int_equal(w.m.counts.dropped_observations, 1);
	assert_int_equal(w.m.counts.malformed_reports, 2);
	phd_manager_committed(&w.m, 0);
	hear(&w, NULL, NULL);
	/* an event that nobody knows gets one answer; so does what is not an operation */
	say(&w, "E700 0012 0010 0004 0101 000A 0000 FFFFFFFF 0FFF 0000");
	hear(&w, ROER_OF("0004", "0009"), NULL);
	say(&w, "E700 0008 0006 0005 0102 0000");
	hear(&w, RORJ_OF("0005", "0065"), NULL);
	say(&w, "E700 0012 0010 0006 0101 000A 0000 FFFFFFFF 0D1D 0009");
	hear(&w, RORJ_OF("0006", "0002"), NULL);
	say(&w, GET_MDS);
	hear(&w, ROER_OF("0000", "0001"), NULL);
	say(&w, "E700 0002 0000");
	hear(&w, ABRT_OF("0000"), NULL);
}

static void test_many_reports(void **state)
{
	struct world w;
	uint8_t bytes[BYTES_MAX];
	size_t len = from_hex(BP_OF("0000", "0101"), bytes);

	(void)state;
	operate(&w);
	for (uint8_t i = 0; i < PHD_PENDING_MAX; i++) {
		bytes[7] = i;
		phd_manager_apdu(&w.m, bytes, len, 0);
	}
	hear(&w, NULL, NULL);
	say(&w, BP_OF("0100", "0101"));
	hear(&w, RORJ_OF("0100", "0067"), NULL);
	assert_int_equal(w.n_observations, 2 * PHD_PENDING_MAX);
	phd_manager_committed(&w.m, 0);
	assert_int_equal(w.n_sent, PHD_PENDING_MAX);
}

#define PULSE(n) "0002 000A" n STAMP
#define SIX_OF(id, operation, second, sixth)                                                  \
	"E700 006E 006C" id operation                                                         \
	"0066 0000 FFFFFFFF 0D1D 005C F000 0000 0006 0054" PULSE("0031") second PULSE("0033") \
		PULSE("0034") PULSE("0035") sixth
#define BAD_ONE "0001 000A 0036" STAMP /* as long as it says, and too short for its map */

/* More observations than are kept while they are checked: each once, in their order, or none. */
static void test_long_reports(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	say(&w, SIX_OF("0001", "0101", PULSE("0032"), PULSE("0036")));
	assert_int_equal(w.n_observations, 6);
	for (int64_t i = 0; i < 6; i++)
		assert_int_equal(w.first[i].number.value.mantissa, 0x31 + i);
	phd_manager_committed(&w.m, 0);
	hear(&w, CONFIRM_OF("0001"), NULL);
	w.n_observations = 0;
	say(&w, SIX_OF("0002", "0101", PULSE("0032"), BAD_ONE));
	hear(&w, RORJ_OF("0002", "0002"), NULL);
	assert_int_equal(w.n_observations, 0);
	/* without confirmation the good ones would be lost with the bad one */
	operate(&w);
	say(&w, SIX_OF("0003", "0100", BAD_ONE, PULSE("0036")));
	hear(&w, NULL, NULL);
	assert_int_equal(w.n_observations, 5);
	for (int64_t i = 1; i < 5; i++)
		assert_int_equal(w.first[i].number.value.mantissa, 0x32 + i);
	assert_int_equal(w.m.counts.dropped_observations, 1);
}

/* A unit that is stated once holds for what follows, in the same report already. */
static void test_unit_within_report(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OF("80000000", "00000000", "05DC"));
	say(&w, MDS_ANSWER);
	w.n_sent = 0;
	say(&w,
	    "E700 003C 003A 0001 0101 0034 0000 FFFFFFFF 0D1E 002A F000 0000 0002 0022"
	    "0001 0002 000E 0996 0002 06E0 0A56 0004 FF0002BE 0001 0001 0008 0A56 0004 FF0002BF");
	hear(&w, NULL, NULL);
	assert_int_equal(w.n_observations, 2);
	assert_int_equal(w.first[0].unit, 0x06e0);
	assert_int_equal(w.first[1].unit, 0x06e0);
	assert_int_equal(w.first[1].number.value.mantissa, 703);
}

/* What is of no use goes back by itself; what waits beside it stays, and is answered. */
static void test_rejected_by_the_taker(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	phd_manager_reject(&w.m);
	hear(&w, NULL, NULL); /* no report yet */
	say(&w, BP_OF("0001", "0101"));
	say(&w, BP_OF("0002", "0101"));
	phd_manager_reject(&w.m);
	hear(&w, RORJ_OF("0002", "012F"), NULL);
	phd_manager_reject(&w.m);
	hear(&w, NULL, NULL); /* once */
	assert_int_equal(w.m.n_uncommitted, 2);
	say(&w, BP_OF("0003", "0100"));
	phd_manager_reject(&w.m);
	hear(&w, NULL, NULL); /* it asked for no answer */
	assert_int_equal(w.m.n_uncommitted, 2);
	phd_manager_committed(&w.m, 0);
	hear(&w, CONFIRM_OF("0001"), NULL);
	phd_manager_reject(&w.m);
	hear(&w, NULL, NULL);
	assert_int_equal(w.m.counts.rejected_reports, 2);
	assert_int_equal(w.m.state, PHD_OPERATING);
}

static void test_agent_insists(void **state)
{
	struct world w;

	(void)state;
	operate(&w);
	for (unsigned int i = 0; i < PHD_REJECTS_MAX; i++) {
		say(&w, BP_OF("0001", "0101"));
		phd_manager_reject(&w.m);
		hear(&w, RORJ_OF("0001", "012F"), NULL);
	}
	/* one that is answered begins the count again */
	say(&w, BP_OF("0002", "0101"));
	phd_manager_committed(&w.m, 0);
	hear(&w, CONFIRM_OF("0002"), NULL);
	for (unsigned int i = 0; i < PHD_REJECTS_MAX; i++) {
		say(&w, BP_OF("0001", "0101"));
		phd_manager_reject(&w.m);
		hear(&w, RORJ_OF("0001", "012F"), NULL);
	}
	say(&w, BP_OF("0001", "0101"));
	phd_manager_reject(&w.m);
	hear(&w, ABRT_OF("0000"), NULL);
	assert_int_equal(w.m.state, PHD_UNASSOCIATED);
	/* and so does a new association */
	say(&w, AARQ_BP);
	w.n_sent = 0;
	say(&w, BP_OF("0001", "0101"));
	phd_manager_reject(&w.m);
	hear(&w, RORJ_OF("0001", "012F"), NULL);
}

static void test_association(void **state)
{
	static const struct {
		const char *aarq, *aare;
	} rows[] = {
		{ AARQ_OF("80000002", "00000000", "02BC"), AARE_OF("0000", "80000000") },
		{ AARQ_OF("C0000000", "00000000", "02BC"), AARE_OF("0000", "80000000") },
		{ AARQ_OF("40000000", "00000000", "02BC"), AARE_OF("0005", "00000000") },
		{ AARQ_OF("80000000", "00000000", "0000"), AARE_OF("0001", "00000000") },
		{ AARQ_OF("80000000", "00000000", "8000"), AARE_OF("0001", "00000000") },
		{ AARQ_OF("80000000", "00000000", "7FFF"), AARE_OF("0003", "80000000") },
		{ "E200 000C 80000000 0001 0004 FFFF 0000", "E300 0006 0004 0000 0000" },
		{ "E200 000C 40000000 0001 0004 FFFF 0000", "E300 0006 0008 0000 0000" },
		{ "E200 0002 8000", ABRT_OF("0000") },
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&w);
		say(&w, rows[i].aarq);
		assert_true(w.n_sent > 0);
		w.n_sent = 1;
		hear(&w, rows[i].aare, NULL);
	}
	begin(&w);
	say(&w, AARQ_OF("80000000", "20000000", "02BC"));
	say(&w, BP_OF("0001", "0101"));
	assert_int_equal(w.n_test, 2);
}

static void test_extended_config(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	hear(&w, AARE_OF("0003", "80000000"), NULL);
	/* no data before the configuration is known */
	say(&w, BP_OF("0001", "0101"));
	hear(&w, ROER_OF("0001", "0001"), NULL);
	say(&w, CONFIG_4000);
	hear(&w, CONFIG_RESPONSE("0009", "4000", "0000"), GET_MDS);
	assert_int_equal(w.m.state, PHD_OPERATING);
	say(&w, "E700 002A 0028 0002 0101 0022 0000 FFFFFFFF 0D1D 0018 F000 0000 0001 0010"
		"0001 000C FF0002BE" STAMP);
	assert_int_equal(w.n_observations, 1);
	assert_int_equal(w.last.values[0].number.value.mantissa, 702);
	assert_int_equal(w.last.values[0].number.value.exponent, -1);
	/* known from now on */
	phd_manager_disconnected(&w.m);
	phd_manager_connected(&w.m);
	w.n_sent = 0;
	say(&w, AARQ_OTHER);
	assert_memory_equal(w.sent[0] + 4, "\0\0", 2);
	assert_int_equal(w.m.state, PHD_OPERATING);
}

static void test_config_flood(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	w.n_sent = 0;
	for (int i = 0; i < PHD_CONFIG_ATTEMPTS; i++) {
		say(&w, "E700 0018 0016 0009 0101 0010 0000 FFFFFFFF 0D1C 0006 4000 0000 0000");
		hear(&w, CONFIG_RESPONSE("0009", "4000", "0001"), NULL);
	}
	say(&w, "E700 0018 0016 0009 0101 0010 0000 FFFFFFFF 0D1C 0006 4000 0000 0000");
	hear(&w, ABRT_OF("0000"), NULL);
	assert_int_equal(w.m.state, PHD_UNASSOCIATED);
}

static void test_timeouts(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	say(&w, AARQ_OTHER);
	w.n_sent = 0;
	assert_true(phd_manager_deadline(&w.m) == 1000 + PHD_CONFIG_TIMEOUT_US);
	phd_manager_timeout(&w.m, 1000 + PHD_CONFIG_TIMEOUT_US - 1);
	hear(&w, NULL, NULL);
	phd_manager_timeout(&w.m, 1000 + PHD_CONFIG_TIMEOUT_US);
	hear(&w, ABRT_OF("0003"), NULL);
	begin(&w);
	say(&w, AARQ_BP);
	w.n_sent = 0;
	phd_manager_timeout(&w.m, 1000 + PHD_RESPONSE_TIMEOUT_US);
	hear(&w, ABRT_OF("0002"), NULL);
	operate(&w);
	phd_manager_release(&w.m, 0);
	hear(&w, "E400 0002 0000", NULL);
	phd_manager_timeout(&w.m, PHD_RELEASE_TIMEOUT_US);
	hear(&w, ABRT_OF("0002"), NULL);
}

/* ---- every state with every APDU ---- */

static void bring(struct world *w, enum phd_state state)
{
	begin(w);
	if (state == PHD_DISCONNECTED)
		phd_manager_disconnected(&w->m);
	else if (state == PHD_CONFIGURING)
		say(w, AARQ_OTHER);
	else if (state != PHD_UNASSOCIATED)
		operate(w);
	if (state == PHD_RELEASING)
		phd_manager_release(&w->m, 0);
	w->n_sent = 0;
	assert_int_equal(w->m.state, state);
}

static void connect(struct world *w)
{
	phd_manager_connected(&w->m);
}

static void disconnect(struct world *w)
{
	phd_manager_disconnected(&w->m);
}

static void wait(struct world *w)
{
	phd_manager_timeout(&w->m, phd_manager_deadline(&w->m));
}

static void release(struct world *w)
{
	phd_manager_release(&w->m, 1000);
}

static void commit(struct world *w)
{
	phd_manager_committed(&w->m, 1000);
}

#define PIECE                                                                               \
	"E700 002C 002A 0009 0101 0024 0003 FFFFFFFF 0D21 001A 0007 00000000 00000001 8000" \
	"000C 2026071508301550 FF0002BE"

/*
 * Everything that can happen, in every state. What is answered: nothing, ABRT (a), RLRE (r), RLRQ
 * (q), other (o); and the state after it, as digits of enum phd_state.
 */
static const struct {
	const char *name, *apdu;
	void (*act)(struct world *w);
	const char *answers, *states; /* by state before */
} MATRIX[] = {
	{ "AARQ", AARQ_BP, NULL, "-oaaa", "03111" },
	{ "AARE", AARE_OF("0000", "80000000"), NULL, "-aaaa", "01111" },
	{ "RLRQ", "E400 0002 0000", NULL, "-arrr", "01114" },
	{ "RLRE", "E500 0002 0000", NULL, "--aa-", "01111" },
	{ "ABRT", "E600 0002 0000", NULL, "-----", "01111" },
	{ "confirmed report", BP_OF("0001", "0101"), NULL, "-ao--", "01234" },
	{ "unconfirmed report", BP_OF("0001", "0100"), NULL, "-a---", "01234" },
	{ "configuration", CONFIG_4000, NULL, "-aoo-", "01334" },
	{ "piece of a store", PIECE, NULL, "-aoo-", "01234" },
	{ "unknown event", "E700 0012 0010 0004 0101 000A 0000 FFFFFFFF 0FFF 0000", NULL, "-aoo-",
	  "01234" },
	{ "get", GET_MDS, NULL, "-aoo-", "01234" },
	{ "set", "E700 0016 0014 0002 0104 000E 0014 0001 0008 0000 0953 0002 0001", NULL, "-a---",
	  "01234" },
	{ "confirmed set", "E700 0016 0014 0002 0105 000E 0014 0001 0008 0000 0953 0002 0001", NULL,
	  "-aoo-", "01234" },
	{ "action", "E700 0010 000E 0003 0106 0008 0003 0C1C 0002 0007", NULL, "-a---", "01234" },
	{ "confirmed action", "E700 0010 000E 0003 0107 0008 0003 0C1C 0002 0007", NULL, "-aoo-",
	  "01234" },
	{ "event response", CONFIRM_OF("0001"), NULL, "-a---", "01234" },
	{ "get response", MDS_ANSWER, NULL, "-a---", "01234" },
	{ "set response", "E700 0014 0012 0002 0205 000C 0014 0001 0006 0953 0002 0001", NULL,
	  "-a---", "01234" },
	{ "action response", "E700 0012 0010 0003 0207 000A 0003 0C1C 0004 0007 0000", NULL,
	  "-a---", "01234" },
	{ "error", ROER_OF("0001", "0009"), NULL, "-a---", "01234" },
	{ "reject", RORJ_OF("0001", "0002"), NULL, "-a---", "01234" },
	{ "no operation", "E700 0008 0006 0005 0102 0000", NULL, "-aooa", "01231" },
	{ "broken confirmed report", "E700 0012 0010 0006 0101 000A 0000 FFFFFFFF 0D1D 0009", NULL,
	  "-aooa", "01231" },
	{ "broken unconfirmed report", "E700 0012 0010 0006 0100 000A 0000 FFFFFFFF 0D1D 0009",
	  NULL, "-a--a", "01231" },
	{ "presentation of nothing", "E700 0002 0000", NULL, "-aaaa", "01111" },
	{ "no APDU", "E800 0000", NULL, "-aaaa", "01111" },
	{ "no bytes", "", NULL, "-aaaa", "01111" },
	{ "transport up", NULL, connect, "-----", "11234" },
	{ "transport down", NULL, disconnect, "-----", "00000" },
	{ "time-out", NULL, wait, "--a-a", "01131" },
	{ "we release", NULL, release, "--qq-", "01444" },
	{ "commit", NULL, commit, "-----", "01234" },
};

static void check_cell(size_t row, unsigned int s)
{
	static const uint8_t kinds[] = { ['a'] = 0xe6, ['r'] = 0xe5, ['q'] = 0xe4 };
	char answer = MATRIX[row].answers[s];
	struct world w;

	bring(&w, (enum phd_state)s);
	if (MATRIX[row].act)
		MATRIX[row].act(&w);
	else
		say(&w, MATRIX[row].apdu);
	if (w.m.state != (enum phd_state)(MATRIX[row].states[s] - '0'))
		fail_msg("%s in state %u: now %d", MATRIX[row].name, s, (int)w.m.state);
	if (answer == '-' && w.n_sent != 0)
		fail_msg("%s in state %u: answered", MATRIX[row].name, s);
	if (answer == 'o' && (w.n_sent == 0 || w.sent[0][0] == 0xe6))
		fail_msg("%s in state %u: aborted or not answered", MATRIX[row].name, s);
	if (answer != '-' && answer != 'o' &&
	    (w.n_sent != 1 || w.sent[0][0] != kinds[(unsigned char)answer]))
		fail_msg("%s in state %u: %zu answers", MATRIX[row].name, s, w.n_sent);
	if (w.n_observations != (s == PHD_OPERATING && (row == 5 || row == 6) ? 2U : 0U))
		fail_msg("%s in state %u: observations", MATRIX[row].name, s);
}

static void test_matrix(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(MATRIX) / sizeof(MATRIX[0]); i++) {
		for (unsigned int s = 0; s < PHD_STATES; s++)
			check_cell(i, s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confirmed_after_commit),
		cmocka_unit_test(test_commit_too_late),
		cmocka_unit_test(test_malformed_reports),
		cmocka_unit_test(test_many_reports),
		cmocka_unit_test(test_long_reports),
		cmocka_unit_test(test_unit_within_report),
		cmocka_unit_test(test_rejected_by_the_taker),
		cmocka_unit_test(test_agent_insists),
		cmocka_unit_test(test_association),
		cmocka_unit_test(test_extended_config),
		cmocka_unit_test(test_config_flood),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
