#include "gateway/cli/desk_client.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/format.h"

#define REFERENCE_LEAST 4
#define NUMBER_DIGITS   3 /* longer is a reference */
#define SENTENCE_MAX    512
#define LOCAL_STAMP     "%Y-%m-%dT%H:%M"

/* ---- options */

/* "2026-11-23T10:30" as the clock on this wall shows it, or with a Z as UTC */
static bool take_stamp(const char *text, int64_t *ret_ms)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *rest = strptime(text, LOCAL_STAMP, &tm);
	time_t t;

	if (!rest || (*rest && strcmp(rest, "Z") != 0))
		return false;
	t = *rest ? timegm(&tm) : mktime(&tm);
	*ret_ms = (int64_t)t * 1000;
	return t > 0;
}

bool desk_number(const char *text, uint64_t *ret)
{
	char *end = NULL;
	unsigned long long value;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end)
		return false;
	*ret = value;
	return true;
}

static bool take_number(const char *text, uint32_t *ret)
{
	uint64_t value = 0;

	if (!desk_number(text, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

enum { /* options of getopt_long; a mask of desk_option goes with each */
	OPT_KIND = 1,
	OPT_SLOTS,
	OPT_MEMORY,
	OPT_CLOCK,
	OPT_GUESSED,
	OPT_SUBJECT,
	OPT_SLOT,
	OPT_OWNED,
	OPT_SHARED,
	OPT_WIPED,
	OPT_MARK,
	OPT_AT,
	OPT_ALL,
	OPT_UNPAIR,
	OPT_MINUTES,
	OPT_JSON,
	OPT_DIR,
	OPT_HELP,
	OPT_END
};

static const unsigned int needs[OPT_END] = {
	[OPT_KIND] = DESK_KIND,  [OPT_SLOTS] = DESK_KIND,    [OPT_MEMORY] = DESK_KIND,
	[OPT_CLOCK] = DESK_KIND, [OPT_GUESSED] = DESK_KIND,  [OPT_SUBJECT] = DESK_SUBJECT,
	[OPT_SLOT] = DESK_SLOT,  [OPT_OWNED] = DESK_LOAN,    [OPT_SHARED] = DESK_LOAN,
	[OPT_WIPED] = DESK_LOAN, [OPT_MARK] = DESK_LOAN,     [OPT_AT] = DESK_AT,
	[OPT_ALL] = DESK_ALL,    [OPT_UNPAIR] = DESK_UNPAIR, [OPT_MINUTES] = DESK_MINUTES,
};

/* Those with a number. false: it is none. */
static bool take_numbers(struct desk_args *a, int option, const char *value)
{
	const struct {
		int option;
		bool *has;
		uint32_t *to;
	} rows[] = {
		{ OPT_SLOTS, &a->has_slots, &a->slots },
		{ OPT_MEMORY, &a->has_memory, &a->memory },
		{ OPT_SLOT, &a->has_slot, &a->slot },
		{ OPT_MARK, &a->has_mark, &a->mark },
		{ OPT_MINUTES, &a->has_minutes, &a->minutes },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].option == option)
			return *rows[i].has = take_number(value, rows[i].to);
	}
	return true;
}

static void take_flags(struct desk_args *a, int option, const char *value)
{
	const struct {
		int option;
		bool *to;
	} rows[] = {
		{ OPT_CLOCK, &a->clock },   { OPT_GUESSED, &a->guessed },  { OPT_OWNED, &a->owned },
		{ OPT_SHARED, &a->shared }, { OPT_WIPED, &a->wiped },      { OPT_ALL, &a->all },
		{ OPT_UNPAIR, &a->unpair }, { OPT_JSON, &a->client.json },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].option == option)
			*rows[i].to = true;
	}
	if (option == OPT_KIND)
		a->kind = value;
	if (option == OPT_SUBJECT)
		a->subject = value;
	if (option == OPT_DIR)
		a->client.runtime_dir = value;
}

/* -1 = go on, or the exit code */
static int take_option(struct desk_args *a, int option, const char *value, unsigned int takes)
{
	if (option <= 0 || option >= OPT_END || (needs[option] & ~takes))
		return cli_fail(a->client.name, EXIT_USAGE,
				"unknown or incomplete option; see --help");
	if (!take_numbers(a, option, value))
		return cli_fail(a->client.name, EXIT_USAGE, "%s is not a number", value);
	if (option == OPT_AT) {
		a->has_at = take_stamp(value, &a->at_ms);
		if (!a->has_at)
			return cli_fail(a->client.name, EXIT_USAGE,
					"%s is no time; write it as 2026-11-23T10:30", value);
	}
	take_flags(a, option, value);
	return -1;
}

static const struct option options[] = {
	{ "kind", required_argument, NULL, OPT_KIND },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "clock", no_argument, NULL, OPT_CLOCK },
	{ "slot-guessed", no_argument, NULL, OPT_GUESSED },
	{ "subject", required_argument, NULL, OPT_SUBJECT },
	{ "slot", required_argument, NULL, OPT_SLOT },
	{ "owned", no_argument, NULL, OPT_OWNED },
	{ "shared", no_argument, NULL, OPT_SHARED },
	{ "wiped", no_argument, NULL, OPT_WIPED },
	{ "mark", required_argument, NULL, OPT_MARK },
	{ "at", required_argument, NULL, OPT_AT },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "unpair", no_argument, NULL, OPT_UNPAIR },
	{ "minutes", required_argument, NULL, OPT_MINUTES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "runtime-dir", required_argument, NULL, OPT_DIR },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static const struct desk_verb *find_verb(const struct desk_verb *verbs, const char *name)
{
	for (const struct desk_verb *v = verbs; v->name; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

/* argv[0] is the verb here. -1 = go on, or the exit code */
static int take_words(int argc, char **argv, const char *usage, const struct desk_verb *verb,
		      struct desk_args *a)
{
	int option, code = -1;

	opterr = 0;
	optind = 1;
	while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == OPT_HELP)
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		code = take_option(a, option, optarg, verb->takes);
	}
	if (code >= 0)
		return code;
	for (int i = optind; i < argc && a->n < DESK_WORDS; i++)
		a->words[a->n++] = argv[i];
	if (a->n < verb->least || a->n > verb->most)
		return cli_fail(a->client.name, EXIT_USAGE, "%s takes something else; see --help",
				verb->name);
	return -1;
}

int desk_main(int argc, char **argv, const char *usage, const struct desk_verb *verbs)
{
	const struct desk_verb *verb = argc > 1 ? find_verb(verbs, argv[1]) : NULL;
	struct desk_args a = { 0 };
	int code;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
	if (!verb)
		return cli_fail(argv[0], EXIT_USAGE, "what is to be done? see --help");
	client_init(&a.client, argv[0]);
	code = take_words(argc - 1, argv + 1, usage, verb, &a);
	if (code >= 0)
		return code;
	code = client_open(&a.client);
	if (code == 0)
		code = verb->run(&a);
	client_close(&a.client);
	return code ? code : client_flush(&a.client);
}

/* ---- asking */

int desk_ask(struct desk_args *a, Wellgate__V1__DeskCommand *m, uint64_t after,
	     Wellgate__V1__Reply **ret)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	char verb[] = "desk";
	Wellgate__V1__Reply *reply = NULL;
	int code;

	command.verb = verb;
	command.desk = m;
	command.has_after = true;
	command.after = after;
	code = client_ask(&a->client, &command, &reply);
	if (code)
		return code;
	if (!reply || !reply->desk) {
		wellgate__v1__reply__free_unpacked(reply, NULL);
		return cli_fail(a->client.name, EXIT_UNAVAILABLE,
				"the answer says nothing; are both programs of one version?");
	}
	*ret = reply;
	return 0;
}

/* ---- devices */

struct search {
	const char *what; /* or */
	const ProtobufCBinaryData *digest;
	unsigned long number; /* 0: what is a reference or a name */
	struct desk_device found;
	size_t n;
};

static bool is_meant(const struct search *s, size_t number, const struct desk_device *d)
{
	if (s->digest)
		return s->digest->len == sizeof(d->digest) &&
		       memcmp(s->digest->data, d->digest, sizeof(d->digest)) == 0;
	if (s->number)
		return s->number == number;
	return strcasecmp(d->name, s->what) == 0 ||
	       (strlen(s->what) >= REFERENCE_LEAST &&
		strncasecmp(d->reference, s->what, strlen(s->what)) == 0);
}

static int match(void *user, size_t number, const Wellgate__V1__DeviceInfo *info)
{
	struct search *s = user;
	struct desk_device d = { .heard = true, .paired = info->radio != NULL };

	device_reference(d.reference, info->device);
	if (!d.reference[0])
		return 0;
	memcpy(d.digest, info->device->serial_digest.data, sizeof(d.digest));
	device_name(d.name, info);
	device_text(d.driver, sizeof(d.driver), info->device->driver);
	if (!is_meant(s, number, &d))
		return 0;
	d.can_wipe = info->radio && info->radio->can_wipe;
	d.wipe_asked = info->radio && info->radio->wipe_asked;
	s->found = d;
	s->n++;
	return 0;
}

static void match_listed(struct search *s, const ProtobufCBinaryData *digest)
{
	struct desk_device d = { .heard = false };

	if (digest->len != sizeof(d.digest))
		return;
	memcpy(d.digest, digest->data, sizeof(d.digest));
	format_hex(d.reference, d.digest, sizeof(d.digest));
	(void)snprintf(d.name, sizeof(d.name), "device %.8s", d.reference);
	if (!is_meant(s, 0, &d))
		return;
	s->found = d;
	s->n++;
}

/* Those that were not heard since the start, but are in the list of the registry. */
static int search_list(struct desk_args *a, struct search *s)
{
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	Wellgate__V1__DeskCommand__ListLoans list = WELLGATE__V1__DESK_COMMAND__LIST_LOANS__INIT;
	uint64_t after = 0;
	bool more = true;

	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_LIST;
	m.list = &list;
	for (unsigned int i = 0; i < DESK_PAGES && more; i++) {
		Wellgate__V1__Reply *reply = NULL;
		const int code = desk_ask(a, &m, after, &reply);

		if (code || !reply)
			return code;
		for (size_t k = 0; k < reply->desk->n_devices; k++)
			match_listed(s, &reply->desk->devices[k]->device);
		more = reply->more && reply->desk->next > after;
		after = reply->desk->next;
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	return 0;
}

static int search(struct desk_args *a, struct search *s)
{
	int code = device_each(&a->client, NULL, match, s);

	if (code == 0 && s->n == 0)
		code = search_list(a, s);
	return code;
}

int desk_device_quiet(struct desk_args *a, const char *what, struct desk_device *ret)
{
	const size_t len = strlen(what);
	struct search s = { .what = what };
	int code;

	if (len > 0 && len <= NUMBER_DIGITS && strspn(what, "0123456789") == len)
		s.number = strtoul(what, NULL, 10);
	code = search(a, &s);
	if (code == 0 && s.n != 1)
		return -1;
	if (code == 0)
		*ret = s.found;
	return code;
}

int desk_device(struct desk_args *a, const char *what, struct desk_device *ret)
{
	const int code = desk_device_quiet(a, what, ret);

	return code >= 0 ? code
			 : cli_fail(a->client.name, EXIT_USAGE, "%s",
				    words_text(WORDS_EN, WORDS_DEVICE_WHICH));
}

int desk_device_of(struct desk_args *a, const ProtobufCBinaryData *digest, struct desk_device *ret)
{
	struct search s = { .digest = digest };
	int code = device_each(&a->client, NULL, match, &s);

	if (code)
		return code;
	if (s.n == 0)
		match_listed(&s, digest);
	*ret = s.found;
	return 0;
}

int desk_wipe(struct desk_args *a, struct desk_device *d, int *ret_error)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Device device = WELLGATE__V1__RADIO_COMMAND__DEVICE__INIT;
	uint64_t request = 0;
	int code;

	device.has_digest = true;
	device.digest = (ProtobufCBinaryData){ sizeof(d->digest), d->digest };
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_WIPE;
	command.wipe = &device;
	code = client_command(&a->client, &command, &request);
	return code ? code : client_outcome(&a->client, request, ret_error);
}

void desk_about(Wellgate__V1__DeskCommand *m, struct desk_device *d)
{
	m->has_device = true;
	m->device.data = d->digest;
	m->device.len = sizeof(d->digest);
}

/* ---- saying */

void desk_say(enum words_id id, const char *device, const char *reference, const char *number)
{
	const struct words_fill fill = { .of = { [WORDS_DEVICE] = device,
						 [WORDS_REFERENCE] = reference,
						 [WORDS_NUMBER] = number } };
	char text[SENTENCE_MAX];

	if (words_say(WORDS_EN, id, &fill, text, sizeof(text)) >= 0)
		(void)puts(text);
}

void desk_say_number(enum words_id id, const char *device, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	desk_say(id, device, NULL, text);
}

void desk_print(json_t *object)
{
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
}

static int half_byte(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool desk_bytes(const char *text, uint8_t ret[16], size_t *ret_len)
{
	const size_t len = strlen(text) / 2;

	if (strlen(text) % 2 || len == 0 || len > 16)
		return false;
	for (size_t i = 0; i < len; i++) {
		const int high = half_byte(text[2 * i]), low = half_byte(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	*ret_len = len;
	return true;
}
