#!/usr/bin/env python3
"""The hazard log names tests that exist.

usage: hazards.py SOURCE_FOLDER     prints what is wrong; exit status 1 if anything is

Each hazard (## H1 ...) has a cause, an effect, a severity, controls that are requirements of the log,
tests, and what is open.
"""
import glob
import os
import re
import sys

FIELDS = ("Cause", "Effect", "Severity", "Controls", "Tests", "Open")
SEVERITIES = ("Minor", "Significant", "Considerable", "Major", "Catastrophic")


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def names(root, pattern):
    return [os.path.splitext(os.path.basename(path))[0] for path in glob.glob(os.path.join(root, pattern))]


def ctest_names(root):
    """What CTest calls the tests, as the CMakeLists.txt say it."""
    found = set(names(root, "tests/unit/test_*.c")) | set(names(root, "tests/fuzz/fuzz_*.c")) - {"fuzz_main"}
    found |= {re.sub("^test_", "system_", name) for name in names(root, "tests/system/test_*.py")}
    for path in glob.glob(os.path.join(root, "tests/*/CMakeLists.txt")):
        text = re.sub(r"#[^\n]*", "", read(path))
        loops = {variable: values.split() for variable, values in re.findall(r"foreach\((\w+) ([^)$]*)\)", text)}
        for name in re.findall(r"add_test\(NAME (\S+)", text):
            made = re.fullmatch(r"(\w*)\$\{(\w+)\}", name)
            if made:
                found |= {made.group(1) + value for value in loops.get(made.group(2), [])}
            else:
                found.add(name)
    return found


def lab_names(root):
    found = set()
    for path in glob.glob(os.path.join(root, "tests/lab/test_*.py")):
        found |= set(re.findall(r"^def (test_\w+)\(world", read(path), re.M))
    return found


def model_names(root):
    path = os.path.join(root, "tests/model/check.py")
    return set(re.findall(r'^    \("(\w+)", ', read(path), re.M)) if os.path.exists(path) else set()


def exists(root, test, known):
    kind, _, rest = test.partition(":")
    if not rest:
        return test in known["ctest"]
    if kind == "capture":
        return os.path.exists(os.path.join(root, "tests/captures", rest + ".cap"))
    if kind in known:
        return rest in known[kind]
    path = os.path.join(root, "tests/unit", kind + ".c")
    return os.path.exists(path) and re.search(rf"^static void {re.escape(rest)}\(void \*\*", read(path), re.M)


def fields_of(section):
    return dict(re.findall(r"^- (\w+): (.+)$", section, re.M))


def problems_of(root, text):
    known = {"ctest": ctest_names(root), "lab": lab_names(root), "model": model_names(root)}
    requirements = re.findall(r"^\| (R\d+) \|", text, re.M)
    used = set()
    hazards = re.split(r"^## (?=H\d+ )", text, flags=re.M)[1:]
    numbers = [int(re.match(r"H(\d+)", section).group(1)) for section in hazards]
    if not hazards or numbers != list(range(1, len(numbers) + 1)):
        yield "hazards are numbered H1, H2, ... without a gap"
    if len(set(requirements)) != len(requirements):
        yield "a requirement stands there twice"
    for number, section in zip(numbers, hazards):
        fields = fields_of(section)
        for name in FIELDS:
            if name not in fields:
                yield f"H{number}: no {name}"
        if fields.get("Severity") not in SEVERITIES:
            yield f"H{number}: severity is one of {' '.join(SEVERITIES)}"
        controls = set(re.findall(r"\bR\d+\b", fields.get("Controls", "")))
        used |= controls
        for control in sorted(controls - set(requirements)):
            yield f"H{number}: there is no requirement {control}"
        tests = re.findall(r"`([^`]+)`", fields.get("Tests", ""))
        if not controls or not tests:
            yield f"H{number}: names no control, or no test"
        # what is open may speak of tests, and of other things
        tests += [word for word in re.findall(r"`(\w+:\w+)`", fields.get("Open", ""))]
        for test in tests:
            if not exists(root, test, known):
                yield f"H{number}: there is no test {test}"
    for requirement in sorted(set(requirements) - used):
        yield f"{requirement} controls nothing"


def main():
    root = sys.argv[1]
    problems = list(problems_of(root, read(os.path.join(root, "tests/hazards.md"))))
    for line in problems:
        print(f"tests/hazards.md: {line}")
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
