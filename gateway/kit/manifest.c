#include "gateway/kit/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FIRST "wellgate kit 1"
#define HEX   "0123456789abcdef"
#define NAME  "abcdefghijklmnopqrstuvwxyz0123456789._-"

int kit_name_check(const char *name)
{
	const size_t len = strnlen(name, KIT_NAME_MAX + 1);

	if (len == 0 || len > KIT_NAME_MAX || strspn(name, NAME) != len || strchr("._-", name[0]) ||
	    strncmp(name, "manifest", 8) == 0)
		return -EBADMSG;
	return 0;
}

/* ---- reading: one line, one word after the other ---- */

struct reader {
	const char *at, *end;
	bool bad;
};

static void take_text(struct reader *r, const char *text)
{
	const size_t len = strlen(text);

	if (r->bad || (size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0)
		r->bad = true;
	else
		r->at += len;
}

/* up to the blank or the end of the line, which is left where it is */
static void take_word(struct reader *r, char *ret, size_t size)
{
	size_t len = 0;

	while (!r->bad && r->at + len < r->end && r->at[len] != ' ' && r->at[len] != '\n')
		len++;
	if (len == 0 || len >= size || memchr(r->at, 0, len)) {
		r->bad = true;
		return;
	}
	(void)memcpy(ret, r->at, len);
	ret[len] = '\0';
	r->at += len;
}

/* decimal, without a sign or a zero in front; up to 18 digits */
static uint64_t take_number(struct reader *r)
{
	char word[19] = "";
	uint64_t n = 0;

	take_word(r, word, sizeof(word));
	if (strspn(word, "0123456789") != strlen(word) || (word[0] == '0' && word[1]))
		r->bad = true;
	for (const char *p = word; !r->bad && *p; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	return n;
}

static void take_hash(struct reader *r, uint8_t ret[KIT_HASH])
{
	char word[2 * KIT_HASH + 1] = "";
	size_t len = 0;

	take_word(r, word, sizeof(word));
	if (strspn(word, HEX) != sizeof(word) - 1 ||
	    sodium_hex2bin(ret, KIT_HASH, word, sizeof(word) - 1, NULL, &len, NULL) != 0 ||
	    len != KIT_HASH)
		r->bad = true;
}

static void take_file(struct reader *r, struct kit_manifest *m)
{
	struct kit_entry *e = &m->files[m->n];

	if (m->n == KIT_FILES_MAX) {
		r->bad = true;
		return;
	}
	take_text(r, "file ");
	take_word(r, e->name, sizeof(e->name));
	take_text(r, " ");
	e->size = (size_t)take_number(r);
	take_text(r, " ");
	take_hash(r, e->sha256);
	take_text(r, "\n");
	if (r->bad || e->size > KIT_BYTES_MAX || kit_name_check(e->name) < 0)
		r->bad = true;
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->files[i].name, e->name) == 0)
			r->bad = true;
	m->n++;
}

int kit_manifest_decode(const char *text, size_t len, struct kit_manifest *ret)
{
	struct reader r = { text, text + len, len > KIT_TEXT_MAX };
	struct kit_manifest m = { 0 };

	take_text(&r, FIRST "\nbox ");
	take_word(&r, m.box, sizeof(m.box));
	take_text(&r, "\nserial ");
	m.serial = take_number(&r);
	take_text(&r, "\nissued ");
	m.issued = (int64_t)take_number(&r);
	take_text(&r, "\nexpires ");
	m.expires = (int64_t)take_number(&r);
	take_text(&r, "\n");
	if (strspn(m.box, HEX) != KIT_BOX || m.serial == 0 || m.expires <= m.issued)
		r.bad = true;
	do
		take_file(&r, &m);
	while (!r.bad && r.at < r.end);
	if (r.bad)
		return -EBADMSG;
	*ret = m;
	return 0;
}

/* ---- writing ---- */

static int put_file(const struct kit_entry *e, char *ret, size_t size)
{
	char hash[2 * KIT_HASH + 1];

	(void)sodium_bin2hex(hash, sizeof(hash), e->sha256, sizeof(e->sha256));
	return snprintf(ret, size, "file %s %zu %s\n", e->name, e->size, hash);
}

int kit_manifest_encode(const struct kit_manifest *m, char *ret, size_t size)
{
	int len = snprintf(ret, size,
			   FIRST "\nbox %s\nserial %" PRIu64 "\nissued %" PRId64
				 "\nexpires %" PRId64 "\n",
			   m->box, m->serial, m->issued, m->expires);

	for (size_t i = 0; len >= 0 && (size_t)len < size && i < m->n; i++)
		len += put_file(&m->files[i], ret + len, size - (size_t)len);
	return len >= 0 && (size_t)len < size ? len : -ENOSPC;
}

/* ---- the door ---- */

static bool is_signed(const struct kit_door *door, const char *text, size_t len,
		      const uint8_t signature[64])
{
	for (size_t i = 0; i < door->n; i++)
		if (crypto_sign_verify_detached(signature, (const uint8_t *)text, len,
						door->keys[i]) == 0)
			return true;
	return false;
}

int kit_open(const struct kit_door *door, const char *text, size_t len, const uint8_t signature[64],
	     struct kit_manifest *ret)
{
	struct kit_manifest m;
	int r;

	if (!is_signed(door, text, len, signature))
		return -EKEYREJECTED;
	r = kit_manifest_decode(text, len, &m);
	if (r < 0)
		return r;
	if (strcmp(m.box, door->box) != 0)
		return -EXDEV;
	if (door->serial >= m.serial) {
		ret->serial = m.serial;
		return -EALREADY;
	}
	if (door->now > m.expires)
		return -ETIME;
	*ret = m;
	return 0;
}
