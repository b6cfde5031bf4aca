#include "gateway/publish/origin.h"

#include <assert.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "wellgate.pb-c.h"

/* field numbers of wellgate.proto */
#define RESULT_HUB       17
#define RESULT_EPOCH     18
#define CORRECTION_HUB   1
#define CORRECTION_EPOCH 2
#define WIRE_FIXED64     1
#define WIRE_BYTES       2

static void put_tag(struct writer *w, unsigned int field, unsigned int wire)
{
	const unsigned int tag = field << 3 | wire;

	if (tag >= 0x80)
		writer_u8(w, (uint8_t)(tag | 0x80));
	writer_u8(w, (uint8_t)(tag >= 0x80 ? tag >> 7 : tag));
}

static bool hub_differs(const struct origin *o, const char *hub)
{
	return !hub || strcmp(hub, o->hub) != 0;
}

size_t origin_complete(const struct origin *o, uint8_t *data, size_t len, bool *ret_tombstone)
{
	struct writer w = writer_of(data + len, ORIGIN_MAX);
	Wellgate__V1__GoalResult *result = NULL;
	Wellgate__V1__Correction *c = NULL;
	bool hub = false, epoch = false;

	*ret_tombstone = false;
	if (o->result)
		result = wellgate__v1__goal_result__unpack(NULL, len, data);
	else
		c = wellgate__v1__correction__unpack(NULL, len, data);
	if (result) {
		hub = hub_differs(o, result->hub);
		epoch = !result->has_epoch || result->epoch != o->epoch;
		wellgate__v1__goal_result__free_unpacked(result, NULL);
	}
	if (c) {
		hub = hub_differs(o, c->hub);
		epoch = !c->has_epoch || c->epoch != o->epoch;
		*ret_tombstone = c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE;
		wellgate__v1__correction__free_unpacked(c, NULL);
	}
	if (hub) {
		put_tag(&w, o->result ? RESULT_HUB : CORRECTION_HUB, WIRE_BYTES);
		writer_u8(&w, (uint8_t)strlen(o->hub));
		writer_bytes(&w, o->hub, strlen(o->hub));
	}
	if (epoch) {
		put_tag(&w, o->result ? RESULT_EPOCH : CORRECTION_EPOCH, WIRE_FIXED64);
		writer_le64(&w, o->epoch);
	}
	assert(writer_ok(&w));
	return len + w.len;
}
