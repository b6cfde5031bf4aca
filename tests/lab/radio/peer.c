/* One simulated peripheral: its server, its security manager, its readings, and the air. */
#include "tests/lab/radio/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lab/radio/models/model.h"
#include "tests/lab/radio/peer_command.h"

#define PAIRING_LIMIT INT64_C(30000000)
#define ROWS_MAX      64
#define ADVERT_MS     100

#define ERROR_AUTHENTICATION 0x05 /* HCI reason */

/* ---- for models ---- */

static void wake_up(const struct peer_state *s)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < TIMER_N; i++)
		if (s->timers[i] < first)
			first = s->timers[i];
	air_wake(s->peer, first);
}

void peer_timer(struct peer_state *s, enum timer timer, int64_t in_us)
{
	s->timers[timer] = air_now() + in_us;
	wake_up(s);
}

void peer_timer_off(struct peer_state *s, enum timer timer)
{
	if (s->timers[timer] == INT64_MAX)
		return;
	s->timers[timer] = INT64_MAX;
	wake_up(s);
}

bool peer_secured(const struct peer_state *s)
{
	return s->server.level >= s->server.required;
}

int64_t device_time(const struct peer_state *s)
{
	return (int64_t)time(NULL) + s->clock_offset;
}

void put_date_time(struct writer *w, int64_t at)
{
	const time_t seconds = (time_t)at;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		tm = (struct tm){ 0 };
	writer_le16(w, (uint16_t)(tm.tm_year + 1900));
	writer_u8(w, (uint8_t)(tm.tm_mon + 1));
	writer_u8(w, (uint8_t)tm.tm_mday);
	writer_u8(w, (uint8_t)tm.tm_hour);
	writer_u8(w, (uint8_t)tm.tm_min);
	writer_u8(w, (uint8_t)tm.tm_sec);
}

void put_device_time(const struct peer_state *s, struct writer *w)
{
	if (s->clock_set)
		put_date_time(w, device_time(s));
	else
		writer_bytes(w, "\0\0\0\0\0\0\0", 7);
}

uint8_t set_device_time(struct peer_state *s, const uint8_t *data, size_t len)
{
	struct tm tm = { 0 };

	if (len < 7)
		return ATT_INVALID_LENGTH;
	tm.tm_year = (data[0] | data[1] << 8) - 1900;
	tm.tm_mon = data[2] - 1;
	tm.tm_mday = data[3];
	tm.tm_hour = data[4];
	tm.tm_min = data[5];
	tm.tm_sec = data[6];
	if (tm.tm_year < 100 || tm.tm_year > 199 || tm.tm_mon < 0 || tm.tm_mon > 11 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 59)
		return ATT_VALUE_NOT_ALLOWED;
	s->clock_offset = (int64_t)timegm(&tm) - (int64_t)time(NULL);
	s->clock_set = true;
	/* after a clock was put back, readings may be older than those before: as on a device */
	s->last_time = 0;
	air_log(s->peer, "clock set %04d-%02d-%02d %02d:%02d:%02d", data[0] | data[1] << 8, data[2],
		data[3], data[4], data[5], data[6]);
	return ATT_OK;
}

unsigned int distinct(const struct peer_state *s, const struct reading *r, unsigned int base,
		      unsigned int range)
{
	return base + (r->number * 64 + s->peer->index % 64) % range;
}

void put_sfloat(struct writer *w, int mantissa, int exponent)
{
	writer_le16(w, (uint16_t)(((unsigned int)exponent & 0xf) << 12 |
				  ((unsigned int)mantissa & 0xfff)));
}

/* ---- what the server says ---- */

/* responses, in one of the ways in which devices have broken them */
static void send_malformed(struct peer_state *s, const uint8_t *pdu, size_t len)
{
	uint8_t bad[PEER_SDU_MAX] = { 0 };
	size_t n = len;

	memcpy(bad, pdu, len);
	switch (s->malformed++ % 5) {
	case 0: /* a part is missing */
		n = len > 1 ? len - 1 : len;
		break;
	case 1: /* only the opcode */
		n = 1;
		break;
	case 2: /* an opcode that does not exist */
		bad[0] = 0x3f;
		break;
	case 3: /* the length in it says nothing */
		if (n > 1)
			bad[1] = 0;
		break;
	default: /* longer than the MTU */
		n = (size_t)s->server.mtu + 1;
		break;
	}
	air_log(s->peer, "fault malformed response %02x", pdu[0]);
	air_send(s->peer, PEER_CID_ATT, bad, n);
}

static void att_send(void *context, const uint8_t *pdu, size_t len)
{
	struct peer_state *const s = context;
	const bool response = (pdu[0] & 1) && pdu[0] != 0x1b && pdu[0] != 0x1d;

	if (response && s->faults[FAULT_MALFORMED]) {
		s->faults[FAULT_MALFORMED]--;
		send_malformed(s, pdu, len);
		return;
	}
	air_send(s->peer, PEER_CID_ATT, pdu, len);
}

static uint8_t att_read(void *context, uint8_t id, struct writer *w)
{
	struct peer_state *const s = context;
	uint8_t hash[16];

	if (id == ID_HASH) {
		server_hash(&s->server, hash);
		writer_bytes(w, hash, sizeof(hash));
		return ATT_OK;
	}
	if (id == ID_BATTERY) {
		writer_u8(w, s->battery);
		return ATT_OK;
	}
	return id < ID_NAME && s->model->read ? s->model->read(s, id, w) : ATT_OK;
}

static uint8_t att_write(void *context, uint8_t id, const uint8_t *data, size_t len)
{
	struct peer_state *const s = context;

	return id < ID_NAME && s->model->write ? s->model->write(s, id, data, len) : ATT_OK;
}

static void att_wrote(void *context, uint8_t id, const uint8_t *data, size_t len)
{
	struct peer_state *const s = context;

	if (id < ID_NAME && s->model->wrote)
		s->model->wrote(s, id, data, len);
}

/* a changed table is told to a client that asked for it */
static void tell_moved(struct peer_state *s)
{
	static const uint8_t ALL[4] = { 0x01, 0x00, 0xff, 0xff };

	if (!s->moved || stock_answer(s, ID_SERVICE_CHANGED, ALL, sizeof(ALL)) < 0)
		return;
	s->moved = false;
	air_log(s->peer, "service changed");
}

static void att_subscribed(void *context, uint8_t id, uint16_t ccc)
{
	struct peer_state *const s = context;

	air_log(s->peer, "subscribed id=%u ccc=%u level=%d", id, ccc, (int)s->server.level);
	if (id < ID_NAME && s->model->subscribed)
		s->model->subscribed(s, id, ccc);
	tell_moved(s);
	stock_pump(s);
}

static void att_confirmed(void *context)
{
	stock_confirmed(context);
}

/* ---- what the security manager says ---- */

static void smp_send(void *context, const uint8_t *pdu, size_t len)
{
	struct peer_state *const s = context;

	air_send(s->peer, PEER_CID_SMP, pdu, len);
}

static void smp_display(void *context, uint32_t number)
{
	struct peer_state *const s = context;

	air_log(s->peer, "displays %06u", number);
}

static void smp_bonded(void *context)
{
	struct peer_state *const s = context;

	s->server.bonded = s->server.has_key = true;
	air_log(s->peer, "bonded authenticated=%d secure=%d", s->smp.bond.authenticated,
		s->smp.bond.secure);
}

static void smp_failed(void *context, uint8_t reason, bool by_host)
{
	struct peer_state *const s = context;

	air_log(s->peer, "pairing failed %02x by=%s", reason, by_host ? "host" : "peer");
	if (by_host && s->model->pairing_failed)
		s->model->pairing_failed(s);
}

/* ---- birth ---- */

static const struct model *model_named(const char *name)
{
	for (size_t i = 0; models[i]; i++)
		if (!strcmp(models[i]->name, name))
			return models[i];
	return NULL;
}

struct rows {
	struct server_row rows[ROWS_MAX];
	size_t n;
};

static void add_row(struct rows *r, struct server_row row)
{
	assert(r->n < ROWS_MAX);
	r->rows[r->n++] = row;
}

static void add_text(struct rows *r, uint16_t uuid, const char *text)
{
	add_row(r, (struct server_row){ .kind = SERVER_CHARACTERISTIC,
					.uuid = uuid,
					.properties = GATT_READ,
					.value = text,
					.len = (uint8_t)strlen(text) });
}

static void add_service(struct rows *r, uint16_t uuid)
{
	add_row(r, (struct server_row){ .kind = SERVER_SERVICE, .uuid = uuid });
}

static void add_gap_and_gatt(struct rows *r, const struct peer *p, const uint8_t appearance[2],
			     bool modern)
{
	add_service(r, 0x1800);
	add_text(r, 0x2a00, p->name);
	add_row(r, (struct server_row){ .kind = SERVER_CHARACTERISTIC,
					.uuid = 0x2a01,
					.properties = GATT_READ,
					.value = appearance,
					.len = 2 });
	add_service(r, 0x1801);
	add_row(r, (struct server_row){ .kind = SERVER_CHARACTERISTIC,
					.uuid = 0x2a05,
					.properties = GATT_INDICATE,
					.id = ID_SERVICE_CHANGED });
	if (!modern)
		return;
	add_row(r, (struct server_row){ .kind = SERVER_CHARACTERISTIC,
					.uuid = 0x2b29,
					.properties = GATT_READ | GATT_WRITE,
					.id = ID_CLIENT_FEATURES,
					.value = "",
					.len = 1 });
	add_row(r, (struct server_row){ .kind = SERVER_CHARACTERISTIC,
					.uuid = 0x2b2a,
					.properties = GATT_READ,
					.id = ID_HASH });
}

static void add_information(struct rows *r, const struct model *m, const char *serial)
{
	add_service(r, 0x180a);
	add_text(r, 0x2a29, m->maker);
	add_text(r, 0x2a24, m->type);
	add_text(r, 0x2a25, serial);
	add_text(r, 0x2a26, "1.0.3");
	if (!m->battery)
		return;
	add_service(r, 0x180f);
	add_row(r, (struct server_row){ .kind = SERVER_CHARACTERISTIC,
					.uuid = 0x2a19,
					.properties = GATT_READ | GATT_NOTIFY,
					.id = ID_BATTERY });
}

static int build_server(struct peer *p, const struct model *m)
{
	const struct server_host host = { .context = p->state,
					  .send = att_send,
					  .read = att_read,
					  .write = att_write,
					  .wrote = att_wrote,
					  .subscribed = att_subscribed,
					  .confirmed = att_confirmed };
	const uint8_t appearance[2] = { (uint8_t)m->appearance, (uint8_t)(m->appearance >> 8) };
	struct server *const server = &p->state->server;
	struct rows r = { .n = 0 };
	char serial[16];
	int err;

	(void)snprintf(serial, sizeof(serial), "SIM%06u", p->index);
	add_gap_and_gatt(&r, p, appearance, m->modern);
	add_information(&r, m, serial);
	for (size_t i = 0; i < m->n_rows; i++)
		add_row(&r, m->rows[i]);
	err = server_init(server, &host, r.rows, r.n);
	if (!err)
		server->own_mtu = m->mtu ? m->mtu : SERVER_MTU_MIN;
	return err;
}

static void build_identity(struct peer *p)
{
	/* locally administered, of nobody; every other device has a static random address */
	p->identity_random = p->index % 2;
	p->identity[0] = p->identity_random ? 0xc0 : 0x02;
	p->identity[1] = 0x00;
	p->identity[2] = 0x5e;
	p->identity[3] = 0x10;
	p->identity[4] = (uint8_t)(p->index >> 8);
	p->identity[5] = (uint8_t)p->index;
	/* synthetic, and different for each device */
	for (size_t i = 0; i < sizeof(p->irk); i++)
		p->irk[i] = (uint8_t)(0x5a + 17 * i + 31 * (size_t)p->index +
				      7 * (size_t)(p->index >> 8));
	memcpy(p->address, p->identity, sizeof(p->address));
	p->address_random = p->identity_random;
}

static void build_advert(struct peer *p, const struct model *m)
{
	struct writer w = writer_of(p->advert, sizeof(p->advert));
	struct writer scan = writer_of(p->scan_response, sizeof(p->scan_response));
	size_t n = 0, name = strlen(p->name);

	while (n < 3 && m->services[n])
		n++;
	writer_bytes(&w, "\x02\x01\x06", 3);
	if (n) {
		writer_u8(&w, (uint8_t)(1 + 2 * n));
		writer_u8(&w, 0x03);
	}
	for (size_t i = 0; i < n; i++)
		writer_le16(&w, m->services[i]);
	writer_u8(&w, 3);
	writer_u8(&w, 0x19);
	writer_le16(&w, m->appearance);
	writer_u8(&scan, (uint8_t)(1 + name));
	writer_u8(&scan, 0x09);
	writer_bytes(&scan, p->name, name);
	assert(writer_ok(&w) && writer_ok(&scan));
	p->advert_len = w.len;
	p->scan_response_len = scan.len;
	p->advertises = p->connectable = true;
	p->interval_ms = ADVERT_MS;
}

static void build_security(struct peer *p, const struct model *m)
{
	const struct smp_host host = { .context = p->state,
				       .send = smp_send,
				       .display = smp_display,
				       .bonded = smp_bonded,
				       .failed = smp_failed };
	struct smp *const smp = &p->state->smp;

	smp_init(smp, &host);
	smp->passkey = (123456 + p->index * 7919) % 1000000;
	smp->identity.random = p->identity_random;
	for (size_t i = 0; i < 6; i++)
		smp->identity.bytes[i] = p->identity[5 - i];
	memcpy(smp->irk, p->irk, sizeof(smp->irk));
	peer_set_pairing(p->state, m->pairing);
}

int peer_new(const char *model, unsigned int index, struct peer **ret)
{
	const struct model *const m = model_named(model);
	struct peer *p;
	struct peer_state *s;

	if (!m)
		return -ENOENT;
	p = calloc(1, sizeof(*p));
	s = calloc(1, sizeof(*s));
	if (!p || !s || !(s->own = calloc(1, m->own_size ? m->own_size : 1))) {
		free(s);
		free(p);
		return -ENOMEM;
	}
	*p = (struct peer){ .index = index, .model = m->name, .state = s };
	s->peer = p;
	s->model = m;
	s->clock_set = true;
	s->battery = (uint8_t)(50 + index % 50);
	for (size_t i = 0; i < TIMER_N; i++)
		s->timers[i] = INT64_MAX;
	(void)snprintf(p->name, 28, "%s %02u", m->label, index);
	build_identity(p);
	build_advert(p, m);
	if (build_server(p, m) < 0) {
		peer_free(p);
		return -ENOMEM;
	}
	build_security(p, m);
	if (m->born)
		m->born(s);
	*ret = p;
	return 0;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	if (p->state->model->gone)
		p->state->model->gone(p->state);
	smp_free(&p->state->smp);
	free(p->state->own);
	free(p->state);
	free(p);
}

/* ---- what happens on the link ---- */

static struct crypto_address address_of(const uint8_t bytes[6], bool is_random)
{
	struct crypto_address address = { .random = is_random };

	for (size_t i = 0; i < 6; i++)
		address.bytes[i] = bytes[5 - i];
	return address;
}

void peer_connected(struct peer *p)
{
	struct peer_state *const s = p->state;
	const struct crypto_address addresses[2] = { address_of(p->host, p->host_random),
						     address_of(p->address, p->address_random) };

	s->server.bonded = s->server.has_key = s->smp.bond.valid;
	if (!s->server.bonded)
		server_forget(&s->server);
	server_connected(&s->server);
	smp_connected(&s->smp, addresses);
	if (s->early == EARLY_LINK)
		stock_force(s);
	if (s->asks_security && s->server.connected)
		smp_request(&s->smp);
	if (s->model->connected && s->server.connected)
		s->model->connected(s);
	/* a bonded client's subscriptions hold at once, where no encryption is asked for */
	tell_moved(s);
	stock_pump(s);
}

void peer_disconnected(struct peer *p, uint8_t reason)
{
	struct peer_state *const s = p->state;

	air_log(p, "link down %02x", reason);
	stock_disconnected(s);
	server_disconnected(&s->server);
	smp_disconnected(&s->smp);
	for (size_t i = 0; i < TIMER_N; i++)
		peer_timer_off(s, (enum timer)i);
	if (s->model->disconnected)
		s->model->disconnected(s);
}

/* requests that faults keep from the server */
static bool kept_from_server(const struct peer_state *s, const uint8_t *data, size_t len)
{
	const uint8_t opcode = len ? data[0] : 0;
	const bool request = len && !(opcode & 0x41) && opcode != 0x1e;
	uint8_t error[5] = { 0x01, opcode };

	if (!request)
		return false;
	if (s->faults[FAULT_SILENT])
		return true;
	if (!s->faults[FAULT_ATT_ERROR] || opcode == 0x02)
		return false;
	if (len >= 3)
		memcpy(error + 2, data + 1, 2);
	error[4] = (uint8_t)s->faults[FAULT_ATT_ERROR];
	air_send(s->peer, PEER_CID_ATT, error, sizeof(error));
	return true;
}

static void receive_smp(struct peer_state *s, const uint8_t *data, size_t len)
{
	smp_receive(&s->smp, data, len);
	if (s->smp.state == SMP_IDLE)
		peer_timer_off(s, TIMER_SMP);
	else
		peer_timer(s, TIMER_SMP, PAIRING_LIMIT);
}

void peer_receive(struct peer *p, uint16_t cid, const uint8_t *data, size_t len)
{
	struct peer_state *const s = p->state;

	if (!s->server.connected)
		return;
	if (cid == PEER_CID_ATT && s->model->answer && s->model->answer(s, data, len))
		return;
	if (cid == PEER_CID_ATT && !kept_from_server(s, data, len))
		server_receive(&s->server, data, len);
	else if (cid == PEER_CID_SMP)
		receive_smp(s, data, len);
}

bool peer_long_term_key(struct peer *p, const uint8_t rand[8], uint16_t ediv, uint8_t ret[16])
{
	const bool have = smp_long_term_key(&p->state->smp, rand, ediv, ret);

	if (!have)
		air_log(p, "has no key for this host");
	return have;
}

void peer_encrypted(struct peer *p)
{
	struct peer_state *const s = p->state;

	s->server.level = smp_encrypted(&s->smp);
	air_log(p, "encrypted level=%d", (int)s->server.level);
	if (s->smp.state == SMP_IDLE)
		peer_timer_off(s, TIMER_SMP);
	if (s->early == EARLY_ENCRYPTED)
		stock_force(s);
	if (s->model->encrypted && s->server.connected)
		s->model->encrypted(s);
	tell_moved(s);
	stock_pump(s);
}

static void on_timer(struct peer_state *s, enum timer timer)
{
	switch (timer) {
	case TIMER_CONFIRM:
		air_log(s->peer, "no confirmation within the limit");
		air_drop(s->peer, 0x13);
		break;
	case TIMER_SMP:
		air_log(s->peer, "pairing took too long");
		air_drop(s->peer, ERROR_AUTHENTICATION);
		break;
	case TIMER_MODEL:
		if (s->model->timeout)
			s->model->timeout(s);
		break;
	case TIMER_N:
		break;
	}
}

void peer_wake(struct peer *p)
{
	struct peer_state *const s = p->state;
	const int64_t now = air_now();

	for (size_t i = 0; i < TIMER_N; i++) {
		if (s->timers[i] > now)
			continue;
		s->timers[i] = INT64_MAX;
		on_timer(s, (enum timer)i);
	}
	wake_up(s);
}
