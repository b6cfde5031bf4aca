#!/usr/bin/env python3
"""hazards.py finds what it is there to find: each change of the hazard log below must be reported.

usage: test_hazards.py SOURCE_FOLDER
"""
import os
import sys

import hazards

# what stands in the log, what is put there, what must be said
BAD = [
    ("`test_store:test_full_disk`", "`test_store:test_full_disc`", "there is no test test_store:test_full_disc"),
    ("`test_dfu:test_older_version`", "`test_dfv:test_older_version`", "there is no test test_dfv"),
    ("`chaos_kill`", "`chaos_murder`", "there is no test chaos_murder"),
    ("`oracle_tshark_weight`", "`oracle_tshark_weigth`", "there is no test oracle_tshark_weigth"),
    ("`system_broker_down`", "`system_broker_up`", "there is no test system_broker_up"),
    ("`capture:weight_scale/imperial`", "`capture:weight_scale/royal`", "there is no test capture:"),
    ("`lab:test_clone`", "`lab:test_clones`", "there is no test lab:test_clones"),
    ("`model:near_twice`", "`model:near_thrice`", "there is no test model:near_thrice"),
    ("`model:new_epoch_too_late`", "`model:new_epoch_in_time`", "there is no test model:new_epoch_in_time"),
    ("Controls: R9\n", "Controls: R99\n", "there is no requirement R99"),
    ("Controls: R9\n", "Controls: care\n", "names no control"),
    ("- Severity: Minor", "- Severity: Small", "severity is one of"),
    ("- Open: nothing known.", "", "no Open"),
    ("## H7 ", "## H77 ", "without a gap"),
    ("| R2 |", "| R1 |", "stands there twice"),
    ("| R2 |", "| R200 |", "R200 controls nothing"),
]


def main():
    root = sys.argv[1]
    good = hazards.read(os.path.join(root, "tests/hazards.md"))
    bad = 0
    for old, new, expected in BAD:
        if old not in good:
            print(f"not in the log any more: {old!r}; choose another")
            bad += 1
            continue
        # a test may be named by the introduction as well
        spoiled = good.replace(old, new, -1 if old.startswith("`") else 1)
        found = list(hazards.problems_of(root, spoiled))
        if not any(expected in line for line in found):
            print(f"not found: {expected!r}, but {found}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
