#include "drivers/transport/chance.h"

#include <stdint.h>
#include <sys/random.h>

#include "drivers/session.h"

void chance_give(struct session *s)
{
	uint8_t bytes[DRV_RANDOM_MAX];
	const ssize_t n = getrandom(bytes, sizeof(bytes), GRND_NONBLOCK);

	if (n > 0)
		session_set_random(s, bytes, (size_t)n);
}
