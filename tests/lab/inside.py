#!/usr/bin/python3
"""Runs scenarios in the guest, one after the other in one interpreter (it takes seconds to start here).

usage: inside.py KERNEL FOLDER PROGRAMS NAME...      run by tests/lab/run as the guest's job
Each scenario is a fork with a time limit; after it, every process it left is killed, and what the
kernel complained about meanwhile is held against what it announced. One JSON line per scenario goes to
OUT/results, so that a guest that dies is noticed and says where.
"""
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import sys
import time
import traceback

import oops
from world import STATE, World, scenarios, wait_for

PR_SET_CHILD_SUBREAPER = 36
TAIL = 40  # lines of each log shown when a scenario fails


class Kernel:
    """What the kernel says, from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        self.fresh()

    def fresh(self):
        """The text since the last call."""
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return "\n".join(lines)
            except BrokenPipeError:  # the ring turned over: complaints may be missing, the console has them
                continue
            lines.append(record.split(";", 1)[-1].split("\n", 1)[0])


def children():
    """Processes whose parent is this one; as a subreaper it inherits all that a scenario left."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stream:
                    if int(stream.read().rsplit(")", 1)[1].split()[1]) == os.getpid():
                        found.append(int(entry))
            except OSError:
                pass  # it ended meanwhile
    return found


def simulated_usb():
    """What hangs at the virtual host controllers, besides their own root hubs."""
    return [path for path in glob.glob("/sys/devices/platform/*_hcd.*/usb*/*-*")
            if os.path.exists(os.path.join(path, "idVendor"))]


def reap():
    """Kills and buries everything below; what is left is stuck in the kernel."""
    def buried():
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                pass
        return not children()
    try:
        wait_for("all processes of the scenario to die", buried, 60)
        wait_for("its adapters to go", lambda: not any(
            name.startswith("hci") for name in os.listdir("/sys/class/bluetooth")), 60) \
            if os.path.isdir("/sys/class/bluetooth") else None
        wait_for("its USB devices to go", lambda: not simulated_usb(), 60)
    except AssertionError as error:
        return str(error)
    return None


def clean():
    shutil.rmtree(STATE, ignore_errors=True)
    shutil.rmtree("/run/lab", ignore_errors=True)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.makedirs(os.environ["TMPDIR"])


def child(function, programs, out):
    """The scenario itself; does not return."""
    log = os.open(os.path.join(out, "scenario.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = sys.stdout
    status = 1
    try:
        function(World(programs, out))
        status = 0
    except BaseException:  # also what a scenario has no business to raise: it must be seen
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


def wait_child(pid, limit):
    """None if it ended well, else why not."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return None if status == 0 else "failed"
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"was not finished after {limit:.0f} s"


def tails(out):
    for name in sorted(os.listdir(out)):
        if not name.endswith(".log"):
            continue
        with open(os.path.join(out, name), "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").splitlines()
        print(f"  ---- {name}, the last {min(TAIL, len(lines))} of {len(lines)} lines")
        for line in lines[-TAIL:]:
            print("  | " + re.sub(r"[^\x20-\x7e\t]", "?", line)[:400])


def announce(special):
    """For the host, which judges the whole console."""
    with open(os.path.join(os.environ["OUT"], "announced"), "a", encoding="utf-8") as stream:
        for regex in (special["expect_oops"], special["require_oops"]):
            if regex:
                stream.write(regex + "\n")


def run(name, function, special, programs, kernel):
    """(why it failed or None, whether the guest can go on)"""
    out = os.path.join(os.environ["OUT"], name)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    clean()
    announce(special)
    pid = os.fork()
    if pid == 0:
        child(function, programs, out)
    trouble = [wait_child(pid, special["limit"])]
    stuck = reap()
    trouble.append(stuck)
    surprises, missing = oops.judge(oops.complaints(kernel.fresh()),
                                    [r for r in (special["expect_oops"],) if r],
                                    [r for r in (special["require_oops"],) if r])
    trouble += ["the kernel complained: " + lines[0] for lines in surprises]
    trouble += ["a kernel complaint was required and did not come: " + regex for regex in missing]
    return "; ".join(filter(None, trouble)) or None, stuck is None


def main():
    release, folder, programs, names = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    kernel = Kernel()
    failed = 0
    print(f"lab: first scenario after {time.monotonic():.1f} s", flush=True)
    known = {name: (function, special) for name, function, special in scenarios(release, folder)}
    for name in names:
        start = time.monotonic()
        why, usable = run(name, *known[name], programs, kernel)
        seconds = time.monotonic() - start
        print(f"{'FAILED' if why else 'passed'} {name} {seconds:.1f} s{': ' + why if why else ''}", flush=True)
        if why:
            failed += 1
            tails(os.path.join(os.environ["OUT"], name))
        sys.stdout.flush()
        with open(os.path.join(os.environ["OUT"], "results"), "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"name": name, "why": why, "seconds": round(seconds, 1)}) + "\n")
        if not usable:
            print("lab: this guest is stuck; the rest goes to another", flush=True)
            return 1
    return 1 if failed else 0


sys.exit(main())
