#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/cleanup.h"
#include "protocols/bytes/writer.h"
#include "tests/lab/radio/snoop.h"

#define EPOCH_1970    UINT64_C(0x00dcddb30f2f8000)
#define RECORD_HEADER 24
#define H4_COMMAND    1
#define H4_EVENT      4

struct snoop {
	FILE *file;
};

static int put(struct snoop *s, const uint8_t *data, size_t len)
{
	return fwrite(data, 1, len, s->file) == len ? 0 : -EIO;
}

int snoop_open(const char *path, struct snoop **ret)
{
	static const uint8_t header[16] = { 'b', 't', 's', 'n', 'o', 'o', 'p', 0,
					    0,   0,   0,   1,   0,   0,   0x3, 0xea };
	_cleanup_file_ FILE *file = fopen(path, "we");
	struct snoop *s;

	if (!file)
		return -errno;
	if (fwrite(header, 1, sizeof(header), file) != sizeof(header) || fflush(file) != 0)
		return -EIO;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->file = TAKE_PTR(file);
	*ret = s;
	return 0;
}

int snoop_packet(struct snoop *s, bool received, const uint8_t *packet, size_t len, int64_t at_us)
{
	const bool control = len > 0 && (packet[0] == H4_COMMAND || packet[0] == H4_EVENT);
	uint8_t header[RECORD_HEADER];
	struct writer w = writer_of(header, sizeof(header));

	writer_be32(&w, (uint32_t)len);
	writer_be32(&w, (uint32_t)len);
	writer_be32(&w, (received ? 1U : 0U) | (control ? 2U : 0U));
	writer_be32(&w, 0);
	writer_be64(&w, EPOCH_1970 + (uint64_t)at_us);
	if (put(s, header, w.len) < 0 || put(s, packet, len) < 0 || fflush(s->file) != 0)
		return -EIO;
	return 0;
}

void snoop_close(struct snoop *s)
{
	if (!s)
		return;
	(void)fclose(s->file);
	free(s);
}
