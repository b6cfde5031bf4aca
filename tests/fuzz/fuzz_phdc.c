/* links: protocols */
/*
 * USB descriptors and packets of class 0f. The first byte says what follows: bit 0 descriptors or
 * packets, bit 1 with preamble, bits 5 to 7 the size of a packet. Packets are u16 length (big
 * endian), then so many bytes. What is checked: a choice is complete and within its bounds; an
 * APDU is as long as it says, its bytes are those that came, in order, and none of them is handed
 * on twice.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/phdc/descriptor.h"
#include "protocols/phdc/stream.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_endpoint(const struct usb_endpoint_choice *e, uint8_t direction)
{
	must((e->address & 0x80) == direction && (e->address & 0x0f) != 0);
	must(e->packet >= 1 && e->packet <= USB_PACKET_MAX);
	must((e->qos & ~PHDC_QOS_ALL) == 0);
}

static void check_choice(const struct usb_interface_choice *c)
{
	check_endpoint(&c->bulk_in, 0x80);
	check_endpoint(&c->bulk_out, 0);
	if (c->interrupt_in.address != 0)
		check_endpoint(&c->interrupt_in, 0x80);
	must(c->interrupt_in.address != c->bulk_in.address);
	must(c->data_code != PHDC_DATA_VENDOR);
	must(c->n_specialisations <= PHDC_SPECIALISATIONS_MAX);
	must(!c->use_preamble);
}

static void descriptors(const uint8_t *data, size_t size)
{
	struct usb_interface_choice c, again;

	if (size == 0)
		return;
	if (phdc_choose(data + 1, size - 1, data[0], &c) == 0) {
		check_choice(&c);
		must(data[0] == 0 || c.configuration == data[0]);
		/* whoever has a class of his own is a bulk pair as well */
		must(usb_choose_bulk(data + 1, size - 1, data[0], c.interface, &again) == 0);
		must(again.interface == c.interface);
	}
	(void)usb_choose_bulk(data + 1, size - 1, data[0], -1, &c);
}

struct run {
	struct phdc_stream *stream;
	size_t expected; /* bytes of APDUs that were handed out */
	size_t pushed;   /* bytes of data since the last reset */
};

static int take(struct run *run, const uint8_t *bytes)
{
	const uint8_t *apdu;
	size_t len;
	int r;

	while ((r = phdc_stream_pull(run->stream, &apdu, &len)) > 0) {
		must(len >= 4 && len <= PHDC_APDU_MAX);
		must(len == 4 + (size_t)(apdu[2] << 8 | apdu[3]));
		must(apdu[0] >= 0xe2 && apdu[0] <= 0xe7 && apdu[1] == 0);
		run->expected += len;
		must(run->expected <= run->pushed);
		must(memcmp(apdu, bytes + run->expected - len, len) == 0);
	}
	if (r == 0)
		must(!phdc_stream_is_pending(run->stream));
	must(phdc_stream_is_partial(run->stream) == (r == 0 && run->expected < run->pushed));
	return r;
}

/* Everything is also kept in one piece, to compare what comes out with what went in. */
static void packets(const uint8_t *data, size_t size, uint16_t packet, bool preamble)
{
	struct run run = { .stream = malloc(sizeof(*run.stream)) };
	uint8_t *all = malloc(size + 1);
	size_t at = 0;

	must(run.stream && all);
	phdc_stream_init(run.stream, packet, preamble);
	while (size - at >= 2) {
		size_t len = (size_t)(data[at] << 8 | data[at + 1]);
		const bool due = preamble && run.stream->transfers == 0;
		const bool trailer = run.stream->empty_may_come && len == 0;
		int r;

		at += 2;
		if (len > size - at)
			len = size - at;
		if (len > packet && !due)
			len = packet;
		r = phdc_stream_push(run.stream, data + at, len);
		if (r == 0 && !due && !trailer) {
			memcpy(all + run.pushed, data + at, len);
			run.pushed += len;
		}
		at += len;
		if (r == 0)
			r = take(&run, all);
		if (r < 0)
			run.pushed = run.expected = 0;
	}
	free(all);
	free(run.stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		descriptors(data + 1, size - 1);
	else
		packets(data + 1, size - 1, (uint16_t)(8U << (data[0] >> 5)), data[0] & 2);
	return 0;
}
