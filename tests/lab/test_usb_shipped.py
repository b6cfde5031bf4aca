"""USB as it is installed: the users and groups of wellgate.sysusers, the udev rules, both daemons as
their own users; and what `wellgate devices` and `wellgate doctor` say of devices on wires.
"""
import glob
import grp
import os
import shutil
import stat
import subprocess

from test_usb import tool
from test_usb_hub import check, confirmed, stored, taken
from world import SOURCE, scenario

RULES = "60-wellgate-usb.rules"
MAY_NOT = "a USB device may not be opened"


def installed(world):
    """Users, groups and rules first, as a package does it; then the daemons as those users."""
    # the guest sees the files of the host, whatever they allow; a user of no privilege is to run them
    tool("systemd-sysusers", os.path.join(SOURCE, "gateway", "dist", "wellgate.sysusers"))
    world.usb()
    world.broker()
    stand = world.stand
    os.chmod(os.path.dirname(stand.folder), 0o711)
    tool("chown", "-R", "wellgate:wellgate", stand.folder)
    os.chmod(stand.folder, 0o750)
    os.chmod(stand.runtime, 0o750)
    world.program("gateway", *as_user("wellgate", "wellgate"), world.path("wellgated"), "--config",
                  stand.config, restart=1.0)
    world.wait("wellgated to answer", lambda: world.wellgate("status", "--json").returncode == 0)
    state = os.path.join(world.folder, "devices")
    os.makedirs(state, mode=0o700)
    shutil.chown(state, "wellgate-devices", "wellgate")
    world.program("devices", *as_user("wellgate-devices", "wellgate-usb"), world.path("wellgate-devices"),
                  "--socket", os.path.join(stand.runtime, "devices.sock"), "--usb", "--state", state,
                  restart=1.0)
    world.wait_log("devices", r"gateway: connected")


def as_user(user, groups):
    """What User=, Group= and SupplementaryGroups= of the units do."""
    return ("/usr/bin/setpriv", "--reuid", user, "--regid", "wellgate", "--groups", groups,
            "--bounding-set=-all", "--no-new-privs")


def nodes():
    """The nodes that are opened: of the one personal healthcare device, hidraw and ttys."""
    found = glob.glob("/dev/hidraw*") + glob.glob("/dev/ttyUSB*")
    for path in glob.glob("/sys/bus/usb/devices/*/idVendor"):
        with open(path, encoding="ascii") as stream:
            if stream.read().strip() == "1209":
                folder = os.path.dirname(path)
                numbers = [int(open(os.path.join(folder, name), encoding="ascii").read())
                           for name in ("busnum", "devnum")]
                found.append("/dev/bus/usb/{:03}/{:03}".format(*numbers))
    return found


def listed(world):
    """driver -> what `wellgate devices` says of it."""
    return {device["driver"]: device for device in world.wellgate_json("devices")}


def of_usb(world):
    """What `wellgate doctor` finds about devices on USB that is not as it should be."""
    return [line for line in world.wellgate("doctor").stdout.splitlines()
            if "USB: " in line and not line.startswith("good")]


def restarted(world, name):
    starts = world.running[name].starts
    world.kill(name)
    world.wait(f"{name} to be started again", lambda: world.running[name].starts > starts)


@scenario(limit=600)
def test_usb_as_shipped(world):
    """Group and mode of every node; read by a user without privileges; shown, also after restarts."""
    installed(world)
    models = ["phdc_cuff", "omron_memory", "beurer_serial"]
    world.usb(*[f"add {model}" for model in models], "all measure 2", "all plug")
    taken(world, 6)
    assert len(nodes()) == 3, nodes()
    for node in nodes():
        status = os.stat(node)
        assert stat.S_IMODE(status.st_mode) == 0o660, (node, oct(status.st_mode))
        assert grp.getgrgid(status.st_gid).gr_name == "wellgate-usb", node
    check(world)
    drivers = {"phd", "omron_usb", "beurer_serial"}
    world.say(world.wellgate("devices").stdout)
    assert set(listed(world)) == drivers, listed(world)
    for device in listed(world).values():
        assert device["readings"] == 2 and device["last_seen"] and not device["paired"], device
    assert listed(world)["phd"]["connected"], "its association stays"
    assert not of_usb(world), of_usb(world)
    world.usbctl("0 unplug")
    world.wait("it to be gone", lambda: not listed(world)["phd"]["connected"])
    world.say(world.wellgate("devices").stdout)
    for name in ("devices", "gateway"):
        restarted(world, name)
        world.usb("0 unplug", "0 measure", "0 plug")
        world.wait("the cuff to be connected again", lambda: world.wellgate("devices").returncode == 0
                   and listed(world).get("phd", {}).get("connected"))
        assert set(listed(world)) == drivers, listed(world)
    confirmed(world, 0, 4)
    taken(world, 8)
    check(world)
    counts = {driver: device["readings"] for driver, device in listed(world).items()}
    assert counts == {"phd": 4, "omron_usb": 2, "beurer_serial": 2}, counts


@scenario(limit=600)
def test_usb_without_permission(world):
    """Nodes that may not be opened are a problem of the doctor's, and read once the rules are there."""
    installed(world)
    installed_rules = os.path.join("/run/udev/rules.d", RULES)
    os.unlink(installed_rules)
    tool("udevadm", "control", "--reload")
    world.usb("add phdc_cuff", "add beurer_hid", "all measure 2", "all plug")
    world.wait("the doctor to say so", lambda: any(MAY_NOT in line for line in of_usb(world)))
    world.say(world.wellgate("doctor").stdout)
    world.say(world.wellgate("devices").stdout)
    assert not stored(world) and not listed(world)
    assert world.wellgate("doctor").returncode != 0
    restarted(world, "devices")
    world.wait("it to be said again", lambda: any(MAY_NOT in line for line in of_usb(world)))
    shutil.copy(os.path.join(SOURCE, "gateway", "dist", RULES), installed_rules)
    subprocess.run(["udevadm", "control", "--reload"], check=True)
    world.usb("all unplug", "all plug")
    confirmed(world, 0, 2)
    taken(world, 4)
    check(world)
    world.wait("the doctor to find no more", lambda: not of_usb(world))
