#include "gateway/cli/fitbit_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/fitbit.h"
#include "drivers/transport/key_file.h"
#include "protocols/capture/cap.h"
#include "protocols/fitbit/message.h"

#define FRAME_SIZE   32 /* of the base station */
#define FOOTER_SIZE  9  /* c0 42 TYPE CRC LENGTH */
#define CONTROL      0xc0
#define BEGINS       0x41
#define ENDS         0x42
#define GATE_SERVICE 0xfd62

/* how Gattlink begins, the transport of Golden Gate; no dump begins with these */
#define GATE_RESET      0x80
#define GATE_RESET_DONE 0x81

/* ---- reading ---- */

static int read_all(int fd, uint8_t *data, size_t size, size_t *ret)
{
	size_t len = 0;

	while (len < size) {
		const ssize_t n = read(fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = len;
	return 0;
}

int fitbit_file_read(const char *path, uint8_t **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;
	int r;

	if (fd < 0)
		return -errno;
	data = malloc(FITBIT_FILE_MAX + 1);
	if (!data)
		return -ENOMEM;
	r = read_all(fd, data, FITBIT_FILE_MAX + 1, &len);
	if (r < 0)
		return r;
	if (len == 0 || len > FITBIT_FILE_MAX)
		return -EMSGSIZE;
	*ret = TAKE_PTR(data);
	*ret_len = len;
	return 0;
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':';
}

/* Hexadecimal with blanks between. -EBADMSG, -ENOSPC */
static int unhex(const uint8_t *text, size_t len, struct writer *w)
{
	unsigned int half = 0;
	size_t digits = 0;

	for (size_t i = 0; i < len; i++) {
		const int v = nibble(text[i]);

		if (v < 0 && !is_blank(text[i]))
			return -EBADMSG;
		if (v < 0)
			continue;
		half = half << 4 | (unsigned int)v;
		if (digits++ % 2)
			writer_u8(w, (uint8_t)half);
	}
	if (digits == 0 || digits % 2)
		return -EBADMSG;
	return writer_ok(w) ? 0 : -ENOSPC;
}

/* ---- packets ---- */

struct gather {
	struct writer w;
	struct fitbit_transfer transfer;
	bool begun;
	int r;
};

static void take_packet(struct gather *g, const uint8_t *data, size_t len)
{
	if (!g->begun) {
		if (len < 3 || data[0] != CONTROL || data[1] != BEGINS)
			return;
		g->transfer = fitbit_transfer_of(&g->w, data[2]);
		g->begun = true;
	}
	if (g->r == 0 && !g->transfer.complete)
		g->r = fitbit_transfer_packet(&g->transfer, data, len);
}

/* of the base station, as USB has it or led by the number of a report */
static void take_frame(struct gather *g, const uint8_t *data, size_t len)
{
	if (len == FRAME_SIZE + 1 && data[0] == 0) {
		data++;
		len--;
	}
	if (len == FRAME_SIZE && data[FRAME_SIZE - 1] <= FITBIT_PACKET_MAX)
		len = data[FRAME_SIZE - 1];
	if (len > 0)
		take_packet(g, data, len);
}

static int gathered(const struct gather *g, size_t *ret_len)
{
	if (g->r < 0)
		return g->r;
	if (!g->begun || !g->transfer.complete || g->w.len == 0)
		return -ENODATA;
	*ret_len = g->w.len;
	return 0;
}

static struct gather gather_into(uint8_t *to)
{
	return (struct gather){ .w = writer_of(to, FITBIT_DUMP_MAX) };
}

static bool is_frames(const uint8_t *data, size_t len)
{
	if (len % FRAME_SIZE != 0)
		return false;
	for (size_t i = FRAME_SIZE - 1; i < len; i += FRAME_SIZE)
		if (data[i] > FITBIT_PACKET_MAX)
			return false;
	return true;
}

/* Packets one after the other: all but the one before the footer are full. */
static int from_packets(const uint8_t *data, size_t len, size_t header, uint8_t *to,
			size_t *ret_len)
{
	struct gather g = gather_into(to);

	if (len < header + FOOTER_SIZE)
		return -ENODATA;
	len -= FOOTER_SIZE;
	if (data[len] != CONTROL || data[len + 1] != ENDS)
		return -ENODATA;
	take_packet(&g, data, header);
	for (size_t i = header, n; i < len; i += n) {
		n = len - i < FITBIT_PACKET_MAX ? len - i : FITBIT_PACKET_MAX;
		take_packet(&g, data + i, n);
	}
	take_packet(&g, data + len, FOOTER_SIZE);
	return gathered(&g, ret_len);
}

static int from_frames(const uint8_t *data, size_t len, uint8_t *to, size_t *ret_len)
{
	struct gather g = gather_into(to);

	for (size_t i = 0; i < len; i += FRAME_SIZE)
		take_frame(&g, data + i, FRAME_SIZE);
	return gathered(&g, ret_len);
}

/* The beginning of a dump has 3 bytes, or 7 with its length. */
static int from_stream(const uint8_t *data, size_t len, uint8_t *to, size_t *ret_len)
{
	int r;

	if (is_frames(data, len))
		return from_frames(data, len, to, ret_len);
	r = from_packets(data, len, 3, to, ret_len);
	return r == 0 ? 0 : from_packets(data, len, 7, to, ret_len) == 0 ? 0 : r;
}

/* ---- text ---- */

static size_t line_of(const uint8_t *text, size_t len)
{
	const uint8_t *end = memchr(text, '\n', len);

	return end ? (size_t)(end - text) : len;
}

static int from_cap(const uint8_t *text, size_t len, uint8_t *to, size_t *ret_len)
{
	struct gather g = gather_into(to);
	struct cap_reader reader;
	struct cap_event event;
	uint16_t channel = 0;

	cap_reader_init(&reader);
	for (size_t i = 0, n; i < len; i += n + 1) {
		n = line_of(text + i, len - i);
		const int r = cap_read_line(&reader, (const char *)text + i, n, &event);

		if (r < 0)
			return -EBADMSG;
		if (r > 0 && event.kind == CAP_OPEN && event.open.service == GATE_SERVICE)
			return -EPROTONOSUPPORT;
		if (r == 0 || event.kind != CAP_FRAME || (g.begun && event.channel != channel))
			continue;
		take_frame(&g, event.data, event.len);
		channel = event.channel;
	}
	return gathered(&g, ret_len);
}

/* a packet a line; lines that are none are passed over */
static int from_lines(const uint8_t *text, size_t len, uint8_t *to, size_t *ret_len)
{
	struct gather g = gather_into(to);
	uint8_t packet[FRAME_SIZE + 1];

	for (size_t i = 0, n; i < len; i += n + 1) {
		struct writer w = writer_of(packet, sizeof(packet));

		n = line_of(text + i, len - i);
		if (unhex(text + i, n, &w) == 0)
			take_frame(&g, packet, w.len);
	}
	return gathered(&g, ret_len);
}

static bool is_text(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] >= 0x7f || (data[i] < 0x20 && !is_blank(data[i])))
			return false;
	return true;
}

/* ---- what it is ---- */

static int from_bytes(const uint8_t *data, size_t len, uint8_t *to, size_t *ret_len)
{
	if (data[0] == CONTROL)
		return from_stream(data, len, to, ret_len);
	if (data[0] == GATE_RESET || data[0] == GATE_RESET_DONE)
		return -EPROTONOSUPPORT;
	if (len > FITBIT_DUMP_MAX)
		return -EMSGSIZE;
	memcpy(to, data, len);
	*ret_len = len;
	return 0;
}

static int from_text(const uint8_t *text, size_t len, uint8_t *to, size_t *ret_len)
{
	static const char cap[] = "# wellgate-capture:";
	uint8_t *data;
	struct writer w;
	int r;

	if (len >= sizeof(cap) - 1 && memcmp(text, cap, sizeof(cap) - 1) == 0)
		return from_cap(text, len, to, ret_len);
	r = from_lines(text, len, to, ret_len);
	if (r != -ENODATA)
		return r;
	data = malloc(len);
	if (!data)
		return -ENOMEM;
	w = writer_of(data, len);
	r = unhex(text, len, &w);
	if (r >= 0)
		r = from_bytes(data, w.len, to, ret_len);
	free(data);
	return r;
}

int fitbit_file_dump(const uint8_t *file, size_t len, uint8_t **ret, size_t *ret_len)
{
	uint8_t *dump = malloc(FITBIT_DUMP_MAX);
	size_t have;
	int r;

	assert(len > 0);
	if (!dump)
		return -ENOMEM;
	r = is_text(file, len) ? from_text(file, len, dump, &have)
			       : from_bytes(file, len, dump, &have);
	if (r >= 0) { /* of its exact size, so that a sanitizer sees a read too far */
		*ret = malloc(have + (have == 0));
		r = *ret ? 0 : -ENOMEM;
	}
	if (r >= 0)
		memcpy(*ret, dump, have);
	free(dump);
	if (r < 0)
		return r;
	*ret_len = have;
	return 0;
}

int fitbit_file_unescape(uint8_t *dump, size_t len, size_t *ret_len)
{
	struct writer w = writer_of(dump, len);

	/* what is written never passes what is read */
	for (size_t i = 0, n; i < len; i += n) {
		uint8_t packet[FITBIT_PACKET_MAX];
		int r;

		n = len - i < sizeof(packet) ? len - i : sizeof(packet);
		memcpy(packet, dump + i, n);
		r = fitbit_packet_decode(packet, n, &w);
		if (r < 0)
			return -EBADMSG;
	}
	if (w.len == len)
		return -EBADMSG;
	*ret_len = w.len;
	return 0;
}

/* ---- the key ---- */

int fitbit_file_key(const char *path, const uint8_t serial[FITBIT_SERIAL_SIZE],
		    uint8_t ret[FITBIT_KEY_SIZE])
{
	uint8_t bytes[FITBIT_SERIAL_SIZE + FITBIT_KEY_SIZE];
	size_t len;
	int r = key_file_read(AT_FDCWD, path, bytes, sizeof(bytes), &len);

	if (r == 0)
		r = fitbit_key_of(bytes, len, serial, ret);
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}
