#include "drivers/wiring.h"

#include <time.h>

#include "drivers/log.h"

int wiring_measurement(void *wiring, uint32_t id, const struct measurement *m, uint64_t seq)
{
	const struct wiring *w = wiring;
	struct link_stamp stamp;
	int r = link_stamp_now(&stamp);

	if (r >= 0)
		r = link_measurement(w->link, id, m, seq, &stamp);
	if (r < 0)
		log_error("gateway: measurement not queued error=%d", -r);
	return r;
}

int wiring_down(void *wiring, uint32_t id, const struct session *session)
{
	const struct wiring *w = wiring;

	return link_down(w->link, id, session);
}

bool wiring_has_room(void *wiring)
{
	const struct wiring *w = wiring;

	return link_has_room(w->link);
}

void wiring_observe(void *wiring, uint32_t id, const struct cap_event *event)
{
	const struct wiring *w = wiring;
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	w->observe(w->observe_user, id, event, (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}
