/* Small texts that a browser sends: forms, cookies, hexadecimal. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORM_VALUE_MAX 80

/* The value of `name` in "a=1&b=2". Our forms need no escapes: letters, digits, "-_" only. false:
 * absent, twice, empty, longer than FORM_VALUE_MAX - 1, or anything else in it. */
bool form_value(const char *body, const char *name, char ret[FORM_VALUE_MAX]);
/* 2 * n hexadecimal digits, and no more */
bool form_hex(const char *text, uint8_t *ret, size_t n);
/* Is `host`, as a browser says it, the address that we listen on, or localhost at the same port
 * where that is loopback? */
bool form_host_is_ours(const char *host, const char *listen);
