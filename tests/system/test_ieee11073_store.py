#!/usr/bin/env python3
"""Agents of IEEE 11073 at the door that remember: what is in their stores is fetched, segment by
segment, once; also with reports beside it, with configurations that nobody knows, when it is offered
again, and when wellgate-devices is killed in the middle of it."""
import json
import sys
from collections import Counter

from agents import DoorStand, confirmed, event_of_reading, event_of_report, finish
from stand import wait_for

STORED, REPORTED = 150, 4
SENSORS = ("bloodpressure", "weightscale", "glucometer", "pulseoximeter")
LONG = 1500  # entries: there is time to kill somebody


def start(stand):
    """One of each kind with a store, one that reports beside it, and one that has a configuration alone."""
    agents = [stand.start_agent(sensor, None, seed, ["--store", str(STORED)])
              for seed, sensor in enumerate(SENSORS, 1)]
    agents.append(stand.start_agent("bloodpressure", REPORTED, 11, ["--store", str(STORED)]))
    agents += [stand.start_agent(sensor, REPORTED, seed, ["--extended"]) for seed, sensor in enumerate(SENSORS, 21)]
    return agents


def killed_in_between(stand, seed):
    """The agent is in the middle of its store when its manager is no more."""
    agent = stand.start_agent("weightscale", None, seed, ["--store", str(LONG)])
    wait_for("the first entries to be taken", lambda: confirmed(agent))
    stand.devices.kill()
    stand.devices.wait()
    assert agent.poll() is None and len(confirmed(agent)) < LONG, "nothing was left to be killed in"
    stand.start_door()
    finish(agent)
    return agent


def check(stand, agents):
    """All that agents were told is safe is at the broker, once; the stored ones say that they are."""
    readings = stand.readings()
    said = Counter(event_of_report(line) for agent in agents for line in confirmed(agent))
    arrived = Counter(map(event_of_reading, readings))
    assert arrived == said, ("not said", arrived - said, "not arrived", said - arrived)
    assert len({r["dedupe_key"] for r in readings}) == len(readings)
    late = sum("backfill" in json.dumps(r.get("flags", "")) for r in readings)
    assert late == (len(SENSORS) + 1) * STORED + LONG, late


def main():
    with DoorStand(sys.argv[1]) as stand:
        for bad in (["--store", "0"], ["--store", "2001"], ["--store", "x"]):
            result = stand.wellgate("simulate", "ieee11073-agent", "--connect", "127.0.0.1:1", "--sensor",
                                    "glucometer", *bad)
            assert result.returncode == 64 and result.stderr.count("\n") == 1, (bad, result)
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        stand.start_door()
        stand.wait_for_door()
        agents = start(stand)
        for agent in agents:
            finish(agent)
        agents.append(killed_in_between(stand, 31))
        total = sum(len(confirmed(agent)) for agent in agents)
        assert total == (len(SENSORS) + 1) * (STORED + REPORTED) + LONG, total
        wait_for("the last reading", lambda: len(stand.readings()) >= total)
        check(stand, agents)
        for agent in start(stand):  # the same devices, and all of it once more: nothing new
            finish(agent)
        wait_for("the outbox to drain", stand.drained)
        assert stand.stop_gateway() == 0
        wait_for("the offline status", lambda: any(m.get("state") == "offline" for m in stand.decoded()))
        check(stand, agents)
    print(f"{total} readings of {len(agents)} agents, once")


main()
