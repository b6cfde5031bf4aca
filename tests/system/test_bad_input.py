#!/usr/bin/env python3
"""What goes wrong at start and at the doors: each a clear line, the right exit code, no crash."""
import os
import shutil
import socket
import subprocess
import sys

from stand import Stand, wait_for

BAD_CONFIGS = [
    ("[hub]\nsight = x\n", ":2:"),                       # unknown key
    ("[hubb]\nsite = x\n", ":2:"),                       # unknown section
    ("[hub]\nsite = a/b\n", ":2:"),                      # not one topic level
    ("[broker]\nurl = http://x\n", ":2:"),
    ("[broker]\nwindow = -1\n", ":2:"),
    ("[broker]\nwindow = lots\n", ":2:"),
    ("[store]\nkeep_days = 99999999999\n", ":2:"),
    ("[hub]\ntime_zone = Mars/Base\n", ":2:"),
    ("[goal g]\nmetric = energy\nrule = sum_per_period\ntarget = 1\nperiod = day\n", ":"),
    ("[hub\n", ":1:"),
]


def expect(result, codes, *words):
    text = result.stderr.strip()
    assert result.returncode in codes, (result.returncode, text)
    assert text and len(text.splitlines()) == 1, f"not one line: {text!r}"
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"


def gateway(stand, config, *options):
    return subprocess.run([stand.path("wellgated"), "--config", config, *options], capture_output=True, text=True,
                          check=False, timeout=60)


def bad_configs(stand):
    path = os.path.join(stand.folder, "bad.conf")
    for text, where in BAD_CONFIGS:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        expect(gateway(stand, path, "--check"), (65,), path + where)
    with open(path, "wb") as stream:
        stream.write(b"[hub]\nsite = a\0b\n")
    expect(gateway(stand, path, "--check"), (65,), path)
    expect(gateway(stand, os.path.join(stand.folder, "missing.conf")), (65, 74), "missing.conf")


def bad_state(stand):
    database = os.path.join(stand.state, "wellgate.db")
    with open(stand.state, "wb"):
        pass  # a file where the folder should be
    expect(gateway(stand, stand.config), (74,), stand.state)
    os.remove(stand.state)
    os.makedirs(stand.state, mode=0o700)
    subprocess.run(["/usr/bin/python3", "-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]);"
                    "c.execute('create table recipes(x)'); c.commit()", database], check=True)
    with open(database, "rb") as stream:
        before = stream.read()
    expect(gateway(stand, stand.config), (65, 74), "wellgate.db")
    with open(database, "rb") as stream:
        assert stream.read() == before, "a foreign database was touched"
    shutil.rmtree(stand.state)


def second_instance(stand):
    stand.start_gateway()
    wait_for("the gateway", lambda: stand.status() is not None)
    expect(gateway(stand, stand.config), (69, 74))


def hostile_devices_socket(stand):
    """Garbage on the devices socket ends that connection, not the gateway."""
    path = os.path.join(stand.runtime, "devices.sock")
    for packet in (b"\xff" * 64, b"\x08", os.urandom(4096), b"\0" * 65536, b"\x12\xff\xff\xff\xff\x0f"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.connect(path)
            try:
                door.send(packet)
                door.settimeout(60)
                door.recv(65536)
            except (ConnectionError, OSError):
                pass
    assert stand.status() is not None, "the gateway is gone"


def damaged_database(stand):
    """After damage the gateway starts, keeps the old file aside, says so, and loses no sound row."""
    capture = stand.simulate(300, seed=5)
    stand.start_devices(capture)
    wait_for("the replay", lambda: stand.devices.poll() is not None)
    before = stand.wellgate("readings", "--json", "--limit", "1000").stdout.splitlines()
    assert len(before) == 300, len(before)
    assert stand.stop_gateway() == 0
    database = os.path.join(stand.state, "wellgate.db")
    size = os.path.getsize(database)
    with open(database, "r+b") as stream:
        stream.seek(size // 2)
        stream.write(b"\xa5" * 3000)
    stand.start_gateway()
    wait_for("the gateway", lambda: stand.status() is not None)
    after = stand.wellgate("readings", "--json", "--limit", "1000").stdout.splitlines()
    assert set(after) <= set(before), "salvage invented something"
    assert len(after) > 200, f"only {len(after)} of 300 were salvaged"
    return len(after)


def main():
    with Stand(sys.argv[1]) as stand:
        bad_configs(stand)
        bad_state(stand)
        second_instance(stand)
        hostile_devices_socket(stand)
        kept = damaged_database(stand)
        assert stand.stop_gateway() == 0
    print(f"bad configurations, states, packets: all said so; damaged database: {kept} of 300 readings salvaged")


main()
