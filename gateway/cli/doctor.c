/* wellgate doctor: is everything in order, and if not, what to do. */
#include <stdbool.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"

static const char usage[] =
	"usage: wellgate doctor [--runtime-dir DIR]\n\n"
	"Looks at configuration, state folder, database, clock, broker, devices,\n"
	"Bluetooth and sockets. Exit status 0 if there is no problem, else 69.\n";

static const char *level_name(Wellgate__V1__Finding__Level level)
{
	if (level == WELLGATE__V1__FINDING__LEVEL__LEVEL_GOOD)
		return "good   ";
	if (level == WELLGATE__V1__FINDING__LEVEL__LEVEL_NOTICE)
		return "notice ";
	return "problem";
}

/* Lets the radio look at itself; without one there is nothing to wait for. */
static int refresh_radio(struct client *c)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	uint64_t request = 0;
	int error, code = client_ask_verb(c, "devices", 0, &reply);
	const bool has_radio = code == 0 && reply && reply->radio;

	wellgate__v1__reply__free_unpacked(reply, NULL);
	if (!has_radio)
		return code;
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	command.report = true;
	code = client_command(c, &command, &request);
	return code ? code : client_outcome(c, request, &error);
}

int cmd_doctor(int argc, char **argv)
{
	Wellgate__V1__Reply *reply = NULL;
	size_t problems = 0, notices = 0;
	struct client c;
	int code = client_arguments(argc, argv, 0, usage, &c);

	if (code >= 0)
		return code;
	code = client_open(&c);
	if (code == 0)
		(void)refresh_radio(&c); /* what it cannot say is a finding, too */
	if (code == 0)
		code = client_ask_verb(&c, "doctor", 0, &reply);
	client_close(&c);
	if (!reply)
		return code;
	for (size_t i = 0; i < reply->n_findings; i++) {
		const Wellgate__V1__Finding *f = reply->findings[i];

		(void)printf("%s  %s\n", level_name(f->level), f->what ? f->what : "?");
		if (f->advice)
			(void)printf("         -> %s\n", f->advice);
		if (f->level == WELLGATE__V1__FINDING__LEVEL__LEVEL_PROBLEM)
			problems++;
		if (f->level == WELLGATE__V1__FINDING__LEVEL__LEVEL_NOTICE)
			notices++;
	}
	if (problems == 0)
		(void)printf("No problem found%s.\n",
			     notices == 0 ? "" : "; the notices are worth a look");
	wellgate__v1__reply__free_unpacked(reply, NULL);
	code = client_flush(&c);
	if (code || problems == 0)
		return code;
	return cli_fail(c.name, EXIT_UNAVAILABLE, "%zu problem%s found", problems,
			problems == 1 ? "" : "s");
}
