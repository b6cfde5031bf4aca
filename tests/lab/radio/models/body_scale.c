/*
 * A diagnostic scale in the manner of Beurer's BF720: Weight Scale, Body Composition and User Data
 * services, bonded; subscriptions are refused before bonding. A reading belongs to a user and is
 * only sent to a client to which this user has consented on this link; then as two indications:
 *
 *   weight       0e | weight u16 0.005 kg | Date Time 7 | user u8 | BMI u16 0.1 | height u16 mm
 *   composition  0398 | fat 0.1 % | basal metabolism kJ | muscle 0.1 % | soft lean mass, water mass
 *                0.005 kg | impedance 0.1 ohm          no time, no user: it follows the weight
 *                after "stamps on": 039e, with Date Time and user behind the fat
 *   without contact of bare feet ("measure-failed"): the weight, and a composition of zeros
 *
 * User control point 2a9f: 01 register (code u16) -> 20 01 01 index; 02 consent (index, code) ->
 * 20 02 01, wrong code 20 02 05; 03 delete the consented user; anything else 20 xx 02. The client
 * must have subscribed to it (0xfd) and wait for an answer (0xfe).
 *
 * Edits of the profile (birth 2a85, gender 2a8c, height 2a8e) are taken only when the client then
 * writes the change increment 2a99 + 1; otherwise they are dropped at the end of the link.
 *
 * Commands: "user INDEX CODE" makes a user; "battery-removed" wipes users and readings and unsets
 * the clock; "stamps on|off"; "users" lists. The vendor's service 0xffff: user list 0001 (write 00:
 * one notification for each user, then the end), 0006 take a measurement.
 *
 * Source: the three services' specifications; the rest as reported of a BF720, partly guessed: the
 * vendor service's values are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lab/radio/models/models.h"

#define USERS_MAX 8
#define CODE_MAX  9999

enum {
	WEIGHT = 1,
	COMPOSITION,
	CONTROL,
	INDEX,
	INCREMENT,
	BIRTH,
	GENDER,
	HEIGHT,
	CLOCK,
	USER_LIST,
	TAKE,

	REGISTER = 0x01,
	CONSENT = 0x02,
	DELETE_USER = 0x03,
	ANSWER = 0x20,

	SUCCESS = 1,
	NOT_SUPPORTED = 2,
	INVALID_PARAMETER = 3,
	FAILED = 4,
	NOT_AUTHORISED = 5,
};

struct profile {
	uint8_t birth[4], gender;
	uint16_t height; /* cm */
};

struct user {
	bool used;
	uint16_t code;
	uint32_t increment;
	struct profile profile;
};

struct body_scale {
	struct user users[USERS_MAX]; /* user 1 first */
	uint8_t consented;            /* user of this link, 0: none */
	struct profile edit;
	bool edited;
	bool stamps;
};

static struct user *consented_user(const struct peer_state *s)
{
	struct body_scale *const b = s->own;

	return b->consented ? &b->users[b->consented - 1] : NULL;
}

/* ---- frames ---- */

static void weight_frame(const struct peer_state *s, const struct reading *r, struct writer *w)
{
	writer_u8(w, 0x0e);
	writer_le16(w, (uint16_t)distinct(s, r, 10000, 40000));
	put_date_time(w, r->time);
	writer_u8(w, r->user);
	writer_le16(w, (uint16_t)(180 + r->number % 150));
	writer_le16(w, 1700);
}

static void composition_frame(const struct peer_state *s, const struct reading *r, struct writer *w)
{
	const struct body_scale *const b = s->own;
	const unsigned int n = r->number;

	writer_le16(w, b->stamps ? 0x039e : 0x0398);
	writer_le16(w, r->failed ? 0 : (uint16_t)(150 + n % 200));
	if (b->stamps) {
		put_date_time(w, r->time);
		writer_u8(w, r->user);
	}
	/* the metabolism is sent as it is known from the profile, contact or not */
	writer_le16(w, (uint16_t)(r->failed ? 0x2396 : 6000 + n % 1000));
	writer_le16(w, r->failed ? 0 : (uint16_t)(300 + n % 150));
	writer_le16(w, r->failed ? 0 : (uint16_t)(8000 + n % 1000));
	writer_le16(w, r->failed ? 0 : (uint16_t)(6000 + n % 1000));
	writer_le16(w, r->failed ? 0 : (uint16_t)distinct(s, r, 3000, 6000));
}

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	if (part == 0)
		weight_frame(s, r, w);
	else
		composition_frame(s, r, w);
}

static bool ready(const struct peer_state *s, const struct reading *r)
{
	const struct body_scale *const b = s->own;

	return b->consented && b->consented == r->user;
}

/* ---- users ---- */

static uint8_t register_user(struct peer_state *s, uint16_t code, uint8_t *ret_index)
{
	struct body_scale *const b = s->own;

	if (code > CODE_MAX)
		return INVALID_PARAMETER;
	for (uint8_t i = 0; i < USERS_MAX; i++) {
		if (b->users[i].used)
			continue;
		b->users[i] = (struct user){ .used = true, .code = code };
		*ret_index = (uint8_t)(i + 1);
		air_log(s->peer, "registered user %u", *ret_index);
		return SUCCESS;
	}
	return FAILED;
}

static uint8_t consent(struct peer_state *s, uint8_t index, uint16_t code)
{
	struct body_scale *const b = s->own;

	b->consented = 0;
	if (!index || index > USERS_MAX || !b->users[index - 1].used)
		return NOT_AUTHORISED;
	if (b->users[index - 1].code != code) {
		air_log(s->peer, "wrong consent code for user %u", index);
		return NOT_AUTHORISED;
	}
	b->consented = index;
	b->edit = b->users[index - 1].profile;
	b->edited = false;
	air_log(s->peer, "consent for user %u", index);
	return SUCCESS;
}

static uint8_t delete_user(struct peer_state *s)
{
	struct body_scale *const b = s->own;
	struct user *const user = consented_user(s);

	if (!user)
		return NOT_AUTHORISED;
	*user = (struct user){ .used = false };
	b->consented = 0;
	return SUCCESS;
}

static void control(struct peer_state *s, const uint8_t *data, size_t len)
{
	uint8_t answer[4] = { ANSWER, data[0], NOT_SUPPORTED };
	size_t n = 3;

	if (data[0] == REGISTER) {
		answer[2] =
			len == 3 ? register_user(s, (uint16_t)(data[1] | data[2] << 8), &answer[3])
				 : INVALID_PARAMETER;
		n = answer[2] == SUCCESS ? 4 : 3;
	} else if (data[0] == CONSENT) {
		answer[2] = len == 4 ? consent(s, data[1], (uint16_t)(data[2] | data[3] << 8))
				     : INVALID_PARAMETER;
	} else if (data[0] == DELETE_USER) {
		answer[2] = len == 1 ? delete_user(s) : INVALID_PARAMETER;
	}
	(void)stock_answer(s, CONTROL, answer, n);
	stock_pump(s);
}

/* ---- profile ---- */

static uint8_t edit(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	struct body_scale *const b = s->own;

	if (!consented_user(s))
		return ATT_APPLICATION;
	if (len != (id == BIRTH ? 4 : id == HEIGHT ? 2 : 1))
		return ATT_INVALID_LENGTH;
	if (id == BIRTH)
		memcpy(b->edit.birth, data, 4);
	else if (id == GENDER)
		b->edit.gender = data[0];
	else
		b->edit.height = (uint16_t)(data[0] | data[1] << 8);
	b->edited = true;
	return ATT_OK;
}

static uint8_t write_increment(struct peer_state *s, const uint8_t *data, size_t len)
{
	struct body_scale *const b = s->own;
	struct user *const user = consented_user(s);
	uint32_t value;

	if (!user)
		return ATT_APPLICATION;
	if (len != 4)
		return ATT_INVALID_LENGTH;
	value = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
		(uint32_t)data[3] << 24;
	if (value != user->increment + 1)
		return ATT_OK; /* ignored, as a stale edit */
	user->increment = value;
	user->profile = b->edit;
	b->edited = false;
	air_log(s->peer, "profile of user %u taken", b->consented);
	return ATT_OK;
}

/* ---- hooks ---- */

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	switch (id) {
	case CONTROL:
		if (!(server_ccc(&s->server, CONTROL) & 2))
			return ATT_CCC_IMPROPER;
		if (!len)
			return ATT_INVALID_LENGTH;
		return s->n_out ? ATT_IN_PROGRESS : ATT_OK;
	case INCREMENT:
		return write_increment(s, data, len);
	case BIRTH:
	case GENDER:
	case HEIGHT:
		return edit(s, id, data, len);
	case CLOCK:
		return len == 10 ? set_device_time(s, data, len) : ATT_INVALID_LENGTH;
	default:
		return ATT_OK;
	}
}

static void list_users(struct peer_state *s)
{
	const struct body_scale *const b = s->own;
	const uint8_t end = 1, none = 2;
	unsigned int n = 0;

	for (uint8_t i = 0; i < USERS_MAX; i++) {
		const struct user *const u = &b->users[i];
		uint8_t entry[12] = { 0, (uint8_t)(i + 1), 'U', 'S', (uint8_t)('1' + i) };

		if (!u->used)
			continue;
		memcpy(entry + 5, u->profile.birth, 4);
		entry[9] = (uint8_t)u->profile.height;
		entry[10] = u->profile.gender;
		stock_notify(s, USER_LIST, entry, sizeof(entry));
		n++;
	}
	stock_notify(s, USER_LIST, n ? &end : &none, 1);
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	const struct body_scale *const b = s->own;

	if (id == CONTROL && len)
		control(s, data, len);
	else if (id == USER_LIST)
		list_users(s);
	else if (id == TAKE && b->consented)
		(void)stock_measure(s, 1, b->consented);
}

static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	const struct body_scale *const b = s->own;
	const struct user *const user = consented_user(s);

	if (id == CLOCK) {
		put_device_time(s, w);
		writer_bytes(w, "\0\0\0", 3);
	} else if (id == INDEX) {
		writer_u8(w, b->consented ? b->consented : 0xff);
	} else if (id == INCREMENT || id == BIRTH || id == GENDER || id == HEIGHT) {
		if (!user)
			return ATT_APPLICATION;
		if (id == INCREMENT)
			writer_le32(w, user->increment);
		else if (id == BIRTH)
			writer_bytes(w, b->edit.birth, 4);
		else if (id == GENDER)
			writer_u8(w, b->edit.gender);
		else
			writer_le16(w, b->edit.height);
	}
	return ATT_OK;
}

static void on_disconnected(struct peer_state *s)
{
	struct body_scale *const b = s->own;

	if (b->edited)
		air_log(s->peer, "profile of user %u dropped", b->consented);
	b->edited = false;
	b->consented = 0;
}

static int command_user(struct peer_state *s, char *const words[])
{
	struct body_scale *const b = s->own;
	const long index = strtol(words[1], NULL, 10), code = strtol(words[2], NULL, 10);

	if (index < 1 || index > USERS_MAX || code < 0 || code > CODE_MAX)
		return -EINVAL;
	b->users[index - 1] = (struct user){ .used = true, .code = (uint16_t)code };
	return 0;
}

static int on_command(struct peer_state *s, unsigned int n, char *const words[], char *answer,
		      size_t size)
{
	struct body_scale *const b = s->own;
	unsigned int users = 0;

	if (n == 3 && !strcmp(words[0], "user"))
		return command_user(s, words);
	if (n == 2 && !strcmp(words[0], "stamps")) {
		b->stamps = !strcmp(words[1], "on");
		return 0;
	}
	if (n == 1 && !strcmp(words[0], "battery-removed")) {
		memset(b->users, 0, sizeof(b->users));
		b->consented = 0;
		(void)stock_delete(s, NULL, NULL);
		s->clock_set = false;
		return 0;
	}
	if (n != 1 || strcmp(words[0], "users") != 0)
		return -ENOENT;
	for (size_t i = 0; i < USERS_MAX; i++)
		users += b->users[i].used;
	(void)snprintf(answer, size, "users=%u consented=%u", users, b->consented);
	return 0;
}

#define R      GATT_READ
#define W      GATT_WRITE
#define I      GATT_INDICATE
#define NOTIFY GATT_NOTIFY

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x181d },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9d,
	  .properties = I,
	  .id = WEIGHT,
	  .secure = true },
	/* time stamps, users, BMI, 0.005 kg, 0.001 m */
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9e,
	  .properties = R,
	  .value = "\xbf\x01\x00\x00",
	  .len = 4 },
	{ .kind = SERVER_SERVICE, .uuid = 0x181b },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9c,
	  .properties = I,
	  .id = COMPOSITION,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9b,
	  .properties = R,
	  .value = "\x9e\x39\x00\x00",
	  .len = 4 },
	{ .kind = SERVER_SERVICE, .uuid = 0x181c },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9f,
	  .properties = W | I,
	  .id = CONTROL,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9a,
	  .properties = R,
	  .id = INDEX,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a99,
	  .properties = R | W | NOTIFY,
	  .id = INCREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a85,
	  .properties = R | W,
	  .id = BIRTH,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a8c,
	  .properties = R | W,
	  .id = GENDER,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a8e,
	  .properties = R | W,
	  .id = HEIGHT,
	  .secure = true },
	{ .kind = SERVER_SERVICE, .uuid = 0x1805 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a2b,
	  .properties = R | W,
	  .id = CLOCK,
	  .secure = true },
	{ .kind = SERVER_SERVICE, .uuid = 0xffff },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x0001,
	  .properties = W | NOTIFY,
	  .id = USER_LIST,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x0002,
	  .properties = R | W,
	  .secure = true,
	  .value = "USR",
	  .len = 3 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x0003,
	  .properties = R | W,
	  .secure = true,
	  .value = "\x00",
	  .len = 1 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x0004,
	  .properties = R | W,
	  .secure = true,
	  .value = "\x01",
	  .len = 1 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x0006,
	  .properties = W | NOTIFY,
	  .id = TAKE,
	  .secure = true },
};

const struct model model_body_scale = {
	.name = "body_scale",
	.label = "BF720",
	.maker = "Beurer GmbH",
	.type = "BF720",
	.appearance = 0x0c80,
	.services = { 0x181d, 0x181b, 0x181c },
	MODEL_ROWS(ROWS),
	.pairing = SMP_JUST_WORKS,
	.modern = true,
	.battery = true,
	.own_size = sizeof(struct body_scale),
	.mtu = 247,
	.n_users = 1, /* unless the command says who */
	.frame_ids = { WEIGHT, COMPOSITION },
	.frame = frame,
	.ready = ready,
	.disconnected = on_disconnected,
	.read = on_read,
	.write = on_write,
	.wrote = on_wrote,
	.command = on_command,
};
