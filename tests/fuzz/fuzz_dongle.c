/* links: drivers */
/*
 * The driver of Fitbit's base station. Records of: what u8 | length u8 | bytes; what, modulo 5:
 *   0 a control frame, 1 a packet of the tracker, made a data frame, 2 bytes of the data wire,
 *   3 the timer, 4 everything is durable
 * What is checked: nothing is ever sent but what reads; nobody is linked to but the tracker that is
 * allowed; whatever comes, the timer alone then brings it to its end, with link, pipe and airlink
 * closed again.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/registry.h"
#include "drivers/session.h"

#define TIMERS_MAX 2000 /* steps of two tries, and pieces of the longest dump */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t allowed[] = { 0xe5, 0x14, 0x53, 0x33, 0xee, 0xff };

struct watch {
	struct session *session;
	uint64_t next_seq;
	bool linked, piped, airlinked, closed;
};

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	(void)user;
	(void)seq;
	must(m->metric == METRIC_STEPS || m->metric == METRIC_DISTANCE || m->n_parts <= 4);
	must(!measurement_is_final(m) || m->time.kind == DEVICE_TIME_UTC);
}

static void check_data(struct watch *w, const uint8_t *data, size_t len)
{
	static const uint8_t open[] = { 0xc0, 0x0a, 10, 0, 6, 0, 6, 0, 0, 0, 200, 0 };
	static const uint8_t dump[] = { 0xc0, 0x10, 0x0d }, over[] = { 0xc0, 0x01 };

	must(len == 32 && w->piped);
	if (data[31] == sizeof(open) && memcmp(data, open, sizeof(open)) == 0)
		w->airlinked = true;
	else if (data[31] == sizeof(over) && memcmp(data, over, sizeof(over)) == 0)
		w->airlinked = false;
	else
		must(data[31] == sizeof(dump) && memcmp(data, dump, sizeof(dump)) == 0);
}

static void check_control(struct watch *w, const uint8_t *data, size_t len)
{
	must(len >= 3 && data[0] == 0 && data[1] == len - 1);
	switch (data[2]) {
	case 0x06:
	case 0x12:
		must(memcmp(data + 3, allowed, sizeof(allowed)) == 0);
		w->linked = true;
		break;
	case 0x07:
		w->linked = false;
		break;
	case 0x08:
		w->piped = data[3] == 1;
		break;
	default:
		must(data[2] == 1 || data[2] == 2 || data[2] == 4 || data[2] == 5 ||
		     data[2] == 0x19);
	}
}

static void on_request(void *user, const struct session_request *q)
{
	struct watch *w = user;

	if (q->kind == SESSION_CLOSE)
		w->closed = true;
	if (q->kind != SESSION_WRITE)
		return;
	if (q->channel == DRV_WIRE_BULK)
		check_data(w, q->data, q->len);
	else
		check_control(w, q->data, q->len);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	must(r < 0 && fault < FAULT_END);
}

static void give(struct watch *w, uint16_t channel, const uint8_t *data, size_t len, int64_t now)
{
	uint8_t *copy = malloc(len + 1); /* exact but for an empty one */
	const struct drv_frame frame = { channel, copy, len };

	must(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	(void)session_frame(w->session, &frame, false, now);
	free(copy);
}

static void give_packet(struct watch *w, const uint8_t *data, size_t len, int64_t now)
{
	uint8_t frame[32] = { 0 };

	len = len < 20 ? len : 20;
	memcpy(frame, data, len);
	frame[31] = (uint8_t)len;
	give(w, DRV_WIRE_BULK, frame, sizeof(frame), now);
}

static void one(struct watch *w, uint8_t what, const uint8_t *data, size_t len, int64_t now)
{
	switch (what) {
	case 0:
		give(w, DRV_WIRE_REPORT, data, len, now);
		break;
	case 1:
		give_packet(w, data, len, now);
		break;
	case 2:
		give(w, DRV_WIRE_BULK, data, len, now);
		break;
	case 3:
		(void)session_timeout(w->session, now);
		break;
	default:
		(void)session_committed(w->session, w->next_seq - 1, now);
	}
}

static void bring_to_end(struct watch *w, int64_t now)
{
	for (int i = 0; i < TIMERS_MAX && !w->closed; i++) {
		(void)session_timeout(w->session, now++);
		(void)session_committed(w->session, w->next_seq - 1, now);
	}
	must(w->closed && !w->linked && !w->piped && !w->airlinked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch w = { .next_seq = 1 };
	const struct session_sink sink = {
		.measurement = on_measurement, .request = on_request, .fault = on_fault, .user = &w
	};
	struct session_memory memory = { .kept = { 1 }, .kept_len = 7 };
	int64_t now = 0;

	memcpy(memory.kept + 1, allowed, sizeof(allowed));
	must(session_new(registry_by_name("fitbit_dongle"), 0, &sink, &w.next_seq, &w.session) ==
	     0);
	session_set_memory(w.session, &memory);
	must(session_open(w.session, LINK_CABLE, 0) == 0);
	while (size >= 2 && !session_is_done(w.session)) {
		const size_t len = data[1] < size - 2 ? data[1] : size - 2;

		now += 10000;
		one(&w, data[0] % 5, data + 2, len, now);
		data += 2 + len;
		size -= 2 + len;
	}
	bring_to_end(&w, now);
	session_close(w.session, now);
	session_free(w.session);
	return 0;
}
