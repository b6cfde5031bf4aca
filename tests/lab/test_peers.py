"""The simulated peripherals against the kernel and bluetoothd: every way of pairing, every database.

Our security manager and ATT server were written by the same hands as what they will test; here the
other side is BlueZ, which knows nothing of us.
"""
import os
import re

from world import BusError, scenario

WEIGHT = "00002a9d-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER = "00002a24-0000-1000-8000-00805f9b34fb"
# way, agent's capability, number typed, secure connections, authenticated
WAYS = [
    ("just-works", "NoInputNoOutput", 0, 0, 0),
    ("passkey 019655", "KeyboardDisplay", 19655, 0, 1),
    ("secure", "NoInputNoOutput", 0, 1, 0),
    ("secure-passkey 123456", "KeyboardDisplay", 123456, 1, 1),
    ("compare", "KeyboardDisplay", 0, 1, 1),
]
# model -> UUIDs (16 bits) that bluetoothd must find in it
MODELS = {
    "weight_scale": {"181d"},
    "body_scale": {"181d", "181b", "181c", "1805", "ffff"},
    "blood_pressure": {"1810", "1805"},
    "bm85": {"1810"},
    "a_and_d_cuff": {"1810"},
    "a_and_d_scale": {"181d"},
    "thermometer": {"1809"},
    "pulse_oximeter": {"1822"},
    "glucose_meter": {"1808"},
    "heart_rate": {"180d"},
    "xiaomi_scale": {"181b", "1530"},
    "infinitime": {"180d", "1805"},
    "colmi_ring": {"180a"},
}


def agent(world, capability, number=0, answer="yes"):
    """Another agent in place of the one before."""
    if "agent" in world.running:
        world.kill("agent")
        world.running["agent"].wait()
    since = len(world.log("agent"))
    world.program("agent", "/usr/bin/python3", os.path.join(os.path.dirname(__file__), "pairing_agent.py"),
                  capability, number, answer)
    world.wait_log("agent", "^registered$", since=since)


def add(world, model, *commands):
    """A new peripheral; its number."""
    number = int(re.search(r"\d+", world.ctl(f"add {model}")).group())
    for command in commands:
        world.ctl(f"{number} {command}")
    return number


def find(world, number):
    address = world.radio_address(number)
    world.scan()
    world.wait("the peripheral to be found", lambda: address in world.seen())
    world.unscan()
    return "/org/bluez/hci0/dev_" + address.replace(":", "_")


def property_of(world, device, name):
    return world.objects().get(device, {}).get("org.bluez.Device1", {}).get(name)


def resolved(world, device):
    world.wait("the services to be resolved", lambda: property_of(world, device, "ServicesResolved"))


def characteristic(world, device, uuid):
    return next(path for path, interfaces in world.objects().items() if path.startswith(device)
                and interfaces.get("org.bluez.GattCharacteristic1", {}).get("UUID") == uuid)


def disconnect(world, device):
    world.call(device, "Device1", "Disconnect")
    world.wait("the link to end", lambda: not property_of(world, device, "Connected"))


def one_reading(world, number, device):
    """Subscribed, taken, indicated over the secured link, confirmed; the bytes are the same at both ends."""
    since = len(world.log("world"))
    weight = characteristic(world, device, WEIGHT)
    world.call(weight, "GattCharacteristic1", "StartNotify")
    world.ctl(f"{number} measure")
    sent = world.wait_log("world", rf" {number} weight_scale confirmed ([0-9a-f]+)$", since=since).group(1)
    world.wait("the value", lambda: bytes(world.objects()[weight]["org.bluez.GattCharacteristic1"]["Value"])
               == bytes.fromhex(sent))


def pair_and_read(world, way, capability, number, secure, authenticated):
    agent(world, capability, number)
    peer = add(world, "weight_scale", f"pair {way}")
    device = find(world, peer)
    since = len(world.log("world"))
    world.call(device, "Device1", "Pair")
    world.wait_log("world", rf" {peer} weight_scale bonded authenticated={authenticated} secure={secure}$",
                   since=since)
    resolved(world, device)
    one_reading(world, peer, device)
    if way == "compare":
        shown = re.search(rf" {peer} weight_scale displays (\d+)$", world.log("world"), re.M).group(1)
        assert f"asked compare {shown}" in world.log("agent")
    disconnect(world, device)
    # and by the kept key alone
    since = len(world.log("world"))
    world.call(device, "Device1", "Connect")
    resolved(world, device)
    world.wait_log("world", rf" {peer} weight_scale encrypted level={2 + authenticated}$", since=since)
    assert "bonded" not in world.log("world")[since:]
    one_reading(world, peer, device)
    disconnect(world, device)


def test_every_way_of_pairing(world):
    world.up()
    for way in WAYS:
        world.say(f"way {way[0]}")
        pair_and_read(world, *way)


def test_wrong_numbers(world):
    """A mistyped passkey, legacy and secure, and a number that the person does not see."""
    world.up()
    for way, capability, number, answer in [("passkey 123456", "KeyboardDisplay", 123457, "yes"),
                                            ("secure-passkey 123456", "KeyboardDisplay", 123457, "yes"),
                                            ("compare", "KeyboardDisplay", 0, "no"),
                                            ("compare no", "KeyboardDisplay", 0, "yes")]:
        agent(world, capability, number, answer)
        peer = add(world, "weight_scale", f"pair {way}")
        device = find(world, peer)
        since = len(world.log("world"))
        try:
            world.call(device, "Device1", "Pair")
        except BusError as error:
            assert error.name.startswith("org.bluez.Error.Authentication"), error
        else:
            raise AssertionError(f"{way} paired")
        world.wait_log("world", rf" {peer} weight_scale pairing failed", since=since)
        assert "bonded=0" in world.ctl(f"{peer} state")
        world.call("hci0", "Adapter1", "RemoveDevice", device, signature="o")


def test_every_database(world):
    """bluetoothd walks through the table of every model and reads a string from it."""
    world.up()
    agent(world, "NoInputNoOutput")
    for model, services in MODELS.items():
        peer = add(world, model)
        device = find(world, peer)
        world.call(device, "Device1", "Connect")
        resolved(world, device)
        found = {str(uuid)[4:8] for uuid in property_of(world, device, "UUIDs") if str(uuid).startswith("0000")}
        assert services <= found, (model, found)
        if model.startswith("a_and_d"):
            assert "233bf000-5a34-1b6d-975c-000d5690abe4" in property_of(world, device, "UUIDs")
        value = world.call(characteristic(world, device, MODEL_NUMBER), "GattCharacteristic1", "ReadValue",
                           {}, signature="a{sv}")
        assert bytes(value).decode().isprintable(), value
        world.call("hci0", "Adapter1", "RemoveDevice", device, signature="o")
        world.ctl(f"remove {peer}")


@scenario(kernels=["backports"])
def test_forgotten_bond(world):
    """The peripheral lost its bond, or has another key: no encryption, and no reading."""
    world.up()
    agent(world, "NoInputNoOutput")
    for loss, said in [("forget", "has no key"), ("wrong-key on", "")]:
        peer = add(world, "weight_scale", "pair secure")
        device = find(world, peer)
        world.call(device, "Device1", "Pair")
        resolved(world, device)
        disconnect(world, device)
        world.ctl(f"{peer} {loss}")
        world.ctl(f"{peer} measure")
        since = len(world.log("world"))
        try:
            world.call(device, "Device1", "Connect")
        except BusError as error:
            world.say(f"Connect: {error.name}")
        world.wait_log("world", rf" {peer} weight_scale {said}", since=since)
        assert "encrypted level" not in world.log("world")[since:]
        assert "stored=1 " in world.ctl(f"{peer} state")
        world.call("hci0", "Adapter1", "RemoveDevice", device, signature="o")
