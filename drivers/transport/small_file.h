/*
 * Small files that are either the old or the new one, whenever the plug is pulled: written beside,
 * synced, renamed, and the directory synced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SMALL_FILE_NAME_MAX 96

/* -errno; -EMSGSIZE longer than size - 1 bytes. Never follows a link. */
int small_file_read(int directory, const char *name, char *buffer, size_t size, size_t *ret_len);
/* One that cannot be read becomes NAME.bad, for somebody to look at. */
void small_file_set_aside(int directory, const char *name);
/* Mode 0600, through NAME.new. *ret_replaced, also on failure: the new file is in its place,
 * durable or not. -errno; -ENAMETOOLONG. */
int small_file_replace(int directory, const char *name, const char *text, size_t len,
		       bool *ret_replaced);
