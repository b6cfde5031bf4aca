/* Inside the import: what is looked at in an archive before a library may read it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The list at the end of the archive: ranges of the entries, which may not overlap nor reach into
 * the list. fd is at any offset and stays there. *ret_why: a constant sentence on -EBADMSG. */
int zip_guard(int fd, int64_t size, const char **ret_why);
