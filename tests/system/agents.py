"""Agents of IEEE 11073 at the door of wellgate-devices: simulated ones (wellgate simulate
ieee11073-agent) that forget a reading when it is confirmed and send it again when it is not."""
import json
import os
import socket

from stand import Stand, free_port, stamp_of, wait_for


class DoorStand(Stand):
    """A stand whose devices program takes agents over TCP."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.door = free_port()
        self.agents = []

    def __exit__(self, kind, value, trace):
        for agent in self.agents:
            if agent.poll() is None:
                agent.kill()
                agent.wait()
        super().__exit__(kind, value, trace)

    def start_door(self):
        self.devices = self.spawn(
            self.path("wellgate-devices"), "--socket", os.path.join(self.runtime, "devices.sock"),
            "--ieee11073-tcp", f"127.0.0.1:{self.door}")

    def wait_for_door(self):
        def listens():
            assert self.devices.poll() is None, "wellgate-devices has ended"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.door)) == 0
        wait_for("the door", listens)

    def start_agent(self, sensor, count, seed=1, options=()):
        """count None: what its options say. Its confirmations are lines of JSON in the file that it has
        as .confirmed."""
        path = os.path.join(self.folder, f"confirmed-{sensor}-{seed}.jsonl")
        with open(path, "wb") as stream:
            agent = self.spawn(self.path("wellgate"), "simulate", "ieee11073-agent", "--connect",
                               f"127.0.0.1:{self.door}", "--sensor", sensor, *(["--count", str(count)] if count is not None else []),
                               "--seed", str(seed), "--patience", "300", *options, stdout=stream)
        agent.confirmed = path
        self.agents.append(agent)
        return agent


ABSENT = {"+INF": "positive_infinity", "-INF": "negative_infinity"}


def confirmed(agent):
    with open(agent.confirmed, encoding="ascii") as stream:
        return [json.loads(line) for line in stream if line.endswith("\n")]


def finish(agent):
    wait_for("the agent to be rid of its readings", lambda: agent.poll() is not None)
    assert agent.returncode == 0, f"the agent ended with {agent.returncode}"


def event_of_report(report):
    """As event_of_reading() sees the same event."""
    return (report["device_time"],
            tuple((c["metric"], c["value"]) for c in report["components"]),
            tuple(sorted((metric, ABSENT[why]) for metric, why in report["absent"].items())))


def event_of_reading(reading):
    values = tuple((c["metric"], c.get("original_value") or c["value"])
                   for c in reading.get("components", ()) if c.get("value") is not None)
    absent = tuple(sorted((c["metric"], c["absent"]) for c in reading.get("components", ()) if c.get("absent")))
    return stamp_of(reading["device_time"]), values, absent
