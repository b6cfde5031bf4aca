#!/usr/bin/python3
"""Feeds read_batch.py messages that are made with the same descriptor, and compares.

    test_read_batch.py wellgate.desc
"""
import json
import os
import subprocess
import sys

try:
    import google.protobuf  # noqa: F401  only to learn whether it is installed
except ImportError:
    print("python3-protobuf is not installed")
    sys.exit(77)

import read_batch

READING = "wellgate/v1/clinic/hub-1/reading/bp"


def run(desc, lines):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "read_batch.py")
    done = subprocess.run(["/usr/bin/python3", script, desc], input="\n".join(lines) + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def check(what, got, want):
    if got != want:
        sys.exit(f"{what}: {got!r}, expected {want!r}")


def make_batch(schema):
    batch = schema.new("ReadingBatch")
    batch.hub, batch.epoch = "hub-1", 0xFEDCBA9876543210
    for sequence in (41, 42):
        reading = batch.readings.add()
        reading.sequence = sequence
        reading.dedupe_key = bytes(range(16))
        reading.metric = 1
        reading.flags.extend([3, 17])
        reading.clock = 5
    component = batch.readings[0].components.add()
    component.metric, component.unit = 2, "mm[Hg]"
    component.value.mantissa, component.value.exponent = 1280, -1
    component = batch.readings[0].components.add()
    component.metric, component.absent = 3, 1
    return batch


def test_batch(desc, schema):
    code, out, _ = run(desc, [f"{READING} {make_batch(schema).SerializeToString().hex()}"])
    check("exit status", code, 0)
    check("readings", [o["sequence"] for o in out], [41, 42])
    first = out[0]
    check("hub", (first["hub"], first["epoch"]), ("hub-1", 0xFEDCBA9876543210))
    check("metric", first["metric"], "blood_pressure")
    check("dedupe key", first["dedupe_key"], bytes(range(16)).hex())
    check("flags", first["flags"], ["irregular_pulse", "low_battery"])
    check("clock", first["clock"], "device_corrected")
    check("components", first["components"],
          [{"metric": "systolic", "value": "128.0", "unit": "mm[Hg]"},
           {"metric": "diastolic", "absent": "nan"}])
    check("no subject", "subject" in first, False)


def test_others(desc, schema):
    goal = schema.new("GoalResult")
    goal.goal_id, goal.outcome = "g1", 3
    goal.progress.mantissa, goal.progress.exponent = 6000, 0
    status = schema.new("HubStatus")
    status.hub, status.state, status.clock_synced = "hub-1", 3, False
    code, out, _ = run(desc, [f"wellgate/v1/c/hub-1/goal {goal.SerializeToString().hex()}",
                              f"wellgate/v1/c/hub-1/status {status.SerializeToString().hex()}",
                              "wellgate/v1/c/hub-1/status "])
    check("exit status", code, 0)
    check("goal", (out[0]["type"], out[0]["progress"], out[0]["outcome"]),
          ("GoalResult", "6000", "met"))
    check("status", (out[1]["state"], out[1]["clock_synced"]), ("lost", False))
    check("retained message taken away", out[2]["empty"], True)


def test_bad(desc, schema):
    good = make_batch(schema).SerializeToString()
    unknown = good + b"\xfa\x3f\x01\x00"  # field 127, which nobody has defined
    code, out, errors = run(desc, [f"{READING} {good[:-3].hex()}", f"{READING} xx",
                                   f"wellgate/v1/c/hub-1/else {good.hex()}",
                                   f"{READING} {unknown.hex()}", f"{READING} {good.hex()}"])
    check("exit status", code, 65)
    check("readings of the one good line", len(out), 2)
    check("errors", [line.split(":")[0] for line in errors.splitlines()],
          ["line 1", "line 2", "line 3", "line 4"])


def test_decimal():
    for mantissa, exponent, want in ((740, -1, "74.0"), (5, 2, "500"), (0, -2, "0.00"),
                                     (-5, -3, "-0.005"), (79960, -3, "79.960"), (0, 3, "0"),
                                     (-12, 0, "-12")):
        check(f"{mantissa}e{exponent}", read_batch.decimal_text(mantissa, exponent), want)


def main():
    desc = sys.argv[1]
    schema = read_batch.Schema(desc)
    test_decimal()
    test_batch(desc, schema)
    test_others(desc, schema)
    test_bad(desc, schema)
    print("read_batch: all good")


if __name__ == "__main__":
    main()
