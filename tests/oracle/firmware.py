#!/usr/bin/env python3
"""wellgate-firmware against tools that nobody here wrote.

usage: firmware.py PROGRAM [--seeds FOLDER]

dfu-suffix and dfuse-pack (Debian's dfu-util) read what we write and write what we read; so does
python3-intelhex. Nordic packages and MCUboot images are put together here after their public
documents and signed by OpenSSL's command line or python3-cryptography; init packets that our tool
accepts are verified by the openssl command, too. --seeds writes one image of each kind, for the
fuzz corpus and the unit tests. All firmware here is made-up bytes.
"""
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib

try:
    import intelhex
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = sys.argv[1]
RANDOM = random.Random(8)
FOLDER = tempfile.TemporaryDirectory(prefix="wellgate-oracle-")
SEEDS = {}
count = 0


def path(name, data=None):
    name = os.path.join(FOLDER.name, name)
    if data is not None:
        with open(name, "wb") as stream:
            stream.write(data)
    return name


def read(name):
    with open(name, "rb") as stream:
        return stream.read()


def tool(*arguments, code=0, why=""):
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == code, (arguments, result)
    assert (code == 0) == (result.stderr == "") and why in result.stderr, (why, result)
    return result.stdout


def report(name, data, *options, code=0, why=""):
    global count
    count += 1
    out = tool("verify", "--json", *options, path(name, data), code=65 if why else code, why=why)
    return json.loads(out) if out else None


def other(*arguments, code=0):
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=FOLDER.name)
    assert result.returncode == code, (arguments, result)
    return result.stdout + result.stderr


# ---------------------------------------------------------------- USB DFU, DfuSe

def dfu():
    for size in (1, 15, 16, 17, 1000, 70001):
        plain = RANDOM.randbytes(size)
        name = path("a.dfu", plain)
        other("dfu-suffix", "-v", "0483", "-p", "df11", "-d", "0107", "-a", name)
        theirs = read(name)
        got = report("a.dfu", theirs)
        facts = got["facts"]
        assert (facts["usb_vendor"], facts["usb_product"], facts["usb_release"]) == \
            ("0x0483", "0xdf11", "0x0107"), got
        assert got["whole"] and not got["genuine"] and got["segments"][0]["size"] == size
        tool("pack", "--usb", "0483:df11:0107", path("plain", plain), path(f"ours{size}"))
        assert read(path(f"ours{size}")) == theirs, "our suffix is not theirs"
        assert "Vendor ID" in other("dfu-suffix", "-c", path(f"ours{size}"))
        broken = bytearray(theirs)
        broken[RANDOM.randrange(size)] ^= 1 << RANDOM.randrange(8)
        report("b.dfu", broken, code=65)
        other("dfu-suffix", "-c", path("b.dfu"), code=65)  # sysexits: EX_DATAERR
    SEEDS["dfu"] = dfu_of(RANDOM.randbytes(200))
    name = path("c.dfu", RANDOM.randbytes(50))
    other("dfu-suffix", "-S", "0x011a", "-a", name)
    tool("verify", name, code=65, why="not that of a USB DFU file")  # it says it is DfuSe, and is none
    tool("pack", "--usb", "0483:df11", path("plain"), path("ours1"), code=74)  # never over a file


def dfu_of(plain):
    name = path("seed", plain)
    other("dfu-suffix", "-v", "1209", "-p", "0001", "-d", "0003", "-a", name)
    return read(name)


def dfuse():
    for sizes in ((4,), (1, 300), (5000, 16, 1)):
        arguments, parts, at = [], [], 0x08000000
        for i, size in enumerate(sizes):
            plain = RANDOM.randbytes(size)
            arguments += ["-b", f"0x{at:08x}:" + path(f"part{i}", plain)]
            parts.append((at, size))
            at += size + RANDOM.randrange(1000)
        other("dfuse-pack", *arguments, "-D", "0x1209:0x0001", path("a.dfuse"))
        got = report("b.dfuse", read(path("a.dfuse")))
        assert [(s["address"], s["size"]) for s in got["segments"]] == parts, got
        assert got["facts"]["usb_vendor"] == "0x1209" and got["facts"]["dfu_version"] == "0x011a"
        SEEDS["dfuse"] = read(path("a.dfuse")) if len(sizes) == 2 else SEEDS.get("dfuse")
    plain = RANDOM.randbytes(777)
    tool("pack", "--usb", "1209:0001", "--address", "08004000", path("plain", plain), path("c.dfuse"))
    assert "address: 0x08004000, size: 777" in other("dfuse-pack", "-d", path("c.dfuse"))
    dumped = [name for name in os.listdir(FOLDER.name) if name.startswith("c.dfuse.target0")]
    assert len(dumped) == 1 and read(path(dumped[0])) == plain
    assert "Vendor ID" in other("dfu-suffix", "-c", path("c.dfuse"))


# ---------------------------------------------------------------- Intel HEX

def hex_of(image, **options):
    text = io.StringIO()
    image.write_hex_file(text, **options)
    return text.getvalue().encode()


def random_hex():
    image = intelhex.IntelHex()
    for _ in range(RANDOM.randrange(1, 6)):
        image.puts(RANDOM.randrange(0xffff0000), RANDOM.randbytes(RANDOM.randrange(1, 400)))
    if RANDOM.random() < 0.5:
        image.start_addr = {"EIP": RANDOM.randrange(1 << 32)}
    return image


def intel_hex():
    for _ in range(60):
        image = random_hex()
        data = hex_of(image, byte_count=RANDOM.choice((8, 16, 32, 255)),
                      eolstyle=RANDOM.choice(("native", "CRLF")))
        got = report("a.hex", data)
        assert [(s["address"], s["address"] + s["size"]) for s in got["segments"]] == image.segments()
        assert got["whole"] and ("start" in got["facts"]) == bool(image.start_addr)
    SEEDS["hex"] = hex_of(random_hex())
    for data in (b":00000001FF\n", data[:-14], data.replace(b":", b";", 1), data + b":00000001FF\n"):
        report("b.hex", data, code=65)
    end, good = b":00000001FF\n", b":0400000001020304F2\n"
    report("c.hex", good + end)
    report("c.hex", good + good + end, code=65)  # the same place twice
    report("c.hex", good.replace(b"F2", b"F1") + end, code=65)
    report("c.hex", b":00000001FF\n", code=65)  # nothing in it


# ---------------------------------------------------------------- keys

def pem(key, name):
    return path(name, key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


# A fixed private number, so that the seeds of every run have one key. It guards nothing.
EC = ec.derive_private_key(0x1234567890abcdef, ec.SECP256R1())
EC_OTHER = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


# ---------------------------------------------------------------- Nordic

def crc_ccitt(data):
    crc = 0xffff
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


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


SIZE_FIELDS = {0: 7, 1: 5, 2: 6}


def command_of(plain, kind=0, size=None):
    init = field(1, 7) + field(2, 52) + field(3, varint(0x0101) + varint(0xcafe)) + field(4, kind)
    init += field(SIZE_FIELDS[kind], len(plain) if size is None else size)
    init += field(8, field(1, 3) + field(2, hashlib.sha256(plain).digest()[::-1])) + field(9, 0)
    init += field(10, field(1, 2) + field(2, hashlib.sha256(plain).digest()))
    return field(1, 1) + field(2, init)


def secure(plain, key, kind=0, size=None):
    command = command_of(plain, kind, size)
    if not key:
        return field(1, command)
    r, s = utils.decode_dss_signature(key.sign(command, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "little") + s.to_bytes(32, "little")
    return field(2, field(1, command) + field(2, 0) + field(3, signature))


def legacy(plain):
    head = struct.pack("<HHIHH", 0x0052, 0xffff, 0x01000000, 1, 0x0064)
    return head + struct.pack("<H", crc_ccitt(plain))


def package(parts, method=zipfile.ZIP_DEFLATED, extra=()):
    stream = io.BytesIO()
    manifest = {kind: {"bin_file": kind + ".bin", "dat_file": kind + ".dat"} for kind in parts}
    with zipfile.ZipFile(stream, "w", method) as archive:
        for kind, (plain, init) in parts.items():
            archive.writestr(kind + ".bin", plain)
            archive.writestr(kind + ".dat", init)
        archive.writestr("manifest.json", json.dumps({"manifest": manifest}))
        for name, data in extra:
            archive.writestr(name, data)
    return stream.getvalue()


def openssl_agrees(plain, key_path):
    """The signature of an init packet by OpenSSL's own command, from the bytes of the packet."""
    init = secure(plain, EC)
    signature = init[-64:]
    der = utils.encode_dss_signature(int.from_bytes(signature[:32], "little"),
                                     int.from_bytes(signature[32:], "little"))
    out = other("openssl", "dgst", "-sha256", "-verify", key_path, "-signature", path("sig", der),
                path("command", command_of(plain)))
    assert "Verified OK" in out, out
    assert report("o.zip", package({"application": (plain, init)}), "--key", key_path)["genuine"]


def openssl_signs(plain, key_path):
    """Signed by the openssl command instead: our tool verifies it."""
    private = path("private.pem", EC.private_bytes(serialization.Encoding.PEM,
                                                   serialization.PrivateFormat.PKCS8,
                                                   serialization.NoEncryption()))
    command = command_of(plain)
    other("openssl", "dgst", "-sha256", "-sign", private, "-out", path("sig2"), path("command", command))
    r, s = utils.decode_dss_signature(read(path("sig2")))
    signature = r.to_bytes(32, "little") + s.to_bytes(32, "little")
    init = field(2, field(1, command) + field(2, 0) + field(3, signature))
    assert report("p.zip", package({"application": (plain, init)}), "--key", key_path)["genuine"]


def nordic():
    key, wrong = pem(EC, "ec.pem"), pem(EC_OTHER, "other.pem")
    plain, boot = RANDOM.randbytes(600), RANDOM.randbytes(300)
    both = package({"application": (plain, secure(plain, EC)), "bootloader": (boot, secure(boot, EC, 2))})
    got = report("a.zip", both, "--key", key)
    assert got["whole"] and got["genuine"] and len(got["segments"]) == 2, got
    assert got["facts"]["application.hardware_version"] == 52
    assert got["facts"]["application.hash"] == hashlib.sha256(plain).hexdigest()
    assert not report("a.zip", both)["genuine"]  # without a key nothing is known of who made it
    report("a.zip", both, "--key", wrong, why="signature is bad")
    report("b.zip", package({"application": (plain + b"x", secure(plain, EC))}), "--key", key,
           why="application size is bad")
    changed = bytes([plain[0] ^ 1]) + plain[1:]
    report("b.zip", package({"application": (changed, secure(plain, EC))}), why="application hash is bad")
    mixed = {"application": (plain, secure(plain, EC)), "bootloader": (boot, secure(boot, None, 2))}
    report("c.zip", package(mixed), "--key", key, why="not all of it is signed")  # every part has to be signed
    report("d.zip", package({"application": (plain, secure(plain, EC, 0, 99))}), why="size is bad")
    report("e.zip", package({"bootloader": (plain, secure(plain, EC, 0))}), why="kind is bad")
    old = package({"application": (plain, legacy(plain))})
    assert report("f.zip", old)["facts"]["application.device_type"] == "0x0052"
    report("f.zip", old, "--key", key, why="not all of it is signed")
    assert report("f.zip", old, "--sha256", hashlib.sha256(old).hexdigest())["genuine"]
    report("f.zip", old, "--sha256", "0" * 64, why="its hash is another one")
    report("g.zip", package({"application": (plain + b"x", legacy(plain))}), why="checksum is bad")
    openssl_agrees(plain, key)
    openssl_signs(plain, key)
    SEEDS["nordic-secure"], SEEDS["nordic-legacy"] = both, old


def overlapping(data):
    """Two entries of the list point to one file, and the first is as long as both."""
    end = data.rindex(b"PK\5\6")
    at = struct.unpack_from("<I", data, end + 16)[0]
    out = bytearray(data)
    second = data.index(b"PK\1\2", at + 4)
    out[second + 42:second + 46] = out[at + 42:at + 46]
    return bytes(out)


def hostile():
    plain = RANDOM.randbytes(100)
    good = {"application": (plain, legacy(plain))}
    for name in ("../x", "/etc/x", "a/b", "..", "a\\b", "x\x1b[1m", ".x", "n" * 200):
        report("h.zip", package(good, extra=[(name, b"x")]), why="names that no firmware package has")
    bomb = package(good, extra=[("bomb.bin", bytes(12 << 20))])
    assert len(bomb) < 20000
    report("h.zip", bomb, why="absurd sizes")
    report("h.zip", package(good, extra=[("big.bin", RANDOM.randbytes(17 << 20))],
                            method=zipfile.ZIP_STORED), why="absurd sizes")
    report("h.zip", package(good, extra=[(f"f{i}", b"x") for i in range(40)]), why="more files")
    report("h.zip", overlapping(package(good)), why="share bytes")
    report("h.zip", package({}), why="no firmware in it")
    SEEDS["overlap"] = overlapping(package(good))


# ---------------------------------------------------------------- MCUboot

def tlv(kind, value):
    return struct.pack("<HH", kind, len(value)) + value


def mcuboot_of(plain, key, protected=b"", header=512, sign=None):
    protected = struct.pack("<HH", 0x6908, len(protected) + 4) + protected if protected else b""
    head = struct.pack("<IIHHIIBBHII", 0x96f3b83d, 0, header, len(protected), len(plain), 0, 1, 2, 3, 4, 0)
    covered = head.ljust(header, b"\0") + plain + protected
    digest = hashlib.sha256(covered).digest()
    tlvs = tlv(0x10, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        der = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        tlvs += tlv(1, key_hash(key)) + tlv(0x22, sign(der) if sign else der)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        tlvs += tlv(1, key_hash(key)) + tlv(0x24, key.sign(digest))
    elif key:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        tlvs += tlv(1, key_hash(key)) + tlv(0x20, key.sign(digest, pss, utils.Prehashed(hashes.SHA256())))
    return covered + struct.pack("<HH", 0x6907, len(tlvs) + 4) + tlvs


def key_hash(key):
    kind = serialization.PublicFormat.PKCS1 if isinstance(key, rsa.RSAPrivateKey) \
        else serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_key().public_bytes(serialization.Encoding.DER, kind)).digest()


def mcuboot():
    plain = RANDOM.randbytes(1000)
    keys = {"ec": EC, "ed": ED, "rsa": RSA}
    for name, key in keys.items():
        for protected in (b"", tlv(0x50, struct.pack("<I", 9))):
            data = mcuboot_of(plain, key, protected)
            got = report("a.bin", data, "--key", pem(key, name + ".pem"))
            assert got["whole"] and got["genuine"] and got["facts"]["version"] == "1.2.3+4", got
            assert got["facts"].get("security_counter") == (9 if protected else None)
            assert got["segments"][0]["size"] == len(data)
            for other_name, other_key in keys.items():
                if other_name != name:
                    report("a.bin", data, "--key", pem(other_key, "x.pem"), why="names another key")
            broken = bytearray(data)
            broken[600] ^= 1
            report("b.bin", broken, why="image hash is bad")
    report("c.bin", mcuboot_of(plain, EC_OTHER), "--key", path("ec.pem"), why="names another key")
    assert report("d.bin", mcuboot_of(plain, EC, sign=lambda der: der.ljust(72, b"\0")),
                  "--key", path("ec.pem"))["genuine"]  # as old tools fill it
    report("e.bin", mcuboot_of(plain, None), "--key", path("ec.pem"), why="not all of it is signed")
    assert report("f.bin", mcuboot_of(plain, EC) + b"\xff" * 100)["facts"]["bytes_behind"] == 100
    SEEDS["mcuboot-ecdsa"] = mcuboot_of(plain[:300], EC, header=32)
    SEEDS["mcuboot-ed25519"] = mcuboot_of(plain[:300], ED, tlv(0x50, b"\1\0\0\0"), header=32)


# ---------------------------------------------------------------- Fitbit

def crc_xmodem(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def memory_of(size):
    image = bytearray(struct.pack("<II", 0x20008000, 0x0800a101) + RANDOM.randbytes(size - 8))
    image[0x200:0x208] = struct.pack("<HHHH", crc_xmodem(image[:0x200] + image[0x208:]), 0, 0, 0)
    return bytes(image)


def chunk(kind, address, data):
    return struct.pack("<BBIIIH", 1, kind, address, len(data), len(data), crc_xmodem(data)) + data


def container(chunks):
    body = struct.pack("<I", len(chunks)) + chunks
    trailer = struct.pack("<H", crc_xmodem(body)) + bytes(6)
    total = 10 + len(body) + 11
    return struct.pack("<BBHHI", 0x30, 2, 0, 0, 0) + body + trailer + struct.pack("<I", total - 21)[:3]


def fitbit():
    image = memory_of(2000)
    assert report("a.bin", image)["format"] == "fitbit_image"
    report("b.bin", image[:1500] + bytes([image[1500] ^ 4]) + image[1501:], why="self-checksum")
    ends = chunk(2, 0, b"") + chunk(4, 0, b"")
    pieces = [chunk(2, 0x0800a000, image[:1200]), chunk(2, 0x0800a000 + 1200, image[1200:])]
    data = container(pieces[0] + pieces[1] + ends)
    got = report("c.bin", data)
    assert got["format"] == "fitbit" and [s["size"] for s in got["segments"]] == [1200, 800], got
    assert [c["check"] for c in got["checks"] if c["result"] == "good"] == \
        ["container checksum", "chunk checksums", "self-checksum"], got
    patched = image[:1000] + b"evil" + image[1004:]  # every sum but that of the image is made new
    report("d.bin", container(chunk(2, 0x0800a000, patched) + ends), why="self-checksum is bad")
    for bad in (data[:-1], container(pieces[0] + pieces[1]), container(pieces[0] + pieces[0] + ends),
                container(ends), data[:20] + b"\xff" + data[21:]):
        report("e.bin", bad, code=65)
    small = memory_of(700)
    SEEDS["fitbit"] = container(chunk(2, 0x0800a000, small) + ends)
    SEEDS["fitbit-image"] = small


def main():
    for check in (dfu, dfuse, intel_hex, nordic, hostile, mcuboot, fitbit):
        check()
        print(check.__name__, "agrees")
    if "--seeds" in sys.argv:
        folder = sys.argv[sys.argv.index("--seeds") + 1]
        SEEDS["key-ec.pem"], SEEDS["key-ed.pem"] = read(path("ec.pem")), read(path("ed.pem"))
        for name, data in SEEDS.items():
            with open(os.path.join(folder, name), "wb") as stream:
                stream.write(data)
    print(f"{count} images")
    return 0


sys.exit(main())
