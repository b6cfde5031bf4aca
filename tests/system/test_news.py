#!/usr/bin/env python3
"""What a driver says to somebody in front of the device: an agent that cannot be read says so in
`wellgate devices` and `wellgate doctor`, in words of ours, until it can be read."""
import json
import socket
import sys

from agents import DoorStand
from stand import wait_for

ASSOCIATE = ("e200 0032 80000000 0001 002a 5079 0026 c0000000 8000 80000000 00000000 00800000 0008"
             "0102030405060708 4000 0001 01 00 0000 0000")
OF_NOTHING = "e700 0018 0016 0009 0101 0010 0000 ffffffff 0d1c 0006 4000 0000 0000"
OF_BLOOD_PRESSURE = ("e700 0044 0042 0009 0101 003c 0000 ffffffff 0d1c 0032 4000 0001 002c"
                     "0006 0001 0004 0024 092f 0004 0002 e140 0a46 0002 f040 0996 0002 06c3"
                     "0a55 000c 0002 0008 0a56 0004 0990 0008")
RELEASE = "e400 0002 0000"
SENTENCE = "This model, or what it sends, cannot be read yet."


def offer(stand, configuration):
    """Associates, offers what it is, and goes."""
    with socket.create_connection(("127.0.0.1", stand.door), 60) as agent:
        for apdu in (ASSOCIATE, configuration, RELEASE):
            agent.sendall(bytes.fromhex(apdu.replace(" ", "")))
            assert agent.recv(4096), "it hung up"


def news(stand):
    lines = [json.loads(line) for line in stand.wellgate("devices", "--json").stdout.splitlines()]
    return [d.get("news", []) for d in lines if not d["connected"]]


def main():
    with DoorStand(sys.argv[1]) as stand:
        stand.start_gateway()
        stand.start_door()
        stand.wait_for_door()
        offer(stand, OF_NOTHING)
        wait_for("the news", lambda: ["model_not_supported"] in news(stand))
        text = stand.wellgate("devices").stdout
        assert "meter (IEEE 11073)" in text and f"! {SENTENCE}\n     -> " in text, text
        text = stand.wellgate("doctor").stdout
        assert "notice   devices: devices that cannot be read yet: 1" in text, text
        offer(stand, OF_BLOOD_PRESSURE)
        wait_for("the news to be over", lambda: not any(news(stand)) and news(stand))
        assert SENTENCE not in stand.wellgate("devices").stdout
        assert "cannot be read yet" not in stand.wellgate("doctor").stdout
    print("said, and over")


main()
