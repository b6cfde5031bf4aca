#!/usr/bin/env python3
"""What a month costs on a data plan: blood pressure twice a day and weight once, 90 readings in 30
connections on demand, over TLS with certificates on both sides, counted at the interface of a network
namespace: whole frames, both ways, ARP and TCP's own included. The month is short because the sittings
follow each other, and `collect` is 0; no connection is left out. Each reading is a message of its own
(`batch = 1`), because a weight has another topic than a pressure; all are pressures, which are longer.

Where namespaces are not allowed it says so and is skipped (77)."""
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from stand import Stand, wait_for

DAYS = 30
PER_DAY = 3
LIMIT_BYTES = 500_000
SKIPPED = 77
HUB, BROKER = "10.213.7.1", "10.213.7.2"
ASKS_S = 300 / 2  # keep_alive = 300 asks after half of it
MONTH_S = 30 * 86400
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
SETTINGS = """[broker]
url = mqtts://{broker}:8883
ca_file = {folder}/ca.pem
cert_file = {folder}/hub.pem
key_file = {folder}/hub.key
connection = {connection}
keep_alive = {keep_alive}
collect = 0
batch = 1
"""


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Network:
    """Two namespaces and a cable between them."""

    def __init__(self):
        self.hub, self.broker = f"wg-hub-{os.getpid()}", f"wg-broker-{os.getpid()}"

    def __enter__(self):
        for name in (self.hub, self.broker):
            run("ip", "netns", "add", name)
        run("ip", "-n", self.hub, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", self.broker)
        for name, address in ((self.hub, HUB), (self.broker, BROKER)):
            run("ip", "netns", "exec", name, "sh", "-c",
                "echo 1 > /proc/sys/net/ipv6/conf/cable/disable_ipv6 2>/dev/null || true")
            run("ip", "-n", name, "addr", "add", address + "/24", "dev", "cable")
            run("ip", "-n", name, "link", "set", "cable", "up")
        return self

    def __exit__(self, kind, value, trace):
        for name in (self.hub, self.broker):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def bytes(self):
        """Both ways; the cable has no other end but the broker's."""
        text = subprocess.run(["ip", "netns", "exec", self.hub, "cat", "/proc/net/dev"], check=True,
                              capture_output=True, text=True).stdout
        fields = next(line for line in text.splitlines() if "cable:" in line).split(":")[1].split()
        return int(fields[0]) + int(fields[8])


def certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    with open(os.path.join(folder, "names"), "w", encoding="ascii") as stream:
        stream.write(f"subjectAltName=IP:{BROKER}\n")
    for name, subject in (("broker", BROKER), ("hub", "hub1")):
        openssl("req", *EC, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + subject)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", name + ".pem", "-days", "2", "-extfile", "names")


def listen(network):
    """Counts the handshakes that pass, and those whose ServerHello takes up an earlier session."""
    me = subprocess.Popen(["ip", "netns", "exec", network.hub, sys.executable, os.path.abspath(__file__), "--listen"],
                          stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert me.stdout.readline() == b"ready\n", "no socket to listen at the interface"
    return me


def is_resumed(hello):
    """A ServerHello, from its record header on: has it the extension pre_shared_key? RFC 8446 4.1.3"""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at] + 2 + 1
    end = at + 2 + struct.unpack_from(">H", hello, at)[0]
    at += 2
    while at + 4 <= end:
        kind, size = struct.unpack_from(">HH", hello, at)
        if kind == 41:
            return True
        at += 4 + size
    return False


def count_handshakes():
    counts = [0, 0]

    def take(frames):
        while True:
            frame = frames.recv(65535)
            if frame[12:14] != b"\x08\x00" or frame[23] != 6:
                continue
            tcp = 14 + 4 * (frame[14] & 15)
            data = frame[tcp + 4 * (frame[tcp + 12] >> 4):]
            if data[:2] == b"\x16\x03" and data[5:6] == b"\x02":
                counts[0] += 1
                counts[1] += is_resumed(data)

    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    frames.bind(("cable", 0))
    threading.Thread(target=take, args=(frames,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    print(*counts, flush=True)


class Plan(Stand):
    """The stand, with the broker at the other end of the cable."""

    def __init__(self, programs, network):
        super().__init__(programs)
        self.network = network
        self.calls = os.path.join(self.folder, "calls")
        certificates(self.folder)

    def settings(self, connection, keep_alive):
        os.makedirs(self.config + ".d", exist_ok=True)
        with open(os.path.join(self.config + ".d", "plan.conf"), "w", encoding="utf-8") as stream:
            stream.write(SETTINGS.format(broker=BROKER, folder=self.folder, connection=connection,
                                         keep_alive=keep_alive))

    def start_broker(self, max_inflight=None):
        conf = os.path.join(self.folder, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as stream:
            stream.write(f"user root\nlistener 8883 {BROKER}\nallow_anonymous true\nrequire_certificate true\n"
                         f"cafile {self.folder}/ca.pem\ncertfile {self.folder}/broker.pem\n"
                         f"keyfile {self.folder}/broker.key\n")
        self.broker = self.spawn("ip", "netns", "exec", self.network.broker, "/usr/sbin/mosquitto", "-c", conf)

    def start_gateway(self):
        trace = ["strace", "-f", "-qq", "-o", self.calls, "-e", "trace=fsync,fdatasync"] if self.can_trace() else []
        self.gateway = self.spawn("ip", "netns", "exec", self.network.hub, *trace, self.path("wellgated"),
                                  "--config", self.config)

    def can_trace(self):
        """The sanitizers' search for leaks is a tracer itself, and a process can have one only."""
        with open(self.path("wellgated"), "rb") as stream:
            if b"__asan_init" in stream.read():
                return False
        return shutil.which("strace") and subprocess.run(
            ["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0

    def gateway_pid(self):
        """strace has it as a child; ip becomes what it starts."""
        pid = self.gateway.pid
        for other in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{other}/stat", encoding="ascii", errors="replace") as stream:
                    name, rest = stream.read().rsplit(")", 1)
            except OSError:
                continue
            if name.endswith("(wellgated") and pid in (int(other), int(rest.split()[1])):
                return int(other)
        raise AssertionError("wellgated is not running")

    def is_away(self):
        status = self.status()
        return status is not None and status["waiting"] == 0 and status["away"]

    def is_there(self):
        status = self.status()
        return status is not None and status["broker_connected"]

    def end_gateway(self):
        os.kill(self.gateway_pid(), 15)
        assert self.gateway.wait(timeout=300) == 0


def written(stand):
    with open(f"/proc/{stand.gateway_pid()}/io", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("write_bytes"))


def synced(stand):
    if not os.path.exists(stand.calls):
        return None
    with open(stand.calls, encoding="ascii", errors="replace") as stream:
        return sum("sync(" in line for line in stream)


def month(stand, network):
    stand.settings("on-demand", 25)
    stand.start_broker()
    listener = listen(network)
    stand.start_gateway()
    wait_for("the first visit to end", stand.is_away)
    first, disk, syncs = network.bytes(), written(stand), synced(stand)
    for day in range(DAYS):
        stand.start_devices(stand.simulate(PER_DAY, day + 1, f"day{day}.cap"))
        wait_for("the replay to end", lambda: stand.devices.poll() is not None)
        assert stand.devices.returncode == 0
        wait_for("the hub to be away again", stand.is_away)
    total, status = network.bytes(), stand.status()
    disk = written(stand) - disk
    syncs = None if syncs is None else synced(stand) - syncs
    listener.stdin.close()
    handshakes, resumed = map(int, listener.stdout.read().split())
    listener.wait()
    stand.end_gateway()
    assert status["readings"] == DAYS * PER_DAY == status["acknowledged"], status
    assert handshakes == DAYS + 1, f"{handshakes} handshakes: a visit is missing, or one too many"
    print(f"month on demand: {total} bytes at the interface; {first} of them the start with the schema, "
          f"{(total - first) // DAYS} for each of {DAYS} visits")
    print(f"TLS: {handshakes} handshakes, {resumed} resumed")
    print(f"disk: {disk} bytes written ({'0 where the state is in memory' if disk == 0 else 'as the kernel counts'}), "
          + ("fsync not counted: strace cannot be used here" if syncs is None else f"{syncs} fsync and fdatasync"))
    assert first < total < LIMIT_BYTES, f"{total} bytes: more than {LIMIT_BYTES}"


def kept_alive(stand, network):
    """What one question and its answer cost on a connection that stays."""
    stand.settings("always", 5)
    stand.start_gateway()
    wait_for("the connection", stand.is_there)
    last = [network.bytes()]

    def grew():
        now = network.bytes()
        last.append(now)
        return len(last) > 40 and last[-1] == last[-20] and last[0] != now

    wait_for("the start to be over", lambda: grew() or len(last) > 200)
    quiet = last[-1]
    wait_for("a ping", lambda: network.bytes() > quiet)
    time.sleep(0.5)  # its answer, and TCP's
    ping = network.bytes() - quiet
    stand.end_gateway()
    print(f"kept alive: {ping} bytes a ping, so {int(MONTH_S / ASKS_S * ping)} bytes a month with keep_alive = 300 "
          "and no readings (arithmetic)")


def main():
    if not shutil.which("ip") or subprocess.run(["ip", "netns", "add", "wg-try"], capture_output=True,
                                                check=False).returncode != 0:
        print("SKIPPED, nothing was measured: network namespaces are not allowed here (ip netns add)")
        return SKIPPED
    run("ip", "netns", "del", "wg-try")
    with Network() as network, Plan(sys.argv[1], network) as stand:
        month(stand, network)
        kept_alive(stand, network)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--listen":
        count_handshakes()
    else:
        sys.exit(main())
