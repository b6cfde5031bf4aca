/*
 * The keys under which rows are sealed: one per person, and number 0 for what is about nobody. They
 * live outside SQLite, in slots of a fixed size that are written in place, so that a key can be
 * overwritten where it lies; a page of a database is copied to a log first.
 *
 *   wellgate.keys, wellgate.keys2   the same slots twice, each with its own checksum
 *   hub.key                         32 random bytes, 0600: the key that seals the slots, where the
 *                                   system gives none. Who has the whole card then has the keys.
 *
 *   slot of 256 bytes:  "WgK1" | state 1 | 0 0 0 | number 4 LE | nonce 24 |
 *                       sealed { key 32 | length 1 | subject 143 } and tag 16 | 0... | CRC-32 LE
 *
 * A key is durable in both files before it is used. One that was overwritten in one file counts as
 * destroyed; the other is seen to when the files are opened. A number is never given out again.
 * Sealed with XChaCha20-Poly1305, random nonces of 192 bits; all but nonce and seal is covered as
 * additional data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYRING_KEY         32
#define KEYRING_NONCE_KEY   16
#define KEYRING_SUBJECT_MAX 144     /* with its end */
#define KEYRING_MAX         2097152 /* numbers fit three bytes of a varint */

struct keyring;

/*
 * Opens, completes or makes the files in a directory. `key_file` holds the key that seals the slots
 * (32 bytes or more, all of them count), NULL: hub.key, made where there are no slots yet. Slots
 * sealed by hub.key are sealed anew when a key_file is given, and hub.key is destroyed.
 * -EKEYREJECTED: there are slots and no key that opens them; nothing was changed.
 */
int keyring_open(int dir_fd, const char *key_file, struct keyring **ret);
/* NULL is fine; wipes the memory. */
void keyring_close(struct keyring *k);
/* The files did not exist. */
bool keyring_is_new(const struct keyring *k);

/* The number of a person's key; made and durable if there is none. NULL or "": 0, the hub's own.
 * -EINVAL: the subject is too long; -ENOSPC, -EIO... of the files; -EOVERFLOW: too many. */
int keyring_number(struct keyring *k, const char *subject, uint32_t *ret);
/* As keyring_number(), but -ENOENT where there is none. */
int keyring_find(const struct keyring *k, const char *subject, uint32_t *ret);
/* 1 and KEYRING_KEY bytes; 0: it was destroyed; -ENOENT: there never was one, or it was lost,
 * or k is NULL */
int keyring_key(const struct keyring *k, uint32_t number, const uint8_t **ret);
/* For nonces, made from the key: KEYRING_NONCE_KEY bytes. The key must be there. */
const uint8_t *keyring_nonce_key(const struct keyring *k, uint32_t number);
/* NULL: destroyed, lost, or the hub's own */
const char *keyring_subject(const struct keyring *k, uint32_t number);
#define KEYRING_FRESH 24
/* Bytes that were never given before: random since the keyring was opened, and counted. */
void keyring_fresh(struct keyring *k, uint8_t ret[KEYRING_FRESH]);
/* Overwrites the slot in both files and in memory, durably. 0 also where it was done before. */
int keyring_destroy(struct keyring *k, uint32_t number);
