/* Inside ledger: one sequence log and what a message does to the rows. */
#pragma once

#include "gateway/record/ledger.h"

/* one hub's numbers of one kind, while one message is applied */
struct ledger_log {
	int64_t log_id, hub_id, watermark;
	int64_t first, last; /* run of numbers not yet noted; first 0 = none */
	int64_t stored, again, refused;
};

struct ledger_letter {
	const char *topic, *reason;
	const uint8_t *payload;
	size_t len;
	int64_t hub_id; /* 0 = not known */
	const char *epoch;
	int64_t sequence; /* 0 = not known */
};

/* "00c0ffee00c0ffee", in the scratch arena; NULL: full */
const char *ledger_hex(struct ledger *l, const void *data, size_t len);
const char *ledger_epoch(struct ledger *l, uint64_t epoch);

int ledger_log_open(struct ledger *l, int64_t hub_id, uint64_t epoch, enum ledger_kind kind,
		    struct ledger_log *ret);
/* the numbers of one message come in order, so they are noted as runs */
int ledger_log_note(struct ledger *l, struct ledger_log *log, int64_t first, int64_t last);
int ledger_log_close(struct ledger *l, struct ledger_log *log);
/* *ret_new: 1 = it was not there yet */
int ledger_letter(struct ledger *l, const struct ledger_letter *letter, int *ret_new);

/* 1 = stored, 0 = there already, -EEXIST: the number is taken by something else */
int ledger_put_reading(struct ledger *l, const struct arrival *a, size_t i,
		       const struct ledger_log *log);
int ledger_put_result(struct ledger *l, const struct arrival *a, const uint8_t *payload, size_t len,
		      const struct ledger_log *log);
int ledger_put_correction(struct ledger *l, const struct arrival *a, const uint8_t *payload,
			  size_t len, const struct ledger_log *log);
int ledger_put_status(struct ledger *l, const struct arrival *a, int64_t hub_id);
