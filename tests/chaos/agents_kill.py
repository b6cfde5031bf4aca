#!/usr/bin/env python3
"""kill -9 of either daemon at random while agents of IEEE 11073 report: what an agent saw confirmed
is at a durable subscriber, and every reading is there once after dedupe by its key.

An agent forgets a reading once it is confirmed, so one that was confirmed before its commit is lost
for good, and found missing here. One that was committed and not yet confirmed comes again on the
next association, and must not become another reading.
"""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from agents import DoorStand, confirmed, event_of_reading, event_of_report, finish  # noqa: E402
from stand import wait_for  # noqa: E402

KILLS = int(os.environ.get("WELLGATE_KILLS", "60"))
SEED = int(os.environ.get("WELLGATE_SEED", "1"))
SENSORS = ("bloodpressure", "weightscale", "glucometer", "pulseoximeter")
PER_AGENT = 400
METRIC = {"bloodpressure": "blood_pressure", "weightscale": "body_weight", "glucometer": "glucose",
          "pulseoximeter": "spo2"}


def answers(stand):
    return sum(os.path.getsize(agent.confirmed) for agent in stand.agents)


def wait_until_busy(stand):
    """A kill in an idle moment shows nothing: first something must be confirmed again."""
    before = answers(stand)
    wait_for("a confirmation", lambda: answers(stand) > before or idle(stand))


def idle(stand):
    return all(agent.poll() is not None for agent in stand.agents)


def kill_one(stand, rng, counts):
    victim = rng.choice(("gateway", "devices"))
    process = getattr(stand, victim)
    assert process.poll() is None, f"{victim} has ended by itself with {process.returncode}"
    process.kill()
    process.wait()
    counts[victim] += 1
    if victim == "gateway":
        stand.start_gateway()
    else:
        stand.start_door()


def one_round(stand, rng, counts, seed):
    """Four agents with their memories full, read to the end."""
    stand.agents.clear()
    for sensor in SENSORS:
        stand.start_agent(sensor, PER_AGENT, seed)
    while not idle(stand) and sum(counts.values()) < KILLS:
        wait_until_busy(stand)
        # from the report on its way to the answer on its way: 0 to some commits
        pause(rng.uniform(0, 0.03), stand)
        kill_one(stand, rng, counts)
    for agent in stand.agents:
        finish(agent)
    return list(zip(SENSORS, (agent.confirmed for agent in stand.agents)))


def pause(seconds, stand):
    try:
        stand.devices.wait(timeout=seconds)
    except Exception:  # subprocess.TimeoutExpired: the usual case
        pass


def load(rounds):
    """metric and event of all that was confirmed, and how often something had to be said again"""
    class File:  # as an agent of which only the file is left
        def __init__(self, path):
            self.confirmed = path
    reports = [(METRIC[sensor], line) for sensor, path in rounds for line in confirmed(File(path))]
    again = sum(line["attempts"] - 1 for _, line in reports)
    return [(metric, event_of_report(line)) for metric, line in reports], again


def check(stand, rounds):
    expected, again = load(rounds)
    unique = {}
    for reading in stand.readings():
        event = (reading["metric"], event_of_reading(reading))
        assert unique.setdefault(reading["dedupe_key"], event) == event, "one dedupe key, two events"
    arrived = list(unique.values())
    lost = set(expected) - set(arrived)
    assert not lost, f"{len(lost)} readings are lost, for example {sorted(lost)[:3]}"
    assert len(arrived) == len(set(arrived)), "a reading is there twice under two keys"
    assert len(arrived) == len(expected), f"{len(arrived)} readings of {len(expected)}"
    return len(expected), again


def main():
    rng = random.Random(SEED)
    counts = {"gateway": 0, "devices": 0}
    rounds = []
    with DoorStand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        stand.start_door()
        while sum(counts.values()) < KILLS or not rounds:
            rounds += one_round(stand, rng, counts, seed=len(rounds) // len(SENSORS))
        wait_for("the outbox to drain", stand.drained)
        total = len(load(rounds)[0])
        try:
            wait_for("the last reading", lambda: len({r["dedupe_key"] for r in stand.readings()}) >= total, limit=120)
        except AssertionError:
            pass  # check() says what is missing
        total, again = check(stand, rounds)
    print(f"{total} readings, {counts['gateway']} kills of wellgated, {counts['devices']} of wellgate-devices: "
          f"each there once ({again} were reported again)")


main()
