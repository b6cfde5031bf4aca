/*
 * Small pictures of numbers, one line high: how far a goal is, how values went. Drawn with block
 * characters where the terminal is known to have them, else with ASCII. They only show; every
 * number is in the JSON. Pure, but for bars_style().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "protocols/bytes/decimal.h"

/* cells of a bar or values of a line at most; a cell takes three bytes */
#define BARS_CELLS_MAX 64
#define BARS_TEXT_MAX  (3 * BARS_CELLS_MAX + 3)

struct bars {
	bool blocks;
	unsigned int width; /* of the terminal, 40 .. 200 */
};

struct bars_value {
	bool known;
	struct decimal value;
};

/* Of stdout and the environment: the locale says UTF-8, and it is not the kernel's own console,
 * whose fonts lack most blocks. Not a terminal: 80 columns. */
struct bars bars_style(void);

/* "████▌░░░░░" or "[#####.....]": value of `of`, which is above zero. Full is only what has been
 * reached, empty only what has not begun. */
void bars_bar(const struct bars *style, struct decimal value, struct decimal of, unsigned int cells,
	      char ret[BARS_TEXT_MAX]);
/* "▂▄█·▃" or ".~# -": each value between low and high, a dot or blank where it is not known. The
 * last BARS_CELLS_MAX of them. low = high: all in the middle. */
void bars_line(const struct bars *style, const struct bars_value *values, size_t n,
	       struct decimal low, struct decimal high, char ret[BARS_TEXT_MAX]);
