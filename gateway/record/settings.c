#include "gateway/record/settings.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/broker_address.h"
#include "gateway/text.h"

#define VALUE_MAX 4096
#define LEVEL_MAX 64

enum kind {
	KIND_TEXT,
	KIND_NAME,
	KIND_PATH,
	KIND_DATABASE,
	KIND_BROKER,
	KIND_HUBS,
	KIND_NUMBER,
	KIND_ACKNOWLEDGE,
};

struct key {
	const char *section, *name;
	enum kind kind;
	size_t offset;
	unsigned int min, max;
	const char *allowed;
};

#define AT(field) offsetof(struct settings, field)

static const struct key keys[] = {
	{ "record", "database", KIND_DATABASE, AT(database), 0, 0,
	  "sqlite:/PATH/FILE or postgresql://..." },
	{ "record", "name", KIND_NAME, AT(name), 0, 0, "1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "record", "share", KIND_NAME, AT(share), 0, 0, "1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "record", "hubs", KIND_HUBS, AT(hubs), 0, 0,
	  "SITE/HUB with blanks between, at most 256; + stands for any" },
	{ "record", "acknowledge", KIND_ACKNOWLEDGE, 0, 0, 0, "commit or receipt" },
	{ "record", "session_days", KIND_NUMBER, AT(session_days), 1, 3650, "1 to 3650" },
	{ "record", "queue", KIND_NUMBER, AT(queue), 1, 65536, "1 to 65536 (messages)" },
	{ "broker", "url", KIND_BROKER, AT(broker), 0, 0,
	  "mqtt://HOST[:PORT] or mqtts://HOST[:PORT]" },
	{ "broker", "ca_file", KIND_PATH, AT(ca_file), 0, 0, "an absolute path" },
	{ "broker", "cert_file", KIND_PATH, AT(cert_file), 0, 0, "an absolute path" },
	{ "broker", "key_file", KIND_PATH, AT(key_file), 0, 0, "an absolute path" },
	{ "broker", "username", KIND_TEXT, AT(username), 0, 0, "1 to 4096 bytes of text" },
	{ "broker", "password_file", KIND_PATH, AT(password_file), 0, 0, "an absolute path" },
	{ "broker", "keep_alive", KIND_NUMBER, AT(keep_alive), 5, 3600, "5 to 3600 (seconds)" },
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

int settings_init(struct settings *s)
{
	*s = (struct settings){ .keep_alive = 25, .session_days = 30, .queue = 1024 };
	s->database = strdup("sqlite:/var/lib/wellgate-record/record.db");
	s->name = strdup("wellgate-record");
	s->broker = strdup("mqtt://127.0.0.1:1883");
	return s->database && s->name && s->broker ? 0 : -ENOMEM;
}

void settings_finish(struct settings *s)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		if (keys[i].kind != KIND_NUMBER && keys[i].kind != KIND_ACKNOWLEDGE)
			free(*(char **)((uint8_t *)s + keys[i].offset));
	}
	*s = (struct settings){ 0 };
}

static bool name_is_good(const char *text, size_t len, size_t max)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-";

	return len > 0 && len <= max && strspn(text, good) >= len;
}

static bool level_is_good(const char *text, size_t len)
{
	return (len == 1 && *text == '+') || name_is_good(text, len, LEVEL_MAX);
}

static bool hubs_are_good(const char *text)
{
	size_t n = 0;

	while (*text) {
		const size_t site = strcspn(text, "/ ");
		const size_t hub = text[site] == '/' ? strcspn(text + site + 1, " ") : 0;

		if (++n > SETTINGS_HUBS_MAX || !level_is_good(text, site) || hub == 0 ||
		    !level_is_good(text + site + 1, hub))
			return false;
		text += site + 1 + hub;
		text += strspn(text, " ");
	}
	return n > 0;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0 && text[strlen(prefix)];
}

static bool text_is_good(enum kind kind, const char *value)
{
	if (!*value || strlen(value) > VALUE_MAX || !text_is_clean(value))
		return false;
	switch (kind) {
	case KIND_NAME:
		return name_is_good(value, strlen(value), LEVEL_MAX);
	case KIND_PATH:
		return value[0] == '/';
	case KIND_DATABASE:
		return has_prefix(value, "sqlite:") || has_prefix(value, "postgresql://") ||
		       has_prefix(value, "postgres://");
	case KIND_BROKER:
		return broker_way(value) != BROKER_NONE;
	case KIND_HUBS:
		return hubs_are_good(value);
	case KIND_TEXT:
	case KIND_NUMBER:
	case KIND_ACKNOWLEDGE:
	default:
		return true;
	}
}

static bool number_set(const struct key *key, const char *value, unsigned int *ret)
{
	unsigned long number;

	if (!*value || strlen(value) > 9 || strspn(value, "0123456789") != strlen(value))
		return false;
	number = strtoul(value, NULL, 10);
	if (number < key->min || number > key->max)
		return false;
	*ret = (unsigned int)number;
	return true;
}

static int value_set(struct settings *s, const struct key *key, const char *value)
{
	void *field = (uint8_t *)s + key->offset;
	char *copy;

	if (key->kind == KIND_NUMBER)
		return number_set(key, value, field) ? 0 : -EINVAL;
	if (key->kind == KIND_ACKNOWLEDGE) {
		s->acknowledge_on_receipt = strcmp(value, "receipt") == 0;
		return s->acknowledge_on_receipt || strcmp(value, "commit") == 0 ? 0 : -EINVAL;
	}
	if (!text_is_good(key->kind, value))
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*(char **)field);
	*(char **)field = copy;
	return 0;
}

int settings_set(struct settings *s, const char *section, const char *key, const char *value,
		 const char **ret_allowed)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		int r;

		if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, key) != 0)
			continue;
		r = value_set(s, &keys[i], value);
		if (r == -EINVAL)
			*ret_allowed = keys[i].allowed;
		return r;
	}
	return -ENOENT;
}

struct loader {
	struct settings *settings;
	const char *file;
	char *error;
	int result;
};

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct loader *l = user;
	const char *allowed = "";

	if (l->result < 0)
		return 0;
	l->result = settings_set(l->settings, section, name, value, &allowed);
	if (l->result == -ENOENT) {
		l->result = -EINVAL;
		if (asprintf(&l->error, "%s: unknown key %s in [%s]", l->file, name, section) < 0)
			l->error = NULL;
	} else if (l->result == -EINVAL) {
		/* not the value: it may be a secret */
		if (asprintf(&l->error, "%s: %s in [%s]: allowed is %s", l->file, name, section,
			     allowed) < 0)
			l->error = NULL;
	}
	return l->result == 0;
}

int settings_load(struct settings *s, const char *file, char **ret_error)
{
	_cleanup_file_ FILE *stream = fopen(file, "re");
	struct loader l = { .settings = s, .file = file };
	int r = -errno;

	if (stream) {
		r = ini_parse_file(stream, on_key, &l);
		if (l.result < 0)
			r = l.result;
		else if (r > 0 && asprintf(&l.error, "%s:%d: expected [SECTION] or KEY = VALUE",
					   file, r) < 0)
			l.error = NULL;
		r = r > 0 ? -EINVAL : r;
	} else if (asprintf(&l.error, "%s: %s", file, strerror(-r)) < 0) {
		l.error = NULL;
	}
	if (r < 0)
		*ret_error = l.error;
	return r;
}

const char *settings_fault(const struct settings *s)
{
	const enum broker_way way = broker_way(s->broker);

	if ((s->cert_file == NULL) != (s->key_file == NULL))
		return "cert_file and key_file belong together";
	if ((s->ca_file || s->cert_file) && way != BROKER_TLS)
		return "ca_file, cert_file and key_file need a broker mqtts://...";
	if (s->password_file && !s->username)
		return "password_file needs username";
	if (way == BROKER_IN_CLEAR)
		return BROKER_IN_CLEAR_TEXT;
	return NULL;
}

const char *settings_hub(const struct settings *s, size_t i, size_t *ret_len)
{
	const char *p = s->hubs;

	for (; p && *p; i--) {
		p += strspn(p, " ");
		*ret_len = strcspn(p, " ");
		if (*ret_len == 0)
			break;
		if (i == 0)
			return p;
		p += *ret_len;
	}
	return NULL;
}
