"""Fitbit's base station over real libusb, with a tracker in its reach: plugged in, published once. What
the tracker counted is in the event log of usb/models/fitbit_dongle.c, before it is told.
"""
import glob
import os
import re
import zlib
from collections import Counter
from datetime import datetime

from test_usb_hub import files, hub, nothing_left, stored, transfers
from test_usb_shipped import installed
from world import scenario

KEY = "000102030405060708090a0b0c0d0e0f"
SERIAL = "{:02x}0000004207"
TRACKER = "e5145333{:02x}ff"
NEIGHBOURS = "0a1b2c3d"
STATION = "id:{:02x}5544332211"


def hashed(text):
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return f"{value:016x}"


def allow(world, device=0):
    """The note that says which tracker is read at this base station."""
    identity = STATION.format(device)
    folder = os.path.join(world.folder, "devices", "wired")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    text = (f"wellgate-wire=1\ndriver=fitbit_dongle\nidentity={identity}\n"
            f"kept=01{TRACKER.format(device)}\n")
    path = os.path.join(folder, hashed(f"fitbit_dongle/{identity}") + ".wire")
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as stream:
        stream.write(text + f"checksum={zlib.crc32(text.encode()):08x}\n")


def put_key(world, text=KEY, device=0):
    folder = os.path.join(world.folder, "devices", "keys")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, SERIAL.format(device))
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as stream:
        stream.write(text + "\n")


def begin(world, *commands, allowed=True):
    os.makedirs(os.path.join(world.folder, "devices"), mode=0o700, exist_ok=True)
    if allowed:
        allow(world)
    hub(world, "add fitbit_dongle", *commands, options=("--record", recordings(world)))


def recordings(world):
    folder = os.path.join(world.folder, "recordings")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def recorded(world):
    """What the recorder has kept, all of it."""
    text = ""
    for name in sorted(os.listdir(recordings(world))):
        with open(os.path.join(recordings(world), name), encoding="ascii") as stream:
            text += stream.read()
    return text


def seconds(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def minutes(world):
    found = Counter()
    for reading in stored(world):
        if reading["metric"] == "steps" and reading.get("duration_ms") == 60000:
            found[seconds(reading["measured_at"]), int(reading["components"][0]["value"])] += 1
    return found


def days(world):
    """The newest reading of each local day: (until, steps, millimetres)."""
    newest = {}
    for reading in stored(world):
        if reading.get("context") != "day":
            continue
        values = {c["metric"]: c["value"] for c in reading["components"]}
        start = seconds(reading["measured_at"])
        entry = (start + reading["duration_ms"] // 1000, int(values["steps"]),
                 int(round(float(values["distance"]) * 1000)))
        newest[start] = max(newest.get(start, entry), entry)
    return newest


def truth(world):
    log = world.log("cables")
    counted = Counter((int(at), int(steps)) for at, steps in re.findall(r" minute (\d+) (\d+)$", log, re.M))
    day = {}
    for start, until, steps, millimetres in re.findall(r" day (\d+) (\d+) (\d+) (\d+)$", log, re.M):
        day[int(start)] = (int(until), int(steps), int(millimetres))
    return counted, day


def notes(world):
    text = ""
    for path in sorted(glob.glob(os.path.join(world.folder, "devices", "wired", "*.wire"))):
        with open(path, encoding="ascii") as stream:
            text += stream.read()
    return text


@scenario(limit=600)
def test_fitbit_usb_allowed_by_the_operator(world):
    """wellgate fitbit: the trackers in reach are shown and kept nowhere; one is allowed, and is read."""
    begin(world, "0 plug", allowed=False)
    world.wait_log("devices", r"usb: device closed")
    found = world.wellgate_json("fitbit", "list")
    assert len(found) == 3 and found[0]["unsynced"], found
    address = ":".join(reversed(re.findall("..", TRACKER.format(0)))).upper()
    assert [f["model"] for f in found if f["address"] == address] == ["Flex"], found
    state = os.path.join(world.folder, "devices")
    result = world.wellgate("fitbit", "allow", address, "--state", state)
    assert result.returncode == 0 and "in reach" in result.stdout, (result.stdout, result.stderr)
    world.usb("0 unplug", "0 plug")
    told(world, 1)
    check(world)
    closed(world)
    assert NEIGHBOURS not in recorded(world)
    assert world.wellgate("fitbit", "allow", "nobody").returncode == 64
    kept = notes(world)
    assert world.wellgate("fitbit", "allow", address, "--state", state).returncode == 0
    assert notes(world) == kept and "kept=01" in kept and len(kept.split("kept=")[1].split()[0]) == 26, kept
    other = next(f["address"] for f in found if f["address"] != address)
    result = world.wellgate("fitbit", "allow", other, "--state", state)
    assert result.returncode == 69 and "--replace" in result.stderr and notes(world) == kept, result.stderr
    assert world.wellgate("fitbit", "allow", other, "--replace", "--state", state).returncode == 0
    assert NEIGHBOURS in notes(world)
    world.usbctl("0 unplug")
    world.wait("it to be gone", lambda: world.wellgate("fitbit", "list").returncode == 69)


def told(world, count, limit=120):
    world.wait_log("cables", r" told \d+ bytes$", count=count, limit=limit)


def check(world):
    """Each minute that was told whole, once; the day as the tracker counts it; no host's error."""
    counted, day = truth(world)
    assert counted, "nothing was told"
    world.wait(f"{len(counted)} minutes in the store", lambda: len(minutes(world)) >= len(counted))
    found = minutes(world)
    assert found == counted, ("stored but not counted", found - counted, "counted but not stored",
                              counted - found)
    newest = days(world)
    for start, entry in day.items():
        assert newest.get(start) == entry, (start, newest.get(start), entry)
    assert "host-error" not in world.log("cables")


def closed(world):
    """The session is over and both interfaces are the kernel's again."""
    world.wait("the base station to be let go of", lambda: transfers(world, 0)[2] == 0)
    world.wait("the kernel's driver to be back", lambda: hid_interfaces() == 2)


def hid_interfaces():
    folder = "/sys/bus/usb/drivers/usbhid"
    return len([name for name in os.listdir(folder) if ":" in name])


@scenario(limit=600)
def test_fitbit_usb_read_once(world):
    """Discovered, linked, dumped, published; again with what was counted since; nothing twice."""
    begin(world)
    world.wait_log("devices", r"gateway: connected")
    before = files(world)
    world.usb("0 plug")
    told(world, 1)
    check(world)
    closed(world)
    first = len(stored(world))
    world.usb("0 unplug", "0 plug")
    told(world, 2)
    closed(world)
    check(world)
    assert len(stored(world)) == first, "the same again"
    world.usb("0 unplug", "0 measure 30", "0 plug")
    told(world, 3)
    closed(world)
    check(world)
    world.usbctl("0 unplug")
    nothing_left(world, before)
    published = [r for r in world.published()]
    assert len(published) >= len(minutes(world)), (len(published), len(minutes(world)))
    for name in ("devices", "gateway"):
        assert NEIGHBOURS not in world.log(name) and TRACKER.format(0) not in world.log(name), name
    kept = recorded(world)
    assert TRACKER.format(0) in kept and NEIGHBOURS not in kept, "the neighbours are recorded"
    world.say(f"figure: {len(minutes(world))} minutes over three syncs, each once")


@scenario(limit=600)
def test_fitbit_usb_quirks(world):
    """Late, missing, miscounted, spurious messages; firmware that wants the other way; lost links."""
    begin(world)
    count = 0
    for quirk in ("late", "lonely", "miscount", "countless", "old", "ex", "fillers", "noise", "reason"):
        count += 1
        world.usb(f"0 quirk {quirk}", "0 measure 3", "0 plug")
        told(world, count)
        closed(world)
        world.usb("0 unplug", f"0 quirk {quirk} off")
    check(world)
    for quirk in ("crc", "length", "lost", "refuses"):
        known = len(minutes(world))
        opened = world.log("devices").count("usb: device closed")
        world.usb(f"0 quirk {quirk}", "0 measure 3", "0 plug")
        world.wait("it to be given up", lambda n=opened: world.log("devices").count("usb: device closed") > n)
        assert len(minutes(world)) == known, "something was read of a spoiled dump"
        world.usb("0 unplug", f"0 quirk {quirk} off", "0 plug")
        since = world.log("cables").count(" told ")
        world.wait("a good one", lambda n=since: world.log("cables").count(" told ") > n)
        closed(world)
        world.usbctl("0 unplug")
    check(world)


@scenario(limit=600)
def test_fitbit_usb_keys(world):
    """Encrypted: nothing is read without the owner's key, or with another; with it, all."""
    begin(world, f"0 key {KEY}")
    for key, news in ((None, "key"), ("ff" * 16, "key")):
        if key:
            put_key(world, key)
        opened = world.log("devices").count("usb: device closed")
        world.usb("0 plug")
        world.wait("the visit to be over", lambda n=opened: world.log("devices").count("usb: device closed") > n)
        assert not stored(world)
        said = world.wellgate("devices", "--json").stdout
        world.say("devices: " + said.strip())
        assert news in said, said
        world.usbctl("0 unplug")
    put_key(world)
    count = world.log("cables").count(" told ")
    world.usb("0 plug")
    told(world, count + 1)
    check(world)
    closed(world)
    for name in ("devices", "gateway"):
        assert KEY not in world.log(name), name


def test_fitbit_usb_shipped(world):
    """As it is installed: its own user opens both interfaces; root allows a tracker as that user."""
    installed(world)
    world.usb("add fitbit_dongle", "0 plug")
    world.wait_log("devices", r"usb: device closed driver=fitbit_dongle error=0")
    state = os.path.join(world.folder, "devices")
    address = ":".join(reversed(re.findall("..", TRACKER.format(0)))).upper()
    result = world.wellgate("fitbit", "allow", address, "--state", state)
    assert result.returncode == 0, (result.stdout, result.stderr)
    owners = {os.stat(path).st_uid for path in glob.glob(state + "/wired/*")}
    assert owners == {os.stat(state).st_uid} and owners != {0}, owners
    world.usb("0 unplug", "0 plug")
    told(world, 1)
    check(world)
    closed(world)


def test_fitbit_usb_nobody(world):
    """Nobody is looked for while no tracker is allowed."""
    begin(world, "0 plug", allowed=False)
    world.wait_log("devices", r"usb: device closed")
    log = world.log("cables")
    assert not re.search(r" hears 1a04", log), "a discovery"
    assert not stored(world)


@scenario(limit=1800)
def test_fitbit_usb_cut_everywhere(world):
    """The cable out at each transfer in turn: a clean failure, the next sync whole, and nothing twice."""
    begin(world, "0 memory 3", "0 plug")
    told(world, 1)
    closed(world)
    last = transfers(world, 0)[1]
    world.usbctl("0 unplug")
    world.wait("the device to be forgotten", lambda: not any("bus/usb" in f for f in files(world)))
    before = files(world)
    for at in range(1, last + 1):
        how = " after" if at % 2 else ""
        over = world.log("devices").count("usb: device closed")
        world.usb("0 measure 1", f"0 fault cut-at {at}{how}", "0 plug")
        # a dialogue differs by some packets: what comes after it is no place of it
        world.wait("the cable to be out, or the visit to be over",
                   lambda n=over: transfers(world, 0)[0] == "unplugged" or
                   world.log("devices").count("usb: device closed") > n)
        world.usbctl("0 unplug")
        assert transfers(world, 0)[2] == 0
        count = world.log("cables").count(" told ")
        world.usb("0 fault none", "0 plug")
        world.wait("a whole one", lambda n=count: world.log("cables").count(" told ") > n)
        closed(world)
        world.usbctl("0 unplug")
    check(world)
    nothing_left(world, before)
    cuts = len(re.findall(r" cut (?:before|after) \d+$", world.log("cables"), re.M))
    assert cuts >= last - 4, (cuts, last)
    world.say(f"figure: {cuts} cuts in a dialogue of {last} transfers, {len(minutes(world))} minutes, each once")
