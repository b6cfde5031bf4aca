#!/usr/bin/python3
"""kill -9 of the hub's two daemons and of the record service at chosen points, as often and as fast as
the machine can: every reading is at the subscriber and in the record service's database, once.

    deaths.py BIN [--continue LEDGER]

Each start of a program draws where it dies: before one of its calls (fault/fault.c counts them in the
program), at one of its allocations, or after a moment. A round is a hub with new state in memory
(/dev/shm: what a dead process has written is kept by the kernel), 400 readings of a simulated device
that forgets what was confirmed, and up to some hundred deaths; then nothing dies any more, and
everything must come to its end. Several rounds run side by side.

WELLGATE_KILLS: so many deaths of each program (20); WELLGATE_SEED; WELLGATE_LANES; WELLGATE_MINUTES ends it
earlier. With a ledger a campaign goes on where it stopped: the numbers are those of all its runs.
"""
import argparse
import collections
import contextlib
import json
import math
import multiprocessing
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "oracle")]
from faults import HEAD, KINDS, PAGE_BYTES, Arrivals, content  # noqa: E402
from ledger import Ledger  # noqa: E402
from stand import CONFIG, Stand, event_of, wait_for  # noqa: E402

KILLS = int(os.environ.get("WELLGATE_KILLS", "20"))
SEED = int(os.environ.get("WELLGATE_SEED", "1"))
LANES = int(os.environ.get("WELLGATE_LANES", "4"))
MINUTES = float(os.environ.get("WELLGATE_MINUTES", "600"))
READINGS = 400
CAPTURES = 4  # different ones, by turns
ROUNDS_OF_A_LANE = 100  # then its broker and its subscriber begin anew
STILL = 0.4  # seconds without a death after which a round comes to its end: no verdict
HEALED = 300.0  # seconds until "hung"
MALLOC, OTHERS = 1 << KINDS.index("malloc"), ((1 << len(KINDS)) - 1) & ~(1 << KINDS.index("malloc"))
PROGRAMS = ("wellgated", "wellgate-devices", "wellgate-record")
# calls until everything is open, measured; half of the deaths come later
BEGINNING = {"wellgated": 700, "wellgate-devices": 100, "wellgate-record": 500}
LATEST = {"wellgated": 4000, "wellgate-devices": 1200, "wellgate-record": 4000}
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None

NAME = "deaths"
Result = collections.namedtuple("Result", "number kills readings again findings")


class Death:
    """where a program dies next"""

    def __init__(self, rng, program):
        how = rng.random()
        self.only = MALLOC if how < 0.15 else OTHERS
        self.seconds = rng.uniform(0, 0.1) if how > 0.9 else None
        self.thread = int(rng.random() < 0.3 and program != "wellgate-devices")
        if rng.random() < 0.3:
            self.at = rng.randint(1, BEGINNING[program])
        else:  # as many between 1 and 10 later as between 100 and 1000
            self.at = BEGINNING[program] + round(math.exp(rng.uniform(0, math.log(LATEST[program]))))
        if self.thread:
            self.at = max(1, self.at - BEGINNING[program])

    def write(self, path):
        at = 0 if self.seconds is not None else self.at
        mode = os.O_RDWR | os.O_CREAT
        page = os.open(path, mode, 0o600)
        with contextlib.closing(os.fdopen(page, "r+b")) as stream:
            stream.truncate(PAGE_BYTES)
            stream.write(HEAD.pack(at, self.only if at else 0, self.thread, 0, 0, *[0] * 8, int(at > 0), 0, 0))


class Round:
    """one hub and its readings"""

    def __init__(self, lane, number, hub=None):
        self.lane, self.stand, self.number = lane, lane.stand, number
        self.rng = random.Random(f"{SEED} {number}")
        self.hub = hub or f"h{number}"
        self.receipts = self.rng.random() < 0.8
        self.programs = PROGRAMS if self.receipts else PROGRAMS[:2]
        self.budget = self.rng.randint(30, 200)
        self.captured = number % CAPTURES
        self.kills = collections.Counter()
        self.processes, self.moments, self.deaths = {}, {}, {}
        self.handles = {}  # by descriptor
        self.poll = select.poll()
        self.folder = os.path.join(self.stand.folder, self.hub)
        self.runtime = os.path.join(self.folder, "run")
        os.makedirs(self.runtime, mode=0o700)
        self.conf, self.database = os.path.join(self.folder, "conf"), os.path.join(self.folder, "record.db")
        text = CONFIG.format(state=os.path.join(self.folder, "state"), runtime=self.runtime, url=self.stand.url)
        text = text.replace("hub = hub1", f"hub = {self.hub}")
        with open(self.conf, "w", encoding="utf-8") as stream:
            stream.write(text + ("[broker]\ndelivery = receipt\n" if self.receipts else ""))
        self.log = open(os.path.join(self.folder, "log"), "ab")

    # ---- programs

    def command(self, program):
        return {
            "wellgated": ("--config", self.conf),
            "wellgate-devices": ("--socket", os.path.join(self.runtime, "devices.sock"), "--replay",
                                 self.lane.captures[self.captured], "--speed", "max", "--memory",
                                 os.path.join(self.folder, "memory"), "--once"),
            "wellgate-record": ("--broker", self.stand.url, "--name", f"r{self.number}", "--database",
                                "sqlite:" + self.database, "--hubs", f"test/{self.hub}"),
        }[program]

    def start(self, program, mortal):
        environment = dict(os.environ)
        if mortal:
            page = os.path.join(self.folder, program + ".page")
            death = self.deaths[program] = Death(self.rng, program)
            death.write(page)
            environment.update(LD_PRELOAD=self.lane.library, WELLGATE_FAULT=page)
            self.moments[program] = math.inf if death.seconds is None else time.monotonic() + death.seconds
        process = subprocess.Popen([self.stand.path(program), *self.command(program)], env=environment,
                                   stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        descriptor = os.pidfd_open(process.pid)
        self.processes[program] = process
        self.handles[descriptor] = program
        self.poll.register(descriptor, select.POLLIN)

    def reap(self, descriptor):
        """the end of a program: its name and exit code"""
        program = self.handles.pop(descriptor)
        self.poll.unregister(descriptor)
        os.close(descriptor)
        self.moments.pop(program, None)
        return program, self.processes.pop(program).wait()

    def kill_due(self):
        now = time.monotonic()
        for program, moment in self.moments.items():
            if moment <= now:
                self.processes[program].kill()
                self.moments[program] = math.inf

    def kill_all(self):
        """also a death, at a moment that nobody chose"""
        for descriptor, program in list(self.handles.items()):
            self.processes[program].kill()
            _, code = self.reap(descriptor)
            self.kills[program] += code == -signal.SIGKILL

    # ---- the round

    def let_die(self):
        """until the readings are through, or enough have died"""
        for program in self.programs:
            self.start(program, True)
        last = time.monotonic()
        while sum(self.kills.values()) < self.budget:
            now = time.monotonic()
            if now - last > STILL:
                return
            until = min([last + STILL, *self.moments.values()])
            for descriptor, _ in self.poll.poll(max(0, until - now) * 1000 + 1):
                program, code = self.reap(descriptor)
                if program == "wellgate-devices" and code == 0:
                    continue  # everything is confirmed
                assert code == -signal.SIGKILL, f"{program} ended with {code}"
                self.kills[program] += 1
                last = time.monotonic()
                self.start(program, True)
            self.kill_due()

    def heal(self):
        self.kill_all()
        for program in reversed(self.programs):
            self.start(program, False)
        wait_for("the device to be read", lambda: self.ended("wellgate-devices"), limit=HEALED)
        assert self.processes["wellgate-devices"].returncode == 0
        wait_for("the last reading", lambda: len(self.keys()) >= READINGS, limit=HEALED)
        if self.receipts:
            wait_for("the last row", lambda: self.stored() >= READINGS, limit=HEALED)

    def ended(self, program):
        return self.processes[program].poll() is not None

    def keys(self):
        return {r["dedupe_key"] for r in self.lane.arrivals.of(self.hub)}

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as database:
            return database.execute(sql).fetchone()

    def stored(self):
        try:
            return self.query("SELECT COUNT(DISTINCT dedupe_key) FROM reading")[0]
        except sqlite3.OperationalError:
            return 0  # not there yet

    def judge(self):
        """what is wrong, and how many came again"""
        expected, contents = self.lane.expected[self.captured], self.lane.contents[self.captured]
        readings = self.lane.arrivals.of(self.hub)
        keys, numbers = {}, {}
        for reading in readings:
            event = str(event_of(reading))
            if keys.setdefault(reading["dedupe_key"], event) != event:
                yield "one dedupe key, two events"
            if numbers.setdefault((reading["epoch"], reading["sequence"]), event) != event:
                yield "one number, two events"
            if contents.get(event) != content(reading):
                yield f"wrong content: {content(reading)}"
        if sorted(keys.values()) != expected:
            yield f"{len(keys)} readings of {len(expected)}: lost or doubled"
        if sorted(number for _, number in numbers) != list(range(1, READINGS + 1)):
            yield "the numbers have gaps"
        if self.receipts:
            yield from self.judge_record()

    def judge_record(self):
        rows, keys, last = self.query("SELECT COUNT(*), COUNT(DISTINCT dedupe_key), MAX(sequence) FROM reading")
        if (rows, keys, last) != (READINGS, READINGS, READINGS):
            yield f"database: {rows} rows, {keys} readings, the last is number {last}"
        if self.query("SELECT COUNT(*) FROM dead_letter")[0]:
            yield "database: dead letters"

    def whole(self):
        findings, again = [], 0
        try:
            self.let_die()
            self.heal()
            findings = sorted(set(self.judge()))
            again = len(self.lane.arrivals.of(self.hub)) - READINGS
        except AssertionError as error:
            findings = [str(error)]
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        for descriptor in self.handles:
            os.close(descriptor)
        self.log.close()
        if findings:
            self.keep(findings)
        self.lane.arrivals.by_hub.pop(self.hub, None)
        shutil.rmtree(self.folder)
        return Result(self.number, dict(self.kills), READINGS, again, findings)

    def keep(self, findings):
        kept = tempfile.mkdtemp(prefix=f"wellgate-deaths-{SEED}-{self.number}-")
        shutil.copytree(self.folder, kept, dirs_exist_ok=True,
                        ignore=lambda folder, names: [n for n in names if n.endswith(".sock") or n == "run"])
        print(f"round {self.number}: {findings[:3]}; kept for a look: {kept}", flush=True)


class Lane:
    """a broker, a subscriber, and one round after the other"""

    def __init__(self, programs):
        tempfile.tempdir = MEMORY
        self.stand = Stand(programs)
        tempfile.tempdir = None
        self.library = os.path.join(os.path.dirname(self.stand.programs), "tests", "chaos", "libchaos_fault.so")
        self.stand.start_broker()
        self.stand.subscribe()
        self.arrivals = Arrivals(self.stand)
        self.rounds = 0
        self.captures, self.expected, self.contents = [], [], []
        for seed in range(CAPTURES):
            capture = self.stand.simulate(READINGS, seed=SEED * CAPTURES + seed, name=f"{seed}.cap")
            self.captures.append(capture)
            self.expected.append(sorted(str(event_of(m)) for m in self.stand.expected(capture)))
            self.contents.append(self.undisturbed(seed))

    def undisturbed(self, seed):
        """what each reading says when nothing dies"""
        one = Round(self, seed, f"undisturbed{seed}")
        one.receipts, one.programs = False, PROGRAMS[:2]
        one.heal()
        readings = self.arrivals.of(one.hub)
        one.kill_all()
        one.log.close()
        return {str(event_of(r)): content(r) for r in readings}

    def close(self):
        self.stand.__exit__(None, None, None)


def work(programs, numbers, results, stop):
    """a process: lane after lane"""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        while not stop.is_set():
            with contextlib.closing(Lane(programs)) as lane:
                rounds(lane, numbers, results, stop)
    finally:  # also of a lane that broke: its exit code tells
        results.put(None)


def rounds(lane, numbers, results, stop):
    for _ in range(ROUNDS_OF_A_LANE):
        if stop.is_set():
            return
        with numbers.get_lock():
            number = numbers.value
            numbers.value += 1
        results.put(Round(lane, number).whole())


class Campaign:
    def __init__(self, options):
        self.ledger, self.programs = Ledger(options.ledger), options.programs
        self.counts = collections.Counter(self.ledger.of(NAME).get("kills", {}))
        self.stop = multiprocessing.Event()
        self.started = self.told = time.monotonic()

    def is_enough(self):
        return (min(self.counts[p] for p in PROGRAMS) >= KILLS or self.stop.is_set()
                or time.monotonic() - self.started > MINUTES * 60)

    def take(self, result):
        self.counts.update(result.kills)
        self.ledger.add(NAME, {"rounds": 1, "readings": result.readings, "again": result.again},
                        [f"seed {SEED}, round {result.number}: {f}" for f in result.findings],
                        next=max(self.ledger.of(NAME).get("next", 1), result.number + 1), kills=dict(self.counts))
        if time.monotonic() - self.told > 30:
            self.told = time.monotonic()
            print(f"{dict(self.counts)}, {len(self.ledger.of(NAME)['findings'])} findings, "
                  f"{self.told - self.started:.0f} s", flush=True)

    def run(self):
        numbers = multiprocessing.Value("q", self.ledger.of(NAME).get("next", 1))
        results = multiprocessing.SimpleQueue()
        lanes = [multiprocessing.Process(target=work, args=(self.programs, numbers, results, self.stop))
                 for _ in range(LANES)]
        for lane in lanes:
            lane.start()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: self.stop.set())
        open_lanes = LANES
        while open_lanes:
            result = results.get()
            if result is None:
                open_lanes -= 1
                continue
            self.take(result)
            if self.is_enough():
                self.stop.set()
        for lane in lanes:
            lane.join()
        assert all(lane.exitcode == 0 for lane in lanes), "a lane broke"
        self.ledger.add(NAME, {"seconds": time.monotonic() - self.started})
        return self.ledger.of(NAME)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--continue", dest="ledger")
    done = Campaign(parser.parse_args()).run()
    kills = done["kills"]
    print(f"{done['readings']} readings, {sum(kills.values())} kills ("
          + ", ".join(f"{kills.get(p, 0)} of {p}" for p in PROGRAMS)
          + f") in {done['rounds']} rounds and {done['seconds']:.0f} s: {len(done['findings'])} findings"
          f" ({done['again']} sent again)")
    sys.exit(1 if done["findings"] else 0)


if __name__ == "__main__":
    main()
