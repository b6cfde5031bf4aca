/*
 * Which box this is: 16 hexadecimal digits that stay, whatever is written onto its card. They come
 * from what the machine says of itself, hashed: a serial number is nobody else's business.
 */
#pragma once

#include "gateway/kit/manifest.h"

/*
 * root: where the machine's files lie ("" here). In this order: the device tree's serial number
 * (Raspberry Pi), the firmware's product UUID (PC; only root may read it), the machine id, which a
 * copied card shares and which is therefore the last. -ENODATA: none of them.
 */
int kit_box(const char *root, char ret[KIT_BOX + 1]);
