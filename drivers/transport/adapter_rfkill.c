#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rfkill.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/transport/adapter_private.h"

int adapter_read_file(const char *root, const char *path, char *ret, size_t size)
{
	_cleanup_free_ char *full = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (asprintf(&full, "%s/%s", root, path) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	if (n > 0 && ret[n - 1] == '\n')
		n--;
	ret[n] = '\0';
	return 0;
}

static bool file_says(const char *root, const char *folder, const char *name, const char *value)
{
	char path[300], text[32];

	(void)snprintf(path, sizeof(path), "sys/class/rfkill/%.200s/%s", folder, name);
	return adapter_read_file(root, path, text, sizeof(text)) == 0 && strcmp(text, value) == 0;
}

static int index_of(const char *folder, unsigned int *ret)
{
	char *end;
	unsigned long n;

	if (strncmp(folder, "rfkill", 6) != 0 || folder[6] < '0' || folder[6] > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(folder + 6, &end, 10);
	if (*end || errno || n > UINT32_MAX)
		return -EINVAL;
	*ret = (unsigned int)n;
	return 0;
}

int rfkill_read(const char *root, const char *hci, struct rfkill *ret)
{
	_cleanup_free_ char *path = NULL;
	const struct dirent *entry;
	int r = -ENOENT;
	DIR *folder;

	if (asprintf(&path, "%s/sys/class/rfkill", root) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (r < 0 && (entry = readdir(folder))) {
		struct rfkill rfkill = { 0 };

		if (index_of(entry->d_name, &rfkill.index) < 0 ||
		    !file_says(root, entry->d_name, "type", "bluetooth") ||
		    !file_says(root, entry->d_name, "name", hci))
			continue;
		rfkill.soft = file_says(root, entry->d_name, "soft", "1");
		rfkill.hard = file_says(root, entry->d_name, "hard", "1");
		*ret = rfkill;
		r = 0;
	}
	(void)closedir(folder);
	return r;
}

int rfkill_block(const char *root, unsigned int index, bool block)
{
	const struct rfkill_event event = {
		.idx = index, .type = RFKILL_TYPE_BLUETOOTH, .op = RFKILL_OP_CHANGE, .soft = block
	};
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&path, "%s/dev/rfkill", root) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (write(fd, &event, sizeof(event)) != (ssize_t)sizeof(event))
		return errno ? -errno : -EIO;
	return 0;
}
