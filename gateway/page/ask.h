/*
 * Asks wellgated at the page's own door (gateway/control/page.h): one connection, one question,
 * one answer, with a time limit on both ways. The program has nothing but this.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wellgate.pb-c.h"

#define ASK_SECONDS 5
#define ASK_TOKEN   ((size_t)32)
/* code of a reply: no such session */
#define ASK_NO_SESSION 77

struct asker {
	const char *path; /* of the socket */
	bool has_token;
	uint8_t token[ASK_TOKEN]; /* of the browser's session */
};

/* The reply, whatever its code says; free it with wellgate__v1__reply__free_unpacked(reply, NULL).
 * `page` may be NULL; its token is filled in. NULL: no answer. */
Wellgate__V1__Reply *ask(const struct asker *a, const char *verb, Wellgate__V1__PageCommand *page);
/* The same with `after`, for pages of readings. */
Wellgate__V1__Reply *ask_after(const struct asker *a, const char *verb,
			       Wellgate__V1__PageCommand *page, uint64_t after);
