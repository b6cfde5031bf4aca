"""A wellgate-devices that only plays the radio: what it says of devices and pairings is made up here,
and the commands of the operator arrive as messages. Everything in it is synthetic.
"""
import os
import socket
import time

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKET_MAX = 65536
LIMIT = 300.0  # seconds: not a verdict on speed

EBUSY, ENODEV, ENOENT = 16, 19, 2


def messages(descriptor):
    """What makes a message by its name, from a FileDescriptorSet file."""
    pool = descriptor_pool.DescriptorPool()
    with open(descriptor, "rb") as stream:
        for file in descriptor_pb2.FileDescriptorSet.FromString(stream.read()).file:
            pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return lambda name: factory.GetPrototype(pool.FindMessageTypeByName("wellgate.v1." + name))


def monotonic_us(seconds=0):
    return int((time.monotonic() + seconds) * 1e6)


class Radio:
    def __init__(self, stand):
        self.get = messages(stand.descriptor)
        self.path = os.path.join(stand.runtime, "devices.sock")
        self.pairing = 0
        self.socket = None
        self.clocks = []

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(LIMIT)
        self.socket.connect(self.path)

    def close(self):
        self.socket.close()

    def send(self, **what):
        self.socket.send(self.get("FromDevices")(**what).SerializeToString())

    def hear(self):
        """The next command; clocks are kept on the way."""
        while True:
            data = self.socket.recv(PACKET_MAX)
            assert data, "the gateway ended the connection"
            message = self.get("ToDevices").FromString(data)
            if message.WhichOneof("what") == "clock":
                self.clocks.append(message.clock)
            elif message.WhichOneof("what") == "radio":
                return message.radio

    def expect(self, what, error=0):
        """The next command must be this one; it is answered."""
        command = self.hear()
        assert command.WhichOneof("what") == what, command
        if what == "pair":
            self.pairing = command.id
        self.outcome(command, error)
        return command

    def outcome(self, command, error=0):
        self.send(outcome={"id": command.id, "error": error})

    def phase(self, phase, left=90, **more):
        self.send(pairing={"pairing": self.pairing, "phase": self.number("Pairing.Phase", "PHASE_" + phase),
                           "ends_at_us": monotonic_us(left), **more})

    def number(self, enum, name):
        kind = self.get(enum.split(".")[0]).DESCRIPTOR.enum_types_by_name[enum.split(".")[1]]
        return kind.values_by_name[name].number

    def status(self, adapter, devices=(), findings=None, first=True, last=True, **counters):
        message = {"first": first, "last": last, "devices": list(devices),
                   "adapter": self.number("RadioStatus.Adapter", "ADAPTER_" + adapter), **counters}
        if findings is not None:
            message.update(examined=True, findings=findings)
        self.send(radio=message)

    def device(self, tail, name, driver, state="KNOWN", trouble="NONE", **more):
        return {"address": f"02:00:5E:10:00:{tail:02X} public", "name": name, "driver": driver,
                "state": self.number("RadioDevice.State", "STATE_" + state),
                "trouble": self.number("RadioDevice.Trouble", "TROUBLE_" + trouble),
                "path": 1, "security": 3, **more}

    def candidate(self, number, name, driver, rssi=-55, enrolled=False):
        return {"number": number, "name": name, "driver": driver, "rssi": rssi, "enrolled": enrolled,
                "address": f"02:00:5E:10:00:{number:02X} public"}
