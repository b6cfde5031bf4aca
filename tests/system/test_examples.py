#!/usr/bin/env python3
"""The examples for the data team, run as they stand, against a broker, SQLite and PostgreSQL: steps per day,
and a number that never came."""
import os
import sqlite3
import subprocess
import sys

from stand import LIMIT, SOURCE, Stand, wait_for
from test_record import Postgres, Record, log_of, publish, sqlite_query

sys.path.insert(0, os.path.join(SOURCE, "tests", "oracle"))
from read_batch import Schema  # noqa: E402

EXAMPLES = os.path.join(SOURCE, "gateway", "record", "examples")
TOPIC = "wellgate/v1/test/hub9/reading/activity"
DAY = 86400000
# sequence, day, minutes, steps: the first grows, the last is there twice, 3 never comes
SENT = ((1, 0, 60, 4200), (2, 0, 90, 5300), (4, 1, 60, 7000), (5, 1, 60, 7000))
ANSWERS = ["subject-9|2026-11-18|5300", "subject-9|2026-11-19|7000", "test|hub9|0|1|0|0|0|0"]


def batches(descriptor):
    schema = Schema(descriptor)
    for sequence, day, minutes, steps in SENT:
        batch = schema.new("ReadingBatch")
        batch.hub, batch.epoch = "hub9", 9
        names = batch.DESCRIPTOR.fields_by_name["readings"].message_type.fields_by_name["metric"].enum_type.values_by_name
        r = batch.readings.add(reading_id=bytes([sequence]) * 16, dedupe_key=bytes([sequence]) * 16, sequence=sequence,
                               measured_at_ms=1795000000000 + day * DAY, utc_offset_min=0, subject="subject-9",
                               duration_ms=minutes * 60000, metric=names["METRIC_STEPS"].number)
        r.components.add(metric=names["METRIC_STEPS"].number, value={"mantissa": steps, "exponent": 0})
        yield batch.SerializeToString()


def published_schema(stand):
    """What the examples say in their first lines."""
    path = os.path.join(stand.folder, "published.desc")
    with open(path, "wb") as stream:
        subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(stand.port), "-t", "wellgate/v1/schema/+", "-C", "1", "-N"],
                       stdout=stream, check=True, timeout=LIMIT)
    return path


def example(stand, name, schema):
    lines = [line.split(" ")[1] for line in stand.lines() if line.startswith(TOPIC + " ")]
    done = subprocess.run(["/usr/bin/python3", os.path.join(EXAMPLES, name), schema], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def sql_of_sqlite(path):
    with open(os.path.join(EXAMPLES, "day_one.sql"), encoding="ascii") as stream:
        script = "".join(line for line in stream if not line.startswith("--"))
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=LIMIT) as connection:
        return ["|".join(str(cell) for cell in row) for statement in script.split(";") if statement.strip()
                for row in connection.execute(statement)]


def sql_of_psql(postgres):
    done = subprocess.run(["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", postgres.url, "-f",
                           os.path.join(EXAMPLES, "day_one.sql")], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def run(stand, postgres, path, records):
    for record in records:
        record.start()
    wait_for("both to subscribe", lambda: log_of(stand).count("connected to the broker") >= len(records))
    stand.start_gateway()
    schema = published_schema(stand)
    stand.stop_gateway()
    for payload in batches(schema):
        publish(stand, TOPIC, payload)
    publish(stand, TOPIC, payload)  # as a broker may
    wait_for("the subscriber", lambda: sum(line.startswith(TOPIC) for line in stand.lines()) == len(SENT) + 1)
    for record in records:
        wait_for("the rows", lambda r=record: r.count() == len(SENT))
    days = dict(line.rsplit(" ", 1) for line in example(stand, "steps_per_day.py", schema))
    assert days == {"subject-9 2026-11-18": "5300", "subject-9 2026-11-19": "7000"}, days
    said = example(stand, "is_anything_missing.py", schema)
    assert said[0].endswith(" 1 missing: nothing") and said[-1].endswith(" 5 missing: 3-3"), said
    for rows in (sql_of_sqlite(path), sql_of_psql(postgres)):
        assert [row for row in rows if row.startswith("subject-9|") or "|hub9|" in row] == ANSWERS, rows


def main():
    with Stand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.subscribe()
        postgres, path = Postgres(stand.folder), os.path.join(stand.folder, "record.db")
        records = [Record(stand, "examples-sqlite", "sqlite:" + path, sqlite_query(path)),
                   Record(stand, "examples-postgres", postgres.url, postgres.query)]
        try:
            run(stand, postgres, path, records)
        finally:
            for record in records:
                if record.process and record.process.poll() is None:
                    record.kill()
            postgres.stop("immediate")
    print("the examples answer alike: two programs, SQLite and PostgreSQL")


if __name__ == "__main__":
    main()
