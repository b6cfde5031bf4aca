/*
 * What the bearer and its helper say to each other over their SEQPACKET socket: one message a
 * packet, a byte that names it, then its fields, little endian. The helper trusts its parent (it
 * is what it obeys); the parent trusts nothing of the helper, whose memory the peer may own.
 *
 *   parent -> helper                          helper -> parent
 *     START  below; the first, and once         READY                the attempt runs
 *     RAISE  u8 level                           CONNECTED u8 level   once
 *     DATA   PDU                                LEVEL     u8 level   it changed, or was asked for
 *                                               DATA      u8 level | PDU
 *                                               END       u8 stage | u16 errno: the last one
 */
#pragma once

#include <stdint.h>

#define FRAME_FD      3 /* the helper's end of the socket to its parent */
#define FRAME_LINK_FD 4 /* its socket to the peer; there from the start if it is a stand-in */

#define FRAME_PDU_MAX 517 /* largest ATT PDU: a whole value of 512 bytes in one request */
#define FRAME_MAX     (2 + FRAME_PDU_MAX)

enum frame_type {
	FRAME_START = 'S',
	FRAME_RAISE = 'R',
	FRAME_DATA = 'D',
	FRAME_READY = 'Y',
	FRAME_CONNECTED = 'C',
	FRAME_LEVEL = 'L',
	FRAME_END = 'E',
};

enum frame_stage {
	FRAME_STAGE_SETUP, /* the helper could not begin: no such socket, no sandbox */
	FRAME_STAGE_LINK,  /* the attempt or the link ended; errno 0: without saying why */
};

/*
 *   u8 version | u8 stand_in | u8[6] adapter | u8[6] peer, both as printed | u8 peer_random |
 *   u8 ask | u8 stand_in_level | u8 stand_in_reach | u32 timeout_ms
 */
#define FRAME_VERSION     1
#define FRAME_START_BYTES 23

#define FRAME_LEVEL_MIN 1
#define FRAME_LEVEL_MAX 4
