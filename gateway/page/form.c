#include "gateway/page/form.h"

#include <string.h>
#include <strings.h>

static bool is_plain(const char *text, size_t n)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < n; i++) {
		if (!text[i] || !strchr(plain, text[i]))
			return false;
	}
	return true;
}

bool form_value(const char *body, const char *name, char ret[FORM_VALUE_MAX])
{
	const size_t len = strlen(name);
	const char *found = NULL;
	size_t n = 0;

	for (const char *p = body; *p;) {
		const size_t field = strcspn(p, "&");

		if (field > len && strncmp(p, name, len) == 0 && p[len] == '=') {
			if (found)
				return false;
			found = p + len + 1;
			n = field - len - 1;
		}
		p += field + (p[field] == '&');
	}
	if (!found || n == 0 || n >= FORM_VALUE_MAX || !is_plain(found, n))
		return false;
	memcpy(ret, found, n);
	ret[n] = '\0';
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool form_hex(const char *text, uint8_t *ret, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool form_host_is_ours(const char *host, const char *listen)
{
	const char *port = strrchr(listen, ':');

	if (!host || !port)
		return false;
	if (strcmp(host, listen) == 0)
		return true;
	if (strncmp(listen, "127.", 4) != 0 && strncmp(listen, "[::1]", 5) != 0)
		return false;
	return strncasecmp(host, "localhost", 9) == 0 && strcmp(host + 9, port) == 0;
}
