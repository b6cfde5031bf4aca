/* wellgate decode apdu: one APDU of IEEE 11073-20601. */
#pragma once

/*
 * A line of JSON for each measurement in it, with the fields of the APDU in "apdu"; one line with
 * that alone if there is none. config: the configuration of its agent, hex; NULL: a standard one,
 * if exactly one fits. Returns an exit status; what is wrong is one line on stderr.
 */
int apdu_command(const char *hex, const char *config);
