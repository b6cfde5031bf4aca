/* links: dfu_sims protocols */
/*
 * Firmware updates against simulated devices: the link cut after every message, the power at every
 * message and at every change of the device's memory, and what devices refuse.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/dfu/run.h"

#define OLD_LEN 1100
#define NEW_LEN 1603 /* neither a multiple of a word nor of a page */
#define BIG_LEN ((size_t)400 * 1024)

static uint8_t old_image[OLD_LEN], new_image[NEW_LEN], big_image[BIG_LEN];
static uint8_t hash[32], file_hash[32], legacy_init[14], secure_init[140];

/* synthetic; the first word is what starts a program, and not erased */
static void fill(uint8_t *image, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		image[i] = (uint8_t)(seed >> 24);
	}
}

static struct dfu_plan make_plan(const uint8_t *image, size_t len)
{
	sim_put32(legacy_init + 10, sim_crc(image, len));
	secure_init[0] = 0x5a;
	sim_put32(secure_init + 1, sim_crc(image, len));
	memset(hash, 0xbb, sizeof(hash));
	memset(file_hash, 0xcc, sizeof(file_hash));
	return (struct dfu_plan){
		.image = image,
		.len = len,
		.part = DFU_NORDIC_APPLICATION,
		.address = 0x08000000,
		.vid = 0x1209,
		.pid = 0x0001,
		.file_hash = file_hash,
		.image_hash = hash,
	};
}

struct row {
	const char *name;
	const struct dfu_protocol *protocol;
	struct sim_options options;
	enum dfu_proof proof;
	bool one_bank;
};

static const struct row ROWS[] = {
	{ .name = "usb tolerant",
	  .protocol = &DFU_USB,
	  .options = { .kind = SIM_USB_DFU, .attributes = 7, .transfer = 256 },
	  .proof = DFU_PROOF_READ_BACK },
	{ .name = "usb write only",
	  .protocol = &DFU_USB,
	  .options = { .kind = SIM_USB_DFU, .attributes = 9, .transfer = 512 },
	  .proof = DFU_PROOF_ACCEPTED },
	{ .name = "dfuse",
	  .protocol = &DFU_USB,
	  .options = { .kind = SIM_USB_DFUSE, .attributes = 11, .transfer = 256 },
	  .proof = DFU_PROOF_READ_BACK,
	  .one_bank = true },
	{ .name = "nordic legacy",
	  .protocol = &DFU_NORDIC_LEGACY,
	  .options = { .kind = SIM_NORDIC_LEGACY, .mtu = 23 },
	  .proof = DFU_PROOF_ACCEPTED },
	{ .name = "nordic secure",
	  .protocol = &DFU_NORDIC_SECURE,
	  .options = { .kind = SIM_NORDIC_SECURE, .mtu = 64, .knows_version = true, .object = 512 },
	  .proof = DFU_PROOF_ACCEPTED },
	{ .name = "smp",
	  .protocol = &DFU_SMP,
	  .options = { .kind = SIM_SMP, .mtu = 64, .smp_buffer = 384 },
	  .proof = DFU_PROOF_HASH },
};

#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

struct bench {
	struct sim sim;
	struct run run;
	struct dfu_plan plan;
};

static struct bench *bench_new(const struct row *row, const struct sim_options *o)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct sim_options options = *o;

	assert_non_null(b);
	options.bank = options.bank != 0 ? options.bank : 2048;
	options.page = options.page != 0 ? options.page : 512;
	options.version = 5;
	b->plan = make_plan(new_image, sizeof(new_image));
	if (row->protocol == &DFU_NORDIC_LEGACY) {
		b->plan.init = legacy_init;
		b->plan.init_len = sizeof(legacy_init);
	} else {
		b->plan.init = secure_init;
		b->plan.init_len = sizeof(secure_init);
	}
	sim_init(&b->sim, &options, old_image, sizeof(old_image), new_image, sizeof(new_image));
	b->sim.new_hash = hash;
	return b;
}

static void bench_free(struct bench *b)
{
	sim_done(&b->sim);
	free(b);
}

static const struct run_options QUIET = { 0 };

static void update(struct bench *b, const struct row *row, const struct run_options *o)
{
	run_update(&b->run, &b->sim, row->protocol, &b->plan, o);
}

static void assert_installed(const struct bench *b, const struct row *row, const char *when,
			     uint64_t at)
{
	if (b->run.dfu.outcome != DFU_INSTALLED || sim_runs(&b->sim) != SIM_NEW)
		fail_msg("%s: %s %u: outcome %d, \"%s\" (%u), runs %d", row->name, when,
			 (unsigned int)at, (int)b->run.dfu.outcome,
			 dfu_refusal_text(b->run.dfu.refusal), (unsigned int)b->run.dfu.code,
			 (int)sim_runs(&b->sim));
}

/* old or new, never between; with one bank it may have none and wait for it */
static void assert_whole(const struct bench *b, const struct row *row, const char *when,
			 uint64_t at)
{
	enum sim_runs runs = sim_runs(&b->sim);

	if (runs != SIM_OLD && runs != SIM_NEW && !(row->one_bank && runs == SIM_WAITS))
		fail_msg("%s: %s %u: it starts %d", row->name, when, (unsigned int)at, (int)runs);
}

static void test_update(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct bench *b = bench_new(&ROWS[i], &ROWS[i].options);

		update(b, &ROWS[i], &QUIET);
		assert_installed(b, &ROWS[i], "undisturbed", 0);
		assert_int_equal(b->run.dfu.proof, ROWS[i].proof);
		assert_int_equal(b->run.dfu.done, NEW_LEN);
		assert_true(b->run.dfu.links <= 3);
		bench_free(b);
	}
}

/* One cut; then somebody begins anew, unless the same run goes on. */
static void cut_once(const struct row *row, const struct run_options *o)
{
	struct bench *b = bench_new(row, &row->options);

	update(b, row, o);
	assert_true(b->run.was_cut);
	if (o->stop) {
		assert_whole(b, row, "cut at message", o->cut_at);
		update(b, row, &QUIET);
	}
	assert_installed(b, row, o->stop ? "begun anew after message" : "gone on after message",
			 o->cut_at);
	bench_free(b);
}

static void test_link_cut_after_every_message(void **state)
{
	struct run_options o = { 0 };
	uint64_t messages;
	struct bench *b;

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		b = bench_new(&ROWS[i], &ROWS[i].options);
		update(b, &ROWS[i], &QUIET);
		messages = b->run.messages;
		bench_free(b);
		assert_true(messages > 20);
		for (o.cut_at = 1; o.cut_at <= messages; o.cut_at++) {
			for (unsigned int how = 0; how < 8; how++) {
				o.undelivered = (how & 1) != 0;
				o.power = (how & 2) != 0;
				o.stop = (how & 4) != 0;
				cut_once(&ROWS[i], &o);
			}
		}
	}
}

static void power_cut_at(const struct row *row, uint64_t operation)
{
	struct bench *b = bench_new(row, &row->options);

	b->sim.flash.cut_at = operation;
	update(b, row, &QUIET);
	assert_whole(b, row, "power cut at operation", operation);
	if (b->run.dfu.outcome != DFU_INSTALLED)
		update(b, row, &QUIET);
	assert_installed(b, row, "power cut at operation", operation);
	bench_free(b);
}

static void test_power_cut_at_every_write(void **state)
{
	uint64_t operations;
	struct bench *b;

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		b = bench_new(&ROWS[i], &ROWS[i].options);
		update(b, &ROWS[i], &QUIET);
		operations = b->sim.flash.operations;
		bench_free(b);
		assert_true(operations > NEW_LEN / FLASH_WORD);
		for (uint64_t at = 1; at <= operations; at++)
			power_cut_at(&ROWS[i], at);
	}
}

/* ---- what goes on after a lost link, and what it costs ---- */

static void test_goes_on_where_it_was(void **state)
{
	struct run_options o = { .stop = true };
	uint64_t whole;
	struct bench *b;

	(void)state;
	for (size_t i = 4; i < N_ROWS; i++) { /* those that know an offset */
		b = bench_new(&ROWS[i], &ROWS[i].options);
		update(b, &ROWS[i], &QUIET);
		whole = b->run.written;
		o.cut_at = b->run.messages * 3 / 4;
		bench_free(b);
		b = bench_new(&ROWS[i], &ROWS[i].options);
		update(b, &ROWS[i], &o);
		update(b, &ROWS[i], &QUIET);
		assert_installed(b, &ROWS[i], "begun anew", o.cut_at);
		assert_true(b->run.written < whole / 2);
		bench_free(b);
	}
}

/* Half of another image is in the device: nothing of that one is left in what it then runs. */
static void test_another_image_was_begun(void **state)
{
	struct run_options o = { .stop = true };

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		for (o.cut_at = 12; o.cut_at < 60; o.cut_at += 7) {
			struct bench *b = bench_new(&ROWS[i], &ROWS[i].options);

			b->plan.image = big_image; /* as long as the other one */
			sim_put32(legacy_init + 10, sim_crc(big_image, NEW_LEN));
			sim_put32(secure_init + 1, sim_crc(big_image, NEW_LEN));
			memset(file_hash, 0xdd, sizeof(file_hash));
			update(b, &ROWS[i], &o);
			b->plan = make_plan(new_image, NEW_LEN);
			b->plan.init = i == 3 ? legacy_init : secure_init;
			b->plan.init_len = i == 3 ? sizeof(legacy_init) : sizeof(secure_init);
			update(b, &ROWS[i], &QUIET);
			assert_installed(b, &ROWS[i], "another one was begun", o.cut_at);
			bench_free(b);
		}
	}
}

/*
 * Of the bytes that were written to the device, which are the image? Of all bytes that the link
 * carried, with ATT's headers and the answers? And of what whole packets could have carried?
 */
static void print_payload(const struct row *row, const struct run *run)
{
	uint64_t all = run->written + run->answered + 3 * (run->writes + run->answers);

	print_message("%s, buffer %u: 400 KiB are %.3f of what was written, %.3f of all bytes, "
		      "%.3f of full packets\n",
		      row->name, (unsigned int)row->options.smp_buffer,
		      (double)BIG_LEN / (double)run->written, (double)BIG_LEN / (double)all,
		      (double)BIG_LEN / (double)(run->image_packets * 244));
	assert_true(BIG_LEN * 100u >= run->written * 90);
	/* an answer to each 384 bytes is what that buffer costs */
	assert_true(BIG_LEN * 100u >= all * (row->options.smp_buffer == 384 ? 85 : 90));
}

static void payload_of(struct row row, size_t smp_buffer)
{
	struct bench *b;

	row.options.mtu = 247;
	row.options.object = 0;
	row.options.smp_buffer = smp_buffer;
	row.options.bank = (size_t)512 * 1024;
	row.options.page = 4096;
	b = bench_new(&row, &row.options);
	b->plan.image = big_image;
	b->plan.len = BIG_LEN;
	sim_put32(legacy_init + 10, sim_crc(big_image, BIG_LEN));
	sim_put32(secure_init + 1, sim_crc(big_image, BIG_LEN));
	b->sim.new_image = big_image;
	b->sim.new_len = BIG_LEN;
	update(b, &row, &QUIET);
	assert_installed(b, &row, "400 KiB", 0);
	print_payload(&row, &b->run);
	bench_free(b);
}

static void test_payload_at_mtu_247(void **state)
{
	(void)state;
	payload_of(ROWS[3], 0);
	payload_of(ROWS[4], 0);
	payload_of(ROWS[5], 384);
	payload_of(ROWS[5], 1024);
}

/* ---- faults and refusals ---- */

static void expect_refusal(const struct row *row, const struct sim_options *o,
			   enum dfu_refusal refusal)
{
	struct bench *b = bench_new(row, o);

	update(b, row, &QUIET);
	if (b->run.dfu.outcome != DFU_REFUSED || b->run.dfu.refusal != refusal)
		fail_msg("%s: outcome %d, \"%s\" (%u), not \"%s\"", row->name,
			 (int)b->run.dfu.outcome, dfu_refusal_text(b->run.dfu.refusal),
			 (unsigned int)b->run.dfu.code, dfu_refusal_text(refusal));
	assert_whole(b, row, dfu_refusal_text(refusal), 0);
	bench_free(b);
}

static void test_wrong_device(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct sim_options o = ROWS[i].options;
		struct bench *b;

		o.other_hardware = true;
		expect_refusal(&ROWS[i], &o, DFU_WRONG_DEVICE);
		/* and it still has what it had, with one bank too */
		b = bench_new(&ROWS[i], &o);
		update(b, &ROWS[i], &QUIET);
		assert_int_equal(sim_runs(&b->sim), SIM_OLD);
		bench_free(b);
	}
}

static void test_memory_that_fails(void **state)
{
	static const enum dfu_refusal erase[N_ROWS] = { DFU_ERASE, DFU_ERASE, DFU_ERASE,
							DFU_ERASE, DFU_FINE,  DFU_ERASE };
	static const enum dfu_refusal write[N_ROWS] = { DFU_WRITE, DFU_WRITE,  DFU_WRITE,
							DFU_WRITE, DFU_FAILED, DFU_WRITE };

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct sim_options o = ROWS[i].options;

		o.bad_write = true;
		expect_refusal(&ROWS[i], &o, write[i]);
		o.bad_write = false;
		o.bad_erase = true;
		if (erase[i] != DFU_FINE)
			expect_refusal(&ROWS[i], &o, erase[i]);
	}
}

static void test_short_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i += 2) {
		struct sim_options o = ROWS[i].options;

		o.short_upload = true;
		expect_refusal(&ROWS[i], &o, DFU_READ_BACK);
	}
}

static void test_slow_erase(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct sim_options o = ROWS[i].options;
		struct bench *b;

		o.erase_us = 5000000; /* each of the pages */
		b = bench_new(&ROWS[i], &o);
		update(b, &ROWS[i], &QUIET);
		assert_installed(b, &ROWS[i], "slow erase", 0);
		assert_true(b->run.dfu.links <= 3);
		bench_free(b);
	}
}

/* one wrong bit, once: those that can send it again do; always: all refuse, none starts it */
static void test_wrong_bits(void **state)
{
	static const enum dfu_refusal once[N_ROWS] = { DFU_CHECKSUM, DFU_CHECKSUM, DFU_READ_BACK,
						       DFU_CHECKSUM, DFU_FINE,     DFU_CHECKSUM };

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct sim_options o = ROWS[i].options;
		struct bench *b;

		o.corrupt = 3;
		if (once[i] != DFU_FINE) {
			expect_refusal(&ROWS[i], &o, once[i]);
		} else {
			b = bench_new(&ROWS[i], &o);
			update(b, &ROWS[i], &QUIET);
			assert_installed(b, &ROWS[i], "one wrong bit", 0);
			bench_free(b);
			o.corrupt_for = UINT64_MAX;
			expect_refusal(&ROWS[i], &o, DFU_CHECKSUM);
		}
	}
}

static void test_device_that_falls_silent(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		for (uint64_t at = 1; at < 40; at += 3) {
			struct sim_options o = ROWS[i].options;
			struct bench *b;

			o.mute_at = at;
			b = bench_new(&ROWS[i], &o);
			b->sim.o.mute_at = at;
			update(b, &ROWS[i], &QUIET);
			assert_whole(b, &ROWS[i], "silent from message", at);
			assert_true(b->run.dfu.outcome != DFU_RUNNING);
			sim_power_on(&b->sim);
			update(b, &ROWS[i], &QUIET);
			assert_installed(b, &ROWS[i], "silent from message", at);
			bench_free(b);
		}
	}
}

static void test_firmware_that_does_not_start(void **state)
{
	static const size_t rows[] = { 1, 5 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sim_options o = ROWS[rows[i]].options;
		struct bench *b;

		o.reverts = true;
		b = bench_new(&ROWS[rows[i]], &o);
		b->plan.version = (struct dfu_version){ true, { 6, 0, 0, 0 } };
		update(b, &ROWS[rows[i]], &QUIET);
		assert_int_equal(b->run.dfu.outcome, DFU_REFUSED);
		assert_int_equal(b->run.dfu.refusal, DFU_NOT_STARTED);
		bench_free(b);
	}
}

static void test_older_version(void **state)
{
	static const size_t rows[] = { 0, 4, 5 };
	static const struct dfu_version old[] = { { true, { 4, 0, 0, 0 } },
						  { true, { 4, 0, 0, 0 } },
						  { true, { 1, 2, 8, 0 } } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct row *row = &ROWS[rows[i]];
		struct bench *b = bench_new(row, &row->options);

		b->plan.version = old[i];
		update(b, row, &QUIET);
		assert_int_equal(b->run.dfu.refusal, DFU_OLDER);
		assert_int_equal(b->sim.flash.operations, 0); /* nothing was touched */
		b->plan.allow_older = true;
		update(b, row, &QUIET);
		if (i != 0) /* the USB device tells a version of its own, and then it differs */
			assert_installed(b, row, "older, and allowed", 0);
		bench_free(b);
	}
}

static void test_too_large(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct sim_options o = ROWS[i].options;

		o.bank = 1536; /* the old one fits */
		expect_refusal(&ROWS[i], &o, i < 3 ? DFU_NOT_WRITABLE : DFU_TOO_LARGE);
	}
}

static void test_signature(void **state)
{
	const struct row *row = &ROWS[4];
	struct bench *b = bench_new(row, &row->options);

	(void)state;
	secure_init[0] = 0x00;
	update(b, row, &QUIET);
	assert_int_equal(b->run.dfu.refusal, DFU_SIGNATURE);
	assert_int_equal(sim_runs(&b->sim), SIM_OLD);
	bench_free(b);
}

static void test_links_that_never_come(void **state)
{
	struct bench *b = bench_new(&ROWS[4], &ROWS[4].options);
	const struct dfu_event lost = { .kind = DFU_LOST };
	struct dfu_request r;
	struct dfu d;
	int asked = 0;

	(void)state;
	assert_int_equal(dfu_begin(&d, &DFU_NORDIC_SECURE, &b->plan), 0);
	for (dfu_next(&d, 0, &r); r.act == DFU_RELINK; dfu_next(&d, 0, &r)) {
		asked++;
		dfu_event(&d, 0, &lost);
	}
	assert_int_equal(asked, DFU_LINKS_MAX + 1);
	assert_int_equal(r.act, DFU_END);
	assert_int_equal(d.refusal, DFU_LINK_LOST);
	bench_free(b);
}

static void test_program_without_dfu(void **state)
{
	struct dfu_usb_facts facts = { .vid = 0x1209, .mode = DFU_MODE_APPLICATION };
	const struct dfu_link link = { .mode = DFU_MODE_APPLICATION, .usb = &facts };
	const struct dfu_event linked = { .kind = DFU_LINKED, .link = &link };
	struct dfu_plan plan = make_plan(new_image, NEW_LEN);
	struct dfu d;

	(void)state;
	assert_int_equal(dfu_begin(&d, &DFU_USB, &plan), 0);
	dfu_event(&d, 0, &linked);
	assert_int_equal(d.outcome, DFU_REFUSED);
	assert_int_equal(d.refusal, DFU_NOT_WRITABLE);
}

static void test_plans_that_lack_something(void **state)
{
	struct dfu_plan plan = make_plan(new_image, NEW_LEN);
	struct dfu d;

	(void)state;
	assert_int_equal(dfu_begin(&d, &DFU_NORDIC_SECURE, &plan), -EINVAL);
	plan.image_hash = NULL;
	assert_int_equal(dfu_begin(&d, &DFU_SMP, &plan), -EINVAL);
	plan.len = 0;
	assert_int_equal(dfu_begin(&d, &DFU_USB, &plan), -EINVAL);
}

static void test_every_refusal_has_words(void **state)
{
	(void)state;
	for (int i = 0; i < DFU_REFUSAL_END; i++)
		assert_non_null(dfu_refusal_text((enum dfu_refusal)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_link_cut_after_every_message),
		cmocka_unit_test(test_power_cut_at_every_write),
		cmocka_unit_test(test_goes_on_where_it_was),
		cmocka_unit_test(test_another_image_was_begun),
		cmocka_unit_test(test_payload_at_mtu_247),
		cmocka_unit_test(test_wrong_device),
		cmocka_unit_test(test_memory_that_fails),
		cmocka_unit_test(test_short_read_back),
		cmocka_unit_test(test_slow_erase),
		cmocka_unit_test(test_wrong_bits),
		cmocka_unit_test(test_device_that_falls_silent),
		cmocka_unit_test(test_firmware_that_does_not_start),
		cmocka_unit_test(test_older_version),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_links_that_never_come),
		cmocka_unit_test(test_program_without_dfu),
		cmocka_unit_test(test_plans_that_lack_something),
		cmocka_unit_test(test_every_refusal_has_words),
	};

	fill(old_image, sizeof(old_image), 1);
	fill(new_image, sizeof(new_image), 2);
	fill(big_image, sizeof(big_image), 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
