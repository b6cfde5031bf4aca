#include "firmware-tools/update_usb.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/usb_context.h"
#include "protocols/bytes/cursor.h"
#include "protocols/dfu/dfu_descriptor.h"

#define DEVICES         "/sys/bus/usb/devices"
#define PATH_SIZE       256
#define DESCRIPTORS_MAX 4096
#define DEVICE_SIZE     18
#define TRANSFER_MS     25000 /* below the machine's own limit, so it is back by then */
#define LOOK_US         INT64_C(300000)
#define COME_BACK_US    INT64_C(30000000)
#define OTHER_MODE_US   INT64_C(8000000) /* then one in the other mode will do */
#define FREE_US         INT64_C(1000000)

struct update_usb {
	struct dfu dfu;
	struct update_usb_handlers handlers;
	char port[UPDATE_USB_PORT];
	sd_event *event;
	sd_event_source *timer, *turn;
	libusb_context *context; /* counted */
	libusb_device_handle *handle;
	int fd;
	struct libusb_transfer *transfer;
	uint8_t *buffer; /* setup and data */
	bool in_flight, came_back, linking, told;
	size_t shown;
	int64_t give_up, other_mode; /* while it is looked for */
	enum dfu_mode wanted;
	int interface;
};

/* ---- what the kernel knows of a device ---- */

static int read_small(const char *port, const char *name, uint8_t *data, size_t size)
{
	char path[PATH_SIZE];
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	ssize_t n = 1;

	if (snprintf(path, sizeof(path), DEVICES "/%s/%s", port, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -EIO;
	while (n > 0 && len < size) {
		n = read(fd, data + len, size - len);
		if (n > 0)
			len += (size_t)n;
	}
	return n < 0 ? -EIO : (int)len;
}

static int read_number(const char *port, const char *name, unsigned int *ret)
{
	char text[16] = "";
	int r = read_small(port, name, (uint8_t *)text, sizeof(text) - 1);
	char *end;
	unsigned long v;

	if (r < 0)
		return r;
	v = strtoul(text, &end, 10);
	if (end == text || v > 999)
		return -EIO;
	*ret = (unsigned int)v;
	return 0;
}

/* DfuSe's layout is the name of the interface; without it nothing is written there */
static void read_layout(const char *port, struct dfu_usb_facts *f)
{
	char name[PATH_SIZE], text[1024];
	int len;

	/* in the first configuration, which is the only one of every boot loader that is known */
	(void)snprintf(name, sizeof(name), "%s:1.%u/interface", port, f->interface);
	len = read_small(port, name, (uint8_t *)text, sizeof(text));
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (len > 0)
		(void)dfuse_layout_decode(text, (size_t)len, &f->layout);
}

int update_usb_look(const char *port, struct dfu_usb_facts *ret)
{
	uint8_t data[DESCRIPTORS_MAX];
	int len = read_small(port, "descriptors", data, sizeof(data)), r;
	struct dfu_usb_facts f = { 0 };
	struct cursor c;
	unsigned int configured;

	if (len < 0)
		return len;
	if (len < DEVICE_SIZE || len == DESCRIPTORS_MAX)
		return -EIO;
	if (read_number(port, "bConfigurationValue", &configured) < 0)
		return -ENODEV;
	r = dfu_usb_descriptor(data + DEVICE_SIZE, (size_t)len - DEVICE_SIZE, 0, &f);
	if (r < 0 && r != -ENOMSG)
		return -EIO;
	if (r == -ENOMSG)
		f.mode = DFU_MODE_APPLICATION;
	c = cursor_of(data, (size_t)len);
	cursor_skip(&c, 8);
	f.vid = cursor_le16(&c);
	f.pid = cursor_le16(&c);
	f.device = cursor_le16(&c);
	if (f.dfu == DFU_USB_DFUSE)
		read_layout(port, &f);
	*ret = f;
	return 0;
}

static bool is_wanted(const char *port, uint16_t vid, uint16_t pid)
{
	struct dfu_usb_facts f;

	if (port[0] == '.' || strchr(port, ':') || strlen(port) >= UPDATE_USB_PORT)
		return false;
	if (update_usb_look(port, &f) < 0 || f.dfu == 0)
		return false;
	return (vid == 0xffff || vid == f.vid) && (pid == 0xffff || pid == f.pid);
}

int update_usb_find(uint16_t vid, uint16_t pid, char ret_port[UPDATE_USB_PORT])
{
	char port[UPDATE_USB_PORT] = "";
	const struct dirent *entry;
	DIR *dir = opendir(DEVICES);
	int found = 0;

	if (!dir)
		return -ENODEV;
	while ((entry = readdir(dir))) {
		if (!is_wanted(entry->d_name, vid, pid))
			continue;
		found++;
		(void)snprintf(port, sizeof(port), "%.*s", UPDATE_USB_PORT - 1, entry->d_name);
	}
	(void)closedir(dir);
	if (found != 1)
		return found == 0 ? -ENODEV : -ENOTUNIQ;
	memcpy(ret_port, port, UPDATE_USB_PORT);
	return 0;
}

/* ---- the link ---- */

static void close_device(struct update_usb *u)
{
	assert(!u->in_flight);
	if (u->handle)
		libusb_close(u->handle); /* releases what was claimed */
	u->handle = NULL;
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
}

static int open_node(const char *port)
{
	unsigned int bus, number;
	char path[PATH_SIZE];
	int fd;

	if (read_number(port, "busnum", &bus) < 0 || read_number(port, "devnum", &number) < 0)
		return -ENODEV;
	(void)snprintf(path, sizeof(path), "/dev/bus/usb/%03u/%03u", bus, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_device(struct update_usb *u, const struct dfu_usb_facts *f)
{
	int r;

	if (f->dfu == 0)
		return 0; /* an application without DFU: nothing is said to it */
	u->fd = open_node(u->port);
	if (u->fd < 0) {
		r = u->fd;
		u->fd = -1;
		return r;
	}
	u->interface = f->interface;
	r = libusb_wrap_sys_device(u->context, (intptr_t)u->fd, &u->handle);
	if (r == LIBUSB_SUCCESS) {
		(void)libusb_set_auto_detach_kernel_driver(u->handle, 1);
		r = libusb_claim_interface(u->handle, u->interface);
	}
	if (r != LIBUSB_SUCCESS)
		close_device(u);
	return usb_context_errno(r);
}

static int64_t now_of(const struct update_usb *u)
{
	uint64_t now = 0;

	(void)sd_event_now(u->event, CLOCK_MONOTONIC, &now);
	return (int64_t)now;
}

static void tell(struct update_usb *u, enum dfu_event_kind kind, const uint8_t *data, size_t len)
{
	const struct dfu_event e = {
		.kind = kind, .channel = DFU_CONTROL, .data = data, .len = len
	};

	dfu_event(&u->dfu, now_of(u), &e);
}

/* One look for the device; true: there is a link, or there will be none. */
static bool look(struct update_usb *u)
{
	struct dfu_usb_facts f;
	struct dfu_link link = { .usb = &f };
	const struct dfu_event e = { .kind = DFU_LINKED, .link = &link };
	int64_t now = now_of(u);
	int r = update_usb_look(u->port, &f);

	if (r == 0 && u->wanted != 0 && f.mode != u->wanted && now < u->other_mode)
		r = -EAGAIN;
	if (r == 0)
		r = open_device(u, &f);
	if (r == 0) {
		link.mode = f.mode;
		dfu_event(&u->dfu, now, &e);
		return true;
	}
	if (now < u->give_up)
		return false;
	tell(u, DFU_LOST, NULL, 0);
	return true;
}

static void wake_at(const struct update_usb *u, int64_t at)
{
	(void)sd_event_source_set_time(u->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static void relink(struct update_usb *u, const struct dfu_request *r)
{
	int64_t now = now_of(u);

	if (u->handle && r->reset)
		(void)libusb_reset_device(u->handle); /* it may be another device afterwards */
	close_device(u);
	u->linking = true;
	u->wanted = r->mode;
	u->other_mode = now + r->pause + OTHER_MODE_US;
	u->give_up = now + r->pause + COME_BACK_US;
	if (u->handlers.step && u->dfu.links != 0)
		u->handlers.step(u->handlers.user, "waiting for the device to come back");
	wake_at(u, now + r->pause);
}

/* ---- transfers ---- */

/* from libusb: only a note */
static void on_transfer(struct libusb_transfer *t)
{
	struct update_usb *u = t->user_data;

	u->in_flight = false;
	u->came_back = true;
	(void)sd_event_source_set_enabled(u->turn, SD_EVENT_ONESHOT);
}

static void send_one(struct update_usb *u, const struct dfu_request *r)
{
	if (!u->handle || r->setup.length > DFU_CONTROL_MAX) {
		tell(u, DFU_LOST, NULL, 0);
		return;
	}
	libusb_fill_control_setup(u->buffer, r->setup.type, r->setup.request, r->setup.value,
				  r->setup.index, r->setup.length);
	if (r->len != 0)
		memcpy(u->buffer + LIBUSB_CONTROL_SETUP_SIZE, r->data, r->len);
	libusb_fill_control_transfer(u->transfer, u->handle, u->buffer, on_transfer, u,
				     TRANSFER_MS);
	if (libusb_submit_transfer(u->transfer) == LIBUSB_SUCCESS) {
		u->in_flight = true;
		return;
	}
	close_device(u);
	tell(u, DFU_LOST, NULL, 0);
}

static void take_transfer(struct update_usb *u)
{
	const struct libusb_transfer *t = u->transfer;
	bool in = (u->buffer[0] & LIBUSB_ENDPOINT_IN) != 0;

	u->came_back = false;
	if (t->status == LIBUSB_TRANSFER_COMPLETED) {
		tell(u, in ? DFU_CAME : DFU_WRITTEN, u->buffer + LIBUSB_CONTROL_SETUP_SIZE,
		     in ? (size_t)t->actual_length : 0);
	} else if (t->status == LIBUSB_TRANSFER_STALL) {
		tell(u, DFU_DENIED, NULL, 0);
	} else if (t->status != LIBUSB_TRANSFER_TIMED_OUT) {
		close_device(u);
		tell(u, DFU_LOST, NULL, 0);
	} /* else the machine has its own limit, and knows what was asked */
}

/* ---- the loop ---- */

static void show(struct update_usb *u)
{
	if (u->dfu.done == u->shown || !u->handlers.progress)
		return;
	u->shown = u->dfu.done;
	u->handlers.progress(u->handlers.user, u->dfu.done, u->dfu.total);
}

static void end(struct update_usb *u)
{
	if (u->told)
		return;
	u->told = true;
	close_device(u);
	u->handlers.ended(u->handlers.user);
}

/* everything that can be done now */
static void pump(struct update_usb *u)
{
	struct dfu_request r;

	while (!u->in_flight && !u->linking) {
		dfu_next(&u->dfu, now_of(u), &r);
		show(u);
		if (r.act == DFU_SEND) {
			send_one(u, &r);
		} else if (r.act == DFU_RELINK) {
			relink(u, &r);
		} else if (r.act == DFU_END) {
			end(u);
			return;
		} else {
			wake_at(u, r.until);
			return;
		}
	}
}

static int on_turn(sd_event_source *source, void *user)
{
	struct update_usb *u = user;

	(void)source;
	if (u->came_back)
		take_transfer(u);
	pump(u);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct update_usb *u = user;

	(void)source;
	(void)usec;
	if (u->linking) {
		u->linking = !look(u);
		if (u->linking)
			wake_at(u, now_of(u) + LOOK_US);
	}
	pump(u);
	return 0;
}

/* libusb cannot handle a descriptor: nothing more will come */
static void on_failure(void)
{
}

static int make(struct update_usb *u)
{
	int r = sd_event_add_time(u->event, &u->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer,
				  u);

	if (r >= 0)
		r = sd_event_add_defer(u->event, &u->turn, on_turn, u);
	if (r >= 0)
		r = usb_context_ref(u->event, on_failure, &u->context);
	if (r < 0)
		return r;
	u->buffer = malloc(LIBUSB_CONTROL_SETUP_SIZE + DFU_CONTROL_MAX);
	u->transfer = libusb_alloc_transfer(0);
	return u->buffer && u->transfer ? 0 : -ENOMEM;
}

int update_usb_start(sd_event *event, const char *port, const struct dfu_plan *plan,
		     const struct update_usb_handlers *handlers, struct update_usb **ret)
{
	struct update_usb *u;
	int r;

	if (strlen(port) >= UPDATE_USB_PORT || strchr(port, '/'))
		return -EINVAL;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->fd = -1;
	u->handlers = *handlers;
	memcpy(u->port, port, strlen(port) + 1);
	u->event = sd_event_ref(event);
	r = dfu_begin(&u->dfu, &DFU_USB, plan);
	if (r >= 0)
		r = make(u); /* the turn begins it */
	if (r < 0) {
		update_usb_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

const struct dfu *update_usb_result(const struct update_usb *u)
{
	return &u->dfu;
}

void update_usb_free(struct update_usb *u)
{
	if (!u)
		return;
	if (u->in_flight) {
		(void)libusb_cancel_transfer(u->transfer);
		usb_context_handle(FREE_US);
	}
	(void)sd_event_source_disable_unref(u->timer);
	(void)sd_event_source_disable_unref(u->turn);
	if (u->in_flight)
		return; /* libusb still has it: lost memory is better than memory of others */
	close_device(u);
	libusb_free_transfer(u->transfer);
	free(u->buffer);
	if (u->context)
		usb_context_unref();
	(void)sd_event_unref(u->event);
	free(u);
}
