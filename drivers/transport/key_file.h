/*
 * A secret of a device's owner, in a file that nobody else may read:
 *
 *   16 bytes                    the secret itself
 *   or text                     lines that begin with # say nothing; one line says it: hexadecimal,
 *                               blanks and colons anywhere
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KEY_FILE_RAW 16 /* bytes of one that is no text */

/*
 * path: from this directory, or AT_FDCWD. A link is not followed. -EPERM it is not a file, it is
 * somebody else's, or others may read it; -EBADMSG not as above, or longer than size; or of open(),
 * read(). No copy of it stays but *ret.
 */
int key_file_read(int directory, const char *path, uint8_t *ret, size_t size, size_t *ret_len);
