/*
 * Devices behind Linux's usbfs, as far as libusb uses it, inside the test: the real libusb, and in
 * place of the kernel ioctl(), read() and lseek() of this program, which libusb finds before the C
 * library's. A device's descriptor is the writing end of a pipe of one page: full it is not
 * writable, as usbfs while nothing has ended; emptied it is; without a reader it has an error, as
 * usbfs when the device is pulled. Nothing here has a thread or a timer.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAKE_DEVICES  4
#define FAKE_URBS     16
#define FAKE_PACKETS  1100
#define FAKE_LOG_MAX  ((size_t)256 * 1024)
#define FAKE_PAGE     4096
#define FAKE_STANDARD 0x60 /* bits of bmRequestType; 0: a standard request */

int fake_ioctl(int fd, unsigned long request, void *arg) __asm__("ioctl");
ssize_t fake_read(int fd, void *data, size_t len) __asm__("read");
off_t fake_lseek(int fd, off_t offset, int whence) __asm__("lseek");

/* also without assertions */
static void fake_must(bool truth)
{
	if (!truth)
		abort();
}

struct fake_packet {
	uint8_t endpoint;
	int status; /* 0, or what the host controller says instead: -EPIPE, -EOVERFLOW, -EPROTO */
	size_t len;
	uint8_t data[1024];
};

struct fake_device {
	int fd, reader; /* the pipe's two ends; fd is -1 once its number is used again */
	bool gone;
	const uint8_t *descriptors;
	size_t descriptors_len;
	size_t at; /* of read() */
	struct usbdevfs_urb *pending[FAKE_URBS], *ended[FAKE_URBS];
	size_t n_pending, n_ended;
	struct fake_packet packets[FAKE_PACKETS];
	size_t first_packet, n_packets;
	uint32_t halted;           /* bit: endpoint number, +16 for IN */
	uint8_t out[FAKE_LOG_MAX]; /* all that was sent to it */
	size_t out_len;
	unsigned int submitted, reaped, requests, halts_set, halts_freed, host_resets,
		empty_packets;
	unsigned int unplug_at; /* the transfer at which it is pulled; 0: never */
	bool unplug_refuses;    /* before that transfer is under way, not while it is */
	bool mute_out, mute_control, refuses_feature;
	bool broken;            /* usbfs itself fails */
	unsigned int stall_out; /* so many times */
	bool driver_bound, was_bound, claimed, busy;
	uint8_t feature; /* of the preamble; 1 on */
	void (*on_out)(struct fake_device *d, const uint8_t *data, size_t len);
	void *user;
};

static struct fake_device *fake_devices[FAKE_DEVICES];

static struct fake_device *fake_find(int fd)
{
	for (size_t i = 0; i < FAKE_DEVICES; i++)
		if (fake_devices[i] && fake_devices[i]->fd == fd)
			return fake_devices[i];
	return NULL;
}

/* usbfs is writable while something can be reaped */
static void fake_signal(struct fake_device *d)
{
	static const uint8_t page[FAKE_PAGE];
	uint8_t drained[FAKE_PAGE];

	if (d->gone)
		return;
	if (d->n_ended > 0)
		(void)syscall(SYS_read, d->reader, drained, sizeof(drained));
	else
		(void)syscall(SYS_write, d->fd, page, sizeof(page));
}

static void fake_remove(struct usbdevfs_urb **list, size_t *n, size_t i)
{
	(*n)--;
	memmove(list + i, list + i + 1, (*n - i) * sizeof(struct usbdevfs_urb *));
}

static void fake_end(struct fake_device *d, size_t i, int status, size_t actual)
{
	struct usbdevfs_urb *urb = d->pending[i];

	urb->status = status;
	urb->actual_length = (int)actual;
	fake_remove(d->pending, &d->n_pending, i);
	fake_must(d->n_ended < FAKE_URBS);
	d->ended[d->n_ended++] = urb;
	fake_signal(d);
}

static void fake_unplug(struct fake_device *d)
{
	if (d->gone)
		return;
	while (d->n_pending > 0)
		fake_end(d, 0, -ESHUTDOWN, 0);
	d->gone = true;
	(void)close(d->reader);
	d->reader = -1;
}

/* ---- the device ---- */

static uint32_t fake_bit(uint8_t endpoint)
{
	return 1U << ((endpoint & 0x0f) + (endpoint & 0x80 ? 16 : 0));
}

/* gives what the device has to say to the transfers that wait for it */
static void fake_serve(struct fake_device *d)
{
	for (size_t i = 0; i < d->n_pending;) {
		struct usbdevfs_urb *urb = d->pending[i];
		struct fake_packet *p = d->packets + d->first_packet;

		if (urb->type == USBDEVFS_URB_TYPE_CONTROL || !(urb->endpoint & 0x80)) {
			i++;
		} else if (d->halted & fake_bit(urb->endpoint)) {
			fake_end(d, i, -EPIPE, 0);
		} else if (d->n_packets > 0 && p->endpoint == urb->endpoint) {
			fake_must(p->len <= (size_t)urb->buffer_length);
			memcpy(urb->buffer, p->data, p->len);
			if (p->status == -EPIPE)
				d->halted |= fake_bit(urb->endpoint);
			fake_end(d, i, p->status, p->len);
			d->first_packet++;
			d->n_packets--;
		} else {
			i++;
		}
	}
}

static void fake_say(struct fake_device *d, uint8_t endpoint, int status, const void *data,
		     size_t len)
{
	struct fake_packet *p = d->packets + d->first_packet + d->n_packets;

	fake_must(d->first_packet + d->n_packets < FAKE_PACKETS && len <= sizeof(p->data));
	*p = (struct fake_packet){ .endpoint = endpoint, .status = status, .len = len };
	if (len > 0)
		memcpy(p->data, data, len);
	d->n_packets++;
	fake_serve(d);
}

/* in packets of so many bytes */
static void fake_say_cut(struct fake_device *d, uint8_t endpoint, const uint8_t *data, size_t len,
			 size_t packet)
{
	for (size_t at = 0; at < len; at += packet)
		fake_say(d, endpoint, 0, data + at, len - at < packet ? len - at : packet);
}

static int fake_control(struct fake_device *d, const uint8_t *setup, uint8_t *answer,
			size_t *ret_len)
{
	const unsigned int length = setup[6] | (unsigned int)setup[7] << 8;

	d->requests++;
	*ret_len = 0;
	if (setup[0] == 0x02 && setup[1] == 3) {
		d->halts_set++;
		d->halted |= fake_bit(setup[4]);
	} else if (setup[0] == 0x02 && setup[1] == 1) {
		d->halts_freed++;
		d->halted &= ~fake_bit(setup[4]);
	} else if (setup[0] == 0x21 && setup[2] == 1 && setup[3] == 1) {
		if (d->refuses_feature)
			return -EPIPE;
		d->feature = setup[1] == 3;
	} else if (setup[0] & 0x80 && setup[1] == 0 && length == 2) {
		memset(answer, 0, 2);
		*ret_len = 2;
	} else {
		return -EPIPE;
	}
	return 0;
}

static void fake_take_control(struct fake_device *d, size_t i)
{
	struct usbdevfs_urb *urb = d->pending[i];
	uint8_t *setup = urb->buffer;
	size_t len;
	int status;

	fake_must(urb->buffer_length >= 8);
	if (d->mute_control)
		return;
	status = fake_control(d, setup, setup + 8, &len);
	fake_end(d, i, status, len);
}

static void fake_take_out(struct fake_device *d, size_t i)
{
	struct usbdevfs_urb *urb = d->pending[i];
	const size_t len = (size_t)urb->buffer_length;

	if (d->mute_out)
		return;
	if (d->stall_out > 0) {
		d->stall_out--;
		d->halted |= fake_bit(urb->endpoint);
	}
	if (d->halted & fake_bit(urb->endpoint)) {
		fake_end(d, i, -EPIPE, 0);
		return;
	}
	fake_must(d->out_len + len <= FAKE_LOG_MAX);
	memcpy(d->out + d->out_len, urb->buffer, len);
	d->out_len += len;
	d->empty_packets += urb->flags & USBDEVFS_URB_ZERO_PACKET ? 1U : 0U;
	fake_end(d, i, 0, len);
	if (d->on_out)
		d->on_out(d, d->out + d->out_len - len, len);
}

/* ---- the system calls ---- */

static int fake_submit(struct fake_device *d, struct usbdevfs_urb *urb)
{
	const bool pull = ++d->submitted == d->unplug_at;

	if (pull && d->unplug_refuses) {
		d->submitted--;
		fake_unplug(d);
		return -ENODEV;
	}
	fake_must(d->n_pending < FAKE_URBS);
	d->pending[d->n_pending++] = urb;
	if (pull)
		fake_unplug(d);
	else if (urb->type == USBDEVFS_URB_TYPE_CONTROL)
		fake_take_control(d, d->n_pending - 1);
	else if (!(urb->endpoint & 0x80))
		fake_take_out(d, d->n_pending - 1);
	fake_serve(d);
	return 0;
}

static int fake_reap(struct fake_device *d, struct usbdevfs_urb **ret)
{
	if (d->broken)
		return -EIO;
	if (d->n_ended == 0)
		return d->gone ? -ENODEV : -EAGAIN;
	*ret = d->ended[0];
	d->reaped++;
	fake_remove(d->ended, &d->n_ended, 0);
	fake_signal(d);
	return 0;
}

static int fake_discard(struct fake_device *d, const struct usbdevfs_urb *urb)
{
	for (size_t i = 0; i < d->n_pending; i++)
		if (d->pending[i] == urb) {
			fake_end(d, i, -ENOENT, 0);
			return 0;
		}
	return -EINVAL;
}

static int fake_claim(struct fake_device *d, bool detach)
{
	if (d->busy || (d->driver_bound && !detach))
		return -EBUSY;
	d->driver_bound = false;
	d->claimed = true;
	return 0;
}

static int fake_release(struct fake_device *d)
{
	fake_must(d->n_pending == 0 && d->n_ended == 0); /* nobody releases what is in use */
	d->claimed = false;
	return 0;
}

/* the one request that libusb makes in the foreground */
static int fake_ask(const struct usbdevfs_ctrltransfer *c)
{
	if (c->bRequestType != 0x80 || c->bRequest != 8)
		return -EPIPE;
	*(uint8_t *)c->data = 1;
	return 1;
}

static int fake_usbfs(struct fake_device *d, unsigned long request, void *arg)
{
	if (d->gone && request != USBDEVFS_REAPURBNDELAY && request != USBDEVFS_REAPURB)
		return -ENODEV;
	switch (request) {
	case USBDEVFS_GET_CAPABILITIES:
		*(uint32_t *)arg = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_BULK_CONTINUATION |
				   USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
				   USBDEVFS_CAP_BULK_SCATTER_GATHER |
				   USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
		return 0;
	case USBDEVFS_CONNECTINFO:
		*(struct usbdevfs_connectinfo *)arg = (struct usbdevfs_connectinfo){ .devnum = 5 };
		return 0;
	case USBDEVFS_CONTROL:
		return fake_ask(arg);
	case USBDEVFS_CLAIMINTERFACE:
		return fake_claim(d, false);
	case USBDEVFS_DISCONNECT_CLAIM:
		return fake_claim(d, true);
	case USBDEVFS_RELEASEINTERFACE:
		return fake_release(d);
	case USBDEVFS_IOCTL:
		if (((struct usbdevfs_ioctl *)arg)->ioctl_code != USBDEVFS_CONNECT)
			return -ENOTTY;
		d->driver_bound = d->was_bound;
		return 0;
	case USBDEVFS_RESETEP:
		d->host_resets++;
		return 0;
	case USBDEVFS_SUBMITURB:
		return fake_submit(d, arg);
	case USBDEVFS_REAPURBNDELAY:
		return fake_reap(d, arg);
	case USBDEVFS_DISCARDURB:
		return fake_discard(d, arg);
	default:
		return -ENOTTY;
	}
}

int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct fake_device *d = fake_find(fd);
	int r;

	if (!d)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	r = fake_usbfs(d, request, arg);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

ssize_t fake_read(int fd, void *data, size_t len)
{
	struct fake_device *d = fake_find(fd);
	size_t n;

	if (!d)
		return syscall(SYS_read, fd, data, len);
	n = d->descriptors_len - d->at < len ? d->descriptors_len - d->at : len;
	memcpy(data, d->descriptors + d->at, n);
	d->at += n;
	return (ssize_t)n;
}

off_t fake_lseek(int fd, off_t offset, int whence)
{
	struct fake_device *d = fake_find(fd);

	if (!d)
		return syscall(SYS_lseek, fd, offset, whence);
	fake_must(whence == SEEK_SET && offset == 0);
	d->at = 0;
	return 0;
}

/* ---- the test's side ---- */

/* Its fd is to be handed to what is tried; the rest stays the test's until fake_free(). */
static struct fake_device *fake_plug(const uint8_t *descriptors, size_t len)
{
	struct fake_device *d = calloc(1, sizeof(*d));
	size_t i = 0;
	int fds[2];

	if (!d || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    fcntl(fds[1], F_SETPIPE_SZ, FAKE_PAGE) < 0)
		abort();
	if (fake_find(fds[1]))
		fake_find(fds[1])->fd = -1;
	d->reader = fds[0];
	d->fd = fds[1];
	d->descriptors = descriptors;
	d->descriptors_len = len;
	while (fake_devices[i])
		i++;
	fake_must(i < FAKE_DEVICES);
	fake_devices[i] = d;
	fake_signal(d);
	return d;
}

/* after whoever had the fd has closed it */
static void fake_free(struct fake_device *d)
{
	for (size_t i = 0; i < FAKE_DEVICES; i++)
		if (fake_devices[i] == d)
			fake_devices[i] = NULL;
	if (d->reader >= 0)
		(void)close(d->reader);
	free(d);
}

/* entries of /proc/self/fd or /proc/self/task */
static size_t fake_count(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t n = 0;

	fake_must(dir != NULL);
	while (dir && readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}
