"""What happens to the adapter, bluetoothd and the bus; the hub brings itself back, and a device is read.

Each scenario says how long that took: `grep figure scenario.log`. The long forms are in figures.
"""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from enrolled import figure, hub, is_read, spread
from manager import ServiceManager
from world import BLUETOOTHD, CLOSE_OOPS, SOURCE, scenario, wait_for

DIST = os.path.join(SOURCE, "gateway", "dist")
CHANGE, BLUETOOTH = 2, 2  # of struct rfkill_event, linux/rfkill.h
READ_FEATURES, SCAN_PARAMETERS, SCAN_ENABLE, CREATE_CONNECTION = 0x1003, 0x200b, 0x200c, 0x200d


def read_file(*parts):
    try:
        with open(os.path.join(*parts), encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return None


def rfkill(blocked):
    """As rfkill(8) does."""
    index = next(int(name[6:]) for name in os.listdir("/sys/class/rfkill")
                 if read_file("/sys/class/rfkill", name, "type") == "bluetooth")
    with open("/dev/rfkill", "wb", buffering=0) as device:
        device.write(struct.pack("IBBBB", index, BLUETOOTH, CHANGE, blocked, 0))


class Trouble:
    """with Trouble(world, "name") as trouble: do harm; trouble.is_seen(regex); mend; and at the end the
    adapter must be ready. The time runs from the last mended(), or from the beginning. With a manager,
    somebody looks after bluetoothd meanwhile."""

    def __init__(self, world, name, limit=120, manager=None):
        self.world, self.name, self.limit, self.manager = world, name, limit, manager

    def __enter__(self):
        self.since = len(self.world.log("devices"))
        self.mended()
        return self

    def mended(self):
        self.start = time.monotonic()

    def is_seen(self, regex, limit=120):
        match = self.world.wait_log("devices", regex, since=self.since, limit=limit)
        self.since += match.end()
        self.world.say(f"{self.name}: {regex} after {time.monotonic() - self.start:.2f} s")

    def is_ready(self):
        if self.manager:
            self.manager.pump()
        return "adapter ready" in self.world.log("devices")[self.since:]

    def __exit__(self, kind, value, trace):
        if kind is not None:
            return
        wait_for(f"adapter ready, {self.name}", self.is_ready, self.limit)
        self.seconds = time.monotonic() - self.start
        figure(self.world, f"recovered: {self.name}", f"{self.seconds:.2f} s")


def comes_and_goes(world, times):
    """Recovery times after that many removals."""
    taken = []
    for _ in range(times):
        with Trouble(world, "removed") as trouble:
            world.ctl("adapter remove")
            trouble.is_seen(r"adapter absent")
            world.ctl("adapter add")
            trouble.mended()
        taken.append(trouble.seconds)
    figure(world, "recovered: adapter removed and added (s)", spread(taken))
    return taken


@scenario(vm="adapter")
def test_adapter_removed_and_added(world):
    hub(world, "add weight_scale")
    comes_and_goes(world, 10)
    is_read(world)


@scenario(vm="adapter")
def test_adapter_blocked(world):
    """rfkill: somebody's wish, so it stays until he lifts it; then it is on again by itself."""
    hub(world, "add weight_scale")
    for _ in range(3):
        with Trouble(world, "rfkill") as trouble:
            rfkill(True)
            trouble.is_seen(r"adapter blocked")
            assert "is blocked" in world.wellgate("doctor").stdout
            rfkill(False)
            trouble.mended()
    is_read(world)


@scenario(vm="adapter")
def test_adapter_switched_off(world):
    """Another program switches it off."""
    hub(world, "add weight_scale")
    for _ in range(3):
        with Trouble(world, "switched off") as trouble:
            world.set("hci0", "Adapter1", "Powered", False)
            trouble.is_seen(r"adapter powering")
    is_read(world)


@scenario(vm="adapter")
def test_adapter_bluetoothd_killed(world):
    hub(world, "add weight_scale")
    for _ in range(3):
        with Trouble(world, "bluetoothd killed") as trouble:
            world.kill("bluetoothd")
            trouble.is_seen(r"adapter no-daemon")
    is_read(world)


@scenario(vm="adapter")
def test_adapter_bus_killed(world):
    hub(world, "add weight_scale")
    for _ in range(2):
        with Trouble(world, "dbus-daemon killed", manager=ServiceManager(world)) as trouble:
            world.kill("dbus")
            trouble.is_seen(r"adapter no-bus")
            world.running["dbus"].wait()
            world.dbus()
            trouble.mended()
    is_read(world)


class Watchdog(threading.Thread):
    """systemd's part when a unit has WatchdogSec=: it kills what has not been heard of for so long."""

    def __init__(self, world, name, seconds):
        super().__init__(daemon=True)
        self.world, self.name_of_it, self.seconds = world, name, seconds
        self.path = os.path.join(world.folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.environment = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": str(seconds * 1000000)}

    def run(self):
        heard = time.monotonic()
        while True:
            self.socket.settimeout(max(0.01, heard + self.seconds - time.monotonic()))
            try:
                if b"WATCHDOG=1" in self.socket.recv(4096):
                    heard = time.monotonic()
            except TimeoutError:
                self.world.say(f"watchdog: {self.name_of_it} is killed")
                for number in (signal.SIGABRT, signal.SIGCONT):
                    self.world.kill(self.name_of_it, number)
                heard = time.monotonic()


@scenario(vm="adapter")
def test_adapter_bluetoothd_hangs(world):
    """The shipped drop-in of bluetooth.service has systemd watch it."""
    seconds = int(re.search(r"^WatchdogSec=(\d+)$", read_file(DIST, "bluetooth.service.d", "wellgate.conf"),
                            re.M).group(1))
    hub(world, "add weight_scale")
    world.running["bluetoothd"].stop()
    watchdog = Watchdog(world, "bluetoothd", seconds)
    with Trouble(world, "bluetoothd started"):
        world.program("bluetoothd", BLUETOOTHD, "-n", "-f", world.folder + "/main.conf", restart=1.0,
                      environment=watchdog.environment)
        watchdog.start()
    with Trouble(world, "bluetoothd hung, watched by systemd") as trouble:
        world.kill("bluetoothd", signal.SIGSTOP)
        trouble.is_seen("adapter no-daemon")
    assert world.running["bluetoothd"].starts == 2
    is_read(world)


@scenario(vm="adapter")
def test_adapter_firmware_dead(world):
    """No answer to any command, while a device is being connected; back when the firmware is."""
    hub(world, "add weight_scale", "0 advertise off", "0 fault hang", devices=("--verbose",))
    since = len(world.log("devices"))
    world.ctl("0 advertise on")
    world.wait_log("devices", r"-> linking", since=since)
    with Trouble(world, "dead firmware") as trouble:
        world.ctl("adapter silent on")
        trouble.is_seen(r"adapter reset")
        world.ctl("adapter silent off")
        world.ctl("0 fault none")
        trouble.mended()
    is_read(world)


def use_once(world, before):
    """It advertises, is read and falls silent again; seconds from the command to the radio before that."""
    start = time.monotonic()
    world.ctl(before)
    world.ctl("0 advertise on")
    is_read(world, limit=180)
    world.ctl("0 advertise off")
    world.wait("the link to end", lambda: " unlinked " in world.ctl("list"))
    return time.monotonic() - start


@scenario(vm="adapter-commands", expect_oops=CLOSE_OOPS, limit=600)
def test_adapter_commands_time_out(world):
    """Single commands are not answered, or with an error: while it scans, stops and connects.

    The helper of an attempt that ends in one of them may be killed by Linux 6.1.
    """
    hub(world, "add weight_scale", "all advertise off", devices=("--verbose",))
    for command in (f"timeout {SCAN_ENABLE:#x} 1", f"timeout {SCAN_ENABLE:#x} 2", f"status {SCAN_ENABLE:#x} 0x0c 3",
                    f"timeout {SCAN_PARAMETERS:#x} 1", f"timeout {CREATE_CONNECTION:#x} 1",
                    f"status {CREATE_CONNECTION:#x} 0x0c 1"):
        figure(world, f"recovered: {command}", f"read after {use_once(world, 'adapter ' + command):.2f} s")


@scenario(vm="adapter")
def test_adapter_failed_connect_blocks_none(world):
    """6.1 makes no LE connection after one that failed, until the adapter was off: with one device only."""
    hub(world, "add weight_scale", "all advertise off", devices=("--verbose",))
    figure(world, "recovered: connection failed", f"read after {use_once(world, '0 fault connect 9 1'):.2f} s")


# ---- wellgate doctor

INSTALLED = {
    "bluetooth-main.conf": "/etc/bluetooth/main.conf",
    "wellgate-bluetooth.conf": "/etc/dbus-1/system-local.conf",
    "bluetooth.service.d/wellgate.conf": "/etc/systemd/system/bluetooth.service.d/wellgate.conf",
}


def install(name):
    """As gateway/dist/README.md says."""
    os.makedirs(os.path.dirname(INSTALLED[name]), exist_ok=True)
    shutil.copy(os.path.join(DIST, name), INSTALLED[name])


def doctor(world, problems, *wanted):
    """Until doctor finds so many problems and says all that; every word of it is in scenario.log."""
    said = ""

    def is_said():
        nonlocal said
        result = world.wellgate("doctor")
        said = result.stdout
        assert result.returncode == (69 if re.search("^problem", said, re.M) else 0), result
        return len(re.findall("^problem", said, re.M)) == problems and all(text in said for text in wanted)
    try:
        world.wait(f"doctor to say {wanted}", is_said, limit=60)
    finally:
        world.say("doctor:\n" + said)
    assert not re.search(r"^problem.*\n(?! +-> )", said, re.M), "a problem without advice"
    assert (problems == 0) == ("No problem found" in said)
    return said


def may_drain(world):
    """Any local user: may he talk to bluetoothd?"""
    return subprocess.run(["dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/",
                           "org.freedesktop.DBus.ObjectManager.GetManagedObjects"], user=65534, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def restart_bus(world):
    since = len(world.log("devices"))
    world.kill("dbus")
    world.running["dbus"].wait()
    world.dbus()
    world.wait_log("devices", r"adapter ready", since=since)


@scenario(vm="doctor")
def test_adapter_doctor(world):
    """Debian as it is installed; then with our files; then what can be wrong with it."""
    old = os.uname().release.startswith("6.1.")
    world.up("add weight_scale")  # with Debian's own main.conf
    world.gateway(restart=1.0)
    world.devices(restart=1.0)
    world.wait_log("devices", r"adapter ready")
    said = doctor(world, 3, "ReverseServiceDiscovery=false", "any local user", "not started again when it dies")
    assert ("this kernel kills" in said) == old and ("6.12" in said) == old
    assert may_drain(world)
    for name in INSTALLED:
        install(name)
    restart_bus(world)
    assert not may_drain(world)
    doctor(world, 0, "leaves the devices' data to Wellgate", "only Wellgate and root", "is started again when it dies")
    world.ctl("adapter remove")
    doctor(world, 1, "no adapter")
    world.ctl("adapter add")
    doctor(world, 0, "adapter works")
    world.ctl("adapter remove")
    world.ctl(f"adapter timeout {READ_FEATURES:#x} 1")
    world.ctl("adapter add")
    doctor(world, 1, "no adapter", "did not answer when it was started")
    world.ctl("adapter remove")
    world.ctl("adapter add")
    doctor(world, 0, "adapter works")
    world.running["bluetoothd"].stop()
    doctor(world, 1, "bluetoothd is not running")
    world.kill("dbus")
    doctor(world, 1, "D-Bus")
    world.running["devices"].stop()
    doctor(world, 1, "wellgate-devices was here")


@scenario(vm="doctor")
def test_adapter_udev_rule(world):
    """The shipped rule gives /dev/rfkill to wellgate-devices, by Debian's udevd."""
    with open("/etc/passwd", "a", encoding="utf-8") as users:
        users.write("wellgate-devices:x:977:977::/:/usr/sbin/nologin\n")
    os.makedirs("/etc/udev/rules.d", exist_ok=True)
    shutil.copy(os.path.join(DIST, "90-wellgate.rules"), "/etc/udev/rules.d/")
    world.radio()
    world.program("udevd", "/lib/systemd/systemd-udevd")
    world.wait("udevd to listen", lambda: os.path.exists("/run/udev/control"))
    subprocess.run(["udevadm", "trigger", "--action=add", "/sys/class/misc/rfkill"], check=True)
    world.wait("the rule to be applied", lambda: os.stat("/dev/rfkill").st_uid == 977)
    assert "error" not in world.log("udevd").lower(), world.log("udevd")
