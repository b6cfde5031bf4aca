/* What staff and people say: events of the registry, and the end of a person here. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "drivers/log.h"
#include "gateway/pipeline_part.h"
#include "gateway/registry/index.h"
#include "gateway/words/words.h"

#define PROVEN WELLGATE__V1__REGISTRY_EVENT__WIPE__WIPE_PROVEN

/* The reading that an event names. */
struct named {
	bool any;
	uint8_t key[REGISTRY_DIGEST]; /* its dedupe key */
	uint8_t device[REGISTRY_DIGEST];
	uint64_t at; /* published: behind which to look for it; held: anywhere */
};

static int refuse(const char **ret_problem, int error, enum words_id sentence)
{
	*ret_problem = words_text(WORDS_EN, sentence);
	return error;
}

/* where this event names a reading; NULL: nowhere */
static ProtobufCBinaryData *reading_field(Wellgate__V1__RegistryEvent *e)
{
	if (e->what_case == WELLGATE__V1__REGISTRY_EVENT__WHAT_PRESSED)
		return e->pressed->has_reading ? &e->pressed->reading : NULL;
	if (e->what_case == WELLGATE__V1__REGISTRY_EVENT__WHAT_FILED)
		return e->filed->has_reading ? &e->filed->reading : NULL;
	return NULL;
}

static int find_named(struct pipeline *p, const ProtobufCBinaryData *id, struct named *ret,
		      const char **ret_problem)
{
	const Wellgate__V1__Reading *reading;
	struct store_found found;
	int r;

	if (id->len != REGISTRY_DIGEST)
		return refuse(ret_problem, -EBADMSG, WORDS_REG_READING);
	r = store_find(p->parts.store, id->data, &found);
	if (r <= 0)
		return r < 0 ? r : refuse(ret_problem, -ENOENT, WORDS_READING_NONE);
	arena_reset(&p->arena);
	reading = wellgate__v1__reading__unpack(arena_protobuf(&p->arena), found.row.len,
						found.row.payload);
	if (!reading || reading->dedupe_key.len != sizeof(ret->key))
		return refuse(ret_problem, -ENOENT, WORDS_READING_NONE);
	if (!reading->device || reading->device->serial_digest.len != sizeof(ret->device))
		return refuse(ret_problem, -ENOENT, WORDS_READING_NO_DEVICE);
	memcpy(ret->key, reading->dedupe_key.data, sizeof(ret->key));
	memcpy(ret->device, reading->device->serial_digest.data, sizeof(ret->device));
	ret->at = found.held ? 0 : found.row.sequence - 1;
	ret->any = true;
	return 0;
}

/* In the journal it is named by what all of its revisions have in common. */
static int name_reading(struct pipeline *p, Wellgate__V1__RegistryEvent *event, struct named *ret,
			const char **ret_problem)
{
	ProtobufCBinaryData *field = reading_field(event);
	bool is_kept = true;
	int r = field ? find_named(p, field, ret, ret_problem) : 0;

	if (r == 0 && ret->any)
		r = refile_is_kept(p, ret->key, ret->at, &is_kept);
	if (r == 0 && !is_kept)
		return refuse(ret_problem, -ENOENT, WORDS_READING_NOT_KEPT);
	if (r < 0 || !ret->any)
		return r;
	*field = (ProtobufCBinaryData){ sizeof(ret->key), ret->key };
	event->has_device = true;
	event->device = (ProtobufCBinaryData){ sizeof(ret->device), ret->device };
	return 0;
}

static void stamp(struct pipeline *p, Wellgate__V1__RegistryEvent *event)
{
	struct receipt now;

	intake_now(p->parts.intake, &now);
	event->has_revision = event->has_at_ms = event->has_clock_synced = true;
	event->revision = registry_revision(filing_registry(p->filing)) + 1;
	event->at_ms = now.utc_ms;
	event->clock_synced = now.synced;
}

/* Nothing of the transaction stays, and the registry is what the journal says. */
static int take_back(struct pipeline *p, int r)
{
	if (!p->deaf)
		pipeline_give_up(p, r);
	if (filing_load(p->filing, &p->arena) < 0)
		log_error("the registry cannot be read again");
	return r;
}

static int take_event(struct pipeline *p, Wellgate__V1__RegistryEvent *event,
		      const struct named *named, const char **ret_problem)
{
	int r = filing_register(p->filing, event, ret_problem);

	if (r < 0 && *ret_problem)
		return r; /* the registry refused it, and nothing was changed */
	if (r == 0)
		r = refile_event(p, event, named->any ? named->key : NULL, named->at);
	if (r == 0)
		r = pipeline_commit(p);
	return r < 0 ? take_back(p, r) : 0;
}

/* Does this hub take events at all, now? */
static int check_open(struct pipeline *p, const char **ret_problem)
{
	*ret_problem = NULL;
	if (p->parts.config->subject && !filing_in_use(p->filing))
		return refuse(ret_problem, -EPERM, WORDS_HUB_ONE_PERSON);
	if (filing_is_incomplete(p->filing))
		return refuse(ret_problem, -EUCLEAN, WORDS_HUB_LOANS);
	if (p->deaf)
		return refuse(ret_problem, -ENOSPC, WORDS_HUB_FULL);
	return pipeline_commit(p);
}

int pipeline_register(struct pipeline *p, Wellgate__V1__RegistryEvent *event,
		      const char **ret_problem)
{
	const bool had_device = event->has_device;
	const ProtobufCBinaryData device = event->device;
	ProtobufCBinaryData *field = reading_field(event), reading = { 0, NULL };
	struct named named = { .any = false };
	int r = check_open(p, ret_problem);

	if (field)
		reading = *field;
	if (r == 0)
		r = name_reading(p, event, &named, ret_problem);
	if (r == 0) {
		stamp(p, event);
		r = take_event(p, event, &named, ret_problem);
	}
	if (field)
		*field = reading;
	event->has_device = had_device;
	event->device = device;
	return r;
}

int pipeline_register_all(struct pipeline *p, Wellgate__V1__RegistryEvent *const *events, size_t n,
			  const char **ret_problem)
{
	int r = check_open(p, ret_problem);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		stamp(p, events[i]);
		r = filing_register(p->filing, events[i], ret_problem);
	}
	if (r < 0 && *ret_problem) { /* the registry refused one: the ones before it go, too */
		store_rollback(p->parts.store);
		return filing_load(p->filing, &p->arena) < 0 ? take_back(p, -EIO) : r;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = refile_event(p, events[i], NULL, 0);
	if (r == 0)
		r = pipeline_commit(p);
	return r < 0 ? take_back(p, r) : 0;
}

/* ---- a device's own memory ---- */

/* What the proof is the digest of: this text, the device, the revision of the event and how many
 * records there were, so who has the event can make it again. */
#define PROOF_CONTEXT "wellgate/device-memory-emptied-and-read-again\n"

static void put_be(uint8_t *to, size_t n, uint64_t value)
{
	for (size_t i = n; i > 0; i--) {
		to[i - 1] = (uint8_t)value;
		value >>= 8;
	}
}

static void prove(const struct pipeline *p, const uint8_t *device, uint32_t records,
		  uint8_t ret[crypto_hash_sha256_BYTES])
{
	const uint64_t revision = registry_revision(filing_registry(p->filing)) + 1;
	uint8_t numbers[sizeof(revision) + sizeof(records)];
	crypto_hash_sha256_state state;

	put_be(numbers, sizeof(revision), revision);
	put_be(numbers + sizeof(revision), sizeof(records), records);
	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, (const uint8_t *)PROOF_CONTEXT,
					sizeof(PROOF_CONTEXT) - 1);
	(void)crypto_hash_sha256_update(&state, device, REGISTRY_DIGEST);
	(void)crypto_hash_sha256_update(&state, numbers, sizeof(numbers));
	(void)crypto_hash_sha256_final(&state, ret);
}

void pipeline_wiped(struct pipeline *p, const struct intake_device *device,
		    Wellgate__V1__RegistryEvent__Wipe outcome, uint32_t records)
{
	Wellgate__V1__RegistryEvent__Wiped m = WELLGATE__V1__REGISTRY_EVENT__WIPED__INIT;
	Wellgate__V1__RegistryEvent e = WELLGATE__V1__REGISTRY_EVENT__INIT;
	uint8_t digest[REGISTRY_DIGEST], proof[crypto_hash_sha256_BYTES];
	const char *problem = NULL;
	int r;

	if (outcome < PROVEN || outcome > WELLGATE__V1__REGISTRY_EVENT__WIPE__WIPE_LEFT ||
	    !device->has_digest) {
		log_warning("a device says how its memory was emptied, and it is not understood");
		return;
	}
	if (outcome == PROVEN)
		inventory_emptied(inventory_device(&p->inventory, device));
	memcpy(digest, device->serial_digest, sizeof(digest));
	if (!registry_device(filing_registry(p->filing), digest))
		return;
	prove(p, digest, records, proof);
	m.has_outcome = m.has_records = true;
	m.outcome = outcome;
	m.records = records;
	m.has_proof = outcome == PROVEN;
	if (m.has_proof)
		m.proof = (ProtobufCBinaryData){ sizeof(proof), proof };
	e.has_device = true;
	e.device = (ProtobufCBinaryData){ sizeof(digest), digest };
	e.what_case = WELLGATE__V1__REGISTRY_EVENT__WHAT_WIPED;
	e.wiped = &m;
	r = pipeline_register(p, &e, &problem);
	if (r < 0)
		log_error("the emptied memory of a device could not be noted: %s",
			  problem ? problem : strerror(-r));
}

/* ---- the end of a person here ---- */

/* Held readings that name the person are asked again; what still waits after that is in *ret. */
static int prepare(struct pipeline *p, const char *subject, struct pipeline_erasure *ret)
{
	int r = pipeline_commit(p);

	if (r < 0)
		return r;
	r = refile_held(p);
	if (r == 0)
		r = store_person(p->parts.store, subject, &ret->person);
	if (r < 0) {
		pipeline_give_up(p, r);
		return r;
	}
	r = pipeline_commit(p);
	if (r == 0)
		r = store_person_waiting(p->parts.store, subject, &ret->waiting);
	return r == 0 && ret->waiting > 0 ? -EBUSY : r;
}

int pipeline_erase(struct pipeline *p, const char *subject, struct pipeline_erasure *ret)
{
	bool known = false;
	int r;

	*ret = (struct pipeline_erasure){ .waiting = 0 };
	if (p->deaf)
		return -ENOSPC;
	if (filing_is_incomplete(p->filing))
		return -EUCLEAN;
	if (registry_is_here(filing_registry(p->filing), subject, pipeline_now_ms(p), &known))
		return -EEXIST;
	if (!known)
		return -ENOENT;
	r = prepare(p, subject, ret);
	if (r < 0)
		return r;
	r = store_erase_person(p->parts.store, subject);
	if (r < 0)
		return r;
	filing_forget(p->filing, subject);
	/* what the registry remembers of them has a stand-in now, as after the next start; their
	 * goals went with their key */
	r = filing_load(p->filing, &p->arena);
	if (r == 0)
		r = pipeline_load_goals(p);
	return r == 0 ? refill_book(p) : r;
}

/* Somebody whose last assignment has ended, whose key is still there, and nothing of whom waits. */
static int find_leaver(struct pipeline *p, char ret[REFERENCE_TEXT_MAX])
{
	const struct registry *r = filing_registry(p->filing);
	struct registry_device_row device;
	struct registry_claim_row claim;
	uint64_t waiting = 0;
	bool known;

	for (size_t i = 0; i < registry_devices(r); i++) {
		registry_device_at(r, i, &device);
		for (size_t k = 0; k < device.claims; k++) {
			int found;

			registry_claim_at(r, i, k, &claim);
			if (claim.session || claim.ended == 0 ||
			    registry_is_here(r, claim.subject, pipeline_now_ms(p), &known))
				continue;
			found = store_person_waiting(p->parts.store, claim.subject, &waiting);
			if (found < 0 && found != -ENOENT)
				return found;
			if (found < 0 || waiting > 0)
				continue; /* a stand-in, or not yet */
			(void)snprintf(ret, REFERENCE_TEXT_MAX, "%s", claim.subject);
			return 1;
		}
	}
	return 0;
}

int pipeline_erase_leaver(struct pipeline *p)
{
	struct pipeline_erasure erasure;
	char subject[REFERENCE_TEXT_MAX];
	int r;

	if (p->deaf || filing_is_incomplete(p->filing))
		return 0;
	r = find_leaver(p, subject);
	if (r <= 0)
		return r;
	r = pipeline_erase(p, subject, &erasure);
	if (r < 0)
		return r == -EBUSY ? 0 : r; /* a held reading became theirs: it is sent first */
	log_info("a person who has left was erased");
	return 1;
}
