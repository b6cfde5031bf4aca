/*
 * Device Information Service 0x180A: strings (0x2A24 model, 0x2A25 serial, 0x2A26 firmware, 0x2A27
 * hardware, 0x2A28 software, 0x2A29 manufacturer), System ID 0x2A23, PnP ID 0x2A50. All read.
 *
 * Text from a radio is hostile: gatt_text is the only door through which it becomes a C string.
 *
 * Source: SIG characteristic data (gatt-xml).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

/* longest attribute value, and so the longest text; with terminating NUL one more */
#define GATT_TEXT_MAX 512

/* Copies UTF-8 text and ends it with NUL. Padding that devices add (NUL and white space at either
 * end) is cut off. -EBADMSG: not UTF-8 (overlong forms, surrogates and code points above 10FFFF are
 * not), or a control character inside; -EMSGSIZE: more than GATT_TEXT_MAX bytes, or does not fit
 * into size with its NUL. Returns the length; ret untouched on failure. */
int gatt_text(const uint8_t *data, size_t len, char *ret, size_t size);
/* writes the text without its NUL; -EBADMSG, -EMSGSIZE as above, -ENOSPC the writer is too small */
int gatt_text_encode(const char *text, struct writer *w);

/* An EUI-64: 24 bits of company, 40 bits of its own. From a BD_ADDR: OUI, FFFE, lower 24 bits. */
struct gatt_system_id {
	uint64_t manufacturer; /* 40 bits */
	uint32_t oui;          /* 24 bits */
};

enum gatt_pnp_source {
	GATT_PNP_BLUETOOTH = 1, /* vendor is a company identifier of the SIG */
	GATT_PNP_USB = 2,       /* vendor is a USB vendor id */
};

struct gatt_pnp_id {
	enum gatt_pnp_source source;
	uint16_t vendor;
	uint16_t product;
	uint16_t version; /* the SIG writes 0xJJMN for JJ.M.N; devices vary */
};

/* -EMSGSIZE length; -ERANGE source. ret untouched on failure. */
int gatt_system_id_decode(const uint8_t *data, size_t len, struct gatt_system_id *ret);
int gatt_pnp_id_decode(const uint8_t *data, size_t len, struct gatt_pnp_id *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_system_id_encode(const struct gatt_system_id *x, struct writer *w);
int gatt_pnp_id_encode(const struct gatt_pnp_id *x, struct writer *w);
