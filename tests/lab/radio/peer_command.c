/*
 * Commands of one peripheral, a line each: words and numbers.
 *
 *   measure [N [USER]]        takes N readings (1), sends them if somebody subscribed
 *   measure-failed            takes one that did not succeed: the device's error frame
 *   clock OFFSET_S|unset      its clock is wrong by so many seconds, or not set
 *   early on|encrypted|off    indicates its oldest reading the moment the link is up (encrypted),
 *                             before any request and though nobody subscribed
 *   pair none|just-works|passkey N|secure|secure-passkey N|compare [yes|no]
 *   refuse REASON             every pairing fails with this SMP reason; 0: none
 *   fault NAME [N]            malformed silent no-confirm-wait in-clear att-error duplicate
 *                             second-indication truncate wrong-handle; N 0: off;
 *                             fault none: all off
 *   forget                    it loses its bond and all subscriptions
 *   wrong-key on|off          it has a bond, with another key
 *   ask-security on|off       it sends a Security Request at link-up
 *   move N                    its services move by N handles: a changed database
 *   mtu N                     what it offers in the next exchange
 *   battery N                 percent; notified to who subscribed
 *   drop-after N              drops the link after its Nth frame from now, before a confirmation
 *   state                     one line of what it holds
 *   and what the model adds (see its file)
 */
#include "tests/lab/radio/peer_command.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 160
#define WORDS_MAX    6

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const FAULTS[FAULT_N] = {
	[FAULT_MALFORMED] = "malformed",
	[FAULT_SILENT] = "silent",
	[FAULT_NO_CONFIRM_WAIT] = "no-confirm-wait",
	[FAULT_IN_CLEAR] = "in-clear",
	[FAULT_ATT_ERROR] = "att-error",
	[FAULT_DUPLICATE] = "duplicate",
	[FAULT_SECOND_INDICATION] = "second-indication",
	[FAULT_TRUNCATE] = "truncate",
	[FAULT_WRONG_HANDLE] = "wrong-handle",
};

static const char *const METHODS[] = {
	[SMP_NONE] = "none",
	[SMP_JUST_WORKS] = "just-works",
	[SMP_PASSKEY] = "passkey",
	[SMP_SECURE] = "secure",
	[SMP_SECURE_PASSKEY] = "secure-passkey",
	[SMP_SECURE_COMPARE] = "compare",
};

static enum server_level level_of(enum smp_method method)
{
	switch (method) {
	case SMP_NONE:
		return SERVER_CLEAR;
	case SMP_JUST_WORKS:
	case SMP_SECURE:
		return SERVER_ENCRYPTED;
	case SMP_PASSKEY:
	case SMP_SECURE_PASSKEY:
	case SMP_SECURE_COMPARE:
		return SERVER_AUTHENTICATED;
	}
	return SERVER_AUTHENTICATED;
}

static void set_required(struct peer_state *s)
{
	s->server.required = s->faults[FAULT_IN_CLEAR] ? SERVER_CLEAR : level_of(s->smp.method);
}

void peer_set_pairing(struct peer_state *s, enum smp_method method)
{
	s->smp.method = method;
	set_required(s);
}

static int number(const char *word, long min, long max, long *ret)
{
	char *end;
	long value;

	if (!word || !*word)
		return -EINVAL;
	errno = 0;
	value = strtol(word, &end, 0);
	if (errno || *end || value < min || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* "on" and "off" */
static int flag(const char *word, bool *ret)
{
	if (word && !strcmp(word, "on"))
		*ret = true;
	else if (word && !strcmp(word, "off"))
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

struct words {
	unsigned int n;
	char *word[WORDS_MAX]; /* NULL behind the last */
	char text[LINE_MAX_LEN];
};

static int split(const char *line, struct words *ret)
{
	const size_t len = strlen(line);
	bool inside = false;

	if (len >= sizeof(ret->text))
		return -E2BIG;
	*ret = (struct words){ .n = 0 };
	memcpy(ret->text, line, len);
	for (char *at = ret->text; *at; at++) {
		if (*at == ' ' || *at == '\n') {
			*at = '\0';
			inside = false;
		} else if (!inside) {
			if (ret->n == WORDS_MAX - 1)
				return -E2BIG;
			ret->word[ret->n++] = at;
			inside = true;
		}
	}
	return ret->n ? 0 : -EINVAL;
}

static int cmd_measure(struct peer_state *s, const struct words *w)
{
	long n = 1, user = 0;
	int err;

	if (w->word[1] && number(w->word[1], 1, STOCK_MAX, &n) < 0)
		return -EINVAL;
	if (w->word[1] && w->word[2] && number(w->word[2], 1, 255, &user) < 0)
		return -EINVAL;
	err = stock_measure(s, (unsigned int)n, (uint8_t)user);
	return err;
}

static int cmd_measure_failed(struct peer_state *s, const struct words *w)
{
	(void)w;
	return stock_measure_failed(s);
}

static int cmd_clock(struct peer_state *s, const struct words *w)
{
	long offset;

	if (w->n == 2 && !strcmp(w->word[1], "unset")) {
		s->clock_set = false;
		return 0;
	}
	if (number(w->word[1], -2000000000L, 2000000000L, &offset) < 0)
		return -EINVAL;
	s->clock_offset = offset;
	s->clock_set = true;
	s->last_time = 0;
	return 0;
}

static int cmd_early(struct peer_state *s, const struct words *w)
{
	bool on;

	if (w->n == 2 && !strcmp(w->word[1], "encrypted")) {
		s->early = EARLY_ENCRYPTED;
		return 0;
	}
	if (flag(w->word[1], &on) < 0)
		return -EINVAL;
	s->early = on ? EARLY_LINK : EARLY_OFF;
	return 0;
}

static int cmd_pair(struct peer_state *s, const struct words *w)
{
	size_t method = 0;
	long passkey = 0;

	while (method < N(METHODS) && (!w->word[1] || strcmp(METHODS[method], w->word[1]) != 0))
		method++;
	if (method == N(METHODS))
		return -EINVAL;
	if (method == SMP_PASSKEY || method == SMP_SECURE_PASSKEY) {
		/* decimal, though it may begin with zeros */
		const char *digits = w->word[2];

		while (digits && digits[0] == '0' && digits[1])
			digits++;
		if (number(digits, 0, 999999, &passkey) < 0)
			return -EINVAL;
		s->smp.passkey = (uint32_t)passkey;
	}
	s->smp.refuses_number =
		method == SMP_SECURE_COMPARE && w->word[2] && !strcmp(w->word[2], "no");
	peer_set_pairing(s, (enum smp_method)method);
	return 0;
}

static int cmd_refuse(struct peer_state *s, const struct words *w)
{
	long reason;

	if (number(w->word[1], 0, 255, &reason) < 0)
		return -EINVAL;
	s->smp.refuses = (uint8_t)reason;
	return 0;
}

static int cmd_fault(struct peer_state *s, const struct words *w)
{
	size_t fault = 0;
	long n = 1;

	if (w->n == 2 && !strcmp(w->word[1], "none")) {
		memset(s->faults, 0, sizeof(s->faults));
		set_required(s);
		return 0;
	}
	while (fault < FAULT_N && (!w->word[1] || strcmp(FAULTS[fault], w->word[1]) != 0))
		fault++;
	if (fault == FAULT_N || (w->word[2] && number(w->word[2], 0, 1000000, &n) < 0))
		return -EINVAL;
	if (fault == FAULT_ATT_ERROR && (!w->word[2] || n > 255))
		return -EINVAL;
	s->faults[fault] = (unsigned int)n;
	set_required(s);
	return 0;
}

static int cmd_forget(struct peer_state *s, const struct words *w)
{
	(void)w;
	smp_forget(&s->smp);
	s->server.bonded = s->server.has_key = false;
	server_forget(&s->server);
	return 0;
}

static int cmd_wrong_key(struct peer_state *s, const struct words *w)
{
	return flag(w->word[1], &s->smp.gives_wrong_key);
}

static int cmd_ask_security(struct peer_state *s, const struct words *w)
{
	return flag(w->word[1], &s->asks_security);
}

static int cmd_move(struct peer_state *s, const struct words *w)
{
	long gap;

	if (number(w->word[1], 0, 0x1000, &gap) < 0)
		return -EINVAL;
	server_move(&s->server, (uint16_t)gap);
	s->moved = true;
	return 0;
}

static int cmd_mtu(struct peer_state *s, const struct words *w)
{
	long mtu;

	if (number(w->word[1], SERVER_MTU_MIN, SERVER_MTU_MAX, &mtu) < 0)
		return -EINVAL;
	s->server.own_mtu = (uint16_t)mtu;
	return 0;
}

static int cmd_battery(struct peer_state *s, const struct words *w)
{
	long percent;

	if (number(w->word[1], 0, 255, &percent) < 0)
		return -EINVAL;
	s->battery = (uint8_t)percent;
	stock_notify(s, ID_BATTERY, &s->battery, 1);
	return 0;
}

static int cmd_drop_after(struct peer_state *s, const struct words *w)
{
	long n;

	if (number(w->word[1], 0, 1000000, &n) < 0)
		return -EINVAL;
	s->drop_after = (unsigned int)n;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct peer_state *s, const struct words *w);
} COMMANDS[] = {
	{ "measure", cmd_measure },     { "measure-failed", cmd_measure_failed },
	{ "clock", cmd_clock },         { "early", cmd_early },
	{ "pair", cmd_pair },           { "refuse", cmd_refuse },
	{ "fault", cmd_fault },         { "forget", cmd_forget },
	{ "wrong-key", cmd_wrong_key }, { "ask-security", cmd_ask_security },
	{ "move", cmd_move },           { "mtu", cmd_mtu },
	{ "battery", cmd_battery },     { "drop-after", cmd_drop_after },
};

static void print_state(const struct peer_state *s, char *answer, size_t size)
{
	(void)snprintf(answer, size,
		       "stored=%zu indicated=%u confirmed=%u deleted=%u bonded=%d connected=%d "
		       "level=%d taken=%u bad=%u",
		       s->n_stock, s->indicated, s->confirmed, s->deleted, s->smp.bond.valid,
		       s->server.connected, (int)s->server.level, s->last_number,
		       s->server.bad_pdus);
}

static int run(struct peer_state *s, const struct words *w, char *answer, size_t size)
{
	int err = -ENOENT;

	if (!strcmp(w->word[0], "state")) {
		print_state(s, answer, size);
		return 0;
	}
	for (size_t i = 0; i < N(COMMANDS); i++)
		if (!strcmp(COMMANDS[i].name, w->word[0]))
			return COMMANDS[i].run(s, w);
	if (s->model->command)
		err = s->model->command(s, w->n, w->word, answer, size);
	return err;
}

int peer_command(struct peer *p, const char *line, char *answer, size_t size)
{
	struct words w;
	int err;

	assert(size > 0);
	answer[0] = '\0';
	err = split(line, &w);
	if (!err)
		err = run(p->state, &w, answer, size);
	if (err < 0)
		(void)snprintf(answer, size, "%s",
			       err == -ENOENT ? "no such command"
					      : "not understood or not possible");
	else if (!answer[0])
		(void)snprintf(answer, size, "ok");
	return err;
}
