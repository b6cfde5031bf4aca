/*
 * The package of nrfutil and its relatives: a zip archive with manifest.json, which names for each
 * of application, softdevice, bootloader and softdevice_bootloader a file of firmware ("bin_file")
 * and one with an init packet ("dat_file", see nordic_init.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "firmware-tools/formats/format.h"
#include "firmware-tools/formats/nordic_init.h"
#include "firmware-tools/package.h"
#include "protocols/bytes/crc.h"

#define MANIFEST_MAX ((size_t)64 * 1024)
#define SIGNED_ECDSA 0

static const struct {
	const char *name;
	enum nordic_type type;
} parts[] = {
	{ "softdevice_bootloader", NORDIC_SOFTDEVICE_BOOTLOADER },
	{ "softdevice", NORDIC_SOFTDEVICE },
	{ "bootloader", NORDIC_BOOTLOADER },
	{ "application", NORDIC_APPLICATION },
};

static bool is_zip(const uint8_t *data, size_t len)
{
	return len >= 4 && memcmp(data, "PK\3\4", 4) == 0;
}

/* those it may be used with, as "0x0101 0xcafe" */
static void say_softdevices(struct firmware_image *image, const char *of,
			    const struct nordic_init *init)
{
	char text[FIRMWARE_TEXT] = "";
	size_t len = 0;

	for (size_t i = 0; i < init->n_softdevices && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s0x%04" PRIx32,
					i ? " " : "", init->softdevices[i]);
	if (init->n_softdevices > 0)
		firmware_text(image, of, "softdevices", text);
}

static void say_init(struct firmware_image *image, const char *of, const struct nordic_init *init)
{
	firmware_text(image, of, "init_packet", init->is_secure ? "secure" : "legacy");
	firmware_number(image, of, "firmware_version", init->version);
	if (!init->is_secure) {
		firmware_hex(image, of, "device_type", init->device_type, 4);
		firmware_hex(image, of, "device_revision", init->device_revision, 4);
	}
	if (init->has_hardware)
		firmware_number(image, of, "hardware_version", init->hardware);
	say_softdevices(image, of, init);
	if (init->has_hash)
		firmware_bytes(image, of, "hash", init->hash, sizeof(init->hash));
	if (init->is_debug)
		firmware_text(image, of, "debug", "yes: bootloaders do not look at versions");
	image->has_version = true;
	image->version[0] = init->version;
}

/* bytes that the init packet announces; a kind that is not known has no size that fits */
static uint64_t announced(const struct nordic_init *init)
{
	switch (init->type) {
	case NORDIC_APPLICATION:
		return init->application_size;
	case NORDIC_SOFTDEVICE:
		return init->softdevice_size;
	case NORDIC_BOOTLOADER:
		return init->bootloader_size;
	case NORDIC_SOFTDEVICE_BOOTLOADER:
		return (uint64_t)init->softdevice_size + init->bootloader_size;
	default:
		return UINT64_MAX;
	}
}

static int check_signature(const struct firmware_input *in, struct firmware_image *image,
			   const char *of, const struct nordic_init *init)
{
	uint8_t der[72];
	struct firmware_signed what = { init->command, init->command_len, der, 0 };
	int r;

	if (!init->is_signed) {
		firmware_unsigned(image, of);
		return 0;
	}
	if (init->signature_type != SIGNED_ECDSA)
		return firmware_bad(image, "its signature is of a kind that this does not know");
	r = firmware_ecdsa_der(init->signature, der, &what.signature_len);
	if (r < 0)
		return r;
	firmware_signature(image, of, in->key, FIRMWARE_ECDSA_P256, &what);
	return 0;
}

static int check_secure(const struct firmware_input *in, struct firmware_image *image,
			const struct firmware_segment *segment, const struct nordic_init *init,
			enum nordic_type type)
{
	uint8_t hash[FIRMWARE_SHA256] = { 0 };
	int r = firmware_sha256(segment->data, segment->len, hash);

	if (r < 0)
		return r;
	firmware_check(image, segment->name, "kind", !init->has_type || init->type == type,
		       "the manifest and the init packet name different ones");
	firmware_check(image, segment->name, "size", announced(init) == segment->len,
		       "the init packet announces another size");
	if (init->has_hash)
		firmware_check(image, segment->name, "hash",
			       memcmp(hash, init->hash, sizeof(hash)) == 0,
			       "the firmware was damaged or changed after it was packed");
	else
		firmware_unchecked(image, segment->name, "hash", "it has none by SHA-256");
	return check_signature(in, image, segment->name, init);
}

static int check_part(const struct firmware_input *in, struct firmware_image *image,
		      const struct firmware_segment *segment, enum nordic_type type)
{
	struct nordic_init init;

	if (nordic_read_init(segment->init, segment->init_len, &init) < 0)
		return firmware_bad(image, "an init packet of it cannot be read");
	say_init(image, segment->name, &init);
	if (init.is_secure)
		return check_secure(in, image, segment, &init, type);
	firmware_check(image, segment->name, "checksum",
		       crc_16_ccitt_false(segment->data, segment->len) == init.crc,
		       "the firmware was damaged or changed after it was packed");
	firmware_unsigned(image, segment->name);
	return 0;
}

/* ---- the package */

static int read_named(struct package *package, struct firmware_image *image, const json_t *part,
		      const char *key, struct firmware_segment *segment)
{
	const char *name = json_string_value(json_object_get(part, key));
	const uint8_t *data = NULL;
	size_t len = 0;
	int r;

	if (!name)
		return firmware_bad(image, "its manifest names no file for a part of it");
	r = package_read(package, image, name, &data, &len);
	if (r == -ENOENT)
		return firmware_bad(image, "its manifest names a file that is not in it");
	if (r < 0)
		return r;
	if (len == 0)
		return firmware_bad(image, "a file of it is empty");
	if (strcmp(key, "bin_file") == 0) {
		segment->data = data;
		segment->len = len;
	} else {
		segment->init = data;
		segment->init_len = len;
	}
	return 0;
}

static int read_parts(const struct firmware_input *in, struct package *package,
		      struct firmware_image *image, const json_t *manifest)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++) {
		const json_t *part = json_object_get(manifest, parts[i].name);
		struct firmware_segment segment = { .name = parts[i].name };

		if (!part)
			continue;
		r = read_named(package, image, part, "bin_file", &segment);
		if (r == 0)
			r = read_named(package, image, part, "dat_file", &segment);
		if (r == 0)
			r = check_part(in, image, &segment, parts[i].type);
		if (r == 0)
			r = firmware_add_segment(image, &segment);
	}
	return r;
}

static int read_manifest(struct package *package, struct firmware_image *image, json_t **ret)
{
	const uint8_t *data = NULL;
	size_t len = 0;
	int r = package_read(package, image, "manifest.json", &data, &len);

	if (r == -ENOENT)
		return firmware_bad(image, "it is an archive, but no firmware package: it has no "
					   "manifest.json");
	if (r < 0)
		return r;
	if (len <= MANIFEST_MAX)
		*ret = json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES, NULL);
	return *ret ? 0 : firmware_bad(image, "its manifest cannot be read");
}

static int read_nordic(const struct firmware_input *in, struct firmware_image *image)
{
	struct package *package = NULL;
	json_t *json = NULL;
	int r = package_open(image, in->data, in->len, &package);

	if (r < 0)
		return r;
	r = read_manifest(package, image, &json);
	if (r == 0)
		r = read_parts(in, package, image, json_object_get(json, "manifest"));
	json_decref(json);
	package_close(package);
	return r;
}

const struct firmware_format firmware_nordic = {
	.name = "nordic",
	.label = "Nordic DFU package",
	.probe = is_zip,
	.read = read_nordic,
};
