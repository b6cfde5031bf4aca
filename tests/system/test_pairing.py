#!/usr/bin/env python3
"""A pairing as the operator and as a script live through it: the real gateway and command line, and a
radio that is played (radio.py). Every way it can end, and what is said then."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys

from radio import EBUSY, ENODEV, ENOENT, LIMIT, Radio
from stand import Stand, wait_for


class Operator:
    """wellgate pair with pipes, as a script has it, or with a terminal."""

    def __init__(self, stand, *arguments, terminal=False):
        environment = {**os.environ, "WELLGATE_RUNTIME_DIR": stand.runtime}
        self.master = None
        ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        if terminal:
            self.master, end = pty.openpty()
            ends = {"stdin": end, "stdout": end}
        self.process = subprocess.Popen([stand.path("wellgate"), *arguments], stderr=subprocess.PIPE,
                                        env=environment, **ends)
        if terminal:
            os.close(end)
        self.out = b""

    def _source(self):
        return self.master if self.master is not None else self.process.stdout.fileno()

    def until(self, what):
        """Reads until this text has come."""
        while what.encode() not in self.out:
            ready, _, _ = select.select([self._source()], [], [], LIMIT)
            assert ready, f"hung: waited for {what!r}, have {self.text()}"
            data = os.read(self._source(), 4096)
            assert data, f"ended before {what!r}: {self.text()} {self.process.stderr.read().decode()}"
            self.out += data
        return self.text()

    def text(self):
        return self.out.decode()

    def type(self, line):
        os.write(self.master if self.master is not None else self.process.stdin.fileno(), (line + "\n").encode())

    def end(self, code):
        """What it wrote, and its one line on stderr."""
        if self.master is None:
            self.process.stdin.close()
            self.process.stdin = None
            out, error = self.process.communicate(timeout=LIMIT)
            self.out += out
        else:
            error = self.process.stderr.read()
            self.process.wait(timeout=LIMIT)
            os.close(self.master)
        assert self.process.returncode == code, (self.process.returncode, self.text(), error)
        assert len(error.decode().splitlines()) == (0 if code == 0 else 1), error
        return self.text(), error.decode().strip()

    def events(self, code):
        out, error = self.end(code)
        return [json.loads(line) for line in out.splitlines()], error


def scale(radio, **more):
    return radio.device(1, "Scale One", "weight_scale", **more)


def passkey(stand, radio):
    """The whole way: two candidates, one chosen by its number, the passkey typed with a blank in it."""
    operator = Operator(stand, "pair", "--consent", "2:1234", "--seconds", "60")
    command = radio.expect("pair")
    assert (command.pair.consent_slot, command.pair.consent_code, command.pair.seconds) == (2, 1234, 60), command
    assert not command.pair.HasField("driver") and not command.pair.HasField("address"), command
    operator.until("Put the device close to this box")
    radio.phase("LOOKING", candidates=[radio.candidate(1, "Scale One", "weight_scale"),
                                       radio.candidate(2, "Cuff", "blood_pressure", -95, enrolled=True)])
    text = operator.until("Which one?")
    assert re.search(r"1 +▂▄▆█ +Scale One +scale\n", text), text
    assert re.search(r"2 +···· +Cuff +blood pressure monitor, paired already\n", text), text
    operator.type("7")
    operator.until("That is no number of this list.")
    operator.type("1")
    command = radio.expect("choose")
    assert command.choose == 1 and command.pairing == radio.pairing, command
    radio.phase("LINKING")
    operator.until("Connecting.")
    radio.phase("PASSKEY")
    operator.until("Type the six digits that the device shows")
    operator.type("12345")
    operator.until("Six digits are needed.")
    operator.type("012 345")
    assert radio.expect("passkey").passkey == 12345
    radio.phase("SETTLING")
    operator.until("Paired. Now it is asked")
    radio.phase("DONE", device=scale(radio, security=4, consents=1))
    text, _ = operator.end(0)
    for words in ("Scale One is paired with this hub", "proved by a number", "only when it is stored",
                  "1 may be read", "Step on it"):
        assert words in text, (words, text)
    assert "02:00:5E" not in text, "an address was not asked for"
    reference = re.search(r"reference ([0-9a-f]{8})", text).group(1)
    devices = [json.loads(line) for line in stand.wellgate("devices", "--json").stdout.splitlines()]
    assert [d["device"][:8] for d in devices] == [reference], devices
    assert "address" not in devices[0] and devices[0]["security"] == "authenticated", devices


def script(stand, radio):
    """--json, nobody there: the only candidate is taken, the passkey was given before."""
    operator = Operator(stand, "pair", "--json", "--yes", "--passkey", "654321", "--driver", "weight_scale")
    assert radio.expect("pair").pair.driver == "weight_scale"
    radio.phase("LOOKING", candidates=[radio.candidate(3, "Scale", "weight_scale", -71)])
    assert radio.expect("choose").choose == 3
    radio.phase("PASSKEY")
    assert radio.expect("passkey").passkey == 654321
    radio.phase("DONE", device=radio.device(3, "Scale", "weight_scale", security=2))
    events, _ = operator.events(0)
    assert [e["event"] for e in events] == ["begun", "candidate", "phase", "paired"], events
    assert events[1] == {"event": "candidate", "number": 3, "name": "Scale", "driver": "weight_scale", "signal": 2,
                         "rssi": -71, "paired": False}, events
    assert events[3]["security"] == "clear" and events[3]["path"] == "bearer" and len(events[3]["device"]) == 32


def by_address(stand, radio):
    """Of several, the one with the address on the label is taken; answers may be typed ahead."""
    operator = Operator(stand, "pair", "--json", "--address", "02:00:5e:10:00:05")
    operator.type("y")
    assert radio.expect("pair").pair.address == "02:00:5e:10:00:05"
    radio.phase("LOOKING", candidates=[radio.candidate(4, "Scale", "weight_scale"),
                                       radio.candidate(5, "Scale", "weight_scale", -85)])
    assert radio.expect("choose").choose == 5
    radio.phase("MATCH", passkey=42)
    assert radio.expect("answer").answer is True
    radio.phase("FAILED", reason="The device refused. Start its pairing mode again.")
    events, error = operator.events(69)
    assert events[-1] == {"event": "failed", "reason": "The device refused. Start its pairing mode again."}, events
    assert {"event": "phase", "phase": "match", "passkey": "000042"} in events, events
    assert error == "wellgate pair: nothing was paired: The device refused. Start its pairing mode again.", error


def show_and_interrupt(stand, radio):
    """At a terminal: a number to type into the device; Ctrl-C takes the pairing back."""
    operator = Operator(stand, "pair", terminal=True)
    radio.expect("pair")
    radio.phase("SHOW", passkey=7089)
    operator.until("007 089")
    operator.until("Pairing ... 1:2")
    operator.process.send_signal(signal.SIGINT)
    assert radio.expect("cancel").pairing == radio.pairing
    _, error = operator.end(69)
    assert error == "wellgate pair: stopped by you; nothing was paired", error


def refusals(stand, radio):
    """What the radio refuses is said in words, and the gateway stands in for a radio that is gone."""
    for error, words in ((EBUSY, "Another pairing is running"), (ENODEV, "adapter is not ready")):
        operator = Operator(stand, "pair", "--json")
        radio.expect("pair", error)
        events, _ = operator.events(69)
        assert words in events[-1]["reason"], events
    operator = Operator(stand, "pair")
    radio.expect("pair")
    radio.phase("LOOKING", candidates=[radio.candidate(1, "Scale", "weight_scale")])
    operator.until("Is it this one?")
    second = stand.wellgate("pair")
    assert second.returncode == 69 and "another pairing is running" in second.stderr, second
    operator.type("1")
    radio.expect("choose", ENOENT)
    operator.until("That one is not there any more.")
    radio.phase("PASSKEY")
    _, error = operator.end(69)
    assert "nobody is there to give it" in error, error
    radio.expect("cancel")


def killed(stand, radio):
    """Nobody asks any more how it stands: the gateway takes the pairing back."""
    operator = Operator(stand, "pair", "--json")
    radio.expect("pair")
    operator.until("begun")
    operator.process.kill()
    operator.process.communicate()
    assert radio.expect("cancel").pairing == radio.pairing


def time_out(stand, radio):
    """The window closes: the radio says so; stale words of an older pairing change nothing."""
    old = radio.pairing
    operator = Operator(stand, "pair", "--json", "--seconds", "10")
    radio.expect("pair")
    new, radio.pairing = radio.pairing, old
    radio.phase("DONE", device=scale(radio))
    radio.pairing = new
    radio.phase("LOOKING", left=-1)
    radio.phase("FAILED", reason="No device was found in time. Put it in pairing mode and try again.")
    events, _ = operator.events(69)
    assert [e["event"] for e in events] == ["begun", "failed"], events


def unpair(stand, radio):
    devices = [json.loads(line) for line in stand.wellgate("devices", "--json").stdout.splitlines()]
    reference = next(d["device"] for d in devices if d.get("name") == "Scale One")
    assert stand.wellgate("unpair", "99", "--yes").returncode == 64
    assert stand.wellgate("unpair", "xyz", "--yes").returncode == 64
    operator = Operator(stand, "unpair", reference[:8])
    operator.type("n")
    _, error = operator.end(69)
    assert "nothing was changed" in error, error
    operator = Operator(stand, "unpair", reference[:8], "--yes")
    assert radio.expect("unpair").unpair.address == "02:00:5E:10:00:01 public"
    text, _ = operator.end(0)
    assert "Its readings stay." in text, text
    operator = Operator(stand, "pair", "--again", reference)
    command = radio.expect("retry", ENODEV)
    assert command.retry.address == "02:00:5E:10:00:01 public" and not command.retry.HasField("digest")
    operator.end(69)
    radio.status("READY", [])
    wait_for("the device to go", lambda: '"paired":true' not in stand.wellgate("devices", "--json").stdout)
    assert stand.wellgate("unpair", reference, "--yes").returncode == 64


def health(stand, radio):
    """devices and doctor: what the radio found, and a status of several packets."""
    radio.status("READY", [scale(radio, trouble="BOND_SUSPECT", rssi=-66, battery=17, firmware="1.2")], last=False,
                 findings=[{"level": 1, "what": "the radio is fine"}])
    radio.status("READY", [radio.device(n, f"Device {n}", "heart_rate") for n in range(2, 90)], first=False)
    wait_for("all devices", lambda: stand.wellgate("devices", "--json").stdout.count('"paired":true') == 89)
    text = stand.wellgate("devices", "--addresses").stdout
    for words in ("Scale One", "17 %", "firmware 1.2", "refuses the key", "address 02:00:5E:10:00:59 public"):
        assert words in text, (words, text)
    operator = Operator(stand, "doctor")
    command = radio.hear()
    assert command.WhichOneof("what") == "report"
    radio.status("BLOCKED", [], findings=[{"level": 3, "what": "any user may listen", "advice": "install the policy"}])
    radio.outcome(command)
    text, _ = operator.end(69)
    assert "problem  Bluetooth: any user may listen\n         -> install the policy\n" in text, text
    assert "the adapter is blocked" in text and "the radio is fine" not in text, text
    assert radio.clocks and radio.clocks[0].HasField("synced") and radio.clocks[0].HasField("zone_offset_min")


def gone(stand, radio):
    """The devices process dies in the middle."""
    operator = Operator(stand, "pair", "--json")
    radio.expect("pair")
    radio.close()
    events, _ = operator.events(69)
    assert "The Bluetooth program ended" in events[-1]["reason"], events
    result = stand.wellgate("pair")
    assert result.returncode == 69 and "is not running" in result.stderr, result
    result = stand.wellgate("devices")
    assert result.returncode == 0 and "wellgate-devices is not running" in result.stdout, result


def wrong_options(stand):
    for arguments in (["--driver", "no_such"], ["--address", "02:00"], ["--passkey", "12345"], ["--consent", "1"],
                      ["--consent", "255:1"], ["--register", "10000"], ["--seconds", "9"], ["--again"], ["extra"]):
        result = stand.wellgate("pair", *arguments)
        assert result.returncode == 64 and len(result.stderr.splitlines()) == 1, result
    assert stand.wellgate("unpair").returncode == 64


def main():
    with Stand(sys.argv[1]) as stand:
        stand.start_gateway()
        wait_for("the gateway", lambda: stand.status() is not None)
        wrong_options(stand)
        radio = Radio(stand)
        radio.connect()
        radio.status("READY")
        for part in (passkey, script, by_address, show_and_interrupt, refusals, killed, time_out, unpair, health, gone):
            part(stand, radio)
        assert stand.stop_gateway() == 0
        with open(stand.logs.name, "rb") as log:
            text = log.read()
        assert b"02:00:5" not in text and b"Scale" not in text and b"654321" not in text, "the log says too much"
        for name in os.listdir(stand.state):
            with open(os.path.join(stand.state, name), "rb") as stream:
                assert b"02:00:5E" not in stream.read(), f"{name} holds an address"
    print("pairings end as they should, and say so")


main()
