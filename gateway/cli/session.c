/* wellgate session: in a clinic, one device is one person's for some minutes. */
#include <jansson.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/desk_client.h"

#define MINUTES 15

static const char usage[] =
	"usage: wellgate session open DEVICE --subject REF [--minutes N]\n"
	"       wellgate session close DEVICE\n\n"
	"What the device measures while a session is open is filed under that reference, without\n"
	"a doubt. It ends by itself after 15 minutes, or what --minutes says (60 at most).\n\n"
	"  --subject REF    the reference that `wellgate loan start` made, or a UUID\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 done, 64 not as it has to be, 69 not done, 74 I/O.\n";

static int ask(struct desk_args *a, Wellgate__V1__DeskCommand *m, struct desk_device *d,
	       uint64_t *ret_number)
{
	Wellgate__V1__Reply *reply = NULL;
	int code;

	desk_about(m, d);
	code = desk_ask(a, m, 0, &reply);
	if (code == 0)
		*ret_number = reply->desk->number;
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

static int open_it(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__OpenSession o = WELLGATE__V1__DESK_COMMAND__OPEN_SESSION__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	struct desk_device d;
	uint64_t number = 0;
	int code;

	if (!a->subject)
		return cli_fail("session", EXIT_USAGE, "whose session? --subject REF");
	code = desk_device(a, a->words[0], &d);
	if (code)
		return code;
	o.subject = (char *)(uintptr_t)a->subject; /* packing only reads */
	o.has_minutes = true;
	o.minutes = a->has_minutes ? a->minutes : MINUTES;
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_OPEN;
	m.open = &o;
	code = ask(a, &m, &d, &number);
	if (code)
		return code;
	if (a->client.json)
		desk_print(json_pack("{s:s, s:s, s:I, s:s, s:i}", "event", "opened", "device",
				     d.reference, "number", (json_int_t)number, "subject",
				     a->subject, "minutes", (int)o.minutes));
	else
		desk_say_number(WORDS_SESSION_OPENED, d.name, o.minutes);
	return 0;
}

static int close_it(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__CloseSession c = WELLGATE__V1__DESK_COMMAND__CLOSE_SESSION__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	struct desk_device d;
	uint64_t number = 0;
	int code = desk_device(a, a->words[0], &d);

	if (code)
		return code;
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_CLOSE;
	m.close = &c;
	code = ask(a, &m, &d, &number);
	if (code)
		return code;
	if (a->client.json)
		desk_print(json_pack("{s:s, s:s}", "event", "closed", "device", d.reference));
	else
		desk_say(WORDS_SESSION_CLOSED, d.name, NULL, NULL);
	return 0;
}

int cmd_session(int argc, char **argv)
{
	static const struct desk_verb verbs[] = {
		{ "open", DESK_SUBJECT | DESK_MINUTES, 1, 1, open_it },
		{ "close", 0, 1, 1, close_it },
		{ 0 },
	};

	return desk_main(argc, argv, usage, verbs);
}
