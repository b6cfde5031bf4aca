"""The bearer over the real kernel: what the rule book in drivers/transport/README.md says, shown.

No engine, no bluetoothd on the link: lab-bearer (tests/lab/bearer) makes the links, PDU by PDU.
"""
import os
import re
import signal
import subprocess

from world import CLOSE_OOPS, scenario

CONFIG = "[General]\nReverseServiceDiscovery=false\n"
MTU_REQUEST = "020502"  # 517


class Bearer:
    """lab-bearer, with its answers."""

    def __init__(self, world):
        self.world, self.read = world, 0
        self.fifo = os.path.join(world.folder, "bearer.fifo")
        if os.path.exists(self.fifo):
            os.unlink(self.fifo)
        os.mkfifo(self.fifo)
        self.program = world.program("bearer", world.path("lab-bearer"), world.path("wellgate-link"), self.fifo)
        self.wait("- ready")

    def tell(self, line):
        self.world.say(f"bearer: {line}")
        with open(self.fifo, "w", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def wait(self, regex):
        """The next event of that kind; its match. What came before it is skipped."""
        found = self.world.wait_log("bearer", r"^" + regex + r"$", since=self.read)
        self.read += found.end()
        self.world.say(f"bearer said: {found.group(0)}")
        return found

    def link(self, peer, ask=1, n=0, timeout=20000, address=None):
        listed = re.search(rf"(?:^ok |; ){peer} \S+ ([0-9A-F:]{{17}}) (\w+)", self.world.ctl("list"))
        where = address or f"{listed.group(1)} {listed.group(2)}"
        self.tell(f"link {n} {where} {ask} {timeout}")

    def up(self, peer, ask=1, n=0):
        """A link and an exchange of MTUs: 6.1 has had its packet. The level at link-up."""
        self.link(peer, ask, n)
        level = int(self.wait(rf"{n} connected (\d) \d+").group(1))
        self.tell(f"send {n} {MTU_REQUEST}")
        self.wait(rf"{n} pdu \d 03[0-9a-f]{{4}}")
        return level

    def gone(self, peer, n=0):
        """Lets the link go, and waits until the air has too: the kernel keeps it for 2 s."""
        seen = len(self.world.log("world"))
        self.tell(f"free {n}")
        self.world.wait_log("world", rf" {peer} \S+ disconnected ", since=seen)


def agent(world):
    """Somebody at the keyboard; a pipe keeps it there."""
    program = subprocess.Popen(["bluetoothctl", "--agent", "NoInputNoOutput"], stdin=subprocess.PIPE,
                               stdout=open(world.log_path("agent"), "wb"), stderr=subprocess.STDOUT)
    world.wait_log("agent", "Agent registered")
    return program


def say_yes(world, person):
    """To the question that comes now."""
    world.wait_log("agent", r"Accept pairing")
    person.stdin.write(b"yes\n")
    person.stdin.flush()


def helpers():
    found = subprocess.run(["pgrep", "-x", "wellgate-link"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_bearer_relays(world):
    """PDUs both ways, more than the smallest MTU, two links at once; the peer ends one of them."""
    world.up("add weight_scale 2", "0 mtu 247", config=CONFIG)
    bearer = Bearer(world)
    assert bearer.up(0) == 1
    assert bearer.up(1, n=1) == 1
    assert len(helpers()) == 2
    bearer.tell("send 0 12ffff" + "55" * 200)  # a handle that is not there
    bearer.wait(r"0 pdu 1 0112ffff01")
    world.ctl("0 drop 0x13")
    assert bearer.wait(r"0 lost (\w+) (\d+) \d+").groups() == ("lost", "104")
    bearer.tell("send 1 12ffff55")
    bearer.wait(r"1 pdu 1 0112ffff01")
    world.ctl("1 drop 0x08")
    assert bearer.wait(r"1 lost (\w+) (\d+) \d+").groups() == ("lost", "110")
    world.wait("the helpers to end", lambda: not helpers())


def test_bearer_holds_a_confirmation(world):
    """An indication at link-up, before any request: ours alone, and confirmed when we say so."""
    world.up("add weight_scale", "0 early on", "0 measure", config=CONFIG)
    bearer = Bearer(world)
    bearer.link(0)
    bearer.wait(r"0 connected 1 \d+")
    bearer.wait(r"0 pdu 1 1d[0-9a-f]+")
    bearer.tell(f"send 0 {MTU_REQUEST}")
    bearer.wait(r"0 pdu 1 03[0-9a-f]{4}")
    assert not re.search(r" confirmed ", world.log("world")), "somebody else confirmed"
    bearer.tell("send 0 1e")
    world.wait_log("world", r" 0 \S+ confirmed ")
    world.kill("bluetoothd")  # the link does not mind
    bearer.tell("send 0 12ffff55")
    bearer.wait(r"0 pdu 1 0112ffff01")


def test_bearer_absent_and_busy(world):
    """Nobody there: our own timer; the next peer is reached. A second link to the same peer: busy."""
    world.up("add weight_scale", config=CONFIG)
    bearer = Bearer(world)
    bearer.link(0, timeout=3000, address="02:00:5E:7F:00:01 public")
    assert bearer.wait(r"0 lost (\w+) (\d+) \d+").groups() == ("refused", "110")
    bearer.up(0)
    bearer.link(0, n=1)
    assert bearer.wait(r"1 lost (\w+) (\d+) \d+").groups() == ("busy", "16")


def test_bearer_levels(world):
    """Pairing by raising the level; the bond encrypts the next link from its start."""
    world.up("add weight_scale", "0 pair just-works", config=CONFIG)
    person = agent(world)
    bearer = Bearer(world)
    assert bearer.up(0) == 1
    bearer.tell("raise 0 2")
    say_yes(world, person)
    bearer.wait(r"0 level 2")
    bearer.tell("send 0 12ffff55")
    bearer.wait(r"0 pdu 2 0112ffff01")
    bearer.gone(0)
    world.ctl("0 early encrypted")
    world.ctl("0 measure")
    seen = len(world.log("bearer"))
    bearer.link(0, ask=2)
    bearer.wait(r"0 connected \d \d+")
    bearer.wait(r"0 pdu \d 1d[0-9a-f]+")
    world.say(world.log("bearer")[seen:])
    bearer.tell("send 0 12ffff55")
    bearer.wait(r"0 pdu 2 0112ffff01")
    bearer.gone(0)
    assert bearer.up(0) == 1  # nothing asked for: in clear
    bearer.tell("raise 0 2")
    bearer.wait(r"0 level 2")
    person.kill()


def survives(world, bearer, peer):
    """The parent is alive, its helper gone, and another link is made."""
    world.wait("the helper to end", lambda: not helpers())
    assert bearer.program.alive()
    bearer.up(peer)


@scenario(vm="bearer-lost", expect_oops=CLOSE_OOPS)
def test_bearer_never_established(world):
    """0x3e before the first packet: a quick end, and on 6.1 the helper dies, nobody else."""
    world.up("add weight_scale 2", "0 fault lost 1", config=CONFIG)
    bearer = Bearer(world)
    bearer.link(0)
    end = bearer.wait(r"0 lost (\w+) (\d+) \d+").groups()
    assert end in (("refused", "38"), ("lost", "38"), ("killed", "0")), end
    survives(world, bearer, 1)


@scenario(vm="bearer-key", expect_oops=CLOSE_OOPS)
def test_bearer_key_lost(world):
    """The peer forgot its bond: 103, if the level is asked for first and if it is raised."""
    world.up("add weight_scale 2", "0 pair just-works", config=CONFIG)
    person = agent(world)
    bearer = Bearer(world)
    bearer.up(0)
    bearer.tell("raise 0 2")
    say_yes(world, person)
    bearer.wait(r"0 level 2")
    bearer.gone(0)
    world.ctl("0 forget")
    bearer.up(0)
    bearer.tell("raise 0 2")
    assert bearer.wait(r"0 lost (\w+) (\d+) \d+").groups() == ("lost", "103")
    bearer.link(0, ask=2)
    end = bearer.wait(r"0 lost (\w+) (\d+) \d+").groups()
    assert end in (("refused", "103"), ("lost", "103"), ("killed", "0")), end
    survives(world, bearer, 1)
    person.kill()


@scenario(vm="bearer-killed", expect_oops=CLOSE_OOPS + "|Fixing recursive fault")
def test_bearer_killed(world):
    """A helper killed on a live link. Then one whose link was lost before its first packet: the kernel
    closes the socket inside a dying process, and 6.1 never ends that one, nor tells anybody, so the
    bearer is only freed by its owner's timer. The parent goes on in both."""
    world.up("add weight_scale 2", "0 fault silent", config=CONFIG)
    bearer = Bearer(world)
    bearer.link(0)
    bearer.wait(r"0 connected 1 \d+")
    os.kill(int(helpers()[0]), signal.SIGKILL)
    assert bearer.wait(r"0 lost (\w+) (\d+) \d+").groups() == ("killed", "0")
    world.wait_log("world", r" 0 \S+ disconnected ")
    bearer.link(0)
    bearer.wait(r"0 connected 1 \d+")
    helper = int(helpers()[0])
    os.kill(helper, signal.SIGSTOP)
    world.ctl("0 drop 0x08")
    world.wait_log("world", r" 0 \S+ disconnected ", count=2)
    os.kill(helper, signal.SIGKILL)
    bearer.tell("free 0")
    bearer.up(1, n=1)
    assert bearer.program.alive()
