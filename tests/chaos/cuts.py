#!/usr/bin/env python3
"""The power fails at every flush of a trace: each image that the medium may then hold opens, without
a repair, and holds every reading that the device had been told is kept, unchanged and once.

    cuts.py BIN [--long]

wellgated runs with a library in front of libc (fault/trace.c) that writes down what it does to the
files of its state folder and what it says to the devices. A file is modelled as what was flushed,
and what was written since. For the moment before each flush three images are made:

    all      everything that was written
    least    nothing but what was flushed
    torn     of each file some of its 512-byte sectors written since, others not, in no order

Names follow ext4: those made, moved and removed before a flush are durable with it. The images are
opened by the gateway's own store (fault/look.c). --long: 10,000 readings, all three images at every
flush; otherwise 200 readings.
"""
import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "oracle")]
import read_batch  # noqa: E402
from stand import Stand, wait_for  # noqa: E402

RECORD = struct.Struct("<IIQQ")  # trace.c
OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, SAID, HEARD = range(8)
O_TRUNC = 0o1000
SECTOR = 512
VARIANTS = ("all", "least", "torn")
SEED = int(os.environ.get("WELLGATE_SEED", "1"))


def records(path):
    with open(path, "rb") as stream:
        data = stream.read()
    at = 0
    while at < len(data):
        operation, length, inode, offset = RECORD.unpack_from(data, at)
        at += RECORD.size
        yield operation, inode, offset, data[at:at + length]
        at += length


def write_at(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def truncate(content, length):
    del content[length:]
    content.extend(bytes(length - len(content)))


class File:
    def __init__(self):
        self.flushed, self.written = bytearray(), bytearray()
        self.since = []  # (offset, data), or (length, None) for a truncation

    def write(self, offset, data):
        write_at(self.written, offset, data)
        self.since.append((offset, data))

    def truncate(self, length):
        truncate(self.written, length)
        self.since.append((length, None))

    def flush(self):
        for offset, data in self.since:
            if data is None:
                truncate(self.flushed, offset)
            else:
                write_at(self.flushed, offset, data)
        self.since = []

    def torn(self, rng):
        """The length is that of ext4's journal: as it was flushed, or as it is now."""
        content = bytearray(self.flushed)
        for offset, data in self.since:
            if data is None:
                if rng.random() < 0.5:
                    truncate(content, offset)
                continue
            end = offset + len(data)
            for sector in range(offset - offset % SECTOR, end, SECTOR):
                if rng.random() < 0.5:
                    first, last = max(sector, offset), min(sector + SECTOR, end)
                    write_at(content, first, data[first - offset:last - offset])
        return content


class Disk:
    """the state folder: files by inode, names by path"""

    def __init__(self, folder):
        self.folder, self.files = folder, {}
        self.names, self.flushed_names = {}, {}

    def apply(self, operation, inode, offset, data):
        if operation == OPEN:
            if not os.path.isdir(data.decode()):
                self.names[data.decode()] = inode
                self.files.setdefault(inode, File())
                if offset & O_TRUNC and self.files[inode].written:
                    self.files[inode].truncate(0)
        elif operation == WRITE:
            self.files[inode].write(offset, data)
        elif operation == TRUNCATE:
            self.files[inode].truncate(offset)
        elif operation == SYNC:
            if inode in self.files:
                self.files[inode].flush()
            self.flushed_names = dict(self.names)
        elif operation == RENAME:
            old, new = data.decode().split("\0")
            self.names[new] = self.names.pop(old)
        elif operation == UNLINK:
            gone = self.names.pop(data.decode(), None)
            if gone is not None and gone not in self.flushed_names.values():
                self.files.pop(gone, None)  # its number may be given to another file

    def image(self, variant, rng):
        names = self.names if variant == "all" else self.flushed_names
        for path, inode in names.items():
            file = self.files.get(inode)
            if file is None:
                continue
            if variant == "all":
                content = file.written
            else:
                content = file.flushed if variant == "least" else file.torn(rng)
            yield os.path.relpath(path, self.folder), content


class Look:
    """chaos_look: one image after the other"""

    def __init__(self, stand):
        self.process = subprocess.Popen([stand.path("chaos_look")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.folder = os.path.join(stand.folder, "image")

    def at(self, image):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder, mode=0o700)
        for name, content in image:
            with open(os.path.join(self.folder, name), "wb") as stream:
                stream.write(content)
        self.process.stdin.write(self.folder + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "chaos_look died"
        return line.strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def chain_of(stand, folder):
    """the digest over the rows up to each number, as the whole store has them"""
    done = subprocess.run([stand.path("chaos_look"), "--chain"], input=folder + "\n", capture_output=True, text=True,
                          check=True)
    *chain, _, _, _ = done.stdout.split()
    return chain


def judge(said, confirmed, chain):
    """None, or what is wrong with an image"""
    if said.startswith("error"):
        return said
    rows, last, digest = said.split()
    rows, last = int(rows), int(last)
    if rows != last:
        return f"{rows} readings, but the newest is number {last}"
    if rows < confirmed:
        return f"{confirmed} readings were confirmed, {rows} are there"
    if rows and digest != chain[rows - 1]:
        return "a reading has changed"
    return None


def record(stand, count):
    """the trace of one replay; every measurement is new, so their numbers are those of the readings"""
    trace = os.path.join(stand.folder, "trace")
    library = os.path.join(os.path.dirname(stand.programs), "tests", "chaos", "libchaos_trace.so")
    capture = stand.simulate(count, seed=SEED)
    os.environ.update(LD_PRELOAD=library, WELLGATE_TRACE=trace, WELLGATE_TRACE_DIR=stand.state)
    stand.start_gateway()
    for name in ("LD_PRELOAD", "WELLGATE_TRACE", "WELLGATE_TRACE_DIR"):
        del os.environ[name]
    stand.start_devices(capture)
    wait_for("the replay to end", lambda: stand.devices.poll() is not None)
    assert stand.devices.returncode == 0 and stand.stop_gateway() == 0
    return trace


def committed(schema, packet):
    message = schema.new("ToDevices")
    message.ParseFromString(packet)
    return message.committed if message.WhichOneof("what") == "committed" else 0


class Campaign:
    def __init__(self, stand, count):
        self.trace = record(stand, count)
        self.chain = chain_of(stand, stand.state)
        assert len(self.chain) == count, f"{len(self.chain)} of {count} readings"
        self.disk, self.look = Disk(stand.state), Look(stand)
        self.schema = read_batch.Schema(stand.descriptor)
        self.rng, self.count = random.Random(SEED), count
        self.flushes, self.images, self.confirmed, self.findings = 0, 0, 0, 0
        self.started = time.monotonic()

    def cut(self):
        for variant in VARIANTS:
            said = self.look.at(self.disk.image(variant, self.rng))
            self.images += 1
            wrong = judge(said, self.confirmed, self.chain)
            if wrong:
                self.findings += 1
                print(f"flush {self.flushes}, {variant}: {wrong}", flush=True)

    def run(self):
        for operation, inode, offset, data in records(self.trace):
            if operation == SYNC:
                self.flushes += 1
                self.cut()
                if self.flushes % 500 == 0:
                    print(f"{self.flushes} flushes, {self.confirmed} of {self.count} readings confirmed, "
                          f"{self.findings} findings, {time.monotonic() - self.started:.0f} s", flush=True)
            if operation == SAID:
                self.confirmed = max(self.confirmed, committed(self.schema, data))
            self.disk.apply(operation, inode, offset, data)
        self.cut()  # and after the end
        self.look.close()
        assert self.confirmed == self.count, f"{self.confirmed} confirmed: the trace is not whole"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    with Stand(options.programs) as stand:
        campaign = Campaign(stand, 10000 if options.long else 200)
        campaign.run()
    print(f"{campaign.count} readings, {campaign.flushes} flushes, {campaign.images} images after a power cut: "
          f"{campaign.findings} findings")
    sys.exit(1 if campaign.findings else 0)


if __name__ == "__main__":
    main()
