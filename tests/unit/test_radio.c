/* links: transports */
/*
 * The radio with a fake adapter, real enrolments in a folder, real links to simulated scales. This
 * test plays bluetoothd: it says what is heard, bonded, linked; it is the gateway as well.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drivers/transport/radio.h"
#include "tests/unit/att_scale.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATIENCE_US  60000000 /* of a turn of the loop: a hang, not a delay */
#define SCALES       5
#define STEP_US      200000

/* ---- the fake adapter: adapter.h, and what was asked of it ---- */

struct adapter {
	struct adapter_handlers handlers;
	sd_event_source *defer;
	enum adapter_state state;
	bool scanning, paused, window, forget_fails, bonded[SCALES], linked[SCALES];
	struct ble_address window_address;
	void (*ready)(void *user);
	void *ready_user;
	size_t pauses, resumes, forgotten, works, doubts;
	uint32_t passkey;
	void (*forget_done)(void *user, int r);
	void *forget_user;
	struct adapter_counts counts;
};

static struct adapter fake;

static int fake_defer(sd_event_source *source, void *user)
{
	void (*ready)(void *) = fake.ready;
	void (*done)(void *, int) = fake.forget_done;

	(void)source;
	(void)user;
	fake.ready = NULL;
	fake.forget_done = NULL;
	if (ready)
		ready(fake.ready_user);
	if (done)
		done(fake.forget_user, fake.forget_fails ? -EPIPE : 0);
	return 0;
}

int adapter_new(sd_event *event, const struct adapter_options *options,
		const struct adapter_handlers *handlers, struct adapter **ret)
{
	(void)options;
	fake.handlers = *handlers;
	*ret = &fake;
	if (sd_event_add_defer(event, &fake.defer, fake_defer, NULL) < 0)
		return -ENOMEM;
	return sd_event_source_set_enabled(fake.defer, SD_EVENT_OFF);
}

void adapter_free(struct adapter *a)
{
	a->defer = sd_event_source_disable_unref(a->defer);
}

const char *adapter_state_name(enum adapter_state state)
{
	return state == ADAPTER_READY ? "ready" : "other";
}

enum adapter_state adapter_state(const struct adapter *a)
{
	return a->state;
}

const char *adapter_why(const struct adapter *a)
{
	(void)a;
	return "";
}

int adapter_address(const struct adapter *a, struct ble_address *ret)
{
	(void)a;
	(void)ret;
	return -ENODEV;
}

void adapter_scan(struct adapter *a, bool on)
{
	a->scanning = on;
}

void adapter_scan_afresh(struct adapter *a)
{
	a->scanning = true;
}

int adapter_scan_pause(struct adapter *a, void (*ready)(void *user), void *user)
{
	if (a->paused)
		return -EBUSY;
	a->paused = true;
	a->pauses++;
	a->ready = ready;
	a->ready_user = user;
	(void)sd_event_source_set_enabled(a->defer, SD_EVENT_ONESHOT);
	return 0;
}

void adapter_scan_resume(struct adapter *a)
{
	a->paused = false;
	a->resumes++;
}

int adapter_window_open(struct adapter *a, const struct ble_address *address, int64_t usec)
{
	(void)usec;
	a->window = true;
	a->window_address = *address;
	return 0;
}

void adapter_window_close(struct adapter *a)
{
	a->window = false;
}

int adapter_answer_passkey(struct adapter *a, uint32_t passkey)
{
	a->passkey = passkey;
	return 0;
}

int adapter_answer(struct adapter *a, bool yes)
{
	(void)a;
	return yes ? 0 : -ENOENT;
}

bool adapter_is_bonded(const struct adapter *a, const struct ble_address *address)
{
	return address->bytes[5] < SCALES && a->bonded[address->bytes[5]];
}

bool adapter_is_linked(const struct adapter *a, const struct ble_address *address)
{
	return address->bytes[5] < SCALES && a->linked[address->bytes[5]];
}

int adapter_forget(struct adapter *a, const struct ble_address *address,
		   void (*done)(void *user, int r), void *user)
{
	a->forgotten++;
	if (address->bytes[5] < SCALES && !a->forget_fails)
		a->bonded[address->bytes[5]] = false;
	a->forget_done = done;
	a->forget_user = user;
	(void)sd_event_source_set_enabled(a->defer, SD_EVENT_ONESHOT);
	return 0;
}

int adapter_disconnect(struct adapter *a, const struct ble_address *address)
{
	(void)a;
	(void)address;
	return 0;
}

void adapter_doubt(struct adapter *a, enum adapter_doubt doubt)
{
	(void)doubt;
	a->doubts++;
}

void adapter_works(struct adapter *a)
{
	a->works++;
}

const struct adapter_counts *adapter_counts(const struct adapter *a)
{
	return &a->counts;
}

/* ---- the stand ---- */

struct stand {
	sd_event *event;
	char folder[64], helper[512];
	struct scale scales[SCALES];
	bool told[SCALES]; /* bluetoothd has said that it is linked */
	enum bearer_level level, reach;
	struct radio *radio;
	uint64_t next_seq, committed;
	uint32_t next_id;
	bool no_room, no_commit;
	unsigned int ups_lost; /* the next ones: there is no memory for them */
	int64_t held_us;
	/* what the gateway heard */
	size_t ups, downs, measurements, attempts, most_links;
	size_t read[SCALES];
	uint32_t ids[64];
	uint8_t who[64];
	struct radio_pairing pairing;
	enum link_security security;
	struct session_wipe wiped; /* on the last link */
};

static struct ble_address address_of(size_t i)
{
	return (struct ble_address){ .bytes = { 0x02, 0, 0x5e, 0x10, 0, (uint8_t)i } };
}

static int on_up(void *user, uint32_t id, const struct ble_address *address,
		 const struct session *session)
{
	struct stand *s = user;

	assert_true(s->ups < COUNT(s->ids));
	assert_non_null(session);
	if (s->ups_lost > 0) {
		s->ups_lost--;
		return -ENOMEM;
	}
	s->ids[s->ups] = id;
	s->who[s->ups++] = address->bytes[5];
	return 0;
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq)
{
	struct stand *s = user;

	assert_int_equal(seq, s->measurements + 1);
	s->measurements++;
	s->security = m->security;
	for (size_t i = s->ups; i > 0; i--) {
		if (s->ids[i - 1] != id)
			continue;
		s->read[s->who[i - 1]]++;
		return 0;
	}
	fail_msg("a measurement of a link that was not announced");
	return 0;
}

static int on_down(void *user, uint32_t id, const struct session *session)
{
	struct stand *s = user;

	(void)id;
	assert_non_null(session);
	s->wiped = *session_wiped(session);
	s->downs++;
	return 0;
}

static bool has_room(void *user)
{
	return !((const struct stand *)user)->no_room;
}

static void on_pairing(void *user, const struct radio_pairing *pairing)
{
	((struct stand *)user)->pairing = *pairing;
}

static void on_changed(void *user)
{
	(void)user;
}

static size_t links(const struct stand *s)
{
	size_t n = 0;

	for (size_t i = 0; i < SCALES; i++)
		n += s->scales[i].fd >= 0;
	return n;
}

/* The kernel's part: an attempt at this address. */
static void stand_in(void *user, const struct ble_address *address, struct bearer_options *options)
{
	struct stand *s = user;

	assert_true(fake.paused); /* never while the scan runs */
	assert_true(address->bytes[5] < SCALES);
	s->attempts++;
	options->stand_in = scale_connect(&s->scales[address->bytes[5]], s->event);
	options->stand_in_level = options->ask > s->level ? options->ask : s->level;
	if (options->stand_in_level > s->reach)
		options->stand_in_level = s->level;
	options->stand_in_reach = s->reach;
	if (links(s) > s->most_links)
		s->most_links = links(s);
}

static void begin(struct stand *s, unsigned int links_max)
{
	const struct radio_options options = {
		.helper = s->helper,
		.directory = s->folder,
		.links_max = links_max,
		.pair_step_us = STEP_US,
		.held_us = s->held_us,
		.stand_in = stand_in,
		.stand_in_user = s,
	};
	const struct radio_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.pairing = on_pairing,
		.changed = on_changed,
		.user = s,
	};

	assert_int_equal(radio_new(s->event, &options, &sink, &s->next_seq, &s->next_id, &s->radio),
			 0);
}

static void enrol(struct stand *s, size_t i, enum link_security level)
{
	struct enrolment *e = calloc(1, sizeof(*e));
	struct enrolments *all;
	unsigned int bad = 0;

	assert_non_null(e);
	e->address = address_of(i);
	(void)snprintf(e->driver, sizeof(e->driver), "weight_scale");
	(void)snprintf(e->name, sizeof(e->name), "scale");
	e->level = level;
	e->path = ENROLMENT_BEARER;
	assert_int_equal(enrolments_open(s->folder, &all, &bad), 0);
	assert_int_equal(enrolments_put(all, e), 0);
	enrolments_free(all);
	free(e);
	fake.bonded[i] = level > LINK_CLEAR;
}

/* What bluetoothd says of the links. */
static void tell_links(struct stand *s)
{
	for (size_t i = 0; i < SCALES; i++) {
		const struct ble_address address = address_of(i);
		const bool linked = s->scales[i].fd >= 0;

		if (linked == s->told[i])
			continue;
		s->told[i] = linked;
		fake.handlers.linked(fake.handlers.user, &address, linked);
	}
}

static void turn(struct stand *s)
{
	assert_true(sd_event_run(s->event, PATIENCE_US) > 0);
	tell_links(s);
	if (s->no_commit || s->committed == s->measurements)
		return;
	s->committed = s->measurements;
	radio_committed(s->radio, s->committed);
}

#define RUN_UNTIL(s, condition)      \
	do {                         \
		while (!(condition)) \
			turn(s);     \
	} while (0)

/* The loop has nothing to do for a while. */
static void let_rest(struct stand *s)
{
	for (size_t i = 0; i < 1000 && sd_event_run(s->event, 50000) > 0; i++)
		tell_links(s);
}

static int64_t monotonic(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void let_pass(struct stand *s, int64_t usec)
{
	const int64_t until = monotonic() + usec;

	while (monotonic() < until) {
		(void)sd_event_run(s->event, 10000);
		tell_links(s);
	}
}

static void hear_as(const struct ble_address *address, uint16_t service, const char *name)
{
	const struct ble_advert advert = {
		.address = *address,
		.name = name,
		.has_rssi = true,
		.rssi = -60,
		.services = { service },
		.n_services = service != 0,
	};

	fake.handlers.advert(fake.handlers.user, &advert);
}

static void hear(size_t i)
{
	const struct ble_address address = address_of(i);

	hear_as(&address, 0x181d, "scale");
}

static struct radio_device device(struct stand *s, size_t i)
{
	const struct ble_address address = address_of(i);
	struct radio_device d = { 0 };

	for (size_t k = 0; k < radio_devices(s->radio); k++) {
		radio_device_at(s->radio, k, &d);
		if (ble_address_equal(&d.enrolment->address, &address))
			return d;
	}
	fail_msg("no such device");
	return d;
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	ssize_t n;
	char *slash;

	assert_non_null(s);
	fake = (struct adapter){ .state = ADAPTER_READY };
	assert_true(sd_event_new(&s->event) >= 0);
	n = readlink("/proc/self/exe", s->helper, sizeof(s->helper) - sizeof("wellgate-link"));
	assert_true(n > 0);
	slash = strrchr(s->helper, '/');
	assert_non_null(slash);
	memcpy(slash + 1, "wellgate-link", sizeof("wellgate-link"));
	(void)snprintf(s->folder, sizeof(s->folder), "/tmp/test_radio.XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	s->next_seq = s->next_id = 1;
	s->level = BEARER_CLEAR;
	s->reach = BEARER_ENCRYPTED;
	for (size_t i = 0; i < SCALES; i++) {
		s->scales[i].fd = -1;
		s->scales[i].readings = 1;
	}
	*state = s;
	return 0;
}

static void remove_files(const char *folder)
{
	struct enrolments *all;
	unsigned int bad = 0;

	if (enrolments_open(folder, &all, &bad) < 0)
		return;
	while (enrolments_count(all) > 0) {
		const struct ble_address address = enrolments_at(all, 0)->address;

		if (enrolments_remove(all, &address) < 0)
			break;
	}
	enrolments_free(all);
	(void)rmdir(folder);
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	radio_free(s->radio);
	for (size_t i = 0; i < SCALES; i++)
		scale_drop(&s->scales[i]);
	remove_files(s->folder);
	(void)sd_event_unref(s->event);
	free(s);
	return 0;
}

/* ---- enrolled devices ---- */

static void test_an_enrolled_scale_is_read_and_left_in_peace(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	assert_true(fake.scanning);
	hear(0);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
	assert_int_equal(s->read[0], 1);
	assert_int_equal(s->security, LINK_ENCRYPTED);
	RUN_UNTIL(s, s->scales[0].gone);
	assert_int_equal(s->downs, 1);
	assert_int_equal(fake.pauses, 1);
	assert_int_equal(fake.resumes, 1);
	assert_int_equal(device(s, 0).links, 1);
	assert_int_equal(device(s, 0).failed_links, 0);
	assert_true(device(s, 0).enrolment->table.complete);
	assert_string_equal(device(s, 0).facts->text[DRV_SERIAL], "SN-042");
	let_rest(s);
	assert_int_equal(s->attempts, 1);
}

/* The gateway has not heard whose it is: neither told nor confirmed, but read on the next link. */
static void test_a_reading_without_its_device_is_not_confirmed(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	s->ups_lost = 1;
	hear(0);
	RUN_UNTIL(s, s->scales[0].gone && s->ups_lost == 0);
	assert_int_equal(s->measurements, 0);
	assert_int_equal(s->scales[0].confirms, 0);
}

static void test_strangers_are_left_alone(void **state)
{
	const struct ble_address stranger = { .bytes = { 2, 0, 0x5e, 0x20, 0, 1 } };
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	for (size_t i = 0; i < 1000; i++)
		hear_as(&stranger, 0x181d, "scale");
	let_rest(s);
	assert_int_equal(s->attempts, 0);
	assert_int_equal(radio_devices(s->radio), 1);
	assert_int_equal(s->pairing.phase, RADIO_PAIRING_NONE);
}

/* The type is part of an address. */
static void test_same_digits_of_another_type_are_a_stranger(void **state)
{
	struct ble_address other = address_of(0);
	struct stand *s = *state;

	other.type = BLE_RANDOM;
	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	hear_as(&other, 0x181d, "scale");
	let_rest(s);
	assert_int_equal(s->attempts, 0);
}

static void test_all_have_their_turn(void **state)
{
	struct stand *s = *state;
	size_t done = 0;

	for (size_t i = 0; i < SCALES; i++)
		enrol(s, i, LINK_ENCRYPTED);
	begin(s, 2);
	while (done < SCALES) {
		done = 0;
		for (size_t i = 0; i < SCALES; i++) {
			done += s->read[i] > 0;
			if (s->read[i] == 0 && s->scales[i].fd < 0)
				hear(i);
		}
		if (done < SCALES)
			turn(s);
	}
	assert_true(s->most_links <= 2);
	for (size_t i = 0; i < SCALES; i++)
		assert_int_equal(s->read[i], 1);
}

static void test_nobody_is_linked_without_room(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	s->no_room = true;
	hear(0);
	let_rest(s);
	assert_int_equal(s->attempts, 0);
	s->no_room = false;
	radio_wake(s->radio);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
}

static void test_data_in_clear_is_an_alarm(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->reach = 0;
	s->scales[0].indicates_at_once = true;
	begin(s, 0);
	hear(0);
	RUN_UNTIL(s, s->scales[0].gone);
	assert_int_equal(device(s, 0).trouble, DEVICE_SPOOF_SUSPECT);
	assert_int_equal(device(s, 0).in_clear, 1);
	assert_int_equal(s->measurements, 0);
	assert_int_equal(s->scales[0].confirms, 0);
	/* the true one proves its key, and is read */
	s->reach = BEARER_ENCRYPTED;
	s->scales[0].indicates_at_once = false;
	while (s->scales[0].confirms == 0) {
		hear(0);
		turn(s);
	}
	assert_int_equal(device(s, 0).trouble, DEVICE_FINE);
	assert_int_equal(device(s, 0).in_clear, 1);
}

static void test_lost_adapter_drops_its_links(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->no_commit = true;
	begin(s, 0);
	hear(0);
	RUN_UNTIL(s, s->measurements == 1);
	fake.state = ADAPTER_ABSENT;
	fake.handlers.state(fake.handlers.user, ADAPTER_ABSENT);
	RUN_UNTIL(s, s->scales[0].gone);
	assert_int_equal(s->scales[0].confirms, 0);
	hear(0);
	let_rest(s);
	assert_int_equal(s->attempts, 1);

	fake.state = ADAPTER_READY;
	fake.handlers.state(fake.handlers.user, ADAPTER_READY);
	s->no_commit = false;
	hear(0);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
}

/* bluetoothd may die: the link is not its. */
static void test_lost_daemon_drops_nothing(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->no_commit = true;
	begin(s, 0);
	hear(0);
	RUN_UNTIL(s, s->measurements == 1);
	fake.state = ADAPTER_NO_DAEMON;
	fake.handlers.state(fake.handlers.user, ADAPTER_NO_DAEMON);
	s->no_commit = false;
	s->committed = s->measurements;
	radio_committed(s->radio, s->committed);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
}

static void test_failed_links_are_tried_again(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->scales[0].drop_at = 5;
	begin(s, 0);
	while (s->attempts < 3) {
		hear(0);
		turn(s);
	}
	assert_true(device(s, 0).failed_links >= 2);
	s->scales[0].drop_at = 0;
	while (s->scales[0].confirms == 0) {
		hear(0);
		turn(s);
	}
	assert_int_equal(s->measurements, 1);
}

/* Made for a predecessor that was killed: the scale is linked, so it is never heard. */
static void test_a_leftover_link_is_taken_over(void **state)
{
	const struct ble_address address = address_of(0);
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	fake.linked[0] = true;
	fake.handlers.linked(fake.handlers.user, &address, true);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
	assert_int_equal(s->attempts, 1);
}

/* Made for one that was killed, known to the controller alone: the scale is never heard again. */
static void test_a_silent_device_may_be_held(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	enrol(s, 1, LINK_ENCRYPTED);
	s->held_us = 100000;
	s->no_commit = true;
	begin(s, 0);
	hear(1);
	RUN_UNTIL(s, s->measurements == 1);
	let_pass(s, 300000);
	assert_int_equal(fake.doubts, 0); /* it would cost the other one its link */
	s->no_commit = false;
	RUN_UNTIL(s, fake.doubts == 1);
	assert_int_equal(s->scales[1].confirms, 1);
	/* declined, and bluetoothd restarts: the link stands all the same */
	fake.handlers.state(fake.handlers.user, ADAPTER_ABSENT);
	fake.handlers.state(fake.handlers.user, ADAPTER_READY);
	RUN_UNTIL(s, fake.doubts == 2);
	fake.handlers.state(fake.handlers.user, ADAPTER_RESET);
	fake.handlers.state(fake.handlers.user, ADAPTER_READY);
	let_pass(s, 300000);
	assert_int_equal(fake.doubts, 2); /* asleep, then */
}

/* The same where another one streams: after a while the radio makes peace for it. */
static void test_peace_is_made_for_a_silent_device(void **state)
{
	struct stand *s = *state;
	int64_t since;

	enrol(s, 0, LINK_ENCRYPTED);
	enrol(s, 1, LINK_ENCRYPTED);
	s->held_us = 100000;
	s->scales[1].readings = 0;
	begin(s, 0);
	hear(1);
	RUN_UNTIL(s, device(s, 1).state == DEVICE_DRAIN);
	scale_value(&s->scales[1], 0x1b, SCALE_BATTERY, "\x40", 1);
	since = monotonic();
	RUN_UNTIL(s, fake.doubts == 1);
	assert_true(monotonic() < since + DEVICE_PATIENCE_US);
	assert_true(s->scales[1].gone);
}

static void test_a_device_that_is_heard_is_not_held(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->held_us = 300000;
	begin(s, 0);
	hear(0);
	RUN_UNTIL(s, s->scales[0].confirms == 1 && s->scales[0].gone);
	let_pass(s, 600000);
	assert_int_equal(fake.doubts, 0);
}

static void test_an_idle_radio_sleeps(void **state)
{
	struct stand *s = *state;

	for (size_t i = 0; i < SCALES; i++)
		enrol(s, i, LINK_ENCRYPTED);
	begin(s, 0);
	let_rest(s);
	assert_int_equal(sd_event_run(s->event, 1000000), 0);
}

static void test_unpair_drops_bond_and_enrolment(void **state)
{
	struct ble_address address = address_of(0);
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	enrol(s, 1, LINK_ENCRYPTED);
	s->no_commit = true;
	begin(s, 0);
	hear(0);
	RUN_UNTIL(s, s->measurements == 1);
	/* off a label: no type */
	assert_int_equal(radio_unpair(s->radio, &address), 0);
	assert_int_equal(fake.forgotten, 1);
	assert_false(fake.bonded[0]);
	assert_int_equal(radio_devices(s->radio), 1);
	RUN_UNTIL(s, s->scales[0].gone);
	assert_int_equal(radio_unpair(s->radio, &address), -ENOENT);
	radio_free(s->radio);
	begin(s, 0);
	assert_int_equal(radio_devices(s->radio), 1);
	assert_true(fake.scanning);
	address = address_of(1);
	assert_int_equal(radio_retry(s->radio, &address), 0);
	assert_int_equal(radio_unpair(s->radio, &address), 0);
	assert_false(fake.scanning);
	assert_int_equal(radio_retry(s->radio, &address), -ENOENT);
}

static void refuse_code_of(struct stand *s, size_t i)
{
	const struct ble_address address = address_of(i);
	struct enrolment *e = malloc(sizeof(*e));
	struct enrolments *all;
	unsigned int bad = 0;

	assert_non_null(e);
	assert_int_equal(enrolments_open(s->folder, &all, &bad), 0);
	*e = *enrolments_find(all, &address);
	e->memory.n_consents = 1;
	e->memory.consents[0] = (struct drv_consent){ .slot = 1, .code = 1234, .refused = true };
	assert_int_equal(enrolments_put(all, e), 0);
	enrolments_free(all);
	free(e);
}

/* Also after a restart, until somebody has looked. */
static void test_a_refused_code_stays_a_trouble(void **state)
{
	const struct ble_address address = address_of(0);
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	refuse_code_of(s, 0);
	begin(s, 0);
	assert_int_equal(device(s, 0).trouble, DEVICE_CONSENT_NEEDED);
	assert_int_equal(radio_retry(s->radio, &address), 0);
	assert_int_equal(device(s, 0).trouble, DEVICE_FINE);
	assert_false(device(s, 0).enrolment->memory.consents[0].refused);
}

/* ---- pairing ---- */

static const struct radio_pair_request ANY = { .window_us = 20000000 };

static void pair_with(struct stand *s, const struct radio_pair_request *request, size_t i)
{
	const struct ble_address address = address_of(i);

	assert_int_equal(radio_pair(s->radio, request), 0);
	assert_int_equal(s->pairing.phase, RADIO_PAIRING_LOOKING);
	hear(i);
	assert_int_equal(radio_pair_choose(s->radio, &address), 0);
}

static void expect_failure(struct stand *s, const char *word)
{
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_FAILED ||
			     s->pairing.phase == RADIO_PAIRING_DONE);
	assert_int_equal(s->pairing.phase, RADIO_PAIRING_FAILED);
	assert_non_null(strstr(s->pairing.reason, word));
	assert_false(fake.window);
	RUN_UNTIL(s, links(s) == 0);
	assert_false(fake.paused);
}

static void test_pairing_enrols_and_reads(void **state)
{
	struct stand *s = *state;

	begin(s, 0);
	assert_false(fake.scanning);
	pair_with(s, &ANY, 2);
	assert_true(fake.scanning && fake.window);
	assert_int_equal(s->pairing.n_candidates, 1);
	assert_string_equal(s->pairing.candidates[0].driver, "weight_scale");
	assert_string_equal(s->pairing.candidates[0].name, "scale");
	assert_int_equal(fake.window_address.bytes[5], 2);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_DONE);
	assert_false(fake.window);
	assert_int_equal(radio_devices(s->radio), 1);
	assert_int_equal(device(s, 2).enrolment->level, LINK_ENCRYPTED);
	assert_true(device(s, 2).enrolment->table.complete);
	/* the same link goes on */
	RUN_UNTIL(s, s->scales[2].confirms == 1);
	assert_int_equal(s->attempts, 1);
	assert_int_equal(s->security, LINK_ENCRYPTED);
	RUN_UNTIL(s, s->scales[2].gone);
	/* and it is there after a restart */
	radio_free(s->radio);
	begin(s, 0);
	assert_int_equal(radio_devices(s->radio), 1);
	assert_string_equal(device(s, 2).enrolment->driver, "weight_scale");
}

static void test_pairing_by_label(void **state)
{
	struct radio_pair_request request = { .has_address = true, .window_us = 20000000 };
	struct stand *s = *state;

	request.address = address_of(1);
	begin(s, 0);
	assert_int_equal(radio_pair(s->radio, &request), 0);
	assert_int_equal(radio_pair(s->radio, &request), -EBUSY);
	hear(0);
	assert_int_equal(s->pairing.n_candidates, 0);
	hear(1);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_DONE);
	assert_int_equal(device(s, 1).enrolment->level, LINK_ENCRYPTED);
}

static void test_one_that_never_pairs_is_enrolled_as_such(void **state)
{
	struct stand *s = *state;

	s->reach = 0;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_DONE);
	assert_int_equal(device(s, 0).enrolment->level, LINK_CLEAR);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
	assert_int_equal(s->security, LINK_CLEAR);
}

/* What it said before it was paired is not taken for what the paired device says. */
static void test_data_before_the_pairing_is_not_taken(void **state)
{
	struct stand *s = *state;

	s->scales[0].indicates_at_once = true;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	RUN_UNTIL(s, s->scales[0].gone);
	assert_int_equal(s->pairing.phase, RADIO_PAIRING_DONE);
	assert_int_equal(s->measurements, 0);
	assert_int_equal(s->scales[0].confirms, 0);
	assert_int_equal(device(s, 0).in_clear, 1);
}

static void test_pairing_again_is_never_weaker(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->reach = 0;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	assert_true(s->pairing.candidates[0].enrolled);
	expect_failure(s, "more securely");
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(device(s, 0).enrolment->level, LINK_ENCRYPTED);
}

static void test_pairing_again_replaces(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	pair_with(s, &ANY, 0);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_DONE);
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(radio_devices(s->radio), 1);
	RUN_UNTIL(s, s->scales[0].confirms == 1);
}

static void test_changing_address_is_enrolled_by_its_own(void **state)
{
	struct ble_address changing = address_of(0), own = address_of(3);
	struct stand *s = *state;

	changing.type = BLE_RANDOM;
	changing.bytes[0] = 0x42;
	begin(s, 0);
	assert_int_equal(radio_pair(s->radio, &ANY), 0);
	hear_as(&changing, 0x181d, "scale");
	assert_int_equal(radio_pair_choose(s->radio, &changing), 0);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_SETTLING);
	fake.handlers.bonded(fake.handlers.user, &own, true);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_DONE);
	assert_int_equal(device(s, 3).enrolment->level, LINK_ENCRYPTED);
}

static void test_changing_address_without_bond_is_refused(void **state)
{
	struct ble_address changing = address_of(0);
	struct stand *s = *state;

	changing.type = BLE_RANDOM;
	changing.bytes[0] = 0x42;
	begin(s, 0);
	assert_int_equal(radio_pair(s->radio, &ANY), 0);
	hear_as(&changing, 0x181d, "scale");
	assert_int_equal(radio_pair_choose(s->radio, &changing), 0);
	expect_failure(s, "changing its address");
	assert_int_equal(radio_devices(s->radio), 0);
}

/* What the operator is asked, and that nobody waits for an answer for ever. */
static void test_questions_reach_the_operator(void **state)
{
	static const struct {
		enum adapter_question question;
		enum radio_pairing_phase phase;
	} rows[] = {
		{ ADAPTER_ASK_PASSKEY, RADIO_PAIRING_PASSKEY },
		{ ADAPTER_SHOW_PASSKEY, RADIO_PAIRING_SHOW },
		{ ADAPTER_ASK_MATCH, RADIO_PAIRING_MATCH },
	};
	const struct radio_pair_request brief = { .window_us = 1000000 };
	const struct ble_address address = address_of(0), other = address_of(1);
	struct stand *s = *state;

	s->reach = 0;
	begin(s, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		s->scales[0].requests = 0;
		pair_with(s, &brief, 0);
		RUN_UNTIL(s, s->scales[0].requests == 1);
		fake.handlers.question(fake.handlers.user, &other, rows[i].question, 1);
		assert_int_equal(s->pairing.phase, RADIO_PAIRING_LINKING);
		fake.handlers.question(fake.handlers.user, &address, rows[i].question, 123456);
		assert_int_equal(s->pairing.phase, rows[i].phase);
		assert_int_equal(s->pairing.passkey, 123456);
		expect_failure(s, "code was not confirmed");
	}
	assert_int_equal(radio_pair_passkey(s->radio, 1), -ENOENT);
	assert_int_equal(radio_pair_answer(s->radio, true), -ENOENT);
}

static void test_answers_go_to_the_adapter(void **state)
{
	const struct ble_address address = address_of(0);
	struct stand *s = *state;

	s->reach = 0;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	RUN_UNTIL(s, s->scales[0].requests == 1);
	fake.handlers.question(fake.handlers.user, &address, ADAPTER_ASK_PASSKEY, 0);
	assert_int_equal(radio_pair_passkey(s->radio, 424242), 0);
	assert_int_equal(fake.passkey, 424242);
	assert_int_equal(s->pairing.phase, RADIO_PAIRING_LINKING);
	fake.handlers.question(fake.handlers.user, &address, ADAPTER_ASK_MATCH, 0);
	assert_int_equal(radio_pair_answer(s->radio, true), 0);
	radio_pair_cancel(s->radio);
	expect_failure(s, "cancelled");
}

/* ---- how a pairing fails ---- */

static void test_nobody_is_chosen(void **state)
{
	const struct radio_pair_request brief = { .window_us = 200000 };
	const struct ble_address absent = address_of(4);
	struct stand *s = *state;

	begin(s, 0);
	assert_int_equal(radio_pair(s->radio, &brief), 0);
	assert_int_equal(radio_pair_choose(s->radio, &absent), -ENOENT);
	expect_failure(s, "No device was chosen");
	assert_false(fake.scanning);
}

static void test_link_is_lost_each_time(void **state)
{
	struct stand *s = *state;

	s->scales[0].drop_at = 4;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	expect_failure(s, "link was lost");
	assert_int_equal(s->attempts, 3);
}

static void test_device_is_silent(void **state)
{
	struct stand *s = *state;

	s->scales[0].silent_at = 1;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	expect_failure(s, "link was lost");
}

static void test_device_demands_what_it_does_not_get(void **state)
{
	struct stand *s = *state;

	s->reach = 0;
	s->scales[0].refuses_ccc = true;
	begin(s, 0);
	pair_with(s, &ANY, 0);
	expect_failure(s, "refused the pairing");
	assert_int_equal(radio_devices(s->radio), 0);
}

static void test_device_of_another_kind(void **state)
{
	struct radio_pair_request request = { .has_address = true,
					      .window_us = 20000000,
					      .driver = "heart_rate" };
	struct stand *s = *state;

	request.address = address_of(0);
	begin(s, 0);
	assert_int_equal(radio_pair(s->radio, &request), 0);
	hear(0);
	expect_failure(s, "kind that was asked for");
}

static void test_earlier_bond_is_not_dropped(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	begin(s, 0);
	fake.forget_fails = true;
	pair_with(s, &ANY, 0);
	expect_failure(s, "earlier pairing could not be deleted");
}

static void test_bluetooth_goes_away(void **state)
{
	struct stand *s = *state;

	begin(s, 0);
	pair_with(s, &ANY, 0);
	RUN_UNTIL(s, s->scales[0].requests == 3);
	fake.state = ADAPTER_BLOCKED;
	fake.handlers.state(fake.handlers.user, ADAPTER_BLOCKED);
	expect_failure(s, "Bluetooth went away");
	assert_int_equal(radio_pair(s->radio, &ANY), -ENODEV);
}

static void test_pairing_is_not_kept(void **state)
{
	struct stand *s = *state;

	begin(s, 0);
	pair_with(s, &ANY, 0);
	assert_int_equal(rmdir(s->folder), 0);
	expect_failure(s, "could not be saved");
	assert_int_equal(radio_devices(s->radio), 0);
}

static void test_refused_requests(void **state)
{
	const struct radio_pair_request unknown = { .driver = "none" };
	struct stand *s = *state;

	begin(s, 0);
	assert_int_equal(radio_pair(s->radio, &unknown), -ENOENT);
	fake.state = ADAPTER_NO_DAEMON;
	assert_int_equal(radio_pair(s->radio, &ANY), -ENODEV);
	radio_pair_cancel(s->radio);
	assert_int_equal(s->pairing.phase, RADIO_PAIRING_NONE);
}

/* All slots stream for hours; somebody stands there and wants to pair. */
static void test_streams_make_room(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	s->scales[0].readings = 0;
	begin(s, 1);
	hear(0);
	RUN_UNTIL(s, device(s, 0).state == DEVICE_DRAIN);
	scale_value(&s->scales[0], 0x1b, SCALE_BATTERY, "\x40", 1);
	RUN_UNTIL(s, device(s, 0).facts == NULL || s->scales[0].fd < 0 ||
			     sd_event_run(s->event, 100000) == 0);
	pair_with(s, &ANY, 1);
	RUN_UNTIL(s, s->pairing.phase == RADIO_PAIRING_DONE);
	assert_int_equal(s->most_links, 1);
	assert_true(s->scales[0].gone);
}

/* A stream may keep its slot for a minute; another slot that gets free is given at once. */
static void test_streams_stop_nobody(void **state)
{
	struct stand *s = *state;

	for (size_t i = 0; i < 3; i++)
		enrol(s, i, LINK_ENCRYPTED);
	s->scales[0].readings = 0;
	begin(s, 2);
	hear(0);
	RUN_UNTIL(s, device(s, 0).state == DEVICE_DRAIN);
	scale_value(&s->scales[0], 0x1b, SCALE_BATTERY, "\x40", 1);
	hear(1);
	RUN_UNTIL(s, links(s) == 2);
	hear(2);
	RUN_UNTIL(s, device(s, 2).state > DEVICE_QUEUED);
	assert_int_equal(device(s, 0).state, DEVICE_DRAIN);
	assert_int_equal(s->most_links, 2);
}

static void queue(struct stand *s, size_t i)
{
	while (device(s, i).state != DEVICE_QUEUED) {
		hear(i);
		turn(s);
	}
}

/* Who had a turn lets all others have theirs first, even if he asked before them. */
static void test_round_after_round(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	enrol(s, 1, LINK_ENCRYPTED);
	begin(s, 1);
	hear(0);
	RUN_UNTIL(s, s->scales[0].gone);
	s->no_room = true;
	queue(s, 0);
	queue(s, 1);
	s->no_room = false;
	radio_wake(s->radio);
	RUN_UNTIL(s, s->attempts == 2);
	assert_true(device(s, 1).state > DEVICE_QUEUED);
	assert_int_equal(device(s, 0).state, DEVICE_QUEUED);
}

/* The only slot is held by one that has told its reading and is back with none. */
static void test_the_empty_make_room(void **state)
{
	struct stand *s = *state;
	int64_t empty_since;

	enrol(s, 0, LINK_ENCRYPTED);
	enrol(s, 1, LINK_ENCRYPTED);
	begin(s, 1);
	hear(0);
	RUN_UNTIL(s, s->scales[0].gone);
	s->scales[0].readings = 0;
	s->scales[0].gone = false;
	while (device(s, 0).state != DEVICE_DRAIN) {
		hear(0);
		turn(s);
	}
	assert_int_equal(s->scales[0].confirms, 1);
	empty_since = monotonic();
	while (s->scales[1].confirms == 0) {
		hear(1);
		turn(s);
	}
	assert_true(monotonic() < empty_since + DEVICE_PATIENCE_US); /* it did not wait that out */
	assert_true(s->scales[0].gone);
	assert_int_equal(s->most_links, 1);
}

static void test_freed_at_any_moment(void **state)
{
	struct stand *s = *state;

	enrol(s, 0, LINK_ENCRYPTED);
	for (size_t turns = 0; turns < 40; turns++) {
		s->measurements = s->committed = s->ups = 0;
		s->next_seq = 1;
		begin(s, 0);
		hear(0);
		pair_with(s, &ANY, 1);
		for (size_t i = 0; i < turns; i++)
			turn(s);
		radio_free(s->radio);
		s->radio = NULL;
		fake.paused = false;
		while (links(s) > 0)
			assert_true(sd_event_run(s->event, PATIENCE_US) > 0);
	}
	radio_free(NULL);
}

/* ---- emptying a device's memory ---- */

#define METER 0 /* of the scales */

static void enrol_meter(struct stand *s, enum link_security level, enum enrolment_path path)
{
	const struct ble_address address = address_of(METER);
	struct enrolment *e = malloc(sizeof(*e));
	struct enrolments *all;
	unsigned int bad = 0;

	assert_non_null(e);
	enrol(s, METER, level);
	assert_int_equal(enrolments_open(s->folder, &all, &bad), 0);
	*e = *enrolments_find(all, &address);
	(void)snprintf(e->driver, sizeof(e->driver), "glucose_meter");
	e->path = path;
	assert_int_equal(enrolments_put(all, e), 0);
	enrolments_free(all);
	free(e);
	s->scales[METER].meter = true;
	s->scales[METER].readings = 3;
}

/* One link to it, of a process that was just started. */
static void visit_meter(struct stand *s)
{
	radio_free(s->radio);
	fake.paused = false;
	s->ups = 0;
	s->wiped = (struct session_wipe){ .records = 0 };
	begin(s, 0);
	s->scales[METER].gone = false;
	hear(METER);
	RUN_UNTIL(s, s->scales[METER].gone);
}

static bool wipe_is_asked(struct stand *s)
{
	const struct enrolment *e = device(s, METER).enrolment;

	return e && e->wipe;
}

/* The wish outlives a restart, is carried out once, and the meter is read from its start again. */
static void test_memory_is_emptied_on_the_next_link(void **state)
{
	const struct ble_address address = address_of(METER);
	struct stand *s = *state;

	enrol_meter(s, LINK_ENCRYPTED, ENROLMENT_BEARER);
	visit_meter(s);
	assert_int_equal(s->measurements, 3);
	assert_int_equal(s->scales[METER].deletes, 0);
	assert_int_equal(device(s, METER).enrolment->last_record, 3);
	assert_int_equal(s->wiped.outcome, 0);
	assert_true(device(s, METER).can_wipe);
	assert_int_equal(radio_wipe(s->radio, &address), 0);
	assert_int_equal(radio_wipe(s->radio, &address), 0);
	assert_true(wipe_is_asked(s));
	visit_meter(s);
	assert_int_equal(s->scales[METER].deletes, 1);
	assert_int_equal(s->scales[METER].readings, 0);
	assert_int_equal(s->wiped.outcome, DRV_WIPE_PROVEN);
	assert_int_equal(s->wiped.records, 3);
	assert_false(wipe_is_asked(s));
	assert_false(device(s, METER).enrolment->has_last_record);
	s->scales[METER].readings = 1;
	visit_meter(s);
	assert_int_equal(s->scales[METER].deletes, 1);
	assert_int_equal(s->wiped.outcome, 0);
}

static void test_memory_of_which_device(void **state)
{
	const struct ble_address meter = address_of(METER), scale = address_of(1),
				 stranger = address_of(2);
	struct stand *s = *state;

	enrol(s, 1, LINK_ENCRYPTED);
	enrol_meter(s, LINK_CLEAR, ENROLMENT_BEARER);
	begin(s, 0);
	assert_int_equal(radio_wipe(s->radio, &stranger), -ENOENT);
	assert_int_equal(radio_wipe(s->radio, &scale), -EOPNOTSUPP);
	assert_int_equal(radio_wipe(s->radio, &meter), -EOPNOTSUPP); /* who was it? */
	assert_false(device(s, METER).can_wipe || device(s, 1).can_wipe);
	assert_false(wipe_is_asked(s));
}

/* The link ends at each of its requests: what is not proven is asked again, and nothing is deleted
 * before all of it is durable. */
static void test_memory_and_a_link_that_is_lost(void **state)
{
	const struct ble_address address = address_of(METER);
	struct stand *s = *state;
	bool proven = false;

	enrol_meter(s, LINK_ENCRYPTED, ENROLMENT_BEARER);
	begin(s, 0);
	assert_int_equal(radio_wipe(s->radio, &address), 0);
	for (size_t at = 1; !proven; at++) {
		assert_true(at < 100);
		s->scales[METER].drop_at = at;
		visit_meter(s);
		let_rest(s);
		proven = s->wiped.outcome == DRV_WIPE_PROVEN;
		assert_int_equal(wipe_is_asked(s), !proven);
		if (s->scales[METER].deletes > 0)
			assert_true(s->measurements >= 3 && s->committed == s->measurements);
		else
			assert_int_equal(s->scales[METER].readings, 3);
		assert_true(proven || s->wiped.outcome == 0);
	}
	assert_true(s->scales[METER].deletes > 0);
	assert_int_equal(s->scales[METER].readings, 0);
}

static void test_memory_waits_for_the_commit(void **state)
{
	const struct ble_address address = address_of(METER);
	struct stand *s = *state;

	enrol_meter(s, LINK_ENCRYPTED, ENROLMENT_BEARER);
	begin(s, 0);
	assert_int_equal(radio_wipe(s->radio, &address), 0);
	s->no_commit = true;
	hear(METER);
	RUN_UNTIL(s, s->measurements == 3);
	let_rest(s);
	assert_int_equal(s->measurements, 3);
	assert_int_equal(s->scales[METER].deletes, 0);
	radio_refused(s->radio, 2);
	RUN_UNTIL(s, s->scales[METER].gone);
	assert_int_equal(s->scales[METER].deletes, 0);
	assert_int_equal(s->wiped.outcome, 0);
	assert_true(wipe_is_asked(s));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(test_an_enrolled_scale_is_read_and_left_in_peace),
		TEST(test_a_reading_without_its_device_is_not_confirmed),
		TEST(test_strangers_are_left_alone),
		TEST(test_same_digits_of_another_type_are_a_stranger),
		TEST(test_all_have_their_turn),
		TEST(test_nobody_is_linked_without_room),
		TEST(test_data_in_clear_is_an_alarm),
		TEST(test_lost_adapter_drops_its_links),
		TEST(test_lost_daemon_drops_nothing),
		TEST(test_failed_links_are_tried_again),
		TEST(test_a_leftover_link_is_taken_over),
		TEST(test_a_silent_device_may_be_held),
		TEST(test_peace_is_made_for_a_silent_device),
		TEST(test_a_device_that_is_heard_is_not_held),
		TEST(test_an_idle_radio_sleeps),
		TEST(test_unpair_drops_bond_and_enrolment),
		TEST(test_a_refused_code_stays_a_trouble),
		TEST(test_pairing_enrols_and_reads),
		TEST(test_pairing_by_label),
		TEST(test_one_that_never_pairs_is_enrolled_as_such),
		TEST(test_data_before_the_pairing_is_not_taken),
		TEST(test_pairing_again_is_never_weaker),
		TEST(test_pairing_again_replaces),
		TEST(test_changing_address_is_enrolled_by_its_own),
		TEST(test_changing_address_without_bond_is_refused),
		TEST(test_questions_reach_the_operator),
		TEST(test_answers_go_to_the_adapter),
		TEST(test_nobody_is_chosen),
		TEST(test_link_is_lost_each_time),
		TEST(test_device_is_silent),
		TEST(test_device_demands_what_it_does_not_get),
		TEST(test_device_of_another_kind),
		TEST(test_earlier_bond_is_not_dropped),
		TEST(test_bluetooth_goes_away),
		TEST(test_pairing_is_not_kept),
		TEST(test_refused_requests),
		TEST(test_round_after_round),
		TEST(test_the_empty_make_room),
		TEST(test_streams_make_room),
		TEST(test_streams_stop_nobody),
		TEST(test_freed_at_any_moment),
		TEST(test_memory_is_emptied_on_the_next_link),
		TEST(test_memory_of_which_device),
		TEST(test_memory_and_a_link_that_is_lost),
		TEST(test_memory_waits_for_the_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
