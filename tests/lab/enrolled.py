"""A hub whose devices are enrolled already: their files are written before wellgate-devices starts.

Pairing fifty devices takes minutes under software emulation, and is tested elsewhere. Only for devices
that need no bond (level clear): a bond is bluetoothd's, and cannot be written.
"""
import os
import re
import statistics
import zlib

from world import HUB_CONF


def addresses(world):
    """Of the simulated devices: [(address, "public" or "random")], by index."""
    return re.findall(r"\d+ \S+ ([0-9A-F:]{17}) (public|random) ", world.ctl("list"))


def enrol(world, driver="weight_scale"):
    """All devices that the radio has now; the format is that of drivers/transport/enrolment.h."""
    folder = os.path.join(world.folder, "devices")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for address, kind in addresses(world):
        text = (f"wellgate-device=1\naddress={address}\ntype={kind}\ndriver={driver}\nquirks=0\n"
                "name=scale\nlevel=clear\npath=bearer\nkept=\nenrolled_ms=1767225600000\ntable=\n")
        text += f"checksum={zlib.crc32(text.encode()):08x}\n"
        path = os.path.join(folder, f"{address}-{kind}.device")
        with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as stream:
            stream.write(text)


def hub(world, *commands, devices=(), restart=1.0):
    """As world.hub(), with every simulated device of these commands enrolled."""
    with open(HUB_CONF, encoding="utf-8") as stream:
        world.up(*commands, config=stream.read())
    enrol(world)
    world.gateway(restart=restart)
    world.devices(*devices, restart=restart)
    world.wait_log("devices", r"adapter ready")


def is_read(world, number=0, limit=120):
    """Something is measured and confirmed."""
    since = len(world.log("world"))
    world.ctl(f"{number} measure")
    world.wait_log("world", rf" {number} weight_scale confirmed", since=since, limit=limit)


def spread(values):
    """For people: median, p99 (the largest, of fewer than 100) and the largest."""
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(0.99 * len(values)))]
    return f"n {len(values)} median {statistics.median(values):.2f} p99 {p99:.2f} max {values[-1]:.2f}"


def figure(world, name, text):
    """A line that tests/lab/figures finds."""
    world.say(f"figure: {name}: {text}")
