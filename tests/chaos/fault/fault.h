/*
 * The page that fault.c and the script that drives it share: a file of sizeof(struct fault_page),
 * mapped. The first part is written by the script before the program starts, the rest by the
 * library. faults.py has the same offsets.
 */
#pragma once

#include <stdint.h>

#define FAULT_CALLS   65536 /* noted for each of the two threads; later ones are counted only */
#define FAULT_MODULES 64
#define FAULT_NAME    96

enum fault_thread {
	FAULT_MAIN,
	FAULT_OTHERS, /* all threads but the first: they count together */
	FAULT_THREADS,
};

enum fault_state {
	FAULT_NOT_YET,
	FAULT_HIT,
	FAULT_NO_SUCH_VARIANT, /* call number `at` does not fail like that: nothing was done */
};

struct fault_page {
	/* what to do */
	uint64_t at;      /* this call of that thread fails; the first is 1, 0 = none */
	uint64_t only;    /* bits by enum kind: no other calls are counted or fail; 0 = all are */
	uint32_t thread;  /* enum fault_thread */
	uint32_t variant; /* which of the call's ways to fail */
	uint32_t forever; /* and every later call of its kind, in any thread */
	/* what was done */
	uint32_t state; /* enum fault_state */
	uint32_t kind;  /* of the call that failed */
	int32_t error;  /* errno; 0 = it did half of its work */
	uint64_t where; /* offset of the caller in names[module] */
	uint32_t module;
	uint32_t modules;    /* how many are named */
	uint64_t last_where; /* the same of the newest call that failed: not the first if forever */
	uint32_t last_module;
	uint32_t dies; /* the program does not see an error: it gets SIGKILL before the call */
	uint64_t calls[FAULT_THREADS];
	char names[FAULT_MODULES][FAULT_NAME];
	struct fault_call {
		uint8_t kind, module;
		uint16_t ways;  /* how many ways it has to fail */
		uint32_t where; /* offset of the caller */
	} noted[FAULT_THREADS][FAULT_CALLS];
};
