/* Text from outside, before it goes into a message. */
#pragma once

#include <stdbool.h>

/* Valid UTF-8 without control characters: protobuf strings must be UTF-8, and protobuf-c does not
 * check. */
bool text_is_clean(const char *text);
