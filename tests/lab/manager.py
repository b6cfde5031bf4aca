"""systemd's part in the life of bluetoothd, for scenarios that kill the bus under it."""
import time

from world import BusError

NAMELESS = 20.0  # seconds


class ServiceManager:
    """systemd's part for a unit with Type=dbus: what runs without its name on the bus is ended.

    bluetoothd 5.66 was seen to stay for ever when the bus died soon after it started. In life the unit's
    watchdog, and the loss of its name, end it (`gateway/dist/bluetooth.service.d`).
    """

    def __init__(self, world):
        self.world, self.asked, self.named, self.ended = world, 0.0, time.monotonic(), 0

    def pump(self):
        now = time.monotonic()
        if now < self.asked + 5:
            return
        self.asked = now
        if not self.world.running["bluetoothd"].alive() or self.answers():
            self.named = now
        elif now > self.named + NAMELESS:
            self.world.say("bluetoothd has no name on the bus: ended")
            self.world.kill("bluetoothd")
            self.ended += 1
            self.named = now

    def answers(self):
        try:
            self.world.call("/", "org.freedesktop.DBus.Peer", "Ping", limit=5.0)
        except BusError:
            return False
        return True
