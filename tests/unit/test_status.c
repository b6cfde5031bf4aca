/* links: link */
/* What is said of the radio, and the commands to it, against a radio that is made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/status.h"
#include "wellgate.pb-c.h"

#define SECOND INT64_C(1000000)

struct stand {
	struct status *status;
	int64_t now;
	/* the radio */
	size_t n_devices;
	struct enrolment enrolment; /* lent for one call, as the contract says */
	struct session_facts facts;
	unsigned int findings, cancels, clocks, pairs, unpairs, retries, wipes;
	int result;
	struct radio_pair_request request;
	struct ble_address heard;
	uint32_t passkey;
	int answer, zone;
	bool trusted;
	/* the gateway */
	Wellgate__V1__FromDevices *message;
};

/* ---- a radio ---- */

static enum adapter_state radio_state(void *user)
{
	(void)user;
	return ADAPTER_READY;
}

static const struct adapter_counts *radio_counts(void *user)
{
	static const struct adapter_counts counts = { .adverts = 7,
						      .refused_pairings = 2,
						      .last_recovery_us = 2500000 };

	(void)user;
	return &counts;
}

static size_t radio_count(void *user)
{
	return ((struct stand *)user)->n_devices;
}

static struct ble_address address_of(unsigned int n)
{
	return (struct ble_address){ .bytes = { 2, 0, 0x5e, 0x10, (uint8_t)(n >> 8), (uint8_t)n },
				     .type = n % 2 ? BLE_RANDOM : BLE_PUBLIC };
}

static void radio_at(void *user, size_t i, struct radio_device *ret)
{
	struct stand *s = user;

	memset(&s->enrolment, 0, sizeof(s->enrolment));
	s->enrolment.address = address_of((unsigned int)i);
	(void)snprintf(s->enrolment.name, sizeof(s->enrolment.name), "device %zu", i);
	(void)snprintf(s->enrolment.driver, sizeof(s->enrolment.driver), "weight_scale");
	s->enrolment.level = LINK_AUTHENTICATED;
	s->enrolment.memory.n_consents = 1;
	(void)snprintf(s->facts.text[DRV_FIRMWARE], sizeof(s->facts.text[0]), "1.%zu", i);
	s->facts.has_battery = true;
	s->facts.battery = 55;
	*ret = (struct radio_device){ .enrolment = &s->enrolment,
				      .state = DEVICE_SEEN,
				      .trouble = DEVICE_SPOOF_SUSPECT,
				      .has_rssi = true,
				      .rssi = -70,
				      .last_seen_us = 5,
				      .links = 3,
				      .in_clear = 1,
				      .faults = { [FAULT_RANGE] = 4 },
				      .facts = &s->facts };
}

static void radio_findings(void *user,
			   void (*finding)(void *user, enum adapter_finding_level level,
					   const char *text, const char *advice),
			   void *finding_user)
{
	struct stand *s = user;
	char text[2 * STATUS_TEXT_MAX + 1];

	s->findings++;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text + STATUS_TEXT_MAX - 2, "\xc3\xa9", 2); /* the cut falls into this one */
	finding(finding_user, ADAPTER_GOOD, "fine", NULL);
	for (unsigned int i = 0; i < 2 * STATUS_FINDINGS_MAX; i++)
		finding(finding_user, ADAPTER_PROBLEM, text, "do it");
}

static int on_pair(void *user, const struct radio_pair_request *request)
{
	struct stand *s = user;

	s->pairs++;
	s->request = *request;
	s->request.driver = NULL; /* borrowed */
	return s->result;
}

static int on_choose(void *user, const struct ble_address *address)
{
	struct stand *s = user;

	s->heard = *address;
	return s->result;
}

static int on_passkey(void *user, uint32_t passkey)
{
	struct stand *s = user;

	s->passkey = passkey;
	return s->result;
}

static int on_answer(void *user, bool yes)
{
	struct stand *s = user;

	s->answer = yes;
	return s->result;
}

static void on_cancel(void *user)
{
	((struct stand *)user)->cancels++;
}

static int on_unpair(void *user, const struct ble_address *address)
{
	struct stand *s = user;

	s->unpairs++;
	return on_choose(user, address);
}

static int on_wipe(void *user, const struct ble_address *address)
{
	struct stand *s = user;

	s->wipes++;
	s->heard = *address;
	return s->result;
}

static int on_retry(void *user, const struct ble_address *address)
{
	struct stand *s = user;

	s->retries++;
	return on_choose(user, address);
}

static void on_clock(void *user, bool trusted, int zone_offset_min)
{
	struct stand *s = user;

	s->clocks++;
	s->trusted = trusted;
	s->zone = zone_offset_min;
}

static const struct status_handlers no_radio;

static struct stand *make(bool with_radio)
{
	struct stand *s = calloc(1, sizeof(*s));
	const struct status_handlers handlers = {
		.pair = on_pair,
		.choose = on_choose,
		.passkey = on_passkey,
		.answer = on_answer,
		.cancel = on_cancel,
		.unpair = on_unpair,
		.retry = on_retry,
		.wipe = on_wipe,
		.clock = on_clock,
		.user = s,
	};
	const struct status_source source = { radio_state, radio_counts,   radio_count,
					      radio_at,    radio_findings, s };

	assert_non_null(s);
	s->now = 100 * SECOND;
	s->answer = -1;
	assert_int_equal(status_new(with_radio ? &handlers : &no_radio, &s->status), 0);
	if (with_radio)
		status_set_source(s->status, &source);
	return s;
}

static int set_up(void **state)
{
	*state = make(true);
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	wellgate__v1__from_devices__free_unpacked(s->message, NULL);
	status_free(s->status);
	free(s);
	return 0;
}

/* ---- a gateway ---- */

/* the next packet that is due, or NULL */
static const Wellgate__V1__FromDevices *next(struct stand *s)
{
	const uint8_t *data = NULL;
	size_t len = 0;
	const int r = status_next(s->status, s->now, &data, &len);

	wellgate__v1__from_devices__free_unpacked(s->message, NULL);
	s->message = NULL;
	assert_true(r >= 0);
	if (r == 0)
		return NULL;
	assert_true(status_due(s->status) <= s->now);
	assert_true(len <= STATUS_PACKET);
	s->message = wellgate__v1__from_devices__unpack(NULL, len, data);
	assert_non_null(s->message);
	status_sent(s->status);
	return s->message;
}

static const Wellgate__V1__Pairing *next_pairing(struct stand *s)
{
	const Wellgate__V1__FromDevices *m = next(s);

	assert_non_null(m);
	assert_int_equal(m->what_case, WELLGATE__V1__FROM_DEVICES__WHAT_PAIRING);
	return m->pairing;
}

static void nothing_more(struct stand *s)
{
	assert_null(next(s));
}

static void drain(struct stand *s)
{
	while (next(s))
		;
}

static void connect_it(struct stand *s)
{
	status_connected(s->status);
	drain(s);
}

static int say(struct stand *s, Wellgate__V1__RadioCommand *command, uint64_t id)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;

	command->has_id = id != 0;
	command->id = id;
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_RADIO;
	message.radio = command;
	return status_heard(s->status, &message);
}

/* the outcome of command id must be next */
static int outcome(struct stand *s, uint64_t id)
{
	const Wellgate__V1__FromDevices *m = next(s);

	assert_non_null(m);
	assert_int_equal(m->what_case, WELLGATE__V1__FROM_DEVICES__WHAT_OUTCOME);
	assert_int_equal(m->outcome->id, id);
	return m->outcome->error;
}

static int do_pair(struct stand *s, uint64_t id, const Wellgate__V1__RadioCommand__Pair *like)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Pair pair = *like;

	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
	command.pair = &pair;
	assert_int_equal(say(s, &command, id), 0);
	return outcome(s, id);
}

static Wellgate__V1__RadioCommand__Pair good_pair(void)
{
	Wellgate__V1__RadioCommand__Pair pair = WELLGATE__V1__RADIO_COMMAND__PAIR__INIT;

	pair.has_seconds = true;
	pair.seconds = 60;
	return pair;
}

static void start_pairing(struct stand *s, uint64_t id)
{
	const Wellgate__V1__RadioCommand__Pair pair = good_pair();

	assert_int_equal(do_pair(s, id, &pair), 0);
}

static int do_choose(struct stand *s, uint64_t id, uint64_t pairing, uint32_t number)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;

	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_CHOOSE;
	command.choose = number;
	command.has_pairing = true;
	command.pairing = pairing;
	assert_int_equal(say(s, &command, id), 0);
	return outcome(s, id);
}

/* ---- addresses ---- */

static void addresses_come_back(void **state)
{
	char text[STATUS_ADDRESS_TEXT];
	struct ble_address a = address_of(0x1ab), b;

	(void)state;
	status_address_print(&a, text);
	assert_string_equal(text, "02:00:5E:10:01:AB random");
	assert_int_equal(status_address_parse(text, &b), 0);
	assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
	assert_int_equal(b.type, BLE_RANDOM);
	assert_int_equal(status_address_parse("02:00:5e:10:00:aB", &b), 0);
	assert_int_equal(b.bytes[5], 0xab);
	assert_int_equal(b.type, BLE_PUBLIC);
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = { "",
					   "0",
					   "02",
					   "02:00:5E:10:00",
					   "02:00:5E:10:00:",
					   "02:00:5E:10:00:0",
					   "02:00:5E:10:00:0G",
					   "02-00-5E-10-00-01",
					   "02:00:5E:10:00:01:02",
					   "02:00:5E:10:00:01 ",
					   "02:00:5E:10:00:01 other",
					   " 02:00:5E:10:00:01" };
	struct ble_address a = { .bytes = { 9 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(status_address_parse(bad[i], &a), -EINVAL);
	assert_int_equal(a.bytes[0], 9);
}

/* ---- status ---- */

static void check_device(const Wellgate__V1__RadioDevice *d)
{
	assert_string_equal(d->address, "02:00:5E:10:00:00 public");
	assert_string_equal(d->name, "device 0");
	assert_string_equal(d->driver, "weight_scale");
	assert_string_equal(d->firmware, "1.0");
	assert_null(d->make);
	assert_int_equal(d->state, WELLGATE__V1__RADIO_DEVICE__STATE__STATE_SEEN);
	assert_int_equal(d->trouble, WELLGATE__V1__RADIO_DEVICE__TROUBLE__TROUBLE_SPOOF_SUSPECT);
	assert_int_equal(d->security, WELLGATE__V1__LINK_SECURITY__LINK_AUTHENTICATED);
	assert_int_equal(d->path, WELLGATE__V1__RADIO_DEVICE__PATH__PATH_BEARER);
	assert_int_equal(d->rssi, -70);
	assert_int_equal(d->battery, 55);
	assert_int_equal(d->in_clear, 1);
	assert_int_equal(d->bad_range, 4);
	assert_int_equal(d->bad_length, 0);
	assert_int_equal(d->consents, 1);
}

static void a_status_says_it_all(void **state)
{
	struct stand *s = *state;
	const Wellgate__V1__RadioStatus *m;

	s->n_devices = 1;
	assert_int_equal(status_due(s->status), INT64_MAX); /* nobody listens */
	status_connected(s->status);
	m = next(s)->radio;
	assert_non_null(m);
	assert_true(m->first && m->last && m->examined);
	assert_int_equal(m->adapter, WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_READY);
	assert_int_equal(m->adverts, 7);
	assert_int_equal(m->last_recovery_ms, 2500);
	assert_int_equal(m->n_findings, STATUS_FINDINGS_MAX);
	assert_string_equal(m->findings[0]->what, "fine");
	assert_null(m->findings[0]->advice);
	/* cut before the character that did not fit whole */
	assert_int_equal(strlen(m->findings[1]->what), STATUS_TEXT_MAX - 2);
	assert_int_equal(m->n_devices, 1);
	check_device(m->devices[0]);
	nothing_more(s);
}

static void many_devices_are_several_packets(void **state)
{
	struct stand *s = *state;
	size_t seen = 0, packets = 0;
	bool last = false;

	s->n_devices = ENROLMENT_MAX + 5; /* more than there can be: not beyond the end */
	status_connected(s->status);
	for (const Wellgate__V1__FromDevices *m = next(s); m; m = next(s)) {
		assert_int_equal(m->radio->first, packets == 0);
		assert_false(last);
		last = m->radio->last;
		seen += m->radio->n_devices;
		packets++;
	}
	assert_true(last);
	assert_int_equal(seen, ENROLMENT_MAX);
	assert_true(packets > 1);
}

static void changes_are_told_once_a_second(void **state)
{
	struct stand *s = *state;

	connect_it(s);
	assert_int_equal(s->findings, 1);
	assert_int_equal(status_due(s->status), INT64_MAX);
	status_changed(s->status);
	status_changed(s->status);
	assert_int_equal(status_due(s->status), s->now + SECOND);
	nothing_more(s);
	s->now += SECOND;
	assert_non_null(next(s));
	nothing_more(s);
	assert_int_equal(s->findings, 1); /* reading files: only when asked */
}

static void a_report_comes_at_once_and_before_its_outcome(void **state)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	struct stand *s = *state;
	const Wellgate__V1__FromDevices *m;

	connect_it(s);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	command.report = true;
	assert_int_equal(say(s, &command, 9), 0);
	m = next(s);
	assert_int_equal(m->what_case, WELLGATE__V1__FROM_DEVICES__WHAT_RADIO);
	assert_true(m->radio->examined);
	assert_int_equal(outcome(s, 9), 0);
	nothing_more(s);
}

static void without_a_radio_nothing_is_said(void **state)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	struct stand *s = make(false);

	(void)state;
	status_connected(s->status);
	nothing_more(s);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	assert_int_equal(say(s, &command, 1), 0);
	assert_int_equal(outcome(s, 1), ENODEV);
	nothing_more(s);
	status_disconnected(s->status);
	status_settle(s->status);
	(void)tear_down((void **)&s);
}

/* ---- devices on wires ---- */

static void wired_findings(void *user,
			   void (*finding)(void *user, enum adapter_finding_level level,
					   const char *text, const char *advice),
			   void *finding_user)
{
	((struct stand *)user)->findings++;
	finding(finding_user, ADAPTER_PROBLEM, "may not be opened", "rules");
}

static void without_a_radio_wires_are_told_of(void **state)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	struct stand *s = make(false);
	const Wellgate__V1__RadioStatus *m;

	(void)state;
	status_set_wired(s->status, wired_findings, s);
	status_connected(s->status);
	m = next(s)->radio;
	assert_true(m->first && m->last && m->examined);
	assert_int_equal(m->adapter, WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_UNSPECIFIED);
	assert_int_equal(m->n_devices, 0);
	assert_int_equal(m->n_findings, 1);
	assert_string_equal(m->findings[0]->what, "may not be opened");
	assert_true(m->findings[0]->usb);
	nothing_more(s);
	status_examine(s->status);
	s->now += SECOND;
	assert_true(next(s)->radio->examined);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	assert_int_equal(say(s, &command, 1), 0);
	assert_int_equal(next(s)->what_case, WELLGATE__V1__FROM_DEVICES__WHAT_RADIO);
	assert_int_equal(outcome(s, 1), 0);
	assert_int_equal(s->findings, 3);
	(void)tear_down((void **)&s);
}

static void findings_of_the_radio_are_not_of_wires(void **state)
{
	struct stand *s = *state;

	status_connected(s->status);
	assert_false(next(s)->radio->findings[0]->usb);
}

/* ---- pairing ---- */

static struct radio_pairing looking(unsigned int from, unsigned int n)
{
	struct radio_pairing p = { .phase = RADIO_PAIRING_LOOKING, .n_candidates = n };

	for (unsigned int i = 0; i < n; i++) {
		p.candidates[i].address = address_of(from + i);
		p.candidates[i].driver = "weight_scale";
		p.candidates[i].rssi = -60;
	}
	return p;
}

static void a_candidate_keeps_its_number(void **state)
{
	struct stand *s = *state;
	struct radio_pairing p = looking(10, 2);
	const Wellgate__V1__Pairing *m;
	struct radio_candidate swap;

	connect_it(s);
	start_pairing(s, 5);
	status_pairing(s->status, &p);
	m = next_pairing(s);
	assert_int_equal(m->pairing, 5);
	assert_int_equal(m->candidates[0]->number, 1);
	assert_int_equal(m->candidates[1]->number, 2);
	assert_null(m->candidates[0]->name);
	swap = p.candidates[0];
	p.candidates[0] = p.candidates[1];
	p.candidates[1] = swap;
	status_pairing(s->status, &p);
	nothing_more(s); /* the phase is not new: five times a second at most */
	s->now += SECOND;
	m = next_pairing(s);
	assert_int_equal(m->candidates[0]->number, 2);
	assert_string_equal(m->candidates[0]->address, "02:00:5E:10:00:0B random");
	assert_int_equal(do_choose(s, 6, 5, 2), 0);
	assert_int_equal(s->heard.bytes[5], 11);
	assert_int_equal(do_choose(s, 7, 5, 3), ENOENT);
	assert_int_equal(do_choose(s, 8, 5, 0), ENOENT);
	assert_int_equal(do_choose(s, 9, 4, 1), ESTALE);
	assert_int_equal(s->heard.bytes[5], 11);
}

static void numbers_are_never_given_twice(void **state)
{
	struct stand *s = *state;
	struct radio_pairing p;
	const Wellgate__V1__Pairing *m;

	connect_it(s);
	start_pairing(s, 5);
	for (unsigned int i = 0; i < 16; i++) {
		p = looking(i * 16, 16);
		status_pairing(s->status, &p);
		s->now += SECOND;
		m = next_pairing(s);
		assert_int_equal(m->candidates[0]->number, i * 16 + 1);
	}
	assert_int_equal(m->n_candidates, 15);
	assert_true(m->more_candidates);
	assert_int_equal(do_choose(s, 6, 5, STATUS_NUMBERS_MAX), 0);
	assert_int_equal(s->heard.bytes[5], STATUS_NUMBERS_MAX - 1);
	/* only within one pairing */
	p.phase = RADIO_PAIRING_FAILED;
	status_pairing(s->status, &p);
	drain(s);
	start_pairing(s, 7);
	assert_int_equal(do_choose(s, 8, 7, 1), ENOENT);
	p = looking(200, 1);
	status_pairing(s->status, &p);
	m = next_pairing(s);
	assert_int_equal(m->candidates[0]->number, 1);
	assert_false(m->more_candidates);
}

static void the_end_stays_said(void **state)
{
	struct stand *s = *state;
	struct radio_pairing p = looking(10, 1);
	const Wellgate__V1__Pairing *m;

	s->n_devices = 3;
	connect_it(s);
	start_pairing(s, 5);
	status_pairing(s->status, &p);
	p.phase = RADIO_PAIRING_DONE;
	p.address = address_of(2);
	status_pairing(s->status, &p);
	p.phase = RADIO_PAIRING_NONE;
	status_pairing(s->status, &p);
	m = next_pairing(s);
	assert_int_equal(m->phase, WELLGATE__V1__PAIRING__PHASE__PHASE_DONE);
	assert_string_equal(m->device->name, "device 2");
	nothing_more(s);
	assert_int_equal(do_choose(s, 6, 5, 1), ESTALE);
}

static void a_passkey_is_told_only_where_it_is_shown(void **state)
{
	struct stand *s = *state;
	struct radio_pairing p = { .phase = RADIO_PAIRING_PASSKEY, .passkey = 123456 };

	connect_it(s);
	start_pairing(s, 5);
	status_pairing(s->status, &p);
	assert_false(next_pairing(s)->has_passkey);
	p.phase = RADIO_PAIRING_SHOW;
	status_pairing(s->status, &p);
	assert_int_equal(next_pairing(s)->passkey, 123456);
}

static void commands_reach_the_radio(void **state)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Pair pair = good_pair();
	struct stand *s = *state;
	char address[] = "02:00:5E:10:00:07";

	connect_it(s);
	pair.address = address;
	pair.has_consent_slot = pair.has_consent_code = true;
	pair.consent_slot = DRV_SLOT_NEW;
	pair.consent_code = 4321;
	pair.bluetoothd = true;
	assert_int_equal(do_pair(s, 5, &pair), 0);
	assert_true(s->request.has_address && s->request.has_consent && s->request.bluetoothd);
	assert_int_equal(s->request.address.bytes[5], 7);
	assert_int_equal(s->request.consent.slot, DRV_SLOT_NEW);
	assert_int_equal(s->request.consent.code, 4321);
	assert_int_equal(s->request.window_us, 60 * SECOND);
	assert_int_equal(do_pair(s, 6, &pair), EBUSY);
	assert_int_equal(s->pairs, 1);
	command.has_pairing = true;
	command.pairing = 5;
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PASSKEY;
	command.passkey = 999999;
	assert_int_equal(say(s, &command, 7), 0);
	assert_int_equal(outcome(s, 7), 0);
	assert_int_equal(s->passkey, 999999);
	command.passkey = 1000000;
	assert_int_equal(say(s, &command, 8), 0);
	assert_int_equal(outcome(s, 8), EBADMSG);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_ANSWER;
	command.answer = false;
	assert_int_equal(say(s, &command, 9), 0);
	assert_int_equal(outcome(s, 9), 0);
	assert_int_equal(s->answer, 0);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL;
	assert_int_equal(say(s, &command, 10), 0);
	assert_int_equal(outcome(s, 10), 0);
	assert_int_equal(s->cancels, 1);
	start_pairing(s, 11);
}

static void devices_are_named_by_address(void **state)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Device device = WELLGATE__V1__RADIO_COMMAND__DEVICE__INIT;
	struct stand *s = *state;
	char address[] = "02:00:5E:10:00:07 random";

	connect_it(s);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_UNPAIR;
	command.unpair = &device;
	assert_int_equal(say(s, &command, 1), 0);
	assert_int_equal(outcome(s, 1), EBADMSG);
	assert_int_equal(s->unpairs, 0);
	device.address = address;
	s->result = -ENOENT;
	assert_int_equal(say(s, &command, 2), 0);
	assert_int_equal(outcome(s, 2), ENOENT);
	assert_int_equal(s->unpairs, 1);
	assert_int_equal(s->heard.type, BLE_RANDOM);
	s->result = 0;
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_RETRY;
	assert_int_equal(say(s, &command, 3), 0);
	assert_int_equal(outcome(s, 3), 0);
	assert_int_equal(s->retries, 1);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_WIPE;
	s->result = -EOPNOTSUPP;
	assert_int_equal(say(s, &command, 4), 0);
	assert_int_equal(outcome(s, 4), EOPNOTSUPP);
	assert_int_equal(s->wipes, 1);
	assert_int_equal(s->heard.bytes[5], 7);
}

static void bad_pair_commands_go_no_further(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__RadioCommand__Pair bad[7];
	char address[] = "02:00", driver[64];
	uint64_t id = 1;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = good_pair();
	memset(driver, 'x', sizeof(driver) - 1);
	driver[sizeof(driver) - 1] = '\0';
	bad[0].has_seconds = false;
	bad[1].seconds = STATUS_WINDOW_MIN_S - 1;
	bad[2].seconds = STATUS_WINDOW_MAX_S + 1;
	bad[3].has_consent_code = true;
	bad[4].has_consent_code = bad[4].has_consent_slot = true;
	bad[4].consent_code = 10000;
	bad[5].address = address;
	bad[6].driver = driver;
	connect_it(s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(do_pair(s, id++, &bad[i]), EBADMSG);
	assert_int_equal(s->pairs, 0);
	bad[3].has_consent_slot = true;
	bad[3].consent_slot = 256;
	assert_int_equal(do_pair(s, id, &bad[3]), EBADMSG);
}

static void what_cannot_be_answered_is_an_error(void **state)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	struct stand *s = *state;

	connect_it(s);
	assert_int_equal(say(s, &command, 0), -EBADMSG);
	nothing_more(s);
	assert_int_equal(say(s, &command, 1), 0); /* of a newer gateway */
	assert_int_equal(outcome(s, 1), EBADMSG);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	for (uint64_t id = 2; id < 100; id++)
		assert_int_equal(say(s, &command, id), 0);
	assert_non_null(next(s));
	assert_int_equal(outcome(s, 84), 0); /* the last 16 are answered */
}

static void a_lost_gateway_ends_the_pairing(void **state)
{
	struct stand *s = *state;
	struct radio_pairing p = looking(1, 1);

	connect_it(s);
	status_disconnected(s->status);
	status_settle(s->status);
	assert_int_equal(s->cancels, 0); /* none ran */
	connect_it(s);
	start_pairing(s, 5);
	status_pairing(s->status, &p);
	status_disconnected(s->status);
	assert_int_equal(s->cancels, 0); /* not from inside the radio */
	assert_int_equal(status_due(s->status), INT64_MAX);
	status_settle(s->status);
	status_settle(s->status);
	assert_int_equal(s->cancels, 1);
	status_connected(s->status);
	assert_int_equal(next(s)->what_case, WELLGATE__V1__FROM_DEVICES__WHAT_RADIO);
	status_pairing(s->status, &p); /* what comes of it now is nobody's */
	nothing_more(s);
}

static void a_refused_pairing_does_not_run(void **state)
{
	const Wellgate__V1__RadioCommand__Pair pair = good_pair();
	struct stand *s = *state;

	connect_it(s);
	s->result = -ENODEV;
	assert_int_equal(do_pair(s, 5, &pair), ENODEV);
	status_disconnected(s->status);
	status_settle(s->status);
	assert_int_equal(s->cancels, 0);
	connect_it(s);
	s->result = 0;
	start_pairing(s, 6);
}

/* ---- clock ---- */

static void the_clock_is_handed_on_if_it_is_one(void **state)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	Wellgate__V1__Clock clock = WELLGATE__V1__CLOCK__INIT;
	struct stand *s = *state;

	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_CLOCK;
	message.clock = &clock;
	assert_int_equal(status_heard(s->status, &message), -EBADMSG);
	clock.has_synced = clock.has_zone_offset_min = clock.synced = true;
	clock.zone_offset_min = 18 * 60 + 1;
	assert_int_equal(status_heard(s->status, &message), -EBADMSG);
	clock.zone_offset_min = INT32_MIN;
	assert_int_equal(status_heard(s->status, &message), -EBADMSG);
	assert_int_equal(s->clocks, 0);
	clock.zone_offset_min = -210;
	assert_int_equal(status_heard(s->status, &message), 0);
	assert_int_equal(s->clocks, 1);
	assert_true(s->trusted);
	assert_int_equal(s->zone, -210);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_come_back),
		cmocka_unit_test(what_is_no_address_is_refused),
		TEST(a_status_says_it_all),
		TEST(many_devices_are_several_packets),
		TEST(changes_are_told_once_a_second),
		TEST(a_report_comes_at_once_and_before_its_outcome),
		cmocka_unit_test(without_a_radio_nothing_is_said),
		cmocka_unit_test(without_a_radio_wires_are_told_of),
		TEST(findings_of_the_radio_are_not_of_wires),
		TEST(a_candidate_keeps_its_number),
		TEST(numbers_are_never_given_twice),
		TEST(the_end_stays_said),
		TEST(a_passkey_is_told_only_where_it_is_shown),
		TEST(commands_reach_the_radio),
		TEST(devices_are_named_by_address),
		TEST(bad_pair_commands_go_no_further),
		TEST(what_cannot_be_answered_is_an_error),
		TEST(a_lost_gateway_ends_the_pairing),
		TEST(a_refused_pairing_does_not_run),
		TEST(the_clock_is_handed_on_if_it_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
