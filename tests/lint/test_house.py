#!/usr/bin/env python3
"""house.py finds what it is there to find: each bad file below must be reported, the good one not."""
import os
import subprocess
import sys
import tempfile

BAD = [
    ("protocols/x/a.c", '#include "drivers/driver.h"\n', "may not include"),
    ("protocols/x/a.c", "#include <unistd.h>\n", "pure code may not include"),
    ("protocols/x/a.c", "void f(void)\n{\n\tmalloc(1);\n}\n", "may not call malloc"),
    ("protocols/x/a.c", "static int counter;\n", "no static variables"),
    ("drivers/devices/a.c", '#include "drivers/session.h"\n', "a driver may not include"),
    ("drivers/a.c", '#include "gateway/config.h"\n', "may not include"),
    ("gateway/a.c", '#include "protocols/gatt/weight.h"\n', "the gateway may not include"),
    ("gateway/a.c", "void f(char *a, char *b)\n{\n\tstrcpy(a, b);\n}\n", "strcpy() is banned"),
    ("gateway/a.c", "double weight;\n", "no floating point"),
    ("gateway/a.h", "int f(void);\n", "pragma once"),
    ("gateway/a.c", "/* /" "work/here */\n", "path of one machine"),
    ("tests/captures/x/a.cap", "# wellgate-capture: 1\n", "consent"),
    ("stray/README.md", "x\n", "top level is fixed"),
]
GOOD = ("protocols/x/a.c", '#include "protocols/x/b.h"\n\n#include <stdint.h>\n\nstatic const int t[] = { 1 };\n'
        "/* malloc() in a comment */\n")


def run(house, path, text):
    with tempfile.TemporaryDirectory() as root:
        folder = os.path.join(root, os.path.dirname(path))
        os.makedirs(folder)
        while folder != root:
            with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as stream:
                stream.write("x\n")
            folder = os.path.dirname(folder)
        with open(os.path.join(root, path), "w", encoding="utf-8") as stream:
            stream.write(text)
        result = subprocess.run([sys.executable, house, root], capture_output=True, text=True, check=False)
        return result.returncode, result.stdout


def main():
    house = sys.argv[1]
    bad = 0
    for path, text, expected in BAD:
        code, output = run(house, path, text)
        if code == 0 or expected not in output:
            print(f"not found: {expected!r} in {path}\n{output}")
            bad += 1
    code, output = run(house, *GOOD)
    if code != 0:
        print(f"found something in good code:\n{output}")
        bad += 1
    return 1 if bad else 0


sys.exit(main())
