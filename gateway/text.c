#include "gateway/text.h"

#include <stdint.h>

/* bytes of the character at p, or 0 if it is none */
static unsigned int character(const unsigned char *p)
{
	static const uint32_t least[] = { 0x20, 0x80, 0x800, 0x10000 };
	const unsigned int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
	uint32_t code = more == 0 ? *p : *p & (0x3fU >> more);

	if ((*p >= 0x80 && *p < 0xc2) || *p > 0xf4 || *p == 0x7f)
		return 0;
	for (unsigned int i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return more + 1;
}

bool text_is_clean(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		const unsigned int n = character(p);

		if (n == 0)
			return false;
		p += n;
	}
	return true;
}
