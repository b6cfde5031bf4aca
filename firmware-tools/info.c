/* wellgate-firmware info, verify: what a file says of itself, and whether that is so. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "firmware-tools/formats/format.h"
#include "firmware-tools/tool.h"

#define KEY_FILE_MAX ((size_t)16 * 1024)
#define SHA256_TEXT  (2 * FIRMWARE_SHA256 + 1)
#define SHOWN        16 /* segments, for people */
#define LABEL_BYTES  64

static const char info_usage[] =
	"usage: wellgate-firmware info [--json] [--format NAME] FILE\n\n"
	"Says of what format a firmware file is, for which device, which version, and where its\n"
	"bytes go. Checksums are looked at; who made it is a question for verify.\n";
static const char verify_usage[] =
	"usage: wellgate-firmware verify [--json] [--format NAME] [--key PEM] [--sha256 HEX] "
	"FILE\n\n"
	"Exit status 0: the file is whole; and with --key or --sha256, it is the one that was\n"
	"meant. 65: it is not, or that cannot be shown.\n\n"
	"  --key PEM     a public key: P-256, Ed25519 or RSA. Every part has to be signed by it.\n"
	"  --sha256 HEX  the hash of the whole file, from whoever published it: for formats\n"
	"                without a signature\n";

struct options {
	const char *name, *path, *key_path, *sha256;
	const struct firmware_format *format;
	bool json, verify;
};

struct subject {
	const struct options *o;
	const struct firmware_image *image;
	char sha256[SHA256_TEXT];
	size_t size;
	bool is_pinned; /* --sha256 was given, and is that of the file */
};

/* ---- arguments ---- */

static void list_formats(FILE *out)
{
	(void)fputs("\nFormats:\n", out);
	for (size_t i = 0; firmware_formats[i]; i++)
		(void)fprintf(out, "  %-12s %s\n", firmware_formats[i]->name,
			      firmware_formats[i]->label);
}

/* -1 = go on */
static int take_option(struct options *o, int option)
{
	switch (option) {
	case 'j':
		o->json = true;
		return -1;
	case 'f':
		o->format = firmware_format_by_name(optarg);
		return o->format
			       ? -1
			       : tool_fail(o->name, TOOL_USAGE, "no format %s; see --help", optarg);
	case 'k':
		o->key_path = optarg;
		return -1;
	case 's':
		o->sha256 = optarg;
		if (strlen(optarg) == SHA256_TEXT - 1 &&
		    strspn(optarg, "0123456789abcdefABCDEF") == SHA256_TEXT - 1)
			return -1;
		return tool_fail(o->name, TOOL_USAGE, "%s is not 64 hex digits", optarg);
	case 'h':
		(void)fputs(o->verify ? verify_usage : info_usage, stdout);
		list_formats(stdout);
		return tool_end(o->name, TOOL_GOOD);
	default:
		return tool_fail(o->name, TOOL_USAGE, "unknown or incomplete option; see --help");
	}
}

static int arguments(int argc, char **argv, struct options *o)
{
	static const struct option both[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "format", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "key", required_argument, NULL, 'k' }, /* these two: verify only */
		{ "sha256", required_argument, NULL, 's' },
		{ 0 },
	};
	int option, code = -1;

	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "", both, NULL)) != -1)
		code = take_option(o,
				   !o->verify && (option == 'k' || option == 's') ? '?' : option);
	if (code >= 0)
		return code;
	if (optind + 1 != argc)
		return tool_fail(o->name, TOOL_USAGE, "one file is wanted; see --help");
	o->path = argv[optind];
	return -1;
}

/* A hash that was given and is another one: not the file that was meant, whoever signed it. */
static bool is_genuine(const struct subject *s)
{
	if (firmware_first_bad(s->image))
		return false;
	return s->o->sha256 ? s->is_pinned : firmware_is_genuine(s->image);
}

/* ---- for machines ---- */

static json_t *facts_json(const struct firmware_image *image)
{
	json_t *object = json_object();

	for (size_t i = 0; i < image->n_facts; i++) {
		const struct firmware_fact *f = &image->facts[i];
		char name[LABEL_BYTES];
		json_t *value = f->is_number ? json_integer(strtoll(f->text, NULL, 10))
					     : json_string(f->text);

		(void)snprintf(name, sizeof(name), "%s%s%s", f->of ? f->of : "", f->of ? "." : "",
			       f->name);
		(void)json_object_set_new(object, name, value);
	}
	return object;
}

static json_t *segments_json(const struct firmware_image *image)
{
	json_t *array = json_array();

	for (size_t i = 0; i < image->n_segments; i++) {
		const struct firmware_segment *s = &image->segments[i];
		json_t *object =
			json_pack("{s:s, s:I}", "name", s->name, "size", (json_int_t)s->len);

		if (s->has_address)
			(void)json_object_set_new(object, "address", json_integer(s->address));
		if (s->alternate)
			(void)json_object_set_new(object, "alternate", json_integer(s->alternate));
		(void)json_array_append_new(array, object);
	}
	return array;
}

static json_t *checks_json(const struct firmware_image *image)
{
	json_t *array = json_array();

	for (size_t i = 0; i < image->n_checks; i++) {
		const struct firmware_check *c = &image->checks[i];
		json_t *object = json_pack("{s:s, s:s}", "check", c->name, "result",
					   firmware_result_name(c->result));

		if (c->of)
			(void)json_object_set_new(object, "of", json_string(c->of));
		if (*c->why)
			(void)json_object_set_new(object, "why", json_string(c->why));
		(void)json_array_append_new(array, object);
	}
	return array;
}

/* JSON's null is "not shown" */
static json_t *known(bool yes, bool no)
{
	if (yes)
		return json_true();
	return no ? json_false() : json_null();
}

static bool has_bad(const struct firmware_image *image, bool origin)
{
	for (size_t i = 0; i < image->n_checks; i++) {
		if (image->checks[i].is_origin == origin && image->checks[i].result == FIRMWARE_BAD)
			return true;
	}
	return false;
}

static void print_json(const struct subject *s)
{
	const struct firmware_image *image = s->image;
	json_t *whole = known(firmware_is_intact(image), has_bad(image, false));
	json_t *genuine = known(is_genuine(s), has_bad(image, true) || s->o->sha256);
	json_t *object =
		json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o}", "format", image->format->name,
			  "size", (json_int_t)s->size, "sha256", s->sha256, "facts",
			  facts_json(image), "segments", segments_json(image), "checks",
			  checks_json(image), "whole", whole, "genuine", genuine);

	/* a name that is not UTF-8 has no place in JSON: it is left out */
	(void)json_object_set_new(object, "file", json_string(s->o->path));
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
}

/* ---- for people ---- */

static void print_label(const char *of, const char *name)
{
	char label[LABEL_BYTES];

	(void)snprintf(label, sizeof(label), "%s%s%s", of ? of : "", of ? " " : "", name);
	for (char *p = label; *p; p++)
		*p = *p == '_' ? ' ' : *p;
	(void)printf("  %-28s  ", label);
}

static void print_segments(const struct firmware_image *image)
{
	for (size_t i = 0; i < image->n_segments && i < SHOWN; i++) {
		const struct firmware_segment *s = &image->segments[i];

		print_label(NULL, s->name);
		(void)printf("%zu bytes", s->len);
		if (s->has_address)
			(void)printf(" at 0x%08" PRIx32, s->address);
		if (s->alternate)
			(void)printf(", alternate setting %u", s->alternate);
		(void)putchar('\n');
	}
	if (image->n_segments > SHOWN)
		(void)printf("  and %zu more parts\n", image->n_segments - SHOWN);
}

static void print_checks(const struct firmware_image *image)
{
	for (size_t i = 0; i < image->n_checks; i++) {
		const struct firmware_check *c = &image->checks[i];

		print_label(c->of, c->name);
		(void)printf("%s%s%s\n", firmware_result_name(c->result), *c->why ? ": " : "",
			     c->why);
	}
}

static void print_text(const struct subject *s)
{
	(void)printf("%s: %s, %zu bytes\n", s->o->path, s->image->format->label, s->size);
	print_label(NULL, "sha256");
	(void)puts(s->sha256);
	for (size_t i = 0; !s->o->verify && i < s->image->n_facts; i++) {
		print_label(s->image->facts[i].of, s->image->facts[i].name);
		(void)puts(s->image->facts[i].text);
	}
	if (!s->o->verify)
		print_segments(s->image);
	print_checks(s->image);
	print_label(NULL, "whole");
	(void)puts(firmware_is_intact(s->image) ? "yes" : "not shown");
	print_label(NULL, "genuine");
	(void)puts(is_genuine(s) ? "yes" : "not shown");
}

/* ---- what it comes to ---- */

static int verdict(const struct subject *s)
{
	const struct firmware_check *bad = firmware_first_bad(s->image);
	const struct options *o = s->o;

	if (bad)
		return tool_fail(o->name, TOOL_DATA, "%s: %s%s%s is bad: %s", o->path,
				 bad->of ? bad->of : "", bad->of ? " " : "", bad->name, bad->why);
	if (o->sha256 && !s->is_pinned)
		return tool_fail(o->name, TOOL_DATA, "%s: its hash is another one", o->path);
	if (o->key_path && !firmware_is_genuine(s->image))
		return tool_fail(o->name, TOOL_DATA, "%s: not all of it is signed", o->path);
	if (o->verify && !o->sha256 && !firmware_is_intact(s->image))
		return tool_fail(o->name, TOOL_DATA,
				 "%s: nothing in it shows that it is whole; --sha256 can", o->path);
	return TOOL_GOOD;
}

static int report(const struct options *o, const struct firmware_image *image, const uint8_t *data,
		  size_t len)
{
	struct subject s = { .o = o, .image = image, .size = len };
	uint8_t hash[FIRMWARE_SHA256] = { 0 };

	if (firmware_sha256(data, len, hash) < 0)
		return tool_fail(o->name, TOOL_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < sizeof(hash); i++)
		(void)snprintf(s.sha256 + 2 * i, 3, "%02x", hash[i]);
	s.is_pinned = o->sha256 && strcasecmp(o->sha256, s.sha256) == 0;
	if (o->json)
		print_json(&s);
	else
		print_text(&s);
	return verdict(&s);
}

static int read_key(const struct options *o, struct firmware_key **ret)
{
	_cleanup_free_ uint8_t *pem = NULL;
	size_t len = 0;
	int code;

	if (!o->key_path)
		return 0;
	code = tool_read_file(o->name, o->key_path, KEY_FILE_MAX, &pem, &len);
	if (code == 0 && firmware_key_read(pem, len, ret) < 0)
		code = tool_fail(o->name, TOOL_DATA,
				 "%s is no public key in PEM, or of a kind that no firmware has",
				 o->key_path);
	return code;
}

static int read_image(const struct options *o, const struct firmware_key *key)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct firmware_image *image = NULL;
	const char *why = "no memory";
	size_t len = 0;
	int code = tool_read_file(o->name, o->path, FIRMWARE_FILE_MAX, &data, &len), r;

	if (code)
		return code;
	r = firmware_read(data, len, o->format, key, &image, &why);
	if (r == -ENOMSG)
		return tool_fail(o->name, TOOL_DATA, "%s is of no format that this knows", o->path);
	if (r < 0)
		return tool_fail(o->name, r == -ENOMEM ? TOOL_UNAVAILABLE : TOOL_DATA, "%s: %s",
				 o->path, why);
	code = report(o, image, data, len);
	firmware_free(image);
	return code;
}

static int run(int argc, char **argv, bool verify)
{
	struct options o = { .name = argv[0], .verify = verify };
	struct firmware_key *key = NULL;
	int code = arguments(argc, argv, &o);

	if (code >= 0)
		return code;
	code = read_key(&o, &key);
	if (code == 0)
		code = read_image(&o, key);
	firmware_key_free(key);
	return tool_end(o.name, code);
}

int tool_info(int argc, char **argv)
{
	return run(argc, argv, false);
}

int tool_verify(int argc, char **argv)
{
	return run(argc, argv, true);
}
