/*
 * The kernel's interface to L2CAP sockets, as far as it is needed; it has no header under
 * /usr/include/linux. Values: Linux, include/net/bluetooth/bluetooth.h and l2cap.h, where they are
 * part of the stable interface to programs.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#define BTPROTO_L2CAP 0

#ifndef SOL_BLUETOOTH
#define SOL_BLUETOOTH 274
#endif
#define BT_SECURITY 4 /* struct bt_security; levels 1 to 4 as enum bearer_level */

#define BDADDR_LE_PUBLIC 1
#define BDADDR_LE_RANDOM 2

#define L2CAP_CID_ATT 4

struct sockaddr_l2 {
	sa_family_t l2_family;
	uint16_t l2_psm;      /* little endian */
	uint8_t l2_bdaddr[6]; /* least significant byte first */
	uint16_t l2_cid;      /* little endian */
	uint8_t l2_bdaddr_type;
};

struct bt_security {
	uint8_t level;
	uint8_t key_size; /* bytes; 0 not encrypted */
};
