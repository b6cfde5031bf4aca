#!/usr/bin/env python3
"""The delivery of readings, checked by spin: the model holds in a full search, and each wrong variant
is refuted with a trace.

usage: check.py [--long] [--keep FOLDER] [NAME]...

--long   larger budgets of crashes as well: minutes instead of seconds
--keep   where the trace of each refuted variant is written, to be read
NAME     only these rows
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delivery.pml")
DEPTH = 10000
NONE = {"DEVICE_CRASHES": 0, "SESSION_CRASHES": 0, "HUB_CRASHES": 0, "BROKER_CRASHES": 0,
        "RECORD_CRASHES": 0, "RESTORES": 0, "EARLY_RESENDS": 0}


def faults(**budgets):
    return {**NONE, **budgets}


EACH_ONCE = faults(DEVICE_CRASHES=1, SESSION_CRASHES=1, HUB_CRASHES=1, BROKER_CRASHES=1, RECORD_CRASHES=1)
NEAR = faults(DEVICE_CRASHES=2, SESSION_CRASHES=2, HUB_CRASHES=2)
FAR = faults(HUB_CRASHES=1, BROKER_CRASHES=2, RECORD_CRASHES=2)
IMAGE = faults(BROKER_CRASHES=1, RECORD_CRASHES=1, RESTORES=1)
SMALL = faults(DEVICE_CRASHES=1, HUB_CRASHES=1, BROKER_CRASHES=1, EARLY_RESENDS=1)
RESTORED = faults(DEVICE_CRASHES=1, RESTORES=1)

# No cycle and no state without a way out, hence every run comes to its end; what is true there is
# asserted by end_of_all in the model.
HOLDS = [
    ("each_part_once", EACH_ONCE, False),
    ("near_twice", NEAR, False),
    ("far_twice", FAR, False),
    ("image", IMAGE, False),
    ("every_run_ends", faults(HUB_CRASHES=1, BROKER_CRASHES=1, RECORD_CRASHES=1, EARLY_RESENDS=1), True),
    ("every_run_ends_image", faults(BROKER_CRASHES=1, RESTORES=1), True),
]
HOLDS_LONG = [
    ("each_part_once_early", {**EACH_ONCE, "EARLY_RESENDS": 1}, False),
    ("far_and_hub_twice", {**FAR, "HUB_CRASHES": 2, "EARLY_RESENDS": 1}, False),
    ("image_hub_once", {**IMAGE, "HUB_CRASHES": 1, "EARLY_RESENDS": 1}, False),
    ("each_part_once_ends", EACH_ONCE, True),
]

NOT_COMMITTED = r"ever_committed"
NOT_AT_RECORD = r"copies\[row\[acknowledged\]\]>0"
LOST = r"copies\[1\]==1"
TWICE = r"copies\[work_reading\]<=1"
TWICE_STORED = r"!\(\(seen"
NEVER_ENDS = r"non-progress cycle"
# name, switches, budgets, search for cycles, what spin must say
REFUTED = [
    ("confirm_before_commit", ["CONFIRM_EARLY"], SMALL, False, NOT_COMMITTED),
    ("confirm_before_commit_loses", ["CONFIRM_EARLY", "OUTCOME_ONLY"], faults(HUB_CRASHES=1, SESSION_CRASHES=1),
     False, LOST),
    ("delete_on_puback", ["PUBACK_DELETES"], SMALL, False, NOT_AT_RECORD),
    ("delete_on_puback_loses", ["PUBACK_DELETES", "OUTCOME_ONLY"], SMALL, False, LOST),
    ("numbers_reused", ["SAME_EPOCH"], RESTORED, False, NOT_AT_RECORD),
    ("numbers_reused_loses", ["SAME_EPOCH", "OUTCOME_ONLY"], RESTORED, False, LOST),
    ("new_epoch_too_late", ["EPOCH_IF_NOTICED", "OUTCOME_ONLY"], RESTORED, False, LOST),
    ("receipt_from_one_only", ["MARK_ONLY"], RESTORED, True, NEVER_ENDS),
    ("no_dedupe_in_store", ["NO_STORE_DEDUPE"], SMALL, False, TWICE_STORED),
    ("no_dedupe_at_record", ["NO_RECORD_DEDUPE"], SMALL, False, TWICE),
    ("dedupe_by_number_only", ["NO_KEY_DEDUPE"], RESTORED, False, TWICE),
]


class Failure(Exception):
    pass


def run(command, folder):
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)


def must(command, folder):
    result = run(command, folder)
    if result.returncode != 0:
        raise Failure(f"{command[0]} failed:\n{result.stdout}")


def search(folder, switches, budgets, cycles, small):
    """Builds the verifier and runs it: what it printed, and the switches for spin."""
    defines = [f"-D{name}" for name in switches] + [f"-D{name}={value}" for name, value in budgets.items()]
    shutil.copy(MODEL, folder)
    must(["spin", *defines, "-a", "delivery.pml"], folder)
    how = ["-DNP"] if cycles else ["-DSAFETY"] + (["-DBFS"] if small else [])
    must(["gcc", "-O1" if switches else "-O2", "-w", "-DNOFAIR", *how, "-o", "pan", "pan.c"], folder)
    return run(["./pan", f"-m{DEPTH}", "-w23"] + (["-l"] if cycles else []), folder).stdout, defines


def figure(pattern, output):
    found = re.search(pattern, output)
    return found.group(1) if found else "?"


def figures(output):
    states = figure(r"([0-9.e+]+) states, stored", output)
    depth = figure(r"depth reached (\d+)", output)
    return f"{states:>12} states  depth {depth:>4}"


def check_holds(folder, row):
    _, budgets, cycles = row
    output, _ = search(folder, [], budgets, cycles, False)
    for sign in ("errors: 0", "Full statespace search"):
        if sign not in output:
            raise Failure(f"it does not hold, or was not searched whole:\n{output}")
    for sign in ("Search not completed", "max search depth too small", "out of memory"):
        if sign in output:
            raise Failure(f"not searched whole:\n{output}")
    return figures(output)


def check_refuted(folder, row, keep):
    name, switches, budgets, cycles, expected = row
    output, defines = search(folder, switches, budgets, cycles, not cycles)
    said = re.search(r"^pan:1: (.*)", output, re.M)
    if not said or not re.search(expected, said.group(1)):
        raise Failure(f"spin had to find {expected}, and said:\n{output}")
    trace = run(["spin", *defines, "-k", "delivery.pml.trail", "-p", "-g", "delivery.pml"], folder).stdout
    steps = re.findall(r"^ *(\d+):\s+proc", trace, re.M)
    if not steps:
        raise Failure(f"no trace of it:\n{trace}")
    if keep:
        with open(os.path.join(keep, name + ".trace"), "w", encoding="utf-8") as stream:
            stream.write(f"{said.group(1)}\n{trace}")
    return f"{figures(output)}  refuted in {steps[-1]} steps"


def main():
    parser = argparse.ArgumentParser(description="the delivery of readings, checked by spin")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if not shutil.which("spin") or not shutil.which("gcc"):
        print("spin or gcc is not installed")
        return 77
    rows = [(check_holds, row) for row in HOLDS + (HOLDS_LONG if options.long else [])]
    rows += [(lambda folder, row: check_refuted(folder, row, options.keep), row) for row in REFUTED]
    bad = done = 0
    for check, row in rows:
        if options.names and row[0] not in options.names:
            continue
        begin = time.monotonic()
        done += 1
        try:
            with tempfile.TemporaryDirectory() as folder:
                text = check(folder, row)
        except Failure as failure:
            bad += 1
            text = f"FAILED: {failure}"
        print(f"{row[0]:<28} {text}  {time.monotonic() - begin:.1f} s", flush=True)
    print(f"{done} checked, {bad} failed")
    return 1 if bad or not done else 0


if __name__ == "__main__":
    sys.exit(main())
