#!/usr/bin/env python3
"""Signed commands by a signer nobody here wrote: OpenSSL's command line makes keys and signatures, and
the gateway's verifier has to take each of them, and none whose content was changed.

usage: signed_command.py VERIFIER [--golden]
   VERIFIER KEY HUB NOW < envelope   exit status 0: taken; the payload on its standard output
   --golden: print the envelope of tests/unit/test_signed.c instead
"""
import base64
import hashlib
import os
import random
import struct
import subprocess
import sys
import tempfile

CONTEXT = b"wellgate signed command 1\n"
NOW = 1795446000000
# the secret key of the first test of RFC 8032, as PKCS #8 (RFC 8410): known to everybody
RFC8032 = bytes.fromhex("302e020100300506032b657004220420"
                        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


class Sender:
    def __init__(self, folder, secret=None):
        self.path = os.path.join(folder, "key.der")
        with open(self.path, "wb") as stream:
            stream.write(secret or openssl("genpkey", "-algorithm", "ed25519", "-outform", "DER"))
        # the last 32 bytes of a SubjectPublicKeyInfo of Ed25519 are the key
        self.key = openssl("pkey", "-inform", "DER", "-in", self.path, "-pubout", "-outform", "DER")[-32:]

    def sign(self, folder, message):
        path = os.path.join(folder, "message")
        with open(path, "wb") as stream:
            stream.write(message)
        return openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", self.path, "-in", path)

    def envelope(self, folder, hub, payload, serial, issued, expires):
        body = (b"WGC1" + hashlib.sha256(self.key).digest()[:8] + struct.pack(">QQQ", serial, issued, expires) +
                bytes([len(hub)]) + hub + struct.pack(">H", len(payload)) + payload)
        return body + self.sign(folder, CONTEXT + body)


def verify(verifier, key, hub, envelope):
    result = subprocess.run([verifier, base64.b64encode(key).decode(), hub.decode(), str(NOW)], input=envelope,
                            capture_output=True, check=False)
    return result.returncode, result.stdout


def check(verifier, folder, dice):
    sender = Sender(folder)
    hub = bytes(dice.choice(b"abcxyz019-") for _ in range(dice.randint(1, 64)))
    payload = dice.randbytes(dice.randint(1, 4096))
    envelope = sender.envelope(folder, hub, payload, dice.randint(1, 2**64 - 1), NOW - 1000, NOW + 60000)
    code, output = verify(verifier, sender.key, hub, envelope)
    assert code == 0 and output == payload, f"not taken: {code}"
    for _ in range(3):
        changed = bytearray(envelope)
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        code, output = verify(verifier, sender.key, hub, bytes(changed))
        assert code == 1 and not output, f"changed, and answered {code}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        if "--golden" in sys.argv:
            print(Sender(folder, RFC8032).envelope(folder, b"hub-7", b"golden", 8, NOW - 1000, NOW + 60000).hex())
            return 0
        dice = random.Random(8032)
        for _ in range(20):
            check(sys.argv[1], folder, dice)
    print("20 envelopes taken, 60 changed ones refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
