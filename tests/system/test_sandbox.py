#!/usr/bin/env python3
"""Both daemons in the sandboxes of the units that are shipped (sandbox.py): every reading still goes
through, and the sandbox refuses what it is there to refuse. As root they also are two users, who meet
in one group."""
import json
import os
import subprocess
import sys

from sandbox import USERS
from stand import SOURCE, Stand, event_of, wait_for

COUNT = 200
SANDBOX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sandbox.py")
PROBE = """
import ctypes, json, socket
libc = ctypes.CDLL(None, use_errno=True)
def opens(family):
    try:
        socket.socket(family, socket.SOCK_SEQPACKET if family == 31 else socket.SOCK_DGRAM).close()
    except OSError as error:
        return error.errno
    return 0
said = {name: opens(getattr(socket, name)) for name in ("AF_UNIX", "AF_INET", "AF_NETLINK", "AF_PACKET")}
question = ctypes.create_string_buffer(512)
said["adjtimex"] = libc.adjtimex(question) >= 0
said["ptrace"] = libc.ptrace(0, 0, 0, 0)
said["writable code"] = ctypes.c_long(libc.mmap(None, 4096, 7, 0x22, -1, 0)).value
print(json.dumps(said))
"""
NO_FAMILY = 97
DAEMONS = ("wellgated", "wellgate-devices")


def unit(name):
    return os.path.join(SOURCE, "gateway", "dist", name + ".service")


class Shut(Stand):
    """The stand, with each daemon in its sandbox."""

    def __init__(self, programs):
        super().__init__(programs)
        self.own = os.path.join(self.folder, "devices")
        os.mkdir(self.own, mode=0o700)
        with open(self.config, "r+", encoding="utf-8") as stream:  # a name, as brokers have one
            text = stream.read().replace("127.0.0.1", "localhost")
            stream.seek(0)
            stream.write(text)

    def spawn(self, *command, stdout=None):
        name = os.path.basename(command[0])
        return super().spawn(*((sys.executable, SANDBOX, unit(name)) if name in DAEMONS else ()), *command,
                             stdout=stdout)

    def give(self):
        """What sysusers.d and the units' directories make."""
        if os.geteuid() != 0:
            return
        os.makedirs(self.state, mode=0o700)
        os.chmod(self.folder, 0o711)
        os.chmod(self.runtime, 0o750)
        for path in (self.state, self.runtime):
            os.chown(path, USERS["wellgate"], USERS["wellgate"])
        os.chown(self.own, USERS["wellgate-devices"], USERS["wellgate"])


def probe(name):
    result = subprocess.run([sys.executable, SANDBOX, unit(name), "/usr/bin/python3", "-c", PROBE], cwd="/",
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def refuses():
    gateway, devices = probe("wellgated"), probe("wellgate-devices")
    assert gateway["adjtimex"], "wellgated cannot ask whether the clock is synchronised"
    assert not devices["adjtimex"], "the clock's group of calls is not refused"
    assert (gateway["AF_UNIX"], gateway["AF_INET"]) == (0, 0), gateway
    assert (gateway["AF_NETLINK"], gateway["AF_PACKET"]) == (NO_FAMILY, NO_FAMILY), gateway
    assert (devices["AF_UNIX"], devices["AF_NETLINK"]) == (0, 0), devices
    assert (devices["AF_INET"], devices["AF_PACKET"]) == (NO_FAMILY, NO_FAMILY), devices
    for said in (gateway, devices):
        assert (said["ptrace"], said["writable code"]) == (-1, -1), said


def stranger(stand):
    """Whoever is neither root, nor the daemon, nor of its group is turned away."""
    path = os.path.join(stand.runtime, "devices.sock")
    text = ("import os, socket, sys\nos.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
            "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.connect(sys.argv[1])\n"
            "sys.exit(0 if s.recv(16) == b'' else 1)\n")
    os.chmod(stand.runtime, 0o777)
    os.chmod(path, 0o777)
    result = subprocess.run([sys.executable, "-c", text, path], cwd="/", check=False)
    assert result.returncode == 0, "a stranger was let in"
    with open(stand.logs.name, "rb") as stream:
        assert b"peer turned away" in stream.read()


def main():
    refuses()
    with Shut(sys.argv[1]) as stand:
        stand.give()
        stand.start_broker()
        stand.subscribe()
        capture = stand.simulate(COUNT, seed=9)
        expected = stand.expected(capture)
        stand.start_gateway()
        wait_for("the gateway to answer", lambda: stand.status() is not None)
        stand.start_devices(capture, "--memory", os.path.join(stand.own, "memory"))
        stand.finish_replay()
        wait_for("the last reading", lambda: len(stand.readings()) >= COUNT)
        readings = stand.readings()
        assert sorted(r["sequence"] for r in readings) == list(range(1, COUNT + 1)), "gap or double"
        assert sorted(map(str, map(event_of, readings))) == sorted(map(str, map(event_of, expected)))
        if os.geteuid() == 0:
            stranger(stand)
        assert stand.stop_gateway() == 0
    print(f"{COUNT} readings through both sandboxes; no network, no clock, no new code for who needs none")


main()
