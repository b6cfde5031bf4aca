"""Pairing and its ends, through the command line: who may pair when, what a lost or false key does, and
what others on the hub can see of it.
"""
import json
import os
import re
import subprocess

import frames
from world import CLOSE_OOPS, scenario

POLICY = "/etc/dbus-1/system-local.conf"
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def device_of(world, reference):
    found = [d for d in world.wellgate_json("devices") if d["device"] == reference]
    return found[0] if found else None


def wait_trouble(world, reference, trouble):
    return world.wait(f"trouble {trouble}", lambda: (
        lambda d: d if d and d["trouble"] == trouble else None)(device_of(world, reference)))


def confirmed(world, peer, since=0):
    return {f[0] for f in frames.frames(world.log("world")[since:], peer, "confirmed")}


def wait_confirmed(world, peer, count, since=0):
    world.wait(f"{count} readings of {peer}", lambda: len(confirmed(world, peer, since)) >= count)


def wait_free(world, peer):
    world.wait(f"the link of {peer} to end", lambda: not frames.linked(world.log("world"), peer))


def refused(world, *arguments):
    """`wellgate pair` that must not pair: what it said at the end."""
    result = world.wellgate("pair", "--json", "--yes", *arguments)
    world.say(f"pair: {result.returncode} {result.stdout} {result.stderr}")
    assert result.returncode == 69, (result.returncode, result.stdout, result.stderr)
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["event"] == "failed" and last["reason"], last
    return last["reason"]


def pair(world, peer, *arguments):
    """Paired, read and left; its reference. Without a reading it would be waited for, 30 s."""
    since = len(world.log("world"))
    world.ctl(f"{peer} measure")
    world.ctl(f"{peer} advertise on")
    paired = world.pair(peer, *arguments)[-1]
    assert paired["event"] == "paired", paired
    wait_confirmed(world, peer, 1, since)
    world.ctl(f"{peer} advertise off")
    wait_free(world, peer)
    return paired["device"]


def suspect(world, peer, reference):
    """It is offered, and not read: the trouble is shown with what to do, and nothing was confirmed."""
    since, readings = len(world.log("world")), len(world.readings())
    world.ctl(f"{peer} measure")
    world.ctl(f"{peer} advertise on")
    wait_trouble(world, reference, "bond_suspect")
    text = world.wellgate("devices").stdout
    assert re.search(r"! It refuses the key.*\n +-> .*wellgate pair", text), text
    assert not confirmed(world, peer, since)
    assert len(world.readings()) == readings
    world.ctl(f"{peer} advertise off")
    wait_free(world, peer)


def heal(world, peer):
    """Paired again, and what it held comes."""
    since, readings = len(world.log("world")), len(world.readings())
    reference = pair(world, peer)
    wait_confirmed(world, peer, 2, since)
    assert len(world.readings()) == readings + 2
    assert device_of(world, reference)["trouble"] == "none"


@scenario(limit=300)
def test_bond_lost(world):
    """By the device, then by bluetoothd behind our back."""
    world.hub("add weight_scale", "0 pair secure", "add weight_scale", "1 pair just-works",
              "all advertise off")
    first, second = pair(world, 0), pair(world, 1)
    world.ctl("0 forget")
    suspect(world, 0, first)
    heal(world, 0)
    path = "/org/bluez/hci0/dev_" + world.radio_address(1).replace(":", "_")
    world.call("hci0", "Adapter1", "RemoveDevice", path, signature="o")
    suspect(world, 1, second)
    assert not world.objects().get(path, {}).get("org.bluez.Device1", {}).get("Bonded")
    heal(world, 1)


@scenario(vm="clone", expect_oops=CLOSE_OOPS, limit=300)
def test_clone(world):
    """Another device under the address of an enrolled one, which has not its key."""
    world.hub("add weight_scale", "0 pair secure", "all advertise off")
    reference = pair(world, 0)
    for early, trouble in (("off", "bond_suspect"), ("on", "spoof_suspect")):
        number = int(re.search(r"\d+", world.ctl("clone 0")).group())
        world.ctl(f"{number} early {early}")
        world.ctl(f"{number} measure")
        wait_trouble(world, reference, trouble)
        world.ctl(f"remove {number}")
        assert not confirmed(world, number)
        assert world.wellgate("pair", "--again", reference).returncode == 0
    assert device_of(world, reference)["in_clear"] > 0
    assert len(world.readings()) == 1
    # the true one was never in doubt
    world.ctl("0 measure 2")
    world.ctl("0 advertise on")
    wait_confirmed(world, 0, 3)
    assert len(world.readings()) == 3
    wait_trouble(world, reference, "none")


@scenario(limit=300)
def test_private_address(world):
    """Its address changes; it is known by its identity, on each link."""
    world.hub("add weight_scale", "0 pair secure", "all advertise off", "0 rotate")
    seen = {world.radio_address(0)}
    reference = pair(world, 0)
    for n in range(1, 3):
        world.ctl("0 rotate")
        seen.add(world.radio_address(0))
        world.ctl("0 measure")
        world.ctl("0 advertise on")
        wait_confirmed(world, 0, n + 1)
        world.ctl("0 advertise off")
        wait_free(world, 0)
    assert len(seen) == 3, seen
    assert len(world.readings()) == 3
    listed = [d for d in world.wellgate_json("devices", "--addresses") if d["paired"]]
    assert [d["device"] for d in listed] == [reference], listed
    assert listed[0]["address"] not in seen


class Typist:
    """`wellgate pair` with somebody at it."""

    def __init__(self, world, *arguments):
        self.process = subprocess.Popen(
            [world.path("wellgate"), "pair", "--json", "--yes", *arguments], stdin=subprocess.PIPE,
            stdout=open(world.log_path("typist"), "wb"), stderr=subprocess.STDOUT,
            env={**os.environ, "WELLGATE_RUNTIME_DIR": world.stand.runtime})

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def status(self):
        return self.process.wait(120)


@scenario(limit=300)
def test_window(world):
    """Only the chosen device, only while the window is open, only with the right number."""
    world.hub("add weight_scale", "add blood_pressure", "add thermometer", "1 pair passkey 123456",
              "2 pair just-works", "all advertise off")
    pair(world, 0)
    # enrolled as one that never pairs, it asks for security: with no window, then with that of another
    world.ctl("0 pair just-works")
    world.ctl("0 ask-security on")
    world.ctl("0 measure")
    asked = len(world.log("world"))
    world.ctl("0 advertise on")
    world.wait_log("world", r" 0 weight_scale pairing failed")
    world.ctl("0 advertise off")
    wait_free(world, 0)
    world.ctl("1 measure")
    world.ctl("1 advertise on")
    person = Typist(world, "--address", world.radio_address(1))
    world.wait_log("typist", r'"phase":"passkey"')
    since = len(world.log("world"))
    world.ctl("0 advertise on")
    world.wait_log("world", r" 0 weight_scale pairing failed", since=since)
    world.ctl("0 advertise off")
    person.type("123456")
    assert person.status() == 0, world.log("typist")
    assert " 0 weight_scale bonded" not in world.log("world")
    assert not confirmed(world, 0, asked)
    wait_confirmed(world, 1, 1)
    world.ctl("1 advertise off")
    wait_free(world, 1)
    refusals(world)


def refusals(world):
    paired = [d["device"] for d in world.wellgate_json("devices") if d["paired"]]
    world.ctl("1 forget")
    world.ctl("1 advertise on")
    reason = refused(world, "--address", world.radio_address(1), "--passkey", "123457")
    assert "code" in reason, reason
    world.ctl("1 advertise off")
    reason = refused(world, "--address", "02:00:5E:10:00:77", "--seconds", "10")
    assert "No device" in reason, reason
    assert paired == [d["device"] for d in world.wellgate_json("devices") if d["paired"]]


@scenario(kernels=["stable"], limit=300)  # nothing in it is the kernel's doing
def test_unpaired(world):
    """Taken from the hub, it is neither read nor linked again, and its key is gone."""
    world.hub("add weight_scale", "0 pair secure", "add weight_scale", "all advertise off")
    reference, _ = pair(world, 0), pair(world, 1)
    path = "/org/bluez/hci0/dev_" + world.radio_address(0).replace(":", "_")
    assert world.objects()[path]["org.bluez.Device1"]["Bonded"]
    assert world.wellgate("unpair", reference, "--yes").returncode == 0
    world.wait("the bond to go", lambda: not world.objects().get(path, {}).get(
        "org.bluez.Device1", {}).get("Bonded"))
    world.wait("the list to tell of it", lambda: not (device_of(world, reference) or {}).get("paired"))
    since = len(world.log("world"))
    world.ctl("all measure")
    world.ctl("all advertise on")
    wait_confirmed(world, 1, 1, since)
    assert not re.search(r" 0 weight_scale connected", world.log("world")[since:])


# ---- what others see

def as_nobody(*command):
    return subprocess.run([*NOBODY, *command], capture_output=True, text=True, check=False)


def reads_bluez():
    return as_nobody("busctl", "--system", "get-property", "org.bluez", "/org/bluez/hci0",
                     "org.bluez.Adapter1", "Powered")


def traces(data):
    """How a monitor of D-Bus would print these bytes."""
    return [" ".join(f"{b:02x}" for b in data), ", ".join(f"0x{b:02x}" for b in data), data.hex(),
            "\n".join(f"BYTE {b};" for b in data)]


def watch(world, since):
    """One reading, while others listen; its bytes are in nothing that they heard."""
    world.ctl("0 measure")
    world.ctl("0 advertise on")
    wait_confirmed(world, 0, 1, since)
    world.ctl("0 advertise off")
    wait_free(world, 0)
    for _, _, _, _, data in frames.frames(world.log("world"), 0):
        for name in ("gdbus", "monitor"):
            text = re.sub(r"[ \t]+", " ", world.log(name))
            assert not any(trace in text for trace in traces(data)), (name, data.hex())
            assert "GattCharacteristic1" not in text


@scenario(kernels=["stable"], vm="policy", limit=300)
def test_nobody_overhears(world):
    """A local user listens to D-Bus while a reading comes; then with the policy that we ship."""
    world.hub("add blood_pressure", "0 pair passkey 123456", "all advertise off")
    pair(world, 0, "--passkey", "123456")
    world.program("gdbus", *NOBODY, "stdbuf", "-oL", "gdbus", "monitor", "--system", "--dest", "org.bluez")
    world.program("monitor", *NOBODY, "stdbuf", "-oL", "dbus-monitor", "--system", "sender=org.bluez")
    world.wait_log("gdbus", r"org\.bluez is owned")
    assert reads_bluez().returncode == 0, reads_bluez()
    watch(world, len(world.log("world")))
    # they did listen: the link was to be seen
    world.wait_log("gdbus", r"Device1.*'Connected': <true>")
    with open(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                           "gateway", "dist", "wellgate-bluetooth.conf"), encoding="utf-8") as shipped:
        text = shipped.read()
    with open(POLICY, "w", encoding="utf-8") as policy:
        policy.write(text)
    subprocess.run(["busctl", "--system", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus",
                    "ReloadConfig"], check=True)
    world.wait("the policy to hold", lambda: "denied" in reads_bluez().stderr.lower())
    path = "/org/bluez/hci0/dev_" + world.radio_address(0).replace(":", "_")
    for method in ("Connect", "Disconnect", "Pair"):
        answer = as_nobody("busctl", "--system", "call", "org.bluez", path, "org.bluez.Device1", method)
        assert answer.returncode != 0 and "denied" in answer.stderr.lower(), answer
    heard = len(world.log("gdbus"))
    watch(world, len(world.log("world")))
    assert "Connected" not in world.log("gdbus")[heard:], world.log("gdbus")[heard:]
    assert len(world.readings()) == 3


# ---- what a capture of the controller tells

def replayed(world, path):
    result = world.wellgate("replay", path)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@scenario(kernels=["stable"], limit=300)
def test_capture_replays(world):
    """btmon's capture of a session, and the radio's own, give the same readings as the session did."""
    world.hub("add weight_scale", "0 pair secure", "all advertise off")
    world.program("btmon", "btmon", "-w", world.out + "/btmon.btsnoop")
    pair(world, 0)
    world.ctl("0 measure 2")
    world.ctl("0 advertise on")
    wait_confirmed(world, 0, 3)
    world.ctl("0 advertise off")
    wait_free(world, 0)
    world.running["btmon"].stop()
    stored = [frames.of_reading(r) for r in world.readings()]
    assert len(stored) == 3
    for capture in ("btmon.btsnoop", "radio.btsnoop"):
        found = [frames.of_reading(r) for r in replayed(world, os.path.join(world.out, capture))]
        assert found == stored, (capture, found, stored)
