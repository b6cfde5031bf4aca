/*
 * For benches of ISO/IEEE 11073-20601: what a cuff says before it reports, its report of a blood
 * pressure, and how fast something takes such reports.
 */
#pragma once

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_RUNS   9
#define BENCH_FRAMES 64 /* different ones, so that nothing is hoisted out of the loop */

/* three pressures and a pulse, each with its time; confirmed; synthetic */
static const uint8_t BENCH_REPORT[66] = {
	0xe7, 0x00, 0x00, 0x3e, 0x00, 0x3c, 0x00, 0x00, 0x01, 0x01, 0x00, 0x36, 0x00, 0x00,
	0xff, 0xff, 0xff, 0xff, 0x0d, 0x1d, 0x00, 0x2c, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02,
	0x00, 0x24, 0x00, 0x01, 0x00, 0x12, 0x00, 0x03, 0x00, 0x06, 0x00, 0x7b, 0x00, 0x4c,
	0x00, 0x61, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50, 0x00, 0x02, 0x00, 0x0a,
	0x00, 0x55, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50,
};
#define BENCH_INVOKE_ID 7  /* where its low byte stands */
#define BENCH_SYSTOLIC  39 /* and that of the number */

/* its association, of configuration 02bc, and the answer to what it is asked then */
static const uint8_t BENCH_AARQ[54] = {
	0xe2, 0x00, 0x00, 0x32, 0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x2a, 0x50, 0x79,
	0x00, 0x26, 0x80, 0x00, 0x00, 0x00, 0x80, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	0x07, 0x08, 0x02, 0xbc, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t BENCH_MDS[] = { 0xe7, 0, 0, 14, 0, 12, 0, 0, 2, 3, 0, 6, 0, 0, 0, 0, 0, 0 };

static inline double bench_cpu_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline int bench_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median and the range of BENCH_RUNS runs of so many reports each, in reports per second. */
static inline void bench_reports(const char *name, double aim, long n,
				 void (*take)(void *user, const uint8_t *report), void *user)
{
	static uint8_t frames[BENCH_FRAMES][sizeof(BENCH_REPORT)];
	const size_t heap = mallinfo2().uordblks;
	double rates[BENCH_RUNS];

	for (size_t i = 0; i < BENCH_FRAMES; i++) {
		memcpy(frames[i], BENCH_REPORT, sizeof(BENCH_REPORT));
		frames[i][BENCH_INVOKE_ID] = (uint8_t)i;
		frames[i][BENCH_SYSTOLIC] = (uint8_t)(100 + i);
	}
	for (size_t run = 0; run < BENCH_RUNS; run++) {
		const double start = bench_cpu_seconds();

		for (long i = 0; i < n; i++)
			take(user, frames[i % BENCH_FRAMES]);
		rates[run] = (double)n / (bench_cpu_seconds() - start);
	}
	qsort(rates, BENCH_RUNS, sizeof(rates[0]), bench_compare);
	printf("%-28s %6.2f million/s (%.2f to %.2f) = %.2f of the aim; heap grew by %zu bytes\n",
	       name, rates[BENCH_RUNS / 2] / 1e6, rates[0] / 1e6, rates[BENCH_RUNS - 1] / 1e6,
	       rates[BENCH_RUNS / 2] / aim, mallinfo2().uordblks - heap);
}
