#include "firmware-tools/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "firmware-tools/tool.h"
#include "wellgate.pb-c.h"

#define PACKET_MAX    ((size_t)64 * 1024) /* of the gateway's sockets */
#define REPLY_SECONDS 30
#define DEVICES_MAX   100000 /* a gateway keeps a few hundred; this one would never end */

static const char verb[] = "devices";

static int open_socket(const char *name, const char *runtime_dir, int *ret_fd)
{
	const struct timeval patience = { .tv_sec = REPLY_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	const int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock",
				 runtime_dir);

	if (len < 0 || (size_t)len >= sizeof(address.sun_path))
		return tool_fail(name, TOOL_USAGE, "%s is too long a path", runtime_dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return tool_fail(name, TOOL_UNAVAILABLE, "no socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return tool_fail(name, TOOL_UNAVAILABLE,
				 "the gateway does not answer at %s (%s); is wellgated running?",
				 address.sun_path, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	*ret_fd = take_fd(&fd);
	return 0;
}

static int send_question(int fd, uint64_t after)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	uint8_t packet[64];

	command.verb = (char *)(uintptr_t)verb; /* protobuf-c has no const; packing only reads */
	command.has_after = true;
	command.after = after;
	if (wellgate__v1__command__get_packed_size(&command) > sizeof(packet))
		return -EMSGSIZE;
	return send(fd, packet, wellgate__v1__command__pack(&command, packet), MSG_NOSIGNAL) < 0
		       ? -errno
		       : 0;
}

/* 0 and the answer; *ret NULL: it cannot be read. -errno, -ECONNRESET: it ended the connection */
static int receive(int fd, Wellgate__V1__Reply **ret)
{
	uint8_t *packet = malloc(PACKET_MAX);
	ssize_t n;
	int r;

	if (!packet)
		return -ENOMEM;
	n = recv(fd, packet, PACKET_MAX, MSG_TRUNC);
	r = n < 0 ? -errno : 0;
	if (n == 0)
		r = -ECONNRESET;
	*ret = NULL;
	if (n > 0 && (size_t)n <= PACKET_MAX)
		*ret = wellgate__v1__reply__unpack(NULL, (size_t)n, packet);
	free(packet);
	return r;
}

/* NULL: it was said why not */
static Wellgate__V1__Reply *ask(const char *name, int fd, uint64_t after)
{
	Wellgate__V1__Reply *reply = NULL;
	int r = send_question(fd, after);

	if (r == 0)
		r = receive(fd, &reply);
	if (reply && reply->code == 0)
		return reply;
	if (r < 0)
		(void)tool_fail(name, TOOL_UNAVAILABLE, "the gateway gave no answer: %s",
				strerror(-r));
	else
		(void)tool_fail(
			name, TOOL_UNAVAILABLE,
			reply ? "the gateway could not tell its devices"
			      : "the answer cannot be read; are both programs of one version?");
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return NULL;
}

static void copy(char to[FLEET_TEXT], const char *text)
{
	(void)snprintf(to, FLEET_TEXT, "%s", text ? text : "");
}

static void take_device(struct fleet_device *d, const Wellgate__V1__DeviceInfo *info)
{
	const Wellgate__V1__DeviceRef *ref = info->device;

	*d = (struct fleet_device){ .note = "" };
	copy(d->make, ref->make);
	copy(d->model, ref->model);
	copy(d->hardware, ref->hardware);
	copy(d->firmware, ref->firmware);
	copy(d->driver, ref->driver);
	for (size_t i = 0;
	     ref->has_serial_digest && i < ref->serial_digest.len && 2 * i + 2 < FLEET_REFERENCE;
	     i++)
		(void)snprintf(d->reference + 2 * i, 3, "%02x", ref->serial_digest.data[i]);
	d->first_seen_ms = info->has_first_seen_ms ? info->first_seen_ms : 0;
	d->last_seen_ms = info->has_last_seen_ms ? info->last_seen_ms : 0;
}

static int take_page(const char *name, struct fleet *fleet, const Wellgate__V1__Reply *reply)
{
	struct fleet_device *more =
		realloc(fleet->devices, (fleet->n + reply->n_devices + 1) * sizeof(*more));

	if (!more)
		return tool_fail(name, TOOL_UNAVAILABLE, "no memory");
	fleet->devices = more;
	for (size_t i = 0; i < reply->n_devices; i++) {
		if (reply->devices[i]->device)
			take_device(&fleet->devices[fleet->n++], reply->devices[i]);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct fleet_device *x = a, *y = b;
	int r = strcmp(x->make, y->make);

	if (r == 0)
		r = strcmp(x->model, y->model);
	if (r == 0)
		r = strcmp(x->hardware, y->hardware);
	if (r == 0)
		r = strcmp(x->firmware, y->firmware);
	return r ? r : strcmp(x->reference, y->reference);
}

int fleet_ask(const char *name, const char *runtime_dir, struct fleet *ret)
{
	struct fleet fleet = { 0 };
	_cleanup_close_ int fd = -1;
	uint64_t after = 0;
	bool more = true;
	int code = open_socket(name, runtime_dir, &fd);

	while (code == 0 && more) {
		Wellgate__V1__Reply *reply = ask(name, fd, after);

		code = reply ? take_page(name, &fleet, reply) : TOOL_UNAVAILABLE;
		more = code == 0 && reply->more && reply->n_devices > 0 && after < DEVICES_MAX;
		after += reply ? reply->n_devices : 0;
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	if (code) {
		fleet_free(&fleet);
		return code;
	}
	if (fleet.n > 0)
		qsort(fleet.devices, fleet.n, sizeof(*fleet.devices), by_name);
	*ret = fleet;
	return 0;
}

void fleet_free(struct fleet *fleet)
{
	free(fleet->devices);
	*fleet = (struct fleet){ 0 };
}
