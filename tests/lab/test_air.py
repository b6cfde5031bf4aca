"""The simulated radio world against the real kernel and bluetoothd: what the air does."""
from test_peers import agent
from world import BusError, scenario


def addresses(world):
    """index -> address on air, as the radio lists them"""
    items = world.ctl("list").removeprefix("ok ").split("; ")
    return {int(words[0]): words[2] for words in (item.split() for item in items)}


def path_of(address):
    return "/org/bluez/hci0/dev_" + address.replace(":", "_")


def insist(world, call):
    """bluetoothd is still at the one before: its answer to a StartDiscovery says nothing of its end."""
    def done():
        try:
            call()
            return True
        except BusError as error:
            if "No discovery started" in str(error):
                return True  # the StopDiscovery before, refused as InProgress, did its work all the same
            if error.name != "org.bluez.Error.InProgress":
                raise
            return False
    world.wait("bluetoothd to take a call", done)


def find(world, *wanted):
    insist(world, world.scan)
    world.wait("the peripherals to be found", lambda: set(wanted) <= set(world.seen()))
    insist(world, world.unscan)


def resolved(world, address):
    device = world.objects().get(path_of(address), {}).get("org.bluez.Device1", {})
    return device.get("ServicesResolved")


def good(world):
    """The controller was asked for nothing that it does not know, and got nothing that made no sense."""
    log = world.log("world")
    return not any(word in log for word in ("unknown command", "bad command", "host-error"))


@scenario(vm="air")
def test_air_adapter_comes_and_goes(world):
    """Taken away and given back, the adapter is powered again and finds the same world."""
    world.up("add weight_scale")
    address = addresses(world)[0]
    for _ in range(5):
        find(world, address)
        world.ctl("adapter remove")
        world.wait("the adapter to go", lambda: "/org/bluez/hci0" not in world.objects())
        world.ctl("adapter add")
        world.wait_adapter()
    assert good(world)


@scenario(vm="air")
def test_air_crowd(world):
    """Ten thousand strangers, sixty peripherals: all of these are found."""
    world.up("add weight_scale 60", "crowd 10000 300")
    find(world, *addresses(world).values())
    assert len(world.seen()) > 60
    assert good(world)


@scenario(vm="air", kernels=("backports",))
def test_air_link_never_established(world):
    """A link that is never established (0x3e) costs this attempt; the next one is good."""
    world.up("add weight_scale", "0 fault lost 1")
    address = addresses(world)[0]
    find(world, address)
    try:
        world.call(path_of(address), "Device1", "Connect")
    except BusError:
        pass  # it may have returned before the link was lost
    world.wait_log("world", r" 0 weight_scale disconnected 0x3e$")
    world.wait("the link to be gone", lambda: not world.get(path_of(address), "Device1", "Connected"))
    world.call("hci0", "Adapter1", "RemoveDevice", path_of(address), signature="o")
    find(world, address)
    world.call(path_of(address), "Device1", "Connect")
    world.wait("services", lambda: resolved(world, address))
    assert good(world)


@scenario(vm="air")
def test_air_rotating_address(world):
    """A peripheral that rotates is a new device each time, with a resolvable address."""
    world.up("add weight_scale", "0 rotate")
    first = addresses(world)[0]
    find(world, first)
    world.ctl("0 rotate")
    second = addresses(world)[0]
    assert first != second
    assert int(first[:2], 16) >> 6 == int(second[:2], 16) >> 6 == 1
    find(world, second)
    world.call(path_of(second), "Device1", "Connect")
    world.wait("services", lambda: resolved(world, second))
    assert good(world)


@scenario(vm="air")
def test_air_small_fragments_and_delays(world):
    """Five-byte fragments and late packets change nothing but the time."""
    world.up("add weight_scale", "0 fragment 5", "0 delay 20 30")
    address = addresses(world)[0]
    find(world, address)
    world.call(path_of(address), "Device1", "Connect")
    world.wait("services", lambda: resolved(world, address))
    world.ctl("0 parameters 12 24 0 300")
    world.wait_log("world", r" 0 weight_scale parameters accepted$")
    world.ctl("0 drop 0x08")
    world.wait("the link to be gone", lambda: not world.get(path_of(address), "Device1", "Connected"))
    assert good(world)


@scenario(vm="air")
def test_air_silent_adapter(world):
    """An adapter whose firmware died answers nothing; taken away and given back it works."""
    world.up("add weight_scale")
    address = addresses(world)[0]
    world.ctl("adapter silent on")
    try:
        world.scan()
    except BusError:
        pass
    world.ctl("adapter remove")
    world.wait("the adapter to go", lambda: "/org/bluez/hci0" not in world.objects())
    world.ctl("adapter silent off")
    world.ctl("adapter add")
    world.wait_adapter()
    find(world, address)


@scenario(vm="air")
def test_air_bonded_rotates(world):
    """The key of a bonded peripheral resolves its new addresses: it stays the same device."""
    world.up("add weight_scale", "0 pair just-works", "0 rotate")
    find(world, addresses(world)[0])
    agent(world, "NoInputNoOutput")
    world.call(path_of(addresses(world)[0]), "Device1", "Pair")
    world.wait_log("world", r" 0 weight_scale bonded ")
    path = world.wait("the bond", lambda: next((path for path, interfaces in world.objects().items() if
                                                interfaces.get("org.bluez.Device1", {}).get("Bonded")), None))
    # the object keeps the path of the address it was found with
    world.wait("the identity to be known", lambda: world.get(path, "Device1", "Address") != addresses(world)[0])
    world.ctl("0 drop 0x13")
    world.wait("the link to be gone", lambda: not world.get(path, "Device1", "Connected"))
    world.ctl("0 rotate")
    new = addresses(world)[0]
    since = len(world.log("world"))
    world.call(path, "Device1", "Connect")
    world.wait_log("world", r" 0 weight_scale link-encrypted$", since=since)
    assert new not in world.seen()
    assert good(world)


@scenario(vm="air")
def test_air_many_links(world):
    """Twenty links at the same time, each with its services; then the radio drops them all."""
    world.up("add weight_scale 20", config="[General]\nTemporaryTimeout = 0\n")
    known = addresses(world)
    find(world, *known.values())
    for address in known.values():
        world.call(path_of(address), "Device1", "Connect")
    for address in known.values():
        world.wait("services", lambda a=address: resolved(world, a))
    assert world.ctl("list").count(" linked ") == 20
    world.ctl("all drop 0x08")
    world.wait("the links to be gone", lambda: not any(d["Connected"] for d in world.seen().values()))
    assert good(world)


@scenario(vm="air")
def test_air_unconfirmed(world):
    """A link that ends between indication and confirmation: the peripheral keeps its reading."""
    world.up("add weight_scale", "0 early on", "0 measure", "0 fault unconfirmed 1 100")
    address = addresses(world)[0]
    find(world, address)
    try:
        world.call(path_of(address), "Device1", "Connect")
    except BusError:
        pass
    world.wait_log("world", r" 0 weight_scale indicated ")
    world.wait_log("world", r" 0 weight_scale disconnected 0x08$")
    assert " confirmed " not in world.log("world")
    assert good(world)
