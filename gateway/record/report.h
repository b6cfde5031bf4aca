/* What a person asks of the database: how far behind, what is missing. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "gateway/record/db.h"

enum report {
	REPORT_LAG,
	REPORT_GAPS,
	REPORT_LETTERS,
};

/* json: JSON Lines. Errors: those of db.h; -EIO also where it cannot be written. */
int report_print(struct db *db, enum report report, bool json, FILE *out);
