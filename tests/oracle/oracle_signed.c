/* Opens an envelope of a signed command from standard input: oracle_signed KEY HUB NOW. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/control/signed.h"

int main(int argc, char **argv)
{
	static uint8_t envelope[8192];
	struct signed_key key = { .last = 0 };
	struct signed_command command;
	struct signed_door door;
	size_t len;

	if (argc != 4 || signed_key_parse(argv[1], key.key) < 0)
		return 2;
	door = (struct signed_door){
		.keys = &key, .n = 1, .hub = argv[2], .now_ms = strtoll(argv[3], NULL, 10)
	};
	len = fread(envelope, 1, sizeof(envelope), stdin);
	if (signed_open(&door, envelope, len, &command) < 0)
		return 1;
	return fwrite(command.payload, 1, command.len, stdout) == command.len ? 0 : 2;
}
