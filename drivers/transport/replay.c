#include "drivers/transport/replay.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "protocols/capture/hci.h"
#include "protocols/capture/packets.h"

#define BUFFER_SIZE ((size_t)2 * PACKETS_VIEW_MIN)

/* What is ready to be handed on: one HCI packet may hold several events. */
struct queue {
	struct cap_event *events;
	size_t size, begin, end;
	bool failed; /* out of memory */
};

struct replay {
	char *path;
	FILE *file;
	bool is_cap, at_end, finished;
	uint8_t *buffer;
	size_t begin, end; /* of what is in the buffer */
	uint64_t read;     /* from the file, all in all */
	struct cap_reader reader;
	struct packets packets;
	struct hci *hci;
	bool has_base;
	int64_t base_us;
	struct queue queue;
};

__attribute__((format(printf, 3, 4))) static int fail(int r, char **ret_error, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(ret_error, format, args) < 0)
		*ret_error = NULL;
	va_end(args);
	return r;
}

/* ---- the queue ---- */

static struct cap_event *queue_add(struct queue *q)
{
	if (q->begin == q->end)
		q->begin = q->end = 0;
	if (q->end == q->size) {
		const size_t size = q->size ? 2 * q->size : 8;
		struct cap_event *events = reallocarray(q->events, size, sizeof(*events));

		if (!events) {
			q->failed = true;
			return NULL;
		}
		q->events = events;
		q->size = size;
	}
	return &q->events[q->end++];
}

static void on_hci_event(void *user, const struct cap_event *event)
{
	struct replay *r = user;
	struct cap_event *e = queue_add(&r->queue);

	if (e)
		*e = *event;
}

/* ---- bytes ---- */

/* Makes at least `want` bytes stand in the buffer, unless the file ends before. */
static int fill(struct replay *r, size_t want)
{
	assert(want <= BUFFER_SIZE);
	if (r->end - r->begin >= want || r->at_end)
		return 0;
	memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
	r->end -= r->begin;
	r->begin = 0;
	while (r->end < want && !r->at_end) {
		const size_t n = fread(r->buffer + r->end, 1, BUFFER_SIZE - r->end, r->file);

		if (ferror(r->file))
			return -EIO;
		r->at_end = n == 0;
		r->end += n;
		r->read += n;
	}
	return 0;
}

/* Moves the beginning of the buffer on to an offset of the file. -EBADMSG: the file ends before. */
static int move_to(struct replay *r, uint64_t offset)
{
	int err;

	for (;;) {
		const uint64_t left = offset - (r->read - (r->end - r->begin));
		const size_t n = r->end - r->begin;

		if (left <= n) {
			r->begin += (size_t)left;
			return 0;
		}
		r->begin = r->end;
		if (r->at_end)
			return -EBADMSG;
		err = fill(r, 1);
		if (err < 0)
			return err;
	}
}

/* ---- own format ---- */

static int next_line(struct replay *r, const char **ret, size_t *ret_len)
{
	const char *line, *newline;
	int err = fill(r, CAP_LINE_MAX);

	if (err < 0)
		return err;
	if (r->begin == r->end)
		return 0;
	line = (const char *)(r->buffer + r->begin);
	newline = memchr(line, '\n', r->end - r->begin);
	*ret = line;
	*ret_len = newline ? (size_t)(newline - line) : r->end - r->begin;
	if (*ret_len >= CAP_LINE_MAX)
		return -EMSGSIZE;
	r->begin += *ret_len + (newline ? 1 : 0);
	return 1;
}

static int read_cap(struct replay *r, char **ret_error)
{
	const char *line;
	struct cap_event *e;
	size_t len;
	int err = next_line(r, &line, &len);

	if (err == -EMSGSIZE)
		return fail(-EBADMSG, ret_error, "%s:%u: a line longer than %d bytes", r->path,
			    r->reader.line + 1, CAP_LINE_MAX - 1);
	if (err < 0)
		return fail(err, ret_error, "%s: %s", r->path, strerror(-err));
	if (err == 0) {
		r->finished = true;
		return 0;
	}
	e = queue_add(&r->queue);
	if (!e)
		return fail(-ENOMEM, ret_error, "%s: out of memory", r->path);
	err = cap_read_line(&r->reader, line, len, e);
	if (err <= 0)
		r->queue.end--;
	if (err < 0)
		return fail(-EBADMSG, ret_error, "%s:%u: %s", r->path, r->reader.line,
			    r->reader.problem);
	return 0;
}

/* ---- captures of other tools ---- */

static int explain(struct replay *r, char **ret_error)
{
	char text[256];

	packets_explain(&r->packets, text, sizeof(text));
	return fail(-EBADMSG, ret_error, "%s: %s", r->path, text);
}

static int give_to_hci(struct replay *r, struct packet *packet, uint64_t offset, char **ret_error)
{
	int err;

	if (!r->has_base) {
		r->has_base = true;
		r->base_us = packet->at_us;
	}
	packet->at_us = packet->at_us > r->base_us ? packet->at_us - r->base_us : 0;
	err = hci_packet(r->hci, packet);
	if (err < 0)
		return fail(-EBADMSG, ret_error, "%s: record %u at byte 0x%llx: %s", r->path,
			    r->packets.record, (unsigned long long)offset, r->hci->problem);
	return 0;
}

static int read_packet(struct replay *r, char **ret_error)
{
	const uint64_t offset = r->packets.offset;
	struct packet packet;
	int err = move_to(r, offset);

	if (err == -EBADMSG)
		return fail(err, ret_error, "%s: record %u: the file ends inside a block", r->path,
			    r->packets.record);
	if (err == 0)
		err = fill(r, PACKETS_VIEW_MIN);
	if (err < 0)
		return fail(err, ret_error, "%s: %s", r->path, strerror(-err));
	err = packets_next(&r->packets, r->buffer + r->begin, r->end - r->begin, &packet);
	if (err == -ENODATA) {
		hci_finish(r->hci);
		r->finished = true;
		return 0;
	}
	if (err < 0)
		return explain(r, ret_error);
	return err == 0 ? 0 : give_to_hci(r, &packet, offset, ret_error);
}

/* ---- both ---- */

/* Reads on until an event is ready or the file is at its end. */
static int read_on(struct replay *r, char **ret_error)
{
	int err = 0;

	while (err == 0 && !r->finished && r->queue.begin == r->queue.end) {
		err = r->is_cap ? read_cap(r, ret_error) : read_packet(r, ret_error);
		if (err == 0 && r->queue.failed)
			err = fail(-ENOMEM, ret_error, "%s: out of memory", r->path);
	}
	if (err < 0)
		r->finished = true;
	return err;
}

int replay_next(struct replay *r, struct cap_event *ret, char **ret_error)
{
	const int err = read_on(r, ret_error);

	if (err < 0)
		return err;
	if (r->queue.begin == r->queue.end)
		return 0;
	*ret = r->queue.events[r->queue.begin++];
	return 1;
}

static int begin_packets(struct replay *r, const struct replay_options *options, char **ret_error)
{
	int err = packets_begin(&r->packets, r->buffer, r->end);

	if (err < 0)
		return explain(r, ret_error);
	r->hci = malloc(sizeof(*r->hci));
	if (!r->hci)
		return fail(-ENOMEM, ret_error, "%s: out of memory", r->path);
	hci_init(r->hci, on_hci_event, r);
	for (size_t i = 0; options && i < options->n_handles; i++) {
		const struct replay_handle *h = &options->handles[i];

		err = hci_add_handle(r->hci, (struct hci_handle){ h->handle, h->uuid16 });
		if (err < 0)
			return fail(err, ret_error, "%s: more than %d handles given", r->path,
				    HCI_FIXED_MAX);
	}
	return 0;
}

static int begin(struct replay *r, const struct replay_options *options, char **ret_error)
{
	int err = fill(r, PACKETS_VIEW_MIN);

	if (err < 0)
		return fail(err, ret_error, "%s: %s", r->path, strerror(-err));
	if (packets_recognise(r->buffer, r->end)) {
		err = begin_packets(r, options, ret_error);
	} else if (memchr(r->buffer, '\0', r->end)) {
		err = fail(-EBADMSG, ret_error,
			   "%s: not a capture: neither .cap nor btsnoop nor pcap nor pcapng",
			   r->path);
	} else {
		r->is_cap = true;
		cap_reader_init(&r->reader);
	}
	if (err == 0)
		err = read_on(r, ret_error);
	if (err == 0 && r->is_cap && r->queue.begin == r->queue.end)
		err = fail(-EBADMSG, ret_error, "%s: no event in it", r->path);
	return err;
}

int replay_open(const char *path, const struct replay_options *options, struct replay **ret,
		char **ret_error)
{
	struct replay *r = calloc(1, sizeof(*r));
	int err;

	if (r) {
		r->path = strdup(path);
		r->buffer = malloc(BUFFER_SIZE);
	}
	if (!r || !r->path || !r->buffer) {
		replay_free(r);
		return fail(-ENOMEM, ret_error, "%s: out of memory", path);
	}
	r->file = fopen(path, "re");
	if (!r->file)
		err = fail(-errno, ret_error, "%s: %s", path, strerror(errno));
	else
		err = begin(r, options, ret_error);
	if (err < 0) {
		replay_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	if (r->file)
		(void)fclose(r->file);
	free(r->queue.events);
	free(r->hci);
	free(r->buffer);
	free(r->path);
	free(r);
}

bool replay_start(const struct replay *r, int64_t *ret_utc_ms)
{
	if (r->is_cap ? !r->reader.has_start : !r->has_base)
		return false;
	*ret_utc_ms = r->is_cap ? r->reader.start_ms : r->base_us / 1000;
	return true;
}

void replay_where(const struct replay *r, char *buf, size_t size)
{
	if (r->is_cap)
		(void)snprintf(buf, size, "%s:%u", r->path, r->reader.line);
	else
		(void)snprintf(buf, size, "%s: record %u", r->path, r->packets.record);
}

uint64_t replay_unknown_handles(const struct replay *r)
{
	return r->hci ? r->hci->counts.unknown_handles : 0;
}

static int parse_hex16(const char *text, char end, uint16_t *ret, const char **ret_end)
{
	char *stop;
	unsigned long value;

	if (text[0] == '\0' || text[0] == '-' || text[0] == '+' || text[0] == ' ')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &stop, 16);
	if (errno != 0 || stop == text || *stop != end || value == 0 || value > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)value;
	*ret_end = stop;
	return 0;
}

int replay_parse_handle(const char *text, struct replay_handle *ret)
{
	struct replay_handle h;
	const char *end;

	if (parse_hex16(text, '=', &h.handle, &end) < 0 ||
	    parse_hex16(end + 1, '\0', &h.uuid16, &end) < 0)
		return -EINVAL;
	*ret = h;
	return 0;
}
