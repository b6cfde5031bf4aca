#!/usr/bin/env python3
"""The rules of the house, as a test: layers, purity, banned calls, READMEs, captures.

usage: house.py SOURCE_FOLDER     prints FILE:LINE: what is wrong; exit status 1 if anything is
"""
import os
import re
import sys

TOP = {"gateway", "drivers", "protocols", "firmware-tools", "tests", "CMakeLists.txt", "README.md",
       "LICENSE", "SECURITY.md", "CMakePresets.json", "build"}

# folder -> what its files may include with quotes
LAYERS = [
    ("protocols/", ("protocols/",)),
    ("drivers/devices/", ("protocols/", "drivers/")),
    ("drivers/", ("protocols/", "drivers/", "wellgate.pb-c.h")),
    ("gateway/", ("protocols/", "drivers/", "gateway/", "wellgate.pb-c.h", "wellgate.desc.h")),
    ("firmware-tools/", ("protocols/", "drivers/", "firmware-tools/", "wellgate.pb-c.h")),
]
DEVICES_MAY_NOT = ("drivers/transport/", "drivers/session.h", "drivers/registry.h", "drivers/log.h")
# the daemon never sees a radio, a cable or a raw frame; the command line decodes captures
GATEWAY_MAY_NOT = ("drivers/transport/", "drivers/devices/", "drivers/session.h", "drivers/driver.h",
                   "drivers/registry.h", "protocols/gatt/", "protocols/att/", "protocols/capture/")
PURE = ("protocols/", "drivers/devices/")
PURE_HEADERS = {"assert.h", "errno.h", "limits.h", "stdbool.h", "stddef.h", "stdint.h", "string.h",
                "inttypes.h", "stdalign.h", "stdarg.h", "stdio.h"}  # stdio.h: for snprintf alone
PURE_CALLS = ("malloc calloc realloc free printf fprintf vprintf vfprintf puts fputs fputc putchar scanf sscanf fscanf fread fwrite fopen open read write close "
              "socket ioctl time gettimeofday clock_gettime localtime gmtime mktime getenv rand random "
              "log_write log_error log_warning log_info log_debug exit abort strerror").split()
BANNED = "strcpy strcat sprintf vsprintf gets alloca strtok atoi atol atof popen setjmp longjmp".split()
BANNED_OUTSIDE_TESTS = ["system"]
FLOAT = re.compile(r"\b(float|double)\b")
MACHINE = re.compile(r"(?<![\w.])/(work|root)/|(?<![\w.])/home/[a-z]")
REGISTRY = re.compile(r"deb\.debian\.org|registry\.npmjs|pypi\.org|crates\.io|security\.debian\.org")
README_EXEMPT = re.compile(r"^(build|\.git|\.ci)(/|$)|/corpus(/|$)|^tests/captures/[^/]+$|/demo$")

problems = []


def problem(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def strip_comments(text):
    """Comments and strings blanked, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_includes(path, number, line):
    match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
    if match:
        include = match.group(1)
        for folder, allowed in LAYERS:
            if path.startswith(folder):
                if not include.startswith(allowed):
                    problem(path, number, f'{folder} may not include "{include}"')
                break
        if path.startswith("drivers/devices/") and include.startswith(DEVICES_MAY_NOT):
            problem(path, number, f'a driver may not include "{include}"')
        if path.startswith("gateway/") and not path.startswith("gateway/cli/") \
                and include.startswith(GATEWAY_MAY_NOT):
            problem(path, number, f'the gateway may not include "{include}"')
    match = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
    if match and path.startswith(PURE) and match.group(1) not in PURE_HEADERS:
        problem(path, number, f"pure code may not include <{match.group(1)}>")


def check_line(path, number, line):
    check_includes(path, number, line)
    for name in BANNED + ([] if path.startswith("tests/") else BANNED_OUTSIDE_TESTS):
        if re.search(rf"(?<![\w.>]){name}\s*\(", line):
            problem(path, number, f"{name}() is banned")
    if path.startswith(PURE):
        for name in PURE_CALLS:
            if re.search(rf"(?<![\w.>]){name}\s*\(", line):
                problem(path, number, f"pure code may not call {name}()")
        if re.match(r"\s*static\s+(?!const\b|inline\b|int \(|_Noreturn)[^(=]*(=|;)\s*", line) \
                and "const" not in line:
            problem(path, number, "pure code has no static variables")
    if not path.startswith("tests/") and FLOAT.search(line):
        problem(path, number, "no floating point between the device and the message")


def check_c(path, text):
    code = strip_comments(text)
    originals = text.split("\n")
    for number, line in enumerate(code.split("\n"), 1):
        # an include's name is a string and was blanked: take the original line
        check_line(path, number, originals[number - 1] if re.match(r"\s*#\s*include", line) else line)
        # the first line of a test says what it links, in one line whatever it takes
        if len(originals[number - 1].expandtabs(8)) > 100 and not originals[number - 1].startswith("/* links:"):
            problem(path, number, "longer than 100 columns")
    if path.endswith(".h") and "#pragma once" not in text:
        problem(path, 1, "a header needs #pragma once")


def check_any(path, text):
    if path == "tests/lint/house.py" or path == "tests/lint/test_house.py":
        return
    for number, line in enumerate(text.split("\n"), 1):
        if MACHINE.search(line):
            problem(path, number, "names a path of one machine")
        if REGISTRY.search(line):
            problem(path, number, "names a package registry's host")
    if path.endswith(".cap"):
        head = text[:2000]
        if not re.search(r"^# consent: (synthetic|anonymised)", head, re.M):
            problem(path, 1, "a capture in the tree needs '# consent: synthetic' or 'anonymised, ...'")
        if not re.search(r"^# provenance: ", head, re.M):
            problem(path, 1, "a capture in the tree needs a '# provenance:' line")


def walk(root):
    for name in sorted(os.listdir(root)):
        if not name.startswith(".") and name not in TOP:
            problem(name, 1, "the top level is fixed")
    for folder, folders, files in os.walk(root):
        rel = os.path.relpath(folder, root)
        rel = "" if rel == "." else rel
        folders[:] = sorted(f for f in folders
                            if not (rel == "" and (f == "build" or f.startswith("."))) and f != "__pycache__")
        if rel and not README_EXEMPT.search(rel) and "README.md" not in files:
            problem(rel, 1, "a folder needs a README.md")
        for name in sorted(files):
            path = os.path.join(rel, name)
            with open(os.path.join(folder, name), "rb") as stream:
                data = stream.read()
            if b"\0" in data or "/corpus/" in path:
                continue
            text = data.decode("utf-8", "replace")
            check_any(path, text)
            if name.endswith((".c", ".h")):
                check_c(path, text)


def main():
    walk(sys.argv[1])
    for line in problems:
        print(line)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
