/* What hci.c and hci_att.c share. Not for anybody else. */
#pragma once

#include "protocols/capture/hci.h"

#define HCI_ATT_MTU_DEFAULT  23
#define HCI_UUID_DEVICE_NAME 0x2a00

/* Hands an event on, stamped, after the CAP_OPEN of its link. */
void hci_emit(struct hci *h, struct hci_link *l, struct cap_event *e);
void hci_learn_service(struct hci_device *d, uint16_t service);
void hci_learn_name(struct hci_device *d, const uint8_t *name, size_t len);

/* One ATT packet, whole. -EBADMSG: shorter than its kind must be. */
int hci_att_packet(struct hci *h, struct hci_link *l, bool received, const uint8_t *data,
		   size_t len);
/* Hands on a long value whose parts have stopped coming. */
void hci_att_flush(struct hci *h, struct hci_link *l);
