#!/usr/bin/env python3
"""Days, weeks and nights against python3's zoneinfo, ten years of each zone.

zoneinfo only says the offset at an instant. From that the stretches of one offset are found, and the
first instant at or after a local time by walking along them: no arithmetic of ours.

usage: calendar_zones.py --generator oracle_calendar_zones
"""
import argparse
import random
import subprocess
import sys
from bisect import bisect_right
from datetime import date, datetime, timezone

try:
    from zoneinfo import ZoneInfo
    ZoneInfo("Europe/London")
except Exception as problem:  # no zone data on this machine
    print(f"skipped: {problem}")
    sys.exit(77)

DAY, HOUR = 86_400, 3_600
# zone, first of ten years, why it is here
ZONES = [
    ("Europe/London", 2020, "where the boxes are"),
    ("Europe/London", 2040, "by the footer, past the table"),
    ("Europe/Dublin", 2026, "summer is standard time"),
    ("America/Sao_Paulo", 2010, "changes at midnight: days begin at 01:00"),
    ("America/Havana", 2024, "midnight comes twice"),
    ("Asia/Beirut", 2024, "changes at midnight, both ways"),
    ("Africa/Cairo", 2024, "changes at 24:00"),
    ("America/St_Johns", 2002, "changed at 00:01, half an hour zone"),
    ("Atlantic/Azores", 2026, "changes at midnight, by the footer"),
    ("Asia/Kathmandu", 1980, "three quarters of an hour since 1986"),
    ("Australia/Lord_Howe", 2026, "changes by half an hour"),
    ("America/Caracas", 2007, "moved by half an hour, and back"),
    ("Asia/Pyongyang", 2010, "moved at midnight and at 23:30"),
    ("Pacific/Apia", 2005, "30 December 2011 never was"),
    ("Pacific/Kwajalein", 1988, "21 August 1993 never was"),
    ("Pacific/Kiritimati", 1990, "the turn of 1995 never was"),
    ("Africa/Casablanca", 2024, "clocks go back for Ramadan"),
    ("Antarctica/Troll", 2026, "changes by two hours"),
    ("America/Nuuk", 2020, "changes on a Saturday evening"),
    ("Asia/Gaza", 2022, "several changes a year"),
]


def stretches(zone, first, last):
    """[(start, end, offset)] of instants"""
    def offset(at):
        return int(datetime.fromtimestamp(at, zone).utcoffset().total_seconds())
    found, start, at = [], first, first
    while at < last:
        if offset(at + HOUR) != offset(at):
            low, high = at, at + HOUR
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(at) else (low, middle)
            found.append((start, high, offset(at)))
            start = high
        at += HOUR
    return found + [(start, last, offset(at))]


class Calendar:
    def __init__(self, name, year):
        self.zone = ZoneInfo(name)
        self.first, self.last = ((date(y, 1, 1) - date(1970, 1, 1)).days for y in (year, year + 10))
        self.parts = stretches(self.zone, (self.first - 20) * DAY, (self.last + 20) * DAY)
        days = range(self.first - 15, self.last + 16)
        self.start = dict(zip(days, self.walk([d * DAY for d in days])))
        self.noon = dict(zip(days, self.walk([d * DAY + 12 * HOUR for d in days])))
        self.real = [d for d in days[:-1] if self.start[d] < self.start[d + 1]]
        self.starts = [self.start[d] for d in self.real]

    def walk(self, local_times):
        """for each local time, ascending, the first instant that shows it or a later one"""
        part, answers = 0, []
        for local in local_times:
            while self.parts[part][1] - 1 + self.parts[part][2] < local:
                part += 1
            start, _, offset = self.parts[part]
            answers.append(max(start, local - offset))
        return answers

    def day_of(self, at):
        return self.real[bisect_right(self.starts, at) - 1]

    def night_start(self, day):
        return self.noon[max(d for d in (day - 3, day - 2, day - 1) if d in self.start and
                             self.start[d] < self.start[d + 1])]

    def night_of(self, at):
        day = self.day_of(at)
        return day if at < self.noon[day] else self.real[self.real.index(day, day - self.real[0] - 3) + 1]

    def instant(self, at):
        day = self.day_of(at)
        answer = [day, self.night_of(at), day, self.start[day], self.start[day + 1]]
        weekday = date.fromordinal(day + date(1970, 1, 1).toordinal()).isoweekday()
        for week_start in range(1, 8):
            first = day - (weekday - week_start) % 7
            answer += [first, self.start[first], self.start[first + 7]]
        return answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", required=True)
    options = parser.parse_args()
    rng = random.Random(1)
    asked, expected, odd, lost = [], [], 0, 0

    def ask(c, name, at):
        nonlocal odd
        asked.append(f"{name} {c.day_of(at)} {at}")
        expected.append(c.instant(at))
        shown = datetime.fromtimestamp(at, timezone.utc).astimezone(c.zone).date()
        odd += (shown - date(1970, 1, 1)).days != c.day_of(at)

    for name, year, _ in ZONES:
        c = Calendar(name, year)
        for change, _, _ in c.parts[1:]:
            for at in range(change - 2 * HOUR, change + 2 * HOUR, 599):
                ask(c, name, at)
        for day in range(c.first, c.last):
            asked.append(f"{name} {day}")
            expected.append([c.start[day], c.night_start(day)])
            lost += c.start[day] == c.start[day + 1]
            for at in {c.start[day] - 1, c.start[day], c.noon[day] - 1, c.noon[day],
                       rng.randrange(c.start[day], c.start[day] + DAY)}:
                ask(c, name, at)
    run = subprocess.run([options.generator], input="\n".join(asked) + "\n", text=True, capture_output=True,
                         check=True)
    got = [[int(w) for w in line.split()] for line in run.stdout.splitlines()]
    assert len(got) == len(asked), (len(got), len(asked))
    wrong = [(a, e, g) for a, e, g in zip(asked, expected, got) if e != g]
    for question, theirs, ours in wrong[:5]:
        print(f"{question}\n  expected {theirs}\n  ours     {ours}")
    print(f"{len(ZONES)} times ten years, {len(asked)} questions, {lost} days that never were, {odd} instants "
          f"after a midnight that came twice; {len(wrong)} differ")
    assert lost == 3 and odd > 0 and len(asked) > 400_000, "a run that shows too little"
    return 1 if wrong else 0


sys.exit(main())
