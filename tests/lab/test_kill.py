"""kill -9 of every program of the hub at random, while simulated devices are read over the real kernel.

The invariant: what a device saw confirmed is in the store exactly once, under that device, with that
value and time; and when nothing is killed any more, all that the devices still hold comes too. The
peers let go of a reading when it is confirmed, so one that was confirmed too early is lost for good
and found missing here. `campaign` beside this file is the long form.
"""
import decimal
import json
import os
import random
import re
import signal
import time

import enrolled
from manager import ServiceManager
from world import CLOSE_OOPS, scenario

RESTART = 0.3  # seconds until the supervisor starts a program again
HELD = 3  # readings a peer may hold before it waits with the next
UNIT = decimal.Decimal("0.005")  # kg, of the weight in a frame
RECOVERY = 240.0  # seconds: back-offs of a minute, and an emulator
CLEAR, BONDED = 4, 6  # peers: those that cannot pair come first
PEERS = CLEAR + BONDED
PATIENCE = 90.0  # seconds after which a kill comes, readings or not: a radio that hangs gets its chance
# who is killed, how often; "both": the gateway stands still for a while, then both daemons at once
VICTIMS = {"devices": 3, "gateway": 3, "both": 3, "link": 2, "bluetoothd": 2, "dbus": 1}


def helpers():
    """Process numbers of wellgate-link, oldest first."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stream:
                if "(wellgate-link) " in (line := stream.read()) and ") Z " not in line:
                    found.append(int(entry))
        except OSError:
            pass  # it ended meanwhile
    return sorted(found)


def dies_of_kill():
    """Linux 6.1 may keep the task for ever when it faults in a helper that was killed."""
    return os.uname().release.startswith("6.1.")


class Kills:
    """What is killed when: the same for a seed. The moments are those of the emulator."""

    def __init__(self, world, seed):
        self.world, self.rng = world, random.Random(seed)
        self.victims = {name: often for name, often in VICTIMS.items()
                        if name != "link" or not dies_of_kill()}
        self.counts = dict.fromkeys(self.victims, 0)
        self.stopped = None
        self.next()

    def next(self):
        """So many readings on their way, and a moment later: half of the moments are short."""
        self.victim = self.rng.choices(list(self.victims), list(self.victims.values()))[0]
        self.sessions = self.rng.randint(1, 6)
        self.delay = self.rng.uniform(0.0, self.rng.choice((0.15, 3.0)))
        self.stands = self.rng.uniform(0.3, 2.0)
        self.at = time.monotonic() + PATIENCE

    def indicated(self):
        """A reading is on its way."""
        self.sessions -= 1
        if self.sessions == 0 and self.stopped is None:
            self.at = time.monotonic() + self.delay

    def pump(self):
        now = time.monotonic()
        if self.stopped is not None:
            if now >= self.stopped:
                self.finish()
        elif now >= self.at and self.victim == "both":
            self.world.kill("gateway", signal.SIGSTOP)
            self.stopped = now + self.stands
        elif now >= self.at:
            self.kill(self.victim)
            self.next()

    def kill(self, victim):
        if victim == "link":
            for pid in helpers()[:1]:
                self.world.say(f"kill -9 of helper {pid}")
                os.kill(pid, signal.SIGKILL)
                self.counts[victim] += 1
        elif self.world.running[victim].alive():
            self.world.say(f"kill -9 of {victim}")
            self.world.kill(victim)
            self.counts[victim] += 1

    def finish(self):
        """Ends what stands still: nothing that came meanwhile may have been confirmed."""
        if self.stopped is None:
            return
        self.stopped = None
        self.world.say("kill -9 of devices and gateway")
        self.world.kill("devices")
        self.world.kill("gateway")
        self.counts["both"] += 1
        self.next()


class Air:
    """What the peers did and saw, from the radio's log."""

    LINE = re.compile(r"^\S+ (\d+) \S+ (connected|frame|indicated|confirmed|disconnected)(?: (.*))?$")

    def __init__(self, world):
        self.world, self.offset, self.rest = world, 0, b""
        self.values = {}     # (peer, number) -> frame
        self.confirmed = {}  # (peer, number) -> how often
        self.sessions = 0    # links on which a reading came
        self.links = 0
        self._frame, self._spoke = {}, set()

    def lines(self):
        with open(self.world.log_path("world"), "rb") as stream:
            stream.seek(self.offset)
            new = stream.read()
        self.offset += len(new)
        *lines, self.rest = (self.rest + new).split(b"\n")
        return [line.decode("ascii", "replace") for line in lines]

    def pump(self, on_indicated=lambda: None):
        """Takes note of what is new; the peers that were confirmed, and are linked still."""
        leave = set()
        for line in self.lines():
            match = self.LINE.match(line)
            if not match:
                continue
            peer, event, words = int(match.group(1)), match.group(2), match.group(3)
            if event == "connected":
                self.links += 1
                self._spoke.discard(peer)
            elif event == "frame":
                self._frame[peer] = int(re.search(r"n=(\d+)", words).group(1))
            elif event == "indicated":
                self.indicated(peer, words)
                on_indicated()
            elif event == "confirmed":
                key = (peer, self._frame[peer])
                assert self.values[key] == words, "the peer contradicts itself"
                self.confirmed[key] = self.confirmed.get(key, 0) + 1
                leave.add(peer)
            elif event == "disconnected":
                leave.discard(peer)
        return leave

    def of(self, peer):
        """How many of its readings were confirmed."""
        return sum(1 for key in self.confirmed if key[0] == peer)

    def indicated(self, peer, value):
        key = (peer, self._frame[peer])
        assert self.values.setdefault(key, value) == value, "a peer changed its reading"
        if peer not in self._spoke:
            self.sessions += 1
            self._spoke.add(peer)

    def state(self, peer):
        return {word.split("=")[0]: int(word.split("=")[1])
                for word in self.world.ctl(f"{peer} state").split() if "=" in word}


class Campaign:
    """Some peers, kills until there were enough sessions, then peace, then the reckoning."""

    def __init__(self, world, seed):
        self.world, self.seed, self.air = world, seed, Air(world)
        self.taken = dict.fromkeys(range(PEERS), 0)

    def prepare(self):
        """Every other peer speaks at link-up, before anybody asked or subscribed."""
        world = self.world
        enrolled.hub(world, f"add weight_scale {CLEAR}", "all advertise off", restart=RESTART)
        for name in ("dbus", "bluetoothd"):
            world.running[name].restart = RESTART
        world.ctl(f"add weight_scale {BONDED}")
        for peer in range(CLEAR, PEERS):
            world.ctl(f"{peer} pair just-works")
            world.pair(peer)
            world.ctl(f"{peer} advertise off")
        for peer in range(0, PEERS, 2):
            world.ctl(f"{peer} early " + ("on" if peer < CLEAR else "encrypted"))

    def measure(self):
        for peer in range(PEERS):
            if self.taken[peer] - self.air.of(peer) < HELD:
                self.world.ctl(f"{peer} measure")
                self.world.ctl(f"{peer} advertise on")
                self.taken[peer] += 1

    def leave(self, peers):
        """Confirmed, a peer drops its link; with nothing left it is silent, as a scale is."""
        for peer in peers:
            self.world.ctl(f"{peer} drop 0x13", check=False)  # it may have lost the link meanwhile
            if self.taken[peer] == self.air.of(peer):
                self.world.ctl(f"{peer} advertise off")

    def run(self, sessions, seconds, progress=lambda line: None):
        """Returns the counts; raises if the hub does not come back."""
        self.prepare()
        start = time.monotonic()
        kills, manager = Kills(self.world, self.seed), ServiceManager(self.world)
        measured = said = 0.0
        while self.air.sessions < sessions and time.monotonic() < start + seconds:
            now = time.monotonic()
            if now >= measured + 1:
                measured = now
                self.measure()
            if now >= said + 30:
                said = now
                progress(f"{now - start:5.0f} s: {self.line(kills)}")
            self.leave(self.air.pump(kills.indicated))
            kills.pump()
            manager.pump()
            time.sleep(0.01)  # watched from outside, like all waits here
        kills.finish()
        peace = time.monotonic()
        self.world.say("no more kills")
        try:
            self.world.wait("all that the peers hold", lambda: manager.pump() or self.empty(), RECOVERY)
        except AssertionError as error:
            self.world.say(str(error))  # the reckoning says what is missing
        counts = self.reckon()
        counts.update({"hung bluetoothd": manager.ended}, seconds=round(peace - start), recovery=round(time.monotonic() - peace, 1), kills=kills.counts,
                      faults=self.world.running["devices"].ended.count(-signal.SIGSEGV))
        return counts

    def line(self, kills):
        return (f"{self.air.sessions} sessions on {self.air.links} links, {len(self.air.confirmed)} confirmed, "
                f"kills {sum(kills.counts.values())}")

    def empty(self):
        self.leave(self.air.pump())
        return len(self.air.confirmed) == sum(self.taken.values())

    # ---- the reckoning

    def store(self):
        """What is durable; the gateway may be on its way back."""
        def ask():
            result = self.world.wellgate("readings", "--json", "--limit", "1000000")
            return result.stdout if result.returncode == 0 else None
        # a reading is confirmed after its commit, so nothing of what we look for can still be on its way
        lines = self.world.wait("the gateway's answer", ask)
        with open(os.path.join(self.world.out, "readings.json"), "w", encoding="utf-8") as stream:
            stream.write(lines)
        return [json.loads(line) for line in lines.splitlines()]

    def reckon(self):
        """Lost, doubled, misfiled: by the weight, which no two readings of a run have in common."""
        readings = self.store()
        by_weight = {}
        for (peer, number), value in self.air.values.items():
            assert by_weight.setdefault(weight_of(value), (peer, number)) == (peer, number), "a weight comes again"
        seen, strange, unnamed, owners = {}, 0, 0, {}
        for reading in readings:
            key = by_weight.get(decimal.Decimal(reading["components"][0]["value"]))
            if key is None or reading["device_time"] != time_of(self.air.values[key]):
                strange += 1
                continue
            seen[key] = seen.get(key, 0) + 1
            serial = reading.get("device", {}).get("serial_digest")
            unnamed += serial is None
            owners.setdefault(key[0], set()).update([serial] if serial else [])
        held = {(peer, n) for peer in range(PEERS) for n in range(1, self.taken[peer] + 1)}
        lost = [key for key in self.air.confirmed if key not in seen]
        for key in sorted(lost):
            self.world.say(f"LOST: reading {key[1]} of peer {key[0]}, {self.air.values[key]}")
        everybody = [owner for owner in owners.values() for owner in owner]
        return {
            "sessions": self.air.sessions, "links": self.air.links, "taken": len(held),
            "confirmed": len(self.air.confirmed), "stored": len(readings), "lost": len(lost),
            "missing": len(held - set(seen)) - len(lost), "doubled": sum(n - 1 for n in seen.values()),
            "strange": strange,
            "misfiled": sum(len(owner) - 1 for owner in owners.values()) + len(everybody) - len(set(everybody)),
            "without serial": unnamed, "confirmed again": sum(n - 1 for n in self.air.confirmed.values()),
            "dropped as doubles": self.counter("duplicates"),
        }

    def counter(self, name):
        """Of the gateway that runs now: what its predecessors counted died with them."""
        found = re.search(rf'"{name}":\s*(\d+)', self.world.wellgate("status", "--json").stdout)
        return int(found.group(1)) if found else 0


BAD = ("lost", "missing", "doubled", "strange", "misfiled")


def weight_of(value):
    """Of a frame, flags 02: u16 in units of 0.005 kg."""
    return UNIT * int.from_bytes(bytes.fromhex(value)[1:3], "little")


def time_of(value):
    """The Date Time of a frame, as `wellgate readings --json` writes it."""
    data = bytes.fromhex(value)
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(int.from_bytes(data[3:5], "little"), *data[5:10])


@scenario(vm="kill", expect_oops=CLOSE_OOPS + "|Fixing recursive fault", limit=600)
def test_kill_at_random(world):
    """Sixty sessions, or a minute and a half of them, and a kill after every few."""
    counts = Campaign(world, seed=1).run(sessions=60, seconds=90, progress=world.say)
    world.say(json.dumps(counts))
    assert not any(counts[what] for what in BAD), counts
    assert counts["confirmed"] >= 10 and sum(counts["kills"].values()) >= 10, counts
