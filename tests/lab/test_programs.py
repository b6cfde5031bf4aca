"""Our programs in the guest, without a radio: what scenarios build on."""
import os

from world import HERE

CAPTURE = os.path.join(os.path.dirname(HERE), "captures", "weight_scale", "bf720_session.cap")


def test_capture_to_store(world):
    """A capture goes through wellgate-devices and wellgated into the store and out of the broker."""
    expected = world.wellgate("replay", CAPTURE).stdout.splitlines()
    assert expected
    world.gateway()
    devices = world.devices("--replay", CAPTURE, "--speed", "max", "--memory", world.memory, "--once")
    assert devices.wait() == 0
    assert len(world.readings()) == len(expected), (world.readings(), expected)
    world.wait("the readings at the subscriber", lambda: len(world.stand.lines()) > 0)
