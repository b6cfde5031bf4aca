/*
 * What a DFU device says of itself in its descriptors. Source: DFU 1.1, sections 4.1 to 4.2; for
 * DfuSe's names of memories UM0424 section 10.3.2 and AN3156.
 */
#pragma once

#include "protocols/dfu/dfu.h"

/*
 * The first DFU interface in a configuration descriptor with all that follows it; of its alternate
 * settings the one that is given. ret's numbers of the device (vid, pid, device) and the layout
 * stay 0.
 * A device before DFU 1.1 may lack bcdDFUVersion: 0x0100. -EMSGSIZE a descriptor runs over its
 * end, -ENOMSG there is no such interface, -EBADMSG it has no functional descriptor
 */
int dfu_usb_descriptor(const uint8_t *data, size_t len, uint8_t alternate,
		       struct dfu_usb_facts *ret);

/*
 * "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg": a name, then any number of addresses
 * with their pages; letters a to g say what can be read, erased and written. -EBADMSG it is not
 * that, -ERANGE sizes out of this world, -E2BIG more regions than DFUSE_REGIONS_MAX
 */
int dfuse_layout_decode(const char *name, size_t len, struct dfuse_layout *ret);
