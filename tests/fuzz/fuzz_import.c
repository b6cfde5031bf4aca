/* links: gateway_import gateway_goals gateway_base */
/* A file of an export that anybody may have written: what is handed on is whole. First byte: the
 * kind, and what was said at the import; 0xff: a list of devices and loans. */
#include <stdlib.h>
#include <string.h>

#include "gateway/import/fitbit.h"
#include "gateway/import/registry_file.h"
#include "gateway/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
	if (!good)
		abort();
}

static int take(void *user, const struct fitbit_item *item)
{
	uint64_t *n = user;

	(*n)++;
	check(item->id[0] && memchr(item->id, '\0', sizeof(item->id)) && item->context[0]);
	check(text_is_clean(item->context) && text_is_clean(item->id));
	check(item->m.n_parts > 0 && item->m.time.year >= 1970 && item->m.time.month <= 12);
	check(measurement_is_final(&item->m));
	return 0;
}

static void try_list(const char *text, size_t len)
{
	struct registry_problem problem = { 0 };
	struct registry_file *f = NULL;

	if (registry_file_read(text, len, &f, &problem) < 0) {
		check(!f && problem.sentence);
		return;
	}
	check(f->n > 0 && f->n <= REGISTRY_FILE_ROWS_MAX);
	for (size_t i = 0; i < f->n; i++) {
		const struct registry_row *row = &f->rows[i];

		check(row->line > 0 && (i == 0 || f->rows[i - 1].is_device || !row->is_device));
		check(row->is_device ? row->kind != 0 : reference_check(row->subject, NULL) == 0);
		check(row->is_device || !row->has_to || row->to_ms >= row->from_ms);
	}
	registry_file_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fitbit_counts counts = { 0 };
	uint64_t taken = 0, refused = 0;

	if (size == 0)
		return 0;
	if (data[0] == 0xff) {
		try_list((const char *)data + 1, size - 1);
		return 0;
	}
	const struct fitbit_options options = {
		.times = (enum fitbit_times)((data[0] >> 4) % 3),
		.weight = data[0] & 0x80 ? UNIT_LB : UNIT_NONE,
	};
	const struct fitbit_reader reader = { &options, take, &taken, &counts };
	const enum fitbit_kind kind =
		(enum fitbit_kind)(1 + (data[0] & 15) % (FITBIT_KIND_END - 1));

	(void)fitbit_parse(kind, &reader, (const char *)data + 1, size - 1);
	for (int why = 0; why < FITBIT_REFUSALS; why++)
		refused += counts.refused[why];
	check(taken + refused == counts.read);
	return 0;
}
