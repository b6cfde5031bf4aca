/*
 * What is to be known again of a device on a wire when it is next plugged in: how far it was read.
 * One small text file each, DIR/<16 hex digits>.wire (mode 0600), found by driver and identity;
 * never a person or a reading. Written as enrolments are (small_file.h). One KEY=VALUE a line,
 * always these, in this order:
 *
 *   wellgate-wire=1          version of the format
 *   driver=phd
 *   identity=usb:0590:0090:... the device's own, as usb.h makes it; the rest of the line
 *   kept=0102                bytes of drv_keep(), may be empty
 *   last_record=17           left out if there is none
 *   checksum=cbf43926        CRC-32 of all lines before
 */
#pragma once

#include "drivers/session.h"

#define WIRE_IDENTITY_MAX 200 /* bytes, with its NUL */
#define WIRE_NOTES_MAX    256 /* files: a device that changes its number fills no disk */
#define WIRE_NOTE_BYTES   1024

struct wire_note {
	char driver[32];
	char identity[WIRE_IDENTITY_MAX]; /* UTF-8, no control characters */
	uint8_t kept[DRV_KEPT_MAX];
	size_t kept_len;
	bool has_last_record;
	uint32_t last_record;
};

/* As enrolment_print() and enrolment_parse(). */
int wire_note_print(const struct wire_note *note, char *buffer, size_t size, size_t *ret_len);
int wire_note_parse(const char *text, size_t len, struct wire_note *ret);

struct wire_notes;

/* DIR is made if missing (mode 0700), its parent is not. */
int wire_notes_open(const char *directory, struct wire_notes **ret);
void wire_notes_free(struct wire_notes *n); /* NULL is fine */
/* -ENOENT: it is a new one; -EBADMSG: its file was set aside; another -errno of the file. */
int wire_notes_load(struct wire_notes *n, const char *driver, const char *identity,
		    struct wire_note *ret);
/* Durable when it returns 0. -ENOSPC: a new one beyond WIRE_NOTES_MAX; -EINVAL; -errno. */
int wire_notes_save(struct wire_notes *n, const struct wire_note *note);
