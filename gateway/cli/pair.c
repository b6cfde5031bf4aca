/*
 * wellgate pair: leads the operator through a pairing. The pairing itself runs in
 * wellgate-devices; this asks a few times a second how it stands, and hands over what the operator
 * says. If this ends, the gateway cancels the pairing, because nobody asks any more.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/registry.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/screen.h"

static const char usage[] =
	"usage: wellgate pair [OPTIONS]\n"
	"       wellgate pair --again DEVICE\n\n"
	"Pairs a Bluetooth device with this hub, step by step. It needs the operator once:\n"
	"afterwards the device is read by itself.\n\n"
	"  --driver NAME         only devices of this driver (wellgate-devices --list-devices)\n"
	"  --address A           only this one: 02:00:5E:10:00:01, as on its label\n"
	"  --yes                 take the device that is found, if it is the only one\n"
	"  --passkey NNNNNN      the six digits that the device shows or has on its label\n"
	"  --consent SLOT:CODE   the device's user slot, and the code that opens it\n"
	"  --register CODE       make a new user in the device, with this code of up to 4 digits\n"
	"  --via-bluetoothd      for a device that cannot be reached the direct way; bluetoothd\n"
	"                        then confirms readings before they are stored\n"
	"  --seconds N           how long to wait, 10 to 900, default 180\n"
	"  --addresses           show Bluetooth addresses, too\n"
	"  --again DEVICE        the trouble with a paired device was looked after: try it again\n"
	"  --json                events as JSON Lines; answers are lines on standard input\n"
	"  --runtime-dir DIR\n\n"
	"Exit status: 0 paired, 64 usage, 69 not paired.\n";

#define SECONDS_DEFAULT 180
#define SECONDS_MIN     10
#define SECONDS_MAX     900
#define CODE_MAX        9999
#define SLOT_MAX        254
#define SLOT_NEW        255
#define PASSKEY_DIGITS  6
#define TURN_NS         250000000
#define MS              INT64_C(1000000)
/* a single candidate must stay the only one for so long before --yes takes it */
#define ALONE_NS (3000 * MS)
/* after its time the radio has this long to say how it ended */
#define GRACE_NS (30000 * MS)

#define PHASE(name) WELLGATE__V1__PAIRING__PHASE__PHASE_##name

struct pair {
	struct client client;
	struct screen screen;
	const char *driver, *address, *again;
	bool has_passkey, has_consent, bluetoothd;
	uint32_t passkey, slot, code, seconds;

	uint64_t id;
	int64_t end_ns, alone_since_ns;
	uint32_t alone; /* number of the only candidate */
	bool used_passkey;
	bool input; /* standard input has not ended */
	char line[64];
	size_t line_len;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static int64_t now_ns(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- options ---- */

/* digits only; false if it is anything else or above max */
static bool parse_number(const char *text, uint32_t max, uint32_t *ret)
{
	const size_t len = strlen(text);
	unsigned long value;

	if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
		return false;
	value = strtoul(text, NULL, 10);
	if (value > max)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* "123456" or "123 456" */
static bool parse_passkey(const char *text, uint32_t *ret)
{
	char digits[PASSKEY_DIGITS + 1];
	size_t n = 0;

	for (; *text; text++) {
		if (isspace((unsigned char)*text))
			continue;
		if (n == PASSKEY_DIGITS)
			return false;
		digits[n++] = *text;
	}
	digits[n] = '\0';
	return n == PASSKEY_DIGITS && parse_number(digits, 999999, ret);
}

static bool parse_consent(struct pair *p, const char *text)
{
	const char *colon = strchr(text, ':');
	char slot[8];

	if (!colon || (size_t)(colon - text) >= sizeof(slot))
		return false;
	memcpy(slot, text, (size_t)(colon - text));
	slot[colon - text] = '\0';
	p->has_consent = true;
	return parse_number(slot, SLOT_MAX, &p->slot) &&
	       parse_number(colon + 1, CODE_MAX, &p->code);
}

static bool is_address(const char *text)
{
	for (size_t i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return text[17] == '\0';
}

static int wrong(const struct pair *p, const char *option, const char *what)
{
	return cli_fail(p->client.name, EXIT_USAGE, "%s takes %s", option, what);
}

/* options with a value that is checked; -1 or the exit code */
static int take_value(struct pair *p, int option, const char *value)
{
	switch (option) {
	case 'd':
		p->driver = value;
		return registry_by_name(value)
			       ? -1
			       : wrong(p, "--driver", "a name of wellgate-devices --list-devices");
	case 'a':
		p->address = value;
		return is_address(value) ? -1
					 : wrong(p, "--address", "six bytes: 02:00:5E:10:00:01");
	case 'k':
		p->has_passkey = true;
		return parse_passkey(value, &p->passkey) ? -1 : wrong(p, "--passkey", "six digits");
	case 'c':
		return parse_consent(p, value)
			       ? -1
			       : wrong(p, "--consent", "SLOT:CODE, 0 to 254 and 0 to 9999");
	case 'n':
		p->has_consent = true;
		p->slot = SLOT_NEW;
		return parse_number(value, CODE_MAX, &p->code)
			       ? -1
			       : wrong(p, "--register", "a code from 0 to 9999");
	default:
		return parse_number(value, SECONDS_MAX, &p->seconds) && p->seconds >= SECONDS_MIN
			       ? -1
			       : wrong(p, "--seconds", "a number from 10 to 900");
	}
}

/* -1 = go on, or the exit code */
static int take_option(struct pair *p, int option)
{
	switch (option) {
	case 'h':
		return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
	case 'y':
		p->screen.yes = true;
		return -1;
	case 'v':
		p->bluetoothd = true;
		return -1;
	case 'j':
		p->client.json = p->screen.json = true;
		return -1;
	case 'D':
		p->screen.addresses = true;
		return -1;
	case 'A':
		p->again = optarg;
		return -1;
	case 'r':
		p->client.runtime_dir = optarg;
		return -1;
	case '?':
		return cli_fail(p->client.name, EXIT_USAGE,
				"unknown or incomplete option; see --help");
	default:
		return take_value(p, option, optarg);
	}
}

static int parse(int argc, char **argv, struct pair *p)
{
	static const struct option options[] = {
		{ "driver", required_argument, NULL, 'd' },
		{ "address", required_argument, NULL, 'a' },
		{ "passkey", required_argument, NULL, 'k' },
		{ "consent", required_argument, NULL, 'c' },
		{ "register", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "again", required_argument, NULL, 'A' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "via-bluetoothd", no_argument, NULL, 'v' },
		{ "yes", no_argument, NULL, 'y' },
		{ "addresses", no_argument, NULL, 'D' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, code = -1;

	client_init(&p->client, argv[0]);
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		code = take_option(p, option);
	if (code < 0 && optind < argc)
		code = cli_fail(argv[0], EXIT_USAGE, "unexpected argument %s", argv[optind]);
	return code;
}

/* ---- --again ---- */

static int try_again(struct pair *p)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Device device = WELLGATE__V1__RADIO_COMMAND__DEVICE__INIT;
	struct device_choice choice;
	uint64_t request = 0;
	int error = 0, code = device_choose(&p->client, p->again, &choice);

	if (code)
		return code;
	device.has_digest = true;
	device.digest.data = choice.digest;
	device.digest.len = sizeof(choice.digest);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_RETRY;
	command.retry = &device;
	code = client_command(&p->client, &command, &request);
	if (code == 0)
		code = client_outcome(&p->client, request, &error);
	if (code == 0 && error != 0)
		return cli_fail(p->client.name, EXIT_UNAVAILABLE, "it could not be done: %s",
				strerror(error));
	if (code == 0)
		screen_say(&p->screen, "%s is tried again. wellgate devices shows how it goes.",
			   choice.name);
	return code;
}

/* ---- what the operator says ---- */

/* A command of this pairing; 0 it was taken, -1 not (and it was said), or an exit code. */
static int answer(struct pair *p, Wellgate__V1__RadioCommand *command)
{
	uint64_t request = 0;
	int error = 0, code;

	command->has_pairing = true;
	command->pairing = p->id;
	code = client_command(&p->client, command, &request);
	if (code == 0)
		code = client_outcome(&p->client, request, &error);
	p->screen.answered = code == 0 && error == 0;
	if (code || error == 0)
		return code;
	screen_say(&p->screen, error == ENOENT ? "That one is not there any more."
					       : "That came too late, or it was refused.");
	return -1;
}

static int choose(struct pair *p, uint32_t number)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;

	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_CHOOSE;
	command.choose = number;
	return answer(p, &command);
}

static int give_passkey(struct pair *p, uint32_t passkey)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;

	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PASSKEY;
	command.passkey = passkey;
	return answer(p, &command);
}

static int take_number(struct pair *p, const char *line)
{
	uint32_t number = 0;

	if (!parse_number(line, 255, &number) || !p->screen.listed[number]) {
		screen_say(&p->screen, "That is no number of this list.");
		return -1;
	}
	return choose(p, number);
}

static int take_passkey(struct pair *p, const char *line)
{
	uint32_t passkey = 0;

	if (!parse_passkey(line, &passkey)) {
		screen_say(&p->screen, "Six digits are needed.");
		return -1;
	}
	return give_passkey(p, passkey);
}

static int take_yes_or_no(struct pair *p, const char *line)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	const int first = tolower((unsigned char)line[0]);

	if (first != 'y' && first != 'n') {
		screen_say(&p->screen, "y for yes, n for no.");
		return -1;
	}
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_ANSWER;
	command.answer = first == 'y';
	return answer(p, &command);
}

static int take_line(struct pair *p, const char *line)
{
	screen_typed(&p->screen);
	if (*line == '\0')
		return -1;
	if (p->screen.phase == PHASE(LOOKING))
		return take_number(p, line);
	if (p->screen.phase == PHASE(PASSKEY))
		return take_passkey(p, line);
	return p->screen.phase == PHASE(MATCH) ? take_yes_or_no(p, line) : -1;
}

/* At most one line of what has come; an answer may be typed ahead. */
static int read_input(struct pair *p)
{
	char *end;
	ssize_t n;
	int r;

	if (!memchr(p->line, '\n', p->line_len)) {
		n = read(STDIN_FILENO, p->line + p->line_len, sizeof(p->line) - p->line_len);
		if (n <= 0) {
			p->input = n < 0 && errno == EINTR;
			return -1;
		}
		p->line_len += (size_t)n;
	}
	end = memchr(p->line, '\n', p->line_len);
	if (!end) {
		if (p->line_len == sizeof(p->line))
			p->line_len = 0; /* no answer is that long */
		return -1;
	}
	*end = '\0';
	if (end > p->line && end[-1] == '\r')
		end[-1] = '\0';
	r = take_line(p, p->line);
	p->line_len -= (size_t)(end + 1 - p->line);
	memmove(p->line, end + 1, p->line_len);
	return r;
}

/* ---- what needs no operator ---- */

/* address as of the message: "02:00:5E:10:00:01 public" */
static bool is_wanted(const struct pair *p, const Wellgate__V1__Pairing__Candidate *c)
{
	return p->address && c->address && strncasecmp(c->address, p->address, 17) == 0;
}

/* 0: none */
static uint32_t choice_of(struct pair *p, const Wellgate__V1__Pairing *m)
{
	const uint32_t alone =
		m->n_candidates == 1 && !m->candidates[0]->enrolled ? m->candidates[0]->number : 0;

	for (size_t i = 0; i < m->n_candidates; i++) {
		if (is_wanted(p, m->candidates[i]))
			return m->candidates[i]->number;
	}
	if (alone == 0 || alone != p->alone)
		p->alone_since_ns = now_ns();
	p->alone = alone;
	if (!p->screen.yes || p->address || alone == 0)
		return 0;
	return now_ns() - p->alone_since_ns >= ALONE_NS ? alone : 0;
}

/* 0, or the exit code */
static int act(struct pair *p, const Wellgate__V1__Pairing *m)
{
	int r = 0;

	if (m->phase == PHASE(LOOKING) && !p->screen.answered) {
		const uint32_t number = choice_of(p, m);

		r = number > 0 ? choose(p, number) : 0;
	} else if (m->phase == PHASE(PASSKEY) && p->has_passkey && !p->used_passkey) {
		p->used_passkey = true;
		r = give_passkey(p, p->passkey);
	}
	return r < 0 ? 0 : r;
}

/* ---- the pairing ---- */

static int begin(struct pair *p)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Pair m = WELLGATE__V1__RADIO_COMMAND__PAIR__INIT;
	char driver[64], address[20];

	if (p->driver) {
		(void)snprintf(driver, sizeof(driver), "%s", p->driver);
		m.driver = driver;
	}
	if (p->address) {
		(void)snprintf(address, sizeof(address), "%s", p->address);
		m.address = address;
	}
	m.has_consent_slot = m.has_consent_code = p->has_consent;
	m.consent_slot = p->slot;
	m.consent_code = p->code;
	m.has_bluetoothd = m.bluetoothd = p->bluetoothd;
	m.has_seconds = true;
	m.seconds = p->seconds;
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
	command.pair = &m;
	p->end_ns = now_ns() + (int64_t)p->seconds * 1000 * MS + GRACE_NS;
	return client_command(&p->client, &command, &p->id);
}

/* cancels it; returns 69 */
static int give_up(struct pair *p, const char *why)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	uint64_t request = 0;

	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL;
	command.cancel = true;
	command.has_pairing = true;
	command.pairing = p->id;
	(void)client_command(&p->client, &command, &request);
	screen_ended(&p->screen, "cancelled", why);
	return cli_fail(p->client.name, EXIT_UNAVAILABLE, "%s", why);
}

struct finding {
	const char *address;
	size_t number;
	char reference[DEVICE_REFERENCE];
};

static int find_paired(void *user, size_t number, const Wellgate__V1__DeviceInfo *d)
{
	struct finding *f = user;

	if (d->radio && d->radio->address && strcmp(d->radio->address, f->address) == 0) {
		f->number = number;
		device_reference(f->reference, d->device);
	}
	return 0;
}

static int paired(struct pair *p, const Wellgate__V1__Pairing *m)
{
	struct finding f = { .address = m->device ? m->device->address : NULL };

	if (f.address)
		(void)device_each(&p->client, NULL, find_paired, &f);
	screen_paired(&p->screen, m, f.number, f.reference);
	return client_flush(&p->client);
}

/* -1 = it goes on, or the exit code */
static int step(struct pair *p, const Wellgate__V1__Pairing *m)
{
	char reason[2 * SCREEN_LINE];
	int code;

	if (!m || m->pairing != p->id || m->phase == PHASE(NONE)) {
		screen_ended(&p->screen, "cancelled", "somebody else ended this pairing");
		return cli_fail(p->client.name, EXIT_UNAVAILABLE,
				"somebody else ended this pairing; nothing was paired");
	}
	if (m->phase == PHASE(DONE))
		return paired(p, m);
	if (m->phase == PHASE(FAILED)) {
		device_text(reason, sizeof(reason),
			    m->reason ? m->reason
				      : "It did not work. Try again, closer to this box.");
		screen_ended(&p->screen, "failed", reason);
		return cli_fail(p->client.name, EXIT_UNAVAILABLE, "nothing was paired: %s", reason);
	}
	if (m->phase != p->screen.phase)
		p->screen.answered = false;
	screen_show(&p->screen, m);
	code = act(p, m);
	return code ? code : -1;
}

/* Is there something that a line of input would answer? Before that it stays where it is. */
static bool is_asking(const struct pair *p)
{
	if (p->screen.answered)
		return false;
	if (p->screen.phase == PHASE(LOOKING))
		return p->screen.n_listed > 0;
	return p->screen.phase == PHASE(PASSKEY) || p->screen.phase == PHASE(MATCH);
}

/* -1 = go on, or the exit code */
static int wait_a_turn(struct pair *p, const sigset_t *mask)
{
	const struct timespec turn = { .tv_nsec = TURN_NS };
	const bool asking = is_asking(p);
	struct pollfd in = { .fd = asking && p->input ? STDIN_FILENO : -1, .events = POLLIN };
	int r = -1;

	if (interrupted)
		return give_up(p, "stopped by you; nothing was paired");
	if (now_ns() > p->end_ns)
		return give_up(p, "the Bluetooth program did not say how it ended; nothing was "
				  "paired. See wellgate doctor");
	if (asking && !p->input && p->screen.phase != PHASE(LOOKING))
		return give_up(p, "an answer is needed and nobody is there to give it; nothing was "
				  "paired. In a script, use --passkey");
	if (asking && memchr(p->line, '\n', p->line_len))
		r = read_input(p);
	else if (ppoll(&in, 1, &turn, mask) > 0 && (in.revents & (POLLIN | POLLHUP)))
		r = read_input(p);
	return r > 0 ? r : -1;
}

static int run(struct pair *p, const sigset_t *mask)
{
	int error = 0, code = begin(p);

	if (code == 0)
		code = client_outcome(&p->client, p->id, &error);
	if (code)
		return code;
	if (error == 0) /* else the first look at it says why */
		screen_begin(&p->screen, p->driver, p->seconds);
	code = -1;
	while (code < 0) {
		Wellgate__V1__Reply *reply = NULL;

		code = client_ask_verb(&p->client, "pairing", 0, &reply);
		if (code == 0 && reply)
			code = step(p, reply->pairing);
		wellgate__v1__reply__free_unpacked(reply, NULL);
		if (code < 0)
			code = wait_a_turn(p, mask);
	}
	return code;
}

/* Blocked but while waiting: so an answer of the gateway is never cut short. */
static void catch_signals(sigset_t *ret_mask)
{
	const struct sigaction action = { .sa_handler = on_signal };
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, ret_mask);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
}

int cmd_pair(int argc, char **argv)
{
	struct pair p = { .seconds = SECONDS_DEFAULT, .input = true };
	sigset_t mask;
	int code = parse(argc, argv, &p);

	if (code >= 0)
		return code;
	p.client.addresses = true; /* to find the one of --address, and what was paired */
	p.screen.tty = isatty(STDOUT_FILENO) == 1;
	code = client_open(&p.client);
	if (code)
		return code;
	if (p.again) {
		code = try_again(&p);
	} else {
		catch_signals(&mask);
		code = run(&p, &mask);
	}
	client_close(&p.client);
	return code;
}
