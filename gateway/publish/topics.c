#include "gateway/publish/topics.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define ROOT         "wellgate/v1"
#define DIGEST_BYTES 8

static const char *const message_types[CONTENT_END] = {
	[CONTENT_BATCH] = "wellgate.v1.ReadingBatch",
	[CONTENT_RESULT] = "wellgate.v1.GoalResult",
	[CONTENT_CORRECTION] = "wellgate.v1.Correction",
	[CONTENT_STATUS] = "wellgate.v1.HubStatus",
	[CONTENT_SCHEMA] = "google.protobuf.FileDescriptorSet",
	[CONTENT_REPLY] = "wellgate.v1.CommandReply",
};

bool topic_level_is_good(const char *text)
{
	size_t len = strnlen(text, TOPIC_LEVEL_MAX + 1);

	if (len == 0 || len > TOPIC_LEVEL_MAX || text[0] == '$')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~' || strchr("/+#", text[i]))
			return false;
	}
	return true;
}

/* Everything fits: levels are bounded, the rest is ours. */
static void init_test(struct topics *t, const char *site, const char *hub, bool test)
{
	const char *between = test ? "/test" : "";

	for (int g = 0; g <= GROUP_VITALS; g++)
		(void)snprintf(t->reading[test][g], TOPIC_MAX, ROOT "/%s/%s%s/reading/%s", site,
			       hub, between, metric_group_name((enum metric_group)g));
	(void)snprintf(t->goal[test], TOPIC_MAX, ROOT "/%s/%s%s/goal", site, hub, between);
	(void)snprintf(t->correction[test], TOPIC_MAX, ROOT "/%s/%s%s/correction", site, hub,
		       between);
}

int topics_init(struct topics *t, const char *site, const char *hub, const void *descriptor,
		size_t len)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	if (!topic_level_is_good(site) || !topic_level_is_good(hub))
		return -EINVAL;
	(void)crypto_hash_sha256(hash, descriptor, len);
	(void)sodium_bin2hex(t->digest, sizeof(t->digest), hash, DIGEST_BYTES);
	init_test(t, site, hub, false);
	init_test(t, site, hub, true);
	(void)snprintf(t->status, TOPIC_MAX, ROOT "/%s/%s/status", site, hub);
	(void)snprintf(t->command, TOPIC_MAX, ROOT "/%s/%s/command", site, hub);
	(void)snprintf(t->receipt, TOPIC_MAX, ROOT "/%s/%s/receipt", site, hub);
	(void)snprintf(t->reply, TOPIC_MAX, ROOT "/%s/%s/reply", site, hub);
	(void)snprintf(t->schema, TOPIC_MAX, ROOT "/schema/%s", t->digest);
	(void)snprintf(t->client, sizeof(t->client), "wellgate-%s-%s", site, hub);
	for (int i = 0; i < CONTENT_END; i++)
		(void)snprintf(t->content_type[i], sizeof(t->content_type[i]),
			       "application/protobuf; messageType=\"%s\"; schema=%s",
			       message_types[i], t->digest);
	return 0;
}
