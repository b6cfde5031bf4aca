/*
 * What the codecs of this folder share: fields of whole numbers, and the rules of decode and encode
 * that time.h states. Not meant for callers outside protocols/gatt.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

/* n in units of 10^exponent. -ERANGE: absent, between two units, or outside min..max. */
int field_integer(struct number n, int32_t exponent, int64_t min, int64_t max, int64_t *ret);
/* Appends n in units of 10^exponent as u8 or u16; -ERANGE, and then nothing is written. */
int field_u8(struct writer *w, struct number n, int32_t exponent);
int field_u16(struct writer *w, struct number n, int32_t exponent);

/* What a scale measured, as u16: 0xffff is "unsuccessful" and no number; otherwise raw * factor in
 * units of 10^exponent. Writing takes back what reading gave: -ERANGE for anything between. */
struct number field_measured(uint16_t raw, int64_t factor, int32_t exponent);
int field_write_measured(struct writer *w, struct number n, int64_t factor, int32_t exponent);
/* masses: 0.005 kg or 0.01 lb; heights: 0.001 m or 0.1 inch */
struct number field_mass(uint16_t raw, bool imperial);
int field_write_mass(struct writer *w, struct number n, bool imperial);
struct number field_height(uint16_t raw, bool imperial);
int field_write_height(struct writer *w, struct number n, bool imperial);

/* the end of an encoder: its result r, or -ENOSPC; after a failure nothing since start is left */
int field_close(struct writer *w, const struct writer *start, int r);
