/* What is to be installed, from an image that was read and verified. */
#pragma once

#include "firmware-tools/image.h"
#include "protocols/dfu/dfu.h"

struct update_plan {
	struct dfu_plan dfu; /* points into the image, and into the hashes below */
	const struct dfu_protocol *protocol;
	uint8_t file_hash[FIRMWARE_SHA256], image_hash[FIRMWARE_SHA256];
};

/* NULL, or why not: a constant sentence for people, without a full stop. The image is borrowed for
 * as long as the plan is used; dfu.allow_older is the caller's. */
const char *update_plan_usb(struct update_plan *p, const struct firmware_image *image);
const char *update_plan_bluetooth(struct update_plan *p, const struct firmware_image *image);
