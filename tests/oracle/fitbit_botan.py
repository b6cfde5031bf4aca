#!/usr/bin/env python3
"""Our XTEA, CMAC (of AES, too) and EAX against Botan's, on random keys and texts of every length.

usage: fitbit_botan.py --generator PROGRAM [--count N] [--seed N]     77 if there is no Botan
"""
import argparse
import random
import subprocess
import sys

try:
    import botan2
except (ImportError, OSError):
    print("no python3-botan")
    sys.exit(77)


def mac(key, text):
    code = botan2.MsgAuthCode("CMAC(XTEA)")
    code.set_key(key)
    code.update(text)
    return code.final()


def aes_mac(key, text):
    code = botan2.MsgAuthCode("CMAC(AES-128)")
    code.set_key(key)
    code.update(text)
    return bytes(code.final())[:8]  # what a tracker keeps of it


def block(key, text):
    """One block is the key stream of a counter that begins there."""
    cipher = botan2.SymmetricCipher("CTR-BE(XTEA)", True)
    cipher.set_key(key)
    cipher.start(text)
    return cipher.finish(bytes(8))


def eax(key, nonce, header, text):
    cipher = botan2.SymmetricCipher("XTEA/EAX", True)
    cipher.set_key(key)
    cipher.set_assoc_data(header)
    cipher.start(nonce)
    return cipher.finish(text)


KINDS = {"mac": mac, "aes-mac": aes_mac, "xtea": block, "eax": eax}


def cases(count, dice):
    for i in range(count):
        key = dice.randbytes(16)
        text = dice.randbytes(i % 300)
        yield "mac", [key, text]
        yield "aes-mac", [key, text]
        yield "xtea", [key, dice.randbytes(8)]
        yield "eax", [key, dice.randbytes(dice.choice([4, 1, 8, 16])),
                      dice.randbytes(dice.choice([0, 16, 7])), text]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rows = list(cases(args.count, random.Random(args.seed)))
    lines = "".join(f"{kind} {' '.join(v.hex() or '-' for v in values)}\n" for kind, values in rows)
    said = subprocess.run([args.generator], input=lines, capture_output=True, text=True,
                          check=True).stdout.splitlines()
    if len(said) != len(rows):
        print(f"{len(said)} answers to {len(rows)} questions")
        return 1
    for answer, (kind, values) in zip(said, rows):
        want = KINDS[kind](*values)
        if answer != want.hex():
            print(f"{kind} {[v.hex() for v in values]}: {answer}, Botan says {want.hex()}")
            return 1
    print(f"{len(rows)} answers agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
