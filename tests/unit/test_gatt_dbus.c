/* links: transports */
/* GATT through a made-up bluetoothd on a real bus: subscriptions that stand, links, reads that look
 * like notifications, restarts; and a scale's driver behind it. */
#include "tests/unit/mock_bluez.h"

#include "drivers/registry.h"
#include "drivers/transport/gatt_dbus.h"
#include "drivers/transport/peer.h"
#include "drivers/transport/radio.h"

#define DEVICE  MOCK_ADAPTER "/dev_02_00_5E_10_00_01"
#define SCALE   DEVICE "/service0030"
#define WEIGHT  SCALE "/char0031"
#define FEATURE SCALE "/char0034"
#define NAMES   DEVICE "/service0010"
#define SERIAL  NAMES "/char0011"
#define CHRC    "org.bluez.GattCharacteristic1"
/* 79.960 kg, 2026-05-12 18:53:54, user 1, 23.8 kg/m2, 1.830 m */
#define READING "\x0e\x78\x3e\xea\x07\x05\x0c\x12\x35\x36\x01\xee\x00\x26\x07"

static const struct ble_address WHO = { .bytes = { 0x02, 0, 0x5e, 0x10, 0, 1 } };

struct stand {
	struct mock mock;
	struct mock_device *device;
	struct gatt_dbus *gatt;
	struct gatt_dbus_link *link;
	bool no_objects; /* its database is not exported */
	unsigned int waiting, connected, lost, done;
	bool bonded;
	enum device_end end;
	int error;
	struct att_result result;
	uint8_t data[ATT_VALUE_MAX];
	struct att_table table;
	/* behind a peer */
	struct peer *peer;
	struct device machine;
	uint64_t next_seq;
	size_t measurements;
	enum link_security security;
	bool no_room;
	uint32_t next_id;
	enum radio_pairing_phase phase;
	bool silent; /* the scale has nothing to say */
};

/* ---- bluetoothd ---- */

static void add(sd_bus_message *r, const char *path, const char *interface, const char *uuid,
		const char *flag)
{
	mock_open(r, 'e', "oa{sa{sv}}");
	assert_true(sd_bus_message_append(r, "o", path) >= 0);
	mock_open(r, 'a', "{sa{sv}}");
	assert_true(sd_bus_message_append(r, "{sa{sv}}", interface, 2, "UUID", "s", uuid, "Flags",
					  "as", 1, flag) >= 0);
	mock_close(r, 2);
}

/* children before their parents, and one that is nobody's */
static void more_objects(struct mock *m, sd_bus_message *r)
{
	const struct stand *s = m->user;

	if (s->no_objects)
		return;
	add(r, WEIGHT, CHRC, "00002a9d-0000-1000-8000-00805f9b34fb", "indicate");
	add(r, FEATURE, CHRC, "00002a9e-0000-1000-8000-00805f9b34fb", "read");
	add(r, SERIAL, CHRC, "00002a25-0000-1000-8000-00805f9b34fb", "read");
	add(r, DEVICE "/service0099/char009a", CHRC, "00002a9d-0000-1000-8000-00805f9b34fb",
	    "indicate");
	add(r, NAMES, "org.bluez.GattService1", "0000180a-0000-1000-8000-00805f9b34fb", "");
	add(r, SCALE, "org.bluez.GattService1", "0000181d-0000-1000-8000-00805f9b34fb", "");
}

static void send_value(struct stand *s, const char *path, const void *data, size_t len)
{
	sd_bus_message *m =
		mock_signal(&s->mock, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");

	assert_true(sd_bus_message_append(m, "s", CHRC) >= 0);
	mock_open(m, 'a', "{sv}");
	mock_open(m, 'e', "sv");
	assert_true(sd_bus_message_append(m, "s", "Value") >= 0);
	mock_open(m, 'v', "ay");
	assert_true(sd_bus_message_append_array(m, 'y', data, len) >= 0);
	mock_close(m, 3);
	assert_true(sd_bus_message_append(m, "as", 0) >= 0);
	mock_send(&s->mock, m);
}

static void set_flag(struct stand *s, const char *name, bool on)
{
	if (strcmp(name, "Connected") == 0)
		s->device->connected = on;
	mock_changed(&s->mock, DEVICE, "org.bluez.Device1", name, "b", (int)on);
}

/* ---- who uses it ---- */

static void on_waiting(void *user, const struct ble_address *address)
{
	assert_true(ble_address_equal(address, &WHO));
	((struct stand *)user)->waiting++;
}

static void on_connected(void *user, bool bonded)
{
	struct stand *s = user;

	s->connected++;
	s->bonded = bonded;
}

static void on_bonded(void *user)
{
	((struct stand *)user)->bonded = true;
}

static void on_done(void *user, const struct att_result *result)
{
	struct stand *s = user;

	s->done++;
	s->result = *result;
	if (result->len > 0)
		memcpy(s->data, result->data, result->len);
}

static void on_value(void *user)
{
	(void)user;
}

static void on_lost(void *user, enum device_end end, int error)
{
	struct stand *s = user;

	s->lost++;
	s->end = end;
	s->error = error;
}

static void begin_link(struct stand *s)
{
	const struct gatt_dbus_handlers handlers = { on_connected, on_bonded, on_done,
						     on_value,     on_lost,   s };

	s->connected = s->lost = s->done = 0;
	assert_int_equal(gatt_dbus_link_new(s->gatt, &WHO, &handlers, &s->link), 0);
}

static void end_link(struct stand *s)
{
	gatt_dbus_link_free(s->link);
	s->link = NULL;
}

static const struct drv_channel *channels(void)
{
	return registry_by_name("weight_scale")->channels;
}

static void stand_up(struct stand *s)
{
	assert_int_equal(gatt_dbus_watch(s->gatt, &WHO, channels()), 0);
	mock_until(&s->mock, gatt_dbus_stands(s->gatt, &WHO));
}

static void connect_link(struct stand *s)
{
	begin_link(s);
	mock_until(&s->mock, mock_count(&s->mock, "Connect ") > 0);
	set_flag(s, "Connected", true);
	mock_until(&s->mock, s->connected);
}

static void resolve(struct stand *s)
{
	connect_link(s);
	assert_int_equal(gatt_dbus_discover(s->link, &s->table), 0);
	set_flag(s, "ServicesResolved", true);
	mock_until(&s->mock, s->done);
	assert_int_equal(s->result.error, 0);
}

static uint16_t handle_of(const struct stand *s, uint16_t uuid16)
{
	const struct att_uuid uuid = att_uuid_of16(uuid16);
	const struct att_characteristic *ch = att_table_characteristic(&s->table, NULL, &uuid);

	assert_non_null(ch);
	return ch->value;
}

static int setup(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	struct gatt_dbus_options options = { .nudge_us = 200000 };

	assert_non_null(s);
	mock_new(&s->mock);
	s->mock.user = s;
	s->mock.more_objects = more_objects;
	s->device = mock_device(&s->mock, 1);
	s->device->bonded = true;
	s->next_seq = s->next_id = 1;
	mock_start(&s->mock);
	options.bus_address = s->mock.address;
	assert_int_equal(gatt_dbus_new(s->mock.event, &options, on_waiting, s, &s->gatt), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stand *s = *state;

	peer_free(s->peer);
	end_link(s);
	gatt_dbus_free(s->gatt);
	mock_free(&s->mock);
	free(s);
	return 0;
}

/* ---- subscriptions ---- */

/* What comes with no link is caught, waits, and is had without one. */
static void test_caught_without_a_link(void **state)
{
	struct stand *s = *state;
	struct gatt_dbus_value value;

	stand_up(s);
	assert_int_equal(mock_count(&s->mock, "StartNotify"), 1);
	assert_int_equal(mock_count(&s->mock, "Connect "), 0);
	send_value(s, WEIGHT, READING, sizeof(READING) - 1);
	mock_until(&s->mock, s->waiting >= 2); /* said again while nobody comes */
	begin_link(s);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->connected, 1);
	assert_true(gatt_dbus_peek(s->link, &value));
	assert_int_equal(att_uuid_16(&value.uuid), 0x2a9d);
	assert_int_equal(value.len, sizeof(READING) - 1);
	assert_memory_equal(value.data, READING, value.len);
	assert_false(value.notifies);
	assert_int_equal(gatt_dbus_discover(s->link, &s->table), 0);
	mock_until(&s->mock, s->done);
	assert_int_not_equal(handle_of(s, 0x2a9d), 0);
	end_link(s);
	begin_link(s); /* it was not taken, so it is there again */
	assert_int_equal(gatt_dbus_queued(s->link), 1);
	gatt_dbus_taken(s->link);
	assert_false(gatt_dbus_peek(s->link, &value));
	assert_int_equal(mock_count(&s->mock, "Connect "), 0);
}

/* A database that is exported later: subscribed to as soon as it is there. */
static void test_subscribes_to_what_is_added(void **state)
{
	struct stand *s = *state;
	sd_bus_message *m;

	s->no_objects = true;
	assert_int_equal(gatt_dbus_watch(s->gatt, &WHO, channels()), 0);
	mock_until(&s->mock, mock_count(&s->mock, "GetManagedObjects") >= 2);
	assert_false(gatt_dbus_stands(s->gatt, &WHO));
	for (int i = 0; i < 2; i++) {
		m = mock_signal(&s->mock, "/", "org.freedesktop.DBus.ObjectManager",
				"InterfacesAdded");
		assert_true(sd_bus_message_append(m, "o", i ? WEIGHT : SCALE) >= 0);
		mock_open(m, 'a', "{sa{sv}}");
		assert_true(sd_bus_message_append(m, "{sa{sv}}",
						  i ? CHRC : "org.bluez.GattService1", 2, "UUID",
						  "s",
						  i ? "00002a9d-0000-1000-8000-00805f9b34fb"
						    : "0000181d-0000-1000-8000-00805f9b34fb",
						  "Flags", "as", 1, "indicate") >= 0);
		mock_close(m, 1);
		mock_send(&s->mock, m);
	}
	mock_until(&s->mock, gatt_dbus_stands(s->gatt, &WHO));
}

/* A refused subscription is asked for again. */
static void test_subscribes_again(void **state)
{
	struct stand *s = *state;

	mock_refuse(&s->mock, "StartNotify", "org.bluez.Error.Failed", 2);
	stand_up(s);
	assert_int_equal(mock_count(&s->mock, "StartNotify"), 3);
}

/* Killed with the link up: what was caught is kept, and all is subscribed to again. */
static void test_bluetoothd_restarts(void **state)
{
	struct stand *s = *state;

	stand_up(s);
	resolve(s);
	send_value(s, WEIGHT, READING, sizeof(READING) - 1);
	mock_until(&s->mock, gatt_dbus_queued(s->link) == 1);
	assert_int_equal(gatt_dbus_read(s->link, handle_of(s, 0x2a9e)), 0);
	s->done = 0;
	mock_stop(&s->mock);
	mock_until(&s->mock, s->lost);
	mock_until(&s->mock, s->done == 1);
	assert_int_equal(s->result.error, -ECANCELED);
	assert_int_equal(s->error, -EPIPE);
	assert_int_equal(gatt_dbus_queued(s->link), 1);
	assert_int_equal(gatt_dbus_read(s->link, handle_of(s, 0x2a9e)), -ENOTCONN);
	end_link(s);
	assert_false(gatt_dbus_stands(s->gatt, &WHO));
	s->device->connected = false;
	mock_start(&s->mock);
	mock_until(&s->mock, gatt_dbus_stands(s->gatt, &WHO));
	assert_int_equal(mock_count(&s->mock, "StartNotify"), 2);
	begin_link(s);
	assert_int_equal(gatt_dbus_queued(s->link), 1);
}

static void test_bus_restarts(void **state)
{
	struct stand *s = *state;

	stand_up(s);
	mock_stop(&s->mock);
	mock_bus_stop(&s->mock);
	mock_until(&s->mock, !gatt_dbus_stands(s->gatt, &WHO));
	mock_bus_start(&s->mock);
	mock_start(&s->mock);
	mock_until(&s->mock, gatt_dbus_stands(s->gatt, &WHO));
}

/* ---- what is not a reading ---- */

static void test_nonsense(void **state)
{
	struct stand *s = *state;
	const struct gatt_dbus_counts *counts = gatt_dbus_counts(s->gatt);
	uint8_t much[ATT_VALUE_MAX + 1] = { 0 };
	uint64_t before;

	stand_up(s);
	before = counts->malformed;
	assert_true(before > 0); /* the characteristic without a service */
	send_value(s, FEATURE, "\x01", 1);
	mock_changed(&s->mock, WEIGHT, CHRC, "Value", "s", "text");
	mock_changed(&s->mock, WEIGHT, CHRC, "Value", "u", 7u);
	send_value(s, WEIGHT, much, sizeof(much));
	send_value(s, MOCK_ADAPTER "/dev_02_00_5E_10_00_02/service0030/char0031", "\x01", 1);
	mock_changed(&s->mock, DEVICE, "org.bluez.Device1", "Connected", "s", "yes");
	send_value(s, WEIGHT, much, ATT_VALUE_MAX);
	mock_until(&s->mock, counts->values == 1);
	assert_int_equal(counts->strays, 1);
	assert_int_equal(counts->malformed, before + 4);
}

static void test_queue_is_bounded(void **state)
{
	struct stand *s = *state;
	const struct gatt_dbus_counts *counts = gatt_dbus_counts(s->gatt);

	stand_up(s);
	for (size_t i = 0; i < GATT_DBUS_QUEUE + 2; i++)
		send_value(s, WEIGHT, &i, sizeof(i));
	mock_until(&s->mock, counts->lost == 2);
	assert_int_equal(counts->values, GATT_DBUS_QUEUE);
}

/* ---- links ---- */

/* Its success says nothing, and its failure neither: Connected does. */
static void test_connects_when_connected(void **state)
{
	struct stand *s = *state;

	stand_up(s);
	begin_link(s);
	mock_until(&s->mock, mock_count(&s->mock, "Connect ") == 1);
	for (int i = 0; i < 20; i++)
		mock_turn(&s->mock);
	assert_int_equal(s->connected + s->lost, 0);
	set_flag(s, "Connected", true);
	mock_until(&s->mock, s->connected);
	assert_true(s->bonded);
	set_flag(s, "Connected", false);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->end, DEVICE_END_PEER);
	end_link(s);
	mock_refuse(&s->mock, "Connect", "org.bluez.Error.Failed", 1);
	begin_link(s);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->end, DEVICE_END_TRANSIENT);
	assert_int_equal(s->connected, 0);
}

static void test_unknown_device(void **state)
{
	struct stand *s = *state;

	s->mock.n_devices = 0;
	begin_link(s);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->error, -ENOENT);
	end_link(s);
	assert_int_equal(mock_count(&s->mock, "Disconnect"), 0);
}

static void test_reads_and_writes(void **state)
{
	struct stand *s = *state;
	uint16_t feature;

	resolve(s); /* not watched: as in a pairing */
	feature = handle_of(s, 0x2a9e);
	assert_int_equal(s->table.n_services, 2);
	assert_int_equal(gatt_dbus_read(s->link, 0x7777), -ENOTCONN);
	assert_int_equal(gatt_dbus_subscribe(s->link, feature), -ENOTSUP);
	mock_refuse(&s->mock, "ReadValue", NULL, 1);
	assert_int_equal(gatt_dbus_read(s->link, feature), 0);
	assert_int_equal(gatt_dbus_write(s->link, feature, (const uint8_t *)"x", 1, true), -EBUSY);
	mock_until(&s->mock, mock_kept(&s->mock, "ReadValue"));
	assert_true(sd_bus_reply_method_return(mock_kept(&s->mock, "ReadValue"), "ay", 2, 0x0f,
					       0x01) >= 0);
	mock_until(&s->mock, s->done == 2);
	assert_int_equal(s->result.error, 0);
	assert_int_equal(s->result.len, 2);
	assert_memory_equal(s->data, "\x0f\x01", 2);
	assert_int_equal(gatt_dbus_write(s->link, feature, (const uint8_t *)"x", 1, false), 0);
	mock_until(&s->mock, s->done == 3);
	assert_int_equal(s->result.error, 0);
	assert_int_equal(gatt_dbus_subscribe(s->link, handle_of(s, 0x2a9d)), 0);
	mock_until(&s->mock, s->done == 4);
	assert_int_equal(mock_count(&s->mock, "StartNotify"), 1);
	end_link(s); /* nobody wants it now */
	mock_until(&s->mock, mock_count(&s->mock, "StopNotify") == 1);
	assert_int_equal(mock_count(&s->mock, "Disconnect"), 1);
}

static void expect_refusal(struct stand *s, const char *name, const char *text, uint8_t refusal)
{
	const unsigned int done = s->done;

	mock_refuse(&s->mock, "WriteValue", NULL, 1);
	assert_int_equal(
		gatt_dbus_write(s->link, handle_of(s, 0x2a9e), (const uint8_t *)"x", 1, true), 0);
	mock_until(&s->mock, mock_kept(&s->mock, "WriteValue"));
	assert_true(sd_bus_reply_method_errorf(mock_kept(&s->mock, "WriteValue"), name, "%s",
					       text) >= 0);
	mock_until(&s->mock, s->done > done);
	assert_int_equal(s->result.error, -EREMOTEIO);
	assert_int_equal(s->result.refusal, refusal);
}

static void test_refusals(void **state)
{
	struct stand *s = *state;

	stand_up(s);
	resolve(s);
	expect_refusal(s, "org.bluez.Error.Failed", "Operation failed with ATT error: 0x81", 0x81);
	expect_refusal(s, "org.bluez.Error.Failed", "Operation failed with ATT error: 0x815",
		       ATT_ERROR_UNLIKELY);
	expect_refusal(s, "org.bluez.Error.Failed", "Operation failed with ATT error: 0xz1",
		       ATT_ERROR_UNLIKELY);
	expect_refusal(s, "org.bluez.Error.Failed", "", ATT_ERROR_UNLIKELY);
	expect_refusal(s, "org.bluez.Error.NotPermitted", "no", ATT_ERROR_READ_NOT_PERMITTED);
	expect_refusal(s, "org.bluez.Error.InvalidValueLength", "no", ATT_ERROR_INVALID_LENGTH);
}

/* A read shows up as a change of Value: once, and before its answer. */
static void test_echo_of_a_read(void **state)
{
	struct stand *s = *state;
	struct gatt_dbus_value value;
	sd_bus_message *call;

	stand_up(s);
	resolve(s);
	mock_refuse(&s->mock, "ReadValue", NULL, 1);
	assert_int_equal(gatt_dbus_read(s->link, handle_of(s, 0x2a9d)), 0);
	mock_until(&s->mock, mock_kept(&s->mock, "ReadValue"));
	send_value(s, WEIGHT, "new", 3);
	send_value(s, WEIGHT, "old", 3);
	send_value(s, WEIGHT, "old", 3);
	mock_until(&s->mock, gatt_dbus_queued(s->link) == 3);
	assert_false(gatt_dbus_peek(s->link, &value));
	call = mock_kept(&s->mock, "ReadValue");
	assert_true(sd_bus_reply_method_return(call, "ay", 3, 'o', 'l', 'd') >= 0);
	mock_until(&s->mock, s->done == 2);
	assert_int_equal(gatt_dbus_queued(s->link), 2);
	assert_true(gatt_dbus_peek(s->link, &value));
	assert_memory_equal(value.data, "new", 3);
	gatt_dbus_taken(s->link);
	assert_true(gatt_dbus_peek(s->link, &value));
	assert_memory_equal(value.data, "old", 3);
	gatt_dbus_taken(s->link);
	assert_int_equal(gatt_dbus_counts(s->gatt)->echoes, 1);
	/* a read that fails has caused nothing */
	mock_refuse(&s->mock, "ReadValue", NULL, 1);
	assert_int_equal(gatt_dbus_read(s->link, handle_of(s, 0x2a9d)), 0);
	mock_until(&s->mock, mock_kept(&s->mock, "ReadValue"));
	send_value(s, WEIGHT, "old", 3);
	mock_until(&s->mock, gatt_dbus_queued(s->link) == 1);
	assert_true(sd_bus_reply_method_errorf(mock_kept(&s->mock, "ReadValue"),
					       "org.bluez.Error.Failed", "no") >= 0);
	mock_until(&s->mock, s->done == 3);
	assert_true(gatt_dbus_peek(s->link, &value));
}

/* ---- behind a peer ---- */

static void on_peer_event(void *user, enum device_event event, unsigned int argument)
{
	const struct peer_driver driver = { .driver = registry_by_name("weight_scale") };
	struct stand *s = user;
	unsigned int actions;

	s->connected += event == DEVICE_ON_CONNECTED;
	s->lost += event == DEVICE_ON_END;
	if (event == DEVICE_ON_END)
		s->error = peer_error(s->peer);
	actions = device_event(&s->machine, event, argument, (int64_t)1 << 40);
	if (actions & DEVICE_DO_MTU)
		peer_mtu(s->peer);
	if (actions & DEVICE_DO_VERIFY)
		peer_verify(s->peer);
	if (actions & DEVICE_DO_OPEN)
		assert_int_equal(peer_open(s->peer, &driver), 0);
	if (actions & DEVICE_DO_ARM)
		peer_arm(s->peer);
}

static int on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct stand *s = user;

	assert_true(seq > 0);
	s->measurements++;
	s->security = m->security;
	return 0;
}

static bool has_room(void *user)
{
	return !((const struct stand *)user)->no_room;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	(void)user;
	(void)memory;
}

static void on_record(void *user, uint32_t record)
{
	(void)user;
	(void)record;
}

static int on_table(void *user, const struct att_table *table)
{
	(void)user;
	(void)table;
	fail_msg("handles of this path are not to be kept");
	return 0;
}

static void begin_peer(struct stand *s, enum bearer_level required)
{
	const struct peer_handlers handlers = { .event = on_peer_event,
						.measurement = on_measurement,
						.has_room = has_room,
						.memory = on_memory,
						.record = on_record,
						.table = on_table,
						.user = s };
	const struct peer_options options = { .bearer = { .peer = WHO, .stand_in = -1 },
					      .gatt = s->gatt,
					      .standing = true,
					      .required = required };
	const struct device_config config = { .level = required, .raise_late = true };

	s->connected = s->lost = 0;
	device_init(&s->machine, &config);
	(void)device_event(&s->machine, DEVICE_ON_ADVERT, 0, (int64_t)1 << 40);
	(void)device_event(&s->machine, DEVICE_ON_TURN, 0, (int64_t)1 << 40);
	assert_int_equal(peer_new(s->mock.event, &options, &handlers, &s->next_seq, &s->peer), 0);
}

/* From the advertisement to the reading; nothing of it claims to be secure. */
static void test_peer_reads(void **state)
{
	struct stand *s = *state;

	mock_refuse(&s->mock, "ReadValue", "org.bluez.Error.Failed", 100);
	stand_up(s);
	begin_peer(s, BEARER_ENCRYPTED);
	mock_until(&s->mock, mock_count(&s->mock, "Connect ") == 1);
	set_flag(s, "Connected", true);
	send_value(s, WEIGHT, READING, sizeof(READING) - 1); /* at once, before discovery */
	set_flag(s, "ServicesResolved", true);
	mock_until(&s->mock, s->measurements == 1);
	assert_int_equal(s->security, LINK_UNKNOWN);
	peer_committed(s->peer, 1);
	mock_until(&s->mock, s->machine.state == DEVICE_LINGER);
	set_flag(s, "Connected", false);
	mock_until(&s->mock, s->lost);
}

/* The link is gone before anything is known of it, and bluetoothd has confirmed: handed on. */
static void test_peer_saves_what_was_caught(void **state)
{
	struct stand *s = *state;

	stand_up(s);
	begin_peer(s, BEARER_ENCRYPTED);
	mock_until(&s->mock, mock_count(&s->mock, "Connect ") == 1);
	set_flag(s, "Connected", true);
	send_value(s, WEIGHT, READING, sizeof(READING) - 1);
	set_flag(s, "Connected", false);
	mock_until(&s->mock, s->measurements == 1);
	for (int i = 0; i < 10; i++)
		mock_turn(&s->mock);
	assert_int_equal(s->lost, 0); /* not before its commit */
	peer_committed(s->peer, 1);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->error, -ECONNRESET);
}

/* No room at the gateway: the link ends, the value waits for the next one. */
static void test_peer_without_room(void **state)
{
	struct stand *s = *state;

	stand_up(s);
	s->no_room = true;
	send_value(s, WEIGHT, READING, sizeof(READING) - 1);
	mock_until(&s->mock, s->waiting);
	begin_peer(s, BEARER_CLEAR);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->measurements, 0);
	peer_free(s->peer);
	s->no_room = false;
	begin_peer(s, BEARER_CLEAR);
	mock_until(&s->mock, s->measurements == 1);
	peer_committed(s->peer, 1);
	mock_until(&s->mock, s->lost);
	peer_free(s->peer);
	s->peer = NULL;
	begin_link(s);
	assert_int_equal(gatt_dbus_queued(s->link), 0);
}

/* It had a bond when it was enrolled, and has none now. */
static void test_peer_without_its_bond(void **state)
{
	struct stand *s = *state;

	s->device->bonded = false;
	stand_up(s);
	begin_peer(s, BEARER_ENCRYPTED);
	mock_until(&s->mock, mock_count(&s->mock, "Connect ") == 1);
	set_flag(s, "Connected", true);
	mock_until(&s->mock, s->lost);
	assert_int_equal(s->error, -EACCES);
	assert_int_equal(s->connected, 0);
}

/* ---- behind the radio, with the adapter at the same bluetoothd ---- */

static int radio_up(void *user, uint32_t id, const struct ble_address *address,
		    const struct session *session)
{
	(void)user;
	(void)session;
	assert_int_not_equal(id, 0);
	assert_true(ble_address_equal(address, &WHO));
	return 0;
}

static int radio_measured(void *user, uint32_t id, const struct measurement *m, uint64_t seq)
{
	assert_int_not_equal(id, 0);
	return on_measurement(user, m, seq);
}

static int radio_down(void *user, uint32_t id, const struct session *session)
{
	(void)id;
	(void)session;
	((struct stand *)user)->lost++;
	return 0;
}

static void radio_pairing_moved(void *user, const struct radio_pairing *pairing)
{
	((struct stand *)user)->phase = pairing->phase;
}

static void radio_has_changed(void *user)
{
	(void)user;
}

static void on_finding(void *user, enum adapter_finding_level level, const char *text,
		       const char *advice)
{
	assert_int_equal(level, ADAPTER_NOTICE);
	assert_non_null(strstr(text, "bluetoothd confirms readings of 1 device before"));
	assert_non_null(advice);
	((struct stand *)user)->done++;
}

/* A scale that speaks the moment it is linked, as its subscription of long ago allows. */
static void scale_speaks(struct mock *m, const char *member)
{
	struct stand *s = m->user;

	if (strcmp(member, "Disconnect") == 0 && s->device->connected)
		set_flag(s, "Connected", false);
	if (strcmp(member, "Pair") == 0)
		set_flag(s, "Bonded", true);
	if (strcmp(member, "Connect") != 0)
		return;
	set_flag(s, "Connected", true);
	if (!s->silent)
		send_value(s, WEIGHT, READING, sizeof(READING) - 1);
	set_flag(s, "ServicesResolved", true);
}

static void enrol(const char *folder)
{
	struct enrolment *e = calloc(1, sizeof(*e));
	struct enrolments *all = NULL;
	unsigned int bad = 0;

	assert_non_null(e);
	e->address = WHO;
	(void)snprintf(e->driver, sizeof(e->driver), "weight_scale");
	e->level = LINK_ENCRYPTED;
	e->path = ENROLMENT_BLUETOOTHD;
	assert_int_equal(enrolments_open(folder, &all, &bad), 0);
	assert_int_equal(enrolments_put(all, e), 0);
	enrolments_free(all);
	free(e);
}

static struct radio *begin_radio(struct stand *s, bool enrolled)
{
	char folder[96];
	const struct radio_options options = {
		.helper = "/nonexistent",
		.directory = folder,
		.adapter = { .bus_address = s->mock.address, .any = true, .root = s->mock.folder }
	};
	const struct radio_sink sink = { .up = radio_up,
					 .measurement = radio_measured,
					 .down = radio_down,
					 .has_room = has_room,
					 .pairing = radio_pairing_moved,
					 .changed = radio_has_changed,
					 .user = s };
	struct radio *radio = NULL;

	(void)snprintf(folder, sizeof(folder), "%s/devices", s->mock.folder);
	if (enrolled)
		enrol(folder);
	mock_refuse(&s->mock, "ReadValue", "org.bluez.Error.Failed", 100);
	s->mock.on_call = scale_speaks;
	assert_int_equal(
		radio_new(s->mock.event, &options, &sink, &s->next_seq, &s->next_id, &radio), 0);
	return radio;
}

static void test_radio_reads(void **state)
{
	struct stand *s = *state;
	struct radio *radio = begin_radio(s, true);

	radio_own_findings(radio, on_finding, s);
	assert_int_equal(s->done, 1);
	mock_until(&s->mock, s->mock.discovering && mock_count(&s->mock, "StartNotify") == 1);
	mock_device_appears(&s->mock, s->device);
	mock_until(&s->mock, s->measurements == 1);
	assert_int_equal(s->security, LINK_UNKNOWN);
	radio_committed(radio, 1);
	mock_until(&s->mock, mock_count(&s->mock, "Disconnect") == 1);
	assert_int_equal(s->lost, 1);
	assert_int_equal(s->measurements, 1);
	radio_free(radio);
}

/* Paired that way, enrolled that way, and the link goes on as any other. */
static void test_radio_pairs(void **state)
{
	const struct radio_pair_request request = { .has_address = true,
						    .address = WHO,
						    .bluetoothd = true };
	struct stand *s = *state;
	struct radio *radio = begin_radio(s, false);
	struct radio_device device;

	s->silent = true;
	s->device->bonded = false;
	mock_until(&s->mock, adapter_state(radio_adapter(radio)) == ADAPTER_READY);
	assert_int_equal(radio_pair(radio, &request), 0);
	mock_until(&s->mock, s->mock.discovering);
	mock_device_appears(&s->mock, s->device);
	mock_until(&s->mock, s->phase == RADIO_PAIRING_DONE || s->phase == RADIO_PAIRING_FAILED);
	assert_int_equal(s->phase, RADIO_PAIRING_DONE);
	assert_int_equal(mock_count(&s->mock, " Pair "), 1);
	assert_int_equal(mock_count(&s->mock, "StartNotify"), 1);
	radio_device_at(radio, 0, &device);
	assert_int_equal(device.enrolment->path, ENROLMENT_BLUETOOTHD);
	assert_int_equal(device.enrolment->level, LINK_ENCRYPTED);
	assert_int_equal(device.enrolment->table.n_characteristics, 0);
	send_value(s, WEIGHT, READING, sizeof(READING) - 1);
	mock_until(&s->mock, s->measurements == 1);
	radio_free(radio);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_caught_without_a_link),
		T(test_subscribes_to_what_is_added),
		T(test_subscribes_again),
		T(test_bluetoothd_restarts),
		T(test_bus_restarts),
		T(test_nonsense),
		T(test_queue_is_bounded),
		T(test_connects_when_connected),
		T(test_unknown_device),
		T(test_reads_and_writes),
		T(test_refusals),
		T(test_echo_of_a_read),
		T(test_peer_reads),
		T(test_peer_saves_what_was_caught),
		T(test_peer_without_room),
		T(test_peer_without_its_bond),
		T(test_radio_reads),
		T(test_radio_pairs),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
