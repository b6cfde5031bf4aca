#!/usr/bin/env python3
"""Every fallible call of a program fails once, and from then on for good: the readings that a
simulated device saw confirmed are at the subscriber in the end, once, with the right values.

    faults.py BIN [--of wellgated|wellgate-devices] [--places | --long] [--only THREAD:CALL:VARIANT[:forever]]

One run without a fault counts the calls and notes who makes them. Then each run lets one of them
fail, in one of its ways. A program that does not come to the end of the scenario may go on, wait, or
end with an exit code that says so; then it is killed and started without faults, and that must heal
everything. Death by a signal is a finding. The short form takes a sample of the places in the code,
another one for each WELLGATE_SEED; --places takes every place in every way, --long every call.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "oracle")]
import read_batch  # noqa: E402
from stand import CONFIG, Stand, event_of, wait_for  # noqa: E402

READINGS = 12
SEED = int(os.environ.get("WELLGATE_SEED", "1"))
SAMPLE = int(os.environ.get("WELLGATE_FAULTS", "25"))
PATIENCE = 1.5  # seconds that a program may take to get over it; then it is killed: no verdict
HEALED = 120.0  # seconds until "hung"
WORKERS = 2
GOOD_ENDS = {"wellgated": {0, 64, 65, 69, 74}, "wellgate-devices": {0, 64, 65, 69, 74}}
# differs from run to run although nothing is wrong
OWN = {"topic", "hub", "epoch", "reading_id", "sequence", "dedupe_key", "device"}

# fault.h
HEAD = struct.Struct("<QQIIIIIiQIIQII2Q")
NAMES, NAME, CALLS = 64, 96, 65536
CALL = struct.Struct("<BBHI")
THREADS = ("main", "others")
HIT = 1
KINDS = ("malloc mmap open read write pread pwrite fsync ftruncate rename unlink mkdir stat fcntl flock socket bind "
         "listen accept connect send recv epoll_create epoll_ctl epoll_wait new_fd timer random thread address").split()
# It does not look at what malloc gives it. To the hub that is one more sudden death, and healed as such.
FRAIL = "libpaho-mqtt3as"
PAGE_BYTES = HEAD.size + NAMES * NAME + len(THREADS) * CALLS * CALL.size

Fault = collections.namedtuple("Fault", "thread at variant forever")
Call = collections.namedtuple("Call", "thread number kind module where ways")
Result = collections.namedtuple("Result", "fault hit kind error place end finding")


class Page:
    """the file that fault.c maps"""

    def __init__(self, path, fault):
        self.path = path
        with open(path, "wb") as stream:
            stream.truncate(PAGE_BYTES)
            if fault:
                stream.write(HEAD.pack(fault.at, 0, fault.thread, fault.variant, fault.forever, *[0] * 11))

    def read(self):
        with open(self.path, "rb") as stream:
            data = stream.read()
        (_, _, _, _, _, self.state, self.kind, self.error, self.where, self.module, _, self.last_where,
         self.last_module, _, *self.calls) = HEAD.unpack_from(data)
        self.names = [data[HEAD.size + i * NAME:][:NAME].split(b"\0")[0].decode() for i in range(NAMES)]
        return data

    def noted(self):
        data = self.read()
        base = HEAD.size + NAMES * NAME
        for thread in range(len(THREADS)):
            assert self.calls[thread] <= CALLS, "the page is too small for the scenario"
            for number in range(self.calls[thread]):
                kind, module, ways, where = CALL.unpack_from(data, base + (thread * CALLS + number) * CALL.size)
                yield Call(thread, number + 1, KINDS[kind], os.path.basename(self.names[module]), where, ways)

    def place(self):
        return f"{os.path.basename(self.names[self.module])}+{self.where:#x}"

    def last_caller(self):
        return os.path.basename(self.names[self.last_module])


class Arrivals:
    """what the subscriber has, by hub; one reader of the file for all runs"""

    def __init__(self, stand):
        self.path, self.schema = stand.received, read_batch.Schema(stand.descriptor)
        self.offset, self.rest, self.lock = 0, b"", threading.Lock()
        self.by_hub = collections.defaultdict(list)

    def of(self, hub):
        with self.lock:
            if os.path.exists(self.path):
                with open(self.path, "rb") as stream:
                    stream.seek(self.offset)
                    data = stream.read()
                self.offset += len(data)
                *lines, self.rest = (self.rest + data).split(b"\n")
                for line in lines:
                    topic, _, payload = line.decode().partition(" ")
                    if "/reading/" in topic:
                        for reading in read_batch.read(self.schema, topic, bytes.fromhex(payload)):
                            self.by_hub[reading["hub"]].append(reading)
            return list(self.by_hub[hub])


def content(reading):
    """what must be the same whatever happened"""
    return json.dumps({k: v for k, v in reading.items() if k not in OWN}, sort_keys=True)


class Campaign:
    def __init__(self, stand, program):
        self.stand, self.program = stand, program
        self.arrivals = Arrivals(stand)
        self.capture = stand.simulate(READINGS, seed=SEED)
        self.expected = sorted(str(event_of(m)) for m in stand.expected(self.capture))
        self.content = None
        self.count = 0
        self.lock = threading.Lock()

    def run(self, fault):
        with self.lock:
            self.count += 1
            run = Run(self, f"h{self.count}", fault)
        try:
            result = run.whole()
        except AssertionError as error:
            page = run.page
            page.read()
            result = Result(fault, page.state == HIT, KINDS[page.kind], page.error, page.place(), "hung", str(error))
        run.kill_all()
        if result.finding:
            run.keep(result)
        shutil.rmtree(run.folder)
        return result

    def count_calls(self):
        """twice: the first start in a folder makes what the second one finds"""
        run = Run(self, "counting", None)
        result = run.whole()
        assert not result.finding, result.finding
        self.content = {event: content(r) for event, r in ((str(event_of(r)), r) for r in self.arrivals.of(run.hub))}
        calls = list(run.page.noted())
        shutil.rmtree(run.folder)
        return calls


class Run:
    """one scenario with at most one fault"""

    def __init__(self, campaign, hub, fault):
        self.campaign, self.stand, self.hub, self.fault = campaign, campaign.stand, hub, fault
        self.folder = os.path.join(self.stand.folder, hub)
        self.runtime = os.path.join(self.folder, "run")
        os.makedirs(self.runtime, mode=0o700)
        self.page = Page(os.path.join(self.folder, "page"), fault)
        text = CONFIG.format(state=os.path.join(self.folder, "state"), runtime=self.runtime, url=self.stand.url)
        with open(os.path.join(self.folder, "conf"), "w", encoding="utf-8") as stream:
            stream.write(text.replace("hub = hub1", f"hub = {hub}"))
        self.processes = {}

    def spawn(self, program, faulty, *arguments):
        env = dict(os.environ)
        if faulty and program == self.campaign.program:
            library = os.path.join(os.path.dirname(self.stand.programs), "tests", "chaos", "libchaos_fault.so")
            env.update(LD_PRELOAD=library, WELLGATE_FAULT=self.page.path)
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.processes[program] = subprocess.Popen([self.stand.path(program), *arguments], env=env,
                                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start_gateway(self, faulty):
        self.spawn("wellgated", faulty, "--config", os.path.join(self.folder, "conf"))

    def start_devices(self, faulty):
        self.spawn("wellgate-devices", faulty, "--socket", os.path.join(self.runtime, "devices.sock"), "--replay",
                   self.campaign.capture, "--speed", "max", "--memory", os.path.join(self.folder, "memory"), "--once")

    def ended(self, program):
        return self.processes[program].poll()

    def arrived(self):
        readings = self.campaign.arrivals.of(self.hub)
        return len({str(event_of(r)) for r in readings}) >= READINGS

    def finished(self):
        return self.ended("wellgate-devices") == 0 and self.arrived()

    def kill_all(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def stop_gateway(self):
        """the end is part of the scenario: calls fail there, too"""
        if self.ended("wellgated") is None:
            self.processes["wellgated"].terminate()
            try:
                self.processes["wellgated"].wait(timeout=HEALED)
            except subprocess.TimeoutExpired as hung:
                raise AssertionError("hung: does not end after SIGTERM") from hung

    def scenario(self):
        """With the fault. Returns how it went for the program under test."""
        self.start_gateway(True)
        self.start_devices(True)
        end = time.monotonic() + (PATIENCE if self.fault else HEALED)
        while not self.finished() and time.monotonic() < end and self.victim_lives():
            time.sleep(0.005)
        if self.finished():
            self.stop_gateway()
        code = self.ended(self.campaign.program)
        if code is None:
            return "waits"
        if code < 0:
            return f"signal {-code}"
        return "went on" if code == 0 else f"exit {code}"

    def victim_lives(self):
        code = self.ended(self.campaign.program)
        return code is None or (code == 0 and self.campaign.program == "wellgate-devices")

    def heal(self):
        """Without faults everything comes to its end."""
        self.kill_all()
        self.start_gateway(False)
        self.start_devices(False)
        wait_for("everything after a restart without faults",
                 lambda: self.finished() or self.ended("wellgated") is not None
                 or self.ended("wellgate-devices") not in (None, 0), limit=HEALED)
        assert self.finished(), "a restart does not heal it: exit %s and %s" % (
            self.ended("wellgated"), self.ended("wellgate-devices"))

    def whole(self):
        end = self.scenario()
        if not self.arrived() or self.ended("wellgate-devices") != 0:
            self.heal()
        self.page.read()
        finding = self.judge() or self.judge_end(end)
        return Result(self.fault, self.page.state == HIT, KINDS[self.page.kind], self.page.error, self.page.place(),
                      end, finding)

    def judge_end(self, end):
        if end.startswith("signal"):
            frail = KINDS[self.page.kind] == "malloc" and any(
                module.startswith(FRAIL) for module in (self.page.place(), self.page.last_caller()))
            return None if frail and end == f"signal {signal.SIGSEGV.value}" else f"died by {end}"
        if end.startswith("exit") and int(end.split()[1]) not in GOOD_ENDS[self.campaign.program]:
            return f"ended with {end}"
        return None

    def judge(self):
        readings = self.campaign.arrivals.of(self.hub)
        keys, numbers = {}, {}
        for reading in readings:
            event = str(event_of(reading))
            if keys.setdefault(reading["dedupe_key"], event) != event:
                return "one dedupe key, two events"
            number = reading["epoch"], reading["sequence"]
            if numbers.setdefault(number, event) != event:
                return "one number, two events"
            if self.campaign.content and self.campaign.content.get(event) != content(reading):
                return f"wrong content: {content(reading)}"
        if sorted(keys.values()) != self.campaign.expected:
            return f"{len(keys)} readings, {READINGS} expected: lost or doubled"
        if len(numbers) != READINGS:
            return f"{len(numbers)} numbers for {READINGS} readings"
        return None

    def keep(self, result):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as stream:
            tail = "".join(stream.readlines()[-12:])
        print(f"\n{describe(result)}\n{tail}", flush=True)


def describe(result):
    fault = result.fault
    name = "half of it" if result.error == 0 else os.strerror(result.error)
    option = f"{THREADS[fault.thread]}:{fault.at}:{fault.variant}" + (":forever" if fault.forever else "")
    return f"{option}  {result.kind} in {result.place}: {name}: {result.end}: {result.finding or 'good'}"


def faults_of(call):
    return [Fault(call.thread, call.number, variant, forever) for variant in range(call.ways) for forever in (0, 1)]


def plan(calls, options):
    """The short form takes a place in the code once, and of the places a sample."""
    rng = random.Random(SEED)
    if options.long:
        faults = [fault for call in calls for fault in faults_of(call)]
        rng.shuffle(faults)  # what was done when somebody stops it is a fair sample
        return faults
    by_place = collections.defaultdict(list)
    for call in calls:
        by_place[call.thread, call.kind, call.module, call.where].append(call)
    if options.places:
        return [fault for place in sorted(by_place) for call in rng.sample(by_place[place], 1)
                for fault in faults_of(call)]
    places = rng.sample(sorted(by_place), min(SAMPLE, len(by_place)))
    return [rng.choice(faults_of(rng.choice(by_place[place]))) for place in places]


def parse_only(text):
    thread, at, variant, *rest = text.split(":")
    return Fault(THREADS.index(thread), int(at), int(variant), int(bool(rest)))


def progress(done, total, findings, started):
    if sys.stdout.isatty() or done % 200 == 0 or done == total:
        rate = done / max(time.monotonic() - started, 0.001)
        print(f"{done} of {total}, {findings} findings, {(total - done) / max(rate, 0.001) / 60:.0f} min to go",
              end="\r" if sys.stdout.isatty() else "\n", flush=True)


def summary(program, calls, results):
    places = {(c.thread, c.kind, c.module, c.where) for c in calls}
    hits = [r for r in results if r.hit]
    ends = collections.Counter(r.end.split()[0] for r in hits)
    print(f"{program}: {len(calls)} calls at {len(places)} places, {len(results)} runs, {len(hits)} of them met their "
          f"fault; " + ", ".join(f"{n} {e}" for e, n in ends.most_common()))
    by_kind = collections.defaultdict(collections.Counter)
    for r in hits:
        by_kind[r.kind]["runs"] += 1
        by_kind[r.kind][r.end.split()[0]] += 1
        by_kind[r.kind]["findings"] += bool(r.finding)
    columns = ("runs", "went", "exit", "waits", "signal", "findings")
    print(f"{'call':<14}" + "".join(f"{c:>10}" for c in columns))
    for kind in KINDS:
        if kind in by_kind:
            print(f"{kind:<14}" + "".join(f"{by_kind[kind][c]:>10}" for c in columns))


def campaign(stand, options):
    c = Campaign(stand, options.of)
    calls = c.count_calls()
    faults = [parse_only(options.only)] if options.only else plan(calls, options)
    started, results, findings = time.monotonic(), [], 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for result in pool.map(c.run, faults):
            results.append(result)
            findings += bool(result.finding)
            progress(len(results), len(faults), findings, started)
            if options.only:
                print(describe(result))
    summary(options.of, calls, results)
    return findings


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--of", choices=sorted(GOOD_ENDS), default="wellgated")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--places", action="store_true")
    parser.add_argument("--only")
    options = parser.parse_args()
    with Stand(options.programs) as stand:
        stand.start_broker()
        stand.subscribe()
        findings = campaign(stand, options)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
