"""Each fault of the air and of a peer against the whole hub: afterwards it reads on by itself, nothing
is lost, doubled or confirmed before it is in the store, and nothing that came in clear is believed.
"""
import re
import signal

import enrolled
from world import CLOSE_OOPS, scenario



def events(world, peer, event):
    return len(re.findall(rf"^\S+ {peer} \S+ {event}", world.log("world"), re.M))


def confirmed(world, peer):
    """How many readings: one that was confirmed twice is one."""
    return len(set(re.findall(rf"^\S+ {peer} \S+ confirmed (\S+)", world.log("world"), re.M)))


def wait_event(world, peer, event, since=0):
    return world.wait_log("world", rf"^\S+ {peer} \S+ {event}", since=since)


class Reader:
    """Counts what must be in the store; a peer has one reading at a time."""

    def __init__(self, world):
        self.world, self.taken = world, {}

    def measure(self, peer=0, times=1):
        self.world.ctl(f"{peer} measure {times}")
        self.taken[peer] = self.taken.get(peer, 0) + times

    def check(self, peer=0):
        """All readings of that peer come; the store holds each that was taken once, and no other."""
        self.world.wait(f"the readings of {peer}", lambda: confirmed(self.world, peer) == self.taken[peer])
        weights = [reading["components"][0]["value"] for reading in self.world.readings()]
        assert len(weights) == len(set(weights)) == sum(self.taken.values()), (weights, self.taken)

    def survives(self, fault, *more, peer=0, times=1, cure=None, sign=None):
        """One fault, then a reading: it comes. sign: what shows that the fault happened; cure: a command then."""
        self.world.ctl(f"{peer} drop 0x13", check=False)  # the fault is for a new link
        since = len(self.world.log("world"))
        self.world.say(f"---- {fault}")
        for command in (fault, *more):
            self.world.ctl(f"{peer} {command}")
        self.measure(peer, times)
        if sign:
            wait_event(self.world, peer, sign, since)
        if cure:
            self.world.ctl(f"{peer} {cure}")
        self.check(peer)


def test_links_confirm_waits_for_the_store(world):
    """Indicated at link-up, before any request. While wellgated stands still no confirmation comes; when
    it goes on the reading is stored, and only then confirmed. Held too long, the link is given up, and
    the reading comes again."""
    enrolled.hub(world, "add weight_scale", "0 advertise off", "0 early on")
    reader = Reader(world)
    world.kill("gateway", signal.SIGSTOP)
    reader.measure()
    world.ctl("0 advertise on")
    wait_event(world, 0, "indicated")
    assert events(world, 0, "subscribed") == 0, "not the first thing on the link"
    wait_event(world, 0, "subscribed id=1 ")  # our side has come as far as it can without a commit
    assert confirmed(world, 0) == 0
    world.kill("gateway", signal.SIGCONT)
    reader.check()
    assert events(world, 0, "unconfirmed") == 0

    wait_event(world, 0, "disconnected")
    world.kill("gateway", signal.SIGSTOP)
    since = len(world.log("world"))
    reader.measure()
    wait_event(world, 0, "unconfirmed", since)
    assert confirmed(world, 0) == 1
    world.kill("gateway", signal.SIGCONT)
    reader.check()


@scenario(vm="links", expect_oops=CLOSE_OOPS, limit=600)
def test_links_end_at_any_pdu(world):
    """The link ends at each PDU of a session in turn, from either side."""
    enrolled.hub(world, "add weight_scale")
    reader = Reader(world)
    for opcode in (0x1d, 0x1e, 0x02, 0x03, 0x10, 0x11, 0x08, 0x09, 0x0a, 0x0b, 0x12, 0x13):
        reader.survives(f"fault drop-at {opcode:#04x} 0x08 1", sign=f"fault drop-at {opcode:02x}")


@scenario(vm="links", expect_oops=CLOSE_OOPS, limit=600)
def test_links_that_never_are(world):
    """Attempts that fail, hang or are lost at once. One device alone: nobody else gives a second opinion."""
    enrolled.hub(world, "add weight_scale")
    reader = Reader(world)
    reader.survives("fault lost 2", sign="fault lost")
    reader.survives("fault hang 1")
    reader.survives("fault connect 0x09 1", sign="fault connect")
    reader.survives("fault connect 0x3e 1", sign="fault connect")


@scenario(vm="links", expect_oops=CLOSE_OOPS, limit=600)
def test_links_bad_air(world):
    """Late, cut and lost packets; the link ends with the confirmation on its way."""
    enrolled.hub(world, "add weight_scale")
    reader = Reader(world)
    reader.survives("fault unconfirmed 1", sign="unconfirmed")
    reader.survives("fault unconfirmed 1 100", sign="unconfirmed")
    reader.survives("drop-after 1", sign="drops the link after a frame")
    reader.survives("delay 200 150")
    reader.survives("delay 0", "fragment 5")
    reader.survives("fragment 0", "loss 20", cure="loss 0", sign="lost ")


@scenario(vm="links", expect_oops=CLOSE_OOPS, limit=600)
def test_links_bad_peer(world):
    """What a peer does that it should not."""
    enrolled.hub(world, "add weight_scale")
    reader = Reader(world)
    reader.survives("fault malformed 5", sign="fault malformed")
    reader.survives("fault att-error 0x0e", sign="disconnected", cure="fault none")
    reader.survives("fault silent", sign="disconnected", cure="fault none")
    reader.survives("fault truncate 1", sign="unconfirmed")
    reader.survives("fault wrong-handle 1", sign="unconfirmed")
    reader.survives("fault duplicate 2", sign="confirmed")
    reader.survives("fault second-indication 1", times=3)
    reader.survives("fault no-confirm-wait", times=3, sign="(un)?confirmed", cure="fault none")
    reader.survives("move 32")


@scenario(limit=600)
def test_links_bonded_peer_in_clear(world):
    """Before it is encrypted, a bonded peer says things: never stored from there, never confirmed there."""
    world.hub("add weight_scale", "0 pair just-works")
    reader = Reader(world)
    world.pair(0)
    wait_event(world, 0, "disconnected")
    world.ctl("0 fault in-clear")
    world.ctl("0 early on")
    since = len(world.log("world"))
    reader.measure()
    wait_event(world, 0, "unconfirmed", since)
    world.ctl("0 fault none")
    world.ctl("0 early off")
    reader.check()
    levels = re.findall(r"^\S+ 0 \S+ frame n=\d+ part=0 level=(\d)\n\S+ 0 \S+ confirmed ", world.log("world"), re.M)
    assert levels and "1" not in levels, levels


@scenario(vm="links-key", expect_oops=CLOSE_OOPS, limit=600)
def test_links_key_lost(world):
    """The peer forgot its bond: an alarm, nothing taken, the others go on; paired again it is read."""
    world.hub("add weight_scale 2", "0 pair just-works", "1 advertise off")
    reader = Reader(world)
    world.pair(0)
    world.ctl("1 advertise on")
    world.pair(1)
    wait_event(world, 0, "disconnected")
    world.ctl("0 forget")
    reader.measure(0)
    world.wait_log("devices", r"trouble=bond_suspect")
    assert confirmed(world, 0) == 0 and world.readings() == []
    reader.measure(1)
    world.wait("the other one", lambda: confirmed(world, 1) == 1)
    world.pair(0)
    reader.check(0)


@scenario(vm="links", expect_oops=CLOSE_OOPS, limit=600)
def test_links_adapter_goes(world):
    """The adapter is pulled out, or falls silent, while a reading waits for its commit."""
    enrolled.hub(world, "add weight_scale")
    reader = Reader(world)
    for there, back in (("remove", "add"), ("silent on", "silent off")):
        world.say(f"---- adapter {there}")
        since, known = len(world.log("world")), len(world.log("devices"))
        world.kill("gateway", signal.SIGSTOP)
        reader.measure()
        wait_event(world, 0, "indicated", since)
        world.ctl(f"adapter {there}")
        world.kill("gateway", signal.SIGCONT)  # stored, but the confirmation goes nowhere
        world.wait_log("devices", r"adapter (?!ready)", since=known, limit=240)
        world.ctl(f"adapter {back}")
        reader.check()


@scenario(kernels=["stable"], vm="links-oops", require_oops=r"list_del corruption", limit=600)
def test_links_oops_costs_one(world):
    """6.1 kills the helper of a link that was never established: the link beside it does not notice."""
    enrolled.hub(world, "add weight_scale 2", "0 advertise off")
    reader = Reader(world)
    world.kill("gateway", signal.SIGSTOP)
    reader.measure(1)
    wait_event(world, 1, "indicated")  # and now it waits for us
    since = len(world.log("world"))
    world.ctl("0 fault lost 1")
    world.ctl("0 advertise on")
    wait_event(world, 0, "fault lost", since)
    wait_event(world, 0, "connected", since)
    wait_event(world, 0, "disconnected", since)
    world.kill("gateway", signal.SIGCONT)
    reader.check(1)
    assert events(world, 1, "unconfirmed") == 0
    reader.measure(0)
    reader.check(0)
    assert world.running["devices"].starts == 1 and world.running["bluetoothd"].starts == 1
