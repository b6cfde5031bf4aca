/*
 * The pages. Each writes a whole document; what it needs it asks the daemon for. 0, or
 * -EACCES: there is no session (the caller shows the way in), -EIO: no answer, -ENOMEM.
 */
#pragma once

#include "gateway/page/ask.h"
#include "gateway/page/html.h"

#define VIEW_TOKEN_TEXT 65 /* 64 hexadecimal digits */

struct view {
	struct asker asker;
	char csrf[VIEW_TOKEN_TEXT]; /* goes into each form */
	bool entered;               /* the browser brought a token */
	bool staff;
	enum words_id notice; /* WORDS_NONE: nothing to say */
	int64_t now_ms;
};

int view_today(struct html *h, const struct view *v);
int view_goals(struct html *h, const struct view *v);
int view_box(struct html *h, const struct view *v);
int view_clinic(struct html *h, const struct view *v);
/* for everybody */
int view_help(struct html *h, const struct view *v);
int view_enter(struct html *h, const struct view *v);
int view_notice(struct html *h, const struct view *v);
/* comma-separated values, no document */
int view_export(struct html *h, const struct view *v);

/* ---- for the files of this folder */
void view_begin(struct html *h, const struct view *v, enum words_id title);
void view_end(struct html *h);
/* a form that posts to `action`; the caller adds fields and ends it with view_form_end() */
void view_form(struct html *h, const struct view *v, const char *action);
void view_form_end(struct html *h, enum words_id button, bool secondary);
