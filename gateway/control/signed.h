/*
 * Signed commands: orders that come over a broker that anybody may write to (a goal from a care
 * team). The broker's own rights are not enough: one stolen password would move a person's goals.
 *
 * The envelope, numbers big-endian, nothing of it encrypted (TLS does that):
 *
 *    0  4  "WGC1"
 *    4  8  sender: the first 8 bytes of SHA-256 of the sender's public key
 *   12  8  serial: rises with each command of this sender to this hub, from 1
 *   20  8  issued, ms since 1970-01-01 UTC
 *   28  8  expires, ms likewise; at most SIGNED_LIFETIME_MS after issued
 *   36  1  length of the hub's name, 1 to SIGNED_HUB_MAX
 *   37  .  the hub's name: a command is for one hub
 *    .  2  length of the payload, 1 to SIGNED_PAYLOAD_MAX
 *    .  .  payload: a packed message; what it means is not looked at here
 *    . 64  Ed25519 signature (RFC 8032, pure) over SIGNED_CONTEXT (no NUL) and all before
 *
 * Fixed fields instead of a message in a message: what is signed are bytes, and nothing that was
 * not signed is ever unpacked. The context keeps a signature made here from meaning anything
 * elsewhere. Pure: no clock, no state; the caller keeps the last serial of each sender with what
 * the command did, in one transaction.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIGNED_CONTEXT     "wellgate signed command 1\n"
#define SIGNED_KEY         ((size_t)32)
#define SIGNED_KEY_TEXT    44 /* base64 of it */
#define SIGNED_SENDER      ((size_t)8)
#define SIGNED_SIGNATURE   ((size_t)64)
#define SIGNED_HUB_MAX     64
#define SIGNED_PAYLOAD_MAX 4096
#define SIGNED_LIFETIME_MS (INT64_C(7) * 24 * 3600 * 1000)
/* the sender's clock and ours may differ by so much */
#define SIGNED_CLOCK_MS (INT64_C(5) * 60 * 1000)
/* the hub's clock is not certain */
#define SIGNED_NO_TIME INT64_MIN

/* A sender that this hub obeys. */
struct signed_key {
	uint8_t key[SIGNED_KEY];
	uint64_t last; /* serial of the last command that was carried out; 0 = none */
};

/* Who is obeyed, here and now. Borrowed. */
struct signed_door {
	const struct signed_key *keys;
	size_t n;
	const char *hub; /* our name */
	int64_t now_ms;  /* UTC, or SIGNED_NO_TIME */
};

struct signed_command {
	size_t key; /* index of the sender's key: its last serial becomes `serial` */
	uint64_t serial;
	int64_t issued_ms, expires_ms;
	const uint8_t *payload; /* in the envelope */
	size_t len;
};

/*
 * Looks, in this order, at form, sender, signature, hub, time and serial; ret is untouched unless
 * all of them are good.
 *
 *   -EBADMSG       not an envelope       -ENOKEY        no key of that sender
 *   -EKEYREJECTED  not signed by it      -EXDEV         for another hub
 *   -EAGAIN        the hub's clock is not certain: as long as it is not, no command is carried out
 *   -ETIME         expired, of the future, or meant to live too long
 *   -EALREADY      its serial is not above the last one: seen before, or overtaken
 */
int signed_open(const struct signed_door *door, const uint8_t *envelope, size_t len,
		struct signed_command *ret);

/* What an envelope of this key's owner has as its sender. */
void signed_sender(const uint8_t key[SIGNED_KEY], uint8_t ret[SIGNED_SENDER]);

/* A public key as text: base64 (RFC 4648, padded), SIGNED_KEY_TEXT characters. -EINVAL: anything
 * else, or one of the points of small order, whose signatures prove nothing. */
int signed_key_parse(const char *text, uint8_t ret[SIGNED_KEY]);

/* Ed25519 alone, as RFC 8032 has it. -EKEYREJECTED */
int signed_check(const uint8_t key[SIGNED_KEY], const uint8_t *message, size_t len,
		 const uint8_t signature[SIGNED_SIGNATURE]);
