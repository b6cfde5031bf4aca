/*
 * What the rungs do. Each first acts, then powers the adapter up if it is off, then probes:
 *
 *   1 nothing but the probe, which stops and starts scanning    2 Powered false, true
 *   3 /dev/rfkill, block and unblock   4 systemd, RestartUnit    5 reset of the USB device
 *
 * 3 to 5 need permissions that a hub may or may not give (gateway/dist); without them they are
 * skipped. The reset of a USB device waits in the kernel, so a child does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usbdevice_fs.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/adapter_private.h"

#define BLOCKED_US INT64_C(1000000)
#define AGAIN_US   INT64_C(1000000)
#define UNIT       "bluetooth.service"

static void *token(const struct adapter *a)
{
	return (void *)(uintptr_t)a->rung.serial;
}

static bool is_current(const struct adapter *a, const void *user)
{
	return a->rung.n && user == token(a);
}

static void acted(struct adapter *a)
{
	a->rung.acted = true;
	rung_step(a);
}

/* ---- power ---- */

/* After a block or a reset the kernel is not ready at once: seen with 6.1, which refuses the power
 * for a moment. The rung's deadline ends it. */
static int on_again(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;

	(void)source;
	(void)usec;
	a->rung.powering = false;
	rung_step(a);
	return 0;
}

static void on_powered(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	if (!error) {
		adapter_set_powered(a, true);
	} else if (adapter_error_is(error, "Blocked")) {
		adapter_post(a, LADDER_BLOCK);
	} else if (a->ladder.state == LADDER_POWERING) {
		adapter_post(a, LADDER_UNPROVED);
	} else if (is_current(a, user)) {
		adapter_timer(a, &a->rung.again, AGAIN_US, on_again);
	}
	if (!error && is_current(a, user))
		rung_step(a);
}

void rung_power(struct adapter *a)
{
	if (!a->own || adapter_own_set(a, "Powered", true, on_powered, token(a)) < 0)
		adapter_post(a, LADDER_UNPROVED);
}

static void on_unpowered(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	if (!is_current(a, user))
		return;
	if (error) {
		adapter_post(a, LADDER_UNPROVED);
		return;
	}
	/* the signal may come after the answer */
	adapter_set_powered(a, false);
	acted(a);
}

static int cycle_power(struct adapter *a)
{
	return a->own ? adapter_own_set(a, "Powered", false, on_unpowered, token(a)) : -ENODEV;
}

/* ---- rfkill ---- */

static int on_unblock(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;

	(void)source;
	(void)usec;
	if (a->rung.blocked)
		a->rung.blocked = rfkill_block(a->root, a->rung.rfkill, false) < 0;
	if (a->rung.n == 3)
		acted(a);
	return 0;
}

static int cycle_rfkill(struct adapter *a)
{
	struct rfkill rfkill;
	int r;

	r = a->own ? rfkill_read(a->root, adapter_hci(a), &rfkill) : -ENODEV;
	if (r < 0)
		return r;
	r = rfkill_block(a->root, rfkill.index, true);
	if (r < 0)
		return r;
	a->rung.blocked = true;
	a->rung.rfkill = rfkill.index;
	adapter_timer(a, &a->rung.timer, BLOCKED_US, on_unblock);
	return 0;
}

/* ---- systemd ---- */

static void on_restarted(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	/* not allowed, or no systemd; else the loss of its name shows that it was done */
	if (is_current(a, user) && error)
		adapter_post(a, LADDER_SKIPPED);
}

void rung_lost(struct adapter *a, bool daemon)
{
	a->rung.powering = a->rung.probing = false;
	if (daemon && a->rung.n == 4)
		a->rung.acted = true;
}

static int restart_daemon(struct adapter *a)
{
	sd_bus_message *m = NULL;
	int r;

	if (!a->bluez.bus)
		return -ENOTCONN;
	r = sd_bus_message_new_method_call(a->bluez.bus, &m, "org.freedesktop.systemd1",
					   "/org/freedesktop/systemd1",
					   "org.freedesktop.systemd1.Manager", "RestartUnit");
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, 0);
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", UNIT, "replace");
	if (r >= 0)
		r = adapter_call(a, m, on_restarted, token(a));
	sd_bus_message_unref(m);
	return r;
}

/* ---- USB ---- */

static int usb_number(const struct adapter *a, const char *device, const char *name,
		      unsigned int *ret)
{
	char path[PATH_MAX], text[16], *end;
	unsigned long n;
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", device, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = adapter_read_file(a->root, path, text, sizeof(text));
	if (r < 0)
		return r;
	n = strtoul(text, &end, 10);
	if (end == text || *end || n == 0 || n > 999)
		return -EBADMSG;
	*ret = (unsigned int)n;
	return 0;
}

/* The adapter's `device` is the interface; its parent is the device. */
static int usb_open(const struct adapter *a)
{
	char device[128], path[PATH_MAX];
	unsigned int bus, number;
	int fd, r;

	if (!a->own)
		return -ENODEV;
	(void)snprintf(device, sizeof(device), "sys/class/bluetooth/%.64s/device/..",
		       adapter_hci(a));
	r = usb_number(a, device, "busnum", &bus);
	if (r >= 0)
		r = usb_number(a, device, "devnum", &number);
	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), "%s/dev/bus/usb/%03u/%03u", a->root, bus, number) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static void forget_child(struct adapter *a)
{
	a->rung.child = sd_event_source_disable_unref(a->rung.child);
	if (a->rung.child_fd >= 0)
		(void)close(a->rung.child_fd);
	a->rung.child_fd = -1;
}

static int on_child(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct adapter *a = user;
	siginfo_t info = { 0 };
	bool good;

	(void)source;
	(void)revents;
	good = waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 &&
	       info.si_code == CLD_EXITED && info.si_status == 0;
	forget_child(a);
	if (a->rung.n != 5)
		return 0;
	if (good)
		acted(a);
	else
		adapter_post(a, LADDER_UNPROVED);
	return 0;
}

static int reset_usb(struct adapter *a)
{
	_cleanup_close_ int fd = usb_open(a);
	pid_t pid;
	int r;

	if (fd < 0)
		return fd;
	if (a->rung.child)
		return -EBUSY; /* the last one still waits in the kernel */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(ioctl(fd, USBDEVFS_RESET, NULL) < 0);
	a->rung.child_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (a->rung.child_fd < 0)
		return -errno;
	r = sd_event_add_io(a->event, &a->rung.child, a->rung.child_fd, EPOLLIN, on_child, a);
	if (r < 0)
		forget_child(a);
	return r;
}

/* ---- the rungs ---- */

static int act(struct adapter *a)
{
	switch (a->rung.n) {
	case 1:
		if (!a->own || !a->own->powered)
			return -ENODEV;
		a->rung.acted = true;
		return 0;
	case 2:
		return cycle_power(a);
	case 3:
		return cycle_rfkill(a);
	case 4:
		return restart_daemon(a);
	default:
		return reset_usb(a);
	}
}

void rung_end(struct adapter *a)
{
	a->rung.n = 0;
	a->rung.serial++;
	adapter_timer_stop(a->rung.again);
	scan_probe_cancel(a);
	/* its timer unblocks, also when the rung is over */
}

void rung_start(struct adapter *a)
{
	rung_end(a);
	a->rung.n = ladder_rung(&a->ladder);
	a->rung.acted = a->rung.powering = a->rung.probing = false;
	if (act(a) < 0)
		adapter_post(a, LADDER_SKIPPED);
	else
		rung_step(a);
}

void rung_step(struct adapter *a)
{
	struct rung *r = &a->rung;

	if (!r->n || !r->acted || r->probing || !a->own)
		return;
	if (a->own->powered) {
		r->probing = true;
		scan_probe(a);
	} else if (!r->powering) {
		r->powering = true;
		rung_power(a);
	}
}

void rung_free(struct adapter *a)
{
	if (a->rung.blocked)
		(void)rfkill_block(a->root, a->rung.rfkill, false);
	sd_event_source_disable_unref(a->rung.timer);
	sd_event_source_disable_unref(a->rung.again);
	forget_child(a);
}
