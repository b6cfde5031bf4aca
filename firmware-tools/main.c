/* wellgate-firmware. Each subcommand is one file and one row of commands.def. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "firmware-tools/tool.h"

struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND(name, help) { #name, help, tool_##name },
#include "firmware-tools/commands.def"
#undef COMMAND
	{ NULL, NULL, NULL },
};

int tool_fail(const char *name, enum tool_exit code, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "wellgate-firmware %s: ", name);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return (int)code;
}

int tool_end(const char *name, int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return tool_fail(name, TOOL_IO, "cannot write the output: %s", strerror(errno));
}

static int read_all(int fd, uint8_t *data, size_t len)
{
	size_t have = 0;

	while (have < len) {
		const ssize_t n = read(fd, data + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		have += (size_t)n;
	}
	return 0;
}

int tool_read_file(const char *name, const char *path, size_t max, uint8_t **ret, size_t *ret_len)
{
	/* non-blocking: a pipe that nobody writes to is refused, not waited for */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint8_t *data;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return tool_fail(name, TOOL_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return tool_fail(name, TOOL_IO, "%s is not a file", path);
	if ((uint64_t)st.st_size > max)
		return tool_fail(name, TOOL_DATA, "%s is larger than any that this reads", path);
	data = calloc(1, (size_t)st.st_size + 1);
	if (!data)
		return tool_fail(name, TOOL_UNAVAILABLE, "no memory");
	r = read_all(fd, data, (size_t)st.st_size);
	if (r < 0) {
		free(data);
		return tool_fail(name, TOOL_IO, "%s: %s", path, strerror(-r));
	}
	*ret = data;
	*ret_len = (size_t)st.st_size;
	return 0;
}

static void usage(FILE *out)
{
	(void)fputs("usage: wellgate-firmware COMMAND [ARGUMENTS]\n\n", out);
	for (const struct command *c = commands; c->name; c++)
		(void)fprintf(out, "  %-10s %s\n", c->name, c->help);
	(void)fputs("\nEach command explains itself with --help.\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return TOOL_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return tool_end("help", TOOL_GOOD);
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("wellgate-firmware " WELLGATE_VERSION);
		return tool_end("version", TOOL_GOOD);
	}
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(argv[1], c->name) == 0)
			return c->run(argc - 1, argv + 1);
	}
	(void)fprintf(stderr, "wellgate-firmware: no command \"%s\"; --help lists them\n", argv[1]);
	return TOOL_USAGE;
}
