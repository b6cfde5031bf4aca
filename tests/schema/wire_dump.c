/*
 * wire_dump TYPE FILE: a message of wellgate.v1 as text, read by the C of protoc-c; the format is
 * that of schema_set.py. What it reads are fixtures of this folder, nothing from outside.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wellgate.pb-c.h"

#define FILE_MAX  ((size_t)1024 * 1024)
#define NAME_SIZE 512

static const ProtobufCMessageDescriptor *const types[] = {
	&wellgate__v1__reading_batch__descriptor, &wellgate__v1__goal_result__descriptor,
	&wellgate__v1__correction__descriptor,    &wellgate__v1__hub_status__descriptor,
	&wellgate__v1__receipt__descriptor,       &wellgate__v1__command__descriptor,
	&wellgate__v1__command_reply__descriptor,
};

static void dump(const ProtobufCMessage *m, const char *path);

static void put_string(const char *s)
{
	for (; *s; s++) {
		if (*s >= ' ' && *s <= '~' && *s != '\\')
			(void)putchar(*s);
		else
			(void)printf("\\x%02x", (unsigned char)*s);
	}
}

static void put_bytes(const ProtobufCBinaryData *b)
{
	for (size_t i = 0; i < b->len; i++)
		(void)printf("%02x", b->data[i]);
}

static void put_scalar(const ProtobufCFieldDescriptor *f, const void *at)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		(void)printf("%" PRId32, *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_BOOL:
		(void)printf("%" PRIu32, *(const uint32_t *)at);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		(void)printf("%" PRId64, *(const int64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		(void)printf("%" PRIu64, *(const uint64_t *)at);
		break;
	case PROTOBUF_C_TYPE_STRING:
		put_string(*(char *const *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(at);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_MESSAGE:
	default:
		(void)fprintf(stderr, "%s: no value of this kind is in these messages\n", f->name);
		exit(65);
	}
}

static void put_one(const ProtobufCFieldDescriptor *f, const void *at, const char *name)
{
	char inner[NAME_SIZE];
	const ProtobufCMessage *m;

	if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
		(void)printf("%s=", name);
		put_scalar(f, at);
		(void)putchar('\n');
		return;
	}
	m = *(ProtobufCMessage *const *)at;
	(void)snprintf(inner, sizeof(inner), "%s.", name);
	dump(m, inner);
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
	default:
		return sizeof(uint32_t);
	}
}

/* whether an optional field is there: by a flag, the case of a oneof, or the pointer itself */
static int is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const uint8_t *base = (const uint8_t *)m;

	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + f->quantifier_offset) == f->id;
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)(base + f->offset) != NULL;
	return *(const protobuf_c_boolean *)(base + f->quantifier_offset);
}

static void put_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		      const char *path)
{
	const uint8_t *at = (const uint8_t *)m + f->offset;
	char name[NAME_SIZE];
	size_t n;

	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		(void)snprintf(name, sizeof(name), "%s%s", path, f->name);
		if (is_set(m, f))
			put_one(f, at, name);
		return;
	}
	n = *(const size_t *)((const uint8_t *)m + f->quantifier_offset);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s%s[%zu]", path, f->name, i);
		put_one(f, *(const uint8_t *const *)at + i * size_of(f), name);
	}
}

static void dump(const ProtobufCMessage *m, const char *path)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;

	if (m->n_unknown_fields > 0) {
		(void)fprintf(stderr, "%s: fields that nobody knows\n", path);
		exit(65);
	}
	if (path[0] && protobuf_c_message_get_packed_size(m) == 0)
		(void)printf("%.*s={}\n", (int)strlen(path) - 1, path);
	for (unsigned int i = 0; i < d->n_fields; i++)
		put_field(m, &d->fields[i], path);
}

int main(int argc, char **argv)
{
	static uint8_t data[FILE_MAX];
	const ProtobufCMessageDescriptor *type = NULL;
	ProtobufCMessage *m = NULL;
	FILE *file;
	size_t len;

	for (size_t i = 0; argc == 3 && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i]->short_name, argv[1]) == 0)
			type = types[i];
	}
	file = type ? fopen(argv[2], "re") : NULL;
	if (!file) {
		(void)fputs("usage: wire_dump TYPE FILE\n", stderr);
		return 64;
	}
	len = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	m = protobuf_c_message_unpack(type, NULL, len, data);
	if (!m)
		return 65;
	dump(m, "");
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}
