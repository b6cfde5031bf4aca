/* Readings out of files: beside the devices' stream, through the same stages. */
#include <errno.h>
#include <string.h>

#include "gateway/pipeline_part.h"

struct import {
	struct pipeline *p;
	struct intake *in;
	struct intake_device device;
	const char *subject; /* whose they are; NULL: nobody is named */
};

/* of one reading: 0 or what store_add_reading() says of the whole transaction */
static int import_one(const struct import *im, const Wellgate__V1__Measurement *m,
		      struct pipeline_imported *counts)
{
	struct pipeline *p = im->p;
	Wellgate__V1__Reading *reading = NULL;
	struct filing_answer answer = { .where = STORE_PUBLISH };
	struct receipt receipt;
	bool is_new = false;
	int r;

	arena_reset(&p->arena);
	intake_now(p->parts.intake, &receipt);
	r = intake_normalise(im->in, m, &im->device, &receipt, &p->arena, &reading);
	if (r == 0)
		r = pipeline_file(p, reading, im->subject, &answer);
	if (r < 0) {
		counts->refused++;
		return 0;
	}
	r = pipeline_store(p, reading, &answer, true, &is_new);
	if (r == -EMSGSIZE || r == -EBADMSG) {
		counts->refused++;
		return 0;
	}
	if (r < 0)
		return r;
	if (is_new)
		counts->added++;
	else
		counts->known++;
	return 0;
}

static int import_all(const struct import *im, const Wellgate__V1__ImportBatch *batch,
		      struct pipeline_imported *counts)
{
	int r = 0;

	for (size_t i = 0; i < batch->n_measurements && r == 0; i++)
		r = import_one(im, batch->measurements[i], counts);
	if (r < 0) {
		pipeline_give_up(im->p, r);
		return r;
	}
	return pipeline_commit(im->p);
}

/* The one person of the hub; once there is a registry, somebody it knows and who is still here. */
static int whose(const struct pipeline *p, const Wellgate__V1__ImportBatch *batch, const char **ret)
{
	const char *subject = p->parts.config->subject;
	bool known;

	if (filing_in_use(p->filing)) {
		if (!batch->subject || !registry_is_here(filing_registry(p->filing), batch->subject,
							 pipeline_now_ms(p), &known))
			return -ENOENT;
		subject = batch->subject;
	} else if (batch->subject && (!subject || strcmp(batch->subject, subject) != 0)) {
		return -ENOENT;
	}
	*ret = subject;
	return 0;
}

static int import_begin(const struct pipeline *p, const Wellgate__V1__ImportBatch *batch,
			struct import *im)
{
	const struct config *config = p->parts.config;
	const bool stated = batch->time_zone && *batch->time_zone;
	int r = whose(p, batch, &im->subject);

	if (r < 0)
		return r;
	const struct intake_options options = {
		.time_zone = stated ? batch->time_zone : config->time_zone,
		.subject = im->subject,
		.test = config->test,
		.import = true,
		.zone_stated = stated,
	};

	im->device.driver = batch->source;
	return intake_new(&options, &im->in);
}

int pipeline_import(struct pipeline *p, const Wellgate__V1__ImportBatch *batch,
		    struct pipeline_imported *ret)
{
	struct pipeline_imported counts = { 0 };
	struct import im = { .p = p };
	int r;

	if (!batch->source || !*batch->source || batch->n_measurements > PIPELINE_IMPORT_MAX)
		return -EBADMSG;
	if (p->deaf)
		return -ENOSPC;
	r = import_begin(p, batch, &im);
	if (r < 0)
		return r;
	r = import_all(&im, batch, &counts);
	intake_free(im.in);
	if (r < 0)
		return r;
	p->counters.refused += counts.refused;
	pipeline_status_changed(p);
	*ret = counts;
	return 0;
}
