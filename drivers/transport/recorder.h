/*
 * Writes a capture for each session as it happens, what we confirmed and wrote included. Lines are
 * flushed one by one, so a killed program leaves a capture that ends early and is valid.
 *
 * Recordings hold a person's values: files are mode 0600 and their consent line says that they are
 * not for sharing. `wellgate capture --anonymise` makes one that may be shared.
 */
#pragma once

#include <stdio.h>

#include "protocols/capture/cap.h"

struct recorder;

/* directory: must exist; copied */
int recorder_new(const char *directory, struct recorder **ret);
void recorder_free(struct recorder *r); /* NULL is fine */
/* CAP_OPEN begins a file, CAP_CLOSE ends it; times are written relative to its CAP_OPEN.
 * utc_ms: wall clock of the event, for the header. -errno of writing. */
int recorder_event(struct recorder *r, uint32_t link, const struct cap_event *event,
		   int64_t utc_ms);
/* The header of a capture; device may be NULL. -errno */
int recorder_header(FILE *file, const char *device, const char *provenance, const char *consent,
		    int64_t utc_ms);
