#include "drivers/transport/hidraw.h"

#include <assert.h>
#include <errno.h>
#include <linux/hidraw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "drivers/driver.h"
#include "drivers/transport/node.h"

struct hidraw {
	struct wire wire; /* first */
	struct node node;
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

static int write_feature(struct hidraw *h, const uint8_t *data, size_t len)
{
	uint8_t copy[DRV_WRITE_MAX]; /* the kernel wants to be able to write into it */
	int r;

	if (len > sizeof(copy))
		return -EMSGSIZE;
	memcpy(copy, data, len);
	do {
		r = ioctl(h->node.fd, HIDIOCSFEATURE(len), copy);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		node_fail(&h->node, errno);
	return 0;
}

static int on_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	struct hidraw *h = of_wire(w);
	const enum hid_kind type = channel == DRV_WIRE_FEATURE ? HID_FEATURE : HID_OUTPUT;

	if (channel != DRV_WIRE_REPORT && channel != DRV_WIRE_FEATURE)
		return -ENOTSUP;
	if (h->node.error)
		return -EPIPE;
	if (!fits(&h->reports, type, data, len))
		return -EMSGSIZE;
	if (type == HID_FEATURE)
		return write_feature(h, data, len);
	return node_write(&h->node, data, len);
}

static void on_hold(struct wire *w, bool hold)
{
	node_hold(&of_wire(w)->node, hold);
}

static void on_free(struct wire *w)
{
	struct hidraw *h = of_wire(w);

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
	h->node.records = true;
	r = node_init(&h->node, event, fd, sink);
	if (r < 0) {
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
