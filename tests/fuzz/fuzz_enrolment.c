/* links: transports */
/*
 * The file of an enrolled device, as a damaged card gives it back: refused, or understood so that
 * it prints again byte for byte. The checksum is put right first, or nothing would get past it; the
 * first byte says whether that is done.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/enrolment.h"
#include "protocols/bytes/crc.h"

#define CHECKSUM_LEN (sizeof("checksum=00000000\n") - 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put_right(char *text, size_t len)
{
	char line[CHECKSUM_LEN + 1];

	if (len < CHECKSUM_LEN)
		return;
	(void)snprintf(line, sizeof(line), "checksum=%08x\n",
		       crc_32_iso_hdlc(text, len - CHECKSUM_LEN));
	memcpy(text + len - CHECKSUM_LEN, line, CHECKSUM_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct enrolment *d = calloc(1, sizeof(*d));
	char *text = malloc(len ? len : 1), *again = malloc(ENROLMENT_BYTES_MAX);
	size_t n = 0;

	if (!d || !text || !again)
		abort();
	if (len > 0)
		memcpy(text, data + 1, len - 1);
	if (len > 0 && data[0] == '+')
		put_right(text, len - 1);
	if (len > 0 && enrolment_parse(text, len - 1, d) == 0 &&
	    (enrolment_print(d, again, ENROLMENT_BYTES_MAX, &n) != 0 || n != len - 1 ||
	     memcmp(text, again, n) != 0))
		abort();
	free(again);
	free(text);
	free(d);
	return 0;
}
