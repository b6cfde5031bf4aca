#include "gateway/store/seal.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define NONCE 12
#define HASH  8 /* of the nonce: what is stored of it */
#define TAG   16
#define PLACE 9

_Static_assert(NONCE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "RFC 8439");
_Static_assert(HASH == crypto_shorthash_BYTES, "SipHash-2-4");
_Static_assert(KEYRING_NONCE_KEY == crypto_shorthash_KEYBYTES, "SipHash-2-4");
_Static_assert(TAG == crypto_aead_chacha20poly1305_ietf_ABYTES, "RFC 8439");
_Static_assert(1 + 3 + HASH + TAG <= SEAL_OVERHEAD_MAX, "a number takes three bytes at most");

struct parts {
	uint32_t number;
	const uint8_t *hash;
	size_t head;    /* where the ciphertext begins */
	size_t content; /* its length without the tag */
};

static size_t number_size(uint32_t number)
{
	return number < 1U << 7 ? 1 : number < 1U << 14 ? 2 : 3;
}

size_t seal_head(uint32_t number)
{
	return 1 + number_size(number) + HASH;
}

static void put_place(const struct row *row, uint8_t ret[PLACE])
{
	struct writer w = writer_of(ret, PLACE);

	writer_u8(&w, (uint8_t)row_table(row));
	writer_le64(&w, (uint64_t)row->id);
}

/* The part that is not stored: the place of the row, cut to what fits. */
static void join_nonce(const uint8_t hash[HASH], const struct row *row, uint8_t ret[NONCE])
{
	struct writer w = writer_of(ret, NONCE);

	writer_bytes(&w, hash, HASH);
	writer_le32(&w, (uint32_t)row->id << 3 | row_table(row));
}

static void make_hash(struct keyring *k, uint32_t number, const uint8_t place[PLACE],
		      const uint8_t *content, size_t len, uint8_t ret[HASH])
{
	uint8_t first[KEYRING_FRESH + PLACE + HASH];

	keyring_fresh(k, first);
	(void)memcpy(first + KEYRING_FRESH, place, PLACE);
	(void)crypto_shorthash(first + KEYRING_FRESH + PLACE, content, len,
			       keyring_nonce_key(k, number));
	(void)crypto_shorthash(ret, first, sizeof(first), keyring_nonce_key(k, number));
}

int seal_close(struct keyring *k, uint32_t number, const struct row *row, uint8_t *data, size_t len)
{
	size_t head = seal_head(number);
	struct writer w = writer_of(data, head);
	const uint8_t *key = NULL;
	uint8_t place[PLACE], hash[HASH], nonce[NONCE];

	if (keyring_key(k, number, &key) != 1)
		return -ENOKEY;
	put_place(row, place);
	make_hash(k, number, place, data + head, len, hash);
	join_nonce(hash, row, nonce);
	writer_u8(&w, 0);
	for (; number >= 0x80; number >>= 7)
		writer_u8(&w, (uint8_t)(number | 0x80));
	writer_u8(&w, (uint8_t)number);
	writer_bytes(&w, hash, HASH);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(data + head, NULL, data + head, len, place,
							PLACE, NULL, nonce, key);
	return (int)(head + len + TAG);
}

/* 1: sealed; 0: it never was; -EBADMSG */
static int take_apart(const uint8_t *payload, size_t len, struct parts *ret)
{
	struct cursor c = cursor_of(payload, len);
	struct parts parts = { 0 };
	uint8_t byte;

	if (len == 0 || payload[0] != 0)
		return 0;
	cursor_skip(&c, 1);
	for (unsigned int shift = 0; shift < 21; shift += 7) {
		byte = cursor_u8(&c);
		parts.number |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	parts.hash = cursor_bytes(&c, HASH);
	parts.head = c.pos;
	if (!cursor_ok(&c) || parts.head != seal_head(parts.number) || cursor_left(&c) < TAG)
		return -EBADMSG;
	parts.content = cursor_left(&c) - TAG;
	*ret = parts;
	return 1;
}

bool seal_is_plain(const struct row *row)
{
	return row->len == 0 || row->payload[0] != 0;
}

static bool decrypt(const struct parts *p, const struct row *row, const uint8_t *key, uint8_t *data,
		    bool proved)
{
	uint8_t place[PLACE], nonce[NONCE];

	join_nonce(p->hash, row, nonce);
	if (!proved)
		return crypto_stream_chacha20_ietf_xor_ic(data + p->head, data + p->head,
							  p->content, nonce, 1, key) == 0;
	put_place(row, place);
	return crypto_aead_chacha20poly1305_ietf_decrypt(data + p->head, NULL, NULL, data + p->head,
							 p->content + TAG, place, PLACE, nonce,
							 key) == 0;
}

static int open_sealed(const struct keyring *k, const struct row *row, uint8_t *data, bool proved,
		       const uint8_t **ret, size_t *ret_len)
{
	size_t len = row->len;

	for (int layer = 0;; layer++) {
		const uint8_t *key = NULL;
		struct parts parts;
		int r = take_apart(data, len, &parts);

		if (r == 0) {
			*ret = data;
			*ret_len = len;
			return 1;
		}
		if (r < 0 || layer == 2)
			return -EBADMSG;
		r = keyring_key(k, parts.number, &key);
		if (r <= 0)
			return r == 0 ? 0 : -EBADMSG;
		if (!decrypt(&parts, row, key, data, proved))
			return -EBADMSG;
		data += parts.head;
		len = parts.content;
	}
}

int seal_open(const struct keyring *k, const struct row *row, uint8_t *data, const uint8_t **ret,
	      size_t *ret_len)
{
	return open_sealed(k, row, data, true, ret, ret_len);
}

int seal_guess(const struct keyring *k, const struct row *row, uint8_t *data, const uint8_t **ret,
	       size_t *ret_len)
{
	return open_sealed(k, row, data, false, ret, ret_len);
}

bool seal_is_under(const struct keyring *k, const struct row *row, uint8_t *data, uint32_t number)
{
	size_t len = row->len;

	for (int layer = 0; layer < 2; layer++) {
		const uint8_t *key = NULL;
		struct parts parts;

		if (take_apart(data, len, &parts) != 1)
			return false;
		if (parts.number == number)
			return true;
		if (keyring_key(k, parts.number, &key) != 1 ||
		    !decrypt(&parts, row, key, data, true))
			return false;
		data += parts.head;
		len = parts.content;
	}
	return false;
}
