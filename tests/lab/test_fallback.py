"""A scale read through bluetoothd instead of our own bearer: standing subscriptions, restarts."""
from world import HUB_CONF, scenario


def begin(world, *commands):
    with open(HUB_CONF, encoding="utf-8") as stream:
        world.up(*commands, config=stream.read())
    world.gateway()
    world.devices("--verbose")
    world.wait_log("devices", "adapter ready")
    world.pair(0, "--via-bluetoothd")
    world.wait_log("world", " 0 weight_scale disconnected")


def measure(world, count):
    """One more weighing; until all `count` of them are in the store, and none twice."""
    world.ctl("0 measure")
    world.wait(f"{count} readings", lambda: len(world.readings()) >= count)
    assert len(world.readings()) == count, world.readings()


@scenario(limit=280)
def test_fallback_scale(world):
    """Read twice, and once when it speaks the moment its link comes up: the subscription stands."""
    begin(world, "add weight_scale", "0 pair just-works")
    device, = world.wellgate_json("devices")
    shown = world.wellgate("devices").stdout + str(device)
    assert "bluetoothd" in shown, shown
    doctor = world.wellgate("doctor").stdout
    assert "bluetoothd confirms readings" in doctor, doctor
    measure(world, 1)
    world.wait_log("world", " 0 weight_scale disconnected", count=2)
    world.ctl("0 early encrypted")
    measure(world, 2)
    assert all("link_security" not in r or r["link_security"] == "unspecified"
               for r in world.readings()), world.readings()


@scenario(limit=280)
def test_fallback_bluetoothd_restarts(world):
    """bluetoothd is killed between two weighings, and while the scale is linked."""
    begin(world, "add weight_scale", "0 pair just-works")
    measure(world, 1)
    world.kill("bluetoothd")
    world.wait("bluetoothd to be back", lambda: world.running["bluetoothd"].starts == 2)
    world.wait_adapter()
    world.wait_log("devices", "adapter ready", count=2)
    measure(world, 2)
    links = world.log("world").count(" 0 weight_scale connected")
    world.ctl("0 measure")
    world.wait_log("world", " 0 weight_scale connected", count=links + 1)
    world.kill("bluetoothd")
    world.wait("bluetoothd to be back", lambda: world.running["bluetoothd"].starts == 3)
    world.wait_log("devices", "adapter ready", count=3)
    world.ctl("0 measure")
    # What it confirmed the moment it was killed is lost: that is what this path costs. No more than
    # that, and nothing twice.
    confirmed = world.log("world").count(" 0 weight_scale confirmed")
    world.wait("the last weighing", lambda: world.log("world").count(" 0 weight_scale confirmed") == 4)
    world.wait("what is left", lambda: len(world.readings()) >= 3)
    assert len(world.readings()) in (3, 4), (confirmed, world.readings())
