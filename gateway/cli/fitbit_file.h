/*
 * What a file with a Fitbit dump in it may look like, and the file with the owner's key.
 *
 *   the dump itself                     bytes, or text: hexadecimal, blanks and line ends anywhere
 *   the same in packets                 of 20 bytes, the escape of each first byte left in
 *   what came over the air              c0 41 .., packets, c0 42 ..: bytes, or a packet a line
 *   what came over the base station     the same in frames of 32 bytes, the last is the length
 *   a capture of our own                protocols/capture/cap.h, of either link
 *
 *   the key      key_file.h: 16 bytes; or one line: 32 hexadecimal digits, or the serial (12) and
 *                the key; lines that begin with # say nothing. Nobody but its owner may read it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/fitbit/dump.h"

/* Bytes of the longest file that can hold a dump. */
#define FITBIT_FILE_MAX ((size_t)8 * FITBIT_DUMP_MAX)

/* All of a file, malloc'd. -EMSGSIZE empty, or longer than FITBIT_FILE_MAX; or as open(),
 * read(). */
int fitbit_file_read(const char *path, uint8_t **ret, size_t *ret_len);
/*
 * The dump in it, malloc'd. -ENODATA a capture without a whole dump; -EMSGSIZE, -EBADMSG, -EPROTO
 * damaged on its way, -ENOSPC longer than any; -ECONNREFUSED the tracker refused; -EPROTONOSUPPORT
 * it speaks Golden Gate; -ENOMEM. What is none of these is taken to be the dump itself.
 */
int fitbit_file_dump(const uint8_t *file, size_t len, uint8_t **ret, size_t *ret_len);
/* The same with the escapes of its packets undone, in place, and its new length. -EBADMSG there are
 * none, or wrong ones; the bytes are then worth nothing. */
int fitbit_file_unescape(uint8_t *dump, size_t len, size_t *ret_len);

/* -EPERM not a file, of somebody else, or others may read it; -EBADMSG not a key; -ENOKEY of
 * another tracker; or of open(), read(). No copy of the key stays but *ret. */
int fitbit_file_key(const char *path, const uint8_t serial[FITBIT_SERIAL_SIZE],
		    uint8_t ret[FITBIT_KEY_SIZE]);
