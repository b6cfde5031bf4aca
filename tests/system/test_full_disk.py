#!/usr/bin/env python3
"""A full disk: confirming stops, the device keeps its data, nothing is lost, and all goes on when
there is room. Tried with the quota, and, where mounting is allowed, with a file system that is
really full."""
import os
import subprocess
import sys

from stand import Stand, event_of, wait_for

COUNT = 4000


def is_full(stand):
    status = stand.status()
    return status is not None and status["store_full"]


def everything_arrived(stand, expected):
    wait_for("the replay to end", lambda: stand.devices.poll() is not None)
    assert stand.devices.returncode == 0, stand.devices.returncode
    wait_for("the outbox to drain", stand.drained)
    wait_for("the last reading", lambda: len({r["dedupe_key"] for r in stand.readings()}) >= COUNT)
    unique = {r["dedupe_key"]: r for r in stand.readings()}
    assert sorted(map(str, map(event_of, unique.values()))) == sorted(map(str, map(event_of, expected)))
    assert {r["sequence"] for r in unique.values()} == set(range(1, COUNT + 1))


def quota(programs):
    with Stand(programs, "[store]\nmax_bytes = 1M\n") as stand:
        stand.start_broker()
        stand.subscribe()
        capture = stand.simulate(COUNT, seed=3)
        expected = stand.expected(capture)
        stand.start_gateway()
        stand.start_devices(capture)
        wait_for("the quota to be reached", lambda: is_full(stand))
        stored = stand.status()["readings"]
        assert stored < COUNT
        assert stand.devices.poll() is None, "the device was told that all is well"
        stand.stop_gateway()
        with open(stand.config, encoding="utf-8") as stream:
            text = stream.read().replace("max_bytes = 1M", "max_bytes = 100M")
        with open(stand.config, "w", encoding="utf-8") as stream:
            stream.write(text)
        stand.start_gateway()
        everything_arrived(stand, expected)
        assert stand.stop_gateway() == 0
    return stored


def tmpfs(programs):
    with Stand(programs) as stand:
        os.makedirs(stand.state, mode=0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", stand.state], check=False,
                          capture_output=True).returncode != 0:
            return "mounting is not allowed here: only the quota was tried"
        try:
            return really_full(stand)
        finally:
            for process in (stand.devices, stand.gateway):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()
            subprocess.run(["umount", stand.state], check=True)


def really_full(stand):
    stand.start_broker()
    stand.subscribe()
    capture = stand.simulate(COUNT, seed=4)
    expected = stand.expected(capture)
    stand.start_gateway()
    wait_for("the gateway", lambda: stand.status() is not None)
    ballast = os.path.join(stand.state, "ballast")
    free = os.statvfs(stand.state)
    with open(ballast, "wb") as stream:
        stream.write(b"\0" * (free.f_bavail * free.f_frsize - 200 * 1024))
    stand.start_devices(capture)
    wait_for("the disk to be full", lambda: is_full(stand))
    stored = stand.status()["readings"]
    assert stored < COUNT and stand.devices.poll() is None
    os.remove(ballast)
    everything_arrived(stand, expected)
    assert stand.stop_gateway() == 0
    return f"real file system full after {stored} readings, went on by itself when there was room"


def main():
    stored = quota(sys.argv[1])
    text = tmpfs(sys.argv[1])
    print(f"quota reached after {stored} of {COUNT} readings, all arrived after it was raised; {text}")


main()
