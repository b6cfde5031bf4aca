"""What the simulated devices say, decoded a second time: nothing of ours is used here.

The frames are in the radio's event log, as the device sent them; a reading of the gateway must be one of
them, value by value. Layouts: the head of each file in radio/models/.
"""
import re
from decimal import Decimal

LEVELS = {1: "clear", 2: "encrypted", 3: "authenticated"}


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, size, order="little"):
        value = int.from_bytes(self.data[self.at:self.at + size], order)
        assert self.at + size <= len(self.data), self.data.hex()
        self.at += size
        return value

    def scaled(self, size, factor):
        return self.number(size) * Decimal(factor)

    def sfloat(self):
        raw = self.number(2)
        mantissa, exponent = raw & 0xfff, raw >> 12
        assert mantissa < 0x7fe, "a special value"
        return Decimal(mantissa).scaleb(exponent - 16 if exponent > 7 else exponent)

    def stamp(self):
        year = self.number(2)
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(year, *(self.number(1) for _ in range(5)))


def weight(c):
    flags = c.number(1)
    got = {"body_weight": c.scaled(2, "0.005")}
    if flags & 0x02:
        got["time"] = c.stamp()
    if flags & 0x04:
        got["user"] = c.number(1)
    if flags & 0x08:
        got["bmi"], got["height"] = c.scaled(2, "0.1"), c.scaled(2, "0.001")
    return got


def composition(c):
    assert c.number(2) == 0x0398
    return {"body_fat": c.scaled(2, "0.1"), "basal_metabolism": c.scaled(2, "1"),
            "muscle_percent": c.scaled(2, "0.1"), "soft_lean_mass": c.scaled(2, "0.005"),
            "body_water_mass": c.scaled(2, "0.005"), "impedance": c.scaled(2, "0.1")}


def pressure(c):
    flags = c.number(1)
    got = {"systolic": c.sfloat(), "diastolic": c.sfloat()}
    mean = c.sfloat()
    if mean:  # a mean of 0 says that there is none
        got["mean_pressure"] = mean
    got["time"] = c.stamp()
    if flags == 0x56:  # the BM85's own order, most significant byte first
        got["pulse"], got["user"] = Decimal(c.number(2, "big")), c.number(1)
    else:
        got["pulse"] = c.sfloat()
        if flags & 0x08:
            got["user"] = c.number(1)
    return got


def temperature(c):
    assert c.number(1) == 0x06
    raw = c.number(4)
    assert raw >> 24 == 0xfd
    return {"temperature": Decimal(raw & 0xffffff).scaleb(-3), "time": c.stamp()}


def oximetry(c):
    assert c.number(1) == 0x01
    return {"spo2": c.sfloat(), "pulse_oximeter": c.sfloat(), "time": c.stamp()}


def glucose(c):
    assert c.number(1) == 0x02
    return {"record": c.number(2), "time": c.stamp(), "glucose": c.sfloat()}


def heart_rate(c):
    assert c.number(1) == 0x16
    return {"heart_rate": Decimal(c.number(1)), "rr_interval": c.number(2) * Decimal(1000) / 1024}


DECODERS = {
    "weight_scale": weight, "a_and_d_scale": weight, "body_scale": weight,
    "blood_pressure": pressure, "bm85": pressure, "a_and_d_cuff": pressure,
    "thermometer": temperature, "pulse_oximeter": oximetry, "glucose_meter": glucose,
    "heart_rate": heart_rate,
}


def decode(model, part, data):
    """metric -> Decimal in the device's unit; also time, user, record."""
    decoder = composition if model == "body_scale" and part == 1 else DECODERS[model]
    return decoder(Cursor(data))


def frames(log, peer, events="indicated|notified"):
    """[(number of the reading, part, level, model, bytes)] of a peer, in the order of the log."""
    found, about = [], None
    for line in log.splitlines():
        words = line.split()
        if len(words) < 4 or words[1] != str(peer):
            continue
        frame = re.search(r"frame n=(\d+) part=(\d) level=(\d)", line)
        if frame:
            about = tuple(int(n) for n in frame.groups())
        elif re.fullmatch(events, words[3]) and about:
            found.append((*about, words[2], bytes.fromhex(words[4])))
            about = None
    return found


def of_reading(reading):
    """The same of a line of `wellgate readings --json`."""
    got = {c["metric"]: Decimal(c.get("original_value", c["value"])) for c in reading["components"]}
    for key, name in (("device_time", "time"), ("user_slot", "user"), ("record_number", "record")):
        if key in reading:
            got[name] = reading[key]
    return got


def linked(log, peer):
    """Is it, as far as the log goes?"""
    events = re.findall(rf"^\S+ {peer} \S+ (connected|disconnected)\b", log, re.M)
    return bool(events) and events[-1] == "connected"
