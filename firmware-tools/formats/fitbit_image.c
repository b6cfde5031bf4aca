/*
 * What is in the memory of an older Fitbit tracker: a Cortex-M image (initial stack in RAM, reset
 * vector in flash) with a CRC-16/XMODEM of itself at 0x200, little endian, over all but the eight
 * bytes from there on. Evidence: as for the container; published images of three makes of firmware
 * fit, published images that were patched do not. It has no magic: any image of a Cortex-M of ST
 * looks like one until its sum is checked, and six bytes are in no sum.
 */
#include "firmware-tools/formats/fitbit.h"
#include "protocols/bytes/cursor.h"

#define RAM_FROM   UINT32_C(0x20000000)
#define RAM_TO     UINT32_C(0x20040000)
#define FLASH_FROM UINT32_C(0x08000000)
#define FLASH_TO   UINT32_C(0x08100000)

static bool is_image(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);
	const uint32_t stack = cursor_le32(&c), reset = cursor_le32(&c);

	return len > FITBIT_CRC_AT + FITBIT_CRC_BYTES && stack > RAM_FROM && stack <= RAM_TO &&
	       stack % 4 == 0 && reset >= FLASH_FROM && reset < FLASH_TO && (reset & 1);
}

static int read_image(const struct firmware_input *in, struct firmware_image *image)
{
	struct firmware_segment segment = { .name = "memory", .data = in->data, .len = in->len };
	struct cursor c = cursor_of(in->data, in->len);

	if (!is_image(in->data, in->len))
		return firmware_bad(image, "it does not begin as the memory of a tracker");
	firmware_hex(image, NULL, "initial_stack", cursor_le32(&c), 8);
	firmware_hex(image, NULL, "reset_vector", cursor_le32(&c), 8);
	fitbit_check_image(image, NULL, in->data, in->len);
	firmware_unsigned(image, NULL);
	return firmware_add_segment(image, &segment);
}

const struct firmware_format firmware_fitbit_image = {
	.name = "fitbit_image",
	.label = "Fitbit memory image",
	.probe = is_image,
	.read = read_image,
};
