"""USB: the simulated devices through the real kernel, the real libusb and hidraw."""
import subprocess

from world import scenario


def tool(*command):
    """What a program of Debian says; nothing of ours is in it."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def wait_configured(world, device, count=1):
    world.wait_log("cables", rf"^\S+ {device} \S+ configured 1", count=count)


def test_usb_descriptors_phdc(world):
    """lsusb reads the descriptors of a personal healthcare device as we meant them."""
    world.usb("add phdc_cuff", "0 plug")
    wait_configured(world, 0)
    text = tool("lsusb", "-v", "-d", "1209:1073")
    print(text)
    for part in ("bInterfaceClass        15 Personal Healthcare", "iSerial                 3 SIM0000",
                 "bNumEndpoints           3", "EP 1 IN", "EP 2 OUT", "EP 3 IN", "bMaxPacketSize0        64"):
        assert part in text, part
    world.usbctl("0 unplug")
    world.wait("the device to go", lambda: "1209:1073" not in tool("lsusb"))
