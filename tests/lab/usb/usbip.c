#include "tests/lab/usb/usbip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/cleanup.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define DEVICES     "/sys/devices/platform/vhci_hcd."
#define CONTROLLER  DEVICES "0/"
#define CONTROLLERS 8 /* as Debian builds it */
#define PORTS       30
#define HEADER      48
#define PORT_FREE   4

enum command {
	CMD_SUBMIT = 1,
	CMD_UNLINK = 2,
	RET_SUBMIT = 3,
	RET_UNLINK = 4,
};

/* The kernel is not done with what was there before: put into this port now, the requests of the
 * one would go to the other. */
static bool lingers(unsigned int controller, unsigned long port)
{
	char pattern[96];
	glob_t found;
	bool any;

	(void)snprintf(pattern, sizeof(pattern), DEVICES "%u/usb*/*-%lu", controller,
		       port % PORTS + 1);
	any = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
	globfree(&found);
	return any;
}

/* "hs  0003 004 000 00000000 000000 0-0": hub, port, state, ...; the other hub is for USB 3 */
static bool is_free(const char *line, unsigned int controller, unsigned int *ret)
{
	char *end;
	unsigned long port;

	if (strncmp(line, "hs ", 3) != 0)
		return false;
	port = strtoul(line + 3, &end, 10);
	if (strtoul(end, NULL, 10) != PORT_FREE || lingers(controller, port))
		return false;
	*ret = (unsigned int)port;
	return true;
}

static int free_port(unsigned int *ret)
{
	for (unsigned int controller = 0; controller < CONTROLLERS; controller++) {
		char line[128], path[64];
		FILE *status;
		bool found = false;

		(void)snprintf(path, sizeof(path), CONTROLLER "status");
		if (controller > 0)
			(void)snprintf(path, sizeof(path), CONTROLLER "status.%u", controller);
		status = fopen(path, "re");
		if (!status)
			return controller ? -EBUSY : -ENODEV;
		while (!found && fgets(line, sizeof(line), status))
			found = is_free(line, controller, ret);
		(void)fclose(status);
		if (found)
			return 0;
	}
	return -EBUSY;
}

static int attach(unsigned int port, int fd, enum usbip_speed speed)
{
	_cleanup_close_ int file = open(CONTROLLER "attach", O_WRONLY | O_CLOEXEC);
	char line[64];
	int n;

	if (file < 0)
		return -errno;
	n = snprintf(line, sizeof(line), "%u %d %u %d", port, fd, 0x10000 + port + 2, (int)speed);
	return write(file, line, (size_t)n) == n ? 0 : -errno;
}

int usbip_plug_in(enum usbip_speed speed, struct usbip_plug *ret)
{
	unsigned int port;
	int ends[2], r;

	r = free_port(&port);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = attach(port, ends[1], speed);
	(void)close(ends[1]); /* the kernel has its own reference */
	if (r < 0)
		(void)close(ends[0]);
	else
		*ret = (struct usbip_plug){ .fd = ends[0], .port = port };
	return r;
}

void usbip_pull(struct usbip_plug *plug)
{
	if (plug->fd < 0)
		return;
	(void)shutdown(plug->fd, SHUT_RDWR);
	(void)close(plug->fd);
	plug->fd = -1;
}

static int read_all(int fd, void *data, size_t len)
{
	return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len ? 0 : -EPIPE;
}

static int read_data(int fd, struct usbip_request *request)
{
	_cleanup_free_ uint8_t *data = NULL;

	if (request->len > USBIP_TRANSFER_MAX)
		return -EBADMSG;
	if ((request->endpoint & 0x80) || request->len == 0)
		return 0;
	data = malloc(request->len);
	if (!data)
		return -ENOMEM;
	if (read_all(fd, data, request->len) < 0)
		return -EPIPE;
	request->data = TAKE_PTR(data);
	return 0;
}

static int parse(const uint8_t header[HEADER], struct usbip_request *ret)
{
	struct cursor c = cursor_of(header, HEADER);
	const uint32_t command = cursor_be32(&c);
	struct usbip_request request = { .sequence = cursor_be32(&c) };
	uint32_t to_host, endpoint;

	(void)cursor_be32(&c); /* the device, by our own number */
	to_host = cursor_be32(&c);
	endpoint = cursor_be32(&c);
	if (command != CMD_SUBMIT && command != CMD_UNLINK)
		return -EBADMSG;
	request.endpoint = (uint8_t)((endpoint & 0x0f) | (to_host ? 0x80 : 0));
	request.cancels = command == CMD_UNLINK;
	if (request.cancels) {
		request.cancelled = cursor_be32(&c);
	} else {
		(void)cursor_be32(&c); /* flags */
		request.len = cursor_be32(&c);
		memcpy(request.setup, header + HEADER - sizeof(request.setup),
		       sizeof(request.setup));
	}
	*ret = request;
	return 0;
}

int usbip_read(const struct usbip_plug *plug, struct usbip_request *ret)
{
	struct usbip_request request;
	uint8_t header[HEADER];
	int r;

	r = read_all(plug->fd, header, sizeof(header));
	if (r < 0)
		return r;
	r = parse(header, &request);
	if (r == 0 && !request.cancels)
		r = read_data(plug->fd, &request);
	if (r == 0)
		*ret = request;
	return r;
}

static int write_all(int fd, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	while (len > 0) {
		const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EPIPE;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static void header_of(uint8_t header[HEADER], enum command command, uint32_t sequence, int status)
{
	struct writer w = writer_of(header, HEADER);

	memset(header, 0, HEADER);
	writer_be32(&w, command);
	writer_be32(&w, sequence);
	for (unsigned int i = 0; i < 3; i++)
		writer_be32(&w, 0); /* device, direction, endpoint: only of requests */
	writer_be32(&w, (uint32_t)status);
}

int usbip_answer(const struct usbip_plug *plug, uint32_t sequence, int status, const void *data,
		 size_t len)
{
	uint8_t header[HEADER];
	struct writer w = writer_of(header + 24, 4);
	int r;

	header_of(header, RET_SUBMIT, sequence, status);
	writer_be32(&w, (uint32_t)len);
	memset(header + 32, 0xff, 4); /* not isochronous */
	r = write_all(plug->fd, header, sizeof(header));
	if (r == 0 && data && len > 0)
		r = write_all(plug->fd, data, len);
	return r;
}

int usbip_answer_cancel(const struct usbip_plug *plug, uint32_t sequence, int status)
{
	uint8_t header[HEADER];

	header_of(header, RET_UNLINK, sequence, status);
	return write_all(plug->fd, header, sizeof(header));
}
