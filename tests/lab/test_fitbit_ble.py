"""A Fitbit tracker by its own radio, over the real kernel and bluetoothd: from its advertisement to readings
on the broker. What it holds is the life of a virtual wearer, and what a hub must know of it the tracker's
model writes into the log by itself.
"""
import os
import re
from collections import Counter
from datetime import datetime

import enrolled
from test_fitbit_usb import days
from world import HUB_CONF, scenario

KEY = "000102030405060708090a0b0c0d0e0f"  # the model's
CUTS = 30  # more messages than a tracker says in one sync


def truth(world, peer):
    """Counter of (second, steps) of the minutes that a whole sync must bring."""
    world.ctl(f"{peer} truth")
    return Counter((int(at), int(steps)) for at, steps in
                   re.findall(rf"^\S+ {peer} fitbit truth (\d+) (\d+)$", world.log("world"), re.M))


def second(stamp):
    return int(datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp())


def minutes(world):
    """Counter of (device, second, steps) of what is durable."""
    found = Counter()
    for reading in world.wellgate_json("readings", "--limit", "10000"):
        if reading["metric"] == "steps" and reading.get("duration_ms") == 60000:
            steps, = (c["value"] for c in reading["components"] if c["metric"] == "steps")
            found[reading["device"]["serial_digest"], second(reading["device_time"]), int(steps)] += 1
    return found


def of_device(found, device):
    return Counter({(at, steps): n for (digest, at, steps), n in found.items() if digest == device})


def happened(world, peer, event):
    """How often."""
    return len(re.findall(rf"^\S+ {peer} fitbit {event}$", world.log("world"), re.M))


def published(world):
    """Counter of (second, steps) of what came out of the broker."""
    found = Counter()
    for reading in world.published():
        if reading["metric"] == "steps" and reading.get("duration_ms") == 60000:
            found[reading["measured_at_ms"] // 1000, int(reading["components"][0]["value"])] += 1
    return found


@scenario(limit=300)
def test_fitbit_ble(world):
    """Paired, read, published; a stranger's tracker is heard, too, and nobody links to it."""
    world.hub("add fitbit 2", "all advertise off")
    world.ctl("1 advertise on")
    world.ctl("0 advertise on")
    world.pair(0)
    world.wait_log("world", r"^\S+ 0 fitbit closed")
    expected = truth(world, 0)
    assert len(expected) >= 19, expected
    world.wait("the minutes to be durable", lambda: len(minutes(world)) >= len(expected))
    # filed under its serial number, while it was paired by its address: one line all the same
    device, = world.wellgate_json("devices")
    assert device["paired"] and device["readings"] >= len(expected), device
    assert of_device(minutes(world), device["device"]) == expected
    day = re.findall(r" 0 fitbit day (\d+) (\d+) (\d+) (\d+)$", world.log("world"), re.M)
    assert day and all(days(world).get(start) == tuple(rest) for start, *rest in (map(int, d) for d in day)), \
        (days(world), day)
    world.wait("the broker to have them", lambda: world.wellgate_json("status")[0]["waiting"] == 0)
    assert published(world) == expected
    log = world.log("world")
    assert not re.search(r"^\S+ 1 fitbit (connected|airlink)", log, re.M), "the stranger was linked to"
    assert "unexpected" not in log


def enrolled_hub(world, *commands):
    with open(HUB_CONF, encoding="utf-8") as stream:
        world.up(*commands, "all advertise off", config=stream.read())
    enrolled.enrol(world, "fitbit_ble")
    world.gateway(restart=1.0)
    world.devices(restart=1.0)
    world.wait_log("devices", r"adapter ready")


def put_key(world, peer, text, suffix=""):
    folder = os.path.join(world.folder, "devices", "keys")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, f"10ffee{peer:04x}07{suffix}")
    with open(path, "w", encoding="ascii", opener=lambda p, flags: os.open(p, flags, 0o600)) as stream:
        stream.write(text + "\n")


@scenario(limit=300)
def test_fitbit_ble_key(world):
    """Encrypted: read with the owner's key; with another or none it is news, and nothing is kept."""
    enrolled_hub(world, "add fitbit 3", "all encrypt on")
    put_key(world, 0, KEY)
    put_key(world, 1, "ff" * 16)
    world.ctl("all advertise on")
    for peer in range(3):
        world.wait_log("world", rf"^\S+ {peer} fitbit closed")
    expected = truth(world, 0)
    world.wait("the minutes to be durable", lambda: len(minutes(world)) >= len(expected))
    assert Counter({(at, steps): n for (_, at, steps), n in minutes(world).items()}) == expected
    world.wait("the news to be told", lambda: sum(bool(d.get("news")) for d in world.wellgate_json("devices")) == 2)
    world.say("news: " + str([d.get("news") for d in world.wellgate_json("devices")]))
    for name in "devices", "gateway":
        assert KEY not in world.log(name), name


def heart_rates(world):
    return [(int(c["value"]), reading.get("flags"), reading["device_time"])
            for reading in world.wellgate_json("readings", "--limit", "10000") if reading["metric"] == "heart_rate"
            for c in reading["components"]]


@scenario(limit=300)
def test_fitbit_ble_live(world):
    """Of the moment: where the owner put the login there, one heart rate comes with the dump, and none of the
    counters that are read with it; with a wrong login, without one, and with a model that knows none, the dump."""
    enrolled_hub(world, "add fitbit 4", "all rate 77")
    for peer in range(3):
        world.ctl(f"{peer} login on")
    put_key(world, 0, KEY + "01020304", ".live")
    put_key(world, 1, "ff" * 16 + "01020304", ".live")
    put_key(world, 3, KEY + "01020304", ".live")
    world.ctl("all advertise on")
    for peer in range(4):
        world.wait_log("world", rf"^\S+ {peer} fitbit closed")
    expected = sum((truth(world, peer) for peer in range(4)), Counter())
    world.wait("the minutes to be durable", lambda: len(minutes(world)) >= sum(expected.values()))
    world.wait("the rate to be durable", lambda: heart_rates(world))
    assert Counter((at, steps) for _, at, steps in minutes(world).elements()) == expected
    (rate, flags, _), = heart_rates(world)
    assert rate == 77 and "questionable" in flags, (rate, flags)
    assert max(int(c["value"]) for reading in world.wellgate_json("readings", "--limit", "10000")
               for c in reading["components"] if c["metric"] == "steps") < 77777
    world.wait("the news to be told", lambda: sum(bool(d.get("news")) for d in world.wellgate_json("devices")) == 2)
    world.say("news: " + str([d.get("news") for d in world.wellgate_json("devices")]))
    log = world.log("world")
    assert [happened(world, peer, "login good") for peer in range(4)] == [1, 0, 0, 0]
    assert [happened(world, peer, "login refused") for peer in range(4)] == [0, 1, 0, 0]
    assert [happened(world, peer, "moment") for peer in range(4)] == [1, 0, 0, 0]
    assert "unexpected" not in log
    for name in "devices", "gateway":
        assert KEY not in world.log(name), name


@scenario(limit=900)
def test_fitbit_ble_cut(world):
    """As many trackers as a sync has messages; of each the link ends behind another one. The next sync is
    whole, and every minute is there once."""
    enrolled_hub(world, f"add fitbit {CUTS}")
    for peer in range(CUTS):
        world.ctl(f"{peer} cut {peer + 1}")
    world.ctl("all advertise on")
    expected = [truth(world, peer) for peer in range(CUTS)]
    total = sum(len(one) for one in expected)
    world.wait("all minutes to be durable", lambda: len(minutes(world)) >= total, limit=600)
    world.wait("no airlink to be open", lambda: all(
        happened(world, peer, "airlink") <= happened(world, peer, "closed") + happened(world, peer, "cut")
        for peer in range(CUTS)))
    found = minutes(world)
    assert set(found.values()) == {1}, [key for key, n in found.items() if n > 1]
    assert sum(found.values()) == total
    assert Counter((at, steps) for _, at, steps in found) == sum(expected, Counter())
    log = world.log("world")
    cut = [int(n) for n in re.findall(r"^\S+ (\d+) fitbit cut$", log, re.M)]
    world.say(f"cut: {sorted(cut)}")
    assert sorted(cut) == list(range(len(cut))) and 20 <= len(cut) < CUTS, cut  # the last ones said all before
    assert "unexpected" not in log
