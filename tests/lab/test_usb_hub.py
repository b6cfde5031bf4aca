"""What is plugged into the hub is read once: wellgate-devices --usb and wellgated, with the simulated
devices of usb/ and with the kernel's own gadget. What the devices measured is in their event log.
"""
import os
import re
from collections import Counter

import frames
from gadget import CONTROLLER, GADGET, put
from test_usb import gadget
from world import scenario

FAMILIES = ["phdc_cuff", "phdc_scale", "phdc_glucose", "phdc_oximeter", "phdc_extended", "beurer_hid",
            "beurer_serial", "omron_memory", "omron_classic", "microlife"]
# those that are opened by libusb
LIBUSB = ["phdc_cuff", "phdc_scale", "phdc_glucose", "phdc_oximeter", "phdc_extended", "phdc_meter",
          "phdc_preamble"]


def hub(world, *commands, options=()):
    """The daemons, then the devices: plugged in while everything runs, as at home."""
    world.usb()
    world.gateway(restart=1.0)
    world.devices("--usb", *options, restart=1.0)
    world.usb(*commands)


def stored(world):
    return world.wellgate_json("readings", "--limit", "2000")


def comparable(values):
    return tuple(sorted((name, str(value)) for name, value in values.items()))


def measured(world):
    """What the devices have measured, each reading as (metric, value)... with its time."""
    found = Counter()
    for line in re.findall(r"measured n=\d+ (.*)$", world.log("cables"), re.M):
        found[comparable(dict(word.split("=") for word in line.split()))] += 1
    return found


def check(world):
    """Nothing lost, nothing doubled, nothing changed; no device was told what it does not know."""
    found = Counter()
    for reading in stored(world):
        values = {name: value for name, value in frames.of_reading(reading).items() if name != "record"}
        found[comparable(values)] += 1
    expected = measured(world)
    assert found == expected, ("stored but not measured", found - expected,
                               "measured but not stored", expected - found)
    assert "host-error" not in world.log("cables")


def taken(world, count):
    world.wait(f"{count} readings in the store", lambda: len(stored(world)) >= count)


def confirmed(world, device, number, limit=120):
    world.wait_log("cables", rf"^\S+ {device} \S+ confirmed n={number}$", limit=limit)


def files(world):
    """The descriptors that wellgate-devices has open, by what they are."""
    folder = f"/proc/{world.running['devices'].process.pid}/fd"
    found = Counter()
    for name in os.listdir(folder):
        try:
            found[re.sub(r"\d+", "", os.readlink(f"{folder}/{name}"))] += 1
        except FileNotFoundError:
            pass
    return found


def nothing_left(world, before):
    """All is unplugged: as many descriptors as before there was a device."""
    world.wait("its descriptors to be closed", lambda: files(world) == before)
    assert world.running["devices"].starts == 1, world.running["devices"].ended


def test_usb_read_once(world):
    """Plugged in, associated, published, unplugged, plugged in again: each reading once."""
    hub(world)
    world.wait_log("devices", r"gateway: connected")
    before = files(world)
    world.usb("add phdc_cuff", "0 measure 2", "0 plug")
    confirmed(world, 0, 2)
    world.usbctl("0 measure")
    confirmed(world, 0, 3)
    world.usb("0 unplug", "0 measure", "0 plug")
    confirmed(world, 0, 4)
    check(world)
    world.usbctl("0 unplug")
    nothing_left(world, before)
    published = world.published()
    assert len(published) == 4, published
    assert len({r["device"]["serial_digest"] for r in stored(world)}) == 1


@scenario(limit=600)
def test_usb_cut_everywhere(world):
    """The cable out at each transfer in turn, instead of it and right after it."""
    hub(world, "add phdc_cuff", "0 measure", "0 plug")
    confirmed(world, 0, 1)
    last = int(re.search(r"transfers (\d+)", world.usbctl("list")).group(1)) + 1
    world.usbctl("0 unplug")
    number, before = 1, None
    for at in range(1, last + 1):
        for how in ("", " after"):
            number += 1
            seen = world.log("cables").count(" unplugged after ")
            world.usb("0 measure", f"0 fault cut-at {at}{how}", "0 plug")
            world.wait("the cable to be out, or all to be read", lambda s=seen, n=number: world.log(
                "cables").count(" unplugged after ") > s or f"confirmed n={n}\n" in world.log("cables"))
            world.usb("0 unplug", "0 fault none", "0 plug")
            confirmed(world, 0, number)
            world.usbctl("0 unplug")
            if before is None:
                world.wait("the device to be forgotten", lambda: not any("bus/usb" in f for f in files(world)))
                before = files(world)
    nothing_left(world, before)
    check(world)
    world.say(f"figure: cut at {last} transfers, twice each: {number} readings, each once")


def transfers(world, device):
    """(state, transfers so far, requests of the host that wait)"""
    found = re.search(rf"\b{device} \S+ (\S+) transfers (\d+) waiting (\d+)", world.usbctl("list"))
    return found.group(1), int(found.group(2)), int(found.group(3))


def places(last):
    """Each of a short dialogue; of a long one its ends, and what fits in between."""
    step = max(1, last // 24)
    return sorted({*range(1, min(last, 7)), *range(1, last + 1, step), last - 1, last, last + 1})


def cut_memory_everywhere(world, model):
    """A cuff that keeps all: its cable out instead of a transfer or right after it; once each reading."""
    hub(world, f"add {model}", "0 measure", "0 plug")
    taken(world, 1)
    # done with it: nobody asks it anything, though it is still plugged in
    world.wait("its port to be closed", lambda: transfers(world, 0)[2] == 0)
    last = transfers(world, 0)[1]
    world.usbctl("0 unplug")
    world.wait("the device to be forgotten", lambda: not any(
        name in path for path in files(world) for name in ("bus/usb", "hidraw", "tty")))
    before = files(world)
    number = 1
    for at in places(last):
        how = " after" if number % 2 else ""
        number += 1
        world.usb("0 measure", f"0 fault cut-at {at}{how}", "0 plug")
        # what comes after the dialogue is no place of it: then all was read
        world.wait("the cable to be out, or all to be read",
                   lambda n=number: transfers(world, 0)[0] == "unplugged" or len(stored(world)) >= n)
        world.usb("0 unplug", "0 fault none", "0 plug")
        taken(world, number)
        world.usbctl("0 unplug")
        assert transfers(world, 0)[2] == 0
    check(world)
    nothing_left(world, before)
    cuts = len(re.findall(r" cut (?:before|after) \d+$", world.log("cables"), re.M))
    world.say(f"figure: {model}: {cuts} cuts in a dialogue of {last} transfers, {number} readings, each once")
    assert cuts >= len(places(last)) - 1, (cuts, places(last))


@scenario(limit=600)
def test_usb_cut_hid(world):
    cut_memory_everywhere(world, "beurer_hid")


@scenario(limit=600)
def test_usb_cut_serial(world):
    cut_memory_everywhere(world, "beurer_serial")


@scenario(limit=600)
def test_usb_cut_memory(world):
    cut_memory_everywhere(world, "omron_memory")


def open_nodes(world):
    """How many devices it holds open in usbfs: what it has asked of them hangs on that, and on nothing else."""
    return sum(count for path, count in files(world).items() if path.startswith("/dev/bus/usb"))


def listened_to(world):
    """Every one is open, and has a request of the host at it."""
    world.wait("all to be listened to", lambda: open_nodes(world) == len(LIBUSB) and all(
        transfers(world, device)[2] > 0 for device in range(len(LIBUSB))))


def nothing_waits(world):
    world.wait("nothing to wait", lambda: not any(transfers(world, device)[2] for device in range(len(LIBUSB))))


def test_usb_nothing_waits(world):
    """When the program ends, or is killed, usbfs takes back what it asked of a device that stays; and
    of one that is pulled nothing is left: each model that libusb opens."""
    hub(world, *[f"add {model}" for model in LIBUSB])
    world.wait_log("devices", r"gateway: connected")
    before = files(world)
    world.usb("all measure", "all plug")
    for device in range(len(LIBUSB)):
        confirmed(world, device, 1)
    listened_to(world)
    world.usbctl("all unplug")
    world.wait("usbfs to be let go", lambda: open_nodes(world) == 0)
    nothing_left(world, before)
    world.usb("all measure", "all plug")
    for device in range(len(LIBUSB)):
        confirmed(world, device, 2)
    listened_to(world)
    world.kill("devices")
    for device in range(len(LIBUSB)):
        world.wait_log("cables", rf" {device} \S+ cancelled ")
    world.usbctl("all measure")
    for device in range(len(LIBUSB)):
        confirmed(world, device, 3)
    world.running["devices"].stop()
    nothing_waits(world)
    check(world)


@scenario(limit=600)
def test_usb_families(world):
    """Every model, all at once; unplugged, used, plugged in again."""
    hub(world, *[f"add {model}" for model in FAMILIES], "all measure 3", "all plug")
    taken(world, 3 * len(FAMILIES))
    world.usb("all unplug", "all measure", "all plug")
    taken(world, 4 * len(FAMILIES))
    check(world)


def test_usb_faults(world):
    """Cut into bytes, joined, refused, too long, silent: what was measured is read, once."""
    hub(world, "add phdc_cuff", "0 window 2", "0 measure", "0 plug")
    confirmed(world, 0, 1)
    number = 1
    for fault in ("byte-by-byte", "short 5", "coalesced", "no-zero", "stall", "stall 3", "babble"):
        number += 2
        world.usb(f"0 fault {fault}", "0 measure 2")
        confirmed(world, 0, number)
        world.usbctl("0 fault none")
    world.usb("0 fault mute", "0 measure")
    world.wait_log("cables", r"timed out$")
    world.usbctl("0 fault none")
    confirmed(world, 0, number + 1)
    check(world)
    assert world.running["devices"].starts == 1


def test_usb_two_equal(world):
    """Two devices of one kind stay two, whatever port they are in."""
    hub(world, "add phdc_cuff 2", "all measure 2", "all plug")
    for device in range(2):
        confirmed(world, device, 2)
    world.usb("all unplug", "all measure", "1 plug", "0 plug")
    for device in range(2):
        confirmed(world, device, 3)
    check(world)
    of = {}
    for reading in stored(world):
        pulse = frames.of_reading(reading)["pulse"]
        of.setdefault(reading["device"]["serial_digest"], set()).add(str(pulse))
    assert sorted(map(sorted, of.values())) == [["60"], ["61"]], of


@scenario(limit=600)
def test_usb_killed(world):
    """kill -9 of wellgate-devices in the middle of the dialogue, again and again."""
    hub(world, "add phdc_cuff", "0 measure", "0 plug")
    confirmed(world, 0, 1)
    for number in range(2, 10):
        since = len(world.log("cables"))
        world.usbctl("0 measure")
        if number % 2:
            world.wait_log("cables", rf"reported n={number} ", since=since)
        starts = world.running["devices"].starts
        world.kill("devices")
        world.wait("it to be started again", lambda s=starts: world.running["devices"].starts > s)
        confirmed(world, 0, number)
    check(world)


def test_usb_gadget(world):
    """The kernel's own gadget, with APDUs by hand; its cable out in between."""
    world.udev()
    world.gateway(restart=1.0)
    world.devices("--usb", restart=1.0)
    gadget(world, 3)
    world.wait_log("gadget", r"^confirmed n=1$")
    put(GADGET + "/UDC", "\n")
    world.wait_log("gadget", r"^event 1$")  # unbound
    world.wait("usbfs to be let go", lambda: open_nodes(world) == 0)
    put(GADGET + "/UDC", CONTROLLER)
    world.wait_log("gadget", r"^confirmed n=3$")
    got = sorted(int(frames.of_reading(r)["systolic"]) for r in stored(world))
    assert got == [111, 112, 113], got
