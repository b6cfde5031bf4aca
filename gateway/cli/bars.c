#include "gateway/cli/bars.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	WIDTH_MIN = 40,
	WIDTH_MAX = 200,
	WIDTH_UNKNOWN = 80,
	EIGHTHS = 8,
};

/* ---- what the terminal can show */

static bool is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

struct bars bars_style(void)
{
	const char *term = getenv("TERM");
	struct winsize size = { 0 };
	struct bars style = { .width = WIDTH_UNKNOWN };

	style.blocks =
		is_utf8() && (!term || (strcmp(term, "linux") != 0 && strcmp(term, "dumb") != 0));
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		style.width = size.ws_col;
	if (style.width < WIDTH_MIN)
		style.width = WIDTH_MIN;
	if (style.width > WIDTH_MAX)
		style.width = WIDTH_MAX;
	return style;
}

/* ---- drawing */

/* value / of in steps, to the nearest; the first and the last only where they are true */
static unsigned int share(struct decimal value, struct decimal of, unsigned int steps)
{
	const struct decimal zero = { 0, 0 };
	struct decimal part;

	if (decimal_compare(value, zero) <= 0 || decimal_compare(of, zero) <= 0)
		return 0;
	if (decimal_compare(value, of) >= 0)
		return steps;
	if (decimal_scale(value, 0, (struct decimal){ steps, 0 }, of, 0, &part) < 0 ||
	    decimal_rescale(part, 0, &part) < 0 || part.mantissa < 1)
		return 1;
	return part.mantissa < steps ? (unsigned int)part.mantissa : steps - 1;
}

static char *put(char *at, const char *cell)
{
	const size_t len = strlen(cell);

	memcpy(at, cell, len + 1);
	return at + len;
}

void bars_bar(const struct bars *style, struct decimal value, struct decimal of, unsigned int cells,
	      char ret[BARS_TEXT_MAX])
{
	static const char *const parts[] = { "░", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };
	const unsigned int per_cell = style->blocks ? EIGHTHS : 1;
	unsigned int left;
	char *at = ret;

	if (cells > BARS_CELLS_MAX)
		cells = BARS_CELLS_MAX;
	left = share(value, of, cells * per_cell);
	if (!style->blocks)
		at = put(at, "[");
	for (unsigned int i = 0; i < cells; i++) {
		const unsigned int here = left < per_cell ? left : per_cell;

		at = put(at, style->blocks ? parts[here] : here ? "#" : ".");
		left -= here;
	}
	(void)put(at, style->blocks ? "" : "]");
}

/* which of the eight heights; minus low, both scales may be apart */
static unsigned int height(struct decimal value, struct decimal low, struct decimal high)
{
	struct decimal above, range;

	low.mantissa = -low.mantissa;
	if (decimal_compare(value, high) > 0)
		value = high;
	if (decimal_add(value, low, &above) < 0 || decimal_add(high, low, &range) < 0 ||
	    decimal_compare(range, (struct decimal){ 0, 0 }) <= 0)
		return EIGHTHS / 2 - 1;
	return share(above, range, EIGHTHS - 1);
}

void bars_line(const struct bars *style, const struct bars_value *values, size_t n,
	       struct decimal low, struct decimal high, char ret[BARS_TEXT_MAX])
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const ascii[] = { "_", ".", "-", "~", "=", "+", "*", "#" };
	char *at = ret;

	if (n > BARS_CELLS_MAX) {
		values += n - BARS_CELLS_MAX;
		n = BARS_CELLS_MAX;
	}
	*at = '\0';
	for (size_t i = 0; i < n; i++) {
		const unsigned int level = height(values[i].value, low, high);

		if (!values[i].known)
			at = put(at, style->blocks ? "·" : " ");
		else
			at = put(at, style->blocks ? blocks[level] : ascii[level]);
	}
}
