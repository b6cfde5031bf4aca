/*
 * The goals that are agreed on: those of the configuration, which stay as they are written there,
 * and those that came by command, one change after the other. Pure: the changes are stored by the
 * caller and taken again, in their order, at start.
 */
#pragma once

#include "gateway/goals/goals.h"

/* versions of goals, all people's together */
#define GOAL_AGREED_MAX 1024

struct goal_agreed;

/* The goals of the configuration; all versions. -ENOMEM */
int goal_agreed_new(const struct goal *goals, size_t n, bool average, struct goal_agreed **ret);
void goal_agreed_free(struct goal_agreed *a); /* NULL is fine */

/*
 * SET: a new goal, a later version of one, or the same version of one with other words, pauses,
 * display or end (what was said of periods that are over stays said). STOP: a goal is over; what
 * was said about it stays said. After an error it is as it was, and *ret_problem is a plain
 * sentence (constant text).
 *
 * -EBADMSG no goal is named; -EPERM it is a goal of the configuration; -ENOENT there is no such
 * goal; -EINVAL goal_check or goal_check_version refuses it; -ENOSPC too many; -ENOMEM
 */
int goal_agreed_change(struct goal_agreed *a, const Wellgate__V1__GoalChange *change,
		       const char **ret_problem);
/* A person's goals are forgotten. */
void goal_agreed_forget(struct goal_agreed *a, const char *subject);

const struct goal *goal_agreed_goals(const struct goal_agreed *a, size_t *ret_n);
