/* links: protocols */
/* Any frame through the anonymiser: first byte pair the channel, then the value. What it lets pass
 * can be written down, and a second pass with no shift changes nothing more. */
#include <stdlib.h>
#include <string.h>

#include "protocols/capture/anonymise.h"

#define CHANNEL_BYTES 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap_event event = { .kind = CAP_FRAME }, again;
	const char *why = NULL;

	if (size < CHANNEL_BYTES || size > CHANNEL_BYTES + CAP_DATA_MAX)
		return 0;
	event.channel = (uint16_t)(data[0] << 8 | data[1]);
	event.len = size - CHANNEL_BYTES;
	if (event.len > 0)
		memcpy(event.data, data + CHANNEL_BYTES, event.len);
	if (!anonymise_event(365, &event, &why)) {
		if (!why)
			abort();
		return 0;
	}
	again = event;
	if (!anonymise_event(0, &again, &why) || again.len != event.len ||
	    memcmp(again.data, event.data, event.len) != 0)
		abort();
	return 0;
}
