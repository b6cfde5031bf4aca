/*
 * Discovery. What is wanted and what bluetoothd does are brought together one call at a time:
 *
 *   SetDiscoveryFilter -> StartDiscovery -> (reports) -> StopDiscovery
 *
 * The filter goes with the power and with the daemon. `Discoverable` is never set: 5.66 writes it
 * beyond its allocation on 32-bit machines.
 *
 * A probe is a stop and a start, each proved by Adapter1.Discovering: the kernel changes it when
 * the controller has answered, while bluetoothd answers the calls also when nothing has. A quiet
 * home passes it, a dead controller does not.
 */
#include <errno.h>

#include "drivers/transport/adapter_private.h"

#define RETRY_US   INT64_C(1000000)
#define PAUSE_US   INT64_C(2000000) /* a connection attempt does not wait longer for the scan */
#define FAILURES   3
#define SILENCE_US INT64_C(90000000)
#define STILL_PART 6 /* 15 s: thrice what bluetoothd lets pass between two rounds */

static int64_t silence_us(const struct adapter *a)
{
	return a->options.silence_us > 0 ? a->options.silence_us : SILENCE_US;
}

/* ---- silence ---- */

static void look_again(struct adapter *a);

/*
 * It took our StartDiscovery and does nothing: seen after a client was killed in the middle of one,
 * when the kernel refuses the next behind bluetoothd's back. No silence of a home looks like that.
 */
static bool stands_still(const struct adapter *a)
{
	return a->own && !a->own->discovering;
}

static int on_silence(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;
	const bool still = stands_still(a);
	const int64_t limit = still ? silence_us(a) / STILL_PART : silence_us(a);
	const int64_t now = adapter_now(a);

	(void)source;
	(void)usec;
	if (!a->scan.session || a->scan.paused)
		return 0;
	if (now >= a->scan.heard_at + limit) {
		adapter_doubt(a, still ? ADAPTER_DOUBT_SCAN : ADAPTER_DOUBT_SILENT);
		a->scan.heard_at = now;
	}
	look_again(a);
	return 0;
}

static void look_again(struct adapter *a)
{
	adapter_timer(a, &a->scan.silence, silence_us(a) / STILL_PART, on_silence);
}

void scan_heard(struct adapter *a, int64_t now)
{
	a->scan.heard_at = now;
	a->counts.adverts++;
	if (a->ladder.state == LADDER_SUSPECT || a->ladder.state == LADDER_FAILED)
		adapter_post(a, LADDER_PROVED);
}

static void session_began(struct adapter *a)
{
	a->scan.session = true;
	a->scan.failures = 0;
	a->scan.heard_at = adapter_now(a);
	look_again(a);
}

/* ---- calls ---- */

static int on_retry(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;

	(void)source;
	(void)usec;
	a->scan.retrying = false;
	scan_step(a);
	return 0;
}

static void failed(struct adapter *a)
{
	if (++a->scan.failures >= FAILURES) {
		a->scan.failures = 0;
		adapter_because(a, "discovery is refused");
		adapter_post(a, LADDER_DOUBT);
	}
	a->scan.retrying = true;
	adapter_timer(a, &a->scan.retry, RETRY_US, on_retry);
}

static void probe_ends(struct adapter *a, bool good)
{
	scan_probe_cancel(a);
	adapter_post(a, good ? LADDER_PROVED : LADDER_UNPROVED);
}

static void on_stopped(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	(void)user;
	a->scan.busy = false;
	/* also an error: there was nothing to stop */
	a->scan.session = false;
	if (a->scan.probe == SCAN_PROBE_STOP && adapter_error_is_timeout(error))
		probe_ends(a, false);
	else if (a->scan.probe == SCAN_PROBE_STOP)
		a->scan.probe = SCAN_PROBE_STOPPED;
	scan_step(a);
}

static void on_filtered(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	(void)user;
	a->scan.busy = false;
	a->scan.filtered = !error;
	if (a->scan.probe == SCAN_PROBE_FILTER && error)
		probe_ends(a, false);
	else if (a->scan.probe == SCAN_PROBE_FILTER)
		a->scan.probe = SCAN_PROBE_START;
	else if (error)
		failed(a);
	scan_step(a);
}

/* InProgress: it discovers for us already, or says so and does not. The kernel's discovery outlives
 * a killed bluetoothd, and the next one is refused for a moment: that alone is no doubt. */
static void on_started(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const bool is_running = adapter_error_is(error, "InProgress");
	const bool is_true = is_running && a->own && a->own->discovering;

	(void)reply;
	(void)user;
	a->scan.busy = false;
	if (a->scan.probe == SCAN_PROBE_START) {
		if (error)
			probe_ends(a, false);
		else
			a->scan.probe = SCAN_PROBE_STARTED;
	} else if (!error || is_true) {
		session_began(a);
	} else {
		failed(a);
	}
	scan_step(a);
}

static void begin(struct adapter *a, int r)
{
	a->scan.busy = r >= 0;
	if (r >= 0)
		return;
	if (a->scan.probe != SCAN_PROBE_NONE)
		probe_ends(a, false);
	else
		failed(a);
}

static void stop(struct adapter *a)
{
	begin(a, adapter_own_call(a, "StopDiscovery", on_stopped, NULL));
}

static void start(struct adapter *a)
{
	begin(a, adapter_own_call(a, "StartDiscovery", on_started, NULL));
}

/* DuplicateData: without it a scale that sends the same weighing twice is heard once. */
static void filter(struct adapter *a)
{
	sd_bus_message *m = NULL;
	int r;

	r = bluez_method(&a->bluez, a->own->path, ADAPTER1, "SetDiscoveryFilter", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 2, "Transport", "s", "le", "DuplicateData",
					  "b", 1);
	if (r >= 0)
		r = adapter_call(a, m, on_filtered, NULL);
	sd_bus_message_unref(m);
	begin(a, r);
}

static void probe_step(struct adapter *a)
{
	switch (a->scan.probe) {
	case SCAN_PROBE_STOP:
		stop(a);
		break;
	case SCAN_PROBE_STOPPED:
		if (a->own->discovering)
			break;
		a->scan.probe = SCAN_PROBE_FILTER;
		filter(a);
		break;
	case SCAN_PROBE_FILTER:
		filter(a);
		break;
	case SCAN_PROBE_START:
		start(a);
		break;
	case SCAN_PROBE_STARTED:
		if (!a->own->discovering)
			break;
		session_began(a);
		probe_ends(a, true);
		break;
	case SCAN_PROBE_NONE:
		break;
	}
}

void scan_step(struct adapter *a)
{
	struct scan *s = &a->scan;

	if (s->busy || !a->own) {
		scan_pause_check(a);
		return;
	}
	if (s->probe != SCAN_PROBE_NONE) {
		probe_step(a);
	} else if (s->session && (s->paused || !s->wanted)) {
		stop(a);
	} else if (!s->session && s->wanted && !s->paused && !s->retrying &&
		   a->ladder.state == LADDER_READY) {
		if (s->filtered)
			start(a);
		else
			filter(a);
	}
	scan_pause_check(a);
}

static int on_unproved(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;

	(void)source;
	(void)usec;
	/* while it is suspected, and on the rungs, the ladder has a deadline of its own */
	if (a->ladder.state == LADDER_READY && a->scan.probe != SCAN_PROBE_NONE)
		probe_ends(a, false);
	else
		scan_probe_cancel(a);
	scan_step(a);
	return 0;
}

void scan_probe(struct adapter *a)
{
	a->scan.probe = SCAN_PROBE_STOP;
	adapter_timer(a, &a->scan.proof, a->ladder.rung_us, on_unproved);
	if (!a->own)
		probe_ends(a, false);
	scan_step(a);
}

void scan_probe_cancel(struct adapter *a)
{
	a->scan.probe = SCAN_PROBE_NONE;
	adapter_timer_stop(a->scan.proof);
}

void scan_lost(struct adapter *a, bool calls_too)
{
	a->scan.session = a->scan.filtered = false;
	scan_probe_cancel(a);
	if (!calls_too)
		return;
	a->scan.busy = false;
	a->scan.failures = 0;
	scan_pause_check(a);
}

/* ---- for connection attempts ---- */

static int on_pause(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;
	void (*ready)(void *) = a->scan.ready;

	(void)source;
	(void)usec;
	a->scan.ready = NULL;
	if (ready)
		ready(a->scan.ready_user);
	return 0;
}

/* The caller hears of it from the loop, never from inside its own call. */
void scan_pause_check(struct adapter *a)
{
	const struct scan *s = &a->scan;

	if (s->paused && s->ready && !s->busy && !s->session && !a->agent.pairable_calls)
		adapter_timer(a, &a->scan.pause, 0, on_pause);
}

int adapter_scan_pause(struct adapter *a, void (*ready)(void *user), void *user)
{
	if (a->scan.paused)
		return -EBUSY;
	a->scan.paused = true;
	a->scan.ready = ready;
	a->scan.ready_user = user;
	adapter_timer(a, &a->scan.pause, PAUSE_US, on_pause);
	scan_step(a);
	scan_pause_check(a);
	return 0;
}

void adapter_scan_resume(struct adapter *a)
{
	a->scan.paused = false;
	a->scan.ready = NULL;
	adapter_timer_stop(a->scan.pause);
	if (a->scan.session)
		session_began(a);
	scan_step(a);
}

void adapter_scan(struct adapter *a, bool on)
{
	a->scan.wanted = on;
	scan_step(a);
}

void adapter_scan_afresh(struct adapter *a)
{
	struct scan *s = &a->scan;

	s->wanted = true;
	if (s->session && !s->busy && !s->paused && s->probe == SCAN_PROBE_NONE && a->own)
		stop(a); /* the next step starts it */
	else
		scan_step(a);
}

void scan_free(struct adapter *a)
{
	sd_event_source_disable_unref(a->scan.retry);
	sd_event_source_disable_unref(a->scan.pause);
	sd_event_source_disable_unref(a->scan.silence);
	sd_event_source_disable_unref(a->scan.proof);
}
