#include "gateway/store/keyring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "drivers/cleanup.h"
#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define SLOT       256
#define HEAD       12 /* magic, state, number */
#define NONCE      crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG        crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CONTENT    (KEYRING_KEY + KEYRING_SUBJECT_MAX)
#define FILES      2
#define MASTER_KEY "hub.key"
#define MASTER_NEW "hub.key.new"
#define MASTER_MAX 4096

_Static_assert(HEAD + NONCE + CONTENT + TAG + 4 <= SLOT, "a slot holds all of it");

static const char *const names[FILES] = { "wellgate.keys", "wellgate.keys2" };
static const uint8_t magic[4] = { 'W', 'g', 'K', '1' };

enum state {
	STATE_LOST = 0, /* no copy is sound */
	STATE_LIVE = 1,
	STATE_DESTROYED = 2,
};

struct slot {
	enum state state;
	bool anew; /* a copy is missing, or sealed by hub.key although there is another key */
	uint8_t key[KEYRING_KEY], nonce_key[KEYRING_NONCE_KEY];
	char subject[KEYRING_SUBJECT_MAX];
};

struct master {
	bool known;
	uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
};

struct keyring {
	int dir_fd, fds[FILES];
	bool is_new;
	struct master given, own; /* of key_file, of hub.key; the first that is known seals */
	struct slot *slots;
	uint32_t n, room;
	uint8_t fresh[KEYRING_FRESH - 8];
	uint64_t counter;
};

static int read_all(int fd, uint8_t *data, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t got = pread(fd, data, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENODATA;
		data += got;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t put = pwrite(fd, data, n, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EDQUOT ? -ENOSPC : -errno;
		data += put;
		at += put;
		n -= (size_t)put;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* ---- the key that seals the slots ---- */

/* -ENOENT: there is no such file; -EKEYREJECTED: it is no key */
static int read_master(int dir_fd, const char *name, struct master *ret)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	uint8_t data[MASTER_MAX];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, data, sizeof(data));
	if (n < 0)
		return -errno;
	if (n < KEYRING_KEY)
		return -EKEYREJECTED;
	(void)crypto_generichash(ret->key, sizeof(ret->key), data, (size_t)n, NULL, 0);
	sodium_memzero(data, sizeof(data));
	ret->known = true;
	return 0;
}

static int make_master(int dir_fd)
{
	_cleanup_close_ int fd = -1;
	uint8_t data[KEYRING_KEY];
	int r;

	(void)unlinkat(dir_fd, MASTER_NEW, 0);
	fd = openat(dir_fd, MASTER_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	randombytes_buf(data, sizeof(data));
	r = write_all(fd, data, sizeof(data), 0);
	sodium_memzero(data, sizeof(data));
	if (r < 0)
		return r;
	if (renameat(dir_fd, MASTER_NEW, dir_fd, MASTER_KEY) < 0 || fsync(dir_fd) < 0)
		return -errno;
	return 0;
}

static int destroy_master(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, MASTER_KEY, O_WRONLY | O_CLOEXEC);
	static const uint8_t nothing[KEYRING_KEY];
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, nothing, sizeof(nothing), 0);
	if (r < 0)
		return r;
	if (unlinkat(dir_fd, MASTER_KEY, 0) < 0 || fsync(dir_fd) < 0)
		return -errno;
	return 0;
}

static int load_masters(struct keyring *k, const char *key_file)
{
	int r = 0;

	if (key_file)
		r = read_master(AT_FDCWD, key_file, &k->given);
	if (r < 0)
		return r;
	r = read_master(k->dir_fd, MASTER_KEY, &k->own);
	if (r != -ENOENT)
		return r;
	if (key_file)
		return 0;
	if (k->n > 0)
		return -EKEYREJECTED;
	r = make_master(k->dir_fd);
	return r < 0 ? r : read_master(k->dir_fd, MASTER_KEY, &k->own);
}

static const struct master *sealing_master(const struct keyring *k)
{
	return k->given.known ? &k->given : &k->own;
}

/* ---- slots ---- */

static void write_head(struct writer *w, enum state state, uint32_t number)
{
	writer_bytes(w, magic, sizeof(magic));
	writer_le32(w, (uint32_t)state);
	writer_le32(w, number);
}

static void finish_slot(uint8_t data[SLOT])
{
	struct writer w = writer_of(&data[SLOT - 4], 4);

	writer_le32(&w, crc_32_iso_hdlc(data, SLOT - 4));
}

static void encode(const struct keyring *k, uint32_t number, uint8_t ret[SLOT])
{
	const struct slot *slot = &k->slots[number];
	struct writer w = writer_of(ret, SLOT);
	uint8_t content[CONTENT] = { 0 };

	(void)memset(ret, 0, SLOT);
	write_head(&w, slot->state, number);
	if (slot->state == STATE_LIVE) {
		(void)memcpy(content, slot->key, KEYRING_KEY);
		content[KEYRING_KEY] = (uint8_t)strlen(slot->subject);
		(void)memcpy(content + KEYRING_KEY + 1, slot->subject, strlen(slot->subject));
		randombytes_buf(ret + HEAD, NONCE);
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
			ret + HEAD + NONCE, NULL, content, sizeof(content), ret, HEAD, NULL,
			ret + HEAD, sealing_master(k)->key);
		sodium_memzero(content, sizeof(content));
	}
	finish_slot(ret);
}

/* State of a copy; STATE_LOST: it is not sound. */
static enum state examine(const uint8_t data[SLOT], uint32_t number)
{
	struct cursor c = cursor_of(data, SLOT);
	const uint8_t *start = cursor_bytes(&c, sizeof(magic));
	uint32_t state = cursor_le32(&c), own = cursor_le32(&c);

	c.pos = SLOT - 4;
	if (cursor_le32(&c) != crc_32_iso_hdlc(data, SLOT - 4) || own != number ||
	    memcmp(start, magic, sizeof(magic)) != 0)
		return STATE_LOST;
	return state == STATE_LIVE || state == STATE_DESTROYED ? (enum state)state : STATE_LOST;
}

static void set_key(struct slot *slot, const uint8_t key[KEYRING_KEY])
{
	static const uint8_t purpose[] = "wellgate nonces";

	(void)memcpy(slot->key, key, KEYRING_KEY);
	(void)crypto_generichash(slot->nonce_key, sizeof(slot->nonce_key), purpose, sizeof(purpose),
				 key, KEYRING_KEY);
}

static void make_key(struct slot *slot)
{
	uint8_t key[KEYRING_KEY];

	randombytes_buf(key, sizeof(key));
	set_key(slot, key);
	sodium_memzero(key, sizeof(key));
}

static bool unseal(const struct master *master, const uint8_t data[SLOT], struct slot *ret)
{
	uint8_t content[CONTENT];
	size_t len;

	if (!master->known || crypto_aead_xchacha20poly1305_ietf_decrypt(
				      content, NULL, NULL, data + HEAD + NONCE, CONTENT + TAG, data,
				      HEAD, data + HEAD, master->key) != 0)
		return false;
	len = content[KEYRING_KEY];
	if (len >= KEYRING_SUBJECT_MAX)
		return false;
	set_key(ret, content);
	(void)memcpy(ret->subject, content + KEYRING_KEY + 1, len);
	ret->subject[len] = '\0';
	sodium_memzero(content, sizeof(content));
	return true;
}

static int store_slot(const struct keyring *k, uint32_t number)
{
	uint8_t data[SLOT];
	int r = 0;

	encode(k, number, data);
	for (int i = 0; r == 0 && i < FILES; i++)
		r = write_all(k->fds[i], data, SLOT, (off_t)number * SLOT);
	return r;
}

static int make_room(struct keyring *k, uint32_t n)
{
	uint32_t room = k->room > 0 ? k->room : 16;
	struct slot *slots;

	while (room < n)
		room *= 2;
	if (room == k->room)
		return 0;
	slots = calloc(room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (k->slots) {
		(void)memcpy(slots, k->slots, k->room * sizeof(*slots));
		sodium_memzero(k->slots, k->room * sizeof(*slots));
		free(k->slots);
	}
	k->slots = slots;
	k->room = room;
	return 0;
}

/* -EKEYREJECTED: it is sound and no key opens it */
static int take_copy(const struct keyring *k, const uint8_t data[SLOT], struct slot *slot)
{
	bool sealed_well = unseal(sealing_master(k), data, slot);

	if (!sealed_well && !unseal(&k->own, data, slot))
		return -EKEYREJECTED;
	slot->state = STATE_LIVE;
	slot->anew |= !sealed_well;
	return 0;
}

static int load_slot(struct keyring *k, uint32_t number)
{
	struct slot *slot = &k->slots[number];
	uint8_t data[FILES][SLOT] = { 0 };
	enum state states[FILES];
	int r = 0;

	for (int i = 0; i < FILES; i++) {
		if (read_all(k->fds[i], data[i], SLOT, (off_t)number * SLOT) < 0)
			(void)memset(data[i], 0, SLOT);
		states[i] = examine(data[i], number);
	}
	slot->anew = states[0] != states[1];
	if (states[0] == STATE_DESTROYED || states[1] == STATE_DESTROYED)
		slot->state = STATE_DESTROYED;
	else if (states[0] == STATE_LIVE || states[1] == STATE_LIVE)
		r = take_copy(k, data[states[0] == STATE_LIVE ? 0 : 1], slot);
	sodium_memzero(data, sizeof(data));
	return r;
}

/* The number of slots, the longer file counts; a last one that is cut off counts as one. */
static int count_slots(struct keyring *k)
{
	struct stat st;

	k->is_new = true;
	for (int i = 0; i < FILES; i++) {
		if (fstat(k->fds[i], &st) < 0)
			return -errno;
		if (st.st_size / SLOT > KEYRING_MAX)
			return -EKEYREJECTED;
		if (st.st_size > 0)
			k->is_new = false;
		if ((st.st_size + SLOT - 1) / SLOT > k->n)
			k->n = (uint32_t)((st.st_size + SLOT - 1) / SLOT);
	}
	return 0;
}

/* What was half done goes on: copies are completed, hub.key goes where it is not needed. */
static int complete(struct keyring *k)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < k->n; i++) {
		if (k->slots[i].anew && k->slots[i].state != STATE_LOST)
			r = store_slot(k, i);
		k->slots[i].anew = false;
	}
	if (r == 0 && k->given.known && k->own.known)
		r = destroy_master(k->dir_fd);
	return r;
}

static int add_slot(struct keyring *k, const char *subject)
{
	int r = k->n >= KEYRING_MAX ? -EOVERFLOW : make_room(k, k->n + 1);

	if (r < 0)
		return r;
	k->slots[k->n] = (struct slot){ .state = STATE_LIVE };
	make_key(&k->slots[k->n]);
	(void)memcpy(k->slots[k->n].subject, subject, strlen(subject) + 1);
	r = store_slot(k, k->n);
	if (r == 0)
		k->n++;
	return r;
}

/* The very first start was cut off, or both copies are damaged: what it sealed is lost. */
static int renew_first(struct keyring *k)
{
	k->slots[0].state = STATE_LIVE;
	make_key(&k->slots[0]);
	return store_slot(k, 0);
}

static int load(struct keyring *k, const char *key_file)
{
	int r = count_slots(k);

	if (r == 0)
		r = load_masters(k, key_file);
	if (r == 0)
		r = make_room(k, k->n);
	for (uint32_t i = 0; r == 0 && i < k->n; i++)
		r = load_slot(k, i);
	if (r == 0)
		r = complete(k);
	if (r == 0 && k->n == 0)
		return add_slot(k, "");
	if (r == 0 && k->slots[0].state == STATE_LOST)
		r = renew_first(k);
	return r;
}

int keyring_open(int dir_fd, const char *key_file, struct keyring **ret)
{
	struct keyring *k = calloc(1, sizeof(*k));
	int r = 0;

	if (!k)
		return -ENOMEM;
	k->dir_fd = dir_fd;
	k->fds[0] = k->fds[1] = -1;
	if (sodium_init() < 0)
		r = -EIO;
	else
		randombytes_buf(k->fresh, sizeof(k->fresh));
	for (int i = 0; r == 0 && i < FILES; i++) {
		k->fds[i] =
			openat(dir_fd, names[i], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (k->fds[i] < 0)
			r = -errno;
	}
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0)
		r = load(k, key_file);
	if (r < 0) {
		keyring_close(k);
		return r;
	}
	*ret = k;
	return 0;
}

void keyring_close(struct keyring *k)
{
	if (!k)
		return;
	for (int i = 0; i < FILES; i++) {
		if (k->fds[i] >= 0)
			(void)close(k->fds[i]);
	}
	if (k->slots)
		sodium_memzero(k->slots, k->room * sizeof(*k->slots));
	free(k->slots);
	sodium_memzero(k, sizeof(*k));
	free(k);
}

bool keyring_is_new(const struct keyring *k)
{
	return k->is_new;
}

int keyring_find(const struct keyring *k, const char *subject, uint32_t *ret)
{
	if (!subject || subject[0] == '\0') {
		*ret = 0;
		return 0;
	}
	for (uint32_t i = k->n; i-- > 1;) {
		if (k->slots[i].state == STATE_LIVE && strcmp(k->slots[i].subject, subject) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -ENOENT;
}

int keyring_number(struct keyring *k, const char *subject, uint32_t *ret)
{
	uint32_t number = 0;
	int r = keyring_find(k, subject, &number);

	if (r == -ENOENT) {
		if (strnlen(subject, KEYRING_SUBJECT_MAX) >= KEYRING_SUBJECT_MAX - 1)
			return -EINVAL;
		number = k->n;
		r = add_slot(k, subject);
	}
	if (r == 0)
		*ret = number;
	return r;
}

int keyring_key(const struct keyring *k, uint32_t number, const uint8_t **ret)
{
	if (!k || number >= k->n || k->slots[number].state == STATE_LOST)
		return -ENOENT;
	if (k->slots[number].state == STATE_DESTROYED)
		return 0;
	*ret = k->slots[number].key;
	return 1;
}

const uint8_t *keyring_nonce_key(const struct keyring *k, uint32_t number)
{
	assert(number < k->n && k->slots[number].state == STATE_LIVE);
	return k->slots[number].nonce_key;
}

const char *keyring_subject(const struct keyring *k, uint32_t number)
{
	if (number == 0 || number >= k->n || k->slots[number].state != STATE_LIVE)
		return NULL;
	return k->slots[number].subject;
}

void keyring_fresh(struct keyring *k, uint8_t ret[KEYRING_FRESH])
{
	struct writer w = writer_of(ret, KEYRING_FRESH);

	writer_bytes(&w, k->fresh, sizeof(k->fresh));
	writer_le64(&w, k->counter++);
}

int keyring_destroy(struct keyring *k, uint32_t number)
{
	if (number == 0 || number >= k->n)
		return -ENOENT;
	sodium_memzero(&k->slots[number], sizeof(k->slots[number]));
	k->slots[number].state = STATE_DESTROYED;
	return store_slot(k, number);
}
