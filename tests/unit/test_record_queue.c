/* links: gateway_record */
/* The queue between the two threads, the worker on it, and the settings. */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/broker_address.h"
#include "gateway/record/queue.h"
#include "gateway/record/service.h"
#include "gateway/record/settings.h"
#include "tests/unit/broker.h"
#include "tests/unit/record_make.h"

#define MESSAGES 300

struct giver {
	struct queue *queue;
	atomic_uint given;
	bool wait;
	int result;
};

static void *give(void *user)
{
	struct giver *g = user;

	for (unsigned int i = 0; i < MESSAGES && g->result == 0; i++) {
		char payload[16];
		int len = snprintf(payload, sizeof(payload), "%u", i);

		g->result = queue_put(g->queue, "topic", payload, (size_t)len, g->wait);
		if (g->result == 0)
			atomic_store(&g->given, i + 1);
	}
	return NULL;
}

/* in order, nothing missing, however it is taken */
static void in_order_and_bounded(void **state)
{
	struct queue q;
	struct giver g = { .queue = &q };
	struct queue_item items[7];
	pthread_t thread;
	unsigned int next = 0;

	(void)state;
	assert_int_equal(queue_init(&q, 4), 0);
	assert_int_equal(pthread_create(&thread, NULL, give, &g), 0);
	while (next < MESSAGES) {
		size_t n;

		queue_take(&q, items, 7, &n);
		assert_true(n >= 1 && n <= 4);
		for (size_t i = 0; i < n; i++, next++) {
			char expected[16];
			int len = snprintf(expected, sizeof(expected), "%u", next);

			assert_int_equal(items[i].len, len);
			assert_memory_equal(items[i].payload, expected, items[i].len);
			assert_string_equal(items[i].topic, "topic");
		}
		queue_done(&q, n);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(g.result, 0);
	queue_finish(&q);
}

/* a message is not given before it is done: that is what the broker's acknowledgement hangs on */
static void giving_waits_for_done(void **state)
{
	struct queue q;
	struct giver g = { .queue = &q, .wait = true };
	struct queue_item item;
	pthread_t thread;
	size_t n;

	(void)state;
	assert_int_equal(queue_init(&q, 4), 0);
	assert_int_equal(pthread_create(&thread, NULL, give, &g), 0);
	for (unsigned int i = 0; i < 20; i++) {
		queue_take(&q, &item, 1, &n);
		assert_int_equal(n, 1);
		assert_int_equal(atomic_load(&g.given), i);
		queue_done(&q, 1);
	}
	queue_take(&q, &item, 1, &n);
	queue_stop(&q); /* the one that was taken will never be called done */
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(g.result, -ESHUTDOWN);
	assert_int_equal(atomic_load(&g.given), 20);
	queue_take(&q, &item, 1, &n);
	assert_int_equal(n, 1); /* still there for who wants to store it */
	queue_done(&q, 1);
	queue_take(&q, &item, 1, &n);
	assert_int_equal(n, 0);
	assert_int_equal(queue_put(&q, "t", "", 0, false), -ESHUTDOWN);
	assert_true(queue_pause(&q, 60000));
	queue_finish(&q);
}

static void giants_do_not_fit(void **state)
{
	struct queue q;

	(void)state;
	assert_int_equal(queue_init(&q, 1), 0);
	assert_int_equal(queue_put(&q, "t", "", QUEUE_BYTES_MAX, false), -EMSGSIZE);
	assert_false(queue_pause(&q, 1));
	queue_finish(&q);
}

/* ---- the worker ---- */

struct world {
	struct queue queue;
	struct ledger ledger;
	struct db *db;
	char dir[64];
	unsigned int receipts, stored;
};

static void count_receipt(struct ledger_receipt *receipt, void *user)
{
	struct world *w = user;

	w->receipts++;
	free(receipt->payload);
}

static void count_stored(const struct queue_item *item, void *user)
{
	struct world *w = user;

	assert_non_null(item->topic);
	w->stored++;
}

static int count_rows(const struct db_row *row, void *user)
{
	*(long *)user = strtol(row->column[0], NULL, 10);
	return 0;
}

/* a group is one transaction and one receipt per hub; what is in it when we stop is stored, too */
static void the_worker_stores_all(void **state)
{
	struct world w = { .receipts = 0 };
	struct service s = { .queue = &w.queue,
			     .ledger = &w.ledger,
			     .receipt = count_receipt,
			     .stored = count_stored,
			     .user = &w };
	struct db_options o = { 0 };
	const char *argv[] = { "rm", "-rf", w.dir, NULL };
	char url[128];
	uint8_t buf[4096];
	long rows = 0;
	pid_t pid;

	(void)state;
	(void)snprintf(w.dir, sizeof(w.dir), "/tmp/wellgate-test-XXXXXX");
	must(mkdtemp(w.dir) && sodium_init() >= 0);
	(void)snprintf(url, sizeof(url), "sqlite:%s/record.db", w.dir);
	o.url = url;
	assert_int_equal(db_open(&o, &w.db), 0);
	assert_int_equal(ledger_init(&w.ledger, w.db, "test"), 0);
	assert_int_equal(queue_init(&w.queue, 64), 0);
	for (uint8_t i = 1; i <= 40; i++) {
		struct make_reading m;
		size_t len;

		make_reading(&m, i, i);
		len = make_batch(buf, sizeof(buf), MAKE_EPOCH, &m, 1);
		assert_int_equal(queue_put(&w.queue, "wellgate/v1/site/hub1/reading/activity", buf,
					   len, false),
				 0);
	}
	assert_int_equal(queue_put(&w.queue, "nonsense", "x", 1, false), 0);
	queue_stop(&w.queue);
	assert_int_equal(service_run(&s), 0);
	assert_int_equal(w.stored, 41);
	assert_int_equal(w.receipts, 1);
	assert_int_equal(db_run(w.db, "SELECT COUNT(*) FROM reading", NULL, 0, count_rows, &rows),
			 0);
	assert_int_equal(rows, 40);
	ledger_finish(&w.ledger);
	db_close(w.db);
	queue_finish(&w.queue);
	pid = broker_spawn(argv, "/dev/null");
	must(waitpid(pid, NULL, 0) == pid);
}

/* ---- settings ---- */

static void settings_are_checked(void **state)
{
	static const struct {
		const char *section, *key, *value;
		int result;
	} rows[] = {
		{ "record", "database", "sqlite:/x/y.db", 0 },
		{ "record", "database", "postgresql://u@h/d", 0 },
		{ "record", "database", "mysql://h", -EINVAL },
		{ "record", "database", "sqlite:", -EINVAL },
		{ "record", "name", "worker-1", 0 },
		{ "record", "name", "a/b", -EINVAL },
		{ "record", "share", "$x", -EINVAL },
		{ "record", "hubs", "a/b  +/c", 0 },
		{ "record", "hubs", "a", -EINVAL },
		{ "record", "hubs", "a/b/c", -EINVAL },
		{ "record", "hubs", "a/#", -EINVAL },
		{ "record", "acknowledge", "commit", 0 },
		{ "record", "acknowledge", "now", -EINVAL },
		{ "record", "queue", "0", -EINVAL },
		{ "record", "queue", "65536", 0 },
		{ "record", "session_days", "-1", -EINVAL },
		{ "broker", "url", "mqtts://h:8883", 0 },
		{ "broker", "url", "http://h", -EINVAL },
		{ "broker", "ca_file", "relative", -EINVAL },
		{ "broker", "nonsense", "1", -ENOENT },
	};
	struct settings s;
	const char *allowed = NULL, *hub;
	size_t len = 0;

	(void)state;
	assert_int_equal(settings_init(&s), 0);
	assert_null(settings_hub(&s, 0, &len));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		allowed = NULL;
		assert_int_equal(
			settings_set(&s, rows[i].section, rows[i].key, rows[i].value, &allowed),
			rows[i].result);
		assert_true((allowed != NULL) == (rows[i].result == -EINVAL));
	}
	hub = settings_hub(&s, 1, &len);
	assert_true(hub && len == 3 && strncmp(hub, "+/c", 3) == 0);
	assert_null(settings_hub(&s, 2, &len));
	assert_null(settings_fault(&s));
	assert_int_equal(settings_set(&s, "broker", "cert_file", "/c", &allowed), 0);
	assert_non_null(settings_fault(&s));
	settings_finish(&s);
}

static void in_the_clear_only_on_this_machine(void **state)
{
	struct settings s;
	const char *allowed = NULL;

	(void)state;
	assert_int_equal(settings_init(&s), 0);
	assert_null(settings_fault(&s));
	assert_int_equal(settings_set(&s, "broker", "url", "mqtt://broker.example", &allowed), 0);
	assert_string_equal(settings_fault(&s), BROKER_IN_CLEAR_TEXT);
	assert_int_equal(settings_set(&s, "broker", "url", "mqtt://127.evil.example", &allowed), 0);
	assert_non_null(settings_fault(&s));
	assert_int_equal(settings_set(&s, "broker", "url", "mqtts://broker.example", &allowed), 0);
	assert_null(settings_fault(&s));
	settings_finish(&s);
}

static void a_file_says_what_is_wrong(void **state)
{
	char dir[] = "/tmp/wellgate-test-XXXXXX", path[64];
	const char *argv[] = { "rm", "-rf", dir, NULL };
	struct settings s;
	char *error = NULL;
	pid_t pid;

	(void)state;
	must(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a.conf", dir);
	broker_write_file(dir, "a.conf", "[record]\nname = one\n[broker]\nkeep_alive = 30\n");
	assert_int_equal(settings_init(&s), 0);
	assert_int_equal(settings_load(&s, path, &error), 0);
	assert_string_equal(s.name, "one");
	assert_int_equal(s.keep_alive, 30);
	broker_write_file(dir, "a.conf", "[record]\nqueue = many\n");
	assert_int_equal(settings_load(&s, path, &error), -EINVAL);
	assert_non_null(strstr(error, "queue in [record]: allowed is 1 to 65536"));
	free(error);
	error = NULL;
	broker_write_file(dir, "a.conf", "[record]\nthis is no line\n");
	assert_int_equal(settings_load(&s, path, &error), -EINVAL);
	assert_non_null(strstr(error, ":2: expected"));
	free(error);
	settings_finish(&s);
	pid = broker_spawn(argv, "/dev/null");
	must(waitpid(pid, NULL, 0) == pid);
}

/* what the shipped example shows in comments is known and accepted, and it shows every key */
static void the_example_is_complete(void **state)
{
	const char *slash = strrchr(__FILE__, '/');
	char path[512], line[256];
	const char *allowed = NULL;
	struct settings s;
	size_t keys = 0;
	FILE *in;

	(void)state;
	assert_non_null(slash);
	(void)snprintf(path, sizeof(path), "%.*s/../../gateway/dist/wellgate-record.conf",
		       (int)(slash - __FILE__), __FILE__);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_int_equal(settings_init(&s), 0);
	while (fgets(line, sizeof(line), in)) {
		char *key = line[0] == '#' ? line + 1 : line, *value = strstr(key, " = ");
		int r;

		if (key[0] == ' ' || !value)
			continue;
		value[0] = '\0';
		value += strlen(" = ");
		value[strcspn(value, "\n")] = '\0';
		r = settings_set(&s, "record", key, value, &allowed);
		if (r == -ENOENT)
			r = settings_set(&s, "broker", key, value, &allowed);
		assert_int_equal(r, 0);
		keys++;
	}
	(void)fclose(in);
	assert_int_equal(keys, 14); /* all of settings.c */
	assert_null(settings_fault(&s));
	settings_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order_and_bounded),
		cmocka_unit_test(giving_waits_for_done),
		cmocka_unit_test(giants_do_not_fit),
		cmocka_unit_test(the_worker_stores_all),
		cmocka_unit_test(settings_are_checked),
		cmocka_unit_test(in_the_clear_only_on_this_machine),
		cmocka_unit_test(a_file_says_what_is_wrong),
		cmocka_unit_test(the_example_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
