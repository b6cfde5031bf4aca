/* links: protocols */
/*
 * The rate of a 66-byte blood pressure report on one core: decoded to its values, against the aim
 * of 10 million a second; and through the whole manager (decoded, checked, handed on, committed,
 * its confirmation encoded), against the aim of 2 million; with the heap's use before and after.
 */
#include <stdlib.h>

#include "protocols/ieee11073/manager.h"
#include "tests/bench/phd_bench.h"

#define REPORTS    1000000L
#define AIM_DECODE 10e6
#define AIM_FULL   2e6

struct sums {
	int64_t values;
	uint64_t sent;
};

static void add_values(struct sums *sums, const struct phd_observation *o)
{
	for (size_t i = 0; i < o->n_values; i++)
		sums->values += o->values[i].number.value.mantissa;
}

static void decode(void *user, const uint8_t *frame)
{
	struct phd_observation o;
	struct phd_report report;
	struct apdu a;

	if (apdu_decode(frame, sizeof(BENCH_REPORT), &a) < 0 ||
	    phd_report_open(&a, phd_config_standard(0x02bc), &report) < 0)
		exit(1);
	while (phd_report_next(&report, &o) == 1)
		add_values(user, &o);
}

static void on_send(void *user, const uint8_t *apdu, size_t len)
{
	(void)apdu;
	((struct sums *)user)->sent += len > 0;
}

static void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	(void)is_test;
	add_values(user, o);
}

static void on_mds(void *user, const struct phd_mds *mds)
{
	(void)user;
	(void)mds;
}

static void full(void *user, const uint8_t *frame)
{
	phd_manager_apdu(user, frame, sizeof(BENCH_REPORT), 0);
	phd_manager_committed(user, 0);
}

int main(void)
{
	static const struct phd_manager_sink sink = { on_send, on_observation, on_mds };
	static const uint8_t id[APDU_SYSTEM_ID] = { 1 };
	static struct phd_manager manager;
	struct sums decoded = { 0 }, handed = { 0 };

	phd_manager_init(&manager, &sink, &handed, NULL, id);
	phd_manager_connected(&manager);
	phd_manager_apdu(&manager, BENCH_AARQ, sizeof(BENCH_AARQ), 0);
	phd_manager_apdu(&manager, BENCH_MDS, sizeof(BENCH_MDS), 0);
	if (!phd_manager_idle(&manager))
		return 1;
	handed.sent = 0;
	bench_reports("11073 report, decoded", AIM_DECODE, REPORTS, decode, &decoded);
	bench_reports("11073 report, whole manager", AIM_FULL, REPORTS, full, &manager);
	return decoded.values == 0 || handed.values != decoded.values ||
	       handed.sent != BENCH_RUNS * REPORTS;
}
