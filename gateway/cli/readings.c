/* wellgate readings: what is stored, oldest first. */
#include <inttypes.h>
#include <stdlib.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/format.h"
#include "gateway/cli/print.h"
#include "protocols/bytes/decimal.h"

static const char usage[] =
	"usage: wellgate readings [--json] [--limit N] [--after SEQUENCE] [--runtime-dir DIR]\n\n"
	"Lists stored readings in the order they were stored, 20 unless --limit says\n"
	"otherwise. --after goes on where an earlier list ended (its first column).\n";

static void print_component(const Wellgate__V1__Component *part, const char *separator)
{
	const struct metric_info *info = metric_info((unsigned int)part->metric);
	char value[DECIMAL_TEXT_MAX], unit[FORMAT_UNIT_MAX];

	format_decimal(value, sizeof(value), part->value);
	format_unit(unit, part->unit ? part->unit : "");
	(void)printf("%s%s %s%s%s", separator, info ? info->label : "?",
		     value[0] ? value : "no value", unit[0] && value[0] ? " " : "",
		     value[0] ? unit : "");
}

static void print_text(const Wellgate__V1__Reading *r)
{
	const struct metric_info *info = metric_info((unsigned int)r->metric);
	char when[FORMAT_TIME_MAX] = "time unknown    ", flag[FORMAT_ENUM_MAX];

	if (r->has_measured_at_ms)
		format_local(when, r->measured_at_ms, r->utc_offset_min);
	(void)printf("%6" PRIu64 "  %s  ", r->sequence, when);
	if (r->n_components != 1 || r->components[0]->metric != r->metric)
		(void)printf("%s:", info ? info->label : "?");
	for (size_t i = 0; i < r->n_components; i++)
		print_component(r->components[i], i > 0 ? ", " : r->n_components == 1 ? "" : " ");
	for (size_t i = 0; i < r->n_flags; i++) {
		format_enum(flag, &wellgate__v1__flag__descriptor, (int)r->flags[i], "FLAG_");
		(void)printf("%s%s", i == 0 ? "  [" : " ", flag);
	}
	(void)puts(r->n_flags > 0 ? "]" : "");
}

static int print_one(void *user, const Wellgate__V1__Reading *reading, const char *hub)
{
	const struct client *c = user;
	_cleanup_free_ char *line = NULL;

	if (!c->json) {
		print_text(reading);
		return 0;
	}
	line = print_reading(reading, hub);
	if (!line)
		return cli_fail(c->name, EXIT_IO, "out of memory");
	(void)puts(line);
	return 0;
}

int cmd_readings(int argc, char **argv)
{
	struct client c;
	int code = client_arguments(argc, argv, CLIENT_JSON | CLIENT_PAGE, usage, &c);

	if (code >= 0)
		return code;
	code = client_each_reading(&c, print_one, &c);
	return code ? code : client_flush(&c);
}
