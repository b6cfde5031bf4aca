"""What the programs of this folder share: a FileDescriptorSet as classes, and messages as text.

The text has a line per scalar, in order of field numbers: `readings[0].components[1].value.mantissa=128`.
Enumerations are numbers, octets hexadecimal, yes and no 1 and 0; text with a backslash before what is no
printable ASCII, as \\xNN. `wire_dump.c` writes the same from the C of protoc-c.
"""
import os

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor as F

PACKAGE = "wellgate.v1."
HERE = os.path.dirname(os.path.abspath(__file__))
RELEASED = os.path.join(HERE, "released")
# what travels beyond one machine
PUBLIC = ["ReadingBatch", "GoalResult", "Correction", "HubStatus", "Receipt", "Command", "CommandReply"]


def load(path):
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as stream:
        files.ParseFromString(stream.read())
    return files


def classes(files):
    """a function: name of a message -> its class"""
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return lambda name: factory.GetPrototype(pool.FindMessageTypeByName(PACKAGE + name))


def scalar(field, value):
    if field.type == F.TYPE_BYTES:
        return value.hex()
    if field.type == F.TYPE_STRING:
        return "".join(chr(b) if 0x20 <= b < 0x7f and b != 0x5c else f"\\x{b:02x}" for b in value.encode("utf-8"))
    return str(int(value))


def dump(message, path=""):
    assert not len(message.UnknownFields()), f"{path or message.DESCRIPTOR.name}: fields that nobody knows"
    lines = []
    for field, value in sorted(message.ListFields(), key=lambda pair: pair[0].number):
        repeated = field.label == F.LABEL_REPEATED
        for i, one in enumerate(value if repeated else [value]):
            name = path + field.name + (f"[{i}]" if repeated else "")
            if field.type == F.TYPE_MESSAGE:
                lines += dump(one, name + ".") or [name + "={}"]
            else:
                lines.append(f"{name}={scalar(field, one)}")
    return lines
