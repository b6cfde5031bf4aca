#!/usr/bin/python3
"""Is today's schema still one that every released one can be read with, and the other way round?

    gate.py RELEASED.desc TODAY.desc

Prints what breaks that, one finding a line, and exits 1. A field or a value of an enumeration keeps its
number, name, type, cardinality and oneof for ever; one that is given up is `reserved`, by number and name.
"""
import sys

from google.protobuf import descriptor_pb2

import schema_set

LABELS = {1: "optional", 2: "required", 3: "repeated"}
TYPES = {number: name[5:].lower() for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()}


def flat(files):
    """{full name: DescriptorProto or EnumDescriptorProto}"""
    found = {}

    def walk(prefix, messages, enums):
        for enum in enums:
            found[prefix + enum.name] = enum
        for message in messages:
            found[prefix + message.name] = message
            walk(prefix + message.name + ".", message.nested_type, message.enum_type)

    for file in files.file:
        walk(f"{file.package}.", file.message_type, file.enum_type)
    return found


def reserved(ranges, number, inclusive):
    return any(r.start <= number < r.end + inclusive for r in ranges)


def oneof(message, field):
    return message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""


def shape(message, field):
    kind = field.type_name or TYPES[field.type]
    packed = field.options.packed if field.HasField("options") else False
    return field.name, kind, LABELS[field.label], oneof(message, field), packed, field.default_value


def same_field(name, old, new, field):
    match = [f for f in new.field if f.number == field.number]
    if not match:
        kept = reserved(new.reserved_range, field.number, 0) and field.name in new.reserved_name
        return [] if kept else [f"{name}.{field.name} = {field.number}: gone and not reserved, by number and name"]
    was, now = shape(old, field), shape(new, match[0])
    what = ("name", "type", "cardinality", "oneof", "packing", "default")
    return [f"{name}.{field.name} = {field.number}: {w} was {a or 'none'!s}, is {b or 'none'!s}"
            for w, a, b in zip(what, was, now) if a != b]


def same_message(name, old, new):
    findings = [line for field in old.field for line in same_field(name, old, new, field)]
    for field in new.field:
        if reserved(old.reserved_range, field.number, 0) or field.name in old.reserved_name:
            findings.append(f"{name}.{field.name} = {field.number}: was given up before, and is used again")
        if field.label == field.LABEL_REQUIRED:
            findings.append(f"{name}.{field.name} = {field.number}: required; older messages have none")
    findings += [f"{name}: {r.start} to {r.end - 1} is reserved no more" for r in old.reserved_range
                 if not any(n.start <= r.start and r.end <= n.end for n in new.reserved_range)]
    return findings


def same_enum(name, old, new):
    names = {value.number: value.name for value in new.value}
    findings = []
    for value in old.value:
        gone = value.number not in names
        kept = reserved(new.reserved_range, value.number, 1) and value.name in new.reserved_name
        if gone and not kept:
            findings.append(f"{name}.{value.name} = {value.number}: gone and not reserved, by number and name")
        elif not gone and names[value.number] != value.name:
            findings.append(f"{name}.{value.name} = {value.number}: is {names[value.number]} now")
    findings += [f"{name}.{value.name} = {value.number}: was given up before, and is used again" for value in new.value
                 if reserved(old.reserved_range, value.number, 1) or value.name in old.reserved_name]
    return findings


def compare(old_files, new_files):
    old, new = flat(old_files), flat(new_files)
    findings = [f"{f.package}: syntax was {f.syntax or 'proto2'}" for f in old_files.file
                if f.syntax != new_files.file[0].syntax]
    for name, was in old.items():
        now = new.get(name)
        if type(now) is not type(was):
            findings.append(f"{name}: gone, or something else now")
        elif isinstance(was, descriptor_pb2.DescriptorProto):
            findings += same_message(name, was, now)
        else:
            findings += same_enum(name, was, now)
    return findings


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    findings = compare(schema_set.load(sys.argv[1]), schema_set.load(sys.argv[2]))
    print("".join(line + "\n" for line in findings), end="")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
