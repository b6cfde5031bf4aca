#!/usr/bin/python3
"""Keeps what a release says for ever: its descriptor set, and a message of each public type with every
field filled, as bytes and as text.

    freeze.py TODAY.desc VERSION

Run once per release; what it wrote is never written again. The values are made up and mean nothing.
"""
import os
import shutil
import sys

from google.protobuf.descriptor import FieldDescriptor as F

import schema_set

README = """# What this version says

Made by `freeze.py` at its release; nothing here is ever changed. All values are made up.
"""
DEPTH = 6  # a message may hold one of its own kind


def number(field, salt):
    """Small and large, and below zero where the type allows it."""
    if field.type == F.TYPE_BOOL:
        return salt % 2
    if field.type == F.TYPE_ENUM:
        numbers = [value.number for value in field.enum_type.values]
        return numbers[salt % len(numbers)]
    bits = 31 if field.cpp_type in (F.CPPTYPE_INT32, F.CPPTYPE_UINT32) else 63
    value = (salt * 0x9E3779B97F4A7C15 >> salt % 40) % (1 << bits)
    signed = field.cpp_type in (F.CPPTYPE_INT32, F.CPPTYPE_INT64)
    return -value if signed and salt % 3 == 0 else value


def fill(message, salt, depth=DEPTH):
    for field in message.DESCRIPTOR.fields:
        salt = salt * 31 % 65521 + field.number
        repeated = field.label == F.LABEL_REPEATED
        chosen = field.containing_oneof is None or field is field.containing_oneof.fields[-1]
        if not chosen or (field.type == F.TYPE_MESSAGE and depth == 0):
            continue
        for i in range(2 if repeated else 1):
            if field.type == F.TYPE_MESSAGE:
                one = getattr(message, field.name)
                one = one.add() if repeated else one
                one.SetInParent()
                fill(one, salt + i, depth - 1)
                continue
            if field.type == F.TYPE_STRING:
                value = f"{field.name} {salt + i} \u00b0"
            elif field.type == F.TYPE_BYTES:
                value = bytes((salt + i + n) % 256 for n in range(16))
            else:
                value = number(field, salt + i)
            if repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    folder = os.path.join(schema_set.RELEASED, sys.argv[2])
    os.makedirs(folder)
    shutil.copy(sys.argv[1], os.path.join(folder, "wellgate.desc"))
    with open(os.path.join(folder, "README.md"), "w", encoding="ascii") as stream:
        stream.write(README)
    new = schema_set.classes(schema_set.load(sys.argv[1]))
    for salt, name in enumerate(schema_set.PUBLIC, 1):
        message = new(name)()
        fill(message, salt)
        with open(os.path.join(folder, name + ".bin"), "wb") as stream:
            stream.write(message.SerializeToString(deterministic=True))
        with open(os.path.join(folder, name + ".txt"), "w", encoding="ascii") as stream:
            stream.write("".join(line + "\n" for line in schema_set.dump(message)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
