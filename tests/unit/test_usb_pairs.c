/* links: transports */
/*
 * One wire over two interfaces of a device, over the real libusb; the kernel is fake_usbfs.h. Each
 * interface has an open file of its own, which is a fake device of its own here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/driver.h"
#include "drivers/transport/usb_io.h"
#include "drivers/transport/usb_pairs.h"
#include "fake_usbfs.h"

#define LIMIT_US UINT64_C(20000000)
#define PACKET   32

#define INTERFACE_(number)             9, 4, number, 0, 2, 3, 0, 0, 0, HID_
#define HID_                           9, 0x21, 0x11, 1, 0, 1, 0x22, 28, 0
#define ENDPOINT_(address, type)       7, 5, address, type, PACKET, 0, 1
#define PAIR_(in, type_in, out, type_) ENDPOINT_(in, type_in), ENDPOINT_(out, type_)

/* of HID, as the base station; the data's endpoint out is bulk here, so that both kinds are met */
static const uint8_t STATION[] = {
	18,
	1,
	0,
	2,
	0,
	0,
	0,
	32,
	0x87,
	0x26,
	1,
	0xfb,
	0,
	2,
	1,
	2,
	0,
	1, /* device */
	9,
	2,
	73,
	0,
	2,
	1,
	0,
	0x80,
	50, /* configuration */
	INTERFACE_(0),
	PAIR_(0x81, 3, 0x01, 2), /* data */
	INTERFACE_(1),
	PAIR_(0x82, 3, 0x02, 3), /* commands */
};

struct host {
	sd_event *event;
	struct wire *wire;
	struct fake_device *data, *commands;
	unsigned int frames[DRV_WIRE_BULK + 1];
	uint8_t last[PACKET];
	size_t last_len;
	unsigned int gone;
	int error;
};

static void on_frame(void *user, uint16_t channel, const uint8_t *data, size_t len)
{
	struct host *h = user;

	assert_true(channel <= DRV_WIRE_BULK && len <= PACKET && h->gone == 0);
	h->frames[channel]++;
	memcpy(h->last, data, len);
	h->last_len = len;
}

static void on_gone(void *user, int error)
{
	struct host *h = user;

	h->gone++;
	h->error = error;
}

#define RUN_UNTIL(h, what)                                                   \
	do {                                                                 \
		while (!(what))                                              \
			assert_true(sd_event_run((h)->event, LIMIT_US) > 0); \
	} while (0)

static int open_wire(struct host *h)
{
	const struct wire_sink sink = { .frame = on_frame, .gone = on_gone, .user = h };
	struct usb_pairs_part parts[] = { { .channel = DRV_WIRE_REPORT, .fd = h->commands->fd },
					  { .channel = DRV_WIRE_BULK, .fd = h->data->fd } };

	assert_int_equal(usb_choose_pair(STATION, sizeof(STATION), 1, 1, &parts[0].choice), 0);
	assert_int_equal(usb_choose_pair(STATION, sizeof(STATION), 1, 0, &parts[1].choice), 0);
	return usb_pairs_open(h->event, parts, 2, &sink, &h->wire);
}

static int set_up(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	assert_true(sd_event_new(&h->event) >= 0);
	h->commands = fake_plug(STATION, sizeof(STATION));
	h->data = fake_plug(STATION, sizeof(STATION));
	h->commands->driver_bound = h->data->driver_bound = true;
	h->commands->was_bound = h->data->was_bound = true;
	*state = h;
	return 0;
}

static int clear_up(void **state)
{
	struct host *h = *state;

	wire_free(h->wire);
	RUN_UNTIL(h, usb_io_open_count() == 0);
	fake_free(h->commands);
	fake_free(h->data);
	sd_event_unref(h->event);
	free(h);
	return 0;
}

static void test_chosen(void **state)
{
	struct usb_interface_choice c;

	(void)state;
	assert_int_equal(usb_choose_pair(STATION, sizeof(STATION), 1, 0, &c), 0);
	assert_int_equal(c.interface, 0);
	assert_int_equal(c.bulk_in.address, 0x81);
	assert_true(c.bulk_in.interrupt);
	assert_int_equal(c.bulk_out.address, 0x01);
	assert_false(c.bulk_out.interrupt);
	assert_int_equal(usb_choose_pair(STATION, sizeof(STATION), 1, 1, &c), 0);
	assert_int_equal(c.bulk_in.address, 0x82);
	assert_int_equal(c.bulk_out.address, 0x02);
	assert_true(c.bulk_out.interrupt);
	assert_int_equal(c.bulk_out.packet, PACKET);
	assert_int_equal(usb_choose_pair(STATION, sizeof(STATION), 1, 2, &c), -ENOMSG);
	assert_int_equal(usb_choose_bulk(STATION, sizeof(STATION), 1, -1, &c), -ENOMSG);
}

static void test_both_ways(void **state)
{
	struct host *h = *state;
	static const uint8_t command[] = { 0, 2, 1 }, packet[PACKET] = { 0xc0, 1, [31] = 2 };

	assert_int_equal(open_wire(h), 0);
	RUN_UNTIL(h, h->commands->n_pending > 0 && h->data->n_pending > 0);
	assert_int_equal(h->commands->pending[0]->type, USBDEVFS_URB_TYPE_INTERRUPT);
	assert_false(h->commands->driver_bound || h->data->driver_bound);
	fake_say(h->commands, 0x82, 0, "\x03\x04", 3);
	RUN_UNTIL(h, h->frames[DRV_WIRE_REPORT] == 1);
	assert_int_equal(h->last_len, 3);
	fake_say_cut(h->data, 0x81, packet, sizeof(packet), sizeof(packet));
	RUN_UNTIL(h, h->frames[DRV_WIRE_BULK] == 1);
	assert_memory_equal(h->last, packet, sizeof(packet));
	assert_int_equal(wire_write(h->wire, DRV_WIRE_REPORT, command, sizeof(command)), 0);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_BULK, packet, sizeof(packet)), 0);
	RUN_UNTIL(h, h->commands->out_len > 0 && h->data->out_len > 0);
	assert_int_equal(h->commands->out_len, 2); /* the report number is not sent */
	assert_memory_equal(h->commands->out, command + 1, 2);
	assert_int_equal(h->data->out_len, PACKET);
	assert_int_equal(h->data->empty_packets, 0);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_REPORT, command + 1, 2), -EMSGSIZE);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_REPORT, command, 1), -EMSGSIZE);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_BULK, command, 0), -EMSGSIZE);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_APDU, packet, 1), -ENOTSUP);
	wire_free(h->wire);
	h->wire = NULL;
	RUN_UNTIL(h, usb_io_open_count() == 0);
	assert_true(h->commands->driver_bound && h->data->driver_bound); /* handed back */
	assert_false(h->commands->claimed || h->data->claimed);
	assert_int_equal(h->gone, 0);
}

/* What was on its way when there was no room comes when there is, and before the end is told. */
static void test_held(void **state)
{
	struct host *h = *state;

	assert_int_equal(open_wire(h), 0);
	RUN_UNTIL(h, h->commands->n_pending > 0 && h->data->n_pending > 0);
	wire_hold(h->wire, true);
	fake_say(h->commands, 0x82, 0, "\x02\x07", 2);
	fake_say(h->data, 0x81, 0, "\xc0", 1);
	RUN_UNTIL(h, h->commands->n_pending == 0 && h->data->n_pending == 0);
	while (sd_event_run(h->event, 50000) > 0)
		;
	assert_int_equal(h->frames[DRV_WIRE_REPORT] + h->frames[DRV_WIRE_BULK], 0);
	assert_int_equal(h->commands->n_pending + h->data->n_pending, 0); /* nothing is read */
	fake_unplug(h->data);
	fake_unplug(h->commands);
	while (sd_event_run(h->event, 50000) > 0)
		;
	assert_int_equal(h->gone, 0);
	wire_hold(h->wire, false);
	RUN_UNTIL(h, h->gone == 1);
	assert_int_equal(h->frames[DRV_WIRE_REPORT], 1);
	assert_int_equal(h->frames[DRV_WIRE_BULK], 1);
}

static void test_unplugged(void **state)
{
	struct host *h = *state;
	static const uint8_t command[] = { 0, 2, 1 };

	assert_int_equal(open_wire(h), 0);
	RUN_UNTIL(h, h->commands->n_pending > 0 && h->data->n_pending > 0);
	fake_unplug(h->data);
	fake_unplug(h->commands);
	RUN_UNTIL(h, h->gone > 0);
	assert_int_equal(h->error, ENODEV);
	assert_int_equal(wire_write(h->wire, DRV_WIRE_REPORT, command, sizeof(command)), -EPIPE);
	while (sd_event_run(h->event, 50000) > 0)
		;
	assert_int_equal(h->gone, 1);
}

/* One of the interfaces is somebody else's: the other one is let go of, and no file stays open. */
static void test_busy(void **state)
{
	struct host *h = *state;

	h->data->busy = true;
	assert_int_equal(open_wire(h), -EBUSY);
	assert_null(h->wire);
	RUN_UNTIL(h, usb_io_open_count() == 0);
	assert_false(h->commands->claimed);
	assert_true(h->commands->driver_bound);
	assert_int_equal(fcntl(h->commands->fd, F_GETFD), -1);
	assert_int_equal(fcntl(h->data->fd, F_GETFD), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, clear_up)
	const size_t fds = fake_count("/proc/self/fd");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chosen), TEST(test_both_ways), TEST(test_held),
		TEST(test_unplugged),          TEST(test_busy),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed || fake_count("/proc/self/fd") != fds;
}
