"""BlueZ alone, without our programs: what the lab itself stands on.

One dialogue, with bluetoothd as the central, against two peripherals: the simulated one and bluetoothd
itself. If only the first understood it, our simulator would be agreeing with ourselves.
"""
from world import BusError, scenario

SCALE = "0000181d-0000-1000-8000-00805f9b34fb"
WEIGHT = "00002a9d-0000-1000-8000-00805f9b34fb"
PEERS = 10
# One daemon at both ends: over several ATT channels 5.66 hands answers to the wrong one.
ONE_CHANNEL = "[GATT]\nChannels = 1\n"


def find(world, address, again=False):
    """Scans until a weight scale with that address is there; its path."""
    world.scan()
    world.wait("the peripheral to be found", lambda: address in world.seen())
    device = world.seen()[address]
    if not again:  # 5.66 forgets them for good when a link is lost before discovery
        assert SCALE in device["UUIDs"], list(device["UUIDs"])
    assert device.get("Name"), "no name"
    world.unscan()
    return "/org/bluez/hci0/dev_" + address.replace(":", "_")


def characteristic(world, device, uuid):
    """Path of a characteristic, once bluetoothd has resolved the device's services."""
    def found():
        objects = world.objects()
        if not objects.get(device, {}).get("org.bluez.Device1", {}).get("ServicesResolved"):
            return None
        return next((path for path, interfaces in objects.items() if path.startswith(device)
                     and interfaces.get("org.bluez.GattCharacteristic1", {}).get("UUID") == uuid), None)
    return world.wait(f"characteristic {uuid[4:8]} of the device", found)


def subscribe(world, device):
    weight = characteristic(world, device, WEIGHT)
    world.call(weight, "GattCharacteristic1", "StartNotify")
    return weight


def indicated(world, weight):
    value = world.wait("the weight", lambda: bytes(world.objects()[weight]["org.bluez.GattCharacteristic1"]["Value"]))
    assert len(value) >= 3, value
    return value


def test_independent_peripheral(world):
    """bluetoothd is the scale: found, connected, read; its indication comes and is confirmed."""
    world.dbus()
    world.btvirt(2)
    world.bluetoothd(config=ONE_CHANNEL)
    world.wait_adapter("hci0")
    world.wait_adapter("hci1")
    world.peripheral("hci1")
    device = find(world, str(world.get("hci1", "Adapter1", "Address")))
    world.call(device, "Device1", "Connect")
    weight = subscribe(world, device)
    world.wait_log("peripheral", r"^subscribed 2a9d$")
    world.wait_log("peripheral", r"^confirmed 2a9d$")
    assert indicated(world, weight) == bytes.fromhex("00b036")


def test_simulated_peripheral(world):
    """lab-radio is the scale: the same dialogue."""
    world.up("add weight_scale", config=ONE_CHANNEL)
    device = find(world, world.radio_address(0))
    world.call(device, "Device1", "Connect")
    weight = subscribe(world, device)
    world.ctl("0 measure")
    world.wait_log("world", r" 0 weight_scale confirmed ")
    sent = world.wait_log("world", r" 0 weight_scale indicated ([0-9a-f]+)\b").group(1)
    assert indicated(world, weight) == bytes.fromhex(sent), sent


def test_scan_finds_all(world):
    """Every simulated device is found by a scan, with its name."""
    world.up(f"add weight_scale {PEERS}")
    world.scan()
    world.wait(f"{PEERS} devices", lambda: len(world.seen()) == PEERS)
    assert all(device.get("Name") for device in world.seen().values()), world.seen()


def test_daemon_comes_back(world):
    """A killed bluetoothd and a killed bus are started again; the adapter is powered again."""
    world.up()
    daemon = world.running["bluetoothd"]
    world.kill("bluetoothd")
    world.wait("another bluetoothd", lambda: daemon.starts == 2)
    world.wait_adapter()
    world.kill("dbus")
    world.wait_log("dbus", "ended with -9")
    world.dbus()
    world.wait("bluetoothd to leave with its bus and return", lambda: daemon.starts >= 3)
    world.wait_adapter()
    assert daemon.ended[0] == -9
    try:
        world.call("hci7", "Adapter1", "StartDiscovery")
    except BusError as error:
        assert error.name == "org.freedesktop.DBus.Error.UnknownObject", error
    else:
        raise AssertionError("an adapter that is not there took a call")


def lose_link(world):
    """A link that dies 240 ms after it came up, before its first packet, under bluetoothd's hands."""
    world.up("add weight_scale", "0 fault lost")
    device = find(world, world.radio_address(0))
    try:
        world.call(device, "Device1", "Connect")
    except BusError as error:
        world.say(f"Connect: {error.name}")


@scenario(kernels=["stable"], vm="oops", require_oops=r"list_del corruption|hci_chan_del")
def test_link_lost_kills_bluetoothd(world):
    """Debian 12's own kernel oopses and takes bluetoothd along: the case a box in a home must live through."""
    lose_link(world)
    daemon = world.running["bluetoothd"]
    world.wait("bluetoothd to be killed by the kernel", lambda: daemon.ended)
    world.wait("another bluetoothd", lambda: daemon.starts == 2)
    world.wait_adapter()


@scenario(kernels=["backports"])
def test_link_lost(world):
    """The kernel of backports does not mind."""
    lose_link(world)
    world.wait_log("world", r"disconnected")
    device = find(world, world.radio_address(0), again=True)
    world.call(device, "Device1", "Connect")
    characteristic(world, device, WEIGHT)
    assert not world.running["bluetoothd"].ended
