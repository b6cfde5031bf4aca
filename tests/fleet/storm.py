#!/usr/bin/env python3
"""Many hubs and one broker that dies: all come back, what they held back arrives in the record service,
once and without a gap, and live readings pass by meanwhile.

    storm.py PROGRAMS [HUBS [BATCHES]]      200 hubs with 2 batches of 10 readings each

The broker is that of gateway/dist/brokers: a certificate per hub, checked by the broker. The figures are
printed, and judged only in the long form, which is alone on its machine (`--judge`).
"""
import os
import re
import resource
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from stand import wait_for  # noqa: E402
from test_broker_access import Broker, connections, record_service  # noqa: E402

BACK_MOST_S = 120.0


class Fleet:
    def __init__(self, stand, hubs, batches):
        self.process = subprocess.Popen(
            [stand.path("fleet"), str(stand.doors["hub"]), str(hubs), str(batches), stand.certificates],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or (answer[0] != what and [what, answer[0]] != ["send", "sent"]):
            raise AssertionError(f"the fleet ended: asked {what}, said {answer}")
        return [float(word) for word in answer[1:]]

    def up(self, at_least):
        """All are back. The first answer may be from before they knew of the loss."""
        seconds, attempts = self.ask("up")
        while attempts < at_least:
            seconds, attempts = self.ask("up")
        return seconds, attempts

    def end(self):
        self.process.stdin.close()
        assert self.process.wait() == 0, "the fleet ended with a fault"


def rows(path):
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60) as connection:
            return connection.execute("SELECT COALESCE(SUM(stored), 0), COALESCE(SUM(watermark), 0),"
                                      " (SELECT COUNT(*) FROM dead_letter) FROM sequence_log").fetchone()
    except sqlite3.OperationalError:
        return 0, 0, 0


def memory_mb(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as stream:
        return int(re.search(r"VmRSS:\s+(\d+)", stream.read())[1]) // 1024


def storm(stand, fleet, hubs):
    first, _ = fleet.up(hubs)
    print(f"{hubs} hubs: all there after {first:.1f} s; broker {memory_mb(stand.broker)} MB", flush=True)
    stand.broker.kill()
    stand.broker.wait()
    stand.start_broker()
    seconds, attempts = fleet.up(hubs)
    print(f"broker killed and started again: every hub back {seconds:.1f} s after the death, {attempts / hubs:.2f}"
          " attempts each", flush=True)
    return seconds


def drain(stand, fleet, hubs, path):
    wait_for("the record service", lambda: connections(stand) >= 2)
    began = time.monotonic()
    readings, seconds, live, p50, p99 = fleet.ask("send")
    behind = readings - rows(path)[0]
    print(f"{readings:.0f} readings sent in {seconds:.1f} s; of them {live:.0f} live ones, confirmed after {p50} ms"
          f" (p99 {p99} ms); the record service is {behind:.0f} behind", flush=True)
    wait_for("the record service to have all of it", lambda: rows(path)[0] >= readings)
    took = time.monotonic() - began
    assert rows(path) == (readings, readings, 0), (rows(path), readings)
    print(f"recorded after {took:.1f} s ({readings / took:.0f} a second), each once, no gap; broker"
          f" {memory_mb(stand.broker)} MB", flush=True)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--judge"]
    hubs, batches = (int(a) for a in (arguments[1:] + ["200", "2"][len(arguments) - 1:]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the broker's, too
    with Broker(arguments[0]) as stand:
        stand.start_broker()
        path = os.path.join(stand.folder, "record.db")
        record = record_service(stand, path)
        fleet = Fleet(stand, hubs, batches)
        try:
            wait_for("it to subscribe", lambda: connections(stand) == 1)
            seconds = storm(stand, fleet, hubs)
            drain(stand, fleet, hubs, path)
            fleet.end()
        finally:
            for process in (record, fleet.process):
                if process.poll() is None:
                    process.kill()
                    process.wait()
    assert "--judge" not in sys.argv or seconds <= BACK_MOST_S, f"{seconds} s is longer than {BACK_MOST_S} s"


main()
