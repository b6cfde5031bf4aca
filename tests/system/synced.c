/*
 * Preloaded into a daemon under test: the kernel says that its clock is synchronised. A machine
 * that runs tests may have nobody who sets its clock, and commands wait until it is certain.
 */
#include <string.h>
#include <sys/timex.h>
#include <time.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's is reserved */
int adjtimex(struct timex *state)
{
	memset(state, 0, sizeof(*state));
	return TIME_OK;
}
