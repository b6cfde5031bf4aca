#!/usr/bin/env python3
"""units.py finds what it is there to find: each change below must be reported, the units as they are not."""
import os
import shutil
import subprocess
import sys
import tempfile

DROP_IN = os.path.join("bluetooth.service.d", "wellgate.conf")
BAD = [
    ("wellgated.service", "CapabilityBoundingSet=\n", "CapabilityBoundingSet=CAP_SYS_TIME\n", "CapabilityBoundingSet is"),
    ("wellgated.service", "SystemCallFilter=adjtimex clock_adjtime\n", "", "SystemCallFilter is"),
    ("wellgated.service", "ProtectHostname=yes\n", "ProtectHostname=yes\nProtectClock=yes\n", "ProtectClock is"),
    # no rule of its own: the score says it
    ("wellgated.service", "RestrictRealtime=yes\n", "KeyringMode=shared\n", "→ Overall exposure"),
    ("wellgate-devices.service", "AF_BLUETOOTH AF_NETLINK", "AF_BLUETOOTH AF_NETLINK AF_INET", "RestrictAddressFamilies is"),
    ("wellgate-devices.service", "IPAddressDeny=any\n", "", "IPAddressDeny is"),
    ("wellgate-devices.service", "DeviceAllow=char-hidraw rw", "DeviceAllow=char-mem rw", "DeviceAllow is"),
    ("wellgate-page.service", "IPAddressDeny=any\n", "", "IPAddressDeny is"),
    ("wellgated.service", "OOMScoreAdjust=", "OOMScoreAdjusts=", "Unknown key 'OOMScoreAdjusts'"),
    (DROP_IN, "hog,", "", "keyboard"),
]


def run(units, root):
    result = subprocess.run([sys.executable, units, root], capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def main():
    units, source = sys.argv[1], os.path.join(sys.argv[2], "gateway", "dist")
    with tempfile.TemporaryDirectory() as root:
        dist = os.path.join(root, "gateway", "dist")
        shutil.copytree(source, dist)
        code, text = run(units, root)
        assert code == 0, text
        for name, old, new, phrase in BAD:
            path = os.path.join(dist, name)
            with open(path, encoding="utf-8") as stream:
                good = stream.read()
            assert old in good, (name, old)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(good.replace(old, new))
            code, text = run(units, root)
            assert code == 1 and phrase in text, f"{name}: {old!r} as {new!r} is not reported as {phrase!r}:\n{text}"
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(good)
    print(f"{len(BAD)} changes found")


main()
