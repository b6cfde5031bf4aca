#!/usr/bin/env python3
"""The blood-pressure course at home, against a second computation of it: fractions for the means,
zoneinfo for dates and sessions, every pair tried with every other. Nothing is shared with the C code
but the words of the rule.

usage: home_bp.py --generator oracle_home_bp [--count N] [--seed N]
"""
import argparse
import random
import subprocess
import sys
from datetime import date, datetime, timezone
from fractions import Fraction

try:
    from zoneinfo import ZoneInfo
    ZoneInfo("Europe/London")
except Exception as problem:  # no zone data on this machine
    print(f"skipped: {problem}")
    sys.exit(77)

ZONES = ["Europe/London", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo",
         "America/St_Johns", "Asia/Beirut", "Pacific/Auckland"]
MINUTE = 60_000
# protocol numbers of the flags that do not speak against a pressure
COUNTED = {7, 9, 10, 12, 13, 14, 17, 30}
SOFT_RANGE = 7
GOLDEN = [[(158, 98), (150, 95), (149, 94), (147, 92)], [(138, 88), (136, 86), (134, 84), (132, 84)],
          [(135, 85), (133, 83), (136, 86), (134, 84)], [(137, 86), (133, 85), (132, 82), (130, 82)]]


def local(zone, at_ms):
    return datetime.fromtimestamp(at_ms // 1000, timezone.utc).astimezone(zone)


def session(zone, at_ms):
    hour = local(zone, at_ms).hour
    return "m" if 4 <= hour < 12 else "e" if hour >= 16 else "-"


def one_decimal(fraction):
    tenths = fraction * 10
    return f"{round(tenths) // 10}.{round(tenths) % 10}"  # round() of a Fraction: half to even


def expected(course):
    """the rule, said again"""
    zone = ZoneInfo(course["zone"])
    readings = course["readings"]
    inside = [course["from"] <= r["at"] < course["until"] for r in readings]
    good = [ok and not (r["flags"] - COUNTED) and 0 < r["dia"] < r["sys"] < 1000
            for ok, r in zip(inside, readings)]
    places = []
    for i, r in enumerate(readings):
        pair = any(good[k] and k != i and MINUTE <= abs(other["at"] - r["at"]) <= 10 * MINUTE
                   for k, other in enumerate(readings))
        places.append("o" if not inside[i] else "x" if not good[i] else session(zone, r["at"]) if pair else "-")
    dates = [local(zone, r["at"]).date() for r in readings]
    begun = [d for d, p in zip(dates, places) if p in "me"]
    first = min(begun) if begun else None
    places = ["o" if p == "-" and (first is None or d < first) else p for p, d in zip(places, dates)]
    taken = [(r, d) for r, d, p in zip(readings, dates, places) if p in "me-"]
    averaged = [r for r, d in taken if d != first]
    n_dates = len({d for _, d in taken})
    more_dates, more_readings = max(0, 4 - n_dates), max(0, 12 - len(averaged))
    complete = first is not None and not more_dates and not more_readings
    means, below = ["none", "none"], 0
    if complete:
        exact = [sum(r[k] for r in averaged) / len(averaged) for k in ("sys", "dia")]
        means = [one_decimal(m) for m in exact]
        below = int(exact[0] < course["sys_below"] and exact[1] < course["dia_below"])
    return " ".join(str(v) for v in [
        0 if first is None else 2 if complete else 1, 0 if first is None else (first - date(1970, 1, 1)).days,
        n_dates, len(taken) - len(averaged), len(averaged), places.count("-"),
        sum(SOFT_RANGE in r["flags"] for r, _ in taken), more_dates, more_readings, *means, below,
        "".join(places)])


def text(fraction):
    """an exact decimal"""
    digits = 0
    while (fraction * 10 ** digits).denominator != 1:
        digits += 1
    whole = str(abs(int(fraction * 10 ** digits))).rjust(digits + 1, "0")
    return ("-" if fraction < 0 else "") + (whole if digits == 0 else whole[:-digits] + "." + whole[-digits:])


def line(course):
    words = [course["zone"], course["from"], course["until"], text(course["sys_below"]), text(course["dia_below"]),
             len(course["readings"])]
    for r in course["readings"]:
        words += [r["at"], text(r["sys"]), text(r["dia"]), sum(1 << f for f in r["flags"])]
    return " ".join(str(w) for w in words)


def reading(rng, at, level):
    digits = rng.choice([1, 1, 1, 10, 100, 10_000])
    flags = {rng.randrange(1, 35)} if rng.random() < 0.08 else set()
    low = Fraction(rng.randint((level - 15) * digits, (level + 15) * digits), digits)
    gap = Fraction(rng.randint(35 * digits, 65 * digits), digits)
    return {"at": at, "sys": low + gap if rng.random() > 0.01 else low, "dia": low, "flags": flags}


def generated(rng):
    zone = rng.choice(ZONES)
    # half of them over a change of the clocks: late March or late October, and Cairo's last Friday of April
    day = date(rng.randint(2010, 2037), rng.choice([3, 4, 10, 11, rng.randint(1, 12)]), rng.randint(1, 28))
    start = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1000
    readings, at = [], start + rng.randrange(0, 86_400_000)
    while len(readings) < rng.choice([3, 12, 16, 18, 20, 24, 28]):
        readings.append(reading(rng, at, 85))
        at += rng.choice([0, 59_999, MINUTE, MINUTE + 1, 90_000, 90_000, 2 * MINUTE, 10 * MINUTE, 10 * MINUTE + 1,
                          rng.randrange(3_600_000), 11 * 3_600_000 + rng.randrange(7_200_000),
                          11 * 3_600_000 + rng.randrange(7_200_000)])
    span = at - start
    course = {"zone": zone, "from": start + rng.choice([0, 0, 0, span // 7]),
              "until": at + 1 - rng.choice([0, 0, 0, span // 9]), "readings": readings,
              "sys_below": Fraction(135), "dia_below": Fraction(85)}
    if rng.random() < 0.5:  # limits on the mean itself and a hair beside it: equal is not below
        good = [r for r in readings if not (r["flags"] - COUNTED)]
        for key, below in (("sys", "sys_below"), ("dia", "dia_below")):
            mean = sum(r[key] for r in good[4:]) / max(1, len(good[4:])) or Fraction(100)
            course[below] = Fraction(int(mean * 10 ** 4) + rng.choice([-1, 0, 1]), 10 ** 4)
            if course[below] <= 0:
                course[below] = Fraction(90)
    return course


def whole_mean(rng):
    """a complete course whose limits are exactly its mean, or 10^-6 above"""
    start = int(datetime(2026, 10, 22, tzinfo=timezone.utc).timestamp()) * 1000
    readings = [reading(rng, start + day * 86_400_000 + hour * 3_600_000 + k * 90_000, 85)
                for day in range(5) for hour in (7, 19) for k in (0, 1)]
    for r in readings:
        r["flags"], r["dia"], r["sys"] = set(), Fraction(int(r["dia"])), Fraction(int(r["dia"]) + 50)
    exact = [sum(r[k] for r in readings[4:]) / 16 for k in ("sys", "dia")]  # ends: 16 is a power of two
    more = [rng.choice([Fraction(0), Fraction(1, 10 ** 6), Fraction(-1, 10 ** 6)]) for _ in exact]
    return {"zone": "Europe/London", "from": start, "until": start + 10 * 86_400_000, "readings": readings,
            "sys_below": exact[0] + more[0], "dia_below": exact[1] + more[1]}


def golden():
    start = int(datetime(2026, 11, 16, tzinfo=timezone.utc).timestamp()) * 1000
    readings = [{"at": start + day * 86_400_000 + (7 if k < 2 else 20) * 3_600_000 + (k % 2) * 90_000,
                 "sys": Fraction(v[0]), "dia": Fraction(v[1]), "flags": set()}
                for day, values in enumerate(GOLDEN) for k, v in enumerate(values)]
    return {"zone": "Europe/London", "from": start, "until": start + 10 ** 9, "readings": readings,
            "sys_below": Fraction(135), "dia_below": Fraction(85)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", required=True)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    courses = [golden()] + [generated(rng) if rng.random() < 0.8 else whole_mean(rng) for _ in range(options.count)]
    run = subprocess.run([options.generator], input="".join(line(c) + "\n" for c in courses), text=True,
                         capture_output=True, check=True)
    got = run.stdout.splitlines()
    assert len(got) == len(courses), (len(got), len(courses))
    assert " 134.2 84.6 1 " in got[0], got[0]
    wrong, states, below = 0, [0, 0, 0], 0
    for course, ours in zip(courses, got):
        theirs = expected(course)
        states[int(theirs[0])] += 1
        below += " 1 " in theirs[-40:] and theirs.split()[11] == "1"
        if ours != theirs:
            wrong += 1
            if wrong <= 5:
                print(f"{line(course)}\n  ours     {ours}\n  expected {theirs}")
    print(f"{len(courses)} courses: {states[0]} not begun, {states[1]} in progress, {states[2]} complete, "
          f"{below} below both limits; {wrong} differ")
    assert min(states) > len(courses) // 100 and 0 < below < states[2], "a run that shows too little"
    return 1 if wrong else 0


sys.exit(main())
