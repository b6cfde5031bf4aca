/* links: protocols */
/*
 * The rate of a 66-byte blood pressure report on one core: decoded to its values, against the aim
 * of 10 million a second; and through the whole manager (decoded, checked, handed on, committed,
 * its confirmation encoded), against the aim of 2 million; with the heap's use before and after.
 * The frames change with each round, so that nothing is hoisted out of the loop.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocols/ieee11073/manager.h"

#define ROUNDS     10000000L
#define FRAME_KEPT 64 /* different frames */
#define AIM_DECODE 10e6
#define AIM_FULL   2e6

static const uint8_t REPORT[66] = {
	0xe7, 0x00, 0x00, 0x3e, 0x00, 0x3c, 0x00, 0x00, 0x01, 0x01, 0x00, 0x36, 0x00, 0x00,
	0xff, 0xff, 0xff, 0xff, 0x0d, 0x1d, 0x00, 0x2c, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02,
	0x00, 0x24, 0x00, 0x01, 0x00, 0x12, 0x00, 0x03, 0x00, 0x06, 0x00, 0x7b, 0x00, 0x4c,
	0x00, 0x61, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50, 0x00, 0x02, 0x00, 0x0a,
	0x00, 0x55, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50,
};
static const uint8_t AARQ[54] = {
	0xe2, 0x00, 0x00, 0x32, 0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x2a, 0x50, 0x79,
	0x00, 0x26, 0x80, 0x00, 0x00, 0x00, 0x80, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	0x07, 0x08, 0x02, 0xbc, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t MDS[] = { 0xe7, 0, 0, 14, 0, 12, 0, 0, 2, 3, 0, 6, 0, 0, 0, 0, 0, 0 };

static uint8_t frames[FRAME_KEPT][sizeof(REPORT)];

struct sums {
	int64_t values;
	uint64_t sent;
};

static double cpu_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_values(struct sums *sums, const struct phd_observation *o)
{
	for (size_t i = 0; i < o->n_values; i++)
		sums->values += o->values[i].number.value.mantissa;
}

static void decode(const uint8_t *frame, struct sums *sums)
{
	struct phd_observation o;
	struct phd_report report;
	struct apdu a;

	if (apdu_decode(frame, sizeof(REPORT), &a) < 0 ||
	    phd_report_open(&a, phd_config_standard(0x02bc), &report) < 0)
		exit(1);
	while (phd_report_next(&report, &o) == 1)
		add_values(sums, &o);
}

static void on_send(void *user, const uint8_t *apdu, size_t len)
{
	((struct sums *)user)->sent += len + apdu[7];
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

static struct phd_manager manager;

static void full(const uint8_t *frame, struct sums *sums)
{
	(void)sums;
	phd_manager_apdu(&manager, frame, sizeof(REPORT), 0);
	phd_manager_committed(&manager, 0);
}

static void bench(const char *name, double aim, void (*one)(const uint8_t *, struct sums *),
		  struct sums *sums)
{
	size_t heap = mallinfo2().uordblks;
	double start = cpu_seconds(), rate;

	for (long i = 0; i < ROUNDS; i++)
		one(frames[i % FRAME_KEPT], sums);
	rate = (double)ROUNDS / (cpu_seconds() - start);
	printf("%-28s %6.2f million/s = %.2f of the aim; heap grew by %zu bytes (check %" PRId64
	       " %" PRIu64 ")\n",
	       name, rate / 1e6, rate / aim, mallinfo2().uordblks - heap, sums->values / ROUNDS,
	       sums->sent / (uint64_t)ROUNDS);
	if (sums->values == 0)
		exit(1);
}

int main(void)
{
	static const struct phd_manager_sink sink = { on_send, on_observation, on_mds };
	static const uint8_t id[APDU_SYSTEM_ID] = { 1 };
	struct sums decoded = { 0 }, handed = { 0 };

	for (size_t i = 0; i < FRAME_KEPT; i++) {
		memcpy(frames[i], REPORT, sizeof(REPORT));
		frames[i][7] = (uint8_t)i;
		frames[i][39] = (uint8_t)(100 + i);
	}
	phd_manager_init(&manager, &sink, &handed, NULL, id);
	phd_manager_connected(&manager);
	phd_manager_apdu(&manager, AARQ, sizeof(AARQ), 0);
	phd_manager_apdu(&manager, MDS, sizeof(MDS), 0);
	if (!phd_manager_idle(&manager))
		return 1;
	bench("11073 report, decoded", AIM_DECODE, decode, &decoded);
	bench("11073 report, whole manager", AIM_FULL, full, &handed);
	return 0;
}
