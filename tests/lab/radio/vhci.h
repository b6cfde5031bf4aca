/*
 * The line to the host: H4 packets, one a read and one a write, as /dev/vhci does it. In tests a
 * SEQPACKET socket stands in. What passes is written to a btsnoop file if there is one.
 * Source: the Linux driver hci_vhci: a first write of ff 00 makes a controller, its answer begins
 * with ff and ends with the number of hciN.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/lab/radio/snoop.h"

#define VHCI_PACKET_MAX 2048
#define VHCI_VENDOR     0xff /* type of the driver's own packets */

struct vhci {
	int fd;      /* -1: there is no adapter */
	bool silent; /* dead firmware: it swallows all and says nothing */
	struct snoop *snoop;
};

/* Makes the adapter. 0 or -errno. */
int vhci_open(struct vhci *v);
/* takes this descriptor for the host's side */
void vhci_attach(struct vhci *v, int fd);
/* takes the adapter away */
void vhci_close(struct vhci *v);
/* 0; -EAGAIN none there now; -errno the host is gone. A packet that a silent controller swallows
 * gives length 0. */
int vhci_receive(struct vhci *v, uint8_t buffer[VHCI_PACKET_MAX], size_t *ret_len);
/* nothing happens without an adapter, or with a silent one */
void vhci_send(struct vhci *v, const uint8_t *packet, size_t len);
