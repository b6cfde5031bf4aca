#include "gateway/publish/reasons.h"

#include <MQTTReasonCodes.h>
#include <assert.h>
#include <stddef.h>

struct reason {
	enum verdict verdict;
	enum comeback comeback;
	const char *text; /* NULL: it ends no connection, or is none of the four packets' */
};

#define FIRST 0x80

#define OF(code) [(code)-FIRST]

static const char refused[] = "the broker refused the connection";
static const char misread[] = "the broker did not understand us, or we did it wrong";

/*
 * A message is parked only for what is in it, or where it goes. 0x9C and 0x9D name another server:
 * that is said, and not followed, because who can send that could send the readings anywhere. The
 * configuration says where they go.
 */
static const struct reason reasons[] = {
	OF(MQTTREASONCODE_UNSPECIFIED_ERROR) = { VERDICT_RECONNECT, COMEBACK_SOON, refused },
	OF(MQTTREASONCODE_MALFORMED_PACKET) = { VERDICT_RECONNECT, COMEBACK_LATER, misread },
	OF(MQTTREASONCODE_PROTOCOL_ERROR) = { VERDICT_RECONNECT, COMEBACK_LATER, misread },
	OF(MQTTREASONCODE_IMPLEMENTATION_SPECIFIC_ERROR) = { VERDICT_RECONNECT, COMEBACK_SOON,
							     refused },
	OF(MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION) = { VERDICT_RECONNECT, COMEBACK_PERSON,
							    "the broker does not speak MQTT 5" },
	OF(MQTTREASONCODE_CLIENT_IDENTIFIER_NOT_VALID) = { VERDICT_RECONNECT, COMEBACK_PERSON,
							   "the broker refuses this hub's name" },
	OF(MQTTREASONCODE_BAD_USER_NAME_OR_PASSWORD) = { VERDICT_RECONNECT, COMEBACK_PERSON,
							 "the broker refuses user name or "
							 "password" },
	OF(MQTTREASONCODE_NOT_AUTHORIZED) = { VERDICT_NEVER, COMEBACK_PERSON,
					      "the broker does not let this hub in" },
	OF(MQTTREASONCODE_SERVER_UNAVAILABLE) = { VERDICT_RECONNECT, COMEBACK_SOON,
						  "the broker is not available" },
	OF(MQTTREASONCODE_SERVER_BUSY) = { VERDICT_RECONNECT, COMEBACK_LATER,
					   "the broker is busy" },
	OF(MQTTREASONCODE_BANNED) = { VERDICT_RECONNECT, COMEBACK_PERSON,
				      "the broker has banned this hub" },
	OF(MQTTREASONCODE_SERVER_SHUTTING_DOWN) = { VERDICT_RECONNECT, COMEBACK_SOON,
						    "the broker is shutting down" },
	OF(MQTTREASONCODE_BAD_AUTHENTICATION_METHOD) = { VERDICT_RECONNECT, COMEBACK_PERSON,
							 "the broker wants another kind of "
							 "proof who we are" },
	OF(MQTTREASONCODE_KEEP_ALIVE_TIMEOUT) = { VERDICT_RECONNECT, COMEBACK_SOON,
						  "the broker heard nothing from us" },
	OF(MQTTREASONCODE_SESSION_TAKEN_OVER) = { VERDICT_RECONNECT, COMEBACK_PERSON,
						  "another hub with the same site and hub name "
						  "connected" },
	OF(MQTTREASONCODE_TOPIC_FILTER_INVALID) = { VERDICT_RECONNECT, COMEBACK_PERSON, misread },
	OF(MQTTREASONCODE_TOPIC_NAME_INVALID) = { VERDICT_NEVER, COMEBACK_PERSON,
						  "the broker refuses the names of our messages" },
	OF(MQTTREASONCODE_PACKET_IDENTIFIER_IN_USE) = { VERDICT_RECONNECT, COMEBACK_SOON, misread },
	OF(MQTTREASONCODE_PACKET_IDENTIFIER_NOT_FOUND) = { VERDICT_RECONNECT, COMEBACK_SOON,
							   misread },
	OF(MQTTREASONCODE_RECEIVE_MAXIMUM_EXCEEDED) = { VERDICT_RECONNECT, COMEBACK_LATER,
							"the broker says we sent too many at "
							"once" },
	OF(MQTTREASONCODE_TOPIC_ALIAS_INVALID) = { VERDICT_RECONNECT, COMEBACK_LATER, misread },
	OF(MQTTREASONCODE_PACKET_TOO_LARGE) = { VERDICT_NEVER_AS_IS, COMEBACK_LATER,
						"the broker says a message was too large" },
	OF(MQTTREASONCODE_MESSAGE_RATE_TOO_HIGH) = { VERDICT_LATER, COMEBACK_LATER,
						     "the broker says we send too fast" },
	OF(MQTTREASONCODE_QUOTA_EXCEEDED) = { VERDICT_LATER, COMEBACK_LATER,
					      "the broker's quota for this hub is used up" },
	OF(MQTTREASONCODE_ADMINISTRATIVE_ACTION) = { VERDICT_RECONNECT, COMEBACK_LATER,
						     "the broker's operator closed the "
						     "connection" },
	OF(MQTTREASONCODE_PAYLOAD_FORMAT_INVALID) = { VERDICT_NEVER_AS_IS, COMEBACK_LATER,
						      "the broker does not take what is in our "
						      "messages" },
	OF(MQTTREASONCODE_RETAIN_NOT_SUPPORTED) = { VERDICT_RECONNECT, COMEBACK_SOON,
						    "the broker keeps no retained messages" },
	OF(MQTTREASONCODE_QOS_NOT_SUPPORTED) = { VERDICT_RECONNECT, COMEBACK_PERSON,
						 "the broker confirms no messages (no QoS 1)" },
	OF(MQTTREASONCODE_USE_ANOTHER_SERVER) = { VERDICT_RECONNECT, COMEBACK_LATER,
						  "the broker asks us to use another server" },
	OF(MQTTREASONCODE_SERVER_MOVED) = { VERDICT_RECONNECT, COMEBACK_PERSON,
					    "the broker has moved" },
	OF(MQTTREASONCODE_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED) = { VERDICT_RECONNECT,
								  COMEBACK_PERSON, misread },
	OF(MQTTREASONCODE_CONNECTION_RATE_EXCEEDED) = { VERDICT_RECONNECT, COMEBACK_LATER,
							"the broker says we connect too often" },
	OF(MQTTREASONCODE_MAXIMUM_CONNECT_TIME) = { VERDICT_RECONNECT, COMEBACK_SOON,
						    "the broker ends connections after a while" },
	OF(MQTTREASONCODE_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED) = { VERDICT_RECONNECT,
								      COMEBACK_PERSON, misread },
	OF(MQTTREASONCODE_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED) = { VERDICT_RECONNECT,
								    COMEBACK_PERSON, misread },
};

static const struct reason *find(int code)
{
	const size_t n = sizeof(reasons) / sizeof(reasons[0]);

	if (code < FIRST || (size_t)(code - FIRST) >= n || !reasons[code - FIRST].text)
		return &reasons[0];
	return &reasons[code - FIRST];
}

enum verdict reason_verdict(int code)
{
	if (code == MQTTREASONCODE_NO_MATCHING_SUBSCRIBERS)
		return VERDICT_NO_SUBSCRIBER;
	if (code >= 0 && code < FIRST)
		return VERDICT_DELIVERED;
	return find(code)->verdict;
}

enum comeback reason_comeback(int code)
{
	return code < FIRST ? COMEBACK_SOON : find(code)->comeback;
}

const char *reason_text(int code)
{
	return code < FIRST ? "the broker cannot be reached" : find(code)->text;
}

bool reason_is_takeover(int code)
{
	return code == MQTTREASONCODE_SESSION_TAKEN_OVER;
}

void reason_count(struct reason_counts *c, enum reason_packet packet, int code)
{
	assert(packet < REASON_PACKETS);
	if (code >= 0 && code < 256)
		c->of[packet][code]++;
}
