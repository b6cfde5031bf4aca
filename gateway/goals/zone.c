#include "gateway/goals/zone.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "protocols/bytes/cursor.h"

#define ZONE_FOLDER "/usr/share/zoneinfo/"

enum {
	FILE_MAX = 65536,
	TIMES_MAX = 4096, /* the largest zones of 2025 have about 250 */
	TYPES_MAX = 256,  /* what one byte can index */
	DAY = 86400,
	NOON = DAY / 2,
	OFFSET_MAX = 26 * 3600, /* RFC 9636 section 3.2 advises -24:59:59 .. +25:59:59 */
};
#define UTC_MIN INT64_C(-62135596800) /* year 1 */
#define UTC_MAX INT64_C(253402300799) /* the end of year 9999 */

/* "M3.5.0/2", "J60", "59" of a POSIX TZ string */
struct change {
	/* 'M' month, week, weekday; 'J' day 1..365, 29 February never counted; '0' day 0..365 */
	char kind;
	unsigned int month, week, day;
	int32_t time; /* seconds of local time, -167 h .. 167 h */
};

struct zone {
	size_t n_times, n_types;
	int64_t at[TIMES_MAX];
	uint8_t type[TIMES_MAX];
	int32_t offset[TYPES_MAX];
	bool has_footer, has_dst;
	int32_t standard, summer; /* of the footer */
	struct change start, end;
};

/* ---- calendar */

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

unsigned int zone_days_in_month(int64_t year, unsigned int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* days from 1970-01-01 to the first of January of year */
static int64_t year_start(int64_t year)
{
	int64_t y = year - 1;

	return y * 365 + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) - 719162;
}

int64_t zone_day_number(int64_t year, unsigned int month, unsigned int day)
{
	int64_t n = year_start(year);

	for (unsigned int m = 1; m < month; m++)
		n += zone_days_in_month(year, m);
	return n + day - 1;
}

static int64_t year_of(int64_t day)
{
	int64_t year = 1970 + floor_div(day * 400, 146097);

	while (year_start(year) > day)
		year--;
	while (year_start(year + 1) <= day)
		year++;
	return year;
}

/* ---- the footer */

/* local seconds at which the change comes in that year */
static int64_t change_in(const struct change *c, int64_t year)
{
	int64_t day;

	if (c->kind == 'M') {
		int64_t first = zone_day_number(year, c->month, 1);
		unsigned int length = zone_days_in_month(year, c->month);
		unsigned int weekday = (unsigned int)(((first + 4) % 7 + 7) % 7); /* 0 Sunday */
		unsigned int in_month = (c->day + 7 - weekday) % 7 + 7 * (c->week - 1);

		while (in_month >= length)
			in_month -= 7;
		day = first + in_month;
	} else {
		day = year_start(year) + c->day;
		if (c->kind == 'J')
			day += is_leap(year) && c->day >= 60 ? 0 : -1;
	}
	return day * DAY + c->time;
}

static int32_t footer_offset(const struct zone *z, int64_t utc_s)
{
	if (!z->has_dst)
		return z->standard;

	int64_t year = year_of(floor_div(utc_s + z->standard, DAY));
	int64_t start = change_in(&z->start, year) - z->standard;
	int64_t end = change_in(&z->end, year) - z->summer;
	bool summer = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;

	return summer ? z->summer : z->standard;
}

int32_t zone_offset(const struct zone *z, int64_t utc_s)
{
	size_t low = 0, high = z->n_times;

	if (utc_s < UTC_MIN)
		utc_s = UTC_MIN;
	if (utc_s > UTC_MAX)
		utc_s = UTC_MAX;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (z->at[middle] <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == z->n_times && z->has_footer)
		return footer_offset(z, utc_s);
	return low == 0 ? z->offset[0] : z->offset[z->type[low - 1]];
}

/* ---- local time */

struct candidates {
	int64_t local_s;
	int64_t earliest, latest; /* instants that show local_s */
	int32_t min, max;         /* of all offsets */
	unsigned int n;
};

static void try_offset(const struct zone *z, int32_t offset, struct candidates *c)
{
	int64_t utc_s = c->local_s - offset;

	if (offset < c->min)
		c->min = offset;
	if (offset > c->max)
		c->max = offset;
	if (zone_offset(z, utc_s) != offset)
		return;
	if (c->n == 0 || utc_s < c->earliest)
		c->earliest = utc_s;
	if (c->n == 0 || utc_s > c->latest)
		c->latest = utc_s;
	c->n++;
}

/* The first instant whose local time is not before local_s, for a local time that never was:
 * around a gap local time only grows. */
static int64_t gap_end(const struct zone *z, const struct candidates *c)
{
	int64_t low = c->local_s - c->max - 1, high = c->local_s - c->min;

	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;

		if (middle + zone_offset(z, middle) >= c->local_s)
			high = middle;
		else
			low = middle;
	}
	return high;
}

static void find_candidates(const struct zone *z, int64_t local_s, struct candidates *ret)
{
	*ret = (struct candidates){ .local_s = local_s, .min = OFFSET_MAX, .max = -OFFSET_MAX };
	for (size_t i = 0; i < z->n_types; i++)
		try_offset(z, z->offset[i], ret);
	if (z->has_footer)
		try_offset(z, z->standard, ret);
	if (z->has_dst)
		try_offset(z, z->summer, ret);
}

static int64_t clamp_local(int64_t local_s)
{
	if (local_s < UTC_MIN)
		return UTC_MIN;
	return local_s > UTC_MAX ? UTC_MAX : local_s;
}

enum zone_fold zone_to_utc(const struct zone *z, int64_t local_s, int64_t *ret_utc_s)
{
	struct candidates c;

	local_s = clamp_local(local_s);
	find_candidates(z, local_s, &c);
	if (c.n == 0) {
		*ret_utc_s = local_s - zone_offset(z, gap_end(z, &c) - 1);
		return ZONE_NEVER;
	}
	*ret_utc_s = c.earliest;
	return c.latest > c.earliest ? ZONE_TWICE : ZONE_ONCE;
}

/* the first instant of that time of day, or after the gap that swallowed it */
static int64_t first_at(const struct zone *z, int64_t day, int64_t time)
{
	struct candidates c;

	if (day < UTC_MIN / DAY)
		day = UTC_MIN / DAY;
	if (day > UTC_MAX / DAY)
		day = UTC_MAX / DAY;
	find_candidates(z, day * DAY + time, &c);
	return c.n ? c.earliest : gap_end(z, &c);
}

int64_t zone_day_start(const struct zone *z, int64_t day)
{
	return first_at(z, day, 0);
}

int64_t zone_day_of(const struct zone *z, int64_t utc_s)
{
	int64_t day = floor_div(clamp_local(utc_s) + zone_offset(z, utc_s), DAY);

	/* two steps are enough: a change moves the clock by 26 hours at most */
	for (int i = 0; i < 2 && zone_day_start(z, day) > utc_s; i++)
		day--;
	for (int i = 0; i < 2 && zone_day_start(z, day + 1) <= utc_s; i++)
		day++;
	return day;
}

/* It never was where the clock was put forward over the whole of it, across the date line. */
static bool day_exists(const struct zone *z, int64_t day)
{
	return zone_day_start(z, day) < zone_day_start(z, day + 1);
}

int64_t zone_night_start(const struct zone *z, int64_t day)
{
	int64_t before = day - 1;

	if (!day_exists(z, before))
		before--;
	return first_at(z, before, NOON);
}

int64_t zone_night_of(const struct zone *z, int64_t utc_s)
{
	int64_t day = zone_day_of(z, utc_s);

	if (utc_s < first_at(z, day, NOON))
		return day;
	return day_exists(z, day + 1) ? day + 1 : day + 2;
}

/* ---- reading the POSIX TZ string: [name][offset][name][offset],change/time,change/time */

struct text {
	const char *at, *end;
};

static bool text_accept(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static int text_number(struct text *t, unsigned int max, unsigned int *ret)
{
	unsigned int n = 0;

	if (t->at == t->end || !isdigit((unsigned char)*t->at))
		return -EBADMSG;
	while (t->at < t->end && isdigit((unsigned char)*t->at)) {
		n = n * 10 + (unsigned int)(*t->at++ - '0');
		if (n > max)
			return -EBADMSG;
	}
	*ret = n;
	return 0;
}

static int text_name(struct text *t)
{
	bool quoted = text_accept(t, '<');
	unsigned int n = 0;

	for (; t->at < t->end; t->at++, n++) {
		unsigned char c = (unsigned char)*t->at;

		if (!isalpha(c) && !(quoted && (isdigit(c) || c == '+' || c == '-')))
			break;
	}
	if (n < 3 || (quoted && !text_accept(t, '>')))
		return -EBADMSG;
	return 0;
}

/* [+-]hh[:mm[:ss]] */
static int text_time(struct text *t, unsigned int max_hours, int32_t *ret)
{
	bool negative = text_accept(t, '-');
	unsigned int part[3] = { 0, 0, 0 };
	int r;

	if (!negative)
		(void)text_accept(t, '+');
	for (unsigned int i = 0; i < 3; i++) {
		if (i > 0 && !text_accept(t, ':'))
			break;
		r = text_number(t, i == 0 ? max_hours : 59, &part[i]);
		if (r < 0)
			return r;
	}
	*ret = (int32_t)(part[0] * 3600 + part[1] * 60 + part[2]);
	if (negative)
		*ret = -*ret;
	return 0;
}

static int text_month_rule(struct text *t, struct change *ret)
{
	int r = text_number(t, 12, &ret->month);

	if (r < 0 || !text_accept(t, '.'))
		return -EBADMSG;
	r = text_number(t, 5, &ret->week);
	if (r < 0 || !text_accept(t, '.'))
		return -EBADMSG;
	r = text_number(t, 6, &ret->day);
	if (r < 0 || ret->month == 0 || ret->week == 0)
		return -EBADMSG;
	return 0;
}

static int text_change(struct text *t, struct change *ret)
{
	int r;

	*ret = (struct change){ .kind = '0', .time = 2 * 3600 };
	if (!text_accept(t, ','))
		return -EBADMSG;
	if (text_accept(t, 'M')) {
		ret->kind = 'M';
		r = text_month_rule(t, ret);
	} else {
		if (text_accept(t, 'J'))
			ret->kind = 'J';
		r = text_number(t, 365, &ret->day);
		if (r == 0 && ret->kind == 'J' && ret->day == 0)
			r = -EBADMSG;
	}
	if (r == 0 && text_accept(t, '/'))
		r = text_time(t, 167, &ret->time);
	return r;
}

/* An offset in the string counts west of Greenwich. */
static int parse_footer(struct text t, struct zone *z)
{
	int32_t west;
	int r;

	if (t.at == t.end)
		return 0;
	r = text_name(&t);
	if (r < 0)
		return r;
	r = text_time(&t, 24, &west);
	if (r < 0)
		return r;
	z->standard = -west;
	z->summer = z->standard + 3600;
	z->has_footer = true;
	if (t.at == t.end)
		return 0;
	r = text_name(&t);
	if (r < 0)
		return r;
	if (t.at < t.end && *t.at != ',') {
		r = text_time(&t, 24, &west);
		if (r < 0)
			return r;
		z->summer = -west;
	}
	r = text_change(&t, &z->start);
	if (r < 0)
		return r;
	r = text_change(&t, &z->end);
	if (r < 0)
		return r;
	z->has_dst = true;
	return t.at == t.end ? 0 : -EBADMSG;
}

/* ---- reading TZif */

struct header {
	uint8_t version;
	uint32_t n_isut, n_isstd, n_leap, n_times, n_types, n_chars;
};

static int parse_header(struct cursor *c, struct header *ret)
{
	const uint8_t *magic = cursor_bytes(c, 4);

	if (!magic || memcmp(magic, "TZif", 4) != 0)
		return -EBADMSG;
	ret->version = cursor_u8(c);
	cursor_skip(c, 15);
	ret->n_isut = cursor_be32(c);
	ret->n_isstd = cursor_be32(c);
	ret->n_leap = cursor_be32(c);
	ret->n_times = cursor_be32(c);
	ret->n_types = cursor_be32(c);
	ret->n_chars = cursor_be32(c);
	if (!cursor_ok(c) || ret->n_isut > TYPES_MAX || ret->n_isstd > TYPES_MAX ||
	    ret->n_leap > TIMES_MAX || ret->n_times > TIMES_MAX || ret->n_types == 0 ||
	    ret->n_types > TYPES_MAX || ret->n_chars > TIMES_MAX)
		return -EBADMSG;
	return 0;
}

/* what follows the transition times and types, less the types themselves */
static size_t tail_size(const struct header *h, size_t time_size)
{
	return h->n_chars + h->n_leap * (time_size + 4) + h->n_isstd + h->n_isut;
}

static int parse_body(struct cursor *c, const struct header *h, struct zone *z)
{
	z->n_times = h->n_times;
	z->n_types = h->n_types;
	for (size_t i = 0; i < z->n_times; i++) {
		z->at[i] = (int64_t)cursor_be64(c);
		if (i > 0 && z->at[i] <= z->at[i - 1])
			return -EBADMSG;
	}
	for (size_t i = 0; i < z->n_times; i++) {
		z->type[i] = cursor_u8(c);
		if (z->type[i] >= z->n_types)
			return -EBADMSG;
	}
	for (size_t i = 0; i < z->n_types; i++) {
		z->offset[i] = (int32_t)cursor_be32(c);
		cursor_skip(c, 2); /* is it summer time, and what is it called: of no use to us */
		if (z->offset[i] < -OFFSET_MAX || z->offset[i] > OFFSET_MAX)
			return -EBADMSG;
	}
	cursor_skip(c, tail_size(h, 8));
	return cursor_ok(c) ? 0 : -EBADMSG;
}

static int parse_file(struct cursor *c, struct zone *z)
{
	struct header h = { 0 };
	const char *text, *end;
	int r = parse_header(c, &h);

	if (r < 0)
		return r;
	if (h.version < '2') /* 32 bit times end in 2038 and have no footer */
		return -EBADMSG;
	cursor_skip(c, (size_t)h.n_times * 5 + (size_t)h.n_types * 6 + tail_size(&h, 4));
	r = parse_header(c, &h);
	if (r < 0)
		return r;
	r = parse_body(c, &h, z);
	if (r < 0)
		return r;
	if (cursor_u8(c) != '\n')
		return -EBADMSG;
	text = (const char *)c->data + c->pos;
	end = memchr(text, '\n', cursor_left(c));
	if (!end)
		return -EBADMSG;
	return parse_footer((struct text){ text, end }, z);
}

int zone_parse(const uint8_t *data, size_t len, struct zone **ret)
{
	struct cursor c = cursor_of(data, len);
	struct zone *z = calloc(1, sizeof(*z));
	int r;

	if (!z)
		return -ENOMEM;
	r = parse_file(&c, z);
	if (r < 0) {
		zone_free(z);
		return r;
	}
	*ret = z;
	return 0;
}

void zone_free(struct zone *z)
{
	free(z);
}

/* ---- files */

static bool is_zone_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= ZONE_NAME_MAX || name[0] == '/')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("_+-/", name[i]))
			return false; /* no dots: no way out of the folder */
	}
	return true;
}

static int read_whole(const char *path, uint8_t *buf, size_t size, size_t *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = len;
	return 0;
}

int zone_load(const char *name, struct zone **ret)
{
	char path[sizeof(ZONE_FOLDER) + ZONE_NAME_MAX] = "/etc/localtime";
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;
	int r;

	if (name) {
		if (!is_zone_name(name))
			return -EINVAL;
		(void)snprintf(path, sizeof(path), ZONE_FOLDER "%s", name);
	}
	data = malloc(FILE_MAX);
	if (!data)
		return -ENOMEM;
	r = read_whole(path, data, FILE_MAX, &len);
	if (r < 0)
		return r;
	return zone_parse(data, len, ret);
}

void zone_data_version(char ret[16])
{
	static const char lead[] = "# version ";
	uint8_t data[sizeof(lead) + 15];
	size_t len = 0, n = 0, start = sizeof(lead) - 1;

	ret[0] = '\0';
	if (read_whole(ZONE_FOLDER "tzdata.zi", data, sizeof(data), &len) < 0 || len < start ||
	    memcmp(data, lead, start) != 0)
		return;
	while (n < 15 && start + n < len && isalnum(data[start + n])) {
		ret[n] = (char)data[start + n];
		n++;
	}
	ret[n] = '\0';
}
