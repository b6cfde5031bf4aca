#include "gateway/fleet_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/intake/intake.h"

#define FILE_MAX   256
#define MARK_BYTES 16

/* ---- the file ---- */

static int decode(const char *text, size_t len, uint8_t ret[FLEET_KEY_BYTES])
{
	static const char white[] = " \t\r\n";
	static const int variants[] = { sodium_base64_VARIANT_ORIGINAL,
					sodium_base64_VARIANT_ORIGINAL_NO_PADDING };
	size_t n = 0;

	if (sodium_hex2bin(ret, FLEET_KEY_BYTES, text, len, white, &n, NULL) == 0 &&
	    n == FLEET_KEY_BYTES)
		return 0;
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (sodium_base642bin(ret, FLEET_KEY_BYTES, text, len, white, &n, NULL,
				      variants[i]) == 0 &&
		    n == FLEET_KEY_BYTES)
			return 0;
	}
	return -EBADMSG;
}

int fleet_key_read(const char *file, uint8_t ret[FLEET_KEY_BYTES])
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint8_t key[FLEET_KEY_BYTES];
	char text[FILE_MAX];
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	r = n < FILE_MAX && sodium_init() >= 0 ? decode(text, (size_t)n, key) : -EBADMSG;
	if (r == 0)
		memcpy(ret, key, sizeof(key));
	sodium_memzero(text, sizeof(text));
	sodium_memzero(key, sizeof(key));
	return r;
}

/* ---- and whether it may be used ---- */

/* what the journal says: 1 and *ret, 0 no fleet key was ever taken */
static int taken(struct store *store, struct arena *arena, uint8_t ret[MARK_BYTES])
{
	struct store_row row = { 0 };
	int r, found = 0;

	while ((r = store_next_entry(store, row.sequence, &row)) > 0) {
		const Wellgate__V1__JournalEntry *entry;

		arena_reset(arena);
		entry = wellgate__v1__journal_entry__unpack(arena_protobuf(arena), row.len,
							    row.payload);
		if (!entry || entry->what_case != WELLGATE__V1__JOURNAL_ENTRY__WHAT_FLEET_KEY ||
		    entry->fleet_key.len != MARK_BYTES)
			continue;
		memcpy(ret, entry->fleet_key.data, MARK_BYTES);
		found = 1;
	}
	return r < 0 ? r : found;
}

/* nothing goes by the hub's own key yet */
static int is_new(struct store *store)
{
	struct store_counts counts;
	struct store_row row = { 0 };
	int r;

	store_counts(store, &counts);
	if (counts.last[LANE_READINGS] > 0 || counts.held > 0)
		return 0;
	r = store_next_entry(store, 0, &row);
	return r < 0 ? r : r == 0;
}

static int take(struct store *store, uint8_t mark[MARK_BYTES])
{
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;
	int r;

	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_FLEET_KEY;
	entry.fleet_key = (ProtobufCBinaryData){ MARK_BYTES, mark };
	r = store_add_entry(store, &entry, NULL);
	return r < 0 ? r : store_commit(store);
}

static int refuse(int error, const char *why)
{
	log_error("fleet_key_file: %s", why);
	return error;
}

/* The fleet's key is in `key`. 1: use it; 0: the hub's own. */
static int judge(struct store *store, const uint8_t key[FLEET_KEY_BYTES], int was_taken,
		 const uint8_t before[MARK_BYTES])
{
	uint8_t mark[MARK_BYTES];
	int r = intake_digest(key, "fleet key", mark);

	if (r < 0)
		return r;
	if (was_taken)
		return memcmp(mark, before, sizeof(mark)) == 0
			       ? 1
			       : refuse(-EKEYREJECTED, "this hub's devices are known by another");
	r = is_new(store);
	if (r > 0) {
		r = take(store, mark);
		return r < 0 ? r : 1;
	}
	if (r == 0)
		log_error("fleet_key_file is not used: this hub knows its devices by its own key "
			  "already; only a new state_dir can take another");
	return r;
}

int fleet_key_choose(const struct config *config, struct store *store, struct arena *arena,
		     uint8_t ret[FLEET_KEY_BYTES])
{
	uint8_t key[FLEET_KEY_BYTES], before[MARK_BYTES] = { 0 };
	const int was_taken = taken(store, arena, before);
	int r = was_taken;

	if (was_taken < 0)
		return r;
	if (!config->fleet_key_file) {
		if (was_taken)
			return refuse(-ENOKEY, "missing: this hub's devices are known by it");
		memcpy(ret, store_identity(store)->digest_key, FLEET_KEY_BYTES);
		return 0;
	}
	r = fleet_key_read(config->fleet_key_file, key);
	if (r < 0)
		return refuse(r, r == -EBADMSG ? "not 32 bytes in base64 or hexadecimal digits"
					       : strerror(-r));
	r = judge(store, key, was_taken, before);
	if (r > 0)
		memcpy(ret, key, sizeof(key));
	else if (r == 0)
		memcpy(ret, store_identity(store)->digest_key, FLEET_KEY_BYTES);
	sodium_memzero(key, sizeof(key));
	return r < 0 ? r : 0;
}
