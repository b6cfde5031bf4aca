#!/usr/bin/env python3
"""Gateway -> mosquitto -> wellgate-record, into SQLite and into PostgreSQL: the rows are what
python3-protobuf reads off the wire and psql sees the same numbers; a service that is killed again and
again loses nothing and stores nothing twice; what is no message of ours becomes a dead letter."""
import collections
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys

from stand import LIMIT, SOURCE, Stand, wait_for

COUNT = 600
KILLS = 4
POSTGRES = "/usr/lib/postgresql/15/bin"
ROWS = ("SELECT r.sequence, r.reading_id, r.dedupe_key, r.metric, r.measured_at_ms, r.subject, r.flags, c.metric,"
        " c.value, c.unit FROM reading r LEFT JOIN component c ON c.reading_row = r.reading_row"
        " ORDER BY r.sequence, c.position")
VIEWS = ("SELECT hub, behind, in_gaps, lost_on_the_hub, dead_letters FROM is_anything_missing",
         "SELECT metric, COUNT(*), SUM(number) FROM current_value GROUP BY metric ORDER BY metric",
         "SELECT subject, local_date, device, steps, readings, is_largest FROM steps_per_day"
         " ORDER BY subject, local_date, device",
         "SELECT metric, unit, COUNT(*), SUM(number), MIN(number), MAX(number) FROM component"
         " GROUP BY metric, unit ORDER BY metric",
         "SELECT local_date, systolic, diastolic FROM blood_pressure",
         "SELECT epoch, kind, watermark, stored FROM sequence_log ORDER BY epoch, kind")


class Postgres:
    """A server of its own on a private socket, run by somebody who is not root."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "postgres")
        os.mkdir(self.folder, mode=0o700)
        self.as_user = []
        if os.geteuid() == 0:
            os.chmod(folder, 0o711)
            shutil.chown(self.folder, "postgres", "postgres")
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = os.path.join(self.folder, "data")
        self.run("initdb", "-N", "-A", "trust", "-U", "wellgate", "-E", "UTF8", "--locale=C", "-D", data)
        self.control = [*self.as_user, f"{POSTGRES}/pg_ctl", "-D", data, "-w", "-t", str(int(LIMIT))]
        self.options = f"-k {self.folder} -c listen_addresses='' -c max_connections=10 -c shared_buffers=8MB"
        self.start()
        self.url = f"postgresql://wellgate@/postgres?host={self.folder}"

    def run(self, program, *arguments):
        subprocess.run([*self.as_user, f"{POSTGRES}/{program}", *arguments], check=True, capture_output=True,
                       cwd=self.folder)

    def start(self):
        subprocess.run([*self.control, "-o", self.options, "-l", os.path.join(self.folder, "log"), "start"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)

    def stop(self, how="fast"):
        subprocess.run([*self.control, "-m", how, "stop"], check=True, capture_output=True, cwd=self.folder)

    def query(self, sql):
        result = subprocess.run(["psql", "-X", "-A", "-t", "-F", "\x1f", "-P", "null=\\N", "-d", self.url, "-c", sql],
                                check=True, capture_output=True, text=True)
        return [tuple(None if cell == "\\N" else cell for cell in line.split("\x1f"))
                for line in result.stdout.splitlines()]


class Record:
    """One wellgate-record."""

    def __init__(self, stand, name, url, query):
        self.stand, self.name, self.url, self.query = stand, name, url, query
        self.process = None

    def start(self, *options):
        self.process = self.stand.spawn(self.stand.path("wellgate-record"), "--broker", self.stand.url,
                                        "--name", self.name, "--database", self.url, *options)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=LIMIT) == 0, f"{self.name} did not end well"

    def count(self, table="reading"):
        try:
            return int(self.query(f"SELECT COUNT(*) FROM {table}")[0][0])
        except (sqlite3.OperationalError, subprocess.CalledProcessError):
            return 0  # not there yet

    def ask(self, *arguments):
        result = subprocess.run([self.stand.path("wellgate-record"), "--database", self.url, *arguments],
                                check=True, capture_output=True, text=True)
        return result.stdout


def sqlite_query(path):
    def query(sql):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=LIMIT) as connection:
            return [tuple(None if cell is None else str(cell) for cell in row) for row in connection.execute(sql)]
    return query


def rows_of_messages(readings):
    """The rows as they must be, from the oracle's view of the wire."""
    rows = []
    for r in sorted(readings, key=lambda r: r["sequence"]):
        head = (str(r["sequence"]), r["reading_id"], r["dedupe_key"], r["metric"],
                str(r["measured_at_ms"]) if "measured_at_ms" in r else None, r.get("subject"),
                " ".join(r["flags"]) if r.get("flags") else None)
        for c in r.get("components", ()) or [{}]:
            rows.append((*head, c.get("metric"), c.get("value"), c.get("unit")))
    return rows


def publish(stand, topic, payload):
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(stand.port), "-V", "mqttv5", "-q", "1",
                    "-t", topic, "-s" if payload else "-n"], input=payload, check=True)


def hostile(stand, records, good):
    """Nothing of ours, in every shape: kept, with a reason, and what comes after is stored."""
    source = random.Random(7)
    payloads = [b"", b"\xff" * 40, good[:-3], good.replace(b"hub1", b"hubX", 1),
                *(bytes(source.randrange(256) for _ in range(source.randrange(1, 200))) for _ in range(4))]
    topics = ["wellgate/v1/test/hub1/reading/bp", "wellgate/v1/test/hub1/goal", "wellgate/v1/test/hub1/correction",
              "wellgate/v1/test/hub1/test/nothing/of/ours"]
    sent = {(topic, payload) for topic in topics for payload in payloads}
    for topic, payload in sorted(sent):
        publish(stand, topic, payload)
    publish(stand, "wellgate/v1/test/hub2/status", b"\x0a\x04hub2\x11" + bytes(8) + b"\x18\x01")
    for record in records:
        wait_for("what was sent last", lambda r=record: r.query("SELECT 1 FROM hub WHERE hub = 'hub2'"))
        assert record.count("dead_letter") == len(sent), (record.name, record.count("dead_letter"), len(sent))
        letters = [json.loads(line) for line in record.ask("letters", "--json").splitlines()]
        assert len(letters) == len(sent) and all(letter["reason"] for letter in letters)
        assert "1 " in record.ask("letters")
    return len(sent)


def real(stand, records):
    """What is not test data, made by python3-protobuf: the views answer."""
    sys.path.insert(0, os.path.join(SOURCE, "tests", "oracle"))
    from read_batch import Schema
    batch = Schema(stand.descriptor).new("ReadingBatch")
    batch.hub, batch.epoch = "hub3", 3
    for number, (metric, minutes, values) in enumerate((
            ("STEPS", 60, (("STEPS", 4200, 0),)), ("STEPS", 90, (("STEPS", 5300, 0),)),
            ("BLOOD_PRESSURE", 0, (("SYSTOLIC", 1285, -1), ("DIASTOLIC", 79, 0)))), 1):
        r = batch.readings.add(reading_id=bytes([number]) * 16, dedupe_key=bytes([number]) * 16, sequence=number,
                               measured_at_ms=1795000000000, utc_offset_min=0, subject="subject-3",
                               duration_ms=minutes * 60000)
        r.metric = r.DESCRIPTOR.fields_by_name["metric"].enum_type.values_by_name["METRIC_" + metric].number
        for name, mantissa, exponent in values:
            c = r.components.add(value={"mantissa": mantissa, "exponent": exponent})
            c.metric = r.DESCRIPTOR.fields_by_name["metric"].enum_type.values_by_name["METRIC_" + name].number
    publish(stand, "wellgate/v1/test/hub3/reading/activity", batch.SerializeToString())
    for record in records:
        wait_for("readings that are no test", lambda r=record: r.count() == COUNT + 3)
        steps = record.query("SELECT subject, local_date, steps, readings, is_largest FROM steps_per_day")
        assert steps == [("subject-3", "2026-11-18", "5300", "1", "1")], steps
        assert [float(x) for x in record.query("SELECT systolic, diastolic FROM blood_pressure")[0]] == [128.5, 79.0]
        assert record.query("SELECT in_gaps FROM is_anything_missing WHERE hub = 'hub3'") == [("0",)]


def check(stand, records, expected):
    for record in records:
        found = [tuple(row) for row in record.query(ROWS)]
        assert found == expected, f"{record.name}: rows differ from the messages: " + str(
            list((collections.Counter(found) - collections.Counter(expected)).items())[:3])
        assert record.query("SELECT watermark, stored FROM sequence_log WHERE kind = 'reading'") == [
            (str(COUNT), str(COUNT))]
        assert "nothing is missing" in record.ask("gaps")
        assert json.loads(record.ask("lag", "--json").splitlines()[0])["stored_without_gap"] == COUNT


def same_numbers(records):
    """SQLite and psql answer alike; only the digits behind a sum may be written differently."""
    for sql in VIEWS:
        answers = []
        for record in records:
            rows = record.query(sql)
            answers.append([tuple(float(c) if c and c.replace(".", "", 1).replace("-", "", 1).isdigit() else c
                                  for c in row) for row in rows])
        for left, right in zip(answers[0], answers[1]):
            for a, b in zip(left, right):
                assert a == b or (isinstance(a, float) and abs(a - b) <= 1e-9 * abs(a)), (sql, left, right)
        assert len(answers[0]) == len(answers[1]), sql


def log_of(stand):
    with open(stand.logs.name, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def receipts(stand):
    return [m for m in stand.decoded() if "lanes" in m]


def has_receipt(stand):
    return any(lane.get("kind") == "readings" and lane["committed"] == COUNT
               for receipt in receipts(stand) for lane in receipt["lanes"])


def kill_while_draining(records):
    """Deaths spread over the drain; the rows of before are there after it."""
    for i in range(KILLS):
        for record in records:
            wait_for("more rows", lambda r=record, n=COUNT * i // KILLS: r.count() > n)
            record.kill()
            before = record.count()
            record.start()
            assert record.count() >= before > COUNT * i // KILLS
    records[0].stop()  # and once as it should be
    records[0].start()


def main():
    with Stand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.subscribe()
        postgres = Postgres(stand.folder)
        path = os.path.join(stand.folder, "record.db")
        records = [Record(stand, "record-sqlite", "sqlite:" + path, sqlite_query(path)),
                   Record(stand, "record-postgres", postgres.url, postgres.query)]
        try:
            for record in records:
                record.start()
            run(stand, records, postgres)
        finally:
            for record in records:
                if record.process and record.process.poll() is None:
                    record.kill()
            postgres.stop("immediate")
    print(f"{COUNT} readings, {KILLS} deaths of each service: SQLite and PostgreSQL have what was sent, once")


def run(stand, records, postgres):
    capture = stand.simulate(COUNT, seed=5)
    # from here on the broker keeps what they miss
    wait_for("both to subscribe", lambda: log_of(stand).count("connected to the broker") >= 2)
    stand.start_gateway()
    stand.start_devices(capture)
    kill_while_draining(records)
    postgres.stop("immediate")  # the server dies, too; the service waits for it
    stand.finish_replay()
    postgres.start()
    for record in records:
        wait_for(f"all rows in {record.name}", lambda r=record: r.count() >= COUNT)
    wait_for("all messages", lambda: len(stand.readings()) >= COUNT)
    expected = rows_of_messages(stand.readings())
    check(stand, records, expected)
    wait_for("the receipt", lambda: has_receipt(stand))
    good = bytes.fromhex(next(line.split(" ")[1] for line in stand.lines() if "/reading/" in line))
    n = hostile(stand, records, good)
    check(stand, records, expected)
    real(stand, records)
    same_numbers(records)
    for record in records:
        record.stop()
    print(f"{n} dead letters")


if __name__ == "__main__":
    main()
