/* links: gateway_control */
/* Anything that may come over a broker: what is opened is what OpenSSL signed for the corpus, to
 * the byte, for nobody can sign anything else here. The corpus has one such envelope. */
#include <string.h>

#include "gateway/control/signed.h"
#include "tests/fuzz/must.h"

#define KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" /* RFC 8032, first test */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct signed_key key = { .last = 7 };
	const struct signed_door door = {
		.keys = &key, .n = 1, .hub = "hub-7", .now_ms = INT64_C(1795446000000)
	};
	struct signed_command command;

	must(signed_key_parse(KEY, key.key) == 0);
	(void)memset(&command, MUST_UNTOUCHED, sizeof(command));
	if (signed_open(&door, data, size, &command) < 0) {
		must_be_untouched(&command, sizeof(command));
		return 0;
	}
	must(command.key == 0 && command.serial == 8 && command.len == 6);
	must(command.payload > data && command.payload + command.len < data + size);
	must(memcmp(command.payload, "golden", 6) == 0);
	return 0;
}
