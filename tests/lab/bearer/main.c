/* The bearer by hand, for the lab: see the README of this folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/bearer.h"

#define LINKS_MAX 8
#define LINE_SIZE 2048

struct link {
	unsigned int n;
	struct bearer *bearer;
	int64_t since;
};

struct program {
	sd_event *event;
	const char *helper;
	struct link links[LINKS_MAX];
	char line[LINE_SIZE];
	size_t len;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static long since_ms(const struct link *l)
{
	return (long)(now_ms() - l->since);
}

/* ---- events ---- */

static void on_connected(void *user, enum bearer_level level)
{
	const struct link *l = user;

	(void)printf("%u connected %d %ld\n", l->n, (int)level, since_ms(l));
}

static void on_pdu(void *user, const uint8_t *data, size_t len, enum bearer_level level)
{
	const struct link *l = user;

	(void)printf("%u pdu %d ", l->n, (int)level);
	for (size_t i = 0; i < len; i++)
		(void)printf("%02x", data[i]);
	(void)printf("\n");
}

static void on_level(void *user, enum bearer_level level)
{
	const struct link *l = user;

	(void)printf("%u level %d\n", l->n, (int)level);
}

static void on_lost(void *user, enum bearer_end end, int error)
{
	struct link *l = user;

	(void)printf("%u lost %s %d %ld\n", l->n, bearer_end_name(end), -error, since_ms(l));
	bearer_free(l->bearer);
	l->bearer = NULL;
}

/* ---- commands ---- */

static int hex(const char *text, uint8_t *ret, size_t size, size_t *ret_len)
{
	size_t n = 0;

	for (; text[0] && text[1]; text += 2) {
		const char pair[3] = { text[0], text[1], '\0' };
		char *end;

		if (n == size)
			return -EMSGSIZE;
		ret[n++] = (uint8_t)strtoul(pair, &end, 16);
		if (*end)
			return -EINVAL;
	}
	*ret_len = n;
	return text[0] ? -EINVAL : 0;
}

static int do_link(struct program *p, struct link *l, const char *arguments)
{
	const struct bearer_handlers handlers = { .connected = on_connected,
						  .pdu = on_pdu,
						  .level = on_level,
						  .lost = on_lost,
						  .user = l };
	struct bearer_options options = { .helper = p->helper, .stand_in = -1 };
	char address[BLE_ADDRESS_TEXT], type[8];
	int at = 0, r;
	char *end;
	unsigned long ask, timeout;

	if (sscanf(arguments, "%17s %7s %n", address, type, &at) != 2 || at == 0)
		return -EINVAL;
	ask = strtoul(arguments + at, &end, 10);
	timeout = strtoul(end, NULL, 10);
	if (ask < 1 || ask > 4 || timeout == 0)
		return -EINVAL;
	if (l->bearer)
		return -EEXIST;
	r = ble_address_parse(address, strcmp(type, "random") == 0 ? BLE_RANDOM : BLE_PUBLIC,
			      &options.peer);
	if (r < 0)
		return r;
	options.ask = (enum bearer_level)ask;
	options.connect_timeout_us = (int64_t)timeout * 1000;
	l->since = now_ms();
	return bearer_new(p->event, &options, &handlers, &l->bearer);
}

static int do_send(struct program *p, struct link *l, const char *arguments)
{
	uint8_t pdu[BEARER_PDU_MAX];
	size_t len = 0;
	const int r = hex(arguments, pdu, sizeof(pdu), &len);

	(void)p;
	if (r < 0)
		return r;
	return l->bearer ? bearer_send(l->bearer, pdu, len) : -ENOTCONN;
}

static int do_raise(struct program *p, struct link *l, const char *arguments)
{
	const int level = arguments[0] - '0';

	(void)p;
	if (level < 2 || level > 4)
		return -EINVAL;
	return l->bearer ? bearer_raise(l->bearer, (enum bearer_level)level) : -ENOTCONN;
}

static int do_free(struct program *p, struct link *l, const char *arguments)
{
	(void)p;
	(void)arguments;
	bearer_free(l->bearer);
	l->bearer = NULL;
	return 0;
}

static int do_quit(struct program *p, struct link *l, const char *arguments)
{
	(void)l;
	(void)arguments;
	return sd_event_exit(p->event, 0);
}

static const struct {
	const char *name;
	int (*run)(struct program *p, struct link *l, const char *arguments);
} commands[] = {
	{ "link", do_link }, { "send", do_send }, { "raise", do_raise },
	{ "free", do_free }, { "quit", do_quit },
};

static void run_line(struct program *p, const char *line)
{
	char name[16] = "", *arguments;
	unsigned long n;
	int at = 0, r = -EINVAL;

	if (sscanf(line, "%15s %n", name, &at) != 1 || at == 0)
		return;
	n = strtoul(line + at, &arguments, 10); /* none: 0 */
	if (n >= LINKS_MAX)
		return;
	arguments += strspn(arguments, " ");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(name, commands[i].name) == 0)
			r = commands[i].run(p, &p->links[n], arguments);
	}
	if (r < 0)
		(void)printf("%lu error %s %d\n", n, name, -r);
}

static int on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct program *p = userdata;
	const ssize_t n = read(fd, p->line + p->len, sizeof(p->line) - 1 - p->len);
	char *newline;

	(void)source;
	(void)revents;
	if (n <= 0)
		return 0;
	p->len += (size_t)n;
	p->line[p->len] = '\0';
	while ((newline = strchr(p->line, '\n'))) {
		const size_t used = (size_t)(newline - p->line) + 1;

		*newline = '\0';
		run_line(p, p->line);
		p->len -= used;
		memmove(p->line, p->line + used, p->len + 1);
	}
	if (p->len == sizeof(p->line) - 1)
		p->len = 0;
	return 0;
}

int main(int argc, char **argv)
{
	static struct program program;
	_cleanup_close_ int fd = -1;
	int r;

	if (argc != 3)
		return EX_USAGE;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	program.helper = argv[1];
	for (unsigned int i = 0; i < LINKS_MAX; i++)
		program.links[i].n = i;
	fd = open(argv[2], O_RDWR | O_CLOEXEC | O_NONBLOCK); /* a writer that goes is no end */
	if (fd < 0 || sd_event_default(&program.event) < 0 ||
	    sd_event_add_io(program.event, NULL, fd, EPOLLIN, on_command, &program) < 0)
		return EX_OSERR;
	(void)printf("- ready\n");
	r = sd_event_loop(program.event);
	for (unsigned int i = 0; i < LINKS_MAX; i++)
		bearer_free(program.links[i].bearer);
	(void)sd_event_unref(program.event);
	return r < 0 ? EX_OSERR : 0;
}
