/* links: transports */
/* What the pairing agent agrees to: every request, inside and outside the window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drivers/transport/adapter_window.h"

#define UNTIL INT64_C(60000000)

static const struct ble_address ours = { { 2, 0, 0x5e, 0x10, 0, 1 }, BLE_PUBLIC };
static const struct ble_address other = { { 2, 0, 0x5e, 0x10, 0, 2 }, BLE_PUBLIC };
static const struct ble_address same_bytes = { { 2, 0, 0x5e, 0x10, 0, 1 }, BLE_RANDOM };

static const enum window_verdict inside[WINDOW_REQUEST_END] = {
	[WINDOW_PIN_CODE] = WINDOW_REFUSE,  [WINDOW_DISPLAY_PIN_CODE] = WINDOW_REFUSE,
	[WINDOW_PASSKEY] = WINDOW_ASK,      [WINDOW_DISPLAY_PASSKEY] = WINDOW_ASK,
	[WINDOW_CONFIRMATION] = WINDOW_ASK, [WINDOW_AUTHORIZATION] = WINDOW_AGREE,
	[WINDOW_SERVICE] = WINDOW_DECLINE,
};

static enum window_verdict outside(enum window_request request)
{
	return request == WINDOW_SERVICE ? WINDOW_DECLINE : WINDOW_REFUSE;
}

static void inside_the_window(void **arg)
{
	const struct window w = { true, ours, UNTIL };

	(void)arg;
	for (unsigned int r = 0; r < WINDOW_REQUEST_END; r++)
		assert_int_equal(window_judge(&w, r, &ours, UNTIL - 1), inside[r]);
}

static void everybody_else_is_refused(void **arg)
{
	const struct window w = { true, ours, UNTIL };

	(void)arg;
	for (unsigned int r = 0; r < WINDOW_REQUEST_END; r++) {
		assert_int_equal(window_judge(&w, r, &other, 0), outside(r));
		assert_int_equal(window_judge(&w, r, &same_bytes, 0), outside(r));
		assert_int_equal(window_judge(&w, r, NULL, 0), outside(r));
	}
}

static void a_closed_window_agrees_to_nothing(void **arg)
{
	const struct window closed = { false, ours, UNTIL };
	const struct window over = { true, ours, UNTIL };

	(void)arg;
	for (unsigned int r = 0; r < WINDOW_REQUEST_END; r++) {
		assert_int_equal(window_judge(&closed, r, &ours, 0), outside(r));
		assert_int_equal(window_judge(&over, r, &ours, UNTIL), outside(r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inside_the_window),
		cmocka_unit_test(everybody_else_is_refused),
		cmocka_unit_test(a_closed_window_agrees_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
