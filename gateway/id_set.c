#include "gateway/id_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

/* the last bytes of an id are random, the first are the time */
static size_t place_of(const struct id_set *s, const uint8_t *id)
{
	uint64_t hash;

	memcpy(&hash, &id[ID_SET_BYTES - sizeof(hash)], sizeof(hash));
	hash *= UINT64_C(0x9e3779b97f4a7c15); /* they come from outside, too: spread them */
	return (size_t)(hash >> 20) & (s->table_size - 1);
}

/* where it is, or where it would be */
static size_t find(const struct id_set *s, const uint8_t *id)
{
	size_t i = place_of(s, id);

	while (s->table[i] != 0 && memcmp(s->ids[s->table[i] - 1], id, ID_SET_BYTES) != 0)
		i = (i + 1) & (s->table_size - 1);
	return i;
}

static void fill_table(struct id_set *s)
{
	memset(s->table, 0, s->table_size * sizeof(*s->table));
	for (size_t i = 0; i < s->n; i++)
		s->table[find(s, s->ids[i])] = (uint32_t)(i + 1);
}

static int grow(struct id_set *s)
{
	const size_t room = s->room ? s->room * 2 : FIRST_ROOM;
	void *ids, *table;

	if (room > UINT32_MAX / 4)
		return -ENOMEM;
	table = calloc(room * 2, sizeof(*s->table));
	ids = table ? realloc(s->ids, room * sizeof(*s->ids)) : NULL;
	if (!ids) {
		free(table);
		return -ENOMEM;
	}
	s->ids = ids;
	s->room = room;
	free(s->table);
	s->table = table;
	s->table_size = room * 2;
	fill_table(s);
	return 0;
}

int id_set_add(struct id_set *s, const uint8_t id[ID_SET_BYTES])
{
	size_t i;

	if (s->n == s->room && grow(s) < 0)
		return -ENOMEM;
	i = find(s, id);
	if (s->table[i] != 0)
		return 0;
	memcpy(s->ids[s->n++], id, ID_SET_BYTES);
	s->table[i] = (uint32_t)s->n;
	return 0;
}

bool id_set_has(const struct id_set *s, const uint8_t id[ID_SET_BYTES])
{
	return s->n > 0 && s->table[find(s, id)] != 0;
}

void id_set_settle(struct id_set *s)
{
	s->settled = s->n;
}

void id_set_undo(struct id_set *s)
{
	if (s->n == s->settled)
		return;
	s->n = s->settled;
	fill_table(s);
}

void id_set_finish(struct id_set *s)
{
	free(s->ids);
	free(s->table);
	*s = (struct id_set){ .n = 0 };
}
