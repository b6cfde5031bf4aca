#include "drivers/transport/hidraw.h"

#include <assert.h>
#include <errno.h>
#include <linux/hidraw.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "drivers/driver.h"
#include "drivers/transport/hid_out.h"
#include "drivers/transport/node.h"

struct hidraw {
	struct wire wire; /* first */
	struct node node;
	struct hid_out *out;
	struct hid_reports reports;
};

static_assert(HID_DESCRIPTOR_MAX == HID_MAX_DESCRIPTOR_SIZE, "as the kernel has it");

static struct hidraw *of_wire(struct wire *w)
{
	return (struct hidraw *)(void *)w;
}

/* Devices are known that take reports of which their descriptor does not tell. */
static bool fits(const struct hid_reports *r, enum hid_kind type, const uint8_t *data, size_t len)
{
	const size_t size = len > 0 ? hid_report_size(r, type, data[0]) : 0;

	return len > 0 && (size == 0 || len <= size);
}

static void on_failed(void *user, int error)
{
	struct hidraw *h = user;

	node_fail(&h->node, error);
}

static int on_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	struct hidraw *h = of_wire(w);
	const enum hid_kind type = channel == DRV_WIRE_FEATURE ? HID_FEATURE : HID_OUTPUT;

	if (channel != DRV_WIRE_REPORT && channel != DRV_WIRE_FEATURE)
		return -ENOTSUP;
	if (h->node.error)
		return -EPIPE;
	if (len > DRV_WRITE_MAX || !fits(&h->reports, type, data, len))
		return -EMSGSIZE;
	return hid_out_write(h->out, type, data, len);
}

static void on_hold(struct wire *w, bool hold)
{
	node_hold(&of_wire(w)->node, hold);
}

static void on_free(struct wire *w)
{
	struct hidraw *h = of_wire(w);

	hid_out_free(h->out);
	node_clear(&h->node);
	free(h);
}

static const struct wire_ops ops = { .write = on_write, .hold = on_hold, .free = on_free };

int hidraw_over(sd_event *event, int fd, const struct hid_reports *reports,
		const struct wire_sink *sink, struct wire **ret)
{
	struct hidraw *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->wire.ops = &ops;
	h->reports = *reports;
	h->node.channel = DRV_WIRE_REPORT;
	r = hid_out_new(event, fd, hid_out_put, on_failed, h, &h->out);
	if (r == 0)
		r = node_init(&h->node, event, fd, sink);
	if (r < 0) {
		hid_out_free(h->out);
		free(h);
		return r;
	}
	*ret = &h->wire;
	return 0;
}

int hidraw_open(sd_event *event, int fd, const struct wire_sink *sink, struct wire **ret)
{
	struct hidraw_report_descriptor descriptor = { .size = 0 };
	struct hid_reports reports;
	int size = 0, r;

	if (ioctl(fd, HIDIOCGRDESCSIZE, &size) < 0)
		return -errno;
	if (size < 0 || size > HID_DESCRIPTOR_MAX)
		return -EMSGSIZE;
	descriptor.size = (uint32_t)size;
	if (ioctl(fd, HIDIOCGRDESC, &descriptor) < 0)
		return -errno;
	r = hid_reports_parse(descriptor.value, (size_t)size, &reports);
	return r < 0 ? r : hidraw_over(event, fd, &reports, sink, ret);
}
