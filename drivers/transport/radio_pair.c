/*
 * A pairing, guided by the operator. The link that pairs is the first link of the device: once its
 * channels are open it is enrolled, and the link goes on as any other.
 *
 *   LOOK -> [FORGET] -> WAIT -> CONNECT -> MTU -> SECURE -> VERIFY -> [IDENTITY] -> ARM -> enrolled
 *
 * Security is asked for after the MTU exchange, on every kernel. A device that offers none does not
 * answer, or the kernel drops the link and the next attempt asks for none. If its channels open in
 * clear, nobody was asked anything, and it was not known to be more secure before, it is enrolled
 * as one that never pairs, and shown as such.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/log.h"
#include "drivers/registry.h"
#include "drivers/transport/radio_private.h"

#define STEP_US     INT64_C(10000000)
#define IDENTITY_US INT64_C(3000000)
#define GONE_US     INT64_C(2500000)
#define ATTEMPTS    3
#define WINDOW_US   INT64_C(120000000)

static const char CANCELLED[] = "The pairing was cancelled.";
static const char NOBODY[] = "No device was chosen in time. Switch the device to pairing, close to "
			     "the hub, and try again.";
static const char UNREACHED[] =
	"The device does not answer. Switch it to pairing again, bring it closer, and try again.";
static const char REFUSED[] =
	"The device refused the pairing. Delete older pairings in its menu, and try again.";
static const char UNANSWERED[] = "The code was not confirmed in time or was wrong. Try again.";
static const char LOST[] = "The link was lost. Bring the device closer to the hub, and try again.";
static const char NO_DRIVER[] = "Wellgate cannot read this kind of device.";
static const char NOT_THAT[] = "It is not a device of the kind that was asked for.";
static const char NAMELESS[] =
	"The device keeps changing its address and did not bond, so it would not be known again.";
static const char WEAKER[] =
	"It was paired more securely before. If it is yours, unpair it first, and try again.";
static const char NOT_KEPT[] = "The device could not be saved. See `wellgate doctor`.";
static const char NO_FORGET[] = "Its earlier pairing could not be deleted. Try again.";
static const char NO_RADIO[] = "Bluetooth went away. See `wellgate doctor`.";

bool pairing_runs(const struct radio *r)
{
	switch (r->pairing.shown.phase) {
	case RADIO_PAIRING_NONE:
	case RADIO_PAIRING_DONE:
	case RADIO_PAIRING_FAILED:
		return false;
	case RADIO_PAIRING_LOOKING:
	case RADIO_PAIRING_LINKING:
	case RADIO_PAIRING_PASSKEY:
	case RADIO_PAIRING_SHOW:
	case RADIO_PAIRING_MATCH:
	case RADIO_PAIRING_SETTLING:
		break;
	}
	return true;
}

bool pairing_is_about(const struct radio *r, const struct ble_address *address)
{
	return pairing_runs(r) && r->pairing.step != PAIR_LOOK &&
	       ble_address_equal(&r->pairing.shown.address, address);
}

bool pairing_has_link(const struct radio *r)
{
	return r->pairing.node && r->pairing.node->peer;
}

bool pairing_waits(const struct radio *r, int64_t now)
{
	return pairing_runs(r) && r->pairing.step == PAIR_WAIT && now >= r->pairing.not_before;
}

int64_t pairing_deadline(const struct radio *r)
{
	const struct pairing *p = &r->pairing;
	int64_t at = p->shown.ends_at;

	if (!pairing_runs(r))
		return RADIO_NEVER;
	if (p->deadline < at)
		at = p->deadline;
	if (p->step == PAIR_WAIT && p->not_before > radio_now() && p->not_before < at)
		at = p->not_before;
	return at;
}

static int64_t step_us(const struct radio *r)
{
	return r->options.pair_step_us > 0 ? r->options.pair_step_us : STEP_US;
}

static void show(struct radio *r)
{
	r->sink.pairing(r->sink.user, &r->pairing.shown);
}

static void set_phase(struct radio *r, enum radio_pairing_phase phase)
{
	if (r->pairing.shown.phase == phase)
		return;
	r->pairing.shown.phase = phase;
	show(r);
}

static void set_step(struct radio *r, enum pair_step step, int64_t usec)
{
	r->pairing.step = step;
	r->pairing.deadline = usec == RADIO_NEVER ? RADIO_NEVER : radio_now() + usec;
}

static void drop_node(struct radio *r)
{
	struct node *n = r->pairing.node;

	r->pairing.node = NULL;
	radio_node_free(n);
	free(r->pairing.draft);
	r->pairing.draft = NULL;
}

static void finish(struct radio *r, enum radio_pairing_phase phase, const char *reason)
{
	struct pairing *p = &r->pairing;

	if (!pairing_runs(r))
		return;
	p->deadline = RADIO_NEVER;
	(void)snprintf(p->shown.reason, sizeof(p->shown.reason), "%s", reason);
	adapter_window_close(r->adapter);
	drop_node(r);
	set_phase(r, phase);
	log_info("bluetooth: pairing %s", phase == RADIO_PAIRING_DONE ? "done" : "failed");
	adapter_scan(r->adapter, r->n_nodes > 0);
	radio_changed(r);
}

static void fail(struct radio *r, const char *reason)
{
	finish(r, RADIO_PAIRING_FAILED, reason);
}

void pairing_free(struct radio *r)
{
	drop_node(r);
	r->pairing.shown.phase = RADIO_PAIRING_NONE;
}

void pairing_adapter_lost(struct radio *r)
{
	fail(r, NO_RADIO);
}

/* ---- candidates ---- */

static const struct driver *driver_of(const struct ble_advert *advert, uint32_t *ret_quirks)
{
	struct drv_identity id = {
		.bus = DRV_BUS_BLE,
		.services = advert->services,
		.n_services = advert->n_services,
		.services128 = advert->services128,
		.n_services128 = advert->n_services128,
		.company = advert->n_company > 0 ? advert->company[0].id : 0,
		.name = advert->name,
	};
	const struct driver *driver = registry_match(&id, ret_quirks);
	uint16_t services[BLE_ADVERT_DATA];

	if (driver)
		return driver;
	id.bus = DRV_BUS_BLE_ADVERT;
	driver = registry_match(&id, ret_quirks);
	if (driver || advert->n_service == 0)
		return driver;
	/* what it broadcasts data of, it has */
	for (size_t i = 0; i < advert->n_service; i++)
		services[i] = advert->service[i].id;
	id.services = services;
	id.n_services = advert->n_service;
	return registry_match(&id, ret_quirks);
}

static bool same_label(const struct ble_address *a, const struct ble_address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static struct radio_candidate *candidate_of(struct radio_pairing *shown,
					    const struct ble_address *address)
{
	for (size_t i = 0; i < shown->n_candidates; i++) {
		if (ble_address_equal(&shown->candidates[i].address, address))
			return &shown->candidates[i];
	}
	return NULL;
}

/* a free place, or that of the faintest one if this one is stronger */
static struct radio_candidate *place_for(struct radio_pairing *shown, int8_t rssi)
{
	struct radio_candidate *faintest = &shown->candidates[0];

	if (shown->n_candidates < RADIO_CANDIDATES_MAX)
		return &shown->candidates[shown->n_candidates++];
	for (size_t i = 1; i < RADIO_CANDIDATES_MAX; i++) {
		if (shown->candidates[i].rssi < faintest->rssi)
			faintest = &shown->candidates[i];
	}
	return faintest->rssi < rssi ? faintest : NULL;
}

/* The name is for people's eyes: no control characters, cut between two characters. */
static void set_name(char ret[64], const char *name)
{
	size_t n = 0;

	for (; name && *name && n < 63; name++) {
		const unsigned char c = (unsigned char)*name;

		ret[n++] = c < 0x20 || c == 0x7f ? ' ' : *name;
	}
	if (name && *name)
		while (n > 0 && ((unsigned char)ret[n - 1] & 0xc0) == 0x80)
			n--;
	if (name && *name && n > 0 && ((unsigned char)ret[n - 1] & 0xc0) == 0xc0)
		n--;
	ret[n] = '\0';
}

static bool is_wanted(const struct pairing *p, const struct ble_advert *advert,
		      const struct driver *driver)
{
	if (p->has_address) /* its services may only show on a link */
		return same_label(&p->wanted_address, &advert->address);
	return driver && (!p->has_wanted || driver == p->wanted);
}

void pairing_advert(struct radio *r, const struct ble_advert *advert)
{
	struct pairing *p = &r->pairing;
	const int8_t rssi = advert->has_rssi ? advert->rssi : INT8_MIN;
	const struct driver *driver;
	struct radio_candidate *c;
	bool fresh;

	if (p->step != PAIR_LOOK)
		return;
	driver = driver_of(advert, NULL);
	if (!is_wanted(p, advert, driver))
		return;
	c = candidate_of(&p->shown, &advert->address);
	fresh = c == NULL;
	if (!c)
		c = place_for(&p->shown, rssi);
	if (!c)
		return;
	if (fresh)
		*c = (struct radio_candidate){ .address = advert->address };
	if (advert->name)
		set_name(c->name, advert->name);
	if (driver)
		c->driver = driver->name;
	c->rssi = rssi;
	c->enrolled = radio_node(r, &advert->address) != NULL;
	show(r);
	if (p->has_address)
		(void)radio_pair_choose(r, &advert->address);
}

/* ---- enrolling ---- */

static int64_t utc_ms(const struct radio *r)
{
	struct timespec t;

	if (!r->trusted)
		return 0;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Random and not static: another one in a quarter of an hour. */
static bool changes_address(const struct ble_address *a)
{
	return a->type == BLE_RANDOM && (a->bytes[0] & 0xc0) != 0xc0;
}

/* A code for a slot replaces the one it had; the other users keep theirs. */
static void add_consent(struct session_memory *m, const struct drv_consent *consent)
{
	size_t i = 0;

	while (i < m->n_consents && m->consents[i].slot != consent->slot)
		i++;
	if (i == DRV_CONSENTS_MAX) /* all slots of a scale are known: the oldest is forgotten */
		i = 0;
	m->consents[i] = *consent;
	if (i == m->n_consents)
		m->n_consents++;
}

static int draft(struct radio *r, const struct radio_candidate *c)
{
	struct pairing *p = &r->pairing;
	const struct enrolment *old = enrolments_find(r->enrolments, &c->address);
	struct enrolment *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	if (old) {
		e->memory = old->memory;
		e->has_last_record = old->has_last_record;
		e->last_record = old->last_record;
	}
	e->address = c->address;
	memcpy(e->name, c->name, sizeof(e->name));
	e->path = p->bluetoothd ? ENROLMENT_BLUETOOTHD : ENROLMENT_BEARER;
	if (p->has_consent)
		add_consent(&e->memory, &p->consent);
	p->draft = e;
	return radio_node_new(r, &c->address, &p->node);
}

static bool was_more_secure(const struct radio *r, const struct enrolment *e)
{
	const struct enrolment *old = enrolments_find(r->enrolments, &e->address);

	/* the levels of links are in rising order; what is only broadcast has none */
	if (!old || old->level == LINK_BROADCAST)
		return false;
	return e->level == LINK_BROADCAST ? old->level > LINK_CLEAR : e->level < old->level;
}

/* The draft becomes an enrolment and its node one of ours. The link, if there is one, goes on. */
static void enrol(struct radio *r)
{
	struct pairing *p = &r->pairing;
	struct enrolment *e = p->draft;
	struct node *n = p->node, *old;

	(void)snprintf(e->driver, sizeof(e->driver), "%s", n->driver->name);
	e->quirks = p->quirks;
	e->enrolled_ms = utc_ms(r);
	if (was_more_secure(r, e)) {
		fail(r, WEAKER);
		return;
	}
	if (enrolments_put(r->enrolments, e) < 0) {
		fail(r, NOT_KEPT);
		return;
	}
	old = radio_node(r, &e->address);
	if (old)
		radio_node_remove(old);
	n->address = e->address;
	/* who is told that it is paired looks it up by this */
	p->shown.address = e->address;
	if (radio_node_enrolled(n, e) < 0) {
		fail(r, NOT_KEPT);
		return;
	}
	if (n->peer)
		device_adopt(&n->device, peer_level(n->peer), radio_now());
	p->node = NULL;
	finish(r, RADIO_PAIRING_DONE, "");
}

/* ---- the link ---- */

static void wait_for_turn(struct radio *r, int64_t delay)
{
	set_step(r, PAIR_WAIT, RADIO_NEVER);
	r->pairing.not_before = radio_now() + delay;
}

static void open_window(struct radio *r)
{
	struct pairing *p = &r->pairing;
	const int64_t left = p->shown.ends_at - radio_now();

	if (adapter_window_open(r->adapter, &p->shown.address, left > 0 ? left : 1) < 0)
		fail(r, NO_RADIO);
	else
		wait_for_turn(r, adapter_is_linked(r->adapter, &p->shown.address) ? GONE_US : 0);
}

static void on_forgotten(void *user, int result)
{
	struct radio *r = user;

	if (!pairing_runs(r) || r->pairing.step != PAIR_FORGET)
		return;
	if (result < 0)
		fail(r, NO_FORGET);
	else
		open_window(r);
	radio_settle(r);
}

void pairing_turn(struct radio *r)
{
	struct pairing *p = &r->pairing;

	set_step(r, PAIR_CONNECT, step_us(r));
	p->attempts++;
	if (radio_connect(p->node, NULL, BEARER_CLEAR, BEARER_CLEAR) < 0)
		fail(r, NO_RADIO);
}

/* Before the operator had a part in it, it may be tried again. */
static void try_again(struct radio *r, const char *reason)
{
	struct pairing *p = &r->pairing;

	if (p->attempts >= ATTEMPTS || p->questioned) {
		fail(r, reason);
		return;
	}
	radio_attempt_over(r, p->node);
	radio_hang_up(p->node);
	set_phase(r, RADIO_PAIRING_LINKING);
	wait_for_turn(r, step_us(r) < GONE_US ? step_us(r) : GONE_US);
}

static void settle(struct radio *r)
{
	set_phase(r, RADIO_PAIRING_SETTLING);
	set_step(r, PAIR_VERIFY, step_us(r));
	peer_verify(r->pairing.node->peer);
}

static void secure(struct radio *r)
{
	const struct node *n = r->pairing.node;

	if (peer_level(n->peer) >= BEARER_ENCRYPTED || r->pairing.unsecured) {
		settle(r);
		return;
	}
	set_step(r, PAIR_SECURE, step_us(r));
	(void)peer_raise(n->peer, BEARER_ENCRYPTED);
}

static const struct driver *driver_by_services(const struct radio *r, uint32_t *ret_quirks)
{
	const struct pairing *p = &r->pairing;
	const struct att_table *t = peer_table(p->node->peer);
	uint16_t services[ATT_SERVICES_MAX];
	uint8_t services128[ATT_SERVICES_MAX][16];
	struct drv_identity id = {
		.bus = DRV_BUS_BLE,
		.services = services,
		.services128 = (const uint8_t(*)[16])services128,
		.name = p->draft->name[0] ? p->draft->name : NULL,
	};

	for (size_t i = 0; i < t->n_services; i++) {
		const uint16_t uuid16 = att_uuid_16(&t->services[i].uuid);

		if (uuid16 != 0)
			services[id.n_services++] = uuid16;
		else
			memcpy(services128[id.n_services128++], t->services[i].uuid.bytes, 16);
	}
	return registry_match(&id, ret_quirks);
}

static void arm(struct radio *r)
{
	struct pairing *p = &r->pairing;

	set_step(r, PAIR_ARM, step_us(r));
	if (radio_open_session(p->node, p->draft) < 0)
		fail(r, LOST);
	else
		peer_arm(p->node->peer);
}

/* Its own address comes with the bond. */
static void identify(struct radio *r)
{
	struct pairing *p = &r->pairing;

	if (p->has_identity)
		p->node->address = p->draft->address = p->identity;
	if (!changes_address(&p->draft->address))
		arm(r);
	else if (p->step == PAIR_IDENTITY)
		fail(r, NAMELESS);
	else
		set_step(r, PAIR_IDENTITY, step_us(r) < IDENTITY_US ? step_us(r) : IDENTITY_US);
}

static void verified(struct radio *r)
{
	struct pairing *p = &r->pairing;
	const struct driver *driver;

	p->quirks = 0;
	driver = driver_by_services(r, &p->quirks);
	p->draft->quirks = p->quirks;
	if (!driver) {
		fail(r, NO_DRIVER);
		return;
	}
	if (p->has_wanted && driver != p->wanted) {
		fail(r, NOT_THAT);
		return;
	}
	p->node->driver = driver;
	identify(r);
}

static void armed(struct radio *r)
{
	struct pairing *p = &r->pairing;

	p->draft->level = peer_security(peer_level(p->node->peer));
	enrol(r);
}

/* The kernel drops the link when a device answers that it cannot pair; to us it looks the same as
 * one that will not. The next attempt asks for nothing: one that can, demands it then. */
static void aborted(struct radio *r)
{
	struct pairing *p = &r->pairing;

	if (p->unsecured || p->step != PAIR_SECURE) {
		fail(r, REFUSED);
		return;
	}
	p->unsecured = true;
	try_again(r, REFUSED);
}

static void ended(struct radio *r, enum device_end how)
{
	const struct pairing *p = &r->pairing;
	const int error = peer_error(p->node->peer);

	if (p->questioned && p->step <= PAIR_SECURE)
		fail(r, UNANSWERED);
	else if (how == DEVICE_END_AUTH)
		fail(r, REFUSED);
	else if (error == -ECONNABORTED && p->step >= PAIR_SECURE)
		aborted(r);
	else if (error == -ENODEV)
		fail(r, NO_DRIVER);
	else
		try_again(r, p->step == PAIR_CONNECT ? UNREACHED : LOST);
}

void pairing_event(struct radio *r, enum device_event event, unsigned int argument)
{
	struct pairing *p = &r->pairing;

	if (!pairing_runs(r) || !p->node)
		return;
	if (event == DEVICE_ON_END) {
		ended(r, (enum device_end)argument);
	} else if (event == DEVICE_ON_CONNECTED && p->step == PAIR_CONNECT) {
		set_step(r, PAIR_MTU, step_us(r));
		peer_mtu(p->node->peer);
	} else if (event == DEVICE_ON_MTU && p->step == PAIR_MTU) {
		secure(r);
	} else if (event == DEVICE_ON_LEVEL && p->step == PAIR_SECURE) {
		if (argument >= BEARER_ENCRYPTED)
			settle(r);
	} else if (event == DEVICE_ON_VERIFIED && p->step == PAIR_VERIFY) {
		verified(r);
	} else if (event == DEVICE_ON_ARMED && p->step == PAIR_ARM) {
		armed(r);
	} else if (event == DEVICE_ON_READING && (p->step == PAIR_VERIFY || p->step == PAIR_ARM)) {
		p->deadline = radio_now() + step_us(r); /* progress */
	}
}

/* ---- bluetoothd ---- */

void pairing_bonded(struct radio *r, const struct ble_address *address, bool bonded)
{
	struct pairing *p = &r->pairing;

	/* only the device in the window can bond now: the address it bonds with is its own */
	if (!pairing_runs(r) || p->step < PAIR_CONNECT || !bonded || radio_node(r, address) ||
	    !changes_address(&p->shown.address) || changes_address(address))
		return;
	p->has_identity = true;
	p->identity = *address;
	if (p->step == PAIR_IDENTITY)
		identify(r);
}

void pairing_question(struct radio *r, const struct ble_address *address,
		      enum adapter_question question, uint32_t passkey)
{
	static const enum radio_pairing_phase phases[] = {
		[ADAPTER_ASK_PASSKEY] = RADIO_PAIRING_PASSKEY,
		[ADAPTER_SHOW_PASSKEY] = RADIO_PAIRING_SHOW,
		[ADAPTER_ASK_MATCH] = RADIO_PAIRING_MATCH,
	};
	struct pairing *p = &r->pairing;

	if (!pairing_is_about(r, address) || p->step < PAIR_CONNECT)
		return;
	p->questioned = true;
	p->deadline = p->shown.ends_at; /* people take their time */
	p->shown.passkey = passkey;
	set_phase(r, phases[question]);
}

void pairing_time(struct radio *r, int64_t now)
{
	struct pairing *p = &r->pairing;

	if (!pairing_runs(r))
		return;
	if (now >= p->shown.ends_at) {
		fail(r, p->step == PAIR_LOOK ? NOBODY : p->questioned ? UNANSWERED : UNREACHED);
		return;
	}
	if (now < p->deadline)
		return;
	switch (p->step) {
	case PAIR_CONNECT:
		try_again(r, UNREACHED);
		break;
	case PAIR_SECURE: /* no answer at all: it offers no pairing, or the kernel is silent */
		if (p->questioned)
			fail(r, UNANSWERED);
		else
			settle(r);
		break;
	case PAIR_IDENTITY:
		identify(r);
		break;
	case PAIR_MTU:
	case PAIR_VERIFY:
	case PAIR_ARM:
		try_again(r, LOST);
		break;
	case PAIR_LOOK:
	case PAIR_FORGET:
	case PAIR_WAIT:
		p->deadline = RADIO_NEVER;
		break;
	}
}

/* ---- the operator ---- */

int radio_pair(struct radio *r, const struct radio_pair_request *request)
{
	struct pairing *p = &r->pairing;
	const struct driver *wanted = NULL;

	if (pairing_runs(r))
		return -EBUSY;
	if (adapter_state(r->adapter) != ADAPTER_READY)
		return -ENODEV;
	if (request->driver) {
		wanted = registry_by_name(request->driver);
		if (!wanted)
			return -ENOENT;
	}
	*p = (struct pairing){
		.has_address = request->has_address,
		.wanted_address = request->address,
		.has_consent = request->has_consent,
		.bluetoothd = request->bluetoothd,
		.consent = request->consent,
		.has_wanted = wanted != NULL,
		.wanted = wanted,
		.deadline = RADIO_NEVER,
	};
	p->shown.ends_at = radio_now() + (request->window_us > 0 ? request->window_us : WINDOW_US);
	adapter_scan_afresh(r->adapter);
	set_phase(r, RADIO_PAIRING_LOOKING);
	radio_settle(r);
	return 0;
}

/* What is only broadcast needs no link. */
static int enrol_broadcast(struct radio *r, const struct driver *driver)
{
	struct pairing *p = &r->pairing;

	if (changes_address(&p->shown.address)) {
		fail(r, NAMELESS);
		return 0;
	}
	p->node->driver = driver;
	p->draft->level = LINK_BROADCAST;
	enrol(r);
	return 0;
}

static void make_way(struct radio *r)
{
	struct pairing *p = &r->pairing;
	struct node *old = radio_node(r, &p->shown.address);

	if (old)
		radio_node_event(old, DEVICE_ON_ADAPTER_LOST, 0);
	if (!adapter_is_bonded(r->adapter, &p->shown.address)) {
		open_window(r);
		return;
	}
	set_step(r, PAIR_FORGET, RADIO_NEVER);
	if (adapter_forget(r->adapter, &p->shown.address, on_forgotten, r) < 0)
		fail(r, NO_FORGET);
}

int radio_pair_choose(struct radio *r, const struct ble_address *address)
{
	struct pairing *p = &r->pairing;
	const struct radio_candidate *c = candidate_of(&p->shown, address);
	const struct driver *driver;
	int result;

	if (!pairing_runs(r) || p->step != PAIR_LOOK || !c)
		return -ENOENT;
	result = draft(r, c);
	if (result < 0) {
		drop_node(r);
		return result;
	}
	p->node->pairing = true;
	p->node->bluetoothd = p->bluetoothd;
	p->shown.address = c->address;
	driver = c->driver ? registry_by_name(c->driver) : NULL;
	if (driver && !radio_driver_on(driver, DRV_BUS_BLE))
		return enrol_broadcast(r, driver);
	p->step = PAIR_WAIT;
	p->not_before = RADIO_NEVER;
	set_phase(r, RADIO_PAIRING_LINKING);
	make_way(r);
	radio_settle(r);
	return 0;
}

int radio_pair_passkey(struct radio *r, uint32_t passkey)
{
	const int result = pairing_runs(r) ? adapter_answer_passkey(r->adapter, passkey) : -ENOENT;

	if (result == 0)
		set_phase(r, RADIO_PAIRING_LINKING);
	return result;
}

int radio_pair_answer(struct radio *r, bool yes)
{
	const int result = pairing_runs(r) ? adapter_answer(r->adapter, yes) : -ENOENT;

	if (result == 0)
		set_phase(r, RADIO_PAIRING_LINKING);
	return result;
}

void radio_pair_cancel(struct radio *r)
{
	fail(r, CANCELLED);
	radio_settle(r);
}
