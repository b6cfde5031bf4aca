#include "gateway/publish/connection.h"

#include <MQTTAsync.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/publish/tls.h"
#include "wellgate.pb-c.h"

#define QOS               1
#define CONNECT_TIMEOUT_S 10
/* the broker keeps commands for a hub that is away as long as one may live (control/signed.h), and
 * receipts for one that is away most of the time */
#define SESSION_EXPIRY_S (7 * 24 * 3600)
#define PASSWORD_MAX     1024
#define IN_FLIGHT_MAX    65535 /* Paho's own window stays out of the way: ours is smaller */

struct slot {
	struct connection *connection;
	unsigned int next; /* in the free list; its end is the number of slots */
};

struct content_type {
	MQTTProperties all;
	MQTTProperty property;
};

struct connection {
	MQTTAsync handle;
	uint64_t session;
	struct notes *notes;
	const struct topics *topics;
	bool inbound[INBOUND_END];
	bool keeps_session, ended;
	unsigned int n_slots, free_slot;
	struct content_type types[CONTENT_END];
	struct {
		MQTTProperties all;
		MQTTProperty list[2];
	} hello;
	struct slot slots[];
};

int notes_init(struct notes *n, size_t items)
{
	int r = pthread_mutex_init(&n->producers, NULL);

	if (r != 0)
		return -r;
	atomic_init(&n->overflowed, false);
	atomic_init(&n->tls, TLS_FINE);
	r = mailbox_init(&n->box, sizeof(struct note), items);
	if (r < 0)
		(void)pthread_mutex_destroy(&n->producers);
	return r;
}

void notes_finish(struct notes *n)
{
	mailbox_finish(&n->box);
	(void)pthread_mutex_destroy(&n->producers);
}

static bool try_post(const struct connection *c, struct note note)
{
	struct notes *n = c->notes;
	bool posted;

	note.session = c->session;
	(void)pthread_mutex_lock(&n->producers);
	posted = mailbox_post(&n->box, &note);
	(void)pthread_mutex_unlock(&n->producers);
	return posted;
}

static void post(const struct connection *c, struct note note)
{
	if (!try_post(c, note))
		atomic_store(&c->notes->overflowed, true);
}

/* ---- Paho's threads: post and return ---- */

static unsigned int property(MQTTProperties *all, enum MQTTPropertyCodes code, unsigned int missing)
{
	if (!MQTTProperties_hasProperty(all, code))
		return missing;
	return (unsigned int)MQTTProperties_getNumericValue(all, code);
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
	MQTTProperties *p = &data->properties;

	post(context,
	     (struct note){
		     .kind = NOTE_CONNECTED,
		     .receive_maximum = property(p, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, 0),
		     .packet_maximum = property(p, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 0),
		     .keep_alive = property(p, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, 0),
		     .no_retain = property(p, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) == 0,
		     .no_qos = property(p, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2) < QOS,
	     });
}

/* Paho 1.3.12 puts the reason of a CONNACK into `code`, later releases into `reasonCode`. */
static void on_refused(void *context, MQTTAsync_failureData5 *data)
{
	int code = data->reasonCode != MQTTREASONCODE_SUCCESS ? (int)data->reasonCode : data->code;

	post(context, (struct note){ .kind = NOTE_REFUSED, .code = code });
}

static void on_lost(void *context, char *cause)
{
	(void)cause;
	post(context, (struct note){ .kind = NOTE_LOST, .code = MQTTASYNC_DISCONNECTED });
}

/* the broker said DISCONNECT: then Paho does not call on_lost */
static void on_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
	(void)properties;
	post(context, (struct note){ .kind = NOTE_LOST, .code = (int)code });
}

static const char *topic_of(const struct connection *c, enum inbound which)
{
	return which == INBOUND_COMMAND ? c->topics->command : c->topics->receipt;
}

/* -1: none that we asked for. topic_len is 0 where Paho says that the name ends with a NUL. */
static int inbound_of(const struct connection *c, const char *topic, int topic_len)
{
	const size_t len = topic_len > 0 ? (size_t)topic_len : strlen(topic);

	for (int i = 0; i < INBOUND_END; i++) {
		const char *own = topic_of(c, (enum inbound)i);

		if (c->inbound[i] && strlen(own) == len && memcmp(own, topic, len) == 0)
			return i;
	}
	return -1;
}

/* true: it is dealt with. What is not for us, or too long, is dealt with by leaving it. */
static bool hear(const struct connection *c, int which, const MQTTAsync_message *message)
{
	const size_t len = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;
	struct note note = { .kind = NOTE_HEARD, .inbound = (enum inbound)which, .len = len };

	if (which < 0 || len == 0 || len > INBOUND_MAX)
		return true;
	note.data = malloc(len);
	if (!note.data)
		return false;
	memcpy(note.data, message->payload, len);
	if (try_post(c, note))
		return true;
	free(note.data);
	return false;
}

/* 0: Paho comes again with the message, and the broker is told nothing yet. */
static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
	const struct connection *c = context;

	if (!hear(c, inbound_of(c, topic, topic_len), message))
		return 0;
	MQTTAsync_freeMessage(&message);
	MQTTAsync_free(topic);
	return 1;
}

static void on_subscribed(void *context, MQTTAsync_successData5 *data)
{
	post(context, (struct note){ .kind = NOTE_SUBSCRIBED, .code = (int)data->reasonCode });
}

static void on_not_subscribed(void *context, MQTTAsync_failureData5 *data)
{
	bool refused = data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR;

	post(context, (struct note){ .kind = NOTE_SUBSCRIBED,
				     .code = refused ? (int)data->reasonCode
						     : (int)MQTTREASONCODE_UNSPECIFIED_ERROR });
}

static void answer(const struct slot *slot, int code)
{
	const struct connection *c = slot->connection;

	post(c, (struct note){ .kind = NOTE_ANSWER,
			       .slot = (unsigned int)(slot - c->slots),
			       .code = code });
}

static void on_taken(void *context, MQTTAsync_successData5 *data)
{
	answer(context, (int)data->reasonCode);
}

static void on_not_taken(void *context, MQTTAsync_failureData5 *data)
{
	bool refused = data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR;

	answer(context, refused ? (int)data->reasonCode : MQTTASYNC_DISCONNECTED);
}

static void on_closed(void *context, MQTTAsync_successData5 *data)
{
	(void)data;
	post(context, (struct note){ .kind = NOTE_CLOSED });
}

static void on_not_closed(void *context, MQTTAsync_failureData5 *data)
{
	(void)data;
	post(context, (struct note){ .kind = NOTE_CLOSED, .code = MQTTASYNC_FAILURE });
}

/* OpenSSL's error text: names of files and hosts may be in it, so only its kind is kept. */
static int on_tls_error(const char *text, size_t len, void *user)
{
	struct notes *n = user;
	static const char verify[] = "certificate verify failed";

	if (memmem(text, len, verify, sizeof(verify) - 1))
		atomic_store(&n->tls, TLS_UNTRUSTED);
	else if (atomic_load(&n->tls) == TLS_FINE)
		atomic_store(&n->tls, TLS_FAILED);
	return 1;
}

/* ---- the uplink thread ---- */

static bool is_tls(const struct config *config)
{
	return strncmp(config->broker, "mqtts://", strlen("mqtts://")) == 0;
}

static int read_password(const char *file, uint8_t buf[PASSWORD_MAX], size_t *ret_len)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, PASSWORD_MAX);
	if (n < 0)
		return -errno;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	*ret_len = (size_t)n;
	return 0;
}

/* Built by hand: MQTTProperties_add() allocates from Paho's own heap, which Paho sets up with the
 * first handle and tears down with the last; these live longer. Paho copies what it is handed. */
static void set_content_type(struct content_type *t, const char *text)
{
	/* only read, but its type says it might be written */
	union {
		const char *in;
		char *out;
	} data = { text };

	t->property = (MQTTProperty){ .identifier = MQTTPROPERTY_CODE_CONTENT_TYPE };
	t->property.value.data.data = data.out;
	t->property.value.data.len = (int)strlen(text);
	t->all = (MQTTProperties){ .count = 1, .max_count = 1, .array = &t->property };
	t->all.length =
		1 + 2 +
		t->property.value.data.len; /* MQTT 5.0 section 2.2.2: identifier, length, text */
}

/* What CONNECT says: nothing long is for us, and whether the session outlives the connection. */
static void set_hello(struct connection *c)
{
	MQTTProperty *list = c->hello.list;
	const int n = c->keeps_session ? 2 : 1;

	list[0] = (MQTTProperty){ .identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE };
	list[0].value.integer4 = (unsigned int)(2 * INBOUND_MAX);
	list[1] = (MQTTProperty){ .identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL };
	list[1].value.integer4 = SESSION_EXPIRY_S;
	c->hello.all = (MQTTProperties){
		.count = n, .max_count = 2, .length = n * (1 + 4), .array = list
	};
}

static void set_tls(MQTTAsync_SSLOptions *tls, const struct config *config, struct notes *notes)
{
	tls->trustStore = config->ca_file;
	tls->disableDefaultTrustStore = config->ca_file != NULL;
	tls->keyStore = config->cert_file;
	tls->privateKey = config->key_file;
	tls->enableServerCertAuth = 1;
	tls->verify = 1; /* 0, the default, would take any name */
	tls->enabledCipherSuites = TLS_CIPHERS;
	tls->privateKeyPassword = ""; /* else OpenSSL would ask for it at a terminal */
	tls->ssl_error_cb = on_tls_error;
	tls->ssl_error_context = notes;
}

static size_t pack_will(const struct connection_options *o, uint64_t session, uint8_t *buf,
			size_t size)
{
	Wellgate__V1__HubStatus status = WELLGATE__V1__HUB_STATUS__INIT;
	/* protobuf-c only reads what it packs, but its type says it might write */
	union {
		const char *in;
		char *out;
	} hub = { o->hub };

	status.hub = hub.out;
	status.has_epoch = status.has_state = status.has_session = status.has_test = 1;
	status.epoch = o->epoch;
	status.session = session;
	status.state = WELLGATE__V1__HUB_STATUS__STATE__STATE_LOST;
	status.test = o->config->test;
	assert(protobuf_c_message_get_packed_size(&status.base) <= size);
	(void)size;
	return protobuf_c_message_pack(&status.base, buf);
}

static int start(struct connection *c, const struct connection_options *o,
		 MQTTAsync_connectOptions *connect)
{
	uint8_t status[256], password[PASSWORD_MAX];
	size_t password_len = 0;
	MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
	MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
	int r;

	will.topicName = o->topics->status;
	will.retained = !o->no_retain;
	will.qos = QOS;
	will.payload.len = (int)pack_will(o, c->session, status, sizeof(status));
	will.payload.data = status;
	connect->connectProperties = &c->hello.all;
	if (c->keeps_session)
		connect->cleanstart = 0;
	connect->will = &will; /* cppcheck-suppress autoVariables */
	connect->willProperties = &c->types[CONTENT_STATUS].all;
	if (is_tls(o->config)) {
		r = tls_prepare(o->config->ca_file);
		if (r < 0)
			return r;
		set_tls(&tls, o->config, c->notes);
		connect->ssl = &tls; /* cppcheck-suppress autoVariables */
	}
	connect->username = o->config->username;
	if (o->config->password_file) {
		r = read_password(o->config->password_file, password, &password_len);
		if (r < 0)
			return r;
		connect->binarypwd.data = password;
		connect->binarypwd.len = (int)password_len;
	}
	/* Paho copies all of it */
	r = MQTTAsync_connect(c->handle, connect);
	sodium_memzero(password, sizeof(password));
	return r == MQTTASYNC_SUCCESS ? 0 : -EIO;
}

static int create(struct connection *c, const struct connection_options *o)
{
	MQTTAsync_createOptions create_options = MQTTAsync_createOptions_initializer5;
	MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
	int r;

	/* heard at the first handle only; without TLS OpenSSL would be loaded for nothing */
	init.do_openssl_init = is_tls(o->config);
	MQTTAsync_global_init(&init);
	create_options.sendWhileDisconnected = 0;
	create_options.deleteOldestMessages = 0;
	create_options.maxBufferedMessages = (int)o->window + 16;
	r = MQTTAsync_createWithOptions(&c->handle, o->config->broker, o->topics->client,
					MQTTCLIENT_PERSISTENCE_NONE, NULL, &create_options);
	if (r != MQTTASYNC_SUCCESS)
		return -EIO;
	r = MQTTAsync_setCallbacks(c->handle, c, on_lost, on_message, NULL);
	if (r == MQTTASYNC_SUCCESS)
		r = MQTTAsync_setDisconnected(c->handle, c, on_disconnect);
	return r == MQTTASYNC_SUCCESS ? 0 : -EIO;
}

static int open_handle(struct connection *c, const struct connection_options *o)
{
	MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
	int r;

	for (int i = 0; i < CONTENT_END; i++)
		set_content_type(&c->types[i], o->topics->content_type[i]);
	set_hello(c);
	r = create(c, o);
	if (r < 0)
		return r;
	atomic_store(&c->notes->tls, TLS_FINE);
	/* Paho asks after so long a silence, and waits as long for the answer: half of it each */
	connect.keepAliveInterval = (int)((o->keep_alive + 1) / 2);
	connect.cleanstart = 1; /* and session expiry 0, unless it is kept */
	connect.maxInflight = IN_FLIGHT_MAX;
	connect.connectTimeout = CONNECT_TIMEOUT_S;
	connect.automaticReconnect = 0;
	connect.onSuccess5 = on_connected;
	connect.onFailure5 = on_refused;
	connect.context = c;
	return start(c, o, &connect);
}

int connection_open(const struct connection_options *o, uint64_t session, struct notes *notes,
		    struct connection **ret)
{
	struct connection *c = calloc(1, sizeof(*c) + o->window * sizeof(c->slots[0]));
	int r;

	if (!c)
		return -ENOMEM;
	c->session = session;
	c->notes = notes;
	c->topics = o->topics;
	memcpy(c->inbound, o->inbound, sizeof(c->inbound));
	/* a receipt that comes when we are away again is heard at the next visit */
	c->keeps_session =
		o->inbound[INBOUND_COMMAND] ||
		(o->inbound[INBOUND_RECEIPT] && o->config->connection == CONNECTION_ON_DEMAND);
	c->n_slots = o->window;
	for (unsigned int i = 0; i < c->n_slots; i++)
		c->slots[i] = (struct slot){ c, i + 1 };
	r = open_handle(c, o);
	if (r < 0) {
		connection_end(c);
		connection_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int connection_send(struct connection *c, const struct message *m, unsigned int *ret_slot)
{
	MQTTAsync_callOptions call = MQTTAsync_callOptions_initializer;
	MQTTAsync_message message = MQTTAsync_message_initializer;
	unsigned int slot = c->free_slot;

	if (slot == c->n_slots)
		return -ENOBUFS;
	message.payload = m->payload;
	message.payloadlen = (int)m->len;
	message.qos = QOS;
	message.retained = m->retained;
	message.properties = c->types[m->content].all;
	call.onSuccess5 = on_taken;
	call.onFailure5 = on_not_taken;
	call.context = &c->slots[slot];
	if (MQTTAsync_sendMessage(c->handle, m->topic, &message, &call) != MQTTASYNC_SUCCESS)
		return -EIO;
	c->free_slot = c->slots[slot].next;
	*ret_slot = slot;
	return 0;
}

int connection_subscribe(struct connection *c)
{
	MQTTAsync_callOptions call = MQTTAsync_callOptions_initializer;
	char *topics[INBOUND_END];
	int n = 0, qos[INBOUND_END];

	for (int i = 0; i < INBOUND_END; i++) {
		if (!c->inbound[i])
			continue;
		qos[n] = QOS;
		topics[n++] = (char *)(uintptr_t)topic_of(c, (enum inbound)i); /* only read */
	}
	if (n == 0)
		return 0;
	call.onSuccess5 = on_subscribed;
	call.onFailure5 = on_not_subscribed;
	call.context = c;
	return MQTTAsync_subscribeMany(c->handle, n, topics, qos, &call) == MQTTASYNC_SUCCESS
		       ? 0
		       : -EIO;
}

void connection_release(struct connection *c, unsigned int slot)
{
	assert(slot < c->n_slots);
	c->slots[slot].next = c->free_slot;
	c->free_slot = slot;
}

int connection_close(struct connection *c, bool with_will)
{
	MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;

	options.timeout = 0; /* anything else is looked at every 3 s only */
	options.reasonCode = with_will ? MQTTREASONCODE_DISCONNECT_WITH_WILL_MESSAGE
				       : MQTTREASONCODE_NORMAL_DISCONNECTION;
	options.onSuccess5 = on_closed;
	options.onFailure5 = on_not_closed;
	options.context = c;
	return MQTTAsync_disconnect(c->handle, &options) == MQTTASYNC_SUCCESS ? 0 : -EIO;
}

void connection_end(struct connection *c)
{
	if (!c->ended && c->handle)
		MQTTAsync_destroy(&c->handle);
	c->ended = true;
}

void connection_free(struct connection *c)
{
	free(c);
}

uint64_t connection_session(const struct connection *c)
{
	return c->session;
}
