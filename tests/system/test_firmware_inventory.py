#!/usr/bin/env python3
"""wellgate-firmware inventory: after the shipped week, what a fleet manager would look at."""
import csv
import io
import json
import os
import subprocess
import sys

from stand import LIMIT, SOURCE, Stand, wait_for

WEEK = os.path.join(SOURCE, "gateway", "dist", "demo", "home-week.cap")
# devices that say who they are: over Bluetooth, as a cable's 11073, as a tracker
NAMED = ("pulse_oximeter/session.cap", "blood_pressure/session.cap", "weight_scale/bf720_session.cap",
         "infinitime/session.cap",
         "omron_ble/session.cap", "phd/weight_scale.cap", "fitbit_dongle/full_sync.cap",
         "a_and_d/cuff.cap")
CAPTURES = os.path.join(SOURCE, "tests", "captures")


def inventory(stand, *arguments, code=0):
    result = subprocess.run([stand.path("wellgate-firmware"), "inventory", *arguments], capture_output=True,
                            check=False, env={**os.environ, "WELLGATE_RUNTIME_DIR": stand.runtime})
    assert result.returncode == code, (arguments, result)
    assert (code < 64) == (result.stderr == b""), result
    return result.stdout.decode()


def policy(stand, text):
    path = os.path.join(stand.folder, "policy.txt")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return "--policy", path


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def same_in_every_form(stand, devices):
    table = inventory(stand).splitlines()
    assert table[0].split()[:3] == ["device", "make", "model"] and table[-1].startswith(f"{len(devices)} device")
    assert len(table) == len(devices) + 2
    fields = list(csv.DictReader(io.StringIO(inventory(stand, "--format", "csv"), newline="")))
    assert [{k: v for k, v in row.items() if v} for row in fields] == devices, (fields, devices)


def judged(stand, devices):
    known = next(d for d in devices if d.get("firmware") and d.get("model"))
    everything = "# all\nallowed | * | * | *\n"
    assert {d["state"] for d in rows(inventory(stand, "--json", *policy(stand, everything)))} == {"allowed"}
    assert {d["state"] for d in rows(inventory(stand, "--json", *policy(stand, ""), code=1))} == {"unknown"}
    row = "recalled | {make} | {model} | {firmware} | made up\n".format(**{"make": "*", **known})
    found = rows(inventory(stand, "--json", *policy(stand, everything + row), code=2))
    assert [d for d in found if d["state"] == "recalled" and d["note"] == "made up" and
            d["firmware"] == known["firmware"]], found
    row = row.replace("recalled", "outdated").replace(known["firmware"] + " |", "..<" + known["firmware"] + " |")
    inventory(stand, *policy(stand, everything + row), code=0)  # the one that runs is not below itself
    inventory(stand, *policy(stand, "allowed | x\n"), code=65)


def says_who(devices):
    """The week is of four devices, each with all that a table wants; and every way to say it leads there."""
    said = {(d.get("make"), d.get("model"), d.get("hardware"), d.get("firmware")) for d in devices}
    maker = "Wellgate simulated"
    for row in ((maker, "Home cuff", "A", "2.1.0"), (maker, "Home scale", "A", "1.4"),
                (maker, "Home thermometer", "A", "1.0.3"), (maker, "Chest strap", "A", "3.07"),
                ("Example Maker", "BP-1", None, "1.0")):  # Device Information
        assert row in said, (row, said)
    said = {row[:2] + row[3:] for row in said}
    assert ("Fitbit", "Flex", "7.88") in said, said  # the static block of a tracker
    assert ("Synthetic", "Agent 1", None) in said, said  # attributes of 11073


def fleet_of(status):
    return [{k: v for k, v in row.items()} for row in status.get("fleet", [])]


def on_one_screen(stand, devices):
    """wellgate status counts the same fleet, by kind."""
    command = [stand.path("wellgate"), "status", "--runtime-dir", stand.runtime]
    status = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    assert sum(row["devices"] for row in status["fleet"]) == len(devices), status
    scale = next(row for row in status["fleet"] if row.get("model") == "Home scale")
    assert scale["first_seen"] == "2026-11-16" and scale["last_seen"] >= scale["first_seen"], scale
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert "1 Wellgate simulated Home scale, hardware A, firmware 1.4, seen 2026-11-16 to " in text, text


def main():
    with Stand(sys.argv[1]) as stand:
        inventory(stand, code=69)  # nobody is there to ask
        stand.start_broker()
        stand.subscribe()
        stand.start_gateway()
        wait_for("the gateway", lambda: stand.status() is not None)
        assert inventory(stand).splitlines()[-1] == "0 devices"
        stand.start_devices(WEEK)
        stand.finish_replay()
        for capture in NAMED:
            stand.start_devices(os.path.join(CAPTURES, capture))
            assert stand.devices.wait(LIMIT) in (0, 65), capture  # 65: some frames are spoiled on purpose
        devices = rows(inventory(stand, "--json"))
        assert devices and all(d["first_seen"] <= d["last_seen"] for d in devices), devices
        print(inventory(stand))
        says_who(devices)
        on_one_screen(stand, devices)
        same_in_every_form(stand, devices)
        judged(stand, devices)
        assert stand.stop_gateway() == 0
        wait_for("the fleet in a status",
                 lambda: any(sum(f["devices"] for f in fleet_of(m)) == len(devices) for m in stand.decoded()))
    print(f"{len(devices)} devices")


main()
