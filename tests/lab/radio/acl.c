#include <assert.h>
#include <errno.h>
#include <string.h>

#include "tests/lab/radio/acl.h"

static size_t wanted(const struct acl_sdu *s)
{
	return ACL_HEADER + (size_t)(s->data[0] | s->data[1] << 8);
}

static int drop(struct acl_sdu *s, int error)
{
	s->begun = false;
	s->have = 0;
	return error;
}

static int take(struct acl_sdu *s, const uint8_t *data, size_t len)
{
	if (len > sizeof(s->data) - s->have)
		return drop(s, -EMSGSIZE);
	if (len > 0)
		memcpy(s->data + s->have, data, len);
	s->have += len;
	if (s->have < ACL_HEADER)
		return 0;
	if (s->have > wanted(s) || wanted(s) > sizeof(s->data))
		return drop(s, -EMSGSIZE);
	return s->have == wanted(s);
}

int acl_push(struct acl_sdu *s, unsigned int boundary, const uint8_t *data, size_t len,
	     struct acl_view *ret)
{
	const bool first = boundary == ACL_FIRST || boundary == ACL_FIRST_NO_FLUSH;
	int r;

	if (!first && (boundary != ACL_CONTINUES || !s->begun))
		return drop(s, -EPROTO);
	if (first) {
		s->unfinished += s->begun;
		s->have = 0;
	}
	s->begun = true;
	r = take(s, data, len);
	if (r <= 0)
		return r;
	ret->cid = (uint16_t)(s->data[2] | s->data[3] << 8);
	ret->data = s->data + ACL_HEADER;
	ret->len = s->have - ACL_HEADER;
	(void)drop(s, 0);
	return 1;
}

size_t acl_cut(const struct acl_view *sdu, size_t offset, size_t fragment,
	       unsigned int *ret_boundary, uint8_t ret[ACL_DATA_MAX])
{
	const uint8_t header[ACL_HEADER] = { (uint8_t)sdu->len, (uint8_t)(sdu->len >> 8),
					     (uint8_t)sdu->cid, (uint8_t)(sdu->cid >> 8) };
	const size_t total = ACL_HEADER + sdu->len;
	size_t n;

	assert(sdu->len <= PEER_SDU_MAX && fragment > 0 && fragment <= ACL_DATA_MAX);
	if (offset >= total)
		return 0;
	n = total - offset < fragment ? total - offset : fragment;
	for (size_t i = 0; i < n; i++) {
		const size_t at = offset + i;

		ret[i] = at < ACL_HEADER ? header[at] : sdu->data[at - ACL_HEADER];
	}
	*ret_boundary = offset == 0 ? ACL_FIRST : ACL_CONTINUES;
	return n;
}
