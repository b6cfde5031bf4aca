"""A stand for the programs as they are shipped: real mosquitto, wellgated, wellgate-devices and a
subscriber that outlives them all, each in one temporary folder. Nothing here waits for time: every
wait is for an event, with a limit that only says "hung".
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
LIMIT = 300.0  # seconds: not a verdict on speed

CONFIG = """[hub]
site = test
hub = hub1
time_zone = Europe/London
state_dir = {state}
runtime_dir = {runtime}
[broker]
url = {url}
[store]
keep_days = 36500
[person]
subject = subject-under-test
"""


def wait_for(what, predicate, limit=LIMIT):
    """Polls, because processes are watched from outside; fails loudly with the name of the event."""
    end = time.monotonic() + limit
    while not predicate():
        if time.monotonic() > end:
            raise AssertionError(f"hung: waited {limit:.0f} s for {what}")
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stand:
    """with Stand(bin_folder) as stand: ..."""

    def __init__(self, programs, extra_config="", descriptor=None):
        self.programs = os.path.abspath(programs)
        self.folder = tempfile.mkdtemp(prefix="wellgate-stand-")
        self.state = os.path.join(self.folder, "state")
        self.runtime = os.path.join(self.folder, "run")
        os.makedirs(self.runtime, mode=0o700)
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.config = os.path.join(self.folder, "wellgate.conf")
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write(CONFIG.format(state=self.state, runtime=self.runtime, url=self.url) + extra_config)
        self.descriptor = descriptor or os.path.join(os.path.dirname(self.programs), "generated", "wellgate.desc")
        self.received = os.path.join(self.folder, "received.txt")
        self.broker = self.subscriber = self.gateway = self.devices = None
        self.logs = open(os.path.join(self.folder, "log.txt"), "wb")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in (self.devices, self.gateway, self.subscriber, self.broker):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.logs.close()
        if kind is None:
            shutil.rmtree(self.folder)
        else:
            self.show_log()
            print(f"kept for a look: {self.folder}")

    def show_log(self):
        with open(self.logs.name, "rb") as stream:
            sys.stdout.write("---- last lines of the log\n" + stream.read()[-4000:].decode("utf-8", "replace"))

    def path(self, name):
        return os.path.join(self.programs, name)

    def spawn(self, *command, stdout=None):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or self.logs, stderr=self.logs)

    # ---- broker and subscriber

    def start_broker(self, max_inflight=None):
        conf = os.path.join(self.folder, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as stream:
            stream.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                         f"persistence_location {self.folder}/\nmax_queued_messages 0\nmax_queued_bytes 0\n"
                         "set_tcp_nodelay true\n")
            if os.geteuid() == 0:
                stream.write("user root\n")
            if max_inflight is not None:
                stream.write(f"max_inflight_messages {max_inflight}\n")
        self.broker = self.spawn("/usr/sbin/mosquitto", "-c", conf)
        wait_for("the broker to listen", self._listens)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop_broker(self):
        self.broker.terminate()
        self.broker.wait()

    def subscribe(self):
        """A durable subscriber: what the broker has accepted reaches it, whatever else dies."""
        self.subscriber = self.spawn(
            "/usr/bin/mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-V", "mqttv5", "-q", "1",
            "-c", "-i", "stand", "-x", "100000", "-t", "wellgate/v1/#", "-F", "%t %x",
            stdout=open(self.received, "ab"))

    def lines(self):
        if not os.path.exists(self.received):
            return []
        with open(self.received, "rb") as stream:
            text = stream.read().decode("ascii", "replace")
        return text[:text.rfind("\n") + 1].splitlines()

    def decoded(self):
        """What arrived, decoded by python3-protobuf from the FileDescriptorSet alone."""
        result = subprocess.run(
            ["/usr/bin/python3", os.path.join(SOURCE, "tests", "oracle", "read_batch.py"), self.descriptor],
            input="".join(line + "\n" for line in self.lines() if "/schema/" not in line), capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise AssertionError("read_batch.py: " + result.stderr)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def readings(self):
        return [m for m in self.decoded() if "dedupe_key" in m]

    # ---- the programs

    def start_gateway(self):
        self.gateway = self.spawn(self.path("wellgated"), "--config", self.config)

    def start_devices(self, capture, *options):
        self.devices = self.spawn(
            self.path("wellgate-devices"), "--socket", os.path.join(self.runtime, "devices.sock"),
            "--replay", capture, "--speed", "max", "--memory", os.path.join(self.folder, "memory"), "--once",
            *options)

    def wellgate(self, *arguments):
        return subprocess.run([self.path("wellgate"), *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "WELLGATE_RUNTIME_DIR": self.runtime})

    def status(self):
        result = self.wellgate("status", "--json")
        return json.loads(result.stdout) if result.returncode == 0 else None

    def drained(self):
        status = self.status()
        return status is not None and status["waiting"] == 0

    def finish_replay(self):
        """Waits until the devices program says that all was committed and the outbox is empty."""
        wait_for("the replay to end", lambda: self.devices.poll() is not None)
        if self.devices.returncode != 0:
            raise AssertionError(f"wellgate-devices ended with {self.devices.returncode}")
        wait_for("the outbox to drain", self.drained)

    def stop_gateway(self):
        self.gateway.send_signal(signal.SIGTERM)
        self.gateway.wait(timeout=LIMIT)
        return self.gateway.returncode

    def simulate(self, count, seed, name="many.cap"):
        capture = os.path.join(self.folder, name)
        with open(capture, "wb") as stream:
            subprocess.run([self.path("wellgate"), "simulate", "many", "--readings", str(count), "--seed", str(seed)],
                           stdout=stream, check=True)
        return capture

    def expected(self, *captures):
        """The readings in captures, as the drivers see them without any gateway."""
        lines = self.wellgate("replay", *captures).stdout.splitlines()
        return [json.loads(line) for line in lines]


def stamp_of(time):
    """Printed by replay as text, by read_batch as the message's fields."""
    if not isinstance(time, dict):
        return time
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(
        *(time[part] for part in ("year", "month", "day", "hour", "minute", "second")))


def event_of(message):
    """What makes a reading the same event, whether printed by replay or received from the broker."""
    values = tuple((c["metric"], c.get("original_value") or c["value"]) for c in message.get("components", ()))
    return message["metric"], stamp_of(message.get("device_time")), message.get("user_slot"), values
