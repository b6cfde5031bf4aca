"""BlueZ alone: what the lab itself stands on."""
from world import BusError, scenario

WEIGHT = "00002a9d-0000-1000-8000-00805f9b34fb"
MAKER = "00002a29-0000-1000-8000-00805f9b34fb"


def characteristic(world, device, uuid):
    """Path of a characteristic, once bluetoothd has resolved the device's services."""
    def found():
        objects = world.objects()
        if not objects.get(device, {}).get("org.bluez.Device1", {}).get("ServicesResolved"):
            return None
        return next((path for path, interfaces in objects.items() if path.startswith(device)
                     and interfaces.get("org.bluez.GattCharacteristic1", {}).get("UUID") == uuid), None)
    return world.wait(f"characteristic {uuid[4:8]} of the device", found)


@scenario()
def test_independent_peripheral(world):
    """bluetoothd is the scale: found, connected, read, and its indication comes and is confirmed."""
    world.dbus()
    world.btvirt(2)
    # one daemon at both ends: over several ATT channels 5.66 answers itself on the wrong one
    world.bluetoothd(config="[GATT]\nChannels = 1\n")
    world.wait_adapter("hci0")
    world.wait_adapter("hci1")
    world.peripheral("hci1")
    address = str(world.get("hci1", "Adapter1", "Address"))
    world.scan("hci0")
    world.wait("the peripheral to be found", lambda: address in world.seen("hci0"))
    assert "0000181d-0000-1000-8000-00805f9b34fb" in world.seen("hci0")[address]["UUIDs"]
    world.unscan("hci0")
    device = "/org/bluez/hci0/dev_" + address.replace(":", "_")
    world.call(device, "Device1", "Connect")
    maker = characteristic(world, device, MAKER)
    value = world.call(maker, "GattCharacteristic1", "ReadValue", {}, signature="a{sv}")
    assert bytes(value) == b"Wellgate lab", bytes(value)
    weight = characteristic(world, device, WEIGHT)
    world.call(weight, "GattCharacteristic1", "StartNotify")
    world.wait_log("peripheral", r"^subscribed 2a9d$")
    world.wait_log("peripheral", r"^confirmed 2a9d$")
    value = world.get(weight, "GattCharacteristic1", "Value")
    assert bytes(value) == bytes.fromhex("00b036"), bytes(value)


def test_daemon_comes_back(world):
    """A killed bluetoothd and a killed bus are started again; the adapter is powered again."""
    world.dbus()
    world.btvirt(1)
    daemon = world.bluetoothd()
    world.wait_adapter()
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
