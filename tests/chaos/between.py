#!/usr/bin/env python3
"""Somebody between hub, record service and a real broker, who cuts, delays, loses, doubles and
refuses: every reading is in the record service's database in the end, once, or a tombstone says that
the broker refused it.

    between.py BIN [receipt|puback]

WELLGATE_FAULTS in the environment: how many (10000 for the long form), but no more of them after
WELLGATE_MINUTES; WELLGATE_SEED: another order.
"""
import asyncio
import collections
import contextlib
import os
import random
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from stand import LIMIT, Stand, free_port, wait_for  # noqa: E402

FAULTS = int(os.environ.get("WELLGATE_FAULTS", "24"))
MINUTES = float(os.environ.get("WELLGATE_MINUTES", "inf"))
SEED = int(os.environ.get("WELLGATE_SEED", "1"))
READINGS = 2000  # of one device memory
EVERY = 4  # one message in so many meets a fault
PATIENCE = (1, 1, 1, 8)  # seconds without a fault until the hub dies; nothing is judged by them
STALL = 0.2  # seconds of a slow reader
CONFIG = """[broker]
delivery = {delivery}
batch = {batch}
window = 4
"""
# MQTT 5.0 section 2.1.2 and 3.4.2.1
CONNECT, PUBLISH, PUBACK = 1, 3, 4
# For reading messages. The first two park their rows, the next two after a second try row by row.
PARKED = (0x87, 0x90, 0x95, 0x99)
REFUSALS = PARKED + (0x80, 0x83, 0x91, 0x97)
BATCH = 10  # rows of one message at most
CLEAN_START = 0x02
FLAGS_AT = 7  # in CONNECT, behind its fixed header


class Packet:
    def __init__(self, head, body):
        self.kind, self.flags, self.head, self.body = head[0] >> 4, head[0] & 15, head, body

    @staticmethod
    async def read(reader):
        head = await reader.readexactly(1)
        length = shift = 0
        while True:
            head += await reader.readexactly(1)
            length |= (head[-1] & 127) << shift
            shift += 7
            if head[-1] < 128:
                return Packet(head, await reader.readexactly(length))

    def raw(self):
        return self.head + self.body

    def topic(self):
        return self.body[2:2 + int.from_bytes(self.body[:2], "big")].decode()

    def number(self):
        at = 2 + int.from_bytes(self.body[:2], "big") if self.kind == PUBLISH else 0
        return self.body[at:at + 2]

    def is_reading(self):
        return self.kind == PUBLISH and self.flags & 6 == 2 and "/reading/" in self.topic()


class Between:
    """runs in a thread of its own"""

    def __init__(self, broker_port, delivery):
        self.broker_port, self.delivery = broker_port, delivery
        self.port = free_port()
        self.random = random.Random(SEED)
        self.counts = collections.Counter()
        self.evil = False
        self.forget = set()  # of whom the next session begins anew
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()
        assert self.ready.wait(LIMIT)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port))
        self.ready.set()
        self.loop.run_forever()

    def total(self):
        return sum(self.counts.values())

    async def serve(self, reader, writer):
        try:
            broker = await asyncio.open_connection("127.0.0.1", self.broker_port)
        except OSError:
            writer.transport.abort()
            return
        line = Line(self, (reader, writer), broker)
        up = asyncio.ensure_future(line.pump(reader, broker[1], writer))
        down = asyncio.ensure_future(line.pump(broker[0], writer, broker[1]))
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
        writer.transport.abort()
        broker[1].transport.abort()


class Line:
    """one connection through the middle"""

    def __init__(self, between, client, broker):
        self.between, self.client, self.broker = between, client, broker
        self.who = "nobody"
        self.silent = False

    async def pump(self, source, to, back):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                packet = await Packet.read(source)
                if packet.kind == CONNECT:
                    self.begin(packet)
                if not await self.meddle(packet, to, back):
                    return

    def begin(self, packet):
        at = FLAGS_AT + 3  # flags, keep alive
        at += 1 + packet.body[at]  # the properties are short
        name = packet.body[at + 2:at + 2 + int.from_bytes(packet.body[at:at + 2], "big")].decode()
        self.who = "record" if "record" in name else "hub"
        if self.who in self.between.forget:
            self.between.forget.discard(self.who)
            packet.body = (packet.body[:FLAGS_AT] + bytes([packet.body[FLAGS_AT] | CLEAN_START])
                           + packet.body[FLAGS_AT + 1:])

    def choose(self, packet):
        """the fault that this packet meets, or None"""
        b = self.between
        if not b.evil or b.random.randrange(EVERY):
            return None
        if packet.is_reading() and self.who == "hub":
            # that the broker confirms and forgets only receipts make good
            return b.random.choices(("refused", "reset", "lost", "slow", "silence", "forgotten"),
                                    (8, 4, 4, 4, 1, 2 * (b.delivery == "receipt")))[0]
        if packet.kind == PUBACK and self.who == "hub":
            return b.random.choices(("unacknowledged", "doubled"), (1, 2))[0]
        if packet.kind in (PUBLISH, PUBACK) and self.who == "record":
            kinds = ["reset", "lost", "doubled" if packet.kind == PUBLISH else "slow"]
            # what the broker had confirmed dies with the session: the same
            return b.random.choice(kinds + ["session"] * (b.delivery == "receipt"))
        return None

    async def meddle(self, packet, to, back):
        """False: the connection is over"""
        if self.silent:
            return True
        fault = self.choose(packet)
        if fault is None:
            to.write(packet.raw())
            await to.drain()
            return True
        code = self.between.random.choice(REFUSALS)
        name = f"{self.who} {fault}" + (f" {code:#x}" if fault == "refused" else "")
        self.between.counts[name] += 1
        return await getattr(self, "do_" + fault)(packet, to, back, code)

    async def do_refused(self, packet, _to, back, code):
        back.write(bytes([PUBACK << 4, 3]) + packet.number() + bytes([code]))
        await back.drain()
        return True

    async def do_forgotten(self, packet, to, back, _code):
        return await self.do_refused(packet, to, back, 0)

    async def do_reset(self, packet, to, _back, _code):
        """it has arrived, and nobody hears of it"""
        to.write(packet.raw())
        await to.drain()
        return False

    async def do_lost(self, *_):
        """with its connection"""
        return False

    async def do_session(self, *_):
        self.between.forget.add(self.who)
        return False

    async def do_slow(self, packet, to, _back, _code):
        await asyncio.sleep(STALL)
        to.write(packet.raw())
        await to.drain()
        return True

    async def do_silence(self, *_):
        """half-open: the rest is swallowed, in both directions, until somebody has enough"""
        self.silent = True
        return True

    async def do_unacknowledged(self, *_):
        return True

    async def do_doubled(self, packet, to, _back, _code):
        to.write(packet.raw() * 2)
        await to.drain()
        return True


class Campaign:
    def __init__(self, stand, between):
        self.stand, self.between = stand, between
        self.path = os.path.join(stand.folder, "record.db")
        self.record = None
        self.captures = []
        self.deaths = 0
        self.end = time.monotonic() + MINUTES * 60

    def start_record(self):
        self.record = self.stand.spawn(self.stand.path("wellgate-record"), "--broker",
                                       f"mqtt://127.0.0.1:{self.between.port}", "--name", "record", "--database",
                                       "sqlite:" + self.path)

    def stop_record(self):
        if self.record and self.record.poll() is None:
            self.record.kill()
            self.record.wait()

    def connections(self):
        with open(self.stand.logs.name, encoding="utf-8", errors="replace") as stream:
            return stream.read().count("connected to the broker")

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(sql).fetchall()

    def replay(self):
        memory = os.path.join(self.stand.folder, "memory")
        if os.path.exists(memory):
            os.remove(memory)
        number = len(self.captures) + 1
        self.captures.append(self.stand.simulate(READINGS, seed=1000 * SEED + number, name=f"many{number}.cap"))
        self.stand.start_devices(self.captures[-1])
        wait_for("the replay to end", lambda: self.stand.devices.poll() is not None, limit=3600)
        assert self.stand.devices.returncode == 0

    def enough(self):
        return self.between.total() >= FAULTS or time.monotonic() > self.end

    def restart_hub(self):
        self.stand.gateway.kill()
        self.stand.gateway.wait()
        self.stand.start_gateway()

    def let_drain(self):
        """Until there were enough faults, or nothing waits. A hub that has been refused comes back after
        up to minutes, as it should; here it dies instead: that is no less of a fault, and quicker."""
        rng = random.Random(len(self.captures))
        seen, end = -1, 0
        while not self.enough() and not self.stand.drained():
            if self.between.total() != seen:
                seen, end = self.between.total(), time.monotonic() + rng.choice(PATIENCE)
            elif time.monotonic() > end:
                self.restart_hub()
                self.deaths += 1
                end = time.monotonic() + rng.choice(PATIENCE)
            time.sleep(0.1)

    def restart(self):
        """Nobody meddles any more. A restart of the hub asks for everything that is not committed."""
        self.between.evil = False
        self.stop_record()
        before = self.connections()
        self.start_record()
        wait_for("the record service to listen", lambda: self.connections() > before)
        self.restart_hub()
        wait_for("the outbox to drain", self.stand.drained)

    def numbers(self):
        stored = [n for n, in self.query("SELECT sequence FROM reading")]
        said = self.query("SELECT first_sequence, last_sequence FROM correction WHERE kind = 'tombstone'")
        return stored, {n for first, last in said for n in range(first, last + 1)}

    def arrived(self, expected):
        stored, said = self.numbers()
        return set(range(1, expected + 1)) <= set(stored) | said

    def check(self):
        expected = len({str(m) for m in self.stand.expected(*self.captures)})
        with contextlib.suppress(AssertionError):  # below it says what is missing
            wait_for("the last reading", lambda: self.arrived(expected), limit=LIMIT)
        stored, said = self.numbers()
        keys = self.query("SELECT COUNT(DISTINCT dedupe_key) FROM reading")[0][0]
        letters = self.query("SELECT COUNT(*) FROM dead_letter")[0][0]
        lost = set(range(1, expected + 1)) - set(stored) - said
        twice = len(stored) - keys
        for name, count in sorted(self.between.counts.items()):
            print(f"  {name:<24}{count:>8}")
        print(f"{self.between.delivery}: {self.between.total()} faults, {self.deaths} deaths, {expected} readings:"
              f" {len(lost)} lost,"
              f" {twice} stored twice, {len(said)} refused with a tombstone, {letters} dead letters")
        refused = sum(self.between.counts[f"hub refused {code:#x}"] for code in PARKED)
        assert len(said) <= BATCH * refused, "more tombstones than rows were refused"
        assert not lost and twice == 0 and letters == 0 and max(stored) <= expected


def run(stand, campaign):
    campaign.start_record()
    wait_for("the record service to listen", lambda: campaign.connections() >= 1)
    campaign.between.evil = True
    stand.start_gateway()
    while not campaign.enough():
        campaign.replay()
        campaign.let_drain()
        print(f"{campaign.between.total()} of {FAULTS} faults", flush=True)
    campaign.restart()
    campaign.check()


def main():
    delivery = sys.argv[2] if len(sys.argv) > 2 else "receipt"
    with Stand(sys.argv[1], CONFIG.format(delivery=delivery, batch=BATCH)) as stand:
        stand.start_broker()
        between = Between(stand.port, delivery)
        with open(stand.config, encoding="utf-8") as stream:
            text = stream.read().replace(f":{stand.port}", f":{between.port}")
        with open(stand.config, "w", encoding="utf-8") as stream:
            stream.write(text)
        campaign = Campaign(stand, between)
        try:
            run(stand, campaign)
        finally:
            campaign.stop_record()


main()
