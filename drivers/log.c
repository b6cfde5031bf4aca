#include "drivers/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* the one static of the programs: where lines go */
static struct {
	const char *program;
	enum log_level max;
	int journal;
} log_state = { "wellgate", LOG_LEVEL_INFO, 0 };

void log_open(const char *program, enum log_level max)
{
	log_state.program = program;
	log_state.max = max;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (level > log_state.max)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (log_state.journal)
		(void)fprintf(stderr, "<%d>%s\n", (int)level, line);
	else
		(void)fprintf(stderr, "%s: %s\n", log_state.program, line);
}
