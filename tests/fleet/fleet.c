/*
 * fleet: many hubs in one process, against a real broker over TLS with a certificate each.
 *
 *   fleet PORT HUBS BATCHES CA_DIR
 *
 * CA_DIR is what gateway/dist/brokers/certificates made: the authority of the hubs signs here, in
 * memory, one certificate per hub (one key for all: it is their names that the broker looks at).
 * Each hub connects with MQTT 5, last will and subscription to its receipts, as wellgated does,
 * with the back-off of gateway/publish/uplink.c: full jitter, 0.2 to 1 s first, twice as much each
 * time, 120 s at most. On stdin, one line each, and answered by one line when it is so:
 *
 *   up       all hubs are connected and subscribed: "up SECONDS ATTEMPTS", since the first of them
 *            was lost, or the program began
 *   send     each hub publishes its batches of 10 readings, 5 on the way at a time, and one live
 *            reading a second while it does: "sent READINGS SECONDS LIVE P50_MS P99_MS"
 *
 * It ends at the end of stdin. Exit status 1 and a line on stderr: what went wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wellgate.pb-c.h"

#define HUBS_MAX      19900u
#define PER_BATCH     UINT64_C(10)
#define WINDOW        5u
#define FIRST_MIN_MS  200u
#define FIRST_MAX_MS  1000u
#define BACK_OFF_MS   120000u
#define CONNECT_US    INT64_C(10000000) /* as Paho is told: then it begins anew */
#define LIVE_US       INT64_C(1000000)
#define PING_US       INT64_C(25000000)
#define TICK_MS       20
#define PACKET_MAX    ((size_t)4096)
#define OUT_MAX       (8 * PACKET_MAX)
#define SAMPLES_MAX   ((size_t)4 * 1024 * 1024)
#define CONTENT_TYPE  "application/protobuf; messageType=\"wellgate.v1.ReadingBatch\""
#define DAY_SECONDS   86400
#define LIVE_ID_FIRST 0x8000u /* packet numbers of live readings; those of batches are below */

enum state {
	STATE_WAITING,
	STATE_CONNECTING,
	STATE_TLS,
	STATE_HELLO, /* CONNECT is on its way */
	STATE_SUBSCRIBING,
	STATE_UP,
};

struct hub {
	SSL *ssl;
	X509 *certificate;
	int fd;
	enum state state;
	unsigned int attempts;
	int64_t next_us;  /* of the next try; once connecting, when that is given up */
	int64_t live_at;  /* the next live reading */
	int64_t heard_us; /* or said: of keep alive */
	int64_t live_sent_us;
	unsigned int batches_sent, batches_acked;
	uint16_t live_id; /* 0: none is on the way */
	uint64_t sequence;
	uint8_t *out; /* what the socket did not take yet */
	size_t out_len;
	uint8_t in[256];
	size_t in_len;
	bool wants_write;
};

static struct {
	struct hub *hubs;
	unsigned int n, batches, up;
	SSL_CTX *tls;
	EVP_PKEY *key, *authority_key;
	X509 *authority;
	int epoll;
	struct sockaddr_in broker;
	bool sending, asked_up;
	int64_t since_us; /* the first hub was lost, or the program began */
	int64_t send_us;
	uint64_t attempts, readings, refused;
	uint32_t *samples; /* of live readings, in microseconds */
	size_t n_samples;
	uint64_t epoch;
} fleet;

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

_Noreturn static void fail(const char *what)
{
	(void)fprintf(stderr, "fleet: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static uint32_t uniform(uint32_t below)
{
	uint32_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		fail("no random numbers");
	return (uint32_t)(((uint64_t)r * below) >> 32);
}

/* ---- certificates ---- */

static X509 *sign(unsigned int number)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_NAME_new();
	char text[32];

	(void)snprintf(text, sizeof(text), "fleet/hub%05u", number);
	if (!x || !name || X509_set_version(x, 2) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), number + 1000000u) != 1 ||
	    !X509_gmtime_adj(X509_getm_notBefore(x), -DAY_SECONDS) ||
	    !X509_gmtime_adj(X509_getm_notAfter(x), 30L * DAY_SECONDS) ||
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
				       (const unsigned char *)text, -1, -1, 0) != 1 ||
	    X509_set_subject_name(x, name) != 1 ||
	    X509_set_issuer_name(x, X509_get_subject_name(fleet.authority)) != 1 ||
	    X509_set_pubkey(x, fleet.key) != 1 ||
	    X509_sign(x, fleet.authority_key, EVP_sha256()) == 0)
		fail("a certificate cannot be made");
	X509_NAME_free(name);
	return x;
}

static void open_tls(const char *folder)
{
	char path[4096];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/hubs-ca.pem", folder);
	file = fopen(path, "re");
	fleet.authority = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	if (file)
		(void)fclose(file);
	(void)snprintf(path, sizeof(path), "%s/hubs-ca.key", folder);
	file = fopen(path, "re");
	fleet.authority_key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
	if (file)
		(void)fclose(file);
	fleet.key = EVP_EC_gen("P-256");
	fleet.tls = SSL_CTX_new(TLS_client_method());
	(void)snprintf(path, sizeof(path), "%s/services-ca.pem", folder);
	if (!fleet.authority || !fleet.authority_key || !fleet.key || !fleet.tls ||
	    SSL_CTX_load_verify_locations(fleet.tls, path, NULL) != 1)
		fail("CA_DIR is not what certificates made");
	SSL_CTX_set_verify(fleet.tls, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(fleet.tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY |
						  SSL_MODE_ENABLE_PARTIAL_WRITE |
						  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* a hub connects once in days: a full handshake each time, as Paho does */
	(void)SSL_CTX_set_session_cache_mode(fleet.tls, SSL_SESS_CACHE_OFF);
}

/* ---- a hub's connection ---- */

static void watch(struct hub *h, bool write)
{
	struct epoll_event e = { .events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = h };

	if (h->wants_write == write)
		return;
	h->wants_write = write;
	if (epoll_ctl(fleet.epoll, EPOLL_CTL_MOD, h->fd, &e) < 0)
		fail("epoll");
}

static void lose(struct hub *h)
{
	uint32_t most = FIRST_MAX_MS;

	for (unsigned int i = 0; i < h->attempts && most < BACK_OFF_MS; i++)
		most *= 2;
	if (most > BACK_OFF_MS)
		most = BACK_OFF_MS;
	if (h->state == STATE_UP) {
		if (fleet.up == fleet.n)
			fleet.since_us = now_us();
		fleet.up--;
	}
	SSL_free(h->ssl);
	if (h->fd >= 0)
		(void)close(h->fd);
	free(h->out);
	h->ssl = NULL;
	h->out = NULL;
	h->fd = -1;
	h->out_len = h->in_len = 0;
	h->live_id = 0;
	/* what is not acknowledged goes again */
	h->batches_sent = h->batches_acked;
	h->attempts++;
	h->state = STATE_WAITING;
	h->next_us = now_us() + (int64_t)(FIRST_MIN_MS + uniform(most - FIRST_MIN_MS + 1)) * 1000;
}

static void begin(struct hub *h)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = h };
	const int one = 1;

	fleet.attempts++;
	h->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		fail("no more sockets: ulimit -n");
	(void)setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	h->state = STATE_CONNECTING;
	h->next_us = now_us() + CONNECT_US;
	h->wants_write = true;
	if (epoll_ctl(fleet.epoll, EPOLL_CTL_ADD, h->fd, &e) < 0)
		fail("epoll");
	if (connect(h->fd, (const struct sockaddr *)&fleet.broker, sizeof(fleet.broker)) < 0 &&
	    errno != EINPROGRESS)
		lose(h);
}

static void begin_tls(struct hub *h)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
		lose(h);
		return;
	}
	h->ssl = SSL_new(fleet.tls);
	if (!h->ssl || SSL_use_certificate(h->ssl, h->certificate) != 1 ||
	    SSL_use_PrivateKey(h->ssl, fleet.key) != 1 || SSL_set_fd(h->ssl, h->fd) != 1 ||
	    SSL_set1_host(h->ssl, "localhost") != 1)
		fail("TLS");
	SSL_set_connect_state(h->ssl);
	h->state = STATE_TLS;
}

/* true: it is to be tried again when the socket is ready */
static bool is_later(struct hub *h, int r)
{
	const int error = SSL_get_error(h->ssl, r);

	if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) {
		watch(h, error == SSL_ERROR_WANT_WRITE || h->out_len > 0);
		return true;
	}
	ERR_clear_error();
	return false;
}

static void flush(struct hub *h)
{
	while (h->out_len > 0) {
		int r = SSL_write(h->ssl, h->out, (int)h->out_len);

		if (r <= 0) {
			if (!is_later(h, r))
				lose(h);
			return;
		}
		h->out_len -= (size_t)r;
		memmove(h->out, h->out + r, h->out_len);
	}
	free(h->out);
	h->out = NULL;
	watch(h, false);
}

/* ---- packets: MQTT 5.0 sections 2 and 3 ---- */

struct packet {
	uint8_t data[PACKET_MAX];
	size_t len;
};

static void put_u8(struct packet *p, unsigned int v)
{
	if (p->len == PACKET_MAX)
		fail("a packet is too long");
	p->data[p->len++] = (uint8_t)v;
}

static void put_u16(struct packet *p, unsigned int v)
{
	put_u8(p, v >> 8 & 0xff);
	put_u8(p, v & 0xff);
}

static void put_data(struct packet *p, const void *data, size_t len)
{
	if (len > PACKET_MAX - p->len)
		fail("a packet is too long");
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

static void put_string(struct packet *p, const char *text)
{
	const size_t len = strlen(text);

	put_u16(p, (unsigned int)len);
	put_data(p, text, len);
}

static void send_packet(struct hub *h, unsigned int type, const struct packet *body)
{
	struct packet head = { .len = 0 };
	size_t rest = body->len;

	put_u8(&head, type);
	do {
		put_u8(&head, (unsigned int)(rest & 0x7f) | (rest > 0x7f ? 0x80u : 0u));
		rest >>= 7;
	} while (rest > 0);
	if (h->out_len + head.len + body->len > OUT_MAX)
		fail("a hub has more on the way than it may");
	if (!h->out)
		h->out = malloc(OUT_MAX);
	if (!h->out)
		fail("out of memory");
	memcpy(h->out + h->out_len, head.data, head.len);
	memcpy(h->out + h->out_len + head.len, body->data, body->len);
	h->out_len += head.len + body->len;
	h->heard_us = now_us();
}

static unsigned int number_of(const struct hub *h)
{
	return (unsigned int)(h - fleet.hubs);
}

static void put_topic(struct packet *p, const struct hub *h, const char *end)
{
	char topic[96];

	(void)snprintf(topic, sizeof(topic), "wellgate/v1/fleet/hub%05u/%s", number_of(h), end);
	put_string(p, topic);
}

static void put_will(struct packet *p, const struct hub *h)
{
	Wellgate__V1__HubStatus status = WELLGATE__V1__HUB_STATUS__INIT;
	uint8_t data[128];
	char name[16];
	size_t len;

	(void)snprintf(name, sizeof(name), "hub%05u", number_of(h));
	status.hub = name;
	status.has_epoch = status.has_state = status.has_test = 1;
	status.epoch = fleet.epoch;
	status.state = WELLGATE__V1__HUB_STATUS__STATE__STATE_LOST;
	status.test = 1;
	if (wellgate__v1__hub_status__get_packed_size(&status) > sizeof(data))
		fail("a status is too long");
	len = wellgate__v1__hub_status__pack(&status, data);
	put_u16(p, (unsigned int)len);
	put_data(p, data, len);
}

static void say_hello(struct hub *h)
{
	struct packet p = { .len = 0 };
	char name[32];

	put_string(&p, "MQTT");
	put_u8(&p, 5);
	put_u8(&p, 0x02 | 0x04 | 0x08); /* clean start; a will, QoS 1 */
	put_u16(&p, 60);
	put_u8(&p, 0); /* no properties */
	(void)snprintf(name, sizeof(name), "wellgate-fleet-hub%05u", number_of(h));
	put_string(&p, name);
	put_u8(&p, 0);
	put_topic(&p, h, "status");
	put_will(&p, h);
	send_packet(h, 0x10, &p);
	h->state = STATE_HELLO;
}

static void subscribe(struct hub *h)
{
	struct packet p = { .len = 0 };

	put_u16(&p, 1);
	put_u8(&p, 0);
	put_topic(&p, h, "receipt");
	put_u8(&p, 1);
	send_packet(h, 0x82, &p);
	h->state = STATE_SUBSCRIBING;
}

static size_t pack_batch(const struct hub *h, uint64_t first, unsigned int count, uint8_t *buf,
			 size_t size)
{
	static Wellgate__V1__Reading readings[PER_BATCH], *list[PER_BATCH];
	static Wellgate__V1__Component parts[PER_BATCH], *part_list[PER_BATCH];
	static Wellgate__V1__Decimal values[PER_BATCH];
	static uint8_t ids[PER_BATCH][16];
	static Wellgate__V1__Flag test[1] = { WELLGATE__V1__FLAG__FLAG_TEST };
	static char kilogram[] = "kg";
	Wellgate__V1__ReadingBatch batch = WELLGATE__V1__READING_BATCH__INIT;
	char hub[16];

	(void)snprintf(hub, sizeof(hub), "hub%05u", number_of(h));
	for (unsigned int i = 0; i < count; i++) {
		const uint32_t id[4] = { number_of(h), (uint32_t)(first + i), (uint32_t)fleet.epoch,
					 0 };

		memcpy(ids[i], id, sizeof(id));
		wellgate__v1__decimal__init(&values[i]);
		values[i].has_mantissa = values[i].has_exponent = 1;
		values[i].mantissa = (int64_t)(700 + (first + i) % 100);
		values[i].exponent = -1;
		wellgate__v1__component__init(&parts[i]);
		parts[i].has_metric = 1;
		parts[i].metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
		parts[i].value = &values[i];
		parts[i].unit = kilogram;
		part_list[i] = &parts[i];
		wellgate__v1__reading__init(&readings[i]);
		readings[i].has_reading_id = readings[i].has_dedupe_key = 1;
		readings[i].reading_id.data = readings[i].dedupe_key.data = ids[i];
		readings[i].reading_id.len = readings[i].dedupe_key.len = sizeof(ids[i]);
		readings[i].has_sequence = readings[i].has_metric = 1;
		readings[i].sequence = first + i;
		readings[i].metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
		readings[i].n_components = 1;
		readings[i].components = &part_list[i];
		readings[i].n_flags = 1;
		readings[i].flags = test;
		list[i] = &readings[i];
	}
	batch.hub = hub;
	batch.has_epoch = 1;
	batch.epoch = fleet.epoch;
	batch.n_readings = count;
	batch.readings = list;
	if (wellgate__v1__reading_batch__get_packed_size(&batch) > size)
		fail("a batch is too long");
	return wellgate__v1__reading_batch__pack(&batch, buf);
}

static void publish(struct hub *h, uint16_t id, uint64_t first, unsigned int count)
{
	static const char type[] = CONTENT_TYPE;
	struct packet p = { .len = 0 };
	uint8_t payload[PACKET_MAX / 2];
	size_t len = pack_batch(h, first, count, payload, sizeof(payload));

	put_topic(&p, h, "test/reading/weight");
	put_u16(&p, id);
	put_u8(&p, 1 + 2 + (unsigned int)strlen(type)); /* the length of the properties */
	put_u8(&p, 0x03);
	put_string(&p, type);
	put_data(&p, payload, len);
	send_packet(h, 0x32, &p);
}

/* Batches take the first numbers, so live ones follow: what is sent again has the number it had. */
static void send_due(struct hub *h, int64_t now)
{
	const struct packet none = { .len = 0 };

	if (fleet.sending && !h->live_id && h->batches_acked < fleet.batches && now >= h->live_at) {
		h->live_id = LIVE_ID_FIRST;
		h->live_sent_us = now;
		h->live_at = now + LIVE_US;
		publish(h, h->live_id, fleet.batches * PER_BATCH + h->sequence + 1, 1);
	}
	while (fleet.sending && h->batches_sent < fleet.batches &&
	       h->batches_sent - h->batches_acked < WINDOW) {
		publish(h, (uint16_t)(h->batches_sent + 2),
			UINT64_C(1) + h->batches_sent * PER_BATCH, PER_BATCH);
		h->batches_sent++;
	}
	if (now - h->heard_us > PING_US)
		send_packet(h, 0xc0, &none);
	if (h->out_len > 0)
		flush(h);
}

/* The broker answers in order: section 4.6. */
static void acknowledged(struct hub *h, unsigned int id, unsigned int code)
{
	if (code >= 0x80) {
		fleet.refused++;
		return;
	}
	if (id >= LIVE_ID_FIRST) {
		if (fleet.n_samples < SAMPLES_MAX)
			fleet.samples[fleet.n_samples++] = (uint32_t)(now_us() - h->live_sent_us);
		h->live_id = 0;
		h->sequence++;
		fleet.readings++;
	} else {
		h->batches_acked++;
		fleet.readings += PER_BATCH;
	}
}

static void heard(struct hub *h, unsigned int type, const uint8_t *data, size_t len)
{
	switch (type >> 4) {
	case 2: /* CONNACK */
		if (len < 2 || data[1] >= 0x80)
			fail("the broker refused a hub");
		subscribe(h);
		break;
	case 9: /* SUBACK */
		h->state = STATE_UP;
		h->attempts = 0;
		h->live_at = now_us() + (int64_t)uniform((uint32_t)LIVE_US);
		fleet.up++;
		break;
	case 4: /* PUBACK */
		if (len >= 2)
			acknowledged(h, (unsigned int)(data[0] << 8 | data[1]),
				     len > 2 ? data[2] : 0u);
		break;
	case 3: /* PUBLISH: receipts go by; this fleet forgets on PUBACK */
		if (len >= 2 && len > (size_t)(data[0] << 8 | data[1]) + 3) {
			struct packet p = { .len = 0 };

			put_data(&p, data + 2 + (data[0] << 8 | data[1]), 2);
			send_packet(h, 0x40, &p);
		}
		break;
	default:
		break;
	}
}

/* Takes whole packets off the front; false: one is longer than we keep. */
static bool take_packets(struct hub *h)
{
	while (h->in_len >= 2 && h->state >= STATE_HELLO) {
		const size_t small = h->in[1] & 0x7f;
		const bool two = h->in[1] & 0x80;
		size_t head = two ? 3 : 2, whole;

		if (h->in_len < head)
			return true;
		whole = head + (two ? small | (size_t)h->in[2] << 7 : small);
		if (whole > sizeof(h->in))
			return false;
		if (h->in_len < whole)
			return true;
		heard(h, h->in[0], h->in + head, whole - head);
		h->in_len -= whole;
		memmove(h->in, h->in + whole, h->in_len);
	}
	return true;
}

static void receive(struct hub *h)
{
	for (;;) {
		int r = SSL_read(h->ssl, h->in + h->in_len, (int)(sizeof(h->in) - h->in_len));

		if (r <= 0) {
			if (!is_later(h, r))
				lose(h);
			break;
		}
		h->in_len += (size_t)r;
		if (!take_packets(h))
			fail("a packet of the broker is too long");
	}
}

static void on_event(struct hub *h)
{
	if (h->state == STATE_CONNECTING)
		begin_tls(h);
	if (h->state == STATE_TLS) {
		int r = SSL_do_handshake(h->ssl);

		if (r == 1)
			say_hello(h);
		else if (!is_later(h, r))
			lose(h);
	}
	if (h->state >= STATE_HELLO)
		receive(h);
	if (h->state == STATE_UP)
		send_due(h, now_us());
	if (h->state >= STATE_HELLO && h->out_len > 0)
		flush(h);
}

static void tick(void)
{
	const int64_t now = now_us();

	for (unsigned int i = 0; i < fleet.n; i++) {
		struct hub *h = &fleet.hubs[i];

		if (h->state == STATE_WAITING && now >= h->next_us)
			begin(h);
		else if (h->state > STATE_WAITING && h->state < STATE_UP && now >= h->next_us)
			lose(h);
		else if (h->state == STATE_UP)
			send_due(h, now);
	}
}

/* ---- what is asked ---- */

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile_ms(size_t percent)
{
	const size_t at = fleet.n_samples > 0 ? (fleet.n_samples - 1) * percent / 100 : 0;

	return fleet.samples[at] / 1000.0; /* 0 if there are none */
}

static bool all_sent(void)
{
	for (unsigned int i = 0; i < fleet.n; i++) {
		if (fleet.hubs[i].batches_acked < fleet.batches || fleet.hubs[i].live_id)
			return false;
	}
	return true;
}

static double seconds_since(int64_t us)
{
	return (double)(now_us() - us) / 1e6;
}

static void answer(void)
{
	if (fleet.asked_up && fleet.up == fleet.n) {
		(void)printf("up %.1f %" PRIu64 "\n", seconds_since(fleet.since_us),
			     fleet.attempts);
		fleet.asked_up = false;
		fleet.attempts = 0;
	}
	if (fleet.sending && all_sent()) {
		qsort(fleet.samples, fleet.n_samples, sizeof(fleet.samples[0]), compare);
		(void)printf("sent %" PRIu64 " %.1f %zu %.1f %.1f\n", fleet.readings,
			     seconds_since(fleet.send_us), fleet.n_samples, percentile_ms(50),
			     percentile_ms(99));
		fleet.sending = false;
	}
	if (fleet.refused > 0)
		fail("the broker refused a message");
	(void)fflush(stdout);
}

/* false: the end */
static bool hear_order(void)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n <= 0)
		return false;
	line[n] = '\0';
	if (strcmp(line, "up\n") == 0) {
		fleet.asked_up = true;
	} else if (strcmp(line, "send\n") == 0) {
		fleet.sending = true;
		fleet.send_us = now_us();
	} else {
		fail("an order that is none");
	}
	return true;
}

static void run(void)
{
	struct epoll_event events[256], input = { .events = EPOLLIN, .data.ptr = NULL };
	int64_t next_tick = 0;
	bool more = true;

	fleet.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (fleet.epoll < 0 || epoll_ctl(fleet.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		fail("epoll");
	fleet.since_us = now_us();
	while (more) {
		int n = epoll_wait(fleet.epoll, events, 256, TICK_MS);

		for (int i = 0; i < n && more; i++) {
			struct hub *h = events[i].data.ptr;

			if (!h)
				more = hear_order();
			else if (h->state != STATE_WAITING)
				on_event(h);
		}
		if (now_us() >= next_tick) {
			tick();
			answer();
			next_tick = now_us() + INT64_C(1000) * TICK_MS;
		}
	}
}

static unsigned int number(const char *text, unsigned int most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end || v == 0 || v > most)
		fail("usage: fleet PORT HUBS BATCHES CA_DIR");
	return (unsigned int)v;
}

static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("the limit of open files");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < fleet.n + 64)
		fail("the limit of open files is below the number of hubs: ulimit -n");
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage: fleet PORT HUBS BATCHES CA_DIR");
	fleet.broker.sin_family = AF_INET;
	fleet.broker.sin_port = htons((uint16_t)number(argv[1], 65535));
	fleet.broker.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fleet.n = number(argv[2], HUBS_MAX);
	fleet.batches = number(argv[3], 30000);
	allow_files();
	(void)signal(SIGPIPE, SIG_IGN);
	open_tls(argv[4]);
	fleet.epoch = (uint64_t)time(NULL);
	fleet.hubs = calloc(fleet.n, sizeof(fleet.hubs[0]));
	fleet.samples = calloc(SAMPLES_MAX, sizeof(fleet.samples[0]));
	if (!fleet.hubs || !fleet.samples)
		fail("out of memory");
	for (unsigned int i = 0; i < fleet.n; i++) {
		struct hub *h = &fleet.hubs[i];

		h->certificate = sign(i);
		h->fd = -1;
		/* the power of a whole town came back */
		h->next_us = now_us() + (int64_t)uniform(FIRST_MAX_MS) * 1000;
	}
	run();
	return 0;
}
