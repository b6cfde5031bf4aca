"""A meter that remembers, over the real kernel and libusb: its store is read once, whatever becomes of
the cable, with PHDC's metadata preamble and without it.
"""
import re

from test_usb_hub import check, files, hub, nothing_left, stored, taken, transfers
from world import scenario

SEGMENT = 8  # readings in a segment of the meter's


def read_through(world, number):
    """How often the meter was told that this entry of its store is safe."""
    return len(re.findall(rf" confirmed n={number}$", world.log("cables"), re.M))


def read_again(world, number):
    """The meter is plugged in, and its store read to the end."""
    before = read_through(world, number)
    world.usb("0 plug")
    world.wait("its store to be read to the end", lambda: read_through(world, number) > before)


def unplugged(world):
    world.usbctl("0 unplug")
    world.wait("the device to be forgotten", lambda: not any("bus/usb" in path for path in files(world)))


def store_is_read_once(world, model, *options):
    """Several segments; again after it was plugged in again, and then nothing new but what is new."""
    count = 2 * SEGMENT + 3
    hub(world, f"add {model}", f"0 measure {count}", "0 plug", options=options)
    taken(world, count)
    world.wait("the end of its store", lambda: read_through(world, count))
    segments = {n: read_through(world, n) for n in range(1, count + 1)}
    assert set(segments.values()) == {1}, segments
    check(world)
    unplugged(world)
    before = files(world)
    read_again(world, count)
    check(world)
    unplugged(world)
    world.usbctl("0 measure 7")  # the open segment is filled, and there is one more
    read_again(world, count + 7)
    taken(world, count + 7)
    check(world)
    world.usbctl("0 unplug")
    nothing_left(world, before)
    assert len(world.published()) == count + 7
    assert len({r["device"]["serial_digest"] for r in stored(world)}) == 1


def store_is_cut(world, model, *options):
    """The cable out instead of each transfer of a dialogue over two segments, or right after it."""
    hub(world, f"add {model}", f"0 measure {SEGMENT + 1}", "0 plug", options=options)
    number = SEGMENT + 1
    world.wait("the end of its store", lambda: read_through(world, number))
    last = transfers(world, 0)[1]
    unplugged(world)
    before = files(world)
    for at in range(1, last + 1):
        how = " after" if at % 2 else ""
        new = at % 4 == 0 and number < 4 * SEGMENT  # now and then there is something to lose
        number += new
        world.usb(*["0 measure"] * new, f"0 fault cut-at {at}{how}", "0 plug")
        world.wait("the cable to be out", lambda: transfers(world, 0)[0] == "unplugged")
        world.usbctl("0 fault none")
        read_again(world, number)
        taken(world, number)
        world.usbctl("0 unplug")
        assert transfers(world, 0)[2] == 0
    check(world)
    nothing_left(world, before)
    world.say(f"figure: {model}: {last} cuts in a store of {number} readings, each once")


def test_usb_store_once(world):
    store_is_read_once(world, "phdc_meter")


def test_usb_store_preamble(world):
    store_is_read_once(world, "phdc_preamble", "--usb-preamble")
    assert re.search(r" preamble on$", world.log("cables"), re.M)


def test_usb_store_preamble_unused(world):
    """Offered, and not asked for: as any other."""
    store_is_read_once(world, "phdc_preamble")
    assert " preamble on" not in world.log("cables")


@scenario(limit=600)
def test_usb_store_cut(world):
    store_is_cut(world, "phdc_meter")


@scenario(limit=600)
def test_usb_store_cut_preamble(world):
    store_is_cut(world, "phdc_preamble", "--usb-preamble")
