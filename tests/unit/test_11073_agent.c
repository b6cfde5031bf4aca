/* links: protocols */
/* An agent and a manager of ours with each other: a cuff, a scale of its own configuration. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/agent.h"
#include "protocols/ieee11073/manager.h"
#include "protocols/ieee11073/nomenclature.h"

#define QUEUE_MAX 8

struct queue {
	uint8_t bytes[QUEUE_MAX][512];
	size_t len[QUEUE_MAX], n;
};

struct pair {
	struct phd_cache cache;
	struct phd_manager manager;
	struct phd_agent agent;
	struct queue to_manager, to_agent;
	unsigned int observations, mds, taken, refused;
	int64_t last;
};

static void put(struct queue *q, const uint8_t *bytes, size_t len)
{
	assert_true(q->n < QUEUE_MAX && len <= sizeof(q->bytes[0]));
	memcpy(q->bytes[q->n], bytes, len);
	q->len[q->n++] = len;
}

static void manager_sends(void *user, const uint8_t *bytes, size_t len)
{
	put(&((struct pair *)user)->to_agent, bytes, len);
}

static void agent_sends(void *user, const uint8_t *bytes, size_t len)
{
	put(&((struct pair *)user)->to_manager, bytes, len);
}

static void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	struct pair *p = user;

	assert_false(is_test);
	p->observations++;
	p->last = o->values[0].number.value.mantissa;
}

static void on_mds(void *user, const struct phd_mds *mds)
{
	struct pair *p = user;

	assert_true(mds->has_system_id);
	assert_memory_equal(mds->system_id, p->agent.system_id, APDU_SYSTEM_ID);
	p->mds++;
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	struct pair *p = user;

	(void)invoke_id;
	p->taken += taken;
	p->refused += !taken;
}

static void settle(struct pair *p)
{
	while (p->to_manager.n + p->to_agent.n > 0) {
		struct queue up = p->to_manager, down = p->to_agent;

		p->to_manager.n = p->to_agent.n = 0;
		for (size_t i = 0; i < up.n; i++)
			phd_manager_apdu(&p->manager, up.bytes[i], up.len[i], 0);
		for (size_t i = 0; i < down.n; i++)
			phd_agent_apdu(&p->agent, down.bytes[i], down.len[i]);
	}
}

static void meet(struct pair *p, const struct phd_config *config)
{
	static const struct phd_manager_sink up = { manager_sends, on_observation, on_mds };
	static const struct phd_agent_sink down = { .send = agent_sends, .answered = on_answered };
	static const uint8_t manager_id[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t agent_id[] = { 8, 7, 6, 5, 4, 3, 2, 1 };

	memset(p, 0, sizeof(*p));
	phd_manager_init(&p->manager, &up, p, &p->cache, manager_id);
	phd_agent_init(&p->agent, &down, p, config, agent_id);
	phd_manager_connected(&p->manager);
	phd_agent_associate(&p->agent);
	settle(p);
}

static const uint8_t WEIGHT[] = { 0xf0, 0, 0, 0,    0,    1,    0,    0x10, 0, 1,    0,    0x0c,
				  0xff, 0, 2, 0xbe, 0x20, 0x26, 0x11, 0x23, 1, 0x41, 0x16, 0x50 };

static void check_weighing(const struct phd_config *config)
{
	struct pair p;
	uint16_t id = 0;

	meet(&p, config);
	assert_int_equal(p.manager.state, PHD_OPERATING);
	assert_int_equal(p.agent.state, PHD_AGENT_OPERATING);
	assert_int_equal(p.mds, 1);
	assert_int_equal(
		phd_agent_report(&p.agent, MDC_NOTI_SCAN_FIXED, WEIGHT, sizeof(WEIGHT), true, &id),
		0);
	settle(&p);
	assert_int_equal(p.observations, 1);
	assert_int_equal(p.last, 702);
	assert_int_equal(p.taken, 0);
	phd_manager_committed(&p.manager, 0);
	settle(&p);
	assert_int_equal(p.taken, 1);
	assert_int_equal(phd_agent_report(&p.agent, MDC_NOTI_SCAN_FIXED, WEIGHT, sizeof(WEIGHT) - 1,
					  true, &id),
			 0);
	settle(&p);
	assert_int_equal(p.refused, 1);
	assert_int_equal(p.observations, 1);
	phd_agent_release(&p.agent);
	settle(&p);
	assert_int_equal(p.agent.state, PHD_AGENT_IDLE);
	assert_int_equal(p.manager.state, PHD_UNASSOCIATED);
	assert_int_equal(
		phd_agent_report(&p.agent, MDC_NOTI_SCAN_FIXED, WEIGHT, sizeof(WEIGHT), true, &id),
		-ENOTCONN);
}

static void test_weighing(void **state)
{
	struct phd_config own = *phd_config_standard(0x05dc);

	(void)state;
	check_weighing(phd_config_standard(0x05dc));
	own.id = 0x4000;
	check_weighing(&own);
}

/* a configuration that is not taken is not said again and again */
static void test_refused_config(void **state)
{
	struct phd_config empty = { .id = 0x4000 };
	struct pair p;

	(void)state;
	meet(&p, &empty);
	assert_int_equal(p.agent.state, PHD_AGENT_IDLE);
	assert_int_equal(p.manager.state, PHD_UNASSOCIATED);
	assert_int_equal(p.manager.attempts, 1);
}

/* what a simulation says comes out as it was put in, by the map of every configuration it has */
static void check_report(uint16_t config_id, size_t n_objects)
{
	const struct phd_config *config = phd_agent_config(config_id);
	struct phd_observation o[2] = { { 0 } };
	uint8_t info[128];
	struct pair p;
	uint16_t id;
	size_t len;

	for (size_t i = 0; i < n_objects; i++) {
		o[i].handle = config->objects[i].handle;
		o[i].time = (struct mder_time){ .year = 2026, .month = 2, .day = 28 };
		o[i].n_values = 3;
		for (unsigned int v = 0; v < 3; v++)
			o[i].values[v].number = number_of(702, -1);
	}
	meet(&p, config);
	assert_int_equal(phd_report_encode(config, 1, o, n_objects, info, sizeof(info), &len), 0);
	assert_int_equal(phd_agent_report(&p.agent, MDC_NOTI_SCAN_FIXED, info, len, true, &id), 0);
	settle(&p);
	assert_int_equal(p.observations, n_objects);
	assert_int_equal(p.last, 702);
	assert_int_equal(p.refused, 0);
	assert_int_equal(phd_report_encode(config, 1, o, n_objects, info, len - 1, &len),
			 -EMSGSIZE);
	o[0].n_values = 0;
	assert_int_equal(phd_report_encode(config, 1, o, n_objects, info, sizeof(info), &len),
			 -ENOENT);
	o[0].handle = 99;
	assert_int_equal(phd_report_encode(config, 1, o, n_objects, info, sizeof(info), &len),
			 -ENOENT);
}

static void test_reports(void **state)
{
	(void)state;
	check_report(0x02bc, 2);
	check_report(0x05dc, 1);
	check_report(0x06a4, 1);
	check_report(0x0190, 2);
	check_report(0x0191, 2);
	check_report(PHD_AGENT_EXTENDED, 2);
	assert_null(phd_agent_config(0x4001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weighing),
		cmocka_unit_test(test_refused_config),
		cmocka_unit_test(test_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
