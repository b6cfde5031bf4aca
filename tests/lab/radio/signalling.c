#include "tests/lab/radio/signalling.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define CODE_REJECT         0x01
#define CODE_UPDATE_REQUEST 0x12
#define CODE_UPDATE_ANSWER  0x13
#define NOT_UNDERSTOOD      0

static size_t reject(uint8_t id, uint8_t ret[SIGNAL_REPLY_MAX])
{
	struct writer w = writer_of(ret, SIGNAL_REPLY_MAX);

	writer_u8(&w, CODE_REJECT);
	writer_u8(&w, id);
	writer_le16(&w, 2);
	writer_le16(&w, NOT_UNDERSTOOD);
	return w.len;
}

/* Requests have even codes, and so has the flow control credit, which has no answer. */
static int is_request(uint8_t code)
{
	return (code & 1) == 0 && code != 0x16;
}

size_t signal_answer(const uint8_t *data, size_t len, uint8_t ret[SIGNAL_REPLY_MAX],
		     const char **ret_word)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t code = cursor_u8(&c), id = cursor_u8(&c);
	const uint16_t said = cursor_le16(&c);

	if (!cursor_ok(&c) || cursor_left(&c) != said) {
		*ret_word = "host-error signalling";
		return 0;
	}
	if (code == CODE_UPDATE_ANSWER) {
		const uint16_t result = cursor_le16(&c);

		*ret_word = cursor_at_end(&c) && result == 0 ? "parameters accepted"
							     : "parameters refused";
		return 0;
	}
	if (!is_request(code) || id == 0)
		return 0;
	*ret_word = "signalling rejected";
	return reject(id, ret);
}

size_t signal_ask(uint8_t id, const uint16_t parameters[4], uint8_t ret[SIGNAL_REPLY_MAX])
{
	struct writer w = writer_of(ret, SIGNAL_REPLY_MAX);

	writer_u8(&w, CODE_UPDATE_REQUEST);
	writer_u8(&w, id);
	writer_le16(&w, 8);
	for (unsigned int i = 0; i < 4; i++)
		writer_le16(&w, parameters[i]);
	return w.len;
}
