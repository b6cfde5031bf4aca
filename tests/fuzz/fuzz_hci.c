/* links: protocols */
/* A whole file of another tool: container, HCI, L2CAP, ATT. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/capture/hci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *user, const struct cap_event *event)
{
	char line[CAP_LINE_MAX];

	(void)user;
	if (cap_write_event(event, line, sizeof(line)) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packets p;
	struct packet packet;
	struct hci *h = malloc(sizeof(*h));
	int r;

	if (!h)
		abort();
	hci_init(h, on_event, NULL);
	(void)hci_add_handle(h, (struct hci_handle){ 0x0012, 0x2a35 });
	r = packets_recognise(data, size) ? packets_begin(&p, data, size) : -1;
	while (r >= 0 && p.offset <= size) {
		r = packets_next(&p, data + p.offset, size - p.offset, &packet);
		if (r > 0) {
			packet.at_us = packet.at_us > 0 ? packet.at_us : 0;
			(void)hci_packet(h, &packet);
		}
	}
	hci_finish(h);
	free(h);
	return 0;
}
