#!/usr/bin/env python3
"""Resident memory of each daemon after a run of 10,000 readings, and wake-ups when idle."""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from stand import Stand, wait_for  # noqa: E402

COUNT = 10000
IDLE_SECONDS = 20
LIMIT_KIB = 8 * 1024


def field(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as stream:
        return int(re.search(rf"^{name}:\s+(\d+)", stream.read(), re.M).group(1))


def threads(pid):
    """thread id -> (name, voluntary context switches)"""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        base = f"/proc/{pid}/task/{tid}"
        with open(base + "/comm", encoding="ascii") as name, open(base + "/status", encoding="ascii") as status:
            switches = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M).group(1))
            found[tid] = (name.read().strip(), switches)
    return found


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        fields = stream.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def report_memory(name, pid):
    rss, anonymous, files = field(pid, "VmRSS"), field(pid, "RssAnon"), field(pid, "RssFile")
    print(f"{name:18} resident {rss} KiB (own {anonymous}, files {files}): {rss / LIMIT_KIB:.2f} of 8 MiB")


def settle(pid):
    """One-shot housekeeping follows activity for some seconds; idle is what comes after it."""
    main = str(pid)
    before = None
    while threads(pid)[main] != before:
        before = threads(pid)[main]
        time.sleep(12)


def report_idle(name, pid):
    settle(pid)
    before, cpu = threads(pid), cpu_ms(pid)
    time.sleep(IDLE_SECONDS)
    after = threads(pid)
    print(f"{name:18} idle for {IDLE_SECONDS} s: {cpu_ms(pid) - cpu} ms of CPU; wake-ups per second by thread: " +
          ", ".join(f"{label} {(switches - before.get(tid, (label, 0))[1]) / IDLE_SECONDS:.2f}"
                    for tid, (label, switches) in sorted(after.items())))


def main():
    with Stand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.start_gateway()
        capture = stand.simulate(COUNT, seed=9)
        # without --once it stays, with its memory, after the last frame
        stand.devices = stand.spawn(
            stand.path("wellgate-devices"), "--socket", os.path.join(stand.runtime, "devices.sock"),
            "--replay", capture, "--speed", "max")
        wait_for("all readings", lambda: (stand.status() or {}).get("readings", 0) >= COUNT)
        wait_for("the outbox to drain", stand.drained)
        report_memory("wellgated", stand.gateway.pid)
        report_memory("wellgate-devices", stand.devices.pid)
        report_idle("wellgated", stand.gateway.pid)
        report_idle("wellgate-devices", stand.devices.pid)


main()
