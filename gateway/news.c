#include "gateway/news.h"

#define NEWS(name) WELLGATE__V1__NEWS__NEWS_##name
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

static const struct news_words words[] = {
	{ NEWS(PRESS_BUTTON), "It waits until its button is pressed.",
	  "devices that wait until their button is pressed",
	  "press its button, or choose the transfer in its menu, as its manual says" },
	{ NEWS(MODEL_NOT_SUPPORTED), "This model, or what it sends, cannot be read yet.",
	  "devices that cannot be read yet",
	  "wellgate capture records what it sends, for whoever adds it; nothing needs to be done "
	  "at "
	  "the device" },
	{ NEWS(MEMORY_FULL), "Its memory is full.", "devices whose memory is full",
	  "let it be read, then clear its memory at the device, as its manual says" },
	{ NEWS(READINGS_LOST),
	  "It ran out of memory before it was read: some readings are missing.",
	  "devices that ran out of memory before they were read",
	  "leave it near this box, or plug it in, more often" },
	{ NEWS(CLOCK_NOT_SET), "Its clock is not set, so the time of its readings is not certain.",
	  "devices whose clock is not set", "set date and time at the device, as its manual says" },
	{ NEWS(BATTERY_LOW), "Its battery is low.", "devices whose battery is low",
	  "change or charge it" },
	{ NEWS(MEASURE_AGAIN), "Its last measurement gave no result.",
	  "devices whose last measurement gave no result",
	  "that happens; after a short rest, measure once more" },
	{ NEWS(ENCRYPTED_NO_KEY), "What it sends is encrypted, and this hub has no key for it.",
	  "devices that send encrypted, with no key for them here",
	  "its owner can put the key into the key folder of this hub" },
	{ NEWS(KEY_WRONG), "What it sends is encrypted, and the key of this hub does not fit.",
	  "devices whose key of this hub does not fit",
	  "its owner can put the right key into the key folder of this hub" },
	{ NEWS(NOT_CHOSEN), "Nobody has chosen yet which device it reads.",
	  "base stations for which no device is chosen",
	  "choose the device that belongs to the person: wellgate fitbit --help" },
	{ NEWS(OUT_OF_REACH), "The device that it reads was not near.",
	  "base stations whose device was not near", "bring the device near for some minutes" },
	{ NEWS(ANOTHER_DEVICE), "Another device answered than before. Nothing of it was read.",
	  "devices that are not the one they were before",
	  "see which one belongs to the person, and choose that one" },
	{ NEWS(UNSPECIFIED), "It has news that this version has no words for.",
	  "devices with news that this version has no words for",
	  "wellgate and wellgate-devices should be of one version" },
};

uint32_t news_of(const Wellgate__V1__News *news, size_t n)
{
	uint32_t set = 0;

	for (size_t i = 0; i < n; i++) {
		const int value = (int)news[i];

		if (value > 0 && value < NEWS_MAX)
			set |= UINT32_C(1) << value;
	}
	return set;
}

size_t news_list(uint32_t set, Wellgate__V1__News ret[NEWS_MAX])
{
	size_t n = 0;

	for (int i = 1; i < NEWS_MAX; i++) {
		if (set & UINT32_C(1) << i)
			ret[n++] = (Wellgate__V1__News)i;
	}
	return n;
}

const struct news_words *news_words(Wellgate__V1__News news)
{
	for (size_t i = 0; i < COUNT(words); i++) {
		if (words[i].news == news)
			return &words[i];
	}
	return &words[COUNT(words) - 1];
}
