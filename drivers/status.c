#include "drivers/status.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wellgate.pb-c.h"

#define STATUS_EVERY_US  INT64_C(1000000)
#define PAIRING_EVERY_US INT64_C(200000)
#define SECOND_US        INT64_C(1000000)
/* devices of one packet, and packets of one status */
#define CHUNK        32
#define PACKETS_MAX  (ENROLMENT_MAX / CHUNK + 1)
#define OUTCOMES_MAX 16
#define PASSKEY_MAX  999999
#define CODE_MAX     9999
#define SLOT_MAX     255
#define ZONE_MAX_MIN (18 * 60)
#define FACT_TEXT    64
#define ENUM_SHIFT   1 /* enums of messages: zero is "not stated" */

struct packet {
	size_t len;
	uint8_t *data;
};

struct outcome {
	uint64_t id;
	int error;
};

/* One device in a message; texts are copied, because the source lends them for one call only. */
struct device_message {
	Wellgate__V1__RadioDevice message;
	char address[STATUS_ADDRESS_TEXT], name[64], driver[32];
	char facts[DRV_FACT_END][FACT_TEXT];
};

struct finding_message {
	Wellgate__V1__Finding message;
	char what[STATUS_TEXT_MAX], advice[STATUS_TEXT_MAX];
};

struct candidate_message {
	Wellgate__V1__Pairing__Candidate message;
	char address[STATUS_ADDRESS_TEXT], driver[32];
};

struct status {
	struct status_handlers handlers;
	struct status_source source;
	/* findings about devices on wires; NULL: there are none */
	void (*wired)(void *user,
		      void (*finding)(void *user, enum adapter_finding_level level,
				      const char *text, const char *advice),
		      void *finding_user);
	void *wired_user;
	bool of_wires; /* the findings that are being asked for */
	bool has_source, connected, abandoned;

	bool changed, urgent, examine;
	int64_t status_at; /* when the last one was made */

	struct radio_pairing pairing;
	uint64_t pairing_id;
	bool pairing_runs, pairing_new, phase_new;
	int64_t pairing_at;
	struct ble_address numbers[STATUS_NUMBERS_MAX]; /* candidate i + 1 */
	size_t n_numbers;
	bool more_candidates;

	struct outcome outcomes[OUTCOMES_MAX];
	size_t n_outcomes;

	struct packet packets[PACKETS_MAX];
	size_t n_packets;

	/* what a message is made in */
	struct device_message devices[CHUNK];
	Wellgate__V1__RadioDevice *device_list[CHUNK];
	struct finding_message findings[STATUS_FINDINGS_MAX];
	Wellgate__V1__Finding *finding_list[STATUS_FINDINGS_MAX];
	size_t n_findings;
	struct candidate_message candidates[RADIO_CANDIDATES_MAX];
	Wellgate__V1__Pairing__Candidate *candidate_list[RADIO_CANDIDATES_MAX];
};

/* ---- addresses ---- */

void status_address_print(const struct ble_address *a, char ret[STATUS_ADDRESS_TEXT])
{
	(void)snprintf(ret, STATUS_ADDRESS_TEXT, "%02X:%02X:%02X:%02X:%02X:%02X %s", a->bytes[0],
		       a->bytes[1], a->bytes[2], a->bytes[3], a->bytes[4], a->bytes[5],
		       a->type == BLE_RANDOM ? "random" : "public");
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;
	const int value = at ? (int)(at - digits) : -EINVAL;

	return value > 15 ? value - 6 : value;
}

static int parse_type(const char *text, enum ble_address_type *ret)
{
	if (!*text || strcmp(text, " public") == 0)
		*ret = BLE_PUBLIC;
	else if (strcmp(text, " random") == 0)
		*ret = BLE_RANDOM;
	else
		return -EINVAL;
	return 0;
}

int status_address_parse(const char *text, struct ble_address *ret)
{
	struct ble_address a = { 0 };

	for (size_t i = 0; i < sizeof(a.bytes); i++) {
		const int high = digit(text[0]), low = high < 0 ? high : digit(text[1]);
		const char *after = low < 0 ? NULL : text + 2;

		if (!after || (i + 1 < sizeof(a.bytes) && *after != ':'))
			return -EINVAL;
		a.bytes[i] = (uint8_t)(high << 4 | low);
		text = i + 1 < sizeof(a.bytes) ? after + 1 : after;
	}
	if (parse_type(text, &a.type) < 0)
		return -EINVAL;
	*ret = a;
	return 0;
}

/* ---- packets ---- */

/* cut between two characters, so that it stays UTF-8; returns the copy, or NULL if it is empty */
static char *copy_text(char *to, size_t size, const char *from)
{
	size_t len = from ? strnlen(from, size) : 0;

	if (len == size) {
		len--;
		while (len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80)
			len--;
	}
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
	return len > 0 ? to : NULL;
}

static int add_packet(struct status *s, const Wellgate__V1__FromDevices *message)
{
	const size_t len = wellgate__v1__from_devices__get_packed_size(message);
	struct packet *packet = &s->packets[s->n_packets];

	assert(s->n_packets < PACKETS_MAX && len <= STATUS_PACKET);
	packet->data = malloc(len);
	if (!packet->data)
		return -ENOMEM;
	packet->len = wellgate__v1__from_devices__pack(message, packet->data);
	s->n_packets++;
	return 0;
}

static void drop_packets(struct status *s)
{
	while (s->n_packets > 0)
		free(s->packets[--s->n_packets].data);
}

/* ---- one device ---- */

static void set_facts(struct device_message *d, const struct session_facts *facts)
{
	static const enum drv_fact wanted[] = { DRV_MAKE, DRV_MODEL, DRV_FIRMWARE, DRV_HARDWARE };
	char **const fields[] = { &d->message.make, &d->message.model, &d->message.firmware,
				  &d->message.hardware };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		*fields[i] = copy_text(d->facts[wanted[i]], FACT_TEXT, facts->text[wanted[i]]);
	d->message.has_battery = facts->has_battery;
	d->message.battery = facts->battery;
}

static void set_enrolment(struct device_message *d, const struct enrolment *e)
{
	Wellgate__V1__RadioDevice *m = &d->message;

	status_address_print(&e->address, d->address);
	m->address = d->address;
	m->name = copy_text(d->name, sizeof(d->name), e->name);
	m->driver = copy_text(d->driver, sizeof(d->driver), e->driver);
	m->has_security = m->has_path = m->has_consents = true;
	/* bluetoothd asks for it, and does not tell whether it has it */
	m->security = e->path == ENROLMENT_BLUETOOTHD ? (Wellgate__V1__LinkSecurity)LINK_UNKNOWN
						      : (Wellgate__V1__LinkSecurity)e->level;
	m->path = e->path == ENROLMENT_BLUETOOTHD
			  ? WELLGATE__V1__RADIO_DEVICE__PATH__PATH_BLUETOOTHD
			  : WELLGATE__V1__RADIO_DEVICE__PATH__PATH_BEARER;
	m->has_enrolled_ms = e->enrolled_ms != 0;
	m->enrolled_ms = e->enrolled_ms;
	m->consents = (uint32_t)e->memory.n_consents;
}

static void set_device(struct device_message *d, const struct radio_device *from)
{
	Wellgate__V1__RadioDevice *m = &d->message;

	wellgate__v1__radio_device__init(m);
	set_enrolment(d, from->enrolment);
	if (from->facts)
		set_facts(d, from->facts);
	m->has_state = m->has_trouble = true;
	m->state = (Wellgate__V1__RadioDevice__State)(from->state + ENUM_SHIFT);
	m->trouble = (Wellgate__V1__RadioDevice__Trouble)(from->trouble + ENUM_SHIFT);
	m->has_rssi = from->has_rssi;
	m->rssi = (int)from->rssi;
	m->has_last_seen_us = from->last_seen_us != 0;
	m->last_seen_us = from->last_seen_us;
	m->has_links = m->has_failed_links = m->has_in_clear = true;
	m->links = from->links;
	m->failed_links = from->failed_links;
	m->in_clear = from->in_clear;
	m->has_can_wipe = m->has_wipe_asked = true;
	m->can_wipe = from->can_wipe;
	m->wipe_asked = from->can_wipe && from->enrolment->wipe;
	m->has_bad_length = m->has_bad_checksum = m->has_bad_range = m->has_not_mine = true;
	m->bad_length = from->faults[FAULT_LENGTH];
	m->bad_checksum = from->faults[FAULT_CHECKSUM];
	m->bad_range = from->faults[FAULT_RANGE];
	m->not_mine = from->faults[FAULT_NOT_MINE];
}

/* ---- the status ---- */

static void on_finding(void *user, enum adapter_finding_level level, const char *text,
		       const char *advice)
{
	struct status *s = user;
	struct finding_message *f = &s->findings[s->n_findings];

	if (s->n_findings == STATUS_FINDINGS_MAX)
		return;
	wellgate__v1__finding__init(&f->message);
	f->message.has_level = true;
	f->message.level = (Wellgate__V1__Finding__Level)level;
	f->message.what = copy_text(f->what, sizeof(f->what), text);
	f->message.advice = copy_text(f->advice, sizeof(f->advice), advice);
	f->message.has_usb = f->message.usb = s->of_wires;
	s->finding_list[s->n_findings++] = &f->message;
}

static void set_counts(Wellgate__V1__RadioStatus *m, const struct adapter_counts *counts)
{
	m->has_adverts = m->has_bluetoothd_restarts = m->has_resets = true;
	m->adverts = counts->adverts;
	m->bluetoothd_restarts = counts->restarts_of_bluetoothd;
	m->resets = counts->resets;
	m->has_recoveries = m->has_refused_pairings = true;
	m->recoveries = counts->recoveries;
	m->refused_pairings = counts->refused_pairings;
	m->has_last_recovery_ms = counts->last_recovery_us != 0;
	m->last_recovery_ms = counts->last_recovery_us / 1000;
}

/* what the first packet has beside devices */
static void set_head(struct status *s, Wellgate__V1__RadioStatus *m)
{
	const struct status_source *source = &s->source;

	m->has_adapter = true;
	if (s->has_source) {
		m->adapter = (Wellgate__V1__RadioStatus__Adapter)(source->state(source->user) +
								  ENUM_SHIFT);
		set_counts(m, source->counts(source->user));
	}
	if (!s->examine)
		return;
	s->n_findings = 0;
	s->of_wires = false;
	if (s->has_source)
		source->findings(source->user, on_finding, s);
	s->of_wires = true;
	if (s->wired)
		s->wired(s->wired_user, on_finding, s);
	m->has_examined = m->examined = true;
	m->findings = s->finding_list;
	m->n_findings = s->n_findings;
}

static int add_status_packet(struct status *s, size_t from, size_t total)
{
	Wellgate__V1__FromDevices message = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__RadioStatus m = WELLGATE__V1__RADIO_STATUS__INIT;

	if (from == 0)
		set_head(s, &m);
	for (size_t i = from; i < total && m.n_devices < CHUNK; i++) {
		struct radio_device device = { 0 };

		s->source.device_at(s->source.user, i, &device);
		set_device(&s->devices[m.n_devices], &device);
		s->device_list[m.n_devices] = &s->devices[m.n_devices].message;
		m.n_devices++;
	}
	m.devices = s->device_list;
	m.has_first = m.has_last = true;
	m.first = from == 0;
	m.last = from + m.n_devices == total;
	message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_RADIO;
	message.radio = &m;
	return add_packet(s, &message);
}

static int make_status(struct status *s, int64_t now)
{
	size_t total = s->has_source ? s->source.devices(s->source.user) : 0, from = 0;
	int r;

	if (total > ENROLMENT_MAX)
		total = ENROLMENT_MAX;
	do {
		r = add_status_packet(s, from, total);
		from += CHUNK;
	} while (r == 0 && from < total);
	s->changed = s->urgent = s->examine = false;
	s->status_at = now;
	return r;
}

/* ---- the pairing ---- */

/* 0: all numbers are given out */
static uint32_t candidate_number(struct status *s, const struct ble_address *address)
{
	for (size_t i = 0; i < s->n_numbers; i++) {
		if (s->numbers[i].type == address->type &&
		    memcmp(s->numbers[i].bytes, address->bytes, sizeof(address->bytes)) == 0)
			return (uint32_t)(i + 1);
	}
	if (s->n_numbers == STATUS_NUMBERS_MAX) {
		s->more_candidates = true;
		return 0;
	}
	s->numbers[s->n_numbers++] = *address;
	return (uint32_t)s->n_numbers;
}

static void add_candidate(struct status *s, Wellgate__V1__Pairing *m, struct radio_candidate *from)
{
	struct candidate_message *c = &s->candidates[m->n_candidates];
	const uint32_t number = candidate_number(s, &from->address);

	if (number == 0)
		return;
	wellgate__v1__pairing__candidate__init(&c->message);
	c->message.has_number = c->message.has_rssi = c->message.has_enrolled = true;
	c->message.number = number;
	c->message.rssi = (int)from->rssi;
	c->message.enrolled = from->enrolled;
	c->message.name = from->name[0] ? from->name : NULL;
	c->message.driver = copy_text(c->driver, sizeof(c->driver), from->driver);
	status_address_print(&from->address, c->address);
	c->message.address = c->address;
	s->candidate_list[m->n_candidates++] = &c->message;
}

/* what was paired, as the status shows it */
static void set_paired(struct status *s, Wellgate__V1__Pairing *m)
{
	const struct ble_address *address = &s->pairing.address;
	const size_t total = s->has_source ? s->source.devices(s->source.user) : 0;

	for (size_t i = 0; i < total && !m->device; i++) {
		struct radio_device device = { 0 };

		s->source.device_at(s->source.user, i, &device);
		if (memcmp(device.enrolment->address.bytes, address->bytes,
			   sizeof(address->bytes)) != 0)
			continue;
		set_device(&s->devices[0], &device);
		m->device = &s->devices[0].message;
	}
}

static int make_pairing(struct status *s, int64_t now)
{
	Wellgate__V1__FromDevices message = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__Pairing m = WELLGATE__V1__PAIRING__INIT;
	struct radio_pairing *p = &s->pairing;

	m.has_pairing = m.has_phase = true;
	m.pairing = s->pairing_id;
	m.phase = (Wellgate__V1__Pairing__Phase)(p->phase + ENUM_SHIFT);
	m.has_passkey = p->phase == RADIO_PAIRING_SHOW || p->phase == RADIO_PAIRING_MATCH;
	m.passkey = p->passkey;
	m.reason = p->phase == RADIO_PAIRING_FAILED && p->reason[0] ? p->reason : NULL;
	m.has_ends_at_us = p->ends_at != 0;
	m.ends_at_us = p->ends_at;
	m.candidates = s->candidate_list;
	for (size_t i = 0; i < p->n_candidates && i < RADIO_CANDIDATES_MAX; i++)
		add_candidate(s, &m, &p->candidates[i]);
	m.has_more_candidates = m.more_candidates = s->more_candidates;
	if (p->phase == RADIO_PAIRING_DONE)
		set_paired(s, &m);
	s->pairing_new = s->phase_new = false;
	s->pairing_at = now;
	message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_PAIRING;
	message.pairing = &m;
	return add_packet(s, &message);
}

static bool is_over(enum radio_pairing_phase phase)
{
	return phase == RADIO_PAIRING_NONE || phase == RADIO_PAIRING_DONE ||
	       phase == RADIO_PAIRING_FAILED;
}

void status_pairing(struct status *s, const struct radio_pairing *pairing)
{
	if (!s->pairing_runs)
		return; /* how it ended stays until the next one begins */
	s->phase_new = s->phase_new || pairing->phase != s->pairing.phase;
	s->pairing = *pairing;
	s->pairing_new = true;
	s->pairing_runs = !is_over(pairing->phase);
}

/* ---- commands ---- */

static int to_pair_request(const Wellgate__V1__RadioCommand__Pair *m,
			   struct radio_pair_request *ret)
{
	struct radio_pair_request request = { .driver = m->driver,
					      .bluetoothd = m->bluetoothd,
					      .has_address = m->address != NULL,
					      .has_consent = m->has_consent_code };

	if (!m->has_seconds || m->seconds < STATUS_WINDOW_MIN_S || m->seconds > STATUS_WINDOW_MAX_S)
		return -EBADMSG;
	request.window_us = m->seconds * SECOND_US;
	if (m->has_consent_slot != m->has_consent_code || m->consent_slot > SLOT_MAX ||
	    m->consent_code > CODE_MAX)
		return -EBADMSG;
	request.consent.slot = (uint8_t)m->consent_slot;
	request.consent.code = (uint16_t)m->consent_code;
	if (m->address && status_address_parse(m->address, &request.address) < 0)
		return -EBADMSG;
	if (m->driver && strlen(m->driver) >= sizeof(((struct enrolment *)0)->driver))
		return -EBADMSG;
	*ret = request;
	return 0;
}

static int pair(struct status *s, uint64_t id, const Wellgate__V1__RadioCommand__Pair *m)
{
	struct radio_pair_request request;
	int r = to_pair_request(m, &request);

	if (r < 0)
		return r;
	if (s->pairing_runs)
		return -EBUSY;
	s->pairing = (struct radio_pairing){ 0 };
	s->pairing_id = id;
	s->pairing_runs = true;
	s->pairing_new = s->phase_new = s->more_candidates = false;
	s->n_numbers = 0;
	r = s->handlers.pair(s->handlers.user, &request);
	if (r < 0)
		s->pairing_runs = s->pairing_new = false;
	return r;
}

static int with_device(const Wellgate__V1__RadioCommand__Device *device,
		       int (*fn)(void *user, const struct ble_address *address), void *user)
{
	struct ble_address address;

	if (!device->address || status_address_parse(device->address, &address) < 0)
		return -EBADMSG;
	return fn(user, &address);
}

/* what belongs to a pairing that runs */
static int in_pairing(struct status *s, const Wellgate__V1__RadioCommand *m)
{
	const struct status_handlers *h = &s->handlers;

	if (!s->pairing_runs || !m->has_pairing || m->pairing != s->pairing_id)
		return -ESTALE;
	switch (m->what_case) {
	case WELLGATE__V1__RADIO_COMMAND__WHAT_CHOOSE:
		if (m->choose == 0 || m->choose > s->n_numbers)
			return -ENOENT;
		return h->choose(h->user, &s->numbers[m->choose - 1]);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_PASSKEY:
		return m->passkey > PASSKEY_MAX ? -EBADMSG : h->passkey(h->user, m->passkey);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_ANSWER:
		return h->answer(h->user, m->answer);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL:
		h->cancel(h->user);
		s->pairing_runs = false;
		return 0;
	case WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_UNPAIR:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_RETRY:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_WIPE:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT:
	case WELLGATE__V1__RADIO_COMMAND__WHAT__NOT_SET:
	case _WELLGATE__V1__RADIO_COMMAND__WHAT__CASE_IS_INT_SIZE:
	default:
		return -EBADMSG;
	}
}

static bool has_something(const struct status *s)
{
	return s->has_source || s->wired;
}

static int report(struct status *s)
{
	if (!has_something(s))
		return -ENODEV;
	s->changed = s->urgent = s->examine = true;
	return 0;
}

static int carry_out(struct status *s, const Wellgate__V1__RadioCommand *m)
{
	const struct status_handlers *h = &s->handlers;

	if (m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT)
		return report(s);
	if (!h->pair)
		return -ENODEV;
	switch (m->what_case) {
	case WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR:
		return pair(s, m->id, m->pair);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_UNPAIR:
		return with_device(m->unpair, h->unpair, h->user);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_RETRY:
		return with_device(m->retry, h->retry, h->user);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_WIPE:
		return h->wipe ? with_device(m->wipe, h->wipe, h->user) : -EOPNOTSUPP;
	case WELLGATE__V1__RADIO_COMMAND__WHAT_CHOOSE:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_PASSKEY:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_ANSWER:
	case WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL:
		return in_pairing(s, m);
	case WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT: /* above */
	case WELLGATE__V1__RADIO_COMMAND__WHAT__NOT_SET:
	case _WELLGATE__V1__RADIO_COMMAND__WHAT__CASE_IS_INT_SIZE:
	default:
		return -EBADMSG; /* of a newer gateway */
	}
}

/* The oldest makes room: a gateway that asks faster than it reads does not wait for it. */
static void add_outcome(struct status *s, uint64_t id, int r)
{
	if (s->n_outcomes == OUTCOMES_MAX)
		memmove(&s->outcomes[0], &s->outcomes[1], --s->n_outcomes * sizeof(s->outcomes[0]));
	s->outcomes[s->n_outcomes++] = (struct outcome){ .id = id, .error = r < 0 ? -r : 0 };
}

static int heard_clock(const struct status *s, const Wellgate__V1__Clock *clock)
{
	if (!clock->has_synced || !clock->has_zone_offset_min ||
	    clock->zone_offset_min > ZONE_MAX_MIN || clock->zone_offset_min < -ZONE_MAX_MIN)
		return -EBADMSG;
	if (s->handlers.zone)
		s->handlers.zone(clock->zone ? clock->zone : "", clock->zone_offset_min);
	if (s->handlers.clock)
		s->handlers.clock(s->handlers.user, clock->synced, clock->zone_offset_min);
	if (s->handlers.wired_clock)
		s->handlers.wired_clock(s->handlers.wired, clock->synced, clock->zone_offset_min);
	return 0;
}

int status_heard(struct status *s, const struct Wellgate__V1__ToDevices *message)
{
	if (message->what_case == WELLGATE__V1__TO_DEVICES__WHAT_CLOCK)
		return heard_clock(s, message->clock);
	assert(message->what_case == WELLGATE__V1__TO_DEVICES__WHAT_RADIO);
	if (!message->radio->has_id)
		return -EBADMSG;
	add_outcome(s, message->radio->id, carry_out(s, message->radio));
	return 0;
}

static int make_outcome(struct status *s)
{
	Wellgate__V1__FromDevices message = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__RadioOutcome m = WELLGATE__V1__RADIO_OUTCOME__INIT;

	m.has_id = m.has_error = true;
	m.id = s->outcomes[0].id;
	m.error = s->outcomes[0].error;
	memmove(&s->outcomes[0], &s->outcomes[1], --s->n_outcomes * sizeof(s->outcomes[0]));
	message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_OUTCOME;
	message.outcome = &m;
	return add_packet(s, &message);
}

/* ---- when ---- */

static int64_t pairing_due(const struct status *s)
{
	if (!s->pairing_new)
		return INT64_MAX;
	return s->phase_new ? 0 : s->pairing_at + PAIRING_EVERY_US;
}

static int64_t changed_due(const struct status *s)
{
	if (!s->changed || !has_something(s))
		return INT64_MAX;
	return s->urgent ? 0 : s->status_at + STATUS_EVERY_US;
}

int64_t status_due(const struct status *s)
{
	const int64_t pairing = pairing_due(s), changed = changed_due(s);

	if (!s->connected)
		return INT64_MAX;
	if (s->n_packets > 0 || s->n_outcomes > 0)
		return 0;
	return pairing < changed ? pairing : changed;
}

/* An outcome goes last: what its command brought about was said before. */
static int make(struct status *s, int64_t now)
{
	if (pairing_due(s) <= now)
		return make_pairing(s, now);
	if (changed_due(s) <= now)
		return make_status(s, now);
	return s->n_outcomes > 0 ? make_outcome(s) : 0;
}

int status_next(struct status *s, int64_t now, const uint8_t **ret_data, size_t *ret_len)
{
	int r = 0;

	if (s->connected && s->n_packets == 0)
		r = make(s, now);
	if (r < 0) {
		drop_packets(s);
		return r;
	}
	if (!s->connected || s->n_packets == 0)
		return 0;
	*ret_data = s->packets[0].data;
	*ret_len = s->packets[0].len;
	return 1;
}

void status_sent(struct status *s)
{
	assert(s->n_packets > 0);
	free(s->packets[0].data);
	memmove(&s->packets[0], &s->packets[1], --s->n_packets * sizeof(s->packets[0]));
}

void status_changed(struct status *s)
{
	s->changed = true;
}

void status_connected(struct status *s)
{
	s->connected = true;
	s->changed = s->urgent = s->examine = true;
}

void status_disconnected(struct status *s)
{
	drop_packets(s);
	s->connected = false;
	s->n_outcomes = 0;
	s->pairing_new = s->phase_new = false;
	s->abandoned = s->abandoned || s->pairing_runs;
	s->pairing_runs = false;
}

void status_settle(struct status *s)
{
	if (!s->abandoned)
		return;
	s->abandoned = false;
	s->handlers.cancel(s->handlers.user);
}

void status_set_source(struct status *s, const struct status_source *source)
{
	s->source = *source;
	s->has_source = source->state != NULL;
	s->changed = s->urgent = s->examine = true;
}

void status_set_wired(struct status *s,
		      void (*findings)(void *user,
				       void (*finding)(void *user, enum adapter_finding_level level,
						       const char *text, const char *advice),
				       void *finding_user),
		      void *user)
{
	s->wired = findings;
	s->wired_user = user;
	s->changed = s->urgent = s->examine = true;
}

void status_examine(struct status *s)
{
	s->changed = s->examine = true;
}

int status_new(const struct status_handlers *handlers, struct status **ret)
{
	struct status *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->handlers = *handlers;
	s->status_at = -STATUS_EVERY_US;
	s->pairing_at = -PAIRING_EVERY_US;
	*ret = s;
	return 0;
}

void status_free(struct status *s)
{
	if (!s)
		return;
	drop_packets(s);
	free(s);
}
