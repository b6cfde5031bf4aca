/*
 * wellgate tail: follows the messages on the broker, decoded. Needs no daemon: this is what a
 * subscriber anywhere sees.
 *
 * Paho's callbacks only put messages into a bounded queue; the main thread prints them.
 */
#include <MQTTAsync.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/broker_address.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/tail_print.h"

#define QUEUE_MAX         4096 /* messages; a slower reader loses some, and is told */
#define CONNECT_TIMEOUT_S 10
#define KEEP_ALIVE_S      25
#define N_FILTERS         5
#define FILTER_MAX        256
#define PASSWORD_MAX      1024

static const char usage[] =
	"usage: wellgate tail [--broker URL] [--format FORMAT] [--count N] [--seconds N]\n"
	"                     [--site SITE] [--hub HUB] [--test] [--username NAME]\n"
	"                     [--password-file FILE] [--ca FILE] [--cert FILE] [--key FILE]\n\n"
	"Follows what hubs publish. The broker is that of --broker, else of WELLGATE_BROKER,\n"
	"else mqtt://127.0.0.1:1883; one on another machine is mqtts://HOST. Ends after N\n"
	"readings and goal results (--count) or N seconds; otherwise when the connection\n"
	"ends. Test data is marked; --test shows nothing else.\n\n"
	"FORMAT: text; json; csv (readings only, one row per component); fhir (readings and\n"
	"goal results, one FHIR R4 Bundle a line); omh (readings only, one Open mHealth data\n"
	"point a line).\n";

struct arguments {
	const char *broker, *site, *hub, *username, *password_file, *ca, *cert, *key;
	enum tail_format format;
	bool test;
	uint64_t count;
	unsigned int seconds; /* 0 = no end */
};

struct item {
	char *topic;
	MQTTAsync_message *message;
};

enum link {
	LINK_TRYING,
	LINK_READY, /* subscribed */
	LINK_REFUSED,
	LINK_FAILED,
	LINK_LOST,
};

struct tail {
	MQTTAsync handle;
	pthread_mutex_t lock; /* of what follows; never held while Paho is called */
	pthread_cond_t changed;
	enum link link;
	struct item queue[QUEUE_MAX];
	size_t first, n;
	uint64_t dropped, bad;
	char filters[N_FILTERS][FILTER_MAX];
	int n_filters;
};

/* ---- Paho's threads ---- */

static void set_link(struct tail *t, enum link link)
{
	(void)pthread_mutex_lock(&t->lock);
	t->link = link;
	(void)pthread_cond_signal(&t->changed);
	(void)pthread_mutex_unlock(&t->lock);
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
	struct tail *t = context;
	bool kept = false;

	(void)pthread_mutex_lock(&t->lock);
	/* 0, or the length: Paho 1.3.12 leaves it in place when it delivers at once */
	if (topic_len > 0 && strlen(topic) != (size_t)topic_len) { /* a NUL within the topic */
		t->bad++;
	} else if (t->n == QUEUE_MAX) {
		t->dropped++;
	} else {
		t->queue[(t->first + t->n++) % QUEUE_MAX] = (struct item){ topic, message };
		kept = true;
	}
	(void)pthread_cond_signal(&t->changed);
	(void)pthread_mutex_unlock(&t->lock);
	if (!kept) {
		MQTTAsync_freeMessage(&message);
		MQTTAsync_free(topic);
	}
	return 1;
}

static void on_lost(void *context, char *cause)
{
	(void)cause;
	set_link(context, LINK_LOST);
}

static void on_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
	(void)properties;
	(void)code;
	set_link(context, LINK_LOST);
}

static void on_subscribed(void *context, MQTTAsync_successData5 *data)
{
	bool any = false;

	/* Paho 1.3.12 fills the array only where there is more than one */
	for (int i = 0; data->alt.sub.reasonCodeCount > 1 && i < data->alt.sub.reasonCodeCount; i++)
		any = any || data->alt.sub.reasonCodes[i] < MQTTREASONCODE_UNSPECIFIED_ERROR;
	if (data->alt.sub.reasonCodeCount == 1)
		any = data->reasonCode < MQTTREASONCODE_UNSPECIFIED_ERROR;
	set_link(context, any ? LINK_READY : LINK_REFUSED);
}

static void on_refused(void *context, MQTTAsync_failureData5 *data)
{
	(void)data;
	set_link(context, LINK_REFUSED);
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
	struct tail *t = context;
	MQTTAsync_callOptions call = MQTTAsync_callOptions_initializer;
	char *filters[N_FILTERS];
	int qos[N_FILTERS];

	(void)data;
	for (int i = 0; i < t->n_filters; i++) {
		filters[i] = t->filters[i];
		qos[i] = 1;
	}
	call.onSuccess5 = on_subscribed;
	call.onFailure5 = on_refused;
	call.context = t;
	if (MQTTAsync_subscribeMany(t->handle, t->n_filters, filters, qos, &call) !=
	    MQTTASYNC_SUCCESS)
		set_link(t, LINK_FAILED);
}

static void on_failed(void *context, MQTTAsync_failureData5 *data)
{
	bool refused = data->code > 0 || data->reasonCode != MQTTREASONCODE_SUCCESS;

	set_link(context, refused ? LINK_REFUSED : LINK_FAILED);
}

/* ---- main thread ---- */

static void make_filters(struct tail *t, const struct arguments *a)
{
	static const char *const ends[] = { "test/#", "reading/+", "goal", "correction", "status" };

	t->n_filters = a->test ? 1 : N_FILTERS;
	for (int i = 0; i < t->n_filters; i++)
		(void)snprintf(t->filters[i], FILTER_MAX, "wellgate/v1/%s/%s/%s",
			       a->site ? a->site : "+", a->hub ? a->hub : "+", ends[i]);
}

static int read_password(const char *file, char buf[PASSWORD_MAX])
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, PASSWORD_MAX - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return 0;
}

static int begin_connect(struct tail *t, const struct arguments *a)
{
	MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
	MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
	char password[PASSWORD_MAX];

	tls.trustStore = a->ca;
	tls.disableDefaultTrustStore = a->ca != NULL;
	tls.keyStore = a->cert;
	tls.privateKey = a->key;
	tls.enableServerCertAuth = 1;
	tls.verify = 1;
	if (strncmp(a->broker, "mqtts://", strlen("mqtts://")) == 0)
		connect.ssl = &tls;
	connect.cleanstart = 1;
	connect.keepAliveInterval = KEEP_ALIVE_S;
	connect.connectTimeout = CONNECT_TIMEOUT_S;
	connect.username = a->username;
	if (a->password_file) {
		if (read_password(a->password_file, password) < 0)
			return cli_fail("tail", EXIT_IO, "cannot read %s", a->password_file);
		connect.password = password;
	}
	connect.onSuccess5 = on_connected;
	connect.onFailure5 = on_failed;
	connect.context = t;
	if (MQTTAsync_connect(t->handle, &connect) != MQTTASYNC_SUCCESS)
		return cli_fail("tail", EXIT_USAGE,
				"certificate, key or address of the broker cannot be used");
	return EXIT_GOOD;
}

static int open_link(struct tail *t, const struct arguments *a)
{
	MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
	char client[40];
	int r;

	/* two with one name would throw each other out */
	(void)snprintf(client, sizeof(client), "wellgate-tail-%lx-%x", (unsigned long)time(NULL),
		       (unsigned int)getpid());
	r = MQTTAsync_createWithOptions(&t->handle, a->broker, client, MQTTCLIENT_PERSISTENCE_NONE,
					NULL, &create);
	if (r != MQTTASYNC_SUCCESS)
		return cli_fail("tail", EXIT_USAGE,
				"a broker is mqtt://HOST[:PORT] or mqtts://HOST[:PORT]");
	if (MQTTAsync_setCallbacks(t->handle, t, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS ||
	    MQTTAsync_setDisconnected(t->handle, t, on_disconnect) != MQTTASYNC_SUCCESS)
		return cli_fail("tail", EXIT_IO, "out of memory");
	return begin_connect(t, a);
}

static int link_result(enum link link)
{
	switch (link) {
	case LINK_REFUSED:
		return cli_fail("tail", EXIT_UNAVAILABLE,
				"the broker does not let us in or does not let us read");
	case LINK_FAILED:
		return cli_fail("tail", EXIT_UNAVAILABLE,
				"the broker cannot be reached (--broker or WELLGATE_BROKER)");
	case LINK_LOST:
		return cli_fail("tail", EXIT_UNAVAILABLE, "the connection to the broker was lost");
	case LINK_TRYING:
	case LINK_READY:
	default:
		return EXIT_GOOD;
	}
}

/* Next message: 1; 0 = the time is over or the link is: then *ret_link says so. */
static int next_item(struct tail *t, const struct timespec *until, struct item *ret,
		     enum link *ret_link)
{
	int r = 0;

	(void)pthread_mutex_lock(&t->lock);
	while (t->n == 0 && t->link <= LINK_READY && r == 0)
		r = until ? pthread_cond_timedwait(&t->changed, &t->lock, until)
			  : pthread_cond_wait(&t->changed, &t->lock);
	r = t->n > 0;
	if (r == 1) {
		*ret = t->queue[t->first];
		t->first = (t->first + 1) % QUEUE_MAX;
		t->n--;
	}
	*ret_link = t->link;
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

static int print_item(struct tail *t, struct tail_printer *p, struct item *item)
{
	const MQTTAsync_message *m = item->message;
	int r = tail_print(p, item->topic, m->payload, (size_t)m->payloadlen);

	MQTTAsync_freeMessage(&item->message);
	MQTTAsync_free(item->topic);
	if (r == -EBADMSG && t->bad++ == 0)
		(void)fputs("wellgate tail: a message that is not one of ours was left out\n",
			    stderr);
	/* Paho ignores SIGPIPE, so a reader that went away is seen here */
	return fflush(p->out) != 0 || r == -ENOMEM ? EXIT_IO : EXIT_GOOD;
}

static int follow(struct tail *t, struct tail_printer *p, unsigned int seconds)
{
	struct timespec until;
	struct item item;
	enum link link = LINK_TRYING;
	int code = EXIT_GOOD;

	(void)clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_cond_timedwait */
	until.tv_sec += seconds;
	while (code == EXIT_GOOD && p->left > 0 &&
	       next_item(t, seconds > 0 ? &until : NULL, &item, &link) == 1)
		code = print_item(t, p, &item);
	if (code == EXIT_GOOD && p->left > 0)
		code = link_result(link);
	return code;
}

static void close_link(struct tail *t)
{
	MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;

	if (t->handle) {
		(void)MQTTAsync_disconnect(t->handle, &options);
		MQTTAsync_destroy(&t->handle);
	}
	for (; t->n > 0; t->n--, t->first = (t->first + 1) % QUEUE_MAX) {
		MQTTAsync_freeMessage(&t->queue[t->first].message);
		MQTTAsync_free(t->queue[t->first].topic);
	}
}

static void report(const struct tail *t)
{
	if (t->bad > 1)
		(void)fprintf(stderr, "wellgate tail: %llu messages in all were not ours\n",
			      (unsigned long long)t->bad);
	if (t->dropped > 0)
		(void)fprintf(stderr, "wellgate tail: %llu messages came too fast and were lost\n",
			      (unsigned long long)t->dropped);
}

static int run(const struct arguments *a)
{
	struct tail *t = calloc(1, sizeof(*t));
	struct tail_printer p = { 0 };
	int code;

	if (!t || pthread_mutex_init(&t->lock, NULL) != 0 ||
	    pthread_cond_init(&t->changed, NULL) != 0) {
		free(t);
		return cli_fail("tail", EXIT_IO, "out of memory");
	}
	make_filters(t, a);
	code = tail_printer_init(&p, stdout, a->format, a->count) < 0
		       ? cli_fail("tail", EXIT_IO, "out of memory")
		       : open_link(t, a);
	if (code == EXIT_GOOD)
		code = follow(t, &p, a->seconds);
	close_link(t);
	report(t);
	render_report("tail", &p.left_out);
	tail_printer_finish(&p);
	(void)pthread_cond_destroy(&t->changed);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
	return code;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end || v == 0 || v > max || text[0] == '-')
		return -EINVAL;
	*ret = v;
	return 0;
}

static int parse_format(const char *text, enum tail_format *ret)
{
	static const char *const names[] = {
		[TAIL_TEXT] = "text", [TAIL_JSON] = "json", [TAIL_CSV] = "csv",
		[TAIL_FHIR] = "fhir", [TAIL_OMH] = "omh",
	};

	for (int i = TAIL_TEXT; i <= TAIL_OMH; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum tail_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_value(struct arguments *a, int option, const char *value)
{
	uint64_t number;

	switch (option) {
	case 'f':
		if (parse_format(value, &a->format) == 0)
			return EXIT_GOOD;
		return cli_fail("tail", EXIT_USAGE, "--format is text, json, csv, fhir or omh");
	case 'n':
		if (parse_number(value, UINT64_MAX - 1, &a->count) == 0)
			return EXIT_GOOD;
		return cli_fail("tail", EXIT_USAGE, "--count is a number above 0");
	case 's':
	default:
		assert(option == 's');
		if (parse_number(value, 31536000, &number) < 0)
			return cli_fail("tail", EXIT_USAGE, "--seconds is a number above 0");
		a->seconds = (unsigned int)number;
		return EXIT_GOOD;
	}
}

static const char **text_of(struct arguments *a, int option)
{
	switch (option) {
	case 'b':
		return &a->broker;
	case 'S':
		return &a->site;
	case 'H':
		return &a->hub;
	case 'u':
		return &a->username;
	case 'p':
		return &a->password_file;
	case 'a':
		return &a->ca;
	case 'c':
		return &a->cert;
	case 'k':
		return &a->key;
	default:
		return NULL;
	}
}

static bool level_is_good(const char *text)
{
	return !text || (text[0] && strlen(text) <= 64 && !strpbrk(text, "/+#"));
}

/* -1 = go on, else the exit code */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "broker", required_argument, NULL, 'b' },
		{ "format", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "site", required_argument, NULL, 'S' },
		{ "hub", required_argument, NULL, 'H' },
		{ "test", no_argument, NULL, 't' },
		{ "username", required_argument, NULL, 'u' },
		{ "password-file", required_argument, NULL, 'p' },
		{ "ca", required_argument, NULL, 'a' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, code = EXIT_GOOD;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char **text = text_of(a, option);

		if (option == 'h') {
			(void)fputs(usage, stdout);
			return EXIT_GOOD;
		}
		if (option == '?')
			return cli_fail("tail", EXIT_USAGE,
					"unknown option or missing value; --help lists them");
		if (text)
			*text = optarg;
		else if (option == 't')
			a->test = true;
		else
			code = set_value(a, option, optarg);
		if (code != EXIT_GOOD)
			return code;
	}
	if (optind < argc)
		return cli_fail("tail", EXIT_USAGE, "takes options only; --help lists them");
	if (!level_is_good(a->site) || !level_is_good(a->hub))
		return cli_fail("tail", EXIT_USAGE, "--site and --hub are names without / + #");
	return -1;
}

int cmd_tail(int argc, char **argv)
{
	struct arguments a = { .count = UINT64_MAX, .broker = getenv("WELLGATE_BROKER") };
	int code;

	if (!a.broker || !a.broker[0])
		a.broker = "mqtt://127.0.0.1:1883";
	code = parse(argc, argv, &a);
	if (code >= 0)
		return code;
	if (broker_way(a.broker) == BROKER_NONE)
		return cli_fail("tail", EXIT_USAGE,
				"a broker is mqtt://HOST[:PORT] or mqtts://HOST[:PORT]");
	if (broker_way(a.broker) == BROKER_IN_CLEAR)
		return cli_fail("tail", EXIT_USAGE, BROKER_IN_CLEAR_TEXT);
	return run(&a);
}
