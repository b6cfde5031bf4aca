/*
 * The pairing window: which of bluetoothd's questions are agreed to. Pure. One address, one span of
 * time; everything else is refused, whatever it is.
 */
#pragma once

#include "drivers/transport/ble.h"

/* the methods of org.bluez.Agent1 that ask for something */
enum window_request {
	WINDOW_PIN_CODE,         /* BR/EDR only */
	WINDOW_DISPLAY_PIN_CODE, /* the same */
	WINDOW_PASSKEY,          /* the device shows, the operator types here */
	WINDOW_DISPLAY_PASSKEY,  /* shown here, typed into the device */
	WINDOW_CONFIRMATION,     /* both show the same? */
	WINDOW_AUTHORIZATION,    /* Just Works */
	WINDOW_SERVICE,          /* a profile of bluetoothd's wants to connect: never ours */
	WINDOW_REQUEST_END
};

enum window_verdict {
	WINDOW_REFUSE,  /* somebody who has no business here: an intruder */
	WINDOW_DECLINE, /* refused, and nobody's fault */
	WINDOW_AGREE,   /* at once */
	WINDOW_ASK      /* the operator decides */
};

struct window {
	bool is_open;
	struct ble_address address;
	int64_t until; /* monotonic microseconds */
};

/* address: of the device that bluetoothd names; NULL: it named none that can be read */
enum window_verdict window_judge(const struct window *w, enum window_request request,
				 const struct ble_address *address, int64_t now);
