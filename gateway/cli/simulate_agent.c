/*
 * wellgate simulate ieee11073-agent: a device of IEEE 11073-20601 that connects to a manager over
 * TCP, as 11073 tools do, and reports until everything was answered.
 *
 *   connect, associate, say the configuration    or again, after 50 ms, until patience is over
 *   report --> its answer                        one at a time, oldest first; forgotten once it is
 *                                                answered, sent again on the next link if not
 *   release
 *
 * What it remembers (--store) is opened by the manager, segment by segment, and is never forgotten:
 * it is there again on the next link, and printed the first time.
 *
 * What the manager answered is printed, a line of JSON each: what such a device has forgotten and
 * must therefore be found at the other end. The same sensor and seed give the same reports.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/simulate.h"
#include "protocols/capture/stamp.h"
#include "protocols/ieee11073/agent.h"
#include "protocols/ieee11073/nomenclature.h"
#include "protocols/messages/codes.h"

#define NAME "simulate"

#define COUNT_MAX      1000000
#define PATIENCE_S     60
#define ANSWER_MS      3000 /* as devices wait for the answer to a report */
#define AGAIN_MS       50
#define REFUSALS_MAX   3
#define REPORT_MAX     256
#define OBSERVATIONS   2
#define ADDRESS_MAX    256
#define MINUTE_MS      INT64_C(60000)
#define MONTH_MS       (MINUTE_MS * 60 * 24 * 30)
#define HI_EVERY       7 /* a glucose meter shows HI, and two later LO */
#define EXACT_KILOGRAM 702
#define EXTENDED_ID    0x4000
#define STORE_HANDLE   100
#define STORE_MAX      2000
#define SEGMENT_MIN    8 /* entries */
#define SEGMENTS_MAX   16
#define PIECE          16 /* entries in an event */
#define ENTRY_MAX      64
#define MAP_MAX        128

static const char usage[] =
	"usage: wellgate simulate ieee11073-agent --connect HOST:PORT --sensor SENSOR\n"
	"                [--count N] [--store N] [--extended] [--seed N] [--patience SECONDS]\n"
	"\n"
	"A simulated device of IEEE 11073-20601 that reports to a manager over TCP, for example\n"
	"that of `wellgate-devices --ieee11073-tcp`. What was answered is printed as JSON Lines.\n"
	"\n"
	"  --sensor      bloodpressure, weightscale, glucometer or pulseoximeter\n"
	"  --count N     measurements to report, default 1, or none if there is a store\n"
	"  --store N     measurements to be fetched from a store, up to 2000; implies --extended\n"
	"  --extended    a configuration that the manager does not know, and is told\n"
	"  --seed N      another device, default 1\n"
	"  --patience N  give up after so many seconds without an answer, default 60\n"
	"\n"
	"Exit status: 0 all were answered, 65 the manager refuses, 69 it is not there or silent.\n";

struct sensor;

/* measurements 0 to n - 1 */
struct memory {
	unsigned int n, n_taken;
	unsigned int per_segment;
	bool taken[STORE_MAX];
	struct phd_agent_store store;
	struct phd_agent_segment segments[SEGMENTS_MAX];
	uint8_t map[MAP_MAX];
	uint8_t *entries;
};

struct simulation {
	const struct sensor *sensor;
	const struct phd_config *config;
	struct phd_config extended;
	bool is_extended, has_count;
	struct memory memory;
	char host[ADDRESS_MAX];
	const char *port;
	uint64_t seed;
	unsigned int count, patience_s; /* count: with those of the store */

	unsigned int next; /* the oldest that was not answered; those of the store lie before */
	unsigned int attempts, refusals;
	int64_t patience_until;

	int fd;
	struct phd_agent agent;
	bool waits; /* for the answer to `next` */
	uint16_t waits_for;
	int64_t answer_until;
	bool lost, bad_output;
	size_t in_len;
	uint8_t in[APDU_MAX_FROM_MANAGER];
};

struct sensor {
	const char *name;
	uint16_t config;
	/* the observations of the i-th measurement, without their time */
	void (*measure)(const struct simulation *s, unsigned int i, struct phd_observation *o);
	size_t n_observations;
};

/* ---- what it measures ---- */

/* splitmix64, Steele, Lea and Flood 2014 */
static uint32_t chance(const struct simulation *s, unsigned int i, unsigned int which)
{
	uint64_t z = (s->seed << 32) + i * UINT64_C(16) + which + UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static int between(const struct simulation *s, unsigned int i, unsigned int which, int low,
		   int high)
{
	return low + (int)(chance(s, i, which) % (uint32_t)(high - low + 1));
}

/* what the configuration calls the n-th number of this object, in the unit it states */
static void add(const struct simulation *s, struct phd_observation *o, uint16_t handle,
		struct number number)
{
	const struct phd_object *object = phd_config_object(s->config, handle);
	uint16_t term;

	assert(o->n_values < PHD_METRICS_MAX);
	if (!object) /* each sensor has the objects that it fills */
		return;
	term = object->n_metrics > 0 ? s->config->metrics[object->first_metric + o->n_values]
				     : object->type;
	o->handle = handle;
	o->values[o->n_values++] = (struct phd_value){
		.metric = (uint32_t)object->partition << 16 | term,
		.unit = object->unit,
		.number = number,
	};
}

static void measure_pressure(const struct simulation *s, unsigned int i, struct phd_observation *o)
{
	const int systolic = between(s, i, 0, 105, 155);
	const int diastolic = systolic * 3 / 5 + between(s, i, 1, -4, 4);

	add(s, &o[0], 1, number_of(systolic, 0));
	add(s, &o[0], 1, number_of(diastolic, 0));
	add(s, &o[0], 1, number_of(diastolic + (systolic - diastolic) / 3, 0));
	add(s, &o[1], 2, number_of(between(s, i, 2, 56, 84), 0));
}

/* the first is 70.2 kg, which binary fractions cannot hold */
static void measure_weight(const struct simulation *s, unsigned int i, struct phd_observation *o)
{
	add(s, o, 1, number_of(i == 0 ? EXACT_KILOGRAM : between(s, i, 0, 600, 950), -1));
}

static void measure_glucose(const struct simulation *s, unsigned int i, struct phd_observation *o)
{
	struct number n = number_of(between(s, i, 0, 70, 180), 0);

	if (i % HI_EVERY == 1)
		n = number_absent(ABSENT_POSITIVE_INFINITY);
	else if (i % HI_EVERY == 3)
		n = number_absent(ABSENT_NEGATIVE_INFINITY);
	add(s, o, 1, n);
}

static void measure_oxygen(const struct simulation *s, unsigned int i, struct phd_observation *o)
{
	add(s, &o[0], 1, number_of(between(s, i, 0, 91, 99), 0));
	add(s, &o[1], 10, number_of(between(s, i, 1, 55, 95), 0));
}

static const struct sensor sensors[] = {
	{ "bloodpressure", 0x02bc, measure_pressure, 2 },
	{ "weightscale", 0x05dc, measure_weight, 1 },
	{ "glucometer", 0x06a4, measure_glucose, 1 },
	{ "pulseoximeter", 0x0191, measure_oxygen, 2 },
};

static const struct sensor *sensor_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(sensors) / sizeof(sensors[0]); i++) {
		if (strcmp(sensors[i].name, name) == 0)
			return &sensors[i];
	}
	return NULL;
}

/* Each seed has a month of its own, so that no two devices have a moment in common. */
static struct mder_time measured_at(const struct simulation *s, unsigned int i)
{
	const struct stamp first = { .year = 2000, .month = 1, .day = 1 };
	const struct stamp t = stamp_of_ms(stamp_to_ms(&first) +
					   (int64_t)(s->seed % 300) * MONTH_MS + i * MINUTE_MS);

	return (struct mder_time){
		.year = (uint16_t)t.year,
		.month = t.month,
		.day = t.day,
		.hour = t.hour,
		.minute = t.minute,
		.second = t.second,
	};
}

static void measure(const struct simulation *s, unsigned int i,
		    struct phd_observation ret[OBSERVATIONS])
{
	memset(ret, 0, OBSERVATIONS * sizeof(ret[0]));
	s->sensor->measure(s, i, ret);
	for (size_t k = 0; k < s->sensor->n_observations; k++) {
		ret[k].person = PHD_PERSON_UNKNOWN;
		ret[k].stamp = PHD_STAMP_GIVEN;
		ret[k].time = measured_at(s, i);
	}
}

/* ---- what it prints ---- */

static const char *metric_name(uint32_t code)
{
	for (unsigned int m = METRIC_NONE + 1; m < METRIC_END; m++) {
		if (metric_info(m)->mdc == code)
			return metric_info(m)->name;
	}
	return "unknown";
}

static const char *unit_name(uint16_t term)
{
	for (unsigned int u = UNIT_NONE + 1; u < UNIT_END; u++) {
		if (unit_info(u)->mdc == ((uint32_t)MDC_PART_DIMENSION << 16 | term))
			return unit_info(u)->ucum;
	}
	return "unknown";
}

/* numbers, or the reasons why there are none; true if there was one */
static bool print_values(const struct simulation *s, const struct phd_observation *o, bool absent)
{
	bool any = false;

	for (size_t k = 0; k < s->sensor->n_observations; k++) {
		for (size_t v = 0; v < o[k].n_values; v++) {
			const struct phd_value *value = &o[k].values[v];
			char text[DECIMAL_TEXT_MAX];

			if ((value->number.absent != ABSENT_NO) != absent)
				continue;
			(void)decimal_format(text, sizeof(text), value->number.value);
			(void)printf(absent ? "%s\"%s\":\"%s\""
					    : "%s{\"metric\":\"%s\",\"value\":\"%s\"",
				     any ? "," : "", metric_name(value->metric),
				     absent ? absent_name(value->number.absent) : text);
			if (!absent)
				(void)printf(",\"unit\":\"%s\"}", unit_name(value->unit));
			any = true;
		}
	}
	return any;
}

static void print_answered(struct simulation *s, unsigned int i, unsigned int attempts)
{
	struct phd_observation o[OBSERVATIONS];
	const struct mder_time t = measured_at(s, i);

	measure(s, i, o);
	(void)printf("{\"confirmed\":%u,\"attempts\":%u,\"device_time\":"
		     "\"%04u-%02u-%02uT%02u:%02u:%02u\",\"components\":[",
		     i + 1, attempts, t.year, t.month, t.day, t.hour, t.minute, t.second);
	(void)print_values(s, o, false);
	(void)fputs("],\"absent\":{", stdout);
	(void)print_values(s, o, true);
	(void)puts("}}");
	if (fflush(stdout) != 0)
		s->bad_output = true;
}

/* ---- what it remembers ---- */

/* The standard configuration under a number of our own; with a store, if there is one. */
static void extend(struct simulation *s)
{
	s->extended = *s->config;
	s->extended.id = EXTENDED_ID;
	if (s->memory.n > 0)
		s->extended.objects[s->extended.n_objects++] = (struct phd_object){
			.object_class = MDC_CLASS_PM_STORE,
			.handle = STORE_HANDLE,
		};
	s->config = &s->extended;
}

/* 0 or -errno of an encoder; the entries are of one length */
static int write_entries(struct simulation *s, size_t *ret_len)
{
	struct memory *m = &s->memory;
	struct phd_observation o[OBSERVATIONS];
	uint8_t entry[ENTRY_MAX];
	size_t len = 0;

	for (unsigned int i = 0; i < m->n; i++) {
		const struct mder_time t = measured_at(s, i);
		int r;

		measure(s, i, o);
		r = phd_agent_entry(s->config, &t, o, s->sensor->n_observations, entry,
				    sizeof(entry), &len);
		if (r < 0)
			return r;
		memcpy(m->entries + i * len, entry, len);
	}
	*ret_len = len;
	return 0;
}

static void divide(struct memory *m, size_t entry_len)
{
	m->per_segment = (m->n + SEGMENTS_MAX - 1) / SEGMENTS_MAX;
	if (m->per_segment < SEGMENT_MIN)
		m->per_segment = SEGMENT_MIN;
	for (unsigned int first = 0; first < m->n; first += m->per_segment) {
		const unsigned int left = m->n - first;

		m->segments[m->store.n_segments] = (struct phd_agent_segment){
			.instance = (uint16_t)(m->store.n_segments + 1),
			.n_entries = left < m->per_segment ? left : m->per_segment,
			.entry_len = entry_len,
			.entries = m->entries + first * entry_len,
		};
		m->store.n_segments++;
	}
}

static int fill_memory(struct simulation *s)
{
	struct memory *m = &s->memory;
	struct phd_observation o[OBSERVATIONS];
	uint16_t handles[OBSERVATIONS];
	size_t len;
	int r;

	m->entries = calloc(m->n, ENTRY_MAX);
	if (!m->entries)
		return -ENOMEM;
	measure(s, 0, o);
	for (size_t k = 0; k < s->sensor->n_observations; k++)
		handles[k] = o[k].handle;
	m->store = (struct phd_agent_store){
		.handle = STORE_HANDLE,
		.map = m->map,
		.segments = m->segments,
		.entries_per_event = PIECE,
	};
	r = phd_agent_entry_map(s->config, handles, s->sensor->n_observations, m->map,
				sizeof(m->map), &m->store.map_len);
	if (r == 0)
		r = write_entries(s, &len);
	if (r == 0)
		divide(m, len);
	return r;
}

/* ---- the agent ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_send(void *user, const uint8_t *apdu, size_t len)
{
	struct simulation *s = user;

	while (len > 0 && !s->lost) {
		const ssize_t n = send(s->fd, apdu, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			s->lost = true;
			return;
		}
		apdu += n;
		len -= (size_t)n;
	}
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	struct simulation *s = user;

	if (!s->waits || invoke_id != s->waits_for)
		return;
	s->waits = false;
	if (!taken) {
		s->refusals++;
		s->lost = true; /* once more, on another association */
		return;
	}
	print_answered(s, s->next, s->attempts);
	s->next++;
	s->attempts = s->refusals = 0;
	s->patience_until = now_ms() + s->patience_s * INT64_C(1000);
}

static void on_segment_taken(void *user, uint16_t segment, uint32_t first, uint32_t count)
{
	struct simulation *s = user;
	struct memory *m = &s->memory;

	for (uint32_t k = first; k < first + count; k++) {
		const unsigned int i = (segment - 1U) * m->per_segment + k;

		if (m->taken[i])
			continue;
		m->taken[i] = true;
		m->n_taken++;
		print_answered(s, i, 1);
	}
	s->answer_until = now_ms() + ANSWER_MS;
	s->patience_until = now_ms() + s->patience_s * INT64_C(1000);
}

static void report(struct simulation *s)
{
	struct phd_observation o[OBSERVATIONS];
	uint8_t info[REPORT_MAX];
	size_t len;
	int r;

	measure(s, s->next, o);
	r = phd_report_encode(s->config, 0, o, s->sensor->n_observations, info, sizeof(info), &len);
	if (r == 0)
		r = phd_agent_report(&s->agent, MDC_NOTI_SCAN_FIXED, info, len, true,
				     &s->waits_for);
	assert(r == 0); /* made here, while operating, and it fits */
	if (r < 0) {
		s->lost = true;
		return;
	}
	s->attempts++;
	s->waits = true;
	s->answer_until = now_ms() + ANSWER_MS;
}

static void hear(struct simulation *s)
{
	size_t done = 0, size;
	ssize_t n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len, 0);

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		s->lost = true;
		return;
	}
	s->in_len += (size_t)n;
	while (!s->lost) {
		size = apdu_size(s->in + done, s->in_len - done);
		if (size > sizeof(s->in))
			s->lost = true;
		if (size == 0 || size > s->in_len - done)
			break;
		phd_agent_apdu(&s->agent, s->in + done, size);
		done += size;
	}
	s->in_len -= done;
	memmove(s->in, s->in + done, s->in_len);
}

static bool is_done(const struct simulation *s)
{
	return s->next == s->count && s->memory.n_taken == s->memory.n;
}

/* until the association is over, or what is awaited has not come in time */
static void converse(struct simulation *s)
{
	s->answer_until = now_ms() + ANSWER_MS;
	phd_agent_associate(&s->agent);
	while (!s->lost && s->agent.state != PHD_AGENT_IDLE) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		int64_t left;

		if (s->agent.state == PHD_AGENT_OPERATING && !s->waits && s->next < s->count)
			report(s);
		else if (s->agent.state == PHD_AGENT_OPERATING && !s->waits && is_done(s))
			phd_agent_release(&s->agent);
		left = s->answer_until - now_ms();
		if (left <= 0)
			return;
		if (poll(&p, 1, (int)left) > 0)
			hear(s);
	}
}

/* ---- the connection ---- */

static int dial(const struct simulation *s)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int fd = -1;

	if (getaddrinfo(s->host, s->port, &hints, &list) != 0)
		return -1;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			(void)close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

static void begin(struct simulation *s)
{
	static const struct phd_agent_sink sink = {
		.send = on_send,
		.answered = on_answered,
		.segment_taken = on_segment_taken,
	};
	static const struct phd_agent_identity identity = {
		.manufacturer = "Synthetic",
		.model = "wellgate simulate",
		.firmware = WELLGATE_VERSION,
	};
	/* locally administered: nobody's device */
	uint8_t id[APDU_SYSTEM_ID] = { 0x02, 'S', 'I', 'M' };

	id[4] = (uint8_t)(s->sensor - sensors);
	id[5] = (uint8_t)(s->seed >> 16);
	id[6] = (uint8_t)(s->seed >> 8);
	id[7] = (uint8_t)s->seed;
	phd_agent_init(&s->agent, &sink, s, s->config, id);
	s->agent.identity = &identity;
	s->agent.store = s->memory.n > 0 ? &s->memory.store : NULL;
	s->waits = s->lost = false;
	s->in_len = 0;
}

static void connect_once(struct simulation *s)
{
	_cleanup_close_ int fd = dial(s);

	if (fd < 0)
		return;
	s->fd = fd;
	begin(s);
	converse(s);
}

static int run(struct simulation *s)
{
	const struct timespec again = { .tv_nsec = AGAIN_MS * 1000000L };

	s->patience_until = now_ms() + s->patience_s * INT64_C(1000);
	for (;;) {
		connect_once(s);
		if (s->bad_output)
			return cli_fail(NAME, EXIT_IO, "cannot write");
		if (is_done(s))
			return EXIT_GOOD;
		if (s->refusals >= REFUSALS_MAX)
			return cli_fail(NAME, EXIT_DATA, "the manager refuses report %u",
					s->next + 1);
		if (now_ms() >= s->patience_until)
			return cli_fail(NAME, EXIT_UNAVAILABLE,
					"%u of %u reports were answered, then nothing for %u s",
					s->next - s->memory.n + s->memory.n_taken, s->count,
					s->patience_s);
		(void)nanosleep(&again, NULL);
	}
}

/* ---- command line ---- */

static const struct option options[] = {
	{ "connect", required_argument, NULL, 'c' },
	{ "sensor", required_argument, NULL, 's' },
	{ "count", required_argument, NULL, 'n' },
	{ "store", required_argument, NULL, 'm' },
	{ "extended", no_argument, NULL, 'x' },
	{ "seed", required_argument, NULL, 'S' },
	{ "patience", required_argument, NULL, 'p' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int take_address(struct simulation *s, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (len == 0 || len >= sizeof(s->host) || colon[1] == '\0')
		return -EINVAL;
	if (text[0] == '[' && len > 2 && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	memcpy(s->host, text, len);
	s->host[len] = '\0';
	s->port = colon + 1;
	return 0;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

static int take_number(struct simulation *s, int option)
{
	uint64_t value;

	switch (option) {
	case 'n':
		if (!parse_number(optarg, 1, COUNT_MAX, &value))
			return cli_fail(NAME, EXIT_USAGE, "--count takes 1 to %d", COUNT_MAX);
		s->count = (unsigned int)value;
		s->has_count = true;
		return -1;
	case 'm':
		if (!parse_number(optarg, 1, STORE_MAX, &value))
			return cli_fail(NAME, EXIT_USAGE, "--store takes 1 to %d", STORE_MAX);
		s->memory.n = (unsigned int)value;
		return -1;
	case 'S':
		if (!parse_number(optarg, 0, 0xffffff, &s->seed))
			return cli_fail(NAME, EXIT_USAGE, "--seed takes a number up to 16777215");
		return -1;
	default:
		if (!parse_number(optarg, 1, 86400, &value))
			return cli_fail(NAME, EXIT_USAGE, "--patience takes 1 to 86400 seconds");
		s->patience_s = (unsigned int)value;
		return -1;
	}
}

/* -1 to go on, otherwise the exit status */
static int take_option(struct simulation *s, int option)
{
	switch (option) {
	case 'c':
		if (take_address(s, optarg) == 0)
			return -1;
		return cli_fail(NAME, EXIT_USAGE, "--connect takes HOST:PORT");
	case 's':
		s->sensor = sensor_by_name(optarg);
		if (s->sensor)
			return -1;
		return cli_fail(NAME, EXIT_USAGE,
				"no sensor \"%.40s\": bloodpressure, weightscale, glucometer or "
				"pulseoximeter",
				optarg);
	case 'n':
	case 'm':
	case 'S':
	case 'p':
		return take_number(s, option);
	case 'x':
		s->is_extended = true;
		return -1;
	case 'h':
		(void)fputs(usage, stdout);
		return EXIT_GOOD;
	default:
		return cli_fail(NAME, EXIT_USAGE, "see --help");
	}
}

/* the measurements of the store come first, those that are reported after them */
static int prepare(struct simulation *s)
{
	s->config = phd_agent_config(s->sensor->config);
	assert(s->config);
	if (s->memory.n > 0 && !s->has_count)
		s->count = 0;
	s->count += s->memory.n;
	s->next = s->memory.n;
	if (s->is_extended || s->memory.n > 0)
		extend(s);
	return s->memory.n > 0 ? fill_memory(s) : 0;
}

int simulate_agent(int argc, char **argv)
{
	struct simulation s = { .seed = 1, .count = 1, .patience_s = PATIENCE_S, .fd = -1 };
	int option, status;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		status = take_option(&s, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc || !s.port || !s.sensor)
		return cli_fail(NAME, EXIT_USAGE, "--connect HOST:PORT and --sensor; see --help");
	if (prepare(&s) == 0)
		status = run(&s);
	else
		status = cli_fail(NAME, EXIT_IO, "no memory for the store");
	free(s.memory.entries);
	return status;
}
