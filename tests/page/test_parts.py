#!/usr/bin/env python3
"""test_parts.py STYLES STYLE_C   the page was built with the styles of its lock file, and the judge of its
accessibility is there in the version of the lock file. 77 (left out) says that npm has not fetched them.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK = os.path.join(HERE, "../../gateway/page/package-lock.json")
FRONTEND = "node_modules/nhsuk-frontend"


def main():
    styles, built = sys.argv[1:]
    with open(LOCK, encoding="utf-8") as stream:
        packages = json.load(stream)["packages"]
    if not os.path.exists(os.path.join(styles, "package-lock.done")):
        print("left out: npm has not fetched styles and axe-core; gateway/page/styles says why")
        return 77
    for name, locked in packages.items():
        assert not {"resolved", "hasInstallScript"} & set(locked), f"{name}: an address or a script is in the lock file"
        if name:
            assert locked["integrity"].startswith("sha512-"), name
            with open(os.path.join(styles, name, "package.json"), encoding="utf-8") as stream:
                assert json.load(stream)["version"] == locked["version"], name
    with open(os.path.join(styles, FRONTEND, "dist/nhsuk/nhsuk-frontend.min.css"), "rb") as stream:
        wanted = len(stream.read())
    with open(built, encoding="utf-8") as stream:
        size = len(re.findall(r"0x[0-9a-f]{2}", stream.read()))
    assert size > wanted, f"the page has {size} bytes of style: it was configured before npm fetched {wanted}"
    print(f"page: {len(packages) - 1} packages of npm, {size} bytes of style")
    return 0


sys.exit(main())
