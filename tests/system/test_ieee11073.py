#!/usr/bin/env python3
"""Agents of IEEE 11073 at the door, their readings at the broker: all four kinds at once, each
reading once, with the digits and the reasons that the agent sent, and marked as test data."""
import json
import subprocess
import sys

from agents import DoorStand, confirmed, event_of_reading, event_of_report, finish
from stand import wait_for

COUNT = 12
SENSORS = ("bloodpressure", "weightscale", "glucometer", "pulseoximeter")
METRICS = {"bloodpressure": "blood_pressure", "weightscale": "body_weight", "glucometer": "glucose",
           "pulseoximeter": "spo2"}


def check(stand, agents):
    readings = stand.readings()
    assert all("/test/" in r["topic"] for r in readings), "not marked as test data"
    for sensor, agent in agents.items():
        reported = [event_of_report(line) for line in confirmed(agent)]
        arrived = [event_of_reading(r) for r in readings if r["metric"] == METRICS[sensor]]
        assert len(reported) == COUNT, (sensor, len(reported))
        assert sorted(arrived) == sorted(reported), f"{sensor}: {sorted(arrived)} for {sorted(reported)}"
    assert len({r["dedupe_key"] for r in readings}) == len(readings) == COUNT * len(SENSORS)
    assert len({r["device"]["serial_digest"] for r in readings}) == len(SENSORS)


def check_digits(stand):
    weights = [r for r in stand.readings() if r["metric"] == "body_weight"]
    values = {c["value"] for r in weights for c in r["components"]}
    assert "70.2" in values, values  # FLOAT ff0002be: 702e-1, and not 70.199997 or 70.20
    glucose = [r["components"][0].get("absent") for r in stand.readings() if r["metric"] == "glucose"]
    assert {"positive_infinity", "negative_infinity"} <= set(glucose), glucose


def check_addresses(stand):
    """Only this machine: everything else is refused with a sentence."""
    for address in ("0.0.0.0:6024", "192.0.2.1:6024", "[::]:6024"):
        result = subprocess.run([stand.path("wellgate-devices"), "--ieee11073-tcp", address], capture_output=True,
                                text=True, check=False)
        assert result.returncode == 64 and "this machine alone" in result.stderr, (address, result)


REPORT = ("e700003e003c000001010036" "0000ffffffff0d1d002cf000000000020024" "0001001200030006{}2026112301411650"
          "0002000a00552026112301411650")
WEIGHT = "e700002a00280001010100220000ffffffff0d1d0018f0000000000100100001000cff0002be2026112301411650"
GLUCOSE = "e700002800260001010100200000ffffffff0d1d0016f00000000001000e0001000a{}2026112301411650"


def decode(stand, *arguments):
    result = stand.wellgate("decode", "apdu", *arguments)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def check_decode(stand):
    status, lines, _ = decode(stand, REPORT.format("007b004c0061"))
    assert status == 0 and [c["value"] for c in lines[0]["components"]] == ["123", "76", "97", "85"], lines
    assert lines[0]["apdu"]["operation"] == "confirmed_event_report" and lines[0]["apdu"]["configurations"] == ["02bc"]
    status, lines, _ = decode(stand, WEIGHT)
    assert status == 0 and lines[0]["components"] == [{"metric": "body_weight", "value": "70.2", "unit": "kg"}], lines
    # what it is can only be said by who knows the configuration
    status, lines, _ = decode(stand, GLUCOSE.format("07fe"))
    assert status == 0 and "metric" not in lines[0] and lines[0]["apdu"]["configurations"] == ["0191", "06a4"], lines
    status, lines, _ = decode(stand, GLUCOSE.format("07fe"), "06a4")
    assert status == 0 and lines[0]["metric"] == "glucose" and lines[0]["absent"] == {"glucose": "+INF"}, lines
    for bad in (("e70000020000",), ("e7",), ("e2000032",), ("zz",), ("",), (WEIGHT, "02bc"), (WEIGHT, "4000")):
        status, lines, error = decode(stand, *bad)
        assert status == 65 and not lines and error.count("\n") == 1, (bad, status, lines, error)


def main():
    with DoorStand(sys.argv[1]) as stand:
        check_addresses(stand)
        check_decode(stand)
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        stand.start_door()
        stand.wait_for_door()
        agents = {sensor: stand.start_agent(sensor, COUNT, seed=index) for index, sensor in enumerate(SENSORS, 1)}
        for agent in agents.values():
            finish(agent)
        wait_for("the outbox to drain", stand.drained)
        wait_for("the last reading", lambda: len(stand.readings()) >= COUNT * len(SENSORS))
        check(stand, agents)
        check_digits(stand)
        # the same devices with the same memories once more: nothing new
        finish(stand.start_agent("weightscale", COUNT, seed=2))
        wait_for("the outbox to drain", stand.drained)
        assert stand.stop_gateway() == 0
        wait_for("the offline status", lambda: any(m.get("state") == "offline" for m in stand.decoded()))
        check(stand, agents)
    print(f"{COUNT} readings of each of {len(SENSORS)} agents, once")


main()
