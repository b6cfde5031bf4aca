/* wellgate decode beurer HEX, wellgate decode microlife HEX */
#pragma once

/* maker: "beurer" or "microlife". The exit code; prints a line of JSON for each record, or one on
 * stderr saying what is wrong. */
int decode_cuff(const char *maker, const char *hex);
