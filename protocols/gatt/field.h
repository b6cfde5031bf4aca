/*
 * What the codecs of this folder share: fields of whole numbers, and the rules of decode and encode
 * that time.h states. Not meant for callers outside protocols/gatt.
 */
#pragma once

#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

/* n in units of 10^exponent. -ERANGE: absent, between two units, or outside min..max. */
int field_integer(struct number n, int32_t exponent, int64_t min, int64_t max, int64_t *ret);
/* Appends n in units of 10^exponent as u8 or u16; -ERANGE, and then nothing is written. */
int field_u8(struct writer *w, struct number n, int32_t exponent);
int field_u16(struct writer *w, struct number n, int32_t exponent);

/* the end of an encoder: its result r, or -ENOSPC; after a failure nothing since start is left */
int field_close(struct writer *w, const struct writer *start, int r);
