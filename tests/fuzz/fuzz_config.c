/* links: gateway_config */
/* A configuration file of any bytes: loaded, or refused with one line; never anything else. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config *c = NULL;
	char *error = NULL, path[64];
	const int fd = memfd_create("config", 0);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(path, &c, &error) < 0) {
		if (c || !error || strchr(error, '\n'))
			abort();
	} else if (!c || !c->site || !c->time_zone || c->n_goals > CONFIG_GOALS_MAX) {
		abort();
	}
	config_free(c);
	free(error);
	(void)close(fd);
	return 0;
}
