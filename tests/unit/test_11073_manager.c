/* links: protocols */
/*
 * Conversations with a manager, byte for byte as independent programs had them, and every state
 * with every event.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/manager.h"

#define BYTES_MAX 512
#define SENT_MAX  16

static const uint8_t MANAGER_ID[] = { 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18 };

struct world {
	struct phd_cache cache;
	struct phd_manager m;
	uint8_t sent[SENT_MAX][BYTES_MAX];
	size_t sent_len[SENT_MAX], n_sent, n_observations, n_mds, n_test;
	struct phd_observation last;
	struct phd_mds mds;
};

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	while (*hex) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < BYTES_MAX);
		ret[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += 2;
	}
	return n;
}

static void on_send(void *user, const uint8_t *apdu, size_t len)
{
	struct world *w = user;

	assert_true(w->n_sent < SENT_MAX && len <= BYTES_MAX);
	memcpy(w->sent[w->n_sent], apdu, len);
	w->sent_len[w->n_sent++] = len;
}

static void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	struct world *w = user;

	w->n_observations++;
	w->n_test += is_test;
	w->last = *o;
}

static void on_mds(void *user, const struct phd_mds *mds)
{
	struct world *w = user;

	w->n_mds++;
	w->mds = *mds;
}

static const struct phd_manager_sink SINK = { on_send, on_observation, on_mds };

static void say(struct world *w, const char *hex)
{
	uint8_t bytes[BYTES_MAX];

	phd_manager_apdu(&w->m, bytes, from_hex(hex, bytes), 1000);
}

/* the manager said exactly this since it was asked last, and nothing else */
static void hear(struct world *w, const char *first, const char *second)
{
	const char *const expected[] = { first, second };
	uint8_t bytes[BYTES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < 2 && expected[i]; i++) {
		size_t len = from_hex(expected[i], bytes);

		assert_true(w->n_sent > i);
		assert_int_equal(w->sent_len[i], len);
		assert_memory_equal(w->sent[i], bytes, len);
		n++;
	}
	assert_int_equal(w->n_sent, n);
	w->n_sent = 0;
}

#define AARQ_OF(version, units, config)                                        \
	"E200 0032 80000000 0001 002A 5079 0026" version "8000 80000000" units \
	"00800000 0008 0102030405060708" config "0001 01 00 0000 0000"
#define AARQ_BP    AARQ_OF("80000000", "00000000", "02BC")
#define AARQ_OTHER AARQ_OF("C0000000", "00000000", "4000")
#define AARE_OF(result, version)                                                      \
	"E300 002C" result "5079 0026" version "8000 80000000 00000000 80000000 0008" \
	"1112131415161718 0000 0000 00 00 0000 0000"
#define GET_MDS              "E700 000E 000C 0000 0103 0006 0000 0000 0000"
#define MDS_ANSWER           "E700 0014 0012 0000 0203 000C 0000 0001 0006 099C 0002 0055"
#define ABRT_OF(r)           "E600 0002" r
#define RORJ_OF(id, problem) "E700 000A 0008" id "0400 0002" problem
#define ROER_OF(id, error)   "E700 000C 000A" id "0300 0004" error "0000"
#define STAMP                "2026112301411650"
#define BP_OF(id, operation)                                                             \
	"E700 003E 003C" id operation "0036 0000 FFFFFFFF 0D1D 002C F000 0000 0002 0024" \
	"0001 0012 0003 0006 007B 004C 0061" STAMP "0002 000A 0055" STAMP
#define CONFIRM_OF(id) "E700 0012 0010" id "0201 000A 0000 FFFFFFFF 0D1D 0000"
#define CONFIG_4000                                                             \
	"E700 0044 0042 0009 0101 003C 0000 FFFFFFFF 0D1C 0032 4000 0001 002C"  \
	"0006 0001 0004 0024 092F 0004 0002 E140 0A46 0002 F040 0996 0002 06C3" \
	"0A55 000C 0002 0008 0A56 0004 0990 0008"
#define CONFIG_RESPONSE(id, config, result) \
	"E700 0016 0014" id "0201 000E 0000 FFFFFFFF 0D1C 0004" config result

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	phd_manager_init(&w->m, &SINK, w, &w->cache, MANAGER_ID);
	phd_manager_connected(&w->m);
}

static void operate(struct world *w)
{
	begin(w);
	say(w, AARQ_BP);
	hear(w, AARE_OF("0000", "80000000"), GET_MDS);
	say(w, MDS_ANSWER);
	hear(w, NULL, NULL);
	assert_int_equal(w->n_mds, 1);
	assert_int_equal(w->mds.battery, 85);
	assert_int_equal(w->m.state, PHD_OPERATING);
	assert_true(phd_manager_deadline(&w->m) == PHD_NO_DEADLINE);
}

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

/* what is answered: nothing, ABRT, RLRE, other; and the state after it, as digits of enum state */
static const struct {
	const char *apdu;
	const char *answers, *states; /* by state before */
} MATRIX[] = {
	{ AARQ_BP, "-oaaa", "03111" },          { AARE_OF("0000", "80000000"), "-aaaa", "01111" },
	{ "E400 0002 0000", "-arrr", "01114" }, { "E500 0002 0000", "--aa-", "01111" },
	{ "E600 0002 0000", "-----", "01111" }, { BP_OF("0001", "0101"), "-ao--", "01234" },
	{ MDS_ANSWER, "-a---", "01234" },       { "E700 0002 0000", "-aaaa", "01111" },
};

static void test_matrix(void **state)
{
	static const uint8_t kinds[] = { ['a'] = 0xe6, ['r'] = 0xe5 };
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(MATRIX) / sizeof(MATRIX[0]); i++) {
		for (unsigned int s = 0; s < PHD_STATES; s++) {
			char answer = MATRIX[i].answers[s];

			bring(&w, (enum phd_state)s);
			say(&w, MATRIX[i].apdu);
			assert_int_equal(w.m.state, MATRIX[i].states[s] - '0');
			if (answer == '-')
				assert_int_equal(w.n_sent, 0);
			else if (answer == 'o')
				assert_true(w.n_sent > 0 && w.sent[0][0] != 0xe6);
			else
				assert_true(w.n_sent == 1 &&
					    w.sent[0][0] == kinds[(unsigned char)answer]);
			assert_int_equal(w.n_observations, s == PHD_OPERATING && i == 5 ? 2 : 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confirmed_after_commit),
		cmocka_unit_test(test_commit_too_late),
		cmocka_unit_test(test_malformed_reports),
		cmocka_unit_test(test_many_reports),
		cmocka_unit_test(test_association),
		cmocka_unit_test(test_extended_config),
		cmocka_unit_test(test_config_flood),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
