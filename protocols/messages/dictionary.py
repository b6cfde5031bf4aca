#!/usr/bin/python3
"""The data dictionary, from wellgate.proto (with its comments), metrics.def and units.def.

    dictionary.py            prints it
    dictionary.py --update   writes DICTIONARY.md
    dictionary.py --check    says whether DICTIONARY.md is what it would write

What the proto leaves to a name is said in NAMED below; a name that is not there, or that has a comment of
its own by now, is an error.
"""
import os
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, "DICTIONARY.md")
COMMAND = "protocols/messages/dictionary.py --update"
F = descriptor_pb2.FieldDescriptorProto
# what the data team reads, and the topic below wellgate/v1/SITE/HUB/
ROOTS = {"ReadingBatch": "`reading/GROUP`", "GoalResult": "`goal`", "Correction": "`correction`",
         "HubStatus": "`status`, retained", "Receipt": "`receipt`"}
KINDS = {F.TYPE_SINT64: "sint64", F.TYPE_SINT32: "sint32", F.TYPE_UINT64: "uint64", F.TYPE_UINT32: "uint32",
         F.TYPE_FIXED64: "fixed64", F.TYPE_BOOL: "bool", F.TYPE_STRING: "string", F.TYPE_BYTES: "bytes"}
SPANS = ("duration_ms", "clock_correction_ms")

HEAD = f"""# Data dictionary

For those who read what hubs publish. Made by `{COMMAND}` from `wellgate.proto`,
`metrics.def` and `units.def`; not to be edited by hand.

- **Absent is not zero.** Every field may be absent; what is not known is absent. Enumerations are 0 only where
  nothing was stated. A number that is not in a table here was added later: keep it.
- A value is `mantissa * 10^exponent`, exactly as precise as the device gave it: 740 and -1 is 74.0.
- A reading is named by (hub, epoch, sequence). The broker may send a message twice: that name tells.
- Topics are `wellgate/v1/SITE/HUB/...`; test and demonstration data are under `wellgate/v1/SITE/HUB/test/...`.
- Nobody is named. `subject` is a random reference; who it is, only the record side can know.
- A reading may be replaced, retracted or given to another subject later: see `revision`, `replaces` and
  Correction. A reading with the flag `hard_range` is kept and never used for a goal.
- Units are UCUM. LOINC, SNOMED CT and MDC (IEEE 11073-10101) codes stand where they could be verified.

Operators' commands and the sockets within one hub are not here: see `wellgate.proto`.
"""

NAMED = {
    "ReadingBatch.hub": "name of the hub, as in the topic",
    "Reading.metric": "what was measured; the parts are in `components`",
    "Reading.components": "the measured quantities",
    "Reading.snomed": "SNOMED CT concept id of the whole",
    "Reading.mdc": "IEEE 11073-10101 code of the whole",
    "Reading.duration_ms": "the measurement lasted this long: steps of a day, a night",
    "Reading.utc_offset_min": "local time - UTC where it was measured",
    "Reading.offset_source": "who said so",
    "Reading.clock": "how far measured_at_ms can be trusted",
    "Reading.clock_correction_ms": "what was added to the device's stamp",
    "Reading.device_time": "what the device's clock said, as sent",
    "Reading.received_at_ms": "when the hub received it, by the hub's clock",
    "Reading.boot_id": "which run of the hub's system received it",
    "Reading.received_boottime_us": "when the hub received it, since that system began",
    "Reading.device": "what measured it",
    "Reading.user_slot": "the device's own number of a user; 255: it does not know whose",
    "Reading.attribution": "why it is this subject's, or nobody's",
    "Reading.flags": "quality and circumstances",
    "Reading.link_security": "how well the way from the device was protected",
    "Reading.origin": "measured, typed in, worked out or out of a file",
    "Reading.revision": "rises when the reading is replaced",
    "Component.metric": "what this number is",
    "Component.value": "in `unit`",
    "Component.original_value": "as the device said it",
    "Component.original_unit": "UCUM",
    "Component.loinc": "LOINC code",
    "Decimal.mantissa": "the digits",
    "Decimal.exponent": "power of ten",
    "DeviceTime.kind": "which of the following are there",
    "DeviceTime.year": "0: the device does not know",
    "DeviceTime.month": "1 to 12; 0: the device does not know",
    "DeviceTime.day": "1 to 31; 0: the device does not know",
    "DeviceTime.hour": "0 to 23",
    "DeviceTime.minute": "0 to 59",
    "DeviceTime.second": "as sent",
    "DeviceTime.fraction_us": "of the second",
    "DeviceTime.ticks": "KIND_TICKS: the counter",
    "DeviceTime.tick_us": "KIND_TICKS: length of one tick",
    "DeviceRef.driver": "which driver read it",
    "DeviceRef.make": "manufacturer, as the device says",
    "DeviceRef.model": "as the device says",
    "DeviceRef.firmware": "as the device says",
    "DeviceRef.hardware": "as the device says",
    "Attribution.rule": "why",
    "Attribution.confidence": "how sure",
    "Attribution.registry_revision": "state of the hub's list of loans that was asked",
    "GoalResult.goal_id": "name of the goal",
    "GoalResult.goal_version": "of the goal's definition",
    "GoalResult.subject": "random reference",
    "GoalResult.metric": "what the goal is about",
    "GoalResult.period_start_ms": "first moment of the period",
    "GoalResult.state": "whether more can come",
    "GoalResult.outcome": "what can be said of the period",
    "GoalResult.progress": "so far, in `unit`",
    "GoalResult.target": "in `unit`",
    "GoalResult.unit": "UCUM",
    "GoalResult.revision": "a later one of the same goal and period replaces an earlier one",
    "GoalResult.hub": "name of the hub",
    "GoalResult.epoch": "of `sequence`; see ReadingBatch",
    "GoalResult.evaluated_at_ms": "when it was worked out",
    "GoalResult.achievement": "over several periods",
    "GoalResult.reason": "why this revision was made",
    "Correction.hub": "name of the hub",
    "Correction.epoch": "of the sequences; see ReadingBatch",
    "Correction.sequence": "of corrections, without gaps, per hub and epoch",
    "Correction.kind": "what it says",
    "Correction.reading_id": "the reading it is about",
    "Correction.from_subject": "whose it was",
    "Correction.to_subject": "whose it is",
    "Correction.reason": "in a few words",
    "Correction.first_sequence": "TOMBSTONE: from here",
    "Correction.last_sequence": "TOMBSTONE: to here, included",
    "Correction.at_ms": "when it was made",
    "HubStatus.hub": "name of the hub",
    "HubStatus.epoch": "see ReadingBatch",
    "HubStatus.state": "whether it can be reached",
    "HubStatus.since_ms": "in this state since",
    "HubStatus.version": "of the gateway's program",
    "HubStatus.clock_synced": "the hub's clock is synchronised",
    "HubStatus.store_full": "the hub has no room for more readings",
    "HubStatus.counters": "what was counted since the start",
    "HubStatus.test": "the hub plays test or demonstration data",
    "HubStatus.Counter.name": "what is counted",
    "HubStatus.Counter.value": "how many",
    "FirmwareCount.make": "manufacturer",
    "FirmwareCount.model": "as the devices say",
    "FirmwareCount.hardware": "as the devices say",
    "FirmwareCount.firmware": "as the devices say",
    "FirmwareCount.driver": "which driver reads them",
    "FirmwareCount.devices": "how many",
    "FirmwareCount.last_seen_ms": "see first_seen_ms",
    "Receipt.hub": "name of the hub",
    "Receipt.epoch": "of the sequences; see ReadingBatch",
    "Receipt.lanes": "one for each kind",
    "Receipt.at_ms": "when it was written",
    "Receipt.Lane.kind": "what is numbered",
    "Receipt.Range.first": "lowest number",
    "Receipt.Range.last": "highest number",
    "FLAG_IRREGULAR_PULSE": "the device noticed an irregular pulse",
    "FLAG_PULSE_ABOVE_RANGE": "pulse above what the device can count",
    "FLAG_PULSE_BELOW_RANGE": "pulse below what the device can count",
    "FLAG_SOFT_RANGE": "unusual: outside the usual range of the metric, see below",
    "FLAG_UNIT_CONVERTED": "the device used another unit: see original_value",
    "FLAG_TIME_CORRECTED": "the device's clock was wrong by a known amount: see clock_correction_ms",
    "FLAG_TIME_UNCERTAIN": "the time may be wrong, or is not known",
    "FLAG_MANUAL": "typed in by somebody",
    "FLAG_DEVICE_FAULT": "the device reports a fault of its own",
    "FLAG_LOW_BATTERY": "the device's battery is low",
    "FLAG_NO_CONTACT": "the sensor does not touch the skin: no reading of a person",
    "FLAG_QUESTIONABLE": "the device doubts its own value",
    "FLAG_INVALID": "the device says its value is not valid",
    "FLAG_EARLY_ESTIMATE": "the device will give a better value",
    "FLAG_ONGOING": "the measurement is not over",
    "FLAG_CALIBRATING": "the device is calibrating: no reading of a person",
    "FLAG_CLOCK_NOT_SET": "the device says its clock was never set",
    "FLAG_UNAVAILABLE": "the device has no value",
    "FLAG_SENSOR_FAULT": "the device reports a fault of its sensor",
}


def joined(source):
    """A comment behind a line that goes on below it in one line: protoc gives its rest to what comes next."""
    lines = []
    for line in source.splitlines():
        indent = line[:len(line) - len(line.lstrip())]
        if line.lstrip().startswith("//") and lines and ";" in lines[-1].partition("//")[0] and "//" in lines[-1] \
                and len(indent) > len(lines[-1]) - len(lines[-1].lstrip()):
            lines[-1] += line.strip()[2:]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def descriptor():
    with open(os.path.join(HERE, "wellgate.proto"), encoding="utf-8") as stream:
        source = joined(stream.read())
    with tempfile.TemporaryDirectory() as folder:
        proto, result = os.path.join(folder, "wellgate.proto"), os.path.join(folder, "wellgate.desc")
        with open(proto, "w", encoding="utf-8") as stream:
            stream.write(source)
        subprocess.run(["protoc", "--include_source_info", f"--descriptor_set_out={result}", f"-I{folder}", proto],
                       check=True)
        with open(result, "rb") as stream:
            return descriptor_pb2.FileDescriptorSet.FromString(stream.read()).file[0]


class Schema:
    """messages and enumerations by their names, and what is said about each"""

    def __init__(self, file):
        self.messages, self.enums, self.used = {}, {}, set()
        self.said = {tuple(place.path): self.plain(place) for place in file.source_code_info.location}
        for i, message in enumerate(file.message_type):
            self.add_message(message, message.name, (4, i))
        for i, enum in enumerate(file.enum_type):
            self.enums[enum.name] = (enum, (5, i))

    @staticmethod
    def plain(place):
        lines = (place.leading_comments + " " + place.trailing_comments).split()
        return " ".join(lines)

    def add_message(self, message, name, path):
        self.messages[name] = (message, path)
        for i, inner in enumerate(message.nested_type):
            self.add_message(inner, f"{name}.{inner.name}", (*path, 3, i))
        for i, enum in enumerate(message.enum_type):
            self.enums[f"{name}.{enum.name}"] = (enum, (*path, 4, i))

    def about(self, path, name=None):
        said = self.said.get(path, "")
        if name in NAMED:
            self.used.add(name)
            if said:
                raise SystemExit(f"dictionary: {name} has a comment by now: take it out of NAMED")
            return NAMED[name]
        return said


def short(type_name):
    return type_name[len(".wellgate.v1."):]


def reach(schema, name, messages, enums):
    """name and all that it is made of, in the order of reading"""
    if name in messages:
        return
    messages.append(name)
    for field in schema.messages[name][0].field:
        if field.type == F.TYPE_MESSAGE:
            reach(schema, short(field.type_name), messages, enums)
        elif field.type == F.TYPE_ENUM and short(field.type_name) not in enums:
            enums.append(short(field.type_name))


def anchor(name):
    return f"[{name}](#{name.lower().replace('.', '')})"


def kind_of(field):
    kind = KINDS.get(field.type) or anchor(short(field.type_name))
    return kind + (", several" if field.label == F.LABEL_REPEATED else "")


def unit_of(name):
    if name.endswith("_ms"):
        return "ms" if name in SPANS else "ms since 1970, UTC"
    return "µs" if name.endswith("_us") else "min" if name.endswith("_min") else ""


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def table(head, rows):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(cell(str(value)) for value in row) + " |" for row in rows] + [""]


def message_part(schema, name):
    message, path = schema.messages[name]
    out = [f"### {name}", ""]
    if name in ROOTS:
        out += [f"Topic {ROOTS[name]}.", ""]
    if schema.about(path):
        out += [schema.about(path), ""]
    rows = []
    for i, field in enumerate(message.field):
        meaning = schema.about((*path, 2, i), f"{name}.{field.name}")
        if not meaning:
            raise SystemExit(f"dictionary: {name}.{field.name} says nothing: a comment in wellgate.proto, please")
        rows.append((field.number, f"`{field.name}`", kind_of(field), unit_of(field.name), meaning))
    return out + table(("no.", "field", "type", "unit", "meaning"), rows)


def enum_part(schema, name):
    enum, path = schema.enums[name]
    out = [f"### {name}", ""] + ([schema.about(path), ""] if schema.about(path) else [])
    prefix = enum.value[0].name.removesuffix("UNSPECIFIED")
    rows = [(value.number, f"`{value.name}`", schema.about((*path, 2, i), value.name)
             or value.name.removeprefix(prefix).replace("_", " ").lower())
            for i, value in enumerate(enum.value) if value.number]
    return out + table(("no.", "name", "meaning"), rows)


def rows_of(name, macro):
    """The rows of a .def file, each a list of texts."""
    with open(os.path.join(HERE, name), encoding="utf-8") as stream:
        text = re.sub(r"/\*.*?\*/", "", stream.read(), flags=re.S)
    rows = [line for line in text.splitlines() if line.strip()]
    found = [re.fullmatch(macro + r"\((.*)\)", line.strip()) for line in rows]
    if not all(found):
        raise SystemExit(f"dictionary: {name} has a line that is no row")
    return [[part.strip().strip('"') for part in re.split(r",(?![^(]*\))", match[1])] for match in found]


def limit(text):
    match = re.fullmatch(r"D\((-?\d+), (-?\d+)\)", text)
    return f"{int(match[1]) * 10 ** int(match[2]):g}" if match else ""


def span(low, high):
    return f"{limit(low)} to {limit(high)}" if limit(low) or limit(high) else ""


def mdc(code):
    """As one number, and as partition:term."""
    return f"{code} ({int(code) >> 16}:{int(code) & 0xffff})" if int(code) else ""


def registry():
    units = {row[1]: row for row in rows_of("units.def", "UNIT")}
    out = ["## Metrics and their codes", "", "`METRIC_...` by number. Every value is in the metric's one unit; what a "
           "device said in another is in `original_value`. Outside the widest range a reading is quarantined "
           "(`hard_range`), outside the usual one it is flagged (`soft_range`).", ""]
    rows = []
    for number, name, public, label, unit, group, loinc, snomed, code, *ranges in rows_of("metrics.def", "METRIC"):
        rows.append((number, f"`{name}`", f"`{public}`", label, f"`{units[unit][2]}`", group.lower(), loinc,
                     snomed if int(snomed) else "", mdc(code), span(*ranges[:2]), span(*ranges[2:])))
    out += table(("no.", "METRIC_", "name in JSON and SQL", "meaning", "unit", "group", "LOINC", "SNOMED CT",
                  "MDC", "widest range", "usual range"), rows)
    out += ["## Units", ""]
    rows = [(f"`{ucum}`", mdc(code), dimension.lower().replace("_", " "))
            for _, _, ucum, code, dimension, *_ in units.values()]
    return out + table(("UCUM", "MDC", "dimension"), rows)


def write():
    schema = Schema(descriptor())
    messages, enums = [], []
    for name in ROOTS:
        reach(schema, name, messages, enums)
    enums.remove("Metric")
    out = [HEAD, "## Messages", ""]
    for name in messages:
        out += message_part(schema, name)
    out += ["## Enumerations", ""]
    for name in enums:
        out += enum_part(schema, name)
    if set(NAMED) - schema.used:
        raise SystemExit("dictionary: no such names: " + ", ".join(sorted(set(NAMED) - schema.used)))
    text = "\n".join(out + registry()).rstrip("\n") + "\n"
    return text.replace("](#metric)", "](#metrics-and-their-codes)")


def main():
    text = write()
    if sys.argv[1:] == ["--update"]:
        with open(TARGET, "w", encoding="utf-8") as stream:
            stream.write(text)
    elif sys.argv[1:] == ["--check"]:
        with open(TARGET, encoding="utf-8") as stream:
            if stream.read() != text:
                sys.exit(f"DICTIONARY.md is stale; run: {COMMAND}")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
