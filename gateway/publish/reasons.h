/* MQTT 5 reason codes: what they ask of us, and how they read. MQTT 5.0 section 2.4. */
#pragma once

#include <stdbool.h>

enum verdict {
	VERDICT_DELIVERED,     /* below 0x80 */
	VERDICT_NO_SUBSCRIBER, /* delivered to nobody: 0x10 */
	VERDICT_NEVER,         /* this message will never be taken */
	VERDICT_NEVER_AS_IS,   /* as above, but a part of it may be */
	VERDICT_LATER,         /* slow down */
	VERDICT_RECONNECT,
};

enum verdict reason_verdict(int code);
/* for people: why a connection was refused or ended; codes of CONNACK and DISCONNECT */
const char *reason_text(int code);
/* another connection uses our client id: coming back at once would only start a fight */
bool reason_is_takeover(int code);
