#include "gateway/cli/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "drivers/cleanup.h"
#include "gateway/record/omh/omh.h"

static const struct fhir_options options = { .profile = FHIR_PHD };

/* frees the bundle; r is what filling it came to */
static int write_bundle(FILE *out, struct fhir_bundle *b, int r)
{
	_cleanup_free_ char *text = r == 0 ? fhir_bundle_dump(b, false) : NULL;

	fhir_bundle_free(b);
	if (r == 0 && !text)
		return -ENOMEM;
	if (text)
		(void)fprintf(out, "%s\n", text);
	return r == -ENODATA ? 0 : r;
}

static int write_fhir(FILE *out, const Wellgate__V1__Reading *r, const char *hub,
		      struct render_counts *counts)
{
	const struct fhir_about about = { .hub = hub };
	struct fhir_bundle *b = NULL;
	enum fhir_refusal why;
	int error = fhir_bundle_new(&options, &b);

	if (error < 0)
		return error;
	error = fhir_add_reading(b, &about, r, FHIR_NEW, &why);
	if (error == -ENODATA)
		counts->refused[why]++;
	return write_bundle(out, b, error);
}

static int write_omh(FILE *out, const Wellgate__V1__Reading *r, struct render_counts *counts)
{
	_cleanup_free_ char *text = NULL;
	enum fhir_refusal why;
	size_t left_out = 0;
	const int error = omh_points(r, &text, &left_out, &why);

	counts->parts += left_out;
	if (error == -ENODATA)
		counts->refused[why]++;
	if (text)
		(void)fputs(text, out);
	return error == -ENODATA ? 0 : error;
}

int render_reading(FILE *out, enum render_format format, const Wellgate__V1__Reading *r,
		   const char *hub, struct render_counts *counts)
{
	return format == RENDER_OMH ? write_omh(out, r, counts) : write_fhir(out, r, hub, counts);
}

int render_goal(FILE *out, const Wellgate__V1__GoalResult *r, const char *hub,
		struct render_counts *counts)
{
	const struct fhir_about about = { .hub = hub };
	struct fhir_bundle *b = NULL;
	enum fhir_refusal why;
	int error = fhir_bundle_new(&options, &b);

	if (error < 0)
		return error;
	error = fhir_add_goal(b, &about, r, NULL, &why);
	if (error == -ENODATA)
		counts->refused[why]++;
	return write_bundle(out, b, error);
}

void render_report(const char *command, const struct render_counts *counts)
{
	for (unsigned int why = 1; why < FHIR_REFUSALS; why++) {
		if (counts->refused[why] > 0)
			(void)fprintf(stderr, "wellgate %s: %" PRIu64 " left out: %s\n", command,
				      counts->refused[why],
				      fhir_refusal_text((enum fhir_refusal)why));
	}
	if (counts->parts > 0)
		(void)fprintf(stderr,
			      "wellgate %s: %" PRIu64
			      " parts of readings left out: no schema has them\n",
			      command, counts->parts);
}
