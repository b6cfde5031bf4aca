"""Our programs over the air: paired through the command line, read, confirmed after the commit."""
import re

from world import scenario

# bluetoothd would take the link for itself after a pairing
CONFIG = "[General]\nReverseServiceDiscovery = false\n"


def begin(world, *commands):
    world.up(*commands, config=CONFIG)
    world.gateway()
    return world.devices("--bluetooth", "--state", world.out + "/devices", "--verbose")


def pair(world, number, *arguments):
    world.wait_log("devices", "adapter ready")
    result = world.wellgate("pair", "--yes", "--seconds", "60", "--address", world.radio_address(number),
                            *arguments)
    assert result.returncode == 0, (result.stdout, result.stderr)


def confirmed(world, number):
    return len(re.findall(rf"^\S+ {number} \S+ confirmed ", world.log("world"), re.M))


@scenario(limit=200)
def test_radio_scale(world):
    """A scale without pairing: enrolled, read, confirmed when it is in the store, read again."""
    begin(world, "add weight_scale")
    pair(world, 0)
    for n in range(1, 4):
        world.ctl("0 measure")
        world.wait("the reading to be confirmed", lambda: confirmed(world, 0) == n)
        assert len(world.readings()) == n
        world.wait_log("world", " 0 weight_scale disconnected", count=n)


@scenario(limit=200)
def test_radio_bonded_cuff(world):
    """A cuff that pairs with a passkey: read at that level on later links, too."""
    begin(world, "add blood_pressure")
    pair(world, 0, "--passkey", "123456")
    world.ctl("0 measure")
    world.wait("the reading to be confirmed", lambda: confirmed(world, 0) == 1)
    world.wait_log("world", " 0 blood_pressure disconnected")
    world.ctl("0 measure")
    world.wait("the second reading", lambda: confirmed(world, 0) == 2)
    assert len(world.readings()) == 2


@scenario(limit=200)
def test_radio_early(world):
    """An indication the moment the link is encrypted, nobody asked: in the store, then confirmed."""
    begin(world, "add weight_scale", "0 pair just-works")
    pair(world, 0)
    world.ctl("0 early encrypted")
    world.ctl("0 measure")
    world.wait("the reading to be confirmed", lambda: confirmed(world, 0) == 1)
    assert len(world.readings()) == 1


@scenario(limit=200)
def test_radio_spoofed(world):
    """Something with the address of a bonded scale and without its key: nothing is taken."""
    begin(world, "add weight_scale", "0 pair just-works")
    pair(world, 0)
    world.wait_log("world", " 0 weight_scale disconnected")
    world.ctl("0 advertise off")
    world.ctl("clone 0")
    world.ctl("1 early on")
    world.ctl("1 measure")
    world.wait_log("devices", "trouble=")
    assert confirmed(world, 1) == 0
    assert world.readings() == []
