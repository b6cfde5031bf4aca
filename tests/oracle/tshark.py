#!/usr/bin/python3
"""Compares what tshark decodes with what our structs held when our encoders wrote the bytes.

    tshark.py --generator BUILD/bin/oracle_pdus [--count N] [--seed S] [--keep DIR] PROFILE

Every field that tshark knows for the profile is asked for. A field it shows must have the value
expected; a field it does not show must not be expected. Differences that are tshark's own faults
are listed in KNOWN, with the reason, and counted; any other fails the run.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal

SKIP = 77
SPECIAL = {"NaN": "NaN", "NRes": "NRes", "+INF": "+INFINITY", "-INF": "-INFINITY",
           "reserved": "RFU"}
TIME = ["btatt." + part for part in ("year", "month", "day", "hours", "minutes", "seconds")]


def sfloat(text):
    """our mantissa and exponent, or the name tshark gives the special value"""
    return SPECIAL[text] if text in SPECIAL else Decimal(text)


def raw(text, resolution):
    """the integer on the wire, for a field of 16 bits with this resolution"""
    if text == "unsuccessful":
        return 0xFFFF
    value = Decimal(text) / Decimal(resolution)
    if value != value.to_integral_value():
        raise ValueError(f"{text} is no multiple of {resolution}")
    return int(value)


def several(values):
    """a field that occurs once is no list"""
    return values if len(values) > 1 else values[0]


def times(e, want):
    if "time" in e:
        want.update(zip(TIME, e["time"]))


def weight(e):
    unit = "lb" if e["imperial"] else "kg"
    want = {"flags.reserved": 0, "flags.bmi_and_height": "bmi" in e, "flags.user_id": "user" in e,
            "flags.timestamp": "time" in e, "flags.measurement_units": e["imperial"],
            f"weight.{unit}": raw(e["weight"], "0.01" if e["imperial"] else "0.005")}
    want["flags"] = (e["imperial"] | ("time" in e) << 1 | ("user" in e) << 2 | ("bmi" in e) << 3)
    if "user" in e:
        want["user_id"] = e["user"]
    if "bmi" in e:
        want["bmi"] = raw(e["bmi"], "0.1")
        want["height.in" if e["imperial"] else "height.m"] = raw(
            e["height"], "0.1" if e["imperial"] else "0.001")
    return want


BODY = ["time", "user", "basal_metabolism", "muscle_percentage", "muscle_mass", "fat_free_mass",
        "soft_lean_mass", "body_water_mass", "impedance", "weight", "height"]


def body_composition(e):
    want = {"flags.reserved": 0, "flags.multiple_packet_measurement": e["multiple"],
            "flags.measurement_units": e["imperial"],
            "body_fat_percentage": raw(e["body_fat"], "0.1")}
    flags = e["imperial"] | e["multiple"] << 12
    for bit, key in enumerate(BODY, 1):
        name = {"time": "timestamp", "user": "user_id"}.get(key, key)
        want["flags." + name] = key in e
        flags |= (key in e) << bit
        if key not in e or key == "time":
            continue
        if key == "user":
            want["user_id"] = e["user"]
        elif key == "height":
            want["height." + ("inches" if e["imperial"] else "meter")] = raw(
                e[key], "0.1" if e["imperial"] else "0.001")
        elif key.endswith("mass") or key == "weight":
            want[f"{key}." + ("lb" if e["imperial"] else "kg")] = raw(
                e[key], "0.01" if e["imperial"] else "0.005")
        else:
            want[key] = raw(e[key], "1" if key == "basal_metabolism" else "0.1")
    want["flags"] = flags
    return want


def bits(value, prefix, names):
    """one expected flag per name, from bit 0 on"""
    return {f"{prefix}.{name}": value >> bit & 1 for bit, name in enumerate(names)}


def blood_pressure(e):
    unit = "kpa" if e["kpa"] else "mmhg"
    want = {"flags.reserved": 0, "flags.unit": e["kpa"], "flags.timestamp": "time" in e,
            "flags.pulse_rate": "pulse_rate" in e, "flags.user_id": "user" in e,
            "flags.measurement_status": "status" in e}
    want["flags"] = (e["kpa"] | ("time" in e) << 1 | ("pulse_rate" in e) << 2 |
                     ("user" in e) << 3 | ("status" in e) << 4)
    for key in ("systolic", "diastolic", "arterial_pressure"):
        want[f"compound_value.{key}.{unit}"] = sfloat(e[key])
    if "pulse_rate" in e:
        want["pulse_rate"] = sfloat(e["pulse_rate"])
    if "user" in e:
        want["user_id"] = e["user"]
    if "status" in e:
        s = e["status"]
        want["status"] = s
        want.update(bits(s, "status", ["body_movement", "cuff_fit_too_loose", "irregular_pulse"]))
        want["status.pulse_rate_range_detection"] = s >> 3 & 3
        want["status.improper_measurement_position"] = s >> 5 & 1
        want["status.reserved"] = s >> 6
    return want


def heart_rate(e):
    want = {"flags.reserved": 0, "flags.rr_interval": bool(e["intervals"]),
            "flags.energy_expended": "energy" in e, "flags.value_16": e["wide"],
            "flags.sensor_contact_status.support": e["contact"] >> 1,
            "flags.sensor_contact_status.contact": e["contact"] & 1,
            "value.16" if e["wide"] else "value.8": raw(e["rate"], "1")}
    want["flags"] = (e["wide"] | e["contact"] << 1 | ("energy" in e) << 3 |
                     bool(e["intervals"]) << 4)
    if "energy" in e:
        want["energy_expended"] = raw(e["energy"], "1")
    if e["intervals"]:
        want["rr_interval"] = several(e["intervals"])
    return want


def temperature(e):
    unit = "fahrenheit" if e["fahrenheit"] else "celsius"
    want = {"flags.reserved": 0, "flags.temperature_unit": e["fahrenheit"],
            "flags.timestamp": "time" in e, "flags.temperature_type": "type" in e,
            f"value.{unit}": sfloat(e["value"])}
    want["flags"] = e["fahrenheit"] | ("time" in e) << 1 | ("type" in e) << 2
    if "type" in e:
        want["btatt.temperature_type"] = e["type"]
    return want


STATUS = ["battery_low", "fault", "size_insufficient", "strip_insertion_error",
          "strip_type_incorrect", "result_too_high", "result_too_lower", "temperature_too_high",
          "temperature_too_low", "read_interrupted", "general_fault", "time_fault"]


def glucose(e):
    want = {"flags.reserved": 0, "flags.context_information_follows": e["context"],
            "flags.sensor_status_annunciation_present": "status" in e,
            "flags.glucose_concentration_units": e["mol"],
            "flags.glucose_concentration_type_and_sample_location_present": "type" in e,
            "flags.time_offset_present": "offset" in e, "sequence_number": e["sequence"]}
    want["flags"] = (("offset" in e) | ("type" in e) << 1 | e["mol"] << 2 |
                     ("status" in e) << 3 | e["context"] << 4)
    if "offset" in e:
        # tshark shows the plain integer; overrun and underrun are the two ends of its range
        want["time_offset"] = {"+INF": 32767, "-INF": -32768}.get(e["offset"]) or \
            raw(e["offset"], "1")
    if "type" in e:
        unit = "mol_per_l" if e["mol"] else "kg_per_l"
        want[f"glucose_concentration.{unit}"] = sfloat(e["concentration"])
        want["type_and_sample_location"] = e["type"] | e["location"] << 4
        want["type_and_sample_location.type"] = e["type"]
        want["type_and_sample_location.sample_location"] = e["location"]
    if "status" in e:
        want["sensor_status_annunciation"] = e["status"]
        want.update(bits(e["status"], "sensor_status_annunciation", STATUS))
        want["sensor_status_annunciation.reserved"] = e["status"] >> 12
    return want


CONTEXT = ["carbohydrate_id_and_carbohydrate", "meal", "tester_health",
           "exercise_duration_and_exercise_intensity", "medication_id_and_medication",
           "medication_value_units", "hba1c", "extended_flags"]


def glucose_context(e):
    has = ["carbohydrate" in e, "meal" in e, "tester" in e, "exercise_duration" in e,
           "medication" in e, e["litres"], "hba1c" in e, e["extended"]]
    want = {f"flags.{name}": bit for name, bit in zip(CONTEXT, has)}
    want["flags"] = sum(bit << number for number, bit in enumerate(has))
    want["sequence_number"] = e["sequence"]
    if e["extended"]:
        want["extended_flags"] = want["extended_flags.reserved"] = 0
    for key in ("carbohydrate_id", "meal", "medication_id"):
        if key in e:
            want[key] = e[key]
    for key, name in (("carbohydrate", "carbohydrate.kg"), ("hba1c", "hba1c"),
                      ("medication", "medication." + ("l" if e["litres"] else "kg"))):
        if key in e:
            want[name] = sfloat(e[key])
    if "tester" in e:
        want["tester_and_health"] = e["tester"] | e["health"] << 4
        want["tester_and_health.tester"] = e["tester"]
        want["tester_and_health.health"] = e["health"]
    if "exercise_duration" in e:
        want["exercise_duration"] = 0xFFFF if e["exercise_duration"] == "+INF" else raw(
            e["exercise_duration"], "1")
        want["exercise_intensity"] = raw(e["exercise_intensity"], "1")
    return want


PLX_STATUS = ["measurement_ongoing", "early_estimated_data", "validated_data",
              "fully_qualified_data", "data_from_measurement_storage", "data_for_demonstration",
              "data_for_testing", "calibration_ongoing", "measurement_unavailable",
              "questionable_measurement_detected", "invalid_measurement_detected"]
PLX_DEVICE = ["extended_display_update_ongoing", "equipment_malfunction_detected",
              "signal_processing_irregularity_detected", "inadequate_signal_detected",
              "poor_signal_detected", "low_perfusion_detected", "erratic_signal_detected",
              "non_pulsatile_signal_detected", "questionable_pulse_detected",
              "signal_analysis_ongoing", "interference_detected", "unconnected_to_user",
              "unknown_sensor_connected", "sensor_displaced", "sensor_malfunctioning",
              "sensor_disconnected"]


def plx_status(e, want):
    """the fields that both measurements share; tshark has one set of names for them"""
    spot = "btatt.plxs.spot_check_measurement."
    if "measurement_status" in e:
        status = e["measurement_status"]
        want[spot + "measurement_status"] = status
        want[spot + "measurement_status.reserved"] = (status & 0x1F) != 0
        want.update(bits(status >> 5, spot + "measurement_status", PLX_STATUS))
    if "device_status" in e:
        status = e["device_status"]
        want[spot + "device_and_sensor_status"] = status
        want[spot + "device_and_sensor_status.reserved"] = status >> 16
        want.update(bits(status, spot + "device_and_sensor_status", PLX_DEVICE))
    if "amplitude" in e:
        want[spot + "pulse_amplitude_index"] = sfloat(e["amplitude"])


def plx_spot(e):
    has = {"timestamp": "time" in e, "measurement_status": "measurement_status" in e,
           "device_and_sensor_status": "device_status" in e,
           "pulse_amplitude_index": "amplitude" in e,
           "device_clock_is_not_set": e["clock_not_set"]}
    want = {"flags." + name: bit for name, bit in has.items()}
    want["flags"] = sum(bit << number for number, bit in enumerate(has.values()))
    want.update({"flags.reserved": 0, "spo2": sfloat(e["spo2"]), "pulse_rate": sfloat(e["pulse"])})
    plx_status(e, want)
    return want


def plx_continuous(e):
    has = {"spo2pr_fast": "fast" in e, "spo2pr_slow": "slow" in e,
           "measurement_status": "measurement_status" in e,
           "device_and_sensor_status": "device_status" in e,
           "pulse_amplitude_index": "amplitude" in e}
    want = {"flags." + name: bit for name, bit in has.items()}
    want["flags"] = sum(bit << number for number, bit in enumerate(has.values()))
    want["flags.reserved"] = 0
    pairs = [e[key] for key in ("normal", "fast", "slow") if key in e]
    for number, name in enumerate(("spo2", "pulse_rate")):
        want["btatt.plxs.spot_check_measurement." + name] = several(
            [sfloat(pair[number]) for pair in pairs])
    plx_status(e, want)
    return want


def rsc(e):
    want = {"flags": ("stride" in e) | ("distance" in e) << 1 | e["running"] << 2,
            "flags.reserved": 0, "flags.type_of_movement": e["running"],
            "flags.total_distance_present": "distance" in e,
            "flags.instantaneous_stride_length_present": "stride" in e,
            "instantaneous_speed": raw(e["speed"], "0.00390625"),
            "instantaneous_cadence": raw(e["cadence"], "1")}
    if "stride" in e:
        want["instantaneous_stride_length"] = raw(e["stride"], "0.01")
    if "distance" in e:
        want["total_distance"] = raw(e["distance"], "0.1")
    return want


PROFILES = {f.__name__: f for f in (weight, body_composition, blood_pressure, heart_rate,
                                    temperature, glucose, glucose_context, plx_spot,
                                    plx_continuous, rsc)}
# tshark's name of the profile, where it is not PROFILE_measurement
PREFIX = {"glucose_context": "glucose_measurement_context",
          "plx_spot": "plxs.spot_check_measurement",
          "plx_continuous": "plxs.continuous_measurement"}
# where else tshark files fields of the profile
ELSEWHERE = {"temperature": "btatt.temperature_type",
             "plx_continuous": "btatt.plxs.spot_check_measurement."}


def prefix_of(profile):
    return f"btatt.{PREFIX.get(profile, profile + '_measurement')}."


def float32(octets):
    """IEEE 11073 FLOAT, little-endian, read here a second time"""
    whole = int.from_bytes(octets, "little")
    special = {0x7FFFFE: "+INFINITY", 0x7FFFFF: "NaN", 0x800000: "NRes", 0x800001: "RFU",
               0x800002: "-INFINITY"}
    if whole in special:
        return special[whole]
    mantissa = int.from_bytes(octets[:3], "little", signed=True)
    exponent = int.from_bytes(octets[3:], "little", signed=True)
    return Decimal(mantissa).scaleb(exponent)


def float_is_never_read(field, want, got, pdu):
    """the value is the four octets behind opcode, handle and flags"""
    return got.get(field) == 0 and field in want and float32(pdu[4:8]) == want[field]


def nibbles_are_swapped(field, want, got, _):
    octet = int(got[NIBBLES])
    low, high = octet & 15, octet >> 4
    first = field.endswith(".tester")
    return (want[field], got[field]) == ((low, high) if first else (high, low))


def hangs_under_the_time(field, want, got, pdu):
    """not shown, the time stamp is missing, and the value ends with just these fields"""
    missing = [f for f in want if f in BEHIND_TIME and f not in got]
    tail = b"".join(want[f].to_bytes(2, "little") for f in missing)
    return field in missing and want.get(TIME[0]) is None and pdu.endswith(tail)


# In the order of the SIG's data, in which the expectations are made too.
BEHIND_TIME = ["btatt.weight_measurement." + f for f in ("bmi", "height.m", "height.in")] + [
    "btatt.body_composition_measurement." + f for f in (
        "basal_metabolism", "muscle_percentage", "muscle_mass.kg", "muscle_mass.lb",
        "fat_free_mass.kg", "fat_free_mass.lb", "soft_lean_mass.kg", "soft_lean_mass.lb",
        "body_water_mass.kg", "body_water_mass.lb", "impedance", "weight.kg", "weight.lb",
        "height.meter", "height.inches")]
WHY_BEHIND = ("tshark 4.0 hangs the fields behind the user id into the tree of the time stamp (tshark "
              "-V shows them indented below its seconds), and has no such tree when there is none; "
              "the last octets of the value are compared instead")

# tshark's own faults: (name, profile, fields, is it this one, why). The functions say yes only where
# the octets of the PDU prove our value right.
NIBBLES = "btatt.glucose_measurement_context.tester_and_health"
KNOWN = [
    ("FLOAT is never read", "temperature",
     ("btatt.temperature_measurement.value.celsius",
      "btatt.temperature_measurement.value.fahrenheit"),
     float_is_never_read,
     "tshark 4.0 shows 0 for every FT_IEEE_11073_FLOAT, whatever the bytes (36.7 and NaN alike); "
     "the four octets at its place are decoded here instead"),
    ("fields are lost without a time stamp", "weight", BEHIND_TIME, hangs_under_the_time,
     WHY_BEHIND),
    ("fields are lost without a time stamp", "body_composition", BEHIND_TIME,
     hangs_under_the_time, WHY_BEHIND),
    ("tester and health are swapped", "glucose_context",
     (NIBBLES + ".tester", NIBBLES + ".health"),
     nibbles_are_swapped,
     "tshark 4.0 takes the tester from the high nibble; the SIG's data lists the nibbles of an "
     "octet from the least significant one, tester first, and other public parsers read it so; "
     "the whole octet is compared"),
]


def tool(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: exit {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def known_fields(profile):
    """all leaf fields that tshark has for the profile"""
    prefixes = (prefix_of(profile), ELSEWHERE.get(profile, prefix_of(profile)))
    names = []
    for line in tool(["tshark", "-G", "fields"]).splitlines():
        part = line.split("\t")
        if part[0] == "F" and part[2].startswith(prefixes) and part[3] != "FT_NONE":
            names.append(part[2])
    return names + TIME


def canonical(text):
    """what tshark prints, as something comparable; a list where a field occurs more than once"""
    if text in ("True", "False"):
        return int(text == "True")
    if text in SPECIAL.values():
        return text
    if text.startswith("0x"):
        return int(text, 16)
    return Decimal(text)


def decode(capture, fields):
    """per notification or indication: {field: value}"""
    command = ["tshark", "-n", "-r", capture, "-Y", "btatt.opcode == 0x1b || btatt.opcode == 0x1d",
               "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"]
    for field in fields:
        command += ["-e", field]
    for line in tool(command).splitlines():
        got = {}
        for field, text in zip(fields, line.split("\t")):
            values = [canonical(t) for t in text.split(",")] if text else []
            if values:
                got[field] = several(values)
        yield got


def octets_of(capture):
    """per notification or indication: the ATT PDU"""
    command = ["tshark", "-n", "-r", capture, "-Y", "btatt.opcode == 0x1b || btatt.opcode == 0x1d",
               "-T", "ek", "-x", "-j", "btatt"]
    for line in tool(command).splitlines():
        if line.startswith('{"timestamp"'):
            yield bytes.fromhex(json.loads(line)["layers"]["btatt_raw"])


def full(profile, want):
    prefix = prefix_of(profile)
    return {k if k.startswith("btatt.") else prefix + k: v for k, v in want.items()}


def compare(profile, expected, capture):
    """returns (values, fields compared, {known fault: count}, differences)"""
    fields = known_fields(profile)
    faults = [k for k in KNOWN if k[1] == profile]
    pdus = octets_of(capture) if faults else iter(lambda: None, 0)
    compared, excused, differences, count = 0, {}, [], 0
    for number, (got, pdu) in enumerate(zip(decode(capture, fields), pdus)):
        entry = expected[number] if number < len(expected) else {}
        want = full(profile, PROFILES[profile](entry)) if entry else {}
        times(entry, want)
        strange = set(want) - set(fields)
        if strange:
            sys.exit(f"tshark has no field {sorted(strange)}")
        count += 1
        for field in fields:
            compared += 1
            if want.get(field) == got.get(field):
                continue
            for name, _, where, is_fault, _ in faults:
                if field in where and is_fault(field, want, got, pdu):
                    excused[name] = excused.get(name, 0) + 1
                    break
            else:
                differences.append((number, field, want.get(field), got.get(field), entry))
    return count, compared, excused, differences


def run(args, directory):
    capture = os.path.join(directory, args.profile + ".pcap")
    lines = os.path.join(directory, args.profile + ".jsonl")
    tool([args.generator, args.profile, str(args.count), str(args.seed), capture, lines])
    with open(lines, encoding="ascii") as file:
        expected = [json.loads(line) for line in file]
    count, compared, excused, differences = compare(args.profile, expected, capture)
    print(f"{args.profile}: {count} values, {compared} fields compared, "
          f"{len(differences)} differences")
    for name, times_seen in excused.items():
        why = next(k[4] for k in KNOWN if k[0] == name)
        print(f"  known fault of tshark, {times_seen} times: {name}: {why}")
    for number, field, want, got, entry in differences[:10]:
        print(f"  value {number}: {field}: ours {want}, tshark {got}; {json.dumps(entry)}")
    if count != args.count or len(expected) != args.count:
        print(f"  {args.count} values were asked for, {len(expected)} written, {count} decoded")
        return 1
    return 1 if differences else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", required=True)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="leave the capture and the JSON lines in this directory")
    parser.add_argument("profile", choices=sorted(PROFILES))
    args = parser.parse_args()
    if not shutil.which("tshark"):
        print("tshark is not installed")
        return SKIP
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
        return run(args, args.keep)
    with tempfile.TemporaryDirectory() as directory:
        return run(args, directory)


if __name__ == "__main__":
    sys.exit(main())
