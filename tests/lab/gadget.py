#!/usr/bin/python3
"""A blood pressure cuff of IEEE 11073 that nothing of ours is in: the kernel's own USB gadget.

usage: gadget.py COUNT      a cuff with COUNT readings on dummy_hcd, through FunctionFS, as root
The APDUs are written by hand from the standard. It says what happens, a line an event; it is taken off
its cable by an empty line into UDC (see world of the scenario), and put back by the controller's name.
FunctionFS refuses the descriptors 20h, 30h and 21h of PHDC, so it is one of class 0x0f without them.
"""
import os
import struct
import subprocess
import sys
import threading

GADGET = "/sys/kernel/config/usb_gadget/lab"
CONTROLLER = "dummy_udc.0"
FILES = "/run/gadget"
MAGIC_DESCRIPTORS, MAGIC_STRINGS = 3, 2
FULL_SPEED, HIGH_SPEED = 1, 2
BIND, UNBIND, ENABLE, DISABLE, SETUP = range(5)
CONFIG = bytes.fromhex("02bc")


def say(text):
    print(text, flush=True)


def put(path, text):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def describe():
    """One interface of class 0x0f with a bulk pair, for both speeds; no strings."""
    def at(packet):
        return (struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 2, 0x0f, 0, 0, 0) +
                struct.pack("<BBBBHB", 7, 5, 0x81, 2, packet, 0) + struct.pack("<BBBBHB", 7, 5, 0x02, 2, packet, 0))
    body = struct.pack("<II", 3, 3) + at(64) + at(512)
    return struct.pack("<III", MAGIC_DESCRIPTORS, 12 + len(body), FULL_SPEED | HIGH_SPEED) + body


def build():
    """The gadget in configfs, its endpoints in FILES; not plugged in yet."""
    for module in ("libcomposite", "dummy_hcd", "usb_f_fs"):
        subprocess.run(["modprobe", module], check=True)
    if not os.path.isdir("/sys/kernel/config/usb_gadget"):
        subprocess.run(["mount", "-t", "configfs", "none", "/sys/kernel/config"], check=True)
    for folder in ("strings/0x409", "configs/c.1/strings/0x409", "functions/ffs.lab"):
        os.makedirs(f"{GADGET}/{folder}", exist_ok=True)
    put(GADGET + "/idVendor", "0x1209")
    put(GADGET + "/idProduct", "0x1074")
    for name, text in (("manufacturer", "Gadget"), ("product", "Kernel cuff"), ("serialnumber", "GADGET1")):
        put(f"{GADGET}/strings/0x409/{name}", text)
    if not os.path.islink(GADGET + "/configs/c.1/ffs.lab"):
        os.symlink(GADGET + "/functions/ffs.lab", GADGET + "/configs/c.1/ffs.lab")
    os.makedirs(FILES, exist_ok=True)
    if os.path.ismount(FILES):  # of a scenario before
        subprocess.run(["umount", FILES], check=True)
    subprocess.run(["mount", "-t", "functionfs", "lab", FILES], check=True)
    ep0 = os.open(FILES + "/ep0", os.O_RDWR)
    os.write(ep0, describe())
    os.write(ep0, struct.pack("<IIII", MAGIC_STRINGS, 16, 0, 0))
    return ep0


def bcd(number):
    return struct.pack("B", number // 10 << 4 | number % 10)


class Agent:
    """The dialogue, begun anew each time that a host has configured it."""

    def __init__(self, count):
        self.waiting = list(range(1, count + 1))
        self.out, self.inward = os.open(FILES + "/ep1", os.O_RDWR), os.open(FILES + "/ep2", os.O_RDWR)

    def read(self):
        apdu = os.read(self.inward, 16384)
        say("hears " + apdu.hex())
        return apdu

    def write(self, apdu):
        say("sends " + apdu.hex())
        os.write(self.out, apdu)

    def associate(self):
        self.write(bytes.fromhex("e2000032800000000001002a507900268000000080008000000000000000008000000008") +
                   bytes.fromhex("02005efffe00aa01") + CONFIG + bytes.fromhex("000101000000" "0000"))
        while True:
            apdu = self.read()
            if apdu[:2] == b"\xe3\0":
                say(f"associated {apdu[4:6].hex()}")
                return apdu[4:6] == b"\0\0"

    def report(self, number):
        stamp = b"\x20\x26\x03\x04\x05" + bcd(number) + b"\0\0"
        reading = struct.pack(">HHHHHHH", 1, 18, 3, 6, 110 + number, 70 + number, 85 + number) + stamp
        reading += struct.pack(">HHH", 2, 10, 55 + number) + stamp
        info = struct.pack(">HHHH", 0xf000, number, 2, len(reading)) + reading
        event = struct.pack(">HIHH", 0, 0xffffffff, 0x0d1d, len(info)) + info
        data = struct.pack(">HHH", number, 0x0101, len(event)) + event
        self.write(struct.pack(">HHH", 0xe700, len(data) + 2, len(data)) + data)
        say(f"reported n={number}")

    def confirmed(self, number):
        """True once the host has; anything else it asks is answered on the way."""
        while True:
            apdu = self.read()
            if apdu[:2] != b"\xe7\0":
                say("ended by the host")
                return False
            invoke, choice = struct.unpack(">HH", apdu[6:10])
            if choice == 0x0201 and invoke == number:
                say(f"confirmed n={number}")
                return True
            if choice == 0x0103:  # get: it says its system id alone
                body = struct.pack(">HHH", 0, 1, 14) + bytes.fromhex("0984000a000802005efffe00aa01")
                data = struct.pack(">HHH", invoke, 0x0203, len(body)) + body
                self.write(struct.pack(">HHH", 0xe700, len(data) + 2, len(data)) + data)

    def talk(self):
        try:
            if not self.associate():
                return
            while self.waiting:
                self.report(self.waiting[0])
                if not self.confirmed(self.waiting[0]):
                    return
                self.waiting.pop(0)
            while True:
                self.read()
        except OSError as error:
            say(f"the cable is out ({error.errno})")


def main():
    ep0 = build()
    agent = Agent(int(sys.argv[1]))
    put(GADGET + "/UDC", CONTROLLER)
    say("plugged")
    talk = None
    while True:
        events = os.read(ep0, 12 * 4)
        for at in range(0, len(events), 12):
            kind = events[at + 8]
            say(f"event {kind}")
            if kind == ENABLE:
                if talk:
                    talk.join()
                talk = threading.Thread(target=agent.talk, daemon=True)
                talk.start()
            elif kind == SETUP:
                # nothing of a class is asked of us: refused by the transfer the other way about
                try:
                    if events[at] & 0x80:
                        os.read(ep0, 0)
                    else:
                        os.write(ep0, b"")
                except OSError:
                    pass


if __name__ == "__main__":
    main()
