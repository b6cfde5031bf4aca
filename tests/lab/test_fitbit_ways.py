"""One tracker by its own radio and by its base station, over the real kernel, bluetoothd and libusb: one
device, and each minute is there once, whichever way brought it first.
"""
from collections import Counter

import enrolled
from test_fitbit_ble import minutes
from test_fitbit_usb import allow, closed, days, told, truth
from world import HUB_CONF, scenario


@scenario(limit=400)
def test_fitbit_two_ways(world):
    with open(HUB_CONF, encoding="utf-8") as stream:
        world.up("add fitbit", "all advertise off", "0 twin", config=stream.read())
    enrolled.enrol(world, "fitbit_ble")
    allow(world)
    world.usb()
    world.gateway(restart=1.0)
    world.devices("--bluetooth", "--usb", restart=1.0)
    world.wait_log("devices", r"adapter ready")
    world.ctl("0 advertise on")
    world.wait_log("world", r"^\S+ 0 fitbit closed")
    world.wait("the minutes by radio", lambda: len(minutes(world)) >= 119)
    by_radio = minutes(world)
    world.usb("add fitbit_dongle", "0 measure 5", "0 plug")
    told(world, 1)
    closed(world)
    counted, day = truth(world)
    world.wait("the minutes by cable", lambda: len(minutes(world)) > len(by_radio))
    found = minutes(world)
    assert len({device for device, _, _ in found}) == 1, "they are two devices"
    assert set(found.values()) == {1}, [key for key, n in found.items() if n > 1]
    assert Counter((at, steps) for _, at, steps in found) >= counted and len(found) == len(by_radio) + 5, \
        (len(found), len(by_radio), len(counted))
    world.wait("the day by cable", lambda: {start: days(world).get(start) for start in day} == day)
    tracker = next(iter(found))[0]
    lines = {d["device"]: d for d in world.wellgate_json("devices")}
    world.say(f"devices: {lines}")
    assert len(lines) == 2 and lines[tracker]["paired"], "the tracker, and the base station"
    station, = (d for d in lines.values() if d["device"] != tracker)
    assert station["readings"] == 0 and not station.get("news"), station
    world.say(f"figure: {len(found)} minutes, {len(by_radio)} by radio, {len(counted)} by cable, each once")
