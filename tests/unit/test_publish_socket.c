/* links: gateway_publish gateway_store gateway_base */
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/publish/socket.h"
#include "tests/unit/broker.h"

static void ports(void **state)
{
	(void)state;
	assert_int_equal(socket_port("mqtt://broker.example:1884"), 1884);
	assert_int_equal(socket_port("mqtt://broker.example"), 1883);
	assert_int_equal(socket_port("mqtts://broker.example"), 8883);
	assert_int_equal(socket_port("mqtts://[2001:db8::1]:2000"), 2000);
	assert_int_equal(socket_port("mqtts://[2001:db8::1]"), 8883);
	assert_int_equal(socket_port("mqtt://broker.example:70000"), 1883);
}

static int option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
	return value;
}

/* the one that leads there, and not the other end of it */
static void tunes(void **state)
{
	struct sockaddr_in a = broker_address(broker_free_port());
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), theirs;

	(void)state;
	assert_int_equal(bind(door, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(door, 1), 0);
	assert_int_equal(connect(ours, (struct sockaddr *)&a, sizeof(a)), 0);
	theirs = accept(door, NULL, NULL);
	assert_true(theirs >= 0);
	assert_int_equal(option(ours, TCP_NODELAY), 0);
	assert_int_equal(socket_tune(ntohs(a.sin_port), 7000), 1);
	assert_int_not_equal(option(ours, TCP_NODELAY), 0);
	assert_int_equal(option(ours, TCP_USER_TIMEOUT), 7000);
	assert_int_equal(option(theirs, TCP_NODELAY), 0);
	(void)close(ours);
	(void)close(theirs);
	assert_int_equal(socket_tune(ntohs(a.sin_port), 7000), 0);
	(void)close(door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(tunes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
