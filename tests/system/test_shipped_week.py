#!/usr/bin/env python3
"""The week that is shipped, seen by three: python3-protobuf reads what mosquitto_sub wrote down, psql the
tables of wellgate-record, and both have what `wellgate replay` reads out of the capture. Every reading once,
with the same numbers to the digit, the same times and the same device. The devices of that week say no serial
number, so it is played once more with one for each model: their digests are compared, too."""
import collections
import decimal
import os
import sys

from stand import SOURCE, Stand, event_of, wait_for
from test_record import Postgres, Record, log_of

WEEK = os.path.join(SOURCE, "gateway", "dist", "demo", "home-week.cap")
WHOLE = ("metric", "loinc", "snomed", "mdc", "measured_at_ms", "duration_ms", "utc_offset_min", "offset_source", "clock",
         "clock_correction_ms", "time_fault", "received_at_ms", "user_slot", "record_number", "subject", "link_security",
         "origin", "context", "reading_id", "dedupe_key")
PART = ("metric", "value", "unit", "absent", "original_value", "original_unit", "loinc", "snomed", "mdc")
DEVICE = ("driver", "make", "model", "firmware", "hardware", "serial_digest")
READINGS = (f"SELECT h.hub, l.epoch, r.sequence, {', '.join('r.' + name for name in WHOLE + DEVICE)}, r.flags"
            " FROM reading r JOIN hub h ON h.hub_id = r.hub_id JOIN sequence_log l ON l.log_id = r.log_id"
            " WHERE l.kind = 'reading'")
PARTS = (f"SELECT h.hub, l.epoch, r.sequence, c.position, {', '.join('c.' + name for name in PART)}"
         " FROM component c JOIN reading r ON r.reading_row = c.reading_row JOIN hub h ON h.hub_id = r.hub_id"
         " JOIN sequence_log l ON l.log_id = r.log_id")


def text(value):
    """As psql writes it: what is absent is absent, 0 is 0."""
    return None if value is None else str(value)


def key_of(message):
    return message["hub"], f"{message['epoch']:016x}", str(message["sequence"])


def reading_rows(messages):
    return [(*key_of(m), *(text(m.get(name)) for name in WHOLE),
             *(text(m.get("device", {}).get(name)) for name in DEVICE), " ".join(m["flags"]) if m.get("flags") else None)
            for m in messages]


def part_rows(messages):
    return [(*key_of(m), str(position), *(text(part.get(name)) for name in PART))
            for m in messages for position, part in enumerate(m.get("components", ()))]


def the_same(what, wire, table):
    """Neither more nor less, and nothing twice on either side."""
    wire, table = collections.Counter(wire), collections.Counter(table)
    assert wire == table, (f"{what}: only on the wire {list((wire - table).items())[:2]}, "
                           f"only in the table {list((table - wire).items())[:2]}")
    assert max(wire.values()) == 1, f"{what}: something came twice"
    return len(wire)


def compare(stand, postgres, events):
    messages = stand.readings()
    keys = [key_of(m) for m in messages]
    assert sorted(int(key[2]) for key in keys) == list(range(1, len(keys) + 1)), "numbers 1, 2, 3 and so on, each once"
    assert collections.Counter(map(event_of, messages)) == events, "not what is in the capture"
    readings = the_same("readings", reading_rows(messages), postgres.query(READINGS))
    parts = the_same("components", part_rows(messages), postgres.query(PARTS))
    for value, number in postgres.query("SELECT value, number FROM component WHERE value IS NOT NULL"):
        assert decimal.Decimal(value) == decimal.Decimal(number), (value, number)
    assert all("measured_at_ms" in m for m in messages), "a reading of the week has no time"
    devices = collections.Counter((m["device"]["model"], m["device"].get("serial_digest")) for m in messages)
    digests = {digest for _, digest in devices if digest}
    assert len(digests) * 2 == len(devices) >= 4, "each model without a serial number, and with one of its own"
    return readings, parts, len(devices)


def with_serials(stand):
    """The week again: what says its model also says a serial number (made up from the model)."""
    path = os.path.join(stand.folder, "serials.cap")
    with open(WEEK, encoding="ascii") as week, open(path, "w", encoding="ascii") as stream:
        for line in week:
            stream.write(line)
            if " < 2a24 " in line:
                stream.write(line.replace(" 2a24 ", " 2a25 "))
    return path


def run(stand, postgres, record):
    captures = (WEEK, with_serials(stand))
    events = collections.Counter(event_of(line) for line in stand.expected(*captures)
                                 if line.get("components") or line.get("absent"))
    record.start()
    wait_for("the service to subscribe", lambda: "connected to the broker" in log_of(stand))
    stand.start_gateway()
    for capture in captures:
        stand.start_devices(capture)
        stand.finish_replay()
    wait_for("every message", lambda: len(stand.readings()) >= sum(events.values()))
    wait_for("every row", lambda: record.count() >= sum(events.values()))
    result = compare(stand, postgres, events)
    record.stop()
    return result


def main():
    with Stand(sys.argv[1]) as stand:
        stand.start_broker()
        stand.subscribe()
        postgres = Postgres(stand.folder)
        record = Record(stand, "record-week", postgres.url, postgres.query)
        try:
            readings, parts, devices = run(stand, postgres, record)
        finally:
            if record.process and record.process.poll() is None:
                record.kill()
            postgres.stop("immediate")
    print(f"{readings} readings of {devices} devices, {parts} numbers: the same on the wire and in psql, each once")


if __name__ == "__main__":
    main()
