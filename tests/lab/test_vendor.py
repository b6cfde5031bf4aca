"""The devices with protocols of their own, over the real kernel and bluetoothd: a scale that is heard and
asked, a watch that counts, a ring whose clock is set before it is asked for anything.
"""
import ctypes
import os
import time
from collections import Counter

from world import scenario

TIMEX = 208  # bytes of struct timex, linux/timex.h
MAX_ERROR, STATUS = 0x0004, 0x0010


def synchronise():
    """The kernel is told what an NTP client tells it when it has a server: the clock is right."""
    timex = (ctypes.c_char * TIMEX)()
    ctypes.c_uint.from_buffer(timex, 0).value = MAX_ERROR | STATUS
    ctypes.c_long.from_buffer(timex, 24).value = 1000
    ctypes.c_int.from_buffer(timex, 40).value = 0
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(timex) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def stored(world):
    return world.wellgate_json("readings", "--limit", "1000")


def of_metric(world, metric):
    return [r for r in stored(world) if r["metric"] == metric]


def stamps(readings):
    return Counter(str(r.get("device_time")) for r in readings)


@scenario(limit=240)
def test_scale_on_air_and_asked(world):
    """Three weighings, and one more that is also broadcast: four weights and four impedances, once each."""
    world.hub("add xiaomi_scale", "all advertise off")
    world.ctl("0 advertise on")
    world.pair(0)
    world.ctl("0 measure 3")
    world.wait("three weights", lambda: len(of_metric(world, "body_weight")) >= 3)
    world.wait("three impedances", lambda: len(of_metric(world, "body_composition")) >= 3)
    world.wait_log("world", r"acknowledged up to n=3")
    world.ctl("0 measure 1")
    world.wait_log("world", r"acknowledged up to n=4")
    world.wait("four impedances", lambda: len(of_metric(world, "body_composition")) >= 4)
    for metric in "body_weight", "body_composition":
        found = stamps(of_metric(world, metric))
        assert len(found) == 4 and set(found.values()) == {1}, (metric, found)


@scenario(vm="clock", limit=300)
def test_watch_and_ring(world):
    """The watch's heart rate; the ring is told the time, and what it counts from then on comes, once."""
    synchronise()
    world.hub("add infinitime", "add colmi_ring", "all advertise off")
    world.ctl("0 advertise on")
    world.pair(0)
    world.ctl("0 measure 1")
    world.wait("a heart rate", lambda: of_metric(world, "heart_rate"))
    world.ctl("0 advertise off")
    world.ctl("1 measure 2")  # on whose wrist, and by what clock, nobody knows
    world.ctl("1 advertise on")
    ring = world.pair(1)[-1]["device"]
    world.wait_log("world", r"^\S+ 1 colmi_ring clock set")
    world.wait_log("world", r"^\S+ 1 colmi_ring disconnected")

    def of_ring():
        return [r for r in stored(world) if r["device"].get("serial_digest") == ring]
    assert not of_ring(), of_ring()
    time.clock_settime(time.CLOCK_REALTIME, time.time() + 5 * 3600)  # it takes whole hours that are over
    synchronise()
    world.ctl("1 measure 3")
    world.wait("the ring's readings", lambda: {"steps", "heart_rate"} <= {r["metric"] for r in of_ring()})
    found = Counter((r["metric"], str(r.get("device_time"))) for r in of_ring())
    assert set(found.values()) == {1}, found
