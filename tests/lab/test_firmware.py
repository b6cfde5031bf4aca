"""Firmware updates over USB: our client and dfu-util, each into the same simulated boot loaders, over the
real kernel and libusb. What the devices were told is in their event log, "cables".
"""
import os
import subprocess

LENGTH = 20003  # no multiple of anything


def firmware(length=LENGTH):
    return bytes((i * 7 + i // 256) & 0xff for i in range(length))


def plugged(world, model):
    world.usb(f"add {model}", f"0 firmware {LENGTH}", "0 plug")
    world.wait_log("cables", rf"^\S+ 0 {model} configured 1")
    subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)


def run(world, *command):
    """Status and everything that it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    world.say(f"{' '.join(command)} -> {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode, done.stdout + done.stderr


def ours(world, *arguments):
    return run(world, world.path("wellgate-firmware"), *arguments)


def files(world, name, *pack):
    """The image as it is, and in the format of its device."""
    plain, packed = (os.path.join(world.folder, name + end) for end in (".bin", ".dfu"))
    with open(plain, "wb") as stream:
        stream.write(firmware())
    status, text = ours(world, "pack", *pack, plain, packed)
    assert status == 0, text
    return plain, packed


def runs(world):
    return world.usbctl("0 runs").split()[-1]


def test_firmware_ours_into_dfu(world):
    plugged(world, "dfu")
    _, packed = files(world, "ours", "--usb", "1209:0001")
    status, text = ours(world, "update", "--not-genuine", "--dry-run", packed)
    assert status == 0 and "1209:0001" in text and runs(world) == "old", text
    status, text = ours(world, "update", "--not-genuine", packed)
    assert status == 0 and "read back" in text, text
    assert runs(world) == "new"


def test_firmware_ours_into_dfuse(world):
    plugged(world, "dfuse")
    _, packed = files(world, "ours", "--usb", "1209:0001", "--address", "08000000")
    status, text = ours(world, "update", "--not-genuine", packed)
    assert status == 0 and "read back" in text, text
    assert runs(world) == "new"


def test_firmware_ours_refuses(world):
    """Another device's file, a wrong hash, memory that is not there: nothing is written."""
    plugged(world, "dfuse")
    _, packed = files(world, "other", "--usb", "1209:0002", "--address", "08000000")
    assert ours(world, "update", "--not-genuine", packed)[0] == 69
    port = ours(world, "update", "--not-genuine", "--dry-run", files(
        world, "right", "--usb", "1209:0001", "--address", "08000000")[1])[1].split("port ")[1].split(",")[0]
    status, text = ours(world, "update", "--not-genuine", "--port", port, packed)
    assert status == 65 and "another kind of device" in text, text
    _, beyond = files(world, "beyond", "--usb", "1209:0001", "--address", "0800f000")
    status, text = ours(world, "update", "--not-genuine", beyond)
    assert status == 65 and "does not take" in text, text
    assert ours(world, "update", "--sha256", "0" * 64, beyond)[0] == 65
    assert runs(world) == "old"


def test_firmware_cable_out_and_again(world):
    """The cable pulled in the middle: never a mixture; the second run completes."""
    for model, more in (("dfu", ()), ("dfuse", ("--address", "08000000"))):
        world.usb(f"add {model}")
        device = 0 if model == "dfu" else 1
        world.usb(f"{device} firmware {LENGTH}", f"{device} fault cut-at 25 after", f"{device} plug")
        world.wait_log("cables", rf"^\S+ {device} {model} configured 1")
        _, packed = files(world, model, "--usb", "1209:0001", *more)
        update = world.program("update", world.path("wellgate-firmware"), "update", "--not-genuine", packed)
        world.wait_log("cables", rf"^\S+ {device} {model} cut after 25")
        assert world.usbctl(f"{device} runs").split()[-1] in ("old", "waits")
        update.stop()  # it would wait for the device, which may come back in another port
        world.usb(f"{device} fault none", f"{device} plug")
        world.wait_log("cables", rf"^\S+ {device} {model} configured 1", count=2)
        subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)
        status, text = ours(world, "update", "--not-genuine", packed)
        assert status == 0 and world.usbctl(f"{device} runs").split()[-1] == "new", text
        world.usb(f"{device} unplug")


def test_firmware_dfu_util_into_dfu(world):
    plugged(world, "dfu")
    _, packed = files(world, "theirs", "--usb", "1209:0001")
    status, text = run(world, "dfu-util", "--device", "1209:0001", "--download", packed)
    assert status == 0, text
    assert runs(world) == "new"
    back = os.path.join(world.folder, "back.bin")
    status, text = run(world, "dfu-util", "--device", "1209:0001", "--upload", back)
    assert status == 0, text
    with open(back, "rb") as stream:
        assert stream.read() == firmware()


def test_firmware_dfu_util_into_dfuse(world):
    plugged(world, "dfuse")
    _, packed = files(world, "theirs", "--usb", "1209:0001", "--address", "08000000")
    status, text = run(world, "dfu-util", "--device", "1209:0001", "--alt", "0", "--download", packed)
    assert status == 0, text
    assert runs(world) == "new"
