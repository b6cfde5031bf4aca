#include "gateway/publish/reasons.h"

#include <MQTTReasonCodes.h>
#include <stddef.h>

struct reason {
	int code;
	const char *text;
};

static const struct reason reasons[] = {
	{ MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION, "the broker does not speak MQTT 5" },
	{ MQTTREASONCODE_CLIENT_IDENTIFIER_NOT_VALID, "the broker refuses this hub's name" },
	{ MQTTREASONCODE_BAD_USER_NAME_OR_PASSWORD, "the broker refuses user name or password" },
	{ MQTTREASONCODE_NOT_AUTHORIZED, "the broker does not let this hub in" },
	{ MQTTREASONCODE_SERVER_UNAVAILABLE, "the broker is not available" },
	{ MQTTREASONCODE_SERVER_BUSY, "the broker is busy" },
	{ MQTTREASONCODE_BANNED, "the broker has banned this hub" },
	{ MQTTREASONCODE_SERVER_SHUTTING_DOWN, "the broker is shutting down" },
	{ MQTTREASONCODE_KEEP_ALIVE_TIMEOUT, "the broker heard nothing from us" },
	{ MQTTREASONCODE_SESSION_TAKEN_OVER,
	  "another hub with the same site and hub name connected" },
	{ MQTTREASONCODE_RECEIVE_MAXIMUM_EXCEEDED, "the broker says we sent too many at once" },
	{ MQTTREASONCODE_PACKET_TOO_LARGE, "the broker says a message was too large" },
	{ MQTTREASONCODE_MESSAGE_RATE_TOO_HIGH, "the broker says we send too fast" },
	{ MQTTREASONCODE_QUOTA_EXCEEDED, "the broker's quota for this hub is used up" },
	{ MQTTREASONCODE_ADMINISTRATIVE_ACTION, "the broker's operator closed the connection" },
	{ MQTTREASONCODE_RETAIN_NOT_SUPPORTED, "the broker keeps no retained messages" },
	{ MQTTREASONCODE_QOS_NOT_SUPPORTED, "the broker confirms no messages (no QoS 1)" },
	{ MQTTREASONCODE_USE_ANOTHER_SERVER, "the broker asks us to use another server" },
	{ MQTTREASONCODE_SERVER_MOVED, "the broker has moved" },
	{ MQTTREASONCODE_CONNECTION_RATE_EXCEEDED, "the broker says we connect too often" },
};

enum verdict reason_verdict(int code)
{
	if (code == MQTTREASONCODE_NO_MATCHING_SUBSCRIBERS)
		return VERDICT_NO_SUBSCRIBER;
	if (code >= 0 && code < MQTTREASONCODE_UNSPECIFIED_ERROR)
		return VERDICT_DELIVERED;
	switch (code) {
	case MQTTREASONCODE_NOT_AUTHORIZED:
	case MQTTREASONCODE_TOPIC_NAME_INVALID:
		return VERDICT_NEVER;
	case MQTTREASONCODE_PAYLOAD_FORMAT_INVALID:
	case MQTTREASONCODE_PACKET_TOO_LARGE:
		return VERDICT_NEVER_AS_IS;
	case MQTTREASONCODE_QUOTA_EXCEEDED:
	case MQTTREASONCODE_MESSAGE_RATE_TOO_HIGH:
		return VERDICT_LATER;
	default:
		return VERDICT_RECONNECT;
	}
}

const char *reason_text(int code)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].code == code)
			return reasons[i].text;
	}
	return code >= MQTTREASONCODE_UNSPECIFIED_ERROR ? "the broker refused the connection"
							: "the broker cannot be reached";
}

bool reason_is_takeover(int code)
{
	return code == MQTTREASONCODE_SESSION_TAKEN_OVER;
}
