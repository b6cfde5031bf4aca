/* What a fuzz target says that has to be true: it stops the run, and the input is kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MUST_UNTOUCHED 0xa5 /* fill a result with it before what may fail */

static inline void must(bool truth)
{
	if (!truth)
		abort();
}

static inline void must_be_untouched(const void *x, size_t size)
{
	const uint8_t *bytes = x;

	for (size_t i = 0; i < size; i++)
		must(bytes[i] == MUST_UNTOUCHED);
}
