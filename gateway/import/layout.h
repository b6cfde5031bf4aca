/* Inside the import: stamps and numbers of the files, and the two families of layouts. */
#pragma once

#include "gateway/import/fitbit.h"

/* A stamp without a zone. -EBADMSG: not that form, or no possible date. */
int stamp_us(const char *text, struct device_time *ret);  /* "MM/DD/YY hh:mm:ss" */
int stamp_iso(const char *text, struct device_time *ret); /* "YYYY-MM-DDThh:mm:ss[.fff][Z]" */
int stamp_day(const char *text, struct device_time *ret); /* "YYYY-MM-DD", rest ignored */
/* seconds since 1970, the stamp read as if it were UTC */
int64_t stamp_seconds(const struct device_time *t);

/* Counts one entry: 0 hands it on, else it is refused for that reason. 0, or what sink said. */
int reader_take(const struct fitbit_reader *r, struct fitbit_item *item);
int reader_refuse(const struct fitbit_reader *r, enum fitbit_refusal why);
/* a fresh item of one part */
void item_init(struct fitbit_item *item, enum metric metric, enum unit unit, struct number value);
/* -EBADMSG: not a plain decimal number, or too long a one */
int number_parse(const char *text, struct number *ret);

int layout_csv(enum fitbit_kind kind, const struct fitbit_reader *r, const char *text, size_t len);
int layout_json(enum fitbit_kind kind, const struct fitbit_reader *r, const char *text, size_t len);
