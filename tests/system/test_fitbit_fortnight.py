#!/usr/bin/env python3
"""Fourteen days of a made-up wearer of a Fitbit, two syncs a day, one empty battery, one lost day, across
a change of the clocks: through the driver, wellgated and a real broker. What came out, added up here from
the messages alone, is the truth: zero is zero, and what nobody recorded is missing."""
import collections
import datetime
import json
import os
import subprocess
import sys
import zoneinfo

from stand import Stand, wait_for

MINUTE_MS = 60000
LONDON = zoneinfo.ZoneInfo("Europe/London")


def value(reading, metric="steps"):
    return next((c["value"] for c in reading["components"] if c["metric"] == metric), None)


def local_date(milliseconds):
    return datetime.datetime.fromtimestamp(milliseconds / 1000, LONDON).date()


def truth_by_minute(truth):
    """ms since 1970 -> steps; what was not recorded is not there"""
    text = truth["minutes"]
    return {(truth["first"] + 60 * i) * 1000: int(text[2 * i:2 * i + 2], 16)
            for i in range(len(text) // 2) if text[2 * i] != "-"}


def sync_all(stand, name, *options):
    path = os.path.join(stand.folder, name)
    subprocess.run([stand.path("wearer-sync"), "--socket", os.path.join(stand.runtime, "devices.sock"),
                    "--truth", path, *options], check=True, timeout=600, stdout=stand.logs, stderr=stand.logs)
    wait_for("the outbox to drain", stand.drained)
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def check_minutes(minutes, truth):
    """Each that was recorded before the last sync, once, and no other."""
    expected = {at: steps for at, steps in truth_by_minute(truth).items()
                if at + MINUTE_MS <= truth["last_sync"] * 1000}
    got = {m["measured_at_ms"]: int(value(m)) for m in minutes}
    assert len(got) == len(minutes), "a minute came twice"
    assert got == expected, (len(got), len(expected), sorted(set(got.items()) ^ set(expected.items()))[:5])
    assert all(m["duration_ms"] == MINUTE_MS and m["device_time"]["kind"] == "utc" for m in minutes)


def check_totals(minutes, truth):
    """By the date that London's clocks showed; a lost day has no minutes, not none walked."""
    steps, recorded = collections.Counter(), collections.Counter()
    for m in minutes:
        day = local_date(m["measured_at_ms"])
        steps[day] += int(value(m))
        recorded[day] += 1
    lengths, lost = set(), 0
    for day in truth["days"]:
        date = local_date(day["start"] * 1000)
        assert (steps[date], recorded[date]) == (day["steps"], day["recorded"]), (date, steps[date], day)
        lengths.add((day["end"] - day["start"]) // 3600)
        lost += date not in recorded
    assert lost == 1 and len(truth["days"]) == 14, lost
    assert sum(m["worn"] < m["recorded"] for m in truth["days"]) >= 3, "nobody took it off: not the test it was"
    return lengths


def check_snapshots(days, truth):
    """The last one of a day is the day, by its own counters; a later one takes the place of the others."""
    last = {}
    for m in days:
        date = local_date(m["measured_at_ms"])
        assert "ongoing" in m["flags"] or m["duration_ms"] >= 23 * 60 * MINUTE_MS, m
        if date not in last or m["duration_ms"] > last[date]["duration_ms"]:
            last[date] = m
    for day in truth["days"]:
        m = last.get(local_date(day["start"] * 1000))
        if not day["whole"]:
            assert m is None or "ongoing" in m["flags"], m
            assert m is None or int(value(m)) <= day["steps"], (m, day)
            continue
        assert m["measured_at_ms"] == day["start"] * 1000, m
        assert m["duration_ms"] == (day["end"] - day["start"]) * 1000 and "ongoing" not in m["flags"], m
        got = [value(m, metric) for metric in ("steps", "distance", "floors", "active_minutes")]
        assert got == [str(day["steps"]), f"{day['distance_mm'] // 1000}.{day['distance_mm'] % 1000:03}",
                       f"{day['floors_tenths'] // 10}.{day['floors_tenths'] % 10}",
                       str(day["active_minutes"])], (got, day)


def check_nights(nights, truth):
    """An estimate that says so, of nights that were, none of them twice; a night with a long time awake
    may be two."""
    real = [n for n in truth["nights"] if not n["nap"]]
    for m in nights:
        start, end = m["measured_at_ms"] // 1000, (m["measured_at_ms"] + m["duration_ms"]) // 1000
        assert "estimated" in m["flags"] and "Cole-Kripke" in m["context"], m
        assert 0 < int(value(m, "sleep_duration")) <= m["duration_ms"] // MINUTE_MS, m
        assert any(start < n["end"] and n["start"] < end for n in real), "a night that was none"
    spans = sorted((m["measured_at_ms"], m["measured_at_ms"] + m["duration_ms"]) for m in nights)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), spans
    return len(nights)


def fortnight(programs, hours, *options):
    with Stand(programs) as stand:
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        wait_for("the gateway", lambda: stand.status() is not None)
        truth = sync_all(stand, "truth", *options)
        wait_for("the last minute", lambda: len(stand.readings()) >= sum(d["recorded"] for d in truth["days"]))
        readings = stand.readings()
        assert len({r["dedupe_key"] for r in readings}) == len(readings)
        kinds = collections.defaultdict(list)
        for r in readings:
            kinds[r["metric"], r.get("context") == "day"].append(r)
        assert set(kinds) == {("steps", False), ("steps", True), ("sleep_duration", False)}, set(kinds)
        check_minutes(kinds["steps", False], truth)
        assert check_totals(kinds["steps", False], truth) == {24, hours}
        check_snapshots(kinds["steps", True], truth)
        nights = check_nights(kinds["sleep_duration", False], truth)
        # a hub that remembers nothing of the tracker: the same fortnight again is nothing new
        sync_all(stand, "again", *options)
        assert stand.stop_gateway() == 0
        wait_for("the offline status", lambda: any(m.get("state") == "offline" for m in stand.decoded()))
        assert len(stand.readings()) == len(readings), (len(stand.readings()), len(readings))
        return truth["syncs"], len(kinds["steps", False]), nights


def main():
    for name, hours, options in (("October", 25, ("--seed", "1")), ("March", 23, ("--seed", "2", "--march"))):
        syncs, minutes, nights = fortnight(sys.argv[1], hours, *options)
        print(f"{name}: {syncs} syncs, {minutes} minutes and every day's total as they were, {nights} nights estimated")


main()
