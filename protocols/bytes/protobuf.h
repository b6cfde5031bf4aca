/*
 * The wire format of Protocol Buffers, written field by field: what is sent for every reading is
 * put straight from our own structures, without a copy of them in those of a library. Source:
 * "Encoding" in the documentation of Protocol Buffers. A field whose value is zero is written, too:
 * that it is there says something. Fields are written in the order of their numbers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

/* uint32, uint64, bool, and an enum, none of which has a negative number */
void protobuf_uint(struct writer *w, unsigned int field, uint64_t v);
/* sint32, sint64 */
void protobuf_sint(struct writer *w, unsigned int field, int64_t v);
/* bytes, string; data may be NULL if n is 0 */
void protobuf_bytes(struct writer *w, unsigned int field, const void *data, size_t n);
/* one number of a packed field, between protobuf_begin() and protobuf_end() */
void protobuf_packed(struct writer *w, uint64_t v);

/* A message, or a packed field: what is written until protobuf_end() is in it. */
size_t protobuf_begin(struct writer *w, unsigned int field);
void protobuf_end(struct writer *w, size_t begun);
