/* links: link */
/*
 * The whole way of a 66-byte blood pressure report on one core, as `wellgate-devices` goes it:
 * APDU, manager, driver, session, measurement, protobuf bytes for the gateway; its commit, and the
 * APDU that confirms it. Against the aim of 2 million a second, with the heap's use before and
 * after.
 */
#include <stdlib.h>

#include "drivers/link.h"
#include "drivers/registry.h"
#include "tests/bench/phd_bench.h"

#define REPORTS 300000L
#define AIM     2e6

struct world {
	struct session *session;
	struct link_stamp stamp;
	uint64_t next_seq, packed, answers;
	int64_t check;
};

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct world *w = user;
	uint8_t buffer[1024];
	const int len = link_pack(1, m, seq, &w->stamp, buffer, sizeof(buffer));

	if (len < 0)
		exit(1);
	w->packed++;
	w->check += buffer[len / 2];
}

static void on_request(void *user, const struct session_request *request)
{
	struct world *w = user;

	w->answers += request->kind == SESSION_WRITE;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	exit(1);
}

static void give(struct world *w, const uint8_t *data, size_t len)
{
	const struct drv_frame frame = { DRV_WIRE_APDU, data, len };

	if (session_frame(w->session, &frame, false, 0) < 0)
		exit(1);
}

static void take(void *user, const uint8_t *report)
{
	struct world *w = user;

	give(w, report, sizeof(BENCH_REPORT));
	(void)session_committed(w->session, w->next_seq - 1, 0);
}

int main(void)
{
	struct world w = { .next_seq = 1 };
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = &w,
	};

	if (link_stamp_now(&w.stamp) < 0 ||
	    session_new(registry_by_name("phd"), 0, &sink, &w.next_seq, &w.session) < 0 ||
	    session_open(w.session, LINK_CABLE, 0) < 0)
		return 1;
	give(&w, BENCH_AARQ, sizeof(BENCH_AARQ));
	give(&w, BENCH_MDS, sizeof(BENCH_MDS));
	take(&w, BENCH_REPORT); /* what is made once is made now */
	w.answers = w.packed = 0;
	bench_reports("report to protobuf and answer", AIM, REPORTS, take, &w);
	session_free(w.session);
	return w.check == 0 || w.packed != BENCH_RUNS * REPORTS ||
	       w.answers != BENCH_RUNS * REPORTS;
}
