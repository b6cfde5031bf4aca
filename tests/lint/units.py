#!/usr/bin/env python3
"""units.py ROOT   the systemd units that are shipped are as shut as they were meant to be.

systemd-analyze gives each daemon a score of at most LIMIT tenths (0 is shut, 100 is open); the lines
that keep somebody's readings safe are there, whatever the score says; and what would break a daemon
is not. bluetoothd's drop-in fits Debian's own unit. Prints what is wrong; 0 if nothing is.
"""
import os
import shutil
import subprocess
import sys
import tempfile

LIMIT = 15
DIST = os.path.join("gateway", "dist")
BLUETOOTH = "/lib/systemd/system/bluetooth.service"

# what all daemons have, unless EACH says otherwise; a value that a unit must have exactly
BOTH = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "UMask": "0077",
    "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateMounts": "yes", "PrivateIPC": "yes",
    "DevicePolicy": "closed", "ProtectKernelTunables": "yes", "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes", "ProtectProc": "invisible", "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "StateDirectoryMode": "0700",
    "SystemCallArchitectures": "native", "SystemCallErrorNumber": "EPERM", "LimitCORE": "0",
    "Restart": "on-failure", "WatchdogSec": "60",
}
EACH = {
    "wellgated": {
        "User": ["wellgate"], "Group": ["wellgate"], "PrivateDevices": ["yes"], "PrivateUsers": ["yes"],
        "RestrictAddressFamilies": ["AF_UNIX AF_INET AF_INET6"], "DeviceAllow": [], "SupplementaryGroups": [],
        # it could not ask any more whether the clock is synchronised: no reading would have a sure time
        "ProtectClock": [],
        "SystemCallFilter": ["@system-service", "~@privileged @resources", "adjtimex clock_adjtime"],
    },
    "wellgate-devices": {
        "User": ["wellgate-devices"], "Group": ["wellgate"], "SupplementaryGroups": ["wellgate-usb"],
        # Bluetooth and the events of udev are in the first namespaces only
        "PrivateNetwork": ["no"], "PrivateUsers": [],
        "RestrictAddressFamilies": ["AF_UNIX AF_BLUETOOTH AF_NETLINK"], "IPAddressDeny": ["any"], "IPAddressAllow": [],
        "InaccessiblePaths": ["-/var/lib/wellgate -/etc/wellgate -/var/lib/bluetooth"],
        "DeviceAllow": ["char-usb_device rw", "char-hidraw rw", "char-ttyACM rw", "char-ttyUSB rw", "/dev/rfkill rw"],
        "ProtectClock": ["yes"], "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    },
    "wellgate-page": {
        "User": ["wellgate-page"], "Group": ["wellgate"], "PrivateDevices": ["yes"], "PrivateUsers": ["yes"],
        "RestrictAddressFamilies": ["AF_UNIX AF_INET AF_INET6"], "DeviceAllow": [], "SupplementaryGroups": [],
        # who is in the room, and nobody else
        "IPAddressDeny": ["any"],
        "IPAddressAllow": ["localhost link-local 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"],
        "InaccessiblePaths": ["-/var/lib/wellgate -/var/lib/wellgate-devices -/var/lib/bluetooth"],
        "ProtectClock": ["yes"], "SystemCallFilter": ["@system-service", "~@privileged @resources"],
        # it keeps nothing
        "StateDirectoryMode": [],
    },
    "wellgate-record": {
        "User": ["wellgate-record"], "Group": ["wellgate-record"], "PrivateDevices": ["yes"], "PrivateUsers": ["yes"],
        "RestrictAddressFamilies": ["AF_UNIX AF_INET AF_INET6"], "DeviceAllow": [], "SupplementaryGroups": [],
        "ProtectClock": ["yes"], "SystemCallFilter": ["@system-service", "~@privileged @resources"],
        # its first thread only waits for signals: a watchdog that it fed would watch nothing
        "WatchdogSec": [],
        # a database server may start later than the service
        "TimeoutStartSec": ["infinity"],
    },
}
DROP_IN = {"Restart": ["always"], "WatchdogSec": ["10"], "StartLimitIntervalSec": ["0"], "LimitCORE": ["0"]}


def values(path):
    """key -> its values, in the order of the file."""
    found = {}
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            if "=" in line and not line.startswith(("#", ";")):
                key, value = line.strip().split("=", 1)
                found.setdefault(key, []).append(value)
    return found


def differences(where, unit, wanted):
    return [f"{where}: {key} is {unit.get(key, [])}, not {value}" for key, value in wanted.items()
            if unit.get(key, []) != value]


def score(path):
    """Nothing, or what systemd-analyze thinks of a unit that is too open."""
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={LIMIT}", path],
                            capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return []
    text = (result.stdout + result.stderr).strip().splitlines() or ["systemd-analyze says nothing"]
    return [f"{os.path.basename(path)}: {line.strip()}" for line in text if line.startswith(("✗", "→"))] or text


def plugins(start):
    """The plugins that an ExecStart line leaves out."""
    names = [word.split("=", 1)[1] for word in start.split() if word.startswith("--noplugin=")]
    return set(names[0].split(",")) if names else set()


def drop_in(path):
    unit = values(path)
    found = differences("bluetooth.service.d", unit, DROP_IN)
    starts = unit.get("ExecStart", [])
    if len(starts) != 2 or starts[0] != "":
        return found + ["bluetooth.service.d: ExecStart is not replaced"]
    if not {"input", "hog", "network"} <= plugins(starts[1]):
        found.append("bluetooth.service.d: a device could be a keyboard or a network of the hub")
    if {"policy", "gap"} & plugins(starts[1]):
        found.append("bluetooth.service.d: policy powers the radio after a start, and gap belongs to LE")
    if os.path.exists(BLUETOOTH) and values(BLUETOOTH)["ExecStart"] != [starts[1].split()[0]]:
        found.append("bluetooth.service.d: Debian starts another program: " + values(BLUETOOTH)["ExecStart"][0])
    return found


def verify(dist):
    """systemd reads every line: no unknown key, no wrong value. The programs are not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        units = []
        for name in EACH:
            path = os.path.join(folder, name + ".service")
            with open(os.path.join(dist, name + ".service"), encoding="utf-8") as source, \
                    open(path, "w", encoding="utf-8") as copy:
                copy.write(source.read().replace("ExecStart=/usr/bin/" + name, "ExecStart=/bin/true"))
            units.append(path)
        if os.path.exists(BLUETOOTH):
            units.append(shutil.copy(BLUETOOTH, folder))
            shutil.copytree(os.path.join(dist, "bluetooth.service.d"), units[-1] + ".d")
        result = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                                check=False)
    return [line for line in result.stderr.splitlines() if folder in line]


def main():
    dist = os.path.join(sys.argv[1], DIST)
    found = []
    for name, wanted in EACH.items():
        path = os.path.join(dist, name + ".service")
        both = {key: [value] for key, value in BOTH.items()}
        found += differences(name, values(path), {**both, **wanted}) + score(path)
    found += drop_in(os.path.join(dist, "bluetooth.service.d", "wellgate.conf")) + verify(dist)
    print("\n".join(found) or "units: as shut as they were meant to be")
    return 1 if found else 0


sys.exit(main())
