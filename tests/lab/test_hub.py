"""The whole hub: real kernel, real bluetoothd, our programs, simulated devices."""


def test_scale_is_paired_and_read(world):
    """Paired once; a measurement is in the store before the scale sees its confirmation."""
    world.hub("add weight_scale", "0 pair just-works")
    world.pair(0)
    world.ctl("0 measure")
    world.wait_log("world", r" 0 weight_scale confirmed")
    assert len(world.readings()) == 1, world.readings()
