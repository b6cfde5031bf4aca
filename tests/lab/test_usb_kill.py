"""kill -9 of the hub's programs at random, while simulated devices on USB are read over the real kernel.

The invariant: what a device saw confirmed is in the store exactly once, under that device, with that
value and time; what a cuff keeps for ever is in the store exactly once, however often it was read; and
when nothing is killed any more, all that was measured comes. `campaign --usb` is the long form.
"""
import json
import os
import random
import re
import time

import frames
from test_kill import Kills
from test_usb_hub import comparable
from world import scenario

RESTART = 0.3  # seconds until the supervisor starts a program again
HELD = 3  # readings that a phdc device may hold before it waits with the next
MEMORY = 60  # readings of a cuff that keeps all; then it is only read again
RECOVERY = 180.0  # seconds
CONFIRMING = ["phdc_cuff", "phdc_scale", "phdc_cuff"]
KEEPING = ["beurer_hid", "omron_memory", "beurer_serial", "phdc_meter"]
MODELS = CONFIRMING + KEEPING
DEVICES = range(len(MODELS))
# what a device logs when it gives readings away
GIVES = {**dict.fromkeys(CONFIRMING, "reported"), **dict.fromkeys(KEEPING, "sends"), "phdc_meter": "confirmed"}
# who is killed, how often; "both": the gateway stands still for a while, then both daemons at once
VICTIMS = {"devices": 4, "gateway": 3, "both": 3}
BAD = ("lost", "missing", "doubled", "strange", "misfiled", "refused", "host errors")


class UsbKills(Kills):
    """After so many packets of readings; a dialogue has many, so also in the middle of one."""

    def __init__(self, world, seed):
        super().__init__(world, seed)
        self.victims, self.counts = dict(VICTIMS), dict.fromkeys(VICTIMS, 0)
        self.next()

    def next(self):
        super().next()
        self.sessions = self.rng.randint(1, 30)


class Cables:
    """What the devices did and saw, from their log."""

    LINE = re.compile(r"^\S+ (\d+) \S+ (plugged|measured|reported|sends|associating|confirmed|refused|"
                      r"host-error)\b(?: (.*))?$")

    def __init__(self, world):
        self.world, self.offset, self.rest = world, 0, b""
        self.measured = {}   # (device, number) -> values, comparable
        self.confirmed = {}  # (device, number) -> how often
        self.sessions = dict.fromkeys(DEVICES, 0)  # dialogues in which readings were said
        self.refused = self.host_errors = 0
        self._spoke = set()

    def lines(self):
        with open(self.world.log_path("cables"), "rb") as stream:
            stream.seek(self.offset)
            new = stream.read()
        self.offset += len(new)
        *lines, self.rest = (self.rest + new).split(b"\n")
        return [line.decode("ascii", "replace") for line in lines]

    def pump(self, on_reading=lambda: None):
        for match in filter(None, map(self.LINE.match, self.lines())):
            device, event, words = int(match.group(1)), match.group(2), match.group(3)
            if event in ("plugged", "associating"):
                self._spoke.discard(device)
            if event == GIVES[MODELS[device]]:
                if device not in self._spoke:
                    self.sessions[device] += 1
                self._spoke.add(device)
                on_reading()
            self.count(device, event, words)

    def count(self, device, event, words):
        if event == "measured":
            values = dict(word.split("=") for word in words.split())
            number = int(values.pop("n"))
            self.measured[device, number] = comparable(values)
        elif event == "confirmed":
            key = device, int(words.split("=")[1])
            self.confirmed[key] = self.confirmed.get(key, 0) + 1
        self.refused += event == "refused"
        self.host_errors += event == "host-error"

    def killed(self):
        """Whoever is read now is read from the beginning."""
        self.pump()
        self._spoke.clear()


class UsbCampaign:
    """Some devices, kills until there were enough sessions, then peace, then the reckoning."""

    def __init__(self, world, seed):
        self.world, self.seed, self.cables = world, seed, Cables(world)
        self.rng = random.Random(seed + 1000)
        self.taken = dict.fromkeys(DEVICES, 0)
        self.plugged = dict.fromkeys(DEVICES, False)
        self.replug = dict.fromkeys(DEVICES, 0.0)
        self.plugs = 0

    def measure(self, device, most):
        gone = 0 if MODELS[device] in KEEPING else sum(1 for key in self.cables.confirmed if key[0] == device)
        held = self.taken[device] - gone
        if held < most:
            self.world.usbctl(f"{device} measure")
            self.taken[device] += 1

    def visit(self, device, now):
        """A cuff that is carried about: out, used, and in again. Others are used where they are."""
        keeps = MODELS[device] in KEEPING
        if not keeps:
            self.measure(device, HELD)
        if now < self.replug[device]:
            return
        if self.plugged[device]:
            self.world.usbctl(f"{device} unplug")
        if keeps:
            self.measure(device, MEMORY)
        # a port is free when the kernel has done with what was in it
        self.plugged[device] = not self.world.usbctl(f"{device} plug", check=False).startswith("error")
        self.plugs += self.plugged[device]
        self.replug[device] = now + (self.rng.uniform(4, 12) if keeps else self.rng.uniform(6, 30))

    def run(self, sessions, seconds, progress=lambda line: None):
        """Returns the counts; raises if the hub does not come back."""
        world, start = self.world, time.monotonic()
        world.usb()
        world.gateway(restart=RESTART)
        world.devices("--usb", restart=RESTART)
        world.usb(*[f"add {model}" for model in MODELS])
        kills = UsbKills(world, self.seed)
        visited = said = 0.0
        while sum(self.cables.sessions.values()) < sessions and time.monotonic() < start + seconds:
            now = time.monotonic()
            if now >= visited + 0.5:
                visited = now
                for device in DEVICES:
                    self.visit(device, now)
            if now >= said + 30:
                said = now
                progress(f"{now - start:5.0f} s: {self.line(kills)}")
            killed = sum(kills.counts.values())
            self.cables.pump(kills.indicated)
            kills.pump()
            if sum(kills.counts.values()) > killed:
                self.cables.killed()
            time.sleep(0.01)  # watched from outside, like all waits here
        kills.finish()
        return self.settle(start, kills)

    def settle(self, start, kills):
        """All plugged in once more, and nothing that kills."""
        world, peace = self.world, time.monotonic()
        world.say("no more kills")
        world.usbctl("all unplug")
        for device in DEVICES:
            world.wait(f"a port for device {device}",
                       lambda d=device: not world.usbctl(f"{d} plug", check=False).startswith("error"))
        try:
            world.wait("all that the devices hold", self.empty, RECOVERY)
        except AssertionError as error:
            world.say(str(error))  # the reckoning says what is missing
        counts = self.reckon()
        counts.update(seconds=round(peace - start), recovery=round(time.monotonic() - peace, 1),
                      kills=kills.counts)
        return counts

    def line(self, kills):
        return (f"{sum(self.cables.sessions.values())} sessions in {self.plugs} plugs, "
                f"{len(self.cables.confirmed)} confirmed, kills {sum(kills.counts.values())}")

    def empty(self):
        self.cables.pump()
        return len(self.stored()) >= sum(self.taken.values()) and self.all_confirmed()

    def all_confirmed(self):
        return all((device, n) in self.cables.confirmed for device in DEVICES
                   if MODELS[device] in CONFIRMING for n in range(1, self.taken[device] + 1))

    # ---- the reckoning

    def stored(self):
        """What is durable; the gateway may be on its way back."""
        def ask():
            result = self.world.wellgate("readings", "--json", "--limit", "1000000")
            return result.stdout if result.returncode == 0 else None
        lines = self.world.wait("the gateway's answer", ask)
        return [json.loads(line) for line in lines.splitlines()]

    def reckon(self):
        """Lost, doubled, misfiled: by values and time, which no two readings of a run have in common."""
        readings = self.stored()
        with open(os.path.join(self.world.out, "readings.json"), "w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(reading) + "\n" for reading in readings)
        self.cables.pump()
        by_values = {values: key for key, values in self.cables.measured.items()}
        assert len(by_values) == len(self.cables.measured), "two devices measured the same"
        seen, strange, owners = {}, 0, {}
        for reading in readings:
            values = {name: value for name, value in frames.of_reading(reading).items() if name != "record"}
            key = by_values.get(comparable(values))
            if key is None:
                strange += 1
                self.world.say(f"STRANGE: {values}")
                continue
            seen[key] = seen.get(key, 0) + 1
            owners.setdefault(key[0], set()).add(reading["device"].get("serial_digest"))
        lost = [key for key in self.cables.confirmed if key not in seen]
        missing = sorted(set(by_values.values()) - set(seen) - set(lost))
        self.world.say(f"lost {lost}, missing {missing}")
        everybody = [owner for owner in owners.values() for owner in owner]
        return {
            "sessions": sum(self.cables.sessions.values()), "plugs": self.plugs,
            "taken": len(by_values), "confirmed": len(self.cables.confirmed), "stored": len(readings),
            "lost": len(lost), "missing": len(missing), "doubled": sum(n - 1 for n in seen.values()),
            "strange": strange,
            "misfiled": len(everybody) - len(owners) + len(everybody) - len(set(everybody)),
            "refused": self.cables.refused, "host errors": self.cables.host_errors,
            "confirmed again": sum(n - 1 for n in self.cables.confirmed.values()),
            **{f"sessions {device} {MODELS[device]}": n for device, n in self.cables.sessions.items()},
        }


@scenario(limit=600)
def test_usb_kill_at_random(world):
    """Thirty sessions, or a minute and a half of them, and a kill after every few."""
    counts = UsbCampaign(world, seed=1).run(sessions=30, seconds=90, progress=world.say)
    world.say("figure: " + json.dumps(counts))
    assert not any(counts[what] for what in BAD), counts
    assert counts["confirmed"] >= 3 and sum(counts["kills"].values()) >= 1, counts
