/* Two times, field by field: the struct has padding. After cmocka.h. */
#pragma once

#include "protocols/gatt/time.h"

static inline void assert_same_time(const struct gatt_date_time *a, const struct gatt_date_time *b)
{
	assert_int_equal(a->year, b->year);
	assert_int_equal(a->month, b->month);
	assert_int_equal(a->day, b->day);
	assert_int_equal(a->hour, b->hour);
	assert_int_equal(a->minute, b->minute);
	assert_int_equal(a->second, b->second);
}
