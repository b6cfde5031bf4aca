/* links: protocols */
/*
 * Decode rate of 0x2A35 and 0x2A9D on one core, against the aim of 10 million frames a second, with
 * the heap's use before and after. The frames change with each round, so that nothing is hoisted
 * out of the loop.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/weight.h"

#define FRAMES     20000000L
#define AIM        10e6
#define FRAME_KEPT 64 /* different frames */

static double cpu_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t decode_weight(const uint8_t *frame)
{
	struct gatt_weight w;

	return gatt_weight_decode(frame, 15, &w) == 0 ? w.weight.value.mantissa : 0;
}

static int64_t decode_blood_pressure(const uint8_t *frame)
{
	struct gatt_blood_pressure bp;

	return gatt_blood_pressure_decode(frame, 19, &bp) == 0 ? bp.systolic.value.mantissa : 0;
}

static void bench(const char *name, int64_t (*decode)(const uint8_t *), const uint8_t *frame,
		  size_t len)
{
	static uint8_t frames[FRAME_KEPT][20];
	int64_t sum = 0;
	size_t heap;
	double start, rate;

	for (size_t i = 0; i < FRAME_KEPT; i++) {
		for (size_t j = 0; j < len; j++)
			frames[i][j] = frame[j];
		frames[i][1] = (uint8_t)(frame[1] + i % 32);
	}
	heap = mallinfo2().uordblks;
	start = cpu_seconds();
	for (size_t i = 0; i < (size_t)FRAMES; i++)
		sum += decode(frames[i % FRAME_KEPT]);
	rate = FRAMES / (cpu_seconds() - start);
	printf("%-28s %6.1f million/s = %.1f of the aim; heap grew by %zu bytes (check %" PRId64
	       ")\n",
	       name, rate / 1e6, rate / AIM, mallinfo2().uordblks - heap, sum / FRAMES);
	if (sum == 0)
		exit(1);
}

int main(void)
{
	static const uint8_t weight[15] = { 0x0e, 0x78, 0x3e, 0xea, 0x07, 0x05, 0x0c, 0x12,
					    0x35, 0x36, 0x01, 0xee, 0x00, 0x26, 0x07 };
	static const uint8_t pressure[19] = { 0x1e, 0x7c, 0x00, 0x50, 0x00, 0x5f, 0x00,
					      0xea, 0x07, 0x05, 0x0c, 0x12, 0x35, 0x36,
					      0x48, 0x00, 0x01, 0x00, 0x00 };

	bench("weight 0x2A9D", decode_weight, weight, sizeof(weight));
	bench("blood pressure 0x2A35", decode_blood_pressure, pressure, sizeof(pressure));
	return 0;
}
