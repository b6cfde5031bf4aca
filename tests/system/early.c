/*
 * Preloaded into a daemon under test: its clock says New Year of 2020, and goes on from there. So
 * is a hub that has no battery for its clock and no network to ask.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NEW_YEAR_2020 1577836800

static time_t first;

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's are reserved */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (syscall(SYS_clock_gettime, clock, ret) != 0)
		return -1;
	if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
		return 0;
	if (first == 0)
		first = ret->tv_sec;
	ret->tv_sec += NEW_YEAR_2020 - first;
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
