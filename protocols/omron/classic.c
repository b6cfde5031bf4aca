#include "protocols/omron/classic.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define NOT_READY 8
#define HEAD      3  /* "OK" and 00 */
#define ZEROS     12 /* one report of 7 and one of 5 */
#define YEAR_BASE 2000

/* ---- models ---- */

/* M7301 by its name alone: what its version is nobody has written down. */
static const struct omron_classic_model models[] = {
	{ "M7080", "HEM-7080IT, HEM-790IT", OMRON_GME, 2 },
	{ "M7222", "BP791IT", OMRON_GME, 2 },
	{ "M7300", "Elite 7300IT", OMRON_GME, 1 },
	{ "M7301", "HEM-7301-ITKE7", OMRON_GME, 0 },
	{ "M6040", "HEM-670IT", OMRON_GME, 1 },
	{ "M637", "HEM-637", OMRON_GME_SHORT, 1 },
	{ "M1040", "1500PRO", OMRON_GME, 1 },
};

const struct omron_classic_model *omron_classic_model(const void *text, size_t len)
{
	for (size_t i = 0; i < N(models); i++) {
		const size_t n = strlen(models[i].version);

		if (len >= n && memcmp(text, models[i].version, n) == 0)
			return &models[i];
	}
	return NULL;
}

/* ---- commands ---- */

static const struct {
	const char *letters; /* with its argument and xor, where they are always the same */
	size_t answer;       /* bytes */
} commands[] = {
	[OMRON_ASK_CLEAR] = { "", 2 },          [OMRON_ASK_VER] = { "VER00", 15 },
	[OMRON_ASK_SRL] = { "SRL00", 11 },      [OMRON_ASK_GCL] = { "GCL00", 10 },
	[OMRON_ASK_GDC] = { "GDC", 8 },         [OMRON_ASK_GME] = { "GME", 17 },
	[OMRON_ASK_CNT] = { "CNT00", 8 },       [OMRON_ASK_MES] = { "MES", 17 },
	[OMRON_ASK_OFF] = { "END\xff\xff", 5 },
};

int omron_classic_encode(enum omron_classic_command command, uint8_t bank, uint8_t index,
			 struct writer *w)
{
	static const uint8_t zeros[ZEROS];
	uint8_t data[ZEROS];
	struct writer t = writer_of(data, sizeof(data));

	if (command >= OMRON_CLASSIC_LAST)
		return -ERANGE;
	if (command == OMRON_ASK_CLEAR)
		writer_bytes(&t, zeros, sizeof(zeros));
	else
		writer_bytes(&t, commands[command].letters, strlen(commands[command].letters));
	if (command == OMRON_ASK_GDC || command == OMRON_ASK_GME) {
		writer_u8(&t, 0);
		writer_u8(&t, bank);
		writer_u8(&t, 0);
		writer_u8(&t, index);
		writer_u8(&t, bank ^ index);
	} else if (command == OMRON_ASK_MES) {
		writer_u8(&t, 0);
		writer_u8(&t, 0);
		writer_u8(&t, index);
		writer_u8(&t, index);
	}
	assert(writer_ok(&t));
	if (w->failed || w->size - w->len < t.len)
		return -ENOSPC;
	writer_bytes(w, data, t.len);
	return 0;
}

/* ---- answers ---- */

void omron_classic_expect(struct omron_classic_answer *a, enum omron_classic_command command,
			  bool short_record)
{
	assert(command < OMRON_CLASSIC_LAST);
	*a = (struct omron_classic_answer){ .want = commands[command].answer };
	if (short_record && command == OMRON_ASK_GME)
		a->want -= 2;
}

static bool starts(const struct omron_classic_answer *a, const char *with)
{
	return a->len >= 2 && memcmp(a->data, with, 2) == 0;
}

static int spoiled(struct omron_classic_answer *a, int r)
{
	a->len = 0;
	return r;
}

static int finish(struct omron_classic_answer *a, enum omron_classic_status *ret)
{
	uint8_t sum = 0;

	for (size_t i = 2; i < a->len; i++)
		sum ^= a->data[i];
	if (starts(a, "OK") && (sum != 0 || (a->len > 2 && a->data[2] != 0)))
		return spoiled(a, -EBADMSG);
	*ret = OMRON_ANSWER_OK;
	return 1;
}

int omron_classic_report(struct omron_classic_answer *a, const uint8_t *data, size_t len,
			 enum omron_classic_status *ret_status)
{
	size_t n;

	if (len != OMRON_REPORT_SIZE)
		return spoiled(a, -EMSGSIZE);
	n = data[0];
	if (n == NOT_READY)
		return 0;
	if (n == 0 || n > OMRON_REPORT_DATA)
		return spoiled(a, -EBADMSG);
	if (a->len == 0 && n == 2 && memcmp(data + 1, "NO", 2) == 0) {
		*ret_status = OMRON_ANSWER_NO;
		return 1;
	}
	if (n > a->want - a->len)
		return spoiled(a, -EMSGSIZE);
	memcpy(a->data + a->len, data + 1, n);
	a->len += n;
	if (a->len >= 2 && !starts(a, "OK") && !starts(a, "OF"))
		return spoiled(a, -EBADMSG);
	return a->len == a->want ? finish(a, ret_status) : 0;
}

int omron_classic_count(const struct omron_classic_answer *a, enum omron_classic_command command,
			unsigned int *ret)
{
	/* GDC says another number first; what it counts is not known */
	const size_t at = command == OMRON_ASK_GDC ? HEAD + 2 : HEAD;
	unsigned int n;

	assert(a->len == commands[command].answer);
	n = (unsigned int)(a->data[at] << 8 | a->data[at + 1]);
	if (n > OMRON_READINGS_MAX)
		return -ERANGE;
	*ret = n;
	return 0;
}

int omron_classic_clock(const struct omron_classic_answer *a, struct gatt_date_time *ret)
{
	const uint8_t *d = a->data + HEAD;
	const struct gatt_date_time t = {
		(uint16_t)(YEAR_BASE + d[0]), d[1], d[2], d[3], d[4], d[5]
	};

	if (t.month == 0 || t.day == 0 || !gatt_date_time_valid(&t))
		return -ERANGE;
	*ret = t;
	return 0;
}
