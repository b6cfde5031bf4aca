/*
 * L2CAP basic mode over ACL: one SDU put together from the fragments that a host sends, and cut
 * into fragments for it. Bytes in, bytes out; every length is checked.
 * Source: Bluetooth Core 5.4, vol 4 part E 5.4.2 (ACL packets), vol 3 part A 3.1 (basic frames).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lab/radio/peer.h"

#define ACL_HEADER   4
#define ACL_SDU_MAX  (ACL_HEADER + PEER_SDU_MAX)
#define ACL_DATA_MAX 251 /* of one packet: what LE's longest link-layer packet carries */

/* packet boundary flags */
#define ACL_FIRST_NO_FLUSH 0
#define ACL_CONTINUES      1
#define ACL_FIRST          2

struct acl_sdu {
	bool begun;
	unsigned int unfinished; /* SDUs that were dropped because the next one began */
	size_t have;
	uint8_t data[ACL_SDU_MAX]; /* with the L2CAP header */
};

struct acl_view { /* an SDU without the header; borrowed */
	uint16_t cid;
	const uint8_t *data;
	size_t len;
};

/*
 * One fragment. 1: an SDU is complete, *ret is set until the next call; 0: more is to come.
 * -EPROTO: a continuation of nothing, or an unknown flag; -EMSGSIZE: more bytes than the header
 * says, or an SDU longer than PEER_SDU_MAX: what was there is dropped.
 */
int acl_push(struct acl_sdu *s, unsigned int boundary, const uint8_t *data, size_t len,
	     struct acl_view *ret);

/* The fragment of an SDU that begins at `offset` of header and payload together: its boundary flag
 * and its bytes, at most `fragment`. Returns its length, 0 behind the end. */
size_t acl_cut(const struct acl_view *sdu, size_t offset, size_t fragment,
	       unsigned int *ret_boundary, uint8_t ret[ACL_DATA_MAX]);
