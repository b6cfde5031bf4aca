/*
 * Which firmware is allowed: a small text file that people review. One row a line,
 *
 *     state | make | model | firmware | note
 *
 * state     allowed, outdated or recalled
 * make      as the device gives it, capital or not; * is any
 * model     the same; a * at the end: any that begins so
 * firmware  * any, also one that is not known; 1.4 this one; 1.2..1.9 from and to; 1.2.. and up;
 *           ..1.9 up to; ..<2.0 below (also 1.2..<2.0)
 * note      free, for people; may be left out with its |
 *
 * '#' at the beginning of a line is a comment. The order of rows does not matter: recalled is
 * stronger than outdated, and that than allowed. What no row fits is unknown; so is a device whose
 * firmware is not known, or cannot be compared, where a stronger row might fit it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define POLICY_FILE_MAX ((size_t)256 * 1024)
#define POLICY_ROWS_MAX 4096

enum policy_state {
	POLICY_UNKNOWN, /* in the order of their strength */
	POLICY_ALLOWED,
	POLICY_OUTDATED,
	POLICY_RECALLED,
};

struct policy;

/* text: NUL-terminated, `len` without the NUL; it is changed, and has to outlive the policy.
 * -EBADMSG: *ret_line (from 1) is wrong, *ret_why says how (constant); -ENOMEM */
int policy_read(char *text, size_t len, struct policy **ret, unsigned int *ret_line,
		const char **ret_why);
void policy_free(struct policy *policy); /* NULL is fine */
/* "" stands for what a device did not say. *ret_note (may be NULL): of the row that decided; "". */
enum policy_state policy_judge(const struct policy *policy, const char *make, const char *model,
			       const char *firmware, const char **ret_note);
const char *policy_state_name(enum policy_state state);

/* How two versions compare: numbers by their value, letters by the alphabet, part by part; a 'v' in
 * front does not count, and 1.2 is before 1.2.1. Returns -1, 0 or 1, or POLICY_NOT_COMPARABLE where
 * one has a number and the other letters or a mark. */
#define POLICY_NOT_COMPARABLE 2
int policy_compare(const char *a, const char *b);
