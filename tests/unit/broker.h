/*
 * A real mosquitto for one test: on 127.0.0.1, a free port, files in a directory of its own.
 * Functions assert: a test without its broker is no test.
 */
#pragma once

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BROKER_WAIT_MS INT64_C(60000)

struct broker {
	pid_t pid; /* 0 = not running */
	int port;
	char dir[64];
};

/* what a test cannot do without, also with NDEBUG */
#define must(condition)                                                                       \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                              \
		}                                                                             \
	} while (0)

static inline int64_t broker_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static inline void broker_pause(void)
{
	const struct timespec t = { .tv_nsec = 20000000 };

	(void)nanosleep(&t, NULL);
}

static inline struct sockaddr_in broker_address(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static inline int broker_free_port(void)
{
	struct sockaddr_in a = broker_address(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0);
	must(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static inline bool broker_answers(int port)
{
	struct sockaddr_in a = broker_address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool up;

	must(fd >= 0);
	up = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	(void)close(fd);
	return up;
}

static inline pid_t broker_spawn(const char *const argv[], const char *out)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		union {
			const char *const *in;
			char *const *out;
		} args = { argv };
		sigset_t none;
		int fd = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)signal(SIGPIPE, SIG_DFL);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(126);
		(void)execvp(argv[0], args.out);
		_exit(127);
	}
	return pid;
}

static inline void broker_reap(pid_t *pid, int sig)
{
	if (*pid <= 0)
		return;
	(void)kill(*pid, sig);
	must(waitpid(*pid, NULL, 0) == *pid);
	*pid = 0;
}

static inline void broker_write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	must(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static inline void broker_init(struct broker *b)
{
	*b = (struct broker){ .port = broker_free_port() };
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/wellgate-test-XXXXXX");
	must(mkdtemp(b->dir));
}

/* `extra`: lines of mosquitto.conf, after the listener's */
static inline void broker_start(struct broker *b, const char *extra)
{
	char conf[2048], path[128], log[128];
	const char *argv[] = { "/usr/sbin/mosquitto", "-c", path, NULL };
	int64_t end = broker_now_ms() + BROKER_WAIT_MS;

	(void)snprintf(conf, sizeof(conf),
		       "user root\npersistence false\nallow_anonymous true\n"
		       "set_tcp_nodelay true\nlistener %d 127.0.0.1\n%s\n",
		       b->port, extra);
	broker_write_file(b->dir, "mosquitto.conf", conf);
	(void)snprintf(path, sizeof(path), "%s/mosquitto.conf", b->dir);
	(void)snprintf(log, sizeof(log), "%s/mosquitto.log", b->dir);
	b->pid = broker_spawn(argv, log);
	while (!broker_answers(b->port)) {
		must(broker_now_ms() < end && waitpid(b->pid, NULL, WNOHANG) == 0);
		broker_pause();
	}
}

static inline void broker_stop(struct broker *b, int sig)
{
	broker_reap(&b->pid, sig);
}

static inline void broker_finish(struct broker *b)
{
	const char *argv[] = { "rm", "-rf", b->dir, NULL };
	pid_t pid;

	broker_stop(b, SIGKILL);
	pid = broker_spawn(argv, "/dev/null");
	must(waitpid(pid, NULL, 0) == pid);
}
