/*
 * What the system bus lets an ordinary local user do with bluetoothd, read from its policy files as
 * dbus-daemon(1) 1.14 reads them: /usr/share/dbus-1/system.d, /etc/dbus-1/system.d (the files of a
 * folder in no order: where one allows and another denies, it counts as allowed), then
 * /etc/dbus-1/system-local.conf, where the last rule wins. Only the contexts default and mandatory
 * apply to everybody.
 */
#pragma once

enum policy {
	POLICY_NONE,        /* no policy about bluetoothd is there: it is not installed */
	POLICY_CLOSED,      /* neither calls nor signals */
	POLICY_OPEN_CALLS,  /* anybody may call it */
	POLICY_OPEN_SIGNALS /* anybody hears its signals, and so readings */
};

/* root: in front of /etc and /usr; "" for the real ones. May read files. */
enum policy policy_read(const char *root);
