#include "drivers/transport/adapter_policy.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"

#define FILE_MAX 65536
#define PATH_LEN 512
#define VALUE    128

enum {
	CALL,
	SIGNAL,
	KINDS
};

/* of a file, or of the files of a folder */
struct rules {
	bool allow[KINDS], deny[KINDS]; /* there is such a rule */
	bool last[KINDS], any[KINDS];   /* what the last one says, if any */
	char includes[4][PATH_LEN];
	size_t n_includes;
};

/* ---- one file ---- */

/* The value of ATTRIBUTE="..." in a tag; false: not there. */
static bool attribute(const char *tag, size_t len, const char *name, char ret[VALUE])
{
	const size_t name_len = strlen(name);

	for (size_t i = 0; i + name_len + 2 < len; i++) {
		const char quote = tag[i + name_len + 1];
		const char *end;
		size_t n;

		if (!strchr(" \t\r\n", tag[i ? i - 1 : 0]) ||
		    strncmp(tag + i, name, name_len) != 0 || tag[i + name_len] != '=' ||
		    (quote != '"' && quote != '\''))
			continue;
		end = memchr(tag + i + name_len + 2, quote, len - i - name_len - 2);
		if (!end)
			return false;
		n = (size_t)(end - (tag + i + name_len + 2));
		(void)snprintf(ret, VALUE, "%.*s", (int)(n < VALUE ? n : VALUE - 1),
			       tag + i + name_len + 2);
		return true;
	}
	return false;
}

/* Absent, "*" or the value itself. */
static bool fits(const char *tag, size_t len, const char *name, const char *value)
{
	char text[VALUE];

	return !attribute(tag, len, name, text) || strcmp(text, "*") == 0 ||
	       strcmp(text, value) == 0;
}

static bool has(const char *tag, size_t len, const char *name)
{
	char text[VALUE];

	return attribute(tag, len, name, text);
}

/* Does the rule speak of a stranger's call to bluetoothd? */
static bool about_calls(const char *tag, size_t len)
{
	return (has(tag, len, "send_destination") || has(tag, len, "send_interface") ||
		has(tag, len, "send_type")) &&
	       fits(tag, len, "send_destination", "org.bluez") &&
	       fits(tag, len, "send_interface", "org.bluez.Device1") &&
	       fits(tag, len, "send_type", "method_call") && fits(tag, len, "send_member", "*") &&
	       fits(tag, len, "send_path", "*") && !has(tag, len, "send_requested_reply");
}

/* ... of bluetoothd's signals to a stranger? */
static bool about_signals(const char *tag, size_t len)
{
	return (has(tag, len, "receive_sender") || has(tag, len, "receive_interface") ||
		has(tag, len, "receive_type")) &&
	       fits(tag, len, "receive_sender", "org.bluez") &&
	       fits(tag, len, "receive_interface", "org.freedesktop.DBus.Properties") &&
	       fits(tag, len, "receive_type", "signal") && fits(tag, len, "receive_member", "*") &&
	       fits(tag, len, "receive_path", "*");
}

static void take_rule(struct rules *rules, const char *tag, size_t len, bool allow)
{
	const bool about[KINDS] = { about_calls(tag, len), about_signals(tag, len) };

	for (size_t i = 0; i < KINDS; i++) {
		if (!about[i])
			continue;
		rules->any[i] = true;
		rules->last[i] = allow;
		rules->allow[i] = rules->allow[i] || allow;
		rules->deny[i] = rules->deny[i] || !allow;
	}
}

static bool is_tag(const char *tag, size_t len, const char *name)
{
	const size_t n = strlen(name);

	return len > n && strncmp(tag, name, n) == 0 && strchr(" \t\r\n/>", tag[n]);
}

/* <include>PATH</include>, absolute */
static void take_include(struct rules *rules, const char *text)
{
	const size_t max = sizeof(rules->includes) / sizeof(rules->includes[0]);
	const size_t len = strcspn(text, "<");

	if (rules->n_includes < max && text[0] == '/' && len < PATH_LEN)
		(void)snprintf(rules->includes[rules->n_includes++], PATH_LEN, "%.*s", (int)len,
			       text);
}

static void parse(const char *text, struct rules *rules)
{
	bool everybody = false;

	while ((text = strchr(text, '<'))) {
		const char *end;
		size_t len;

		if (strncmp(text, "<!--", 4) == 0) {
			text = strstr(text, "-->");
			if (!text)
				return;
			continue;
		}
		text++;
		end = strchr(text, '>');
		if (!end)
			return;
		len = (size_t)(end - text) + 1;
		if (is_tag(text, len, "policy"))
			everybody = has(text, len, "context");
		else if (everybody && is_tag(text, len, "allow"))
			take_rule(rules, text, len, true);
		else if (everybody && is_tag(text, len, "deny"))
			take_rule(rules, text, len, false);
		else if (is_tag(text, len, "include"))
			take_include(rules, end + 1);
		text = end;
	}
}

static void read_file(const char *root, const char *path, struct rules *rules)
{
	_cleanup_file_ FILE *file = NULL;
	char full[PATH_LEN + 256], *text;

	if (snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full))
		file = fopen(full, "re");
	if (!file)
		return;
	text = malloc(FILE_MAX);
	if (text) {
		text[fread(text, 1, FILE_MAX - 1, file)] = '\0';
		parse(text, rules);
	}
	free(text);
}

/* ---- all of them ---- */

static bool read_folder(const char *root, const char *folder, struct rules *rules)
{
	char full[PATH_LEN];
	const struct dirent *entry;
	bool found = false;
	DIR *d;

	if (snprintf(full, sizeof(full), "%s%s", root, folder) >= (int)sizeof(full))
		return false;
	d = opendir(full);
	while (d && (entry = readdir(d))) {
		const size_t len = strlen(entry->d_name);
		char path[PATH_LEN];

		if (len < 6 || strcmp(entry->d_name + len - 5, ".conf") != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		read_file(root, path, rules);
		found = found || strcmp(entry->d_name, "bluetooth.conf") == 0;
	}
	if (d)
		(void)closedir(d);
	return found;
}

enum policy policy_read(const char *root)
{
	static const char *const folders[] = { "/usr/share/dbus-1/system.d",
					       "/etc/dbus-1/system.d" };
	/* what system.conf itself says: no calls, all signals */
	bool open[KINDS] = { false, true };
	struct rules local = { 0 };
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		struct rules rules = { 0 };

		found = read_folder(root, folders[i], &rules) || found;
		for (size_t k = 0; k < KINDS; k++) {
			if (rules.allow[k] || rules.deny[k])
				open[k] = rules.allow[k];
		}
	}
	if (!found)
		return POLICY_NONE;
	read_file(root, "/etc/dbus-1/system-local.conf", &local);
	for (size_t i = 0; i < local.n_includes; i++)
		read_file(root, local.includes[i], &local);
	for (size_t k = 0; k < KINDS; k++)
		open[k] = local.any[k] ? local.last[k] : open[k];
	if (open[CALL])
		return POLICY_OPEN_CALLS;
	return open[SIGNAL] ? POLICY_OPEN_SIGNALS : POLICY_CLOSED;
}
