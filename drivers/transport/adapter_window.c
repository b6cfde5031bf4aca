#include "drivers/transport/adapter_window.h"

#include <assert.h>

enum window_verdict window_judge(const struct window *w, enum window_request request,
				 const struct ble_address *address, int64_t now)
{
	static const enum window_verdict verdicts[WINDOW_REQUEST_END] = {
		[WINDOW_PIN_CODE] = WINDOW_REFUSE,  [WINDOW_DISPLAY_PIN_CODE] = WINDOW_REFUSE,
		[WINDOW_PASSKEY] = WINDOW_ASK,      [WINDOW_DISPLAY_PASSKEY] = WINDOW_ASK,
		[WINDOW_CONFIRMATION] = WINDOW_ASK, [WINDOW_AUTHORIZATION] = WINDOW_AGREE,
		[WINDOW_SERVICE] = WINDOW_DECLINE,
	};

	assert(request < WINDOW_REQUEST_END);
	/* a bonded device may ask for its services at any time; that pairs nothing */
	if (request == WINDOW_SERVICE)
		return WINDOW_DECLINE;
	if (!w->is_open || now >= w->until || !address || !ble_address_equal(address, &w->address))
		return WINDOW_REFUSE;
	return verdicts[request];
}
