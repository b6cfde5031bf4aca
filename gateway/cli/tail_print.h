/* Decodes what came over MQTT and prints it. The bytes are anybody's: checked, bounded, and no
 * control character of theirs reaches a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/arena.h"
#include "gateway/cli/render.h"

enum tail_format {
	TAIL_TEXT,
	TAIL_JSON,
	TAIL_CSV,
	TAIL_FHIR, /* render.h */
	TAIL_OMH,
};

struct tail_printer {
	FILE *out;
	enum tail_format format;
	bool colour;
	struct arena arena;
	uint64_t left;     /* readings and results still to print; UINT64_MAX = no end */
	char heading[160]; /* text: whose lines these are */
	struct render_counts left_out; /* FHIR and OMH: said by the caller, at the end */
};

int tail_printer_init(struct tail_printer *p, FILE *out, enum tail_format format, uint64_t count);
void tail_printer_finish(struct tail_printer *p);
/* -EBADMSG: the topic or the payload is not one of ours. Nothing is printed then. -ENOMEM */
int tail_print(struct tail_printer *p, const char *topic, const uint8_t *payload, size_t len);
