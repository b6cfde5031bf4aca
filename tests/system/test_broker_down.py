#!/usr/bin/env python3
"""The broker is away for the whole replay: everything is kept, and arrives once when it comes back;
new readings before old ones, so the numbers tell the order, not the arrival."""
import sys

from stand import Stand, event_of, wait_for

COUNT = 3000


def main():
    with Stand(sys.argv[1]) as stand:
        capture = stand.simulate(COUNT, seed=2)
        expected = stand.expected(capture)
        stand.start_gateway()
        stand.start_devices(capture)
        wait_for("the replay to end", lambda: stand.devices.poll() is not None)
        assert stand.devices.returncode == 0
        assert stand.status()["waiting"] >= COUNT, stand.status()
        stand.start_broker()
        stand.subscribe()
        wait_for("the outbox to drain", stand.drained)
        wait_for("the last reading", lambda: len(stand.readings()) >= COUNT)
        readings = stand.readings()
        assert sorted(r["sequence"] for r in readings) == list(range(1, COUNT + 1)), "gap or double"
        assert sorted(map(str, map(event_of, readings))) == sorted(map(str, map(event_of, expected)))
        assert stand.stop_gateway() == 0
    print(f"{COUNT} readings waited for the broker and arrived, none twice")


main()
