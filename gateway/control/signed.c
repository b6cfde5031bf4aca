#include "gateway/control/signed.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
	AT_SENDER = 4,
	AT_SERIAL = 12,
	AT_ISSUED = 20,
	AT_EXPIRES = 28,
	AT_HUB_LEN = 36,
	AT_HUB = 37,
	LENGTH_BYTES = 2,
	CONTEXT = sizeof(SIGNED_CONTEXT) - 1,
	ENVELOPE_MAX = AT_HUB + SIGNED_HUB_MAX + LENGTH_BYTES + SIGNED_PAYLOAD_MAX + 64,
};

/* an envelope whose lengths add up */
struct parts {
	const uint8_t *hub, *payload, *signature;
	size_t hub_len, payload_len;
};

static uint64_t number_at(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < sizeof(value); i++)
		value = value << 8 | bytes[i];
	return value;
}

static int take_apart(const uint8_t *envelope, size_t len, struct parts *ret)
{
	struct parts p;

	if (len < AT_HUB || len > ENVELOPE_MAX || memcmp(envelope, "WGC1", AT_SENDER) != 0)
		return -EBADMSG;
	p.hub_len = envelope[AT_HUB_LEN];
	if (p.hub_len < 1 || p.hub_len > SIGNED_HUB_MAX || len < AT_HUB + p.hub_len + LENGTH_BYTES)
		return -EBADMSG;
	p.hub = envelope + AT_HUB;
	p.payload = p.hub + p.hub_len + LENGTH_BYTES;
	p.payload_len = (size_t)p.hub[p.hub_len] << 8 | p.hub[p.hub_len + 1];
	if (p.payload_len < 1 || p.payload_len > SIGNED_PAYLOAD_MAX ||
	    len != AT_HUB + p.hub_len + LENGTH_BYTES + p.payload_len + SIGNED_SIGNATURE)
		return -EBADMSG;
	p.signature = p.payload + p.payload_len;
	*ret = p;
	return 0;
}

void signed_sender(const uint8_t key[SIGNED_KEY], uint8_t ret[SIGNED_SENDER])
{
	uint8_t digest[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(digest, key, SIGNED_KEY);
	(void)memcpy(ret, digest, SIGNED_SENDER);
}

static const struct signed_key *find_key(const struct signed_door *door, const uint8_t *sender)
{
	uint8_t own[SIGNED_SENDER];

	for (size_t i = 0; i < door->n; i++) {
		signed_sender(door->keys[i].key, own);
		if (memcmp(own, sender, SIGNED_SENDER) == 0)
			return &door->keys[i];
	}
	return NULL;
}

int signed_check(const uint8_t key[SIGNED_KEY], const uint8_t *message, size_t len,
		 const uint8_t signature[SIGNED_SIGNATURE])
{
	return crypto_sign_verify_detached(signature, message, len, key) == 0 ? 0 : -EKEYREJECTED;
}

static int check_signature(const uint8_t *envelope, const struct parts *p, const uint8_t *key)
{
	uint8_t message[CONTEXT + ENVELOPE_MAX];
	const size_t len = (size_t)(p->signature - envelope);

	(void)memcpy(message, SIGNED_CONTEXT, CONTEXT);
	(void)memcpy(message + CONTEXT, envelope, len);
	return signed_check(key, message, CONTEXT + len, p->signature);
}

/* All differences are of times within range, so none overflows. */
static int check_time(uint64_t issued, uint64_t expires, int64_t now_ms)
{
	const uint64_t now = (uint64_t)now_ms;

	if (now_ms == SIGNED_NO_TIME)
		return -EAGAIN;
	if (now_ms < 0 || issued > INT64_MAX || expires > INT64_MAX || expires < issued ||
	    expires - issued > (uint64_t)SIGNED_LIFETIME_MS)
		return -ETIME;
	if (now >= expires || (issued > now && issued - now > (uint64_t)SIGNED_CLOCK_MS))
		return -ETIME;
	return 0;
}

int signed_open(const struct signed_door *door, const uint8_t *envelope, size_t len,
		struct signed_command *ret)
{
	const struct signed_key *key;
	struct signed_command command;
	struct parts p;
	uint64_t issued, expires;
	int r = take_apart(envelope, len, &p);

	if (r < 0)
		return r;
	key = find_key(door, envelope + AT_SENDER);
	if (!key)
		return -ENOKEY;
	r = check_signature(envelope, &p, key->key);
	if (r < 0)
		return r;
	if (strlen(door->hub) != p.hub_len || memcmp(door->hub, p.hub, p.hub_len) != 0)
		return -EXDEV;
	issued = number_at(envelope + AT_ISSUED);
	expires = number_at(envelope + AT_EXPIRES);
	r = check_time(issued, expires, door->now_ms);
	if (r < 0)
		return r;
	command = (struct signed_command){ .key = (size_t)(key - door->keys),
					   .serial = number_at(envelope + AT_SERIAL),
					   .issued_ms = (int64_t)issued,
					   .expires_ms = (int64_t)expires,
					   .payload = p.payload,
					   .len = p.payload_len };
	if (command.serial <= key->last)
		return -EALREADY;
	*ret = command;
	return 0;
}

int signed_key_parse(const char *text, uint8_t ret[SIGNED_KEY])
{
	/* sodium's check of a point: on the curve, canonical, of the large prime order */
	uint8_t key[SIGNED_KEY];
	size_t len = 0;

	if (strnlen(text, SIGNED_KEY_TEXT + 1) != SIGNED_KEY_TEXT ||
	    sodium_base642bin(key, sizeof(key), text, SIGNED_KEY_TEXT, NULL, &len, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    len != sizeof(key) || crypto_core_ed25519_is_valid_point(key) != 1)
		return -EINVAL;
	(void)memcpy(ret, key, sizeof(key));
	return 0;
}
