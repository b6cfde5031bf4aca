#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lab/radio/air.h"
#include "tests/lab/radio/crowd.h"
#include "tests/lab/radio/rpa.h"
#include "tests/lab/radio/signalling.h"

#define HANDLE_FIRST     0x0040
#define HANDLE_LAST      0x0eff
#define INTERVAL_DEFAULT 100 /* ms */
#define ADVERT_JITTER_US 10000
#define CROWD_BURST      2000 /* adverts of one tick */
#define RSSI_NEAR        (-45)
#define RSSI_SPREAD      6
#define ATT_INDICATION   0x1d

struct air_sdu {
	struct air_sdu *next;
	int64_t due;
	bool is_drop; /* not data: the peripheral drops the link here */
	uint8_t reason;
	uint16_t cid;
	size_t len;
	uint8_t data[];
};

/* ---- time, chance, log ---- */

int64_t air_now(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * AIR_SECOND + t.tv_nsec / 1000;
}

static uint64_t chance(struct air *a)
{
	a->random = crowd_mix(a->random);
	return a->random;
}

static int64_t chance_below(struct air *a, int64_t limit)
{
	return limit > 0 ? (int64_t)(chance(a) % (uint64_t)limit) : 0;
}

static void log_time(FILE *log)
{
	const int64_t now = air_now();

	(void)fprintf(log, "%lld.%06lld", (long long)(now / AIR_SECOND),
		      (long long)(now % AIR_SECOND));
}

void air_note(struct air *a, const char *format, ...)
{
	va_list args;

	if (!a->log)
		return;
	log_time(a->log);
	(void)fputs(" - air ", a->log);
	va_start(args, format);
	(void)vfprintf(a->log, format, args);
	va_end(args);
	(void)fputc('\n', a->log);
	(void)fflush(a->log);
}

static struct air_peer *side(const struct peer *p)
{
	return p->air;
}

void air_log(const struct peer *p, const char *format, ...)
{
	FILE *log = p && p->air ? side(p)->air->log : NULL;
	va_list args;

	if (!log)
		return;
	log_time(log);
	(void)fprintf(log, " %u %s ", p->index, p->model);
	va_start(args, format);
	(void)vfprintf(log, format, args);
	va_end(args);
	(void)fputc('\n', log);
	(void)fflush(log);
}

/* ---- queues ---- */

static int push(struct air_queue *q, int64_t due, uint16_t cid, const uint8_t *data, size_t len)
{
	struct air_sdu *s;

	if (q->n == AIR_QUEUE_MAX)
		return -ENOBUFS;
	s = calloc(1, sizeof(*s) + len);
	if (!s)
		return -ENOMEM;
	s->cid = cid;
	s->len = len;
	if (len > 0)
		memcpy(s->data, data, len);
	s->due = due; /* or later: nothing overtakes what was queued before */
	if (q->last)
		q->last->next = s;
	else
		q->first = s;
	q->last = s;
	q->n++;
	return 0;
}

static struct air_sdu *pop(struct air_queue *q)
{
	struct air_sdu *s = q->first;

	q->first = s->next;
	if (!q->first)
		q->last = NULL;
	q->n--;
	return s;
}

static void empty(struct air_queue *q)
{
	while (q->first)
		free(pop(q));
}

static int64_t due_after_air(struct air_peer *ap)
{
	return air_now() + ap->faults.delay_us + chance_below(ap->air, ap->faults.jitter_us);
}

/* ---- peripherals and their links ---- */

struct peer *air_find(const struct air *a, unsigned int index)
{
	return index < a->n_peers ? a->peers[index] : NULL;
}

static struct peer *by_handle(const struct air *a, uint16_t handle)
{
	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i] && a->peers[i]->connected && a->peers[i]->handle == handle)
			return a->peers[i];
	}
	return NULL;
}

static unsigned int count_links(const struct air *a)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < a->n_peers; i++)
		n += a->peers[i] && a->peers[i]->connected;
	return n;
}

static bool on_air(const struct peer *p)
{
	return p->advertises && !p->connected;
}

/* says in the log what has changed, and lets it be heard at once */
static void refresh(struct peer *p)
{
	struct air_peer *ap = side(p);
	const bool now = on_air(p);

	if (now == ap->was_advertising)
		return;
	ap->was_advertising = now;
	ap->next_advert = air_now();
	air_log(p, now ? "advertising" : "advertising-ended");
}

static void set_address(struct peer *p, const uint8_t address[6], bool random)
{
	memcpy(p->address, address, sizeof(p->address));
	p->address_random = random;
	side(p)->reported = false;
}

int air_rotate(struct peer *p)
{
	static const uint8_t none[16];
	struct air_peer *ap = side(p);
	uint8_t address[6];

	if (memcmp(p->irk, none, sizeof(none)) == 0)
		return -EOPNOTSUPP;
	ap->rotate_later = p->connected;
	if (p->connected)
		return 0;
	if (rpa_make(p->irk, (uint32_t)chance(ap->air), address) < 0)
		return -EIO;
	p->rotates = true;
	set_address(p, address, true);
	air_log(p, "rotated %02x%02x%02x%02x%02x%02x", address[0], address[1], address[2],
		address[3], address[4], address[5]);
	return 0;
}

void air_rotate_every(struct peer *p, int64_t usec)
{
	struct air_peer *ap = side(p);

	ap->rotate_every = usec;
	ap->rotate_at = usec > 0 ? air_now() + usec : AIR_NEVER;
	if (usec == 0) {
		p->rotates = ap->rotate_later = false;
		if (!p->connected)
			set_address(p, p->identity, p->identity_random);
	}
}

/* The link is gone on both sides. tell_host: it is told, too. */
static void end_link(struct peer *p, uint8_t reason, uint8_t host_reason, bool tell_host)
{
	struct air_peer *ap = side(p);
	const uint16_t handle = p->handle;
	const bool told = ap->told;

	p->connected = p->encrypted = false;
	p->handle = 0;
	ap->told = ap->muffled = false;
	ap->drop_at = AIR_NEVER;
	ap->uncompleted = 0;
	ap->incoming = (struct acl_sdu){ 0 };
	empty(&ap->to_host);
	empty(&ap->to_peer);
	ap->reported = false;
	air_log(p, "disconnected 0x%02x", host_reason);
	if (tell_host)
		controller_disconnected(&ap->air->controller, handle, host_reason);
	if (told)
		peer_disconnected(p, reason);
	if (ap->rotate_later)
		(void)air_rotate(p);
	refresh(p);
}

void air_cut(struct peer *p, uint8_t reason, int64_t delay_us)
{
	struct air_peer *ap = side(p);

	if (!p->connected)
		return;
	ap->drop_at = air_now() + delay_us;
	ap->drop_reason = reason;
}

void air_changed(struct peer *p)
{
	struct air_peer *ap = side(p);

	if (!ap)
		return;
	if (!ap->air->strict_filter)
		ap->reported = false;
	refresh(p);
}

void air_wake(struct peer *p, int64_t at)
{
	if (p->air)
		side(p)->wake_at = at;
}

void air_send(struct peer *p, uint16_t cid, const uint8_t *data, size_t len)
{
	struct air_peer *ap = side(p);

	assert(len <= PEER_SDU_MAX);
	if (!ap || !p->connected || ap->muffled)
		return;
	if (chance_below(ap->air, 100) < ap->faults.loss_percent) {
		air_log(p, "lost to-host %u", cid);
		return;
	}
	if (push(&ap->to_host, due_after_air(ap), cid, data, len) < 0)
		air_log(p, "overflow to-host");
}

void air_drop(struct peer *p, uint8_t reason)
{
	struct air_peer *ap = side(p);

	if (!ap || !p->connected)
		return;
	if (push(&ap->to_host, due_after_air(ap), 0, NULL, 0) < 0) {
		air_cut(p, reason, 0);
		return;
	}
	ap->to_host.last->is_drop = true;
	ap->to_host.last->reason = reason;
}

/* ---- SDUs through the air ---- */

static bool drops_at(struct peer *p, const struct air_sdu *s)
{
	struct air_faults *f = &side(p)->faults;

	if (s->cid != PEER_CID_ATT || s->len == 0 || f->drop_at == 0 ||
	    s->data[0] != f->drop_at_opcode)
		return false;
	f->drop_at--;
	air_log(p, "fault drop-at %02x", s->data[0]);
	end_link(p, f->drop_at_reason, f->drop_at_reason, true);
	return true;
}

static void fragments_to_host(struct peer *p, const struct air_sdu *s)
{
	struct air_peer *ap = side(p);
	const size_t fragment = ap->faults.fragment > 0 ? ap->faults.fragment : ACL_DATA_MAX;
	const struct acl_view sdu = { s->cid, s->data, s->len };
	uint8_t data[ACL_DATA_MAX];
	unsigned int boundary;
	size_t n;

	for (size_t at = 0; (n = acl_cut(&sdu, at, fragment, &boundary, data)) > 0; at += n)
		controller_acl(&ap->air->controller, p->handle, boundary, data, n);
}

static void deliver_to_host(struct peer *p, const struct air_sdu *s)
{
	struct air_peer *ap = side(p);

	if (s->is_drop) {
		end_link(p, STATUS_HOST_ENDED, s->reason, true);
		return;
	}
	if (drops_at(p, s))
		return;
	fragments_to_host(p, s);
	if (s->cid == PEER_CID_ATT && s->len > 0 && s->data[0] == ATT_INDICATION &&
	    ap->faults.unconfirmed > 0) {
		ap->faults.unconfirmed--;
		ap->muffled = true;
		air_log(p, "fault unconfirmed");
		air_cut(p, STATUS_TIMEOUT, ap->faults.unconfirmed_us);
	}
}

static void deliver_to_peer(struct peer *p, const struct air_sdu *s)
{
	uint8_t reply[SIGNAL_REPLY_MAX];
	const char *word = NULL;
	size_t len;

	if (drops_at(p, s))
		return;
	if (s->cid == PEER_CID_ATT || s->cid == PEER_CID_SMP) {
		peer_receive(p, s->cid, s->data, s->len);
		return;
	}
	if (s->cid != PEER_CID_SIGNAL) {
		side(p)->air->host_errors++;
		air_log(p, "host-error channel %u", s->cid);
		return;
	}
	len = signal_answer(s->data, s->len, reply, &word);
	if (word)
		air_log(p, "%s", word);
	if (len > 0)
		air_send(p, PEER_CID_SIGNAL, reply, len);
}

static void flush(struct peer *p, struct air_queue *q, int64_t now,
		  void (*deliver)(struct peer *p, const struct air_sdu *s))
{
	while (p->connected && q->first && q->first->due <= now) {
		struct air_sdu *s = pop(q);

		deliver(p, s);
		free(s);
	}
}

static void sdu_from_host(struct peer *p, const struct acl_view *sdu)
{
	struct air_peer *ap = side(p);

	if (ap->muffled)
		return;
	if (chance_below(ap->air, 100) < ap->faults.loss_percent) {
		air_log(p, "lost to-peer %u", sdu->cid);
		return;
	}
	if (push(&ap->to_peer, due_after_air(ap), sdu->cid, sdu->data, sdu->len) < 0)
		air_log(p, "overflow to-peer");
}

static void give_back(struct peer *p)
{
	struct air_peer *ap = side(p);

	if (ap->uncompleted == 0 || ap->air->stalled)
		return;
	controller_completed(&ap->air->controller, p->handle, (uint16_t)ap->uncompleted);
	ap->uncompleted = 0;
}

void air_release_buffers(struct air *a)
{
	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i] && a->peers[i]->connected)
			give_back(a->peers[i]);
	}
}

static void host_error(struct air *a, const char *what, size_t len)
{
	a->host_errors++;
	air_note(a, "host-error %s length %zu", what, len);
}

static unsigned int buffers_in_use(const struct air *a)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i] && a->peers[i]->connected)
			n += side(a->peers[i])->uncompleted;
	}
	return n;
}

static void take_fragment(struct air *a, struct peer *p, unsigned int boundary, const uint8_t *data,
			  size_t len)
{
	struct acl_sdu *incoming = &side(p)->incoming;
	const unsigned int unfinished = incoming->unfinished;
	struct acl_view sdu;
	const int r = acl_push(incoming, boundary, data, len, &sdu);

	if (incoming->unfinished != unfinished) {
		a->host_errors++;
		air_log(p, "host-error unfinished");
	}
	if (r < 0) {
		a->host_errors++;
		air_log(p, "host-error fragment %d", -r);
	} else if (r > 0) {
		sdu_from_host(p, &sdu);
	}
}

static void acl_from_host(struct air *a, const uint8_t *data, size_t len)
{
	struct peer *p;
	uint16_t handle;

	if (len < 4 || (size_t)(data[2] | data[3] << 8) != len - 4) {
		host_error(a, "acl", len);
		return;
	}
	handle = (uint16_t)((data[0] | data[1] << 8) & 0x0fff);
	p = by_handle(a, handle);
	if (!p) {
		/* the link may just have ended; the host knows soon */
		air_note(a, "acl for no link");
		return;
	}
	if (len - 4 > ACL_DATA_MAX || buffers_in_use(a) >= CONTROLLER_ACL_BUFFERS)
		host_error(a, "overrun", len);
	side(p)->uncompleted++;
	take_fragment(a, p, (unsigned int)data[1] >> 4 & 3, data + 4, len - 4);
	give_back(p);
}

void air_from_host(struct air *a, const uint8_t *packet, size_t len)
{
	if (len == 0)
		return;
	if (packet[0] == H4_COMMAND)
		controller_command(&a->controller, packet + 1, len - 1);
	else if (packet[0] == H4_ACL)
		acl_from_host(a, packet + 1, len - 1);
	else if (packet[0] == VHCI_VENDOR && len >= 4)
		air_note(a, "adapter hci%u", (unsigned int)(packet[2] | packet[3] << 8));
	else
		host_error(a, "packet", len);
}

int air_read_host(struct air *a)
{
	uint8_t buffer[VHCI_PACKET_MAX];

	for (;;) {
		size_t len;
		const int r = vhci_receive(&a->port, buffer, &len);

		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
		air_from_host(a, buffer, len);
	}
}

/* ---- what the controller asks of the air ---- */

static void forget_reports(struct air *a)
{
	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i])
			side(a->peers[i])->reported = false;
	}
	if (a->crowd.reported)
		memset(a->crowd.reported, 0, a->crowd.count * sizeof(*a->crowd.reported));
}

/* Adverts went on while nobody listened: the next one of each is somewhere in its interval. */
static void spread_adverts(struct air *a)
{
	const int64_t now = air_now();

	for (unsigned int i = 0; i < a->n_peers; i++) {
		const struct peer *p = a->peers[i];

		if (p && side(p)->next_advert < now)
			side(p)->next_advert =
				now + chance_below(a, p->interval_ms * AIR_MILLISECOND);
	}
	if (a->crowd.next < now)
		a->crowd.next = now;
}

static void on_reset(void *user)
{
	struct air *a = user;

	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i] && a->peers[i]->connected)
			end_link(a->peers[i], STATUS_TIMEOUT, STATUS_HOST_ENDED, false);
	}
	air_note(a, "reset");
}

static void on_scan(void *user, bool on)
{
	struct air *a = user;

	forget_reports(a);
	if (on)
		spread_adverts(a);
	if (!on)
		air_note(a, "scan off");
	else
		air_note(a, "scan %s filter %s%s", a->controller.active ? "active" : "passive",
			 a->controller.dedupe ? "on" : "off",
			 a->controller.scan_policy & 1 ? " accept-list" : "");
}

static bool on_is_link(void *user, uint16_t handle)
{
	return by_handle(user, handle) != NULL;
}

static bool on_has_room(void *user)
{
	struct air *a = user;

	spread_adverts(a);
	return count_links(a) < a->links_max;
}

static int8_t on_rssi(void *user, uint16_t handle)
{
	const struct peer *p = by_handle(user, handle);

	return p ? side(p)->rssi : INT8_MAX;
}

static void on_disconnect(void *user, uint16_t handle, uint8_t reason)
{
	struct peer *p = by_handle(user, handle);

	if (p)
		end_link(p, reason, STATUS_HOST_ENDED, true);
}

static void on_cancelled(void *user)
{
	struct air *a = user;

	air_note(a, "connect cancelled");
	for (unsigned int i = 0; i < a->n_peers; i++) {
		struct peer *p = a->peers[i];

		if (p && side(p)->faults.hang > 0 && side(p)->faults.hang != AIR_ALWAYS &&
		    controller_initiates(&a->controller, p->address_random, p->address))
			side(p)->faults.hang--;
	}
}

static void on_encrypt(void *user, uint16_t handle, const uint8_t rand[8], uint16_t ediv,
		       const uint8_t key[16])
{
	struct air *a = user;
	struct peer *p = by_handle(a, handle);
	const bool refreshed = p && p->encrypted;
	uint8_t own[16];

	if (!p)
		return;
	if (!peer_long_term_key(p, rand, ediv, own)) {
		air_log(p, "encryption-refused no-key");
		controller_encrypted(&a->controller, handle, STATUS_KEY_MISSING, refreshed);
		return;
	}
	if (memcmp(own, key, sizeof(own)) != 0) {
		/* each side starts with its own key, and the first check of a packet fails */
		air_log(p, "encryption-refused other-key");
		end_link(p, STATUS_MIC_FAILURE, STATUS_MIC_FAILURE, true);
		return;
	}
	p->encrypted = true;
	air_log(p, refreshed ? "link-encrypted again" : "link-encrypted");
	controller_encrypted(&a->controller, handle, STATUS_GOOD, refreshed);
	peer_encrypted(p);
}

static uint64_t on_random(void *user)
{
	return chance(user);
}

static void on_note(void *user, const char *text)
{
	air_note(user, "%s", text);
}

static const struct controller_ops OPS = {
	.reset = on_reset,
	.scan_changed = on_scan,
	.is_link = on_is_link,
	.has_room = on_has_room,
	.rssi = on_rssi,
	.disconnect = on_disconnect,
	.cancelled = on_cancelled,
	.encrypt = on_encrypt,
	.random = on_random,
	.note = on_note,
};

/* ---- advertising ---- */

static void walk_rssi(struct air_peer *ap)
{
	const int step = (int)chance_below(ap->air, 3) - 1;
	const int next = ap->rssi + step;

	if (next <= ap->rssi_mean + RSSI_SPREAD && next >= ap->rssi_mean - RSSI_SPREAD)
		ap->rssi = (int8_t)next;
}

static void send_report(struct air *a, const struct controller_report *r)
{
	a->reports++;
	controller_report(&a->controller, r);
}

static bool would_report(const struct air *a, const struct peer *p)
{
	return controller_listens(&a->controller, p->address_random, p->address) &&
	       !(a->controller.dedupe && side(p)->reported);
}

static void report(struct air *a, struct peer *p)
{
	struct air_peer *ap = side(p);
	const bool scannable = p->connectable || p->scan_response_len > 0;
	struct controller_report r = {
		.type = p->connectable ? REPORT_IND : REPORT_NONCONN,
		.random = p->address_random,
		.data = p->advert,
		.len = p->advert_len,
		.rssi = ap->rssi,
	};

	if (!p->connectable && scannable)
		r.type = REPORT_SCANNABLE;
	memcpy(r.address, p->address, sizeof(r.address));
	ap->reported = true;
	send_report(a, &r);
	if (!scannable || !a->controller.active)
		return;
	/* Linux keeps the advertisement until the answer to the scan request is there */
	r.type = REPORT_SCAN_RESPONSE;
	r.data = p->scan_response;
	r.len = p->scan_response_len;
	send_report(a, &r);
}

static uint16_t free_handle(struct air *a)
{
	do {
		a->next_handle = a->next_handle >= HANDLE_LAST ? HANDLE_FIRST
							       : (uint16_t)(a->next_handle + 1);
	} while (by_handle(a, a->next_handle));
	return a->next_handle;
}

static void refuse(struct air *a, struct peer *p)
{
	const uint8_t status = side(p)->faults.refused_status;

	side(p)->faults.refused--;
	air_log(p, "fault connect 0x%02x", status);
	controller_connected(&a->controller, status, 0, p->address_random, p->address);
}

static void establish(struct air *a, struct peer *p)
{
	struct air_peer *ap = side(p);

	if (ap->faults.refused > 0) {
		refuse(a, p);
		return;
	}
	p->handle = free_handle(a);
	p->connected = true;
	p->encrypted = false;
	controller_own_address(&a->controller, &p->host_random, p->host);
	ap->drop_at = AIR_NEVER;
	refresh(p);
	air_log(p, "connected");
	controller_connected(&a->controller, STATUS_GOOD, p->handle, p->address_random, p->address);
	if (ap->faults.lost > 0) {
		ap->faults.lost--;
		ap->muffled = true;
		air_log(p, "fault lost");
		air_cut(p, STATUS_NOT_ESTABLISHED, ap->faults.lost_us);
		return;
	}
	ap->told = true;
	peer_connected(p);
}

static void advertise(struct air *a, struct peer *p)
{
	struct air_peer *ap = side(p);

	walk_rssi(ap);
	if (p->connectable && ap->faults.hang == 0 &&
	    controller_initiates(&a->controller, p->address_random, p->address)) {
		establish(a, p);
		return;
	}
	if (would_report(a, p))
		report(a, p);
}

/* ---- the crowd ---- */

int air_set_crowd(struct air *a, uint32_t count, uint32_t rate, int64_t stay_us)
{
	uint32_t *reported = NULL;

	if (count > CROWD_MAX || rate > 100000 || stay_us < AIR_SECOND)
		return -EINVAL;
	if (count > 0) {
		reported = calloc(count, sizeof(*reported));
		if (!reported)
			return -ENOMEM;
	}
	free(a->crowd.reported);
	a->crowd = (struct air_crowd){ count, rate, stay_us, air_now(), reported };
	return 0;
}

static void crowd_advert(struct air *a, int64_t now)
{
	struct air_crowd *c = &a->crowd;
	const uint32_t number = (uint32_t)chance_below(a, c->count);
	/* they do not all change at the same moment */
	const uint32_t generation =
		(uint32_t)((now + (int64_t)(crowd_mix(number) % (uint64_t)c->stay)) / c->stay);
	struct crowd_passer passer;
	struct controller_report r;

	if (a->controller.dedupe && c->reported[number] == generation + 1)
		return;
	c->reported[number] = generation + 1;
	crowd_make(number, generation, &passer);
	if (!controller_listens(&a->controller, passer.random, passer.address))
		return;
	r = (struct controller_report){ .type = passer.type,
					.random = passer.random,
					.data = passer.data,
					.len = passer.len,
					.rssi = passer.rssi };
	memcpy(r.address, passer.address, sizeof(r.address));
	send_report(a, &r);
	if (passer.type != REPORT_IND || !a->controller.active)
		return;
	r.type = REPORT_SCAN_RESPONSE;
	r.len = 0;
	send_report(a, &r);
}

static bool crowd_is_heard(const struct air *a)
{
	return a->crowd.count > 0 && a->crowd.rate > 0 && a->controller.scanning && !a->deaf;
}

static void tick_crowd(struct air *a, int64_t now)
{
	if (!crowd_is_heard(a))
		return;
	for (unsigned int i = 0; i < CROWD_BURST && a->crowd.next <= now; i++) {
		crowd_advert(a, now);
		a->crowd.next += AIR_SECOND / a->crowd.rate;
	}
	if (a->crowd.next < now) /* too slow a machine: what was not said is not said later */
		a->crowd.next = now;
}

/* ---- time passes ---- */

/* Adverts of which nobody takes notice wake nobody: hundreds of them cost an emulated machine. */
static bool is_heard(const struct air *a, const struct peer *p)
{
	return on_air(p) && !a->deaf && (a->controller.connect.on || would_report(a, p));
}

static void tick_link(struct peer *p, int64_t now)
{
	struct air_peer *ap = side(p);

	if (p->connected && ap->drop_at <= now) {
		end_link(p, ap->drop_reason, ap->drop_reason, true);
		return;
	}
	flush(p, &ap->to_peer, now, deliver_to_peer);
	flush(p, &ap->to_host, now, deliver_to_host);
}

static void tick_peer(struct air *a, struct peer *p, int64_t now)
{
	struct air_peer *ap = side(p);

	if (ap->rotate_at <= now) {
		ap->rotate_at = now + ap->rotate_every;
		(void)air_rotate(p);
	}
	if (ap->wake_at <= now) {
		ap->wake_at = AIR_NEVER;
		peer_wake(p);
	}
	tick_link(p, now);
	refresh(p);
	if (is_heard(a, p) && ap->next_advert <= now) {
		const unsigned int ms = p->interval_ms > 0 ? p->interval_ms : INTERVAL_DEFAULT;

		ap->next_advert = now + ms * AIR_MILLISECOND + chance_below(a, ADVERT_JITTER_US);
		advertise(a, p);
	}
}

void air_tick(struct air *a)
{
	const int64_t now = air_now();

	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i])
			tick_peer(a, a->peers[i], now);
	}
	tick_crowd(a, now);
}

static void sooner(int64_t *at, int64_t other)
{
	if (other < *at)
		*at = other;
}

int64_t air_next(const struct air *a)
{
	int64_t at = crowd_is_heard(a) ? a->crowd.next : AIR_NEVER;

	for (unsigned int i = 0; i < a->n_peers; i++) {
		const struct peer *p = a->peers[i];
		const struct air_peer *ap = p ? side(p) : NULL;

		if (!ap)
			continue;
		sooner(&at, ap->wake_at);
		sooner(&at, ap->rotate_at);
		if (p->connected)
			sooner(&at, ap->drop_at);
		if (ap->to_host.first)
			sooner(&at, ap->to_host.first->due);
		if (ap->to_peer.first)
			sooner(&at, ap->to_peer.first->due);
		if (is_heard(a, p))
			sooner(&at, ap->next_advert);
	}
	return at;
}

/* ---- coming and going ---- */

static struct air_peer *new_side(struct air *a, struct peer *p)
{
	struct air_peer *ap = calloc(1, sizeof(*ap));

	if (!ap)
		return NULL;
	ap->air = a;
	ap->peer = p;
	ap->wake_at = ap->rotate_at = ap->drop_at = AIR_NEVER;
	ap->rssi = ap->rssi_mean = (int8_t)(RSSI_NEAR - (int)(p->index % 40));
	ap->faults.drop_at_reason = STATUS_TIMEOUT;
	return ap;
}

int air_add(struct air *a, const char *model, unsigned int *ret_index)
{
	const unsigned int index = a->n_peers;
	struct peer *p = NULL;
	int r;

	if (index == AIR_PEERS_MAX)
		return -ENOSPC;
	r = peer_new(model, index, &p);
	if (r < 0)
		return r;
	p->air = new_side(a, p);
	if (!p->air) {
		peer_free(p);
		return -ENOMEM;
	}
	a->peers[a->n_peers++] = p;
	set_address(p, p->identity, p->identity_random);
	air_log(p, "added");
	if (p->rotates)
		(void)air_rotate(p);
	refresh(p);
	*ret_index = index;
	return 0;
}

int air_clone(struct air *a, unsigned int index, unsigned int *ret_index)
{
	const struct peer *from = air_find(a, index);
	unsigned int copy;
	struct peer *p;
	int r;

	if (!from)
		return -ENOENT;
	r = air_add(a, from->model, &copy);
	if (r < 0)
		return r;
	p = a->peers[copy];
	memcpy(p->name, from->name, sizeof(p->name));
	memcpy(p->identity, from->identity, sizeof(p->identity));
	p->identity_random = from->identity_random;
	memset(p->irk, 0, sizeof(p->irk));
	memcpy(p->advert, from->advert, sizeof(p->advert));
	p->advert_len = from->advert_len;
	memcpy(p->scan_response, from->scan_response, sizeof(p->scan_response));
	p->scan_response_len = from->scan_response_len;
	p->rotates = false;
	set_address(p, from->address, from->address_random);
	air_log(p, "cloned %u", index);
	*ret_index = copy;
	return 0;
}

int air_remove(struct air *a, unsigned int index)
{
	struct peer *p = air_find(a, index);

	if (!p)
		return -ENOENT;
	if (p->connected)
		end_link(p, STATUS_TIMEOUT, STATUS_TIMEOUT, true);
	air_log(p, "removed");
	a->peers[index] = NULL;
	empty(&side(p)->to_host);
	empty(&side(p)->to_peer);
	free(p->air);
	p->air = NULL;
	peer_free(p);
	return 0;
}

int air_ask_parameters(struct peer *p, const uint16_t parameters[4])
{
	struct air_peer *ap = side(p);
	uint8_t request[SIGNAL_REPLY_MAX];

	if (!p->connected)
		return -ENOTCONN;
	ap->signal_id = (uint8_t)(ap->signal_id == UINT8_MAX ? 1 : ap->signal_id + 1);
	air_send(p, PEER_CID_SIGNAL, request, signal_ask(ap->signal_id, parameters, request));
	return 0;
}

void air_unplug(struct air *a)
{
	for (unsigned int i = 0; i < a->n_peers; i++) {
		if (a->peers[i] && a->peers[i]->connected)
			end_link(a->peers[i], STATUS_TIMEOUT, STATUS_TIMEOUT, false);
	}
	controller_reset(&a->controller);
	vhci_close(&a->port);
	air_note(a, "adapter gone");
}

void air_init(struct air *a, const struct vhci *port, const uint8_t address[6], uint64_t seed,
	      FILE *log)
{
	*a = (struct air){ .port = *port,
			   .random = seed,
			   .log = log,
			   .links_max = AIR_PEERS_MAX,
			   .next_handle = HANDLE_FIRST - 1 };
	controller_init(&a->controller, &a->port, &OPS, a, address);
}

void air_done(struct air *a)
{
	for (unsigned int i = 0; i < a->n_peers; i++)
		(void)air_remove(a, i);
	free(a->crowd.reported);
	a->crowd = (struct air_crowd){ 0 };
	vhci_close(&a->port);
}
