/* wellgate decode omron MODEL HEX */
#pragma once

/* The exit code; prints one line of JSON, or one on stderr saying what is wrong. */
int decode_omron(const char *model, const char *hex);
