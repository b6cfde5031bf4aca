#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "tests/lab/radio/vhci.h"

#define DEVICE "/dev/vhci"

static int64_t utc_us(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int vhci_open(struct vhci *v)
{
	static const uint8_t make[] = { VHCI_VENDOR, 0 };
	_cleanup_close_ int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, make, sizeof(make)) != (ssize_t)sizeof(make))
		return errno > 0 ? -errno : -EIO;
	vhci_attach(v, take_fd(&fd));
	return 0;
}

void vhci_attach(struct vhci *v, int fd)
{
	v->fd = fd;
}

void vhci_close(struct vhci *v)
{
	if (v->fd >= 0)
		(void)close(v->fd);
	v->fd = -1;
}

int vhci_receive(struct vhci *v, uint8_t buffer[VHCI_PACKET_MAX], size_t *ret_len)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };
	ssize_t n;

	if (v->fd < 0 || poll(&p, 1, 0) == 0)
		return -EAGAIN;
	n = read(v->fd, buffer, VHCI_PACKET_MAX);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -ENODEV;
	if (v->snoop && buffer[0] != VHCI_VENDOR)
		(void)snoop_packet(v->snoop, false, buffer, (size_t)n, utc_us());
	*ret_len = v->silent ? 0 : (size_t)n;
	return 0;
}

void vhci_send(struct vhci *v, const uint8_t *packet, size_t len)
{
	if (v->fd < 0 || v->silent)
		return;
	if (v->snoop)
		(void)snoop_packet(v->snoop, true, packet, len, utc_us());
	/* the kernel refuses a packet only while the adapter is down, and a controller would not
	 * know either */
	if (write(v->fd, packet, len) < 0)
		return;
}
