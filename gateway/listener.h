/* Unix sockets of the gateway: SOCK_SEQPACKET, one packet is one message. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* longest packet either way */
#define LISTENER_PACKET_MAX ((size_t)64 * 1024)

/* Binds and listens; a socket that a dead daemon left there is replaced (the store's lock has
 * already told that no other daemon lives). -ENAMETOOLONG, -errno. */
int listener_open(const char *path, mode_t mode, int *ret_fd);
/* Accepts, non-blocking; -EPERM: the peer is neither root nor our user nor, if `group`, of our
 * group. -EAGAIN: nobody waits. */
int listener_accept(int fd, bool group, int *ret_fd);
/* One packet: its length; 0 = the peer is gone; -EMSGSIZE too long, -EAGAIN, -errno. */
ssize_t listener_receive(int fd, void *buf, size_t size);
/* 0, -EAGAIN (full), -errno */
int listener_send(int fd, const void *packet, size_t len);
