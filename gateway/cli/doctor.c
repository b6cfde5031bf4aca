/* wellgate doctor: is everything in order, and if not, what to do. */
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"

static const char usage[] =
	"usage: wellgate doctor [--runtime-dir DIR]\n\n"
	"Looks at configuration, state folder, database, clock, broker, devices\n"
	"and sockets. Exit status 0 if there is no problem, else 69.\n";

static const char *level_name(Wellgate__V1__Finding__Level level)
{
	if (level == WELLGATE__V1__FINDING__LEVEL__LEVEL_GOOD)
		return "good   ";
	if (level == WELLGATE__V1__FINDING__LEVEL__LEVEL_NOTICE)
		return "notice ";
	return "problem";
}

int cmd_doctor(int argc, char **argv)
{
	Wellgate__V1__Reply *reply = NULL;
	size_t problems = 0;
	struct client c;
	int code = client_arguments(argc, argv, 0, usage, &c);

	if (code < 0)
		code = client_ask_once(&c, "doctor", &reply);
	if (!reply)
		return code;
	for (size_t i = 0; i < reply->n_findings; i++) {
		const Wellgate__V1__Finding *f = reply->findings[i];

		(void)printf("%s  %s\n", level_name(f->level), f->what ? f->what : "?");
		if (f->advice)
			(void)printf("         -> %s\n", f->advice);
		if (f->level == WELLGATE__V1__FINDING__LEVEL__LEVEL_PROBLEM)
			problems++;
	}
	wellgate__v1__reply__free_unpacked(reply, NULL);
	code = client_flush(&c);
	if (code || problems == 0)
		return code;
	return cli_fail(c.name, EXIT_UNAVAILABLE, "%zu problem%s found", problems,
			problems == 1 ? "" : "s");
}
