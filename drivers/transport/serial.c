#include "drivers/transport/serial.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

#include "drivers/driver.h"
#include "drivers/transport/node.h"

#define DRAIN_STEPS   50
#define DRAIN_STEP_NS 5000000

struct serial {
	struct wire wire; /* first */
	struct node node;
};

static const struct {
	unsigned int baud;
	speed_t speed;
} speeds[] = {
	{ 1200, B1200 },   { 2400, B2400 },     { 4800, B4800 },
	{ 9600, B9600 },   { 19200, B19200 },   { 38400, B38400 },
	{ 57600, B57600 }, { 115200, B115200 }, { 230400, B230400 },
};

static int speed_of(unsigned int baud, speed_t *ret)
{
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
		if (speeds[i].baud == baud) {
			*ret = speeds[i].speed;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_mode(int fd, speed_t speed)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	t.c_iflag &= ~(tcflag_t)(IXOFF | IXANY | INPCK);
	t.c_iflag |= IGNBRK;
	t.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
	t.c_cflag |= CLOCAL | CREAD;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (cfsetispeed(&t, speed) < 0 || cfsetospeed(&t, speed) < 0)
		return -errno;
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -errno;
	/* it is successful if any of it was */
	if (tcgetattr(fd, &t) < 0)
		return -errno;
	return cfgetospeed(&t) == speed && (t.c_cflag & CSIZE) == CS8 ? 0 : -EINVAL;
}

static int take(int fd, unsigned int baud)
{
	speed_t speed;
	int r = speed_of(baud, &speed);

	if (r < 0)
		return r;
	if (ioctl(fd, TIOCEXCL) < 0)
		return -errno;
	r = set_mode(fd, speed);
	if (r < 0)
		return r;
	return tcflush(fd, TCIOFLUSH) < 0 ? -errno : 0;
}

static struct serial *of_wire(struct wire *w)
{
	return (struct serial *)(void *)w;
}

static int on_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	return channel == DRV_WIRE_BYTES ? node_write(&of_wire(w)->node, data, len) : -ENOTSUP;
}

static void on_hold(struct wire *w, bool hold)
{
	node_hold(&of_wire(w)->node, hold);
}

/* What was written last, a good bye often, is still on its way at 4800 baud. */
static void drain(int fd)
{
	const struct timespec step = { .tv_nsec = DRAIN_STEP_NS };
	int left = 0;

	for (unsigned int i = 0; i < DRAIN_STEPS; i++) {
		if (ioctl(fd, TIOCOUTQ, &left) < 0 || left <= 0)
			return;
		(void)nanosleep(&step, NULL);
	}
	(void)tcflush(fd, TCOFLUSH); /* or closing it would wait for half a minute */
}

static void on_free(struct wire *w)
{
	struct serial *s = of_wire(w);

	if (s->node.error == 0)
		drain(s->node.fd);
	else
		(void)tcflush(s->node.fd, TCOFLUSH);
	node_clear(&s->node);
	free(s);
}

static const struct wire_ops ops = { .write = on_write, .hold = on_hold, .free = on_free };

int serial_open(sd_event *event, int fd, unsigned int baud, const struct wire_sink *sink,
		struct wire **ret)
{
	struct serial *s;
	int r = take(fd, baud);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->wire.ops = &ops;
	s->node.channel = DRV_WIRE_BYTES;
	r = node_init(&s->node, event, fd, sink);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = &s->wire;
	return 0;
}
