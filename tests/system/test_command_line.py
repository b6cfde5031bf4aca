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


def no_daemon(stand):
    for command in ("status", "devices", "readings", "goals", "pair"):
        one_line(stand.wellgate(command), 69)
    one_line(stand.wellgate("tail", "--broker", stand.url), 69)


def main():
    with Stand(sys.argv[1]) as stand:
        decode(stand)
        bad_frames(stand)
        specials(stand)
        no_daemon(stand)
        help_text = subprocess.run([stand.path("wellgate"), "--help"], capture_output=True, text=True, check=True)
        for command in ("status", "devices", "readings", "goals", "tail", "decode", "replay", "capture", "export",
                        "simulate", "doctor", "pair", "unpair"):
            assert f"  {command} " in help_text.stdout, command
    print("the command line keeps its promises")


main()
