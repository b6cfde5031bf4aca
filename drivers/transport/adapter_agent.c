/*
 * org.bluez.Agent1, the default agent, so that bluetoothd asks us about every pairing, also one
 * that a link of ours or a device began. It is registered before anything else is asked of
 * bluetoothd. What is agreed to: adapter_window.c. A question to the operator keeps bluetoothd's
 * call open until it is answered, cancelled, or the window closes; it gives up after 60 s.
 *
 * Outside windows the adapter is not even pairable, so the kernel refuses before bluetoothd asks.
 */
#include <errno.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"

#define REJECTED    "org.bluez.Error.Rejected"
#define CANCELED    "org.bluez.Error.Canceled"
#define CAPABILITY  "KeyboardDisplay"
#define PASSKEY_MAX 999999

/* ---- answers ---- */

static void refuse(sd_bus_message *m, const char *error)
{
	(void)sd_bus_reply_method_errorf(m, error, "not agreed to");
}

static void drop_question(struct adapter *a, const char *error)
{
	if (!a->agent.question)
		return;
	refuse(a->agent.question, error);
	a->agent.question = sd_bus_message_unref(a->agent.question);
}

static const struct ble_address *address_of(const struct adapter *a, const char *path)
{
	const struct object *object = objects_find(a->objects, path);

	return object ? &object->address : NULL;
}

/* What is shown here and typed there cannot be refused by an answer: the link is dropped. */
static void intruder(struct adapter *a, const struct ble_address *address, bool drop)
{
	static const struct ble_address unknown;

	a->counts.refused_pairings++;
	if (drop && address)
		(void)adapter_disconnect(a, address);
	if (a->handlers.intruder)
		a->handlers.intruder(a->handlers.user, address ? address : &unknown);
}

static void ask(struct adapter *a, enum adapter_question question, uint32_t passkey)
{
	if (a->handlers.question)
		a->handlers.question(a->handlers.user, &a->agent.window.address, question, passkey);
}

/* ---- requests ---- */

static const struct {
	const char *member, *types;
	enum window_request request;
} requests[] = {
	{ "RequestPinCode", "o", WINDOW_PIN_CODE },
	{ "DisplayPinCode", "os", WINDOW_DISPLAY_PIN_CODE },
	{ "RequestPasskey", "o", WINDOW_PASSKEY },
	{ "DisplayPasskey", "ouq", WINDOW_DISPLAY_PASSKEY },
	{ "RequestConfirmation", "ou", WINDOW_CONFIRMATION },
	{ "RequestAuthorization", "o", WINDOW_AUTHORIZATION },
	{ "AuthorizeService", "os", WINDOW_SERVICE },
};

static bool request_of(sd_bus_message *m, enum window_request *ret)
{
	const char *member = sd_bus_message_get_member(m);

	for (size_t i = 0; member && i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(member, requests[i].member) == 0 &&
		    sd_bus_message_has_signature(m, requests[i].types)) {
			*ret = requests[i].request;
			return true;
		}
	}
	return false;
}

static int hold(struct adapter *a, sd_bus_message *m, enum window_request request, uint32_t passkey)
{
	drop_question(a, CANCELED);
	a->agent.question = sd_bus_message_ref(m);
	a->agent.request = request;
	ask(a, request == WINDOW_PASSKEY ? ADAPTER_ASK_PASSKEY : ADAPTER_ASK_MATCH, passkey);
	return 1;
}

/* `entered` counts the keys pressed on the device: only the first call is news. */
static int show(struct adapter *a, sd_bus_message *m, uint32_t passkey)
{
	uint16_t entered = 0;

	if (sd_bus_message_read(m, "q", &entered) < 0)
		return -EBADMSG;
	if (entered == 0)
		ask(a, ADAPTER_SHOW_PASSKEY, passkey);
	return sd_bus_reply_method_return(m, NULL);
}

static int take(struct adapter *a, sd_bus_message *m, enum window_request request)
{
	uint32_t passkey = 0;

	if (request == WINDOW_PASSKEY)
		return hold(a, m, request, 0);
	if (sd_bus_message_read(m, "u", &passkey) < 0)
		return -EBADMSG;
	if (passkey > PASSKEY_MAX) {
		a->counts.malformed++;
		refuse(m, REJECTED);
		return 1;
	}
	return request == WINDOW_CONFIRMATION ? hold(a, m, request, passkey) : show(a, m, passkey);
}

static int on_request(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const struct ble_address *address;
	enum window_request request;
	const char *path;

	(void)ret_error;
	if (!bluez_is_from_daemon(&a->bluez, m) || !request_of(m, &request)) {
		refuse(m, REJECTED);
		return 1;
	}
	if (sd_bus_message_read(m, "o", &path) < 0)
		return -EBADMSG;
	address = address_of(a, path);
	switch (window_judge(&a->agent.window, request, address, adapter_now(a))) {
	case WINDOW_AGREE:
		return sd_bus_reply_method_return(m, NULL);
	case WINDOW_ASK:
		return take(a, m, request);
	case WINDOW_DECLINE:
		refuse(m, REJECTED);
		return 1;
	case WINDOW_REFUSE:
		refuse(m, REJECTED);
		intruder(a, address, request == WINDOW_DISPLAY_PASSKEY);
		return 1;
	}
	return -EINVAL;
}

/* Cancel: the question is void. Release: bluetoothd lets go of us, it ends. */
static int on_void(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;

	(void)ret_error;
	if (bluez_is_from_daemon(&a->bluez, m))
		drop_question(a, CANCELED);
	return sd_bus_reply_method_return(m, NULL);
}

/* Unprivileged: the sender is checked above, against the owner of org.bluez. */
static const sd_bus_vtable agent_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Release", "", "", on_void, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Cancel", "", "", on_void, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("RequestPinCode", "o", "s", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DisplayPinCode", "os", "", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("RequestPasskey", "o", "u", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DisplayPasskey", "ouq", "", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("RequestConfirmation", "ou", "", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("RequestAuthorization", "o", "", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("AuthorizeService", "os", "", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int agent_export(struct adapter *a)
{
	return sd_bus_add_object_vtable(a->bluez.bus, NULL, AGENT_PATH, "org.bluez.Agent1",
					agent_vtable, a);
}

/* ---- registration ---- */

static void on_registered(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	(void)user;
	if (error && !adapter_error_is(error, "AlreadyExists"))
		a->counts.failed_calls++;
}

static void register_call(struct adapter *a, const char *member, const char *capability)
{
	sd_bus_message *m = NULL;
	int r;

	r = bluez_method(&a->bluez, "/org/bluez", "org.bluez.AgentManager1", member, &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "o", AGENT_PATH);
	if (r >= 0 && capability)
		r = sd_bus_message_append(m, "s", capability);
	if (r >= 0)
		(void)adapter_call(a, m, on_registered, NULL);
	sd_bus_message_unref(m);
}

void agent_register(struct adapter *a)
{
	register_call(a, "RegisterAgent", CAPABILITY);
	register_call(a, "RequestDefaultAgent", NULL);
}

/* ---- the window ---- */

static void on_pairable(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	(void)user;
	a->agent.pairable_calls -= a->agent.pairable_calls > 0;
	a->counts.failed_calls += error != NULL;
	scan_pause_check(a);
}

static void set_pairable(struct adapter *a)
{
	if (adapter_own_set(a, "Pairable", a->agent.window.is_open, on_pairable, NULL) >= 0)
		a->agent.pairable_calls++;
}

void agent_ready(struct adapter *a)
{
	set_pairable(a);
}

static int on_closing(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	adapter_window_close(user);
	return 0;
}

int adapter_window_open(struct adapter *a, const struct ble_address *address, int64_t usec)
{
	if (a->ladder.state != LADDER_READY)
		return -ENODEV;
	drop_question(a, CANCELED);
	a->agent.window = (struct window){ true, *address, adapter_now(a) + usec };
	adapter_timer(a, &a->agent.closing, usec, on_closing);
	/* somebody else may have made himself the default since */
	register_call(a, "RequestDefaultAgent", NULL);
	set_pairable(a);
	return 0;
}

void adapter_window_close(struct adapter *a)
{
	if (!a->agent.window.is_open)
		return;
	a->agent.window.is_open = false;
	adapter_timer_stop(a->agent.closing);
	drop_question(a, REJECTED);
	set_pairable(a);
}

int adapter_answer_passkey(struct adapter *a, uint32_t passkey)
{
	int r;

	if (!a->agent.question || a->agent.request != WINDOW_PASSKEY)
		return -ENOENT;
	if (passkey > PASSKEY_MAX)
		return -EINVAL;
	r = sd_bus_reply_method_return(a->agent.question, "u", passkey);
	a->agent.question = sd_bus_message_unref(a->agent.question);
	return r < 0 ? r : 0;
}

int adapter_answer(struct adapter *a, bool yes)
{
	int r = 0;

	if (!a->agent.question || a->agent.request != WINDOW_CONFIRMATION)
		return -ENOENT;
	if (yes)
		r = sd_bus_reply_method_return(a->agent.question, NULL);
	else
		refuse(a->agent.question, REJECTED);
	a->agent.question = sd_bus_message_unref(a->agent.question);
	return r < 0 ? r : 0;
}

/* Nobody waits for the answer any more. */
void agent_lost(struct adapter *a)
{
	a->agent.question = sd_bus_message_unref(a->agent.question);
	a->agent.pairable_calls = 0;
}

void agent_free(struct adapter *a)
{
	a->agent.question = sd_bus_message_unref(a->agent.question);
	sd_event_source_disable_unref(a->agent.closing);
}
