"""The long forms of scenarios, for the table of figures: tests/lab/figures runs them."""
import signal

import test_adapter
import test_crowd
from enrolled import figure, hub, is_read
from test_adapter import Trouble
from world import scenario


@scenario(vm="adapter", limit=1500)
def test_long_removed_and_added(world):
    hub(world, "add weight_scale")
    test_adapter.comes_and_goes(world, 200)
    is_read(world)


@scenario(vm="adapter", limit=600)
def test_long_bluetoothd_hangs(world):
    """Nobody watches it: the silence of the radio is what is noticed."""
    hub(world, "add weight_scale")
    with Trouble(world, "bluetoothd hung, noticed by silence") as trouble:
        world.kill("bluetoothd", signal.SIGSTOP)
        trouble.is_seen(r"adapter suspect", limit=150)
        world.kill("bluetoothd", signal.SIGCONT)
        trouble.mended()
    is_read(world)


@scenario(vm="adapter", limit=600)
def test_long_firmware_dead(world):
    """In a quiet home, and dead until the ladder is at its end."""
    hub(world, "add weight_scale", "all advertise off")
    with Trouble(world, "dead firmware, noticed by silence; alive again when all rungs had failed") as trouble:
        world.ctl("adapter silent on")
        trouble.is_seen(r"adapter reset", limit=180)
        trouble.is_seen(r"adapter failed", limit=180)
        world.ctl("adapter silent off")
        trouble.mended()
    world.ctl("all advertise on")
    is_read(world)


@scenario(vm="crowd", limit=1800)
def test_long_crowd(world):
    test_crowd.surrounded(world, peripherals=50, strangers=2000, rate=100, rounds=2, drops=0)


@scenario(vm="crowd", limit=1800)
def test_long_strangers(world):
    test_crowd.surrounded(world, peripherals=5, strangers=10000, rate=300, rounds=2, drops=30)


@scenario(vm="crowd", limit=400)
def test_long_idle(world):
    figure(world, "idle for 60 s: CPU ratio to bluetoothd", f"{test_crowd.idle(world, 60):.2f}")
