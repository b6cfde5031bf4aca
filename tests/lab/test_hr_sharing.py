"""A watch that shares its heart rate, and what it asks of who reads it: our name and an answer to its
Security Request. Inside the operator's window it is paired; outside it is refused, in the open, and shares
in clear or not at all.
"""
import enrolled
from world import HUB_CONF, scenario

NAME = b"Wellgate".hex()


def rates(world):
    return [r for r in world.wellgate_json("readings") if r["metric"] == "heart_rate"]


@scenario(limit=300)
def test_hr_sharing(world):
    """Paired, named, encrypted; the next link uses the key and is named again."""
    world.hub("add hr_sharing")
    world.pair(0)
    world.wait_log("world", r" 0 hr_sharing bonded")
    for link in 1, 2:
        world.wait_log("world", rf" 0 hr_sharing name {NAME}$", count=link)
        world.wait_log("world", r" 0 hr_sharing shares level=2", count=link)
        world.ctl("0 measure")
        world.wait("its heart rate", lambda link=link: len(rates(world)) >= link)
        world.ctl("0 drop")
    assert "stalled" not in world.log("world")
    assert all(r["link_security"] == "encrypted" for r in rates(world)), rates(world)


@scenario(limit=300)
def test_hr_sharing_refused(world):
    """Enrolled as one that never pairs, it asks for security without a window: the answer is no, at once."""
    with open(HUB_CONF, encoding="utf-8") as stream:
        world.up("add hr_sharing", "all advertise off", config=stream.read())
    enrolled.enrol(world, "heart_rate")
    world.gateway(restart=1.0)
    world.devices(restart=1.0)
    world.wait_log("devices", r"adapter ready")
    world.ctl("0 advertise on")
    refused = world.wait_log("world", r"^(\S+) 0 hr_sharing pairing failed (\w\w) by=host")
    asked = world.wait_log("world", r"^(\S+) 0 hr_sharing asks security")
    world.say(f"refused with {refused.group(2)} after {float(refused.group(1)) - float(asked.group(1)):.2f} s")
    world.wait_log("world", rf" 0 hr_sharing name {NAME}$")
    world.wait_log("world", r" 0 hr_sharing shares level=1")
    world.ctl("0 measure")
    world.wait("its heart rate", lambda: rates(world))
    assert {r["link_security"] for r in rates(world)} == {"clear"}, rates(world)
    log = world.log("world")
    assert "stalled" not in log and " 0 hr_sharing bonded" not in log
