/* links: transports */
/* The adapter against a made-up bluetoothd on a real bus: scanning, devices, restarts. */
#include "tests/unit/mock_bluez.h"

#include "drivers/transport/adapter.h"

#define LOG_MAX 64

struct stand {
	struct mock mock;
	struct adapter *adapter;
	enum adapter_state state;
	struct heard {
		struct ble_advert advert;
		char name[256];
		uint8_t company[64];
	} heard; /* the last */
	unsigned int adverts;
	char log[1024]; /* "+l01 -l01 +b02": linked, bonded, last octet of the address */
	unsigned int ready;
};

static void on_state(void *user, enum adapter_state state)
{
	((struct stand *)user)->state = state;
}

static void on_advert(void *user, const struct ble_advert *advert)
{
	struct stand *s = user;

	s->adverts++;
	s->heard.advert = *advert;
	s->heard.name[0] = '\0';
	if (advert->name)
		(void)snprintf(s->heard.name, sizeof(s->heard.name), "%s", advert->name);
	if (advert->n_company && advert->company[0].len <= sizeof(s->heard.company))
		memcpy(s->heard.company, advert->company[0].data, advert->company[0].len);
}

static void note(struct stand *s, char what, const struct ble_address *address, bool yes)
{
	const size_t len = strlen(s->log);

	(void)snprintf(s->log + len, sizeof(s->log) - len, "%c%c%02X ", yes ? '+' : '-', what,
		       address->bytes[5]);
}

static void on_linked(void *user, const struct ble_address *address, bool linked)
{
	note(user, 'l', address, linked);
}

static void on_bonded(void *user, const struct ble_address *address, bool bonded)
{
	note(user, 'b', address, bonded);
}

static void on_ready(void *user)
{
	((struct stand *)user)->ready++;
}

static const struct adapter_handlers handlers = {
	.state = on_state,
	.advert = on_advert,
	.linked = on_linked,
	.bonded = on_bonded,
};

static void adapter_begin(struct stand *s, const struct adapter_options *options)
{
	struct adapter_handlers h = handlers;
	struct adapter_options o = *options;

	h.user = s;
	o.bus_address = s->mock.address;
	o.root = s->mock.folder;
	assert_int_equal(adapter_new(s->mock.event, &o, &h, &s->adapter), 0);
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	mock_new(&s->mock);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	adapter_free(s->adapter);
	mock_free(&s->mock);
	free(s);
	return 0;
}

static void begin_ready(struct stand *s)
{
	mock_start(&s->mock);
	adapter_begin(s, &(struct adapter_options){ .any = true });
	mock_until(&s->mock, s->state == ADAPTER_READY && !s->mock.pairable);
}

static void begin_scanning(struct stand *s)
{
	begin_ready(s);
	adapter_scan(s->adapter, true);
	mock_until(&s->mock, s->mock.discovering);
}

/* until all that the mock has sent is taken in: a report of a device that is last in the queue */
static void settle(struct stand *s)
{
	const struct mock_device marker = { .path = MOCK_ADAPTER "/dev_02_00_5E_10_00_FF",
					    .address = "02:00:5E:10:00:FF" };
	const unsigned int before = s->adverts;

	s->heard.advert.address.bytes[5] = 0;
	mock_device_appears(&s->mock, &marker);
	mock_until(&s->mock, s->heard.advert.address.bytes[5] == 0xff);
	s->adverts = before;
}

/* ---- coming up ---- */

static void the_agent_is_registered_before_anything_else(void **state)
{
	struct stand *s = *state;
	struct ble_address address;

	begin_ready(s);
	assert_int_equal(
		strncmp(s->mock.said, "RegisterAgent RequestDefaultAgent GetManagedObjects ", 52),
		0);
	assert_false(s->mock.pairable);
	assert_int_equal(mock_count(&s->mock, "Powered"), 0);
	assert_int_equal(adapter_address(s->adapter, &address), 0);
	assert_int_equal(address.bytes[0], 0x00);
	assert_int_equal(address.bytes[5], 0x01);
}

static void an_adapter_that_is_off_is_powered(void **state)
{
	struct stand *s = *state;

	s->mock.powered = s->mock.auto_on = false;
	begin_ready(s);
	assert_int_equal(mock_count(&s->mock, "Powered=1"), 1);
}

static void an_adapter_that_refuses_power_is_off(void **state)
{
	struct stand *s = *state;

	s->mock.powered = s->mock.auto_on = false;
	s->mock.stuck_off = true;
	mock_start(&s->mock);
	adapter_begin(s, &(struct adapter_options){ .any = true });
	mock_until(&s->mock, s->state == ADAPTER_OFF);
	assert_int_equal(adapter_state(s->adapter), ADAPTER_OFF);
	/* somebody switches it on */
	mock_set_powered(&s->mock, true);
	mock_until(&s->mock, s->state == ADAPTER_READY);
}

static void the_named_adapter_and_no_other(void **state)
{
	struct stand *s = *state;
	struct adapter_options options = { .any = false };

	assert_int_equal(ble_address_parse("00:AA:01:00:00:02", BLE_PUBLIC, &options.adapter), 0);
	mock_start(&s->mock);
	adapter_begin(s, &options);
	mock_until(&s->mock,
		   s->state == ADAPTER_ABSENT && mock_count(&s->mock, "GetManagedObjects") == 1);
	mock_adapter_vanishes(&s->mock);
	s->mock.adapter_address = "00:AA:01:00:00:02";
	mock_adapter_appears(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY);
}

static void no_bus_no_daemon_no_adapter(void **state)
{
	struct stand *s = *state;

	mock_bus_stop(&s->mock);
	s->state = ADAPTER_STATE_END;
	adapter_begin(s, &(struct adapter_options){ .any = true });
	assert_int_equal(adapter_state(s->adapter), ADAPTER_NO_BUS);
	mock_turn(&s->mock);
	mock_bus_start(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_NO_DAEMON);
	s->mock.has_adapter = false;
	mock_start(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_ABSENT);
	mock_adapter_appears(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY);
}

/* ---- scanning ---- */

static void the_filter_asks_for_every_report(void **state)
{
	struct stand *s = *state;

	begin_scanning(s);
	assert_string_equal(s->mock.filter, "Transport=le-1 DuplicateData=1 ");
	assert_int_equal(mock_count(&s->mock, "SetDiscoveryFilter StartDiscovery "), 1);
	adapter_scan(s->adapter, false);
	mock_until(&s->mock, !s->mock.discovering);
}

static void a_pause_stops_it_and_says_when(void **state)
{
	struct stand *s = *state;

	begin_scanning(s);
	assert_int_equal(adapter_scan_pause(s->adapter, on_ready, s), 0);
	assert_int_equal(s->ready, 0);
	assert_int_equal(adapter_scan_pause(s->adapter, on_ready, s), -EBUSY);
	mock_until(&s->mock, s->ready == 1);
	assert_false(s->mock.discovering);
	adapter_scan_resume(s->adapter);
	mock_until(&s->mock, s->mock.discovering);
	assert_int_equal(s->ready, 1);
}

static void a_scan_begins_anew_but_not_in_a_pause(void **state)
{
	struct stand *s = *state;

	begin_scanning(s);
	settle(s);
	assert_int_equal(mock_count(&s->mock, "StopDiscovery"), 0);
	adapter_scan_afresh(s->adapter);
	mock_until(&s->mock, mock_count(&s->mock, "StopDiscovery") == 1);
	mock_until(&s->mock, s->mock.discovering);
	assert_int_equal(mock_count(&s->mock, "StopDiscovery StartDiscovery "), 1);
	assert_int_equal(adapter_scan_pause(s->adapter, on_ready, s), 0);
	mock_until(&s->mock, s->ready == 1);
	adapter_scan_afresh(s->adapter);
	assert_false(s->mock.discovering);
	adapter_scan_resume(s->adapter);
	mock_until(&s->mock, s->mock.discovering);
	assert_int_equal(mock_count(&s->mock, "StartDiscovery"), 3);
}

static void a_pause_without_a_scan_is_ready_from_the_loop(void **state)
{
	struct stand *s = *state;

	begin_ready(s);
	assert_int_equal(adapter_scan_pause(s->adapter, on_ready, s), 0);
	assert_int_equal(s->ready, 0);
	mock_until(&s->mock, s->ready == 1);
	adapter_scan_resume(s->adapter);
}

static void a_pause_does_not_wait_for_ever(void **state)
{
	struct stand *s = *state;
	uint64_t begin, end;

	begin_scanning(s);
	mock_refuse(&s->mock, "StopDiscovery", NULL, 1);
	assert_true(sd_event_now(s->mock.event, CLOCK_MONOTONIC, &begin) >= 0);
	assert_int_equal(adapter_scan_pause(s->adapter, on_ready, s), 0);
	mock_until(&s->mock, s->ready == 1);
	assert_true(sd_event_now(s->mock.event, CLOCK_MONOTONIC, &end) >= 0);
	assert_true(end - begin >= 1900000);
	adapter_scan_resume(s->adapter);
}

static void the_window_is_open_before_a_pause_is_ready(void **state)
{
	struct stand *s = *state;
	struct ble_address address;

	assert_int_equal(ble_address_parse("02:00:5E:10:00:01", BLE_PUBLIC, &address), 0);
	begin_ready(s);
	assert_int_equal(adapter_window_open(s->adapter, &address, 60000000), 0);
	assert_int_equal(adapter_scan_pause(s->adapter, on_ready, s), 0);
	mock_until(&s->mock, s->ready == 1);
	assert_true(s->mock.pairable);
	adapter_window_close(s->adapter);
	mock_until(&s->mock, !s->mock.pairable);
}

static void scanning_is_taken_up_after_a_power_cut(void **state)
{
	struct stand *s = *state;

	begin_scanning(s);
	mock_set_powered(&s->mock, false);
	/* it is switched on again, and the filter is set anew */
	mock_until(&s->mock, s->mock.discovering);
	assert_int_equal(mock_count(&s->mock, "SetDiscoveryFilter"), 2);
	assert_int_equal(mock_count(&s->mock, "Powered=1"), 1);
}

/* ---- reports ---- */

static void a_report_with_all_its_data(void **state)
{
	struct stand *s = *state;
	struct mock_device *d = mock_device(&s->mock, 1);
	sd_bus_message *m;

	begin_scanning(s);
	d->random = true;
	d->name = "scale";
	mock_device_appears(&s->mock, d);
	mock_until(&s->mock, s->adverts == 1);
	assert_int_equal(s->heard.advert.address.type, BLE_RANDOM);
	assert_string_equal(s->heard.name, "scale");
	assert_int_equal(s->heard.advert.n_services, 1);
	assert_int_equal(s->heard.advert.services[0], 0x181d);
	assert_true(s->heard.advert.has_rssi);
	assert_int_equal(s->heard.advert.rssi, -60);
	assert_int_equal(s->heard.advert.n_company, 0);

	m = mock_signal(&s->mock, d->path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
	assert_true(sd_bus_message_append(
			    m, "sa{sv}as", "org.bluez.Device1", 3, "RSSI", "n", -61,
			    "ManufacturerData", "a{qv}", 1, 0x0157, "ay", 3, 1, 2, 3, "ServiceData",
			    "a{sv}", 2, "0000181b-0000-1000-8000-00805f9b34fb", "ay", 2, 4, 5,
			    "01020304-0506-0708-090a-0b0c0d0e0f10", "ay", 1, 6, 0) >= 0);
	mock_send(&s->mock, m);
	mock_until(&s->mock, s->adverts == 2);
	assert_int_equal(s->heard.advert.n_company, 1);
	assert_int_equal(s->heard.advert.company[0].id, 0x0157);
	assert_int_equal(s->heard.advert.company[0].len, 3);
	assert_memory_equal(s->heard.company, ((const uint8_t[]){ 1, 2, 3 }), 3);
	/* one without a short form has no place in the report */
	assert_int_equal(s->heard.advert.n_service, 1);
	assert_int_equal(s->heard.advert.service[0].id, 0x181b);
	assert_string_equal(s->heard.name, "scale");
}

/* A scale that sends the same weighing twice is heard twice; a signal strength alone carries no
 * weighing. */
static void a_repeated_report_is_heard_again(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);

	begin_scanning(s);
	mock_device_appears(&s->mock, d);
	for (unsigned int i = 0; i < 2; i++)
		mock_changed(&s->mock, d->path, "org.bluez.Device1", "ManufacturerData", "a{qv}", 1,
			     0x0157, "ay", 1, 7);
	mock_until(&s->mock, s->adverts == 3);
	assert_int_equal(s->heard.advert.n_company, 1);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "n", -40);
	mock_until(&s->mock, s->adverts == 4);
	assert_int_equal(s->heard.advert.n_company, 0);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Name", "s", "other");
	settle(s);
	assert_int_equal(s->adverts, 4);
}

static void services_of_both_lengths(void **state)
{
	static const uint8_t vendor[16] = { 0x10, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09,
					    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01 };
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);

	begin_scanning(s);
	mock_device_appears(&s->mock, d);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "UUIDs", "as", 3,
		     "0000180d-0000-1000-8000-00805f9b34fb", "01020304-0506-0708-090a-0b0c0d0e0f10",
		     "00011234-0000-1000-8000-00805f9b34fb");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "n", -40);
	mock_until(&s->mock, s->adverts == 2);
	assert_int_equal(s->heard.advert.n_services, 1);
	assert_int_equal(s->heard.advert.services[0], 0x180d);
	assert_int_equal(s->heard.advert.n_services128, 2);
	assert_memory_equal(s->heard.advert.services128[0], vendor, 16);
}

static void what_was_heard_before_us_is_no_report(void **state)
{
	struct stand *s = *state;

	(void)mock_device(&s->mock, 1);
	begin_scanning(s);
	settle(s);
	assert_int_equal(s->adverts, 0);
}

/* ---- links and bonds ---- */

static void links_and_bonds_are_told(void **state)
{
	struct stand *s = *state;
	struct mock_device *d = mock_device(&s->mock, 1);
	struct ble_address address;

	d->bonded = d->connected = true;
	assert_int_equal(ble_address_parse(d->address, BLE_PUBLIC, &address), 0);
	begin_ready(s);
	mock_until(&s->mock, strcmp(s->log, "+b01 +l01 ") == 0);
	assert_true(adapter_is_bonded(s->adapter, &address));
	assert_true(adapter_is_linked(s->adapter, &address));
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Connected", "b", 0);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Connected", "b", 0);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Bonded", "b", 0);
	settle(s);
	assert_string_equal(s->log, "+b01 +l01 -l01 -b01 ");
	assert_false(adapter_is_linked(s->adapter, &address));
	address.type = BLE_RANDOM;
	assert_false(adapter_is_bonded(s->adapter, &address));
}

/* Resolved private addresses keep their path and change their address. */
static void an_identity_takes_the_place_of_a_private_address(void **state)
{
	struct stand *s = *state;
	struct mock_device *d = mock_device(&s->mock, 1);
	struct ble_address identity;

	d->random = true;
	(void)snprintf(d->address, sizeof(d->address), "4A:00:00:00:00:01");
	assert_int_equal(ble_address_parse("02:00:5E:10:00:09", BLE_PUBLIC, &identity), 0);
	begin_scanning(s);
	mock_device_appears(&s->mock, d);
	mock_until(&s->mock, s->adverts == 1);
	assert_true(ble_address_is_resolvable(&s->heard.advert.address));
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "AddressType", "s", "public");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Address", "s", "02:00:5E:10:00:09");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Bonded", "b", 1);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "n", -40);
	mock_until(&s->mock, s->adverts == 2);
	assert_true(ble_address_equal(&s->heard.advert.address, &identity));
	assert_true(s->heard.advert.bonded);
	assert_true(adapter_is_bonded(s->adapter, &identity));
}

static void a_bond_survives_the_unplugged_adapter(void **state)
{
	struct stand *s = *state;
	struct mock_device *d = mock_device(&s->mock, 1);

	d->bonded = d->connected = true;
	begin_ready(s);
	mock_until(&s->mock, strcmp(s->log, "+b01 +l01 ") == 0);
	mock_adapter_vanishes(&s->mock);
	d->connected = false;
	mock_until(&s->mock, s->state == ADAPTER_ABSENT);
	mock_adapter_appears(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY && !s->mock.pairable);
	settle(s);
	assert_string_equal(s->log, "+b01 +l01 -l01 ");
}

static void a_device_that_somebody_removes_has_lost_its_bond(void **state)
{
	struct stand *s = *state;
	struct mock_device *d = mock_device(&s->mock, 1);

	d->bonded = true;
	begin_ready(s);
	mock_until(&s->mock, strcmp(s->log, "+b01 ") == 0);
	mock_removed(&s->mock, d->path, "org.bluez.Device1");
	mock_until(&s->mock, strcmp(s->log, "+b01 -b01 ") == 0);
}

static void on_done(void *user, int r)
{
	*(int *)user = r;
}

static void forgetting(void **state)
{
	struct stand *s = *state;
	struct ble_address address;
	int r = 1;
	const int *answer = &r; /* written behind the back of the loops */

	mock_device(&s->mock, 1)->bonded = true;
	assert_int_equal(ble_address_parse("02:00:5E:10:00:01", BLE_PUBLIC, &address), 0);
	begin_ready(s);
	mock_until(&s->mock, strcmp(s->log, "+b01 ") == 0);
	assert_int_equal(adapter_forget(s->adapter, &address, on_done, &r), 0);
	mock_until(&s->mock, *answer == 0);
	assert_string_equal(s->log, "+b01 -b01 ");
	assert_false(adapter_is_bonded(s->adapter, &address));
	/* once more: there is nothing to forget */
	r = 1;
	assert_int_equal(adapter_forget(s->adapter, &address, on_done, &r), 0);
	mock_until(&s->mock, *answer == 0);
	/* and bluetoothd dies over one */
	mock_refuse(&s->mock, "RemoveDevice", NULL, 1);
	r = 1;
	assert_int_equal(adapter_forget(s->adapter, &address, on_done, &r), 0);
	mock_until(&s->mock, mock_count(&s->mock, "RemoveDevice") == 3);
	mock_stop(&s->mock);
	mock_until(&s->mock, *answer != 1);
	assert_true(r < 0);
}

static void disconnecting(void **state)
{
	struct stand *s = *state;
	struct ble_address address;

	mock_device(&s->mock, 1)->connected = true;
	assert_int_equal(ble_address_parse("02:00:5E:10:00:01", BLE_PUBLIC, &address), 0);
	begin_ready(s);
	mock_until(&s->mock, strcmp(s->log, "+l01 ") == 0);
	assert_int_equal(adapter_disconnect(s->adapter, &address), 0);
	mock_until(&s->mock, mock_count(&s->mock, "Disconnect") == 1);
	address.bytes[5] = 2;
	assert_int_equal(adapter_disconnect(s->adapter, &address), -ENOENT);
}

/* ---- restarts ---- */

static void bluetoothd_is_killed_and_comes_back(void **state)
{
	struct stand *s = *state;

	mock_device(&s->mock, 1)->bonded = true;
	mock_device(&s->mock, 2)->connected = true;
	mock_device(&s->mock, 3)->connected = true;
	begin_scanning(s);
	mock_until(&s->mock, strcmp(s->log, "+b01 +l02 +l03 ") == 0);
	mock_stop(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_NO_DAEMON);
	/* links outlive it, so nothing is said of them yet */
	assert_string_equal(s->log, "+b01 +l02 +l03 ");
	s->mock.devices[1].connected = false;
	s->mock.said[0] = '\0';
	mock_start(&s->mock);
	mock_until(&s->mock, s->mock.discovering);
	assert_int_equal(strncmp(s->mock.said, "RegisterAgent RequestDefaultAgent ", 34), 0);
	settle(s);
	assert_string_equal(s->log, "+b01 +l02 +l03 -l02 ");
	assert_int_equal(adapter_counts(s->adapter)->restarts_of_bluetoothd, 1);
}

static void what_is_missing_after_a_restart_is_gone(void **state)
{
	struct stand *s = *state;

	mock_device(&s->mock, 1)->bonded = true;
	mock_device(&s->mock, 2)->connected = true;
	begin_ready(s);
	mock_until(&s->mock, strcmp(s->log, "+b01 +l02 ") == 0);
	mock_stop(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_NO_DAEMON);
	s->mock.n_devices = 0;
	mock_start(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY && strcmp(s->log, "+b01 +l02 ") != 0);
	settle(s);
	assert_string_equal(s->log, "+b01 +l02 -b01 -l02 ");
}

static void the_bus_is_killed_and_comes_back(void **state)
{
	struct stand *s = *state;

	begin_scanning(s);
	for (unsigned int i = 0; i < 3; i++) {
		mock_bus_stop(&s->mock);
		mock_stop(&s->mock);
		mock_until(&s->mock, s->state == ADAPTER_NO_BUS);
		mock_bus_start(&s->mock);
		mock_start(&s->mock);
		mock_until(&s->mock, s->mock.discovering);
		assert_int_equal(s->state, ADAPTER_READY);
	}
}

/* The name moves on and back while a call is on its way: its late answer means nothing. */
static void late_answers_are_dropped(void **state)
{
	struct stand *s = *state;
	sd_bus_message *late;

	begin_ready(s);
	mock_refuse(&s->mock, "SetDiscoveryFilter", NULL, 1);
	adapter_scan(s->adapter, true);
	mock_until(&s->mock, mock_kept(&s->mock, "SetDiscoveryFilter"));
	late = sd_bus_message_ref(mock_kept(&s->mock, "SetDiscoveryFilter"));
	assert_true(sd_bus_release_name(s->mock.bus, "org.bluez") >= 0);
	mock_until(&s->mock, s->state == ADAPTER_NO_DAEMON);
	mock_refuse(&s->mock, "SetDiscoveryFilter", NULL, 1);
	assert_true(sd_bus_request_name(s->mock.bus, "org.bluez", 0) >= 0);
	mock_until(&s->mock, mock_kept(&s->mock, "SetDiscoveryFilter"));
	/* believed, it would set off StartDiscovery without a filter */
	assert_true(sd_bus_reply_method_return(late, NULL) >= 0);
	sd_bus_message_unref(late);
	settle(s);
	/* what it sends arrives in order: a call after it, that StartDiscovery would be before */
	assert_int_equal(adapter_disconnect(s->adapter, &s->heard.advert.address), 0);
	mock_until(&s->mock, mock_count(&s->mock, "Disconnect ") == 1);
	assert_int_equal(mock_count(&s->mock, "StartDiscovery"), 0);
	assert_true(sd_bus_reply_method_return(mock_kept(&s->mock, "SetDiscoveryFilter"), NULL) >=
		    0);
	mock_until(&s->mock, s->mock.discovering);
}

static void an_adapter_goes_and_comes_many_times(void **state)
{
	struct stand *s = *state;

	mock_device(&s->mock, 1)->bonded = true;
	begin_scanning(s);
	for (unsigned int i = 0; i < 200; i++) {
		mock_adapter_vanishes(&s->mock);
		mock_until(&s->mock, s->state == ADAPTER_ABSENT);
		mock_adapter_appears(&s->mock);
		mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	}
	settle(s);
	assert_string_equal(s->log, "+b01 ");
	assert_int_equal(adapter_counts(s->adapter)->resets, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_agent_is_registered_before_anything_else),
		T(an_adapter_that_is_off_is_powered),
		T(an_adapter_that_refuses_power_is_off),
		T(the_named_adapter_and_no_other),
		T(no_bus_no_daemon_no_adapter),
		T(the_filter_asks_for_every_report),
		T(a_pause_stops_it_and_says_when),
		T(a_scan_begins_anew_but_not_in_a_pause),
		T(a_pause_without_a_scan_is_ready_from_the_loop),
		T(a_pause_does_not_wait_for_ever),
		T(the_window_is_open_before_a_pause_is_ready),
		T(scanning_is_taken_up_after_a_power_cut),
		T(a_report_with_all_its_data),
		T(a_repeated_report_is_heard_again),
		T(services_of_both_lengths),
		T(what_was_heard_before_us_is_no_report),
		T(links_and_bonds_are_told),
		T(an_identity_takes_the_place_of_a_private_address),
		T(a_bond_survives_the_unplugged_adapter),
		T(a_device_that_somebody_removes_has_lost_its_bond),
		T(forgetting),
		T(disconnecting),
		T(bluetoothd_is_killed_and_comes_back),
		T(what_is_missing_after_a_restart_is_gone),
		T(the_bus_is_killed_and_comes_back),
		T(late_answers_are_dropped),
		T(an_adapter_goes_and_comes_many_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
