/* wellgate kit: prepares a box at the desk, and lets the box take what was prepared. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/config.h"
#include "gateway/control/signed.h"
#include "gateway/kit/box.h"
#include "gateway/kit/bundle.h"
#include "gateway/kit/card.h"
#include "gateway/kit/plan.h"

#define KEYS_MAX  32
#define PLAN_MAX  ((size_t)64 * 1024)
#define KEY_BYTES ((size_t)256)

static const char usage[] =
	"usage: wellgate kit keys FILE\n"
	"       wellgate kit box\n"
	"       wellgate kit prepare PLAN --key FILE --to FOLDER [--serial N]\n"
	"       wellgate kit apply FOLDER [--root ROOT] [--keep]\n\n"
	"keys     makes a team's key: FILE stays at the desk, FILE.pub goes into each box as\n"
	"         /etc/wellgate/kit.keys\n"
	"box      says which box this is\n"
	"prepare  writes FOLDER/wellgate-kit for a USB stick or the boot partition, and what is\n"
	"         to be printed into FOLDER/print\n"
	"apply    lets this box take it; a kit that was altered, is for another box, or old, is\n"
	"         refused and changes nothing\n\n"
	"  --serial N   default: the time; a box takes no kit with a lower one than the last\n"
	"  --root ROOT  the box is mounted there\n"
	"  --keep       leave the keys on the stick\n"
	"  --json\n\n"
	"Exit status: 0 done (or was done before), 64 usage, 65 refused, 74 I/O.\n";

struct kit_args {
	const char *verb, *what, *key, *to, *root;
	uint64_t serial;
	bool json, keep;
};

/* ---- keys, box ---- */

static int write_text(const char *path, mode_t mode, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool good =
		f && fputs(text, f) >= 0 && fputc('\n', f) >= 0 && fflush(f) == 0 && fsync(fd) == 0;

	if (f)
		good = fclose(f) == 0 && good;
	return good ? 0 : cli_fail("kit", EXIT_IO, "cannot write %s: %s", path, strerror(errno));
}

static int make_keys(const struct kit_args *a)
{
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	char text[2 * sizeof(secret)], path[PATH_MAX];
	int code;

	if (snprintf(path, sizeof(path), "%s.pub", a->what) >= (int)sizeof(path))
		return cli_fail("kit", EXIT_USAGE, "the name is too long");
	(void)crypto_sign_keypair(public, secret);
	(void)sodium_bin2base64(text, sizeof(text), secret, sizeof(secret),
				sodium_base64_VARIANT_ORIGINAL);
	code = write_text(a->what, 0600, text);
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(text, sizeof(text));
	(void)sodium_bin2base64(text, sizeof(text), public, sizeof(public),
				sodium_base64_VARIANT_ORIGINAL);
	return code ? code : write_text(path, 0644, text);
}

static int say_box(const struct kit_args *a)
{
	char box[KIT_BOX + 1];

	if (kit_box(a->root, box) < 0)
		return cli_fail("kit", EXIT_IO, "this machine says nothing of itself");
	if (a->json)
		(void)printf("{\"box\":\"%s\"}\n", box);
	else
		(void)printf("%s\n", box);
	return EXIT_GOOD;
}

/* ---- prepare ---- */

static int read_secret(const char *path, uint8_t ret[crypto_sign_SECRETKEYBYTES])
{
	_cleanup_free_ uint8_t *text = NULL;
	struct stat st;
	size_t len = 0, n = 0;
	int r = kit_read_file(AT_FDCWD, path, KEY_BYTES, true, &text, &len);

	if (r < 0)
		return cli_fail("kit", EXIT_IO, "cannot read %s: %s", path, strerror(-r));
	if (stat(path, &st) < 0 || (st.st_mode & 077))
		return cli_fail("kit", EXIT_DATA, "%s may be read by others: chmod 600", path);
	r = sodium_base642bin(ret, crypto_sign_SECRETKEYBYTES, (char *)text, len, "\r\n", &n, NULL,
			      sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(text, len);
	if (r != 0 || n != crypto_sign_SECRETKEYBYTES)
		return cli_fail("kit", EXIT_DATA, "%s is no key of `wellgate kit keys`", path);
	return 0;
}

static int read_plan(const char *path, struct kit_plan **ret)
{
	_cleanup_free_ uint8_t *text = NULL;
	_cleanup_free_ char *error = NULL;
	const char *slash = strrchr(path, '/');
	uint8_t random[REFERENCE_RANDOM];
	char folder[PATH_MAX];
	size_t len;
	int r = kit_read_file(AT_FDCWD, path, PLAN_MAX, true, &text, &len);

	if (r < 0)
		return cli_fail("kit", EXIT_IO, "cannot read %s: %s", path, strerror(-r));
	(void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
		       slash ? path : ".");
	randombytes_buf(random, sizeof(random));
	if (strlen((char *)text) != len)
		return cli_fail("kit", EXIT_DATA, "%s: not a text file", path);
	r = kit_plan_read((char *)text, folder, random, ret, &error);
	if (r < 0)
		return cli_fail("kit", EXIT_DATA, "%s:%s", path, error ? error : "no memory");
	return 0;
}

static int add(struct kit_bundle *b, const char *name, const void *data, size_t len)
{
	const int r = kit_bundle_add(b, name, data, len);

	return r < 0 ? cli_fail("kit", EXIT_DATA, "%s: %s", name, strerror(-r)) : 0;
}

static int add_sources(struct kit_bundle *b, const struct kit_plan *p)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < p->n_sources; i++) {
		_cleanup_free_ uint8_t *data = NULL;
		size_t len;
		const int r = kit_read_file(AT_FDCWD, p->sources[i].path, KIT_BYTES_MAX, true,
					    &data, &len);

		if (r < 0)
			return cli_fail("kit", EXIT_IO, "cannot read %s: %s", p->sources[i].path,
					strerror(-r));
		code = add(b, p->sources[i].name, data, len);
		sodium_memzero(data, len);
	}
	return code;
}

/* With the daemon's own eyes. */
static int check_conf(const struct kit_plan *p)
{
	_cleanup_free_ char *error = NULL;
	struct config *config = NULL;
	char path[] = "/tmp/wellgate-kit.XXXXXX";
	const int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int r = f && fputs(p->conf, f) >= 0 ? 0 : -EIO;

	if (f && fclose(f) != 0)
		r = -EIO;
	if (r == 0)
		r = config_load(path, &config, &error);
	(void)unlink(path);
	config_free(config);
	if (r == 0)
		return 0;
	return cli_fail("kit", EXIT_DATA, "wellgated would not take it%s",
			error && strchr(error, ' ') ? strchr(error, ' ') : "");
}

static int fill(struct kit_bundle *b, const struct kit_plan *p)
{
	_cleanup_free_ char *registry = NULL;
	int code;

	if (kit_plan_registry(p, b->manifest.issued, &registry) < 0)
		return cli_fail("kit", EXIT_IO, "no memory");
	code = add(b, "wellgate.conf", p->conf, strlen(p->conf));
	if (code == 0 && registry)
		code = add(b, "registry.json", registry, strlen(registry));
	return code ? code : add_sources(b, p);
}

static int print_one(const char *folder, const char *name, int r, char *text)
{
	_cleanup_free_ char *svg = text;
	char path[PATH_MAX];

	if (r < 0 || snprintf(path, sizeof(path), "%s/print/%s", folder, name) >= (int)sizeof(path))
		return cli_fail("kit", EXIT_IO, "cannot draw %s", name);
	(void)unlink(path);
	return write_text(path, 0644, svg);
}

static int print_all(const struct kit_args *a, const struct kit_plan *p)
{
	char path[PATH_MAX], *text = NULL;
	int code = 0, r;

	if (snprintf(path, sizeof(path), "%s/print", a->to) >= (int)sizeof(path) ||
	    (mkdir(path, 0755) < 0 && errno != EEXIST))
		return cli_fail("kit", EXIT_IO, "cannot make %s/print: %s", a->to, strerror(errno));
	for (size_t i = 0; code == 0 && i < p->n_devices; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "card-%zu.svg", i + 1);
		text = NULL;
		r = kit_card(p, i, &text);
		code = print_one(a->to, name, r, text);
	}
	if (code)
		return code;
	text = NULL;
	r = kit_label(p, &text);
	return print_one(a->to, "label.svg", r, text);
}

static void say_prepared(const struct kit_args *a, const struct kit_bundle *b,
			 const struct kit_plan *p)
{
	const struct kit_manifest *m = &b->manifest;

	if (a->json)
		(void)printf("{\"box\":\"%s\",\"serial\":%" PRIu64
			     ",\"cards\":%zu,\"subject\":%s%s%s}\n",
			     m->box, m->serial, p->n_devices, p->subject[0] ? "\"" : "",
			     p->subject[0] ? p->subject : "null", p->subject[0] ? "\"" : "");
	else
		(void)printf("%s/" KIT_FOLDER " is for box %s, for %u days.\n", a->to, m->box,
			     p->days);
	if (!a->json && p->is_new)
		(void)printf("Its person is %s: keep this with their notes.\n", p->subject);
	if (!a->json)
		(void)printf("To print: %zu card%s and a label, in %s/print.\n", p->n_devices,
			     p->n_devices == 1 ? "" : "s", a->to);
}

static int make(const struct kit_args *a, const struct kit_plan *p, const uint8_t *secret)
{
	struct kit_bundle *b = calloc(1, sizeof(*b));
	int code, r = 0;

	if (!b)
		return cli_fail("kit", EXIT_IO, "no memory");
	b->manifest.issued = (int64_t)time(NULL);
	b->manifest.expires = b->manifest.issued + (int64_t)p->days * 24 * 3600;
	b->manifest.serial = a->serial ? a->serial : (uint64_t)b->manifest.issued;
	(void)memcpy(b->manifest.box, p->box, sizeof(p->box));
	code = fill(b, p);
	if (code == 0)
		r = kit_bundle_sign(b, secret);
	if (code == 0 && r == 0)
		r = kit_bundle_write(b, a->to);
	if (r == -EEXIST)
		code = cli_fail("kit", EXIT_DATA, "there is a kit in %s; it is not replaced",
				a->to);
	else if (r < 0)
		code = cli_fail("kit", EXIT_IO, "cannot write it: %s", strerror(-r));
	if (code == 0)
		code = print_all(a, p);
	if (code == 0)
		say_prepared(a, b, p);
	kit_bundle_free(b);
	return code;
}

static int prepare(const struct kit_args *a)
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct kit_plan *p = NULL;
	int code;

	if (!a->key || !a->to)
		return cli_fail("kit", EXIT_USAGE, "--key FILE and --to FOLDER are needed");
	code = read_secret(a->key, secret);
	if (code == 0)
		code = read_plan(a->what, &p);
	if (p)
		code = check_conf(p);
	if (p && code == 0)
		code = make(a, p, secret);
	kit_plan_free(p);
	sodium_memzero(secret, sizeof(secret));
	return code;
}

/* ---- apply ---- */

/* The box's whole configuration, with the kit in it. Paths in it are the box's own. */
static int check_whole(void *user)
{
	const struct kit_args *a = user;
	_cleanup_free_ char *error = NULL;
	struct config *config = NULL;
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/etc/wellgate/wellgate.conf", a->root);
	r = config_load(path, &config, &error);
	config_free(config);
	if (r < 0)
		(void)cli_fail("kit", EXIT_DATA, "%s", error ? error : "no memory");
	return r;
}

static const char *reason(int r)
{
	static const struct {
		int r;
		const char *text;
	} reasons[] = {
		{ -EKEYREJECTED, "it is not signed by a team that this box knows, or was altered" },
		{ -EBADMSG, "it is not whole, or was altered" },
		{ -EXDEV, "it is for another box" },
		{ -ETIME, "it is too old" },
		{ -EINVAL, "its settings do not go with this box; the one before stays" },
		{ -ENOENT, "there is no kit" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].r == r)
			return reasons[i].text;
	return strerror(-r);
}

static bool is_refusal(int r)
{
	return r == -EKEYREJECTED || r == -EBADMSG || r == -EXDEV || r == -ETIME || r == -EINVAL;
}

static int say_applied(const struct kit_args *a, const char *outcome, uint64_t serial)
{
	if (a->json)
		(void)printf("{\"outcome\":\"%s\",\"serial\":%" PRIu64 "}\n", outcome, serial);
	else
		(void)printf("Kit %" PRIu64 ": %s.\n", serial, outcome);
	return EXIT_GOOD;
}

/* One that was applied before, perhaps up to a power cut. */
static int again(const struct kit_args *a, const struct kit_bundle *b, uint64_t installed)
{
	if (b->manifest.serial < installed)
		return cli_fail("kit", EXIT_DATA, "refused: this box has a later one");
	if (kit_drop_in(a->root) < 0)
		return cli_fail("kit", EXIT_IO, "cannot write /etc/wellgate");
	return say_applied(a, "was applied before", installed);
}

static int install(const struct kit_args *a, const struct kit_bundle *b)
{
	int r = kit_bundle_install(b, a->root, check_whole, (void *)(uintptr_t)a);

	if (r < 0)
		return cli_fail("kit", is_refusal(r) ? EXIT_DATA : EXIT_IO, "%s: %s",
				is_refusal(r) ? "refused" : "cannot take it", reason(r));
	r = a->keep ? 0 : kit_bundle_burn(b, a->what);
	if (r < 0)
		(void)cli_fail("kit", EXIT_IO, "the keys are still on the stick: %s", strerror(-r));
	return say_applied(a, "applied", b->manifest.serial);
}

static int apply(const struct kit_args *a)
{
	uint8_t keys[KEYS_MAX][32];
	struct kit_bundle *b = NULL;
	char box[KIT_BOX + 1], path[PATH_MAX];
	struct kit_door door = { .keys = (const uint8_t(*)[32])keys, .box = box };
	int code, r;

	(void)snprintf(path, sizeof(path), "%s" KIT_KEYS, a->root);
	r = kit_keys_read(path, keys, KEYS_MAX, &door.n);
	if (r < 0)
		return cli_fail("kit", EXIT_IO, "cannot read %s, the teams that this box knows: %s",
				path, strerror(-r));
	if (kit_box(a->root, box) < 0)
		return cli_fail("kit", EXIT_IO, "this machine says nothing of itself");
	door.serial = kit_installed(a->root);
	door.now = (int64_t)time(NULL);
	r = kit_bundle_read(a->what, &door, &b);
	if (b && r == 0)
		code = install(a, b);
	else if (b && r == -EALREADY)
		code = again(a, b, door.serial);
	else
		code = cli_fail("kit", is_refusal(r) ? EXIT_DATA : EXIT_IO, "%s: %s",
				is_refusal(r) ? "refused" : "cannot read it", reason(r));
	kit_bundle_free(b);
	return code;
}

/* ---- the command ---- */

static const struct verb {
	const char *name;
	bool takes_one;
	int (*run)(const struct kit_args *a);
} verbs[] = {
	{ "keys", true, make_keys },
	{ "box", false, say_box },
	{ "prepare", true, prepare },
	{ "apply", true, apply },
};

static bool take_serial(const char *text, uint64_t *ret)
{
	const size_t len = strlen(text);

	if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*ret = strtoull(text, NULL, 10);
	return *ret > 0;
}

/* -1 = go on, or the exit code */
static int parse(int argc, char **argv, struct kit_args *a)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "to", required_argument, NULL, 't' },
		{ "serial", required_argument, NULL, 's' },
		{ "root", required_argument, NULL, 'r' },
		{ "keep", no_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		if (option == 'k')
			a->key = optarg;
		else if (option == 't')
			a->to = optarg;
		else if (option == 'r')
			a->root = optarg;
		else if (option == 'e')
			a->keep = true;
		else if (option == 'j')
			a->json = true;
		else if (option != 's' || !take_serial(optarg, &a->serial))
			return cli_fail("kit", EXIT_USAGE,
					"unknown or incomplete option; see --help");
	}
	a->verb = optind < argc ? argv[optind] : "";
	a->what = optind + 1 < argc ? argv[optind + 1] : NULL;
	return argc - optind > 2 ? cli_fail("kit", EXIT_USAGE, "too many words; see --help") : -1;
}

int cmd_kit(int argc, char **argv)
{
	struct kit_args a = { .verb = "", .root = "" };
	int code = parse(argc, argv, &a);

	if (code >= 0)
		return code;
	if (sodium_init() < 0)
		return cli_fail("kit", EXIT_IO, "no random numbers");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, a.verb) == 0 && verbs[i].takes_one == (a.what != NULL))
			return verbs[i].run(&a);
	return cli_fail("kit", EXIT_USAGE,
			"keys FILE, box, prepare PLAN or apply FOLDER; see --help");
}
