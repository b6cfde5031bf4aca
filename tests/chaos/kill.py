#!/usr/bin/env python3
"""kill -9 of either daemon at random while simulated devices are read: every reading reaches a
durable subscriber, and none is doubled after dedupe by its key.

The simulated device forgets a record once it is confirmed (wellgate-devices --memory), so a reading
that was confirmed too early is lost for good, and found missing here.
"""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from stand import Stand, event_of, wait_for  # noqa: E402

COUNT = 10000
KILLS = int(os.environ.get("WELLGATE_KILLS", "100"))
SEED = int(os.environ.get("WELLGATE_SEED", "1"))


def pause(stand, rng):
    """Lets the two work for a moment that differs each time; ends early if the replay ends."""
    try:
        stand.devices.wait(timeout=rng.uniform(0.005, 0.15))
    except Exception:  # subprocess.TimeoutExpired: the usual case
        pass


def kill_one(stand, rng, capture, counts):
    victim = rng.choice(("gateway", "devices"))
    process = getattr(stand, victim)
    process.kill()
    process.wait()
    counts[victim] += 1
    if victim == "gateway":
        stand.start_gateway()
    else:
        stand.start_devices(capture)


def replay_with_kills(stand, rng, capture, counts):
    """One device memory of COUNT readings; returns when it has been read to its end."""
    memory = os.path.join(stand.folder, "memory")
    if os.path.exists(memory):
        os.remove(memory)
    stand.start_devices(capture)
    while True:
        pause(stand, rng)
        if stand.devices.poll() is not None:
            assert stand.devices.returncode == 0, f"wellgate-devices ended with {stand.devices.returncode}"
            return
        if sum(counts.values()) < KILLS:
            kill_one(stand, rng, capture, counts)


def check(stand, captures):
    expected = [event_of(m) for m in stand.expected(*captures)]
    unique = {}
    readings = stand.readings()
    for reading in readings:
        previous = unique.setdefault(reading["dedupe_key"], reading)
        assert event_of(previous) == event_of(reading), "one dedupe key, two events"
    lost = set(map(str, expected)) - {str(event_of(r)) for r in unique.values()}
    assert not lost, f"{len(lost)} readings are lost, for example {sorted(lost)[:3]}"
    assert len(unique) == len(expected), f"{len(unique)} unique readings of {len(expected)}"
    sequences = {r["sequence"] for r in unique.values()}
    assert sequences == set(range(1, len(expected) + 1)), "sequences have gaps"
    return len(readings) - len(unique)


def main():
    rng = random.Random(SEED)
    counts = {"gateway": 0, "devices": 0}
    captures = []
    with Stand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        while sum(counts.values()) < KILLS or not captures:
            captures.append(stand.simulate(COUNT, seed=len(captures) + 1, name=f"many{len(captures)}.cap"))
            replay_with_kills(stand, rng, captures[-1], counts)
        wait_for("the outbox to drain", stand.drained)
        total = len(stand.expected(*captures))
        try:
            wait_for("the last reading", lambda: len({r["dedupe_key"] for r in stand.readings()}) >= total, limit=120)
        except AssertionError:
            pass  # check() says what is missing
        again = check(stand, captures)
    print(f"{total} readings, {counts['gateway']} kills of wellgated, {counts['devices']} of wellgate-devices: "
          f"none lost, none doubled after dedupe ({again} sent again)")


main()
