/*
 * wellgate export: every stored reading, as CSV (long: one row per component, dictionary in
 * README.md), JSON Lines, FHIR or Open mHealth. A file is written beside its place and moved there
 * when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/format.h"
#include "gateway/cli/print.h"
#include "gateway/cli/render.h"
#include "protocols/bytes/decimal.h"

static const char usage[] =
	"usage: wellgate export --format csv|jsonl|fhir|omh [--output FILE] [--after SEQUENCE]\n"
	"                       [--limit N] [--all] [--runtime-dir DIR]\n\n"
	"Writes every stored reading, oldest first; --all: also those that were corrected\n"
	"since. The file is made with mode 0600: it holds health data.\n\n"
	"fhir: one FHIR R4 Bundle a line, for each reading that is somebody's, finished and has\n"
	"a time; omh: one Open mHealth data point a line. What is left out is counted.\n";

static const char header[] =
	"sequence,reading_id,dedupe_key,metric,component,value,unit,original_value,original_unit,"
	"absent,loinc,snomed,mdc,measured_at_utc,local_date,utc_offset_min,clock,received_at_utc,"
	"duration_ms,subject,attribution,user_slot,driver,make,model,firmware,device,flags,goals,"
	"origin,revision\n";

struct export
{
	const struct client *client;
	FILE *out;
	enum {
		EXPORT_CSV,
		EXPORT_JSONL,
		EXPORT_FHIR,
		EXPORT_OMH,
	} format;
	struct render_counts left_out;
};

static const char *const formats[] = { "csv", "jsonl", "fhir", "omh" };

/* Text that a spreadsheet would run as a formula gets an apostrophe in front. */
static void put_text(FILE *out, const char *text)
{
	if (!text)
		text = "";
	(void)fputs(",\"", out);
	if (*text && strchr("=+-@\t\r", *text))
		(void)fputc('\'', out);
	for (; *text; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

/* nothing but letters, digits and . - _ : no quoting */
static void put_plain(FILE *out, const char *text)
{
	(void)fprintf(out, ",%s", text);
}

static void put_enum(FILE *out, const ProtobufCEnumDescriptor *descriptor, bool has, int value,
		     const char *prefix)
{
	char name[FORMAT_ENUM_MAX] = "";

	if (has)
		format_enum(name, descriptor, value, prefix);
	put_plain(out, name);
}

static void put_number(FILE *out, bool has, int64_t value)
{
	if (has)
		(void)fprintf(out, ",%" PRId64, value);
	else
		(void)fputc(',', out);
}

static void put_bytes(FILE *out, bool has, const ProtobufCBinaryData *data)
{
	char text[2 * 32 + 1] = "";

	if (has && data->len <= 32)
		format_hex(text, data->data, data->len);
	put_plain(out, text);
}

static void put_time(FILE *out, bool has, int64_t ms)
{
	char text[FORMAT_TIME_MAX] = "";

	if (has)
		format_utc(text, ms);
	put_plain(out, text);
}

static void put_decimal(FILE *out, const Wellgate__V1__Decimal *d)
{
	char text[DECIMAL_TEXT_MAX];

	format_decimal(text, sizeof(text), d);
	put_plain(out, text);
}

static void put_metric(FILE *out, unsigned int metric)
{
	const struct metric_info *info = metric_info(metric);

	put_plain(out, info ? info->name : "");
}

static void put_component(FILE *out, const Wellgate__V1__Component *part)
{
	put_metric(out, (unsigned int)part->metric);
	put_decimal(out, part->value);
	put_text(out, part->unit);
	put_decimal(out, part->original_value);
	put_text(out, part->original_unit);
	put_enum(out, &wellgate__v1__absent__descriptor, part->has_absent, (int)part->absent,
		 "ABSENT_");
	put_text(out, part->loinc);
	put_number(out, part->has_snomed && part->snomed > 0, (int64_t)part->snomed);
	put_number(out, part->has_mdc && part->mdc > 0, part->mdc);
}

static void put_when(FILE *out, const Wellgate__V1__Reading *r)
{
	char date[FORMAT_TIME_MAX] = "";

	put_time(out, r->has_measured_at_ms, r->measured_at_ms);
	if (r->has_measured_at_ms)
		format_local_date(date, r->measured_at_ms, r->utc_offset_min);
	put_plain(out, date);
	put_number(out, r->has_utc_offset_min, r->utc_offset_min);
	put_enum(out, &wellgate__v1__clock_quality__descriptor, r->has_clock, (int)r->clock,
		 "CLOCK_");
	put_time(out, r->has_received_at_ms, r->received_at_ms);
	put_number(out, r->has_duration_ms, r->duration_ms);
}

static void put_who(FILE *out, const Wellgate__V1__Reading *r)
{
	static const Wellgate__V1__DeviceRef nothing = WELLGATE__V1__DEVICE_REF__INIT;
	const Wellgate__V1__DeviceRef *ref = r->device ? r->device : &nothing;
	const Wellgate__V1__Attribution *a = r->attribution;

	put_text(out, r->subject);
	put_enum(out, &wellgate__v1__attribution_rule__descriptor, a && a->has_rule,
		 a ? (int)a->rule : 0, "ATTRIBUTION_");
	put_number(out, r->has_user_slot, r->user_slot);
	put_text(out, ref->driver);
	put_text(out, ref->make);
	put_text(out, ref->model);
	put_text(out, ref->firmware);
	put_bytes(out, ref->has_serial_digest, &ref->serial_digest);
}

/* several in one field, separated by blanks */
static void put_lists(FILE *out, const Wellgate__V1__Reading *r)
{
	char name[FORMAT_ENUM_MAX];

	(void)fputc(',', out);
	for (size_t i = 0; i < r->n_flags; i++) {
		format_enum(name, &wellgate__v1__flag__descriptor, (int)r->flags[i], "FLAG_");
		(void)fprintf(out, "%s%s", i > 0 ? " " : "", name);
	}
	(void)fputc(',', out);
	for (size_t i = 0; i < r->n_goals; i++)
		(void)fprintf(out, "%s%s", i > 0 ? " " : "", r->goals[i]);
}

static void put_row(FILE *out, const Wellgate__V1__Reading *r, const Wellgate__V1__Component *part)
{
	(void)fprintf(out, "%" PRIu64, r->sequence);
	put_bytes(out, r->has_reading_id, &r->reading_id);
	put_bytes(out, r->has_dedupe_key, &r->dedupe_key);
	put_metric(out, (unsigned int)r->metric);
	put_component(out, part);
	put_when(out, r);
	put_who(out, r);
	put_lists(out, r);
	put_enum(out, &wellgate__v1__origin__descriptor, r->has_origin, (int)r->origin, "ORIGIN_");
	put_number(out, r->has_revision, r->revision);
	(void)fputc('\n', out);
}

static int export_other(struct export *e, const Wellgate__V1__Reading *r, const char *hub)
{
	const enum render_format format = e->format == EXPORT_OMH ? RENDER_OMH : RENDER_FHIR;

	if (render_reading(e->out, format, r, hub, &e->left_out) < 0)
		return cli_fail(e->client->name, EXIT_IO, "out of memory");
	return 0;
}

static int export_one(void *user, const Wellgate__V1__Reading *r, const char *hub)
{
	struct export *e = user;
	_cleanup_free_ char *line = NULL;

	if (e->format == EXPORT_FHIR || e->format == EXPORT_OMH)
		return export_other(e, r, hub);
	if (e->format == EXPORT_CSV) {
		for (size_t i = 0; i < r->n_components; i++)
			put_row(e->out, r, r->components[i]);
		return 0;
	}
	line = print_reading(r, hub);
	if (!line)
		return cli_fail(e->client->name, EXIT_IO, "out of memory");
	(void)fprintf(e->out, "%s\n", line);
	return 0;
}

static int run(struct client *c, FILE *out)
{
	struct export e = { .client = c, .out = out };
	int code;

	while (strcmp(c->format, formats[e.format]) != 0) /* cmd_export knows that it is one */
		e.format++;
	if (e.format == EXPORT_CSV)
		(void)fputs(header, out);
	code = client_each_reading(c, export_one, &e);
	render_report(c->name, &e.left_out);
	if (code == 0 && (fflush(out) != 0 || ferror(out)))
		code = cli_fail(c->name, EXIT_IO, "cannot write the output: %s", strerror(errno));
	return code;
}

static int run_to_file(struct client *c)
{
	_cleanup_free_ char *part = NULL;
	FILE *out = NULL;
	int fd, code;

	if (asprintf(&part, "%s.part", c->output) < 0)
		return cli_fail(c->name, EXIT_IO, "out of memory");
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (!out)
		return cli_fail(c->name, EXIT_IO, "cannot write %s: %s", part, strerror(errno));
	code = run(c, out);
	if (code == 0 && fsync(fd) < 0)
		code = cli_fail(c->name, EXIT_IO, "cannot write %s: %s", part, strerror(errno));
	if (fclose(out) != 0 && code == 0)
		code = cli_fail(c->name, EXIT_IO, "cannot write %s: %s", part, strerror(errno));
	if (code == 0 && rename(part, c->output) < 0)
		code = cli_fail(c->name, EXIT_IO, "cannot make %s: %s", c->output, strerror(errno));
	if (code != 0)
		(void)unlink(part);
	return code;
}

static bool is_format(const char *name)
{
	for (size_t i = 0; name && i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(name, formats[i]) == 0)
			return true;
	}
	return false;
}

int cmd_export(int argc, char **argv)
{
	struct client c;
	int code =
		client_arguments(argc, argv, CLIENT_PAGE | CLIENT_EXPORT | CLIENT_ALL, usage, &c);

	if (code >= 0)
		return code;
	if (!is_format(c.format))
		return cli_fail(c.name, EXIT_USAGE, "--format csv, jsonl, fhir or omh is needed");
	return c.output ? run_to_file(&c) : run(&c, stdout);
}
