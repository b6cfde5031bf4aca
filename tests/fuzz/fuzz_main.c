/*
 * Runs a fuzz target over files without libFuzzer, so that every target is an ordinary test too.
 * Each input is an exact-size heap copy: from a large static buffer a read past the end would go
 * unseen by the sanitizers.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");
	int r = -1;

	if (data && file && fread(data, 1, size, file) == size) {
		(void)LLVMFuzzerTestOneInput(data, size);
		r = 0;
	}
	if (file)
		(void)fclose(file);
	free(data);
	return r;
}

static long run_folder(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	long count = 0;

	if (!folder)
		return -1;
	while (count >= 0 && (entry = readdir(folder))) {
		char name[PATH_MAX];
		struct stat st;

		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= (int)sizeof(name))
			count = -1;
		else if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
			count = run_file(name, (size_t)st.st_size) == 0 ? count + 1 : -1;
	}
	(void)closedir(folder);
	return count;
}

/* number of inputs run, or -1 */
static long run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return run_folder(path);
	if ((size_t)st.st_size > INPUT_MAX)
		return -1;
	return run_file(path, (size_t)st.st_size) < 0 ? -1 : 1;
}

int main(int argc, char **argv)
{
	long total = 0;

	for (int i = 1; i < argc; i++) {
		const long count = run_path(argv[i]);

		if (count <= 0) {
			(void)fprintf(stderr, "%s: no inputs, or not readable\n", argv[i]);
			return 1;
		}
		total += count;
	}
	(void)printf("%ld inputs\n", total);
	return total > 0 ? 0 : 1;
}
