/*
 * References to people: random, one per loan, and nothing else. Two forms are taken: ours, 32
 * letters without vowels or digits (so no word, number or date can hide in one), and a UUID
 * (RFC 9562, 8-4-4-4-12 hexadecimal digits), which care systems make. A name, an NHS number or a
 * date of birth has neither form.
 */
#pragma once

#include <stdint.h>

#define REFERENCE_RANDOM   16 /* bytes that one is made of */
#define REFERENCE_TEXT_MAX 37 /* with the terminating NUL */

/* The caller gives random bytes; the same bytes give the same reference. */
void reference_make(const uint8_t random[REFERENCE_RANDOM], char ret[REFERENCE_TEXT_MAX]);

/* 0, or -EINVAL and one plain sentence in *ret_problem (constant text; may be NULL). Anything with
 * a space, and ten digits with the check digit of an NHS number (modulus 11; separators do not
 * hide them), are refused with their own sentence. */
int reference_check(const char *text, const char **ret_problem);
