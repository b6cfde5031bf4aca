#!/usr/bin/env python3
"""Capture in, protobuf out of a real broker: every reading of the capture arrives, once,
with the values that the drivers saw, decodable with the retained FileDescriptorSet alone."""
import os
import sys

from stand import Stand, event_of, wait_for

COUNT = 600


def save_schema(stand):
    """The retained descriptor set, as the data team would get it."""
    schema = [line for line in stand.lines() if line.startswith("wellgate/v1/schema/")]
    assert schema, "no descriptor set is published"
    topic, data = schema[0].split(" ", 1)
    path = os.path.join(stand.folder, "published.desc")
    with open(path, "wb") as stream:
        stream.write(bytes.fromhex(data))
    return topic, path


def check(stand, expected):
    _, stand.descriptor = save_schema(stand)
    readings = stand.readings()
    assert len(readings) == len(expected) == COUNT, (len(readings), len(expected))
    # new before old, so the arrival says nothing
    sequences = sorted(r["sequence"] for r in readings)
    assert sequences == list(range(1, COUNT + 1)), "not each once, or not without gaps"
    assert len({r["dedupe_key"] for r in readings}) == COUNT
    assert sorted(map(str, map(event_of, readings))) == sorted(map(str, map(event_of, expected)))


def main():
    with Stand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.subscribe()
        capture = stand.simulate(COUNT, seed=1)
        expected = stand.expected(capture)
        stand.start_gateway()
        stand.start_devices(capture)
        stand.finish_replay()
        wait_for("the last reading", lambda: len(stand.readings()) >= COUNT)
        check(stand, expected)
        # a device read twice, memory full of known records: nothing new may appear
        os.remove(os.path.join(stand.folder, "memory"))
        stand.start_devices(capture)
        stand.finish_replay()
        assert stand.stop_gateway() == 0
        wait_for("the offline status", lambda: any(m.get("state") == "offline" for m in stand.decoded()))
        check(stand, expected)
    print(f"{COUNT} readings in, {COUNT} out, each once")


main()
