#include "gateway/kit/plan.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "gateway/text.h"

#define LINE_BYTES 190 /* libinih (Debian: INI_MAX_LINE 200) silently cuts what is longer */
#define DEVICE     "device "

struct reader {
	struct kit_plan *plan;
	const char *folder;
	const uint8_t *random;
	FILE *conf;
	char section[64]; /* that was written last */
	char *problem;
};

static const struct {
	const char *name;
	Wellgate__V1__RegistryEvent__DeviceKind kind;
} kinds[] = {
#define KIND(x) WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_##x
	{ "cuff", KIND(CUFF) },
	{ "scale", KIND(SCALE) },
	{ "wearable", KIND(WEARABLE) },
	{ "oximeter", KIND(OXIMETER) },
	{ "thermometer", KIND(THERMOMETER) },
	{ "glucose", KIND(GLUCOSE_METER) },
#undef KIND
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* 0, so that libinih stops */
__attribute__((format(printf, 2, 3))) static int bad(struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!r->problem && vasprintf(&r->problem, format, args) < 0)
		r->problem = NULL;
	va_end(args);
	return 0;
}

static bool take_number(const char *value, uint32_t max, uint32_t *ret)
{
	const size_t len = strlen(value);
	unsigned long n;

	if (len == 0 || len > 9 || strspn(value, "0123456789") != len)
		return false;
	n = strtoul(value, NULL, 10);
	if (n > max)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool take_yes_no(const char *value, bool *ret)
{
	*ret = strcmp(value, "yes") == 0;
	return *ret || strcmp(value, "no") == 0;
}

static bool take_hex(const char *value, size_t digits, char *ret)
{
	if (strlen(value) != digits || strspn(value, "0123456789abcdef") != digits)
		return false;
	(void)memcpy(ret, value, digits + 1);
	return true;
}

static bool take_line(const char *value, char *ret, size_t size)
{
	return value[0] && snprintf(ret, size, "%s", value) < (int)size;
}

/* ---- [kit] ---- */

static int on_kit(struct reader *r, const char *name, const char *value)
{
	struct kit_plan *p = r->plan;
	uint32_t days;

	if (strcmp(name, "box") == 0)
		return take_hex(value, KIT_BOX, p->box) ||
		       bad(r, "box = %s: 16 digits, as `wellgate kit box` says them", value);
	if (strcmp(name, "days") == 0) {
		if (!take_number(value, KIT_DAYS_MAX, &days) || days == 0)
			return bad(r, "days = %s: 1 to %d", value, KIT_DAYS_MAX);
		p->days = days;
		return 1;
	}
	if (strcmp(name, "page") == 0)
		return (strncmp(value, "http://", 7) == 0 &&
			take_line(value, p->page, sizeof(p->page))) ||
		       bad(r, "page = %s: http://...", value);
	if (strcmp(name, "help") == 0)
		return take_line(value, p->help, sizeof(p->help)) ||
		       bad(r, "help: 1 to %d bytes of text", KIT_LINE_MAX);
	return bad(r, "unknown key %s in [kit]: allowed are box, days, page, help", name);
}

/* ---- [device TITLE] ---- */

static struct kit_device *device_of(struct reader *r, const char *title)
{
	struct kit_plan *p = r->plan;

	for (size_t i = 0; i < p->n_devices; i++)
		if (strcmp(p->devices[i].title, title) == 0)
			return &p->devices[i];
	if (p->n_devices == KIT_DEVICES_MAX) {
		(void)bad(r, "more than %d devices", KIT_DEVICES_MAX);
		return NULL;
	}
	if (!take_line(title, p->devices[p->n_devices].title, KIT_TITLE_MAX + 1)) {
		(void)bad(r, "[device %s]: a name of 1 to %d bytes", title, KIT_TITLE_MAX);
		return NULL;
	}
	return &p->devices[p->n_devices++];
}

static bool take_kind(struct kit_device *d, const char *value)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i].name, value) == 0)
			d->kind = kinds[i].kind;
	return d->kind != 0;
}

static int on_device(struct reader *r, const char *title, const char *name, const char *value)
{
	struct kit_device *d = device_of(r, title);
	bool good;

	if (!d)
		return 0;
	if (strcmp(name, "kind") == 0)
		good = take_kind(d, value);
	else if (strcmp(name, "device") == 0)
		good = take_hex(value, 32, d->device);
	else if (strcmp(name, "memory") == 0)
		good = take_number(value, 1000000, &d->memory);
	else if (strcmp(name, "clock") == 0)
		good = take_yes_no(value, &d->clock);
	else if (strcmp(name, "wiped") == 0)
		good = take_yes_no(value, &d->wiped);
	else if (strcmp(name, "mark") == 0)
		good = d->has_mark = take_number(value, 999999999, &d->mark);
	else
		return bad(r,
			   "unknown key %s in [device %s]: allowed are kind, device, memory, "
			   "clock, wiped, mark",
			   name, title);
	return good || bad(r, "%s = %s in [device %s] cannot be taken", name, value, title);
}

/* ---- the rest: for wellgated ---- */

static bool names_a_file(const char *name)
{
	static const char *const keys[] = {
		"ca_file",       "cert_file",         "key_file",
		"password_file", "command_keys_file", "fleet_key_file"
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i], name) == 0)
			return true;
	return false;
}

/* The name that it has in the kit. */
static const char *on_file(struct reader *r, const char *value)
{
	const char *slash = strrchr(value, '/');
	const char *name = slash ? slash + 1 : value;
	struct kit_plan *p = r->plan;
	struct kit_source *s = &p->sources[p->n_sources];

	for (size_t i = 0; i < p->n_sources; i++)
		if (strcmp(p->sources[i].name, name) == 0) {
			(void)bad(r, "two files are called %s", name);
			return NULL;
		}
	if (kit_name_check(name) < 0 || strcmp(name, "wellgate.conf") == 0 ||
	    strcmp(name, "registry.json") == 0) {
		(void)bad(r, "%s: a file of a kit is called with a-z 0-9 . _ -", name);
		return NULL;
	}
	if (p->n_sources == KIT_FILES_MAX - 2 ||
	    snprintf(s->path, sizeof(s->path), "%s%s%s", slash ? "" : r->folder, slash ? "" : "/",
		     value) >= (int)sizeof(s->path)) {
		(void)bad(r, "too many files, or a path too long");
		return NULL;
	}
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	p->n_sources++;
	return s->name;
}

/* Returns what to write instead, or NULL. */
static const char *on_subject(struct reader *r, const char *value)
{
	struct kit_plan *p = r->plan;
	const char *problem = NULL;

	p->is_new = strcmp(value, "new") == 0;
	if (p->is_new) {
		reference_make(r->random, p->subject);
		return p->subject;
	}
	if (reference_check(value, &problem) < 0) {
		(void)bad(r, "subject = %s: %s", value, problem);
		return NULL;
	}
	(void)snprintf(p->subject, sizeof(p->subject), "%s", value);
	return p->subject;
}

static int on_other(struct reader *r, const char *section, const char *name, const char *value)
{
	const char *file;
	char text[KIT_LINE_MAX];

	if (names_a_file(name)) {
		file = on_file(r, value);
		if (!file)
			return 0;
		(void)snprintf(text, sizeof(text), KIT_HOME "/%s", file);
		value = text;
	} else if (strcmp(section, "person") == 0 && strcmp(name, "subject") == 0) {
		value = on_subject(r, value);
		if (!value)
			return 0;
	}
	if (strcmp(section, r->section) != 0) {
		(void)fprintf(r->conf, "\n[%s]\n", section);
		(void)snprintf(r->section, sizeof(r->section), "%s", section);
	}
	return fprintf(r->conf, "%s = %s\n", name, value) > 0;
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;

	if (!text_is_clean(section) || !text_is_clean(name) || !text_is_clean(value))
		return bad(r, "not UTF-8 text, or control characters in it");
	if (strcmp(section, "kit") == 0)
		return on_kit(r, name, value);
	if (strncmp(section, DEVICE, strlen(DEVICE)) == 0)
		return on_device(r, section + strlen(DEVICE), name, value);
	return on_other(r, section, name, value);
}

/* ---- the whole ---- */

static int check_lines(const char *text, char **ret_error)
{
	size_t line = 1;

	for (const char *at = text; *at; line++) {
		const size_t len = strcspn(at, "\n");

		if (len > LINE_BYTES ||
		    (len > 0 && strchr(" \t", *at) && strspn(at, " \t\r") < len)) {
			if (asprintf(ret_error, "%zu: %s", line,
				     len > LINE_BYTES ? "a line of more than 190 bytes"
						      : "a line must not begin with a blank") < 0)
				*ret_error = NULL;
			return -EINVAL;
		}
		at += len + (at[len] ? 1 : 0);
	}
	return 0;
}

static const char *missing(const struct kit_plan *p)
{
	if (!p->box[0])
		return "[kit] lacks box: `wellgate kit box` says it";
	for (size_t i = 0; i < p->n_devices; i++) {
		const struct kit_device *d = &p->devices[i];

		if (!d->kind)
			return "a device lacks its kind";
		if (d->device[0] && !p->subject[0])
			return "devices are lent to somebody: [person] subject = new";
		if (d->device[0] && !d->wiped && !d->has_mark && d->memory > 0)
			return "a device with memory: wiped = yes, or mark = its last record";
	}
	return NULL;
}

static int read_whole(struct reader *r, const char *text, char **ret_error)
{
	int line = ini_parse_string(text, on_key, r);
	const char *lacks = line == 0 ? missing(r->plan) : NULL;

	if (line == 0 && !lacks)
		return 0;
	if (line < 0)
		return -ENOMEM;
	if (asprintf(ret_error, "%d: %s", line,
		     lacks        ? lacks
		     : r->problem ? r->problem
				  : "expected [SECTION], KEY = VALUE, or a comment") < 0)
		*ret_error = NULL;
	return -EINVAL;
}

int kit_plan_read(const char *text, const char *folder, const uint8_t random[REFERENCE_RANDOM],
		  struct kit_plan **ret, char **ret_error)
{
	struct kit_plan *p = calloc(1, sizeof(*p));
	struct reader r = { .plan = p, .folder = folder, .random = random };
	size_t len;
	int result = check_lines(text, ret_error);

	if (result == 0)
		r.conf = p ? open_memstream(&p->conf, &len) : NULL;
	if (r.conf) {
		p->days = KIT_DEFAULT_DAYS;
		(void)fputs("# made by `wellgate kit prepare`\n", r.conf);
		result = read_whole(&r, text, ret_error);
		if (fclose(r.conf) != 0 && result == 0)
			result = -ENOMEM;
	} else if (result == 0) {
		result = -ENOMEM;
	}
	free(r.problem);
	if (result == 0)
		*ret = TAKE_PTR(p);
	kit_plan_free(p);
	return result;
}

void kit_plan_free(struct kit_plan *p)
{
	if (!p)
		return;
	free(p->conf);
	free(p);
}

/* ---- the list of devices and loans ---- */

static const char *kind_name(Wellgate__V1__RegistryEvent__DeviceKind kind)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "other";
}

static json_t *device_entry(const struct kit_device *d)
{
	return json_pack("{s:s, s:s, s:i, s:b}", "device", d->device, "kind", kind_name(d->kind),
			 "memory", (int)d->memory, "clock", d->clock);
}

static json_t *loan_entry(const struct kit_plan *p, const struct kit_device *d, const char *from)
{
	json_t *loan = json_pack("{s:s, s:s, s:s, s:s}", "device", d->device, "subject", p->subject,
				 "basis", "loan", "from", from);

	if (loan && d->wiped)
		(void)json_object_set_new(loan, "wiped", json_true());
	else if (loan && d->has_mark)
		(void)json_object_set_new(loan, "mark", json_integer(d->mark));
	return loan;
}

int kit_plan_registry(const struct kit_plan *p, int64_t from, char **ret)
{
	const time_t at = (time_t)from;
	json_t *devices = json_array(), *loans = json_array();
	json_t *whole = NULL;
	char text[32];
	struct tm tm;

	*ret = NULL;
	if (!gmtime_r(&at, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	for (size_t i = 0; i < p->n_devices; i++) {
		if (!p->devices[i].device[0])
			continue;
		(void)json_array_append_new(devices, device_entry(&p->devices[i]));
		(void)json_array_append_new(loans, loan_entry(p, &p->devices[i], text));
	}
	if (json_array_size(devices) == 0) {
		json_decref(devices);
		json_decref(loans);
		return 0;
	}
	whole = json_pack("{s:o, s:o}", "devices", devices, "assignments", loans);
	if (whole)
		*ret = json_dumps(whole, JSON_INDENT(1));
	json_decref(whole);
	return *ret ? 0 : -ENOMEM;
}
