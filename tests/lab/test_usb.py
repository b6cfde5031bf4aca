"""USB: the simulated devices, proved by programs that are not ours: lsusb, python3-usb over libusb,
hidraw and a tty by hand. What the devices say and see is in their event log, "cables".
"""
import glob
import os
import re
import select
import struct
import subprocess
import termios

from world import HERE


def tool(*command):
    """What a program of Debian says; nothing of ours is in it."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def configured(world, device, count=1):
    world.wait_log("cables", rf"^\S+ {device} \S+ configured 1", count=count)


def node(world, pattern):
    """The device node of a kernel's driver, once it and udev are done with it."""
    world.wait(pattern, lambda: glob.glob(pattern))
    tool("udevadm", "settle", "--timeout=60")
    return glob.glob(pattern)[0]


def receive(world, fd, length):
    """Exactly so many bytes, in as many pieces as they come."""
    got = b""
    while len(got) < length:
        assert select.select([fd], [], [], 60)[0], f"hung: {length - len(got)} of {length} bytes missing"
        piece = os.read(fd, length - len(got))
        assert piece, "the end"
        got += piece
    world.say(f"got {got.hex()}")
    return got


def test_usb_descriptors(world):
    """lsusb reads the descriptors as we meant them, and sees a device go."""
    world.usb("add phdc_cuff", "add beurer_hid", "add beurer_serial", "add omron_memory", "all plug")
    for device in range(4):
        configured(world, device)
    text = tool("lsusb", "-v", "-d", "1209:1073")
    for part in ("Personal Healthcare", "iSerial                 3 SIM0000", "bNumEndpoints           3",
                 "EP 1 IN", "EP 2 OUT", "EP 3 IN", "04 20 02 00", "06 30 00 01 07 10", "04 21 01 10"):
        assert part in text, (part, text)
    node(world, "/dev/hidraw*")
    for device, size in (("0c45:7406", "wMaxPacketSize     0x0008"), ("0590:0090", "wMaxPacketSize     0x0040")):
        text = tool("lsusb", "-v", "-d", device)
        assert "Human Interface Device" in text and size in text, text
    assert "1x 64 bytes" in tool("lsusb", "-v", "-d", "067b:2303")
    world.usbctl("0 unplug")
    world.wait("the device to go", lambda: "1209:1073" not in tool("lsusb"))


def test_usb_hid_by_hand(world):
    """Two cuffs over hidraw; a cuff without its cable says so at once, and is itself again after."""
    world.usb("add beurer_hid", "0 measure 3", "0 plug")
    fd = os.open(node(world, "/dev/hidraw*"), os.O_RDWR)
    for ask, answer in (("aaf4f4f4f4f4f4f4", "55f4f4f4f4f4f4f4"), ("a2f4f4f4f4f4f4f4", "03f4f4f4f4f4f4f4")):
        os.write(fd, bytes.fromhex("00" + ask))
        assert receive(world, fd, 8).hex() == answer
    os.write(fd, bytes.fromhex("00a303f4f4f4f4f4f4"))
    assert receive(world, fd, 8)[:3] == bytes([101 - 25, 61 - 25, 60])
    world.usbctl("0 unplug")
    world.wait("hidraw to notice", lambda: select.select([fd], [], [], 0)[0])
    os.close(fd)
    world.usb("0 plug", "add omron_memory", "1 measure 2", "1 plug")
    world.wait("two hidraw devices", lambda: len(glob.glob("/dev/hidraw*")) == 2)
    tool("udevadm", "settle", "--timeout=60")
    name = [path for path in glob.glob("/sys/class/hidraw/hidraw*")
            if "0590" in os.path.realpath(path + "/device")][0]
    fd = os.open("/dev/" + os.path.basename(name), os.O_RDWR)
    for ask, head in (("0800000000100018", "1880000000100000"), ("080100 02ac 0e 00 a9", "168100 02ac 0e 3d4c")):
        os.write(fd, (b"\x02" + bytes.fromhex(ask)).ljust(64, b"\0"))
        assert receive(world, fd, 64)[1:9] == bytes.fromhex(head)
    assert "host-error" not in world.log("cables")


def raw(fd):
    """4800 8N1, nothing added and nothing taken away."""
    line = [termios.IGNPAR, 0, termios.CS8 | termios.CREAD | termios.CLOCAL, 0, termios.B4800, termios.B4800,
            [b"\0"] * 32]
    line[6][termios.VMIN] = 1
    termios.tcsetattr(fd, termios.TCSANOW, line)


def test_usb_serial_by_hand(world):
    """A cuff behind the kernel's pl2303, at the one speed that it hears."""
    world.usb("add beurer_serial", "0 measure 2", "0 plug")
    fd = os.open(node(world, "/dev/ttyUSB*"), os.O_RDWR | os.O_NOCTTY)
    raw(fd)
    for ask, length, answer in (("aa", 1, "55"), ("a4", 32, b"Andon Blood Pressure Meter KD001".hex()),
                                ("a2", 1, "02"), ("a303", 1, "a9")):
        os.write(fd, bytes.fromhex(ask))
        assert receive(world, fd, length).hex() == answer
    world.usbctl("0 fault byte-by-byte")
    os.write(fd, bytes.fromhex("a302"))
    assert receive(world, fd, 9)[:4] == bytes([0xac, 101 - 25, 61 - 25, 60])
    assert "host-error" not in world.log("cables")


def test_usb_cypress_by_hand(world):
    """A cuff that says it is HID, and is the kernel's cypress_m8's."""
    world.usb("add microlife", "0 measure 3", "0 plug")
    fd = os.open(node(world, "/dev/ttyUSB*"), os.O_RDWR | os.O_NOCTTY)
    raw(fd)
    os.write(fd, bytes.fromhex("12161822"))
    text = receive(world, fd, 1 + 32 + 3 * 32 + 2)
    assert text[:5] == b"\x060003" and text[-2:] == b"%02X" % (sum(text[1:-2]) & 0xff), text
    assert int(text[1 + 32 + 16:1 + 32 + 24], 16) == 101 | 61 << 10 | 60 << 20, text
    assert not glob.glob("/dev/hidraw*") and "host-error" not in world.log("cables")


class Host:
    """A manager by hand, over python3-usb: it accepts, confirms, and keeps what was reported."""

    def __init__(self, world, serial="SIM0000"):
        import usb.core  # slow to load here
        self.world = world
        self.errors = usb.core
        world.wait("libusb to find it", lambda: self._find(serial))
        self.device = self._find(serial)
        self.pending = self.preamble = b""

    def _find(self, serial):
        for device in self.errors.find(find_all=True, idVendor=0x1209):
            try:
                if device.serial_number == serial:
                    return device
            except (self.errors.USBError, ValueError):
                pass  # it goes, or udev is not done with it
        return None

    def want_preambles(self):
        """SET_FEATURE of PHDC's metadata preamble; from now on there is one before each transfer."""
        self.device.ctrl_transfer(0x21, 3, 0x0101, 0)
        self.preamble = b"PhdcQoSSignature\x01\x01\x10\x00"

    def transfer(self, size=1024):
        if self.preamble:
            got = self.device.read(0x81, size, 60000).tobytes()
            assert got == self.preamble, got.hex()
        return self.device.read(0x81, size, 60000).tobytes()

    def apdu(self):
        """The next one, however the transfers cut it."""
        while len(self.pending) < 4 or len(self.pending) < 4 + int.from_bytes(self.pending[2:4], "big"):
            self.pending += self.transfer()
        end = 4 + int.from_bytes(self.pending[2:4], "big")
        apdu, self.pending = self.pending[:end], self.pending[end:]
        self.world.say(f"host: {apdu.hex()}")
        return apdu

    def say(self, text, *more):
        if self.preamble:
            self.device.write(0x02, self.preamble, 60000)
        self.device.write(0x02, bytes.fromhex(text) + b"".join(more), 60000)

    def ask(self, invoke, choice, body):
        """A request; its answer without the header."""
        body = struct.pack(">HHH", invoke, choice, len(body)) + body
        self.say("e700", struct.pack(">HH", len(body) + 2, len(body)), body)
        answer = self.apdu()
        assert answer[6:10] == struct.pack(">HH", invoke, choice & 0xff | 0x0200), answer.hex()
        return answer[12:]

    def associate(self):
        request = self.apdu()
        assert request[:2] == b"\xe2\0", request.hex()
        config = request[0x2c:0x2e]
        known = config[0] < 0x40
        self.say("e300002c" + ("0000" if known else "0003") + "50790026800000008000800000000000000080000000"
                 "0008" "0102030405060708" "0000" "0000" "0000" "00000000")
        if not known:
            report = self.apdu()
            assert report[18:20] == b"\x0d\x1c", report.hex()
            self.say("e70000160014", report[6:8], bytes.fromhex("0201000e0000000000000d1c0004"), config, b"\0\0")

    def report(self, confirm=True):
        report = self.apdu()
        assert report[18:20] == b"\x0d\x1d", report.hex()
        if confirm:
            self.say("e70000120010", report[6:8], bytes.fromhex("0201000a0000000000000d1d0000"))
        return report

    def close(self):
        import usb.util
        usb.util.dispose_resources(self.device)


def taken(world, device, number):
    world.wait_log("cables", rf"^\S+ {device} \S+ confirmed n={number}$")


def test_usb_phdc_by_hand(world):
    """Associated, reported, confirmed; cut into bytes, two at once, stalled, and after its cable was out."""
    world.usb("add phdc_cuff", "0 measure", "0 plug")
    host = Host(world)
    host.associate()
    assert host.report()[30:].hex().startswith("0001001200030006" "0065003d004c"), "101/61, mean 76"
    taken(world, 0, 1)
    world.usb("0 fault byte-by-byte", "0 measure")
    host.report()
    taken(world, 0, 2)
    world.usb("0 fault byte-by-byte off", "0 window 2", "0 fault coalesced", "0 measure 2")
    assert len(host.transfer()) == 2 * 66, "two APDUs in one transfer"
    world.wait_log("cables", r" timed out$")  # nobody confirms
    world.usbctl("0 fault none")
    host.pending = b""
    while host.apdu()[:2] != b"\xe6\0":
        pass  # it aborts, and begins anew
    host.associate()
    host.report()
    host.report()
    taken(world, 0, 4)
    world.usbctl("0 fault stall")
    world.usbctl("0 measure")
    try:
        host.transfer()
        raise AssertionError("it was to stall")
    except host.errors.USBError as error:
        assert error.errno == 32, error
    host.device.clear_halt(0x81)
    host.report()
    taken(world, 0, 5)
    host.close()
    world.usb("0 measure", "0 unplug", "0 plug")
    host = Host(world)
    host.associate()
    host.report()
    taken(world, 0, 6)
    assert "host-error" not in world.log("cables")


def test_usb_phdc_extended_by_hand(world):
    """Unknown configuration, its report and its answer; two equal devices are two."""
    world.usb("add phdc_extended 2", "all measure", "all plug")
    for device in range(2):
        host = Host(world, f"SIM000{device}")
        host.associate()
        assert host.report()[30:].hex().startswith("0001000cff0002bf"), "70.3"
        taken(world, device, 1)
        host.close()


def test_usb_preamble_by_hand(world):
    """The metadata preamble both ways, and a store that is read by hand: bytes of the standard."""
    world.usb("add phdc_preamble", "0 measure 10", "0 plug")
    configured(world, 0)
    assert "04 20 02 01" in tool("lsusb", "-v", "-d", "1209:1073")
    host = Host(world)
    host.want_preambles()
    host.associate()
    assert host.ask(1, 0x0103, bytes.fromhex("000300000000")).hex().startswith(
        "0003" "0002000e" "095100020002" "094400040000000a"), "two segments, ten entries"
    answer = host.ask(2, 0x0107, bytes.fromhex("00030c1c00020002"))
    assert answer.hex() == "00030c1c0004" "00020000", "the second one's transfer is started"
    piece = host.apdu()
    assert piece[8:10] == b"\x01\x01" and piece[18:20] == b"\x0d\x21", piece.hex()
    info = piece[22:]
    assert info[:12].hex() == "0002" "00000000" "00000002" "c000", info.hex()
    assert info[12:14].hex() == "0028" and len(info) == 14 + 40, info.hex()
    assert info[22:34].hex() == "00030006" "006d00450054" "003c", "109/69, mean 84, pulse 60"
    host.say("e700001e001c", piece[6:8], bytes.fromhex("020100160003ffffffff0d21000c0002" "0000000000000002" "0080"))
    taken(world, 0, 10)
    assert not re.search(r" confirmed n=[1-8]$", world.log("cables"), re.M)
    host.close()
    assert "host-error" not in world.log("cables")


def gadget(world, count):
    """The kernel's own gadget as a cuff; in its log what it saw."""
    if "udev" not in world.running:
        world.udev()
    return world.program("gadget", "/usr/bin/python3", os.path.join(HERE, "gadget.py"), count)


def test_usb_gadget_by_hand(world):
    """The host by hand is no friend of our simulator alone: it reads the kernel's gadget, too."""
    gadget(world, 2)
    host = Host(world, "GADGET1")
    host.associate()
    assert host.report()[30:].hex().startswith("0001001200030006" "006f00470056")
    world.wait_log("gadget", r"^confirmed n=1$")
    host.report()
    world.wait_log("gadget", r"^confirmed n=2$")
