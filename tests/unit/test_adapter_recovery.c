/* links: transports */
/* The recovery ladder at work, and a hostile bluetoothd, on a real bus. */
#include "tests/unit/mock_bluez.h"

#include <linux/rfkill.h>

#include "drivers/transport/adapter.h"

struct stand {
	struct mock mock;
	struct adapter *adapter;
	enum adapter_state state;
	unsigned int was[ADAPTER_STATE_END]; /* how often each state was entered */
	unsigned int adverts;
	struct ble_address ours;
	char name[300];
	bool has_name;
	size_t n_company, company_len;
	unsigned int bonded, linked;
};

static void on_state(void *user, enum adapter_state state)
{
	struct stand *s = user;

	s->state = state;
	s->was[state]++;
}

static void on_advert(void *user, const struct ble_advert *advert)
{
	struct stand *s = user;

	s->adverts++;
	s->has_name = advert->name != NULL;
	(void)snprintf(s->name, sizeof(s->name), "%s", advert->name ? advert->name : "");
	s->n_company = advert->n_company;
	s->company_len = advert->n_company ? advert->company[0].len : 0;
	assert_true(advert->n_company <= BLE_ADVERT_DATA && advert->n_service <= BLE_ADVERT_DATA);
	assert_true(advert->n_services <= BLE_ADVERT_SERVICES &&
		    advert->n_services128 <= BLE_ADVERT_SERVICES);
}

static void on_bonded(void *user, const struct ble_address *address, bool bonded)
{
	(void)address;
	((struct stand *)user)->bonded += bonded;
}

static void on_linked(void *user, const struct ble_address *address, bool linked)
{
	(void)address;
	((struct stand *)user)->linked += linked;
}

static bool is_ours(void *user, const struct ble_address *address)
{
	return ble_address_equal(&((const struct stand *)user)->ours, address);
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

static void begin_with(struct stand *s, const struct adapter_options *with)
{
	struct adapter_handlers handlers = {
		.state = on_state,
		.advert = on_advert,
		.bonded = on_bonded,
		.linked = on_linked,
		.is_ours = is_ours,
	};
	struct adapter_options options = *with;

	handlers.user = s;
	options.any = true;
	options.bus_address = s->mock.address;
	options.root = s->mock.folder;
	mock_start(&s->mock);
	assert_int_equal(adapter_new(s->mock.event, &options, &handlers, &s->adapter), 0);
	adapter_scan(s->adapter, true);
}

static void begin(struct stand *s, const struct adapter_options *with)
{
	begin_with(s, with);
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
}

#define NOTHING (&(struct adapter_options){ 0 })

static const struct adapter_counts *counts(const struct stand *s)
{
	return adapter_counts(s->adapter);
}

/* ---- doubts ---- */

/* A sixth of it is what a busy machine may take for the two halves of a probe. */
#define SILENCE_US 2400000

static void a_quiet_home_is_no_doubt(void **state)
{
	struct stand *s = *state;

	begin(s, &(struct adapter_options){ .silence_us = SILENCE_US });
	mock_until(&s->mock, mock_count(&s->mock, "StopDiscovery") == 3);
	assert_int_equal(s->was[ADAPTER_SUSPECT], 0);
	assert_int_equal(counts(s)->resets, 0);
}

static void silence_and_a_failed_probe_are_one(void **state)
{
	struct stand *s = *state;

	begin(s, &(struct adapter_options){ .silence_us = SILENCE_US });
	mock_refuse(&s->mock, "StartDiscovery", "org.bluez.Error.Failed", 1);
	mock_until(&s->mock, s->state == ADAPTER_SUSPECT);
	assert_string_equal(adapter_why(s->adapter), "nothing is heard");
	mock_until(&s->mock, s->was[ADAPTER_SUSPECT] == 1 && s->state == ADAPTER_READY);
	assert_string_equal(adapter_why(s->adapter), "");
	assert_int_equal(counts(s)->resets, 0);
	mock_until(&s->mock, s->mock.discovering);
}

static void a_report_ends_the_doubt(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);

	begin(s, NOTHING);
	mock_refuse(&s->mock, "StopDiscovery", NULL, 1);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_CALL);
	mock_until(&s->mock, s->state == ADAPTER_SUSPECT);
	mock_device_appears(&s->mock, d);
	mock_until(&s->mock, s->state == ADAPTER_READY);
	assert_int_equal(counts(s)->resets, 0);
}

/* "in progress", and it is not: nothing but a power cycle helps here */
static void after_power(struct mock *m, const char *member)
{
	if (strcmp(member, "Set") == 0 && !m->powered)
		mock_refuse(m, "StartDiscovery", NULL, 0);
}

static void scanning_that_lies(void **state)
{
	struct stand *s = *state;

	s->mock.on_call = after_power;
	mock_refuse(&s->mock, "StartDiscovery", "org.bluez.Error.InProgress", 1000);
	begin_with(s, NOTHING);
	mock_until(&s->mock, s->was[ADAPTER_RESET] == 1 && s->state == ADAPTER_READY);
	mock_until(&s->mock, s->mock.discovering);
	assert_int_equal(counts(s)->resets, 2);
	assert_int_equal(counts(s)->recoveries, 1);
	assert_true(counts(s)->last_recovery_us > 0);
	assert_int_equal(mock_count(&s->mock, "Powered=0 Powered=1"), 1);
}

static void a_call_that_is_never_answered(void **state)
{
	struct stand *s = *state;

	mock_refuse(&s->mock, "StartDiscovery", NULL, 2);
	begin_with(s, &(struct adapter_options){ .call_timeout_us = 200000 });
	/* the first is doubted, the second is the probe, then scanning is stopped and started */
	mock_until(&s->mock, s->was[ADAPTER_RESET] == 1 && s->mock.discovering);
	assert_int_equal(s->was[ADAPTER_SUSPECT], 1);
	assert_int_equal(counts(s)->resets, 1);
	assert_int_equal(mock_count(&s->mock, "Powered=0"), 0);
}

/* bluetoothd answers, the controller does not: seen when its firmware has died */
static void scanning_in_words_only(void **state)
{
	struct stand *s = *state;

	begin(s, &(struct adapter_options){ .silence_us = 200000, .rung_us = 300000 });
	s->mock.dead = true;
	mock_until(&s->mock, s->was[ADAPTER_SUSPECT] == 1);
	mock_until(&s->mock, s->state == ADAPTER_FAILED);
	assert_int_equal(counts(s)->recoveries, 0);
	assert_int_equal(mock_count(&s->mock, "Powered=0"), 1);
}

/* Discovering stays false though StartDiscovery was taken: doubted at once, without a probe */
static void scanning_that_stands_still(void **state)
{
	struct stand *s = *state;

	s->mock.dead = true;
	begin_with(s, &(struct adapter_options){ .silence_us = 6000000, .rung_us = 10000000 });
	mock_until(&s->mock, s->was[ADAPTER_SUSPECT] == 1);
	assert_int_equal(mock_count(&s->mock, "StopDiscovery"), 0);
	s->mock.dead = false;
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
}

/* and when it wakes up on a rung, that is seen */
static void scanning_in_words_only_for_a_while(void **state)
{
	struct stand *s = *state;

	begin(s, &(struct adapter_options){ .silence_us = 200000, .rung_us = 300000 });
	s->mock.dead = true;
	mock_until(&s->mock, mock_count(&s->mock, "Powered=0") == 1);
	s->mock.dead = false;
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(counts(s)->recoveries, 1);
}

static void attempts_that_never_end_cost_a_power_cycle(void **state)
{
	struct stand *s = *state;

	begin(s, NOTHING);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_CONNECTS);
	mock_until(&s->mock, s->was[ADAPTER_RESET] == 1 && s->state == ADAPTER_READY);
	assert_int_equal(mock_count(&s->mock, "Powered=0 Powered=1"), 1);
	assert_int_equal(s->was[ADAPTER_SUSPECT], 0);
	/* not again at once, unless one worked */
	adapter_doubt(s->adapter, ADAPTER_DOUBT_CONNECTS);
	mock_turn(&s->mock);
	assert_int_equal(s->was[ADAPTER_RESET], 1);
	adapter_works(s->adapter);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_CONNECTS);
	mock_until(&s->mock, s->was[ADAPTER_RESET] == 2 && s->state == ADAPTER_READY);
	assert_int_equal(counts(s)->recoveries, 2);
}

/* ---- the upper rungs ---- */

static void make_rfkill(struct stand *s, const char *soft)
{
	mock_file(&s->mock, "sys/class/rfkill/rfkill0/type", "wlan\n");
	mock_file(&s->mock, "sys/class/rfkill/rfkill0/name", "phy0\n");
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/type", "bluetooth\n");
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/name", "hci0\n");
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", soft);
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/hard", "0\n");
}

static struct rfkill_event last_rfkill(const struct stand *s)
{
	struct rfkill_event event = { 0 };
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/dev/rfkill", s->mock.folder);
	f = fopen(path, "r");
	assert_non_null(f);
	if (fread(&event, sizeof(event), 1, f) != 1)
		event = (struct rfkill_event){ 0 };
	(void)fclose(f);
	return event;
}

static void without_permissions_the_ladder_ends_soon(void **state)
{
	struct stand *s = *state;

	begin(s, NOTHING);
	mock_refuse(&s->mock, "StartDiscovery", "org.bluez.Error.Failed", 1000);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_SCAN);
	mock_until(&s->mock, s->state == ADAPTER_FAILED);
	assert_int_equal(counts(s)->resets, 2);
	assert_int_equal(counts(s)->recoveries, 0);
	/* and it works again by itself: somebody plugs in another */
	mock_refuse(&s->mock, "StartDiscovery", NULL, 0);
	mock_adapter_vanishes(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_ABSENT);
	mock_adapter_appears(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(counts(s)->recoveries, 1);
}

static void rfkill_blocks_and_unblocks(void **state)
{
	struct stand *s = *state;
	struct rfkill_event event;

	make_rfkill(s, "0\n");
	mock_file(&s->mock, "dev/rfkill", "");
	begin(s, NOTHING);
	mock_refuse(&s->mock, "StartDiscovery", "org.bluez.Error.Failed", 1000);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_SCAN);
	mock_until(&s->mock, last_rfkill(s).soft == 1);
	event = last_rfkill(s);
	assert_int_equal(event.idx, 3);
	assert_int_equal(event.type, RFKILL_TYPE_BLUETOOTH);
	assert_int_equal(event.op, RFKILL_OP_CHANGE);
	/* the kernel takes the power */
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", "1\n");
	mock_set_powered(&s->mock, false);
	mock_refuse(&s->mock, "StartDiscovery", NULL, 0);
	mock_until(&s->mock, last_rfkill(s).soft == 0);
	assert_int_equal(s->state, ADAPTER_RESET);
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", "0\n");
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(counts(s)->resets, 3);
	assert_int_equal(counts(s)->recoveries, 1);
}

/* the kernel is not ready at once */
static void power_is_refused_after_a_block(void **state)
{
	struct stand *s = *state;

	make_rfkill(s, "0\n");
	mock_file(&s->mock, "dev/rfkill", "");
	begin(s, NOTHING);
	mock_refuse(&s->mock, "StartDiscovery", "org.bluez.Error.Failed", 1000);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_SCAN);
	mock_until(&s->mock, last_rfkill(s).soft == 1);
	mock_set_powered(&s->mock, false);
	mock_refuse(&s->mock, "StartDiscovery", NULL, 0);
	mock_refuse(&s->mock, "Set", "org.bluez.Error.Failed", 2);
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(s->was[ADAPTER_FAILED], 0);
	assert_int_equal(counts(s)->resets, 3);
}

static void systemd_restarts_bluetoothd(void **state)
{
	struct stand *s = *state;

	begin(s, NOTHING);
	assert_true(sd_bus_request_name(s->mock.bus, "org.freedesktop.systemd1", 0) >= 0);
	mock_refuse(&s->mock, "StartDiscovery", "org.bluez.Error.Failed", 1000);
	adapter_doubt(s->adapter, ADAPTER_DOUBT_SCAN);
	mock_until(&s->mock, mock_count(&s->mock, "RestartUnit") == 1);
	mock_refuse(&s->mock, "StartDiscovery", NULL, 0);
	mock_stop(&s->mock);
	mock_turn(&s->mock);
	mock_start(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(s->was[ADAPTER_NO_DAEMON], 0); /* a rung, not a loss */
	assert_int_equal(counts(s)->resets, 3);
	assert_int_equal(counts(s)->recoveries, 1);
}

static void a_bluetoothd_that_hangs_from_the_start(void **state)
{
	struct stand *s = *state;

	mock_refuse(&s->mock, "GetManagedObjects", NULL, 1);
	begin_with(s, &(struct adapter_options){ .call_timeout_us = 200000 });
	mock_until(&s->mock, s->was[ADAPTER_FAILED] == 1);
	assert_string_equal(adapter_why(s->adapter), "GetManagedObjects is not answered");
	/* asked again, and it answers */
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
}

/* ---- blocked ---- */

static void a_block_is_somebodys_wish(void **state)
{
	struct stand *s = *state;

	make_rfkill(s, "0\n");
	mock_file(&s->mock, "dev/rfkill", "");
	begin(s, NOTHING);
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", "1\n");
	s->mock.stuck_off = true;
	mock_set_powered(&s->mock, false);
	mock_until(&s->mock, s->state == ADAPTER_BLOCKED);
	assert_int_equal(last_rfkill(s).idx, 0);
	assert_int_equal(mock_count(&s->mock, "Powered=1"), 0);
	s->mock.stuck_off = false;
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", "0\n");
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(counts(s)->resets, 0);
}

/* it may be left from a rung that was killed */
static void a_block_from_before_us_is_lifted_once(void **state)
{
	struct stand *s = *state;

	make_rfkill(s, "1\n");
	mock_file(&s->mock, "dev/rfkill", "");
	s->mock.powered = s->mock.auto_on = false;
	begin_with(s, NOTHING);
	mock_until(&s->mock, s->state == ADAPTER_BLOCKED);
	assert_int_equal(last_rfkill(s).idx, 3);
	assert_int_equal(last_rfkill(s).soft, 0);
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", "0\n");
	mock_until(&s->mock, s->state == ADAPTER_READY);
	mock_file(&s->mock, "dev/rfkill", "");
	mock_file(&s->mock, "sys/class/rfkill/rfkill3/soft", "1\n");
	mock_set_powered(&s->mock, false);
	mock_until(&s->mock, s->state == ADAPTER_BLOCKED);
	assert_int_equal(last_rfkill(s).idx, 0);
}

/* ---- a hostile bluetoothd ---- */

static void settle(struct stand *s)
{
	const struct mock_device marker = { .path = MOCK_ADAPTER "/dev_02_00_5E_10_00_FF",
					    .address = "02:00:5E:10:00:FF",
					    .name = "marker" };

	mock_device_appears(&s->mock, &marker);
	mock_until(&s->mock, strcmp(s->name, "marker") == 0);
}

static void properties_of_wrong_types(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);

	begin(s, NOTHING);
	mock_device_appears(&s->mock, d);
	mock_until(&s->mock, s->adverts == 1);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "s", "loud");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "i", 5);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Connected", "s", "true");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Bonded", "y", 1);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Address", "u", 1);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Address", "s", "02:00:5E:10:00");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "AddressType", "s", "secret");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "UUIDs", "s", "x");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "UUIDs", "as", 1, "181d");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "ManufacturerData", "ay", 1, 2);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "ManufacturerData", "a{qv}", 1, 1, "s",
		     "x");
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "ServiceData", "a{sv}", 1, "x", "u",
		     1);
	settle(s);
	assert_int_equal(s->adverts, 2);
	assert_int_equal(counts(s)->malformed, 12);
	assert_int_equal(s->bonded + s->linked, 0);
	assert_int_equal(s->state, ADAPTER_READY);
}

/* the good rows of a list are kept */
static void a_list_with_one_bad_row(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);

	begin(s, NOTHING);
	mock_device_appears(&s->mock, d);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "ManufacturerData", "a{qv}", 2, 1, "s",
		     "x", 2, "ay", 2, 1, 2);
	mock_until(&s->mock, s->adverts == 2);
	assert_int_equal(s->n_company, 1);
	assert_int_equal(s->company_len, 2);
	assert_int_equal(counts(s)->malformed, 1);
}

static void names_and_data_beyond_all_bounds(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);
	char *name = malloc(65537);
	sd_bus_message *m;

	assert_non_null(name);
	memset(name, 'n', 65536);
	name[65536] = '\0';
	begin(s, NOTHING);
	mock_device_appears(&s->mock, d);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Name", "s", name);
	/* cut between characters: 62 octets, then one of three */
	name[248] = '\0';
	memcpy(name + 62, "\xe2\x82\xac", 3);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "Name", "s", name);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "n", -50);
	mock_until(&s->mock, s->adverts == 2);
	assert_int_equal(strlen(s->name), 62);
	assert_int_equal(counts(s)->malformed, 1);
	/* 200 companies, and one of 60,000 octets */
	m = mock_signal(&s->mock, d->path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
	assert_true(sd_bus_message_append(m, "s", "org.bluez.Device1") >= 0);
	mock_open(m, 'a', "{sv}");
	mock_open(m, 'e', "sv");
	assert_true(sd_bus_message_append(m, "s", "ManufacturerData") >= 0);
	mock_open(m, 'v', "a{qv}");
	mock_open(m, 'a', "{qv}");
	for (unsigned int i = 0; i < 200; i++)
		assert_true(sd_bus_message_append(m, "{qv}", (int)i, "ay", 1, 7) >= 0);
	mock_open(m, 'e', "qv");
	assert_true(sd_bus_message_append(m, "q", 999) >= 0);
	mock_open(m, 'v', "ay");
	assert_true(sd_bus_message_append_array(m, 'y', name, 60000) >= 0);
	mock_close(m, 6);
	assert_true(sd_bus_message_append(m, "as", 0) >= 0);
	mock_send(&s->mock, m);
	mock_until(&s->mock, s->adverts == 3);
	assert_int_equal(s->n_company, BLE_ADVERT_DATA);
	assert_int_equal(counts(s)->malformed, 2);
	free(name);
}

static void many_objects(struct mock *m, sd_bus_message *r)
{
	(void)m;
	for (unsigned int i = 0; i < 10000; i++) {
		struct mock_device d = { .bonded = i < 10 };

		(void)snprintf(d.path, sizeof(d.path), MOCK_ADAPTER "/dev_C0_00_00_00_%02X_%02X",
			       i >> 8, i & 0xff);
		(void)snprintf(d.address, sizeof(d.address), "C0:00:00:00:%02X:%02X", i >> 8,
			       i & 0xff);
		mock_device_object(&d, r);
	}
}

static void ten_thousand_devices(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d;
	struct ble_address first;

	s->mock.more_objects = many_objects;
	begin(s, NOTHING);
	mock_until(&s->mock, s->bonded == 10);
	assert_int_equal(counts(s)->dropped, 10000 - 2048);
	assert_int_equal(ble_address_parse("C0:00:00:00:00:00", BLE_PUBLIC, &first), 0);
	assert_true(adapter_is_bonded(s->adapter, &first));
	/* the bonded ones are kept, and one of the dropped is known again once it is heard */
	d = mock_device(&s->mock, 1);
	mock_changed(&s->mock, d->path, "org.bluez.Device1", "RSSI", "n", -50);
	mock_until(&s->mock, mock_count(&s->mock, "GetAll") == 1);
	mock_until(&s->mock, s->adverts == 1);
	assert_int_equal(counts(s)->dropped, 10000 - 2048 + 1);
	assert_int_equal(s->state, ADAPTER_READY);
}

/* The first of the ten thousand that is no bonded one is enrolled here. */
static void ours_is_not_forgotten_among_strangers(void **state)
{
	struct stand *s = *state;

	assert_int_equal(ble_address_parse("C0:00:00:00:00:0A", BLE_PUBLIC, &s->ours), 0);
	s->mock.more_objects = many_objects;
	begin(s, NOTHING);
	mock_until(&s->mock, s->bonded == 10);
	mock_changed(&s->mock, MOCK_ADAPTER "/dev_C0_00_00_00_00_0A", "org.bluez.Device1", "RSSI",
		     "n", -50);
	mock_until(&s->mock, s->adverts == 1);
	assert_int_equal(mock_count(&s->mock, "GetAll"), 0);
}

/* bluetoothd is asked about strangers, a few at a time; about ours always. */
static void strangers_do_not_keep_ours_from_being_asked_about(void **state)
{
	struct stand *s = *state;

	assert_int_equal(ble_address_parse("02:00:5E:10:00:01", BLE_PUBLIC, &s->ours), 0);
	begin(s, NOTHING);
	mock_refuse(&s->mock, "GetAll", NULL, 6);
	for (unsigned int i = 0; i < 6; i++) {
		char path[] = MOCK_ADAPTER "/dev_C0_00_00_00_00_00";

		path[sizeof(path) - 2] = (char)('0' + i);
		mock_changed(&s->mock, path, "org.bluez.Device1", "RSSI", "n", -50);
	}
	mock_until(&s->mock, counts(s)->dropped == 2);
	mock_until(&s->mock, mock_count(&s->mock, "GetAll") == 4);
	mock_changed(&s->mock, MOCK_ADAPTER "/dev_02_00_5E_10_00_01", "org.bluez.Device1", "RSSI",
		     "n", -50);
	mock_until(&s->mock, mock_count(&s->mock, "GetAll") == 5);
}

static void objects_in_odd_places(void **state)
{
	static const char *const paths[] = {
		"/org/bluez/hci1/dev_02_00_5E_10_00_01",
		MOCK_ADAPTER "/dev_02_00_5E_10_00_01/service0001",
		"/org/bluez/hci0dev_02_00_5E_10_00_01",
		"/",
		MOCK_ADAPTER "/dev_02_00_5E_10_00_01_02_00_5E_10_00_01_02_00_5E_10_00_01_0200",
	};
	struct stand *s = *state;
	struct mock_device d = { .address = "02:00:5E:10:00:01" };

	begin(s, NOTHING);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		(void)snprintf(d.path, sizeof(d.path), "%s", paths[i]);
		mock_device_appears(&s->mock, &d);
		mock_changed(&s->mock, d.path, "org.bluez.Device1", "RSSI", "n", -50);
		mock_removed(&s->mock, d.path, "org.bluez.Device1");
	}
	settle(s);
	assert_int_equal(s->adverts, 1);
	assert_int_equal(mock_count(&s->mock, "GetAll"), 0);
}

/* Anybody on the bus may send signals that look like bluetoothd's. */
static void signals_of_others_are_not_heard(void **state)
{
	struct stand *s = *state;
	const struct mock_device *d = mock_device(&s->mock, 1);
	struct mock other = { .event = s->mock.event };
	sd_bus_message *m;

	begin(s, NOTHING);
	mock_device_appears(&s->mock, d);
	mock_until(&s->mock, s->adverts == 1);
	assert_true(sd_bus_new(&other.bus) >= 0);
	assert_true(sd_bus_set_address(other.bus, s->mock.address) >= 0);
	assert_true(sd_bus_set_bus_client(other.bus, 1) >= 0);
	assert_true(sd_bus_start(other.bus) >= 0);
	mock_changed(&other, d->path, "org.bluez.Device1", "RSSI", "n", -1);
	mock_set_powered(&other, false);
	mock_removed(&other, MOCK_ADAPTER, "org.bluez.Adapter1");
	/* and to us alone, which no match of the bus holds back */
	m = mock_signal(&other, d->path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
	assert_true(sd_bus_message_set_destination(m, s->mock.agent_owner) >= 0);
	assert_true(sd_bus_message_append(m, "sa{sv}as", "org.bluez.Device1", 1, "RSSI", "n", -2,
					  0) >= 0);
	mock_send(&other, m);
	assert_true(sd_bus_flush(other.bus) >= 0);
	settle(s);
	assert_int_equal(s->adverts, 2);
	assert_int_equal(s->was[ADAPTER_READY], 1);
	sd_bus_close(other.bus);
	sd_bus_unref(other.bus);
}

static void answers_of_wrong_shapes(void **state)
{
	struct stand *s = *state;
	sd_bus_message *call;

	mock_refuse(&s->mock, "GetManagedObjects", NULL, 1);
	begin_with(s, NOTHING);
	mock_until(&s->mock, mock_kept(&s->mock, "GetManagedObjects"));
	call = mock_kept(&s->mock, "GetManagedObjects");
	assert_true(sd_bus_reply_method_return(call, "s", "no objects") >= 0);
	mock_until(&s->mock, s->state == ADAPTER_READY && s->mock.discovering);
	assert_int_equal(counts(s)->failed_calls, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_quiet_home_is_no_doubt),
		T(silence_and_a_failed_probe_are_one),
		T(a_report_ends_the_doubt),
		T(scanning_that_lies),
		T(a_call_that_is_never_answered),
		T(scanning_in_words_only),
		T(scanning_in_words_only_for_a_while),
		T(scanning_that_stands_still),
		T(attempts_that_never_end_cost_a_power_cycle),
		T(without_permissions_the_ladder_ends_soon),
		T(rfkill_blocks_and_unblocks),
		T(power_is_refused_after_a_block),
		T(systemd_restarts_bluetoothd),
		T(a_bluetoothd_that_hangs_from_the_start),
		T(a_block_is_somebodys_wish),
		T(a_block_from_before_us_is_lifted_once),
		T(properties_of_wrong_types),
		T(a_list_with_one_bad_row),
		T(names_and_data_beyond_all_bounds),
		T(ten_thousand_devices),
		T(ours_is_not_forgotten_among_strangers),
		T(strangers_do_not_keep_ours_from_being_asked_about),
		T(objects_in_odd_places),
		T(signals_of_others_are_not_heard),
		T(answers_of_wrong_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
