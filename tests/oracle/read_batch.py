#!/usr/bin/python3
"""Reads Wellgate's messages with the published FileDescriptorSet and nothing else.

    mosquitto_sub -F '%t %x' ... | read_batch.py wellgate.desc

Each line is TOPIC HEX. The message type follows from the topic; printed are JSON lines, one per
reading and one per other message. Decimals become strings with exactly the digits that were sent,
octets become hex, enumerations their names without the prefix in lower case; what is absent in the
message is absent here. A line that cannot be read, or a message with fields that the descriptor
does not know, is named on stderr, and the exit status is 65.
"""
import json
import sys

PACKAGE = "wellgate.v1."
BY_LAST_LEVEL = {"goal": "GoalResult", "status": "HubStatus", "correction": "Correction",
                 "receipt": "Receipt", "reply": "CommandReply"}


class Schema:
    """message classes made from a FileDescriptorSet file"""

    def __init__(self, path):
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as file:
            files.ParseFromString(file.read())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)

    def new(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(PACKAGE + name))()


def type_of(topic):
    levels = topic.split("/")
    if len(levels) >= 2 and levels[-2] == "reading":
        return "ReadingBatch"
    if levels[-1] in BY_LAST_LEVEL:
        return BY_LAST_LEVEL[levels[-1]]
    raise ValueError("no message type for this topic")


def decimal_text(mantissa, exponent):
    """740, -1 -> 74.0 and 5, 2 -> 500: plain notation, no digit lost or invented"""
    sign = "-" if mantissa < 0 else ""
    digits = str(abs(mantissa))
    if exponent >= 0:
        return sign + (digits + "0" * exponent if mantissa else "0")
    digits = digits.rjust(1 - exponent, "0")
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


def enum_name(descriptor, number):
    value = descriptor.values_by_number.get(number)
    if value is None:
        return number
    # METRIC_BODY_WEIGHT: the prefix is the name of the value 0 without its last word
    zero = descriptor.values_by_number[0].name if 0 in descriptor.values_by_number else ""
    prefix = zero[:zero.rfind("_") + 1]
    name = value.name
    return (name[len(prefix):] if name.startswith(prefix) else name).lower()


def plain_value(field, value):
    if field.type == field.TYPE_ENUM:
        return enum_name(field.enum_type, value)
    if field.type == field.TYPE_BYTES:
        return value.hex()
    if field.type == field.TYPE_MESSAGE:
        if field.message_type.name == "Decimal":
            return decimal_text(value.mantissa, value.exponent)
        return plain(value)
    return value


def plain(message):
    if len(message.UnknownFields()):
        raise ValueError(f"{message.DESCRIPTOR.name} has fields that the descriptor does not know")
    out = {}
    for field, value in message.ListFields():
        if field.label == field.LABEL_REPEATED:
            out[field.name] = [plain_value(field, v) for v in value]
        else:
            out[field.name] = plain_value(field, value)
    return out


def read(schema, topic, payload):
    """the JSON objects of one message"""
    name = type_of(topic)
    if not payload:
        return [{"topic": topic, "type": name, "empty": True}]
    message = schema.new(name)
    message.ParseFromString(payload)
    whole = plain(message)
    if name != "ReadingBatch":
        return [{"topic": topic, "type": name, **whole}]
    readings = whole.pop("readings", [])
    return [{"topic": topic, "type": "Reading", **whole, **reading} for reading in readings]


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    schema = Schema(sys.argv[1])
    bad = 0
    for number, line in enumerate(sys.stdin, 1):
        topic, _, payload = line.rstrip("\n").partition(" ")
        try:
            for out in read(schema, topic, bytes.fromhex(payload)):
                print(json.dumps(out), flush=True)
        except Exception as error:  # any fault of the line is a finding, and the next line counts
            print(f"line {number}: {topic}: {error}", file=sys.stderr)
            bad += 1
    return 65 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
