/*
 * The payload of a row, sealed under the key of the person it is about:
 *
 *   00 | number of the key, varint 1..3 | hash 8 | ciphertext | tag 16
 *
 * ChaCha20-Poly1305 (RFC 8439); the additional data is the table and the number of the row, so a
 * payload is good in its own place only. No message of ours begins with 00: rows of older versions,
 * which are not sealed, are told by their first byte. What is about two persons is sealed twice.
 *
 * The nonce must not repeat under one key. It is the hash, and the place of the row (29 bits of its
 * number, 3 of the table): two rows never share one. The same place is sealed again when a held row
 * is replaced, after a rollback, or when an older image of the card is put back: there the hash
 * tells them apart, SipHash-2-4 under a key of its own over bytes that are new with every start and
 * every row, the place, and the content. It is the same by chance only: 2^-41 if ten million rows
 * are written anew after an image was put back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/store/keyring.h"
#include "gateway/store/row.h"

#define SEAL_OVERHEAD_MAX 28

/* Bytes in front of the ciphertext. */
size_t seal_head(uint32_t number);
/* Seals len bytes that lie at data + seal_head(number), where they are: the whole length. `row`:
 * id and kind are used. -ENOKEY: destroyed, or there is none. */
int seal_close(struct keyring *k, uint32_t number, const struct row *row, uint8_t *data,
	       size_t len);
/* Opens the payload of a row, of which `data` is a copy that may be written to: 1, and where in it
 * the content is; 0: a key of it was destroyed; -EBADMSG: it is not what was sealed here. */
int seal_open(const struct keyring *k, const struct row *row, uint8_t *data, const uint8_t **ret,
	      size_t *ret_len);
/* The same of a damaged row: the content as far as it is right, unproved. */
int seal_guess(const struct keyring *k, const struct row *row, uint8_t *data, const uint8_t **ret,
	       size_t *ret_len);
/* It was never sealed: a row of an older version. */
bool seal_is_plain(const struct row *row);
/* Whether the key of this number is needed to read the row; `data` as seal_open(). */
bool seal_is_under(const struct keyring *k, const struct row *row, uint8_t *data, uint32_t number);
