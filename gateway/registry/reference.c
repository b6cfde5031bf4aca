#include "gateway/registry/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "gateway/words/words.h"

#define NHS_DIGITS  10
#define LOOK_AT_MAX 64 /* a longer text is no reference, whatever is in it */

static const char letters[] = "bcdfghjklmnpqrst"; /* one for each half byte */

void reference_make(const uint8_t random[REFERENCE_RANDOM], char ret[REFERENCE_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < REFERENCE_RANDOM; i++) {
		ret[n++] = letters[random[i] >> 4];
		ret[n++] = letters[random[i] & 15];
	}
	ret[n] = '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* NHS Data Dictionary, NHS NUMBER: weights 10 to 2, modulus 11; 11 stands for 0, 10 is invalid. */
static bool nhs_check(const char digits[NHS_DIGITS])
{
	unsigned int sum = 0, check;

	for (unsigned int i = 0; i < NHS_DIGITS - 1; i++)
		sum += (NHS_DIGITS - i) * (unsigned int)(digits[i] - '0');
	check = (11 - sum % 11) % 11;
	return check == (unsigned int)(digits[NHS_DIGITS - 1] - '0');
}

/* Ten digits in a row, whatever stands between them; letters end the row. */
static bool has_nhs_number(const char *text)
{
	char row[LOOK_AT_MAX + 1];
	size_t n = 0;

	for (const char *c = text;; c++) {
		if (is_digit(*c)) {
			row[n++] = *c;
			continue;
		}
		if (*c && !is_letter(*c))
			continue;
		if (n == NHS_DIGITS && nhs_check(row))
			return true;
		n = 0;
		if (!*c)
			return false;
	}
}

static bool is_ours(const char *text, size_t length)
{
	return length == (size_t)2 * REFERENCE_RANDOM && strspn(text, letters) == length;
}

static bool is_uuid(const char *text, size_t length)
{
	if (length != REFERENCE_TEXT_MAX - 1)
		return false;
	for (size_t i = 0; i < length; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return true;
}

int reference_check(const char *text, const char **ret_problem)
{
	const size_t length = strnlen(text, LOOK_AT_MAX + 1);
	enum words_id problem = WORDS_NONE;

	if (length == 0)
		problem = WORDS_REF_NONE;
	else if (length > LOOK_AT_MAX)
		problem = WORDS_REF_LONG;
	else if (strpbrk(text, " \t\r\n\v\f"))
		problem = WORDS_REF_SPACES;
	else if (has_nhs_number(text))
		problem = WORDS_REF_NHS;
	else if (!is_ours(text, length) && !is_uuid(text, length))
		problem = WORDS_REF_OTHER;
	if (problem == WORDS_NONE)
		return 0;
	if (ret_problem)
		*ret_problem = words_text(WORDS_EN, problem);
	return -EINVAL;
}
