/*
 * What the local page may ask. It is a program of its own without keys and database, because it
 * reads what any browser sends; so this side decides what it gets, not the page:
 *
 *   page-code      at the box (control socket): a code of 6 digits, good once, PAGE_CODE_MINUTES
 *   page-enter     code -> token of a session: of one person, or of staff
 *   page-leave     the session is over
 *   page-readings  the person's own, what was replaced or retracted left out (a page: `after`)
 *   page-goals     the person's own and the current result of each
 *   page-held      the person's: those that may be theirs; of staff: all
 *   page-said      "this was me", "not me", about one of those
 *   page-rest      a goal rests, or goes on
 *   page-devices   devices; page-hub  how the box is (status): both for any session
 *   page-loans, page-doctor   staff alone
 *
 * The presence code is what H17 asks for: whoever reads a person's page was let in at the box.
 * PAGE_TRIES wrong codes and the code is gone. Numbers of a weight leave this file only if the
 * person chose so with a worker (show_weight of a weight goal); otherwise the page cannot show what
 * it never has.
 */
#pragma once

#include "gateway/control/control.h"

#define PAGE_CODE_DIGITS  6
#define PAGE_CODE_MINUTES 10
#define PAGE_TRIES        5
#define PAGE_TOKEN        ((size_t)32)
#define PAGE_SESSIONS     8
/* a session ends after so long without a request, and in any case after the longer time */
#define PAGE_IDLE_US INT64_C(900000000)
#define PAGE_MOST_US INT64_C(7200000000)
/* code of a reply: there is no such session, or it may not ask this */
#define PAGE_CODE_SESSION 77

struct page_door;

int page_door_new(struct page_door **ret); /* -ENOMEM, -EIO: no random numbers */
void page_door_free(struct page_door *d);  /* NULL is fine */

/* A verb of the page's own socket. *ret_inner: a verb of control.c that answers it, or NULL: it is
 * answered. What is wrong is said in the reply; -ENOMEM */
int control_page(const struct control *c, const Wellgate__V1__Command *command, struct arena *arena,
		 Wellgate__V1__Reply *reply, const char **ret_inner);
/* The verb page-code, of the control socket alone. */
int control_page_code(const struct control *c, const Wellgate__V1__Command *command,
		      struct arena *arena, Wellgate__V1__Reply *reply);
