#!/usr/bin/python3
"""Shows that the lab fails when it should, and says why. usage: check.py OUT

Boots guests that end with a status and too late, and whose kernel complains, announced and not; then
the scenarios of test_bad.py, one of which brings its guest down.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.dirname(HERE)
sys.path.insert(0, LAB)
sys.dont_write_bytecode = True

import oops  # noqa: E402

# scenario -> what its failure must say; None: it must pass
EXPECTED = {
    "test_asserts": r"^failed$",
    "test_hangs": r"not finished after 2 s",
    "test_leaves_a_process": None,
    "test_nothing_is_left": None,
    "test_announced": None,
    "test_required": r"required and did not come: something that does not come",
    "test_complains": r"the kernel complained: WARNING: CPU: 0 PID: 1 at the lab's own test",
    "test_kernel_panics": "the guest ended with 125",
    "test_after_the_panic": None,
}
LIST_DEL = """[   30.1] Bluetooth: hci0: something harmless
[   31.0] list_del corruption, ffff888004b0f800->next is LIST_POISON1
[   31.0] ------------[ cut here ]------------
[   31.0] kernel BUG at lib/list_debug.c:56!
[   31.0] invalid opcode: 0000 [#1] PREEMPT SMP
[   31.0] Call Trace:
[   31.0]  hci_chan_del+0x2f/0x60 [bluetooth]
[   31.0] ---[ end trace 0000000000000000 ]---
[   31.1] note: bluetoothd[99] exited
[   32.0] WARNING: CPU: 1 PID: 9 at kernel/rcu/tree.c:1 something_else+0x1/0x2
[   32.0] ---[ end trace 0000000000000000 ]---
"""
failures = []


def expect(what, value, wanted):
    if value == wanted:
        print(f"good: {what}", flush=True)
    else:
        failures.append(what)
        print(f"WRONG: {what}: {value!r}, should be {wanted!r}", flush=True)


def guest(out, status, *words):
    """Runs a shell line in a guest; the folder of its output."""
    folder = os.path.join(out, re.sub(r"\W+", "-", words[-1])[:24])
    line, options = words[-1], words[:-1]
    result = subprocess.run([os.path.join(LAB, "guest"), "--quiet", *options, folder, "/bin/sh", "-c", line],
                            capture_output=True, text=True, check=False)
    expect(f"guest {' '.join(options)}: {line}: status", result.returncode, status)
    if result.returncode != status:
        print(result.stdout + result.stderr)
    return folder


def judgement(folder, *options):
    return subprocess.run([os.path.join(LAB, "oops.py"), os.path.join(folder, "console"), *options],
                          capture_output=True, check=False).returncode


def check_judge():
    found = oops.complaints(LIST_DEL)
    expect("two complaints are found", len(found), 2)
    expect("nothing announced: both", len(oops.judge(found, [], [])[0]), 2)
    expect("one announced: the other", [lines[0][:20] for lines in oops.judge(found, ["hci_chan_del"], [])[0]],
           ["[   32.0] WARNING: C"])
    expect("one required: it came", oops.judge(found, ["WARNING"], ["hci_chan_del"]), ([], []))
    expect("a quiet console", oops.complaints("[    1.0] mtrr: your CPUs had inconsistent settings\n"), [])


def check_guests(out):
    # the share is writable, the host's files are not touched, the kernel loads what it needs by itself
    folder = guest(out, 7, "echo written >$OUT/seen && touch /only-in-the-guest && ! lsmod | grep -q ^bluetooth && "
                           "/usr/bin/python3 -c 'import socket; socket.socket(31, 5, 0)' && "
                           "lsmod | grep -q ^bluetooth && exit 7")
    with open(os.path.join(folder, "seen"), encoding="utf-8") as stream:
        expect("the guest wrote through", stream.read(), "written\n")
    expect("the host is as it was", os.path.exists("/only-in-the-guest"), False)
    guest(out, 124, "--time", "6", "sleep 1000")
    folder = guest(out, 126, "echo '<4>BUG: the own test of the lab' >/dev/kmsg")
    expect("announced", judgement(folder, "--expect", "own test"), 0)
    expect("required, and came", judgement(folder, "--require", "own test"), 0)
    expect("another announced", judgement(folder, "--expect", "hci_chan_del"), 126)
    expect("required, and did not come", judgement(folder, "--expect", "own test", "--require", "hci_chan_del"), 126)


def check_scenarios(out):
    result = subprocess.run([os.path.join(LAB, "run"), "--scenarios", HERE, "--out", out], capture_output=True,
                            text=True, check=False)
    expect("the run fails", result.returncode, 1)
    verdicts = dict(re.findall(r"^(?:FAILED|passed) (test_\w+)(?: [0-9.]+ s)?(?:: )?(.*)$", result.stdout, re.M))
    for name, wanted in EXPECTED.items():
        said = verdicts.get(name, "nothing")
        good = said == "" if wanted is None else re.search(wanted, said) is not None
        expect(f"{name}: {said or 'passed'}", good, True)
    expect("the log of the one that asserts is shown", "one is not two" in result.stdout, True)
    failed = len([wanted for wanted in EXPECTED.values() if wanted])
    expect("the sum", f"{len(EXPECTED) - failed} passed, {failed} failed" in result.stdout, True)
    if failures:
        print(result.stdout + result.stderr)


def main():
    out = os.path.abspath(sys.argv[1])
    check_judge()
    check_guests(os.path.join(out, "guests"))
    check_scenarios(os.path.join(out, "scenarios"))
    print(f"{len(failures)} wrong")
    return 1 if failures else 0


sys.exit(main())
