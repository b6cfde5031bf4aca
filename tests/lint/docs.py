#!/usr/bin/env python3
"""What the guides name exists: commands and their options, files, tests.

usage: docs.py SOURCE_FOLDER PROGRAMS     prints what is wrong; exit status 1 if anything is

Looked at are the main README.md and gateway/docs/*.md: what stands in back quotes or in lines that are
indented by four blanks.
"""
import glob
import os
import re
import subprocess
import sys

import hazards

PLACES = ["README.md", "gateway/docs/*.md"]
problems = []
helps = {}


def help_of(programs, words):
    """text of --help, of a program or a subcommand"""
    if words not in helps:
        run = subprocess.run([os.path.join(programs, words[0]), *words[1:], "--help"], capture_output=True,
                             text=True, check=False, timeout=60)
        helps[words] = run.stdout if run.returncode == 0 else ""
    return helps[words]


def check_command(where, programs, text):
    """`wellgate VERB ... --option`; words in capitals and ... stand for anything"""
    words = text.split("#")[0].split()
    program = os.path.basename(words[0])
    if not os.path.exists(os.path.join(programs, program)):
        problems.append(f"{where}: there is no program {program}: {text}")
        return
    call = (program,)
    if program == "wellgate":
        verb = words[1] if len(words) > 1 else ""
        known = re.findall(r"^  (\w+)", help_of(programs, ("wellgate",)), re.M)
        for one in [verb] + [words[i + 1] for i, word in enumerate(words[:-1]) if word == "|" and "start" not in text]:
            if re.fullmatch(r"[a-z]+", one) and one not in known and verb not in known:
                problems.append(f"{where}: wellgate has no command {one}: {text}")
        if not re.fullmatch(r"[a-z]+", verb):
            return
        call = ("wellgate", verb)
    said = help_of(programs, call)
    for option in re.findall(r"(--[a-z][a-z-]*)", text):
        if option not in said and option != "--help":
            problems.append(f"{where}: {' '.join(call)} has no {option}: {text}")


def check_path(where, root, folder, text):
    """a path that looks like one of ours; acme is the device that a reader adds"""
    top = text.split("/")[0]
    if "acme" in text or top not in ("gateway", "drivers", "protocols", "tests", "firmware-tools") or any(c in text for c in " <{*$"):
        return
    if not glob.glob(os.path.join(root, text)) and not glob.glob(os.path.join(folder, text)):
        problems.append(f"{where}: there is no {text}")


def pieces(text):
    """(line number, code) of each piece of code; a cell of a table as well"""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("    "):
            yield number, re.split(r"  +", line.strip())[0]
        for code in re.findall(r"`([^`]+)`", line):
            yield number, code


def check_file(root, programs, path, tests):
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    text = re.sub(r"`([^`\n]*)\n +([^`\n]*)`", r"`\1 \2`", text)
    for number, code in pieces(text):
        where = f"{os.path.relpath(path, root)}:{number}"
        if re.match(r"(\S*/)?wellgate(d|-devices|-record|-firmware|-page)?( |$)", code) and "|" not in code.split("  ")[0][:9]:
            check_command(where, programs, code)
        elif re.fullmatch(r"(test|fuzz|system|chaos|lint|lab|oracle)_[\w-]+", code):
            if code not in tests:
                problems.append(f"{where}: there is no test {code}")
        else:
            check_path(where, root, os.path.dirname(path), code.split()[0])


def main():
    root, programs = sys.argv[1:3]
    tests = hazards.ctest_names(root)
    files = sorted(p for pattern in PLACES for p in glob.glob(os.path.join(root, pattern)))
    for path in files:
        check_file(root, programs, path, tests)
    for line in problems:
        print(line)
    print(f"{len(files)} pages, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
