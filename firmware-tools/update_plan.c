#include "firmware-tools/update_plan.h"

#include <string.h>

#include "firmware-tools/formats/format.h"
#include "firmware-tools/formats/nordic_init.h"

static bool is_format(const struct firmware_image *image, const struct firmware_format *format)
{
	return image->format == format;
}

const char *update_plan_usb(struct update_plan *p, const struct firmware_image *image)
{
	const struct firmware_segment *s = image->segments;
	const bool plain = is_format(image, &firmware_dfu);

	if (!plain && !is_format(image, &firmware_dfuse))
		return "this writes files of this format over Bluetooth, or not at all";
	if (image->n_segments != 1 || s->alternate != 0 || s->has_address == plain)
		return "this writes files with one part, for the first memory";
	p->protocol = &DFU_USB;
	p->dfu.image = s->data;
	p->dfu.len = s->len;
	p->dfu.address = s->address;
	p->dfu.vid = image->usb_vendor;
	p->dfu.pid = image->usb_product;
	/* DfuSe's release is that of the boot loader's file format, not of the program */
	p->dfu.version.known = plain && image->usb_release != FIRMWARE_USB_ANY;
	p->dfu.version.part[0] = image->usb_release;
	return NULL;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* the image's own hash, as the format tells it: a fact of lower case digits */
static bool take_hash(const struct firmware_image *image, uint8_t ret[FIRMWARE_SHA256])
{
	const char *text = NULL;

	for (size_t i = 0; i < image->n_facts && !text; i++) {
		if (strcmp(image->facts[i].name, "hash") == 0)
			text = image->facts[i].text;
	}
	if (!text || strlen(text) != 2 * (size_t)FIRMWARE_SHA256)
		return false;
	for (size_t i = 0; i < FIRMWARE_SHA256; i++) {
		const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static const char *plan_mcuboot(struct update_plan *p, const struct firmware_image *image)
{
	if (!take_hash(image, p->image_hash))
		return "it has no hash by which the device could say that it runs it";
	if (firmware_sha256(p->dfu.image, p->dfu.len, p->file_hash) < 0)
		return "no memory";
	p->protocol = &DFU_SMP;
	p->dfu.file_hash = p->file_hash;
	p->dfu.image_hash = p->image_hash;
	return NULL;
}

static const char *plan_nordic(struct update_plan *p, const struct firmware_image *image)
{
	const struct firmware_segment *s = image->segments;
	struct nordic_init init;

	if (!s->init || nordic_read_init(s->init, s->init_len, &init) < 0)
		return "its init packet cannot be read";
	if (strcmp(s->name, "application") == 0)
		p->dfu.part = DFU_NORDIC_APPLICATION;
	else if (strcmp(s->name, "softdevice") == 0)
		p->dfu.part = DFU_NORDIC_SOFTDEVICE;
	else if (strcmp(s->name, "bootloader") == 0)
		p->dfu.part = DFU_NORDIC_BOOTLOADER;
	else
		return "this writes packages with one part";
	p->protocol = init.is_secure ? &DFU_NORDIC_SECURE : &DFU_NORDIC_LEGACY;
	p->dfu.init = s->init;
	p->dfu.init_len = s->init_len;
	/* what the device tells is the version of its application */
	p->dfu.version.known = image->has_version && p->dfu.part == DFU_NORDIC_APPLICATION;
	return NULL;
}

const char *update_plan_bluetooth(struct update_plan *p, const struct firmware_image *image)
{
	const bool mcuboot = is_format(image, &firmware_mcuboot);

	if (!mcuboot && !is_format(image, &firmware_nordic))
		return "no device takes files of this format over Bluetooth here";
	if (image->n_segments != 1)
		return "this writes packages with one part";
	p->dfu.image = image->segments->data;
	p->dfu.len = image->segments->len;
	p->dfu.version.known = image->has_version;
	for (size_t i = 0; i < 4; i++)
		p->dfu.version.part[i] = image->version[i];
	return mcuboot ? plan_mcuboot(p, image) : plan_nordic(p, image);
}
