/*
 * What `wellgate pair` shows: lines that stay, below them one line with the time left and one with
 * the question that is open. Not a terminal: the same without the moving parts. JSON: one event a
 * line.
 *
 *   {"event":"begun","seconds":180}, unless the radio refuses at once
 *   {"event":"candidate","number":1,"name":"..","driver":"..","signal":3,"rssi":-61,
 *       "paired":false}
 *   {"event":"phase","phase":"linking|passkey|show|match|settling"}, with "passkey" for show
 *       and match
 *   {"event":"paired","device":"<reference>","number":2,"name":"..","driver":"..","security":"..",
 *       "path":"..","consents":0}
 *   {"event":"failed","reason":".."} or {"event":"cancelled","reason":".."}
 */
#pragma once

#include <stdbool.h>

#include "gateway/cli/device.h"

#define SCREEN_LINE 160

struct screen {
	bool json, tty, addresses, yes;
	bool answered; /* what the phase asks: the caller's, too */
	bool asked;    /* the two lines at the bottom are there */
	char status[SCREEN_LINE], question[SCREEN_LINE];
	Wellgate__V1__Pairing__Phase phase;
	bool listed[256];
	size_t n_listed;
	bool said_more;
};

/* Settings are the caller's; the rest is zero. driver may be NULL. */
void screen_begin(struct screen *s, const char *driver, unsigned int seconds);
/* What is new since the last call: candidates, another phase, the time left. */
void screen_show(struct screen *s, const Wellgate__V1__Pairing *p);
/* A line of its own; nothing in JSON. */
__attribute__((format(printf, 2, 3))) void screen_say(struct screen *s, const char *format, ...);
/* what he typed ended the question's line */
void screen_typed(struct screen *s);
/* The end. d: as `devices` has it, or NULL if it is not found there. */
void screen_paired(struct screen *s, const Wellgate__V1__Pairing *p, size_t number,
		   const char *reference);
/* event: "failed" or "cancelled" */
void screen_ended(struct screen *s, const char *event, const char *reason);
