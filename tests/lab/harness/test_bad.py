"""Scenarios that fail on purpose, and some that must not; check.py knows which."""
import os
import subprocess
import time

from world import scenario

WARNING = "<4>WARNING: CPU: 0 PID: 1 at the lab's own test\n---[ end trace 0000000000000000 ]---\n"


def complain(text=WARNING):
    """Text as a kernel would print it, in its log and on its console."""
    for line in text.splitlines():
        with open("/dev/kmsg", "w", encoding="utf-8") as stream:
            stream.write(line if line.startswith("<") else "<4>" + line)


def test_asserts(world):
    world.say("a word in the log")
    assert 1 == 2, "one is not two"


@scenario(limit=2)
def test_hangs(_world):
    time.sleep(1000)


def test_leaves_a_process(world):
    """No failure: it is killed before the next."""
    subprocess.Popen(["setsid", "--fork", "sleep", "1234"])
    world.wait("the process that is left behind", lambda: left_behind())


def test_nothing_is_left(world):
    assert not left_behind()
    assert not os.path.exists("/run/lab/left")
    assert not world.running


def left_behind():
    return subprocess.run(["pgrep", "-f", "sleep 1234"], capture_output=True, check=False).returncode == 0


@scenario(expect_oops="the lab's own test", limit=60)
def test_announced(_world):
    complain()


@scenario(vm="other", require_oops="something that does not come")
def test_required(_world):
    pass


@scenario(vm="other")
def test_complains(_world):
    complain()


@scenario(vm="other")
def test_kernel_panics(_world):
    with open("/proc/sysrq-trigger", "w", encoding="utf-8") as stream:
        stream.write("c")
    time.sleep(1000)


@scenario(vm="other")
def test_after_the_panic(_world):
    """No failure: it gets a guest of its own."""
