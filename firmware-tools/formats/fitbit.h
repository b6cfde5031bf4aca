/* What a container and a memory image of the older Fitbit trackers share. */
#pragma once

#include "firmware-tools/formats/format.h"

#define FITBIT_CRC_AT    0x200
#define FITBIT_CRC_BYTES 8 /* left out of the sum; two of them are it */

/* Adds the check of the sum that an image of len bytes carries; len > FITBIT_CRC_AT + 8. */
void fitbit_check_image(struct firmware_image *image, const char *of, const uint8_t *data,
			size_t len);
