#!/usr/bin/env python3
"""kill -9 of hub, broker and record service at random while an outbox drains with delivery =
receipt. The broker keeps nothing: what it had confirmed and not yet handed on dies with it. Every
reading is in the record service's database in the end, once. WELLGATE_BROKER=keeps: a broker that
writes down what it has, once a second.

The short form takes some seconds. WELLGATE_READINGS and WELLGATE_KILLS in the environment make it
longer (1000000 and 1000 for the whole campaign), WELLGATE_SEED another one. The deaths are spread
over the whole drain: one in each of WELLGATE_KILLS equal parts of the rows, at random in it.
WELLGATE_PATIENCE: a death comes early after so many seconds without a new row; with too few all of
them fall into the beginning.
"""
import contextlib
import os
import random
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from stand import LIMIT, Stand, wait_for  # noqa: E402

READINGS = int(os.environ.get("WELLGATE_READINGS", "3000"))
KILLS = int(os.environ.get("WELLGATE_KILLS", "20"))
SEED = int(os.environ.get("WELLGATE_SEED", "1"))
KEEPS = os.environ.get("WELLGATE_BROKER", "forgets") == "keeps"
BATCH = int(os.environ.get("WELLGATE_BATCH", "10"))
# seconds without a new row before the next death: nothing is judged by it
PATIENCE = float(os.environ.get("WELLGATE_PATIENCE", "0.4"))
DRAIN = LIMIT + READINGS / 200  # seconds that say "hung"
CONFIG = f"""[broker]
delivery = receipt
batch = {BATCH}
window = 4
"""


class Chaos:
    def __init__(self, stand):
        self.stand = stand
        self.path = os.path.join(stand.folder, "record.db")
        self.record = None
        self.counts = {"hub": 0, "broker": 0, "record": 0}
        self.random = random.Random(SEED)
        self.deaths_at = []  # rows that were stored by then
        self.early = 0  # deaths that did not wait for their part of the rows

    def start_broker(self):
        conf = os.path.join(self.stand.folder, "broker.conf")
        keeping = "persistence false\n"
        if KEEPS:
            keeping = f"persistence true\npersistence_location {self.stand.folder}/\nautosave_interval 1\n"
            keeping += "user root\n" if os.geteuid() == 0 else ""
        with open(conf, "w", encoding="utf-8") as stream:
            stream.write(f"listener {self.stand.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
                         f"max_queued_bytes 0\nset_tcp_nodelay true\n{keeping}")
        self.stand.broker = self.stand.spawn("/usr/sbin/mosquitto", "-c", conf)
        wait_for("the broker to listen", self.stand._listens)

    def start_record(self):
        self.record = self.stand.spawn(self.stand.path("wellgate-record"), "--broker", self.stand.url,
                                       "--name", "record", "--database", "sqlite:" + self.path)

    def connections(self):
        with open(self.stand.logs.name, encoding="utf-8", errors="replace") as stream:
            return stream.read().count("connected to the broker")

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(sql).fetchone()

    def stored(self):
        try:
            return self.query("SELECT COALESCE(MAX(reading_row), 0) FROM reading")[0]
        except sqlite3.OperationalError:
            return 0  # not there yet

    def kill_one(self):
        victim = self.random.choice(("hub", "broker", "record"))
        process = {"hub": self.stand.gateway, "broker": self.stand.broker, "record": self.record}[victim]
        process.kill()
        process.wait()
        self.counts[victim] += 1
        {"hub": self.stand.start_gateway, "broker": self.start_broker, "record": self.start_record}[victim]()

    def let_work(self):
        """Until the rows have come to a random place in the next part, or none comes for a moment: what
        a broker forgot waits for a death of the hub."""
        part = sum(self.counts.values())
        enough = (part + self.random.random()) * READINGS / KILLS
        rows, end = self.stored(), time.monotonic() + PATIENCE
        while rows < enough and time.monotonic() < end:
            time.sleep(0.01)
            before, rows = rows, self.stored()
            if rows > before:
                end = time.monotonic() + PATIENCE
        self.deaths_at.append(self.stored())
        self.early += self.deaths_at[-1] < enough

    def where(self):
        """How many deaths there were in each tenth of the rows."""
        tenths = [0] * 10
        for rows in self.deaths_at:
            tenths[min(9, rows * 10 // READINGS)] += 1
        return f"{tenths} in the tenths of the rows, {self.early} early"

    def finish(self):
        """Nothing dies any more. A restart of the hub asks for everything that is not committed."""
        self.record.kill()
        self.record.wait()
        before = self.connections()
        self.start_record()
        wait_for("the record service to listen", lambda: self.connections() > before)
        self.stand.gateway.kill()
        self.stand.gateway.wait()
        self.stand.start_gateway()
        wait_for("the outbox to drain", self.stand.drained, limit=DRAIN)
        status = self.stand.status()
        for name in ("sent", "confirmed", "committed"):
            assert status[name] == status["readings"], f"{name}: {status[name]} of {status['readings']}"
        assert status["delivery"] == "receipt" and status["receipt_age_ms"] is not None and status["why"] is None
        assert "committed by the record service" in self.stand.wellgate("status").stdout

    def check(self, expected):
        rows, keys, last = self.query("SELECT COUNT(*), COUNT(DISTINCT dedupe_key), MAX(sequence) FROM reading")
        again, watermark = self.query("SELECT SUM(again), MAX(watermark) FROM sequence_log WHERE kind = 'reading'")
        letters = self.query("SELECT COUNT(*) FROM dead_letter")[0]
        lost, twice = expected - keys, rows - keys
        print(f"{expected} readings, {sum(self.counts.values())} kills {self.counts}: {lost} lost, {twice} stored"
              f" twice; {again} came again, {letters} dead letters; deaths {self.where()}")
        assert lost == 0 and twice == 0 and letters == 0
        assert last == watermark == expected, f"{last}, {watermark} of {expected}"
        assert self.query("SELECT COUNT(*) FROM sequence_log WHERE kind = 'reading'")[0] == 1, "more than one epoch"


def main():
    with Stand(sys.argv[1], CONFIG) as stand:
        chaos = Chaos(stand)
        try:
            run(stand, chaos)
        finally:
            if chaos.record and chaos.record.poll() is None:
                chaos.record.kill()
                chaos.record.wait()


def run(stand, chaos):
    capture = stand.simulate(READINGS, seed=SEED)
    expected = len({str(m) for m in stand.expected(capture)})
    stand.start_gateway()  # no broker yet: everything waits
    stand.start_devices(capture)
    wait_for("the replay to end", lambda: stand.devices.poll() is not None, limit=3600)
    assert stand.devices.returncode == 0
    chaos.start_broker()
    chaos.start_record()
    while sum(chaos.counts.values()) < KILLS:
        chaos.let_work()
        chaos.kill_one()
        if sum(chaos.counts.values()) % 100 == 0:
            print(f"{sum(chaos.counts.values())} kills, {chaos.deaths_at[-1]} rows", flush=True)
    chaos.finish()
    chaos.check(expected)


main()
