/* What `device`, `loan`, `session` and `held` share: options, the device that is meant, the
 * question to the gateway, and sentences out of gateway/words. */
#pragma once

#include "gateway/cli/device.h"
#include "gateway/words/words.h"

#define DESK_WORDS 4
#define DESK_PAGES 100000 /* of lists: more is a gateway that does not end */

/* options besides --json, --runtime-dir and --help */
enum desk_option {
	DESK_KIND = 1 << 0,    /* --kind, --slots, --memory, --clock, --slot-guessed */
	DESK_SUBJECT = 1 << 1, /* --subject */
	DESK_SLOT = 1 << 2,    /* --slot */
	DESK_LOAN = 1 << 3,    /* --owned, --shared, --wiped, --mark */
	DESK_AT = 1 << 4,      /* --at */
	DESK_ALL = 1 << 5,     /* --all */
	DESK_UNPAIR = 1 << 6,  /* --unpair */
	DESK_MINUTES = 1 << 7, /* --minutes */
};

struct desk_args {
	struct client client;
	const char *kind, *subject;
	bool has_slots, has_memory, clock, guessed, has_slot, owned, shared, wiped, has_mark;
	bool has_at, all, unpair, has_minutes;
	uint32_t slots, memory, slot, mark, minutes;
	int64_t at_ms;
	const char *words[DESK_WORDS]; /* what is no option: the verb, then what it is about */
	size_t n;
};

/* A subcommand of two words: `wellgate loan start`. */
struct desk_verb {
	const char *name;
	unsigned int takes; /* mask of desk_option */
	size_t least, most; /* words after the verb */
	int (*run)(struct desk_args *a);
};

/* Finds the verb, reads the options, opens the connection, runs it, closes. NULL ends `verbs`. */
int desk_main(int argc, char **argv, const char *usage, const struct desk_verb *verbs);

/* Asks and waits for the answer. 0 and *ret (free it: wellgate__v1__reply__free_unpacked), or the
 * exit code; what is wrong was said. reply->desk is there. */
int desk_ask(struct desk_args *a, Wellgate__V1__DeskCommand *m, uint64_t after,
	     Wellgate__V1__Reply **ret);

/* A device that was heard, is paired, or is in the list. */
struct desk_device {
	uint8_t digest[16];
	char reference[DEVICE_REFERENCE], name[DEVICE_NAME], driver[DEVICE_NAME];
	bool heard, paired;
	bool can_wipe, wipe_asked; /* its own memory, from here */
};
/* what: its number, or the beginning of its reference (4 characters or more), or its name. 0 or
 * the exit code. */
int desk_device(struct desk_args *a, const char *what, struct desk_device *ret);
/* The same; that it is none is not said: -1. */
int desk_device_quiet(struct desk_args *a, const char *what, struct desk_device *ret);
/* The one with this digest; if it was not heard its name is "device". 0 or the exit code. */
int desk_device_of(struct desk_args *a, const ProtobufCBinaryData *digest, struct desk_device *ret);
/* Asks for its own memory to be emptied when it is read next. 0 and *ret_error, 0 or the errno that
 * wellgate-devices answered, or the exit code. */
int desk_wipe(struct desk_args *a, struct desk_device *d, int *ret_error);
/* for a command that is about this device */
void desk_about(Wellgate__V1__DeskCommand *m, struct desk_device *d);

/* One sentence and a newline on stdout; each of the texts may be NULL. */
void desk_say(enum words_id id, const char *device, const char *reference, const char *number);
void desk_say_number(enum words_id id, const char *device, uint64_t number);
/* One line of JSON; takes the reference. */
struct json_t;
void desk_print(struct json_t *object);

/* Plain decimal; false: something else. */
bool desk_number(const char *text, uint64_t *ret);
/* Hexadecimal of at most 16 bytes; false: something else. */
bool desk_bytes(const char *text, uint8_t ret[16], size_t *ret_len);
