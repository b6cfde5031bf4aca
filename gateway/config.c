#include "gateway/config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/cleanup.h"
#include "gateway/broker_address.h"
#include "gateway/goals/keys.h"
#include "gateway/goals/zone.h"
#include "gateway/light/lamp.h"
#include "gateway/page_address.h"
#include "gateway/text.h"
#include "protocols/messages/codes.h"

#define FILE_MAX_BYTES ((size_t)64 * 1024)
#define DROP_INS_MAX   64
/* libinih (Debian: INI_MAX_LINE 200) silently cuts what is longer */
#define LINE_MAX_BYTES 190
#define GOAL_PREFIX    "goal "

enum kind {
	KIND_LEVEL,
	KIND_PATH,
	KIND_TEXT,
	KIND_ZONE,
	KIND_YES_NO,
	KIND_NUMBER,
	KIND_BYTES,
	KIND_BROKER,
	KIND_LISTEN,
	KIND_DELIVERY,
	KIND_CONNECTION,
	KIND_LED,
	KIND_HOURS,
};

struct option {
	const char *section, *key;
	enum kind kind;
	size_t offset;
	int64_t min, max; /* KIND_NUMBER, KIND_BYTES; longest length for KIND_TEXT */
	const char *allowed;
};

#define AT(field) offsetof(struct config, field)

static const struct option options[] = {
	{ "hub", "site", KIND_LEVEL, AT(site), 0, 64, "1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "hub", "hub", KIND_LEVEL, AT(hub), 0, 64, "1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "hub", "time_zone", KIND_ZONE, AT(time_zone), 0, 63,
	  "an IANA name that this machine knows, like Europe/London" },
	{ "hub", "state_dir", KIND_PATH, AT(state_dir), 0, 0, "an absolute path" },
	{ "hub", "runtime_dir", KIND_PATH, AT(runtime_dir), 0, 80,
	  "an absolute path of at most 80 bytes" },
	{ "hub", "fleet_key_file", KIND_PATH, AT(fleet_key_file), 0, 0, "an absolute path" },
	{ "hub", "test", KIND_YES_NO, AT(test), 0, 0, "yes or no" },
	{ "hub", "home_bp_average", KIND_YES_NO, AT(home_bp_average), 0, 0, "yes or no" },
	{ "store", "max_bytes", KIND_BYTES, AT(max_bytes), 1 << 20, INT64_C(1) << 50,
	  "1M to 1024T: a number and K, M, G or T" },
	{ "store", "keep_days", KIND_NUMBER, AT(keep_days), 1, 36500, "1 to 36500" },
	{ "broker", "url", KIND_BROKER, AT(broker), 0, 0,
	  "mqtt://HOST[:PORT] or mqtts://HOST[:PORT]" },
	{ "broker", "ca_file", KIND_PATH, AT(ca_file), 0, 0, "an absolute path" },
	{ "broker", "cert_file", KIND_PATH, AT(cert_file), 0, 0, "an absolute path" },
	{ "broker", "key_file", KIND_PATH, AT(key_file), 0, 0, "an absolute path" },
	{ "broker", "username", KIND_TEXT, AT(username), 0, 128, "1 to 128 bytes of text" },
	{ "broker", "password_file", KIND_PATH, AT(password_file), 0, 0, "an absolute path" },
	{ "broker", "command_keys_file", KIND_PATH, AT(command_keys_file), 0, 0,
	  "an absolute path" },
	{ "broker", "keep_alive", KIND_NUMBER, AT(keep_alive), 5, 3600, "5 to 3600 (seconds)" },
	{ "broker", "window", KIND_NUMBER, AT(window), 1, 1000, "1 to 1000 (messages)" },
	{ "broker", "batch", KIND_NUMBER, AT(batch), 1, 500, "1 to 500 (readings)" },
	{ "broker", "delivery", KIND_DELIVERY, AT(delivery), 0, 0, "puback or receipt" },
	{ "broker", "connection", KIND_CONNECTION, AT(connection), 0, 0, "always or on-demand" },
	{ "broker", "collect", KIND_NUMBER, AT(collect), 0, 86400, "0 to 86400 (seconds)" },
	{ "broker", "linger", KIND_NUMBER, AT(linger), 1, 600, "1 to 600 (seconds)" },
	{ "page", "listen", KIND_LISTEN, AT(page_listen), 0, 64,
	  "ADDRESS:PORT: 127.0.0.1 or an address of a private network, port 1024 to 65535" },
	{ "light", "white", KIND_LED, AT(light_white), 0, 64, "the name of a folder in dir" },
	{ "light", "blue", KIND_LED, AT(light_blue), 0, 64, "the name of a folder in dir" },
	{ "light", "amber", KIND_LED, AT(light_amber), 0, 64, "the name of a folder in dir" },
	{ "light", "multicolor", KIND_LED, AT(light_multicolor), 0, 64,
	  "the name of a folder in dir" },
	{ "light", "dir", KIND_PATH, AT(light_dir), 0, 0, "an absolute path" },
	{ "light", "brightness", KIND_NUMBER, AT(light_brightness), 1, 100, "1 to 100 (percent)" },
	{ "light", "night", KIND_HOURS, AT(light_night), 0, 0, "HH:MM-HH:MM or none" },
	{ "person", "subject", KIND_LEVEL, AT(subject), 0, 64,
	  "1 to 64 of A-Z a-z 0-9 . _ - (a random reference, never a name)" },
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* where a goal was written first, for what can be said only when it is complete */
struct goal_origin {
	char *file;
	int line;
	bool set[GOAL_KEY_END];
};

struct loader {
	struct config *config;
	struct goal_origin origins[CONFIG_GOALS_MAX];
	/* the file being read */
	const char *file;
	const char *next, *end;
	int line;
	bool seen[N_OPTIONS];
	bool goal_seen[CONFIG_GOALS_MAX][GOAL_KEY_END];
	/* the first thing that is wrong */
	char *error;
	int result;
};

__attribute__((format(printf, 5, 6))) static int fail_at(struct loader *l, int r, const char *file,
							 int line, const char *format, ...)
{
	_cleanup_free_ char *what = NULL;
	char where[16] = ""; /* line 0: the file as a whole */
	va_list args;

	if (l->result < 0)
		return l->result;
	l->result = r;
	va_start(args, format);
	if (vasprintf(&what, format, args) < 0)
		what = NULL;
	va_end(args);
	if (line > 0)
		(void)snprintf(where, sizeof(where), ":%d", line);
	if (what && asprintf(&l->error, "%s%s: %s", file, where, what) < 0)
		l->error = NULL;
	return r;
}

#define fail(l, ...) fail_at(l, -EINVAL, (l)->file, (l)->line, __VA_ARGS__)

/* ---- values ---- */

static bool text_only(const char *text, const char *extra)
{
	for (; *text; text++) {
		const char c = *text;

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr(extra, c)))
			return false;
	}
	return true;
}

static bool zone_known(const char *name)
{
	char path[128];
	struct stat st;

	if (!text_only(name, "/_+-") || name[0] == '/')
		return false;
	(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool number_parse(const char *text, int64_t max, int64_t *ret)
{
	int64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > (INT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (*text - '0');
	}
	if (value > max)
		return false;
	*ret = value;
	return true;
}

static bool bytes_parse(const char *text, int64_t max, int64_t *ret)
{
	static const char suffixes[] = "KMGT";
	char digits[24];
	const size_t len = strlen(text);
	const char *suffix = len > 0 ? strchr(suffixes, text[len - 1]) : NULL;
	const unsigned int shift = suffix ? 10U * (unsigned int)(suffix - suffixes + 1) : 0;
	const size_t n = suffix ? len - 1 : len;
	int64_t value;

	if (n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (!number_parse(digits, max >> shift, &value))
		return false;
	*ret = (int64_t)((uint64_t)value << shift);
	return true;
}

static bool text_valid(const struct option *o, const char *value)
{
	const size_t len = strlen(value), max = o->max > 0 ? (size_t)o->max : PATH_MAX;
	struct page_address address;

	if (len == 0 || len > max)
		return false;
	switch (o->kind) {
	case KIND_LEVEL:
		return text_only(value, "._-");
	case KIND_PATH:
		return value[0] == '/';
	case KIND_ZONE:
		return zone_known(value);
	case KIND_BROKER:
		return broker_way(value) != BROKER_NONE;
	case KIND_LISTEN:
		return page_address_parse(value, &address) == 0;
	case KIND_LED:
		return lamp_name_valid(value);
	case KIND_HOURS:
	case KIND_TEXT:
	case KIND_YES_NO:
	case KIND_NUMBER:
	case KIND_BYTES:
	case KIND_DELIVERY:
	case KIND_CONNECTION:
	default:
		return true;
	}
}

static bool number_set(const struct option *o, void *field, const char *value)
{
	int64_t number;

	if (o->kind == KIND_BYTES) {
		if (!bytes_parse(value, o->max, &number) || number < o->min)
			return false;
		*(int64_t *)field = number;
		return true;
	}
	if (!number_parse(value, o->max, &number) || number < o->min)
		return false;
	*(unsigned int *)field = (unsigned int)number;
	return true;
}

/* true, or false and the value is not allowed */
static bool option_set(struct loader *l, const struct option *o, const char *value)
{
	void *field = (uint8_t *)l->config + o->offset;
	char *copy;

	switch (o->kind) {
	case KIND_YES_NO:
		*(bool *)field = strcmp(value, "yes") == 0;
		return *(bool *)field || strcmp(value, "no") == 0;
	case KIND_NUMBER:
	case KIND_BYTES:
		return number_set(o, field, value);
	case KIND_DELIVERY:
		*(enum delivery *)field =
			strcmp(value, "receipt") == 0 ? DELIVERY_RECEIPT : DELIVERY_PUBACK;
		return strcmp(value, "receipt") == 0 || strcmp(value, "puback") == 0;
	case KIND_CONNECTION:
		*(enum connection_use *)field =
			strcmp(value, "on-demand") == 0 ? CONNECTION_ON_DEMAND : CONNECTION_ALWAYS;
		return strcmp(value, "on-demand") == 0 || strcmp(value, "always") == 0;
	case KIND_HOURS:
		return light_hours_parse(value, field) == 0;
	case KIND_LEVEL:
	case KIND_PATH:
	case KIND_TEXT:
	case KIND_ZONE:
	case KIND_BROKER:
	case KIND_LISTEN:
	case KIND_LED:
	default:
		if (!text_valid(o, value))
			return false;
		copy = strdup(value);
		if (!copy)
			return fail_at(l, -ENOMEM, l->file, l->line, "out of memory") == 0;
		free(*(char **)field);
		*(char **)field = copy;
		return true;
	}
}

/* ---- goals ---- */

/* "walk" or, of its second version, "walk 2" */
static bool goal_name_parse(const char *name, char id[sizeof(((struct goal *)NULL)->id)],
			    uint32_t *ret_version)
{
	const size_t len = strcspn(name, " ");
	unsigned int version = 1;

	if (len == 0 || len >= sizeof(((struct goal *)NULL)->id) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return false;
	if (name[len] && !goal_number_parse(name + len + 1, 2, 9999, &version))
		return false;
	memcpy(id, name, len);
	id[len] = '\0';
	*ret_version = version;
	return true;
}

/* index of the goal, made if need be; or -errno */
static int goal_find(struct loader *l, const char *name)
{
	struct config *c = l->config;
	char id[sizeof(((struct goal *)NULL)->id)];
	uint32_t version;
	struct goal *g;
	size_t i;

	if (!goal_name_parse(name, id, &version))
		return fail(l,
			    "[goal %s]: the name must be 1 to 32 of a-z 0-9 -, and for a later "
			    "version a space and its number from 2 on",
			    name);
	for (i = 0; i < c->n_goals; i++) {
		if (strcmp(c->goals[i].id, id) == 0 && c->goals[i].version == version)
			return (int)i;
	}
	if (i == CONFIG_GOALS_MAX)
		return fail(l, "more than %d goals", CONFIG_GOALS_MAX);
	l->origins[i].file = strdup(l->file);
	if (!l->origins[i].file)
		return fail_at(l, -ENOMEM, l->file, l->line, "out of memory");
	l->origins[i].line = l->line;
	g = &c->goals[i];
	memcpy(g->id, id, sizeof(id));
	g->version = version;
	g->week_start = 1;
	g->starts_on = INT64_MIN;
	c->n_goals++;
	return (int)i;
}

static int goal_key(struct loader *l, const char *id, const char *name, const char *value)
{
	const int i = goal_find(l, id);
	enum goal_key k;

	if (i < 0)
		return i;
	k = goal_key_find(name);
	if (k == GOAL_KEY_END)
		return fail(l, "unknown key %s in [goal %s]: allowed are %s", name, id,
			    goal_key_names());
	if (l->goal_seen[i][k])
		return fail(l, "%s is given twice in [goal %s]", name, id);
	l->goal_seen[i][k] = true;
	l->origins[i].set[k] = true;
	if (!goal_key_set(&l->config->goals[i], k, value))
		return fail(l, "%s = %s: allowed is %s", name, value, goal_key_info(k)->allowed);
	return 0;
}

static struct goal *goal_version(struct config *c, const char *id, uint32_t version)
{
	for (size_t i = 0; i < c->n_goals; i++) {
		if (c->goals[i].version == version && strcmp(c->goals[i].id, id) == 0)
			return &c->goals[i];
	}
	return NULL;
}

static int goal_finish_version(struct loader *l, struct goal *g, const struct goal_origin *o)
{
	const struct goal *before = goal_version(l->config, g->id, g->version - 1);
	const char *problem;

	if (!before)
		return fail_at(l, -EINVAL, o->file, o->line, "[goal %s %u]: version %u is missing",
			       g->id, g->version, g->version - 1);
	if (!o->set[GOAL_STARTS_ON])
		return fail_at(l, -EINVAL, o->file, o->line, "[goal %s %u] lacks starts_on: %s",
			       g->id, g->version, goal_key_info(GOAL_STARTS_ON)->allowed);
	goal_key_inherit(g, o->set, before);
	if (goal_check_version(before, g, &problem) < 0)
		return fail_at(l, -EINVAL, o->file, o->line, "[goal %s %u]: %s", g->id, g->version,
			       problem);
	return 0;
}

static int goal_finish(struct loader *l, struct goal *g, const struct goal_origin *o)
{
	const struct config *c = l->config;
	const char *problem;
	int r;

	(void)snprintf(g->subject, sizeof(g->subject), "%s", c->subject ? c->subject : "");
	(void)snprintf(g->time_zone, sizeof(g->time_zone), "%s", c->time_zone);
	g->average = c->home_bp_average;
	for (enum goal_key k = 0; g->version == 1 && k < GOAL_KEY_END; k++) {
		/* a weight's trend is the one rule that needs no number */
		bool required =
			goal_key_info(k)->required || (k == GOAL_TARGET && g->rule != GOAL_TREND);

		if (required && !o->set[k])
			return fail_at(l, -EINVAL, o->file, o->line, "[goal %s] lacks %s: %s",
				       g->id, goal_key_info(k)->name, goal_key_info(k)->allowed);
	}
	r = g->version > 1 ? goal_finish_version(l, g, o) : 0;
	if (r < 0)
		return r;
	if (goal_check(g, &problem) < 0)
		return fail_at(l, -EINVAL, o->file, o->line, "[goal %s]: %s", g->id, problem);
	return 0;
}

/* in the order of the versions: each may rely on the one before it */
static int goals_finish(struct loader *l)
{
	struct config *c = l->config;
	size_t done = 0;
	int r = 0;

	for (uint32_t version = 1; done < c->n_goals && r == 0; version++) {
		for (size_t i = 0; i < c->n_goals && r == 0; i++) {
			if (c->goals[i].version != version)
				continue;
			r = goal_finish(l, &c->goals[i], &l->origins[i]);
			done++;
		}
	}
	return r;
}

/* ---- files ---- */

static int unknown_key(struct loader *l, const char *section, const char *name)
{
	char keys[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (strcmp(options[i].section, section) == 0 && len < sizeof(keys))
			len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s%s",
						len > 0 ? ", " : "", options[i].key);
	}
	if (len == 0)
		return fail(l,
			    "unknown section [%s]: allowed are [hub], [store], [broker], [person], "
			    "[page], [light] and [goal NAME]",
			    section);
	return fail(l, "unknown key %s in [%s]: allowed are %s", name, section, keys);
}

static int handle(struct loader *l, const char *section, const char *name, const char *value)
{
	if (!text_is_clean(section) || !text_is_clean(name) || !text_is_clean(value))
		return fail(l, "not UTF-8 text, or control characters in it");
	if (strncmp(section, GOAL_PREFIX, strlen(GOAL_PREFIX)) == 0)
		return goal_key(l, section + strlen(GOAL_PREFIX), name, value);
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];

		if (strcmp(o->section, section) != 0 || strcmp(o->key, name) != 0)
			continue;
		if (l->seen[i])
			return fail(l, "%s is given twice in [%s]", name, section);
		l->seen[i] = true;
		if (!option_set(l, o, value))
			return fail(l, "%s = %s: allowed is %s", name, value, o->allowed);
		return 0;
	}
	return unknown_key(l, section, name);
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct loader *l = user;

	if (l->result < 0)
		return 0;
	return handle(l, section, name, value) == 0;
}

/* One call is one line: the only way to know the line of a key with Debian's libinih. */
static char *next_line(char *buf, int size, void *user)
{
	struct loader *l = user;
	const char *newline;
	size_t len;

	if (l->next == l->end || l->result < 0)
		return NULL;
	l->line++;
	newline = memchr(l->next, '\n', (size_t)(l->end - l->next));
	len = (size_t)((newline ? newline : l->end) - l->next);
	if (len > LINE_MAX_BYTES || len + 2 > (size_t)size) {
		(void)fail(l, "a line of more than %d bytes", LINE_MAX_BYTES);
		return NULL;
	}
	if (len > 0 && (l->next[0] == ' ' || l->next[0] == '\t') &&
	    strspn(l->next, " \t\r\n") < len) {
		(void)fail(l, "a line must not begin with a blank");
		return NULL;
	}
	memcpy(buf, l->next, len);
	buf[len] = '\0';
	l->next += len + (newline ? 1 : 0);
	return buf;
}

static int parse(struct loader *l, const char *file, const char *text, size_t len)
{
	int r;

	l->file = file;
	l->line = 0;
	l->next = text;
	l->end = text + len;
	memset(l->seen, 0, sizeof(l->seen));
	memset(l->goal_seen, 0, sizeof(l->goal_seen));
	r = ini_parse_stream(next_line, l, on_key, l);
	if (l->result < 0)
		return l->result;
	if (r > 0)
		return fail_at(l, -EINVAL, file, r,
			       "expected [SECTION], KEY = VALUE, or a comment that begins with #");
	return r < 0 ? fail_at(l, -ENOMEM, file, l->line, "out of memory") : 0;
}

static int load_file(struct loader *l, const char *file)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_at(l, -errno, file, 0, "cannot read it: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail_at(l, -EINVAL, file, 0, "not a regular file");
	text = malloc(FILE_MAX_BYTES + 2);
	if (!text)
		return fail_at(l, -ENOMEM, file, 0, "out of memory");
	while (len <= FILE_MAX_BYTES) {
		const ssize_t n = read(fd, text + len, FILE_MAX_BYTES + 1 - len);

		if (n < 0)
			return fail_at(l, -errno, file, 0, "cannot read it: %s", strerror(errno));
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > FILE_MAX_BYTES)
		return fail_at(l, -EINVAL, file, 0, "larger than %zu bytes", FILE_MAX_BYTES);
	text[len] = '\0'; /* strspn() in next_line needs an end */
	if (memchr(text, '\0', len))
		return fail_at(l, -EINVAL, file, 0, "NUL bytes in it: not a text file");
	return parse(l, file, text, len);
}

static int is_drop_in(const struct dirent *entry)
{
	const size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

/* byte order, whatever the locale */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_drop_ins(struct loader *l, const char *file)
{
	struct dirent **entries = NULL;
	char dir[PATH_MAX], path[PATH_MAX + 256];
	int n, r = 0;

	if (snprintf(dir, sizeof(dir), "%s.d", file) >= (int)sizeof(dir))
		return fail_at(l, -ENAMETOOLONG, file, 0, "name too long");
	n = scandir(dir, &entries, is_drop_in, by_name);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return fail_at(l, -errno, dir, 0, "cannot read it: %s", strerror(errno));
	if (n > DROP_INS_MAX)
		r = fail_at(l, -EINVAL, dir, 0, "more than %d files", DROP_INS_MAX);
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		if (r == 0)
			r = load_file(l, path);
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* ---- the whole ---- */

static char *machine_zone(void)
{
	static const char marker[] = "/zoneinfo/";
	char target[PATH_MAX];
	const ssize_t n = readlink("/etc/localtime", target, sizeof(target) - 1);
	const char *name;

	if (n > 0) {
		target[n] = '\0';
		name = strstr(target, marker);
		if (name && zone_known(name + strlen(marker)))
			return strdup(name + strlen(marker));
	}
	return strdup("Etc/UTC");
}

static int set_default(char **field, char *value)
{
	if (*field) {
		free(value);
		return 0;
	}
	*field = value;
	return value ? 0 : -ENOMEM;
}

static int defaults(struct config *c)
{
	int r = set_default(&c->site, strdup("home"));

	if (r == 0)
		r = set_default(&c->state_dir, strdup("/var/lib/wellgate"));
	if (r == 0)
		r = set_default(&c->runtime_dir, strdup("/run/wellgate"));
	if (r == 0)
		r = set_default(&c->light_dir, strdup("/sys/class/leds"));
	if (r == 0 && !c->time_zone)
		r = set_default(&c->time_zone, machine_zone());
	return r;
}

static int cross_check(struct loader *l, const char *file)
{
	const struct config *c = l->config;
	const enum broker_way way = c->broker ? broker_way(c->broker) : BROKER_NONE;

	if ((c->cert_file == NULL) != (c->key_file == NULL))
		return fail_at(l, -EINVAL, file, 0, "cert_file and key_file belong together");
	if ((c->ca_file || c->cert_file) && way != BROKER_TLS)
		return fail_at(l, -EINVAL, file, 0,
			       "ca_file, cert_file and key_file need url = mqtts://...");
	if (c->password_file && !c->username)
		return fail_at(l, -EINVAL, file, 0, "password_file needs username");
	if (c->light_multicolor && (c->light_white || c->light_blue || c->light_amber))
		return fail_at(l, -EINVAL, file, 0,
			       "multicolor stands for white, blue and amber: one or the other");
	if (c->username && !c->broker)
		return fail_at(l, -EINVAL, file, 0, "username needs url = ...");
	if (way == BROKER_IN_CLEAR)
		return fail_at(l, -EINVAL, file, 0, "%s", BROKER_IN_CLEAR_TEXT);
	return 0;
}

static int load(struct loader *l, const char *file)
{
	int r = 0;

	if (file)
		r = load_file(l, file);
	if (r == 0 && file)
		r = load_drop_ins(l, file);
	if (r == 0 && defaults(l->config) < 0)
		r = fail_at(l, -ENOMEM, file ? file : "defaults", 0, "out of memory");
	if (r == 0)
		r = cross_check(l, file);
	return r == 0 ? goals_finish(l) : r;
}

int config_load(const char *file, struct config **ret, char **ret_error)
{
	struct loader *l = calloc(1, sizeof(*l));
	struct config *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	assert(ret && ret_error);
	if (l && c) {
		c->max_bytes = INT64_C(1) << 30;
		c->keep_days = 90;
		c->keep_alive = 25;
		c->window = 100;
		c->batch = 50;
		c->collect = 600;
		c->linger = 5;
		c->light_brightness = 40;
		c->light_night = (struct light_hours){ .from = 22 * 60, .until = 7 * 60 };
		l->config = c;
		r = load(l, file);
	}
	if (r == 0)
		*ret = TAKE_PTR(c);
	else
		*ret_error = l ? l->error : NULL;
	for (size_t i = 0; l && i < CONFIG_GOALS_MAX; i++)
		free(l->origins[i].file);
	free(l);
	config_free(c);
	return r;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const enum kind kind = options[i].kind;

		if (kind == KIND_LEVEL || kind == KIND_PATH || kind == KIND_TEXT ||
		    kind == KIND_ZONE || kind == KIND_BROKER || kind == KIND_LISTEN ||
		    kind == KIND_LED)
			free(*(char **)((uint8_t *)c + options[i].offset));
	}
	free(c);
}
