/* A goal as a message, and back: for the journal, for commands, and for those who ask. */
#pragma once

#include "gateway/arena.h"
#include "gateway/goals/goals.h"

/* In the arena. -ENOMEM */
int goal_to_message(const struct goal *goal, struct arena *arena, Wellgate__V1__Goal **ret);
/* Every field is looked at; what is not stated is zero (starts_on: always). Whether such a goal may
 * be set is for goal_check() to say. -EBADMSG: text that is too long, numbers that no field
 * holds, or no name. `average` is not of the message: it is the site's to switch. */
int goal_from_message(const Wellgate__V1__Goal *message, struct goal *ret);
