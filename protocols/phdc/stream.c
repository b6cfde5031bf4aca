#include "protocols/phdc/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define HEADER       4
#define CHOICE_FIRST 0xe2 /* AARQ; the second octet of all six is 0 */
#define CHOICE_LAST  0xe7 /* PRST */
#define ENCODING     1

static const uint8_t SIGNATURE[16] = { 'P', 'h', 'd', 'c', 'Q', 'o', 'S', 'S',
				       'i', 'g', 'n', 'a', 't', 'u', 'r', 'e' };

/* ---- the preamble ---- */

static bool is_one_quality(uint8_t qos)
{
	return qos != 0 && (qos & (qos - 1)) == 0 && !(qos & ~PHDC_QOS_ALL);
}

int phdc_preamble_decode(const uint8_t *data, size_t len, struct phdc_preamble *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t *signature = cursor_bytes(&c, sizeof(SIGNATURE));
	struct phdc_preamble p = { .transfers = cursor_u8(&c) };
	const uint8_t encoding = cursor_u8(&c);

	p.qos = cursor_u8(&c);
	p.opaque_len = cursor_u8(&c);
	if (!cursor_ok(&c) || cursor_left(&c) != p.opaque_len)
		return -EMSGSIZE;
	if (memcmp(signature, SIGNATURE, sizeof(SIGNATURE)) != 0)
		return -EBADMSG;
	if (p.transfers == 0 || encoding != ENCODING || !is_one_quality(p.qos) ||
	    p.opaque_len > PHDC_PREAMBLE_OPAQUE)
		return -ERANGE;
	p.opaque = cursor_bytes(&c, p.opaque_len);
	*ret = p;
	return 0;
}

int phdc_preamble_encode(const struct phdc_preamble *p, struct writer *w)
{
	const struct writer start = *w;

	if (p->opaque_len > PHDC_PREAMBLE_OPAQUE)
		return -EMSGSIZE;
	if (p->transfers == 0 || !is_one_quality(p->qos))
		return -ERANGE;
	writer_bytes(w, SIGNATURE, sizeof(SIGNATURE));
	writer_u8(w, p->transfers);
	writer_u8(w, ENCODING);
	writer_u8(w, p->qos);
	writer_u8(w, (uint8_t)p->opaque_len);
	if (p->opaque_len > 0)
		writer_bytes(w, p->opaque, p->opaque_len);
	if (writer_ok(w))
		return 0;
	*w = start;
	return -ENOSPC;
}

/* ---- packets ---- */

void phdc_stream_init(struct phdc_stream *s, uint16_t packet, bool preamble)
{
	assert(packet > 0);
	s->packet = packet;
	s->preamble = preamble;
	phdc_stream_reset(s);
}

void phdc_stream_reset(struct phdc_stream *s)
{
	s->transfers = 0;
	s->empty_may_come = false;
	s->data = NULL;
	s->left = 0;
	s->full = false;
	s->len = 0;
	s->whole = false;
}

static int take_preamble(struct phdc_stream *s, const uint8_t *data, size_t len)
{
	struct phdc_preamble p;

	/* an APDU goes over to the next group only with all of its transfers announced */
	if (phdc_preamble_decode(data, len, &p) < 0) {
		phdc_stream_reset(s);
		return -EBADMSG;
	}
	s->transfers = p.transfers;
	return 0;
}

int phdc_stream_push(struct phdc_stream *s, const uint8_t *data, size_t len)
{
	const bool trailer = s->empty_may_come && len == 0;

	assert(!s->left);
	s->empty_may_come = false;
	if (trailer)
		return 0;
	if (s->preamble && s->transfers == 0)
		return take_preamble(s, data, len);
	s->data = data;
	s->left = len;
	s->full = len >= s->packet;
	if (s->preamble && !s->full)
		s->transfers--;
	return 0;
}

/* the APDU at hand has become whole */
static void on_whole(struct phdc_stream *s)
{
	s->whole = true;
	if (s->left > 0 || !s->full)
		return;
	s->empty_may_come = true;
	if (s->preamble)
		s->transfers--;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void take_bytes(struct phdc_stream *s, size_t up_to)
{
	const size_t n = smaller(s->left, up_to - s->len);

	memcpy(s->apdu + s->len, s->data, n);
	s->len += n;
	s->data += n;
	s->left -= n;
}

static int check_choice(const struct phdc_stream *s)
{
	if (s->apdu[0] < CHOICE_FIRST || s->apdu[0] > CHOICE_LAST)
		return -EBADMSG;
	return s->len > 1 && s->apdu[1] != 0 ? -EBADMSG : 0;
}

static int pull(struct phdc_stream *s)
{
	size_t total;
	int r;

	if (s->whole) {
		s->whole = false;
		s->len = 0;
	}
	if (s->left == 0)
		return 0;
	if (s->len < HEADER)
		take_bytes(s, HEADER);
	r = check_choice(s);
	if (r < 0 || s->len < HEADER)
		return r;
	total = HEADER + (size_t)(s->apdu[2] << 8 | s->apdu[3]);
	if (total > PHDC_APDU_MAX)
		return -EMSGSIZE;
	take_bytes(s, total);
	return s->len == total;
}

int phdc_stream_pull(struct phdc_stream *s, const uint8_t **ret, size_t *ret_len)
{
	const int r = pull(s);

	if (r < 0)
		phdc_stream_reset(s);
	if (r <= 0)
		return r;
	on_whole(s);
	*ret = s->apdu;
	*ret_len = s->len;
	return 1;
}

bool phdc_stream_is_pending(const struct phdc_stream *s)
{
	return s->left > 0;
}

bool phdc_stream_is_partial(const struct phdc_stream *s)
{
	return s->len > 0 && !s->whole;
}
