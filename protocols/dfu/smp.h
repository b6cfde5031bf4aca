/*
 * The Simple Management Protocol of MCUmgr: a header of 8 bytes, then one CBOR map. Source:
 * Zephyr's documentation of SMP, of its groups 0 (OS) and 1 (images), and of its transport over
 * Bluetooth: service 8d53dc1d-1db7-4cd3-868b-8a527460aa84 with one characteristic,
 * da2e7828-fbce-4e01-ae9e-261174997c48. Requests are writes without response, answers are
 * notifications; both are cut into pieces of the MTU and put together by the length in the header.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/dfu/dfu.h"

#define SMP_HEADER_SIZE 8

enum smp_op {
	SMP_READ = 0,
	SMP_READ_ANSWER = 1,
	SMP_WRITE = 2,
	SMP_WRITE_ANSWER = 3,
};

enum smp_group {
	SMP_GROUP_OS = 0,
	SMP_GROUP_IMAGE = 1,
};

enum smp_id {
	SMP_OS_RESET = 5,
	SMP_OS_PARAMETERS = 6,
	SMP_IMAGE_STATE = 0,
	SMP_IMAGE_UPLOAD = 1,
};

struct smp_header {
	uint8_t op, version; /* 0: errors are "rc" alone; 1: "err" with a group, too */
	uint8_t flags;
	uint16_t len; /* of what follows */
	uint16_t group;
	uint8_t sequence, id;
};

/* -EMSGSIZE fewer than 8 bytes */
int smp_header_decode(const uint8_t *data, size_t len, struct smp_header *ret);
void smp_header_encode(const struct smp_header *h, struct writer *w);

/* One image of the answer to "state of images". */
struct smp_image {
	bool present;
	bool has_hash;
	uint8_t hash[DFU_HASH_SIZE];
	struct dfu_version version;
	bool pending, confirmed, active, permanent;
};

#define SMP_SLOTS 2 /* of image 0, the only one that is looked at */

/* What is in any of the answers that are used. */
struct smp_answer {
	uint32_t rc;       /* 0: it worked */
	uint32_t rc_group; /* 0: rc is of the OS group, or of all of them */
	bool has_offset, has_buffer;
	uint32_t offset, buffer;
	bool has_match, match; /* the device's own check of the upload */
	struct smp_image slot[SMP_SLOTS];
};

/* The map behind the header. Unknown keys are skipped. -EBADMSG not CBOR or not a map, -ERANGE a
 * known key with a value that it cannot have, -E2BIG nested too deeply */
int smp_answer_decode(const uint8_t *data, size_t len, struct smp_answer *ret);

/* "1.2.3", "1.2.3.4": up to four numbers; anything else is not known */
struct dfu_version smp_version_decode(const uint8_t *text, size_t len);
