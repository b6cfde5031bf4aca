#!/usr/bin/python3
"""A peripheral that nobody here wrote the radio half of: bluetoothd's own GATT server and advertising.

usage: peripheral.py ADAPTER
A weight scale (with one indicated measurement), a battery, a maker's name. It keeps our simulator
honest: what reads the simulated devices must read this one too. Prints one line per event:
registered, advertising, read UUID, subscribed UUID, confirmed UUID.
"""
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

BLUEZ = "org.bluez."
PROPERTIES = "org.freedesktop.DBus.Properties"
NAME = "Lab peripheral"
# service -> [(characteristic, flags, value)]; a weight of 70.00 kg, without a time
SERVICES = {
    "181d": [("2a9e", ["read"], bytes.fromhex("1f000000")), ("2a9d", ["indicate"], bytes.fromhex("00b036"))],
    "180a": [("2a29", ["read"], b"Wellgate lab")],
    "180f": [("2a19", ["read", "notify"], b"\x5f")],
}


def uuid(short):
    return f"0000{short}-0000-1000-8000-00805f9b34fb"


def say(*words):
    print(*words, flush=True)


class Node(dbus.service.Object):
    """An object with constant properties, which is all that bluetoothd asks for."""

    def __init__(self, bus, path, interface, properties):
        super().__init__(bus, path)
        self.path, self.interface, self.properties = path, BLUEZ + interface, properties

    @dbus.service.method(PROPERTIES, in_signature="s", out_signature="a{sv}")
    def GetAll(self, _interface):
        return self.properties

    @dbus.service.signal(PROPERTIES, signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass


class Characteristic(Node):
    def __init__(self, bus, service, number, short, flags, value):
        super().__init__(bus, f"{service}/char{number}", "GattCharacteristic1", {
            "UUID": uuid(short), "Service": dbus.ObjectPath(service), "Flags": dbus.Array(flags, signature="s")})
        self.short, self.value = short, dbus.ByteArray(value)

    @dbus.service.method(BLUEZ + "GattCharacteristic1", in_signature="a{sv}", out_signature="ay")
    def ReadValue(self, _options):
        say("read", self.short)
        return self.value

    @dbus.service.method(BLUEZ + "GattCharacteristic1")
    def StartNotify(self):
        say("subscribed", self.short)
        GLib.idle_add(self.send)

    @dbus.service.method(BLUEZ + "GattCharacteristic1")
    def StopNotify(self):
        say("unsubscribed", self.short)

    @dbus.service.method(BLUEZ + "GattCharacteristic1")
    def Confirm(self):
        say("confirmed", self.short)

    def send(self):
        self.PropertiesChanged(self.interface, {"Value": self.value}, [])
        return False


class Application(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, "/lab")
        self.nodes = []
        for n, (short, characteristics) in enumerate(SERVICES.items()):
            path = f"/lab/service{n}"
            self.nodes.append(Node(bus, path, "GattService1", {"UUID": uuid(short), "Primary": True}))
            self.nodes += [Characteristic(bus, path, c, *row) for c, row in enumerate(characteristics)]

    @dbus.service.method("org.freedesktop.DBus.ObjectManager", out_signature="a{oa{sa{sv}}}")
    def GetManagedObjects(self):
        return {dbus.ObjectPath(node.path): {node.interface: node.properties} for node in self.nodes}


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    loop = GLib.MainLoop()
    adapter = bus.get_object("org.bluez", "/org/bluez/" + sys.argv[1], introspect=False)
    failed = []

    def bad(error):
        say("failed", error.get_dbus_name(), error.get_dbus_message())
        failed.append(error)
        loop.quit()

    def advertise():
        say("registered")
        dbus.Interface(adapter, BLUEZ + "LEAdvertisingManager1").RegisterAdvertisement(
            dbus.ObjectPath("/lab/advertisement"), dbus.Dictionary({}, signature="sv"),
            reply_handler=lambda: say("advertising"), error_handler=bad)

    application = Application(bus)
    advertisement = Node(bus, "/lab/advertisement", "LEAdvertisement1", {
        "Type": "peripheral", "LocalName": NAME, "ServiceUUIDs": dbus.Array([uuid("181d")], signature="s")})
    dbus.Interface(adapter, BLUEZ + "GattManager1").RegisterApplication(
        dbus.ObjectPath("/lab"), dbus.Dictionary({}, signature="sv"), reply_handler=advertise, error_handler=bad)
    loop.run()
    del application, advertisement
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
