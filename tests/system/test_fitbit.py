#!/usr/bin/env python3
"""wellgate decode fitbit: what a dump says, how it may be wrapped, whose key, and what cannot be read.

Every dump is invented.
"""
import json
import os
import subprocess
import sys
import tempfile

PLAIN = bytes.fromhex("""
2c02000000000102030410ffee00010707580758000000000000000000001414a00f145000000000bc02e80300000000
00000000000000000000000048454c4c4f20202020204f4e452020202020202054574f20202020202020544852454520
20202020000000000000000000000000000000000000000000000000c0dbdcdd28f153650b00050000000000000000c0
c0dbdcdd6553f1289f2019ff990a00119fdbdcdbddffc0c0dbdcddc0c0dbdcdddcf15365ea00f4000000309b02000000
02000000c000000000c0dbdcddc0e51b000000000000b30000""")
ENCRYPTED = bytes.fromhex("""
2c02000001000102030410ffee00010746f29a61e8cb5e15df6af5fbbaf2835af0526a6890ba21070b37903d9c17d5fc
9bede62301fd2ef173eaae583a39705a26cc84732d5f26cea5c21fc85e7b204fec55ef7645a796be0de4ec77bac62f4a
024e13228708d3c23315ed10339a5a024cd3bd339453d85b3f4a7488ca7dca96ad2b15d59a0965ed26bc1f28c924d848
d52868628aab353e570cf647fadb854f121f28dffb6222d6a099e84de704f48cd71e1b1751a7db3aa0cb5844372a962b
2d9abfa9d78a23365d9ecd1e7d6f018737cedc5bafc4601cb30000""")
FOOTERS = {PLAIN: bytes.fromhex("c0420d609dd9000000"), ENCRYPTED: bytes.fromhex("c0420d02d1db000000")}
KEY = bytes(range(16))
HEX_KEY = KEY.hex()
SERIAL = "10ffee000107"


class Bench:
    def __init__(self, programs, folder):
        self.wellgate = os.path.join(programs, "wellgate")
        self.folder = folder

    def file(self, name, data, mode=0o600):
        path = os.path.join(self.folder, name)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
        os.chmod(path, mode)
        return path

    def run(self, *arguments):
        return subprocess.run([self.wellgate, "decode", "fitbit", *arguments], capture_output=True, check=False)

    def lines(self, data, *arguments):
        result = self.run(self.file("dump", data), *arguments)
        assert result.returncode == 0, result
        assert b"HELLO" not in result.stdout and HEX_KEY.encode() not in result.stdout, result
        return [json.loads(line) for line in result.stdout.splitlines()]

    def refused(self, data, *arguments, code=65):
        """One line that says why, not a reading, and nothing of the key."""
        result = self.run(self.file("dump", data), *arguments)
        assert result.returncode == code, (data[:40], result)
        assert result.stdout == b"" and len(result.stderr.splitlines()) == 1, result
        for secret in (HEX_KEY, HEX_KEY[:-2] + "ff", SERIAL, "HELLO"):
            assert secret.encode() not in result.stderr, result
        return result.stderr.decode()


def packets(data):
    """As the tracker sends it: of the escape only the first byte of a packet."""
    done = 0
    while done < len(data):
        escape = {0xC0: b"\xdb\xdc", 0xDB: b"\xdb\xdd"}.get(data[done])
        taken = 19 if escape else 20
        yield (escape or b"") + data[done + (1 if escape else 0):done + taken]
        done += taken


def air(data):
    return [b"\xc0\x41\x0d", *packets(data), FOOTERS[data]]


def frames(data):
    return [p.ljust(31, b"\0") + bytes([len(p)]) for p in air(data)]


def cap(data, lines, service=0):
    head = ("# wellgate-capture: 1\n# device: an invented tracker\n# provenance: made up\n# consent: synthetic\n"
            f"0.000 open ble{f' service={service:04x}' if service else ''}\n")
    return head + "".join(f"{i + 1}.000 < fb01 {line.hex()}\n" for i, line in enumerate(lines)) + "99.000 close\n"


def check_values(lines):
    assert lines[0]["record"] == "device" and lines[0]["model"] == "Flex", lines[0]
    assert lines[0]["firmware"] == "7.88" and lines[0]["battery_level"] == 80, lines[0]
    minutes = [m for m in lines if m.get("metric") == "steps"]
    assert [(m["device_time"], m["duration_ms"], m["components"][0]["value"], m["met"]) for m in minutes] == [
        ("2023-11-14T22:14:00Z", 60000, "25", "3.2"), ("2023-11-14T22:15:00Z", 60000, "0", "1.0"),
        ("2023-11-14T22:16:00Z", 60000, "219", "19.2")], minutes
    days = [m for m in lines if m.get("record") == "day"]
    assert len(days) == 1 and days[0]["device_time"] == "2023-11-14T22:17:00Z", days
    assert {c["metric"]: c["value"] for c in days[0]["components"]} == {
        "steps": "244", "distance": "170.800", "floors": "0.0", "active_minutes": "2"}, days
    assert days[0]["met_minutes"] == "23.4" and "duration_ms" not in days[0], days
    coverage = [m for m in lines if m.get("record") == "coverage"]
    assert [(c["start"], c["end"], c["minutes"]) for c in coverage] == [
        ("2023-11-14T22:14:00.000Z", "2023-11-14T22:17:00.000Z", 3)], coverage
    assert not [m for m in lines if m.get("metric") == "energy"], lines


def check_wraps(bench, key):
    """However it comes, it says the same."""
    for dump in (PLAIN, ENCRYPTED):
        expected = bench.lines(dump, "--key", key)
        check_values(expected)
        hex_lines = "\n".join(dump[i:i + 20].hex(" ") for i in range(0, len(dump), 20)) + "\n"
        stream = air(dump)
        for wrapped in (dump.hex(), hex_lines, hex_lines.replace("\n", "\r\n"), b"".join(packets(dump)),
                        b"".join(stream), b"".join(frames(dump)), "\n".join(p.hex() for p in stream),
                        "\n".join(p.hex() for p in frames(dump)), cap(dump, stream), cap(dump, frames(dump)),
                        cap(dump, [b"\0" + p for p in frames(dump)]),
                        b"".join([b"\xc0\x41\x0d" + len(dump).to_bytes(4, "little"), *stream[1:]])):
            assert bench.lines(wrapped, "--key", key) == expected, wrapped
        for cut in range(1, len(stream)):
            bench.refused(cap(dump, stream[:cut]), "--key", key)
            bench.refused(b"".join(stream[:cut]), "--key", key)


def check_keys(bench):
    path = os.path.join(bench.folder, "key")
    for good in (HEX_KEY, KEY, f"# of my tracker\n{HEX_KEY.upper()}\n", f"{SERIAL} {HEX_KEY}\n"):
        check_values(bench.lines(ENCRYPTED, "--key", bench.file("key", good)))
    assert "--key" in bench.refused(ENCRYPTED)
    for bad, why in ((HEX_KEY[:-2] + "ff", "(tag)"), (HEX_KEY[:-1], "one key"), (HEX_KEY + "00", "one key"),
                     ("", "one key"), (f"{HEX_KEY}\n{HEX_KEY}\n", "one key"), ("z" * 32, "one key"),
                     ("# nothing\n", "one key"), (HEX_KEY + " " * 2000, "one key"),
                     (f"{SERIAL[:-2]}05 {HEX_KEY}", "another tracker")):
        assert why in bench.refused(ENCRYPTED, "--key", bench.file("key", bad)), bad
    for mode in (0o640, 0o604, 0o660, 0o644, 0o601):
        assert "0600" in bench.refused(ENCRYPTED, "--key", bench.file("key", HEX_KEY, mode)), mode
    os.rename(bench.file("key", HEX_KEY), path + ".real")
    os.symlink(path + ".real", path)
    assert "0600" in bench.refused(ENCRYPTED, "--key", path)
    assert "0600" in bench.refused(ENCRYPTED, "--key", bench.folder)
    bench.refused(ENCRYPTED, "--key", path + ".none", code=74)
    if os.geteuid() == 0:
        os.chown(bench.file("key", HEX_KEY), 65534, 65534)
        assert "0600" in bench.refused(ENCRYPTED, "--key", path)


def check_damage(bench, key):
    for dump in (PLAIN, ENCRYPTED):
        for cut in range(1, len(dump), 7):
            bench.refused(dump[:cut], "--key", key)
        for i in range(16, len(dump), 9):
            bench.refused(dump[:i] + bytes([dump[i] ^ 0x10]) + dump[i + 1:], "--key", key)
    assert "(tag)" in bench.refused(ENCRYPTED[:-4] + bytes([ENCRYPTED[-4] ^ 1]) + ENCRYPTED[-3:], "--key", key)
    for junk in (b"", b"\0" * 40, b"\xff" * 300, b"hello", "00 0", b"\xc0", b"\xc0\x41\x0d", os.urandom(1) * 5000):
        bench.refused(junk, "--key", key)


def check_kept(bench, key):
    """What cannot be read, in plain words."""
    aes = bytes.fromhex("0104000002006800000000010203041600".ljust(160, "0"))
    assert "AES" in bench.refused(aes) and "Charge 2" in bench.refused(aes, "--key", key)
    micro = bytes([0x30]) + PLAIN[1:]
    assert "micro" in bench.refused(micro)
    charge = PLAIN[:15] + b"\x08" + PLAIN[16:]
    assert "lays out" in bench.refused(charge)
    for gate in (b"\x80", b"\x81\0\0\x08\x08", "80\n81 00 00 08 08\n", cap(PLAIN, [b"\x80"], service=0xFD62)):
        assert "Golden Gate" in bench.refused(gate), gate
    assert "refused" in bench.refused(cap(PLAIN, [b"\xc0\x41\x0d", b"\xc0\x03\x17\x20"]))


def check_nights(bench, programs):
    """Seven days of minutes: a row ends where minutes are missing, not where a night is said."""
    path = os.path.join(bench.folder, "week")
    subprocess.run([os.path.join(programs, "wearer-sync"), "--dump", path, "--seed", "3"], check=True)
    lines = [json.loads(line) for line in bench.run(path).stdout.splitlines()]
    starts = [m["device_time"] for m in lines if m.get("metric") == "steps"]
    rows = [(m["start"], m["end"], m["minutes"]) for m in lines if m.get("record") == "coverage"]
    assert sum(row[2] for row in rows) == len(starts) == 10080, rows
    assert all(a[1] < b[0] for a, b in zip(rows, rows[1:])), rows
    nights = [m for m in lines if m.get("metric") == "sleep_duration"]
    assert len(nights) >= 4 and all("estimated" in m["flags"] and "Cole-Kripke" in m["context"] for m in nights), nights


def main():
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sys.argv[1], folder)
        key = os.path.join(folder, "the-key")
        bench.file("the-key", HEX_KEY)
        check_wraps(bench, key)
        check_keys(bench)
        check_damage(bench, key)
        check_kept(bench, key)
        check_nights(bench, sys.argv[1])
        energy = [m for m in bench.lines(PLAIN, "--resting-kcal", "1440") if m.get("metric") == "energy"]
        assert [(m["components"][0]["value"], m["context"]) for m in energy] == [("23.400", "estimated")], energy
        for wrong in (("--resting-kcal", "0"), ("--resting-kcal", "x"), ("--key",), ("more",), ("--no",)):
            assert bench.run(bench.file("dump", PLAIN), *wrong).returncode == 64, wrong
        assert bench.run().returncode == 64
        assert bench.run(os.path.join(folder, "none")).returncode == 74
    print("dumps are read whole or not at all")


main()
