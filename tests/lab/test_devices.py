"""Each family of devices, over the real kernel and bluetoothd, through the command line: found, paired,
read, left, read again with the keys of the pairing. What is in the store is what the device sent, once.
"""
from collections import Counter

import frames
from world import scenario

# model, how it pairs, options of `wellgate pair`, the link's level, how many readings at first
FAMILIES = [
    ("weight_scale", "", [], 1, 3),
    ("body_scale", "", ["--consent", "1:1234"], 2, 2),
    ("body_scale", "", ["--register", "4321"], 2, 2),
    ("blood_pressure", "", ["--passkey", "123456"], 3, 3),
    ("bm85", "", [], 2, 3),
    ("a_and_d_cuff", "", [], 2, 3),
    ("a_and_d_scale", "", [], 2, 3),
    ("thermometer", "secure", [], 2, 3),
    ("pulse_oximeter", "secure-passkey 123456", ["--passkey", "123456"], 3, 3),
    ("glucose_meter", "", [], 2, 4),
    ("heart_rate", "", [], 1, 3),
]
NOTIFIES = {"glucose_meter", "heart_rate"}


def prepare(world):
    """The hub, and the devices silent around it."""
    world.hub(*[f"add {model}" for model, *_ in FAMILIES], "all advertise off", "1 user 1 1234",
              "3 pair passkey 123456")
    for peer, (_, how, *_) in enumerate(FAMILIES):
        if how:
            world.ctl(f"{peer} pair {how}")


def sent(world, peer):
    """Each frame that the device has sent, once: (number, part) -> what was in it."""
    return {(n, part): frames.decode(model, part, data)
            for n, part, _, model, data in frames.frames(world.log("world"), peer)}


def of_device(readings, reference):
    return [r for r in readings if r["device"].get("serial_digest") == reference]


def measure(world, peer, count):
    model = FAMILIES[peer][0]
    world.ctl(f"{peer} measure {count}" + (" 1" if model == "body_scale" else ""))


def wait_taken(world, peer, reference, total):
    """All frames of that many readings are confirmed; or what is only notified is in the store."""
    model = FAMILIES[peer][0]
    if model in NOTIFIES:
        world.wait(f"{total} readings of {model}", lambda: len(of_device(stored(world), reference)) >= total)
    else:
        parts = 2 if model == "body_scale" else 1
        world.wait(f"{total} readings of {model} to be confirmed", lambda: len(
            {f[:2] for f in frames.frames(world.log("world"), peer, "confirmed")}) >= total * parts)


def stored(world):
    return world.wellgate_json("readings", "--limit", "1000")


def first_link(world, peer):
    """Paired with readings waiting in it; the reference under which it is known."""
    model, _, options, level, count = FAMILIES[peer]
    measure(world, peer, count)
    world.ctl(f"{peer} advertise on")
    paired = world.pair(peer, *options)[-1]
    assert paired["event"] == "paired" and paired["security"] == frames.LEVELS[level], paired
    wait_taken(world, peer, paired["device"], count)
    world.ctl(f"{peer} advertise off")  # the next one need not wait until the link has gone
    return paired["device"]


def check_values(world, peer, reference, readings):
    """The store has each frame once and nothing else."""
    def key(values):
        return tuple(sorted((name, str(value.normalize()) if hasattr(value, "normalize") else value)
                            for name, value in values.items()))
    expected = Counter(key(values) for values in sent(world, peer).values())
    found = Counter(key(frames.of_reading(r)) for r in of_device(readings, reference))
    assert found == expected, (FAMILIES[peer], "stored but not sent", found - expected,
                               "sent but not stored", expected - found)


def check_origin(world, peer, reference, readings):
    """Said with each reading: whose, how the link was, what it came from."""
    model, _, _, level, _ = FAMILIES[peer]
    for number, _, at_level, *_ in frames.frames(world.log("world"), peer):
        assert at_level == level, (model, number, at_level)
    for reading in of_device(readings, reference):
        assert reading["link_security"] == frames.LEVELS[level], reading
        assert reading["subject"] == "subject-under-test", reading
        assert reading["attribution"]["rule"] == "single_person", reading


@scenario(limit=300)
def test_families(world):
    """All at once after each was paired: nothing lost, doubled or changed."""
    prepare(world)
    references = [first_link(world, peer) for peer in range(len(FAMILIES))]
    assert len(set(references)) == len(FAMILIES)
    for peer in range(len(FAMILIES)):
        world.wait(f"{peer} to be left", lambda p=peer: not frames.linked(world.log("world"), p))
    for peer in range(len(FAMILIES)):
        measure(world, peer, 2)
    world.ctl("all advertise on")
    for peer, (*_, count) in enumerate(FAMILIES):
        wait_taken(world, peer, references[peer], count + 2)
        world.ctl(f"{peer} advertise off")
    readings = stored(world)
    assert len(readings) == sum(len(sent(world, peer)) for peer in range(len(FAMILIES)))
    listed = {d["device"]: d for d in world.wellgate_json("devices") if d["paired"]}
    assert set(listed) == set(references)
    for peer, reference in enumerate(references):
        assert listed[reference]["security"] == frames.LEVELS[FAMILIES[peer][3]], listed[reference]
        assert listed[reference]["trouble"] == "none", listed[reference]
        check_values(world, peer, reference, readings)
        check_origin(world, peer, reference, readings)
