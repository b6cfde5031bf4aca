/* The style sheet, made by style.cmake: NHS.UK frontend where there was one, and ours. */
#pragma once

#include <stddef.h>

extern const unsigned char style_css[];
extern const size_t style_css_len;
