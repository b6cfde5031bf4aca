"""Firmware updates over the air: our command into simulated devices with Nordic Secure DFU, MCUmgr and Nordic's
first DFU, over the real kernel and bluetoothd. What a device would start is asked of the device itself.
"""
import hashlib
import io
import json
import os
import re
import struct
import zipfile

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from test_bearer import Bearer, agent, say_yes
from test_firmware import ours
from world import HUB_CONF

LENGTH = 20004  # five objects of 4096 bytes, the last one not full
LARGE = 400 * 1024
VERSION = 6
KEY = ec.derive_private_key(0x1234567890abcdef, ec.SECP256R1())  # it guards nothing
OTHER = ec.derive_private_key(0xfedcba0987654321, ec.SECP256R1())


def pattern(length, seed=0):
    return bytes((i * 7 + i // 256 + seed) & 0xff for i in range(length))


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def package(firmware, init):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", json.dumps(
            {"manifest": {"application": {"bin_file": "app.bin", "dat_file": "app.dat"}}}))
        archive.writestr("app.bin", firmware)
        archive.writestr("app.dat", init)
    return out.getvalue()


def secure_dfu(firmware, key=KEY):
    """A package of Secure DFU for an application, signed."""
    digest = field(1, 3) + field(2, hashlib.sha256(firmware).digest()[::-1])
    init = field(1, VERSION) + field(2, 52) + field(4, 0) + field(7, len(firmware)) + field(8, digest)
    command = field(1, 1) + field(2, init)
    r, s = utils.decode_dss_signature(key.sign(command, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "little") + s.to_bytes(32, "little")
    return package(firmware, field(2, field(1, command) + field(2, 0) + field(3, signature))), firmware


def legacy_dfu(firmware):
    crc = 0xffff
    for byte in firmware:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return package(firmware, struct.pack("<HHIHHH", 1, 1, VERSION, 1, 0xfffe, crc)), firmware


def smp(firmware):
    """An MCUboot image of version 1.3.0; the file is what goes into the slot."""
    covered = struct.pack("<IIHHIIBBHII", 0x96f3b83d, 0, 32, 0, len(firmware), 0, 1, 3, 0, 0, 0) + firmware
    image = covered + struct.pack("<HHHH", 0x6907, 4 + 4 + 32, 0x10, 32) + hashlib.sha256(covered).digest()
    return image, image


def written(world, name, data):
    path = os.path.join(world.folder, name)
    with open(path, "wb") as stream:
        stream.write(data)
    return path


def begin(world, *models):
    """The radio with these devices, and bluetoothd as hubs have it."""
    with open(HUB_CONF, encoding="utf-8") as stream:
        config = stream.read()
    world.up(*(f"add {model}" for model in models), config=config)


def expects(world, peer, build, length=LENGTH):
    """The device awaits this firmware; the path of the file for it."""
    packed, inside = build(pattern(length))
    plain = written(world, f"{peer}.bin", inside)
    world.ctl(f"{peer} firmware {plain}")
    return written(world, f"{peer}.update", packed)


def runs(world, peer):
    return world.ctl(f"{peer} runs").split()[-1]


def update(world, peer, path, *arguments, origin=("--not-genuine",), address=None):
    return ours(world, "update", "--bluetooth", address or ADDRESS[peer], *origin, *arguments, path)


ADDRESS = {}


def know(world, *peers):
    """The addresses of their applications: a boot loader may have another."""
    for peer in peers:
        ADDRESS[peer] = world.radio_address(peer)


def key_file(world):
    return written(world, "key.pem", KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def whole(world, model, build, proof, origin=("--not-genuine",)):
    begin(world, model)
    know(world, 0)
    path = expects(world, 0, build)
    status, text = update(world, 0, path, "--dry-run", origin=origin)
    assert status == 0 and "battery 50 %" in text and runs(world, 0) == "old", text
    assert "1.0.3, runs its program" in text, text
    status, text = update(world, 0, path, origin=origin)
    assert status == 0 and proof in text, text
    assert runs(world, 0) == "new"


def test_firmware_ble_secure(world):
    """Through its boot loader, which has another address and other services; signed by the key given."""
    whole(world, "secure_dfu", secure_dfu, "says that it took it", origin=("--key", key_file(world)))
    world.wait_log("world", " 0 secure_dfu starts its boot loader")
    world.wait_log("world", " 0 secure_dfu starts its program")


def test_firmware_ble_smp(world):
    whole(world, "smp", smp, "tells the hash of the new image")


def test_firmware_ble_legacy(world):
    whole(world, "legacy_dfu", legacy_dfu, "says that it took it")


def test_firmware_ble_refuses(world):
    """A stranger's signature, a damaged file, an empty battery, a device without the service, one that the radio
    of a running wellgate-devices may read, and an image that the device does not take: old or waiting, never more."""
    begin(world, "secure_dfu", "smp")
    know(world, 0, 1)
    pem = key_file(world)
    good = expects(world, 0, secure_dfu)
    other = written(world, "other.update", secure_dfu(pattern(LENGTH), OTHER)[0])
    status, text = update(world, 0, other, origin=("--key", pem))
    assert status == 65 and "not made with this key" in text, text
    with open(good, "rb") as stream:
        damaged = bytearray(stream.read())
    damaged[len(damaged) // 2] ^= 4
    status, text = update(world, 0, written(world, "damaged.update", damaged), origin=("--key", pem))
    assert status == 65, text
    world.ctl("0 battery 29")
    status, text = update(world, 0, good)
    assert status == 65 and "battery is below 30 %" in text, text
    for_smp = written(world, "smp.update", smp(pattern(LENGTH))[0])
    status, text = update(world, 0, for_smp)
    assert status == 65 and "does not take updates by MCUmgr" in text, text
    program = world.devices("--bluetooth", "--state", world.out + "/devices")
    status, text = update(world, 0, good)
    assert status == 69 and "stop it first" in text, text
    program.stop()
    assert runs(world, 0) == "old" and runs(world, 1) == "old"
    assert " packet" not in world.log("world")
    wrong = written(world, "wrong.update", secure_dfu(pattern(LENGTH, 1))[0])
    status, text = update(world, 0, wrong, "--low-battery-ok")
    assert status == 65 and "not what was sent" in text, text
    assert runs(world, 0) == "old"
    status, text = update(world, 0, good, "--low-battery-ok")  # its boot loader waits: no battery is told
    assert status == 0 and "does not tell its battery" in text and runs(world, 0) == "new", text


def cut_and_again(world, model, build, cuts):
    """The link cut behind a packet: one run goes on by itself. Then our program dies as well: a second completes."""
    begin(world, model)
    know(world, 0)
    for cut in cuts:
        path = expects(world, 0, build)
        world.ctl(f"0 cut {cut}")
        status, text = update(world, 0, path)
        assert status == 0 and "waiting for the device to come back" in text, text
        assert runs(world, 0) == "new"
        world.wait_log("world", f" 0 {model} cut behind packet {cut}$")
    path = expects(world, 0, build)
    world.ctl(f"0 cut {cuts[1]}")
    first = world.program("update", world.path("wellgate-firmware"), "update", "--bluetooth", ADDRESS[0],
                          "--not-genuine", path)
    world.wait_log("world", f" 0 {model} cut behind packet {cuts[1]}$", count=2)
    first.stop(9)
    assert runs(world, 0) == "old"
    status, text = update(world, 0, path)
    assert status == 0 and runs(world, 0) == "new", text


def test_firmware_ble_cut_secure(world):
    cut_and_again(world, "secure_dfu", secure_dfu, (1, 40, 84))


def test_firmware_ble_cut_smp(world):
    cut_and_again(world, "smp", smp, (3, 40, 80))


def bond(world, peer):
    """As a pairing of the hub leaves it: there is a key on both sides, and no link."""
    person = agent(world)
    bearer = Bearer(world)
    bearer.up(peer)
    bearer.tell("raise 0 2")
    say_yes(world, person)
    bearer.wait(r"0 level 2")
    bearer.gone(peer)
    bearer.program.stop()
    person.kill()


def test_firmware_ble_encrypted(world):
    """Devices that take updates only over an encrypted link: refused without a bond, updated with one."""
    begin(world, "secure_dfu", "smp")
    know(world, 0, 1)
    world.ctl("all pair just-works")
    for peer, build in ((0, secure_dfu), (1, smp)):
        path = expects(world, peer, build)
        status, text = update(world, peer, path)
        assert status == 65 and "paired with" in text and runs(world, peer) == "old", text
        bond(world, peer)
        status, text = update(world, peer, path)
        assert status == 0 and runs(world, peer) == "new", text


def att_bytes(path, handle=None):
    """Bytes of all ATT packets in a capture of HCI, both ways: L2CAP of channel 4, whole or begun."""
    total, rest = 0, {}
    with open(path, "rb") as stream:
        data = stream.read()
    at = 16
    while at + 24 <= len(data):
        _, included, flags = struct.unpack_from(">III", data, at)
        packet = data[at + 24:at + 24 + included]
        at += 24 + included
        if not packet or packet[0] != 2:  # ACL
            continue
        begins = packet[2] >> 4 & 3 != 1
        payload = packet[5:]
        if begins and len(payload) >= 4:
            rest[flags & 1] = struct.unpack_from("<H", payload, 2)[0] == 4
            payload = payload[4:]
        total += len(payload) if rest.get(flags & 1) else 0
    return total


def large(world, model, build):
    begin(world, model)
    know(world, 0)
    path = expects(world, 0, build, LARGE)
    size = os.path.getsize(os.path.join(world.folder, "0.bin"))
    before = att_bytes(os.path.join(world.out, "radio.btsnoop"))
    status, text = update(world, 0, path)
    assert status == 0 and runs(world, 0) == "new", text
    carried = att_bytes(os.path.join(world.out, "radio.btsnoop")) - before
    spans = [float(t) for t in re.findall(rf"^(\S+) 0 {model} (?:connected|disconnected)", world.log("world"), re.M)]
    world.say(f"figure: {model}, {size} bytes of image by all bytes of ATT, both ways: {size / carried:.3f}")
    world.say(f"figure: {model}, by the payload that these carry at MTU 247: {size / (carried * 244 / 247):.3f}")
    world.say(f"figure: {model}, bytes/s, from the first link to the last: {size / (spans[-1] - spans[0]):.0f}")
    assert size / carried > 0.9


def test_firmware_ble_400k_secure(world):
    large(world, "secure_dfu", secure_dfu)


def test_firmware_ble_400k_smp(world):
    large(world, "smp", smp)
