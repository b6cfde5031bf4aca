/*
 * Boot loaders that wait for an update over USB: of DFU 1.1 and of DfuSe (../../../dfu). They hold
 * 4096 bytes of an old firmware, all 0x11; what is a good new one is told first, as its CRC-32 and
 * length, because the first of them checks what it gets.
 *
 *   N firmware LENGTH       what comes will have so many bytes: of the pattern (i * 7 + i / 256)
 *   N erase-time USEC       for each page
 *   N runs                  answers old, new, waits or mixture: what it would start now
 *
 * Its application has no DFU, so after its end it is the same device without an interface of that
 * class; here it stays in its boot loader, as one whose button is held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/dfu/sim.h"
#include "tests/lab/usb/models/models.h"

#define OLD_LEN  4096
#define BANK     65536
#define TRANSFER 1024

static const uint8_t DEVICE[18] = {
	18, 1, 0x00, 0x02, 0, 0, 0, 64, 0x09, 0x12, 0x01, 0x00, 0x05, 0x00, 1, 2, 3, 1,
};

#define CONFIGURATION(attributes, bcd)                                                           \
	{                                                                                        \
		9, 2, 27, 0, 1, 1, 0, 0xc0, 0,        /* configuration */                        \
			9, 4, 0, 0, 0, 0xfe, 1, 2, 2, /* DFU mode, its name */                   \
			9, 0x21, attributes, 0xe8, 0x03, 0x00, 0x04, bcd, 0x01, /* functional */ \
	}

static const uint8_t PLAIN[] = CONFIGURATION(0x07, 0x10);
static const uint8_t DFUSE[] = CONFIGURATION(0x0b, 0x1a);

struct state {
	struct sim sim;
	uint8_t old_image[OLD_LEN], new_image[BANK];
	bool made;
};

static enum sim_kind kind_of(const struct usb_device *d)
{
	return d->model->variant ? SIM_USB_DFUSE : SIM_USB_DFU;
}

/* a boot loader whose button is held: it stays one */
static void hold(struct state *s)
{
	s->sim.mode = DFU_MODE_UPDATE;
	s->sim.of.usb.button = true;
	s->sim.of.usb.state = 2; /* dfuIDLE */
}

static void make(const struct usb_device *d, size_t len)
{
	struct state *const s = d->state;
	const struct sim_options o = {
		.kind = kind_of(d),
		.bank = BANK,
		.page = 2048,
		.transfer = TRANSFER,
		.version = 5,
		.attributes = kind_of(d) == SIM_USB_DFUSE ? 0x0b : 0x07,
	};

	if (s->made)
		sim_done(&s->sim);
	memset(s->old_image, 0x11, sizeof(s->old_image));
	for (size_t i = 0; i < sizeof(s->new_image); i++)
		s->new_image[i] = (uint8_t)(i * 7 + i / 256);
	sim_init(&s->sim, &o, s->old_image, sizeof(s->old_image), s->new_image, len);
	s->made = true;
	hold(s);
}

static void born(struct usb_device *d)
{
	make(d, OLD_LEN);
}

/* also after a reset: power stays */
static void configured(struct usb_device *d)
{
	struct state *const s = d->state;

	s->sim.queued = 0;
	s->sim.dropped = false;
	s->sim.of.usb.received = 0;
	hold(s);
}

static int control(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	struct state *const s = d->state;
	const bool in = (setup->type & USB_IN) != 0;
	struct dfu_request r = {
		.act = DFU_SEND,
		.channel = DFU_CONTROL,
		.setup = { setup->type, setup->request, setup->value, setup->index, setup->length },
		.data = data,
		.len = in ? 0 : setup->length,
	};
	struct sim_message m;
	int64_t next;

	if ((setup->type & 0x7f) != 0x21 || setup->length > TRANSFER)
		return USB_STALL;
	s->sim.now = usb_now();
	usb_log(d, "hears request %u value %u length %u", setup->request, setup->value,
		setup->length);
	sim_take(&s->sim, &r);
	if (!sim_answer(&s->sim, &m, &next) || m.kind == DFU_DENIED)
		return USB_STALL;
	if (s->sim.dropped) {
		usb_log(d, "starts its program");
		hold(s);
		s->sim.dropped = false;
	}
	if (m.len != 0)
		memcpy(data, m.data, m.len);
	return (int)m.len;
}

static void unplugged(struct usb_device *d)
{
	struct state *const s = d->state;

	sim_power_on(&s->sim); /* what it was told and not yet done is forgotten */
	hold(s);
}

static int command(struct usb_device *d, char **words, size_t n, char *answer, size_t size)
{
	static const char *const runs[] = { "", "old", "new", "waits", "mixture" };
	struct state *const s = d->state;

	if (strcmp(words[0], "runs") == 0 && n == 1) {
		(void)snprintf(answer, size, "%s", runs[sim_runs(&s->sim)]);
	} else if (strcmp(words[0], "firmware") == 0 && n == 2) {
		const long len = strtol(words[1], NULL, 10);

		if (len < 8 || len > BANK)
			return -EINVAL;
		make(d, (size_t)len);
	} else if (strcmp(words[0], "erase-time") == 0 && n == 2) {
		s->sim.o.erase_us = strtol(words[1], NULL, 10);
	} else {
		return -ENOENT;
	}
	return 0;
}

#define MODEL(identifier, label, bytes, string, kind)               \
	const struct usb_model identifier = {                       \
		.name = (label),                                    \
		.speed = USBIP_FULL,                                \
		.device = { DEVICE, sizeof(DEVICE) },               \
		.configuration = { bytes, sizeof(bytes) },          \
		.strings = { NULL, "Wellgate lab", string, "DFU" }, \
		.state_size = sizeof(struct state),                 \
		.variant = (kind),                                  \
		.born = born,                                       \
		.configured = configured,                           \
		.control = control,                                 \
		.unplugged = unplugged,                             \
		.command = command,                                 \
	}

MODEL(usb_dfu, "dfu", PLAIN, "Boot loader", NULL);
MODEL(usb_dfuse, "dfuse", DFUSE, "@Internal Flash  /0x08000000/32*002Kg", "dfuse");
