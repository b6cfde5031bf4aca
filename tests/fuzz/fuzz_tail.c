/* links: gateway_print */
/* What anybody may publish on our topics, printed in each format: the first byte picks topic and
 * format, the rest is the payload. No control character but the newline may reach the terminal
 * (JSON may carry DEL as it is: RFC 8259 section 7). */
#include <stdlib.h>

#include "gateway/cli/tail_print.h"

#define FORMATS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const topics[] = {
	"wellgate/v1/s/h/reading/bp", "wellgate/v1/s/h/test/reading/weight",
	"wellgate/v1/s/h/goal",       "wellgate/v1/s/h/correction",
	"wellgate/v1/s/h/status",     "wellgate/v1/s\033h/x",
};
#define N_TOPICS (sizeof(topics) / sizeof(topics[0]))

static void check_text(const char *text, size_t len, bool is_json)
{
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n') || (c == 0x7f && !is_json))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tail_printer printer; /* its arena is large: made once */
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (size == 0)
		return 0;
	out = open_memstream(&text, &len);
	if (!out)
		abort();
	if (!printer.out && tail_printer_init(&printer, out, TAIL_TEXT, UINT64_MAX) < 0)
		abort();
	printer.out = out;
	printer.format = (enum tail_format)(data[0] % FORMATS);
	(void)tail_print(&printer, topics[data[0] / FORMATS % N_TOPICS], data + 1, size - 1);
	(void)fclose(out);
	check_text(text, len, printer.format == TAIL_JSON);
	free(text);
	return 0;
}
