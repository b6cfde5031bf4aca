#!/usr/bin/python3
"""An agent of bluetoothd that answers as it was told to.

usage: pairing_agent.py CAPABILITY [NUMBER [no]]
CAPABILITY as in AgentManager1. NUMBER is typed when a passkey is asked for; "no" refuses a number that
is to be compared. Prints: registered, asked passkey, asked compare NNNNNN, asked yes.
"""
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

AGENT = "org.bluez.Agent1"
PATH = "/lab/agent"


class Rejected(dbus.DBusException):
    _dbus_error_name = "org.bluez.Error.Rejected"


def say(*words):
    print(*words, flush=True)


class Agent(dbus.service.Object):
    def __init__(self, bus, number, agrees):
        super().__init__(bus, PATH)
        self.number, self.agrees = number, agrees

    @dbus.service.method(AGENT, in_signature="o", out_signature="u")
    def RequestPasskey(self, _device):
        say("asked passkey")
        return dbus.UInt32(self.number)

    @dbus.service.method(AGENT, in_signature="ou")
    def RequestConfirmation(self, _device, number):
        say(f"asked compare {int(number):06d}")
        if not self.agrees:
            raise Rejected("no")

    @dbus.service.method(AGENT, in_signature="o")
    def RequestAuthorization(self, _device):
        say("asked yes")

    @dbus.service.method(AGENT)
    def Cancel(self):
        say("cancelled")

    @dbus.service.method(AGENT)
    def Release(self):
        say("released")


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    agent = Agent(bus, number, "no" not in sys.argv[3:])
    manager = dbus.Interface(bus.get_object("org.bluez", "/org/bluez"), "org.bluez.AgentManager1")
    manager.RegisterAgent(PATH, sys.argv[1])
    manager.RequestDefaultAgent(PATH)
    say("registered")
    assert agent is not None
    GLib.MainLoop().run()


main()
