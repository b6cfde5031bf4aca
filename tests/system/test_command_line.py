#!/usr/bin/env python3
"""The public face: exit codes, one line on stderr, JSON Lines."""
import json
import subprocess
import sys

from stand import Stand

BF720 = "0e783eea07050c12353601ee002607"


def one_line(result, code):
    assert result.returncode == code, (result.args, result.returncode, result.stderr)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, f"not one line: {result.stderr!r}"
    return lines[0]


def decode(stand):
    result = stand.wellgate("decode", "gatt", "2a9d", BF720)
    assert result.returncode == 0 and len(result.stdout.splitlines()) == 1, result
    message = json.loads(result.stdout)
    parts = {c["metric"]: (c["value"], c["unit"]) for c in message["components"]}
    assert message["metric"] == "body_weight"
    assert parts == {"body_weight": ("79.960", "kg"), "bmi": ("23.8", "kg/m2"), "height": ("1.830", "m")}, parts
    assert message["device_time"] == "2026-05-12T18:53:54" and message["user_slot"] == 1


def bad_frames(stand):
    for cut in range(0, len(BF720), 2):
        one_line(stand.wellgate("decode", "gatt", "2a9d", BF720[:cut]), 65)
    one_line(stand.wellgate("decode", "gatt", "2a9d", "0"), 65)
    one_line(stand.wellgate("decode", "gatt", "2a9d", "zz"), 65)
    one_line(stand.wellgate("decode", "gatt", "2a9d", BF720 + "00"), 65)
    assert stand.wellgate("decode", "gatt").returncode == 64
    assert stand.wellgate("no-such-command").returncode == 64


def specials(stand):
    """All five special values and 0xFFFF: a reason, never a number."""
    for raw, why in (("ff07", "NaN"), ("0008", "NRes"), ("fe07", "+INF"), ("0208", "-INF"), ("0108", "reserved")):
        result = stand.wellgate("decode", "gatt", "2a35", "00" + raw + "5000" + "6000")
        message = json.loads(result.stdout)
        assert message["absent"] == {"systolic": why}, message
        assert "systolic" not in [c["metric"] for c in message.get("components", [])]
    message = json.loads(stand.wellgate("decode", "gatt", "2a9d", "00ffff").stdout)
    assert message["absent"] == {"body_weight": "unsuccessful"} and not message.get("components"), message


def omron(stand):
    """A record of an Omron cuff by its model; one that does not add up, or of no model, is no reading."""
    record = "7d5d461a2b2541160000200000010200"
    line = stand.wellgate("decode", "omron", "HEM-7155T", record).stdout
    assert pressure(line) == ("150", "93", "70", "2026-09-09T11:25:01")
    assert stand.wellgate("decode", "omron", "X4 Smart", record).stdout == line
    one_line(stand.wellgate("decode", "omron", "HEM-7155T", "7c" + record[2:]), 65)
    one_line(stand.wellgate("decode", "omron", "HEM-7155T", "ff" * 16), 65)
    one_line(stand.wellgate("decode", "omron", "HEM-7155T", record[:-2]), 65)
    one_line(stand.wellgate("decode", "omron", "M7 Intelli IT", record), 65)


def pressure(line):
    message = json.loads(line)
    parts = {c["metric"]: c["value"] for c in message["components"]}
    return parts["systolic"], parts["diastolic"], parts["pulse"], message["device_time"]


def cuffs(stand):
    """What cuffs on wires have sent."""
    expected = ("134", "85", "66", "2026-05-12T07:31:00")
    row = "00000001071f0c051a0200865542"
    for record in ("ac6d3c42050c071f1a", "6d3c42050c071f1a", row, row.ljust(128, "0")):
        assert pressure(stand.wellgate("decode", "beurer", record).stdout) == expected, record
    flags = json.loads(stand.wellgate("decode", "beurer", "6d3c42858c071f9a").stdout)
    assert flags["user_slot"] == 2 and flags["flags"] == ["movement", "irregular_pulse"], flags
    for bad in ("a9", "", "6d", "6d3c42050c071f", "ad6d3c42050c071f1a", "6d3c42050c181f1a", "6d3c42050c071f1x"):
        one_line(stand.wellgate("decode", "beurer", bad), 65)
    text = "00020000414230313233000000000000" + 2 * "26051207310000000421548600000000"
    answer = "06" + text.encode().hex() + f"{sum(text.encode()) % 256:02X}".encode().hex()
    result = stand.wellgate("decode", "microlife", answer)
    assert [pressure(line) for line in result.stdout.splitlines()] == [expected, expected], result
    for bad in ("06", answer[:-2], answer + "30", "15" + answer[2:], answer[:40] + "39" + answer[42:]):
        one_line(stand.wellgate("decode", "microlife", bad), 65)


def no_daemon(stand):
    for command in ("status", "devices", "readings", "goals", "pair"):
        one_line(stand.wellgate(command), 69)
    one_line(stand.wellgate("tail", "--broker", stand.url), 69)


def main():
    with Stand(sys.argv[1]) as stand:
        decode(stand)
        bad_frames(stand)
        specials(stand)
        cuffs(stand)
        omron(stand)
        no_daemon(stand)
        help_text = subprocess.run([stand.path("wellgate"), "--help"], capture_output=True, text=True, check=True)
        for command in ("status", "devices", "readings", "goals", "tail", "decode", "replay", "capture", "export",
                        "simulate", "doctor", "pair", "unpair"):
            assert f"  {command} " in help_text.stdout, command
    print("the command line keeps its promises")


main()
