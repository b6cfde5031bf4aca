/* links: gateway_pipeline gateway_publish gateway_registry gateway_intake gateway_goals gateway_store */
/* Two hubs of one owner that hear one cuff call it the same. */
#include "filing_world.h"
#include "gateway/fleet_key.h"

static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
static const char base64[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
static const char bare[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
static const char other[] = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

/* a file with this text, in the world's folder */
static void put_key(struct world *w, char path[128], const char *text)
{
	FILE *f;

	(void)snprintf(path, 128, "%s/fleet.key", w->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
	static const char *const good[] = { hex, base64, bare };
	static const char *const bad[] = { "", "00", "not a key",
					   "AAECAwQFBgcICQ==", "0001 and so on" };
	uint8_t key[FLEET_KEY_BYTES];
	struct world w;
	char path[128];

	(void)state;
	world_new(&w);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		put_key(&w, path, good[i]);
		assert_int_equal(fleet_key_read(path, key), 0);
		for (size_t k = 0; k < sizeof(key); k++)
			assert_int_equal(key[k], k);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_key(&w, path, bad[i]);
		assert_int_equal(fleet_key_read(path, key), -EBADMSG);
	}
	assert_int_equal(fleet_key_read("/nowhere/fleet.key", key), -ENOENT);
	world_free(&w);
}

/* what a hub says of one measurement */
struct said {
	uint8_t key[16], device[16];
};

static void one_reading(struct world *w, struct said *ret)
{
	Wellgate__V1__Reading *r;

	link_up(w, 1, "SYNTHETIC-1");
	measure(w, &(struct made){ .link = 1,
				   .systolic = 120,
				   .stamp_ms = STARTS - DAY,
				   .record = 7,
				   .compared = true });
	commit(w);
	r = shown(w, 1);
	memcpy(ret->key, r->dedupe_key.data, sizeof(ret->key));
	memcpy(ret->device, r->device->serial_digest.data, sizeof(ret->device));
	drop(r);
}

static void on_a_hub(const char *text, struct said *ret)
{
	struct world w;
	char path[128];

	world_new(&w);
	if (text) {
		put_key(&w, path, text);
		w.config.fleet_key_file = path;
	}
	start_up(&w);
	one_reading(&w, ret);
	shut_down(&w);
	world_free(&w);
}

static void test_two_hubs_agree(void **state)
{
	struct said a, b;

	(void)state;
	on_a_hub(hex, &a);
	on_a_hub(base64, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	on_a_hub(other, &b);
	assert_memory_not_equal(a.key, b.key, sizeof(a.key));
	assert_memory_not_equal(a.device, b.device, sizeof(a.device));
	/* and without one nobody can compare them */
	on_a_hub(NULL, &a);
	on_a_hub(NULL, &b);
	assert_memory_not_equal(a.key, b.key, sizeof(a.key));
}

static int choose(struct world *w, struct arena *arena)
{
	uint8_t key[FLEET_KEY_BYTES];

	return fleet_key_choose(&w->config, w->store, arena, key);
}

/* What is stored goes by the key: it is taken once, by a hub that is new. */
static void test_a_key_is_kept(void **state)
{
	struct said first, again;
	struct arena arena;
	struct world w;
	char path[128];

	(void)state;
	assert_int_equal(arena_init(&arena, 65536), 0);
	world_new(&w);
	put_key(&w, path, hex);
	w.config.fleet_key_file = path;
	start_up(&w);
	restart(&w);
	log_open("test", LOG_LEVEL_ERROR);
	put_key(&w, path, other);
	assert_int_equal(choose(&w, &arena), -EKEYREJECTED);
	w.config.fleet_key_file = NULL;
	assert_int_equal(choose(&w, &arena), -ENOKEY);
	w.config.fleet_key_file = path;
	put_key(&w, path, base64);
	assert_int_equal(choose(&w, &arena), 0);
	shut_down(&w);
	world_free(&w);
	/* one that has readings goes on with its own: the same memory adds nothing */
	world_new(&w);
	start_up(&w);
	one_reading(&w, &first);
	put_key(&w, path, hex);
	w.config.fleet_key_file = path;
	restart(&w);
	one_reading(&w, &again);
	assert_tally(&w, .published = 1);
	assert_memory_equal(&first, &again, sizeof(first));
	shut_down(&w);
	world_free(&w);
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_two_hubs_agree),
		cmocka_unit_test(test_a_key_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
