#!/usr/bin/env python3
"""test_pages.py SOURCE BUILD   the manual pages are whole, and Tab completes what the programs take.

Each page passes mandoc's lint; each option that --help of a program or of one of its commands names
is in the program's page; each key of the example configuration is in wellgate.conf.5. bash's
completion offers each command and each option. Breaks itself on purpose at the end, to be seen red.
"""
import os
import re
import subprocess
import sys

SOURCE, BUILD = (os.path.abspath(path) for path in sys.argv[1:3])
BIN = os.path.join(BUILD, "bin")
PAGES = os.path.join(BUILD, "package")
COMPLETION = os.path.join(SOURCE, "gateway", "dist", "completion", "wellgate")
PROGRAMS = {"wellgated": "wellgated.8", "wellgate-devices": "wellgate-devices.8", "wellgate-page": "wellgate-page.8",
            "wellgate": "wellgate.1",
            "wellgate-record": "wellgate-record.1", "wellgate-firmware": "wellgate-firmware.1"}
WITH_COMMANDS = ["wellgate", "wellgate-firmware"]
COMPLETED = ["wellgate", "wellgate-record", "wellgate-firmware", "wellgated"]


def help_of(*words):
    result = subprocess.run([os.path.join(BIN, words[0]), *words[1:], "--help"], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=True, timeout=60)
    return result.stdout


def commands(program):
    return re.findall(r"^  ([a-z][a-z0-9-]*) ", help_of(program), re.M)


def options(text):
    return set(re.findall(r"--[a-z][a-z0-9-]*", text))


def rendered(page):
    text = subprocess.run(["mandoc", "-Tutf8", "-O", "width=200", page], capture_output=True, text=True, check=True).stdout
    text = re.sub(r".\x08", "", text)
    return re.sub("[\u2010\u2212]", "-", text)


def missing(needed, text):
    """Those that do not stand in the text as a whole word."""
    return sorted(n for n in needed if not re.search(re.escape(n) + r"(?![a-z0-9_-])", text))


def check_page(program, page):
    path = os.path.join(PAGES, page)
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", path], capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout
    text = rendered(path)
    needed = options(help_of(program)) if program else set()
    for command in commands(program) if program in WITH_COMMANDS else []:
        needed |= options(help_of(program, command)) | {f"{program} {command}"}
    assert program is None or len(needed) > 2, f"{program}: --help names no options"
    assert not missing(needed, text), f"{page} lacks {missing(needed, text)}"
    return len(needed)


def check_keys():
    with open(os.path.join(SOURCE, "gateway", "dist", "wellgate.conf"), encoding="utf-8") as stream:
        keys = set(re.findall(r"^#?([a-z_]+) = ", stream.read(), re.M))
    text = rendered(os.path.join(PAGES, "wellgate.conf.5"))
    assert len(keys) > 20
    assert not missing(keys, text), f"wellgate.conf.5 lacks {missing(keys, text)}"


# one bash for all presses: a line is PROGRAM WORD..., the last word is the unfinished one
TAB = """. "$1"
while IFS=' ' read -r -a COMP_WORDS; do
	[ "${COMP_WORDS[-1]}" != . ] || COMP_WORDS[-1]=
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_wellgate "${COMP_WORDS[0]}"
	echo "${COMPREPLY[*]}"
done"""


def press_tab(lines):
    environment = dict(os.environ, PATH=BIN + ":" + os.environ["PATH"])
    result = subprocess.run(["bash", "-c", TAB, "tab", COMPLETION], input="".join(f"{line}\n" for line in lines),
                            capture_output=True, text=True, check=True, env=environment, timeout=300)
    return dict(zip(lines, (line.split() for line in result.stdout.splitlines())))


def check_completion():
    wanted = {}
    for program in COMPLETED:
        wanted[f"{program} ."] = set(commands(program)) | options(help_of(program))
        for command in commands(program) if program in WITH_COMMANDS else []:
            wanted[f"{program} {command} --"] = options(help_of(program, command))
    wanted["wellgate loan ."] = {"start", "end", "list", "report"}
    wanted["wellgate loan st"] = {"start"}
    wanted["wellgate do"] = {"doctor"}
    wanted["wellgated --ch"] = {"--check"}
    offered = press_tab(list(wanted))
    assert len(offered) == len(wanted)
    for line, words in wanted.items():
        assert words <= set(offered[line]), f"Tab after {line!r} lacks {sorted(words - set(offered[line]))}"
    assert offered["wellgate loan st"] == ["start"] and offered["wellgate do"] == ["doctor"]
    return len(wanted)


def main():
    names = os.listdir(os.path.join(SOURCE, "gateway", "dist", "man"))
    for page in sorted(name for name in names if re.search(r"\.[1-8]$", name)):
        program = next((p for p, its in PROGRAMS.items() if its == page), None)
        print(f"{page}: {check_page(program, page)} options and commands")
    check_keys()
    print(f"completion: {check_completion()} lines")
    text = rendered(os.path.join(PAGES, "wellgated.8"))
    assert missing({"--check"}, text.replace("--check ", "--checked ")) == ["--check"], "the test sees nothing"


main()
