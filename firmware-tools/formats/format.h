/* The table of image formats (formats.def): one row is one file in this folder. */
#pragma once

#include "firmware-tools/image.h"

struct firmware_input {
	const uint8_t *data;
	size_t len;
	const struct firmware_key *key; /* NULL: signatures are not checked */
};

struct firmware_format {
	const char *name;  /* also formats/<name>.c */
	const char *label; /* for people */
	/* by its magic, and nothing more: what claims to be one is read, and then refused with a
	 * reason. Data that is too short is not one. */
	bool (*probe)(const uint8_t *data, size_t len);
	/* 0, -EBADMSG by firmware_bad(), -ENOMEM. The image is thrown away on failure. */
	int (*read)(const struct firmware_input *in, struct firmware_image *image);
};

extern const struct firmware_format *const firmware_formats[]; /* NULL-terminated */
const struct firmware_format *firmware_format_by_name(const char *name);

#define FORMAT(name, label) extern const struct firmware_format firmware_##name;
#include "firmware-tools/formats/formats.def"
#undef FORMAT
