#!/usr/bin/env python3
"""An export of Fitbit, as a folder and as an archive, through the daemon to a real broker. All data
is synthetic, in the layouts of real exports; no person ever had these values."""
import json
import os
import struct
import sys
import zipfile

from stand import Stand, wait_for

GLOBAL = "Takeout/Fitbit/Global Export Data/"
GOOGLE = "Takeout/Fitbit/Physical Activity_GoogleData/"


def night(log, start, end, minutes, date, **more):
    stages = {"deep": 80, "light": 200, "rem": 90, "wake": 50}
    return {"logId": log, "dateOfSleep": date, "startTime": start, "endTime": end, "duration": minutes * 60000,
            "minutesAsleep": 370, "minutesAwake": 50, "timeInBed": minutes, "efficiency": 91, "type": "stages",
            "levels": {"summary": {k: {"count": 3, "minutes": v} for k, v in stages.items()}, "data": []},
            "mainSleep": True, "logType": "auto_detected", **more}


FILES = {
    GOOGLE + "steps_2026-03-01.csv":
        "timestamp,steps,data source\n2026-03-01T08:00:00Z,61.0,Charge 6\n2026-03-01T08:01:00Z,0.0,Charge 6\n"
        "2026-03-01T08:02:00Z,44.0,Phone Health Connect\n2026-03-01T08:03:00Z,72.0,Charge 6\n"
        "2026-03-01T08:04:00,5.0,Charge 6\n2026-03-01T08:05:00Z,many,Charge 6\n",
    GOOGLE + "weight.csv": "timestamp,weight grams,data source\n2026-03-01T07:00:00Z,80400.0,Aria\n",
    # twins of the CSV: left out
    GLOBAL + "steps-2026-03-01.json": json.dumps([{"dateTime": "03/01/26 08:00:00", "value": "61"}]),
    GLOBAL + "weight-2026-03-01.json": json.dumps(
        [{"logId": 1, "weight": 177.2, "bmi": 24.9, "date": "03/01/26", "time": "07:00:00", "source": "Aria"}]),
    GLOBAL + "resting_heart_rate-2026-01-01.json": json.dumps(
        [{"dateTime": "03/01/26 00:00:00", "value": {"date": "03/01/26", "value": 58.25, "error": 6.8}},
         {"dateTime": "03/02/26 00:00:00", "value": {"date": None, "value": 0.0, "error": 0.0}}]),
    GLOBAL + "sleep-2026-03-01.json": json.dumps([
        night(101, "2026-02-28T23:20:30.000", "2026-03-01T06:20:30.000", 420, "2026-03-01"),
        # the clocks went forward: 8 h on the dial were 7 h
        night(102, "2026-03-28T23:00:00.000", "2026-03-29T07:00:00.000", 420, "2026-03-29"),
        # a start that London never had, and one that it had twice
        night(103, "2026-03-29T01:30:00.000", "2026-03-29T03:30:00.000", 120, "2026-03-29", mainSleep=False),
        night(104, "2025-10-26T01:30:00.000", "2025-10-26T08:30:00.000", 420, "2025-10-26"),
        # the date of falling asleep instead of that of waking up; an end that contradicts the length
        night(105, "2026-03-04T23:00:00.000", "2026-03-05T06:00:00.000", 420, "2026-03-04"),
        night(106, "2026-03-05T23:00:00.000", "2026-03-06T09:00:00.000", 420, "2026-03-06")]),
    GLOBAL + "exercise-0.json": json.dumps([
        {"logId": 201, "activityName": "Walk", "averageHeartRate": 101, "steps": 1800, "calories": 83,
         "duration": 922000, "logType": "auto_detected", "startTime": "03/01/26 12:10:53"}]),
    GLOBAL + "heart_rate-2026-03-01.json": "[[[ not read at all",
    "Takeout/Fitbit/Your Profile/Profile.csv": "full_name\nNobody\n",
}


def make_folder(stand, name, files):
    root = os.path.join(stand.folder, name)
    for path, text in files.items():
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    os.symlink("/etc/passwd", os.path.join(root, "steps-2026-09-09.json"))
    return root


def make_zip(stand, name, files):
    path = os.path.join(stand.folder, name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, text in files.items():
            archive.writestr(entry, text)
    return path


def run(stand, path, *options, code=0):
    result = stand.wellgate("import", "fitbit", path, "--json", *options)
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    return {m["kind"]: m for m in map(json.loads, result.stdout.splitlines())}


def sums(kinds):
    return {kind: (m["read"], m["new"], m["known"], m["refused"]) for kind, m in kinds.items()}


FIRST = {"steps": (6, 2, 0, 4), "weight": (1, 1, 0, 0), "resting heart rate": (2, 1, 0, 1), "sleep": (6, 4, 0, 2),
         "activities": (1, 1, 0, 0)}
AGAIN = {kind: (read, 0, new, refused) for kind, (read, new, _, refused) in FIRST.items()}


def once_and_again(stand):
    folder, archive = make_folder(stand, "export", FILES), make_zip(stand, "export.zip", FILES)
    dry = run(stand, folder, "--dry-run")
    assert all(m["new"] == 0 and m["dry_run"] for m in dry.values()) and dry["activities"]["refused"] == 1, dry
    options = ("--json-times", "utc", "--zone", "Europe/London")
    assert sums(run(stand, folder, *options)) == FIRST
    assert sums(run(stand, archive, *options)) == AGAIN
    # what was said otherwise the second time makes no second reading
    assert sums(run(stand, archive, "--json-times", "local", "--zone", "America/New_York")) == AGAIN
    # the older export has the minutes in JSON: the same minutes
    older = make_folder(stand, "older", {GLOBAL + "steps-2026-03-01.json": FILES[GLOBAL + "steps-2026-03-01.json"]})
    assert sums(run(stand, older, "--json-times", "utc")) == {"steps": (1, 0, 1, 0)}
    assert sums(run(stand, older, "--json-times", "local")) == {"steps": (1, 0, 0, 1)}
    text = stand.wellgate("import", "fitbit", archive, *options).stdout
    assert "2 files left out" in text and "(--zone)" in text and "2 files are about other things" in text, text


def arrived(stand):
    wait_for("the outbox to drain", stand.drained)
    wait_for("the readings to arrive", lambda: len(stand.readings()) >= 9)
    readings = stand.readings()
    assert len(readings) == 9 and len({r["dedupe_key"] for r in readings}) == 9, len(readings)
    return readings


def part(reading, metric):
    return [c["value"] for c in reading["components"] if c["metric"] == metric][0]


def check_times(stand):
    lines = [json.loads(line) for line in stand.wellgate("readings", "--json", "--limit", "100").stdout.splitlines()]
    assert all(r["origin"] == "import" and r["subject"] == "subject-under-test" for r in lines), lines[0]
    sleeps = [r for r in lines if r["metric"] == "sleep_duration"]
    at = sorted((r["measured_at"][:16], "time_uncertain" in r["flags"]) for r in sleeps)
    assert at == [("2025-10-26T00:30", True), ("2026-02-28T23:20", False), ("2026-03-28T23:00", False),
                  ("2026-03-29T01:30", True)], at
    walk = [r for r in lines if r["metric"] == "exercise_duration"][0]
    assert walk["measured_at"].startswith("2026-03-01T12:10:53") and "UTC" in walk["context"], walk
    nights = [r for r in stand.readings() if r["metric"] == "sleep_duration"]
    assert all(r["context"].endswith("read in Europe/London") and r["offset_source"] == "import" for r in nights), nights
    weight = [r for r in lines if r["metric"] == "body_weight"][0]
    assert [c["value"] for c in weight["components"]] == ["80.4000"], weight
    resting = [r for r in lines if r["metric"] == "resting_heart_rate"][0]
    assert part(resting, "resting_heart_rate") == "58.25" and "time_uncertain" in resting["flags"], resting


def refused(stand, path, words):
    result = stand.wellgate("import", "fitbit", path)
    assert result.returncode == 65 and words in result.stderr, (result.returncode, result.stdout, result.stderr)
    assert len(result.stderr.splitlines()) == 1, result.stderr


def hostile(stand):
    steps = {"steps-2026-01-01.json": "[]"}
    refused(stand, make_zip(stand, "climb.zip", {"../" + GLOBAL + "steps-2026-01-01.json": "[]"}), "names")
    refused(stand, make_zip(stand, "root.zip", {"/etc/steps-2026-01-01.json": "[]"}), "names")
    refused(stand, make_zip(stand, "bomb.zip", {"steps-2026-01-01.json": "0" * 30000000}), "absurd")
    refused(stand, make_zip(stand, "other.zip", {"readme.txt": "nothing"}), "no file of a Fitbit export")
    refused(stand, make_zip(stand, "broken.zip", {"sleep-2026-01-01.json": "[{"}), "damaged")
    refused(stand, make_zip(stand, "deep.zip", {"sleep-2026-01-01.json": "[" * 900000}), "damaged")
    whole = open(make_zip(stand, "whole.zip", {**steps, "sleep-2026-01-01.json": "[]"}), "rb").read()
    for cut in range(0, len(whole), 7):
        path = os.path.join(stand.folder, "cut.zip")
        with open(path, "wb") as stream:
            stream.write(whole[:cut])
        assert stand.wellgate("import", "fitbit", path).returncode == 65, cut
    # the second entry of the list points into the first one's bytes
    second = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4)
    path = os.path.join(stand.folder, "overlap.zip")
    with open(path, "wb") as stream:
        stream.write(whole[:second + 42] + struct.pack("<I", 3) + whole[second + 46:])
    refused(stand, path, "share bytes")


def usage(stand, folder):
    for arguments in (("fitbit",), ("garmin", folder), ("fitbit", folder, "--json-times", "noon"),
                      ("fitbit", folder, "--weight-unit", "g"), ("fitbit", folder, "--zone", "Mars/Base")):
        assert stand.wellgate("import", *arguments).returncode == 64, arguments
    assert stand.wellgate("import", "fitbit", folder + "/nothing").returncode == 74


def main():
    with Stand(sys.argv[1]) as stand:
        folder = make_folder(stand, "early", FILES)
        assert stand.wellgate("import", "fitbit", folder).returncode == 69
        usage(stand, folder)
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        wait_for("the gateway", lambda: stand.status() is not None)
        once_and_again(stand)
        readings = arrived(stand)
        assert {r["origin"] for r in readings} <= {"ORIGIN_IMPORT", "import", 4}, readings[0]
        check_times(stand)
        hostile(stand)
        assert len(stand.readings()) == 9
        assert stand.stop_gateway() == 0
    print("an export comes in once, says where its times are from, and a hostile one does not")


main()
