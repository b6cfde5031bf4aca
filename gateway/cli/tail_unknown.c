#include "gateway/cli/tail_unknown.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX      8  /* our messages are less deep, and none holds its own kind */
#define TEXT_BYTES_MAX 32 /* of octets, for people */
#define VARINT_MAX     10

/* How far a walk has come within one message. */
struct level {
	const ProtobufCMessage *m;
	size_t unknown; /* next */
	unsigned int field;
	size_t i; /* next of a repeated field */
};

struct walk {
	struct level levels[DEPTH_MAX];
	unsigned int depth;
};

static void walk_begin(struct walk *w, const ProtobufCMessage *m, enum tail_unknown_reach reach)
{
	*w = (struct walk){ .levels = { { .m = m } } };
	if (reach == TAIL_UNKNOWN_OWN)
		w->levels[0].field = m->descriptor->n_fields;
}

/* protobuf-c's layout: a message is a pointer, repeated ones an array of them and a count */
static size_t children(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;
	const void *one;
	uint32_t chosen;
	size_t n;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		(void)memcpy(&n, base + f->quantifier_offset, sizeof(n));
		return n;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		(void)memcpy(&chosen, base + f->quantifier_offset, sizeof(chosen));
		if (chosen != f->id)
			return 0;
	}
	(void)memcpy(&one, base + f->offset, sizeof(one));
	return one ? 1 : 0;
}

static const ProtobufCMessage *child(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
				     size_t i)
{
	const void *member;

	(void)memcpy(&member, (const char *)m + f->offset, sizeof(member));
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return ((ProtobufCMessage *const *)member)[i];
	return member;
}

/* Into the next message within this one. */
static bool walk_down(struct walk *w)
{
	struct level *at = &w->levels[w->depth];

	if (w->depth + 1 == DEPTH_MAX)
		return false;
	for (; at->field < at->m->descriptor->n_fields; at->field++, at->i = 0) {
		const ProtobufCFieldDescriptor *f = &at->m->descriptor->fields[at->field];

		if (f->type != PROTOBUF_C_TYPE_MESSAGE || at->i == children(at->m, f))
			continue;
		w->levels[++w->depth] = (struct level){ .m = child(at->m, f, at->i++) };
		return true;
	}
	return false;
}

/* NULL at the end */
static const ProtobufCMessageUnknownField *walk_next(struct walk *w)
{
	for (;;) {
		struct level *at = &w->levels[w->depth];

		if (at->unknown < at->m->n_unknown_fields)
			return &at->m->unknown_fields[at->unknown++];
		if (walk_down(w))
			continue;
		if (w->depth == 0)
			return NULL;
		w->depth--;
	}
}

/* "components[0].value": names of our own schema only */
static void put_path(FILE *out, const struct walk *w)
{
	for (unsigned int d = 0; d < w->depth; d++) {
		const struct level *at = &w->levels[d];
		const ProtobufCFieldDescriptor *f = &at->m->descriptor->fields[at->field];

		(void)fprintf(out, "%s%s", d > 0 ? "." : "", f->name);
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			(void)fprintf(out, "[%zu]", at->i - 1);
	}
}

/* How many octets the varint has; 0: it has no end. protobuf-c has checked that before. */
static size_t take_varint(const uint8_t *data, size_t len, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len && i < VARINT_MAX; i++) {
		value |= (uint64_t)(data[i] & 0x7f) << (7 * i);
		if (!(data[i] & 0x80)) {
			*ret = value;
			return i + 1;
		}
	}
	return 0;
}

static uint64_t little_endian(const uint8_t *data, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len && i < sizeof(value); i++)
		value |= (uint64_t)data[i] << (8 * i);
	return value;
}

static void put_octets(FILE *out, const uint8_t *data, size_t len, size_t max)
{
	for (size_t i = 0; i < len && i < max; i++)
		(void)fprintf(out, "%02x", data[i]);
	if (max == TEXT_BYTES_MAX && (len == 0 || len > max))
		(void)fprintf(out, "%s(%zu octets)", len > max ? "... " : "", len);
}

static void put_value(FILE *out, const ProtobufCMessageUnknownField *f, size_t max)
{
	uint64_t number = 0;
	size_t head = 0;

	switch (f->wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		if (take_varint(f->data, f->len, &number) > 0)
			(void)fprintf(out, "%" PRIu64, number);
		break;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		(void)fprintf(out, "0x%016" PRIx64, little_endian(f->data, f->len));
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		(void)fprintf(out, "0x%08" PRIx64, little_endian(f->data, f->len));
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: /* the length is kept with the octets */
		head = take_varint(f->data, f->len, &number);
		put_octets(out, f->data + head, f->len - head, max);
		break;
	default: /* protobuf-c refuses groups */
		break;
	}
}

static const char *wire_name(ProtobufCWireType type)
{
	switch (type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return "varint";
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return "fixed64";
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return "fixed32";
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return "octets";
	default:
		return "group";
	}
}

bool tail_unknown_any(const ProtobufCMessage *m, enum tail_unknown_reach reach)
{
	struct walk w;

	walk_begin(&w, m, reach);
	return walk_next(&w) != NULL;
}

void tail_unknown_text(FILE *out, const ProtobufCMessage *m, enum tail_unknown_reach reach)
{
	const ProtobufCMessageUnknownField *f;
	struct walk w;
	size_t n = 0;

	walk_begin(&w, m, reach);
	while ((f = walk_next(&w)) != NULL) {
		if (n++ >= TAIL_UNKNOWN_MAX)
			continue;
		(void)fputs(n > 1 ? ", " : "", out);
		put_path(out, &w);
		(void)fprintf(out, "%sfield %" PRIu32 " = ", w.depth > 0 ? " " : "", f->tag);
		put_value(out, f, TEXT_BYTES_MAX);
	}
	if (n > TAIL_UNKNOWN_MAX)
		(void)fprintf(out, ", and %zu more", n - TAIL_UNKNOWN_MAX);
}

static void json_field(FILE *out, const struct walk *w, const ProtobufCMessageUnknownField *f)
{
	(void)fputc('{', out);
	if (w->depth > 0) {
		(void)fputs("\"in\":\"", out);
		put_path(out, w);
		(void)fputs("\",", out);
	}
	(void)fprintf(out, "\"field\":%" PRIu32 ",\"wire\":\"%s\",\"value\":\"", f->tag,
		      wire_name(f->wire_type));
	put_value(out, f, SIZE_MAX);
	(void)fputs("\"}", out);
}

void tail_unknown_json(FILE *out, const ProtobufCMessage *m, enum tail_unknown_reach reach)
{
	const ProtobufCMessageUnknownField *f;
	struct walk w;
	size_t n = 0;

	walk_begin(&w, m, reach);
	while ((f = walk_next(&w)) != NULL) {
		if (n++ >= TAIL_UNKNOWN_MAX)
			continue;
		(void)fputs(n > 1 ? "," : "\"unknown_fields\":[", out);
		json_field(out, &w, f);
	}
	if (n > 0)
		(void)fputc(']', out);
	if (n > TAIL_UNKNOWN_MAX)
		(void)fprintf(out, ",\"unknown_more\":%zu", n - TAIL_UNKNOWN_MAX);
}
