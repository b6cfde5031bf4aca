#!/usr/bin/python3
"""Every released version is read for ever: its descriptor set against today's, its messages by today's C
and by python3-protobuf, and today's messages by what it knew. Then the gate itself: it must find each way
to break this.

    test_schema.py WIRE_DUMP TODAY.desc
"""
import copy
import os
import subprocess
import sys

import gate
import schema_set


def fail(what):
    sys.exit(f"schema: {what}")


def released(version, program, today):
    folder = os.path.join(schema_set.RELEASED, version)
    old = schema_set.load(os.path.join(folder, "wellgate.desc"))
    findings = gate.compare(old, today)
    if findings:
        fail(f"what {version} says cannot be read any more:\n" + "\n".join(findings))
    names = [name[:-4] for name in sorted(os.listdir(folder)) if name.endswith(".bin")]
    if not set(schema_set.PUBLIC) >= set(names) or len(names) < 7:
        fail(f"{version}: fixtures are missing")
    for name in names:
        with open(os.path.join(folder, name + ".bin"), "rb") as stream:
            data = stream.read()
        with open(os.path.join(folder, name + ".txt"), encoding="ascii") as stream:
            expected = stream.read().splitlines()
        for files, who in ((old, "its own"), (today, "today's")):
            message = schema_set.classes(files)(name).FromString(data)
            if schema_set.dump(message) != expected:
                fail(f"{name} of {version}: python3-protobuf with {who} descriptor reads something else")
            if message.SerializeToString(deterministic=True) != data:
                fail(f"{name} of {version}: python3-protobuf with {who} descriptor writes other bytes")
        done = subprocess.run([program, name, os.path.join(folder, name + ".bin")], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0 or done.stdout.splitlines() != expected:
            fail(f"{name} of {version}: C reads something else; {done.stderr}")
    return len(names)


def message_of(files, name):
    return next(m for m in files.file[0].message_type if m.name == name)


def field_of(files, message, name):
    return next(f for f in message_of(files, message).field if f.name == name)


def renumbered(files):
    field_of(files, "Reading", "subject").number = 4000


def other_type(files):
    field_of(files, "Decimal", "mantissa").type = 3  # int64 for sint64: the same numbers would mean others


def other_name(files):
    field_of(files, "Reading", "subject").name = "person"


def repeated(files):
    field_of(files, "Reading", "subject").label = 3


def other_enum(files):
    field_of(files, "Reading", "clock").type_name = ".wellgate.v1.Origin"


def unpacked(files):
    field_of(files, "Reading", "flags").options.packed = False


def gone(files):
    message = message_of(files, "Reading")
    del message.field[21]


def reserved_by_number(files):
    gone(files)
    message_of(files, "Reading").reserved_range.add(start=22, end=23)


def no_message(files):
    del files.file[0].message_type[[m.name for m in files.file[0].message_type].index("Receipt")]


def out_of_oneof(files):
    message_of(files, "FromDevices").field[1].ClearField("oneof_index")


def required(files):
    message_of(files, "Reading").field.add(name="new", number=4001, type=4, label=2)


def other_meaning(files):
    metric = next(e for e in files.file[0].enum_type if e.name == "Metric")
    metric.value[1].name, metric.value[2].name = metric.value[2].name, metric.value[1].name


def value_gone(files):
    del next(e for e in files.file[0].enum_type if e.name == "Metric").value[5]


def well_reserved(files):
    reserved_by_number(files)
    message_of(files, "Reading").reserved_name.append("subject")


def appended(files):
    message_of(files, "Reading").field.add(name="new", number=4001, type=4, label=1)


BREAKS = [renumbered, other_type, other_name, repeated, other_enum, unpacked, gone, reserved_by_number, no_message,
          out_of_oneof, required, other_meaning, value_gone]


def the_gate(today):
    for change in BREAKS + [well_reserved, appended]:
        changed = copy.deepcopy(today)
        change(changed)
        if bool(gate.compare(today, changed)) != (change in BREAKS):
            fail(f"the gate is wrong about: {change.__name__}")
    given_up, used_again = copy.deepcopy(today), copy.deepcopy(today)
    well_reserved(given_up)
    if not gate.compare(given_up, used_again):
        fail("the gate lets a number that was given up be used again")


def main():
    program, path = sys.argv[1:]
    today = schema_set.load(path)
    versions = sorted(v.name for v in os.scandir(schema_set.RELEASED) if v.is_dir())
    messages = sum(released(version, program, today) for version in versions)
    the_gate(today)
    print(f"{messages} messages of {len(versions)} versions read by C and Python; {len(BREAKS)} breaks found")


main()
