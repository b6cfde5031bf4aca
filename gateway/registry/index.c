#include "gateway/registry/index.h"

#include <string.h>

struct device *registry_device(const struct registry *r, const uint8_t digest[REGISTRY_DIGEST])
{
	struct device *d = r->devices.row;

	for (size_t i = 0; i < r->devices.n; i++) {
		if (memcmp(d[i].digest, digest, REGISTRY_DIGEST) == 0)
			return &d[i];
	}
	return NULL;
}

bool claim_seen(const struct claim *c, uint64_t revision)
{
	return c->started <= revision;
}

bool claim_ended(const struct claim *c, uint64_t revision)
{
	return c->ended && c->ended <= revision;
}

int64_t claim_to(const struct claim *c, uint64_t revision)
{
	return claim_ended(c, revision) ? c->to_ms : c->planned_ms;
}

bool claim_touches(const struct claim *c, int32_t slot)
{
	return c->slot == WHOLE_DEVICE || slot == WHOLE_DEVICE || c->slot == slot;
}

const struct wipe *device_wipe(const struct device *d, uint64_t revision)
{
	const struct wipe *wipe = d->wipes.row;

	for (size_t i = d->wipes.n; i > 0; i--) {
		if (wipe[i - 1].revision <= revision)
			return &wipe[i - 1];
	}
	return NULL;
}

bool device_is_empty(const struct device *d)
{
	const struct wipe *wipe = device_wipe(d, UINT64_MAX);
	const struct claim *claims = d->claims.row;

	for (size_t i = 0; wipe && i < d->claims.n; i++) {
		if (!claims[i].ended || claims[i].ended > wipe->revision)
			return false;
	}
	return wipe != NULL;
}
