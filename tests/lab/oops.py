#!/usr/bin/python3
"""Finds what a kernel complained about in a guest's console.

usage: oops.py CONSOLE [--expect REGEX]... [--require REGEX]...
Prints every complaint that nobody announced. Exit status 126 if there is one, or if a required one
did not come. One complaint is all lines from its first to its end mark; an announcement matches
anywhere in it. The guest may announce more, a regular expression a line, in a file "announced" beside
the console, with "require " before those that must come.
"""
import argparse
import os
import re
import sys

COMPLAINT = re.compile(
    r"\bBUG\b|\bOops\b|\bOOPS\b|WARNING: |list_(add|del) corruption|general protection fault|Kernel panic"
    r"|kernel BUG at|KASAN|KFENCE|UBSAN|refcount_t:|unable to handle|------------\[ cut here|Call Trace"
    r"|blocked for more than|double free|use-after-free")
END = re.compile(r"---\[ end (trace|Kernel panic)")
LONGEST = 200  # lines; one without an end mark stops here


def complaints(text):
    """The complaints in a console, each a list of lines."""
    found, current = [], None
    for line in text.splitlines():
        line = re.sub(r"[^\x20-\x7e\t]", "", line)
        if current is None and COMPLAINT.search(line):
            current = []
            found.append(current)
        if current is not None:
            current.append(line)
            if END.search(line) or len(current) >= LONGEST:
                current = None
    return found


def judge(found, expected, required):
    """(complaints that nobody announced, announcements that were required and did not come)"""
    texts = ["\n".join(lines) for lines in found]
    surprises = [lines for lines, text in zip(found, texts)
                 if not any(re.search(regex, text) for regex in expected + required)]
    missing = [regex for regex in required if not any(re.search(regex, text) for text in texts)]
    return surprises, missing


def announcements(console):
    expected, required = [], []
    path = os.path.join(os.path.dirname(os.path.abspath(console)), "announced")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            for line in stream.read().splitlines():
                if line.startswith("require "):
                    required.append(line[len("require "):])
                elif line:
                    expected.append(line)
    return expected, required


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("console")
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("--require", action="append", default=[])
    options = parser.parse_args()
    expected, required = announcements(options.console)
    with open(options.console, "rb") as stream:
        found = complaints(stream.read().decode("utf-8", "replace"))
    surprises, missing = judge(found, expected + options.expect, required + options.require)
    for lines in surprises:
        print("lab: the kernel complained, and no test had announced it:")
        print("\n".join("  | " + line for line in lines[:60]))
    for regex in missing:
        print(f"lab: a kernel complaint was required and did not come: {regex}")
    return 126 if surprises or missing else 0


if __name__ == "__main__":
    sys.exit(main())
