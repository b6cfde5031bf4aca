#include "gateway/record/link.h"

#include <MQTTAsync.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/publish/reasons.h"

#define QOS               1
#define CONNECT_TIMEOUT_S 10
#define PASSWORD_MAX      1024
#define BACK_OFF_FIRST_MS 250
#define BACK_OFF_MAX_MS   60000
#define DAY_S             86400u
#define WINDOW_MAX        16 /* receipts on the way; below every broker's Receive Maximum that is */
#define PENDING_MAX       4096
#define N_ENDS            5
#define FILTERS_MAX       1280 /* SETTINGS_HUBS_MAX times N_ENDS */
#define FILTER_MAX        320
/* not acknowledged, so the broker sends it again to who is started next */
#define EXIT_OUT_OF_MEMORY 74

enum state {
	STATE_TRYING,
	STATE_CONNECTED, /* subscribing */
	STATE_READY,
	STATE_REFUSED,
	STATE_LOST,
};

struct link {
	const struct settings *settings;
	struct queue *queue;
	pthread_t thread;
	MQTTAsync handle;
	pthread_mutex_t lock; /* of what follows; a leaf: nothing is called while it is held */
	pthread_cond_t changed;
	enum state state;
	int code; /* why */
	unsigned int window, on_the_way;
	bool stopping, stopped;
	struct ledger_receipt pending[PENDING_MAX]; /* by hash of the topic; payload NULL = free */
	size_t n_pending, next;
	uint64_t dropped;
	char (*filters)[FILTER_MAX];
	int n_filters;
};

/* ---- Paho's threads ---- */

static void set_state(struct link *l, enum state state, int code)
{
	(void)pthread_mutex_lock(&l->lock);
	l->state = state;
	l->code = code;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
}

/* Returning means acknowledged. What may not be acknowledged stays here for good. */
static void never_return(void)
{
	for (;;)
		(void)pause();
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
	struct link *l = context;
	const bool wait = !l->settings->acknowledge_on_receipt;

	size_t len = (size_t)message->payloadlen;
	int r;

	/* the rest of a giant would be thrown away in any case; one byte too many says so */
	if (len > ARRIVAL_PAYLOAD_MAX)
		len = ARRIVAL_PAYLOAD_MAX + 1;
	/* topic_len is 0, or the length: a NUL within would make another topic of it */
	r = queue_put(l->queue,
		      topic_len > 0 && strlen(topic) != (size_t)topic_len ? "NUL in topic" : topic,
		      message->payload, len, wait);
	if (r == -ENOMEM) {
		log_error("out of memory");
		_exit(EXIT_OUT_OF_MEMORY);
	}
	if (r < 0)
		never_return();
	MQTTAsync_freeMessage(&message);
	MQTTAsync_free(topic);
	return 1;
}

static void on_lost(void *context, char *cause)
{
	(void)cause;
	set_state(context, STATE_LOST, 0);
}

static void on_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
	(void)properties;
	set_state(context, STATE_LOST, (int)code);
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
	struct link *l = context;
	int maximum = WINDOW_MAX;

	if (MQTTProperties_hasProperty(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM))
		maximum = MQTTProperties_getNumericValue(&data->properties,
							 MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
	(void)pthread_mutex_lock(&l->lock);
	l->window = maximum < WINDOW_MAX && maximum > 0 ? (unsigned int)maximum : WINDOW_MAX;
	l->on_the_way = 0;
	(void)pthread_mutex_unlock(&l->lock);
	set_state(l, STATE_CONNECTED, 0);
}

static void on_refused(void *context, MQTTAsync_failureData5 *data)
{
	int code = data->reasonCode != MQTTREASONCODE_SUCCESS ? (int)data->reasonCode : data->code;

	set_state(context, STATE_REFUSED, code);
}

static void on_subscribed(void *context, MQTTAsync_successData5 *data)
{
	const int n = data->alt.sub.reasonCodeCount;
	bool all = true;

	/* Paho 1.3.12 fills the array only where there is more than one */
	for (int i = 0; n > 1 && i < n; i++)
		all = all && data->alt.sub.reasonCodes[i] < MQTTREASONCODE_UNSPECIFIED_ERROR;
	if (n == 1)
		all = data->reasonCode < MQTTREASONCODE_UNSPECIFIED_ERROR;
	/* a topic that we may not read is data that we would never know of */
	set_state(context, all ? STATE_READY : STATE_REFUSED,
		  all ? 0 : (int)MQTTREASONCODE_NOT_AUTHORIZED);
}

static void on_the_way_less(struct link *l)
{
	(void)pthread_mutex_lock(&l->lock);
	if (l->on_the_way > 0)
		l->on_the_way--;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
}

static void on_taken(void *context, MQTTAsync_successData5 *data)
{
	(void)data;
	on_the_way_less(context);
}

/* Not sent again: the next receipt of that hub says the same and more. */
static void on_not_taken(void *context, MQTTAsync_failureData5 *data)
{
	(void)data;
	on_the_way_less(context);
}

/* ---- connecting ---- */

static int read_password(const char *file, char buf[PASSWORD_MAX], int *ret_len)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, PASSWORD_MAX);

	if (n < 0)
		return -errno;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	*ret_len = (int)n;
	return 0;
}

/* what Paho copies while it begins to connect */
struct credentials {
	MQTTAsync_SSLOptions tls;
	char password[PASSWORD_MAX];
};

static int set_credentials(const struct settings *s, MQTTAsync_connectOptions *connect,
			   struct credentials *c)
{
	if (strncmp(s->broker, "mqtts://", strlen("mqtts://")) == 0) {
		c->tls.trustStore = s->ca_file;
		c->tls.disableDefaultTrustStore = s->ca_file != NULL;
		c->tls.keyStore = s->cert_file;
		c->tls.privateKey = s->key_file;
		c->tls.enableServerCertAuth = 1;
		c->tls.verify = 1; /* 0, the default, would take any name */
		connect->ssl = &c->tls;
	}
	connect->username = s->username;
	if (!s->password_file)
		return 0;
	connect->binarypwd.data = c->password;
	return read_password(s->password_file, c->password, &connect->binarypwd.len);
}

static int begin_connect(struct link *l)
{
	MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
	struct credentials credentials = { .tls = MQTTAsync_SSLOptions_initializer };
	/* by hand: MQTTProperties_add() uses a heap of Paho that comes and goes with handles */
	MQTTProperty expiry = { .identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL };
	MQTTProperties properties = { .count = 1, .max_count = 1, .length = 5, .array = &expiry };
	int r;

	expiry.value.integer4 = l->settings->session_days * DAY_S;
	connect.connectProperties = &properties;
	connect.cleanstart = 0; /* what came while we were away is ours */
	connect.keepAliveInterval = (int)l->settings->keep_alive;
	connect.connectTimeout = CONNECT_TIMEOUT_S;
	connect.automaticReconnect = 0;
	connect.maxInflight = 65535; /* Paho's own window stays out of the way: ours is smaller */
	connect.onSuccess5 = on_connected;
	connect.onFailure5 = on_refused;
	connect.context = l;
	r = set_credentials(l->settings, &connect, &credentials);
	if (r == 0 && MQTTAsync_connect(l->handle, &connect) != MQTTASYNC_SUCCESS)
		r = -EIO;
	sodium_memzero(&credentials, sizeof(credentials));
	return r;
}

static int open_handle(struct link *l)
{
	MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
	MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
	int r;

	init.do_openssl_init = strncmp(l->settings->broker, "mqtts://", 8) == 0;
	MQTTAsync_global_init(&init);
	create.maxBufferedMessages = 2 * WINDOW_MAX;
	r = MQTTAsync_createWithOptions(&l->handle, l->settings->broker, l->settings->name,
					MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
	if (r == MQTTASYNC_SUCCESS)
		r = MQTTAsync_setCallbacks(l->handle, l, on_lost, on_message, NULL);
	if (r == MQTTASYNC_SUCCESS)
		r = MQTTAsync_setDisconnected(l->handle, l, on_disconnect);
	return r == MQTTASYNC_SUCCESS ? begin_connect(l) : -EIO;
}

static int begin_subscribe(struct link *l)
{
	MQTTAsync_callOptions call = MQTTAsync_callOptions_initializer;
	char **filters = calloc((size_t)l->n_filters, sizeof(*filters));
	int *qos = calloc((size_t)l->n_filters, sizeof(*qos));
	int r = filters && qos ? MQTTASYNC_SUCCESS : MQTTASYNC_FAILURE;

	for (int i = 0; r == MQTTASYNC_SUCCESS && i < l->n_filters; i++) {
		filters[i] = l->filters[i];
		qos[i] = QOS;
	}
	call.onSuccess5 = on_subscribed;
	call.onFailure5 = on_refused;
	call.context = l;
	if (r == MQTTASYNC_SUCCESS)
		r = MQTTAsync_subscribeMany(l->handle, l->n_filters, filters, qos, &call);
	free(filters);
	free(qos);
	return r == MQTTASYNC_SUCCESS ? 0 : -EIO;
}

/* ---- receipts ---- */

static size_t slot_of(const char *topic)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *topic; topic++)
		hash = (hash ^ (uint8_t)*topic) * 16777619u;
	return hash % PENDING_MAX;
}

void link_receipt(struct link *l, struct ledger_receipt *receipt)
{
	struct ledger_receipt *place = NULL;
	size_t at = slot_of(receipt->topic);

	(void)pthread_mutex_lock(&l->lock);
	for (size_t i = 0; !place && i < 16; i++, at = (at + 1) % PENDING_MAX) {
		struct ledger_receipt *p = &l->pending[at];

		if (!p->payload || strcmp(p->topic, receipt->topic) == 0)
			place = p;
	}
	if (place) {
		l->n_pending += place->payload == NULL;
		free(place->payload);
		*place = *receipt;
	} else {
		l->dropped++; /* that hub hears the next one */
		free(receipt->payload);
	}
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
}

/* the lock is held and something is pending; in turn, so that no hub waits for ever */
static void take_pending(struct link *l, struct ledger_receipt *ret)
{
	while (!l->pending[l->next].payload)
		l->next = (l->next + 1) % PENDING_MAX;
	*ret = l->pending[l->next];
	l->pending[l->next].payload = NULL;
	l->n_pending--;
	l->next = (l->next + 1) % PENDING_MAX;
}

static void send_receipt(struct link *l, const struct ledger_receipt *receipt)
{
	static const char type[] = "application/protobuf; messageType=\"wellgate.v1.Receipt\"";
	union { /* only read, but its type says it might be written */
		const char *in;
		char *out;
	} text = { type };
	MQTTAsync_callOptions call = MQTTAsync_callOptions_initializer;
	MQTTAsync_message message = MQTTAsync_message_initializer;
	MQTTProperty property = { .identifier = MQTTPROPERTY_CODE_CONTENT_TYPE };

	property.value.data.data = text.out;
	property.value.data.len = sizeof(type) - 1;
	message.properties.count = message.properties.max_count = 1;
	message.properties.length = 1 + 2 + (int)(sizeof(type) - 1);
	message.properties.array = &property;
	message.payload = receipt->payload;
	message.payloadlen = (int)receipt->len;
	message.qos = QOS;
	call.onSuccess5 = on_taken;
	call.onFailure5 = on_not_taken;
	call.context = l;
	if (MQTTAsync_sendMessage(l->handle, receipt->topic, &message, &call) != MQTTASYNC_SUCCESS)
		on_the_way_less(l);
}

/* ---- the thread ---- */

/* Sends receipts until the connection ends, or all are sent and we are stopping. */
static void serve(struct link *l)
{
	struct ledger_receipt receipt;

	(void)pthread_mutex_lock(&l->lock);
	for (;;) {
		const bool room = l->on_the_way < l->window;

		if (l->state != STATE_READY ||
		    (l->stopping && l->n_pending == 0 && l->on_the_way == 0))
			break;
		if (l->n_pending == 0 || !room) {
			(void)pthread_cond_wait(&l->changed, &l->lock);
			continue;
		}
		take_pending(l, &receipt);
		l->on_the_way++;
		(void)pthread_mutex_unlock(&l->lock);
		send_receipt(l, &receipt);
		free(receipt.payload);
		(void)pthread_mutex_lock(&l->lock);
	}
	(void)pthread_mutex_unlock(&l->lock);
}

static enum state wait_while(struct link *l, enum state state)
{
	enum state now;

	(void)pthread_mutex_lock(&l->lock);
	while (l->state == state && !l->stopping)
		(void)pthread_cond_wait(&l->changed, &l->lock);
	now = l->state;
	(void)pthread_mutex_unlock(&l->lock);
	return now;
}

/* one connection, from its beginning to its end; true: it was of use */
static bool one_connection(struct link *l)
{
	MQTTAsync_disconnectOptions bye = MQTTAsync_disconnectOptions_initializer5;
	bool useful = false;

	set_state(l, STATE_TRYING, 0);
	if (open_handle(l) < 0)
		set_state(l, STATE_REFUSED, MQTTASYNC_FAILURE);
	if (wait_while(l, STATE_TRYING) == STATE_CONNECTED) {
		if (begin_subscribe(l) < 0)
			set_state(l, STATE_LOST, 0);
		if (wait_while(l, STATE_CONNECTED) == STATE_READY) {
			useful = true;
			log_info("connected to the broker filters=%d", l->n_filters);
			serve(l);
		}
	}
	/* what it says is sent at once; nobody waits for the answer */
	if (l->stopping)
		(void)MQTTAsync_disconnect(l->handle, &bye);
	if (l->handle)
		MQTTAsync_destroy(&l->handle);
	return useful;
}

static bool is_stopping(struct link *l)
{
	bool stopping;

	(void)pthread_mutex_lock(&l->lock);
	stopping = l->stopping;
	(void)pthread_mutex_unlock(&l->lock);
	return stopping;
}

static void *run(void *user)
{
	struct link *l = user;
	unsigned int back_off = BACK_OFF_FIRST_MS;

	while (!is_stopping(l)) {
		if (one_connection(l))
			back_off = BACK_OFF_FIRST_MS;
		if (is_stopping(l))
			break;
		log_warning("no connection to the broker code=%d reason=\"%s\"", l->code,
			    l->code > 0 ? reason_text(l->code) : "not reached or lost");
		if (reason_is_takeover(l->code)) /* another one with our name: not a fight */
			back_off = BACK_OFF_MAX_MS;
		(void)queue_pause(l->queue, back_off / 2 + randombytes_uniform(back_off / 2));
		back_off = back_off < BACK_OFF_MAX_MS / 2 ? back_off * 2 : BACK_OFF_MAX_MS;
	}
	(void)pthread_mutex_lock(&l->lock);
	l->stopped = true;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- from outside ---- */

_Static_assert(FILTERS_MAX == SETTINGS_HUBS_MAX * N_ENDS, "each hub has its filters");

static int make_filters(struct link *l)
{
	static const char *const ends[N_ENDS] = { "reading/+", "goal", "correction", "status",
						  "test/#" };
	const struct settings *s = l->settings;
	size_t len = 3, i = 0;
	const char *hub = s->hubs ? settings_hub(s, 0, &len) : "+/+";

	l->filters = calloc(FILTERS_MAX, sizeof(*l->filters));
	if (!l->filters)
		return -ENOMEM;
	while (hub && l->n_filters + N_ENDS <= FILTERS_MAX) {
		for (size_t e = 0; e < N_ENDS; e++)
			(void)snprintf(l->filters[l->n_filters++], FILTER_MAX,
				       "%s%s%swellgate/v1/%.*s/%s", s->share ? "$share/" : "",
				       s->share ? s->share : "", s->share ? "/" : "", (int)len, hub,
				       ends[e]);
		hub = s->hubs ? settings_hub(s, ++i, &len) : NULL;
	}
	return 0;
}

int link_start(const struct settings *settings, struct queue *queue, struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));
	pthread_condattr_t attributes;
	int r;

	if (!l)
		return -ENOMEM;
	l->settings = settings;
	l->queue = queue;
	r = make_filters(l);
	if (r == 0) {
		(void)pthread_condattr_init(&attributes);
		(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
		r = -pthread_mutex_init(&l->lock, NULL);
		r = r < 0 ? r : -pthread_cond_init(&l->changed, &attributes);
		(void)pthread_condattr_destroy(&attributes);
		r = r < 0 ? r : -pthread_create(&l->thread, NULL, run, l);
	}
	if (r < 0) {
		free(l->filters);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void link_stop(struct link *l, unsigned int ms)
{
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	(void)pthread_mutex_lock(&l->lock);
	l->stopping = true;
	(void)pthread_cond_broadcast(&l->changed);
	while (!l->stopped && r == 0)
		r = pthread_cond_timedwait(&l->changed, &l->lock, &until);
	(void)pthread_mutex_unlock(&l->lock);
}
