/*
 * What simulated devices still hold, kept across kills of the program: for each capture the number
 * of its events that the device has let go of, and the wall clock its 0.000 stands for.
 *
 * A number is overwritten in place by one pwrite, not synced: the page cache outlives the process,
 * and a power cut of a simulator loses nobody's reading.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct memory;

/* path NULL: only in this process. files: the captures, borrowed; what the file knows of others is
 * dropped. -EBADMSG: not such a file. */
int memory_open(const char *path, char *const *files, size_t n_files, struct memory **ret);
void memory_free(struct memory *m); /* NULL is fine */
uint64_t memory_position(const struct memory *m, size_t file);
int memory_set_position(struct memory *m, size_t file, uint64_t position);
/* 0 = not known yet */
int64_t memory_start(const struct memory *m, size_t file);
int memory_set_start(struct memory *m, size_t file, int64_t utc_ms);
