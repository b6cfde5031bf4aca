#include "gateway/cli/client.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/listener.h"

#define RUNTIME_DIR   "/run/wellgate"
#define REPLY_SECONDS 30
#define PAGE_ROWS     500
#define LIMIT_DEFAULT 20
/* an outcome is asked for ten times a second, for ten seconds */
#define OUTCOME_PAUSE_NS 100000000
#define OUTCOME_TURNS    100

/* -1 = it was one of ours, or an exit code */
static int take_option(struct client *c, int option, const char *value)
{
	char *end = NULL;
	uint64_t number = 0;

	if (option == 'l' || option == 'a') {
		errno = 0;
		number = strtoull(value, &end, 10);
		if (errno || *end || end == value || *value == '-')
			return cli_fail(c->name, EXIT_USAGE, "%s is not a number", value);
	}
	switch (option) {
	case 'r':
		c->runtime_dir = value;
		return -1;
	case 'j':
		c->json = true;
		return -1;
	case 'l':
		c->limit = number;
		return -1;
	case 'a':
		c->after = number;
		return -1;
	case 'f':
		c->format = value;
		return -1;
	case 'o':
		c->output = value;
		return -1;
	case 'd':
		c->addresses = true;
		return -1;
	case 'A':
		c->all = true;
		return -1;
	default:
		return cli_fail(c->name, EXIT_USAGE, "unknown or incomplete option; see --help");
	}
}

static bool is_taken(int option, unsigned int takes)
{
	const char *page = strchr("la", option), *file = strchr("fo", option);

	return (option != 'd' || (takes & CLIENT_ADDRESSES)) &&
	       (option != 'A' || (takes & CLIENT_ALL)) &&
	       (option != 'j' || (takes & CLIENT_JSON)) && (!page || (takes & CLIENT_PAGE)) &&
	       (!file || (takes & CLIENT_EXPORT));
}

void client_init(struct client *c, const char *name)
{
	const char *runtime_dir = getenv("WELLGATE_RUNTIME_DIR");

	*c = (struct client){ .name = name, .fd = -1, .limit = LIMIT_DEFAULT };
	c->runtime_dir = runtime_dir && *runtime_dir ? runtime_dir : RUNTIME_DIR;
}

int client_arguments(int argc, char **argv, unsigned int takes, const char *usage,
		     struct client *ret)
{
	static const struct option options[] = {
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "limit", required_argument, NULL, 'l' },
		{ "after", required_argument, NULL, 'a' },
		{ "format", required_argument, NULL, 'f' },
		{ "output", required_argument, NULL, 'o' },
		{ "addresses", no_argument, NULL, 'd' },
		{ "all", no_argument, NULL, 'A' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, code = -1;

	client_init(ret, argv[0]);
	ret->limit = takes & CLIENT_EXPORT ? UINT64_MAX : LIMIT_DEFAULT;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return EXIT_GOOD;
		}
		code = take_option(ret, is_taken(option, takes) ? option : '?', optarg);
	}
	if (code < 0 && optind < argc)
		code = cli_fail(argv[0], EXIT_USAGE, "unexpected argument %s", argv[optind]);
	return code;
}

int client_open(struct client *c)
{
	const struct timeval patience = { .tv_sec = REPLY_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	const int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock",
				 c->runtime_dir);

	if (len < 0 || (size_t)len >= sizeof(address.sun_path))
		return cli_fail(c->name, EXIT_USAGE, "%s is too long a path", c->runtime_dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cli_fail(c->name, EXIT_UNAVAILABLE, "no socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return cli_fail(c->name, EXIT_UNAVAILABLE,
				"the gateway does not answer at %s (%s); is wellgated running?",
				address.sun_path, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	c->fd = take_fd(&fd);
	return 0;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

/* NULL: it was said why not */
static Wellgate__V1__Reply *receive(const struct client *c)
{
	_cleanup_free_ uint8_t *packet = malloc(LISTENER_PACKET_MAX);
	Wellgate__V1__Reply *reply = NULL;
	ssize_t n = -1;

	if (packet)
		n = recv(c->fd, packet, LISTENER_PACKET_MAX, MSG_TRUNC);
	if (n <= 0) {
		(void)cli_fail(c->name, EXIT_UNAVAILABLE, "the gateway gave no answer: %s",
			       n < 0 ? strerror(errno) : "it ended the connection");
		return NULL;
	}
	if ((size_t)n <= LISTENER_PACKET_MAX)
		reply = wellgate__v1__reply__unpack(NULL, (size_t)n, packet);
	if (!reply)
		(void)cli_fail(c->name, EXIT_UNAVAILABLE,
			       "the answer cannot be read; are both programs of one version?");
	return reply;
}

static int send_command(const struct client *c, const Wellgate__V1__Command *command)
{
	const size_t len = wellgate__v1__command__get_packed_size(command);
	uint8_t *packet;
	int r = 0;

	if (len > LISTENER_PACKET_MAX)
		return cli_fail(c->name, EXIT_USAGE, "the command is too long");
	packet = malloc(len + 1);
	if (!packet)
		return cli_fail(c->name, EXIT_UNAVAILABLE, "no memory");
	(void)wellgate__v1__command__pack(command, packet);
	if (send(c->fd, packet, len, MSG_NOSIGNAL) < 0)
		r = cli_fail(c->name, EXIT_UNAVAILABLE, "the gateway does not listen: %s",
			     strerror(errno));
	free(packet);
	return r;
}

int client_ask(struct client *c, const Wellgate__V1__Command *command, Wellgate__V1__Reply **ret)
{
	Wellgate__V1__Reply *reply;
	int code = send_command(c, command);

	if (code != 0)
		return code;
	reply = receive(c);
	if (!reply)
		return EXIT_UNAVAILABLE;
	if (reply->code != 0) {
		code = reply->code == EXIT_USAGE || reply->code == EXIT_DATA ||
				       reply->code == EXIT_UNAVAILABLE
			       ? reply->code
			       : EXIT_IO;
		(void)cli_fail(c->name, (enum exit_code)code, "%s",
			       reply->error ? reply->error : "the gateway could not do it");
		wellgate__v1__reply__free_unpacked(reply, NULL);
		return code;
	}
	*ret = reply;
	return 0;
}

static char *verb_text(const char *verb)
{
	return (char *)(uintptr_t)verb; /* protobuf-c has no const; packing only reads */
}

int client_ask_verb(struct client *c, const char *verb, uint64_t after, Wellgate__V1__Reply **ret)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;

	command.verb = verb_text(verb);
	command.has_after = true;
	command.after = after;
	command.has_addresses = command.addresses = c->addresses;
	return client_ask(c, &command, ret);
}

int client_command(struct client *c, Wellgate__V1__RadioCommand *radio, uint64_t *ret)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	int code;

	command.verb = verb_text("radio");
	command.radio = radio;
	code = client_ask(c, &command, &reply);
	if (code == 0 && reply)
		*ret = reply->request;
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

int client_outcome(struct client *c, uint64_t request, int *ret_error)
{
	const struct timespec pause = { .tv_nsec = OUTCOME_PAUSE_NS };
	bool known = false;
	int code = 0;

	for (unsigned int i = 0; i < OUTCOME_TURNS && code == 0 && !known; i++) {
		Wellgate__V1__Reply *reply = NULL;

		code = client_ask_verb(c, "outcome", request, &reply);
		known = code == 0 && reply && reply->outcome;
		if (known)
			*ret_error = reply->outcome->error;
		else if (code == 0)
			(void)nanosleep(&pause, NULL);
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	if (code == 0 && !known)
		return cli_fail(c->name, EXIT_UNAVAILABLE,
				"the Bluetooth program (wellgate-devices) does not answer");
	return code;
}

int client_ask_once(struct client *c, const char *verb, Wellgate__V1__Reply **ret)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	int code = client_open(c);

	command.verb = verb_text(verb);
	if (code == 0)
		code = client_ask(c, &command, ret);
	client_close(c);
	return code;
}

/* Was it replaced or retracted since? */
static bool is_hidden(const Wellgate__V1__Reply *reply, uint64_t sequence)
{
	for (size_t i = 0; i < reply->n_hidden; i++) {
		if (reply->hidden[i] == sequence)
			return true;
	}
	return false;
}

/* one page; *ret_more says whether to come again */
static int each_of_page(struct client *c, const Wellgate__V1__Reply *reply,
			int (*fn)(void *user, const Wellgate__V1__Reading *reading,
				  const char *hub),
			void *user, bool *ret_more)
{
	for (size_t i = 0; i < reply->n_readings && c->limit > 0; i++) {
		int code;

		c->after = reply->readings[i]->sequence;
		c->hidden = is_hidden(reply, c->after);
		if (c->hidden && !c->all)
			continue;
		code = fn(user, reply->readings[i], reply->hub);
		if (code)
			return code;
		if (c->limit != UINT64_MAX)
			c->limit--;
	}
	*ret_more = reply->more && reply->n_readings > 0 && c->limit > 0;
	return 0;
}

int client_each_reading(struct client *c,
			int (*fn)(void *user, const Wellgate__V1__Reading *reading,
				  const char *hub),
			void *user)
{
	bool more = true;
	int code = client_open(c);

	while (code == 0 && more) {
		Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
		Wellgate__V1__Reply *reply = NULL;

		command.verb = verb_text("readings");
		command.has_after = command.has_limit = true;
		command.after = c->after;
		command.limit = c->limit < PAGE_ROWS ? (uint32_t)c->limit : PAGE_ROWS;
		code = client_ask(c, &command, &reply);
		if (code == 0 && reply) {
			code = each_of_page(c, reply, fn, user, &more);
			wellgate__v1__reply__free_unpacked(reply, NULL);
		}
	}
	client_close(c);
	return code;
}

int client_flush(const struct client *c)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_GOOD;
	return cli_fail(c->name, EXIT_IO, "cannot write the output: %s", strerror(errno));
}
