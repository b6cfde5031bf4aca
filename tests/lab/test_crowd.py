"""Many devices and many strangers around one adapter: all is read, once; nothing grows; nobody is noted.

Short forms; the long ones are run by tests/lab/figures. What was measured is in scenario.log, in the
lines with "figure".
"""
import os
import re
import time
from collections import Counter
from decimal import Decimal

import frames
from enrolled import addresses, figure, hub, spread
from world import scenario

MIB = 1 << 20
DRIVER = r"weight_scale"


def status_of(process, key):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as stream:
        return int(re.search(rf"^{key}:\s+(\d+)", stream.read(), re.M).group(1))


def rss(world, name="devices"):
    """Bytes."""
    return status_of(world.running[name].process, "VmRSS") * 1024


def cpu(world, name):
    """Seconds that a program has used so far, in the kernel too."""
    with open(f"/proc/{world.running[name].process.pid}/stat", encoding="utf-8") as stream:
        words = stream.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(world):
    return len(os.listdir(f"/proc/{world.running['devices'].process.pid}/fd"))


# ---- measuring: a device advertises from its measurement until it was read

def confirmed(world):
    """[(time, device)] of each confirmation."""
    return [(float(t), int(n)) for t, n in re.findall(rf"^([\d.]+) (\d+) {DRIVER} confirmed ",
                                                      world.log("world"), re.M)]


def all_measure(world, peers, each=1):
    """They are used in the same moment; the seconds from then to each confirmation."""
    before = len(confirmed(world))
    start = time.monotonic()
    for peer in peers:
        world.ctl(f"{peer} measure {each}")
        world.ctl(f"{peer} advertise on")
    total = before + each * len(peers)
    world.wait(f"{each} readings of each of {len(peers)}", lambda: len(confirmed(world)) >= total, limit=600)
    for peer in peers:
        world.ctl(f"{peer} advertise off")
    return [at - start for at, _ in confirmed(world)[before:]]


def one_measures(world, peer, fault=None):
    """Alone; seconds to the confirmation. With a fault on its next link."""
    if fault:
        world.ctl(f"{peer} fault {fault}")
    return all_measure(world, [peer])[0]


def check_once(world, peers):
    """Every confirmed frame is one reading in the store, with its values, and there is nothing else."""
    log = world.log("world")
    sent = Counter()
    for peer in peers:
        numbers = {n: data for n, _, _, model, data in frames.frames(log, peer, "confirmed")}
        sent.update(str(frames.decode("weight_scale", 0, data)["body_weight"].normalize())
                    for data in numbers.values())
    readings = world.wellgate_json("readings", "--limit", "100000")
    kept = Counter(str(Decimal(frames.of_reading(r)["body_weight"]).normalize()) for r in readings)
    assert sent == kept, (sent - kept, kept - sent)
    world.say(f"{sum(sent.values())} readings, each once")
    return sum(sent.values())


# ---- strangers

def all_files(world):
    """What we have written anywhere: logs, state, database."""
    paths = [world.log_path("devices"), world.log_path("gateway")]
    for folder in (world.stand.folder, world.folder + "/devices"):
        for root, _, names in os.walk(folder):
            paths += [os.path.join(root, name) for name in names if not name.endswith(".sock")]
    for path in paths:
        with open(path, "rb") as stream:
            yield path, stream.read() + path.encode()


def noted(world, strangers):
    """[(file, address)] of these that can be found in what is ours, in any notation."""
    found = []
    wanted = {address.replace(":", "").lower().encode(): address for address in strangers}
    raw = {}
    for key, address in list(wanted.items())[:200]:
        raw[bytes.fromhex(key.decode())] = raw[bytes.fromhex(key.decode())[::-1]] = address
    for path, data in all_files(world):
        for match in re.finditer(rb"(?=([0-9a-fA-F]{2}(?:[:_-]?[0-9a-fA-F]{2}){5}))", data):
            key = re.sub(rb"[:_-]", b"", match.group(1)).lower()
            if key in wanted:
                found.append((path, wanted[key]))
        found += [(path, address) for key, address in raw.items() if key in data]
    return found


def check_unnoted(world, strangers):
    ours = {address for address, _ in addresses(world)}
    assert noted(world, ours), "the search finds not even what must be there"
    found = noted(world, strangers - ours)
    assert not found, found[:5]
    world.say(f"{len(strangers - ours)} strangers seen, none written down")


def surrounded(world, peripherals, strangers, rate, rounds, drops):
    """The scenario, in both sizes."""
    hub(world, f"add weight_scale {peripherals}", "all advertise off", devices=("--verbose",))
    peers = range(peripherals)
    one_measures(world, 0)
    first, opened = rss(world), descriptors(world)
    world.ctl(f"crowd {strangers} {rate}")
    met = set()
    alone, together, dropped = [], [], []
    for _ in range(rounds):
        together += all_measure(world, peers, 2)
        met |= set(world.seen())
    figure(world, f"{peripherals} devices used at once, among {strangers} strangers, measured to stored",
           spread(together))
    middle = rss(world)
    for n in range(drops):
        alone.append(one_measures(world, n % peripherals))
        dropped.append(one_measures(world, n % peripherals, "unconfirmed 1 20"))
        met |= set(world.seen())
    if drops:
        figure(world, "one device used, measured to stored", spread(alone))
        figure(world, "the same with the link lost before the confirmation", spread(dropped))
    last = rss(world)
    figure(world, "CPU s of wellgate-devices, bluetoothd, dbus-daemon",
           " ".join(f"{cpu(world, name):.1f}" for name in ("devices", "bluetoothd", "dbus")))
    figure(world, "RSS before, among, after strangers (MiB)", " ".join(f"{n / MIB:.2f}" for n in (first, middle, last)))
    figure(world, "readings, each stored once", check_once(world, peers))
    check_unnoted(world, met)
    assert last - middle < MIB / 2 and last - first < 4 * MIB, (first, middle, last)
    world.wait("all links to be closed", lambda: descriptors(world) <= opened)


@scenario(vm="crowd")
def test_crowd_is_read(world):
    surrounded(world, peripherals=10, strangers=1000, rate=50, rounds=1, drops=2)


def idle(world, seconds):
    """What it costs to do nothing among 100 adverts per second; the ratio to bluetoothd's own cost."""
    hub(world, "add weight_scale", "all advertise off", "crowd 300 100")
    world.wait("strangers to be heard", lambda: len(world.seen()) > 50)
    names = ("devices", "bluetoothd", "dbus")
    before = {name: cpu(world, name) for name in names}
    switches = status_of(world.running["devices"].process, "voluntary_ctxt_switches")
    size, start = rss(world), time.monotonic()
    time.sleep(seconds)  # this measures a time; nothing is waited for
    taken = time.monotonic() - start
    used = {name: cpu(world, name) - before[name] for name in names}
    woken = status_of(world.running["devices"].process, "voluntary_ctxt_switches") - switches
    ratio = used["devices"] / max(used["bluetoothd"], 0.01)
    figure(world, "idle, 100 adverts a second: CPU % of " + ", ".join(names),
           " ".join(f"{100 * used[name] / taken:.2f}" for name in names))
    figure(world, "idle: ratio to bluetoothd, wake-ups a second, RSS growth (KiB)",
           f"{ratio:.2f} {woken / taken:.1f} {(rss(world) - size) / 1024:.0f}")
    assert rss(world) - size < MIB / 2
    return ratio


@scenario(vm="crowd")
def test_crowd_idle(world):
    assert idle(world, 15) < 1.5
