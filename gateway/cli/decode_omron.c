/*
 * wellgate decode omron MODEL HEX: one record out of the memory of an Omron cuff, as one line of
 * JSON. MODEL is what the cuff calls itself ("HEM-7155T", "M500 Intelli IT"); of USB cuffs of the
 * first generation what its version begins with ("M7080IT"), and HEX is the 14 bytes of its answer.
 */
#include "gateway/cli/decode_omron.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/omron.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/print.h"
#include "protocols/omron/classic.h"

#define NAME "decode"

/* In which layout the model keeps its records; 0: not known. A name of two models: the classic's,
 * for the record is the same. */
static int layout_of(const char *model, enum omron_layout *ret, const char **ret_driver)
{
	const struct omron_profile *p = omron_profile_by_name(model, strlen(model), false);
	const struct omron_classic_model *m = omron_classic_model(model, strlen(model));

	if (p) {
		*ret = p->layout;
		*ret_driver = p->block == 0x28 ? "omron_usb" : "omron_ble";
		return 0;
	}
	if (!m)
		return -ENOENT;
	*ret = m->layout;
	*ret_driver = "omron_usb_classic";
	return 0;
}

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

/* Position of the first character that is no hex digit, or of the end of an odd number of them. */
static int parse(const char *hex, uint8_t *data, size_t *ret_where)
{
	size_t i = 0;

	for (; hex[i]; i++) {
		const int v = nibble(hex[i]);

		if (v < 0)
			break;
		data[i / 2] = (uint8_t)(data[i / 2] << 4 | v);
	}
	*ret_where = i;
	return hex[i] || i % 2 ? -EINVAL : 0;
}

static int explain(size_t len, enum omron_layout layout, int r)
{
	if (r == -ENODATA)
		return cli_fail(NAME, EXIT_DATA, "omron: an empty slot: nothing was measured");
	if (r == -EMSGSIZE)
		return cli_fail(NAME, EXIT_DATA,
				"omron: %zu bytes: a record of this model has %zu%s (length)", len,
				omron_record_size(layout), layout == OMRON_LE ? " or 16" : "");
	return cli_fail(NAME, EXIT_DATA,
			"omron: its sum is wrong: damaged, or of another model (checksum)");
}

static int print(const struct omron_record *x, const char *driver)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };
	_cleanup_free_ char *line = NULL;

	omron_measure(&m, x, OMRON_USER_NONE);
	m.has_user_slot = false; /* that is said by where the record lay */
	m.flags &= ~FLAG_BIT(FLAG_BACKFILL);
	line = print_measurement(&m, driver);
	return line && puts(line) != EOF ? EXIT_GOOD : cli_fail(NAME, EXIT_IO, "cannot write");
}

int decode_omron(const char *model, const char *hex)
{
	uint8_t data[OMRON_RECORD_MAX + 1] = { 0 };
	const size_t len = strlen(hex) / 2;
	enum omron_layout layout;
	struct omron_record x;
	const char *driver;
	size_t where;
	int r = layout_of(model, &layout, &driver);

	if (r < 0)
		return cli_fail(NAME, EXIT_DATA, "omron: no model \"%.40s\" that is known", model);
	if (len > OMRON_RECORD_MAX)
		return cli_fail(NAME, EXIT_DATA, "omron: %zu bytes: no record is longer than %d",
				len, OMRON_RECORD_MAX);
	if (parse(hex, data, &where) < 0)
		return cli_fail(NAME, EXIT_DATA, "omron: not hexadecimal at character %zu",
				where + 1);
	r = omron_record_decode(layout, data, len, &x);
	return r < 0 ? explain(len, layout, r) : print(&x, driver);
}
