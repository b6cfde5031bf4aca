#include "tests/lab/usb/models/models.h"

#define DAY    86400
#define MINUTE 60

const struct usb_model *const usb_models[] = {
	&usb_phdc_cuff,     &usb_phdc_scale,   &usb_phdc_glucose,  &usb_phdc_oximeter,
	&usb_phdc_extended, &usb_phdc_meter,   &usb_phdc_preamble, &usb_beurer_hid,
	&usb_beurer_serial, &usb_omron_memory, &usb_omron_classic, &usb_microlife,
	&usb_fitbit_dongle, &usb_dfu,          &usb_dfuse,         NULL,
};

struct usb_pressure usb_pressure_of(const struct usb_device *d, uint32_t number)
{
	return (struct usb_pressure){
		.systolic = (uint16_t)(100 + number % 150),
		.diastolic = (uint16_t)(60 + number % 40),
		.mean = (uint16_t)(75 + number % 60),
		.pulse = (uint16_t)(60 + d->index),
	};
}

time_t usb_device_time(uint32_t number)
{
	static time_t begun;

	if (begun == 0)
		begun = (time(NULL) - DAY) / MINUTE * MINUTE;
	return begun + (time_t)number * MINUTE;
}

void usb_say_measured(const struct usb_device *d, uint32_t number, const char *values, time_t time)
{
	char stamp[32];
	struct tm t;

	(void)gmtime_r(&time, &t);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &t);
	usb_log(d, "measured n=%u %s time=%s", number, values, stamp);
}

void usb_say_pressure(const struct usb_device *d, uint32_t number, unsigned int user, bool mean,
		      time_t time)
{
	const struct usb_pressure p = usb_pressure_of(d, number);
	char text[128], more[32] = "", slot[24] = "";

	if (mean)
		(void)snprintf(more, sizeof(more), " mean_pressure=%u", p.mean);
	if (user)
		(void)snprintf(slot, sizeof(slot), " user=%u", user);
	(void)snprintf(text, sizeof(text), "systolic=%u diastolic=%u%s pulse=%u%s", p.systolic,
		       p.diastolic, more, p.pulse, slot);
	usb_say_measured(d, number, text, time);
}
