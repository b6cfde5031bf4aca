/* links: gateway_registry */
/*
 * Events of any bytes, each with its length before it (two bytes, little-endian). The revision is
 * put right, or nothing would get far. Between them attribution is asked, with the event's own
 * bytes as the question. No two people ever have one slot at one time; a refusal has its sentence;
 * a verdict that names nobody has no subject.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/registry/attribute.h"
#include "gateway/registry/index.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool may_overlap(const struct claim *a, const struct claim *b)
{
	return a->basis == BASIS_SHARED || b->basis == BASIS_SHARED ||
	       (a->basis == BASIS_SESSION) != (b->basis == BASIS_SESSION);
}

static void check_intervals(const struct registry *r)
{
	const struct device *d = r->devices.row;

	for (size_t i = 0; i < r->devices.n; i++) {
		const struct claim *c = device_claims(&d[i]);

		for (size_t k = 0; k < d[i].claims.n; k++) {
			for (size_t m = 0; m < k; m++) {
				const int64_t k_to = claim_to(&c[k], UINT64_MAX);
				const int64_t m_to = claim_to(&c[m], UINT64_MAX);
				const int64_t from =
					c[k].from_ms > c[m].from_ms ? c[k].from_ms : c[m].from_ms;

				must(from >= k_to || from >= m_to ||
				     !claim_touches(&c[k], c[m].slot) || may_overlap(&c[k], &c[m]));
			}
		}
	}
}

static void ask(const struct registry *r, const struct attribute_weights *weights,
		const Wellgate__V1__RegistryEvent *e, const uint8_t *data, size_t len)
{
	struct attribute_question q = { .clock =
						WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED };
	struct attribute_answer a;

	for (int any = 0; any < 2; any++) {
		q.from_ms = e->at_ms;
		q.to_ms = e->at_ms;
		if (any) {
			memcpy(&q.from_ms, data, len < 8 ? len : 8);
			q.clock = (Wellgate__V1__ClockQuality)(len & 7);
			q.live = len & 8;
		}
		memset(q.reading, 1, sizeof(q.reading));
		memcpy(q.device, e->device.data, sizeof(q.device));
		q.revision = any ? len : 0;
		q.has_slot = len & 1;
		q.slot = len & 3;
		q.has_record = len & 4;
		q.metric = METRIC_BODY_WEIGHT;
		q.grams = 70000;
		attribute_reading(r, weights, &q, &a);
		must(a.verdict >= ATTRIBUTE_CONFIRMED && a.verdict <= ATTRIBUTE_GUEST);
		must(a.rule >= 1 && a.rule <= 9);
		must((a.verdict <= ATTRIBUTE_SUGGESTED) == (a.subject[0] != '\0'));
	}
}

static void one(struct registry *r, struct attribute_weights *weights, const uint8_t *data,
		size_t len)
{
	Wellgate__V1__RegistryEvent *e = wellgate__v1__registry_event__unpack(NULL, len, data);
	const uint64_t before = registry_revision(r);
	const char *problem = NULL;
	int result;

	if (!e)
		return;
	e->has_revision = true;
	e->revision = before + 1;
	result = registry_apply(r, e, &problem);
	must(registry_revision(r) == before + (result == 0));
	must((result == 0) == (problem == NULL));
	check_intervals(r);
	if (e->has_device && e->device.len == REGISTRY_DIGEST)
		ask(r, weights, e, data, len);
	wellgate__v1__registry_event__free_unpacked(e, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct attribute_weights weights = { .n = 0 };
	struct registry *r = NULL;

	must(registry_new(&r) == 0);
	while (len >= 2) {
		const size_t said = data[0] | (size_t)data[1] << 8;
		const size_t n = said < len - 2 ? said : len - 2;

		one(r, &weights, data + 2, n);
		data += 2 + n;
		len -= 2 + n;
	}
	registry_free(r);
	return 0;
}
