/* links: link */
/*
 * The whole way of a 66-byte blood pressure report on one core, as `wellgate-devices` goes it:
 * APDU, manager, driver, session, measurement, protobuf bytes for the gateway; its commit, and the
 * APDU that confirms it. Against the aim of 2 million a second, with the heap's use before and
 * after.
 * The values change with each round, so that nothing is hoisted out of the loop.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/link.h"
#include "drivers/registry.h"
#include "protocols/ieee11073/apdu.h"

#define ROUNDS     2000000L
#define AIM        2e6
#define FRAME_KEPT 64 /* different frames */
#define SYSTOLIC   39 /* where its low byte stands */

static const uint8_t REPORT[66] = {
	0xe7, 0x00, 0x00, 0x3e, 0x00, 0x3c, 0x00, 0x00, 0x01, 0x01, 0x00, 0x36, 0x00, 0x00,
	0xff, 0xff, 0xff, 0xff, 0x0d, 0x1d, 0x00, 0x2c, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02,
	0x00, 0x24, 0x00, 0x01, 0x00, 0x12, 0x00, 0x03, 0x00, 0x06, 0x00, 0x7b, 0x00, 0x4c,
	0x00, 0x61, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50, 0x00, 0x02, 0x00, 0x0a,
	0x00, 0x55, 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50,
};
static const uint8_t AARQ[54] = {
	0xe2, 0x00, 0x00, 0x32, 0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x2a, 0x50, 0x79,
	0x00, 0x26, 0x80, 0x00, 0x00, 0x00, 0x80, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	0x07, 0x08, 0x02, 0xbc, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t MDS[] = { 0xe7, 0, 0, 14, 0, 12, 0, 0, 2, 3, 0, 6, 0, 0, 0, 0, 0, 0 };

struct world {
	struct link_stamp stamp;
	uint64_t next_seq, packed, bytes, answers;
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
	w->bytes += (uint64_t)len;
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

static double cpu_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void give(struct session *session, const uint8_t *data, size_t len)
{
	const struct drv_frame frame = { DRV_WIRE_APDU, data, len };

	if (session_frame(session, &frame, false, 0) < 0)
		exit(1);
}

static void run(struct session *session, struct world *w)
{
	static uint8_t frames[FRAME_KEPT][sizeof(REPORT)];
	double start, rate;
	size_t heap;

	for (size_t i = 0; i < FRAME_KEPT; i++) {
		memcpy(frames[i], REPORT, sizeof(REPORT));
		frames[i][SYSTOLIC] = (uint8_t)(REPORT[SYSTOLIC] + i % 32);
	}
	give(session, frames[0], sizeof(REPORT)); /* what is made once is made now */
	(void)session_committed(session, w->next_seq - 1, 0);
	w->answers = w->packed = w->bytes = 0;
	heap = mallinfo2().uordblks;
	start = cpu_seconds();
	for (long i = 0; i < ROUNDS; i++) {
		give(session, frames[i % FRAME_KEPT], sizeof(REPORT));
		(void)session_committed(session, w->next_seq - 1, 0);
	}
	rate = (double)ROUNDS / (cpu_seconds() - start);
	printf("report to protobuf and answer  %6.2f million/s = %.2f of the aim; heap grew by %zu "
	       "bytes (%" PRIu64 " bytes a message, check %" PRId64 ")\n",
	       rate / 1e6, rate / AIM, mallinfo2().uordblks - heap, w->bytes / w->packed,
	       w->check / ROUNDS);
	if (w->packed != ROUNDS || w->answers != ROUNDS)
		exit(1);
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
	struct session *session;

	if (link_stamp_now(&w.stamp) < 0 ||
	    session_new(registry_by_name("phd"), 0, &sink, &w.next_seq, &session) < 0 ||
	    session_open(session, LINK_CABLE, 0) < 0)
		return 1;
	give(session, AARQ, sizeof(AARQ));
	give(session, MDS, sizeof(MDS));
	run(session, &w);
	session_free(session);
	return 0;
}
