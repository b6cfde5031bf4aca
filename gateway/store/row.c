#include "gateway/store/row.h"

#include <assert.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/writer.h"

uint32_t row_kind(enum row_table table, unsigned int group, bool test)
{
	assert(group < 8);
	return (uint32_t)table | (test ? 8U : 0U) | group << 4;
}

unsigned int row_table(const struct row *r)
{
	return r->kind & 7U;
}

unsigned int row_group(const struct row *r)
{
	return r->kind >> 4 & 7U;
}

bool row_test(const struct row *r)
{
	return r->kind & 8U;
}

uint32_t row_sum(const struct row *r)
{
	uint8_t head[20];
	struct writer w = writer_of(head, sizeof(head));

	writer_le64(&w, (uint64_t)r->id);
	writer_le64(&w, (uint64_t)r->at_s);
	writer_le32(&w, r->kind);
	return crc_32_iso_hdlc_add(crc_32_iso_hdlc(head, w.len), r->payload, r->len);
}

bool row_is_sound(const struct row *r)
{
	return r->len <= ROW_PAYLOAD_MAX && row_sum(r) == r->sum;
}
