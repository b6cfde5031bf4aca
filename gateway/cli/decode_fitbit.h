/* wellgate decode fitbit FILE [--key FILE] [--resting-kcal N] */
#pragma once

/* argv[0] is "fitbit". The exit code; prints lines of JSON, or one on stderr saying what is
 * wrong. */
int decode_fitbit(int argc, char **argv);
