"""The world of a lab scenario: the radio, bluetoothd, D-Bus, the broker and our programs, in the guest.

A scenario is a function `def test_xxx(world)` in a file tests/lab/test_*.py. It starts what it needs,
waits for events, asserts. Nothing sleeps for luck: every wait is for an event, with a limit that only
says "hung" (software emulation is slow, and twice as slow when the machine is busy).

    from world import scenario

    def test_scale(world):
        world.hub("add weight_scale")           # everything, with these commands to the simulated radio
        world.pair(0)                           # `wellgate pair` with simulated device 0
        world.ctl("0 measure")                  # one command to the radio, its answer comes back
        world.wait_log("world", r"confirmed")   # a line in somebody's log
        assert len(world.readings()) == 1

Or bit by bit: world.up() is D-Bus, radio and bluetoothd; world.gateway() the broker and wellgated;
world.devices() is wellgate-devices; world.kill("bluetoothd") is kill -9.

Everything of a scenario is in one folder of the host, build/lab/out-KERNEL/VM/SCENARIO/: one log per
program, NAME.log. Between scenarios every process dies and /var/lib/bluetooth is emptied.
"""
import fcntl
import glob
import importlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
LIMIT = 120.0  # seconds a wait may take before it counts as hung
SOURCE = os.path.dirname(os.path.dirname(HERE))
HUB_CONF = os.path.join(SOURCE, "gateway", "dist", "bluetooth-main.conf")  # what we tell hubs to use
BUS_SOCKET = "/run/dbus/system_bus_socket"
BLUETOOTHD = "/usr/libexec/bluetooth/bluetoothd"
STATE = "/var/lib/bluetooth"
KERNELS = ("stable", "backports")
HCIGETDEVINFO = 0x800448d3  # _IOR('H', 211, int)
# The kernel's fault when a link is closed that ended before its first packet; 6.1 only.
CLOSE_OOPS = r"hci_chan_del|l2cap_(chan_put|sock_release|conn_del|chan_del)"


def scenario(kernels=KERNELS, vm="main", expect_oops=None, require_oops=None, limit=300.0):
    """What is special about a scenario; most need none of this.

    kernels        those it runs on
    vm             scenarios with the same name share a guest; one that leaves a kernel damaged
                   (any that announces an oops) belongs into another than "main"
    expect_oops    regular expression of a kernel complaint that may come
    require_oops   the same, and it must come
    limit          seconds; a verdict on hanging, not on speed
    """
    def mark(function):
        function.lab = {"kernels": tuple(kernels), "vm": vm, "expect_oops": expect_oops,
                        "require_oops": require_oops, "limit": limit}
        return function
    return mark


def wait_for(what, predicate, limit=LIMIT):
    """Until predicate() is true; what it returned. Polls, because others are watched from outside."""
    end = time.monotonic() + limit
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"hung: waited {limit:.0f} s for {what}")
        time.sleep(0.02)


class BusError(Exception):
    """A D-Bus call was refused; .name is the error's."""

    def __init__(self, error):
        super().__init__(f"{error.get_dbus_name()}: {error.get_dbus_message()}")
        self.name = error.get_dbus_name()


class Program:
    """A process with its log; with restart (seconds) it is started again when it ends, as systemd would."""

    def __init__(self, name, command, log, restart=None, environment=None, stdout=None):
        self.name, self.command, self.restart = name, [str(word) for word in command], restart
        self.log = log
        self.environment = {**os.environ, **(environment or {})}
        self.starts = 0
        self.ended = []  # exit statuses, -9 for a kill -9
        self._stdout = stdout
        self._wanted = True
        self._lock = threading.Lock()
        self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self._stdout or log,
                                            stderr=log, env=self.environment)
        self.starts += 1

    def _keep(self):
        while True:
            status = self.process.wait()
            self.ended.append(status)
            with open(self.log, "ab") as log:
                log.write(f"lab: {self.name} ended with {status}\n".encode())
            if self.restart is None:
                return
            time.sleep(self.restart)  # what systemd's RestartSec= does
            with self._lock:
                if not self._wanted:
                    return
                self._start()

    def alive(self):
        return self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        """One signal; with restart it comes back."""
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, limit=LIMIT):
        """Ends it for good; its exit status."""
        with self._lock:
            self._wanted = False
            if self.alive():
                self.process.send_signal(number)
        self.restart = None
        return self.wait(limit)

    def wait(self, limit=LIMIT):
        """Until it ends by itself; its exit status."""
        wait_for(f"{self.name} to end", lambda: not self.alive(), limit)
        return self.process.returncode


class Lines:
    """A control socket: a line out, a line back."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(LIMIT)
        self._socket.connect(path)
        self._answers = self._socket.makefile("r", encoding="utf-8", errors="replace")

    def ask(self, line):
        self._socket.sendall((line + "\n").encode())
        answer = self._answers.readline().rstrip("\n")
        assert answer, f"no answer: {line}"
        return answer


class World:
    """What a scenario gets. programs: the folder of ours; out: the scenario's folder, on the host."""

    def __init__(self, programs, out):
        self.binaries, self.out = os.path.abspath(programs), out
        self.running = {}  # name -> Program
        self.folder = "/run/lab"
        self.memory = os.path.join(self.folder, "memory")
        self._control = self._usb = self._bus = self._stand = None
        os.makedirs(self.folder, exist_ok=True)

    # ---- programs and logs

    def program(self, name, *command, **how):
        """Starts any program under a name; the one that had it before must have ended."""
        old = self.running.get(name)
        assert old is None or not old.alive(), f"{name} runs already"
        self.running[name] = Program(name, command, self.log_path(name), **how)
        return self.running[name]

    def kill(self, name, number=signal.SIGKILL):
        """kill -9 by the name it was started with: radio bluetoothd dbus broker gateway devices ..."""
        self.running[name].kill(number)

    def path(self, name):
        """A program of ours."""
        path = os.path.join(self.binaries, name)
        assert os.access(path, os.X_OK), f"{path} is not built"
        return path

    def log_path(self, name):
        return os.path.join(self.out, name + ".log")

    def log(self, name):
        """All that a program has said so far; "world" is the radio's event log, "cables" that of lab-usb."""
        try:
            with open(self.log_path(name), "rb") as stream:
                return stream.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def wait_log(self, name, regex, count=1, since=0, limit=LIMIT):
        """Until a log has `count` matches after the first `since` characters; the last match."""
        pattern = re.compile(regex, re.M)
        program = self.running.get(name)

        def found():
            over = program is not None and program.restart is None and not program.alive()
            matches = list(pattern.finditer(self.log(name)[since:]))
            if len(matches) < count:
                assert not over, f"{name} ended with {program.process.returncode} and never said /{regex}/"
                return None
            return matches[count - 1]
        return wait_for(f"{count} x /{regex}/ in {name}.log", found, limit)

    def wait(self, what, predicate, limit=LIMIT):
        return wait_for(what, predicate, limit)

    def say(self, text):
        """Into the scenario's own log, with the guest's uptime."""
        print(f"[{time.monotonic():9.3f}] {text}", flush=True)

    # ---- D-Bus, the radio, bluetoothd

    def up(self, *commands, config=None):
        """D-Bus, the radio with these commands, bluetoothd, the adapter powered."""
        self.dbus()
        self.radio(*commands)
        self.bluetoothd(config=config)
        self.wait_adapter()

    def dbus(self):
        os.makedirs("/run/dbus", exist_ok=True)
        if os.path.exists(BUS_SOCKET):
            os.unlink(BUS_SOCKET)
        subprocess.run(["dbus-uuidgen", "--ensure"], check=True)
        self._bus = None
        self.program("dbus", "/usr/bin/dbus-daemon", "--system", "--nofork", "--nopidfile")
        wait_for("D-Bus to listen", lambda: listens(BUS_SOCKET))

    def radio(self, *commands, arguments=()):
        """Starts lab-radio if it does not run; then the commands, in order; the last answer."""
        if "radio" not in self.running or not self.running["radio"].alive():
            subprocess.run(["modprobe", "hci_vhci"], check=True)
            self._control = None
            self.program("radio", self.path("lab-radio"), "--control", self.folder + "/radio.sock",
                         "--log", self.log_path("world"), "--btsnoop", os.path.join(self.out, "radio.btsnoop"),
                         *arguments)
            wait_for("the radio's control socket", lambda: listens(self.folder + "/radio.sock"))
            wait_for("hci0", lambda: os.path.exists("/sys/class/bluetooth/hci0"))
        answer = ""
        for command in commands:
            answer = self.ctl(command)
        return answer

    def ctl(self, command, check=True):
        """One line to the radio's control socket; its answer. An answer "error ..." raises."""
        if self._control is None:
            self._control = Lines(self.folder + "/radio.sock")
        answer = self._control.ask(command)
        self.say(f"radio: {command} -> {answer}")
        assert not check or not answer.startswith("error"), f"{command}: {answer}"
        return answer

    # ---- USB

    def usb(self, *commands, udev=True):
        """lab-usb with these commands; with udev the kernel's events reach libusb and sd-device."""
        if "usb" not in self.running or not self.running["usb"].alive():
            for module in ("vhci_hcd", "usbhid", "hid_generic", "usbmon"):
                subprocess.run(["modprobe", module], check=True)
            if udev and "udev" not in self.running:
                self.udev()
            self._usb = None
            path = self.folder + "/usb.sock"
            self.program("usb", self.path("lab-usb"), "--control", path, "--log", self.log_path("cables"))
            wait_for("the control socket of lab-usb", lambda: listens(path))
        answer = ""
        for command in commands:
            answer = self.usbctl(command)
        return answer

    def udev(self):
        """systemd-udevd, with the rules of the machine and ours."""
        os.makedirs("/run/udev/rules.d", exist_ok=True)
        for name in ("60-wellgate-usb.rules", "90-wellgate.rules"):
            shutil.copy(os.path.join(SOURCE, "gateway", "dist", name), "/run/udev/rules.d")
        self.program("udev", "/lib/systemd/systemd-udevd")
        wait_for("systemd-udevd", lambda: os.path.exists("/run/udev/control"))
        # what it makes of the devices that were there before it
        subprocess.run(["udevadm", "trigger", "--subsystem-match=usb"], check=True)
        subprocess.run(["udevadm", "settle", "--timeout=60"], check=True)

    def usbctl(self, command, check=True):
        """One line to lab-usb; its answer. An answer "error ..." raises."""
        if self._usb is None:
            self._usb = Lines(self.folder + "/usb.sock")
        answer = self._usb.ask(command)
        self.say(f"usb: {command} -> {answer}")
        assert not check or not answer.startswith("error"), f"{command}: {answer}"
        return answer

    def radio_address(self, peer):
        """The Bluetooth address of a simulated device, as bluetoothd writes it."""
        listed = re.search(rf"(?:^ok |; ){peer} \S+ ([0-9A-F:]{{17}}) ", self.ctl("list"))
        assert listed, f"no simulated device {peer}"
        return listed.group(1)

    def bluetoothd(self, config=None, arguments=(), restart=1.0):
        """Debian's bluetoothd, restarted when it ends; config: the text of another main.conf."""
        arguments = list(arguments)
        os.makedirs(STATE, mode=0o700, exist_ok=True)
        if config is not None:
            path = os.path.join(self.folder, "main.conf")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(config)
            arguments += ["-f", path]
        return self.program("bluetoothd", BLUETOOTHD, "-n", *arguments, restart=restart)

    def btvirt(self, count=2):
        """BlueZ's own emulator instead of ours: `count` controllers that hear each other.

        Sometimes it never answers the first reset (6.12, "Opcode 0x0c03 failed"), and the kernel leaves
        such an adapter alone for good: then the emulator is begun anew. Nothing of ours runs by then.
        """
        subprocess.run(["modprobe", "hci_vhci"], check=True)
        while True:
            self.program("btvirt", "btvirt", "-L", f"-l{count}")
            for n in range(count):
                wait_for(f"hci{n}", lambda n=n: os.path.exists(f"/sys/class/bluetooth/hci{n}"))
            if all(self.is_set_up(n) for n in range(count)):
                return
            self.say("btvirt: an adapter was not set up, once more")
            self.running["btvirt"].stop()
            for n in range(count):
                wait_for(f"hci{n} to go", lambda n=n: not os.path.exists(f"/sys/class/bluetooth/hci{n}"))

    @staticmethod
    def is_set_up(number, limit=15.0):
        """Has the kernel asked that controller for its address?"""
        with socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI) as hci:
            end = time.monotonic() + limit
            while time.monotonic() < end:
                info = bytearray(struct.pack("<H", number) + bytes(90))  # struct hci_dev_info
                fcntl.ioctl(hci, HCIGETDEVINFO, info)
                if any(info[10:16]):
                    return True
                time.sleep(0.05)
        return False

    def peripheral(self, adapter="hci1"):
        """bluetoothd as a peripheral on that adapter; returns when it advertises. Log: peripheral."""
        self.program("peripheral", "/usr/bin/python3", os.path.join(HERE, "peripheral.py"), adapter)
        self.wait_log("peripheral", r"^advertising$")

    def bus(self):
        """A connection of python3-dbus to the system bus."""
        import dbus  # slow to load here, and not every scenario needs it
        if self._bus is not None and not self._bus.get_is_connected():
            self._bus = None  # the bus was killed, and is another one now
        if self._bus is None:
            try:
                self._bus = dbus.bus.BusConnection("unix:path=" + BUS_SOCKET)
            except dbus.exceptions.DBusException as error:
                raise BusError(error) from error
        return self._bus

    def call(self, path, interface, method, *arguments, limit=LIMIT, signature=None):
        """A D-Bus method of bluetoothd; path may be short: hci0, hci0/dev_..."""
        import dbus
        path = path if path.startswith("/") else "/org/bluez/" + path
        message = dbus.lowlevel.MethodCallMessage("org.bluez", path, full(interface), method)
        message.set_auto_start(False)  # bluetoothd is the scenario's to start, not the bus's
        if arguments:
            message.append(*arguments, signature=signature)
        try:
            answer = self.bus().send_message_with_reply_and_block(message, limit)
        except dbus.exceptions.DBusException as error:
            raise BusError(error) from error
        values = answer.get_args_list()
        return values[0] if len(values) == 1 else values or None

    def get(self, path, interface, name):
        return self.call(path, "org.freedesktop.DBus.Properties", "Get", full(interface), name, signature="ss")

    def set(self, path, interface, name, value):
        self.call(path, "org.freedesktop.DBus.Properties", "Set", full(interface), name, value, signature="ssv")

    def objects(self):
        """bluetoothd's objects: path -> interface -> properties; {} while it is not there."""
        try:
            return self.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        except BusError:
            return {}

    def wait_adapter(self, name="hci0", limit=LIMIT):
        def powered():
            adapter = self.objects().get("/org/bluez/" + name, {}).get("org.bluez.Adapter1", {})
            return adapter.get("Powered")
        wait_for(f"{name} to be powered by bluetoothd", powered, limit)

    def scan(self, adapter="hci0"):
        """Discovery through bluetoothd, until unscan() or the end of the scenario."""
        self.call(adapter, "Adapter1", "SetDiscoveryFilter", {"Transport": "le"}, signature="a{sv}")
        self.call(adapter, "Adapter1", "StartDiscovery")

    def unscan(self, adapter="hci0"):
        self.call(adapter, "Adapter1", "StopDiscovery")

    def seen(self, adapter="hci0"):
        """The devices that bluetoothd knows: address -> properties."""
        return {str(interfaces["org.bluez.Device1"]["Address"]): interfaces["org.bluez.Device1"]
                for path, interfaces in self.objects().items()
                if path.startswith(f"/org/bluez/{adapter}/") and "org.bluez.Device1" in interfaces}

    # ---- our programs, with the real broker

    @property
    def stand(self):
        """Broker, configuration and subscriber, as in tests/system/stand.py."""
        if self._stand is None:
            from stand import Stand
            self._stand = Stand(self.binaries)
            self._stand.logs.close()
            self._stand.logs = open(self.log_path("broker"), "ab")
        return self._stand

    def broker(self):
        """mosquitto and a subscriber that outlives everything."""
        self.stand.start_broker()
        self.stand.subscribe()

    def gateway(self, *arguments, config="", restart=None):
        """wellgated, with the broker if that does not run yet; config: lines for its configuration."""
        if self.stand.broker is None:
            self.broker()
        if config:
            with open(self.stand.config, "a", encoding="utf-8") as stream:
                stream.write(config)
        program = self.program("gateway", self.path("wellgated"), "--config", self.stand.config, *arguments,
                               restart=restart)
        wait_for("wellgated to answer", lambda: self.wellgate("status", "--json").returncode == 0)
        return program

    def devices(self, *arguments, restart=None):
        """wellgate-devices on the gateway's socket, with Bluetooth unless it is told --usb or --replay."""
        if "--replay" not in arguments:
            transport = () if "--usb" in arguments else ("--bluetooth",)
            arguments = (*transport, "--state", os.path.join(self.folder, "devices"), *arguments)
        return self.program("devices", self.path("wellgate-devices"), "--socket",
                            os.path.join(self.stand.runtime, "devices.sock"), *arguments, restart=restart)

    def hub(self, *commands, restart=1.0, config=""):
        """The whole hub, as shipped: up() with our main.conf, gateway(), devices(); they are restarted."""
        with open(HUB_CONF, encoding="utf-8") as stream:
            self.up(*commands, config=stream.read())
        self.gateway(config=config, restart=restart)
        self.devices(restart=restart)
        self.wait_log("devices", r"adapter ready")

    def pair(self, peer, *arguments, seconds=180):
        """`wellgate pair` with a simulated device; its events, or AssertionError with what it said."""
        result = self.wellgate("pair", "--yes", "--json", "--address", self.radio_address(peer),
                               "--seconds", str(seconds), *arguments, limit=seconds + LIMIT)
        for line in result.stdout.splitlines():
            self.say("pair: " + line)
        assert result.returncode == 0, f"not paired ({result.returncode}): {result.stdout[-400:]} {result.stderr}"
        return [json.loads(line) for line in result.stdout.splitlines()]

    def wellgate(self, *arguments, stdin="", limit=LIMIT):
        """The command line; .returncode .stdout .stderr"""
        return subprocess.run([self.path("wellgate"), *arguments], input=stdin, capture_output=True, text=True,
                              check=False, timeout=limit,
                              env={**os.environ, "WELLGATE_RUNTIME_DIR": self.stand.runtime})

    def wellgate_json(self, *arguments):
        """`wellgate ... --json`: a list of its lines; raises if it fails."""
        result = self.wellgate(*arguments, "--json")
        assert result.returncode == 0, f"wellgate {arguments}: {result.returncode} {result.stderr}"
        return [json.loads(line) for line in result.stdout.splitlines()]

    def readings(self):
        """What is durable in the gateway's store."""
        return self.wellgate_json("readings")

    def published(self):
        """What came out of the broker, decoded by python3-protobuf (seconds: it is slow here)."""
        return self.stand.readings()


def full(interface):
    return interface if "." in interface else "org.bluez." + interface


def listens(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0


# ---- which scenarios there are

def short_form(kernel):
    """Names of the scenarios that CI runs on this kernel: "KERNEL NAME" a line, # begins a comment."""
    with open(os.path.join(HERE, "short"), encoding="utf-8") as stream:
        rows = [line.split("#")[0].split() for line in stream]
    return {row[1] for row in rows if row and row[0] == kernel}


def scenarios(kernel, folder=HERE, short=False):
    """All for a kernel, or those that the file `short` names for it: [(name, function, what is special)], in the order of files and lines."""
    found = []
    named = short_form(kernel) if short else None
    sys.path.insert(0, folder)
    for path in sorted(glob.glob(os.path.join(folder, "test_*.py"))):
        module = importlib.import_module(os.path.splitext(os.path.basename(path))[0])
        for name, function in list(vars(module).items()):
            if not name.startswith("test_") or not callable(function):
                continue
            if not hasattr(function, "lab"):
                function = scenario()(function)
            if kernel in function.lab["kernels"] and (named is None or name in named):
                found.append((name, function, function.lab))
    names = [name for name, _, _ in found]
    assert len(names) == len(set(names)), "two scenarios have one name"
    return found


if __name__ == "__main__":
    # python3 -i world.py [PROGRAMS], in a shell of the guest: a world to play with, logs in OUT/hand
    hand = os.path.join(os.environ.get("OUT", "/nonexistent"), "hand")
    os.makedirs(hand, exist_ok=True)
    world = World(sys.argv[1] if len(sys.argv) > 1 else
                  os.path.join(SOURCE, "build", "release", "bin"), hand)
    print('world.up("add weight_scale"), world.scan(), world.seen(), ...: help(world)')
